"""An order as it stands now.

Shopify's line has `currentQuantity` (after edits, refunds and cancellations),
but its discounts and taxes still contain the units that are gone, and so does
the shipping line ("including refunded and removed quantities", says the schema).
A document of the remaining units would not tie to its own total. Mappings do
not calculate, so the share that is left is added here, beside Shopify's own
words, under `now`. Nothing of theirs is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.money import Money


def standing(order: dict[str, Any]) -> dict[str, Any]:
    """The same node with `now` on the order and on each line."""
    currency = str(order["currencyCode"])
    lines = [_line(line, currency) for line in order["lineItems"]["nodes"]]
    current = order.get("currentTotalPriceSet") or order["totalPriceSet"]
    return {
        **order,
        "lineItems": {**order["lineItems"], "nodes": lines},
        "now": {"total": current["shopMoney"]["amount"], "shipping": _shipping(order, currency)},
    }


def _line(line: dict[str, Any], currency: str) -> dict[str, Any]:
    part, whole = Decimal(line["currentQuantity"]), Decimal(line["quantity"])
    return {
        **line,
        "now": {
            "discountAllocations": [
                _share(one, "allocatedAmountSet", part, whole, currency)
                for one in line["discountAllocations"]
            ],
            "taxLines": [
                _share(one, "priceSet", part, whole, currency) for one in line["taxLines"]
            ],
        },
    }


def _share(
    fact: Mapping[str, Any], key: str, part: Decimal, whole: Decimal, currency: str
) -> dict[str, Any]:
    """The fact with its amount times part/whole; untouched where nothing is gone."""
    if part == whole or not whole:
        return dict(fact)
    amount = Decimal(fact[key]["shopMoney"]["amount"]) * part / whole
    left = Money.rounded(amount, currency)
    return {**fact, key: {"shopMoney": {"amount": str(left.amount)}}}


def _shipping(order: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """All shipping lines as one fee before discount, one discount, and the taxes left.

    fee - discount is exactly what the buyer still pays for shipping.
    """
    fee, discount = Decimal(0), Decimal(0)
    taxes: list[dict[str, Any]] = []
    for line in order["shippingLines"]["nodes"]:
        original, charged = _amount(line, "originalPriceSet"), _amount(line, "discountedPriceSet")
        still = charged
        if line.get("currentDiscountedPriceSet"):
            still = _amount(line, "currentDiscountedPriceSet")
        fee += original - (charged - still)
        discount += original - charged
        taxes += [_share(tax, "priceSet", still, charged, currency) for tax in line["taxLines"]]
    return {"fee": str(fee), "discount": str(discount), "taxLines": taxes}


def _amount(fact: Mapping[str, Any], key: str) -> Decimal:
    return Decimal(fact[key]["shopMoney"]["amount"])
