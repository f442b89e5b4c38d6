"""Differences from day to day: first seen, who is on it, resolved by a fact, or written off.

What is on its way is not remembered: it ends by itself. A row ends when its
difference is not found any more, and begins anew if it comes back. A write-off
counts for the amount it was said of; another amount is another matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from core.causes import CAUSES, IN_FLIGHT, UNEXPLAINED
from core.clock import Window, stamp
from core.differences import Difference
from core.store.schema import differences

#: What of a difference is remembered.
FIELDS = ("id", "kind", "what", "key", "cause", "units", "minor", "currency")


def as_seen(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """What the daemon is told by the process that compares: no detail, no buyer."""
    return [{name: getattr(one, name) for name in FIELDS} for one in found]


def amount_of(units: int, minor: int, currency: str) -> str:
    """What a write-off is said of."""
    return f"{units} {minor} {currency}".strip()


def rows(connection: Connection) -> dict[str, Row[Any]]:
    """By id, those that have not ended."""
    statement = select(differences).where(differences.c.ended_at.is_(None))
    return {row.id: row for row in connection.execute(statement)}


def with_history(connection: Connection, found: Sequence[Difference]) -> list[Difference]:
    """First seen, whose it is, and written off where somebody did."""
    known = rows(connection)
    return [_with_history(one, known.get(one.id)) for one in found]


def _with_history(one: Difference, row: Row[Any] | None) -> Difference:
    if row is None:
        return one
    one = replace(one, first_seen=row.first_at, owner=row.assignee)
    if one.kind != UNEXPLAINED or row.said != amount_of(one.units, one.minor, one.currency):
        return one
    detail = f"written off by {row.written_by} on {row.written_at[:10]}: {one.detail}"
    return replace(one, cause="written_off", detail=detail, parts=())


def remember(connection: Connection, seen: Sequence[Mapping[str, Any]], now: datetime) -> int:
    """What was found in one comparison. Returns how many ended by it."""
    at, known = stamp(now), rows(connection)
    for one in seen:
        if one["id"] not in known and one["kind"] == IN_FLIGHT:
            continue
        _keep(connection, one, known.get(one["id"]), at)
    gone = sorted(set(known) - {one["id"] for one in seen})
    if gone:
        connection.execute(
            update(differences).where(differences.c.id == bindparam("gone")).values(ended_at=at),
            [{"gone": each} for each in gone],
        )
    return len(gone)


def _keep(connection: Connection, one: Mapping[str, Any], row: Row[Any] | None, at: str) -> None:
    names = ("what", "key", "units", "minor", "currency")
    values: dict[str, Any] = {name: one[name] for name in names} | {"last_at": at}
    values["cause"] = one["cause"]
    if row is not None and one["cause"] == "written_off":
        values["cause"] = row.cause  # as what it was written off stays known
    amount = amount_of(one["units"], one["minor"], one["currency"])
    if row is not None and row.said not in ("", amount):
        values |= {"said": "", "written_by": "", "reason": "", "written_at": None}
    if row is None:  # new, or back again: nothing of before counts
        values |= {"first_at": at, "ended_at": None, "assignee": "", "said": ""}
        values |= {"written_by": "", "reason": "", "written_at": None}
    else:
        values["first_at"] = row.first_at
    connection.execute(
        insert(differences)
        .values(id=one["id"], **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )


def write_off(connection: Connection, row: Row[Any], *, by: str, reason: str, at: str) -> None:
    """Somebody takes the loss, with a reason; it is explained from now on, at this amount."""
    connection.execute(
        update(differences)
        .where(differences.c.id == row.id)
        .values(
            said=amount_of(row.units, row.minor, row.currency),
            written_by=by,
            reason=reason,
            written_at=at,
        )
    )


def listed(connection: Connection, *, ended: bool = False) -> list[dict[str, Any]]:
    """As a face shows them, the oldest first; with those a fact resolved, if `ended`."""
    own = differences.c
    statement = select(differences).order_by(own.first_at, own.id)
    if not ended:
        statement = statement.where(own.ended_at.is_(None))
    # A column's name is no plain str to orjson.
    return [
        {str(name): value for name, value in row.items()}
        for row in connection.execute(statement).mappings()
    ]


def alarms(one: Mapping[str, Any]) -> bool:
    """Unexplained, there, and not written off."""
    unexplained = CAUSES[one["cause"]].kind == UNEXPLAINED
    return unexplained and not one["ended_at"] and not one["said"]


# ------------------------------------------------------------------ over a day


def roll_forward(connection: Connection, window: Window) -> dict[str, int]:
    """opening + new - resolved - written off = closing, of what was unexplained; asserted."""
    own = differences.c
    start, end = stamp(window.start), stamp(window.end)
    codes = [cause.code for cause in CAUSES.values() if cause.kind == UNEXPLAINED]
    left = func.min(func.coalesce(own.ended_at, "9"), func.coalesce(own.written_at, "9"))

    def count(*where: Any) -> int:
        statement = select(func.count()).where(own.cause.in_(codes), *where)
        return int(connection.execute(statement).scalar_one())

    during = (left >= start, left < end)
    resolved_first = func.coalesce(own.ended_at, "9") < func.coalesce(own.written_at, "9")
    found = {
        "opening": count(own.first_at < start, left >= start),
        "new": count(own.first_at >= start, own.first_at < end),
        "resolved": count(own.first_at < end, *during, resolved_first),
        "written_off": count(own.first_at < end, *during, ~resolved_first),
        "closing": count(own.first_at < end, left >= end),
    }
    opened, ended = found["opening"] + found["new"], found["resolved"] + found["written_off"]
    assert opened - ended == found["closing"], "the differences do not add up"
    return found
