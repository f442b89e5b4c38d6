"""Stop 4, decided: what an order may do next. Pure.

    captured ──▶ held ◀──▶ released ──▶ shipped
        └───────────▶─────────▲
    any state before shipped ──▶ cancelled     (after release the warehouse decides, S15)
    captured ──▶ shipped                       (nothing of it needs a warehouse)

Events come in any order and any number of times; the newest revision of the
owner decides, an older one is counted and changes nothing (S10, H6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from core.model import Address, Collector, Discount, Mask, Order, OrderLine, Payment, Tax
from core.money import Money
from core.wording import plural


class State(StrEnum):
    CAPTURED = "captured"
    HELD = "held"
    RELEASED = "released"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


#: Payments that release nothing: not there yet, only a part, gone again.
_NOT_EARNED = (Payment.PENDING, Payment.PART, Payment.VOID, Payment.REFUNDED)

#: Causes that a person may decide about; the others need a fact. Money that does not tie is
#: never booked on anybody's word, but the goods may leave.
A_PERSON_MAY = ("payment:pending", "payment:part", "total_does_not_tie")

#: Which state may follow which; docs/ARCHITECTURE.md is checked against this table.
NEXT: dict[State, frozenset[State]] = {
    State.CAPTURED: frozenset({State.HELD, State.RELEASED, State.SHIPPED, State.CANCELLED}),
    State.HELD: frozenset({State.RELEASED, State.SHIPPED, State.CANCELLED}),
    State.RELEASED: frozenset({State.HELD, State.SHIPPED, State.CANCELLED}),
    State.SHIPPED: frozenset(),
    State.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """One reason why an order does not go on, in a shopkeeper's words."""

    cause: str
    reason: str
    next_step: str
    books: bool  # True: the ERP must wait as well, not only the warehouse
    #: What a person may decide: nothing, that it ships and the books go on waiting, or both.
    person: Literal["", "ships", "all"] = ""


def revision_key(revision: str) -> tuple[int, float, str]:  # an int orders as one, unrounded
    """Orders revisions of one owner: counters by value, instants by time, words by text.

    "…40Z" and "…40.5Z" compare wrongly as text, which is how an older order won.
    """
    if revision.isascii() and revision.isdigit():
        return (0, int(revision), "")  # never a float: 19 digits do not fit one
    try:
        at = datetime.fromisoformat(revision)
    except ValueError:
        return (2, 0, revision)
    # Without a zone it is the owner's own clock; ours, with its summer time, is not asked (G18).
    return (1, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(), "")


def is_stale(known: str, arriving: str) -> bool:
    """Strictly older than what we know. An equal one is applied again: it is the same."""
    return bool(known) and revision_key(arriving) < revision_key(known)


def document_total(order: Order) -> Money:
    """Lines + shipping + fees + tip + tax on top - discounts + the channel's own rounding."""
    zero = Money.zero(order.currency)
    total = zero
    for line in order.lines:
        total += line.unit_price * line.quantity
        for discount in line.discounts:
            total -= discount.amount
        if not order.tax_included:
            total += Money.total((tax.amount for tax in line.taxes), order.currency)
    for cut in order.discounts:
        total -= cut.amount
    total += (order.shipping_fee or zero) - (order.shipping_discount or zero)
    total += (order.other_fees or zero) + (order.tip or zero) + (order.rounding or zero)
    if not order.tax_included:
        beside = (*order.shipping_taxes, *order.fee_taxes)
        total += Money.total((tax.amount for tax in beside), order.currency)
    return total


def tax_total(order: Order, collector: Collector | None = None) -> Money:
    """All tax of the order, or only what one party remits."""
    chosen = (tax.amount for tax in all_taxes(order) if collector in (None, tax.collected_by))
    return Money.total(chosen, order.currency)


def all_taxes(order: Order) -> list[Tax]:
    """Of its lines, its shipping and its fees."""
    of_lines = [tax for line in order.lines for tax in line.taxes]
    return [*of_lines, *order.shipping_taxes, *order.fee_taxes]


def with_rounding(order: Order) -> Order:
    """The order as it is booked: what its parts miss its total by is its named rounding (G16)."""
    rounding = (order.rounding or Money.zero(order.currency)) + residue(order)
    return replace(order, rounding=rounding or None)


def with_shares(order: Order) -> Order:
    """Discounts of the whole order as discounts of its lines, by what each costs (H37).

    Largest remainder, the earlier line first: the shares come to the discount, each cent once. A
    discount of more than all lines stays what it is, and the document does not tie.
    """
    lines = list(order.lines)
    whole = []
    for cut in order.discounts:
        left = [_after_discounts(line) for line in lines]
        if not lines or cut.amount.minor > sum(left):
            whole.append(cut)
            continue
        shares = zip(lines, cut.amount.allocate(left), strict=True)
        lines = [_with_share(line, cut, share) for line, share in shares]
    return replace(order, lines=tuple(lines), discounts=tuple(whole))


def _after_discounts(line: OrderLine) -> int:
    """Minor units of a line that can still be taken off."""
    cuts = sum(cut.amount.minor for cut in line.discounts)
    return max(0, line.unit_price.minor * line.quantity - cuts)


def _with_share(line: OrderLine, cut: Discount, share: Money) -> OrderLine:
    if not share:
        return line
    return replace(line, discounts=(*line.discounts, replace(cut, amount=share)))


def residue(order: Order) -> Money:
    """What the channel's total says beyond our own addition; zero when the document ties."""
    return order.total - document_total(order)


def to_collect(order: Order) -> Money | None:
    """What the courier is to collect with the first parcel, gift cards taken off; None: nothing."""
    if order.payment is not Payment.COD:
        return None
    return order.total - (order.gift_cards or Money.zero(order.currency)) or None


def wanted(order: Order) -> dict[str, int]:
    """Units of each line that are to leave a warehouse; of a cancelled order none."""
    if order.cancelled_at is not None:
        return {}
    return {line.key: line.quantity for line in order.lines if line.shippable and line.quantity}


def wants_nothing(order: Order) -> bool:
    """Edited down to nothing: no unit of any line, and no money either."""
    units = sum(line.quantity for line in order.lines)
    return order.complete and not units and not order.total.minor


def goes_to(address: Address) -> Address | None:
    """What decides where a parcel goes; None where the channel does not say it (any more)."""
    place = replace(address, phone="", email="")
    return place if place.mask is Mask.CLEAR and place != Address() else None


def is_refunded(order: Order) -> bool:
    """All the money went back: what has not left by now is not to leave any more."""
    return order.complete and order.payment is Payment.REFUNDED


def lives(order: Order) -> bool:
    """Its channel wants something of it: it is not cancelled, refunded whole, or emptied."""
    return order.cancelled_at is None and not is_refunded(order) and not wants_nothing(order)


def blockers(
    order: Order,
    *,
    unknown_skus: Mapping[str, Sequence[str]],
    short_units: int,
    rounding_limit_minor: int,
) -> list[Blocker]:
    """Everything that keeps this order back. Empty: it may go on.

    `unknown_skus`: those nobody has named, each with known ones that are spelled alike.
    """
    found = [_unknown(sku, alike) for sku, alike in unknown_skus.items()]
    found += _money(order, rounding_limit_minor)
    found += _channel_says_wait(order)
    if short_units:
        found.append(
            Blocker(
                cause="short",
                reason=f"{plural(short_units, 'unit')} of this order"
                f" {'is' if short_units == 1 else 'are'} in stock nowhere that may ship it",
                next_step="Wait for stock, or cancel these units on the channel.",
                books=False,
            )
        )
    return found


def _unknown(sku: str, alike: Sequence[str]) -> Blocker:
    near = " and ".join(repr(one) for one in alike)
    but = f"; {near}, which differs only by case or blanks, is known" if alike else ""
    return Blocker(
        cause=f"unknown_sku:{sku}",
        reason=f"no warehouse and no ERP knows the SKU {sku!r}{but}",
        next_step="Create the item in the warehouse, correct the SKU on the channel, or say in "
        "items.yaml which item it is.",
        books=True,
    )


def _money(order: Order, limit: int) -> list[Blocker]:
    if not order.complete:
        return []
    difference = residue(order)
    if abs(difference.minor) <= limit:
        return []
    return [
        Blocker(
            cause="total_does_not_tie",
            reason=(
                f"the channel's total is {order.total}, its lines, tax, shipping and discounts "
                f"add up to {document_total(order)}: {difference} is unexplained"
            ),
            next_step="Compare the channel's order with `truecount trace`; correct the mapping."
            " To ship it all the same, unbooked: `truecount release ORDER`.",
            books=True,
            person="ships",
        )
    ]


def _channel_says_wait(order: Order) -> list[Blocker]:
    if order.test:
        return [
            Blocker(
                cause="test_order",
                reason="the channel marks this as a test order: kept, never shipped or booked",
                next_step="Nothing to do. Cancel it on the channel when the test is over.",
                books=True,
            )
        ]
    # Without a parcel nothing else says that the money of an authorized order is earned.
    no_parcel = order.complete and not wanted(order)
    if order.payment in _NOT_EARNED or (no_parcel and order.payment is not Payment.PAID):
        return [
            Blocker(
                cause=f"payment:{order.payment}",
                reason=f"the channel says the payment is {order.payment}",
                next_step="Nothing to do: it continues when the channel reports the payment.",
                books=True,
                person="all" if order.payment in (Payment.PENDING, Payment.PART) else "",
            )
        ]
    if not order.complete or not order.shippable:
        return [
            Blocker(
                cause="channel_holds",
                reason="the channel does not release this order for shipping yet",
                next_step="Nothing to do: it continues when the channel releases it.",
                books=not order.complete,
            )
        ]
    return []
