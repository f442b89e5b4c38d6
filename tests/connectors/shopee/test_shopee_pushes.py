"""Pushes: signed over their address and raw bytes, without an event id, and only a hint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shopee_kit import SECRETS, VECTORS, needs_shelf

from core.config_types import System
from core.contract import Event, Push
from core.errors import ConfigError, Forged, Hold
from core.manifest import load_manifest
from core.secrets import Secret
from core.serving import hook_spec
from core.signature import verify
from core.web.receiver import HookSpec

TEE = "TEE-M"
PUBLIC = "https://hooks.example"


def a_system(name="shopee", **secrets):
    manifest = load_manifest("shopee")
    given = {one: Secret(value) for one, value in {**SECRETS, **secrets}.items() if value}
    fields = System.__dataclass_fields__
    blank = dict.fromkeys(fields)
    return System(**{**blank, "name": name, "manifest": manifest, "secrets": given})


def a_spec(public=PUBLIC, **secrets) -> HookSpec:
    found = hook_spec(a_system(**secrets), public)
    assert found is not None
    return found


def checked(spec: HookSpec, headers, body):
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return verify(spec.scheme, body, pairs, spec.secrets, spec.header, prefix=spec.prefix)


def push(body, **change) -> Push:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Push(topic="push", headers={}, body=content)


async def test_a_push_of_the_fakes_is_genuine_at_our_address_and_at_no_other(shop):
    shop.fake.list_item(TEE, 5)
    shop.fake.place_order([{"sku": TEE, "quantity": 1}])
    await shop.fake.settle()
    (headers, body), *_ = shop.pushes
    assert checked(a_spec(), headers, body) == 0
    for wrong in (a_spec("https://elsewhere.example"), a_spec(push_key="another")):
        with pytest.raises(Forged, match="wrong_signature"):
            checked(wrong, headers, body)
    with pytest.raises(Forged, match="wrong_signature"):
        checked(a_spec(), headers, body + b" ")


@needs_shelf
def test_the_published_vector_is_accepted_and_its_usual_mistake_is_not():
    (vector,) = [one for one in json.loads(Path(VECTORS).read_text()) if one["id"] == "shopee-push"]
    spec = a_spec(vector["callback_url"].removesuffix("/hooks/shopee"), push_key=vector["key"])
    body = vector["body"].encode()
    assert checked(spec, {"Authorization": vector["sign"]}, body) == 0
    with pytest.raises(Forged):
        checked(spec, {"Authorization": vector["wrong_body_only"]}, body)


def test_without_an_address_pushes_are_refused_at_start_and_without_a_key_not_heard():
    with pytest.raises(ConfigError, match="listen.public_url is not set"):
        hook_spec(a_system(), "")
    assert hook_spec(a_system(push_key=""), "") is None


def test_a_repeat_has_the_same_bytes_and_is_one_event(shop):
    """No event id: the receiver takes the hash of the body (core.web.receiver)."""
    assert a_spec().identity == ()


@pytest.mark.parametrize(
    ("code", "data", "events"),
    [
        (3, {"ordersn": "2601018ABC", "status": "READY_TO_SHIP"}, [("order", "2601018ABC")]),
        (4, {"order_sn": "2601018ABC"}, [("order", "2601018ABC")]),
        (30, {"ordersn": "2601018ABC"}, [("order", "2601018ABC")]),
        (29, {"order_sn": "X1", "return_sn": "26010"}, [("return", "26010"), ("refund", "26010")]),
        (3, json.dumps({"ordersn": "2601018ABC"}), [("order", "2601018ABC")]),
        (2, {}, []),
        (8, {"item_id": 1}, []),
        (99, "not even JSON", []),
    ],
)
def test_a_push_is_a_hint_at_an_object(shop, code, data, events):
    found = shop.shopee.events(push({"code": code, "shop_id": 14701711, "data": data}))
    assert found == tuple(Event(resource=one, external_id=number) for one, number in events)


def test_a_push_of_another_shop_of_the_app_is_not_ours(shop):
    body = {"code": 3, "shop_id": 1, "data": {"ordersn": "2601018ABC"}}
    assert shop.shopee.events(push(body)) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff",
        {"code": 3, "shop_id": 14701711, "data": {}},
        {"code": 3, "shop_id": 14701711, "data": {"ordersn": "../../secret"}},
        {"code": 29, "shop_id": 14701711, "data": {"order_sn": "X1"}},
    ],
)
def test_a_genuine_push_that_cannot_be_read_waits_and_loses_nothing(shop, body):
    with pytest.raises(Hold, match="cannot be read"):
        shop.shopee.events(push(body))


# ---------------------------------------------------------------- the subscription


async def test_what_is_missing_is_switched_on_where_the_app_pushes_to_us(shop):
    url = f"{PUBLIC}/hooks/shopee"
    assert await shop.shopee.ensure_subscriptions(url) == ()
    shop.fake.config["push_config_on_list"] = [3]
    assert await shop.shopee.ensure_subscriptions(url) == ["4", "29", "30"]
    assert shop.fake.config["push_config_on_list"] == [3, 4, 29, 30]


async def test_a_push_that_was_suspended_is_switched_on_again(shop):
    shop.fake.config["live_push_status"] = "Suspended"
    assert await shop.shopee.ensure_subscriptions(f"{PUBLIC}/hooks/shopee")
    assert shop.fake.config["live_push_status"] == "Normal"


async def test_an_address_of_somebody_elses_is_left_alone(shop):
    shop.fake.config["callback_url"] = "https://other.example/hooks/shopee"
    shop.fake.config["push_config_on_list"] = []
    assert await shop.shopee.ensure_subscriptions(f"{PUBLIC}/hooks/shopee") == ()
    assert "push/set_app_push_config" not in shop.fake.calls()
    assert "other.example" in (await shop.shopee.probe())["push"]


async def test_an_app_without_an_address_gets_ours(shop):
    shop.fake.config["callback_url"] = ""
    made = await shop.shopee.ensure_subscriptions(f"{PUBLIC}/hooks/shopee")
    assert made == ["3", "4", "29", "30"]
    assert shop.fake.config["callback_url"] == f"{PUBLIC}/hooks/shopee"


# ---------------------------------------------------------------- doctor


async def test_doctor_hears_who_we_are_and_changes_nothing(shops):
    shop = shops(locations="SGZ,SGA")
    found = await shop.shopee.probe()
    assert found == {
        "shop": "A shop, SG, NORMAL",
        "authorization": "until 2027-06-13, 199 days",
        "warehouses": "SGZ, SGA",
        "push": f"to {PUBLIC}/hooks/shopee, Normal",
    }
    assert shop.fake.world.writes == []


async def test_doctor_knows_a_shop_with_one_warehouse(shop):
    assert (await shop.shopee.probe())["warehouses"] == "one"
