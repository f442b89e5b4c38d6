"""The operations port over a real socket: probes, metrics, verbs, page (T13, T16-T18)."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.clock import ManualClock, SystemClock, unstamp
from core.errors import Busy, ConfigError, Rejected
from core.metrics import Metrics
from core.store.engine import Store
from core.store.schema import SCHEMA_VERSION
from core.web.operations import (
    Check,
    LoopLag,
    OperationsSpec,
    keeps_moving,
    operations,
    store_works,
    task_lives,
)
from core.web.server import ServerLimits, WebServer

TOKEN = "0123456789abcdef-token"
BEARER = {"authorization": f"Bearer {TOKEN}"}
TLS = ssl.create_default_context()  # made once: each costs 30 ms, and none is used
NASTY = '<img src=x onerror=alert(1)>"><script>'


@dataclass
class Desk:
    client: httpx.AsyncClient
    metrics: Metrics
    clock: ManualClock
    called: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def operate(self, verb: str, words: Mapping[str, Any]) -> Mapping[str, Any]:
        self.called.append((verb, words))
        match verb:
            case "retry":
                return {"retried": 3}
            case "cancel":
                raise Rejected("cancel", words="it has shipped")
            case "pause":
                raise Busy("the store is closed")
            case "explode":
                raise RuntimeError("password=hunter2")
        raise LookupError(verb)


@asynccontextmanager
async def desk(
    *,
    token: str = TOKEN,
    checks: Mapping[str, Check] | None = None,
    status: Mapping[str, Any] | None = None,
    host: str = "127.0.0.1",
    check_s: float = 2.0,
) -> AsyncIterator[Desk]:
    metrics, clock = Metrics(), ManualClock(unstamp("2026-11-25T04:00:00.000000Z"))
    found = Desk(httpx.AsyncClient(verify=TLS), metrics, clock)
    app = operations(
        spec=OperationsSpec(host=host, token=token, hosts=("truecount.example",), check_s=check_s),
        checks=checks or {},
        status=lambda: status or {},
        operate=found.operate,
        metrics=metrics,
        clock=clock,
        lag=LoopLag(clock, metrics),
    )
    server = WebServer(
        app,
        name="operations",
        host="127.0.0.1",
        port=0,
        clock=SystemClock(),
        metrics=metrics,
        limits=ServerLimits(stop_s=1.0),
    )
    await server.start()
    found.client.base_url = httpx.URL(f"http://127.0.0.1:{server.port}")
    try:
        yield found
    finally:
        await found.client.aclose()
        await server.stop()


async def fine() -> str:
    return ""


async def test_healthz_says_that_the_loop_turns() -> None:
    async with desk() as d:
        said = await d.client.get("/healthz")
        assert (said.status_code, said.json()) == (200, {"alive": True, "loop_lag_ms": 0.0})


async def test_loop_lag_is_measured() -> None:
    metrics, clock = Metrics(), SystemClock()
    lag = LoopLag(clock, metrics)
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)

    def block() -> None:
        until = clock.monotonic() + 0.7
        while clock.monotonic() < until:
            pass

    block()
    async with asyncio.timeout(2):
        while not lag.seconds:
            await asyncio.sleep(0.01)
    assert lag.seconds > 0.1
    assert metrics.registry.get_sample_value("truecount_loop_lag_seconds") == lag.seconds
    task.cancel()


async def test_readyz_is_200_only_when_every_check_passes() -> None:
    async def wedged() -> str:
        return "has not moved for 90 s"

    async with desk(checks={"store": fine}) as d:
        said = await d.client.get("/readyz")
        assert (said.status_code, said.json()) == (200, {"ready": True, "reasons": {}})
    async with desk(checks={"store": fine, "intake": wedged}) as d:
        said = await d.client.get("/readyz")
        assert said.status_code == 503
        assert said.json() == {"ready": False, "reasons": {"intake": "has not moved for 90 s"}}


async def test_a_check_that_does_not_answer_is_a_reason() -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async with desk(checks={"writer": never}, check_s=0.05) as d:
        said = await d.client.get("/readyz")
        assert said.json()["reasons"] == {"writer": "no answer within 0.05 s"}


async def test_the_store_check_sees_a_closed_store_and_another_schema(tmp_path: Path) -> None:
    store = Store(tmp_path / "truecount.db")
    store.open()
    check = store_works(store)
    assert await check() == ""
    await store.write(
        lambda c: c.exec_driver_sql("UPDATE meta SET value='99' WHERE key='schema_version'")
    )
    assert await check() == f"the state has schema 99, this program knows {SCHEMA_VERSION}"
    await store.close()
    assert await check() == "the state is closed"


async def test_a_task_that_ended_is_a_reason() -> None:
    async def ends() -> None:
        raise ValueError("a secret")

    running = asyncio.create_task(asyncio.Event().wait())
    assert await task_lives(running)() == ""
    running.cancel()
    ended = asyncio.create_task(ends())
    await asyncio.wait([running, ended])
    assert await task_lives(running)() == "ended"
    assert await task_lives(ended)() == "ended: ValueError"


async def test_what_stands_still_is_a_wedge() -> None:
    clock = ManualClock(unstamp("2026-11-25T04:00:00.000000Z"))
    check = keeps_moving(clock, lambda: 0.0, limit_s=30)
    clock.advance(30)
    assert await check() == ""
    clock.advance(60)
    assert await check() == "has not moved for 90 s"


async def test_metrics_are_prometheus_text() -> None:
    async with desk() as d:
        d.metrics.received.labels("shop", "kept").inc()
        d.metrics.sweep_succeeded("shop", "order", d.clock.monotonic)
        d.clock.advance(42)
        said = await d.client.get("/metrics")
        assert said.headers["content-type"].startswith("text/plain; version=")
        assert 'truecount_received_total{system="shop",verdict="kept"} 1.0' in said.text
        assert 'truecount_sweep_age_seconds{resource="order",system="shop"} 42.0' in said.text


def test_every_metric_is_explained_and_has_closed_labels() -> None:
    # T13, T25: no SKU, order, buyer or address can become a label. method and status are of
    # calls we make, and so are ours.
    words = "system verdict reason via port outcome resource state method status kind within which"
    allowed = set(words.split())
    text = Metrics().text().decode()
    names = set(re.findall(r"# TYPE (\w+)", text))
    helped = set(re.findall(r"# HELP (\w+) \S", text))
    assert {name for name in names if not name.endswith("_created")} <= helped
    for metric in vars(Metrics()).values():
        assert set(getattr(metric, "_labelnames", ())) <= allowed


async def test_a_verb_is_handed_on_with_its_words() -> None:
    async with desk() as d:
        said = await d.client.post("/operator/retry", json={"system": "erp"}, headers=BEARER)
        assert (said.status_code, said.json()) == (200, {"retried": 3})
        empty = await d.client.post("/operator/retry", headers=BEARER)
        assert empty.status_code == 200
        assert d.called == [("retry", {"system": "erp"}), ("retry", {})]


async def test_refusals_say_why() -> None:
    async with desk() as d:
        for verb, status, words in (
            ("cancel", 409, "cancel: it has shipped"),
            ("pause", 503, "the store is closed"),
            ("nope", 404, "there is no verb 'nope'"),
        ):
            said = await d.client.post(f"/operator/{verb}", headers=BEARER)
            assert (said.status_code, said.json()) == (status, {"error": words})


async def test_a_bug_in_a_verb_tells_the_caller_nothing() -> None:
    async with desk() as d:
        said = await d.client.post("/operator/explode", headers=BEARER)
        assert said.status_code == 500
        assert "hunter2" not in said.text


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b" " * 70_000, "application/json", 413),
    ],
)
async def test_words_are_one_small_json_object(content: bytes, kind: str, status: int) -> None:
    # T17: what a form of a foreign page can send is refused
    async with desk() as d:
        said = await d.client.post(
            "/operator/retry", content=content, headers=BEARER | {"content-type": kind}
        )
        assert said.status_code == status
        assert d.called == []


@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Bearer {TOKEN}x", TOKEN, f"Basic {TOKEN}", "Bearer é"]
)
async def test_a_wrong_token_reaches_no_verb(given: str) -> None:
    # T16
    async with desk() as d:
        said = await d.client.post(
            "/operator/retry", headers={"authorization": given.encode("latin-1")}
        )
        assert (said.status_code, d.called) == (401, [])


async def test_without_a_configured_token_verbs_are_closed() -> None:
    async with desk(token="") as d:
        said = await d.client.post("/operator/retry", headers={"authorization": "Bearer"})
        assert said.status_code == 403
        assert (await d.client.get("/")).status_code == 200


async def test_guessing_is_slowed_down() -> None:
    # T16: five tries, then each one waits; a right token ends it
    async with desk() as d:
        for _ in range(5):
            await d.client.post("/operator/retry")
        assert d.clock.monotonic() == 0
        await d.client.post("/operator/retry")
        assert d.clock.monotonic() == 1
        assert (await d.client.post("/operator/retry", headers=BEARER)).status_code == 200
        await d.client.post("/operator/retry")
        assert d.clock.monotonic() == 1


async def test_a_public_address_without_a_token_is_refused() -> None:
    # T16
    with pytest.raises(ConfigError, match="would be open to everybody"):
        async with desk(token="", host="0.0.0.0"):
            pass
    with pytest.raises(ConfigError, match="fewer than 16 characters"):
        async with desk(token="short"):
            pass


async def test_on_a_public_address_everything_but_the_probes_wants_the_token() -> None:
    async with desk(host="0.0.0.0", checks={"store": fine}) as d:
        for path in ("/", "/metrics"):
            assert (await d.client.get(path)).status_code == 401
            assert (await d.client.get(path, headers=BEARER)).status_code == 200
        for path in ("/healthz", "/readyz"):
            assert (await d.client.get(path)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "a@localhost"])
async def test_another_host_is_refused(host: str) -> None:
    # T16: DNS rebinding
    async with desk() as d:
        for path in ("/", "/metrics"):
            assert (await d.client.get(path, headers={"host": host})).status_code == 421
        posted = await d.client.post("/operator/retry", headers=BEARER | {"host": host})
        assert (posted.status_code, d.called) == (421, [])


@pytest.mark.parametrize("host", ["localhost:8081", "[::1]:8081", "Truecount.Example", "127.0.0.1"])
async def test_our_own_names_are_known(host: str) -> None:
    async with desk() as d:
        assert (await d.client.get("/", headers={"host": host})).status_code == 200


async def test_a_foreign_page_cannot_use_a_verb() -> None:
    # T17
    async with desk() as d:
        for origin in ("https://evil.example", "null"):
            said = await d.client.post("/operator/retry", headers=BEARER | {"origin": origin})
            assert (said.status_code, d.called) == (403, [])
        for method in ("GET", "PUT", "DELETE"):
            said = await d.client.request(method, "/operator/retry", headers=BEARER)
            assert said.status_code == 405
        assert d.called == []


async def test_the_page_escapes_what_strangers_wrote() -> None:
    # T18
    status = {"orders": {NASTY: [NASTY, {"buyer": NASTY}]}, "holds": [], "lag": 0.1}
    async with desk(status=status) as d:
        said = await d.client.get("/")
        assert said.headers["content-type"] == "text/html; charset=utf-8"
        assert said.text.count("&lt;img src=x onerror=alert(1)&gt;&quot;&gt;&lt;script&gt;") == 3
        assert "<img" not in said.text
        assert "<script" not in said.text


async def test_every_answer_is_dressed() -> None:
    # T18
    async with desk() as d:
        for path in ("/", "/metrics", "/healthz", "/nothing", "/operator/x"):
            said = await d.client.get(path)
            assert said.headers["content-security-policy"].startswith("default-src 'none'")
            assert said.headers["x-content-type-options"] == "nosniff"
            assert said.headers["cache-control"] == "no-store"
            assert "server" not in said.headers
