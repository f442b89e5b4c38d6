"""Webhooks: signed, REST-shaped, only a hint; and subscriptions that die."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from shopify_kit import NOON, SETTINGS, Said, bench, connector_over

from connectors.shopify.fake import sign
from core import signature
from core.contract import Event, Push
from core.errors import Forged, Hold, Rejected

URL = "https://truecount.example/hooks/shopify"


def heard(topic: str, body: object) -> list[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    push = Push(topic=topic, headers={}, body=raw)
    return list(connector_over(Said()).events(push))


def order_event(gid: str) -> list[Event]:
    return [Event(resource="order", external_id=gid)]


@pytest.mark.parametrize(
    "topic", ["orders/create", "orders/updated", "orders/cancelled", "orders/paid"]
)
def test_an_order_push_is_a_hint_to_read_that_order(topic: str) -> None:
    body = {"id": 5501, "admin_graphql_api_id": "gid://shopify/Order/5501", "total_price": 43.97}
    assert heard(topic, body) == order_event("gid://shopify/Order/5501")


def test_a_push_without_gid_is_named_by_its_number() -> None:
    assert heard("orders/updated", {"id": 820982911946154508}) == order_event(
        "gid://shopify/Order/820982911946154508"
    )


def test_an_edit_names_its_order_in_order_id() -> None:
    body = {"order_edit": {"id": 78912328793, "order_id": 5501}}
    assert heard("orders/edited", body) == order_event("gid://shopify/Order/5501")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        {},
        {"id": None},
        {"id": True},
        {"id": 1.5},
        {"id": "5501; drop"},
        {"order_edit": {"id": 3}},
        {"admin_graphql_api_id": "gid://shopify/Customer/7"},
    ],
    ids=str,
)
def test_what_names_no_order_is_held(body: object) -> None:
    with pytest.raises(Hold) as caught:
        heard("orders/create", body)
    assert caught.value.cause == "push:orders/create"


def test_another_topic_means_nothing() -> None:
    assert heard("inventory_levels/update", {"inventory_item_id": 1}) == []


async def test_a_sale_is_pushed_signed_and_leads_back_to_the_order() -> None:
    of = bench()
    of.fake.add_product("A", stock=5)
    await of.connector.ensure_subscriptions(URL)
    placed = of.fake.place_order([{"sku": "A", "quantity": 1}])
    await of.fake.settle()
    topics = [headers["x-shopify-topic"] for headers, _ in of.pushes]
    assert topics == ["orders/create", "orders/paid"]
    headers, body = of.pushes[0]
    digest = hmac.new(SETTINGS["webhook_secret"].encode(), body, hashlib.sha256).digest()
    assert headers["x-shopify-hmac-sha256"] == base64.b64encode(digest).decode()
    required = {"topic", "shop-domain", "api-version", "webhook-id", "hmac-sha256"}
    assert {f"x-shopify-{word}" for word in required} <= set(headers)
    assert len({headers["x-shopify-webhook-id"] for headers, _ in of.pushes}) == 2
    assert json.loads(body)["created_at"] == "2026-11-20T13:00:00+01:00"
    (event,) = of.connector.events(Push(topic=topics[0], headers=headers, body=body))
    item = await of.connector.fetch(event.resource, event.external_id)
    assert item is not None
    assert item.external_id == placed["id"]


async def test_the_core_accepts_the_signature_of_the_fake() -> None:
    made = bench().fake.signed("orders/create", {"id": 1})
    raw = [(key.encode(), value.encode()) for key, value in made["headers"].items()]
    body = made["body"].encode()
    rotating = ["a newer secret", SETTINGS["webhook_secret"]]
    header = "x-shopify-hmac-sha256"
    assert signature.verify("hmac_sha256_base64", body, raw, rotating, header) == 1
    with pytest.raises(Forged):
        signature.verify("hmac_sha256_base64", body + b" ", raw, rotating, header)


def test_the_signature_is_of_the_raw_bytes() -> None:
    assert sign("s", b'{"a":1}') != sign("s", b'{"a": 1}')


async def test_subscriptions_are_created_once() -> None:
    of = bench()
    created = await of.connector.ensure_subscriptions(URL)
    assert "orders/create" in created
    assert len(created) == 5
    assert await of.connector.ensure_subscriptions(URL) == []
    assert len(of.fake.subscriptions()) == 5


async def test_a_long_outage_deletes_the_subscription_and_it_comes_back() -> None:
    """Exactly when pushes are missed, Shopify stops sending them."""
    of = bench()
    of.fake.add_product("A", stock=50)
    await of.connector.ensure_subscriptions(URL)
    of.receiver[0] = 503
    for _ in range(8):
        of.fake.place_order([{"sku": "A", "quantity": 1}], paid=False)
        await of.fake.settle()
    assert "ORDERS_CREATE" not in of.fake.subscriptions()
    assert await of.connector.ensure_subscriptions(URL) == ["orders/create"]
    of.receiver[0] = 200
    of.fake.place_order([{"sku": "A", "quantity": 1}], paid=False)
    await of.fake.settle()
    assert len(of.pushes) == 9


async def test_a_failed_push_is_sent_again_with_its_old_content() -> None:
    of = bench()
    of.fake.add_product("A", stock=5)
    await of.connector.ensure_subscriptions(URL)
    of.receiver[0] = 503
    of.fake.place_order([{"sku": "A", "quantity": 1}], paid=False)
    await of.fake.settle()
    of.receiver[0] = 200
    of.clock.advance(3600)
    assert of.fake.redeliver() == 1
    await of.fake.settle()
    assert of.pushes[0] == of.pushes[1]
    assert of.fake.undelivered() == 0
    assert NOON.isoformat()[:10] in json.loads(of.pushes[1][1])["updated_at"]


async def test_a_refused_subscription_is_said() -> None:
    of = bench()
    with pytest.raises(Rejected, match="not a valid URL"):
        await of.connector.ensure_subscriptions("not a url")
