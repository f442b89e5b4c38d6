"""One thing about one system that a person should know, found on a round (core/rounds.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An exception as it is to stand there now. The same cause is the same exception."""

    cause: str
    system: str
    reason: str
    next_step: str
