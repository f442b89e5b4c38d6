"""The door, over real sockets where it matters (H21, H25, H28, H29, H33, T6, T7, T10-T13)."""

import asyncio
import contextlib
import gzip
import io
import json
import logging
import random
import traceback
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx
import structlog

from core.answers import retry_after_s, sort_status, words_in, words_of
from core.breaker import Breaker, State
from core.clock import ManualClock
from core.errors import (
    ConfigError,
    ConnectorError,
    InDoubt,
    InvariantBroken,
    LoginNeeded,
    RateLimited,
    Rejected,
    Retry,
)
from core.http import Door, DoorSpec
from core.limiter import BudgetSpec, Limiter
from core.login import Login, LoginSpec
from core.logs import set_up
from core.wire import Wire

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
BASE = "https://api.vendor.example/v1"
CRLF = b"\r\n"


class Peer:
    """A server that does exactly what a script says. `requests` are the raw heads it saw."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.open = 0
        self.most = 0
        self.ending = asyncio.Event()
        self.writers = []
        self.tasks = []

    async def serve(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        self.writers.append(writer)
        writer.ending = self.ending
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while True:
                head = await reader.readuntil(CRLF * 2)
                length = 0
                for line in head.lower().split(CRLF):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                body = await reader.readexactly(length)
                self.requests.append(head + body)
                if await self.script(writer, len(self.requests)):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@contextlib.asynccontextmanager
async def listening(script):
    peer = Peer(script)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    try:
        peer.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield peer
    finally:
        server.close()
        peer.ending.set()
        for writer in peer.writers:
            writer.transport.abort()
        await asyncio.gather(*peer.tasks)


def answer(status=200, body=b'{"ok": true}', **headers):
    lines = [f"HTTP/1.1 {status} X".encode(), b"content-length: %d" % len(body)]
    lines += [f"{name.replace('_', '-')}: {value}".encode() for name, value in headers.items()]
    return CRLF.join([*lines, b"", body])


def saying(*answers):
    """Each request gets the next of these bytes; the last one stays."""

    async def script(writer, number):
        writer.write(answers[min(number, len(answers)) - 1])
        await writer.drain()

    return script


class Opened:
    """A door and everything around it, with defaults."""

    def __init__(
        self,
        base,
        *,
        transport=None,
        login=("none", {}, {}),
        budgets=None,
        answers=None,
        private=True,
        wait_max_s=30,
        at_once=4,
        resolver=None,
        load=None,
        store=None,
        **wire,
    ):
        self.clock = ManualClock(NOW)
        self.seen = []
        self.breaker = Breaker(at_once=at_once)
        self.limiter = Limiter(budgets or {}, self.clock, rng=random.Random(1))
        extra = {"resolver": resolver} if resolver else {}
        self.wire = Wire(private=private, transport=transport, at_once=at_once, **extra, **wire)
        keep = {"load": load, "store": store} if load else {}
        self.login = Login(
            "shop",
            LoginSpec.of(*login, private=private),
            clock=self.clock,
            wire=self.wire,
            **keep,
        )
        self.door = Door(
            DoorSpec(
                system="shop",
                base_url=base,
                private=private,
                answers=answers or {},
                wait_max_s=wait_max_s,
                at_once=at_once,
            ),
            self.wire,
            self.login,
            limiter=self.limiter,
            breaker=self.breaker,
            clock=self.clock,
            observer=lambda *what: self.seen.append(what[:4]),
            rng=random.Random(1),
        )

    async def __aenter__(self):
        return self.door

    async def __aexit__(self, *_):
        await self.door.aclose()


@pytest.fixture
def vendor():
    with respx.mock(assert_all_called=False, using=None) as router:
        yield router


def mocked(router, **kwargs):
    return Opened(BASE, transport=httpx.MockTransport(router.async_handler), **kwargs)


# ---------------------------------------------------------------- fine answers


async def test_an_answer_is_decoded_exactly_over_a_real_socket():
    body = b'{"id": 1234567890123456789, "price": 1.10, "name": "caf\xc3\xa9"}'
    async with listening(saying(answer(body=body, x_total="7"))) as peer:
        async with Opened(peer.base) as door:
            got = await door.call("GET", "/items", params={"q": "a b", "page": "2"})
        head = peer.requests[0].lower()
    assert got.status == 200
    assert got.headers["x-total"] == "7"
    assert got.body["id"] == 1234567890123456789
    assert str(got.body["price"]) == "1.10"
    assert head.startswith(b"get /items?q=a%20b&page=2 http/1.1")
    assert b"accept-encoding: identity" in head


async def test_an_empty_answer_is_none(vendor):
    vendor.delete(f"{BASE}/x").respond(204)
    assert (await mocked(vendor).door.call("DELETE", "x", writes=True)).body is None


async def test_json_form_and_raw_bodies(vendor):
    route = vendor.post(f"{BASE}/x").respond(json={})
    door = mocked(vendor).door
    await door.call("POST", "/x", json={"a": 1}, headers={"X-Key": "k"})
    await door.call("POST", "/x", form={"a": "1 2", "b": "é"})
    await door.call("POST", "/x", raw=b"<x/>", headers={"Content-Type": "text/xml"})
    one, two, three = (call.request for call in route.calls)
    assert (one.content, one.headers["content-type"]) == (b'{"a":1}', "application/json")
    assert one.headers["x-key"] == "k"
    assert two.content == b"a=1+2&b=%C3%A9"
    assert two.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (three.content, three.headers["content-type"]) == (b"<x/>", "text/xml")
    with pytest.raises(InvariantBroken):
        await door.call("POST", "/x", json={}, form={})


async def test_text_and_bytes_where_they_are_due(vendor):
    kind = {"content-type": "text/csv; charset=latin-1"}
    vendor.get(f"{BASE}/x").respond(content="é;1".encode("latin-1"), headers=kind)
    door = mocked(vendor).door
    assert (await door.call("GET", "/x", answer="text")).body == "é;1"
    assert (await door.call("GET", "/x", answer="bytes")).body == b"\xe9;1"
    vendor.get(f"{BASE}/y").respond(content=b"\xff\xfe\xfa")
    with pytest.raises(Retry, match="encoding"):
        await door.call("GET", "/y", answer="text")


async def test_expected_statuses_come_back(vendor):
    vendor.get(f"{BASE}/x").respond(404, json={"message": "no such"})
    vendor.get(f"{BASE}/y").respond(404, html="<h1>no</h1>")
    door = mocked(vendor).door
    assert (await door.call("GET", "/x", expect=frozenset({404}))).body["message"] == "no such"
    assert (await door.call("GET", "/y", expect=frozenset({404}))).status == 404


async def test_the_observer_hears_of_each_call_without_ids_or_query(vendor):
    vendor.get(path__startswith="/v1/orders").respond(json={})
    opened = mocked(vendor)
    await opened.door.call("GET", "/orders/5512345678901/lines?token=canary")
    assert opened.seen == [("shop", "GET", "/v1/orders/{}/lines", 200)]


async def test_the_offset_of_their_clock_is_known(vendor):
    vendor.get(f"{BASE}/x").respond(json={}, headers={"date": "Wed, 25 Nov 2026 10:01:30 GMT"})
    opened = mocked(vendor)
    assert opened.door.clock_offset_s == 0
    await opened.door.call("GET", "/x")
    assert opened.door.clock_offset_s == pytest.approx(90, abs=1)
    assert opened.door.now() - NOW == pytest.approx(timedelta(seconds=90), abs=timedelta(seconds=1))


# ---------------------------------------------------------------- the table of answers


@pytest.mark.parametrize(
    ("status", "read", "write"),
    [
        (301, Rejected, Rejected),
        (302, Rejected, Rejected),
        (400, Rejected, Rejected),
        (401, LoginNeeded, LoginNeeded),
        (403, Rejected, Rejected),
        (404, Rejected, Rejected),
        (408, Retry, Retry),
        (409, Rejected, Rejected),
        (422, Rejected, Rejected),
        (425, Retry, Retry),
        (429, RateLimited, RateLimited),
        (451, Rejected, Rejected),
        (500, Retry, InDoubt),
        (502, Retry, InDoubt),
        (503, Retry, Retry),
        (504, Retry, InDoubt),
        (520, Retry, InDoubt),
        (599, Retry, InDoubt),
    ],
)
async def test_the_default_table(vendor, status, read, write):
    vendor.route(path="/v1/x").respond(status, json={"message": "words of theirs"})
    for writes, expected in ((False, read), (True, write)):
        with pytest.raises(ConnectorError) as caught:
            await mocked(vendor).door.call("POST", "/x", writes=writes)
        assert type(caught.value) is expected
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("status", "word", "read", "write"),
    [
        (423, "retry", Retry, Retry),
        (403, "retry", Retry, Retry),
        (409, "in_doubt", Retry, InDoubt),
        (500, "reject", Rejected, Rejected),
        (500, "retry", Retry, Retry),
        (403, "login", LoginNeeded, LoginNeeded),
        (429, "in_doubt", Retry, InDoubt),
        (202, "reject", Rejected, Rejected),
    ],
)
async def test_a_manifest_knows_better(vendor, status, word, read, write):
    """H25: a 4xx that is really transient, and the other way round."""
    vendor.route(path="/v1/x").respond(status, json={})
    for writes, expected in ((False, read), (True, write)):
        opened = mocked(vendor, answers={status: word})
        with pytest.raises(ConnectorError) as caught:
            await opened.door.call("POST", "/x", writes=writes)
        assert isinstance(caught.value, expected)


def test_an_unknown_meaning_is_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="maybe"):
        sort_status(200, {}, writes=False, now=NOW, exceptions={200: "maybe"})


async def test_the_owners_words_reach_the_operator_without_the_buyer(vendor):
    body = {
        "errors": [
            {
                "code": "InvalidInput",
                "message": "quantity must be positive",
                "buyer": "Jane Canary",
            },
            {"message": "jane@canary.example / +1 (212) 555-0187 is not reachable"},
        ]
    }
    vendor.put(f"{BASE}/listings/SKU-1").respond(422, json=body)
    with pytest.raises(Rejected) as caught:
        await mocked(vendor).door.call("PUT", "/listings/SKU-1", json={}, writes=True)
    assert str(caught.value) == (
        "shop answered 422 to PUT /v1/listings/SKU-1:"
        " quantity must be positive; InvalidInput; *** / *** is not reachable"
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errors": {"sku": ["is unknown", "is long"]}}, "sku: is unknown; sku: is long"),
        ({"message": "Failure", "errors": "already created"}, "already created; Failure"),
        ({"error": "invalid_grant", "error_description": "expired"}, "invalid_grant; expired"),
        ({"error": {"message": "m", "code": "c"}}, "m; c"),
        ({"detail": [{"detail": "deep"}]}, "deep"),
        ({"error": True, "buyer": {"name": "Jane"}}, ""),
        ({"data": {"name": "Jane"}}, ""),
        (["plain"], "plain"),
    ],
)
def test_words_are_found_where_vendors_put_them(body, words):
    assert words_of(json.dumps(body).encode()) == words
    assert words_in(body) == words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ""),
        (b"Too many requests\n", "Too many requests"),
        (b"<html><head><title>502 Bad Gateway</title>...", "502 Bad Gateway"),
        (b"<html>Jane Canary", "HTML"),
        (b'{"message": "cut of', ""),
        (b'{"message": "' + b"x" * 999 + b'"}', "x" * 300),
        (b"\xff\xfe\x00", "\ufffd\ufffd\x00"),
        (b"[" * 100_000, ""),
    ],
)
def test_words_of_a_body_that_is_not_json(content, words):
    assert words_of(content) == words


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after": "9" * 40}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 25 Nov 2026 10:02:00 GMT"}, 120),
        ({"retry-after": "Wed, 25 Nov 2026 09:00:00 GMT"}, 1),
        ({"retry-after": "Fri, 25 Dec 2026 10:00:00 GMT"}, 3600),
        # Their clock is an hour ahead: only the distance of their own two stamps counts (G18).
        (
            {
                "retry-after": "Wed, 25 Nov 2026 11:02:00 GMT",
                "date": "Wed, 25 Nov 2026 11:00:00 GMT",
            },
            120,
        ),
        ({"retry-after": "Wed, 99 Nov 2026 10:02:00 GMT"}, None),
    ],
)
def test_retry_after_in_every_spelling(headers, seconds):
    assert retry_after_s(headers, NOW) == seconds


async def test_after_429_the_whole_system_waits(vendor):
    route = vendor.get(f"{BASE}/x").respond(429, headers={"retry-after": "100"})
    opened = mocked(vendor, budgets={"calls": BudgetSpec(per_second=10, burst=10)})
    with pytest.raises(RateLimited) as caught:
        await opened.door.call("GET", "/x")
    assert 100 <= caught.value.after_s <= 110
    with pytest.raises(RateLimited, match="no room"):
        await opened.door.call("GET", "/x")
    assert route.call_count == 1
    assert opened.breaker.state is State.CLOSED


async def test_a_503_that_says_when_is_believed_and_not_repeated_at_once(vendor):
    route = vendor.get(f"{BASE}/x").respond(503, headers={"retry-after": "60"})
    with pytest.raises(RateLimited) as caught:
        await mocked(vendor).door.call("GET", "/x")
    assert caught.value.after_s >= 60
    assert route.call_count == 1


@pytest.mark.parametrize("status", [502, 503])
async def test_a_read_is_repeated_a_little_and_a_write_is_not(vendor, status):
    route = vendor.route(path="/v1/x").mock(
        side_effect=[httpx.Response(status), httpx.Response(status), httpx.Response(200, json={})]
    )
    opened = mocked(vendor)
    assert (await opened.door.call("GET", "/x")).status == 200
    assert 0 < opened.clock.monotonic() <= 10
    assert route.call_count == 3
    route.mock(return_value=httpx.Response(status))
    with pytest.raises(ConnectorError):
        await opened.door.call("PUT", "/x", writes=True)
    assert route.call_count == 4


async def test_repeating_a_read_ends(vendor):
    route = vendor.get(f"{BASE}/x").respond(502)
    with pytest.raises(Retry):
        await mocked(vendor).door.call("GET", "/x")
    assert route.call_count == 3


# ---------------------------------------------------------------- what is not JSON


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html><body>Maintenance</body></html>", "HTML instead of JSON"),
        (b"OK", "not JSON"),
        (b'{"a": 1, "a": 2}', "appears twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999999}', "beyond any real value"),
        (b"[" * 200_000, "deeper"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'"\\ud800"', "surrogate"),
    ],
)
async def test_what_is_not_sound_json_did_not_answer(vendor, content, words):
    """T7: hostile JSON from a trusted system; as a 502, never a crash."""
    vendor.route(path="/v1/x").respond(200, content=content)
    for writes, expected in ((False, Retry), (True, InDoubt)):
        with pytest.raises(expected, match=words):
            await mocked(vendor).door.call("POST", "/x", writes=writes)


# ---------------------------------------------------------------- lost answers


async def lost(script, *, writes, **kwargs):
    async with listening(script) as peer, Opened(peer.base, timeout_s=0.2, **kwargs) as door:
        with pytest.raises(ConnectorError) as caught:
            await door.call("POST", "/orders", json={"a": 1}, writes=writes)
    return caught.value, peer


async def drops(writer, number):
    writer.transport.abort()
    return True


async def closes(writer, number):
    return True


async def half_answers(writer, number):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    return True


async def hangs(writer, number):
    await writer.ending.wait()


async def drips(writer, number):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not writer.ending.is_set():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def babbles(writer, number):
    writer.write(b"this is not HTTP\r\n\r\n")
    await writer.drain()
    return True


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


# ---------------------------------------------------------------- where a call may go


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/v1/x",
        "//evil.example/x",
        "https://api.vendor.example.evil.example/x",
        "https://api.vendor.example@evil.example/x",
        "https://user:pass@api.vendor.example/x",
        "http://api.vendor.example/v1/x",
        "https://api.vendor.example:8443/v1/x",
        "https://api.vendor.example\\@evil.example/x",
        "https://evil.example\t/x",
        "file:///etc/passwd",
        "https://[::1/x",
    ],
)
async def test_a_link_to_another_host_is_not_followed(vendor, path):
    route = vendor.route().respond(json={})
    with pytest.raises(Rejected, match=r"another host|do not belong there"):
        await mocked(vendor).door.call("GET", path)
    assert not route.called


@pytest.mark.parametrize("path", ["../admin", "/x/../../admin", "/%2e%2e/admin", "/a b", "/a\r\nb"])
async def test_a_crooked_path_is_refused(vendor, path):
    with pytest.raises(Rejected, match="do not belong there"):
        await mocked(vendor).door.call("GET", path)


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("", None, BASE),
        ("/x", None, f"{BASE}/x"),
        ("x/", None, f"{BASE}/x/"),
        ("/x?a=1", {"b": "2,3"}, f"{BASE}/x?a=1&b=2%2C3"),
        ("/x", [("id", "1"), ("id", "2")], f"{BASE}/x?id=1&id=2"),
        ("/x/a%2Fb", None, f"{BASE}/x/a%2Fb"),
        (f"{BASE}/x?cursor=a%3D%3D", None, f"{BASE}/x?cursor=a%3D%3D"),
        ("https://API.vendor.example:443/other#top", None, "https://api.vendor.example/other"),
    ],
)
async def test_links_of_the_same_origin_are(vendor, path, params, expected):
    route = vendor.route().respond(json={})
    await mocked(vendor).door.call("GET", path, params=params)
    assert str(route.calls[0].request.url) == expected


async def test_a_redirect_is_refused_and_carries_no_login_away():
    """T11: httpx keeps a vendor's own token header on a redirect to another host."""
    async with listening(saying(answer())) as evil:
        script = saying(answer(302, location=f"{evil.base}/x?steal"))
        async with listening(script) as peer:
            login = ("header", {"header": "X-Token", "secret": "t"}, {"t": "canary-redirect"})
            async with Opened(peer.base, login=login) as door:
                with pytest.raises(Rejected, match="302 to GET /x: redirect refused"):
                    await door.call("GET", "/x")
            assert b"x-token: canary-redirect" in peer.requests[0].lower()
        assert evil.requests == []


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "127.0.0.1", "10.0.0.7"],
)
async def test_a_name_that_leads_inside_is_not_connected_to(address):
    """T10: DNS rebinding; the address that was looked at is the one connected to."""

    async def rebinding(host, port):
        return ["93.184.216.34", address]

    async with Opened(BASE, private=False, resolver=rebinding) as door:
        with pytest.raises(Rejected, match=r"api\.vendor\.example leads to"):
            await door.call("POST", "/x", writes=True)


async def test_a_private_system_may_be_inside_but_never_the_metadata_service():
    async with listening(saying(answer())) as peer:
        port = int(peer.base.rpartition(":")[2])
        answers = iter([["127.0.0.1"], ["169.254.169.254"]])

        async def moving(host, _):
            return next(answers)

        base = f"http://wms.example:{port}"
        async with Opened(base, resolver=moving) as door:
            assert (await door.call("GET", "/x")).status == 200
        async with Opened(base, resolver=moving) as door:
            with pytest.raises(Rejected, match="link-local or metadata"):
                await door.call("GET", "/x")


async def test_a_second_address_is_tried_where_the_first_is_dead():
    async with listening(saying(answer())) as peer:
        port = int(peer.base.rpartition(":")[2])

        async def two(host, _):
            return ["127.0.0.9", "127.0.0.1"]

        async with Opened(f"http://wms.example:{port}", resolver=two) as door:
            assert (await door.call("GET", "/x")).status == 200


@pytest.mark.parametrize(
    "base", ["http://api.vendor.example", "https://169.254.169.254", "ftp://x"]
)
def test_a_base_url_that_must_not_be_is_refused_at_start(base):
    with pytest.raises(ConfigError, match="the base URL of shop"):
        Opened(base, private=False)


async def test_the_environment_does_not_choose_a_proxy(monkeypatch, tmp_path):
    """T12: HTTP_PROXY and .netrc are somebody else's idea."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with listening(saying(answer())) as peer:
        async with Opened(peer.base) as door:
            await door.call("GET", "/x")
        assert b"authorization" not in peer.requests[0].lower()


async def test_cookies_of_a_system_are_not_kept():
    async with listening(saying(answer(set_cookie="session=canary; Path=/"))) as peer:
        async with Opened(peer.base) as door:
            await door.call("GET", "/x")
            await door.call("GET", "/x")
        assert b"cookie" not in peer.requests[1].lower()


# ---------------------------------------------------------------- login


def oauth(base):
    words = {
        "url": "url",
        "client_id": "id",
        "client_secret": "secret",
        "sends": "form",
        "header": "authorization",
    }
    values = {"url": f"{base}/token", "id": "app", "secret": "canary-app-secret"}
    return ("client_credentials", words, values)


class Guarded:
    """Answers 401 unless the newest token is shown."""

    def __init__(self):
        self.number = 0
        self.calls = 0

    async def __call__(self, request):
        await asyncio.sleep(0)
        if request.url.path.endswith("/token"):
            self.number += 1
            token = {"access_token": f"canary-t{self.number}", "expires_in": 3600}
            return httpx.Response(200, json=token)
        self.calls += 1
        if request.headers.get("authorization") != f"Bearer canary-t{self.number}":
            return httpx.Response(401, json={"message": "token expired"})
        return httpx.Response(200, json={})


async def test_a_token_refused_under_way_is_renewed_once_for_everybody():
    """H28: expired in the middle of a batch; eight workers, one refresh."""
    system = Guarded()
    opened = Opened(BASE, transport=httpx.MockTransport(system), login=oauth(BASE), at_once=8)
    await opened.door.call("GET", "/x")
    system.number = 7  # somebody revoked it: the next token is number 8
    got = await asyncio.gather(
        *(opened.door.call("PUT", "/x", json={}, writes=True) for _ in range(8))
    )
    assert all(one.status == 200 for one in got)
    assert system.number == 8
    await opened.door.aclose()


async def test_a_login_that_stays_refused_needs_a_person(vendor):
    token = vendor.post(f"{BASE}/token").respond(json={"access_token": "canary-t1"})
    route = vendor.get(f"{BASE}/x").respond(401, json={"message": "scope was dropped"})
    with pytest.raises(LoginNeeded) as caught:
        await mocked(vendor, login=oauth(BASE)).door.call("GET", "/x")
    assert str(caught.value) == (
        "shop refuses our login; see systems.shop.secrets.client_secret: scope was dropped"
    )
    assert (route.call_count, token.call_count) == (2, 2)


async def test_a_fixed_credential_refused_is_not_tried_again(vendor):
    route = vendor.get(f"{BASE}/x").respond(401)
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    with pytest.raises(LoginNeeded, match=r"systems\.shop\.secrets\.api_key"):
        await mocked(vendor, login=login).door.call("GET", "/x")
    assert route.call_count == 1


async def test_a_system_that_refuses_our_login_is_left_alone_and_asked_by_one_call(vendor):
    """H28: a key that every lane tries gets an account locked."""
    route = vendor.get(f"{BASE}/x").respond(401)
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    opened = mocked(vendor, login=login)
    door = opened.door
    for _ in range(20):
        with pytest.raises(LoginNeeded, match=r"systems\.shop\.secrets\.api_key"):
            await door.call("GET", "/x")
    assert (route.call_count, door.closed_for_s) == (2, 30)
    opened.clock.advance(30)
    refused = await asyncio.gather(
        *(door.call("GET", "/x") for _ in range(8)), return_exceptions=True
    )
    assert {type(one) for one in refused} == {LoginNeeded}
    assert (route.call_count, door.closed_for_s) == (3, 60)
    for _ in range(6):
        opened.clock.advance(door.closed_for_s)
        with pytest.raises(LoginNeeded):
            await door.call("GET", "/x")
    assert door.closed_for_s == 300
    route.respond(json={})
    opened.clock.advance(300)
    await door.call("GET", "/x")
    assert (door.login_needed, door.closed_for_s) == (None, 0)


async def test_one_refused_permission_beside_calls_that_work_pauses_nobody(vendor):
    vendor.get(f"{BASE}/listings").respond(403)
    vendor.get(f"{BASE}/orders").respond(json={})
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    door = mocked(vendor, login=login, answers={403: "login"}).door
    for _ in range(5):
        with pytest.raises(LoginNeeded):
            await door.call("GET", "/listings")
        await door.call("GET", "/orders")
    assert (door.login_needed, door.closed_for_s) == (None, 0)


async def test_a_connector_cannot_replace_the_login(vendor):
    route = vendor.get(f"{BASE}/x").respond(json={})
    login = ("bearer", {"secret": "api_key"}, {"api_key": "canary-key"})
    door = mocked(vendor, login=login).door
    await door.call("GET", "/x", headers={"Authorization": "other"})
    assert route.calls[0].request.headers.get_list("authorization") == ["Bearer canary-key"]


async def test_a_dead_token_endpoint_opens_the_breaker(vendor):
    token = vendor.post(f"{BASE}/token").mock(side_effect=httpx.ConnectError("x"))
    opened = mocked(vendor, login=oauth(BASE))
    for _ in range(10):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.OPEN
    assert token.call_count == 15


# ---------------------------------------------------------------- breaker and limits


async def test_a_dead_system_is_left_alone_and_asked_by_one_probe(vendor):
    route = vendor.put(f"{BASE}/x").mock(side_effect=httpx.ConnectError("x"))
    opened = mocked(vendor)
    for _ in range(50):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    assert route.call_count == 5
    assert opened.door.closed_for_s > 0
    with pytest.raises(RateLimited, match="does not answer; it is asked again in 5 s") as caught:
        await opened.door.call("PUT", "/x", writes=True)
    opened.clock.advance(caught.value.after_s)
    route.mock(return_value=httpx.Response(200, json={}))
    assert opened.door.closed_for_s == 0
    await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.RAMP
    await asyncio.gather(*(opened.door.call("PUT", "/x", writes=True) for _ in range(20)))
    assert opened.breaker.state is State.CLOSED


async def test_after_an_outage_calls_come_back_one_two_four(vendor):
    """H30: two hundred rows wait; the system that just got up is not run over."""
    flying, widths = 0, []

    async def system(request):
        nonlocal flying
        if opened.clock.monotonic() < 5:
            raise httpx.ConnectError("down")
        flying += 1
        widths.append(flying)
        await asyncio.sleep(0.001)
        flying -= 1
        return httpx.Response(200, json={})

    opened = Opened(BASE, transport=httpx.MockTransport(system), at_once=4)
    for _ in range(5):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    opened.clock.advance(5)
    await opened.door.call("PUT", "/x", writes=True)
    await asyncio.gather(*(opened.door.call("PUT", "/x", writes=True) for _ in range(200)))
    assert widths[:4] == [1, 1, 1, 2]
    assert max(widths) == 4
    assert opened.breaker.state is State.CLOSED


async def test_a_caller_that_gives_up_in_the_ramp_lets_the_next_one_in():
    stuck = asyncio.Event()

    async def system(request):
        if request.url.path.endswith("/stuck"):
            await stuck.wait()
        if opened.clock.monotonic() < 5:
            raise httpx.ConnectError("down")
        return httpx.Response(200, json={})

    opened = Opened(BASE, transport=httpx.MockTransport(system))
    for _ in range(5):
        with pytest.raises(Retry):
            await opened.door.call("PUT", "/x", writes=True)
    opened.clock.advance(5)
    await opened.door.call("PUT", "/x", writes=True)
    first = asyncio.create_task(opened.door.call("PUT", "/stuck", writes=True))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(opened.door.call("PUT", "/x", writes=True))
    await asyncio.sleep(0.01)
    assert not second.done()
    first.cancel()
    assert (await asyncio.wait_for(second, 1)).status == 200


async def test_refusals_and_limits_do_not_open_the_breaker(vendor):
    opened = mocked(vendor)
    for status in (400, 403, 404, 409, 422, 429, 408) * 3:
        vendor.put(f"{BASE}/x").respond(status)
        with pytest.raises(ConnectorError):
            await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.CLOSED


async def test_a_maintenance_page_opens_the_breaker(vendor):
    vendor.put(f"{BASE}/x").respond(200, html="<h1>back soon</h1>")
    opened = mocked(vendor)
    for _ in range(5):
        with pytest.raises(InDoubt):
            await opened.door.call("PUT", "/x", writes=True)
    assert opened.breaker.state is State.OPEN


async def test_a_cancelled_call_gives_back_what_it_held():
    async with listening(hangs) as peer, Opened(peer.base, at_once=1) as door:
        task = asyncio.create_task(door.call("GET", "/x"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert door._gate._free == 1
        assert door._breaker._flying == 0


async def test_the_vendors_word_reaches_the_limiter(vendor):
    opened = mocked(vendor, budgets={"calls": BudgetSpec(per_second=1, burst=10)}, wait_max_s=5)
    opened.door.observe("calls", left=0, per_second=0.1, size=10)
    with pytest.raises(RateLimited) as caught:
        await opened.door.call("GET", "/x")
    assert caught.value.after_s == pytest.approx(10)


# ---------------------------------------------------------------- canary


async def test_no_secret_and_no_query_in_any_log_or_error_at_debug():
    """T13: everything goes wrong in every way; nothing of it names a secret."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    heard = io.StringIO()
    set_up(level="debug", form="json", stream=heard)
    shown = []
    login = (
        "header",
        {"header": "X-Shopify-Access-Token", "secret": "token"},
        {"token": "canary-header-token"},
    )
    echo = b'{"message": "canary-header-token is wrong for jane@canary.example"}'
    scripts = [
        drops,
        half_answers,
        babbles,
        saying(answer(422, echo)),
        saying(answer(401, echo)),
        saying(answer(500, echo)),
        saying(answer(302, b"", location="https://x.example/?canary-query")),
        saying(answer(200, b"<html>canary-header-token</html>")),
        saying(answer()),
    ]
    try:
        for script in scripts:
            async with listening(script) as peer, Opened(peer.base, login=login) as door:
                for path in ("/x", f"{peer.base}/x", "https://evil.example/x"):
                    try:
                        await door.call(
                            "POST",
                            f"{path}?sign=canary-query",
                            params={"access_token": "canary-param"},
                            json={"name": "canary-body"},
                            writes=True,
                        )
                    except ConnectorError as error:
                        shown += traceback.format_exception(error)
                        shown += [repr(error), repr(error.__context__), repr(error.__cause__)]
                        structlog.get_logger().exception("call.failed", words=str(error))
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        logging.raiseExceptions = True
    said = heard.getvalue()
    assert said.count("call.failed") > 15
    for text in (*shown, said):
        for secret in ("canary-header-token", "canary-param", "canary.example"):
            assert secret not in text
    assert "canary-body" not in said.replace('json={"name": "canary-body"}', "").replace(
        'json={\\"name\\": \\"canary-body\\"}', ""
    )
