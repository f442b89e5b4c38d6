"""Stop 7, closed: a parcel as the channel and the ledger are told of it.

They know the lines of the order, not what a warehouse packs: a kit is told of when
the last component of it has left, and every system hears its own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from core import commands, endings, kit_lines, order_rows
from core.model import BookShipment, ConfirmShipment, Order, QuantityLine, Shipment
from core.work import Work


def tell(
    work: Work,
    order: Row[Any],
    shipment: Shipment,
    parcel: int,
    shipped: Sequence[Mapping[str, Any]],
) -> None:
    """Tracking to the channel, delivery and cost to the ledger; of a part of a kit to nobody.

    `shipped`: for each claim that left its line, its SKU, its units, and what was said `of` it.
    """
    what = _per_line(work, order.id, shipped)
    if what:
        whole = endings.all_left(work, order.id)
        _confirm(work, order, shipment, parcel, what, whole)
        _book(work, order, shipment, what)


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
    doc = order_rows.read(work, order)
    if doc.cancelled_at is not None:
        return  # it would refuse it, and a person expects the parcel back (S15)
    record = ConfirmShipment(
        reference=commands.key_of(order.system, order.external_id, "confirm_shipment", str(parcel)),
        order=order.external_id,
        number=order.number,
        shipment=shipment.key,
        parcel=parcel,
        shipped_at=_not_before(doc, shipment.shipped_at or work.now),
        carrier=shipment.carrier,
        tracking=shipment.tracking,
        tracking_url=shipment.tracking_url,
        lines=_in_its_words(doc, what),
        complete=whole,
        extras=doc.extras,
    )
    commands.ask(work, order.system, "confirm_shipment", record, order_id=order.id)


def _not_before(doc: Order, shipped_at: datetime) -> datetime:
    """The warehouse's clock may be behind the channel's, which refuses what left before it was
    ordered there (G18)."""
    return max(shipped_at, doc.placed_at)


def _in_its_words(doc: Order, what: tuple[QuantityLine, ...]) -> tuple[QuantityLine, ...]:
    """The channel hears of its own SKUs (H45)."""
    words = {line.key: line.their_sku for line in doc.lines if line.their_sku}
    return tuple(replace(one, sku=words.get(one.line, one.sku)) for one in what) if words else what


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


def _per_line(
    work: Work, order_id: int, shipped: Sequence[Mapping[str, Any]]
) -> tuple[QuantityLine, ...]:
    """What left, as channel and ledger know it: plain lines with their lots, and whole kits."""
    units: dict[tuple[str, str, str, str], int] = {}
    of_kits: dict[int, int] = {}
    for part in shipped:
        line, of = part["line"], part["of"]
        if line.factor and line.kit not in ("", line.sku):
            of_kits[line.id] = of_kits.get(line.id, 0) + part["units"]
            continue
        key = (kit_lines.key_of(line), part["sku"], of.lot, of.expires_on)
        units[key] = units.get(key, 0) + part["units"]
    plain = tuple(
        QuantityLine(line=line, sku=sku, quantity=quantity, lot=lot, expires_on=expires_on)
        for (line, sku, lot, expires_on), quantity in units.items()
    )
    return plain + (_whole_kits(work, order_id, of_kits) if of_kits else ())


def _whole_kits(work: Work, order_id: int, parcel: dict[int, int]) -> tuple[QuantityLine, ...]:
    """Kits of which this parcel carried the last component; a part of one is told of nobody."""
    lines_of_kits = kit_lines.by_line(r for r in order_rows.lines_of(work, order_id) if r.kit)
    found = []
    for key, rows in lines_of_kits.items():
        if not any(row.id in parcel for row in rows):
            continue
        left = kit_lines.left_of(work, rows)
        before = {row.id: left.get(row.id, 0) - parcel.get(row.id, 0) for row in rows}
        kits = kit_lines.whole(rows, left) - kit_lines.whole(rows, before)
        if kits:
            found.append(QuantityLine(line=key, sku=rows[0].kit, quantity=kits))
    return tuple(found)
