"""Days of a seller at random: sales, edits, cancels, parcels, counts, outages, restarts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from house import House

from core import stock
from core.ledger import Terms
from core.work import Work

SYSTEMS = ("shop", "market", "depot", "books")
SKUS = ("TEA", "MUG", "POT")
ACTIONS = (
    *("sale", "sale", "sale", "sale", "sale", "parcel", "parcel", "parcel", "goods", "goods"),
    *("count", "cancel", "edit", "part", "short", "price", "outage", "well", "restart", "again"),
)


@dataclass
class Remembered:
    """What somebody wrote down at an instant: terms by SKU, numbers acknowledged by channel."""

    at: datetime
    terms: dict[str, Terms]
    acknowledged: dict[tuple[str, str], int]


@dataclass
class Days:
    """`h` for some time; whoever looks at `notes` later knows what was true when."""

    h: House
    chance: random.Random
    orders: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    notes: list[Remembered] = field(default_factory=list)

    async def pass_by(self, rounds: int) -> None:
        await self.h.sells(TEA=20, MUG=9, POT=5)
        for _ in range(rounds):
            for _ in range(self.chance.randint(1, 5)):
                await self.act(self.chance.choice(ACTIONS))
            await self.h.settle(self.chance.choice((0.0, 0.0, 0.0, 1.0, 7.0, 31.0)))
            self.remember()
            self.h.clock.advance(0.001)  # whatever comes now is later than what was written down
        await self.act("well")
        await self.h.settle(400)
        self.remember()

    async def act(self, what: str) -> None:
        h, chance, sku = self.h, self.chance, self.chance.choice(SKUS)
        match what:
            case "sale":
                channel = chance.choice(("shop", "market"))
                order = await self.bought(channel, sku, chance.randint(1, 3))
                if order is not None:
                    self.orders.append((channel, order))
            case "cancel" if self.orders:
                channel, order = chance.choice(self.orders)
                if order["state"] not in ("cancelled", "shipped"):
                    await h.fake(channel).cancel(order["id"])
            case "edit" if self.orders:
                channel, order = chance.choice(self.orders)
                if order["state"] not in ("cancelled", "shipped"):
                    await h.edit(channel, order, chance.randint(1, 4))
            case "again" if self.orders:
                channel, order = chance.choice(self.orders)
                await h.fake(channel).push_again(order["id"])
            case "parcel" | "part" | "short":
                await self.leaves(what)
            case "goods":
                h.depot.receive(sku, "EAST", chance.randint(1, 9))
            case "count":
                h.depot.count(sku, "EAST", chance.randint(0, 12))
            case "price":
                h.books.set_item(sku, f"{chance.randint(5, 20)}.00", "4.00")
            case "outage":
                h.faults(chance.choice(SYSTEMS), down=True)
            case "well":
                for name in SYSTEMS:
                    h.faults(name)
            case "restart":
                await h.restart()

    async def bought(self, channel: str, sku: str, units: int) -> dict[str, Any] | None:
        try:
            order: dict[str, Any] = await self.h.fake(channel).place_order(sku, units)
        except ValueError:  # it refuses to sell beyond its own number
            return None
        return order

    async def leaves(self, what: str) -> None:
        waiting = [o for o in self.h.depot.orders() if o["state"] in ("open", "part_shipped")]
        if not waiting:
            return
        order = self.chance.choice(waiting)
        try:
            if what == "short":
                await self.h.depot.short_pick(order["reference"])
            elif what == "part":
                line = order["left"][0]
                lines = [{"sku": line["sku"], "quantity": 1}]
                await self.h.depot.ship(order["reference"], lines, complete=False)
            else:
                await self.h.depot.ship(order["reference"])
        except ValueError:  # the shelf has not so many
            return

    def remember(self) -> None:
        h = self.h
        with h.app.store.read() as connection:
            work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
            terms = {sku: stock.terms_of(work, sku, "main") for sku in SKUS}
        last = "SELECT system, sku, units FROM (SELECT system, sku, seq, data ->> 'units' AS units"
        last += " FROM steps WHERE name = 'offer.published' ORDER BY seq)"
        told = {(row["system"], row["sku"]): row["units"] for row in h.rows(last)}
        self.notes.append(Remembered(h.clock.now(), terms, told))
