"""Stop 6: what goes out first when more has changed than one call can tell.

After an outage or in a flash sale thousands of SKUs wait in the feed, oldest first, and
the one that is sold out may stand last. So the feed is looked through ahead of the calls:
cuts to zero leave first, then cuts, whatever waits in between (DESIGN 5). Three calls of
four begin so; the fourth begins with what has waited longest, so nothing starves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from core import offers, publish_rows
from core.clock import Clock
from core.network import Network
from core.pools import Pools
from core.seal import Seal
from core.store.engine import Store
from core.work import Work

#: SKUs looked at in one go, about 50 ms; in between others have their turn.
SLICE = 256
#: SKUs of one channel remembered as cuts; those beyond it leave in the order of the feed.
CUTS_MAX = 20_000
#: Each so many calls the oldest goes first.
FAIR_EVERY = 4


def in_order(
    turn: int, cuts: Iterable[str], again: Iterable[str], oldest: Iterable[str]
) -> list[str]:
    """The SKUs one call looks at: `cuts` by urgency, those due `again`, and the `oldest`."""
    parts = (oldest, again, cuts) if turn % FAIR_EVERY == FAIR_EVERY - 1 else (cuts, again, oldest)
    return list(dict.fromkeys(sku for part in parts for sku in part))


@dataclass(slots=True)
class _Ahead:
    """How far one channel's feed was looked through, and which cuts were found there."""

    seq: int = 0
    cuts: dict[str, tuple[int, int]] = field(default_factory=dict)  # SKU -> (rank, seq)
    turn: int = 0


class Overtaking:
    """Looks ahead in the feed of each channel. Nothing is kept that a restart would miss."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        clock: Clock,
        *,
        network: Callable[[], Network],
        pools: Pools,
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._network = network
        self._pools = pools
        self._ahead: dict[str, _Ahead] = {}

    def turn(self, system: str) -> int:
        """The number of this channel's next call."""
        return self._of(system).turn

    def cuts(self, system: str) -> list[str]:
        """What overtakes: zeros first, then cuts, each by age."""
        cuts = self._of(system).cuts
        return sorted(cuts, key=cuts.__getitem__)

    def told(self, system: str, skus: Sequence[str]) -> None:
        """They were looked at by a call that has left, or needed none."""
        ahead = self._of(system)
        ahead.turn += 1
        for sku in skus:
            ahead.cuts.pop(sku, None)

    async def look(self, system: str) -> None:
        """Look through what is new in the feed, where one call cannot tell all of it."""
        ahead = self._of(system)
        with self._store.read() as connection:
            cursor = publish_rows.cursor(connection, system)
            behind = publish_rows.end_of_feed(connection) - cursor
        if behind <= self._network().stock_writes[system].batch:
            ahead.cuts.clear()
            return
        ahead.seq = max(ahead.seq, cursor)
        while self._slice(system, ahead):
            await asyncio.sleep(0)

    def _slice(self, system: str, ahead: _Ahead) -> bool:
        with self._store.snapshot() as connection:
            rows = publish_rows.changed(connection, ahead.seq, SLICE)
            if not rows:
                return False
            work = Work.begin(connection, self._network(), self._seal, self._clock.now())
            self._sort(work, system, ahead, {row.sku: row.seq for row in rows})
        ahead.seq = rows[-1].seq
        return len(rows) == SLICE

    def _sort(self, work: Work, system: str, ahead: _Ahead, seqs: dict[str, int]) -> None:
        sellable = self._pools.looked_at(work, seqs, frozenset()).sellable
        for sku, rank in offers.ranks(work, system, list(seqs), sellable).items():
            ahead.cuts.pop(sku, None)  # it changed since it was looked at
            if rank <= offers.CUT and len(ahead.cuts) < CUTS_MAX:
                ahead.cuts[sku] = (rank, seqs[sku])

    def _of(self, system: str) -> _Ahead:
        return self._ahead.setdefault(system, _Ahead())


def without(seqs: dict[str, int], skus: Collection[str]) -> dict[str, int]:
    """Where the cursor may go: a SKU that overtook does not carry it past those before it."""
    return {sku: seq for sku, seq in seqs.items() if sku not in skus}
