"""What an item is called, what is in it, and what its units are in others' (H44, H45)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from graphlib import CycleError
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.aliases import again, ours, theirs, whole
from core.errors import Hold
from core.items import Alias, Items, circle, resolved, spelling
from core.ledger import Source
from core.model import (
    Address,
    BookOrder,
    Cancellation,
    ConfirmShipment,
    FulfillOrder,
    Listing,
    Order,
    OrderLine,
    Payment,
    Price,
    QuantityLine,
    Return,
    ReturnLine,
    Shipment,
    StockMovement,
    StockReading,
)
from core.money import Money
from core.network import Network

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ITEMS = Items(
    aliases=(
        Alias(system="shop", their_sku="tea-100g", sku="TEA"),
        Alias(system="shop", their_sku="TEE", sku="TEA"),
        Alias(system="depot", their_sku="CASE-TEA", sku="TEA", factor=12),
        Alias(system="books", their_sku="T-100", sku="TEA", factor=12),
        Alias(system="scales", their_sku="COFFEE", sku="COFFEE", factor=1000),
    ),
    kits={
        "GIFT": {"TEA": 1, "MUG": 2},
        "TEA-12": {"TEA": 12},
        "PARTY": {"GIFT": 3, "TEA-12": 1, "HAT": 1},
        "SOLO": {"LAMP": 1},
    },
    tagged={"TEA": frozenset({"drinks"})},
    lots=frozenset({"MILK"}),
    apart=frozenset({frozenset({"TEA", "tea"})}),
    many_words=frozenset({"shop"}),
)


def a_network(items: Items = ITEMS, basis: str = "on_hand") -> Network:
    return Network(
        company="Acme",
        zone=ZoneInfo("UTC"),
        currency="EUR",
        locations={},
        channels=("shop",),
        ledgers=("books",),
        sources={
            name: Source(basis=basis, ordered_by="counter")  # type: ignore[arg-type]
            for name in ("depot", "scales")
        },
        accepts={},
        stock_writes={},
        items=items,
    )


def an_order(*lines: OrderLine) -> Order:
    total = Money.total((line.unit_price * line.quantity for line in lines), "EUR")
    return Order(
        key="S1",
        number="#1",
        revision="1",
        placed_at=AT,
        currency="EUR",
        total=total,
        payment=Payment.PAID,
        lines=lines,
    )


def a_line(sku: str, quantity: int = 1, price: int = 1000) -> OrderLine:
    return OrderLine(key="1", sku=sku, quantity=quantity, unit_price=Money(price, "EUR"))


def held(call: object, *values: object, **words: object) -> Hold:
    with pytest.raises(Hold) as found:
        call(*values, **words)  # type: ignore[operator]
    return found.value


# ------------------------------------------------------------------ names


def test_h45_a_word_is_an_alias_letter_for_letter_or_the_sku_itself() -> None:
    def means(word: str) -> str:
        return ITEMS.named("shop", word).sku

    assert means("tea-100g") == "TEA"
    for word in ("TEA-100G", "tea-100g ", " tea-100g", "tea 100g", "00123", "123", ""):
        assert means(word) == word


def test_h45_an_alias_is_of_one_system_only() -> None:
    assert ITEMS.named("market", "tea-100g").sku == "tea-100g"
    assert not ITEMS.renames("market")
    assert ITEMS.renames("shop")


def test_h45_two_words_of_a_channel_are_one_item_and_its_own_word_too() -> None:
    assert {ITEMS.named("shop", word).sku for word in ("tea-100g", "TEE", "TEA")} == {"TEA"}


def test_h45_a_warehouse_that_uses_a_second_word_for_an_item_is_asked_about() -> None:
    hold = held(ITEMS.named, "depot", "TEA")
    assert hold.cause == "two_words:depot:TEA"
    assert "'TEA'" in hold.reason
    assert "'CASE-TEA'" in hold.reason
    assert "truecount reload" in hold.next_step


def test_the_way_back_is_the_systems_own_word_or_ours() -> None:
    assert ITEMS.word("depot", "TEA").their_sku == "CASE-TEA"
    assert ITEMS.word("depot", "MUG") == Alias(system="depot", their_sku="MUG", sku="MUG")
    assert ITEMS.word("scales", "COFFEE").factor == 1000


def test_s30_spellings_are_alike_by_case_and_blanks_and_nothing_else() -> None:
    assert spelling("Tea 100 g") == spelling("TEA100G") == spelling("tea\u00a0100g")
    assert spelling("TEA-100G") != spelling("TEA100G")
    assert spelling("00123") != spelling("123")
    assert ITEMS.are_apart({"TEA", "tea"})
    assert not ITEMS.are_apart({"TEA", "tea", "Tea"})


def test_tags() -> None:
    assert ITEMS.tags("TEA") == {"drinks"}
    assert ITEMS.tags("MUG") == frozenset()


def test_words_that_mean_something_else_now() -> None:
    kept = tuple(one for one in ITEMS.aliases if one.their_sku not in ("TEE", "CASE-TEA"))
    new = (
        Alias(system="shop", their_sku="TEE", sku="GREEN-TEA"),
        Alias(system="depot", their_sku="CASE-TEA", sku="TEA", factor=6),
        Alias(system="books", their_sku="M-1", sku="MUG"),
    )
    moved = replace(ITEMS, aliases=(*kept, *new)).renamed_since(ITEMS)
    assert [(old.system, old.their_sku, old.sku, new.sku, old.factor, new.factor)
            for old, new in moved] == [
        ("books", "M-1", "M-1", "MUG", 1, 1),
        ("depot", "CASE-TEA", "TEA", "TEA", 12, 6),
        ("shop", "TEE", "TEA", "GREEN-TEA", 1, 1),
    ]  # fmt: skip
    elsewhere = tuple(replace(one, line=one.line + 7) for one in ITEMS.aliases)
    assert replace(ITEMS, aliases=elsewhere).renamed_since(ITEMS) == []
    assert ITEMS.renamed_since(Items.none()) != []


# ------------------------------------------------------------------ kits and packs


def test_s32_a_kit_needs_its_components_a_pack_twelve_of_one_and_a_plain_item_itself() -> None:
    assert ITEMS.needs("GIFT") == {"TEA": 1, "MUG": 2}
    assert ITEMS.needs("TEA-12") == {"TEA": 12}
    assert ITEMS.needs("TEA") == {"TEA": 1}
    assert ITEMS.is_kit("GIFT")
    assert not ITEMS.is_kit("TEA")


def test_a_kit_of_kits_needs_what_is_no_kit() -> None:
    # 3 gifts of a tea and two mugs each, a pack of 12 teas, a hat
    assert ITEMS.needs("PARTY") == {"TEA": 3 * 1 + 12, "MUG": 3 * 2, "HAT": 1}


def test_a_component_knows_the_kits_it_is_in_also_through_others() -> None:
    assert ITEMS.used_by("TEA") == ("GIFT", "PARTY", "TEA-12")
    assert ITEMS.used_by("MUG") == ("GIFT", "PARTY")
    assert ITEMS.used_by("GIFT") == ()
    assert ITEMS.used_by("SOMETHING") == ()


def test_a_family_draws_on_the_same_units() -> None:
    everyone = {"GIFT", "TEA-12", "PARTY", "TEA", "MUG", "HAT"}
    assert ITEMS.family("HAT") == ITEMS.family("TEA-12") == everyone
    assert ITEMS.family("LAMP") == {"LAMP", "SOLO"}
    assert ITEMS.family("SOMETHING") == {"SOMETHING"}


def test_kits_in_a_circle_are_found_and_cannot_be_resolved() -> None:
    kits = {"A": {"B": 1}, "B": {"C": 2}, "C": {"A": 1}, "D": {"A": 1}}
    assert set(circle(kits)) == {"A", "B", "C"}
    assert circle({"A": {"A": 1}}) == ["A", "A"]
    assert circle({"A": {"B": 1}}) == []
    with pytest.raises(CycleError):
        resolved(kits)


def test_no_items_are_plain_items() -> None:
    none = Items.none()
    assert none.needs("TEA") == {"TEA": 1}
    assert none.named("shop", "TEA") == Alias(system="shop", their_sku="TEA", sku="TEA")
    assert none.family("TEA") == {"TEA"}


@given(st.dictionaries(st.integers(1, 30), st.dictionaries(st.integers(1, 60), st.integers(1, 3))))
def test_whatever_is_written_resolves_to_what_counting_by_hand_gives(
    written: dict[int, dict[int, int]],
) -> None:
    # A kit may only contain higher numbers: no circle.
    kits = {
        str(kit): {str(item): n for item, n in needs.items() if item > kit}
        for kit, needs in written.items()
    }

    def by_hand(sku: str) -> dict[str, int]:
        if sku not in kits:
            return {sku: 1}
        total: dict[str, int] = {}
        for item, n in kits[sku].items():
            for base, units in by_hand(item).items():
                total[base] = total.get(base, 0) + n * units
        return total

    items = Items(kits=kits)
    for kit in kits:
        assert items.needs(kit) == (by_hand(kit) or {kit: 1})
        for base in by_hand(kit):
            assert kit in items.used_by(base)
            assert items.family(base) == items.family(kit)


# ------------------------------------------------------------------ theirs become ours


def test_an_order_line_keeps_the_channels_own_word_beside_ours() -> None:
    order = an_order(a_line("tea-100g", 2), a_line("MUG"))
    line, plain = ours(a_network(), "shop", order).lines  # type: ignore[union-attr]
    assert (line.sku, line.their_sku, line.quantity) == ("TEA", "tea-100g", 2)
    assert line.unit_price == Money(1000, "EUR")
    assert (plain.sku, plain.their_sku) == ("MUG", "")


def test_an_order_can_be_understood_again_by_other_aliases() -> None:
    order = again(ITEMS, "shop", an_order(a_line("TEE")))
    moved = Items(aliases=(Alias(system="shop", their_sku="TEE", sku="GREEN-TEA"),))
    assert again(moved, "shop", order).lines[0].sku == "GREEN-TEA"
    back = again(Items.none(), "shop", order).lines[0]
    assert (back.sku, back.their_sku) == ("TEE", "")
    assert again(ITEMS, "shop", order) == order


def test_h44_cases_of_twelve_are_read_as_units() -> None:
    reading = StockReading(
        key="1", sku="CASE-TEA", place="EAST", on_hand=3, available=2, allocated=1, counter=7
    )
    assert ours(a_network(), "depot", reading) == StockReading(
        key="1", sku="TEA", place="EAST", on_hand=36, available=24, allocated=12, counter=7
    )
    movement = StockMovement(key="1", sku="CASE-TEA", place="EAST", units=-2)
    assert ours(a_network(), "depot", movement) == replace(movement, sku="TEA", units=-24)


@pytest.mark.parametrize("basis", ["on_hand", "available"])
def test_h44_two_and_a_half_kilograms_are_2500_grams(basis: str) -> None:
    reading = StockReading(key="1", sku="COFFEE", place="EAST", measured=Decimal("2.5"))
    read = ours(a_network(basis=basis), "scales", reading)
    assert read == replace(reading, measured=None, **{basis: 2500})


def test_h44_what_makes_no_whole_units_is_held_never_rounded() -> None:
    # COFFEE-1 has no factor: 2.5 of it are no number of units; 0.4 grams are none either.
    for sku, measured in (("COFFEE-1", "2.5"), ("COFFEE", "0.0004")):
        reading = StockReading(key="1", sku=sku, place="EAST", measured=Decimal(measured))
        hold = held(ours, a_network(), "scales", reading)
        assert hold.cause == f"units:scales:{sku}"
        assert measured in hold.reason
        assert "factor" in hold.next_step
    fine = StockReading(key="1", sku="COFFEE-1", place="EAST", measured=Decimal("2.0"))
    assert ours(a_network(), "scales", fine) == replace(fine, measured=None, on_hand=2)


def test_shipments_listings_cancellations_and_returns_speak_of_our_items() -> None:
    network = a_network()
    two = (QuantityLine(line="1", sku="CASE-TEA", quantity=2, lot="L7"),)
    shipment = Shipment(key="1", reference="r", lines=two, short=two)
    read = ours(network, "depot", shipment)
    wanted = (QuantityLine(line="1", sku="TEA", quantity=24, lot="L7"),)
    assert read == replace(shipment, lines=wanted, short=wanted)
    by_line = Shipment(key="1", reference="r", lines=(QuantityLine(line="1", quantity=2),))
    assert ours(network, "depot", by_line) == by_line
    listing = Listing(key="1", sku="TEE", shown=4)
    assert ours(network, "shop", listing) == replace(listing, sku="TEA", their_sku="TEE")
    cancel = Cancellation(key="1", order="S1", lines=(QuantityLine(sku="TEE", quantity=1),))
    assert ours(network, "shop", cancel).lines[0].sku == "TEA"  # type: ignore[union-attr]
    back = Return(key="1", order="S1", lines=(ReturnLine(sku="TEE", quantity=1),))
    assert ours(network, "shop", back).lines[0].sku == "TEA"  # type: ignore[union-attr]


def test_h44_the_price_of_a_case_is_divided_to_the_cent_or_held() -> None:
    price = Price(sku="T-100", list_price=Money(12000, "EUR"), unit_cost=None)
    assert ours(a_network(), "books", price) == Price(sku="TEA", list_price=Money(1000, "EUR"))
    odd = Price(sku="T-100", unit_cost=Money(10000, "EUR"))
    hold = held(ours, a_network(), "books", odd)
    assert "100.00 EUR" in hold.reason
    assert hold.cause == "units:books:T-100"


def test_a_system_without_aliases_is_not_even_looked_at() -> None:
    order = an_order(a_line("tea-100g"))
    assert ours(a_network(), "market", order) is order


# ------------------------------------------------------------------ ours become theirs


def ask(*lines: QuantityLine) -> FulfillOrder:
    return FulfillOrder(
        reference="r", channel="shop", order="S1", number="#1", place="EAST",
        ship_to=Address(), lines=lines,
    )  # fmt: skip


def test_h44_a_warehouse_is_asked_in_its_own_words_and_units() -> None:
    asked = ask(QuantityLine(line="1", sku="TEA", quantity=36), QuantityLine(sku="MUG", quantity=1))
    told = theirs(ITEMS, "depot", asked)
    assert [(line.sku, line.quantity) for line in told.lines] == [("CASE-TEA", 3), ("MUG", 1)]  # type: ignore[union-attr]
    assert theirs(ITEMS, "elsewhere", asked) is asked


def test_h44_five_units_are_no_case_of_twelve() -> None:
    hold = held(theirs, ITEMS, "depot", ask(QuantityLine(line="1", sku="TEA", quantity=5)))
    assert hold.cause == "units:depot:TEA"
    assert "12" in hold.reason
    assert "5" in hold.reason
    assert whole(ITEMS, "depot", "MUG", 5) == 5


def test_h44_an_order_is_booked_in_cases_and_its_money_stays() -> None:
    order = an_order(a_line("TEA", 24, price=999))
    booked = theirs(ITEMS, "books", BookOrder(reference="r", channel="shop", order=order))
    [line] = booked.order.lines  # type: ignore[union-attr]
    assert (line.sku, line.quantity, line.unit_price) == ("T-100", 2, Money(11988, "EUR"))
    assert booked.order.total == order.total  # type: ignore[union-attr]


def test_a_channel_is_told_its_own_words_by_its_own_order() -> None:
    told = ConfirmShipment(
        reference="r", order="S1", number="#1", shipment="P1", parcel=1, shipped_at=AT,
        lines=(QuantityLine(line="1", sku="tea-100g", quantity=1),),
    )  # fmt: skip
    assert theirs(ITEMS, "shop", told) is told


@given(st.integers(0, 500), st.integers(1, 40))
def test_what_goes_out_comes_back_the_same(quantity: int, factor: int) -> None:
    items = Items(aliases=(Alias(system="depot", their_sku="C", sku="TEA", factor=factor),))
    line = QuantityLine(line="1", sku="TEA", quantity=quantity * factor)
    told = theirs(items, "depot", ask(line))
    shipment = Shipment(key="1", reference="r", lines=told.lines)  # type: ignore[union-attr]
    assert ours(a_network(items), "depot", shipment).lines == (line,)  # type: ignore[union-attr]
