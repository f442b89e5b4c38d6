"""What strangers do to a port, and how it starts and stops: H4, H46, T4-T6, T24."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.errors import ConfigError
from core.inbox import aad
from core.metrics import Metrics
from core.web.receiver import ReceiverLimits
from core.web.server import ServerLimits, WebServer
from tests.flows.hookhouse import (
    BODY,
    DEADLINE_S,
    Said,
    house,
    on_uvloop,
    request,
    say,
    signed,
)

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
        await asyncio.wait_for(h.server._door.empty.wait(), 5)
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
