"""rules.yaml: what an operator may write, and every refusal with its place and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.errors import ConfigError
from core.network import Location, Network
from core.offer_rules import Rules
from core.rule_kinds import Campaign, Cap, EndWhen, PreOrder, Rule, Safety, Share, SoldOut, StopSell
from core.rules_file import check_skus, load_rules, read_rules

BERLIN = ZoneInfo("Europe/Berlin")
TAGS = {"TEA": frozenset({"fragile"}), "MUG": frozenset({"fragile", "gift"})}
SERVES = {"east": ("shop", "market", "boutique"), "west": ("shop", "boutique")}


def a_network() -> Network:
    return Network(
        company="Acme",
        zone=BERLIN,
        currency="EUR",
        locations={
            name: Location(
                name=name,
                at={"depot": name.upper(), "boutique": f"gid-{name}"},
                serves=serves,
                stock_owner="depot",
                ships="depot",
            )
            for name, serves in SERVES.items()
        },
        channels=("shop", "market", "boutique"),
        ledgers=(),
        sources={},
        accepts={},
        stock_writes={},
    )


def read(text: str) -> Rules:
    rules, problems = read_rules(text.encode(), "rules.yaml", a_network(), TAGS)
    assert problems == []
    return rules


def refused(text: str) -> list[str]:
    _, problems = read_rules(text.encode(), "rules.yaml", a_network(), TAGS)
    return [str(problem) for problem in problems]


def only(text: str) -> Rule:
    (rule,) = read(text).written
    return rule


# ------------------------------------------------------------------ what may be written

SAID = {
    "safety_stock: 5": Safety(units=5),
    "safety_stock: 10%": Safety(percent=Fraction(10)),
    "safety_stock: 12.5 %": Safety(percent=Fraction("12.5")),
    "share: 60%": Share(percent=Fraction(60)),
    "share: 0%": Share(percent=Fraction(0)),
    "cap: 0": Cap(units=0),
    "sold_out: {at: 3}": SoldOut(at=3),
    "sold_out: {at: 3, except: [shop, market]}": SoldOut(
        at=3, exempt=frozenset({"shop", "market"})
    ),
    "end_when: {pool_below: 5}": EndWhen(pool_below=5),
    "end_when: {from: 2026-12-27}": EndWhen(at=datetime(2026, 12, 26, 23, 0, tzinfo=UTC)),
    "end_when: {from: 2026-06-27 08:00, pool_below: 5}": EndWhen(
        at=datetime(2026, 6, 27, 6, 0, tzinfo=UTC), pool_below=5
    ),
    "pre_order: {units: 50, until: 2026-12-24 09:00+07:00}": PreOrder(
        units=50, until=datetime(2026, 12, 24, 2, 0, tzinfo=UTC)
    ),
    "stop_sell: {by: Mia, reason: recall of lot 7}": StopSell(by="Mia", reason="recall of lot 7"),
    "stop_sell: {by: Mia, reason: count, until: 2026-12-24T09:00:30Z}": StopSell(
        by="Mia", reason="count", until=datetime(2026, 12, 24, 9, 0, 30, tzinfo=UTC)
    ),
}


@pytest.mark.parametrize("text", SAID)
def test_what_a_row_may_say(text: str) -> None:
    assert only(f"rules:\n  - {text}\n").says == SAID[text]


def test_a_campaign_and_its_channels() -> None:
    rule = only("""\
rules:
  - channel: [shop, market]
    tag: gift
    campaign:
      name: 11.11
      reserve: 60
      from: 2026-11-10 18:00
      until: 2026-11-12 00:00
      only_up: shop
      frozen: [market]
""")
    assert rule.says == Campaign(
        name="11.11",
        channels=frozenset({"shop", "market"}),
        reserve=60,
        start=datetime(2026, 11, 10, 17, 0, tzinfo=UTC),
        end=datetime(2026, 11, 11, 23, 0, tzinfo=UTC),
        only_up=frozenset({"shop"}),
        frozen=frozenset({"market"}),
    )
    # It is about all channels: those it keeps units for, and those it takes them from.
    assert (rule.channels, rule.tags) == (frozenset(), frozenset({"gift"}))


def test_a_row_may_say_several_things_and_each_knows_its_line() -> None:
    rules = read("""\
# what may be shown
rules:
  - sku:
      - TEA
      - "00123"
    channel: market
    share: 50%
    cap: 20
""")
    assert [(r.says, r.line, r.origin) for r in rules.written] == [
        (Share(percent=Fraction(50)), 7, "rules.yaml:7"),
        (Cap(units=20), 8, "rules.yaml:8"),
    ]
    assert {r.skus for r in rules.written} == {frozenset({"TEA", "00123"})}
    assert {r.channels for r in rules.written} == {frozenset({"market"})}
    assert rules.policy("TEA", "market") is None


def test_the_policy_of_a_row() -> None:
    rules = read("rules:\n  - {tag: gift, policy: split}\n")
    assert (rules.policy("MUG", "shop"), rules.policy("TEA", "shop")) == ("split", None)


def test_no_rules_are_an_empty_list() -> None:
    assert read("rules: []\n") == Rules(tags=TAGS)


@pytest.mark.parametrize(
    ("where", "places"),
    [
        # the boutique has a number per location; the market is served from east alone
        ("location: east", {("boutique", "gid-east"), ("market", None)}),
        ("location: west", {("boutique", "gid-west")}),
        ("location: east, channel: boutique", {("boutique", "gid-east")}),
        ("location: [east, west], channel: shop", {("shop", None)}),
    ],
)  # fmt: skip
def test_a_location_means_the_places_that_show_it_alone(
    where: str, places: set[tuple[str, str | None]]
) -> None:
    assert only(f"rules:\n  - {{{where}, cap: 3}}\n").places == places


def test_safety_stock_takes_a_location_that_no_listing_shows_alone() -> None:
    rules = read("rules:\n  - {location: west, safety_stock: 7}\n")
    assert [rules.safety("TEA", place, 99, 2) for place in SERVES] == [2, 7]


# ------------------------------------------------------------------ what is refused

#: The row, with `# here` where the problem is, and what an operator reads.
REFUSED = {
    "share above 100 percent": (
        "- share: 140% # here",
        12,
        'rules row 1.share: "140%" is more than 100%',
    ),
    "share without a percent sign": (
        "- share: 60 # here",
        12,
        'rules row 1.share: "60" is not a percentage like 60%',
    ),
    "share of less than nothing": (
        "- share: -5% # here",
        12,
        'rules row 1.share: "-5%" is not a percentage like 60%',
    ),
    "a percentage of nothing": (
        "- cap: 10% # here",
        10,
        'rules row 1.cap is "10%", not a whole number',
    ),
    "a reserve in percent": (
        "- channel: shop\n    campaign:\n      name: x\n      reserve: 10% # here\n"
        "      from: 2026-11-11\n      until: 2026-11-12 00:00",
        16,
        'rules row 1.campaign.reserve is "10%", not a whole number',
    ),
    "negative cap": ("- cap: -5 # here", 10, 'rules row 1.cap is "-5", not a whole number'),
    "negative safety stock": (
        "- safety_stock: -5 # here",
        19,
        'rules row 1.safety_stock: "-5" is neither units, like 5, nor a percentage, like 10%',
    ),
    "safety stock above 100 percent": (
        "- safety_stock: 101% # here",
        19,
        'rules row 1.safety_stock: "101%" is more than 100%',
    ),
    "unknown kind": (
        "- cap: 5\n    shre: 60% # here",
        5,
        '"shre" is not an option of rules row 1\n  Did you mean "share"?',
    ),
    "unknown word inside": (
        "- sold_out: {at: 3, but: shop} # here",
        23,
        '"but" is not an option of rules row 1.sold_out\n  Known here: at, except.',
    ),
    "unknown channel": (
        "- cap: 5\n    channel: shpo # here",
        14,
        'rules row 1.channel names the unknown channel "shpo"\n  Did you mean "shop"?',
    ),
    "unknown location": (
        "- safety_stock: 5\n    location: [east, wst] # here",
        22,
        'rules row 1.location names the unknown location "wst"\n  Did you mean "west"?',
    ),
    "unknown tag": (
        "- cap: 5\n    tag:\n      - gift\n      - fragil # here",
        9,
        'rules row 1.tag names the unknown tag "fragil"\n  Did you mean "fragile"?',
    ),
    "unknown exempt channel": (
        "- sold_out: {at: 3, except: web} # here",
        31,
        'rules row 1.sold_out.except names the unknown channel "web"\n'
        "  Known here: shop, market, boutique.",
    ),
    "no item named": (
        "- cap: 5\n    sku: [] # here",
        5,
        "rules row 1.sku names nothing\n  Remove the line if you mean all of them.",
    ),
    "a name left empty": (
        "- cap: 5\n    sku: # here",
        9,
        "rules row 1.sku has no value\n  Give it one, or remove the line.",
    ),
    "SKU and tag": (
        "- cap: 5\n    sku: TEA\n    tag: gift # here",
        10,
        "rules row 1.tag and sku both stand here\n  Write two rows.",
    ),
    "nothing said": (
        "- sku: TEA # here",
        5,
        "rules row 1 says nothing\n  Add one of: safety_stock, share, cap, sold_out, end_when,"
        " campaign, pre_order, policy, stop_sell.",
    ),
    "safety stock per channel": (
        "- safety_stock: 5\n    channel: shop # here",
        14,
        "rules row 1.channel stands beside safety_stock, which is kept at a location for every"
        " channel\n  Write safety_stock in a row of its own. For one channel there are share and"
        " cap.",
    ),
    "a location whose number no listing shows": (
        "- cap: 5\n    channel: shop\n    location: east # here",
        15,
        "rules row 1.location stands beside cap, and no listing shows east alone\n"
        "  A listing shows the sum of its locations. For one of them there is safety_stock.",
    ),
    "a policy per location": (
        "- policy: split\n    location: east # here",
        15,
        "rules row 1.location stands beside policy, which is about whole channels\n"
        "  Write policy in a row of its own.",
    ),
    "unknown policy": (
        "- policy: splitt # here",
        13,
        'rules row 1.policy is "splitt"; it may be shared or split or adaptive',
    ),
    "threshold of nothing": (
        "- sold_out: {at: 0} # here",
        20,
        "rules row 1.sold_out.at is less than 1",
    ),
    "no threshold": (
        "- sold_out: {except: shop} # here",
        5,
        "rules row 1.sold_out.at is missing\n  The pool at or below which 0 is shown.",
    ),
    "an end without a condition": (
        "- end_when: {} # here",
        5,
        "rules row 1.end_when says no condition\n  Give it `from`, `pool_below`, or both.",
    ),
    "no such day": (
        "- end_when: {from: 2026-02-30} # here",
        22,
        'rules row 1.end_when.from: "2026-02-30" is no day or time of the calendar',
    ),
    "not a time": (
        "- end_when: {from: 27.12.2026} # here",
        22,
        'rules row 1.end_when.from: "27.12.2026" is not a time like 2026-11-11 18:00 or'
        " 2026-11-11 18:00+07:00",
    ),
    "an end that says no time": (
        "- pre_order: {units: 5, until: 2026-12-24} # here",
        34,
        'rules row 1.pre_order.until: "2026-12-24" needs a time, like 00:00: is that day still in'
        " it or not?",
    ),
    "an hour that the clocks leave out": (
        "- pre_order: {units: 5, until: 2026-03-29 02:30} # here",
        34,
        'rules row 1.pre_order.until: "2026-03-29 02:30" does not exist in Europe/Berlin: its'
        " clocks go forward then",
    ),
    "an hour that comes twice": (
        "- pre_order: {units: 5, until: 2026-10-25 02:30} # here",
        34,
        'rules row 1.pre_order.until: "2026-10-25 02:30" comes twice in Europe/Berlin, its clocks'
        " go back then: add the offset",
    ),
    "pre-order of nothing": (
        "- pre_order: {units: 0, until: 2026-12-24 09:00} # here",
        24,
        "rules row 1.pre_order.units is less than 1",
    ),
    "a stop without a reason": (
        "- stop_sell: {by: Mia} # here",
        5,
        "rules row 1.stop_sell.reason is missing\n  Why.",
    ),
    "a campaign of nobody": (
        "- campaign: {name: x, reserve: 5, from: 2026-11-11, until: 2026-11-12 00:00} # here",
        5,
        "rules row 1.campaign does not say whose it is\n"
        "  Name its channels: `channel:` in this row.",
    ),
    "a campaign that ends before it begins": (
        "- channel: shop\n"
        "    campaign: {name: x, reserve: 5, from: 2026-11-11, until: 2026-11-10 18:00} # here",
        62,
        "rules row 1.campaign.until is not after `from`: the campaign ends before it begins",
    ),
    "a frozen channel that is not in the campaign": (
        "- channel: shop\n    campaign: {name: x, reserve: 5, from: 2026-11-11,"
        " until: 2026-11-12 00:00, frozen: market} # here",
        88,
        "rules row 1.campaign.frozen names market, which is not among the channels of this row",
    ),
    "frozen and only up": (
        "- channel: shop\n    campaign: {name: x, reserve: 5, from: 2026-11-11,"
        " until: 2026-11-12 00:00, frozen: shop, only_up: shop} # here",
        88,
        "rules row 1.campaign.frozen and only_up both name shop\n  Keep one.",
    ),
    "said twice": (
        "- {channel: shop, cap: 5}\n  - {channel: shop, cap: 6} # here",
        26,
        "rules row 2: line 2 says this of the same already\n  Keep one.",
    ),
    "a campaign said twice": (
        "- {channel: shop, campaign: {name: x, reserve: 5, from: 2026-11-11,"
        " until: 2026-11-12 00:00}}\n"
        "  - {channel: market, campaign: {name: x, reserve: 9, from: 2026-12-11,"
        " until: 2026-12-12 00:00}} # here",
        23,
        "rules row 2: line 2 says this of the same already\n  Keep one.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_is_refused_with_its_line_and_column(name: str) -> None:
    rows, column, words = REFUSED[name]
    text = f"rules:\n  {rows}\n"
    line = text[: text.index("# here")].count("\n") + 1
    assert refused(text) == [f"rules.yaml:{line}:{column}  {words}"]


FILES = {
    "no list": ("rules: {cap: 5}", "1:8", "rules is a list; each row begins with a dash"),
    "nothing": ("", 1, "is empty"),
    "no rules": (
        "rule: []",
        "1:1",
        '"rule" is not an option\n  Did you mean "rules"?',
    ),
    "not YAML": ("rules:\n  - cap: 5\n\t- cap: 6", "3:1", "a tab where only spaces may indent"),
    "a key twice": ("rules:\n  - cap: 5\n    cap: 6", "3:5", '"cap" is already set in line 2'),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused(name: str) -> None:
    text, place, words = FILES[name]
    assert any(one.startswith(f"rules.yaml:{place}  {words}") for one in refused(text))


def test_a_tag_where_no_item_has_any() -> None:
    _, problems = read_rules(b"rules:\n  - {tag: gift, cap: 5}\n", "rules.yaml", a_network(), {})
    assert [str(one) for one in problems] == [
        'rules.yaml:2:11  rules row 1.tag names the unknown tag "gift"\n  There is no tag yet.'
    ]


def test_all_problems_are_shown_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules:\n  - {share: 140%, cap: -1}\n  - cap: 5\n  - {tag: gft, cap: 9}\n")
    with pytest.raises(ConfigError) as caught:
        load_rules(path, "rules.yaml", a_network(), TAGS)
    found = [(problem.line, problem.column) for problem in caught.value.problems]
    assert found == [(2, 13), (2, 24), (4, 11)]


def test_a_row_with_a_problem_is_left_out_and_the_others_are_read() -> None:
    text = b"rules:\n  - {channel: gone, cap: 5}\n  - {channel: shop, cap: 6}\n"
    rules, problems = read_rules(text, "rules.yaml", a_network(), TAGS)
    assert [rule.says for rule in rules.written] == [Cap(units=6)]
    assert len(problems) == 1


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rules.yaml:1  does not exist"):
        load_rules(tmp_path / "rules.yaml", "rules.yaml", a_network(), TAGS)


# ------------------------------------------------------------------ items that nobody knows

RULES = """\
rules:
  - sku:
      - TEA
      - MGU
    share: 50%
    cap: 9
  - {sku: GHOST, cap: 5}
"""


def test_a_rule_for_an_unknown_sku_is_refused_with_the_line_of_the_sku() -> None:
    assert [str(one) for one in check_skus(read(RULES), ["TEA", "MUG", "CUP"])] == [
        'rules.yaml:4:9  no warehouse, ERP or channel has named the SKU "MGU"\n'
        '  Did you mean "MUG"?',
        'rules.yaml:7:11  no warehouse, ERP or channel has named the SKU "GHOST"',
    ]


def test_a_state_that_knows_no_sku_yet_refuses_none() -> None:
    assert check_skus(read(RULES), []) == []


def test_among_very_many_skus_none_is_suggested() -> None:
    many = [f"MUG{number}" for number in range(5000)]
    assert [one.fix for one in check_skus(read(RULES), many)] == ["", "", ""]


def test_a_moment_stays_in_the_zone_it_was_written_in() -> None:
    rule = only("rules:\n  - pre_order: {units: 5, until: 2026-12-24 09:00}\n")
    assert isinstance(rule.says, PreOrder)
    assert rule.says.until.tzinfo == BERLIN
    assert rule.says.until - timedelta(hours=8) == datetime(2026, 12, 24, 0, 0, tzinfo=UTC)
