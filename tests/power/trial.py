"""Our own store under power loss: acknowledged is kept, pairs are whole, the file opens.

The workload is the program's: pushes are kept by `core.inbox.keep` through `Store.write`
and acknowledged once that returns; then each is decided, its row settled and its command
queued in one unit. What is judged is every image of the disk that the recording allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert

from core import inbox
from core.clock import stamp
from core.inbox import Arrival
from core.seal import Seal, new_key
from core.store.engine import Store
from core.store.schema import outbox
from tests.power.images import Image, images
from tests.power.recorder import Op, recording

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
STATE = "truecount.db"


@dataclass
class Verdict:
    """What became of the images of one recording."""

    images: int = 0
    lost_images: int = 0  # with a row missing that was acknowledged
    lost_rows: int = 0
    torn: int = 0  # a decided push without its command, or the other way round
    damaged: int = 0  # does not open, or integrity_check complains
    worst: str = ""  # the first image with a fault: how to make it again

    @property
    def clean(self) -> bool:
        return not (self.lost_images or self.torn or self.damaged)

    @property
    def said(self) -> str:
        return (
            f"{self.images:,} images: {self.lost_images:,} lost {self.lost_rows:,} acknowledged"
            f" rows, {self.torn:,} with torn pairs, {self.damaged:,} unusable"
        )

    def add(self, other: Verdict) -> None:
        self.images += other.images
        self.lost_images += other.lost_images
        self.lost_rows += other.lost_rows
        self.torn += other.torn
        self.damaged += other.damaged
        self.worst = self.worst or other.worst

    def note(self, image: Image, what: str) -> None:
        self.worst = self.worst or f"cut at operation {image.cut}: {what}"


async def _work(store: Store, *, events: int, seed: int, tell: Callable[[str], None]) -> None:
    """Bursts of pushes beside a loop that decides them; as many at once as happen to come."""
    chance = random.Random(seed)
    seal = Seal(new_key())

    async def push(number: int) -> None:
        identity = f"event-{number}"
        arrival = Arrival(
            system="shop",
            via="hook",
            topic="orders",
            identity=identity,
            body=hashlib.sha256(identity.encode()).digest() * chance.randint(4, 120),
            received_at=NOW,
        )
        kept = await store.write(lambda c: inbox.keep(c, arrival, seal), single=True)
        tell(identity)  # from here on its sender knows
        if chance.random() < 0.8:
            await store.write(lambda c: _decide(c, kept.seq, number))

    number = 0
    while number < events:
        burst = range(number, min(events, number + chance.randint(1, 12)))
        await asyncio.gather(*map(push, burst))
        number = burst.stop


def _decide(connection: Connection, seq: int, number: int) -> None:
    """A pair that must never be half: the settled row, and the command that follows from it."""
    inbox.settle(connection, seq, "applied", at=NOW)
    connection.execute(
        insert(outbox).values(
            system="books",
            kind="book_order",
            lane=str(number),
            key=f"truecount:{seq}",
            order_id=seq,
            record=b"sealed",
            safe_by="lookup",
            queued_at=stamp(NOW),
            due_at=stamp(NOW),
        )
    )


def record(folder: Path, *, synchronous: str = "", events: int, seed: int) -> list[Op]:
    """What the store does to the disk, from an empty folder to a clean close.

    `synchronous`: another level than the store chooses; the control of this whole trial.
    """
    with recording(folder) as recorder:

        async def play() -> None:
            store = Store(folder / STATE)
            store.open()
            if synchronous:
                assert store._connection is not None
                store._connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
            await _work(store, events=events, seed=seed, tell=recorder.told)
            await store.close()

        asyncio.run(play())
    return recorder.ops


def judge(ops: Sequence[Op], *, count: int, seed: int) -> Verdict:
    """So many power losses during what was recorded."""
    verdict = Verdict()
    with tempfile.TemporaryDirectory(dir=_fast()) as folder:
        for image in images(ops, [STATE], count=count, seed=seed):
            image.write(Path(folder))
            verdict.images += 1
            _look(Path(folder) / STATE, image, verdict)
    return verdict


def _fast() -> str | None:
    """Images need no disk of their own: what they say about it is in them."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _look(state: Path, image: Image, verdict: Verdict) -> None:
    try:
        there, applied, queued = _rows(state)
    except sqlite3.DatabaseError as error:
        verdict.damaged += 1
        verdict.note(image, str(error))
        return
    lost = image.acknowledged - there
    if lost:
        verdict.lost_images += 1
        verdict.lost_rows += len(lost)
        verdict.note(image, f"{len(lost)} acknowledged rows are gone, {min(lost)} first")
    if applied != queued:
        verdict.torn += 1
        verdict.note(image, f"{len(applied ^ queued)} pairs are torn")


def _rows(state: Path) -> tuple[set[str], set[int], set[int]]:
    """As the next start finds it: identities, rows decided, rows with a command."""
    with contextlib.closing(sqlite3.connect(state, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        checked = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if checked != "ok":
            raise sqlite3.DatabaseError(checked)
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return set(), set(), set()  # it had not begun
        there = {row[0] for row in connection.execute("SELECT identity FROM inbox")}
        applied = {
            row[0] for row in connection.execute("SELECT seq FROM inbox WHERE state = 'applied'")
        }
        queued = {row[0] for row in connection.execute("SELECT order_id FROM outbox")}
        return there, applied, queued
