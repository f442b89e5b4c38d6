"""Stop 8 for what left: every parcel of a warehouse told to its channel and booked in the ledgers.

Also whether a warehouse has the orders it was asked for. What is asked of a system
and answered by it is there; a ledger that lists its deliveries is read back too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, String, and_, case, cast, func, literal, or_, select

from core import handover
from core.clock import stamp
from core.compare_books import (
    Asked,
    Booking,
    Books,
    Words,
    kept,
    not_found,
    seen_half_made,
    unfinished,
)
from core.differences import LOOK_BACK, Difference
from core.lifecycle import State
from core.store import schema as s


def to_channels(books: Books) -> Iterator[Difference]:
    """Parcels whose channel does not know of them."""
    order, parcel = s.orders.c, s.shipments.c
    key = _key("confirm_shipment", cast(parcel.parcel, String))
    for row in _parcels(books, order.system, key):
        if (row.system, "confirm_shipment") not in books.network.accepts:
            continue
        what = f"shipment on {row.system}"
        difference = _asked(books, row, "confirm_shipment", _words(row, what), channel=True)
        if difference is not None:
            yield difference


def to_ledger(books: Books) -> list[Booking]:
    """Parcels that the ledger has not booked, or with other units."""
    if not books.accepts("book_shipment"):
        return []
    key = _key("book_shipment", s.shipments.c.external_id)
    there = kept(books.ledger, "shipment", s.documents.c.reference)
    lists = bool(books.reads.does(books.ledger, "document") and _ever_listed(books))
    found = []
    for row in _parcels(books, literal(books.ledger), key, there):
        words = _words(row, f"delivery in {books.ledger}")
        difference = _asked(books, row, "book_shipment", words, channel=False)
        if difference is None and row.asked_state == "done" and lists:
            difference = _read_back(books, row, words)
        if difference is not None:
            today = row.seen_at >= stamp(books.window.start)
            found.append(
                Booking(row.system, row.currency, books.ledger, today, difference, "delivery")
            )
    return found


def _ever_listed(books: Books) -> bool:
    kept_ = s.documents.c
    where = (kept_.system == books.ledger, kept_.kind == "shipment")
    return books.connection.execute(select(kept_.kind).where(*where).limit(1)).first() is not None


def _key(kind: str, of: Any) -> Any:
    order = s.orders.c
    return "truecount:" + order.system + ":" + order.external_id + f":{kind}:" + of


def _parcels(books: Books, system: Any, key: Any, there: Any = None) -> Iterator[Row[Any]]:
    """Parcels of the last weeks, each with the command that tells `system` of it."""
    order, parcel, asked = s.orders.c, s.shipments.c, s.outbox.c
    of_kit = and_(s.lines.c.kit != "", s.lines.c.kit != s.lines.c.sku)
    units = (
        select(
            s.claims.c.shipment_id,
            func.sum(s.claims.c.units).label("units"),
            func.max(case((of_kit, 1), else_=0)).label("of_kit"),
        )
        .join(s.lines, s.lines.c.id == s.claims.c.line_id)
        .where(s.claims.c.shipment_id.isnot(None))
        .group_by(s.claims.c.shipment_id)
        .subquery("packed")
    )
    said: list[Any] = [
        *(parcel.external_id, parcel.parcel, parcel.seen_at, units.c.units, units.c.of_kit),
        *(order.system, order.number, order.state, order.currency, order.booked),
        *(asked.id.label("asked_id"), asked.state.label("asked_state"), asked.queued_at),
        *(asked.system.label("asked_system"), parcel.order_id),
        *(asked.due_at, asked.done_at, asked.reference, s.handovers.c.how.label("handed")),
    ]
    statement = (
        select(*said)
        .join(s.orders, order.id == parcel.order_id)
        .join(units, units.c.shipment_id == parcel.id)
        .outerjoin(s.handovers, s.handovers.c.order_id == order.id)
        .outerjoin(s.outbox, and_(asked.system == system, asked.key == key))
    )
    told: ColumnElement[bool] = func.coalesce(asked.state, "") == "done"
    if there is not None:
        statement = statement.add_columns(
            there.c.n, there.c.n_cancelled, there.c.units.label("kept_units"),
            there.c.seen_at.label("kept_at"),
        ).outerjoin(there, there.c.reference == key)  # fmt: skip
        packed = or_(units.c.of_kit == 1, there.c.units.is_(None), there.c.units == units.c.units)
        told = and_(told, there.c.n == 1, packed)
    rows = books.connection.execute(
        statement.where(
            parcel.state == "shipped",
            parcel.seen_at < stamp(books.window.end),
            parcel.seen_at >= stamp(books.window.start - LOOK_BACK),
            func.coalesce(told, 0) == 0,
        ).order_by(parcel.id)
    )
    return iter(rows.all())


def _words(row: Row[Any], what: str) -> Words:
    return Words(
        what=what,
        key=f"{row.system}:{row.number} parcel {row.external_id}",
        minor=0,
        currency="",
        document="shipment",
    )


def _asked(
    books: Books, row: Row[Any], kind: str, words: Words, *, channel: bool
) -> Difference | None:
    """What is open of the asking itself."""
    if row.asked_state in (None, "taken_back"):
        if row.handed == handover.BY_HAND or row.state == State.CANCELLED or row.of_kit:
            return None  # of a part of a kit nobody is told
        if not channel and not row.booked:
            return None  # the order itself is not in the books: that is its difference
        if row.asked_state == "taken_back":
            return None  # the channel wants to hear of it no more
        return words.difference("never_asked", "nothing was asked of it", since=row.seen_at)
    if row.asked_state == "done":
        return None
    asked = Asked(row.asked_id, kind, row.asked_system, row.order_id, row.asked_state,
                  row.queued_at, row.due_at)  # fmt: skip
    return unfinished(books, asked, words)


def _read_back(books: Books, row: Row[Any], words: Words) -> Difference | None:
    if not row.n and row.n_cancelled:
        detail = f"{books.ledger} cancelled it, and the parcel has left"
        return words.difference("cancelled_there", detail, since=row.kept_at)
    if not row.n:
        return not_found(books, row, words)
    half = seen_half_made(books, row, words)
    if half is not None:
        return half
    units = int(row.kept_units or 0) - int(row.units)
    if row.n > 1:
        detail = f"{row.n} documents of one parcel"
        return replace(words.difference("booked_twice", detail, since=row.kept_at), units=units)
    if row.of_kit or row.kept_units is None or books.network.items.renames(books.ledger):
        return None  # it counts in other units
    detail = f"{row.units} units left, {books.ledger} has {row.kept_units}"
    return replace(words.difference("units_differ", detail, since=row.kept_at), units=units)


# ------------------------------------------------------------------ orders in the warehouse


def in_warehouses(books: Books) -> Iterator[Difference]:
    """Orders a warehouse was asked for, and has not taken yet or refuses."""
    order, asked = s.orders.c, s.outbox.c
    rows = books.connection.execute(
        select(
            *(order.system.label("channel"), order.number, order.total_minor, order.currency),
            *(asked.id, asked.system, asked.order_id, asked.state, asked.queued_at, asked.due_at),
        )
        .join(s.outbox, and_(asked.order_id == order.id, asked.key == order.asked))
        .where(
            order.asked != "",
            order.state.not_in((State.SHIPPED.value, State.CANCELLED.value)),
            order.placed_at < stamp(books.window.end),
            order.placed_at >= books.oldest,
            asked.kind == "fulfill_order",
            asked.state.not_in(("done", "taken_back")),
        )
        .order_by(order.id)
    )
    for row in rows:
        words = Words(
            what=f"order in {row.system}",
            key=f"{row.channel}:{row.number}",
            minor=row.total_minor,
            currency=row.currency,
            document="order",
        )
        command = Asked(row.id, "fulfill_order", row.system, row.order_id, row.state,
                        row.queued_at, row.due_at)  # fmt: skip
        yield unfinished(books, command, words)
