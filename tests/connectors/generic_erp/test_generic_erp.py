"""The plain ERP: it books everything twice that is sent twice, so nothing may be."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.generic_erp.fake import Refused
from core.contract import Command
from core.errors import InDoubt, LoginNeeded, RateLimited, Rejected, Retry
from core.model import BookInvoice, BookShipment, CancelOrder, QuantityLine
from core.money import Money
from tests.connectors.http_json.kit import NOW, Bench, a_bench, a_command, a_pass


@pytest.fixture
def erp() -> Bench:
    bench = a_bench("generic_erp")
    bench.fake.set_item("MUG", "12.99", "4.20")
    bench.fake.set_stock("MUG", "MAIN", 10)
    return bench


def a_sale(reference: str = "tc:P1:book_order", **words: Any) -> Command:
    body = {
        "reference": reference,
        "currency": "EUR",
        "total": "38.97",
        "lines": [{"sku": "MUG", "quantity": 3, "unit_price": "12.99"}],
        **words,
    }
    record = BookShipment(  # any record with a reference: the engine asks for no more
        reference=reference,
        order_reference="",
        channel="portal",
        number="#1",
        shipment="",
        shipped_at=NOW,
        lines=(),
    )
    return a_command("book_order", record, body)


def a_delivery(order: str = "tc:P1:book_order") -> Command:
    record = BookShipment(
        reference="tc:P1:book_shipment",
        order_reference=order,
        channel="portal",
        number="#1",
        shipment="S1",
        shipped_at=NOW,
        lines=(QuantityLine(sku="MUG", quantity=3),),
    )
    body = {
        "reference": record.reference,
        "order_reference": order,
        "warehouse": "MAIN",
        "lines": [{"sku": "MUG", "quantity": 3}],
    }
    return a_command("book_shipment", record, body)


def an_invoice(total: str = "38.97") -> Command:
    record = BookInvoice(
        reference="tc:P1:book_invoice",
        order_reference="tc:P1:book_order",
        channel="portal",
        number="#1",
        dated=NOW,
        total=Money.parse(total, "EUR"),
    )
    body = {
        "reference": record.reference,
        "order_reference": record.order_reference,
        "dated": "2026-11-25T08:00:00Z",
        "total": total,
    }
    return a_command("book_invoice", record, body)


def a_cancel() -> Command:
    record = CancelOrder(
        reference="tc:P1:cancel", order_reference="tc:P1:book_order", order="P1", number="#1"
    )
    body = {"reference": record.reference, "order_reference": record.order_reference}
    return a_command("cancel_order", record, body)


async def test_sale_delivery_and_invoice_with_their_cost(erp: Bench) -> None:
    assert (await erp.connector.send(a_sale())).reference == "SO1"
    assert (await erp.connector.send(a_delivery())).reference == "DN1"
    assert (await erp.connector.send(an_invoice())).reference == "INV1"
    sale, delivery, invoice = erp.fake.documents()
    assert (sale["state"], sale["total"]) == ("invoiced", "38.97")
    assert (delivery["cost"], delivery["quantity"]) == ("12.60", 3)
    assert (invoice["posted"], invoice["total"]) == (True, "38.97")
    assert erp.fake.stock()[0]["quantity"] == 7


async def test_a_blind_resend_would_be_seen(erp: Bench) -> None:
    await erp.connector.send(a_sale())
    await erp.connector.send(a_sale())
    assert erp.fake.duplicates() == ["tc:P1:book_order"]
    found = await erp.connector.find(a_sale())
    assert found is not None
    assert found.note == "2 of them are there"


@pytest.mark.parametrize("make", [a_sale, a_delivery, an_invoice, a_cancel])
async def test_a_lost_answer_is_found_by_our_reference(erp: Bench, make: Any) -> None:
    if make is not a_sale:
        await erp.connector.send(a_sale())
    assert await erp.connector.find(make()) is None
    erp.faults.lose_answers = 1
    with pytest.raises(InDoubt):
        await erp.connector.send(make())
    found = await erp.connector.find(make())
    assert found is not None
    assert found.already
    assert erp.fake.duplicates() == []


@pytest.mark.parametrize("crash", ["false", "true"])
async def test_its_refusal_is_ours_whether_it_says_417_or_500(crash: str) -> None:
    erp = a_bench("generic_erp", crash=crash)
    with pytest.raises(Rejected, match="there is no sales order with reference"):
        await erp.connector.send(a_delivery())


async def test_a_locked_ledger_is_tried_again_and_nothing_was_booked(erp: Bench) -> None:
    erp.fake.lock(1)
    with pytest.raises(Retry):
        await erp.connector.send(a_sale())
    assert erp.fake.documents() == []
    await erp.connector.send(a_sale())
    assert len(erp.fake.documents()) == 1


async def test_a_real_500_stays_in_doubt(erp: Bench) -> None:
    erp.faults.status = 500
    with pytest.raises(InDoubt):
        await erp.connector.send(a_sale())


async def test_a_limit_names_its_time(erp: Bench) -> None:
    erp.faults.status, erp.faults.retry_after = 429, 17
    with pytest.raises(RateLimited) as caught:
        await erp.connector.send(a_sale())
    assert 17 <= caught.value.after_s < 30  # spread a little, never earlier


async def test_a_wrong_key_needs_a_person(erp: Bench) -> None:
    erp.fake._world.settings["api_key"] = "changed"
    with pytest.raises(LoginNeeded):
        await a_pass(erp.connector, "price")


@pytest.mark.parametrize("fault", ["html", "half"])
async def test_what_is_not_its_own_answer_is_doubt_on_a_write_and_retry_on_a_read(
    erp: Bench, fault: str
) -> None:
    setattr(erp.faults, fault, True)
    with pytest.raises(InDoubt):
        await erp.connector.send(a_sale())
    with pytest.raises(Retry):
        await a_pass(erp.connector, "price")


async def test_all_pages_of_the_documents_are_read_and_then_only_the_new_ones(erp: Bench) -> None:
    for number in range(230):
        await erp.connector.send(a_sale(f"tc:{number}"))
        erp.clock.advance(1)
    items, since = await a_pass(erp.connector, "document")
    assert len({item.external_id for item in items}) == 230
    assert since == "2026-11-25T08:03:49.000000Z"
    items, _ = await a_pass(erp.connector, "document", since)
    assert [item.external_id for item in items] == ["SO230"]


async def test_an_item_that_changes_is_read_again_with_a_new_revision(erp: Bench) -> None:
    items, since = await a_pass(erp.connector, "price")
    erp.clock.advance(60)
    erp.fake.set_item("MUG", "13.49", "4.20")
    items, _ = await a_pass(erp.connector, "price", since)
    assert [(item.revision, item.body["list_price"]) for item in items] == [("2", "13.49")]


async def test_its_stock_is_read_over_next_links(erp: Bench) -> None:
    for number in range(205):
        erp.fake.set_stock(f"SKU-{number}", "MAIN", number)
    items, since = await a_pass(erp.connector, "stock_reading")
    assert len(items) == 206
    assert since is None
    assert len([call for call in erp.calls() if call == "GET /stock"]) == 3


async def test_a_delivered_order_is_not_cancelled(erp: Bench) -> None:
    await erp.connector.send(a_sale())
    await erp.connector.send(a_delivery())
    with pytest.raises(Rejected, match="book a credit note"):
        await erp.connector.send(a_cancel())
    with pytest.raises(Refused):
        erp.fake._cancellation({"order_reference": "tc:nobody"})
