"""`offers`: one change of one SKU, from the moment it was decided to the last of ten channels.

In one process, without HTTP (bench/inside.py), against the same reads and writes by
hand (bench/offers_floor.py). The change itself, a reading taken up or an order
captured, is not part of it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bench.inside import Inside, sku
from bench.offers_floor import Floor
from bench.record import Meter, Record, main

CHANNELS, SKUS, POOL = 10, 10_000, 1_000
#: A reading moves the pool by this, so that every channel's part moves.
STEP = 10 * CHANNELS
#: policy, kind of stock write
POLICIES = (("shared", "absolute"), ("split", "conditional"), ("adaptive", "conditional"))


@dataclass(slots=True)
class Pair:
    """The program and its floor under one policy, each over a state of its own."""

    policy: str
    inside: Inside
    floor: Floor
    next_sku: int = 0

    @classmethod
    async def of(cls, record: Record, policy: str, write: str) -> Pair:
        folder = record.folder / policy
        inside = Inside(folder, SKUS, POOL, CHANNELS, policy, write)
        await inside.open()
        below = Inside(folder.with_name(f"{policy}-floor"), SKUS, POOL, CHANNELS, policy, write)
        await below.open()
        await below.close()
        path = below.app.config.state
        return cls(policy, inside, Floor(path, inside.names, POOL, policy))

    def fresh(self, count: int) -> list[str]:
        """SKUs that were not touched yet, over and over."""
        first, self.next_sku = self.next_sku, self.next_sku + count
        return [sku(index % SKUS) for index in range(first, first + count)]

    def check(self, record: Record, case: str) -> None:
        record.wrong += self.inside.wrong(f"offers, {case}") + self.floor.wrong(f"offers, {case}")
        self.inside.units.clear()
        self.floor.units.clear()


Case = Callable[[Pair, int, Meter, Meter], Awaitable[int]]


async def readings(pair: Pair, count: int, ours: Meter, floor: Meter) -> int:
    """A fall, then a rise back, of one SKU after the other."""
    for word in pair.fresh(count // 2):
        for units in (POOL - STEP, POOL):
            pair.floor.reads({word: units})
            with floor:
                pair.floor.tell()
            await pair.inside.reads({word: units})
            with ours:
                await pair.inside.tell()
    return count


async def orders(pair: Pair, count: int, ours: Meter, floor: Meter) -> int:
    """Two units sold, on one channel after the other."""
    for index, word in enumerate(pair.fresh(count)):
        channel = index % CHANNELS
        pair.floor.sells(channel, word, 2, POOL)
        with floor:
            pair.floor.tell()
        await pair.inside.sells(channel, [(word, 2)])
        with ours:
            await pair.inside.tell()
    return count


async def batch(pair: Pair, count: int, ours: Meter, floor: Meter) -> int:
    """Many SKUs at once, as after a warehouse count."""
    units = dict.fromkeys(pair.fresh(count), POOL - STEP)
    pair.floor.reads(units)
    with floor:
        pair.floor.tell()
    await pair.inside.reads(units)
    with ours:
        await pair.inside.tell()
    return count


async def offers(record: Record) -> None:
    few, many = (20, 200) if record.quick else (100, 1_000)
    cases: dict[str, tuple[Case, int]] = {
        "one reading": (readings, few),
        "one order": (orders, few),
        f"{many:,} readings at once": (batch, many),
    }
    pairs = [await Pair.of(record, policy, write) for policy, write in POLICIES]
    for pair in pairs:  # caches, compiled statements
        await readings(pair, 10, Meter(), Meter())
        await orders(pair, 10, Meter(), Meter())
    for _ in range(record.rounds):
        for name, (case, count) in cases.items():
            for pair in pairs:
                await _round(record, f"{name}, {pair.policy}", pair, partial(case, pair, count))
    for pair in pairs:
        await pair.inside.close()
        pair.floor.close()


async def _round(
    record: Record, case: str, pair: Pair, play: Callable[[Meter, Meter], Awaitable[int]]
) -> None:
    ours, floor = Meter(), Meter()
    inside = pair.inside
    looks, commits = inside.looks, inside.commits
    calls = sum(shop.calls for shop in inside.shops)
    changes = await play(ours, floor)
    record.figure("offers", case, "floor: sqlite3 by hand", floor.values(changes))
    values = ours.values(changes)
    values["looks"] = (inside.looks - looks) / changes
    values["calls"] = (sum(shop.calls for shop in inside.shops) - calls) / changes
    values["commits"] = (inside.commits - commits) / changes
    record.figure("offers", case, "daemon", values)
    pair.check(record, case)


if __name__ == "__main__":
    sys.exit(main(offers))
