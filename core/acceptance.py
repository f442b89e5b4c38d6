"""Stop 4: a channel that wants an order taken on is told so before any warehouse is asked.

It is told when the order can be served: claimed, and held by nothing. Only its answer releases the
order, for a marketplace may have cancelled it meanwhile. Where the connector cannot tell it, a
person does so on the channel, and the next revision says that it is done.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, bindparam, literal_column, select

from core import commands
from core.lifecycle import Blocker
from core.model import AcceptOrder, Order
from core.store.hot import Hot
from core.store.schema import outbox
from core.work import Work

KIND = "accept_order"


def blockers(work: Work, row: Row[Any], order: Order) -> list[Blocker]:
    """What only a person can do: take it on where no command does."""
    if order.accepted or _tells(work, row):
        return []
    return [
        Blocker(
            cause="not_accepted",
            reason=f"{row.system} wants its orders accepted, and takes that from a person only",
            next_step="Accept them on the channel: they go on when it says so.",
            books=False,
        )
    ]


def given(work: Work, row: Row[Any], order: Order) -> bool:
    """Whether the channel has it as accepted; asks for that where it has not."""
    if order.accepted or not _tells(work, row) or _answered(work, row):
        return True
    reference = commands.key_of(row.system, order.key, KIND, "1")
    record = AcceptOrder(
        reference=reference, order=order.key, number=order.number, extras=order.extras
    )
    commands.ask(work, row.system, KIND, record, order_id=row.id)
    return False


def _tells(work: Work, row: Row[Any]) -> bool:
    return (row.system, KIND) in work.network.accepts


def _answered(work: Work, row: Row[Any]) -> bool:
    return _DONE(work.connection, order_id=row.id).first() is not None


_DONE = Hot(
    select(outbox.c.id).where(
        outbox.c.order_id == bindparam("order_id"),
        outbox.c.kind == literal_column(f"'{KIND}'"),
        # Discarded: a person did it on the channel.
        outbox.c.state.in_([literal_column("'done'"), literal_column("'discarded'")]),
    )
)
