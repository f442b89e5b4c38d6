"""G1: what was acknowledged survives a power loss at any operation; and the trial is a trial.

The control is the same workload over the same store with a weaker `synchronous`: if that
were not convicted, the images would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.power import trial
from tests.power.recorder import Op, why_not

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(why_not() != "", reason=why_not()),
]
#: Enough for the log to be folded into the database at least once while pushes arrive.
EVENTS = 330


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Op]]:
    return {
        level: trial.record(
            tmp_path_factory.mktemp("disk"), synchronous=level, events=EVENTS, seed=1
        )
        for level in ("", "NORMAL", "OFF")
    }


def test_g1_the_recording_is_of_a_whole_life(recorded: dict[str, list[Op]]) -> None:
    """First start, a log that is folded in under load, a clean end: or the images miss it."""
    ops = recorded[""]
    acks = [n for n, op in enumerate(ops) if op.what == "ack"]
    folded = [n for n, op in enumerate(ops) if op.what == "write" and op.file == trial.STATE]
    assert len(acks) == EVENTS
    assert any(acks[0] < n < acks[-1] for n in folded)
    assert folded[0] < acks[0]
    assert ops[-1].what == "delete"


@pytest.mark.parametrize("seed", [1, 2, pytest.param(3, marks=pytest.mark.long)])
def test_g1_h1_whenever_the_power_goes_acknowledged_is_kept_and_pairs_are_whole(
    recorded: dict[str, list[Op]], seed: int, record_property: Callable[[str, str], None]
) -> None:
    verdict = trial.judge(recorded[""], count=1_000, seed=seed)
    record_property("figure", f"power loss, as it is (seed {seed}): {verdict.said}")
    assert verdict.clean, verdict.worst


def test_g1_the_control_with_synchronous_normal_loses_what_was_acknowledged(
    recorded: dict[str, list[Op]], record_property: Callable[[str, str], None]
) -> None:
    verdict = trial.judge(recorded["NORMAL"], count=200, seed=1)
    record_property("figure", f"power loss, synchronous=NORMAL: {verdict.said}")
    assert verdict.lost_images > 50
    assert verdict.damaged == verdict.torn == 0  # it loses, and does not tear


def test_g1_the_control_with_synchronous_off_leaves_files_that_do_not_open(
    recorded: dict[str, list[Op]], record_property: Callable[[str, str], None]
) -> None:
    verdict = trial.judge(recorded["OFF"], count=150, seed=1)
    record_property("figure", f"power loss, synchronous=OFF: {verdict.said}")
    assert verdict.lost_images > 30
    assert verdict.damaged > 5
