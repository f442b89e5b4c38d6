"""A slow and dumb answer to the one question of escrow: has every promised unit its own place?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

#: Where it may be shipped from, what one unit takes, how many units.
Want = tuple[frozenset[str], Mapping[str, int], int]
Stock = Mapping[tuple[str, str], int]


def fit_together(wants: Sequence[Want], stock: Stock) -> bool:
    """Tries every way to give every unit a place; for small numbers only."""
    if any(units < 0 for units in stock.values()):
        return False
    if not wants:
        return True
    (serves, needs, units), *rest = wants
    return any(fit_together(rest, left) for left in _ways(sorted(serves), needs, units, stock))


def _ways(
    places: Sequence[str], needs: Mapping[str, int], units: int, stock: Stock
) -> Iterator[Stock]:
    """What may be left of the stock when so many units were taken from these places."""
    if not units:
        yield stock
    if not units or not places:
        return
    first, *others = places
    most = min(stock.get((item, first), 0) // factor for item, factor in needs.items())
    for here in range(min(units, most), -1, -1):
        left = dict(stock)
        for item, factor in needs.items():
            if here:
                left[item, first] -= here * factor
        yield from _ways(others, needs, units - here, left)


def most_units(wants: Sequence[Want], stock: Stock, one: Want) -> int:
    """The most units of `one` that fit beside all the others; below 0 if not even none do."""
    serves, needs, _ = one
    units = -1
    while fit_together([*wants, (serves, needs, units + 1)], stock):
        units += 1
    return units
