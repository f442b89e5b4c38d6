"""Stop 1 by asking: every owner is re-read on a schedule, so that a push is only speed.

A cursor moves in the transaction that stores the rows it covers (G2). Each pass
re-reads an overlap, because the stamp of a change is not the moment it became
visible; identity makes the overlap free (H8, S12). A pass that breaks off
resumes at its page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    case,
    delete,
    func,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from core import evidence, fulfillment, inbox, oversold, passes, readings, stock
from core.clock import Clock, stamp, unstamp
from core.contract import Fetches, Item, Page, Reads
from core.crash import crash_point
from core.cursors import sweep_by as sweep_by
from core.cursors import sweep_now as sweep_now
from core.errors import ConnectorError, LoginNeeded, RateLimited, Rejected
from core.network import Network
from core.seal import Seal
from core.store.engine import Store
from core.store.hot import Hot
from core.store.schema import cursors, fetches
from core.strict import dump_json
from core.work import Work

#: A failed pass is asked again after this, doubled each time, at most half an hour.
RETRY_S = 5.0
RETRY_MAX_S = 1800.0
#: The same where our login is refused; a door asks only now and then (core/http.py).
LOGIN_S = 300.0
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
    full_every_s: float = 0.0

    @property
    def about(self) -> str:
        return f"{self.system}/{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to an owner: when we began to ask, and when its answer was here."""

    resource: Resource
    began: datetime
    now: datetime
    via: str = "sweep"
    since: str | None = None

    def arrival(self, item: Item, revision: str, body: bytes) -> inbox.Arrival:
        return inbox.Arrival(
            system=self.resource.system,
            via=self.via,
            topic=self.resource.name,
            identity=inbox.identity_of(item.external_id, revision, body),
            body=body,
            resource=self.resource.name,
            external_id=item.external_id,
            revision=item.revision,
            received_at=self.now,
            read_began_at=self.began,
            since=self.since,
        )


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
        """A cursor for every configured resource; the first pass is due now.

        So is one that failed: a start may be the correction, a new credential above all. A
        restart loop hammers nobody, because budgets and breakers outlive it.
        """
        now = stamp(self._clock.now())
        rows = [
            {"system": r.system, "resource": r.name, "due_at": now}
            for r in self._resources.values()
        ]

        def unit(connection: Connection) -> None:
            if rows:
                connection.execute(insert(cursors).on_conflict_do_nothing(), rows)
            connection.execute(update(cursors).where(cursors.c.failures > 0).values(due_at=now))

        await self._store.write(unit)

    def due(self, system: str) -> list[Row[Any]]:
        now = stamp(self._clock.now())
        with self._store.read() as connection:
            rows = _DUE(connection, system=system, now=now).all()
        return [row for row in rows if (row.system, row.resource) in self._resources]

    def next_due(self, system: str) -> datetime | None:
        with self._store.read() as connection:
            times = [unstamp(at) for at in _NEXT_DUE(connection, system=system).scalars() if at]
        return min(times, default=None)

    async def run_due(self, system: str) -> int:
        """One page of every resource that is due. Returns how many new rows were kept."""
        return sum([await self.one_page(row) for row in self.due(system)])

    async def one_page(self, row: Row[Any]) -> int:
        """Read and keep the next page. Returns how many arrivals were new, at most."""
        resource = self._resources[(row.system, row.resource)]
        connector: Reads = self._connectors[row.system]
        began = unstamp(row.began_at) if row.page and row.began_at else self._clock.now()
        since = None if _is_due_whole(row, resource, began) else row.since
        crash_point("sweep.asking", resource.about)
        try:
            page = await connector.read(resource.name, _with_overlap(since, resource), row.page)
        except ConnectorError as error:
            await self._failed(row, error)
            return 0
        except Exception as error:  # noqa: BLE001 - a bug in one resource must not starve the others
            structlog.get_logger().exception("connector.failed", system=row.system)
            await self._failed(row, error)
            return 0
        crash_point("sweep.answered", resource.about)
        asked = Asked(resource, began, self._clock.now(), since=since)
        *before, last = _slices(page.items)
        new = 0
        for items in before:  # after a crash they are read again, and unchanged by then
            new += await self._store.write(partial(self._keep, asked=asked, items=items))

        def unit(connection: Connection) -> int:
            kept = self._keep(connection, asked, last)
            crash_point("sweep.rows_kept", resource.about)
            self._move(connection, asked, row, page, since)
            crash_point("sweep.cursor_moved", resource.about)
            return kept

        new += await self._store.write(unit)
        crash_point("sweep.page_kept", resource.about)
        return new

    def _move(
        self, connection: Connection, asked: Asked, row: Row[Any], page: Page, since: str | None
    ) -> None:
        """The cursor follows the rows it covers, in their transaction (G2)."""
        resource, began, now = asked.resource, asked.began, asked.now
        values: dict[str, Any] = {
            "since": since,
            "page": page.next,
            "began_at": stamp(began),
            "rows": (row.rows if row.page else 0) + len(page.items),
            "failures": 0,
            "words": "",
            "due_at": stamp(now),
            "complete_began_at": None,
            "complete_at": None,
            "full_at": None,
        }
        if page.next is None:
            values |= {
                "since": page.since if page.since is not None or resource.snapshot else since,
                "complete_began_at": stamp(began),
                "complete_at": stamp(now),
                "due_at": stamp(began + timedelta(seconds=resource.every_s)),
            }
            if since is None:
                values["full_at"] = stamp(began)
        _MOVE(connection, of=resource.system, what=resource.name, was=row.since, **values)
        if page.next is None:
            self._end_pass(connection, asked, row.complete_began_at)

    def _end_pass(self, connection: Connection, asked: Asked, before: str | None) -> None:
        """What a complete pass says beyond its rows: what is missing, what it is evidence of."""
        resource = asked.resource
        work = Work.begin(connection, self._network(), self._seal, asked.now)
        if resource.snapshot:
            earlier = unstamp(before) if before else None
            passes.end(work, resource.system, resource.name, asked.began, before=earlier)
        source = work.network.sources.get(resource.system)
        if resource.name == "stock_reading" and source and source.ordered_by == "request":
            evidence.end_claims_of_pass(work, resource.system)
        readings.after_pass(work, resource.system, resource.name, asked.began)
        if resource.name == "shipment":
            stock.after_parcels(work, resource.system)
            fulfillment.after_parcels(work, resource.system)
        fulfillment.go_on(work)
        oversold.confirm(work, resource.system)
        work.finish()

    def _keep(self, connection: Connection, asked: Asked, items: Sequence[Item]) -> int:
        """Keep what is new of these. What its owner gives no revision is compared by content."""
        snapshot = asked.resource.snapshot
        found = self._changed(
            connection, asked, [item for item in items if snapshot or not item.revision]
        )
        began = stamp(asked.began)
        inbox.keep_many(
            connection, [asked.arrival(one.item, began, one.body) for one in found], self._seal
        )
        new = len(found)
        for item in items:
            if item.revision and not snapshot:
                arrival = asked.arrival(item, item.revision, dump_json(item.body))
                new += inbox.keep(connection, arrival, self._seal).new
        return new

    def _changed(
        self, connection: Connection, asked: Asked, items: Sequence[Item]
    ) -> list[passes.Shown]:
        if not items:
            return []
        system, resource, began = asked.resource.system, asked.resource.name, asked.began
        found = passes.changed(connection, system, resource, items, began)
        if resource != "listing":
            return found
        same = {item.external_id for item in items} - {one.item.external_id for one in found}
        unlike = passes.unlike_told(connection, self._network(), system, same, began)
        return found + [passes.Shown.of(item) for item in items if item.external_id in unlike]

    async def _failed(self, row: Row[Any], error: Exception) -> None:
        failures = row.failures + 1
        wait = min(RETRY_MAX_S, RETRY_S * 2 ** min(failures - 1, 10))
        if isinstance(error, RateLimited):
            wait = max(error.after_s, 1.0)
        if isinstance(error, LoginNeeded):
            wait = LOGIN_S
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
            rows = _WISHES(connection, system=system, now=now, limit=FETCHES).all()
        return sum([await self._fetch(row) for row in rows])

    async def _fetch(self, row: Row[Any]) -> int:
        connector: Fetches = self._connectors[row.system]
        began = self._clock.now()
        try:
            item = await connector.fetch(row.resource, row.external_id)
        except ConnectorError as error:
            await self._fetch_failed(row, error)
            return 0
        except Exception as error:  # noqa: BLE001 - a bug in one fetch must not starve the others
            structlog.get_logger().exception("connector.failed", system=row.system)
            await self._fetch_failed(row, error)
            return 0
        crash_point("fetch.answered", row.system)
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
            return self._keep(connection, Asked(resource, began, now, via="fetch"), [item])

        new = await self._store.write(unit)
        crash_point("fetch.kept", row.system)
        return new

    async def _fetch_failed(self, row: Row[Any], error: Exception) -> None:
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


_DUE = Hot(
    select(cursors)
    .where(cursors.c.system == bindparam("system"), cursors.c.due_at <= bindparam("now"))
    .order_by(cursors.c.due_at)
)
#: Of the passes, and of the hints.
_NEXT_DUE = Hot(
    union_all(
        select(func.min(cursors.c.due_at)).where(cursors.c.system == bindparam("system")),
        select(func.min(fetches.c.due_at)).where(fetches.c.system == bindparam("system")),
    )
)
_WISHES = Hot(
    select(fetches)
    .where(fetches.c.system == bindparam("system"), fetches.c.due_at <= bindparam("now"))
    .order_by(fetches.c.asked_at)
    .limit(bindparam("limit"))
)
_MOVED = ("began_at", "rows", "failures", "words")
#: Whoever sent the cursor back while the page was under way is not overruled by it.
_SENT_BACK = cursors.c.since.is_distinct_from(bindparam("was"))
#: Only a pass that is complete says when one was, and one from the beginning when that was.
_MOVE = Hot(
    update(cursors)
    .where(cursors.c.system == bindparam("of"), cursors.c.resource == bindparam("what"))
    .values(
        {name: bindparam(name) for name in _MOVED}
        | {
            "since": case((_SENT_BACK, cursors.c.since), else_=bindparam("since")),
            "page": case((_SENT_BACK, null()), else_=bindparam("page")),
            "due_at": case((_SENT_BACK, cursors.c.due_at), else_=bindparam("due_at")),
        }
        | {
            name: func.coalesce(bindparam(name), cursors.c[name])
            for name in ("complete_began_at", "complete_at", "full_at")
        }
    )
)


def _slices(items: Sequence[Item]) -> list[Sequence[Item]]:
    """A page of any size in parts that one transaction takes; at least one, if it is empty."""
    starts = range(0, max(1, len(items)), passes.SLICE)
    return [items[start : start + passes.SLICE] for start in starts]


def _is_due_whole(row: Row[Any], resource: Resource, now: datetime) -> bool:
    """Is it time for a pass from the beginning? One that is running goes on as it began.

    A watermark is blind for what came into being behind it: a counter that began anew
    (H13), a row that was corrected without a new number.
    """
    if row.page is not None or row.since is None or not resource.full_every_s:
        return False
    if row.full_at is None:
        return True
    return now >= unstamp(row.full_at) + timedelta(seconds=resource.full_every_s)


def _with_overlap(since: str | None, resource: Resource) -> str | None:
    """A time watermark steps back by the overlap; a counter needs none."""
    if since is None or not resource.overlap_s:
        return since
    at = datetime.fromisoformat(since) - timedelta(seconds=resource.overlap_s)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at.utcoffset() == timedelta(0) else at.isoformat()
