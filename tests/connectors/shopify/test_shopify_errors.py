"""What a 200 can hide, and what the caller does next."""

from __future__ import annotations

import json

import pytest
from shopify_kit import SETTINGS, Bench, Said, a_shipment, bench, connector_over, shelf

from core.errors import InDoubt, LoginNeeded, RateLimited, Rejected, Retry


def _errors(code: str, data: object = None) -> dict[str, object]:
    error = {"message": f"words for {code}", "extensions": {"code": code}}
    return {"errors": [error], "data": data}


async def test_the_published_throttle_waits_until_the_bucket_can_pay() -> None:
    body = json.loads(shelf("examples", "shopify", "throttled-response.json").read_text())
    api = Said(body)
    with pytest.raises(RateLimited) as caught:
        await connector_over(api).probe()
    assert caught.value.after_s == pytest.approx(0.86)  # (752 - 666) / 100
    assert api.observed == [("points", 666.0, 100.0, 2000.0)]


@pytest.mark.parametrize("status", [200, 429])
async def test_a_throttle_is_read_in_either_status(status: int) -> None:
    of = bench()
    of.fake.throttle_with(status)
    of.fake.use_points(1999)
    with pytest.raises(RateLimited) as caught:
        await of.connector.read("order", None, None)
    assert 0 < caught.value.after_s < 2
    of.clock.advance(30)
    await of.connector.read("order", None, None)


async def test_a_throttle_without_figures_waits_what_shopify_says_itself() -> None:
    with pytest.raises(RateLimited) as caught:
        await connector_over(Said("busy", status=429)).probe()
    assert caught.value.after_s == 2


async def test_every_answer_tells_the_limiter_what_is_left() -> None:
    of = bench()
    of.fake.use_points(1500)
    await of.connector.probe()
    assert of.limiter.snapshot()["points"]["left"] < 500


async def test_what_is_left_in_other_words_is_not_counted_with() -> None:
    """A number that came as a word once (T7): the call is done, the budget as it was."""
    of = bench()
    await of.connector.probe()
    said = of.tap.exchanges[-1][2]
    for bucket in ({"currentlyAvailable": "many"}, "planted", None):
        said["extensions"]["cost"]["throttleStatus"] = bucket
        api = Said(said)
        await connector_over(api).probe()
        assert api.observed == []


async def test_a_missing_scope_pauses_the_system() -> None:
    of = bench()
    of.fake.deny("read_orders")
    with pytest.raises(LoginNeeded, match="read_orders"):
        await of.connector.read("order", None, None)


async def test_a_revoked_token_pauses_the_system() -> None:
    of = bench()
    of.fake.revoke_token()
    with pytest.raises(LoginNeeded):
        await of.connector.read("order", None, None)


async def test_other_errors_are_the_owners_refusal_in_its_words() -> None:
    with pytest.raises(Rejected, match="words for undefinedField"):
        await connector_over(Said(_errors("undefinedField"))).probe()
    with pytest.raises(Rejected, match="Not Found"):
        await connector_over(Said({"errors": "Not Found"})).probe()


async def test_a_query_without_data_is_asked_again() -> None:
    with pytest.raises(Retry):
        await connector_over(Said({})).probe()
    with pytest.raises(Retry):
        await connector_over(Said(_errors("INTERNAL_SERVER_ERROR"))).probe()


def _order(of: Bench) -> dict[str, object]:
    """What the look-up before a shipment answers."""
    return dict(next(a for q, _, a in of.tap.exchanges if q["operationName"] == "Shipping"))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        _errors("INTERNAL_SERVER_ERROR"),
        _errors("ACCESS_DENIED", {"fulfillmentCreate": {"fulfillment": None}}),
    ],
    ids=["nothing", "broken", "ran and broke"],
)
async def test_a_write_that_ends_unclear_is_in_doubt(answer: object) -> None:
    of = bench()
    of.fake.add_product("A", stock=5)
    of.fake.place_order([{"sku": "A", "quantity": 1}])
    order = of.fake.order("#1001")
    await of.connector.find(a_shipment(order))
    with pytest.raises(InDoubt):
        await connector_over(Said(_order(of), answer)).send(a_shipment(order))


async def test_a_write_refused_before_it_ran_is_refused() -> None:
    of = bench()
    of.fake.add_product("A", stock=5)
    of.fake.place_order([{"sku": "A", "quantity": 1}])
    order = of.fake.order("#1001")
    await of.connector.find(a_shipment(order))
    denied = _errors("ACCESS_DENIED", {"fulfillmentCreate": None})
    with pytest.raises(LoginNeeded):
        await connector_over(Said(_order(of), denied)).send(a_shipment(order))


async def test_no_secret_is_in_any_error() -> None:
    of = bench()
    of.fake.revoke_token()
    with pytest.raises(LoginNeeded) as caught:
        await of.connector.probe()
    assert SETTINGS["access_token"] not in repr(caught.value)
