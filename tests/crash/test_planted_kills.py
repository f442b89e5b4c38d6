"""The kills and the power losses are proven by bugs that they must convict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.bugs import BUGS
from tests.crash.places import KILLS
from tests.planted import court
from tests.planted.bugs import Bug

pytestmark = pytest.mark.whole
TIMEOUT_S = 400
TRIALS = 3


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return court.copy_program(tmp_path_factory.mktemp("planted"))


#: These two every day: one that a kill convicts, one that a power loss does.
DAILY = ("a push is acknowledged before its commit", "a commit is not synced")


@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(bug, id=bug.name, marks=[] if bug.name in DAILY else [pytest.mark.long])
        for bug in BUGS
    ],
)
def test_a_planted_bug_is_convicted(copy: Path, bug: Bug) -> None:
    """It ends with 1 and says why; a copy that does not start is no conviction.

    Whether an answer left before its writer died is a race of the bug's own: of three
    kills one has to catch it. The program without it must stand every one.
    """
    with court.planted(copy, bug):
        for _ in range(TRIALS):
            done = run(copy, bug)
            if done.returncode:
                break
    assert done.returncode == 1, done.stdout
    assert re.search(bug.says, done.stdout), done.stdout
    assert " 0 kills " not in f" {done.stdout}"


def run(copy: Path, bug: Bug) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *bug.harness.split()],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_each_bug_can_be_planted_and_is_looked_for_where_the_program_passes(copy: Path) -> None:
    """test_kill.py and test_power_loss.py run the same places over the program as it is."""
    places = {kill.at.partition(":")[0] for kill in KILLS}
    for bug in BUGS:
        with court.planted(copy, bug):
            assert bug.new in (copy / bug.file).read_text("utf-8")
        _, _, at = bug.harness.partition("--at ")
        assert bug.harness.startswith("tests.power") or at.partition(":")[0] in places
