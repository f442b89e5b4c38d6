"""Stop 4: by when a channel or courier wants what of an order, and what we say about it.

A channel's own time is believed; where it states none, what is agreed (core/terms.py). A deadline
is said ahead once and, when it is missed, once more; the exception closes with the fact it waited
for. What is kept here is in rows, so a restart says nothing twice. The rounds call `look`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from core import by_person, holds, order_rows, returns
from core.clock import stamp, unstamp
from core.lifecycle import State
from core.model import Cancellation, DeadlineKind, Order, ParcelEvent, RequestState, Return
from core.store.schema import deadlines, orders, shipments
from core.terms import CANCELS, Term, Terms
from core.work import Work

#: What the exceptions about them begin with; a person may accept them.
CAUSE = f"{holds.LATE}deadline_"
#: So many are said in one transaction; the next round says the rest.
MOST = 500
#: Kinds that an order itself has, each once; for the others something has to happen first.
_OF_ORDER = (*CANCELS, DeadlineKind.DELIVER)
_ENDED = (State.SHIPPED.value, State.CANCELLED.value)
#: What came of a parcel: nothing more is expected of its courier.
_DELIVERED = "delivered"
_FAILED = "failed_attempt"

#: Kind and what it is about.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Due:
    """One deadline as somebody states it, or as it is agreed."""

    at: datetime
    stated: bool


# ------------------------------------------------------------------ what was said


def order_said(work: Work, order_id: int, system: str, order: Order) -> None:
    """A revision of an order: its deadlines are those it states now, and those agreed."""
    kinds = [k for k in _OF_ORDER if k is not DeadlineKind.ACCEPT or not order.accepted]
    stated = {
        (one.kind.value, ""): Due(one.at, stated=True)
        for one in sorted(order.deadlines, key=lambda one: one.at, reverse=True)
        if one.kind in kinds
    }
    agreed = _agreed(work, system, kinds, order.placed_at)
    wishes = {
        _key_of(wish): due
        for wish in order.cancellations
        if wish.state is RequestState.REQUESTED
        and (due := _decision(work, system, DeadlineKind.CANCEL_DECISION, wish.decide_by))
    }
    _follow(work, order_id, system, {**agreed, **stated, **wishes}, {*_OF_ORDER, *_WISHES})


_WISHES = (DeadlineKind.CANCEL_DECISION,)


def _key_of(wish: Cancellation) -> Key:
    return (DeadlineKind.CANCEL_DECISION.value, wish.key)


def accepted(work: Work, order_id: int) -> None:
    """The channel has answered that it is: what it says next only repeats it."""
    row = _row(work, order_id, (DeadlineKind.ACCEPT.value, ""))
    if row is not None and row.state == "open":
        _end(work, row, "met", work.now)


def answered(work: Work, order_id: int, wish: str) -> None:
    """The channel has our answer to a buyer's wish."""
    row = _row(work, order_id, (DeadlineKind.CANCEL_DECISION.value, wish))
    if row is not None and row.state == "open":
        _end(work, row, "met", work.now)


def wish_said(work: Work, system: str, wish: Cancellation, order_id: int) -> None:
    """A cancellation that came by itself."""
    due = _decision(work, system, DeadlineKind.CANCEL_DECISION, wish.decide_by)
    open_now = wish.state is RequestState.REQUESTED
    _one(work, order_id, system, _key_of(wish), due if open_now else None)


def return_said(work: Work, system: str, said: Return, order_id: int) -> None:
    """A return that its channel lets us decide; a warehouse's receipt decides nothing."""
    if system not in work.network.channels:
        return
    due = _decision(work, system, DeadlineKind.RETURN_DECISION, said.decide_by)
    open_now = said.state is RequestState.REQUESTED
    key = (DeadlineKind.RETURN_DECISION.value, said.key)
    _one(work, order_id, system, key, due if open_now else None)


def parcel_said(work: Work, system: str, event: ParcelEvent) -> None:
    """A courier's word of a parcel: delivered, or failed, and it asks what to do next (NDR).

    Scans come late and twice; of a parcel that is delivered nothing is asked any more.
    """
    own = shipments.c
    of = select(own.order_id).where(own.tracking == event.tracking, own.tracking != "").distinct()
    key = (DeadlineKind.NDR_DECISION.value, event.tracking)
    for order_id in work.connection.execute(of).scalars().all():
        if event.leg == "forward" and event.state == _DELIVERED:
            _delivered(work, order_id)
        _attempt(work, order_id, system, key, event)


def _attempt(work: Work, order_id: int, courier: str, key: Key, event: ParcelEvent) -> None:
    """A failed attempt asks for a decision; a later scan says that one was taken."""
    term = work.network.terms.find(courier, key[0])
    before = _row(work, order_id, key)
    if event.state == _FAILED and event.leg == "forward":
        at = term.due(event.at)
        if at is not None and (before is None or stamp(at) > before.at):
            _one(work, order_id, courier, key, Due(at, stated=False))
    elif before is not None and before.state == "open":
        asked = term.due(event.at)
        if asked is None or stamp(asked) >= before.at:  # not a scan from before the attempt
            _end(work, before, "met", work.now)


def _delivered(work: Work, order_id: int) -> None:
    """All its parcels are: then its deadline is met."""
    row = _row(work, order_id, (DeadlineKind.DELIVER.value, ""))
    if row is None or row.state != "open":
        return
    order = order_rows.by_id(work, order_id)
    parcels = set(
        work.connection.execute(
            select(shipments.c.tracking).where(shipments.c.order_id == order_id)
        ).scalars()
    )
    came = {one.tracking for one in returns.scans_of(work, parcels) if one.state == _DELIVERED}
    if order.state == State.SHIPPED and parcels <= came:
        _end(work, row, "met", work.now)


def _agreed(
    work: Work, system: str, kinds: Iterable[DeadlineKind], began: datetime
) -> dict[Key, Due]:
    terms = work.network.terms
    return {
        (kind.value, ""): Due(at, stated=False)
        for kind in kinds
        if (at := terms.find(system, kind).due(began)) is not None
    }


def _decision(work: Work, system: str, kind: DeadlineKind, at: datetime | None) -> Due | None:
    """Until when a question is to be answered; agreed times begin when we first hear of it."""
    if at is not None:
        return Due(at, stated=True)
    agreed = work.network.terms.find(system, kind).due(work.now)
    return Due(agreed, stated=False) if agreed is not None else None


# ------------------------------------------------------------------ kept


def _follow(
    work: Work, order_id: int, system: str, wanted: Mapping[Key, Due], kinds: Iterable[str]
) -> None:
    """These are all the deadlines of these kinds that there are now."""
    own = deadlines.c
    rows = work.connection.execute(
        select(deadlines).where(own.order_id == order_id, own.kind.in_([*kinds]))
    ).all()
    for row in rows:
        if row.state == "open" and (row.kind, row.subject) not in wanted:
            _end(work, row, "met" if row.kind in _ANSWERED else "over", work.now)
    known = {(row.kind, row.subject): row for row in rows}
    for key, due in wanted.items():
        _keep(work, order_id, system, key, due, known.get(key))


#: What is no longer asked has been answered; another time that is no longer stated was taken back.
_ANSWERED = (DeadlineKind.ACCEPT, DeadlineKind.CANCEL_DECISION, DeadlineKind.RETURN_DECISION)
#: Agreed times of these begin when we first hear of the question.
_ONCE = (DeadlineKind.CANCEL_DECISION, DeadlineKind.RETURN_DECISION)


def _one(work: Work, order_id: int, system: str, key: Key, due: Due | None) -> None:
    """One question is open until then; None: it is answered."""
    row = _row(work, order_id, key)
    if due is not None:
        _keep(work, order_id, system, key, due, row)
    elif row is not None and row.state == "open":
        _end(work, row, "met", work.now)


def _keep(work: Work, order_id: int, system: str, key: Key, due: Due, row: Row[Any] | None) -> None:
    at, source = stamp(due.at), "stated" if due.stated else "agreed"
    if row is None:
        work.connection.execute(
            insert(deadlines).values(
                order_id=order_id, kind=key[0], subject=key[1], system=system, source=source, at=at
            )
        )
    elif row.at == at or (not due.stated and key[0] in _ONCE):
        return
    elif row.state == "open" or key[0] == DeadlineKind.NDR_DECISION:
        _unsay(work, row)  # it moved: what is said of the new time is said anew
        work.connection.execute(
            update(deadlines)
            .where(*_is(row))
            .values(at=at, source=source, state="open", told="", met_at=None)
        )


def _row(work: Work, order_id: int, key: Key) -> Row[Any] | None:
    own = deadlines.c
    return work.connection.execute(
        select(deadlines).where(own.order_id == order_id, own.kind == key[0], own.subject == key[1])
    ).one_or_none()


def _is(row: Row[Any]) -> tuple[Any, ...]:
    own = deadlines.c
    return (own.order_id == row.order_id, own.kind == row.kind, own.subject == row.subject)


def _end(work: Work, row: Row[Any], state: str, at: datetime) -> None:
    """met: the fact it waited for came then. over: nobody waits for it any more."""
    _unsay(work, row)
    met_at = stamp(at) if state == "met" else None
    work.connection.execute(update(deadlines).where(*_is(row)).values(state=state, met_at=met_at))
    left_s = round((unstamp(row.at) - at).total_seconds())
    work.steps.add(
        4, f"deadline.{state}", system=row.system, order_id=row.order_id, kind=row.kind,
        left_s=left_s,
    )  # fmt: skip


def _unsay(work: Work, row: Row[Any]) -> None:
    """No exception is about it any more, unless another one of the same order and kind is."""
    own = deadlines.c
    others = work.connection.execute(
        select(own.told).where(
            own.order_id == row.order_id,
            own.kind == row.kind,
            own.subject != row.subject,
            own.state == "open",
            own.told == row.told,
        )
    ).first()
    if row.told and others is None:
        holds.close_cause(work, cause_of(row.told, row), "order", str(row.order_id))


def cause_of(told: str, row: Row[Any]) -> str:
    """One exception for each system, kind and word: near or missed."""
    return f"{CAUSE}{told}:{row.kind}:{row.system}"


# ------------------------------------------------------------------ the rounds


def is_due(connection: Connection, terms: Terms, now: datetime) -> bool:
    """Whether `look` has anything to do."""
    return bool(_ended(connection, 1) or _to_say(connection, terms, now, 1))


def look(work: Work) -> None:
    """Close what is over with its order, say what is near or missed. Safe to call again."""
    for row in _ended(work.connection, MOST):
        shipped = row.order_state == State.SHIPPED.value
        _end(work, row, "met" if shipped else "over", unstamp(row.changed_at))
    for row in _to_say(work.connection, work.network.terms, work.now, MOST):
        _say(work, row, "missed" if row.at <= stamp(work.now) else "near")


def _ended(connection: Connection, most: int) -> Sequence[Row[Any]]:
    """Open ones that ended with their order; a delivery is awaited of what has left."""
    leaves = and_(deadlines.c.kind.in_(CANCELS), orders.c.state.in_(_ENDED))
    gone = and_(
        deadlines.c.kind.in_([*_OF_ORDER, DeadlineKind.CANCEL_DECISION]),
        orders.c.state == State.CANCELLED.value,
    )
    return connection.execute(
        select(deadlines, orders.c.state.label("order_state"), orders.c.changed_at)
        .join(orders, orders.c.id == deadlines.c.order_id)
        .where(deadlines.c.state == "open", or_(leaves, gone))
        .limit(most)
    ).all()


def _to_say(connection: Connection, terms: Terms, now: datetime, most: int) -> list[Row[Any]]:
    """Open ones that are missed or near, and nothing was said of that; the most urgent first."""
    at, told = deadlines.c.at, deadlines.c.told
    soon = stamp(now + timedelta(seconds=terms.warn_most_s))
    rows = connection.execute(
        _OPEN.where(or_(and_(at <= soon, told == ""), and_(at <= stamp(now), told != "missed")))
    )
    found: list[Row[Any]] = []
    for row in rows:
        warn = timedelta(seconds=terms.find(row.system, row.kind).warn_s)
        if unstamp(row.at) - warn <= now:
            found.append(row)
            if len(found) == most:
                break
    return found


_OPEN: Select[Any] = select(deadlines).where(deadlines.c.state == "open").order_by(deadlines.c.at)


def _say(work: Work, row: Row[Any], told: str) -> None:
    _unsay(work, row)
    work.connection.execute(update(deadlines).where(*_is(row)).values(told=told))
    term = work.network.terms.find(row.system, row.kind)
    order = order_rows.by_id(work, row.order_id)
    hold_id = holds.open_hold(
        work,
        cause=cause_of(told, row),
        system=row.system,
        reason=_reason(row, told, term),
        next_step=_NEXT[DeadlineKind(row.kind)],
        member="order",
        ref=str(order.id),
        label=f"{order.system}:{order.number}",
    )
    work.steps.add(
        4, f"deadline.{told}", system=row.system, order_id=order.id, kind=row.kind, at=row.at
    )
    if told == "missed":
        _act(work, order, row, term, hold_id)


def _reason(row: Row[Any], told: str, term: Term) -> str:
    what = _WHAT[DeadlineKind(row.kind)]
    if told == "missed":
        return f"{what}: {row.system} wanted it by a time that is over"
    return f"{what}: less than {term.warn_s / 3600:g} h are left of the time {row.system} gives"


def _act(work: Work, order: Row[Any], row: Row[Any], term: Term, hold_id: int) -> None:
    """What was decided for this case, once."""
    words = f"{row.kind} was due at {row.at}"
    if term.policy == "escalate":
        values = {"assignee": term.to, "snoozed_until": None}
        holds.mark(work, hold_id, "assigned", by=BY, values=values, said=term.to)
    elif (
        term.policy == "cancel"
        and order.state not in _ENDED
        and not by_person.is_stopped(work, order)
    ):
        by_person.stop(work, order, by=BY, reason=words, what=by_person.CANCELLED)


#: Who stops an order or puts somebody on it, where nobody did so by hand.
BY = "the deadline policy"

_WHAT = {
    DeadlineKind.ACCEPT: "orders are not accepted",
    DeadlineKind.PACK: "orders are not packed",
    DeadlineKind.SHIP: "orders have not left",
    DeadlineKind.HANDOVER: "orders are not with the courier",
    DeadlineKind.DELIVER: "orders are not delivered",
    DeadlineKind.CANCEL_DECISION: "a buyer's cancellation is not answered",
    DeadlineKind.RETURN_DECISION: "a return is not answered",
    DeadlineKind.NDR_DECISION: "a failed delivery is not answered",
    DeadlineKind.AUTO_CANCEL: "orders have not left before the channel cancels them",
}
_SHIP = "Ship them, or cancel on the channel. `truecount trace ORDER` says what each waits for."
_NEXT = {
    DeadlineKind.ACCEPT: "Accept them on the channel, or cancel them there.",
    DeadlineKind.PACK: _SHIP,
    DeadlineKind.SHIP: _SHIP,
    DeadlineKind.HANDOVER: _SHIP,
    DeadlineKind.DELIVER: "Ask the courier where the parcels are, and tell the buyers.",
    DeadlineKind.CANCEL_DECISION: "`truecount grant ORDER` or `truecount refuse ORDER`; where the"
    " channel takes no answer from us, answer it there.",
    DeadlineKind.RETURN_DECISION: "Answer it on the channel: allow the return there, or refuse.",
    DeadlineKind.NDR_DECISION: "Tell the courier: another attempt, another address, or back.",
    DeadlineKind.AUTO_CANCEL: _SHIP,
}
