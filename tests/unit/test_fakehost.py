"""Fakes in one process: driven, broken and watched over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from core.fakehost import FakeHost, serve

SYSTEMS: list[dict[str, Any]] = [
    {"name": "wms", "connector": "generic_wms", "settings": {"api_token": "t1"}},
    {"name": "shop", "connector": "generic_channel", "secrets": {"api_token": "t2"}},
]
LOGIN = {"authorization": "Bearer t1"}


@pytest.fixture
async def host() -> AsyncIterator[FakeHost]:
    made = FakeHost(SYSTEMS)
    yield made
    await made.close()


@pytest.fixture
async def client(host: FakeHost) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(host.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://fakes") as made:
        yield made


async def control(client: httpx.AsyncClient, path: str, **wanted: Any) -> httpx.Response:
    return await client.post(f"/_control/{path}", json=wanted)


async def test_each_fake_answers_below_its_name(client: httpx.AsyncClient) -> None:
    answer = await client.get("/wms/stock", headers=LOGIN)
    assert answer.json() == {"rows": [], "movement": 0}
    assert (await client.get("/wms/stock")).status_code == 401
    assert (await client.get("/nobody/stock")).status_code == 404


async def test_any_public_method_is_called_sync_or_async(
    host: FakeHost, client: httpx.AsyncClient
) -> None:
    answer = await control(client, "wms/receive", sku="MUG", place="MAIN", quantity=5)
    assert answer.json() == 5
    assert host.fake("wms").on_hand("MUG") == 5
    await control(client, "shop/list_item", sku="MUG", quantity=1)
    answer = await control(client, "shop/place_order", sku="MUG")
    assert answer.json()["lines"][0]["quantity"] == 1


async def test_a_no_of_a_fake_comes_back_by_its_name(client: httpx.AsyncClient) -> None:
    await control(client, "shop/list_item", sku="MUG", quantity=0)
    answer = await control(client, "shop/place_order", sku="MUG")
    assert answer.status_code == 400
    assert answer.json()["error"] == "SoldOut"
    assert (await control(client, "shop/list_item", skew="MUG")).json()["error"] == "TypeError"
    for wrong in ("shop/_push", "shop/nothing", "shop/__call__"):
        answer = await control(client, wrong)
        assert answer.status_code == 404
        assert "place_order" in answer.json()["words"]
    answer = await client.post("/_control/shop/place_order", content=b"[1")
    assert answer.status_code == 400


async def test_a_status_with_its_time(host: FakeHost, client: httpx.AsyncClient) -> None:
    await client.post("/_faults/wms", json={"status": 429, "retry_after": 7})
    answer = await client.get("/wms/stock", headers=LOGIN)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert (await client.get("/_faults")).json()["wms"]["status"] == 429
    assert (await client.get("/_faults/wms")).json()["retry_after"] == 7
    await client.post("/_faults/wms", json={})
    assert (await client.get("/wms/stock", headers=LOGIN)).status_code == 200


async def test_a_lost_answer_was_done(host: FakeHost, client: httpx.AsyncClient) -> None:
    await client.post("/_faults/wms", json={"lose_answers": 1})
    order = {"reference": "r", "lines": [{"sku": "MUG", "quantity": 1}]}
    assert (await client.post("/wms/orders", json=order, headers=LOGIN)).status_code == 502
    assert len(host.fake("wms").orders()) == 1
    assert (await client.post("/wms/orders", json=order, headers=LOGIN)).status_code == 409


async def test_half_an_answer_html_and_only_some_calls(
    host: FakeHost, client: httpx.AsyncClient
) -> None:
    host.faults("wms").half = True
    answer = await client.get("/wms/stock", headers=LOGIN)
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    await client.post("/_faults/wms", json={"html": True, "only": "POST /orders"})
    assert (await client.get("/wms/stock", headers=LOGIN)).json()["rows"] == []
    assert "<html>" in (await client.post("/wms/orders", headers=LOGIN)).text
    answer = await client.post("/_faults/wms", json={"broken": True})
    assert answer.status_code == 400
    assert "lose_answers" in answer.json()["words"]


async def test_a_system_that_is_down_is_not_there(
    host: FakeHost, client: httpx.AsyncClient
) -> None:
    host.faults("wms").down = True
    with pytest.raises(httpx.ConnectError):
        await client.get("/wms/stock", headers=LOGIN)


async def test_the_log_has_calls_and_no_secrets(host: FakeHost, client: httpx.AsyncClient) -> None:
    await client.get("/wms/stock?since=0", headers=LOGIN)
    (call,) = (await client.get("/_log/wms")).json()
    assert (call["method"], call["path"], call["status"]) == ("GET", "/stock", 200)
    assert "authorization" in call["headers"]
    assert "t1" not in json.dumps(host.log("wms"))


async def test_a_name_is_a_name() -> None:
    for name in ("_faults", "a/b"):
        with pytest.raises(ValueError):
            FakeHost([{"name": name, "connector": "generic_wms"}])
    with pytest.raises(ValueError):
        FakeHost([SYSTEMS[0], SYSTEMS[0]])


# ---------------------------------------------------------------- real sockets


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Listener:
    """Where the pushes go: refuses the first one, to see it come again."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.enough = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        self.heard.append(head + body)
        status = b"503 Later" if len(self.heard) == 1 else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        if len(self.heard) == 2:
            self.enough.set()


async def test_over_sockets_with_a_port_that_vanishes_and_pushes_that_come_again() -> None:
    listener, ready, stop = Listener(), asyncio.Event(), asyncio.Event()
    hooks = await asyncio.start_server(listener, "127.0.0.1", 0)
    hook_url = f"http://127.0.0.1:{hooks.sockets[0].getsockname()[1]}/hooks/shop"
    port, own = a_port(), a_port()
    systems = [
        {**SYSTEMS[0], "port": own},
        {**SYSTEMS[1], "hook_url": hook_url},
    ]
    task = asyncio.create_task(serve(systems, port, ready=lambda _: ready.set(), stop=stop))
    try:
        await asyncio.wait_for(ready.wait(), 5)
        base, alone = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{own}"
        async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
            await control(client, "shop/list_item", sku="MUG", quantity=1)
            await control(client, "shop/place_order", sku="MUG")
            await asyncio.wait_for(listener.enough.wait(), 5)
            assert b'"sku":"MUG"' in listener.heard[0]
            assert (await client.get(f"{alone}/stock", headers=LOGIN)).status_code == 200
            await client.post("/_faults/wms", json={"down": True})
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{alone}/stock", headers=LOGIN)
            # On the shared port the connection is cut instead.
            with pytest.raises(httpx.TransportError):
                await client.get("/wms/stock", headers=LOGIN)
            await client.post("/_faults/wms", json={})
            assert (await client.get(f"{alone}/stock", headers=LOGIN)).status_code == 200
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
        hooks.close()
        await hooks.wait_closed()
