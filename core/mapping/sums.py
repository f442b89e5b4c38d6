"""The steps that reckon: exact, or held. No expression language, four verbs and units by a word."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from core.mapping.steps import WHOLE_MAX, Raw, StepError, Table, choose, money, number
from core.money import Money, MoneyError


def times(value: Any, factor: Raw) -> Any:
    """2 cases of 12 are 24; an amount a piece by the pieces. Null stays null."""
    exact = number(factor)
    return None if value is None or exact is None else _scaled(value, Fraction(exact))


def per(value: Any, divisor: Raw) -> Any:
    """An amount of a line by its units. What does not divide evenly is held, never rounded."""
    exact = number(divisor)
    if value is None or exact is None:
        return None
    if not exact:
        raise StepError(value, "cannot be divided by 0", "by_zero")
    try:
        return _scaled(value, 1 / Fraction(exact))
    except StepError:
        raise StepError(value, f"does not divide evenly by {exact:f}", "uneven") from None


def plus(value: Any, other: Raw) -> Any:
    """What is not there adds nothing."""
    return value if value is None or other is None else _sum(value, other, 1)


def minus(value: Any, other: Raw) -> Any:
    return value if value is None or other is None else _sum(value, other, -1)


def units(value: Any, word: Raw, table: Table) -> Any:
    """So many of theirs as pieces: the table says how many pieces one of theirs has."""
    if value is None:
        return None
    if word is None:
        raise StepError(None, "has no unit", "no_unit")
    return times(value, choose(word, table))


def _sum(value: Any, other: Raw, sign: int) -> Any:
    if isinstance(value, Money):
        amount = other if isinstance(other, Money) else money(other, value.currency)
        assert amount is not None
        return value + (amount if sign > 0 else -amount)
    exact = number(other)
    assert exact is not None
    return _as(value, Fraction(value) + sign * Fraction(exact))


def _scaled(value: Any, factor: Fraction) -> Any:
    if not isinstance(value, Money):
        return _as(value, Fraction(value) * factor)
    minor = value.minor * factor
    if minor.denominator != 1:
        raise StepError(value, "is no whole number of its smallest coin then", "uneven")
    try:
        return Money(int(minor), value.currency)
    except MoneyError as error:
        raise StepError(value, f"is refused: {error}", "not_amount") from None


def _as(value: Any, result: Fraction) -> Any:
    """In the type of the value: a whole number stays one, or is held."""
    if isinstance(value, int):
        if result.denominator != 1 or abs(result) > WHOLE_MAX:
            raise StepError(value, "is no whole number then", "not_whole")
        return int(result)
    exact = Decimal(result.numerator) / Decimal(result.denominator)
    if Fraction(exact) != result:
        raise StepError(value, "has no exact decimal then", "uneven")
    return exact
