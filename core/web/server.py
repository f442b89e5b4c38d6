"""A listening port inside our own event loop, guarded against strangers.

Parsing is httptools' and the ASGI work uvicorn's (T24: never a parser of our
own). What uvicorn lacks is here: half headers, half bodies and silent sockets
stayed open for more than 40 s. A request must be complete within `request_s` of
its first byte, headers included, or it is cut off with 408 (T5). Connections,
headers and bytes on the wire are capped, in all and per address.

uvicorn's own Server is not used: it takes over signals, ends the process when a
port is taken, and stops by polling.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from core.clock import Clock
from core.errors import ConfigError, Problem
from core.metrics import Metrics

App = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

KIB = 1024
BACKLOG = 2048
#: Why a connection was ended; a counter label.
_REASONS = ("late", "too_big", "turned_away", "not_reading", "upgrade", "stopping")
#: How often connections are looked at; a tenth of the deadline, but no rarer.
SWEEP_S_MAX = 1.0
#: After cutting off what did not finish in time, how long its tasks may take to notice.
CANCEL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Every cap of one port. `proxies` are ours: many senders share their address."""

    request_s: float = 10.0  # from the first byte to the last of a request
    answer_s: float = 60.0  # from there to the last byte of the answer
    keep_alive_s: int = 5
    stop_s: float = 8.0  # with CANCEL_S below the 10 s of H4
    connections_max: int = 1000
    per_address_max: int = 200
    head_bytes_max: int = 64 * KIB
    wire_bytes_max: int = 16 * KIB * KIB  # of one request, with what chunking adds
    proxies: frozenset[str] = frozenset()


class WebServer:
    """One port and its application. `place` is where the address is configured."""

    def __init__(
        self,
        app: App,
        *,
        name: str,
        host: str,
        port: int,
        clock: Clock,
        metrics: Metrics,
        limits: ServerLimits | None = None,
        place: tuple[str, int] = ("config.yaml", 1),
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self._app = app
        self._clock = clock
        self._place = place
        self._limits = limits or ServerLimits()
        self._state = ServerState()
        self._door = _Door(name, self._limits, metrics)
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigError when the address cannot be had."""
        listener = self._bind()
        self.port = listener.getsockname()[1]
        config = Config(
            self._app,
            lifespan="off",
            ws="none",
            interface="asgi3",
            log_config=None,
            log_level="error",  # a warning per malformed request would let strangers fill the log
            access_log=False,  # addresses and query strings are none of the log's business
            proxy_headers=False,  # X-Forwarded-For is a stranger's word
            timeout_keep_alive=self._limits.keep_alive_s,
        )
        config.load()
        loop = asyncio.get_running_loop()

        def guarded() -> _Guarded:
            return _Guarded(config, self._state, self._door, loop)

        self._server = await loop.create_server(guarded, sock=listener, backlog=BACKLOG)
        self._sweeper = loop.create_task(self._sweep(), name=f"web.{self.name}.sweep")

    async def stop(self) -> None:
        """Refuse new, finish what has fully arrived, and be gone within 10 s (H4)."""
        if self._server is None or self._sweeper is None:
            return
        self._server.close()
        self._door.closing = True
        for connection in list(self._state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.stop_s):
                await self._finished()
        await self._cut_off()
        self._sweeper.cancel()
        await asyncio.wait([self._sweeper])
        self._server = None

    async def _finished(self) -> None:
        while self._state.tasks:
            await asyncio.wait(self._state.tasks)
        await self._door.empty.wait()

    async def _cut_off(self) -> None:
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=CANCEL_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await self._door.empty.wait()

    async def _sweep(self) -> None:
        """One task for all deadlines of the port: no timer per request."""
        loop = asyncio.get_running_loop()
        while True:
            now = format_datetime(self._clock.now(), usegmt=True)
            self._state.default_headers = [(b"date", now.encode())]
            for connection in list(self._state.connections):
                assert isinstance(connection, _Guarded)
                connection.look(loop.time())
            # The loop's own time: sockets live in it even where the clock is simulated.
            await asyncio.sleep(min(SWEEP_S_MAX, self._limits.request_s / 10))

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listener = socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        except (OSError, OverflowError) as error:
            raise ConfigError([self._problem(error)]) from None
        listener.setblocking(False)
        return listener

    def _problem(self, error: Exception) -> Problem:
        where = f"{self.host}:{self.port}"
        number = error.errno if isinstance(error, OSError) else None
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        fix = "Give an address of this machine and a free port."
        if number == errno.EADDRINUSE:
            words = "another program listens there"
            fix = (
                "Stop it, perhaps another Truecount"
                f" (`ss -ltnp 'sport = :{self.port}'` names it), or set another port."
            )
        elif number == errno.EACCES:
            fix = "Ports below 1024 need rights the daemon should not have: set a higher one."
        file, line = self._place
        return Problem(
            file=file, line=line, what=f"cannot listen on {where} ({self.name}): {words}", fix=fix
        )


class _Door:
    """Who is inside one port, and who is still let in."""

    def __init__(self, name: str, limits: ServerLimits, metrics: Metrics) -> None:
        self.limits = limits
        self.closing = False
        self.empty = asyncio.Event()
        self.empty.set()
        self._inside = 0
        self._of_address: Counter[str] = Counter()
        self._gauge = metrics.connections.labels(name)
        self._cut_off = {reason: metrics.cut_off.labels(name, reason) for reason in _REASONS}

    def admit(self, address: str) -> bool:
        full = self._inside >= self.limits.connections_max
        crowded = (
            address not in self.limits.proxies
            and self._of_address[address] >= self.limits.per_address_max
        )
        if full or crowded or self.closing:
            self.count("turned_away")
            return False
        self._inside += 1
        self._of_address[address] += 1
        self._gauge.set(self._inside)
        self.empty.clear()
        return True

    def leave(self, address: str) -> None:
        self._inside -= 1
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]  # or every address ever seen stays in memory
        self._gauge.set(self._inside)
        if not self._inside:
            self.empty.set()

    def count(self, reason: str) -> None:
        self._cut_off[reason].inc()


class _Guarded(HttpToolsProtocol):
    """uvicorn's protocol with deadlines and caps. `look` is called by the sweep."""

    transport: asyncio.Transport

    def __init__(
        self, config: Config, state: ServerState, door: _Door, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._door = door
        self._admitted = False
        self._address = ""
        self._asking_since: float | None = None  # the request now arriving
        self._answering_since: float | None = None  # the answer now being made
        self._wire_bytes = 0
        self._head_complete = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._address = _source(transport.get_extra_info("peername"))
        self._admitted = self._door.admit(self._address)
        if not self._admitted:
            self.transport = transport
            transport.write(_words(503, "Service Unavailable", b"retry-after: 5\r\n"))
            transport.close()
            return
        super().connection_made(transport)
        self._asking_since = self.loop.time()  # a socket that stays silent is late as well

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._admitted:
            self._admitted = False
            self._door.leave(self._address)

    def data_received(self, data: bytes) -> None:
        if not self._admitted or self.transport.is_closing():
            return
        if self._asking_since is None:
            self._asking_since = self.loop.time()
        self._wire_bytes += len(data)
        super().data_received(data)
        limits = self._door.limits
        cap = limits.wire_bytes_max if self._head_complete else limits.head_bytes_max
        if self._wire_bytes > cap and not self.transport.is_closing():
            # Endless headers, trailers or chunk extensions: the parser itself has no limit.
            self._refuse("too_big", _words(431, "Request Header Fields Too Large"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._asking_since is None:
            self._asking_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_complete:  # a trailer is no header: nobody signs by one
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_complete = True
        if self.parser.should_upgrade():
            # httptools drops the body of such a request and what follows is in no protocol of
            # ours. Raising is how a callback makes uvicorn answer 400 and close (T24).
            self._door.count("upgrade")
            raise ValueError("upgrade")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._asking_since = None
        self._wire_bytes = 0
        self._head_complete = False
        if self.cycle is not None and not self.cycle.response_complete:
            self._answering_since = self.loop.time()

    def on_response_complete(self) -> None:
        waits = bool(self.pipeline)
        self._answering_since = self.loop.time() if waits else None
        super().on_response_complete()

    def shutdown(self) -> None:
        """What has not fully arrived was promised nothing: refused at once (H4)."""
        half = self._wire_bytes > 0 and self._asking_since is not None
        if half and not self.transport.is_closing():
            self._refuse("stopping", _words(503, "Service Unavailable", b"retry-after: 5\r\n"))
        else:
            super().shutdown()

    def look(self, now: float) -> None:
        limits = self._door.limits
        if self.transport.is_closing():
            # Closed by us, but the peer does not read the rest; the second time we let go.
            if self._asking_since is None:
                self._asking_since = now
            elif now - self._asking_since > limits.request_s:
                self._door.count("not_reading")
                self.transport.abort()
        elif self._asking_since is not None and now - self._asking_since > limits.request_s:
            self._refuse("late", _words(408, "Request Timeout"))
            self._asking_since = now
        elif self._answering_since is not None and now - self._answering_since > limits.answer_s:
            self._door.count("not_reading")
            self.transport.abort()

    def _refuse(self, reason: str, words: bytes) -> None:
        """End the connection with `words`, unless an answer is already under way on it."""
        self._door.count(reason)
        if self.cycle is not None and not self.cycle.response_complete:
            # The application hears http.disconnect; what it would say goes nowhere.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
        if self._wire_bytes:
            self.transport.write(words)
        self.transport.close()


def _source(peer: object) -> str:
    """Whose connection it is. One IPv6 customer owns a whole /64, so that counts as one."""
    host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False).network_address)


def _words(status: int, phrase: str, headers: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status} {phrase}\r\n".encode()
    return head + headers + b"content-length: 0\r\nconnection: close\r\n\r\n"
