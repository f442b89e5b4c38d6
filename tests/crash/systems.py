"""All pretend systems in one process of its own: they survive when the daemon is killed.

    python -m tests.crash.systems hosts.json 9000

One more bad habit than core.fakehost has: `market` gives access tokens for a refresh
token that is good for one use. The one before it works until the newer one was used,
because vendors know that answers get lost; anything older is refused, and counted.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from core.fakehost import FakeHost
from tests.hosting import answer, body_of, main

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
            await answer(send, 200, said)
        elif path == "/market/token":
            form = dict(parse_qsl((await body_of(receive)).decode()))
            await answer(send, *self._tokens.grant(form))
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


if __name__ == "__main__":
    main(Systems)
