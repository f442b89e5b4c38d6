"""What an owner's numbers mean: missing, impossible, moved, not for sale, promised twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from house import House, house

from core import fulfillment, operate, readings, unlisted
from core.differences import Difference
from core.doubts import Came
from core.model import StockReading
from core.work import Work

ZERO = "{basis: on_hand, ordered_by: counter, missing_is_zero: true}"
REQUEST = "{basis: on_hand, ordered_by: request}"
GAPLESS = "{basis: on_hand, ordered_by: counter, gapless: true}"


def gone(h: House) -> list[Difference]:
    with h.app.store.read() as connection:
        return unlisted.differences(connection, h.app.network)


def members(h: House, cause: str) -> list[str]:
    sql = (
        "SELECT m.label FROM hold_members m JOIN holds h ON h.id = m.hold_id"
        " WHERE h.cause = ? AND h.closed_at IS NULL AND m.closed_at IS NULL ORDER BY m.label"
    )
    return [row["label"] for row in h.rows(sql, cause)]


async def accept(h: House, cause: str) -> int:
    number = h.one("SELECT id FROM holds WHERE cause = ? AND closed_at IS NULL", cause)
    found = await operate.operate(h.app, "accept", {"hold": number})
    await h.settle()
    return int(found["accepted"])


async def said(h: House, came: Came, **words: Any) -> str:
    """The depot says this one number, in so many words."""
    reading = StockReading(**{"key": "", "sku": "TEA", "place": "EAST", **words})
    return await decided(h, lambda work: readings.take_reading(work, "depot", reading, came))


async def is_absent(h: House, came: Came) -> str:
    return await decided(h, lambda work: readings.take_absence(work, "depot", came))


async def decided(h: House, decide: Callable[[Work], str]) -> str:
    def unit(connection: Any) -> str:
        work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
        word = decide(work)
        fulfillment.go_on(work)
        work.finish()
        return word

    return await h.app.store.write(unit)


# ------------------------------------------------------------------ what is no longer there


async def test_h48_a_sku_that_a_complete_pass_no_longer_shows_has_no_units(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="whole", source=ZERO) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle()
        assert h.shop.shown("TEA") == 5
        h.depot.delete("TEA", "EAST")
        await h.settle()
        assert (h.sellable("TEA"), h.sellable("MUG")) == (0, 5)
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (0, 0)
        assert h.causes() == []
        h.depot.receive("TEA", "EAST", 3)  # made anew, with the same SKU
        await h.settle()
        assert h.shop.shown("TEA") == 3


async def test_h15_a_missing_sku_is_evidence_like_any_number_of_its_pass(tmp_path: Path) -> None:
    source = "{basis: on_hand, ordered_by: request, missing_is_zero: true}"
    async with house(tmp_path, warehouse="whole", source=source) as h:
        await h.sells(TEA=1, MUG=5)
        order = await h.shop.place_order("TEA")
        await h.settle()
        await h.depot.ship(h.waiting())
        h.depot.delete("TEA", "EAST")  # it lists what it has, and nothing else
        await h.settle()
        assert h.line("shop", order) == (1, 0, 0, 1, 0)
        assert h.sellable("TEA") == 0
        assert h.causes() == []


async def test_h7_an_absence_that_is_decided_late_changes_nothing(tmp_path: Path) -> None:
    """The row was there again, and was read, before the older pass came to its end."""
    async with house(tmp_path, source=REQUEST) as h:
        await h.sells(TEA=0)
        at = h.clock.now()
        came = Came(began_at=at + timedelta(seconds=9), item="4711")
        assert await said(h, came, on_hand=5) == "applied"
        before = Came(began_at=at + timedelta(seconds=8), item="4711")
        assert await is_absent(h, before) == "stale"
        assert h.sellable("TEA") == 5
        assert await is_absent(h, Came(began_at=came.began_at, item="another")) == "ignored"
        after = Came(began_at=at + timedelta(seconds=10), item="4711")
        assert await is_absent(h, after) == "applied"
        assert h.sellable("TEA") == 0


async def test_a_sku_without_a_row_keeps_its_number_where_nobody_says_what_that_means(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, warehouse="whole", source=REQUEST) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle()
        h.depot.delete("TEA", "EAST")
        await h.settle()
        assert h.shop.shown("TEA") == 5
        [one] = gone(h)
        assert (one.key, one.units, one.kind) == ("TEA main", 5, "unexplained")
        assert one.detail == "no longer listed by depot; its last number, 5, stands"
        h.depot.receive("TEA", "EAST", 2)
        await h.settle()
        assert h.shop.shown("TEA") == 2
        assert gone(h) == []


async def test_g7_a_pass_is_no_evidence_for_a_number_it_did_not_show(tmp_path: Path) -> None:
    """The parcel left, then its row was deleted: the old number still counts the units."""
    async with house(tmp_path, warehouse="whole", source=REQUEST) as h:
        await h.sells(TEA=5, MUG=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        shelves = h.depot._shelves
        await h.depot.ship(h.waiting())
        tea = shelves.pop(("TEA", "EAST", ""))
        await h.settle(200)
        assert h.line("shop", order) == (2, 2, 0, 0, 0)
        assert h.sellable("TEA") == 3
        shelves["TEA", "EAST", ""] = tea
        await h.settle(70)
        assert h.line("shop", order) == (2, 0, 0, 2, 0)
        assert h.sellable("TEA") == 3


async def test_s38_h47_an_empty_list_empties_no_shop_and_closes_by_itself(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="whole", source=ZERO) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle()
        kept, h.depot._shelves = h.depot._shelves, {}
        await h.settle(200)
        assert h.causes() == ["unlikely_pass:depot:stock_reading"]
        assert members(h, "unlikely_pass:depot:stock_reading") == ["2 of 2 stock readings"]
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (5, 5)
        h.depot._shelves = kept
        await h.settle()
        assert h.causes() == []
        assert h.rows("SELECT * FROM seen WHERE missing_since IS NOT NULL") == []


async def test_s38_a_person_says_that_everything_is_really_gone(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="whole", source=ZERO) as h:
        await h.sells(**{f"SKU{n:02d}": 5 for n in range(30)})
        await h.settle()
        h.depot._shelves.clear()
        await h.settle()
        assert await accept(h, "unlikely_pass:depot:stock_reading") == 30
        assert {h.sellable(f"SKU{n:02d}") for n in range(30)} == {0}
        assert {h.shop.shown(f"SKU{n:02d}") for n in range(30)} == {0}
        assert h.causes() == []
        h.depot.receive("SKU00", "EAST", 2)
        await h.settle()
        assert h.shop.shown("SKU00") == 2


async def test_a_pass_that_broke_off_says_nothing_of_what_is_missing(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="whole", source=ZERO) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle()
        h.faults("depot", status=500, only="GET /stock")
        h.depot.delete("TEA", "EAST")
        await h.settle(300)
        assert h.shop.shown("TEA") == 5
        assert h.rows("SELECT * FROM seen WHERE missing_since IS NOT NULL") == []


async def test_h48_a_listing_that_is_gone_is_offered_no_more_and_made_anew_told_again(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle(700)
        del h.shop._listings["TEA"]
        await h.settle(600)
        active = "SELECT active FROM listings WHERE system = 'shop' AND sku = 'TEA'"
        assert h.one(active) == 1  # a row can slip through one pass (H9)
        await h.settle(700)
        assert h.one(active) == 0
        assert h.causes() == []
        before = len(h.shop.stock_writes())
        h.depot.receive("TEA", "EAST", 1)
        await h.settle()
        assert not [row for row in h.shop.stock_writes()[before:] if row["sku"] == "TEA"]
        h.depot.count("TEA", "EAST", 5)
        h.shop.list_item("TEA", price="10.00", quantity=99)  # it shows what nobody told it
        await h.settle(700)
        assert h.shop.shown("TEA") == 5


async def test_s38_a_channel_that_answers_with_no_listings_keeps_its_offers(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle(700)
        kept, h.shop._listings = h.shop._listings, {}
        await h.settle(1300)
        assert h.causes() == ["unlikely_pass:shop:listing"]
        assert h.one("SELECT count(*) FROM listings WHERE active = 1 AND system = 'shop'") == 2
        h.shop._listings = kept
        await h.settle(700)
        assert h.causes() == []


async def test_s5_s25_a_channel_that_silently_keeps_its_old_number_is_told_again(
    tmp_path: Path,
) -> None:
    """Nothing changes in what it shows; only what we told it has changed."""
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.settle(700)
        h.depot.count("TEA", "EAST", 3)
        await h.settle(60)
        assert h.shop.shown("TEA") == 3
        h.shop._listings["TEA"]["quantity"] = 5  # it acknowledged 3, and had never stopped at 5
        await h.settle(700)
        assert h.shop.shown("TEA") == 3


# ------------------------------------------------------------------ what cannot be true


@pytest.mark.parametrize(
    ("number", "cause"),
    [(-999, "placeholder"), (-500, "negative"), (50_000, "rise")],
)
async def test_s38_an_absurd_number_is_asked_about_and_a_likely_one_closes_it(
    tmp_path: Path, number: int, cause: str
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle()
        h.depot.claims("TEA", "EAST", number)
        h.depot.claims("MUG", "EAST", 4)
        await h.settle()
        assert h.causes() == [f"implausible:{cause}:depot"]
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (5, 4)
        h.depot.claims("TEA", "EAST", 7)
        await h.settle()
        assert h.causes() == []
        assert h.shop.shown("TEA") == 7


async def test_s38_a_person_says_that_it_is_true(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.settle()
        h.depot.claims("TEA", "EAST", 50_000)
        await h.settle()
        assert await accept(h, "implausible:rise:depot") == 1
        assert h.shop.shown("TEA") == 50_000
        h.depot.claims("TEA", "EAST", 49_990)  # what was accepted is the number in force now
        await h.settle()
        assert h.causes() == []
        assert h.shop.shown("TEA") == 49_990


async def test_s38_a_landslide_of_zeros_stops_after_the_first_and_undoes_itself(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        skus = [f"SKU{n:02d}" for n in range(40)]
        await h.sells(**dict.fromkeys(skus, 5))
        await h.settle()
        for sku in skus:
            h.depot.claims(sku, "EAST", 0)
        await h.settle()
        assert h.causes() == ["implausible:zeros:depot"]
        assert len(members(h, "implausible:zeros:depot")) == 30
        assert sum(h.shop.shown(sku) == 0 for sku in skus) == 10  # 25 % of 40, believed at once
        for sku in skus:
            h.depot.claims(sku, "EAST", 5)
        await h.settle()
        assert h.causes() == []
        assert {h.shop.shown(sku) for sku in skus} == {5}


async def test_s38_a_landslide_that_is_true_is_accepted_whole(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        skus = [f"SKU{n:02d}" for n in range(40)]
        await h.sells(**dict.fromkeys(skus, 5))
        await h.settle()
        for sku in skus:
            h.depot.claims(sku, "EAST", 0)
        await h.settle()
        assert await accept(h, "implausible:zeros:depot") == 30
        assert {h.shop.shown(sku) for sku in skus} == {0}
        assert h.causes() == []


async def test_s7_one_bad_row_of_a_large_list_is_one_exception_and_the_others_flow(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, warehouse="whole", source=REQUEST) as h:
        skus = [f"SKU{n:03d}" for n in range(300)]
        await h.sells(**dict.fromkeys(skus, 5))
        await h.settle()
        for sku in skus:
            h.depot.claims(sku, "EAST", 6)
        h.depot._shelves["SKU007", "EAST", ""].on_hand = 2.5
        h.depot._shelves["SKU008", "EAST", ""].on_hand = -999
        await h.settle()
        assert h.causes() == [
            "implausible:placeholder:depot",
            "mapping:generic_wms.stock_reading:on_hand:not_whole",
        ]
        assert [len(members(h, cause)) for cause in h.causes()] == [1, 1]
        assert {h.sellable(sku) for sku in skus if sku not in ("SKU007", "SKU008")} == {6}
        assert (h.sellable("SKU007"), h.sellable("SKU008")) == (5, 5)
        for sku in ("SKU007", "SKU008"):
            h.depot.claims(sku, "EAST", 4)
        await h.settle()
        assert h.causes() == []


async def test_two_rows_for_one_sku_at_one_place_are_asked_about(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="whole", source=REQUEST) as h:
        await h.sells(TEA=5)
        await h.settle()
        h.depot.set_aside("TEA", "EAST", 2, status="good")  # a second row, also for sale
        await h.settle()
        assert h.causes() == ["two_rows:depot"]
        assert h.sellable("TEA") == 3


# ------------------------------------------------------------------ promised beyond the number


async def test_h18_oversold_is_an_exception_with_its_orders_and_closes_by_itself(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        for _ in range(2):
            await h.shop.place_order("TEA", 2)
            h.clock.advance(1)
        await h.settle()
        h.depot.count("TEA", "EAST", 1)
        await h.settle(100)
        assert h.causes() == ["oversold:TEA:main"]
        [row] = h.rows("SELECT * FROM holds WHERE closed_at IS NULL")
        assert row["reason"] == (
            "TEA is oversold by 3 at main: depot says 1, and 4 are promised of it"
        )
        assert members(h, "oversold:TEA:main") == ["shop:#000001", "shop:#000002"]
        h.depot.count("TEA", "EAST", 3)
        await h.settle()
        assert members(h, "oversold:TEA:main") == ["shop:#000002"]
        assert h.oversold()[0]["units"] == 1
        h.depot.receive("TEA", "EAST", 1)
        await h.settle()
        assert h.causes() == []
        assert h.rows("SELECT * FROM oversold") == []


async def test_h18_a_number_below_zero_is_a_deficit_and_says_so(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5, MUG=5)
        await h.shop.place_order("TEA", 2)
        await h.settle()
        h.depot.claims("TEA", "EAST", -3)
        h.depot.claims("MUG", "EAST", -1)
        await h.settle(100)
        assert h.causes() == ["oversold:MUG:main", "oversold:TEA:main"]
        assert {row["sku"]: row["units"] for row in h.oversold()} == {"TEA": 5, "MUG": 1}
        assert members(h, "oversold:MUG:main") == ["MUG at main"]  # nobody is in danger
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (0, 0)
        for sku in ("TEA", "MUG"):
            h.depot.claims(sku, "EAST", 2)
        await h.settle(100)
        assert h.causes() == []


async def test_h15_a_shelf_read_before_its_parcel_is_heard_of_alarms_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, pushes=False) as h:
        await h.sells(TEA=1)
        order = await h.shop.place_order("TEA")
        await h.settle()
        h.faults("depot", status=500, only="GET /shipments")
        await h.depot.ship(h.waiting())
        await h.settle(300)
        assert h.shop.shown("TEA") == 0
        assert h.one("SELECT units FROM oversold") == 1  # seen, and not confirmed
        assert (h.causes(), h.oversold()) == ([], [])
        h.faults("depot")
        await h.settle(400)
        assert h.state("shop", order) == "shipped"
        assert h.rows("SELECT * FROM oversold") == []


# ------------------------------------------------------------------ not for sale, on the way


async def test_damaged_and_quarantined_units_are_shown_and_never_sold(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="whole", source=REQUEST) as h:
        await h.sells(TEA=5)
        await h.settle()
        h.depot.set_aside("TEA", "EAST", 2)
        h.depot.set_aside("TEA", "EAST", 1, status="quarantine")
        await h.settle()
        assert h.sellable("TEA") == 2
        unsold = "SELECT value FROM copies WHERE number = 'not_for_sale' ORDER BY value"
        values = [row["value"] for row in h.rows(unsold)]
        assert values == ["1 quarantine at EAST", "2 damaged at EAST"]
        h.depot.put_back("TEA", "EAST", 2)
        await h.settle()
        assert h.sellable("TEA") == 4


async def test_a_row_whose_units_are_not_for_sale_any_more_sells_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, source=REQUEST) as h:
        await h.sells(TEA=0)
        at = h.clock.now()

        def came(seconds: int) -> Came:
            return Came(began_at=at + timedelta(seconds=seconds), item="4711")

        assert await said(h, came(1), on_hand=5) == "applied"
        assert await said(h, came(2), on_hand=5, status="quarantine") == "applied"
        assert h.sellable("TEA") == 0
        assert h.one("SELECT value FROM copies WHERE number = 'not_for_sale'") == (
            "5 quarantine at EAST"
        )
        assert await said(h, came(3), on_hand=5, status="good") == "applied"
        assert h.sellable("TEA") == 5
        assert h.rows("SELECT * FROM copies WHERE number = 'not_for_sale'") == []
        assert await said(h, came(4), on_hand=2, status="damaged", key="x") == "applied"


def both(h: House) -> int:
    return max(0, h.sellable("TEA", "main")) + max(0, h.sellable("TEA", "annex"))


@pytest.mark.parametrize("arrival_first", [True, False])
async def test_a_transfer_is_in_neither_place_and_its_units_are_never_counted_twice(
    tmp_path: Path, arrival_first: bool
) -> None:
    async with house(tmp_path, source=REQUEST, second=True) as h:
        await h.sells(TEA=10)
        h.depot.receive("TEA", "WEST", 1)
        await h.settle()
        at = h.clock.now()
        h.depot.send_over("TEA", "EAST", 4)
        h.depot.arrive("TEA", "WEST", 4)
        numbers = [("EAST", 6, "TEA:EAST"), ("WEST", 5, "TEA:WEST")]
        for place, units, item in reversed(numbers) if arrival_first else numbers:
            await said(h, _came(at, item), place=place, on_hand=units)
            assert both(h) <= 11, place
            if place == "WEST":  # read again, where the units came to: that says nothing new
                at += timedelta(seconds=1)
                await said(h, _came(at, item), place=place, on_hand=units)
                assert both(h) <= 11, place
            at += timedelta(seconds=1)
        await h.settle(100)
        assert both(h) == 11


def _came(at: datetime, item: str) -> Came:
    return Came(began_at=at + timedelta(seconds=1), item=item)


async def test_goods_on_a_truck_are_for_sale_nowhere(tmp_path: Path) -> None:
    async with house(tmp_path, second=True) as h:
        await h.sells(TEA=10)
        h.depot.receive("TEA", "WEST", 1)
        await h.settle()
        h.depot.send_over("TEA", "EAST", 4)
        await h.settle(100)
        assert both(h) == 7
        h.watchers.append(_never_more)
        h.depot.arrive("TEA", "WEST", 4)
        await h.settle(100)
        assert both(h) == 11
        assert h.shop.shown("TEA") == 11


def _never_more(h: House) -> None:
    assert both(h) <= h.depot.on_hand("TEA")


async def test_places_that_are_none_of_ours_are_ignored_with_their_movements(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, warehouse="moving", source=GAPLESS) as h:
        await h.sells(TEA=5)
        h.depot.receive("TEA", "SCRAP", 3)
        h.depot.receive("TEA", "EAST", 1)
        await h.settle()
        assert h.sellable("TEA") == 6
        assert h.causes() == []


# ------------------------------------------------------------------ movements


async def test_g3_movements_are_put_onto_the_last_number_once_and_in_order(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="moving", source=GAPLESS) as h:
        await h.sells(TEA=5)
        await h.settle(60)
        h.depot.receive("TEA", "EAST", 3)
        await h.settle(12)  # the next look at the shelves is half a minute away
        assert h.shop.shown("TEA") == 8
        assert h.one("SELECT counter FROM stock") == 2
        await h.settle(100)  # the shelf itself says the same
        assert h.shop.shown("TEA") == 8
        assert h.rows("SELECT * FROM movements") == []


async def test_h15_a_movement_is_evidence_when_none_before_it_is_missing(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="moving", source=GAPLESS) as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle(60)
        await h.depot.ship(h.waiting())
        await h.settle(12)
        assert h.line("shop", order) == (2, 0, 0, 2, 0)
        assert h.sellable("TEA") == 3


async def test_a_hole_in_the_counting_is_said_and_read_over(tmp_path: Path) -> None:
    async with house(tmp_path, warehouse="moving", source=GAPLESS) as h:
        await h.sells(TEA=5, MUG=5)
        await h.settle(60)
        h.depot.receive("TEA", "EAST", 3)  # 3
        h.depot.count("MUG", "EAST", 1)  # 4, which never comes
        h.depot.receive("TEA", "EAST", 2)  # 5
        h.depot.lose_movement(4)
        seen: list[str] = []
        h.watchers.append(lambda h: seen.extend(h.causes()))
        await h.settle(100)
        assert set(seen) == {"movement_gap:depot"}
        assert h.causes() == []
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (10, 1)


# ------------------------------------------------------------------ read from the beginning


async def test_h13_a_counter_that_began_anew_is_found_by_the_daily_read(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        for _ in range(3):
            h.depot.receive("TEA", "EAST", 1)
        await h.settle()
        h.depot.count("TEA", "EAST", 7)
        h.depot.reinstall()
        await h.settle(200)
        assert h.causes() == []  # nothing new since a counter that is larger than all of theirs
        h.clock.advance(86_400)
        await h.settle()
        assert h.causes() == ["counter_reset:depot"]
        assert await accept(h, "counter_reset:depot") == 1
        assert h.shop.shown("TEA") == 7
