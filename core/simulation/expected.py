"""What every listing should show, reckoned a second time: from the true shelves and docs/rules.md.

A dumb reading of the few rules that `business` draws; nothing of it is asked of our own code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from itertools import combinations
from typing import Any

from core.fake import Sold
from core.simulation.business import Place
from core.simulation.scenario import Scenario
from core.simulation.world import World

#: (item, location) -> units that orders not yet shipped have there.
Claimed = Mapping[tuple[str, str], int]
#: (item, channel) whose sale a person has stopped; channel "" is all of them.
Stopped = Collection[tuple[str, str]]
#: Units of an order that have left although its buyer cancelled it.
Left = Mapping[tuple[str, str], Mapping[str, int]]


class Expected:
    """`now`: by the clock of our machine, which decides when a rule begins."""

    def __init__(self, scenario: Scenario, world: World, now: Callable[[], datetime]) -> None:
        self._scenario = scenario
        self._business = scenario.business
        self._world = world
        self._now = now

    # -------------------------------------------------------------- units

    def free(self, sku: str, place: Place, claimed: Claimed) -> int:
        """Units of an item that one location may still sell; below 0 where it is short of them."""
        on_hand: int = self._world.depot.on_hand(sku, place.at)
        return on_hand - claimed[sku, place.name] - self._safety(sku, place)

    def _safety(self, sku: str, place: Place) -> int:
        rows = self._rows("safety_stock", sku)
        return next((int(row["safety_stock"]) for row in rows), place.safety)

    def pool(self, channel: str, listing: str, claimed: Claimed) -> int:
        """What the locations behind a channel have of it; a kit ships from one of them."""
        needs = self._business.parts({listing: 1})
        return sum(
            min(max(0, self.free(sku, place, claimed)) // units for sku, units in needs.items())
            for place in self._business.serving(channel)
        )

    def too_many(self, shown: Mapping[str, Mapping[str, int]], claimed: Claimed) -> Iterator[str]:
        """Where some channels together show more than the locations behind them have."""
        wanted = {name: self._business.parts(units) for name, units in shown.items()}
        for size in range(1, len(shown) + 1):
            for channels in combinations(sorted(shown), size):
                behind = [
                    place
                    for place in self._business.places
                    if not {*channels}.isdisjoint(place.serves)
                ]
                for sku in self._scenario.skus:
                    total = sum(wanted[name][sku] for name in channels)
                    there = sum(max(0, self.free(sku, place, claimed)) for place in behind)
                    if total > there:
                        yield f"{there} {sku} are free for {', '.join(channels)}, {total} are shown"

    # -------------------------------------------------------------- rules

    def offer(self, channel: str, listing: str, pool: int, *, stopped: Stopped, left: Left) -> int:
        """What the rules make of a pool."""
        if {(listing, ""), (listing, channel)} & {*stopped} or self._is_stopped(listing):
            return 0
        number = pool
        for row in self._rows("campaign", listing):
            if self._runs(row["campaign"]) and channel not in row["channel"]:
                number -= max(0, row["campaign"]["reserve"] - self._sold(listing, row, left))
        number = drawn = max(0, number)
        for row in self._rows("share", listing, channel):
            number = number * int(row["share"].rstrip("%")) // 100
        for row in self._rows("cap", listing, channel):
            number = min(number, row["cap"])
        for row in self._rows("sold_out", listing):
            if drawn <= row["sold_out"]["at"] and channel != row["sold_out"]["except"]:
                number = 0
        return number

    def _rows(self, kind: str, sku: str, channel: str = "") -> Iterator[Mapping[str, Any]]:
        for row in self._business.rules:
            is_about = row.get("sku", sku) == sku and channel in ("", row.get("channel", channel))
            if kind in row and is_about:
                yield row

    def _is_stopped(self, listing: str) -> bool:
        rows = self._rows("stop_sell", listing)
        return any(self._now() < _moment(row["stop_sell"]["until"]) for row in rows)

    def _runs(self, campaign: Mapping[str, Any]) -> bool:
        return _moment(campaign["from"]) <= self._now() < _moment(campaign["until"])

    def _sold(self, listing: str, row: Mapping[str, Any], left: Left) -> int:
        """Units its channels have sold since it began."""
        since = _moment(row["campaign"]["from"])
        return sum(
            self._wanted(name, order, listing, left)
            for name in row["channel"]
            for order in self._world.channels[name].sold()
            if self._world.placed[name, order.id] >= since
        )

    def _wanted(self, channel: str, order: Sold, listing: str, left: Left) -> int:
        units = order.lines.get(listing, 0)
        if not order.cancelled:
            return units
        needs = self._business.parts({listing: 1})
        gone = left.get((channel, order.id), Counter[str]())
        return min([units, *(gone.get(sku, 0) // each for sku, each in needs.items())])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
