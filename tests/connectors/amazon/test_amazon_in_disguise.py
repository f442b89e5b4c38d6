"""H47: a 200 that carries an error in place of what was asked for. Found by simulation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from amazon_kit import SETTINGS

from connectors.amazon import Amazon
from core.contract import Answer, Command, Offer
from core.errors import InDoubt, Retry
from core.model import ConfirmShipment, QuantityLine

SAID = "internal failure, try again"
OFFER = Offer(key="k", sku="TEA", listing="TEA", quantity=1, shown=None, place="")


class Disguised:
    """A door behind which every call succeeds and nothing is done."""

    def __init__(self, body: Any) -> None:
        self.body = body

    async def call(self, method: str, path: str, **words: Any) -> Answer:
        return Answer(status=200, headers={}, body=self.body)

    def observe(self, budget: str, **words: Any) -> None:
        """There is no rate in it."""


@pytest.fixture(params=[{"errors": [{"code": "x", "message": SAID}]}, [], None, "sorry"], ids=str)
def amazon(request: Any) -> Amazon:
    return Amazon(Disguised(request.param), SETTINGS)


@pytest.mark.parametrize("resource", ["order", "listing"])
async def test_h47_a_list_that_is_missing_is_asked_for_again(amazon: Amazon, resource: str) -> None:
    with pytest.raises(Retry):
        await amazon.read(resource, None, None)
    with pytest.raises(Retry):
        await amazon.fetch(resource, "902-1")


async def test_h47_a_confirmation_without_its_204_is_looked_up(amazon: Amazon) -> None:
    record = ConfirmShipment(
        reference="r",
        order="902-1",
        number="902-1",
        shipment="S1",
        parcel=1,
        shipped_at=datetime(2026, 11, 25, 9, tzinfo=UTC),
        carrier="UPS",
        tracking="1Z1",
        lines=(QuantityLine(line="1", sku="TEA", quantity=1),),
        complete=True,
    )
    command = Command(key="k", kind="confirm_shipment", record=record, body=None, attempt=1)
    with pytest.raises(InDoubt):
        await amazon.send(command)
    with pytest.raises(Retry):
        await amazon.find(command)


async def test_h47_a_number_that_was_neither_taken_nor_refused_is_unknown(amazon: Amazon) -> None:
    with pytest.raises(InDoubt):
        await amazon.publish([OFFER])


async def test_h47_the_words_inside_are_told() -> None:
    amazon = Amazon(Disguised({"errors": [{"message": SAID}]}), SETTINGS)
    with pytest.raises(Retry, match=SAID):
        await amazon.read("order", None, None)
