"""Amazon's documents become ours, and their amounts tie to the cent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from amazon_kit import EXAMPLES, MODELS, REPO, START, a_fake, needs_shelf
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.amazon.fake_words import order_of
from core.clock import ManualClock
from core.errors import Hold
from core.lifecycle import document_total, residue, tax_total
from core.mapping import Mapping, load_mapping, run_samples
from core.model import Collector, DeadlineKind, Order, Payment, RequestState
from core.money import Money
from core.strict import load_json

FOLDER = REPO / "mappings/amazon"
ORDER = load_mapping(FOLDER / "order.yaml", "mappings/amazon/order.yaml")
LISTING = load_mapping(FOLDER / "listing.yaml", "mappings/amazon/listing.yaml")
EVERYTHING = frozenset("RECIPIENT PROCEEDS PROMOTION CANCELLATION FULFILLMENT TAX PAYMENT".split())


def mapped(document: dict[str, Any], mapping: Mapping = ORDER) -> Order:
    return mapping.record(
        document, external_id=document["orderId"], revision=document["lastUpdatedTime"]
    )


def sample(name: str) -> dict[str, Any]:
    return load_json((FOLDER / f"samples/{name}.json").read_bytes())


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


@needs_shelf
def test_the_published_example_ties_to_the_cent():
    """39.98 + 5.99 - 2.00 + 4.01 = 47.98, and the tax of it is Amazon's to remit."""
    published = load_json((EXAMPLES / "searchOrders-response.json").read_bytes())
    order = mapped(published["orders"][0])
    (line,) = order.lines
    assert line.unit_price * line.quantity == usd("39.98")
    assert order.shipping_fee == usd("5.99")
    assert [one.amount for one in line.discounts] == [usd("2.00")]
    assert [one.amount for one in line.taxes] == [usd("3.60")]
    assert [one.amount for one in order.shipping_taxes] == [usd("0.41")]
    assert document_total(order) == order.total == usd("47.98")
    assert tax_total(order, Collector.MARKETPLACE) == usd("4.01")
    assert tax_total(order, Collector.SELLER) == usd("0")
    assert order.cancellations[0].state == RequestState.REQUESTED
    assert order.cancelled_at is None
    ship_by = {one.kind: one.at for one in order.deadlines}[DeadlineKind.SHIP]
    assert ship_by == datetime(2026, 11, 23, 7, 59, 59, tzinfo=UTC)
    assert order.extras["marketplace_id"] == "ATVPDKIKX0DER"


@needs_shelf
def test_every_order_in_amazons_own_sandbox_examples_is_understood_and_ties():
    whole = json.loads((MODELS / "orders_2026-01-01.json").read_text())
    examples = []
    for path in whole["paths"].values():
        for case in path["get"]["responses"]["200"]["x-amzn-api-sandbox"]["static"]:
            answer = case["response"]
            examples += answer.get("orders", [answer["order"]] if "order" in answer else [])
    assert len(examples) == 6
    for example in examples:
        order = mapped(example)
        assert residue(order) == Money.zero(order.currency), example["orderId"]
        assert order.payment == Payment.PAID
    assert {mapped(one).currency for one in examples} == {"JPY", "GBP", "BRL", "TRY", "USD"}


@needs_shelf
def test_a_published_tip_is_a_fee_of_no_item():
    """It stands beside the items' 149.97; what these cost the example does not say item by item."""
    whole = json.loads((MODELS / "orders_2026-01-01.json").read_text())
    answer = whole["paths"]["/orders/2026-01-01/orders"]["get"]["responses"]["200"]
    example = answer["examples"]["application/json"]["orders"][0]
    assert mapped(example).other_fees == usd("5.00")


def test_a_tip_is_added_to_what_the_items_cost_beside_their_price():
    document = sample("order_unshipped")
    tip = {"type": "DELIVERY_TIP", "status": "FINALIZED", "subtotal": {"amount": "5.00"}}
    document["proceeds"].setdefault("breakdowns", []).append(tip)
    assert mapped(document).other_fees == usd("8.50")


def test_our_samples_tie():
    for name in ("order_unshipped", "order_vat_inside", "order_cancelled"):
        order = mapped(sample(name))
        assert residue(order) == Money.zero(order.currency), name


def test_a_pending_order_claims_stock_and_is_kept_from_warehouse_and_books():
    order = mapped(sample("order_pending"))
    assert (order.complete, order.reservable, order.shippable) == (False, True, False)
    assert order.payment == Payment.PENDING
    assert order.lines[0].quantity == 1
    assert order.currency == "USD"  # of the marketplace: no amount says it yet


@pytest.mark.parametrize("state", ["PENDING", "PENDING_AVAILABILITY", "UNFULFILLABLE"])
def test_an_order_amazon_does_not_release_is_not_shipped_even_with_an_address(state):
    document = sample("order_unshipped")
    document["fulfillment"]["fulfillmentStatus"] = state
    assert not mapped(document).shippable


def test_an_order_without_an_address_does_not_reach_the_warehouse():
    """A missing role leaves the address out; the order is paid and must not be forgotten."""
    document = sample("order_unshipped")
    del document["recipient"]
    order = mapped(document)
    assert (order.complete, order.shippable) == (True, False)


def test_cash_on_delivery_is_not_yet_money():
    document = sample("order_unshipped")
    document["payment"] = {"paymentExecutions": [{"paymentMethod": "CashOnDelivery"}]}
    assert mapped(document).payment == Payment.COD


def test_a_discount_of_either_sign_is_the_same_discount():
    document = sample("order_unshipped")
    before = mapped(document)
    discount = document["orderItems"][0]["proceeds"]["breakdowns"][3]
    assert discount["type"] == "DISCOUNT"
    for amount in (discount["subtotal"], *(one["value"] for one in discount["detailedBreakdowns"])):
        amount["amount"] = amount["amount"].removeprefix("-")
    assert mapped(document) == before


def test_a_discount_and_a_tax_without_details_belong_to_the_line():
    document = sample("order_unshipped")
    for breakdown in document["orderItems"][0]["proceeds"]["breakdowns"]:
        breakdown.pop("detailedBreakdowns", None)
    order = mapped(document)
    assert [one.amount for one in order.lines[0].discounts] == [usd("5.00")]
    assert [one.amount for one in order.lines[0].taxes] == [usd("2.60")]
    assert residue(order) == usd("0")


def test_an_amount_that_does_not_add_up_is_seen():
    """Negative control: the tie is not true by construction."""
    document = sample("order_unshipped")
    document["orderItems"][1]["proceeds"]["breakdowns"][1]["subtotal"]["amount"] = "3.01"
    assert residue(mapped(document)) == usd("-0.01")


def test_half_a_cent_is_held_not_rounded():
    document = sample("order_unshipped")
    document["proceeds"]["grandTotal"]["amount"] = "78.145"
    with pytest.raises(Hold, match="total"):
        mapped(document)


def test_a_new_tax_model_waits_for_a_person():
    document = sample("order_unshipped")
    document["orderItems"][0]["tax"]["taxCollections"][0]["model"] = "STATE_COLLECTS"
    with pytest.raises(Hold, match="STATE_COLLECTS"):
        mapped(document)


def test_an_fba_listing_is_never_written_and_an_empty_one_is():
    fba = LISTING.record(sample("listing_fba"))
    assert (fba.active, fba.shown) == (False, None)
    sold_out = sample("listing_ours")
    sold_out["summaries"][0]["status"] = ["DISCOVERABLE"]
    sold_out["fulfillmentAvailability"][0]["quantity"] = 0
    ours = LISTING.record(sold_out)
    assert (ours.active, ours.shown) == (True, 0)
    del sold_out["fulfillmentAvailability"]
    assert LISTING.record(sold_out).active


@given(
    lines=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 99_999)), min_size=1, max_size=5),
    discount=st.integers(0, 500),
    sign=st.sampled_from([-1, 1]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_fake_sells_ties_to_the_cent(lines, discount, sign):
    fake = a_fake(ManualClock(START))
    for number, (_, price) in enumerate(lines):
        fake.list_item(f"P-{number}", 1000, price=price + 500)
    wanted = [{"sku": f"P-{number}", "quantity": units} for number, (units, _) in enumerate(lines)]
    placed = fake.market.orders[fake.place_order(wanted, discount=discount)]
    order = mapped(order_of(placed, EVERYTHING, sign))
    assert residue(order) == usd("0")
    assert [line.sku for line in order.lines] == [one["sku"] for one in wanted]
    assert tax_total(order) == tax_total(order, Collector.MARKETPLACE)


@pytest.mark.parametrize("name", ["order", "listing"])
def test_the_examples_beside_the_mapping_come_out_as_written(name):
    assert run_samples(FOLDER / f"{name}.yaml") == []
