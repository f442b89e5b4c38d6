"""The connector through the daemon's real door: login, limiter, sorting of answers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from amazon_kit import SETTINGS
from test_amazon_connector import a_parcel, an_offer

from connectors.amazon import Amazon, connect
from core.breaker import Breaker
from core.contract import Setup
from core.errors import InDoubt, LoginNeeded, RateLimited, Retry
from core.http import Door, DoorSpec
from core.limiter import BudgetSpec, Limiter
from core.login import Login, LoginSpec
from core.manifest import load_manifest
from core.wire import Wire

BASE = "https://sellingpartnerapi-na.amazon.com"
SECRETS = {
    "client_id": "fake-client",
    "client_secret": "fake-secret",
    "refresh_token": "Atzr|fake",
    "token_url": "https://api.amazon.com/auth/o2/token",
}


def a_door(app: Any, clock: Any, **change: str) -> tuple[Door, Amazon, Limiter]:
    manifest = load_manifest("amazon")
    wire = Wire(transport=httpx.ASGITransport(app), timeout_s=5)
    spec = LoginSpec.of(manifest.login.kind, manifest.login.words, {**SECRETS, **change})
    budgets = {
        name: BudgetSpec(per_second=budget.per_second, burst=budget.burst)
        for name, budget in manifest.budgets.items()
    }
    limiter = Limiter(budgets, clock, rng=random.Random(1))
    door = Door(
        DoorSpec(system="amazon", base_url=BASE, answers=manifest.answers),
        wire,
        Login("amazon", spec, clock=clock, wire=wire),
        limiter=limiter,
        breaker=Breaker(),
        clock=clock,
    )
    setup = Setup(system="amazon", api=door, settings=SETTINGS, manifest=manifest.raw)
    return door, connect(setup), limiter


@pytest.fixture
async def amazon(shop, clock) -> AsyncIterator[Amazon]:
    door, made, _ = a_door(shop.witness, clock)
    yield made
    await door.aclose()


async def test_an_order_a_quantity_and_a_parcel_pass_the_real_door(amazon, shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    shop.clock.advance(200)
    page = await amazon.read("order", None, None)
    assert [item.external_id for item in page.items] == [order]
    (result,) = await amazon.publish([an_offer("A/B 1%", 2)])
    assert result.outcome == "accepted"
    await amazon.send(a_parcel(shop.fake, order))
    found = await amazon.find(a_parcel(shop.fake, order))
    assert found is not None
    shop.clock.advance(2)
    assert shop.fake.stock("A/B 1%") == 2


async def test_our_limiter_keeps_the_burst_so_that_amazon_never_says_429(amazon, shop):
    for _ in range(20):
        await amazon.read("order", None, None)
    with pytest.raises(RateLimited) as refused:
        await amazon.read("order", None, None)
    assert 178 < refused.value.after_s < 179
    assert shop.fake.calls().count("searchOrders") == 20


async def test_a_seller_with_a_higher_rate_gets_it(shop, clock):
    shop.fake.scale = 100.0
    door, amazon, limiter = a_door(shop.witness, clock)
    for _ in range(20):
        await amazon.read("order", None, None)
    assert limiter.forecast("searchOrders") == pytest.approx(1 / 0.56)
    await door.aclose()


async def test_an_expired_token_answers_403_and_is_renewed_once(amazon, shop):
    await amazon.fetch("listing", "TEE-BLU-M")
    shop.fake.expire_tokens()
    assert await amazon.fetch("listing", "TEE-BLU-M") is not None
    shop.fake.seller = "A2SOMEBODYELSE"  # a refusal that no new token cures
    shop.clock.advance(60)
    with pytest.raises(LoginNeeded):
        await amazon.fetch("listing", "TEE-BLU-M")


async def test_a_refused_refresh_token_asks_for_a_person_without_showing_it(shop, clock):
    door, amazon, _ = a_door(shop.witness, clock, refresh_token="Atzr|old")
    with pytest.raises(LoginNeeded) as refused:
        await amazon.fetch("listing", "TEE-BLU-M")
    assert "Atzr" not in str(refused.value)
    await door.aclose()


async def test_a_gateways_page_is_a_retry_on_a_read_and_a_doubt_on_a_write(amazon, shop):
    order = shop.fake.place_order([{"sku": "TEE-BLU-M", "quantity": 1}])
    shop.fake.misbehave("getOrder", "html", times=3)
    with pytest.raises(Retry):
        await amazon.fetch("order", order)
    shop.fake.misbehave("confirmShipment", "lost")
    with pytest.raises(InDoubt):
        await amazon.send(a_parcel(shop.fake, order))
    found = await amazon.find(a_parcel(shop.fake, order))
    assert found is not None
    assert found.already


async def test_amazons_words_reach_the_operator(amazon, shop):
    results = await amazon.publish([an_offer("NOT-OURS", 1), an_offer("TEE-BLU-M", 1)])
    assert [one.outcome for one in results] == ["rejected", "accepted"]
    assert "NOT-OURS" in results[0].words


async def test_a_sku_the_door_will_not_send_fails_alone(amazon):
    results = await amazon.publish([an_offer("..", 1), an_offer("TEE-BLU-M", 1)])
    assert [one.outcome for one in results] == ["rejected", "accepted"]
