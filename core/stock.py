"""Stop 4 and 7 for stock: an owner's number arrives; claims end only with evidence.

The one place where a claim ends. It ends in the transaction that accepts a
number which already excludes its units, and remembers which (G7): closing it at
the ship event is the double count every peer has (S2, H15).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert

from core import holds, ledger
from core.clock import stamp, unstamp
from core.errors import Hold
from core.model import StockReading
from core.store.hot import Hot
from core.store.schema import (
    claims,
    copies,
    cursors,
    inbox,
    items,
    lines,
    orders,
    published,
    stock,
)
from core.work import Work

#: Claims that may still have to be subtracted.
LIVE = ("open", "shipped", "missing")
#: Lines whose units were not found: only a later number can be claimed for them.
MISSING = select(claims.c.line_id).where(claims.c.state == "missing")


def take_reading(
    work: Work, system: str, reading: StockReading, began_at: datetime, item: str = ""
) -> str:
    """Accept one reading, or keep it as a copy. Returns what became of it, one word."""
    location = _location(work, system, reading)
    if location is None:
        return "ignored"
    owner = work.network.locations[location].stock_owner
    if owner != system:
        _keep_copy(work, system, reading)
        return "copy"
    source = work.network.sources[system]
    known = _row(work, reading.sku, location)
    old = as_reading(known, unstamp(known.began_at)) if known is not None else None
    new = ledger.Reading(
        on_hand=reading.on_hand,
        available=reading.available,
        counter=reading.counter,
        as_of=reading.as_of,
        began_at=began_at,
    )
    verdict = ledger.compare(old, new, source)
    if verdict == "stale":
        work.count("stock.stale", system)
        return "stale"
    if verdict == "reset":
        raise _reset(system, reading, old)
    ledger.supply_of(new, source)
    _store(work, system, location, reading, new, item or (known.item if known else ""))
    work.steps.add(
        7,
        "stock.read",
        system=system,
        sku=reading.sku,
        location=location,
        units=ledger.supply_of(new, source),
        counter=new.counter,
    )
    know_item(work, system, reading.sku)
    end_claims(work, reading.sku, location)
    claim_shorts(work, reading.sku, location)
    work.sku_changed(reading.sku, "stock")
    return "applied"


def _location(work: Work, system: str, reading: StockReading) -> str | None:
    location = work.network.location_of(system, reading.place)
    if location is not None:
        return location
    if reading.place in work.network.ignored_places.get(system, frozenset()):
        return None
    raise Hold(
        f"{system} reports stock at {reading.place!r}, which is no location of ours",
        cause=f"unknown_place:{system}:{reading.place}",
        next_step="Name it under `locations:` in config.yaml, or under `ignore_places:`.",
    )


def _reset(system: str, reading: StockReading, old: ledger.Reading | None) -> Hold:
    counter = old.counter if old else None
    return Hold(
        f"the stock counter of {system} for {reading.sku} fell from {counter} to {reading.counter}",
        cause=f"counter_reset:{system}",
        next_step="If the warehouse was reinstalled, say so: `truecount accept ID`.",
    )


def forget_counters(work: Work, system: str) -> None:
    """The warehouse counts from the start again: what it said before orders nothing any more.

    Units whose shipment carried an old counter fall back to evidence by request:
    the first reading begun after we saw them leave (H13).
    """
    work.connection.execute(update(stock).where(stock.c.system == system).values(counter=None))
    work.connection.execute(
        update(claims)
        .where(
            claims.c.location.in_(work.network.locations_stocked_by(system)),
            claims.c.state.in_(LIVE),
        )
        .values(accepted_counter=None, shipped_counter=None)
    )


def _keep_copy(work: Work, system: str, reading: StockReading) -> None:
    value = reading.on_hand if reading.on_hand is not None else reading.available
    statement = insert(copies).values(
        system=system,
        number="on_hand",
        key=reading.sku,
        place=reading.place,
        value=str(value),
        read_at=stamp(work.now),
    )
    work.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["system", "number", "key", "place"],
            set_={"value": str(value), "read_at": stamp(work.now)},
        )
    )


def _store(
    work: Work,
    system: str,
    location: str,
    reading: StockReading,
    new: ledger.Reading,
    item: str,
) -> None:
    values: dict[str, Any] = {
        "system": system,
        "item": item,
        "on_hand": new.on_hand,
        "available": new.available,
        "allocated": reading.allocated,
        "counter": new.counter,
        "as_of": stamp(new.as_of) if new.as_of else None,
        "began_at": stamp(new.began_at),
        "read_at": stamp(work.now),
    }
    work.connection.execute(
        insert(stock)
        .values(sku=reading.sku, location=location, **values)
        .on_conflict_do_update(index_elements=["sku", "location"], set_=values)
    )


def know_item(work: Work, system: str, sku: str) -> None:
    """The first sight of a SKU frees the orders that waited for it (S14)."""
    new = work.connection.execute(
        insert(items)
        .values(sku=sku, source=system, first_seen_at=stamp(work.now))
        .on_conflict_do_nothing(index_elements=["sku"])
        .returning(items.c.sku)
    ).one_or_none()
    if new is None:
        return
    for ref in holds.members_of(work, f"unknown_sku:{sku}", "order"):
        work.touched_orders.add(int(ref))


# ------------------------------------------------------------------ reading the ledger


def reading_in_force(work: Work, sku: str, location: str) -> ledger.Reading | None:
    row = _row(work, sku, location)
    if row is None:
        return None
    began = unstamp(row.began_at)
    passed = _last_pass_began(work, row)
    return as_reading(row, max(began, passed) if passed else began)


_READING = Hot(
    select(stock).where(stock.c.sku == bindparam("sku"), stock.c.location == bindparam("location"))
)


def _row(work: Work, sku: str, location: str) -> Row[Any] | None:
    return _READING(work.connection, sku=sku, location=location).one_or_none()


def _last_pass_began(work: Work, row: Row[Any]) -> datetime | None:
    """A complete pass re-reads even what did not change: it too is evidence.

    Unless it found another number that is kept and not applied yet: then the
    number in force is the old one, and the pass says nothing about it.
    """
    if not row.item or work.network.sources[row.system].ordered_by != "request":
        return None
    began = work.connection.execute(
        select(cursors.c.complete_began_at).where(
            cursors.c.system == row.system, cursors.c.resource == "stock_reading"
        )
    ).scalar_one_or_none()
    if began is None:
        return None
    unapplied = work.connection.execute(
        select(inbox.c.seq)
        .where(
            inbox.c.system == row.system,
            inbox.c.topic == "stock_reading",
            inbox.c.identity.between(f"{row.item}@", f"{row.item}A"),  # `@` ends the object's id
            inbox.c.state.in_(("pending", "held")),
            inbox.c.read_began_at > row.began_at,
        )
        .limit(1)
    ).one_or_none()
    return None if unapplied else unstamp(began)


def channel_moved(work: Work, system: str, skus: Iterable[str]) -> None:
    """The channel counted its own number down (or up): what it acknowledged is no longer shown.

    Without this, one unit sold there and one received here look like no change.
    """
    wanted = sorted(set(skus))
    work.connection.execute(
        update(published)
        .where(published.c.system == system, published.c.sku.in_(wanted), published.c.words == "")
        .values(words="moved by the channel's own orders")
    )
    for sku in wanted:
        work.sku_changed(sku, "order")


def as_reading(row: Row[Any], began_at: datetime) -> ledger.Reading:
    return ledger.Reading(
        on_hand=row.on_hand,
        available=row.available,
        counter=row.counter,
        as_of=unstamp(row.as_of) if row.as_of else None,
        began_at=began_at,
    )


def as_claim(row: Row[Any]) -> ledger.Claim:
    return ledger.Claim(
        units=row.units,
        state=row.state,
        accepted=_mark(row.accepted_at, row.accepted_counter, row.accepted_as_of),
        shipped=_mark(row.shipped_seen_at, row.shipped_counter, row.shipped_as_of),
    )


def _mark(seen_at: str | None, counter: int | None, as_of: str | None) -> ledger.Mark | None:
    if seen_at is None:
        return None
    return ledger.Mark(
        seen_at=unstamp(seen_at), counter=counter, as_of=unstamp(as_of) if as_of else None
    )


_LIVE_CLAIMS = Hot(
    select(claims)
    .where(
        claims.c.sku == bindparam("sku"),
        claims.c.location == bindparam("location"),
        claims.c.state.in_([literal_column(f"'{state}'") for state in LIVE]),
    )
    .order_by(claims.c.id)
)


def live_claims(work: Work, sku: str, location: str) -> Sequence[Row[Any]]:
    return _LIVE_CLAIMS(work.connection, sku=sku, location=location).all()


def terms_of(work: Work, sku: str, location: str) -> ledger.Terms:
    """Every term of what this location may sell of this SKU, now."""
    return ledger.terms(
        reading_in_force(work, sku, location),
        [as_claim(row) for row in live_claims(work, sku, location)],
        safety_stock=work.network.locations[location].safety_stock,
        source=work.network.source_of(location),
    )


def sellable_of(
    work: Work, skus: Iterable[str], locations: Collection[str]
) -> dict[tuple[str, str], int]:
    wanted = sorted(set(skus))  # one order for everybody: no deadlocks on PostgreSQL
    return {(s, place): terms_of(work, s, place).sellable for s in wanted for place in locations}


# ------------------------------------------------------------------ claims that end or begin


def end_claims(work: Work, sku: str, location: str) -> None:
    """End every shipped claim that the number in force excludes, with its evidence."""
    reading = reading_in_force(work, sku, location)
    if reading is None:
        return
    source = work.network.source_of(location)
    for row in live_claims(work, sku, location):
        evidence = ledger.may_end(as_claim(row), reading, source)
        if evidence:
            _end(work, row, evidence)


def _end(work: Work, row: Row[Any], evidence: str) -> None:
    missing = row.state == "missing"
    work.connection.execute(
        update(claims)
        .where(claims.c.id == row.id)
        .values(
            state="released" if missing else "ended", ended_at=stamp(work.now), evidence=evidence
        )
    )
    if missing:
        return  # its units became short when the warehouse said so
    work.connection.execute(
        update(lines)
        .where(lines.c.id == row.line_id)
        .values(claimed=lines.c.claimed - row.units, consumed=lines.c.consumed + row.units)
    )
    work.touched_orders.add(row.order_id)
    work.steps.add(
        7,
        "claim.ended",
        order_id=row.order_id,
        sku=row.sku,
        location=row.location,
        units=row.units,
        evidence=evidence,
    )


def end_claims_of_pass(work: Work, system: str) -> None:
    """A complete pass is evidence for sources ordered by request: end what it excludes."""
    locations = work.network.locations_stocked_by(system)
    rows = work.connection.execute(
        select(claims.c.sku, claims.c.location)
        .where(claims.c.location.in_(locations), claims.c.state.in_(("shipped", "missing")))
        .distinct()
    ).all()
    for row in rows:
        end_claims(work, row.sku, row.location)
        work.freed.add((row.sku, row.location))
        work.sku_changed(row.sku, "evidence")


def claim_shorts(work: Work, sku: str, location: str) -> None:
    """Units that became free go to short lines, oldest order first."""
    rows = work.connection.execute(
        select(lines.c.id, lines.c.order_id, lines.c.short)
        .join(orders, orders.c.id == lines.c.order_id)
        .where(
            lines.c.sku == sku,
            lines.c.short > 0,
            orders.c.location == location,
            orders.c.state.in_(["captured", "held"]),
            lines.c.id.not_in(MISSING),
        )
        .order_by(orders.c.placed_at, lines.c.id)
    ).all()
    if not rows:
        return
    free = terms_of(work, sku, location).sellable
    for line_id, units in ledger.unclaimed(free, {row.id: row.short for row in rows}).items():
        order_id = next(row.order_id for row in rows if row.id == line_id)
        open_claim(
            work, order_id=order_id, line_id=line_id, sku=sku, location=location, units=units
        )
        work.touched_orders.add(order_id)


_OPEN_CLAIM = Hot(
    insert(claims).values(
        {
            name: bindparam(name)
            for name in ("order_id", "line_id", "sku", "location", "units", "opened_at")
        }
    )
)
_LINE_CLAIMED = Hot(
    update(lines)
    .where(lines.c.id == bindparam("line"))
    .values(claimed=lines.c.claimed + bindparam("part"), short=lines.c.short - bindparam("part"))
)


def open_claim(
    work: Work, *, order_id: int, line_id: int, sku: str, location: str, units: int
) -> None:
    """Set units aside for a line that is short of them."""
    _OPEN_CLAIM(
        work.connection,
        order_id=order_id,
        line_id=line_id,
        sku=sku,
        location=location,
        units=units,
        opened_at=stamp(work.now),
    )
    _LINE_CLAIMED(work.connection, line=line_id, part=units)
    work.sku_changed(sku, "claim")
    work.steps.add(4, "order.claimed", order_id=order_id, sku=sku, location=location, units=units)
