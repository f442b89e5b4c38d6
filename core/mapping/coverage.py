"""`truecount mapping coverage`: their fields that no line reads. Never shows a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.mapping.mapping import Mapping
from core.mapping.reads import Place, reads_of
from core.mapping.shapes import shape_of, written


@dataclass(frozen=True, slots=True)
class Unread:
    path: str
    kind: str
    documents: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one mapping over some documents; `known` places of theirs, `read` of them."""

    mapping: str
    documents: int
    recorded: bool  # False: its samples, because nothing is recorded
    known: int
    read: int
    unread: tuple[Unread, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "mapping": self.mapping,
            "documents": self.documents,
            "recorded": self.recorded,
            "known": self.known,
            "read": self.read,
            "unread": [
                {"field": one.path, "kind": one.kind, "documents": one.documents}
                for one in self.unread
            ],
        }


def coverage_of(mapping: Mapping, documents: Sequence[Any], *, recorded: bool) -> Coverage:
    assert mapping.plan is not None
    read = set(reads_of(mapping.plan))
    counted: Counter[Place] = Counter()
    kinds: dict[Place, set[str]] = {}
    for document in documents:
        for place, found in shape_of(document).items():
            counted[place] += 1
            kinds.setdefault(place, set()).update(found)
    unread = [place for place in kinds if not is_read(place, read)]
    return Coverage(
        mapping=f"{mapping.name} v{mapping.version}",
        documents=len(documents),
        recorded=recorded,
        known=len(kinds),
        read=len(kinds) - len(unread),
        unread=tuple(
            Unread(written(place), " or ".join(sorted(kinds[place])), counted[place])
            for place in unread
        ),
    )


def is_read(place: Place, read: set[Place]) -> bool:
    """Itself, or a whole that it is part of; an empty list whose entries would be read."""
    if any(place[:length] in read for length in range(1, len(place) + 1)):
        return True
    return any(one[: len(place)] == place for one in read)
