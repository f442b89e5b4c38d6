"""Exceptions: one open hold per cause, with its members.

400 orders with one unknown payment word are one exception of 400 members, and it
closes by itself when its last member does. Nothing here decides; it remembers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from core.clock import stamp
from core.store.hot import Hot
from core.store.schema import hold_members, holds
from core.work import Work

#: Causes that arise after the warehouse was asked; `advance` does not close them, a person does.
LATE = "late:"


def late(what: str, row: Row[Any]) -> str:
    """The cause of one of these, for one order."""
    return f"{LATE}{what}:{row.system}:{row.external_id}"


def open_hold(
    work: Work,
    *,
    cause: str,
    system: str,
    reason: str,
    next_step: str,
    member: str,
    ref: str,
    label: str,
) -> int:
    """Add a member to the open hold of this cause, opening it if it is the first."""
    hold_id = _open_id(work, cause)
    if hold_id is None:
        hold_id = work.connection.execute(
            insert(holds)
            .values(
                cause=cause,
                system=system,
                reason=reason,
                next_step=next_step,
                opened_at=stamp(work.now),
            )
            .returning(holds.c.id)
        ).scalar_one()
    statement = insert(hold_members).values(
        hold_id=hold_id, member=member, ref=ref, label=label, since=stamp(work.now)
    )
    work.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["hold_id", "member", "ref"], set_={"closed_at": None}
        )
    )
    return hold_id


def say(work: Work, cause: str, reason: str) -> None:
    """The reason of an open hold follows its numbers."""
    work.connection.execute(
        update(holds)
        .where(holds.c.cause == cause, holds.c.closed_at.is_(None))
        .values(reason=reason)
    )


def hold_order(work: Work, row: Row[Any], *, cause: str, reason: str, next_step: str) -> None:
    """The same for an order, by its row. Its state is the caller's to change."""
    open_hold(
        work,
        cause=cause,
        system=row.system,
        reason=reason,
        next_step=next_step,
        member="order",
        ref=str(row.id),
        label=f"{row.system}:{row.number}",
    )


def open_causes(work: Work, member: str, ref: str) -> dict[str, int]:
    """The causes that hold this member now: {cause: hold id}."""
    rows = _OPEN_CAUSES(work.connection, member=member, ref=ref)
    return {row.cause: row.id for row in rows}


_OPEN_CAUSES = Hot(
    select(holds.c.cause, holds.c.id)
    .join(hold_members, hold_members.c.hold_id == holds.c.id)
    .where(
        hold_members.c.member == bindparam("member"),
        hold_members.c.ref == bindparam("ref"),
        hold_members.c.closed_at.is_(None),
        holds.c.closed_at.is_(None),
    )
)


def open_refs(work: Work, member: str, system: str) -> set[str]:
    """Which members of one kind are held now, of one system; nearly always none."""
    rows = _OPEN_REFS(work.connection, member=member, system=system)
    return {row.ref for row in rows}


_OPEN_REFS = Hot(
    select(hold_members.c.ref)
    .join(holds, hold_members.c.hold_id == holds.c.id)
    .where(
        holds.c.closed_at.is_(None),
        holds.c.system == bindparam("system"),
        hold_members.c.member == bindparam("member"),
        hold_members.c.closed_at.is_(None),
    )
)


def close_member(work: Work, member: str, ref: str, *, keep: Collection[str] = ()) -> list[str]:
    """The causes of this member that are gone, all but `keep`. Empty holds close."""
    gone = []
    for cause, hold_id in open_causes(work, member, ref).items():
        if cause not in keep:
            _leave(work, hold_id, member, ref)
            gone.append(cause)
    return gone


def close_cause(work: Work, cause: str, member: str, ref: str) -> bool:
    """This cause of this member is gone, its others stay. False if it was not open."""
    hold_id = open_causes(work, member, ref).get(cause)
    if hold_id is None:
        return False
    _leave(work, hold_id, member, ref)
    return True


def mark(
    work: Work,
    hold_id: int,
    what: str,
    *,
    by: str,
    values: Mapping[str, str | None],
    said: str,
) -> bool:
    """A person took it, wrote to it or put it off: kept with it, and a step in the walk of each
    of its orders. False: there is no such open exception."""
    done = work.connection.execute(
        update(holds).where(holds.c.id == hold_id, holds.c.closed_at.is_(None)).values(**values)
    )
    if not done.rowcount:
        return False
    members = work.connection.execute(
        select(hold_members.c.member, hold_members.c.ref).where(
            hold_members.c.hold_id == hold_id, hold_members.c.closed_at.is_(None)
        )
    ).all()
    orders = [int(row.ref) for row in members if row.member == "order"]
    for order_id in orders or (None,):
        work.steps.add(4, f"hold.{what}", order_id=order_id, hold=hold_id, by=by, words=said)
    return True


def times_closed(work: Work, cause: str) -> int:
    """How often this was an exception and was closed again."""
    return int(
        work.connection.execute(
            select(func.count())
            .select_from(holds)
            .where(holds.c.cause == cause, holds.c.closed_at.is_not(None))
        ).scalar_one()
    )


def open_like(work: Work, prefix: str) -> list[str]:
    """Causes of open exceptions that begin so."""
    return list(
        work.connection.execute(
            select(holds.c.cause).where(
                holds.c.closed_at.is_(None), holds.c.cause.startswith(prefix, autoescape=True)
            )
        ).scalars()
    )


def members_of(work: Work, cause: str, member: str) -> list[str]:
    """Who waits for this cause: references of open members of one kind."""
    hold_id = _open_id(work, cause)
    if hold_id is None:
        return []
    rows = work.connection.execute(
        select(hold_members.c.ref).where(
            hold_members.c.hold_id == hold_id,
            hold_members.c.member == member,
            hold_members.c.closed_at.is_(None),
        )
    )
    return [row.ref for row in rows]


def _open_id(work: Work, cause: str) -> int | None:
    found: int | None = _OPEN_ID(work.connection, cause=cause).scalar_one_or_none()
    return found


_OPEN_ID = Hot(
    select(holds.c.id).where(holds.c.cause == bindparam("cause"), holds.c.closed_at.is_(None))
)


def _leave(work: Work, hold_id: int, member: str, ref: str) -> None:
    work.connection.execute(
        update(hold_members)
        .where(
            hold_members.c.hold_id == hold_id,
            hold_members.c.member == member,
            hold_members.c.ref == ref,
        )
        .values(closed_at=stamp(work.now))
    )
    _close_if_empty(work, hold_id)


def _close_if_empty(work: Work, hold_id: int) -> None:
    left = work.connection.execute(
        select(func.count())
        .select_from(hold_members)
        .where(hold_members.c.hold_id == hold_id, hold_members.c.closed_at.is_(None))
    ).scalar_one()
    if not left:
        work.connection.execute(
            update(holds).where(holds.c.id == hold_id).values(closed_at=stamp(work.now))
        )
