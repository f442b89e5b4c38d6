"""Mixed orders from two channels, one with tax inside its prices and one with tax on top, into a
ledger nobody here wrote: what channel, warehouse and ledger say ties to the cent and the unit.

Two hundred of them are `make soak`'s, with the table printed; a few are played every day.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.app import App, build
from core.clock import SystemClock
from core.config import load_config
from core.daemon import Daemon
from core.fakehost import FakeHost
from core.operate import operate
from tests.tryton.harness import Bookkeeper, config, tryton
from tests.tryton.play import (
    COSTS,
    PENDING,
    PRICES,
    SKUS,
    Life,
    Said,
    by_channel,
    by_ledger,
    by_warehouse,
    life_of,
)
from tests.tryton.server import TrytonServer
from tests.tryton.test_the_whole_walk import ROOT, SEAL, rows, until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("the play")]

CHANNELS = ("shop", "market")
#: Of each item, at the start; far more than is sold.
ON_HAND = 5_000
PATIENCE_S = 900.0


def configuration(folder: Path, erp: TrytonServer) -> str:
    books = config(erp, "ERP_KEY", taxes="0.18=GST 18%")
    books |= {"every": {"document": "2s", "stock_reading": "10m", "price": "10m"}}
    channels = "".join(
        f"""\
  {name}:
    connector: generic_channel
    network: private
    settings: {{base_url: "http://127.0.0.1:9/{name}"}}
    secrets: {{api_token: "${{TOKEN}}", webhook_secret: "${{TOKEN}}"}}
    every: {{order: 1s, refund: 1s, return: 1s, listing: 60s}}
"""
        for name in CHANNELS
    )
    return f"""\
company: {{name: Acme, timezone: Asia/Kolkata, currency: USD}}
seal_key: ${{SEAL}}
state: {folder}/truecount.db
mappings: {ROOT}/mappings
systems:
{channels}  depot:
    connector: generic_wms
    network: private
    settings: {{base_url: "http://127.0.0.1:9/depot"}}
    secrets: {{api_token: "${{TOKEN}}"}}
    every: {{stock_reading: 2s, shipment: 1s, return: 1s}}
  books: {json.dumps(books)}
locations:
  main: {{at: {{depot: EAST, books: WH}}, serves: [shop, market]}}
owners:
  - {{number: on_hand, owner: depot}}
  - {{number: list_price, owner: books}}
  - {{number: unit_cost, owner: books}}
  - {{number: tax, owner: books}}
  - {{number: invoice, owner: books}}
"""


class Season:
    """The lives, stage by stage. Whatever waits for somebody is waited for."""

    def __init__(self, app: App, host: FakeHost, lives: list[Life]) -> None:
        self.app, self.lives = app, lives
        self.depot = host.fake("depot")
        self.channels = {name: host.fake(name) for name in CHANNELS}

    def of(self, *plans: str) -> list[Life]:
        return [life for life in self.lives if life.plan in plans]

    def asked(self, life: Life) -> list[str]:
        """References of what the warehouse has of it to pack."""
        return [
            one["reference"]
            for one in self.depot.orders()
            if one["reference"].startswith(life.key) and one["state"] in ("open", "part_shipped")
        ]

    async def play(self) -> None:
        await self.sell()
        await self.change_before_release()
        packed = [life for life in self.lives if life.plan != "cancelled before"]
        await self.wait("all are in the warehouse", lambda: all(map(self.asked, packed)))
        await self.change_after_release()
        await self.ship()
        await self.give_back()
        await self.wait("nothing is on its way", lambda: not self.waiting())

    async def sell(self) -> None:
        for life in self.lives:
            channel = self.channels[life.channel]
            life.order = await channel.place_order(
                lines=[{"sku": sku, "quantity": units} for sku, units in life.units.items()],
                shipping=life.shipping,
                payment="pending" if life.plan in PENDING else "paid",
            )
        sold = f"SELECT 1 WHERE (SELECT count(*) FROM orders) = {len(self.lives)}"
        await self.wait("all are captured", lambda: rows(self.app, sold))

    async def change_before_release(self) -> None:
        for life in self.of("edited before"):
            await self.channels[life.channel].edit(life.order["id"], {"1": 1})
        for life in self.of("cancelled before"):
            await self.channels[life.channel].cancel(life.order["id"])
        for life in self.of("pays late", "edited before"):
            await self.channels[life.channel].pay(life.order["id"])

    async def change_after_release(self) -> None:
        for life in self.of("edited after"):
            units = life.units["SKU-0001"] + (-1, 1)[life.number % 2]
            await self.channels[life.channel].edit(life.order["id"], {"1": units})
        for life in self.of("cancelled after"):
            await self.channels[life.channel].cancel(life.order["id"])
        for life in self.of("asked back"):
            await self.channels[life.channel].wish(life.order["id"])
        wished = len(self.of("asked back"))
        asked = "SELECT count(*) AS n FROM holds WHERE cause LIKE 'late:cancel_requested%'"
        await self.wait("wishes are heard", lambda: rows(self.app, asked)[0].n == wished)
        for verb, plan in (("cancel", "cancelled by us"), ("grant", "asked back")):
            for life in self.of(plan):
                name = f"{life.channel}:{life.order['number']}"
                words = {"order": name, "by": "Ann", "reason": "so be it"}
                await operate(self.app, verb, words)
        over = self.of("cancelled after", "cancelled by us", "asked back")
        await self.wait("what was cancelled is over", lambda: all(map(self.is_over, over)))
        anew = self.of("edited after")
        await self.wait("what was edited is packed anew", lambda: all(map(self.is_as_sold, anew)))

    def is_over(self, life: Life) -> bool:
        row = self.row(life)
        return row.state == "cancelled" and life.order["state"] == "cancelled"

    def is_as_sold(self, life: Life) -> bool:
        asked = [one for one in self.depot.orders() if one["reference"] in self.asked(life)]
        units = sum(line["quantity"] for one in asked for line in one["lines"])
        return units == sum(line["quantity"] for line in life.order["lines"])

    def row(self, life: Life) -> Any:
        of = f"system = '{life.channel}' AND external_id = '{life.order['id']}'"
        [row] = rows(self.app, f"SELECT state FROM orders WHERE {of}")
        return row

    async def ship(self) -> None:
        for life in self.of("two parcels"):
            [reference] = self.asked(life)
            await self.depot.ship(reference, [{"line": "1", "quantity": 1}], complete=False)
        left = [life for life in self.lives if self.asked(life)]
        for life in left:
            [reference] = self.asked(life)
            await self.depot.ship(reference)
        invoiced = "SELECT count(*) AS n FROM outbox WHERE kind = 'book_invoice' AND state = 'done'"
        await self.wait("all is invoiced", lambda: rows(self.app, invoiced)[0].n == len(left))

    async def give_back(self) -> None:
        for life in self.of("refund of a part"):
            lines = [{"line": "1", "quantity": 1}]
            await self.channels[life.channel].refund(
                life.order["id"], lines, shipping=life.shipping
            )
        for life in self.of("refund of all"):
            lines = [{"line": one["id"], "quantity": one["quantity"]} for one in self.lines(life)]
            await self.channels[life.channel].refund(
                life.order["id"], lines, shipping=life.shipping
            )
        for life in self.of("sent back"):
            channel, lines = self.channels[life.channel], [{"line": "1", "quantity": 2}]
            asked = await channel.ask_return(life.order["id"], lines)
            back = [{"sku": "SKU-0001", "quantity": 2, "condition": "resellable"}]
            self.depot.take_back(f"{life.key}fulfill_order:1", back, returned=asked["id"])
            await channel.refund(life.order["id"], lines, returned=asked["id"])
        refunds = sum(len(channel.refunds()) for channel in self.channels.values())
        noted = "SELECT count(*) AS n FROM outbox WHERE kind = 'book_credit_note'"
        await self.wait("all is credited", lambda: rows(self.app, noted)[0].n == refunds)

    def lines(self, life: Life) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = life.order["lines"]
        return lines

    def waiting(self) -> list[Any]:
        return rows(
            self.app,
            "SELECT kind, state, words FROM outbox WHERE state NOT IN"
            " ('done', 'taken_back', 'discarded')",
        )

    async def wait(self, what: str, done: Callable[[], Any]) -> None:
        def looked() -> Any:
            dead = [row for row in self.waiting() if row.state == "dead"]
            assert not dead, dead
            return done()

        await until(what, looked, PATIENCE_S)


@asynccontextmanager
async def season(
    folder: Path, erp: TrytonServer, host: FakeHost, lives: list[Life]
) -> AsyncIterator[Season]:
    path = folder / "config.yaml"
    path.write_text(configuration(folder, erp), encoding="utf-8")
    names = {"SEAL": SEAL, "TOKEN": "a-token", "ERP_KEY": erp.key}

    def transport(system: str) -> httpx.AsyncBaseTransport | None:
        return None if system == "books" else httpx.ASGITransport(host.app)

    daemon = Daemon(build(load_config(path, names), SystemClock(), transports=transport))
    await daemon.start()
    try:
        yield Season(daemon.app, host, lives)
    finally:
        await daemon.stop()


def town() -> FakeHost:
    settings = {"api_token": "a-token", "currency": "USD", "tax_rate": "0.18"}
    of = {
        "shop": settings | {"prefix": "S"},
        "market": settings | {"prefix": "M", "tax_included": "false"},
    }
    host = FakeHost(
        [
            *({"name": n, "connector": "generic_channel", "settings": of[n]} for n in CHANNELS),
            {"name": "depot", "connector": "generic_wms", "settings": {"api_token": "a-token"}},
        ]
    )
    for sku in SKUS:
        host.fake("depot").receive(sku, "EAST", ON_HAND)
        for name in CHANNELS:
            host.fake(name).list_item(sku, price=PRICES[sku], quantity=ON_HAND)
    return host


@pytest.mark.parametrize(("orders", "seed"), [(8, 6), pytest.param(200, 1, marks=pytest.mark.long)])
async def test_two_channels_tie_in_a_ledger_nobody_here_wrote(
    tmp_path: Path, orders: int, seed: int
) -> None:
    chance = random.Random(seed)
    lives = [life_of(chance, number) for number in range(orders)]
    with tryton("erp") as erp, Bookkeeper(erp) as bookkeeper:
        for sku in SKUS:  # the ledger keeps units of its own
            bookkeeper.buy(sku, ON_HAND, COSTS[sku])
        await play_and_compare(tmp_path, erp, bookkeeper, lives)


async def play_and_compare(
    folder: Path, erp: TrytonServer, bookkeeper: Bookkeeper, lives: list[Life]
) -> None:
    host = town()
    async with season(folder, erp, host, lives) as played:
        await played.play()
        kinds = "kind IN ('book_invoice', 'book_credit_note')"
        posted = rows(played.app, f"SELECT kind, key, reference FROM outbox WHERE {kinds}")
        depot, differences = host.fake("depot"), []
        for name in CHANNELS:
            sold, left = by_channel(host.fake(name)), by_warehouse(depot, name)
            booked, cost = by_ledger(bookkeeper, posted, name)
            differences += shown(name, sold, left, booked)
            differences += cost_differs(name, depot, cost)
        print(f"{len(lives)} orders: differences {len(differences)}")
        assert differences == []
        assert rows(played.app, "SELECT cause FROM holds WHERE closed_at IS NULL") == []


#: Tryton reckons its tax for the whole document, a channel for each line: so much it may be off.
ROUNDED = Decimal("0.01")


def shown(name: str, sold: Said, left: Said, booked: Said) -> list[str]:
    """The table of one channel. Returns what does not tie, in words.

    A tax that rounds otherwise is named, and moves as much between revenue and tax; what the buyer
    owes is the same to the cent.
    """
    print(f"{name:8} {'orders':>7} {'units':>6} {'revenue':>12} {'tax':>10} {'receivable':>12}")
    for who, said in (("channel", sold), ("depot", left), ("ledger", booked)):
        money = f"{said.revenue:>12} {said.tax:>10} {said.receivable:>12}"
        print(f"{who:8} {said.orders:>7} {said.units:>6} {money if who != 'depot' else ''}")
    found = []
    if (sold.orders, sold.units) != (left.orders, left.units):
        found.append(f"{name}: the depot has sent other orders or units")
    rounded = {
        order: off
        for order in sold.taxes.keys() | booked.taxes.keys()
        if (off := booked.taxes.get(order, Decimal(0)) - sold.taxes.get(order, Decimal(0)))
    }
    found += [f"{name}: tax of {order} is off by {off}" for order, off in sorted(rounded.items())
              if abs(off) > ROUNDED]  # fmt: skip
    moved = sum(rounded.values(), Decimal(0))
    print(f"rounding {len(rounded):>7} {'':6} {-moved:>12} {moved:>10} {Decimal('0.00'):>12}")
    gaps = {
        "orders": booked.orders - sold.orders,
        "units": booked.units - sold.units,
        "revenue": booked.revenue - sold.revenue + moved,
        "tax": booked.tax - sold.tax - moved,
        "receivable": booked.receivable - sold.receivable,
    }
    return found + [f"{name}: {what} differs by {off}" for what, off in gaps.items() if off]


def cost_differs(name: str, depot: Any, cost: Decimal) -> list[str]:
    """Every unit that left costs what the ledger paid for it."""
    left = sum(
        (
            Decimal(COSTS[line["sku"]]) * line["quantity"]
            for parcel in depot.shipments()
            for line in parcel["lines"]
            if parcel["reference"].split(":")[1] == name
        ),
        Decimal(0),
    )
    print(f"cost     {'':7} {'':6} {left:>12} {'':10} {cost:>12}")
    return [] if cost == left else [f"{name}: goods that left cost {left}, booked is {cost}"]


def test_a_cent_and_a_unit_are_found() -> None:
    def said(owed: str, tax: str = "1.80", units: int = 2) -> Said:
        one = Said(1, units)
        whole = Decimal("11.80") - Decimal(tax)
        one.add("S1", revenue=whole, tax=Decimal(tax), receivable=Decimal(owed))
        return one

    assert shown("shop", said("11.80"), said("11.80"), said("11.80", "1.81")) == []
    assert shown("shop", said("11.80"), said("11.80", units=1), said("11.79")) == [
        "shop: the depot has sent other orders or units",
        "shop: receivable differs by -0.01",
    ]
    assert shown("shop", said("11.80"), said("11.80"), said("11.80", "1.82")) == [
        "shop: tax of S1 is off by 0.02"
    ]
