"""Movements onto a number: once, in their owner's order, and careful where that is not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ledger import (
    Claim,
    Mark,
    Movement,
    Reading,
    Source,
    follow,
    is_inside,
    may_end,
    supply_of,
    terms,
    transferred,
)

T0 = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
GAPLESS = Source(basis="on_hand", ordered_by="counter", gapless=True)
COUNTED = Source(basis="on_hand", ordered_by="counter")
TIMED = Source(basis="available", ordered_by="as_of")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def reading(units: int, began: float = 0, **words: Any) -> Reading:
    return Reading(on_hand=units, available=units, began_at=at(began), **words)


def move(units: int, seen: float = 100, **words: Any) -> Movement:
    return Movement(units=units, seen_at=at(seen), **words)


def test_g3_a_movement_older_than_the_number_is_already_inside_it() -> None:
    base = reading(10, counter=7)
    after, kept = follow(base, [move(-3, counter=7), move(5, counter=2)], GAPLESS, unbroken=7)
    assert (after.on_hand, after.counter, kept) == (10, 7, [])


def test_without_a_hole_the_result_is_as_good_as_a_reading() -> None:
    base = reading(10, counter=7)
    moves = [move(4, counter=9), move(-1, counter=8)]
    after, kept = follow(base, moves, GAPLESS, unbroken=9)
    assert (after.on_hand, after.counter, after.moved, kept) == (13, 9, 0, [])
    left = Claim(units=1, state="shipped", shipped=Mark(seen_at=at(0), counter=8))
    assert may_end(left, after, GAPLESS) == "shipped: counter 9 >= 8"
    assert may_end(left, base, GAPLESS) == ""


def test_behind_a_hole_a_rise_waits_and_a_fall_is_in_doubt() -> None:
    base = reading(10, counter=7)
    moves = [move(2, counter=8), move(5, counter=10), move(-4, counter=11)]
    after, kept = follow(base, moves, GAPLESS, unbroken=8)
    assert (after.on_hand, after.counter, after.doubt) == (12, 8, 4)
    assert kept == moves[1:]
    found = terms(after, [], safety_stock=0, source=GAPLESS)
    assert (found.supply, found.doubt, found.sellable, found.oversold) == (12, 4, 8, 0)
    filled, kept = follow(after, [*kept, move(-1, counter=9)], GAPLESS, unbroken=11)
    assert (filled.on_hand, filled.counter, filled.doubt, kept) == (12, 11, 0, [])


def test_where_counting_has_holes_a_movement_moves_the_number_and_proves_nothing() -> None:
    base = reading(10, counter=7)
    moves = [move(4, counter=9), move(-1, counter=12)]
    after, kept = follow(base, moves, COUNTED)
    assert (after.on_hand, after.counter, after.moved, kept) == (13, 7, 3, moves)
    again, kept = follow(after, kept, COUNTED)  # nothing is added a second time
    assert (again.on_hand, kept) == (13, moves)
    later, kept = follow(reading(14, counter=10), kept, COUNTED)
    assert (later.on_hand, later.moved, kept) == (13, -1, moves[1:])


def test_two_equal_times_count_a_fall_and_leave_out_a_rise() -> None:
    base = reading(10, as_of=at(5))
    assert not is_inside(move(-1, as_of=at(5)), base, TIMED)
    assert is_inside(move(1, as_of=at(5)), base, TIMED)
    assert is_inside(move(-1, as_of=at(4)), base, TIMED)
    assert not is_inside(move(1, as_of=at(6)), base, TIMED)


def test_a_number_without_an_order_of_its_own_holds_what_we_knew_before_we_asked() -> None:
    missing = reading(0, began=50)
    assert is_inside(move(-2, seen=40, counter=9), missing, GAPLESS)
    assert not is_inside(move(-2, seen=60, counter=9), missing, GAPLESS)
    assert is_inside(move(2, seen=60, counter=9), missing, GAPLESS)


@given(
    units=st.lists(st.integers(-5, 9), min_size=1, max_size=12),
    base=st.integers(0, 12),
    known=st.sets(st.integers(1, 12)),
)
def test_the_number_is_the_owners_as_of_the_last_counter_without_a_hole(
    units: list[int], base: int, known: set[int]
) -> None:
    """Whatever arrived, in any order, on whichever reading."""
    base = min(base, len(units))
    known = {counter for counter in known if counter <= len(units)} | set(range(1, base + 1))
    unbroken = next(n - 1 for n in range(1, 99) if n not in known)
    moves = [move(units[counter - 1], counter=counter) for counter in known]
    after, kept = follow(
        reading(sum(units[:base]), counter=base), moves, GAPLESS, unbroken=unbroken
    )
    assert after.counter == max(base, unbroken)
    assert supply_of(after, GAPLESS) == sum(units[: after.counter])
    assert {one.counter for one in kept} == {one for one in known if one > after.counter}
    assert after.doubt == -sum(min(0, one.units) for one in kept)


@pytest.mark.parametrize(
    ("rise", "elsewhere", "doubt"),
    [(4, [10], 4), (4, [1, 2], 3), (4, [0, -5], 0), (-4, [10], 0), (0, [3], 0), (9, [], 0)],
)
def test_units_that_appear_may_still_be_counted_where_they_came_from(
    rise: int, elsewhere: list[int], doubt: int
) -> None:
    assert transferred(rise, elsewhere) == doubt


def test_h18_a_deficit_is_part_of_what_is_oversold() -> None:
    found = terms(reading(-3), [Claim(units=5)], safety_stock=2, source=COUNTED)
    assert (found.sellable, found.oversold) == (-10, 8)
    assert terms(reading(-3), [], safety_stock=0, source=COUNTED).oversold == 3


def test_h16_an_owner_that_accepted_more_than_it_has_is_oversold_too() -> None:
    """Its net number is below zero; our claims are inside it, and still cannot all leave."""
    accepted = Claim(units=5, accepted=Mark(seen_at=at(0), as_of=at(3)))
    net = Reading(available=-2, as_of=at(4), began_at=at(4))
    found = terms(net, [accepted], safety_stock=0, source=TIMED)
    assert (found.claimed, found.excluded, found.oversold) == (0, 5, 2)
