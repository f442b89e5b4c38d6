"""The language is enough: what named systems say and want, each from its documented shapes.

What these files are built from stands in their first lines; none of them has met the real
system here, but those of Shopify, Amazon and Tryton.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.lifecycle import residue
from core.mapping import Mapping, load_mapping, run_samples
from core.mapping.coverage import coverage_of
from core.mapping.samples import samples_of
from core.mapping.samples import tests_of as examples_of
from core.model import BookOrder, Collector, Order, Return

ROOT = Path(__file__).resolve().parents[3] / "mappings"
FILES = sorted(path for path in ROOT.glob("*/*.yaml") if ".test." not in path.name)


def name(path: Path) -> str:
    return f"{path.parent.name}.{path.stem}"


def loaded(path: Path) -> Mapping:
    return load_mapping(path, path.relative_to(ROOT.parent).as_posix())


def test_the_manual_says_exactly_what_systems_without_a_connector_have() -> None:
    manual = (ROOT.parent / "docs" / "mappings.md").read_text(encoding="utf-8")
    manual = manual[manual.index("## Mappings of systems that have no connector yet") :]
    rows = re.findall(r"^\| `(\w+)` \| (.+?)? ?\| (.+?)? ?\|$", manual, flags=re.M)
    said = {
        (folder, direction): set(re.findall(r"`(\w+)`", cell))
        for folder, reads, sends in rows
        for direction, cell in (("incoming", reads), ("outgoing", sends))
        if (ROOT / folder).is_dir()
    }
    there: dict[tuple[str, str], set[str]] = {key: set() for key in said}
    for path in FILES:
        if not (ROOT.parent / "connectors" / path.parent.name).exists():
            there[path.parent.name, loaded(path).direction].add(path.stem)
    assert said == there


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_mapping_loads_and_its_examples_come_out_as_written(path: Path) -> None:
    assert examples_of(path).exists()
    assert [str(one) for one in run_samples(path, None, loaded(path))] == []


ORDERS = [path for path in FILES if path.stem == "order"]


@pytest.mark.parametrize("path", ORDERS, ids=name)
def test_every_order_of_the_samples_ties_to_the_channel_s_total(path: Path) -> None:
    """G16: lines, taxes, fees and discounts are understood so that nothing is left over."""
    mapping = loaded(path)
    for document in samples_of(path):
        order = mapping.record(document, external_id="sample", revision="1")
        if isinstance(order, Order) and order.complete:
            assert residue(order).minor == 0, (order.number, str(residue(order)))


@pytest.mark.parametrize("system", ["moqui", "ofbiz"])
def test_what_an_erp_gives_back_ties_to_the_lines_it_gives_it_for(system: str) -> None:
    path = ROOT / system / "return.yaml"
    tied = 0
    for document in samples_of(path):
        found = loaded(path).record(document)
        assert isinstance(found, Return)
        assert found.refund is not None
        amounts = [line.refund.minor for line in found.lines if line.refund is not None]
        assert sum(amounts) == found.refund.minor
        tied += 1
    assert tied


def plainly(body: dict[str, Any], lines: str, quantity: str, price: str) -> list[Any]:
    """Of an ERP that keeps taxes and discounts beside each line, as the pattern does."""
    rows = body[lines]
    taxes = [*body["shipping_taxes"], *(tax for row in rows for tax in row["taxes"])]
    ours = [tax["amount"] for tax in taxes if tax["collected_by"] != "marketplace"]
    return [
        *((row[quantity], row[price]) for row in rows),
        *((-1, one["amount"]) for row in rows for one in row["discounts"]),
        (-1, body.get("shipping_discount", 0)),
        *((1, amount) for amount in (*ours, body.get("shipping", 0), body.get("other_fees", 0))),
    ]


#: Where the amounts of an order stand in what an ERP is sent.
AMOUNTS: dict[str, Callable[[dict[str, Any]], list[Any]]] = {
    "generic_erp": lambda body: plainly(body, "lines", "quantity", "unit_price"),
    "odoo": lambda body: plainly(body, "order_line", "product_uom_qty", "price_unit"),
    "moqui": lambda body: [(row["quantity"], row["unitAmount"]) for row in body["items"]],
    "ofbiz": lambda body: [
        *((row["quantity"], row["unitPrice"]) for row in body["orderItems"]),
        *((1, row["amount"]) for row in body["orderAdjustments"]),
    ],
    "erpnext": lambda body: [
        *((row["qty"], row["rate"]) for row in body["items"]),
        *((-1, row["amount"]) for row in body["discounts"]),
        *((1, row["tax_amount"]) for row in body["taxes"]),
    ],
}


@pytest.mark.parametrize("system", AMOUNTS)
@pytest.mark.parametrize("folder", ["amazon", "shopify", "tiktok_shop", "woocommerce"])
def test_what_an_erp_is_sent_of_an_order_ties_to_the_channel_s_total(
    system: str, folder: str
) -> None:
    """G16, in the ERP's own lines: goods, discounts, shipping, fees, and taxes that are ours."""
    path, tied = ROOT / folder / "order.yaml", 0
    mapping = loaded(ROOT / system / "book_order.yaml")
    for document in samples_of(path):
        order = loaded(path).record(document, external_id="sample", revision="1")
        if not isinstance(order, Order) or not order.complete or order.tax_included:
            continue  # a tax inside the prices is told and added to nothing
        taxes = [*(tax for line in order.lines for tax in line.taxes), *order.shipping_taxes]
        body = mapping.body(BookOrder(reference="r", channel="shop", order=order, place="MAIN"))
        sent = sum((many * Decimal(amount) for many, amount in AMOUNTS[system](body)), Decimal(0))
        not_ours = [tax.amount for tax in taxes if tax.collected_by is Collector.MARKETPLACE]
        assert sent == order.total.amount - sum((one.amount for one in not_ours), Decimal(0))
        tied += 1
    assert tied


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_is_not_read_is_known(path: Path) -> None:
    mapping = loaded(path)
    if mapping.plan is None:
        return
    found = coverage_of(mapping, samples_of(path), recorded=False)
    assert found.read + len(found.unread) == found.known
    assert found.read
