"""A server that says what a script tells it to, and a door with everything around it."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime

import httpx

from core.breaker import Breaker
from core.clock import ManualClock
from core.http import Door, DoorSpec
from core.limiter import Limiter
from core.login import Login, LoginSpec
from core.wire import Wire

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
BASE = "https://api.vendor.example/v1"
CRLF = b"\r\n"


class Peer:
    """A server that does exactly what a script says. `requests` are the raw heads it saw."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.open = 0
        self.most = 0
        self.ending = asyncio.Event()
        self.writers = []
        self.tasks = []

    async def serve(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        self.writers.append(writer)
        writer.ending = self.ending
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while True:
                head = await reader.readuntil(CRLF * 2)
                length = 0
                for line in head.lower().split(CRLF):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                body = await reader.readexactly(length)
                self.requests.append(head + body)
                if await self.script(writer, len(self.requests)):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def listening(script):
    peer = Peer(script)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    try:
        peer.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield peer
    finally:
        server.close()
        peer.ending.set()
        for writer in peer.writers:
            writer.transport.abort()
        await asyncio.gather(*peer.tasks)


def answer(status=200, body=b'{"ok": true}', **headers):
    lines = [f"HTTP/1.1 {status} X".encode(), b"content-length: %d" % len(body)]
    lines += [f"{name.replace('_', '-')}: {value}".encode() for name, value in headers.items()]
    return CRLF.join([*lines, b"", body])


def saying(*answers):
    """Each request gets the next of these bytes; the last one stays."""

    async def script(writer, number):
        writer.write(answers[min(number, len(answers)) - 1])
        await writer.drain()

    return script


class Opened:
    """A door and everything around it, with defaults."""

    def __init__(
        self,
        base,
        *,
        transport=None,
        login=("none", {}, {}),
        budgets=None,
        answers=None,
        private=True,
        wait_max_s=30,
        at_once=4,
        resolver=None,
        load=None,
        store=None,
        **wire,
    ):
        self.clock = ManualClock(NOW)
        self.seen = []
        self.breaker = Breaker(at_once=at_once)
        self.limiter = Limiter(budgets or {}, self.clock, rng=random.Random(1))
        extra = {"resolver": resolver} if resolver else {}
        self.wire = Wire(private=private, transport=transport, at_once=at_once, **extra, **wire)
        keep = {"load": load, "store": store} if load else {}
        self.login = Login(
            "shop",
            LoginSpec.of(*login, private=private),
            clock=self.clock,
            wire=self.wire,
            **keep,
        )
        self.door = Door(
            DoorSpec(
                system="shop",
                base_url=base,
                private=private,
                answers=answers or {},
                wait_max_s=wait_max_s,
                at_once=at_once,
            ),
            self.wire,
            self.login,
            limiter=self.limiter,
            breaker=self.breaker,
            clock=self.clock,
            observer=lambda *what: self.seen.append(what[:4]),
            rng=random.Random(1),
        )

    async def __aenter__(self):
        return self.door

    async def __aexit__(self, *_):
        await self.door.aclose()


def mocked(router, **kwargs):
    return Opened(BASE, transport=httpx.MockTransport(router.async_handler), **kwargs)


# ---------------------------------------------------------------- scripts of a peer


async def drops(writer, number):
    writer.transport.abort()
    return True


async def closes(writer, number):
    return True


async def half_answers(writer, number):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    return True


async def hangs(writer, number):
    await writer.ending.wait()


async def drips(writer, number):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not writer.ending.is_set():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def babbles(writer, number):
    writer.write(b"this is not HTTP\r\n\r\n")
    await writer.drain()
    return True
