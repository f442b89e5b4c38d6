"""What the fake systems need of real sockets: a way out for pushes, ports that can vanish."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import httpx
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A push is tried so often and then lost, as with vendors.
DELIVERIES = 3
#: Pushes waiting to leave; more than this and the fake loses them.
WAITING_MAX = 50_000


class Hooks:
    """Sends pushes in the background, each tried three times and then lost; in no order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue(WAITING_MAX)
        self._senders: list[asyncio.Task[None]] = []

    async def deliver(self, headers: Mapping[str, str], body: bytes) -> int:
        """Promise to send it. A fake never waits for its listener."""
        if not self._senders:
            self._senders = [asyncio.create_task(self._run()) for _ in range(4)]
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait((dict(headers), body))
            return 202
        return 503

    async def close(self) -> None:
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while True:
                headers, body = await self._waiting.get()
                for attempt in range(DELIVERIES):
                    with suppress(httpx.HTTPError):
                        answer = await client.post(self._url, headers=headers, content=body)
                        if answer.status_code < 300:
                            break
                    await asyncio.sleep(0.05 * 2**attempt)


class Droppable(HttpToolsProtocol):
    """uvicorn's own protocol, with a way for a fake to cut the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["truecount.drop"] = self.transport.abort  # type: ignore[typeddict-unknown-key]


class Server(uvicorn.Server):
    """Without signal handlers: several run in one loop and one place stops them all."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Port:
    """One listening socket that can be taken away and put back."""

    def __init__(self, app: Any, port: int, host: str = "127.0.0.1") -> None:
        self._config = partial(
            uvicorn.Config,
            app,
            host=host,
            port=port,
            http=Droppable,
            log_level="warning",
            access_log=False,
            interface="asgi3",
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def listen(self, wanted: bool) -> None:
        if wanted and self._task is None:
            self._server = Server(self._config())
            self._task = asyncio.create_task(self._server.serve())
            while not self._server.started and not self._task.done():
                await asyncio.sleep(0.005)
            if self._task.done():
                await self._task  # raises why: the port is taken
                raise OSError("the port could not be opened")
        elif not wanted and self._task is not None and self._server is not None:
            self._server.should_exit = True
            await self._task
            self._task = self._server = None

    @property
    def number(self) -> int:
        assert self._server is not None
        return int(self._server.servers[0].sockets[0].getsockname()[1])
