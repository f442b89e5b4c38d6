"""H42: where an order goes is another place after the warehouse was asked to send it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.flows.house import House, house

CAUSE = "late:address:shop:S000001"


async def moved(h: House, order: dict[str, Any], **buyer: Any) -> None:
    """The buyer corrects where it goes; nothing else of the order changes."""
    order["buyer"] = order["buyer"] | buyer
    await h.edit("shop", order)
    await h.now()


async def released(h: House) -> dict[str, Any]:
    await h.sells(TEA=5)
    order: dict[str, Any] = await h.shop.place_order("TEA", 2)
    await h.settle()
    assert h.state("shop", order) == "released"
    return order


async def picked(h: House) -> dict[str, Any]:
    """The warehouse lets it be no more."""
    order = await released(h)
    h.depot.begin(h.waiting())
    return order


async def test_h42_an_address_changed_after_release_is_told_anew(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        order = await released(h)
        await moved(h, order, street="Another Street 9")
        await h.settle()
        first, second = h.asked()
        assert (first["state"], second["state"]) == ("cancelled", "open")
        assert "Another Street 9" in str(second)
        assert (h.state("shop", order), h.causes()) == ("released", [])


async def test_h42_an_address_changed_after_release_is_a_persons(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        order = await picked(h)
        street = order["buyer"]["street"]
        await moved(h, order, street="Another Street 9")
        assert h.causes() == [CAUSE]
        assert h.state("shop", order) == "released"  # the warehouse packs it: that stands
        [hold] = h.rows("SELECT reason, next_step FROM holds")
        assert "Another Street" not in str(tuple(hold))  # no buyer in an exception (G20)
        await moved(h, order, street=street)  # what the warehouse was told after all
        assert h.causes() == []


@pytest.mark.parametrize(
    "buyer",
    [
        {"email": "other@example.org"},  # no parcel goes there
        dict.fromkeys(("name", "company", "street", "city", "postcode", "country", "phone")),
    ],
)
async def test_what_sends_no_parcel_elsewhere_asks_nobody(
    tmp_path: Path, buyer: dict[str, Any]
) -> None:
    async with house(tmp_path) as h:
        await moved(h, await released(h), **buyer)
        assert h.causes() == []


async def test_h42_an_address_changed_before_release_is_the_one_that_is_told(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2, payment="pending")
        await h.settle()
        order["payment"] = "paid"
        await moved(h, order, street="Another Street 9")
        await h.settle()
        assert h.causes() == []
        [asked] = h.asked()
        assert "Another Street 9" in str(asked)


async def test_h42_a_parcel_that_left_for_the_old_address_stays_a_persons(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        order = await picked(h)
        await moved(h, order, street="Another Street 9")
        await h.depot.ship(h.waiting())
        await h.settle()
        assert h.state("shop", order) == "shipped"
        assert h.causes() == [CAUSE]
        await h.operate("accept", hold=h.one("SELECT id FROM holds WHERE closed_at IS NULL"))
        await moved(h, order, city="Elsewhere")  # it has left, and no parcel is told of this
        assert h.causes() == []


async def test_h42_stopped_and_released_again_it_is_told_the_new_address(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        order = await released(h)
        await moved(h, order, street="Another Street 9")
        name = f"shop:{order['id']}"
        await h.operate("hold", order=name, by="Ann", reason="another address")
        await h.settle()
        await h.operate("release", order=name, by="Ann", reason="goes to the new one")
        await h.settle()
        first, second = h.asked()
        assert (first["state"], second["state"]) == ("cancelled", "open")
        assert "Another Street 9" in str(second)
        assert h.causes() == []


async def test_h42_the_rest_is_told_the_new_address_and_what_has_left_is_still_shown(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        order = await picked(h)
        await moved(h, order, street="Another Street 9")
        h.depot.count("TEA", "EAST", 1)  # the other one is broken
        await h.depot.short_pick(h.waiting())
        await h.settle()
        h.depot.receive("TEA", "EAST", 5)
        await h.settle()
        _, rest = h.asked()
        assert rest["ship_to"]["street"] == "Another Street 9"
        assert h.causes() == [CAUSE]
