"""Our documents and the fake's answers against what Shopify itself publishes.

The introspection judges both directions: validation and variable coercion what
we send, execution over the answer as root value what the fake says. The schema
does not know two rules of the run time (`@idempotent`, a present
`changeFromQuantity`), so those are pinned by hand.
"""

from __future__ import annotations

import asyncio
import json
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from shopify_kit import Bench, a_shipment, bench, schema, shelf

from connectors.shopify import documents
from core.contract import Offer

graphql = pytest.importorskip("graphql", reason="needs the `proof` extra")
values = pytest.importorskip("graphql.execution.values", reason="needs the `proof` extra")

VERSIONS = ("2026-07", "2026-10")


def offer(of: Bench, sku: str, quantity: int, shown: int | None) -> Offer:
    listing, place = of.ids(sku)
    return Offer(
        listing=listing, place=place, sku=sku, quantity=quantity, shown=shown, key=f"k:{sku}"
    )


async def everything(of: Bench) -> None:
    """One walk over every document, with good and bad endings."""
    fake, connector = of.fake, of.connector
    fake.add_location("Shop")
    fake.add_product("00123", "Cotton tee", "19.99", {"Main warehouse": 10, "Shop": 3})
    fake.add_product("MUG", "Mug", "12.50", 5)
    fake.add_product("CARD", "Gift card", "25.00", 9, requires_shipping=False)
    await connector.ensure_subscriptions("https://truecount.example/hooks/shopify")
    rows = [{"sku": "00123", "quantity": 2}, {"sku": "CARD", "quantity": 1}]
    first = fake.place_order(rows, shipping="5.99", shipping_discount="1.00", discount="4.01")
    second = fake.place_order([{"sku": "MUG", "quantity": 2}], tax_included=False, tax_rate="0.07")
    fake.remove_units(second["name"], "MUG", 1)
    await connector.read("order", None, None)
    await connector.read("order", "2026-11-20T11:00:00Z", None)
    await connector.fetch("order", first["id"])
    await connector.fetch("order", "gid://shopify/Order/1")
    await connector.read("listing", None, None)
    await connector.send(a_shipment(fake.order(first["name"]), [("00123", 2)]))
    await connector.find(a_shipment(fake.order(first["name"]), [("00123", 2)]))
    fake.cancel_order(second["name"])
    await connector.fetch("order", second["id"])
    fake.set_stock("MUG", 7)
    await connector.publish([offer(of, "MUG", 4, 5), offer(of, "00123", 6, 8)])
    await connector.publish([offer(of, "CARD", 3, None)])
    await connector.probe()


@cache
def exchanges() -> list[tuple[dict[str, Any], Any]]:
    """What was said during the walk, as sent and answered."""
    of = bench()
    asyncio.run(everything(of))
    return [(asked, answer) for asked, _, answer in of.tap.exchanges]


def type_of(value: Any, *_: Any) -> str:
    """Answers do not carry __typename; their ids and keys tell."""
    if "id" in value:
        return str(value["id"]).split("/")[3]
    return "DiscountCodeApplication" if "code" in value else "AutomaticDiscountApplication"


def run(version: str, asked: dict[str, Any], data: Any) -> Any:
    """Execute the document over the answer: what the schema lets through."""
    result = graphql.execute(
        schema(version),
        graphql.parse(asked["query"]),
        root_value=data,
        variable_values=asked["variables"],
        type_resolver=type_of,
    )
    return result


def wrong_variables(version: str, asked: dict[str, Any]) -> list[Any]:
    """What coercion has against the variables. graphql-core returns a list only of errors."""
    (operation,) = graphql.parse(asked["query"]).definitions
    found = values.get_variable_values(
        schema(version), operation.variable_definitions or (), asked["variables"]
    )
    return found if isinstance(found, list) else []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", documents.ALL, ids=lambda document: document.name)
def test_every_document_is_valid(version: str, document: documents.Document) -> None:
    parsed = graphql.parse(document.text)
    assert graphql.validate(schema(version), parsed) == []
    (operation,) = parsed.definitions
    assert operation.name.value == document.name
    assert (operation.operation.value == "mutation") == document.writes


def test_the_walk_says_every_document() -> None:
    said = {asked["operationName"] for asked, _ in exchanges()}
    # Paging documents are said where lists are long: test_shopify_reading.py.
    assert said >= {document.name for document in documents.ALL} - {"OrderLines", "ItemLevels"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_variable_fits_the_schema(version: str) -> None:
    for asked, _ in exchanges():
        assert wrong_variables(version, asked) == [], asked["operationName"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_answer_of_the_fake_fits_the_schema(version: str) -> None:
    for asked, answer in exchanges():
        result = run(version, asked, answer["data"])
        assert result.errors is None, (asked["operationName"], result.errors)
        assert result.data == answer["data"], asked["operationName"]


def test_long_lists_fit_the_schema_too() -> None:
    of = bench()

    async def walk() -> None:
        for number in range(25):
            of.fake.add_location(f"place {number}")
        places = {f"gid://shopify/Location/{number}": 1 for number in range(1, 26)}
        of.fake.add_product("WIDE", "Wide", "1.00", places)
        of.fake.add_product("T", "T", "1.00", 500)
        of.fake.place_order([{"sku": "T", "quantity": 1}] * 120)
        await of.connector.read("order", None, None)
        await of.connector.read("listing", None, None)

    asyncio.run(walk())
    assert {"OrderLines", "ItemLevels"} <= set(of.tap.names())
    for asked, _, answer in of.tap.exchanges:
        result = run("2026-07", asked, answer["data"])
        assert result.errors is None
        assert result.data == answer["data"]


# ---------------------------------------------------------------- the oracle convicts


def _said(name: str) -> tuple[dict[str, Any], Any]:
    return deepcopy(next(pair for pair in exchanges() if pair[0]["operationName"] == name))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_removed_field_is_convicted(version: str) -> None:
    asked, _ = _said("SetQuantities")
    for line in asked["variables"]["input"]["quantities"]:
        line["compareQuantity"] = line.pop("changeFromQuantity")
    assert "compareQuantity" in str(wrong_variables(version, asked))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_word_in_an_answer_is_convicted(version: str) -> None:
    asked, answer = _said("Orders")
    answer["data"]["orders"]["nodes"][0]["displayFinancialStatus"] = "PAYED"
    assert "PAYED" in str(run(version, asked, answer["data"]).errors)


def test_a_missing_field_in_an_answer_is_convicted() -> None:
    asked, answer = _said("Orders")
    del answer["data"]["orders"]["nodes"][0]["totalPriceSet"]
    assert "totalPriceSet" in str(run("2026-07", asked, answer["data"]).errors)


def test_a_misspelled_field_in_a_document_is_convicted() -> None:
    text = documents.ORDERS.text.replace("displayFinancialStatus", "financialStatus")
    assert graphql.validate(schema("2026-07"), graphql.parse(text))


# ---------------------------------------------------------------- what the schema cannot see


def test_the_idempotency_directive_sits_on_the_field() -> None:
    (operation,) = graphql.parse(documents.SET_QUANTITIES.text).definitions
    (root,) = operation.selection_set.selections
    assert [directive.name.value for directive in root.directives] == ["idempotent"]
    assert not operation.directives


def test_the_schema_alone_would_let_the_directive_go() -> None:
    text = documents.SET_QUANTITIES.text.replace("@idempotent(key:$key)", "").replace(
        ",$key:String!", ""
    )
    assert graphql.validate(schema("2026-07"), graphql.parse(text)) == []


def test_the_mutations_we_repeat_take_the_directive_and_the_others_do_not() -> None:
    table = shelf("shopify", "idempotent-mutations.tsv").read_text().splitlines()
    takes = {line.split("\t")[0] for line in table[1:] if line.split("\t")[4] == "required"}
    for document in documents.ALL:
        root = graphql.parse(document.text).definitions[0].selection_set.selections[0]
        has = any(one.name.value == "idempotent" for one in root.directives or ())
        assert has == (root.name.value in takes), document.name


def test_every_quantity_says_what_it_changes_from() -> None:
    written = [a["variables"] for a, _ in exchanges() if a["operationName"] == "SetQuantities"]
    lines = [line for one in written for line in one["input"]["quantities"]]
    assert lines
    assert all("changeFromQuantity" in line for line in lines)
    assert any(line["changeFromQuantity"] is None for line in lines)


def test_orders_are_sorted_by_what_the_watermark_is_made_of() -> None:
    assert "sortKey:UPDATED_AT" in documents.ORDERS.text


# ---------------------------------------------------------------- the published examples


@pytest.mark.parametrize(
    ("example", "document", "variable"),
    [
        ("fulfillmentCreate-variables.json", documents.FULFILL, "f"),
        ("inventorySetQuantities-variables.json", documents.SET_QUANTITIES, "input"),
    ],
)
def test_we_send_the_shape_of_the_published_variables(
    example: str, document: documents.Document, variable: str
) -> None:
    """Same keys, level by level, as in the example that was validated elsewhere."""
    theirs = json.loads(shelf("examples", "shopify", example).read_text())[variable]
    ours = next(iter(_said(document.name)[0]["variables"].values()))
    if variable == "input":
        ours = _said(document.name)[0]["variables"]["input"]
    extra = {"trackingInfo"} if variable == "f" else set()
    assert set(ours) == set(theirs)
    for key in set(theirs) - extra:
        assert type(ours[key]) is type(theirs[key]), key


def test_the_fake_refuses_a_stale_write_in_the_published_words() -> None:
    text = shelf("examples", "shopify", "inventorySetQuantities-stale-response.json").read_text()
    theirs = json.loads(text)["data"]["inventorySetQuantities"]
    _, answer = next(
        pair
        for pair in exchanges()
        if pair[0]["operationName"] == "SetQuantities"
        and pair[1]["data"]["inventorySetQuantities"]["userErrors"]
    )
    ours = answer["data"]["inventorySetQuantities"]
    assert ours["inventoryAdjustmentGroup"] == theirs["inventoryAdjustmentGroup"]
    wanted, got = theirs["userErrors"][0], ours["userErrors"][0]
    assert {**got, "field": [*got["field"][:2], "0", got["field"][3]]} == wanted
