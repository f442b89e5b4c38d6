"""Stop 4, decided: an order arrives, in any revision, any number of times.

One transaction captures it whole, claims its units, and asks the warehouse and
the ledger, or holds it with a reason. `advance` is called whenever something it
waited for may have changed; it is safe to call again.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, literal_column, select, update

from core import commands, holds, ledger, lifecycle, routing, stock
from core.clock import stamp, unstamp
from core.codec import from_json, to_json
from core.lifecycle import State
from core.model import (
    Address,
    BookInvoice,
    BookOrder,
    CancelFulfillment,
    CancelOrder,
    Collector,
    DeadlineKind,
    FulfillOrder,
    Order,
    OrderLine,
    Payment,
    QuantityLine,
    RequestState,
)
from core.money import Money
from core.store.hot import Hot
from core.store.schema import claims, items, lines, orders, shipments
from core.work import Work

#: Causes that arise after the warehouse was asked; a person closes them.
LATE = "late:"
#: A warehouse that keeps reporting stock it cannot find is asked this often, then a person.
ASKS_MAX = 3


def aad(system: str, external_id: str) -> bytes:
    return f"order:{system}:{external_id}".encode()


def take_order(work: Work, system: str, order: Order) -> str:
    """Capture or update one order. Returns what became of it, one word."""
    if order.fulfilled_by_channel:
        work.count("order.fulfilled_by_channel", system)
        return "ignored"
    row = find(work, system, order.key)
    if row is None:
        word = _capture(work, system, order)
    elif lifecycle.is_stale(row.revision, order.revision):
        work.count("order.stale", system)
        return "stale"
    else:
        word = _revise(work, row, order)
    _show_cancel_request(work, system, order)
    return word


def _show_cancel_request(work: Work, system: str, order: Order) -> None:
    """A buyer's wish is a flag: it cancels nothing by itself, and a person decides in time."""
    if not any(wish.state is RequestState.REQUESTED for wish in order.cancellations):
        return
    row = find(work, system, order.key)
    if row is None or row.state in (State.CANCELLED, State.SHIPPED):
        return
    _open(
        work,
        row,
        f"{LATE}cancel_requested:{system}:{order.key}",
        "the buyer asks the channel to cancel this order",
        "Cancel it on the channel before the warehouse ships it, or let it go on.",
    )


def find(work: Work, system: str, external_id: str) -> Row[Any] | None:
    return _FIND(work.connection, system=system, external_id=external_id).one_or_none()


def by_id(work: Work, order_id: int) -> Row[Any]:
    return _BY_ID(work.connection, order_id=order_id).one()


_BY_ID = Hot(select(orders).where(orders.c.id == bindparam("order_id")))
_FIND = Hot(
    select(orders).where(
        orders.c.system == bindparam("system"), orders.c.external_id == bindparam("external_id")
    )
)


def read(work: Work, row: Row[Any]) -> Order:
    return from_json(Order, work.seal.open(row.doc, aad(row.system, row.external_id)))


def without_buyer(order: Order) -> Order:
    """The same order without the person: what stays when retention ends."""
    return replace(order, ship_to=Address(country=order.ship_to.country), email="")


def _columns(work: Work, system: str, order: Order) -> dict[str, Any]:
    doc = to_json(order)
    ship_by = [d.at for d in order.deadlines if d.kind is DeadlineKind.SHIP]
    return {
        "number": order.number,
        "revision": order.revision,
        "payment": order.payment.value,
        "currency": order.currency,
        "total_minor": order.total.minor,
        "channel_tax_minor": lifecycle.tax_total(order, Collector.MARKETPLACE).minor,
        "placed_at": stamp(order.placed_at),
        "changed_at": stamp(work.now),
        "ship_by": stamp(min(ship_by)) if ship_by else None,
        "doc": work.seal.seal(doc, aad(system, order.key)),
        "doc_hash": hashlib.sha256(doc).hexdigest(),
    }


def _capture(work: Work, system: str, order: Order) -> str:
    order_id = work.connection.execute(
        insert(orders)
        .values(
            system=system,
            external_id=order.key,
            state=State.CAPTURED.value,
            captured_at=stamp(work.now),
            **_columns(work, system, order),
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
    for line in order.lines:
        _insert_line(work, order_id, line)
    stock.channel_moved(work, system, (line.sku for line in order.lines))
    if order.cancelled_at is not None:
        _cancel_captured(work, order_id)
        return "applied"
    if order.reservable:
        _allocate(work, order_id)
    advance(work, order_id)
    return "applied"


def _insert_line(work: Work, order_id: int, line: OrderLine) -> None:
    units = line.quantity if line.shippable else 0  # a gift card never reaches a warehouse
    _NEW_LINE(
        work.connection,
        order_id=order_id,
        key=line.key,
        sku=line.sku,
        ordered=units,
        short=units,
        shippable=int(line.shippable),
    )


_NEW_LINE = Hot(
    insert(lines).values(
        {
            name: bindparam(name)
            for name in ("order_id", "key", "sku", "ordered", "short", "shippable")
        }
    )
)
_LINES_OF = Hot(select(lines).where(lines.c.order_id == bindparam("order_id")).order_by(lines.c.id))


def lines_of(work: Work, order_id: int) -> list[Row[Any]]:
    return list(_LINES_OF(work.connection, order_id=order_id))


def _allocate(work: Work, order_id: int) -> None:
    """Claim what is short, at the chosen location or, the first time, at the best one."""
    row = by_id(work, order_id)
    missing = set(work.connection.execute(stock.MISSING).scalars())
    wishes = [
        routing.Wish(line_id=line.id, sku=line.sku, units=line.short)
        for line in lines_of(work, order_id)
        if line.short and line.shippable and line.id not in missing
    ]
    if not wishes:
        return
    places = (row.location,) if row.location else work.network.serving(row.system)
    sellable = stock.sellable_of(work, (wish.sku for wish in wishes), places)
    plan = routing.choose(wishes, sellable, places)
    if plan is None:
        return
    work.connection.execute(
        update(orders).where(orders.c.id == order_id).values(location=plan.location)
    )
    skus = {wish.line_id: wish.sku for wish in wishes}
    for line_id, units in plan.claimed.items():
        stock.open_claim(
            work,
            order_id=order_id,
            line_id=line_id,
            sku=skus[line_id],
            location=plan.location,
            units=units,
        )


def _revise(work: Work, row: Row[Any], order: Order) -> str:
    """A newer revision: units follow the difference of each line (H42)."""
    columns = _columns(work, row.system, order)
    if columns["doc_hash"] == row.doc_hash:
        return "same"
    work.connection.execute(update(orders).where(orders.c.id == row.id).values(**columns))
    work.touched_orders.add(row.id)
    work.steps.add(
        3, "order.revised", system=row.system, order_id=row.id, order=order.number,
        payment=order.payment.value,
    )  # fmt: skip
    stock.channel_moved(work, row.system, (line.sku for line in order.lines))
    if order.cancelled_at is not None:
        _cancel(work, row, order)
        return "applied"
    if row.state in (State.CANCELLED, State.SHIPPED):
        return "applied"
    changed = _follow_lines(work, row, order)
    if changed and row.asked:
        _edited_after_release(work, row)
        return "applied"
    if order.reservable:
        _allocate(work, row.id)
    advance(work, row.id)
    return "applied"


def _follow_lines(work: Work, row: Row[Any], order: Order) -> bool:
    """Lines follow the channel; what the warehouse was asked for stays claimed until it speaks."""
    asked = bool(row.asked)
    known = {line.key: line for line in lines_of(work, row.id)}
    changed = False
    for line in order.lines:
        old = known.pop(line.key, None)
        if old is None:
            _insert_line(work, row.id, line)
            changed = True
        elif line.shippable:
            changed |= _follow_quantity(work, old, line.quantity, asked=asked)
    for old in known.values():  # a removed line wants nothing any more
        changed |= _follow_quantity(work, old, 0, asked=asked)
    return changed


def _follow_quantity(work: Work, old: Row[Any], wanted: int, *, asked: bool) -> bool:
    """Raise `ordered`, or cancel the difference: short units first, then open claims.

    Claims of units the warehouse was asked for stay: it will ship them, whatever the
    channel says now, and nobody else may be sold them (G7). `advance` follows later.
    """
    active = old.ordered - old.cancelled
    if wanted == active:
        return False
    if wanted > active:
        more = wanted - active
        work.connection.execute(
            update(lines)
            .where(lines.c.id == old.id)
            .values(ordered=lines.c.ordered + more, short=lines.c.short + more)
        )
        return True
    less = active - wanted
    cancel_units(work, old, min(less, old.short) if asked else less)
    return True


def cancel_units(work: Work, line: Row[Any], units: int) -> int:
    """Cancel up to `units` that have not left: short ones first. Returns how many."""
    from_short = min(units, line.short)
    held = work.connection.execute(
        select(claims.c.id, claims.c.units)
        .where(claims.c.line_id == line.id, claims.c.state == "open")
        .order_by(claims.c.id.desc())
    ).all()
    drawn = ledger.take(units - from_short, [(row.id, row.units) for row in held])
    for claim_id, part in drawn:
        release_claim(work, claim_id, part)
    released = sum(part for _, part in drawn)
    work.connection.execute(
        update(lines)
        .where(lines.c.id == line.id)
        .values(
            short=lines.c.short - from_short,
            claimed=lines.c.claimed - released,
            cancelled=lines.c.cancelled + from_short + released,
        )
    )
    work.touched_orders.add(line.order_id)
    return int(from_short + released)


def release_claim(work: Work, claim_id: int, units: int) -> None:
    """Give back `units` of an open claim; a part stays claimed as a row of its own."""
    row = work.connection.execute(select(claims).where(claims.c.id == claim_id)).one()
    assert row.state == "open", "only units that have not left can be released"
    assert 0 < units <= row.units
    if units < row.units:
        work.connection.execute(
            update(claims).where(claims.c.id == claim_id).values(units=row.units - units)
        )
        rest = dict(row._mapping) | {"units": units}
        del rest["id"]
        claim_id = work.connection.execute(
            insert(claims).values(rest).returning(claims.c.id)
        ).scalar_one()
    work.connection.execute(
        update(claims)
        .where(claims.c.id == claim_id)
        .values(state="released", ended_at=stamp(work.now), evidence="cancelled before it left")
    )
    work.sku_changed(row.sku, "release")
    work.freed.add((row.sku, row.location))
    work.steps.add(
        4, "claim.released", order_id=row.order_id, sku=row.sku, location=row.location, units=units
    )


# ------------------------------------------------------------------ going on


def advance(work: Work, order_id: int) -> None:
    """Let the order go on if nothing holds it: book it, release it, or say why not."""
    row = by_id(work, order_id)
    if row.state in (State.CANCELLED, State.SHIPPED) or row.doc is None:
        return
    order = read(work, row)
    if not row.asked and order.cancelled_at is None:
        _follow_lines(work, row, order)
    own = lines_of(work, order_id)
    unknown = _unknown_skus(work, own)
    found = lifecycle.blockers(
        order,
        unknown_skus=unknown,
        short_units=sum(line.short for line in own if line.sku not in unknown),
        rounding_limit_minor=work.network.rounding_limit_minor,
    )
    _hold(work, row, found)
    if not any(blocker.books for blocker in found):
        _book(work, row, order)
    if found:
        return
    if not row.asked:
        if not close_if_all_left(work, order_id):
            _release(work, by_id(work, order_id), order, own)
    elif row.state == State.HELD:
        set_state(work, row, State.RELEASED)  # the warehouse has it; nothing holds it any more


def go_on(work: Work) -> None:
    """After the deciding: units given back go to whoever waits, then the touched orders go on."""
    for sku, location in sorted(work.freed):
        stock.claim_shorts(work, sku, location)
    for order_id in sorted(work.touched_orders):
        reconsider(work, order_id)


def reconsider(work: Work, order_id: int) -> None:
    """Stock, an item or an answer changed: claim what is short, then go on."""
    row = by_id(work, order_id)
    if row.state not in (State.CAPTURED, State.HELD):
        return
    if commands.asked_before(work, order_id, "fulfill_order") >= ASKS_MAX:
        keep_short(work, row)
        return
    if read(work, row).reservable:
        _allocate(work, order_id)
    advance(work, order_id)


def keep_short(work: Work, row: Row[Any]) -> None:
    _open(
        work,
        row,
        f"late:short:{row.system}:{row.external_id}",
        "the warehouse was asked several times and could not find all units",
        "Count the item in the warehouse, or cancel on the channel; then `truecount accept ID`.",
    )


def _unknown_skus(work: Work, own: list[Row[Any]]) -> list[str]:
    wanted = {line.sku for line in own if line.shippable and line.ordered > line.cancelled}
    known = work.connection.execute(select(items.c.sku).where(items.c.sku.in_(wanted))).scalars()
    return sorted(wanted - set(known))


def _hold(work: Work, row: Row[Any], found: list[lifecycle.Blocker]) -> None:
    """Open what holds it now, close what no longer does. `late:` causes are a person's."""
    causes = {_cause(row, blocker): blocker for blocker in found}
    already = holds.open_causes(work, "order", str(row.id))
    late = {cause for cause in already if cause.startswith(LATE)}
    for cause in holds.close_member(work, "order", str(row.id), keep=set(causes) | late):
        work.steps.add(4, "hold.closed", system=row.system, order_id=row.id, cause=cause)
    for cause, blocker in causes.items():
        if cause in already:
            continue
        _open(work, row, cause, blocker.reason, blocker.next_step)
        work.steps.add(4, "order.held", system=row.system, order_id=row.id, cause=cause)
    if found:
        set_state(work, row, State.HELD)


def _open(work: Work, row: Row[Any], cause: str, reason: str, next_step: str) -> None:
    holds.open_hold(
        work,
        cause=cause,
        system=row.system,
        reason=reason,
        next_step=next_step,
        member="order",
        ref=str(row.id),
        label=f"{row.system}:{row.number}",
    )


def _cause(row: Row[Any], blocker: lifecycle.Blocker) -> str:
    """Money and stock are each order's own; words and SKUs are shared causes."""
    if blocker.cause in ("total_does_not_tie", "short"):
        return f"{blocker.cause}:{row.system}:{row.external_id}"
    if blocker.cause.startswith("unknown_sku:"):
        return blocker.cause
    return f"{blocker.cause}:{row.system}"


def set_state(work: Work, row: Row[Any], state: State) -> None:
    if row.state == state:
        return
    assert state in lifecycle.NEXT[State(row.state)], f"{row.state} does not become {state}"
    work.connection.execute(
        update(orders)
        .where(orders.c.id == row.id)
        .values(state=state.value, changed_at=stamp(work.now))
    )


def _book(work: Work, row: Row[Any], order: Order) -> None:
    if row.booked:
        return
    key = commands.key_of(row.system, order.key, "book_order", "1")
    for erp in work.network.ledgers:
        if (erp, "book_order") not in work.network.accepts:
            continue
        place = work.network.locations[row.location].at.get(erp, "") if row.location else ""
        record = BookOrder(reference=f"{key}", channel=row.system, order=order, place=place)
        commands.ask(work, erp, "book_order", record, order_id=row.id)
    work.connection.execute(update(orders).where(orders.c.id == row.id).values(booked=key))


def _release(work: Work, row: Row[Any], order: Order, own: list[Row[Any]]) -> None:
    """Ask the warehouse for what is claimed and not yet asked for."""
    units = _open_units(work, row.id)
    if not any(line.shippable and line.ordered > line.cancelled for line in own):
        return  # nothing of it needs a warehouse
    if row.location is None:
        _no_location(work, row)
        return
    if not units:
        return
    location = work.network.locations[row.location]
    revision = 1 + commands.asked_before(work, row.id, "fulfill_order")
    key = commands.key_of(row.system, order.key, "fulfill_order", str(revision))
    record = FulfillOrder(
        reference=key,
        channel=row.system,
        order=order.key,
        number=order.number,
        place=location.at[location.ships],
        ship_to=order.ship_to,
        lines=tuple(
            QuantityLine(line=line.key, sku=line.sku, quantity=units[line.id])
            for line in own
            if line.id in units
        ),
        ship_by=min((d.at for d in order.deadlines if d.kind is DeadlineKind.SHIP), default=None),
        service=order.shipping_service,
        cash_to_collect=order.total if order.payment is Payment.COD else None,
        extras=order.extras,
    )
    commands.ask(work, location.ships, "fulfill_order", record, order_id=row.id)
    work.connection.execute(update(orders).where(orders.c.id == row.id).values(asked=key))
    set_state(work, row, State.RELEASED)
    work.steps.add(
        4, "order.released", system=row.system, order_id=row.id, location=row.location,
        to=location.ships,
    )  # fmt: skip


def _open_units(work: Work, order_id: int) -> dict[int, int]:
    rows = _OPEN_UNITS(work.connection, order_id=order_id)
    return {row.line_id: int(row.units) for row in rows}


_OPEN_UNITS = Hot(
    select(claims.c.line_id, func.sum(claims.c.units).label("units"))
    .where(claims.c.order_id == bindparam("order_id"), claims.c.state == literal_column("'open'"))
    .group_by(claims.c.line_id)
)


def _no_location(work: Work, row: Row[Any]) -> None:
    _open(
        work,
        row,
        f"no_location:{row.system}",
        f"no location serves {row.system}",
        "Add the channel to `serves:` of a location in config.yaml.",
    )


def _edited_after_release(work: Work, row: Row[Any]) -> None:
    _open(
        work,
        row,
        f"late:edited:{row.system}:{row.external_id}",
        "the channel changed lines after the order went to the warehouse",
        "Ask the warehouse to change its order, or cancel it on the channel.",
    )
    work.steps.add(4, "order.held", system=row.system, order_id=row.id, cause="edited")


# ------------------------------------------------------------------ all of it left


def all_left(work: Work, order_id: int) -> bool:
    waiting = work.connection.execute(
        select(func.count()).where(claims.c.order_id == order_id, claims.c.state == "open")
    ).scalar_one()
    return not waiting and not any(line.short for line in lines_of(work, order_id))


def close_if_all_left(work: Work, order_id: int) -> bool:
    """Shipped, and nothing open or short any more: closed, and invoiced once."""
    if not all_left(work, order_id):
        return False
    last = work.connection.execute(
        select(shipments.c.shipped_at)
        .where(shipments.c.order_id == order_id)
        .order_by(shipments.c.parcel.desc())
        .limit(1)
    ).scalar_one_or_none()
    if last is None:
        return False
    row = by_id(work, order_id)
    set_state(work, row, State.SHIPPED)
    edited = f"late:edited:{row.system}:{row.external_id}"
    holds.close_member(work, "order", str(order_id), keep={edited} if _differs(work, row) else ())
    _invoice(work, row, unstamp(last))
    return True


def _differs(work: Work, row: Row[Any]) -> bool:
    """The channel wants other units by now than have left."""
    if row.doc is None:
        return False
    wanted = {line.key: line.quantity for line in read(work, row).lines if line.shippable}
    own = {line.key: line.ordered - line.cancelled for line in lines_of(work, row.id)}
    return any(wanted.get(key, 0) != units for key, units in own.items())


def _invoice(work: Work, row: Row[Any], dated: datetime) -> None:
    for erp in work.network.ledgers:
        if not row.booked or (erp, "book_invoice") not in work.network.accepts:
            continue
        record = BookInvoice(
            reference=commands.key_of(row.system, row.external_id, "book_invoice", "1"),
            order_reference=row.booked,
            channel=row.system,
            number=row.number,
            dated=dated,
            total=Money(row.total_minor, row.currency),
        )
        commands.ask(work, erp, "book_invoice", record, order_id=row.id)


# ------------------------------------------------------------------ cancelled


def _cancel_captured(work: Work, order_id: int) -> None:
    """Cancelled before we ever saw it (H41): captured whole, nothing asked."""
    finish_cancel(work, order_id)


def _cancel(work: Work, row: Row[Any], order: Order) -> None:
    """Before release it is ours to stop; after it, the warehouse decides the race (S15)."""
    if row.state == State.CANCELLED:
        return
    if row.state == State.SHIPPED:
        too_late(work, row)
        return
    if not row.asked:
        finish_cancel(work, row.id)
        return
    location = work.network.locations[row.location]
    key = commands.key_of(row.system, order.key, "cancel_fulfillment", "1")
    record = CancelFulfillment(reference=key, target=row.asked, reason="cancelled on the channel")
    commands.ask(work, location.ships, "cancel_fulfillment", record, order_id=row.id)


def finish_cancel(work: Work, order_id: int) -> None:
    """Nothing more of it will leave: release claims, close holds, tell the ledger."""
    row = by_id(work, order_id)
    if row.state == State.CANCELLED:
        return
    for line in lines_of(work, order_id):
        cancel_units(work, line, line.ordered - line.cancelled - line.consumed)
    holds.close_member(work, "order", str(order_id))
    if any(line.claimed + line.consumed for line in lines_of(work, order_id)):
        set_state(work, row, State.SHIPPED)  # a part has left; its return is expected
        too_late(work, row)
        return
    set_state(work, row, State.CANCELLED)
    work.steps.add(4, "order.cancelled", system=row.system, order_id=order_id)
    if not row.booked:
        return
    key = commands.key_of(row.system, row.external_id, "cancel_order", "1")
    for erp in work.network.ledgers:
        if (erp, "cancel_order") in work.network.accepts:
            record = CancelOrder(
                reference=key,
                order_reference=row.booked,
                order=row.external_id,
                number=row.number,
                reason="cancelled on the channel",
            )
            commands.ask(work, erp, "cancel_order", record, order_id=order_id)


def too_late(work: Work, row: Row[Any]) -> None:
    """The channel cancelled, the goods have left: a person expects a return."""
    _open(
        work,
        row,
        f"late:cancelled:{row.system}:{row.external_id}",
        "the channel cancelled this order, but the warehouse has shipped it",
        "Stop the parcel with the courier, or expect it back as a return.",
    )
    work.steps.add(4, "order.cancelled_too_late", system=row.system, order_id=row.id)
