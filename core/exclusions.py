"""What a comparison leaves out, by rule and number: a count is evidence, silence is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from core.clock import Window, stamp
from core.compare_others import OURS
from core.differences import LOOK_BACK
from core.lifecycle import State
from core.network import Network
from core.store import schema as s

View = dict[str, Any]


def exclusions(connection: Connection, network: Network, window: Window) -> list[View]:
    """[{rule, system, count}], nothing that is zero."""
    found = [
        *_listings(connection, network),
        *_copies(connection, network),
        *_documents(connection),
        *_orders(connection, window),
    ]
    return [{"rule": rule, "system": system, "count": n} for rule, system, n in found if n]


def _listings(connection: Connection, network: Network) -> Iterator[tuple[str, str, int]]:
    own = s.listings.c
    rows = connection.execute(
        select(own.system, own.place, own.active, func.count().label("n"))
        .group_by(own.system, own.place, own.active)
        .order_by(own.system, own.place, own.active)
    )
    for row in rows:
        if not row.active:
            yield "listings that are not offered any more", row.system, row.n
        elif not network.serving_place(row.system, row.place):
            yield (
                f"listings at {row.place or row.system}, which no location serves",
                row.system,
                row.n,
            )


def _copies(connection: Connection, network: Network) -> Iterator[tuple[str, str, int]]:
    own, owner = s.copies.c, s.stock.c
    known = {(r.sku, r.location) for r in connection.execute(select(owner.sku, owner.location))}
    without: dict[str, int] = {}
    rows = connection.execute(select(own.system, own.key, own.place).where(own.number == "on_hand"))
    for row in rows:
        if (row.key, network.location_of(row.system, row.place)) not in known:
            without[row.system] = without.get(row.system, 0) + 1
    for system, n in sorted(without.items()):
        yield "stock copies of which no warehouse has a number", system, n


def _documents(connection: Connection) -> Iterator[tuple[str, str, int]]:
    own = s.documents.c
    rows = connection.execute(
        select(own.system, func.count().label("n"))
        .where(own.order_id.is_(None), ~own.reference.startswith(OURS, autoescape=True))
        .group_by(own.system)
        .order_by(own.system)
    )
    for row in rows:
        yield "documents that carry no reference of ours", row.system, row.n


def _orders(connection: Connection, window: Window) -> Iterator[tuple[str, str, int]]:
    own = s.orders.c
    oldest = stamp(window.start - LOOK_BACK)
    unbooked = (own.state == State.CANCELLED.value, own.booked == "")
    days = LOOK_BACK.days
    for rule, where in (
        (f"orders placed more than {days} days before the day", (own.placed_at < oldest,)),
        ("orders placed after the day", (own.placed_at >= stamp(window.end),)),
        ("orders cancelled before they were booked", (*unbooked, own.placed_at >= oldest)),
    ):
        rows: list[Row[Any]] = list(
            connection.execute(
                select(own.system, func.count().label("n"))
                .where(*where)
                .group_by(own.system)
                .order_by(own.system)
            )
        )
        for row in rows:
            yield rule, row.system, row.n
