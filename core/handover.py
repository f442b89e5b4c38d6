"""Connecting without fear: what was decided while nothing is sent, and what becomes of it.

While a system is in `mode: plan` every command to it is kept as `planned`, which no
outbox ever sends. Whoever did the work until then goes on doing it, so once the
system is live an order from before may be done already, and no reference of ours says
so. It therefore stays planned until somebody knows: the channel shows that all of it
has left, or a person says `release` (it is ours to do) or `by-hand` (it was done).
Orders placed and captured after that moment are told as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from core import holds
from core.clock import stamp
from core.model import Order
from core.store.hot import Hot
from core.store.schema import handovers, meta, orders, outbox
from core.work import Work

#: One exception for all of them; `advance` does not close it.
CAUSE = f"{holds.LATE}planned"
OURS = "ours"
BY_HAND = "by_hand"
#: Why a person must say what becomes of the rest of an order (core.by_hand, core.by_person).
LEFT_IN_PART = "left_in_part"
PLANNED = "planned"
#: Why a command waits, in `truecount dead`, `trace` and the tables.
WORDS = "nothing is sent: mode is plan"
_PLANS = "plans_since:"
_LIVE = "live_since:"


def begin(work: Work) -> Mapping[str, str]:
    """At start: modes that changed begin or end here. Returns since when systems are live
    that were in plan mode once."""
    marks = _marks(work.connection)
    for system in sorted(work.network.plans):
        if _PLANS + system not in marks:
            _mark(work.connection, _PLANS + system, stamp(work.now))
            _stop_sending(work, system)
            work.steps.add(5, "plan.began", system=system)
    ended = [
        key.removeprefix(_PLANS)
        for key in marks
        if key.startswith(_PLANS) and key.removeprefix(_PLANS) not in work.network.plans
    ]
    for system in ended:
        work.connection.execute(delete(meta).where(meta.c.key == _PLANS + system))
        _mark(work.connection, _LIVE + system, stamp(work.now))
        work.steps.add(5, "plan.ended", system=system)
    since = {
        key.removeprefix(_LIVE): value
        for key, value in _marks(work.connection).items()
        if key.startswith(_LIVE)
    }
    return {system: at for system, at in since.items() if system not in work.network.plans}


def show_all(work: Work) -> None:
    """The exception names whoever has something planned at a system that is live."""
    waiting = select(outbox.c.order_id).where(outbox.c.state == PLANNED).distinct()
    for order_id in work.connection.execute(waiting).scalars().all():
        show(work, order_id)


def _stop_sending(work: Work, system: str) -> None:
    """What waited to be sent is planned from now on; what is in doubt is looked up when live."""
    work.connection.execute(
        update(outbox)
        .where(outbox.c.system == system, outbox.c.state.in_(["queued", "waiting"]))
        .values(state=PLANNED, words=WORDS)
    )


def _marks(connection: Connection) -> dict[str, str]:
    rows = connection.execute(
        select(meta).where(
            meta.c.key.startswith(_PLANS, autoescape=True)
            | meta.c.key.startswith(_LIVE, autoescape=True)
        )
    )
    return {row.key: row.value for row in rows}


def _mark(connection: Connection, key: str, value: str) -> None:
    statement = insert(meta).values(key=key, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["key"], set_={"value": value})
    )


# ------------------------------------------------------------------ one command


def begins_as(work: Work, system: str, order_id: int) -> str:
    """How a new command begins: `queued`, `planned`, or "" where it is not wanted at all."""
    plans, since = system in work.network.plans, work.network.live_since.get(system)
    if not plans and since is None:
        return "queued"
    said = _SAID(work.connection, order_id=order_id).scalar_one_or_none()
    if said == BY_HAND:
        return ""
    if plans:
        return PLANNED
    return "queued" if said == OURS or not _is_from_before(work, order_id, since) else PLANNED


def _is_from_before(work: Work, order_id: int, since: str | None) -> bool:
    """Placed by the channel's clock, captured by ours: the one place where the two meet. A
    daemon that was down at the switch captures late what others may have done, and a doubt
    only asks a person."""
    row = _WHEN(work.connection, order_id=order_id).one()
    return since is not None and min(row.placed_at, row.captured_at) < since


_SAID = Hot(select(handovers.c.how).where(handovers.c.order_id == bindparam("order_id")))
_WHEN = Hot(
    select(orders.c.placed_at, orders.c.captured_at).where(orders.c.id == bindparam("order_id"))
)


# ------------------------------------------------------------------ what is said of an order


def is_open(work: Work, row: Row[Any]) -> bool:
    """Nobody has said of it whose it is, and some system of ours is or was in plan mode."""
    if not work.network.plans and not work.network.live_since:
        return False
    if _SAID(work.connection, order_id=row.id).scalar_one_or_none() is not None:
        return False
    return bool(work.network.plans) or any(
        _is_from_before(work, row.id, since) for since in work.network.live_since.values()
    )


def has_left(order: Order) -> bool:
    """The channel shows every unit as shipped."""
    wanted = [line for line in order.lines if line.shippable and line.quantity]
    return bool(wanted) and all(line.fulfilled >= line.quantity for line in wanted)


def has_begun_to_leave(order: Order) -> bool:
    """The channel shows some unit as shipped."""
    return any(line.fulfilled > 0 for line in order.lines if line.shippable)


def say(work: Work, order_id: int, how: str, *, by: str, reason: str) -> None:
    """From now on it is told like any other, or not at all."""
    statement = insert(handovers).values(
        order_id=order_id, how=how, by=by, reason=reason, at=stamp(work.now)
    )
    work.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["order_id"],
            set_={"how": how, "by": by, "reason": reason, "at": stamp(work.now)},
        )
    )
    work.steps.add(4, f"order.{how}", order_id=order_id, by=by, reason=reason)


def planned_of(work: Work, order_id: int) -> list[Row[Any]]:
    """Its commands that wait for somebody to say so, oldest first."""
    return list(
        work.connection.execute(
            select(outbox)
            .where(outbox.c.order_id == order_id, outbox.c.state == PLANNED)
            .order_by(outbox.c.id)
        )
    )


def send(work: Work, order_id: int) -> int:
    """It is ours: what is planned at live systems is due. A lookup comes first where a system
    has one, for an earlier life of ours may have done it (G17). Returns how many."""
    count = 0
    for row in planned_of(work, order_id):
        if row.system in work.network.plans:
            continue
        looks = row.safe_by in ("lookup", "reference")
        work.connection.execute(
            update(outbox)
            .where(outbox.c.id == row.id)
            .values(
                state="in_doubt" if looks else "queued",
                lookups=0,
                due_at=stamp(work.now),
                words="looking first: from before this system was live" if looks else "",
            )
        )
        count += 1
    show(work, order_id)
    return count


def show(work: Work, order_id: int) -> None:
    """It is a member of the exception while something of it is planned at a live system."""
    waits = any(row.system not in work.network.plans for row in planned_of(work, order_id))
    if not waits:
        holds.close_cause(work, CAUSE, "order", str(order_id))
        return
    row = work.connection.execute(select(orders).where(orders.c.id == order_id)).one()
    holds.hold_order(
        work,
        row,
        cause=CAUSE,
        reason="decided before this was live: somebody may have done it by hand already",
        next_step="Not done yet: `truecount release ORDER`. Done: `truecount by-hand ORDER`."
        " For all of them: --hold ID.",
    )
