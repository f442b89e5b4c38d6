"""An order ends: all of it has left or none had to, or it is cancelled, whole or in part.

Before release a cancel is ours to decide; after it the warehouse decides, and
what has left already is a person's (S15). Units given back go to whoever waits.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update

from core import (
    booking,
    claim_moves,
    commands,
    credit_notes,
    holds,
    kit_lines,
    ledger,
    order_rows,
    taking_back,
)
from core.clock import stamp, unstamp
from core.lifecycle import State
from core.model import BookInvoice, CancelFulfillment, Order
from core.money import Money
from core.store.schema import claims, lines, outbox, shipments
from core.work import Work

# ------------------------------------------------------------------ nothing of it waits


def all_left(work: Work, order_id: int) -> bool:
    """No unit of it is claimed and still in the warehouse, and none is short."""
    return _all_left(work, order_id, order_rows.lines_of(work, order_id))


def _all_left(work: Work, order_id: int, own: list[Row[Any]]) -> bool:
    waiting = work.connection.execute(
        select(func.count()).where(claims.c.order_id == order_id, claims.c.state == "open")
    ).scalar_one()
    return not waiting and not any(line.short for line in own)


def close_if_all_left(work: Work, order_id: int) -> bool:
    """Nothing open or short any more: closed, and invoiced once.

    Dated by its last parcel; without any, as for gift cards, now. False, and nothing is
    changed, while a unit still waits.
    """
    own = order_rows.lines_of(work, order_id)
    if not _all_left(work, order_id, own):
        return False
    last = work.connection.execute(
        select(shipments.c.shipped_at)
        .where(shipments.c.order_id == order_id)
        .order_by(shipments.c.parcel.desc())
        .limit(1)
    ).scalar_one_or_none()
    row = order_rows.by_id(work, order_id)
    order_rows.set_state(work, row, State.SHIPPED)
    holds.close_member(work, "order", str(order_id), keep=_still_a_persons(work, row))
    _show_broken_kits(work, row, own)
    if last is None:
        work.steps.add(7, "order.closed", system=row.system, order_id=order_id)
    _invoice(work, row, unstamp(last) if last else work.now)
    return True


def _still_a_persons(work: Work, row: Row[Any]) -> set[str]:
    """What its end does not settle: a return to expect, a parcel that went to an old address,
    other units than the channel wants."""
    keep = {holds.late("cancelled", row), holds.late("address", row)}
    if row.doc is not None and order_rows.difference(work, row.id, order_rows.read(work, row)):
        keep.add(holds.late("edited", row))
    return keep


def _show_broken_kits(work: Work, row: Row[Any], own: list[Row[Any]]) -> None:
    """A kit left in part, and nothing more of it will: what its buyer has is a person's (S29)."""
    parts = kit_lines.broken(work, own)
    if parts:
        holds.hold_order(
            work,
            row,
            cause=holds.late("part_of_kit", row),
            reason=f"only a part of a kit has left: {'; '.join(parts)}",
            next_step="Expect it back, or agree with the buyer; then `truecount accept ID`.",
        )


def _invoice(work: Work, row: Row[Any], dated: datetime) -> None:
    asked = False
    for erp in work.network.ledgers:
        if not row.booked or (erp, "book_invoice") not in work.network.accepts:
            continue
        record = BookInvoice(
            reference=commands.key_of(row.system, row.external_id, "book_invoice", "1"),
            order_reference=row.booked,
            channel=row.system,
            number=row.number,
            dated=dated,
            total=Money(row.total_minor, row.currency),
        )
        asked |= commands.ask(work, erp, "book_invoice", record, order_id=row.id)
    if asked:
        credit_notes.was_invoiced(work, row)
    else:
        credit_notes.never_invoiced(work, row)


# ------------------------------------------------------------------ cancelled


def cancel(work: Work, row: Row[Any], before: Order, order: Order) -> None:
    """Before release it is ours to stop; after it, the warehouse decides the race (S15).

    A cancel heard again, as in the revision before, asks nobody again.
    """
    if row.state == State.CANCELLED:
        return
    if row.state == State.SHIPPED:
        if before.cancelled_at is None:
            too_late(work, row)
        return
    if not row.asked or taking_back.take_back(work, row, row.asked, "cancelled before it left"):
        finish_cancel(work, row.id)
        return
    reason = "cancelled on the channel" if order.cancelled_at else "refunded on the channel"
    ask_for_it_back(work, row, reason)


def ask_for_it_back(work: Work, row: Row[Any], reason: str) -> None:
    """The warehouse was asked for it and is asked to let it be: it decides (S15)."""
    key = _cancel_key(row, row.asked)
    record = CancelFulfillment(reference=key, target=row.asked, reason=reason)
    ships = work.network.locations[row.location].ships
    commands.ask(work, ships, "cancel_fulfillment", record, order_id=row.id)


def asked_back(work: Work, row: Row[Any], asked: str) -> str:
    """The state of the command that asks a warehouse to let be what it was asked under this key;
    "" where none does."""
    own = outbox.c
    found: str | None = work.connection.execute(
        select(own.state).where(
            own.order_id == row.id,
            own.kind == "cancel_fulfillment",
            own.key == _cancel_key(row, asked),
        )
    ).scalar_one_or_none()
    return found or ""


def _cancel_key(row: Row[Any], asked: str) -> str:
    """Of the revision that is cancelled: each ask has one cancel."""
    revision = asked.rpartition(":")[2]
    return commands.key_of(row.system, row.external_id, "cancel_fulfillment", revision)


def wanted_again(work: Work, row: Row[Any]) -> None:
    """The channel wants a cancelled order after all: a cancel nobody has heard of is recalled."""
    if row.asked:
        taking_back.take_back(
            work, row, _cancel_key(row, row.asked), "the channel wants the order again"
        )


def finish_cancel(work: Work, order_id: int) -> None:
    """Nothing more of it will leave: release claims, close holds, tell the ledger."""
    row = order_rows.by_id(work, order_id)
    if row.state == State.CANCELLED:
        return
    for line in order_rows.lines_of(work, order_id):
        cancel_units(work, line, line.ordered - line.cancelled - line.consumed)
    holds.close_member(work, "order", str(order_id))
    for kind in ("accept_order", "cancel_order", "answer_cancellation"):
        taking_back.unwanted(work, row, kind)
    if any(line.claimed + line.consumed for line in order_rows.lines_of(work, order_id)):
        order_rows.set_state(work, row, State.SHIPPED)  # a part has left; its return is expected
        credit_notes.never_invoiced(work, row)
        too_late(work, row)
        return
    order_rows.set_state(work, row, State.CANCELLED)
    credit_notes.never_invoiced(work, row)
    work.steps.add(4, "order.cancelled", system=row.system, order_id=order_id)
    if not row.booked or taking_back.take_back(work, row, row.booked, "cancelled before it left"):
        return
    booking.cancel(work, row, "cancelled on the channel")


def too_late(work: Work, row: Row[Any]) -> None:
    """The channel cancelled, the goods have left: a person expects a return."""
    holds.hold_order(
        work,
        row,
        cause=holds.late("cancelled", row),
        reason="the channel cancelled this order, but the warehouse has shipped it",
        next_step="Stop the parcel with the courier, or expect it back as a return.",
    )
    taking_back.unwanted(work, row, "confirm_shipment")
    work.steps.add(4, "order.cancelled_too_late", system=row.system, order_id=row.id)


# ------------------------------------------------------------------ units given back


def cancel_units(work: Work, line: Row[Any], units: int) -> int:
    """Cancel up to `units` that have not left: short ones first. Returns how many."""
    from_short = min(units, line.short)
    rows = work.connection.execute(
        select(claims)
        .where(claims.c.line_id == line.id, claims.c.state == "open")
        .order_by(claims.c.id.desc())
    ).all()
    held = {row.id: row for row in rows}
    drawn = ledger.take(units - from_short, [(row.id, row.units) for row in rows])
    for claim_id, part in drawn:
        _release_claim(work, held[claim_id], part)
    released = sum(part for _, part in drawn)
    work.connection.execute(
        update(lines)
        .where(lines.c.id == line.id)
        .values(
            short=lines.c.short - from_short,
            claimed=lines.c.claimed - released,
            cancelled=lines.c.cancelled + from_short + released,
        )
    )
    work.touched_orders.add(line.order_id)
    return int(from_short + released)


def _release_claim(work: Work, row: Row[Any], units: int) -> None:
    """Give back `units` of an open claim, with the reason: a part as a row of its own."""
    why = "cancelled before it left"
    claim_moves.move(
        work,
        row,
        "released",
        units=units,
        values={"ended_at": stamp(work.now), "evidence": why},
        stop=4,
        evidence=why,
    )
    work.sku_changed(row.sku, "release")
    work.freed.add((row.sku, row.location))
