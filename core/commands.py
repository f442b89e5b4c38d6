"""Asking a system for something: a command in the outbox, in the deciding transaction.

The key is derived from the fact, never random: the same decision made again, or
after yesterday's backup was restored, is the same command (G17).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, func, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert

from core import handover, holds
from core.clock import stamp
from core.codec import to_json
from core.errors import InvariantBroken
from core.model import COMMANDS, Ask
from core.store.hot import Hot
from core.store.schema import inbox, orders, outbox
from core.work import Work

#: 0 is served first: confirmations and cuts to zero, then the rest (DESIGN 5).
URGENT = 0
NORMAL = 2


def key_of(system: str, order: str, kind: str, revision: str) -> str:
    return f"truecount:{system}:{order}:{kind}:{revision}"


def order_meant(key: str) -> tuple[str, str] | None:
    """System and order of a key of ours; None where it is somebody else's word."""
    ours, _, rest = key.partition(":")
    system, _, rest = rest.partition(":")
    order, _, kind = rest.rpartition(":")[0].rpartition(":")
    return (system, order) if ours == "truecount" and order and kind in COMMANDS else None


def aad(key: str) -> bytes:
    return f"outbox:{key}".encode()


def ask(
    work: Work,
    system: str,
    kind: str,
    record: Ask,
    *,
    order_id: int,
    due_at: datetime | None = None,
) -> bool:
    """Queue one command in its order's lane to `system`.

    False if it was asked before, or if `system` is no reader of what it would be told (G5).
    """
    if not isinstance(record, COMMANDS[kind]):
        raise InvariantBroken(f"{kind} does not carry a {type(record).__name__}")
    accepts = work.network.accepts.get((system, kind))
    if accepts is None:
        raise InvariantBroken(f"{system} does not accept {kind}")
    if not _may_tell(work, system, kind, order_id):
        work.count("command.not_a_reader", f"{system} {kind}")
        return False
    state = handover.begins_as(work, system, order_id)
    if not state:  # somebody did this order by hand
        return False
    row = _ASK(
        work.connection,
        system=system,
        kind=kind,
        lane=f"order:{order_id}",
        key=record.reference,
        order_id=order_id,
        record=work.seal.seal(to_json(record), aad(record.reference)),
        state=state,
        words=handover.WORDS if state == handover.PLANNED else "",
        safe_by=accepts.safe_by,
        urgency=URGENT if accepts.urgent else NORMAL,
        queued_at=stamp(work.now),
        due_at=stamp(due_at or work.now),
    ).one_or_none()
    if row is None:
        return False
    work.queued += 1
    _answer_came_first(work, system, record.reference)
    planned = state == handover.PLANNED
    words = {"words": handover.WORDS} if planned else {}
    work.steps.add(
        5, "command.queued", system=system, order_id=order_id, kind=kind, id=row.id, **words
    )
    if planned:
        handover.show(work, order_id)
    return True


def _may_tell(work: Work, system: str, kind: str, order_id: int) -> bool:
    order = _SCOPES(work.connection, order_id=order_id).one()
    may_tell = work.network.owners.may_tell(
        kind, system, channel=order.system, location=order.location or ""
    )
    # At start it was made sure that who ships is told. A release nobody hears waits for ever.
    if not may_tell and kind == "fulfill_order":
        raise InvariantBroken(f"{system} ships from {order.location} and may not be told to")
    return may_tell


_SCOPES = Hot(
    select(orders.c.system, orders.c.location).where(orders.c.id == bindparam("order_id"))
)

_COLUMNS = (
    "system kind lane key order_id record state words safe_by urgency queued_at due_at".split()
)
_ASK = Hot(
    insert(outbox)
    .values({name: bindparam(name) for name in _COLUMNS})
    .on_conflict_do_nothing(index_elements=["system", "key"])
    .returning(outbox.c.id)
)


_UNKNOWN = "unknown_shipment:"


def unknown_cause(system: str, reference: str) -> str:
    """The exception of what a system says about a command we do not know (yet)."""
    return f"{_UNKNOWN}{system}:{reference}"


def unknown_order(system: str, order: str) -> str:
    """The exception of what a system says about an order we do not know (yet)."""
    return f"unknown_order:{system}:{order}"


def impossible(system: str, order: str) -> str:
    """The cause of an order that cannot be as its channel says it."""
    return f"impossible_order:{system}:{order}"


def order_came(work: Work, system: str, order: str) -> None:
    """An order is captured: what was said of it before is decided now (S10)."""
    _look_again(work, unknown_order(system, order))


def order_can_be(work: Work, system: str, order: str) -> None:
    """What could not be was said of it before, and is stale by now: it is held no longer."""
    _look_again(work, impossible(system, order))


def never_asked(work: Work, system: str, order: str) -> None:
    """An order is over before anybody is asked: what was said of it is looked at again (H38)."""
    for cause in holds.open_like(work, _UNKNOWN):
        if order_meant(cause.removeprefix(_UNKNOWN).partition(":")[2]) == (system, order):
            _look_again(work, cause)


def _answer_came_first(work: Work, system: str, key: str) -> None:
    """After a restore the parcel may be read before its order is asked for again (H11, H38)."""
    _look_again(work, unknown_cause(system, key))


def _look_again(work: Work, cause: str) -> None:
    """Records held for this cause are decided once more."""
    for seq in holds.members_of(work, cause, "inbox"):
        work.connection.execute(
            update(inbox)
            .where(inbox.c.seq == int(seq), inbox.c.state == "held")
            .values(state="pending")
        )


def asked_before(work: Work, order_id: int, kind: str) -> int:
    """How often this kind was asked for this order; the next revision is one more.

    What was taken back before it left was never asked, so its key is the next one again.
    """
    return int(_ASKED(work.connection, order_id=order_id, kind=kind).scalar_one())


_ASKED = Hot(
    select(func.count())
    .select_from(outbox)
    .where(
        outbox.c.order_id == bindparam("order_id"),
        outbox.c.kind == bindparam("kind"),
        outbox.c.state != literal_column("'taken_back'"),
    )
)
