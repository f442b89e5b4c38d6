"""Movements of stock that are not inside a number yet, and what of the counting is known.

A source that counts its movements without a hole tells us when one is lost: the
counters we know are runs, and two runs have a hole between them. Then the owner
is read from the beginning, and the hole is read over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from core import holds, ledger
from core.clock import stamp, unstamp
from core.cursors import sweep_now
from core.model import StockMovement
from core.store.hot import Hot
from core.store.schema import movement_runs, movements, stock
from core.work import Work

GAP = "movement_gap:"


def keep(work: Work, system: str, location: str, movement: StockMovement) -> bool:
    """Remember one that is later than the number in force. False: it is known (G3)."""
    statement = insert(movements).values(
        system=system,
        key=movement.key,
        sku=movement.sku,
        location=location,
        units=movement.units,
        counter=movement.counter,
        as_of=stamp(movement.as_of) if movement.as_of else None,
        seen_at=stamp(work.now),
    )
    return bool(work.connection.execute(statement.on_conflict_do_nothing()).rowcount)


def follow(
    work: Work, system: str, sku: str, location: str, reading: ledger.Reading
) -> ledger.Reading:
    """The reading with the movements after it; those that are inside it are forgotten."""
    source = work.network.sources[system]
    rows = _OF_SKU(work.connection, system=system, sku=sku, location=location).all()
    unbroken = None
    if source.gapless and reading.counter is not None:
        unbroken = unbroken_from(runs_of(work, system), reading.counter)
    elif not rows:
        return reading
    after, kept = ledger.follow(
        reading, [_as_movement(row) for row in rows], source, unbroken=unbroken
    )
    inside = [row.key for row in rows if _as_movement(row) not in kept]
    if inside:
        work.connection.execute(
            delete(movements).where(movements.c.system == system, movements.c.key.in_(inside))
        )
    return after


def unmoved(reading: ledger.Reading, source: ledger.Source, runs: Iterable[Run]) -> ledger.Reading:
    """The same where no movement of it is kept: counting may go on from it all the same."""
    if not source.gapless or reading.counter is None:
        return reading
    unbroken = unbroken_from(runs, reading.counter)
    return ledger.follow(reading, (), source, unbroken=unbroken)[0]


_OF_SKU = Hot(
    select(movements).where(
        movements.c.sku == bindparam("sku"),
        movements.c.location == bindparam("location"),
        movements.c.system == bindparam("system"),
    )
)


def _as_movement(row: Row[Any]) -> ledger.Movement:
    return ledger.Movement(
        units=row.units,
        counter=row.counter,
        as_of=unstamp(row.as_of) if row.as_of else None,
        seen_at=unstamp(row.seen_at),
    )


# ------------------------------------------------------------------ counted without a hole


@dataclass(frozen=True, slots=True)
class Run:
    """Counters first to last, all known."""

    first: int
    last: int


def runs_of(work: Work, system: str) -> list[Run]:
    """One, nearly always: each further one is a hole that was not read over yet."""
    rows = work.connection.execute(
        select(movement_runs.c.first, movement_runs.c.last)
        .where(movement_runs.c.system == system)
        .order_by(movement_runs.c.first)
    )
    return [Run(row.first, row.last) for row in rows]


def unbroken_from(runs: Iterable[Run], counter: int) -> int:
    """How far counting goes on from here without a hole."""
    for run in runs:
        if run.first <= counter + 1 <= run.last + 1:
            return max(counter, run.last)
    return counter


def is_whole(work: Work, system: str, counter: int) -> bool:
    """Everything the source ever counted, up to this one, is known."""
    return any(run.first <= 1 and run.last >= counter for run in runs_of(work, system))


def count(work: Work, system: str, counter: int) -> None:
    """This one is known now. A new hole asks for a read from the beginning, and says so."""
    runs = runs_of(work, system)
    if any(run.first <= counter <= run.last for run in runs):
        return
    beside = [run for run in runs if counter in (run.first - 1, run.last + 1)]
    if beside:
        _forget(work, system, beside)
    first = min([counter, *(run.first for run in beside)])
    last = max([counter, *(run.last for run in beside)])
    work.connection.execute(insert(movement_runs).values(system=system, first=first, last=last))
    if not beside:  # a hole, or the very first: what was read before it ends somewhere below it
        sweep_now(work.connection, system, "stock_reading", work.now, full=True)
    _say(work, system)


def read_over(work: Work, system: str) -> None:
    """Every number in force is later than some holes by now: they matter no more."""
    lowest = work.connection.execute(
        select(func.min(stock.c.counter)).where(stock.c.system == system)
    ).scalar_one()
    below = [run for run in runs_of(work, system) if lowest is not None and run.last < lowest]
    if below:
        _forget(work, system, below)
        _say(work, system)


def forget(work: Work, system: str) -> None:
    """The source counts from the start again (H13)."""
    for table in (movement_runs, movements):
        work.connection.execute(delete(table).where(table.c.system == system))
    _say(work, system)


def _forget(work: Work, system: str, runs: list[Run]) -> None:
    work.connection.execute(
        delete(movement_runs).where(
            movement_runs.c.system == system, movement_runs.c.first.in_([r.first for r in runs])
        )
    )


def _say(work: Work, system: str) -> None:
    runs = runs_of(work, system)
    if len(runs) < 2:
        holds.close_member(work, "system", f"{system} movements", keep=())
        return
    lost = f"{runs[-2].last + 1} to {runs[-1].first - 1}"
    holds.open_hold(
        work,
        cause=f"{GAP}{system}",
        system=system,
        reason=f"{system} counts its movements, and {lost} never came",
        next_step="All of its stock is read again; this closes when that is done.",
        member="system",
        ref=f"{system} movements",
        label=f"movements {lost} of {system}",
    )
