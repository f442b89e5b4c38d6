"""The catalog of crash points is the code's, and the process really dies where it is told to."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from core import crash
from core.crash import CRASH_POINTS, VARIABLE
from core.errors import ConfigError
from tests.crash.places import KILLS

REPO = Path(__file__).resolve().parents[2]


def placed() -> Counter[str]:
    """Every name that stands in a call of `crash_point`, anywhere in our code."""
    found = Counter[str]()
    for folder in ("core", "connectors"):
        for path in (REPO / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "crash_point":
                    assert isinstance(node.args[0], ast.Constant), f"{path}: a name is written out"
                    found[node.args[0].value] += 1
    return found


def test_every_name_of_the_catalog_stands_once_in_the_code_and_no_other() -> None:
    assert placed() == Counter(dict.fromkeys(CRASH_POINTS, 1))
    assert len(CRASH_POINTS) >= 40


def test_every_place_has_its_kill_and_every_kill_can_be_written() -> None:
    assert {kill.name for kill in KILLS} == set(CRASH_POINTS)
    assert len(KILLS) == len(set(KILLS))
    for kill in KILLS:
        assert crash.read(kill.at) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("outbox.sent", ("outbox.sent", "", 1)),
        ("outbox.sent:3", ("outbox.sent", "", 3)),
        ("outbox.sent@books:12", ("outbox.sent", "books", 12)),
        ("wire.sending@POST", ("wire.sending", "POST", 1)),
        ("sweep.asking@shop/order:2", ("sweep.asking", "shop/order", 2)),
    ],
)
def test_what_the_variable_can_say(text: str, said: tuple[str, str, int]) -> None:
    armed = crash.read(text)
    assert armed is not None
    assert (armed.name, armed.of, armed.left) == said


def test_without_the_variable_nothing_is_armed() -> None:
    assert crash.read("") is None


@pytest.mark.parametrize("text", ["outbox.sendt", "outbox.sent:0", "outbox.sent@", "x", "a:b:c"])
def test_a_place_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no place where the program can be made to die"):
        crash.read(text)


def run(at: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={VARIABLE: at}, cwd=REPO, capture_output=True, text=True
    )


PASSES = """
from core.crash import crash_point
try:
    for n in range(1, 5):
        crash_point("outbox.sent", "books" if n % 2 else "depot/parcel")
        print(n, flush=True)
finally:
    print("cleaned up", flush=True)
"""


@pytest.mark.parametrize(
    ("at", "passed"),
    [
        ("outbox.sent:3", "1\n2\n"),
        ("outbox.sent@depot:2", "1\n2\n3\n"),
        ("outbox.sent@depot/parcel", "1\n"),
        ("outbox.sent@books", ""),
    ],
)
def test_the_process_dies_at_that_passing_and_cleans_nothing_up(at: str, passed: str) -> None:
    died = run(at, PASSES)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, passed)


@pytest.mark.parametrize("at", ["", "outbox.ended:1", "outbox.sent@depot/order:1"])
def test_no_other_place_and_no_other_process_is_harmed(at: str) -> None:
    lived = run(at, PASSES)
    assert (lived.returncode, lived.stdout) == (0, "1\n2\n3\n4\ncleaned up\n")


def test_the_command_line_refuses_an_unknown_place_before_anything_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "run", "--config", "there-is-none.yaml"],
        env={VARIABLE: "outbox.sendt:1"},
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "TRUECOUNT_CRASH_AT  'outbox.sendt:1' is no place" in done.stderr
    assert "Unset it" in done.stderr
