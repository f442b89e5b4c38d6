"""Stop 6: what one channel's computation leaves for the next, which asks the same a moment later.

Nothing here has to be forgotten in time: what is kept says what it was computed from,
and is used only where that is still so.
"""

from __future__ import annotations

from collections.abc import Mapping

from core import quotas, stock
from core.dividing import Basis, Division, Plans
from core.network import Network
from core.quotas import Sellable
from core.store.engine import state_of
from core.work import Work

#: Numbers remembered for the other channels; beyond it they are computed again.
POOLS_MAX = 200_000


class Pools:
    """What each location may sell of a SKU, and how pools are divided, once for all channels.

    Whatever changes the number moves the SKU in the change feed, so a value computed at
    one `seq` holds until the next. A division holds for whoever sees the very same state.
    """

    def __init__(self) -> None:
        self._network: Network | None = None
        self._known: dict[tuple[str, str], tuple[int, int]] = {}
        self._plans = Plans()
        self._state: tuple[int, int, frozenset[str]] = (0, 0, frozenset())
        self._divisions: dict[str, Division] = {}

    def looked_at(self, work: Work, seqs: Mapping[str, int], away: frozenset[str]) -> Basis:
        """For a batch that is only looked at, whose SKUs stand at `seqs` in the feed."""
        self._begin(work)
        if quotas.any_kept(work.network):
            state = (state_of(work.connection), int(work.now.timestamp()), away)
            if state != self._state:
                self._state, self._divisions = state, {}
        return Basis(self._sellable(work, seqs, keep=True), self._plans, self._divisions, away)

    def decided(self, work: Work, seqs: Mapping[str, int], away: frozenset[str]) -> Basis:
        """For a batch that is decided in this transaction. Nothing is kept from inside it:
        undone, it would give its `seq` to another number."""
        self._begin(work)
        return Basis(self._sellable(work, seqs, keep=False), self._plans, {}, away)

    def _begin(self, work: Work) -> None:
        if self._network is not work.network or len(self._known) > POOLS_MAX:
            self._network, self._known, self._divisions = work.network, {}, {}

    def _sellable(self, work: Work, seqs: Mapping[str, int], *, keep: bool) -> Sellable:
        known, own = self._known, dict[tuple[str, str], int]()

        def sellable(sku: str, location: str) -> int:
            at = (sku, location)
            seq, found = seqs.get(sku, -1), known.get(at)
            if found is not None and found[0] == seq:
                return found[1]
            if at not in own:
                own[at] = stock.terms_of(work, sku, location).sellable
            if keep and seq >= 0:
                known[at] = (seq, own[at])
            return own[at]

        return sellable
