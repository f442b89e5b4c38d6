"""Ours to theirs: what stands in a body, what is left out of it, and what is held."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.model import (
    Address,
    BookOrder,
    Collector,
    FulfillOrder,
    Order,
    OrderLine,
    Payment,
    QuantityLine,
    Tax,
)
from core.money import Money
from core.strict import dump_json
from tests.unit.mapping.mapped import SEND, changed, held, load

ASK = FulfillOrder(
    reference="truecount:shop:1:fulfill",
    channel="shop",
    order="1",
    number="#1001",
    place="MAIN",
    ship_to=Address(name="Jane Roe", postcode="00123", country="DE"),
    lines=(
        QuantityLine(line="a", sku="00123", quantity=2),
        QuantityLine(sku="MUG", quantity=0),
    ),
    ship_by=datetime(2026, 11, 20, 23, 30, 22, 250000, UTC),
    service="express",
    cash_to_collect=Money(4397, "INR"),
    extras={"shop": "main", "a.b": "dotted"},
)

RIGHT = [
    ("reference", "truecount:shop:1:fulfill"),
    ("ship_to.postcode", "00123"),
    ("ship_to.mask", "clear"),
    ("extras.shop", "main"),
    ("extras.a.b", "dotted"),
    ("extras.none", None),
    ("cash_to_collect | decimal", "43.97"),
    ("cash_to_collect | amount", Decimal("43.97")),
    ("cash_to_collect | minor", 4397),
    ("cash_to_collect | currency", "INR"),
    ("cash_to_collect | negate | decimal", "-43.97"),
    ("cash_to_collect | absolute | amount | text", "43.97"),
    ("ship_by | iso", "2026-11-20T23:30:22Z"),
    ("ship_by | date", "2026-11-20"),
    ('ship_by | date "Asia/Kolkata"', "2026-11-21"),
    ('ship_by | time "UTC"', "2026-11-20 23:30:22"),
    ('ship_by | time "Asia/Kolkata"', "2026-11-21 05:00:22"),
    ("ship_by | epoch", 1795217422),
    ('ship_by | epoch "ms"', 1795217422250),
    ("service | upper", "EXPRESS"),
    ("service | lower | trim", "express"),
    ("ship_to.phone", ""),
    ("ship_to.phone | empty_to_none", None),
    ('ship_to.phone | empty_to_none | default "0"', "0"),
    ('service | contains "press"', True),
    ("service | choose word", 7),
    ("lines.quantity", [2, 0]),
    ("lines.sku", ["00123", "MUG"]),
    ("lines.quantity | sum", Decimal(2)),
    ("lines.sku | first", "00123"),
    ("lines.sku | last", "MUG"),
    ('lines.sku | join ","', "00123,MUG"),
    ('lines.sku | contains "MUG"', True),
    ("lines.quantity | first | text", "2"),
    ("= truecount", "truecount"),
    ('= "a | b"', "a | b"),
    ("= 1.10 | number", Decimal("1.10")),
    ("= 5 | whole", 5),
    ("= 0.0725 | number | percent", Decimal("7.25")),
    ("= 1 | whole | percent", Decimal(100)),
    ("5", 5),
    ("true", True),
    ("= 5", "5"),
]


@pytest.mark.parametrize(("right", "wanted"), RIGHT)
def test_a_line_says_ours_in_their_form(right, wanted):
    text = changed("  reference: reference", f"  x: {right}", SEND)
    if "choose" in right:
        text += "choices:\n  word: {express: 7, gone: ignore, otherwise: hold}\n"
    body = load(text).body(ASK)
    found = body.get("x")
    assert (found, type(found)) == (wanted, type(wanted))
    assert ("x" in body) == (wanted is not None)
    dump_json(body)


@pytest.mark.parametrize(
    "right",
    [
        "ship_by | iso",
        "ship_by | date",
        'ship_by | time "UTC"',
        "ship_by | epoch | text",
        "cash_to_collect | decimal",
        "cash_to_collect | amount",
        "cash_to_collect | negate | minor",
        "cash_to_collect | currency",
    ],
)
def test_null_is_not_said(right):
    mapping = load(changed("  reference: reference", f"  x: {right}", SEND))
    assert "x" not in mapping.body(replace(ASK, ship_by=None, cash_to_collect=None))


def test_lists_nest_skip_and_may_be_plain_or_the_whole_body():
    text = changed("    each: lines\n", "    each: lines\n    skip_when: quantity is 0\n", SEND)
    assert load(text).body(ASK)["items"] == [{"sku": "00123", "qty": 2}]
    plain = text.replace(
        "    fields:\n      sku: sku\n      qty: quantity\n", "    value: sku | lower\n"
    )
    assert load(plain).body(ASK)["items"] == ["00123"]
    one = SEND.replace(
        "    each: lines\n    fields:\n      sku: sku\n      qty: quantity\n",
        "    fields: {id: order}\n",
    )
    assert load(one).body(ASK)["items"] == [{"id": "1"}]
    whole = SEND[: SEND.index("  reference")] + "  each: lines\n  fields: {s: sku}\n"
    assert load(whole).body(ASK) == [{"s": "00123"}, {"s": "MUG"}]
    present = text.replace("quantity is 0", "[line is empty, sku is MUG]")
    assert load(present).body(ASK)["items"] == [{"sku": "00123", "qty": 2}]


def test_names_nest_by_dots_or_by_indenting_and_empty_objects_are_left_out():
    text = changed(
        "  reference: reference",
        "  to.address.zip: ship_to.postcode\n  to.name: ship_to.name\n"
        "  by:\n    at: ship_by | iso\n    cash.amount: cash_to_collect | decimal",
        SEND,
    )
    body = load(text).body(replace(ASK, cash_to_collect=None, ship_by=None))
    assert body == {
        "to": {"address": {"zip": "00123"}, "name": "Jane Roe"},
        "items": [{"sku": "00123", "qty": 2}, {"sku": "MUG", "qty": 0}],
    }


def test_a_booked_order_is_said_with_its_taxes():
    text = (
        "mapping: erp.book_order\nversion: 1\nsends: book_order\nbody:\n  paid: order.payment\n"
        "  lines:\n    each: order.lines\n    fields:\n      price: unit_price | amount\n"
        "      taxes:\n        each: taxes\n        fields: {rate: rate, by: collected_by}\n"
    )
    line = OrderLine(
        key="1",
        sku="A",
        quantity=1,
        unit_price=Money(1000, "EUR"),
        taxes=(Tax(rate=Decimal("0.190"), amount=Money(160, "EUR")),),
    )
    order = Order(
        key="1",
        number="1",
        revision="",
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
        currency="EUR",
        total=Money(1000, "EUR"),
        payment=Payment.PAID,
        lines=(line,),
    )
    body = load(text).body(BookOrder(reference="r", channel="shop", order=order))
    assert dump_json(body) == (
        b'{"paid":"paid","lines":[{"price":10.00,"taxes":[{"rate":0.190,"by":"seller"}]}]}'
    )


def test_an_unknown_word_and_a_missing_one_are_held_by_their_names():
    text = SEND.replace(
        "  reference: reference", "  to.via: service | choose word\n  zip: ship_to.postcode"
    )
    text += "required: [zip, items]\nchoices:\n  word: {express: 7, gone: ignore}\n"
    mapping = load(text)
    hold = held(mapping, replace(ASK, service="slow"))
    assert hold.reason == 'to.via "slow" is not in choices.word (service)'
    assert hold.cause == "mapping:shop.fulfill_order:choices.word:slow"
    assert "mappings/shop/fulfill_order.yaml:14" in hold.next_step
    missing = held(mapping, replace(ASK, ship_to=Address()))
    assert missing.reason == "zip is missing (ship_to.postcode)"
    assert held(mapping, replace(ASK, lines=())).reason == "items is missing (lines)"
    assert mapping.body(replace(ASK, service="gone")) is None


def test_a_buyer_s_value_is_in_no_hold():
    text = SEND.replace("  reference: reference", "  n: ship_to.name | choose word")
    hold = held(load(text + "choices:\n  word: {a: b}\n"), ASK)
    assert "Jane" not in f"{hold.reason}{hold.cause}{hold.next_step}"
    assert hold.reason.startswith("n (not shown) is not in choices.word")


BOOK = """\
mapping: shop.book_order
version: 1
sends: book_order
body:
  rows:
    - each: order.lines
      fields: {sku: sku, at: above.place}
    - each: order.lines.taxes
      skip_when: collected_by is marketplace
      fields: {of: above.sku, tax: amount | decimal}
    - skip_when: order.shipping_fee is empty
      fields: {ship: order.shipping_fee | decimal}
"""


def a_booking(**changes):
    def tax(minor, collected_by="seller"):
        return Tax(amount=Money(minor, "EUR"), collected_by=Collector(collected_by))

    price = Money(1999, "EUR")
    order = Order(
        key="1",
        number="#1",
        revision="1",
        placed_at=datetime(2026, 11, 20, tzinfo=UTC),
        currency="EUR",
        total=Money(5997, "EUR"),
        payment=Payment.PAID,
        lines=(
            OrderLine(key="a", sku="A", quantity=1, unit_price=price, taxes=(tax(10), tax(11))),
            OrderLine(key="b", sku="B", quantity=1, unit_price=price),
            OrderLine(
                key="c",
                sku="C",
                quantity=1,
                unit_price=price,
                taxes=(tax(12, "marketplace"), tax(13)),
            ),
        ),
    )
    return BookOrder(reference="r", channel="shop", place="MAIN", order=replace(order, **changes))


def test_several_blocks_are_one_list_and_each_entry_knows_what_it_stands_in():
    rows = load(BOOK).body(a_booking(shipping_fee=Money(599, "EUR")))["rows"]
    assert rows == [
        {"sku": "A", "at": "MAIN"},
        {"sku": "B", "at": "MAIN"},
        {"sku": "C", "at": "MAIN"},
        {"of": "A", "tax": "0.10"},
        {"of": "A", "tax": "0.11"},
        {"of": "C", "tax": "0.13"},
        {"ship": "5.99"},
    ]


def test_a_block_with_nothing_adds_nothing_and_a_required_list_may_be_filled_by_any_of_them():
    mapping = load(BOOK.replace("body:", "required: [rows]\nbody:"))
    assert [*mapping.body(a_booking())["rows"][-1]] == ["of", "tax"]
    only_fee = mapping.body(a_booking(lines=(), shipping_fee=Money(599, "EUR")))
    assert only_fee["rows"] == [{"ship": "5.99"}]
    assert held(mapping, a_booking(lines=())).reason == "rows is missing"


def test_an_inner_list_sees_the_entry_it_stands_in_and_a_block_without_each_what_its_holder_sees():
    text = (
        BOOK[: BOOK.index("    - each")]
        + """\
    each: order.lines
    fields:
      sku: sku
      taxes:
        each: taxes
        fields: {of: above.key, tax: amount | minor}
      place:
        fields: {at: above.place, sku: sku}
"""
    )
    rows = load(text).body(a_booking())["rows"]
    assert rows[0]["taxes"] == [{"of": "a", "tax": 10}, {"of": "a", "tax": 11}]
    assert [row["place"] for row in rows] == [
        [{"at": "MAIN", "sku": "A"}],
        [{"at": "MAIN", "sku": "B"}],
        [{"at": "MAIN", "sku": "C"}],
    ]


def test_a_hold_inside_one_of_several_blocks_says_its_own_line_and_entry():
    text = (
        BOOK.replace("of: above.sku", "of: above.sku | choose names")
        + "choices:\n  names: {A: a}\n"
    )
    hold = held(load(text), a_booking())
    assert hold.reason == 'rows.of "C" is not in choices.names (above.sku, entry 4)'
