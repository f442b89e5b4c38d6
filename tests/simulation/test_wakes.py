"""The daemon in virtual time: what a forgotten wake costs, and a job that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.app import App
from core.daemon import JOB_MAX_S, PAUSE_MAX_S, ROUND_S, Daemon
from core.simulation import listening
from core.simulation.loop import VirtualLoop
from core.simulation.run import Run
from core.simulation.scenario import draw
from core.simulation.world import kinds

Plays = Callable[[Run, App], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Plays], list[str]]:
    """A calm day, whose daemon is ready when the test begins. What it says of its own faults."""

    def start(plays: Plays) -> list[str]:
        scenario = draw(4, 1, kinds()).plain().calm()
        scenario = replace(scenario, pushes=True, every_s=1800.0, policy="shared")
        loop = VirtualLoop(scenario.chance("threads"))
        said: list[str] = []

        async def day() -> None:
            run = Run(scenario, tmp_path, loop, None)
            await run.world.open()
            running = loop.spawn(run.machine.run())
            await asyncio.sleep(600)
            assert run.machine.app is not None
            await plays(run, run.machine.app)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await run.machine.crash()

        try:
            asyncio.set_event_loop(loop)
            with listening.to_bugs(said.append):
                loop.run_until_complete(day())
                loop.bury()
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        return said

    return start


async def time_until(what: Callable[[], Any]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not what():
        await asyncio.sleep(1.0)
    return loop.time() - began


def test_a_forgotten_wake_costs_a_minute_at_each_stop(
    play: Callable[[Plays], list[str]],
) -> None:
    """Nobody is woken by what is committed: every loop finds it by itself."""

    async def plays(run: Run, app: App) -> None:
        channel = run.scenario.channels[0].name
        app.store.on_written = lambda notes: None
        await run.world.buy(channel, {run.scenario.skus[0]: 1}, paid=True)
        asked_s = await time_until(run.world.depot.orders)
        assert asked_s <= 2 * ROUND_S + 5  # it is captured, and the warehouse asked

    assert play(plays) == []


def test_a_job_that_hangs_is_ended_so_that_it_can_run_again(
    play: Callable[[Plays], list[str]],
) -> None:
    jobs: list[Callable[[], Awaitable[None]]] = []

    class Kept:
        running = False

        def add_job(self, func: Callable[[], Awaitable[None]], *_: Any, **__: Any) -> None:
            jobs.append(func)

        def get_jobs(self) -> list[Any]:
            return []

        def start(self) -> None: ...

        def shutdown(self, wait: bool) -> None: ...

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def plays(run: Run, app: App) -> None:
        Daemon(app, schedule=Kept)._every(60.0, hangs, "hangs")
        began = run.loop.time()
        await jobs[0]()
        assert run.loop.time() - began == pytest.approx(JOB_MAX_S, abs=1)

    [said] = play(plays)
    assert "job.failed" in said
    assert "hangs" in said


def test_h3_on_a_full_disk_nobody_is_asked_every_second_for_what_cannot_be_kept(
    play: Callable[[Plays], list[str]],
) -> None:
    async def plays(run: Run, _: App) -> None:
        channel, sku = run.scenario.channels[0].name, run.scenario.skus[0]
        run.machine.fill_disk()
        while await run.world.buy(channel, {sku: 1}, paid=True):
            pass
        before = run.network.calls
        await asyncio.sleep(3600)
        assert run.network.calls - before <= 2 * 3600 / PAUSE_MAX_S  # 2,380 by the second
        run.machine.free_disk()
        assert await time_until(run.world.depot.orders) <= 2 * ROUND_S

    assert play(plays) == []
