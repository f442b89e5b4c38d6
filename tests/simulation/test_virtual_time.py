"""The loop under the simulation: time jumps, nothing is waited for, and who hangs is named."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.simulation.loop import OWNER, Deadlock, MachineClock, Tasks, TrueTime, VirtualLoop


@contextmanager
def a_loop(seed: int = 1) -> Iterator[VirtualLoop]:
    loop = VirtualLoop(random.Random(seed))
    asyncio.set_event_loop(loop)
    try:
        yield loop
        loop.bury()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def play(work: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    with a_loop() as loop:
        return loop.run_until_complete(work), loop.time()


def test_two_days_pass_at_once_and_to_the_second() -> None:
    began = time.process_time()
    _, passed = play(asyncio.sleep(172_800))
    assert passed == pytest.approx(172_800, abs=1e-3)
    assert time.process_time() - began < 5  # not a measure: real seconds would be two days


def test_timers_fire_in_their_order_and_see_their_time() -> None:
    seen: list[tuple[str, float]] = []

    async def at(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, round(asyncio.get_running_loop().time(), 3)))

    async def three() -> None:
        await asyncio.gather(at("c", 3), at("a", 1), at("b", 2))

    play(three())
    assert seen == [("a", 1.0), ("b", 2.0), ("c", 3.0)]


def test_a_deadline_is_kept_in_virtual_time() -> None:
    async def waits() -> None:
        async with asyncio.timeout(20):
            await asyncio.Event().wait()

    with a_loop() as loop:
        with pytest.raises(TimeoutError):
            loop.run_until_complete(waits())
        assert loop.time() == pytest.approx(20, abs=1e-3)


def test_who_waits_for_ever_is_named() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    with a_loop() as loop, pytest.raises(Deadlock, match=r"wait for ever: .*the stuck one"):
        task = loop.create_task(stuck(), name="the stuck one")
        loop.run_until_complete(task)


def test_who_runs_in_circles_is_named() -> None:
    async def circles() -> None:
        while True:
            await asyncio.sleep(0)

    with a_loop() as loop, pytest.raises(Deadlock, match=r"time stands still .*the busy one"):
        task = loop.create_task(circles(), name="the busy one")
        loop.run_until_complete(task)


def test_a_threads_work_takes_virtual_time_and_brings_its_result_or_its_error() -> None:
    def fails() -> None:
        raise ValueError("no")

    async def both() -> int:
        with pytest.raises(ValueError, match="no"):
            await asyncio.to_thread(fails)
        return await asyncio.to_thread(sum, [1, 2])

    result, passed = play(both())
    assert result == 3
    assert 0 < passed < 1


def test_work_that_is_cancelled_in_time_is_never_done() -> None:
    """Both are possible when a process dies while its disk works."""
    outcomes = set()
    for seed in range(20):
        done: list[int] = []
        with a_loop(seed) as loop:

            async def dies(done: list[int] = done) -> None:
                task = asyncio.ensure_future(asyncio.to_thread(done.append, 1))
                await asyncio.sleep(0)
                task.cancel()

            loop.run_until_complete(dies())
            loop.run_until_complete(asyncio.sleep(1))
        outcomes.add(len(done))
    assert outcomes == {0, 1}


def test_tasks_belong_to_the_process_that_starts_them_and_the_worlds_to_nobody() -> None:
    async def nothing() -> None:
        await asyncio.sleep(1)

    async def starts() -> set[str]:
        owned: Tasks = {}
        OWNER.set(owned)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        tasks = [loop.create_task(nothing(), name="ours"), loop.spawn(nothing())]
        assert set(tasks) > set(owned)
        return {task.get_name() for task in owned}

    assert play(starts())[0] == {"ours"}


def test_a_task_of_the_world_that_fails_ends_the_run() -> None:
    async def breaks() -> None:
        raise KeyError("the fake has a bug")

    with a_loop() as loop, pytest.raises(KeyError, match="the fake has a bug"):
        loop.spawn(breaks())
        loop.run_until_complete(asyncio.sleep(10))


def test_a_machine_has_its_own_idea_of_the_time() -> None:
    start = datetime(2026, 11, 25, tzinfo=UTC)
    with a_loop() as loop:
        true = TrueTime(loop, start)
        clock = MachineClock(true)
        loop.run_until_complete(clock.sleep(60))
        clock.skew_s = -3600
        assert true.now() - start == pytest.approx(timedelta(minutes=1), abs=timedelta(seconds=1))
        assert true.now() - clock.now() == timedelta(hours=1)
        assert clock.monotonic() == pytest.approx(60, abs=1e-3)
        clock.boot()
        assert clock.monotonic() == 0
