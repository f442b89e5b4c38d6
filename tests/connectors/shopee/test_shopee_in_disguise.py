"""H47: a 200 that carries something else in place of what was asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from shopee_kit import SETTINGS, an_offer

from connectors.shopee import Shopee
from core.contract import Answer, Command
from core.errors import InDoubt, Retry
from core.model import ConfirmShipment, QuantityLine


class Disguised:
    """A door behind which every call succeeds with one body, whatever was asked."""

    def __init__(self, *bodies: Any) -> None:
        self.bodies = list(bodies)

    async def call(self, method: str, path: str, **words: Any) -> Answer:
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        return Answer(status=200, headers={}, body=body)

    def now(self) -> datetime:
        return datetime(2026, 11, 25, 9, tzinfo=UTC)

    def observe(self, budget: str, **words: Any) -> None:
        """Shopee says no rate."""


ODD = [{}, [], None, "sorry", {"error": ""}, {"error": "", "response": []}]


@pytest.fixture(params=ODD, ids=str)
def shopee(request: Any) -> Shopee:
    return Shopee(Disguised(request.param), SETTINGS)


@pytest.mark.parametrize("resource", ["order", "listing", "return", "refund"])
async def test_h47_a_list_that_is_missing_is_asked_for_again(shopee: Shopee, resource: str) -> None:
    with pytest.raises(Retry):
        await shopee.read(resource, None, None)


@pytest.mark.parametrize("resource", ["order", "return"])
async def test_h47_an_object_that_is_missing_is_asked_for_again(
    shopee: Shopee, resource: str
) -> None:
    with pytest.raises(Retry):
        await shopee.fetch(resource, "X1")


async def test_h47_a_number_that_was_neither_taken_nor_refused_is_unknown(shopee: Shopee) -> None:
    with pytest.raises(InDoubt):
        await shopee.publish([an_offer("1.2", 3)])


async def test_a_row_that_is_in_neither_list_is_unknown() -> None:
    body = {"error": "", "response": {"success_list": [], "failure_list": []}}
    (result,) = await Shopee(Disguised(body), SETTINGS).publish([an_offer("1.2", 3)])
    assert result.outcome == "unknown"


async def test_a_number_that_was_taken_otherwise_is_stale() -> None:
    row = {"model_id": 2, "location_id": "SGZ", "stock": 7}
    body = {"error": "", "response": {"success_list": [row]}}
    (result,) = await Shopee(Disguised(body), SETTINGS).publish([an_offer("1.2", 3)])
    assert (result.outcome, result.shown) == ("stale", 7)


async def test_a_list_that_names_no_next_page_is_asked_again() -> None:
    listed = {"more": True, "next_cursor": "", "order_list": []}
    shopee = Shopee(Disguised({"error": "", "response": listed}), SETTINGS)
    with pytest.raises(Retry, match="names no next page"):
        await shopee.read("order", None, "5|6|6|")
    items = {"item": [], "has_next_page": True}
    shopee = Shopee(Disguised({"error": "", "response": items}), SETTINGS)
    with pytest.raises(Retry, match="names no next page"):
        await shopee.read("listing", None, None)
    returns = {"return": [], "more": True}
    shopee = Shopee(Disguised({"error": "", "response": returns}), SETTINGS)
    with pytest.raises(Retry, match="empty page"):
        await shopee.read("return", None, "5|6|6|")


READY = {
    "order_sn": "X1",
    "order_status": "READY_TO_SHIP",
    "update_time": 1,
    "package_list": [{"package_number": "OFG1", "logistics_status": "LOGISTICS_READY"}],
}
BEFORE = (
    {"error": "", "response": {"order_list": [READY]}},
    {"error": "", "response": {"info_needed": {"dropoff": []}}},
)
PARCEL = ConfirmShipment(
    reference="r",
    order="X1",
    number="X1",
    shipment="S1",
    parcel=1,
    shipped_at=datetime(2026, 11, 25, 9, tzinfo=UTC),
    lines=(QuantityLine(line="1", sku="TEA", quantity=1),),
)


@pytest.mark.parametrize("odd", [body for body in ODD if "error" not in (body or {})], ids=str)
async def test_h47_a_parcel_without_an_answer_is_looked_up(odd: Any) -> None:
    shopee = Shopee(Disguised(*BEFORE, odd), SETTINGS)
    with pytest.raises(InDoubt):
        await shopee.send(Command(key="k", kind="confirm_shipment", record=PARCEL))


async def test_a_parcel_whose_number_nobody_gives_is_told_all_the_same() -> None:
    no = {"error": "logistics.invalid_error", "message": "No number today."}
    shopee = Shopee(Disguised(*BEFORE, {"error": ""}, no), SETTINGS)
    receipt = await shopee.send(Command(key="k", kind="confirm_shipment", record=PARCEL))
    assert receipt.reference == "OFG1"
    assert receipt.note == "Shopee names no tracking number yet"


async def test_lines_that_look_alike_take_their_parts_of_the_payout_in_turn() -> None:
    """Where the payout names no line: the second of two alike must not take the first's voucher."""
    line = {"item_id": 1, "model_id": 2}
    order = {
        "order_sn": "X1",
        "order_status": "READY_TO_SHIP",
        "update_time": 1,
        "item_list": [{**line, "order_item_id": 7}, {**line, "order_item_id": 8}],
    }
    paid = [{**line, "discount_from_coin": 1}, {**line, "discount_from_coin": 2}]
    details = {"error": "", "response": {"order_list": [order]}}
    escrow = {"error": "", "response": {"order_income": {"items": paid}}}
    item = await Shopee(Disguised(details, escrow), SETTINGS).fetch("order", "X1")
    assert item is not None
    assert [one["income"]["discount_from_coin"] for one in item.body["item_list"]] == [1, 2]
