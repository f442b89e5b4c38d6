"""Systems that were away, as rows: what waits for each, and how long it will take in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from core import forecast, publish_rows
from core.clock import Window, stamp, unstamp
from core.forecast import Waiting
from core.store.schema import ENDED, feed, outages, outbox


def waiting(connection: Connection, system: str, before: datetime, *, batch: int) -> Waiting:
    """What waits for one system; `batch`: SKUs in one stock write, 0 where it takes none."""
    return Waiting(
        commands=commands_left(connection, system, before),
        skus=skus_behind(connection, system) if batch else 0,
        batch=max(1, batch),
    )


def commands_left(connection: Connection, system: str, before: datetime) -> int:
    """Commands asked before a moment that are still to leave; those behind a dead one are not."""
    dead = outbox.alias("dead")
    stuck = (
        select(dead.c.id)
        .where(dead.c.system == outbox.c.system, dead.c.lane == outbox.c.lane)
        .where(dead.c.state == "dead", dead.c.id < outbox.c.id)
        .exists()
    )
    return int(
        connection.execute(
            select(func.count())
            .select_from(outbox)
            .where(
                outbox.c.system == system,
                outbox.c.state.not_in((*ENDED, "dead")),
                outbox.c.state != "done",
                outbox.c.queued_at <= stamp(before),
                ~stuck,
            )
        ).scalar_one()
    )


def skus_behind(connection: Connection, system: str) -> int:
    """SKUs that changed since this channel was last told."""
    cursor = publish_rows.cursor(connection, system)
    statement = select(func.count()).select_from(feed).where(feed.c.seq > cursor)
    return int(connection.execute(statement).scalar_one())


def now_away(
    connection: Connection, batches: Mapping[str, int], now: datetime
) -> list[dict[str, Any]]:
    """Systems that are away or whose drain goes on, each with its forecast in words."""
    rows = connection.execute(
        select(outages).where(outages.c.ended_at.is_(None)).order_by(outages.c.since)
    ).all()
    found = []
    for row in rows:
        before = unstamp(row.back_at) if row.back_at else now
        there = waiting(connection, row.system, before, batch=batches.get(row.system, 0))
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
