"""Stop 7 for a large list: readings that came together are taken up together (S28).

A row alone asks the state a dozen questions. Here a page asks them once
(`core.page_facts`); its rows are decided in their order, each over what the rows
before it changed, by the same functions; and what comes of them is written in a
few calls of the driver. The result is that of one row after another.

A row is not taken where more follows from it than its own number: claims may end,
somebody waits for units, it cannot be understood or believed. Whoever walks
through the page then writes what was decided before it, decides it alone, and
tells the page so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import Row

from core import aliases, doubts, inbox, ledger, movements, page_facts, readings, stock
from core.clock import stamp
from core.copies import Copy, keep_copies
from core.doubts import Came, Fallen
from core.errors import Hold, InvariantBroken
from core.model import StockReading
from core.readings import At, Doubted, Known
from core.steps import Steps
from core.understanding import BUGS, Understood
from core.unsold import copy_of
from core.work import Work

#: Rows of one page, decided in one transaction; the program does nothing else meanwhile.
PAGE = 256


def leading(rows: Sequence[Row[Any]]) -> int:
    """How many of these rows, from the first, are readings of one system."""
    if not rows:
        return 0
    system = rows[0].system
    return sum(1 for _ in takewhile(lambda row: row.system == system and _is_reading(row), rows))


def _is_reading(row: Row[Any]) -> bool:
    """As read from its owner, one object a row; also that there is none any more."""
    return row.resource == "stock_reading" and row.via in ("sweep", "fetch", inbox.ABSENCE)


def parts(understood: Sequence[Understood]) -> Iterable[Sequence[Understood]]:
    """All rows in their order; those that one page can hold are together."""
    start, rows = 0, [one.row for one in understood]
    while start < len(rows):
        count = max(1, leading(rows[start:]))
        yield understood[start : start + count]
        start += count


@dataclass(frozen=True, slots=True)
class _Said:
    """One row in our words. `reading` is None where its mapping leaves it out."""

    reading: StockReading | None
    came: Came
    location: str | None = None
    owned: bool = False


@dataclass(frozen=True, slots=True)
class _Next:
    """What one row changes: its number, and how many its pass has brought to zero."""

    at: At
    new: ledger.Reading
    doubted: Doubted
    after: Known
    fallen: Fallen | None


class Page:
    """Readings of one system that came one after another. `begin` makes a unit of deciding."""

    def __init__(self, begin: Callable[[], Work], rows: Sequence[Understood]) -> None:
        self._begin = begin
        self._work = begin()
        self._system = rows[0].row.system
        self._said = {one.row.seq: self._understood(one) for one in rows}
        self._gave_up = False
        self._fallen: Fallen | None = None
        self._facts = page_facts.Facts()
        self._begin_part()
        try:
            self._facts = self._asked()
        except BUGS:  # asked row by row, it holds the row that it fails for and no other
            self._gave_up = True

    def _begin_part(self) -> None:
        self._work = self._begin()
        self._taken: list[Understood] = []
        self._settled: list[inbox.Settled] = []
        self._columns: dict[tuple[str, str], dict[str, Any]] = {}
        self._new: list[str] = []
        self._copies: list[Copy] = []
        self._stale = 0
        self._has_fallen = False

    def _understood(self, one: Understood) -> _Said | None:
        if one.hold is not None or one.row.via == inbox.ABSENCE:
            return None
        came = readings.came_of(one.row)
        try:
            match [aliases.ours(self._work.network, self._system, it) for it in one.records]:
                case []:
                    return _Said(None, came)
                case [StockReading() as reading]:
                    return self._placed(reading, came)
        except (Hold, *BUGS):
            pass  # raised again, and held, when it is decided alone
        return None

    def _placed(self, reading: StockReading, came: Came) -> _Said:
        network = self._work.network
        location = readings.location_of(self._work, self._system, reading.place)
        owned = (
            location is not None
            and network.owners.may_write("on_hand", location, self._system)
            and not network.items.is_kit(reading.sku)
        )
        return _Said(reading, came, location, owned)

    def _asked(self) -> page_facts.Facts:
        owned = [said for said in self._said.values() if said is not None and said.owned]
        return page_facts.ask(
            self._work,
            self._system,
            skus=dict.fromkeys(said.reading.sku for said in owned if said.reading),
            objects=dict.fromkeys(said.came.item for said in owned),
            seqs=self._said,
        )

    # -------------------------------------------------------------- one row after another

    def takes(self, one: Understood) -> bool:
        """Decide this row, if nothing follows from it but its own number. Nothing is written."""
        said = self._said[one.row.seq]
        if self._gave_up or said is None or str(one.row.seq) in self._facts.held:
            return False
        try:
            word = self._take(said)
        except (Hold, InvariantBroken, *BUGS):
            return False
        if word is None:
            return False
        ignored = word in ("", "ignored", "stale")
        state, reason = ("ignored", word) if ignored else ("applied", "")
        self._settled.append(inbox.Settled(one.row.seq, state, one.mapping, reason))
        self._taken.append(one)
        return True

    def _take(self, said: _Said) -> str | None:
        """What becomes of it, one word; "" where nothing was said; None: it is not taken."""
        reading = said.reading
        if reading is None:
            return ""
        if said.location is None:
            return "ignored"
        if reading.lot:
            return None
        if not said.owned:
            self._copies.append(copy_of(self._work, self._system, reading))
            return "copy"
        return self._take_number(reading, said.location, said.came)

    def _take_number(self, reading: StockReading, location: str, came: Came) -> str | None:
        facts, source = self._facts, self._work.network.sources[self._system]
        known = facts.numbers.get(reading.sku, {}).get(location)
        if not source.sells(reading.status) or not facts.is_open(reading.sku, came.item):
            return None
        if known is not None and doubts.are_two(known.item, came.item):
            return None
        new = readings.said_by(reading, came)
        verdict = readings.verdict_on(new, known, source)
        if verdict == "stale":
            self._stale += 1
            return "stale"
        then = self._next(reading, location, came, new) if verdict != "reset" else None
        if then is None:
            return None
        self._follows(then)
        return "applied"

    def _next(
        self, reading: StockReading, location: str, came: Came, new: ledger.Reading
    ) -> _Next | None:
        """The number that comes into force, or None where more follows from it."""
        work, system, sku, facts = self._work, self._system, reading.sku, self._facts
        known, fallen = facts.numbers.get(sku, {}).get(location), self._fallen
        if doubts.is_fall(work, system, sku, known.reading if known else None, new, came):
            fallen = self._one_more(came)
            if fallen is None:
                return None
        new = movements.unmoved(new, work.network.sources[system], facts.runs)
        at = At(sku, location, came.item, reading.allocated)
        doubted = readings.doubted_of(work, system, known, new, lambda: self._elsewhere(at))
        after = Known.after(work, system, at, new, doubted)
        if not facts.is_plain(work, sku, location, after):
            return None
        return _Next(at, new, doubted, after, fallen)

    def _one_more(self, came: Came) -> Fallen | None:
        """None where its pass is asked about, or where it is the first: that one counts all
        numbers there are, also those that wait here to be written."""
        began, so_far = stamp(came.began_at), self._fallen
        if so_far is None or so_far.pass_began_at != began:
            so_far = doubts.fallen(self._work, self._system, began)
        if so_far is None:
            return None
        more = so_far.and_one()
        limits = self._work.network.limits_of(self._system)
        return None if limits.too_many_gone(more.fell, more.known) else more

    def _elsewhere(self, at: At) -> list[int]:
        source = self._work.network.sources[self._system]
        return [
            ledger.supply_of(known.reading, source)
            for location, known in self._facts.numbers.get(at.sku, {}).items()
            if location != at.location and known.system == self._system
        ]

    def _follows(self, then: _Next) -> None:
        """The rows after it see it, and it is among what `write` brings into force."""
        work, at = self._work, then.at
        columns = readings.columns_of(work, self._system, at, then.new, then.doubted)
        self._columns[at.sku, at.location] = columns
        readings.tell(work, self._system, at, then.new, then.doubted)
        self._has_fallen |= then.fallen is not self._fallen
        self._fallen = then.fallen
        self._facts.numbers.setdefault(at.sku, {})[at.location] = then.after
        if at.sku not in self._facts.named:
            self._facts.named.add(at.sku)
            self._new.append(at.sku)
        for sku in (at.sku, *work.network.items.used_by(at.sku)):
            work.changed.pop(sku, None)  # the last to change is the last in the feed
        work.sku_changed(at.sku, "stock")

    # -------------------------------------------------------------- written

    def write(self) -> tuple[Work, Steps, int] | None:
        """What was decided since the last time comes into force; how many rows that were."""
        if not self._settled:
            return None
        work, system = self._work, self._system
        readings.STORE.many(work.connection, list(self._columns.values()))
        if self._new:
            stock.know_items(work, system, self._new)
        if self._has_fallen and self._fallen is not None:
            doubts.count_fallen(work, system, self._fallen)
        if self._copies:
            keep_copies(work, system, self._copies)
        if self._stale:
            work.count("stock.stale", system, self._stale)
        inbox.settle_many(work.connection, self._settled, at=work.now)
        written = (work, work.finish(), len(self._settled))
        self._begin_part()
        return written

    def give_up(self) -> list[Understood]:
        """It could not be written: these rows, and all that follow, are decided alone."""
        self._gave_up = True
        rows = self._taken
        self._begin_part()
        return rows

    def was_decided(self, one: Understood, work: Work) -> None:
        """Alone, with more than its own number; what it may have changed is not asked again."""
        self._fallen = None
        said = self._said[one.row.seq]
        self._facts.touched.update(work.changed)
        if said is not None and said.reading is not None:
            self._facts.touched.add(said.reading.sku)
        self._facts.objects.add(one.row.external_id)
