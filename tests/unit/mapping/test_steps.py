"""Every reading step: exact, or held with the words an operator reads."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.model import Mask, StockReading
from core.money import Money
from tests.unit.mapping.mapped import DOCUMENT, changed, held, load


def reading(lines, *, after=""):
    """ORDER with more field lines."""
    return load(changed("  number: name\n", f"  number: name\n{lines}\n") + after)


# ---------------------------------------------------------------- steps


class Held(str):
    """A hold's reason between our field and their path."""


#: line, value of x, what the field becomes.
STEPS = [
    *[
        (f"channel_state: x | {step}", None, "")
        for step in "text trim upper lower empty_to_none sku country phone first last whole".split()
    ],
    *[
        (f"other_fees: x | {step}", None, None)
        for step in ("money", "minor", "sum | money", "money | negate", "minor | absolute")
    ],
    *[(f"updated_at: x | {step}", None, None) for step in ("time", "date", "epoch")],
    *[(f"test: x | {step}", None, False) for step in ("flag", 'contains "a"')],
    ("channel_state: x | number", None, ""),
    ('channel_state: x | join ","', None, ""),
    ("channel_state: x | country", "", ""),
    ("channel_state: x | phone", " ", ""),
    ("channel_state: x | empty_to_none | first", [], ""),
    ("other_fees: x | minor", 10**17, Held("100000000000000000 is refused: an amount of")),
    ('other_fees: x | minor "EUR"', 5, Money(5, "EUR")),
    ("other_fees: x.a | minor x.cur", {"a": 5}, Held("5 has no currency")),
    ("other_fees: x | money | absolute", "1.00", Money(100, "EUR")),
    ("updated_at: x | date", "", None),
    ("updated_at: x | date", "2026-1-2", Held('"2026-1-2" is not a day like 2026-11-20')),
    ("updated_at: x | date", 5, Held("5 is not a day like 2026-11-20")),
    (
        'updated_at: x | epoch "ms"',
        1764000000,
        Held("1764000000 is not a time in seconds since 1970"),
    ),
    ("updated_at: x | epoch", 10**12, Held("1000000000000 is not a time in seconds since 1970")),
    ("channel_state: x", "00123", "00123"),
    ("channel_state: x", 19, "19"),
    ("channel_state: x", Decimal("1.10"), "1.10"),
    ("channel_state: x", None, ""),
    ("channel_state: x", True, Held("true is not text")),
    ("channel_state: x", {"a": 1}, Held("(an object) is not text")),
    ("channel_state: x", [1], Held("(a list of 1) is not text")),
    ("channel_state: x | trim", " a ", "a"),
    ("channel_state: x | upper", "straße", "STRASSE"),
    ("channel_state: x | lower", "ÄB", "äb"),
    ('channel_state: x | empty_to_none | default "none"', "  ", "none"),
    ('channel_state: x | empty_to_none | default "none"', "a", "a"),
    ('channel_state: x | default "a | \\"b\\""', None, 'a | "b"'),
    ("channel_state: x | sku", "  ab-1 ", "ab-1"),
    ("channel_state: x | sku", "", ""),
    (
        "channel_state: x | sku",
        "a\u200bb",
        Held('"a\\u200bb" holds a character that cannot be seen'),
    ),
    ("channel_state: x | country", " de ", "DE"),
    ("channel_state: x | country", "DEU", Held('"DEU" is not a two-letter country code')),
    ("channel_state: x | phone", "+49 (0) 30-1", "+490301"),
    ("channel_state: x | phone", "030/1", "0301"),
    ('channel_state: x | join ", "', ["a", None, "", 5], "a, 5"),
    ('channel_state: x | join ", "', "a", Held('"a" is not a list of texts')),
    ("channel_state: x | first", ["a", "b"], "a"),
    ("channel_state: x | last", ["a", "b"], "b"),
    ("channel_state: x | first", [], ""),
    ("channel_state: x | last", "ab", Held('"ab" is not a list')),
    ("channel_state: x | whole", "7", "7"),
    ("test: x | flag", True, True),
    ("test: x | flag", "False", False),
    ("test: x | flag", 1, True),
    ("test: x | flag", None, False),
    ("test: x | flag", "yes", Held('"yes" is neither true nor false; use choose')),
    ('test: x | contains "COD"', ["a", "COD"], True),
    ('test: x | contains "COD"', "PAYCOD", True),
    ('test: x | contains "COD"', ["CODX"], False),
    ('test: x | contains "7"', [7, {"a": 1}], True),
    ('test: x | contains "COD"', 5, Held("5 is neither a text nor a list")),
    ("test: true", None, True),
    ("test: = true", None, True),
    ("complete: x | flag | default false", None, False),
    (
        "updated_at: x | time",
        "2026-11-20T14:03:22+05:30",
        datetime(2026, 11, 20, 8, 33, 22, tzinfo=UTC),
    ),
    (
        "updated_at: x | time",
        "2026-11-20 14:03:22.5Z",
        datetime(2026, 11, 20, 14, 3, 22, 500000, UTC),
    ),
    ("updated_at: x | time", "", None),
    (
        "updated_at: x | time",
        "2026-11-20T14:03:22",
        Held('"2026-11-20T14:03:22" has no time zone; write | time "Asia/Kolkata"'),
    ),
    (
        'updated_at: x | time "Asia/Kolkata"',
        "2026-11-20T05:30:00",
        datetime(2026, 11, 20, tzinfo=UTC),
    ),
    (
        'updated_at: x | time "Asia/Kolkata"',
        "2026-11-20T05:30:00Z",
        datetime(2026, 11, 20, 5, 30, tzinfo=UTC),
    ),
    (
        "updated_at: x | time",
        "20.11.2026 14:03",
        Held('"20.11.2026 14:03" is not a time like 2026-11-20T14:03:22Z'),
    ),
    (
        "updated_at: x | time",
        "0001-01-01T00:00:00+14:00",
        Held('"0001-01-01T00:00:00+14:00" is not a time like 2026-11-20T14:03:22Z'),
    ),
    ("updated_at: x | time", 5, Held("5 is not a time like 2026-11-20T14:03:22Z")),
    ("updated_at: x | date", "2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
    ('updated_at: x | date "Europe/Berlin"', "2026-11-20", datetime(2026, 11, 19, 23, tzinfo=UTC)),
    ("updated_at: x | date", "20.11.2026", Held('"20.11.2026" is not a day like 2026-11-20')),
    ("updated_at: x | date", "2026-13-20", Held('"2026-13-20" is not a day like 2026-11-20')),
    ("updated_at: x | epoch", 1764000000, datetime(2025, 11, 24, 16, tzinfo=UTC)),
    ("updated_at: x | epoch", "1764000000", datetime(2025, 11, 24, 16, tzinfo=UTC)),
    ('updated_at: x | epoch "ms"', 1764000000250, datetime(2025, 11, 24, 16, 0, 0, 250000, UTC)),
    ("updated_at: x | epoch", 0, None),
    (
        "updated_at: x | epoch",
        1764000000000,
        Held("1764000000000 is not a time in seconds since 1970"),
    ),
    (
        "updated_at: x | epoch",
        10**18,
        Held("1000000000000000000 is not a time in seconds since 1970"),
    ),
    ("other_fees: x | money", "1.5", Money(150, "EUR")),
    ("other_fees: x | money", "-1.50", Money(-150, "EUR")),
    ("other_fees: x | money", 2, Money(200, "EUR")),
    ("other_fees: x | money", Decimal("2.50"), Money(250, "EUR")),
    ("other_fees: x | money", " 3.00 ", Money(300, "EUR")),
    (
        "other_fees: x | money",
        "43.975",
        Held('"43.975" is refused: 43.975 has more decimals than EUR allows'),
    ),
    ("other_fees: x | money", "1,299.00", Held('"1,299.00" is not a number')),
    ("other_fees: x | money", "1e3", Held('"1e3" is not a number')),
    ("other_fees: x | money", "", Held('"" is not a number')),
    ("other_fees: x | money", "٣", Held('"٣" is not a number')),
    ("other_fees: x | money", Decimal("1E+60"), Held("1E+60 has more than 28 digits")),
    (
        "other_fees: x | money",
        "9" * 16,
        Held(
            '"9999999999999999" is refused: an amount of 999999999999999900 minor units'
            " is beyond any real document"
        ),
    ),
    ("other_fees: x | minor", 4397, Money(4397, "EUR")),
    ("other_fees: x | minor", "43.5", Held('"43.5" is not a whole number')),
    ('other_fees: x | money "EUR"', "1.00", Money(100, "EUR")),
    (
        'other_fees: x | money "USD"',
        "1.00",
        Held('"USD" is another currency than the record\'s EUR'),
    ),
    ('presentment_total: x | money "USD"', "1.00", Money(100, "USD")),
    ("other_fees: x.amount | money x.cur", {"amount": "1.00", "cur": "EUR"}, Money(100, "EUR")),
    ("other_fees: x.amount | money x.cur", {"amount": "1.00"}, Held('"1.00" has no currency')),
    ("other_fees: x | sum | money", ["1.10", 2, Decimal("0.05"), None], Money(315, "EUR")),
    ("other_fees: x | sum | money", [], Money(0, "EUR")),
    ("other_fees: x | sum | money", "1", Held('"1" is not a list of numbers')),
    ("other_fees: x | money | absolute", "-1.00", Money(100, "EUR")),
    ("other_fees: x | money | negate", "1.00", Money(-100, "EUR")),
    ('other_fees: x | default "0" | money', None, Money(0, "EUR")),
    ("other_fees: x | money", None, None),
    ("ship_to.mask: = masked", None, Mask.MASKED),
    ("extras.a: x", None, KeyError),
    ("extras.a.b: x", 7, "7"),
    ("extras.shop: = main", None, "main"),
]


@pytest.mark.parametrize(("line", "value", "wanted"), STEPS)
def test_a_step_is_exact_or_holds(line, value, wanted):
    mapping = reading(f"  {line}")
    name = line.split(":")[0]
    document = {**DOCUMENT, "x": value}
    if isinstance(wanted, Held):
        assert held(mapping, document).reason.startswith(f"{name} {wanted}")
        return
    made = mapping.record(document)
    head, _, rest = name.partition(".")
    found = getattr(made, head)
    if head == "extras":
        found = found.get(rest, KeyError)
    elif rest:
        found = getattr(found, rest)
    assert (found, type(found)) == (wanted, type(wanted))


NUMBERS = [
    ("whole", "7", 7),
    ("whole", Decimal("7.0"), 7),
    ("whole", 2**63, ("on_hand 9223372036854775808 is not a whole number (x)",)),
    ("whole", 10**400, ("on_hand (a huge number) is not a whole number (x)",)),
    ("whole", "7.5", ('on_hand "7.5" is not a whole number (x)',)),
    ("whole", True, ("on_hand true is not a whole number (x)",)),
    ("whole | negate", 7, -7),
    ("whole | absolute", -7, 7),
    ("whole | default 0", None, 0),
]


@pytest.mark.parametrize(("steps", "value", "wanted"), NUMBERS)
def test_whole_numbers(steps, value, wanted):
    mapping = load(
        "mapping: wms.stock_reading\nversion: 1\nbecomes: stock_reading\nkey: sku\n"
        f"fields:\n  sku: sku\n  place: place\n  available: 1\n  on_hand: x | {steps}\n"
    )
    document = {"sku": "A", "place": "MAIN", "x": value}
    if isinstance(wanted, tuple):
        assert held(mapping, document).reason == wanted[0]
    else:
        assert mapping.record(document) == StockReading(
            key="A", sku="A", place="MAIN", on_hand=wanted, available=1
        )


@pytest.mark.parametrize(
    ("steps", "value", "wanted"),
    [
        ("number", "0.190", "0.190"),
        ("number", 1, "1"),
        ("percent", 19, "0.19"),
        ("percent", "7.7", "0.077"),
        ("number", "19%", ('tax_rate "19%" is not a number (x)',)),
        ("number", "1-2", ('tax_rate "1-2" is not a number (x)',)),
        ("whole", 1, "1"),
        ("number | default 0", None, "0"),
        ("number", None, "None"),
    ],
)
def test_rates_stay_exact(steps, value, wanted):
    head = "mapping: erp.price\nversion: 1\nbecomes: price\nfields:\n  sku: sku\n"
    text = f"{head}  tax_rate: x | {steps}\n"
    mapping = load(text)
    if isinstance(wanted, tuple):
        assert held(mapping, {"sku": "A", "x": value}).reason == wanted[0]
    else:
        assert str(mapping.record({"sku": "A", "x": value}).tax_rate) == wanted


def test_a_rate_may_be_a_constant():
    text = "mapping: erp.price\nversion: 1\nbecomes: price\nfields:\n  sku: sku\n"
    price = load(f"{text}  tax_rate: = 0.190\n").record({"sku": "A"})
    assert str(price.tax_rate) == "0.190"


def test_a_record_without_a_currency_field_names_it_once_at_the_top():
    text = (
        "mapping: erp.price\nversion: 1\nbecomes: price\ncurrency: cur | upper\n"
        "fields:\n  sku: sku\n  list_price: p | money\n  unit_cost: c | money c_cur\n"
    )
    mapping = load(text)
    document = {"sku": "A", "cur": "eur", "p": "1.00", "c": "0.50", "c_cur": "EUR"}
    assert mapping.record(document).unit_cost == Money(50, "EUR")
    assert (
        held(mapping, {**document, "cur": "euro"}).reason
        == 'currency "EURO" is not a currency code like EUR (cur)'
    )
    assert (
        held(mapping, {**document, "c_cur": "USD"}).cause
        == "mapping:erp.price:unit_cost:two_currencies"
    )
    assert (
        held(mapping, {**document, "cur": None}).reason == 'list_price "1.00" has no currency (p)'
    )
    fixed = load(text.replace("cur | upper", "= USD").replace(" c_cur", ""))
    assert fixed.record(document).list_price == Money(100, "USD")
