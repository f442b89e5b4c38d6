"""Stop 6, decided: from the pool to the number one listing may show. Pure.

    offer(sku, channel) = offer rules over the pool

An operator writes rules in a file (core/rules_file.py), and can stop an item at
once (core/overrides.py). A rule says about which items it is (SKUs or tags),
where (channels, locations), and one thing. What it does not name, it is about
all of.

Of the rules of one kind that fit, one counts: the most specific. An item by its
SKU is more specific than one by its tag, and that than every item; of equals,
one that names channels; of equals again, one that names locations; of equals
still, the first in the file. Two kinds are not alternatives: all campaigns that
run count, one rule of each name, and every stop counts.

They are applied in this order, each to what the one before left:

    1. campaign    units kept for running campaigns leave the pool of all other channels
    2. share       a percentage, rounded down
    3. cap         at most so many
    4. sold_out    the pool after 1 is no larger than a threshold: 0, but on exempt channels
    5. end_when    its moment has come, or the whole pool is below a number: 0
    6. pre_order   the whole pool is gone, and its moment has not come: units beyond stock,
                   within share and cap, and none where 5 has ended the sale
    7. stop_sell   0

`safety_stock` comes before all that, at each location, and `policy` is no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import floor
from typing import Literal, TypeVar

from core.rule_kinds import (
    Campaign,
    Cap,
    EndWhen,
    Override,
    Policy,
    PreOrder,
    Publication,
    Rule,
    Safety,
    Share,
    SoldOut,
    StopSell,
)

Direction = Literal["free", "only_up", "frozen"]

K = TypeVar("K")

_NONE_SOLD: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a listing may show. `beyond`: how many of the units are pre-orders, not stock.

    `because` has one term, ending in the number it left, for every rule that changed the
    number, and for a stop even where nothing was left to stop.
    """

    units: int
    because: tuple[str, ...] = ()
    direction: Direction = "free"
    beyond: int = 0


# ------------------------------------------------------------------ all rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules in force. `tags` are those of the items; `text` is the file they were read from.

    `written` is in the order of the file. A change of any part makes a new object
    (`dataclasses.replace`).
    """

    written: tuple[Rule, ...] = ()
    stopped: tuple[Rule, ...] = ()  # the operators' overrides
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    text: str = field(default="", compare=False, repr=False)
    _by_sku: Mapping[str, list[Rule]] = field(init=False, compare=False, repr=False)
    _by_tag: Sequence[Rule] = field(init=False, compare=False, repr=False)
    _of_all: Sequence[Rule] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        by_sku: dict[str, list[Rule]] = {}
        # The sort is stable: of equals the first of the file stays first.
        ordered = sorted((*self.stopped, *self.written), key=lambda r: r.specific, reverse=True)
        for rule in ordered:
            for sku in rule.skus:
                by_sku.setdefault(sku, []).append(rule)
        object.__setattr__(self, "_by_sku", by_sku)
        object.__setattr__(self, "_by_tag", [r for r in ordered if r.tags and not r.skus])
        object.__setattr__(self, "_of_all", [r for r in ordered if not r.tags and not r.skus])

    @classmethod
    def none(cls) -> Rules:
        return cls()

    def with_overrides(self, overrides: Iterable[Override]) -> Rules:
        """The same rules with these overrides instead of the ones before."""
        stopped = tuple(
            Rule(
                says=StopSell(by=one.by, reason=one.reason, until=one.until),
                skus=frozenset({one.sku}),
                channels=frozenset({one.channel} if one.channel else ()),
            )
            for one in overrides
        )
        return replace(self, stopped=stopped)

    # -------------------------------------------------------------- questions

    def about(self, sku: str) -> list[Rule]:
        """The rules about an item, the most specific first."""
        tags = self.tags.get(sku, frozenset())
        tagged = [rule for rule in self._by_tag if rule.tags & tags]
        return [*self._by_sku.get(sku, ()), *tagged, *self._of_all]

    def safety(self, sku: str, location: str, supply: int, default: int = 0) -> int:
        """Units of the supply kept out of sale. `default` is the location's own safety_stock."""
        here = [r for r in self.about(sku) if not r.locations or location in r.locations]
        found = _first(here, Safety)
        return default if found is None else found[1].of(supply)

    def policy(self, sku: str, channel: str) -> Policy | None:
        """How the pool of this item reaches this channel; None: as config.yaml says."""
        here = [rule for rule in self.about(sku) if not rule.channels or channel in rule.channels]
        found = _first(here, Publication)
        return None if found is None else found[1].policy

    def campaigns(self, sku: str, now: datetime) -> list[Campaign]:
        """The campaigns that run for an item: whose sales since `start` `offer` wants to know."""
        return [campaign for _, campaign in _running(self.about(sku), now)]

    def offer(
        self,
        sku: str,
        channel: str,
        place: str,
        pool: int,
        *,
        now: datetime,
        sold: Mapping[str, int] = _NONE_SOLD,
        open_units: int = 0,
    ) -> Offered:
        """What one listing may show of a pool that has safety stock already taken out.

        `sold` says by name of each running campaign how many units its channels have
        sold since it began; `open_units` how many units are pre-sold: ordered on any
        channel, and not covered by stock.
        """
        about = self.about(sku)
        if not about:
            return Offered(units=max(0, pool))
        here = [rule for rule in about if rule.fits(channel, place)]
        running = _running(about, now)
        number = _Number(max(0, pool))
        for rule, campaign in running:
            if channel not in campaign.channels:
                _keep(number, rule, campaign, sold.get(campaign.name, 0))
        drawn = number.units
        _limit(number, here)
        _sell_out(number, here, channel, drawn)
        ended = _end(number, here, pool, now)
        beyond = 0 if ended or pool > 0 else _pre_order(number, here, open_units, now)
        if _stop(number, here, now):
            # A stop is tried even on a number that a campaign has frozen: if the channel
            # refuses the 0, a person has to hear of it.
            return Offered(units=0, because=tuple(number.because))
        return Offered(
            units=number.units,
            because=tuple(number.because),
            direction=_direction(channel, running),
            beyond=beyond,
        )

    # -------------------------------------------------------------- what changes when

    def next_change(self, since: datetime) -> datetime | None:
        """The first moment after `since` at which a rule begins or ends to count.

        The daemon sleeps until then, asks `changed_between(since, now, known)` and puts
        those SKUs into the change feed. It keeps `since` in its state, so a moment that
        passed while it was down is made up for.
        """
        return min(
            (at for rule in self._all() for at in rule.moments() if at > since), default=None
        )

    def changed_between(self, since: datetime, now: datetime, known: Iterable[str]) -> list[str]:
        """Those of the known SKUs whose answers may differ now from what they were at `since`."""
        due = {r for r in self._all() if any(since < at <= now for at in r.moments())}
        return [sku for sku in known if due and not due.isdisjoint(self.about(sku))]

    def differing(self, before: Rules, known: Iterable[str]) -> list[str]:
        """Those of the known SKUs about which other rules stood before."""
        return [sku for sku in known if self.about(sku) != before.about(sku)]

    def _all(self) -> Iterator[Rule]:
        yield from self.stopped
        yield from self.written


# ------------------------------------------------------------------ the steps of `offer`


@dataclass(slots=True)
class _Number:
    """A number on its way through the rules, and what each of them did to it."""

    units: int
    because: list[str] = field(default_factory=list)

    def lower(self, units: int, rule: Rule, words: str) -> None:
        if units < self.units:
            self.units = max(0, units)
            self.tell(rule, words)

    def tell(self, rule: Rule, words: str) -> None:
        where = f" ({rule.origin})" if rule.origin else ""
        self.because.append(f"{words}{where}: {self.units}")


def _first(rules: Iterable[Rule], kind: type[K]) -> tuple[Rule, K] | None:
    """The rule of one kind that counts, of rules that fit, the most specific first."""
    for rule in rules:
        if isinstance(rule.says, kind):
            return rule, rule.says
    return None


def _running(about: Iterable[Rule], now: datetime) -> list[tuple[Rule, Campaign]]:
    named: dict[str, tuple[Rule, Campaign]] = {}
    for rule in about:
        if isinstance(rule.says, Campaign):
            named.setdefault(rule.says.name, (rule, rule.says))
    return [(rule, one) for rule, one in named.values() if one.start <= now < one.end]


def _keep(number: _Number, rule: Rule, campaign: Campaign, sold: int) -> None:
    left = max(0, campaign.reserve - max(0, sold))
    channels = ", ".join(sorted(campaign.channels))
    words = f"campaign {campaign.name} keeps {left} for {channels}"
    number.lower(number.units - left, rule, words)


def _limit(number: _Number, here: Sequence[Rule]) -> None:
    if share := _first(here, Share):
        rule, says = share
        part = floor(number.units * says.percent / 100)
        number.lower(part, rule, f"share {float(says.percent):g}% of {number.units}")
    if cap := _first(here, Cap):
        rule, limit = cap
        number.lower(limit.units, rule, f"cap {limit.units}")


def _sell_out(number: _Number, here: Sequence[Rule], channel: str, drawn: int) -> None:
    found = _first(here, SoldOut)
    if found is None:
        return
    rule, says = found
    if drawn <= says.at and channel not in says.exempt:
        but = f", but on {', '.join(sorted(says.exempt))}" if says.exempt else ""
        number.lower(0, rule, f"sold out at {says.at} or fewer{but}")


def _end(number: _Number, here: Sequence[Rule], pool: int, now: datetime) -> bool:
    found = _first(here, EndWhen)
    if found is None:
        return False
    rule, says = found
    if says.at is not None and now >= says.at:
        number.lower(0, rule, f"ended {_when(says.at)}")
        return True
    if says.pool_below is not None and pool < says.pool_below:
        number.lower(0, rule, f"ended while the pool is below {says.pool_below}")
        return True
    return False


def _pre_order(number: _Number, here: Sequence[Rule], open_units: int, now: datetime) -> int:
    """Units offered beyond stock."""
    found = _first(here, PreOrder)
    if found is None or now >= found[1].until:
        return 0
    rule, says = found
    beyond = _Number(max(0, says.units - max(0, open_units)))
    before = f", {open_units} sold already" if open_units > 0 else ""
    beyond.tell(rule, f"pre-order of {says.units} until {_when(says.until)}{before}")
    _limit(beyond, here)
    number.units += beyond.units
    number.because += beyond.because
    return beyond.units


def _stop(number: _Number, here: Iterable[Rule], now: datetime) -> bool:
    """Every stop counts: one that has expired hides no other."""
    for rule in here:
        says = rule.says
        if isinstance(says, StopSell) and (says.until is None or now < says.until):
            number.units = 0
            until = f" until {_when(says.until)}" if says.until else ""
            number.tell(rule, f"stopped by {says.by}{until}, {says.reason}")
            return True
    return False


def _direction(channel: str, running: Iterable[tuple[Rule, Campaign]]) -> Direction:
    campaigns = [campaign for _, campaign in running]
    if any(channel in campaign.frozen for campaign in campaigns):
        return "frozen"
    return "only_up" if any(channel in campaign.only_up for campaign in campaigns) else "free"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}"
