"""From a pool to what one listing shows: each kind of rule with its arithmetic, and their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.offer_rules import Offered, Rules
from core.rule_kinds import (
    Campaign,
    Cap,
    EndWhen,
    Override,
    PreOrder,
    Publication,
    Rule,
    Safety,
    Says,
    Share,
    SoldOut,
    StopSell,
)

NOW = datetime(2026, 11, 11, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TAGS = {"TEA": frozenset({"fragile"}), "MUG": frozenset({"fragile", "gift"})}


def about(says: Says, **where: str) -> Rule:
    """A rule about what is named: sku="TEA", tag="gift", channel="shop", location="east"."""
    named = {f"{key}s": frozenset(value.split()) for key, value in where.items()}
    return Rule(says=says, **named)


def rules(*written: Rule) -> Rules:
    return Rules(written=written, tags=TAGS)


def offer(own: Rules, pool: int, channel: str = "shop", sku: str = "TEA", **words: Any) -> Offered:
    return own.offer(sku, channel, words.pop("place", ""), pool, now=words.pop("now", NOW), **words)


def share(percent: str) -> Share:
    return Share(percent=Fraction(percent))


def campaign(name: str = "11.11", reserve: int = 60, **words: Any) -> Campaign:
    given = {
        "channels": frozenset({"lazada"}),
        "start": NOW - HOUR,
        "end": NOW + HOUR,
        **words,
    }
    return Campaign(name=name, reserve=reserve, **given)


# ------------------------------------------------------------------ one rule at a time

ONE = [
    # (rule, pool, what the listing shows)
    pytest.param(None, 7, 7, id="no rule: the pool"),
    pytest.param(None, -3, 0, id="no pool is negative"),
    pytest.param(share("60"), 25, 15, id="60% of 25"),
    pytest.param(share("60"), 24, 14, id="60% of 24 is 14.4, rounded down"),
    pytest.param(share("33.33"), 3, 0, id="33.33% of 3 is 0.9999: nothing"),
    pytest.param(share("100"), 9, 9, id="all of it"),
    pytest.param(share("0"), 9, 0, id="none of it"),
    pytest.param(Cap(units=5), 9, 5, id="no more than 5"),
    pytest.param(Cap(units=5), 5, 5, id="a cap that is not reached"),
    pytest.param(Cap(units=0), 9, 0, id="a cap of nothing"),
    pytest.param(SoldOut(at=3), 4, 4, id="above the threshold"),
    pytest.param(SoldOut(at=3), 3, 0, id="at the threshold"),
    pytest.param(SoldOut(at=3, exempt=frozenset({"shop"})), 3, 3, id="the exempt channel sells on"),
    pytest.param(SoldOut(at=3, exempt=frozenset({"web"})), 3, 0, id="another one is exempt"),
    pytest.param(EndWhen(pool_below=3), 3, 3, id="not below it yet"),
    pytest.param(EndWhen(pool_below=3), 2, 0, id="below it"),
    pytest.param(EndWhen(at=NOW + HOUR), 9, 9, id="an hour before the end"),
    pytest.param(EndWhen(at=NOW), 9, 0, id="from that moment on"),
    pytest.param(EndWhen(at=NOW + HOUR, pool_below=3), 2, 0, id="whichever comes first"),
    pytest.param(PreOrder(units=50, until=NOW + HOUR), 0, 50, id="nothing here: all of the 50"),
    pytest.param(PreOrder(units=50, until=NOW + HOUR), 1, 1, id="one is here: that one first"),
    pytest.param(PreOrder(units=50, until=NOW), 0, 0, id="its time is over"),
    pytest.param(StopSell(by="Mia", reason="recall"), 9, 0, id="stopped until the row is removed"),
    pytest.param(StopSell(by="Mia", reason="recall", until=NOW + HOUR), 9, 0, id="stopped"),
    pytest.param(StopSell(by="Mia", reason="recall", until=NOW), 9, 9, id="stopped until now"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "pool", "shown"), ONE)
def test_one_rule(says: Says | None, pool: int, shown: int) -> None:
    own = rules(about(says)) if says else rules()
    assert offer(own, pool).units == shown


@pytest.mark.parametrize(
    ("sold", "channel", "shown"),
    [
        (0, "shop", 40),  # 100 - 60 kept
        (0, "lazada", 100),  # its own channel sees the pool
        (20, "shop", 60),  # 100 - (60 - 20)
        (60, "shop", 100),  # the reserve is used up
        (75, "shop", 100),  # more than it, from the common pool: nothing is given back
    ],
)
def test_s34_a_campaign_keeps_units_for_its_channels(sold: int, channel: str, shown: int) -> None:
    own = rules(about(campaign(reserve=60)))
    assert offer(own, 100, channel, sold={"11.11": sold}).units == shown


def test_s34_a_campaign_unit_that_is_sold_costs_the_others_nothing() -> None:
    """Its claim has left the pool, and the reserve shrank with it."""
    own = rules(about(campaign(reserve=60)))
    for sold in range(61):
        assert offer(own, 100 - sold, "shop", sold={"11.11": sold}).units == 40


def test_two_campaigns_each_keep_their_own_from_everybody_else() -> None:
    own = rules(
        about(campaign("eleven", 30)),
        about(campaign("flash", 50, channels=frozenset({"shopee"}))),
    )
    assert offer(own, 100, "shop").units == 20  # 100 - 30 - 50
    assert offer(own, 100, "lazada").units == 50  # 100 - 50
    assert offer(own, 100, "shopee").units == 70  # 100 - 30
    assert offer(own, 60, "shop").units == 0  # 60 - 80 is not less than nothing
    assert offer(own, 100, "shop", sold={"flash": 45}).units == 65  # 100 - 30 - 5


def test_a_campaign_runs_from_its_start_to_before_its_end() -> None:
    own = rules(about(campaign(start=NOW, end=NOW + HOUR)))
    second = timedelta(seconds=1)
    shown = [offer(own, 100, now=NOW + at).units for at in (-second, 0 * HOUR, HOUR - second, HOUR)]
    assert shown == [100, 40, 40, 100]
    assert own.campaigns("TEA", NOW) == [own.written[0].says]
    assert own.campaigns("TEA", NOW + HOUR) == []


def test_of_one_campaign_the_rule_about_the_item_counts() -> None:
    own = rules(
        about(campaign(reserve=10)),
        about(campaign(reserve=60), sku="TEA"),
        about(campaign(reserve=20), tag="gift"),
    )
    assert [offer(own, 100, sku=sku).units for sku in ("TEA", "MUG", "CUP")] == [40, 80, 90]


@pytest.mark.parametrize(
    ("channel", "direction"),
    [("lazada", "only_up"), ("shopee", "frozen"), ("tokopedia", "free"), ("shop", "free")],
)
def test_s34_a_campaign_says_which_numbers_may_move_how(channel: str, direction: str) -> None:
    says = campaign(
        channels=frozenset({"lazada", "shopee", "tokopedia"}),
        only_up=frozenset({"lazada"}),
        frozen=frozenset({"shopee"}),
    )
    own = rules(about(says))
    assert offer(own, 100, channel).direction == direction
    assert offer(own, 100, channel, now=NOW + HOUR).direction == "free"


def test_a_stop_is_tried_even_on_a_frozen_number() -> None:
    says = campaign(frozen=frozenset({"lazada"}))
    own = rules(about(says), about(StopSell(by="Mia", reason="recall")))
    assert offer(own, 9, "lazada").units == 0
    assert offer(own, 9, "lazada").direction == "free"


# ------------------------------------------------------------------ pre-order

PRE = PreOrder(units=50, until=NOW + HOUR)


@pytest.mark.parametrize(
    ("open_units", "others", "beyond"),
    [
        (0, [], 50),
        (12, [], 38),  # 50 - 12
        (50, [], 0),
        (60, [], 0),  # more than 50 were sold: nothing, not less
        (10, [share("30")], 12),  # 30% of 40
        (10, [Cap(units=5)], 5),
        (10, [share("0")], 0),  # a channel that sells nothing sells no pre-orders
        (0, [SoldOut(at=3)], 50),  # the threshold protects the last units, not the next
        (0, [EndWhen(pool_below=1)], 0),  # the sale has ended
        (0, [EndWhen(at=NOW)], 0),
        (0, [StopSell(by="Mia", reason="recall")], 0),
    ],
)
def test_pre_orders_are_units_beyond_stock(
    open_units: int, others: list[Says], beyond: int
) -> None:
    own = rules(*(about(says) for says in [PRE, *others]))
    found = offer(own, 0, open_units=open_units)
    assert (found.units, found.beyond) == (beyond, beyond)


def test_no_pre_order_is_taken_while_a_campaign_still_keeps_stock() -> None:
    own = rules(about(PRE), about(campaign(reserve=60)))
    assert offer(own, 60, "shop").units == 0  # 60 are here, all of them kept
    assert offer(own, 0, "shop").units == 50


# ------------------------------------------------------------------ the order


def test_the_order_of_the_rules() -> None:
    own = rules(
        about(campaign(reserve=40)),  # 100 - 40 = 60
        about(share("50")),  # 50% of 60 = 30
        about(Cap(units=20)),  # 20
        about(SoldOut(at=60)),  # the 60 of the first step, not the 20: sold out
    )
    assert offer(own, 101).units == 20  # 61 is above the threshold: 50% is 30, capped
    assert offer(own, 100).units == 0
    assert offer(own, 100, "lazada").units == 20  # it draws on 100: 50, capped


def test_because_has_a_term_for_every_rule_that_changed_the_number() -> None:
    own = Rules(
        written=tuple(
            Rule(says=says, file="/etc/acme/rules.yaml", line=line)
            for line, says in enumerate(
                [campaign(reserve=40), share("50"), Cap(units=99), SoldOut(at=9), Cap(units=20)], 3
            )
        )
    )
    assert offer(own, 100).because == (
        "campaign 11.11 keeps 40 for lazada (rules.yaml:3): 60",
        "share 50% of 60 (rules.yaml:4): 30",
    )
    own = rules(about(SoldOut(at=9, exempt=frozenset({"web"}))))
    assert offer(own, 8).because == ("sold out at 9 or fewer, but on web: 0",)
    own = rules(about(SoldOut(at=9)), about(Cap(units=3)))
    assert offer(own, 8).because == ("cap 3: 3", "sold out at 9 or fewer: 0")


def test_because_of_an_end_a_pre_order_and_a_stop() -> None:
    assert offer(rules(about(EndWhen(at=NOW))), 5).because == ("ended 2026-11-11 12:00 UTC: 0",)
    assert offer(rules(about(EndWhen(pool_below=9))), 5).because == (
        "ended while the pool is below 9: 0",
    )
    assert offer(rules(about(PRE)), 0).because == (
        "pre-order of 50 until 2026-11-11 13:00 UTC: 50",
    )
    assert offer(rules(about(PRE), about(share("10"))), 0, open_units=10).because == (
        "pre-order of 50 until 2026-11-11 13:00 UTC, 10 sold already: 40",
        "share 10% of 40: 4",
    )
    stop = StopSell(by="Mia", reason="recall of lot 7")
    assert offer(rules(about(stop)), 5).because == ("stopped by Mia, recall of lot 7: 0",)
    timed = StopSell(by="Mia", reason="recall", until=NOW + HOUR)
    # Nothing was there to stop; who asks why still has to learn of it.
    assert offer(rules(about(timed)), 0).because == (
        "stopped by Mia until 2026-11-11 13:00 UTC, recall: 0",
    )


# ------------------------------------------------------------------ which rule counts

CAPS = [
    about(Cap(units=1)),
    about(Cap(units=2), location="east"),
    about(Cap(units=3), channel="shop"),
    about(Cap(units=4), tag="fragile"),
    about(Cap(units=5), tag="fragile", channel="shop"),
    about(Cap(units=6), sku="TEA"),
    about(Cap(units=7), sku="TEA", channel="web shop"),
]


def test_the_most_specific_rule_counts_wherever_it_stands() -> None:
    for written in (CAPS, CAPS[::-1]):
        for number in range(len(CAPS), 0, -1):
            if number == 2:
                continue  # of locations below
            own = rules(*(rule for rule in written if rule.says.units <= number))  # type: ignore[union-attr]
            assert offer(own, 100).units == number
    assert offer(rules(*CAPS), 100, "market").units == 6
    assert offer(rules(*CAPS), 100, "market", sku="MUG").units == 4
    assert offer(rules(*CAPS), 100, "market", sku="CUP").units == 1


def test_of_equals_the_first_of_the_file_counts() -> None:
    gift, fragile = about(Cap(units=3), tag="gift"), about(Cap(units=5), tag="fragile")
    assert offer(rules(gift, fragile), 9, sku="MUG").units == 3
    assert offer(rules(fragile, gift), 9, sku="MUG").units == 5
    assert offer(rules(fragile, gift), 9, sku="TEA").units == 5


def test_every_kind_has_its_own_most_specific_rule() -> None:
    own = rules(about(Cap(units=5)), about(share("50"), sku="TEA"))
    assert offer(own, 100).units == 5  # 50, capped by the rule about every item
    assert offer(own, 8).units == 4


def test_a_rule_with_a_location_is_about_places_that_show_nothing_else() -> None:
    east = Rule(
        says=Cap(units=2),
        locations=frozenset({"east"}),
        places=frozenset({("boutique", "gid1"), ("market", None)}),
    )
    own = rules(east, about(Cap(units=5)))
    assert offer(own, 9, "boutique", place="gid1").units == 2
    assert offer(own, 9, "boutique", place="gid2").units == 5
    assert offer(own, 9, "market", place="anywhere").units == 2
    assert offer(own, 9, "shop").units == 5
    channel = about(Cap(units=7), channel="boutique")  # more specific than a location
    assert offer(rules(east, channel), 9, "boutique", place="gid1").units == 7


def test_every_stop_counts_and_one_that_expired_hides_no_other() -> None:
    over = StopSell(by="Mia", reason="count", until=NOW)
    own = rules(about(over, sku="TEA"), about(StopSell(by="Jo", reason="recall"), tag="fragile"))
    assert offer(own, 9).because == ("stopped by Jo, recall: 0",)


# ------------------------------------------------------------------ safety stock, policy


@pytest.mark.parametrize(
    ("says", "supply", "kept"),
    [
        (Safety(units=5), 100, 5),
        (Safety(units=5), 3, 5),  # more than there is: nothing can be sold
        (Safety(percent=Fraction(10)), 100, 10),
        (Safety(percent=Fraction(10)), 25, 3),  # 2.5, rounded up
        (Safety(percent=Fraction("0.01")), 1, 1),
        (Safety(percent=Fraction(100)), 7, 7),
        (Safety(percent=Fraction(10)), 0, 0),
        (Safety(percent=Fraction(10)), -4, 0),  # an owner's number below zero keeps nothing back
        (Safety(units=0), 9, 0),  # a rule may also say: none
    ],
)
def test_safety_stock_of_one_location(says: Safety, supply: int, kept: int) -> None:
    assert rules(about(says)).safety("TEA", "east", supply, 2) == kept


def test_safety_stock_by_item_and_location() -> None:
    own = rules(
        about(Safety(units=9), location="east"),
        about(Safety(units=4), tag="fragile"),
        about(Safety(units=6), tag="fragile", location="west"),
        about(Safety(units=0), sku="CUP", location="east west"),
    )
    kept = {
        (sku, place): own.safety(sku, place, 100, 2)
        for sku in ("TEA", "CUP", "POT")
        for place in ("east", "west")
    }
    assert kept == {
        ("TEA", "east"): 4,  # its tag is more specific than the location
        ("TEA", "west"): 6,
        ("CUP", "east"): 0,
        ("CUP", "west"): 0,
        ("POT", "east"): 9,
        ("POT", "west"): 2,  # no rule: the location's own number
    }
    assert Rules.none().safety("TEA", "east", 100) == 0


def test_the_policy_of_an_item_on_a_channel() -> None:
    own = rules(
        about(Publication(policy="split"), tag="fragile"),
        about(Publication(policy="shared"), tag="fragile", channel="shop"),
    )
    assert [own.policy("TEA", channel) for channel in ("shop", "web")] == ["shared", "split"]
    assert own.policy("CUP", "shop") is None


# ------------------------------------------------------------------ overrides


def an_override(**words: Any) -> Override:
    return Override(**{"sku": "TEA", "by": "Mia", "reason": "recall", "since": NOW, **words})


def test_an_override_stops_one_item_on_one_channel_or_on_all() -> None:
    own = rules(about(Cap(units=5))).with_overrides([an_override(channel="shop")])
    assert [offer(own, 9, channel).units for channel in ("shop", "web")] == [0, 5]
    assert offer(own, 9, sku="CUP").units == 5
    own = own.with_overrides([an_override(until=NOW + HOUR)])
    assert [offer(own, 9, channel).units for channel in ("shop", "web")] == [0, 0]
    assert offer(own, 9, now=NOW + HOUR).units == 5
    assert own.with_overrides([]) == rules(about(Cap(units=5)))


# ------------------------------------------------------------------ what changes when

KNOWN = ["CUP", "MUG", "TEA"]


def test_the_next_change_and_whom_it_is_about() -> None:
    own = rules(
        about(campaign(start=NOW + HOUR, end=NOW + 2 * HOUR), tag="gift"),
        about(EndWhen(at=NOW + 3 * HOUR), sku="CUP"),
        about(EndWhen(pool_below=5)),
        about(PreOrder(units=5, until=NOW + 4 * HOUR)),
        about(StopSell(by="Mia", reason="count"), sku="MUG"),
    ).with_overrides([an_override(until=NOW + 5 * HOUR)])
    at, seen = NOW, []
    while (moment := own.next_change(at)) is not None:
        seen.append(((moment - NOW) // HOUR, own.changed_between(at, moment, KNOWN)))
        at = moment
    assert seen == [(1, ["MUG"]), (2, ["MUG"]), (3, ["CUP"]), (4, KNOWN), (5, ["TEA"])]


def test_moments_that_passed_unseen_are_made_up_for() -> None:
    own = rules(
        about(campaign(start=NOW + HOUR, end=NOW + 2 * HOUR), tag="gift"),
        about(EndWhen(at=NOW + 3 * HOUR), sku="CUP"),
    )
    assert own.changed_between(NOW, NOW + 9 * HOUR, KNOWN) == ["CUP", "MUG"]
    assert own.changed_between(NOW + 3 * HOUR, NOW + 9 * HOUR, KNOWN) == []
    assert Rules.none().next_change(NOW) is None


@pytest.mark.parametrize(
    ("before", "after", "whom"),
    [
        ([about(Cap(units=5))], [about(Cap(units=5))], []),
        ([], [about(Cap(units=5))], KNOWN),
        ([about(Cap(units=5), sku="TEA")], [about(Cap(units=6), sku="TEA")], ["TEA"]),
        ([about(Cap(units=5), sku="TEA")], [about(Cap(units=5), sku="MUG")], ["MUG", "TEA"]),
        ([about(Cap(units=5), tag="gift")], [], ["MUG"]),
        ([CAPS[0], CAPS[5]], [CAPS[5], CAPS[0]], []),  # only moved: still the same rules
        ([CAPS[3], about(Cap(units=8), tag="gift")],
         [about(Cap(units=8), tag="gift"), CAPS[3]], ["MUG"]),  # moved, and now the other counts
    ],
)  # fmt: skip
def test_whom_another_file_is_about(before: list[Rule], after: list[Rule], whom: list[str]) -> None:
    assert rules(*after).differing(rules(*before), KNOWN) == whom


def test_a_rule_that_only_moved_in_the_file_is_the_same_rule() -> None:
    says = Cap(units=5)
    before = Rule(says=says, file="rules.yaml", line=3, sku_lines={"TEA": 3})
    after = Rule(says=says, file="rules.yaml", line=9, sku_lines={"TEA": 10})
    assert rules(after).differing(rules(before), KNOWN) == []


def test_an_item_that_gets_a_tag_comes_under_its_rules() -> None:
    own = Rules(written=(about(Cap(units=5), tag="gift"),), tags=TAGS)
    more = Rules(written=own.written, tags={**TAGS, "CUP": frozenset({"gift"})})
    assert more.differing(own, KNOWN) == ["CUP"]


# ------------------------------------------------------------------ properties

UNITS = st.integers(0, 200)
PERCENT = st.integers(0, 100).map(Fraction)
MOMENTS = st.integers(-3, 3).map(lambda hours: NOW + hours * HOUR)
CHANNELS = st.frozensets(st.sampled_from(["shop", "web", "lazada"]), max_size=2)
SAYS = st.one_of(
    st.builds(Share, percent=PERCENT),
    st.builds(Cap, units=UNITS),
    st.builds(SoldOut, at=UNITS, exempt=CHANNELS),
    st.builds(EndWhen, pool_below=st.none() | UNITS, at=st.none() | MOMENTS),
    st.builds(
        Campaign,
        name=st.sampled_from(["a", "b"]),
        channels=CHANNELS,
        reserve=UNITS,
        start=MOMENTS,
        end=MOMENTS,
        only_up=CHANNELS,
        frozen=CHANNELS,
    ),
    st.builds(PreOrder, units=UNITS, until=MOMENTS),
    st.builds(StopSell, by=st.just("Mia"), reason=st.just("count"), until=st.none() | MOMENTS),
)
WRITTEN = st.lists(
    st.builds(
        Rule,
        says=SAYS,
        skus=st.frozensets(st.sampled_from(["TEA", "MUG"]), max_size=1),
        channels=CHANNELS,
    ),
    max_size=8,
).map(tuple)
CALL = st.fixed_dictionaries(
    {
        "pool": st.integers(-20, 200),
        "channel": st.sampled_from(["shop", "web", "lazada"]),
        "sold": st.dictionaries(st.sampled_from(["a", "b"]), UNITS),
        "open_units": UNITS,
        "now": MOMENTS,
    }
)


@given(written=WRITTEN, call=CALL)
def test_never_below_zero_and_never_above_pool_and_pre_order(
    written: tuple[Rule, ...], call: dict[str, Any]
) -> None:
    found = offer(Rules(written=written), **call)
    ordered = [rule.says.units for rule in written if isinstance(rule.says, PreOrder)]
    assert 0 <= found.beyond <= found.units
    assert found.units - found.beyond <= max(0, call["pool"])
    assert found.beyond <= max(0, max(ordered, default=0) - call["open_units"])
    if found.because:
        assert found.because[-1].endswith(f": {found.units}")
    else:
        assert found.units == max(0, call["pool"])


@given(written=WRITTEN, call=CALL, units=UNITS, more=UNITS, percent=PERCENT)
def test_a_larger_cap_or_share_never_offers_less(
    written: tuple[Rule, ...], call: dict[str, Any], units: int, more: int, percent: Fraction
) -> None:
    def shown(says: Says) -> int:
        # Before all others and about this very item and channel: it is the one that counts.
        own = about(says, sku="TEA", channel=call["channel"])
        return offer(Rules(written=(own, *written)), **call).units

    assert shown(Cap(units=units)) <= shown(Cap(units=units + more))
    assert shown(Share(percent=percent)) <= shown(Share(percent=min(Fraction(100), percent + more)))


@given(written=WRITTEN, call=CALL)
def test_between_two_moments_nothing_changes_by_itself(
    written: tuple[Rule, ...], call: dict[str, Any]
) -> None:
    """What `changed_between` leaves out would never be told."""
    own = Rules(written=written)
    later = call | {"now": call["now"] + HOUR}
    if offer(own, **call) != offer(own, **later):
        assert own.changed_between(call["now"], later["now"], ["TEA"]) == ["TEA"]
    else:
        moment = own.next_change(call["now"])
        assert moment is None or moment > call["now"]
