"""Stop 4: a command that never left is taken back when its order wants something else by now.

While a warehouse or a ledger is away orders are edited and cancelled. What was never tried
has surely not happened, so it is not sent and then undone: it is decided anew, under the
same key, or not asked at all. What was tried once is never changed (H24).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select, update

from core import handover, holds
from core.clock import stamp
from core.restored import LOOK_FIRST
from core.store.schema import ENDED, meta, orders, outbox
from core.work import Work


def take_back(work: Work, row: Row[Any], key: str, why: str) -> bool:
    """Take back what was asked under `key` for one order, of every system that was asked.

    False, and nothing is changed, if any of them may have heard of it already, or if
    something waits behind it that would then come first.
    """
    asked = work.connection.execute(
        select(outbox).where(outbox.c.order_id == row.id, outbox.c.key == key)
    ).all()
    if not asked or just_restored(work) or not all(never_left(work, one) for one in asked):
        return False
    for one in asked:
        end(work, one, "taken_back", why)
    return True


def reopen(work: Work, row: Row[Any]) -> None:
    """A newer revision of an order: what nobody has heard of it yet is decided anew (H42)."""
    why = "the order changed before it left"
    for column, key in (("asked", row.asked), ("booked", row.booked)):
        if key and take_back(work, row, key, why):
            work.connection.execute(
                update(orders).where(orders.c.id == row.id).values({column: ""})
            )


def unwanted(work: Work, row: Row[Any], kind: str) -> None:
    """The channel has cancelled the order: it wants no tracking, no acceptance and no answer any
    more, and refuses them for good."""
    own = outbox.c
    rows = work.connection.execute(
        select(outbox).where(own.order_id == row.id, own.system == row.system, own.kind == kind)
    ).all()
    for one in rows:
        if one.state == "dead":
            discard(work, one, "the channel has cancelled this order")
        elif never_left(work, one):
            end(work, one, "taken_back", "the channel has cancelled this order")


def discard(work: Work, command: Row[Any], why: str) -> None:
    """A dead command is given up for good; its lane goes on, its exception may close."""
    end(work, command, "discarded", why)
    holds.close_member(work, "command", str(command.id))


def end(work: Work, command: Row[Any], state: str, why: str) -> None:
    """It will not be sent. What was never sent gives its key back to the fact it was made of."""
    values: dict[str, Any] = {"state": state, "words": why[:500], "done_at": stamp(work.now)}
    if state == "taken_back":
        values |= {"key": f"{command.key}#{command.id}", "record": b"", "body": None}
    work.connection.execute(update(outbox).where(outbox.c.id == command.id).values(**values))
    work.steps.add(
        5,
        f"command.{state}",
        system=command.system,
        order_id=command.order_id,
        kind=command.kind,
        id=command.id,
        words=why[:200],
    )
    if command.state == handover.PLANNED:
        handover.show(work, command.order_id)


def never_left(work: Work, command: Row[Any]) -> bool:
    """It was never tried, and nothing of its lane waits behind it."""
    if command.state not in ("queued", handover.PLANNED) or command.attempts:
        return False
    behind = work.connection.execute(
        select(func.count())
        .select_from(outbox)
        .where(
            outbox.c.system == command.system,
            outbox.c.lane == command.lane,
            outbox.c.id > command.id,
            outbox.c.state.not_in(ENDED),
        )
    ).scalar_one()
    return not behind


def just_restored(work: Work) -> bool:
    """What a backup says was never tried may have been done long ago (G17)."""
    until: Sequence[str] = (
        work.connection.execute(select(meta.c.value).where(meta.c.key == LOOK_FIRST))
        .scalars()
        .all()
    )
    return any(stamp(work.now) < one for one in until)
