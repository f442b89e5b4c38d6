"""What a refund comes to in the books: which lines, how much of them, which tax of it. Pure.

Every share is one of what is *left* of the order as it was invoiced, so refunds of parts come to
exactly the whole, each cent once (S17, S20, H37). What cannot be is held, never guessed: more
than was paid, a line that was never sold, a minus, another currency.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from core.errors import Hold
from core.model import (
    BookCreditNote,
    Collector,
    CreditLine,
    Order,
    OrderLine,
    Refund,
    RefundLine,
    Tax,
)
from core.money import Money

SHIPPING = "shipping"
FEES = "fees"
TIP = "tip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What a credit note says of a refund, beside who, when and of what."""

    total: Money
    lines: tuple[CreditLine, ...] = ()
    shipping: Money | None = None
    shipping_taxes: tuple[Tax, ...] = ()
    fees: Money | None = None
    fee_taxes: tuple[Tax, ...] = ()
    tip: Money | None = None
    rounding: Money | None = None  # of the total beyond its parts, named


@dataclass(slots=True)
class _Part:
    """One thing that was paid for, and what of it is left to give back."""

    kind: str  # line | shipping | fees | tip
    left: int
    taxes: list[Tax]
    line: OrderLine | None = None
    units: int = 0
    taken: list[CreditLine] = field(default_factory=list)

    def gross(self, order: Order) -> int:
        return self.left + (0 if order.tax_included else _minor(self.taxes))


def credit(
    order: Order,
    refund: Refund,
    before: Sequence[BookCreditNote],
    *,
    system: str,
    limit: int,
    of: Collection[str] = (),
) -> Credit:
    """The credit of a refund of `order` as it was invoiced, after those `before`.

    `limit`: minor units a document may differ from its parts. `of`: the keys of the lines that
    money for nothing in particular is for; none means all. Hold where it cannot be credited.
    """
    _must_be(order, refund, system)
    _must_be_paid(order, refund, before, system)
    parts = _parts(order)
    for note in before:
        _give_back(parts, note)
    for line in refund.lines:
        part = _meant(parts, line, refund, system)
        _take(part, line.quantity, line.amount, line.taxes, refund, system, limit)
    for kind, amount, taxes in (
        (SHIPPING, refund.shipping, refund.shipping_taxes),
        (FEES, refund.fees, refund.fee_taxes),
        (TIP, refund.tip, ()),
    ):
        if amount:
            part = next(one for one in parts if one.kind == kind)
            _take(part, 0, amount, taxes, refund, system, limit)
    minor = _adjustment(refund)
    if refund.total == refundable(order, before) and order.rounding:
        limit += abs(order.rounding.minor)  # of all that is left, and no part of anything
        minor = sum(max(0, part.gross(order)) for part in parts) if minor else 0
    _spread(order, _for(order, parts, minor, of), minor)
    made = _made(parts, refund.total)
    _must_tie(order, refund, made, system, limit)
    rounding = refund.total - gross(order, made)
    return replace(made, rounding=rounding or None)


def worth(order: Order, refund: Refund, before: Sequence[BookCreditNote], *, system: str) -> Money:
    """What the lines of a refund come to, whatever its total says: of goods that are exchanged."""
    nothing = replace(refund, total=Money.zero(order.currency))
    anything = order.total.minor + 1  # what the total is is not asked
    return gross(order, credit(order, nothing, before, system=system, limit=anything))


def gross(order: Order, note: Credit | BookCreditNote) -> Money:
    """What the parts of a credit come to, tax included: its total but for the rounding."""
    amounts = [line.amount for line in note.lines]
    beside = (note.shipping, note.fees, note.tip)
    amounts += [amount for amount in beside if amount is not None]
    if not order.tax_included:
        amounts += [tax.amount for tax in _all_taxes(note)]
    return Money.total(amounts, order.currency)


def tax(note: Credit | BookCreditNote, collector: Collector | None = None) -> Money:
    """All tax that is credited, or only what one party remits."""
    chosen = (one.amount for one in _all_taxes(note) if collector in (None, one.collected_by))
    return Money.total(chosen, note.total.currency)


def _all_taxes(note: Credit | BookCreditNote) -> list[Tax]:
    of_lines = [one for line in note.lines for one in line.taxes]
    return [*of_lines, *note.shipping_taxes, *note.fee_taxes]


def refundable(order: Order, before: Sequence[BookCreditNote]) -> Money:
    """What of an invoiced order can still be given back."""
    return order.total - Money.total((note.total for note in before), order.currency)


# ------------------------------------------------------------------ what cannot be


def _must_be(order: Order, refund: Refund, system: str) -> None:
    said = list(_amounts(refund))
    others = sorted({money.currency for money in said} - {order.currency})
    if others:
        raise Hold(
            f"{system} refunds {others[0]} for order {order.number}, which is in {order.currency}",
            cause=_cause("currency", system, refund),
            next_step="Map the amounts of the order's own currency; the buyer's is a memo.",
        )
    units = [line.quantity for line in refund.lines]
    if any(money.minor < 0 for money in said) or any(count < 0 for count in units):
        raise Hold(
            f"{system} refunds a negative amount or quantity for order {order.number}",
            cause=_cause("negative", system, refund),
            next_step="Compare it with the channel; where it counts refunds with a minus, add "
            "`| absolute` in its mapping.",
        )


def _must_be_paid(
    order: Order, refund: Refund, before: Sequence[BookCreditNote], system: str
) -> None:
    left = refundable(order, before)
    if refund.total > left:
        raise Hold(
            f"{system} refunds {refund.total} for order {order.number}; of {order.total} invoiced "
            f"only {left} is left",
            cause=_cause("above_paid", system, refund),
            next_step="Compare the refunds on the channel with `truecount trace`; book what is "
            "beyond the invoice by hand.",
        )


def _meant(parts: Sequence[_Part], line: RefundLine, refund: Refund, system: str) -> _Part:
    """The line by its key; by its SKU one that still has the units, else the first of it."""
    own = [part for part in parts if part.line is not None and _is(part.line, line)]
    found = next((part for part in own if part.units >= line.quantity), None)
    if found is not None:
        return found
    what = line.sku or line.line or "a line it does not name"
    sold = sum(part.units for part in own)
    said = f"of which {sold} sold and not refunded yet" if own else "which was never sold in it"
    raise Hold(
        f"{system} refunds {line.quantity} of {what} of order {refund.order}, {said}",
        cause=_cause("never_sold", system, refund),
        next_step="Compare the refund with the order on the channel; correct the mapping, or book "
        "it by hand.",
    )


def _is(own: OrderLine, line: RefundLine) -> bool:
    return own.key == line.line if line.line else bool(line.sku) and own.sku == line.sku


def _must_tie(order: Order, refund: Refund, made: Credit, system: str, limit: int) -> None:
    parts = gross(order, made)
    difference = refund.total - parts
    if abs(difference.minor) > limit:
        raise Hold(
            f"{system} refunded {refund.total} of order {order.number}, its lines, tax and "
            f"shipping add up to {parts}: {difference} is unexplained",
            cause=_cause("does_not_tie", system, refund),
            next_step="Compare the channel's refund with its mapping; what is for nothing in "
            "particular is `adjustment`.",
        )


def _cause(what: str, system: str, refund: Refund) -> str:
    return f"refund_{what}:{system}:{refund.key}"


def _amounts(refund: Refund) -> Iterable[Money]:
    yield refund.total
    for line in refund.lines:
        if line.amount is not None:
            yield line.amount
        yield from (tax.amount for tax in line.taxes)
    yield from (tax.amount for tax in (*refund.shipping_taxes, *refund.fee_taxes))
    for money in (refund.shipping, refund.fees, refund.tip, refund.adjustment):
        if money is not None:
            yield money


# ------------------------------------------------------------------ what is left


def _parts(order: Order) -> list[_Part]:
    parts = []
    for line in order.lines:
        amount = line.unit_price * line.quantity
        for discount in line.discounts:
            amount -= discount.amount
        parts.append(_Part("line", amount.minor, list(line.taxes), line, line.quantity))
    zero = Money.zero(order.currency)
    shipping = (order.shipping_fee or zero) - (order.shipping_discount or zero)
    parts.append(_Part(SHIPPING, shipping.minor, list(order.shipping_taxes)))
    parts.append(_Part(FEES, (order.other_fees or zero).minor, list(order.fee_taxes)))
    parts.append(_Part(TIP, (order.tip or zero).minor, []))
    return parts


def _give_back(parts: Sequence[_Part], note: BookCreditNote) -> None:
    """Take off what an earlier note has credited."""
    by_key = {part.line.key: part for part in parts if part.line is not None}
    for line in note.lines:
        part = by_key.get(line.line)
        if part is not None:
            part.units -= line.quantity
            _less(part, line.amount.minor, line.taxes)
    for part in parts:
        if part.kind == SHIPPING and note.shipping is not None:
            _less(part, note.shipping.minor, note.shipping_taxes)
        elif part.kind == FEES and note.fees is not None:
            _less(part, note.fees.minor, note.fee_taxes)
        elif part.kind == TIP and note.tip is not None:
            _less(part, note.tip.minor, ())


def _less(part: _Part, minor: int, taxes: Sequence[Tax]) -> None:
    part.left = max(0, part.left - minor)
    for taken in taxes:
        alike = [one for one in range(len(part.taxes)) if _same(part.taxes[one], taken)]
        rest = taken.amount.minor
        for index in [*alike, *(n for n in range(len(part.taxes)) if n not in alike)]:
            piece = min(rest, part.taxes[index].amount.minor)
            part.taxes[index] = _of(part.taxes[index], part.taxes[index].amount.minor - piece)
            rest -= piece


def _same(one: Tax, other: Tax) -> bool:
    return (one.title, one.rate, one.collected_by) == (other.title, other.rate, other.collected_by)


# ------------------------------------------------------------------ what is taken


def _take(
    part: _Part,
    units: int,
    amount: Money | None,
    taxes: Sequence[Tax],
    refund: Refund,
    system: str,
    limit: int,
) -> None:
    """Credit so much of a part; without an amount by its units, without taxes by its amount."""
    minor = _share(part.left, units, part.units) if amount is None else amount.minor
    given = list(taxes) or [
        _of(one, _share(one.amount.minor, minor, part.left)) for one in part.taxes
    ]
    too_much = max(minor - part.left, _minor(given) - _minor(part.taxes))
    if too_much > limit:
        what = f"line {part.line.key}" if part.line is not None else part.kind
        raise Hold(
            f"{system} refunds {Money(minor, refund.total.currency)} with "
            f"{Money(_minor(given), refund.total.currency)} tax for {what} of order "
            f"{refund.order}, and less than that was paid for it and is not refunded yet",
            cause=_cause("above_line", system, refund),
            next_step="Compare it with the channel; what is given beyond a line is `adjustment`.",
        )
    _put(part, units, minor, given, refund.total.currency)


def _put(part: _Part, units: int, minor: int, taxes: Sequence[Tax], currency: str) -> None:
    if not units and not minor and not any(tax.amount for tax in taxes):
        return
    own = part.line
    part.taken.append(
        CreditLine(
            line=own.key if own else "",
            sku=own.sku if own else "",
            title=own.title if own else "",
            quantity=units,
            amount=Money(minor, currency),
            taxes=tuple(tax for tax in taxes if tax.amount),
        )
    )
    part.units -= units
    _less(part, minor, taxes)


def _adjustment(refund: Refund) -> int:
    """Money for nothing in particular: what is said to be that, or all of a bare total."""
    if refund.adjustment:
        return refund.adjustment.minor
    bare = not (refund.lines or refund.shipping or refund.fees or refund.tip)
    return refund.total.minor if bare else 0


def _for(order: Order, parts: Sequence[_Part], minor: int, of: Collection[str]) -> Sequence[_Part]:
    """The lines it is for, if so much is left of them."""
    own = [part for part in parts if part.line is not None and part.line.key in of]
    return own if sum(max(0, part.gross(order)) for part in own) >= minor else parts


def _spread(order: Order, parts: Sequence[_Part], minor: int) -> None:
    """Over everything that was paid for, by what is left of each; its tax with it."""
    weights = [max(0, part.gross(order)) for part in parts]
    spread = min(minor, sum(weights))
    if spread <= 0:
        return
    whole = spread == sum(weights)
    shares = Money(spread, order.currency).allocate(weights)
    for part, share, weight in zip(parts, shares, weights, strict=True):
        everything = share.minor == weight and (whole or weight > 0)
        if not share and not (whole and part.units):
            continue
        taxes = [_of(one, _share(one.amount.minor, share.minor, weight)) for one in part.taxes]
        on_top = 0 if order.tax_included else _minor(taxes)
        units = part.units if everything else 0
        _put(part, units, share.minor - on_top, taxes, order.currency)


def _made(parts: Sequence[_Part], total: Money) -> Credit:
    lines = [_one(part.taken) for part in parts if part.line is not None and part.taken]
    by_kind = {part.kind: _one(part.taken) for part in parts if part.line is None and part.taken}
    shipping, fees, tip = by_kind.get(SHIPPING), by_kind.get(FEES), by_kind.get(TIP)
    return Credit(
        total=total,
        lines=tuple(lines),
        shipping=shipping.amount if shipping else None,
        shipping_taxes=shipping.taxes if shipping else (),
        fees=fees.amount if fees else None,
        fee_taxes=fees.taxes if fees else (),
        tip=tip.amount if tip else None,
    )


def _one(taken: Sequence[CreditLine]) -> CreditLine:
    """What was taken of one part in several pieces, as one line; equal taxes together."""
    first = taken[0]
    taxes: list[Tax] = []
    for tax in (tax for line in taken for tax in line.taxes):
        at = next((n for n, known in enumerate(taxes) if _same(known, tax)), None)
        if at is None:
            taxes.append(tax)
        else:
            taxes[at] = _of(taxes[at], taxes[at].amount.minor + tax.amount.minor)
    return replace(
        first,
        quantity=sum(line.quantity for line in taken),
        amount=Money.total((line.amount for line in taken), first.amount.currency),
        taxes=tuple(taxes),
    )


def _share(whole: int, piece: int, of: int) -> int:
    """So much of `whole` as `piece` is of `of`, half up; all of it for all of that."""
    if of <= 0 or piece >= of:
        return whole if piece else 0
    return (2 * whole * piece + of) // (2 * of)


def _of(tax: Tax, minor: int) -> Tax:
    return replace(tax, amount=Money(minor, tax.amount.currency))


def _minor(taxes: Iterable[Tax]) -> int:
    return sum(tax.amount.minor for tax in taxes)
