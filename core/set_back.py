"""The machine's clock was set back: what we wrote lies in the future, and would silence us.

A sweep due tomorrow, a reading that counts as older than the one before it: for
as long as the clock went back nothing would move, without a word. So every
instant of ours that is still to come becomes now. Nothing of another system's
clock is touched, and nothing that a person said.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Column, ColumnElement, Connection, func, select, update

from core.clock import stamp, unstamp
from core.store import schema as s
from core.work import Work

#: Less than this is the ordinary correction of a clock.
BACK_MIN = timedelta(minutes=1)

#: Instants of our own clock that something is due by or is compared with.
OURS = (
    *(s.cursors.c.began_at, s.cursors.c.due_at, s.cursors.c.full_at),
    *(s.cursors.c.complete_began_at, s.cursors.c.complete_at),
    *(s.fetches.c.asked_at, s.fetches.c.due_at),
    *(s.seen.c.pass_began_at, s.seen.c.missing_since, s.falls.c.pass_began_at),
    *(s.outbox.c.queued_at, s.outbox.c.due_at, s.outbox.c.first_sent_at),
    *(s.stock.c.began_at, s.stock.c.read_at, s.stock.c.confirmed_at, s.stock.c.doubted_at),
    *(s.claims.c.opened_at, s.claims.c.accepted_at, s.claims.c.shipped_seen_at),
    *(s.movements.c.seen_at, s.listings.c.shown_at, s.published.c.acked_at),
    *(s.republish.c.due_at, s.quotas.c.anchor_at, s.quotas.c.back_at, s.quotas.c.known_at),
    *(s.paces.c.at, s.delays.c.at),
    *(s.heard.c.came_at, s.heard.c.pushed_at, s.reports.c.made_at),
)
#: … of what came and is not decided yet: of all else they are history.
OF_WHAT_WAITS = (s.inbox.c.read_began_at, s.inbox.c.seen_at, s.inbox.c.done_at)


def by_how_much(connection: Connection, now: datetime) -> timedelta | None:
    """How far the last sweep that began lies in the future; None: it does not."""
    last = connection.execute(select(func.max(s.cursors.c.began_at))).scalar_one()
    if last is None or unstamp(last) <= now + BACK_MIN:
        return None
    return unstamp(last) - now


def to_now(work: Work) -> bool:
    """Bring back what lies in the future, if the clock was set back. True if it was."""
    back = by_how_much(work.connection, work.now)
    if back is None:
        return False
    now = stamp(work.now)
    for column in OURS:
        _bring_back(work.connection, column, now)
    for column in OF_WHAT_WAITS:
        _bring_back(work.connection, column, now, s.inbox.c.state.in_(["pending", "held"]))
    work.count("clock.set_back")
    work.steps.add(8, "clock.set_back", seconds=round(back.total_seconds()))
    structlog.get_logger().warning(
        "clock.set_back",
        words=f"the clock of this machine is {back} behind what was written here before:"
        " what was due later is due now. If the clock is wrong now, correct it; days of the"
        " report are counted by it",
    )
    return True


def _bring_back(
    connection: Connection, column: Column[str], now: str, *where: ColumnElement[bool]
) -> None:
    connection.execute(update(column.table).where(column > now, *where).values({column.name: now}))
