"""How fast each channel sells, and how late we are: what `adaptive` and the bound are made of.

Two averages of the sales of an item on a channel that forget exponentially: a
quick one that sees a flash sale within a minute, and a slow one that knows what
is usual. Of delays the geometric mean is kept: one push that was lost and found
an hour later says little about the next.

`seen` compares the channel's clock with ours, which decides nothing that must be
right: a wrong clock divides a pool a little early or late, never wrongly (H12).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from core.clock import stamp, unstamp
from core.scarcity import Pace
from core.store.hot import Hot, HotList
from core.store.schema import delays, paces
from core.work import Work

#: Time constants of the two averages, in seconds.
QUICK_S = 60.0
SLOW_S = 86_400.0
#: What is assumed until it was measured, and the most that a wrong clock may claim.
DELAY_S = 10.0
DELAY_MAX_S = 900.0
DELAY_MIN_S = 0.2
#: How much of the mean one more delay moves.
NEW = 0.1


def sold(work: Work, system: str, sku: str, units: int) -> None:
    """Units of an item were sold on a channel just now. Units given back change no pace."""
    if units <= 0:
        return
    row = _ROW(work.connection, system=system, sku=sku).one_or_none()
    quick, slow = _at(row, work.now) if row else (0.0, 0.0)
    _SOLD(
        work.connection,
        system=system,
        sku=sku,
        quick=quick + units / QUICK_S,
        slow=slow + units / SLOW_S,
        at=stamp(work.now),
    )


def delayed(connection: Connection, system: str, kind: str, seconds: float, now: datetime) -> None:
    """`kind`: seen (sold until captured), told (changed until acknowledged) or drained
    (acknowledged until every order before it is known)."""
    late = min(max(DELAY_MIN_S, seconds), DELAY_MAX_S)
    known = _LATE_OF(connection, system=system, kind=kind).scalar_one_or_none()
    if known is not None:
        late = math.exp((1 - NEW) * math.log(known) + NEW * math.log(late))
    _DELAYED(connection, system=system, kind=kind, seconds=late, at=stamp(now))


@dataclass(slots=True)
class Paces:
    """What is known of some items on every channel, asked once for all of them."""

    work: Work
    rows: Mapping[tuple[str, str], Row[Any]]  # by (system, sku)
    _late: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Work, skus: Collection[str]) -> Paces:
        rows = _OF_SKUS(work.connection, skus)
        return cls(work, {(row.system, row.sku): row for row in rows})

    def weight(self, system: str, sku: str) -> int:
        """A channel's part of the sales of an item: units a day, and one for being there."""
        row = self.rows.get((system, sku))
        return 1 if row is None else 1 + round(row.slow * SLOW_S)

    def pace(self, system: str, sku: str) -> Pace:
        """The pace of one item on one channel, now."""
        row = self.rows.get((system, sku))
        quick, slow = _at(row, self.work.now) if row is not None else (0.0, 0.0)
        late, write = self._delays_of(system), self.work.network.stock_writes.get(system)
        settle_s = write.settle_s if write else 0.0
        return Pace(
            per_s=max(quick, slow),
            usual_per_s=slow,
            seen_after_s=late.get("seen", DELAY_S),
            told_after_s=late.get("told", DELAY_S),
            drained_after_s=late.get("drained", DELAY_S + settle_s),
        )

    def _delays_of(self, system: str) -> Mapping[str, float]:
        if not self._late:
            for row in _LATE(self.work.connection):
                self._late.setdefault(row.system, {})[row.kind] = row.seconds
        return self._late.get(system, {})


# ------------------------------------------------------------------ rows


def _at(row: Row[Any], now: datetime) -> tuple[float, float]:
    """Both averages as they are now: what was sold long ago counts less."""
    age = max(0.0, (now - unstamp(row.at)).total_seconds())
    return row.quick * math.exp(-age / QUICK_S), row.slow * math.exp(-age / SLOW_S)


_ROW = Hot(
    select(paces).where(paces.c.system == bindparam("system"), paces.c.sku == bindparam("sku"))
)
_OF_SKUS = HotList(lambda skus: select(paces).where(paces.c.sku.in_(skus)))
_LATE = Hot(select(delays))

_NEW_PACE = insert(paces).values(
    {name: bindparam(name) for name in ("system", "sku", "quick", "slow", "at")}
)
_SOLD = Hot(
    _NEW_PACE.on_conflict_do_update(
        index_elements=["system", "sku"],
        set_={name: _NEW_PACE.excluded[name] for name in ("quick", "slow", "at")},
    )
)

_LATE_OF = Hot(
    select(delays.c.seconds).where(
        delays.c.system == bindparam("system"), delays.c.kind == bindparam("kind")
    )
)
_NEW_DELAY = insert(delays).values(
    {name: bindparam(name) for name in ("system", "kind", "seconds", "at")}
)
_DELAYED = Hot(
    _NEW_DELAY.on_conflict_do_update(
        index_elements=["system", "kind"],
        set_={name: _NEW_DELAY.excluded[name] for name in ("seconds", "at")},
    )
)
