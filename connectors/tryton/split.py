"""A channel's amounts as document lines that Tryton adds up to the same cent. Pure.

Tryton takes net unit prices (four decimals), computes each line's amount, then one
tax per group of lines with the same taxes, rounded half to even, per document or per
line. A channel has its own order of rounding, and often prices with tax inside. So:

1. what the buyer paid for a line, less the tax in it, is the line's net amount;
2. where tax is inside the price the nets are ours to choose, and are moved by a cent
   until net + Tryton's tax gives what the buyer paid;
3. what cannot be reached (net + 18 % skips some totals) or must not be changed (prices
   shown without tax) is left over, and becomes one named rounding line.

Nothing here decides whether the rest is small enough: the caller knows the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Literal

from core.money import exponent

Rounding = Literal["document", "line"]
#: Cents to try around the first guess: net + tax never skips more than one at a time.
NUDGES_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of the sale: `net` for all `quantity` units, taxed at `rates`, in minor units.

    `taxes` are the ids that Tryton groups by. `paid` is what the buyer paid for it, with
    our tax. `free` says that `net` may move.
    """

    item: str
    quantity: int
    net: int
    paid: int
    taxes: tuple[int, ...] = ()
    rates: tuple[Decimal, ...] = ()
    free: bool = False


@dataclass(frozen=True, slots=True)
class Priced:
    """So many units at one price that Tryton's own multiplication turns into the right amount."""

    quantity: int
    unit_price: Decimal


def tie(parts: Sequence[Part], currency: str, rounding: Rounding, digits: int) -> list[Part]:
    """The same parts with the free nets moved so that Tryton's total comes closest to `paid`."""
    tied = list(parts)
    for members in _groups(tied, rounding):
        free = [index for index in members if tied[index].free]
        if not free:
            continue
        paid = sum(tied[index].paid for index in members)
        # The largest line carries the cent: nobody sees it there.
        heavy = max(free, key=lambda index: tied[index].net)
        start = tied[heavy]
        best = abs(_gross([tied[index] for index in members], currency, digits) - paid)
        for nudge in _nudges():
            if best == 0:
                break
            moved = replace(start, net=start.net + nudge)
            trial = [moved if index == heavy else tied[index] for index in members]
            off = abs(_gross(trial, currency, digits) - paid)
            if moved.net >= 0 and off < best:
                best, tied[heavy] = off, moved
    return tied


def expected_total(parts: Sequence[Part], currency: str, rounding: Rounding, digits: int) -> int:
    """What Tryton will say, in minor units."""
    groups = _groups(parts, rounding)
    return sum(_gross([parts[index] for index in members], currency, digits) for members in groups)


def prices(net: int, quantity: int, currency: str, digits: int) -> list[Priced]:
    """Unit prices for a net amount: one where `digits` decimals suffice, else two exact ones.

    1000 pieces for 333.33: 0.3333 x 1000 is 333.30. Then some pieces cost a cent more than
    the others, and the sum is right to the cent whatever the quantity.
    """
    step = Decimal(1).scaleb(-digits)
    whole = Decimal(net).scaleb(-exponent(currency))
    price = (whole / quantity).quantize(step, rounding=ROUND_HALF_UP)
    if _rounded(price * quantity, currency) == net:
        return [Priced(quantity, price)]
    low, dear = divmod(net, quantity)
    cheap = Priced(quantity - dear, Decimal(low).scaleb(-exponent(currency)))
    return [cheap, Priced(dear, Decimal(low + 1).scaleb(-exponent(currency)))]


def _nudges() -> list[int]:
    return [sign * step for step in range(1, NUDGES_MAX + 1) for sign in (1, -1)]


def _groups(parts: Sequence[Part], rounding: Rounding) -> list[list[int]]:
    """Lines whose tax is rounded together: same taxes per document, else each line alone."""
    if rounding == "line":
        return [[index] for index in range(len(parts))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, part in enumerate(parts):
        groups.setdefault(part.taxes, []).append(index)
    return list(groups.values())


def _gross(parts: Sequence[Part], currency: str, digits: int) -> int:
    """Net and tax of lines with the same rates, exactly as Tryton computes them."""
    total = sum(part.net for part in parts)
    base = Decimal(0)
    for part in parts:
        for priced in prices(part.net, part.quantity, currency, digits):
            base += priced.unit_price * priced.quantity
    return total + sum(_rounded(base * rate, currency) for rate in parts[0].rates)


def _rounded(amount: Decimal, currency: str) -> int:
    """Half to even: Tryton's own rule. Half up would be a cent off once in a while."""
    scaled = amount.scaleb(exponent(currency))
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
