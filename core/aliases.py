"""Stop 3 and 5: their words for items become ours, and ours become theirs. Pure.

The one place where a record is translated on its way in (`ours`), and a command on
its way out (`theirs`). A number that is no whole number of units is held, never
rounded (H44). A channel is told its own words by its own order, so nothing that
goes to one is translated back.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from core.errors import Hold
from core.items import Alias, Items
from core.model import (
    Ask,
    BookCreditNote,
    BookOrder,
    BookShipment,
    Cancellation,
    CancelOrder,
    FulfillOrder,
    Listing,
    Order,
    OrderLine,
    Price,
    QuantityLine,
    Record,
    Refund,
    Return,
    ReturnLine,
    Shipment,
    StockMovement,
    StockReading,
)
from core.money import Money
from core.network import Network

L = TypeVar("L", QuantityLine, ReturnLine)

# ------------------------------------------------------------------ theirs become ours


def ours(network: Network, system: str, record: Record) -> Record:
    """The same record about our items, in our units. Hold where that cannot be said."""
    items = network.items
    if isinstance(record, StockReading) and record.measured is not None:
        return _measured(network, system, record)
    if not items.renames(system):
        return record
    match record:
        case Order():
            return again(items, system, record)
        case StockReading():
            return _reading(record, items.named(system, record.sku))
        case StockMovement():
            alias = items.named(system, record.sku)
            return replace(record, sku=alias.sku, units=record.units * alias.factor)
        case Listing():
            sku = items.named(system, record.sku).sku
            return replace(record, sku=sku, their_sku=record.sku if record.sku != sku else "")
        case Price():
            return price_of(record, items.named(system, record.sku))
        case Shipment():
            return replace(
                record,
                lines=_quantities(items, system, record.lines),
                short=_quantities(items, system, record.short),
            )
        case Cancellation():
            return replace(record, lines=_quantities(items, system, record.lines))
        case Return():
            return replace(record, lines=_quantities(items, system, record.lines))
        case Refund():  # its units are those of the order's line, whatever they count as
            return replace(
                record,
                lines=tuple(
                    replace(line, sku=items.named(system, line.sku).sku) if line.sku else line
                    for line in record.lines
                ),
            )
        case _:
            return record


def again(items: Items, system: str, order: Order) -> Order:
    """An order by the aliases of now, also one that was taken by others before."""
    return replace(order, lines=tuple(_order_line(items, system, line) for line in order.lines))


def _order_line(items: Items, system: str, line: OrderLine) -> OrderLine:
    """Their word stays on the line where it differs: the channel will be told it."""
    word = line.their_sku or line.sku
    sku = items.named(system, word).sku
    return replace(line, sku=sku, their_sku=word if word != sku else "")


def _quantities(items: Items, system: str, lines: tuple[L, ...]) -> tuple[L, ...]:
    return tuple(_quantity(items, system, line) for line in lines)


def _quantity(items: Items, system: str, line: L) -> L:
    if not line.sku:
        return line
    alias = items.named(system, line.sku)
    return replace(line, sku=alias.sku, quantity=line.quantity * alias.factor)


def _reading(reading: StockReading, alias: Alias) -> StockReading:
    def units(count: int | None) -> int | None:
        return None if count is None else count * alias.factor

    return replace(
        reading,
        sku=alias.sku,
        on_hand=units(reading.on_hand),
        available=units(reading.available),
        allocated=units(reading.allocated),
    )


def _measured(network: Network, system: str, reading: StockReading) -> StockReading:
    """2.5 kg are 2500 of an item that is counted in grams, and no number of one that is not."""
    assert reading.measured is not None
    alias = network.items.named(system, reading.sku)
    exact = reading.measured * alias.factor
    if exact != exact.to_integral_value():
        raise Hold(
            f"{system} measures {_plain(reading.measured)} of {reading.sku!r}, which is "
            f"{_plain(exact)} of {alias.sku}: no whole number of units",
            cause=f"units:{system}:{reading.sku}",
            next_step="Give its alias a factor that makes whole units of it (1000 for kg, if you "
            "count grams), then `truecount reload`.",
        )
    whole = replace(_reading(reading, alias), measured=None)
    source = network.sources.get(system)
    if source is not None and source.basis == "available":
        return replace(whole, available=int(exact))
    return replace(whole, on_hand=int(exact))


def _plain(number: Decimal) -> str:
    return f"{number:f}"


def price_of(price: Price, alias: Alias) -> Price:
    """The price of a case is no price of one, unless it divides to the minor unit."""

    def of_one(money: Money | None) -> Money | None:
        if money is None:
            return None
        if money.minor % alias.factor:
            raise Hold(
                f"{alias.system} prices {alias.their_sku!r} at {money} for {alias.factor} of "
                f"{alias.sku}, and that is no whole amount for one",
                cause=f"units:{alias.system}:{alias.their_sku}",
                next_step="Give the price for one unit there, or correct the factor in items.yaml.",
            )
        return Money(money.minor // alias.factor, money.currency)

    return replace(
        price,
        sku=alias.sku,
        list_price=of_one(price.list_price),
        unit_cost=of_one(price.unit_cost),
    )


# ------------------------------------------------------------------ ours become theirs


def theirs(items: Items, system: str, ask: Ask) -> Ask:
    """The same command in the words and units of the system it goes to; Hold as `whole`."""
    if not items.renames(system) or system in items.many_words:
        return ask
    match ask:
        case FulfillOrder() | BookShipment() | CancelOrder():
            return replace(ask, lines=tuple(_told(items, system, line) for line in ask.lines))
        case BookOrder():
            lines = tuple(_booked(items, system, line) for line in ask.order.lines)
            return replace(ask, order=replace(ask.order, lines=lines))
        case BookCreditNote():
            notes = tuple(
                replace(
                    line,
                    sku=items.word(system, line.sku).their_sku,
                    quantity=whole(items, system, line.sku, line.quantity),
                )
                for line in ask.lines
            )
            return replace(ask, lines=notes)
        case _:
            return ask


def whole(items: Items, system: str, sku: str, quantity: int) -> int:
    """So many of ours in units of theirs; Hold if they are no whole number of them (H44)."""
    alias = items.word(system, sku)
    if quantity % alias.factor:
        raise Hold(
            f"{system} counts {sku} by {alias.factor} as {alias.their_sku!r}, and {quantity} are "
            "no whole number of them",
            cause=f"units:{system}:{sku}",
            next_step=f"Order a multiple of {alias.factor}, or correct the factor in items.yaml; "
            "then `truecount reload`.",
        )
    return quantity // alias.factor


def _told(items: Items, system: str, line: QuantityLine) -> QuantityLine:
    if not line.sku:
        return line
    units = whole(items, system, line.sku, line.quantity)
    return replace(line, sku=items.word(system, line.sku).their_sku, quantity=units)


def _booked(items: Items, system: str, line: OrderLine) -> OrderLine:
    """Fewer, larger units at a price that is larger by the same factor: the sum stays."""
    alias = items.word(system, line.sku)
    units = whole(items, system, line.sku, line.quantity)
    price = line.unit_price * alias.factor
    assert price * units == line.unit_price * line.quantity, "the sum of a line has changed"
    return replace(line, sku=alias.their_sku, their_sku="", quantity=units, unit_price=price)
