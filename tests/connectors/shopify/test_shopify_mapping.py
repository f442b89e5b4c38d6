"""The mapping files: money ties, also after edits, and for the published example."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shopify_kit import REPOSITORY, a_shipment, bench, shelf

from connectors.shopify.standing import standing
from core.mapping.mapping import Mapping, load_mapping
from core.mapping.samples import run_samples
from core.model import Collector, Listing, Order, Payment
from core.money import Money
from core.strict import load_json

FOLDER = REPOSITORY / "mappings" / "shopify"


@cache
def mapping(name: str) -> Mapping:
    return load_mapping(FOLDER / f"{name}.yaml", f"mappings/shopify/{name}.yaml")


def sample(name: str) -> Any:
    return load_json((FOLDER / "samples" / name).read_bytes())


def added_up(order: Order) -> Money:
    """Lines + tax + shipping - discounts, written here a second time and not taken from core."""
    minor = 0
    for line in order.lines:
        minor += line.quantity * line.unit_price.minor
        minor -= sum(discount.amount.minor for discount in line.discounts)
    for fee in (order.shipping_fee, order.other_fees):
        minor += fee.minor if fee else 0
    minor -= order.shipping_discount.minor if order.shipping_discount else 0
    if not order.tax_included:
        taxes = [tax for line in order.lines for tax in line.taxes] + list(order.shipping_taxes)
        minor += sum(tax.amount.minor for tax in taxes)
    return Money(minor, order.currency)


@pytest.mark.parametrize("name", ["order", "listing"])
def test_the_examples_beside_the_mapping_come_out_as_written(name: str) -> None:
    assert [str(problem) for problem in run_samples(FOLDER / f"{name}.yaml")] == []


@pytest.mark.parametrize("name", ["order_1001.json", "order_1002_edited.json", "order_us.json"])
def test_the_samples_tie_to_the_minor_unit(name: str) -> None:
    order = mapping("order").record(sample(name))
    assert added_up(order) == order.total


def test_a_document_that_does_not_tie_is_seen() -> None:
    """The negative control of the addition above."""
    node = sample("order_1001.json")
    node["now"]["shipping"]["fee"] = "6.00"
    order = mapping("order").record(node)
    assert (added_up(order) - order.total).minor == 1


def test_the_published_example_ties() -> None:
    """Somebody else's order, never seen by our fake: 2 x 19.99 - 2.00 + 5.99 = 43.97 EUR."""
    text = shelf("examples", "shopify", "orders-response.json").read_bytes()
    (node,) = load_json(text)["data"]["orders"]["nodes"]
    order = mapping("order").record(standing(node))
    assert order.total == Money(4397, "EUR")
    assert added_up(order) == order.total
    assert order.number == "#1041"
    assert order.payment is Payment.PAID
    (line,) = order.lines
    assert (line.sku, line.quantity, line.unit_price) == ("TEE-BLU-M", 2, Money(1999, "EUR"))
    assert [discount.amount for discount in line.discounts] == [Money(200, "EUR")]
    # Its taxes are its own total of taxes: 6.06 + 0.96 = 7.02.
    taxes = [tax.amount for tax in (*line.taxes, *order.shipping_taxes)]
    assert Money.total(taxes, "EUR") == Money(702, "EUR")
    assert {tax.collected_by for tax in line.taxes} == {Collector.SELLER}
    assert order.ship_to.postcode == "10115"
    # Its document did not ask for the current presentment total; ours does.
    assert order.presentment_total is None


def test_two_shipping_lines_are_one_fee() -> None:
    node = sample("order_1001.json")
    node["shippingLines"]["nodes"] *= 2
    order = mapping("order").record(standing(node))
    assert order.shipping_fee == Money(1198, "EUR")
    assert order.shipping_discount == Money(200, "EUR")
    assert len(order.shipping_taxes) == 2


def test_a_listing_is_known_by_item_and_place() -> None:
    record = mapping("listing").record(sample("listing.json"))
    assert isinstance(record, Listing)
    assert (record.key, record.place) == (
        "gid://shopify/InventoryItem/1001",
        "gid://shopify/Location/1",
    )


# ---------------------------------------------------------------- any order of the fake

cents = st.integers(min_value=1, max_value=50_000)
rows = st.lists(st.tuples(cents, st.integers(min_value=1, max_value=9)), min_size=1, max_size=6)


def text(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


async def _mapped(
    bought: list[tuple[int, int]],
    facts: dict[str, Any],
    removed: list[int],
    *,
    canceled: bool = False,
) -> tuple[Order, Any]:
    of = bench()
    for number, (price, _) in enumerate(bought):
        of.fake.add_product(f"S{number}", price=text(price), stock=20)
    wanted = [{"sku": f"S{n}", "quantity": units} for n, (_, units) in enumerate(bought)]
    placed = of.fake.place_order(wanted, **facts)
    for number, units in enumerate(removed):
        if units:
            of.fake.remove_units(placed["name"], f"S{number}", units)
    if canceled:
        of.fake.cancel_order(placed["name"])
    item = await of.connector.fetch("order", placed["id"])
    assert item is not None
    return mapping("order").record(item.body), of.fake.order(placed["name"])


@st.composite
def sales(draw: st.DrawFn) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    bought = draw(rows)
    gross = sum(price * units for price, units in bought)
    shipping = draw(st.integers(min_value=0, max_value=2000))
    facts = {
        "tax_included": draw(st.booleans()),
        "tax_rate": draw(st.sampled_from(["0", "0.07", "0.19", "0.0725", "0.25"])),
        "discount": text(draw(st.integers(min_value=0, max_value=gross))),
        "shipping": text(shipping),
        "shipping_discount": text(draw(st.integers(min_value=0, max_value=shipping))),
    }
    return bought, facts


@settings(max_examples=60, deadline=None)
@given(sale=sales())
def test_any_order_ties_to_the_minor_unit(
    sale: tuple[list[tuple[int, int]], dict[str, Any]],
) -> None:
    order, theirs = asyncio.run(_mapped(*sale, []))
    assert str(order.total.amount) == theirs["total"]
    assert added_up(order) == order.total


@settings(max_examples=60, deadline=None)
@given(sale=sales(), data=st.data())
def test_an_edited_order_ties_but_for_rounding(
    sale: tuple[list[tuple[int, int]], dict[str, Any]], data: st.DataObject
) -> None:
    """Each discount and tax of a line is cut to its share: half a minor unit each at most."""
    bought, facts = sale
    removed = [data.draw(st.integers(min_value=0, max_value=units)) for _, units in bought]
    order, _ = asyncio.run(_mapped(bought, facts, removed))
    shares = sum(len(line.discounts) + len(line.taxes) + 1 for line in order.lines)
    assert abs((added_up(order) - order.total).minor) <= (shares + 1) // 2


@settings(max_examples=20, deadline=None)
@given(sale=sales())
def test_a_canceled_order_is_nothing(
    sale: tuple[list[tuple[int, int]], dict[str, Any]],
) -> None:
    order, _ = asyncio.run(_mapped(*sale, [], canceled=True))
    assert order.cancelled_at is not None
    assert order.total == Money.zero("EUR")
    assert added_up(order) == order.total


async def test_a_shipped_order_still_maps() -> None:
    of = bench()
    of.fake.add_product("A", price="10.00", stock=5)
    placed = of.fake.place_order([{"sku": "A", "quantity": 1}])
    await of.connector.send(a_shipment(of.fake.order(placed["name"])))
    item = await of.connector.fetch("order", placed["id"])
    assert item is not None
    order = mapping("order").record(item.body)
    assert order.channel_state == "FULFILLED"
    assert [line.fulfilled for line in order.lines] == [1]
    line = item.body["lineItems"]["nodes"][0]
    line["unfulfilledQuantity"] = 1
    assert [one.fulfilled for one in mapping("order").record(item.body).lines] == [0]
    del line["unfulfilledQuantity"]  # as in the published example: nothing is said of it
    assert [one.fulfilled for one in mapping("order").record(item.body).lines] == [0]


def test_the_samples_hold_nothing_of_a_real_buyer() -> None:
    for path in sorted((FOLDER / "samples").glob("order_*.json")):
        assert json.loads(path.read_text())["email"] == "mara@example.com"
