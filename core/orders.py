"""Stop 4, decided: an order arrives, in any revision, any number of times.

One transaction captures it whole, claims its units, and asks the warehouse and
the ledger, or holds it with a reason (`fulfillment.advance`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, insert, update

from core import (
    booking,
    by_hand,
    by_person,
    cancelling,
    commands,
    deadlines,
    edits,
    endings,
    fulfillment,
    lifecycle,
    order_rows,
    quotas,
    stock,
    taking_back,
)
from core.clock import stamp
from core.copies import keep_copy
from core.errors import Hold
from core.lifecycle import State
from core.model import Order
from core.store.schema import orders
from core.work import Work


def take_order(work: Work, system: str, order: Order) -> str:
    """Capture or update one order. Returns what became of it, one word."""
    if not work.network.owners.may_write("order", system, system):
        said = f"{len(order.lines)} lines, {order.total}, {order.payment.value}"
        return keep_copy(work, system, number="order", key=order.key, value=said)
    if order.fulfilled_by_channel:
        work.count("order.fulfilled_by_channel", system)
        return "ignored"
    order = lifecycle.with_shares(order)
    row = order_rows.find(work, system, order.key)
    if row is not None and lifecycle.is_stale(row.revision, order.revision):
        work.count("order.stale", system)
        return "stale"
    _must_be(system, order, row)
    word = _capture(work, system, order) if row is None else _revise(work, row, order)
    commands.order_can_be(work, system, order.key)
    return word


def _must_be(system: str, order: Order, row: Row[Any] | None) -> None:
    """Hold what no order can be, before a number of it is kept."""
    below = next((line for line in order.lines if line.quantity < 0), None)
    if below is not None:
        raise Hold(
            f"{system} says {below.quantity} units of {below.sku} in order {order.number}",
            cause=commands.impossible(system, order.key),
            next_step="Compare the order with the channel and correct its mapping; units that are "
            "taken off are a smaller quantity, and money that goes back is a refund.",
        )
    if row is not None and row.currency != order.currency:
        raise Hold(
            f"{system} says order {order.number} is in {order.currency} now; it was in "
            f"{row.currency}",
            cause=commands.impossible(system, order.key),
            next_step="Map the currency of the books, which never changes; the buyer's is a memo "
            "(`presentment_total`).",
        )


def _capture(work: Work, system: str, order: Order) -> str:
    order_id = work.connection.execute(
        insert(orders)
        .values(
            system=system,
            external_id=order.key,
            state=State.CAPTURED.value,
            captured_at=stamp(work.now),
            **order_rows.columns(work, system, order),
        )
        .returning(orders.c.id)
    ).scalar_one()
    work.touched_orders.add(order_id)
    work.steps.add(
        3,
        "order.captured",
        system=system,
        order_id=order_id,
        order=order.number,
        lines=len(order.lines),
        payment=order.payment.value,
    )
    commands.order_came(work, system, order.key)
    for line in order.lines:
        order_rows.insert_line(work, order_id, line)
    stock.channel_moved(work, system, (line.sku for line in order.lines))
    quotas.heard(work, system, None, order)
    if order.cancelled_at is not None:  # before we ever saw it (H41): nothing is asked
        endings.finish_cancel(work, order_id)
        commands.never_asked(work, system, order.key)
        return "applied"
    if by_hand.first_look(work, order_rows.by_id(work, order_id)):
        return "applied"
    deadlines.order_said(work, order_id, system, order)
    if order.reservable:
        fulfillment.claim_units(work, order_id)
    fulfillment.advance(work, order_id)
    if _wishes(order):
        cancelling.show_wish(work, order_rows.by_id(work, order_id))
    return "applied"


def _revise(work: Work, row: Row[Any], order: Order) -> str:
    """A newer revision: units follow the difference of each line (H42)."""
    columns = order_rows.columns(work, row.system, order)
    if columns["doc_hash"] == row.doc_hash:
        return "same"
    before = order_rows.read(work, row)
    work.connection.execute(update(orders).where(orders.c.id == row.id).values(**columns))
    work.touched_orders.add(row.id)
    work.steps.add(
        3, "order.revised", system=row.system, order_id=row.id, order=order.number,
        payment=order.payment.value,
    )  # fmt: skip
    stock.channel_moved(work, row.system, (line.sku for line in order.lines))
    quotas.heard(work, row.system, before, order)
    deadlines.order_said(work, row.id, row.system, order)
    if order.cancelled_at is not None:
        endings.cancel(work, row, before, order)
    elif row.state in (State.CANCELLED, State.SHIPPED):
        edits.show_difference(work, row, before, order)
        edits.show_money(work, row, order, before)
    elif lifecycle.is_refunded(order):
        endings.cancel(work, row, before, order)
    else:
        if before.cancelled_at is not None or lifecycle.is_refunded(before):
            endings.wanted_again(work, row)
        if by_hand.look(work, order_rows.by_id(work, row.id)):
            return "applied"
        by_person.wish_said(work, row, order)
        taking_back.reopen(work, row)
        row = order_rows.by_id(work, row.id)
        edits.follow_lines(work, row, order)
        if not row.asked or not order_rows.difference(work, row.id, order):
            booking.follow(work, row)
        if row.asked:
            edits.show_difference(work, row, before, order)
            edits.show_address(work, row, before, order)
            edits.follow_given_up(work, row, order)
        elif order.reservable:
            fulfillment.claim_units(work, row.id)
        fulfillment.advance(work, row.id)
    _follow_wish(work, row, before, order)
    return "applied"


# ------------------------------------------------------------------ the buyer's wish


def _wishes(order: Order) -> set[str]:
    return {wish.key for wish in order.cancellations if cancelling.is_wish(wish)}


def _follow_wish(work: Work, row: Row[Any], before: Order, order: Order) -> None:
    """It is shown when it is new, and gone when the channel says so."""
    wishes = _wishes(order)
    if not wishes:
        cancelling.not_asked_any_more(work, row)
    elif wishes - _wishes(before):
        cancelling.show_wish(work, order_rows.by_id(work, row.id))
