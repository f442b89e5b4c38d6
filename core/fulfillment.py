"""An order goes on: its units are claimed, it is held or booked, and the warehouse is asked.

`advance` is called whenever something it waited for may have changed; it is safe
to call again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, literal_column, select, update

from core import (
    acceptance,
    aliases,
    booking,
    by_hand,
    by_person,
    commands,
    edits,
    endings,
    holds,
    kit_lines,
    lifecycle,
    order_rows,
    oversold,
    placing,
    routing,
    spellings,
    stock,
)
from core.errors import Hold
from core.lifecycle import State
from core.model import DeadlineKind, FulfillOrder, Order, QuantityLine
from core.store.hot import Hot
from core.store.schema import claims, items, orders, outbox
from core.work import Work

#: A warehouse that keeps reporting stock it cannot find is asked this often, then a person.
ASKS_MAX = 3


def advance(work: Work, order_id: int) -> None:
    """Let the order go on if nothing holds it: book, release or close it, or say why not."""
    row = order_rows.by_id(work, order_id)
    if row.state in (State.CANCELLED, State.SHIPPED) or row.doc is None:
        return
    order = order_rows.read(work, row)
    own = order_rows.lines_of(work, order_id)
    over = order.cancelled_at is not None or lifecycle.is_refunded(order)
    if over or _emptied(order, own):
        if not row.asked:  # else the warehouse decides (S15)
            endings.finish_cancel(work, order_id)
        return
    unknown = _unknown_skus(work, own)
    short = kit_lines.short_of(own, but=unknown)
    found = lifecycle.blockers(
        order,
        unknown_skus=unknown,
        short_units=0 if row.asked else short,  # while it packs, nothing more can be asked for
        rounding_limit_minor=work.network.rounding_limit_minor,
    )
    found += _not_whole(work, row, order, own)
    found += acceptance.blockers(work, row, order)
    found, keeps = _as_decided(work, row, found)
    _hold(work, row, found, keeps=bool(keeps))
    if not any(blocker.books for blocker in found) and not by_hand.is_left_in_part(work, row):
        booking.book(work, row, order)
    held = bool(keeps) or by_person.is_stopped(work, row)
    if not row.asked:
        _ask(work, row, order, own, held=held)
    elif not held and row.state == State.HELD:
        # The warehouse has it, and nothing holds it any more.
        order_rows.set_state(work, row, State.RELEASED)


def _emptied(order: Order, own: list[Row[Any]]) -> bool:
    """Edited down to nothing before anything left: it ends as a cancelled one does."""
    left = any(line.claimed + line.consumed for line in own)
    return bool(own) and not left and lifecycle.wants_nothing(order)


def _ask(work: Work, row: Row[Any], order: Order, own: list[Row[Any]], *, held: bool) -> None:
    """Ask the warehouse for what is claimed. Nothing waits: closed. Asked too often: a person."""
    units = _open_units(work, row.id)
    if not units and not any(line.short for line in own):
        # What holds it kept the rest back, and the rest is wanted no more.
        if own and (not held or any(line.consumed for line in own)):
            endings.close_if_all_left(work, row.id)
        return
    asks = commands.asked_before(work, row.id, "fulfill_order")
    if _too_often(work, row, asks):
        _keep_short(work, row)
    elif not held and acceptance.given(work, row, order):
        _release(work, row, order, own, units, revision=asks + 1)


def go_on(work: Work) -> None:
    """After the deciding: units given back go to whoever waits, then the touched orders go on."""
    for sku, location in sorted(work.freed):
        stock.claim_shorts(work, sku, location)
    for order_id in sorted(work.touched_orders):
        reconsider(work, order_id)
    oversold.look(work)


def reconsider(work: Work, order_id: int) -> None:
    """Stock, an item or an answer changed: claim what is short, then go on."""
    row = order_rows.by_id(work, order_id)
    if row.state not in (State.CAPTURED, State.HELD):
        return
    if not row.asked and order_rows.read(work, row).reservable:
        claim_units(work, order_id)
    advance(work, order_id)


# ------------------------------------------------------------------ the warehouse lets it be


def let_be(work: Work, order_id: int) -> None:
    """The warehouse lets an order be, and every parcel is heard of: it is over, waits for the
    person who stopped it, or is asked for again as its channel wants it now (S31)."""
    before = order_rows.by_id(work, order_id)
    if endings.asked_back(work, before, before.asked) != "done":
        return
    if not stock.is_heard_of(work, before):
        return  # `after_parcels` comes back to it
    if by_person.let_go(work, before):
        edits.let_go(work, order_rows.by_id(work, order_id), before.asked)
        booking.follow(work, order_rows.by_id(work, order_id))
        reconsider(work, order_id)
    elif before.state != State.SHIPPED or not lifecycle.lives(order_rows.read(work, before)):
        endings.finish_cancel(work, order_id)


def after_parcels(work: Work, system: str) -> None:
    """All parcels of this warehouse were read: what it let be since is decided."""
    for row in _LET_BE(work.connection).all():
        place = work.network.locations.get(row.location)
        if place is not None and place.ships == system:
            let_be(work, row.id)


_LET_BE = Hot(
    select(orders.c.id, orders.c.location)
    .where(
        # Written so that its index is found.
        orders.c.state.in_([literal_column("'held'"), literal_column("'released'")]),
        orders.c.asked != literal_column("''"),
        exists().where(
            outbox.c.order_id == orders.c.id,
            outbox.c.kind == literal_column("'cancel_fulfillment'"),
            outbox.c.state == literal_column("'done'"),
        ),
    )
    .order_by(orders.c.id)
)


def _too_often(work: Work, row: Row[Any], asks: int) -> bool:
    """Each time a person has looked and accepted, it may be asked for as often again. What the
    warehouse let be at our wish was not in vain."""
    if asks < ASKS_MAX:
        return False
    asks -= commands.asked_before(work, row.id, "cancel_fulfillment")
    return asks >= ASKS_MAX * (1 + holds.times_closed(work, holds.late("short", row)))


def _keep_short(work: Work, row: Row[Any]) -> None:
    """Asked for often enough: it stays short until a person has looked."""
    order_rows.set_state(work, row, State.HELD)
    holds.hold_order(
        work,
        row,
        cause=holds.late("short", row),
        reason="the warehouse was asked several times and could not find all units",
        next_step="Count the item in the warehouse, or cancel on the channel; "
        "then `truecount accept ID`.",
    )


def _unknown_skus(work: Work, own: list[Row[Any]]) -> dict[str, list[str]]:
    """SKUs nobody has named, each with known ones that are spelled alike (S30)."""
    wanted = {line.sku for line in own if line.shippable and line.ordered > line.cancelled}
    known = work.connection.execute(select(items.c.sku).where(items.c.sku.in_(wanted))).scalars()
    return {sku: spellings.alike(work, sku) for sku in sorted(wanted - set(known))}


def _not_whole(
    work: Work, row: Row[Any], order: Order, own: list[Row[Any]]
) -> list[lifecycle.Blocker]:
    """Units that a system could not be told, because it counts by cases (H44)."""
    counts = work.network.items
    told: list[tuple[str, str, int, bool]] = []
    for erp in () if row.booked else work.network.ledgers:
        if counts.renames(erp):
            told += [(erp, line.sku, line.quantity, True) for line in order.lines]
    ships = work.network.locations[row.location].ships if row.location else ""
    if counts.renames(ships) and not row.asked:
        units = _open_units(work, row.id)
        told += [(ships, line.sku, units[line.id], False) for line in own if line.id in units]
    found = []
    for system, sku, quantity, books in told:
        try:
            aliases.whole(counts, system, sku, quantity)
        except Hold as hold:
            found.append(
                lifecycle.Blocker(
                    cause=hold.cause, reason=hold.reason, next_step=hold.next_step, books=books
                )
            )
    return found


def _as_decided(
    work: Work, row: Row[Any], found: list[lifecycle.Blocker]
) -> tuple[list[lifecycle.Blocker], list[lifecycle.Blocker]]:
    """What is left where a person has decided: of all, and of what keeps the goods back."""
    waived = by_person.waived(work, row.id) if any(b.person for b in found) else {}
    decided = [b for b in found if b.person and waived.get(_cause(row, b)) == b.reason]
    left = [b for b in found if b not in decided or b.person == "ships"]
    return left, [b for b in left if b not in decided]


def _hold(work: Work, row: Row[Any], found: list[lifecycle.Blocker], *, keeps: bool) -> None:
    """Open what holds it now, close what no longer does. `late:` causes are a person's."""
    causes = {_cause(row, blocker): blocker for blocker in found}
    already = holds.open_causes(work, "order", str(row.id))
    late = {cause for cause in already if cause.startswith(holds.LATE)}
    for cause in holds.close_member(work, "order", str(row.id), keep=set(causes) | late):
        work.steps.add(4, "hold.closed", system=row.system, order_id=row.id, cause=cause)
    for cause, blocker in causes.items():
        if cause in already:
            if blocker.cause in _OWN:  # the others are shared, and say nothing of one order
                holds.say(work, cause, blocker.reason)
            continue
        holds.hold_order(work, row, cause=cause, reason=blocker.reason, next_step=blocker.next_step)
        work.steps.add(4, "order.held", system=row.system, order_id=row.id, cause=cause)
    if keeps:
        order_rows.set_state(work, row, State.HELD)


#: Causes that are of one order only.
_OWN = ("total_does_not_tie", "short")


def _cause(row: Row[Any], blocker: lifecycle.Blocker) -> str:
    """Money and stock are each order's own; words and SKUs are shared causes."""
    if blocker.cause in _OWN:
        return f"{blocker.cause}:{row.system}:{row.external_id}"
    if blocker.cause.startswith("unknown_sku:"):
        return blocker.cause
    return f"{blocker.cause}:{row.system}"


def claim_units(work: Work, order_id: int) -> None:
    """Claim what is short, at the chosen location or, the first time, at the best one.

    What no stock covers stays short, and so does everything while no location serves its channel.
    """
    row = order_rows.by_id(work, order_id)
    missing = set(work.connection.execute(stock.MISSING).scalars())
    wishes = stock.wishes_of(order_rows.lines_of(work, order_id), missing)
    if not wishes:
        return
    places: Sequence[str] = (row.location,) if row.location else work.network.serving(row.system)
    places = placing.best_first(work, wishes, places)
    sellable = stock.sellable_of(work, (wish.sku for wish in wishes), places)
    plan = routing.choose(wishes, sellable, places)
    if plan is None:
        return
    work.connection.execute(
        update(orders).where(orders.c.id == order_id).values(location=plan.location)
    )
    skus = {wish.line_id: wish.sku for wish in wishes}
    for line_id, units in plan.claimed.items():
        stock.open_claim(
            work,
            order_id=order_id,
            line_id=line_id,
            sku=skus[line_id],
            location=plan.location,
            units=units,
        )


def _release(
    work: Work,
    row: Row[Any],
    order: Order,
    own: list[Row[Any]],
    units: dict[int, int],
    *,
    revision: int,
) -> None:
    """Ask the warehouse for what is claimed: `units` by line."""
    location = work.network.locations[row.location]
    key = commands.key_of(row.system, order.key, "fulfill_order", str(revision))
    cash = lifecycle.to_collect(order)
    if cash is not None and order_rows.has_parcel(work, row.id):
        cash = None  # the first parcel was to bring all of it
    record = FulfillOrder(
        reference=key,
        channel=row.system,
        order=order.key,
        number=order.number,
        place=location.at[location.ships],
        ship_to=order.ship_to,
        lines=tuple(
            QuantityLine(line=line.key, sku=line.sku, quantity=units[line.id])
            for line in own
            if line.id in units
        ),
        ship_by=min((d.at for d in order.deadlines if d.kind is DeadlineKind.SHIP), default=None),
        service=order.shipping_service,
        cash_to_collect=cash,
        extras=order.extras,
    )
    commands.ask(work, location.ships, "fulfill_order", record, order_id=row.id)
    work.connection.execute(update(orders).where(orders.c.id == row.id).values(asked=key))
    order_rows.set_state(work, row, State.RELEASED)
    edits.told_anew(work, row)
    work.steps.add(
        4, "order.released", system=row.system, order_id=row.id, location=row.location,
        to=location.ships,
    )  # fmt: skip


def _open_units(work: Work, order_id: int) -> dict[int, int]:
    rows = _OPEN_UNITS(work.connection, order_id=order_id)
    return {row.line_id: int(row.units) for row in rows}


_OPEN_UNITS = Hot(
    select(claims.c.line_id, func.sum(claims.c.units).label("units"))
    .where(claims.c.order_id == bindparam("order_id"), claims.c.state == literal_column("'open'"))
    .group_by(claims.c.line_id)
)
