"""A whole seller in one process: the real App on real SQLite, fakes behind its doors, no sockets.

Time stands still until somebody waits for something. `settle` walks from one due
time to the next as the daemon's loops would; after every single step the watchers
look whether what must always hold still holds.
"""

from __future__ import annotations

import base64
import hmac
import json
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from core import (
    items_in_force,
    mappings_in_force,
    nodes,
    operate,
    reconcile,
    report,
    rules_in_force,
    stock,
    views,
)
from core.app import App, build, open_state
from core.clock import ManualClock
from core.config import load_config
from core.fakehost import FakeHost
from core.rounds import Rounds
from core.serving import hook_spec
from core.store.engine import Store
from core.web.receiver import Receiver, ReceiverLimits
from core.work import Work

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SEED = 20261125
#: Channels that a house may have; most tests need the first two.
NINE = ("shop", "market", "arcade", "bazaar", "corner", "fair", "gallery", "kiosk", "outlet")
ENV = {
    "SEAL": base64.b64encode(b"a key of tests, never for real!!").decode(),
    "CHANNEL": "channel-token",
    "DEPOT": "wms-token",
    "BOOKS": "erp-key",
    "BOUTIQUE": "boutique-token",
    **{f"HOOK_{name}": f"{name}-hook-secret" for name in ("depot", "boutique", *NINE)},
}

#: Every house reads the same mappings; parsing them anew was a third of the time of a small test.
READ_ONCE = lru_cache(maxsize=512)(nodes.load_yaml)

CHANNEL = """\
  {name}:
    connector: {connector}
    network: private
    mappings: "{mappings}/generic_channel"
    settings: {{base_url: "http://127.0.0.1:9/{name}"}}
    secrets: {{api_token: "${{CHANNEL}}", webhook_secret: "${{HOOK_{name}}}"}}
    every: {{order: 30s, listing: 10m}}
"""
SHOPIFY = """\
  boutique:
    connector: shopify
    network: private
    settings: {base_url: "http://127.0.0.1:9/boutique"}
    secrets: {access_token: "${BOUTIQUE}", webhook_secret: "${HOOK_boutique}"}
    every: {order: 30s, listing: 10m}
"""
CONFIG = """\
company: {{name: Acme, timezone: {zone}, currency: EUR}}
state: state/truecount.db
seal_key: ${{SEAL}}
mappings: "{mappings}"{rules}
listen: {{public_url: "http://127.0.0.1:8080", waiting_max: {waiting_max}}}
publish: {{linger: {linger}, policy: {policy}}}
systems:
{channels}
  depot:
    connector: {warehouse}
    network: private
    mappings: "{mappings}/generic_wms"
    settings: {{base_url: "http://127.0.0.1:9/depot"}}
    secrets: {{api_token: "${{DEPOT}}", webhook_secret: "${{HOOK_depot}}"}}
    every: {{stock_reading: 30s, shipment: 30s}}
    ignore_places: [SCRAP]
{source}
  books:
    connector: generic_erp
    network: private
    settings: {{base_url: "http://127.0.0.1:9/books"}}
    secrets: {{api_key: "${{BOOKS}}"}}
    every: {{document: 2m, price: 2m, stock_reading: 10m}}
locations:
  main:
    at: {{depot: EAST, books: MAIN}}
    serves: [{serves}]
    safety_stock: {safety}
{second}owners:
  - {{number: on_hand, owner: depot}}
  - {{number: list_price, owner: books}}
  - {{number: unit_cost, owner: books}}
  - {{number: tax, owner: books}}
  - {{number: invoice, owner: books}}
report:
  recipients: [owner@acme.example]
  from: truecount@acme.example
  smtp: {{host: 127.0.0.1, port: 2525, tls: none}}
"""


SECOND = """\
  annex:
    at: {{depot: WEST}}
    serves: [{serves}]
    safety_stock: {safety}
"""
#: What the same warehouse promises where it is read in another way.
WHOLE = (
    ("stock_reading: {every: 60s, full_every: 24h}", "stock_reading: {every: 60s, snapshot: true}"),
    (
        """      id: [sku, place]
      revision: movement
      paging: {kind: keyset, size_param: limit, size: 200}
      since: {param: since, format: counter, item: movement}
""",
        """      id: id
      params: {limit: "500"}
""",
    ),
)
MOVING = (
    (
        "stock_reading: {every: 60s, full_every: 24h}",
        "stock_reading: {every: 60s}\n  stock_movement: {every: 10s}",
    ),
    (
        "    shipment:\n      path",
        """\
    stock_movement:
      path: /movements
      items: rows
      id: id
      revision: movement
      paging: {kind: keyset, size_param: limit, size: 200}
      since: {param: since, format: counter, item: movement}
    shipment:
      path""",
    ),
)


def _warehouse(folder: Path, kind: str) -> str:
    """The connector of the depot: as it is, or with a manifest of its own."""
    if not kind:
        return "generic_wms"
    text = (ROOT / "connectors" / "generic_wms" / "manifest.yaml").read_text()
    for old, new in WHOLE if kind == "whole" else MOVING:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    own = folder / "connectors" / f"{kind}_wms"
    own.mkdir(parents=True)
    own.joinpath("manifest.yaml").write_text(text.replace("name: generic_wms", f"name: {kind}_wms"))
    return f"{kind}_wms"


#: Channels whose number still contains their own open orders, that are told differences, or
#: whose orders only a person can accept.
FIELDS = {
    "gross": (("field: net", "field: gross"),),
    "by_hand": (
        ("  accept_order: {safe_by: reference, urgency: high}\n", ""),
        (
            """\
    accept_order:
      path: /orders/{record.order}/acceptances
      reference: id
      already: {status: 409, path: error.code, in: [duplicate_reference]}
      find:
        path: /orders/{record.order}/acceptances
        items: acceptances
        where: {reference: "{record.reference}"}
        reference: id
""",
            "",
        ),
    ),
    "relative": (
        ("write: absolute", "write: relative"),
        ('quantity: "{quantity}"', 'change: "{change}"'),
    ),
}


def _channel(folder: Path, kind: str) -> str:
    """The connector of a channel: as it is, or with a manifest of its own."""
    if not kind:
        return "generic_channel"
    own = folder / "connectors" / f"{kind}_channel"
    text = (ROOT / "connectors" / "generic_channel" / "manifest.yaml").read_text()
    for old, new in (*FIELDS[kind], ("name: generic_channel", f"name: {own.name}")):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    own.mkdir(parents=True, exist_ok=True)
    own.joinpath("manifest.yaml").write_text(text)
    return own.name


class Killed(BaseException):
    """The process ends here. Nothing of ours may catch it, as nothing catches SIGKILL."""


@dataclass
class Wires(httpx.AsyncBaseTransport):
    """The network between the daemon and one system, with a place to cut it."""

    system: str
    host: FakeHost
    kill_before: str = ""  # "POST /orders": the process ends before this call leaves
    kill_after: str = ""  # … after the system has done it, before we hear of it
    headers: dict[str, str] = field(default_factory=dict)  # added to every answer that fails
    on_request: list[Callable[[httpx.Request], None]] = field(default_factory=list)
    spoil: Callable[[str, bytes], bytes] | None = None  # what becomes of a body on its way to us
    sent: list[str] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(f"/{self.system}")
        what = f"{request.method} {path}"
        self.sent.append(what)
        for look in self.on_request:
            look(request)
        if self.kill_before and what.startswith(self.kill_before):
            self.kill_before = ""
            raise Killed(what)
        response = await httpx.ASGITransport(app=self.host.app).handle_async_request(request)
        if self.kill_after and what.startswith(self.kill_after):
            self.kill_after = ""
            raise Killed(what)
        if self.spoil is not None:
            body = self.spoil(what, await response.aread())
            headers = {"content-type": "application/json"}
            return httpx.Response(response.status_code, headers=headers, content=body)
        return response

    def count(self, what: str) -> int:
        return sum(one.startswith(what) for one in self.sent)


@dataclass
class House:
    """The seller. Verbs act on the fakes; `rows` and `one` look into the database."""

    folder: Path
    clock: ManualClock
    host: FakeHost
    wires: dict[str, Wires]
    lost_pushes: set[str] = field(default_factory=set)
    watchers: list[Callable[[House], None]] = field(default_factory=list)
    seen: dict[Any, int] = field(default_factory=dict)  # what a watcher wants to remember
    app: App = field(init=False)
    receiver: httpx.AsyncClient = field(init=False)
    _rounds: Rounds = field(init=False)
    starts: int = 0

    # -------------------------------------------------------------- our side

    async def start(self) -> None:
        self.starts += 1
        with patch.object(nodes, "load_yaml", READ_ONCE):
            config = load_config(self.folder / "config.yaml", ENV, [self.folder / "connectors"])
            app = self.app = build(
                config,
                self.clock,
                rng=random.Random(SEED + self.starts),
                transports=self.wires.__getitem__,
                threaded=False,
            )
        self._rounds = Rounds(app)
        await open_state(app)
        await items_in_force.restore(app)
        await rules_in_force.restore(app)
        await mappings_in_force.restore(app)
        await app.outbox.recover()
        await app.publisher.recover()
        await app.sweep.prepare()
        receiver = Receiver(
            hooks={
                n: spec
                for n, s in config.systems.items()
                if (spec := hook_spec(s, config.listen.public_url))
            },
            store=app.store,
            seal=app.seal,
            clock=self.clock,
            limits=ReceiverLimits(backlog_max=config.listen.waiting_max),
            on_kept=app.kept,
            metrics=app.metrics,
            backlog=lambda: app.backlog,
        )
        self.receiver = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=receiver), base_url="http://truecount"
        )

    async def stop(self) -> None:
        await self.receiver.aclose()
        await self.app.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def step(self) -> bool:
        """Everything that is due now, once. True if anything was."""
        app, moved = self.app, False
        rows, _ = await app.intake.run_once()
        app.settled(rows)
        moved |= rows > 0
        self._watch()
        moved |= await rules_in_force.pass_time(app)
        for name, system in app.config.systems.items():
            if system.manifest.reads and app.may_read:
                moved |= await app.sweep.run_fetches(name) > 0
                due = app.sweep.due(name)
                for row in due:
                    await app.sweep.one_page(row)
                    self._watch()
                moved |= bool(due)
            if app.doors[name].closed_for_s > 0:
                continue
            if system.manifest.accepts:
                moved |= await app.outbox.deliver_due(name, app.doors[name].room) > 0
                self._watch()
            if system.manifest.stock_write is not None:
                moved |= await app.publisher.publish_once(name) > 0
                self._watch()
        return moved

    def _watch(self) -> None:
        for watcher in self.watchers:
            watcher(self)

    async def now(self) -> None:
        """Everything that can happen without waiting."""
        for _ in range(300):
            if not await self.step():
                return
        raise AssertionError("it does not come to rest")

    async def settle(self, seconds: float = 70.0) -> None:
        """Let this much time pass, from one due time to the next."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while True:
            await self.now()
            now = self.clock.now()
            if now >= end:
                return
            due = min([at for at in self._due_times() if at > now], default=end)
            self.clock.advance(max(0.001, (min(due, end) - now).total_seconds()))

    def _due_times(self) -> list[datetime]:
        app, found = self.app, []
        for name, system in app.config.systems.items():
            times = [app.sweep.next_due(name), rules_in_force.next_due(app)]
            if system.manifest.accepts:
                times.append(app.outbox.next_due(name))
            if system.manifest.stock_write is not None:
                times.append(app.publisher.next_due(name))
            found += [at for at in times if at is not None]
            closed = app.doors[name].closed_for_s
            if closed > 0:
                found.append(self.clock.now() + timedelta(seconds=closed))
        return found

    async def rounds(self) -> None:
        """As the daemon's loop makes them, every few seconds."""
        await self._rounds.make()

    async def operate(self, verb: str, **words: Any) -> dict[str, Any]:
        return await operate.operate(self.app, verb, words)

    async def push(self, system: str, headers: Mapping[str, str], body: bytes) -> int:
        if system in self.lost_pushes:
            return 503
        answer = await self.receiver.post(f"/hooks/{system}", headers=headers, content=body)
        return answer.status_code

    # -------------------------------------------------------------- looking

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """As another process sees it: only what was committed."""
        connection = sqlite3.connect(self.app.store.path)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def one(self, sql: str, *values: Any) -> Any:
        found = self.rows(sql, *values)
        assert len(found) == 1, f"{len(found)} rows: {sql}"
        return found[0][0] if len(found[0]) == 1 else found[0]

    def mail(self) -> str:
        """The text of today's mail, as far as nobody was asked to read everything again."""
        now = self.clock.now()
        with self.app.store.read() as connection:
            found = reconcile.compare(connection, self.app.network, now.date(), now, every_s={})
        return report.as_text(found)

    def order(self, system: str, external_id: str) -> sqlite3.Row:
        return self.one(
            "SELECT * FROM orders WHERE system = ? AND external_id = ?", system, external_id
        )

    def state(self, system: str, order: Mapping[str, Any]) -> str:
        return str(self.order(system, order["id"])["state"])

    def line(self, system: str, order: Mapping[str, Any], key: str = "1") -> tuple[int, ...]:
        """(ordered, claimed, short, consumed, cancelled) of one line."""
        row = self.one(
            "SELECT ordered, claimed, short, consumed, cancelled FROM lines"
            " WHERE order_id = ? AND key = ?",
            self.order(system, order["id"])["id"],
            key,
        )
        return tuple(row)

    def commands(self, kind: str = "%") -> list[sqlite3.Row]:
        return self.rows("SELECT * FROM outbox WHERE kind LIKE ? ORDER BY id", kind)

    def command(self, kind: str) -> sqlite3.Row:
        found = self.commands(kind)
        assert len(found) == 1, [row["key"] for row in found]
        return found[0]

    def commands_waiting(self) -> list[str]:
        """Keys of commands that are neither done nor given up."""
        over = "('done', 'dead', 'taken_back', 'discarded')"
        return [r["key"] for r in self.rows(f"SELECT key FROM outbox WHERE state NOT IN {over}")]

    def causes(self) -> list[str]:
        """Of open exceptions."""
        sql = "SELECT cause FROM holds WHERE closed_at IS NULL ORDER BY cause"
        return [row["cause"] for row in self.rows(sql)]

    def sellable(self, sku: str = "TEA", location: str = "main") -> int:
        with self.app.store.read() as connection:
            work = Work.begin(connection, self.app.network, self.app.seal, self.clock.now())
            return stock.terms_of(work, sku, location).sellable

    def oversold(self) -> list[dict[str, Any]]:
        with self.app.store.read() as connection:
            return views.oversold(connection)

    async def write(self, sql: str) -> None:
        """A trigger, mostly: what a full disk or a crash would do to one statement."""
        await self.app.store.write(lambda connection: connection.exec_driver_sql(sql) and None)

    # -------------------------------------------------------------- their side

    def fake(self, name: str) -> Any:
        return self.host.fake(name)

    @property
    def shop(self) -> Any:
        return self.host.fake("shop")

    @property
    def market(self) -> Any:
        return self.host.fake("market")

    @property
    def depot(self) -> Any:
        return self.host.fake("depot")

    @property
    def books(self) -> Any:
        return self.host.fake("books")

    def faults(self, name: str, **words: Any) -> None:
        self.host.faults(name).takes(words)

    async def sells(self, **units: int) -> None:
        """These articles lie in the depot, are known to the books and offered on both channels."""
        for sku, count in units.items():
            self.depot.receive(sku, "EAST", count)
            self.books.set_item(sku, "10.00", "4.00")
            for channel in (self.shop, self.market):
                channel.list_item(sku, price="10.00")
        await self.now()

    async def hook(self, system: str, order: Mapping[str, Any], event: str = "") -> int:
        """A signed push of this very payload, however old it is."""
        body = json.dumps({"order": order}).encode()
        key = f"{system}-hook-secret".encode()
        headers = {
            "content-type": "application/json",
            "x-channel-topic": "order.changed",
            "x-channel-event": event or f"{order['id']}-{order['version']}-order.changed",
            "x-channel-signature": hmac.digest(key, body, "sha256").hex(),
        }
        return await self.push(system, headers, body)

    async def edit(self, system: str, order: dict[str, Any], *units: int, gone: str = "") -> None:
        """The channel changes its lines: so many units of each; `gone` removes one line."""
        lines = [line for line in order["lines"] if line["id"] != gone]
        for line, count in zip(lines, units, strict=False):
            line["quantity"] = count
        total = sum(float(line["unit_price"]) * line["quantity"] for line in lines)
        order.update(
            lines=lines,
            total=f"{total:.2f}",
            version=order["version"] + 1,
            updated_at=self.clock.now().isoformat().replace("+00:00", "Z"),
        )
        await self.hook(system, order)

    def asked(self) -> list[dict[str, Any]]:
        """Orders in the warehouse."""
        return list(self.depot.orders())

    def waiting(self) -> str:
        """The reference of the one order that waits in the warehouse."""
        found = [o["reference"] for o in self.depot.orders() if o["state"] in _WAITS]
        assert len(found) == 1, found
        return str(found[0])

    def promised(self, sku: str) -> int:
        """Units the warehouse has accepted and not shipped."""
        return sum(
            line["quantity"]
            for order in self.depot.orders()
            for line in order["left"]
            if line["sku"] == sku and order["state"] in _WAITS  # what it is done with is short
        )

    def bought(self, sku: str) -> int:
        """Units of the channels' orders that are neither cancelled nor have left the depot."""
        sold = sum(c.sold().get(sku, 0) for c in (self.shop, self.market))
        left = sum(
            line["quantity"]
            for parcel in self.depot.shipments()
            for line in parcel["lines"]
            if line["sku"] == sku
        )
        return sold - left


_WAITS = ("open", "part_shipped")
_template: list[bytes] = []


async def _empty_state(folder: Path) -> bytes:
    """Made once: thirty tables with an fsync each are most of a test's time."""
    if not _template:
        path = folder / "template.db"
        store = Store(path, threaded=False)
        store.open()
        await store.close()
        _template.append(path.read_bytes())
    return _template[0]


@asynccontextmanager
async def house(
    tmp_path: Path,
    *,
    basis: str = "on_hand",
    source: str = "",
    safety: int = 0,
    linger: str = "0s",
    policy: str = "shared",
    channels: Sequence[str] = NINE[:2],
    fields: Mapping[str, str] | None = None,
    boutique: bool = False,
    mappings: bool = False,
    rules: str = "",
    items: str = "",
    pushes: bool = True,
    warehouse: str = "",
    second: bool = False,
    second_safety: int = 0,
    state: bytes = b"",
    waiting_max: int = 100_000,
    zone: str = "Europe/Berlin",
    settings: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[House]:
    """Open for business. `mappings`: its own copy, that a test may edit; `rules`: rules.yaml;
    `items`: items.yaml. `warehouse`: "whole" shows every shelf in every pass, "moving" tells
    its movements too. `fields`: the stock field of a channel, gross or relative.
    `state`: begin with this database, an hour later. `second`: another location of the same
    warehouse, WEST, with a safety stock of its own."""
    folder = tmp_path / "house"
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "truecount.db").write_bytes(state or await _empty_state(tmp_path))
    if mappings:
        shutil.copytree(ROOT / "mappings", folder / "mappings")
    if rules:
        (folder / "rules.yaml").write_text(rules)
    if items:
        (folder / "items.yaml").write_text(items)
    written = folder / "mappings" if mappings else ROOT / "mappings"
    fields = fields or {}
    text = "".join(
        CHANNEL.format(
            name=name, connector=_channel(folder, fields.get(name, "")), mappings=written
        )
        for name in channels
    )
    served = ", ".join([*channels, *["boutique"] * boutique])
    if boutique:
        text += SHOPIFY
    if basis == "available":
        source = source or "{basis: available, ordered_by: counter}"
    (folder / "config.yaml").write_text(
        CONFIG.format(
            mappings=written,
            rules="\nrules: rules.yaml" * bool(rules) + "\nitems: items.yaml" * bool(items),
            channels=text.rstrip(),
            source=f"    stock_source: {source}" if source else "",
            serves=served,
            second=SECOND.format(serves=served, safety=second_safety) if second else "",
            warehouse=_warehouse(folder, warehouse),
            safety=safety,
            linger=linger,
            policy=policy,
            waiting_max=waiting_max,
            zone=zone,
        )
    )
    clock = ManualClock(START + timedelta(hours=1) if state else START)
    given = {name: dict(words) for name, words in (settings or {}).items()}
    push = "true" if pushes else "false"
    cast: list[dict[str, Any]] = [
        {
            "name": name,
            "connector": "generic_channel",
            "settings": {
                "prefix": name[0].upper(),
                "field": fields.get(name, "net"),
            },
        }
        for name in channels
    ]
    cast.append({"name": "depot", "connector": "generic_wms", "settings": {"basis": basis}})
    cast.append({"name": "books", "connector": "generic_erp"})
    if boutique:
        secrets = {"access_token": "boutique-token", "webhook_secret": "boutique-hook-secret"}
        cast.append(
            {
                "name": "boutique",
                "connector": "shopify",
                "settings": {"currency": "EUR"},
                "secrets": secrets,
            }
        )
    for one in cast:
        one.setdefault("secrets", {"webhook_secret": f"{one['name']}-hook-secret"})
        one["settings"] = {"push": push, **one.get("settings", {}), **given.get(one["name"], {})}
    found: list[House] = []

    def way_in(name: str) -> Callable[[Mapping[str, str], bytes], Awaitable[int]]:
        async def deliver(headers: Mapping[str, str], body: bytes) -> int:
            return await found[0].push(name, headers, body)

        return deliver

    host = FakeHost(
        cast, now=clock.now, seed=SEED, deliver={one["name"]: way_in(one["name"]) for one in cast}
    )
    wires = {one["name"]: Wires(one["name"], host) for one in cast}
    it = House(folder, clock, host, wires)
    found.append(it)
    await it.start()
    try:
        yield it
    finally:
        await it.stop()
        await host.close()
