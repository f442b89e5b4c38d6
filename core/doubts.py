"""Stop 7: numbers of stock that can hardly be true are asked about, not applied (S38, H13).

Each raises a Hold: its record waits, and the number in force stays. One cause and
system is one exception, whatever the number of SKUs. It ends when a person says
that it is true (`truecount accept`), or by itself with the next likely number of
the same object (`readings.supersede`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from core import ledger, plausible
from core.clock import stamp
from core.errors import Hold
from core.model import StockReading
from core.store.schema import falls, seen
from core.store.schema import stock as stock_table
from core.work import Work

#: Causes of numbers that a person may believe.
IMPLAUSIBLE = "implausible:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """How a number came. `accepted`: a person says that it is true."""

    began_at: datetime
    item: str = ""  # the owner's object it was read from
    in_pass: bool = False
    accepted: bool = False


def ask_if_unlikely(
    work: Work,
    system: str,
    sku: str,
    old: ledger.Reading | None,
    new: ledger.Reading,
    came: Came,
) -> None:
    """Raises Hold where the number can hardly be true and nobody has said that it is (S38)."""
    if came.accepted:
        return
    source, limits = work.network.sources[system], work.network.limits_of(system)
    before = ledger.supply_of(old, source) if old is not None else None
    after = ledger.supply_of(new, source)
    doubt = plausible.doubt(before, after, limits)
    if doubt is not None:
        raise Hold(
            f"{system} {doubt.words} (the first was {sku})",
            cause=f"{IMPLAUSIBLE}{doubt.cause}:{system}",
            next_step=_ACCEPT,
        )
    if came.in_pass and before is not None and before > 0 >= after:
        _fall(work, system, came.began_at, limits)


_ACCEPT = (
    "If it is true: `truecount accept ID`. The next likely number of the same object closes"
    " this by itself; until then the last one stays in force."
)


def _fall(work: Work, system: str, pass_began_at: datetime, limits: plausible.Limits) -> None:
    """Count a SKU that this pass brings to zero. The first are believed, a landslide is not."""
    began = stamp(pass_began_at)
    row = work.connection.execute(
        select(falls).where(falls.c.system == system, falls.c.pass_began_at == began)
    ).one_or_none()
    fell = 1 + (row.fell if row is not None else 0)
    known = row.known if row is not None else _with_units(work, system)
    if limits.too_many_gone(fell, known):
        raise Hold(
            f"{system} says in one pass that more than {fell - 1} of {known} SKUs have no units",
            cause=f"{IMPLAUSIBLE}zeros:{system}",
            next_step=_ACCEPT,
        )
    values: dict[str, Any] = {"pass_began_at": began, "fell": fell, "known": known}
    work.connection.execute(
        insert(falls)
        .values(system=system, **values)
        .on_conflict_do_update(index_elements=["system"], set_=values)
    )


def _with_units(work: Work, system: str) -> int:
    own = or_(stock_table.c.on_hand > 0, stock_table.c.available > 0)
    statement = select(func.count()).where(stock_table.c.system == system, own)
    return int(work.connection.execute(statement).scalar_one())


def refuse_two_rows(
    work: Work, system: str, reading: StockReading, known: Row[Any] | None, came: Came
) -> None:
    """Two objects of one pass for one SKU at one place: each would undo the other for ever.

    An object that was deleted and made anew (H48) is none: the pass no longer shows the old.
    """
    if known is None or not known.item or not came.item or known.item == came.item:
        return
    if not work.network.sources[system].snapshot:
        return  # a list of changes does not say what else is there
    shown = work.connection.execute(
        select(seen.c.external_id).where(
            seen.c.system == system,
            seen.c.resource == "stock_reading",
            seen.c.external_id == known.item,
            seen.c.missing_since.is_(None),
            seen.c.pass_began_at >= stamp(came.began_at),
        )
    ).one_or_none()
    if shown is not None:
        raise Hold(
            f"{system} has two rows for {reading.sku} at {reading.place}, {known.item} and"
            f" {came.item}",
            cause=f"two_rows:{system}",
            next_step="If one of them is not for sale, map its `status`; or put its place under"
            " `ignore_places:`.",
        )


def reset(system: str, reading: StockReading, old: ledger.Reading | None) -> Hold:
    counter = old.counter if old else None
    return Hold(
        f"the stock counter of {system} for {reading.sku} fell from {counter} to {reading.counter}",
        cause=f"counter_reset:{system}",
        next_step="If the warehouse was reinstalled, say so: `truecount accept ID`.",
    )
