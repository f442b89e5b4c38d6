"""The shape of their documents: which fields, of which kind. Never a value.

Used to say what no line reads (`coverage`) and what a vendor has changed (drift).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from core.mapping.reads import EVERY, Place

#: A document with more places than this tells nothing new with the next one.
PLACES_MAX = 2000
DEPTH_MAX = 20
_VALUE = re.compile(r"\d{5}|@|\s.*\s|^.{61}")


def shape_of(document: Any) -> dict[Place, set[str]]:
    """Every place of one document that holds a plain value, and its kinds.

    An empty list or object is a place too: what it holds at other times is not known.
    """
    found: dict[Place, set[str]] = {}
    waiting: list[tuple[Place, Any]] = [((), document)]
    while waiting and len(found) < PLACES_MAX:
        place, value = waiting.pop()
        if len(place) < DEPTH_MAX and type(value) is dict and value:
            waiting += [((*place, _named(name)), each) for name, each in reversed(value.items())]
        elif len(place) < DEPTH_MAX and type(value) is list and value:
            waiting += [((*place, EVERY), each) for each in reversed(value)]
        else:
            found.setdefault(place, set()).add(kind_of(value))
    return found


def _named(name: str) -> str:
    """A name that is an id, an address or a text is a value: a map of them is one place."""
    return "*" if _VALUE.search(name) else name


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "whole number"
    if isinstance(value, Decimal | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def written(place: Place) -> str:
    """As an operator writes a path: lineItems.nodes[].sku."""
    text = ""
    for word in place:
        if word == EVERY:
            text += EVERY
        else:
            name = word if word.replace("_", "a").isalnum() and word.isascii() else f'"{word}"'
            text += f".{name}" if text else name
    return text
