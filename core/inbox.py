"""Stop 2, kept: what arrives is on the disk once, before anybody is told so.

A row is unique by (system, topic, identity). The statement that stores an event
also decides whether it is new; the same thing again only raises a counter, so
nine duplicate pushes and one from the poll are each recorded as seen (S8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert

from core.clock import stamp
from core.seal import Seal
from core.store.hot import Hot
from core.store.schema import inbox

#: `via` of an object that a complete pass no longer showed.
ABSENCE = "absence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One thing as it came: raw bytes, how it came, and what it calls itself."""

    system: str
    via: str  # hook | sweep | fetch | absence
    topic: str
    identity: str
    body: bytes
    headers: bytes = b""
    resource: str = ""
    external_id: str = ""
    revision: str = ""
    received_at: datetime
    read_began_at: datetime | None = None
    since: str | None = None  # the watermark its pass began at


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    seq: int
    new: bool


_COLUMNS = (
    "system via topic identity resource external_id revision headers body received_at"
    " read_began_at seen_at since state pushes polls"
).split()
_INSERT = insert(inbox).values({name: bindparam(name) for name in _COLUMNS})
_ONCE = _INSERT.on_conflict_do_update(
    index_elements=["system", "topic", "identity"],
    set_={
        "pushes": inbox.c.pushes + _INSERT.excluded.pushes,
        "polls": inbox.c.polls + _INSERT.excluded.polls,
        "seen_at": _INSERT.excluded.seen_at,
    },
)
_STORE = Hot(_ONCE.returning(inbox.c.seq, inbox.c.pushes, inbox.c.polls))
_STORE_MANY = Hot(_ONCE)


def identity_of(external_id: str, revision: str, body: bytes) -> str:
    """Id, revision and content: two states within one second are two arrivals (H8)."""
    return f"{external_id}@{revision}#{hashlib.sha256(body).hexdigest()[:16]}"


def aad(system: str, topic: str) -> bytes:
    """Binds sealed bytes to their row, so that they cannot be moved to another."""
    return f"inbox:{system}:{topic}".encode()


def keep(connection: Connection, arrival: Arrival, seal: Seal) -> Kept:
    """Store it, or count that it was seen again. One statement (Store.write single)."""
    row = _STORE(connection, **_columns(arrival, seal)).one()
    return Kept(seq=row.seq, new=row.pushes + row.polls == 1)


def keep_many(connection: Connection, arrivals: Iterable[Arrival], seal: Seal) -> None:
    """The same for a page of them, in one call of the driver."""
    _STORE_MANY.many(connection, [_columns(arrival, seal) for arrival in arrivals])


def _columns(arrival: Arrival, seal: Seal) -> dict[str, Any]:
    pushed = arrival.via == "hook"
    bound = aad(arrival.system, arrival.topic)
    return {
        "system": arrival.system,
        "via": arrival.via,
        "topic": arrival.topic,
        "identity": arrival.identity,
        "resource": arrival.resource,
        "external_id": arrival.external_id,
        "revision": arrival.revision,
        "headers": seal.seal(arrival.headers, bound) if arrival.headers else None,
        "body": seal.seal(arrival.body, bound),
        "received_at": stamp(arrival.received_at),
        "read_began_at": stamp(arrival.read_began_at) if arrival.read_began_at else None,
        "seen_at": stamp(arrival.received_at),
        "since": arrival.since,
        "state": "pending",
        "pushes": int(pushed),
        "polls": int(not pushed),
    }


_NEXT = (
    select(inbox)
    .where(inbox.c.state == literal_column("'pending'"), inbox.c.seq > bindparam("after"))
    .order_by(inbox.c.seq)
    .limit(bindparam("limit"))
)
_PENDING = Hot(_NEXT)
_PENDING_OF = Hot(_NEXT.where(inbox.c.system == bindparam("system")))


def pending(connection: Connection, *, after: int, limit: int) -> Sequence[Row[tuple[object, ...]]]:
    return _PENDING(connection, after=after, limit=limit).all()


def pending_of(
    connection: Connection, system: str, *, after: int, limit: int
) -> Sequence[Row[tuple[object, ...]]]:
    """The same of one system only."""
    return _PENDING_OF(connection, system=system, after=after, limit=limit).all()


def chosen(connection: Connection, seqs: Sequence[int]) -> Sequence[Row[tuple[object, ...]]]:
    """These rows, as far as they are pending."""
    return connection.execute(
        select(inbox).where(inbox.c.seq.in_(seqs), inbox.c.state == "pending").order_by(inbox.c.seq)
    ).all()


def waits(connection: Connection, system: str, resource: str) -> bool:
    """Is anything of this resource kept and not decided yet?"""
    return _WAITS(connection, system=system, resource=resource).one_or_none() is not None


_WAITS = Hot(
    select(inbox.c.seq)
    .where(
        inbox.c.state == literal_column("'pending'"),
        inbox.c.system == bindparam("system"),
        inbox.c.resource == bindparam("resource"),
    )
    .limit(literal_column("1"))
)


def settle(
    connection: Connection,
    seq: int,
    state: str,
    *,
    at: datetime,
    mapping: str = "",
    reason: str = "",
) -> None:
    """applied, ignored or held: `received = applied + held + ignored + pending` (G14)."""
    _SETTLE(connection, row=seq, state=state, mapping=mapping, reason=reason, done_at=stamp(at))


_SETTLE = Hot(
    update(inbox)
    .where(inbox.c.seq == bindparam("row"))
    .values({name: bindparam(name) for name in ("state", "mapping", "reason", "done_at")})
)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one row."""

    seq: int
    state: str
    mapping: str
    reason: str


def settle_many(connection: Connection, rows: Iterable[Settled], *, at: datetime) -> None:
    """The same for a page of them, in one call of the driver."""
    done_at = stamp(at)
    _SETTLE.many(
        connection,
        [
            {
                "row": one.seq,
                "state": one.state,
                "mapping": one.mapping,
                "reason": one.reason,
                "done_at": done_at,
            }
            for one in rows
        ],
    )


def meant(connection: Connection, seq: int, resource: str, external_id: str) -> None:
    """A push was a hint at this object; `trace` shows it among the arrivals of its order."""
    _MEANT(connection, row=seq, resource=resource, external_id=external_id)


_MEANT = Hot(
    update(inbox)
    .where(inbox.c.seq == bindparam("row"))
    .values({name: bindparam(name) for name in ("resource", "external_id")})
)
