"""Money is exact: G16, H36, H37, S19, S20, S38."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import MINOR_MAX, Money, MoneyError, exponent

CURRENCIES = st.sampled_from(["JPY", "USD", "EUR", "KWD"])
MINORS = st.integers(-(10**12), 10**12)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("43.97", "EUR", 4397),
        ("43.970", "EUR", 4397),
        ("-0.01", "EUR", -1),
        ("1000", "JPY", 1000),
        ("1.234", "KWD", 1234),
        ("1E+2", "USD", 10000),
        (7, "USD", 700),
        (Decimal("0.5"), "USD", 50),
        ("0", "USD", 0),
    ],
)
def test_h37_an_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("43.975", "EUR"),  # never a guess
        ("1.5", "JPY"),
        ("", "EUR"),
        ("abc", "EUR"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
        ("1e400", "EUR"),
        (0.1, "EUR"),
        (True, "EUR"),
        (None, "EUR"),
        ("1", "eur"),
        ("1", "EURO"),
        (10**15, "EUR"),
    ],
)
def test_what_is_not_an_amount_of_that_currency_is_refused(text: object, currency: str) -> None:
    with pytest.raises(MoneyError):
        Money.parse(text, currency)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("10.005", "EUR", 1001),  # 3 x 10.005: a float gives 30.03, half even 10.00
        ("10.015", "EUR", 1002),
        ("-10.005", "EUR", -1001),
        ("0.5", "JPY", 1),
        ("1.0005", "KWD", 1001),
    ],
)
def test_h36_computed_amounts_round_half_up(amount: str, currency: str, minor: int) -> None:
    assert Money.rounded(amount, currency).minor == minor


def test_s19_two_currencies_do_not_mix() -> None:
    euro, dollar = Money(100, "EUR"), Money(100, "USD")
    for mix in (
        lambda: euro + dollar,
        lambda: euro - dollar,
        lambda: euro < dollar,
        lambda: Money.total([euro, dollar], "EUR"),
    ):
        with pytest.raises(MoneyError, match="do not mix"):
            mix()
    assert euro != dollar


def test_s38_an_amount_beyond_any_document_is_refused() -> None:
    with pytest.raises(MoneyError, match="beyond any real document"):
        Money(MINOR_MAX, "EUR") + Money(1, "EUR")


def test_money_is_written_with_its_currencys_digits() -> None:
    assert [str(Money(5, c)) for c in ("JPY", "USD", "KWD")] == ["5 JPY", "0.05 USD", "0.005 KWD"]
    assert [exponent(c) for c in ("JPY", "USD", "KWD", "EUR")] == [0, 2, 3, 2]
    assert not Money.zero("EUR")
    assert -Money(5, "EUR") * 3 == Money(-15, "EUR")


@given(MINORS, CURRENCIES, st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
def test_h37_a_split_sums_exactly_and_is_fair(
    minor: int, currency: str, weights: list[int]
) -> None:
    whole = Money(minor, currency)
    parts = whole.allocate(weights)
    assert len(parts) == len(weights)
    assert Money.total(parts, currency) == whole
    total = sum(weights) or len(weights)
    for part, weight in zip(parts, weights if sum(weights) else [1] * len(weights), strict=True):
        assert abs(part.minor * total - minor * weight) < total  # less than one minor unit off
        assert part.minor == 0 or (part.minor > 0) == (minor > 0)
    assert whole.allocate(weights) == parts


@pytest.mark.parametrize(
    ("minor", "weights", "parts"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (5, [0, 0], [3, 2]),
        (5, [0, 7], [0, 5]),
        (1, [1, 2], [0, 1]),
        (0, [3, 4], [0, 0]),
    ],
)
def test_a_tie_goes_to_the_earlier_line(minor: int, weights: list[int], parts: list[int]) -> None:
    assert [part.minor for part in Money(minor, "EUR").allocate(weights)] == parts


@pytest.mark.parametrize("weights", [[], [-1, 2]])
def test_a_split_without_weights_is_refused(weights: list[int]) -> None:
    with pytest.raises(MoneyError):
        Money(1, "EUR").allocate(weights)


@given(MINORS, CURRENCIES)
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(str(money.amount), currency) == money
