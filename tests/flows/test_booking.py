"""What stands in the books of an order is what its channel says of it now."""

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


def sales(h: House) -> list[tuple[str, str]]:
    return [(one["total"], one["state"]) for one in h.books.documents(kind="sales_order")]


@pytest.mark.parametrize("payment", ["paid", "pending"])
async def test_an_edit_is_booked_anew_and_the_invoice_is_of_it(h: House, payment: str) -> None:
    order = await h.shop.place_order("TEA", 3, payment=payment)
    await h.settle()
    await h.edit("shop", order, 2)
    await h.settle(150)
    if payment == "pending":  # nothing was booked before it was earned
        await h.shop.pay(order["id"])
        await h.settle()
        assert sales(h) == [("20.00", "open")]
    else:
        assert sales(h) == [("30.00", "cancelled"), ("20.00", "open")]
    await h.depot.ship(h.waiting())
    await h.settle(150)
    assert [one["total"] for one in h.books.documents(kind="invoice")] == ["20.00"]
    assert (h.state("shop", order), h.causes()) == ("shipped", [])


async def test_another_price_alone_is_booked_anew_while_it_is_packed(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle()
    order["lines"][0]["unit_price"], order["total"] = "9.00", "18.00"
    await h.edit("shop", order, 2)
    await h.settle()
    assert [total for total, state in sales(h) if state == "open"] == ["18.00"]
    assert [one["state"] for one in h.asked()] == ["open"]  # the warehouse is asked nothing


async def test_one_that_is_said_again_is_booked_once(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle()
    order["buyer"] = order["buyer"] | {"email": "other@example.org"}
    await h.edit("shop", order, 2)
    await h.settle()
    assert sales(h) == [("20.00", "open")]


async def test_an_edited_order_that_is_cancelled_is_cancelled_in_the_books_once(h: House) -> None:
    order = await h.shop.place_order("TEA", 3)
    await h.settle()
    await h.edit("shop", order, 2)
    await h.settle(150)
    await h.shop.cancel(order["id"])
    await h.settle(150)
    assert [state for _, state in sales(h)] == ["cancelled", "cancelled"]
    assert h.books.duplicates() == []


async def test_what_a_parcel_was_told_of_is_booked_anew_no_more(h: House) -> None:
    order = await h.shop.place_order("TEA", 3)
    await h.settle()
    reference = h.waiting()
    await h.depot.ship(reference, [{"sku": "TEA", "quantity": 1}], complete=False)
    await h.settle()
    await h.edit("shop", order, 2)
    await h.settle(150)
    assert [total for total, _ in sales(h)] == ["30.00"]
    await h.depot.ship(h.waiting())
    await h.settle(150)
    assert [one["total"] for one in h.books.documents(kind="invoice")] == ["20.00"]
    assert h.state("shop", order) == "shipped"


def test_what_stands_in_the_books_names_every_amount_of_an_order() -> None:
    """A new amount of an order is to be looked at, or it is booked once and never again."""
    from dataclasses import fields

    from core.model import Order

    money: list[Any] = [one.name for one in fields(Order) if "Money" in str(one.type)]
    assert sorted(money) == sorted(
        [
            *("total", "shipping_fee", "shipping_discount", "other_fees", "tip"),
            *("rounding", "gift_cards", "presentment_total"),  # how it is rounded, paid, shown
        ]
    )
