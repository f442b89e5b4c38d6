"""Stop 1 by asking: every owner is re-read on a schedule, so that a push is only speed.

A cursor moves in the transaction that stores the rows it covers (G2). Each pass
re-reads an overlap, because the stamp of a change is not the moment it became
visible; identity makes the overlap free (H8, S12). A pass that breaks off
resumes at its page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from core import inbox, orders, stock
from core.clock import Clock, stamp, unstamp
from core.contract import Fetches, Item, Page, Reads
from core.errors import ConnectorError, LoginNeeded, RateLimited, Rejected
from core.network import Network
from core.seal import Seal
from core.store.engine import Store
from core.store.schema import cursors, fetches, seen
from core.strict import dump_json
from core.work import Work

#: A failed pass is asked again after this, doubled each time, at most half an hour.
RETRY_S = 5.0
RETRY_MAX_S = 1800.0
#: Hints re-read in one go per system.
FETCHES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One thing one system is read for, as its manifest and the operator say."""

    system: str
    name: str
    every_s: float
    overlap_s: float = 0.0
    snapshot: bool = False


class Sweep:
    """Reads owners. `connectors` by system; each has `read`, those with hints `fetch`."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        clock: Clock,
        *,
        network: Callable[[], Network],
        connectors: Mapping[str, Any],
        resources: Mapping[tuple[str, str], Resource],
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._network = network
        self._connectors = connectors
        self._resources = resources

    async def prepare(self) -> None:
        """A cursor for every configured resource; the first pass is due now."""
        now = stamp(self._clock.now())
        rows = [
            {"system": r.system, "resource": r.name, "due_at": now}
            for r in self._resources.values()
        ]

        def unit(connection: Connection) -> None:
            if rows:
                connection.execute(insert(cursors).on_conflict_do_nothing(), rows)

        await self._store.write(unit)

    def due(self, system: str) -> list[Row[Any]]:
        now = stamp(self._clock.now())
        with self._store.read() as connection:
            rows = connection.execute(
                select(cursors)
                .where(cursors.c.system == system, cursors.c.due_at <= now)
                .order_by(cursors.c.due_at)
            ).all()
        return [row for row in rows if (row.system, row.resource) in self._resources]

    def next_due(self, system: str) -> datetime | None:
        with self._store.read() as connection:
            sweep = connection.execute(
                select(func.min(cursors.c.due_at)).where(cursors.c.system == system)
            ).scalar_one()
            wish = connection.execute(
                select(func.min(fetches.c.due_at)).where(fetches.c.system == system)
            ).scalar_one()
        times = [unstamp(at) for at in (sweep, wish) if at]
        return min(times, default=None)

    async def run_due(self, system: str) -> int:
        """One page of every resource that is due. Returns how many new rows were kept."""
        return sum([await self.one_page(row) for row in self.due(system)])

    async def one_page(self, row: Row[Any]) -> int:
        resource = self._resources[(row.system, row.resource)]
        connector: Reads = self._connectors[row.system]
        began = unstamp(row.began_at) if row.page and row.began_at else self._clock.now()
        try:
            page = await connector.read(resource.name, _with_overlap(row.since, resource), row.page)
        except ConnectorError as error:
            await self._failed(row, error)
            return 0
        except Exception as error:  # noqa: BLE001 - a bug in one resource must not starve the others
            structlog.get_logger().exception("connector.failed", system=row.system)
            await self._failed(row, error)
            return 0
        now = self._clock.now()
        return await self._store.write(
            lambda connection: self._keep_page(connection, resource, row, page, began, now)
        )

    def _keep_page(
        self,
        connection: Connection,
        resource: Resource,
        row: Row[Any],
        page: Page,
        began: datetime,
        now: datetime,
    ) -> int:
        new = sum(self._keep(connection, resource, item, began, now) for item in page.items)
        values: dict[str, Any] = {
            "page": page.next,
            "began_at": stamp(began),
            "rows": (row.rows if row.page else 0) + len(page.items),
            "failures": 0,
            "words": "",
            "due_at": stamp(now),
        }
        if page.next is None:
            values |= {
                "since": page.since if page.since is not None or resource.snapshot else row.since,
                "complete_began_at": stamp(began),
                "complete_at": stamp(now),
                "due_at": stamp(began + timedelta(seconds=resource.every_s)),
            }
        connection.execute(
            update(cursors)
            .where(cursors.c.system == resource.system, cursors.c.resource == resource.name)
            .values(**values)
        )
        if page.next is None and resource.name == "stock_reading":
            self._pass_is_evidence(connection, resource.system, now)
        return new

    def _pass_is_evidence(self, connection: Connection, system: str, now: datetime) -> None:
        network = self._network()
        source = network.sources.get(system)
        if source is None or source.ordered_by != "request":
            return
        work = Work.begin(connection, network, self._seal, now)
        stock.end_claims_of_pass(work, system)
        orders.go_on(work)
        work.finish()

    def _keep(
        self,
        connection: Connection,
        resource: Resource,
        item: Item,
        began: datetime,
        now: datetime,
        *,
        via: str = "sweep",
    ) -> bool:
        body = dump_json(item.body)
        if not item.revision and self._is_seen(connection, resource, item, body, began):
            return False
        identity = inbox.identity_of(item.external_id, item.revision or stamp(began), body)
        arrival = inbox.Arrival(
            system=resource.system,
            via=via,
            topic=resource.name,
            identity=identity,
            body=body,
            resource=resource.name,
            external_id=item.external_id,
            revision=item.revision,
            received_at=now,
            read_began_at=began,
        )
        return inbox.keep(connection, arrival, self._seal).new

    def _is_seen(
        self,
        connection: Connection,
        resource: Resource,
        item: Item,
        body: bytes,
        began: datetime,
    ) -> bool:
        """An object without a revision costs nothing while its content stays the same."""
        digest = hashlib.sha256(body).hexdigest()[:32]
        key = {
            "system": resource.system,
            "resource": resource.name,
            "external_id": item.external_id,
        }
        old = connection.execute(select(seen.c.hash).filter_by(**key)).scalar_one_or_none()
        if old == digest:
            return True
        values = {"hash": digest, "pass_began_at": stamp(began)}
        connection.execute(
            insert(seen)
            .values(**key, **values)
            .on_conflict_do_update(
                index_elements=["system", "resource", "external_id"], set_=values
            )
        )
        return False

    async def _failed(self, row: Row[Any], error: Exception) -> None:
        failures = row.failures + 1
        wait = min(RETRY_MAX_S, RETRY_S * 2 ** min(failures - 1, 10))
        if isinstance(error, RateLimited):
            wait = max(error.after_s, 1.0)
        if isinstance(error, LoginNeeded):
            wait = RETRY_MAX_S
        structlog.get_logger().warning(
            "sweep.failed", system=row.system, resource=row.resource, words=str(error), again_s=wait
        )
        due = stamp(self._clock.now() + timedelta(seconds=wait))

        values: dict[str, Any] = {"failures": failures, "words": str(error)[:300], "due_at": due}
        if isinstance(error, Rejected):
            values["page"] = None  # a page token that grew old: the pass starts again

        def unit(connection: Connection) -> None:
            connection.execute(
                update(cursors)
                .where(cursors.c.system == row.system, cursors.c.resource == row.resource)
                .values(**values)
            )

        await self._store.write(unit, single=True)

    # -------------------------------------------------------------- hints

    async def run_fetches(self, system: str) -> int:
        """Re-read what pushes hinted at, from its owner."""
        now = stamp(self._clock.now())
        with self._store.read() as connection:
            rows = connection.execute(
                select(fetches)
                .where(fetches.c.system == system, fetches.c.due_at <= now)
                .order_by(fetches.c.asked_at)
                .limit(FETCHES)
            ).all()
        return sum([await self._fetch(row) for row in rows])

    async def _fetch(self, row: Row[Any]) -> int:
        connector: Fetches = self._connectors[row.system]
        began = self._clock.now()
        try:
            item = await connector.fetch(row.resource, row.external_id)
        except ConnectorError as error:
            await self._fetch_failed(row, error)
            return 0
        now = self._clock.now()

        def unit(connection: Connection) -> int:
            connection.execute(
                delete(fetches).where(
                    fetches.c.system == row.system,
                    fetches.c.resource == row.resource,
                    fetches.c.external_id == row.external_id,
                    fetches.c.asked_at == row.asked_at,  # a newer wish stays
                )
            )
            if item is None:
                return 0
            resource = self._resources[(row.system, row.resource)]
            return int(self._keep(connection, resource, item, began, now, via="fetch"))

        return await self._store.write(unit)

    async def _fetch_failed(self, row: Row[Any], error: ConnectorError) -> None:
        wait = min(RETRY_MAX_S, RETRY_S * 2 ** min(row.attempts, 10))
        if isinstance(error, RateLimited):
            wait = max(error.after_s, 1.0)
        due = stamp(self._clock.now() + timedelta(seconds=wait))

        def unit(connection: Connection) -> None:
            connection.execute(
                update(fetches)
                .where(
                    fetches.c.system == row.system,
                    fetches.c.resource == row.resource,
                    fetches.c.external_id == row.external_id,
                )
                .values(attempts=row.attempts + 1, due_at=due, words=str(error)[:300])
            )

        await self._store.write(unit, single=True)


def _with_overlap(since: str | None, resource: Resource) -> str | None:
    """A time watermark steps back by the overlap; a counter needs none."""
    if since is None or not resource.overlap_s:
        return since
    at = datetime.fromisoformat(since) - timedelta(seconds=resource.overlap_s)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at.utcoffset() == timedelta(0) else at.isoformat()


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
