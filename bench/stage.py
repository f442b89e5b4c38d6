"""The stage: a frozen copy of the program, its configuration, its processes, and their /proc.

The daemon is `python -m core.cli run`, unchanged, in a process of its own. Only
the manifests' budgets differ, in the copy: at 20 and 10 calls a second the shipped
ones measure their own limit.
"""

from __future__ import annotations

import base64
import compileall
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from bench.fakes import PLACE
from core.cli.scene import free_ports

ROOT = Path(__file__).resolve().parent.parent
TOKEN, HOOK_SECRET = "bench-token", "bench-hook-secret"
ENVIRONMENT = {
    "TRUECOUNT_SEAL_KEY": base64.b64encode(b"a bench key, never used for real").decode(),
    "BENCH_TOKEN": TOKEN,
    "BENCH_HOOK": HOOK_SECRET,
}
SKUS, UNITS = 200, 1_000_000
START_S, STOP_S = 60.0, 20.0
TICKS = os.sysconf("SC_CLK_TCK")
BUDGET = "budgets:\n  calls: {per_second: 100000, burst: 100000}\nat_once: "


@dataclass(slots=True)
class Process:
    """One process of ours and what /proc says of it."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mib(self, what: str = "VmRSS") -> float:
        for line in Path(f"/proc/{self.popen.pid}/status").read_text("utf-8").splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"no {what} of {self.name}")

    def files(self) -> int:
        """Open files and sockets."""
        return len(list(Path(f"/proc/{self.popen.pid}/fd").iterdir()))

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


@dataclass(slots=True)
class Stage:
    """Everything below one scratch folder. `close()` ends every process it started."""

    folder: Path
    channels: int = 8
    at_once: int = 8
    level: str = "info"
    commit: str = ""
    ports: list[int] = field(default_factory=lambda: free_ports(4))
    processes: list[Process] = field(default_factory=list)

    @property
    def fakes_port(self) -> int:
        return self.ports[0]

    @property
    def hooks_port(self) -> int:
        return self.ports[1]

    @property
    def operations_port(self) -> int:
        return self.ports[2]

    @property
    def floor_port(self) -> int:
        return self.ports[3]

    @property
    def program(self) -> Path:
        return self.folder / "program"

    @property
    def shops(self) -> list[str]:
        return [f"ch{index}" for index in range(1, self.channels + 1)]

    @property
    def floors(self) -> list[str]:
        return [f"floor{index}" for index in range(1, self.channels + 1)]

    def freeze(self) -> None:
        """Copy the program, or take it from `commit`: it may be edited while rounds are run."""
        junk = shutil.ignore_patterns("__pycache__", "results")
        shutil.copytree(ROOT / "bench", self.program / "bench", ignore=junk)
        names = ("core", "connectors", "mappings")
        if self.commit:
            whole = ["git", "archive", self.commit, *names]
            packed = subprocess.run(whole, cwd=ROOT, capture_output=True, check=True).stdout
            subprocess.run(["tar", "-x", "-C", str(self.program)], input=packed, check=True)
        else:
            for name in names:
                shutil.copytree(ROOT / name, self.program / name, ignore=junk)
        for name in ("generic_channel", "generic_wms", "generic_erp"):
            path = self.program / "connectors" / name / "manifest.yaml"
            text, found = re.subn(
                r"budgets:\n  calls: .*\nat_once: \d+", f"{BUDGET}{self.at_once}", path.read_text()
            )
            assert found == 1, f"{path} has another shape now"
            path.write_text(text)
        compileall.compile_dir(self.program, quiet=1)

    # -------------------------------------------------------------- processes

    def start_fakes(self) -> Process:
        systems = [_channel(name) for name in (*self.shops, *self.floors)]
        systems += [_host(name, "generic_wms", "api_token") for name in ("wms", "floorwms")]
        systems += [_host(name, "generic_erp", "api_key") for name in ("erp", "floorerp")]
        path = self.folder / "hosts.json"
        path.write_bytes(orjson.dumps({"systems": systems}))
        words = ["--config", str(path), "--port", str(self.fakes_port)]
        words += ["--skus", str(SKUS), "--units", str(UNITS)]
        process = self._start("fakes", ["-m", "bench.fakes", *words])
        self._until(self.fakes_port, "/_faults", process)
        return process

    def start_floor(self) -> Process:
        words = ["--port", str(self.floor_port), "--fakes", str(self.fakes_port)]
        words += ["--units", str(UNITS), "--channels", ",".join(self.floors)]
        words += ["--warehouse", "floorwms", "--books", "floorerp"]
        process = self._start("floor", ["-m", "bench.floor", *words])
        self._until(self.floor_port, "/ack", process)
        return process

    def start_daemon(self, state: Path, *, profile_to: Path | None = None) -> Process:
        """Started; `ready()` waits for it."""
        config = state / "config.yaml"
        state.mkdir(parents=True, exist_ok=True)
        config.write_text(self._config(), encoding="utf-8")
        module = "core.cli" if profile_to is None else "bench.profiled"
        extra = {} if profile_to is None else {"PROFILE_TO": str(profile_to)}
        return self._start("daemon", ["-m", module, "run", "-c", str(config)], extra)

    def ready(self, daemon: Process) -> float:
        """Seconds until /readyz is 200, from now."""
        return self._until(self.operations_port, "/readyz", daemon)

    def _start(self, name: str, words: list[str], extra: dict[str, str] | None = None) -> Process:
        log = self.folder / f"{name}.log"
        environment = {**os.environ, **ENVIRONMENT, **(extra or {})}
        with log.open("ab") as file:
            popen = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.program,
                env=environment,
                stdout=file,
                stderr=file,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def _until(self, port: int, path: str, process: Process) -> float:
        began = time.perf_counter()
        with httpx.Client(trust_env=False, timeout=5.0) as client:
            while time.perf_counter() - began < START_S:
                if process.popen.poll() is not None:
                    words = process.log.read_text("utf-8")[-2000:]
                    raise RuntimeError(f"{process.name} ended at start:\n{words}")
                try:
                    if client.get(f"http://127.0.0.1:{port}{path}").status_code == 200:
                        return time.perf_counter() - began
                except httpx.HTTPError:
                    pass
                time.sleep(0.01)
        raise RuntimeError(f"{process.name} was not ready within {START_S:g} s")

    def close(self) -> None:
        for process in reversed(self.processes):
            process.stop()

    # -------------------------------------------------------------- its configuration

    def _config(self) -> str:
        lines = [
            'company: {name: "Bench", timezone: Europe/Berlin, currency: EUR}',
            "state: truecount.db",
            "seal_key: ${TRUECOUNT_SEAL_KEY}",
            f'mappings: "{self.program / "mappings"}"',
            f'listen: {{hooks: "127.0.0.1:{self.hooks_port}",'
            f' operations: "127.0.0.1:{self.operations_port}"}}',
            "systems:",
        ]
        for name in self.shops:
            lines += self._system(name, "generic_channel", "api_token", hook=True)
        lines += self._system("wms", "generic_wms", "api_token", hook=True)
        lines += self._system("erp", "generic_erp", "api_key", hook=False)
        # A read-back of all documents in the middle of one round would be noise.
        lines += ["    every: {document: 1h}"]
        lines += [
            "locations:",
            f"  main: {{at: {{wms: {PLACE}, erp: {PLACE}}}, serves: [{', '.join(self.shops)}]}}",
            "owners:",
            "  - {number: on_hand, owner: wms}",
        ]
        for number in ("list_price", "unit_cost", "tax", "invoice"):
            lines.append(f"  - {{number: {number}, owner: erp}}")
        lines += [
            "publish: {linger: 0s, policy: shared}",
            f"log: {{level: {self.level}, format: json}}",
            "",
        ]
        return "\n".join(lines)

    def _system(self, name: str, connector: str, token: str, *, hook: bool) -> list[str]:
        secrets = f"{token}: ${{BENCH_TOKEN}}"
        if hook:
            secrets += ", webhook_secret: ${BENCH_HOOK}"
        return [
            f"  {name}:",
            f"    connector: {connector}",
            "    network: private",
            f'    settings: {{base_url: "http://127.0.0.1:{self.fakes_port}/{name}"}}',
            f"    secrets: {{{secrets}}}".replace("${BENCH_TOKEN}", '"${BENCH_TOKEN}"').replace(
                "${BENCH_HOOK}", '"${BENCH_HOOK}"'
            ),
        ]


def _channel(name: str) -> dict[str, object]:
    return _host(name, "generic_channel", "api_token")


def _host(name: str, connector: str, token: str) -> dict[str, object]:
    return {"name": name, "connector": connector, "secrets": {token: TOKEN}}


# ------------------------------------------------------------------ its database


class Database:
    """The committed state, read as any other process would."""

    def __init__(self, path: Path) -> None:
        self._sqlite = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)

    def rows(self, query: str, words: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return self._sqlite.execute(query, words).fetchall()

    def number(self, query: str) -> int:
        return int(self._sqlite.execute(query).fetchone()[0] or 0)

    def waiting(self) -> int:
        """Arrivals not decided, commands not done, and changes some channel was not told."""
        return (
            self.number("SELECT count(*) FROM inbox WHERE state = 'pending'")
            + self.number("SELECT count(*) FROM outbox WHERE state != 'done'")
            + self.number(
                "SELECT (SELECT coalesce(max(seq), 0) FROM feed) - min(seq) FROM publish_cursors"
            )
            + self.number("SELECT count(*) FROM republish")
        )

    def swept(self, channels: int) -> bool:
        """Stock was read and every channel was told every number once."""
        told = self.number("SELECT count(*) FROM published")
        cursors = self.number("SELECT count(*) FROM publish_cursors")
        return (told, cursors) == (SKUS * channels, channels) and not self.waiting()

    def undone(self) -> int:
        """Orders on their way: two commands each."""
        return self.number("SELECT count(*) FROM inbox WHERE state = 'pending'") + (
            self.number("SELECT count(*) FROM outbox WHERE state != 'done'") // 2
        )

    def close(self) -> None:
        self._sqlite.close()
