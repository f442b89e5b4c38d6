"""The operations port: is it alive, is it ready, what does it count, and the operator's verbs.

    GET  /healthz          the process and its loop live
    GET  /readyz           it can do its work; 503 with the reasons when not
    GET  /metrics          Prometheus
    GET  /                 a status page, plain and escaped
    POST /operator/{verb}  JSON in and out, with the operator's token

Bound to this machine unless there is a token; on any other address every route
but the two probes wants it (T16). A token in `Authorization` is sent by no
browser on its own, so a foreign page cannot use it (T17); Host and Origin must
be ours, against DNS rebinding. GET changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.clock import Clock
from core.errors import Busy, ConfigError, Problem, TruecountError
from core.metrics import CONTENT_TYPE, Metrics
from core.store.engine import Store
from core.store.schema import SCHEMA_VERSION, meta

#: "" when all is well, else a reason an operator understands.
Check = Callable[[], Awaitable[str]]
#: Raises LookupError for a verb it does not know, TruecountError for a refusal.
Operate = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
Status = Callable[[], Mapping[str, Any]]

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
#: Probes come from the orchestrator under the machine's bare address, and tell nothing.
_PROBES = frozenset({"/healthz", "/readyz"})
TOKEN_CHARS_MIN = 16
WORDS_BYTES_MAX = 64 * 1024
#: Wrong tokens in a row before each further one waits (T16).
WRONG_TOKENS_MAX = 5
WRONG_TOKEN_DELAY_S = 1.0
LAG_EVERY_S = 0.5
STATUS_DEPTH_MAX = 6

_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em;max-width:70em}"
    "table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;"
    "padding:.25em .75em;border-bottom:1px solid #ddd}th{font-weight:600}"
    "td table th{font-size:.85em;color:#667}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsSpec:
    """Where it is bound and who may ask. `hosts` are further names of this machine."""

    host: str = "127.0.0.1"
    token: str = ""
    hosts: tuple[str, ...] = ()
    check_s: float = 2.0  # a check that takes longer is a reason not to be ready
    place: tuple[str, int] = ("config.yaml", 1)


class LoopLag:
    """How late the loop wakes us. Run it as a task; it also beats for /readyz."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._gauge = metrics.loop_lag
        self.seconds = 0.0

    async def run(self) -> None:
        while True:
            began = self._clock.monotonic()
            await self._clock.sleep(LAG_EVERY_S)
            self.seconds = max(0.0, self._clock.monotonic() - began - LAG_EVERY_S)
            self._gauge.set(self.seconds)


def operations(
    *,
    spec: OperationsSpec,
    checks: Mapping[str, Check],
    status: Status,
    operate: Operate,
    metrics: Metrics,
    clock: Clock,
    lag: LoopLag,
) -> ASGIApp:
    """The application of the operations port. Raises ConfigError if it would stand open."""
    _refuse_open(spec)
    desk = _Desk(checks, status, operate, metrics, lag, spec.check_s)
    app = Starlette(
        routes=[
            Route("/healthz", desk.healthz, methods=["GET"]),
            Route("/readyz", desk.readyz, methods=["GET"]),
            Route("/metrics", desk.metrics, methods=["GET"]),
            Route("/", desk.page, methods=["GET"]),
            Route("/operator/{verb}", desk.verb, methods=["POST"]),
        ]
    )
    return _Gate(app, spec, clock)


def store_works(store: Store) -> Check:
    """The state is open, of our schema, and its writer answers."""

    async def check() -> str:
        if store.closing:
            return "the state is closed"
        try:
            with store.read() as connection:
                found = connection.execute(
                    select(meta.c.value).where(meta.c.key == "schema_version")
                ).scalar_one_or_none()
            await store.write(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        except (Busy, SQLAlchemyError) as error:
            return f"the state does not work: {error}"
        if found != str(SCHEMA_VERSION):
            return f"the state has schema {found}, this program knows {SCHEMA_VERSION}"
        return ""

    return check


def task_lives(task: asyncio.Task[Any]) -> Check:
    """A task of the daemon still runs; its end is never normal while we serve."""

    async def check() -> str:
        if not task.done():
            return ""
        error = None if task.cancelled() else task.exception()
        return f"ended: {type(error).__name__}" if error is not None else "ended"

    return check


def keeps_moving(clock: Clock, last_s: Callable[[], float], *, limit_s: float) -> Check:
    """Something beats at least every `limit_s`; `last_s` is a monotonic instant. No wedge."""

    async def check() -> str:
        quiet = clock.monotonic() - last_s()
        return f"has not moved for {quiet:.0f} s" if quiet > limit_s else ""

    return check


class _Desk:
    """The routes."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        status: Status,
        operate: Operate,
        metrics: Metrics,
        lag: LoopLag,
        check_s: float,
    ) -> None:
        self._checks = checks
        self._check_s = check_s
        self._status = status
        self._operate = operate
        self._metrics = metrics
        self._lag = lag

    async def healthz(self, _: Request) -> Response:
        return _json({"alive": True, "loop_lag_ms": round(self._lag.seconds * 1000, 1)})

    async def readyz(self, _: Request) -> Response:
        found = await asyncio.gather(
            *(_ask(check, self._check_s) for check in self._checks.values())
        )
        reasons = {name: words for name, words in zip(self._checks, found, strict=True) if words}
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics(self, _: Request) -> Response:
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def page(self, _: Request) -> Response:
        html = _page(self._status())
        return Response(html, headers={"content-type": "text/html; charset=utf-8"})

    async def verb(self, request: Request) -> Response:
        verb = request.path_params["verb"]
        words = await _words(request)
        if isinstance(words, Response):
            return words
        try:
            return _json(await self._operate(verb, words))
        except LookupError:
            return _json({"error": f"there is no verb {verb!r}"}, 404)
        except ConfigError as error:
            problems = [asdict(one) for one in error.problems]
            return _json({"error": str(error), "problems": problems}, 422)
        except TruecountError as error:
            return _json({"error": str(error)}, 503 if isinstance(error, Busy) else 409)


class _Gate:
    """Stands before every route: host, origin, token; and dresses every answer."""

    def __init__(self, app: ASGIApp, spec: OperationsSpec, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._token = spec.token.encode()
        self._hosts = LOCAL_HOSTS | {spec.host.lower()} | {host.lower() for host in spec.hosts}
        self._open = _is_local(spec.host)
        self._wrong = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "lifespan and websockets are switched off"

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = await self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, dressed)
            return
        await self._app(scope, receive, dressed)

    async def _refusal(self, scope: Scope) -> Response | None:
        path, headers = scope["path"], Headers(scope=scope)
        if path in _PROBES:
            return None
        if not self._ours(f"//{headers.get('host', '')}"):
            return _json({"error": "unknown host; name it under console.hosts"}, 421)
        origin = headers.get("origin")
        if origin is not None and not self._ours(origin):
            return _json({"error": "foreign origin"}, 403)
        if self._open and not path.startswith("/operator/"):
            return None
        return await self._token_refusal(headers.getlist("authorization"))

    async def _token_refusal(self, given: Sequence[str]) -> Response | None:
        if not self._token:
            return _json({"error": "no operator token is configured"}, 403)
        expected = b"Bearer " + self._token
        # Bytes: compare_digest raises on a text with é in it (T1).
        if len(given) == 1 and hmac.compare_digest(given[0].encode(), expected):
            self._wrong = 0
            return None
        self._wrong += 1
        if self._wrong > WRONG_TOKENS_MAX:
            await self._clock.sleep(WRONG_TOKEN_DELAY_S)
        answer = _json({"error": "the operator token is missing or wrong"}, 401)
        answer.headers["www-authenticate"] = "Bearer"
        return answer

    def _ours(self, url: str) -> bool:
        """A name and a port, nothing else: `us@evil` and the like are read in many ways."""
        try:
            parts = urlsplit(url)
            return "@" not in parts.netloc and parts.hostname in self._hosts
        except ValueError:
            return False


def _refuse_open(spec: OperationsSpec) -> None:
    file, line = spec.place
    if spec.token and len(spec.token) < TOKEN_CHARS_MIN:
        raise ConfigError(
            [
                Problem(
                    file=file,
                    line=line,
                    what=f"the operator token has fewer than {TOKEN_CHARS_MIN} characters",
                    fix="`openssl rand -hex 32` makes a good one.",
                )
            ]
        )
    if not spec.token and not _is_local(spec.host):
        raise ConfigError(
            [
                Problem(
                    file=file,
                    line=line,
                    what=f"operations on {spec.host} would be open to everybody who can reach it",
                    fix="Set an operator token, or bind it to 127.0.0.1.",
                )
            ]
        )


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def _ask(check: Check, limit_s: float) -> str:
    """A check that does not answer is itself a reason: something is wedged."""
    try:
        async with asyncio.timeout(limit_s):
            return await check()
    except TimeoutError:
        return f"no answer within {limit_s:g} s"


async def _words(request: Request) -> dict[str, Any] | Response:
    """The JSON object a verb was called with; nothing sent is an empty one."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > WORDS_BYTES_MAX:
                return _json({"error": f"more than {WORDS_BYTES_MAX // 1024} KiB"}, 413)
    except ClientDisconnect:
        return Response(status_code=400)
    if body and request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _json({"error": "send application/json"}, 415)  # what a form cannot send (T17)
    try:
        words = orjson.loads(bytes(body) or b"{}")
    except orjson.JSONDecodeError:
        return _json({"error": "this is not JSON"}, 400)
    if not isinstance(words, dict):
        return _json({"error": "send a JSON object"}, 400)
    return cast(dict[str, Any], words)


def _json(value: Mapping[str, Any], status: int = 200) -> Response:
    return Response(
        orjson.dumps(value, default=str) + b"\n",
        status_code=status,
        headers={"content-type": "application/json"},
    )


def _page(status: Mapping[str, Any]) -> str:
    """No script, no link, nothing from outside; everything a stranger wrote is escaped (T18)."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Truecount</title>'
        f"<style>{_STYLE}</style></head><body><h1>Truecount</h1>{_table(status, 0)}</body></html>"
    )


def _table(value: object, depth: int) -> str:
    if depth < STATUS_DEPTH_MAX and isinstance(value, Mapping):
        rows = "".join(
            f"<tr>{_heading(name)}<td>{_table(one, depth + 1)}</td></tr>"
            for name, one in value.items()
        )
        return f"<table>{rows}</table>"
    if depth < STATUS_DEPTH_MAX and isinstance(value, list | tuple):
        if value and all(isinstance(one, Mapping) for one in value):
            return _rows(value, depth + 1)
        return "<br>".join(_table(one, depth + 1) for one in value) or "none"
    return escape(_word(value))


def _rows(value: Sequence[Mapping[str, Any]], depth: int) -> str:
    """Things of one kind, one line each, their names above."""
    names = list(dict.fromkeys(name for one in value for name in one))
    head = "".join(_heading(name) for name in names)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_table(one.get(name), depth)}</td>' for name in names)}</tr>"
        for one in value
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _word(value: object) -> str:
    if value is None:
        return "–"  # noqa: RUF001 - a dash for nothing
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _heading(name: object) -> str:
    return f"<th>{escape(str(name).replace('_', ' '))}</th>"
