"""The plain warehouse: its fake tells the truth, and the engine understands it."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from connectors.generic_wms.fake import NotEnough, NotPossible
from connectors.http_json.plan import When
from core.contract import Answer, Command, Json, Push, Receipt
from core.errors import InDoubt, Rejected, Retry
from core.model import Address, CancelFulfillment, FulfillOrder, QuantityLine
from tests.connectors.http_json.kit import Bench, a_bench, a_command, a_pass

REFERENCE = "truecount:portal:P1/7:fulfill:1"  # with a slash: it must stay one part of a path


@pytest.fixture
def wms() -> Bench:
    bench = a_bench("generic_wms", push="true")
    bench.fake.receive("MUG", "MAIN", 10)
    bench.fake.receive("HAT", "MAIN", 2)
    return bench


def an_order(reference: str = REFERENCE, **units: int) -> Command:
    wanted = units or {"MUG": 3}
    lines = tuple(
        QuantityLine(line=str(at), sku=sku, quantity=count)
        for at, (sku, count) in enumerate(wanted.items(), start=1)
    )
    record = FulfillOrder(
        reference=reference,
        channel="portal",
        order="P1/7",
        number="#7",
        place="MAIN",
        ship_to=Address(),
        lines=lines,
    )
    body = {
        "reference": reference,
        "place": "MAIN",
        "lines": [
            {"line": line.line, "sku": line.sku, "quantity": line.quantity} for line in lines
        ],
    }
    return a_command("fulfill_order", record, body)


def a_cancel(target: str = REFERENCE) -> Command:
    record = CancelFulfillment(reference=f"{target}:cancel", target=target)
    return a_command("cancel_fulfillment", record, {"reference": record.reference, "reason": ""})


def conserved(fake: Any) -> bool:
    units = fake.movements()
    return units["on_hand"] == units["received"] + units["adjusted"] - units["shipped"]


async def test_stock_is_read_once_and_then_only_what_moved(wms: Bench) -> None:
    items, since = await a_pass(wms.connector, "stock_reading")
    assert [item.external_id for item in items] == ["MUG:MAIN", "HAT:MAIN"]
    assert since == "2"
    wms.fake.count("HAT", "MAIN", 1)
    items, since = await a_pass(wms.connector, "stock_reading", since)
    assert [(item.external_id, item.body["on_hand"]) for item in items] == [("HAT:MAIN", 1)]
    assert since == "3"
    nothing, since = await a_pass(wms.connector, "stock_reading", since)
    assert nothing == []
    assert since is None  # the sweep keeps what it has


async def test_a_long_list_comes_in_pages_that_lose_nothing_to_a_change_between_them() -> None:
    wms = a_bench("generic_wms")
    for number in range(450):
        wms.fake.receive(f"SKU-{number}", "MAIN", 1)
    first = await wms.connector.read("stock_reading", None, None)
    assert len(first.items) == 200
    wms.fake.count("SKU-3", "MAIN", 9)  # it moves from the first page to the end
    seen = {item.external_id: item.body["on_hand"] for item in first.items}
    token = first.next
    while token is not None:
        page = await wms.connector.read("stock_reading", None, token)
        seen |= {item.external_id: item.body["on_hand"] for item in page.items}
        token = page.next
    assert len(seen) == 450
    assert seen["SKU-3:MAIN"] == 9


async def test_a_reading_says_how_far_the_warehouse_had_counted(wms: Bench) -> None:
    await wms.connector.send(an_order(MUG=3, HAT=1))
    parcel = await wms.fake.ship(REFERENCE)
    items, _ = await a_pass(wms.connector, "stock_reading")
    # Both shelves exclude the parcel, the one that moved first as well (G7).
    assert all(item.body["as_of_movement"] >= parcel["movement"] for item in items)


async def test_an_order_is_accepted_once_and_the_second_time_found(wms: Bench) -> None:
    first = await wms.connector.send(an_order())
    again = await wms.connector.send(an_order())
    assert first.reference == again.reference == "W1"
    assert (first.already, again.already) == (False, True)
    assert len(wms.fake.orders()) == 1


async def test_a_lost_answer_is_found_and_nothing_is_sent_twice(wms: Bench) -> None:
    wms.faults.lose_answers = 1
    with pytest.raises(InDoubt):
        await wms.connector.send(an_order())
    found = await wms.connector.find(an_order())
    assert found == Receipt(reference="W1", already=True, counter=2)
    assert await wms.connector.find(an_order("another")) is None
    assert len(wms.fake.orders()) == 1


async def test_an_unknown_article_is_refused_in_the_warehouses_own_words() -> None:
    wms = a_bench("generic_wms", known_skus="MUG,HAT")
    with pytest.raises(Rejected, match="there is no article SOCK"):
        await wms.connector.send(an_order(SOCK=1))


async def test_a_parcel_takes_units_from_the_shelf_and_none_get_lost(wms: Bench) -> None:
    await wms.connector.send(an_order(MUG=3, HAT=1))
    await wms.fake.ship(REFERENCE, [{"sku": "MUG", "quantity": 2}], complete=False)
    assert wms.fake.on_hand("MUG") == 8
    await wms.fake.ship(REFERENCE)
    assert (wms.fake.on_hand("MUG"), wms.fake.on_hand("HAT")) == (7, 1)
    assert conserved(wms.fake)
    items, since = await a_pass(wms.connector, "shipment")
    assert since == "2"
    assert [item.body["complete"] for item in items] == [False, True]
    with pytest.raises(NotPossible):
        await wms.fake.ship(REFERENCE)


async def test_a_short_pick_ships_what_is_there_and_says_what_is_not(wms: Bench) -> None:
    await wms.connector.send(an_order(MUG=1, HAT=5))
    parcel = await wms.fake.short_pick(REFERENCE)
    assert [line["quantity"] for line in parcel["lines"]] == [1, 2]
    assert parcel["short"] == [{"line": "2", "sku": "HAT", "quantity": 3}]
    assert wms.fake.on_hand("HAT") == 0
    assert conserved(wms.fake)


async def test_nobody_ships_what_is_not_on_the_shelf(wms: Bench) -> None:
    await wms.connector.send(an_order(HAT=3))
    with pytest.raises(NotEnough):
        await wms.fake.ship(REFERENCE)
    assert wms.fake.on_hand("HAT") == 2


async def test_a_refusal_of_which_half_came_may_say_that_it_is_cancelled_already(
    wms: Bench,
) -> None:
    """Taken for a refusal, an order that its warehouse had given up stayed released for ever."""
    await wms.connector.send(an_order())
    await wms.fake.cancel(REFERENCE)
    wms.faults.half = True
    with pytest.raises(InDoubt, match="cannot be read"):
        await wms.connector.send(a_cancel())
    wms.faults.half = False
    assert (await wms.connector.find(a_cancel())) is not None


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        ({"error": {"code": "already_cancelled"}}, False),
        ({"error": {"code": "already_shipped"}}, False),
        ({"error": {"code": None}}, False),
        ({"error": {}}, False),
        ({}, False),
        (None, False),
        ({"error": {"code": {"planted": ["already_cancelled"]}}}, True),
        ({"error": "planted"}, True),
        ('{"error": {"co', True),
    ],
)
def test_which_refusals_cannot_be_read(body: Json, hidden: bool) -> None:
    already = When(
        statuses=frozenset({409}), path="error.code", values=frozenset({"already_cancelled"})
    )
    assert already.is_hidden_by(Answer(status=409, headers={}, body=body)) is hidden
    assert not already.is_hidden_by(Answer(status=404, headers={}, body=body))


async def test_the_warehouse_decides_the_race_of_cancel_and_ship(wms: Bench) -> None:
    """S15."""
    await wms.connector.send(an_order())
    assert (await wms.connector.send(a_cancel())).already is False
    assert (await wms.connector.send(a_cancel())).already is True
    assert (await wms.connector.find(a_cancel())) is not None
    await wms.connector.send(an_order("late"))
    await wms.fake.ship("late")
    with pytest.raises(Rejected, match="it has left the house"):
        await wms.connector.send(a_cancel("late"))
    assert await wms.connector.find(a_cancel("late")) is None


async def test_a_push_is_signed_and_only_a_hint(wms: Bench) -> None:
    await wms.connector.send(an_order())
    parcel = await wms.fake.ship(REFERENCE)
    headers, body = wms.pushes[-1]
    assert headers["x-wms-signature"] == hmac.digest(b"hush", body, "sha256").hex()
    (event,) = wms.connector.events(Push(topic=headers["x-wms-topic"], headers=headers, body=body))
    assert (event.resource, event.external_id, event.item) == ("shipment", parcel["id"], None)
    item = await wms.connector.fetch("shipment", event.external_id)
    assert item is not None
    assert item.body["reference"] == REFERENCE
    assert item.revision == "1"
    assert await wms.connector.fetch("shipment", "S999") is None


async def test_a_net_warehouse_moves_its_number_when_it_accepts() -> None:
    wms = a_bench("generic_wms", basis="available")
    wms.fake.receive("MUG", "MAIN", 10)
    receipt = await wms.connector.send(an_order(MUG=4))
    items, _ = await a_pass(wms.connector, "stock_reading")
    assert items[0].body["available"] == 6
    assert items[0].body["on_hand"] is None
    assert receipt.counter == items[0].body["as_of_movement"] == 2
    await wms.fake.ship(REFERENCE)
    items, _ = await a_pass(wms.connector, "stock_reading")
    assert items[0].body["available"] == 6


async def test_a_system_that_is_away_is_asked_again_later(wms: Bench) -> None:
    wms.faults.down = True
    with pytest.raises(Retry):
        await wms.connector.send(an_order())
    assert wms.fake.orders() == []
    wms.faults.down = False
    assert (await wms.connector.send(an_order())).already is False
