"""`catalog`: what an order costs while the catalog grows. It must not depend on its size.

An order of two lines, pushed, captured, claimed and told to two channels, in one
process without HTTP (bench/inside.py); warehouse and ledger are asked later. The
same orders over states that differ only in how many SKUs they know.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from bench.inside import Inside, sku
from bench.record import Meter, Record, main

CHANNELS, POOL = 2, 1_000
SIZES, SIZES_QUICK = (1_000, 100_000, 1_000_000), (1_000, 10_000, 100_000)
#: Orders of one SKU are far apart in the catalog, as sales are.
STRIDE = 7_919


#: Tables with a row, or one for each channel, for every SKU.
GROWING = "listings published quotas paces stock items feed seen copies".split()
#: Walked through on purpose, because hardly anything is in them: exceptions, units not found.
SMALL = ("oversold", "claims_missing")


class Statements:
    """Every statement that was run, once; then which of them walk through a whole table."""

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}
        event.listen(Engine, "before_cursor_execute", self._see)

    def _see(self, _: object, __: object, text: str, values: Any, ___: object, many: bool) -> None:
        self._seen.setdefault(text, values[0] if many else values)

    def walking(self, path: Path) -> list[str]:
        event.remove(Engine, "before_cursor_execute", self._see)
        found = []
        with sqlite3.connect(path) as sqlite:
            for text, values in self._seen.items():
                if text.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
                    rows = sqlite.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
                    if walked := [row[3] for row in rows if _walks(row[3])]:
                        found.append(f"{'; '.join(walked)}: {' '.join(text.split())[:200]}")
        sqlite.close()
        return sorted(found)


def _walks(step: str) -> bool:
    """Through a table, or through all rows that one channel has in one of the large ones."""
    words = step.split()
    if words[0] == "SCAN":
        return "(" not in words[1] and words[1] != "CONSTANT" and not set(words) & set(SMALL)
    return words[0] == "SEARCH" and words[1] in GROWING and step.endswith("(system=?)")


async def catalog(record: Record) -> None:
    count = 40 if record.quick else 150
    sizes = SIZES_QUICK if record.quick else SIZES
    insides = [await _filled(record, size) for size in sizes]
    statements = Statements()
    for inside in insides:
        await _orders(inside, 10, Meter())
    walking = statements.walking(insides[-1].app.config.state)
    record.notes += [f"catalog: on the path of an order, {words}" for words in walking] or [
        "catalog: no statement on the path of an order walks through a table"
    ]
    for _ in range(record.rounds):
        for inside in insides:
            meter = Meter()
            await _orders(inside, count, meter)
            case, who = f"{inside.skus:,} SKUs", "daemon"
            if inside is insides[0]:
                who = "floor: the smallest catalog"
            record.figure("catalog", case, who, meter.values(count))
    for inside in insides:
        record.wrong += inside.wrong(f"catalog, {inside.skus:,} SKUs")
        await inside.close()


async def _filled(record: Record, size: int) -> Inside:
    began = time.perf_counter()
    inside = Inside(record.folder / str(size), size, POOL, CHANNELS)
    await inside.open()
    megabytes = inside.app.config.state.stat().st_size / 1e6
    seconds = time.perf_counter() - began
    record.notes.append(f"catalog: {size:,} SKUs are {megabytes:.0f} MB, filled in {seconds:.0f} s")
    return inside


async def _orders(inside: Inside, count: int, meter: Meter) -> None:
    for _ in range(count):
        number = inside.orders
        lines = [(sku((2 * number + each) * STRIDE % inside.skus), 1 + each) for each in (0, 1)]
        arrival = await inside.sale(number % CHANNELS, lines)
        with meter:
            await inside.arrives(arrival)
            await inside.tell()


if __name__ == "__main__":
    sys.exit(main(catalog))
