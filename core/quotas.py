"""Stop 6 as rows: what each outlet may still sell, kept for items whose pool is or may be divided.

The decisions are `core.escrow`'s; here are the rows they decide on, and the
moments at which a row changes: an order is captured, a write leaves, its answer
comes or is lost, the channel's number is read. Under the policy `shared` nothing
is kept and nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from core import escrow, pace
from core.clock import stamp, unstamp
from core.contract import Offer, OfferResult
from core.escrow import Quota
from core.model import Listing, Order
from core.network import Network
from core.store import schema as s
from core.store.hot import Hot, HotList
from core.work import Work

#: (system, listing, place)
Key = tuple[str, str, str]
#: (sku, location) -> units that location may sell
Sellable = Callable[[str, str], int]


def kept(network: Network, sku: str) -> bool:
    """Whether this item's pool is divided or may become so, or its numbers are told as
    differences from what is shown."""
    return network.publication_of(sku) != "shared" or network.tells_differences


def any_kept(network: Network) -> bool:
    shared = network.publication == "shared" and not network.rules.written
    return not shared or network.tells_differences


def sets(needs: Mapping[str, int], location: str, sellable: Sellable) -> int:
    """Whole sold units a location can give: a kit ships from one place."""
    return min(max(0, sellable(item, location)) // factor for item, factor in needs.items())


def divided(connection: Connection, skus: Collection[str]) -> set[str]:
    """Those of these items whose pool is divided now."""
    return {row.sku for row in _DIVIDED(connection, skus)}


# ------------------------------------------------------------------ a write, and its answer


def intend(work: Work, system: str, offer: Offer, quota: Quota) -> None:
    """The write leaves: committed before its first byte, like every write."""
    kind = work.network.stock_writes[system].kind
    after = escrow.intended(quota, kind, offer.quantity)
    save(work.connection, (system, offer.listing, offer.place), offer.sku, after)


def here(connection: Connection, system: str, skus: Collection[str]) -> dict[Key, Quota]:
    """The quotas that one channel has of these items."""
    rows = _OF_CHANNEL(connection, skus, system=system)
    return {key_of(row): as_quota(row) for row in rows}


def answered(
    work: Work,
    system: str,
    offers: Iterable[tuple[Offer, OfferResult | None]],
    sent_at: datetime,
) -> dict[Key, Quota]:
    """What the channel said about these writes; None: the connector did not get to it.

    Returns all its quotas of these items, as they are kept now. Units that became free
    in a divided pool move the item in the feed: others may be waiting for them.
    """
    told = list(offers)
    skus = {offer.sku for offer, _ in told}
    known, apart = here(work.connection, system, skus), divided(work.connection, skus)
    for offer, result in told:
        key = (system, offer.listing, offer.place)
        before = known.get(key)
        if before is None:
            continue
        after = known[key] = _after(work, system, offer, result, before, sent_at)
        save(work.connection, key, offer.sku, after)
        if offer.sku in apart and _freed(before, after):
            work.sku_changed(offer.sku, "quota")
    return known


def _after(
    work: Work,
    system: str,
    offer: Offer,
    result: OfferResult | None,
    before: Quota,
    sent_at: datetime,
) -> Quota:
    if result is None or result.outcome in ("rejected", "stale"):
        shown = result.shown if result else None
        return escrow.not_taken(before, work.now, sent_at=sent_at, shown=shown)
    if result.outcome == "unknown":
        return escrow.lost(before, work.now)
    return escrow.acknowledged(
        before,
        work.network.stock_writes[system].kind,
        offer.quantity,
        work.now,
        sent_at=sent_at,
        expected=offer.shown,
        after=result.shown,
    )


def _freed(before: Quota, after: Quota) -> bool:
    if after.exposure is None:
        return False
    return before.exposure is None or after.exposure < before.exposure


def lose(
    connection: Connection, system: str, offers: Iterable[Mapping[str, Any]], at: datetime
) -> None:
    """The whole call has no answer: all of it may have happened."""
    for offer in offers:
        key = (system, offer["listing"], offer["place"])
        quota = load(connection, key)
        if quota is not None:
            save(connection, key, offer["sku"], escrow.lost(quota, at))


# ------------------------------------------------------------------ an order, a number read


def heard(work: Work, system: str, before: Order | None, now: Order) -> None:
    """An order is captured or heard of again: what its lines take more or less than before."""
    if not any_kept(work.network):
        return
    units = _units(now)
    for key, count in (_units(before) if before else {}).items():
        units[key] = units.get(key, 0) - count
    for (sku, listing), count in sorted(units.items()):
        if count and kept(work.network, sku):
            _sold(work, system, sku, listing, count)
    if before is None:
        late = (work.now - now.placed_at).total_seconds()
        pace.delayed(work.connection, system, "seen", late, work.now)


def _units(order: Order) -> dict[tuple[str, str], int]:
    """(sku, listing) -> units the order takes from the channel's number."""
    units: dict[tuple[str, str], int] = {}
    for line in order.lines if order.cancelled_at is None else ():
        if line.shippable:
            key = (line.sku, line.listing)
            units[key] = units.get(key, 0) + line.quantity
    return units


def _sold(work: Work, system: str, sku: str, listing: str, units: int) -> None:
    """`units` below 0 were given back."""
    pace.sold(work, system, sku, units)
    outlets = here(work.connection, system, [sku])
    own = [key for key in outlets if key[1] == listing] or list(outlets)
    if len(own) != 1:
        return  # which of its places it was sold from is not known: read-back and drain tell
    quota = outlets[own[0]]
    after = escrow.sold(quota, units) if units > 0 else escrow.given_back(quota, -units, work.now)
    save(work.connection, own[0], sku, after)


def read_back(work: Work, system: str, listing: Listing, began_at: datetime) -> None:
    """The channel's own number was read."""
    if listing.shown is None or not kept(work.network, listing.sku):
        return
    key = (system, listing.key, listing.place)
    quota = load(work.connection, key)
    if quota is None:
        return
    after = escrow.read_back(quota, listing.shown, began_at, work.now)
    if after != quota:
        save(work.connection, key, listing.sku, after)
        work.sku_changed(listing.sku, "read back")


# ------------------------------------------------------------------ rows


def key_of(row: Row[Any]) -> Key:
    return (row.system, row.listing, row.place)


def load(connection: Connection, key: Key) -> Quota | None:
    system, listing, place = key
    row = _LOAD(connection, system=system, listing=listing, place=place).one_or_none()
    return None if row is None else as_quota(row)


def as_quota(row: Row[Any]) -> Quota:
    return Quota(
        shown=row.shown,
        ceiling=row.ceiling,
        pending=row.pending,
        anchor=row.anchor,
        anchor_at=unstamp(row.anchor_at) if row.anchor_at else None,
        back_at=unstamp(row.back_at) if row.back_at else None,
        known_at=unstamp(row.known_at) if row.known_at else None,
    )


def save(connection: Connection, key: Key, sku: str, quota: Quota) -> None:
    system, listing, place = key
    _SAVE(
        connection,
        system=system,
        listing=listing,
        place=place,
        sku=sku,
        shown=quota.shown,
        ceiling=quota.ceiling,
        pending=quota.pending,
        anchor=quota.anchor,
        anchor_at=stamp(quota.anchor_at) if quota.anchor_at else None,
        back_at=stamp(quota.back_at) if quota.back_at else None,
        known_at=stamp(quota.known_at) if quota.known_at else None,
    )


_DIVIDED = HotList(lambda skus: select(s.divided.c.sku).where(s.divided.c.sku.in_(skus)))
_OF_CHANNEL = HotList(
    lambda skus: select(s.quotas).where(
        s.quotas.c.sku.in_(skus), s.quotas.c.system == bindparam("system")
    )
)
_KEY = ("system", "listing", "place")
_LOAD = Hot(select(s.quotas).where(*(s.quotas.c[name] == bindparam(name) for name in _KEY)))
_VALUES = ("sku", "shown", "ceiling", "pending", "anchor", "anchor_at", "back_at", "known_at")
_NEW = insert(s.quotas).values({name: bindparam(name) for name in (*_KEY, *_VALUES)})
_SAVE = Hot(
    _NEW.on_conflict_do_update(
        index_elements=list(_KEY), set_={name: _NEW.excluded[name] for name in _VALUES}
    )
)
