"""What operators ask, answered from committed state: status, trace, holds, dead.

Every function takes a read-only connection and returns plain JSON-able data; the
command line, the status page and the report only lay it out. No buyer appears
here: orders go by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, case, func, or_, select

from core import commands, deadline_views, exceptions, exchanges, outage_rows, return_views
from core import oversold as promised
from core.clock import stamp, unstamp
from core.codec import from_json
from core.model import COMMANDS
from core.network import Network
from core.privacy import blot, buyers_of
from core.seal import Seal
from core.steps import STOPS
from core.store import schema as s
from core.work import Work

View = dict[str, Any]
#: Rows a face shows at most; it says how many more there are.
ROWS_MAX = 200
#: Attempts of one command that are shown, the last ones.
ATTEMPTS_MAX = 20


# ------------------------------------------------------------------ status


def status(connection: Connection, network: Network, now: datetime) -> View:
    """Is everything alive, and what needs a person: the 08:00 question."""
    day = now.date().isoformat()
    needs, snoozed, waits = exceptions.split(exceptions.open_ones(connection, now))
    return {
        "mode": network.plan_words or "live",
        "at": stamp(now),
        "company": network.company,
        "needs_you": needs,
        "snoozed": snoozed,
        "waits": waits,
        "orders": _counts(connection, s.orders.c.state),
        "inbox": _counts(connection, s.inbox.c.state),
        "outbox": _by_system(connection),
        "sweeps": _sweeps(connection, now),
        "away": outage_rows.now_away(connection, _batches(network)),
        "channels": _channels(connection, network),
        "oversold": oversold(connection),
        "deadlines": deadline_views.numbers(connection, now),
        "today": _today(connection, day),
        "health": _health(connection),
    }


def _batches(network: Network) -> dict[str, int]:
    return {system: write.batch for system, write in network.stock_writes.items()}


def _counts(connection: Connection, column: Any) -> View:
    rows = connection.execute(select(column, func.count()).group_by(column))
    return {str(word): int(count) for word, count in rows}


def _by_system(connection: Connection) -> list[View]:
    live = s.outbox.c.state.not_in(s.ENDED)
    rows = connection.execute(
        select(
            s.outbox.c.system,
            s.outbox.c.state,
            func.count().label("commands"),
            func.min(case((live, s.outbox.c.queued_at))).label("oldest"),
        )
        .group_by(s.outbox.c.system, s.outbox.c.state)
        .order_by(s.outbox.c.system)
    )
    return [
        {"system": r.system, "state": r.state, "commands": r.commands, "oldest": r.oldest}
        for r in rows
    ]


def _sweeps(connection: Connection, now: datetime) -> list[View]:
    rows = connection.execute(select(s.cursors).order_by(s.cursors.c.system, s.cursors.c.resource))
    return [
        {
            "system": row.system,
            "resource": row.resource,
            "complete_at": row.complete_at,
            "age_s": (now - unstamp(row.complete_at)).total_seconds() if row.complete_at else None,
            "rows": row.rows,
            "failures": row.failures,
            "words": row.words,
        }
        for row in rows
    ]


def _channels(connection: Connection, network: Network) -> list[View]:
    last = connection.execute(select(func.coalesce(func.max(s.feed.c.seq), 0))).scalar_one()
    found = []
    for channel in network.channels:
        seq = connection.execute(
            select(s.publish_cursors.c.seq).where(s.publish_cursors.c.system == channel)
        ).scalar_one_or_none()
        behind = connection.execute(
            select(func.count()).select_from(s.feed).where(s.feed.c.seq > (seq or 0))
        ).scalar_one()
        told = connection.execute(
            select(func.max(s.published.c.acked_at)).where(s.published.c.system == channel)
        ).scalar_one()
        found.append({"channel": channel, "skus_waiting": behind, "last_told": told, "feed": last})
    return found


def _today(connection: Connection, day: str) -> View:
    rows = connection.execute(select(s.counters).where(s.counters.c.day == day))
    return {f"{r.name} {r.label}".strip(): r.value for r in rows}


def _health(connection: Connection) -> list[View]:
    rows = connection.execute(select(s.health).where(s.health.c.kind != "budget"))
    return [{"system": r.system, "kind": r.kind, "state": r.state, "at": r.at} for r in rows]


def oversold(connection: Connection) -> list[View]:
    """SKUs promised beyond the owner's number, and the orders in danger (H18)."""
    return [
        {
            "sku": row.sku,
            "location": row.location,
            "units": row.units,
            "since": row.since,
            "orders": [
                f"{one.system}:{one.number}"
                for one in promised.endangered(connection, row.sku, row.location, row.units)
            ],
        }
        for row in promised.confirmed(connection)
    ]


def reading_work(connection: Connection, network: Network, now: datetime) -> Work:
    """A Work for asking only; its connection is read-only, so it cannot be misused."""
    return Work.begin(connection, network, Seal(b"\0" * 32), now)


# ------------------------------------------------------------------ trace


def find_order(connection: Connection, name: str) -> list[Row[Any]]:
    """Orders by SYSTEM:ORDER (id or number) or by either alone."""
    system, _, key = name.rpartition(":") if not name.startswith("gid:") else ("", "", name)
    where = or_(s.orders.c.external_id == key, s.orders.c.number == key)
    if not key.startswith("#"):
        where = or_(where, s.orders.c.number == f"#{key}")
    rows = connection.execute(select(s.orders).where(where)).all()
    if not rows and system:
        rows = connection.execute(select(s.orders).where(s.orders.c.external_id == name)).all()
    return [row for row in rows if not system or row.system == system or row.external_id == name]


def trace(connection: Connection, order: Row[Any]) -> View:
    """One order's walk through the eight stops, with times."""
    return {
        "order": f"{order.system}:{order.number}",
        "id": order.external_id,
        "state": order.state,
        "payment": order.payment,
        "total": {"minor": order.total_minor, "currency": order.currency},
        "location": order.location,
        "lines": [
            {
                k: getattr(line, k)
                for k in ("sku", "ordered", "claimed", "short", "consumed", "cancelled")
            }
            for line in connection.execute(
                select(s.lines).where(s.lines.c.order_id == order.id).order_by(s.lines.c.id)
            )
        ],
        "returns": return_views.of_order(connection, order.id),
        "walk": _walk(connection, order),
        "holds": _holds_of(connection, "order", str(order.id)),
    }


def _walk(connection: Connection, order: Row[Any]) -> list[View]:
    walk = [*_arrivals(connection, order)]
    rows = connection.execute(
        select(s.steps).where(s.steps.c.order_id == order.id).order_by(s.steps.c.seq)
    )
    for row in rows:
        data = orjson.loads(row.data)
        walk.append(
            {
                "at": row.at,
                "stop": row.stop,
                "stop_name": STOPS[row.stop],
                "what": row.name,
                "system": row.system,
                "sku": row.sku,
                **data,
            }
        )
    walk += _offers(connection, order)
    return sorted(walk, key=lambda step: (step["at"], step["stop"]))


def _arrivals(connection: Connection, order: Row[Any]) -> list[View]:
    """How the order came to us: pushed (stop 1), and everything kept of it (stop 2)."""
    rows = connection.execute(
        select(s.inbox)
        .where(s.inbox.c.system == order.system, s.inbox.c.external_id == order.external_id)
        .order_by(s.inbox.c.seq)
    )
    walk: list[View] = []
    for row in rows:
        step = {"at": row.received_at, "system": row.system, "via": row.via}
        if row.via == "hook":
            walk.append(
                {**step, "stop": 1, "stop_name": STOPS[1], "what": "push.arrived",
                 "topic": row.topic}
            )  # fmt: skip
        walk.append(
            {**step, "stop": 2, "stop_name": STOPS[2], "what": "record.kept",
             "state": row.state, "pushes": row.pushes, "polls": row.polls}
        )  # fmt: skip
    return walk


def _offers(connection: Connection, order: Row[Any]) -> list[View]:
    """What channels were told of this order's SKUs from its capture until it was closed."""
    skus = connection.execute(
        select(s.lines.c.sku).where(s.lines.c.order_id == order.id).distinct()
    ).scalars()
    rows = connection.execute(
        select(s.steps)
        .where(
            s.steps.c.sku.in_(list(skus)),
            s.steps.c.stop == 6,
            s.steps.c.at >= order.captured_at,
        )
        .order_by(s.steps.c.seq)
        .limit(ROWS_MAX)
    )
    return [
        {
            "at": row.at,
            "stop": 6,
            "stop_name": STOPS[6],
            "what": row.name,
            "system": row.system,
            "sku": row.sku,
            **orjson.loads(row.data),
        }
        for row in rows
    ]


def _holds_of(connection: Connection, member: str, ref: str) -> list[View]:
    rows = connection.execute(
        select(s.holds, s.hold_members.c.closed_at.label("gone_at"))
        .join(s.hold_members, s.hold_members.c.hold_id == s.holds.c.id)
        .where(s.hold_members.c.member == member, s.hold_members.c.ref == ref)
    )
    return [
        {
            "id": r.id,
            "cause": r.cause,
            "reason": r.reason,
            "next_step": r.next_step,
            "closed_at": r.gone_at,
            "assignee": r.assignee,
            "note": r.note,
        }
        for r in rows
    ]


def documents(connection: Connection) -> list[View]:
    """What ledgers hold of our references, as last read back."""
    rows = connection.execute(select(s.documents).order_by(s.documents.c.seen_at))
    return [
        {
            "system": row.system,
            "kind": row.kind,
            "number": row.number,
            "reference": row.reference,
            "posted": bool(row.posted),
            "total_minor": row.total_minor,
            "currency": row.currency,
        }
        for row in rows
    ]


# ------------------------------------------------------------------ holds, dead


def dead(connection: Connection) -> list[View]:
    """Commands given up, with the other side's words; their lanes wait for a person."""
    rows = connection.execute(
        select(s.outbox, s.orders.c.number, s.orders.c.system.label("channel"))
        .outerjoin(s.orders, s.orders.c.id == s.outbox.c.order_id)
        .where(s.outbox.c.state == "dead")
        .order_by(s.outbox.c.id)
        .limit(ROWS_MAX)
    )
    return [
        {
            "id": row.id,
            "system": row.system,
            "kind": row.kind,
            "order": f"{row.channel}:{row.number}",
            "attempts": row.attempts,
            "words": row.words,
            "queued_at": row.queued_at,
            "waiting_behind": _behind(connection, row),
        }
        for row in rows
    ]


def dead_letter(connection: Connection, seal: Seal, command_id: int, *, buyer: bool) -> View | None:
    """One command with all that was said about it; `buyer`: also what the buyer wrote.

    None if there is no such command.
    """
    row = connection.execute(
        select(s.outbox, s.orders.c.number, s.orders.c.system.label("channel"))
        .outerjoin(s.orders, s.orders.c.id == s.outbox.c.order_id)
        .where(s.outbox.c.id == command_id)
    ).one_or_none()
    if row is None:
        return None
    hidden: list[str] = []
    if row.record and not buyer:
        record = seal.open(row.record, commands.aad(row.key))
        hidden = buyers_of(from_json(COMMANDS[row.kind], record))
    tries = connection.execute(
        select(s.attempts).where(s.attempts.c.outbox_id == row.id).order_by(s.attempts.c.id)
    ).all()
    return {
        **{name: getattr(row, name) for name in ("id", "system", "kind", "state", "key", "words")},
        "order": f"{row.channel}:{row.number}",
        "safe_by": row.safe_by,
        "queued_at": row.queued_at,
        "waiting_behind": _behind(connection, row),
        "attempts": [
            {name: getattr(one, name) for name in ("n", "verb", "began_at", "result", "words")}
            for one in tries[-ATTEMPTS_MAX:]
        ],
        "said": _said(seal, tries, hidden),
    }


def _said(seal: Seal, tries: Sequence[Row[Any]], hidden: Sequence[str]) -> list[View]:
    """Requests and answers of the last attempt of which any are kept."""
    kept = next((one for one in reversed(tries) if one.said), None)
    if kept is None:
        return []
    heard = exchanges.from_bytes(seal.open(kept.said, exchanges.aad(kept.id)))
    words = ("path", "sent", "answer")
    return [
        asdict(one) | {name: blot(getattr(one, name), hidden) for name in words} for one in heard
    ]


def _behind(connection: Connection, row: Row[Any]) -> int:
    return int(
        connection.execute(
            select(func.count())
            .select_from(s.outbox)
            .where(
                s.outbox.c.system == row.system,
                s.outbox.c.lane == row.lane,
                s.outbox.c.id > row.id,
                s.outbox.c.state.not_in(s.ENDED),
            )
        ).scalar_one()
    )
