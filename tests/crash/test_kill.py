"""H1, H21, H31: killed by SIGKILL at a named place, started again, and all systems compared.

A chain is one installation that is killed again and again: what an earlier death left must
not hurt a later one. These are as many as fit into a coffee break; `python -m tests.crash`
does each of tests/crash/places.py, and any number more at random.
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
        "hook.keeping:2", "store.committed:15", "sweep.rows_kept@depot/stock_reading",
        "sweep.cursor_moved@market/order", "intake.row_decided@shop:2",
    ),
    "what is told is told once": (
        "outbox.begun@books", "outbox.sent@books", "outbox.sent@market:2",
        "publish.answered@market", "token.answered",
    ),
}  # fmt: skip


def kill(at: str) -> Kill:
    """The one of tests/crash/places.py that an installation with a past can take."""
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


def test_h1_killed_in_its_first_start_it_begins_again(tmp_path: Path) -> None:
    with Installation(tmp_path / "a") as own:
        assert Killing(own).kill_first_start("schema.making"), "never passed"


def test_killed_while_the_mail_goes_it_goes_under_one_name(tmp_path: Path) -> None:
    """The mail server has it and nobody wrote that down: its Message-ID tells the second copy."""
    with Installation(tmp_path / "a", mails=True) as own:
        assert Killing(own).kill_mail("mail.accepted"), "never passed"
        assert len(own.box.mails) == 2


def test_g19_killed_while_an_older_state_is_brought_up(tmp_path: Path) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        assert killing.kill_upgrade("schema.bringing_up"), "no upgrade was killed"


@pytest.mark.long
def test_h34_h38_killed_while_files_come_into_force_and_while_a_backup_is_put_back(
    tmp_path: Path,
) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        assert killing.kill_edit("items.swapped:2"), "no edit was killed"
        assert killing.kill_edit("mappings.in_force"), "no saved mapping was killed"
        assert killing.kill_backup("backup.copied"), "no backup was killed"
        assert killing.kill_restore("restore.log_gone"), "no restore was killed"
