"""Stop 4, in the books: a sale is booked at capture, and anew when its channel changes it.

A ledger's sale is not edited: what was booked is cancelled there and booked again under the next
key, as long as no parcel of it was told. After that the difference is the reconciliation's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select, update

from core import commands, lifecycle, order_rows
from core.codec import from_json
from core.model import BookOrder, CancelOrder, Order
from core.store.schema import orders, outbox
from core.work import Work

KIND = "book_order"


def book(work: Work, row: Row[Any], order: Order) -> None:
    """Every ledger is asked for it, once; what it holds is remembered by its key."""
    if row.booked:
        return
    revision = str(commands.asked_before(work, row.id, KIND) + 1)
    key = commands.key_of(row.system, order.key, KIND, revision)
    told = False
    for erp in work.network.ledgers:
        if (erp, KIND) not in work.network.accepts:
            continue
        place = work.network.locations[row.location].at.get(erp, "") if row.location else ""
        sold = lifecycle.with_rounding(order)
        record = BookOrder(reference=key, channel=row.system, order=sold, place=place)
        told |= commands.ask(work, erp, KIND, record, order_id=row.id)
    if told:
        work.connection.execute(update(orders).where(orders.c.id == row.id).values(booked=key))


def follow(work: Work, row: Row[Any]) -> None:
    """Cancelled in the ledgers, to be booked anew, if what was booked is not what is sold now."""
    if not row.booked or _is_told_of_parcels(work, row):
        return
    before = _booked(work, row)
    if before is None or _sold(before) == _sold(order_rows.read(work, row)):
        return
    holding = [erp for erp in work.network.ledgers if (erp, KIND) in work.network.accepts]
    if not all((erp, "cancel_order") in work.network.accepts for erp in holding):
        return  # one of them takes no such word: the difference is the reconciliation's
    cancel(work, row, "changed on the channel")
    work.connection.execute(update(orders).where(orders.c.id == row.id).values(booked=""))
    work.steps.add(4, "order.booked_anew", system=row.system, order_id=row.id)


def cancel(work: Work, row: Row[Any], reason: str) -> None:
    """The ledgers are asked to cancel the sale they hold."""
    revision = row.booked.rpartition(":")[2]
    record = CancelOrder(
        reference=commands.key_of(row.system, row.external_id, "cancel_order", revision),
        order_reference=row.booked,
        order=row.external_id,
        number=row.number,
        reason=reason,
    )
    for erp in work.network.ledgers:
        if (erp, "cancel_order") in work.network.accepts:
            commands.ask(work, erp, "cancel_order", record, order_id=row.id)


def _is_told_of_parcels(work: Work, row: Row[Any]) -> bool:
    told = ("book_shipment", "book_invoice")
    own = outbox.c
    return bool(
        work.connection.execute(
            select(func.count())
            .select_from(outbox)
            .where(own.order_id == row.id, own.kind.in_(told), own.state != "taken_back")
        ).scalar_one()
    )


def _booked(work: Work, row: Row[Any]) -> Order | None:
    """As it was booked; None where that is forgotten, or where a ledger refuses it."""
    found = work.connection.execute(
        select(outbox.c.record, outbox.c.state).where(
            outbox.c.order_id == row.id, outbox.c.key == row.booked
        )
    ).all()
    if not found or any(one.state == "dead" or not one.record for one in found):
        return None
    record = work.seal.open(found[0].record, commands.aad(row.booked))
    return from_json(BookOrder, record).order


def _sold(order: Order) -> tuple[Any, ...]:
    """What of an order stands in its books."""
    lines = [
        (one.key, one.sku, one.quantity, one.unit_price, one.discounts, one.taxes)
        for one in order.lines
        if one.quantity
    ]
    return (order.total, lines, order.shipping_fee, order.shipping_discount, order.other_fees,
            order.tip, order.discounts, order.shipping_taxes, order.fee_taxes)  # fmt: skip
