"""By when something is due, where a channel states only how long it may take. Pure.

Hours are elapsed hours, whatever the clocks of a country do meanwhile. Business days are days of a
named zone: what comes after the cut-off hour, or on a day off, counts as come on the next working
day, and the last day is over at its midnight there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from core.model import DeadlineKind

Policy = Literal["remind", "escalate", "cancel"]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: So long before a deadline it is said, where nobody says otherwise.
WARN_S = 4 * 3600.0
#: A term is not longer; it also ends the search for a working day.
DAYS_MAX = 366
_DAY = timedelta(days=1)
#: Kinds that are ours to keep, each with a fact that ends it. The others are the buyer's.
FOLLOWED = (
    DeadlineKind.ACCEPT,
    DeadlineKind.PACK,
    DeadlineKind.SHIP,
    DeadlineKind.HANDOVER,
    DeadlineKind.DELIVER,
    DeadlineKind.CANCEL_DECISION,
    DeadlineKind.RETURN_DECISION,
    DeadlineKind.NDR_DECISION,
    DeadlineKind.AUTO_CANCEL,
)
#: Those that end with the order, so that to stop it in time is an answer.
CANCELS = (
    DeadlineKind.ACCEPT,
    DeadlineKind.PACK,
    DeadlineKind.SHIP,
    DeadlineKind.HANDOVER,
    DeadlineKind.AUTO_CANCEL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Which days one works there, and until when a day's orders count as that day's."""

    zone: ZoneInfo
    cutoff: time | None = None  # None: the whole day counts
    days_off: frozenset[int] = frozenset()  # 0 is Monday
    holidays: frozenset[date] = frozenset()

    def works_on(self, day: date) -> bool:
        return day.weekday() not in self.days_off and day not in self.holidays

    def after(self, began: datetime, days: int) -> datetime:
        """The end of the business day that is `days` after the one `began` counts for, UTC.

        0 is the end of that day itself. ValueError where no day of a year is a working day.
        """
        local = began.astimezone(self.zone)
        day = local.date()
        if self.cutoff is not None and local.time() >= self.cutoff:
            day += _DAY
        day = self._working(day)
        for _ in range(days):
            day = self._working(day + _DAY)
        return datetime.combine(day + _DAY, time(), self.zone).astimezone(UTC)

    def _working(self, day: date) -> date:
        """This day, or the first working day after it."""
        for ahead in range(DAYS_MAX):
            if self.works_on(day + ahead * _DAY):
                return day + ahead * _DAY
        raise ValueError(f"no day of the year after {day} is a working day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What is agreed with one system about one kind of deadline.

    At most one of `hours_s` and `days` is given. Neither: only the deadlines that it states itself.
    """

    calendar: Calendar
    hours_s: float | None = None
    days: int | None = None
    warn_s: float = WARN_S
    policy: Policy = "remind"
    to: str = ""  # who is on it when it is escalated

    def due(self, began: datetime) -> datetime | None:
        """When it is due if it began then; None where nothing is agreed."""
        if self.hours_s is not None:
            return began + timedelta(seconds=self.hours_s)
        if self.days is not None:
            return self.calendar.after(began, self.days)
        return None


@dataclass(frozen=True, slots=True)
class Terms:
    """All of them, by system and kind of deadline."""

    of: dict[tuple[str, str], Term] = field(default_factory=dict)

    def find(self, system: str, kind: str) -> Term:
        return self.of.get((system, kind)) or _SILENT

    @property
    def warn_most_s(self) -> float:
        return max([WARN_S, *(one.warn_s for one in self.of.values())])


_SILENT = Term(calendar=Calendar(zone=ZoneInfo("UTC")))
