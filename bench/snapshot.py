"""`snapshot`: a warehouse shows all of its 100,000 SKUs; none, 1 % or all of them changed.

The real Sweep and Intake on a real SQLite in this process; the warehouse answers from
memory, 500 rows a page. Its floor is the same comparison by hand: rows encoded and
digested, one table, the number written beside it. Peak memory is this process's, and
the warehouse's own rows are in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from bench.record import Record, main
from bench.stage import ROOT
from core.clock import ManualClock
from core.contract import Item, Page
from core.intake import Intake
from core.ledger import Source
from core.mapping.book import MappingBook
from core.network import Location, Network, Owners
from core.seal import Seal, new_key
from core.store.engine import Store
from core.sweep import Resource, Sweep

ROWS, PAGE = 100_000, 500
START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
#: One row in so many has another number.
CASES = {"none changed": 0, "1 % changed": 100, "all changed": 1}


@dataclass(slots=True)
class Shelves:
    """A warehouse as its owner sees it, and as a connector pages through it."""

    units: list[int]
    broken: set[int] = field(default_factory=set)

    def rows(self, start: int) -> list[tuple[str, dict[str, object]]]:
        return [
            (
                f"{index}@7",
                {
                    "code": f"SKU-{index:06d}",
                    "warehouse": "EAST",
                    "quantity": 0.5 if index in self.broken else self.units[index],
                },
            )
            for index in range(start, min(start + PAGE, len(self.units)))
        ]

    async def read(self, resource: str, since: str | None, page: str | None) -> Page:  # noqa: ARG002
        start = int(page or 0)
        items = [Item(external_id=key, body=body) for key, body in self.rows(start)]
        after = start + PAGE
        return Page(items=items, next=str(after) if after < len(self.units) else None)

    def change(self, every: int) -> int:
        changed = range(0, len(self.units), every) if every else range(0)
        for index in changed:
            self.units[index] += 1
        return len(changed)


class Program:
    """Stops 1 to 7 for one warehouse; there is no channel to tell."""

    def __init__(self, folder: Path, shelves: Shelves) -> None:
        self.path, self._shelves = folder / "truecount.db", shelves
        self.clock, self.seal = ManualClock(START), Seal(new_key())
        self.store = Store(self.path)
        network = _network()
        self.sweep = Sweep(
            self.store,
            self.seal,
            self.clock,
            network=lambda: network,
            connectors={"depot": shelves},
            resources={
                ("depot", "stock_reading"): Resource(
                    system="depot", name="stock_reading", every_s=60, snapshot=True
                )
            },
        )
        self.intake = Intake(
            self.store,
            self.seal,
            self.clock,
            network=lambda: network,
            book=MappingBook.load(ROOT / "mappings", ["tryton_wms"]),
            connectors={"depot": "tryton_wms"},
            hears={},
        )

    async def open(self) -> None:
        self.store.open()
        await self.sweep.prepare()

    async def a_pass(self) -> tuple[float, float]:
        """Read every page, then decide what is new. Seconds of each."""
        began = time.perf_counter()
        while due := self.sweep.due("depot"):
            await self.sweep.one_page(due[0])
        kept = time.perf_counter()
        while (await self.intake.run_once())[0]:
            await asyncio.sleep(0)
        decided = time.perf_counter()
        self.clock.advance(61)
        return kept - began, decided - kept

    def wrong(self, bad: int = 0) -> Iterator[str]:
        """Every number is the warehouse's, and nothing waits but what cannot be understood."""
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as sqlite:
            stock = dict(sqlite.execute("SELECT sku, on_hand FROM stock"))
            states = dict(sqlite.execute("SELECT state, count(*) FROM inbox GROUP BY state"))
            holds = sqlite.execute("SELECT count(*) FROM holds WHERE closed_at IS NULL").fetchone()
        sqlite.close()
        units, broken = self._shelves.units, self._shelves.broken
        unlike = [
            index
            for index, count in enumerate(units)
            if stock.get(f"SKU-{index:06d}") != count and index not in broken
        ]
        if len(stock) != len(units) or unlike:
            yield f"{len(unlike)} of {len(units)} numbers are not the warehouse's"
        if states.get("pending") or states.get("held", 0) != bad or holds[0] != bool(bad):
            yield f"the inbox has {states}, with {holds[0]} exceptions"


def _network() -> Network:
    main_place = Location(
        name="main", at={"depot": "EAST"}, serves=(), stock_owner="depot", ships="depot"
    )
    return Network(
        company="Bench",
        zone=ZoneInfo("UTC"),
        currency="EUR",
        locations={"main": main_place},
        channels=(),
        ledgers=(),
        sources={"depot": Source(basis="on_hand", ordered_by="request", snapshot=True)},
        accepts={},
        stock_writes={},
        owners=Owners(owner={("on_hand", "main"): "depot"}),
    )


class Floor:
    """The same comparison by hand: no inbox, no seal, no mapping, no walk."""

    def __init__(self, folder: Path, shelves: Shelves) -> None:
        self._shelves = shelves
        self._sqlite = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self._sqlite.execute("PRAGMA journal_mode=WAL")
        self._sqlite.execute("PRAGMA synchronous=FULL")
        self._sqlite.execute(
            "CREATE TABLE seen (id TEXT PRIMARY KEY, hash TEXT, pass TEXT) WITHOUT ROWID"
        )
        self._sqlite.execute("CREATE TABLE stock (sku TEXT PRIMARY KEY, units INT) WITHOUT ROWID")
        self._passes = 0

    def a_pass(self) -> None:
        self._passes += 1
        for start in range(0, len(self._shelves.units), PAGE):
            self._page(self._shelves.rows(start), f"{self._passes:08d}")

    def _page(self, rows: Sequence[tuple[str, dict[str, object]]], now: str) -> None:
        digests = {
            key: hashlib.blake2b(orjson.dumps(body), digest_size=16).hexdigest()
            for key, body in rows
        }
        self._sqlite.execute("BEGIN IMMEDIATE")
        marks = ",".join("?" * len(digests))
        ask = f"SELECT id, hash FROM seen WHERE id IN ({marks})"
        known = dict(self._sqlite.execute(ask, list(digests)))
        same = [key for key, digest in digests.items() if known.get(key) == digest]
        if same:
            marks = ",".join("?" * len(same))
            self._sqlite.execute(f"UPDATE seen SET pass = ? WHERE id IN ({marks})", [now, *same])
        new = [(key, body) for key, body in rows if known.get(key) != digests[key]]
        self._sqlite.executemany(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)",
            [(key, digests[key], now) for key, _ in new],
        )
        self._sqlite.executemany(
            "INSERT OR REPLACE INTO stock VALUES (?, ?)",
            [(body["code"], body["quantity"]) for _, body in new],
        )
        self._sqlite.execute("COMMIT")

    def close(self) -> None:
        self._sqlite.close()


# ------------------------------------------------------------------ measured


def _peak(reset: bool = False) -> float:
    """Peak MiB since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


async def snapshot(record: Record) -> None:
    count = ROWS // 10 if record.quick else ROWS
    shelves = Shelves([5] * count)
    program, floor = Program(record.folder, shelves), Floor(record.folder, shelves)
    await program.open()
    floor.a_pass()
    kept_s, decided_s = await program.a_pass()
    record.notes.append("snapshot: CPU ms is that of 1,000 rows")
    record.notes.append(
        f"snapshot: the first pass of {count:,} SKUs, read in {kept_s:.1f} s and taken up in"
        f" {decided_s:.1f} s"
    )
    for _ in range(record.rounds):
        for case, every in CASES.items():
            await _round(record, f"{count:,} rows, {case}", program, floor, every)
    shelves.broken.add(count // 2)
    shelves.change(1)
    await program.a_pass()
    record.wrong += [f"snapshot, one bad row: {words}" for words in program.wrong(bad=1)]
    await program.store.close()
    floor.close()


async def _round(record: Record, case: str, program: Program, floor: Floor, every: int) -> None:
    program._shelves.change(every)
    count = len(program._shelves.units)
    cpu, wall = time.process_time(), time.perf_counter()
    floor.a_pass()
    record.figure("snapshot", case, "floor: sqlite3 by hand", _figures(count, cpu, wall))
    _peak(reset=True)
    cpu, wall = time.process_time(), time.perf_counter()
    kept_s, decided_s = await program.a_pass()
    values = _figures(count, cpu, wall) | {"kept_s": kept_s, "decided_s": decided_s}
    record.figure("snapshot", case, "daemon", values | {"mib": _peak()})
    record.wrong += [f"snapshot, {case}: {words}" for words in program.wrong()]


def _figures(count: int, cpu: float, wall: float) -> dict[str, float]:
    return {
        "per_second": count / (time.perf_counter() - wall),
        "cpu_ms": (time.process_time() - cpu) * 1000 / (count / 1000),
    }


if __name__ == "__main__":
    sys.exit(main(snapshot))
