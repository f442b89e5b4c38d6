"""Watching a mapping work: what each field comes to, step by step (`truecount mapping explain`).

A watched mapping is the same compiled code with a note after every step. Nothing
is worked out a second way, so what is explained is what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.mapping.steps import Ignored, StepError


@dataclass(frozen=True, slots=True)
class Note:
    """After `step` (a path, a constant, a step of the list) the value was this."""

    field: str  # "lines[0].sku"
    step: str
    value: Any


@dataclass(slots=True)
class Watch:
    """Collects what a run of one document comes to."""

    notes: list[Note] = field(default_factory=list)
    refused: list[tuple[str, StepError]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _entries: dict[str, int] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)

    def seen(self, our: str, step: str, value: Any) -> Any:
        self.notes.append(Note(self._place(our), step, value))
        return value

    def tried(self, our: str, run: Callable[[], Any], instead: Any) -> Any:
        try:
            return run()
        except StepError as error:
            self.refused.append((self._place(our), error))
            return instead
        except Ignored:
            self.left_out.append(self._place(our))
            raise

    def entered(self, our: str) -> None:
        """One more entry of a list. Several blocks make one list, so it is counted on."""
        place = self._place(our)
        self._entries[our] = self._counted.get(place, 0)
        self._counted[place] = self._entries[our] + 1

    def _place(self, our: str) -> str:
        """lines.taxes.amount as lines[0].taxes[1].amount."""
        words, walked = [], ""
        for word in our.split("."):
            walked = f"{walked}.{word}" if walked else word
            at = self._entries.get(walked)
            words.append(word if at is None or walked == our else f"{word}[{at}]")
        return ".".join(words)
