"""Which of their fields a mapping reads: each line's path, walked without a document.

A place is a tuple of names; "[]" stands for every entry of a list. A path that
ends at an object or a list reads what is inside it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.mapping.incoming import Block, Plan
from core.mapping.lines import Line
from core.mapping.paths import ABOVE, Parsed

Place = tuple[str, ...]
EVERY = "[]"


def reads_of(plan: Plan) -> dict[Place, list[str]]:
    """Every place that is read -> the fields of ours that read it ("" for a condition)."""
    found: dict[Place, list[str]] = {}
    for place, our in _plan(plan, (), None, ""):
        known = found.setdefault(place, [])
        if our not in known:
            known.append(our)
    return found


def _plan(plan: Plan, here: Place, above: Place | None, prefix: str) -> Iterator[tuple[Place, str]]:
    if plan.currency is not None:
        yield from ((place, "currency") for place in _line(plan.currency, here))
    for name, line in plan.fields.items():
        for place in _line(line, here):
            yield _from_above(place, here, above), f"{prefix}{name}"
    for condition in plan.skip:
        if condition.path is not None:
            for place in _touched(condition.path, here):
                yield _from_above(place, here, above), ""
    for name, blocks in plan.blocks.items():
        for block in blocks:
            yield from _block(block, here, f"{prefix}{name}")


def _block(block: Block, here: Place, our: str) -> Iterator[tuple[Place, str]]:
    inside = here
    if block.each is not None:
        read: list[Place] = []
        ends = _walk(block.each, [here], read)
        yield from ((place, our) for place in read)
        if block.word == "keyed":  # names of theirs on the way: the whole map is read
            yield from ((end, our) for end in ends)
        inside = ends[0] if ends else here
        if inside[-1:] != (EVERY,):
            inside = (*inside, EVERY)
    yield from _plan(block.plan, inside, here, f"{our}.")


def _from_above(place: Place, here: Place, above: Place | None) -> Place:
    """`above.x` of an entry is the x of what its list stands in."""
    inside = place[len(here) :]
    if above is None or place[: len(here)] != here or inside[:1] != (ABOVE,):
        return place
    return (*above, *inside[1:])


def _line(line: Line, here: Place) -> list[Place]:
    found = _touched(line.path, here) if line.path is not None else []
    for use in line.steps:
        if use.step.arg == "lookup" and use.path is not None:  # from the top of the document
            ends = [_entry(end) for end in _touched(use.path, ())]
            found += [(*end, name) for end in ends for name in use.argument]
        elif use.path is not None:
            found += _touched(use.path, here)
    return found


def _touched(path: Parsed, here: Place) -> list[Place]:
    """What one path reads, where it ends and what it looks at on the way."""
    read: list[Place] = []
    return [*_walk(path, [here], read), *read]


def _walk(node: Any, starts: list[Place], read: list[Place]) -> list[Place]:
    """Where the node ends when it starts at `starts`; what it reads aside goes to `read`."""
    children = node["children"]
    match node["type"]:
        case "field":
            return [(*start, str(node["value"])) for start in starts]
        case "subexpression" | "index_expression" | "pipe":
            for child in children:
                starts = _walk(child, starts, read)
            return starts
        case "index" | "slice":
            return [(*start, EVERY) for start in starts]
        case "projection" | "value_projection" | "filter_projection":
            ends = [_entry(end) for end in _walk(children[0], starts, read)]
            for condition in children[2:]:
                read += _walk(condition, ends, read)
            return _walk(children[1], ends, read)
        case "flatten":
            return [_entry(end) for end in _walk(children[0], starts, read)]
        case "identity" | "current":
            return starts
        case "literal":
            return []
        case _:  # comparators, logic, functions: all of their parts are read
            return [end for child in children for end in _walk(child, starts, read)]


def _entry(place: Place) -> Place:
    return place if place[-1:] == (EVERY,) else (*place, EVERY)
