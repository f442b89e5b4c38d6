"""The only door for outside text: JSON from systems here, YAML from operators in core/nodes.py.

Types are never guessed and nothing is lost on the way in: an id of 19 digits
stays whole, 1.10 stays exact, 00123 stays text (H35). What is ambiguous or
hostile (T7, T8) is refused with a message fit for an operator, which names at
most a key and never quotes a payload.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from core.nodes import (
    NUMBER_MAX,
    UNTEXT,
    Node,
    decode_yaml,
    load_yaml,
    nearest,
    nearest_word,
    read_file,
    read_yaml,
)

__all__ = [
    "Json",
    "Malformed",
    "Node",
    "decode_yaml",
    "dump_json",
    "load_json",
    "load_yaml",
    "nearest",
    "nearest_word",
    "read_file",
    "read_yaml",
]

#: dicts, lists, str, int, Decimal, bool, None. Never a float.
Json = Any

JSON_DEPTH_MAX = 64


class Malformed(ValueError):
    """Not JSON we accept. The message is safe to show and to store."""


# ---------------------------------------------------------------- JSON in

_ONLY_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
#: Escapes that may hide half a character or a NUL, which no database takes as text.
_SUSPECT = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")


def load_json(data: bytes, *, depth_max: int = JSON_DEPTH_MAX) -> Json:
    """Decode one JSON document exactly, or raise Malformed.

    The standard library's scanner with two hooks. orjson is faster, but turns 1.10
    and 20-digit ids into floats and lets the last duplicate key win; with guards
    against all three it took 22 us where this takes 30 (1.5 kB order without
    fractions), and 48 where this takes 33 (with them). So: one path, always exact.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"not valid UTF-8 at byte {error.start}") from None
    text = text.removeprefix("\ufeff")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(_not_json(text, error)) from None
    except RecursionError:
        raise Malformed(f"nested deeper than {depth_max} levels") from None
    except Malformed:
        raise
    except ValueError:
        raise Malformed("a number with more than 4300 digits") from None
    if not _surely_shallow(data, depth_max):
        _check_depth(value, depth_max)
    if b"\\u" in data and _SUSPECT.search(data):
        _check_text(value)
    return value


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise Malformed(f"key {key[:60]!r} appears twice in one object")
    return result


def _fraction(text: str) -> Decimal:
    if len(text) > NUMBER_MAX:
        raise Malformed(f"a number with more than {NUMBER_MAX} characters")
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of many digits
        raise Malformed("a number beyond any real value") from None
    if not -NUMBER_MAX < number.adjusted() < NUMBER_MAX // 2:
        raise Malformed("a number beyond any real value")
    return number


def _constant(name: str) -> Json:
    raise Malformed(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_fraction, parse_constant=_constant
)


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    start = text.lstrip()[:1]
    if not start:
        return "empty where JSON was due"
    if start == "<":
        return "HTML instead of JSON"
    return f"not JSON: {error.msg.lower()} at line {error.lineno} column {error.colno}"


def _surely_shallow(data: bytes, depth_max: int) -> bool:
    """Peel innermost bracket pairs at C speed: each round removes one or two levels.

    Brackets inside strings only make it unsure, never wrong: then the tree is walked.
    """
    brackets = data.translate(None, _ONLY_BRACKETS)
    for _ in range(depth_max // 2):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets


def _check_depth(value: Json, depth_max: int) -> None:
    level = [value]
    for _ in range(depth_max):
        level = [
            child
            for parent in level
            if type(parent) in (dict, list)
            for child in (parent.values() if type(parent) is dict else parent)
        ]
        if not level:
            return
    if any(type(child) in (dict, list) for child in level):
        raise Malformed(f"nested deeper than {depth_max} levels")


def _check_text(value: Json) -> None:
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if type(here) is dict:
            waiting += [*here, *here.values()]
        elif type(here) is list:
            waiting += here
        elif type(here) is str and UNTEXT.search(here):
            raise Malformed("text with a NUL or half a character (a lone surrogate)")


# ---------------------------------------------------------------- JSON out


def dump_json(value: Json, *, canonical: bool = False) -> bytes:
    """Encode; a Decimal becomes a JSON number digit for digit. `canonical` sorts the keys,
    so that equal documents hash equally."""
    option = orjson.OPT_SORT_KEYS if canonical else 0
    try:
        return orjson.dumps(value, default=_encode, option=option)
    except orjson.JSONEncodeError as error:
        if "64-bit" not in str(error):
            raise
        return orjson.dumps(_widened(value), default=_encode, option=option)


def _widened(value: Json) -> Json:
    """Whole numbers beyond 64 bits, which orjson has no word for, as their digits."""
    if type(value) is dict:
        return {key: _widened(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return [_widened(each) for each in value]
    if type(value) is int and not -(2**63) <= value < 2**64:
        return orjson.Fragment(str(value))
    return value


def _encode(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no JSON form here")
