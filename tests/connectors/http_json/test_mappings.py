"""The mappings of the plain systems: complete, their examples hold, and they fit their fakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.codec import from_json
from core.contract import Command, Push
from core.manifest import load_manifest
from core.mapping import Mapping, load_mapping, run_samples
from core.model import COMMANDS, Payment
from core.money import Money
from tests.connectors.http_json.kit import a_bench, a_pass

ROOT = Path(__file__).parents[3] / "mappings"
NAMES = ("generic_wms", "generic_erp", "generic_channel")
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for name in NAMES
    for path in (ROOT / name).glob("*.yaml")
    if not path.name.endswith(".test.yaml")
)


def a_mapping(connector: str, name: str) -> Mapping:
    return load_mapping(ROOT / connector / f"{name}.yaml", f"mappings/{connector}/{name}.yaml")


def a_command(connector: str, kind: str) -> Command:
    """Our sample of a command, with the body its mapping makes of it."""
    sample = (ROOT / connector / "samples" / f"{kind}.json").read_bytes()
    record: Any = from_json(COMMANDS[kind], sample)
    body = a_mapping(connector, kind).body(record)
    return Command(key=record.reference, kind=kind, record=record, body=body)


@pytest.mark.parametrize("file", FILES)
def test_every_mapping_has_examples_and_they_hold(file: str) -> None:
    assert (ROOT / file.replace(".yaml", ".test.yaml")).exists()
    assert run_samples(ROOT / file) == []


@pytest.mark.parametrize("name", NAMES)
def test_there_is_a_mapping_for_every_promise_of_the_manifest(name: str) -> None:
    manifest = load_manifest(name)
    there = {Path(file).stem for file in FILES if file.startswith(f"{name}/")}
    # A pattern for warehouses that report movements; the pretended one reports numbers.
    pattern = {"stock_movement"} if name == "generic_wms" else set()
    assert there == {*manifest.reads, *manifest.accepts, *pattern}


async def test_an_order_of_the_channel_becomes_ours_by_push_and_by_poll() -> None:
    bench = a_bench("generic_channel")
    bench.fake.list_item("00123", title="Mug", price="12.99", quantity=5)
    await bench.fake.place_order("00123", 3, shipping="4.99")
    headers, body = bench.pushes[0]
    (event,) = bench.connector.events(
        Push(topic=headers["x-channel-topic"], headers=headers, body=body)
    )
    (polled,), _ = await a_pass(bench.connector, "order")
    mapping = a_mapping("generic_channel", "order")
    orders = [
        mapping.record(item.body, external_id=item.external_id, revision=item.revision)
        for item in (event.item, polled)
        if item is not None
    ]
    assert len(orders) == 2
    assert orders[0] == orders[1]
    assert orders[0].total == Money(4396, "EUR")
    assert orders[0].payment is Payment.PAID
    assert orders[0].revision == "1"
    lines = Money.total([line.unit_price * line.quantity for line in orders[0].lines], "EUR")
    assert lines + orders[0].shipping_fee == orders[0].total
    listing = (await a_pass(bench.connector, "listing"))[0][0]
    made = a_mapping("generic_channel", "listing").record(
        listing.body, external_id=listing.external_id
    )
    assert (made.key, made.shown) == ("00123", 2)


async def test_an_order_is_shipped_by_the_warehouse_and_the_readings_exclude_it() -> None:
    bench = a_bench("generic_wms")
    for sku in ("00123", "STICKER"):
        bench.fake.receive(sku, "MAIN", 10)
    command = a_command("generic_wms", "fulfill_order")
    await bench.connector.send(command)
    await bench.fake.ship(command.key)
    (item,), _ = await a_pass(bench.connector, "shipment")
    shipment = a_mapping("generic_wms", "shipment").record(
        item.body, external_id=item.external_id, revision=item.revision
    )
    assert shipment.reference == command.key
    assert [(line.sku, line.quantity) for line in shipment.lines] == [("00123", 3), ("STICKER", 1)]
    rows, _ = await a_pass(bench.connector, "stock_reading")
    mapping = a_mapping("generic_wms", "stock_reading")
    for row in rows:
        reading = mapping.record(row.body, external_id=row.external_id, revision=row.revision)
        assert reading.key == f"{reading.sku}:MAIN"
        assert reading.counter >= shipment.counter
    cancel = a_command("generic_wms", "cancel_fulfillment")
    assert await bench.connector.find(cancel) is None


async def test_the_books_hold_what_was_sent() -> None:
    bench = a_bench("generic_erp")
    bench.fake.set_item("00123", "12.99", "4.20")
    bench.fake.set_item("STICKER", "0.01", "0.00")
    for kind in ("book_order", "book_shipment", "book_invoice"):
        command = a_command("generic_erp", kind)
        receipt = await bench.connector.send(command)
        found = await bench.connector.find(command)
        assert found is not None
        assert found.reference == receipt.reference
    mapping = a_mapping("generic_erp", "document")
    documents = [
        mapping.record(item.body, external_id=item.external_id)
        for item in (await a_pass(bench.connector, "document"))[0]
    ]
    assert [document.kind for document in documents] == ["sales_order", "shipment", "invoice"]
    assert documents[1].cost == Money(1260, "EUR")
    assert documents[2].total == Money(4397, "EUR")
    price = (await a_pass(bench.connector, "price"))[0][0]
    made = a_mapping("generic_erp", "price").record(price.body, external_id=price.external_id)
    assert made.unit_cost == Money(420, "EUR")


async def test_a_parcel_is_confirmed_to_the_channel() -> None:
    bench = a_bench("generic_channel")
    bench.fake.list_item("00123", quantity=5)
    for _ in range(42):
        bench.fake.list_item("00123", quantity=5)
        await bench.fake.place_order("00123")
    receipt = await bench.connector.send(a_command("generic_channel", "confirm_shipment"))
    assert receipt.reference == "P000042-S1"
    assert bench.fake.shipments()[0]["tracking"] == "PP00000012"
