"""HUP to the real daemon reads its files again: the exception of a slip, and its end (H34)."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.stage import SECRETS, Stage, until

pytestmark = pytest.mark.whole
GOOD = "kits: {}\n"
SLIP = "kitts: {}\n"


def events(stage: Stage, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stage.log.read_text().splitlines() if line[:1] == "{"]
    return [line for line in lines if line["event"] == name]


def test_h34_hup_reads_items_that_nothing_else_would_look_at(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage", SECRETS)
    items = stage.folder / "items.yaml"
    items.write_text(GOOD)
    stage.config.write_text(stage.config.read_text() + "items: items.yaml\n")
    with stage.systems(), stage.daemon() as daemon:
        items.write_text(SLIP)
        daemon.send_signal(signal.SIGHUP)
        until("it is refused", lambda: events(stage, "reload.refused"))
        said = stage.cli("holds").stdout
        assert "items.yaml:1" in said
        assert '"kitts"' in said or "kitts" in said

        items.write_text(GOOD)
        daemon.send_signal(signal.SIGHUP)
        until("it is taken", lambda: events(stage, "reload.done"))
        assert "Nothing needs you" in stage.cli("status").stdout
        assert daemon.poll() is None
