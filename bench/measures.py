"""What is measured. Every case runs its floor in the same round, before it; rounds interleave."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bench import exact
from bench.fakes import sku
from bench.load import (
    Burst,
    Lines,
    Market,
    Sale,
    closed,
    fdatasync_floor,
    opened,
)
from bench.stage import HOOK_SECRET, SKUS, UNITS, Database, Process, Stage
from core.cli.scene import Remote

DRAIN_S = 240.0
#: Orders on their way at most while a sustained rate is measured.
WINDOW = 32
#: How long the daemon is watched doing nothing.
REST_S = 5.0


@dataclass(slots=True)
class Figures:
    """All rounds of one case of one subject; a figure is the median of its rounds."""

    measure: str
    case: str
    who: str
    rounds: list[dict[str, float]] = field(default_factory=list)

    def median(self, key: str) -> float | None:
        values = [each[key] for each in self.rounds if key in each]
        return statistics.median(values) if values else None


@dataclass(slots=True)
class Play:
    """One daemon with its fakes and its floor, and everything ever sent to it."""

    stage: Stage
    rounds: int
    quick: bool
    fakes: Process
    floor: Process
    daemon: Process
    market: Market
    floor_market: Market
    lines: Lines
    floor_lines: Lines
    database: Database
    remote: Remote
    figures: list[Figures] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    at_rest_mib: float = 0.0
    at_rest_busy: float = 0.0
    profiled: bool = False

    @classmethod
    async def begin(
        cls, stage: Stage, *, rounds: int, quick: bool, profile_to: Path | None
    ) -> Play:
        fakes, floor = stage.start_fakes(), stage.start_floor()
        daemon = stage.start_daemon(stage.folder / "state", profile_to=profile_to)
        stage.ready(daemon)
        skus = [sku(index) for index in range(SKUS)]
        play = cls(
            stage=stage,
            rounds=rounds,
            quick=quick,
            fakes=fakes,
            floor=floor,
            daemon=daemon,
            market=Market(stage.shops, skus, HOOK_SECRET),
            floor_market=Market(stage.floors, skus, HOOK_SECRET, prefix="F"),
            lines=Lines(stage.hooks_port),
            floor_lines=Lines(stage.floor_port),
            database=Database(stage.folder / "state" / "truecount.db"),
            remote=Remote(stage.fakes_port),
            profiled=profile_to is not None,
        )
        await play._first_pass()
        return play

    async def _first_pass(self) -> None:
        """Until stock is read and every channel was told every number once."""
        began = time.perf_counter()
        channels = self.stage.channels
        while not self.database.swept(channels):
            if time.perf_counter() - began > DRAIN_S:
                raise RuntimeError("the first sweep did not end; see daemon.log")
            await asyncio.sleep(0.1)
        seconds = time.perf_counter() - began
        self.notes.append(
            f"first sweep: {SKUS} SKUs on {channels} channels told in {seconds:.1f} s"
        )
        await asyncio.sleep(2.0)
        before = self.daemon.cpu_s()
        await asyncio.sleep(REST_S)
        self.at_rest_busy = (self.daemon.cpu_s() - before) / REST_S
        self.at_rest_mib = self.daemon.memory_mib()
        if self.profiled:
            self.daemon.popen.send_signal(signal.SIGUSR1)  # the first sweep is not what we ask

    def figure(self, measure: str, case: str, who: str, **values: float) -> None:
        for each in self.figures:
            if (each.measure, each.case, each.who) == (measure, case, who):
                each.rounds.append(values)
                return
        self.figures.append(Figures(measure, case, who, [values]))

    async def drain(self) -> float:
        """Seconds until nothing waits any more."""
        began = time.perf_counter()
        while (waiting := self.database.waiting()) and time.perf_counter() - began < DRAIN_S:
            await asyncio.sleep(0.1)
        if waiting:
            self.wrong.append(f"{waiting} things still wait after {DRAIN_S:g} s")
        return time.perf_counter() - began

    def check(self, measure: str) -> None:
        found = exact.all_of_it(self.market, self.database, self.remote, self.stage.shops)
        self.wrong += [f"{measure}: {words}" for words in found]

    def end(self) -> None:
        self.lines.close()
        self.floor_lines.close()
        self.database.close()
        self.remote.close()


async def timed(process: Process, work: Awaitable[Burst]) -> tuple[Burst, dict[str, float]]:
    """A burst and its figures, with the CPU time of the process under test."""
    before = process.cpu_s()
    burst = await work
    cpu_s = process.cpu_s() - before
    answered = max(1, burst.answered)
    return burst, {
        "per_second": burst.per_second,
        "p50_ms": percentile(burst.latencies_ms, 50),
        "p99_ms": percentile(burst.latencies_ms, 99),
        "cpu_ms": cpu_s * 1000 / answered,
        "refused": float(burst.refused),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


# ------------------------------------------------------------------ 1 webhook -> durable 2xx


async def intake(play: Play) -> None:
    """The whole daemon works behind the 2xx: each push is a new order, told to all systems.
    Then as many pushes that bring nothing new: kept and decided, but nobody is told."""
    few = play.quick
    nobody = Market(play.stage.floors, play.market.skus, HOOK_SECRET, lambda _: "/ack", "A")

    def loop(name: str) -> Callable[[Lines, list[Sale]], Awaitable[Burst]]:
        match name:
            case "1 at once":
                return lambda lines, sales: closed(lines, sales, 1)
            case "32 at once":
                return lambda lines, sales: closed(lines, sales, 32)
            case "open loop 50/s":
                return lambda lines, sales: opened(lines, sales, 50)
        return lambda lines, sales: opened(lines, sales, 500)

    cases = {
        "1 at once": 30 if few else 60,
        "32 at once": 96 if few else 192,
        "open loop 50/s": 50 if few else 100,
        "open loop 500/s": 100 if few else 250,
    }
    for _ in range(play.rounds):
        for case, count in cases.items():
            disk = await asyncio.to_thread(fdatasync_floor, play.stage.folder, count)
            if case == "1 at once":
                play.figure("intake", case, "append+fdatasync", **_plain(disk))
            run = loop(case)
            _, floor = await timed(play.floor, run(play.floor_lines, nobody.sales(count)))
            play.figure("intake", case, "floor: same server, no store", **floor)
            began_cpu = play.daemon.cpu_s()
            burst, ours = await timed(play.daemon, run(play.lines, play.market.sales(count)))
            drain_s = await play.drain()
            whole = play.daemon.cpu_s() - began_cpu
            ours |= {
                "drain_per_second": burst.answered / (burst.seconds + drain_s),
                "cpu_ms_whole": whole * 1000 / max(1, burst.answered),
            }
            play.figure("intake", case, "daemon", **ours)
            again = play.market.again(count)
            _, known = await timed(play.daemon, run(play.lines, again))
            await play.drain()
            play.figure("intake", case, "daemon, known orders", **known)
    play.check("intake")


def _plain(burst: Burst) -> dict[str, float]:
    return {
        "per_second": burst.per_second,
        "p50_ms": percentile(burst.latencies_ms, 50),
        "p99_ms": percentile(burst.latencies_ms, 99),
    }


# ------------------------------------------------------------------ 2 webhook -> last push


async def reach(play: Play) -> None:
    """From before the webhook is sent until the last channel has the number."""
    play.floor_market.path = lambda _: "/relay"
    cases = {"idle, 2/s": (2.0, 8 if play.quick else 16), "under 50/s": (50.0, 100)}
    if not play.quick:
        cases["under 50/s"] = (50.0, 200)
    for _ in range(play.rounds):
        for case, (per_second, count) in cases.items():
            left = _left(play.floor_market)
            sales = play.floor_market.sales(count)
            await opened(play.floor_lines, sales, per_second)
            await asyncio.sleep(0.5)
            floors = _reached(play, play.stage.floors, sales, left)
            play.figure("reach", case, "floor: relay, no store", **floors)
            left = _left(play.market)
            sales = play.market.sales(count)
            before = play.daemon.cpu_s()
            await opened(play.lines, sales, per_second)
            await play.drain()
            ours = _reached(play, play.stage.shops, sales, left)
            ours["cpu_ms_whole"] = (play.daemon.cpu_s() - before) * 1000 / count
            play.figure("reach", case, "daemon", **ours)
    play.check("reach")


def _left(market: Market) -> dict[str, int]:
    """What every channel should show now, by all that was sold so far."""
    left = dict.fromkeys(market.skus, UNITS)
    for sale in market.made:
        if sale.acknowledged:
            for word, units in sale.lines:
                left[word] -= units
    return left


def _reached(
    play: Play, channels: Sequence[str], sales: Sequence[Sale], left: dict[str, int]
) -> dict[str, float]:
    began = sales[0].sent_at
    writes: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for name in channels:
        for row in play.remote(name, "stock_writes"):
            at = datetime.fromisoformat(row["at"]).timestamp()
            if at >= began:
                writes[name, row["sku"]].append((at, row["quantity"]))
    waits, missing = [], 0
    for sale in sales:
        last = sale.sent_at
        for word, units in sale.lines:
            left[word] -= units
            for name in channels:
                seen = [at for at, shown in writes[name, word] if shown <= left[word]]
                missing += not seen
                last = max([last, *seen[:1]])
        waits.append((last - sale.sent_at) * 1000)
    if missing:
        play.wrong.append(f"reach: {missing} numbers never came to {channels[0]} and its like")
    return {"p50_ms": percentile(waits, 50), "p99_ms": percentile(waits, 99)}


# ------------------------------------------------------------------ 3 sustained


async def sustained(play: Play) -> None:
    """As fast as everything behind the 2xx follows: at most WINDOW orders are on their way."""
    seconds = 8.0 if play.quick else max(8.0, 60.0 / play.rounds)
    play.floor_market.path = lambda _: "/through"
    for _ in range(play.rounds):
        floor = await _floor_through(play, 1.0 if play.quick else 3.0)
        play.figure("sustained", "8 channels, WMS, ERP", "floor: same calls, no store", **floor)
        ours = await _windowed(play, seconds)
        play.figure("sustained", "8 channels, WMS, ERP", "daemon", **ours)
    play.check("sustained")


async def _floor_through(play: Play, seconds: float) -> dict[str, float]:
    before, began, done = play.floor.cpu_s(), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        burst = await closed(play.floor_lines, play.floor_market.sales(64), 16)
        done += burst.answered
    spent = time.perf_counter() - began
    return {"per_second": done / spent, "cpu_ms": (play.floor.cpu_s() - before) * 1000 / done}


@dataclass(slots=True)
class _Mark:
    """Where everything stood at one moment."""

    at: float
    ours_s: float
    fakes_s: float
    done: int
    calls: int

    @classmethod
    def of(cls, play: Play, sent: int) -> _Mark:
        return cls(
            at=time.perf_counter(),
            ours_s=play.daemon.cpu_s(),
            fakes_s=play.fakes.cpu_s(),
            done=sent - play.database.undone(),
            calls=play.database.number("SELECT count(*) FROM told"),
        )


async def _windowed(play: Play, seconds: float, orders_max: int = 1_000_000) -> dict[str, float]:
    """The rate from when the window was full and its first orders were through, to the end."""
    latencies: list[float] = []
    began, sent, first = time.perf_counter(), 0, None
    while time.perf_counter() - began < seconds and sent < orders_max:
        undone = play.database.undone()
        room = min(WINDOW - undone, orders_max - sent)
        if room > 0:
            burst = await closed(play.lines, play.market.sales(room), 16)
            latencies += burst.latencies_ms
            sent += burst.answered
        elif first is None and sent - undone > WINDOW // 2:
            first = _Mark.of(play, sent)
        await asyncio.sleep(0.02)
    last = _Mark.of(play, sent)
    tail_s = await play.drain()
    if first is None or last.done <= first.done:
        return {"tail_s": tail_s}
    done, spent = last.done - first.done, last.at - first.at
    return {
        "per_second": done / spent,
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
        "cpu_ms": (last.ours_s - first.ours_s) * 1000 / done,
        "busy": (last.ours_s - first.ours_s) / spent,
        "fakes_cpu_ms": (last.fakes_s - first.fakes_s) * 1000 / done,
        "publish_calls": (last.calls - first.calls) / done,
        "tail_s": tail_s,
    }


# ------------------------------------------------------------------ 4 memory


async def memory(play: Play, orders: int, seconds_max: float) -> None:
    """Resident memory at rest, then as orders pass through. Stops early rather than run long."""
    play.figure("memory", "at rest", "daemon", mib=play.at_rest_mib, busy=play.at_rest_busy)
    began, already = time.perf_counter(), len(play.market.made)
    step, samples = max(500, orders // 16), [_sample(play, 0.0)]
    while len(play.market.made) < orders and time.perf_counter() - began < seconds_max:
        left_s = seconds_max - (time.perf_counter() - began)
        await _windowed(play, left_s, min(step, orders - len(play.market.made)))
        samples.append(_sample(play, time.perf_counter() - began))
        if len(samples) % 4 == 1:
            after = f"after {len(play.market.made)} orders"
            play.figure("memory", after, "daemon", mib=samples[-1].mib)
    await asyncio.sleep(2.0)
    count = len(play.market.made)
    size = sum(path.stat().st_size for path in (play.stage.folder / "state").glob("*.db*"))
    play.figure(
        "memory",
        f"after {count} orders, at rest",
        "daemon",
        mib=play.daemon.memory_mib(),
        peak_mib=play.daemon.memory_mib("VmHWM"),
    )
    play.notes.append(
        f"memory: {count} of the {orders} orders asked for ({already} of them by the measures"
        f" before); database {size / 1e6:.0f} MB, {size / max(1, count) / 1000:.1f} kB an order"
    )
    play.notes.append(_slopes(samples))
    play.check("memory")


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    mib: float
    files: float
    wal_mb: float


def _sample(play: Play, at_s: float) -> _Sample:
    wal = (play.stage.folder / "state").glob("*.db-wal")
    return _Sample(
        at_s,
        play.daemon.memory_mib(),
        play.daemon.files(),
        sum(path.stat().st_size for path in wal) / 1e6,
    )


def _slopes(samples: Sequence[_Sample]) -> str:
    """What grows by the hour, by the samples of the second half: the first still warms up."""
    half = samples[len(samples) // 2 :]
    if len(half) < 3:
        return "memory: too short for a slope"
    at = [one.at_s / 3600 for one in half]
    words = []
    for name, what in (("mib", "MiB resident"), ("files", "open files"), ("wal_mb", "MB of log")):
        values = [getattr(one, name) for one in half]
        slope = statistics.linear_regression(at, values).slope
        words.append(f"{what} {values[0]:.0f} to {values[-1]:.0f} ({slope:+.1f} an hour)")
    return f"memory: in the last {half[-1].at_s - half[0].at_s:.0f} s {', '.join(words)}"
