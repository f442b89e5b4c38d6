"""What cannot be is held with a reason and a next step, and what is beside it goes on.

Above what was paid, and what was never sold: test_refunds.py, test_returns.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from house import House, house


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as it:
        await it.sells(TEA=20, MUG=20)
        yield it


def told(h: House) -> list[tuple[str, str]]:
    """Cause and next step of each open exception."""
    rows = h.rows("SELECT cause, reason, next_step FROM holds WHERE closed_at IS NULL")
    assert all(row["reason"] and row["next_step"] for row in rows)
    return [(row["cause"], row["next_step"]) for row in rows]


async def said_again(h: House, order: dict[str, Any], **words: Any) -> None:
    order.update(words, version=order["version"] + 1)
    await h.hook("shop", order)
    await h.settle(60)


async def test_units_below_zero_are_held_and_nothing_of_the_order_is_kept(h: House) -> None:
    good = await h.shop.place_order("MUG", 1)
    h.lost_pushes.add("shop")
    bad = await h.shop.place_order("TEA", 2)
    h.lost_pushes.clear()
    bad["lines"][0]["quantity"] = -2
    await said_again(h, bad)
    [(cause, step)] = told(h)
    assert (cause, "refund" in step) == (f"impossible_order:shop:{bad['id']}", True)
    assert h.one("SELECT count(*) FROM orders") == 1
    assert h.sellable("TEA") == 20
    await h.depot.ship(h.waiting())  # of the other, which nothing keeps back
    await h.settle(60)
    assert h.state("shop", good) == "shipped"
    bad["lines"][0]["quantity"] = 2
    await said_again(h, bad)
    assert h.state("shop", bad) == "released"
    assert h.causes() == []


async def test_s19_a_currency_that_changes_inside_an_order_is_held(h: House) -> None:
    order = await h.shop.place_order("TEA", 1)
    other = await h.shop.place_order("MUG", 1)
    await h.now()
    await said_again(h, order, currency="USD", total="10.90")
    [(cause, step)] = told(h)
    assert (cause, "presentment_total" in step) == (f"impossible_order:shop:{order['id']}", True)
    row = h.order("shop", order["id"])
    assert (row["currency"], row["total_minor"]) == ("EUR", 1000)
    for asked in h.asked():
        await h.depot.ship(asked["reference"])
    await h.settle(60)
    assert {h.state("shop", one) for one in (order, other)} == {"shipped"}
    assert [one["currency"] for one in h.books.documents(kind="invoice")] == ["EUR", "EUR"]
    await said_again(h, order, currency="EUR", total="10.00")
    assert h.causes() == []


async def test_s31_a_total_that_changes_after_the_invoice_is_a_persons_until_refunded(
    h: House,
) -> None:
    order = await h.shop.place_order("TEA", 3)
    await h.now()
    h.lost_pushes.add("shop")
    reference = h.waiting()
    await h.shop.edit(order["id"], {"1": 2})  # heard of only after the parcel
    edited = dict(order)
    await h.depot.ship(reference)
    await h.app.sweep.run_fetches("depot")
    await h.app.intake.run_once()
    h.lost_pushes.clear()
    await h.settle(60)
    assert h.books.documents(kind="invoice")[0]["total"] == "30.00"
    [(cause, step)] = told(h)
    assert (cause, "truecount accept" in step) == (f"late:total:shop:{order['id']}", True)
    await h.shop.refund(edited["id"], [{"line": "1", "quantity": 1}])
    await h.settle(60)
    assert [row["total"] for row in h.books.documents(kind="credit_note")] == ["10.00"]
    assert h.causes() == []


async def test_a_channel_that_lowers_its_total_by_a_refund_is_believed(h: House) -> None:
    for heard_first in ("refund", "total"):
        order = await h.shop.place_order("TEA", 3)
        await h.now()
        await h.depot.ship(h.waiting())
        await h.settle(60)
        refund = await h.shop.refund(order["id"], [{"line": "1", "quantity": 1}], push=False)
        if heard_first == "refund":
            await h.shop.push_refund_again(refund["id"])
            await h.now()
        await said_again(h, order, total="20.00")
        await h.shop.push_refund_again(refund["id"])
        await h.settle(60)
        assert h.causes() == [], heard_first
