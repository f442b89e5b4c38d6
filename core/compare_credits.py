"""Stop 8: money a channel gave back of what was invoiced, and no credit note of it, or another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from core.clock import stamp
from core.compare_books import (
    Asked,
    Booking,
    Books,
    Words,
    differs_in_money,
    kept,
    not_found,
    seen_half_made,
    unfinished,
)
from core.differences import Difference
from core.store import schema as s

#: What the channel gave back of an invoice; the rest is owed by nobody's books.
OWED = ("credited", "held")


def bookings(books: Books) -> list[Booking]:
    """Refunds whose credit notes are not simply there, to the cent."""
    found = []
    for row in _open(books):
        words = Words(
            what=f"credit note in {books.ledger}",
            key=f"{row.system}:{row.number} refund {row.external_id}",
            minor=row.total_minor,
            currency=row.currency,
            document="credit_note",
        )
        difference = _credit(books, row, words)
        if difference is not None:
            today = row.refunded_at >= stamp(books.window.start)
            found.append(
                Booking(row.system, row.currency, books.ledger, today, difference, "refund")
            )
    return found


def _open(books: Books) -> Sequence[Row[Any]]:
    own, asked = s.refunds.c, s.outbox.c
    there = kept(books.ledger, "credit_note", s.documents.c.reference)
    # A ledger may leave out the tax the marketplace remits itself, and nothing else.
    ours = (own.total_minor, own.total_minor - own.channel_tax_minor)
    in_order = and_(
        asked.state == "done",
        func.coalesce(there.c.n, 0) > 0,
        or_(
            there.c.total.is_(None),
            and_(there.c.total.in_(ours), there.c.currency == own.currency),
        ),
    )
    said: list[Any] = [
        *(own.system, own.external_id, own.state, own.total_minor, own.currency),
        *(own.order_id, own.channel_tax_minor, own.refunded_at, own.seen_at, s.orders.c.number),
        *(asked.id.label("asked_id"), asked.state.label("asked_state"), asked.queued_at),
        *(asked.due_at, asked.done_at, asked.reference, there.c.n, there.c.n_cancelled),
        *(there.c[n].label(f"kept_{n}") for n in ("total", "currency")),
        there.c.seen_at.label("kept_at"),
    ]
    connection: Connection = books.connection
    return connection.execute(
        select(*said)
        .join(s.orders, s.orders.c.id == own.order_id)
        .outerjoin(
            s.outbox, and_(asked.system == books.ledger, asked.key == own.note, own.note != "")
        )
        .outerjoin(there, there.c.reference == own.note)
        .where(
            own.state.in_(OWED),
            own.refunded_at < stamp(books.window.end),
            own.refunded_at >= books.oldest,
            func.coalesce(in_order, 0) == 0,
        )
        .order_by(own.id)
    ).all()


def _credit(books: Books, row: Row[Any], words: Words) -> Difference | None:
    if row.state == "held":
        detail = "held or booked by hand; `truecount holds` says why"
        return words.difference("held", detail, since=row.seen_at)
    if row.asked_state is None:
        if not books.accepts("book_credit_note"):
            return None
        return words.difference("never_asked", "nothing was asked of it", since=row.seen_at)
    if row.asked_state != "done":
        asked = Asked(row.asked_id, "book_credit_note", books.ledger, row.order_id,
                      row.asked_state, row.queued_at, row.due_at)  # fmt: skip
        return unfinished(books, asked, words)
    if not row.n and row.n_cancelled:
        detail = f"{books.ledger} cancelled it, and the money was given back"
        return words.difference("cancelled_there", detail, since=row.kept_at)
    if not row.n:
        return not_found(books, row, words)
    differs = differs_in_money(books, row, words)
    return differs and (seen_half_made(books, row, words) or differs)
