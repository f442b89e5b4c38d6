"""Which location ships an order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.routing import Plan, Wish, choose, cover

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


@given(st.integers(-5, 20), st.lists(st.integers(1, 5), max_size=6))
def test_freed_units_go_to_the_oldest_line_first(sellable: int, wanted: list[int]) -> None:
    wishes = [Wish(line_id=n, sku="TEA", units=units) for n, units in enumerate(wanted)]
    given_ = cover(wishes, {("TEA", "east"): sellable}, "east").claimed
    assert sum(given_.values()) == min(max(0, sellable), sum(wanted))
    lacking = [given_.get(n, 0) < units for n, units in enumerate(wanted)]
    after = wanted[lacking.index(True) + 1 :] if True in lacking else []
    assert not any(given_.get(len(wanted) - len(after) + n, 0) for n in range(len(after)))


# ------------------------------------------------------------------ kits


def a_kit(count: int, **factors: int) -> list[Wish]:
    """The wishes of one kit line; line ids from 10 on."""
    return [
        Wish(line_id=n, sku=sku, units=count * factor, kit="1", factor=factor)
        for n, (sku, factor) in enumerate(factors.items(), start=10)
    ]


def east(**units: int) -> dict[tuple[str, str], int]:
    return {(sku, "east"): count for sku, count in units.items()}


def test_h45_of_three_kits_as_many_are_claimed_as_are_whole() -> None:
    found = cover(a_kit(3, TEA=1, MUG=2), east(TEA=9, MUG=5), "east")
    assert (found.claimed, found.short) == ({10: 2, 11: 4}, {10: 1, 11: 2})


def test_h45_without_one_component_nothing_of_the_kit_is_claimed() -> None:
    found = cover(a_kit(3, TEA=1, MUG=2), east(TEA=9, MUG=1), "east")
    assert (found.claimed, found.short) == ({}, {10: 3, 11: 6})


def test_h45_a_kit_and_a_plain_line_share_what_is_there_in_their_order() -> None:
    kit, plain = a_kit(2, TEA=1, MUG=1), Wish(line_id=1, sku="TEA", units=2)
    stock = east(TEA=3, MUG=9)
    assert cover([*kit, plain], stock, "east").claimed == {10: 2, 11: 2, 1: 1}
    assert cover([plain, *kit], stock, "east").claimed == {10: 1, 11: 1, 1: 2}


def test_h43_of_a_kit_that_left_in_part_only_what_it_lacks_is_claimed() -> None:
    # Two kits: both teas and three of four mugs have left.
    lacking = [Wish(line_id=11, sku="MUG", units=1, kit="1", factor=2)]
    assert cover(lacking, east(MUG=1), "east").claimed == {11: 1}
    # Of two kits one tea has left: one kit needs mugs only, the other all of it.
    half = [
        Wish(line_id=10, sku="TEA", units=1, kit="1", factor=1),
        Wish(line_id=11, sku="MUG", units=4, kit="1", factor=2),
    ]
    assert cover(half, east(TEA=0, MUG=4), "east").claimed == {11: 2}
    assert cover(half, east(TEA=5, MUG=3), "east").claimed == {11: 2}
    assert cover(half, east(TEA=1, MUG=4), "east").claimed == {10: 1, 11: 4}


@given(
    kits=st.lists(
        st.tuples(
            st.integers(1, 4),
            st.dictionaries(st.sampled_from("ABC"), st.integers(1, 3), min_size=1),
        ),
        max_size=4,
    ),
    stock=st.dictionaries(st.sampled_from("ABC"), st.integers(-2, 12)),
)
def test_g6_kits_are_claimed_whole_and_none_more_would_have_fitted(
    kits: list[tuple[int, dict[str, int]]], stock: dict[str, int]
) -> None:
    wishes = [
        Wish(line_id=10 * n + m, sku=sku, units=count * factor, kit=n, factor=factor)
        for n, (count, factors) in enumerate(kits)
        for m, (sku, factor) in enumerate(factors.items())
    ]
    plan = cover(wishes, east(**stock), "east")
    left = {sku: max(0, stock.get(sku, 0)) for sku in "ABC"}
    for n, (count, factors) in enumerate(kits):
        own = [wish for wish in wishes if wish.kit == n]
        whole = {plan.claimed.get(wish.line_id, 0) / wish.factor for wish in own}
        assert len(whole) == 1
        [claimed] = whole
        # The dumb way: one kit after the other, as long as everything for it is there.
        by_hand = 0
        while by_hand < count and all(left[sku] >= n for sku, n in factors.items()):
            left = {sku: units - factors.get(sku, 0) for sku, units in left.items()}
            by_hand += 1
        assert claimed == by_hand
