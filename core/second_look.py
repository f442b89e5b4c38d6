"""What could not be understood is read from its owner once more, and then again later.

A system has bad minutes: a number came as an object, once. The record is held with its
reason, the cursor has passed it, and nothing would ever ask for it again: a parcel that was
read in such a minute kept its order open for ever. So its owner is asked a few times for all
that it said since. What then comes in another form is decided as usual; and whatever the owner
does not say any more is held no longer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, Row, Select, cast, exists, func, select

from core import cursors, holds, inbox
from core.app import App
from core.clock import stamp, unstamp
from core.store.schema import cursors as cursors_table
from core.store.schema import hold_members, seen
from core.store.schema import holds as holds_table
from core.store.schema import inbox as rows
from core.work import Work

#: So long after it was held. A mapping that lacks a word is not helped by asking more often.
AFTER = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
#: Causes of `core.mapping`: a value, a word, a field that is not as the file says.
CAUSE = "mapping:"
#: So many at a time; the rest follows when these are understood.
MOST = 500
AGAIN = "its owner says it otherwise by now"

#: System and resource.
Key = tuple[str, str]


class SecondLook:
    """`look()` may be called as often as one likes. Nothing here outlives a restart: what was
    held within a day is asked for once more then."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._seen_until = app.clock.now() - AFTER[-1]
        self._wanted: dict[Key, str | None] = {}  # passes to be begun at this watermark
        self._begun: dict[Key, datetime] = {}  # … and those that may run since

    async def look(self) -> None:
        now = self._app.clock.now()
        if now < self._seen_until:  # the clock was set back (core.set_back): begin anew
            self._seen_until = now - AFTER[-1]
            self._begun.clear()
        with self._app.store.read() as connection:
            held = connection.execute(_HELD).all()
            over = set(connection.execute(_OVER).scalars()) if held else set()
            ended = self._ended(connection) if self._begun else {}
            over |= _not_said_again(connection, held, ended)
        for row in held:
            if row.seq not in over and self._is_due(row, now):
                self._wanted.setdefault((row.system, row.resource), row.since)
        self._seen_until = now
        for key in ended:
            del self._begun[key]
        if over or self._wanted.keys() - self._begun.keys():
            await self._app.store.write(lambda connection: self._write(connection, over))

    def _is_due(self, row: Row[Any], now: datetime) -> bool:
        """Where every pass shows everything, nobody need ask."""
        system = self._app.config.systems.get(row.system)
        spec = system.manifest.reads.get(row.resource) if system else None
        if spec is None or spec.snapshot:
            return False
        held_at = unstamp(row.done_at)
        return any(self._seen_until < held_at + after <= now for after in AFTER)

    def _ended(self, connection: Connection) -> Mapping[Key, str]:
        """Our passes that came to their end, and when they were begun."""
        found = connection.execute(
            select(
                cursors_table.c.system,
                cursors_table.c.resource,
                cursors_table.c.complete_began_at,
            ).where(cursors_table.c.complete_began_at.is_not(None))
        )
        complete = {(row.system, row.resource): row.complete_began_at for row in found}
        begun = {key: stamp(at) for key, at in self._begun.items()}
        return {key: at for key, at in begun.items() if complete.get(key, "") >= at}

    def _write(self, connection: Connection, over: Collection[int]) -> None:
        app = self._app
        work = Work.begin(connection, app.network, app.seal, app.clock.now())
        for seq in sorted(over):
            inbox.settle(connection, seq, "ignored", at=work.now, reason=AGAIN)
            holds.close_member(work, "inbox", str(seq))
        for key in self._wanted.keys() - self._begun.keys():
            if cursors.go_back(connection, *key, self._wanted[key], work.now):
                self._begun[key] = work.now
                del self._wanted[key]
        work.finish()


def _not_said_again(
    connection: Connection, held: Sequence[Row[Any]], ended: Mapping[Key, str]
) -> set[int]:
    """Those that a pass over all that was said since did not show in this form any more.

    Another pass may have come to its end since ours, and that one saw only the news.
    """
    found = set()
    for row in held:
        began = ended.get((row.system, row.resource))
        if began is None or row.seen_at >= began:
            continue
        # What comes without a revision is compared with what was seen last (core/passes.py).
        last = connection.execute(
            select(seen.c.pass_began_at).where(
                seen.c.system == row.system,
                seen.c.resource == row.resource,
                seen.c.external_id == row.external_id,
            )
        ).scalar_one_or_none()
        if last is None or last < began:
            found.add(row.seq)
    return found


def _held() -> Select[Any]:
    """Rows of the inbox that a mapping did not understand, the oldest first."""
    return (
        select(
            rows.c.seq,
            rows.c.system,
            rows.c.resource,
            rows.c.external_id,
            rows.c.since,
            rows.c.seen_at,
            rows.c.done_at,
        )
        .join(hold_members, cast(hold_members.c.ref, Integer) == rows.c.seq)
        .join(holds_table, holds_table.c.id == hold_members.c.hold_id)
        .where(
            holds_table.c.closed_at.is_(None),
            holds_table.c.cause.startswith(CAUSE),
            hold_members.c.member == "inbox",
            hold_members.c.closed_at.is_(None),
            rows.c.state == "held",
            rows.c.external_id != "",
            rows.c.seen_at.is_not(None),  # kept by a version that did not say so
        )
        .order_by(rows.c.seq)
        .limit(MOST)
    )


def _over() -> Select[Any]:
    """Those whose object came once more and was decided, or is held in its newer form."""
    held, later = _HELD.subquery(), rows.alias()
    # The identity begins with the object's id, so that its index serves (core/inbox.py).
    begins, ends = held.c.external_id + "@", held.c.external_id + func.char(ord("@") + 1)
    return select(held.c.seq).where(
        exists().where(
            later.c.system == held.c.system,
            later.c.topic == held.c.resource,
            later.c.identity >= begins,
            later.c.identity < ends,
            later.c.seq > held.c.seq,
            later.c.state != "pending",
        )
    )


_HELD = _held()
_OVER = _over()
