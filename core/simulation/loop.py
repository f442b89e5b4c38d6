"""Virtual time: an event loop that jumps to its next timer, and the clocks that follow it.

Nothing is ever waited for. Where asyncio would sleep in the operating system, time
moves to the next timer instead, so a day passes in seconds and always in the same
order. There is no input and no thread: what product code hands to a thread is run on
the spot, a little later or a little earlier than it would have been.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from datetime import datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

#: Tasks in the order they began: a set of them would be ordered by where they lie in memory.
Tasks = dict[asyncio.Task[Any], None]
#: The tasks of one process of ours; what it starts belongs to it. None: the world's.
OWNER: ContextVar[Tasks | None] = ContextVar("OWNER", default=None)


#: A round of the loop takes time too, or who waits for a rounding error would wait for ever.
ROUND_S = 1e-6
#: So many rounds in which nobody waits for anything, and somebody runs in circles.
STANDING_MAX = 50_000


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set, or time stands still: this would last for ever."""


class _Nothing(selectors.SelectSelector):
    """No descriptor ever becomes ready; waiting moves the clock."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock(self.loop.who_waits())
        self.loop.pass_time(max(0.0, timeout))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is seconds since the beginning of the simulation.

    `chance` draws how long a thread takes, `thread_s` at most.
    """

    def __init__(self, chance: random.Random, *, thread_s: float = 0.02) -> None:
        self._virtual = 0.0
        self._standing = 0
        self._circles: Counter[str] = Counter()
        self._broken: BaseException | None = None
        self._chance = chance
        self._thread_s = thread_s
        nothing = _Nothing()
        nothing.loop = self
        super().__init__(nothing)
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self._virtual

    def pass_time(self, seconds: float) -> None:
        """Called once in every round. Raises Deadlock where the same moment never ends."""
        if self._broken is not None:
            raise self._broken
        self._virtual += seconds + ROUND_S
        self._standing = 0 if seconds > ROUND_S else self._standing + 1
        if self._standing > STANDING_MAX:
            runs = ", ".join(f"{name} {n} times" for name, n in self._circles.most_common(5))
            raise Deadlock(f"time stands still at {self._virtual:.3f} s: {runs}")

    def spawn(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of the world: it goes on when the process that caused it dies."""
        context = Context()
        task: asyncio.Task[T] = context.run(self.create_task, coro, context=context)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """The world has no bugs: one of its tasks that fails ends the run."""
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()

    def run_in_executor(  # type: ignore[override]  # asyncio's is generic over the arguments
        self,
        executor: Any,  # noqa: ARG002 - asyncio's
        func: Callable[..., T],
        *args: Any,
    ) -> asyncio.Future[T]:
        """A thread's work: done before or after its time has passed, never during it."""
        done: asyncio.Future[T] = self.create_future()
        takes_s = self._chance.uniform(0.0, self._thread_s)
        if self._chance.random() < 0.5:
            self.call_later(takes_s, _do, done, func, args)
        else:
            worked: asyncio.Future[T] = self.create_future()
            _do(worked, func, args)
            self.call_later(takes_s, _hand_on, worked, done)
        return done

    def bury(self) -> None:
        """Nobody goes on: every task that is left is cancelled."""
        self._standing, self._broken = 0, None
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        self.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    def call_soon(  # type: ignore[override]  # the same
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        if self._standing > STANDING_MAX - 1000:  # soon we will be asked who it was
            runs = getattr(getattr(callback, "__self__", None), "get_name", lambda: repr(callback))
            self._circles[runs()] += 1
        return super().call_soon(callback, *args, context=context)

    def who_waits(self) -> str:
        names = sorted(task.get_name() for task in asyncio.all_tasks(self))
        return "no timer is set, and these wait for ever: " + ", ".join(names)


def _owned(loop: asyncio.AbstractEventLoop, coro: Any, **words: Any) -> asyncio.Task[Any]:
    """A task of whatever process began it (OWNER)."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **words)
    owned = OWNER.get()
    if owned is not None:
        owned[task] = None
        task.add_done_callback(lambda done: owned.pop(done, None))
    return task


def _do(done: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]) -> None:
    if done.cancelled():
        return
    try:
        done.set_result(func(*args))
    except Exception as error:  # noqa: BLE001 - handed to whoever waits for the thread
        done.set_exception(error)
        done.exception()  # whoever waited may be dead: nobody has to be told


def _hand_on(worked: asyncio.Future[T], done: asyncio.Future[T]) -> None:
    error = worked.exception()
    if done.cancelled():
        return
    if error is None:
        done.set_result(worked.result())
    else:
        done.set_exception(error)


class TrueTime:
    """The time that passes for everybody; each machine's own clock may be wrong by `skew_s`."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        self._loop = loop
        self._start = start

    def elapsed_s(self) -> float:
        return self._loop.time()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time())


class MachineClock:
    """What one machine believes (core.clock.Clock). Its monotonic counter begins at its boot."""

    def __init__(self, true: TrueTime) -> None:
        self.true = true
        self.skew_s = 0.0
        self._boot_s = true.elapsed_s()

    def now(self) -> datetime:
        return self.true.now() + timedelta(seconds=self.skew_s)

    def monotonic(self) -> float:
        return self.true.elapsed_s() - self._boot_s

    def boot(self) -> None:
        self._boot_s = self.true.elapsed_s()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
