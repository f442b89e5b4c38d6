"""Every planted bug can still be planted: its line stands once where the patch looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import bugs as of_kills
from tests.planted import bugs as of_tests
from tests.simulation import bugs as of_days

REPO = Path(__file__).resolve().parents[2]
BUGS = [*of_tests.BUGS, *of_kills.BUGS, *of_days.BUGS]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_its_line_stands_once(bug: of_tests.Bug) -> None:
    """A bug that is planted in `make soak` only lost its line, and nobody knew for a day."""
    assert (REPO / bug.file).read_text("utf-8").count(bug.old) == 1
