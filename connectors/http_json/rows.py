"""Rows out of answers: items with their owner's id and revision, and how far a pass has come."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from connectors.http_json import instants
from connectors.http_json.paging import Walk
from connectors.http_json.plan import Fetch, Rows, Since, Source
from connectors.http_json.pointing import at, text
from core.contract import Answer, Item, Json
from core.errors import Retry


def since_params(since: Since | None, watermark: str | None) -> dict[str, str]:
    if since is None or watermark is None:
        return {}
    return {since.param: instants.written(watermark, since.format)}


def mark_after(since: Since | None, walk: Walk, answer: Answer, rows: Sequence[Json]) -> str | None:
    """The watermark of the pass after this page."""
    if since is None:
        return None
    if since.answer:
        # The first page's: what changed while we read the others is read next time.
        return walk.mark or instants.read(at(answer.body, since.answer), since.format)
    mark = walk.mark
    for row in rows:
        mark = instants.later(mark, instants.read(at(row, since.item), since.format), since.format)
    return mark


def latest(since: Since | None, mark: str | None, before: str | None) -> str | None:
    """What the next pass starts from. A pass that saw nothing says nothing: `before` had the
    overlap taken off already, and giving it back would walk into the past."""
    if since is None or mark is None:
        return None
    return instants.later(mark, before, since.format)


def rows_of(answer: Answer, rows: Rows, what: str) -> list[Json]:
    there = at(answer.body, rows.items)
    if isinstance(there, list):
        return there
    if there is None and rows.absent_is_empty:
        return []
    if isinstance(there, Mapping):
        return [there]
    # Not "no rows": a list that is missing would empty a shelf in a snapshot.
    raise Retry(f"reading {what}", words=f"the answer has no list at {rows.items}")


def item_of(source: Source, row: Json) -> Item:
    parts = [text(at(row, path)) for path in source.id]
    known = all(part for part in parts)
    return Item(
        # A row without an id is kept too: the mapping holds it where a person sees it.
        external_id=":".join(part or "" for part in parts) if known else digest_of(row),
        revision=(text(at(row, source.revision)) or "") if source.revision else "",
        body=row,
    )


def digest_of(row: Json) -> str:
    return f"no-id-{hashlib.sha256(repr(row).encode()).hexdigest()[:16]}"


def fetched(source: Source, fetch: Fetch, answer: Answer, external_id: str) -> Item | None:
    there = at(answer.body, fetch.item)
    # Some answer a missing id with an empty list, or any id with a list of one.
    rows = there if isinstance(there, list) else [] if there in (None, {}) else [there]
    items = [item_of(source, row) for row in rows]
    for item in items:
        if item.external_id == external_id:
            return item
    if items:
        raise Retry("reading one object", words="the answer is about another id")
    return None
