"""The oracles: the published structure, the published signatures; and that each convicts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from shopee_kit import (
    BASE,
    VECTORS,
    Exchange,
    Unlike,
    a_parcel,
    an_offer,
    bench,
    needs_shelf,
    structure,
)

from connectors.shopee import dialect
from connectors.shopee.fake_calls import CALLS
from connectors.shopee.fake_views import OPTIONAL
from connectors.shopee.orders import FIELDS
from connectors.shopee.signing import signature
from core.contract import Unsigned
from core.errors import ConnectorError

TEE = "TEE-M"
pytestmark = needs_shelf


# ---------------------------------------------------------------- signatures


def vectors() -> dict[str, Any]:
    return {one["id"]: one for one in json.loads(VECTORS.read_text())}


@pytest.mark.parametrize("name", ["shopee-public", "shopee-shop", "shopee-merchant"])
def test_the_published_signatures(name):
    vector = vectors()[name]
    assert signature(vector["key"], vector["base_string"]) == vector["sign"]


@pytest.mark.parametrize(
    ("name", "path", "token"),
    [
        ("shopee-public", "/api/v2/public/get_shops_by_partner", ""),
        ("shopee-shop", "/api/v2/shop/get_shop_info", "59777174636562737266615546704c6d"),
        ("shopee-shop", "/a/proxy/api/v2/shop/get_shop_info", "59777174636562737266615546704c6d"),
    ],
)
def test_our_dialect_signs_a_call_as_published(name, path, token):
    vector = vectors()[name]
    shop = dialect({"partner_id": "2001887", "partner_key": vector["key"], "shop_id": "14701711"})
    call = Unsigned(
        method="GET",
        path=path,
        query="page_size=7",
        content=b"not signed",
        token=token,
        at=datetime.fromtimestamp(1655714431, UTC),
    )
    signed = shop.sign(call)
    assert signed["sign"] == vector["sign"]
    assert ("access_token" in signed) == bool(token)


# ---------------------------------------------------------------- the structure


async def everything(shop) -> None:
    """One of each call the connector makes, and a refusal or two."""
    listing = shop.fake.list_item(TEE, 9)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 2}], voucher=100)
    await shop.all("order")
    await shop.all("listing")
    await shop.shopee.publish([an_offer(listing, 3), an_offer("1.2", 3)])
    part = a_parcel(shop.fake, sn, {TEE: 1}, complete=False)
    await shop.shopee.send(part)
    await shop.shopee.send(a_parcel(shop.fake, sn, {TEE: 1}, parcel=2))
    await shop.shopee.find(a_parcel(shop.fake, sn))
    shop.fake.collect(sn)
    number = shop.fake.request_return(sn, {TEE: 1}, 1200)
    shop.fake.move_return(number, "ACCEPTED")
    await shop.all("refund")
    await shop.shopee.probe()
    shop.fake.config["push_config_on_list"] = []
    await shop.shopee.ensure_subscriptions(shop.fake.config["callback_url"])


async def test_every_call_of_the_connector_is_published_both_ways(shop):
    await everything(shop)
    shop.witness.check()
    paths = {one.path.removeprefix("/api/v2/") for one in shop.witness.exchanges}
    unproven = CALLS.keys() - paths
    # The buyer's and the seller's cancellations are answered in Seller Center: see the README.
    assert unproven == {"order/cancel_order", "order/handle_buyer_cancellation"}


def test_every_parameter_the_fake_takes_is_published():
    for call, (_, method, names) in CALLS.items():
        published = {one["n"] for one in structure()[method, f"/api/v2/{call}"]["request"]}
        assert set(names.split()) <= published, call


def test_the_fields_of_an_order_we_ask_for_are_those_that_must_be_asked_for():
    assert set(FIELDS.split(",")) <= OPTIONAL


#: What is planted in an answer of the fake's: the bytes before and after.
ANSWERS = {
    "a field nobody published": (b'"fulfillment_flag"', b'"fulfilment_flag"'),
    "an id as text": (b'"item_id":1001', b'"item_id":"1001"'),
    "a number where text was": (b'"currency":"SGD"', b'"currency":1'),
    "no request id in a refusal": (b'"request_id"', b'"requestid"'),
    "a code nobody published": (b'"error_item_not_found"', b'"error_item_gone"'),
}


@pytest.mark.parametrize("planted", ANSWERS)
async def test_a_planted_error_in_an_answer_is_convicted(planted):
    before, after = ANSWERS[planted]
    shop = bench()
    await everything(shop)
    assert shop.witness.check() > 20
    touched = [one for one in shop.witness.exchanges if before in one.got]
    assert touched, "nothing was planted"
    for one in touched:
        one.got = one.got.replace(before, after)
        with pytest.raises(Unlike):
            one.check()
    await shop.door.aclose()


#: What is planted in a request of ours: which call, and the bytes before and after.
REQUESTS = {
    "a required field left out": ("get_order_list", "&time_to=", "&time_two="),
    "a field nobody published": ("get_order_detail", "order_sn_list", "order_sns"),
    "a word where a number was": ("get_order_list", "page_size=100", "page_size=many"),
    "no signature": ("get_order_list", "&sign=", "&signature="),
}


@pytest.mark.parametrize("planted", REQUESTS)
async def test_a_planted_error_in_a_query_is_convicted(planted):
    call, before, after = REQUESTS[planted]
    shop = bench()
    await everything(shop)
    touched = [one for one in shop.witness.exchanges if one.path.endswith(call)]
    assert touched
    for one in touched:
        assert before in one.query
        one.query = one.query.replace(before, after)
        with pytest.raises(Unlike):
            one.check()
    await shop.door.aclose()


BODIES = {
    "a required field left out": ("update_stock", b'"stock"', b'"stocks"'),
    "a number as text": ("update_stock", b'"stock":3', b'"stock":"3"'),
    "a field nobody published": ("ship_order", b'"dropoff"', b'"drop_off"'),
    "parameters in the wrong place": ("ship_order", None, None),
    "a shop as text": ("access_token/get", b"14701711", b'"14701711"'),
}


@pytest.mark.parametrize("planted", BODIES)
async def test_a_planted_error_in_a_body_is_convicted(planted):
    call, before, after = BODIES[planted]
    shop = bench()
    await everything(shop)
    touched = [
        one
        for one in shop.witness.exchanges
        if one.path.endswith(call) and (before is None or before in one.sent)
    ]
    assert touched
    for one in touched:
        if before is None:
            one.query += "&order_sn=X"
        else:
            one.sent = one.sent.replace(before, after)
        with pytest.raises(Unlike):
            one.check()
    await shop.door.aclose()


def test_a_call_nobody_published_is_convicted():
    with pytest.raises(Unlike, match="is not published"):
        Exchange("GET", "/api/v2/order/get_everything", "", b"").check()


# ---------------------------------------------------------------- the fake's own rules


@pytest.mark.parametrize(
    "change", [{"partner_key": "another"}, {"shop_id": "1"}, {"partner_id": "7"}]
)
async def test_the_fake_refuses_a_call_that_is_signed_otherwise(change):
    """Negative control of every test here: what passes the fake is signed right."""
    shop = bench()
    own = {**shop.settings, "partner_key": "fake-key", **change}
    shop.door._login._dialect = dialect(own)
    with pytest.raises(ConnectorError) as caught:
        await shop.shopee.read("order", None, None)
    assert shop.fake.tokens == {}
    assert BASE not in str(caught.value)
    await shop.door.aclose()
