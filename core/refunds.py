"""Stop 4, decided: a channel says that it gave money back, any number of times, in any order.

Money is the channel's word alone (DESIGN 1): nothing returns to stock by it, and no order ends
by it. What it comes to in the books is `core.credit_notes`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from core import commands, credit_notes, edits, holds, lifecycle, order_rows, returns
from core.copies import keep_copy
from core.credit_notes import OPEN, RefundState
from core.errors import Hold
from core.model import Refund, RequestState
from core.store.schema import refunds
from core.work import Work

_OVER = (RequestState.REFUSED, RequestState.WITHDRAWN)


def take_refund(work: Work, system: str, refund: Refund) -> str:
    """Keep a refund, and credit it if its order is invoiced. Returns what became of it, one word.

    Hold for one of an order that was never captured; it goes on by itself once it is.
    """
    if not work.network.owners.may_write("order", system, system):
        said = f"{refund.total} of {refund.order}"
        return keep_copy(work, system, number="refund", key=refund.key, value=said)
    order = order_rows.find(work, system, refund.order)
    if order is None:
        raise Hold(
            f"{system} refunded {refund.total} of order {refund.order}, which we do not know",
            cause=commands.unknown_order(system, refund.order),
            next_step="It goes on once the order is read. One from before the start is booked by "
            "hand.",
        )
    old = work.connection.execute(
        select(refunds).where(refunds.c.system == system, refunds.c.external_id == refund.key)
    ).one_or_none()
    if old is not None and lifecycle.is_stale(old.revision, refund.revision):
        work.count("refund.stale", system)
        return "stale"
    if old is not None and old.doc_hash == credit_notes.digest(refund):
        return "same"
    row = credit_notes.keep(work, system, refund, order.id, old)
    work.steps.add(
        4, "refund.read", system=system, order_id=order.id, refund=refund.key,
        state=refund.state.value, amount=str(refund.total), number="order", scope=system,
    )  # fmt: skip
    _follow(work, order, row, refund)
    if order.doc is not None:
        edits.show_money(work, order, order_rows.read(work, order))
    returns.look(work, order.id)
    return "applied"


def _follow(work: Work, order: Row[Any], row: Row[Any], refund: Refund) -> None:
    """A refund that was credited already is changed by nobody but a person."""
    if row.state == RefundState.CREDITED:
        holds.open_hold(
            work,
            cause=f"{holds.LATE}refund_changed:{row.system}:{row.external_id}",
            system=row.system,
            reason=f"{row.system} changed refund {row.external_id} of order {order.number} after "
            "its credit note was asked for",
            next_step="Correct the credit note in the ledger; then `truecount accept ID`.",
            member="refund",
            ref=str(row.id),
            label=f"{row.system}:{order.number} refund {row.external_id}",
        )
    elif refund.state is RequestState.COMPLETED:
        credit_notes.owe(work, row)
    elif refund.state in _OVER and row.state in OPEN:
        credit_notes.withdraw(work, row)
