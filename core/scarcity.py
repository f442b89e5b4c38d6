"""Stop 6, decided: when `adaptive` divides a pool, and which channels share what is left. Pure.

While a pool holds more than all its channels sell in four hours, each of them shows all of it:
a large order finds it there, which a quota would have turned away.
Below that each has a quota of its own, as under `split`; but a channel whose sales
we see within seconds *shares*: it shows a few units besides, which others show too,
because so few are sold before we can stop it. A channel seen late never shares: in a flash sale
it sells all it shows before we hear of the first.

What can be sold beyond the pool is at most what all ceilings come to beyond it (G8). That
bound is kept small by what may be shared (`core.escrow.SHARED`), and is printed by `why`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

#: A pool is scarce if it is sold within this time. A day made hardly any difference in flash sales
#: and turned away one unit in eight on ordinary days (`python -m bench.market --ordinary`).
AHEAD_S = 4 * 3600.0
#: … and below so many units per outlet, whatever has been measured.
FLOOR = 2
#: A scarce pool is shared again only when it is well above the limit: every change costs a drain.
LEAVE = 2.0
#: A channel shares if a sale is seen, and a cut is acknowledged, within so many seconds.
QUICK_S = 10.0
#: Measured averages are low at the beginning of a flash sale.
SAFETY = 3.0
#: All that share may sell this part of the pool unseen; who sells most has a quota of its own.
SHARE = 0.25
#: How often an outlet may sell more unseen than is counted for it.
SELDOM = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast one outlet sells, and how late we are: units per second, and seconds.

    `per_s` is its pace just now or its usual one, whichever is faster; `drained_after_s`
    is from the acknowledgment of a 0 until all its orders are known.
    """

    per_s: float
    usual_per_s: float
    seen_after_s: float
    told_after_s: float
    drained_after_s: float

    @property
    def is_quick(self) -> bool:
        return self.seen_after_s + self.told_after_s <= QUICK_S

    @property
    def unseen(self) -> float:
        """Units it sells before a cut that is decided now can stop it."""
        return SAFETY * self.per_s * (self.seen_after_s + self.told_after_s)

    @property
    def at_most(self) -> int:
        """Units it sells unseen, but for one time in a thousand (Poisson)."""
        mean = self.unseen
        if mean > 50:
            return math.ceil(mean + 3.1 * math.sqrt(mean))
        term = math.exp(-mean)
        units, more = 0, 1.0 - term
        while more > SELDOM:
            units += 1
            term *= mean / units
            more -= term
        return units

    @property
    def drain(self) -> float:
        """Units it does not sell while it is told 0 and its orders are awaited."""
        return self.usual_per_s * (self.told_after_s + self.drained_after_s)


def scarce(pool: int, paces: Sequence[Pace], *, divided: bool) -> bool:
    """Whether `adaptive` divides the pool now."""
    sold = AHEAD_S * sum(pace.usual_per_s for pace in paces)
    limit = max(sold, float(FLOOR * len(paces)))
    return len(paces) > 1 and pool <= (limit * LEAVE if divided else limit)


def sharing(paces: Mapping[K, Pace], pool: int) -> dict[K, int]:
    """The outlets that share a scarce pool, each with what it may sell unseen."""
    quick = sorted(
        (key for key, pace in paces.items() if pace.is_quick),
        key=lambda key: (paces[key].unseen, str(key)),
    )
    unseen = sum(paces[key].unseen for key in quick)
    while quick and unseen > SHARE * pool:
        unseen -= paces[quick.pop()].unseen
    return {key: paces[key].at_most for key in quick}
