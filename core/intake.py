"""Stops 3 and 4: what was kept is understood, then decided, in one transaction.

Rows are taken in the order they arrived. Understanding (`core.understanding`)
happens outside the transaction; deciding runs each row in its own savepoint, so
one poisoned record delays nobody (H26, S7). Readings of a large list are written by
the page (`core.many_readings`). What is not understood is held with a reason a
shopkeeper understands; nothing is dropped (G14).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, update

from core import (
    aliases,
    catalog,
    cursors,
    fulfillment,
    holds,
    inbox,
    many_readings,
    orders,
    readings,
    refunds,
    shipments,
)
from core.clock import Clock, unstamp
from core.crash import crash_point
from core.errors import Hold, InvariantBroken
from core.mapping.book import MappingBook
from core.model import (
    Cancellation,
    Document,
    Listing,
    Order,
    ParcelEvent,
    Price,
    Record,
    Refund,
    Return,
    Shipment,
    StockMovement,
    StockReading,
)
from core.network import Network
from core.seal import Seal
from core.steps import Steps
from core.store.engine import Store
from core.store.schema import inbox as inbox_table
from core.understanding import BUGS, Hears, Understanding, Understood, as_hold
from core.work import Work

#: Rows decided in one transaction at most; one fsync serves them all.
BATCH = 64
#: … and no more than about so much work: until it is done no push can be answered (H46).
DECIDE_S = 0.05
#: A batch that was dear is believed at once, and forgotten by so much with each cheaper one.
FORGET = 0.2
#: Rows that one statement names at most: SQLite takes so many values and no more.
REPLAYED = 10_000

Begin = Callable[[], Work]


class Intake:
    """Turns pending inbox rows into state, claims and commands."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        clock: Clock,
        *,
        network: Callable[[], Network],
        book: MappingBook,
        connectors: Mapping[str, str],
        hears: Mapping[str, Hears],
        batch: int = BATCH,
        page: int = many_readings.PAGE,
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._network = network
        self._batch, self._page = batch, page
        self._row_s = 0.0  # what one row costs, as last measured
        self._turns = deque(["", *sorted(connectors)])
        self._understanding = Understanding(seal, book=book, connectors=connectors, hears=hears)

    def next_due(self) -> datetime | None:
        """Now, if a kept row waits to be decided."""
        with self._store.read() as connection:
            waits = inbox.pending(connection, after=0, limit=1)
        return self._clock.now() if waits else None

    async def run_once(self) -> tuple[int, Outcome]:
        """Take one batch. Returns how many rows it took and what it set in motion."""
        with self._store.read() as connection:
            rows = self._next(connection)
        if not rows:
            return 0, Outcome()
        began = self._clock.monotonic()
        understood = [self._understanding.of(row) for row in rows]
        crash_point("intake.understood")
        spent_s, now = self._clock.monotonic() - began, self._clock.now()
        outcome = await self._store.write(
            lambda connection: self._decide(connection, understood, now)
        )
        crash_point("intake.decided")
        row_s = (spent_s + outcome.spent_s) / len(rows)
        self._row_s = max(row_s, self._row_s + FORGET * (row_s - self._row_s))
        for steps in outcome.steps:
            steps.tell()
        return outcome.rows, outcome

    def _next(self, connection: Connection) -> Sequence[Row[Any]]:
        """A batch of what waits longest; where more waits than that, the systems take turns.

        A flood of one system then delays only itself (G10): the shelf that was counted empty
        is not behind ten thousand orders of a channel, nor they behind a nightly list (H46).
        """
        limit = self._limit()
        rows = inbox.pending(connection, after=0, limit=limit)
        if len(rows) < limit:
            return rows
        return self._page_of(connection, rows, self._whose_turn(connection))

    def _limit(self) -> int:
        """As many rows as can be decided in DECIDE_S; in simulated time they cost nothing."""
        if self._row_s * self._batch <= DECIDE_S:
            return self._batch
        return max(1, int(DECIDE_S / self._row_s))

    def _whose_turn(self, connection: Connection) -> str:
        """The next system of which anything waits; "" is the turn of what waits longest."""
        while True:
            self._turns.rotate(-1)
            system = self._turns[0]
            if not system or inbox.pending_of(connection, system, after=0, limit=1):
                return system

    def _page_of(
        self, connection: Connection, oldest: Sequence[Row[Any]], system: str
    ) -> Sequence[Row[Any]]:
        """A batch of one system, or the oldest; of readings one after another a whole page."""

        def more(after: int, limit: int) -> Sequence[Row[Any]]:
            if system:
                return inbox.pending_of(connection, system, after=after, limit=limit)
            return inbox.pending(connection, after=after, limit=limit)

        limit = len(oldest)
        rows = more(0, limit) if system else oldest
        if many_readings.leading(rows) < limit:
            return rows
        rows = [*rows, *more(rows[-1].seq, self._page - limit)]
        return rows[: many_readings.leading(rows)]

    def decide(self, connection: Connection, seqs: Sequence[int], network: Network) -> None:
        """Decide these rows inside a transaction of somebody else's, who may undo it."""
        rows = inbox.chosen(connection, seqs)
        understood = [self._understanding.of(row) for row in rows]
        self._decide(connection, understood, self._clock.now(), network)

    def _decide(
        self,
        connection: Connection,
        understood: Sequence[Understood],
        now: datetime,
        network: Network | None = None,
    ) -> Outcome:
        outcome, began = Outcome(), self._clock.monotonic()
        begin = partial(Work.begin, connection, network or self._network(), self._seal, now)
        for rows in many_readings.parts(understood):
            if len(rows) > 1:
                self._together(begin, rows, outcome)
            else:
                self._alone(begin, rows[0], outcome)
        outcome.spent_s = self._clock.monotonic() - began
        return outcome

    def _alone(self, begin: Begin, one: Understood, outcome: Outcome) -> Work:
        """One row, in a savepoint of its own."""
        work = begin()
        connection = work.connection
        connection.exec_driver_sql("SAVEPOINT row")
        try:
            if one.hold is not None:
                raise one.hold
            self._apply(work, one, outcome)
            steps = work.finish()
        except (Hold, InvariantBroken, *BUGS) as error:
            connection.exec_driver_sql("ROLLBACK TO row")
            work = begin()
            self._hold(work, one, as_hold(error))
            steps = work.finish()
        connection.exec_driver_sql("RELEASE row")
        crash_point("intake.row_decided", one.row.system)
        outcome.add(work, steps, rows=1)
        return work

    def _together(self, begin: Begin, rows: Sequence[Understood], outcome: Outcome) -> None:
        """A page of readings: as one by one, and asked and written together as far as that goes.

        Rows that are decided alone cost what they always cost, so only a batch of those is
        decided here; the rest of the page stays pending.
        """
        page, alone = many_readings.Page(begin, rows), 0
        for one in rows:
            if page.takes(one):
                continue
            if alone == self._batch:
                break
            self._write(begin, page, outcome)
            page.was_decided(one, self._alone(begin, one, outcome))
            alone += 1
        self._write(begin, page, outcome)

    def _write(self, begin: Begin, page: many_readings.Page, outcome: Outcome) -> None:
        """In one savepoint. What cannot be written together is decided row by row."""
        connection = begin().connection
        connection.exec_driver_sql("SAVEPOINT page")
        try:
            written = page.write()
        except (InvariantBroken, *BUGS):
            connection.exec_driver_sql("ROLLBACK TO page")
            for one in page.give_up():
                self._alone(begin, one, outcome)
        else:
            if written is not None:
                outcome.add(*written)
        connection.exec_driver_sql("RELEASE page")

    def _apply(self, work: Work, one: Understood, outcome: Outcome) -> None:
        ours = [aliases.ours(work.network, one.row.system, record) for record in one.records]
        words = [self._take(work, one, record) for record in ours]
        if one.row.via == inbox.ABSENCE:
            words.append(self._take_absence(work, one.row))
        for hint in one.hints:
            cursors.wish(work.connection, one.row.system, hint.resource, hint.external_id, work.now)
            inbox.meant(work.connection, one.row.seq, hint.resource, hint.external_id)
            outcome.hints += 1
        fulfillment.go_on(work)
        ignored = not one.hints and all(word in ("ignored", "same", "stale") for word in words)
        state = "ignored" if ignored else "applied"
        reason = words[0] if ignored and words else ""
        inbox.settle(
            work.connection, one.row.seq, state, at=work.now, mapping=one.mapping, reason=reason
        )
        holds.close_member(work, "inbox", str(one.row.seq))

    def _take(self, work: Work, one: Understood, record: Record) -> str:
        system = one.row.system
        match record:
            case Order():
                return orders.take_order(work, system, record)
            case StockReading():
                return readings.take_reading(work, system, record, readings.came_of(one.row))
            case StockMovement():
                return readings.take_movement(work, system, record, readings.came_of(one.row))
            case Shipment():
                return shipments.take_shipment(work, system, record)
            case Listing():
                began = unstamp(one.row.read_began_at or one.row.received_at)
                return catalog.take_listing(work, system, record, began, one.row.external_id)
            case Price():
                return catalog.take_price(work, system, record)
            case Refund():
                return refunds.take_refund(work, system, record)
            case Document():
                return catalog.take_document(work, system, record)
            case Cancellation() | Return() | ParcelEvent():
                return catalog.take_fact(work, system, record)

    def _take_absence(self, work: Work, row: Row[Any]) -> str:
        """A complete pass of its owner no longer showed this object."""
        if row.resource == "listing":
            return catalog.take_absence(work, row.system, row.external_id)
        return readings.take_absence(work, row.system, readings.came_of(row))

    def _hold(self, work: Work, one: Understood, hold: Hold) -> None:
        row = one.row
        inbox.settle(
            work.connection,
            row.seq,
            "held",
            at=work.now,
            mapping=one.mapping,
            reason=hold.reason,
        )
        holds.open_hold(
            work,
            cause=hold.cause,
            system=row.system,
            reason=hold.reason,
            next_step=hold.next_step,
            member="inbox",
            ref=str(row.seq),
            label=f"{row.system} {one.about or _said_of(row)}",
        )
        work.steps.add(3, "record.held", system=row.system, cause=hold.cause, inbox=row.seq)


@dataclass(slots=True)
class Outcome:
    """What a batch set in motion, so that the next stops are woken at once."""

    rows: int = 0
    spent_s: float = 0.0
    steps: list[Steps] = field(default_factory=list)
    queued: int = 0
    changed: int = 0
    hints: int = 0

    def add(self, work: Work, steps: Steps, rows: int) -> None:
        """What one unit of deciding has come to."""
        self.rows += rows
        self.steps.append(steps)
        self.queued += work.queued
        self.changed += len(work.changed)


def _said_of(row: Row[Any]) -> str:
    """What a row is called that brings no object anybody could read."""
    return f"{row.resource or row.topic} {row.external_id or f'(inbox {row.seq})'}"


def replay(work: Work, seqs: Sequence[int], *, accepted: bool = False, state: str = "held") -> int:
    """Held rows are pending again, under the mapping in force now.

    `accepted`: a person says that they are true, however unlikely (S38). `state`
    applied: they were decided from already and are again; what is the same stays.
    """
    values: dict[str, Any] = {"state": "pending"} | ({"accepted": 1} if accepted else {})
    return sum(
        work.connection.execute(
            update(inbox_table)
            .where(inbox_table.c.seq.in_(part), inbox_table.c.state == state)
            .values(**values)
        ).rowcount
        for part in (seqs[start : start + REPLAYED] for start in range(0, len(seqs), REPLAYED))
    )
