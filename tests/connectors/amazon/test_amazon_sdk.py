"""Amazon's own client speaks with the fake over a real socket: code none of us wrote."""

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
from amazon_kit import MODELS

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("spapi") is None, reason="amzn-sp-api is not installed: extra `proof`"
)
SCRIPT = Path(__file__).with_name("sdk_run.py")


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await running


async def run_sdk(base: str, *arguments: str) -> tuple[int, str, str]:
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


async def test_amazons_own_client_understands_the_fake(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 2}])
    shop.clock.advance(60)
    second = shop.fake.place_order([{"sku": "A/B 1%", "quantity": 1}])
    shop.clock.advance(600)
    item = shop.fake.market.orders[order].lines[0].item
    async with served(shop.witness) as base:
        code, out, err = await run_sdk(base, order, item)
    assert code == 0, err
    understood = json.loads(out)
    assert understood == {
        "orders": [order, second],
        "before": "2026-11-25 09:09",
        "total": "48.57",
        "city": "Portland",
        "status": "SHIPPED",
        "parcels": ["1"],
        "patch": "ACCEPTED",
        "invalid": "INVALID",
        "listed": 2,
        "one": 4,
        "missing": 404,
    }
    assert shop.fake.shipments(order)[0]["trackingNumber"] == "1Z999AA10123456784"
    if MODELS.is_dir():
        assert shop.witness.check() == 9


async def test_amazons_own_client_convicts_a_fake_that_leaves_a_required_field_out(shop):
    """Negative control: the client's own models must be what judged the run above."""
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 2}])
    shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    shop.clock.advance(600)
    item = shop.fake.market.orders[order].lines[0].item

    async def forgetful(scope: Any, receive: Any, send: Any) -> None:
        async def tell(message: Any) -> None:
            body = message.get("body", b"").replace(b"orderItemId", b"orderItemIx")
            await send({**message, "body": body} if body else message)

        await shop.fake(scope, receive, tell)

    async with served(forgetful) as base:
        code, _, err = await run_sdk(base, order, item)
    assert code != 0
    assert "order_item_id" in err
