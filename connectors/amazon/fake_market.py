"""What Amazon itself would know: listings with their own numbers, orders, parcels.

The fake's HTTP face reads and writes this; tests look at it afterwards. Amounts are
integer minor units of US dollars. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from core.fake import World

MARKETPLACE = "ATVPDKIKX0DER"
CENT = 100
_SHIPPING = 499  # once an order, on its first item: Amazon keeps shipping per item
_TAX_PERCENT = 8


class SoldOut(Exception):
    """The checkout refuses to sell beyond the number the listing shows."""


@dataclass(slots=True)
class Stock:
    """One entry of the attribute `fulfillment_availability`, our parcel's channel."""

    quantity: int
    lead_time_to_ship_max_days: int | None = 3


@dataclass(slots=True)
class Listed:
    sku: str
    title: str
    price: int
    created: datetime
    updated: datetime
    stock: Stock
    by_amazon: bool = False  # FBA: Amazon's shelf, no DEFAULT entry, no number of ours


@dataclass(slots=True)
class Write:
    """A patch Amazon has accepted and not yet applied."""

    due: datetime
    sku: str
    op: str
    value: Mapping[str, Any]


@dataclass(slots=True)
class Line:
    item: str
    sku: str
    title: str
    quantity: int
    price: int
    shipping: int
    discount: int = 0
    cancel_reason: str = ""

    @property
    def tax(self) -> tuple[int, int]:
        """On the goods and on the shipping, each rounded half up to the cent."""
        goods = (self.price * self.quantity - self.discount) * _TAX_PERCENT
        return (goods + 50) // CENT, (self.shipping * _TAX_PERCENT + 50) // CENT

    @property
    def total(self) -> int:
        return self.price * self.quantity + self.shipping + sum(self.tax) - self.discount


@dataclass(slots=True)
class Placed:
    order: str
    created: datetime
    updated: datetime
    status: str
    lines: list[Line]
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def shipped(self, item: str, *, without: str = "") -> int:
        """Units of an item in confirmed parcels, one parcel (an edited one) left out."""
        return sum(
            int(entry["quantity"])
            for reference, package in self.packages.items()
            if reference != without
            for entry in package["packageItems"]
            if entry["orderItemId"] == item
        )


class Market:
    """The true state. Every instant is the world's, cut to Amazon's whole seconds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.patch_delay = float(world.settings.get("patch_delay", "1"))
        self.listings: dict[str, Listed] = {}
        self.orders: dict[str, Placed] = {}
        self.queued: list[Write] = []

    def now(self) -> datetime:
        return self.world.now().astimezone(UTC).replace(microsecond=0)

    # ------------------------------------------------------------ listings

    def list_item(
        self, sku: str, quantity: int, *, price: int, title: str, by_amazon: bool
    ) -> None:
        now = self.now()
        self.listings[sku] = Listed(sku, title, price, now, now, Stock(quantity), by_amazon)

    def accept(self, sku: str, op: str, value: Mapping[str, Any]) -> None:
        """Queued, not done: the number changes after the delay (ACCEPTED is not live)."""
        due = self.world.now() + timedelta(seconds=self.patch_delay)
        self.queued.append(Write(due, sku, op, dict(value)))

    def settle(self) -> None:
        """Apply what is due, oldest first; called before every look at a number."""
        now = self.world.now()
        due = [write for write in self.queued if write.due <= now]
        self.queued = [write for write in self.queued if write.due > now]
        for write in due:
            listed = self.listings[write.sku]
            listed.updated, listed.by_amazon = self.now(), False
            if write.op == "replace":
                # The whole attribute is replaced: what the patch left out is gone.
                lead_time = write.value.get("lead_time_to_ship_max_days")
                listed.stock = Stock(int(write.value["quantity"]), lead_time)
            else:
                listed.stock.quantity = int(write.value["quantity"])

    # ------------------------------------------------------------ orders

    def checkout(self, wanted: list[tuple[str, int]], *, pending: bool, discount: int) -> Placed:
        """All lines or none; the listing's own number goes down at once, even while pending."""
        self.settle()
        for sku, quantity in wanted:
            shown = self.listings[sku].stock.quantity if sku in self.listings else 0
            asked = sum(units for other, units in wanted if other == sku)
            if quantity < 1 or asked > shown:
                raise SoldOut(f"{sku}: {asked} wanted, {shown} for sale")
        lines = [self._sell(index, sku, units) for index, (sku, units) in enumerate(wanted)]
        lines[0].discount = discount
        now = self.now()
        status = "PENDING" if pending else "UNSHIPPED"
        placed = Placed(self._order_id(), now, now, status, lines)
        self.orders[placed.order] = placed
        return placed

    def _sell(self, index: int, sku: str, quantity: int) -> Line:
        listed = self.listings[sku]
        listed.stock.quantity -= quantity
        item = "".join(str(self.world.rng.randrange(1, 10)) for _ in range(14))
        shipping = 0 if index else _SHIPPING
        return Line(item, sku, listed.title, quantity, listed.price, shipping)

    def _order_id(self) -> str:
        draw = self.world.rng.randrange
        return f"{draw(100, 999)}-{draw(10**6, 10**7):07}-{draw(10**6, 10**7):07}"

    def touch(self, placed: Placed) -> None:
        placed.updated = self.now()

    def ship(self, placed: Placed, package: dict[str, Any]) -> None:
        """The same reference again replaces the parcel: Amazon calls it an edit."""
        placed.packages[package["packageReferenceId"]] = package
        left = sum(line.quantity - placed.shipped(line.item) for line in placed.lines)
        placed.status = "PARTIALLY_SHIPPED" if left else "SHIPPED"
        self.touch(placed)
