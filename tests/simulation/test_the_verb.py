"""`truecount simulate`: progress, the line that reproduces a failure, and refusals."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

import pytest

from core.cli import main, simulating
from core.clock import ManualClock
from core.simulation.run import Verdict


def a_verdict(seed: int, wrong: tuple[str, ...] = ()) -> Verdict:
    return Verdict(
        seed=seed,
        hours=6.0,
        digest="0123456789abcdef",
        wrong=wrong,
        simulated_s=6 * 3600.0,
        orders=7,
        calls=70,
        lives=2,
    )


def played(seeds: range, bad: set[int], *, as_json: bool = False) -> int:
    """What the verb says of days of which these fail; days themselves are tested elsewhere."""
    clock = ManualClock(datetime(2026, 11, 25, tzinfo=UTC))

    def play(seed: int, **_: object) -> Verdict:
        clock.advance(3.0)
        return a_verdict(seed, ("at 1.000 s: G3: booked twice",) if seed in bad else ())

    options = argparse.Namespace(hours=6.0, trace=False, json=as_json)
    return simulating.simulate(seeds, options, play, clock)


def test_a_real_day_says_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "4", "--hours", "1"]) == 0
    said = capsys.readouterr()
    assert "seed 4: trace " in said.out
    assert "Everything held." in said.out


def test_a_failure_says_how_to_see_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert played(range(7, 10), {8}) == 1
    said = capsys.readouterr()
    assert "seed 8 failed: truecount simulate --seeds 8..8 --hours 6 --trace" in said.out
    assert "booked twice" in said.out
    assert "1 failed." in said.out
    assert "simulating days: 2 of 3 …" in said.err


def test_after_ten_failures_it_stops(capsys: pytest.CaptureFixture[str]) -> None:
    assert played(range(100), set(range(100))) == 1
    assert "10 days, 60.0 h" in capsys.readouterr().out


def test_json_has_every_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert played(range(1, 3), {2}, as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["days"], said["failed"], said["orders"]) == (2, 1, 14)
    assert [one["seed"] for one in said["seeds"]] == [1, 2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--seeds", "x"], "'x' is not like 1..500"),
        (["--seeds", "9..7"], "'9..7' is not like 1..500"),
        (["--seeds", "1", "--hours", "0"], "--hours 0 is not between"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *words]) == 2
    assert says in capsys.readouterr().err
