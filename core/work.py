"""One unit of deciding: the connection, the moment, and what it touched.

Everything a decision changes is written through one `Work` and becomes true in
one transaction: state, claims, outbox commands, the change feed and the walk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects.sqlite import insert

from core import ledger
from core.clock import stamp
from core.network import Network
from core.seal import Seal
from core.steps import Steps
from core.store.hot import Hot
from core.store.schema import counters, feed, lines


@dataclass(slots=True)
class Work:
    connection: Connection
    network: Network
    seal: Seal
    now: datetime
    steps: Steps
    changed: dict[str, str] = field(default_factory=dict)
    touched_orders: set[int] = field(default_factory=set)
    freed: set[tuple[str, str]] = field(default_factory=set)  # (sku, location) of claims given back
    queued: int = 0

    @classmethod
    def begin(cls, connection: Connection, network: Network, seal: Seal, now: datetime) -> Work:
        return cls(connection, network, seal, now, Steps(now))

    def sku_changed(self, sku: str, why: str) -> None:
        """What may be sold of this SKU is different now, and of its kits; channels will hear."""
        self.changed.setdefault(sku, why)
        for kit in self.network.items.used_by(sku):
            self.changed.setdefault(kit, why)

    def count(self, name: str, label: str = "", times: int = 1) -> None:
        """A named event of this day, for the report and the metrics."""
        statement = insert(counters).values(
            name=name, label=label, day=self.now.date().isoformat(), value=times
        )
        self.connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name", "label", "day"], set_={"value": counters.c.value + times}
            )
        )

    def finish(self) -> Steps:
        """Assert what must hold, publish what changed, save the walk. Last act of a unit."""
        self._assert_conserved()
        self._feed()
        self.steps.save(self.connection)
        return self.steps

    def _assert_conserved(self) -> None:
        if not self.touched_orders:
            return
        rows = self.connection.execute(
            select(lines).where(lines.c.order_id.in_(self.touched_orders))
        )
        for row in rows:
            ledger.assert_conserved(
                ledger.Line(
                    ordered=row.ordered,
                    claimed=row.claimed,
                    short=row.short,
                    consumed=row.consumed,
                    cancelled=row.cancelled,
                ),
                f"order {row.order_id} line {row.key}",
            )

    def _feed(self) -> None:
        if not self.changed:
            return
        last = _LAST(self.connection).scalar_one() or 0
        at = stamp(self.now)
        _CHANGED.many(
            self.connection,
            [
                {"sku": sku, "seq": last + index, "why": why, "changed_at": at}
                for index, (sku, why) in enumerate(self.changed.items(), start=1)
            ],
        )


_LAST = Hot(select(func.max(feed.c.seq)))
_NEW = insert(feed).values({name: bindparam(name) for name in ("sku", "seq", "why", "changed_at")})
_CHANGED = Hot(
    _NEW.on_conflict_do_update(
        index_elements=["sku"],
        set_={name: _NEW.excluded[name] for name in ("seq", "why", "changed_at")},
    )
)
