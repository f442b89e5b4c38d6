"""What a measure inside one process notes: CPU and wall time, figures, and what was not exact.

Run as a process of its own by `bench.run`, from the copy of the program, so that no
other measure's heap or imports are in its figures.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import orjson
import uvloop

from bench.measures import Figures, percentile
from core import logs


@dataclass(slots=True)
class Meter:
    """`with meter:` around each change. The CPU is this whole process's, its commit thread too."""

    cpu_s: float = 0.0
    walls_ms: list[float] = field(default_factory=list)
    _cpu: float = 0.0
    _wall: float = 0.0

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cpu_s += time.process_time() - self._cpu
        self.walls_ms.append((time.perf_counter() - self._wall) * 1000)

    def values(self, changes: int) -> dict[str, float]:
        found = {
            "cpu_ms": self.cpu_s * 1000 / changes,
            "per_second": changes * 1000 / sum(self.walls_ms),
        }
        if len(self.walls_ms) == changes:
            found["p50_ms"] = percentile(self.walls_ms, 50)
            found["p99_ms"] = percentile(self.walls_ms, 99)
        return found


@dataclass(slots=True)
class Record:
    """Everything one such process found out."""

    folder: Path
    rounds: int
    quick: bool
    figures: list[Figures] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def figure(self, measure: str, case: str, who: str, values: dict[str, float]) -> None:
        for each in self.figures:
            if (each.measure, each.case, each.who) == (measure, case, who):
                each.rounds.append(values)
                return
        self.figures.append(Figures(measure, case, who, [values]))


def main(measure: Callable[[Record], Awaitable[None]]) -> int:
    """`python -m bench.offers --out FILE`: measure, and write what was found as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--log", default="info")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="truecount-bench-") as name:
        record = Record(Path(name), asked.rounds, asked.quick)
        log = record.folder / "program.log"
        with log.open("w", encoding="utf-8") as stream:
            logs.set_up(level=asked.log, form="json", stream=stream)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_awaited(measure(record)))
        errors = [line for line in log.read_text("utf-8").splitlines() if '"level":"error"' in line]
        record.wrong += [f"the program logged: {line[:400]}" for line in errors[:5]]
    found = {"figures": record.figures, "wrong": record.wrong, "notes": record.notes}
    asked.out.write_bytes(orjson.dumps(found))
    return 0


async def _awaited(measuring: Awaitable[None]) -> None:
    await measuring


def measured(
    module: str, program: Path, words: Sequence[str]
) -> tuple[list[Figures], list[str], list[str]]:
    """Run one of these as a process of its own, in the copy of the program."""
    out = program.parent / f"{module}.json"
    run = [sys.executable, "-m", f"bench.{module}", "--out", str(out), *words]
    subprocess.run(run, cwd=program, check=True)
    found = orjson.loads(out.read_bytes())
    return [Figures(**each) for each in found["figures"]], found["wrong"], found["notes"]
