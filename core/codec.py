"""Our records to bytes and back, for rows of the database. Exact both ways.

Derived from the annotations of core/model.py, so the model is the only schema:
a row written before a field existed loads with the field's default, and a word
this version does not know any more is dropped. A Decimal travels as text, an
instant with its offset, money as minor units beside its currency.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, cast

import orjson

from core import model
from core.errors import InvariantBroken
from core.money import Money

R = TypeVar("R")
_Convert = Callable[[Any], Any]


def to_json(record: Any) -> bytes:
    """Equal records give equal bytes."""
    return orjson.dumps(record, default=_encode, option=orjson.OPT_SORT_KEYS)


def from_json(cls: type[R], data: bytes | str) -> R:
    """What `to_json` wrote, or InvariantBroken: our own row cannot be unreadable."""
    try:
        record: R = _decoder(cast(Hashable, cls))(orjson.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise InvariantBroken(f"a stored {cls.__name__} is unreadable: {error}") from error
    return record


def from_plain(cls: type[R], value: dict[str, Any]) -> R:
    """The same from an already decoded dict, which it does not change."""
    return from_json(cls, orjson.dumps(value, default=_encode))


def _encode(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


@cache
def _decoder(cls: Hashable) -> _Convert:
    if cls is Money:
        return _money
    assert isinstance(cls, type)
    assert dataclasses.is_dataclass(cls)
    hints = typing.get_type_hints(cls, vars(model))
    names = frozenset(each.name for each in dataclasses.fields(cls))
    converts = [(name, convert) for name in names if (convert := _convert(hints[name])) is not None]

    def decode(value: dict[str, Any]) -> Any:
        if not names.issuperset(value):
            value = {name: each for name, each in value.items() if name in names}
        for name, convert in converts:
            if (each := value.get(name)) is not None:
                value[name] = convert(each)
        return cls(**value)

    return decode


def _convert(hint: Any) -> _Convert | None:
    """None where JSON's own type is already ours."""
    if isinstance(hint, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        assert len(members) == 1, f"a field of two types cannot be stored: {hint}"
        return _convert(members[0])
    if hint in (str, int, bool) or hint == dict[str, str]:
        return None
    if hint is Decimal:
        return Decimal
    if hint is datetime:
        return _instant
    if typing.get_origin(hint) is tuple:
        return _members(_convert(typing.get_args(hint)[0]))
    if dataclasses.is_dataclass(hint):
        return _decoder(cast(type, hint))
    assert issubclass(hint, StrEnum), f"no stored form for {hint}"
    return cast(_Convert, hint)


def _members(convert: _Convert | None) -> _Convert:
    if convert is None:
        return tuple
    return lambda values: tuple([convert(value) for value in values])


def _money(value: dict[str, Any]) -> Money:
    return Money(value["minor"], value["currency"])


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return at
