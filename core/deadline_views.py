"""How close we run: by system and kind, what is due when, and how much time was left (stop 8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, and_, cast, func, or_, select

from core.clock import stamp, unstamp
from core.deadlines import CAUSE
from core.store.schema import deadlines, hold_members, holds

#: How far back facts are counted, and how far ahead what is due.
DAY = timedelta(hours=24)
#: What is due within so many hours, the overdue left out.
AHEAD_H = (1, 4, 24)
_OWN = deadlines.c


def numbers(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """One row for each system and kind that has any deadline open or met within a day.

    `missed`: those of the last 24 h whose fact came late or has not come. `least_left_s` and
    `median_left_s` are of the facts that came within 24 h, below zero where they came late.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _open(connection, now):
        found[row.system, row.kind] = _row(row.system, row.kind) | {
            name: int(getattr(row, name) or 0) for name in _COUNTS
        }
    left: dict[tuple[str, str], list[float]] = {}
    for row in _met(connection, now):
        key = (row.system, row.kind)
        one = found.setdefault(key, _row(*key))
        if row.met_at > stamp(now - DAY):
            left.setdefault(key, []).append(_seconds(row.at, row.met_at))
        one["missed"] += row.met_at > row.at >= stamp(now - DAY)
    for key, seconds in left.items():
        found[key] |= {
            "came": len(seconds),
            "least_left_s": min(seconds),
            "median_left_s": median(seconds),
        }
    return [found[key] for key in sorted(found)]


_COUNTS = ("open", "overdue", "missed", *(f"due_{hours}h" for hours in AHEAD_H))


def _row(system: str, kind: str) -> dict[str, Any]:
    nothing = dict.fromkeys((*_COUNTS, "came"), 0)
    return {
        "system": system, "kind": kind, **nothing, "least_left_s": None, "median_left_s": None,
    }  # fmt: skip


def _seconds(at: str, met_at: str) -> float:
    return (unstamp(at) - unstamp(met_at)).total_seconds()


def _open(connection: Connection, now: datetime) -> list[Any]:
    at, past = _OWN.at, _OWN.at <= stamp(now)

    def count(where: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count().filter(where)

    ahead = [
        count(and_(at > stamp(now), at <= stamp(now + timedelta(hours=hours)))).label(
            f"due_{hours}h"
        )
        for hours in AHEAD_H
    ]
    rows = connection.execute(
        select(
            _OWN.system,
            _OWN.kind,
            func.count().label("open"),
            count(past).label("overdue"),
            count(and_(past, at > stamp(now - DAY))).label("missed"),
            *ahead,
        )
        .where(_OWN.state == "open")
        .group_by(_OWN.system, _OWN.kind)
    )
    return list(rows)


def _met(connection: Connection, now: datetime) -> list[Any]:
    """Those whose fact came within a day; a late fact of today may be of a time long over."""
    since = stamp(now - DAY)
    rows = connection.execute(
        select(_OWN.system, _OWN.kind, _OWN.at, _OWN.met_at).where(
            _OWN.state == "met", _OWN.met_at > since
        )
    )
    return list(rows)


def nearest(connection: Connection, hold_ids: list[int]) -> dict[int, str]:
    """Of exceptions about deadlines: the first of what their members are to do by when."""
    rows = connection.execute(
        select(holds.c.id, func.min(_OWN.at).label("at"))
        .join(hold_members, hold_members.c.hold_id == holds.c.id)
        .join(deadlines, _OWN.order_id == cast(hold_members.c.ref, Integer))
        .where(
            holds.c.id.in_(hold_ids),
            hold_members.c.member == "order",
            hold_members.c.closed_at.is_(None),
            _OWN.state == "open",
            or_(
                holds.c.cause == CAUSE + "near:" + _OWN.kind + ":" + _OWN.system,
                holds.c.cause == CAUSE + "missed:" + _OWN.kind + ":" + _OWN.system,
            ),
        )
        .group_by(holds.c.id)
    )
    return {row.id: row.at for row in rows}
