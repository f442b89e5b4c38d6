"""What a push means: rows inside it, or only the ids of what changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from connectors.http_json.plan import Hook, Source
from connectors.http_json.pointing import at
from connectors.http_json.rows import digest_of, item_of
from core.contract import Event, Item, Json, Push
from core.errors import Hold


def events_of(hook: Hook, source: Source | None, push: Push) -> Sequence[Event]:
    there = at(decoded(push), hook.items)
    rows = there if isinstance(there, list) else [] if there is None else [there]
    if not rows:
        raise odd_push(push.topic, f"there is nothing at {hook.items}")
    events = []
    for row in rows:
        item = item_of(source, row) if source else Item(external_id=digest_of(row), body=row)
        events.append(
            Event(
                resource=hook.resource,
                external_id=item.external_id,
                item=item if hook.full else None,
            )
        )
    return events


def decoded(push: Push) -> Json:
    try:
        return json.loads(push.body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise odd_push(push.topic, "it is not JSON") from None


def _no_number(word: str) -> Json:
    raise ValueError(f"{word} is not a number")


def odd_push(topic: str, why: str) -> Hold:
    return Hold(
        f"a genuine push of topic {topic} cannot be understood: {why}",
        cause=f"push {topic}",
        next_step="compare it with http.events in the connector's manifest, then replay it",
    )
