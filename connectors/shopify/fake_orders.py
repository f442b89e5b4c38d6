"""How a pretended checkout becomes an order with taxes, discounts and shipping that tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopify.fake_shop import Line, Order, ShippingLine, Shop, Tax, tax_on
from core.money import Money

ADDRESS: dict[str, str | None] = {
    "name": "Mara Lind",
    "company": None,
    "address1": "Hafenstrasse 7",
    "address2": None,
    "city": "Hamburg",
    "zip": "20457",
    "provinceCode": None,
    "countryCodeV2": "DE",
    "phone": "+49401234567",
}


def place(
    shop: Shop,
    lines: Sequence[Mapping[str, Any]],
    *,
    paid: bool = True,
    gateway: str = "shopify_payments",
    tax_rate: str = "0.19",
    tax_included: bool = True,
    channel_liable: bool | None = False,
    shipping: str = "0.00",
    shipping_discount: str = "0.00",
    discount: str = "0.00",
    ship_to: Mapping[str, str | None] | None = None,
    email: str = "mara@example.com",
    test: bool = False,
) -> Order:
    """Sell, or raise SoldOut and change nothing. `discount` is spread over the lines."""
    taken = shop.checkout(lines)
    tax = _TaxRule(tax_rate, included=tax_included, channel_liable=channel_liable)
    at = shop.second()
    number = shop.number()
    order = Order(
        number=number,
        name=f"#{1001 + len(shop.orders)}",
        created_at=at,
        updated_at=at,
        currency=shop.currency,
        lines=_lines(shop, lines, Money.parse(discount, shop.currency), tax),
        shipping=_shipping(shop, shipping, shipping_discount, tax),
        tax_included=tax_included,
        financial="PAID" if paid else "PENDING",
        gateways=[gateway],
        ship_to={**ADDRESS, **(ship_to or {})},
        email=email,
        test=test,
    )
    shop.orders[number] = order
    shop.open_fulfillment(order, taken)
    shop.touch(order, "orders/create", *(("orders/paid",) if paid else ()))
    return order


class _TaxRule:
    def __init__(self, rate: str, *, included: bool, channel_liable: bool | None) -> None:
        self._rate = rate
        self._included = included
        self._channel_liable = channel_liable

    def on(self, amount: Money) -> list[Tax]:
        tax = tax_on(amount, self._rate, included=self._included)
        if not tax:
            return []
        title = "VAT" if self._included else "Sales tax"
        return [Tax(title=title, rate=self._rate, amount=tax, channel_liable=self._channel_liable)]


def _lines(
    shop: Shop, rows: Sequence[Mapping[str, Any]], discount: Money, tax: _TaxRule
) -> list[Line]:
    prices = [
        Money.parse(row["price"], shop.currency)
        if "price" in row
        else shop.variants[str(row["sku"])].price
        for row in rows
    ]
    gross = [price * int(row["quantity"]) for row, price in zip(rows, prices, strict=True)]
    shares = discount.allocate([amount.minor for amount in gross])
    return [
        Line(
            number=shop.number(),
            variant=shop.variants[str(row["sku"])],
            quantity=int(row["quantity"]),
            current=int(row["quantity"]),
            price=price,
            discounts=[("WELCOME", share)] if share else [],
            taxes=tax.on(amount - share),
        )
        for row, price, amount, share in zip(rows, prices, gross, shares, strict=True)
    ]


def _shipping(shop: Shop, price: str, discount: str, tax: _TaxRule) -> list[ShippingLine]:
    amount, off = Money.parse(price, shop.currency), Money.parse(discount, shop.currency)
    if not amount:
        return []
    taxes = tax.on(amount - off)
    return [ShippingLine(title="Standard", price=amount, discount=off, taxes=taxes)]
