"""H1, H21, H31: killed by SIGKILL at a named place, started again, and all systems compared.

As many places as fit into a coffee break; `python -m tests.crash` takes each of them, and
as many more at random as one likes. A chain is one installation that is killed again and
again: what an earlier death left must not hurt a later one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.installation import Installation
from tests.crash.killing import Killing
from tests.crash.places import KILLS, Kill

pytestmark = pytest.mark.whole

CHAINS = {
    "what arrives is kept, understood and decided once": (
        "hook.answered:2", "store.committed:15", "intake.row_decided@shop:2", "intake.decided:2",
    ),
    "what is read is read once, and nothing is read over": (
        "sweep.rows_kept@depot/stock_reading", "sweep.cursor_moved@market/order",
        "sweep.page_kept@market/order", "fetch.answered@depot",
    ),
    "what is told is told once": (
        "outbox.begun@books", "outbox.sent@books", "outbox.sent@depot", "outbox.sent@market:2",
    ),
    "what may have happened is found out": (
        "wire.answered@POST:3", "outbox.looked@books", "outbox.ending@books:2",
        "outbox.ended@depot",
    ),
    "numbers, logins and stops": (
        "publish.intended@shop", "publish.answered@market", "token.answered", "store.folding",
    ),
}  # fmt: skip


def kill(at: str) -> Kill:
    (found,) = {one for one in KILLS if one.at == at and not one.needs_new}
    return found


@pytest.mark.parametrize("chain", CHAINS, ids=lambda name: name.replace(" ", "_"))
def test_h1_h21_killed_there_nothing_is_lost_and_nothing_is_doubled(
    tmp_path: Path, chain: str
) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        for one in map(kill, CHAINS[chain]):
            assert getattr(killing, one.verb)(one.at), f"{one.at} was never passed"


@pytest.mark.parametrize("at", ["schema.making", "publish.quota_answered@shop"])
def test_h1_killed_in_its_first_start_it_begins_again(tmp_path: Path, at: str) -> None:
    with Installation(tmp_path / "a") as own:
        assert Killing(own).kill_first_start(at), f"{at} was never passed"


def test_h34_killed_while_files_come_into_force_they_do_so_once(tmp_path: Path) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        for at in ("items.swapped:2", "mappings.in_force"):
            assert killing.kill_edit(at), f"{at} was never passed"


@pytest.mark.parametrize("at", ["mail.claimed", "mail.accepted"])
def test_killed_while_the_mail_goes_it_goes_under_one_name(tmp_path: Path, at: str) -> None:
    with Installation(tmp_path / "a", mails=True) as own:
        assert Killing(own).kill_mail(at), f"{at} was never passed"


def test_g19_killed_while_an_older_state_is_brought_up(tmp_path: Path) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        assert killing.kill_upgrade("schema.bringing_up"), "no upgrade was killed"


def test_h38_killed_while_a_backup_is_made_or_put_back(tmp_path: Path) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        assert killing.kill_backup("backup.copied"), "no backup was killed"
        assert killing.kill_restore("restore.log_gone"), "no restore was killed"
