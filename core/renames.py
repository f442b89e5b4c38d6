"""Stop 4, again: the items changed, and what was understood by the ones before follows.

A word of a system that means another item now takes its number, its listing and its
price along. Orders that nobody was asked to ship are understood again (S14, S29); what
a warehouse was asked for stays what it was asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, select, update

from core import aliases, catalog, edits, holds, in_force, ledger, order_rows, readings, spellings
from core import stock as ledger_rows
from core.clock import unstamp
from core.codec import from_json
from core.errors import Hold, Problem
from core.items import Alias, Items
from core.lifecycle import State
from core.model import Price
from core.network import Network
from core.store.schema import (
    claims,
    copies,
    hold_members,
    inbox,
    items,
    listings,
    orders,
    prices,
    seen,
    stock,
)
from core.store.schema import (
    holds as holds_table,
)
from core.wording import plural
from core.work import Work

#: Records held for these causes may be understood by other items.
CAUSES = ("two_words:", "units:")


# ------------------------------------------------------------------ may they come into force?


def problems(
    connection: Connection, network: Network, file: str, before: Items, after: Items
) -> list[Problem]:
    """Words of a warehouse cannot change their item while units of it are claimed there.

    The claims would stay with the old item and the number go to the new: sold twice.
    """
    found = []
    for old, new in _numbers_of(before, after):
        locations = network.locations_stocked_by(old.system)
        if old.sku == new.sku or not locations:
            continue
        units = connection.execute(
            select(func.sum(claims.c.units)).where(
                claims.c.sku == old.sku,
                claims.c.location.in_(locations),
                claims.c.state.in_(ledger_rows.LIVE),
            )
        ).scalar_one()
        if units:
            found.append(
                Problem(
                    file=new.file or file,
                    line=new.line or 1,
                    what=f"{old.system} calls {old.sku} {old.their_sku!r}, and "
                    f"{plural(units, 'unit')} of it claimed there: {old.their_sku!r} cannot become"
                    f" {new.sku} now",
                    fix="Reload it when they have left; until then the items before stay.",
                )
            )
    return found


def _numbers_of(before: Items, after: Items) -> list[tuple[Alias, Alias]]:
    """Words whose numbers are in force: where a system has a second word, that one's are not."""
    return [
        (old, new)
        for old, new in after.renamed_since(before)
        if before.word(old.system, old.sku).their_sku == old.their_sku
    ]


# ------------------------------------------------------------------ they come into force


def follow(work: Work, before: Items) -> None:
    """All that the items in `work.network` change, as against those before."""
    for old, new in work.network.items.renamed_since(before):
        _move_listings(work, old, new)
    numbers = _numbers_of(before, work.network.items)
    _move_stock(work, numbers)
    _move_prices(work, numbers)
    for old, _ in numbers:
        _forget(work, old)
    in_force.put_in_force(work)
    _understand_held(work.connection)
    _understand_orders(work)
    _show_unknown_components(work)
    spellings.look_again(work)


def _move_listings(work: Work, old: Alias, new: Alias) -> None:
    """Alias and claims follow the item, not the listing: it is the same one (H48)."""
    own_word = (listings.c.their_sku == "") & (listings.c.sku == old.their_sku)
    rows = work.connection.execute(
        select(listings).where(
            listings.c.system == old.system,
            (listings.c.their_sku == old.their_sku) | own_word,
        )
    ).all()
    for row in rows:
        if row.sku == new.sku:
            continue
        word = new.their_sku if new.their_sku != new.sku else ""
        work.connection.execute(
            update(listings)
            .filter_by(system=row.system, listing=row.listing, place=row.place)
            .values(sku=new.sku, their_sku=word)
        )
        catalog.tell_of_listing(work, {**row._mapping, "sku": new.sku}, row.sku)
        work.sku_changed(new.sku, "alias")
        spellings.see(work, new.sku)


@dataclass(frozen=True, slots=True)
class _Number:
    """A number in force that goes over to another item, or to another unit."""

    row: Row[Any]
    reading: ledger.Reading
    allocated: int | None
    sku: str


def _move_stock(work: Work, moved: Iterable[tuple[Alias, Alias]]) -> None:
    """First all of them are read, then the old items have none: two words may have swapped."""
    numbers: list[_Number] = []
    for old, new in moved:
        rows = work.connection.execute(
            select(stock).where(
                stock.c.system == old.system,
                stock.c.sku == old.sku,
                stock.c.location.in_(work.network.locations_stocked_by(old.system)),
            )
        ).all()
        numbers += [_number(row, old, new) for row in rows]
    for one in numbers:
        plain = replace(one.reading, moved=0, doubt=0)
        none = ledger.with_supply(plain, 0, work.network.sources[one.row.system])
        _take_up(work, one.row, one.row.sku, "", none, None)
    for one in numbers:
        _take_up(work, one.row, one.sku, one.row.item, one.reading, one.allocated)


def _take_up(
    work: Work,
    row: Row[Any],
    sku: str,
    item: str,
    reading: ledger.Reading,
    allocated: int | None,
) -> None:
    at = readings.At(sku, row.location, item, allocated)
    readings.take_up(work, row.system, at, reading)


def _number(row: Row[Any], old: Alias, new: Alias) -> _Number:
    def units(count: int | None) -> int | None:
        return None if count is None else count // old.factor * new.factor

    read = ledger_rows.as_reading(row, unstamp(row.began_at))
    reading = ledger.Reading(
        on_hand=units(read.on_hand),
        available=units(read.available),
        counter=read.counter,
        as_of=read.as_of,
        began_at=read.began_at,
        moved=units(read.moved) or 0,
        doubt=units(read.doubt) or 0,
    )
    return _Number(row, reading, units(row.allocated), new.sku)


def _move_prices(work: Work, moved: Iterable[tuple[Alias, Alias]]) -> None:
    """A price that does not divide into the new unit goes, and is held when it comes again."""
    found: list[tuple[str, Price]] = []
    for old, new in moved:
        row = work.connection.execute(
            delete(prices)
            .where(prices.c.system == old.system, prices.c.sku == old.sku)
            .returning(prices.c.doc)
        ).one_or_none()
        if row is None:
            continue
        price = from_json(Price, row.doc)
        theirs = replace(
            price,
            list_price=price.list_price and price.list_price * old.factor,
            unit_cost=price.unit_cost and price.unit_cost * old.factor,
        )
        with contextlib.suppress(Hold):
            found.append((old.system, aliases.price_of(theirs, new)))
    for system, price in found:
        catalog.take_price(work, system, price)


def _forget(work: Work, old: Alias) -> None:
    """What the system said of its word under the old name it says again under the new one."""
    connection = work.connection
    gone = connection.execute(
        delete(copies).where(copies.c.system == old.system, copies.c.key == old.sku)
    ).rowcount
    if gone:
        # Without a changed content nobody would read it again.
        connection.execute(update(seen).where(seen.c.system == old.system).values(hash=""))
    elsewhere = exists().where(stock.c.sku == old.sku, stock.c.system != old.system)
    priced = exists().where(prices.c.sku == old.sku)
    connection.execute(
        delete(items).where(
            items.c.sku == old.sku, items.c.source == old.system, ~elsewhere, ~priced
        )
    )


def _understand_held(connection: Connection) -> None:
    """Records that could not be said in our items may be by now."""
    waiting = (
        select(hold_members.c.ref)
        .join(holds_table, holds_table.c.id == hold_members.c.hold_id)
        .where(
            hold_members.c.member == "inbox",
            hold_members.c.closed_at.is_(None),
            holds_table.c.closed_at.is_(None),
            holds_table.c.cause.startswith(CAUSES[0]) | holds_table.c.cause.startswith(CAUSES[1]),
        )
    )
    seqs = [int(ref) for ref in connection.execute(waiting).scalars()]
    connection.execute(
        update(inbox).where(inbox.c.seq.in_(seqs), inbox.c.state == "held").values(state="pending")
    )


def _understand_orders(work: Work) -> None:
    """Orders that no warehouse was asked for, by the aliases and kits of now."""
    rows = work.connection.execute(
        select(orders).where(
            orders.c.state.in_([State.CAPTURED.value, State.HELD.value]),
            orders.c.asked == "",
            orders.c.doc.is_not(None),
        )
    ).all()
    for row in rows:
        before = order_rows.read(work, row)
        order = aliases.again(work.network.items, row.system, before)
        if order != before:
            work.connection.execute(
                update(orders)
                .where(orders.c.id == row.id)
                .values(**order_rows.columns(work, row.system, order))
            )
        edits.follow_lines(work, row, order)
        work.touched_orders.add(row.id)


def _show_unknown_components(work: Work) -> None:
    """A kit of something that nobody has named sells none; its spelling may be wrong (G14)."""
    kits = work.network.items
    wanted = {item for kit in kits.kits for item in kits.needs(kit)}
    named = set(work.connection.execute(select(items.c.sku)).scalars()) if wanted else set()
    unknown = {f"{ledger_rows.UNKNOWN_COMPONENT}{item}": item for item in wanted - named}
    _close_others(work, unknown)
    for cause, item in sorted(unknown.items()):
        near = spellings.alike(work, item)
        hint = f" There is {', '.join(map(repr, near))}." if near else ""
        for kit in kits.used_by(item):
            holds.open_hold(
                work,
                cause=cause,
                system="",
                reason=f"a kit needs {item!r}, which no warehouse and no ERP has named: it sells "
                f"none.{hint}",
                next_step="Correct items.yaml and `truecount reload`, or wait until its first "
                "units come in.",
                member="kit",
                ref=kit,
                label=kit,
            )


def _close_others(work: Work, unknown: Iterable[str]) -> None:
    rows = work.connection.execute(
        select(holds_table.c.cause, hold_members.c.ref)
        .join(hold_members, hold_members.c.hold_id == holds_table.c.id)
        .where(hold_members.c.member == "kit", hold_members.c.closed_at.is_(None))
    ).all()
    for row in rows:
        kits = work.network.items.used_by(row.cause.partition(":")[2])
        if row.cause not in unknown or row.ref not in kits:
            holds.close_cause(work, row.cause, "kit", row.ref)
