"""A receiver behind a real port, and strangers who speak raw HTTP to it."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from core.clock import Clock, SystemClock
from core.metrics import Metrics
from core.seal import Seal, new_key
from core.store.engine import Store
from core.web.receiver import HookSpec, Receiver, ReceiverLimits
from core.web.server import ServerLimits, WebServer

SECRET, OLD_SECRET, PATH_SECRET = "s3cret-of-the-shop", "the-secret-before", "path-7d1f0a"
BODY = b'{"id": 820982911946154508, "note": "caf\xc3\xa9",  "total": "10.00"}'
DEADLINE_S = 0.3

SHOP = HookSpec(
    system="shop",
    scheme="hmac_sha256_base64",
    header="x-sign",
    secrets=(SECRET, OLD_SECRET),
    topic_header="x-topic",
    topics=frozenset({"orders/create", "orders/updated"}),
    identity=("x-topic", "x-id"),
    keep=("x-when",),
    body_max=4096,
)
QUIET = HookSpec(
    system="quiet", scheme="unsigned", header="", secrets=(PATH_SECRET,), topic_always="order"
)

Pair = tuple[bytes, bytes]


def on_uvloop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Production runs on uvloop, so its sockets are the ones to be tried."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class GatedStore:
    """A store whose disk waits until the test lets it go."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    waiting = 0

    async def write(self, unit: Any, *, single: bool = False) -> Any:
        self.reached.set()
        await self.gate.wait()
        return await self._store.write(unit, single=single)


@dataclass
class House:
    """A receiver behind its port, and ways to look into it."""

    path: Path
    store: Store
    seal: Seal
    receiver: Receiver
    server: WebServer
    metrics: Metrics
    wakes: list[None] = field(default_factory=list)
    gated: GatedStore | None = None

    def rows(self) -> list[sqlite3.Row]:
        """As another process sees them: only what was committed."""
        connection = sqlite3.connect(self.path)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute("SELECT * FROM inbox ORDER BY seq").fetchall()
        finally:
            connection.close()

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"truecount_{name}", labels) or 0.0

    async def post(self, *pairs: Pair, path: str = "/hooks/shop", body: bytes = BODY) -> Said:
        return await say(self.server.port, request(*pairs, path=path, body=body))

    async def push(self, body: bytes = BODY, **how: str) -> Said:
        return await self.post(*signed(body, **how), body=body)


_empty: list[bytes] = []


async def an_empty_state(path: Path) -> bytes:
    """Made once: thirty tables with an fsync each are most of a test's time."""
    if not _empty:
        store = Store(path)
        store.open()
        await store.close()
        _empty.append(path.read_bytes())
    return _empty[0]


@asynccontextmanager
async def house(
    tmp_path: Path,
    *,
    gated: bool = False,
    clock: Clock | None = None,
    limits: ReceiverLimits | None = None,
    server: ServerLimits | None = None,
    backlog: int = 0,
) -> AsyncIterator[House]:
    path = tmp_path / "truecount.db"
    path.write_bytes(await an_empty_state(tmp_path / "template.db"))
    store, seal, metrics = Store(path), Seal(new_key()), Metrics()
    store.open()
    gate = GatedStore(store) if gated else None
    wakes: list[None] = []
    receiver = Receiver(
        hooks={"shop": SHOP, "quiet": QUIET},
        store=gate or store,  # type: ignore[arg-type]
        seal=seal,
        clock=clock or SystemClock(),
        limits=limits or ReceiverLimits(body_max=8192),
        on_kept=lambda: wakes.append(None),
        metrics=metrics,
        backlog=lambda: backlog,
    )
    web = WebServer(
        receiver,
        name="hooks",
        host="127.0.0.1",
        port=0,
        clock=SystemClock(),
        metrics=metrics,
        limits=server or ServerLimits(request_s=DEADLINE_S, stop_s=2.0),
    )
    await web.start()
    try:
        yield House(path, store, seal, receiver, web, metrics, wakes, gate)
    finally:
        await web.stop()
        await store.close()


@dataclass(frozen=True)
class Said:
    """An answer. status 0: the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> Said:
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return cls(int(first.split()[1]) if raw else 0, {a.lower(): b for a, b in pairs}, body)


def signature(body: bytes, secret: str = SECRET) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))


def signed(
    body: bytes = BODY, *, secret: str = SECRET, topic: str = "orders/create", id: str = "e-1"
) -> list[Pair]:
    sign = signature(body, secret)
    return [(b"x-sign", sign), (b"x-topic", topic.encode()), (b"x-id", id.encode())]


def request(
    *pairs: Pair, path: str = "/hooks/shop", body: bytes = BODY, method: str = "POST"
) -> bytes:
    """One request whose connection the server ends, exactly as given."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"host: t", b"connection: close"]
    lines += [name + b": " + value for name, value in pairs]
    lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def say(port: int, *pieces: bytes, pause_s: float = 0.0) -> Said:
    """Send pieces as they are, and read until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            if writer.transport.is_closing():
                break
            writer.write(piece)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)  # a slow sender is what is being tried
        return Said.of(await asyncio.wait_for(reader.read(), 5))
    except (ConnectionResetError, BrokenPipeError):
        return Said(0, {}, b"")
    finally:
        writer.close()
