"""The true state of the shop the fake pretends to be, and what may happen in it.

`available` falls at checkout and `committed` rises; both leave `on_hand` alone
until a parcel is fulfilled. Stamps are whole seconds, as Shopify's are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.money import Money


class SoldOut(Exception):
    """The checkout refuses: fewer units are available than asked for."""


@dataclass(slots=True, kw_only=True)
class Level:
    available: int
    committed: int = 0
    updated_at: datetime


@dataclass(slots=True, kw_only=True)
class Variant:
    number: int
    sku: str
    title: str
    price: Money
    tracked: bool = True
    status: str = "ACTIVE"
    requires_shipping: bool = True
    #: By location number; a location without one does not stock the item.
    levels: dict[int, Level] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    title: str
    rate: str
    amount: Money
    channel_liable: bool | None = False


@dataclass(slots=True, kw_only=True)
class Line:
    number: int
    variant: Variant
    quantity: int
    current: int
    price: Money
    discounts: list[tuple[str, Money]]
    taxes: list[Tax]


@dataclass(slots=True, kw_only=True)
class ShippingLine:
    title: str
    price: Money
    discount: Money
    taxes: list[Tax]
    refunded: bool = False


@dataclass(slots=True, kw_only=True)
class FulfillmentLine:
    number: int
    line: Line
    total: int
    remaining: int


@dataclass(slots=True, kw_only=True)
class FulfillmentOrder:
    number: int
    location: int
    lines: list[FulfillmentLine]
    status: str = "OPEN"


@dataclass(slots=True, kw_only=True)
class Fulfillment:
    number: int
    name: str
    location: int
    tracking: dict[str, str | None]
    lines: list[tuple[Line, int]]
    status: str = "SUCCESS"


@dataclass(slots=True, kw_only=True)
class Order:
    number: int
    name: str
    created_at: datetime
    updated_at: datetime
    currency: str
    lines: list[Line]
    shipping: list[ShippingLine]
    tax_included: bool
    financial: str
    gateways: list[str]
    ship_to: dict[str, str | None]
    email: str
    test: bool = False
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    fulfillment_orders: list[FulfillmentOrder] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)

    def total(self, *, now: bool) -> Money:
        """What the buyer owes: as sold, or what is left of it now."""
        total = Money.zero(self.currency)
        for line in self.lines:
            total += self.part(line, self._line_total(line), now=now)
        for one in self.shipping:
            if not (now and one.refunded):
                total += one.price - one.discount
                total += self._on_top(one.taxes)
        return total

    def part(self, line: Line, amount: Money, *, now: bool) -> Money:
        """The share of the units that are still there."""
        if not now or line.current == line.quantity:
            return amount
        return Money.rounded(amount.amount * line.current / line.quantity, self.currency)

    def _line_total(self, line: Line) -> Money:
        discounts = Money.total((amount for _, amount in line.discounts), self.currency)
        return line.price * line.quantity - discounts + self._on_top(line.taxes)

    def _on_top(self, taxes: Sequence[Tax]) -> Money:
        if self.tax_included:
            return Money.zero(self.currency)
        return Money.total((tax.amount for tax in taxes), self.currency)

    def unfulfilled(self, line: Line) -> int:
        """Units of a line that are still to leave; of what never ships, all of them."""
        if not line.variant.requires_shipping:
            return line.current
        rows = (row for one in self.fulfillment_orders for row in one.lines)
        return sum(row.remaining for row in rows if row.line is line)

    def fulfillment_word(self) -> str:
        shipped = sum(units for one in self.fulfillments for _, units in one.lines)
        wanted = sum(line.current for line in self.lines)
        if not shipped:
            return "UNFULFILLED"
        return "FULFILLED" if shipped >= wanted else "PARTIALLY_FULFILLED"


@dataclass(slots=True, kw_only=True)
class Shop:
    """One shop. `changes` are the webhook topics its last acts called for."""

    now: Callable[[], datetime]
    currency: str = "EUR"
    locations: dict[int, str] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    changes: list[tuple[str, Order]] = field(default_factory=list)
    last_number: int = 1000

    def number(self) -> int:
        self.last_number += 1
        return self.last_number

    def second(self) -> datetime:
        return self.now().replace(microsecond=0)

    def find(self, order: str) -> Order:
        """By name (#1001), number or gid."""
        wanted = order.rpartition("/")[2]
        for one in self.orders.values():
            if wanted in (one.name, one.name[1:], str(one.number)):
                return one
        raise KeyError(f"the fake shop has no order {order}")

    def touch(self, order: Order, *topics: str) -> None:
        order.updated_at = self.second()
        self.changes += [(topic, order) for topic in topics]

    # ------------------------------------------------------------ selling

    def checkout(self, wanted: Sequence[Mapping[str, Any]]) -> list[tuple[Variant, int, int]]:
        """Lower `available`, all or nothing; which location gave how much."""
        taken: list[tuple[Variant, int, int]] = []
        for row in wanted:
            variant, units = self.variants[str(row["sku"])], int(row["quantity"])
            for location, level in variant.levels.items():
                given = min(units, max(0, level.available)) if variant.tracked else units
                if given:
                    taken.append((variant, location, given))
                    units -= given
                    self._move(variant, location, -given)
            if units:
                for sold, location, given in taken:
                    self._move(sold, location, given)
                raise SoldOut(f"{variant.sku}: {units} more than the shop has")
        return taken

    def _move(self, variant: Variant, location: int, units: int) -> None:
        level = variant.levels[location]
        level.available += units
        level.committed -= units
        level.updated_at = self.second()

    def open_fulfillment(self, order: Order, taken: Sequence[tuple[Variant, int, int]]) -> None:
        """One fulfillment order per location, for the lines that are shipped at all."""
        by_place: dict[int, list[FulfillmentLine]] = {}
        missing = {line.number: line.quantity for line in order.lines}
        for variant, location, units in taken:
            left = units
            for line in order.lines:
                given = min(left, missing[line.number]) if line.variant is variant else 0
                missing[line.number] -= given
                left -= given
                if given and variant.requires_shipping:
                    row = FulfillmentLine(
                        number=self.number(), line=line, total=given, remaining=given
                    )
                    by_place.setdefault(location, []).append(row)
        order.fulfillment_orders = [
            FulfillmentOrder(number=self.number(), location=location, lines=lines)
            for location, lines in by_place.items()
        ]

    # ------------------------------------------------------------ afterwards

    def remove(self, order: Order, line: Line, units: int, *, restock: bool = True) -> None:
        """Take units that have not shipped out of the order."""
        line.current -= units
        for one in order.fulfillment_orders:
            for row in one.lines:
                drawn = min(units, row.remaining) if row.line is line else 0
                row.remaining -= drawn
                units -= drawn
                if drawn and restock:
                    self._move(line.variant, one.location, drawn)
                elif drawn:
                    line.variant.levels[one.location].committed -= drawn
            if not any(row.remaining for row in one.lines):
                one.status = "CLOSED"

    def fulfill(
        self,
        order: Order,
        picks: Sequence[tuple[FulfillmentOrder, FulfillmentLine, int]],
        tracking: dict[str, str | None],
    ) -> Fulfillment:
        for one, row, units in picks:
            row.remaining -= units
            level = row.line.variant.levels[one.location]
            level.committed -= units
            level.updated_at = self.second()
            one.status = "IN_PROGRESS" if any(r.remaining for r in one.lines) else "CLOSED"
        made = Fulfillment(
            number=self.number(),
            name=f"{order.name}.{len(order.fulfillments) + 1}",
            location=picks[0][0].location,
            tracking=tracking,
            lines=[(row.line, units) for _, row, units in picks],
        )
        order.fulfillments.append(made)
        self.touch(order, "orders/updated")
        return made


def tax_on(amount: Money, rate: str, *, included: bool) -> Money:
    part = Decimal(rate) / (1 + Decimal(rate)) if included else Decimal(rate)
    return Money.rounded(amount.amount * part, amount.currency)
