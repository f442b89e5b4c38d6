"""Stop 4, decided: which location ships an order. Pure.

The first location that can ship the order whole; if none can, the one that can
ship most of its units, earliest in the operator's order on a tie. What it cannot
cover is short, and says so. Of a kit only whole ones are covered: units set aside
for half a kit would be sold to nobody.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """So many units for one line. Wishes with one `kit` are the components of one kit line,
    `factor` units of this one for each."""

    line_id: int
    sku: str
    units: int
    kit: Hashable | None = None
    factor: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where, and per line how many units are claimed there and how many are short."""

    location: str
    claimed: Mapping[int, int]
    short: Mapping[int, int]


def choose(
    wishes: Sequence[Wish], sellable: Mapping[tuple[str, str], int], locations: Sequence[str]
) -> Plan | None:
    """`sellable` is by (sku, location). None only when no location serves the channel."""
    best: Plan | None = None
    for location in locations:
        plan = cover(wishes, sellable, location)
        if not plan.short:
            return plan
        if best is None or sum(plan.claimed.values()) > sum(best.claimed.values()):
            best = plan
    return best


def cover(wishes: Sequence[Wish], sellable: Mapping[tuple[str, str], int], location: str) -> Plan:
    """What one location can claim; who stands first is served first."""
    left: dict[str, int] = {}
    claimed: dict[int, int] = {}
    short: dict[int, int] = {}
    for together in _together(wishes):
        for wish in together:
            left.setdefault(wish.sku, max(0, sellable.get((wish.sku, location), 0)))
        for wish, units in zip(together, _whole(together, left), strict=True):
            left[wish.sku] -= units
            if units:
                claimed[wish.line_id] = units
            if wish.units - units:
                short[wish.line_id] = wish.units - units
    return Plan(location=location, claimed=claimed, short=short)


def _together(wishes: Sequence[Wish]) -> list[list[Wish]]:
    """The components of each kit line beside each other, a plain line alone."""
    groups: dict[Hashable, list[Wish]] = {}
    for wish in wishes:
        groups.setdefault((wish.kit,) if wish.kit is not None else wish.line_id, []).append(wish)
    return list(groups.values())


def _whole(kit: Sequence[Wish], left: Mapping[str, int]) -> list[int]:
    """Units to claim of each component so that as many whole kits as can be are covered.

    Where a warehouse sent a part of a kit before, only what that one still lacks is
    claimed. A plain line is a kit of one unit.
    """
    wanted = max(_up(wish.units, wish.factor) for wish in kit)
    covered = min(wanted - _up(max(0, wish.units - left[wish.sku]), wish.factor) for wish in kit)
    waiting = wanted - covered
    units = [max(0, wish.units - waiting * wish.factor) for wish in kit]
    assert all(n <= left[wish.sku] for n, wish in zip(units, kit, strict=True)), (kit, left)
    return units


def _up(units: int, factor: int) -> int:
    return -(-units // factor)
