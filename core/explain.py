"""`truecount why`: every term of a SKU's number, now. How it came to be then: core/explain_past.py.

Each location's number with its reading and the claims on it, each listing with its
pool, its quota, what was acknowledged and when what is still on its way should be
there. Plain JSON-able data, from committed state; no buyer appears.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, select

from core import exposure, ledger, offers, stock, views
from core.clock import stamp, unstamp
from core.network import Network
from core.store import schema as s
from core.views import View
from core.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """The part of the answer that was asked for; "" is everything."""

    channel: str = ""
    location: str = ""

    def locations(self, network: Network) -> list[str]:
        own = network.serving(self.channel) if self.channel else tuple(network.locations)
        return [name for name in own if self.location in ("", name)]

    def channels(self, network: Network) -> list[str]:
        serves = network.channels
        if self.location:
            there = network.locations.get(self.location)
            serves = there.serves if there else ()
        return [name for name in network.channels if name in serves and self.channel in ("", name)]


EVERYTHING = Only()


def why(
    connection: Connection, network: Network, now: datetime, sku: str, only: Only = EVERYTHING
) -> View | None:
    """Every term now, who holds the units, what each channel was told; None: nobody named it."""
    if not known(connection, sku):
        return None
    work = views.reading_work(connection, network, now)
    return {
        "sku": sku,
        "at": stamp(now),
        "locations": [_location(work, sku, name) for name in only.locations(network)],
        "channels": [
            outlet for name in only.channels(network) for outlet in _channel(work, sku, name)
        ],
        "exposure": asdict(exposure.of(work, sku)),
        "copies": copies(connection, sku),
        "told": told(connection, sku, only.channel),
    }


def known(connection: Connection, sku: str) -> bool:
    items = select(func.count()).select_from(s.items).where(s.items.c.sku == sku)
    listed = select(func.count()).select_from(s.listings).where(s.listings.c.sku == sku)
    return any(connection.execute(one).scalar_one() for one in (items, listed))


# ------------------------------------------------------------------ one location


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One live claim and the order behind it."""

    id: int
    order_id: int
    claim: ledger.Claim
    since: str


def _location(work: Work, sku: str, location: str) -> View:
    row = work.connection.execute(
        select(s.stock).where(s.stock.c.sku == sku, s.stock.c.location == location)
    ).one_or_none()
    found = location_view(
        work.connection,
        work.network,
        location,
        terms=stock.terms_of(work, sku, location),
        reading=stock.reading_in_force(work, sku, location),
        read_at=row.read_at if row else None,
        claims=[
            Claimed(
                id=one.id, order_id=one.order_id, claim=stock.as_claim(one), since=one.opened_at
            )
            for one in stock.live_claims(work, sku, location)
        ],
    )
    return found | {"next_read_at": _next_read(work, found["owner"])}


def location_view(
    connection: Connection,
    network: Network,
    location: str,
    *,
    terms: ledger.Terms,
    reading: ledger.Reading | None,
    read_at: str | None,
    claims: Iterable[Claimed],
) -> View:
    """The same words whether it is asked of the tables or of the past."""
    source = network.source_of(location)
    return {
        "location": location,
        "owner": network.locations[location].stock_owner,
        "basis": source.basis,
        "supply": terms.supply,
        "read_at": read_at,
        "began_at": stamp(reading.began_at) if reading else None,
        "as_of": stamp(reading.as_of) if reading and reading.as_of else None,
        "counter": reading.counter if reading else None,
        "claimed": terms.claimed,
        "excluded": terms.excluded,
        "doubt": terms.doubt,
        "safety_stock": terms.safety_stock,
        "sellable": terms.sellable,
        "oversold": terms.oversold,
        "claims": [_claim(connection, one, reading, source) for one in claims],
    }


def _claim(
    connection: Connection, one: Claimed, reading: ledger.Reading | None, source: ledger.Source
) -> View:
    order = connection.execute(
        select(s.orders.c.system, s.orders.c.number).where(s.orders.c.id == one.order_id)
    ).one_or_none()
    evidence = ledger.excluded_by(one.claim, reading, source) if reading else ""
    waits = (
        "" if evidence or one.claim.shipped is None else ledger.awaits(one.claim.shipped, source)
    )
    return {
        "claim": one.id,
        "order": f"{order.system}:{order.number}" if order else f"order {one.order_id}",
        "units": one.claim.units,
        "state": one.claim.state,
        "since": one.since,
        "excluded_by": evidence,
        "waits_for": waits,
    }


def _next_read(work: Work, owner: str) -> str | None:
    return work.connection.execute(
        select(s.cursors.c.due_at).where(
            s.cursors.c.system == owner, s.cursors.c.resource == "stock_reading"
        )
    ).scalar_one_or_none()


# ------------------------------------------------------------------ one channel


def _channel(work: Work, sku: str, channel: str) -> list[View]:
    rows = work.connection.execute(
        select(
            s.listings,
            s.published.c.quantity,
            s.published.c.acked_at,
            s.published.c.words,
            s.quotas.c.shown.label("quota_shown"),
            s.quotas.c.ceiling,
            s.quotas.c.pending,
        )
        .outerjoin(s.published, _same_outlet(s.published))
        .outerjoin(s.quotas, _same_outlet(s.quotas))
        .where(s.listings.c.system == channel, s.listings.c.sku == sku)
    )
    return [_outlet(work, row) for row in rows.all()]


def _same_outlet(table: Any) -> Any:
    return (
        (table.c.system == s.listings.c.system)
        & (table.c.listing == s.listings.c.listing)
        & (table.c.place == s.listings.c.place)
    )


def _outlet(work: Work, row: Row[Any]) -> View:
    def sellable(sku: str, location: str) -> int:
        return stock.terms_of(work, sku, location).sellable

    pool = offers.pool_of(work, row.system, row.sku, row.place, sellable)
    offered = offers.offered_of(work, row.system, row.sku, row.place, pool)
    return {
        "channel": row.system,
        "listing": row.listing,
        "place": row.place,
        "active": bool(row.active),
        "pool": pool,
        "available_to_sell": offered.units,
        "because": list(offered.because),
        "quota": None
        if row.pending is None
        else {"shown": row.quota_shown, "ceiling": row.ceiling, "pending": row.pending},
        "acknowledged": row.quantity,
        "acknowledged_at": row.acked_at,
        "channel_shows": row.shown,
        "channel_read_at": row.shown_at,
        "trouble": row.words or "",
        "settles": _settles(work, row),
    }


def _settles(work: Work, row: Row[Any]) -> View:
    """What is still on its way to this outlet, and when it should be there."""
    connection, system = work.connection, row.system
    since = _in_flight(connection, system, row.sku)
    if since is not None:
        return {"state": "being told", "at": since}
    again = connection.execute(
        select(s.republish).where(s.republish.c.system == system, s.republish.c.sku == row.sku)
    ).one_or_none()
    if again is not None:
        return {"state": f"told again, {again.why}", "at": again.due_at}
    if _waits_in_feed(connection, system, row.sku):
        return {"state": "waits to be told", "at": None}
    if row.acked_at is None:
        return {"state": "never told", "at": None}
    write = work.network.stock_writes.get(system)
    shows_at = unstamp(row.acked_at) + timedelta(seconds=write.settle_s if write else 0.0)
    state = "settled" if shows_at <= work.now else "shown by"
    return {"state": state, "at": stamp(shows_at)}


def _in_flight(connection: Connection, system: str, sku: str) -> str | None:
    calls = connection.execute(
        select(s.told).where(s.told.c.system == system, s.told.c.ended_at.is_(None))
    )
    for call in calls:
        if any(offer["sku"] == sku for offer in orjson.loads(call.offers)):
            return str(call.began_at)
    return None


def _waits_in_feed(connection: Connection, system: str, sku: str) -> bool:
    cursor = select(s.publish_cursors.c.seq).where(s.publish_cursors.c.system == system)
    told_until = connection.execute(cursor).scalar_one_or_none() or 0
    changed = connection.execute(select(s.feed.c.seq).where(s.feed.c.sku == sku))
    return (changed.scalar_one_or_none() or 0) > told_until


# ------------------------------------------------------------------ copies and calls


def copies(connection: Connection, sku: str, *, until: str = "~") -> list[View]:
    """What others say; `until`: only words that already stood then ("~" sorts after every time)."""
    rows = connection.execute(
        select(s.copies).where(s.copies.c.key == sku, s.copies.c.read_at <= until)
    )
    return [
        {
            "system": r.system,
            "number": r.number,
            "place": r.place,
            "value": r.value,
            "at": r.read_at,
        }
        for r in rows
    ]


def told(
    connection: Connection, sku: str, channel: str = "", *, until: str = "~", limit: int = 10
) -> list[View]:
    """The last calls that told a channel this SKU's number, newest first."""
    rows = connection.execute(
        select(s.told)
        .where(
            s.told.c.offers.contains(orjson.dumps(sku).decode(), autoescape=True),
            s.told.c.began_at <= until,
            *([s.told.c.system == channel] if channel else []),
        )
        .order_by(s.told.c.id.desc())
        .limit(limit)
    )
    return [
        _call(row, offer, until)
        for row in rows
        for offer in orjson.loads(row.offers)
        if offer["sku"] == sku
    ]


def _call(row: Row[Any], offer: Mapping[str, Any], until: str) -> View:
    answered = row.ended_at is not None and row.ended_at <= until
    return {
        "channel": row.system,
        "at": row.began_at,
        "answered_at": row.ended_at if answered else None,
        "listing": offer["listing"],
        "place": offer["place"],
        "quantity": offer["quantity"],
        "pool": offer.get("pool"),
        "quota": offer.get("quota"),
        "because": offer.get("because", ""),
        "outcome": (offer.get("outcome") or row.result) if answered else "in flight",
    }
