"""Who knocks: signed orders, a cheap HTTP client, closed and open loops, all bounded.

The client is a bare protocol, because httpx would cost more than the daemon. An
open loop counts from the moment a push was due, not from when it could be sent,
so a stalled server cannot hide its stalls.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

import orjson

BODY_BYTES = 2048
PRICE, TAX_RATE, CENT = Decimal("10.00"), Decimal("0.19"), Decimal("0.01")
#: Connections are not reused after so long: both servers close silent ones after 5 s.
IDLE_S = 3.0
LINES_MAX = 400
ANSWER_S = 30.0


@dataclass(slots=True)
class Sale:
    """One order, ready to be sent. `sent_at` is wall time, to compare with what fakes note."""

    system: str
    key: str
    lines: tuple[tuple[str, int], ...]
    request: bytes
    sent_at: float = 0.0
    ended_at: float = 0.0
    status: int = 0

    @property
    def acknowledged(self) -> bool:
        return 200 <= self.status < 300


@dataclass(slots=True)
class Market:
    """Invents orders over `skus`, in turn, so that one SKU is not sold twice within seconds."""

    systems: Sequence[str]
    skus: Sequence[str]
    secret: str
    path: Callable[[str], str] = lambda system: f"/hooks/{system}"
    prefix: str = "B"
    made: list[Sale] = field(default_factory=list)
    repeats: list[Sale] = field(default_factory=list)
    _next: int = 0

    def sales(self, count: int, lines: int = 2) -> list[Sale]:
        fresh = [self._sale(lines) for _ in range(count)]
        self.made += fresh
        return fresh

    def again(self, count: int) -> list[Sale]:
        """Events of their own about orders long known: nothing in them is new."""
        fresh = []
        for sale in self.made[-count:]:
            event = f"x-channel-event: {sale.key}-"
            text = sale.request.replace(f"{event}1\r".encode(), f"{event}2\r".encode())
            fresh.append(Sale(sale.system, sale.key, sale.lines, text))
        self.repeats += fresh
        return fresh

    def _sale(self, lines: int) -> Sale:
        number = len(self.made) + self._next
        wanted = []
        for _ in range(lines):
            wanted.append((self.skus[self._next % len(self.skus)], 1 + self._next % 2))
            self._next += 1
        system = self.systems[number % len(self.systems)]
        key = f"{self.prefix}{self._next:07d}"
        body = order_body(key, wanted, datetime.now(UTC))
        head = (
            f"POST {self.path(system)} HTTP/1.1\r\nhost: bench\r\n"
            "content-type: application/json\r\nx-channel-topic: order.created\r\n"
            f"x-channel-event: {key}-1\r\n"
            f"x-channel-signature: {hmac.digest(self.secret.encode(), body, 'sha256').hex()}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return Sale(system, key, tuple(wanted), head.encode() + body)


def order_body(key: str, wanted: Sequence[tuple[str, int]], at: datetime) -> bytes:
    """A whole order as generic_channel pushes it, padded to the size peers were measured with."""
    now = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rows = []
    for index, (sku, units) in enumerate(wanted, start=1):
        tax = (PRICE * units * TAX_RATE / (1 + TAX_RATE)).quantize(CENT)
        rows.append(
            {
                "id": str(index),
                "sku": sku,
                "title": f"Article {sku}",
                "quantity": units,
                "unit_price": str(PRICE),
                "tax": [{"title": "VAT", "rate": str(TAX_RATE), "amount": str(tax)}],
            }
        )
    order = {
        "id": key,
        "number": f"#{key}",
        "version": 1,
        "placed_at": now,
        "updated_at": now,
        "cancelled_at": None,
        "cancel_reason": None,
        "state": "open",
        "payment": "paid",
        "currency": "EUR",
        "total": str(PRICE * sum(units for _, units in wanted)),
        "shipping": "0.00",
        "tax_included": True,
        "buyer": {
            "name": "Alex Example",
            "street": "1 Sample Street",
            "city": "Berlin",
            "postcode": "01067",
            "country": "DE",
            "email": "alex@example.com",
            "phone": "+4930000000",
        },
        "lines": rows,
        "note": "",
    }
    order["note"] = "x" * (BODY_BYTES - len(orjson.dumps({"order": order})))
    return orjson.dumps({"order": order})


# ------------------------------------------------------------------ the wire


class Line(asyncio.Protocol):
    """One connection, one request at a time. Answers (0, b"") when it broke."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.WriteTransport | None = None
        self.used_at = 0.0
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's classes, only their shape.
        self._transport = cast(asyncio.WriteTransport, transport)

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        if not self.open:
            self._waiter.set_result((0, b""))
        else:
            self._transport.write(request)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = 0
        for line in self._buffer[:end].split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(self._buffer) < end + 4 + length:
            return
        status, body = int(self._buffer[9:12]), self._buffer[end + 4 : end + 4 + length]
        self._buffer = b""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result((0, b""))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Lines:
    """Connections to one port; an idle one is taken before a new one is made."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Line] = []
        self._room = asyncio.Semaphore(LINES_MAX)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        async with self._room:
            line = await self._take()
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await line.ask(request)
            except TimeoutError:
                line.close()
                return 0, b""
            if line.open:
                line.used_at = time.monotonic()
                self._idle.append(line)
            return answer

    async def _take(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if line.open and time.monotonic() - line.used_at < IDLE_S:
                return line
            line.close()
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(Line, "127.0.0.1", self._port)
        return line

    def close(self) -> None:
        for line in self._idle:
            line.close()


# ------------------------------------------------------------------ loops


@dataclass(frozen=True, slots=True)
class Burst:
    """What one loop saw."""

    seconds: float
    answered: int
    refused: int
    latencies_ms: list[float]

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds if self.seconds else 0.0


async def closed(lines: Lines, sales: Sequence[Sale], at_once: int) -> Burst:
    """Every answer is followed by the next push, `at_once` in flight."""
    latencies: list[float] = []
    queue = iter(sales)
    began = time.perf_counter()

    async def one_after_another() -> None:
        for sale in queue:
            at = time.perf_counter()
            await _send(lines, sale)
            latencies.append((time.perf_counter() - at) * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())
    return _burst(sales, latencies, time.perf_counter() - began)


async def opened(lines: Lines, sales: Sequence[Sale], per_second: float) -> Burst:
    """A push every 1/per_second, whatever the server does."""
    latencies: list[float] = []
    began = time.perf_counter()

    async def one(sale: Sale, due: float) -> None:
        await _send(lines, sale)
        latencies.append((time.perf_counter() - due) * 1000)

    async with asyncio.TaskGroup() as group:
        for index, sale in enumerate(sales):
            due = began + index / per_second
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(sale, due))
    return _burst(sales, latencies, time.perf_counter() - began)


async def _send(lines: Lines, sale: Sale) -> None:
    sale.sent_at = time.time()
    sale.status, _ = await lines.ask(sale.request)
    sale.ended_at = time.time()


def _burst(sales: Sequence[Sale], latencies: list[float], seconds: float) -> Burst:
    answered = sum(sale.acknowledged for sale in sales)
    return Burst(seconds, answered, len(sales) - answered, latencies)


# ------------------------------------------------------------------ the disk's floor


def fdatasync_floor(folder: Path, count: int) -> Burst:
    """Append 2 KB and wait for the disk, one after another: no store can be faster alone."""
    latencies: list[float] = []
    handle = os.open(folder / "floor.bin", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    block = b"x" * BODY_BYTES
    began = time.perf_counter()
    try:
        for _ in range(count):
            at = time.perf_counter()
            os.write(handle, block)
            os.fdatasync(handle)
            latencies.append((time.perf_counter() - at) * 1000)
    finally:
        os.close(handle)
    return Burst(time.perf_counter() - began, count, 0, latencies)
