"""An order that somebody did by hand while nothing was sent: nobody is told, its units have left.

They are subtracted until the next number of their owner that is read after this moment. It may
have lost them long ago, but nobody has said when, so less is sold meanwhile, never more.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from core import claim_moves, endings, handover, holds, order_rows, stock, taking_back
from core.lifecycle import State
from core.store.schema import claims
from core.work import Work

BY_CHANNEL = "the channel"
_WHY = "the channel shows that all of it has left, and we sent nothing"
_BEFORE = "the channel shows that all of it had left before we first saw it"


def look(work: Work, row: Row[Any]) -> bool:
    """The channel shows that an order from before we were live has left: true, and it is over."""
    if row.doc is None or not handover.is_open(work, row) or order_rows.has_parcel(work, row.id):
        return False  # the channel may show what we told it
    if not handover.has_left(order_rows.read(work, row)):
        return False
    over(work, row, by=BY_CHANNEL, reason=_WHY)
    return True


def first_look(work: Work, row: Row[Any]) -> bool:
    """An order that is new to us and that others have sent already: true, and it is over.

    A channel that is read for the first time shows the orders of weeks, and nobody wants those
    a second time. Of one that left in part a person says what becomes of the rest.
    """
    if look(work, row):
        return True
    if row.doc is None or handover.is_open(work, row) or taking_back.just_restored(work):
        return False  # after a restore it may have been us (G17)
    order = order_rows.read(work, row)
    if handover.has_left(order):
        over(work, row, by=BY_CHANNEL, reason=_BEFORE)
        return True
    if handover.has_begun_to_leave(order):
        order_rows.set_state(work, row, State.HELD)
        holds.hold_order(
            work,
            row,
            cause=holds.late(handover.LEFT_IN_PART, row),
            reason="a part of this order had left before we first saw it",
            next_step="Send what is missing by hand, then `truecount by-hand ORDER`."
            " `truecount release ORDER` sends all of it.",
        )
    return False


def is_left_in_part(work: Work, row: Row[Any]) -> bool:
    cause = holds.late(handover.LEFT_IN_PART, row)
    return cause in holds.open_causes(work, "order", str(row.id))


def over(work: Work, row: Row[Any], *, by: str, reason: str) -> None:
    """Nothing more of it is asked of anybody, and no unit of it is left on the shelf."""
    handover.say(work, row.id, handover.BY_HAND, by=by, reason=reason)
    for command in handover.planned_of(work, row.id):
        taking_back.end(work, command, "discarded", f"done by hand, says {by}: {reason}")
    if row.state in (State.SHIPPED, State.CANCELLED):
        return
    for line in order_rows.lines_of(work, row.id):
        endings.cancel_units(work, line, line.short)
    for sku, location in _units_left(work, row):
        stock.end_claims(work, sku, location)
        work.sku_changed(sku, "by hand")
    holds.close_member(work, "order", str(row.id))
    order_rows.set_state(work, row, State.SHIPPED)
    work.steps.add(7, "order.closed", system=row.system, order_id=row.id, by=by)


def _units_left(work: Work, row: Row[Any]) -> set[tuple[str, str]]:
    rows = work.connection.execute(
        select(claims).where(claims.c.order_id == row.id, claims.c.state == "open")
    ).all()
    for claim in rows:
        marks = claim_moves.marks(work, "shipped", "", claim.location, None, None)
        claim_moves.move(work, claim, "shipped", values=marks, by="hand")
    return {(claim.sku, claim.location) for claim in rows}
