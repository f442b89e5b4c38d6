"""Money: integer minor units with the currency inside the type (G16, S19).

Two currencies cannot be added, a float cannot become money, and rounding
happens only where a caller names it. Exponents are ISO 4217's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import total_ordering

_NO_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())
_THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
#: Largest amount a document may carry; a feed that says more is broken, not rich (S38).
MINOR_MAX = 10**15


class MoneyError(ValueError):
    """The text is not an amount of that currency; says what was seen and why."""


def exponent(currency: str) -> int:
    """Digits after the point: JPY 0, USD 2, KWD 3."""
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount. `minor` may be negative (a refund, a discount posted as a line)."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise MoneyError(f"{self.currency!r} is not an ISO 4217 currency code")
        if abs(self.minor) > MINOR_MAX:
            raise MoneyError(f"an amount of {self.minor} minor units is beyond any real document")

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(0, currency)

    @classmethod
    def parse(cls, amount: str | int | Decimal, currency: str) -> Money:
        """Exact or refused: "43.97" EUR is 4397; "43.975" EUR is an error, never a guess."""
        scaled = _decimal(amount).scaleb(exponent(currency))
        if scaled != scaled.to_integral_value():
            raise MoneyError(f"{amount} has more decimals than {currency} allows")
        return cls(int(scaled), currency)

    @classmethod
    def rounded(cls, amount: str | int | Decimal, currency: str) -> Money:
        """Half up to the currency's own digits; only for computed amounts, never for read ones."""
        scaled = _decimal(amount).scaleb(exponent(currency))
        return cls(int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP)), currency)

    @classmethod
    def total(cls, amounts: Iterable[Money], currency: str) -> Money:
        result = cls.zero(currency)
        for amount in amounts:
            result += amount
        return result

    @property
    def amount(self) -> Decimal:
        """The decimal in major units, with the currency's own number of digits."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def allocate(self, weights: Sequence[int]) -> list[Money]:
        """Split by largest remainder: parts sum exactly to the whole (H37).

        Weights are non-negative; all zero means an even split. Ties go to the
        earlier line, so the same document always splits the same way.
        """
        if not weights or any(weight < 0 for weight in weights):
            raise MoneyError("a split needs at least one weight, none negative")
        shares = list(weights) if sum(weights) else [1] * len(weights)
        whole = sum(shares)
        sign = -1 if self.minor < 0 else 1
        floors = [abs(self.minor) * share // whole for share in shares]
        rests = [abs(self.minor) * share % whole for share in shares]
        order = sorted(range(len(shares)), key=lambda index: (-rests[index], index))
        for index in order[: abs(self.minor) - sum(floors)]:
            floors[index] += 1
        return [Money(sign * part, self.currency) for part in floors]

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise MoneyError(f"{self.currency} and {other.currency} do not mix")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __mul__(self, units: int) -> Money:
        return Money(self.minor * units, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __bool__(self) -> bool:
        return self.minor != 0

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


def _decimal(amount: str | int | Decimal) -> Decimal:
    if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
        raise MoneyError(f"{amount!r} is not an amount")
    try:
        value = Decimal(amount)
    except InvalidOperation:
        raise MoneyError(f"{amount!r} is not an amount") from None
    if not value.is_finite():
        raise MoneyError(f"{amount!r} is not an amount")
    return value
