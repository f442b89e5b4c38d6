"""`simulate`: days of the whole engine in simulated time, one seed each."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from core.cli.proving import Progress
from core.cli.text import emit_json
from core.clock import Clock, SystemClock
from core.simulation.run import Verdict, run
from core.wording import plural

FINE, FINDINGS, WRONG = 0, 1, 2
HOURS = 24.0
HOURS_MAX = 24.0 * 365
#: A failing seed is kept in tests/simulation; what does not hold after so many is not looked at.
BAD_MAX = 10
_SEEDS = re.compile(r"(\d+)(?:\.\.(\d+))?")


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "run days of the whole engine in simulated time, with faults drawn from a seed"
    parser = verbs.add_parser(
        "simulate",
        parents=[shared],
        help=what,
        description=f"{what[0].upper()}{what[1:]}. Needs no configuration and touches no state of"
        " yours. The same seed is the same day, to the last call. Exits with 1 if anything did not"
        " hold, and says how to see that day again.",
    )
    parser.add_argument(
        "--seeds", required=True, metavar="A..B", help="which days: 1..500, or 8123"
    )
    parser.add_argument(
        "--hours", type=float, default=HOURS, help=f"how long each day is (default: {HOURS:g})"
    )
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    seeds = _seeds(options.seeds)
    if seeds is None or not 0 < options.hours <= HOURS_MAX:
        words = f"--seeds {options.seeds!r} is not like 1..500 or 8123"
        if seeds is not None:
            words = f"--hours {options.hours:g} is not between 0 and {HOURS_MAX:g}"
        print(f"truecount simulate: {words}", file=sys.stderr)
        return WRONG
    return simulate(seeds, options, run, SystemClock())


def simulate(
    seeds: range, options: argparse.Namespace, play: Callable[..., Verdict], clock: Clock
) -> int:
    """Play these days, say what they came to. `play(seed, hours=, tell=)` is one of them."""
    began = clock.monotonic()
    found = list(_days(seeds, options, play, Progress(clock, "simulating")))
    spent_s = clock.monotonic() - began
    if options.json:
        emit_json(_summary(found, spent_s) | {"seeds": [asdict(one) for one in found]})
    else:
        _print(found, spent_s)
    return FINDINGS if any(one.wrong for one in found) else FINE


def _seeds(text: str) -> range | None:
    match = _SEEDS.fullmatch(text)
    if match is None:
        return None
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    return range(first, last + 1) if first <= last else None


def _days(
    seeds: range, options: argparse.Namespace, play: Callable[..., Verdict], progress: Progress
) -> Iterator[Verdict]:
    tell = (lambda line: print(line, flush=True)) if options.trace and not options.json else None
    bad = 0
    for done, seed in enumerate(seeds, start=1):
        verdict = play(seed, hours=options.hours, tell=tell)
        yield verdict
        bad += bool(verdict.wrong)
        if verdict.wrong and not options.json:
            _print_wrong(verdict)
        progress("days", done, len(seeds))
        if bad >= BAD_MAX:
            break


def again(verdict: Verdict) -> str:
    """The one line that shows this day again."""
    hours = f" --hours {verdict.hours:g}" if verdict.hours != HOURS else ""
    return f"truecount simulate --seeds {verdict.seed}..{verdict.seed}{hours} --trace"


def _print_wrong(verdict: Verdict) -> None:
    print(f"\nseed {verdict.seed} failed: {again(verdict)}")
    for what in verdict.wrong:
        print(f"  {what}")


def _summary(found: list[Verdict], spent_s: float) -> dict[str, Any]:
    simulated_s = sum(one.simulated_s for one in found)
    return {
        "days": len(found),
        "failed": sum(bool(one.wrong) for one in found),
        "orders": sum(one.orders for one in found),
        "calls": sum(one.calls for one in found),
        "lives": sum(one.lives for one in found),
        "simulated_hours": round(simulated_s / 3600, 1),
        "seconds": round(spent_s, 1),
        "times_real": round(simulated_s / spent_s) if spent_s else 0,
    }


def _print(found: list[Verdict], spent_s: float) -> None:
    of = _summary(found, spent_s)
    if len(found) == 1:
        print(f"seed {found[0].seed}: trace {found[0].digest}")
    print(
        f"{plural(of['days'], 'day')}, {of['simulated_hours']:,} h in {of['seconds']:,} s:"
        f" {of['times_real']:,} times real time. {plural(of['orders'], 'order')},"
        f" {plural(of['calls'], 'call')}, the daemon was started {of['lives']:,} times."
    )
    print(f"{of['failed']} failed." if of["failed"] else "Everything held.")
