"""Stop 7, closed: the warehouse says what left; channel and ledger hear of it.

The claim does not end here. It becomes `shipped` and goes on being subtracted
until a stock number excludes it (G7); `stock.end_claims` looks at once, because
the number may have come first (H15).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, insert, select, update

from core import commands, holds, ledger, orders, stock
from core.clock import stamp
from core.codec import from_json, to_json
from core.errors import Hold
from core.lifecycle import State
from core.model import BookShipment, ConfirmShipment, QuantityLine, Shipment
from core.store.schema import claims, lines, outbox, shipments
from core.store.schema import orders as orders_table
from core.work import Work


def aad(system: str, external_id: str) -> bytes:
    return f"shipment:{system}:{external_id}".encode()


def take_shipment(work: Work, system: str, shipment: Shipment) -> str:
    """Record what left, once. Returns what became of it, one word."""
    order_id = _order_of(work, shipment.reference)
    if order_id is None:
        raise Hold(
            f"{system} shipped {shipment.key} for {shipment.reference!r}, which we never asked",
            cause=commands.unknown_cause(system, shipment.reference),
            next_step="Look it up in the warehouse; it may belong to another installation.",
        )
    if shipment.state == "waiting":
        return "ignored"
    if shipment.state == "cancelled":
        return _cancelled(work, order_id)
    if _known(work, system, shipment.key):
        return "same"
    order = orders.by_id(work, order_id)
    shipped = _ship_units(work, system, order, shipment)
    shipment_id, parcel = _insert(work, system, order, shipment)
    _mark_claims(work, shipment_id, shipment, shipped)
    for units in shipped:
        stock.end_claims(work, units["sku"], order.location)
        work.sku_changed(units["sku"], "shipped")
    _short(work, order, shipment)
    work.steps.add(
        7,
        "order.shipped",
        system=system,
        order_id=order_id,
        shipment=shipment.key,
        parcel=parcel,
        units=sum(units["units"] for units in shipped),
    )
    if order.state == State.CANCELLED:
        orders.too_late(work, order)
        return "applied"
    _tell(work, orders.by_id(work, order_id), shipment, parcel, _per_line(shipped))
    return "applied"


def _order_of(work: Work, reference: str) -> int | None:
    return work.connection.execute(
        select(outbox.c.order_id).where(outbox.c.key == reference)
    ).scalar_one_or_none()


def _known(work: Work, system: str, external_id: str) -> bool:
    return (
        work.connection.execute(
            select(shipments.c.id).where(
                shipments.c.system == system, shipments.c.external_id == external_id
            )
        ).scalar_one_or_none()
        is not None
    )


def _cancelled(work: Work, order_id: int) -> str:
    """The warehouse itself gave up the order."""
    row = orders.by_id(work, order_id)
    if row.state in (State.CANCELLED, State.SHIPPED):
        return "same"
    if orders.read(work, row).cancelled_at is not None:
        orders.finish_cancel(work, order_id)
        return "applied"
    holds.open_hold(
        work,
        cause=f"late:warehouse_cancelled:{row.system}:{row.external_id}",
        system=row.system,
        reason="the warehouse cancelled this order, the channel still wants it",
        next_step="Release it again in the warehouse, or cancel it on the channel.",
        member="order",
        ref=str(order_id),
        label=f"{row.system}:{row.number}",
    )
    return "applied"


def _ship_units(
    work: Work, system: str, order: Row[Any], shipment: Shipment
) -> list[dict[str, Any]]:
    """Split and pick the claims these units were set aside by; more than claimed is held."""
    own = orders.lines_of(work, order.id)
    shipped: list[dict[str, Any]] = []
    for asked in shipment.lines:
        left = asked.quantity
        for line in own:
            if left <= 0 or not _meant(asked, line):
                continue
            held = work.connection.execute(
                select(claims.c.id, claims.c.units)
                .where(claims.c.line_id == line.id, claims.c.state == "open")
                .order_by(claims.c.id)
            ).all()
            for claim_id, part in ledger.take(left, [(row.id, row.units) for row in held]):
                whole = split(work, claim_id, part)
                shipped.append({"claim": whole, "line": line, "sku": line.sku, "units": part})
                left -= part
        if left > 0 and order.state == State.CANCELLED:
            left -= _uncancel(work, order, asked, left, shipped)
        if left > 0:
            raise Hold(
                f"{system} shipped {left} unit(s) of {asked.sku or asked.line} more than order "
                f"{order.number} has open",
                cause=f"shipped_too_many:{system}:{shipment.key}",
                next_step="Compare the shipment with the order; correct it in the warehouse.",
            )
    return shipped


def _uncancel(
    work: Work, order: Row[Any], asked: QuantityLine, left: int, shipped: list[dict[str, Any]]
) -> int:
    """A parcel that had left before the cancel was agreed, heard of only now (S15).

    Its units are claimed again, so that they stay subtracted until a number excludes them.
    """
    found = 0
    for line in orders.lines_of(work, order.id):
        units = min(left - found, line.cancelled)
        if units <= 0 or not _meant(asked, line):
            continue
        claim = work.connection.execute(
            insert(claims)
            .values(
                order_id=order.id,
                line_id=line.id,
                sku=line.sku,
                location=order.location,
                units=units,
                opened_at=stamp(work.now),
            )
            .returning(claims.c.id)
        ).scalar_one()
        work.connection.execute(
            update(lines)
            .where(lines.c.id == line.id)
            .values(claimed=lines.c.claimed + units, cancelled=lines.c.cancelled - units)
        )
        work.touched_orders.add(order.id)
        shipped.append({"claim": claim, "line": line, "sku": line.sku, "units": units})
        found += units
    return found


def _meant(asked: QuantityLine, line: Row[Any]) -> bool:
    """A line key where the warehouse kept it, else every line of that SKU."""
    return bool(asked.line == line.key if asked.line else asked.sku == line.sku)


def split(work: Work, claim_id: int, units: int) -> int:
    """A claim of exactly `units`: the claim itself, or a part of it as a row of its own."""
    row = work.connection.execute(select(claims).where(claims.c.id == claim_id)).one()
    if row.units == units:
        return claim_id
    work.connection.execute(
        update(claims).where(claims.c.id == claim_id).values(units=row.units - units)
    )
    part = {name: value for name, value in row._mapping.items() if name != "id"}
    return int(
        work.connection.execute(
            insert(claims).values(part | {"units": units}).returning(claims.c.id)
        ).scalar_one()
    )


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


def _mark_claims(
    work: Work, shipment_id: int, shipment: Shipment, shipped: list[dict[str, Any]]
) -> None:
    as_of = shipment.shipped_at
    for units in shipped:
        work.connection.execute(
            update(claims)
            .where(claims.c.id == units["claim"])
            .values(
                state="shipped",
                shipment_id=shipment_id,
                shipped_seen_at=stamp(work.now),
                shipped_counter=shipment.counter,
                shipped_as_of=stamp(as_of) if as_of else None,
            )
        )


def _short(work: Work, order: Row[Any], shipment: Shipment) -> None:
    """Units the warehouse could not find, said or silently left out of the last parcel.

    They are promised no more, but the number in force still counts them: they
    stay subtracted as `missing` until a later number, and only that one decides
    whether they are claimed and asked for again (`orders.reconsider`).
    """
    for missing in shipment.short:
        left = missing.quantity
        for line in orders.lines_of(work, order.id):
            if left > 0 and _meant(missing, line):
                left -= _unclaim(work, shipment, line, left)
    if not shipment.complete:
        return
    for line in orders.lines_of(work, order.id):
        _unclaim(work, shipment, line, line.claimed)
    work.connection.execute(
        update(orders_table).where(orders_table.c.id == order.id).values(asked="")
    )
    if any(line.short for line in orders.lines_of(work, order.id)):
        orders.advance(work, order.id)


def _unclaim(work: Work, shipment: Shipment, line: Row[Any], units: int) -> int:
    held = work.connection.execute(
        select(claims.c.id, claims.c.units).where(
            claims.c.line_id == line.id, claims.c.state == "open"
        )
    ).all()
    drawn = ledger.take(units, [(row.id, row.units) for row in held])
    for claim_id, part in drawn:
        work.connection.execute(
            update(claims)
            .where(claims.c.id == split(work, claim_id, part))
            .values(
                state="missing",
                # Its acceptance proves nothing about units that turned out not to be there.
                accepted_at=None,
                shipped_seen_at=stamp(work.now),
                shipped_counter=shipment.counter,
                shipped_as_of=stamp(shipment.shipped_at) if shipment.shipped_at else None,
            )
        )
        work.sku_changed(line.sku, "missing")
    released = sum(part for _, part in drawn)
    work.connection.execute(
        update(lines)
        .where(lines.c.id == line.id)
        .values(claimed=lines.c.claimed - released, short=lines.c.short + released)
    )
    work.touched_orders.add(line.order_id)
    return int(released)


def _per_line(shipped: list[dict[str, Any]]) -> tuple[QuantityLine, ...]:
    units: dict[tuple[str, str], int] = {}
    for part in shipped:
        key = (part["line"].key, part["sku"])
        units[key] = units.get(key, 0) + part["units"]
    return tuple(
        QuantityLine(line=line, sku=sku, quantity=quantity)
        for (line, sku), quantity in units.items()
    )


def _tell(
    work: Work, order: Row[Any], shipment: Shipment, parcel: int, what: tuple[QuantityLine, ...]
) -> None:
    """Tracking to the channel, delivery and cost to the ledger, an invoice with the last parcel."""
    if what:
        whole = orders.all_left(work, order.id)
        _confirm(work, order, shipment, parcel, what, whole)
        _book(work, order, shipment, what)
    orders.close_if_all_left(work, order.id)


def _confirm(
    work: Work,
    order: Row[Any],
    shipment: Shipment,
    parcel: int,
    what: tuple[QuantityLine, ...],
    whole: bool,
) -> None:
    if (order.system, "confirm_shipment") not in work.network.accepts:
        return
    record = ConfirmShipment(
        reference=commands.key_of(order.system, order.external_id, "confirm_shipment", str(parcel)),
        order=order.external_id,
        number=order.number,
        shipment=shipment.key,
        parcel=parcel,
        shipped_at=shipment.shipped_at or work.now,
        carrier=shipment.carrier,
        tracking=shipment.tracking,
        tracking_url=shipment.tracking_url,
        lines=what,
        complete=whole,
        extras=orders.read(work, order).extras,
    )
    commands.ask(work, order.system, "confirm_shipment", record, order_id=order.id)


def _book(work: Work, order: Row[Any], shipment: Shipment, what: tuple[QuantityLine, ...]) -> None:
    for erp in work.network.ledgers:
        if not order.booked or (erp, "book_shipment") not in work.network.accepts:
            continue
        record = BookShipment(
            reference=commands.key_of(
                order.system, order.external_id, "book_shipment", shipment.key
            ),
            order_reference=order.booked,
            channel=order.system,
            number=order.number,
            shipment=shipment.key,
            shipped_at=shipment.shipped_at or work.now,
            place=work.network.locations[order.location].at.get(erp, ""),
            carrier=shipment.carrier,
            tracking=shipment.tracking,
            lines=what,
        )
        commands.ask(work, erp, "book_shipment", record, order_id=order.id)


def read(work: Work, row: Row[Any]) -> Shipment:
    return from_json(Shipment, work.seal.open(row.doc, aad(row.system, row.external_id)))
