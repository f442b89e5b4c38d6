"""Shopify's own Python client against our fake, over a real socket."""

from __future__ import annotations

import base64
import json
import socket
import threading
import urllib.error
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from shopify_kit import SETTINGS

from connectors.shopify import documents
from connectors.shopify.fake import Fake, sign
from core.fake import World


def _client() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own, not ours to mend
        return pytest.importorskip("shopify", reason="needs the `proof` extra")


@contextmanager
def served(fake: Fake) -> Iterator[int]:
    """The fake on a port; connections wait in the backlog until it is up."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(fake, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(timeout=20)


@contextmanager
def session(client: Any, port: int, token: str) -> Iterator[None]:
    # "127.x" and the domain "0.0.1" make 127.0.0.1: the client accepts no other host.
    client.Session.setup(protocol="http", myshopify_domain="0.0.1", port=port)
    client.ShopifyResource.activate_session(client.Session("127.x", "2026-07", token))
    try:
        yield
    finally:
        client.ShopifyResource.clear_session()
        client.Session.setup(protocol="https", myshopify_domain="myshopify.com", port=None)


def a_fake() -> Fake:
    fake = Fake(World(settings=SETTINGS))
    fake.add_product("00123", "Cotton tee", "19.99", 10)
    fake.place_order([{"sku": "00123", "quantity": 2}], shipping="5.99")
    return fake


def test_its_client_reads_our_orders() -> None:
    client = _client()
    with served(a_fake()) as port, session(client, port, SETTINGS["access_token"]):
        variables = {"query": "updated_at:>='2020-01-01T00:00:00Z'", "after": None}
        answer = json.loads(client.GraphQL().execute(documents.ORDERS.text, variables, "Orders"))
    (order,) = answer["data"]["orders"]["nodes"]
    assert order["lineItems"]["nodes"][0]["sku"] == "00123"
    assert order["totalPriceSet"]["shopMoney"]["amount"] == "45.97"
    assert answer["extensions"]["cost"]["throttleStatus"]["restoreRate"] == 100


def test_its_client_may_ask_its_own_questions() -> None:
    """The fake answers any plain document, not only ours."""
    client = _client()
    query = """
      query Own($first: Int = 3) {
        shop { myshopifyDomain }
        newest: orders(first: $first, sortKey: UPDATED_AT) { edges { cursor node { ...short } } }
      }
      fragment short on Order { name total: totalPriceSet { shopMoney { amount currencyCode } } }
    """
    with served(a_fake()) as port, session(client, port, SETTINGS["access_token"]):
        data = json.loads(client.GraphQL().execute(query))["data"]
    assert data["shop"]["myshopifyDomain"] == "demo.myshopify.com"
    (edge,) = data["newest"]["edges"]
    assert edge["node"] == {
        "name": "#1001",
        "total": {"shopMoney": {"amount": "45.97", "currencyCode": "EUR"}},
    }


def test_its_client_writes_stock_and_meets_the_habits() -> None:
    client = _client()
    fake = a_fake()
    number = fake.shop.variants["00123"].number
    line = {
        "inventoryItemId": f"gid://shopify/InventoryItem/{number}",
        "locationId": "gid://shopify/Location/1",
        "quantity": 5,
        "changeFromQuantity": 8,
    }
    given = {"name": "available", "reason": "correction", "quantities": [line]}
    variables = {"key": "theirs-1", "input": given}
    with served(fake) as port, session(client, port, SETTINGS["access_token"]):
        graphql = client.GraphQL()
        text = documents.SET_QUANTITIES.text
        fine = json.loads(graphql.execute(text, variables, "SetQuantities"))
        again = json.loads(graphql.execute(text, variables, "SetQuantities"))
        bare = text.replace("@idempotent(key:$key)", "")
        without = json.loads(graphql.execute(bare, variables, "SetQuantities"))
    assert fine["data"]["inventorySetQuantities"]["userErrors"] == []
    (error,) = again["data"]["inventorySetQuantities"]["userErrors"]
    assert error["code"] == "CHANGE_FROM_QUANTITY_STALE"
    assert "@idempotent" in without["errors"][0]["message"]
    assert fake.stock("00123")["Main warehouse"]["available"] == 5


def test_its_client_is_refused_with_a_wrong_token(capsys: pytest.CaptureFixture[str]) -> None:
    client = _client()
    with served(a_fake()) as port, session(client, port, "shpat_wrong"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            client.GraphQL().execute("{ shop { name } }")
        caught.value.close()
    assert caught.value.code == 401
    assert "Invalid API key" in capsys.readouterr().out


def test_its_hmac_agrees_with_ours() -> None:
    """Its helper signs sorted OAuth parameters in hex, our fake raw bytes in base64.

    The same bytes under the same secret must give the same digest.
    """
    client = _client()
    client.Session.setup(secret=SETTINGS["webhook_secret"])
    try:
        theirs = client.Session.calculate_hmac({"shop": "demo", "code": "1", "hmac": "ignored"})
    finally:
        client.Session.setup(secret=None)
    ours = sign(SETTINGS["webhook_secret"], b"code=1&shop=demo")
    assert base64.b64decode(ours).hex() == theirs
