"""Buyers, pickers and their moods: everybody acts on the systems, nobody on us."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from core.simulation.business import HOUR, Place
from core.simulation.journal import Journal
from core.simulation.loop import Tasks, VirtualLoop
from core.simulation.scenario import MINUTE, Scenario
from core.simulation.world import World

#: Of all orders: paid later, cancelled by the buyer.
UNPAID = 0.15
CANCELLED = 0.08
#: A buyer changes his mind, or pays, within this time.
MIND_S = 3 * HOUR
#: Between two bad habits of one channel.
MOOD_S = 2 * HOUR
#: Between two transfers, and how long one is on its way.
MOVED_S, ON_A_TRUCK_S = 4 * HOUR, (10 * MINUTE, 5 * HOUR)
#: The warehouse ships nothing before an order has lain there for so long.
PACKING_S = (2 * MINUTE, 4 * HOUR)


class People:
    """Acts until `leave`. Whatever they do is told to `on_act`, and looked at by the judge."""

    def __init__(
        self,
        scenario: Scenario,
        world: World,
        loop: VirtualLoop,
        journal: Journal,
        on_act: Callable[[], None],
    ) -> None:
        self._scenario = scenario
        self._world = world
        self._loop = loop
        self._journal = journal
        self._on_act = on_act
        self._walkers: Tasks = {}
        self._minds: Tasks = {}
        self._closing = asyncio.Event()
        self.sold = 0

    def come(self) -> None:
        for member in self._scenario.channels:
            buying = self._buy(member.name, self._scenario.chance(f"buyers:{member.name}"))
            self._walkers[self._loop.spawn(buying)] = None
            moods = self._scenario.chance(f"moods:{member.name}")
            self._walkers[self._loop.spawn(self._misbehave(member.name, moods))] = None
        self._walkers[self._loop.spawn(self._pack(self._scenario.chance("pickers")))] = None
        self._walkers[self._loop.spawn(self._deliver_goods(self._scenario.chance("goods")))] = None
        if len(self._scenario.business.places) > 1:
            moving = self._move_goods(self._scenario.chance("transfers"))
            self._walkers[self._loop.spawn(moving)] = None

    async def leave(self) -> None:
        """Nobody buys any more; who wanted to pay or to cancel does so now."""
        for task in self._walkers:
            task.cancel()
        for channel in self._world.channels.values():
            channel.behave()
        self._closing.set()
        await asyncio.gather(*self._walkers, *self._minds, return_exceptions=True)

    def _later(self, act: Coroutine[Any, Any, None]) -> None:
        task = self._loop.spawn(act)
        self._minds[task] = None
        task.add_done_callback(lambda done: self._minds.pop(done, None))

    async def _pass_time(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def _acted(self, who: str, what: str) -> None:
        self._journal.note(who, what)
        self._on_act()

    # -------------------------------------------------------------- buyers

    async def _buy(self, channel: str, rng: random.Random) -> None:
        each_s = HOUR * len(self._scenario.channels) / self._scenario.orders_per_hour
        listed = self._scenario.listed
        while True:
            await asyncio.sleep(rng.expovariate(1 / each_s))
            skus = rng.sample(listed, min(rng.choice((1, 1, 1, 2)), len(listed)))
            lines = {sku: rng.choice((1, 1, 1, 2, 3)) for sku in sorted(skus)}
            paid = rng.random() >= UNPAID
            changes_mind, later_s = rng.random() < CANCELLED, rng.uniform(0, MIND_S)
            order = await self._world.buy(channel, lines, paid=paid)
            if order is None:
                continue
            self.sold += 1
            word = "" if paid else ", not paid"
            self._acted(channel, f"sells {order}: {_said(lines)}{word}")
            if changes_mind:
                self._later(self._cancel(channel, order, later_s))
            elif not paid:
                self._later(self._pay(channel, order, later_s))

    async def _misbehave(self, channel: str, rng: random.Random) -> None:
        """The channel has days of its own."""
        if not self._scenario.moody:
            return
        while True:
            await asyncio.sleep(rng.expovariate(1 / MOOD_S))
            self._acted(channel, await self._world.channels[channel].misbehave(rng))

    async def _cancel(self, channel: str, order: str, later_s: float) -> None:
        await self._pass_time(later_s)
        done = await self._world.channels[channel].cancel(order)
        self._acted(channel, f"cancels {order}" if done else f"cannot cancel {order}")

    async def _pay(self, channel: str, order: str, later_s: float) -> None:
        await self._pass_time(later_s)
        await self._world.channels[channel].pay(order)
        self._acted(channel, f"is paid {order}")

    # -------------------------------------------------------------- the warehouse

    async def _deliver_goods(self, rng: random.Random) -> None:
        where = self._scenario.chance("goods at")
        while True:
            await asyncio.sleep(rng.expovariate(1 / (4 * HOUR)))
            sku, units = rng.choice(self._scenario.skus), rng.choice((1, 5, 20))
            place = where.choice(self._scenario.business.places)
            self._world.receive(sku, units, place)
            self._acted("depot", f"receives {units} {sku} at {place.name}")

    async def _move_goods(self, rng: random.Random) -> None:
        """From one location to another; never what the warehouse was asked for."""
        while True:
            await asyncio.sleep(rng.expovariate(1 / MOVED_S))
            sku = rng.choice(self._scenario.skus)
            here, there = rng.sample(self._scenario.business.places, 2)
            units = min(self._unasked(sku, here), rng.choice((1, 3, 10)))
            if units <= 0:
                continue
            self._world.send_over(sku, units, here)
            self._acted("depot", f"sends {units} {sku} from {here.name} to {there.name}")
            self._later(self._arrive(sku, units, there, rng.uniform(*ON_A_TRUCK_S)))

    def _unasked(self, sku: str, place: Place) -> int:
        depot = self._world.depot
        asked = sum(row["allocated"] for row in depot.stock() if row["id"] == f"{sku}@{place.at}")
        return int(depot.on_hand(sku, place.at) - asked)

    async def _arrive(self, sku: str, units: int, place: Place, later_s: float) -> None:
        await self._pass_time(later_s)
        self._world.arrive(sku, units, place)
        self._acted("depot", f"has {units} {sku} at {place.name}")

    async def _pack(self, rng: random.Random) -> None:
        """One order after another; which one is due, nobody outside knows."""
        due: dict[str, float] = {}
        while True:
            await asyncio.sleep(rng.uniform(MINUTE, 10 * MINUTE))
            now = self._loop.time()
            for order in self._world.depot.orders():
                reference = order["reference"]
                if order["state"] not in ("open", "part_shipped"):
                    continue
                if now >= due.setdefault(reference, now + rng.uniform(*PACKING_S)):
                    await self._one(order, rng)
                    due[reference] = now + rng.uniform(*PACKING_S)

    async def _one(self, order: Mapping[str, Any], rng: random.Random) -> None:
        depot, reference = self._world.depot, order["reference"]
        wanted: Counter[str] = Counter()
        for row in order["left"]:
            wanted[row["sku"]] += row["quantity"]
        lacks = any(depot.on_hand(sku, order["place"]) < units for sku, units in wanted.items())
        mood = rng.random()
        if mood < 0.03:
            await depot.cancel(reference)
            self._acted("depot", f"gives up {reference}")
            # Which is a person's affair: the channel tells its buyer.
            channel, sold = order_of(reference)
            self._later(self._cancel(channel, sold, rng.uniform(0, MIND_S)))
        elif lacks:
            await depot.short_pick(reference)
            self._acted("depot", f"ships what there is of {reference}")
        elif mood < 0.15:
            first = order["left"][0]
            part = [{"line": first["line"], "sku": first["sku"], "quantity": 1}]
            await depot.ship(reference, part, complete=False)
            self._acted("depot", f"ships one unit of {reference}")
        else:
            await depot.ship(reference)
            self._acted("depot", f"ships {reference}")

    async def pack_everything(self) -> None:
        """The last evening: whatever waits and can be shipped is shipped."""
        depot = self._world.depot
        for order in depot.orders():
            if order["state"] in ("open", "part_shipped"):
                await depot.short_pick(order["reference"])
                self._acted("depot", f"ships what there is of {order['reference']}")


def order_of(reference: str) -> tuple[str, str]:
    """Channel and order of truecount:CHANNEL:ORDER:KIND:REVISION; an order may have colons."""
    _, channel, rest = reference.split(":", 2)
    return channel, rest.rsplit(":", 2)[0]


def _said(lines: Mapping[str, int]) -> str:
    return ", ".join(f"{units} {sku}" for sku, units in lines.items())
