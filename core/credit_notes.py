"""Stop 7, closed: what a channel gave back is credited in the ledger, once, of what was invoiced.

A refund waits until its order is invoiced; of an order that ends without an invoice nothing is
owed. What cannot be credited is a person's, and nothing else waits for it (`core.crediting`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.sqlite import insert

from core import aliases, commands, crediting, holds, kit_lines, order_rows
from core.clock import day_of, stamp
from core.codec import from_json, to_json
from core.errors import Hold
from core.lifecycle import State
from core.model import BookCreditNote, Collector, Order, Refund, RefundLine
from core.money import Money
from core.store.schema import invoiced, lines, outbox, refunds, return_lines, returns
from core.work import Work


class RefundState(StrEnum):
    ANNOUNCED = "announced"  # the channel has not paid it yet
    WAITING = "waiting"  # for the invoice
    CREDITED = "credited"  # every ledger that has the invoice was asked
    HELD = "held"  # a person's; once accepted, booked by hand
    NOT_OWED = "not_owed"  # nothing of it was ever invoiced
    WITHDRAWN = "withdrawn"


#: Keys of what is credited though no money is heard of: cash on delivery that nobody paid, and
#: goods that are exchanged, whose worth went into another order.
UNPAID, EXCHANGED = "unpaid:", "exchange:"
#: What a refund may still be decided about.
OPEN = (RefundState.ANNOUNCED, RefundState.WAITING, RefundState.HELD)


def aad(system: str, external_id: str) -> bytes:
    return f"refund:{system}:{external_id}".encode()


def read(work: Work, row: Row[Any]) -> Refund:
    return from_json(Refund, work.seal.open(row.doc, aad(row.system, row.external_id)))


def of_order(work: Work, order_id: int) -> Sequence[Row[Any]]:
    """The refunds of an order, in the order they were heard of."""
    return work.connection.execute(
        select(refunds).where(refunds.c.order_id == order_id).order_by(refunds.c.id)
    ).all()


def digest(refund: Refund) -> str:
    """Of what it says; the same in a newer revision is nothing new (S17)."""
    plain = {name: getattr(refund, name) for name in refund.__slots__ if name != "revision"}
    return hashlib.sha256(to_json(plain)).hexdigest()


def keep(
    work: Work, system: str, refund: Refund, order_id: int, old: Row[Any] | None = None
) -> Row[Any]:
    """Its row, new or as it is said now; nothing is decided yet."""
    values: dict[str, Any] = {
        "returned": refund.returned,
        "revision": refund.revision,
        "currency": refund.total.currency,
        "total_minor": refund.total.minor,
        "refunded_at": stamp(refund.refunded_at),
        "doc": work.seal.seal(to_json(refund), aad(system, refund.key)),
        "doc_hash": digest(refund),
    }
    if old is not None:
        statement = update(refunds).where(refunds.c.id == old.id).values(**values)
        return work.connection.execute(statement.returning(refunds)).one()
    return work.connection.execute(
        insert(refunds)
        .values(
            system=system,
            external_id=refund.key,
            order_id=order_id,
            state=RefundState.ANNOUNCED.value,
            seen_at=stamp(work.now),
            **values,
        )
        .returning(refunds)
    ).one()


# ------------------------------------------------------------------ the invoice


def was_invoiced(work: Work, row: Row[Any]) -> None:
    """Its ledgers were just asked to invoice an order: keep what of, and credit what waits."""
    doc = to_json(order_rows.without_buyer(order_rows.read(work, row)))
    work.connection.execute(
        insert(invoiced)
        .values(order_id=row.id, at=stamp(work.now), doc=work.seal.seal(doc, _aad(row)))
        .on_conflict_do_nothing()
    )
    for refund in of_order(work, row.id):
        if refund.state == RefundState.WAITING:
            owe(work, refund, heard_before=True)


def never_invoiced(work: Work, row: Row[Any]) -> None:
    """It ended without an invoice: what was given back of it is owed by nobody's books."""
    for refund in of_order(work, row.id):
        if refund.state == RefundState.WAITING:
            _set(work, refund, RefundState.NOT_OWED)


def _aad(row: Row[Any]) -> bytes:
    return f"invoiced:{row.system}:{row.external_id}".encode()


def _invoiced(work: Work, row: Row[Any]) -> Order:
    """The order as it was invoiced; of one invoiced before that was kept, as it is now."""
    doc = work.connection.execute(
        select(invoiced.c.doc).where(invoiced.c.order_id == row.id)
    ).scalar_one_or_none()
    return from_json(Order, work.seal.open(doc, _aad(row))) if doc else order_rows.read(work, row)


def invoiced_total(work: Work, row: Row[Any]) -> Money | None:
    """What was asked to be invoiced of an order; None where nothing was, or it was not kept."""
    doc = work.connection.execute(
        select(invoiced.c.doc).where(invoiced.c.order_id == row.id)
    ).scalar_one_or_none()
    return from_json(Order, work.seal.open(doc, _aad(row))).total if doc else None


def given_back(work: Work, row: Row[Any]) -> Money:
    """All money that its channel gave back, credited or not."""
    over = (RefundState.ANNOUNCED, RefundState.WITHDRAWN)
    own = [
        Money(one.total_minor, one.currency)
        for one in of_order(work, row.id)
        if one.state not in over and not one.external_id.startswith((UNPAID, EXCHANGED))
    ]
    return Money.total((one for one in own if one.currency == row.currency), row.currency)


# ------------------------------------------------------------------ one refund


def owe(work: Work, refund: Row[Any], *, heard_before: bool = False) -> RefundState:
    """Credit a refund if its order was invoiced, or say what it waits for.

    `heard_before` the invoice: units it is for may have been taken off the order since.
    """
    row = order_rows.by_id(work, refund.order_id)
    ledgers = _with_invoice(work, row)
    if not ledgers:
        ended = row.state in (State.CANCELLED, State.SHIPPED)
        return _set(work, refund, RefundState.NOT_OWED if ended else RefundState.WAITING)
    said = read(work, refund)
    try:
        order = _invoiced(work, row)
        if heard_before:
            said = _without(work, row, said, order)
        if _is_in_exchange(work, row, refund):
            return _set(work, refund, RefundState.NOT_OWED)
        if not said.total and not refund.external_id.startswith(EXCHANGED):
            return _set(work, refund, RefundState.NOT_OWED)
        note = _note(work, row, refund, said, order)
        for erp in ledgers:
            _must_be_taken(work, erp, note)
    except Hold as hold:
        return _held(work, row, refund, hold)
    for erp in ledgers:
        commands.ask(work, erp, "book_credit_note", note, order_id=row.id)
    return _set(
        work,
        refund,
        RefundState.CREDITED,
        note=note.reference,
        total_minor=note.total.minor,
        channel_tax_minor=crediting.tax(note, Collector.MARKETPLACE).minor,
        credit=work.seal.seal(to_json(note), aad(refund.system, refund.external_id)),
    )


def _is_in_exchange(work: Work, row: Row[Any], refund: Row[Any]) -> bool:
    """The difference to a cheaper item: the exchange was credited whole, it included (S18)."""
    key = f"{EXCHANGED}{refund.returned}"
    return bool(refund.returned) and any(
        one.external_id == key and one.state == RefundState.CREDITED
        for one in of_order(work, row.id)
    )


def _with_invoice(work: Work, row: Row[Any]) -> list[str]:
    """Ledgers that were asked to invoice this order."""
    asked = work.connection.execute(
        select(outbox.c.system).where(
            outbox.c.order_id == row.id,
            outbox.c.kind == "book_invoice",
            outbox.c.state != "taken_back",
        )
    ).scalars()
    return sorted(set(asked))


def _note(
    work: Work, row: Row[Any], refund: Row[Any], said: Refund, order: Order
) -> BookCreditNote:
    before = [
        from_json(BookCreditNote, work.seal.open(one.credit, aad(one.system, one.external_id)))
        for one in of_order(work, row.id)
        if one.credit is not None and one.id != refund.id
    ]
    if refund.external_id.startswith(EXCHANGED):
        said = replace(said, total=crediting.worth(order, said, before, system=row.system))
    credit = crediting.credit(
        order,
        said,
        before,
        system=row.system,
        limit=work.network.rounding_limit_minor,
        of=_lines_of_return(work, row, said),
    )
    return BookCreditNote(
        reference=commands.key_of(row.system, row.external_id, "book_credit_note", said.key),
        order_reference=row.booked,
        invoice_reference=commands.key_of(row.system, row.external_id, "book_invoice", "1"),
        channel=row.system,
        number=row.number,
        refund=said.key,
        dated=said.refunded_at,
        day=day_of(said.refunded_at, work.network.zone).isoformat(),
        total=credit.total,
        tax_included=order.tax_included,
        lines=credit.lines,
        shipping=credit.shipping,
        shipping_taxes=credit.shipping_taxes,
        fees=credit.fees,
        fee_taxes=credit.fee_taxes,
        tip=credit.tip,
        rounding=credit.rounding,
    )


def _lines_of_return(work: Work, row: Row[Any], said: Refund) -> set[str]:
    """The channel's lines of the return that a refund names, as far as it is known."""
    if not said.returned:
        return set()
    rows = work.connection.execute(
        select(lines.c.key, lines.c.parent)
        .join(returns, returns.c.order_id == lines.c.order_id)
        .join(
            return_lines,
            (return_lines.c.return_id == returns.c.id) & (return_lines.c.line == lines.c.key),
        )
        .where(returns.c.order_id == row.id, returns.c.external_id == said.returned)
    )
    return {str(one.parent or one.key) for one in rows}


def _must_be_taken(work: Work, erp: str, note: BookCreditNote) -> None:
    """Hold where a ledger takes no credit note, or counts an item in larger units (H44)."""
    if (erp, "book_credit_note") not in work.network.accepts:
        raise Hold(
            f"{erp} takes no credit note from us",
            cause=f"credit_by_hand:{erp}",
            next_step=f"Book it in {erp} by hand; then `truecount accept ID`.",
        )
    for line in note.lines if work.network.items.renames(erp) else ():
        aliases.whole(work.network.items, erp, line.sku, line.quantity)


def _without(work: Work, row: Row[Any], said: Refund, order: Order) -> Refund:
    """What was taken off the order before it was invoiced is credited by nobody (H42)."""
    off = _taken_off(work, row, order)
    kept: list[RefundLine] = []
    total = said.total
    for line in said.lines:
        if line.amount is None or off.get(line.line, 0) < max(1, line.quantity):
            kept.append(line)
            continue
        off[line.line] -= line.quantity
        total -= line.amount
        if not order.tax_included:
            total -= Money.total((tax.amount for tax in line.taxes), total.currency)
    return replace(said, lines=tuple(kept), total=total)


def _taken_off(work: Work, row: Row[Any], order: Order) -> dict[str, int]:
    """Units of each line that the order once had, and had no more when it was invoiced."""
    now = {line.key: line.quantity for line in order.lines}
    once: dict[str, int] = {}
    for key, rows in kit_lines.by_line(order_rows.lines_of(work, row.id)).items():
        once[key] = max((one.ordered // one.factor for one in rows if one.factor), default=0)
    return {key: units - now.get(key, 0) for key, units in once.items() if units > now.get(key, 0)}


def _held(work: Work, row: Row[Any], refund: Row[Any], hold: Hold) -> RefundState:
    cause = f"{holds.LATE}{hold.cause}"
    holds.close_member(work, "refund", str(refund.id), keep={cause})
    holds.open_hold(
        work,
        cause=cause,
        system=row.system,
        reason=hold.reason,
        next_step=hold.next_step,
        member="refund",
        ref=str(refund.id),
        label=f"{row.system}:{row.number} refund {refund.external_id}",
    )
    work.steps.add(7, "refund.held", system=row.system, order_id=row.id, cause=cause)
    return _set(work, refund, RefundState.HELD)


def _set(work: Work, refund: Row[Any], state: RefundState, **values: Any) -> RefundState:
    changed: Mapping[str, Any] = {"state": state.value, **values}
    work.connection.execute(update(refunds).where(refunds.c.id == refund.id).values(**changed))
    if refund.state == RefundState.HELD != state:
        holds.close_member(work, "refund", str(refund.id))
    if refund.state != state:
        work.steps.add(
            7, f"refund.{state.value}", system=refund.system, order_id=refund.order_id,
            refund=refund.external_id,
        )  # fmt: skip
    return state


def withdraw(work: Work, refund: Row[Any]) -> None:
    """The channel did not give it back after all."""
    _set(work, refund, RefundState.WITHDRAWN)
