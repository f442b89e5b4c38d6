"""Returns and their money: the goods, the wish and the payout are three facts."""

from __future__ import annotations

import pytest
from shopee_kit import REPO, SETTINGS

from connectors.shopee import Shopee, fake_views
from core.contract import Answer
from core.mapping import load_mapping
from core.model import RequestState
from core.strict import dump_json, load_json

TEE = "TEE-M"


def record(stem, item):
    mapping = load_mapping(REPO / f"mappings/shopee/{stem}.yaml", f"mappings/shopee/{stem}.yaml")
    body = load_json(dump_json(item.body))
    return mapping.record(body, external_id=item.external_id, revision=item.revision)


def a_return(shop, solution=0):
    shop.fake.list_item(TEE, 9, price=1060)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 3}])
    shop.fake.collect(sn)
    return sn, shop.fake.request_return(sn, {TEE: 1}, 1060, solution=solution)


async def test_a_return_says_what_comes_back_and_by_when_we_answer(shop):
    sn, number = a_return(shop)
    (item,), since, _ = await shop.all("return")
    found = record("return", item)
    assert (found.key, found.order, found.kind) == (number, sn, "return_refund")
    assert found.state is RequestState.REQUESTED
    assert [(line.sku, line.quantity, str(line.refund)) for line in found.lines] == [
        (TEE, 1, "10.60 SGD")
    ]
    assert found.decide_by is not None
    assert since == "2026-11-25T09:00:00Z"


async def test_money_alone_is_no_return_of_goods(shop):
    a_return(shop, solution=1)
    (item,), _, _ = await shop.all("return")
    assert record("return", item).kind == "refund_only"


async def test_a_refund_is_money_only_once_the_payout_says_so(shop):
    sn, number = a_return(shop)
    states = []
    for step in ("asked", "accepted", "paid"):
        if step == "accepted":
            shop.fake.move_return(number, "ACCEPTED")
        if step == "paid":
            shop.fake.give_back(number)
        (item,), _, _ = await shop.all("refund")
        found = record("refund", item)
        states.append(found.state)
        assert (found.key, found.order, found.returned) == (number, sn, number)
        assert (str(found.total), [str(line.amount) for line in found.lines]) == (
            "10.60 SGD",
            ["10.60 SGD"],
        )
    assert states == [RequestState.REQUESTED, RequestState.ACCEPTED, RequestState.COMPLETED]


async def test_a_return_that_is_not_decided_asks_for_no_payout(shop):
    a_return(shop)
    await shop.all("refund")
    assert "payment/get_escrow_detail" not in shop.fake.calls()


async def test_the_money_is_seen_although_the_return_was_not_touched(shop):
    """A pass reaches back two weeks (the manifest's overlap), and the content is compared."""
    _, number = a_return(shop)
    shop.fake.move_return(number, "ACCEPTED")
    (before,), _, _ = await shop.all("refund")
    shop.clock.advance(10 * 86400)
    shop.fake.give_back(number)
    (after,), _, _ = await shop.all("refund", "2026-11-21T09:00:00Z")
    assert (before.revision, after.revision) == ("", "")
    assert before.body != after.body


async def test_more_returns_than_a_list_holds(shop):
    shop.fake.list_item(TEE, 999)
    for _ in range(230):
        sn = shop.fake.place_order([{"sku": TEE, "quantity": 1}])
        shop.fake.collect(sn)
        shop.fake.request_return(sn, {TEE: 1}, 1200)
        shop.clock.advance(30)
    items, _, _ = await shop.all("return")
    assert len({item.external_id for item in items}) == 230
    same_second = shop.fake.shop.returns.values()
    for one in same_second:
        one.updated = shop.fake.shop.now()
    shop.clock.advance(3600)
    items, _, _ = await shop.all("return")
    assert len({item.external_id for item in items}) == 230


async def test_a_return_that_vanished_is_none(shop):
    assert await shop.shopee.fetch("return", "12345") is None
    assert await shop.shopee.fetch("refund", "12345") is None


@pytest.mark.parametrize(
    ("payout", "paid"),
    [
        ({"escrow_amount": 31.8}, False),
        ({"escrow_amount": 31.8, "seller_return_refund": 0, "drc_adjustable_refund": 0.0}, False),
        ({"escrow_amount": 21.2, "seller_return_refund": -10.6}, True),
        ({"escrow_amount": 26.8, "drc_adjustable_refund": 5.0}, True),
        ({"escrow_amount": 0.0, "seller_return_refund": 0.0}, True),
    ],
)
async def test_a_payout_is_lower_by_a_part_by_a_decision_or_by_all(shop, payout, paid):
    _, number = a_return(shop)
    shop.fake.move_return(number, "ACCEPTED")
    returned = shop.fake.shop.returns[number]
    told = fake_views.escrow_of(returned.order)
    bodies = [
        {"error": "", "response": fake_views.return_of(returned, "SGD", detail=True)},
        {"error": "", "response": {**told, "order_income": {"items": [], **payout}}},
    ]

    class Said:
        async def call(self, method, path, **words):
            return Answer(status=200, headers={}, body=load_json(dump_json(bodies.pop(0))))

    item = await Shopee(Said(), SETTINGS).fetch("refund", number)
    assert item.body["given_back"] is paid
