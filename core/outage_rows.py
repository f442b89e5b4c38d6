"""Systems that were away, as rows: what waits for each, and how long it will take in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, literal_column, select

from core import forecast, publish_rows
from core.clock import Window, stamp
from core.forecast import Waiting
from core.store.hot import Hot
from core.store.schema import feed, outages, outbox


def waiting(connection: Connection, system: str, upto: int, *, batch: int) -> Waiting:
    """What waits for one system; `batch`: SKUs in one stock write, 0 where it takes none."""
    return Waiting(
        commands=commands_left(connection, system, upto),
        skus=skus_behind(connection, system) if batch else 0,
        batch=max(1, batch),
    )


def commands_left(connection: Connection, system: str, upto: int) -> int:
    """Commands numbered up to `upto` that are still to leave; those behind a dead one are not."""
    waiting = _WAITING(connection, system=system, upto=upto).scalar_one()
    return int(waiting - _STUCK(connection, system=system, upto=upto).scalar_one())


def last_command(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(outbox.c.id), 0))).scalar_one())


def skus_behind(connection: Connection, system: str) -> int:
    """SKUs that changed since this channel was last told."""
    cursor = publish_rows.cursor(connection, system)
    statement = select(func.count()).select_from(feed).where(feed.c.seq > cursor)
    return int(connection.execute(statement).scalar_one())


def now_away(connection: Connection, batches: Mapping[str, int]) -> list[dict[str, Any]]:
    """Systems that are away or whose drain goes on, each with its forecast in words."""
    rows = connection.execute(
        select(outages).where(outages.c.ended_at.is_(None)).order_by(outages.c.since)
    ).all()
    found = []
    for row in rows:
        upto = row.upto if row.back_at else last_command(connection)
        there = waiting(connection, row.system, upto, batch=batches.get(row.system, 0))
        words = forecast.drain(row.system, there, row.per_second)
        found.append({**_columns(row), "waiting": there.commands, "words": words})
    return found


def of_day(connection: Connection, window: Window) -> list[dict[str, Any]]:
    """Outages that touched a day, the oldest first."""
    touched = (outages.c.since < stamp(window.end)) & (
        outages.c.ended_at.is_(None) | (outages.c.ended_at >= stamp(window.start))
    )
    rows = connection.execute(select(outages).where(touched).order_by(outages.c.since))
    return [{**_columns(row), "waiting": row.commands} for row in rows]


def _columns(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("system", "since", "back_at", "ended_at")}


# Their states stand in the text, or SQLite would not know that its partial indexes hold them:
# with 100,000 commands waiting that is 10 ms instead of minutes.
_STATES: list[ColumnElement[str]] = [
    literal_column(f"'{state}'") for state in ("queued", "waiting", "in_doubt")
]
_WAITING = Hot(
    select(func.count())
    .select_from(outbox)
    .where(
        outbox.c.system == bindparam("system"),
        outbox.c.state.in_(_STATES),
        outbox.c.id <= bindparam("upto"),
    )
)
_dead = outbox.alias("dead")
_STUCK = Hot(
    select(func.count())
    .select_from(_dead)
    .join(
        outbox,
        (outbox.c.system == _dead.c.system)
        & (outbox.c.lane == _dead.c.lane)
        & (outbox.c.id > _dead.c.id),
    )
    .where(
        _dead.c.system == bindparam("system"),
        _dead.c.state == literal_column("'dead'"),
        outbox.c.state != literal_column("'done'"),
        outbox.c.state.in_(_STATES),
        outbox.c.id <= bindparam("upto"),
    )
)
