"""`adaptive`: when a pool is divided, and which channels may share what is left (G8; H17)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from core import escrow, scarcity
from core.escrow import Outlet, Quota
from core.scarcity import Pace

QUICK = Pace(per_s=0.001, usual_per_s=0.001, seen_after_s=2, told_after_s=1, drained_after_s=8)
LATE = replace(QUICK, seen_after_s=60)
STOCK = {("TEA", "main"): 6}


def outlet(key: str, quota: Quota, **more: object) -> Outlet:
    return Outlet(
        key=key,
        write="conditional",
        serves=frozenset(("main",)),
        needs={"TEA": 1},
        quota=quota,
        **more,  # type: ignore[arg-type]
    )


def known(shown: int) -> Quota:
    return Quota(shown=shown, ceiling=shown)


@pytest.mark.parametrize(
    ("pool", "divided", "scarce"),
    [(28, False, True), (29, False, False), (57, True, True), (58, True, False)],
)
def test_a_pool_is_scarce_below_four_hours_sales_and_shared_again_at_twice_that(
    pool: int, divided: bool, scarce: bool
) -> None:
    assert scarcity.scarce(pool, [QUICK, QUICK], divided=divided) is scarce


def test_a_few_units_are_scarce_however_seldom_they_sell() -> None:
    never = replace(QUICK, per_s=0.0, usual_per_s=0.0)
    assert scarcity.scarce(4, [never, never], divided=False)
    assert not scarcity.scarce(5, [never, never], divided=False)


def test_one_channel_has_nobody_to_divide_with() -> None:
    assert not scarcity.scarce(0, [QUICK], divided=False)


def test_who_is_seen_at_once_shares_and_who_is_seen_late_does_not() -> None:
    assert scarcity.sharing({"shop": QUICK, "market": LATE}, 6) == {"shop": QUICK.at_most}


def test_who_sells_too_much_unseen_for_so_small_a_pool_does_not_share() -> None:
    fast = replace(QUICK, per_s=0.5)
    assert scarcity.sharing({"shop": QUICK, "market": fast}, 6).keys() == {"shop"}
    assert scarcity.sharing({"shop": QUICK, "market": fast}, 60).keys() == {"shop", "market"}


@pytest.mark.parametrize(("mean", "most"), [(0.0, 0), (0.0009, 0), (0.01, 1), (1.0, 5), (100, 131)])
def test_what_it_sells_unseen_is_counted_so_that_it_is_seldom_more(mean: float, most: int) -> None:
    per_s = mean / scarcity.SAFETY / 3
    assert replace(QUICK, per_s=per_s).at_most == most


def test_those_that_share_show_the_same_units_and_only_a_few() -> None:
    outlets = [outlet(key, known(0), risk=0) for key in ("a", "b")]
    assert escrow.plan(outlets, STOCK) == {"a": 5, "b": 5}
    more = {("TEA", "main"): 30}
    assert escrow.plan(outlets, more) == {"a": 15, "b": 15}  # its own part is more than a few


def test_what_another_may_still_sell_from_its_own_quota_is_never_shared() -> None:
    """It was cut long ago by our plan, and has not heard of it: an answer took a quarter of
    an hour, and its 67 units were shown a second time meanwhile."""
    late = replace(outlet("late", known(5)), quota=Quota(shown=5, ceiling=5, pending=0))
    quick = outlet("quick", known(0), risk=1, weight=Fraction(50))
    assert escrow.divide([late, quick], STOCK)["quick"] == 1


def test_the_bound_is_what_all_can_sell_beyond_the_pool() -> None:
    outlets = [outlet("a", known(5)), outlet("b", known(5)), outlet("c", known(0))]
    assert escrow.beyond(outlets, STOCK) == 4
    likely = [replace(one, risk=1) for one in outlets]
    assert escrow.beyond(likely, STOCK) == 0
    assert escrow.beyond(outlets, {("TEA", "main"): 10}) == 0


def test_an_absolute_channel_is_not_stopped_for_fewer_units_than_that_costs() -> None:
    slow = replace(outlet("slow", known(6), drain=3.0), write="absolute")
    starving = outlet("starving", known(0))
    assert "slow" not in escrow.plan([replace(slow, drain=4.0), starving], STOCK)
    assert escrow.plan([slow, starving], STOCK)["slow"] == 0
