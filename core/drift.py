"""Looks at what arrives for what a vendor changed: noticed, counted, reported (H27, S14).

Beside the main path: a look takes some documents of every resource and keeps
names and kinds of their fields. Where more arrives than a look takes, the rest
of that moment is left out; a change that stays is seen all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects.sqlite import insert

from core import inbox
from core.app import App
from core.clock import stamp
from core.errors import TruecountError
from core.mapping import Mapping
from core.mapping.drifting import Known, Learner, News
from core.mapping.reads import reads_of
from core.mapping.shapes import shape_of, written
from core.store.engine import read_only
from core.store.schema import counters, drifts, shapes, shapes_seen
from core.store.schema import inbox as inbox_table
from core.strict import Malformed
from core.understanding import BUGS, brought

EVERY_S = 20.0
#: Rows of the inbox one look takes.
ROWS_MAX = 200
#: A resource with more different fields than this is a map of ids, not a shape.
FIELDS_MAX = 2000
#: The cursor of a whole look stands in the row of no system.
_ALL = ""


@dataclass(slots=True)
class Look:
    """What one look found; written in one transaction."""

    seq: int
    learners: dict[tuple[str, str], Learner]
    news: list[tuple[str, str, News]]


async def watch(app: App) -> None:
    """The daemon's job."""
    if count := await look(app):
        structlog.get_logger().warning("documents.changed", count=count)


async def look(app: App) -> int:
    """Learn from what arrived since the last look. Returns how many things are news."""
    found = await asyncio.to_thread(_look, app)
    if found is None:
        return 0
    return await app.store.write(lambda connection: _write(app, connection, found))


def _look(app: App) -> Look | None:
    engine = read_only(app.config.state)  # of this thread alone
    try:
        with engine.connect() as connection:
            return _learn(app, connection)
    finally:
        engine.dispose()


def _learn(app: App, connection: Connection) -> Look | None:
    since = connection.execute(
        select(shapes_seen.c.seq).where(shapes_seen.c.system == _ALL)
    ).scalar_one_or_none()
    rows = connection.execute(
        select(inbox_table)
        .where(
            inbox_table.c.seq > (since or 0),
            inbox_table.c.body.is_not(None),
            inbox_table.c.via != inbox.ABSENCE,
            inbox_table.c.state != "pending",
        )
        .order_by(inbox_table.c.seq)
        .limit(ROWS_MAX)
    ).all()
    if not rows:
        return None
    found = Look(rows[-1].seq, {}, [])
    if len(rows) == ROWS_MAX:  # more waits than a look takes: go on at the end
        found.seq = int(connection.execute(select(func.max(inbox_table.c.seq))).scalar_one())
    for row in rows:
        for resource, label, body in _objects(app, row):
            key = (row.system, resource)
            if key not in found.learners:
                found.learners[key] = _known(connection, *key)
            _take(found, key, label, body)
    return found


def _take(found: Look, key: tuple[str, str], label: str, body: Any) -> None:
    learner = found.learners[key]
    if len(learner.known) > FIELDS_MAX:
        return
    shape = {written(place): kinds for place, kinds in shape_of(body).items() if place}
    found.news += [(*key, news) for news in learner.learn(shape, label)]


def _objects(app: App, row: Row[Any]) -> Iterable[tuple[str, str, Any]]:
    if row.system not in app.connectors:
        return
    try:
        events = brought(app.seal, row, app.connectors)
    except (Malformed, TruecountError, *BUGS):
        return  # it is held with its reason
    for event in events:
        if event.item is not None:
            label = f"{event.item.external_id} (inbox {row.seq})"
            yield event.resource, label, event.item.body


def _known(connection: Connection, system: str, resource: str) -> Learner:
    count = connection.execute(
        select(shapes_seen.c.documents).where(
            shapes_seen.c.system == system, shapes_seen.c.resource == resource
        )
    ).scalar_one_or_none()
    rows = connection.execute(
        select(shapes).where(shapes.c.system == system, shapes.c.resource == resource)
    )
    known = {
        row.path: Known(set(filter(None, row.kinds.split(","))), row.documents, row.first, row.last)
        for row in rows
    }
    return Learner(count or 0, known)


# ------------------------------------------------------------------ written


def _write(app: App, connection: Connection, found: Look) -> int:
    for (system, resource), learner in found.learners.items():
        _seen(connection, system, resource, documents=learner.documents, seq=0)
        for path in learner.touched:
            one = learner.known[path]
            values = {
                "kinds": ",".join(sorted(one.kinds)),
                "documents": one.documents,
                "last": one.last,
            }
            connection.execute(
                insert(shapes)
                .values(system=system, resource=resource, path=path, first=one.first, **values)
                .on_conflict_do_update(index_elements=["system", "resource", "path"], set_=values)
            )
    _seen(connection, _ALL, "", documents=0, seq=found.seq)
    for system, resource, news in found.news:
        _tell(app, connection, system, resource, news)
    return len(found.news)


def _seen(connection: Connection, system: str, resource: str, *, documents: int, seq: int) -> None:
    values = {"documents": documents, "seq": seq}
    connection.execute(
        insert(shapes_seen)
        .values(system=system, resource=resource, **values)
        .on_conflict_do_update(index_elements=["system", "resource"], set_=values)
    )


def _tell(app: App, connection: Connection, system: str, resource: str, news: News) -> None:
    now = stamp(app.clock.now())
    connection.execute(
        insert(drifts)
        .values(
            system=system, resource=resource, path=news.path, what=news.what,
            detail=news.detail, example=news.example, documents=1, since=now, until=now,
        )
        .on_conflict_do_update(
            index_elements=["system", "resource", "path", "what"],
            set_={"documents": drifts.c.documents + 1, "until": now, "detail": news.detail},
        )
    )  # fmt: skip
    day = app.clock.now().astimezone(app.network.zone).date().isoformat()
    connection.execute(
        insert(counters)
        .values(name=f"fields {news.what}", label=system, day=day, value=1)
        .on_conflict_do_update(
            index_elements=["name", "label", "day"], set_={"value": counters.c.value + 1}
        )
    )


# ------------------------------------------------------------------ looking


def rows(connection: Connection, since: str = "", until: str = "~") -> list[dict[str, Any]]:
    """What changed, newest first; between two instants, where they are given."""
    found = connection.execute(
        select(drifts)
        .where(drifts.c.since >= since, drifts.c.since < until)
        .order_by(drifts.c.since.desc(), drifts.c.system, drifts.c.path)
    )
    return [{str(name): value for name, value in row._mapping.items()} for row in found]


def read_by(mapping: Mapping | None, path: str) -> list[str]:
    """The fields of ours that read this field of theirs: a change of it concerns them."""
    if mapping is None or mapping.plan is None:
        return []
    reads = reads_of(mapping.plan).items()
    return sorted({our for place, ours in reads if written(place) == path for our in ours if our})
