"""The real program inside this process, on real SQLite; its channels answer at once, without HTTP.

What is measured is what deciding and telling costs, not calling. Everything up to
the connector is the program itself: Store (WAL, synchronous=FULL), Intake, Publisher.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from bench.fakes import PLACE
from bench.load import order_body
from bench.stage import ENVIRONMENT, ROOT
from core import inbox
from core.app import App, build, open_state
from core.clock import ManualClock, stamp
from core.config import load_config
from core.contract import Event, Offer, OfferResult, Push
from core.inbox import Arrival
from core.network import StockWrite
from core.store.engine import Store

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
#: Publishing passes over all channels until nobody has anything to say; more is a loop.
PASSES_MAX = 1_000


def sku(index: int) -> str:
    return f"SKU-{index:07d}"


@dataclass(slots=True)
class Shop:
    """One channel: its own numbers, and every write it took, in order."""

    name: str
    write: str
    hears: Any
    shown: dict[str, int] = field(default_factory=dict)
    writes: list[tuple[str, int, int]] = field(default_factory=list)  # (sku, before, after)
    calls: int = 0

    async def publish(self, offers: Sequence[Offer]) -> list[OfferResult]:
        self.calls += 1
        results = []
        for offer in offers:
            before = self.shown[offer.sku]
            if self.write == "conditional" and offer.shown is not None and offer.shown != before:
                results.append(_result(offer, "stale", before))
                continue
            self.shown[offer.sku] = offer.quantity
            self.writes.append((offer.sku, before, offer.quantity))
            results.append(_result(offer, "accepted", offer.quantity))
        return results

    def events(self, push: Push) -> Sequence[Event]:
        events: Sequence[Event] = self.hears.events(push)
        return events


def _result(offer: Offer, outcome: Any, shown: int) -> OfferResult:
    return OfferResult(listing=offer.listing, place=offer.place, outcome=outcome, shown=shown)


@dataclass(slots=True)
class Inside:
    """One program and its shops. `units`: what is really there of each SKU that was touched."""

    folder: Path
    skus: int
    pool: int
    channels: int
    policy: str = "shared"
    write: str = "conditional"
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    shops: list[Shop] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    looks: int = 0  # publishing calls that had something to look at
    commits: int = 0  # while telling
    app: App = field(init=False)
    _sqlite: sqlite3.Connection = field(init=False)
    _counter: int = 0
    _seen: dict[str, int] = field(default_factory=dict)

    # -------------------------------------------------------------- begin, end

    async def open(self) -> None:
        self.folder.mkdir(parents=True)
        path = self.folder / "config.yaml"
        path.write_text(self._config(), encoding="utf-8")
        config = load_config(path, ENVIRONMENT)
        await fill(config.state, self)
        self.app = build(config, self.clock, rng=random.Random(1))
        kinds = {
            name: StockWrite(write=self.write, field="net", batch=100, settle_s=2.0)
            for name in self.names
        }
        self.app.network = replace(self.app.network, stock_writes=kinds)
        for name in self.names:
            shop = Shop(name, self.write, self.app.connectors[name], shown=_Shown(self.share))
            self.shops.append(shop)
            self.app.connectors[name] = shop
        await open_state(self.app)
        self._sqlite = sqlite3.connect(f"file:{config.state}?mode=ro", uri=True)
        await self.app.sweep.prepare()
        await self.tell()

    async def close(self) -> None:
        self._sqlite.close()
        await self.app.close()

    @property
    def names(self) -> list[str]:
        return [f"ch{index}" for index in range(1, self.channels + 1)]

    @property
    def share(self) -> int:
        """What each channel shows of every SKU in the beginning."""
        return self.pool // self.channels if self.policy == "split" else self.pool

    def _config(self) -> str:
        lines = [
            'company: {name: "Bench", timezone: Europe/Berlin, currency: EUR}',
            "state: truecount.db",
            "seal_key: ${TRUECOUNT_SEAL_KEY}",
            f'mappings: "{ROOT / "mappings"}"',
            f"publish: {{linger: 0s, policy: {self.policy}}}",
            "systems:",
        ]
        kinds = [(name, "generic_channel", "api_token") for name in self.names]
        kinds += [("wms", "generic_wms", "api_token"), ("erp", "generic_erp", "api_key")]
        for name, connector, secret in kinds:
            hook = ', webhook_secret: "${BENCH_HOOK}"' if secret == "api_token" else ""
            lines += [
                f"  {name}:",
                f"    connector: {connector}",
                "    network: private",
                f'    settings: {{base_url: "http://127.0.0.1:9/{name}"}}',
                f'    secrets: {{{secret}: "${{BENCH_TOKEN}}"{hook}}}',
            ]
        lines += [
            "locations:",
            f"  main: {{at: {{wms: {PLACE}, erp: {PLACE}}}, serves: [{', '.join(self.names)}]}}",
            "owners:",
            "  - {number: on_hand, owner: wms}",
        ]
        for number in ("list_price", "unit_cost", "tax", "invoice"):
            lines.append(f"  - {{number: {number}, owner: erp}}")
        return "\n".join([*lines, ""])

    # -------------------------------------------------------------- a change

    async def reads(self, units: dict[str, int]) -> None:
        """The warehouse says other numbers: kept, understood, decided."""
        self._counter += 1
        await self._later()
        now = self.clock.now()
        arrivals = []
        for word, count in units.items():
            row = {"sku": word, "place": PLACE, "on_hand": count, "as_of_movement": self._counter}
            arrivals.append(
                Arrival(
                    system="wms",
                    via="sweep",
                    topic="stock_reading",
                    identity=f"{word}@{self._counter}#",
                    resource="stock_reading",
                    external_id=f"{word}/{PLACE}",
                    revision=str(self._counter),
                    body=orjson.dumps(row),
                    received_at=now,
                    read_began_at=now,
                )
            )
        seal = self.app.seal
        await self.app.store.write(lambda c: inbox.keep_many(c, arrivals, seal))
        await self._decided()
        self.units |= units

    async def sells(self, channel: int, lines: Sequence[tuple[str, int]]) -> None:
        """One shop sells from its own number and pushes the whole order."""
        await self.arrives(await self.sale(channel, lines))

    async def sale(self, channel: int, lines: Sequence[tuple[str, int]]) -> Arrival:
        """What the shop pushes; it has counted its own number down already."""
        self.orders += 1
        await self._later()
        shop, key = self.shops[channel], f"B{self.orders:07d}"
        for word, count in lines:
            shop.shown[word] -= count
            self.units[word] = self.units.get(word, self.pool) - count
        return Arrival(
            system=shop.name,
            via="hook",
            topic="order.created",
            identity=f"{key}-1",
            body=order_body(key, lines, self.clock.now()),
            headers=b"{}",
            received_at=self.clock.now(),
        )

    async def arrives(self, arrival: Arrival) -> None:
        """Kept, understood, decided."""
        seal = self.app.seal
        await self.app.store.write(lambda c: inbox.keep(c, arrival, seal), single=True)
        await self._decided()

    async def _decided(self) -> None:
        while (await self.app.intake.run_once())[0]:
            pass

    # -------------------------------------------------------------- telling

    async def tell(self) -> None:
        """Until no channel has anything to say: the daemon's loops, without their waiting."""
        before = self.app.store.commits
        for _ in range(PASSES_MAX):
            behind = self._behind()
            if not behind:
                self.commits += self.app.store.commits - before
                return
            await asyncio.gather(*map(self._keep_telling, behind))
        raise AssertionError("publishing does not come to rest")

    async def _keep_telling(self, name: str) -> None:
        publisher = self.app.publisher
        while await publisher.publish_once(name):
            self.looks += 1
            await asyncio.sleep(0)
        publisher.next_due(name)  # as every loop asks before it sleeps

    def _behind(self) -> list[str]:
        """Whom the daemon's loops would wake now."""
        rows = self._sqlite.execute(_BEHIND, (stamp(self.clock.now()),))
        return [str(row[0]) for row in rows]

    async def _later(self) -> None:
        """Time passes, and the orders of every channel are read once more, completely."""
        self.clock.advance(10)
        at = stamp(self.clock.now())

        def unit(connection: Any) -> None:
            connection.exec_driver_sql(
                "/* bench */ UPDATE cursors SET complete_began_at = ? WHERE resource = 'order'",
                (at,),
            )

        await self.app.store.write(unit)

    # -------------------------------------------------------------- exact

    def wrong(self, label: str) -> list[str]:
        """What does not hold of the SKUs touched so far, in sentences. Forgets the writes."""
        found: list[str] = []
        for word, units in self.units.items():
            shown = [shop.shown[word] for shop in self.shops]
            if self.policy == "split":
                if sum(shown) > units or (self.write == "conditional" and sum(shown) != units):
                    found.append(f"{label}: {word} shows {shown}, the pool is {units}")
            elif set(shown) != {units}:
                found.append(f"{label}: {word} shows {shown} instead of {units}")
        for shop in self.shops:
            shop.writes.clear()
        return found[:5]


class _Shown(dict[str, int]):
    """All listings begin with the same number."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self._units = units

    def __missing__(self, _: str) -> int:
        return self._units


# ------------------------------------------------------------------ a filled state


async def fill(path: Path, inside: Inside) -> None:
    """A state that knows its stock and whose channels were told. Set-based: millions are fine."""
    store = Store(path)
    store.open()
    await store.close()
    words = {
        "n": inside.skus,
        "pool": inside.pool,
        "share": inside.share,
        "at": stamp(START - timedelta(hours=1)),
        "place": PLACE,
    }
    with sqlite3.connect(path) as sqlite:
        sqlite.execute("PRAGMA synchronous=OFF")
        sqlite.execute("PRAGMA cache_size=-400000")
        sqlite.executescript("CREATE TEMP TABLE n (i INTEGER PRIMARY KEY, sku TEXT, seq INTEGER)")
        sqlite.execute(
            "INSERT INTO n WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c"
            " WHERE i + 1 < :n) SELECT i, printf('SKU-%07d', i), i + 1 FROM c",
            words,
        )
        for statement in _FILL:
            sqlite.execute(statement, words)
        if inside.policy == "split":
            sqlite.execute("INSERT INTO divided (sku, since) SELECT sku, :at FROM n", words)
        for name in inside.names:
            for statement in _FILL_CHANNEL + (_FILL_QUOTAS if inside.policy != "shared" else ()):
                sqlite.execute(statement, words | {"name": name})
        sqlite.commit()
        sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sqlite.close()
    with suppress(FileNotFoundError):
        path.with_name(path.name + "-shm").unlink()


_BEHIND = (
    "SELECT system FROM publish_cursors WHERE seq < (SELECT max(seq) FROM feed)"
    " UNION SELECT system FROM republish WHERE due_at <= ? ORDER BY 1"
)
_FILL = (
    "INSERT INTO stock (sku, location, system, on_hand, counter, began_at, read_at, item)"
    " SELECT sku, 'main', 'wms', :pool, 0, :at, :at, sku || '/' || :place FROM n",
    "INSERT INTO items (sku, source, first_seen_at) SELECT sku, 'wms', :at FROM n",
    "INSERT INTO feed (sku, seq, why, changed_at) SELECT sku, seq, 'stock', :at FROM n",
)
_FILL_CHANNEL = (
    "INSERT INTO listings (system, listing, place, sku, title, item, extras, active, shown,"
    " shown_at) SELECT :name, sku, '', sku, 'Article ' || i, sku, '{}', 1, :share, :at FROM n",
    "INSERT INTO published (system, listing, place, sku, quantity, acked_at)"
    " SELECT :name, sku, '', sku, :share, :at FROM n",
    "INSERT INTO publish_cursors (system, seq) VALUES (:name, :n)",
)
#: Every item has a history of sales, or its first order would divide every pool anew.
_FILL_QUOTAS = (
    "INSERT INTO paces (system, sku, quick, slow, at)"
    " SELECT :name, sku, 0, 20.0 / 86400, :at FROM n",
    "INSERT INTO quotas (system, listing, place, sku, shown, ceiling, anchor, anchor_at)"
    " SELECT :name, sku, '', sku, :share, :share, :share, :at FROM n",
)
