"""One exchange with one outside system: bytes out, bytes back, or how they were lost.

The only place that opens an outbound connection. Redirects are not followed, the
environment's proxies and .netrc are ignored (T12), certificates are always
checked (T29), an answer has a size and a deadline (T6, H33), and a name is
connected to only at an address that was looked at first (T10).

Nothing is raised for a failed exchange: httpx's exceptions and log lines carry
the URL with its query, where some vendors put tokens (T13).
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpcore
import httpx

from core.addresses import why_not_ip
from core.crash import crash_point
from core.seal import scrub

MIB = 1024 * 1024
#: Shorter than the idle time of most servers: a connection they are about to close
#: would turn a write into a doubt.
KEEPALIVE_S = 4.0
_WHY_MAX = 200
_FAILED_BODY_MAX = 64 * 1024

Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An answer. `cut`: its body was larger than allowed, or broke off (never on a 2xx)."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    cut: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """No answer. `sent`: the first byte may have left. `hopeless`: the same again cannot help."""

    why: str
    sent: bool
    hopeless: bool = False
    seconds: float = 0.0


class AddressRefused(Exception):
    """A name that leads where the daemon must not go."""


async def resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=1)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class GuardedStream(httpcore.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is given up.

    httpcore closes it after an error, but not when our deadline cancels the
    handshake: every black hole would leave an open socket behind (H33).
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very address it has checked, so a second DNS answer changes nothing (T10)."""

    def __init__(self, *, private: bool, resolver: Resolve = resolve) -> None:
        self._private = private
        self._resolve = resolver
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            raise httpcore.ConnectError(f"the name {host} is not known") from None
        for address in addresses:
            ip = ipaddress.ip_address(address.partition("%")[0])
            if (why := why_not_ip(ip, private=self._private)) is not None:
                raise AddressRefused(f"{host} leads to {ip}, which {why}")
        failure = httpcore.ConnectError(f"the name {host} has no address")
        for address in addresses:
            try:
                stream = await self._sockets.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = httpcore.ConnectError(str(error) or "no connection")
            else:
                return GuardedStream(stream)
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused(f"{path} is not an outside system")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class _Progress:
    """How far a request came, as httpcore tells it. Decides between Retry and InDoubt (H21)."""

    told: bool = False
    sent: bool = False

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        self.told = True
        if event == "http11.send_request_headers.started":
            self.sent = True

    def may_be_sent(self, error: Exception) -> bool:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return False
        return self.sent or not self.told  # an injected transport tells nothing


class Wire:
    """A small pool of connections to one system: one shared client costs 200 times as much."""

    def __init__(
        self,
        *,
        at_once: int = 4,
        timeout_s: float = 20.0,
        answer_max: int = 32 * MIB,
        private: bool = False,
        ca_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        resolver: Resolve = resolve,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._monotonic = monotonic
        self._timeout_s = timeout_s
        self._answer_max = answer_max
        self._client = httpx.AsyncClient(
            transport=transport or _guarded(at_once, private, ca_file, resolver),
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_s,  # per step; the deadline of the whole is in `exchange`
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers={"accept": "application/json", "user-agent": "truecount"},
        )

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
    ) -> Raw | Lost:
        began = self._monotonic()
        progress = _Progress()
        heard: list[Raw] = []
        try:
            request = self._client.build_request(
                method,
                url,
                headers={**headers, "accept-encoding": "identity"},
                content=content,
                extensions={"trace": progress.trace},
            )
            crash_point("wire.sending", method)
            async with asyncio.timeout(self._timeout_s):
                raw = await self._answer(request, began, heard)
            crash_point("wire.answered", method)
            return raw
        except TimeoutError as error:
            what = f"no complete answer within {self._timeout_s:g} s"
            lost = Lost(why=what, sent=progress.may_be_sent(error))
        except AddressRefused as error:
            lost = Lost(why=str(error), sent=False, hopeless=True)
        except (
            httpx.LocalProtocolError,
            httpx.InvalidURL,
            httpx.UnsupportedProtocol,
            UnicodeError,
        ):
            what = "the request has an address or a header that cannot be sent"
            lost = Lost(why=what, sent=False, hopeless=True)
        except (httpx.TransportError, OSError, zlib.error) as error:
            lost = Lost(why=_why(error), sent=progress.may_be_sent(error))
        if heard and not 200 <= heard[0].status < 300:
            return heard[0]  # a refusal is a refusal, however its page broke off
        seconds = self._monotonic() - began
        return Lost(why=lost.why, sent=lost.sent, hopeless=lost.hopeless, seconds=seconds)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _answer(self, request: httpx.Request, began: float, heard: list[Raw]) -> Raw:
        response = await self._client.send(request, stream=True)
        try:
            status, headers = response.status_code, dict(response.headers.items())
            heard.append(Raw(status=status, headers=headers, content=b"", cut=True))
            fine = 200 <= status < 300
            limit = self._answer_max if fine else min(self._answer_max, _FAILED_BODY_MAX)
            content, cut = await _collect(response, limit)
            seconds = self._monotonic() - began
            return Raw(status=status, headers=headers, content=content, cut=cut, seconds=seconds)
        finally:
            await response.aclose()


async def _collect(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """The decoded body, never more than `limit` of it in memory (T6)."""
    inflate = _inflater(response)
    parts: list[bytes] = []
    room = limit
    async for chunk in _chunks(response):
        part = inflate.decompress(chunk, room + 1) if inflate else chunk
        room -= len(part)
        parts.append(part)
        if room < 0:
            return b"".join(parts)[:limit], True
        if inflate and (inflate.unconsumed_tail or inflate.unused_data):
            raise zlib.error("a compressed answer with something behind its end")
    if inflate and not inflate.eof:
        raise zlib.error("a compressed answer that broke off")
    return b"".join(parts), False


def _inflater(response: httpx.Response) -> Any:
    """Identity was asked for; a proxy may compress all the same."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", "") or response.is_stream_consumed:
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(wbits=47)  # gzip or zlib, by its first bytes
    raise zlib.error("an answer compressed in a way nobody asked for")


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:  # httpx.MockTransport hands over finished answers
        yield response.content
        return
    async for chunk in response.aiter_raw():
        yield chunk


def _guarded(
    at_once: int, private: bool, ca_file: Path | None, resolver: Resolve
) -> httpx.AsyncHTTPTransport:
    context = _trust(ca_file)
    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, http2=False)
    # httpx has no argument for the network below it; the pool is httpcore's public one.
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=at_once,
        max_keepalive_connections=at_once,
        keepalive_expiry=KEEPALIVE_S,
        http1=True,
        http2=False,
        network_backend=GuardedBackend(private=private, resolver=resolver),
    )
    return transport


@functools.cache
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the public authorities, or `ca_file` alone. TLS 1.2 or newer (T29)."""
    if ca_file is None:
        context = httpx.create_ssl_context(trust_env=False)
    else:
        context = ssl.create_default_context(cafile=str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _why(error: Exception) -> str:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            what = "no connection"
        case httpx.RemoteProtocolError():
            what = "the connection ended before the answer did"
        case zlib.error():
            what = "an unreadable body"
        case _:
            what = "the connection broke"
    return f"{what} ({scrub(str(error))[:_WHY_MAX] or type(error).__name__})"
