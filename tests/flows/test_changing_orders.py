"""Orders change: cancelled, edited, short, in parcels; in any order and any number of times."""

from __future__ import annotations

import copy
import itertools
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from house import house
from test_main_job import watch

from core import restored
from core.operate import operate


async def test_s15a_cancelled_before_release_never_reaches_the_warehouse(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2, payment="pending")
        await h.now()
        assert h.state("shop", order) == "held"
        assert h.line("shop", order) == (2, 2, 0, 0, 0)
        await h.shop.cancel(order["id"])
        await h.settle()
        assert h.state("shop", order) == "cancelled"
        assert h.line("shop", order) == (2, 0, 0, 0, 2)
        assert h.asked() == []
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (5, 5)
        assert h.causes() == []


async def test_s15b_cancelled_after_release_the_warehouse_agrees(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        watch(h)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        await h.shop.cancel(order["id"])
        await h.settle()
        assert h.state("shop", order) == "cancelled"
        assert [o["state"] for o in h.asked()] == ["cancelled"]
        assert [o["state"] for o in h.books.documents()] == ["cancelled"]
        assert len(h.books.cancellations()) == 1
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (5, 5)
        names = [r["name"] for r in h.rows("SELECT name FROM steps WHERE order_id = 1")]
        assert names.count("order.cancelled") == 1


async def test_s15c_h41_cancelled_after_it_left_becomes_a_return_to_expect(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.lost_pushes.add("depot")
        h.faults("depot", status=500, only="GET /shipments")
        await h.depot.ship(h.waiting())
        await h.shop.cancel(order["id"])
        await h.now()
        assert h.command("cancel_fulfillment")["state"] == "dead"
        assert "late:cancelled:shop:S000001" in h.causes()
        h.faults("depot")
        await h.settle(120)
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order) == (2, 0, 0, 2, 0)
        assert h.sellable("TEA") == 3
        assert h.books.cancellations() == []
        assert "late:cancelled:shop:S000001" in h.causes()  # nor did hearing of it bring it back


async def test_h6_s10_an_older_revision_after_a_newer_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2, payment="pending")
        old = copy.deepcopy(order)
        await h.shop.pay(order["id"])
        await h.settle()
        assert h.state("shop", order) == "released"
        before = h.order("shop", order["id"])
        assert await h.hook("shop", old, event="hours later") == 200
        await h.settle()
        assert tuple(h.order("shop", order["id"])) == tuple(before)
        assert h.one("SELECT value FROM counters WHERE name = 'order.stale'") == 1


async def test_s10_every_order_of_events_ends_the_same(tmp_path: Path) -> None:
    ends = set()
    for number, way in enumerate(itertools.permutations(range(3))):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with house(folder) as h:
            await h.sells(TEA=5)
            h.lost_pushes.add("shop")
            order = await h.shop.place_order("TEA", 2, payment="pending")
            told = [copy.deepcopy(order)]
            await h.shop.pay(order["id"])
            told.append(copy.deepcopy(order))
            await h.shop.cancel(order["id"])
            told.append(copy.deepcopy(order))
            h.lost_pushes.clear()
            for index in (*way, way[0]):
                await h.hook("shop", told[index])
                await h.now()
            await h.settle()
            waiting = [o["state"] for o in h.asked()]
            assert waiting in ([], ["cancelled"])
            ends.add((h.state("shop", order), h.line("shop", order), h.sellable("TEA")))
    assert ends == {("cancelled", (2, 0, 0, 0, 2), 5)}


async def test_h41_a_cancel_that_arrives_before_the_order_asks_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.lost_pushes.add("shop")
        order = await h.shop.place_order("TEA", 2)
        created = copy.deepcopy(order)
        h.lost_pushes.clear()
        await h.shop.cancel(order["id"])
        await h.now()
        await h.hook("shop", created)
        await h.settle()
        assert h.state("shop", order) == "cancelled"
        assert h.line("shop", order) == (2, 0, 0, 0, 2)
        assert h.commands() == []


async def test_h42_an_edit_before_release_follows_each_line(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        order = await h.shop.place_order(
            lines=[{"sku": "TEA", "quantity": 2}, {"sku": "MUG", "quantity": 2}], payment="pending"
        )
        await h.now()
        await h.edit("shop", order, 4, 1)
        await h.now()
        assert h.line("shop", order, "1") == (4, 4, 0, 0, 0)
        assert h.line("shop", order, "2") == (2, 1, 0, 0, 1)
        await h.edit("shop", order, 4, gone="2")
        await h.edit("shop", order, 7)
        await h.now()
        assert h.line("shop", order, "1") == (7, 5, 2, 0, 0)
        assert h.line("shop", order, "2") == (2, 0, 0, 0, 2)
        assert (h.sellable("TEA"), h.sellable("MUG")) == (0, 5)
        await h.edit("shop", order, 1)
        await h.shop.pay(order["id"])
        await h.settle()
        assert h.line("shop", order, "1") == (7, 1, 0, 0, 6)
        [asked] = h.asked()
        assert [(line["sku"], line["quantity"]) for line in asked["lines"]] == [("TEA", 1)]
        assert h.books.documents()[0]["total"] == "10.00"


async def test_h42_s31_an_edit_after_release_is_asked_for_anew(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        for units in (1, 4):
            await h.edit("shop", order, units)
            await h.settle()
            assert (h.causes(), h.state("shop", order)) == ([], "released")
            assert h.promised("TEA") == units
        assert [o["state"] for o in h.asked()] == ["cancelled", "cancelled", "open"]
        await h.depot.ship(h.waiting())
        await h.settle(120)
        assert (h.state("shop", order), h.sellable("TEA")) == ("shipped", 1)


async def test_h42_s31_an_edit_while_it_is_picked_is_a_persons(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.depot.begin(h.waiting())
        await h.edit("shop", order, 1)
        await h.settle()
        assert h.causes() == ["late:edited:shop:S000001"]
        assert "which keeps it as it was: cancel_fulfillment: it is being picked" in h.one(
            "SELECT reason FROM holds"
        )
        assert [o["state"] for o in h.asked()] == ["open"]
        assert h.command("cancel_fulfillment")["state"] == "discarded"


async def test_h42_units_that_are_nowhere_keep_nothing_back_that_is_packed(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 4)
        await h.settle()
        await h.edit("shop", order, 6)
        await h.settle()
        assert h.causes() == ["late:edited:shop:S000001"]
        assert h.commands("cancel_fulfillment") == []


async def test_s15_a_part_that_left_before_the_warehouse_let_be_is_not_asked_for_again(
    tmp_path: Path,
) -> None:
    """Found by the machine of lives: the parcel had not been read, and left once more."""
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        order = await h.shop.place_order("TEA", 4)
        await h.settle()
        h.lost_pushes.add("depot")
        await h.depot.ship(h.waiting(), [{"sku": "TEA", "quantity": 1}], complete=False)
        await h.edit("shop", order, 3)
        await h.now()
        assert [o["state"] for o in h.asked()] == ["cancelled"]
        await h.settle(150)
        assert h.line("shop", order)[:4] == (4, 2, 0, 1)
        assert [line["quantity"] for line in h.asked()[1]["lines"]] == [2]


async def test_what_left_before_it_was_taken_off_is_a_persons(tmp_path: Path) -> None:
    """Found by the machine of lives: the other line was packed again, and nobody was told."""
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        wanted = [{"sku": "TEA", "quantity": 1}, {"sku": "MUG", "quantity": 1}]
        order = await h.shop.place_order(lines=wanted)
        await h.settle()
        h.lost_pushes.add("depot")
        await h.depot.ship(h.waiting(), [{"sku": "TEA", "quantity": 1}], complete=False)
        await h.edit("shop", order, 0, 1)
        await h.settle(150)
        assert h.causes() == ["late:edited:shop:S000001"]
        assert "units have left" in h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        await h.depot.ship(h.waiting())
        await h.settle(150)
        assert (h.state("shop", order), h.causes()) == ("shipped", ["late:edited:shop:S000001"])


async def test_s15_what_is_said_late_of_an_earlier_ask_ends_no_later_one(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        await h.edit("shop", order, 3)
        await h.settle()
        h.depot.begin(h.waiting())
        h.lost_pushes.add("depot")
        await h.edit("shop", order, 0)
        [first] = [p for p in h.depot.shipments() if p["state"] == "cancelled"]
        first["version"] = h.depot._version = h.depot._version + 1  # read once more
        await h.settle(150)
        assert h.promised("TEA") == 3


async def test_units_freed_by_a_cancel_go_to_the_order_that_waited(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=1)
        first = await h.shop.place_order("TEA", payment="pending")
        second = await h.market.place_order("TEA")
        await h.settle()
        assert h.state("market", second) == "held"
        await h.shop.cancel(first["id"])
        await h.settle()
        assert h.state("market", second) == "released"
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (0, 0)
        assert h.causes() == []


async def test_units_freed_by_the_warehouses_cancel_go_to_the_order_that_waited(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=1)
        first = await h.shop.place_order("TEA")
        second = await h.market.place_order("TEA")
        await h.settle()
        assert h.state("market", second) == "held"
        await h.shop.cancel(first["id"])
        await h.settle()
        assert (h.state("shop", first), h.state("market", second)) == ("cancelled", "released")
        assert h.sellable("TEA") == 0


async def test_a_short_pick_waits_for_stock_and_is_asked_again_once(tmp_path: Path) -> None:
    # H43, G6
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 4)
        await h.settle()
        h.depot.count("TEA", "EAST", 3)  # two of them are broken, and nobody has told us
        await h.depot.short_pick(h.waiting())
        await h.now()
        assert h.line("shop", order)[2] == 1
        assert h.state("shop", order) == "held"
        await h.settle()
        assert h.state("shop", order) == "held"
        assert h.causes() == ["short:shop:S000001"]
        assert len(h.asked()) == 1  # the number in force is older than the short pick
        assert h.sellable("TEA") == 0
        h.depot.receive("TEA", "EAST", 6)
        await h.settle()
        assert h.state("shop", order) == "released"
        assert [line["quantity"] for line in h.asked()[1]["lines"]] == [1]
        await h.depot.ship(h.waiting())
        await h.settle()
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order) == (4, 0, 0, 4, 0)
        assert h.sellable("TEA") == 5 == h.depot.on_hand("TEA")
        assert [s["complete"] for s in h.shop.shipments()] == [False, True]
        assert len(h.books.documents(kind="invoice")) == 1
        assert h.causes() == []


async def test_the_rest_of_a_short_order_cancelled_on_the_channel_closes_and_invoices(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 4)
        await h.settle()
        h.depot.count("TEA", "EAST", 3)
        await h.depot.short_pick(h.waiting())
        await h.settle()
        assert h.state("shop", order) == "held"
        await h.edit("shop", order, 3)
        await h.settle()
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order) == (4, 0, 0, 3, 1)
        assert [d["total"] for d in h.books.documents(kind="invoice")] == ["30.00"]
        assert h.causes() == []


async def test_g18_a_warehouse_whose_clock_is_behind_ships_no_order_before_it_was_placed(
    tmp_path: Path,
) -> None:
    """Channels refuse a parcel that left before its order, and the buyer never heard of it."""
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA")
        await h.settle()
        parcel = await h.depot.ship(h.waiting())
        ten_minutes_behind = h.clock.now() - timedelta(minutes=10)
        parcel["shipped_at"] = f"{ten_minutes_behind:%Y-%m-%dT%H:%M:%S}Z"
        await h.settle()
        [told] = h.shop.shipments()
        placed_at, told_at = (
            datetime.fromisoformat(text) for text in (order["placed_at"], told["shipped_at"])
        )
        assert told_at >= placed_at


async def test_h43_two_parcels_are_two_confirmations_and_one_invoice(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        watch(h)
        order = await h.shop.place_order(
            lines=[{"sku": "TEA", "quantity": 3}, {"sku": "MUG", "quantity": 1}]
        )
        await h.settle()
        reference = h.waiting()
        await h.depot.ship(
            reference, [{"sku": "TEA", "quantity": 2}], tracking="ONE", complete=False
        )
        await h.settle()
        assert h.state("shop", order) == "released"
        assert h.line("shop", order, "1") == (3, 1, 0, 2, 0)
        assert h.books.documents(kind="invoice") == []
        await h.depot.ship(reference, tracking="TWO")
        await h.settle()
        parcels = [(s["parcel"], s["tracking"], s["complete"]) for s in h.shop.shipments()]
        assert parcels == [(1, "ONE", False), (2, "TWO", True)]
        assert [d["quantity"] for d in h.books.documents(kind="delivery")] == [2, 2]
        assert len(h.books.documents(kind="invoice")) == 1
        assert h.state("shop", order) == "shipped"
        assert (h.sellable("TEA"), h.sellable("MUG")) == (2, 4)


async def test_h16_a_late_answer_says_nothing_of_units_asked_for_later(tmp_path: Path) -> None:
    # Found by the state machine: sale, accepted (answer lost), edited up, shipped, then the answer
    async with house(tmp_path, basis="available") as h:
        await h.sells(TEA=9)
        watch(h)
        order = await h.shop.place_order("TEA", 1)
        h.faults("depot", lose_answers=1, only="POST /orders")

        def nor_is_it_found(request: httpx.Request) -> None:
            if request.method == "GET" and request.url.path.endswith("/orders"):
                h.faults("depot", status=500, only="GET /orders")

        h.wires["depot"].on_request.append(nor_is_it_found)
        await h.now()
        h.clock.advance(1)
        await h.edit("shop", order, 3)
        await h.depot.ship(h.waiting())
        await h.settle(70)
        assert h.line("shop", order)[:2] == (3, 2)  # the other two are claimed, and not asked for
        h.wires["depot"].on_request.clear()
        h.faults("depot")
        await h.settle(400)
        assert h.line("shop", order)[:2] == (3, 2)
        assert [len(o["lines"]) for o in h.asked()] == [1, 1]
        assert h.sellable("TEA") == 6


async def test_h16_units_that_an_answer_frees_go_to_the_order_that_waits(tmp_path: Path) -> None:
    """They were offered to everybody once more, and the order went on waiting."""
    async with house(tmp_path, basis="available") as h:
        await h.sells(TEA=2)
        watch(h)
        h.faults("depot", lose_answers=1, only="POST /orders")

        def nor_is_it_found(request: httpx.Request) -> None:
            if request.method == "GET" and request.url.path.endswith("/orders"):
                h.faults("depot", status=500, only="GET /orders")

        h.wires["depot"].on_request.append(nor_is_it_found)
        await h.shop.place_order("TEA", 2)
        await h.settle(35)
        h.depot.receive("TEA", "EAST", 2)
        await h.settle(35)
        assert h.sellable("TEA") == 0  # 2 are for sale, and 2 may still be inside that number
        h.market.list_item("TEA", quantity=2)
        waits = await h.market.place_order("TEA", 2)
        await h.now()
        assert h.line("market", waits) == (2, 0, 2, 0, 0)
        h.wires["depot"].on_request.clear()
        h.faults("depot")
        h.faults("depot", status=500, only="GET /stock")  # no later number
        await h.settle(70)
        assert h.line("market", waits) == (2, 2, 0, 0, 0)
        await h.settle()
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (0, 0)


async def test_h15_units_that_a_parcel_frees_go_to_the_order_that_waits(tmp_path: Path) -> None:
    """The number came first, and had them out already."""
    async with house(tmp_path) as h:
        await h.sells(TEA=2)
        watch(h)
        await h.shop.place_order("TEA", 2)
        await h.now()
        h.lost_pushes.add("depot")
        h.faults("depot", status=500, only="GET /shipments")
        await h.depot.ship(h.waiting())
        h.depot.receive("TEA", "EAST", 2)
        await h.settle(35)
        assert h.sellable("TEA") == 0
        h.market.list_item("TEA", quantity=2)
        waits = await h.market.place_order("TEA", 2)
        await h.now()
        assert h.line("market", waits) == (2, 0, 2, 0, 0)
        h.faults("depot", status=500, only="GET /stock")  # no later number
        await h.settle(35)
        assert h.line("market", waits) == (2, 2, 0, 0, 0)
        assert h.sellable("TEA") == 0


async def test_s10_h43_the_last_parcel_heard_of_before_the_first_is_no_short_pick(
    tmp_path: Path,
) -> None:
    """Its push came, the first one's was lost: what it does not hold may have left before."""
    async with house(tmp_path) as h:
        await h.sells(TEA=9, CUP=9)
        order = await h.shop.place_order(
            lines=[{"sku": "TEA", "quantity": 1}, {"sku": "CUP", "quantity": 1}]
        )
        await h.settle()
        h.lost_pushes.add("depot")
        await h.depot.ship(h.waiting(), lines=[{"sku": "TEA", "quantity": 1}], complete=False)
        h.lost_pushes.clear()
        await h.depot.ship(h.waiting())
        await h.settle()
        assert len(h.asked()) == 1  # nothing is asked for again
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order) == h.line("shop", order, "2") == (1, 0, 0, 1, 0)
        assert len(h.shop.shipments()) == 2
        assert h.causes() == []
        assert (h.depot.on_hand("TEA"), h.sellable("TEA")) == (8, 8)


async def test_s10_the_same_parcel_told_twice_is_one(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.shop.place_order("TEA", 2)
        await h.settle()
        await h.depot.ship(h.waiting())
        await h.settle()
        [row] = h.rows("SELECT * FROM inbox WHERE system = 'depot' AND topic = 'shipment'")
        await h.write(
            "INSERT INTO fetches (system, resource, external_id, asked_at, due_at, attempts, words)"
            " SELECT 'depot', 'shipment', 'S1', done_at, done_at, 0, '' FROM inbox LIMIT 1"
        )
        await h.write(f"UPDATE inbox SET state = 'pending' WHERE seq = {row['seq']}")
        await h.settle()
        assert h.one("SELECT count(*) FROM shipments") == 1
        assert len(h.shop.shipments()) == 1
        assert h.sellable("TEA") == 3


@pytest.mark.parametrize("number_first", [False, True], ids=["parcel first", "number first"])
async def test_s10_a_parcel_heard_of_after_the_last_one_is_no_missing_unit(
    tmp_path: Path, number_first: bool
) -> None:
    """Found by simulation: units of the earlier parcel were asked for and shipped once more."""
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.lost_pushes.add("depot")
        first = [{"sku": "TEA", "quantity": 1}]
        await h.depot.ship(h.waiting(), first, complete=False)
        h.lost_pushes.clear()
        await h.depot.ship(h.waiting())  # pushed, so it is read at once
        await h.now()
        assert h.line("shop", order) == (2, 1, 1, 0, 0)
        if number_first:
            h.faults("depot", status=503, only="GET /shipments")
            await h.settle(45)
            assert len(h.asked()) == 1
            h.faults("depot")
        await h.settle(120)
        assert h.line("shop", order) == (2, 0, 0, 2, 0)
        assert h.state("shop", order) == "shipped"
        assert (len(h.asked()), len(h.shop.shipments()), h.depot.on_hand("TEA")) == (1, 2, 3)
        assert (h.causes(), h.sellable("TEA")) == ([], 3)


async def test_h11_a_parcel_nobody_asked_for_is_held_not_dropped(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        stranger: dict[str, Any] = {
            "reference": "not-ours",
            "place": "EAST",
            "lines": [{"line": "1", "sku": "TEA", "quantity": 1}],
        }
        wire = httpx.AsyncClient(transport=h.wires["depot"], base_url="http://127.0.0.1:9/depot")
        await wire.post("/orders", json=stranger, headers={"authorization": "Bearer wms-token"})
        await h.depot.ship("not-ours")
        await h.settle()
        assert h.causes() == ["unknown_shipment:depot:not-ours"]
        assert h.sellable("TEA") == 4  # the warehouse's number is believed all the same


async def test_an_order_released_and_unpaid_for_a_moment_is_not_asked_twice(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        order.update(payment="pending", version=order["version"] + 1)
        await h.shop.push_again(order["id"])
        await h.settle()
        assert h.state("shop", order) == "held"
        await h.shop.pay(order["id"])
        await h.settle()
        assert h.state("shop", order) == "released"
        assert h.causes() == []
        assert len(h.asked()) == 1


async def test_s15_a_parcel_that_had_left_before_the_agreed_cancel_is_still_counted(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 3)
        await h.settle()
        h.faults("depot", status=500, only="GET /shipments")
        await h.depot.ship(h.waiting(), [{"sku": "TEA", "quantity": 1}], complete=False)
        await h.shop.cancel(order["id"])
        await h.now()
        # It lets be what it has; until its parcels are read nobody knows what that is.
        assert (h.state("shop", order), h.sellable("TEA")) == ("released", 2)
        h.faults("depot")
        await h.settle(120)
        assert (h.state("shop", order), h.line("shop", order)) == ("shipped", (3, 0, 0, 1, 2))
        assert h.causes() == ["late:cancelled:shop:S000001"]
        assert h.sellable("TEA") == h.shop.shown("TEA") == 4


async def test_h42_units_the_warehouse_was_asked_for_are_sold_to_nobody_after_an_edit(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        watch(h)
        order = await h.shop.place_order("TEA", 4)
        await h.settle()
        h.depot.begin(h.waiting())
        await h.edit("shop", order, 1)
        await h.settle()
        assert h.line("shop", order) == (4, 4, 0, 0, 0)
        assert h.sellable("TEA") == 1
        reference = h.waiting()  # the warehouse is told by telephone, and ships one
        await h.depot.ship(reference, [{"sku": "TEA", "quantity": 1}])
        await h.settle()
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order) == (4, 0, 0, 1, 3)
        assert h.sellable("TEA") == 4
        assert h.causes() == []


async def test_h13_a_reinstalled_warehouse_is_asked_about_and_accepted(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        for _ in range(3):
            h.depot.receive("TEA", "EAST", 1)
        await h.settle()
        assert h.shop.shown("TEA") == 12
        h.depot.count("TEA", "EAST", 7)
        h.depot.reinstall()
        await operate(h.app, "sweep", {"system": "depot", "full": True})
        await h.settle()
        [hold] = h.rows("SELECT id, cause FROM holds WHERE closed_at IS NULL")
        assert hold["cause"] == "counter_reset:depot"
        assert h.shop.shown("TEA") == 12  # nothing is believed before somebody says so
        assert await operate(h.app, "accept", {"hold": hold["id"]}) == {"accepted": 1}
        await h.settle()
        assert h.shop.shown("TEA") == 7
        assert h.rows("SELECT id FROM holds WHERE closed_at IS NULL") == []


async def test_h42_units_added_after_release_are_not_claimed_while_the_payment_is_held(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        watch(h)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.depot.begin(h.waiting())
        await h.edit("shop", order, 3)
        order["payment"] = "pending"
        await h.edit("shop", order, 3)
        h.depot.receive("TEA", "EAST", 1)  # a new number claims nothing for it either
        await h.settle()
        assert h.state("shop", order) == "held"
        assert h.line("shop", order) == (2, 2, 0, 0, 0)
        await h.shop.pay(order["id"])
        await h.settle()
        assert h.state("shop", order) == "released"
        assert h.line("shop", order)[1] == h.promised("TEA") == 2
        await h.depot.ship(h.waiting())
        await h.settle()
        assert h.line("shop", order) == (3, 1, 0, 2, 0)  # it has spoken: the third is asked for
        assert h.promised("TEA") == 1
        assert h.causes() == []
        await h.depot.ship(h.waiting())
        await h.settle()
        assert h.state("shop", order) == "shipped"
        assert [s["complete"] for s in h.shop.shipments()] == [False, True]
        kinds = [d["kind"] for d in h.books.documents()]
        assert kinds == ["sales_order", "delivery", "delivery", "invoice"]


async def test_h42_a_line_added_after_release_is_asked_for_when_the_first_has_left(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.depot.begin(h.waiting())
        order["lines"].append({**order["lines"][0], "id": "2", "sku": "MUG", "quantity": 1})
        await h.edit("shop", order, 2, 1)
        await h.settle()
        assert h.causes() == ["late:edited:shop:S000001"]
        await h.depot.ship(h.waiting(), complete=False)  # all of it, whatever it says about more
        await h.settle()
        assert h.state("shop", order) == "released"
        assert h.line("shop", order, "2") == (1, 1, 0, 0, 0)
        assert [line["sku"] for line in h.asked()[1]["lines"]] == ["MUG"]
        assert h.causes() == []


@pytest.mark.parametrize("units", [1, 3])
async def test_h42_an_edit_and_a_payment_that_is_gone_in_one_revision_hold_the_order(
    tmp_path: Path, units: int
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.depot.begin(h.waiting())
        order["payment"] = "pending"
        await h.edit("shop", order, units)
        await h.settle()
        assert h.state("shop", order) == "held"
        assert h.causes() == ["late:edited:shop:S000001", "payment:pending:shop"]


async def test_h42_a_difference_a_person_accepted_is_not_shown_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.depot.begin(h.waiting())
        await h.edit("shop", order, 1)
        await h.now()
        names = [row["name"] for row in h.rows("SELECT name FROM steps WHERE order_id = 1")]
        assert "order.edited_too_late" in names
        assert "order.held" not in names  # it is released all the time
        hold = h.one("SELECT id FROM holds WHERE closed_at IS NULL")
        await operate(h.app, "accept", {"hold": hold})
        await h.edit("shop", order, 1)
        await h.now()
        assert h.causes() == []
        await h.edit("shop", order, 3)
        await h.now()
        assert h.causes() == ["late:edited:shop:S000001"]
        await h.edit("shop", order, 2)  # what the warehouse was asked for after all
        await h.now()
        assert h.causes() == []


async def test_h43_only_units_that_are_short_are_a_persons_after_three_asks(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=2)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        for _ in range(2):
            h.depot.count("TEA", "EAST", 0)
            await h.depot.short_pick(h.waiting())
            h.depot.receive("TEA", "EAST", 2)
            await h.settle()
        assert len(h.asked()) == 3
        order["payment"] = "pending"
        await h.edit("shop", order, 2)
        assert h.state("shop", order) == "released"
        await h.settle()
        assert h.causes() == ["payment:pending:shop"]  # the third ask packs: nothing is short


async def test_h43_what_was_counted_and_accepted_is_asked_for_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=2)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        for _ in range(3):
            h.depot.count("TEA", "EAST", 0)
            await h.depot.short_pick(h.waiting())
            h.depot.receive("TEA", "EAST", 2)
            await h.settle()
        assert h.state("shop", order) == "held"
        assert "late:short:shop:S000001" in h.causes()
        assert len(h.asked()) == 3
        hold = h.one("SELECT id FROM holds WHERE cause LIKE 'late:short:%'")
        await operate(h.app, "accept", {"hold": hold})
        await h.settle()
        assert (h.state("shop", order), h.causes()) == ("released", [])
        assert len(h.asked()) == 4
        await h.depot.ship(h.waiting())
        await h.settle()
        assert h.state("shop", order) == "shipped"


# ------------------------------------------------------------------ sent before we came


async def test_what_had_left_before_we_first_saw_it_is_not_sent_again(tmp_path: Path) -> None:
    """A channel that is read for the first time shows the orders of weeks: each of them was sent
    a second time."""
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=9)
        order = await h.shop.place_order("TEA", 2, by={"ship_by": "2026-11-20T12:00:00Z"})
        await h.shop.ship_by_hand(order["id"])
        await h.settle(120)
        assert h.state("shop", order) == "shipped"
        assert h.asked() == []
        assert h.rows("SELECT * FROM deadlines") == []  # nobody missed one of ours
        assert h.books.duplicates() == []
        assert h.rows("SELECT kind FROM outbox") == []
        assert h.causes() == []
        assert h.shop.shown("TEA") == 9
        assert "1 new - 1 shipped" in " ".join(h.mail().split())


async def test_of_what_had_left_in_part_a_person_says_what_becomes_of_the_rest(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=9)
        ours, theirs = await h.shop.place_order("TEA", 3), await h.shop.place_order("TEA", 2)
        for order in (ours, theirs):
            h.shop._order(order["id"])["lines"][0]["fulfilled"] = 1
        await h.settle(120)
        assert [h.state("shop", order) for order in (ours, theirs)] == ["held", "held"]
        assert h.rows("SELECT kind FROM outbox") == []
        assert h.shop.shown("TEA") == 4
        who = {"by": "Mia", "reason": "looked"}
        await h.operate("by-hand", order=f"shop:{theirs['id']}", **who)
        await h.operate("release", order=f"shop:{ours['id']}", **who)
        await h.settle(120)
        assert h.state("shop", theirs) == "shipped"
        assert h.state("shop", ours) == "released"
        assert [order["reference"] for order in h.depot.orders()] == [
            f"truecount:shop:{ours['id']}:fulfill_order:1"
        ]
        assert h.causes() == []


async def test_g17_after_a_restore_it_may_have_been_us(tmp_path: Path) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=9)
        await h.app.store.write(lambda connection: restored.look_first(connection, h.clock.now()))
        order = await h.shop.place_order("TEA", 2)
        await h.shop.ship_by_hand(order["id"])
        await h.settle(120)
        assert h.state("shop", order) == "released"
        assert len(h.asked()) == 1
