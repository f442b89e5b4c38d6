"""What systems that do not own a number say it is: kept, compared, never adopted (G5).

One row per system, number, key and place; the newest word replaces the one before.
A value here is an id, a count or a word of the model: never anything of a buyer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert

from core.clock import stamp
from core.store.hot import Hot
from core.store.schema import copies
from core.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One number, of what, where."""

    number: str
    key: str
    place: str = ""
    value: str


def keep_copy(
    work: Work, system: str, *, number: str, key: str, place: str = "", value: str
) -> str:
    """Returns what became of the record, one word."""
    return keep_copies(work, system, [Copy(number=number, key=key, place=place, value=value)])


def keep_copies(work: Work, system: str, said: Sequence[Copy]) -> str:
    """The same for a page of them, in one call of the driver."""
    at = stamp(work.now)
    _KEEP.many(
        work.connection,
        [
            {
                "system": system,
                "number": one.number,
                "key": one.key,
                "place": one.place,
                "value": one.value,
                "read_at": at,
            }
            for one in said
        ],
    )
    for number, times in Counter(one.number for one in said).items():
        work.count(f"copy.{number}", system, times)
    return "copy"


_COLUMNS = ("system", "number", "key", "place", "value", "read_at")
_NEW = insert(copies).values({name: bindparam(name) for name in _COLUMNS})
_KEEP = Hot(
    _NEW.on_conflict_do_update(
        index_elements=list(_COLUMNS[:4]),
        set_={name: _NEW.excluded[name] for name in _COLUMNS[4:]},
    )
)
