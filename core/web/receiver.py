"""Stops 1 and 2: a push arrives, is proven genuine, is kept, and only then answered.

    POST /hooks/{system}            signed, or with a shared header
    POST /hooks/{system}/{secret}   from a sender that signs nothing: always a hint

A 2xx means that body and needed headers are on the disk (G1). When we cannot
promise that (disk full, too much waiting, shutting down) the answer is 503 with
Retry-After (G13, H3). Nothing is parsed, and an answer has no body: one vendor
counts a push that got a body back as failed, and a stranger learns nothing.

A plain ASGI callable: Starlette would halve the rate on this path.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets as random_secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from core.clock import Clock
from core.crash import crash_point
from core.errors import Busy, Forged
from core.inbox import Arrival, Kept, keep
from core.metrics import UNKNOWN_SYSTEM, Metrics
from core.seal import Seal
from core.signature import UNSIGNED, verify
from core.store.engine import Store

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

MIB = 1024 * 1024
#: Identities are ids; a longer one is a stranger's, and is kept as its hash.
IDENTITY_CHARS_MAX = 512
#: Between the headers of an identity. No header value can hold it, so no two pairs look alike.
IDENTITY_JOINT = "\n"
_PREFIX = "/hooks/"
_SCHEMES_THAT_HASH = frozenset({"hmac_sha256_base64", "hmac_sha256_hex"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSpec:
    """How one system pushes. Header names are lower case. Made of manifest and config."""

    system: str
    scheme: str
    header: str
    secrets: tuple[str, ...]  # the current one, then the old one while rotating (T3)
    prefix: bytes = b""  # signed before the body
    topic_header: str = ""  # or else topic_always
    topic_always: str = ""
    topics: frozenset[str] = frozenset()  # worth keeping, of those a header can name
    identity: tuple[str, ...] = ()  # headers; where one is missing, the hash of the body
    keep: tuple[str, ...] = ()  # further headers worth keeping, like when it happened
    body_max: int = 2 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverLimits:
    """What strangers may cost us."""

    body_max: int = 2 * MIB  # caps every system, and unknown ones
    bodies_max: int = 128 * MIB  # in memory at once, of all requests together (H46)
    waiting_max: int = 4096  # units waiting for the writer
    backlog_max: int = 100_000  # kept and not yet applied
    answer_s: float = 10.0  # a disk that does not answer by then gets the sender a 503
    per_second: float | None = None  # genuine pushes of one system (T25); None: no cap
    retry_after_s: int = 5


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    verdict: str  # a counter label
    close: bool = False  # the rest of the request is not worth reading
    retry_after_s: int = 0


_KEPT = _Answer(200, "kept")
_AGAIN = _Answer(200, "duplicate")
_NOT_WANTED = _Answer(200, "unknown_topic")
_FORGED = _Answer(401, "forged")
_NOT_HERE = _Answer(404, "no_such_path", close=True)
_NOT_SO = _Answer(405, "method", close=True)
_UNCLEAR = _Answer(400, "unclear", close=True)
_TOO_LARGE = _Answer(413, "too_large", close=True)
_ENCODED = _Answer(415, "encoded", close=True)
#: The sender is gone, or was cut off with 408 by core/web/server.py: nobody to answer.
_GONE = _Answer(0, "unfinished")


class _Refused(Exception):
    def __init__(self, answer: _Answer) -> None:
        super().__init__(answer.verdict)
        self.answer = answer


class Receiver:
    """The application of the hooks port. Set `closing` before stopping the server (H4)."""

    def __init__(
        self,
        *,
        hooks: Mapping[str, HookSpec],
        store: Store,
        seal: Seal,
        clock: Clock,
        limits: ReceiverLimits,
        on_kept: Callable[[], None],
        metrics: Metrics,
        backlog: Callable[[], int] = lambda: 0,
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._seal = seal
        self._clock = clock
        self._limits = limits
        self._on_kept = on_kept
        self._metrics = metrics
        self._backlog = backlog
        self._bodies = 0
        # Strangers to unknown systems walk the same way as strangers to known ones (T31).
        self._decoy = HookSpec(
            system=UNKNOWN_SYSTEM,
            scheme="hmac_sha256_base64",
            header="x-signature",
            secrets=(random_secrets.token_hex(32),),
            body_max=limits.body_max,
        )
        self._buckets = {
            name: _Bucket(limits.per_second, clock)
            for name in hooks
            if limits.per_second is not None
        }
        self.closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "lifespan and websockets are switched off"
        name, tail = _address(scope["path"])
        spec = self._hooks.get(name, self._decoy)
        began = self._clock.monotonic()
        try:
            answer = await self._receive(spec, tail, scope, receive)
        except _Refused as refused:
            answer = refused.answer
        except Forged as forged:
            self._metrics.forged.labels(spec.system, forged.reason).inc()
            answer = _FORGED
        except Busy as busy:
            answer = _Answer(503, "busy", retry_after_s=busy.retry_after_s)
        self._metrics.received.labels(spec.system, answer.verdict).inc()
        if answer is _KEPT or answer is _AGAIN:
            self._metrics.answer_seconds.observe(self._clock.monotonic() - began)
        if answer is not _GONE:
            await _send(send, answer)
            crash_point("hook.answered", spec.system)

    async def _receive(self, spec: HookSpec, tail: str, scope: Scope, receive: Receive) -> _Answer:
        if not scope["path"].startswith(_PREFIX):
            return _NOT_HERE
        if scope["method"] != "POST":
            return _NOT_SO
        headers = scope["headers"]
        body_max = min(spec.body_max, self._limits.body_max)
        _refuse_by_headers(headers, body_max)
        if self.closing:
            raise _Refused(_Answer(503, "busy", True, self._limits.retry_after_s))
        body = bytearray()
        try:
            await self._read(receive, body, body_max)
            return await self._judge(spec, tail, headers, bytes(body))
        finally:
            self._bodies -= len(body)

    async def _read(self, receive: Receive, body: bytearray, body_max: int) -> None:
        """The whole body, counted while it comes: a chunked one declares no length (T4)."""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise _Refused(_GONE)
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > body_max:
                raise _Refused(_TOO_LARGE)
            if self._bodies + len(chunk) > self._limits.bodies_max:
                raise _Refused(_Answer(503, "busy", True, self._limits.retry_after_s))
            self._bodies += len(chunk)
            body += chunk
            more = message.get("more_body", False)

    async def _judge(self, spec: HookSpec, tail: str, headers: Headers, body: bytes) -> _Answer:
        crash_point("hook.arrived", spec.system)
        self._prove(spec, tail, headers, body)
        needed = _needed(spec, headers)
        topic = needed.get(spec.topic_header, "") if spec.topic_header else spec.topic_always
        if spec.topic_header and topic not in spec.topics:
            # 2xx, or the vendor ends the subscription; not stored, or junk fills the disk (T25).
            return _NOT_WANTED
        bucket = self._buckets.get(spec.system)
        if bucket is not None and not bucket.take():
            return _Answer(429, "rate", retry_after_s=1)
        kept = await self._keep(
            Arrival(
                system=spec.system,
                via="hook",
                topic=topic,
                identity=_identity(spec, needed, body),
                body=body,
                headers=orjson.dumps(needed),
                received_at=self._clock.now(),
            )
        )
        crash_point("hook.kept", spec.system)
        if kept.new:
            self._on_kept()
            return _KEPT
        self._metrics.duplicates.labels(spec.system, "hook").inc()
        return _AGAIN

    def _prove(self, spec: HookSpec, tail: str, headers: Headers, body: bytes) -> None:
        """Raises Forged. Every refusal has cost one hash of the body and one compare (T31)."""
        hashed = False
        try:
            _prove_path(spec, tail)
            hashed = spec.scheme in _SCHEMES_THAT_HASH
            index = verify(
                spec.scheme, body, headers, spec.secrets, spec.header, prefix=spec.prefix
            )
            if index > 0:
                self._metrics.old_secret.labels(spec.system).inc()
        except Forged as forged:
            if not hashed or forged.reason != "wrong_signature":
                _verify_nothing(self._decoy, body)
            if spec is self._decoy:
                raise Forged("unknown_system") from None
            raise

    async def _keep(self, arrival: Arrival) -> Kept:
        """Returns once it is on the disk (G1); raises Busy when it may not be."""

        def unit(connection: Connection) -> Kept:
            kept = keep(connection, arrival, self._seal)
            crash_point("hook.keeping", arrival.system)
            return kept

        limits = self._limits
        if self._store.waiting > limits.waiting_max or self._backlog() > limits.backlog_max:
            raise Busy("too much is waiting", retry_after_s=limits.retry_after_s)
        try:
            # Given up on, the write may still happen; the sender repeats, and it is one row.
            async with asyncio.timeout(limits.answer_s):
                return await self._store.write(unit, single=True)
        except TimeoutError:
            raise Busy("the disk is slow", retry_after_s=limits.retry_after_s) from None
        except SQLAlchemyError as error:
            # Its text carries the values of the row, so only its name is told (T13).
            name = type(error).__name__
            structlog.get_logger().error("hook.not_kept", system=arrival.system, error=name)
            raise Busy(name, retry_after_s=limits.retry_after_s) from None


class _Bucket:
    """So many a second, and two seconds' worth at once."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._per_second = per_second
        self._clock = clock
        self._size = max(1.0, 2 * per_second)
        self._left = self._size
        self._at = clock.monotonic()

    def take(self) -> bool:
        now = self._clock.monotonic()
        self._left = min(self._size, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _address(path: str) -> tuple[str, str]:
    name, _, tail = path.removeprefix(_PREFIX).partition("/")
    return name, tail


def _refuse_by_headers(headers: Headers, body_max: int) -> None:
    """What can be refused before one byte of the body is read."""
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise _Refused(_ENCODED)  # a bomb of 300 kB unpacks to 300 MB (T6)
        if name == b"content-length":
            if not value.isdigit():
                raise _Refused(_UNCLEAR)
            if len(value) > 18 or int(value) > body_max:
                raise _Refused(_TOO_LARGE)


def _prove_path(spec: HookSpec, tail: str) -> None:
    """Only a sender that signs nothing has a secret in its path."""
    given = tail.encode()
    if spec.scheme != UNSIGNED:
        if given:
            raise Forged("wrong_path")
        return
    matches = [hmac.compare_digest(given, secret.encode()) for secret in spec.secrets]
    if not given or not any(matches):
        raise Forged("wrong_path")


def _verify_nothing(decoy: HookSpec, body: bytes) -> None:
    """The work of a verification that cannot succeed."""
    digest = hmac.digest(decoy.secrets[0].encode(), body, hashlib.sha256)
    hmac.compare_digest(digest, bytes(len(digest)))


def _needed(spec: HookSpec, headers: Headers) -> dict[str, str]:
    """The headers worth keeping. One that names the event must come once: which one counts?"""
    names = {"content-type", spec.topic_header, *spec.identity, *spec.keep}
    needed: dict[str, str] = {}
    for raw, value in headers:
        name = raw.decode("latin-1")
        if name not in names:
            continue
        if name in needed and (name == spec.topic_header or name in spec.identity):
            raise Forged("repeated_header")
        needed[name] = value.decode("latin-1").strip()
    return needed


def _identity(spec: HookSpec, needed: Mapping[str, str], body: bytes) -> str:
    """What makes two pushes the same event: one id may cover several topics (H5)."""
    parts = [needed.get(name, "") for name in spec.identity]
    if not parts or not all(parts):
        return hashlib.sha256(body).hexdigest()
    identity = IDENTITY_JOINT.join(parts)
    if len(identity) > IDENTITY_CHARS_MAX:
        return hashlib.sha256(identity.encode()).hexdigest()
    return identity


async def _send(send: Send, answer: _Answer) -> None:
    headers = [(b"content-length", b"0")]
    if answer.close:
        headers.append((b"connection", b"close"))
    if answer.retry_after_s:
        headers.append((b"retry-after", str(answer.retry_after_s).encode()))
    if answer.status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
