"""Days of the whole engine, one seed each. A seed that once failed stays here for ever."""

from __future__ import annotations

import os

import pytest

from core.simulation.run import run, simulate
from core.simulation.scenario import draw
from core.simulation.world import kinds

pytestmark = pytest.mark.whole

#: Found a fault of ours, which is fixed: (seed, hours, what it was). Long days are for `make soak`.
FOUND = (
    (3, 1, "prove did not know that the clock had been set back (G18)"),
    (15, 8, "a 200 with an error inside was a KeyError of the Amazon connector (H47)"),
    (202, 8, "an answer on a full disk left its command `sending` for ever (G13)"),
    (302, 8, "units a warehouse gave up were offered though the channel wants them (H16)"),
    (312, 8, "a booking tried in vain before the backup was booked twice (G17, H38)"),
    (314, 8, "units of a parcel heard of after the last one were shipped once more (S10)"),
    (11, 6, "a parcel read in a bad minute kept its order open for ever (T7)"),
    (19, 6, "a drain behind a held record was asked for every two seconds (H19)"),
)
LONG = (15, 312)
#: One day each in `make test`; `make soak` plays thousands with `truecount simulate`.
SEEDS = int(os.environ.get("TRUECOUNT_SEEDS", "2"))
HOURS = 24.0


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_a_day_holds_whatever_goes_wrong(seed: int) -> None:
    verdict = run(seed, hours=HOURS)
    assert verdict.wrong == ()
    assert verdict.simulated_s > HOURS * 3600


@pytest.mark.parametrize(
    ("seed", "hours", "what"),
    [
        pytest.param(*one, id=str(one[0]), marks=[pytest.mark.long] if one[0] in LONG else [])
        for one in FOUND
    ],
)
def test_a_seed_that_found_something_holds_now(seed: int, hours: float, what: str) -> None:
    assert run(seed, hours=hours).wrong == (), what


def test_a_calm_day_is_quiet() -> None:
    """Nothing goes wrong, nobody dies: whatever the judge says here is the judge's fault."""
    verdict = simulate(draw(4, 6, kinds()).calm())
    assert verdict.wrong == ()
    assert (verdict.lives, verdict.orders > 0) == (1, True)
