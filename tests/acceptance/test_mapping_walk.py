"""The walk of docs/mappings.md with real processes: 40 orders held, one line, and they go on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.stage import SECRETS, Stage, until

pytestmark = pytest.mark.whole
NEW = "voucher_card"
LINE = "    cod: cod\n"


@pytest.fixture
def open_for_business(tmp_path: Path) -> Iterator[tuple[Stage, Any]]:
    stage = Stage(tmp_path / "stage", SECRETS)
    with stage.systems() as remote:
        remote("depot", "receive", sku="TEA", place="EAST", quantity=99)
        remote("books", "set_item", sku="TEA", list_price="10.00", unit_cost="4.00")
        remote("shop", "list_item", sku="TEA", price="10.00")
        yield stage, remote


def mapping(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    return stage.cli("mapping", *words)


def holds(stage: Stage) -> list[dict[str, Any]]:
    found = json.loads(stage.cli("holds", "--json").stdout)
    rows: list[dict[str, Any]] = found["holds"] if isinstance(found, dict) else found
    return rows


def told(what: str, done: subprocess.CompletedProcess[str]) -> str:
    print(f"\n$ {what}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def test_a_new_payment_method_from_the_first_exception_to_the_last_order(
    open_for_business: tuple[Stage, Any],
) -> None:
    stage, remote = open_for_business
    file = stage.mappings / "generic_channel" / "order.yaml"
    with stage.daemon():
        until("the shop shows the tea", lambda: remote("shop", "shown", sku="TEA"))
        for _ in range(5):
            remote("shop", "place_order", sku="TEA", quantity=1)
        until("five are asked for", lambda: released(stage) == 5)
        for _ in range(40):
            remote("shop", "place_order", sku="TEA", quantity=1, payment=NEW)
        until("forty are held", lambda: [row["members"] for row in holds(stage)] == [40])
        assert NEW in told("truecount holds", stage.cli("holds"))

        # A slip of the pen first: the old version stays in force, and says why.
        good = file.read_text()
        file.write_text(good.replace(LINE, f"{LINE}    {NEW}: payd\n"))
        until("the exception of the file", lambda: len(holds(stage)) == 2)
        assert '"payd" is not a word of payment' in told("truecount status", stage.cli("status"))
        check, reload = stage.cli("check"), stage.cli("reload")
        assert 'Did you mean "paid"?' in told("truecount check", check)
        assert check.stderr.partition("\n\n")[2] == reload.stderr.partition("\n\n")[2]
        assert check.returncode == reload.returncode == 2

        # Put right elsewhere, and looked at before it is used.
        file.write_text(good)
        trial = file.with_name("order.edit.yaml")
        trial.write_text(
            good.replace(LINE, f"{LINE}    {NEW}: paid\n").replace("version: 1", "version: 2")
        )
        page = stage.folder / "preview.html"
        said = told(
            f"truecount mapping preview {trial} --html",
            mapping(stage, "preview", str(trial), "--html", str(page)),
        )
        assert "40  would be released" in said
        assert "posted already" not in said
        assert page.read_text().startswith("<!doctype html>")
        assert 40 in [row["members"] for row in holds(stage)]

        # Saved: everything goes on by itself.
        trial.replace(file)
        until("nothing is held", lambda: holds(stage) == [])
        until("all are asked for", lambda: released(stage) == 45)
        assert "Nothing needs you" in told("truecount status", stage.cli("status"))
        said = told(f"truecount mapping preview {file}", mapping(stage, "preview", str(file)))
        assert "Nothing would change." in said


def released(stage: Stage) -> int:
    [[count]] = stage.rows("SELECT count(*) FROM orders WHERE state = 'released'")
    return int(count)
