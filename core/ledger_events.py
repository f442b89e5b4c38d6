"""Events that move a warehouse's number and not (yet) the copy a ledger keeps of it.

Each says by how many units the ledger is above the owner because of it. They account
for a difference only together, to the unit: all of those that are still on their way,
and the newest of the rest, since somebody may have corrected the ledger for older ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from core.causes import CAUSES, EXPLAINED
from core.clock import stamp
from core.differences import LOOK_BACK, Part
from core.store import schema as s


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`at`: when the owner's number moved, by our clock."""

    cause: str
    what: str
    units: int
    at: str

    @property
    def part(self) -> Part:
        return Part(cause=self.cause, what=self.what, units=self.units)


def since_its_count(
    connection: Connection, ledger: str, own: Row[Any], read_at: str, now: datetime
) -> Iterator[Event]:
    """Of one SKU at one location, newest first; `read_at`: when the ledger's copy was read."""
    oldest = stamp(now - LOOK_BACK)
    found = [
        *_parcels(connection, ledger, own, read_at, oldest),
        *_returns(connection, own, oldest),
    ]
    return iter(sorted(found, key=lambda one: one.at, reverse=True))


def _parcels(
    connection: Connection, ledger: str, own: Row[Any], read_at: str, oldest: str
) -> Iterator[Event]:
    """Units that left, and that the ledger had not taken off when it was read; and kits, which
    it has taken off as kits."""
    order, command = s.orders.c, s.outbox.c
    key = "truecount:" + order.system + ":" + order.external_id + ":book_shipment:"
    late = or_(command.state != "done", command.done_at > read_at)
    of_kit = and_(s.lines.c.kit != "", s.lines.c.kit != s.lines.c.sku)
    rows = connection.execute(
        select(
            s.shipments.c.external_id,
            s.shipments.c.seen_at,
            command.state,
            of_kit.label("of_kit"),
            late.label("late"),
            func.sum(s.claims.c.units).label("units"),
        )
        .join(s.shipments, s.shipments.c.id == s.claims.c.shipment_id)
        .join(s.lines, s.lines.c.id == s.claims.c.line_id)
        .join(s.orders, order.id == s.claims.c.order_id)
        .join(
            s.outbox,
            and_(command.system == ledger, command.key == key + s.shipments.c.external_id),
        )
        .where(
            s.claims.c.sku == own.sku,
            s.claims.c.location == own.location,
            s.claims.c.state.in_(["shipped", "ended"]),
            s.shipments.c.seen_at >= oldest,
            or_(late, of_kit),
        )
        .group_by(s.shipments.c.id, s.lines.c.kit)
    )
    for row in rows:
        parcel = f"parcel {row.external_id}"
        if row.state in ("dead", "discarded"):
            cause, what = "delivery_refused", f"of {parcel}, book shipment is {row.state}"
        elif row.late:
            what = f"shipped in {parcel}, and not booked when it was read"
            cause = "delivery_not_booked"
        else:
            cause, what = "kit_booked_whole", f"inside kits of {parcel}"
        yield Event(cause=cause, what=what, units=int(row.units), at=row.seen_at)


def _returns(connection: Connection, own: Row[Any], oldest: str) -> Iterator[Event]:
    """Units that lie on the shelf again: no command of ours tells a ledger of them."""
    rows = connection.execute(
        select(s.returns.c.external_id, s.returns.c.custody_at, s.return_lines.c.resellable)
        .join(s.return_lines, s.return_lines.c.return_id == s.returns.c.id)
        .join(s.orders, s.orders.c.id == s.returns.c.order_id)
        .where(
            s.return_lines.c.sku == own.sku,
            s.return_lines.c.resellable > 0,
            s.orders.c.location == own.location,
            s.returns.c.custody_at >= oldest,
        )
    )
    for row in rows:
        what = f"back with return {row.external_id}, and not in the ledger"
        yield Event(
            cause="unposted_return", what=what, units=-int(row.resellable), at=row.custody_at
        )


def accounting_for(units: int, events: Sequence[Event]) -> tuple[Event, ...]:
    """Those that come to exactly these units; () where none do."""
    moving = [one for one in events if one.cause == "delivery_not_booked"]
    settled = [one for one in events if one.cause != "delivery_not_booked"]
    left = units - sum(one.units for one in moving)
    if not left and moving:
        return tuple(moving)
    for count in range(1, len(settled) + 1):
        if sum(one.units for one in settled[:count]) == left:
            return (*moving, *settled[:count])
    return ()


def worst(parts: Sequence[Event]) -> str:
    """The cause of the whole: one that waits for somebody before one that only waits."""
    return next((one.cause for one in parts if CAUSES[one.cause].kind == EXPLAINED), parts[0].cause)
