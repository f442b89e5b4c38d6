"""`truecount doctor` beside a login that is good once: it must not lock the shop out (S24, H28)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

from shopee_kit import REPO
from test_shopee_client import a_shop, served

from core.daemon import Lock

ENV = {
    "SEAL": base64.b64encode(b"a pretended key, never for real.").decode(),
    "PARTNER_KEY": "fake-key",
    "REFRESH_TOKEN": "fake-refresh-0",
}


def configuration(folder: Path, base: str) -> Path:
    system = {
        "connector": "shopee",
        "network": "private",
        "settings": {
            "base_url": base,
            "token_url": f"{base}/api/v2/auth/access_token/get",
            "partner_id": "2001887",
            "shop_id": "14701711",
            "orders_from": "2026-11-01T00:00:00Z",
        },
        "secrets": {"partner_key": "${PARTNER_KEY}", "refresh_token": "${REFRESH_TOKEN}"},
    }
    config = {
        "company": {"name": "Acme", "timezone": "Asia/Singapore", "currency": "SGD"},
        "state": str(folder / "state" / "truecount.db"),
        "seal_key": "${SEAL}",
        "mappings": str(REPO / "mappings"),
        "systems": {
            "shopee": system,
            "depot": {  # nobody is there; a location needs one
                "connector": "generic_wms",
                "network": "private",
                "settings": {"base_url": "http://127.0.0.1:9"},
                "secrets": {"api_token": "${SEAL}", "webhook_secret": "${SEAL}"},
            },
        },
        "locations": {"main": {"at": {"depot": "M"}, "serves": ["shopee"]}},
        "owners": [{"number": "on_hand", "owner": "depot"}],
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


async def doctor(config: Path) -> Any:
    """What it says of Shopee."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "core.cli", "doctor", "--json", "--config", str(config),
        cwd=REPO, env={**os.environ, **ENV}, stdout=-1, stderr=-1,
    )  # fmt: skip
    out, err = await process.communicate()
    assert out, err.decode()
    return json.loads(out)["systems"][0]


async def test_each_look_spends_a_token_and_keeps_its_heir(tmp_path: Path) -> None:
    fake, _, _ = a_shop()
    async with served(fake) as base:
        config = configuration(tmp_path, base)
        for number in (1, 2):
            row = await doctor(config)
            assert row["well"], row
            assert "A shop, SG, NORMAL" in row["words"]
            assert fake.refreshed == number


async def test_beside_a_running_daemon_it_asks_nothing(tmp_path: Path) -> None:
    """Two processes that refresh with one token are one process too many."""
    fake, _, _ = a_shop()
    async with served(fake) as base:
        config = configuration(tmp_path, base)
        held = Lock(tmp_path / "state")
        held.take()
        try:
            row = await doctor(config)
        finally:
            held.release()
    assert "the running daemon has its login" in row["words"]
    assert fake.calls() == []
