"""After a restore: what a state from yesterday must not believe, and what it waits for (G17).

Its decisions give the same keys again and its cursors stand where they stood, so
sweeps bring back what arrived since. What it cannot know is what *we* did since:
numbers we published, commands we sent. So

- no published number counts as known, quotas have no ceiling, all is told again;
- a first send to a system that is only looked up is preceded by a lookup;
- nothing leaves us until every channel and warehouse was read once. Before that
  the stock is yesterday's and the orders of a day have no claims: telling those
  numbers would sell units twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.dialects.sqlite import insert

from core import holds
from core.clock import Clock, stamp
from core.crash import crash_point
from core.network import Network
from core.publish_rows import tell_again
from core.seal import Seal
from core.steps import Steps
from core.store import schema as s
from core.store.engine import Store
from core.work import Work

#: So long after a restore every first send to a system without keys is preceded by a lookup.
LOOK_FIRST = "look_first_until"
LOOK_FIRST_H = 72
#: There while what was restored has not been read anew; its value: when it was taken.
WAITING = "restored_from"
CAUSE = "restored:"
#: Copies that no decision about stock or orders rests on.
NOT_AWAITED = ("price", "document", "refund", "return")


def look_first(connection: Connection, now: datetime) -> None:
    """What looks new to us may be done already."""
    _remember(connection, LOOK_FIRST, stamp(now + timedelta(hours=LOOK_FIRST_H)))


def _remember(connection: Connection, key: str, value: str) -> None:
    statement = insert(s.meta).values(key=key, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["key"], set_={"value": value})
    )


def _recall(connection: Connection, key: str) -> str | None:
    statement = select(s.meta.c.value).where(s.meta.c.key == key)
    return connection.execute(statement).scalar_one_or_none()


def converge(work: Work) -> bool:
    """At start: if this state was put back from a backup, forget what it cannot know. Once."""
    connection = work.connection
    taken_at = _recall(connection, s.BACKUP_TAKEN_AT)
    if taken_at is None:
        return False
    look_first(connection, work.now)
    _read_all_again(connection, work.now)
    _know_no_number(work)
    connection.execute(delete(s.meta).where(s.meta.c.key.in_([s.BACKUP_TAKEN_AT, s.BACKUP_KEY])))
    _remember(connection, WAITING, taken_at)
    holds.open_hold(
        work,
        cause=CAUSE,
        system="",
        reason=f"restored from the backup of {taken_at}: nothing is sent or published until every"
        " channel and warehouse was read completely once",
        next_step="It closes by itself. If one of them does not come back: `truecount accept ID`;"
        " what it sold since the backup is not known then.",
        member="restore",
        ref="state",
        label="the whole state",
    )
    work.steps.add(8, "state.restored", taken_at=taken_at)
    crash_point("restore.converging")
    return True


def _read_all_again(connection: Connection, now: datetime) -> None:
    """From where each sweep stood. A page token of yesterday is worth nothing."""
    connection.execute(
        update(s.cursors).values(
            page=None, due_at=stamp(now), failures=0, complete_began_at=None, complete_at=None
        )
    )
    connection.execute(update(s.outbox).values(lookups=0).where(s.outbox.c.state == "in_doubt"))
    # What was tried in vain when the backup was taken may have been done since.
    connection.execute(
        update(s.outbox)
        .where(
            s.outbox.c.state.in_(["queued", "waiting"]),
            s.outbox.c.safe_by == "lookup",
            s.outbox.c.attempts > 0,
        )
        .values(state="in_doubt", lookups=0, due_at=stamp(now))
    )


def _know_no_number(work: Work) -> None:
    connection = work.connection
    connection.execute(
        update(s.published).values(quantity=None, words="", differs="", corrections=0)
    )
    divided = connection.execute(select(exists().select_from(s.quotas))).scalar_one()
    connection.execute(
        update(s.quotas).values(shown=None, ceiling=None, pending=0, anchor=None, anchor_at=None)
    )
    if divided:  # what their listings show is looked at anew, also where it did not change
        connection.execute(update(s.seen).where(s.seen.c.resource == "listing").values(hash=""))
    rows = connection.execute(
        select(s.listings.c.system, s.listings.c.sku).where(
            s.listings.c.active == 1, s.listings.c.system.in_(list(work.network.stock_writes))
        )
    ).all()
    for system, sku in sorted({(row.system, row.sku) for row in rows}):
        tell_again(connection, system, sku, work.now, "restored")


class Gate:
    """Shut after a restore, until what is awaited was read and decided."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        clock: Clock,
        *,
        network: Callable[[], Network],
        resources: Collection[tuple[str, str]],
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._network = network
        self._awaited = {(of, name) for of, name in resources if name not in NOT_AWAITED}
        self.shut = False

    def look(self) -> None:
        """At start, once the state is open."""
        with self._store.read() as connection:
            self.shut = _recall(connection, WAITING) is not None

    async def opens(self) -> bool:
        """Whether anything may leave us now."""
        if not self.shut:
            return True
        with self._store.read() as connection:
            if _recall(connection, WAITING) is not None and self._waits(connection):
                return False

        def unit(connection: Connection) -> Steps:
            work = Work.begin(connection, self._network(), self._seal, self._clock.now())
            go_on(work)
            crash_point("gate.opening")
            return work.finish()

        (await self._store.write(unit)).tell()
        self.shut = False
        return True

    def _waits(self, connection: Connection) -> bool:
        """For a complete pass over something, or for what it brought to be decided."""
        rows = connection.execute(
            select(s.cursors.c.system, s.cursors.c.resource).where(
                s.cursors.c.complete_began_at.is_not(None)
            )
        ).all()
        if not self._awaited.issubset({(row.system, row.resource) for row in rows}):
            return True
        pending = (s.inbox.c.state == "pending") & (s.inbox.c.via != "hook")
        return bool(connection.execute(select(exists().where(pending))).scalar_one())


def go_on(work: Work) -> None:
    """All was read, or a person says to go on without."""
    if _recall(work.connection, WAITING) is None:
        return
    work.connection.execute(delete(s.meta).where(s.meta.c.key == WAITING))
    holds.close_cause(work, CAUSE, "restore", "state")
    work.steps.add(8, "state.converged")
