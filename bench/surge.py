"""Fifty times the usual rate: how long a push waits for its 2xx, what waits behind it, how soon a
stopped sale shows on every channel in the middle of it (H46).

The floor is the same server keeping nothing, at the same rate. Memory and backlog are sampled while
pushes arrive; the drain is everything until the last system was told.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

import httpx

from bench.load import Market, opened
from bench.measures import Play, timed
from bench.stage import HOOK_SECRET
from core.serving import token_path

USUAL_PER_SECOND, SURGE_PER_SECOND = 10.0, 500.0
USUAL_S = 5.0
SAMPLE_S = 0.25
#: The stop is said when so much of the surge is over.
STOP_AFTER = 0.5


@dataclass(slots=True)
class _Peaks:
    """The most that was seen while pushes arrived."""

    mib: float = 0.0
    backlog: int = 0

    async def watch(self, play: Play) -> None:
        while True:
            self.mib = max(self.mib, play.daemon.memory_mib())
            waiting = "SELECT count(*) FROM inbox WHERE state = 'pending'"
            self.backlog = max(self.backlog, play.database.number(waiting))
            await asyncio.sleep(SAMPLE_S)


async def surge(play: Play) -> None:
    seconds = 4.0 if play.quick else 8.0
    nobody = Market(play.stage.floors, play.market.skus, HOOK_SECRET, lambda _: "/ack", "A")
    for _ in range(play.rounds):
        count = int(USUAL_PER_SECOND * USUAL_S)
        loop = opened(play.lines, play.market.sales(count), USUAL_PER_SECOND)
        _, usual = await timed(play.daemon, loop)
        await play.drain()
        play.figure("surge", "usual, 10/s", "daemon", **usual)
        count = int(SURGE_PER_SECOND * seconds)
        loop = opened(play.floor_lines, nobody.sales(count), SURGE_PER_SECOND)
        _, floor = await timed(play.floor, loop)
        play.figure("surge", "500/s", "floor: same server, no store", **floor)
        play.figure("surge", "500/s", "daemon", **await _surge(play, count, seconds))
    play.check("surge")


async def _surge(play: Play, count: int, seconds: float) -> dict[str, float]:
    peaks, word, before = _Peaks(), play.market.skus[0], await _refusals(play)
    watch = asyncio.create_task(peaks.watch(play))
    stop = asyncio.create_task(_stopped(play, word, seconds * STOP_AFTER))
    loop = opened(play.lines, play.market.sales(count), SURGE_PER_SECOND)
    burst, ours = await timed(play.daemon, loop)
    stopped_at = await stop
    watch.cancel()
    after = await _refusals(play)
    drain_s = await play.drain()
    ours |= {
        "zero_ms": _until_zero_ms(play, word, stopped_at),
        "peak_mib": peaks.mib,
        "backlog": float(peaks.backlog),
        "shed": after[0] - before[0],
        "turned_away": after[1] - before[1],
        "drain_per_second": burst.answered / (burst.seconds + drain_s),
    }
    await _say(play, "resume-sell", sku=word)
    await play.drain()
    return ours


async def _refusals(play: Play) -> tuple[float, float]:
    """Pushes answered 503 so far, and connections turned away by the limit for one address."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as client:
        answer = await client.get(f"http://127.0.0.1:{play.stage.operations_port}/metrics")
    found = [0.0, 0.0]
    for line in answer.text.splitlines():
        name, _, value = line.rpartition(" ")
        found[0] += float(value) if 'verdict="busy"' in name and "_total" in name else 0.0
        found[1] += float(value) if 'reason="turned_away"' in name and "_total" in name else 0.0
    return found[0], found[1]


async def _stopped(play: Play, word: str, after_s: float) -> float:
    """Wall time at which an operator says that nobody sells this any more."""
    await asyncio.sleep(after_s)
    at = time.time()
    await _say(play, "stop-sell", sku=word, by="bench", reason="a surge")
    return at


async def _say(play: Play, verb: str, **words: str) -> None:
    token = token_path(play.stage.folder / "state").read_text()
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as client:
        answer = await client.post(
            f"http://127.0.0.1:{play.stage.operations_port}/operator/{verb}",
            json=words,
            headers={"authorization": f"Bearer {token}"},
        )
    if answer.status_code != 200:
        play.wrong.append(f"surge: {verb} was answered {answer.status_code}: {answer.text[:200]}")


def _until_zero_ms(play: Play, word: str, since: float) -> float:
    """Until the last channel was told 0."""
    last = since
    for name in play.stage.shops:
        told = [
            at
            for row in play.remote(name, "stock_writes")
            if row["sku"] == word and row["quantity"] == 0
            if (at := datetime.fromisoformat(row["at"]).timestamp()) >= since
        ]
        if not told:
            play.wrong.append(f"surge: {name} was never told that {word} is stopped")
            continue
        last = max(last, min(told))
    return (last - since) * 1000
