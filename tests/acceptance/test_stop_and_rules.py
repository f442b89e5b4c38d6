"""Offer rules and stops as an operator meets them: the command line beside a running daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.stage import SECRETS, Stage, until

pytestmark = pytest.mark.whole

CAP = "rules:\n  - {sku: TEA, channel: shop, cap: 4}\n"
STOP = ("stop-sell", "TEA", "--reason", "recall of lot 7", "--by", "Mia")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path / "stage", SECRETS)
    stage.config.write_text(stage.config.read_text() + "rules: mappings/rules.yaml\n")
    write(stage, "rules: []\n")
    return stage


@pytest.fixture
def open_for_business(stage: Stage) -> Iterator[tuple[Stage, Any]]:
    with stage.systems() as remote:
        remote("depot", "receive", sku="TEA", place="EAST", quantity=9)
        remote("books", "set_item", sku="TEA", list_price="10.00", unit_cost="4.00")
        remote("shop", "list_item", sku="TEA", price="10.00")
        yield stage, remote


def write(stage: Stage, text: str) -> None:
    (stage.mappings / "rules.yaml").write_text(text)


def shows(remote: Any, units: int) -> None:
    until(f"the shop shows {units}", lambda: remote("shop", "shown", sku="TEA") == units)


def test_check_refuses_bad_rules_with_file_line_and_column(stage: Stage) -> None:
    write(stage, "rules:\n  - share: 140%\n  - {channel: shpo, cap: 5}\n  - {tag: gift, cap: 5}\n")
    done = stage.cli("check")
    assert done.returncode == 2
    path = stage.mappings / "rules.yaml"
    assert done.stderr.partition("\n\n")[2].splitlines() == [
        f'{path}:2:12  rules row 1.share: "140%" is more than 100%',
        f'{path}:3:15  rules row 2.channel names the unknown channel "shpo"',
        '  Did you mean "shop"?',
        f'{path}:4:11  rules row 3.tag names the unknown tag "gift"',
        "  There is no tag yet.",
    ]
    write(stage, CAP)  # nobody has named a SKU yet: whether TEA exists is not known
    done = stage.cli("check")
    assert (done.returncode, "1 offer rules" in done.stdout) == (0, True)


def test_a_rule_for_an_unknown_sku_is_refused_and_the_daemon_keeps_the_last_good_rules(
    open_for_business: tuple[Stage, Any],
) -> None:
    stage, remote = open_for_business
    path = stage.mappings / "rules.yaml"
    write(stage, CAP)
    with stage.daemon():
        shows(remote, 4)
        write(stage, CAP.replace("TEA", "[TEA, TAE]").replace("4", "6"))
        said = (
            f'{path}:2:17  no warehouse, ERP or channel has named the SKU "TAE"\n'
            '  Did you mean "TEA"?'
        )
        for verb in ("check", "reload"):
            done = stage.cli(verb)
            assert done.returncode == 2
            assert said in done.stderr
        shows(remote, 4)
        holds = stage.cli("holds").stdout
        assert "the file of the offer rules is refused" in holds
        remote("depot", "receive", sku="TEA", place="EAST", quantity=1)
        until("the warehouse's number is read", lambda: "10" in stage.cli("why", "TEA").stdout)
        shows(remote, 4)
        write(stage, CAP.replace("4", "6"))
        assert stage.cli("reload").returncode == 0
        shows(remote, 6)
        assert stage.cli("holds").stdout == "Nothing needs you.\n"


def test_stop_sell_now_and_resume(open_for_business: tuple[Stage, Any]) -> None:
    stage, remote = open_for_business
    with stage.daemon():
        shows(remote, 9)
        done = stage.cli(*STOP, "--channel", "shop", "--json")
        assert json.loads(done.stdout) == {
            "stopped": "TEA", "on": "shop", "until": "somebody resumes it"
        }  # fmt: skip
        shows(remote, 0)
        said = "Stopped: TEA on shop by Mia, until somebody resumes it. recall of lot 7\n"
        assert said in stage.cli("status").stdout
        (row,) = json.loads(stage.cli("status", "--json").stdout)["stopped"]
        assert (row["sku"], row["by"], row["reason"]) == ("TEA", "Mia", "recall of lot 7")
        done = stage.cli("stop-sell", "GHOST", "--reason", "x", "--by", "Mia")
        assert done.returncode == 3
        assert "no warehouse, ERP or channel has named the SKU 'GHOST'" in done.stderr
        assert stage.cli("resume-sell", "TEA").returncode == 0
        shows(remote, 9)
        assert stage.cli("stop-sell", "TEA").returncode == 2  # nobody says why
    # No daemon runs: the verb takes its lock, and the next start knows of it.
    assert stage.cli(*STOP).returncode == 0
    with stage.daemon():
        shows(remote, 0)
