"""A push is proven genuine, kept, and only then answered: G1 G13, H1-H3, H5, T1-T3, T25, T31."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from pathlib import Path

import httpx
import orjson
import pytest

from core.clock import ManualClock, unstamp
from core.inbox import aad
from core.web.receiver import ReceiverLimits
from tests.flows.hookhouse import (
    BODY,
    OLD_SECRET,
    PATH_SECRET,
    SECRET,
    house,
    on_uvloop,
    request,
    say,
    signature,
    signed,
)

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
