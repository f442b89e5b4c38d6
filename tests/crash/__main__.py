"""Kill the program again and again, and say what came of it.

    python -m tests.crash                         each kill of tests/crash/places.py once
    python -m tests.crash --cycles 500 --seed 7   so many, at random places and passings
    python -m tests.crash --at outbox.sent@books:2

Exit code 1 if anything was lost, doubled, damaged, or did not come to rest.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from tests.crash.installation import Installation
from tests.crash.killing import Killing
from tests.crash.places import KILLS, Kill

#: Kills of one installation before the next one begins from nothing.
CHAIN = 8
#: About how often a day comes by these; by others about four times.
PASSINGS = (
    (("store.", "wire.sending@GET", "wire.answered@GET"), 40),
    (("wire.sending@POST", "wire.answered@POST", "outbox.e", "outbox.b"), 8),
    (("wire.", "publish.answered", "publish.settled", "publish.intended", "publish.computed"), 3),
    (("token.", "start.", "state.", "outbox.rec", "publish.rec"), 1),
)


class Tally:
    """What was killed and what was found; printed as it comes."""

    def __init__(self) -> None:
        self.places = Counter[str]()
        self.kills = 0
        self.missed: list[str] = []
        self.faults: list[str] = []

    def add(self, kill: Kill, kills: int, died: bool, seconds: float, fault: str) -> None:
        self.kills += kills
        if died:
            self.places[kill.name] += 1
        else:
            self.missed.append(kill.at)
        if fault:
            self.faults.append(f"{kill.verb} {kill.at}: {fault}")
        became = fault or ("" if died else "never passed")
        print(f"{kill.verb:17} {kill.at:34} {seconds:5.1f} s  {became}", flush=True)

    @property
    def said(self) -> str:
        return (
            f"{self.kills} kills at {len(self.places)} places, {len(self.faults)} with a fault,"
            f" {len(self.missed)} never passed"
        )


def run_chain(kills: Sequence[Kill], folder: Path, tally: Tally) -> None:
    """These kills, one after another, of one installation where they allow it."""
    with ExitStack() as stack:
        killing: Killing | None = None
        for number, kill in enumerate(kills):
            began = time.monotonic()
            died, fault, before = False, "", killing.kills if killing else 0
            try:
                if killing is None or kill.needs_new:
                    before = 0
                    stack.close()
                    own = Installation(folder / f"{number}", mails=kill.verb == "kill_mail")
                    killing = Killing(stack.enter_context(own))
                    if not kill.needs_new:
                        killing.open()
                died = getattr(killing, kill.verb)(kill.at)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the rest goes on
                fault = f"{type(error).__name__} {' '.join(str(error).split())[:2000]}"
            done = (killing.kills if killing else 0) - before
            tally.add(kill, done, died or done > 0, time.monotonic() - began, fault)
            if fault or kill.needs_new:
                stack.close()
                killing = None


def chains(kills: Sequence[Kill]) -> Iterator[Sequence[Kill]]:
    for start in range(0, len(kills), CHAIN):
        yield kills[start : start + CHAIN]


def run(kills: Sequence[Kill], folder: Path, *, at_once: int) -> Tally:
    """All of them; so many installations live beside one another, for most of it is waiting."""
    tally = Tally()
    waiting: SimpleQueue[tuple[int, Sequence[Kill]] | None] = SimpleQueue()
    for one in enumerate(chains(kills)):
        waiting.put(one)
    for _ in range(at_once):
        waiting.put(None)

    def work() -> None:
        while (one := waiting.get()) is not None:
            place = folder / f"chain-{one[0]}"
            run_chain(one[1], place, tally)
            if not tally.faults:
                shutil.rmtree(place)

    with ThreadPoolExecutor(at_once) as threads:
        for done in [threads.submit(work) for _ in range(at_once)]:
            done.result()
    return tally


def at_random(count: int, seed: int) -> list[Kill]:
    """Places of any day at passings that nobody has chosen."""
    chance = random.Random(seed)
    daily = [kill for kill in KILLS if kill.verb == "kill_at"]
    named = [kill for kill in KILLS if kill.verb not in ("kill_at", "kill_mail")]
    chosen = []
    for _ in range(count):
        if chance.random() < 0.1:
            chosen.append(chance.choice(named))
            continue
        place = chance.choice(daily).at.partition(":")[0]
        often = next((n for begins, n in PASSINGS if place.startswith(begins)), 4)
        verb = "kill_twice" if chance.random() < 0.2 else "kill_at"
        chosen.append(Kill(f"{place}:{1 + int((often - 1) * chance.random() ** 2)}", verb))
    return chosen


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.crash", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cycles", type=int, default=0, help="so many kills at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at", action="append", default=[], help="only kills that begin so")
    parser.add_argument("--at-once", type=int, default=3, help="installations beside one another")
    asked = parser.parse_args(words)
    kills: Sequence[Kill] = at_random(asked.cycles, asked.seed) if asked.cycles else KILLS
    if asked.at:
        kills = [k for k in KILLS if k.at.startswith(tuple(asked.at))] or list(map(Kill, asked.at))
    folder = Path(tempfile.mkdtemp(prefix="truecount-crash-"))
    began = time.monotonic()
    tally = run(kills, folder, at_once=asked.at_once)
    print(f"\n{tally.said}, {time.monotonic() - began:.0f} s")
    for fault in tally.faults:
        print(f"FAULT {fault}")
    if tally.faults:
        print(f"what they left is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
