"""Stop 4 and 7 for stock: what may be sold of a SKU; claims begin, and end only with evidence.

The one place where a claim ends. It ends in the transaction that takes up a
number (`core.readings`) which already excludes its units, and remembers which
(G7): closing it at the ship event is the double count every peer has (S2, H15).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    bindparam,
    func,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from core import claim_moves, holds, inbox, kit_lines, ledger, routing, spellings
from core.clock import stamp, unstamp
from core.store.hot import Hot
from core.store.schema import (
    claims,
    cursors,
    items,
    lines,
    orders,
    outbox,
    published,
    stock,
)
from core.work import Work

#: Claims that may still have to be subtracted.
LIVE = ("open", "shipped", "missing")
#: Lines that wait for units; written so that its index is found.
IS_SHORT = lines.c.short > literal_column("0")
#: The cause that holds an order of a SKU nobody has told us of.
UNKNOWN = "unknown_sku:"
#: The same for a kit.
UNKNOWN_COMPONENT = "unknown_component:"
#: Lines whose units were not found: only a later number can be claimed for them.
MISSING = select(claims.c.line_id).where(claims.c.state == literal_column("'missing'"))


def know_items(work: Work, system: str, skus: Iterable[str]) -> None:
    """The first sight of SKUs that nobody waits for."""
    skus = list(skus)
    spellings.see_many(work, skus)
    at = stamp(work.now)
    _KNOW.many(
        work.connection, [{"sku": sku, "source": system, "first_seen_at": at} for sku in skus]
    )


_KNOWN_ONCE = (
    insert(items)
    .values({name: bindparam(name) for name in ("sku", "source", "first_seen_at")})
    .on_conflict_do_nothing(index_elements=["sku"])
)
_KNOW = Hot(_KNOWN_ONCE)
_KNOW_ONE = Hot(_KNOWN_ONCE.returning(items.c.sku))


def know_item(work: Work, system: str, sku: str) -> None:
    """The first sight of a SKU frees the orders that waited for it (S14)."""
    at = stamp(work.now)
    new = _KNOW_ONE(work.connection, sku=sku, source=system, first_seen_at=at).one_or_none()
    if new is None:
        return
    spellings.see(work, sku)
    for ref in holds.members_of(work, f"{UNKNOWN}{sku}", "order"):
        work.touched_orders.add(int(ref))
    for kit in work.network.items.used_by(sku):
        holds.close_cause(work, f"{UNKNOWN_COMPONENT}{sku}", "kit", kit)


# ------------------------------------------------------------------ reading the ledger


def reading_in_force(work: Work, sku: str, location: str) -> ledger.Reading | None:
    """The number, as late as anything proves it to be."""
    row = row_of(work, sku, location)
    if row is None:
        return None
    began = unstamp(row.began_at)
    confirmed = unstamp(row.confirmed_at) if row.confirmed_at else began
    return as_reading(row, max(began, confirmed))


_READING = Hot(
    select(stock).where(stock.c.sku == bindparam("sku"), stock.c.location == bindparam("location"))
)


def row_of(work: Work, sku: str, location: str) -> Row[Any] | None:
    return _READING(work.connection, sku=sku, location=location).one_or_none()


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
        moved=row.moved,
        doubt=row.waiting + row.doubt,
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


def _claims_of(
    work: Work, sku: str, location: str, source: ledger.Source
) -> Iterator[ledger.Claim]:
    """The live claims, those that nothing can exclude yet as one: a flash sale leaves
    thousands of them on one SKU, and each new order asks for their sum (H46)."""
    plain, marked = _SUMS[source.basis]
    units = plain(work.connection, sku=sku, location=location).scalar_one()
    if units:
        yield ledger.Claim(units=units)
    for row in marked(work.connection, sku=sku, location=location):
        yield as_claim(row)


def _sums(mark: ColumnElement[bool]) -> tuple[Hot, Hot]:
    live = claims.c.state.in_([literal_column(f"'{state}'") for state in LIVE])
    here = (claims.c.sku == bindparam("sku"), claims.c.location == bindparam("location"), live)
    return (
        Hot(select(func.coalesce(func.sum(claims.c.units), 0)).where(*here, not_(mark))),
        Hot(select(claims).where(*here, mark)),
    )


_SHIPPED = claims.c.shipped_seen_at.is_not(None)
#: What can exclude a claim, by the basis of the number it is subtracted from.
_SUMS: Mapping[ledger.Basis, tuple[Hot, Hot]] = {
    "on_hand": _sums(_SHIPPED),
    "available": _sums(or_(_SHIPPED, claims.c.accepted_at.is_not(None))),
}


def terms_of(work: Work, sku: str, location: str) -> ledger.Terms:
    """Every term of what this location may sell of this SKU, now."""
    reading, source = reading_in_force(work, sku, location), work.network.source_of(location)
    supply = 0 if reading is None else ledger.supply_of(reading, source)
    return ledger.terms(
        reading,
        _claims_of(work, sku, location, source),
        safety_stock=work.network.safety_stock(sku, location, supply),
        source=source,
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
        if evidence and (row.state != "missing" or _parcels_are_heard(work, row)):
            _end(work, row, evidence)


def _parcels_are_heard(work: Work, row: Row[Any]) -> bool:
    """Were all parcels read since the last one, and decided? Until then what is missing in it
    may have left in an earlier one, and would be asked for twice (S10)."""
    return row.shipped_seen_at is None or _heard_since(work, row.location, row.shipped_seen_at)


def _heard_since(work: Work, location: str, at: str) -> bool:
    ships = work.network.locations[location].ships
    began = _PARCELS_READ(work.connection, system=ships).one_or_none()
    if began is None:
        return True  # they are not read; what is said of them comes by itself
    if began[0] is None or began[0] <= at:
        return False
    return not inbox.waits(work.connection, ships, "shipment")


def is_heard_of(work: Work, row: Row[Any]) -> bool:
    """Was every parcel read since the warehouse let this order be, and decided? A part may have
    left just before: it would be sold, or asked for, once more (S15)."""
    at = _LET_GO(work.connection, order_id=row.id).scalar_one()
    return at is None or _heard_since(work, row.location, at)


_LET_GO = Hot(
    select(func.max(outbox.c.done_at)).where(
        outbox.c.order_id == bindparam("order_id"),
        outbox.c.kind == literal_column("'cancel_fulfillment'"),
        outbox.c.state == literal_column("'done'"),
    )
)


_PARCELS_READ = Hot(
    select(cursors.c.complete_began_at).where(
        cursors.c.system == bindparam("system"),
        cursors.c.resource == literal_column("'shipment'"),
    )
)


def after_parcels(work: Work, system: str) -> None:
    """All parcels of this warehouse were read: what it did not find may be claimed anew."""
    for row in _MISSING_UNITS(work.connection).all():
        place = work.network.locations.get(row.location)
        if place is not None and place.ships == system:
            end_claims(work, row.sku, row.location)


_MISSING_UNITS = Hot(
    select(claims.c.sku, claims.c.location)
    .where(claims.c.state == literal_column("'missing'"))
    .distinct()
    .order_by(claims.c.sku, claims.c.location)
)


def _end(work: Work, row: Row[Any], evidence: str) -> None:
    work.freed.add((row.sku, row.location))
    missing = row.state == "missing"
    claim_moves.move(
        work,
        row,
        "released" if missing else "ended",
        values={"ended_at": stamp(work.now), "evidence": evidence},
        evidence=evidence,
    )
    if missing:
        return  # its units became short when the warehouse said so
    work.connection.execute(
        update(lines)
        .where(lines.c.id == row.line_id)
        .values(claimed=lines.c.claimed - row.units, consumed=lines.c.consumed + row.units)
    )
    work.touched_orders.add(row.order_id)


def claim_shorts(work: Work, sku: str, location: str) -> None:
    """Units that became free go to short lines, oldest order first; of kits to whole ones."""
    rows = _SHORT_LINES(work.connection, sku=sku, location=location).all()
    if not rows:
        return
    known = {row.id: row for one in rows for row in _with_its_kit(work, one)}
    missing = set(work.connection.execute(MISSING).scalars()) if len(known) > len(rows) else ()
    wishes = wishes_of(known.values(), missing)
    free = sellable_of(work, (wish.sku for wish in wishes), (location,))
    for line_id, units in routing.cover(wishes, free, location).claimed.items():
        row = known[line_id]
        open_claim(
            work, order_id=row.order_id, line_id=row.id, sku=row.sku, location=location, units=units
        )
        work.touched_orders.add(row.order_id)


_SHORT_LINES = Hot(
    select(lines)
    .join(orders, orders.c.id == lines.c.order_id)
    .where(
        lines.c.sku == bindparam("sku"),
        IS_SHORT,
        orders.c.location == bindparam("location"),
        orders.c.state.in_([literal_column(f"'{state}'") for state in ("captured", "held")]),
        # What the warehouse packs already nobody would ask it for.
        orders.c.asked == literal_column("''"),
        lines.c.id.not_in(MISSING),
    )
    .order_by(orders.c.placed_at, lines.c.id)
)


def _with_its_kit(work: Work, row: Row[Any]) -> Sequence[Row[Any]]:
    """The row, and where it is a component, all rows of its kit line."""
    if not row.kit:
        return (row,)
    key = kit_lines.key_of(row)
    return work.connection.execute(
        select(lines)
        .where(lines.c.order_id == row.order_id, or_(lines.c.key == key, lines.c.parent == key))
        .order_by(lines.c.id)
    ).all()


def wishes_of(rows: Iterable[Row[Any]], missing: Collection[int]) -> list[routing.Wish]:
    """What these lines are short of. Units that were not found wait for a later number, and
    their whole kit waits with them."""
    own = [row for row in rows if row.short and row.shippable]
    waiting = {(row.order_id, kit_lines.key_of(row)) for row in own if row.id in missing}
    return [
        routing.Wish(
            line_id=row.id,
            sku=row.sku,
            units=row.short,
            kit=(row.order_id, kit_lines.key_of(row)) if row.kit else None,
            factor=row.factor,
        )
        for row in own
        if (row.order_id, kit_lines.key_of(row)) not in waiting
    ]


_LINE_CLAIMED = Hot(
    update(lines)
    .where(lines.c.id == bindparam("line"))
    .values(claimed=lines.c.claimed + bindparam("part"), short=lines.c.short - bindparam("part"))
)


def open_claim(
    work: Work, *, order_id: int, line_id: int, sku: str, location: str, units: int
) -> None:
    """Set units aside for a line that is short of them."""
    claim_moves.begin(
        work, order_id=order_id, line_id=line_id, sku=sku, location=location, units=units
    )
    _LINE_CLAIMED(work.connection, line=line_id, part=units)
    work.sku_changed(sku, "claim")
