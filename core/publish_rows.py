"""Stop 6 as rows: how far each channel was told, what it acknowledged, what is to be told again.

Nothing here decides. All of it runs for every batch of every channel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from core.clock import stamp
from core.contract import Offer
from core.store.hot import Hot, HotList
from core.store.schema import feed, publish_cursors, published, republish, told

# ------------------------------------------------------------------ what is due


def cursor(connection: Connection, system: str) -> int:
    """How far in the feed this channel has been told."""
    return _CURSOR(connection, system=system).scalar_one_or_none() or 0


def move_cursor(connection: Connection, system: str, seq: int) -> None:
    _MOVE_CURSOR(connection, system=system, seq=seq)


def end_of_feed(connection: Connection) -> int:
    return _END(connection).scalar_one() or 0


def changed(connection: Connection, after: int, limit: int) -> Sequence[Row[Any]]:
    """(sku, seq, changed_at) of what moved since, oldest first."""
    return _CHANGED(connection, after=after, limit=limit).all()


def seqs_of(connection: Connection, skus: Collection[str]) -> dict[str, int]:
    """Where these SKUs stand in the feed."""
    return {row.sku: row.seq for row in _SEQS(connection, skus)}


def changed_at(connection: Connection, skus: Collection[str]) -> dict[str, str]:
    """When these SKUs last moved."""
    return {row.sku: row.changed_at for row in _SEQS(connection, skus)}


def due_again(connection: Connection, system: str, now: datetime, limit: int) -> set[str]:
    """SKUs that are to be told again, for a reason of their own."""
    return set(_AGAIN(connection, system=system, now=stamp(now), limit=limit).scalars())


def next_again(connection: Connection, system: str) -> str | None:
    found: str | None = _NEXT_AGAIN(connection, system=system).scalar_one()
    return found


def tell_again(connection: Connection, system: str, sku: str, at: datetime, why: str) -> None:
    connection.execute(
        upsert(republish)
        .values(system=system, sku=sku, due_at=stamp(at), why=why)
        .on_conflict_do_update(
            index_elements=["system", "sku"],
            set_={"due_at": stamp(at), "why": why, "attempts": republish.c.attempts + 1},
        )
    )


def not_again(connection: Connection, system: str, skus: Collection[str]) -> None:
    """They were looked at once more."""
    _NOT_AGAIN.many(connection, [{"of": system, "one": sku} for sku in skus])


# ------------------------------------------------------------------ what was told


def begin_call(
    connection: Connection,
    system: str,
    offers: Sequence[Offer],
    now: datetime,
    position: int,
    rows: Sequence[Mapping[str, Any]],
) -> int:
    """The number of a call that is about to leave."""
    return int(
        _BEGIN(
            connection,
            system=system,
            key=offers[0].key,
            began_at=stamp(now),
            position=position,
            offers=orjson.dumps(rows).decode(),
        ).scalar_one()
    )


def end_call(
    connection: Connection, told_id: int, now: datetime, rows: Sequence[Mapping[str, Any]]
) -> None:
    """It was answered, and this is what became of each offer."""
    said = orjson.dumps(rows).decode()
    _END_CALL(connection, call=told_id, ended_at=stamp(now), offers=said)


def lose_call(connection: Connection, told_id: int, now: datetime, result: str) -> None:
    connection.execute(
        update(told).where(told.c.id == told_id).values(ended_at=stamp(now), result=result)
    )


def shows(
    connection: Connection,
    system: str,
    offer: Offer,
    quantity: int | None,
    words: str,
    now: datetime,
) -> None:
    """What the channel acknowledged; `words`: why it differs from what we want."""
    _SHOWS(
        connection,
        system=system,
        listing=offer.listing,
        place=offer.place,
        sku=offer.sku,
        quantity=quantity,
        acked_at=stamp(now),
        words=words,
    )


# ------------------------------------------------------------------ statements


_CHANGED = Hot(
    select(feed.c.sku, feed.c.seq, feed.c.changed_at)
    .where(feed.c.seq > bindparam("after"))
    .order_by(feed.c.seq)
    .limit(bindparam("limit"))
)
_SEQS = HotList(
    lambda skus: select(feed.c.sku, feed.c.seq, feed.c.changed_at).where(feed.c.sku.in_(skus))
)
_END = Hot(select(func.max(feed.c.seq)))
_AGAIN = Hot(
    select(republish.c.sku)
    .where(republish.c.system == bindparam("system"), republish.c.due_at <= bindparam("now"))
    .order_by(republish.c.due_at)
    .limit(bindparam("limit"))
)
_NEXT_AGAIN = Hot(
    select(func.min(republish.c.due_at)).where(republish.c.system == bindparam("system"))
)
_NOT_AGAIN = Hot(
    delete(republish).where(
        republish.c.system == bindparam("of"), republish.c.sku == bindparam("one")
    )
)

_CURSOR = Hot(select(publish_cursors.c.seq).where(publish_cursors.c.system == bindparam("system")))
_NEW_CURSOR = upsert(publish_cursors).values(system=bindparam("system"), seq=bindparam("seq"))
_MOVE_CURSOR = Hot(
    _NEW_CURSOR.on_conflict_do_update(
        index_elements=["system"], set_={"seq": _NEW_CURSOR.excluded.seq}
    )
)

_BEGIN = Hot(
    insert(told)
    .values({name: bindparam(name) for name in ("system", "key", "began_at", "position", "offers")})
    .returning(told.c.id)
)
_END_CALL = Hot(
    update(told)
    .where(told.c.id == bindparam("call"))
    .values(ended_at=bindparam("ended_at"), result="answered", offers=bindparam("offers"))
)

_SHOWN = ("sku", "quantity", "acked_at", "words")
_NEW_SHOWN = upsert(published).values(
    {name: bindparam(name) for name in ("system", "listing", "place", *_SHOWN)}
)
_SHOWS = Hot(
    _NEW_SHOWN.on_conflict_do_update(
        index_elements=["system", "listing", "place"],
        set_={name: _NEW_SHOWN.excluded[name] for name in _SHOWN},
    )
)
