"""Which location ships an order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.routing import Plan, Wish, choose

TEA, MUG = Wish(line_id=1, sku="TEA", units=2), Wish(line_id=2, sku="MUG", units=1)


def plan(stock: dict[tuple[str, str], int], *places: str) -> Plan | None:
    return choose([TEA, MUG], stock, places)


def test_the_first_location_that_has_all_of_it_ships() -> None:
    stock = {("TEA", "west"): 9, ("MUG", "west"): 9, ("TEA", "east"): 2, ("MUG", "east"): 1}
    found = plan(stock, "east", "west")
    assert found == Plan(location="east", claimed={1: 2, 2: 1}, short={})


def test_a_whole_order_beats_an_earlier_location_with_a_part_of_it() -> None:
    stock = {("TEA", "east"): 2, ("TEA", "west"): 2, ("MUG", "west"): 1}
    found = plan(stock, "east", "west")
    assert found is not None
    assert (found.location, found.short) == ("west", {})


def test_where_none_has_it_all_the_one_with_most_ships_and_the_rest_is_short() -> None:
    stock = {("TEA", "east"): 1, ("TEA", "west"): 2}
    found = plan(stock, "east", "west")
    assert found == Plan(location="west", claimed={1: 2}, short={2: 1})


def test_a_tie_goes_to_the_operators_first_and_a_deficit_counts_as_none() -> None:
    found = plan({("TEA", "east"): -5}, "east", "west")
    assert found == Plan(location="east", claimed={}, short={1: 2, 2: 1})


def test_without_a_location_there_is_no_plan() -> None:
    assert plan({}) is None


def test_two_lines_of_one_sku_share_its_units() -> None:
    again = Wish(line_id=3, sku="TEA", units=2)
    found = choose([TEA, again], {("TEA", "east"): 3}, ["east"])
    assert found == Plan(location="east", claimed={1: 2, 3: 1}, short={3: 1})


@given(
    wishes=st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 5)), max_size=6),
    stock=st.dictionaries(
        st.tuples(st.sampled_from("AB"), st.sampled_from(["east", "west"])), st.integers(-3, 9)
    ),
)
def test_g6_a_plan_conserves_units_and_never_claims_more_than_there_is(
    wishes: list[tuple[str, int]], stock: dict[tuple[str, str], int]
) -> None:
    wanted = [Wish(line_id=n, sku=sku, units=units) for n, (sku, units) in enumerate(wishes)]
    found = choose(wanted, stock, ["east", "west"])
    assert found is not None
    for wish in wanted:
        parts = (found.claimed.get(wish.line_id, 0), found.short.get(wish.line_id, 0))
        assert sum(parts) == wish.units
        assert min(parts) >= 0
    for sku in "AB":
        claimed = sum(found.claimed.get(w.line_id, 0) for w in wanted if w.sku == sku)
        assert claimed <= max(0, stock.get((sku, found.location), 0))
