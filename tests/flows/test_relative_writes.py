"""Channels that are told differences: never from a number nobody knows (DESIGN 3; H19, S9)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from house import House, house

RELATIVE = {"shop": "relative"}
BOTH = {"shop": "relative", "market": "relative"}


@pytest.mark.parametrize("policy", ["shared", "split", "adaptive"])
async def test_it_comes_to_the_number_it_should_show(tmp_path: Path, policy: str) -> None:
    async with house(tmp_path, fields=RELATIVE, policy=policy) as h:
        await h.sells(TEA=5)
        await h.settle(120)
        await h.shop.place_order("TEA", 1)
        await h.settle(120)
        h.depot.receive("TEA", "EAST", 46)
        await h.settle(120)
        shown = (h.shop.shown("TEA"), h.market.shown("TEA"))
        assert sum(shown) == 50 if policy == "split" else shown == (50, 50)


async def test_h19_units_sold_unseen_are_not_sold_again(tmp_path: Path) -> None:
    async with house(tmp_path, fields=RELATIVE) as h:
        await h.sells(TEA=5)
        await h.settle(70)
        h.lost_pushes.add("shop")
        await h.shop.place_order("TEA", 2)
        await h.market.place_order("TEA", 1)
        await h.now()
        assert h.shop.shown("TEA") == 2  # 5, 2 sold unseen, 1 less
        await h.settle(70)
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (2, 2)


@pytest.mark.parametrize("done", [True, False])
async def test_s9_after_a_lost_answer_it_is_read_before_it_is_told(
    tmp_path: Path, done: bool
) -> None:
    async with house(tmp_path, fields=RELATIVE) as h:
        await h.sells(TEA=5)
        await h.settle(70)
        if done:
            h.faults("shop", lose_answers=1, only="PUT /stock")
        else:
            h.faults("shop", status=502, only="PUT /stock")
        h.depot.receive("TEA", "EAST", 3)
        await h.settle(40)
        h.faults("shop")
        await h.settle(400)
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (8, 8)
        assert h.shop.stock_writes()[-1]["quantity"] == 8


async def test_s25_a_number_typed_there_is_put_right_once(tmp_path: Path) -> None:
    async with house(tmp_path, fields=RELATIVE) as h:
        await h.sells(TEA=5)
        await h.settle(700)
        h.shop._listing("TEA")["quantity"] = 9
        await h.settle(1300)
        assert h.shop.shown("TEA") == 5


@pytest.mark.parametrize("policy", ["split", "shared"])
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_it_comes_to_rest(tmp_path: Path, seed: int, policy: str) -> None:
    chance = random.Random(seed)
    async with house(tmp_path, fields=BOTH, policy=policy) as h:
        await h.sells(TEA=0)
        await h.settle(70)
        received = 0
        for _ in range(25):
            received += await _something(h, chance)
            await h.settle(chance.choice((0.0, 3.0, 40.0)))
        h.lost_pushes.clear()
        h.faults("shop")
        await h.settle(1500)
        bought = sum(channel.sold().get("TEA", 0) for channel in (h.shop, h.market))
        left, shown = received - bought, (h.shop.shown("TEA"), h.market.shown("TEA"))
        if policy == "split":
            assert sum(shown) == left
        else:
            assert shown == (max(0, left),) * 2


async def _something(h: House, chance: random.Random) -> int:
    """Returns the units that came."""
    name = chance.choice(("shop", "market"))
    channel = h.fake(name)
    match chance.choice(("buy", "buy", "goods", "lose", "hear", "fail", "heal")):
        case "buy" if channel.shown("TEA"):
            await channel.place_order("TEA", chance.randint(1, channel.shown("TEA")))
        case "goods":
            units = chance.randint(1, 4)
            h.depot.receive("TEA", "EAST", units)
            return units
        case "lose":
            h.lost_pushes.add(name)
        case "hear":
            h.lost_pushes.discard(name)
        case "fail":
            h.faults("shop", lose_answers=1, only="PUT /stock")
        case "heal":
            h.faults("shop")
    return 0
