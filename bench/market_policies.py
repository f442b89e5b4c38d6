"""The policies that are compared: what others do, and what `core.escrow` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from bench.market_engine import Market, Told
from bench.market_world import SKUS, at
from core import escrow, scarcity
from core.escrow import Outlet, Quota
from core.scarcity import Pace

FULL_S = 900.0  # "every 15 minutes"
LINGER_S = 0.2  # changes of one SKU are looked at together
PLACE = "main"


def item(sku: int) -> str:
    return f"sku {sku}"


@dataclass(slots=True)
class Passive:
    """What every policy may leave out."""

    market: Market

    def goods(self, sku: int, units: int) -> None: ...
    def pool_changed(self, sku: int) -> None: ...
    def captured(self, channel: int, sku: int) -> None: ...
    def next_offers(self, channel: int, limit: int) -> list[Told]:  # noqa: ARG002
        return []

    def answered(self, channel: int, told: Told, taken: bool, number: int | None) -> None: ...
    def lost(self, channel: int, told: Told) -> None: ...
    def not_sent(self, channel: int, told: Told) -> None: ...
    def swept(self, channel: int, until_s: float) -> None: ...
    def read(self, channel: int, sku: int, number: int) -> None: ...


@dataclass(slots=True)
class OwnStock(Passive):
    """Every channel its own stock: divided once, and again when goods come in."""

    def opening(self, sku: int) -> Sequence[int]:
        return self._parts(sku, self.market.seed.stock[sku])

    def goods(self, sku: int, units: int) -> None:
        for shop, part in zip(self.market.shops, self._parts(sku, units), strict=True):
            shop.numbers[sku] += part

    def _parts(self, sku: int, units: int) -> Sequence[int]:
        outlets = [
            Outlet(
                key=channel,
                write=shop.write,
                serves=frozenset((PLACE,)),
                needs={item(sku): 1},
                weight=Fraction(self.market.speed.weight(sku, channel, self.market.now_s)),
            )
            for channel, shop in enumerate(self.market.shops)
        ]
        found = escrow.divide(outlets, {(item(sku), PLACE): units})
        return [found[outlet.key] for outlet in outlets]


@dataclass(slots=True)
class Push(Passive):
    """Everybody is told the same number: `on_change` or every 15 minutes, of what was not
    claimed (`claims`) or of what lies on the shelf."""

    on_change: bool = True
    claims: bool = True
    dirty: list[dict[int, None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dirty = [{} for _ in self.market.shops]
        if not self.on_change:
            self.market.clock.later(FULL_S, self._everything)

    def opening(self, sku: int) -> Sequence[int]:
        return [self._number(sku)] * len(self.market.shops)

    def _number(self, sku: int) -> int:
        book = self.market.books[sku]
        return max(0, book.sellable if self.claims else book.reading.on_hand or 0)

    def _everything(self) -> None:
        for sku in range(SKUS):
            self._tell(sku)
        self.market.clock.later(self.market.now_s + FULL_S, self._everything)

    def pool_changed(self, sku: int) -> None:
        if self.on_change:
            self._tell(sku)

    def captured(self, channel: int, sku: int) -> None:  # noqa: ARG002
        if self.claims:
            self.pool_changed(sku)

    def _tell(self, sku: int) -> None:
        for channel in range(len(self.market.shops)):
            self.dirty[channel][sku] = None
            self.market.kick(channel)

    def next_offers(self, channel: int, limit: int) -> list[Told]:
        skus = list(self.dirty[channel])[:limit]
        for sku in skus:
            del self.dirty[channel][sku]
        return [Told(sku, self._number(sku)) for sku in skus]

    def not_sent(self, channel: int, told: Told) -> None:
        self.dirty[channel].setdefault(told.sku)

    def lost(self, channel: int, told: Told) -> None:
        self.not_sent(channel, told)
        self.market.kick(channel)


@dataclass(slots=True)
class Divided(Passive):
    """Escrow. `direct`: absolute channels are written like exact ones (the planted bug).
    `adaptive`: the pool is shared while it is not scarce; every ceiling is kept all the same."""

    direct: bool = False
    were: dict = field(default_factory=dict)
    adaptive: bool = False
    bounds: list[int] = field(default_factory=lambda: [0] * SKUS)
    quotas: list[list[Quota]] = field(default_factory=list)
    is_divided: list[bool] = field(default_factory=lambda: [True] * SKUS)
    wanted: list[dict[int, int] | None] = field(default_factory=lambda: [None] * SKUS)
    waiting: list[bool] = field(default_factory=lambda: [False] * SKUS)

    # -------------------------------------------------------------- what we believe

    def opening(self, sku: int) -> Sequence[int]:
        self.quotas.append([Quota(shown=0, ceiling=0) for _ in self.market.shops])
        self._decide_mode(sku)
        pool = self.market.books[sku].sellable
        if self.is_divided[sku]:
            target = escrow.divide(self._outlets(sku), {(item(sku), PLACE): pool})
            numbers = [target[channel] for channel in range(len(self.market.shops))]
        else:
            numbers = [pool] * len(self.market.shops)
        self.quotas[sku] = [Quota(shown=number, ceiling=number) for number in numbers]
        return numbers

    def _outlets(self, sku: int) -> list[Outlet]:
        market, pool = self.market, max(0, self.market.books[sku].sellable)
        paces = {
            channel: market.speed.of(sku, channel, market.now_s)
            for channel in range(len(market.shops))
        }
        risks = self._risks(paces, pool) if self.adaptive else {}
        return [
            Outlet(
                key=channel,
                write=self._write(channel),
                serves=frozenset((PLACE,)),
                needs={item(sku): 1},
                quota=self.quotas[sku][channel],
                weight=Fraction(market.speed.weight(sku, channel, market.now_s)),
                most=pool,
                direction="frozen" if market.unreachable(channel) else "free",
                risk=risks.get(channel),
                drain=pace.drain,
            )
            for channel, pace in paces.items()
        ]

    def _risks(self, paces: Mapping[int, Pace], pool: int) -> dict[int, int]:
        market = self.market
        away = [channel for channel in paces if market.unreachable(channel)]
        here = {channel: pace for channel, pace in paces.items() if channel not in away}
        risks = scarcity.sharing(here, pool)
        for channel in away:
            silent_s = market.now_s - market.heard_s[channel]
            risks[channel] = replace(paces[channel], seen_after_s=silent_s).at_most
        return risks

    def _write(self, channel: int) -> escrow.Write:
        write = self.market.shops[channel].write
        return "conditional" if self.direct and write == "absolute" else write

    def _decide_mode(self, sku: int) -> None:
        """And keep the most that may be sold beyond the pool, as it is now (G8)."""
        market, pool = self.market, self.market.books[sku].sellable
        if self.adaptive:
            paces = [market.speed.of(sku, c, market.now_s) for c in range(len(market.shops))]
            self.is_divided[sku] = scarcity.scarce(pool, paces, divided=self.is_divided[sku])
        if self.quotas[sku]:
            outlets = [replace(one, risk=None) for one in self._outlets(sku)]
            now = escrow.beyond(outlets, {(item(sku), PLACE): pool}) + market.books[sku].short
            self.bounds[sku] = max(self.bounds[sku], now)

    # -------------------------------------------------------------- what changes

    def pool_changed(self, sku: int) -> None:
        self.wanted[sku] = None
        if not self.waiting[sku]:
            self.waiting[sku] = True
            self.market.clock.later(self.market.now_s + LINGER_S, lambda: self._look(sku))

    def _look(self, sku: int) -> None:
        self.waiting[sku] = False
        for channel in self._writes(sku):
            self.market.kick(channel)

    def captured(self, channel: int, sku: int) -> None:
        self.quotas[sku][channel] = escrow.sold(self.quotas[sku][channel], 1)
        self.pool_changed(sku)

    # -------------------------------------------------------------- what is told

    def _writes(self, sku: int) -> dict[int, int]:
        """{channel: quantity}, looked up again only after something changed."""
        found = self.wanted[sku]
        if found is None:
            self._decide_mode(sku)
            found = self._planned(sku) if self.is_divided[sku] else self._shared(sku)
            self.wanted[sku] = found
        return {channel: n for channel, n in found.items() if self._is_free(channel, sku)}

    def _is_free(self, channel: int, sku: int) -> bool:
        return (channel, sku) not in self.market.flying

    def _planned(self, sku: int) -> dict[int, int]:
        pool = self.market.books[sku].sellable
        found = escrow.plan(self._outlets(sku), {(item(sku), PLACE): pool})
        return {channel: n for channel, n in found.items() if isinstance(channel, int)}

    def _shared(self, sku: int) -> dict[int, int]:
        pool = max(0, self.market.books[sku].sellable)
        return {
            channel: pool
            for channel, quota in enumerate(self.quotas[sku])
            if quota.shown != pool and not quota.pending
        }

    def next_offers(self, channel: int, limit: int) -> list[Told]:
        offers = []
        for sku in range(SKUS):
            quantity = self._writes(sku).get(channel)
            if quantity is not None and len(offers) < limit:
                quota, write = self.quotas[sku][channel], self._write(channel)
                self.quotas[sku][channel] = escrow.intended(quota, write, quantity)
                del (self.wanted[sku] or {})[channel]
                offers.append(Told(sku, quantity, None if write == "absolute" else quota.shown))
        return offers

    def answered(self, channel: int, told: Told, taken: bool, number: int | None) -> None:
        quota, now = self.quotas[told.sku][channel], at(self.market.now_s)
        if taken:
            after = escrow.acknowledged(
                quota,
                self._write(channel),
                told.quantity,
                now,
                sent_at=now,  # nothing is given back in this market
                expected=told.expected,
                after=number,
            )
        else:
            after = escrow.not_taken(quota, now, sent_at=now, shown=number)
        self._keep(channel, told.sku, after)

    def lost(self, channel: int, told: Told) -> None:
        now = at(self.market.now_s)
        self._keep(channel, told.sku, escrow.lost(self.quotas[told.sku][channel], now))

    def not_sent(self, channel: int, told: Told) -> None:
        now = at(self.market.now_s)
        quota = escrow.not_taken(self.quotas[told.sku][channel], now, sent_at=now)
        self._keep(channel, told.sku, quota)

    def swept(self, channel: int, until_s: float) -> None:
        until = at(until_s)
        for sku in range(SKUS):
            quota = self.quotas[sku][channel]
            if quota.anchor_at is not None and quota.anchor_at <= until:
                if quota.ceiling is None or quota.ceiling > (quota.anchor or 0):
                    awaited_s = self.market.now_s - (quota.anchor_at - at(0.0)).total_seconds()
                    self.market.speed.late(channel, "drained", awaited_s)
                self._keep(channel, sku, escrow.drained(quota))

    def read(self, channel: int, sku: int, number: int) -> None:
        now = at(self.market.now_s)
        quota = escrow.read_back(self.quotas[sku][channel], number, now, now)
        self._keep(channel, sku, quota)

    def _keep(self, channel: int, sku: int, quota: Quota) -> None:
        if quota == self.quotas[sku][channel]:
            return
        self.quotas[sku][channel] = quota
        self.pool_changed(sku)
        if quota.anchor_at is not None and (
            quota.ceiling is None or quota.ceiling > (quota.anchor or 0)
        ):
            self.market.ask_orders(channel, self.market.now_s)
