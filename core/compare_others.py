"""Stop 8 for what no order leads to: documents nobody asked for, days, prices and their copies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, and_, func, not_, select

from core.clock import day_of, stamp, unstamp
from core.codec import from_json
from core.compare_books import Books
from core.differences import Difference
from core.model import Price
from core.store import schema as s

#: How every reference of ours begins.
OURS = "truecount:"
_MIDNIGHT = "T00:00:00.000000Z"


def unknown(books: Books) -> Iterator[Difference]:
    """Documents with a reference of ours that we never asked for."""
    own = s.documents.c
    rows = books.connection.execute(
        select(s.documents)
        .where(
            own.system == books.ledger,
            own.order_id.is_(None),
            own.cancelled == 0,
            own.reference.startswith(OURS, autoescape=True),
            own.seen_at >= books.oldest,
        )
        .order_by(own.external_id)
    )
    for row in rows:
        yield Difference(
            what=f"{row.kind.replace('_', ' ')} in {books.ledger}",
            key=f"{row.number or row.external_id} of {row.reference.removeprefix(OURS)}",
            cause="unknown_here",
            detail=f"{books.ledger} has it, and nothing of ours asked for it",
            minor=-(row.total_minor or 0),
            currency=row.currency,
            since=row.first_at or row.seen_at,
        )


# ------------------------------------------------------------------ days


def days(books: Books) -> Iterator[Difference]:
    """Invoices and credit notes dated on another day of the company's zone than they belong to.

    An invoice belongs to the day its last parcel left, a credit note to that of its refund (S13).
    """
    zone = books.network.zone
    for row in (*_invoices(books), *_credit_notes(books)):
        wanted = day_of(unstamp(row.belongs), zone)
        there = _day(row.dated, zone)
        if there == wanted.isoformat():
            continue
        by_utc = row.belongs[:10] == there
        detail = f"{books.ledger} dates it {there}, it belongs to {wanted} in {zone.key}"
        yield Difference(
            what=f"day of {row.kind.replace('_', ' ')} in {books.ledger}",
            key=f"{row.system}:{row.number} {row.reference.rpartition(':')[2]}",
            cause="moved_by_time_zone" if by_utc else "dated_otherwise",
            detail=f"{detail}: the day by UTC" if by_utc else detail,
            since=row.seen_at,
        )


def _may_differ(books: Books, belongs: Any) -> Any:
    """Leaves out, in SQL, what cannot be of two days: most of a year's documents."""
    dated = s.documents.c.dated
    ahead = [at.utcoffset() or timedelta() for at in _summer_and_winter(books)]
    first, last = max(timedelta(), -min(ahead)), timedelta(hours=24) - max(timedelta(), *ahead)
    of_day = func.substr(belongs, 12, 8)
    same_here = and_(of_day >= _of_clock(first), of_day < _of_clock(last))
    same_day = func.substr(dated, 1, 10) == func.substr(belongs, 1, 10)
    return and_(dated != belongs, not_(and_(same_day, same_here)))


def _summer_and_winter(books: Books) -> list[datetime]:
    year = books.window.start.year
    return [datetime(year, month, 1, tzinfo=books.network.zone) for month in (1, 7)]


def _of_clock(since_midnight: timedelta) -> str:
    minutes = int(since_midnight.total_seconds()) // 60
    return f"{minutes // 60:02}:{minutes % 60:02}:00"


def _day(dated: str, zone: ZoneInfo) -> str:
    """A ledger that keeps days and no times says midnight, of no zone."""
    return dated[:10] if dated.endswith(_MIDNIGHT) else day_of(unstamp(dated), zone).isoformat()


def _said(belongs: Any) -> list[Any]:
    own, order = s.documents.c, s.orders.c
    return [own.kind, own.reference, own.dated, own.seen_at, order.system, order.number,
            belongs.label("belongs")]  # fmt: skip


def _invoices(books: Books) -> list[Row[Any]]:
    own, parcel = s.documents.c, s.shipments.c
    last = (
        select(parcel.order_id, func.max(parcel.shipped_at).label("at"))
        .where(parcel.state == "shipped")
        .group_by(parcel.order_id)
        .subquery("last")
    )
    return list(
        books.connection.execute(
            select(*_said(last.c.at))
            .join(s.orders, s.orders.c.id == own.order_id)
            .join(last, last.c.order_id == own.order_id)
            .where(*_dated(books, "invoice"), _may_differ(books, last.c.at))
        )
    )


def _credit_notes(books: Books) -> list[Row[Any]]:
    own = s.documents.c
    return list(
        books.connection.execute(
            select(*_said(s.refunds.c.refunded_at))
            .join(s.refunds, and_(s.refunds.c.note == own.reference, own.reference != ""))
            .join(s.orders, s.orders.c.id == s.refunds.c.order_id)
            .where(*_dated(books, "credit_note"), _may_differ(books, s.refunds.c.refunded_at))
        )
    )


def _dated(books: Books, kind: str) -> list[Any]:
    own = s.documents.c
    return [
        own.system == books.ledger,
        own.kind == kind,
        own.cancelled == 0,
        own.dated.isnot(None),
        own.dated < stamp(books.window.end),
        own.dated >= books.oldest,
    ]


# ------------------------------------------------------------------ prices


def prices(connection: Connection) -> Iterator[Difference]:
    """What others say of a price, cost or tax, against its owner."""
    rows = connection.execute(
        select(s.copies, s.prices.c.doc, s.prices.c.system.label("owner"))
        .join(s.prices, s.prices.c.sku == s.copies.c.key)
        .where(s.copies.c.number.in_(("list_price", "unit_cost", "tax")))
        .order_by(s.copies.c.system, s.copies.c.number, s.copies.c.key)
    )
    for row in rows:
        price = from_json(Price, row.doc)
        names = ("tax_class", "tax_rate", "hsn_code") if row.number == "tax" else (row.number,)
        own = " ".join(str(said) for name in names if (said := getattr(price, name)))
        if own and own != row.value:
            yield Difference(
                what=f"{row.number.replace('_', ' ')} in {row.system}",
                key=row.key,
                cause="price_differs",
                detail=f"{row.owner} says {own}, {row.system} says {row.value}"[:240],
                since=row.read_at,
            )
