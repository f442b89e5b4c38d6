"""How orders end: nothing to ship, emptied, cancelled on the way; and what wakes none of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from house import House, house

from core import fulfillment, order_rows, orders, retention
from core.model import Cancellation, RequestState
from core.operate import operate
from core.prove import prove
from core.work import Work


async def hears(h: House, external_id: str, **words: Any) -> str:
    """The shop says this of an order it had said before, as its next revision."""

    def unit(connection: Any) -> str:
        work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
        row = order_rows.find(work, "shop", external_id)
        assert row is not None
        said = order_rows.read(work, row)
        words.setdefault("revision", str(int(said.revision) + 1))
        word = orders.take_order(work, "shop", replace(said, **words))
        fulfillment.go_on(work)
        work.finish()
        return word

    return str(await h.app.store.write(unit))


async def accept(h: House, cause: str) -> None:
    number = h.one("SELECT id FROM holds WHERE cause = ? AND closed_at IS NULL", cause)
    await operate(h.app, "accept", {"hold": number})


# ------------------------------------------------------------------ nothing to ship


async def test_a_gift_card_is_invoiced_and_closed_at_once_and_its_buyer_forgotten(
    tmp_path: Path,
) -> None:
    # G20: an order that never ended kept its buyer for ever
    async with house(tmp_path, boutique=True) as h:
        boutique = h.fake("boutique")
        boutique.add_product("CARD", "Gift card", "25.00", stock=9, requires_shipping=False)
        h.books.set_item("CARD", "25.00", "0.00")
        boutique.place_order([{"sku": "CARD", "quantity": 1}])
        await h.settle()
        row = h.one("SELECT * FROM orders")
        assert row["state"] == "shipped"
        assert [d["kind"] for d in h.books.documents()] == ["sales_order", "invoice"]
        assert h.asked() == []
        assert h.causes() == []
        h.clock.advance(timedelta(days=31).total_seconds())
        await retention.forget(h.app)
        with h.app.store.read() as connection:
            work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
            kept = order_rows.read(work, order_rows.by_id(work, row["id"]))
        assert (kept.email, kept.ship_to.name, kept.lines[0].sku) == ("", "", "CARD")


async def test_a_gift_card_waits_for_its_money(tmp_path: Path) -> None:
    async with house(tmp_path, boutique=True) as h:
        boutique = h.fake("boutique")
        boutique.add_product("CARD", "Gift card", "25.00", stock=9, requires_shipping=False)
        h.books.set_item("CARD", "25.00", "0.00")
        placed = boutique.place_order([{"sku": "CARD", "quantity": 1}], paid=False)
        boutique.shop.find(placed["id"]).financial = "AUTHORIZED"
        await h.settle()
        # No parcel will ever say that this money is earned.
        assert h.causes() == ["payment:authorized:boutique"]
        assert h.books.documents() == []
        boutique.pay(placed["id"])
        await h.settle()
        assert h.one("SELECT state FROM orders") == "shipped"
        assert [d["total"] for d in h.books.documents(kind="invoice")] == ["25.00"]


async def test_an_order_edited_down_to_nothing_ends_as_a_cancelled_one(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=1)
        await h.shop.place_order("TEA")
        waits = await h.market.place_order("TEA")
        await h.settle()
        assert h.state("market", waits) == "held"
        assert len(h.books.documents(kind="sales_order")) == 2
        waits["payment"] = "refunded"  # no money is to come: it waits for none
        await h.edit("market", waits, 0)
        await h.settle()
        assert h.state("market", waits) == "cancelled"
        assert h.line("market", waits) == (1, 0, 0, 0, 1)
        assert len(h.books.cancellations()) == 1
        assert h.books.documents(kind="invoice") == []
        assert h.causes() == []


async def test_an_order_of_which_only_a_fee_is_left_is_invoiced(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=1)
        await h.shop.place_order("TEA")
        waits = await h.market.place_order("TEA", shipping="4.90")
        await h.settle()
        waits["lines"][0].update(quantity=0, tax=[])
        waits.update(total="4.90", version=waits["version"] + 1)
        await h.market.push_again(waits["id"])
        await h.settle()
        assert h.state("market", waits) == "shipped"
        assert [d["total"] for d in h.books.documents(kind="invoice")] == ["4.90"]


async def test_an_ended_order_that_wants_units_again_is_shown(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2, payment="pending")
        await h.edit("shop", order, 0)
        await h.settle()
        assert h.state("shop", order) == "cancelled"
        await h.edit("shop", order, 1)
        await h.settle()
        assert h.causes() == ["late:edited:shop:S000001"]
        assert h.asked() == []


async def test_an_emptied_order_the_warehouse_gives_up_is_ended(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.depot.begin(h.waiting())
        await h.edit("shop", order, 0)
        await h.settle()
        assert h.causes() == ["late:edited:shop:S000001"]
        await h.depot.cancel(h.waiting())
        await h.settle()
        assert h.state("shop", order) == "cancelled"
        assert (h.causes(), h.sellable("TEA")) == ([], 5)


async def test_h16_units_a_warehouse_gave_up_are_not_offered_while_the_channel_wants_them(
    tmp_path: Path,
) -> None:
    """Its net number has them back, so nothing else keeps them for this order (G7)."""
    async with house(tmp_path, basis="available") as h:
        await h.sells(TEA=1)
        order = await h.shop.place_order("TEA", 1)
        await h.settle()
        await h.depot.cancel(h.waiting())
        await h.settle()
        assert h.causes() == ["late:warehouse_cancelled:shop:S000001"]
        assert h.depot.stock()[0]["available"] == 1
        assert (h.sellable("TEA"), h.market.shown("TEA")) == (0, 0)
        await h.shop.cancel(order["id"])
        await h.settle()
        assert h.state("shop", order) == "cancelled"
        assert (h.sellable("TEA"), h.market.shown("TEA")) == (1, 1)
        with h.app.store.snapshot() as connection:
            assert prove(connection, h.app.network, h.clock.now()).findings == []


# ------------------------------------------------------------------ cancelled on the way


async def test_s15_a_cancelled_order_whose_rest_is_not_found_is_never_asked_for_again(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.faults("depot", status=500, only="POST /orders/")  # the cancel does not get through
        await h.shop.cancel(order["id"])
        await h.now()
        h.depot.count("TEA", "EAST", 1)
        await h.depot.short_pick(h.waiting())
        await h.now()
        h.depot.receive("TEA", "EAST", 9)
        await h.settle()
        assert len(h.commands("fulfill_order")) == 1
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order) == (2, 0, 0, 1, 1)
        assert "late:cancelled:shop:S000001" in h.causes()
        assert h.sellable("TEA") == 9


async def test_s15_a_cancelled_order_of_which_nothing_is_found_is_cancelled(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.faults("depot", status=500, only="POST /orders/")
        await h.shop.cancel(order["id"])
        h.depot.count("TEA", "EAST", 0)
        await h.depot.short_pick(h.waiting())
        await h.now()
        assert h.state("shop", order) == "cancelled"
        assert h.line("shop", order) == (2, 0, 0, 0, 2)
        await h.settle()
        assert len(h.books.cancellations()) == 1


async def test_what_is_asked_for_a_second_time_can_be_cancelled_a_second_time(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        await hears(h, order["id"], cancelled_at=h.clock.now())
        await hears(h, order["id"], cancelled_at=None)  # somebody there pressed the wrong button
        h.depot.count("TEA", "EAST", 1)
        await h.depot.short_pick(h.waiting())
        h.depot.receive("TEA", "EAST", 5)
        await h.settle()
        await hears(h, order["id"], cancelled_at=h.clock.now())
        await h.settle()
        keys = [row["key"].split(":", 3)[3] for row in h.commands("%ful%")]
        assert keys == [
            "fulfill_order:1",
            "cancel_fulfillment:1#3",  # taken back before it left
            "fulfill_order:2",
            "cancel_fulfillment:2",
        ]
        assert h.commands("cancel_fulfillment")[-1]["state"] == "done"


async def test_a_return_to_expect_is_a_persons_until_accepted(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.lost_pushes.add("depot")
        h.faults("depot", status=500, only="GET /shipments")
        await h.depot.ship(h.waiting())
        await hears(h, order["id"], cancelled_at=h.clock.now())
        await h.now()
        h.faults("depot")
        await h.settle(120)
        assert h.state("shop", order) == "shipped"
        assert "late:cancelled:shop:S000001" in h.causes()  # hearing of the parcel brings none back
        await accept(h, "late:cancelled:shop:S000001")
        await hears(h, order["id"], channel_state="restocked")
        assert "late:cancelled:shop:S000001" not in h.causes()


# ------------------------------------------------------------------ what the buyer asks


async def test_a_cancel_request_that_was_accepted_is_not_shown_again(tmp_path: Path) -> None:
    cause = "late:cancel_requested:shop:S000001"
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        wish = Cancellation(key="C1", order=order["id"])
        assert await hears(h, order["id"], cancellations=(wish,)) == "applied"
        assert h.causes() == [cause]
        await accept(h, cause)
        revision = h.order("shop", order["id"])["revision"]
        assert await hears(h, order["id"], revision=revision) == "same"
        await hears(h, order["id"], channel_state="packing")
        assert h.causes() == []
        again = replace(wish, key="C2")
        await hears(h, order["id"], cancellations=(wish, again))
        assert h.causes() == [cause]


async def test_a_cancel_request_the_buyer_withdraws_is_gone(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        wish = Cancellation(key="C1", order=order["id"])
        await hears(h, order["id"], cancellations=(wish,))
        gone = replace(wish, state=RequestState.WITHDRAWN)
        await hears(h, order["id"], cancellations=(gone,))
        assert h.causes() == []


# ------------------------------------------------------------------ the books


async def test_an_order_no_ledger_was_told_of_is_not_called_booked(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        deaf = {kind: how for kind, how in h.app.network.accepts.items() if kind[0] != "books"}
        h.app.network = replace(h.app.network, accepts=deaf)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        assert h.state("shop", order) == "released"
        assert h.order("shop", order["id"])["booked"] == ""


@pytest.mark.parametrize("first", ["edit", "gives up"])
async def test_s15_what_the_warehouse_gave_up_and_the_channel_took_off_is_over(
    tmp_path: Path, first: str
) -> None:
    """Found by the machine of lives: the order stayed open for ever, and was never invoiced."""
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        wanted = [{"sku": "TEA", "quantity": 2}, {"sku": "MUG", "quantity": 1}]
        order = await h.shop.place_order(lines=wanted)
        await h.now()
        reference = h.waiting()
        h.depot.begin(reference)
        await h.depot.ship(reference, [{"line": "1", "quantity": 2}], complete=False)
        await h.settle(60)
        for what in (first, "gives up" if first == "edit" else "edit"):
            if what == "edit":
                await h.shop.edit(order["id"], {"2": 0})
            else:
                await h.depot.cancel(reference)
            await h.settle(60)
        assert (h.causes(), h.state("shop", order)) == ([], "shipped")
        assert h.line("shop", order, "2") == (1, 0, 0, 0, 1)
        assert h.sellable("MUG") == 5
        assert [row["total"] for row in h.books.documents(kind="invoice")] == ["20.00"]


async def test_a_courier_collects_once_and_no_more_than_gift_cards_leave(tmp_path: Path) -> None:
    """Cash for the whole order was asked for again with the parcel of what was short at first."""
    async with house(tmp_path) as h:
        await h.sells(TEA=3)
        order = await h.shop.place_order("TEA", 3, payment="cod", gift_cards="5.00")
        await h.settle()
        h.depot.receive("TEA", "EAST", -1)
        await h.depot.short_pick(h.waiting())
        h.depot.receive("TEA", "EAST", 5)
        await h.settle(300)
        asked = [one.body.get("cash") for one in h.depot._orders.values()]
        left = Decimal(order["total"]) - 5
        assert asked == [{"amount": str(left), "currency": "EUR"}, None]
