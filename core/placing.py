"""Stop 4, decided on rows: of the locations that may ship an order, those come first whose units
the other channels' promises miss least.

Under `split` every outlet may sell what the locations behind it have (`core.escrow`). A unit
claimed where another channel has its only ones would be sold twice after all, although the
order could have had one from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from core import dividing, quotas, routing, stock
from core.dividing import Basis, Division
from core.division import Fit
from core.work import Work


def best_first(work: Work, wishes: Sequence[routing.Wish], places: Sequence[str]) -> Sequence[str]:
    """The same locations; in the operator's order where nobody misses more than another."""
    if len(places) < 2 or not quotas.any_kept(work.network):
        return places
    divisions = _divisions(work, {wish.sku for wish in wishes})
    if not divisions:
        return places
    missed = {
        place: sum(_missed(work, division, wishes, place) for division in divisions)
        for place in places
    }
    return sorted(places, key=missed.__getitem__)


def _divisions(work: Work, skus: Iterable[str]) -> list[Division]:
    """How the divided pools among these stand: one for all items that draw on the same units."""
    families = {work.network.family(sku): sku for sku in sorted(skus)}
    kept = [sku for sku in families.values() if quotas.kept(work.network, sku)]
    if not kept:
        return []

    def sellable(sku: str, location: str) -> int:
        return stock.terms_of(work, sku, location).sellable

    look = dividing.Look(work, kept, Basis(sellable, dividing.Plans(), {}), _unlimited)
    return [one for one in map(look.division_of, kept) if one.is_divided]


def _unlimited(_: Row[Any], pool: int) -> dividing.Limit:
    """What an outlet may show at most says nothing about what it was promised already."""
    return dividing.Limit(pool, "free")


def _missed(work: Work, division: Division, wishes: Sequence[routing.Wish], place: str) -> int:
    """Units that are promised twice once these are claimed here."""
    outlets = list(division.outlets.values())
    left: dict[tuple[str, str], int] = {
        (item, location): stock.terms_of(work, item, location).sellable
        for outlet in outlets
        for item in outlet.needs
        for location in outlet.serves
    }
    claimed: Mapping[int, int] = routing.cover(wishes, left, place).claimed
    for wish in wishes:
        if (wish.sku, place) in left:
            left[wish.sku, place] -= claimed.get(wish.line_id, 0)
    return Fit(outlets, left).lacking({one.key: one.quota.exposure for one in outlets})
