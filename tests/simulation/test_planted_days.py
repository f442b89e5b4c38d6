"""The simulation convicts planted bugs, by the promise that breaks; without them it acquits."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.planted import court
from tests.planted.bugs import Bug
from tests.simulation.bugs import BUGS

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return court.copy_program(tmp_path_factory.mktemp("planted"))


def played(copy: Path, harness: str) -> list[dict[str, Any]]:
    """The verdicts of these days over the copy, and over nothing else of ours."""
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "simulate", "--json", *harness.split()],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]
    verdicts: list[dict[str, Any]] = json.loads(done.stdout)["seeds"]
    return verdicts


#: These every day, the others in `make soak`.
DAILY = 1


@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(bug, id=bug.name, marks=[] if place < DAILY else [pytest.mark.long])
        for place, bug in enumerate(BUGS)
    ],
)
def test_a_planted_bug_is_convicted_by_its_promise(copy: Path, bug: Bug) -> None:
    with court.planted(copy, bug):
        wrong = [what for one in played(copy, bug.harness) for what in one["wrong"]]
    assert any(re.search(bug.says, what) for what in wrong), wrong


@pytest.mark.parametrize("harness", sorted({bug.harness for bug in BUGS[:DAILY]}))
def test_without_a_bug_the_same_day_holds(copy: Path, harness: str) -> None:
    assert [one["wrong"] for one in played(copy, harness)] == [[]]
