"""Orders change while their commands wait: what never left is decided anew, the rest followed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from house import House, house

from core.prove import prove
from core.reconcile import compare
from core.restored import look_first
from core.store.engine import read_only


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as it:
        await it.sells(TEA=20, MUG=20)
        await it.settle(1)
        yield it


async def away(h: House, *systems: str) -> None:
    """They are gone, and known to be: nothing of what follows is even tried."""
    for system in systems:
        h.faults(system, down=True)
    while not all(h.app.doors[system].closed_for_s > 0 for system in systems):
        await h.settle(30)


async def back(h: House, *systems: str) -> None:
    for system in systems:
        h.faults(system)
    await h.settle(700)


async def changes(h: House, order: dict[str, Any], **fields: Any) -> None:
    """The channel changes fields of an order and says so."""
    order.update(fields, version=order["version"] + 1)
    h.shop._touch(order)
    await h.hook("shop", order)
    await h.now()


def states(h: House) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in h.commands():
        found.setdefault(row["kind"], []).append(row["state"])
    return found


# ------------------------------------------------------------------ edited, cancelled


async def test_h42_an_edit_of_what_has_not_left_is_asked_as_it_is_now(h: House) -> None:
    # before, the warehouse was asked for the old lines and a person had to settle the rest
    await away(h, "depot", "books")
    order = await h.shop.place_order(
        lines=[{"sku": "TEA", "quantity": 2}, {"sku": "MUG", "quantity": 3}]
    )
    await h.now()
    await h.edit("shop", order, 5, 3)
    await h.now()
    await h.edit("shop", order, 5, gone="2")
    await h.now()
    assert h.causes() == []
    assert h.line("shop", order) == (5, 5, 0, 0, 0)
    await back(h, "depot", "books")
    [asked] = h.asked()
    assert [(line["sku"], line["quantity"]) for line in asked["lines"]] == [("TEA", 5)]
    assert h.wires["depot"].count("POST /orders") == 1
    [document] = h.books.documents()
    assert (document["kind"], document["total"]) == ("sales_order", "50.00")
    assert states(h) == {
        "book_order": ["taken_back", "taken_back", "done"],
        "fulfill_order": ["taken_back", "taken_back", "done"],
    }
    keys = {row["key"] for row in h.commands() if row["state"] == "done"}
    assert keys == {f"truecount:shop:S000001:{kind}:1" for kind in ("book_order", "fulfill_order")}


async def test_s15_a_cancel_of_what_has_not_left_asks_nobody_and_gives_the_units_back(
    h: House,
) -> None:
    await away(h, "depot", "books")
    order = await h.shop.place_order("TEA", 20)
    await h.now()
    assert h.market.shown("TEA") == 0
    await h.shop.cancel(order["id"])
    await h.now()
    # before, its units stayed claimed until the warehouse was back to agree
    assert h.state("shop", order) == "cancelled"
    assert h.market.shown("TEA") == 20
    await back(h, "depot", "books")
    assert (h.asked(), h.books.documents(), h.causes()) == ([], [], [])
    assert states(h) == {"book_order": ["taken_back"], "fulfill_order": ["taken_back"]}


async def test_h24_what_was_tried_once_is_never_changed(h: House) -> None:
    h.faults("depot", status=503, only="POST /orders")
    order = await h.shop.place_order("TEA", 2)
    await h.now()
    await h.shop.cancel(order["id"])
    await h.now()
    assert states(h)["fulfill_order"] == ["waiting"]
    assert states(h)["cancel_fulfillment"] == ["queued"]
    h.faults("depot")
    await h.settle(120)
    assert [one["state"] for one in h.asked()] == ["cancelled"]
    assert h.state("shop", order) == "cancelled"


async def test_a_command_taken_back_while_it_is_picked_up_does_not_leave(h: House) -> None:
    await away(h, "depot")
    order = await h.shop.place_order("TEA", 2)
    await h.now()
    h.faults("depot")
    h.clock.advance(400)
    [row] = h.app.outbox.due("depot", 10)
    await h.shop.cancel(order["id"])
    await h.app.intake.run_once()
    await h.app.outbox.attempt(row)
    assert h.asked() == []
    await h.settle(120)
    assert h.asked() == []
    assert h.rows("SELECT * FROM attempts WHERE outbox_id = ?", row.id) == []


async def test_a_queued_cancel_is_recalled_when_the_channel_wants_the_order_again(
    h: House,
) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle()
    await away(h, "depot")
    await h.shop.cancel(order["id"])
    await h.now()
    assert states(h)["cancel_fulfillment"] == ["queued"]
    await changes(h, order, state="open", cancelled_at=None)
    await back(h, "depot")
    assert states(h)["cancel_fulfillment"] == ["taken_back"]
    assert [one["state"] for one in h.asked()] == ["open"]
    await h.depot.ship(h.waiting())
    await h.settle(120)
    assert h.state("shop", order) == "shipped"
    assert h.causes() == []


async def test_g17_after_a_restore_nothing_counts_as_never_sent(h: House) -> None:
    await h.app.store.write(lambda connection: look_first(connection, h.clock.now()))
    await away(h, "depot")
    order = await h.shop.place_order("TEA", 2)
    await h.now()
    await h.shop.cancel(order["id"])
    await h.now()
    assert states(h)["cancel_fulfillment"] == ["queued"]  # it may lie in the warehouse already
    await back(h, "depot")
    assert h.state("shop", order) == "cancelled"


# ------------------------------------------------------------------ confirmations


async def test_no_confirmation_is_sent_for_an_order_its_channel_has_cancelled(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle()
    h.faults("shop", status=503, only="POST /orders")
    h.lost_pushes.add("shop")
    await h.depot.ship(h.waiting())
    await h.settle(5)
    tried = h.wires["shop"].count("POST /orders")
    assert tried >= 1
    h.lost_pushes.clear()
    await h.shop.cancel(order["id"])
    await h.now()
    h.faults("shop")
    await h.settle(600)
    assert h.wires["shop"].count("POST /orders") == tried + 1  # refused once, never again
    assert states(h)["confirm_shipment"] == ["discarded"]
    assert h.causes() == ["late:cancelled:shop:S000001"]
    assert await h.operate("retry") == {"retried": 0}


async def test_a_refused_confirmation_is_given_up_when_the_cancel_is_heard_of(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle()
    h.lost_pushes.add("shop")
    h.faults("shop", status=500, only="GET /orders")
    await h.shop.cancel(order["id"])
    await h.depot.ship(h.waiting())
    await h.settle(20)
    assert states(h)["confirm_shipment"] == ["dead"]
    assert [cause.split(":")[0] for cause in h.causes()] == ["refused"]
    h.faults("shop")
    await h.settle(120)
    assert states(h)["confirm_shipment"] == ["discarded"]
    assert h.causes() == ["late:cancelled:shop:S000001"]


# ------------------------------------------------------------------ refunded in full


async def test_an_order_refunded_in_full_before_it_left_ends_and_frees_its_units(h: House) -> None:
    # before, it was held for good as a payment that may yet come, and its units with it
    order = await h.shop.place_order("TEA", 20)
    await h.settle()
    assert h.market.shown("TEA") == 0
    await changes(h, order, payment="refunded")
    await h.settle()
    assert h.state("shop", order) == "cancelled"
    assert [one["state"] for one in h.asked()] == ["cancelled"]
    assert [one["state"] for one in h.books.documents()] == ["cancelled"]
    assert (h.market.shown("TEA"), h.causes()) == (20, [])


async def test_a_refund_of_what_has_been_delivered_cancels_nothing(h: House) -> None:
    order = await h.shop.place_order("TEA", 2)
    await h.settle()
    await h.depot.ship(h.waiting())
    await h.settle()
    await changes(h, order, payment="refunded")
    await h.settle()
    assert h.state("shop", order) == "shipped"
    assert h.causes() == []
    assert h.books.cancellations() == []


# ------------------------------------------------------------------ and it is all in the log


async def test_g5_g6_the_log_proves_whatever_was_taken_back_discarded_or_refunded(h: House) -> None:
    await away(h, "depot", "books")
    edited, cancelled = await h.shop.place_order("TEA", 2), await h.shop.place_order("TEA", 3)
    refunded, kept = await h.shop.place_order("MUG", 4), await h.shop.place_order("MUG", 1)
    await h.now()
    await h.edit("shop", edited, 5)
    await h.shop.cancel(cancelled["id"])
    await changes(h, refunded, payment="refunded")
    await back(h, "depot", "books")
    h.depot._world.settings["known_skus"] = "TEA"
    refused = await h.shop.place_order("MUG", 2)
    await h.settle(30)
    number = next(row["id"] for row in h.commands("fulfill_order") if row["state"] == "dead")
    await h.operate("discard", ids=[number], by="Ann", reason="sent by hand")
    await h.settle(120)
    assert [h.state("shop", one) for one in (edited, cancelled, refunded, kept, refused)] == [
        "released", "cancelled", "cancelled", "released", "released",
    ]  # fmt: skip
    engine = read_only(h.app.store.path)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        assert prove(connection, h.app.network, h.clock.now()).findings == []
        found = compare(connection, h.app.network, h.clock.now().date(), h.clock.now(), every_s={})
    engine.dispose()
    assert [one.key for one in found.unexplained] == []
