"""What people do at Shopee, in the one shape simulations use (core.fake.Sells)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopee.fake_calls import CALLS
from connectors.shopee.fake_shop import SoldOut
from core.fake import Sold

#: What the fake can be for some calls of one kind.
_HABITS = ("html", "lost", "throttle", "ill", "busy", "down", "bare")
_OPEN = frozenset({"UNPAID", "PENDING", "READY_TO_SHIP"})


class Acts:
    def __init__(self, fake: Any) -> None:
        self._fake = fake

    def offer(self, sku: str) -> None:
        self._fake.list_item(sku, 0)

    async def buy(self, lines: Mapping[str, int], *, paid: bool) -> str | None:
        wanted = [{"sku": sku, "quantity": units} for sku, units in lines.items()]
        try:
            return str(self._fake.place_order(wanted, status="READY_TO_SHIP" if paid else "UNPAID"))
        except SoldOut:
            return None

    async def pay(self, order: str) -> None:
        self._fake.pay(order)

    async def cancel(self, order: str) -> bool:
        if self._fake.status(order) not in _OPEN:
            return False
        self._fake.cancel(order)
        return True

    def shown(self) -> Mapping[str, int]:
        return {
            model.sku: model.for_sale
            for item in self._fake.shop.items.values()
            for model in item.models
        }

    def sold(self) -> Sequence[Sold]:
        return [
            Sold(
                id=placed.order,
                lines={line.model.sku: line.active for line in placed.lines},
                cancelled=placed.status == "CANCELLED",
                paid=placed.status not in ("UNPAID", "PENDING"),
            )
            for placed in self._fake.shop.orders.values()
        ]

    def parcels(self, order: str) -> Sequence[Mapping[str, int]]:
        return [one["lines"] for one in self._fake.packages(order) if one["told"]]

    async def misbehave(self, rng: random.Random) -> str:
        if rng.random() < 0.3:
            self._fake.expire_tokens()
            return "lets every token expire"
        call, how = rng.choice(sorted(CALLS)), rng.choice(_HABITS)
        self._fake.misbehave(call, how, times=rng.randint(1, 3))
        return f"will be {how} at {call}"

    def behave(self) -> None:
        self._fake.habits.clear()
