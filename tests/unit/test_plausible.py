"""Numbers that cannot be true are asked about (S38), and those that can be are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plausible import PLACEHOLDERS, Limits, doubt

DEFAULT = Limits()


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        (5, -999, "placeholder"),
        (None, 999_999, "placeholder"),  # also where nothing was known before
        (5, -101, "negative"),
        (None, -500, "negative"),
        (150, 1_501, "rise"),  # ten times as many and a thousand more
        (5, 2_000, "rise"),
        (0, 10_001, "rise"),
        (-3, 10_001, "rise"),
    ],
)
def test_s38_what_cannot_be_true_is_asked_about(old: int | None, new: int, cause: str) -> None:
    found = doubt(old, new, DEFAULT)
    assert found is not None
    assert found.cause == cause
    assert str(new) in found.words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (5, 0),  # sold out
        (5_000, 0),
        (5, -3),  # H18: a warehouse that shipped more than it knew of
        (5, 60),  # a dozen times as many, and still few
        (0, 10_000),  # goods come in where there were none
        (200, 1_900),
        (None, 50_000),
        (-999, -999),  # it was accepted once, and it is said again
        (99_999, 99_998),
    ],
)
def test_s38_what_may_be_true_is_believed(old: int | None, new: int) -> None:
    assert doubt(old, new, DEFAULT) is None


@given(old=st.integers(-100, 100_000), new=st.integers(-100, 100_000))
def test_s38_a_fall_is_never_a_rise_and_the_same_number_is_never_asked_twice(
    old: int, new: int
) -> None:
    found = doubt(old, new, DEFAULT)
    if new <= old:
        assert found is None or found.cause == "placeholder"
    if new == old or (new not in PLACEHOLDERS and new - old <= DEFAULT.units):
        assert found is None


@pytest.mark.parametrize(
    ("gone", "shown", "asked"),
    [
        (0, 0, False),  # there was nothing, and there is nothing
        (1, 0, True),  # an empty answer, also of a shop with one article
        (10, 20, False),  # a third of a small shop
        (11, 20, True),
        (11, 34, False),
        (2_500, 7_500, False),
        (2_501, 7_499, True),
    ],
)
def test_s38_a_pass_that_lost_too_much_is_asked_about(gone: int, shown: int, asked: bool) -> None:
    assert DEFAULT.unlikely_pass(gone, shown) is asked


def test_s38_every_limit_can_be_moved() -> None:
    wide = Limits(negative=5_000, times=1e9, never=frozenset(), gone_percent=100.0)
    assert doubt(1, -999, wide) is None
    assert doubt(1, 999_999, wide) is None
    assert not wide.unlikely_pass(9_999, 1)
