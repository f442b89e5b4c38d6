"""Stock: every warehouse in one call, never below what is reserved, each row judged alone."""

from __future__ import annotations

import pytest
from shopee_kit import an_offer

from core.errors import InDoubt, RateLimited, Retry

TEE = "TEE-M"


def outcomes(results):
    return [(one.listing, one.place, one.outcome) for one in results]


async def test_a_number_is_set_and_nothing_is_read_for_it(shop):
    listing = shop.fake.list_item(TEE, 10)
    (result,) = await shop.shopee.publish([an_offer(listing, 4)])
    assert result.outcome == "accepted"
    assert shop.fake.stock(TEE) == {"SGZ": 4}
    assert shop.fake.calls() == ["auth/access_token/get", "product/update_stock"]


async def test_models_of_one_item_go_in_one_call_and_items_in_one_each(shop):
    red, blue = shop.fake.list_models({"RED": 1, "BLUE": 1})
    other = shop.fake.list_item("CAP", 1)
    results = await shop.shopee.publish([an_offer(red, 5), an_offer(other, 6), an_offer(blue, 7)])
    assert {one.outcome for one in results} == {"accepted"}
    assert shop.fake.calls().count("product/update_stock") == 2
    stocks = [shop.fake.stock(sku)["SGZ"] for sku in ("RED", "CAP", "BLUE")]
    assert stocks == [5, 6, 7]


async def test_an_item_without_models_is_told_without_a_model(shop):
    listing = shop.fake.list_item("MUG", 3, models=False)
    assert listing.endswith(".0")
    (result,) = await shop.shopee.publish([an_offer(listing, 9)])
    assert (result.outcome, shop.fake.stock("MUG")) == ("accepted", {"SGZ": 9})
    (body,) = shop.witness.told("update_stock")
    assert "model_id" not in body["stock_list"][0]


async def test_all_warehouses_go_in_one_call(shops):
    shop = shops(locations="SGZ,SGA")
    listing = shop.fake.list_item(TEE, 10)
    both = [an_offer(listing, 4, place, "SGZ SGA") for place in ("SGZ", "SGA")]
    results = await shop.shopee.publish(both)
    assert [one.outcome for one in results] == ["accepted", "accepted"]
    assert shop.fake.stock(TEE) == {"SGZ": 4, "SGA": 4}
    assert "product/get_model_list" not in shop.fake.calls()


async def test_a_warehouse_nobody_asked_about_goes_along_as_it_is(shops):
    """Left out, Shopee would refuse the call."""
    shop = shops(locations="SGZ,SGA")
    listing = shop.fake.list_item(TEE, 10)
    shop.fake.move(TEE, "SGA", 33)
    (result,) = await shop.shopee.publish([an_offer(listing, 4, "SGZ", "SGZ SGA")])
    assert (result.place, result.outcome) == ("SGZ", "accepted")
    assert shop.fake.stock(TEE) == {"SGZ": 4, "SGA": 33}


async def test_a_warehouse_that_opened_since_the_last_walk_is_found_out(shops):
    """The listings knew one place; the refusal of the call costs one read and is healed."""
    shop = shops(locations="SGZ,SGA")
    listing = shop.fake.list_item(TEE, 10)
    (result,) = await shop.shopee.publish([an_offer(listing, 4, "SGZ", "SGZ")])
    assert result.outcome == "rejected"
    assert "Every location_id" in result.words
    (item, _) = (await shop.all("listing"))[0]
    assert item.body["locations"] == "SGZ SGA"


async def test_a_number_below_a_promotion_becomes_the_least_that_is_taken_and_is_shown(shop):
    listing = shop.fake.list_item(TEE, 10)
    shop.fake.reserve(TEE, 3)
    (result,) = await shop.shopee.publish([an_offer(listing, 0)])
    assert (result.outcome, result.shown) == ("rejected", 3)
    assert "3 are held by a promotion, 3 are shown" in result.words
    assert shop.fake.stock(TEE) == {"SGZ": 3}


async def test_the_least_lies_where_most_is(shops):
    shop = shops(locations="SGZ,SGA")
    listing = shop.fake.list_item(TEE, 10)
    shop.fake.move(TEE, "SGA", 40)
    shop.fake.reserve(TEE, 5)
    both = [an_offer(listing, 1, place, "SGZ SGA") for place in ("SGZ", "SGA")]
    results = await shop.shopee.publish(both)
    assert [(one.outcome, one.shown) for one in results] == [("rejected", 1), ("rejected", 4)]
    assert shop.fake.stock(TEE) == {"SGZ": 1, "SGA": 4}


async def test_a_number_at_or_above_the_reserved_is_set(shop):
    listing = shop.fake.list_item(TEE, 10)
    shop.fake.reserve(TEE, 3)
    (result,) = await shop.shopee.publish([an_offer(listing, 3)])
    assert result.outcome == "accepted"


async def test_a_locked_number_is_refused_with_what_is_shown(shop):
    listing = shop.fake.list_item(TEE, 10)
    shop.fake.lock(TEE)
    (result,) = await shop.shopee.publish([an_offer(listing, 2)])
    assert (result.outcome, result.shown) == ("rejected", 10)
    assert "locked by a promotion" in result.words


async def test_a_failure_list_inside_a_success_refuses_its_own_rows_only(shop):
    red, blue = shop.fake.list_models({"RED": 5, "BLUE": 5})
    shop.fake.lock("BLUE")
    results = await shop.shopee.publish([an_offer(red, 1), an_offer(blue, 1)])
    assert [one.outcome for one in results] == ["accepted", "rejected"]


async def test_one_model_that_is_gone_does_not_keep_its_item_from_being_cut(shop):
    red, blue = shop.fake.list_models({"RED": 5, "BLUE": 5})
    del shop.fake.shop.find("BLUE")[0].models[1]
    results = await shop.shopee.publish([an_offer(red, 0), an_offer(blue, 0)])
    assert [one.outcome for one in results] == ["accepted", "rejected"]
    assert shop.fake.stock("RED") == {"SGZ": 0}


async def test_an_item_that_was_deleted_and_a_kit_are_refused_alone(shop):
    gone, kit, fine = (shop.fake.list_item(sku, 1) for sku in ("GONE", "KIT", "FINE"))
    shop.fake.drop_item("GONE")
    shop.fake.shop.find("KIT")[0].kit = True
    results = await shop.shopee.publish([an_offer(gone, 2), an_offer(kit, 2), an_offer(fine, 2)])
    assert [one.outcome for one in results] == ["rejected", "rejected", "accepted"]
    assert "error_busi_cannot_edit_vsku" in results[1].words


async def test_a_lost_answer_is_unknown_and_what_was_answered_before_stays(shop):
    first, second, third = (shop.fake.list_item(sku, 1) for sku in ("A", "B", "C"))
    await shop.shopee.publish([an_offer(first, 9)])
    shop.fake.misbehave("product/update_stock", "ill", times=1)
    with pytest.raises(InDoubt, match="error_server"):
        await shop.shopee.publish([an_offer(first, 5)])

    class Second:
        """Loses the answer of the second write."""

        count = 0

    real = shop.line.handle_async_request

    async def losing(request):
        if request.url.path.endswith("update_stock"):
            Second.count += 1
            if Second.count == 2:
                shop.line.lose_next = "update_stock"
        return await real(request)

    shop.line.handle_async_request = losing
    results = await shop.shopee.publish(
        [an_offer(first, 5), an_offer(second, 5), an_offer(third, 5)]
    )
    assert outcomes(results) == [(first, "SGZ", "accepted"), (second, "SGZ", "unknown")]
    assert shop.fake.stock("C") == {"SGZ": 1}, "nobody reached it, nobody says so"


@pytest.mark.parametrize(
    ("how", "raised"),
    [("throttle", RateLimited), ("quota", RateLimited), ("busy", Retry), ("bare", InDoubt)],
)
async def test_a_no_to_the_call_is_no_refusal_of_an_offer(shop, how, raised):
    listing = shop.fake.list_item(TEE, 1)
    shop.fake.misbehave("product/update_stock", how)
    with pytest.raises(raised) as caught:
        await shop.shopee.publish([an_offer(listing, 2)])
    assert type(caught.value) is raised


async def test_the_daily_quota_ends_at_midnight_in_singapore(shop):
    """It is 17:00 there; asked again each hour, as any long pause is."""
    listing = shop.fake.list_item(TEE, 1)
    shop.fake.misbehave("product/update_stock", "quota")
    with pytest.raises(RateLimited) as caught:
        await shop.shopee.publish([an_offer(listing, 2)])
    assert caught.value.after_s >= 3600


# ---------------------------------------------------------------- read back


async def test_listings_are_one_row_for_each_model_and_warehouse(shops):
    shop = shops(locations="SGZ,SGA")
    red, blue = shop.fake.list_models({"RED": 5, "BLUE": 6})
    mug = shop.fake.list_item("MUG", 7, models=False)
    items, since, _ = await shop.all("listing")
    assert since is None
    assert [item.external_id for item in items] == [
        f"{listing}.{place}" for listing in (red, blue, mug) for place in ("SGZ", "SGA")
    ]
    shown = [item.body["location"]["stock"] for item in items]
    assert shown == [5, 0, 6, 0, 7, 0]


async def test_what_is_shown_is_what_was_written_less_what_was_bought(shop):
    listing = shop.fake.list_item(TEE, 0)
    await shop.shopee.publish([an_offer(listing, 8)])
    shop.fake.reserve(TEE, 2)
    shop.fake.place_order([{"sku": TEE, "quantity": 3}])
    (item,), _, _ = await shop.all("listing")
    assert item.body["location"]["stock"] == 5


async def test_a_walk_goes_over_all_items_in_fifties(shop):
    for number in range(120):
        shop.fake.list_item(f"SKU-{number}", 1)
    items, _, pages = await shop.all("listing")
    assert (len(items), pages) == (120, 3)
    sizes = [
        len(one["item_id_list"].split(",")) for one in shop.witness.asked("get_item_base_info")
    ]
    assert sizes == [50, 50, 20]


async def test_what_was_not_sent_is_not_called_unknown(shop):
    first, second = (shop.fake.list_item(sku, 1) for sku in ("A", "B"))
    real = shop.line.handle_async_request

    async def throttled(request):
        answer = await real(request)
        if request.url.path.endswith("update_stock"):
            shop.fake.misbehave("product/update_stock", "throttle")
        return answer

    shop.line.handle_async_request = throttled
    results = await shop.shopee.publish([an_offer(first, 5), an_offer(second, 5)])
    assert outcomes(results) == [(first, "SGZ", "accepted")]
