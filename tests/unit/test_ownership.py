"""Every number has exactly one owner, or the daemon does not start (S3, S39)."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvariantBroken
from core.model import COMMANDS
from core.network import TELLS
from tests.unit.configured import BOOKS, CONFIG, SHOP, STORE, changed, line_of, load, refused

OWNERS = "owners:\n  - {number: on_hand, owner: depot}\n  - {number: invoice, owner: ledger}\n"


def owners(*rows: str) -> str:
    return changed(OWNERS, "owners:\n" + "".join(f"  - {row}\n" for row in rows))


ON_HAND = "{number: on_hand, owner: depot}"


def test_what_is_not_stated_goes_to_whom_it_naturally_belongs(tmp_path: Path) -> None:
    text = changed("  ledger:\n", "  van:\n    connector: post\n  ledger:\n")
    ownership = load(tmp_path, text).ownership
    assert ownership.owner("order", "web") == "web"
    assert ownership.owner("available_to_sell", "web") == "truecount"
    assert ownership.owner("claim") == "truecount"
    assert ownership.owner("shipment", "east") == "depot"
    assert ownership.owner("parcel", "van") == "van"
    assert ownership.owner("invoice") == "ledger"


def test_what_nobody_owns_has_no_owner_and_nobody_may_write_it(tmp_path: Path) -> None:
    ownership = load(tmp_path).ownership
    assert ownership.owner("unit_cost") == ""
    assert ownership.owner("order", "a channel that is gone") == ""
    assert not ownership.owners().may_write("unit_cost", "company", "")
    assert not ownership.owners().may_write("unit_cost", "company", "ledger")
    with pytest.raises(InvariantBroken):
        ownership.owner("weight")


def test_only_the_owner_may_write(tmp_path: Path) -> None:
    may_write = load(tmp_path).ownership.owners().may_write
    assert may_write("on_hand", "east", "depot")
    assert not may_write("on_hand", "east", "ledger")
    assert not may_write("on_hand", "east", "truecount")
    assert may_write("available_to_sell", "web", "truecount")


def test_only_a_reader_is_told(tmp_path: Path) -> None:
    named = owners(ON_HAND, "{number: order, of: web, owner: web, readers: [depot]}")
    told = load(tmp_path, named).ownership.owners()
    scope = {"channel": "web", "location": "east"}
    assert told.may_tell("fulfill_order", "depot", **scope)
    assert told.may_tell("confirm_shipment", "web", **scope)
    assert not told.may_tell("book_order", "ledger", **scope)
    assert told.may_offer("web")
    assert not told.may_offer("depot")


def test_every_command_says_which_numbers_it_tells() -> None:
    assert set(TELLS) == set(COMMANDS)


def test_who_ships_an_order_must_be_told_of_it(tmp_path: Path) -> None:
    text = owners(ON_HAND, "{number: order, of: web, owner: web, readers: [ledger]}")
    line = line_of("number: on_hand", text)
    assert refused(tmp_path, text) == [
        f"config.yaml:{line}  depot ships from location east"
        f" (config.yaml:{line_of('east:', text)}),"
        " and is a reader neither of claim nor of order of web\n"
        "  Add depot to the readers of order, or give the shipment to another system."
    ]


def test_readers_are_all_that_can_receive_or_those_that_were_named(tmp_path: Path) -> None:
    ownership = load(tmp_path).ownership
    assert ownership.readers("order", "web") == ("depot", "ledger")
    assert ownership.readers("available_to_sell", "web") == ("web",)
    assert ownership.readers("shipment", "east") == ("web",)
    named = owners(ON_HAND, "{number: order, of: web, owner: web, readers: [depot]}")
    assert load(tmp_path, named).ownership.readers("order", "web") == ("depot",)


def test_an_oms_may_own_what_is_for_sale(tmp_path: Path) -> None:
    oms = BOOKS.replace("name: books", "name: oms").replace("[erp]", "[oms]")
    oms = oms.replace("owns: [on_hand, invoice, unit_cost]", "owns: [available_to_sell]")
    text = owners(ON_HAND, "{number: available_to_sell, of: web, owner: planner}")
    text = changed("  ledger:\n", "  planner:\n    connector: oms\n  ledger:\n", text)
    ownership = load(tmp_path, text, oms=oms).ownership
    assert ownership.owner("available_to_sell", "web") == "planner"
    assert not ownership.owners().may_write("available_to_sell", "web", "truecount")
    assert not ownership.owners().may_offer("web")


def test_the_table_says_what_was_stated_and_what_follows(tmp_path: Path) -> None:
    rows = {(row.number, row.scope): row for row in load(tmp_path).ownership.table()}
    assert rows["on_hand", "east"].stated
    assert rows["on_hand", "east"].line == line_of("number: on_hand", CONFIG)
    assert not rows["shipment", "east"].stated


def test_two_owners_of_one_number_are_both_named_with_their_lines(tmp_path: Path) -> None:
    text = owners(ON_HAND, "{number: on_hand, of: east, owner: ledger}")
    line = line_of("number: on_hand, owner", text)
    assert refused(tmp_path, text) == [
        f"config.yaml:{line + 1}  on_hand of east has two owners: ledger here,"
        f" depot at config.yaml:{line}\n"
        "  A number has one owner: remove one of the two, or narrow one with `of`."
    ]


def test_one_owner_stated_twice_is_refused_too(tmp_path: Path) -> None:
    text = owners(ON_HAND, "{number: on_hand, of: east, owner: depot}")
    line = line_of("number: on_hand, owner", text)
    assert refused(tmp_path, text) == [
        f"config.yaml:{line + 1}  on_hand of east was already given to depot at"
        f" config.yaml:{line}\n"
        "  Remove one of the two."
    ]


def test_owners_of_different_locations_do_not_collide(tmp_path: Path) -> None:
    text = owners(
        "{number: on_hand, of: east, owner: depot}", "{number: on_hand, of: west, owner: ledger}"
    )
    text = changed("    serves: [web]\n", "    serves: [web]\n  west:\n    at: {ledger: W}\n", text)
    books = BOOKS + "stock_source: {basis: available, ordered_by: request, settle: 5m}\n"
    ownership = load(tmp_path, text, books=books).ownership
    assert ownership.owner("on_hand", "east") == "depot"
    assert ownership.owner("on_hand", "west") == "ledger"


def test_truecount_may_be_named_as_the_owner_it_is(tmp_path: Path) -> None:
    text = owners(ON_HAND, "{number: available_to_sell, owner: truecount}")
    rows = {(row.number, row.scope): row for row in load(tmp_path, text).ownership.table()}
    assert rows["available_to_sell", "web"].stated


ROWS_REFUSED = {
    "cannot own": (
        "{number: invoice, owner: depot}",
        "depot cannot own invoice: connectors/store/manifest.yaml says it owns on_hand, shipment\n"
        "  Can own it: ledger.",
    ),
    "nobody can own": (
        "{number: payout, owner: web}",
        "web cannot own payout: connectors/shop/manifest.yaml says it owns order\n"
        "  No system here can own it.",
    ),
    "unknown owner": (
        "{number: invoice, owner: ledgr}",
        'the owner of invoice is the unknown system "ledgr"\n  Did you mean "ledger"?',
    ),
    "unknown number": (
        "{number: onhand, owner: depot}",
        '"onhand" is not a number\n  Did you mean "on_hand"?',
    ),
    "truecount owns little": (
        "{number: invoice, owner: truecount}",
        "truecount cannot own invoice; it owns only available_to_sell and claim\n"
        "  Can own it: ledger.",
    ),
    "claims are ours": (
        "{number: claim, owner: depot}",
        "depot cannot own claim\n  Only truecount owns claims: remove this.",
    ),
    "unknown scope": (
        "{number: order, of: webb, owner: web}",
        'order is owned per channel, and "webb" is not one\n  Did you mean "web"?',
    ),
    "no scope": (
        "{number: invoice, of: east, owner: ledger}",
        "invoice has one owner in the whole company, not one of east\n  Remove `of`.",
    ),
    "reader cannot receive": (
        "{number: invoice, owner: ledger, readers: [depot]}",
        "depot cannot be told invoice, which ledger owns: connectors/store/manifest.yaml says it"
        " receives order\n  Remove depot from the readers.",
    ),
    "unknown reader": (
        "{number: invoice, owner: ledger, readers: [depo]}",
        'a reader of invoice is the unknown system "depo"\n  Did you mean "depot"?',
    ),
    "reader is owner": (
        "{number: invoice, owner: ledger, readers: [ledger]}",
        "ledger owns invoice and is also its reader\n  Keep one.",
    ),
}


@pytest.mark.parametrize("case", ROWS_REFUSED)
def test_an_entry_that_cannot_be_true_is_refused(case: str, tmp_path: Path) -> None:
    row, message = ROWS_REFUSED[case]
    text = owners(ON_HAND, row)
    assert refused(tmp_path, text) == [f"config.yaml:{line_of(row, text)}  {message}"]


def test_a_location_needs_an_owner_of_its_units(tmp_path: Path) -> None:
    text = owners("{number: on_hand, of: west, owner: depot}")
    text = changed("    serves: [web]\n", "  west:\n    at: {depot: W}\n", text)
    assert refused(tmp_path, text) == [
        f"config.yaml:{line_of('east:', text)}  nobody owns on_hand of location east\n"
        "  Add to owners: {number: on_hand, of: east, owner: SYSTEM}. Can own it: depot, ledger."
    ]


def test_a_location_that_serves_needs_somebody_who_ships(tmp_path: Path) -> None:
    store = STORE.replace("owns: [on_hand, shipment]", "owns: [on_hand]")
    assert refused(tmp_path, CONFIG, store=store) == [
        f"config.yaml:{line_of('east:', CONFIG)}  nobody owns shipment of location east\n"
        "  Add to owners: {number: shipment, of: east, owner: SYSTEM}. No system here can own it."
    ]


def test_who_ships_must_take_orders_to_ship(tmp_path: Path) -> None:
    store = STORE.replace("  fulfill_order: {", "  cancel_fulfillment: {")
    assert refused(tmp_path, CONFIG, store=store) == [
        f"config.yaml:{line_of('number: on_hand', CONFIG)}  depot ships from location east"
        f" (config.yaml:{line_of('east:', CONFIG)}), and connectors/store/manifest.yaml does not"
        " accept fulfill_order\n"
        "  Remove `serves` from east, or give its shipment to another system."
    ]


def test_the_owner_must_have_a_word_for_the_location(tmp_path: Path) -> None:
    text = changed("at: {depot: EAST}", "at: {ledger: EAST}")
    assert refused(tmp_path, text) == [
        f"config.yaml:{line_of('east:', text)}  depot owns on_hand of location east"
        f" (config.yaml:{line_of('number: on_hand', text)}), and nothing says what depot calls it\n"
        "  Add depot: PLACE to locations.east.at."
    ]


def test_s3_a_stock_number_without_declared_meaning_is_refused(tmp_path: Path) -> None:
    text = changed("at: {depot: EAST}", "at: {ledger: EAST, depot: E}")
    text = changed("{number: on_hand, owner: depot}", "{number: on_hand, owner: ledger}", text)
    text = changed(
        "  - {number: invoice", "  - {number: shipment, owner: depot}\n  - {number: invoice", text
    )
    assert refused(tmp_path, text) == [
        f"config.yaml:{line_of('number: on_hand', text)}  ledger owns on_hand of location east,"
        f" and neither connectors/books/manifest.yaml nor config.yaml:{line_of('ledger:', text)}"
        " says what its number means\n"
        "  Add stock_source: {basis: …, ordered_by: …} to systems.ledger."
    ]
    meaning = "    connector: books\n    stock_source: {basis: available, ordered_by: request}\n"
    config = load(tmp_path, changed("    connector: books\n", meaning, text))
    source = config.systems["ledger"].stock_source
    assert source is not None
    assert source.basis == "available"


SERVES_REFUSED = {
    "unknown": (
        "wbe",
        'location east serves the unknown channel "wbe"\n  Did you mean "web"?',
    ),
    "not a channel": (
        "ledger",
        "location east serves ledger, which is not a channel: connectors/books/manifest.yaml"
        " says erp\n  Known here: web.",
    ),
}


@pytest.mark.parametrize("case", SERVES_REFUSED)
def test_a_location_serves_channels_only(case: str, tmp_path: Path) -> None:
    word, message = SERVES_REFUSED[case]
    text = changed("serves: [web]", f"serves: [{word}]")
    assert refused(tmp_path, text) == [f"config.yaml:{line_of('serves:', text)}  {message}"]


def test_a_served_channel_must_be_able_to_hear_what_it_may_sell(tmp_path: Path) -> None:
    shop = SHOP.replace("[available_to_sell, shipment]", "[shipment]")
    shop = "".join(line for line in shop.splitlines(True) if not line.startswith("stock_write"))
    assert refused(tmp_path, CONFIG, shop=shop) == [
        f"config.yaml:{line_of('serves:', CONFIG)}  location east serves web, which cannot be told"
        " available_to_sell, the number of truecount: connectors/shop/manifest.yaml says it"
        " receives shipment\n  Remove web from locations.east.serves."
    ]


def test_a_channel_that_does_not_own_its_orders_needs_somebody_who_does(tmp_path: Path) -> None:
    shop = SHOP.replace("owns: [order]", "owns: [payout]")
    assert refused(tmp_path, CONFIG, shop=shop) == [
        f"config.yaml:{line_of('web:', CONFIG)}  nobody owns the orders of web:"
        " connectors/shop/manifest.yaml does not\n"
        "  Add to owners: {number: order, of: web, owner: SYSTEM}."
    ]
