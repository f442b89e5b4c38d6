"""`truecount mapping explain`: what each field of one document comes to, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.errors import Hold
from core.mapping.mapping import Mapping
from core.mapping.shown import shown_as
from core.mapping.watching import Watch


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the value at each step, as (step, value); the last is what is taken."""

    name: str
    steps: tuple[tuple[str, str], ...]
    refused: Hold | None = None

    @property
    def value(self) -> str:
        return self.steps[-1][1] if self.steps else ""


@dataclass(slots=True)
class Explained:
    fields: list[Field] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    taken: bool = False  # False: skipped or held
    hold: Hold | None = None

    @property
    def verdict(self) -> str:
        if self.hold is not None:
            return f"held: {self.hold.reason}"
        return "taken" if self.taken else "left out"

    def as_json(self) -> dict[str, Any]:
        return {
            "taken": self.taken,
            "held": self.hold.reason if self.hold else None,
            "next_step": self.hold.next_step if self.hold else None,
            "left_out": self.left_out,
            "fields": [
                {
                    "field": one.name,
                    "value": one.value,
                    "steps": [{"step": step, "value": value} for step, value in one.steps],
                    "refused": one.refused.reason if one.refused else None,
                }
                for one in self.fields
            ],
        }


def explain(mapping: Mapping, document: Any) -> Explained:
    """`document` is theirs for a mapping that reads, our command for one that sends.

    The verdict is that of the mapping itself; the steps are those of the same
    code compiled with a watch, which goes on after a value that cannot be taken.
    """
    found = Explained()
    try:
        found.taken = _run(mapping, document) is not None
    except Hold as hold:
        found.hold = hold
    watch = Watch()
    try:
        _run(mapping.watched(watch), document)
    except Hold as hold:  # refused outside any field
        found.hold = found.hold or hold
    refused: dict[str, Hold] = {}
    for name, error in watch.refused:
        refused.setdefault(name, mapping.hold(error, document))
    found.left_out = watch.left_out
    found.fields = _fields(watch, refused)
    return found


def _run(mapping: Mapping, document: Any) -> Any:
    if mapping.direction == "incoming":
        return mapping.record(document, external_id="sample", revision="1")
    return mapping.body(document)


def _fields(watch: Watch, refused: dict[str, Hold]) -> list[Field]:
    walked: dict[str, list[tuple[str, str]]] = {}
    for note in watch.notes:
        here, value = walked.setdefault(note.field, []), shown_as(note.value)
        if note.step:
            here.append((note.step, value))
        elif not here or here[-1][1] != value:  # text, a default: what the field makes of it
            here.append(("taken as", value))
    names = [*walked, *(name for name in refused if name not in walked)]
    return [Field(name, tuple(walked.get(name, ())), refused.get(name)) for name in names]
