"""All pretend systems in one process of its own: they survive when the daemon is killed.

    python -m tests.crash.systems hosts.json 9000

One more bad habit than core.fakehost has: `market` gives access tokens for a refresh
token that is good for one use. One that is used up is refused, and counted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.fake import say
from core.fakehost import FakeHost
from core.simulation.logins import Door, Tokens
from tests.hosting import main

#: What `market` itself knows; the daemon never sees it.
INSIDE = "inside-token"


class Systems:
    """The fakes, with `market` behind its tokens."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._tokens = Tokens(lambda: datetime.now(UTC))
        inside = f"Bearer {INSIDE}".encode()
        self._market = Door(host.app, self._tokens, path="/market/token", inside=inside)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/_tokens":
            said = {"given": self._tokens.given, "refused": self._tokens.refused}
            await say(send, 200, said)
        elif scope["path"].startswith("/market/"):
            await self._market(scope, receive, send)
        else:
            await self._host.app(scope, receive, send)


if __name__ == "__main__":
    main(Systems)
