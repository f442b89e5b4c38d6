"""`truecount mapping preview`: what an edited mapping would do to documents that really came.

Old against new, document by document, before anything takes effect. Pure: the
documents come in as arguments. A buyer's value is counted as changed and never
shown; what a buyer wrote is blotted out of every other value too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.errors import Hold
from core.mapping.mapping import Mapping
from core.mapping.shape import is_buyers
from core.mapping.shown import shown_as
from core.money import Money
from core.privacy import blot, buyers_of

EXAMPLES_MAX = 5
BUYERS = "(a buyer's, not shown)"
FREE = "(a text somebody wrote, not shown)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One document as it came: theirs for a mapping that reads, our command for one that sends.

    `label` is what an operator calls it; `posted`: something was decided from it already.
    """

    label: str
    document: Any
    external_id: str = ""
    revision: str = ""
    posted: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    label: str
    before: str
    after: str


@dataclass(slots=True)
class Change:
    """One field of ours (or of theirs, when we send): how many documents, and the first few."""

    documents: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Held:
    """One reason, and the documents it concerns."""

    reason: str
    next_step: str
    labels: list[str] = field(default_factory=list)
    documents: int = 0


@dataclass(slots=True)
class Effect:
    """What the new one does that the old one did not."""

    mapping: str = ""
    old: str = ""
    new: str = ""
    documents: int = 0
    same: int = 0
    changed: int = 0
    posted: int = 0  # changed, newly held or left out, and decided from already
    fields: dict[str, Change] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    released: dict[str, Held] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    let_in: list[str] = field(default_factory=list)
    still_held: int = 0
    posted_labels: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return self.same + self.still_held == self.documents

    @property
    def same_number(self) -> bool:
        """Another text under the version number of the old one."""
        number, of = self.new.partition(" ")[0], self.old.partition(" ")[0]
        return self.old != self.new and number == of


def compare(old: Mapping | None, new: Mapping, documents: Iterable[Recorded]) -> Effect:
    """Run both over every document. Without an old one everything is new."""
    effect = Effect(mapping=new.name, old=_version(old) if old else "", new=_version(new))
    for one in documents:
        effect.documents += 1
        before = _run(old, one) if old is not None else None
        _judge(effect, one, before, _run(new, one))
    return effect


def _version(mapping: Mapping) -> str:
    return f"v{mapping.version} {mapping.hash[:8]}"


def _run(mapping: Mapping, one: Recorded) -> Any:
    """A record or body, None where it is left out, or the Hold."""
    try:
        if mapping.direction == "incoming":
            return mapping.record(one.document, external_id=one.external_id, revision=one.revision)
        return mapping.body(one.document)
    except Hold as hold:
        return hold


def _judge(effect: Effect, one: Recorded, before: Any, after: Any) -> None:
    was_held, is_held = isinstance(before, Hold), isinstance(after, Hold)
    touched = True
    if is_held and was_held:
        effect.still_held += 1
        touched = False
    elif is_held:
        _file(effect.held, after, one)
    elif was_held:
        _file(effect.released, before, one)
    elif before is not None and after is None:
        effect.left_out.append(one.label)
    elif before is None and after is not None and effect.old:
        effect.let_in.append(one.label)
    else:
        touched = _differs(effect, one, before, after)
    if touched and one.posted:
        effect.posted += 1
        effect.posted_labels = [*effect.posted_labels, one.label][:EXAMPLES_MAX]


def _file(held: dict[str, Held], hold: Hold, one: Recorded) -> None:
    group = held.setdefault(hold.cause, Held(str(hold), hold.next_step))
    group.documents += 1
    if len(group.labels) < EXAMPLES_MAX:
        group.labels.append(one.label)


def _differs(effect: Effect, one: Recorded, before: Any, after: Any) -> bool:
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    places = [place for place in {**old, **new} if old.get(place) != new.get(place)]
    if not places:
        effect.same += 1
        return False
    effect.changed += 1
    hidden = [*buyers_of(before), *buyers_of(after), *buyers_of(one.document)]
    counted: set[str] = set()
    for place in places:
        name = _without_entries(place)
        change = effect.fields.setdefault(name, Change())
        change.documents += name not in counted
        counted.add(name)
        if len(change.examples) < EXAMPLES_MAX:
            shown = [_shown(each.get(place), name, hidden) for each in (old, new)]
            change.examples.append(Example(f"{one.label} {place}".strip(), *shown))
    return True


def _shown(value: Any, name: str, hidden: list[str]) -> str:
    if value is None:
        return "nothing"
    if is_buyers(name) or (name.startswith("body.") and _may_be_buyers(name)):
        return BUYERS
    if _is_free(name) and isinstance(value, str) and " " in value.strip():
        return FREE
    return blot(shown_as(value), hidden)


def _is_free(name: str) -> bool:
    """A note, a reason, a courier's words: a person wrote it, and may have written a person."""
    return name.startswith("extras.") or name.rpartition(".")[2] in ("reason", "text", "note")


#: Names of theirs that may hold a buyer; a body of ours has no model to ask.
_THEIRS = ("name", "address", "street", "city", "zip", "post", "phone", "mail", "recipient", "ship")


def _may_be_buyers(name: str) -> bool:
    return any(word in name.lower() for word in _THEIRS)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every single value with its place; entries of a list go by their key where they have one."""
    if isinstance(value, Money | Decimal | datetime | str | int | bool) or value is None:
        if value is not None and value != "":
            yield place, value
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield from _leaves(
                getattr(value, each.name), f"{place}.{each.name}" if place else each.name
            )
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{place}.{name}" if place else f"body.{name}")
    else:
        for at, each in enumerate(value):
            key = getattr(each, "key", "") or str(at)
            yield from _leaves(each, f"{place}[{key}]")


def _without_entries(place: str) -> str:
    words, depth = [], 0
    for sign in place:
        depth += (sign == "[") - (sign == "]")
        if depth == 0 and sign != "]":
            words.append(sign)
    return "".join(words)
