"""One order through everything real: a shop, the daemon, a Tryton warehouse, a Tryton ledger.

Two lines with tax, discount and shipping are claimed, reserved, picked short once,
packed, shipped from a bin, delivered, invoiced and paid for to the cent, while the
ledger is stopped and started in the middle. Only the shop pretends.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.app import App, build
from core.clock import SystemClock, day_of
from core.config import load_config
from core.daemon import Daemon
from core.fakehost import FakeHost
from core.reconcile import compare
from tests.tryton.harness import Bookkeeper, Worker, config
from tests.tryton.server import TrytonServer

ROOT = Path(__file__).resolve().parents[2]
SEAL = "YSBkZW1vIGtleSwgbmV2ZXIgdXNlZCBmb3IgcmVhbC4="

pytestmark = pytest.mark.real


def configuration(folder: Path, wms: TrytonServer, erp: TrytonServer) -> str:
    depot = config(wms, "WMS_KEY") | {"every": {"stock_reading": "1s", "shipment": "1s"}}
    books = config(erp, "ERP_KEY", taxes="0.18=GST 18%")
    books |= {"every": {"document": "1s", "stock_reading": "2s", "price": "60s"}}
    return f"""\
company: {{name: Acme, timezone: Asia/Kolkata, currency: USD}}
seal_key: ${{SEAL}}
state: {folder}/truecount.db
mappings: {ROOT}/mappings
systems:
  shop:
    connector: shopify
    network: private
    settings: {{base_url: "http://127.0.0.1:9/shop"}}
    secrets: {{access_token: "${{TOKEN}}", webhook_secret: "${{TOKEN}}"}}
    every: {{order: 1s, listing: 2s}}
  depot: {json.dumps(depot)}
  books: {json.dumps(books)}
locations:
  main: {{at: {{depot: WH, books: WH}}, serves: [shop]}}
owners:
  - {{number: on_hand, owner: depot}}
  - {{number: list_price, owner: books}}
  - {{number: unit_cost, owner: books}}
  - {{number: tax, owner: books}}
  - {{number: invoice, owner: books}}
"""


#: What a failed play shows of the state it came to; no column of a buyer.
TOLD = {
    "inbox": "seq, system, topic, external_id, state, reason, polls, seen_at, done_at",
    "lines": "sku, ordered, claimed, short, consumed, cancelled",
    "claims": "*",
    "stock": "*",
    "shipments": "external_id, order_id, state, revision, seen_at",
    "outbox": "id, system, kind, state, reference, due_at, words",
    "cursors": "system, resource, since, page, due_at, complete_at, words",
    "holds": "*",
}


@asynccontextmanager
async def daemon_of(
    folder: Path, wms: TrytonServer, erp: TrytonServer, host: FakeHost
) -> AsyncIterator[App]:
    path = folder / "config.yaml"
    path.write_text(configuration(folder, wms, erp), encoding="utf-8")
    names = {"SEAL": SEAL, "TOKEN": "shop-token", "WMS_KEY": wms.key, "ERP_KEY": erp.key}

    def transport(system: str) -> httpx.AsyncBaseTransport | None:
        return httpx.ASGITransport(host.app) if system == "shop" else None

    daemon = Daemon(build(load_config(path, names), SystemClock(), transports=transport))
    await daemon.start()
    try:
        yield daemon.app
    except AssertionError:
        for table, columns in TOLD.items():
            print(table, *rows(daemon.app, f"SELECT {columns} FROM {table}"), sep="\n  ")
        raise
    finally:
        await daemon.stop()


async def until(what: str, done: Callable[[], Any], patience_s: float = 60.0) -> Any:
    end = time.monotonic() + patience_s
    while not (found := done()):
        assert time.monotonic() < end, f"after {patience_s:.0f} s it is not true that {what}"
        await asyncio.sleep(0.1)
    return found


def rows(app: App, question: str) -> list[Any]:
    with app.store.read() as connection:
        return list(connection.execute(text(question)))


def asked(app: App, kind: str) -> list[Any]:
    """Commands of this kind, but for those taken back: the shop may change the order meanwhile,
    and what has not left is asked for again."""
    of = f"kind = '{kind}' AND state != 'taken_back'"
    return rows(app, f"SELECT key, state FROM outbox WHERE {of} ORDER BY id")


def state(app: App, kind: str) -> list[str]:
    return [row.state for row in asked(app, kind)]


async def test_an_order_ties_to_the_cent_and_the_unit_in_two_programs_nobody_here_wrote(
    tmp_path: Path,
) -> None:
    host = FakeHost(
        [
            {
                "name": "shop",
                "connector": "shopify",
                "settings": {"currency": "USD"},
                "secrets": {"access_token": "shop-token", "webhook_secret": "shop-token"},
            }
        ]
    )
    shop = host.fake("shop")
    for sku in ("SKU-0001", "SKU-0002"):
        shop.add_product(sku, sku, "49.90", stock=0)

    def shown(sku: str) -> int:
        return sum(level["available"] for level in shop.stock(sku).values())

    with (
        TrytonServer("wms") as wms,
        TrytonServer("erp") as erp,
        Worker(wms) as worker,
        Bookkeeper(erp) as bookkeeper,
    ):
        async with daemon_of(tmp_path, wms, erp, host) as app:
            await until("the shop shows the shelf", lambda: shown("SKU-0001") == 100)
            placed = shop.place_order(
                [{"sku": "SKU-0001", "quantity": 3}, {"sku": "SKU-0002", "quantity": 2}],
                tax_rate="0.18",
                tax_included=False,
                shipping="7.50",
                discount="4.99",
            )
            await until("the depot has it", lambda: state(app, "fulfill_order") == ["done"])
            await until("the books have it", lambda: state(app, "book_order") == ["done"])
            [order] = rows(app, "SELECT * FROM orders")
            key = f"truecount:shop:{placed['id']}"
            assert [len(bookkeeper.sales(f"{key}:book_order:1"))] == [1]

            # The third lamp is not in its bin: picked short, and the rest asked for again.
            first = f"{key}:fulfill_order:1"
            await asyncio.to_thread(worker.pick, first, {"SKU-0001": 2, "SKU-0002": 2})
            await asyncio.to_thread(worker.pack, first, "TRACK-1")
            erp.stop()  # the ledger goes away in the middle
            await asyncio.to_thread(worker.ship, first)
            await asyncio.to_thread(worker.finish, first)
            await until(
                "the missing unit is asked for again",
                lambda: state(app, "fulfill_order") == ["done", "done"],
            )
            assert len(shop.fulfillments(placed["id"])) == 1  # the shop did not wait for the books
            await asyncio.to_thread(worker.send_off, asked(app, "fulfill_order")[1].key)
            await until(
                "both parcels were confirmed",
                lambda: state(app, "confirm_shipment") == ["done", "done"],
            )
            assert "done" not in state(app, "book_shipment")
            await asyncio.to_thread(erp.start)
            await until("it is invoiced", lambda: state(app, "book_invoice") == ["done"], 240)

            [invoice] = rows(app, "SELECT reference FROM outbox WHERE kind = 'book_invoice'")
            await until("the books were read back", lambda: _tied(app), 60)
            posted = [bookkeeper.postings(number) for number in _numbers(invoice.reference)]
            receivable = sum((p.get("receivable", Decimal(0)) for p in posted), Decimal(0))
            assert receivable == Decimal(order.total_minor).scaleb(-2)
            assert [worker.on_hand(sku) for sku in ("SKU-0001", "SKU-0002")] == [97, 98]
            assert _units(app) == {"SKU-0001": 3, "SKU-0002": 2}
            [again] = rows(app, "SELECT max(polls) AS polls FROM inbox WHERE topic = 'order'")
            assert again.polls >= 2  # the same order came again and again
            assert (shown("SKU-0001"), shown("SKU-0002")) == (97, 98)
            assert len(bookkeeper.sales(f"{key}:book_order:1")) == 1  # one document, read often


def _numbers(reference: str) -> list[str]:
    return [part.strip() for part in reference.split(",")]


def _units(app: App) -> dict[str, int]:
    return {row.sku: row.consumed for row in rows(app, "SELECT sku, consumed FROM lines")}


def _tied(app: App) -> bool:
    """Nothing in flight and nothing unexplained between shop, depot and books."""
    every_s = {
        (name, resource): system.every_s.get(resource, spec.every_s)
        for name, system in app.config.systems.items()
        for resource, spec in system.manifest.reads.items()
    }
    now = app.clock.now()
    day = day_of(now, app.config.company.timezone)
    with app.store.read() as connection:
        found = compare(connection, app.network, day, now, every_s=every_s)
    return not found.differences
