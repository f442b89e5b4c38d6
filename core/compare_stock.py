"""Stop 8 for stock: what channels show and ledgers keep, against our number and the owner's.

Three ways: the channel's copy against what it acknowledged and what we compute, the
ledger's copy against the warehouse. Units a copy is above its owner are taken apart
into the events that account for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from core import ledger_events, offers, views
from core.clock import stamp, unstamp
from core.differences import DETAIL_MAX, Difference, Reads
from core.ledger_events import Event
from core.network import Network
from core.store import schema as s
from core.work import Work

#: An owner that was not read for so many of its intervals when a copy was is a late feed.
LATE_PASSES = 3
#: What is named of the events that account for a difference; their parts have them all.
EVENTS_NAMED = 3


def stock(
    connection: Connection, network: Network, now: datetime, reads: Reads
) -> tuple[int, list[Difference]]:
    """How many numbers were compared, and those that differ."""
    work = views.reading_work(connection, network, now)
    rows = connection.execute(
        select(
            s.listings,
            *(s.published.c[n] for n in ("quantity", "acked_at", "words", "differs")),
        )
        .outerjoin(
            s.published,
            (s.published.c.system == s.listings.c.system)
            & (s.published.c.listing == s.listings.c.listing)
            & (s.published.c.place == s.listings.c.place),
        )
        .where(s.listings.c.active == 1)
        .order_by(s.listings.c.system, s.listings.c.sku, s.listings.c.place)
    ).all()
    on_the_way = _on_the_way(connection, network)
    offered = _Offers(work)
    checked, found = 0, []
    for row in rows:
        if not network.serving_place(row.system, row.place):
            continue
        checked += 1
        difference = _listing(network, reads, row, offered.of(row), on_the_way)
        if difference is not None:
            found.append(difference)
    copies, differences = _ledger_copies(connection, network, reads, now)
    return checked + copies, found + differences


# ------------------------------------------------------------------ what channels show


@dataclass(slots=True)
class _Offers:
    """available_to_sell, computed once for all channels that show the same pool."""

    work: Work
    known: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)

    def of(self, row: Row[Any]) -> int:
        key = (row.sku, self.work.network.serving_place(row.system, row.place))
        if key not in self.known:
            self.known[key] = offers.quantity_of(self.work, row.system, row.sku, row.place)
        return self.known[key]


def _on_the_way(connection: Connection, network: Network) -> dict[tuple[str, str], str]:
    """(channel, SKU) that the publisher will still tell, and since when."""
    found: dict[tuple[str, str], str] = {}
    for channel in network.channels:
        cursor = select(s.publish_cursors.c.seq).where(s.publish_cursors.c.system == channel)
        seq = connection.execute(cursor).scalar_one_or_none() or 0
        waiting = connection.execute(
            select(s.feed.c.sku, s.feed.c.changed_at).where(s.feed.c.seq > seq)
        )
        found |= {(channel, row.sku): row.changed_at for row in waiting}
    for again in connection.execute(select(s.republish)):
        found.setdefault((again.system, again.sku), "")
    for call in connection.execute(select(s.told).where(s.told.c.ended_at.is_(None))):
        for offer in orjson.loads(call.offers):
            found.setdefault((call.system, offer["sku"]), call.began_at)
    return found


def _listing(
    network: Network,
    reads: Reads,
    row: Row[Any],
    offer: int,
    on_the_way: Mapping[tuple[str, str], str],
) -> Difference | None:
    def difference(cause: str, detail: str, units: int, since: str | None) -> Difference:
        return Difference(
            what=f"stock shown on {row.system}",
            key=f"{row.sku} {row.place}".strip(),
            cause=cause,
            detail=detail[:DETAIL_MAX],
            units=units,
            since=since or "",
        )

    if not row.words and row.quantity == offer:
        read_back = _read_back(network, reads, row, offer)
        if read_back is None:
            return None
        return difference(*read_back, row.shown - offer, row.shown_at)
    told = "never told" if row.quantity is None else f"acknowledged {row.quantity}"
    short = offer - (row.quantity if row.quantity is not None else row.shown or 0)
    waiting = on_the_way.get((row.system, row.sku))
    if waiting is not None:
        cause = "being_corrected" if row.differs else "offer_on_its_way"
        detail = f"{row.words}; told again" if row.words else f"we offer {offer}, {told}"
        return difference(cause, detail, short, waiting or row.acked_at)
    if row.differs:
        units = (row.shown or 0) - offer
        return difference("not_kept", f"{row.words}, and so again", units, row.acked_at)
    if row.words:
        return difference("rejected_write", f"{row.system} says: {row.words}", short, row.acked_at)
    detail = f"we offer {offer}, {told}, and nothing is on its way"
    return difference("never_told", detail, short, row.acked_at)


def _read_back(network: Network, reads: Reads, row: Row[Any], offer: int) -> tuple[str, str] | None:
    """Does the channel show what it acknowledged? The cause and the words, if it does not.

    `shown_at` is when its content last changed. A channel that acknowledges and
    silently keeps the old number changes nothing, so what counts is when the last
    complete read began.
    """
    write = network.stock_writes.get(row.system)
    if write is None or row.shown in (None, offer):
        return None
    settled = unstamp(row.acked_at) + timedelta(seconds=write.settle_s)
    if not reads.after(row.system, "listing", settled):
        return None
    detail = f"it acknowledged {offer} and shows {row.shown}"
    orders_read = reads.after(row.system, "order", unstamp(row.shown_at))
    if reads.does(row.system, "order") and not orders_read:
        return "orders_not_read", f"{detail}; its orders have not been read since"
    return ("changed_there" if row.shown_at > row.acked_at else "write_not_kept"), detail


# ------------------------------------------------------------------ what ledgers keep


def _ledger_copies(
    connection: Connection, network: Network, reads: Reads, now: datetime
) -> tuple[int, list[Difference]]:
    """A ledger's own on-hand against the owner's, per SKU and location."""
    own = s.stock.c
    owners = {
        (row.sku, row.location): row
        for row in connection.execute(select(s.stock).where(own.on_hand.isnot(None)))
    }
    checked, differ = 0, []
    copies = select(s.copies).where(s.copies.c.number == "on_hand")
    for copy in connection.execute(copies.order_by(s.copies.c.system, s.copies.c.key)).all():
        location = network.location_of(copy.system, copy.place)
        row = owners.get((copy.key, location or ""))
        if row is None:
            continue
        checked += 1
        value = _whole(copy.value)
        if value != row.on_hand:
            differ.append((copy, row, value))
    return checked, [
        _copy_differs(connection, reads, copy, row, value, now) for copy, row, value in differ
    ]


def _copy_differs(
    connection: Connection,
    reads: Reads,
    copy: Row[Any],
    own: Row[Any],
    value: int | None,
    now: datetime,
) -> Difference:
    what = f"on-hand in {copy.system}"
    if value is None:
        detail = f"{copy.system} says {copy.value[:40]!r}, which is no whole number of units"
        return Difference(
            what=what, key=copy.key, cause="no_number", detail=detail, since=copy.read_at
        )
    began = reads.began.get((copy.system, "stock_reading"))
    read_at = max(copy.read_at, stamp(began)) if began else copy.read_at
    units = value - own.on_hand
    events = list(ledger_events.since_its_count(connection, copy.system, own, read_at, now))
    detail = f"{own.system} has {own.on_hand}, {copy.system} has {value}"
    cause, parts = "stock_differs", ledger_events.accounting_for(units, events)
    if parts:
        cause = ledger_events.worst(parts)
        detail = f"{detail}: {_named(parts)}"
    elif _fed_late(reads, own.system, copy.read_at):
        cause, detail = "late_feed", f"{detail}; {own.system} was not read for long before that"
    elif own.read_at > read_at:
        cause = "read_before_change"
        detail = f"{detail} from before the last change in {own.system}"
    else:
        parts = tuple(event for event in events if event.cause == "delivery_not_booked")
        detail += f"; {_named(parts)}" if parts else ""
    return Difference(
        what=what,
        key=copy.key,
        cause=cause,
        detail=detail[:DETAIL_MAX],
        units=units,
        since=copy.read_at,
        parts=tuple(event.part for event in parts),
    )


def _named(parts: tuple[Event, ...]) -> str:
    said = [f"{abs(one.units)} {one.what}" for one in parts[:EVENTS_NAMED]]
    more = len(parts) - EVENTS_NAMED
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def _fed_late(reads: Reads, owner: str, read_at: str) -> bool:
    """Was the owner last read long before the copy became what it is?"""
    began = reads.began.get((owner, "stock_reading"))
    every_s = reads.every_s.get((owner, "stock_reading"))
    if began is None or every_s is None:
        return False
    return began + timedelta(seconds=every_s * LATE_PASSES + 60) < unstamp(read_at)


def _whole(text: str) -> int | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return int(value) if value.is_finite() and value == value.to_integral_value() else None
