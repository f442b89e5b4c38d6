"""Webhook intake over real sockets, on the loop and parser of production.

G1 G13, H1-H5, T1-T6, T24, T25, T31.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import json
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvloop
from core.clock import Clock, ManualClock, SystemClock, unstamp
from core.errors import ConfigError
from core.inbox import aad
from core.metrics import Metrics
from core.seal import Seal, new_key
from core.store.engine import Store
from core.web.receiver import HookSpec, Receiver, ReceiverLimits
from core.web.server import ServerLimits, WebServer

SECRET, OLD_SECRET, PATH_SECRET = "s3cret-of-the-shop", "the-secret-before", "path-7d1f0a"
BODY = b'{"id": 820982911946154508, "note": "caf\xc3\xa9",  "total": "10.00"}'
DEADLINE_S = 0.3

SHOP = HookSpec(
    system="shop",
    scheme="hmac_sha256_base64",
    header="x-sign",
    secrets=(SECRET, OLD_SECRET),
    topic_header="x-topic",
    topics=frozenset({"orders/create", "orders/updated"}),
    identity=("x-topic", "x-id"),
    keep=("x-when",),
    body_max=4096,
)
QUIET = HookSpec(
    system="quiet", scheme="unsigned", header="", secrets=(PATH_SECRET,), topic_always="order"
)

Pair = tuple[bytes, bytes]


def on_uvloop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Production runs on uvloop, so its sockets are the ones to be tried."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class GatedStore:
    """A store whose disk waits until the test lets it go."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    waiting = 0

    async def write(self, unit: Any, *, single: bool = False) -> Any:
        self.reached.set()
        await self.gate.wait()
        return await self._store.write(unit, single=single)


@dataclass
class House:
    """A receiver behind its port, and ways to look into it."""

    path: Path
    store: Store
    seal: Seal
    receiver: Receiver
    server: WebServer
    metrics: Metrics
    wakes: list[None] = field(default_factory=list)
    gated: GatedStore | None = None

    def rows(self) -> list[sqlite3.Row]:
        """As another process sees them: only what was committed."""
        connection = sqlite3.connect(self.path)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute("SELECT * FROM inbox ORDER BY seq").fetchall()
        finally:
            connection.close()

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"truecount_{name}", labels) or 0.0

    async def post(self, *pairs: Pair, path: str = "/hooks/shop", body: bytes = BODY) -> Said:
        return await say(self.server.port, request(*pairs, path=path, body=body))

    async def push(self, body: bytes = BODY, **how: str) -> Said:
        return await self.post(*signed(body, **how), body=body)


_empty: list[bytes] = []


async def an_empty_state(path: Path) -> bytes:
    """Made once: thirty tables with an fsync each are most of a test's time."""
    if not _empty:
        store = Store(path)
        store.open()
        await store.close()
        _empty.append(path.read_bytes())
    return _empty[0]


@asynccontextmanager
async def house(
    tmp_path: Path,
    *,
    gated: bool = False,
    clock: Clock | None = None,
    limits: ReceiverLimits | None = None,
    server: ServerLimits | None = None,
    backlog: int = 0,
) -> AsyncIterator[House]:
    path = tmp_path / "truecount.db"
    path.write_bytes(await an_empty_state(tmp_path / "template.db"))
    store, seal, metrics = Store(path), Seal(new_key()), Metrics()
    store.open()
    gate = GatedStore(store) if gated else None
    wakes: list[None] = []
    receiver = Receiver(
        hooks={"shop": SHOP, "quiet": QUIET},
        store=gate or store,  # type: ignore[arg-type]
        seal=seal,
        clock=clock or SystemClock(),
        limits=limits or ReceiverLimits(body_max=8192),
        on_kept=lambda: wakes.append(None),
        metrics=metrics,
        backlog=lambda: backlog,
    )
    web = WebServer(
        receiver,
        name="hooks",
        host="127.0.0.1",
        port=0,
        clock=SystemClock(),
        metrics=metrics,
        limits=server or ServerLimits(request_s=DEADLINE_S, stop_s=2.0),
    )
    await web.start()
    try:
        yield House(path, store, seal, receiver, web, metrics, wakes, gate)
    finally:
        await web.stop()
        await store.close()


@dataclass(frozen=True)
class Said:
    """An answer. status 0: the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> Said:
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return cls(int(first.split()[1]) if raw else 0, {a.lower(): b for a, b in pairs}, body)


def signature(body: bytes, secret: str = SECRET) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))


def signed(
    body: bytes = BODY, *, secret: str = SECRET, topic: str = "orders/create", id: str = "e-1"
) -> list[Pair]:
    sign = signature(body, secret)
    return [(b"x-sign", sign), (b"x-topic", topic.encode()), (b"x-id", id.encode())]


def request(
    *pairs: Pair, path: str = "/hooks/shop", body: bytes = BODY, method: str = "POST"
) -> bytes:
    """One request whose connection the server ends, exactly as given."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"host: t", b"connection: close"]
    lines += [name + b": " + value for name, value in pairs]
    lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def say(port: int, *pieces: bytes, pause_s: float = 0.0) -> Said:
    """Send pieces as they are, and read until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            if writer.transport.is_closing():
                break
            writer.write(piece)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)  # a slow sender is what is being tried
        return Said.of(await asyncio.wait_for(reader.read(), 5))
    except (ConnectionResetError, BrokenPipeError):
        return Said(0, {}, b"")
    finally:
        writer.close()


# ------------------------------------------------------------- kept, then answered


@on_uvloop
async def test_nothing_is_answered_before_the_disk_has_it(tmp_path: Path) -> None:
    # G1, H1: with the commit held back, not one byte of an answer leaves.
    async with house(tmp_path, gated=True) as h:
        assert h.gated is not None
        answer = asyncio.create_task(h.push())
        await h.gated.reached.wait()
        done, _ = await asyncio.wait([answer], timeout=0.1)
        assert (done, h.rows()) == (set(), [])
        h.gated.gate.set()
        assert (await answer).status == 200
        assert len(h.rows()) == 1


@on_uvloop
async def test_a_2xx_means_another_process_already_sees_the_row(tmp_path: Path) -> None:
    # G1: looked at from another thread at the first byte of the answer, fifty times.
    async with house(tmp_path) as h:

        def look(number: int) -> tuple[bytes, int]:
            body = b'{"n":%d}' % number
            with socket.create_connection(("127.0.0.1", h.server.port), 5) as client:
                client.sendall(request(*signed(body, id=str(number)), body=body))
                first = client.recv(12)
                seen = sum(row["identity"].endswith(f"\n{number}") for row in h.rows())
                while client.recv(4096):
                    pass
                return first, seen

        for number in range(50):
            assert await asyncio.to_thread(look, number) == (b"HTTP/1.1 200", 1)


@on_uvloop
async def test_raw_bytes_and_only_needed_headers_are_kept_sealed(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        extra = [(b"content-type", b"application/json"), (b"x-when", b"noon"), (b"cookie", b"c")]
        said = await h.post(*signed(), *extra)
        assert (said.status, said.body, said.headers["content-length"]) == (200, b"", "0")
        [row] = h.rows()
        place = aad("shop", "orders/create")
        assert h.seal.open(row["body"], place) == BODY
        assert BODY not in h.path.read_bytes()
        assert orjson.loads(h.seal.open(row["headers"], place)) == {
            "content-type": "application/json",
            "x-id": "e-1",
            "x-topic": "orders/create",
            "x-when": "noon",
        }
        assert (row["system"], row["via"], row["topic"]) == ("shop", "hook", "orders/create")
        assert (row["identity"], row["state"]) == ("orders/create\ne-1", "pending")
        assert unstamp(row["received_at"])
        assert len(h.wakes) == 1


@on_uvloop
async def test_a_replay_is_answered_2xx_and_only_counted(tmp_path: Path) -> None:
    # H2, T2: the sender that timed out repeats; so does one who captured a push.
    async with house(tmp_path) as h:
        assert [(await h.push()).status for _ in range(2)] == [200, 200]
        [row] = h.rows()
        assert row["pushes"] == 2
        assert h.count("received_total", system="shop", verdict="kept") == 1
        assert h.count("received_total", system="shop", verdict="duplicate") == 1
        assert h.count("duplicates_total", system="shop", via="hook") == 1


@on_uvloop
async def test_ten_at_once_are_one_row(tmp_path: Path) -> None:
    # H5
    async with house(tmp_path) as h, httpx.AsyncClient() as client:
        headers = [(a.decode(), b.decode()) for a, b in signed()]
        url = f"http://127.0.0.1:{h.server.port}/hooks/shop"
        said = await asyncio.gather(
            *(client.post(url, content=BODY, headers=headers) for _ in range(10))
        )
        assert {answer.status_code for answer in said} == {200}
        [row] = h.rows()
        assert row["pushes"] == 10


@on_uvloop
async def test_one_event_id_under_two_topics_is_two_arrivals(tmp_path: Path) -> None:
    # H5
    async with house(tmp_path) as h:
        await h.push(topic="orders/create")
        await h.push(topic="orders/updated")
        assert [row["topic"] for row in h.rows()] == ["orders/create", "orders/updated"]


@on_uvloop
async def test_without_an_id_the_body_is_the_identity(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        for body in (b"[1]", b"[1]", b"[2]"):
            pairs = [pair for pair in signed(body) if pair[0] != b"x-id"]
            assert (await h.post(*pairs, body=body)).status == 200
        rows = h.rows()
        assert [row["pushes"] for row in rows] == [2, 1]
        assert rows[0]["identity"] == hashlib.sha256(b"[1]").hexdigest()


@on_uvloop
async def test_an_endless_id_is_kept_as_its_hash(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        assert (await h.push(id="i" * 5000)).status == 200
        assert len(h.rows()[0]["identity"]) == 64


@on_uvloop
async def test_two_requests_on_one_connection_are_both_kept(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        first = request(*signed(id="1")).replace(b"connection: close\r\n", b"")
        said = await say(h.server.port, first + request(*signed(id="2")))
        assert said.status == 200
        assert said.body.startswith(b"HTTP/1.1 200 OK")
        assert [row["identity"][-1] for row in h.rows()] == ["1", "2"]


# ------------------------------------------------------------- genuine or not

_RESERIALISED = json.dumps(json.loads(BODY)).encode()
FORGERIES: dict[str, tuple[list[bytes], str]] = {
    "no signature": ([], "no_signature"),
    "empty": ([b""], "wrong_signature"),
    "wrong secret": ([signature(BODY, "guess")], "wrong_signature"),
    "over re-serialised JSON": ([signature(_RESERIALISED)], "wrong_signature"),
    "hex for base64": (
        [hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest().encode()],
        "wrong_signature",
    ),
    "an é": (
        [
            "é".encode(),
        ],
        "wrong_signature",
    ),
    "an é in latin-1": (["é".encode("latin-1")], "wrong_signature"),
    "two, the second right": ([b"nonsense", signature(BODY)], "two_signatures"),
    "two, the first right": ([signature(BODY), b"nonsense"], "two_signatures"),
}


@pytest.mark.parametrize("case", FORGERIES)
@on_uvloop
async def test_a_forged_push_leaves_only_a_counter(tmp_path: Path, case: str) -> None:
    # T1
    signatures, reason = FORGERIES[case]
    async with house(tmp_path) as h:
        rest = [pair for pair in signed() if pair[0] != b"x-sign"]
        said = await h.post(*[(b"x-sign", one) for one in signatures], *rest)
        assert (said.status, said.body) == (401, b"")
        assert h.rows() == []
        assert h.count("forged_total", system="shop", reason=reason) == 1
        assert h.count("received_total", system="shop", verdict="forged") == 1


@pytest.mark.parametrize("name", [b"x-id", b"x-topic"])
@on_uvloop
async def test_a_header_that_names_the_event_comes_once(tmp_path: Path, name: bytes) -> None:
    async with house(tmp_path) as h:
        assert (await h.post(*signed(), (name, b"orders/updated"))).status == 401
        assert h.rows() == []


@on_uvloop
async def test_the_old_secret_is_accepted_and_reported(tmp_path: Path) -> None:
    # T3
    async with house(tmp_path) as h:
        assert (await h.push(secret=OLD_SECRET)).status == 200
        assert h.count("old_secret_total", system="shop") == 1


@on_uvloop
async def test_an_unknown_system_answers_like_a_wrong_signature(tmp_path: Path) -> None:
    # T31
    async with house(tmp_path) as h:
        known, unknown = [
            await h.post((b"x-sign", b"wrong"), path=path)
            for path in ("/hooks/shop", "/hooks/nope")
        ]
        assert known == unknown
        assert known.status == 401
        assert h.count("received_total", system="unknown", verdict="forged") == 1
        methods = [
            await say(h.server.port, request(path=path, method="GET", body=b""))
            for path in ("/hooks/shop", "/hooks/nope")
        ]
        assert methods[0] == methods[1]
        assert methods[0].status == 405
        elsewhere = await h.post(path="/admin")
        assert elsewhere.status == 404


@on_uvloop
async def test_a_sender_that_signs_nothing_needs_its_secret_path(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        for path in ("/hooks/quiet", "/hooks/quiet/", "/hooks/quiet/guess", "/hooks/quiet/%C3%A9"):
            assert (await h.post(path=path)).status == 401
        assert (await h.post(*signed(), path=f"/hooks/shop/{PATH_SECRET}")).status == 401
        assert h.rows() == []
        assert (await h.post(path=f"/hooks/quiet/{PATH_SECRET}")).status == 200
        assert [row["topic"] for row in h.rows()] == ["order"]


@on_uvloop
async def test_junk_topics_are_answered_and_not_stored(tmp_path: Path) -> None:
    # T25
    async with house(tmp_path) as h:
        assert (await h.push(topic="carts/update")).status == 200
        missing = [pair for pair in signed() if pair[0] != b"x-topic"]
        assert (await h.post(*missing)).status == 200
        assert (h.rows(), h.wakes) == ([], [])
        assert h.count("received_total", system="shop", verdict="unknown_topic") == 2


@on_uvloop
async def test_one_source_cannot_take_the_port_for_itself(tmp_path: Path) -> None:
    # T25: 2 a second, two seconds' worth at once
    clock = ManualClock(unstamp("2026-11-25T04:00:00.000000Z"))
    limits = ReceiverLimits(per_second=2.0)
    async with house(tmp_path, clock=clock, limits=limits) as h:
        said = [(await h.push(id=str(number))).status for number in range(5)]
        assert said == [200, 200, 200, 200, 429]
        clock.advance(0.5)
        assert (await h.push(id="later")).status == 200
        assert len(h.rows()) == 5


# ------------------------------------------------------------- sizes and encodings


@on_uvloop
async def test_a_body_at_the_cap_is_kept_and_one_byte_more_is_not(tmp_path: Path) -> None:
    # T4
    async with house(tmp_path) as h:
        assert (await h.push(b"x" * 4096)).status == 200
        assert (await h.push(b"x" * 4097, id="2")).status == 413
        assert len(h.rows()) == 1


@on_uvloop
async def test_a_declared_giant_is_refused_at_once(tmp_path: Path) -> None:
    # T4: nothing of the body is waited for
    async with house(tmp_path, server=ServerLimits()) as h:
        for length in (b"2147483648", b"9" * 19):
            head = b"POST /hooks/shop HTTP/1.1\r\nhost: t\r\ncontent-length: %s\r\n\r\n" % length
            assert (await say(h.server.port, head)).status == 413


CHUNKED = b"POST /hooks/shop HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"


@on_uvloop
async def test_a_chunked_body_is_counted_while_it_is_read(tmp_path: Path) -> None:
    # T4
    async with house(tmp_path, server=ServerLimits()) as h:
        chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
        assert (await say(h.server.port, CHUNKED, *[chunk] * 5)).status == 413
        endless = await say(h.server.port, CHUNKED, *[chunk * 64] * 200)
        assert endless.status in (0, 413)  # 0: reset while still sending
        assert h.rows() == []
        assert h.receiver._bodies == 0


@on_uvloop
async def test_a_chunked_body_that_fits_is_kept(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        pairs = b"".join(a + b": " + b + b"\r\n" for a, b in signed())
        head = CHUNKED.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n" + pairs + b"\r\n")
        pieces = [b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:9], BODY[9:])]
        assert (await say(h.server.port, head, *pieces, b"0\r\n\r\n")).status == 200
        assert h.seal.open(h.rows()[0]["body"], aad("shop", "orders/create")) == BODY


@on_uvloop
async def test_bodies_in_memory_are_capped_over_all_requests(tmp_path: Path) -> None:
    # H46: resident memory is bounded whatever the number of senders
    limits = ReceiverLimits(bodies_max=6000)
    async with house(tmp_path, gated=True, limits=limits) as h:
        assert h.gated is not None
        first = asyncio.create_task(h.push(b"x" * 4000))
        await h.gated.reached.wait()
        second = await h.push(b"y" * 4000, id="2")
        assert (second.status, second.headers["retry-after"]) == (503, "5")
        h.gated.gate.set()
        assert (await first).status == 200


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"zstd", b"gzip, gzip", b"GZIP"])
@on_uvloop
async def test_a_compressed_push_is_refused(tmp_path: Path, encoding: bytes) -> None:
    # T6
    async with house(tmp_path) as h:
        said = await h.post(*signed(), (b"content-encoding", encoding))
        assert (said.status, h.rows()) == (415, [])


# ------------------------------------------------------------- slow, silent, crooked


@on_uvloop
async def test_whoever_does_not_finish_in_time_is_cut_off(tmp_path: Path) -> None:
    # T5: silent, half a header, half a body, one byte at a time, and idle after an answer
    async with house(tmp_path) as h:
        port, whole = h.server.port, request(*signed())
        began = time.monotonic()
        said: list[Said] = await asyncio.gather(
            say(port),
            say(port, whole[:30]),
            say(port, whole[:-5]),
            say(port, *[whole[at : at + 1] for at in range(60)], pause_s=0.05),
            say(port, b"\r\n\r\n"),
        )
        trickle = said.pop(3)
        assert trickle.status in (0, 408)  # 0: reset while still sending
        assert [one.status for one in said] == [0, 408, 408, 408]
        assert time.monotonic() - began < 4
        assert h.rows() == []
        assert h.count("cut_off_total", port="hooks", reason="late") == 5
        assert h.count("received_total", system="shop", verdict="unfinished") == 1
        assert h.receiver._bodies == 0
        assert (await h.push()).status == 200


@on_uvloop
async def test_idle_connections_do_not_keep_others_out(tmp_path: Path) -> None:
    # T5: a cap per address and in all, and everything idle is gone after the deadline
    limits = ServerLimits(request_s=DEADLINE_S, per_address_max=20, connections_max=40)
    async with house(tmp_path, server=limits) as h:
        idle = [await asyncio.open_connection("127.0.0.1", h.server.port) for _ in range(30)]
        ends = await asyncio.gather(*(reader.read() for reader, _ in idle))
        assert sorted(Said.of(end).status for end in ends) == [0] * 20 + [503] * 10
        assert (await h.push()).status == 200
        for _, writer in idle:
            writer.close()
        assert h.count("cut_off_total", port="hooks", reason="turned_away") == 10


@on_uvloop
async def test_a_proxy_of_ours_may_bring_many(tmp_path: Path) -> None:
    limits = ServerLimits(per_address_max=1, proxies=frozenset({"127.0.0.1"}))
    async with house(tmp_path, server=limits) as h:
        _, writer = await asyncio.open_connection("127.0.0.1", h.server.port)
        assert (await h.push()).status == 200
        writer.close()


@on_uvloop
async def test_a_keep_alive_connection_ends_by_itself(tmp_path: Path) -> None:
    limits = ServerLimits(request_s=DEADLINE_S, keep_alive_s=1)
    async with house(tmp_path, server=limits) as h:
        whole = request(*signed()).replace(b"connection: close\r\n", b"")
        assert (await say(h.server.port, whole)).status == 200


@on_uvloop
async def test_endless_headers_and_trailers_are_cut_off(tmp_path: Path) -> None:
    # T4: the parser itself has no limit
    limits = ServerLimits(head_bytes_max=4096, wire_bytes_max=16384)
    async with house(tmp_path, server=limits) as h:
        start = b"POST /hooks/shop HTTP/1.1\r\n"
        many = [b"x-%d: y\r\n" % number * 100 for number in range(20)]
        assert (await say(h.server.port, start, *many)).status in (0, 431)
        assert (await say(h.server.port, start, b"x-long: ", *[b"y" * 1000] * 20)).status in (
            0,
            431,
        )
        trailers = [b"x-%d: y\r\n" % number * 100 for number in range(40)]
        assert (await say(h.server.port, CHUNKED, b"0\r\n", *trailers)).status in (0, 431)
        assert h.count("cut_off_total", port="hooks", reason="too_big") == 3
        assert h.rows() == []


@on_uvloop
async def test_a_signature_in_a_trailer_is_none(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        trailers = b"".join(a + b": " + b + b"\r\n" for a, b in signed(b"[]"))
        said = await say(
            h.server.port,
            CHUNKED.replace(b"host: t", b"host: t\r\nconnection: close")
            + b"2\r\n[]\r\n0\r\n"
            + trailers
            + b"\r\n",
        )
        assert (said.status, h.rows()) == (401, [])


_INNER = request(*signed(id="smuggled"))
SMUGGLES = {
    "CL and TE": b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    % (5 + len(_INNER))
    + _INNER,
    "TE and CL": b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n" + _INNER,
    "two CLs": b"content-length: 0\r\ncontent-length: %d\r\n\r\n" % len(_INNER) + _INNER,
    "a list of CLs": b"content-length: 0, %d\r\n\r\n" % len(_INNER) + _INNER,
    "a signed CL": b"content-length: +0\r\n\r\n" + _INNER,
    "TE that is not chunked": b"transfer-encoding: xchunked\r\n\r\n" + _INNER,
    "TE twice": b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"
    + _INNER,
    "a space before the colon": b"content-length : 0\r\n\r\n" + _INNER,
    "obs-fold": b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + _INNER,
    "bare LF": b"x: y\ncontent-length: 0\n\n" + _INNER,
    "a NUL": b"x-id: a\x00b\r\ncontent-length: 0\r\n\r\n" + _INNER,
    "a huge chunk": b"transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n" + _INNER,
}


@pytest.mark.parametrize("case", SMUGGLES)
@on_uvloop
async def test_a_smuggled_request_is_not_heard(tmp_path: Path, case: str) -> None:
    # T24
    async with house(tmp_path) as h:
        said = await say(
            h.server.port, b"POST /hooks/shop HTTP/1.1\r\nhost: t\r\n" + SMUGGLES[case]
        )
        assert said.status == 400
        assert b"HTTP/1.1" not in said.body
        assert h.rows() == []


@on_uvloop
async def test_a_wish_to_change_protocol_is_refused(tmp_path: Path) -> None:
    # T24: the parser drops the body of such a request, so its signature could never be right.
    async with house(tmp_path) as h:
        said = await h.post(*signed(), (b"connection", b"upgrade"), (b"upgrade", b"h2c"))
        connect = await say(h.server.port, b"CONNECT t:80 HTTP/1.1\r\nhost: t\r\n\r\n" + _INNER)
        assert (said.status, connect.status, h.rows()) == (400, 400, [])
        assert h.count("cut_off_total", port="hooks", reason="upgrade") == 2


@on_uvloop
async def test_a_sender_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        _, writer = await asyncio.open_connection("127.0.0.1", h.server.port)
        writer.write(request(*signed())[:-5])
        await writer.drain()
        writer.close()
        await h.server._door.empty.wait()
        assert (await h.push(id="next")).status == 200
        assert len(h.rows()) == 1
        assert h.receiver._bodies == 0


@on_uvloop
async def test_one_who_does_not_read_his_answer_is_let_go() -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})

    metrics = Metrics()
    limits = ServerLimits(request_s=DEADLINE_S, answer_s=DEADLINE_S, stop_s=1.0)
    server = WebServer(
        endless,
        name="t",
        host="127.0.0.1",
        port=0,
        clock=SystemClock(),
        metrics=metrics,
        limits=limits,
    )
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n")
    await writer.drain()
    async with asyncio.timeout(5):
        while not metrics.registry.get_sample_value(
            "truecount_cut_off_total", {"port": "t", "reason": "not_reading"}
        ):
            await asyncio.sleep(0.02)
        await server._door.empty.wait()
    writer.close()
    await server.stop()


# ------------------------------------------------------------- when we cannot keep our word


@on_uvloop
async def test_a_full_disk_is_said_and_heals_by_itself(tmp_path: Path) -> None:
    # G13, H3
    async with house(tmp_path) as h:

        async def pages(count: int) -> None:
            await h.store.write(
                lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={count}").scalar_one()
            )

        assert (await h.push(b"x" * 4000, id="before")).status == 200
        await pages(1)  # SQLite makes of it what is already used
        said = [await h.push(b"x" * 4000, id=f"full-{number}") for number in range(4)]
        assert [one.status for one in said][-1] == 503
        assert said[-1].headers["retry-after"] == "5"
        kept = sum(one.status == 200 for one in said)
        assert len(h.rows()) == 1 + kept
        await pages(1_000_000)
        assert (await h.push(b"x" * 4000, id="after")).status == 200
        assert len(h.rows()) == 2 + kept


@on_uvloop
async def test_a_closed_store_is_503(tmp_path: Path) -> None:
    # G1
    async with house(tmp_path) as h:
        await h.store.close()
        said = await h.push()
        assert (said.status, said.headers["retry-after"]) == (503, "5")
        assert h.count("received_total", system="shop", verdict="busy") == 1


@on_uvloop
async def test_a_disk_that_does_not_answer_is_503_and_the_repeat_is_one_row(tmp_path: Path) -> None:
    # H2: given up on, the write may still happen
    limits = ReceiverLimits(answer_s=0.1)
    async with house(tmp_path, gated=True, limits=limits) as h:
        assert h.gated is not None
        assert (await h.push()).status == 503
        h.gated.gate.set()
        assert (await h.push()).status == 200
        assert len(h.rows()) == 1


@on_uvloop
async def test_too_much_waiting_is_503(tmp_path: Path) -> None:
    # H46
    async with house(tmp_path, limits=ReceiverLimits(backlog_max=9), backlog=10) as h:
        assert (await h.push()).status == 503
        assert h.rows() == []


# ------------------------------------------------------------- starting and stopping


@on_uvloop
async def test_stopping_finishes_what_has_arrived_and_refuses_the_rest(tmp_path: Path) -> None:
    # H4: whole request -> 200; half a body, half a header -> 503; idle -> closed; new -> refused
    async with house(tmp_path, gated=True, server=ServerLimits()) as h:
        assert h.gated is not None
        port, whole = h.server.port, request(*signed())
        idle = asyncio.create_task(say(port))
        halves = [asyncio.create_task(say(port, whole[:cut])) for cut in (40, len(whole) - 5)]
        arrived = asyncio.create_task(h.push(id="arrived"))
        await h.gated.reached.wait()
        while h.metrics.registry.get_sample_value("truecount_connections", {"port": "hooks"}) != 4:
            await asyncio.sleep(0)
        h.receiver.closing = True
        began = time.monotonic()
        stopping = asyncio.create_task(h.server.stop())
        assert [(await half).status for half in halves] == [503, 503]
        assert (await idle).status == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        h.gated.gate.set()
        await stopping
        assert (await arrived).status == 200
        assert time.monotonic() - began < 2
        assert [row["identity"][-7:] for row in h.rows()] == ["arrived"]


@on_uvloop
async def test_stopping_ends_even_when_the_disk_does_not_answer(tmp_path: Path) -> None:
    # H4: no 2xx for what was not kept
    async with house(tmp_path, gated=True, server=ServerLimits(stop_s=0.2)) as h:
        assert h.gated is not None
        lost = asyncio.create_task(h.push())
        await h.gated.reached.wait()
        await h.server.stop()
        assert (await lost).status == 0
        assert h.rows() == []


@on_uvloop
async def test_a_receiver_that_closes_refuses_new_pushes(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.receiver.closing = True
        said = await h.push()
        assert (said.status, said.headers["retry-after"]) == (503, "5")


@on_uvloop
async def test_a_taken_port_is_named_with_what_to_do(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        second = WebServer(
            h.receiver,
            name="hooks",
            host="127.0.0.1",
            port=h.server.port,
            clock=SystemClock(),
            metrics=h.metrics,
            place=("config.yaml", 12),
        )
        with pytest.raises(ConfigError) as refused:
            await second.start()
        words = str(refused.value)
        assert words.startswith(f"config.yaml:12  cannot listen on 127.0.0.1:{h.server.port}")
        assert "another program listens there" in words
        assert "set another port" in words


@pytest.mark.parametrize("host", ["203.0.113.9", "no.such.host.invalid"])
@on_uvloop
async def test_an_address_that_is_not_ours_is_named(tmp_path: Path, host: str) -> None:
    async with house(tmp_path) as h:
        server = WebServer(
            h.receiver, name="t", host=host, port=8080, clock=SystemClock(), metrics=h.metrics
        )
        with pytest.raises(ConfigError, match=f"cannot listen on {host}:8080"):
            await server.start()
        await server.stop()
