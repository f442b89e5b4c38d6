"""`--plan`: what a verb would send, found by doing it and undoing it.

The verb's own code runs in a transaction of the state it would change, records that it
sets free are decided in it too, and then all of it is rolled back. What it would have
sent is read off in between, so there is nothing beside the verb that could say
something else than the verb does.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from core import writes
from core.app import App
from core.store import schema as s
from core.store.engine import Store, Unit
from core.work import Work
from core.writes import Write

T = TypeVar("T")
#: Records that are decided in one rehearsal; of more the first are.
RECORDS_MAX = 2_000
#: A command in one of these stops its lane until a person has spoken.
_STOPS = ("dead", "planned")


class _Undone(Exception):
    """Ends the transaction without a trace, and brings out what was seen in it."""

    def __init__(self, value: object, seen: Seen) -> None:
        super().__init__("rehearsed")
        self.value = value
        self.seen = seen


@dataclass(slots=True)
class Seen:
    """What a verb would send, and what it would take back."""

    writes: list[Write] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    records: int = 0  # that would be decided again
    left_out: int = 0  # of them not decided in the rehearsal


def app_of(app: App) -> tuple[App, Seen]:
    """An app whose writes are undone, and what they come to. Its network is its own."""
    seen = Seen()
    own = copy.copy(app)
    own.store = _Undoing(app.store, own, seen)  # type: ignore[assignment]  # all a verb asks of it
    return own, seen


class _Undoing:
    """A store in which nothing stays. One verb writes once."""

    def __init__(self, store: Store, app: App, seen: Seen) -> None:
        self._store = store
        self._app = app
        self._seen = seen
        self.read = store.read
        self.snapshot = store.snapshot

    async def write(self, unit: Unit[T], *, single: bool = False) -> T:  # noqa: ARG002
        def rehearse(connection: Connection) -> T:
            before = _Before.of(connection)
            value = unit(connection)
            raise _Undone(value, before.seen(connection, self._app))

        try:
            return await self._store.write(rehearse)
        except _Undone as undone:
            self._seen.writes += undone.seen.writes
            self._seen.taken_back += undone.seen.taken_back
            self._seen.records += undone.seen.records
            self._seen.left_out += undone.seen.left_out
            return undone.value  # type: ignore[return-value]  # it is what the unit returned


@dataclass(frozen=True, slots=True)
class _Before:
    """What was so before the verb: commands that had not ended, records that waited, the feed."""

    states: Mapping[int, str]
    pending: frozenset[int]
    feed: int

    @classmethod
    def of(cls, connection: Connection) -> _Before:
        return cls(_states(connection), frozenset(_pending(connection)), _feed(connection))

    def seen(self, connection: Connection, app: App) -> Seen:
        """Decide what waits now and did not before; then what is different is what leaves."""
        fresh = sorted(set(_pending(connection)) - self.pending)
        app.intake.decide(connection, fresh[:RECORDS_MAX], app.network)
        after = _states(connection)
        moved = {number for number, state in after.items() if self.states.get(number) != state}
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        found, _ = writes.of_commands(connection, app.seal, app.network.plans, moved)
        found += _behind(connection, app, self.states, after)
        changed = _changed(connection, self.feed)
        for channel in app.network.stock_writes:
            found += writes.of_offers(work, channel, changed)[0]
        ended = sorted(set(self.states) - set(after))
        return Seen(
            writes=[_unnumbered(one, self.states) for one in found],
            taken_back=_named(connection, ended),
            records=len(fresh),
            left_out=max(0, len(fresh) - RECORDS_MAX),
        )


def _behind(
    connection: Connection, app: App, before: Mapping[int, str], after: Mapping[int, str]
) -> list[Write]:
    """What waited behind a command that stopped its lane, and does not any more."""
    gone = [n for n, state in before.items() if state in _STOPS and after.get(n) != state]
    lanes = select(s.outbox.c.system, s.outbox.c.lane).where(s.outbox.c.id.in_(gone)).distinct()
    numbers = [
        number
        for lane in connection.execute(lanes).all()
        for number in connection.execute(
            select(s.outbox.c.id).where(
                s.outbox.c.system == lane.system,
                s.outbox.c.lane == lane.lane,
                s.outbox.c.state.not_in(s.ENDED),
            )
        ).scalars()
        if before.get(number) == after[number]
    ]
    return writes.of_commands(connection, app.seal, app.network.plans, numbers)[0]


def _unnumbered(one: Write, before: Mapping[int, str]) -> Write:
    """A command that is undone again has no number anybody could ask for."""
    return one if one.command in before else replace(one, command=None)


def _states(connection: Connection) -> dict[int, str]:
    rows = connection.execute(
        select(s.outbox.c.id, s.outbox.c.state).where(s.outbox.c.state.not_in(s.ENDED))
    )
    return {row.id: row.state for row in rows}


def _pending(connection: Connection) -> list[int]:
    waiting = select(s.inbox.c.seq).where(s.inbox.c.state == "pending")
    return list(connection.execute(waiting).scalars())


def _feed(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(s.feed.c.seq), 0))).scalar_one())


def _changed(connection: Connection, after: int) -> list[str]:
    rows = select(s.feed.c.sku).where(s.feed.c.seq > after).order_by(s.feed.c.seq)
    return list(connection.execute(rows).scalars())


def _named(connection: Connection, numbers: list[int]) -> list[str]:
    rows = connection.execute(
        select(s.outbox.c.id, s.outbox.c.system, s.outbox.c.kind, s.outbox.c.state)
        .where(s.outbox.c.id.in_(numbers))
        .order_by(s.outbox.c.id)
    )
    return [f"{row.kind} to {row.system} (command {row.id}): {row.state}" for row in rows]


def as_json(seen: Seen) -> dict[str, Any]:
    """What a face lays out."""
    return {
        "plan": True,
        "writes": [{name: getattr(one, name) for name in Write.__slots__} for one in seen.writes],
        "taken_back": seen.taken_back,
        "records": seen.records,
        "left_out": seen.left_out,
    }
