"""What a person decides about one order: that it goes on, or that it stops.

Only where the cause of a hold says that a person may (`lifecycle.A_PERSON_MAY`), and
about what it said at that moment: if the total differs by another amount tomorrow, it
is another decision. A stop ends nothing: the order is its channel's, and only the
channel ends it. What we can do is keep it back, ask the warehouse for it, and ask the
channel, once no warehouse has it, to cancel it or to grant its buyer's wish.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from core import (
    cancelling,
    claim_moves,
    commands,
    endings,
    handover,
    holds,
    order_rows,
    taking_back,
)
from core.clock import stamp
from core.lifecycle import A_PERSON_MAY, State, lives
from core.model import CancelReason, Order
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


#: How an order is stopped: kept back, to be cancelled on its channel, or as its buyer wishes.
KEPT, CANCELLED, GRANTED = "operator", "cancelled_by_us", "wish_granted"


def _stops(row: Row[Any]) -> set[str]:
    stops = (KEPT, CANCELLED, GRANTED, handover.LEFT_IN_PART)
    return {holds.late(what, row) for what in stops}


def is_stopped(work: Work, row: Row[Any]) -> bool:
    return not _stops(row).isdisjoint(holds.open_causes(work, "order", str(row.id)))


def is_ending(work: Work, row: Row[Any]) -> bool:
    """A person wants it to end on its channel."""
    ends = {holds.late(CANCELLED, row), holds.late(GRANTED, row)}
    return not ends.isdisjoint(holds.open_causes(work, "order", str(row.id)))


# ------------------------------------------------------------------ it goes on


def release(work: Work, row: Row[Any], *, by: str, reason: str) -> list[str]:
    """What a person may decide about is decided. Returns what was, in words; nothing: [].

    Nothing is, either, while its channel may be hearing that it is to end.
    """
    done: list[str] = []
    causes = holds.open_causes(work, "order", str(row.id))
    if _stops(row) & causes.keys() and not cancelling.recall(work, row):
        return done
    for cause, hold_id in causes.items():
        if cause.startswith(A_PERSON_MAY):
            _waive(work, row, cause, hold_id, by=by, reason=reason)
            done.append(cause)
    for cause in sorted(_stops(row) & causes.keys()):
        _close(work, row, cause)
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
    _decide(work, row, cause, about=about, by=by, reason=reason)


def _decide(work: Work, row: Row[Any], cause: str, *, about: str, by: str, reason: str) -> None:
    words = {"about": about, "by": by, "reason": reason, "at": stamp(work.now)}
    work.connection.execute(
        insert(waivers)
        .values(order_id=row.id, cause=cause, **words)
        .on_conflict_do_update(index_elements=["order_id", "cause"], set_=words)
    )


def _close(work: Work, row: Row[Any], cause: str) -> None:
    """A stop is over, and what was said with it."""
    own = waivers.c
    holds.close_cause(work, cause, "order", str(row.id))
    work.connection.execute(delete(waivers).where(own.order_id == row.id, own.cause == cause))


# ------------------------------------------------------------------ it stops


def stop(
    work: Work,
    row: Row[Any],
    *,
    by: str,
    reason: str,
    what: str = KEPT,
    because: CancelReason = CancelReason.OTHER,
) -> None:
    """It is kept back, and asked back where a warehouse has it. Its units stay claimed: the
    channel still wants them. `because` is what the channel is told; `reason` stays with us."""
    cause = holds.late(what, row)
    _close(work, row, holds.late(KEPT, row))
    said, next_step = _words(work, row, what)
    holds.hold_order(work, row, cause=cause, reason=f"{by} {said}: {reason}", next_step=next_step)
    _decide(work, row, cause, about=because, by=by, reason=reason)
    if what == GRANTED:
        cancelling.wish_is_over(work, row)
    work.steps.add(
        4, "operator.stopped_order", system=row.system, order_id=row.id, by=by, reason=reason,
        what=what,
    )  # fmt: skip
    accepts = commands.key_of(row.system, row.external_id, "accept_order", "1")
    taking_back.take_back(work, row, accepts, f"stopped by {by}")
    if not row.asked:
        order_rows.set_state(work, row, State.HELD)
        _end_on_channel(work, row)
    elif taking_back.take_back(work, row, row.asked, f"stopped by {by}"):
        _nobody_has_it(work, row)
    else:
        endings.ask_for_it_back(work, row, f"stopped: {reason}")


_GO_ON = "Or let it go on: `truecount release ORDER`."


def _words(work: Work, row: Row[Any], what: str) -> tuple[str, str]:
    """What was done, and what now."""
    if what == KEPT:
        return "stopped this order", f"End it: `truecount cancel ORDER`. {_GO_ON}"
    kind = cancelling.ANSWER if what == GRANTED else cancelling.CANCEL
    done = "grants the buyer's wish to cancel" if what == GRANTED else "cancels this order"
    if cancelling.takes(work, row, kind):
        asked = "answered" if what == GRANTED else "asked"
        return done, (
            f"Nothing to do: {row.system} is {asked} once no warehouse has it, and it ends here"
            f" when {row.system} says so. {_GO_ON}"
        )
    return done, (f"Cancel it on {row.system}, which owns the order: it ends here then. {_GO_ON}")


def _end_on_channel(work: Work, row: Row[Any]) -> None:
    """No warehouse has it: its channel is asked to end it, where a person wants that."""
    causes = holds.open_causes(work, "order", str(row.id))
    if holds.late(GRANTED, row) in causes and cancelling.takes(work, row, cancelling.ANSWER):
        left = any(line.consumed for line in order_rows.lines_of(work, row.id))
        cancelling.answer(work, row, granted=not left, shipped=left)
    cause = holds.late(CANCELLED, row)
    if cause in causes and cancelling.takes(work, row, cancelling.CANCEL):
        cancelling.ask(work, row, waived(work, row.id)[cause])


def wish_said(work: Work, row: Row[Any], order: Order) -> bool:
    """The channel says what became of a wish that a person granted. True: it is over and the order
    is not, so the order goes on."""
    cause = holds.late(GRANTED, row)
    if cause not in holds.open_causes(work, "order", str(row.id)):
        return False
    if order.cancelled_at is not None or cancelling.open_wishes(work, row, order):
        return False
    if not cancelling.recall(work, row):
        return False
    _close(work, row, cause)
    return True


def let_go(work: Work, row: Row[Any]) -> bool:
    """The warehouse has let an order be, and its channel still wants it: True, and its units are
    as before it was asked. False: it is over."""
    if row.doc is None or row.state in (State.CANCELLED, State.SHIPPED):
        return False
    if not lives(order_rows.read(work, row)):
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
    _end_on_channel(work, row)


def too_late(work: Work, row: Row[Any], words: str) -> bool:
    """The warehouse does not let a stopped order be: the exception says so. False: nobody
    stopped it."""
    if not is_stopped(work, row):
        return False
    for cause in _stops(row):
        holds.say(work, cause, f"stopped, and the warehouse has it already: {words[:200]}")
    granted = holds.late(GRANTED, row) in holds.open_causes(work, "order", str(row.id))
    if granted and cancelling.takes(work, row, cancelling.ANSWER):
        cancelling.answer(work, row, granted=False, shipped=True)
    return True
