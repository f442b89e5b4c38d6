"""What people do in the shop, in the one shape simulations use (core.fake.Sells)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopify.fake_shop import SoldOut
from connectors.shopify.fake_views import gid
from core.fake import Sold


class Acts:
    def __init__(self, fake: Any) -> None:
        self._fake = fake

    def offer(self, sku: str) -> None:
        self._fake.add_product(sku, price="10.00")

    async def buy(self, lines: Mapping[str, int], *, paid: bool) -> str | None:
        wanted = [{"sku": sku, "quantity": units} for sku, units in lines.items()]
        try:
            order = self._fake.place_order(wanted, paid=paid)
        except SoldOut:
            return None
        return str(order["id"])

    async def pay(self, order: str) -> None:
        self._fake.pay(order)

    async def cancel(self, order: str) -> bool:
        """Nothing goes back on sale by itself: the staff unticks "restock"."""
        found = self._fake.shop.find(order)
        if found.fulfillments or found.cancelled_at:
            return False
        self._fake.cancel_order(order, restock=False)
        return True

    def shown(self) -> Mapping[str, int]:
        return {
            sku: sum(level.available for level in variant.levels.values())
            for sku, variant in self._fake.shop.variants.items()
        }

    def sold(self) -> Sequence[Sold]:
        return [
            Sold(
                id=gid("Order", order.number),
                lines={line.variant.sku: line.current for line in order.lines},
                cancelled=order.cancelled_at is not None,
                paid=order.financial == "PAID",
            )
            for order in self._fake.shop.orders.values()
        ]

    def parcels(self, order: str) -> Sequence[Mapping[str, int]]:
        return [one["lines"] for one in self._fake.fulfillments(order)]

    async def misbehave(self, rng: random.Random) -> str:
        match rng.randrange(5):
            case 0:
                seconds = rng.uniform(1, 120)
                self._fake.lag_search(seconds)
                return f"has a search that is {seconds:.0f} s behind"
            case 1:
                self._fake.use_points(rng.uniform(500, 2000))
                return "has spent its points on somebody else's app"
            case 2:
                self._fake.drop_subscriptions()
                return "drops every subscription"
            case 3:
                return f"sends {self._fake.redeliver()} pushes again"
        orders = [one for one in self._fake.shop.orders.values() if not one.cancelled_at]
        if not orders:
            return "has no work to move"
        name = rng.choice(orders).name
        return f"moves {len(self._fake.split_fulfillment_orders(name))} lines of {name}"

    def behave(self) -> None:
        self._fake.lag_search(0)
