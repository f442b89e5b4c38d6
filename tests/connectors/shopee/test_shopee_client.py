"""A client that none of us wrote speaks with the fake over a real socket."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from shopee_kit import SECRETS, SETTINGS, STRUCTURE, Witness

from connectors.shopee.fake import Fake
from core.fake import World

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyshopee2") is None, reason="pyshopee is not installed: extra `proof`"
)
SCRIPT = Path(__file__).with_name("pyshopee_run.py")


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", date_header=False)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


async def run_client(base: str, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        base,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def a_shop(**settings: str) -> tuple[Fake, tuple[str, str, str], str]:
    """The fake by the machine's clock, which is the client's too."""
    fake = Fake(World(settings={**SETTINGS, **SECRETS, **settings}))
    item, _, model = fake.list_item("TEE-M", 9, price=1060).partition(".")
    order = fake.place_order([{"sku": "TEE-M", "quantity": 3}])
    second = fake.place_order([{"sku": "TEE-M", "quantity": 1}])
    return fake, (order, item, model), second


async def test_others_client_understands_the_fake():
    fake, names, second = a_shop()
    witness = Witness(fake)
    async with served(witness) as base:
        code, out, err = await run_client(base, *names)
    assert code == 0, err
    understood = json.loads(out)
    assert sorted(understood.pop("orders")) == sorted([names[0], second])
    assert understood == {
        "more": [True, False],
        "total": 33.79,
        "quantity": 3,
        "ways": ["dropoff"],
        "shipped": ["", " logistics.package_already_shipped"],
        "tracking": "",
        "written": [[int(names[2]), 4]],
        "shown": 4,
        "items": 1,
        "refused": "error_item_not_found",
        "paid": 33.79,
        "shop": "SG",
    }
    assert fake.packages(names[0])[0]["told"] == {"dropoff": {}}
    if STRUCTURE.is_file():
        assert witness.check() == 14


async def test_others_client_is_refused_where_the_key_is_another():
    """Negative control: it is the signature that lets it in above."""
    fake, names, _ = a_shop(partner_key="another key")
    async with served(fake) as base:
        code, _, err = await run_client(base, *names)
    assert code != 0
    assert "KeyError" in err
    assert fake.calls() == ["auth/access_token/get"]
    assert fake.refreshed == 0


async def test_others_client_convicts_a_fake_that_leaves_a_field_out():
    fake, names, _ = a_shop()

    async def forgetful(scope: Any, receive: Any, send: Any) -> None:
        async def tell(message: Any) -> None:
            body = message.get("body", b"").replace(b'"next_cursor"', b'"next_cursox"')
            await send({**message, "body": body} if body else message)

        await fake(scope, receive, tell)

    async with served(forgetful) as base:
        code, _, err = await run_client(base, *names)
    assert code != 0
    assert "next_cursor" in err
