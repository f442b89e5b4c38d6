"""Every path a mapping reads, and every word its tables must know, against the vendors' contracts.

They lie on the reference shelf, outside of the repository; without it these tests are skipped.
What a connector adds to a vendor's document is named here, and nothing else may be missing there.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from core import codec
from core.mapping import Mapping, load_mapping
from core.mapping.reads import EVERY, reads_of
from core.mapping.samples import samples_of
from core.model import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
SHELF = ROOT.parent / "shared" / "reference" / "contracts-data"
Names = tuple[str, ...]


def shelf(*parts: str) -> Any:
    path = SHELF.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the reference shelf is not on this machine: {path}")
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


@cache
def mapping(system: str, stem: str) -> Mapping:
    path = ROOT / "mappings" / system / f"{stem}.yaml"
    return load_mapping(path, path.relative_to(ROOT).as_posix())


# ---------------------------------------------------------------- what a contract has


def shopee(call: str) -> Iterator[Names]:
    return _shopee_fields(shelf("asia", "shopee-v2.structure.json")[call]["response"], ())


def _shopee_fields(fields: list[dict[str, Any]] | None, before: Names) -> Iterator[Names]:
    for one in fields or []:
        yield (*before, one["n"])
        yield from _shopee_fields(one.get("c"), (*before, one["n"]))


def tiktok(call: str) -> Iterator[Names]:
    return _tiktok_names(shelf("asia", "tiktok-shop.structure.json")[call]["response"], ())


def _tiktok_names(node: Any, before: Names) -> Iterator[Names]:
    for each in node if isinstance(node, list) else []:
        yield from _tiktok_names(each, before)
    for name, inside in node.items() if isinstance(node, dict) else []:
        here = (*before, name.rstrip("?"))
        yield here
        yield from _tiktok_names(inside, here)


def schema(node: Any, defined: dict[str, Any], before: Names = ()) -> Iterator[Names]:
    """JSON Schema, with $ref into `defined`."""
    if len(before) > 12:
        return
    if "$ref" in node:
        yield from schema(defined[node["$ref"].rpartition("/")[2]], defined, before)
    if "items" in node:
        yield from schema(node["items"], defined, before)
    for name, inside in node.get("properties", {}).items():
        yield (*before, name)
        yield from schema(inside, defined, (*before, name))


def lazada(path: str) -> Iterator[Names]:
    call = next(iter(shelf("asia", "lazada.paths.structure.json")[path].values()))
    [content] = call["responses"]["200"]["content"].values()
    return schema(content["schema"], {})


def amazon(file: str, name: str) -> Iterator[Names]:
    model = shelf("west", "amazon-sp-api", "models", file)
    return schema(model["definitions"][name], model["definitions"])


def below(paths: Iterator[Names], *head: str) -> set[Names]:
    return {path[len(head) :] for path in paths if path[: len(head)] == head}


def lazada_order() -> set[Names]:
    items = below(lazada("/orders/items/get"), "data", "order_items")
    joined = {("order_items", *path) for path in items}
    return below(lazada("/orders/get"), "data", "orders") | joined


CONTRACTS: dict[tuple[str, str], Callable[[], set[Names]]] = {
    ("shopee", "order"): lambda: below(
        shopee("v2.order.get_order_detail"), "response", "order_list"
    ),
    ("shopee", "return"): lambda: below(shopee("v2.returns.get_return_detail"), "response"),
    ("shopee", "refund"): lambda: below(shopee("v2.returns.get_return_detail"), "response"),
    ("shopee", "listing"): lambda: below(shopee("v2.product.get_model_list"), "response", "model"),
    ("shopee", "price"): lambda: below(shopee("v2.product.get_model_list"), "response", "model"),
    ("lazada", "order"): lazada_order,
    ("lazada", "return"): lambda: below(lazada("/order/reverse/return/detail/list"), "data"),
    ("tiktok_shop", "order"): lambda: below(tiktok("getOrderDetail"), "data", "orders"),
    ("tiktok_shop", "return"): lambda: below(tiktok("searchReturns"), "data", "return_orders"),
    ("tiktok_shop", "price"): lambda: below(tiktok("searchProducts"), "data", "products", "skus"),
    ("amazon", "order"): lambda: set(amazon("orders_2026-01-01.json", "Order")),
    ("amazon", "return"): lambda: set(
        amazon("externalFulfillmentReturns_2024-09-11.json", "Return")
    ),
    ("amazon", "refund"): lambda: set(amazon("finances_2024-06-19.json", "Transaction")),
    ("amazon", "price"): lambda: set(amazon("listingsItems_2021-08-01.json", "Item")),
    ("amazon", "listing"): lambda: set(amazon("listingsItems_2021-08-01.json", "Item")),
}
#: What the connector joins to the document, as the first lines of the file say.
ADDED: dict[tuple[str, str], set[str]] = {
    ("shopee", "order"): {
        "income.buyer_paid_shipping_fee",
        "income.buyer_total_amount",
        "item_list.income.discount_from_coin",
        "item_list.income.discount_from_voucher_seller",
        "item_list.income.discount_from_voucher_shopee",
        "item_list.listing",
    },
    ("shopee", "listing"): {
        "item_name",
        "item_sku",
        "item_status",
        "kit",
        "listing",
        "location.location_id",
        "location.stock",
        "locations",
    },
    ("shopee", "price"): {"item_sku"},
    ("shopee", "refund"): {"given_back"},
    ("lazada", "return"): {"currency"},
}


@pytest.mark.parametrize(("system", "stem"), CONTRACTS, ids=lambda each: each)
def test_every_path_is_in_the_vendor_s_contract(system: str, stem: str) -> None:
    known = CONTRACTS[system, stem]()
    plan = mapping(system, stem).plan
    assert plan is not None
    read = {tuple(name for name in place if name != EVERY) for place in reads_of(plan)}
    missing = {".".join(path) for path in read - known}
    assert missing == ADDED.get((system, stem), set())


# ---------------------------------------------------------------- what is sent


def shopee_asks(call: str) -> Iterator[Names]:
    return _shopee_fields(shelf("asia", "shopee-v2.structure.json")[call]["request"], ())


def tiktok_asks(call: str) -> Iterator[Names]:
    return _tiktok_names(shelf("asia", "tiktok-shop.structure.json")[call]["body"], ())


def lazada_asks(path: str) -> Iterator[Names]:
    call = next(iter(shelf("asia", "lazada.paths.structure.json")[path].values()))
    [content] = call["requestBody"]["content"].values()
    return schema(content["schema"], {})


ASKED: dict[str, Callable[[], set[Names]]] = {
    "shopee": lambda: set(shopee_asks("v2.logistics.ship_order")),
    "tiktok_shop": lambda: set(tiktok_asks("shipPackage")),
    "lazada": lambda: set(lazada_asks("/order/fulfill/pack")),
}


def said(body: Any, before: Names = ()) -> Iterator[Names]:
    for each in body if isinstance(body, list) else []:
        yield from said(each, before)
    for name, inside in body.items() if isinstance(body, dict) else []:
        yield (*before, name)
        yield from said(inside, (*before, name))


@pytest.mark.parametrize("system", ASKED)
def test_a_confirmed_shipment_has_only_names_of_the_vendor_s_request(system: str) -> None:
    """`expected` is not sent: the connector compares it with the answer."""
    path = ROOT / "mappings" / system / "confirm_shipment.yaml"
    for sample in samples_of(path):
        command = codec.from_plain(COMMANDS["confirm_shipment"], sample)
        body = mapping(system, "confirm_shipment").body(command)
        told = {names for names in said(body) if names[0] != "expected"}
        assert told - ASKED[system]() == set()
        assert told


# ---------------------------------------------------------------- what Shopify's types have


@cache
def shopify() -> dict[str, Any]:
    found = shelf("west", "shopify", "admin_2026-07.json.gz")
    return {one["name"]: one for one in found.get("data", found)["__schema"]["types"]}


def named(kind: dict[str, Any]) -> str:
    while kind.get("ofType"):
        kind = kind["ofType"]
    return str(kind["name"])


def has(kind: str, path: Names) -> bool:
    """Whether the path leads on from this type, or from one of those it may be."""
    one = shopify()[kind]
    kinds = [kind, *(each["name"] for each in one.get("possibleTypes") or [])]
    if not path:
        return True
    for each in kinds:
        fields = {each["name"]: each["type"] for each in shopify()[each].get("fields") or []}
        if path[0] in fields and has(named(fields[path[0]]), path[1:]):
            return True
    return False


def test_every_path_of_a_return_is_in_shopify_s_types() -> None:
    plan = mapping("shopify", "return").plan
    assert plan is not None
    paths = {tuple(name for name in place if name != EVERY) for place in reads_of(plan)}
    assert {path for path in paths if not has("Return", path)} == set()
    assert not has("Return", ("updatedAt",))


def test_no_channel_but_woocommerce_has_a_field_for_the_jurisdiction_of_a_tax() -> None:
    """What docs/mappings.md says under the table of the cells."""
    fields = {each["name"] for each in shopify()["TaxLine"]["fields"]}
    assert fields == {
        "channelLiable", "price", "priceSet", "rate", "ratePercentage", "source", "title"
    }  # fmt: skip
    of_amazon = {path for path in amazon("orders_2026-01-01.json", "Order") if "tax" in path}
    of_tiktok = {path for path in tiktok("getOrderDetail") if "item_tax" in path}
    names = {name.lower() for path in of_amazon | of_tiktok for name in path}
    assert not {name for name in names if "jurisdiction" in name or "authority" in name}


# ---------------------------------------------------------------- words


#: Where the words of states.json stand in our tables.
WORDS = [
    ("shopee", "order_status", "order", "payment"),
    ("shopee", "return_status", "return", "state"),
    ("shopee", "return_status", "refund", "state"),
    ("lazada", "item_status", "order", "payment"),
    ("tiktok_shop", "order_status", "order", "payment"),
    ("tiktok_shop", "return_types", "return", "kind"),
    ("tiktok_shop", "return_status", "return", "state"),
    ("flipkart", "return_state", "return", "state"),
    ("flipkart", "return_source", "return", "kind"),
]


@pytest.mark.parametrize(("system", "words", "stem", "table"), WORDS)
def test_a_table_knows_every_word_of_the_vendor(
    system: str, words: str, stem: str, table: str
) -> None:
    wanted = set(shelf("asia", "states.json")[system][words])
    node = mapping(system, stem)._tables[table]
    assert wanted - {key.text for key, _ in node.items()} == set()


#: The reference's own canonical words in ours.
OURS = {
    "created": "moving",
    "pickup_scheduled": "moving",
    "picked_up": "moving",
    "in_transit": "moving",
    "exception": "moving",
    "out_for_delivery": "out_for_delivery",
    "delivery_failed": "failed_attempt",
    "delivered": "delivered",
    "return_initiated": "returning",
    "return_in_transit": "returning",
    "return_out_for_delivery": "returning",
    "return_failed": "returning",
    "returned": "returned",
    "cancelled": "cancelled",
    "lost": "lost",
    "damaged": "lost",
}


def scan(courier: str, code: str) -> dict[str, Any]:
    """The sample of this courier with another code."""
    [push, *_] = samples_of(ROOT / "mappings" / courier / "parcel_event.yaml")
    if courier == "ghn":
        return {**push, "Status": code}
    kind, _, status = code.partition("|")
    told = {**push["Status"], "StatusType": kind, "Status": status}
    return {**push, "Status": told, "NSLCode": "X-SC", "DispatchCount": 0}


@pytest.mark.parametrize("courier", ["delhivery", "ghn"])
def test_every_code_of_a_courier_means_what_the_reference_says(courier: str) -> None:
    """On the leg it says, too; where the courier says it late is the fold's matter."""
    for code, canonical, leg, *_ in shelf("asia", "states.json")[courier]["rows"]:
        event = mapping(courier, "parcel_event").record(scan(courier, code))
        assert (code, event.state, event.leg) == (code, OURS[canonical], leg)


def test_a_failed_attempt_of_delhivery_is_known_by_its_code() -> None:
    states = shelf("asia", "states.json")["delhivery"]
    for code in states["ndr_codes_reattempt"]:
        told = {**scan("delhivery", "UD|Pending"), "NSLCode": code, "DispatchCount": 1}
        assert mapping("delhivery", "parcel_event").record(told).state == "failed_attempt"
    told = {**scan("delhivery", "UD|Not Picked"), "NSLCode": states["cancel_marker"]}
    assert mapping("delhivery", "parcel_event").record(told).state == "cancelled"
