"""One seed from beginning to verdict."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from core.clock import stamp
from core.config import Config, load_config
from core.mapping.book import Loaded, MappingBook
from core.proof import silent
from core.simulation import listening
from core.simulation.business import HOUR, START, Stop
from core.simulation.journal import Journal
from core.simulation.judge import Judge
from core.simulation.loop import Deadlock, MachineClock, TrueTime, VirtualLoop
from core.simulation.machine import Machine
from core.simulation.mailing import Sender
from core.simulation.people import People
from core.simulation.post import Post
from core.simulation.scenario import MINUTE, Scenario, Shock, draw
from core.simulation.wires import Network
from core.simulation.world import (
    POST,
    World,
    cast_folder,
    configuration,
    environment,
    kinds,
    own_connectors,
    write_files,
)
from core.store import backup

#: Once everything works and nobody buys, all has to be true within this time.
QUIET_S = 6 * HOUR
LOOK_S = 5 * MINUTE
#: A push that is late arrives within this time.
LATE_S = 2 * HOUR
#: A push that nobody took is sent again so often, and then lost.
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one seed came to. `wrong`: what did not hold, and when; none is the aim."""

    seed: int
    hours: float
    digest: str
    wrong: tuple[str, ...]
    simulated_s: float
    orders: int
    calls: int
    lives: int


def run(seed: int, *, hours: float = 24.0, tell: Callable[[str], None] | None = None) -> Verdict:
    """Simulate one seed. `tell` hears every line of its journal."""
    scenario = draw(seed, hours, kinds())
    return simulate(scenario, tell=tell)


def simulate(scenario: Scenario, *, tell: Callable[[str], None] | None = None) -> Verdict:
    loop = VirtualLoop(scenario.chance("threads"))
    place = Path("/dev/shm")  # noqa: S108 - the state lies in a folder of its own below it
    with tempfile.TemporaryDirectory(
        prefix="truecount-", dir=place if place.is_dir() else None
    ) as folder:
        try:
            asyncio.set_event_loop(loop)
            run = Run(scenario, Path(folder), loop, tell)
            with listening.to_bugs(run.judge.bug):
                try:
                    loop.run_until_complete(run.play())
                except Deadlock as stuck:
                    run.judge.wrong(str(stuck))
                except Exception:  # noqa: BLE001 - a slip of the simulation is one of this seed
                    run.judge.wrong(f"the simulation itself failed: {traceback.format_exc()}")
                verdict = run.verdict()
                loop.bury()
            return verdict
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class Run:
    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        loop: VirtualLoop,
        tell: Callable[[str], None] | None,
    ) -> None:
        self.scenario = scenario
        self.folder = folder
        self.loop = loop
        self.true = TrueTime(loop, START)
        self.journal = Journal(loop.time, tell)
        self.world = World(scenario, self.true, self.carry)
        self.network = Network(scenario, self.world, loop, self.journal)
        self.clock = MachineClock(self.true)
        self.sender = self._sender()
        self.machine = Machine(
            lambda: self.config,
            self.book,
            self.network,
            self.clock,
            loop,
            self.journal,
            self.sender,
        )
        self.judge = Judge(scenario, self.world, self.network, self.machine, loop, self.sender)
        self.machine.failed = self.judge.bug
        self.machine.on_ready.append(self.judge.ready)
        self.people = People(scenario, self.world, loop, self.journal, self.judge.acted)
        self.network.after_call.append(self.judge.after_call)
        self._push_chance = scenario.chance("pushes")

    def _sender(self) -> Sender | None:
        habits, chance = self.scenario.business.mail, self.scenario.chance
        if habits is None:
            return None

        def reachable() -> bool:
            return self.network.outage_of(POST) is None

        def tell(what: str) -> None:
            self.journal.note("post", what)

        post = Post(habits, chance("post"), self.clock.now, reachable, tell)
        return Sender(post, self.clock, self.loop, chance("sender"))

    @cached_property
    def config(self) -> Config:
        path = self.folder / "config.yaml"
        path.write_text(configuration(self.scenario, self.mappings), encoding="utf-8")
        write_files(self.scenario.business, self.folder)
        (self.folder / "state").mkdir()
        own = own_connectors(self.scenario, self.folder / "connectors")
        return load_config(path, environment(self.scenario), own)

    @cached_property
    def mappings(self) -> Path:
        """Ours; a copy of its own for who edits them."""
        if not self.scenario.edits_mappings:
            return _mappings()
        for connector in sorted({one.connector for one in self.scenario.cast}):
            shutil.copytree(_mappings() / connector, self.folder / "mappings" / connector)
        return self.folder / "mappings"

    def book(self) -> MappingBook | None:
        """What every start reads anew where somebody edits them, and else is read once."""
        return None if self.scenario.edits_mappings else _book(self.config)

    # -------------------------------------------------------------- the course of it

    def verdict(self) -> Verdict:
        return Verdict(
            seed=self.scenario.seed,
            hours=self.scenario.hours,
            digest=self.journal.digest,
            wrong=tuple(self.judge.found),
            simulated_s=self.loop.time(),
            orders=self.people.sold,
            calls=self.network.calls,
            lives=self.machine.lives,
        )

    async def play(self) -> None:
        self.journal.note("scenario", f"seed {self.scenario.seed}")
        await self.world.open()
        running = self.loop.spawn(self.machine.run())
        self.people.come()
        watching = self.loop.spawn(self._watch())
        shocks = self.loop.spawn(self._shocks())
        stops = [self.loop.spawn(self._stop_sell(one)) for one in self.scenario.business.stops]
        try:
            if await self._goes_well(self.scenario.end_s):
                await self._rest()
        finally:
            for task in (running, watching, shocks, *stops):
                task.cancel()
            await asyncio.gather(running, watching, shocks, *stops, return_exceptions=True)
            await self.machine.crash()
            await self.people.leave()

    async def _goes_well(self, seconds: float) -> bool:
        """Let so much time pass; False as soon as something is wrong."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.judge.ended.wait()
        return not self.judge.found

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.judge.look_inside()

    async def _shocks(self) -> None:
        for shock in self.scenario.shocks:
            await asyncio.sleep(max(0.0, shock.at_s - self.loop.time()))
            self.loop.spawn(self._shock(shock))

    async def _shock(self, shock: Shock) -> None:
        """Something happens to the machine; what it began is over once the world is healed."""
        self.journal.note("machine", f"{shock.kind} {shock.size:g}")
        lasts_s = min(shock.size, self.scenario.end_s - self.loop.time())
        match shock.kind:
            case "crash":
                await self.machine.crash()
            case "stop":
                await self.machine.stop()
            case "disk_full":
                self.machine.fill_disk()
                await asyncio.sleep(lasts_s)
                self.machine.free_disk()
            case "clock":
                self.clock.skew_s += shock.size
            case "reload":
                await self._edit(lasts_s)
            case "restore":
                await self._restore(lasts_s)

    async def _stop_sell(self, stop: Stop) -> None:
        """A person stops a sale, and resumes it; who is not heard says it again."""
        what = {"sku": stop.sku, "channel": stop.channel, "by": "Mia"}
        for at_s, verb in ((stop.began_s, "stop-sell"), (stop.ended_s, "resume-sell")):
            await asyncio.sleep(max(0.0, at_s - self.loop.time()))
            words = what | {"reason": "a recall"} if verb == "stop-sell" else what
            while not await self.machine.operate(verb, words):
                await asyncio.sleep(MINUTE)
            self.journal.note("people", f"{verb} {stop.sku} {stop.channel}")

    async def _edit(self, broken_s: float) -> None:
        """A mapping is saved: with one comment more, or half of it first (H34)."""
        files = sorted(path for path in self.mappings.rglob("*.yaml") if ".test." not in path.name)
        file = self.scenario.chance(f"edit:{self.loop.time()}").choice(files)
        text = file.read_text("utf-8")
        if broken_s:
            file.write_text(text[: len(text) // 2] + "\n  : [", encoding="utf-8")
            await asyncio.sleep(broken_s)
        file.write_text(f"{text}\n# Looked at.\n", encoding="utf-8")

    async def _restore(self, age_s: float) -> None:
        """A backup is taken; so much later the machine is lost, and it is put back (H38)."""
        if self.machine.app is None:
            return
        taken_s, file = self.loop.time(), self.folder / f"{self.loop.time():.0f}.backup"
        state, key_id = self.config.state, self.machine.app.seal.key_id
        backup.save(state, file, key_id=key_id, at=stamp(self.clock.now()), tell=silent)
        await asyncio.sleep(age_s)

        def put_back() -> None:
            self.journal.note("machine", f"gets its state of {age_s:.0f} s ago")
            now = stamp(self.clock.now())
            backup.put_back(file, state, at=now, stamp=file.stem, tell=silent)
            self.judge.restored(taken_s)

        self.machine.while_down.append(put_back)
        await self.machine.crash()

    async def _rest(self) -> None:
        """Everything works again and nobody buys: within a while all must be true."""
        self.journal.note("world", "is healed")
        self.network.heal()
        if self.sender is not None:
            self.sender.post.behave()
        await self.people.leave()
        until = self.loop.time() + QUIET_S
        while await self._goes_well(LOOK_S):
            await self.people.pack_everything()
            left = self.judge.unsettled()
            if not left:
                self.judge.at_the_end()
                return
            if self.loop.time() > until:
                self.judge.wrong(f"not at rest after {QUIET_S / HOUR:g} h: {'; '.join(left[:8])}")
                return

    # -------------------------------------------------------------- pushes

    def carry(self, system: str, headers: Mapping[str, str], body: bytes) -> int:
        """A push leaves its system; it never waits for what becomes of it."""
        chance, faults = self._push_chance, self.network.faults
        lost = chance.random() < faults.push_lost
        late_s = chance.uniform(0, LATE_S) if chance.random() < faults.push_late else 0.0
        times = 1 + (chance.random() < faults.push_twice)
        if lost:
            self.journal.note(system, "a push is lost")
            return 202
        for _ in range(times):
            seconds = late_s + chance.uniform(0.01, 0.5)
            self.loop.spawn(self._push(system, dict(headers), body, seconds))
        return 202

    async def _push(
        self, system: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> None:
        for attempt in range(TRIES):
            await asyncio.sleep(seconds if not attempt else 30.0 * 4**attempt)
            if self.network.outage_of(system):
                continue
            status = await self.machine.receive(system, headers, body)
            self.journal.note(system, f"pushes  {status}")
            if 200 <= status < 300:
                self.judge.acknowledged(system, headers, body)
                return


# ------------------------------------------------------------------ read once

_LOADED: dict[tuple[str, ...], Loaded] = {}


def _mappings() -> Path:
    return cast_folder().parent / "mappings"


def _book(config: Config) -> MappingBook:
    """A book of its own with what the files say; they are read and compiled once."""
    folders = {one.connector: one.mappings for one in config.systems.values()}
    key = tuple(sorted(folders))
    book = MappingBook(_mappings(), key, folders=folders)
    if key not in _LOADED:
        _LOADED[key] = MappingBook.load(_mappings(), key, folders=folders).in_force
    book.take(_LOADED[key])
    book.started_with = book.marks()
    return book
