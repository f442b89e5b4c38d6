"""A season of mixed orders from two channels, and what channel, warehouse and ledger say of it.

    lives = [life_of(chance, n) for n in range(200)]

Each life is a plan that the play follows stage by stage: sold, perhaps paid late, edited, cancelled
by its buyer or by us, packed in one parcel or two, given back in part. Channels and the warehouse
pretend; the ledger is Tryton. What they say is added up here by nobody's code but theirs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.tryton.people import Bookkeeper

SKUS = ("SKU-0001", "SKU-0002")
PRICES = {"SKU-0001": "49.90", "SKU-0002": "19.99"}
#: What happens to an order after it is sold, and how often of twenty.
PLANS = {
    "plain": 4, "two parcels": 2, "pays late": 1, "edited before": 1, "edited after": 3,
    "cancelled before": 1, "cancelled after": 2, "cancelled by us": 1, "asked back": 1,
    "refund of a part": 2, "refund of all": 1, "sent back": 1,
}  # fmt: skip
#: Those that wait for their money at first.
PENDING = ("pays late", "edited before", "cancelled before")


@dataclass(slots=True)
class Life:
    number: int
    plan: str
    channel: str
    units: dict[str, int]
    shipping: str
    order: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"truecount:{self.channel}:{self.order['id']}:"


def life_of(chance: random.Random, number: int) -> Life:
    plan = chance.choices(list(PLANS), list(PLANS.values()))[0]
    units = {sku: chance.randint(1, 3) for sku in SKUS[: chance.randint(1, 2)]}
    if plan in ("two parcels", "edited after", "refund of a part", "sent back"):
        units["SKU-0001"] = chance.randint(2, 4)
    return Life(
        number, plan, chance.choice(("shop", "market")), units, chance.choice(("0.00", "4.50"))
    )


# ------------------------------------------------------------------ what each says


@dataclass(slots=True)
class Said:
    """What one side says of one channel's orders."""

    orders: int = 0
    units: int = 0
    revenue: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    receivable: Decimal = Decimal(0)

    def add(self, *, revenue: Decimal, tax: Decimal, receivable: Decimal) -> None:
        self.revenue += revenue
        self.tax += tax
        self.receivable += receivable

    def less(self, other: Said) -> Said:
        return Said(
            self.orders - other.orders,
            self.units - other.units,
            self.revenue - other.revenue,
            self.tax - other.tax,
            self.receivable - other.receivable,
        )


def by_channel(channel: Any) -> Said:
    """Sold and kept: orders that are not cancelled, less what was given back."""
    said = Said()
    for order in channel.orders():
        if order["state"] == "cancelled":
            continue
        said.orders += 1
        said.units += sum(line["quantity"] for line in order["lines"])
        tax = _tax(line for line in order["lines"])
        total = Decimal(order["total"])
        said.add(revenue=total - tax, tax=tax, receivable=total)
    for refund in channel.refunds():
        tax = _tax(line for line in refund["lines"])
        total = Decimal(refund["total"])
        said.add(revenue=tax - total, tax=-tax, receivable=-total)
    return said


def _tax(lines: Iterable[dict[str, Any]]) -> Decimal:
    return sum((Decimal(tax["amount"]) for line in lines for tax in line["tax"]), Decimal(0))


def by_warehouse(depot: Any, channel: str) -> Said:
    """Orders and units that left."""
    said, seen = Said(), set()
    for parcel in depot.shipments():
        _, system, order, *_ = parcel["reference"].split(":")
        units = sum(line["quantity"] for line in parcel["lines"])
        if system == channel and units:
            seen.add(order)
            said.units += units
    said.orders = len(seen)
    return said


def by_ledger(keeper: Bookkeeper, posted: Iterable[Any], channel: str) -> Said:
    """Invoices and credit notes as they stand in Tryton's own ledger; `posted`: commands with the
    numbers it gave them."""
    said = Said()
    for row in posted:
        if row.key.split(":")[1] != channel:
            continue
        said.orders += row.kind == "book_invoice"
        for number in row.reference.split(","):
            sums = keeper.postings(number.strip())
            said.add(
                revenue=-sums.get("revenue", Decimal(0)),
                tax=-sums.get("tax", Decimal(0)),
                receivable=sums.get("receivable", Decimal(0)),
            )
    said.units = _units_delivered(keeper, channel)
    return said


def _units_delivered(keeper: Bookkeeper, channel: str) -> int:
    moves = keeper.rows(
        "stock.move",
        [
            ["shipment.reference", "like", f"truecount:{channel}:%", "stock.shipment.out"],
            ["to_location.type", "=", "customer"],
            ["state", "=", "done"],
        ],
        ["quantity"],
    )
    return int(sum(move["quantity"] for move in moves))


def cost_of_goods(keeper: Bookkeeper, posted: Iterable[Any]) -> Decimal:
    sums: Counter[str] = Counter()
    for row in posted:
        for number in row.reference.split(","):
            for role, amount in keeper.postings(number.strip()).items():
                sums[role] += amount  # type: ignore[assignment]  # a Counter adds Decimals as well
    return Decimal(sums["cogs"])
