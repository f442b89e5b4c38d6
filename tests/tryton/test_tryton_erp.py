"""The ledger connector against a real Tryton: sales tied to the cent, parcels, invoices, cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.contract import Receipt
from core.errors import LoginNeeded, Rejected
from core.model import Address, Collector, Order, StockReading
from tests.tryton.builders import (
    ANN,
    a_line,
    an_order,
    book_invoice,
    book_order,
    book_shipment,
    cancel_order,
    fresh,
    fulfill_order,
    gst,
    usd,
)
from tests.tryton.harness import (
    Bookkeeper,
    Worker,
    book,
    command,
    connector,
    documents_of,
    records,
    sale_of,
)
from tests.tryton.server import TrytonServer

pytestmark = pytest.mark.real


async def _on_hand(system: Any, sku: str) -> int:
    readings = await records("tryton", system, "stock_reading")
    (one,) = [one for one in readings if one.sku == sku]
    assert isinstance(one, StockReading)
    return int(one.on_hand or 0)


# ---------------------------------------------------------------- the whole loop


async def test_an_order_becomes_sale_delivery_invoice_and_cost(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    order = an_order(
        a_line("SKU-0001", 2, "49.90", off="10.00"),
        a_line("SKU-0002", 1, "19.99"),
        shipping="5.00",
    )
    assert order.total == usd("135.45")
    shelf = await _on_hand(tryton_erp, "SKU-0001")
    booked = await book(tryton_erp, order)
    sale = sale_of(bookkeeper, booked)
    assert (sale["state"], sale["total_amount"]) == ("processing", order.total.amount)

    parcel = book_shipment(booked, SKU_0001=2, SKU_0002=1)
    assert await tryton_erp.find(command("book_shipment", parcel)) is None
    await tryton_erp.send(command("book_shipment", parcel))
    assert await _on_hand(tryton_erp, "SKU-0001") == shelf - 2

    invoice = book_invoice(booked)
    assert await tryton_erp.find(command("book_invoice", invoice)) is None
    posted = await tryton_erp.send(command("book_invoice", invoice))
    ledger = bookkeeper.postings(posted.reference)
    assert ledger == {
        "receivable": order.total.amount,
        "revenue": -sale["untaxed_amount"],
        "tax": -sale["tax_amount"],
        "cogs": Decimal("48.00"),  # 2 x 20.00 + 8.00, at the cost of the moves
        "stock_expense": Decimal("-48.00"),
    }

    documents = await documents_of(tryton_erp, booked)
    assert documents["sales_order"][0].total == order.total
    assert documents["shipment"][0].cost == usd("48.00")
    assert documents["shipment"][0].quantity == 3
    (paper,) = documents["invoice"]
    assert (paper.posted, paper.total, paper.number) == (True, order.total, posted.reference)


async def test_everything_sent_twice_is_there_once(tryton_erp: Any, bookkeeper: Bookkeeper) -> None:
    booked = book_order(an_order(a_line()))
    parcel, paper = book_shipment(booked, SKU_0001=1), book_invoice(booked)
    for kind, record in (
        ("book_order", booked),
        ("book_shipment", parcel),
        ("book_invoice", paper),
    ):
        first = await tryton_erp.send(command(kind, record))
        again = await tryton_erp.send(command(kind, record))
        found = await tryton_erp.find(command(kind, record))
        assert not first.already
        assert again.already
        assert found == Receipt(reference=first.reference, already=True)
        assert again.reference == first.reference
    documents = await documents_of(tryton_erp, booked)
    assert {kind: len(found) for kind, found in documents.items()} == {
        "sales_order": 1,
        "shipment": 1,
        "invoice": 1,
    }


async def test_two_parcels_two_invoices_one_total(tryton_erp: Any, bookkeeper: Bookkeeper) -> None:
    """Each invoice rounds its own tax; together they are the channel's total (H37)."""
    order = an_order(a_line("SKU-0001", 3, "3.33"), a_line("SKU-0002", 1, "1.11"), shipping="2.22")
    booked = await book(tryton_erp, order)
    totals = []
    for parcel, units in (
        (1, {"SKU_0001": 1}),
        (2, {"SKU_0001": 1}),
        (3, {"SKU_0001": 1, "SKU_0002": 1}),
    ):
        await tryton_erp.send(command("book_shipment", book_shipment(booked, parcel, **units)))
        paper = book_invoice(booked, parcel)
        await tryton_erp.send(command("book_invoice", paper))
    documents = await documents_of(tryton_erp, booked)
    totals = [paper.total.minor for paper in documents["invoice"] if paper.total]
    assert len(totals) == 3
    assert sum(totals) == order.total.minor
    assert sale_of(bookkeeper, booked)["shipment_state"] == "sent"


async def test_the_cost_is_that_of_the_day_the_goods_left(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    booked = await book(tryton_erp, an_order(a_line("00123", 2, "7.77")))
    then = bookkeeper.cost_of("00123")
    await tryton_erp.send(command("book_shipment", book_shipment(booked, x00123=2)))
    bookkeeper.buy("00123", 100, "99.00")
    assert bookkeeper.cost_of("00123") != then
    posted = await tryton_erp.send(command("book_invoice", book_invoice(booked)))
    assert bookkeeper.postings(posted.reference)["cogs"] == then * 2


async def test_nothing_shipped_nothing_invoiced(tryton_erp: Any) -> None:
    booked = await book(tryton_erp, an_order(a_line()))
    with pytest.raises(Rejected, match="nothing of sale"):
        await tryton_erp.send(command("book_invoice", book_invoice(booked)))


async def test_an_invoice_over_another_total_is_not_posted(tryton_erp: Any) -> None:
    booked = await book(tryton_erp, an_order(a_line()))
    await tryton_erp.send(command("book_shipment", book_shipment(booked, SKU_0001=1)))
    wrong = book_invoice(booked, total=usd("99.00"))
    with pytest.raises(Rejected, match=r"99\.00 USD.*58\.88"):
        await tryton_erp.send(command("book_invoice", wrong))
    assert await tryton_erp.find(command("book_invoice", wrong)) is None
    assert not (await documents_of(tryton_erp, booked))["invoice"][0].posted


async def test_the_warehouse_ships_what_the_ledger_does_not_have(tryton_erp: Any) -> None:
    """The parcel has left. The ledger's copy goes below zero and reconciliation shows it."""
    shelf = await _on_hand(tryton_erp, "00123")
    units = shelf + 400
    booked = await book(tryton_erp, an_order(a_line("00123", units, "7.77")))
    await tryton_erp.send(command("book_shipment", book_shipment(booked, x00123=units)))
    assert await _on_hand(tryton_erp, "00123") == -400


async def test_more_shipped_than_sold_is_refused_by_name(tryton_erp: Any) -> None:
    booked = await book(tryton_erp, an_order(a_line("SKU-0001", 1)))
    with pytest.raises(Rejected, match="1 x SKU-0001"):
        await tryton_erp.send(command("book_shipment", book_shipment(booked, SKU_0001=2)))


# ---------------------------------------------------------------- to the cent

TIES = {
    "tax on top": an_order(a_line("SKU-0001", 3, "33.33")),
    "tax inside": an_order(
        a_line("SKU-0001", 1, "49.90", inside=True),
        a_line("SKU-0002", 3, "19.99", inside=True, off="7.77"),
        shipping="4.99",
        tax_included=True,
    ),
    "tax inside, none named: the product's own": an_order(
        a_line("SKU-0001", 1, "49.90", rate=None),
        a_line("SKU-0002", 7, "1.01", rate=None),
        tax_included=True,
    ),
    "three rates": an_order(
        a_line("SKU-0001", 1, "10.05"),
        a_line("SKU-0002", 1, "10.05", rate="0.05"),
        a_line("SKU-0003", 1, "10.05", rate="0.19"),
    ),
    "each line rounded by the channel": an_order(
        *(a_line(sku, 1, "0.33") for sku in ("SKU-0001", "SKU-0002", "SKU-0003", "00123"))
    ),
    "a thousand pieces": an_order(a_line("SKU-0001", 1000, "0.33", off="0.01", inside=True),
                                  tax_included=True),
    "no tax at all": an_order(a_line("SKU-0001", 2, "5.00", rate=None), shipping=""),
    "a free gift": an_order(
        a_line("SKU-0001", 1, "5.00"), a_line("SKU-0002", 1, "3.00", off="3.00")
    ),
    "half a cent, which Tryton rounds to even": an_order(a_line("SKU-0001", 1, "0.25")),
    "fees": an_order(a_line("SKU-0001", 1, "5.00"), other_fees=usd("1.50")),
    # 5.00 with 0.90 on top, the fee 1.50 with 0.27 on top of it, and a tip without any.
    "a fee with its tax, and a tip": an_order(
        a_line("SKU-0001", 1, "5.00"),
        other_fees=usd("1.50"),
        fee_taxes=(gst(usd("1.50")),),
        tip=usd("2.00"),
    ),
    # Rounded down by the channel itself, by more than settings.rounding_limit.
    "cash rounding": an_order(a_line("SKU-0001", 1, "5.00"), rounding=usd("-0.36")),
    "one cent the channel cannot explain": an_order(a_line("SKU-0001", 1, "5.00"), total="5.91"),
}  # fmt: skip


#: Those whose invoice is made as well: it takes seconds, and adds up by the same rules.
INVOICED = {"tax inside", "three rates", "each line rounded by the channel"}


@pytest.mark.parametrize("name", TIES)
async def test_the_sale_is_the_channels_total_to_the_cent(
    name: str, tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    order = TIES[name]
    booked = await book(tryton_erp, order)
    assert sale_of(bookkeeper, booked)["total_amount"] == order.total.amount
    if name not in INVOICED:
        return
    units: dict[str, int] = {}
    for line in order.lines:
        units[f"x{line.sku}"] = units.get(f"x{line.sku}", 0) + line.quantity
    parcel = book_shipment(booked, **units)
    await tryton_erp.send(command("book_shipment", parcel))
    await tryton_erp.send(command("book_invoice", book_invoice(booked)))
    (paper,) = (await documents_of(tryton_erp, booked))["invoice"]
    assert paper.total == order.total


async def test_a_rest_becomes_one_named_line(tryton_erp: Any, bookkeeper: Bookkeeper) -> None:
    booked = await book(tryton_erp, an_order(a_line("SKU-0001", 1, "5.00"), total="5.92"))
    rounding = [
        line for line in bookkeeper.lines(booked.reference) if line["description"] == "Rounding"
    ]
    assert [line["amount"] for line in rounding] == [Decimal("0.02")]
    assert rounding[0]["product."]["code"] == "ROUNDING"


async def test_a_larger_rest_is_refused_with_both_numbers(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    booked = book_order(an_order(a_line("SKU-0001", 1, "5.00"), total="5.93"))
    with pytest.raises(Rejected, match=r"5\.93 USD.*5\.90 USD.*rounding_limit"):
        await tryton_erp.send(command("book_order", booked))
    assert bookkeeper.sales(booked.reference) == []


async def test_a_marketplaces_tax_is_not_ours(tryton_erp: Any, bookkeeper: Bookkeeper) -> None:
    order = an_order(a_line("SKU-0001", 1, "10.00", rate="0.0825", by=Collector.MARKETPLACE))
    assert order.total == usd("10.83")
    booked = await book(tryton_erp, order)
    sale = sale_of(bookkeeper, booked)
    assert (sale["total_amount"], sale["tax_amount"]) == (Decimal("10.00"), 0)
    await tryton_erp.send(command("book_shipment", book_shipment(booked, SKU_0001=1)))
    await tryton_erp.send(command("book_invoice", book_invoice(booked)))
    (paper,) = (await documents_of(tryton_erp, booked))["invoice"]
    assert paper.total == usd("10.00")


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (an_order(a_line("NO-SUCH", 1)), "'NO-SUCH'"),
        (an_order(a_line("SKU-0001", 1, rate="0.12")), r"12 % \(5\.99 USD\).*18 %"),
        (replace(an_order(a_line()), currency="EUR"), "in EUR, the ledger is in USD"),
    ],
    ids=["unknown SKU", "unknown rate", "other currency"],
)
async def test_what_the_ledger_cannot_book_is_refused_in_words(
    order: Order, says: str, tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    booked = book_order(order)
    with pytest.raises(Rejected, match=says):
        await tryton_erp.send(command("book_order", booked))
    assert bookkeeper.sales(booked.reference) == []


# ---------------------------------------------------------------- buyers


async def test_one_party_per_address_of_mail_and_never_a_stranger(
    tryton_erp: Any, bookkeeper: Bookkeeper
) -> None:
    mail = f"Ann_{fresh()}@example.com"
    same = replace(ANN, street="2 Other Street")
    orders = [
        an_order(a_line(), email=mail.replace("_", "x")),  # "_" is a wildcard in a LIKE
        an_order(a_line(), email=mail),
        an_order(a_line(), email=mail.lower(), ship_to=same),
        an_order(a_line(), email=""),  # the same name and address, and yet nobody known
        an_order(a_line(), email=""),
    ]
    parties = [sale_of(bookkeeper, await book(tryton_erp, order))["party"] for order in orders]
    assert parties[1] == parties[2]
    assert len(set(parties)) == 4
    (known,) = bookkeeper.rows("party.party", [["id", "=", parties[1]]], ["addresses"])
    assert len(known["addresses"]) == 2


async def test_a_collective_customer_keeps_buyers_out_of_the_ledger(
    erp_server: TrytonServer, bookkeeper: Bookkeeper
) -> None:
    address = [["create", [{"street": "Collective"}]]]
    (party,) = bookkeeper.call("party.party", "create", [{"name": "Web", "addresses": address}])
    (row,) = bookkeeper.rows("party.party", [["id", "=", party]], ["code"])
    async with connector(erp_server, customer=row["code"]) as system:
        booked = await book(system, an_order(a_line(), ship_to=Address(name="Somebody Secret")))
    assert sale_of(bookkeeper, booked)["party"] == party
    assert bookkeeper.rows("party.party", [["name", "=", "Somebody Secret"]], ["id"]) == []


async def test_a_wrong_key_is_for_a_person(erp_server: TrytonServer) -> None:
    async with connector(erp_server, key="0" * 128) as system:
        with pytest.raises(LoginNeeded):
            await system.send(command("book_order", book_order(an_order(a_line()))))


async def test_the_ledger_follows_the_warehouses_word(
    tryton_erp: Any, tryton_wms: Any, bookkeeper: Bookkeeper, worker: Worker
) -> None:
    """Two real programs: the packers find one unit less, and the ledger delivers one less."""
    order = an_order(a_line("SKU-0001", 2, "10.00"), a_line("SKU-0002", 1, "20.00"))
    booked = await book(tryton_erp, order)
    asked = fulfill_order(SKU_0001=2, SKU_0002=1)
    await tryton_wms.send(command("fulfill_order", asked))
    worker.send_off(asked.reference, tracking="TRK-9", found={"SKU-0001": 1})
    (parcel,) = [
        one
        for one in await records("tryton_wms", tryton_wms, "shipment")
        if one.reference == asked.reference
    ]
    told = replace(book_shipment(booked), lines=parcel.lines, tracking=parcel.tracking)
    await tryton_erp.send(command("book_shipment", told))
    await tryton_erp.send(command("cancel_order", cancel_order(booked, SKU_0001=1)))
    posted = await tryton_erp.send(command("book_invoice", book_invoice(booked)))
    ledger = bookkeeper.postings(posted.reference)
    assert ledger["receivable"] == Decimal("35.40")  # 30.00 and 18 %
    assert ledger["cogs"] == Decimal("28.00")
    assert sale_of(bookkeeper, booked)["shipment_state"] == "sent"


# ---------------------------------------------------------------- what it owns


async def test_prices_costs_and_taxes_are_read(tryton_erp: Any, bookkeeper: Bookkeeper) -> None:
    bookkeeper.change_price("SKU-0003", "131.50")
    prices = {price.sku: price for price in await records("tryton", tryton_erp, "price")}
    assert prices["SKU-0003"].list_price == usd("131.50")
    assert prices["SKU-0003"].unit_cost == usd("61.50")
    assert prices["00123"].tax_rate == Decimal("0.18")
    assert prices["SHIPPING"].tax_rate is None


async def test_line_rounding_ties_as_well(erp_server: TrytonServer, bookkeeper: Bookkeeper) -> None:
    """A ledger that rounds tax per line is asked, not assumed."""
    (row,) = bookkeeper.rows("account.configuration", [], ["id"])
    bookkeeper.call("account.configuration", "write", [row["id"]], {"tax_rounding": "line"})
    try:
        order = an_order(
            *(a_line(sku, 1, "0.33") for sku in ("SKU-0001", "SKU-0002", "SKU-0003", "00123"))
        )
        async with connector(erp_server, rounding_limit="0") as system:
            booked = await book(system, order)
        assert sale_of(bookkeeper, booked)["total_amount"] == order.total.amount
    finally:
        bookkeeper.call("account.configuration", "write", [row["id"]], {"tax_rounding": "document"})
