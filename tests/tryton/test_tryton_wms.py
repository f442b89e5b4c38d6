"""The warehouse connector against a real Tryton: stock, short picks, cancellation, lost answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from core.contract import Receipt
from core.errors import InDoubt, LoginNeeded, Rejected, Retry
from core.model import FulfillOrder, Shipment, StockReading
from tests.tryton.builders import cancel_fulfillment, fulfill_order
from tests.tryton.harness import Losing, Worker, command, connector, everything, records, tryton
from tests.tryton.server import TrytonServer

pytestmark = pytest.mark.real


async def _on_hand(system: Any) -> dict[str, int]:
    readings = await records("tryton_wms", system, "stock_reading")
    assert all(isinstance(one, StockReading) and one.place == "WH" for one in readings)
    return {one.sku: one.on_hand for one in readings}


async def _shipment(system: Any, asked: FulfillOrder) -> Shipment:
    found = await records("tryton_wms", system, "shipment")
    (one,) = [one for one in found if one.reference == asked.reference]
    return one


async def _asked(system: Any, **units: int) -> FulfillOrder:
    asked = fulfill_order(**units)
    assert await system.find(command("fulfill_order", asked)) is None
    await system.send(command("fulfill_order", asked))
    return asked


async def test_bins_are_summed_and_a_code_keeps_its_zeros(tryton_wms: Any, worker: Worker) -> None:
    before = await _on_hand(tryton_wms)
    worker.count("00123", 7, bin_code="A-02")
    after = await _on_hand(tryton_wms)
    assert after["00123"] == before["00123"] + 7


async def test_picked_units_are_on_hand_until_the_parcel_is_done(
    tryton_wms: Any, worker: Worker
) -> None:
    """Tryton moves them out of storage at the pick; told so, they would be subtracted twice."""
    before = (await _on_hand(tryton_wms))["SKU-0001"]
    asked = await _asked(tryton_wms, SKU_0001=2)
    assert worker.shipment(asked.reference)["state"] == "assigned"
    for step in (worker.pick, worker.pack, worker.ship):
        step(asked.reference)
        assert (await _on_hand(tryton_wms))["SKU-0001"] == before
        assert (await _shipment(tryton_wms, asked)).state == "waiting"
    worker.finish(asked.reference)
    assert (await _on_hand(tryton_wms))["SKU-0001"] == before - 2
    assert (await _shipment(tryton_wms, asked)).state == "shipped"


async def test_a_short_pick_is_told_with_the_parcel(tryton_wms: Any, worker: Worker) -> None:
    asked = await _asked(tryton_wms, SKU_0001=2, SKU_0002=3)
    worker.send_off(asked.reference, tracking="TRK-1", found={"SKU-0002": 1})
    parcel = await _shipment(tryton_wms, asked)
    assert {line.sku: line.quantity for line in parcel.lines} == {"SKU-0001": 2, "SKU-0002": 1}
    assert [(line.sku, line.quantity) for line in parcel.short] == [("SKU-0002", 2)]
    assert (parcel.carrier, parcel.tracking, parcel.place) == ("Delhivery", "TRK-1", "WH")
    assert parcel.complete
    assert parcel.shipped_at is not None


async def test_a_sku_that_is_not_found_at_all_is_short_too(tryton_wms: Any, worker: Worker) -> None:
    asked = await _asked(tryton_wms, SKU_0001=1, SKU_0003=1)
    worker.send_off(asked.reference, found={"SKU-0003": 0})
    parcel = await _shipment(tryton_wms, asked)
    assert [(line.sku, line.quantity) for line in parcel.lines] == [("SKU-0001", 1)]
    assert [(line.sku, line.quantity) for line in parcel.short] == [("SKU-0003", 1)]


async def test_more_than_the_shelf_holds_waits(tryton_wms: Any, worker: Worker) -> None:
    asked = await _asked(tryton_wms, SKU_0001=1, SKU_0003=100_000)
    assert worker.shipment(asked.reference)["state"] == "waiting"
    assert (await _shipment(tryton_wms, asked)).state == "waiting"
    stopped = await tryton_wms.send(command("cancel_fulfillment", cancel_fulfillment(asked)))
    assert not stopped.already


async def test_the_same_order_twice_is_one_shipment(tryton_wms: Any, worker: Worker) -> None:
    asked = await _asked(tryton_wms, SKU_0001=1)
    again = await tryton_wms.send(command("fulfill_order", asked))
    found = await tryton_wms.find(command("fulfill_order", asked))
    assert again.already
    assert found == Receipt(reference=again.reference, already=True)
    assert worker.shipment(asked.reference)["number"] == again.reference


async def test_the_packers_decide_the_race(tryton_wms: Any, worker: Worker) -> None:
    """Before the pick a cancellation wins, after it the parcel goes (S15)."""
    early = await _asked(tryton_wms, SKU_0001=1)
    stop = command("cancel_fulfillment", cancel_fulfillment(early))
    assert await tryton_wms.find(stop) is None
    await tryton_wms.send(stop)
    assert (await _shipment(tryton_wms, early)).state == "cancelled"
    assert (await tryton_wms.send(stop)).already
    assert (await tryton_wms.find(stop)) is not None

    late = await _asked(tryton_wms, SKU_0001=1)
    worker.pick(late.reference)
    with pytest.raises(Rejected, match="already picked in the warehouse"):
        await tryton_wms.send(command("cancel_fulfillment", cancel_fulfillment(late)))


async def test_an_unknown_sku_is_refused_by_name(tryton_wms: Any) -> None:
    asked = replace(fulfill_order(SKU_0001=1, NOT_A_SKU=1))
    with pytest.raises(Rejected, match="'NOT-A-SKU'"):
        await tryton_wms.send(command("fulfill_order", asked))
    assert await tryton_wms.find(command("fulfill_order", asked)) is None


async def test_an_unknown_warehouse_is_refused_with_the_known_ones(tryton_wms: Any) -> None:
    asked = replace(fulfill_order(SKU_0001=1), place="MOON")
    with pytest.raises(Rejected, match=r"'MOON'; it has: WH"):
        await tryton_wms.send(command("fulfill_order", asked))


async def test_the_next_pass_reads_only_what_changed(tryton_wms: Any, worker: Worker) -> None:
    asked = await _asked(tryton_wms, SKU_0001=1)
    page = await tryton_wms.read("shipment", None, None)
    assert page.since is not None
    worker.send_off(asked.reference)
    changed = await everything(tryton_wms, "shipment", page.since)
    assert asked.reference in {item.body["reference"] for item in changed}
    # The watermark is Tryton's clock at the beginning of the pass: what was older stays away.
    assert len(changed) < len(page.items) or len(page.items) == 1
    one = next(item for item in changed if item.body["reference"] == asked.reference)
    assert (await tryton_wms.fetch("shipment", one.external_id)) == one


async def test_whatever_answer_is_lost_there_is_one_shipment(
    wms_server: TrytonServer, tryton_wms: Any, worker: Worker
) -> None:
    """Every write of the command in turn: find tells the truth, sending again completes it."""
    for lose in range(1, 20):
        asked = fulfill_order(SKU_0001=1, SKU_0002=1)
        line = Losing(lose)
        async with connector(wms_server, transport=line) as shaky:
            if not await _lost(shaky, command("fulfill_order", asked)):
                break
        found = await tryton_wms.find(command("fulfill_order", asked))
        done = found or await tryton_wms.send(command("fulfill_order", asked))
        shipment = worker.shipment(asked.reference)  # exactly one, or it fails
        assert shipment["state"] == "assigned"
        assert shipment["number"] == done.reference
    assert lose == 6  # party, shipment, note, wait, assign; the sixth never came


async def _lost(system: Any, sent: Any) -> bool:
    try:
        await system.send(sent)
    except InDoubt:
        return True
    return False


async def test_a_wrong_key_is_for_a_person(wms_server: TrytonServer) -> None:
    async with connector(wms_server, key="f" * 128) as system:
        with pytest.raises(LoginNeeded):
            await system.read("stock_reading", None, None)


@pytest.fixture
def restarting() -> Iterator[TrytonServer]:
    with tryton("wms") as server:
        yield server


async def test_a_stopped_warehouse_is_asked_later_and_nothing_is_lost(
    restarting: TrytonServer,
) -> None:
    asked = fulfill_order(SKU_0001=1)
    async with connector(restarting) as system:
        await system.send(command("fulfill_order", asked))
    restarting.stop()
    async with connector(restarting) as system:
        with pytest.raises(Retry):
            await system.read("stock_reading", None, None)
        with pytest.raises(Retry):  # nobody listened, so nothing was sent: not in doubt
            await system.send(command("fulfill_order", fulfill_order(SKU_0001=1)))
    restarting.start()
    async with connector(restarting) as system:
        assert (await system.send(command("fulfill_order", asked))).already
