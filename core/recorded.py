"""What arrived and was asked, opened again: the documents a mapping is tried on, and learned from.

Raw bodies are kept sealed until `retention.raw`; here they are opened for one
look and stored nowhere. Newest first, so that a limit keeps the latest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from core import commands, inbox
from core.codec import from_json
from core.contract import Item
from core.errors import InvariantBroken, TruecountError
from core.mapping.preview import Recorded
from core.model import COMMANDS, RECORDS
from core.seal import Seal, Unreadable
from core.store.schema import inbox as inbox_table
from core.store.schema import outbox
from core.strict import Malformed, dump_json
from core.understanding import BUGS, Hears, brought

#: Rows read at a time; a document of the largest kind is some hundred KiB.
PAGE = 200
#: Records of these kinds are decided upon: orders booked, parcels told, money given back.
POSTED = ("order", "shipment", "return", "cancellation")


@dataclass(frozen=True, slots=True)
class Source:
    """Whose payloads, how they are opened, and how many at most."""

    seal: Seal
    hears: Mapping[str, Hears]
    systems: Sequence[str]
    last: int


@dataclass(frozen=True, slots=True)
class Payload:
    """One object as it came. `seq` is its row of the inbox; `decided`: by it, or by its twin."""

    seq: int
    system: str
    decided: bool
    mapping: str
    item: Item
    resource: str


def payloads(connection: Connection, source: Source, resource: str) -> Iterator[Payload]:
    """The last objects of one resource, newest first. What cannot be read is left out."""
    left, seen = source.last, set()
    for row in _rows(connection, source.systems, resource):
        if left <= 0:
            return
        for item in _items(source, row, resource):
            told = (row.system, item.external_id, item.revision, _digest(item))
            if told in seen:  # the same by push and by poll is one document
                continue
            seen.add(told)
            left -= 1
            yield Payload(row.seq, row.system, _decided(row), row.mapping, item, resource)


def of_rows(connection: Connection, source: Source, seqs: Sequence[int]) -> Iterator[Payload]:
    """The objects of these rows of the inbox, in the order they came."""
    columns = inbox_table.c
    for start in range(0, len(seqs), PAGE):
        rows = connection.execute(
            select(inbox_table)
            .where(columns.seq.in_(seqs[start : start + PAGE]), columns.body.is_not(None))
            .order_by(columns.seq)
        )
        for row in rows:
            for resource, item in _all_items(source, row):
                yield Payload(row.seq, row.system, _decided(row), row.mapping, item, resource)


def incoming(
    connection: Connection, source: Source, resource: str, becomes: str
) -> Iterator[Recorded]:
    """The same, for a preview. `becomes` is the kind of record the mapping makes."""
    assert becomes in RECORDS
    for one in payloads(connection, source, resource):
        yield as_recorded(one, becomes)


def as_recorded(one: Payload, becomes: str) -> Recorded:
    return Recorded(
        label=f"{one.system} {one.resource} {one.item.external_id} (inbox {one.seq})",
        document=one.item.body,
        external_id=one.item.external_id,
        revision=one.item.revision,
        posted=becomes in POSTED and one.decided,
    )


def outgoing(connection: Connection, source: Source, kind: str) -> Iterator[Recorded]:
    """The last commands of one kind, as records of ours."""
    rows = _paged(
        lambda before: connection.execute(
            select(outbox)
            .where(
                outbox.c.kind == kind,
                outbox.c.system.in_(source.systems),
                outbox.c.record != b"",
                outbox.c.id < before,
            )
            .order_by(outbox.c.id.desc())
            .limit(PAGE)
        ).all(),
        lambda row: int(row.id),
    )
    left = source.last
    for row in rows:
        if left <= 0:
            return
        try:
            plain = source.seal.open(row.record, commands.aad(row.key))
            record = from_json(COMMANDS[kind], plain)
        except (Unreadable, InvariantBroken):
            continue
        left -= 1
        yield Recorded(label=f"{row.system} {kind} {row.key}", document=record)


def _rows(connection: Connection, systems: Sequence[str], resource: str) -> Iterator[Row[Any]]:
    columns = inbox_table.c
    return _paged(
        lambda before: connection.execute(
            select(inbox_table)
            .where(
                columns.system.in_(systems),
                or_(columns.resource == resource, columns.via == "hook"),
                columns.via != inbox.ABSENCE,
                columns.body.is_not(None),
                columns.seq < before,
            )
            .order_by(columns.seq.desc())
            .limit(PAGE)
        ).all(),
        lambda row: int(row.seq),
    )


def _paged(
    read: Callable[[int], Sequence[Row[Any]]], number: Callable[[Row[Any]], int]
) -> Iterator[Row[Any]]:
    before = 2**62
    while rows := read(before):
        yield from rows
        before = number(rows[-1])


def _decided(row: Row[Any]) -> bool:
    """The same order by push and by poll is applied once, and the other time is the same."""
    return row.state == "applied" or row.reason in ("same", "stale")


def _digest(item: Item) -> bytes:
    return hashlib.sha256(dump_json(item.body, canonical=True)).digest()


def _items(source: Source, row: Row[Any], resource: str) -> list[Item]:
    return [item for its, item in _all_items(source, row) if its == resource]


def _all_items(source: Source, row: Row[Any]) -> list[tuple[str, Item]]:
    try:
        events = brought(source.seal, row, source.hears)
    except (Malformed, TruecountError, *BUGS):
        return []  # it is held with its reason; there is nothing to try here
    return [(event.resource, event.item) for event in events if event.item is not None]
