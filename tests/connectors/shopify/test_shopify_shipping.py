"""Confirming a parcel once, although Shopify would confirm it twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shopify_kit import Bench, a_shipment, bench

from core.contract import Command
from core.errors import InDoubt, Rejected, Retry


def shop() -> Bench:
    of = bench()
    of.fake.add_location("Shop")
    of.fake.add_product("A", price="10.00", stock={"Main warehouse": 10, "Shop": 2})
    of.fake.add_product("B", price="5.00", stock={"Main warehouse": 10, "Shop": 2})
    return of


def placed(of: Bench, a: int = 2, b: int = 1) -> dict[str, object]:
    rows = [{"sku": "A", "quantity": a}] + ([{"sku": "B", "quantity": b}] if b else [])
    return of.fake.order(of.fake.place_order(rows)["name"])


async def test_a_parcel_is_confirmed_with_its_tracking() -> None:
    of = shop()
    order = placed(of)
    receipt = await of.connector.send(a_shipment(order))
    assert not receipt.already
    (made,) = of.fake.fulfillments("#1001")
    assert made == {"id": receipt.reference, "tracking": "1Z999", "lines": {"A": 2, "B": 1}}
    assert of.fake.order("#1001")["fulfillment"] == "FULFILLED"
    assert of.fake.stock("A")["Main warehouse"] == {"available": 8, "committed": 0, "on_hand": 8}
    (asked,) = of.tap.asked("Fulfill")
    assert asked["fulfillment"]["trackingInfo"] == {"number": "1Z999", "company": "UPS"}
    assert asked["fulfillment"]["notifyCustomer"] is False


async def test_the_same_parcel_again_is_already_done() -> None:
    of = shop()
    command = a_shipment(placed(of))
    first = await of.connector.send(command)
    again = await of.connector.send(command)
    assert again.already
    assert again.reference == first.reference
    assert len(of.fake.fulfillments("#1001")) == 1


async def test_shopify_itself_would_ship_twice() -> None:
    """The negative control: without the look-up a repeated partial shipment happens twice."""
    of = shop()
    order = placed(of, a=2, b=0)
    await of.connector.send(a_shipment(order, [("A", 1)]))
    asked = of.tap.exchanges[-1][0]
    tap = of.tap.exchanges
    await of.connector._graph._api.call(
        "POST", "/admin/api/2026-07/graphql.json", json=asked, writes=True
    )
    assert tap[-1][2]["data"]["fulfillmentCreate"]["userErrors"] == []
    assert [one["tracking"] for one in of.fake.fulfillments("#1001")] == ["1Z999", "1Z999"]


async def test_a_lost_answer_is_found_by_the_tracking_number() -> None:
    of = shop()
    command = a_shipment(placed(of))
    of.tap.lose_next = "Fulfill"
    with pytest.raises(InDoubt):
        await of.connector.send(command)
    receipt = await of.connector.find(command)
    assert receipt is not None
    assert receipt.already
    assert receipt.reference == of.fake.fulfillments("#1001")[0]["id"]


async def test_what_never_arrived_is_surely_not_there() -> None:
    of = shop()
    assert await of.connector.find(a_shipment(placed(of))) is None
    assert of.fake.fulfillments("#1001") == []


async def test_two_parcels_of_one_line_are_two() -> None:
    of = shop()
    order = placed(of, a=2, b=0)
    await of.connector.send(a_shipment(order, [("A", 1)], tracking="T1"))
    second = await of.connector.send(a_shipment(order, [("A", 1)], tracking="T2", parcel=2))
    assert not second.already
    assert [one["tracking"] for one in of.fake.fulfillments("#1001")] == ["T1", "T2"]


async def test_units_shipped_by_hand_are_already_done_with_a_note() -> None:
    of = shop()
    order = placed(of)
    await of.connector.send(a_shipment(order, tracking="BY-HAND"))
    receipt = await of.connector.send(a_shipment(order, tracking="OURS"))
    assert receipt.already
    assert "without our tracking number" in receipt.note


async def test_half_a_parcel_at_a_second_location_is_completed() -> None:
    """One call per location; the second failed, and the retry does only the rest."""
    of = shop()
    of.fake.set_stock("B", 0)
    order = placed(of, a=1, b=1)
    command = a_shipment(order)
    calls = 0
    original = of.connector._fulfill

    async def once(*facts: object) -> str:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise InDoubt("the line went dead")
        return await original(*facts)  # type: ignore[arg-type]

    of.connector._fulfill = once  # type: ignore[method-assign]
    with pytest.raises(InDoubt):
        await of.connector.send(command)
    assert await of.connector.find(command) is None
    of.connector._fulfill = original  # type: ignore[method-assign]
    receipt = await of.connector.send(command)
    assert [one["lines"] for one in of.fake.fulfillments("#1001")] == [{"A": 1}, {"B": 1}]
    assert len(receipt.reference.split()) == 2


async def test_split_fulfillment_orders_are_read_anew() -> None:
    of = shop()
    order = placed(of)
    assert len(of.fake.split_fulfillment_orders("#1001")) == 2
    await of.connector.send(a_shipment(order))
    (made,) = of.fake.fulfillments("#1001")
    assert made["lines"] == {"A": 2, "B": 1}


async def test_a_fulfillment_order_that_moves_in_between_is_tried_again() -> None:
    of = shop()
    command = a_shipment(placed(of))
    seen = await of.connector._shipping(command.record)
    of.fake.split_fulfillment_orders("#1001")
    picks = [{"fulfillmentOrderId": seen["fulfillmentOrders"]["nodes"][0]["id"]}]
    with pytest.raises(Retry, match="rearranged"):
        await of.connector._fulfill(command.record, picks, seen)


async def test_a_held_order_is_refused_with_the_reason() -> None:
    of = shop()
    order = placed(of)
    of.fake.hold_fulfillment_orders("#1001")
    with pytest.raises(Rejected, match="ON_HOLD"):
        await of.connector.send(a_shipment(order))
    of.fake.hold_fulfillment_orders("#1001", held=False)
    assert not (await of.connector.send(a_shipment(order))).already


async def test_a_canceled_order_is_refused_and_never_called_done() -> None:
    """Remaining 0 is not evidence of a shipment."""
    of = shop()
    order = placed(of)
    command = a_shipment(order)
    of.fake.cancel_order("#1001")
    with pytest.raises(Rejected, match="canceled"):
        await of.connector.send(command)
    assert await of.connector.find(command) is None


async def test_our_own_units_are_not_counted_twice() -> None:
    """One of two units went out under our number, the other was canceled: not all is done."""
    of = shop()
    order = placed(of, a=2, b=0)
    await of.connector.send(a_shipment(order, [("A", 1)]))
    of.fake.cancel_order("#1001")
    whole = a_shipment(order, [("A", 2)])
    assert await of.connector.find(whole) is None
    with pytest.raises(Rejected, match="too little left"):
        await of.connector.send(whole)


async def test_a_deleted_order_is_refused() -> None:
    of = shop()
    command = a_shipment(placed(of))
    gone = replace(command, record=replace(command.record, order="gid://shopify/Order/1"))
    with pytest.raises(Rejected, match="no order"):
        await of.connector.send(gone)


async def test_a_shipment_that_knows_only_skus_finds_its_lines() -> None:
    of = shop()
    command = a_shipment(placed(of))
    lines = tuple(replace(line, line="") for line in command.record.lines)
    by_sku = replace(command, record=replace(command.record, lines=lines))
    await of.connector.send(by_sku)
    assert of.fake.fulfillments("#1001")[0]["lines"] == {"A": 2, "B": 1}
    assert (await of.connector.send(by_sku)).already


# ---------------------------------------------------------------- without a tracking number


async def test_a_first_parcel_without_number_is_found_by_its_lines() -> None:
    of = shop()
    command = a_shipment(placed(of, a=2, b=0), [("A", 1)], tracking="")
    of.tap.lose_next = "Fulfill"
    with pytest.raises(InDoubt):
        await of.connector.send(command)
    receipt = await of.connector.find(command)
    assert receipt is not None
    assert receipt.already


async def test_a_second_parcel_without_number_looks_like_its_elder_and_a_person_decides() -> None:
    of = shop()
    order = placed(of, a=3, b=0)
    await of.connector.send(a_shipment(order, [("A", 1)], tracking=""))
    second = a_shipment(order, [("A", 1)], tracking="", parcel=2)
    of.tap.lose_next = "Fulfill"
    with pytest.raises(InDoubt):
        await of.connector.send(second)
    with pytest.raises(InDoubt, match="no tracking number"):
        await of.connector.find(second)


async def test_more_parcels_than_an_answer_holds_is_for_a_person() -> None:
    of = shop()
    of.fake.set_stock("A", 100)
    order = placed(of, a=60, b=0)

    async def send(number: int) -> None:
        command: Command = a_shipment(order, [("A", 1)], tracking=f"T{number}", parcel=number)
        await of.connector.send(command)

    for number in range(1, 51):
        await send(number)
    with pytest.raises(Rejected, match="more parcels"):
        await send(51)
