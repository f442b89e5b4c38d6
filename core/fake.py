"""What every fake system is given, and the two words of ASGI it needs.

A fake keeps the true state of the system it pretends to be. Tests, the demo and
the benchmarks act on that state through its plain methods and look at it
afterwards; the daemon sees only its HTTP face.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

#: Delivers one webhook: (headers, body) -> the receiver's HTTP status.
Deliver = Callable[[Mapping[str, str], bytes], Awaitable[int]]


async def nobody_listens(headers: Mapping[str, str], body: bytes) -> int:  # noqa: ARG001
    """The webhook that never arrives (S11)."""
    return 503


async def body_of(receive: Any) -> bytes:
    """All of a request's body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def say(send: Any, status: int, answer: Any) -> None:
    """Answer with JSON."""
    content = orjson.dumps(answer)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@dataclass(slots=True, kw_only=True)
class World:
    """Clock, chance, settings and a way out for webhooks."""

    settings: Mapping[str, str] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    rng: random.Random = field(default_factory=lambda: random.Random(20261125))  # noqa: S311
    deliver: Deliver = nobody_listens
    #: Calls that were to change something here, as they came: "POST /orders". A login is none.
    writes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """One order as its channel has it. `lines`: units of each SKU that are still wanted."""

    id: str
    lines: Mapping[str, int]
    cancelled: bool = False
    paid: bool = True


class Sells(Protocol):
    """A pretended channel in one shape for all: `Acts` in its connector's acts.py."""

    def offer(self, sku: str) -> None:
        """List an article with nothing to sell."""

    async def buy(self, lines: Mapping[str, int], *, paid: bool) -> str | None:
        """The new order's id as the daemon knows it; None: the channel shows fewer."""

    async def pay(self, order: str) -> None: ...

    async def cancel(self, order: str) -> bool:
        """The buyer cancels. False: it is too late for that. Units go back where it says so."""

    def shown(self) -> Mapping[str, int]:
        """What it would sell now, by SKU."""

    def sold(self) -> Sequence[Sold]: ...

    def parcels(self, order: str) -> Sequence[Mapping[str, int]]:
        """What it was told has left, parcel by parcel: units of each SKU."""

    async def misbehave(self, rng: random.Random) -> str:
        """One of its own bad habits, now; what it was."""

    def behave(self) -> None:
        """From now on it is the best channel there could be."""
