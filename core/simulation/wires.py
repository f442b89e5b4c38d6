"""The network between the daemon and one system, with everything that goes wrong there.

A request that has left arrives, whatever becomes of whoever sent it: the far side is
asked by a task of the world, and an answer nobody waits for any more is lost (H21).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import orjson

from core.simulation.journal import Journal
from core.simulation.loop import VirtualLoop
from core.simulation.scenario import LATER, UPLINK, Faults, Outage, Scenario
from core.simulation.world import Asgi, World

#: Seconds a request takes to arrive, and its answer to come back, on an ordinary day.
OUT_S = (0.005, 0.2)
BACK_S = (0.005, 0.3)
#: No request arrives later than this; past the deadline and the lookup it would be no fault
#: of a network but a far side that does things long after it was asked.
OUT_LONGEST_S = 5.0
BACK_LONGEST_S = 60.0
#: How a system says that there were too many calls. None: without a word about how long.
AFTERS = ("2", "17", "date", None, "86400")
_BROKEN = (500, 502, 503, 504)
#: Not 503: by the table of docs/connectors.md it says that nothing was done.
_BROKEN_AFTER = (500, 502, 504)
_SICK = b'{"errors": [{"message": "planted", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}'
_PAGE = b"<!doctype html><html><body>We are improving our service.</body></html>"


class _Body(httpx.AsyncByteStream):
    """An answer that is read, not handed over: what httpx does with a real one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def response(self) -> httpx.Response:
        return httpx.Response(self.status, headers=self.headers, stream=_Body(self.body))


async def ask(app: Asgi, request: httpx.Request, path: str, body: bytes) -> Reply:
    """One call of an ASGI application, in process."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": request.method,
        "path": path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 9),
    }
    start: dict[str, Any] = {}
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Reply(start["status"], list(start.get("headers", [])), b"".join(parts))


class Network:
    """All wires of one run. `after_call` is told of every call the far side has done."""

    def __init__(
        self, scenario: Scenario, world: World, loop: VirtualLoop, journal: Journal
    ) -> None:
        self.scenario = scenario
        self.world = world
        self.loop = loop
        self.journal = journal
        self.faults = scenario.faults
        self.outages = scenario.outages
        self.after_call: list[Callable[[str, httpx.Request, int], None]] = []
        self.calls = 0
        self.in_vain: Counter[tuple[Outage, str]] = Counter()

    def heal(self) -> None:
        """From now on everything works."""
        self.faults, self.outages = Faults(), ()

    def outage_of(self, system: str) -> Outage | None:
        """Why this system cannot be reached now, if it cannot."""
        now = self.loop.time()
        for one in self.outages:
            if one.system in (system, UPLINK) and one.began_s <= now < one.ended_s:
                return one
        return None

    def wire(self, system: str, alive: Callable[[], bool]) -> Wires:
        return Wires(self, system, alive, self.scenario.chance(f"wire:{system}"))


class Wires(httpx.AsyncBaseTransport):
    """The way to one system for one process of ours. `alive`: whether that process still runs."""

    def __init__(
        self, network: Network, system: str, alive: Callable[[], bool], chance: random.Random
    ) -> None:
        self._network = network
        self._system = system
        self._alive = alive
        self._chance = chance
        self._later = network.scenario.chance(f"later:{system}")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._alive():
            raise httpx.ConnectError("this process is dead")
        network, chance = self._network, self._chance
        network.calls += 1
        faults = network.faults
        outage = network.outage_of(self._system)
        if outage is not None:
            network.in_vain[outage, self._system] += 1
        if outage is not None or chance.random() < faults.unreachable:
            await self._nobody(chance)
        body = await request.aread()
        out_s, back_s = chance.uniform(*OUT_S), chance.uniform(*BACK_S)
        if chance.random() < faults.slow:
            out_s = chance.uniform(0, OUT_LONGEST_S)
            back_s = chance.uniform(0, BACK_LONGEST_S)
        answer: asyncio.Future[Reply | Exception] = network.loop.create_future()
        fate = _fate(faults, chance, self._later)
        network.loop.spawn(self._travel(request, body, fate, (out_s, back_s), answer))
        reply = await answer
        if isinstance(reply, Exception):
            raise reply
        return reply.response()

    async def _nobody(self, chance: random.Random) -> None:
        """Refused at once, or a black hole that the caller's own deadline ends."""
        if chance.random() < 0.5:
            await asyncio.sleep(3600.0)
        await asyncio.sleep(0.01)
        raise httpx.ConnectError("nobody listens there")

    async def _travel(
        self,
        request: httpx.Request,
        body: bytes,
        fate: str,
        times: tuple[float, float],
        answer: asyncio.Future[Reply | Exception],
    ) -> None:
        out_s, back_s = times
        await asyncio.sleep(out_s)
        reply: Reply | Exception
        if fate in ("lost_before", "limited", "broken_before", "sick"):
            self._note(request, fate)
            reply = self._undone(fate)
        else:
            reply = await self._done(request, body, fate)
        await asyncio.sleep(back_s)
        if not answer.done():
            answer.set_result(reply)

    def _undone(self, fate: str) -> Reply | Exception:
        if fate == "lost_before":
            return httpx.ReadError("the connection broke")
        if fate == "broken_before":
            return _plain(self._chance.choice(_BROKEN))
        if fate == "sick":
            return Reply(200, [(b"content-type", b"application/json")], _SICK)
        after = self._chance.choice(AFTERS)
        if after == "date":
            theirs = self._network.world.clocks[self._system]() + timedelta(seconds=30)
            after = format_datetime(theirs, usegmt=True)
        return _plain(429, [] if after is None else [(b"retry-after", after.encode())])

    async def _done(self, request: httpx.Request, body: bytes, fate: str) -> Reply | Exception:
        network = self._network
        path = request.url.path.removeprefix(f"/{self._system}")
        if fate == "logged_out" and not network.world.log_out(self._system):
            fate = ""
        reply = await ask(network.world.doors[self._system], request, path, body)
        self._note(request, f"{reply.status}{f' {fate}' if fate else ''}")
        for look in network.after_call:
            look(self._system, request, reply.status)
        match fate:
            case "lost_after":
                return httpx.ReadError("the connection broke")
            case "broken_after":
                return _plain(self._chance.choice(_BROKEN_AFTER))
            case "half":
                kept = [pair for pair in reply.headers if pair[0].lower() != b"content-length"]
                return Reply(reply.status, kept, reply.body[: len(reply.body) // 2])
            case "page":
                return Reply(200, [(b"content-type", b"text/html")], _PAGE)
            case "wrong_type":
                kept = [pair for pair in reply.headers if pair[0].lower() != b"content-length"]
                return Reply(reply.status, kept, _wrong_type(reply.body, self._later))
        return reply

    def _note(self, request: httpx.Request, what: str) -> None:
        path = request.url.raw_path.decode().removeprefix(f"/{self._system}")
        self._network.journal.note(self._system, f"{request.method} {path}  {what}")


_FATES = (
    *("lost_before", "lost_after", "limited", "broken_before", "broken_after"),
    *("half", "page", "sick"),
)


def _fate(faults: Faults, chance: random.Random, later: random.Random) -> str:
    """What becomes of one call. Always so many draws, so that a fault more moves nothing else."""
    drawn = {name: chance.random() < getattr(faults, name) for name in _FATES}
    drawn |= {name: later.random() < getattr(faults, name) for name in LATER}
    return next((name for name, hit in drawn.items() if hit), "")


def _wrong_type(body: bytes, chance: random.Random) -> bytes:
    """The same answer, one value of which is of a kind that it can never be."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    places = list(_places(found))
    if places:
        inside, key = chance.choice(places)
        value = inside[key]
        inside[key] = "planted" if isinstance(value, dict | list) else {"planted": [value]}
    return orjson.dumps(found)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as its container and its key there."""
    if isinstance(value, dict | list):
        keys: Iterable[Any] = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def _plain(status: int, headers: list[tuple[bytes, bytes]] | None = None) -> Reply:
    body = b'{"error": {"code": "planted", "message": "planted"}}'
    return Reply(status, [(b"content-type", b"application/json"), *(headers or [])], body)
