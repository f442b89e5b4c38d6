"""One thing two systems say differently, and what accounts for it.

A difference has a cause out of `core.causes`, keeps its id from day to day until a
fact resolves it, and is taken apart into the events that account for its units and
cents; what they leave open is what alarms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from core.causes import CAUSES, UNEXPLAINED
from core.clock import stamp, unstamp
from core.store import schema as s

#: What happened before is still compared so long: a forgotten invoice does not age away.
LOOK_BACK = timedelta(days=62)
#: Letters of a detail; the longest of them is quoted from a channel.
DETAIL_MAX = 240

Every = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One event and what of a difference it accounts for."""

    cause: str
    what: str  # "parcel P12, book shipment is queued"
    units: int = 0
    minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`units` and `minor`: by how much the copy is above its owner. `cause`: of `core.causes`.

    `expected`: by when what carries it should be there, if anybody knows. `command`: the row of
    the outbox that does. `parts` add up to the whole unless it is unexplained; without any, all
    of it has the one cause.
    """

    what: str
    key: str
    cause: str
    detail: str
    units: int = 0
    minor: int = 0
    currency: str = ""
    since: str = ""  # the instant it began, where a row of ours knows it
    expected: str = ""
    command: int | None = None
    parts: tuple[Part, ...] = ()
    first_seen: str = ""  # by the daemon, in its rounds
    owner: str = ""  # who is on it

    def __post_init__(self) -> None:
        whole = not self.open_units and not self.open_minor
        assert self.kind == UNEXPLAINED or whole, f"{self.cause} does not account for {self.key}"

    @property
    def kind(self) -> str:
        return CAUSES[self.cause].kind

    @property
    def id(self) -> str:
        """The same every day, until a fact resolves it."""
        return "d" + hashlib.sha256(f"{self.what}|{self.key}".encode()).hexdigest()[:10]

    @property
    def open_units(self) -> int:
        """Units no event accounts for."""
        if self.kind != UNEXPLAINED and not self.parts:
            return 0
        return self.units - sum(part.units for part in self.parts)

    @property
    def open_minor(self) -> int:
        if self.kind != UNEXPLAINED and not self.parts:
            return 0
        return self.minor - sum(part.minor for part in self.parts)


@dataclass(frozen=True, slots=True)
class Reads:
    """When the last complete read of each resource began, and what is read at all."""

    began: Mapping[tuple[str, str], datetime]
    every_s: Every

    @classmethod
    def of(cls, connection: Connection, every_s: Every) -> Reads:
        rows = connection.execute(
            select(s.cursors).where(s.cursors.c.complete_began_at.isnot(None))
        )
        return cls({(r.system, r.resource): unstamp(r.complete_began_at) for r in rows}, every_s)

    def after(self, system: str, resource: str, moment: datetime) -> bool:
        """Was it read completely, beginning after this moment?"""
        began = self.began.get((system, resource))
        return began is not None and began > moment

    def does(self, system: str, resource: str) -> bool:
        return (system, resource) in self.every_s

    def next_after(self, system: str, resource: str, moment: datetime) -> str:
        """By when a pass that began after this moment should be there; "" if nobody knows."""
        every_s = self.every_s.get((system, resource))
        return stamp(moment + timedelta(seconds=every_s)) if every_s else ""


# ------------------------------------------------------------------ grace

#: A document the ledger acknowledged may take so long to be found in its own list, until
#: the pair has shown how long it takes.
GRACE = timedelta(hours=3)
#: What was learned is never trusted below or above this.
GRACE_MIN, GRACE_MAX = timedelta(minutes=15), timedelta(hours=24)
#: So many documents teach; of more the newest.
LESSONS_MIN, LESSONS_MAX = 30, 1000


@dataclass(frozen=True, slots=True)
class Grace:
    """How long a ledger takes to show what it acknowledged, learned for each kind of document.

    Half as much again as 99 of 100 took. A difference of two instants of our own clock.
    """

    learned: Mapping[tuple[str, str], timedelta]

    @classmethod
    def of(cls, connection: Connection, now: datetime) -> Grace:
        own, kept = s.outbox.c, s.documents.c
        # A second document of the same reference came by itself: only the first one teaches.
        first = (
            select(kept.system, kept.kind, kept.reference, func.min(kept.first_at).label("at"))
            .where(kept.first_at.isnot(None))
            .group_by(kept.system, kept.kind, kept.reference)
            .subquery("first")
        )
        newest = func.row_number().over(
            partition_by=(first.c.system, first.c.kind), order_by=own.done_at.desc()
        )
        took = (
            select(first.c.system, first.c.kind, own.done_at, first.c.at, newest.label("n"))
            .join(s.outbox, (own.system == first.c.system) & (own.key == first.c.reference))
            .where(own.done_at >= stamp(now - LOOK_BACK))
            .subquery("took")
        )
        seconds: dict[tuple[str, str], list[float]] = {}
        for row in connection.execute(select(took).where(took.c.n <= LESSONS_MAX)):
            lasted = (unstamp(row.at) - unstamp(row.done_at)).total_seconds()
            seconds.setdefault((row.system, row.kind), []).append(max(0.0, lasted))
        return cls({pair: _learned(own) for pair, own in seconds.items()})

    def of_pair(self, ledger: str, document: str) -> timedelta:
        return self.learned.get((ledger, document), GRACE)


def _learned(seconds: list[float]) -> timedelta:
    if len(seconds) < LESSONS_MIN:
        return GRACE
    p99 = sorted(seconds)[(len(seconds) * 99 + 99) // 100 - 1]
    return min(GRACE_MAX, max(GRACE_MIN, timedelta(seconds=1.5 * p99)))
