"""Fake systems in one process: for the demo, the benchmarks and tests over real sockets.

    python -m core.fakehost --config hosts.json --port 9000

Each fake answers below `/<system>/`. Beside them are `/_control/<system>/<method>`
(POST a JSON object of arguments: the fake's own method is called),
`/_faults/<system>` (POST what shall go wrong; `{}` heals it), `/_log/<system>` (the last
calls, without bodies, queries or header values) and `/_writes/<system>` (every call that
was to change something there).

A system with its own `port` is served there too, at `/`, and while it is `down`
nobody listens on that port: the only honest way to be unreachable.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import random
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson

from core.fake import World, body_of
from core.fakeports import Hooks, Port

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LOG_MAX = 2_000
_BUFFERS = (b"content-length", b"transfer-encoding")


class Gone(httpx.ConnectError):
    """In one process nothing can refuse a connection, so the client is told directly."""


@dataclass(slots=True, kw_only=True)
class System:
    """One line of hosts.json."""

    name: str
    connector: str
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    hook_url: str = ""
    port: int | None = None


@dataclass(slots=True, kw_only=True)
class Faults:
    """What is wrong with one system just now.

    `only` restricts it to calls that begin so ("POST /orders"). A lost answer is
    one whose call was done: the client sees a 502 and cannot know.
    """

    down: bool = False
    status: int = 0
    retry_after: int = 0
    lose_answers: int = 0
    delay_s: float = 0.0
    html: bool = False
    half: bool = False
    only: str = ""

    def concerns(self, method: str, path: str) -> bool:
        return f"{method} {path}".startswith(self.only)

    def takes(self, wanted: Mapping[str, Any]) -> None:
        """Replace everything; what is not named is well again."""
        known = {each.name for each in fields(self)}
        if set(wanted) - known:
            raise ValueError(f"there is {', '.join(sorted(known))}")
        fresh = Faults(**dict(wanted))
        for name in known:
            setattr(self, name, getattr(fresh, name))


class Hosted:
    """One fake with its faults, its log and its way out for pushes."""

    def __init__(
        self,
        system: System,
        *,
        now: Callable[[], datetime] | None = None,
        seed: int = 20261125,
        deliver: Callable[[Mapping[str, str], bytes], Awaitable[int]] | None = None,
    ) -> None:
        self.system = system
        self.faults = Faults()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_MAX)
        self.port: Port | None = None
        self._hooks = Hooks(system.hook_url) if system.hook_url else None
        world = World(
            settings={**system.settings, **system.secrets},
            rng=random.Random(f"{seed}:{system.name}"),  # noqa: S311 - chance of a play, not a key
        )
        if now is not None:
            world.now = now
        if deliver is not None:
            world.deliver = deliver
        elif self._hooks is not None:
            world.deliver = self._hooks.deliver
        self.writes = world.writes
        module = importlib.import_module(f"connectors.{system.connector}.fake")
        self.fake: Any = module.Fake(world)

    async def close(self) -> None:
        if self._hooks is not None:
            await self._hooks.close()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        entry = {
            "method": method,
            "path": path,
            "status": 0,
            "headers": sorted({name.decode("latin-1") for name, _ in scope["headers"]}),
        }
        self.log.append(entry)
        faults = self.faults
        if not faults.concerns(method, path):
            await self.fake(scope, receive, _noting(send, entry))
            return
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        if faults.down:
            drop = scope.get("truecount.drop")
            if drop is None:
                raise Gone(f"{self.system.name} is down")
            drop()
            await asyncio.sleep(0.01)  # the server must notice, or it answers 500 to nobody
            return
        send = _noting(send, entry)
        if faults.status:
            after = {"retry-after": str(faults.retry_after)} if faults.retry_after else {}
            await _answer(send, faults.status, {"error": "planted"}, after)
        elif faults.html:
            page = b"<!doctype html><html><body>Bad gateway</body></html>"
            await _raw(send, 200, page, {"content-type": "text/html"})
        elif faults.half or (faults.lose_answers and method != "GET"):
            await self._spoiled(scope, receive, send)
        else:
            await self.fake(scope, receive, send)

    async def _spoiled(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The call is done; what comes back is half of it, or somebody else's 502."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.fake(scope, receive, keep)
        if self.faults.lose_answers and scope["method"] != "GET":
            self.faults.lose_answers -= 1
            await _raw(send, 502, b"bad gateway", {"content-type": "text/plain"})
            return
        body = b"".join(message.get("body", b"") for message in kept)
        start = next(message for message in kept if message["type"] == "http.response.start")
        headers = [pair for pair in start.get("headers", []) if pair[0].lower() not in _BUFFERS]
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2]})


class FakeHost:
    """All systems behind one ASGI app. In tests: `FakeHost([...]).app` and `.fake(name)`."""

    def __init__(
        self,
        systems: Sequence[System | Mapping[str, Any]],
        *,
        now: Callable[[], datetime] | None = None,
        seed: int = 20261125,
        deliver: Mapping[str, Callable[[Mapping[str, str], bytes], Awaitable[int]]] | None = None,
    ) -> None:
        self._hosted: dict[str, Hosted] = {}
        for given in systems:
            system = given if isinstance(given, System) else System(**given)
            if system.name.startswith("_") or "/" in system.name or system.name in self._hosted:
                raise ValueError(f"{system.name!r} cannot be the name of another system here")
            self._hosted[system.name] = Hosted(
                system, now=now, seed=seed, deliver=(deliver or {}).get(system.name)
            )

    @property
    def app(self) -> App:
        return self._serve

    def fake(self, name: str) -> Any:
        return self._hosted[name].fake

    def faults(self, name: str) -> Faults:
        return self._hosted[name].faults

    def writes(self, name: str) -> list[str]:
        """Calls that were to change something in this system, whatever it answered."""
        return list(self._hosted[name].writes)

    def log(self, name: str) -> list[dict[str, Any]]:
        return list(self._hosted[name].log)

    def hosted(self) -> list[Hosted]:
        return list(self._hosted.values())

    async def close(self) -> None:
        for hosted in self._hosted.values():
            await hosted.close()

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        _, first, *rest = scope["path"].split("/")
        hosted = self._hosted.get(rest[0] if first.startswith("_") and rest else first)
        if first == "_faults" and not rest:
            told = {name: each.faults for name, each in self._hosted.items()}
            await _answer(send, 200, told)
        elif hosted is None:
            await _answer(send, 404, {"error": "no such system", "there": list(self._hosted)})
        elif not first.startswith("_"):
            await hosted({**scope, "path": "/" + "/".join(rest), "root_path": ""}, receive, send)
        else:
            await self._manage(first, hosted, rest[1:], await body_of(receive), send)

    async def _manage(
        self, what: str, hosted: Hosted, rest: list[str], body: bytes, send: Send
    ) -> None:
        try:
            wanted = orjson.loads(body or b"{}")
            result = await _managed(what, hosted, rest, wanted, asks=not body)
        except Exception as error:  # noqa: BLE001 - whatever a fake says no with, its driver hears
            status = 404 if isinstance(error, LookupError) else 400
            told = {"error": type(error).__name__, "words": str(error)}
            await _answer(send, status, told)
            return
        await _answer(send, 200, result)


async def _managed(what: str, hosted: Hosted, rest: list[str], wanted: Any, *, asks: bool) -> Any:
    if not isinstance(wanted, dict):
        raise TypeError("arguments are a JSON object")
    if what == "_log":
        return list(hosted.log)
    if what == "_writes":
        return list(hosted.writes)
    if what == "_faults":
        return hosted.faults if asks else await _set_faults(hosted, wanted)
    if what == "_control" and len(rest) == 1:
        return await _controlled(hosted.fake, rest[0], wanted)
    raise LookupError("there is _control, _faults, _log and _writes")


async def _set_faults(hosted: Hosted, wanted: Mapping[str, Any]) -> Faults:
    hosted.faults.takes(wanted)
    if hosted.port is not None:
        await hosted.port.listen(not hosted.faults.down)
    return hosted.faults


async def _controlled(fake: Any, method: str, wanted: dict[str, Any]) -> Any:
    there = [name for name in dir(fake) if not name.startswith("_")]
    if method not in there:
        raise LookupError(f"no method {method}; there is {', '.join(there)}")
    result = getattr(fake, method)(**wanted)
    return await result if inspect.isawaitable(result) else result


# ---------------------------------------------------------------- over sockets


async def serve(
    systems: Sequence[System | Mapping[str, Any]],
    port: int,
    *,
    ready: Callable[[FakeHost], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Host them until `stop` is set (or the task is cancelled)."""
    host = FakeHost(systems)
    ports = [Port(host.app, port)]
    for hosted in host.hosted():
        if hosted.system.port is not None:
            hosted.port = Port(hosted, hosted.system.port)
            ports.append(hosted.port)
    try:
        for each in ports:
            await each.listen(True)
        if ready is not None:
            ready(host)
        await (stop or asyncio.Event()).wait()
    finally:
        for each in ports:
            await each.listen(False)
        await host.close()


# ---------------------------------------------------------------- small ASGI


def _noting(send: Send, entry: dict[str, Any]) -> Send:
    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry["status"] = message["status"]
        await send(message)

    return noted


async def _answer(
    send: Send, status: int, body: Any, headers: Mapping[str, str] | None = None
) -> None:
    content = orjson.dumps(body, default=_plain)
    await _raw(send, status, content, {"content-type": "application/json", **(headers or {})})


async def _raw(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"a {type(value).__name__} does not travel as JSON")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="core.fakehost", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--config", type=Path, required=True, help='{"systems": [...]}')
    parser.add_argument("--port", type=int, default=9000)
    asked = parser.parse_args(argv)
    given = json.loads(asked.config.read_text())
    systems = given["systems"] if isinstance(given, dict) else given
    asyncio.run(_until_told(systems, asked.port))


async def _until_told(systems: Sequence[Mapping[str, Any]], port: int) -> None:
    stop = asyncio.Event()
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    await serve(systems, port, stop=stop)


if __name__ == "__main__":
    main()
