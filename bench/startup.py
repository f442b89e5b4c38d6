"""5: how long until /readyz, with 200,000 commands waiting, and what such a backlog costs."""

from __future__ import annotations

import asyncio
import base64
import shutil
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.fakes import PLACE, sku
from bench.load import Lines, Market, opened
from bench.measures import DRAIN_S, Figures, percentile
from bench.stage import ENVIRONMENT, HOOK_SECRET, SKUS, Database, Stage
from core import commands
from core.cli.scene import Remote
from core.clock import stamp
from core.codec import to_json
from core.model import Address, FulfillOrder, QuantityLine
from core.seal import Seal

WAITING = 200_000
#: Far above the orders of the run itself, so that lanes do not meet.
FIRST_ORDER = 1_000_000
#: Slow enough to be no load of their own.
PUSHES, PUSHES_PER_SECOND = 25, 5.0
DELIVER_S = 5.0


def fill(path: Path, count: int, due_at: datetime) -> float:
    """Add `count` commands for the warehouse to a state. Seconds it took."""
    began = time.perf_counter()
    seal = Seal(base64.b64decode(ENVIRONMENT["TRUECOUNT_SEAL_KEY"]))
    now = datetime.now(UTC)
    with sqlite3.connect(path) as sqlite:
        sqlite.execute("PRAGMA synchronous=OFF")
        sqlite.executemany(
            "INSERT INTO outbox (system, kind, lane, key, generation, order_id, record, state,"
            " safe_by, urgency, attempts, lookups, queued_at, due_at, reference, words)"
            " VALUES ('wms', 'fulfill_order', ?, ?, 0, ?, ?, 'queued', 'reference', 0, 0, 0,"
            " ?, ?, '', '')",
            (
                (f"order:{number}", key, number, _sealed(seal, key), stamp(now), stamp(due_at))
                for number in range(FIRST_ORDER, FIRST_ORDER + count)
                for key in [commands.key_of("ch1", f"W{number}", "fulfill_order", "1")]
            ),
        )
    sqlite.close()
    return time.perf_counter() - began


def _sealed(seal: Seal, key: str) -> bytes:
    record = FulfillOrder(
        reference=key,
        channel="ch1",
        order=key,
        number=key,
        place=PLACE,
        ship_to=Address(name="Alex Example", street="1 Sample Street", city="Berlin"),
        lines=(QuantityLine(line="1", sku=sku(0), quantity=1),),
    )
    return seal.seal(to_json(record), commands.aad(key))


class Startups:
    """Cases are states; each round starts the daemon on a fresh copy of each of them."""

    def __init__(self, stage: Stage, rounds: int, count: int) -> None:
        self._stage = stage
        self._rounds = rounds
        self._count = count
        self.figures: dict[str, Figures] = {}
        self.wrong: list[str] = []
        self.notes: list[str] = []

    def run(self) -> None:
        soon = datetime.now(UTC)
        cases = {
            "nothing waits": (0, soon),
            f"{self._count} wait, none due": (self._count, soon + timedelta(hours=6)),
            f"{self._count} wait, all due": (self._count, soon),
        }
        self._stage.start_fakes()
        swept = self._swept()
        seconds = 0.0
        for name, (count, due_at) in cases.items():
            self._template(name).parent.mkdir(parents=True)
            shutil.copy(swept, self._template(name))
            seconds += fill(self._template(name), count, due_at)
            who = "floor: empty state" if not count else "daemon"
            self.figures[name] = Figures("startup", name, who)
        self.notes.append(f"startup: the states were filled in {seconds:.0f} s")
        for _ in range(self._rounds):
            for name in cases:
                self.figures[name].rounds.append(self._start(name))

    def _swept(self) -> Path:
        """A state that knows its stock and has nothing left to do."""
        path = self._stage.folder / "swept" / "truecount.db"
        daemon = self._stage.start_daemon(path.parent)
        self._stage.ready(daemon)
        database = Database(path)
        began = time.perf_counter()
        while not database.swept(self._stage.channels):
            assert time.perf_counter() - began < DRAIN_S, "the first sweep did not end"
            time.sleep(0.1)
        database.close()
        daemon.stop()
        assert not path.with_name("truecount.db-wal").exists(), "a clean stop leaves one file"
        return path

    def _template(self, name: str) -> Path:
        return self._stage.folder / "templates" / name.replace(" ", "_").replace(",", "") / "t.db"

    def _start(self, name: str) -> dict[str, float]:
        stage, state = self._stage, self._stage.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        shutil.copy(self._template(name), state / "truecount.db")
        remote = Remote(stage.fakes_port)
        already = len(remote("wms", "orders"))
        daemon = stage.start_daemon(state)
        ready_s = stage.ready(daemon)
        values = {"ready_ms": ready_s * 1000, "cpu_ms": daemon.cpu_s() * 1000}
        time.sleep(DELIVER_S)
        database = Database(state / "truecount.db")
        done = "SELECT count(*) FROM outbox WHERE state = 'done'"
        values["per_second"] = database.number(done) / DELIVER_S
        values |= asyncio.run(_push(stage.hooks_port))
        values["mib"] = daemon.memory_mib()
        daemon.stop()
        taken = len(remote("wms", "orders")) - already
        self._check(name, database, taken, PUSHES - int(values["refused"]))
        database.close()
        remote.close()
        return values

    def _check(self, name: str, database: Database, taken: int, least: int) -> None:
        """Nothing of the backlog was lost, and nothing left that is not recorded."""
        ours = f"order_id >= {FIRST_ORDER}"
        rows = database.number(f"SELECT count(*) FROM outbox WHERE {ours}")
        count = 0 if name == "nothing waits" else self._count
        if rows != count:
            self.wrong.append(f"startup, {name}: {rows} commands instead of {count}")
        done = database.number(
            "SELECT count(*) FROM outbox WHERE system = 'wms' AND state = 'done'"
        )
        open_ = database.number(
            "SELECT count(*) FROM outbox WHERE system = 'wms' AND state IN ('sending', 'in_doubt')"
        )
        # Each round begins with the same commands, which the warehouse may already know.
        if taken > done + open_:
            self.wrong.append(
                f"startup, {name}: the warehouse took {taken}, but {done} are done and"
                f" {open_} in doubt"
            )
        sent = database.number(f"SELECT count(*) FROM outbox WHERE {ours} AND state != 'queued'")
        if name.endswith("none due") and sent:
            self.wrong.append(f"startup, {name}: {sent} commands left before they were due")
        kept = database.number("SELECT count(*) FROM inbox WHERE via = 'hook'")
        if kept < least:
            self.wrong.append(f"startup, {name}: {kept} of {least} acknowledged pushes were kept")


async def _push(port: int) -> dict[str, float]:
    """Webhooks while the backlog is there. A refusal shows as a push that was not kept."""
    lines = Lines(port)
    market = Market(["ch1"], [sku(index) for index in range(SKUS)], HOOK_SECRET, prefix="S")
    burst = await opened(lines, market.sales(PUSHES), PUSHES_PER_SECOND)
    lines.close()
    return {
        "p50_ms": percentile(burst.latencies_ms, 50),
        "p99_ms": percentile(burst.latencies_ms, 99),
        "refused": float(burst.refused),
    }
