"""Stop 4: an order that is to end on its channel, and the buyer's wish that it does.

The order is its channel's: we ask it to cancel, or answer what its buyer wishes, and only what it
says next ends the order here. It is asked when no warehouse has the order any more, so that nothing
of it can leave meanwhile (S15).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from core import commands, holds, kit_lines, order_rows, taking_back
from core.codec import from_json
from core.lifecycle import State
from core.model import (
    AnswerCancellation,
    Cancellation,
    CancelOrder,
    CancelReason,
    Order,
    Party,
    QuantityLine,
    RequestState,
)
from core.returns import aad
from core.store.schema import ENDED, facts, outbox
from core.work import Work

CANCEL, ANSWER = "cancel_order", "answer_cancellation"
#: The exception of a wish that nobody has decided about.
WISH = "cancel_requested"


def takes(work: Work, row: Row[Any], kind: str) -> bool:
    """Whether the channel of an order can be asked, or answered, by a command."""
    return (row.system, kind) in work.network.accepts


# ------------------------------------------------------------------ asked


def ask(work: Work, row: Row[Any], reason: str) -> None:
    """The channel is asked to cancel what has not left; all of it, unless a part has."""
    own = order_rows.lines_of(work, row.id)
    _ask(work, row, reason, _rest(own) if any(line.consumed for line in own) else ())


def ask_short(work: Work, row: Row[Any]) -> int:
    """The channel is asked to cancel the units that no stock covers. Returns how many of its own
    units that is; a kit that lacks a part is missing whole. 0: none are, or it was asked."""
    missing = _short(order_rows.lines_of(work, row.id))
    if not missing or not _ask(work, row, CancelReason.OUT_OF_STOCK, missing):
        return 0
    return sum(line.quantity for line in missing)


def _ask(work: Work, row: Row[Any], reason: str, some: tuple[QuantityLine, ...]) -> bool:
    before = _told(work, row, CANCEL)
    if any(_is_unheard(row, one) for one in before):
        return False  # asked twice, it might cancel twice as many units
    record = CancelOrder(
        reference=commands.key_of(row.system, row.external_id, CANCEL, str(len(before) + 1)),
        order_reference="",
        order=row.external_id,
        number=row.number,
        reason=reason,
        lines=some,
        extras=order_rows.read(work, row).extras,
    )
    return commands.ask(work, row.system, CANCEL, record, order_id=row.id)


def _told(work: Work, row: Row[Any], kind: str) -> list[Row[Any]]:
    """What was asked of its channel, the oldest first; what was taken back never was."""
    own = outbox.c
    asked = (
        select(own.key, own.state, own.done_at)
        .where(
            own.order_id == row.id,
            own.system == row.system,
            own.kind == kind,
            own.state != "taken_back",
        )
        .order_by(own.id)
    )
    return list[Row[Any]](work.connection.execute(asked))


def _is_unheard(row: Row[Any], one: Row[Any]) -> bool:
    """On its way, or done and the channel has not said since what came of it."""
    return one.state not in ENDED or (one.state == "done" and one.done_at >= row.changed_at)


def _rest(own: list[Row[Any]]) -> tuple[QuantityLine, ...]:
    return _lines(own, lambda line: line.ordered - line.cancelled - line.consumed)


def _short(own: list[Row[Any]]) -> tuple[QuantityLine, ...]:
    return _lines(own, lambda line: line.short)


def _lines(own: list[Row[Any]], units: Any) -> tuple[QuantityLine, ...]:
    """By the channel's own lines and in its own units."""
    found = []
    for key, rows in kit_lines.by_line(own).items():
        count = max(kit_lines.of_line(row, units(row)) for row in rows)
        if count > 0:
            found.append(QuantityLine(line=key, sku=rows[0].sku, quantity=count))
    return tuple(found)


# ------------------------------------------------------------------ answered


def answer(work: Work, row: Row[Any], *, granted: bool, shipped: bool = False) -> int:
    """Every open wish of its buyer is answered. Returns how many were."""
    order = order_rows.read(work, row)
    told = _told(work, row, ANSWER)
    wishes = open_wishes(work, row, order)
    for wish in wishes:
        base = commands.key_of(row.system, row.external_id, ANSWER, wish.key)
        same = [one.state for one in told if one.key.rpartition(".")[0] == base]
        if same.count("discarded") < len(same):
            continue  # answered already, or being so
        record = AnswerCancellation(
            reference=f"{base}.{len(same) + 1}",
            order=row.external_id,
            number=row.number,
            request=wish.key,
            granted=granted,
            shipped=shipped,
            extras=order.extras,
        )
        commands.ask(work, row.system, ANSWER, record, order_id=row.id)
    return len(wishes)


def wish_of(key: str) -> str:
    """The channel's key of the wish that a command answers."""
    return key.partition(f":{ANSWER}:")[2].rpartition(".")[0]


def open_wishes(work: Work, row: Row[Any], order: Order) -> list[Cancellation]:
    """What its buyer asks and nobody has answered: said with the order, or by itself."""
    said = {wish.key: wish for wish in order.cancellations}
    said |= {wish.key: wish for wish in _by_themselves(work, row)}
    return [wish for wish in said.values() if is_wish(wish)]


def is_wish(said: Cancellation) -> bool:
    """Somebody else asks, and nobody has answered yet."""
    return said.state is RequestState.REQUESTED and said.initiator is not Party.SELLER


def _by_themselves(work: Work, row: Row[Any]) -> list[Cancellation]:
    own = facts.c
    rows = work.connection.execute(
        select(facts)
        .where(
            own.order_id == row.id,
            own.resource == "cancellation",
            own.system == row.system,
        )
        .order_by(own.external_id)
    )
    return [
        from_json(Cancellation, work.seal.open(one.doc, aad(one.system, one.external_id)))
        for one in rows
    ]


# ------------------------------------------------------------------ recalled


def recall(work: Work, row: Row[Any]) -> bool:
    """The order is to go on: what its channel was to be told is taken back, what it refused is
    given up. False, and nothing is changed, while it may be hearing it."""
    rows = work.connection.execute(
        select(outbox).where(
            outbox.c.order_id == row.id,
            outbox.c.system == row.system,
            outbox.c.kind.in_((CANCEL, ANSWER)),
            outbox.c.state.not_in(ENDED),
        )
    ).all()
    if not all(one.state == "dead" or taking_back.never_left(work, one) for one in rows):
        return False
    for one in rows:
        if one.state == "dead":
            taking_back.discard(work, one, "the order goes on")
        else:
            taking_back.end(work, one, "taken_back", "the order goes on")
    return True


# ------------------------------------------------------------------ the wish is shown


def show_wish(work: Work, row: Row[Any]) -> None:
    """A buyer's wish is a flag: it cancels nothing by itself, and a person decides in time."""
    if row.state in (State.CANCELLED, State.SHIPPED):
        return
    next_step = "Cancel it on the channel before the warehouse ships it, or let it go on."
    if takes(work, row, ANSWER):
        next_step = (
            f"`truecount grant ORDER` or `truecount refuse ORDER`: {row.system} is answered, once"
            " the warehouse has let it be."
        )
    holds.hold_order(
        work,
        row,
        cause=holds.late(WISH, row),
        reason="the buyer asks the channel to cancel this order",
        next_step=next_step,
    )


def wish_is_over(work: Work, row: Row[Any]) -> None:
    """Nobody has to decide about it any more."""
    holds.close_cause(work, holds.late(WISH, row), "order", str(row.id))


def not_asked_any_more(work: Work, row: Row[Any]) -> None:
    """The channel says what became of the wishes: it waits for no answer."""
    wish_is_over(work, row)
    taking_back.unwanted(work, row, ANSWER)
