"""The arithmetic from an owner's number to what may be sold: G4, G6, G7, H13, H15-H18, S2, S3."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvariantBroken
from core.ledger import (
    Claim,
    Line,
    Mark,
    Reading,
    Source,
    assert_conserved,
    compare,
    excluded_by,
    may_end,
    passed,
    pool,
    supply_of,
    take,
    terms,
)

T0 = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
COUNTER = Source(basis="on_hand", ordered_by="counter")
NET = Source(basis="available", ordered_by="counter")
AS_OF = Source(basis="on_hand", ordered_by="as_of")
REQUEST = Source(basis="on_hand", ordered_by="request", settle_s=60)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def reading(units: int = 10, began: float = 0, **words: Any) -> Reading:
    return Reading(on_hand=units, available=units, began_at=at(began), **words)


def mark(seen: float = 0, **words: Any) -> Mark:
    return Mark(seen_at=at(seen), **words)


@pytest.mark.parametrize(
    ("source", "old", "new", "verdict"),
    [
        (COUNTER, {"counter": 5}, {"counter": 6}, "newer"),
        (COUNTER, {"counter": 5}, {"counter": 5}, "same"),
        (COUNTER, {"counter": 5, "began": 9}, {"counter": 4, "began": 3}, "stale"),
        (COUNTER, {"counter": 5, "began": 3}, {"counter": 4, "began": 9}, "reset"),  # H13
        (COUNTER, {"counter": 5, "began": 3}, {"began": 9}, "newer"),  # no counter: by request
        (AS_OF, {"as_of": at(5)}, {"as_of": at(6)}, "newer"),
        (AS_OF, {"as_of": at(5)}, {"as_of": at(5)}, "same"),
        (AS_OF, {"as_of": at(5), "began": 1}, {"as_of": at(4), "began": 99}, "stale"),
        (REQUEST, {"began": 5}, {"began": 6}, "newer"),
        (REQUEST, {"began": 5}, {"began": 5}, "same"),
        (REQUEST, {"began": 5, "counter": 1}, {"began": 4, "counter": 9}, "stale"),
    ],
)
def test_g4_h7_readings_are_ordered_as_their_owner_orders_them(
    source: Source, old: dict[str, Any], new: dict[str, Any], verdict: str
) -> None:
    assert compare(reading(**old), reading(**new), source) == verdict


def test_the_first_reading_is_news() -> None:
    assert compare(None, reading(), COUNTER) == "newer"


@pytest.mark.parametrize(
    ("source", "shipped", "read", "proven"),
    [
        (COUNTER, {"counter": 5}, {"counter": 4, "began": 999}, False),
        (COUNTER, {"counter": 5}, {"counter": 5}, True),
        (AS_OF, {"as_of": at(5)}, {"as_of": at(4), "began": 999}, False),
        (AS_OF, {"as_of": at(5)}, {"as_of": at(5)}, True),
        (REQUEST, {"seen": 10}, {"began": 69}, False),
        (REQUEST, {"seen": 10}, {"began": 70}, False),  # a tie proves nothing
        (REQUEST, {"seen": 10}, {"began": 71}, True),
        (COUNTER, {"seen": 10}, {"counter": 5, "began": 9}, False),  # no counter on the parcel
        (COUNTER, {"seen": 10}, {"counter": 5, "began": 11}, True),
    ],
)
def test_g7_h15_what_proves_that_a_number_was_taken_after_the_parcel(
    source: Source, shipped: dict[str, Any], read: dict[str, Any], proven: bool
) -> None:
    claim = Claim(units=1, state="shipped", shipped=mark(**shipped))
    assert bool(may_end(claim, reading(**read), source)) == proven
    assert bool(passed(mark(**shipped), reading(**read), source)) == proven


def test_h16_s3_a_net_number_excludes_what_its_owner_accepted_and_only_then() -> None:
    claim = Claim(units=2, accepted=mark(counter=5))
    assert excluded_by(claim, reading(counter=4), NET) == ""
    assert excluded_by(claim, reading(counter=5), NET).startswith("accepted")
    assert excluded_by(claim, reading(counter=9), COUNTER) == ""  # still on the shelf
    assert may_end(claim, reading(counter=9), NET) == ""  # an open claim never ends


def test_units_that_were_not_found_stay_subtracted_until_a_later_number() -> None:
    claim = Claim(units=2, state="missing", shipped=mark(counter=5))
    assert terms(reading(counter=4), [claim], safety_stock=0, source=COUNTER).sellable == 8
    assert may_end(claim, reading(counter=4), COUNTER) == ""
    assert may_end(claim, reading(counter=5), COUNTER)


def test_s2_every_term_is_shown() -> None:
    claims = [
        Claim(units=2),
        Claim(units=3, state="shipped", shipped=mark(counter=6)),
        Claim(units=1, state="shipped", shipped=mark(counter=4)),
    ]
    found = terms(reading(10, counter=5), claims, safety_stock=2, source=COUNTER)
    assert (found.supply, found.claimed, found.excluded, found.sellable) == (10, 5, 1, 3)
    assert found.oversold == 0


@pytest.mark.parametrize(("units", "sellable", "oversold"), [(4, -1, 1), (0, -5, 5), (-3, -8, 8)])
def test_h18_supply_below_the_claims_is_oversold_by_name(
    units: int, sellable: int, oversold: int
) -> None:
    found = terms(reading(units), [Claim(units=5)], safety_stock=0, source=COUNTER)
    assert (found.sellable, found.oversold) == (sellable, oversold)


def test_without_a_reading_nothing_is_for_sale() -> None:
    found = terms(None, [Claim(units=1)], safety_stock=0, source=COUNTER)
    assert (found.supply, found.sellable) == (0, -1)


def test_a_reading_without_its_basis_is_a_bug_not_a_zero() -> None:
    with pytest.raises(InvariantBroken, match="without on_hand"):
        supply_of(Reading(available=3, began_at=T0), COUNTER)


def test_a_deficit_in_one_place_takes_nothing_from_another() -> None:
    assert pool([5, -3, 0, 2]) == 7


@pytest.mark.parametrize(
    "parts", [(5, 1, 1, 1, 1), (1, 2, -1, 0, 0), (-1, 0, 0, 0, -1), (0, 1, 0, 0, 0)]
)
def test_g6_units_that_do_not_add_up_stop_the_lane(parts: tuple[int, ...]) -> None:
    names = ("ordered", "claimed", "short", "consumed", "cancelled")
    with pytest.raises(InvariantBroken, match="not conserved"):
        assert_conserved(Line(**dict(zip(names, parts, strict=True))), "order 1")


@given(st.integers(-2, 20), st.lists(st.integers(1, 5), max_size=6))
def test_drawing_from_claims_takes_in_order_and_never_more_than_there_is(
    units: int, held: list[int]
) -> None:
    drawn = take(units, list(enumerate(held)))
    assert sum(part for _, part in drawn) == min(max(0, units), sum(held))
    assert all(0 < part <= held[claim] for claim, part in drawn)
    assert [claim for claim, _ in drawn] == list(range(len(drawn)))
