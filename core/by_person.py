"""What a person decides about one order: that it goes on, or that it stops.

Only where the cause of a hold says that a person may (`lifecycle.A_PERSON_MAY`), and
about what it said at that moment: if the total differs by another amount tomorrow, it
is another decision. A stop cancels nothing: the order is its channel's, and only the
channel ends it. What we can do is keep it back, and ask the warehouse for it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.dialects.sqlite import insert

from core import claim_moves, commands, endings, handover, holds, order_rows, taking_back
from core.clock import stamp
from core.lifecycle import A_PERSON_MAY, State
from core.store.hot import Hot
from core.store.schema import claims, orders, waivers
from core.store.schema import holds as holds_table
from core.work import Work


def waived(work: Work, order_id: int) -> dict[str, str]:
    """{cause: what it said} of what a person has decided about this order."""
    return {row.cause: row.about for row in _WAIVED(work.connection, order_id=order_id)}


_WAIVED = Hot(
    select(waivers.c.cause, waivers.c.about).where(waivers.c.order_id == bindparam("order_id"))
)


def _stop(row: Row[Any]) -> str:
    return holds.late("operator", row)


def _stops(row: Row[Any]) -> set[str]:
    return {_stop(row), holds.late(handover.LEFT_IN_PART, row)}


def is_stopped(work: Work, row: Row[Any]) -> bool:
    return not _stops(row).isdisjoint(holds.open_causes(work, "order", str(row.id)))


# ------------------------------------------------------------------ it goes on


def release(work: Work, row: Row[Any], *, by: str, reason: str) -> list[str]:
    """What a person may decide about is decided. Returns what was, in words; nothing: []."""
    done = []
    causes = holds.open_causes(work, "order", str(row.id))
    for cause, hold_id in causes.items():
        if cause.startswith(A_PERSON_MAY):
            _waive(work, row, cause, hold_id, by=by, reason=reason)
            done.append(cause)
    for cause in sorted(_stops(row) & causes.keys()):
        holds.close_cause(work, cause, "order", str(row.id))
        done.append("the stop")
    if done:
        work.steps.add(
            4, "operator.released", system=row.system, order_id=row.id, by=by, reason=reason,
            causes=", ".join(done),
        )  # fmt: skip
    return done


def take_over(work: Work, row: Row[Any], *, by: str, reason: str) -> bool:
    """What was planned before we were live is ours to do. False: nothing of it is."""
    waits = any(one.system not in work.network.plans for one in handover.planned_of(work, row.id))
    if not waits:
        return False
    handover.say(work, row.id, handover.OURS, by=by, reason=reason)
    handover.send(work, row.id)
    return True


def _waive(work: Work, row: Row[Any], cause: str, hold_id: int, *, by: str, reason: str) -> None:
    # The exception of a payment is shared: what it says of this order is in its reason, too.
    about = work.connection.execute(
        select(holds_table.c.reason).where(holds_table.c.id == hold_id)
    ).scalar_one()
    words = {"about": about, "by": by, "reason": reason, "at": stamp(work.now)}
    work.connection.execute(
        insert(waivers)
        .values(order_id=row.id, cause=cause, **words)
        .on_conflict_do_update(index_elements=["order_id", "cause"], set_=words)
    )


# ------------------------------------------------------------------ it stops


def stop(work: Work, row: Row[Any], *, by: str, reason: str) -> None:
    """It is kept back, and asked back where a warehouse has it. Its units stay claimed: the
    channel still wants them."""
    holds.hold_order(
        work,
        row,
        cause=_stop(row),
        reason=f"{by} stopped this order: {reason}",
        next_step=f"Cancel it on {row.system}, which owns the order: it ends here then. Or let it"
        " go on: `truecount release ORDER`.",
    )
    work.steps.add(
        4, "operator.stopped_order", system=row.system, order_id=row.id, by=by, reason=reason
    )
    accepts = commands.key_of(row.system, row.external_id, "accept_order", "1")
    taking_back.take_back(work, row, accepts, f"stopped by {by}")
    if not row.asked:
        order_rows.set_state(work, row, State.HELD)
    elif taking_back.take_back(work, row, row.asked, f"stopped by {by}"):
        _nobody_has_it(work, row)
    else:
        endings.ask_for_it_back(work, row, f"stopped: {reason}")


def let_go(work: Work, row: Row[Any]) -> bool:
    """The warehouse has let a stopped order be, and its channel still wants it: True, and its
    units are as before it was asked."""
    if not is_stopped(work, row) or row.state in (State.CANCELLED, State.SHIPPED):
        return False
    if row.doc is None or order_rows.read(work, row).cancelled_at is not None:
        return False
    nothing = dict.fromkeys(("accepted_at", "accepted_counter", "accepted_as_of"))
    rows = work.connection.execute(
        select(claims).where(
            claims.c.order_id == row.id,
            claims.c.state == "open",
            claims.c.accepted_at.is_not(None),
        )
    ).all()
    for claim in rows:
        claim_moves.move(work, claim, "given_up", values=nothing)
        work.sku_changed(claim.sku, "given up")
    _nobody_has_it(work, row)
    return True


def _nobody_has_it(work: Work, row: Row[Any]) -> None:
    work.connection.execute(update(orders).where(orders.c.id == row.id).values(asked=""))
    order_rows.set_state(work, row, State.HELD)


def too_late(work: Work, row: Row[Any], words: str) -> bool:
    """The warehouse does not let a stopped order be: the exception says so. False: nobody
    stopped it."""
    if not is_stopped(work, row):
        return False
    holds.say(work, _stop(row), f"stopped, and the warehouse has it already: {words[:200]}")
    return True
