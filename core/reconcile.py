"""Stop 8, proven: owners are compared with every copy, each difference is named.

Orders, money and stock by system, for one day of the company's zone, from what
sweeps read back. What was not read is said, and counts as red, never as green.
The differences themselves are found in the files `core/compare_*.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, select

from core import (
    compare_books,
    compare_credits,
    compare_others,
    compare_parcels,
    compare_stock,
    deadline_views,
    exceptions,
    exclusions,
    known_differences,
    outage_rows,
    overrides,
    return_views,
    unlisted,
    views,
)
from core.causes import KINDS
from core.clock import Window, local_day, stamp, unstamp
from core.compare_books import Booking, Books
from core.differences import Difference, Grace, Reads
from core.lifecycle import State
from core.model import DeadlineKind
from core.network import Network
from core.store import schema as s

__all__ = ["Difference", "Reconciliation", "compare"]

#: An owner whose last complete read is older than this many of its intervals was not checked.
STALE_PASSES = 3
#: Orders that must leave within this time are named.
SOON = timedelta(hours=24)
_ENDED = (State.SHIPPED.value, State.CANCELLED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What the mail and `truecount reconcile` lay out."""

    company: str
    day: date
    made_at: datetime
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    currency: str = "USD"
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
    waits: list[dict[str, Any]] = field(default_factory=list)
    leave_soon: list[dict[str, Any]] = field(default_factory=list)
    release_s: dict[str, float] = field(default_factory=dict)
    captured_before: int | None = None
    drifts: list[dict[str, Any]] = field(default_factory=list)
    outages: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[dict[str, Any]] = field(default_factory=list)
    snoozed: list[dict[str, Any]] = field(default_factory=list)
    plan_words: str = ""  # what is not sent: stands before everything
    refunds: list[dict[str, Any]] = field(default_factory=list)
    returns: list[dict[str, Any]] = field(default_factory=list)
    deadlines: list[dict[str, Any]] = field(default_factory=list)
    excluded: list[dict[str, Any]] = field(default_factory=list)
    unexplained_rolled: dict[str, int] = field(default_factory=dict)

    @property
    def unexplained(self) -> list[Difference]:
        return [one for one in self.differences if one.kind == "unexplained"]

    @property
    def overdue(self) -> list[dict[str, Any]]:
        """What no exception has said yet: a daemon that runs says it within seconds."""
        return [row for row in self.leave_soon if row["overdue"] and not row.get("said")]

    @property
    def attention(self) -> int:
        """How many things need a person; the mail's list for today has as many rows."""
        own = len(self.needs_you) + len(self.oversold)
        unlike = len({one.what for one in self.unexplained})
        return own + unlike + bool(self.not_checked) + bool(self.overdue)

    @property
    def verdict(self) -> str:
        if self.attention:
            return "ATTENTION"
        return "IN FLIGHT" if self.differences or self.waits else "BALANCED"


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
    reads = Reads.of(connection, every_s)
    as_of, not_checked = _coverage(connection, now, every_s)
    orders = _placed(connection, window)
    books = Books(
        connection=connection,
        network=network,
        window=window,
        reads=reads,
        grace=Grace.of(connection, now),
        held=compare_books.held_orders(connection),
        stopped=compare_books.stopped_lanes(connection),
    )
    bookings = _bookings(books)
    stock_checked, found = compare_stock.stock(connection, network, now, reads)
    found = [one.difference for one in bookings] + found
    found += unlisted.differences(connection, network)
    found += _beside_the_orders(books)
    found = known_differences.with_history(connection, found)
    as_known = {one.id: one for one in found}
    bookings = [replace(one, difference=as_known[one.difference.id]) for one in bookings]
    needs, snoozed, waits = exceptions.split(exceptions.open_ones(connection, now))
    return Reconciliation(
        company=network.company,
        day=day,
        made_at=now,
        zone=network.zone,
        currency=network.currency,
        as_of=as_of,
        not_checked=not_checked,
        orders=[_channel_orders(orders, channel) for channel in network.channels],
        roll_forward=_roll_forward(connection, window),
        money=_money(connection, network, window, bookings),
        differences=sorted(found, key=lambda one: KINDS.index(one.kind)),
        stock_checked=stock_checked,
        needs_you=needs,
        snoozed=snoozed,
        waits=waits,
        plan_words=network.plan_words,
        oversold=views.oversold(connection),
        leave_soon=_leave_soon(connection, now),
        deadlines=deadline_views.numbers(connection, now),
        arrivals=_arrivals(connection, window),
        excluded=exclusions.exclusions(connection, network, window),
        unexplained_rolled=known_differences.roll_forward(connection, window),
        drifts=_drifts(connection, window),
        outages=outage_rows.of_day(connection, window),
        stopped=overrides.stopped(connection),
        refunds=_refunds(connection, network, window, bookings),
        returns=return_views.groups(return_views.open_returns(connection)),
        commands=_commands(connection, window),
        release_s=_release_s(connection, window),
        captured_before=len(_placed(connection, local_day(day - timedelta(days=1), network.zone))),
    )


def _bookings(books: Books) -> list[Booking]:
    found: list[Booking] = []
    for ledger in books.network.ledgers:
        own = replace(books, ledger=ledger)
        found += compare_books.bookings(own)
        found += compare_credits.bookings(own)
        found += compare_parcels.to_ledger(own)
    return sorted(found, key=lambda one: (not one.today, one.difference.key, one.difference.what))


def _beside_the_orders(books: Books) -> list[Difference]:
    """Parcels and warehouses, documents nobody asked for, days, prices."""
    found = [*compare_parcels.to_channels(books), *compare_parcels.in_warehouses(books)]
    for ledger in books.network.ledgers:
        own = replace(books, ledger=ledger)
        found += [*compare_others.unknown(own), *compare_others.days(own)]
    return [*found, *compare_others.prices(books.connection)]


def _placed(connection: Connection, window: Window) -> list[Any]:
    own = s.orders.c
    rows = connection.execute(
        select(own.system, own.state, own.booked, own.asked).where(
            own.placed_at >= stamp(window.start), own.placed_at < stamp(window.end)
        )
    )
    return list(rows.all())


# ------------------------------------------------------------------ coverage


def _coverage(
    connection: Connection, now: datetime, every_s: Mapping[tuple[str, str], float]
) -> tuple[list[dict[str, Any]], list[str]]:
    """How far each owner was read. What nobody ever began to read is named too."""
    rows = {(row.system, row.resource): row for row in connection.execute(select(s.cursors))}
    as_of, missing = [], []
    for system, resource in sorted(every_s):
        row = rows.get((system, resource))
        name = f"{resource.replace('_', ' ')} of {system}"
        words = f" ({row.words})" if row is not None and row.words else ""
        complete = row.complete_at if row is not None else None
        limit = every_s[system, resource] * STALE_PASSES + 60
        if complete is None:
            missing.append(f"{name} was never read completely{words}")
        elif (now - unstamp(complete)).total_seconds() > limit:
            missing.append(f"{name} was last read {complete[:16].replace('T', ' ')} UTC{words}")
        as_of.append(
            {
                "system": system,
                "resource": resource,
                "as_of": row.complete_began_at if row is not None else None,
                "rows": row.rows if row is not None else 0,
            }
        )
    return as_of, missing


# ------------------------------------------------------------------ orders


def _channel_orders(rows: Sequence[Row[Any]], channel: str) -> dict[str, Any]:
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


def _roll_forward(connection: Connection, window: Window) -> dict[str, int]:
    """opening + new - shipped - cancelled = closing, or an assertion fails."""
    start, end = stamp(window.start), stamp(window.end)

    def count(*where: Any) -> int:
        statement = select(func.count()).select_from(s.orders).where(*where)
        return int(connection.execute(statement).scalar_one())

    ended = s.orders.c.state.in_(_ENDED)
    # A clock that was set back must not end an order before it began.
    moment = func.max(s.orders.c.changed_at, s.orders.c.captured_at)
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


def _leave_soon(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Orders whose channel wants them shipped within a day, or already wanted it."""
    own = s.orders.c
    rows = connection.execute(
        select(own.system, own.number, own.ship_by, own.state, s.deadlines.c.told)
        .outerjoin(
            s.deadlines,
            (s.deadlines.c.order_id == own.id) & (s.deadlines.c.kind == DeadlineKind.SHIP.value),
        )
        .where(own.ship_by < stamp(now + SOON), own.state.not_in(_ENDED))
        .order_by(own.ship_by, own.id)
    )
    return [
        {
            "order": f"{row.system}:{row.number}",
            "ship_by": row.ship_by,
            "state": row.state,
            "overdue": row.ship_by < stamp(now),
            "said": row.told == "missed",
        }
        for row in rows
    ]


def _release_s(connection: Connection, window: Window) -> dict[str, float]:
    """Seconds from capture to the warehouse, of the day's orders: half of them, 19 of 20."""
    rows = connection.execute(
        select(s.orders.c.captured_at, func.min(s.steps.c.at).label("released_at"))
        .join(s.steps, s.steps.c.order_id == s.orders.c.id)
        .where(
            s.steps.c.name == "order.released",
            s.orders.c.captured_at >= stamp(window.start),
            s.orders.c.captured_at < stamp(window.end),
        )
        .group_by(s.orders.c.id)
    )
    took = sorted((unstamp(r.released_at) - unstamp(r.captured_at)).total_seconds() for r in rows)
    if not took:
        return {}
    return {
        "half": took[(len(took) - 1) // 2],
        "p95": took[(len(took) * 95 + 99) // 100 - 1],
        "longest": took[-1],
    }


# ------------------------------------------------------------------ money


def _money(
    connection: Connection, network: Network, window: Window, bookings: Sequence[Booking]
) -> list[dict[str, Any]]:
    """Per channel and currency: what the channel says, what each ledger holds for the same."""
    own = s.orders.c
    alive = (
        own.placed_at >= stamp(window.start),
        own.placed_at < stamp(window.end),
        own.state != State.CANCELLED.value,
    )
    shipped = own.state == State.SHIPPED.value
    captured = connection.execute(
        select(
            own.system,
            own.currency,
            func.sum(own.total_minor).label("captured"),
            func.sum(own.channel_tax_minor).label("channel_tax"),
            func.coalesce(func.sum(own.total_minor).filter(shipped), 0).label("shipped"),
            func.coalesce(func.sum(own.channel_tax_minor).filter(shipped), 0).label(
                "channel_tax_shipped"
            ),
        )
        .where(*alive)
        .group_by(own.system, own.currency)
        .order_by(own.system, own.currency)
    ).all()
    kept = _kept_by_ledgers(connection, alive)
    nothing = {"sales_order": 0, "invoice": 0, "cost": 0}
    found = []
    for row in captured:
        for ledger in network.ledgers:
            in_ledger = nothing | kept.get((row.system, row.currency, ledger), {})
            found.append(
                {
                    "channel": row.system,
                    "currency": row.currency,
                    "ledger": ledger,
                    "captured": int(row.captured),
                    "channel_tax": int(row.channel_tax),
                    "channel_tax_shipped": int(row.channel_tax_shipped),
                    "shipped": int(row.shipped),
                    "sales_orders": in_ledger["sales_order"],
                    "invoiced": in_ledger["invoice"],
                    "cost": in_ledger["cost"],
                    "tie_out": _tie_out(bookings, row.system, row.currency, ledger),
                }
            )
    return found


def _kept_by_ledgers(
    connection: Connection, alive: Sequence[Any]
) -> dict[tuple[str, str, str], dict[str, int]]:
    own, kept = s.orders.c, s.documents.c
    rows = connection.execute(
        select(
            own.system,
            own.currency,
            kept.system.label("ledger"),
            kept.kind,
            func.coalesce(func.sum(kept.total_minor), 0).label("total"),
            func.coalesce(func.sum(kept.cost_minor), 0).label("cost"),
        )
        .join(s.orders, own.id == kept.order_id)
        .where(*alive)
        .group_by(own.system, own.currency, kept.system, kept.kind)
    )
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for row in rows:
        one = found.setdefault((row.system, row.currency, row.ledger), {"cost": 0})
        one[row.kind] = int(row.total)
        one["cost"] += int(row.cost)
    return found


def _refunds(
    connection: Connection, network: Network, window: Window, bookings: Sequence[Booking]
) -> list[dict[str, Any]]:
    """What each channel gave back that day of what was invoiced, and what the ledgers credited."""
    own = s.refunds.c
    during = (own.refunded_at >= stamp(window.start), own.refunded_at < stamp(window.end))
    invoiced = own.state.in_(("credited", "held"))
    rows = connection.execute(
        select(
            own.system,
            own.currency,
            func.count().label("refunds"),
            func.sum(own.total_minor).label("refunded"),
            func.sum(own.channel_tax_minor).label("channel_tax"),
        )
        .where(invoiced, *during)
        .group_by(own.system, own.currency)
        .order_by(own.system, own.currency)
    ).all()
    kept = connection.execute(
        select(
            own.system,
            own.currency,
            s.documents.c.system.label("ledger"),
            func.sum(s.documents.c.total_minor).label("credited"),
        )
        .join(s.documents, (s.documents.c.reference == own.note) & (own.note != ""))
        .where(invoiced, *during, s.documents.c.kind == "credit_note")
        .group_by(own.system, own.currency, s.documents.c.system)
    )
    credited = {(row.system, row.currency, row.ledger): int(row.credited or 0) for row in kept}
    return [
        {
            "channel": row.system,
            "currency": row.currency,
            "ledger": ledger,
            "refunds": int(row.refunds),
            "refunded": int(row.refunded),
            "channel_tax": int(row.channel_tax),
            "credited": credited.get((row.system, row.currency, ledger), 0),
            "tie_out": _tie_out(bookings, row.system, row.currency, ledger, of="refund"),
        }
        for row in rows
        for ledger in network.ledgers
    ]


def _tie_out(
    bookings: Sequence[Booking], channel: str, currency: str, ledger: str, *, of: str = "sale"
) -> str:
    """The worst kind among the day's differences of this channel, or `ties`."""
    kinds = {
        one.difference.kind
        for one in bookings
        if one.today
        and (one.channel, one.currency, one.ledger, one.of) == (channel, currency, ledger, of)
    }
    return next((kind for kind in KINDS if kind in kinds), "ties")


# ------------------------------------------------------------------ reliability


def _drifts(connection: Connection, window: Window) -> list[dict[str, Any]]:
    """What vendors changed about their documents on that day, as core/drift.py noticed it."""
    rows = connection.execute(
        select(s.drifts)
        .where(s.drifts.c.since >= stamp(window.start), s.drifts.c.since < stamp(window.end))
        .order_by(s.drifts.c.system, s.drifts.c.resource, s.drifts.c.path)
    )
    return [{str(name): value for name, value in row._mapping.items()} for row in rows]


def _arrivals(connection: Connection, window: Window) -> dict[str, dict[str, int]]:
    """received = applied + held + ignored + pending, per source (G14); asserted."""
    rows = connection.execute(
        select(
            s.inbox.c.system,
            s.inbox.c.state,
            func.count().label("n"),
            func.sum(s.inbox.c.pushes + s.inbox.c.polls - 1).label("again"),
        )
        .where(
            s.inbox.c.received_at >= stamp(window.start), s.inbox.c.received_at < stamp(window.end)
        )
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


def _commands(connection: Connection, window: Window) -> list[dict[str, Any]]:
    def of_state(state: str) -> Any:
        return func.count().filter(s.outbox.c.state == state).label(state)

    rows = connection.execute(
        select(
            s.outbox.c.system,
            s.outbox.c.kind,
            func.count().label("asked"),
            of_state("done"),
            func.coalesce(func.sum(s.outbox.c.attempts), 0).label("attempts"),
            of_state("dead"),
        )
        .where(
            s.outbox.c.queued_at >= stamp(window.start), s.outbox.c.queued_at < stamp(window.end)
        )
        .group_by(s.outbox.c.system, s.outbox.c.kind)
        .order_by(s.outbox.c.system, s.outbox.c.kind)
    )
    names = ("system", "kind", "asked", "done", "attempts", "dead")
    return [{name: getattr(row, name) for name in names} for row in rows]
