"""The process that sends the mail of a day: started by the daemon, and not a part of it.

It reads the state that is on the disk. A daemon that stops takes it along; one that is killed
leaves it behind, and it goes on (G12).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import date

import orjson

from core import items_in_force, mailing, rules_in_force
from core.config import Config
from core.errors import TruecountError
from core.networking import network_of
from core.reporter import Child
from core.simulation.loop import MachineClock, VirtualLoop
from core.simulation.post import Post
from core.store.engine import read_only

#: Until such a process has begun, and until it has ended after its mail was taken.
BEGINS_S, ENDS_S = (0.5, 3.0), (0.01, 0.5)


class Sender:
    """Starts these processes. `doubted` counts those whose mail went and who were not heard."""

    def __init__(
        self, post: Post, clock: MachineClock, loop: VirtualLoop, chance: random.Random
    ) -> None:
        self.post = post
        self._clock = clock
        self._loop = loop
        self._chance = chance
        self.doubted = 0

    def child(self, config: Config, parent_lives: Callable[[], bool]) -> Child:
        """What a Reporter of this life of the daemon starts."""

        async def run(day: date) -> tuple[int, bytes]:
            task = self._loop.spawn(self._send(config, day))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if parent_lives():
                    task.cancel()
                raise

        return run

    async def _send(self, config: Config, day: date) -> tuple[int, bytes]:
        await asyncio.sleep(self._chance.uniform(*BEGINS_S))
        try:
            said = 0, orjson.dumps(self._sent(config, day))
        except TruecountError as error:
            said = 1, f"{type(error).__name__}: {error}".encode()
        await asyncio.sleep(self._chance.uniform(*ENDS_S))
        return said

    def _sent(self, config: Config, day: date) -> dict[str, object]:
        assert config.report is not None
        engine = read_only(config.state)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                network = items_in_force.as_kept(network_of(config), connection)
                network = rules_in_force.as_kept(network, connection, "rules.yaml")
                now = self._clock.now()
                found = mailing.compared(config, network, connection, day, now)
        finally:
            engine.dispose()
        return mailing.send(found, config.report, self.post.connected)
