"""An answer that did not come, or not whole: over real sockets (H21, H29, H33, T6)."""

import asyncio
import contextlib
import gzip
import tracemalloc
import zlib

import httpx
import pytest
from peer import (
    BASE,
    CRLF,
    Opened,
    answer,
    babbles,
    closes,
    drips,
    drops,
    half_answers,
    hangs,
    listening,
    mocked,
    saying,
)

from core.errors import ConnectorError, InDoubt, Rejected, Retry


async def lost(script, *, writes, **kwargs):
    async with listening(script) as peer, Opened(peer.base, timeout_s=0.2, **kwargs) as door:
        with pytest.raises(ConnectorError) as caught:
            await door.call("POST", "/orders", json={"a": 1}, writes=writes)
    return caught.value, peer


@pytest.mark.parametrize("script", [drops, closes, half_answers, hangs, drips, babbles])
async def test_a_lost_answer_is_in_doubt_for_a_write_and_a_retry_for_a_read(script):
    """H21, H33: dropped after the request, half an answer, a wedged or dripping socket."""
    error, _ = await lost(script, writes=True)
    assert type(error) is InDoubt
    assert str(error).startswith("shop did not answer POST /orders: ")
    error, peer = await lost(script, writes=False)
    assert type(error) is Retry
    assert len(peer.requests) == 1


async def test_a_refusal_whose_page_broke_off_is_still_a_refusal():
    async def script(writer, number):
        writer.write(b"HTTP/1.1 422 No\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        return True

    error, _ = await lost(script, writes=True)
    assert type(error) is Rejected


async def test_nobody_listening_did_not_happen_even_for_a_write():
    async with listening(closes) as peer:
        base = peer.base
    async with Opened(base) as door:
        with pytest.raises(ConnectorError) as caught:
            await door.call("POST", "/orders", json={}, writes=True)
    assert type(caught.value) is Retry
    assert "no connection" in str(caught.value)


async def test_a_name_nobody_knows_did_not_happen():
    async def unknown(host, port):
        raise OSError("no such name")

    async with Opened(BASE, private=False, resolver=unknown) as door:
        with pytest.raises(Retry, match=r"the name api\.vendor\.example is not known"):
            await door.call("POST", "/orders", json={}, writes=True)


async def test_a_handshake_that_hangs_did_not_happen():
    """The deadline passes before the first byte of the request left: not in doubt."""

    async with listening(hangs) as peer:
        base = peer.base.replace("http:", "https:")
        async with Opened(base, timeout_s=0.2) as door:
            with pytest.raises(ConnectorError) as caught:
                await door.call("POST", "/orders", json={}, writes=True)
    assert type(caught.value) is Retry


async def test_a_connection_kept_alive_is_used_again():
    async with listening(saying(answer())) as peer:
        async with Opened(peer.base) as door:
            for _ in range(3):
                await door.call("GET", "/x")
        assert (len(peer.requests), peer.most) == (3, 1)


async def test_no_more_calls_in_flight_than_at_once():
    async def slowly(writer, number):
        await asyncio.sleep(0.01)
        writer.write(answer())

    async with listening(slowly) as peer:
        async with Opened(peer.base, at_once=2) as door:
            await asyncio.gather(*(door.call("GET", "/x") for _ in range(10)))
        assert peer.most == 2


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (httpx.ConnectError("x"), Retry, Retry),
        (httpx.ConnectTimeout("x"), Retry, Retry),
        (httpx.PoolTimeout("x"), Retry, Retry),
        (httpx.WriteTimeout("x"), Retry, InDoubt),
        (httpx.WriteError("x"), Retry, InDoubt),
        (httpx.ReadTimeout("x"), Retry, InDoubt),
        (httpx.ReadError("x"), Retry, InDoubt),
        (httpx.RemoteProtocolError("x"), Retry, InDoubt),
        (OSError("x"), Retry, InDoubt),
        (httpx.LocalProtocolError("x"), Rejected, Rejected),
        (httpx.UnsupportedProtocol("x"), Rejected, Rejected),
    ],
)
async def test_every_kind_of_network_error(vendor, error, read, write):
    vendor.post(f"{BASE}/x").mock(side_effect=error)
    for writes, expected in ((False, read), (True, write)):
        with pytest.raises(ConnectorError) as caught:
            await mocked(vendor).door.call("POST", "/x", writes=writes)
        assert type(caught.value) is expected


@pytest.mark.parametrize("value", ["é", "a\r\nx-admin: 1", "a\x00"])
async def test_a_header_that_cannot_be_sent_is_refused_here(value):
    async with listening(saying(answer())) as peer:
        async with Opened(peer.base) as door:
            with pytest.raises(Rejected, match="cannot be sent"):
                await door.call("POST", "/x", headers={"x-note": value}, writes=True)
        assert peer.requests == []


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_too_large_is_cut_off(chunked):
    async def script(writer, number):
        if chunked:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(100):
                writer.write(b"1000\r\n" + b"x" * 4096 + CRLF)
        else:
            writer.write(answer(body=b"x" * 400_000))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        return True

    for writes, expected in ((False, Rejected), (True, InDoubt)):
        error, _ = await lost(script, writes=writes, answer_max=10_000)
        assert type(error) is expected
        assert "more than answer_max allows" in str(error)


async def test_a_gzip_bomb_does_not_unfold():
    """T6: identity was asked for; 50 MB in 49 kB come all the same."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(50)) + packer.flush()
    assert len(bomb) < 60_000
    script = saying(answer(body=bomb, content_encoding="gzip"))
    tracemalloc.start()
    try:
        error, _ = await lost(script, writes=False, answer_max=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert type(error) is Rejected
    assert "more than answer_max" in str(error)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_an_answer_compressed_unasked_is_read(pack):
    encoding = "gzip" if pack is gzip.compress else "deflate"
    packed = pack(b'{"ok": true}')
    script = saying(answer(body=packed, content_encoding=encoding))
    async with listening(script) as peer, Opened(peer.base) as door:
        assert (await door.call("GET", "/x")).body == {"ok": True}


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"anything", "br"),
        (gzip.compress(b"{}"), "gzip, gzip"),
        (gzip.compress(b"{}")[:-4], "gzip"),
        (gzip.compress(b"{}") + b"tail", "gzip"),
        (b"not gzip at all", "gzip"),
    ],
    ids=["unasked", "nested", "cut", "with a tail", "none"],
)
async def test_an_answer_that_does_not_unpack_is_a_lost_answer(body, encoding):
    script = saying(answer(body=body, content_encoding=encoding))
    assert type((await lost(script, writes=True))[0]) is InDoubt
    assert type((await lost(script, writes=False))[0]) is Retry
