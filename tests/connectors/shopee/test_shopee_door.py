"""The connector through the daemon's real door: tokens, clocks, limits, a no inside a 200."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from shopee_kit import SECRETS, a_parcel, an_offer

from connectors.shopee import connect, dialect
from core.contract import Setup
from core.errors import ConfigError, InDoubt, LoginNeeded, RateLimited, Retry
from core.login import STORED

TEE = "TEE-M"
REFRESH = "auth/access_token/get"


async def test_h28_the_heir_is_stored_before_its_first_use(shop):
    """Killed between the answer and the store, the old one is all there is: see below."""
    seen = []
    real = shop.line.handle_async_request

    async def watched(request):
        if "order" in request.url.path:
            seen.append(json.loads(shop.kept[STORED])["current"])
        return await real(request)

    shop.line.handle_async_request = watched
    await shop.shopee.fetch("order", "X1")
    assert seen == ["fake-refresh-1"]
    shop.open()  # after a restart of ours
    await shop.shopee.fetch("order", "X1")
    assert shop.fake.refreshed == 2


async def test_an_access_token_is_renewed_before_its_four_hours_end(shop):
    await shop.shopee.fetch("order", "X1")
    shop.clock.advance(4 * 3600 - 59)
    await shop.shopee.fetch("order", "X1")
    assert shop.fake.refreshed == 2
    assert shop.fake.calls().count("order/get_order_detail") == 2, "no call was refused for it"


async def test_a_token_that_ended_early_is_renewed_once_and_a_write_repeated(shop):
    listing = shop.fake.list_item(TEE, 1)
    await shop.shopee.publish([an_offer(listing, 2)])
    shop.fake.expire_tokens()
    (result,) = await shop.shopee.publish([an_offer(listing, 5)])
    assert (result.outcome, shop.fake.stock(TEE)) == ("accepted", {"SGZ": 5})
    assert shop.fake.refreshed == 2


async def test_four_calls_refused_together_make_one_refresh(shop):

    await shop.shopee.fetch("order", "X1")
    shop.fake.expire_tokens()
    await asyncio.gather(*(shop.shopee.fetch("order", f"X{n}") for n in range(4)))
    assert shop.fake.refreshed == 2


async def test_h28_a_lost_refresh_answer_asks_for_a_person_and_the_old_token_still_serves(shop):
    """Shopee spends the token with its first use. Four hours after that we are out."""
    await shop.shopee.fetch("order", "X1")
    shop.clock.advance(4 * 3600 - 50)  # renewed early; ten seconds before it would be too late
    shop.fake.lose_token_answers()
    with pytest.raises(LoginNeeded, match="authorize Truecount there again") as caught:
        await shop.shopee.fetch("order", "X1")
    assert shop.fake.calls().count(REFRESH) == 4, "the heir, again, and the one before it"
    assert "fake-refresh" not in str(caught.value)
    assert "refresh_token" in str(caught.value)


async def test_a_new_authorization_of_the_operator_ends_it(shop):
    shop.fake.lose_token_answers()
    with pytest.raises(LoginNeeded):
        await shop.shopee.fetch("order", "X1")
    shop.fake.refresh_token = "fake-refresh-new"

    SECRETS["refresh_token"] = "fake-refresh-new"
    try:
        shop.open()
        await shop.shopee.fetch("order", "X1")
    finally:
        SECRETS["refresh_token"] = "fake-refresh-0"


async def test_a_seller_who_takes_the_authorization_back_pauses_the_system(shop):
    await shop.shopee.fetch("order", "X1")
    shop.fake.revoke()
    for _ in range(5):
        with pytest.raises(LoginNeeded):
            await shop.shopee.fetch("order", "X1")
    assert shop.fake.calls().count(REFRESH) <= 3, "a token endpoint is not hammered"


async def test_a_wrong_key_is_a_persons_and_not_renewed_away(shop):
    await shop.shopee.fetch("order", "X1")
    shop.door._login._dialect = dialect({**shop.settings, "partner_key": "old"})
    with pytest.raises(LoginNeeded, match="error_sign"):
        await shop.shopee.fetch("order", "X1")
    assert shop.fake.refreshed == 1


@pytest.mark.parametrize("minutes", [-20, 20])
async def test_a_clock_that_is_wrong_by_minutes_costs_one_call(shop, minutes):
    shop.skew = timedelta(minutes=minutes)
    assert await shop.shopee.fetch("order", "X1") is None
    assert shop.fake.calls() == [REFRESH, REFRESH, "order/get_order_detail"]
    assert shop.door.clock_offset_s == pytest.approx(minutes * 60, abs=1)


async def test_a_clock_within_five_minutes_costs_none(shop):
    shop.skew = timedelta(minutes=4)
    await shop.shopee.fetch("order", "X1")
    assert shop.fake.calls() == [REFRESH, "order/get_order_detail"]


async def test_our_limiter_keeps_shopee_from_saying_no(shops):
    shop = shops(per_second="30")
    for _ in range(60):
        await shop.shopee.fetch("order", "X1")
    assert shop.fake.calls().count("order/get_order_detail") == 60


async def test_error_rate_limit_shrinks_the_pace_and_counts_no_attempt(shop):
    await shop.shopee.fetch("order", "X1")
    shop.fake.misbehave("order/get_order_detail", "throttle")
    with pytest.raises(RateLimited) as caught:
        await shop.shopee.fetch("order", "X1")
    assert caught.value.after_s >= 1
    assert shop.limiter.forecast("calls") > 0


async def test_s6_an_illness_of_a_read_is_retried_and_of_a_write_a_doubt(shop):
    shop.fake.list_item(TEE, 5)
    sn = shop.fake.place_order([{"sku": TEE, "quantity": 1}])
    shop.fake.misbehave("order/get_order_detail", "ill")
    with pytest.raises(Retry) as caught:
        await shop.shopee.fetch("order", sn)
    assert type(caught.value) is Retry
    shop.fake.misbehave("logistics/ship_order", "html")
    with pytest.raises(InDoubt):
        await shop.shopee.send(a_parcel(shop.fake, sn))


@pytest.mark.parametrize("how", ["html", "down"])
async def test_a_gateways_page_is_asked_again_at_once(shop, how):
    shop.fake.misbehave("order/get_order_detail", how)
    assert await shop.shopee.fetch("order", "X1") is None
    assert shop.fake.calls().count("order/get_order_detail") == 2


async def test_t13_no_token_and_no_signature_is_in_an_error_or_a_log(shop, capsys):
    shop.fake.misbehave("order/get_order_list", "html", times=9)
    with pytest.raises(Retry) as caught:
        await shop.shopee.read("order", None, None)
    said = f"{caught.value} {capsys.readouterr()}"
    assert "fake-access" not in said
    assert "sign=" not in said
    assert "order/get_order_list" in said


# ---------------------------------------------------------------- the dialect alone

AT_17 = "2026-11-25T09:00:00+00:00"  # in Singapore


@pytest.mark.parametrize(
    ("error", "message", "meaning"),
    [
        ("", "", None),
        ("error_auth", "Invalid access_token", "login"),
        ("invalid_acceess_token", "", "login"),
        ("\tinvalid_acceess_token ", "", "login"),
        ("error_auth", "Invalid timestamp", "clock"),
        ("error_param", "Invalid timestamp", "clock"),
        ("error_param", "order_sn is wrong", None),
        ("error_sign", "Wrong sign.", "gone"),
        ("shop_access_expired", "", "gone"),
        ("source_ip_undeclared", "", "gone"),
        ("error_rate_limit", "", "limited"),
        ("error_limit", "", "limited"),
        ("logistics.error_limit", "", None),
        ("error_system_busy", "", "retry"),
        ("error_server", "", "in_doubt"),
        ("logistics.error_timeout", "", "in_doubt"),
        (" logistics.error_third_party_server\t", "", "in_doubt"),
        (" logistics.package_already_shipped", "", None),
        ("order. error_permission", "", None),
        ("error_item_not_found", "", None),
    ],
)
def test_what_codes_mean_with_blanks_tabs_prefixes_and_misspellings(error, message, meaning):

    shop = dialect({"partner_id": "1", "partner_key": "k", "shop_id": "2"})
    found = shop.verdict({"error": error, "message": message}, datetime.fromisoformat(AT_17))
    assert (found.meaning if found else None) == meaning
    if error == "error_limit":
        assert found.after_s == 7 * 3600


@pytest.mark.parametrize("life", [14400, 1795600000 + 14400])
def test_a_life_may_be_seconds_or_an_epoch(life):

    shop = dialect({"partner_id": "1", "partner_key": "k", "shop_id": "2"})
    at = datetime.fromtimestamp(1795600000, UTC)
    body = {"access_token": "a", "refresh_token": "r", "expire_in": life}
    assert shop.tokens(body, at)["expires_in"] == 14400


def test_an_empty_token_is_none():

    shop = dialect({"partner_id": "1", "partner_key": "k", "shop_id": "2"})
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert shop.tokens({"access_token": "", "refresh_token": ""}, at)["access_token"] is None
    assert shop.tokens([], at) == {}


# ---------------------------------------------------------------- bad settings


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("partner_id", "shpk123", "not a number"),
        ("shop_id", "", "not a number"),
        ("shop_id", "\uff11\uff14", "not a number"),
        ("orders_from", "yesterday", "not an instant"),
        ("orders_from", "2026-11-01", "not an instant"),
        ("hand_over", "drone", "it may be any, pickup, dropoff"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_at_start(shop, name, value, what):
    own = {**shop.settings, name: value}
    with pytest.raises(ConfigError, match=what) as caught:
        connect(Setup(system="shopee-sg", api=shop.door, settings=own, manifest={}))
    assert f"systems.shopee-sg.settings.{name}" in str(caught.value)
