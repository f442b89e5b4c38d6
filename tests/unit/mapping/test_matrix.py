"""The table "Which file has what" of docs/mappings.md against the folders.

A file that is named must bring the thing out of its own samples; where a dash stands, no file of
the folder may do so, or the table has rotted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from core import codec
from core.manifest import load_manifest
from core.mapping import Mapping, load_mapping
from core.mapping.samples import samples_of
from core.model import (
    COMMANDS,
    BookOrder,
    Discount,
    Document,
    Listing,
    Order,
    OrderLine,
    ParcelEvent,
    Payment,
    Price,
    Refund,
    Return,
    Shipment,
    StockReading,
    Tax,
)
from core.money import Money

ROOT = Path(__file__).resolve().parents[3]
SYSTEMS = (
    "shopify amazon ebay woocommerce shopee lazada tiktok_shop flipkart "
    "tryton odoo erpnext moqui ofbiz delhivery ghn"
).split()
THINGS = (
    "orders", "lines", "taxes", "discounts", "shipping", "stock", "shipments", "returns", "refunds",
    "prices", "courier events",
)  # fmt: skip
#: What a connector must accept where it books or tells a thing in Python.
ACCEPTS = dict.fromkeys(THINGS[:5], "book_order") | {"shipments": "book_shipment"}

SHIPPING, DISCOUNT, TAX = Money(567, "EUR"), Money(123, "EUR"), Money(607, "EUR")


def the_table() -> dict[tuple[str, str], str]:
    manual = (ROOT / "docs" / "mappings.md").read_text(encoding="utf-8")
    found = {}
    for row in re.findall(r"^\| `(\w+)` ((?:\|[^|\n]*){11})\|$", manual, flags=re.M):
        cells = [cell.strip() for cell in row[1].split("|")[1:]]
        found |= {(row[0], thing): cell for thing, cell in zip(THINGS, cells, strict=True)}
    return found


TABLE = the_table()


@cache
def loaded(system: str) -> dict[str, Mapping]:
    folder = ROOT / "mappings" / system
    files = [path for path in folder.glob("*.yaml") if ".test." not in path.name]
    return {path.stem: load_mapping(path, path.relative_to(ROOT).as_posix()) for path in files}


@cache
def seen(system: str, stem: str) -> frozenset[str]:
    """What a mapping brings out of (or puts into) its own samples."""
    mapping, found = loaded(system)[stem], set[str]()
    for document in samples_of(ROOT / "mappings" / system / f"{stem}.yaml"):
        if mapping.direction == "outgoing":
            found |= set(_told(mapping, document))
        else:
            record = mapping.record(document, external_id="sample", revision="1")
            found |= {thing for thing, is_there in _read(record, mapping) if is_there}
    return frozenset(found)


def _read(record: Any, mapping: Mapping) -> Iterator[tuple[str, bool]]:
    match record:
        case Order():
            lines = record.lines
            fees = [record.shipping_fee]
            yield "orders", bool(record.number)
            yield "lines", bool(lines)
            yield "taxes", any(line.taxes for line in lines)
            yield "discounts", any(line.discounts for line in lines)
            yield "shipping", any(fee is not None and fee.minor > 0 for fee in fees)
        case Listing():
            yield "stock", record.shown is not None
        case StockReading():
            yield "stock", record.on_hand is not None
        case Shipment():
            yield "shipments", bool(record.lines)
        case Return():
            money = [record.refund, *(line.refund for line in record.lines)]
            yield "returns", record.kind != "refund_only" and bool(record.lines)
            yield "refunds", any(amount is not None for amount in money)
        case Refund():
            yield "refunds", record.total.minor > 0
        case Document():
            yield "refunds", b"credit_note" in mapping.text.data
        case Price():
            yield "prices", record.list_price is not None
        case ParcelEvent():
            yield "courier events", bool(record.tracking)


def _told(mapping: Mapping, document: Any) -> Iterator[str]:
    command = codec.from_plain(COMMANDS[mapping.kind], document)
    if isinstance(command, BookOrder):
        yield "orders"
        said = set(_leaves(mapping.body(a_booking(command))))
        for thing, word in (("lines", "SKU-TOLD"), ("taxes", TAX), ("discounts", DISCOUNT)):
            if str(word).removesuffix(" EUR") in said:
                yield thing
        if str(SHIPPING.amount) in said:
            yield "shipping"
    elif mapping.kind in ("confirm_shipment", "book_shipment") and command.tracking in set(
        _leaves(mapping.body(command))
    ):
        yield "shipments"


def a_booking(command: BookOrder) -> BookOrder:
    """The sample's order with amounts that stand nowhere else."""
    line = OrderLine(
        key="1",
        sku="SKU-TOLD",
        quantity=1,
        unit_price=Money(1999, "EUR"),
        discounts=(Discount(title="d", amount=DISCOUNT),),
        taxes=(Tax(title="t", amount=TAX),),
    )
    placed = datetime(2026, 11, 20, tzinfo=UTC)
    order = replace(
        command.order, placed_at=placed, payment=Payment.PAID, lines=(line,), shipping_fee=SHIPPING
    )
    return replace(command, order=order)


def _leaves(body: Any) -> Iterator[str]:
    """Every value, as text and without a sign."""
    if isinstance(body, dict | list):
        for value in body.values() if isinstance(body, dict) else body:
            yield from _leaves(value)
    else:
        yield str(body).removeprefix("-")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_named_system_is_in_the_table(system: str) -> None:
    assert [thing for thing in THINGS if (system, thing) not in TABLE] == []


@pytest.mark.parametrize(("system", "thing"), TABLE, ids=lambda each: each)
def test_a_cell_says_what_the_folder_has(system: str, thing: str) -> None:
    cell = TABLE[system, thing]
    has = {stem for stem in loaded(system) if thing in seen(system, stem)}
    if cell == "connector":
        wanted = "confirm_shipment" if system in ("shopify", "amazon") else ACCEPTS[thing]
        assert wanted in load_manifest(system).accepts
        assert has == set()
    else:
        assert set(re.findall(r"`(\w+)`", cell)) == has
        assert has or cell == "-"
