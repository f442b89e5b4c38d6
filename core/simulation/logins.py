"""One-time logins: a refresh token is good once, and access tokens end early (H28, S24).

The token before the newest still works while nobody has used what came with the newest,
because vendors know that answers get lost. Whoever uses a new access token and has not kept
the refresh token that came with it is locked out at the next renewal.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from core.fake import body_of, say

FIRST = "refresh-0"
LIFE = timedelta(hours=1)


class Tokens:
    """What one system has given out. `refused`: renewals with a token that is used up."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._current, self._before = FIRST, ""
        self._good: dict[str, datetime] = {}
        self._newest = ""  # the access token that came with the current refresh token
        self.given = 0
        self.refused = 0

    def grant(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer a form with a refresh token: status and JSON."""
        token = dict(parse_qsl(body.decode())).get("refresh_token", "")
        if not token or token not in (self._current, self._before):
            self.refused += 1
            return 400, {"error": "invalid_grant"}
        self.given += 1
        if token == self._current:
            self._before, self._current = self._current, f"refresh-{self.given}"
        access = self._newest = f"access-{self.given}"
        self._good[access] = self._now() + LIFE
        return 200, {
            "access_token": access,
            "refresh_token": self._current,
            "token_type": "bearer",
            "expires_in": LIFE.total_seconds(),
        }

    def lets_in(self, authorization: bytes) -> bool:
        """Whether this header is good now. Its first use ends the refresh token of before."""
        access = authorization.decode().removeprefix("Bearer ")
        until = self._good.get(access)
        if until is None or until <= self._now():
            return False
        if access == self._newest:
            self._before = ""
        return True

    def expire(self) -> None:
        """No access token is good any more, whatever was said when it was given."""
        self._good.clear()


class Door:
    """A system behind one-time logins: `path` grants tokens, all else needs one.

    `inside` is the header the system itself asks for; whoever is let in is given it.
    """

    def __init__(self, app: Any, tokens: Tokens, *, path: str, inside: bytes) -> None:
        self._app = app
        self._path = path
        self._inside = inside
        self.tokens = tokens

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == self._path:
            await say(send, *self.tokens.grant(await body_of(receive)))
            return
        await self._app({**scope, "headers": self._let_in(scope["headers"])}, receive, send)

    def _let_in(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [
            (name, self._inside)
            if name == b"authorization" and self.tokens.lets_in(value)
            else (name, value)
            for name, value in headers
        ]
