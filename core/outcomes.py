"""What an answered command changes in our own state, in the transaction that ends it.

The warehouse took the order: evidence for sources of basis `available`. It will
not ship: the claims come back. It refuses: a person decides.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from core import (
    acceptance,
    by_person,
    claim_moves,
    deadlines,
    endings,
    fulfillment,
    holds,
    order_rows,
    taking_back,
)
from core.contract import Receipt
from core.lifecycle import State
from core.store.schema import claims
from core.work import Work


def done(work: Work, command: Row[Any], receipt: Receipt) -> None:
    """It happened."""
    work.steps.add(
        5,
        f"{command.kind}.done",
        system=command.system,
        order_id=command.order_id,
        reference=receipt.reference,
        attempts=command.attempts,
        already=int(receipt.already),
    )
    holds.close_member(work, "command", str(command.id))
    if command.kind == "fulfill_order":
        _accepted(work, command, receipt)
    elif command.kind == "cancel_fulfillment":
        _let_go(work, command)
    elif command.kind == acceptance.KIND:
        deadlines.accepted(work, command.order_id)
        fulfillment.reconsider(work, command.order_id)


def _let_go(work: Work, command: Row[Any]) -> None:
    """The warehouse will not ship it: it is over, or waits for the person who stopped it."""
    if not by_person.let_go(work, order_rows.by_id(work, command.order_id)):
        endings.finish_cancel(work, command.order_id)


def _accepted(work: Work, command: Row[Any], receipt: Receipt) -> None:
    rows = work.connection.execute(
        select(claims).where(
            claims.c.order_id == command.order_id,
            claims.c.state == "open",
            claims.c.opened_at <= command.queued_at,  # a late answer says nothing of a later ask
            claims.c.accepted_at.is_(None),
        )
    ).all()
    for row in rows:
        marks = claim_moves.marks(
            work, "accepted", command.system, row.location, receipt.counter, receipt.as_of
        )
        claim_moves.move(
            work,
            row,
            "accepted",
            values=marks,
            stop=5,
            system=command.system,
            counter=marks["accepted_counter"],
            as_of=marks["accepted_as_of"],
        )
        # An on-hand number does not know of acceptances: nothing more may be sold by one.
        if work.network.source_of(row.location).basis == "available":
            work.freed.add((row.sku, row.location))  # the number may exclude them already
            work.sku_changed(row.sku, "accepted")


#: What a channel is told of an order, and refuses once it has cancelled it.
_OF_CHANNEL = ("confirm_shipment", acceptance.KIND)


def _is_cancelled(work: Work, command: Row[Any]) -> bool:
    row = order_rows.by_id(work, command.order_id)
    return row.doc is not None and order_rows.read(work, row).cancelled_at is not None


def refused(work: Work, command: Row[Any], words: str) -> None:
    """The owner refuses for good: the lane stops, a person reads its words."""
    if command.kind in _OF_CHANNEL and _is_cancelled(work, command):
        taking_back.discard(work, command, f"the channel has cancelled this order: {words}")
        return
    work.steps.add(
        5,
        f"{command.kind}.refused",
        system=command.system,
        order_id=command.order_id,
        attempts=command.attempts,
        words=words,
    )
    if command.kind == "cancel_fulfillment":
        row = order_rows.by_id(work, command.order_id)
        if row.state != State.CANCELLED and not by_person.too_late(work, row, words):
            endings.too_late(work, row)
    holds.open_hold(
        work,
        cause=f"refused:{command.system}:{command.kind}:{words[:80]}",
        system=command.system,
        reason=f"{command.system} refuses {command.kind}: {words}",
        next_step="Correct what it says, then `truecount retry` this exception.",
        member="command",
        ref=str(command.id),
        label=f"command {command.id}",
    )
