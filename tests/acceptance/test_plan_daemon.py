"""Plan mode as an operator meets it: the installed daemon beside systems that count every write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.stage import SECRETS, Stage, until

pytestmark = pytest.mark.whole

SYSTEMS = ("shop", "web", "depot", "books")


def mode(stage: Stage, word: str) -> None:
    text = stage.config.read_text()
    text = text.replace("\nmode: plan", "").replace("\nmode: live", "")
    stage.config.write_text(text.replace("\nstate:", f"\nmode: {word}\nstate:"))


def writes(stage: Stage) -> dict[str, list[str]]:
    base = f"http://127.0.0.1:{stage.fakes}/_writes"
    found = {name: httpx.get(f"{base}/{name}", trust_env=False).json() for name in SYSTEMS}
    return {name: calls for name, calls in found.items() if calls}


def planned(stage: Stage) -> set[tuple[str, str]]:
    rows = json.loads(stage.cli("plan", "--json").stdout)["writes"]
    return {(row["system"], row["what"]) for row in rows}


def test_a_daemon_in_plan_mode_writes_nowhere_and_then_does_what_it_is_told(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path / "stage", SECRETS)
    listen = f'listen: {{public_url: "http://127.0.0.1:{stage.hooks}", '
    stage.config.write_text(stage.config.read_text().replace("listen: {", listen))
    mode(stage, "plan")
    with stage.systems() as remote:
        remote("depot", "receive", sku="TEA", place="EAST", quantity=9)
        remote("books", "set_item", sku="TEA", list_price="10.00", unit_cost="4.00")
        remote("shop", "list_item", sku="TEA", price="10.00", quantity=5)
        with stage.daemon():
            remote("shop", "place_order", sku="TEA", quantity=2)
            expected = {("books", "book_order"), ("depot", "fulfill_order"), ("shop", "stock")}
            until("it is planned", lambda: planned(stage) == expected)
            status = stage.cli("status").stdout
            assert status.startswith("Nothing is sent to books, depot, shop, web: mode is plan.")
            page = httpx.get(f"http://127.0.0.1:{stage.operations}/", trust_env=False).text
            assert "Nothing is sent to books" in page
            words = ("shop:#000001", "--reason", "x", "--plan")
            assert stage.cli("by-hand", *words).stdout.startswith("`truecount by-hand` would send")
            assert stage.rows("SELECT count(*) FROM handovers") == [(0,)]
        assert writes(stage) == {}
        mode(stage, "live")
        with stage.daemon():
            until("the shop is told", lambda: remote("shop", "shown", sku="TEA") == 7)
            until("it waits for a person", lambda: "late:planned" in causes(stage))
            assert set(writes(stage)) == {"shop", "web"}  # its number, and its subscriptions
            done = stage.cli("release", "shop:#000001", "--reason", "nobody did it")
            assert (done.returncode, done.stdout) == (0, "released: 1\n")
            until("the depot has it", lambda: len(remote("depot", "orders")) == 1)
            until("it is over", lambda: causes(stage) == [])


def causes(stage: Stage) -> list[Any]:
    return [row[0] for row in stage.rows("SELECT cause FROM holds WHERE closed_at IS NULL")]
