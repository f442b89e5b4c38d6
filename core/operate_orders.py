"""What an operator decides about orders: release, by-hand, cancel."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from core import by_hand, by_person, fulfillment, handover, holds, order_rows
from core.app import App
from core.lifecycle import State
from core.verbs import Unknown, order_named, orders_chosen, said, work_of
from core.work import Work

_OVER = (State.SHIPPED.value, State.CANCELLED.value)


async def release(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """They go on, where a person may say so; what is from before we were live is ours to do."""
    by, reason = said(words, "by"), said(words, "reason")

    def unit(connection: Connection) -> int:
        work = work_of(app, connection)
        chosen = orders_chosen(connection, words)
        done = [row for row in chosen if _release(work, row, by=by, reason=reason)]
        if not done:
            raise Unknown(_why_not(work, chosen[0]))
        work.finish()
        return len(done)

    return {"released": await app.store.write(unit)}


def _release(work: Work, row: Row[Any], *, by: str, reason: str) -> bool:
    decided = by_person.release(work, row, by=by, reason=reason)
    if decided:
        fulfillment.reconsider(work, row.id)
    return by_person.take_over(work, row, by=by, reason=reason) or bool(decided)


def _why_not(work: Work, row: Row[Any]) -> str:
    name = f"{row.system}:{row.number}"
    causes = holds.open_causes(work, "order", str(row.id))
    if not causes:
        return f"nothing holds {name}: it is {row.state}"
    what = ", ".join(f"[{number}]" for number in sorted(causes.values()))
    return (
        f"{name} waits for what no person can decide: see `truecount holds` {what}. It goes on by"
        " itself when its cause is gone."
    )


async def done_by_hand(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """Somebody else did them before we were live: nobody is told, and their units have left."""
    by, reason = said(words, "by"), said(words, "reason")

    def unit(connection: Connection) -> int:
        work = work_of(app, connection)
        count = 0
        for row in orders_chosen(connection, words):
            if not (handover.is_open(work, row) or by_hand.is_left_in_part(work, row)):
                if "order" in words:
                    raise Unknown(_why_not_by_hand(row))
                continue
            by_hand.over(work, row, by=by, reason=reason)
            count += 1
        fulfillment.go_on(work)
        work.finish()
        return count

    return {"done by hand": await app.store.write(unit)}


def _why_not_by_hand(row: Row[Any]) -> str:
    return (
        f"{row.system}:{row.number} is not from before this was live, or somebody has said already"
        " whose it is; and it had not begun to leave before we first saw it. A single command that"
        " was done by hand: `truecount discard ID`."
    )


async def cancel(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """It is kept back, and asked back from the warehouse; to end it is its channel's."""
    by, reason = said(words, "by"), said(words, "reason")

    def unit(connection: Connection) -> Row[Any]:
        work = work_of(app, connection)
        row = order_named(connection, str(words.get("order", "")))
        if row.state in _OVER:
            raise Unknown(f"{row.system}:{row.number} is {row.state}: nothing of it can be stopped")
        if by_person.is_stopped(work, row):
            raise Unknown(f"{row.system}:{row.number} is stopped already")
        by_person.stop(work, row, by=by, reason=reason)
        work.finish()
        return order_rows.by_id(work, row.id)

    row = await app.store.write(unit)
    asked = "the warehouse is asked for it" if row.asked else "no warehouse has it"
    return {
        "stopped": f"{row.system}:{row.number}",
        "warehouse": asked,
        "now": f"cancel it on {row.system}, which owns the order; it ends here then",
    }
