"""Money: whatever the fake sells ties to the cent, before and after units are cancelled (H36)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shopee_kit import bench, order_of

from core.lifecycle import residue

LINES = st.lists(
    st.tuples(st.sampled_from(["RED", "BLUE", "MUG"]), st.integers(1, 4)), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(lines=LINES, price=st.integers(1, 99_999), part=st.integers(0, 100), fewer=st.booleans())
async def test_any_order_ties_to_the_minor_unit(
    lines: list[tuple[str, int]], price: int, part: int, fewer: bool
) -> None:
    shop = bench()
    shop.fake.list_models({"RED": 99, "BLUE": 99}, price=price)
    shop.fake.list_item("MUG", 99, price=333, models=False)
    wanted = [{"sku": sku, "quantity": units} for sku, units in lines]
    first = (333 if lines[0][0] == "MUG" else price) * lines[0][1]
    sn = shop.fake.place_order(wanted, voucher=first * part // 100)
    if fewer and len(lines) > 1:
        shop.fake.request_cancel(sn, {lines[-1][0]: 1})
        shop.fake.decide(sn, accept=True)
    item = await shop.shopee.fetch("order", sn)
    assert item is not None
    assert residue(order_of(item)).minor == 0
    await shop.door.aclose()


@pytest.mark.parametrize("planted", ["discount_from_voucher_seller", "buyer_paid_shipping_fee"])
async def test_a_payout_that_is_read_wrong_does_not_tie(planted: str, shop: Any) -> None:
    """Negative control: it is the payout that makes the order tie above."""
    shop.fake.list_item("TEE", 9)
    sn = shop.fake.place_order([{"sku": "TEE", "quantity": 2}], voucher=150)
    item = await shop.shopee.fetch("order", sn)
    (line,) = item.body["item_list"]
    for part in (item.body["income"], line["income"]):
        part.pop(planted, None)
    assert residue(order_of(item)).minor != 0
