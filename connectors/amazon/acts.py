"""What people do at Amazon, in the one shape simulations use (core.fake.Sells)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.amazon.fake_calls import OPERATIONS
from connectors.amazon.fake_market import SoldOut
from core.fake import Sold

#: What the fake can be for some calls of one operation.
_HABITS = ("html", "lost", "throttle", "down")


class Acts:
    def __init__(self, fake: Any) -> None:
        self._fake = fake

    def offer(self, sku: str) -> None:
        self._fake.list_item(sku, 0)

    async def buy(self, lines: Mapping[str, int], *, paid: bool) -> str | None:
        wanted = [{"sku": sku, "quantity": units} for sku, units in lines.items()]
        try:
            return str(self._fake.place_order(wanted, pending=not paid))
        except SoldOut:
            return None

    async def pay(self, order: str) -> None:
        self._fake.release_pending(order)

    async def cancel(self, order: str) -> bool:
        if self._fake.status(order) not in ("PENDING", "UNSHIPPED"):
            return False
        self._fake.cancel(order)
        return True

    def shown(self) -> Mapping[str, int]:
        market = self._fake.market
        market.settle()
        return {sku: listed.stock.quantity for sku, listed in market.listings.items()}

    def sold(self) -> Sequence[Sold]:
        return [
            Sold(
                id=placed.order,
                lines={line.sku: line.quantity for line in placed.lines},
                cancelled=placed.status == "CANCELLED",
                paid=placed.status != "PENDING",
            )
            for placed in self._fake.market.orders.values()
        ]

    def parcels(self, order: str) -> Sequence[Mapping[str, int]]:
        items = {line.item: line.sku for line in self._fake.market.orders[order].lines}
        found = []
        for package in self._fake.shipments(order):
            units: Counter[str] = Counter()
            for entry in package["packageItems"]:
                units[items[entry["orderItemId"]]] += entry["quantity"]
            found.append(units)
        return found

    async def misbehave(self, rng: random.Random) -> str:
        if rng.random() < 0.3:
            self._fake.expire_tokens()
            return "lets every token expire"
        operation, how = rng.choice(sorted(OPERATIONS)), rng.choice(_HABITS)
        self._fake.misbehave(operation, how, times=rng.randint(1, 3))
        return f"will be {how} at {operation}"

    def behave(self) -> None:
        self._fake.habits.clear()
