"""The shell around the app: start, keep every stop moving, stop without losing anything.

Each loop asks the database what is due, and then rests until that time, or until a
commit made something due (core.store.written); where nothing happens, nothing is
asked. APScheduler only wakes the jobs beside them. A loop that hits a bug of ours
says so, waits a moment and goes on: the row it failed on is still there, and a dead
loop would be silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from core import items_in_force, mappings_in_force, rules_in_force, set_back
from core.app import App, open_state, put_right, save_breakers
from core.crash import crash_point
from core.errors import Busy, ConfigError, Problem, TruecountError
from core.rounds import SCHEDULER_S, Rounds
from core.store.refusals import unusable
from core.store.written import Note
from core.web.operations import Check
from core.web.server import WebServer

#: A loop does its step again after this at the latest, even if nothing seems due.
LOOK_S = 300.0
#: A loop comes round so often, to be seen alive, to see the machine's clock put forward, and to
#: ask the database what is due: a wake that was forgotten costs no more than this.
ROUND_S = 60.0
#: After a restore what may leave is looked at so often.
GATE_S = 1.0
#: So often the machine's clock is compared with the counter that only goes forward.
CLOCK_S = 10.0
#: A clock that differs from it by more was set, not drawn out.
SET_S = 1.0
#: So often what is known of dead systems is saved, where it changed.
SAVE_S = 15.0
#: After a bug of ours or a full disk, a loop waits so long before it goes on: each time twice as
#: long, so that nobody is asked every second for what cannot be kept.
PAUSE_S, PAUSE_MAX_S = 1.0, 16.0
#: A job that has not ended by now hangs; it is ended, or it would never run again. The longest
#: sends a mail (core/reporter.py).
JOB_MAX_S = 1800.0
#: So often it is seen whether the scheduler wakes anybody.
REVIVE = timedelta(seconds=30)
#: A job of any interval is first run so long after the start: what runs every hour would never
#: run in a daemon that is restarted more often than that.
FIRST_S = 5.0

Step = Callable[[], Awaitable[bool]]
NextDue = Callable[[], datetime | None]


class Schedule(Protocol):
    """What wakes the jobs: APScheduler, or the simulation in its own time."""

    @property
    def running(self) -> bool: ...

    def add_job(self, func: Callable[[], Awaitable[None]], trigger: str, **words: Any) -> Any: ...

    def get_jobs(self) -> list[Any]: ...

    def start(self) -> None: ...

    def shutdown(self, wait: bool) -> None: ...


class Lock:
    """One daemon per state folder (H31). Held until the process ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "truecount.lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises ConfigError naming who holds it, or why the folder cannot be written (H3)."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = self.path.open("a+")
        except OSError as error:
            raise _state_problem(
                self.path.parent,
                f"the state folder cannot be written: {error.strerror}",
                "Give it to the user Truecount runs as, or name another under `state:`.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            handle.close()
            raise _state_problem(
                self.path.parent,
                f"the state folder is in use by {holder}",
                "Stop that one first; two daemons on one state would sell the same units twice.",
            ) from error
        try:
            handle.truncate(0)
            handle.write(f"process {os.getpid()} on {socket.gethostname()}")
            handle.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                handle.close()  # it would write what could not be written
            raise unusable(self.path, error) from error
        self._file = handle

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _state_problem(folder: Path, what: str, fix: str) -> ConfigError:
    return ConfigError([Problem(file=str(folder), line=1, what=what, fix=fix)])


@dataclass(slots=True)
class Loop:
    """One stop for one system, kept moving. `closed_for_s`: how long its system is left alone."""

    name: str
    step: Step
    next_due: NextDue
    closed_for_s: Callable[[], float] = lambda: 0.0
    left_alone: bool = False  # it rests because its system does not answer
    pause_s: float = PAUSE_S  # … before it tries again what has just failed
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    last_moved: float = 0.0


class Daemon:
    """Runs an App. `start()`, then `run()` until `stop()` or a signal."""

    def __init__(
        self,
        app: App,
        servers: Callable[[Daemon], list[WebServer]] | None = None,
        *,
        schedule: Callable[[], Schedule] = lambda: AsyncIOScheduler(timezone="UTC"),
    ) -> None:
        self.app = app
        self._make_servers = servers
        self.servers: list[WebServer] = []
        self.loops: dict[str, Loop] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self._asides: list[asyncio.Task[None]] = []
        self._make_schedule = schedule
        self.scheduler: Schedule = schedule()
        self.rounds = Rounds(app)
        self.woken_at = app.clock.monotonic()  # when the scheduler last woke anything
        self._ahead_s: float | None = None  # the machine's clock before the counter, as last seen
        self.stopping = asyncio.Event()
        self.on_started: list[Callable[[], None]] = []
        self.on_stopping: list[Callable[[], None]] = []
        self.background: list[Callable[[], Coroutine[None, None, None]]] = []
        self.checks: dict[str, Check] = {}
        self.jobs: list[tuple[str, Callable[[], Awaitable[None]], float]] = []

    async def start(self) -> None:
        """Recover first, then listen, then move: a sender never meets a half-made daemon."""
        app = self.app
        await open_state(app)
        await items_in_force.restore(app)
        await rules_in_force.restore(app)
        await mappings_in_force.restore(app)
        doubtful = await app.outbox.recover()
        await app.publisher.recover()
        await app.sweep.prepare()
        crash_point("start.prepared")
        self._make_loops()
        app.store.on_written = self._written
        if self._make_servers is not None:
            self.servers = self._make_servers(self)
        for server in self.servers:
            await server.start()
        crash_point("start.listening")
        self.tasks = [
            asyncio.get_running_loop().create_task(self._keep_moving(loop), name=loop.name)
            for loop in self.loops.values()
        ]
        self._asides = [asyncio.get_running_loop().create_task(make()) for make in self.background]
        self._schedule()
        for callback in self.on_started:
            callback()
        structlog.get_logger().info("daemon.ready", count=len(app.connectors), waiting=doubtful)

    def _make_loops(self) -> None:
        app = self.app
        self._add("intake", self._intake, app.intake.next_due)
        self._add("clock", self._clock, self._next_clock)
        self._add("rules", self._rules, lambda: rules_in_force.next_due(app))
        self._add("rounds", self.rounds.make_if_due, lambda: self.rounds.due_at)
        self._add("scheduler", self.revive_scheduler, lambda: app.clock.now() + REVIVE)
        for name, system in app.config.systems.items():
            at_once = system.manifest.at_once
            if system.manifest.reads:
                self._add(
                    f"sweep:{name}",
                    lambda name=name: self._sweep(name),  # type: ignore[misc]
                    lambda name=name: app.sweep.next_due(name),  # type: ignore[misc]
                )
            if system.manifest.accepts:
                self._add(
                    f"outbox:{name}",
                    lambda name=name, n=at_once: self._deliver(name, n),  # type: ignore[misc]
                    lambda name=name: app.outbox.next_due(name),  # type: ignore[misc]
                    name,
                )
            if system.manifest.stock_write is not None:
                self._add(
                    f"publish:{name}",
                    lambda name=name: self._publish(name),  # type: ignore[misc]
                    lambda name=name: app.publisher.next_due(name),  # type: ignore[misc]
                    name,
                )

    def _add(self, name: str, step: Step, next_due: NextDue, system: str = "") -> None:
        loop = Loop(name, step, next_due)
        if system:
            door = self.app.doors[system]
            loop.closed_for_s = lambda: door.closed_for_s
        self.loops[name] = loop

    def wake(self, kind: str) -> None:
        """Wake every loop of one kind: `intake`, `rules`, `sweep`, `outbox`, `publish`."""
        for name, loop in self.loops.items():
            if name.split(":")[0] == kind:
                loop.wake.set()

    def _written(self, notes: list[Note]) -> None:
        """Something was committed that these have to look at."""
        for kind, system in notes:
            if not system:
                self.wake(kind)
            elif (loop := self.loops.get(f"{kind}:{system}")) is not None:
                loop.wake.set()

    # -------------------------------------------------------------- the stops

    async def _intake(self) -> bool:
        rows, _ = await self.app.intake.run_once()
        self.app.settled(rows)
        return rows > 0

    def _next_clock(self) -> datetime:
        return self.app.clock.now() + timedelta(seconds=CLOCK_S)

    async def _clock(self) -> bool:
        """The machine's clock was set: what is due by it is due at another time.

        Put back, the scheduler would wait as long, and so would we.
        """
        now = self.app.clock.now()
        before, ahead_s = self._ahead_s, now.timestamp() - self.app.clock.monotonic()
        if before is not None and abs(ahead_s - before) < SET_S:
            return False
        self._ahead_s = ahead_s
        with self.app.store.read() as connection:
            back = set_back.by_how_much(connection, now)
        if back is not None:
            await put_right(self.app)
            for job in self.scheduler.get_jobs():
                job.modify(next_run_time=self.app.clock.now())
        if before is not None:
            for loop in self.loops.values():
                loop.wake.set()
        return back is not None

    async def _rules(self) -> bool:
        """A campaign begins, a pre-order ends, an override expires."""
        return await rules_in_force.pass_time(self.app)

    async def _sweep(self, system: str) -> bool:
        if not self.app.may_read:
            return False
        fetched = await self.app.sweep.run_fetches(system)
        due = self.app.sweep.due(system)
        for row in due:
            await self.app.sweep.one_page(row)
        return fetched > 0 or bool(due)

    async def _deliver(self, system: str, at_once: int) -> bool:
        if self.app.doors[system].closed_for_s > 0:
            return False
        # The probe after an outage may be another's; one attempt then waits its turn.
        room = max(1, min(at_once, self.app.doors[system].room))
        return await self.app.outbox.deliver_due(system, room) > 0

    async def _publish(self, system: str) -> bool:
        if self.app.doors[system].closed_for_s > 0:
            return False
        return await self.app.publisher.publish_once(system) > 0

    # -------------------------------------------------------------- moving

    async def _keep_moving(self, loop: Loop) -> None:
        while not self.stopping.is_set():
            loop.wake.clear()
            loop.last_moved = self.app.clock.monotonic()
            try:
                moved = await loop.step()
                loop.pause_s = PAUSE_S
                if moved:
                    self._answers_again(loop)
                    await asyncio.sleep(0)
                    continue
                await self._rest(loop, self._wait_s(loop, loop.next_due()))
                continue
            except Busy as busy:
                if self.stopping.is_set():
                    return
                structlog.get_logger().error(
                    "state.not_writable", loop=loop.name, words=busy.reason
                )
            except Exception:  # noqa: BLE001 - a dead loop would be silence; the row is still there
                structlog.get_logger().exception("loop.failed", loop=loop.name)
            loop.pause_s, pause_s = min(PAUSE_MAX_S, 2 * loop.pause_s), loop.pause_s
            await self._rest(loop, pause_s)

    def _wait_s(self, loop: Loop, due: datetime | None) -> float:
        """How long nothing can be done by this loop, as far as it knows now."""
        closed_s = loop.closed_for_s()
        loop.left_alone = closed_s > 0
        if due is None:
            return GATE_S if self.app.gate.shut else LOOK_S
        wait = (due - self.app.clock.now()).total_seconds()
        return min(LOOK_S, max(0.005, wait, closed_s))

    async def _rest(self, loop: Loop, wait_s: float) -> None:
        """Until it is woken, or this time has passed by either clock."""
        clock = self.app.clock
        until = clock.monotonic() + wait_s
        while (left_s := until - clock.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, ROUND_S)):
                    await loop.wake.wait()
                return
            loop.last_moved = clock.monotonic()
            if left_s <= ROUND_S or (self._is_due(loop) and not loop.left_alone):
                return

    def _is_due(self, loop: Loop) -> bool:
        due = loop.next_due()
        return due is not None and due <= self.app.clock.now()

    def _answers_again(self, moved: Loop) -> None:
        """A system that was left alone has been reached: its other loops need not wait longer."""
        system = moved.name.partition(":")[2]
        for loop in self.loops.values():
            if system and loop.left_alone and loop.name.endswith(f":{system}"):
                loop.wake.set()

    def _schedule(self) -> None:
        """Intervals only wake; nothing is decided by the scheduler's own memory (H39)."""
        self._every(SAVE_S, partial(save_breakers, self.app), "breakers")
        for name, job, every_s in self.jobs:
            self._every(every_s, job, name)
        self.scheduler.start()
        self.rounds.woken_at = lambda: self.woken_at

    async def revive_scheduler(self) -> bool:
        """A scheduler that wakes nobody is replaced: no mail would go, and nobody would be told
        by one. The rounds say so meanwhile; what it was to wake is due all the same (H39)."""
        silent_s = self.app.clock.monotonic() - self.woken_at
        if silent_s <= SCHEDULER_S + REVIVE.total_seconds():
            return False
        structlog.get_logger().error("scheduler.replaced", seconds=round(silent_s))
        if self.scheduler.running:
            self.scheduler.shutdown(wait=False)
        self.scheduler = self._make_schedule()
        self.woken_at = self.app.clock.monotonic()
        self._schedule()
        return False

    def _every(self, seconds: float, job: Callable[[], Awaitable[None]], name: str) -> None:
        async def guarded() -> None:
            self.woken_at = self.app.clock.monotonic()
            try:
                async with asyncio.timeout(JOB_MAX_S):
                    await job()
            except Busy as busy:
                structlog.get_logger().error("state.not_writable", name=name, words=busy.reason)
            except Exception:  # noqa: BLE001 - one failed run must not end the schedule
                structlog.get_logger().exception("job.failed", name=name)

        self.scheduler.add_job(
            guarded,
            "interval",
            seconds=seconds,
            next_run_time=self.app.clock.now() + timedelta(seconds=min(seconds, FIRST_S)),
            id=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,  # the default of 1 s drops a late wake
        )

    # -------------------------------------------------------------- stopping

    async def run(self) -> None:
        """Until TERM, INT, or `stopping` is set."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        try:
            await self.stopping.wait()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def stop(self) -> None:
        """Refuse new, finish open, at most ten seconds (H4)."""
        self.stopping.set()
        for callback in self.on_stopping:
            callback()
        crash_point("stop.refusing")
        if self.scheduler.running:
            self.scheduler.shutdown(wait=False)
        for server in self.servers:
            await server.stop()
        for loop in self.loops.values():
            loop.wake.set()
        for aside in self._asides:
            aside.cancel()
        await asyncio.gather(*self._asides, return_exceptions=True)
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=5.0)
            late = [task for task in self.tasks if not task.done()]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        crash_point("stop.closing")
        await self.app.close()
        structlog.get_logger().info("daemon.stopped")


def failed_start(error: TruecountError) -> str:
    """What an operator reads when the daemon refuses to start."""
    return f"Truecount did not start:\n\n{error}\n"
