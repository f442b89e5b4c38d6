"""Stop 7: numbers of stock that can hardly be true are asked about, not applied (S38, H13).

Each raises a Hold: its record waits, and the number in force stays. One cause and
system is one exception, whatever the number of SKUs. It ends when a person says
that it is true (`truecount accept`), or by itself with the next likely number of
the same object (`readings.supersede`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import func, or_, select
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
    if is_fall(work, system, sku, old, new, came):
        _fall(work, system, came.began_at)


def is_fall(
    work: Work,
    system: str,
    sku: str,
    old: ledger.Reading | None,
    new: ledger.Reading,
    came: Came,
) -> bool:
    """Does its pass bring this SKU to zero? Raises Hold where the number itself is unlikely."""
    if came.accepted:
        return False
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
    return came.in_pass and plausible.falls(before, after)


_ACCEPT = (
    "If it is true: `truecount accept ID`. The next likely number of the same object closes"
    " this by itself; until then the last one stays in force."
)


def _fall(work: Work, system: str, pass_began_at: datetime) -> None:
    """Count a SKU that this pass brings to zero. The first are believed, a landslide is not."""
    began, limits = stamp(pass_began_at), work.network.limits_of(system)
    so_far = fallen(work, system, began) or Fallen(began, 0, _with_units(work, system))
    more = so_far.and_one()
    if limits.too_many_gone(more.fell, more.known):
        raise Hold(
            f"{system} says in one pass that more than {so_far.fell} of {so_far.known} SKUs have"
            " no units",
            cause=f"{IMPLAUSIBLE}zeros:{system}",
            next_step=_ACCEPT,
        )
    count_fallen(work, system, more)


@dataclass(frozen=True, slots=True)
class Fallen:
    """How many SKUs one pass has brought to zero, of how many that had units at the first."""

    pass_began_at: str
    fell: int
    known: int

    def and_one(self) -> Fallen:
        return replace(self, fell=self.fell + 1)


def fallen(work: Work, system: str, pass_began_at: str) -> Fallen | None:
    row = work.connection.execute(
        select(falls).where(falls.c.system == system, falls.c.pass_began_at == pass_began_at)
    ).one_or_none()
    return Fallen(row.pass_began_at, row.fell, row.known) if row is not None else None


def count_fallen(work: Work, system: str, now: Fallen) -> None:
    values = asdict(now)
    work.connection.execute(
        insert(falls)
        .values(system=system, **values)
        .on_conflict_do_update(index_elements=["system"], set_=values)
    )


def _with_units(work: Work, system: str) -> int:
    own = or_(stock_table.c.on_hand > 0, stock_table.c.available > 0)
    statement = select(func.count()).where(stock_table.c.system == system, own)
    return int(work.connection.execute(statement).scalar_one())


def refuse_two_rows(work: Work, system: str, reading: StockReading, item: str, came: Came) -> None:
    """Two objects of one pass for one SKU at one place: each would undo the other for ever.

    `item` is the object of the number in force. One that was deleted and made anew (H48) is
    no second: the pass no longer shows the old.
    """
    if not are_two(item, came.item):
        return
    if not work.network.sources[system].snapshot:
        return  # a list of changes does not say what else is there
    shown = work.connection.execute(
        select(seen.c.external_id).where(
            seen.c.system == system,
            seen.c.resource == "stock_reading",
            seen.c.external_id == item,
            seen.c.missing_since.is_(None),
            seen.c.pass_began_at >= stamp(came.began_at),
        )
    ).one_or_none()
    if shown is not None:
        raise Hold(
            f"{system} has two rows for {reading.sku} at {reading.place}, {item} and {came.item}",
            cause=f"two_rows:{system}",
            next_step="If one of them is not for sale, map its `status`; or put its place under"
            " `ignore_places:`.",
        )


def are_two(item: str, other: str) -> bool:
    """Two objects of their owner; one without a name may be either."""
    return item != other and bool(item and other)


def reset(system: str, reading: StockReading, old: ledger.Reading | None) -> Hold:
    counter = old.counter if old else None
    return Hold(
        f"the stock counter of {system} for {reading.sku} fell from {counter} to {reading.counter}",
        cause=f"counter_reset:{system}",
        next_step="If the warehouse was reinstalled, say so: `truecount accept ID`.",
    )
