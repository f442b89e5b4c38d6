"""Amazon's own models judge what we send and what the fake answers, and convict planted errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from amazon_kit import (
    EXAMPLES,
    MANIFEST,
    MODELS,
    REPO,
    Exchange,
    model,
    needs_shelf,
    validate,
)
from test_amazon_connector import a_parcel, an_offer

from connectors.amazon import fake_calls
from connectors.amazon.fake_calls import OPERATIONS

pytestmark = needs_shelf
ORDERS = "orders_2026-01-01.json"
SAMPLES = REPO / "mappings/amazon/samples"


async def an_eventful_day(shop: Any) -> None:
    """Every operation, every answer a well-behaved day and a bad one can bring."""
    order = shop.fake.place_order(
        [{"sku": "TEE-BLU-M", "quantity": 2}, {"sku": "A/B 1%", "quantity": 1}], discount=200
    )
    waiting = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}], pending=True)
    shop.fake.request_cancel(waiting)
    shop.clock.advance(300)
    await shop.amazon.read("order", None, None)
    await shop.amazon.read("listing", None, None)
    await shop.amazon.fetch("listing", "TEE-BLU-M")
    await shop.amazon.publish([an_offer("TEE-BLU-M", 3), an_offer("X", 1), an_offer("A/B 1%", -1)])
    await shop.amazon.send(a_parcel(shop.fake, order, carrier="Bicycle Bob"))
    await shop.amazon.find(a_parcel(shop.fake, order))
    await shop.amazon.fetch("order", order)
    await shop.amazon.fetch("order", "000-0000000-0000000")
    await shop.amazon.probe()


async def test_every_exchange_of_an_eventful_day_is_as_published(shop, witness):
    await an_eventful_day(shop)
    assert witness.check() == 12
    assert set(shop.fake.calls()) == set(OPERATIONS)


@pytest.mark.parametrize("status", [400, 403, 404, 429])
async def test_refusals_are_as_published(shop, witness, status):
    paths = {400: "?includedData=GOSSIP", 403: "", 404: "", 429: ""}
    if status == 403:
        shop.door.token = "Atza|stale"
    if status == 429:
        shop.fake.misbehave("getOrder", "throttle")
    path = f"/orders/2026-01-01/orders/000-0000000-0000000{paths[status]}"
    answer = await shop.door.call("GET", path, budget="getOrder", expect=frozenset({status}))
    assert answer.status == status
    if status == 400:  # the request itself is wrong on purpose, so only the answer is judged
        validate(ORDERS, {"$ref": "#/definitions/ErrorList"}, answer.body)
        witness.exchanges.clear()


def test_budgets_are_the_published_usage_plans():
    """The manifest and the fake each say what the models say."""
    with (MODELS.parent / "operations.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    files = {ORDERS, "listingsItems_2021-08-01.json"}
    published = {
        row["operationId"]: (float(row["rate_per_s"]), float(row["burst"]))
        for row in rows
        if row["file"] in files or row["operationId"] == "confirmShipment"
    }
    for name, budget in MANIFEST["budgets"].items():
        assert (budget["per_second"], budget["burst"]) == published[name]
        assert OPERATIONS[name][1:] == published[name]
    assert set(MANIFEST["budgets"]) == set(OPERATIONS)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("order_*.json")), ids=lambda path: path.stem)
def test_our_own_order_samples_have_the_published_shape(sample: Path):
    validate(ORDERS, {"$ref": "#/definitions/Order"}, json.loads(sample.read_text()))


@pytest.mark.parametrize(
    "sample", sorted(SAMPLES.glob("listing_*.json")), ids=lambda path: path.stem
)
def test_our_own_listing_samples_have_the_published_shape(sample: Path):
    listing = json.loads(sample.read_text())
    validate("listingsItems_2021-08-01.json", {"$ref": "#/definitions/Item"}, listing)


# ---------------------------------------------------------------- negative controls


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (["orderState"], "OPEN"),  # a field Amazon does not have
        (["proceeds", "grandTotal", "amount"], 47.98),  # money as a number
        (["lastUpdatedTime"], "yesterday"),
        (["fulfillment", "fulfillmentStatus"], "PACKED"),
        (["orderItems"], None),
    ],
)
def test_the_judge_accepts_the_published_example_and_convicts_one_changed_field(where, value):
    example = json.loads((EXAMPLES / "searchOrders-response.json").read_text())
    schema = {"$ref": "#/definitions/SearchOrdersResponse"}
    validate(ORDERS, schema, example)
    node = example["orders"][0]
    for name in where[:-1]:
        node = node[name]
    node[where[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(ORDERS, schema, example)


@pytest.mark.parametrize(
    ("change", "crime"),
    [
        ({"query": "includedData=GOSSIP"}, "GOSSIP"),
        ({"query": "includeData=PACKAGES"}, "no parameter includeData"),
        ({"path": "/orders/2026-01-01/order/1"}, "not an operation"),
        ({"got": b'{"order": {}}'}, "required"),
        ({"got": b'{"orders": []}'}, "'order' is a required property|Additional properties"),
        ({"headers": {"content-type": "application/json"}}, "carries"),
    ],
)
def test_the_witness_convicts_a_planted_error(change, crime):
    honest = {
        "method": "GET",
        "path": "/orders/2026-01-01/orders/1",
        "query": "includedData=PACKAGES",
        "sent": b"",
        "status": 404,
        "headers": {
            "content-type": "application/json",
            "x-amzn-requestid": "1",
            "x-amzn-ratelimit-limit": "0.5",
        },
        "got": b'{"errors": [{"code": "NotFound", "message": "no"}]}',
    }
    Exchange(**honest).check()
    if b"order" in change.get("got", b""):
        change = {**change, "status": 200}
    with pytest.raises((AssertionError, jsonschema.ValidationError), match=crime):
        Exchange(**{**honest, **change}).check()


async def test_the_witness_convicts_a_fake_that_invents_a_field(shop, witness, monkeypatch):
    perform, *plan = OPERATIONS["getListingsItem"]

    def inventive(book: Any, call: Any) -> Any:
        status, body = perform(book, call)
        return status, {**body, "stockLevel": 7}

    monkeypatch.setitem(fake_calls.OPERATIONS, "getListingsItem", (inventive, *plan))
    await shop.amazon.fetch("listing", "TEE-BLU-M")
    with pytest.raises(jsonschema.ValidationError, match="stockLevel"):
        witness.check()
    witness.exchanges.clear()


async def test_the_witness_convicts_a_patch_with_an_unknown_op(shop, witness):
    body = {
        "productType": "PRODUCT",
        "patches": [{"op": "set", "path": "/attributes/fulfillment_availability", "value": [{}]}],
    }
    await shop.door.call(
        "PATCH",
        "/listings/2021-08-01/items/A1FAKESELLER/TEE-BLU-M",
        params={"marketplaceIds": "ATVPDKIKX0DER"},
        json=body,
        budget="patchListingsItem",
        expect=frozenset({400}),
    )
    with pytest.raises(jsonschema.ValidationError, match="'set' is not one of"):
        witness.check()
    witness.exchanges.clear()


def test_closing_a_model_leaves_free_attributes_free():
    listing = model("listingsItems_2021-08-01.json")["definitions"]
    assert listing["Item"]["additionalProperties"] is False
    assert (
        "additionalProperties" not in listing["ItemAttributes"]
        or listing["ItemAttributes"]["additionalProperties"]
    )
