"""An order is edited: its lines follow the channel, by the difference of each (H42).

Until the warehouse is asked, the units are ours to raise and to cancel. After
that it ships what it was asked for, and a person settles the difference.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from core import commands, credit_notes, endings, holds, kit_lines, lifecycle, order_rows
from core.codec import from_json
from core.lifecycle import State
from core.model import Address, FulfillOrder, Order, OrderLine
from core.store.schema import lines, outbox, shipments
from core.work import Work


def follow_lines(work: Work, row: Row[Any], order: Order) -> None:
    """Lines follow the channel, as far as their units are still ours.

    What the warehouse was asked for stays claimed until it has spoken: it will ship that,
    whatever the channel says now, and nobody else may be sold it (G7). Nor is more wanted
    of an order while it packs: units claimed then would be asked of nobody. Once it has
    spoken, `shipments` follows again.
    """
    asked = bool(row.asked)
    known = kit_lines.by_line(order_rows.lines_of(work, row.id))
    for line in order.lines:
        rows = known.pop(line.key, [])
        if not rows:
            if not asked:
                order_rows.insert_line(work, row.id, line)
            continue
        for old in rows if asked else _follow_item(work, row, line, rows):
            _follow_quantity(work, old, kit_lines.units(line, old), asked=asked)
    for rows in known.values():  # a removed line wants nothing any more
        for old in rows:
            _follow_quantity(work, old, 0, asked=asked)


def _follow_item(
    work: Work, row: Row[Any], line: OrderLine, rows: list[Row[Any]]
) -> list[Row[Any]]:
    """The rows of a line whose item has another SKU now, or whose kit is made of others (S29).

    Once a warehouse was asked for it the line stays what it was asked for.
    """
    needs = work.network.needs(line.sku)
    if kit_lines.is_made_of(rows, line, needs):
        return rows
    if commands.asked_before(work, row.id, "fulfill_order"):
        return rows
    kit_lines.remake(work, row.id, line, rows, needs)
    return kit_lines.by_line(order_rows.lines_of(work, row.id))[line.key]


def _follow_quantity(work: Work, old: Row[Any], wanted: int, *, asked: bool) -> None:
    """Raise `ordered`, or cancel the difference: short units first, then open claims."""
    more = wanted - (old.ordered - old.cancelled)
    if more < 0:
        endings.cancel_units(work, old, min(-more, old.short) if asked else -more)
    elif more and not asked:
        work.connection.execute(
            update(lines)
            .where(lines.c.id == old.id)
            .values(ordered=lines.c.ordered + more, short=lines.c.short + more)
        )
        work.touched_orders.add(old.order_id)


def follow_given_up(work: Work, row: Row[Any], order: Order) -> None:
    """The warehouse has given the rest up: what the channel wants no more of it is over (S15).

    Whichever of the two is heard last; what the channel still wants stays a person's.
    """
    given_up = holds.late("warehouse_cancelled", row)
    if given_up not in holds.open_causes(work, "order", str(row.id)):
        return
    if lifecycle.wants_nothing(order):
        endings.finish_cancel(work, row.id)
        return
    wanted = lifecycle.wanted(order)
    for old in order_rows.lines_of(work, row.id):
        more = old.ordered - old.cancelled - wanted.get(kit_lines.key_of(old), 0) * old.factor
        if more > 0:
            endings.cancel_units(work, old, more)
    if not order_rows.difference(work, row.id, order):
        settled(work, row)
    endings.close_if_all_left(work, row.id)


def show_difference(work: Work, row: Row[Any], before: Order, order: Order) -> None:
    """The warehouse was asked, or the order has ended: what is different now is a person's.

    A difference the revision before had already is not shown again: somebody has seen it,
    and may have accepted it.
    """
    own = order_rows.lines_of(work, row.id)
    more = order_rows.difference(work, row.id, order, own)
    if not more and not _is_of_others(own, order):
        settled(work, row)
        return
    ended = row.state in (State.CANCELLED, State.SHIPPED)
    if ended and max(more.values(), default=0) <= 0:
        return  # what is wanted no more has left; a return is told as one
    if (lifecycle.wanted(before), _words(before)) == (lifecycle.wanted(order), _words(order)):
        return
    holds.hold_order(work, row, cause=holds.late("edited", row), **(_ENDED if ended else _PACKED))
    work.steps.add(4, "order.edited_too_late", system=row.system, order_id=row.id)


_PACKED = {
    "reason": "the channel changed lines after the order went to the warehouse",
    "next_step": "Ask the warehouse to change its order, or cancel it on the channel.",
}
_ENDED = {
    "reason": "the channel wants more of an order that has ended here",
    "next_step": "Place it on the channel as a new order, or ship it by hand; "
    "then `truecount accept ID`.",
}


def show_address(work: Work, row: Row[Any], before: Order, order: Order) -> None:
    """It is to go elsewhere, and the warehouse was told the old address: a person's (H42).

    An address the revision before had already is not shown again.
    """
    now = lifecycle.goes_to(order.ship_to)
    if now is None or now == lifecycle.goes_to(before.ship_to):
        return
    cause = holds.late("address", row)
    if now == _told(work, row):
        _close(work, row, cause)
        return
    holds.hold_order(
        work,
        row,
        cause=cause,
        reason="the channel changed the address after the order went to the warehouse",
        next_step="Ask the warehouse to change its order, or have it told anew: `truecount cancel "
        "ORDER`, then `truecount release ORDER`. What has left is the courier's to redirect; then "
        "`truecount accept ID`.",
    )
    work.steps.add(4, "order.address_too_late", system=row.system, order_id=row.id)


def told_anew(work: Work, row: Row[Any]) -> None:
    """The warehouse is asked again, so it has the new address. What left before may have gone to
    the old one, and stays a person's."""
    cause = holds.late("address", row)
    if cause not in holds.open_causes(work, "order", str(row.id)):
        return
    left = select(shipments.c.id).where(shipments.c.order_id == row.id).limit(1)
    if work.connection.execute(left).one_or_none() is None:
        _close(work, row, cause)


def _told(work: Work, row: Row[Any]) -> Address | None:
    """Where the warehouse was told to send it; None where that is forgotten."""
    asked = work.connection.execute(
        select(outbox.c.record).where(outbox.c.order_id == row.id, outbox.c.key == row.asked)
    ).scalar_one_or_none()
    if not asked:
        return None
    told = from_json(FulfillOrder, work.seal.open(asked, commands.aad(row.asked)))
    return lifecycle.goes_to(told.ship_to)


def show_money(work: Work, row: Row[Any], order: Order, before: Order | None = None) -> None:
    """An invoiced order costs another amount now, and no refund says why: a person's.

    A channel may lower the total by what it has given back, or leave it as it was sold; both tie.
    Only another total than `before` opens it: a refund may be heard before the total it lowers.
    """
    once = credit_notes.invoiced_total(work, row)
    if once is None:
        return
    cause = holds.late("total", row)
    given = credit_notes.given_back(work, row)
    if order.total in (once, once - given):
        holds.close_cause(work, cause, "order", str(row.id))
        return
    if before is None or before.total == order.total:
        return
    holds.hold_order(
        work,
        row,
        cause=cause,
        reason=f"the channel's total is {order.total} now; {once} was invoiced, and {given} of it "
        "was given back",
        next_step="Give the difference back on the channel, or correct the invoice in the ledger; "
        "then `truecount accept ID`.",
    )


def _is_of_others(own: list[Row[Any]], order: Order) -> bool:
    """A line of the channel is of another item than ours."""
    rows = kit_lines.by_line(own)
    return any(
        (one.kit or one.sku) != line.sku
        for line in order.lines
        for one in rows.get(line.key, ())
        if one.factor
    )


def _words(order: Order) -> dict[str, str]:
    """What the channel calls the item of each line: that an alias has changed is no edit."""
    return {line.key: line.their_sku or line.sku for line in order.lines}


def settled(work: Work, row: Row[Any]) -> None:
    """Channel and lines say the same again: the exception about it closes."""
    _close(work, row, holds.late("edited", row))


def _close(work: Work, row: Row[Any], cause: str) -> None:
    if holds.close_cause(work, cause, "order", str(row.id)):
        work.steps.add(4, "hold.closed", system=row.system, order_id=row.id, cause=cause)
