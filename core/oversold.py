"""What is promised beyond the owner's number, kept until it is not any more (G6, H18).

Offers fall to zero with the number itself. The exception waits a little: a shelf
is often read before the parcel is heard of that emptied it, and then nothing is
wrong. It is one when the owner's stock and the parcels of whoever ships there
were read completely, beginning after the number was seen, and all of that is
decided. It ends by itself, and names the orders that are in danger until then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from core import holds, inbox, ledger, stock
from core.clock import stamp, unstamp
from core.store.hot import Hot, HotList
from core.store.schema import claims, cursors, orders, oversold
from core.store.schema import stock as stock_table
from core.work import Work

CAUSE = "oversold:"
#: Who is in danger: orders, by their number; where there are none, the SKU itself.
ORDER, SKU = "endangered", "sku"
#: Changes after which no more is promised beyond a number than before.
_HARMLESS = frozenset({"claim", "order", "release", "listing", "configuration"})
#: What has to be read, and of whom, before the exception opens.
_HEARD = (("stock_reading", "stock_owner"), ("shipment", "ships"))


def look(work: Work) -> None:
    """Judge every SKU this unit changed, if it may be oversold now or was until now."""
    known = {(row.sku, row.location) for row in _KNOWN(work.connection)}
    skus = sorted(sku for sku, why in work.changed.items() if why not in _HARMLESS)
    places = {place for place in known if place[0] in work.changed}
    if skus:
        for question in (_CLAIMED, _BELOW_ZERO):
            places |= {(row.sku, row.location) for row in question(work.connection, skus)}
    for sku, location in sorted(places):
        _judge(work, sku, location, known=(sku, location) in known)


_KNOWN = Hot(select(oversold.c.sku, oversold.c.location))
_UNCONFIRMED = Hot(select(oversold).where(oversold.c.confirmed_at.is_(None)))
_CLAIMED = HotList(
    lambda skus: (
        select(claims.c.sku, claims.c.location)
        .where(
            claims.c.sku.in_(skus),
            claims.c.state.in_([literal_column(f"'{state}'") for state in stock.LIVE]),
        )
        .distinct()
    )
)
_ZERO: ColumnElement[int] = literal_column("0")
_BELOW_ZERO = HotList(
    lambda skus: select(stock_table.c.sku, stock_table.c.location).where(
        stock_table.c.sku.in_(skus),
        or_(stock_table.c.on_hand < _ZERO, stock_table.c.available < _ZERO),
    )
)


def _judge(work: Work, sku: str, location: str, *, known: bool) -> None:
    is_ours = location in work.network.locations  # it may have left the configuration
    terms = stock.terms_of(work, sku, location) if is_ours else None
    if terms is not None and terms.oversold:
        _remember(work, sku, location, terms)
    elif known:
        work.connection.execute(delete(oversold).filter_by(sku=sku, location=location))
        _close(work, sku, location)


def _remember(work: Work, sku: str, location: str, terms: ledger.Terms) -> None:
    row = work.connection.execute(
        insert(oversold)
        .values(sku=sku, location=location, units=terms.oversold, since=stamp(work.now))
        .on_conflict_do_update(index_elements=["sku", "location"], set_={"units": terms.oversold})
        .returning(oversold)
    ).one()
    if row.confirmed_at is not None:
        _open(work, row, terms)


# ------------------------------------------------------------------ the exception


def confirm(work: Work, system: str) -> None:
    """A pass of this system has ended: which of these can no parcel explain any more?"""
    for row in _UNCONFIRMED(work.connection).all():
        place = work.network.locations.get(row.location)
        if place is None or system not in (place.stock_owner, place.ships):
            continue
        if all(_was_heard(work, row, getattr(place, who), what) for what, who in _HEARD):
            work.connection.execute(
                update(oversold)
                .where(oversold.c.sku == row.sku, oversold.c.location == row.location)
                .values(confirmed_at=stamp(work.now))
            )
            _open(work, row, stock.terms_of(work, row.sku, row.location))


def _was_heard(work: Work, row: Row[Any], system: str, resource: str) -> bool:
    """Read completely, begun after the number was seen and had settled, and all of it decided."""
    began = work.connection.execute(
        select(cursors.c.complete_began_at).where(
            cursors.c.system == system, cursors.c.resource == resource
        )
    ).one_or_none()
    if began is None:
        return True  # it is not read; what it says comes by itself
    source = work.network.source_of(row.location)
    settled = unstamp(row.since) + timedelta(seconds=source.settle_s)
    if began[0] is None or unstamp(began[0]) <= settled:
        return False
    return not inbox.waits(work.connection, system, resource)


def _cause(sku: str, location: str) -> str:
    return f"{CAUSE}{sku}:{location}"


def _open(work: Work, row: Row[Any], terms: ledger.Terms) -> None:
    """Its reason and its members follow the numbers; an order out of danger leaves."""
    sku, location = row.sku, row.location
    owner = work.network.locations[location].stock_owner
    cause = _cause(sku, location)
    reason = (
        f"{sku} is oversold by {terms.oversold} at {location}: {owner} says {terms.supply},"
        f" and {terms.claimed} are promised of it"
    )
    members = [
        (ORDER, str(one.id), f"{one.system}:{one.number}")
        for one in endangered(work.connection, sku, location, terms.oversold)
    ] or [(SKU, f"{sku} {location}", f"{sku} at {location}")]
    for member, ref, label in members:
        holds.open_hold(
            work,
            cause=cause,
            system=owner,
            reason=reason,
            next_step="Count the shelf and correct the warehouse, buy more, or cancel an order on"
            " its channel; this closes by itself.",
            member=member,
            ref=ref,
            label=label,
        )
    holds.say(work, cause, reason)
    _close(work, sku, location, but=[(member, ref) for member, ref, _ in members])


def _close(work: Work, sku: str, location: str, but: Collection[tuple[str, str]] = ()) -> None:
    cause = _cause(sku, location)
    for member in (ORDER, SKU):
        for ref in holds.members_of(work, cause, member):
            if (member, ref) not in but:
                holds.close_cause(work, cause, member, ref)


_OPEN_CLAIMS = Hot(
    select(orders.c.id, orders.c.system, orders.c.number, claims.c.units)
    .join(orders, orders.c.id == claims.c.order_id)
    .where(
        claims.c.sku == bindparam("sku"),
        claims.c.location == bindparam("location"),
        claims.c.state == literal_column("'open'"),
    )
    .order_by(orders.c.placed_at.desc(), claims.c.id.desc())
)


def endangered(connection: Connection, sku: str, location: str, units: int) -> list[Row[Any]]:
    """The youngest orders whose units are not there: who sold last is short first."""
    named: dict[int, Row[Any]] = {}
    for row in _OPEN_CLAIMS(connection, sku=sku, location=location):
        if units <= 0:
            break
        named.setdefault(row.id, row)
        units -= row.units
    return list(named.values())


def confirmed(connection: Connection) -> Sequence[Row[Any]]:
    return connection.execute(
        select(oversold)
        .where(oversold.c.confirmed_at.is_not(None))
        .order_by(oversold.c.since, oversold.c.sku, oversold.c.location)
    ).all()
