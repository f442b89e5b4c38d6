"""Stop 7, closed: a number of stock arrives, and is taken up, doubted, or kept as a copy.

From its owner and newer than the number in force, it is taken up in one
transaction with all that follows: claims it excludes end, units it frees go to
whoever is short. A number that can hardly be true is held and asked about, and
the one in force stays (S38). What is not for sale is shown and never added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, bindparam, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert

from core import doubts, holds, in_force, inbox, ledger, lots, movements, stock, unsold
from core.clock import stamp, unstamp
from core.copies import keep_copies
from core.doubts import Came
from core.errors import Hold
from core.model import StockMovement, StockReading
from core.store.hot import Hot
from core.store.schema import claims
from core.store.schema import inbox as inbox_table
from core.store.schema import stock as stock_table
from core.work import Work


def came_of(row: Row[Any]) -> Came:
    """How an inbox row came."""
    return Came(
        began_at=unstamp(row.read_began_at or row.received_at),
        item=row.external_id,
        in_pass=row.via in ("sweep", inbox.ABSENCE),
        accepted=bool(row.accepted),
    )


# ------------------------------------------------------------------ an absolute number


def take_reading(work: Work, system: str, reading: StockReading, came: Came) -> str:
    """Accept one reading, or keep it as a copy. Returns what became of it, one word."""
    location = location_of(work, system, reading.place)
    if location is None:
        return "ignored"
    if reading.lot:
        return lots.keep(work, system, reading, location)
    owns = work.network.owners.may_write("on_hand", location, system)
    if not owns or work.network.items.is_kit(reading.sku):  # a kit is what its components are
        return keep_copies(work, system, [unsold.copy_of(work, system, reading)])
    source = work.network.sources[system]
    row = stock.row_of(work, reading.sku, location)
    known = Known.of(row) if row is not None else None
    if not source.sells(reading.status):
        unsold.show(work, system, reading, came.item)
        if known is None or not came.item or known.item != came.item:
            return "copy"
        reading = replace(reading, on_hand=0, available=0)  # all it had is not for sale any more
    else:
        unsold.forget(work, system, came.item)
        doubts.refuse_two_rows(work, system, reading, known.item if known else "", came)
    new, old = said_by(reading, came), known.reading if known else None
    verdict = verdict_on(new, known, source)
    if verdict == "stale":
        work.count("stock.stale", system)
        return "stale"
    if verdict == "reset":
        raise doubts.reset(system, reading, old)
    doubts.ask_if_unlikely(work, system, reading.sku, old, new, came)
    new = movements.follow(work, system, reading.sku, location, new)
    at = At(reading.sku, location, came.item or (known.item if known else ""), reading.allocated)
    elsewhere = partial(_elsewhere, work, system, at)
    take_up(work, system, at, new, doubted=doubted_of(work, system, known, new, elsewhere))
    return "applied"


def said_by(reading: StockReading, came: Came) -> ledger.Reading:
    return ledger.Reading(
        on_hand=reading.on_hand,
        available=reading.available,
        counter=reading.counter,
        as_of=reading.as_of,
        began_at=came.began_at,
    )


def verdict_on(new: ledger.Reading, known: Known | None, source: ledger.Source) -> ledger.Verdict:
    """Is it newer than the number in force, by its owner's order?"""
    verdict = ledger.compare(known.reading if known else None, new, source)
    if verdict == "reset" and known and new.began_at <= unstamp(known.read_at):
        return "stale"  # a movement carried the counter on while this was being read
    return verdict


def take_absence(work: Work, system: str, came: Came) -> str:
    """A complete pass no longer shows this object: of what was read from it there is none.

    As good as any reading of that pass, and ordered by its beginning: a row that is not
    there has no counter and no time of its own.
    """
    unsold.forget(work, system, came.item)
    rows = work.connection.execute(
        select(stock_table).where(stock_table.c.system == system, stock_table.c.item == came.item)
    ).all()
    words = {_absent_at(work, system, row, came) for row in rows}
    return "applied" if "applied" in words else "stale" if words else "ignored"


def _absent_at(work: Work, system: str, known: Row[Any], came: Came) -> str:
    source = work.network.sources[system]
    zero = ledger.with_supply(ledger.Reading(began_at=came.began_at), 0, source)
    old = _old(known)
    if ledger.compare(old, zero, source) == "stale":
        return "stale"
    doubts.ask_if_unlikely(work, system, known.sku, old, zero, came)
    new = movements.follow(work, system, known.sku, known.location, zero)
    take_up(work, system, At(known.sku, known.location, known.item, None), new)
    return "applied"


# ------------------------------------------------------------------ a movement


def take_movement(work: Work, system: str, movement: StockMovement, came: Came) -> str:
    """Put one movement onto the number in force, once and in its owner's order."""
    location = location_of(work, system, movement.place)
    may_write = work.network.owners.may_write
    if location is not None and not may_write("on_hand", location, system):
        return "ignored"  # another system's movements are inside its own number, the copy
    source = work.network.sources[system]
    its = ledger.Movement(
        units=movement.units,
        counter=movement.counter,
        as_of=movement.as_of,
        seen_at=work.now,
    )
    _refuse_unordered(system, its, source)
    if source.gapless and its.counter is not None:
        movements.count(work, system, its.counter)
    if location is None or not source.sells(movement.status):
        return "ignored"
    known = stock.row_of(work, movement.sku, location)
    old = _old(known) or _from_the_start(work, system, its, source, came)
    if old is not None and ledger.is_inside(its, old, source):
        return "same"
    if not movements.keep(work, system, location, movement):
        return "same"
    if old is None:
        return "kept"  # for the first number of this SKU; until then there is nothing to move
    new = movements.follow(work, system, movement.sku, location, old)
    doubts.ask_if_unlikely(work, system, movement.sku, old, new, came)
    item, allocated = (known.item, known.allocated) if known else ("", None)
    at = At(movement.sku, location, item, allocated)
    take_up(work, system, at, new, doubted=Doubted.of(known))
    return "applied"


def _refuse_unordered(system: str, movement: ledger.Movement, source: ledger.Source) -> None:
    order = {"counter": movement.counter, "as_of": movement.as_of}.get(source.ordered_by)
    if order is None:
        raise Hold(
            f"a movement of {system} has no {source.ordered_by.replace('_', '-')} to order it by",
            cause=f"movement_order:{system}",
            next_step="Map its counter or its time, and say so in `stock_source: ordered_by:`.",
        )


def _from_the_start(
    work: Work, system: str, movement: ledger.Movement, source: ledger.Source, came: Came
) -> ledger.Reading | None:
    """Where every movement ever counted is known, the number before the first one was zero."""
    if not source.gapless or not movements.is_whole(work, system, movement.counter or 0):
        return None
    return ledger.with_supply(ledger.Reading(began_at=came.began_at, counter=0), 0, source)


# ------------------------------------------------------------------ what follows from a number


@dataclass(frozen=True, slots=True)
class At:
    """Which number: of what, where, read from which of its owner's objects."""

    sku: str
    location: str
    item: str
    allocated: int | None


@dataclass(frozen=True, slots=True)
class Doubted:
    """Units of a transfer that another place of the owner may still count, and since when."""

    units: int = 0
    since: str | None = None

    @classmethod
    def of(cls, known: Row[Any] | None) -> Doubted:
        return cls(known.doubt, known.doubted_at) if known is not None else cls()

    def with_more(self, units: int, now: datetime) -> Doubted:
        return Doubted(self.units + units, stamp(now)) if units else self


NO_DOUBT = Doubted()


@dataclass(frozen=True, slots=True)
class Known:
    """A number in force, before another reading of it arrives."""

    reading: ledger.Reading
    system: str
    item: str
    read_at: str
    doubted: Doubted

    @classmethod
    def of(cls, row: Row[Any]) -> Known:
        reading = stock.as_reading(row, unstamp(row.began_at))
        return cls(reading, row.system, row.item, row.read_at, Doubted.of(row))

    @classmethod
    def after(cls, work: Work, system: str, at: At, new: ledger.Reading, doubted: Doubted) -> Known:
        """As `of` its row, once it is in force."""
        reading = replace(new, doubt=new.doubt + doubted.units)
        return cls(reading, system, at.item, stamp(work.now), doubted)


def take_up(
    work: Work, system: str, at: At, new: ledger.Reading, *, doubted: Doubted = NO_DOUBT
) -> None:
    """The one place where a number comes into force."""
    STORE(work.connection, **columns_of(work, system, at, new, doubted))
    tell(work, system, at, new, doubted)
    stock.know_item(work, system, at.sku)
    supersede(work, system, at.item, new.began_at)
    stock.end_claims(work, at.sku, at.location)
    stock.claim_shorts(work, at.sku, at.location)
    work.sku_changed(at.sku, "stock")


_COLUMNS = (
    "sku location system item on_hand available allocated counter as_of began_at confirmed_at"
    " read_at moved waiting doubt doubted_at"
).split()
_NEW = insert(stock_table).values({name: bindparam(name) for name in _COLUMNS})
STORE = Hot(
    _NEW.on_conflict_do_update(
        index_elements=["sku", "location"],
        set_={name: _NEW.excluded[name] for name in _COLUMNS[2:]},
    )
)


def columns_of(
    work: Work, system: str, at: At, new: ledger.Reading, doubted: Doubted
) -> dict[str, Any]:
    return {
        "sku": at.sku,
        "location": at.location,
        "system": system,
        "item": at.item,
        "on_hand": new.on_hand,
        "available": new.available,
        "allocated": at.allocated,
        "counter": new.counter,
        "as_of": stamp(new.as_of) if new.as_of else None,
        "began_at": stamp(new.began_at),
        "confirmed_at": None,
        "read_at": stamp(work.now),
        "moved": new.moved,
        "waiting": new.doubt,
        "doubt": doubted.units,
        "doubted_at": doubted.since,
    }


def tell(work: Work, system: str, at: At, new: ledger.Reading, doubted: Doubted) -> None:
    """Its step carries what `core.ledger` asks for: the past is folded from these (G15)."""
    source = work.network.sources[system]
    work.steps.add(
        7,
        "stock.read",
        system=system,
        sku=at.sku,
        location=at.location,
        units=ledger.supply_of(new, source),
        basis=source.basis,
        counter=new.counter,
        as_of=stamp(new.as_of) if new.as_of else None,
        began=stamp(new.began_at),
        on_hand=new.on_hand,
        available=new.available,
        moved=new.moved or None,
        doubt=new.doubt + doubted.units or None,
    )


_HELD = Hot(
    select(inbox_table.c.seq).where(
        inbox_table.c.state == literal_column("'held'"),
        inbox_table.c.system == bindparam("system"),
        inbox_table.c.resource == literal_column("'stock_reading'"),
        inbox_table.c.external_id == bindparam("item"),
        inbox_table.c.read_began_at <= bindparam("began"),
    )
)


def supersede(work: Work, system: str, item: str, began_at: datetime) -> None:
    """Older versions of the same object that are still held have nothing to say any more."""
    if not item:
        return
    for row in _HELD(work.connection, system=system, item=item, began=stamp(began_at)).all():
        inbox.settle(work.connection, row.seq, "ignored", at=work.now, reason="a newer one came")
        holds.close_member(work, "inbox", str(row.seq))


def location_of(work: Work, system: str, place: str) -> str | None:
    """Which location a place of theirs is; None for one that is none of ours."""
    location = work.network.location_of(system, place)
    if location is not None:
        return location
    if place in work.network.ignored_places.get(system, frozenset()):
        return None
    raise Hold(
        f"{system} reports stock at {place!r}, which is no location of ours",
        cause=f"unknown_place:{system}:{place}",
        next_step="Name it under `locations:` in config.yaml, or under `ignore_places:`.",
    )


def _old(known: Row[Any] | None) -> ledger.Reading | None:
    return stock.as_reading(known, unstamp(known.began_at)) if known is not None else None


def doubted_of(
    work: Work,
    system: str,
    known: Known | None,
    new: ledger.Reading,
    elsewhere: Callable[[], Iterable[int]],
) -> Doubted:
    """Units that appeared here, and that another place of this owner may still count.

    `elsewhere`: what it says of its other places. What is in doubt stays so when this place
    is read again: the other one has to be.
    """
    before, source = known.doubted if known else NO_DOUBT, work.network.sources[system]
    old = known.reading if known else None
    rise = ledger.supply_of(new, source) - (ledger.supply_of(old, source) if old else 0)
    if rise <= 0 or len(work.network.locations_stocked_by(system)) < 2:
        return before
    return before.with_more(ledger.transferred(rise, elsewhere()), work.now)


def _elsewhere(work: Work, system: str, at: At) -> list[int]:
    source = work.network.sources[system]
    rows = work.connection.execute(
        select(stock_table.c.on_hand, stock_table.c.available).where(
            stock_table.c.sku == at.sku,
            stock_table.c.system == system,
            stock_table.c.location != at.location,
        )
    )
    return [row.on_hand if source.basis == "on_hand" else row.available for row in rows]


def forget_counters(work: Work, system: str) -> None:
    """The warehouse counts from the start again: what it said before orders nothing any more.

    Units whose shipment carried an old counter fall back to evidence by request:
    the first reading begun after we saw them leave (H13).
    """
    in_force.counters_forgotten(work, system)
    movements.forget(work, system)
    work.connection.execute(
        update(stock_table).where(stock_table.c.system == system).values(counter=None)
    )
    forgotten = work.connection.execute(
        update(claims)
        .where(
            claims.c.location.in_(work.network.locations_stocked_by(system)),
            claims.c.state.in_(stock.LIVE),
        )
        .values(accepted_counter=None, shipped_counter=None)
        .returning(claims.c.sku)
    ).scalars()
    for sku in sorted(set(forgotten)):
        work.sku_changed(sku, "counters")  # what was excluded by one is subtracted again


# ------------------------------------------------------------------ after a pass


def after_pass(work: Work, system: str, resource: str, began_at: datetime) -> None:
    """All that a complete pass showed is decided: what waited for that is in doubt no more."""
    if resource != "stock_reading" or inbox.waits(work.connection, system, resource):
        return
    rows = work.connection.execute(
        select(stock_table).where(
            stock_table.c.system == system,
            stock_table.c.doubt > 0,
            stock_table.c.doubted_at < stamp(began_at),
        )
    ).all()
    for row in rows:
        reading = replace(stock.as_reading(row, unstamp(row.began_at)), doubt=row.waiting)
        at = At(row.sku, row.location, row.item, row.allocated)
        take_up(work, system, at, reading)
    source = work.network.sources.get(system)
    if source is not None and source.gapless:
        movements.read_over(work, system)
