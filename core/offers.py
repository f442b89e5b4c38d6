"""Stop 6, computed: the number each listing should show now.

    pool     what the locations that serve it may sell, kits by their scarcest component
    offer    the offer rules over the pool
    quota    under `split`, and under `adaptive` while units are few, its part of the pool

A shared offer equal to what the channel last acknowledged is left out; so is
everything a divided pool has no need to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, func, literal_column, select

from core import dividing, escrow, kit_lines, quotas, stock
from core.clock import stamp
from core.contract import Offer
from core.dividing import Basis, Division
from core.limiter import Urgency
from core.offer_rules import Offered
from core.quotas import Sellable
from core.rule_kinds import Campaign
from core.store.hot import HotList
from core.store.schema import lines, listings, orders, published
from core.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the quantity of one offer was computed from. `prove` does so once more (G8).

    pool     units of the locations that serve the listing; below 0 where they are oversold
    beyond   units of a pre-order, which lie at no location
    because  why the quantity is not simply the pool; "" if it is
    quota    of a divided pool: the most it can sell in orders not seen, once this is told
    """

    pool: int
    beyond: int = 0
    because: str = ""
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """An offer, and how it came about."""

    offer: Offer
    terms: Terms

    def kept(self, **more: Any) -> Mapping[str, Any]:
        """As `told` keeps it."""
        offer, terms = self.offer, self.terms
        row = {
            "listing": offer.listing,
            "place": offer.place,
            "sku": offer.sku,
            "quantity": offer.quantity,
            "shown": offer.shown,
            "pool": terms.pool,
            "because": terms.because,
        }
        if terms.beyond:
            row["beyond"] = terms.beyond
        if terms.quota is not None:
            row["quota"] = terms.quota
        return row | more


@dataclass(slots=True)
class Wanted:
    """What a batch of SKUs comes to: offers, the SKUs taken, and the divisions behind them."""

    computed: list[Computed] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    divisions: dict[str, Division] = field(default_factory=dict)

    @property
    def offers(self) -> list[Offer]:
        return [one.offer for one in self.computed]


def wanted(work: Work, system: str, skus: Sequence[str], basis: Basis) -> Wanted:
    """Offers for as many of these SKUs as fit one call; none where we are not to tell (G5)."""
    if not work.network.owners.may_offer(system):
        return Wanted(taken=list(skus))
    limit = work.network.stock_writes[system].batch
    divisions = _divisions(work, skus, basis)
    shared = [sku for sku in skus if sku not in divisions or not divisions[sku].is_divided]
    by_sku = _listings(work.connection, system, shared)
    result = Wanted()
    for sku in skus:
        division = divisions.get(sku)
        if division is not None and division.is_divided:
            computed = _divided(work, system, basis.sellable, division)
        else:
            found = (
                _shared(work, system, row, basis.sellable, division) for row in by_sku.get(sku, ())
            )
            computed = [one for one in found if one is not None]
        if result.computed and len(result.computed) + len(computed) > limit:
            break
        result.computed += computed
        result.taken.append(sku)
        if division is not None:
            result.divisions[sku] = division
    return result


def _divisions(work: Work, skus: Sequence[str], basis: Basis) -> Mapping[str, Division]:
    """How the pools of those that are or may be divided stand, within what the rules allow."""
    known = basis.divisions
    kept = [sku for sku in skus if sku not in known and quotas.kept(work.network, sku)]
    if kept:
        look = dividing.Look(work, kept, basis, limits(work))
        known |= {sku: look.division_of(sku) for sku in kept}
    return known


def limits(work: Work) -> dividing.Limits:
    """What the offer rules allow an outlet to show of its pool, and whether it may move."""

    def of(row: Row[Any], pool: int) -> dividing.Limit:
        offered = offered_of(work, row.system, row.sku, row.place, pool)
        return dividing.Limit(offered.units, offered.direction, offered.beyond)

    return of


# ------------------------------------------------------------------ the number


def pool_of(work: Work, system: str, sku: str, place: str, sellable: Sellable) -> int:
    """Units of an item the locations behind one place of a channel may sell."""
    needs = work.network.needs(sku)
    return sum(
        quotas.sets(needs, location, sellable)
        for location in work.network.serving_place(system, place)
    )


def offered_of(work: Work, system: str, sku: str, place: str, pool: int) -> Offered:
    """What the offer rules make of a pool, and why."""
    rules = work.network.rules
    if not rules.about(sku):
        return Offered(units=max(0, pool))
    sold = {one.name: _sold_since(work, sku, one) for one in rules.campaigns(sku, work.now)}
    beyond = _pre_sold(work, sku) if pool <= 0 else 0
    return rules.offer(sku, system, place, pool, now=work.now, sold=sold, open_units=beyond)


def quantity_of(work: Work, system: str, sku: str, place: str) -> int:
    """What one listing should show if its pool is shared: computed anew, from the rows."""

    def sellable(item: str, location: str) -> int:
        return stock.terms_of(work, item, location).sellable

    pool = pool_of(work, system, sku, place, sellable)
    return offered_of(work, system, sku, place, pool).units


def _sold_since(work: Work, sku: str, campaign: Campaign) -> int:
    """Units the campaign's channels sold since it began."""
    sold_as_it, factor = kit_lines.of_item(work.network, sku)
    units = work.connection.execute(
        select(func.coalesce(func.sum(lines.c.ordered - lines.c.cancelled), 0))
        .join(orders, orders.c.id == lines.c.order_id)
        .where(
            sold_as_it,
            orders.c.system.in_(campaign.channels),
            orders.c.placed_at >= stamp(campaign.start),
        )
    ).scalar_one()
    return int(units) // factor


def _pre_sold(work: Work, sku: str) -> int:
    """Units ordered on any channel that no stock covers; of a component also those in kits."""
    lacking, factor = lines.c.sku == sku, 1
    if work.network.items.is_kit(sku):
        lacking, factor = kit_lines.of_item(work.network, sku)
    units = work.connection.execute(
        select(func.coalesce(func.sum(lines.c.short), 0)).where(lacking)
    ).scalar_one()
    return -(-int(units) // factor)


# ------------------------------------------------------------------ offers


#: Sorted here: told to sort, SQLite would walk through all listings of the channel.
_LISTINGS = HotList(
    lambda skus: (
        select(
            listings,
            published.c.quantity.label("acked"),
            published.c.acked_at,
            published.c.words.label("trouble"),
        )
        .outerjoin(
            published,
            (published.c.system == listings.c.system)
            & (published.c.listing == listings.c.listing)
            & (published.c.place == listings.c.place),
        )
        .where(
            listings.c.sku.in_(skus),
            listings.c.system == bindparam("system"),
            listings.c.active == literal_column("1"),
        )
    )
)


def _listings(
    connection: Connection, system: str, skus: Sequence[str]
) -> dict[str, list[Row[Any]]]:
    by_sku: dict[str, list[Row[Any]]] = {}
    rows = _LISTINGS(connection, skus, system=system)
    for row in sorted(rows, key=lambda row: (row.listing, row.place)):
        by_sku.setdefault(row.sku, []).append(row)
    return by_sku


def _shared(
    work: Work, system: str, row: Row[Any], sellable: Sellable, division: Division | None
) -> Computed | None:
    if not work.network.serving_place(system, row.place):
        return None  # a place of the channel that no location of ours fills
    pool = pool_of(work, system, row.sku, row.place, sellable)
    offered = offered_of(work, system, row.sku, row.place, pool)
    if offered.units == row.acked and not row.trouble:
        return None
    shown = row.acked if row.acked is not None else row.shown
    if work.network.stock_writes[system].kind == "relative":
        shown = _kept(division, row)
        if shown is None:
            return None  # no difference from it is known before it is read
    if not _may_move(offered, shown):
        return None
    because = "; ".join(offered.because)
    terms = Terms(pool=pool, beyond=offered.beyond, because=because)
    return Computed(_offer(work, row, offered.units, shown), terms)


def _kept(division: Division | None, row: Row[Any]) -> int | None:
    """What the channel shows, its captured orders counted: the difference is from there."""
    outlet = division and division.outlets.get((row.system, row.listing, row.place))
    return outlet.quota.shown if outlet else None


def _may_move(offered: Offered, shown: int | None) -> bool:
    """A campaign's number that may only go up, or not move at all, is left alone (S34)."""
    if offered.direction == "frozen":
        return shown is None
    return offered.direction == "free" or shown is None or offered.units > shown


def _divided(work: Work, system: str, sellable: Sellable, division: Division) -> list[Computed]:
    offers = []
    for key in division.here(system):
        if key in division.writes:
            row, outlet, quantity = division.rows[key], division.outlets[key], division.writes[key]
            terms = Terms(
                pool=pool_of(work, system, row.sku, row.place, sellable),
                beyond=division.pre_order,
                because="its part of a divided pool",
                quota=escrow.intended(outlet.quota, outlet.write, quantity).exposure,
            )
            offers.append(Computed(_offer(work, row, quantity, outlet.quota.shown), terms))
    return offers


def _offer(work: Work, row: Row[Any], quantity: int, shown: int | None) -> Offer:
    return Offer(
        listing=row.listing,
        place=row.place,
        sku=row.sku,
        quantity=quantity,
        shown=shown,
        key=f"truecount:{row.system}:{row.listing}:{row.place}:{quantity}:{stamp(work.now)}",
        extras=orjson.loads(row.extras),
    )


#: Ranks of a number that is to be told: what prevents an oversell leaves first.
ZERO, CUT, RAISE, NOTHING = range(4)


def _rank(quantity: int, shown: int | None) -> int:
    if quantity == 0:
        return ZERO
    return CUT if shown is None or quantity < shown else RAISE


def lower_first(offer: Offer) -> tuple[int, str]:
    """Zeros, then cuts, then raises."""
    return (_rank(offer.quantity, offer.shown), offer.listing)


def ranks(work: Work, system: str, skus: Sequence[str], sellable: Sellable) -> Mapping[str, int]:
    """How urgent each of these SKUs is on one channel, by its pool: a look, no decision."""
    if not work.network.owners.may_offer(system):
        return {}
    by_sku = _listings(work.connection, system, skus)
    return {
        sku: min(_rank_of(work, system, row, sellable) for row in rows)
        for sku, rows in by_sku.items()
    }


def _rank_of(work: Work, system: str, row: Row[Any], sellable: Sellable) -> int:
    if not work.network.serving_place(system, row.place):
        return NOTHING
    pool = pool_of(work, system, row.sku, row.place, sellable)
    quantity = offered_of(work, system, row.sku, row.place, pool).units
    if quantity == row.acked and not row.trouble:
        return NOTHING
    return _rank(quantity, row.acked if row.acked is not None else row.shown)


def urgency(offers: Iterable[Offer]) -> Urgency:
    """A call is as urgent as the most urgent number in it."""
    return (Urgency.FIRST, Urgency.CUT, Urgency.RAISE)[min(lower_first(o)[0] for o in offers)]
