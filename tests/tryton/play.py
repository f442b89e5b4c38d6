"""A season of mixed orders from two channels, and what channel, warehouse and ledger say of it.

    lives = [life_of(chance, n) for n in range(200)]

Each life is a plan that the play follows stage by stage: sold, perhaps paid late, edited, cancelled
by its buyer or by us, packed in one parcel or two, given back in part. Channels and the warehouse
pretend; the ledger is Tryton. What they say is added up here by nobody's code but theirs.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.tryton.people import Bookkeeper

SKUS = ("SKU-0001", "SKU-0002")
PRICES = {"SKU-0001": "49.90", "SKU-0002": "19.99"}
ZERO = Decimal(0)
#: What the ledger has paid for one unit.
COSTS = {"SKU-0001": "20.00", "SKU-0002": "8.00"}
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
    """What one side says of one channel's orders; `taxes`: of each order, by its key there."""

    orders: int = 0
    units: int = 0
    revenue: Decimal = ZERO
    tax: Decimal = ZERO
    receivable: Decimal = ZERO
    taxes: dict[str, Decimal] = field(default_factory=dict)

    def add(self, order: str, *, tax: Decimal, receivable: Decimal, revenue: Decimal) -> None:
        self.revenue += revenue
        self.tax += tax
        self.receivable += receivable
        self.taxes[order] = self.taxes.get(order, ZERO) + tax


def by_channel(channel: Any) -> Said:
    """Sold and kept: orders that are not cancelled, less what was given back."""
    said = Said()
    for order in channel.orders():
        if order["state"] == "cancelled":
            continue
        said.orders += 1
        said.units += sum(line["quantity"] for line in order["lines"])
        tax, total = _tax(order["lines"]), Decimal(order["total"])
        said.add(order["id"], revenue=total - tax, tax=tax, receivable=total)
    for refund in channel.refunds():
        tax, total = _tax(refund["lines"]), Decimal(refund["total"])
        said.add(refund["order"], revenue=tax - total, tax=-tax, receivable=-total)
    return said


def _tax(lines: Iterable[dict[str, Any]]) -> Decimal:
    return sum((Decimal(tax["amount"]) for line in lines for tax in line["tax"]), ZERO)


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


def by_ledger(keeper: Bookkeeper, posted: Iterable[Any], channel: str) -> tuple[Said, Decimal]:
    """Invoices and credit notes as they stand in Tryton's own ledger, and their cost of goods.

    `posted`: the commands, with the numbers that Tryton gave them.
    """
    said, cost = Said(), ZERO
    for row in posted:
        _, system, order, *_ = row.key.split(":")
        if system != channel:
            continue
        said.orders += row.kind == "book_invoice"
        for number in row.reference.split(","):
            sums = keeper.postings(number.strip())
            revenue, tax = -sums.get("revenue", ZERO), -sums.get("tax", ZERO)
            said.add(order, revenue=revenue, tax=tax, receivable=sums.get("receivable", ZERO))
            cost += sums.get("cogs", ZERO)
    said.units = _units_delivered(keeper, channel)
    return said, cost


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
