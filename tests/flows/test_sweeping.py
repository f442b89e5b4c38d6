"""Stop 1 by asking: nothing is missed, nothing doubled, and a cursor never runs ahead (G2)."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import pytest
from house import House, Killed, house

from core.errors import Busy


async def test_h8_s12_equal_stamps_over_a_page_boundary_and_a_row_seen_late(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=500)
        placed = [await h.shop.place_order("TEA") for _ in range(205)]  # one second, two pages
        late = h.shop._changes.pop(100)  # committed there, not visible yet
        await h.settle(70)
        assert h.one("SELECT count(*) FROM orders") == 204
        h.shop._changes.insert(100, late)
        await h.settle(70)
        assert h.one("SELECT count(*) FROM orders") == 205
        assert len(h.asked()) == 205
        assert len({order["id"] for order in placed}) == 205
        assert h.sellable("TEA") == 295


async def test_a_pass_that_broke_off_resumes_at_its_page(tmp_path: Path) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=500)
        for _ in range(205):
            await h.shop.place_order("TEA")
        h.clock.advance(30)
        [due] = [row for row in h.app.sweep.due("shop") if row.resource == "order"]
        await h.app.sweep.one_page(due)
        cursor = "SELECT * FROM cursors WHERE system = 'shop' AND resource = 'order'"
        first = h.rows(cursor)[0]
        assert first["page"]
        assert first["rows"] == 200
        h.faults("shop", status=500, only="GET /orders")
        [due] = [row for row in h.app.sweep.due("shop") if row.resource == "order"]
        await h.app.sweep.one_page(due)
        failed = h.rows(cursor)[0]
        assert (failed["page"], failed["failures"]) == (first["page"], 1)
        assert failed["since"] == first["since"]
        await h.restart()
        h.faults("shop")
        before = h.wires["shop"].count("GET /orders")
        await h.settle(20)
        done = h.rows(cursor)[0]
        assert (done["page"], done["rows"], done["failures"]) == (None, 205, 0)
        assert done["began_at"] == first["began_at"]  # the next pass starts where this one began
        assert h.wires["shop"].count("GET /orders") == before + 1
        assert h.one("SELECT count(*) FROM orders") == 205


@pytest.mark.parametrize("broken", ["UPDATE ON cursors", "INSERT ON inbox"])
async def test_g2_rows_and_cursor_are_one_transaction(tmp_path: Path, broken: str) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        await h.settle(35)
        order = await h.shop.place_order("TEA")
        cursor = "SELECT * FROM cursors WHERE system = 'shop' AND resource = 'order'"
        before = tuple(h.rows(cursor)[0])
        h.clock.advance(31)
        await h.write(
            f"CREATE TRIGGER planted BEFORE {broken} BEGIN SELECT RAISE(ABORT, 'planted'); END"
        )
        [due] = [row for row in h.app.sweep.due("shop") if row.resource == "order"]
        with pytest.raises(Exception, match="planted"):
            await h.app.sweep.one_page(due)
        assert tuple(h.rows(cursor)[0]) == before
        assert h.one("SELECT count(*) FROM inbox WHERE topic = 'order'") == 0
        await h.write("DROP TRIGGER planted")
        await h.settle(35)
        assert h.state("shop", order) == "released"


async def test_g2_killed_between_the_answer_and_the_rows_the_page_is_read_again(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        await h.settle(35)
        order = await h.shop.place_order("TEA")
        h.wires["shop"].kill_after = "GET /orders"
        with pytest.raises(Killed):
            await h.settle(60)
        await h.restart()
        await h.settle(60)
        assert h.state("shop", order) == "released"


async def test_t2_h11_a_hint_is_reread_from_its_owner(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA")
        await h.now()
        await h.depot.ship(h.waiting())
        await h.now()  # no time passes: only the push can have told us
        assert h.wires["depot"].count("GET /shipments/S1") == 1
        assert h.state("shop", order) == "shipped"
        assert h.rows("SELECT * FROM fetches") == []


async def test_a_hint_at_something_that_is_not_there_asks_once(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        body = json.dumps({"shipment": {"id": "S999", "version": 999}}).encode()
        sign = hmac.digest(b"depot-hook-secret", body, "sha256").hex()
        headers = {
            "content-type": "application/json",
            "x-wms-topic": "shipment.changed",
            "x-wms-delivery": "D999",
            "x-wms-signature": sign,
        }
        assert await h.push("depot", headers, body) == 200
        await h.settle(120)
        assert h.wires["depot"].count("GET /shipments/S999") == 1
        assert h.rows("SELECT * FROM fetches") == []
        assert h.causes() == []


async def test_a_hint_survives_a_failing_owner(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA")
        await h.now()
        h.faults("depot", status=500, only="GET /shipments")
        await h.depot.ship(h.waiting())
        await h.now()
        assert h.rows("SELECT * FROM fetches")[0]["attempts"] == 1
        await h.restart()
        h.faults("depot")
        await h.settle(70)
        assert h.state("shop", order) == "shipped"


async def test_s11_a_channel_that_was_down_is_swept_whole_when_it_returns(tmp_path: Path) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=50)
        h.faults("shop", status=503, only="GET /orders")
        placed = []
        for _ in range(5):
            placed.append(await h.shop.place_order("TEA"))
            await h.settle(400)
        other = await h.market.place_order("TEA")
        await h.settle(70)
        assert h.state("market", other) == "released"
        h.faults("shop")
        await h.settle(1900)
        assert {h.state("shop", order) for order in placed} == {"released"}
        assert h.sellable("TEA") == 44


async def test_h3_a_full_disk_loses_no_page_and_moves_no_cursor(tmp_path: Path) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA")
        order["note"] = "x" * 20_000  # more than any half-empty page has room for
        h.clock.advance(31)
        await h.write("CREATE TABLE ballast (x)")
        await h.write(f"PRAGMA max_page_count = {h.one('PRAGMA page_count')}")
        while await _fits(h):
            pass
        due = [row for row in h.app.sweep.due("shop") if row.resource == "order"]
        with pytest.raises(Busy):
            await h.app.sweep.one_page(due[0])
        assert h.one("SELECT count(*) FROM inbox WHERE topic = 'order'") == 0
        await h.write("PRAGMA max_page_count = 1000000")
        await h.settle(70)
        assert h.state("shop", order) == "released"


async def _fits(h: House) -> bool:
    try:
        await h.write("INSERT INTO ballast VALUES (zeroblob(200))")
    except Busy:
        return False
    return True
