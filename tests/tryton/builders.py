"""Orders as channels have them, with amounts that add up by the channel's own rule."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.lifecycle import document_total
from core.model import (
    Address,
    BookCreditNote,
    BookInvoice,
    BookOrder,
    BookShipment,
    CancelFulfillment,
    CancelOrder,
    Collector,
    CreditLine,
    Discount,
    FulfillOrder,
    Order,
    OrderLine,
    Payment,
    QuantityLine,
    Tax,
)
from core.money import Money

_NUMBERS = itertools.count(1)
ANN = Address(
    name="Ann Lee",
    street="1 Test Road",
    city="Pune",
    postcode="411001",
    country="IN",
    phone="+9111",
)


def fresh() -> str:
    """An order number no other test of this run has."""
    return f"{os.getpid()}-{next(_NUMBERS)}"


def usd(amount: str) -> Money:
    return Money.parse(amount, "USD")


def gst(
    base: Money, rate: str = "0.18", *, inside: bool = False, by: Collector = Collector.SELLER
) -> Tax:
    """The tax a channel computes for one line, half up."""
    share = Decimal(rate) / (1 + Decimal(rate)) if inside else Decimal(rate)
    amount = Money.rounded(base.amount * share, base.currency)
    return Tax(title="GST", rate=Decimal(rate), amount=amount, collected_by=by)


def a_line(
    sku: str = "SKU-0001",
    quantity: int = 1,
    price: str = "49.90",
    *,
    rate: str | None = "0.18",
    off: str = "",
    inside: bool = False,
    by: Collector = Collector.SELLER,
) -> OrderLine:
    paid = usd(price) * quantity - (usd(off) if off else usd("0"))
    return OrderLine(
        key=f"line-{sku}-{quantity}",
        sku=sku,
        title=f"Thing {sku}",
        quantity=quantity,
        unit_price=usd(price),
        discounts=(Discount(title="SALE", amount=usd(off)),) if off else (),
        taxes=(gst(paid, rate, inside=inside, by=by),) if rate else (),
    )


def an_order(*lines: OrderLine, shipping: str = "", total: str = "", **more: Any) -> Order:
    number = fresh()
    inside = bool(more.get("tax_included"))
    fee = usd(shipping) if shipping else None
    order = Order(
        key=number,
        number=f"#{number}",
        revision="1",
        placed_at=datetime.now(UTC),
        currency="USD",
        total=usd("0"),
        payment=Payment.PAID,
        ship_to=more.pop("ship_to", ANN),
        email=more.pop("email", f"buyer-{number}@example.com"),
        lines=lines,
        shipping_fee=fee,
        shipping_taxes=(gst(fee, inside=inside),) if fee else (),
        **more,
    )
    return replace(order, total=usd(total) if total else document_total(order))


def book_order(order: Order) -> BookOrder:
    return BookOrder(
        reference=f"truecount:shop:{order.key}:book_order:1", channel="shop", order=order
    )


def book_shipment(booked: BookOrder, parcel: int = 1, **units: int) -> BookShipment:
    """`SKU_0001=2`: so many units of that SKU left."""
    key = booked.order.key
    return BookShipment(
        reference=f"truecount:shop:{key}:book_shipment:{parcel}",
        order_reference=booked.reference,
        channel="shop",
        number=booked.order.number,
        shipment=str(parcel),
        shipped_at=datetime.now(UTC),
        carrier="Delhivery",
        tracking=f"TRK-{key}-{parcel}",
        lines=tuple(
            QuantityLine(sku=name.replace("_", "-").removeprefix("x"), quantity=count)
            for name, count in units.items()
        ),
    )


def book_invoice(booked: BookOrder, part: int = 1, total: Money | None = None) -> BookInvoice:
    return BookInvoice(
        reference=f"truecount:shop:{booked.order.key}:book_invoice:{part}",
        order_reference=booked.reference,
        channel="shop",
        number=booked.order.number,
        dated=datetime.now(UTC),
        total=total or booked.order.total,
    )


def credit_note(
    booked: BookOrder, *lines: CreditLine, part: int = 1, shipping: str = "", **more: Any
) -> BookCreditNote:
    """Of the invoice of this order; its total is what the lines come to, unless `total` says it."""
    order = booked.order
    fee = usd(shipping) if shipping else None
    fee_taxes = (gst(fee, inside=order.tax_included),) if fee else ()
    taxes = [tax for line in lines for tax in line.taxes] + list(fee_taxes)
    total = Money.total((line.amount for line in lines), "USD") + (fee or usd("0"))
    if not order.tax_included:
        total += Money.total((tax.amount for tax in taxes), "USD")
    at = datetime.now(UTC)
    words: dict[str, Any] = {"day": at.date().isoformat(), "total": total, **more}
    return BookCreditNote(
        reference=f"truecount:shop:{order.key}:book_credit_note:R{part}",
        order_reference=booked.reference,
        invoice_reference=f"truecount:shop:{order.key}:book_invoice:1",
        channel="shop",
        number=order.number,
        refund=f"R{part}",
        dated=at,
        tax_included=order.tax_included,
        lines=lines,
        shipping=fee,
        shipping_taxes=fee_taxes,
        **words,
    )


def cancel_order(booked: BookOrder, **units: int) -> CancelOrder:
    return CancelOrder(
        reference=f"truecount:shop:{booked.order.key}:cancel_order:1",
        order_reference=booked.reference,
        order=booked.order.key,
        number=booked.order.number,
        lines=tuple(
            QuantityLine(sku=name.replace("_", "-"), quantity=count)
            for name, count in units.items()
        ),
    )


def fulfill_order(**units: int) -> FulfillOrder:
    number = fresh()
    return FulfillOrder(
        reference=f"truecount:shop:{number}:fulfill_order:1",
        channel="shop",
        order=number,
        number=f"#{number}",
        place="WH",
        ship_to=ANN,
        lines=tuple(
            QuantityLine(sku=name.replace("_", "-"), quantity=count)
            for name, count in units.items()
        ),
    )


def cancel_fulfillment(asked: FulfillOrder) -> CancelFulfillment:
    return CancelFulfillment(reference=f"{asked.reference}:stop", target=asked.reference)
