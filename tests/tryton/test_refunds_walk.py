"""Refunds from a channel through the daemon into the real ledger: it ties to the cent.

The channel and the warehouse pretend, the books are Tryton: revenue, tax and receivable of what
was sold less what was given back are read in its own ledger.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.app import App, build
from core.clock import SystemClock, day_of
from core.config import load_config
from core.daemon import Daemon
from core.fakehost import FakeHost
from core.reconcile import Difference, compare
from tests.tryton.harness import Bookkeeper, config
from tests.tryton.server import TrytonServer
from tests.tryton.test_the_whole_walk import ROOT, SEAL, rows, state, until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("refunds walk")]

PATIENCE_S = 120.0


def configuration(folder: Path, erp: TrytonServer) -> str:
    books = config(erp, "ERP_KEY", taxes="0.18=GST 18%")
    books |= {"every": {"document": "1s", "stock_reading": "60s", "price": "60s"}}
    return f"""\
company: {{name: Acme, timezone: Asia/Kolkata, currency: USD}}
seal_key: ${{SEAL}}
state: {folder}/truecount.db
mappings: {ROOT}/mappings
systems:
  shop:
    connector: generic_channel
    network: private
    settings: {{base_url: "http://127.0.0.1:9/shop"}}
    secrets: {{api_token: "${{TOKEN}}", webhook_secret: "${{TOKEN}}"}}
    every: {{order: 1s, refund: 1s, return: 1s, listing: 2s}}
  depot:
    connector: generic_wms
    network: private
    settings: {{base_url: "http://127.0.0.1:9/depot"}}
    secrets: {{api_token: "${{TOKEN}}"}}
    every: {{stock_reading: 1s, shipment: 1s, return: 1s}}
  books: {json.dumps(books)}
locations:
  main: {{at: {{depot: EAST, books: WH}}, serves: [shop]}}
owners:
  - {{number: on_hand, owner: depot}}
  - {{number: list_price, owner: books}}
  - {{number: unit_cost, owner: books}}
  - {{number: tax, owner: books}}
  - {{number: invoice, owner: books}}
"""


@asynccontextmanager
async def daemon_of(folder: Path, erp: TrytonServer, host: FakeHost) -> AsyncIterator[App]:
    path = folder / "config.yaml"
    path.write_text(configuration(folder, erp), encoding="utf-8")
    names = {"SEAL": SEAL, "TOKEN": "a-token", "ERP_KEY": erp.key}

    def transport(system: str) -> httpx.AsyncBaseTransport | None:
        return None if system == "books" else httpx.ASGITransport(host.app)

    daemon = Daemon(build(load_config(path, names), SystemClock(), transports=transport))
    await daemon.start()
    try:
        yield daemon.app
    finally:
        await daemon.stop()


async def test_what_was_given_back_ties_in_a_ledger_nobody_here_wrote(
    tmp_path: Path, erp_server: TrytonServer, bookkeeper: Bookkeeper
) -> None:
    settings = {"api_token": "a-token", "currency": "USD", "tax_rate": "0.18", "prefix": "RW"}
    host = FakeHost(
        [
            {"name": "shop", "connector": "generic_channel", "settings": settings},
            {"name": "depot", "connector": "generic_wms", "settings": {"api_token": "a-token"}},
        ]
    )
    shop, depot = host.fake("shop"), host.fake("depot")
    for sku, price in (("SKU-0001", "49.90"), ("SKU-0002", "19.99")):
        depot.receive(sku, "EAST", 50)
        shop.list_item(sku, price=price, quantity=50)
    async with daemon_of(tmp_path, erp_server, host) as app:
        orders = [await _buys(shop, *wanted) for wanted in WANTED]
        await until("the depot has all", lambda: len(depot.orders()) == len(orders), PATIENCE_S)
        for order in depot.orders():
            await depot.ship(order["reference"])
        await until("all is invoiced", lambda: _done(app, "book_invoice", len(orders)), PATIENCE_S)

        await shop.refund(orders[0]["id"], [{"line": "1", "quantity": 1}], shipping="2.25")
        await shop.refund(orders[0]["id"], [{"line": "1", "quantity": 2}], shipping="2.25")
        await shop.refund(orders[1]["id"], adjustment="7.77")
        await shop.refund(orders[2]["id"], total=orders[2]["total"])
        asked = await shop.ask_return(
            orders[3]["id"], [{"line": "1", "quantity": 1}], kind="exchange"
        )
        depot.take_back(
            _reference(depot, orders[3]),
            [{"sku": "SKU-0001", "quantity": 1, "condition": "resellable"}],
            returned=asked["id"],
        )
        await until("all is credited", lambda: _done(app, "book_credit_note", 5), PATIENCE_S)
        await until("the books tie", lambda: not _money_differs(app), PATIENCE_S)

        sold = sum(Decimal(order["total"]) for order in orders)
        back = sum(Decimal(refund["total"]) for refund in shop.refunds()) + Decimal("49.90")
        assert _ledger(app, bookkeeper, "book_invoice")["receivable"] == sold
        credited = _ledger(app, bookkeeper, "book_credit_note")
        assert credited["receivable"] == -back
        assert credited["revenue"] + credited["tax"] == back
        assert credited.keys() == {"receivable", "revenue", "tax"}  # no cost of goods
        print(f"sold {sold}, given back {back}, in the ledger {sold - back}: differences 0")
        assert rows(app, "SELECT cause FROM holds WHERE closed_at IS NULL") == []
        assert depot.on_hand("SKU-0001") == 50 - 6 + 1


#: Units of both items, and the shipping.
WANTED = ((3, 0, "4.50"), (1, 2, "0.00"), (1, 1, "6.10"), (1, 0, "0.00"))


async def _buys(shop: Any, lamps: int, cables: int, shipping: str) -> dict[str, Any]:
    lines = [{"sku": "SKU-0001", "quantity": lamps}, {"sku": "SKU-0002", "quantity": cables}]
    order: dict[str, Any] = await shop.place_order(
        lines=[line for line in lines if line["quantity"]], shipping=shipping
    )
    return order


def _money_differs(app: App) -> list[Difference]:
    """Documents of the books against the channel. Their stock is of a company of its own here."""
    now = app.clock.now()
    every_s = {("books", "document"): 1.0}
    day = day_of(now, app.config.company.timezone)
    with app.store.read() as connection:
        found = compare(connection, app.network, day, now, every_s=every_s)
    return [one for one in found.differences if one.what.endswith("in books") and one.currency]


def _reference(depot: Any, order: dict[str, Any]) -> str:
    """What the warehouse knows it by; in which order they reached it is not said."""
    key = f"truecount:shop:{order['id']}:"
    return next(o["reference"] for o in depot.orders() if o["reference"].startswith(key))


def _done(app: App, kind: str, count: int) -> bool:
    states = state(app, kind)
    assert "dead" not in states, rows(app, f"SELECT words FROM outbox WHERE kind = '{kind}'")
    return states == ["done"] * count


def _ledger(app: App, keeper: Bookkeeper, kind: str) -> dict[str, Decimal]:
    """Debit less credit of all documents of a kind, by what the account is for."""
    sums: dict[str, Decimal] = {}
    for row in rows(app, f"SELECT reference FROM outbox WHERE kind = '{kind}'"):
        for role, amount in keeper.postings(row.reference).items():
            sums[role] = sums.get(role, Decimal(0)) + amount
    return sums
