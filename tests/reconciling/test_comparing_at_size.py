"""A day of many orders is compared set by set: four times the orders, four times the work."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import stamp
from core.reconcile import compare
from tests.acceptance.test_differences import TODAY
from tests.flows.house import House, house

#: Which command goes to whom, and which document it makes.
ASKED = (
    ("book_order", "books", "sales_order"),
    ("book_invoice", "books", "invoice"),
    ("fulfill_order", "depot", ""),
    ("book_shipment", "books", "shipment"),
    ("confirm_shipment", "shop", ""),
)
#: SQLite is asked after so many of its own steps.
STEPS = 100


def sold(h: House, count: int) -> None:
    """So many orders that have left and stand in the books, as rows."""
    at = stamp(h.clock.now() - timedelta(hours=5))
    connection = sqlite3.connect(h.app.store.path)
    with connection:
        for n in range(1, count + 1):
            _order(connection, n, at)
    connection.close()


def _order(connection: sqlite3.Connection, n: int, at: str) -> None:
    def row(table: str, **values: Any) -> None:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", (*values.values(),))

    row("orders", id=n, system="shop", external_id=f"S{n}", number=f"#{n}", revision="1",
        state="shipped", payment="paid", currency="EUR", total_minor=2000, tax_minor=319, units=2,
        placed_at=at, captured_at=at, changed_at=at, location="main",
        booked=f"truecount:shop:S{n}:book_order:1")  # fmt: skip
    row("lines", id=n, order_id=n, key="1", sku="TEA", ordered=2, consumed=2)
    row("shipments", id=n, system="depot", external_id=f"P{n}", order_id=n, location="main",
        state="shipped", parcel=1, shipped_at=at, seen_at=at, doc=b"")  # fmt: skip
    row("claims", order_id=n, line_id=n, sku="TEA", location="main", units=2, state="ended",
        opened_at=at, shipment_id=n)  # fmt: skip
    for kind, system, document in ASKED:
        key = f"truecount:shop:S{n}:{kind}:" + (f"P{n}" if kind == "book_shipment" else "1")
        row("outbox", system=system, kind=kind, lane=f"order:{n}", key=key, order_id=n, record=b"",
            safe_by="lookup", state="done", queued_at=at, due_at=at, done_at=at)  # fmt: skip
        if document:
            row("documents", system=system, external_id=f"{document}{n}", kind=document,
                reference=key, order_id=n, currency="EUR", posted=1, quantity=2,
                total_minor=2000, tax_minor=319, dated=at, first_at=at, seen_at=at)  # fmt: skip


def work_of(h: House) -> int:
    """Steps of SQLite's own machine that one comparison takes; it finds nothing."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    with h.app.store.read() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(count, STEPS)
        found = compare(connection, h.app.network, TODAY, h.clock.now(), every_s={})
        driver.set_progress_handler(None, 0)
    assert found.differences == []
    return steps[0] * STEPS


@pytest.mark.parametrize(("few", "many"), [(250, 1000)])
async def test_four_times_the_orders_are_about_four_times_the_work(
    tmp_path: Path, few: int, many: int
) -> None:
    took = {}
    for count in (few, many):
        async with house(tmp_path / str(count)) as h:
            sold(h, count)
            took[count] = work_of(h)
    assert took[many] < 5.5 * took[few], took
