"""What a field of ours can hold, read once from the dataclass annotations.

The model is the schema: a new field in core/model.py can be mapped the same
day, and a misspelt one is refused at load with the nearest right name.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any

from core import model
from core.mapping.catalog import Kind
from core.money import Money

_SCALARS: dict[Any, Kind] = {
    str: "text",
    int: "whole",
    bool: "flag",
    Decimal: "number",
    Money: "money",
    datetime: "time",
}

#: Fields of these names, anywhere, are a buyer's: their values are never shown (G20, T13).
BUYER_ROOTS = frozenset({"ship_to", "email"})

#: A memo in the buyer's currency; every other amount is in the record's own.
OTHER_CURRENCY = frozenset({"presentment_total"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind` adds to the step kinds: enum, record, records, words (a dict of text)."""

    name: str
    kind: Kind
    of: Any  # the enum, the dataclass, or None
    required: bool
    default: Any


@cache
def fields_of(record: type) -> dict[str, Field]:
    hints = typing.get_type_hints(record, vars(model))
    return {each.name: _field(each, hints[each.name]) for each in dataclasses.fields(record)}


def _field(each: dataclasses.Field[Any], hint: Any) -> Field:
    required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    default = None
    if each.default is not dataclasses.MISSING:
        default = each.default
    elif each.default_factory is not dataclasses.MISSING:
        default = each.default_factory()
    kind, of = _kind(_without_none(hint))
    return Field(each.name, kind, of, required, default)


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        assert len(members) == 1, f"a field of two types cannot be mapped: {hint}"
        return members[0]
    return hint


def _kind(hint: Any) -> tuple[Kind, Any]:
    if hint in _SCALARS:
        return _SCALARS[hint], None
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "enum", hint
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return "record", hint
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and arguments[1:] == (Ellipsis,):
        return ("texts", None) if arguments[0] is str else ("records", arguments[0])
    if hint == dict[str, str]:
        return "words", None
    raise AssertionError(f"no mapping for a field of type {hint}")


def is_buyers(our: str) -> bool:
    return bool(BUYER_ROOTS.intersection(our.split(".")))


def names_of(record: type) -> list[str]:
    """Every name a fields block may use, nested ones with their dot."""
    names: list[str] = []
    for each in fields_of(record).values():
        if each.kind == "record":
            names += [f"{each.name}.{inner}" for inner in names_of(each.of)]
        else:
            names.append(each.name)
    return names
