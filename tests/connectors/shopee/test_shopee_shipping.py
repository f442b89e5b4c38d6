"""Parcels: the way Shopee names, once, and what became of a lost answer."""

from __future__ import annotations

import json

import pytest
from shopee_kit import a_parcel

from core.errors import InDoubt, Rejected, Retry

TEE = "TEE-M"


def an_order(shop, units=2):
    shop.fake.list_item(TEE, 9)
    return shop.fake.place_order([{"sku": TEE, "quantity": units}])


async def test_a_parcel_is_dropped_off_and_its_number_comes_later(shop):
    sn = an_order(shop)
    receipt = await shop.shopee.send(a_parcel(shop.fake, sn))
    (package,) = shop.fake.packages(sn)
    assert package["told"] == {"dropoff": {}}
    assert receipt.reference == package["number"]
    assert receipt.note == "Shopee names no tracking number yet"
    assert shop.fake.status(sn) == "PROCESSED"
    shop.clock.advance(61)
    found = await shop.shopee.find(a_parcel(shop.fake, sn))
    assert (found.already, found.note) == (True, f"Shopee follows it as {package['tracking']}")


@pytest.mark.parametrize(
    ("needs", "hand_over", "told"),
    [
        ({"dropoff": ["branch_id"]}, "any", {"dropoff": {"branch_id": 7}}),
        (
            {"pickup": ["address_id", "pickup_time_id"]},
            "any",
            {"pickup": {"address_id": 2, "pickup_time_id": "slot-2"}},
        ),
        (
            {"non_integrated": ["tracking_number"]},
            "any",
            {"non_integrated": {"tracking_number": "OURS1"}},
        ),
        (
            {"pickup": ["address_id"], "dropoff": []},
            "pickup",
            {"pickup": {"address_id": 2}},
        ),
        ({"pickup": ["address_id"], "dropoff": []}, "dropoff", {"dropoff": {}}),
        (
            {"dropoff": ["sender_real_name"]},
            "any",
            {"dropoff": {"sender_real_name": "ACME"}},
        ),
    ],
)
async def test_it_is_told_in_exactly_the_way_that_was_asked(shops, needs, hand_over, told):
    shop = shops(info_needed=json.dumps(needs), hand_over=hand_over)
    sn = an_order(shop)
    body = {
        "order_sn": sn,
        "non_integrated": {"tracking_number": "OURS1"},
        "dropoff": {"sender_real_name": "ACME", "tracking_number": "OURS1"},
    }
    receipt = await shop.shopee.send(a_parcel(shop.fake, sn, body=body))
    (package,) = shop.fake.packages(sn)
    assert package["told"] == told
    if "non_integrated" in told:
        assert (package["tracking"], receipt.note) == ("OURS1", "")


async def test_what_nobody_knows_is_asked_of_a_person(shops):
    shop = shops(info_needed=json.dumps({"dropoff": ["sender_real_name"]}))
    with pytest.raises(Rejected, match="wants sender_real_name"):
        await shop.shopee.send(a_parcel(shop.fake, an_order(shop)))


async def test_no_way_at_all_is_said(shops):
    shop = shops(info_needed="{}")
    with pytest.raises(Rejected, match="no way to hand this parcel over"):
        await shop.shopee.send(a_parcel(shop.fake, an_order(shop)))


async def test_h21_a_lost_answer_is_in_doubt_and_looked_up(shop):
    sn = an_order(shop)
    shop.fake.misbehave("logistics/ship_order", "lost")
    with pytest.raises(InDoubt):
        await shop.shopee.send(a_parcel(shop.fake, sn))
    found = await shop.shopee.find(a_parcel(shop.fake, sn))
    assert (found.already, found.reference) == (True, shop.fake.packages(sn)[0]["number"])
    again = await shop.shopee.send(a_parcel(shop.fake, sn))
    assert again.already
    assert shop.fake.calls().count("logistics/ship_order") == 1


async def test_what_did_not_happen_is_not_found(shop):
    sn = an_order(shop)
    shop.fake.misbehave("logistics/ship_order", "ill")
    with pytest.raises(InDoubt, match="error_server"):
        await shop.shopee.send(a_parcel(shop.fake, sn))
    assert await shop.shopee.find(a_parcel(shop.fake, sn)) is None
    assert not (await shop.shopee.send(a_parcel(shop.fake, sn))).already


async def test_a_package_that_was_arranged_meanwhile_is_success(shop):
    """Between our look and our call somebody arranged it; the code begins with a blank."""
    sn = an_order(shop)
    real = shop.line.handle_async_request

    async def meanwhile(request):
        if request.url.path.endswith("ship_order"):
            placed = shop.fake.shop.orders[sn]
            shop.fake.shop.arrange(placed, placed.packages[0], {"dropoff": {}})
        return await real(request)

    shop.line.handle_async_request = meanwhile
    assert (await shop.shopee.send(a_parcel(shop.fake, sn))).already


async def test_an_order_that_waits_for_an_answer_to_the_buyer_is_not_shipped(shop):
    sn = an_order(shop)
    shop.fake.request_cancel(sn)
    with pytest.raises(Retry, match="wants to cancel"):
        await shop.shopee.send(a_parcel(shop.fake, sn))
    shop.fake.decide(sn, accept=False)
    assert not (await shop.shopee.send(a_parcel(shop.fake, sn))).already


async def test_a_cancelled_package_is_no_success(shop):
    sn = an_order(shop)
    shop.fake.cancel(sn)
    for call in (shop.shopee.send, shop.shopee.find):
        with pytest.raises(Rejected, match="has given up the package"):
            await call(a_parcel(shop.fake, sn, {TEE: 2}))


async def test_a_part_of_the_only_package_splits_the_order(shop):
    sn = an_order(shop, units=3)
    await shop.shopee.send(a_parcel(shop.fake, sn, {TEE: 1}, complete=False))
    now, later = shop.fake.packages(sn)
    assert (now["lines"], now["told"]) == ({TEE: 1}, {"dropoff": {}})
    assert (later["lines"], later["told"]) == ({TEE: 2}, {})
    assert shop.fake.status(sn) == "READY_TO_SHIP"
    last = a_parcel(shop.fake, sn, {TEE: 2}, parcel=2, complete=True)
    assert not (await shop.shopee.send(last)).already
    assert shop.fake.status(sn) == "PROCESSED"


async def test_h21_a_lost_split_is_seen_and_not_made_again(shop):
    sn = an_order(shop, units=3)
    part = a_parcel(shop.fake, sn, {TEE: 1}, complete=False)
    shop.fake.misbehave("order/split_order", "lost")
    with pytest.raises(InDoubt):
        await shop.shopee.send(part)
    assert await shop.shopee.find(part) is None
    assert not (await shop.shopee.send(part)).already
    assert shop.fake.calls().count("order/split_order") == 1


async def test_what_did_not_happen_at_all_is_not_found(shop):
    sn = an_order(shop, units=3)
    part = a_parcel(shop.fake, sn, {TEE: 1}, complete=False)
    shop.fake.misbehave("order/split_order", "ill")
    with pytest.raises(InDoubt):
        await shop.shopee.send(part)
    assert await shop.shopee.find(part) is None


async def test_an_order_that_may_not_be_split_is_a_persons_until_its_last_parcel(shop):
    sn = an_order(shop, units=3)
    shop.fake.shop.orders[sn].status = "RETRY_SHIP"
    with pytest.raises(Rejected, match="as one package.*order.order_cannot_split"):
        await shop.shopee.send(a_parcel(shop.fake, sn, {TEE: 1}, complete=False))
    assert shop.fake.packages(sn)[0]["told"] == {}
    last = a_parcel(shop.fake, sn, {TEE: 2}, parcel=2, complete=True)
    assert not (await shop.shopee.send(last)).already


async def test_shopee_splits_once_so_a_third_parcel_is_a_persons(shop):
    """The second one holds what the first held, and is not taken for it."""
    sn = an_order(shop, units=3)
    await shop.shopee.send(a_parcel(shop.fake, sn, {TEE: 1}, complete=False))
    with pytest.raises(Rejected, match="splits an order once"):
        await shop.shopee.send(a_parcel(shop.fake, sn, {TEE: 1}, parcel=2, complete=False))
    last = a_parcel(shop.fake, sn, {TEE: 1}, parcel=3, complete=True)
    assert not (await shop.shopee.send(last)).already
    assert shop.fake.status(sn) == "PROCESSED"
    assert (await shop.shopee.find(last)).already


async def test_h21_of_two_alike_packages_the_one_that_was_told_is_found(shop):
    sn = an_order(shop, units=2)
    shop.fake.split(sn, [{TEE: 1}, {TEE: 1}])
    first = a_parcel(shop.fake, sn, {TEE: 1}, complete=False)
    shop.fake.misbehave("logistics/ship_order", "lost")
    with pytest.raises(InDoubt):
        await shop.shopee.send(first)
    assert (await shop.shopee.find(first)).already
    second = a_parcel(shop.fake, sn, {TEE: 1}, parcel=2)
    assert await shop.shopee.find(second) is None


async def test_parcels_of_a_split_order_find_their_packages(shop):
    shop.fake.list_models({"RED": 9, "BLUE": 9})
    lines = [{"sku": "RED", "quantity": 2}, {"sku": "BLUE", "quantity": 1}]
    sn = shop.fake.place_order(lines)
    shop.fake.split(sn, [{"RED": 2}, {"BLUE": 1}])
    await shop.shopee.send(a_parcel(shop.fake, sn, {"BLUE": 1}, complete=False))
    red, blue = shop.fake.packages(sn)
    assert (red["told"], blue["told"]) == ({}, {"dropoff": {}})
    assert shop.fake.status(sn) == "READY_TO_SHIP"
    await shop.shopee.send(a_parcel(shop.fake, sn, {"RED": 2}, parcel=2))
    assert shop.fake.status(sn) == "PROCESSED"
    with pytest.raises(Rejected, match="holds just what is in this parcel"):
        await shop.shopee.send(a_parcel(shop.fake, sn, {"RED": 1}, parcel=3, complete=False))


async def test_two_alike_packages_are_told_one_after_the_other(shop):
    sn = an_order(shop, units=2)
    shop.fake.split(sn, [{TEE: 1}, {TEE: 1}])
    first = await shop.shopee.send(a_parcel(shop.fake, sn, {TEE: 1}, complete=False))
    second = await shop.shopee.send(a_parcel(shop.fake, sn, {TEE: 1}, parcel=2))
    assert {first.reference, second.reference} == {
        package["number"] for package in shop.fake.packages(sn)
    }


async def test_an_order_nobody_knows_there(shop):
    sn = an_order(shop)
    parcel = a_parcel(shop.fake, sn)
    del shop.fake.shop.orders[sn]
    with pytest.raises(Rejected, match="has no order"):
        await shop.shopee.send(parcel)


async def test_an_order_without_a_package_is_asked_again(shop):
    sn = an_order(shop)
    shop.fake.shop.orders[sn].packages.clear()
    with pytest.raises(Retry, match="no package"):
        await shop.shopee.send(a_parcel(shop.fake, sn))
