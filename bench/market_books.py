"""What we know while the market runs: the stock by the ledger's arithmetic, and how fast it sells.

Supply, claims and evidence are `core.ledger`'s own decisions; the averages are made with
`core.pace`'s own constants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench.market_world import at
from core import ledger, pace
from core.ledger import Claim, Mark, Reading, Source
from core.scarcity import Pace

SOURCE = Source(basis="on_hand", ordered_by="counter")


@dataclass(slots=True)
class Book:
    """One SKU in our books, and on the warehouse's shelf."""

    shelf: int
    counter: int = 1
    short: int = 0
    claims: list[Claim] = field(default_factory=list)
    reading: Reading = field(init=False)

    def __post_init__(self) -> None:
        self.read(0.0)

    def read(self, now_s: float) -> None:
        """A reading of the warehouse lands: what it excludes ends, what is free is claimed."""
        self.reading = Reading(on_hand=self.shelf, counter=self.counter, began_at=at(now_s))
        self.claims = [one for one in self.claims if not ledger.may_end(one, self.reading, SOURCE)]
        free = min(self.short, max(0, self.sellable))
        self.claims += [Claim(units=1)] * free
        self.short -= free

    @property
    def sellable(self) -> int:
        return ledger.terms(self.reading, self.claims, safety_stock=0, source=SOURCE).sellable

    def captured(self) -> None:
        if self.sellable > 0:
            self.claims.append(Claim(units=1))
        else:
            self.short += 1

    def goods(self, units: int) -> None:
        self.shelf += units
        self.counter += 1

    def ship(self, now_s: float) -> None:
        """The oldest open claim leaves; its ship event is here at once, the number later."""
        for which, claim in enumerate(self.claims):
            if claim.state == "open":
                self.goods(-1)
                mark = Mark(seen_at=at(now_s), counter=self.counter)
                self.claims[which] = replace(claim, state="shipped", shipped=mark)
                return


@dataclass(slots=True)
class _Average:
    """Forgets exponentially (`core.pace`)."""

    quick: float
    slow: float
    at_s: float = 0.0

    def now(self, now_s: float) -> tuple[float, float]:
        age = now_s - self.at_s
        return self.quick * math.exp(-age / pace.QUICK_S), self.slow * math.exp(-age / pace.SLOW_S)

    def sold(self, now_s: float) -> None:
        quick, slow = self.now(now_s)
        self.quick, self.slow, self.at_s = quick + 1 / pace.QUICK_S, slow + 1 / pace.SLOW_S, now_s


class Speed:
    """How fast each SKU sells on each channel, and how late we are."""

    def __init__(self, usual: Sequence[Sequence[float]], settle_s: Sequence[float]) -> None:
        self._settle_s = settle_s
        self._average = [[_Average(quick=0.0, slow=rate) for rate in row] for row in usual]
        self._late = [dict[str, float]() for _ in usual[0]]

    def sold(self, sku: int, channel: int, now_s: float) -> None:
        self._average[sku][channel].sold(now_s)

    def late(self, channel: int, kind: str, seconds: float) -> None:
        old = self._late[channel].get(kind)
        late = min(max(pace.DELAY_MIN_S, seconds), pace.DELAY_MAX_S)
        if old is not None:
            late = math.exp((1 - pace.NEW) * math.log(old) + pace.NEW * math.log(late))
        self._late[channel][kind] = late

    def of(self, sku: int, channel: int, now_s: float) -> Pace:
        late = self._late[channel]
        quick, slow = self._average[sku][channel].now(now_s)
        return Pace(
            per_s=max(quick, slow),
            usual_per_s=slow,
            seen_after_s=late.get("seen", pace.DELAY_S),
            told_after_s=late.get("told", pace.DELAY_S),
            drained_after_s=late.get("drained", pace.DELAY_S + self._settle_s[channel]),
        )

    def weight(self, sku: int, channel: int, now_s: float) -> int:
        """Units a day, and one for being there."""
        return 1 + round(self.of(sku, channel, now_s).usual_per_s * pace.SLOW_S)
