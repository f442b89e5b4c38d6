"""The plain channel: whole orders in signed pushes, one call for a hundred numbers."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from connectors.generic_channel.fake import NotPossible, SoldOut
from core.contract import Command, Offer, Push
from core.errors import Hold, InDoubt, Rejected
from core.model import (
    AcceptOrder,
    AnswerCancellation,
    CancelOrder,
    ConfirmShipment,
    QuantityLine,
)
from tests.connectors.http_json.kit import NOW, Bench, a_bench, a_command, a_pass


@pytest.fixture
def channel() -> Bench:
    bench = a_bench("generic_channel")
    bench.fake.list_item("MUG", title="Mug", price="12.99", quantity=5)
    bench.fake.list_item("HAT", price="20.00", quantity=1)
    return bench


def an_offer(sku: str, quantity: int) -> Offer:
    return Offer(listing=sku, place="", sku=sku, quantity=quantity, shown=None, key=f"k:{sku}")


def a_parcel(order: str, reference: str = "tc:parcel:1") -> Command:
    record = ConfirmShipment(
        reference=reference,
        order=order,
        number="#1",
        shipment="S1",
        parcel=1,
        shipped_at=NOW,
        lines=(),
    )
    body = {"reference": reference, "tracking": "PP1", "lines": [], "complete": True}
    return a_command("confirm_shipment", record, body)


def events_of(bench: Bench, at: int = -1) -> Any:
    headers, body = bench.pushes[at]
    return bench.connector.events(
        Push(topic=headers["x-channel-topic"], headers=headers, body=body)
    )


async def test_it_sells_what_it_shows_and_nothing_more(channel: Bench) -> None:
    await channel.fake.place_order("HAT")
    with pytest.raises(SoldOut):
        await channel.fake.place_order("HAT")
    with pytest.raises(SoldOut):
        await channel.fake.place_order(
            lines=[{"sku": "MUG", "quantity": 3}, {"sku": "MUG", "quantity": 3}]
        )
    assert channel.fake.stock() == {"MUG": 5, "HAT": 0}
    assert channel.fake.sold() == {"HAT": 1}


async def test_a_cancel_puts_the_units_back_on_its_own_number(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG", 2)
    assert channel.fake.shown("MUG") == 3
    await channel.fake.cancel(order["id"])
    assert channel.fake.shown("MUG") == 5
    assert channel.fake.sold() == {}
    with pytest.raises(NotPossible):
        await channel.fake.cancel(order["id"])


async def test_a_push_carries_the_whole_order_and_its_signature(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG", 2, shipping="4.99")
    headers, body = channel.pushes[0]
    assert headers["x-channel-signature"] == hmac.digest(b"hush", body, "sha256").hex()
    (event,) = events_of(channel)
    assert event.item is not None
    assert event.external_id == event.item.external_id == order["id"]
    assert event.item.body["total"] == "30.97"
    assert event.item.revision == "1"


async def test_a_push_and_a_poll_tell_the_same_thing(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG")
    (event,) = events_of(channel)
    (polled,), _ = await a_pass(channel.connector, "order")
    fetched = await channel.connector.fetch("order", order["id"])
    assert event.item == polled == fetched
    assert await channel.connector.fetch("order", "P999999") is None


async def test_a_genuine_push_that_is_not_understood_waits_for_a_person(channel: Bench) -> None:
    for body in (b"not json", b'{"orders": []}', b'{"order": NaN}', b"[" * 100_000):
        with pytest.raises(Hold, match="cannot be understood"):
            channel.connector.events(Push(topic="order.created", headers={}, body=body))
    assert channel.connector.events(Push(topic="newsletter", headers={}, body=b"{}")) == []


async def test_orders_are_polled_by_token_and_the_overlap_is_harmless(channel: Bench) -> None:
    channel.fake.list_item("PIN", quantity=1000)
    for _ in range(450):
        await channel.fake.place_order("PIN")
        channel.clock.advance(1)
    items, since = await a_pass(channel.connector, "order")
    assert len({item.external_id for item in items}) == 450
    assert since == "2026-11-25T08:07:29.000000Z"
    again, _ = await a_pass(channel.connector, "order", "2026-11-25T08:07:25Z")
    assert [item.external_id for item in again] == [f"P{n:06d}" for n in range(446, 451)]
    assert {item.external_id: item for item in items} | {
        item.external_id: item for item in again
    } == {item.external_id: item for item in items}


async def test_a_batch_is_judged_row_by_row(channel: Bench) -> None:
    results = await channel.connector.publish(
        [an_offer("MUG", 42), an_offer("SOCK", 1), an_offer("HAT", 0)]
    )
    assert [(result.listing, result.outcome, result.shown) for result in results] == [
        ("MUG", "accepted", 42),
        ("SOCK", "rejected", None),
        ("HAT", "accepted", 0),
    ]
    assert results[1].words == "nothing is listed as this"
    assert channel.fake.stock() == {"MUG": 42, "HAT": 0}
    assert channel.calls("PUT") == ["PUT /stock"]


async def test_a_batch_that_is_too_long_is_refused_as_a_whole(channel: Bench) -> None:
    with pytest.raises(Rejected, match="100 rows"):
        await channel.connector.publish([an_offer(f"S{n}", 1) for n in range(101)])


async def test_an_absolute_write_after_a_lost_answer_is_the_same_again(channel: Bench) -> None:
    channel.faults.lose_answers = 1
    with pytest.raises(InDoubt):
        await channel.connector.publish([an_offer("MUG", 3)])
    await channel.connector.publish([an_offer("MUG", 3)])
    assert channel.fake.shown("MUG") == 3
    assert [row["shown_before"] for row in channel.fake.stock_writes()] == [5, 3]


async def test_a_parcel_is_told_once(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG")
    channel.faults.lose_answers = 1
    with pytest.raises(InDoubt):
        await channel.connector.send(a_parcel(order["id"]))
    found = await channel.connector.find(a_parcel(order["id"]))
    again = await channel.connector.send(a_parcel(order["id"]))
    assert found is not None
    assert found.reference == again.reference == f"{order['id']}-S1"
    assert again.already
    assert len(channel.fake.shipments()) == 1


async def test_a_cancelled_order_takes_no_parcel(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG")
    await channel.fake.cancel(order["id"])
    with pytest.raises(Rejected, match="the order is cancelled"):
        await channel.connector.send(a_parcel(order["id"]))


def an_acceptance(order: str) -> Command:
    record = AcceptOrder(reference="tc:accept:1", order=order, number="#1")
    return a_command("accept_order", record, {"reference": record.reference})


async def test_an_order_is_accepted_once_and_a_lost_answer_is_found(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG")
    channel.faults.lose_answers = 1
    with pytest.raises(InDoubt):
        await channel.connector.send(an_acceptance(order["id"]))
    found = await channel.connector.find(an_acceptance(order["id"]))
    again = await channel.connector.send(an_acceptance(order["id"]))
    assert found is not None
    assert found.reference == again.reference == f"{order['id']}-A1"
    assert again.already


async def test_a_cancelled_order_takes_no_acceptance(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG")
    await channel.fake.cancel(order["id"])
    with pytest.raises(Rejected, match="the order is cancelled"):
        await channel.connector.send(an_acceptance(order["id"]))


def a_cancellation(order: str, *lines: QuantityLine, n: int = 1) -> Command:
    record = CancelOrder(
        reference=f"tc:cancel:{n}", order_reference="", order=order, number="#1", reason="other",
        lines=lines,
    )  # fmt: skip
    body = {
        "reference": record.reference,
        "reason": record.reason,
        "lines": [{"line": line.line, "quantity": line.quantity} for line in lines],
    }
    return a_command("cancel_order", record, body)


async def test_an_order_is_cancelled_once_and_a_lost_answer_is_found(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG", 3)
    one = QuantityLine(line="1", quantity=1)
    channel.faults.lose_answers = 1
    with pytest.raises(InDoubt):
        await channel.connector.send(a_cancellation(order["id"], one))
    found = await channel.connector.find(a_cancellation(order["id"], one))
    again = await channel.connector.send(a_cancellation(order["id"], one))
    assert found is not None
    assert (found.reference, again.already) == (again.reference, True)
    assert [line["quantity"] for line in order["lines"]] == [2]
    await channel.connector.send(a_cancellation(order["id"], n=2))
    assert order["state"] == "cancelled"


async def test_what_it_cannot_cancel_it_says(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG")
    with pytest.raises(Rejected, match="so many units were not ordered"):
        await channel.connector.send(
            a_cancellation(order["id"], QuantityLine(line="1", quantity=2))
        )
    await channel.fake.ship_by_hand(order["id"])
    with pytest.raises(Rejected, match="the order is shipped"):
        await channel.connector.send(a_cancellation(order["id"]))


def an_answer(order: str, wish: str, *, granted: bool) -> Command:
    record = AnswerCancellation(
        reference=f"tc:answer:{wish}", order=order, number="#1", request=wish, granted=granted
    )
    body = {
        "reference": record.reference, "request": wish, "granted": granted, "shipped": False,
    }  # fmt: skip
    return a_command("answer_cancellation", record, body)


@pytest.mark.parametrize("granted", [True, False])
async def test_a_wish_is_answered_once_and_a_lost_answer_is_found(
    channel: Bench, granted: bool
) -> None:
    order = await channel.fake.place_order("MUG")
    wish = await channel.fake.wish(order["id"])
    channel.faults.lose_answers = 1
    with pytest.raises(InDoubt):
        await channel.connector.send(an_answer(order["id"], wish["id"], granted=granted))
    found = await channel.connector.find(an_answer(order["id"], wish["id"], granted=granted))
    again = await channel.connector.send(an_answer(order["id"], wish["id"], granted=granted))
    assert found is not None
    assert (found.reference, again.already) == (again.reference, True)
    assert (order["state"], wish["state"]) == (
        ("cancelled", "completed") if granted else ("open", "refused")
    )


async def test_a_wish_that_is_over_takes_no_answer(channel: Bench) -> None:
    order = await channel.fake.place_order("MUG")
    wish = await channel.fake.wish(order["id"])
    await channel.fake.withdraw(order["id"])
    with pytest.raises(Rejected, match="nobody asks that"):
        await channel.connector.send(an_answer(order["id"], wish["id"], granted=True))


async def test_listings_show_its_own_number(channel: Bench) -> None:
    items, since = await a_pass(channel.connector, "listing")
    assert [(item.external_id, item.body["quantity"]) for item in items] == [("MUG", 5), ("HAT", 1)]
    assert since is None
