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
    cancelling,
    claim_moves,
    deadlines,
    edits,
    endings,
    fulfillment,
    holds,
    lifecycle,
    order_rows,
    taking_back,
)
from core.contract import Receipt
from core.lifecycle import State
from core.network import ASKS_OWNER
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
        fulfillment.let_be(work, command.order_id)
    elif command.kind == acceptance.KIND:
        deadlines.accepted(work, command.order_id)
        fulfillment.reconsider(work, command.order_id)
    elif command.kind == cancelling.ANSWER:
        deadlines.answered(work, command.order_id, cancelling.wish_of(command.key))


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
_OF_CHANNEL = ("confirm_shipment", acceptance.KIND, *ASKS_OWNER)


def _is_over(work: Work, command: Row[Any]) -> bool:
    """It was told to a channel that has cancelled the order itself, or whose buyer asks no more."""
    if command.kind not in _OF_CHANNEL:
        return False
    row = order_rows.by_id(work, command.order_id)
    if row.doc is None or row.system != command.system:
        return False
    order = order_rows.read(work, row)
    if command.kind == cancelling.ANSWER and not cancelling.open_wishes(work, row, order):
        return True
    return order.cancelled_at is not None


def _keeps(work: Work, command: Row[Any], words: str) -> bool:
    """The warehouse packs on what the channel has changed and still wants: nothing stands still for
    that, and what differs is shown (S31)."""
    row = order_rows.by_id(work, command.order_id)
    if by_person.too_late(work, row, words):
        taking_back.discard(work, command, f"the warehouse keeps the order: {words}")
        return True
    if row.doc is None:
        return False
    order = order_rows.read(work, row)
    if order.cancelled_at is not None or lifecycle.is_refunded(order):
        return False
    taking_back.discard(work, command, f"the warehouse keeps the order: {words}")
    edits.kept(work, row, words)
    return True


def refused(work: Work, command: Row[Any], words: str) -> None:
    """The owner refuses for good: the lane stops, a person reads its words."""
    if _is_over(work, command):
        taking_back.discard(work, command, f"the channel wants to hear of it no more: {words}")
        return
    if command.kind == "cancel_fulfillment" and _keeps(work, command, words):
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
        if row.state != State.CANCELLED:
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
