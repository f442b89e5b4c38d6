"""One item, many words: aliases, cases, spellings, lots, and listings that are made anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from house import House, house
from sqlalchemy import Connection
from test_explaining import command
from test_proving import proven

from core import readings
from core.doubts import Came
from core.errors import ConfigError
from core.model import StockReading
from core.work import Work

ITEMS = """\
aliases:
  - {sku: TEA, system: shop, their_sku: tea-100g}
  - {sku: TEA, system: market, their_sku: TEE}
  - {sku: TEA, system: depot, their_sku: CASE-TEA, factor: 12}
  - {sku: TEA, system: books, their_sku: T-100}
"""


async def opened(h: House, cases: int) -> None:
    """Every system has its own word for tea; the depot keeps it by the case."""
    h.depot.receive("CASE-TEA", "EAST", cases)
    h.books.set_item("T-100", "10.00", "4.00")
    h.shop.list_item("tea-100g", price="10.00")
    h.market.list_item("TEE", price="10.00")
    await h.now()


async def rewrite(h: House, text: str) -> None:
    (h.folder / "items.yaml").write_text(text)
    await h.operate("reload")
    await h.settle()


# ------------------------------------------------------------------ words and units


async def test_h45_h44_every_system_hears_its_own_word_and_counts_in_its_own_units(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, items=ITEMS) as h:
        await opened(h, 3)
        assert (h.shop.shown("tea-100g"), h.market.shown("TEE"), h.sellable("TEA")) == (36, 36, 36)
        order = await h.shop.place_order("tea-100g", 24)
        await h.settle()
        assert h.line("shop", order) == (24, 24, 0, 0, 0)
        assert (h.shop.shown("tea-100g"), h.market.shown("TEE")) == (12, 12)
        [asked] = h.asked()
        assert asked["lines"] == [{"line": "1", "sku": "CASE-TEA", "quantity": 2}]
        await h.depot.ship(h.waiting(), tracking="PP1")
        await h.settle()
        assert h.state("shop", order) == "shipped"
        assert h.line("shop", order) == (24, 0, 0, 24, 0)
        assert h.shop.shipments()[0]["lines"] == [{"line": "1", "sku": "tea-100g", "quantity": 24}]
        sale, delivery, invoice = h.books.documents()
        assert [(line["sku"], line["quantity"]) for line in sale["lines"]] == [("T-100", 24)]
        assert [(line["sku"], line["quantity"]) for line in delivery["lines"]] == [("T-100", 24)]
        assert (sale["total"], invoice["total"], delivery["cost"]) == ("240.00", "240.00", "96.00")
        assert h.sellable("TEA") == 12 == 12 * h.depot.on_hand("CASE-TEA")
        assert h.causes() == []


async def test_h45_two_words_of_a_channel_are_one_item_and_one_pool(tmp_path: Path) -> None:
    alias = "  - {sku: TEA, system: shop, their_sku: %s}\n"
    items = f"aliases:\n{alias % 'tea'}{alias % 'TEE'}"
    async with house(tmp_path, items=items) as h:
        h.shop.list_item("tea", price="10.00")
        h.shop.list_item("TEE", price="10.00")
        await h.sells(TEA=5)
        assert {h.shop.shown(word) for word in ("tea", "TEE", "TEA")} == {5}
        order = await h.shop.place_order(
            lines=[{"sku": "tea", "quantity": 2}, {"sku": "TEE", "quantity": 1}]
        )
        await h.settle()
        assert {h.shop.shown(word) for word in ("tea", "TEE", "TEA")} == {2}
        await h.depot.ship(h.waiting())
        await h.settle()
        told = h.shop.shipments()[0]["lines"]
        assert [(row["line"], row["sku"], row["quantity"]) for row in told] == [
            ("1", "tea", 2),
            ("2", "TEE", 1),
        ]
        assert h.state("shop", order) == "shipped"


async def test_h44_five_of_a_case_of_twelve_are_held_until_they_are_twelve(tmp_path: Path) -> None:
    async with house(tmp_path, items=ITEMS) as h:
        await opened(h, 3)
        order = await h.shop.place_order("tea-100g", 5)
        other = await h.market.place_order("TEE", 12)
        await h.settle()
        assert (h.state("shop", order), h.state("market", other)) == ("held", "released")
        assert h.causes() == ["units:depot:TEA:shop"]
        assert h.line("shop", order) == (5, 5, 0, 0, 0)  # its units are its own meanwhile
        assert len(h.books.documents(kind="sales_order")) == 2  # the books count single ones
        await h.edit("shop", order, 12)
        await h.settle()
        assert h.state("shop", order) == "released"
        assert [o["lines"][0]["quantity"] for o in h.asked()] == [1, 1]
        assert h.causes() == []


async def test_h44_half_a_case_in_the_books_holds_the_sale_and_the_parcel(tmp_path: Path) -> None:
    items = "aliases: [{sku: TEA, system: books, their_sku: T-12, factor: 12}]"
    async with house(tmp_path, items=items) as h:
        h.books.set_item("T-12", "120.00", "48.00")
        await h.sells(TEA=50)
        half = await h.shop.place_order("TEA", 6)
        whole = await h.shop.place_order("TEA", 24)
        await h.settle()
        assert (h.state("shop", half), h.state("shop", whole)) == ("held", "released")
        [sale] = h.books.documents()
        assert [(x["sku"], x["quantity"], x["unit_price"]) for x in sale["lines"]] == [
            ("T-12", 2, "120.00")
        ]
        assert sale["total"] == "240.00"
        assert h.causes() == ["two_words:books:TEA", "units:books:TEA:shop"]


async def test_a_warehouse_with_a_second_word_for_an_item_is_asked_about(tmp_path: Path) -> None:
    async with house(tmp_path, items=ITEMS) as h:
        await opened(h, 3)
        h.depot.receive("TEA", "EAST", 7)  # single ones, under the name everybody else uses
        await h.settle()
        assert h.causes() == ["two_words:depot:TEA"]
        assert h.sellable("TEA") == 36  # neither number undoes the other
        single = "  - {sku: TEA-SINGLE, system: depot, their_sku: TEA}\n"
        await rewrite(h, ITEMS + single)
        assert h.causes() == []
        assert (h.sellable("TEA"), h.sellable("TEA-SINGLE")) == (36, 7)


async def test_h44_what_is_weighed_becomes_whole_units_or_is_held(tmp_path: Path) -> None:
    items = "aliases: [{sku: COFFEE, system: depot, their_sku: COFFEE, factor: 1000}]"
    async with house(tmp_path, items=items, mappings=True) as h:
        mapping = h.folder / "mappings" / "generic_wms" / "stock_reading.yaml"
        mapping.write_text(
            mapping.read_text().replace("on_hand:   on_hand | whole", "measured:  on_hand | number")
        )
        (mapping.parent / "stock_reading.test.yaml").unlink()
        await h.operate("reload")
        h.depot.receive("COFFEE", "EAST", 2.5)
        h.depot.receive("SUGAR", "EAST", 1.5)
        h.depot.receive("SALT", "EAST", 4)
        await h.settle()
        assert (h.sellable("COFFEE"), h.sellable("SALT"), h.sellable("SUGAR")) == (2500, 4, 0)
        assert h.causes() == ["units:depot:SUGAR"]
        more = "aliases:\n  - {sku: COFFEE, system: depot, their_sku: COFFEE, factor: 1000}\n"
        await rewrite(h, more + "  - {sku: SUGAR, system: depot, their_sku: SUGAR, factor: 2}\n")
        assert h.sellable("SUGAR") == 3  # half kilograms
        assert h.causes() == []


# ------------------------------------------------------------------ aliases change


async def test_s14_an_unknown_word_continues_by_itself_once_it_has_an_alias(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, items="lots: []\n") as h:
        await h.sells(TEA=5)
        h.shop.list_item("tee gross", price="10.00", quantity=5)
        order = await h.shop.place_order("tee gross", 2)
        await h.settle()
        assert (h.state("shop", order), h.causes()) == ("held", ["unknown_sku:tee gross"])
        await rewrite(h, "aliases: [{sku: TEA, system: shop, their_sku: tee gross}]")
        assert h.state("shop", order) == "released"
        [row] = h.rows("SELECT * FROM lines")
        assert (row["sku"], row["claimed"]) == ("TEA", 2)
        await h.settle(700)  # the new listing is read
        assert (h.shop.shown("tee gross"), h.shop.shown("TEA")) == (3, 3)
        assert h.causes() == []
        await h.depot.ship(h.waiting())
        await h.settle()
        told = h.shop.shipments()[0]["lines"]
        assert told == [{"line": "1", "sku": "tee gross", "quantity": 2}]


async def test_s29_a_word_that_means_another_item_takes_listing_and_open_order_along(
    tmp_path: Path,
) -> None:
    items = "aliases: [{sku: TEA, system: shop, their_sku: HOT}]"
    async with house(tmp_path, items=items) as h:
        h.shop.list_item("HOT", price="10.00")
        await h.sells(TEA=5, COFFEE=9)
        sent = await h.shop.place_order("HOT", 1)
        waits = await h.shop.place_order("HOT", 2, payment="pending")
        await h.settle()
        assert (h.sellable("TEA"), h.sellable("COFFEE")) == (2, 9)
        await rewrite(h, "aliases: [{sku: COFFEE, system: shop, their_sku: HOT}]")
        assert (h.sellable("TEA"), h.sellable("COFFEE")) == (4, 7)
        assert (h.shop.shown("HOT"), h.shop.shown("TEA")) == (7, 4)
        await h.shop.pay(waits["id"])
        await h.depot.ship(h.asked()[0]["reference"])
        await h.settle()
        assert h.asked()[1]["lines"][0]["sku"] == "COFFEE"
        assert h.state("shop", sent) == "shipped"  # what it was asked for is what it stays
        assert h.depot.on_hand("TEA") == h.sellable("TEA") == 4
        assert h.causes() == []


async def test_a_warehouse_that_calls_an_item_otherwise_now_takes_the_number_along(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, items="lots: []\n") as h:
        h.depot.receive("CASE-TEA", "EAST", 3)
        h.shop.list_item("TEA", price="10.00")
        h.books.set_item("TEA", "10.00", "4.00")
        await h.settle()
        assert (h.shop.shown("TEA"), h.sellable("CASE-TEA")) == (0, 3)
        case = "aliases: [{sku: TEA, system: depot, their_sku: CASE-TEA, factor: %d}]"
        await rewrite(h, case % 12)
        assert (h.shop.shown("TEA"), h.sellable("TEA"), h.sellable("CASE-TEA")) == (36, 36, 0)
        await h.shop.place_order("TEA", 12)
        await h.settle()
        await rewrite(h, case % 10)  # it was a case of ten all the time
        assert (h.sellable("TEA"), h.shop.shown("TEA")) == (18, 18)
        assert h.one("SELECT count(*) FROM items WHERE sku = 'CASE-TEA'") == 0


async def test_a_warehouses_word_cannot_change_its_item_while_units_of_it_are_claimed(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, items="lots: []\n") as h:
        await h.sells(TEA=5)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        moved = "aliases:\n  - {sku: LEAVES, system: depot, their_sku: TEA}\n"
        (h.folder / "items.yaml").write_text(moved)
        with pytest.raises(ConfigError) as refused:
            await h.operate("reload")
        [problem] = refused.value.problems
        assert (problem.line, "2 units of it" in problem.what) == (2, True)
        assert h.causes() == ["items:refused"]
        await h.restart()  # and a start does not take it either
        await h.settle()
        assert (h.sellable("TEA"), h.sellable("LEAVES")) == (3, 0)
        assert h.causes() == ["items:refused"]
        await h.depot.ship(h.waiting())
        await h.settle()
        await h.operate("reload")
        await h.settle()
        assert (h.sellable("LEAVES"), h.state("shop", order)) == (3, "shipped")
        assert h.causes() == []


async def test_h34_a_refused_file_changes_nothing_and_its_exception_closes_with_a_good_one(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, items=ITEMS) as h:
        await opened(h, 3)
        (h.folder / "items.yaml").write_text(ITEMS + "kits: {GIFT: {GIFT: 1}, BOX: {TEA: 0}}\n")
        with pytest.raises(ConfigError) as refused:
            await h.operate("reload")
        assert [problem.line for problem in refused.value.problems] == [6, 6]
        assert h.causes() == ["items:refused"]
        assert len(h.rows("SELECT * FROM hold_members WHERE closed_at IS NULL")) == 2
        order = await h.shop.place_order("tea-100g", 12)
        await h.settle()
        assert h.state("shop", order) == "released"  # by the last good ones
        with pytest.raises(ConfigError):
            await h.operate("reload")
        assert h.causes() == ["items:refused"]
        (h.folder / "items.yaml").write_text(ITEMS + "kits: {BOX: {TEA: 2}}\n")
        assert await h.operate("reload") == {"replayed": 0, "aliases": 4, "kits": 1}
        assert h.causes() == []


async def test_what_changed_while_the_daemon_was_down_follows_at_the_start(tmp_path: Path) -> None:
    async with house(tmp_path, items="lots: []\n") as h:
        h.shop.list_item("TEE", price="10.00")
        await h.sells(TEA=5)
        h.shop.list_item("TEE", price="10.00", quantity=3)
        order = await h.shop.place_order("TEE", 2)
        await h.settle()
        assert h.state("shop", order) == "held"
        (h.folder / "items.yaml").write_text(
            "aliases: [{sku: TEA, system: shop, their_sku: TEE}]\nkits: {DUO: {TEA: 2}}\n"
        )
        await h.restart()
        await h.settle()
        assert h.state("shop", order) == "released"
        assert h.shop.shown("TEE") == 3
        lists = h.one("SELECT count(*) FROM item_lists")
        await h.restart()
        await h.settle()
        assert h.one("SELECT count(*) FROM item_lists") == lists  # the same again is no news


# ------------------------------------------------------------------ spellings


async def test_s30_h45_spellings_are_shown_and_never_merged(tmp_path: Path) -> None:
    async with house(tmp_path, items="lots: []\n") as h:
        await h.sells(TEA=5)
        h.depot.receive("tea", "EAST", 2)
        await h.settle()
        assert h.causes() == ["ambiguous_sku:tea"]
        reason = h.one("SELECT reason FROM holds WHERE closed_at IS NULL")
        assert reason == "'TEA' and 'tea' differ only by letter case or blanks"
        assert (h.sellable("TEA"), h.sellable("tea")) == (5, 2)
        assert h.shop.shown("TEA") == 5
        await rewrite(h, "apart: [[TEA, tea]]\n")
        assert h.causes() == []
        await rewrite(h, "lots: []\n")
        assert h.causes() == ["ambiguous_sku:tea"]
        await rewrite(h, "aliases: [{sku: GREEN-TEA, system: depot, their_sku: tea}]\n")
        assert h.causes() == []
        assert (h.sellable("TEA"), h.sellable("GREEN-TEA")) == (5, 2)


async def test_s30_an_order_of_a_near_spelling_waits_and_names_the_known_one(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, items="lots: []\n") as h:
        await h.sells(TEA=5)
        h.shop.list_item("te a", price="10.00", quantity=5)
        order = await h.shop.place_order("te a", 1)
        await h.settle()
        assert h.state("shop", order) == "held"
        assert "unknown_sku:te a" in h.causes()
        reason = h.one("SELECT reason FROM holds WHERE cause = 'unknown_sku:te a'")
        assert "'TEA', which differs only by case or blanks, is known" in reason
        await rewrite(h, "aliases: [{sku: TEA, system: shop, their_sku: te a}]\n")
        assert h.state("shop", order) == "released"
        assert h.causes() == []


async def test_h35_a_sku_with_leading_zeros_is_not_the_one_without(tmp_path: Path) -> None:
    items = "aliases:\n  - {sku: 00123, system: shop, their_sku: '123'}\n"
    async with house(tmp_path, items=items) as h:
        h.depot.receive("00123", "EAST", 4)
        h.depot.receive("123", "EAST", 9)
        h.shop.list_item("123", price="10.00")
        h.market.list_item("123", price="10.00")
        h.books.set_item("00123", "10.00", "4.00")
        await h.settle()
        assert (h.shop.shown("123"), h.market.shown("123")) == (4, 9)


# ------------------------------------------------------------------ listings made anew


def on_sale(boutique: Any) -> int:
    [place] = boutique.stock("tea-100g").values()
    return int(place["available"])


async def test_h48_a_listing_made_anew_is_the_same_item(tmp_path: Path) -> None:
    """Alias and claims follow the item, not the id of the listing."""
    items = "aliases: [{sku: TEA, system: boutique, their_sku: tea-100g}]"
    async with house(tmp_path, items=items, boutique=True) as h:
        boutique = h.fake("boutique")
        first = boutique.add_product("tea-100g", "Tea", "10.00", stock=0)
        await h.sells(TEA=6)
        await h.settle(1000)
        assert on_sale(boutique) == 6
        del boutique.shop.variants["tea-100g"]
        second = boutique.add_product("tea-100g", "Tea, new", "11.00", stock=0)
        assert first != second
        order = await h.market.place_order("TEA", 2)
        await h.settle(1000)
        assert on_sale(boutique) == 4
        rows = h.rows("SELECT * FROM listings WHERE system = 'boutique' ORDER BY active")
        assert [(row["sku"], row["their_sku"]) for row in rows if row["active"]] == [
            ("TEA", "tea-100g")
        ]
        assert h.line("market", order) == (2, 2, 0, 0, 0)
        assert h.causes() == []


# ------------------------------------------------------------------ lots


async def test_s35_an_item_that_left_without_its_lot_holds_back_no_other(tmp_path: Path) -> None:
    async with house(tmp_path, items="lots: [MILK]\n") as h:
        await h.sells(MILK=5, TEA=5)
        milk = await h.shop.place_order(
            lines=[{"sku": "MILK", "quantity": 1}, {"sku": "TEA", "quantity": 1}]
        )
        tea = await h.market.place_order("TEA", 1)
        await h.settle()
        for parcel in list(h.asked()):
            await h.depot.ship(parcel["reference"])
        await h.settle()
        assert (h.state("shop", milk), h.state("market", tea)) == ("shipped", "shipped")
        assert len(h.shop.shipments()[0]["lines"]) == 2
        assert len(h.books.documents(kind="invoice")) == 2
        assert h.causes() == ["late:no_lot:main:MILK"]
        assert h.shop.shown("TEA") == 3


async def test_s35_numbers_of_single_lots_are_data_and_hold_back_no_other(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)

        async def says(**words: Any) -> None:
            reading = StockReading(key="1", place="EAST", counter=99, **words)

            def unit(connection: Connection) -> None:
                work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
                readings.take_reading(work, "depot", reading, Came(began_at=h.clock.now()))
                work.finish()

            await h.app.store.write(unit)

        await says(sku="MILK", on_hand=3, lot="L1", expires_on="2026-12-01")
        await says(sku="MILK", on_hand=4, lot="L2", expires_on="2026-12-24")
        assert h.causes() == ["only_lots:depot"]
        assert (h.sellable("MILK"), h.sellable("TEA")) == (0, 5)
        await says(sku="MILK", on_hand=6)  # one of the seven is damaged, whichever it is
        await says(sku="MILK", on_hand=0, lot="L1")
        assert (h.sellable("MILK"), h.causes()) == (6, [])
        [lot] = h.rows("SELECT * FROM lots")
        assert (lot["lot"], lot["expires_on"], lot["units"]) == ("L2", "2026-12-24", 4)


# ------------------------------------------------------------------ beside the rest


async def test_offer_rules_choose_by_the_tags_of_the_items(tmp_path: Path) -> None:
    rules = "rules: [{tag: fragile, cap: 3}]\n"
    async with house(tmp_path, items="tags: {fragile: [MUG]}\n", rules=rules) as h:
        await h.sells(TEA=9, MUG=9)
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (9, 3)
        await rewrite(h, "tags: {fragile: [TEA]}\n")
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (3, 9)
        (h.folder / "rules.yaml").write_text("rules: [{tag: warm, cap: 1}]\n")
        await rewrite(h, "tags: {fragile: [MUG], warm: [TEA]}\n")  # both files at once
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (1, 9)
        await h.restart()
        await h.settle()
        assert (h.shop.shown("TEA"), h.shop.shown("MUG")) == (1, 9)


async def test_the_walk_proves_what_aliases_and_cases_did(tmp_path: Path) -> None:
    """`truecount prove`: numbers that went over to another item are in the log as any other."""
    async with house(tmp_path, items="lots: []\n") as h:
        h.depot.receive("CASE-TEA", "EAST", 3)
        h.shop.list_item("TEA", price="10.00")
        h.books.set_item("TEA", "10.00", "4.00")
        await h.settle()
        case = "aliases: [{sku: TEA, system: depot, their_sku: CASE-TEA, factor: %d}]"
        await rewrite(h, case % 12)
        await h.shop.place_order("TEA", 12)
        await h.settle()
        await h.depot.ship(h.waiting())
        await h.settle()
        await rewrite(h, case % 10)
        assert [one.says for one in proven(h).findings] == []


async def test_check_names_every_problem_of_the_items_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, items=ITEMS) as h:
        code, out, _ = await command(h, monkeypatch, capsys, "check")
        assert (code, "4 aliases" in out) == (0, True)
        file = h.folder / "items.yaml"
        file.write_text(
            "kits: {GIFT: {GIFT: 1}}\n"
            "aliases:\n"
            "  - {sku: TEA, system: depot, their_sku: T, factor: 0}\n"
            "  - {sku: TEA, system: shop, their_sku: TEE}\n"
            "  - {sku: MUG, system: shop, their_sku: TEE}\n"
        )
        code, _, err = await command(h, monkeypatch, capsys, "check")
        assert code == 2
        for place, what in (
            ("1:8", "contains itself"),
            ("3:53", 'factor is "0"'),
            ("5:41", '"TEE" of shop'),
        ):
            assert re.search(rf"{re.escape(file.as_posix())}:{place}  .*{what}", err), err
        # A face of the running daemon shows what is in force, not what is being written.
        code, out, _ = await command(h, monkeypatch, capsys, "status")
        assert code == 0
