"""A daemon that starts in the middle of somebody's edit, with real processes (H34, G15)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.stage import SECRETS, Stage, until

pytestmark = pytest.mark.whole
GOOD, BROKEN = " total | money", " total | mony"
ALTERED = ("  channel_state:    state\n", "  channel_state:    state | upper\n")
SLIP = '"mony" is not a step'


def edit(stage: Stage, old: str, new: str) -> None:
    file = stage.mappings / "generic_channel" / "order.yaml"
    text = file.read_text()
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new))


def test_from_a_refused_first_start_to_an_edit_that_is_taken_at_the_third(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage", SECRETS)
    with stage.systems() as remote:
        remote("depot", "receive", sku="TEA", place="EAST", quantity=9)
        remote("books", "set_item", sku="TEA", list_price="10.00", unit_cost="4.00")
        remote("shop", "list_item", sku="TEA", price="10.00")

        # Never a good text: it does not start, in the words of `check`.
        edit(stage, GOOD, BROKEN)
        check, run = stage.cli("check"), stage.cli("run")
        assert check.returncode == run.returncode != 0
        assert SLIP in check.stderr
        assert check.stderr.replace("truecount check", "truecount run") == run.stderr
        edit(stage, BROKEN, GOOD)
        with stage.daemon():
            until("the shop shows the tea", lambda: remote("shop", "shown", sku="TEA"))
            remote("shop", "place_order", sku="TEA", quantity=1)
            until("one is asked for", lambda: released(stage) == 1)

        # A broken file at the next start: it works on with what it had, and says so.
        edit(stage, GOOD, BROKEN)
        with stage.daemon():
            remote("shop", "place_order", sku="TEA", quantity=1)
            until("two are asked for", lambda: released(stage) == 2)
            today = datetime.now(UTC).date().isoformat()
            for words in (("status",), ("holds",), ("report", "--date", today)):
                said = stage.cli(*words, "--json").stdout  # as text, the mail breaks a long path
                assert "generic_channel/order.yaml:15:" in said, words
                assert SLIP in said.replace('\\"', '"'), words

        # An edit that alters posted orders: it asks, also at a start, and then takes it.
        edit(stage, BROKEN, GOOD)
        edit(stage, *ALTERED)
        with stage.daemon():
            said = " ".join(stage.cli("holds").stdout.split())
            assert "an edited mapping alters documents that are posted already" in said
            assert SLIP not in said
            assert texts(stage) == 1
            done = stage.cli("reload", "--yes")
            assert done.returncode == 0, done
            assert "Nothing needs you" in stage.cli("status").stdout
            assert texts(stage) == 2
        with stage.daemon():
            assert "Nothing needs you" in stage.cli("status").stdout


def released(stage: Stage) -> int:
    [[count]] = stage.rows("SELECT count(*) FROM orders WHERE state = 'released'")
    return int(count)


def texts(stage: Stage) -> int:
    [[count]] = stage.rows(
        "SELECT count(*) FROM mapping_texts WHERE connector = 'generic_channel' AND stem = 'order'"
    )
    return int(count)
