"""An installation of real processes: the fakes in one, the daemon in another, files on a disk."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from core.cli.scene import Remote, free_ports
from tests.flows.house import ROOT

PATIENCE_S = 60.0
SECRETS = {
    "SEAL": base64.b64encode(b"a key of tests, never for real!!").decode(),
    "SHOP": "shop-token",
    "SHOP_HOOK": "shop-hook-secret",
    "WEB": "web-token",
    "WEB_HOOK": "web-hook-secret",
    "DEPOT": "depot-token",
    "DEPOT_HOOK": "depot-hook-secret",
    "BOOKS": "books-key",
}
CONFIG = """\
company: {{name: Acme Outdoor, timezone: Europe/Berlin, currency: EUR}}
state: state/truecount.db
seal_key: ${{SEAL}}
mappings: "{mappings}"
listen: {{hooks: "127.0.0.1:{hooks}", operations: "127.0.0.1:{operations}"}}
systems:
  shop:
    connector: generic_channel
    network: private
    settings: {{base_url: "{fakes}/shop"}}
    secrets: {{api_token: "${{SHOP}}", webhook_secret: "${{SHOP_HOOK}}"}}
    every: {{order: 1s, listing: 2s}}
  web:
    connector: shopify
    network: private
    settings: {{base_url: "{fakes}/web"}}
    secrets: {{access_token: "${{WEB}}", webhook_secret: "${{WEB_HOOK}}"}}
    every: {{order: 2s, listing: 2s}}
  depot:
    connector: generic_wms
    network: private
    settings: {{base_url: "{fakes}/depot"}}
    secrets: {{api_token: "${{DEPOT}}", webhook_secret: "${{DEPOT_HOOK}}"}}
    every: {{stock_reading: 1s, shipment: 1s}}
  books:
    connector: generic_erp
    network: private
    settings: {{base_url: "{fakes}/books"}}
    secrets: {{api_key: "${{BOOKS}}"}}
    every: {{document: 1s, price: 1s, stock_reading: 2s}}
locations:
  main: {{at: {{depot: EAST, books: MAIN}}, serves: [shop, web]}}
owners:
  - {{number: on_hand, owner: depot}}
  - {{number: list_price, owner: books}}
  - {{number: unit_cost, owner: books}}
  - {{number: tax, owner: books}}
  - {{number: invoice, owner: books}}
report:
  recipients: [owner@acme.example]
  from: truecount@acme.example
  smtp: {{host: 127.0.0.1, port: {smtp}, tls: none}}
publish: {{policy: shared}}
log: {{level: {level}, format: json}}
"""


def until(what: str, true: Callable[[], object]) -> Any:
    """Wait for other processes. The only clock here is theirs."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


@dataclass
class Stage:
    folder: Path
    secrets: Mapping[str, str]
    level: str = "info"
    ports: list[int] = field(default_factory=lambda: free_ports(4))

    def __post_init__(self) -> None:
        self.fakes, self.hooks, self.operations, self.smtp = self.ports
        self.config = self.folder / "config.yaml"
        self.state = self.folder / "state"
        self.log = self.folder / "daemon.log"
        self.mappings = self.folder / "mappings"
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / "mappings", self.mappings)
        self.config.write_text(
            CONFIG.format(
                mappings=self.mappings,
                fakes=f"http://127.0.0.1:{self.fakes}",
                hooks=self.hooks,
                operations=self.operations,
                smtp=self.smtp,
                level=self.level,
            )
        )
        known = {  # what each system expects of us
            "shop": ("generic_channel", {"api_token": "SHOP", "webhook_secret": "SHOP_HOOK"}),
            "web": ("shopify", {"access_token": "WEB", "webhook_secret": "WEB_HOOK"}),
            "depot": ("generic_wms", {"api_token": "DEPOT", "webhook_secret": "DEPOT_HOOK"}),
            "books": ("generic_erp", {"api_key": "BOOKS"}),
        }
        systems = [
            {
                "name": name,
                "connector": connector,
                "settings": {"currency": "EUR"},
                "secrets": {theirs: self.secrets[ours] for theirs, ours in words.items()},
                **({} if name == "books" else {"hook_url": self.url(f"/hooks/{name}")}),
            }
            for name, (connector, words) in known.items()
        ]
        (self.folder / "hosts.json").write_text(json.dumps({"systems": systems}))

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.hooks}{path}"

    def environment(self, **changed: str) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "PYTHONPATH")}
        return {**own, **self.secrets, **changed}

    # ------------------------------------------------------------ processes

    def start(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                env=self.environment(**environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    @contextlib.contextmanager
    def systems(self) -> Iterator[Remote]:
        process = self.start(
            "tests.acceptance.echoing",
            str(self.folder / "hosts.json"),
            str(self.fakes),
            log=self.folder / "fakes.log",
        )
        remote = Remote(self.fakes)
        try:
            until("the fakes answer", remote.alive)
            yield remote
        finally:
            remote.close()
            end(process)

    @contextlib.contextmanager
    def daemon(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        process = self.start(
            "core.cli", "run", "--config", str(self.config), log=self.log, **environment
        )
        try:
            until("the daemon is ready", lambda: self.get("/readyz") == 200)
            yield process
        finally:
            end(process)

    def cli(self, verb: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "core.cli", verb, "--config", str(self.config), *words],
            env=self.environment(**environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    # ------------------------------------------------------------ looking

    def get(self, path: str) -> int:
        try:
            return httpx.get(
                f"http://127.0.0.1:{self.operations}{path}", trust_env=False
            ).status_code
        except httpx.HTTPError:
            return 0

    def quotes(self, plan: Mapping[str, Mapping[str, int]]) -> None:
        """From now on these calls are refused with an error that repeats their body."""
        httpx.post(
            f"http://127.0.0.1:{self.fakes}/_echo", json=plan, trust_env=False
        ).raise_for_status()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.state / "truecount.db")) as connection:
            return connection.execute(sql).fetchall()


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
