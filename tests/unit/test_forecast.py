"""How long what waits will take, in words an operator can plan with."""

from __future__ import annotations

import pytest

from core.forecast import Waiting, about, drain, rate


@pytest.mark.parametrize(
    ("waiting", "per_second", "words"),
    [
        (
            Waiting(commands=1240),
            10.0,
            "1,240 commands waiting for wms, at 10 calls a second done in about 2 minutes",
        ),
        (
            Waiting(commands=1, skus=12_000, batch=100),
            2.0,
            "1 command and 12,000 SKUs waiting for wms,"
            " at 2 calls a second done in about 60 seconds",
        ),
        (
            Waiting(commands=0, skus=1),
            1 / 178,  # Amazon's order search
            "1 SKU waiting for wms, at 20.2 calls an hour done in about 3 minutes",
        ),
        (
            Waiting(commands=300),
            0.5,
            "300 commands waiting for wms, at 30 calls a minute done in about 10 minutes",
        ),
        (Waiting(commands=0), 10.0, "nothing waiting for wms"),
    ],
)
def test_a_forecast_says_how_many_how_fast_and_how_long(
    waiting: Waiting, per_second: float, words: str
) -> None:
    assert drain("wms", waiting, per_second) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "1 second"),
        (89.4, "89 seconds"),
        (91, "2 minutes"),
        (5399, "90 minutes"),
        (5401, "2 hours"),
        (172_801, "2 days"),
    ],
)
def test_times_are_round(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_the_rate_is_the_budget_or_what_the_calls_in_flight_come_to() -> None:
    assert (rate(2.0, 4), rate(50.0, 4), rate(None, 8)) == (2.0, 20.0, 40.0)
