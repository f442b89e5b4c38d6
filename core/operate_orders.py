"""What an operator decides about orders: release, by-hand, hold, cancel, grant, refuse."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from core import by_hand, by_person, cancelling, fulfillment, handover, holds, order_rows
from core.app import App
from core.lifecycle import State
from core.model import CancelReason
from core.verbs import Unknown, order_named, orders_chosen, said, work_of
from core.wording import plural
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
    if by_person.is_ending(work, row):
        return (
            f"{row.system} may be hearing right now that {name} is to end: look again in a minute"
        )
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


# ------------------------------------------------------------------ it stops, or ends


async def hold(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """It is kept back, and asked back from the warehouse; nothing is said to its channel."""
    return await _stop(app, words, by_person.KEPT)


async def cancel(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """The same, and once no warehouse has it, its channel is asked to cancel it. `short`: only the
    units that no stock covers, and the rest goes on."""
    if words.get("short"):
        return await _cancel_short(app, words)
    return await _stop(app, words, by_person.CANCELLED)


async def grant(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """The same, and its channel is told that its buyer's wish is granted."""
    return await _stop(app, words, by_person.GRANTED)


async def _stop(app: App, words: dict[str, Any], what: str) -> dict[str, Any]:
    by, reason, because = said(words, "by"), said(words, "reason"), _because(words)

    def unit(connection: Connection) -> tuple[Row[Any], bool]:
        work = work_of(app, connection)
        row = order_named(connection, str(words.get("order", "")))
        _may_stop(work, row, what)
        by_person.stop(work, row, by=by, reason=reason, what=what, because=because)
        work.finish()
        return order_rows.by_id(work, row.id), _is_told(work, row, what)

    row, told = await app.store.write(unit)
    asked = "the warehouse is asked for it" if row.asked else "no warehouse has it"
    now = f"cancel it on {row.system}, which owns the order; it ends here then"
    if what == by_person.KEPT:
        now = "it waits for `truecount release` or `truecount cancel`"
    elif told:
        when = "once the warehouse has let it be" if row.asked else "now"
        now = f"{row.system} is told {when}; it ends here when {row.system} says so"
    return {"stopped": f"{row.system}:{row.number}", "warehouse": asked, "now": now}


def _because(words: dict[str, Any]) -> CancelReason:
    text = str(words.get("because", CancelReason.OTHER))
    try:
        return CancelReason(text)
    except ValueError:
        raise Unknown(f"--because is one of {', '.join(CancelReason)}, not {text!r}") from None


def _may_stop(work: Work, row: Row[Any], what: str) -> None:
    name = f"{row.system}:{row.number}"
    if row.state in _OVER:
        raise Unknown(f"{name} is {row.state}: nothing of it can be stopped")
    if by_person.is_ending(work, row) or (
        what == by_person.KEPT and by_person.is_stopped(work, row)
    ):
        raise Unknown(f"{name} is stopped already")
    if what == by_person.GRANTED:
        _wishes_of(work, row)


def _wishes_of(work: Work, row: Row[Any]) -> None:
    if not cancelling.open_wishes(work, row, order_rows.read(work, row)):
        name = f"{row.system}:{row.number}"
        raise Unknown(f"no buyer asks to cancel {name}; to end it all the same: `truecount cancel`")


def _is_told(work: Work, row: Row[Any], what: str) -> bool:
    kind = cancelling.ANSWER if what == by_person.GRANTED else cancelling.CANCEL
    return cancelling.takes(work, row, kind)


async def _cancel_short(app: App, words: dict[str, Any]) -> dict[str, Any]:
    by, reason = said(words, "by"), said(words, "reason")

    def unit(connection: Connection) -> dict[str, Any]:
        work = work_of(app, connection)
        row = order_named(connection, str(words.get("order", "")))
        name = f"{row.system}:{row.number}"
        if not cancelling.takes(work, row, cancelling.CANCEL):
            raise Unknown(f"{row.system} takes that from a person only: cancel the units there")
        units = 0 if row.state in _OVER else cancelling.ask_short(work, row)
        if not units:
            raise Unknown(
                f"no unit of {name} is short, or {row.system} was asked already and has not said"
                " what came of it"
            )
        work.steps.add(
            4, "operator.cancelled_short", system=row.system, order_id=row.id, by=by,
            reason=reason, units=units,
        )  # fmt: skip
        work.finish()
        return {"asked to cancel": plural(units, "unit"), "of": name}

    return await app.store.write(unit)


async def refuse(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """Its channel is told that its buyer's wish to cancel is not granted; the order goes on."""
    by, reason = said(words, "by"), said(words, "reason")

    def unit(connection: Connection) -> dict[str, Any]:
        work = work_of(app, connection)
        row = order_named(connection, str(words.get("order", "")))
        name = f"{row.system}:{row.number}"
        _wishes_of(work, row)
        if not cancelling.takes(work, row, cancelling.ANSWER):
            raise Unknown(f"{row.system} takes the answer from a person only: refuse it there")
        if by_person.is_ending(work, row):
            raise Unknown(f"{name} is being cancelled; `truecount release` it first")
        shipped = any(line.consumed for line in order_rows.lines_of(work, row.id))
        cancelling.answer(work, row, granted=False, shipped=shipped)
        cancelling.wish_is_over(work, row)
        work.steps.add(
            4, "operator.refused_wish", system=row.system, order_id=row.id, by=by, reason=reason
        )
        work.finish()
        return {"refused": name, "now": f"{row.system} is told, and the order goes on"}

    return await app.store.write(unit)
