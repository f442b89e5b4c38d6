"""`python -m bench.run [NAME …] [--quick] [--json FILE]`: ratios to floors, then exactness.

Names: intake, reach, sustained, surge, memory, startup, snapshot, offers, catalog; without
one, all of them. Exit code 1 when something was not exact. No time is ever asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import uvloop

from bench import measures
from bench.measures import Figures, Play
from bench.record import measured
from bench.stage import ROOT, Stage
from bench.startup import WAITING, Startups
from bench.surge import surge

#: Measured inside one process of their own, without HTTP.
INSIDE = ("snapshot", "offers", "catalog")
NAMES = ("intake", "reach", "sustained", "surge", "memory", "startup", *INSIDE)
#: Those that need no daemon with its fakes around it.
APART = {"startup", *INSIDE}
RESULTS = ROOT / "bench" / "results"
COLUMNS = (
    ("per_second", "per s", "{:.0f}"),
    ("p50_ms", "p50 ms", "{:.1f}"),
    ("p99_ms", "p99 ms", "{:.1f}"),
    ("cpu_ms", "CPU ms each", "{:.2f}"),
    ("cpu_ms_whole", "… to the end", "{:.2f}"),
    ("ready_ms", "ready ms", "{:.0f}"),
    ("mib", "MiB", "{:.0f}"),
)


def machine(revision: str) -> dict[str, Any]:
    ask = ["git", "describe", "--always", revision or "--dirty"]
    commit = subprocess.run(ask, cwd=ROOT, capture_output=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.decode().strip() or "unknown",
        "cores": os.cpu_count(),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "uvloop": version("uvloop"),
        "httpx": version("httpx"),
        "sqlalchemy": version("sqlalchemy"),
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def main() -> int:
    asked = _asked()
    before = machine(asked.commit)
    began = time.perf_counter()
    figures, wrong, notes = _measured(asked)
    after = [round(each, 2) for each in os.getloadavg()]
    text = report(figures, wrong, notes, before, after)
    print(text)
    print(f"\n{time.perf_counter() - began:.0f} s in all")
    found = {
        "machine": before,
        "load_after": after,
        "quick": asked.quick,
        "rounds": asked.rounds,
        "figures": [
            {"measure": f.measure, "case": f.case, "who": f.who, "rounds": f.rounds}
            for f in figures
        ],
        "wrong": wrong,
        "notes": notes,
    }
    RESULTS.mkdir(exist_ok=True)
    name = before["at"].replace(":", "").replace("+0000", "")
    path = asked.json or RESULTS / f"{name}.json"
    path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    print(f"written to {path}")
    return 1 if wrong else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small counts, about two minutes")
    parser.add_argument("--json", type=Path, help="where to write; default bench/results/")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=8, help="calls in flight per system")
    parser.add_argument("--orders", type=int, help="for memory: 2,000 quick, 20,000 else")
    parser.add_argument("--memory-max-s", type=float, default=240.0)
    parser.add_argument("--waiting", type=int, default=WAITING, help="for startup")
    parser.add_argument("--log", default="info", help="the daemon's log level")
    parser.add_argument("--commit", default="", help="measure this commit, not the folder")
    parser.add_argument("--profile", type=Path, help="sample the daemon, write it there")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there is {', '.join(NAMES)}")
    asked.names = [name for name in NAMES if name in asked.names or not asked.names]
    asked.orders = asked.orders or (2_000 if asked.quick else 20_000)
    return asked


def _measured(asked: argparse.Namespace) -> tuple[list[Figures], list[str], list[str]]:
    figures: list[Figures] = []
    wrong: list[str] = []
    notes = [f"{asked.rounds} rounds, interleaved with their floors; figures are medians"]
    if set(asked.names) - APART:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            play = runner.run(_played(asked))
        figures += play.figures
        wrong += play.wrong
        notes += play.notes
    if "startup" in asked.names:
        with tempfile.TemporaryDirectory(prefix="truecount-bench-") as folder:
            stage = Stage(Path(folder), asked.channels, asked.at_once, asked.log, asked.commit)
            try:
                stage.freeze()
                startups = Startups(stage, asked.rounds, asked.waiting)
                startups.run()
            finally:
                stage.close()
            figures += startups.figures.values()
            wrong += startups.wrong + _complaints(stage)
            notes += startups.notes
    for name in (name for name in asked.names if name in INSIDE):
        print(f"measuring {name} …", file=sys.stderr)
        found = _inside(asked, name)
        figures, wrong, notes = figures + found[0], wrong + found[1], notes + found[2]
    return figures, wrong, notes


def _inside(asked: argparse.Namespace, module: str) -> tuple[list[Figures], list[str], list[str]]:
    """A measure inside one process of its own, in the copy of the program."""
    with tempfile.TemporaryDirectory(prefix="truecount-bench-") as folder:
        stage = Stage(Path(folder), asked.channels, asked.at_once, asked.log, asked.commit)
        stage.freeze()
        words = ["--rounds", str(asked.rounds), "--log", asked.log]
        return measured(module, stage.program, words + ["--quick"] * asked.quick)


async def _played(asked: argparse.Namespace) -> Play:
    with tempfile.TemporaryDirectory(prefix="truecount-bench-") as folder:
        stage = Stage(Path(folder), asked.channels, asked.at_once, asked.log, asked.commit)
        try:
            stage.freeze()
            play = await Play.begin(
                stage, rounds=asked.rounds, quick=asked.quick, profile_to=asked.profile
            )
            for name in asked.names:
                print(f"measuring {name} …", file=sys.stderr)
                if name == "memory":
                    await measures.memory(play, asked.orders, asked.memory_max_s)
                elif name == "surge":
                    await surge(play)
                elif name not in APART:
                    await getattr(measures, name)(play)
            play.end()
        finally:
            stage.close()
        play.wrong += _complaints(stage)
    return play


def _complaints(stage: Stage) -> list[str]:
    """What the daemon itself logged as an error."""
    path = stage.folder / "daemon.log"
    seen: dict[str, int] = {}
    with path.open("rb") as lines:
        for line in lines:
            if b'"level":"error"' in line or b"Traceback" in line:
                words = line.decode("utf-8", "replace").strip()
                words = words if len(words) < 500 else f"{words[:120]} … {words[-380:]}"
                seen[words] = seen.get(words, 0) + 1
    return [f"the daemon logged ({count} times): {words}" for words, count in seen.items()][:5]


# ------------------------------------------------------------------ the table


def report(
    figures: list[Figures],
    wrong: list[str],
    notes: list[str],
    before: dict[str, Any],
    after: list[float],
) -> str:
    head = ["measure", "case", "who", *(title for _, title, _ in COLUMNS), "x floor"]
    rows = [head]
    for each in figures:
        cells = [each.measure, each.case, each.who]
        for key, _, form in COLUMNS:
            value = each.median(key)
            known = value is not None and not math.isnan(value)
            cells.append(form.format(value) if known else "")
        rows.append([*cells, _ratio(each, figures)])
    widths = [max(len(row[index]) for row in rows) for index in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    facts = ", ".join(f"{key} {value}" for key, value in before.items() if key != "at")
    lines += ["", facts, f"load average after: {after}", *notes, *_more(figures), ""]
    lines += [f"NOT EXACT: {words}" for words in wrong] or ["exact: every check held"]
    return "\n".join(line.rstrip() for line in lines)


def _ratio(ours: Figures, figures: list[Figures]) -> str:
    """CPU where both have it, else p50: how many times its floor."""
    if ours.who != "daemon":
        return ""
    for floor in figures:
        if floor.measure != ours.measure or not floor.who.startswith("floor"):
            continue
        if floor.case != ours.case and ours.measure not in ("startup", "catalog"):
            continue
        for key, word in (("ready_ms", "ready"), ("cpu_ms", "CPU"), ("p50_ms", "p50")):
            mine, theirs = ours.median(key), floor.median(key)
            if mine and theirs:
                return f"{mine / theirs:.1f} {word}"
    return ""


def _more(figures: list[Figures]) -> list[str]:
    """What fits no column."""
    lines = []
    for each in figures:
        words = [
            f"{title} {value:.2f}"
            for key, title in (
                ("drain_per_second", "orders/s until all is told"),
                ("busy", "cores used by the daemon"),
                ("fakes_cpu_ms", "CPU ms of the fakes an order"),
                ("publish_calls", "publish calls an order"),
                ("tail_s", "seconds until all is told"),
                ("looks", "looks of a channel a change"),
                ("calls", "calls a change"),
                ("commits", "commits a change"),
                ("peak_mib", "peak MiB"),
                ("shed", "answered 503"),
                ("turned_away", "turned away, too many connections of one address"),
                ("backlog", "pushes kept and not decided, at most"),
                ("zero_ms", "ms from a stop until the last channel shows 0"),
                ("refused", "refused"),
            )
            if (value := each.median(key)) is not None and (key != "refused" or value)
        ]
        if words:
            lines.append(f"{each.measure}, {each.case}, {each.who}: {'; '.join(words)}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
