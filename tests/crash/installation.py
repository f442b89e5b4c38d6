"""One installation that is killed: files on a disk, the systems beside it, a letterbox.

The systems, the mail server and the pushes of `shop` live outside of the daemon's
process, so their truth survives whatever happens to it. The program is started as its
operator starts it; the only thing a test adds is the environment variable that says
where it dies.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from core.cli.scene import Remote
from core.crash import VARIABLE
from core.simulation.logins import FIRST
from tests.crash.own_connectors import install
from tests.crash.systems import INSIDE
from tests.flows.house import ROOT

#: How long anything may take on a machine that does ten other things. Nothing is judged by it.
PATIENCE_S = float(os.environ.get("TRUECOUNT_PATIENCE_S", "120"))
LOOK_S = 0.04
SECRETS = {
    "SEAL": base64.b64encode(b"a key of tests, never for real!!").decode(),
    "SHOP": "shop-token",
    "SHOP_HOOK": "shop-hook-secret",
    "MARKET_ID": "market-app",
    "MARKET_SECRET": "market-app-secret",
    "MARKET_REFRESH": FIRST,
    "DEPOT": "depot-token",
    "DEPOT_HOOK": "depot-hook-secret",
    "BOOKS": "books-key",
}
CONFIG = """\
company: {{name: Acme Outdoor, timezone: Europe/Berlin, currency: EUR}}
state: state/truecount.db
seal_key: ${{SEAL}}
mappings: "{mappings}"
items: items.yaml
rules: rules.yaml
listen: {{hooks: "127.0.0.1:{hooks}", operations: "127.0.0.1:{operations}"}}
publish: {{policy: shared, linger: 0s}}
systems:
  shop:
    connector: crash_shop
    mappings: "{mappings}/generic_channel"
    network: private
    settings: {{base_url: "{fakes}/shop"}}
    secrets: {{api_token: "${{SHOP}}", webhook_secret: "${{SHOP_HOOK}}"}}
    every: {{order: 1s, listing: 2s}}
  market:
    connector: crash_market
    mappings: "{mappings}/generic_channel"
    network: private
    settings: {{base_url: "{fakes}/market", token_url: "{fakes}/market/token"}}
    secrets:
      client_id: ${{MARKET_ID}}
      client_secret: ${{MARKET_SECRET}}
      refresh_token: ${{MARKET_REFRESH}}
      webhook_secret: ${{SHOP_HOOK}}
    every: {{order: 1s, listing: 2s}}
  depot:
    connector: crash_depot
    mappings: "{mappings}/generic_wms"
    network: private
    settings: {{base_url: "{fakes}/depot"}}
    secrets: {{api_token: "${{DEPOT}}", webhook_secret: "${{DEPOT_HOOK}}"}}
    every: {{stock_reading: 1s, shipment: 1s}}
  books:
    connector: {ledger}
    mappings: "{mappings}/generic_erp"
    network: private
    settings: {{base_url: "{fakes}/books"}}
    secrets: {{api_key: "${{BOOKS}}"}}
    every: {{document: 1s, price: 5s, stock_reading: 5s}}
locations:
  main: {{at: {{depot: EAST, books: MAIN}}, serves: [shop, market]}}
owners:
  - {{number: on_hand, owner: depot}}
  - {{number: list_price, owner: books}}
  - {{number: unit_cost, owner: books}}
  - {{number: tax, owner: books}}
  - {{number: invoice, owner: books}}
{report}log: {{level: info, format: json}}
"""
REPORT = """\
report:
  at: "00:00"
  settle: 0s
  recipients: [owner@acme.example]
  from: truecount@acme.example
  smtp: {{host: 127.0.0.1, port: {smtp}, tls: none}}
"""
RULES = "rules:\n  - {sku: CUP, policy: split}\n"
ITEMS = "tags:\n  drinks: [TEA]\n"


class Stuck(AssertionError):
    """What had to happen did not."""


def until(what: str, true: Callable[[], Any]) -> Any:
    """Wait for other processes. The only clock here is theirs."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(LOOK_S)
    raise Stuck(f"never: {what}")


def own_ports(count: int) -> list[int]:
    """Ports that stay free while nobody listens there, all different.

    The kernel gives callers ports from 32768 on (Linux; others begin higher): one of those
    would be taken by some connection just when a killed daemon comes back to it.
    """
    found: set[int] = set()
    while len(found) < count:
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", 10_000 + secrets.randbelow(22_000)))
            found.add(one.getsockname()[1])
    return list(found)


class Letterbox:
    """A mail server's memory."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return "250 kept"


@dataclass
class Installation:
    """`with` it: the systems run, the daemon does not. `ledger`: the connector of the books."""

    folder: Path
    ledger: str = "crash_books"
    mails: bool = False
    box: Letterbox = field(default_factory=Letterbox)
    remote: Remote = field(init=False)
    daemon: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def __post_init__(self) -> None:
        self.fakes, self.hooks, self.operations, self.smtp = own_ports(4)
        self.config = self.folder / "config.yaml"
        self.state = self.folder / "state" / "truecount.db"
        self.log = self.folder / "daemon.log"
        self.mappings = self.folder / "mappings"
        self.a_mapping = self.mappings / "generic_channel" / "order.yaml"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.site = install(self.folder)
        for name in ("generic_channel", "generic_wms", "generic_erp"):
            shutil.copytree(ROOT / "mappings" / name, self.mappings / name)
        for name in ("books", "items", "rules"):
            (self.folder / f"{name}.yaml").write_text(
                {"items": ITEMS, "rules": RULES}.get(name, "")
            )
        self.config.write_text(
            CONFIG.format(
                mappings=self.mappings,
                fakes=f"http://127.0.0.1:{self.fakes}",
                hooks=self.hooks,
                operations=self.operations,
                ledger=self.ledger,
                report=REPORT.format(smtp=self.smtp) if self.mails else "",
            )
        )
        own = {  # what each system knows; `shop` has its pushes from the test, which counts them
            "shop": (
                "generic_channel",
                {"api_token": SECRETS["SHOP"], "push": "false", "prefix": "P"},
            ),
            "market": ("generic_channel", {"api_token": INSIDE, "push": "false", "prefix": "M"}),
            "depot": (
                "generic_wms",
                {
                    "api_token": SECRETS["DEPOT"],
                    "webhook_secret": SECRETS["DEPOT_HOOK"],
                    "push": "true",
                },
            ),
            "books": ("generic_erp", {"api_key": SECRETS["BOOKS"]}),
        }
        systems = [
            {
                "name": name,
                "connector": connector,
                "settings": {"currency": "EUR", **settings},
                "hook_url": self.hook("depot") if name == "depot" else "",
            }
            for name, (connector, settings) in own.items()
        ]
        (self.folder / "hosts.json").write_text(json.dumps({"systems": systems}))

    # ------------------------------------------------------------ processes

    def __enter__(self) -> Installation:
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            if self.mails:
                post = Controller(self.box, hostname="127.0.0.1", port=self.smtp)
                post.start()
                stack.callback(post.stop)
            beside = self._start(
                "tests.crash.systems",
                str(self.folder / "hosts.json"),
                str(self.fakes),
                log=self.folder / "systems.log",
            )
            stack.callback(end, beside)
            self.remote = Remote(self.fakes)
            stack.callback(self.remote.close)
            self.http = stack.enter_context(httpx.Client(trust_env=False, timeout=30.0))
            stack.callback(self.kill)
            until("the systems answer", self.remote.alive)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def environment(self, at: str = "") -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "PYTHONPATH")}
        path = [str(self.site), own.get("PYTHONPATH", "")]
        own |= {"PYTHONPATH": os.pathsep.join(filter(None, path)), **SECRETS}
        return {**own, VARIABLE: at} if at else own

    def _start(self, *command: str, log: Path, at: str = "") -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                env=self.environment(at),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def start(self, at: str = "") -> None:
        """Start the daemon; `at`: where it dies. Does not wait for it."""
        assert self.daemon is None
        self.starts += 1
        self.daemon = self._start(
            "core.cli", "run", "--config", str(self.config), log=self.log, at=at
        )

    @property
    def alive(self) -> bool:
        return self.daemon is not None and self.daemon.poll() is None

    def kill(self) -> None:
        """SIGKILL, whenever it is; the daemon is gone afterwards."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None

    def stop(self) -> int:
        """TERM, and how it ended: 0, or minus the signal it died of on its way."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        assert self.daemon is not None
        code = self.daemon.wait(PATIENCE_S)
        self.daemon = None
        return code

    def verb(self, *words: str, at: str = "") -> subprocess.CompletedProcess[str]:
        """Another verb beside the daemon, or instead of it."""
        verb, *rest = words
        return subprocess.run(
            [sys.executable, "-m", "core.cli", verb, "--config", str(self.config), *rest],
            env=self.environment(at),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def verb_with_room(self, size: int, *words: str) -> subprocess.CompletedProcess[str]:
        """The same, where no file may grow beyond `size` bytes."""
        verb, *rest = words
        code = (
            "import resource, sys; from core.cli import main;"
            f" resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY));"
            " sys.exit(main(sys.argv[1:]))"
        )
        return subprocess.run(
            [sys.executable, "-c", code, verb, "--config", str(self.config), *rest],
            env=self.environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,  # pipes, which a full disk does not fill
            text=True,
            timeout=PATIENCE_S,
        )

    # ------------------------------------------------------------ pushes

    def hook(self, system: str) -> str:
        return f"http://127.0.0.1:{self.hooks}/hooks/{system}"

    def push(self, topic: str, order: dict[str, Any]) -> bool:
        """As the shop pushes: the whole order, signed. True once it is acknowledged."""
        body = orjson.dumps({"order": order})
        headers = {
            "content-type": "application/json",
            "x-channel-topic": topic,
            "x-channel-event": event_of(topic, order),
            "x-channel-signature": hmac.digest(SECRETS["SHOP_HOOK"].encode(), body, "sha256").hex(),
        }
        try:
            answer = self.http.post(self.hook("shop"), headers=headers, content=body)
        except httpx.HTTPError:
            return False
        return 200 <= answer.status_code < 300

    # ------------------------------------------------------------ looking

    def ready(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.operations}/readyz"
            return self.http.get(url).status_code == 200
        except httpx.HTTPError:
            return False

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What is committed, seen from outside; nothing before there is a state."""
        if not self.state.exists():
            return []
        with _reading(self.state) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return []
            return connection.execute(sql, values).fetchall()

    def let_pass_for_mails(self) -> None:
        """Ten minutes, for the dead: a mail that did not go is due again."""
        with contextlib.closing(sqlite3.connect(self.state)) as connection, connection:
            connection.execute("UPDATE reports SET made_at = '2026-01-01T00:00:00.000000Z'")

    def said(self) -> str:
        """The end of the log, for whoever reads a failure."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as own:
        yield own


def event_of(topic: str, order: dict[str, Any]) -> str:
    return f"{order['id']}-{order['version']}-{topic}"


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
