"""Stop 8: what should be in the books of orders, and stands there otherwise or not at all.

Amount, tax, units, state and currency of each document, joined on our reference.
Asked of committed state, set by set: a day of 50,000 orders is a handful of
statements, and only what does not tie becomes a row here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Subquery, and_, case, func, or_, select

from core import handover
from core.clock import Window, stamp, unstamp
from core.differences import DETAIL_MAX, LOOK_BACK, Difference, Grace, Reads
from core.lifecycle import State
from core.money import Money
from core.network import Network
from core.store import schema as s

#: Which command makes which document.
BOOKED = (("book_order", "sales_order"), ("book_invoice", "invoice"))


@dataclass(frozen=True, slots=True)
class Booking:
    """One difference of one order, where the money table finds it again."""

    channel: str
    currency: str
    ledger: str
    today: bool
    difference: Difference
    of: str = "sale"  # or refund: which of the two tables of money


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What a comparison is made by; `ledger` is "" for what no ledger takes part in."""

    connection: Connection
    network: Network
    window: Window
    reads: Reads
    grace: Grace
    ledger: str = ""
    held: Mapping[int, str] = field(default_factory=dict)
    stopped: Mapping[tuple[str, int], int] = field(default_factory=dict)

    @property
    def oldest(self) -> str:
        return stamp(self.window.start - LOOK_BACK)

    def accepts(self, kind: str) -> bool:
        return (self.ledger, kind) in self.network.accepts

    def ever(self, column: ColumnElement[int], kind: str) -> bool:
        """Does this ledger ever say so? What it never says means nothing where it is missing."""
        kept = s.documents.c
        where = (kept.system == self.ledger, kept.kind == kind, column == 1)
        return self.connection.execute(select(kept.kind).where(*where).limit(1)).first() is not None


def bookings(books: Books) -> list[Booking]:
    """What should be in one ledger and is not, or stands there otherwise."""
    found = []
    for kind, document in BOOKED:
        if books.accepts(kind):
            found += _of_kind(books, kind, document)
    return found


def _of_kind(books: Books, kind: str, document: str) -> list[Booking]:
    found = []
    posts = document == "invoice" and books.ever(s.documents.c.posted, document)
    for row in _open(books, kind, document, posts=posts):
        words = Words(
            what=f"{document.replace('_', ' ')} in {books.ledger}",
            key=f"{row.system}:{row.number}",
            minor=row.total_minor,
            currency=row.currency,
            document=document,
        )
        difference = _booking(books, row, kind, words)
        if difference is not None:
            today = row.placed_at >= stamp(books.window.start)
            found.append(Booking(row.system, row.currency, books.ledger, today, difference))
    return found


def held_orders(connection: Connection) -> dict[int, str]:
    """Why orders are held: by their row, all reasons of it."""
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


def stopped_lanes(connection: Connection) -> dict[tuple[str, int], int]:
    """The refused command that an order's lane to a system stands behind, until a person speaks."""
    own = s.outbox.c
    rows = connection.execute(
        select(own.system, own.order_id, func.min(own.id).label("id"))
        .where(own.state == "dead", own.order_id.isnot(None))
        .group_by(own.system, own.order_id)
    )
    return {(row.system, row.order_id): row.id for row in rows}


# ------------------------------------------------------------------ the rows that do not tie


def _last_command(ledger: str, kind: str, name: str) -> Subquery:
    """The newest command of a kind, for each order that has one.

    Joined, not `IN`: that was tried once for every order, and a day was quadratic.
    """
    own = s.outbox.c
    newest = (
        select(own.order_id, func.max(own.id).label("id"))
        .where(
            own.system == ledger,
            own.kind == kind,
            own.state != "taken_back",  # it never left: as if it had not been asked
        )
        .group_by(own.order_id)
        .subquery(f"newest_{name}")
    )
    return select(s.outbox).join(newest, own.id == newest.c.id).subquery(name)


def kept(ledger: str, document: str, by: Any) -> Subquery:
    """What the ledger holds, for each order or reference: an invoice per parcel has one sum.

    What it cancelled is counted and not summed. A sum is null where not every document has one.
    """
    own = s.documents.c
    live = own.cancelled == 0

    def total(column: Any) -> Any:
        whole = func.count(column).filter(live) == func.count().filter(live)
        return case((whole, func.sum(column).filter(live)))

    return (
        select(
            by,
            func.count().filter(live).label("n"),
            func.count().filter(~live).label("n_cancelled"),
            total(own.total_minor).label("total"),
            total(own.tax_minor).label("tax"),
            total(own.quantity).label("units"),
            func.max(own.currency).filter(live).label("currency"),
            func.min(own.posted).filter(live).label("posted"),
            func.max(own.seen_at).label("seen_at"),
        )
        .where(own.system == ledger, own.kind == document, by.isnot(None))
        .group_by(by)
        .subquery("kept")
    )


def _open(books: Books, kind: str, document: str, *, posts: bool) -> Sequence[Row[Any]]:
    """Orders up to the end of the day whose documents are not simply there, in every respect."""
    own = s.orders.c
    asked = _last_command(books.ledger, kind, "asked")
    undone = _last_command(books.ledger, "cancel_order", "undone")
    there = kept(books.ledger, document, s.documents.c.order_id)
    cancelled = own.state == State.CANCELLED.value
    # A ledger may leave out the tax the marketplace remits itself, and nothing else.
    ours = (own.total_minor, own.total_minor - own.channel_tax_minor)
    in_order = and_(
        asked.c.state == "done",
        func.coalesce(there.c.n, 0) > 0,
        or_(
            there.c.total.is_(None),
            and_(there.c.total.in_(ours), there.c.currency == own.currency),
        ),
        _tax_ties(there, books.network.rounding_limit_minor),
        _units_tie(books, there, document),
        *((there.c.posted == 1,) if posts else ()),
    )
    return books.connection.execute(
        select(
            s.orders,
            asked.c.id.label("asked_id"),
            *(asked.c[name].label(f"asked_{name}") for name in ("state", "due_at")),
            *(asked.c.queued_at, asked.c.done_at, asked.c.reference),
            undone.c.id.label("undone_id"),
            *(undone.c[n].label(f"undone_{n}") for n in ("state", "queued_at", "due_at")),
            undone.c.done_at.label("undone_done_at"),
            *(there.c.n, there.c.n_cancelled, there.c.posted),
            *(there.c[n].label(f"kept_{n}") for n in ("total", "tax", "units", "currency")),
            there.c.seen_at.label("kept_at"),
            s.handovers.c.how.label("handed"),
            s.handovers.c.by.label("handed_by"),
        )
        .outerjoin(s.handovers, s.handovers.c.order_id == own.id)
        .outerjoin(asked, asked.c.order_id == own.id)
        .outerjoin(undone, undone.c.order_id == own.id)
        .outerjoin(there, there.c.order_id == own.id)
        .where(
            own.placed_at < stamp(books.window.end),
            own.placed_at >= books.oldest,
            or_(
                and_(~cancelled, func.coalesce(in_order, 0) == 0),
                and_(cancelled, asked.c.id.isnot(None)),
            ),
        )
        .order_by(own.id)
    ).all()


def _tax_ties(there: Subquery, limit: int) -> ColumnElement[bool]:
    """Where both say one, to the rounding limit: a ledger may reckon its taxes itself."""
    own = s.orders.c
    return or_(
        there.c.tax.is_(None),
        own.tax_minor.is_(None),
        func.abs(there.c.tax - own.tax_minor) <= limit,
        func.abs(there.c.tax - own.tax_minor + own.channel_tax_minor) <= limit,
    )


def _units_tie(books: Books, there: Subquery, document: str) -> ColumnElement[bool]:
    own = s.orders.c
    if document != "sales_order" or books.network.items.renames(books.ledger):
        return own.id.isnot(None)  # it may count in other units
    return or_(there.c.units.is_(None), own.units.is_(None), there.c.units == own.units)


# ------------------------------------------------------------------ one of them


@dataclass(frozen=True, slots=True)
class Words:
    """What all differences of one order and one document begin with."""

    what: str
    key: str
    minor: int
    currency: str
    document: str

    def difference(
        self, cause: str, detail: str, *, since: str | None = None, minor: int | None = None
    ) -> Difference:
        return Difference(
            what=self.what,
            key=self.key,
            cause=cause,
            detail=detail[:DETAIL_MAX],
            since=since or "",
            minor=self.minor if minor is None else minor,
            currency=self.currency,
        )


def _booking(books: Books, row: Row[Any], kind: str, words: Words) -> Difference | None:
    if row.handed == handover.BY_HAND:
        detail = f"done by hand before this was live, says {row.handed_by}"
        return words.difference("done_by_hand", detail, since=row.captured_at)
    if row.asked_state is None:
        return _not_asked(books, row, kind, words)
    if row.asked_state != "done":
        asked = Asked(row.asked_id, kind, books.ledger, row.id, row.asked_state, row.queued_at,
                      row.asked_due_at)  # fmt: skip
        return unfinished(books, asked, words)
    if row.state == State.CANCELLED:
        return _cancelled(books, row, kind, words)
    if not row.n and row.n_cancelled:
        return words.difference(
            "cancelled_there", f"{books.ledger} cancelled it, and the order lives",
            since=row.kept_at,
        )  # fmt: skip
    if not row.n:
        return not_found(books, row, words)
    return _differs(books, row, words)


def _not_asked(books: Books, row: Row[Any], kind: str, words: Words) -> Difference | None:
    if row.state == State.CANCELLED:
        return None
    if kind == "book_invoice" and row.state != State.SHIPPED:
        return None  # the invoice follows the last parcel
    if row.id in books.held:
        return words.difference("held", f"held: {books.held[row.id]}", since=row.captured_at)
    return words.difference("never_asked", "nothing was asked of the ledger", since=row.changed_at)


@dataclass(frozen=True, slots=True)
class Asked:
    """A command of the outbox that is not done."""

    id: int
    kind: str
    system: str
    order_id: int
    state: str
    since: str
    due_at: str


def unfinished(books: Books, asked: Asked, words: Words) -> Difference:
    """Without the ledger's own words: they may repeat the buyer, and this goes into a mail."""
    what = asked.kind.replace("_", " ")
    stopped_by = books.stopped.get((asked.system, asked.order_id))
    expected = ""
    if asked.state == "dead":
        cause, detail = "refused", f"{what} is refused; `truecount dead` says why"
    elif asked.state == "discarded":
        cause, detail = "given_up", f"{what} was given up by a person"
    elif stopped_by is not None and stopped_by < asked.id:
        cause = "refused"
        detail = f"{what} waits behind command {stopped_by}, which is refused"
    else:
        cause, detail = "command_on_its_way", f"{what} is {asked.state.replace('_', ' ')}"
        # What is planned waits for a person, not for a time.
        expected = "" if asked.state == "planned" else asked.due_at
    found = words.difference(cause, detail, since=asked.since)
    return replace(found, command=asked.id, expected=expected)


def _cancelled(books: Books, row: Row[Any], kind: str, words: Words) -> Difference | None:
    """Cancelled on both sides is balanced."""
    if kind != "book_order" or not books.accepts("cancel_order"):
        return None
    if row.undone_state is None:
        detail = "cancelled, and the ledger was not told"
        return words.difference("cancel_not_told", detail, since=row.changed_at)
    if row.undone_state != "done":
        asked = Asked(row.undone_id, "cancel_order", books.ledger, row.id, row.undone_state,
                      row.undone_queued_at, row.undone_due_at)  # fmt: skip
        return unfinished(books, asked, words)
    grace = books.grace.of_pair(books.ledger, words.document)
    read = books.reads.after(books.ledger, "document", unstamp(row.undone_done_at) + grace)
    if row.n and read and books.ever(s.documents.c.cancelled, words.document):
        detail = f"{books.ledger} acknowledged the cancel, and its document lives"
        return words.difference("not_cancelled_there", detail, since=row.undone_done_at)
    return None


def not_found(books: Books, row: Row[Any], words: Words) -> Difference | None:
    """Acknowledged, and not in its own list: within the grace it may still come."""
    if not books.reads.does(books.ledger, "document"):
        return None  # it lists no documents; its acknowledgment is all there is
    said = f"{books.ledger} acknowledged {row.reference or 'it'}"
    shown_by = unstamp(row.done_at) + books.grace.of_pair(books.ledger, words.document)
    if books.reads.after(books.ledger, "document", shown_by):
        detail = f"{said}, and its own list does not have it"
        return words.difference("missing_there", detail, since=row.done_at)
    found = words.difference("not_read_back_yet", f"{said}; not read back yet", since=row.done_at)
    return replace(found, expected=books.reads.next_after(books.ledger, "document", shown_by))


def seen_half_made(books: Books, row: Row[Any], words: Words) -> Difference | None:
    """What was read before the ledger had answered may have been a draft, or half of it."""
    if books.reads.after(books.ledger, "document", unstamp(row.done_at)):
        return None
    detail = f"{books.ledger} acknowledged it, and what was read is from before"
    found = words.difference("not_read_back_yet", detail, since=row.done_at)
    expected = books.reads.next_after(books.ledger, "document", unstamp(row.done_at))
    return replace(found, expected=expected)


def _differs(books: Books, row: Row[Any], words: Words) -> Difference:
    half = seen_half_made(books, row, words)
    if half is not None:
        return half
    difference = differs_in_money(books, row, words, held=books.held.get(row.id, ""))
    if difference is not None:
        return difference
    tax = _tax_beyond(row, books.network.rounding_limit_minor)
    if tax:
        told, there = Money(row.tax_minor, row.currency), Money(row.kept_tax, row.currency)
        detail = f"the same total; the tax is {told} there and {there} in {books.ledger}"
        return words.difference("tax_differs", detail, since=row.kept_at, minor=tax)
    if row.kept_units not in (None, row.units) and words.document == "sales_order":
        detail = f"{row.units} units were sold, {books.ledger} has {row.kept_units}"
        found = words.difference("units_differ", detail, since=row.kept_at, minor=0)
        return replace(found, units=row.kept_units - row.units)
    detail = f"it is a draft in {books.ledger}"
    return words.difference("not_posted", detail, since=row.kept_at)


def _tax_beyond(row: Row[Any], limit: int) -> int:
    """Ours less theirs, where neither all of the tax nor the seller's part of it ties."""
    if row.kept_tax is None or row.tax_minor is None:
        return 0
    own = (row.tax_minor, row.tax_minor - row.channel_tax_minor)
    return 0 if any(abs(row.kept_tax - one) <= limit for one in own) else own[0] - row.kept_tax


def differs_in_money(
    books: Books, row: Row[Any], words: Words, *, held: str = ""
) -> Difference | None:
    """Another amount or currency, and what of it is the whole reason; None where it ties."""
    if row.kept_total is None:
        return None
    own = (row.total_minor, row.total_minor - row.channel_tax_minor)
    if row.kept_currency == row.currency and row.kept_total in own:
        return None
    told, there = Money(row.total_minor, row.currency), Money(row.kept_total, row.kept_currency)
    several = f" in {row.n} documents" if row.n > 1 else ""
    detail = f"the channel says {told}, {books.ledger} says {there}{several}"
    if row.kept_currency != row.currency:
        return words.difference("other_currency", detail, since=row.kept_at)
    minor = row.total_minor - row.kept_total
    if row.n > 1 and row.kept_total in [one * row.n for one in own]:
        return words.difference("booked_twice", detail, since=row.kept_at, minor=minor)
    if held:
        detail = f"{detail}; held: {held}"
        return words.difference("held", detail, since=row.kept_at, minor=minor)
    cause = "tax_differs" if _all_of_it_is_tax(row, minor) else "amount_differs"
    return words.difference(cause, detail, since=row.kept_at, minor=minor)


def _all_of_it_is_tax(row: Row[Any], minor: int) -> bool:
    tax = getattr(row, "tax_minor", None)
    there = getattr(row, "kept_tax", None)
    return tax is not None and there is not None and tax - there == minor
