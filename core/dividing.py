"""Stop 6 as rows: how the pools of many items stand between their outlets, asked set by set.

The decisions are `core.escrow`'s, and what changes a single quota is in `core.quotas`;
here is the look at all of them that a decision needs, taken once for a whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, delete, insert, literal_column, or_, select

from core import escrow, pace, quotas, scarcity
from core.clock import stamp, unstamp
from core.escrow import Outlet, Quota
from core.pace import Paces
from core.quotas import Key, Sellable, key_of
from core.store import schema as s
from core.store.hot import Hot, HotList
from core.work import Work


class Limit(NamedTuple):
    """What an outlet may show at most by the offer rules, and whether its number may move.

    `beyond`: how many of these units are pre-orders, which no location has.
    """

    most: int
    direction: escrow.Direction
    beyond: int = 0


#: Of an outlet and its pool.
Limits = Callable[[Row[Any], int], Limit]
#: Where the pre-orders of an item lie: at no location.
PRE_ORDER = "pre-order of "

#: Asked again whether the orders are in, where the sweep has not yet answered.
DRAIN_RETRY = timedelta(seconds=2)
#: … and ever less often.
DRAIN_RETRY_MAX = timedelta(minutes=5)
#: Plans remembered for the other channels: those of a few batches.
PLANS_MAX = 2_000


@dataclass(slots=True)
class Division:
    """One item's outlets and what may be written to them now.

    `drained` are quotas that changed because their orders are in; `changes_mode` is
    True where the item is newly divided or newly shared. `numbers` is what may be sold of
    which item where, `pre_order` what it may be sold besides, from nowhere.
    """

    sku: str
    is_divided: bool
    outlets: Mapping[Key, Outlet]
    rows: Mapping[Key, Row[Any]]
    drained: Mapping[Key, Quota]
    writes: Mapping[Key, int]
    changes_mode: bool
    numbers: Mapping[tuple[str, str], int]
    pre_order: int

    def here(self, system: str) -> list[Key]:
        return [key for key in self.outlets if key[0] == system and self.rows[key].sku == self.sku]


#: The outlets and the numbers a plan was made for, and the plan.
_Made = tuple[Sequence[Outlet], Mapping[tuple[str, str], int], Mapping[Key, int]]


class Plans:
    """Plans made lately. One is for all outlets together, so it serves every channel of an item
    until anything else happens than that its own writes leave."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    def of(
        self, sku: str, outlets: Mapping[Key, Outlet], numbers: Mapping[tuple[str, str], int]
    ) -> Mapping[Key, int]:
        """What may be written now: as planned where it still holds, else planned anew."""
        made = self._made.get(sku)
        if made is not None and _still_hold(*made, list(outlets.values()), numbers):
            return made[2]
        planned = escrow.plan(list(outlets.values()), numbers)
        writes = {key: planned[key] for key in outlets if key in planned}
        self._made.pop(sku, None)
        self._made[sku] = (list(outlets.values()), numbers, writes)
        if len(self._made) > PLANS_MAX:
            del self._made[next(iter(self._made))]
        return writes


@dataclass(frozen=True, slots=True)
class Basis:
    """What a batch is computed from, beside its rows. `divisions`: found at this very state.

    `away` are the other channels that cannot be told anything just now.
    """

    sellable: Sellable
    plans: Plans
    divisions: dict[str, Division]
    away: frozenset[str] = frozenset()


def _still_hold(
    then: Sequence[Outlet],
    then_numbers: Mapping[tuple[str, str], int],
    writes: Mapping[Key, int],
    now: Sequence[Outlet],
    numbers: Mapping[tuple[str, str], int],
) -> bool:
    return (
        then_numbers == numbers
        and len(then) == len(now)
        and all(_holds(one, other, writes) for one, other in zip(then, now, strict=True))
    )


def _holds(then: Outlet, now: Outlet, writes: Mapping[Any, int]) -> bool:
    """It is as it was when the plan was made, or its write has left since."""
    if then == now:
        return True
    quantity = writes.get(then.key)
    if quantity is None or then.key != now.key:
        return False
    return now == replace(then, quota=escrow.intended(then.quota, then.write, quantity))


class Look:
    """One look at many items, in one transaction: one question for all of them, not one each."""

    def __init__(self, work: Work, skus: Collection[str], basis: Basis, limits: Limits) -> None:
        self._work = work
        self._plans = basis.plans
        self._sellable = basis.sellable
        self._away = basis.away
        self._limits = limits
        self._rows: dict[str, list[Row[Any]]] = {}
        self._serving: dict[tuple[str, str], frozenset[str]] = {}
        self._pools: dict[tuple[str, frozenset[str]], int] = {}
        self._until: dict[str, datetime | None] = {}
        self._beyond: dict[str, int] = {}
        together = frozenset[str]().union(*map(work.network.family, skus))
        for row in _OUTLETS(work.connection, sorted(together)):
            self._rows.setdefault(row.sku, []).append(row)
        self._paces = Paces.of(work, together)
        self._divided = quotas.divided(work.connection, skus)

    def division_of(self, sku: str) -> Division:
        """How the pool of one item stands between all its outlets, and what may be written now."""
        family = self._work.network.family(sku)
        own = (row for one in family for row in self._rows.get(one, ()))
        rows = {key_of(row): row for row in sorted(own, key=key_of)}
        drained: dict[Key, Quota] = {}
        outlets: dict[Key, Outlet] = {}
        for key, row in rows.items():
            quota = _quota_of(row)
            if self._is_drained(key[0], quota):
                quota = drained[key] = escrow.drained(quota)
            outlet = self._outlet(key, row, quota)
            if outlet is not None:
                outlets[key] = outlet
        was = sku in self._divided
        is_now = self._is_divided(sku, outlets, rows, divided=was)
        if is_now and self._work.network.publication_of(sku) == "adaptive":
            outlets = self._with_sharing(sku, outlets, rows)
        numbers = self._numbers(outlets.values())
        writes = self._plans.of(sku, outlets, numbers) if is_now else {}
        return Division(
            sku=sku,
            is_divided=is_now,
            outlets=outlets,
            rows=rows,
            drained=drained,
            writes=writes,
            changes_mode=was != is_now,
            numbers=numbers,
            pre_order=self._beyond.get(sku, 0),
        )

    # -------------------------------------------------------------- outlets

    def _outlet(self, key: Key, row: Row[Any], quota: Quota) -> Outlet | None:
        network = self._work.network
        write, serves = network.stock_writes.get(row.system), self._serves(row.system, row.place)
        if write is None or not serves:
            return None
        needs, pool = network.needs(row.sku), self._pool_of(row.sku, serves)
        most, direction, beyond = self._limits(row, pool) if row.active else Limit(0, "free")
        if beyond:
            serves |= {PRE_ORDER + row.sku}
            self._beyond[row.sku] = max(beyond, self._beyond.get(row.sku, 0))
        if row.system in self._away:
            direction = "frozen"  # no cut reaches it, and no raise
        return Outlet(
            key=key,
            write=write.kind,
            serves=serves,
            needs=needs,
            quota=quota,
            weight=Fraction(self._paces.weight(row.system, row.sku)),
            most=most,
            direction=direction,
            drain=self._paces.pace(row.system, row.sku).drain,
        )

    def _serves(self, system: str, place: str) -> frozenset[str]:
        known = self._serving.get((system, place))
        if known is None:
            known = frozenset(self._work.network.serving_place(system, place))
            self._serving[system, place] = known
        return known

    def _pool_of(self, sku: str, locations: frozenset[str]) -> int:
        known = self._pools.get((sku, locations))
        if known is None:
            needs = self._work.network.needs(sku)
            known = sum(quotas.sets(needs, location, self._sellable) for location in locations)
            self._pools[sku, locations] = known
        return known

    def _numbers(self, outlets: Iterable[Outlet]) -> dict[tuple[str, str], int]:
        return {
            (item, location): self._units(item, factor, location)
            for outlet in outlets
            for item, factor in outlet.needs.items()
            for location in outlet.serves
        }

    def _units(self, item: str, factor: int, location: str) -> int:
        ordered_before = location.removeprefix(PRE_ORDER)
        if ordered_before != location:
            return self._beyond[ordered_before] * factor
        return self._sellable(item, location)

    # -------------------------------------------------------------- divided or shared

    def _is_divided(
        self,
        sku: str,
        outlets: Mapping[Key, Outlet],
        rows: Mapping[Key, Row[Any]],
        *,
        divided: bool,
    ) -> bool:
        policy = self._work.network.publication_of(sku)
        if policy != "adaptive":
            return policy == "split"
        pool, own = self._drawing(sku, outlets)
        paces = [self._paces.pace(rows[key].system, rows[key].sku) for key in own]
        return scarcity.scarce(pool, paces, divided=divided)

    def _drawing(self, sku: str, outlets: Mapping[Key, Outlet]) -> tuple[int, list[Key]]:
        """The pool of an item, and the outlets that draw on it."""
        needs = self._work.network.needs(sku)
        own = [key for key, one in outlets.items() if one.needs.keys() & needs.keys()]
        places = frozenset[str]().union(*(outlets[key].serves for key in own))
        return self._pool_of(sku, places.intersection(self._work.network.locations)), own

    def _with_sharing(
        self, sku: str, outlets: Mapping[Key, Outlet], rows: Mapping[Key, Row[Any]]
    ) -> dict[Key, Outlet]:
        """`adaptive`: those whose sales are seen at once share what is left."""
        pool, own = self._drawing(sku, outlets)
        paces = {key: self._paces.pace(rows[key].system, rows[key].sku) for key in own}
        here = {key: pace for key, pace in paces.items() if key[0] not in self._away}
        risks = scarcity.sharing(here, pool)
        for key in paces.keys() - here.keys():
            silent_s = self._silent_s(key[0])
            risks[key] = replace(paces[key], seen_after_s=silent_s).at_most
        return {key: replace(one, risk=risks.get(key)) for key, one in outlets.items()}

    def _silent_s(self, system: str) -> float:
        """Since when we know nothing of a channel that is away."""
        began = self._complete_until(system)
        return pace.DELAY_MAX_S if began is None else (self._work.now - began).total_seconds()

    # -------------------------------------------------------------- drained

    def _is_drained(self, system: str, quota: Quota) -> bool:
        """Whether its orders are in, where that tells anything: mostly nothing was open."""
        write = self._work.network.stock_writes.get(system)
        if quota.anchor_at is None or write is None or not _tells(quota):
            return False
        began = self._complete_until(system)
        return began is not None and began >= quota.anchor_at + timedelta(seconds=write.settle_s)

    def _complete_until(self, system: str) -> datetime | None:
        """When the last complete pass over its orders began, if all it found is captured."""
        if system not in self._until:
            began = _COMPLETE_UNTIL(self._work.connection, system=system).scalar_one_or_none()
            self._until[system] = unstamp(began) if began else None
        return self._until[system]


def _tells(quota: Quota) -> bool:
    if quota.ceiling is None or quota.shown is None or quota.anchor is None:
        return True
    return quota.ceiling > min(quota.shown, quota.anchor)


def _quota_of(row: Row[Any]) -> Quota:
    """What is kept; else what we last knew it to show, as an anchor that has yet to drain."""
    if row.pending is not None:
        return quotas.as_quota(row)
    shown, at = (row.acked, row.acked_at) if row.acked is not None else (row.read, row.read_at)
    if shown is None or at is None:
        return Quota()
    return Quota(shown=shown, anchor=shown, anchor_at=unstamp(at))


# ------------------------------------------------------------------ what follows from a look


def begin(work: Work, division: Division) -> None:
    """Keep what this look at the pool found out: drained orders, and the mode."""
    for key, quota in division.drained.items():
        row = division.rows[key]
        quotas.save(work.connection, key, row.sku, quota)
        work.sku_changed(row.sku, "drained")
        if row.anchor_at:
            awaited = (work.now - unstamp(row.anchor_at)).total_seconds()
            pace.delayed(work.connection, row.system, "drained", awaited, work.now)
    if division.changes_mode:
        if division.is_divided:
            work.connection.execute(
                insert(s.divided).values(sku=division.sku, since=stamp(work.now))
            )
        else:
            work.connection.execute(delete(s.divided).where(s.divided.c.sku == division.sku))
        work.sku_changed(division.sku, "divided" if division.is_divided else "shared")


def waits_until(
    work: Work, system: str, division: Division, known: Mapping[Key, Quota]
) -> datetime | None:
    """When to look again at an outlet whose drain would free units; None if there is none.

    `known`: the quotas of this channel as they are kept now.
    """
    settle = timedelta(seconds=work.network.stock_writes[system].settle_s)
    due: list[datetime] = []
    for key in division.here(system):
        quota = known.get(key) or division.outlets[key].quota
        if quota.anchor is None or quota.anchor_at is None:
            continue
        if quota.ceiling is None or quota.ceiling > quota.anchor:
            # An order that is held may be held for days: it is not waited for every two seconds.
            patience = min(max(DRAIN_RETRY, (work.now - quota.anchor_at) / 8), DRAIN_RETRY_MAX)
            due.append(max(quota.anchor_at + settle, work.now) + patience)
    return min(due, default=None)


# ------------------------------------------------------------------ rows


def _same_outlet(table: Any) -> Any:
    return (
        (table.c.system == s.listings.c.system)
        & (table.c.listing == s.listings.c.listing)
        & (table.c.place == s.listings.c.place)
    )


#: The listings of items, with what is kept of each. Delisted ones too: their orders may still come.
_OUTLETS = HotList(
    lambda skus: (
        select(
            s.listings.c.system,
            s.listings.c.listing,
            s.listings.c.place,
            s.listings.c.sku,
            s.listings.c.extras,
            s.listings.c.active,
            s.listings.c.shown.label("read"),
            s.listings.c.shown_at.label("read_at"),
            s.quotas.c.shown,
            s.quotas.c.ceiling,
            s.quotas.c.pending,
            s.quotas.c.anchor,
            s.quotas.c.anchor_at,
            s.quotas.c.back_at,
            s.quotas.c.known_at,
            s.published.c.quantity.label("acked"),
            s.published.c.acked_at,
        )
        .outerjoin(s.quotas, _same_outlet(s.quotas))
        .outerjoin(s.published, _same_outlet(s.published))
        .where(
            s.listings.c.sku.in_(skus),
            or_(
                s.listings.c.active == literal_column("1"), s.quotas.c.ceiling > literal_column("0")
            ),
        )
    )
)

#: What is held may be a sale we could not read; it counts as not captured.
_COMPLETE_UNTIL = Hot(
    select(s.cursors.c.complete_began_at).where(
        s.cursors.c.system == bindparam("system"),
        s.cursors.c.resource == literal_column("'order'"),
        *(
            ~select(s.inbox.c.seq)
            .where(
                s.inbox.c.state == literal_column(f"'{state}'"),
                s.inbox.c.system == bindparam("system"),
                s.inbox.c.resource.in_([literal_column("''"), literal_column("'order'")]),
            )
            .exists()
            for state in ("pending", "held")
        ),
    )
)
