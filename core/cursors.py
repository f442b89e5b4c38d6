"""Where each sweep stands, moved by whoever needs an owner to be read again.

The sweep itself moves its cursors with the rows they cover (core/sweep.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, update
from sqlalchemy.dialects.sqlite import insert

from core.clock import stamp
from core.store.schema import cursors, fetches


def sweep_now(
    connection: Connection, system: str, resource: str, now: datetime, *, full: bool = False
) -> None:
    """Make one resource due at once: a channel sold something we have not seen.

    `full` forgets the watermark, for an owner that began to count anew (H13).
    """
    values: dict[str, Any] = {"due_at": stamp(now)}
    if full:
        values |= {"since": None, "page": None}
    connection.execute(
        update(cursors)
        .where(cursors.c.system == system, cursors.c.resource == resource)
        .values(**values)
    )


def sweep_by(connection: Connection, system: str, resource: str, at: datetime) -> None:
    """Read one resource at this moment, if its next pass was to be later."""
    connection.execute(
        update(cursors)
        .where(
            cursors.c.system == system, cursors.c.resource == resource, cursors.c.due_at > stamp(at)
        )
        .values(due_at=stamp(at))
    )


def go_back(
    connection: Connection, system: str, resource: str, since: str | None, now: datetime
) -> bool:
    """Read it again from this watermark, now. False: a pass is running, and goes on first.

    One that is to be read from its beginning stays so.
    """
    done = connection.execute(
        update(cursors)
        .where(cursors.c.system == system, cursors.c.resource == resource, cursors.c.page.is_(None))
        .values(
            since=case((cursors.c.since.is_not(None), since)),
            due_at=stamp(now),
        )
    )
    return done.rowcount > 0


def wish(
    connection: Connection, system: str, resource: str, external_id: str, now: datetime
) -> None:
    """Re-read one object from its owner; the newest wish wins."""
    at = stamp(now)
    connection.execute(
        insert(fetches)
        .values(system=system, resource=resource, external_id=external_id, asked_at=at, due_at=at)
        .on_conflict_do_update(
            index_elements=["system", "resource", "external_id"],
            set_={"asked_at": at, "due_at": at},
        )
    )
