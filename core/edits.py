"""An order is edited: its lines follow the channel, by the difference of each (H42).

Until the warehouse is asked, the units are ours to raise and to cancel. After
that it is asked to let the order be, and once it has, for the order as it is now;
it may have packed it, and then a person settles the difference (S31).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select, update

from core import commands, credit_notes, endings, holds, kit_lines, lifecycle, order_rows, stock
from core.codec import from_json
from core.lifecycle import State
from core.model import Address, FulfillOrder, Order, OrderLine
from core.store.schema import lines, outbox
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
    if _given_up(row) not in holds.open_causes(work, "order", str(row.id)):
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


def _given_up(row: Row[Any]) -> str:
    return holds.late("warehouse_cancelled", row)


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
    if ended:
        _hold(work, row, "edited", _ENDED)
    elif not (_is_covered(work, row, own, order) and _ask_back(work, row)):
        _hold(work, row, "edited", _PACKED)


def _hold(work: Work, row: Row[Any], what: str, said: tuple[str, str], words: str = "") -> None:
    reason, next_step = said
    if words:
        reason = f"{reason}, which keeps it as it was: {words[:200]}"
    cause = holds.late(what, row)
    holds.hold_order(work, row, cause=cause, reason=reason, next_step=next_step)
    work.steps.add(4, f"order.{what}_too_late", system=row.system, order_id=row.id)


def _ask_back(work: Work, row: Row[Any]) -> bool:
    """The warehouse is asked to let it be. False: it was, and keeps it."""
    if _given_up(row) in holds.open_causes(work, "order", str(row.id)):
        return True  # it lets it be already
    before = endings.asked_back(work, row, row.asked)
    if not before:
        endings.ask_for_it_back(work, row, "changed on the channel")
        work.steps.add(4, "order.asked_back", system=row.system, order_id=row.id)
    return before not in ("dead", "discarded")


def _is_covered(work: Work, row: Row[Any], own: list[Row[Any]], order: Order) -> bool:
    """Whether there is stock for what it has more now: what can ship does not wait for more."""
    wanted, known = lifecycle.wanted(order), kit_lines.by_line(own)
    more: dict[str, int] = {}
    for line in order.lines:
        rows = known.get(line.key)
        if rows is None or not kit_lines.is_made_of(rows, line, work.network.needs(line.sku)):
            needs = work.network.needs(line.sku)
            units = {sku: n * wanted.get(line.key, 0) for sku, n in needs.items()}
        else:
            units = {
                old.sku: kit_lines.units(line, old) - (old.ordered - old.cancelled) for old in rows
            }
        for sku, n in units.items():
            more[sku] = more.get(sku, 0) + n
    short = {sku: n for sku, n in more.items() if n > 0}
    free = stock.sellable_of(work, short, (row.location,))
    return all(free[sku, row.location] >= n for sku, n in short.items())


def kept(work: Work, row: Row[Any], words: str) -> None:
    """The warehouse does not let it be: what it ships is not what the channel wants now."""
    order = order_rows.read(work, row)
    own = order_rows.lines_of(work, row.id)
    more = order_rows.difference(work, row.id, order, own)
    if row.state == State.SHIPPED:
        _show_what_left(work, row, more)
    elif more or _is_of_others(own, order):
        _hold(work, row, "edited", _PACKED, words)
    if _goes_elsewhere(work, row, order, row.asked):
        _hold(work, row, "address", _ELSEWHERE, words)


#: What is said, and what now.
_PACKED = (
    "the channel changed lines after the order went to the warehouse",
    "Ask the warehouse to change its order, or cancel it on the channel.",
)
_ENDED = (
    "the channel wants more of an order that has ended here",
    "Place it on the channel as a new order, or ship it by hand; then `truecount accept ID`.",
)
_GONE = (
    "units have left that the channel has taken off the order since",
    "Stop the parcel with the courier, or expect it back as a return; then `truecount accept ID`.",
)
_ELSEWHERE = (
    "the channel changed the address after the order went to the warehouse",
    "Ask the warehouse to change its order. What has left is the courier's to redirect; then"
    " `truecount accept ID`.",
)


def show_address(work: Work, row: Row[Any], before: Order, order: Order) -> None:
    """It is to go elsewhere, and the warehouse was told the old address (H42): it is asked to let
    it be. What has left before is a person's.

    An address the revision before had already is not shown again.
    """
    now = lifecycle.goes_to(order.ship_to)
    if now is None or now == lifecycle.goes_to(before.ship_to):
        return
    if now == _told(work, row, row.asked):
        _close(work, row, holds.late("address", row))
    elif not _ask_back(work, row) or order_rows.has_parcel(work, row.id):
        _hold(work, row, "address", _ELSEWHERE)


def let_go(work: Work, row: Row[Any], asked: str) -> None:
    """The warehouse lets be what it was `asked`: the lines follow, and what left meanwhile, to an
    old address or wanted no more, is a person's."""
    order = order_rows.read(work, row)
    follow_lines(work, row, order)
    if not order_rows.has_parcel(work, row.id):
        return
    _show_what_left(work, row, order_rows.difference(work, row.id, order))
    if _goes_elsewhere(work, row, order, asked):
        _hold(work, row, "address", _ELSEWHERE)


def _show_what_left(work: Work, row: Row[Any], more: Mapping[str, int]) -> None:
    """By how many units the channel wants more, or fewer, than have left and are still to leave."""
    if row.state == State.SHIPPED and max(more.values(), default=0) > 0:
        _hold(work, row, "edited", _ENDED)
    elif min(more.values(), default=0) < 0:
        _hold(work, row, "edited", _GONE)


def _goes_elsewhere(work: Work, row: Row[Any], order: Order, asked: str) -> bool:
    now, told = lifecycle.goes_to(order.ship_to), _told(work, row, asked)
    return now is not None and told is not None and now != told


def told_anew(work: Work, row: Row[Any]) -> None:
    """The warehouse is asked again, so it has the new address. What left before may have gone to
    the old one, and stays a person's."""
    cause = holds.late("address", row)
    if cause not in holds.open_causes(work, "order", str(row.id)):
        return
    if not order_rows.has_parcel(work, row.id):
        _close(work, row, cause)


def _told(work: Work, row: Row[Any], asked: str) -> Address | None:
    """Where the warehouse was told to send it; None where that is forgotten."""
    record = work.connection.execute(
        select(outbox.c.record).where(outbox.c.order_id == row.id, outbox.c.key == asked)
    ).scalar_one_or_none()
    if not record:
        return None
    told = from_json(FulfillOrder, work.seal.open(record, commands.aad(asked)))
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
