"""Stops 3 and 4: what was kept is understood, then decided, in one transaction.

Rows are taken in the order they arrived. Understanding is pure and happens
outside the transaction; deciding runs each row in its own savepoint, so one
poisoned record delays nobody (H26, S7). What is not understood is held with a
reason a shopkeeper understands; nothing is dropped (G14).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog
from sqlalchemy import Connection, Row, update
from sqlalchemy.dialects.sqlite import insert

from core import catalog, holds, inbox, orders, shipments, stock
from core.clock import Clock, stamp, unstamp
from core.contract import Event, Item, Push
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
    Return,
    Shipment,
    StockReading,
)
from core.money import MoneyError
from core.network import Network
from core.seal import Seal
from core.steps import Steps
from core.store.engine import Store
from core.store.schema import fetches
from core.store.schema import inbox as inbox_table
from core.strict import Malformed, load_json
from core.work import Work

#: Rows decided in one transaction at most; one fsync serves them all.
BATCH = 64
#: What only a bug of ours, or a number beyond all reason, raises: it holds its own record and
#: delays nobody (H26). A state that cannot be written is not among them.
_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class Hears(Protocol):
    """What a system's pushes mean; a connector with `hooks:` in its manifest."""

    def events(self, push: Push) -> Sequence[Event]: ...


@dataclass(slots=True)
class Understood:
    """One inbox row in our words: records to decide on, hints to re-read, or a hold."""

    row: Row[Any]
    records: list[Record] = field(default_factory=list)
    hints: list[Event] = field(default_factory=list)
    mapping: str = ""
    hold: Hold | None = None


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
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._network = network
        self._book = book
        self._connectors = connectors
        self._hears = hears

    async def run_once(self) -> tuple[int, Outcome]:
        """Take one batch. Returns how many rows it took and what it set in motion."""
        with self._store.read() as connection:
            rows = inbox.pending(connection, after=0, limit=BATCH)
        if not rows:
            return 0, Outcome()
        understood = [self._understand(row) for row in rows]
        now = self._clock.now()
        outcome = await self._store.write(
            lambda connection: self._decide(connection, understood, now)
        )
        for steps in outcome.steps:
            steps.tell()
        return len(rows), outcome

    # -------------------------------------------------------------- 3 understood

    def _understand(self, row: Row[Any]) -> Understood:
        result = Understood(row)
        if row.system not in self._connectors:
            result.hold = _left_out(row.system)
            return result
        try:
            body = self._seal.open(row.body, inbox.aad(row.system, row.topic))
            if row.via == "hook":
                self._understand_push(row, body, result)
            else:
                item = Item(
                    external_id=row.external_id, revision=row.revision, body=load_json(body)
                )
                self._understand_item(row.system, row.resource, item, result)
        except Hold as hold:
            result.hold = hold
        except Malformed as error:
            result.hold = Hold(
                f"{row.system} sent something that is not the JSON it should be: {error}",
                cause=f"malformed:{row.system}:{row.topic}",
                next_step="Look at the system; when it is well again, `truecount replay`.",
            )
        except _BUGS as error:
            result.hold = _as_hold(error)
        return result

    def _understand_push(self, row: Row[Any], body: bytes, result: Understood) -> None:
        headers: dict[str, str] = {}
        if row.headers:
            headers = load_json(self._seal.open(row.headers, inbox.aad(row.system, row.topic)))
        hears = self._hears[row.system]
        for event in hears.events(Push(topic=row.topic, headers=headers, body=body)):
            if event.item is None:
                result.hints.append(event)
            else:
                self._understand_item(row.system, event.resource, event.item, result)

    def _understand_item(self, system: str, resource: str, item: Item, result: Understood) -> None:
        mapping = self._book.incoming(self._connectors[system], resource)
        if mapping is None:
            raise Hold(
                f"there is no mapping for {resource} of {system}",
                cause=f"no_mapping:{self._connectors[system]}.{resource}",
                next_step=f"Add mappings/{self._connectors[system]}/{resource}.yaml.",
            )
        result.mapping = self._book.version(self._connectors[system], resource)
        record = mapping.record(item.body, external_id=item.external_id, revision=item.revision)
        if record is not None:
            result.records.append(record)

    # -------------------------------------------------------------- 4 decided

    def _decide(
        self, connection: Connection, understood: Sequence[Understood], now: datetime
    ) -> Outcome:
        outcome = Outcome()
        for one in understood:
            connection.exec_driver_sql("SAVEPOINT row")
            work = Work.begin(connection, self._network(), self._seal, now)
            try:
                if one.hold is not None:
                    raise one.hold
                self._apply(work, one, outcome)
                outcome.steps.append(work.finish())
            except (Hold, InvariantBroken, *_BUGS) as error:
                connection.exec_driver_sql("ROLLBACK TO row")
                work = Work.begin(connection, self._network(), self._seal, now)
                self._hold(work, one, _as_hold(error))
                outcome.steps.append(work.finish())
            connection.exec_driver_sql("RELEASE row")
            outcome.queued += work.queued
            outcome.changed += len(work.changed)
        return outcome

    def _apply(self, work: Work, one: Understood, outcome: Outcome) -> None:
        words = [self._take(work, one, record) for record in one.records]
        for hint in one.hints:
            _wish(work, one.row.system, hint)
            inbox.meant(work.connection, one.row.seq, hint.resource, hint.external_id)
            outcome.hints += 1
        orders.go_on(work)
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
                began = unstamp(one.row.read_began_at or one.row.received_at)
                return stock.take_reading(work, system, record, began, one.row.external_id)
            case Shipment():
                return shipments.take_shipment(work, system, record)
            case Listing():
                began = unstamp(one.row.read_began_at or one.row.received_at)
                return catalog.take_listing(work, system, record, began)
            case Price():
                return catalog.take_price(work, system, record)
            case Document():
                return catalog.take_document(work, system, record)
            case Cancellation() | Return() | ParcelEvent():
                return catalog.take_fact(work, system, one.row.resource, record)

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
            label=f"{row.system} {row.resource or row.topic} {row.external_id}".strip(),
        )
        work.steps.add(3, "record.held", system=row.system, cause=hold.cause, inbox=row.seq)


@dataclass(slots=True)
class Outcome:
    """What a batch set in motion, so that the next stops are woken at once."""

    steps: list[Steps] = field(default_factory=list)
    queued: int = 0
    changed: int = 0
    hints: int = 0


def _as_hold(error: Exception) -> Hold:
    if isinstance(error, Hold):
        return error
    if isinstance(error, MoneyError):
        return Hold(
            f"an amount of this record cannot be: {error}",
            cause="amount",
            next_step="Compare it with the system it came from; correct it there.",
        )
    structlog.get_logger().error("invariant.broken", what=str(error), kind=type(error).__name__)
    return Hold(
        f"this record would break an invariant: {error or type(error).__name__}",
        cause="invariant",
        next_step="This is a bug of Truecount: keep the state folder and report it.",
    )


def _left_out(system: str) -> Hold:
    return Hold(
        f"{system} is no longer in config.yaml, and this came from it",
        cause=f"no_system:{system}",
        next_step="Configure it again and run `truecount replay`, or leave the record held.",
    )


def _wish(work: Work, system: str, hint: Event) -> None:
    """The push was a hint: re-read the object from its owner, newest wish wins."""
    at = stamp(work.now)
    work.connection.execute(
        insert(fetches)
        .values(
            system=system,
            resource=hint.resource,
            external_id=hint.external_id,
            asked_at=at,
            due_at=at,
        )
        .on_conflict_do_update(
            index_elements=["system", "resource", "external_id"],
            set_={"asked_at": at, "due_at": at},
        )
    )


def replay(work: Work, seqs: Sequence[int]) -> int:
    """Held rows are pending again, under the mapping in force now."""
    return work.connection.execute(
        update(inbox_table)
        .where(inbox_table.c.seq.in_(seqs), inbox_table.c.state == "held")
        .values(state="pending")
    ).rowcount
