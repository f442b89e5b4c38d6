"""What two systems say differently: orders against the books, stock against its copies.

A difference is *in flight* (what carries it is on its way, since when), *explained*
(a hold or a refusal, with its cause) or *unexplained*. Each keeps its id from day
to day until a fact resolves it. All of it is asked from committed state, set by
set: a day of 50,000 orders is a handful of statements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Subquery, and_, func, or_, select

from core import handover, offers, views
from core.clock import Window, stamp, unstamp
from core.lifecycle import State
from core.money import Money
from core.network import Network
from core.store import schema as s
from core.work import Work

#: What happened before is still compared so long: a forgotten invoice does not age away.
LOOK_BACK = timedelta(days=62)
#: A document the ledger acknowledged may take so long to be found in its own list.
GRACE = timedelta(hours=3)
#: Which command makes which document.
BOOKED = (("book_order", "sales_order"), ("book_invoice", "invoice"))

Every = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing two systems say differently. `kind`: in_flight | explained | unexplained."""

    what: str
    key: str
    kind: str
    detail: str
    units: int = 0
    minor: int = 0
    currency: str = ""
    since: str = ""  # the instant it began, where a row of ours knows it

    @property
    def id(self) -> str:
        """The same every day, until a fact resolves it."""
        return hashlib.sha256(f"{self.what}|{self.key}".encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Reads:
    """When the last complete read of each resource began, and what is read at all."""

    began: Mapping[tuple[str, str], datetime]
    every_s: Every

    @classmethod
    def of(cls, connection: Connection, every_s: Every) -> Reads:
        rows = connection.execute(
            select(s.cursors).where(s.cursors.c.complete_began_at.isnot(None))
        )
        return cls({(r.system, r.resource): unstamp(r.complete_began_at) for r in rows}, every_s)

    def after(self, system: str, resource: str, moment: datetime) -> bool:
        """Was it read completely, beginning after this moment?"""
        began = self.began.get((system, resource))
        return began is not None and began > moment

    def does(self, system: str, resource: str) -> bool:
        return (system, resource) in self.every_s


# ------------------------------------------------------------------ orders against the books


@dataclass(frozen=True, slots=True)
class Booking:
    """One difference of one order, where the money table finds it again."""

    channel: str
    currency: str
    ledger: str
    today: bool
    difference: Difference
    of: str = "sale"  # or refund: which of the two tables of money


def bookings(
    connection: Connection, network: Network, window: Window, reads: Reads
) -> list[Booking]:
    """What should be in the books and is not, or stands there with another amount."""
    held = _held_orders(connection)
    found = []
    for ledger in network.ledgers:
        for kind, document in BOOKED:
            if (ledger, kind) not in network.accepts:
                continue
            for row in _open_bookings(connection, window, ledger, kind, document):
                difference = _booking(network, reads, row, ledger, kind, document, held)
                if difference is not None:
                    today = row.placed_at >= stamp(window.start)
                    found.append(Booking(row.system, row.currency, ledger, today, difference))
        found += _credits(connection, network, window, reads, ledger)
    return sorted(found, key=lambda one: (not one.today, one.difference.key, one.difference.what))


def _held_orders(connection: Connection) -> dict[int, str]:
    rows = connection.execute(
        select(s.hold_members.c.ref, s.holds.c.reason)
        .join(s.holds, s.holds.c.id == s.hold_members.c.hold_id)
        .where(s.hold_members.c.member == "order", s.hold_members.c.closed_at.is_(None))
        .order_by(s.holds.c.id)
    )
    found: dict[int, str] = {}
    for row in rows:
        before = found.get(int(row.ref))
        found[int(row.ref)] = f"{before}; {row.reason}" if before else row.reason
    return found


def _last_command(ledger: str, kind: str, name: str) -> Subquery:
    """The newest command of a kind, for each order that has one."""
    newest = (
        select(func.max(s.outbox.c.id))
        .where(
            s.outbox.c.system == ledger,
            s.outbox.c.kind == kind,
            s.outbox.c.state != "taken_back",  # it never left: as if it had not been asked
        )
        .group_by(s.outbox.c.order_id)
    )
    return select(s.outbox).where(s.outbox.c.id.in_(newest)).subquery(name)


def _kept(ledger: str, document: str) -> Subquery:
    """What the ledger holds for each order: an invoice per parcel is several, with one sum."""
    kept = s.documents.c
    return (
        select(
            kept.order_id,
            func.count().label("n"),
            func.sum(kept.total_minor).label("total"),
            func.max(kept.currency).label("currency"),
            func.max(kept.seen_at).label("seen_at"),
        )
        .where(kept.system == ledger, kept.kind == document, kept.order_id.isnot(None))
        .group_by(kept.order_id)
        .subquery("kept")
    )


def _open_bookings(
    connection: Connection, window: Window, ledger: str, kind: str, document: str
) -> Sequence[Row[Any]]:
    """Orders up to the end of the day whose documents are not simply there, to the cent."""
    asked = _last_command(ledger, kind, "asked")
    undone = _last_command(ledger, "cancel_order", "undone")
    kept = _kept(ledger, document)
    own = s.orders.c
    cancelled = own.state == State.CANCELLED.value
    # A ledger may leave out the tax the marketplace remits itself, and nothing else.
    ours = (own.total_minor, own.total_minor - own.channel_tax_minor)
    in_order = and_(
        asked.c.state == "done",
        kept.c.n.isnot(None),
        or_(
            kept.c.total.is_(None),
            and_(kept.c.total.in_(ours), kept.c.currency == own.currency),
        ),
    )
    return connection.execute(
        select(
            s.orders,
            asked.c.state.label("asked_state"),
            asked.c.queued_at,
            asked.c.done_at,
            asked.c.reference,
            undone.c.state.label("undone_state"),
            undone.c.queued_at.label("undone_at"),
            kept.c.n,
            kept.c.total.label("kept_total"),
            kept.c.currency.label("kept_currency"),
            kept.c.seen_at.label("kept_at"),
            s.handovers.c.how.label("handed"),
            s.handovers.c.by.label("handed_by"),
        )
        .outerjoin(s.handovers, s.handovers.c.order_id == own.id)
        .outerjoin(asked, asked.c.order_id == own.id)
        .outerjoin(undone, undone.c.order_id == own.id)
        .outerjoin(kept, kept.c.order_id == own.id)
        .where(
            own.placed_at < stamp(window.end),
            own.placed_at >= stamp(window.start - LOOK_BACK),
            or_(
                and_(~cancelled, func.coalesce(in_order, 0) == 0),
                and_(cancelled, asked.c.id.isnot(None)),
            ),
        )
        .order_by(own.id)
    ).all()


@dataclass(frozen=True, slots=True)
class _Words:
    """What all differences of one order and one document begin with."""

    what: str
    key: str
    minor: int
    currency: str

    def difference(
        self, kind: str, detail: str, *, since: str | None = None, minor: int | None = None
    ) -> Difference:
        return Difference(
            what=self.what,
            key=self.key,
            kind=kind,
            detail=detail[:240],
            since=since or "",
            minor=self.minor if minor is None else minor,
            currency=self.currency,
        )


def _booking(
    network: Network,
    reads: Reads,
    row: Row[Any],
    ledger: str,
    kind: str,
    document: str,
    held: Mapping[int, str],
) -> Difference | None:
    words = _Words(
        what=f"{document.replace('_', ' ')} in {ledger}",
        key=f"{row.system}:{row.number}",
        minor=row.total_minor,
        currency=row.currency,
    )
    if row.handed == handover.BY_HAND:
        detail = f"done by hand before this was live, says {row.handed_by}"
        return words.difference("explained", detail, since=row.captured_at)
    if row.asked_state is None:
        return _not_asked(row, kind, words, held)
    if row.asked_state != "done":
        return _unfinished(words, kind, row.asked_state, row.queued_at)
    if row.state == State.CANCELLED:
        return _cancelled(network, row, ledger, kind, words)
    if row.n is None:
        return _not_found(reads, row, ledger, words)
    return _differs(row, ledger, words, held.get(row.id, ""))


def _not_asked(
    row: Row[Any], kind: str, words: _Words, held: Mapping[int, str]
) -> Difference | None:
    if row.state == State.CANCELLED:
        return None
    if kind == "book_invoice" and row.state != State.SHIPPED:
        return None  # the invoice follows the last parcel
    if row.id in held:
        return words.difference("explained", f"held: {held[row.id]}", since=row.captured_at)
    return words.difference("unexplained", "nothing was asked of the ledger", since=row.changed_at)


def _unfinished(words: _Words, kind: str, state: str, since: str) -> Difference:
    """Without the ledger's own words: they may repeat the buyer, and this goes into a mail."""
    what = kind.replace("_", " ")
    if state == "dead":
        return words.difference(
            "explained", f"{what} is refused; `truecount dead` says why", since=since
        )
    if state == "discarded":
        return words.difference("explained", f"{what} was given up by a person", since=since)
    return words.difference("in_flight", f"{what} is {state.replace('_', ' ')}", since=since)


def _cancelled(
    network: Network, row: Row[Any], ledger: str, kind: str, words: _Words
) -> Difference | None:
    """Cancelled on both sides is balanced."""
    if kind != "book_order" or (ledger, "cancel_order") not in network.accepts:
        return None
    if row.undone_state is None:
        return words.difference(
            "unexplained", "cancelled, and the ledger was not told", since=row.changed_at
        )
    if row.undone_state == "done":
        return None
    return _unfinished(words, "cancel_order", row.undone_state, row.undone_at)


def _not_found(reads: Reads, row: Row[Any], ledger: str, words: _Words) -> Difference | None:
    if not reads.does(ledger, "document"):
        return None  # it lists no documents; its acknowledgment is all there is
    said = f"{ledger} acknowledged {row.reference or 'it'}"
    if reads.after(ledger, "document", unstamp(row.done_at) + GRACE):
        return words.difference(
            "unexplained", f"{said}, and its own list does not have it", since=row.done_at
        )
    return words.difference("in_flight", f"{said}; not read back yet", since=row.done_at)


def _differs(row: Row[Any], ledger: str, words: _Words, held: str = "") -> Difference:
    told, kept = Money(row.total_minor, row.currency), Money(row.kept_total, row.kept_currency)
    several = f" in {row.n} documents" if row.n > 1 else ""
    detail = f"the channel says {told}, {ledger} says {kept}{several}"
    if row.kept_currency != row.currency:
        return words.difference("unexplained", detail, since=row.kept_at)
    minor = row.total_minor - row.kept_total
    if held:
        detail = f"{detail}; held: {held}"
        return words.difference("explained", detail, since=row.kept_at, minor=minor)
    return words.difference("unexplained", detail, since=row.kept_at, minor=minor)


# ------------------------------------------------------------------ refunds against the books


def _credits(
    connection: Connection, network: Network, window: Window, reads: Reads, ledger: str
) -> list[Booking]:
    """Money a channel gave back of what was invoiced, and no credit note of it, or another."""
    found = []
    for row in _open_credits(connection, window, ledger):
        words = _Words(
            what=f"credit note in {ledger}",
            key=f"{row.system}:{row.number} refund {row.external_id}",
            minor=row.total_minor,
            currency=row.currency,
        )
        difference = _credit(network, reads, row, ledger, words)
        if difference is not None:
            today = row.refunded_at >= stamp(window.start)
            found.append(Booking(row.system, row.currency, ledger, today, difference, "refund"))
    return found


def _open_credits(connection: Connection, window: Window, ledger: str) -> Sequence[Row[Any]]:
    """Refunds up to the end of the day whose credit notes are not simply there, to the cent."""
    own, asked, kept = s.refunds.c, s.outbox.c, _credits_kept(ledger)
    # A ledger may leave out the tax the marketplace remits itself, and nothing else.
    ours = (own.total_minor, own.total_minor - own.channel_tax_minor)
    there = and_(
        asked.state == "done",
        kept.c.n.isnot(None),
        or_(
            kept.c.total.is_(None),
            and_(kept.c.total.in_(ours), kept.c.currency == own.currency),
        ),
    )
    said: list[Any] = [
        *(own.system, own.external_id, own.state, own.total_minor, own.currency),
        *(own.refunded_at, own.seen_at, s.orders.c.number),
        *(asked.state.label("asked_state"), asked.queued_at, asked.done_at, asked.reference),
        *(kept.c.n, kept.c.total.label("kept_total"), kept.c.currency.label("kept_currency")),
        kept.c.seen_at.label("kept_at"),
    ]
    return connection.execute(
        select(*said)
        .join(s.orders, s.orders.c.id == own.order_id)
        .outerjoin(s.outbox, and_(asked.system == ledger, asked.key == own.note, own.note != ""))
        .outerjoin(kept, kept.c.reference == own.note)
        .where(
            own.state.in_(("credited", "held")),
            own.refunded_at < stamp(window.end),
            own.refunded_at >= stamp(window.start - LOOK_BACK),
            func.coalesce(there, 0) == 0,
        )
        .order_by(own.id)
    ).all()


def _credits_kept(ledger: str) -> Subquery:
    kept = s.documents.c
    return (
        select(
            kept.reference,
            func.count().label("n"),
            func.sum(kept.total_minor).label("total"),
            func.max(kept.currency).label("currency"),
            func.max(kept.seen_at).label("seen_at"),
        )
        .where(kept.system == ledger, kept.kind == "credit_note")
        .group_by(kept.reference)
        .subquery("kept_credits")
    )


def _credit(
    network: Network, reads: Reads, row: Row[Any], ledger: str, words: _Words
) -> Difference | None:
    if row.state == "held":
        detail = "held or booked by hand; `truecount holds` says why"
        return words.difference("explained", detail, since=row.seen_at)
    if row.asked_state is None:
        if (ledger, "book_credit_note") not in network.accepts:
            return None
        return words.difference("unexplained", "nothing was asked of it", since=row.seen_at)
    if row.asked_state != "done":
        return _unfinished(words, "book_credit_note", row.asked_state, row.queued_at)
    if row.n is None:
        return _not_found(reads, row, ledger, words)
    return _differs(row, ledger, words)


# ------------------------------------------------------------------ stock against its copies


def stock(
    connection: Connection, network: Network, now: datetime, reads: Reads
) -> tuple[int, list[Difference]]:
    """What channels show and ledgers keep, against our number and the owner's. And how many."""
    work = views.reading_work(connection, network, now)
    rows = connection.execute(
        select(s.listings, s.published.c.quantity, s.published.c.acked_at, s.published.c.words)
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
    offers = _Offers(work)
    checked, found = 0, []
    for row in rows:
        if not network.serving_place(row.system, row.place):
            continue
        checked += 1
        difference = _listing(network, reads, row, offers.of(row), on_the_way)
        if difference is not None:
            found.append(difference)
    copies, differences = _ledger_copies(connection, network, reads)
    return checked + copies, found + differences


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
    def difference(kind: str, detail: str, units: int, since: str | None) -> Difference:
        return Difference(
            what=f"stock shown on {row.system}",
            key=f"{row.sku} {row.place}".strip(),
            kind=kind,
            detail=detail[:240],
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
        detail = f"{row.words}; told again" if row.words else f"we offer {offer}, {told}"
        return difference("in_flight", detail, short, waiting or row.acked_at)
    if row.words:
        return difference("explained", f"{row.system} says: {row.words}", short, row.acked_at)
    detail = f"we offer {offer}, {told}, and nothing is on its way"
    return difference("unexplained", detail, short, row.acked_at)


def _read_back(network: Network, reads: Reads, row: Row[Any], offer: int) -> tuple[str, str] | None:
    """Does the channel show what it acknowledged? The kind and the words, if it does not.

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
        return "in_flight", f"{detail}; its orders have not been read since"
    return "unexplained", detail


def _ledger_copies(
    connection: Connection, network: Network, reads: Reads
) -> tuple[int, list[Difference]]:
    """A ledger's own on-hand against the owner's, per SKU and location."""
    owners = {
        (row.sku, row.location): row
        for row in connection.execute(select(s.stock).where(s.stock.c.on_hand.isnot(None)))
    }
    checked, found = 0, []
    copies = select(s.copies).where(s.copies.c.number == "on_hand")
    for copy in connection.execute(copies.order_by(s.copies.c.system, s.copies.c.key)).all():
        location = network.location_of(copy.system, copy.place)
        own = owners.get((copy.key, location or ""))
        if own is None:
            continue
        checked += 1
        value = _whole(copy.value)
        if value != own.on_hand:
            found.append(_copy_differs(connection, reads, copy, own, value))
    return checked, found


def _copy_differs(
    connection: Connection, reads: Reads, copy: Row[Any], own: Row[Any], value: int | None
) -> Difference:
    what = f"on-hand in {copy.system}"
    if value is None:
        detail = f"{copy.system} says {copy.value[:40]!r}, which is no whole number of units"
        return Difference(
            what=what, key=copy.key, kind="unexplained", detail=detail, since=copy.read_at
        )
    began = reads.began.get((copy.system, "stock_reading"))
    read_at = max(copy.read_at, stamp(began)) if began else copy.read_at
    units = value - own.on_hand
    waiting = _not_booked_yet(connection, copy.system, own, read_at)
    detail = f"{own.system} has {own.on_hand}, {copy.system} has {value}"
    kind = "unexplained"
    if waiting and waiting == units:
        kind, detail = "in_flight", f"{detail}: {waiting} shipped, and not booked when it was read"
    elif own.read_at > read_at:
        kind, detail = "in_flight", f"{detail} from before the last change in {own.system}"
    elif waiting:
        detail = f"{detail}; {waiting} shipped and not booked"
    return Difference(
        what=what, key=copy.key, kind=kind, detail=detail, units=units, since=copy.read_at
    )


def _not_booked_yet(connection: Connection, ledger: str, own: Row[Any], read_at: str) -> int:
    """Units that left, and whose delivery the ledger had not booked when it was read."""
    order = s.orders.c
    key = "truecount:" + order.system + ":" + order.external_id + ":book_shipment:"
    return int(
        connection.execute(
            select(func.coalesce(func.sum(s.claims.c.units), 0))
            .join(s.shipments, s.shipments.c.id == s.claims.c.shipment_id)
            .join(s.orders, order.id == s.claims.c.order_id)
            .join(
                s.outbox,
                and_(
                    s.outbox.c.system == ledger,
                    s.outbox.c.key == key + s.shipments.c.external_id,
                ),
            )
            .where(
                s.claims.c.sku == own.sku,
                s.claims.c.location == own.location,
                s.claims.c.state.in_(["shipped", "ended"]),
                or_(s.outbox.c.state != "done", s.outbox.c.done_at > read_at),
            )
        ).scalar_one()
    )


def _whole(text: str) -> int | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return int(value) if value.is_finite() and value == value.to_integral_value() else None
