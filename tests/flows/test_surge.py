"""Fifty times the usual rate: what cannot be kept is refused in words, and found later (H46)."""

from __future__ import annotations

import asyncio
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from house import House, house

from core.daemon import Daemon
from core.store.engine import Store

WAITING_MAX = 40


async def knock(h: House, order: dict[str, Any]) -> httpx.Response:
    """One push of the shop, with all of its answer."""
    body = json.dumps({"order": order}).encode()
    headers = {
        "content-type": "application/json",
        "x-channel-topic": "order.created",
        "x-channel-event": f"{order['id']}-1",
        "x-channel-signature": hmac.digest(b"shop-hook-secret", body, "sha256").hex(),
    }
    return await h.receiver.post("/hooks/shop", headers=headers, content=body)


async def test_h46_beyond_its_backlog_a_push_is_refused_and_the_sweep_finds_it_later(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, waiting_max=WAITING_MAX, pushes=False) as h:
        await h.sells(TEA=500)
        await h.settle(1)
        orders = [await h.shop.place_order("TEA") for _ in range(100)]
        answers = [await knock(h, order) for order in orders]
        kept = [answer.status_code for answer in answers].count(200)
        assert kept == WAITING_MAX + 1
        refused = answers[kept:]
        assert {answer.status_code for answer in refused} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert h.one("SELECT count(*) FROM inbox WHERE state = 'pending'") == kept
        await h.settle(60)
        assert h.one("SELECT count(*) FROM orders") == len(orders)
        assert {h.state("shop", order) for order in orders} == {"released"}
        assert len(h.asked()) == len(orders)
        late = await knock(h, await h.shop.place_order("TEA"))
        assert late.status_code == 200


async def test_g13_reading_stops_before_receiving_does(tmp_path: Path) -> None:
    # before, a nightly list of a hundred thousand rows had every push refused
    async with house(tmp_path, waiting_max=WAITING_MAX, pushes=False) as h:
        await h.sells(TEA=500)
        await h.settle(1)
        h.clock.advance(600)  # everything is due to be read
        first, *rest = [await h.shop.place_order("TEA") for _ in range(WAITING_MAX)]
        for order in rest[: WAITING_MAX // 2 + 1]:
            assert (await knock(h, order)).status_code == 200
        calls, daemon = len(h.wires["depot"].sent), Daemon(h.app)
        assert await daemon._sweep("depot") is False
        assert len(h.wires["depot"].sent) == calls
        assert (await knock(h, rest[-1])).status_code == 200
        await daemon._intake()
        assert await daemon._sweep("depot") is True
        assert len(h.wires["depot"].sent) > calls
        await h.now()
        assert h.state("shop", first) == "released"


async def test_h46_what_sold_out_in_the_surge_is_told_before_all_that_rose(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        skus = [f"S{number:03d}" for number in range(250)]
        await h.sells(LAST=1, **dict.fromkeys(skus, 3))
        await h.settle(1)
        h.faults("market", status=429, retry_after=60, only="PUT /stock")
        for sku in skus:
            h.depot.receive(sku, "EAST", 1)
        await h.settle(31)
        await h.shop.place_order("LAST")
        await h.now()
        last = h.one("SELECT max(id) FROM told")
        h.faults("market")
        await h.settle(120)
        row = h.rows("SELECT offers FROM told WHERE system = 'market' AND id > ?", last)[0]
        told = [(one["sku"], one["quantity"]) for one in json.loads(row["offers"])]
        assert told[0] == ("LAST", 0)
        assert (len(told), h.market.shown("LAST")) == (100, 0)


async def test_g10_a_flood_of_one_system_does_not_delay_what_another_says(tmp_path: Path) -> None:
    # before, everything waited in one line: a shelf counted empty behind all the orders
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=2000, MUG=9)
        await h.settle(1)
        h.clock.advance(40)
        for _ in range(200):
            assert (await knock(h, await h.shop.place_order("TEA"))).status_code == 200
        h.depot.count("MUG", "EAST", 0)
        for row in h.app.sweep.due("depot"):
            await h.app.sweep.one_page(row)
        batches = 0
        while h.sellable("MUG") > 0:
            await h.app.intake.run_once()
            batches += 1
        assert batches <= 4  # of some two hundred rows, sixty-four at a time, the last of all
        waiting = h.one("SELECT count(*) FROM inbox WHERE state = 'pending'")
        assert waiting > 64
        await h.settle(60)
        assert h.one("SELECT count(*) FROM orders WHERE state = 'released'") == 200


async def test_h46_a_push_is_answered_before_a_decision_that_waits_beside_it(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "truecount.db")
    store.open()
    order: list[str] = []

    async def write(name: str, *, single: bool) -> None:
        await store.write(lambda _: order.append(f"{name} runs"), single=single)
        order.append(f"{name} is answered")

    slow, push = write("decision", single=False), write("push", single=True)
    await asyncio.gather(slow, push)
    await store.close()
    assert order == ["push runs", "push is answered", "decision runs", "decision is answered"]


async def test_h46_a_dear_batch_makes_the_next_one_small(tmp_path: Path) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=500)
        await h.settle(1)
        for _ in range(80):
            await knock(h, await h.shop.place_order("TEA"))
        h.app.intake._clock = slow = Slow(h.clock)
        taken = [(await h.app.intake.run_once())[0] for _ in range(3)]
        assert taken == [64, 3, 1]  # 0.5 s to understand and 0.5 s to decide, however many
        slow.step_s, dear = 0.0, h.app.intake._row_s
        await h.app.intake.run_once()
        assert h.app.intake._row_s == pytest.approx(0.8 * dear)  # slowly believed to be over


class Slow:
    """The clock of a machine on which every step costs something."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.step_s = 0.5

    def now(self) -> Any:
        return self._clock.now()

    def monotonic(self) -> float:
        self._clock.advance(self.step_s)
        return float(self._clock.monotonic())
