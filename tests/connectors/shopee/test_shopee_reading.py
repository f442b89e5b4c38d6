"""Orders: windows of 15 days, pages that shift, details in fifties, what the buyer paid."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from shopee_kit import order_of

from connectors.shopee.windows import LONGEST_S, Window
from core.errors import Rejected
from core.lifecycle import document_total
from core.model import DeadlineKind, Mask, Party, Payment, RequestState

TEE = "TEE-M"


def orders(shop, count, *, sku=TEE, apart_s=1.0):
    """So many orders, one unit each."""
    if sku not in [model.sku for item in shop.fake.shop.items.values() for model in item.models]:
        shop.fake.list_item(sku, 100_000)
    made = []
    for _ in range(count):
        made.append(shop.fake.place_order([{"sku": sku, "quantity": 1}]))
        shop.clock.advance(apart_s)
    return made


async def test_an_order_is_captured_whole_and_ties_to_the_cent(shop):
    shop.fake.list_item(TEE, 9, price=1060)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 3}], voucher=300)
    (item,), since, _ = await shop.all("order")
    order = order_of(item)
    assert (order.key, order.total, order.payment) == (sn, document_total(order), Payment.PAID)
    assert str(order.total) == "30.79 SGD"  # 31.80 - 3.00 + 1.99
    assert order.ship_to.mask is Mask.MASKED
    assert [one.kind for one in order.deadlines] == [DeadlineKind.SHIP]
    assert order.deadlines[0].at == order.placed_at + timedelta(days=2)
    assert since == "2026-11-25T09:00:00Z"


async def test_a_watermark_of_months_ago_is_read_in_windows_of_15_days(shop):
    orders(shop, 1)
    items, _, _ = await shop.all("order", "2026-08-01T00:00:00Z")
    assert len(items) == 1
    spans = [
        (int(one["time_from"]), int(one["time_to"])) for one in shop.witness.asked("get_order_list")
    ]
    assert all(ends - begins <= LONGEST_S for begins, ends in spans)
    assert spans[0][0] == int(datetime(2026, 8, 1, tzinfo=UTC).timestamp())
    assert spans[-1][1] == int(shop.clock.now().timestamp())
    for (_, before), (after, _) in zip(spans, spans[1:], strict=False):
        assert after == before, "no second lies between two windows"


async def test_more_than_one_list_holds_is_cut_and_every_order_is_there_once(shop):
    made = orders(shop, 450, apart_s=60)
    items, _, _ = await shop.all("order")
    found = Counter(item.external_id for item in items)
    assert found.keys() == set(made)
    # At the seam of two windows an order may be read twice: it is the same arrival.
    assert max(found.values()) <= 2
    assert not any("cursor" in one for one in shop.witness.asked("get_order_list"))


async def test_h9_an_order_updated_while_a_pass_goes_on_hides_no_other(shop):
    """The cursor of the list counts: whoever leaves the window moves all that follow."""
    made = orders(shop, 250, apart_s=60)
    seen = set()
    page = await shop.shopee.read("order", None, None)
    turn = 0
    while page.next is not None:
        seen |= {item.external_id for item in page.items}
        for sn in made[turn : turn + 3]:  # members of pages that are read, and of those to come
            shop.fake.request_cancel(sn)
        turn += 3
        page = await shop.shopee.read("order", None, page.next)
    seen |= {item.external_id for item in page.items}
    again, _, _ = await shop.all("order", page.since)
    seen |= {item.external_id for item in again}
    assert seen == set(made)


async def test_h9_the_fakes_pages_do_shift_or_the_test_above_proves_nothing(shop):
    made = orders(shop, 150, apart_s=60)
    window = {
        "time_range_field": "update_time",
        "time_from": str(int(shop.clock.now().timestamp()) - LONGEST_S),
        "time_to": str(int(shop.clock.now().timestamp())),
        "page_size": "100",
    }
    first = (await shop.door.call("GET", "/api/v2/order/get_order_list", params=window)).body
    shop.clock.advance(60)
    shop.fake.request_cancel(made[0])
    window["cursor"] = first["response"]["next_cursor"]
    second = (await shop.door.call("GET", "/api/v2/order/get_order_list", params=window)).body
    seen = {row["order_sn"] for page in (first, second) for row in page["response"]["order_list"]}
    assert set(made) - seen == {made[100]}


async def test_more_orders_of_one_second_than_a_list_holds_are_paged(shop):
    made = orders(shop, 130, apart_s=0)
    shop.clock.advance(3600)
    items, _, _ = await shop.all("order")
    assert {item.external_id for item in items} == set(made)
    assert any("cursor" in one for one in shop.witness.asked("get_order_list"))


async def test_details_are_asked_for_in_fifties(shop):
    orders(shop, 99)
    await shop.all("order")
    sizes = [len(one["order_sn_list"].split(",")) for one in shop.witness.asked("order_detail")]
    assert max(sizes) <= 50
    assert sum(sizes) >= 99


async def test_pending_orders_are_asked_for_and_are_incomplete_without_a_payout(shop):
    shop.fake.list_item(TEE, 5)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 1}], status="PENDING")
    (item,), _, _ = await shop.all("order")
    order = order_of(item)
    assert (order.key, order.complete, order.reservable, order.shippable) == (
        sn, False, True, False
    )  # fmt: skip
    assert order.deadlines == ()
    assert not shop.witness.asked("get_escrow_detail")


async def test_an_unpaid_order_claims_its_units_although_nothing_says_how_much(shop):
    shop.fake.list_item(TEE, 5)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 1}], status="UNPAID")
    (item,), _, _ = await shop.all("order")
    assert "total_amount" not in item.body
    unpaid = order_of(item)
    assert (unpaid.payment, unpaid.complete, unpaid.reservable) == (Payment.PENDING, False, True)
    shop.fake.pay(sn)
    paid = order_of(await shop.shopee.fetch("order", sn))
    assert (paid.payment, paid.complete, str(paid.total)) == (Payment.PAID, True, "13.99 SGD")


async def test_an_order_the_details_do_not_have_is_shown_and_not_lost(shop):
    first, second = orders(shop, 2)
    listed = shop.fake.shop.orders[second]
    real = shop.fake.shop.orders

    class Forgetful(dict):
        def get(self, key, default=None):
            return None if key == second else super().get(key, default)

    shop.fake.shop.orders = Forgetful(real)
    items, _, _ = await shop.all("order")
    assert [item.external_id for item in items] == [first, second]
    assert items[1].body == {"order_sn": listed.order}


async def test_two_lines_of_one_model_each_have_their_own_voucher(shop):
    shop.fake.list_item(TEE, 5, price=1000)
    lines = [{"sku": TEE, "quantity": 1}, {"sku": TEE, "quantity": 2}]
    shop.fake.place_order(lines, voucher=150)
    (item,), _, _ = await shop.all("order")
    order = order_of(item)
    assert [[str(cut.amount) for cut in line.discounts] for line in order.lines] == [
        ["1.50 SGD"], []
    ]  # fmt: skip
    assert order.total == document_total(order)


async def test_the_buyers_wish_stops_shipping_and_a_refusal_lets_it_go_on(shop):
    (sn,) = orders(shop, 1)
    shop.fake.request_cancel(sn)
    wish = order_of(await shop.shopee.fetch("order", sn))
    assert (wish.shippable, wish.reservable, wish.cancelled_at) == (False, True, None)
    (cancellation,) = wish.cancellations
    assert (cancellation.initiator, cancellation.state) == (Party.BUYER, RequestState.REQUESTED)
    shop.fake.decide(sn, accept=False)
    after = order_of(await shop.shopee.fetch("order", sn))
    assert (after.shippable, after.cancellations) == (True, ())


async def test_a_wish_for_some_units_leaves_the_rest_alone(shop):
    shop.fake.list_item(TEE, 9, price=1000)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 3}])
    shop.fake.request_cancel(sn, {TEE: 1})
    wish = order_of(await shop.shopee.fetch("order", sn))
    assert wish.shippable
    assert [line.quantity for line in wish.cancellations[0].lines] == [1]
    shop.fake.decide(sn, accept=True)
    after = order_of(await shop.shopee.fetch("order", sn))
    assert (after.lines[0].quantity, after.cancellations) == (2, ())
    assert after.total == document_total(after)


@pytest.mark.parametrize("by", ["seller", "system", "buyer"])
async def test_a_cancelled_order_is_void_whoever_did_it(shop, by):
    shop.fake.list_item(TEE, 5)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 1}], cod=True)
    assert order_of(await shop.shopee.fetch("order", sn)).payment is Payment.COD
    shop.fake.cancel(sn, by=by)
    order = order_of(await shop.shopee.fetch("order", sn))
    assert (order.payment, order.reservable) == (Payment.VOID, False)
    assert order.cancelled_at is not None


async def test_an_order_that_is_not_there_is_none(shop):
    assert await shop.shopee.fetch("order", "NOWHERE1") is None


async def test_the_watermark_is_never_ahead_of_shopees_own_clock(shop):
    """Our clock is an hour ahead and we have not heard theirs: what comes in that hour counts."""
    await shop.all("order")
    shop.skew = timedelta(hours=-1)
    _, since, _ = await shop.all("order")
    assert since == "2026-11-25T08:00:00Z"


def test_a_window_without_their_time_keeps_the_old_watermark():
    window = Window.first("2026-11-25T08:00:00Z", datetime(2026, 11, 25, 9, tzinfo=UTC))
    assert window.complete_up_to(None) is None


async def test_words_of_a_refusal_reach_the_operator(shop):
    with pytest.raises(Rejected, match="order.order_list_invalid_time"):
        await shop.shopee.read("order", None, "1|2000000000|2000000000|")
