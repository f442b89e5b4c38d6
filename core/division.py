"""Stop 6, decided: which promises fit together, and a fair division of what there is. Pure.

Outlets draw on items at locations. What they are promised *fits* if every promised
unit can be given a place of its own. For single items that is Hall's condition,
and exact. A kit or a pack ships from one place, so those served from several locations
are given their places one by one first: never a unit twice, now and then one too few.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice, permutations
from typing import Protocol

#: Distinct unions of serving sets looked at; beyond it the bound is only stricter.
UNIONS_MAX = 64
#: Orders of locations tried to give kits their places: all of them up to four locations.
ORDERS_MAX = 24

#: (item, location) -> units that may be sold there
Sellable = Mapping[tuple[str, str], int]
#: outlet key -> units it may sell; None is without limit
Promised = Mapping[Hashable, int | None]


class Drawing(Protocol):
    """What draws: a number of units, each of which takes `needs` at one of `serves`."""

    @property
    def key(self) -> Hashable: ...
    @property
    def serves(self) -> frozenset[str]: ...
    @property
    def needs(self) -> Mapping[str, int]: ...


class Dividing(Drawing, Protocol):
    """What also has a part in a division: its weight, and the most it may be given."""

    @property
    def weight(self) -> Fraction: ...
    @property
    def most(self) -> int | None: ...


#: Locations, and the outlets whose units have to fit into them together.
Bound = tuple[frozenset[str], Sequence[Drawing]]
#: What kits leave at each place, and what they found no place for, by item.
Placed = tuple[Mapping[tuple[str, str], int], Mapping[str, int]]


class Fit:
    """Outlets over one stock. Knows no promises: they are told with every question."""

    def __init__(self, outlets: Sequence[Drawing], sellable: Sellable) -> None:
        self._left = {place: max(0, units) for place, units in sellable.items()}
        self._kits = [one for one in outlets if sum(one.needs.values()) > 1 < len(one.serves)]
        placed = {one.key for one in self._kits}
        self._plain = [one for one in outlets if one.key not in placed]
        self._orders: list[tuple[str, ...]] = _orders(outlets) if self._kits else [()]
        self._bounds: dict[tuple[str, frozenset[str]], list[Bound]] = {}

    def spare(self, outlet: Drawing, promised: Promised) -> int | None:
        """Units it may be promised beyond what it is; below 0, units promised twice."""
        found = [self._spare(outlet, promised, order) for order in self._best(promised)]
        known = [spare for spare in found if spare is not None]
        return max(known) if len(known) == len(found) else None

    def in_the_way(self, outlet: Drawing, promised: Promised) -> bool:
        """Whether its own promise is one of those that do not fit together."""
        if not self.lacking(promised):
            return False
        found = [self._spare(outlet, promised, order) for order in self._orders]
        return any(spare is not None and spare < 0 for spare in found)

    def _spare(self, outlet: Drawing, promised: Promised, order: Sequence[str]) -> int | None:
        if any(kit.key == outlet.key for kit in self._kits):
            return self._of_kit(outlet, promised, order)
        placed = self._place(self._kits, promised, order)
        found: list[int] = []
        for item, factor in outlet.needs.items():
            left = None if placed is None else self._left_of(item, outlet.serves, promised, placed)
            if left is None:
                return None
            found.append(left // factor)
        return min(found)

    def lacking(self, promised: Promised) -> int:
        """Units promised twice, bound by bound; what is not known is left out.

        Each bound counts: where units are promised twice anyhow, one more that lacks says
        that somebody else would miss them too.
        """
        return min(self._lacking(promised, order) for order in self._orders)

    def beyond(self, promised: Promised) -> int:
        """Units promised that are not there: item by item, by the bound that lacks most."""
        return min(self._beyond(promised, order) for order in self._orders)

    def _beyond(self, promised: Promised, order: Sequence[str]) -> int:
        known = {key: units or 0 for key, units in promised.items()}
        placed = self._place(self._kits, known, order)
        assert placed is not None
        lacking: dict[str, int] = dict(placed[1])
        for one in self._plain:
            for item in one.needs:
                left = self._left_of(item, one.serves, known, placed) or 0
                lacking[item] = max(lacking.get(item, 0), -left)
        return sum(lacking.values())

    def _best(self, promised: Promised) -> list[tuple[str, ...]]:
        """The orders that find a place for most; everybody's spare is that of the same orders."""
        if len(self._orders) == 1:
            return self._orders
        lacking = {order: self._lacking(promised, order) for order in self._orders}
        least = min(lacking.values())
        return [order for order in self._orders if lacking[order] == least]

    def _lacking(self, promised: Promised, order: Sequence[str]) -> int:
        known = {key: units or 0 for key, units in promised.items()}
        placed = self._place(self._kits, known, order)
        assert placed is not None
        drawn = {(item, one.serves) for one in self._plain for item in one.needs}
        found: dict[tuple[str, frozenset[str]], int] = {}
        for item, serves in drawn:
            for around, spare in self._spares(item, serves, known, placed):
                found[item, around] = min(spare or 0, found.get((item, around), 0))
        return sum(placed[1].values()) - sum(found.values())

    def _left_of(
        self, item: str, serves: frozenset[str], promised: Promised, placed: Placed
    ) -> int | None:
        """For every set of locations around these, what all outlets confined to it may still
        sell must fit into it (Hall's condition). What the tightest of them leaves."""
        found: list[int] = []
        for _, spare in self._spares(item, serves, promised, placed):
            if spare is None:
                return None
            found.append(spare)
        return min(found)

    def _spares(
        self, item: str, serves: frozenset[str], promised: Promised, placed: Placed
    ) -> Iterator[tuple[frozenset[str], int | None]]:
        """What each bound around these locations leaves; None where a promise has no limit."""
        left, lacking = placed
        for around, inside in self._around(item, serves):
            spare = -lacking.get(item, 0)
            for place in around:
                spare += left.get((item, place), 0)
            for one in inside:
                units = promised[one.key]
                if units is None:
                    yield around, None
                    break
                spare -= units * one.needs[item]
            else:
                yield around, spare

    # -------------------------------------------------------------- kits over several locations

    def _of_kit(self, kit: Drawing, promised: Promised, order: Sequence[str]) -> int | None:
        """The most this kit can be promised beside all others, found by halving."""
        held = promised[kit.key]
        if held is None or None in promised.values():
            return None
        low = -held
        high = sum(_sets(kit.needs, place, self._left) for place in kit.serves) - held
        while low < high:
            middle = (low + high + 1) // 2
            fits = not self._lacking({**promised, kit.key: held + middle}, order)
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def _place(
        self, kits: Iterable[Drawing], promised: Promised, order: Sequence[str]
    ) -> Placed | None:
        """Give these kits their places, locations in this order. None: one is without limit."""
        left, lacking = self._left, dict[str, int]()
        for kit in kits:
            units = promised[kit.key]
            if units is None:
                return None
            left = dict(left)
            missing = _draw(kit, units, left, order)
            for item, factor in kit.needs.items():
                lacking[item] = lacking.get(item, 0) + missing * factor
        return left, lacking

    # -------------------------------------------------------------- Hall's condition

    def _around(self, item: str, serves: frozenset[str]) -> list[Bound]:
        known = self._bounds.get((item, serves))
        if known is None:
            own = [one for one in self._plain if item in one.needs]
            known = self._bounds[item, serves] = _unions(serves, own)
        return known


def _unions(serves: frozenset[str], outlets: Sequence[Drawing]) -> list[Bound]:
    """Every bound a raise of an outlet served by these locations has to respect."""
    unions = {serves}
    for other in sorted({one.serves for one in outlets}, key=sorted):
        unions |= {union | other for union in unions}
        if len(unions) > UNIONS_MAX:
            return _stricter(serves, outlets)
    return [(around, [one for one in outlets if one.serves <= around]) for around in unions]


def _stricter(serves: frozenset[str], outlets: Sequence[Drawing]) -> list[Bound]:
    """Too many unions: whoever touches a set has to fit into it. Implies all the others."""
    near = {one.serves for one in outlets if one.serves & serves} | {serves}
    return [(around, [one for one in outlets if one.serves & around]) for around in near]


def _orders(outlets: Iterable[Drawing]) -> list[tuple[str, ...]]:
    """The orders in which kits may draw on locations, the least wanted location first."""
    crowd: dict[str, int] = {}
    for outlet in outlets:
        for place in outlet.serves:
            crowd[place] = crowd.get(place, 0) + 1
    least = sorted(crowd, key=lambda place: (crowd[place], place))
    return list(islice(permutations(least), ORDERS_MAX))


def _draw(kit: Drawing, units: int, left: dict[tuple[str, str], int], order: Sequence[str]) -> int:
    """Take whole kits, one location after another. Returns how many found no place."""
    for place in order:
        if place in kit.serves:
            part = min(units, _sets(kit.needs, place, left))
            for item, factor in kit.needs.items():
                if part:
                    left[item, place] -= part * factor
            units -= part
    return units


def _sets(needs: Mapping[str, int], place: str, left: Sellable) -> int:
    """Whole kits a location can give: a kit ships from one place."""
    return min(left.get((item, place), 0) // factor for item, factor in needs.items())


# ------------------------------------------------------------------ the division


def shares(
    outlets: Sequence[Dividing], kept: Mapping[Hashable, int], fit: Fit
) -> dict[Hashable, int]:
    """Every unit once, in proportion to weight (the method of d'Hondt), from `kept` upwards.

    The largest claim per weight is served first, so a last unit goes to the outlet
    that sells most. Whoever can take no more leaves, and the others go on.
    """
    granted = dict(kept)
    waiting = [one for one in outlets if one.weight > 0]
    levelled = 0
    while True:
        room = _rooms(waiting, granted, fit)
        waiting = [one for one in waiting if room[one.key] > 0]
        if not waiting:
            return granted
        if len(waiting) != levelled:
            granted |= _level(waiting, granted, room, fit)
            levelled = len(waiting)
            continue
        one = min(waiting, key=lambda o: ((granted[o.key] + 1) / o.weight, str(o.key)))
        granted[one.key] += 1


def _rooms(
    outlets: Iterable[Dividing], granted: Mapping[Hashable, int], fit: Fit
) -> dict[Hashable, int]:
    """What each may still take. Outlets that draw alike share the answer."""
    known: dict[tuple[frozenset[str], frozenset[tuple[str, int]]], int] = {}
    rooms: dict[Hashable, int] = {}
    for one in outlets:
        alike = (one.serves, frozenset(one.needs.items()))
        if alike not in known:
            known[alike] = fit.spare(one, granted) or 0
        most = known[alike] if one.most is None else one.most - granted[one.key]
        rooms[one.key] = min(known[alike], most)
    return rooms


def _level(
    waiting: Sequence[Dividing],
    granted: Mapping[Hashable, int],
    room: Mapping[Hashable, int],
    fit: Fit,
) -> dict[Hashable, int]:
    """The highest level to which all of them can be filled at once, found by halving."""
    scale = math.lcm(*(one.weight.denominator for one in waiting))
    weights = {one.key: int(one.weight * scale) for one in waiting}
    whole = sum(weights.values())

    def filled(total: int) -> dict[Hashable, int]:
        level = dict(granted)
        for one in waiting:
            units = total * weights[one.key] // whole
            level[one.key] = max(granted[one.key], units)
        return level

    low, lacking = 0, fit.lacking(granted)
    high = max((granted[o.key] + room[o.key] + 1) * whole // weights[o.key] + 1 for o in waiting)
    while low < high:
        middle = (low + high + 1) // 2
        level = filled(middle)
        fits = min(_rooms(waiting, level, fit).values()) >= 0 and fit.lacking(level) <= lacking
        low, high = (middle, high) if fits else (low, middle - 1)
    return filled(low)
