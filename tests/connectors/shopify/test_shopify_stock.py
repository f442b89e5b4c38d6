"""Publishing: compare-and-set, all or nothing, and judged line by line all the same."""

from __future__ import annotations

import pytest
from shopify_kit import Bench, Said, bench, connector_over

from connectors.shopify.stock import CALLS_MAX
from core.contract import Offer
from core.errors import InDoubt, Rejected, Retry


def shop(*skus: str, units: int = 10) -> Bench:
    of = bench()
    for sku in skus:
        of.fake.add_product(sku, stock=units)
    return of


def offer(of: Bench, sku: str, quantity: int, shown: int | None = 10, key: str = "k") -> Offer:
    listing, place = of.ids(sku)
    return Offer(
        listing=listing, place=place, sku=sku, quantity=quantity, shown=shown, key=f"{key}:{sku}"
    )


def available(of: Bench, sku: str) -> int:
    return of.fake.stock(sku)["Main warehouse"]["available"]


async def test_a_batch_is_one_call() -> None:
    of = shop("A", "B")
    results = await of.connector.publish([offer(of, "A", 4), offer(of, "B", 0)])
    assert [one.outcome for one in results] == ["accepted", "accepted"]
    assert (available(of, "A"), available(of, "B")) == (4, 0)
    (asked,) = of.tap.asked("SetQuantities")
    assert asked["input"]["name"] == "available"
    assert asked["input"]["reason"] == "correction"
    assert asked["input"]["referenceDocumentUri"] == f"truecount://publish/{asked['key']}"


async def test_a_sale_in_between_makes_the_line_stale_and_shows_what_is_there() -> None:
    """H19: it shows 10, sells 2, we write 9 from 10. The two sold units are not sold again."""
    of = shop("A")
    of.fake.place_order([{"sku": "A", "quantity": 2}])
    (result,) = await of.connector.publish([offer(of, "A", 9)])
    assert (result.outcome, result.shown) == ("stale", 8)
    assert available(of, "A") == 8


async def test_an_identical_retry_after_success_is_stale_and_shows_our_number() -> None:
    of = shop("A")
    of.tap.lose_next = "SetQuantities"
    with pytest.raises(InDoubt):
        await of.connector.publish([offer(of, "A", 4)])
    assert available(of, "A") == 4
    (result,) = await of.connector.publish([offer(of, "A", 4)])
    assert (result.outcome, result.shown) == ("stale", 4)
    codes = of.tap.exchanges[1][2]["data"]["inventorySetQuantities"]["userErrors"]
    assert [one["code"] for one in codes] == ["CHANGE_FROM_QUANTITY_STALE"]


@pytest.mark.parametrize("one_only", [False, True])
async def test_one_bad_line_does_not_hold_back_the_rest(one_only: bool) -> None:
    of = shop("A", "B", "C", "D")
    of.fake.add_location("Shop")
    of.fake.blame_one_line_only(on=one_only)
    of.fake.place_order([{"sku": "B", "quantity": 1}])
    listing, _ = of.ids("C")
    elsewhere = Offer(
        listing=listing, place="gid://shopify/Location/2", sku="C", quantity=1, shown=None, key="k"
    )
    results = await of.connector.publish(
        [offer(of, "A", 1), offer(of, "B", 2), elsewhere, offer(of, "D", 3)]
    )
    by_sku = {one.listing: one for one in results}
    outcomes = [by_sku[of.ids(sku)[0]].outcome for sku in "ABCD"]
    assert outcomes == ["accepted", "stale", "rejected", "accepted"]
    assert "not stocked" in by_sku[listing].words
    assert by_sku[of.ids("B")[0]].shown == 9
    assert [available(of, sku) for sku in "ABCD"] == [1, 9, 10, 3]


async def test_every_resend_has_a_key_of_its_own() -> None:
    of = shop("A", "B")
    of.fake.place_order([{"sku": "B", "quantity": 1}])
    await of.connector.publish([offer(of, "A", 1), offer(of, "B", 2)])
    keys = [asked["key"] for asked in of.tap.asked("SetQuantities")]
    assert len(set(keys)) == 2


async def test_the_same_publication_has_the_same_key_after_a_restore() -> None:
    one, two = shop("A"), shop("A")
    for of in (one, two):
        await of.connector.publish([offer(of, "A", 4)])
    assert one.tap.asked("SetQuantities") == two.tap.asked("SetQuantities")


async def test_a_call_that_failed_before_gets_a_new_generation() -> None:
    of = shop("A")
    of.fake.place_order([{"sku": "A", "quantity": 1}])
    await of.connector.publish([offer(of, "A", 4)])
    of.fake.set_stock("A", 10)
    (result,) = await of.connector.publish([offer(of, "A", 4)])
    assert result.outcome == "accepted"
    keys = [asked["key"] for asked in of.tap.asked("SetQuantities")]
    assert keys[0] == keys[1]
    assert keys[2] == f"{keys[0]}-2"


async def test_an_unknown_quantity_opts_out_of_the_comparison() -> None:
    of = shop("A")
    (result,) = await of.connector.publish([offer(of, "A", 4, shown=None)])
    assert result.outcome == "accepted"
    (asked,) = of.tap.asked("SetQuantities")
    assert asked["input"]["quantities"][0]["changeFromQuantity"] is None


async def test_a_pair_is_sent_once_and_the_newest_wins() -> None:
    of = shop("A")
    results = await of.connector.publish([offer(of, "A", 4), offer(of, "A", 5)])
    assert [(one.outcome, one.shown) for one in results] == [("accepted", 5)]
    assert available(of, "A") == 5


async def test_more_than_250_lines_are_two_calls() -> None:
    skus = [f"S{number}" for number in range(300)]
    of = shop(*skus)
    results = await of.connector.publish([offer(of, sku, 1) for sku in skus])
    assert {one.outcome for one in results} == {"accepted"}
    sizes = [len(asked["input"]["quantities"]) for asked in of.tap.asked("SetQuantities")]
    assert sizes == [250, 50]


def _refusal(code: str, field: list[str] | None = None) -> dict[str, object]:
    error = {"code": code, "field": field, "message": f"words for {code}"}
    return {"data": {"inventorySetQuantities": {"userErrors": [error]}}}


_FINE: dict[str, object] = {"data": {"inventorySetQuantities": {"userErrors": []}}}


async def test_a_concurrent_request_is_for_later() -> None:
    of = shop("A")
    connector = connector_over(Said(_refusal("IDEMPOTENCY_CONCURRENT_REQUEST")))
    with pytest.raises(Retry):
        await connector.publish([offer(of, "A", 1)])


async def test_a_key_with_other_parameters_is_a_bug_and_is_said() -> None:
    of = shop("A")
    connector = connector_over(Said(_refusal("IDEMPOTENCY_KEY_PARAMETER_MISMATCH")))
    with pytest.raises(Rejected, match="other quantities"):
        await connector.publish([offer(of, "A", 1)])


async def test_a_refusal_of_the_whole_call_is_not_halved() -> None:
    of = shop("A", "B")
    api = Said(_refusal("INVALID_REASON", ["input", "reason"]))
    with pytest.raises(Rejected, match="every line"):
        await connector_over(api).publish([offer(of, "A", 1), offer(of, "B", 1)])
    assert len(api.asked) == 1


async def test_an_error_that_blames_nobody_is_narrowed_down_by_halving() -> None:
    of = shop("A", "B", "C", "D")
    no = _refusal("INVALID_QUANTITY_TOO_HIGH")
    # ABCD no; AB fine; CD no; C no; D fine.
    connector = connector_over(Said(no, _FINE, no, no, _FINE))
    results = await connector.publish([offer(of, sku, 1) for sku in "ABCD"])
    assert [one.outcome for one in results] == ["accepted", "accepted", "rejected", "accepted"]


async def test_a_batch_that_fails_everywhere_waits_a_turn() -> None:
    skus = [f"S{number}" for number in range(40)]
    of = shop(*skus)
    api = Said(*[_refusal("INVALID_QUANTITY_TOO_HIGH")] * 100)
    with pytest.raises(Retry):
        await connector_over(api).publish([offer(of, sku, 1) for sku in skus])
    assert len(api.asked) == CALLS_MAX


async def test_an_item_gone_from_the_place_while_we_wrote_is_refused() -> None:
    of = shop("A")
    listing, _ = of.ids("A")
    stale = _refusal("CHANGE_FROM_QUANTITY_STALE", ["input", "quantities", "0", "x"])
    gone = {"data": {"nodes": [{"id": listing, "inventoryLevel": None}]}}
    (result,) = await connector_over(Said(stale, gone)).publish([offer(of, "A", 1)])
    assert (result.outcome, result.shown) == ("rejected", None)
