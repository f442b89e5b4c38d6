"""The least that telling ten channels can cost: the same reads and writes, by hand, in sqlite3.

For every channel: its cursor, the feed, the listing with what was told last, stock and
live claims, and where pools may be divided the quotas; then one commit with the call,
what was told, the step and the cursor. No engine, no policies, no rules, no retries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

BATCH = 100
AT = "2026-11-25T09:00:00.000000Z"


@dataclass(slots=True)
class Wanted:
    """One listing: the number it should show, what it shows, and what the quota says."""

    sku: str
    units: int
    shown: int


class Floor:
    """One connection over a filled state of its own. `divided`: each channel shows its part."""

    def __init__(self, path: Path, channels: Sequence[str], pool: int, policy: str) -> None:
        self._sqlite = sqlite3.connect(path, isolation_level=None)
        self._sqlite.execute("PRAGMA journal_mode=WAL")
        self._sqlite.execute("PRAGMA synchronous=FULL")
        self._channels = channels
        self._quotas = policy != "shared"
        self._parts = len(channels) if policy == "split" else 1
        self._start = pool // self._parts
        self.shown: dict[str, dict[str, int]] = {name: {} for name in channels}
        self.units: dict[str, int] = {}

    def close(self) -> None:
        self._sqlite.close()

    # -------------------------------------------------------------- a change, not measured

    def reads(self, units: dict[str, int]) -> None:
        run = self._sqlite.execute
        run("BEGIN IMMEDIATE")
        for sku, count in units.items():
            run("UPDATE stock SET on_hand = ? WHERE sku = ? AND location = 'main'", (count, sku))
            self._moved(sku)
        run("COMMIT")
        self.units |= units

    def sells(self, channel: int, sku: str, units: int, pool: int) -> None:
        """The channel's own number fell with the order; a claim stands for it."""
        run = self._sqlite.execute
        run("BEGIN IMMEDIATE")
        run(
            "INSERT INTO claims (order_id, line_id, sku, location, units, opened_at)"
            " VALUES (1, 1, ?, 'main', ?, ?)",
            (sku, units, AT),
        )
        name = self._channels[channel]
        run("UPDATE published SET words = 'moved' WHERE system = ? AND sku = ?", (name, sku))
        self._moved(sku)
        run("COMMIT")
        self.shown[name][sku] = self.shown[name].get(sku, self._start) - units
        self.units[sku] = self.units.get(sku, pool) - units

    def _moved(self, sku: str) -> None:
        self._sqlite.execute(
            "UPDATE feed SET seq = (SELECT max(seq) + 1 FROM feed), changed_at = ? WHERE sku = ?",
            (AT, sku),
        )

    # -------------------------------------------------------------- telling, measured

    def tell(self) -> None:
        for part, name in enumerate(self._channels):
            while self._tell(part, name):
                pass

    def _tell(self, part: int, name: str) -> bool:
        run = self._sqlite.execute
        [(cursor,)] = run("SELECT seq FROM publish_cursors WHERE system = ?", (name,)).fetchall()
        rows = run(
            "SELECT sku, seq FROM feed WHERE seq > ? ORDER BY seq LIMIT ?", (cursor, BATCH)
        ).fetchall()
        if not rows:
            return False
        skus = orjson.dumps([row[0] for row in rows]).decode()
        wanted = [one for one in self._wanted(part, name, skus) if one.units != one.shown]
        run("BEGIN IMMEDIATE")
        if wanted:
            self._write(name, wanted)
        run("UPDATE publish_cursors SET seq = ? WHERE system = ?", (rows[-1][1], name))
        run("COMMIT")
        self.shown[name] |= {one.sku: one.units for one in wanted}
        return True

    def _wanted(self, part: int, name: str, skus: str) -> list[Wanted]:
        run = self._sqlite.execute
        asked = "(SELECT value FROM json_each(?))"
        claimed: dict[str, int] = {}
        for sku, units in run(
            f"SELECT sku, units FROM claims WHERE sku IN {asked} AND location = 'main'"
            " AND state IN ('open', 'shipped', 'missing')",
            (skus,),
        ):
            claimed[sku] = claimed.get(sku, 0) + units
        stock = dict(
            run(
                f"SELECT sku, on_hand FROM stock WHERE sku IN {asked} AND location = 'main'",
                (skus,),
            )
        )
        if self._quotas:
            run(
                f"SELECT system, sku, shown, ceiling, pending FROM quotas WHERE sku IN {asked}",
                (skus,),
            ).fetchall()
        found = []
        for sku, quantity, words in run(
            "SELECT l.sku, p.quantity, p.words FROM listings l LEFT JOIN published p ON"
            " p.system = l.system AND p.listing = l.listing AND p.place = l.place"
            f" WHERE l.system = ? AND l.sku IN {asked} AND l.active = 1",
            (name, skus),
        ):
            units = stock[sku] - claimed.get(sku, 0)
            if self._parts > 1:
                units = units // self._parts + (part < units % self._parts)
            found.append(Wanted(sku, units, -1 if words else quantity))
        return found

    def _write(self, name: str, wanted: list[Wanted]) -> None:
        run, many = self._sqlite.execute, self._sqlite.executemany
        told = [
            {
                "listing": one.sku,
                "place": "",
                "sku": one.sku,
                "quantity": one.units,
                "shown": one.shown,
                "outcome": "accepted",
                "now": one.units,
            }
            for one in wanted
        ]
        run(
            "INSERT INTO told (system, key, began_at, ended_at, result, position, offers)"
            " VALUES (?, ?, ?, ?, 'answered', 0, ?)",
            (name, f"truecount:{name}:{wanted[0].sku}:{AT}", AT, AT, orjson.dumps(told).decode()),
        )
        many(
            "INSERT INTO published (system, listing, place, sku, quantity, acked_at, words)"
            " VALUES (?, ?, '', ?, ?, ?, '') ON CONFLICT (system, listing, place) DO UPDATE SET"
            " quantity = excluded.quantity, acked_at = excluded.acked_at, words = ''",
            [(name, one.sku, one.sku, one.units, AT) for one in wanted],
        )
        many(
            "INSERT INTO steps (at, stop, name, system, sku, data)"
            " VALUES (?, 6, 'offer.published', ?, ?, ?)",
            [(AT, name, one.sku, f'{{"units":{one.units}}}') for one in wanted],
        )
        if self._quotas:
            many(
                "INSERT INTO quotas (system, listing, place, sku, shown, ceiling, anchor,"
                " anchor_at) VALUES (?, ?, '', ?, ?, ?, ?, ?) ON CONFLICT (system, listing, place)"
                " DO UPDATE SET shown = excluded.shown, ceiling = excluded.ceiling,"
                " anchor = excluded.anchor, anchor_at = excluded.anchor_at",
                [(name, one.sku, one.sku, one.units, one.units, one.units, AT) for one in wanted],
            )

    # -------------------------------------------------------------- exact

    def wrong(self, label: str) -> list[str]:
        found = []
        for sku, units in self.units.items():
            shown = [self.shown[name].get(sku, self._start) for name in self._channels]
            whole = sum(shown) if self._parts > 1 else shown[0]
            if whole != units or (self._parts == 1 and len(set(shown)) > 1):
                found.append(f"{label}: the floor shows {shown} of {sku}, the pool is {units}")
        return found[:3]
