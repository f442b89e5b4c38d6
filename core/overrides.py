"""An operator's word of this hour: stop selling an item now. Who, why, since when, until when.

Rows only; what a stop does to a number is decided in core/offer_rules.py, and who
brings it into force is core/rules_in_force.py.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select, update

from core.clock import stamp, unstamp
from core.rule_kinds import Override
from core.store.schema import overrides
from core.work import Work

#: Who ended an override whose time was over.
EXPIRED = "its expiry"

_OPEN = select(overrides).where(overrides.c.ended_at.is_(None)).order_by(overrides.c.id)


def stop(work: Work, override: Override) -> None:
    """The newest word about one item and channel counts; the one before is kept as ended."""
    _end(
        work, override.by, overrides.c.sku == override.sku, overrides.c.channel == override.channel
    )
    work.connection.execute(
        insert(overrides).values(
            sku=override.sku,
            channel=override.channel,
            by=override.by,
            reason=override.reason,
            since=stamp(work.now),
            until=stamp(override.until) if override.until else None,
        )
    )
    work.sku_changed(override.sku, "stop-sell")
    work.steps.add(
        4,
        "operator.stopped_sale",
        system=override.channel,
        sku=override.sku,
        by=override.by,
        reason=override.reason,
        until=stamp(override.until) if override.until else None,
    )


def resume(work: Work, sku: str, channel: str, by: str) -> int:
    """End the stop of one channel, or of an item on all channels (""). Returns how many ended."""
    where = [overrides.c.sku == sku]
    if channel:
        where.append(overrides.c.channel == channel)
    ended = _end(work, by, *where)
    if ended:
        work.sku_changed(sku, "resume-sell")
        work.steps.add(4, "operator.resumed_sale", system=channel, sku=sku, by=by, count=ended)
    return ended


def expire(work: Work) -> None:
    """Those whose time is over end; that their SKUs change is the caller's to tell."""
    _end(work, EXPIRED, overrides.c.until <= stamp(work.now))


def _end(work: Work, by: str, *where: Any) -> int:
    done = work.connection.execute(
        update(overrides)
        .where(overrides.c.ended_at.is_(None), *where)
        .values(ended_at=stamp(work.now), ended_by=by)
    )
    return done.rowcount


def open_ones(connection: Connection, zone: ZoneInfo) -> list[Override]:
    """Not ended, be their time over or not: that is for the rules to say. Times in `zone`."""
    return [
        Override(
            sku=row.sku,
            channel=row.channel,
            by=row.by,
            reason=row.reason,
            since=unstamp(row.since).astimezone(zone),
            until=unstamp(row.until).astimezone(zone) if row.until else None,
        )
        for row in connection.execute(_OPEN)
    ]


def stopped(connection: Connection) -> list[dict[str, Any]]:
    """The same, as faces show it."""
    return [
        {
            "sku": row.sku,
            "channel": row.channel or "every channel",
            "by": row.by,
            "reason": row.reason,
            "since": row.since,
            "until": row.until,
        }
        for row in connection.execute(_OPEN)
    ]
