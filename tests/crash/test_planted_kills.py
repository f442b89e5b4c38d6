"""The kills and the power losses are proven by bugs that they must convict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.bugs import BUGS
from tests.planted import court
from tests.planted.bugs import Bug

pytestmark = pytest.mark.whole
TIMEOUT_S = 400


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return court.copy_program(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_convicted(copy: Path, bug: Bug) -> None:
    """It ends with 1 and says why; a copy that does not start is no conviction."""
    with court.planted(copy, bug):
        done = subprocess.run(
            [sys.executable, "-m", *bug.harness.split()],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 1, done.stdout
    assert re.search(bug.says, done.stdout), done.stdout
    assert " 0 kills " not in f" {done.stdout}"


def test_each_bug_is_looked_for_by_a_harness_that_passes_without_it() -> None:
    """test_kill.py and test_power_loss.py run the same places over the program as it is."""
    at = {bug.harness.partition("--at ")[2] for bug in BUGS if "tests.crash" in bug.harness}
    from tests.crash.places import KILLS

    names = {kill.at.partition(":")[0] for kill in KILLS}
    assert {one.partition(":")[0] for one in at} <= names
