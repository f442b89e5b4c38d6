"""What a buyer wrote, found in a record, and blotted out of other people's words (T13, G20).

A system that refuses a document likes to quote it: "no such street: ...". Its
words go into rows, logs and screens, so what we sent of the buyer is taken out
of them first. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from core.model import Address

#: Shorter texts than this are no names; blotting "DE" would ruin every sentence.
LETTERS_MIN = 3
_OURS = frozenset({"country", "mask"})


def buyers_of(record: Any) -> list[str]:
    """Every text of every address in a record, and its e-mail; the longest first."""
    found: set[str] = set()
    _collect(record, found)
    return sorted((text for text in found if len(text) >= LETTERS_MIN), key=len, reverse=True)


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, Address):
        found |= {getattr(value, one.name) for one in fields(value) if one.name not in _OURS}
        found |= {word for text in (value.name, value.company) for word in text.split()}
    elif is_dataclass(value):
        for one in fields(value):
            if one.name == "email":
                found.add(getattr(value, one.name))
            else:
                _collect(getattr(value, one.name), found)
    elif isinstance(value, tuple):
        for member in value:
            _collect(member, found)


def blot(words: str, texts: Iterable[str]) -> str:
    """The words without these texts, whatever their case."""
    for text in texts:
        words = re.sub(re.escape(text), "***", words, flags=re.IGNORECASE)
    return words
