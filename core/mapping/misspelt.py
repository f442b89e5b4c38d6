"""Paths that no sample knows, beside a very similar name that no line reads (H27). Pure.

Every path engine answers null for a misspelt name; this is what notices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from core.errors import Problem
from core.mapping.incoming import Plan
from core.mapping.reads import Place, reads_of
from core.mapping.shapes import shape_of, written
from core.strict import Node, nearest

#: An optional field that no sample has is no slip: only what nearly is the same name is one.
ALIKE = 0.8


def misspelt(plan: Plan, samples: Sequence[Any]) -> list[Problem]:
    """One problem for each line of ours with such a name, at the line; of a list at its each."""
    known = {place[:end] for each in samples for place in shape_of(each) for end in _ends(place)}
    reads = reads_of(plan)
    read = {place[:end] for place in reads for end in _ends(place)}
    lines, problems = dict(_lines(plan, "")), dict[str, Problem]()
    missing: dict[Place, list[str]] = {}
    for place, ours in reads.items():
        gone = next((place[:end] for end in _ends(place) if place[:end] not in known), None)
        if gone is None:
            continue
        missing.setdefault(gone, []).extend(ours)
    for gone, ours in missing.items():
        beside = {each[-1] for each in known - read if each[:-1] == gone[:-1]}
        hint = nearest(gone[-1], beside, cutoff=ALIKE)
        for our in _of_their_list(ours, lines) if hint else ():
            what = f'{our}: no sample has "{written(gone)}"'
            problems.setdefault(our, lines[our].problem(what, hint))
    return list(problems.values())


def _of_their_list(ours: list[str], lines: dict[str, Node]) -> list[str]:
    """All in one list of ours: it is the list's own line that names what no sample has."""
    by_word = zip(*(our.split(".") for our in ours), strict=False)
    shared = [words[0] for words in takewhile(lambda words: len(set(words)) == 1, by_word)]
    if len(ours) > 1 and shared and (name := ".".join(shared)) in lines:
        return [name]
    return [our for our in ours if our in lines]


def _ends(place: Place) -> range:
    return range(1, len(place) + 1)


def _lines(plan: Plan, prefix: str) -> Iterator[tuple[str, Node]]:
    """Where each field of ours, and each list, is written."""
    for name, line in plan.fields.items():
        yield f"{prefix}{name}", line.node
    if plan.currency is not None:
        yield "currency", plan.currency.node
    for name, blocks in plan.blocks.items():
        for block in blocks:
            yield f"{prefix}{name}", block.node.get(block.word) or block.node
            yield from _lines(block.plan, f"{prefix}{name}.")
