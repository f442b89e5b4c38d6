"""Values nobody can mean, and every word a person reads about the record they hold (T7, H27).

Together with test_refused_reading.py and test_refused_sending.py the corpus of what is refused.
"""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from core.strict import Malformed, load_json
from tests.unit.mapping.mapped import DOCUMENT, held, load

TEXT = """\
mapping: shop.order
version: 1
becomes: order
key: id
revision: rev
fields:
  number: name
  updated_at: upd | time "Asia/Kolkata"
  cancelled_at: gone | epoch
  test: test | flag
  shippable: tags | contains "SHIP"
  email: mail | trim
  ship_to.name: to.name
  ship_to.country: to.country | country
  ship_to.phone: to.phone | phone
  shipping_fee: fee | minor
  other_fees: other.amount | money other.currency
  extras.tags: tags | join ", "
  extras.first: tags | first
  placed_at: at | time
  currency: cur
  total: total | money
  payment: pay | choose payment
lines:
  each: items
  fields:
    key: id
    sku: sku | sku
    quantity: qty | whole
    unit_price: price | money
    fulfilled: done | whole | default 0
  taxes:
    each: tax
    fields:
      amount: a | money
      rate: r | percent
choices:
  payment: {PAID: paid, PENDING: pending}
required: [number, lines.sku]
"""
MAPPING = load(TEXT)

X60 = "x" * 60
#: (where in the document, the value, the reason of the hold)
VALUES: list[tuple[str, Any, str]] = [
    ("pay", "COUPON", 'payment "COUPON" is not in choices.payment (pay)'),
    ("pay", "", 'payment "" is not in choices.payment (pay)'),
    ("pay", "PAID ", 'payment "PAID " is not in choices.payment (pay)'),
    ("pay", ["PAID"], "payment (a list of 1) is not text (pay)"),
    ("pay", {"a": 1}, "payment (an object) is not text (pay)"),
    ("pay", 7, "payment 7 is not in choices.payment (pay)"),
    ("pay", True, "payment true is not in choices.payment (pay)"),
    (
        "pay",
        "x" * 400,
        f'payment "{X60}…" is not in choices.payment (pay)',
    ),
    ("pay", "A\nB\x1b[31m", 'payment "A\\nB\\u001b[31m" is not in choices.payment (pay)'),
    (
        "total",
        "43.975",
        'total "43.975" is refused: 43.975 has more decimals than EUR allows (total)',
    ),
    ("total", "1,299.00", 'total "1,299.00" is not a number (total)'),
    ("total", "1e3", 'total "1e3" is not a number (total)'),
    ("total", "NaN", 'total "NaN" is not a number (total)'),
    ("total", "free", 'total "free" is not a number (total)'),
    ("total", "", 'total "" is not a number (total)'),
    ("total", None, "total is missing (total)"),
    ("total", [], "total (a list of 0) is not a number (total)"),
    ("total", True, "total true is not a number (total)"),
    (
        "total",
        "9999999999999999999999999999999999999999",
        'total "9999999999999999999999999999999999999999" has more than 28 digits (total)',
    ),
    ("total", "٣", 'total "٣" is not a number (total)'),
    ("cur", None, "currency is missing (cur)"),
    ("cur", "eu", 'currency "eu" is not a currency code like EUR (cur)'),
    ("cur", "EURO", 'currency "EURO" is not a currency code like EUR (cur)'),
    ("cur", {}, "currency (an object) is not text (cur)"),
    ("at", "yesterday", 'placed_at "yesterday" is not a time like 2026-11-20T14:03:22Z (at)'),
    (
        "at",
        "2026-11-20T14:03:22",
        'placed_at "2026-11-20T14:03:22" has no time zone; write | time "Asia/Kolkata" (at)',
    ),
    ("at", "20/11/2026", 'placed_at "20/11/2026" is not a time like 2026-11-20T14:03:22Z (at)'),
    ("at", 1763647402, "placed_at 1763647402 is not a time like 2026-11-20T14:03:22Z (at)"),
    ("at", None, "placed_at is missing (at)"),
    (
        "at",
        "2026-13-45T00:00:00Z",
        'placed_at "2026-13-45T00:00:00Z" is not a time like 2026-11-20T14:03:22Z (at)',
    ),
    (
        "at",
        "0001-01-01T00:00:00+23:59",
        'placed_at "0001-01-01T00:00:00+23:59" is not a time like 2026-11-20T14:03:22Z (at)',
    ),
    ("upd", "2026-11-20", 'updated_at "2026-11-20" is not a time like 2026-11-20T14:03:22Z (upd)'),
    ("gone", -5, "cancelled_at -5 is not a time in seconds since 1970 (gone)"),
    (
        "gone",
        "17636474020000",
        'cancelled_at "17636474020000" is not a time in seconds since 1970 (gone)',
    ),
    (
        "gone",
        1000000000000000000000000000000,
        "cancelled_at 1000000000000000000000000000000 is not a whole number (gone)",
    ),
    ("test", "maybe", 'test "maybe" is neither true nor false; use choose (test)'),
    ("test", 2, "test 2 is neither true nor false; use choose (test)"),
    ("tags", 5, "shippable 5 is neither a text nor a list (tags)"),
    ("tags", {"a": 1}, "shippable (an object) is neither a text nor a list (tags)"),
    ("name", None, "number is missing (name)"),
    ("name", "", "number is missing (name)"),
    ("name", {"first": "A"}, "number (an object) is not text (name)"),
    ("name", ["a"], "number (a list of 1) is not text (name)"),
    ("id", None, "key is missing (id)"),
    ("id", "", "key is missing (id)"),
    ("id", {}, "key (an object) is not text (id)"),
    ("items", "none", 'lines "none" is not a list (items)'),
    ("items", 5, "lines 5 is not a list (items)"),
    ("items", [None], "lines.key is missing (id, entry 1)"),
    ("items", ["x"], "lines.key is missing (id, entry 1)"),
    ("items.0.qty", "two", 'lines.quantity "two" is not a whole number (qty, entry 1)'),
    ("items.0.qty", Decimal("2.5"), "lines.quantity 2.5 is not a whole number (qty, entry 1)"),
    (
        "items.0.qty",
        Decimal("-1E+30"),
        "lines.quantity -1E+30 is not a whole number (qty, entry 1)",
    ),
    ("items.0.qty", None, "lines.quantity is missing (qty, entry 1)"),
    (
        "items.0.qty",
        100000000000000000000,
        "lines.quantity 100000000000000000000 is not a whole number (qty, entry 1)",
    ),
    ("items.0.qty", "0x10", 'lines.quantity "0x10" is not a whole number (qty, entry 1)'),
    ("items.1.sku", None, "lines.sku is missing (sku, entry 2)"),
    ("items.1.sku", "  ", "lines.sku is missing (sku, entry 2)"),
    (
        "items.1.sku",
        "AB\u200bC",
        'lines.sku "AB\\u200bC" holds a character that cannot be seen (sku, entry 2)',
    ),
    ("items.1.sku", {"v": 1}, "lines.sku (an object) is not text (sku, entry 2)"),
    (
        "items.1.price",
        "12.345",
        'lines.unit_price "12.345" is refused: 12.345 has more decimals than EUR allows'
        " (price, entry 2)",
    ),
    ("items.1.price", None, "lines.unit_price is missing (price, entry 2)"),
    ("items.1.done", "some", 'lines.fulfilled "some" is not a whole number (done, entry 2)'),
    ("items.0.tax", [{"a": "x", "r": 1}], 'lines.taxes.amount "x" is not a number (a, entry 1)'),
    (
        "items.0.tax",
        [{"a": "1.00", "r": "ten"}],
        'lines.taxes.rate "ten" is not a number (r, entry 1)',
    ),
    ("items.0.tax", 3, "lines.taxes 3 is not a list (tax, entry 1)"),
    (
        "to.country",
        "Germania",
        "ship_to.country (not shown) is not a two-letter country code, nor a country's name"
        " (to.country)",
    ),
    (
        "to.country",
        "D1",
        "ship_to.country (not shown) is not a two-letter country code, nor a country's name"
        " (to.country)",
    ),
    ("to.name", {"first": "Ada"}, "ship_to.name (not shown) is not text (to.name)"),
    ("to.phone", ["1"], "ship_to.phone (not shown) is not text (to.phone)"),
    ("mail", {"x": 1}, "email (not shown) is not text (mail)"),
    ("fee", Decimal("5.5"), "shipping_fee 5.5 is not a whole number (fee)"),
    ("fee", "12.50", 'shipping_fee "12.50" is not a whole number (fee)'),
    (
        "other",
        {"amount": "1.00", "currency": "USD"},
        'other_fees "USD" is another currency than the record\'s EUR (other.amount)',
    ),
    ("other", {"amount": "1.00"}, 'other_fees "1.00" has no currency (other.amount)'),
    (
        "other",
        {"amount": "1.00", "currency": "euro"},
        "other_fees \"1.00\" is refused: 'euro' is not an ISO 4217 currency code (other.amount)",
    ),
]


def put(path: str, value: Any) -> dict[str, Any]:
    """The good document with this one value in it."""
    document: Any = copy.deepcopy(DOCUMENT)
    here = document
    *way, last = path.split(".")
    for word in way:
        here = here[int(word)] if isinstance(here, list) else here.setdefault(word, {})
    here[int(last) if isinstance(here, list) else last] = value
    return document  # type: ignore[no-any-return]


def test_the_unchanged_document_is_taken() -> None:
    assert MAPPING.record(copy.deepcopy(DOCUMENT)).total.minor == 4397


@pytest.mark.parametrize(("path", "value", "reason"), VALUES)
def test_a_hostile_value_holds_its_record_with_this_reason(
    path: str, value: Any, reason: str
) -> None:
    hold = held(MAPPING, put(path, value))
    assert hold.reason == reason
    assert hold.cause.startswith("mapping:shop.order:")
    assert "mappings/shop/order.yaml:" in hold.next_step


#: (bytes, what is said of them): no document at all.
BYTES: list[tuple[bytes, str]] = [
    (b"", "empty where JSON was due"),
    (b"  \n", "empty where JSON was due"),
    (b"<html>", "HTML instead of JSON"),
    (
        b'{"a":1,}',
        "not JSON: expecting property name enclosed in double quotes at line 1 column 8",
    ),
    (b'{"a":NaN}', "NaN is not a JSON value"),
    (b'{"a":Infinity}', "Infinity is not a JSON value"),
    (b'{"a":-Infinity}', "-Infinity is not a JSON value"),
    (b'{"a":1e999}', "a number beyond any real value"),
    (b'{"a":1e99999999999999999999}', "a number beyond any real value"),
    (b'{"a":1,"a":2}', "key 'a' appears twice in one object"),
    (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
    (b"[" * 200_000, "nested deeper than 64 levels"),
    (b'{"a":' + b"9" * 5000 + b"}", "a number with more than 4300 digits"),
    (b'{"a":0.' + b"1" * 500 + b"}", "a number with more than 400 characters"),
    (b'"\\ud800"', "text with a NUL or half a character (a lone surrogate)"),
    (b'{"a":"x\\u0000y"}', "text with a NUL or half a character (a lone surrogate)"),
    (b"\xff\xfe{}", "not valid UTF-8 at byte 0"),
    (b'{"a":"\xc3("}', "not valid UTF-8 at byte 6"),
    (b'{"a":1} {"b":2}', "not JSON: extra data at line 1 column 9"),
    (
        b"{'a':1}",
        "not JSON: expecting property name enclosed in double quotes at line 1 column 2",
    ),
]


@pytest.mark.parametrize(("data", "said"), BYTES)
def test_bytes_that_are_no_document_are_refused_in_these_words(data: bytes, said: str) -> None:
    with pytest.raises(Malformed) as refused:
        load_json(data)
    assert str(refused.value) == said
