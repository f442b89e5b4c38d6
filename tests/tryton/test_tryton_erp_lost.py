"""Cancelled sales, and answers that never came: the ledger holds each document once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.contract import Command
from core.errors import InDoubt, Rejected
from core.model import BookOrder
from tests.tryton.builders import (
    a_line,
    an_order,
    book_invoice,
    book_order,
    book_shipment,
    cancel_order,
    usd,
)
from tests.tryton.harness import Bookkeeper, Losing, book, command, connector, documents_of, sale_of
from tests.tryton.server import TrytonServer

pytestmark = pytest.mark.real


async def test_a_cancelled_order_leaves_nothing_to_ship_or_invoice(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    booked = await book(tryton_erp, an_order(a_line(), a_line("SKU-0002", 2, "19.99")))
    stop = command("cancel_order", cancel_order(booked))
    assert await tryton_erp.find(stop) is None
    await tryton_erp.send(stop)
    assert (await tryton_erp.find(stop)) is not None
    assert (await tryton_erp.send(stop)).reference == sale_of(bookkeeper, booked)["number"]
    assert sale_of(bookkeeper, booked)["shipment_state"] != "exception"
    with pytest.raises(Rejected):
        await tryton_erp.send(command("book_shipment", book_shipment(booked, SKU_0001=1)))


async def test_some_units_are_cancelled_the_rest_goes(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    order = an_order(a_line("SKU-0001", 3, "10.00"), a_line("SKU-0002", 1, "20.00"))
    booked = await book(tryton_erp, order)
    stop = command("cancel_order", cancel_order(booked, SKU_0001=1, SKU_0002=1))
    await tryton_erp.send(stop)
    assert (await tryton_erp.find(stop)) is not None
    await tryton_erp.send(stop)
    with pytest.raises(Rejected, match="1 x SKU-0001"):
        await tryton_erp.send(command("book_shipment", book_shipment(booked, 9, SKU_0001=3)))
    await tryton_erp.send(command("book_shipment", book_shipment(booked, 9, SKU_0001=2)))
    await tryton_erp.send(command("book_invoice", book_invoice(booked)))
    (paper,) = (await documents_of(tryton_erp, booked))["invoice"]
    assert (paper.posted, paper.total) == (True, usd("23.60"))  # two of three, 18 % on top
    assert sale_of(bookkeeper, booked)["shipment_state"] == "sent"


async def test_what_has_shipped_cannot_be_cancelled(tryton_erp: Any) -> None:
    booked = await book(tryton_erp, an_order(a_line()))
    await tryton_erp.send(command("book_shipment", book_shipment(booked, SKU_0001=1)))
    with pytest.raises(Rejected, match="already shipped"):
        await tryton_erp.send(command("cancel_order", cancel_order(booked)))


# ---------------------------------------------------------------- a bad line


def _chain(booked: BookOrder) -> dict[str, list[Command]]:
    """Each command with what must have been booked before it."""
    first = command("book_order", booked)
    parcel = command("book_shipment", book_shipment(booked, SKU_0001=1))
    paper = command("book_invoice", book_invoice(booked))
    return {
        "book_order": [first],
        "book_shipment": [first, parcel],
        "book_invoice": [first, command("book_shipment", book_shipment(booked, SKU_0001=2)), paper],
        "cancel_order": [first, command("cancel_order", cancel_order(booked, SKU_0001=1))],
    }


@pytest.mark.parametrize("kind", ["book_order", "book_shipment", "book_invoice", "cancel_order"])
async def test_whatever_answer_is_lost_there_is_one_document(
    kind: str, erp_server: TrytonServer, tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    """Every write of the command in turn: found if it happened, completed if it did in part."""
    for lose in range(1, 20):
        booked = book_order(an_order(a_line("SKU-0001", 2, "49.90"), a_line("SKU-0002", 1, "1.00")))
        *before, sent = _chain(booked)[kind]
        for one in before:
            await tryton_erp.send(one)
        async with connector(erp_server, transport=Losing(lose)) as shaky:
            try:
                await shaky.send(sent)
                break  # it needs fewer writes than that
            except InDoubt:
                pass
        done = await tryton_erp.find(sent) or await tryton_erp.send(sent)
        assert await tryton_erp.find(sent) is not None
        assert (await tryton_erp.send(sent)).reference == done.reference
        documents = await documents_of(tryton_erp, booked)
        assert all(len(found) == 1 for name, found in documents.items() if name != "shipment"), (
            documents
        )
        sale = sale_of(bookkeeper, booked)
        assert sale["state"] == "processing"
        _units_are_right(bookkeeper, booked, kind)
    assert lose > 3


def _units_are_right(keeper: Bookkeeper, booked: BookOrder, kind: str) -> None:
    """No unit is on two shipments, and none has fallen off."""
    moves = keeper.rows(
        "stock.move",
        [["origin.sale.reference", "=", booked.reference, "sale.line"]],
        ["quantity", "state", "product.code"],
    )
    count: dict[tuple[str, str], int] = {}
    for move in moves:
        code = move["product."]["code"]
        live = "gone" if move["state"] == "cancelled" else "kept"
        count[code, live] = count.get((code, live), 0) + int(move["quantity"])
    gone = 1 if kind == "cancel_order" else 0
    assert count.get(("SKU-0001", "gone"), 0) == gone
    assert count["SKU-0001", "kept"] == 2 - gone
    assert count["SKU-0002", "kept"] == 1


async def test_a_draft_left_behind_is_made_anew_when_its_total_is_another(
    erp_server: TrytonServer, tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    """The second write makes the sale; its answer is lost, and the channel edits the order."""
    first = book_order(an_order(a_line("SKU-0001", 2, "10.00")))
    async with connector(erp_server, transport=Losing(2)) as shaky:
        with pytest.raises(InDoubt):
            await shaky.send(command("book_order", first))
    assert sale_of(bookkeeper, first)["state"] == "draft"
    edited = replace(an_order(a_line("SKU-0001", 1, "10.00")), key=first.order.key)
    await tryton_erp.send(command("book_order", replace(first, order=edited)))
    sale = sale_of(bookkeeper, first)
    assert (sale["state"], sale["total_amount"]) == ("processing", Decimal("11.80"))
