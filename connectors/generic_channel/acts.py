"""What people do on the plain channel, in the one shape simulations use (core.fake.Sells)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.generic_channel.fake import NotPossible, SoldOut
from core.fake import Sold


class Acts:
    def __init__(self, fake: Any) -> None:
        self._fake = fake

    def offer(self, sku: str) -> None:
        self._fake.list_item(sku, price="10.00")

    async def buy(self, lines: Mapping[str, int], *, paid: bool) -> str | None:
        wanted = [{"sku": sku, "quantity": units} for sku, units in lines.items()]
        try:
            order = await self._fake.place_order(
                lines=wanted, payment="paid" if paid else "pending"
            )
        except SoldOut:
            return None
        return str(order["id"])

    async def pay(self, order: str) -> None:
        await self._fake.pay(order)

    async def cancel(self, order: str) -> bool:
        try:
            await self._fake.cancel(order)
        except NotPossible:
            return False
        return True

    def shown(self) -> Mapping[str, int]:
        shown: Mapping[str, int] = self._fake.stock()
        return shown

    def sold(self) -> Sequence[Sold]:
        return [
            Sold(
                id=order["id"],
                lines=_units(order["lines"]),
                cancelled=order["state"] == "cancelled",
                paid=order["payment"] == "paid",
            )
            for order in self._fake.orders()
        ]

    def parcels(self, order: str) -> Sequence[Mapping[str, int]]:
        rows = (row for row in self._fake.shipments() if row["order"] == order)
        lines = {line["id"]: line["sku"] for line in self._fake._order(order)["lines"]}
        return [_units(row["lines"], lines) for row in rows]

    async def misbehave(self, rng: random.Random) -> str:
        """It sends an order once more, hours later."""
        orders = self._fake.orders()
        if not orders:
            return "has nothing to send again"
        order = rng.choice(orders)["id"]
        await self._fake.push_again(order)
        return f"sends {order} again"

    def behave(self) -> None:
        """It has no habit that lasts."""


def _units(
    rows: Sequence[Mapping[str, Any]], skus: Mapping[str, str] | None = None
) -> Counter[str]:
    units: Counter[str] = Counter()
    for row in rows:
        units[row["sku"] if skus is None else skus[str(row["line"])]] += row["quantity"]
    return units
