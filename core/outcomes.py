"""What an answered command changes in our own state, in the transaction that ends it.

The warehouse took the order: evidence for sources of basis `available`. It will
not ship: the claims come back. It refuses: a person decides.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from core import holds, orders
from core.clock import stamp
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
        orders.finish_cancel(work, command.order_id)


def _accepted(work: Work, command: Row[Any], receipt: Receipt) -> None:
    work.connection.execute(
        update(claims)
        .where(
            claims.c.order_id == command.order_id,
            claims.c.state == "open",
            claims.c.opened_at <= command.queued_at,  # a late answer says nothing of a later ask
            claims.c.accepted_at.is_(None),
        )
        .values(
            accepted_at=stamp(work.now),
            accepted_counter=receipt.counter,
            accepted_as_of=stamp(receipt.as_of) if receipt.as_of else None,
        )
    )
    rows = work.connection.execute(
        select(claims.c.sku, claims.c.location)
        .where(claims.c.order_id == command.order_id)
        .distinct()
    )
    for row in rows:
        # An on-hand number does not know of acceptances: nothing more may be sold by one.
        if work.network.source_of(row.location).basis == "available":
            work.sku_changed(row.sku, "accepted")


def refused(work: Work, command: Row[Any], words: str) -> None:
    """The owner refuses for good: the lane stops, a person reads its words."""
    work.steps.add(
        5,
        f"{command.kind}.refused",
        system=command.system,
        order_id=command.order_id,
        attempts=command.attempts,
        words=words,
    )
    if command.kind == "cancel_fulfillment":
        row = orders.by_id(work, command.order_id)
        if row.state != State.CANCELLED:
            orders.too_late(work, row)
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
