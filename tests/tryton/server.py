"""Real Tryton servers: an environment and databases made once, a private copy per start.

    python -m tests.tryton.server build            # about 60 s the first time, then nothing
    python -m tests.tryton.server serve erp 18069  # about 2 s; prints one JSON line, then runs

In tests: `with TrytonServer("erp") as server: server.url, server.facts`. Everything
comes from pip; the environment is `.cache/tryton-venv`, the databases are
`.cache/tryton-db/KEY`, both outside git. `TRYTON_PYTHON` names another interpreter
that already has the packages.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"
REQUIREMENTS = HERE / "requirements.txt"
BOOTSTRAP = HERE / "bootstrap.py"
ROLES = ("erp", "wms")
START_SECONDS_MAX = 60


def _say(text: str) -> None:
    print(f"tryton: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Several test workers may need the same build at once; one makes it."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "tryton.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def interpreter() -> Path:
    """The Python that has Tryton; installs it when missing or when the list changed."""
    given = os.environ.get("TRYTON_PYTHON")
    if given:
        return Path(given)
    home = CACHE / "tryton-venv"
    python, done = home / "bin" / "python", home / "installed"
    wanted = _digest(REQUIREMENTS.read_text(), sys.version)
    if done.exists() and done.read_text() == wanted:
        return python
    _say(f"installing into {home} (about 20 s)")
    venv.create(home, clear=True, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True, stdin=subprocess.DEVNULL)
    done.write_text(wanted)
    return python


def _environment(**more: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TRYTOND_")}
    return clean | more


def template(role: str, currency: str = "USD") -> Path:
    """A finished database of this role, built on first use. FOLDER/ROLE.{sqlite,json}.

    The month is part of the key: the fiscal year reaches only some months ahead,
    and a ledger without an open period posts nothing.
    """
    with _only_one():
        python = interpreter()
        texts = (REQUIREMENTS.read_text(), BOOTSTRAP.read_text())
        key = _digest(*texts, time.strftime("%Y-%m"), role, currency)
        home = CACHE / "tryton-db" / key
        if (home / "done").exists():
            return home
        _say(f"building the {role} database in {currency} (about 30 s)")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as work:
            command = [str(python), str(BOOTSTRAP), "--dir", work]
            command += ["--role", role, "--currency", currency]
            made = subprocess.run(
                command,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if made.returncode:
                raise RuntimeError(f"the {role} database cannot be built:\n{made.stderr[-4000:]}")
            # A database in WAL mode is three files; VACUUM INTO gives one whole one.
            with contextlib.closing(sqlite3.connect(f"{work}/{role}.sqlite")) as database:
                database.execute("VACUUM INTO ?", (str(home / f"{role}.sqlite"),))
            shutil.copy(f"{work}/{role}.json", home / f"{role}.json")
        (home / "done").touch()
        return home


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TrytonServer:
    """One running Tryton on its own copy of the data. `stop` and `start` keep the data."""

    def __init__(self, role: str, *, port: int | None = None, currency: str = "USD") -> None:
        self.role = role
        self.port = port or free_port()
        self._home = template(role, currency)
        self._python = interpreter()
        self.facts: dict[str, Any] = json.loads((self._home / f"{role}.json").read_text())
        self._folder = Path(tempfile.mkdtemp(prefix="truecount-tryton-"))
        shutil.copy(self._home / f"{role}.sqlite", self._folder / f"{role}.sqlite")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """What config.yaml calls base_url: the server and the database."""
        return f"{self.origin}/{self.role}"

    @property
    def key(self) -> str:
        return str(self.facts["robot"]["rest_key"])

    def start(self) -> TrytonServer:
        assert self._process is None, "already running"
        environment = _environment(
            TRYTOND_DATABASE__URI="sqlite://",
            TRYTOND_DATABASE__PATH=str(self._folder),
            TRYTOND_WEB__LISTEN=f"127.0.0.1:{self.port}",
        )
        command = [str(self._python.with_name("trytond")), "-d", self.role]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        body = json.dumps({"id": 0, "method": "common.server.version", "params": []}).encode()
        request = urllib.request.Request(
            f"{self.origin}/rpc/", body, {"Content-Type": "application/json"}
        )
        end = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                with urllib.request.urlopen(request, timeout=2):
                    return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"tryton does not start:\n{self.log()[-3000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait()

    def log(self) -> str:
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> TrytonServer:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


def _stop_quietly(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tryton.server", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="make the environment and both databases")
    serve = commands.add_parser("serve", help="start one server on its own copy of the data")
    serve.add_argument("role", choices=ROLES)
    serve.add_argument("port", type=int, nargs="?")
    for command in commands.choices.values():
        command.add_argument("--currency", default="USD")
    args = parser.parse_args()
    if args.command == "build":
        for role in ROLES:
            print(template(role, args.currency))
        return
    signal.signal(signal.SIGTERM, _stop_quietly)
    started = time.monotonic()
    running = TrytonServer(args.role, port=args.port, currency=args.currency)
    with contextlib.suppress(KeyboardInterrupt), running as server:
        ready = round(time.monotonic() - started, 2)
        line = {"url": server.url, "key": server.key, "ready_s": ready, "facts": server.facts}
        print(json.dumps(line), flush=True)
        server.wait()


if __name__ == "__main__":
    main()
