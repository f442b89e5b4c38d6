"""Time: aware UTC instants, a monotonic counter for durations, report days in a named zone.

No decision compares the clocks of two machines (G18). The core takes a `Clock`
as an argument, so the whole engine runs in simulated time.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Protocol
from zoneinfo import ZoneInfo

from core.errors import InvariantBroken

_WRITTEN = re.compile(
    r"(2[01][0-9]{2}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?: ?(Z|[+-][0-9]{2}:[0-9]{2}))?)?"
)


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, UTC. For records and schedules, never for durations."""

    def monotonic(self) -> float:
        """Seconds that only go forward. For timeouts, budgets and breakers."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock; the only place that asks it."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to: tests, replays, simulation."""

    def __init__(self, at: datetime) -> None:
        self._at = aware(at)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
        self._monotonic += seconds


def aware(at: datetime) -> datetime:
    """The same instant in UTC; a naive one is a bug, not a guess."""
    if at.tzinfo is None:
        raise InvariantBroken(f"{at.isoformat()} has no zone")
    return at.astimezone(UTC)


def stamp(at: datetime) -> str:
    """The one text form of an instant: sortable, microseconds, `Z`."""
    return aware(at).isoformat(timespec="microseconds")[:-6] + "Z"


def unstamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of instants: `start` belongs to it, `end` to the next (S13)."""

    start: datetime
    end: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end


def local_day(day: date, zone: ZoneInfo) -> Window:
    """The instants of one calendar day in a zone: 23, 24 or 25 hours of them (H39)."""
    following = day + timedelta(days=1)
    return Window(_midnight(day, zone), _midnight(following, zone))


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The ledger date of an instant."""
    return aware(at).astimezone(zone).date()


def written(text: str, zone: ZoneInfo, *, ends: bool = False) -> datetime:
    """An instant as operators write it: `2026-11-11`, `2026-11-11 18:00`, or with `+07:00`.

    Without a zone of its own it is in `zone`, and stays in it, to be shown as it was meant.
    An end says its time: of a day alone nobody knows whether that day is still in it.
    Raises ValueError with what is wrong.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError("is not a time like 2026-11-11 18:00 or 2026-11-11 18:00+07:00")
    day, clock, offset = match.groups()
    if ends and clock is None:
        raise ValueError("needs a time, like 00:00: is that day still in it or not?")
    try:
        at = datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset or ''}")
    except ValueError:
        raise ValueError("is no day or time of the calendar") from None
    if offset:
        return at
    first, second = at.replace(tzinfo=zone), at.replace(tzinfo=zone, fold=1)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at:
        raise ValueError(f"does not exist in {zone.key}: its clocks go forward then")
    if first.utcoffset() != second.utcoffset():
        raise ValueError(f"comes twice in {zone.key}, its clocks go back then: add the offset")
    return first


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time_of_day(), tzinfo=zone).astimezone(UTC)
