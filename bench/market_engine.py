"""One seed under one policy: what happens in which order, and what it comes to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bench.market_books import Book, Speed
from bench.market_world import (
    ANSWER_LOST,
    END_S,
    SKUS,
    Buyer,
    Clock,
    Order,
    Scenario,
    Shop,
    Tally,
)
from core.escrow import Write

READING_S = 60.0  # the warehouse is read this often (connectors/generic_wms)
SHIP_S = (600.0, 2400.0)
LISTING_S = 900.0  # a channel's own numbers are read this often
LATENCY_S = 0.4  # median of one call
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Told:
    """One number of ours for one channel. `expected` is what we believe it shows."""

    sku: int
    quantity: int
    expected: int | None = None


class Policy(Protocol):
    """How the pool reaches the channels. Everything it decides, it decides from our books."""

    def opening(self, sku: int) -> Sequence[int]: ...
    def goods(self, sku: int, units: int) -> None: ...
    def pool_changed(self, sku: int) -> None: ...
    def captured(self, channel: int, sku: int) -> None: ...
    def next_offers(self, channel: int, limit: int) -> list[Told]: ...
    def answered(self, channel: int, told: Told, taken: bool, number: int | None) -> None: ...
    def lost(self, channel: int, told: Told) -> None: ...
    def not_sent(self, channel: int, told: Told) -> None: ...
    def swept(self, channel: int, until_s: float) -> None: ...
    def read(self, channel: int, sku: int, number: int) -> None: ...


class Market:
    """The world of one run. `write` overrides how its channels take a number."""

    def __init__(
        self, seed: Scenario, make: Callable[[Market], Policy], write: Write | None = None
    ) -> None:
        self.seed, self.clock, self.tally = seed, Clock(), Tally()
        self.rng = random.Random(seed.seed)
        self.speed = Speed(seed.usual, [vendor.settle_s for vendor in seed.channels])
        self.books = [Book(units) for units in seed.stock]
        self.free = list(seed.stock)  # units that nobody has bought, whoever knows
        self.shops = [Shop(vendor, write or vendor.write, [0] * SKUS) for vendor in seed.channels]
        self._tokens = [(vendor.burst, 0.0) for vendor in seed.channels]
        self._busy = [False] * len(self.shops)
        self._failures = [0] * len(self.shops)
        self.flying: set[tuple[int, int]] = set()
        self.heard_s = [0.0] * len(self.shops)
        self._sweep_at = [0.0] * len(self.shops)
        self.policy = make(self)

    @property
    def now_s(self) -> float:
        return self.clock.now_s

    def run(self) -> Tally:
        later = self.clock.later
        for sku in range(SKUS):
            for shop, number in zip(self.shops, self.policy.opening(sku), strict=True):
                shop.numbers[sku] = number
        for buyer in self.seed.buyers:
            later(buyer.at_s, partial(self._buys, buyer))
        for at_s, sku, units in self.seed.goods:
            later(at_s, partial(self._goods, sku, units))
        for channel, shop in enumerate(self.shops):
            every = shop.vendor.poll_s
            later(self.rng.uniform(0, every), partial(self._poll, channel))
            later(self.rng.uniform(0, LISTING_S), partial(self._listings, channel))
        later(READING_S, self._readings)
        self.clock.run(END_S)
        return self.tally

    # -------------------------------------------------------------- their side

    def _buys(self, buyer: Buyer) -> None:
        shop, tally = self.shops[buyer.channel], self.tally
        if shop.numbers[buyer.sku] < buyer.units:
            return
        free = self.free[buyer.sku]
        shop.numbers[buyer.sku] -= buyer.units
        self.free[buyer.sku] -= buyer.units
        tally.sold += buyer.units
        over = buyer.units - max(0, min(buyer.units, free))
        tally.oversold += over
        tally.by_sku[buyer.sku] += over
        order = Order(self.now_s, buyer.sku, buyer.channel, buyer.units)
        shop.unseen.append(order)
        if buyer.seen_s != float("inf"):
            at_s = self.seed.back_s(buyer.channel, self.now_s + buyer.seen_s)
            self.clock.later(at_s, partial(self._captured, order))

    def _goods(self, sku: int, units: int) -> None:
        self.books[sku].goods(units)
        self.free[sku] += units
        self.policy.goods(sku, units)

    def _ships(self, sku: int) -> None:
        self.books[sku].ship(self.now_s)

    # -------------------------------------------------------------- what we see

    def _captured(self, order: Order) -> None:
        if order.seen:
            return
        order.seen = True
        self.shops[order.channel].unseen.remove(order)
        self.speed.late(order.channel, "seen", self.now_s - order.at_s)
        leaves_s = self.now_s + self.rng.uniform(*SHIP_S)
        for _ in range(order.units):
            self.speed.sold(order.sku, order.channel, self.now_s)
            self.books[order.sku].captured()
            self.clock.later(leaves_s, partial(self._ships, order.sku))
            self.policy.captured(order.channel, order.sku)

    def _readings(self) -> None:
        for sku, book in enumerate(self.books):
            if book.counter != book.reading.counter:
                before = book.sellable
                book.read(self.now_s)
                if book.sellable != before or book.short:
                    self.policy.pool_changed(sku)
        self.clock.later(self.now_s + READING_S, self._readings)

    def _poll(self, channel: int) -> None:
        self.sweep(channel, self.now_s)
        self.clock.later(
            self.now_s + self.shops[channel].vendor.poll_s, partial(self._poll, channel)
        )

    def ask_orders(self, channel: int, since_s: float) -> None:
        """A drain wants every order placed until `since_s`: asked at once where that is allowed."""
        vendor = self.shops[channel].vendor
        if vendor.asked and self._sweep_at[channel] < since_s + vendor.lag_s:
            self.sweep(channel, since_s + vendor.lag_s)

    def sweep(self, channel: int, at_s: float) -> None:
        began_s = self.seed.back_s(channel, max(at_s, self.now_s))
        self._sweep_at[channel] = max(self._sweep_at[channel], began_s)
        ended_s = began_s + self.latency()
        self.clock.later(ended_s, partial(self._swept, channel, began_s))

    def _swept(self, channel: int, began_s: float) -> None:
        until_s = began_s - self.shops[channel].vendor.lag_s
        self.heard_s[channel] = until_s
        for order in [one for one in self.shops[channel].unseen if one.at_s <= until_s]:
            self._captured(order)
        self.policy.swept(channel, until_s)

    def _listings(self, channel: int) -> None:
        if self.seed.back_s(channel, self.now_s) == self.now_s:
            for sku, number in enumerate(self.shops[channel].numbers):
                self.read(channel, sku, number)
        self.clock.later(self.now_s + LISTING_S, partial(self._listings, channel))

    def read(self, channel: int, sku: int, number: int) -> None:
        if (channel, sku) not in self.flying:
            self.policy.read(channel, sku, number)

    # -------------------------------------------------------------- what we tell

    def latency(self) -> float:
        return LATENCY_S * self.rng.lognormvariate(0.0, 0.5)

    def kick(self, channel: int) -> None:
        """Something may want to be told there. One call at a time, within the vendor's rate."""
        if not self._busy[channel]:
            self._busy[channel] = True
            self.clock.later(self._token_at(channel), partial(self._tell, channel))

    def _token_at(self, channel: int) -> float:
        vendor = self.shops[channel].vendor
        left, since_s = self._tokens[channel]
        left = min(vendor.burst, left + (self.now_s - since_s) * vendor.per_s)
        self._tokens[channel] = left, self.now_s
        return self.now_s + max(0.0, (1.0 - left) / vendor.per_s)

    def _tell(self, channel: int) -> None:
        vendor = self.shops[channel].vendor
        offers = self.policy.next_offers(channel, vendor.batch)
        if not offers:
            self._busy[channel] = False
            return
        left, since_s = self._tokens[channel]
        left = min(vendor.burst, left + (self.now_s - since_s) * vendor.per_s)
        self._tokens[channel] = left - 1.0, self.now_s
        self.tally.calls += 1
        self.flying |= {(channel, told.sku) for told in offers}
        if self.seed.back_s(channel, self.now_s) > self.now_s:
            self.clock.later(self.now_s + TIMEOUT_S, partial(self._failed, channel, offers))
            return
        self._failures[channel] = 0
        arrives_s = self.now_s + self.latency()
        gone = self.rng.random() < ANSWER_LOST
        happened = self.rng.random() < 0.5
        for told in offers:
            # Where a number that was taken is live minutes later, it is answered when it is.
            live_s = arrives_s
            if vendor.settle_s > TIMEOUT_S:
                live_s += self.rng.uniform(TIMEOUT_S, vendor.settle_s)
            if not gone or happened:
                self.clock.later(live_s, partial(self._arrives, channel, told, self.now_s, gone))
            if gone:
                self.clock.later(
                    arrives_s + max(TIMEOUT_S, vendor.settle_s), partial(self._gone, channel, told)
                )
        self.clock.later(arrives_s + self.latency(), partial(self._next, channel))

    def _next(self, channel: int) -> None:
        self._busy[channel] = False
        self.kick(channel)

    def _failed(self, channel: int, offers: list[Told]) -> None:
        """Nothing was sent; the same again later."""
        self._failures[channel] += 1
        for told in offers:
            self.flying.discard((channel, told.sku))
            self.policy.not_sent(channel, told)
        wait_s = min(300.0, 2.0 ** self._failures[channel])
        self.clock.later(self.now_s + wait_s, partial(self._next, channel))

    def unreachable(self, channel: int) -> bool:
        return self._failures[channel] > 0

    def _arrives(self, channel: int, told: Told, began_s: float, gone: bool) -> None:
        shop = self.shops[channel]
        taken, number = shop.take(told.sku, told.quantity, told.expected)
        if gone:
            return
        wait_s = self.latency()
        if shop.vendor.settle_s > TIMEOUT_S and shop.write == "absolute":
            # It does not tell when it was live: only the settle time proves it.
            wait_s = began_s + shop.vendor.settle_s + TIMEOUT_S - self.now_s
        done = partial(self._answered, channel, told, began_s, taken, number)
        self.clock.later(self.now_s + wait_s, done)

    def _answered(
        self, channel: int, told: Told, began_s: float, taken: bool, number: int | None
    ) -> None:
        self.flying.discard((channel, told.sku))
        self.speed.late(channel, "told", self.now_s - began_s)
        self.policy.answered(channel, told, taken, number)

    def _gone(self, channel: int, told: Told) -> None:
        self.flying.discard((channel, told.sku))
        self.policy.lost(channel, told)
        # The write can happen no more: what the channel shows now is what came of it.
        self.read(channel, told.sku, self.shops[channel].numbers[told.sku])
