"""What may stand behind a `|`: a closed list, each step small and exact.

Null in, null out. A value a step cannot take exactly raises StepError, which
becomes a Hold that names the field, the path and the value (T9: no templates,
no expressions, no regex, no attribute access from an operator's text).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from core.money import Money, MoneyError, exponent

Raw = Any  # a decoded value of theirs: str, int, Decimal, bool, list, dict, None


class StepError(Exception):
    """The value is not what the step needs; `what` continues "payment "X" …"."""

    def __init__(self, value: Raw, what: str, code: str, *, table: Table | None = None) -> None:
        super().__init__(what)
        self.value = value
        self.what = what
        self.code = code
        self.table = table


class Ignored(Exception):
    """A choices table says `ignore` for this word."""


# ---------------------------------------------------------------- text


def text(value: Raw) -> str | None:
    """Text as it came; whole and decimal numbers digit for digit (an id is text to us)."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, str):  # a word of a closed list of ours
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    raise StepError(value, "is not text", "not_text")


def texts(value: Raw) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise StepError(value, "is not a list of texts", "not_list")
    return tuple(word for each in value if (word := text(each)) is not None)


def text_or(value: Raw, instead: str | None) -> str | None:
    return instead if (word := text(value)) is None else word


def need(value: Any) -> Any:
    if value is None:
        raise StepError(None, "is missing", "missing")
    return value


def need_full(value: Any) -> Any:
    """Required by the operator: an empty text or list is missing too."""
    if value is None or value in ("", ()):
        raise StepError(None, "is missing", "missing")
    return value


def filled(words: dict[str, str | None]) -> dict[str, str]:
    return {name: word for name, word in words.items() if word is not None}


def members(value: Raw) -> list[Raw]:
    """What `each` walks: a list, nothing for null, one object for itself."""
    if type(value) is list:
        return value
    if value is None:
        return []
    if type(value) is dict:
        return [value]
    raise StepError(value, "is not a list", "not_list")


def pairs(value: Raw) -> list[Raw]:
    """What `keyed` walks: each name of a map with what stands under it."""
    if value is None:
        return []
    if type(value) is dict:
        return [{"key": name, "value": each} for name, each in value.items()]
    raise StepError(value, "is not a map of names", "not_map")


def says(value: Raw, word: str) -> bool:
    """skip_when PATH is WORD."""
    return not isinstance(value, list | dict) and value is not None and _word(value) == word


def says_one(value: Raw, words: tuple[str, ...]) -> bool:
    """skip_when PATH is one of WORD, WORD."""
    return any(says(value, word) for word in words)


def is_zero(value: Raw) -> bool:
    """skip_when PATH is zero: 0 however it is written, and nothing at all."""
    if value is None or value == "":
        return True
    if isinstance(value, bool | list | dict):
        return False
    try:
        return number(value) == 0
    except StepError:
        return False


def trim(value: Raw) -> str | None:
    return None if (word := text(value)) is None else word.strip()


def upper(value: Raw) -> str | None:
    return None if (word := text(value)) is None else word.upper()


def lower(value: Raw) -> str | None:
    return None if (word := text(value)) is None else word.lower()


def empty_to_none(value: Raw) -> Raw:
    if isinstance(value, str):
        return value if value.strip() else None
    return None if value in ([], {}, ()) else value


def sku(value: Raw) -> str | None:
    """Outer blanks go, letter case stays; an invisible character inside is a wrong SKU (S5)."""
    word = value.strip() if type(value) is str else trim(value)
    if not word:
        return None
    if not word.isprintable():
        raise StepError(value, "holds a character that cannot be seen", "invisible")
    return word


def false_to_none(value: Raw) -> Raw:
    """Some systems write false for "there is nothing"."""
    return None if value is False else value


def lookup(value: Raw, rows: Raw, key: str, name: str) -> Raw:
    """Of another list of the same document, the entry whose `key` is this value gives `name`.

    For what is said once and meant on every line: the jurisdiction of a tax rate. Where
    nothing has the key there is nothing to say.
    """
    if value is None or type(rows) is not list:
        return None
    if len(rows) > LOOKED_MAX:  # each line walks them: a hostile document would take for ever
        raise StepError(value, f"is looked for in more than {LOOKED_MAX} entries", "too_many")
    word = _word(value)
    return next(
        (row.get(name) for row in rows if type(row) is dict and says(row.get(key), word)), None
    )


def join(value: Raw, separator: str) -> str | None:
    if value is None:
        return None
    return separator.join(word for word in texts(value) if word)


# ---------------------------------------------------------------- numbers


#: Entries `lookup` goes through.
LOOKED_MAX = 1000
#: What the decimal module keeps exact; more digits are a broken feed.
DIGITS_MAX = 28
WHOLE_MAX = 2**63 - 1


def number(value: Raw) -> Decimal | None:
    if value is None:
        return None
    if type(value) is Decimal:
        return _bounded(value, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(value, Decimal(value))
    if isinstance(value, str) and _plain_number(value):
        try:
            return _bounded(value, Decimal(value.strip()))
        except InvalidOperation:
            pass
    raise StepError(value, "is not a number", "not_number")


def _bounded(value: Raw, exact: Decimal) -> Decimal:
    if len(str(exact)) > DIGITS_MAX or abs(exact.adjusted()) > DIGITS_MAX:
        raise StepError(value, f"has more than {DIGITS_MAX} digits", "too_long")
    return exact


def _plain_number(value: str) -> bool:
    """Digits, one sign, one point: 1,299.00 and 1e3 are for a person to judge."""
    return (
        value.isascii()
        and len(value) <= 2 * DIGITS_MAX
        and not set(value.strip()) - set("0123456789.-+")
    )


def whole(value: Raw) -> int | None:
    if type(value) is int and -WHOLE_MAX <= value <= WHOLE_MAX:
        return value
    if value is None:
        return None
    try:
        exact = number(value)
    except StepError:
        exact = None
    if exact is None or exact != exact.to_integral_value() or abs(exact) > WHOLE_MAX:
        raise StepError(value, "is not a whole number", "not_whole")
    return int(exact)


def percent(value: Raw) -> Decimal | None:
    """19 is 0.19: our rates are fractions."""
    return None if (rate := number(value)) is None else rate.scaleb(-2)


def as_percent(value: Decimal | int | None) -> Decimal | None:
    """Outgoing: our fraction 0.19 as the 19 of whoever counts in hundredths."""
    return None if value is None else Decimal(value).scaleb(2) + Decimal(0)  # 100, not 1E+2


def total(value: Raw) -> Decimal | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise StepError(value, "is not a list of numbers", "not_list")
    return sum((part for each in value if (part := number(each)) is not None), Decimal(0))


def negate(value: Any) -> Any:
    return None if value is None else -value


def absolute(value: Any) -> Any:
    """Works for money too: a discount posted as a negative line."""
    if value is None:
        return None
    return -value if (value.minor if isinstance(value, Money) else value) < 0 else value


# ---------------------------------------------------------------- money


def money(value: Raw, currency: str | None) -> Money | None:
    """Exact in the currency, or held: 43.975 EUR is nobody's price (G16)."""
    if value is None:
        return None
    if currency is None:
        raise StepError(value, "has no currency", "no_currency")
    try:
        if type(value) is str and value.isascii():  # "43.97": most amounts there are
            head, _, tail = value.partition(".")
            digits, short = head + tail, exponent(currency) - len(tail)
            if digits.isdigit() and len(digits) <= 15 and short >= 0:
                return Money(int(digits + "0" * short), currency)
        exact = number(value)
        assert exact is not None
        return Money.parse(exact, currency)
    except MoneyError as error:
        raise StepError(value, f"is refused: {error}", "not_amount") from None


def minor(value: Raw, currency: str | None) -> Money | None:
    """Whole minor units: 4397 EUR is 43.97."""
    units = whole(value)
    if units is None:
        return None
    if currency is None:
        raise StepError(value, "has no currency", "no_currency")
    try:
        return Money(units, currency)
    except MoneyError as error:
        raise StepError(value, f"is refused: {error}", "not_amount") from None


def currency_code(value: str | None) -> str | None:
    if value is None or (len(value) == 3 and value.isascii() and value.isupper()):
        return value
    raise StepError(value, "is not a currency code like EUR", "not_currency")


def same_currency(amount: Money | None, currency: str) -> Money | None:
    """One document, one currency; a second one inside is held, never added (S19)."""
    if amount is not None and amount.currency != currency:
        raise StepError(
            amount.currency, f"is another currency than the record's {currency}", "two_currencies"
        )
    return amount


# ---------------------------------------------------------------- words, flags, lists


@dataclass(frozen=True, slots=True)
class Table:
    """A choices table, its words already in the type of the field it fills."""

    name: str
    words: Mapping[str, Any]
    otherwise: Any
    ignored: frozenset[str]
    holds: bool  # whether an unknown word waits for a person
    ignores: bool  # whether an unknown word is ignored
    allowed: tuple[str, ...] = ()  # the closed list of words of ours, where there is one


def choose(value: Raw, table: Table) -> Any:
    if value is None:
        return None
    word = _word(value)
    if word in table.words:
        return table.words[word]
    if word in table.ignored or (table.ignores and not table.holds):
        raise Ignored
    if table.holds:
        raise StepError(
            value, f"is not in choices.{table.name}", f"choices.{table.name}", table=table
        )
    return table.otherwise


def _word(value: Raw) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    word = text(value)
    assert word is not None
    return word


def flag(value: Raw) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, str | int) and str(value).strip().lower() in known:
        return known[str(value).strip().lower()]
    raise StepError(value, "is neither true nor false; use choose", "not_flag")


def contains(value: Raw, word: str) -> bool | None:
    """A list that has the word as a member, or a text that has it inside."""
    if value is None:
        return None
    if isinstance(value, str):
        return word in value
    if isinstance(value, list | tuple):
        return any(not isinstance(each, list | dict) and str(each) == word for each in value)
    raise StepError(value, "is neither a text nor a list", "not_list")


def first(value: Raw) -> Raw:
    return _end(value, 0)


def last(value: Raw) -> Raw:
    return _end(value, -1)


def _end(value: Raw, index: int) -> Raw:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise StepError(value, "is not a list", "not_list")
    return value[index] if value else None


def default(value: Any, instead: Any) -> Any:
    return instead if value is None else value


# ---------------------------------------------------------------- outgoing only


def decimal_text(value: Money | None) -> str | None:
    """Money as "43.97", with the currency's own digits."""
    return None if value is None else str(value.amount)


def amount(value: Money | None) -> Decimal | None:
    """Money as the JSON number 43.97."""
    return None if value is None else value.amount


def minor_units(value: Money | None) -> int | None:
    return None if value is None else value.minor


def currency_of(value: Money | None) -> str | None:
    return None if value is None else value.currency


def bare(value: Any) -> Any:
    """skip_when PATH is empty: false and 0 are something."""
    return value is None or value in ("", (), [], {})


def kept(body: dict[str, Any]) -> dict[str, Any]:
    """What we do not know is not said: no nulls in a body of ours."""
    return {name: value for name, value in body.items() if value is not None}


def kept_inside(body: dict[str, Any]) -> dict[str, Any] | None:
    return kept(body) or None


def some(value: list[Any]) -> list[Any] | None:
    return value or None


def as_list(value: Any) -> list[Any] | None:
    return None if value is None else list(value)


def say(value: Any) -> str | None:
    """Text for them: numbers digit for digit, flags as true and false."""
    if value is None:
        return None
    return _word(value)
