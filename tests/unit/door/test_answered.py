"""What an answer means, in any spelling (H25, T6, T7)."""

import json
from datetime import timedelta

import httpx
import pytest
from peer import BASE, NOW, Opened, answer, listening, mocked, saying

from core.answers import retry_after_s, sort_status, words_in, words_of
from core.breaker import State
from core.errors import (
    ConnectorError,
    InDoubt,
    InvariantBroken,
    LoginNeeded,
    RateLimited,
    Rejected,
    Retry,
)
from core.limiter import BudgetSpec


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
