"""The market itself: buyers, channels with their own numbers, a warehouse. Virtual time, seeds.

Everything random that a policy cannot change (who comes when and where, how late an
order is seen, outages, goods) is drawn once per seed, so that all policies meet the
same buyers. A channel honors its own number and knows nothing else.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from bench.vendors import Vendor, vendors
from core.escrow import Write

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
SKUS = 5
HOURS = 1.0
END_S = HOURS * 3600
FLASH = 50.0  # times the usual rate
FLASH_S = (120.0, 480.0)
SEEN_LOST = 0.02  # pushes that never come; the poll finds the order
ANSWER_LOST = 0.005  # answers to our writes that never come


def at(now_s: float) -> datetime:
    return START + timedelta(seconds=now_s)


@dataclass(frozen=True, slots=True)
class Buyer:
    at_s: float
    sku: int
    channel: int
    seen_s: float  # after this, by push; infinite if the push is lost
    units: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """One seed: what happens whatever we do."""

    seed: int
    channels: tuple[Vendor, ...]
    stock: tuple[int, ...]
    goods: tuple[tuple[float, int, int], ...]  # at, sku, units
    usual: tuple[tuple[float, ...], ...]  # sales per second: [sku][channel]
    buyers: tuple[Buyer, ...]
    outages: tuple[tuple[tuple[float, float], ...], ...]  # by channel

    def back_s(self, channel: int, now_s: float) -> float:
        """When the channel answers: now, or when its outage is over."""
        for began, ended in self.outages[channel]:
            if began <= now_s < ended:
                return ended + 1.0
        return now_s


def scenario(seed: int) -> Scenario:
    rng = random.Random(seed)
    channels = tuple(rng.sample(vendors(), rng.randint(2, 9)))
    flashes = [_flash(rng, len(channels)) for _ in range(SKUS)]
    # Who plans a flash sale has the goods for it.
    stock = tuple(rng.randint(5, 60) * (4 if where else 1) for _, _, where in flashes)
    goods = tuple(
        (rng.uniform(0.2, 0.9) * END_S, sku, rng.randint(5, 30))
        for sku in range(SKUS)
        if rng.random() < 0.4
    )
    parts = [rng.lognormvariate(0.0, 1.0) for _ in channels]
    usual = []
    for sku in range(SKUS):
        supply = stock[sku] + sum(units for _, which, units in goods if which == sku)
        began, ended, where = flashes[sku]
        own = [part * rng.lognormvariate(0.0, 0.5) for part in parts]
        seconds = sum(
            part * (END_S + (ended - began) * (FLASH - 1) * (which in where))
            for which, part in enumerate(own)
        )
        demand = supply * rng.uniform(0.5, 1.8)
        usual.append(tuple(part * demand / seconds for part in own))
    buyers = [
        buyer
        for sku in range(SKUS)
        for which, vendor in enumerate(channels)
        for buyer in _buyers(rng, sku, which, vendor, usual[sku][which], flashes[sku])
    ]
    return Scenario(
        seed=seed,
        channels=channels,
        stock=stock,
        goods=goods,
        usual=tuple(usual),
        buyers=tuple(sorted(buyers, key=lambda one: one.at_s)),
        outages=tuple(_outage(rng) for _ in channels),
    )


#: Of all orders on an ordinary day: one unit, a few, or many for somebody who sells them on.
FEW, MANY = 0.15, 0.05


def ordinary(seed: int) -> Scenario:
    """An hour of a day like most: SKUs sell 0.3 to 10 % of their stock, some orders are large."""
    rng = random.Random(f"ordinary {seed}")
    channels = tuple(rng.sample(vendors(), rng.randint(2, 9)))
    stock = tuple(rng.randint(20, 200) for _ in range(SKUS))
    parts = [rng.lognormvariate(0.0, 1.0) for _ in channels]
    usual = []
    for units in stock:
        own = [part * rng.lognormvariate(0.0, 0.5) for part in parts]
        demand = units * 10 ** rng.uniform(-2.5, -1.0)
        usual.append(tuple(part * demand / (sum(own) * END_S) for part in own))
    never = (0.0, 0.0, set[int]())
    buyers = [
        replace(buyer, units=_units(rng))
        for sku in range(SKUS)
        for which, vendor in enumerate(channels)
        for buyer in _buyers(rng, sku, which, vendor, usual[sku][which], never)
    ]
    return Scenario(
        seed=seed,
        channels=channels,
        stock=stock,
        goods=(),
        usual=tuple(usual),
        buyers=tuple(sorted(buyers, key=lambda one: one.at_s)),
        outages=tuple(_outage(rng) for _ in channels),
    )


def _units(rng: random.Random) -> int:
    kind = rng.random()
    if kind < MANY:
        return rng.randint(6, 24)
    return rng.randint(2, 5) if kind < MANY + FEW else 1


def _flash(rng: random.Random, channels: int) -> tuple[float, float, set[int]]:
    """A third of the SKUs have a flash sale: on one channel, or on all of them."""
    began = rng.uniform(0.2, 0.8) * END_S
    if rng.random() > 1 / 3:
        return began, began, set()
    ended = min(END_S, began + rng.uniform(*FLASH_S))
    where = {rng.randrange(channels)} if rng.random() < 0.5 else set(range(channels))
    return began, ended, where


def _buyers(
    rng: random.Random,
    sku: int,
    channel: int,
    vendor: Vendor,
    usual: float,
    flash: tuple[float, float, set[int]],
) -> list[Buyer]:
    began, ended, where = flash
    fastest = usual * (FLASH if channel in where else 1.0)
    found, now_s = [], 0.0
    while True:
        now_s += rng.expovariate(fastest)
        if now_s >= END_S:
            return found
        rate = fastest if began <= now_s < ended else usual
        if rng.random() * fastest >= rate:
            continue
        seen_s = float("inf")
        if vendor.pushed_s is not None and rng.random() >= SEEN_LOST:
            seen_s = vendor.pushed_s * rng.lognormvariate(0.0, 0.6)
        found.append(Buyer(now_s, sku, channel, seen_s))


def _outage(rng: random.Random) -> tuple[tuple[float, float], ...]:
    if rng.random() >= 0.3:
        return ()
    began = rng.uniform(0.1, 0.9) * END_S
    return ((began, began + rng.uniform(300.0, 1200.0)),)


@dataclass(slots=True)
class Order:
    at_s: float
    sku: int
    channel: int
    units: int
    seen: bool = False


@dataclass(slots=True)
class Shop:
    """One channel as it is: its numbers, and the orders we have not seen."""

    vendor: Vendor
    write: Write
    numbers: list[int]
    unseen: list[Order] = field(default_factory=list)

    def take(self, sku: int, quantity: int, expected: int | None) -> tuple[bool, int | None]:
        """Our write arrives: was it taken, and the number the channel tells with it."""
        if self.write == "absolute" or expected is None:
            self.numbers[sku] = quantity
            return True, None
        if self.write == "relative":
            self.numbers[sku] = max(0, self.numbers[sku] + quantity - expected)
            return True, self.numbers[sku]
        if self.numbers[sku] != expected:
            return False, self.numbers[sku]
        self.numbers[sku] = quantity
        return True, None


@dataclass(slots=True)
class Tally:
    """What became of the buyers, in units."""

    sold: int = 0
    oversold: int = 0
    calls: int = 0
    by_sku: list[int] = field(default_factory=lambda: [0] * SKUS)  # oversold


class Clock:
    """Virtual time: what is due next happens next."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def later(self, at_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(at_s, self.now_s), next(self._number), what))

    def run(self, end_s: float) -> None:
        while self._due and self._due[0][0] <= end_s:
            self.now_s, _, what = heapq.heappop(self._due)
            what()
