"""Where each sweep stands, moved by whoever needs an owner to be read again.

The sweep itself moves its cursors with the rows they cover (core/sweep.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from core.clock import stamp
from core.store.schema import cursors


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
