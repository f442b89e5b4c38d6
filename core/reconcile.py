"""Stop 8, proven: owners are compared with every copy, each difference is named.

First version: orders, money and stock by system, for one day of the company's
zone, from what sweeps read back. A difference is *in flight* (which command, since
when), *explained* (a hold with its cause), or *unexplained*. What was not read is
said, and counts as red, never as green.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from core import publish, views
from core.clock import local_day, stamp, unstamp
from core.lifecycle import State
from core.network import Network
from core.store import schema as s

#: An owner whose last complete read is older than this many of its intervals was not checked.
STALE_PASSES = 3


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What the mail and `truecount reconcile` lay out."""

    company: str
    day: date
    made_at: datetime
    as_of: list[dict[str, Any]]
    not_checked: list[str]
    orders: list[dict[str, Any]]
    roll_forward: dict[str, int]
    money: list[dict[str, Any]]
    differences: list[Difference]
    stock_checked: int
    needs_you: list[dict[str, Any]]
    oversold: list[dict[str, Any]]
    arrivals: dict[str, dict[str, int]]
    commands: list[dict[str, Any]]

    @property
    def unexplained(self) -> list[Difference]:
        return [one for one in self.differences if one.kind == "unexplained"]

    @property
    def verdict(self) -> str:
        if self.not_checked or self.unexplained or self.oversold:
            return "ATTENTION"
        return "IN FLIGHT" if self.differences or self.needs_you else "BALANCED"


def compare(
    connection: Connection,
    network: Network,
    day: date,
    now: datetime,
    *,
    every_s: Mapping[tuple[str, str], float],
) -> Reconciliation:
    """Compare everything for one day. `every_s`: how often each resource should be read."""
    window = local_day(day, network.zone)
    start, end = stamp(window.start), stamp(window.end)
    orders = connection.execute(
        select(s.orders).where(s.orders.c.placed_at >= start, s.orders.c.placed_at < end)
    ).all()
    as_of, not_checked = _coverage(connection, now, every_s)
    order_differences = [d for row in orders for d in _order_differences(connection, network, row)]
    stock_checked, stock_differences = _stock(connection, network, now)
    return Reconciliation(
        company=network.company,
        day=day,
        made_at=now,
        as_of=as_of,
        not_checked=not_checked,
        orders=[_channel_orders(orders, channel) for channel in network.channels],
        roll_forward=_roll_forward(connection, start, end),
        money=_money(connection, network, orders),
        differences=order_differences + stock_differences,
        stock_checked=stock_checked,
        needs_you=views.needs_you(connection),
        oversold=views.oversold(connection, network, now),
        arrivals=_arrivals(connection, start, end),
        commands=_commands(connection, start, end),
    )


# ------------------------------------------------------------------ coverage


def _coverage(
    connection: Connection, now: datetime, every_s: Mapping[tuple[str, str], float]
) -> tuple[list[dict[str, Any]], list[str]]:
    rows = connection.execute(
        select(s.cursors).order_by(s.cursors.c.system, s.cursors.c.resource)
    ).all()
    as_of, missing = [], []
    for row in rows:
        name = f"{row.resource} of {row.system}"
        if (row.system, row.resource) not in every_s:
            continue
        as_of.append(
            {
                "system": row.system,
                "resource": row.resource,
                "as_of": row.complete_began_at,
                "rows": row.rows,
            }
        )
        limit = every_s[(row.system, row.resource)] * STALE_PASSES + 60
        if row.complete_at is None:
            missing.append(f"{name}: never read completely ({row.words or 'not yet'})")
        elif (now - unstamp(row.complete_at)).total_seconds() > limit:
            missing.append(f"{name}: last read {row.complete_at} ({row.words or 'late'})")
    return as_of, missing


# ------------------------------------------------------------------ orders


def _channel_orders(rows: Any, channel: str) -> dict[str, Any]:
    own = [row for row in rows if row.system == channel]
    return {
        "channel": channel,
        "captured": len(own),
        "booked": sum(1 for row in own if row.booked),
        "released": sum(1 for row in own if row.asked or row.state == State.SHIPPED),
        "shipped": sum(1 for row in own if row.state == State.SHIPPED),
        "cancelled": sum(1 for row in own if row.state == State.CANCELLED),
        "held": sum(1 for row in own if row.state == State.HELD),
    }


def _roll_forward(connection: Connection, start: str, end: str) -> dict[str, int]:
    """opening + new - shipped - cancelled = closing, or an assertion fails."""

    def count(*where: Any) -> int:
        statement = select(func.count()).select_from(s.orders).where(*where)
        return int(connection.execute(statement).scalar_one())

    ended = s.orders.c.state.in_([State.SHIPPED.value, State.CANCELLED.value])
    moment = s.orders.c.changed_at
    before = s.orders.c.captured_at < start
    during = (s.orders.c.captured_at >= start) & (s.orders.c.captured_at < end)
    opening = count(before, ~(ended & (moment < start)))
    new = count(during)
    left = (moment >= start) & (moment < end) & (before | during)
    shipped = count(left, s.orders.c.state == State.SHIPPED.value)
    cancelled = count(left, s.orders.c.state == State.CANCELLED.value)
    closing = count(before | during, ~(ended & (moment < end)))
    assert opening + new - shipped - cancelled == closing, "the roll-forward does not add up"
    return {
        "opening": opening,
        "new": new,
        "shipped": shipped,
        "cancelled": cancelled,
        "closing": closing,
    }


def _order_differences(connection: Connection, network: Network, row: Row[Any]) -> list[Difference]:
    """What should be in the ledger of this order and is not there yet, or differs."""
    label = f"{row.system}:{row.number}"
    found = []
    for ledger in network.ledgers:
        for kind, document in (("book_order", "sales_order"), ("book_invoice", "invoice")):
            if (ledger, kind) not in network.accepts:
                continue
            difference = _document_difference(connection, row, ledger, kind, document, label)
            if difference is not None:
                found.append(difference)
    return found


def _document_difference(
    connection: Connection, row: Row[Any], ledger: str, kind: str, document: str, label: str
) -> Difference | None:
    command = connection.execute(
        select(s.outbox).where(
            s.outbox.c.order_id == row.id, s.outbox.c.system == ledger, s.outbox.c.kind == kind
        )
    ).one_or_none()
    what = f"{document} in {ledger}"
    if command is None:
        return _not_asked(connection, row, kind, what, label)
    if command.state != "done":
        return Difference(
            what=what,
            key=label,
            kind="in_flight" if command.state != "dead" else "explained",
            detail=f"{kind} is {command.state} since {command.queued_at}: {command.words}"[:200],
            minor=row.total_minor,
            currency=row.currency,
        )
    booked = connection.execute(
        select(s.documents).where(
            s.documents.c.system == ledger,
            s.documents.c.order_id == row.id,
            s.documents.c.kind == document,
        )
    ).one_or_none()
    if booked is None:
        return Difference(
            what=what,
            key=label,
            kind="in_flight",
            detail=f"{ledger} acknowledged {command.reference}; not read back yet",
            minor=row.total_minor,
            currency=row.currency,
        )
    # A ledger may leave out the tax the marketplace remits itself, and nothing else.
    ours = (row.total_minor, row.total_minor - row.channel_tax_minor)
    if booked.total_minor is not None and booked.total_minor not in ours:
        return Difference(
            what=what,
            key=label,
            kind="unexplained",
            detail=f"channel {row.total_minor}, {ledger} {booked.total_minor} (minor units)",
            minor=row.total_minor - booked.total_minor,
            currency=row.currency,
        )
    return None


def _not_asked(
    connection: Connection, row: Row[Any], kind: str, what: str, label: str
) -> Difference | None:
    if row.state == State.CANCELLED:
        return None
    if kind == "book_invoice" and row.state != State.SHIPPED:
        return None  # the invoice follows the last parcel
    causes = connection.execute(
        select(s.holds.c.cause)
        .join(s.hold_members, s.hold_members.c.hold_id == s.holds.c.id)
        .where(
            s.hold_members.c.member == "order",
            s.hold_members.c.ref == str(row.id),
            s.hold_members.c.closed_at.is_(None),
        )
    ).scalars()
    cause = ", ".join(causes)
    return Difference(
        what=what,
        key=label,
        kind="explained" if cause else "unexplained",
        detail=f"held: {cause}" if cause else "nothing was asked of the ledger",
        minor=row.total_minor,
        currency=row.currency,
    )


# ------------------------------------------------------------------ money


def _money(connection: Connection, network: Network, orders: Any) -> list[dict[str, Any]]:
    """Per channel and currency: what the channel says, what each ledger holds for the same."""
    found = []
    keys = sorted({(row.system, row.currency) for row in orders})
    for channel, currency in keys:
        own = [
            row
            for row in orders
            if (row.system, row.currency) == (channel, currency) and row.state != State.CANCELLED
        ]
        for ledger in network.ledgers:
            rows = connection.execute(
                select(s.documents.c.kind, func.coalesce(func.sum(s.documents.c.total_minor), 0))
                .where(
                    s.documents.c.system == ledger,
                    s.documents.c.order_id.in_([row.id for row in own]),
                )
                .group_by(s.documents.c.kind)
            )
            booked = dict(rows.tuples().all())
            cost = connection.execute(
                select(func.coalesce(func.sum(s.documents.c.cost_minor), 0)).where(
                    s.documents.c.system == ledger,
                    s.documents.c.order_id.in_([row.id for row in own]),
                )
            ).scalar_one()
            found.append(
                {
                    "channel": channel,
                    "currency": currency,
                    "ledger": ledger,
                    "captured": sum(row.total_minor for row in own),
                    "channel_tax": sum(row.channel_tax_minor for row in own),
                    "channel_tax_shipped": sum(
                        row.channel_tax_minor for row in own if row.state == State.SHIPPED
                    ),
                    "shipped": sum(r.total_minor for r in own if r.state == State.SHIPPED),
                    "sales_orders": int(booked.get("sales_order", 0)),
                    "invoiced": int(booked.get("invoice", 0)),
                    "cost": int(cost),
                }
            )
    return found


# ------------------------------------------------------------------ stock, three ways


def _stock(connection: Connection, network: Network, now: datetime) -> tuple[int, list[Difference]]:
    """Channel shows, we computed, the channel acknowledged; the ledger's copy of on-hand."""
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
    ).all()
    found = []
    for row in rows:
        if not network.serving_place(row.system, row.place):
            continue
        offer = publish.quantity_of(work, row.system, row.sku, row.place)
        difference = _listing_difference(row, offer)
        if difference is not None:
            found.append(difference)
    found += _ledger_copies(connection, network)
    return len(rows), found


def _listing_difference(row: Row[Any], offer: int) -> Difference | None:
    what = f"stock shown on {row.system}"
    key = f"{row.sku} {row.place}".strip()
    if row.words:
        return Difference(
            what=what, key=key, kind="explained", detail=row.words, units=offer - (row.shown or 0)
        )
    if row.quantity != offer:
        told = "never told" if row.quantity is None else f"acknowledged {row.quantity}"
        return Difference(
            what=what,
            key=key,
            kind="in_flight",
            detail=f"we offer {offer}, {told}",
            units=offer - (row.quantity or 0),
        )
    read_after = row.shown_at and row.acked_at and row.shown_at > row.acked_at
    if read_after and row.shown is not None and row.shown != offer:
        return Difference(
            what=what,
            key=key,
            kind="unexplained",
            detail=f"it acknowledged {offer} and shows {row.shown}",
            units=row.shown - offer,
        )
    return None


def _ledger_copies(connection: Connection, network: Network) -> list[Difference]:
    """A ledger's own on-hand against the warehouse's, per SKU and location."""
    found = []
    for copy in connection.execute(select(s.copies).where(s.copies.c.number == "on_hand")):
        location = network.location_of(copy.system, copy.place)
        own = connection.execute(
            select(s.stock).where(s.stock.c.sku == copy.key, s.stock.c.location == location)
        ).one_or_none()
        if own is None or own.on_hand is None or int(copy.value) == own.on_hand:
            continue
        units = int(copy.value) - own.on_hand
        waiting = _deliveries_in_flight(connection, copy.system, copy.key)
        found.append(
            Difference(
                what=f"on-hand in {copy.system}",
                key=copy.key,
                kind="in_flight" if waiting == units else "unexplained",
                detail=f"{own.system} has {own.on_hand}, {copy.system} {copy.value}; "
                f"{waiting} unit(s) shipped and not booked yet",
                units=units,
            )
        )
    return found


def _deliveries_in_flight(connection: Connection, system: str, sku: str) -> int:
    """Units that left and whose delivery the ledger has not acknowledged."""
    return int(
        connection.execute(
            select(func.coalesce(func.sum(s.claims.c.units), 0))
            .join(s.outbox, s.outbox.c.order_id == s.claims.c.order_id)
            .where(
                s.claims.c.sku == sku,
                s.claims.c.state.in_(["shipped", "ended"]),
                s.outbox.c.system == system,
                s.outbox.c.kind == "book_shipment",
                s.outbox.c.state != "done",
            )
        ).scalar_one()
    )


# ------------------------------------------------------------------ reliability


def _arrivals(connection: Connection, start: str, end: str) -> dict[str, dict[str, int]]:
    """received = applied + held + ignored + pending, per source (G14); asserted."""
    rows = connection.execute(
        select(
            s.inbox.c.system,
            s.inbox.c.state,
            func.count().label("n"),
            func.sum(s.inbox.c.pushes + s.inbox.c.polls - 1).label("again"),
        )
        .where(s.inbox.c.received_at >= start, s.inbox.c.received_at < end)
        .group_by(s.inbox.c.system, s.inbox.c.state)
    ).all()
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = found.setdefault(
            row.system,
            {"received": 0, "applied": 0, "held": 0, "ignored": 0, "pending": 0, "duplicates": 0},
        )
        counts["received"] += row.n
        counts[row.state] += row.n
        counts["duplicates"] += int(row.again or 0)
    for system, counts in found.items():
        parts = sum(counts[word] for word in ("applied", "held", "ignored", "pending"))
        assert parts == counts["received"], f"arrivals of {system} do not add up"
    return found


def _commands(connection: Connection, start: str, end: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(
            s.outbox.c.system,
            s.outbox.c.kind,
            func.count().label("asked"),
            func.sum(s.outbox.c.attempts).label("attempts"),
            func.sum((s.outbox.c.state == "done").cast(s.outbox.c.attempts.type)).label("done"),
            func.sum((s.outbox.c.state == "dead").cast(s.outbox.c.attempts.type)).label("dead"),
        )
        .where(s.outbox.c.queued_at >= start, s.outbox.c.queued_at < end)
        .group_by(s.outbox.c.system, s.outbox.c.kind)
        .order_by(s.outbox.c.system, s.outbox.c.kind)
    )
    return [dict(row._mapping) for row in rows]
