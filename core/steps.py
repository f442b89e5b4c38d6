"""The walk: one row and one log line per stop of an order or a SKU.

Steps are saved in the transaction that made them true and logged only after it
is on the disk, so the log never tells of something that did not happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, bindparam, func, insert, select

from core.clock import stamp
from core.store import schema
from core.store.hot import Hot

#: The eight stops, by number; names of steps begin with a noun of the glossary.
STOPS = ("", "arrives", "kept", "understood", "decided", "told", "published", "closed", "proven")


_SAVE = Hot(
    insert(schema.steps).values(
        {
            name: bindparam(name)
            for name in ("at", "stop", "name", "system", "order_id", "sku", "data")
        }
    )
)


_LAST = Hot(select(func.coalesce(func.max(schema.steps.c.seq), 0)))


def last_step(connection: Connection) -> int:
    """How far the walk has come in what this connection sees."""
    seq: int = _LAST(connection).scalar_one()
    return seq


@dataclass(slots=True)
class Steps:
    """What one unit of work did, to be saved with it and told after it."""

    at: datetime
    rows: list[dict[str, Any]] = field(default_factory=list)
    _stamp: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._stamp = stamp(self.at)

    def add(
        self,
        stop: int,
        name: str,
        *,
        system: str = "",
        order_id: int | None = None,
        sku: str = "",
        **data: str | int | None,
    ) -> None:
        """Record one step. `data` holds ids, words and counts; never a buyer."""
        self.rows.append(
            {
                "at": self._stamp,
                "stop": stop,
                "name": name,
                "system": system,
                "order_id": order_id,
                "sku": sku,
                "data": data,
            }
        )

    def save(self, connection: Connection) -> None:
        if self.rows:
            _SAVE.many(
                connection,
                [row | {"data": orjson.dumps(row["data"]).decode()} for row in self.rows],
            )

    def tell(self) -> None:
        """Log them; call after the transaction is durable."""
        log = structlog.get_logger().bind()  # once for all lines, not once for each
        for row in self.rows:
            words = {key: value for key, value in row["data"].items() if value not in (None, "")}
            for key in ("system", "order_id", "sku"):
                if row[key] not in (None, ""):
                    words[key] = row[key]
            log.info(row["name"], stop=row["stop"], **words)
