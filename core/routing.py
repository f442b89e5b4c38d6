"""Stop 4, decided: which location ships an order. Pure.

The first location that can ship the order whole; if none can, the one that can
ship most of its units, earliest in the operator's order on a tie. What it cannot
cover is short, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """So many units for one line."""

    line_id: int
    sku: str
    units: int


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
        plan = _cover(wishes, sellable, location)
        if not plan.short:
            return plan
        if best is None or sum(plan.claimed.values()) > sum(best.claimed.values()):
            best = plan
    return best


def _cover(wishes: Sequence[Wish], sellable: Mapping[tuple[str, str], int], location: str) -> Plan:
    left: dict[str, int] = {}
    claimed: dict[int, int] = {}
    short: dict[int, int] = {}
    for wish in wishes:
        free = left.setdefault(wish.sku, max(0, sellable.get((wish.sku, location), 0)))
        units = min(wish.units, free)
        left[wish.sku] = free - units
        if units:
            claimed[wish.line_id] = units
        if wish.units - units:
            short[wish.line_id] = wish.units - units
    return Plan(location=location, claimed=claimed, short=short)
