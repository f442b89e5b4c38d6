"""Stop 7, closed: the warehouse says what left; channel and ledger hear of it.

The claim does not end here. It becomes `shipped` and goes on being subtracted
until a stock number excludes it (G7); `stock.end_claims` looks at once, because
the number may have come first (H15).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from core import (
    claim_moves,
    commands,
    edits,
    endings,
    fulfillment,
    holds,
    ledger,
    lifecycle,
    order_rows,
    parcels,
    returns,
    stock,
)
from core.clock import stamp
from core.codec import from_json, to_json
from core.errors import Hold
from core.lifecycle import State
from core.model import QuantityLine, Shipment
from core.store.schema import claims, lines, orders, outbox, shipments
from core.wording import plural
from core.work import Work


def aad(system: str, external_id: str) -> bytes:
    return f"shipment:{system}:{external_id}".encode()


def take_shipment(work: Work, system: str, shipment: Shipment) -> str:
    """Record what left, once. Returns what became of it, one word."""
    order_id = _order_of(work, shipment.reference)
    if order_id is None:
        if shipment.state == "cancelled" and _never_asked(work, shipment.reference):
            return "ignored"
        raise Hold(
            f"{system} shipped {shipment.key} for {shipment.reference!r}, which we never asked",
            cause=commands.unknown_cause(system, shipment.reference),
            next_step="Look it up in the warehouse; it may belong to another installation.",
        )
    _ask_the_table(work, system, order_id, shipment)
    if shipment.state == "waiting":
        return "ignored"
    if shipment.state == "cancelled":
        return _cancelled(work, system, order_id, shipment.reference)
    if _known(work, system, shipment.key):
        return "same"
    order = order_rows.by_id(work, order_id)
    shipment_id, parcel = _insert(work, system, order, shipment)
    shipped = _ship_units(work, system, order, shipment, shipment_id)
    for units in shipped:
        stock.end_claims(work, units["sku"], order.location)
        work.sku_changed(units["sku"], "shipped")
    _short(work, system, order, shipment)
    spoken = shipment.complete or endings.all_left(work, order_id)
    if spoken:
        _free(work, order)
    work.steps.add(
        7,
        "order.shipped",
        system=system,
        order_id=order_id,
        location=order.location,
        shipment=shipment.key,
        parcel=parcel,
        units=sum(units["units"] for units in shipped),
    )
    if order.state == State.CANCELLED:
        endings.too_late(work, order)
        returns.look(work, order_id)
        return "applied"
    _show_without_lot(work, order, shipped)
    parcels.tell(work, order, shipment, parcel, shipped)
    if not endings.close_if_all_left(work, order_id) and spoken:
        fulfillment.advance(work, order_id)
    returns.look(work, order_id)  # a courier may have said where it is before we knew of it
    return "applied"


def _order_of(work: Work, reference: str) -> int | None:
    return work.connection.execute(
        select(outbox.c.order_id).where(outbox.c.key == reference)
    ).scalar_one_or_none()


def _never_asked(work: Work, reference: str) -> bool:
    """Asked and cancelled by the life before a restore; to us it was over when we saw it (H38).

    Nothing has left and nobody wants it, so there is nothing for a person to look up.
    """
    meant = commands.order_meant(reference)
    row = order_rows.find(work, *meant) if meant else None
    return row is not None and row.state == State.CANCELLED


def _ask_the_table(work: Work, system: str, order_id: int, shipment: Shipment) -> None:
    """Only who ships from the order's location may say what left it (G5)."""
    order = order_rows.by_id(work, order_id)
    if work.network.owners.may_write("shipment", order.location or "", system):
        return
    raise Hold(
        f"{system} says that {shipment.key} left {order.location or 'no location'} for order "
        f"{order.number}, and does not own the shipments there",
        cause=f"not_owner:shipment:{system}:{order.location or ''}",
        next_step="Correct `owners:` in config.yaml and run `truecount replay`, or leave it held.",
    )


def _known(work: Work, system: str, external_id: str) -> bool:
    return (
        work.connection.execute(
            select(shipments.c.id).where(
                shipments.c.system == system, shipments.c.external_id == external_id
            )
        ).scalar_one_or_none()
        is not None
    )


def _cancelled(work: Work, system: str, order_id: int, reference: str) -> str:
    """The warehouse itself gave up the order. A net number has its units back: while the
    channel still wants them they are subtracted again (H16)."""
    row = order_rows.by_id(work, order_id)
    if row.state in (State.CANCELLED, State.SHIPPED):
        return "same"
    if row.asked and row.asked != reference:
        return "same"  # of an earlier ask; it packs what it was asked for since
    if endings.asked_back(work, row, reference) not in ("", "dead", "discarded"):
        return "same"  # its answer to that says the same
    order = order_rows.read(work, row)
    if order.cancelled_at is not None or lifecycle.wants_nothing(order):
        endings.finish_cancel(work, order_id)
        return "applied"
    for claim in _accepted(work, order_id):
        nothing = dict.fromkeys(("accepted_at", "accepted_counter", "accepted_as_of"))
        claim_moves.move(work, claim, "given_up", values=nothing, system=system)
        work.sku_changed(claim.sku, "given up")
    holds.hold_order(
        work,
        row,
        cause=holds.late("warehouse_cancelled", row),
        reason="the warehouse cancelled this order, the channel still wants it",
        next_step="Release it again in the warehouse, or cancel it on the channel.",
    )
    edits.follow_given_up(work, row, order)
    return "applied"


def _accepted(work: Work, order_id: int) -> Sequence[Row[Any]]:
    return work.connection.execute(
        select(claims)
        .where(
            claims.c.order_id == order_id,
            claims.c.state == "open",
            claims.c.accepted_at.is_not(None),
        )
        .order_by(claims.c.id)
    ).all()


def _ship_units(
    work: Work, system: str, order: Row[Any], shipment: Shipment, shipment_id: int
) -> list[dict[str, Any]]:
    """The claims these units were set aside by are shipped; more than claimed is held."""
    own = order_rows.lines_of(work, order.id)
    shipped: list[dict[str, Any]] = []
    for asked in shipment.lines:
        left = asked.quantity
        if order.state == State.CANCELLED:
            _uncancel(work, order, asked, left)
        for line in own:
            if left <= 0 or not _meant(asked, line):
                continue
            drawn = _draw(work, line.id, left)
            left -= sum(part for _, part in drawn)
            found = _draw(work, line.id, min(left, line.short), "missing")
            left -= _not_missing(work, line, [part for _, part in found])
            for row, part in drawn + found:
                _leave(work, "shipped", row, part, system, shipment, shipment_id=shipment_id)
                shipped.append({"line": line, "sku": line.sku, "units": part, "of": asked})
        if left > 0:
            raise Hold(
                f"{system} shipped {plural(left, 'unit')} of {asked.sku or asked.line}"
                f" more than order {order.number} has open",
                cause=f"shipped_too_many:{system}:{shipment.key}",
                next_step="Compare the shipment with the order; correct it in the warehouse.",
            )
    return shipped


def _not_missing(work: Work, line: Row[Any], parts: list[int]) -> int:
    """They were in an earlier parcel that is heard of only now, after the last one (S10)."""
    units = sum(parts)
    if units:
        work.connection.execute(
            update(lines)
            .where(lines.c.id == line.id)
            .values(claimed=lines.c.claimed + units, short=lines.c.short - units)
        )
        work.touched_orders.add(line.order_id)
    return units


def _draw(work: Work, line_id: int, units: int, state: str = "open") -> list[tuple[Row[Any], int]]:
    """Claims of a line, oldest first, and how much of each."""
    rows = work.connection.execute(
        select(claims)
        .where(claims.c.line_id == line_id, claims.c.state == state)
        .order_by(claims.c.id)
    ).all()
    held = {row.id: row for row in rows}
    drawn = ledger.take(units, [(row.id, row.units) for row in rows])
    return [(held[claim_id], part) for claim_id, part in drawn]


def _leave(
    work: Work,
    what: str,
    row: Row[Any],
    units: int,
    system: str,
    shipment: Shipment,
    **values: int | None,
) -> None:
    """Units are `shipped`, or `missing`: subtracted until a number says so."""
    marks = claim_moves.marks(
        work, "shipped", system, row.location, shipment.counter, shipment.shipped_at
    )
    claim_moves.move(
        work,
        row,
        what,
        units=units,
        values=marks | values,
        system=system,
        counter=marks["shipped_counter"],
        as_of=marks["shipped_as_of"],
    )


def _uncancel(work: Work, order: Row[Any], asked: QuantityLine, units: int) -> None:
    """A parcel that had left before the cancel was agreed, heard of only now (S15).

    Its units are claimed again, so that they stay subtracted until a number excludes them.
    """
    for line in order_rows.lines_of(work, order.id):
        part = min(units, line.cancelled)
        if part <= 0 or not _meant(asked, line):
            continue
        claim_moves.begin(
            work,
            order_id=order.id,
            line_id=line.id,
            sku=line.sku,
            location=order.location,
            units=part,
        )
        work.connection.execute(
            update(lines)
            .where(lines.c.id == line.id)
            .values(claimed=lines.c.claimed + part, cancelled=lines.c.cancelled - part)
        )
        work.touched_orders.add(order.id)
        units -= part


def _meant(asked: QuantityLine, line: Row[Any]) -> bool:
    """A line key where the warehouse kept it, else every line of that SKU."""
    return bool(asked.line == line.key if asked.line else asked.sku == line.sku)


def _insert(work: Work, system: str, order: Row[Any], shipment: Shipment) -> tuple[int, int]:
    parcel = (
        1
        + work.connection.execute(
            select(func.count()).select_from(shipments).where(shipments.c.order_id == order.id)
        ).scalar_one()
    )
    row = work.connection.execute(
        insert(shipments)
        .values(
            system=system,
            external_id=shipment.key,
            order_id=order.id,
            location=order.location,
            state=shipment.state,
            revision=shipment.revision,
            parcel=parcel,
            shipped_at=stamp(shipment.shipped_at or work.now),
            seen_at=stamp(work.now),
            tracking=shipment.tracking,
            doc=work.seal.seal(to_json(shipment), aad(system, shipment.key)),
        )
        .returning(shipments.c.id)
    ).one()
    return row.id, parcel


def _short(work: Work, system: str, order: Row[Any], shipment: Shipment) -> None:
    """Units the warehouse could not find, said or silently left out of the last parcel.

    They are promised no more, but the number in force still counts them: they
    stay subtracted as `missing` until a later number, and only that one decides
    whether they are claimed and asked for again (`fulfillment.reconsider`).
    """
    for missing in shipment.short:
        left = missing.quantity
        for line in order_rows.lines_of(work, order.id):
            if left > 0 and _meant(missing, line):
                left -= _unclaim(work, system, shipment, line, left)
    if shipment.complete:
        for line in order_rows.lines_of(work, order.id):
            _unclaim(work, system, shipment, line, line.claimed)


def _free(work: Work, order: Row[Any]) -> None:
    """The warehouse has spoken: the order is ours to change and to ask for again."""
    work.connection.execute(update(orders).where(orders.c.id == order.id).values(asked=""))
    row = order_rows.by_id(work, order.id)
    wanted = order_rows.read(work, row)
    if row.state in (State.CANCELLED, State.SHIPPED) or wanted.cancelled_at is not None:
        return
    edits.follow_lines(work, row, wanted)
    if not order_rows.difference(work, row.id, wanted):
        edits.settled(work, row)


def _unclaim(work: Work, system: str, shipment: Shipment, line: Row[Any], units: int) -> int:
    released = 0
    for row, part in _draw(work, line.id, units):
        # Its acceptance proves nothing about units that turned out not to be there.
        _leave(work, "missing", row, part, system, shipment, accepted_at=None)
        work.sku_changed(line.sku, "missing")
        released += part
    work.connection.execute(
        update(lines)
        .where(lines.c.id == line.id)
        .values(claimed=lines.c.claimed - released, short=lines.c.short + released)
    )
    work.touched_orders.add(line.order_id)
    return released


def _show_without_lot(work: Work, order: Row[Any], shipped: list[dict[str, Any]]) -> None:
    """An item that has to leave with its lot left without: its own exception, and all else goes
    on (S35)."""
    lots = work.network.items.lots
    if not lots:
        return
    for sku in sorted({p["sku"] for p in shipped if p["sku"] in lots and not p["of"].lot}):
        holds.open_hold(
            work,
            cause=f"{holds.LATE}no_lot:{order.location}:{sku}",
            system=order.system,
            reason=f"units of {sku} left {order.location} without their lot",
            next_step="Enter it in the warehouse and in the books; then `truecount accept ID`.",
            member="shipment",  # of the order nothing waits
            ref=f"{order.id}:{sku}",
            label=f"{order.system}:{order.number}",
        )


def read(work: Work, row: Row[Any]) -> Shipment:
    return from_json(Shipment, work.seal.open(row.doc, aad(row.system, row.external_id)))
