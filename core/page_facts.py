"""Stop 7, asked: all that the state says of what one page of readings names.

A handful of statements for the page instead of a dozen for each row. Nothing is
decided here but one thing: where a number alone does not say what follows from it
(a claim may end, somebody waits for units, an exception may close), its row is
not `plain`, and is decided by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, bindparam, func, literal_column, select

from core import ledger, movements, stock
from core.items import spelling
from core.readings import Known
from core.store.hot import HotList
from core.store.schema import claims, copies, hold_members, items, lines, oversold, spellings
from core.store.schema import holds as holds_table
from core.store.schema import inbox as inbox_table
from core.store.schema import movements as movements_table
from core.store.schema import stock as stock_table
from core.unsold import NOT_FOR_SALE
from core.work import Work

#: An item that is in more kits than this is decided by itself: so many numbers change with it.
KITS_MAX = 20


@dataclass(slots=True)
class Facts:
    """Of the SKUs of a page and of the kits they are in; of its objects; of its inbox rows."""

    numbers: dict[str, dict[str, Known]] = field(default_factory=dict)  # by SKU and location
    claimed: dict[str, dict[str, int]] = field(default_factory=dict)  # what no reading can end
    involved: set[str] = field(default_factory=set)  # SKUs of which more than that is open
    touched: set[str] = field(default_factory=set)  # SKUs that are not as they were asked of
    named: set[str] = field(default_factory=set)  # SKUs their owner has named before
    alike: set[str] = field(default_factory=set)  # new ones, and somebody spells them otherwise
    objects: set[str] = field(default_factory=set)  # held, or not for sale until now
    held: set[str] = field(default_factory=set)  # inbox rows that are members of an exception
    runs: Sequence[movements.Run] = ()

    def is_open(self, sku: str, item: str) -> bool:
        """Is what was asked of them true still, and is nothing there that the sight of it ends?"""
        if not item or item in self.objects:
            return False
        return sku not in self.touched and sku not in self.alike

    def is_plain(self, work: Work, sku: str, location: str, after: Known) -> bool:
        """With this number, nothing more follows for the item, or for a kit it is in."""
        with_it = {**self.numbers.get(sku, {}), location: after}
        if not self._is_plain(work, sku, with_it):
            return False
        kits = work.network.items.used_by(sku)
        return all(self._is_plain(work, kit, self.numbers.get(kit, {})) for kit in kits)

    def _is_plain(self, work: Work, sku: str, numbers: Mapping[str, Known]) -> bool:
        """No number is below zero, and all that is promised of each is there."""
        if sku in self.involved or sku in self.touched:
            return False
        if any(_is_below_zero(known.reading) for known in numbers.values()):
            return False
        for location, units in self.claimed.get(sku, {}).items():
            known = numbers.get(location)
            if known is None:
                return False
            if units > ledger.supply_of(known.reading, work.network.source_of(location)):
                return False
        return True


def ask(
    work: Work, system: str, *, skus: Collection[str], objects: Collection[str], seqs: Iterable[int]
) -> Facts:
    """`skus` are those whose numbers may change; none where this system owns none of them."""
    facts = Facts(held={row.ref for row in _HELD_ROWS(work.connection, map(str, seqs))})
    if not skus:
        return facts
    wanted = _with_kits(work, facts, skus)
    for row in _NUMBERS(work.connection, wanted):
        facts.numbers.setdefault(row.sku, {})[row.location] = Known.of(row)
    _ask_of_claims(work, facts, wanted)
    for question in (_SHORT, _OVERSOLD, _MOVING):
        facts.involved.update(row.sku for row in question(work.connection, wanted))
    for question in (_HELD_OBJECTS, _UNSOLD):
        facts.objects.update(row.item for row in question(work.connection, objects, system=system))
    facts.named.update(row.sku for row in _NAMED(work.connection, wanted))
    _ask_of_new(work, facts, [sku for sku in skus if sku not in facts.named])
    if work.network.sources[system].gapless:
        facts.runs = movements.runs_of(work, system)
    return facts


def _with_kits(work: Work, facts: Facts, skus: Iterable[str]) -> list[str]:
    wanted = dict.fromkeys(skus)
    for sku in list(wanted):
        kits = work.network.items.used_by(sku)
        if len(kits) > KITS_MAX:
            facts.involved.add(sku)
        else:
            wanted |= dict.fromkeys(kits)
    return list(wanted)


def _is_below_zero(reading: ledger.Reading) -> bool:
    return (reading.on_hand or 0) < 0 or (reading.available or 0) < 0


def _ask_of_claims(work: Work, facts: Facts, skus: Sequence[str]) -> None:
    """What is open and has not left is no reading's to end: a sum. Any other claim may be."""
    for row in _CLAIMS(work.connection, skus):
        is_ours = row.location in work.network.locations  # it may have left the configuration
        if is_ours and row.waits:
            facts.claimed.setdefault(row.sku, {})[row.location] = int(row.units)
        else:
            facts.involved.add(row.sku)


def _ask_of_new(work: Work, facts: Facts, new: Sequence[str]) -> None:
    """A first sight frees whoever waits for it, and shows those that are spelled alike."""
    if not new:
        return
    causes = [f"{what}{sku}" for sku in new for what in (stock.UNKNOWN, stock.UNKNOWN_COMPONENT)]
    for row in _OPEN_CAUSES(work.connection, causes):
        facts.involved.add(row.cause.partition(":")[2])
    spelled: dict[str, set[str]] = {}
    for sku in new:
        spelled.setdefault(spelling(sku), set()).add(sku)
    for row in _SPELLED(work.connection, list(spelled)):
        spelled[row.spelling].add(row.sku)
    facts.alike.update(sku for group in spelled.values() if len(group) > 1 for sku in group)


# ------------------------------------------------------------------ the questions

_NUMBERS = HotList(lambda skus: select(stock_table).where(stock_table.c.sku.in_(skus)))
_WAITS = and_(claims.c.state == literal_column("'open'"), claims.c.shipped_seen_at.is_(None))
_CLAIMS = HotList(
    lambda skus: (
        select(
            claims.c.sku,
            claims.c.location,
            _WAITS.label("waits"),
            func.sum(claims.c.units).label("units"),
        )
        .where(
            claims.c.sku.in_(skus),
            claims.c.state.in_([literal_column(f"'{state}'") for state in stock.LIVE]),
        )
        .group_by(claims.c.sku, claims.c.location, _WAITS)
    )
)
_SHORT = HotList(lambda skus: select(lines.c.sku).where(lines.c.sku.in_(skus), stock.IS_SHORT))
_OVERSOLD = HotList(lambda skus: select(oversold.c.sku).where(oversold.c.sku.in_(skus)))
_MOVING = HotList(lambda skus: select(movements_table.c.sku).where(movements_table.c.sku.in_(skus)))
_NAMED = HotList(lambda skus: select(items.c.sku).where(items.c.sku.in_(skus)))
_SPELLED = HotList(lambda words: select(spellings).where(spellings.c.spelling.in_(words)))
_OPEN_CAUSES = HotList(
    lambda causes: select(holds_table.c.cause).where(
        holds_table.c.cause.in_(causes), holds_table.c.closed_at.is_(None)
    )
)
_HELD_ROWS = HotList(
    lambda refs: select(hold_members.c.ref).where(
        hold_members.c.member == literal_column("'inbox'"),
        hold_members.c.ref.in_(refs),
        hold_members.c.closed_at.is_(None),
    )
)
_HELD_OBJECTS = HotList(
    lambda objects: select(inbox_table.c.external_id.label("item")).where(
        inbox_table.c.state == literal_column("'held'"),
        inbox_table.c.system == bindparam("system"),
        inbox_table.c.resource == literal_column("'stock_reading'"),
        inbox_table.c.external_id.in_(objects),
    )
)
_UNSOLD = HotList(
    lambda objects: select(copies.c.place.label("item")).where(
        copies.c.system == bindparam("system"),
        copies.c.number == literal_column(f"'{NOT_FOR_SALE}'"),
        copies.c.place.in_(objects),
    )
)
