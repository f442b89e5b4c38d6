"""The computer the daemon runs on: the real Daemon, without its ports, in a process that can die.

A crash ends every task where it stands. The database connection is closed first, so that
nothing a dying task does is written, and no request of it leaves; what the operating
system already has, like a committed transaction, is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from core import drift, mappings_in_force, operate, retention, serving, subscriptions
from core.app import App, build
from core.config import Config
from core.daemon import Daemon
from core.errors import Busy
from core.mapping.book import MappingBook
from core.reporter import Reporter
from core.serving import hook_spec
from core.simulation.journal import Journal
from core.simulation.loop import OWNER, MachineClock, Tasks, VirtualLoop
from core.simulation.mailing import Sender
from core.simulation.wires import Network, ask
from core.web.receiver import Receiver, ReceiverLimits

T = TypeVar("T")

#: A supervisor starts a program that ended again after so long.
RESTART_S = (1.0, 30.0)
#: What a daemon of today does every few seconds, a simulated one does now and then: a day has
#: many, and each of them only looks.
LOOKS_S, ROUNDS_S = 300.0, 60.0
#: More pages than any state has.
_PAGES_MAX = 2**30
#: Rounds of cancelling until the last task of a dead process is gone.
_ROUNDS = 200


class Schedule:
    """Wakes jobs in virtual time; the part of APScheduler that the daemon uses."""

    def __init__(self) -> None:
        self._jobs: list[tuple[Callable[[], Awaitable[None]], float]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def running(self) -> bool:
        return bool(self._tasks)

    def add_job(self, func: Callable[[], Awaitable[None]], trigger: str, **words: Any) -> None:
        assert trigger == "interval", "the daemon knows no other"
        self._jobs.append((func, float(words["seconds"])))

    def get_jobs(self) -> list[Any]:
        """None whose next time could be wrong: they follow the counter, not the clock."""
        return []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(_again(job, s), name="job") for job, s in self._jobs]

    def shutdown(self, wait: bool) -> None:  # noqa: ARG002 - APScheduler's signature
        for task in self._tasks:
            task.cancel()
        self._tasks = []


async def _again(job: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await job()


@dataclass(slots=True, eq=False)
class Process:
    """One life of the daemon."""

    number: int
    tasks: Tasks = field(default_factory=dict)
    alive: bool = True
    app: App | None = None
    daemon: Daemon | None = None
    receiver: Receiver | None = None


class Machine:
    """Starts the daemon and starts it again, as a supervisor does."""

    def __init__(
        self,
        config: Callable[[], Config],
        book: Callable[[], MappingBook | None],
        network: Network,
        clock: MachineClock,
        loop: VirtualLoop,
        journal: Journal,
        sender: Sender | None = None,
    ) -> None:
        self._config = config
        self._sender = sender
        self._book = book
        self._network = network
        self._loop = loop
        self._journal = journal
        self._chance = network.scenario.chance("machine")
        self._ended = asyncio.Event()
        self.clock = clock
        self.process: Process | None = None
        self.lives = 0
        #: Hears of a start that failed for no reason of the machine.
        self.failed: Callable[[str], None] = lambda _: None
        self.on_ready: list[Callable[[App], None]] = []
        self.while_down: list[Callable[[], None]] = []
        self._disk_is_full = False

    @property
    def app(self) -> App | None:
        """Of the daemon that runs and is ready now."""
        process = self.process
        return process.app if process is not None and process.receiver is not None else None

    @property
    def state(self) -> Path:
        return self._config().state

    async def run(self) -> None:
        """For ever: start, wait for the end of that process, start again."""
        while True:
            self._ended.clear()
            process = self.process = Process(number=self.lives)
            self.lives += 1
            self.clock.boot()
            context = copy_context()
            context.run(OWNER.set, process.tasks)
            context.run(self._loop.create_task, self._live(process), name="main", context=context)
            await self._ended.wait()
            await asyncio.sleep(self._chance.uniform(*RESTART_S))
            for act in self.while_down:
                act()
            self.while_down.clear()

    async def _live(self, process: Process) -> None:
        """What `truecount run` does, without ports."""
        try:
            await self._start(process)
        except Busy as error:  # it exits, and is started again
            self._journal.note("machine", f"did not start: {error.reason}")
            await self._end(process)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends with its name
            self.failed(f"the daemon did not start: {type(error).__name__}: {error}")
            return
        self._journal.note("machine", f"life {process.number} is ready")
        assert process.app is not None
        for tell in self.on_ready:
            tell(process.app)

    async def _start(self, process: Process) -> None:
        seed = self._chance.getrandbits(32)
        app = process.app = build(
            self._config(),
            self.clock,
            rng=random.Random(seed),  # noqa: S311 - jitter only
            transports=lambda name: self._network.wire(name, lambda: process.alive),
            book=self._book(),
        )
        daemon = process.daemon = Daemon(app, schedule=Schedule)
        daemon.rounds.every_s = ROUNDS_S
        daemon.jobs += [
            ("gauges", partial(serving.gauges, app), LOOKS_S),
            ("subscriptions", partial(subscriptions.ensure, app), subscriptions.EVERY_S),
            ("retention", partial(retention.forget, app), retention.EVERY_S),
            ("drift", partial(drift.watch, app), LOOKS_S),
            ("mappings", mappings_in_force.OnSave(app).look, LOOKS_S),
        ]
        if self._sender is not None:
            child = self._sender.child(app.config, lambda: process.alive)
            daemon.jobs.append(("report", Reporter(app, child).send_if_due, LOOKS_S))
        await daemon.start()
        if self._disk_is_full:
            _limit(app, 1)

        def kept() -> None:
            app.kept()
            daemon.wake("intake")

        process.receiver = Receiver(
            hooks={
                n: spec
                for n, s in app.config.systems.items()
                if (spec := hook_spec(s, app.config.listen.public_url))
            },
            store=app.store,
            seal=app.seal,
            clock=app.clock,
            limits=ReceiverLimits(),
            on_kept=kept,
            metrics=app.metrics,
            backlog=lambda: app.backlog,
        )
        await subscriptions.ensure(app)

    # -------------------------------------------------------------- its end

    async def stop(self) -> None:
        """TERM: it finishes what it has begun."""
        process = self.process
        if process is None or process.receiver is None or not process.alive:
            return
        self._journal.note("machine", f"life {process.number} is told to stop")
        process.receiver.closing = True
        await self._end(process)

    async def _end(self, process: Process) -> None:
        if process.daemon is not None:
            with contextlib.suppress(Busy):
                await process.daemon.stop()
        await self.crash()

    async def crash(self) -> None:
        """KILL: nothing of it goes on, at whatever await it stood."""
        process, self.process = self.process, None
        if process is None:
            return
        process.alive = False
        self._journal.note("machine", f"life {process.number} ends")
        if process.app is not None:
            _cut(process.app)
        me = asyncio.current_task()
        for _ in range(_ROUNDS):
            left = [task for task in process.tasks if task is not me]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.sleep(0)
        self._ended.set()

    # -------------------------------------------------------------- its disk

    def fill_disk(self) -> None:
        """From now on the state cannot grow (H3)."""
        self._disk_is_full = True
        if self.app is not None:
            _limit(self.app, 1)

    def free_disk(self) -> None:
        self._disk_is_full = False
        if self.app is not None:
            _limit(self.app, _PAGES_MAX)

    # -------------------------------------------------------------- the way in

    async def receive(self, system: str, headers: Mapping[str, str], body: bytes) -> int:
        """One push at the hooks port. 0: nobody listens, or died before it answered."""
        process = self.process
        if process is None or process.receiver is None:
            return 0
        request = httpx.Request(
            "POST", f"http://truecount/hooks/{system}", headers=dict(headers), content=body
        )
        reply = await self._inside(process, ask(process.receiver, request, request.url.path, body))
        return 0 if reply is None else int(reply.status)

    async def operate(self, verb: str, words: dict[str, Any]) -> bool:
        """A person's word at the operations port; False where nobody heard or could keep it."""
        process = self.process
        if process is None or process.receiver is None or process.app is None:
            return False
        return await self._inside(process, operate.operate(process.app, verb, words)) is not None

    async def _inside(self, process: Process, asked: Coroutine[Any, Any, T]) -> T | None:
        """A task of that process; None if it died, or failed, before it was done."""
        context = copy_context()
        context.run(OWNER.set, process.tasks)
        task = context.run(self._loop.create_task, asked, name="asked", context=context)
        await asyncio.wait([task])
        if task.cancelled() or task.exception() is not None:
            return None
        return task.result()


def _limit(app: App, pages: int) -> None:
    """SQLite's own limit, never below what there is: more is SQLITE_FULL."""
    connection = app.store._connection
    assert connection is not None
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def _cut(app: App) -> None:
    """Its connections close, and what was not committed never was."""
    store = app.store
    store.closing = True
    if store._connection is not None:
        store._connection.invalidate()
    store._reader.dispose()
