"""What a push of Shopee's means: a hint, never more (ADR 0007).

Its content is partial and unordered, it carries no event id, and the body says `ordersn`
where the API says `order_sn`. One address serves all shops of an app.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from core.contract import Event, Push
from core.errors import Hold

#: Order status, tracking number, document, package status, courier, package info.
_OF_ORDERS = frozenset({3, 4, 15, 30, 37, 47})
_OF_RETURNS = frozenset({29})
#: What the app must be subscribed to.
CODES = (3, 4, 29, 30)


def events_of(push: Push, shop: str) -> Sequence[Event]:
    body = _read(push)
    if str(body.get("shop_id")) != shop:
        return ()
    data = body.get("data")
    if isinstance(data, str):  # in a push that was lost and fetched again
        data = _json(data)
    code, data = body.get("code"), data if isinstance(data, dict) else {}
    if code in _OF_ORDERS:
        order = data.get("ordersn") or data.get("order_sn")
        return (Event(resource="order", external_id=_named(order, "order")),)
    if code in _OF_RETURNS:
        number = _named(data.get("return_sn") or data.get("returnsn"), "return")
        return tuple(Event(resource=one, external_id=number) for one in ("return", "refund"))
    return ()


def _read(push: Push) -> dict[str, Any]:
    body = _json(push.body)
    if not isinstance(body, dict):
        raise _unreadable("its body is not a JSON object")
    return body


def _json(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _named(number: Any, what: str) -> str:
    if isinstance(number, str) and number.isascii() and number.isalnum():
        return number
    raise _unreadable(f"it names no {what}")


def _unreadable(why: str) -> Hold:
    return Hold(
        f"a Shopee push cannot be read: {why}",
        cause="push:shopee",
        next_step="Nothing is lost: the next sweep reads the object itself.",
    )
