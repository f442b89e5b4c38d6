"""The fake itself: its checkout, its manifest, and that a demo can drive it."""

from __future__ import annotations

import json

import httpx
import pytest
from shopify_kit import SETTINGS, bench

from connectors.shopify import TOPICS
from connectors.shopify.fake_graphql import Refused, execute, parse
from connectors.shopify.fake_shop import SoldOut
from core.fakehost import FakeHost
from core.manifest import load_manifest


def test_the_manifest_is_accepted_and_names_the_topics_we_understand() -> None:
    manifest = load_manifest("shopify")
    assert manifest.hooks is not None
    assert manifest.hooks.topics == TOPICS
    assert set(manifest.accepts) == {"confirm_shipment"}


def test_a_checkout_lowers_available_and_refuses_beyond_it() -> None:
    fake = bench().fake
    fake.add_product("A", stock=1)
    fake.add_product("B", stock=5)
    fake.place_order([{"sku": "A", "quantity": 1}])
    assert fake.stock("A")["Main warehouse"] == {"available": 0, "committed": 1, "on_hand": 1}
    with pytest.raises(SoldOut):
        fake.place_order([{"sku": "B", "quantity": 2}, {"sku": "A", "quantity": 1}])
    assert fake.stock("B")["Main warehouse"]["available"] == 5
    assert len(fake.orders()) == 1


def test_a_cancel_puts_back_only_what_has_not_left() -> None:
    fake = bench().fake
    fake.add_product("A", stock=5)
    fake.place_order([{"sku": "A", "quantity": 3}])
    fake.cancel_order("#1001")
    assert fake.stock("A")["Main warehouse"] == {"available": 5, "committed": 0, "on_hand": 5}
    assert fake.order("#1001")["financial"] == "REFUNDED"


async def test_a_demo_drives_it_over_http() -> None:
    host = FakeHost([{"name": "shop", "connector": "shopify", "secrets": SETTINGS}])
    transport = httpx.ASGITransport(host.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://fakes") as client:

        async def control(method: str, **facts: object) -> httpx.Response:
            return await client.post(f"/_control/shop/{method}", json=facts)

        await control("add_product", sku="A", price="10.00", stock=1)
        sold = await control("place_order", lines=[{"sku": "A", "quantity": 1}], paid=False)
        assert sold.json()["name"] == "#1001"
        gone = await control("place_order", lines=[{"sku": "A", "quantity": 1}])
        assert (gone.status_code, gone.json()["error"]) == (400, "SoldOut")
        assert (await control("stock", sku="A")).json()["Main warehouse"]["available"] == 0
        await control("subscribe", url="http://here/hooks", topics=["orders/create"])
        assert (await control("subscriptions")).json() == ["ORDERS_CREATE"]
        answer = await client.post(
            "/shop/admin/api/2026-07/graphql.json",
            json={"query": "{orders(first:1){nodes{name}}}"},
            headers={"x-shopify-access-token": SETTINGS["access_token"]},
        )
        assert answer.json()["data"] == {"orders": {"nodes": [{"name": "#1001"}]}}
    await host.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{shop{name}", "unexpected end"),
        ("query A{a} query B{b}", "operation name"),
        ("{shop{nope}}", "doesn't exist on type 'Shop'"),
        ("query($x:Int!){shop{name}}", "invalid value"),
        ("{a" * 40 + "}" * 40, "too deep"),
        ("{shop ~}", "Parse error"),
    ],
)
def test_a_bad_document_is_refused(text: str, words: str) -> None:
    loop: dict[str, object] = {"__typename": "Shop", "name": "x"}
    loop["a"] = loop
    with pytest.raises(Refused, match=words):
        execute(parse(text), {"shop": loop, "a": loop}, {})


def test_a_dear_query_is_refused() -> None:
    of = bench()
    fields = " ".join(f"a{n}:orders(first:250){{nodes{{id}}}}" for n in range(80))
    body = json.dumps({"query": f"{{{fields}}}"}).encode()
    headers = {"x-shopify-access-token": SETTINGS["access_token"]}
    _, _, answer = of.fake.face.answer("POST", "/admin/api/2026-07/graphql.json", headers, body)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
