"""An order as rows: found, read, written. Nothing here decides.

One row for the order, with its document sealed, and one for each line with its
units: ordered = claimed + short + consumed + cancelled (G6).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from core import kit_lines, lifecycle
from core.clock import stamp
from core.codec import from_json, to_json
from core.lifecycle import State
from core.model import Address, Collector, DeadlineKind, Order, OrderLine
from core.store.hot import Hot
from core.store.schema import lines, orders, shipments
from core.work import Work


def aad(system: str, external_id: str) -> bytes:
    """What ties the sealed document of an order to its row: it opens nowhere else."""
    return f"order:{system}:{external_id}".encode()


def find(work: Work, system: str, external_id: str) -> Row[Any] | None:
    """The row of the order with this id of its channel; None if it was never captured."""
    return _FIND(work.connection, system=system, external_id=external_id).one_or_none()


def named(work: Work, name: str) -> Row[Any] | None:
    """The one order of any channel with this id or number; None where it is nobody's, or two's."""
    rows = work.connection.execute(
        select(orders).where((orders.c.external_id == name) | (orders.c.number == name)).limit(2)
    ).all()
    return rows[0] if len(rows) == 1 else None


def by_id(work: Work, order_id: int) -> Row[Any]:
    """The row as it is now; one read earlier may be old. NoResultFound if there is none."""
    return _BY_ID(work.connection, order_id=order_id).one()


_BY_ID = Hot(select(orders).where(orders.c.id == bindparam("order_id")))
_FIND = Hot(
    select(orders).where(
        orders.c.system == bindparam("system"), orders.c.external_id == bindparam("external_id")
    )
)


def read(work: Work, row: Row[Any]) -> Order:
    """The order as its channel last said it; after retention without its buyer.

    Unreadable if the document does not open here, InvariantBroken if it is no order.
    """
    return from_json(Order, work.seal.open(row.doc, aad(row.system, row.external_id)))


def without_buyer(order: Order) -> Order:
    """The same order without the person: what stays when retention ends."""
    return replace(order, ship_to=Address(country=order.ship_to.country), email="")


def columns(work: Work, system: str, order: Order) -> dict[str, Any]:
    """What a revision says, as columns: the document sealed, amounts in minor units.

    Not among them: who it is, its state, and what we did about it.
    """
    doc = to_json(order)
    ship_by = [d.at for d in order.deadlines if d.kind is DeadlineKind.SHIP]
    return {
        "number": order.number,
        "revision": order.revision,
        "payment": order.payment.value,
        "currency": order.currency,
        "total_minor": order.total.minor,
        "channel_tax_minor": lifecycle.tax_total(order, Collector.MARKETPLACE).minor,
        "tax_minor": lifecycle.tax_total(order).minor,
        "units": sum(line.quantity for line in order.lines),
        "cancelled_at": stamp(order.cancelled_at) if order.cancelled_at else None,
        "placed_at": stamp(order.placed_at),
        "changed_at": stamp(work.now),
        "ship_by": stamp(min(ship_by)) if ship_by else None,
        "doc": work.seal.seal(doc, aad(system, order.key)),
        "doc_hash": hashlib.sha256(doc).hexdigest(),
    }


def insert_line(work: Work, order_id: int, line: OrderLine) -> None:
    """A new line of an order: its units are short until a claim covers them."""
    if work.network.items.is_kit(line.sku):
        kit_lines.add(work, order_id, line, work.network.needs(line.sku))
        return
    units = line.quantity if line.shippable else 0  # a gift card never reaches a warehouse
    _NEW_LINE(
        work.connection,
        order_id=order_id,
        key=line.key,
        sku=line.sku,
        ordered=units,
        short=units,
        shippable=int(line.shippable),
    )


_NEW_LINE = Hot(
    insert(lines).values(
        {
            name: bindparam(name)
            for name in ("order_id", "key", "sku", "ordered", "short", "shippable")
        }
    )
)
_LINES_OF = Hot(select(lines).where(lines.c.order_id == bindparam("order_id")).order_by(lines.c.id))


def lines_of(work: Work, order_id: int) -> list[Row[Any]]:
    """Its lines with their units as they are now, oldest first; empty if there is no such order."""
    return list(_LINES_OF(work.connection, order_id=order_id))


def difference(
    work: Work, order_id: int, order: Order, own: list[Row[Any]] | None = None
) -> dict[str, int]:
    """By how many units each line of the channel is more than ours, or fewer; equal ones left out.

    Ours are what has left, is claimed or is short. Of a kit the component that differs most.
    """
    more = lifecycle.wanted(order)
    own = lines_of(work, order_id) if own is None else own
    for key, rows in kit_lines.by_line(own).items():
        wanted = more.get(key, 0)
        differ = [wanted * row.factor - (row.ordered - row.cancelled) for row in rows]
        parts = zip(rows, differ, strict=True)
        more[key] = max((kit_lines.of_line(row, units) for row, units in parts), key=abs)
    return {key: units for key, units in more.items() if units}


def has_parcel(work: Work, order_id: int) -> bool:
    """Something of it has left because we asked for it."""
    parcel = select(shipments.c.id).where(shipments.c.order_id == order_id).limit(1)
    return work.connection.execute(parcel).one_or_none() is not None


def set_state(work: Work, row: Row[Any], state: State) -> None:
    """Change the state, if it is another. AssertionError where `lifecycle.NEXT` forbids it."""
    if row.state == state:
        return
    assert state in lifecycle.NEXT[State(row.state)], f"{row.state} does not become {state}"
    work.connection.execute(
        update(orders)
        .where(orders.c.id == row.id)
        .values(state=state.value, changed_at=stamp(work.now))
    )
