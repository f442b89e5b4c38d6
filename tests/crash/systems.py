"""All pretend systems in one process of its own: they survive when the daemon is killed.

    python -m tests.crash.systems hosts.json 9000

One more bad habit than core.fakehost has: `market` gives access tokens for a refresh
token that is good for one use. The one before it works until the newer one was used,
because vendors know that answers get lost; anything older is refused, and counted.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from core.fakehost import FakeHost
from core.fakeports import Port

FIRST = "refresh-0"
#: What `market` itself knows; the daemon never sees it.
INSIDE = "inside-token"


class Tokens:
    """One-time refresh tokens; access tokens that stay good."""

    def __init__(self) -> None:
        self.current, self.before = FIRST, ""
        self.given: set[bytes] = set()
        self.refused = 0

    def grant(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        token = form.get("refresh_token", "")
        if token not in (self.current, self.before) or not token:
            self.refused += 1
            return 400, {"error": "invalid_grant"}
        number = len(self.given) + 1
        if token == self.current:  # used: from now on the one before is worth nothing
            self.before, self.current = self.current, f"refresh-{number}"
        access = f"access-{number}"
        self.given.add(f"Bearer {access}".encode())
        return 200, {
            "access_token": access,
            "refresh_token": self.current,
            "token_type": "bearer",
            "expires_in": 3600,
        }


class Systems:
    """The fakes, with `market` behind its tokens."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._tokens = Tokens()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/_tokens":
            said = {"given": len(self._tokens.given), "refused": self._tokens.refused}
            await _answer(send, 200, said)
        elif path == "/market/token":
            await _answer(
                send, *self._tokens.grant(dict(parse_qsl((await _body(receive)).decode())))
            )
        else:
            await self._host.app(self._let_in(scope), receive, send)

    def _let_in(self, scope: Any) -> Any:
        if not scope["path"].startswith("/market/"):
            return scope
        headers = [
            (name, f"Bearer {INSIDE}".encode())
            if name == b"authorization" and value in self._tokens.given
            else (name, value)
            for name, value in scope["headers"]
        ]
        return {**scope, "headers": headers}


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _answer(send: Any, status: int, value: Any) -> None:
    head = {"type": "http.response.start", "status": status}
    await send(head | {"headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": orjson.dumps(value)})


async def _serve(hosts: Path, port: int) -> None:
    host = FakeHost(json.loads(hosts.read_text())["systems"])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    socket = Port(Systems(host), port)
    await socket.listen(True)
    await stop.wait()
    await socket.listen(False)
    await host.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
