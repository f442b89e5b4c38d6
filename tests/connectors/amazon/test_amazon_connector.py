"""The connector against the fake; every exchange is also held against Amazon's models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from amazon_kit import SETTINGS

from connectors.amazon import Amazon
from core.contract import Command, Offer, Page
from core.errors import InDoubt, LoginNeeded, RateLimited, Rejected, Retry
from core.model import ConfirmShipment, QuantityLine


def a_parcel(fake: Any, order: str, parcel: int = 1, quantity: int = 1, **change: Any) -> Command:
    line = fake.market.orders[order].lines[0]
    fields: dict[str, Any] = {
        "reference": f"truecount:{order}:confirm:{parcel}",
        "order": order,
        "number": order,
        "shipment": f"WH-{parcel}",
        "parcel": parcel,
        "shipped_at": fake.world.now(),
        "carrier": "UPS",
        "tracking": "1Z999AA10123456784",
        "lines": (QuantityLine(line=line.item, sku=line.sku, quantity=quantity),),
        "extras": {"marketplace_id": "ATVPDKIKX0DER"},
    }
    record = ConfirmShipment(**{**fields, **change})
    return Command(key=record.reference, kind="confirm_shipment", record=record)


def an_offer(sku: str, quantity: int) -> Offer:
    return Offer(
        listing=sku, place="", sku=sku, quantity=quantity, shown=None, key=f"truecount:{sku}"
    )


async def walk_on(shop: Any, token: str | None) -> None:
    for _ in range(100):
        if token is None:
            return
        shop.clock.advance(1)
        token = (await shop.amazon.read("listing", None, token)).next
    raise AssertionError("the walk does not end")


def ids_of(pages: list[Page]) -> list[str]:
    return [item.external_id for page in pages for item in page.items]


# ---------------------------------------------------------------- reading orders


async def test_a_search_shows_an_order_two_minutes_late_and_the_echo_is_the_watermark(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    shop.clock.advance(119)
    early = await shop.amazon.read("order", None, None)
    shop.clock.advance(1)
    late = await shop.amazon.read("order", early.since, None)
    assert early.items == []
    assert early.since == "2026-11-25T08:59:59Z"  # Amazon's word, not our clock's
    assert [item.external_id for item in late.items] == [order]
    assert late.items[0].revision == "2026-11-25T09:00:00Z"


async def test_the_first_start_reads_from_the_setting_and_later_ones_from_the_watermark(shop):
    await shop.amazon.read("order", None, None)
    await shop.amazon.read("order", "2026-11-25T08:50:00.123456Z", None)
    first, second = (exchange.query for exchange in shop.witness.exchanges)
    assert "lastUpdatedAfter=2026-11-01T00%3A00%3A00Z" in first
    assert "lastUpdatedAfter=2026-11-25T08%3A50%3A00Z" in second  # down to Amazon's whole second


async def test_pages_cover_every_order_once_and_keep_the_first_bound(shop):
    shop.fake.list_item("MANY", 10_000)
    placed = [shop.fake.place_order([{"sku": "MANY", "quantity": 1}]) for _ in range(205)]
    shop.clock.advance(300)
    first = await shop.amazon.read("order", None, None)
    shop.clock.advance(600)  # a slow pass: the second page is asked ten minutes later
    second = await shop.amazon.read("order", None, first.next)
    third = await shop.amazon.read("order", None, second.next)
    assert [len(page.items) for page in (first, second, third)] == [100, 100, 5]
    assert sorted(ids_of([first, second, third])) == sorted(placed)
    assert third.next is None
    assert third.since == first.since == "2026-11-25T09:03:00Z"


async def test_a_page_token_dies_after_a_day_and_the_pass_is_refused_not_shortened(shop):
    shop.fake.list_item("MANY", 10_000)
    for _ in range(101):
        shop.fake.place_order([{"sku": "MANY", "quantity": 1}])
    shop.clock.advance(300)
    first = await shop.amazon.read("order", None, None)
    shop.clock.advance(25 * 3600)
    with pytest.raises(Rejected, match="token"):
        await shop.amazon.read("order", None, first.next)


async def test_twenty_searches_and_then_one_in_178_seconds(shop):
    for _ in range(20):
        await shop.amazon.read("order", None, None)
    with pytest.raises(RateLimited):
        await shop.amazon.read("order", None, None)
    shop.clock.advance(178)
    with pytest.raises(RateLimited):
        await shop.amazon.read("order", None, None)
    shop.clock.advance(1)
    await shop.amazon.read("order", None, None)


async def test_one_order_is_fetched_alone_and_an_unknown_one_is_none(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 2}], discount=200)
    item = await shop.amazon.fetch("order", order)
    assert item is not None
    assert item.body["orderItems"][0]["quantityOrdered"] == 2
    assert await shop.amazon.fetch("order", "000-0000000-0000000") is None
    assert shop.door.budgets == ["getOrder", "getOrder"]


async def test_nothing_of_the_buyer_is_asked_for_beyond_the_address(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    item = await shop.amazon.fetch("order", order)
    assert item is not None
    assert "buyer" not in item.body
    assert "recipient" in item.body


async def test_what_the_mapping_needs_is_asked_for_in_a_search_and_a_fetch(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}], discount=200)
    shop.fake.request_cancel(order)
    shop.clock.advance(300)
    fetched = await shop.amazon.fetch("order", order)
    page = await shop.amazon.read("order", None, None)
    for item in (fetched, page.items[0]):
        assert {"proceeds", "fulfillment", "recipient"} <= item.body.keys()
        (line,) = item.body["orderItems"]
        assert {"proceeds", "fulfillment", "promotion", "cancellation", "tax"} <= line.keys()


# ---------------------------------------------------------------- reading listings


async def test_a_snapshot_walks_past_the_thousand_a_search_can_show(shop):
    for number in range(1030):
        shop.fake.list_item(f"SKU-{number:05}", number)
        shop.clock.advance(1)
    for number in range(40):  # our own writes: last updated is not the order of creation
        shop.fake.market.accept(f"SKU-{number:05}", "merge", {"quantity": 1})
    shop.clock.advance(1)
    pages = [await shop.amazon.read("listing", None, None)]
    while pages[-1].next is not None:
        assert len(pages) < 60, "the walk does not end"
        shop.clock.advance(1)  # five searches a second are granted
        pages.append(await shop.amazon.read("listing", None, pages[-1].next))
    assert len(set(ids_of(pages))) == 1032
    assert pages[-1].since is None


async def test_a_thousand_listings_of_one_second_are_refused_rather_than_cut_short(shop):
    for number in range(1200):
        shop.fake.list_item(f"SKU-{number:05}", number)
    page = await shop.amazon.read("listing", None, None)
    with pytest.raises(Rejected, match="one instant"):
        await walk_on(shop, page.next)


async def test_one_listing_is_read_back_alone(shop):
    item = await shop.amazon.fetch("listing", "A/B 1%")
    assert item is not None
    assert item.external_id == "A/B 1%"
    assert item.body["fulfillmentAvailability"][0]["quantity"] == 5
    assert await shop.amazon.fetch("listing", "GONE") is None


# ---------------------------------------------------------------- telling the stock


async def test_a_sku_is_escaped_in_the_path_and_accepted_is_not_yet_live(shop):
    (result,) = await shop.amazon.publish([an_offer("A/B 1%", 3)])
    assert shop.witness.exchanges[-1].path.endswith("/A%2FB%201%25")
    assert (result.outcome, result.shown, result.listing) == ("accepted", None, "A/B 1%")
    assert shop.fake.stock("A/B 1%") == 5
    shop.clock.advance(1)
    assert shop.fake.stock("A/B 1%") == 3


async def test_merge_keeps_the_lead_time_that_replace_would_wipe(shop):
    await shop.amazon.publish([an_offer("TEE-BLU-M", 7)])
    shop.clock.advance(1)
    assert shop.fake.attributes("TEE-BLU-M") == {"quantity": 7, "lead_time_to_ship_max_days": 3}
    shop.fake.market.accept("TEE-BLU-M", "replace", {"quantity": 7})
    shop.clock.advance(1)
    assert shop.fake.attributes("TEE-BLU-M")["lead_time_to_ship_max_days"] is None


async def test_a_200_that_says_invalid_is_a_refusal_in_amazons_words(shop):
    (result,) = await shop.amazon.publish([an_offer("TEE-BLU-M", -1)])
    assert result.outcome == "rejected"
    assert result.words == "quantity is out of range"
    shop.clock.advance(60)
    assert shop.fake.stock("TEE-BLU-M") == 10


async def test_a_refused_sku_does_not_fail_the_others(shop):
    offers = [an_offer("TEE-BLU-M", 4), an_offer("NOT-OURS", 4), an_offer("A/B 1%", 4)]
    results = await shop.amazon.publish(offers)
    assert [one.outcome for one in results] == ["accepted", "rejected", "accepted"]
    assert "NOT-OURS" in results[1].words


async def test_what_was_answered_before_a_throttle_is_kept_and_the_rest_is_unsent(shop):
    offers = [an_offer("TEE-BLU-M", number) for number in range(1, 9)]
    results = await shop.amazon.publish(offers)
    assert [one.outcome for one in results] == ["accepted"] * 5  # the burst
    with pytest.raises(RateLimited):
        await shop.amazon.publish(offers[5:])
    shop.clock.advance(1)
    assert shop.fake.stock("TEE-BLU-M") == 5


async def test_a_lost_answer_leaves_that_sku_unknown(shop):
    await shop.amazon.publish([an_offer("A/B 1%", 1)])
    shop.fake.misbehave("patchListingsItem", "lost")
    with pytest.raises(InDoubt):
        await shop.amazon.publish([an_offer("TEE-BLU-M", 2)])
    shop.fake.misbehave("patchListingsItem", "html", times=2)
    with pytest.raises(InDoubt):
        await shop.amazon.publish([an_offer("TEE-BLU-M", 3), an_offer("A/B 1%", 2)])
    shop.clock.advance(5)
    assert shop.fake.stock("TEE-BLU-M") == 2


async def test_an_unknown_in_the_middle_keeps_what_came_before_it(shop):
    shop.fake.habits["patchListingsItem"] = ["", "lost"]
    offers = [an_offer("TEE-BLU-M", 2), an_offer("A/B 1%", 2), an_offer("TEE-BLU-M", 1)]
    results = await shop.amazon.publish(offers)
    assert [one.outcome for one in results] == ["accepted", "unknown"]


# ---------------------------------------------------------------- telling of parcels


async def test_a_parcel_is_confirmed_and_seen_in_the_order(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 2}])
    receipt = await shop.amazon.send(a_parcel(shop.fake, order, quantity=1))
    assert (receipt.reference, receipt.already) == ("1", False)
    assert shop.fake.status(order) == "PARTIALLY_SHIPPED"
    await shop.amazon.send(a_parcel(shop.fake, order, parcel=2, tracking="1Z2"))
    assert shop.fake.status(order) == "SHIPPED"
    assert [one["packageReferenceId"] for one in shop.fake.shipments(order)] == ["1", "2"]


async def test_a_lost_confirmation_is_found_and_one_that_never_arrived_is_not(shop):
    """H21: look, then act."""
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    command = a_parcel(shop.fake, order)
    assert await shop.amazon.find(command) is None
    shop.fake.misbehave("confirmShipment", "lost")
    with pytest.raises(InDoubt):
        await shop.amazon.send(command)
    found = await shop.amazon.find(command)
    assert found is not None
    assert (found.reference, found.already) == ("1", True)


async def test_the_same_parcel_twice_is_one_parcel(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    command = a_parcel(shop.fake, order)
    await shop.amazon.send(command)
    await shop.amazon.send(command)
    assert len(shop.fake.shipments(order)) == 1


async def test_a_parcel_somebody_confirmed_by_hand_is_not_mistaken_for_ours(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    await shop.amazon.send(a_parcel(shop.fake, order, tracking="BY-HAND-1"))
    assert await shop.amazon.find(a_parcel(shop.fake, order, tracking="1Z9")) is None
    found = await shop.amazon.find(a_parcel(shop.fake, order, tracking="by hand 1"))
    assert found is not None


async def test_an_unknown_carrier_is_other_with_its_name(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    await shop.amazon.send(a_parcel(shop.fake, order, carrier="Bicycle Bob"))
    detail = json.loads(shop.witness.exchanges[-1].sent)["packageDetail"]
    assert (detail["carrierCode"], detail["carrierName"]) == ("Other", "Bicycle Bob")
    await shop.amazon.send(a_parcel(shop.fake, order, carrier="fedex"))
    detail = json.loads(shop.witness.exchanges[-1].sent)["packageDetail"]
    assert detail["carrierCode"] == "FedEx"
    assert "carrierName" not in detail


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": 3}, "greater than the quantity ordered"),
        ({"parcel": 0}, "positive number"),
        ({"tracking": ""}, "trackingNumber"),
        ({"lines": (QuantityLine(line="77", quantity=1),)}, "unknown item"),
    ],
)
async def test_a_wrong_parcel_is_refused_in_amazons_words(shop, change, words):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 2}])
    with pytest.raises(Rejected, match=words):
        await shop.amazon.send(a_parcel(shop.fake, order, **change))
    assert shop.fake.shipments(order) == []


async def test_a_pending_order_cannot_be_confirmed(shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}], pending=True)
    with pytest.raises(Rejected, match="PENDING"):
        await shop.amazon.send(a_parcel(shop.fake, order))


# ---------------------------------------------------------------- bad days


async def test_the_rate_amazon_names_reaches_the_limiter_and_what_is_left_stays_unsaid(shop):
    await shop.amazon.read("order", None, None)
    await shop.amazon.publish([an_offer("TEE-BLU-M", 3)])
    assert shop.door.observed == {
        "searchOrders": (-1, 0.0056, -1),
        "patchListingsItem": (-1, 5, -1),
    }


async def test_an_outage_is_a_retry_and_did_not_happen(shop):
    shop.fake.misbehave("patchListingsItem", "down")
    with pytest.raises(Retry):
        await shop.amazon.publish([an_offer("TEE-BLU-M", 3)])
    shop.clock.advance(5)
    assert shop.fake.stock("TEE-BLU-M") == 10


async def test_an_hour_old_token_is_renewed_once(shop):
    await shop.amazon.fetch("order", "000-0000000-0000000")
    shop.clock.advance(3601)
    await shop.amazon.fetch("order", "000-0000000-0000000")
    assert [exchange.status for exchange in shop.witness.exchanges] == [404, 403, 404]


async def test_html_where_json_was_due_is_an_outage_not_an_answer(shop):
    shop.fake.misbehave("getOrder", "html")
    with pytest.raises(Retry):
        await shop.amazon.fetch("order", "000-0000000-0000000")


async def test_a_probe_changes_nothing_and_leaves_the_search_budget_alone(shop):
    assert await shop.amazon.probe() == {"listings": "ok", "orders": "ok"}
    assert "searchOrders" not in shop.door.budgets


async def test_a_probe_of_the_wrong_account_says_which_api_refuses(shop):
    stranger = Amazon(shop.door, {**SETTINGS, "seller_id": "A2SOMEBODYELSE"})
    verdict = await stranger.probe()
    assert verdict["orders"] == "ok"
    assert verdict["listings"].startswith("403: Access to requested resource is denied")
    with pytest.raises(LoginNeeded):
        await stranger.read("listing", None, None)
