"""What an offer rule can say, about which items, and where. Pure data.

core/offer_rules.py says which of several rules counts, and what comes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import ceil
from typing import Literal

Policy = Literal["shared", "split", "adaptive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """Units kept out of sale at a location: so many, or a part of the supply, rounded up."""

    units: int = 0
    percent: Fraction = Fraction(0)

    def of(self, supply: int) -> int:
        return self.units + ceil(max(0, supply) * self.percent / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    percent: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldOut:
    at: int
    exempt: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWhen:
    pool_below: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """From `start` to before `end` its channels sell from the whole pool, others from the rest.

    The number of some of its channels can only go up meanwhile, of some not be changed at
    all (S34): there the reserve is what makes up for it.
    """

    name: str
    channels: frozenset[str]
    reserve: int
    start: datetime
    end: datetime
    only_up: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreOrder:
    units: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSell:
    by: str
    reason: str
    until: datetime | None = None


Says = Safety | Share | Cap | SoldOut | EndWhen | Campaign | PreOrder | Publication | StopSell


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing said about some items at some places. An empty set names all of them.

    `places` are the channels' places that show nothing but `locations`; a place None
    is every place of the channel. Where a rule stands in the file is no part of what
    it says, so a rule that only moved is the same rule.
    """

    says: Says
    skus: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    locations: frozenset[str] = frozenset()
    places: frozenset[tuple[str, str | None]] = frozenset()
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    sku_lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def specific(self) -> tuple[int, bool, bool]:
        item = 2 if self.skus else 1 if self.tags else 0
        return (item, bool(self.channels), bool(self.locations))

    @property
    def origin(self) -> str:
        """`rules.yaml:7`; empty for an override."""
        return f"{self.file.rpartition('/')[2]}:{self.line}" if self.file else ""

    def fits(self, channel: str, place: str) -> bool:
        if self.channels and channel not in self.channels:
            return False
        own = ((channel, place), (channel, None))
        return not self.locations or any(one in self.places for one in own)

    def moments(self) -> Iterator[datetime]:
        """When it begins or ends to count."""
        says = self.says
        if isinstance(says, Campaign):
            yield from (says.start, says.end)
        elif isinstance(says, EndWhen) and says.at is not None:
            yield says.at
        elif isinstance(says, PreOrder | StopSell) and says.until is not None:
            yield says.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """An operator's word of this hour: nobody sells this item, on one channel or on all ("")."""

    sku: str
    channel: str = ""
    by: str
    reason: str
    since: datetime
    until: datetime | None = None
