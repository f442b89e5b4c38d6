"""Stop 6: every channel shows the newest number; zeros first; whatever is lost is told again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from house import House, Killed, house

from core.overtaking import FAIR_EVERY, in_order


async def test_s4_g8_a_channel_that_was_away_hears_only_the_newest(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.faults("market", down=True)
        for _ in range(3):
            h.depot.receive("TEA", "EAST", 1)
            await h.settle(35)
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (8, 5)
        assert [w["quantity"] for w in h.market.stock_writes()] == [5]
        h.faults("market")
        await h.settle(400)
        assert [w["quantity"] for w in h.market.stock_writes()] == [5, 8]
        await h.settle(700)
        assert len(h.market.stock_writes()) == 2  # nothing changed, nothing is said


async def test_zeros_leave_before_cuts_and_cuts_before_raises(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(AAA=5, BBB=5, CCC=5)
        h.depot.receive("AAA", "EAST", 3)
        h.depot.count("BBB", "EAST", 2)
        h.depot.count("CCC", "EAST", 0)
        before = len(h.shop.stock_writes())
        await h.settle(35)
        told = [(w["sku"], w["quantity"]) for w in h.shop.stock_writes()[before:]]
        assert told == [("CCC", 0), ("BBB", 2), ("AAA", 8)]


async def test_h19_a_conditional_write_that_lost_the_race_rereads_and_converges(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, boutique=True) as h:
        boutique = h.fake("boutique")
        boutique.add_product("TEA", "Tea", "10.00", stock=0)
        await h.sells(TEA=9)
        await h.settle()
        shown = next(iter(boutique.stock("TEA").values()))["available"]
        assert shown == 9
        boutique.set_stock("TEA", 4)  # somebody types a number into the admin
        h.depot.receive("TEA", "EAST", 3)
        await h.settle(35)
        outcomes = h.rows("SELECT offers FROM told WHERE system = 'boutique' ORDER BY id")
        assert any("stale" in row["offers"] for row in outcomes)
        await h.settle()
        assert next(iter(boutique.stock("TEA").values()))["available"] == 12
        sold = boutique.place_order([{"sku": "TEA", "quantity": 2}])
        await h.settle()
        assert next(iter(boutique.stock("TEA").values()))["available"] == 10
        assert h.shop.shown("TEA") == 10
        assert h.state("boutique", sold) == "released"


async def test_s6_a_refused_listing_is_one_exception_and_the_rest_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        gone = h.shop._listings.pop("TEA")
        for _ in range(2):
            h.depot.receive("TEA", "EAST", 1)
            h.depot.receive("MUG", "EAST", 1)
            await h.settle(35)
        assert h.shop.shown("MUG") == 7
        [cause] = h.causes()
        assert cause.startswith("refused_offer:shop:")
        assert h.one("SELECT count(*) FROM hold_members") == 1
        writes = h.wires["shop"].count("PUT /stock")
        await h.settle(300)
        assert h.wires["shop"].count("PUT /stock") == writes  # no endless retry
        h.shop._listings["TEA"] = gone
        h.depot.receive("TEA", "EAST", 1)
        await h.settle(35)
        assert h.shop.shown("TEA") == 8
        assert h.causes() == []


async def test_a_lost_answer_is_told_again_with_the_number_of_then(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.faults("shop", lose_answers=1, only="PUT /stock")
        h.depot.receive("TEA", "EAST", 2)
        await h.settle(31)
        results = [r["result"] for r in h.rows("SELECT result FROM told WHERE system = 'shop'")]
        assert "lost" in results
        await h.settle(60)
        assert h.shop.shown("TEA") == 7
        assert h.rows("SELECT * FROM published WHERE system = 'shop'")[0]["quantity"] == 7
        assert h.rows("SELECT * FROM republish") == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_g12_killed_while_telling_the_channel_is_told_again(
    tmp_path: Path, when: str
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        setattr(h.wires["shop"], f"kill_{when}", "PUT /stock")
        h.depot.receive("TEA", "EAST", 2)
        with pytest.raises(Killed):
            await h.settle(60)
        assert len(h.rows("SELECT * FROM told WHERE ended_at IS NULL")) == 1
        await h.restart()
        await h.settle(60)
        assert h.rows("SELECT * FROM told WHERE ended_at IS NULL") == []
        assert h.shop.shown("TEA") == 7
        assert h.rows("SELECT * FROM published WHERE system = 'shop'")[0]["quantity"] == 7


async def test_one_sold_there_and_one_received_here_is_not_no_change(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.lost_pushes.update(("shop", "market"))
        await h.shop.place_order("TEA")
        assert h.shop.shown("TEA") == 4
        h.depot.receive("TEA", "EAST", 1)
        await h.settle(70)
        assert h.sellable("TEA") == 5
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (5, 5)


async def test_s5_s25_a_number_the_channel_changed_itself_is_found_and_corrected_once(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.clock.advance(1)
        h.shop._listings["TEA"]["quantity"] = 9
        await h.settle(650)
        assert h.shop.shown("TEA") == 5
        writes = len(h.shop.stock_writes())
        await h.settle(1300)
        assert len(h.shop.stock_writes()) == writes


async def test_s25_a_channel_that_does_not_keep_our_number_is_given_up_with_a_reason(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        h.clock.advance(1)
        before = len(h.shop.stock_writes())
        for _ in range(6):
            h.shop._listings["TEA"]["quantity"] = 9  # somebody else's program writes it too
            await h.settle(650)
        assert len(h.shop.stock_writes()) - before == 3
        assert h.causes() == ["not_kept:shop"]
        h.depot.receive("TEA", "EAST", 1)  # the number itself changes: it is told again
        await h.settle(650)
        assert (h.shop.shown("TEA"), h.causes()) == (6, [])


async def test_a_listing_that_appears_later_is_told_without_a_change_of_stock(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        h.depot.receive("TEA", "EAST", 5)
        await h.settle(35)
        h.shop.list_item("TEA")
        await h.settle(650)
        assert h.shop.shown("TEA") == 5


async def test_safety_stock_is_never_offered_and_a_parcel_does_not_consume_it(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, safety=2) as h:
        await h.sells(TEA=5)
        assert h.shop.shown("TEA") == 3
        await h.shop.place_order("TEA", 3)
        await h.settle()
        assert (h.shop.shown("TEA"), h.sellable("TEA")) == (0, 0)
        await h.depot.ship(h.waiting())
        await h.settle()
        assert h.sellable("TEA") == 0


async def test_every_location_keeps_its_own_safety_stock(tmp_path: Path) -> None:
    async with house(tmp_path, safety=2, second=True, second_safety=3) as h:
        h.depot.receive("TEA", "WEST", 4)
        await h.sells(TEA=5)
        await h.settle()
        assert (h.sellable("TEA", "main"), h.sellable("TEA", "annex")) == (3, 1)
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (4, 4)


async def test_young_changes_wait_for_each_other_and_a_zero_waits_for_nobody(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, linger="10s") as h:
        await h.sells(TEA=9)
        await h.settle()
        before = len(h.shop.stock_writes())
        await h.market.place_order("TEA")
        await h.now()
        h.clock.advance(4)
        await h.market.place_order("TEA")
        await h.now()
        assert h.shop.shown("TEA") == 9  # not told yet
        await h.settle(8)
        assert h.shop.shown("TEA") == 7
        assert len(h.shop.stock_writes()) == before + 1  # one call for both
        await h.market.place_order("TEA", quantity=7)
        await h.now()
        assert h.shop.shown("TEA") == 0  # without waiting


async def test_h20_a_batch_refused_whole_is_told_in_halves_until_the_guilty_one_is_alone(
    tmp_path: Path,
) -> None:
    # before, one listing that was gone silenced its channel for good: cuts to zero included
    async with house(tmp_path, settings={"shop": {"refuses_whole": "true"}}) as h:
        skus = [f"S{number:02d}" for number in range(40)]
        await h.sells(**dict.fromkeys(skus, 5))
        for gone in ("S07", "S31"):
            del h.shop._listings[gone]
        for sku in skus:
            h.depot.count(sku, "EAST", 3)
        h.depot.count("S20", "EAST", 0)
        calls = h.wires["shop"].count("PUT /stock")
        await h.settle(40)
        assert h.shop.shown("S20") == 0
        assert {h.shop.shown(sku) for sku in skus if sku not in ("S07", "S20", "S31")} == {3}
        assert h.wires["shop"].count("PUT /stock") - calls <= 24
        [cause] = h.causes()
        assert cause.startswith("refused_offer:shop:")
        members = h.rows("SELECT label FROM hold_members WHERE closed_at IS NULL")
        assert sorted(row["label"] for row in members) == ["S07 at shop", "S31 at shop"]
        again = h.wires["shop"].count("PUT /stock")
        await h.settle(300)
        assert h.wires["shop"].count("PUT /stock") == again  # nobody is asked about them again


async def test_a_channel_that_refuses_whatever_it_is_told_is_one_exception_until_it_takes_one(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        h.faults("shop", status=403, only="PUT /stock")
        h.depot.count("TEA", "EAST", 2)
        h.depot.count("MUG", "EAST", 0)
        await h.settle(400)
        assert h.causes() == ["refused_calls:shop"]
        assert h.wires["shop"].count("PUT /stock") < 40
        h.faults("shop")
        await h.settle(400)
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (2, 0)
        assert h.causes() == []


async def test_a_connector_that_fails_on_a_stock_write_is_asked_ever_less_often(
    tmp_path: Path,
) -> None:
    # before, it failed once a second for good, and each time left a call without an end
    async with house(tmp_path) as h:
        await h.sells(TEA=5)

        def slip(request: object) -> None:
            if "PUT /stock" in h.wires["shop"].sent[-1]:
                raise KeyError("a bug of ours")

        h.wires["shop"].on_request.append(slip)
        h.depot.count("TEA", "EAST", 2)
        calls = h.wires["shop"].count("PUT /stock")
        await h.settle(400)
        assert 5 < h.wires["shop"].count("PUT /stock") - calls < 15
        assert h.rows("SELECT * FROM told WHERE ended_at IS NULL") == []
        h.wires["shop"].on_request.clear()
        await h.settle(400)
        assert h.shop.shown("TEA") == 2


def told_in_calls(h: House, channel: str, after: int) -> list[list[tuple[str, int]]]:
    """(SKU, quantity) of each call to this channel, in order."""
    sql = "SELECT offers FROM told WHERE system = ? AND result = 'answered' AND id > ? ORDER BY id"
    return [
        [(one["sku"], one["quantity"]) for one in json.loads(row["offers"])]
        for row in h.rows(sql, channel, after)
    ]


async def test_after_an_outage_a_cut_to_zero_overtakes_all_that_waits(tmp_path: Path) -> None:
    # the SKU that sold out last stood behind three calls of raises
    async with house(tmp_path) as h:
        skus = [f"S{number:03d}" for number in range(330)]
        await h.sells(**dict.fromkeys(skus, 5))
        h.faults("market", down=True)
        for sku in skus[:320]:
            h.depot.receive(sku, "EAST", -2 if sku == "S099" else 1)
        await h.settle(31)
        h.depot.count("S325", "EAST", 2)
        h.depot.count("S329", "EAST", 0)
        await h.settle(31)
        last = h.one("SELECT max(id) FROM told")
        h.faults("market")
        await h.settle(400)
        first, *more = told_in_calls(h, "market", last)
        assert first[:4] == [("S329", 0), ("S099", 3), ("S325", 2), ("S000", 6)]
        assert len(first) == 100
        told = [sku for call in (first, *more) for sku, _ in call]
        assert sorted(told) == sorted([*skus[:320], "S325", "S329"])  # all of it, and once


async def test_what_overtakes_starves_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        skus = [f"S{number:03d}" for number in range(520)]
        await h.sells(**dict.fromkeys(skus, 5))
        h.faults("market", down=True)
        h.depot.receive("S000", "EAST", 1)
        await h.settle(31)
        for sku in skus[1:]:
            h.depot.count(sku, "EAST", 1)
        await h.settle(31)
        last = h.one("SELECT max(id) FROM told")
        h.faults("market")
        await h.settle(400)
        calls = told_in_calls(h, "market", last)
        assert len(calls) == 6
        raised = [number for number, call in enumerate(calls) if ("S000", 6) in call]
        assert len(raised) == 1
        assert raised[0] < FAIR_EVERY  # not after all 519 cuts


def test_three_calls_of_four_begin_with_cuts_and_the_fourth_with_the_oldest() -> None:
    wanted = [in_order(turn, ["cut", "both"], ["again"], ["old", "both"]) for turn in range(5)]
    urgent, fair = ["cut", "both", "again", "old"], ["old", "both", "again", "cut"]
    assert wanted == [urgent, urgent, urgent, fair, urgent]


async def test_a_channel_that_never_says_what_became_of_an_offer_is_asked_ever_less_often(
    tmp_path: Path,
) -> None:
    # before, it was told every two seconds for good, and its orders were read each time
    async with house(tmp_path, settings={"shop": {"silent_about": "TEA"}}) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle(3600)
        assert h.wires["shop"].count("PUT /stock") < 25
        h.depot.count("MUG", "EAST", 2)
        await h.settle(35)
        assert h.shop.shown("MUG") == 2
        h.shop._world.settings["silent_about"] = ""
        await h.settle(700)
        rows = h.rows("SELECT words FROM published WHERE system = 'shop' AND sku = 'TEA'")
        assert [row["words"] for row in rows] == [""]
