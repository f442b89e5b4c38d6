"""How fast each channel sells, and how late we are: what `adaptive` and the bound are made of.

Two averages of the sales of an item on a channel that forget exponentially: a
quick one that sees a flash sale within a minute, and a slow one that knows what
is usual. Delays are kept near their peaks: a channel that is slow now and then
is counted as slow.

`seen` compares the channel's clock with ours, which decides nothing that must be
right: a wrong clock divides a pool a little early or late, never wrongly (H12).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, select
from sqlalchemy.dialects.sqlite import insert

from core.clock import stamp, unstamp
from core.escrow import Pace
from core.store.hot import Hot, HotList
from core.store.schema import delays, paces
from core.work import Work

#: Time constants of the two averages, in seconds.
QUICK_S = 60.0
SLOW_S = 86_400.0
#: What is assumed until it was measured, and the most that a wrong clock may claim.
DELAY_S = 10.0
DELAY_MAX_S = 900.0
#: How much of a delay that is over its last peak keeps.
PEAK = 0.9


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
    """`kind`: seen (sold until captured) or told (changed until acknowledged)."""
    late = min(max(0.0, seconds), DELAY_MAX_S)
    _DELAYED(connection, system=system, kind=kind, seconds=late, at=stamp(now))


@dataclass(slots=True)
class Paces:
    """What is known of some items on every channel, asked once for all of them."""

    connection: Connection
    now: datetime
    rows: Mapping[tuple[str, str], Row[Any]]  # by (system, sku)
    _late: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Work, skus: Collection[str]) -> Paces:
        rows = _OF_SKUS(work.connection, skus)
        return cls(work.connection, work.now, {(row.system, row.sku): row for row in rows})

    def weight(self, system: str, sku: str) -> int:
        """A channel's part of the sales of an item: units a day, and one for being there."""
        row = self.rows.get((system, sku))
        return 1 if row is None else 1 + round(row.slow * SLOW_S)

    def pace(self, system: str, sku: str) -> Pace:
        """The pace of one item on one channel, now."""
        row = self.rows.get((system, sku))
        quick, slow = _at(row, self.now) if row is not None else (0.0, 0.0)
        late = self._delays_of(system)
        return Pace(
            per_s=max(quick, slow),
            seen_after_s=late.get("seen", DELAY_S),
            told_after_s=late.get("told", DELAY_S),
        )

    def _delays_of(self, system: str) -> Mapping[str, float]:
        if not self._late:
            for row in _LATE(self.connection):
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

_NEW_DELAY = insert(delays).values(
    {name: bindparam(name) for name in ("system", "kind", "seconds", "at")}
)
_LATER = _NEW_DELAY.excluded.seconds
_DELAYED = Hot(
    _NEW_DELAY.on_conflict_do_update(
        index_elements=["system", "kind"],
        set_={
            "seconds": case(
                (delays.c.seconds <= _LATER, _LATER),
                else_=delays.c.seconds * PEAK + _LATER * (1 - PEAK),
            ),
            "at": _NEW_DELAY.excluded["at"],
        },
    )
)
