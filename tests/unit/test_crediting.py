"""What a refund comes to: the arithmetic shown, and parts that come to exactly the whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import crediting
from core.crediting import Credit
from core.errors import Hold
from core.lifecycle import document_total, tax_total
from core.model import (
    BookCreditNote,
    Collector,
    Discount,
    Order,
    OrderLine,
    Payment,
    Refund,
    RefundLine,
    Tax,
)
from core.money import Money

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def eur(text: str) -> Money:
    return Money.parse(text, "EUR")


def vat(text: str, title: str = "VAT", collector: Collector = Collector.SELLER) -> Tax:
    return Tax(title=title, rate=Decimal("0.19"), amount=eur(text), collected_by=collector)


def a_line(key: str, quantity: int, price: str, *taxes: Tax, off: str = "0.00") -> OrderLine:
    return OrderLine(
        key=key,
        sku=f"SKU-{key}",
        quantity=quantity,
        unit_price=eur(price),
        discounts=(Discount(amount=eur(off)),),
        taxes=taxes,
    )


def an_order(*lines: OrderLine, included: bool = True, shipping: str = "0.00") -> Order:
    order = Order(
        key="P1",
        number="#1",
        revision="1",
        placed_at=AT,
        currency="EUR",
        total=eur("0.00"),
        shipping_fee=eur(shipping),
        tax_included=included,
        payment=Payment.PAID,
        lines=lines,
    )
    return replace(order, total=document_total(order))


def a_refund(total: str, *lines: RefundLine, **words: Money) -> Refund:
    return Refund(key="R", order="P1", refunded_at=AT, total=eur(total), lines=lines, **words)


def credited(order: Order, *refunds: Refund) -> list[Credit]:
    """One after the other, each after those before."""
    made: list[Credit] = []
    for refund in refunds:
        before = [a_note(order, one) for one in made]
        made.append(crediting.credit(order, refund, before, system="shop", limit=0))
    return made


def a_note(order: Order, credit: Credit) -> BookCreditNote:
    return BookCreditNote(
        reference="",
        order_reference="",
        invoice_reference="",
        channel="shop",
        number="#1",
        refund="R",
        dated=AT,
        day="2026-11-25",
        total=credit.total,
        tax_included=order.tax_included,
        lines=credit.lines,
        shipping=credit.shipping,
        shipping_taxes=credit.shipping_taxes,
        fees=credit.fees,
    )


def minor(credit: Credit) -> list[tuple[str, int, int, list[int]]]:
    return [
        (line.line, line.quantity, line.amount.minor, [tax.amount.minor for tax in line.taxes])
        for line in credit.lines
    ]


#: name: (order, refund, what is credited)
RULES = {
    # 3 x 10.00 with 4.79 inside: 4.79 / 3 = 1.5967, so 1.60 of it.
    "one of three, tax inside": (
        an_order(a_line("a", 3, "10.00", vat("4.79"))),
        a_refund("10.00", RefundLine(line="a", quantity=1)),
        [("a", 1, 1000, [160])],
    ),
    # 3 x 10.00 and 5.70 on top: the buyer gets 10.00 and a third of it.
    "one of three, tax on top": (
        an_order(a_line("a", 3, "10.00", vat("5.70")), included=False),
        a_refund("11.90", RefundLine(line="a", quantity=1)),
        [("a", 1, 1000, [190])],
    ),
    # 2 x 10.00 less 5.00: one unit was worth 7.50.
    "one of two that were discounted": (
        an_order(a_line("a", 2, "10.00", vat("2.39"), off="5.00")),
        a_refund("7.50", RefundLine(line="a", quantity=1)),
        [("a", 1, 750, [120])],
    ),
    # Half of CGST 9 % and SGST 9 % on top of 100.00.
    "two taxes of one line": (
        an_order(a_line("a", 2, "50.00", vat("9.00", "CGST"), vat("9.00", "SGST")), included=False),
        a_refund("59.00", RefundLine(line="a", quantity=1)),
        [("a", 1, 5000, [450, 450])],
    ),
    # The channel says the tax itself: its word counts, not our proportion.
    "the channel's own tax": (
        an_order(a_line("a", 3, "10.00", vat("4.79"))),
        a_refund("10.00", RefundLine(line="a", quantity=1, taxes=(vat("1.59"),))),
        [("a", 1, 1000, [159])],
    ),
    # 6.00 over 20.00 and 10.00, as 4.00 and 2.00, tax 3.19 * 4 / 20 = 0.638 and 1.60 * 2 / 10.
    "money for nothing in particular": (
        an_order(a_line("a", 2, "10.00", vat("3.19")), a_line("b", 1, "10.00", vat("1.60"))),
        a_refund("6.00"),
        [("a", 0, 400, [64]), ("b", 0, 200, [32])],
    ),
    # 11.90 of 23.80 that were paid, tax on top: 10.00 and 1.90 of the line.
    "money alone, tax on top": (
        an_order(a_line("a", 2, "10.00", vat("3.80")), included=False),
        a_refund("11.90"),
        [("a", 0, 1000, [190])],
    ),
    # All of it by its total: the free sticker comes back as well.
    "a bare total of everything": (
        an_order(a_line("a", 2, "10.00", vat("3.19")), a_line("free", 1, "0.00")),
        a_refund("20.00"),
        [("a", 2, 2000, [319]), ("free", 1, 0, [])],
    ),
    # A marketplace's tax stays the marketplace's in the credit note.
    "tax that the marketplace remits": (
        an_order(a_line("a", 2, "10.00", vat("1.65", "CA", Collector.MARKETPLACE)), included=False),
        a_refund("10.83", RefundLine(line="a", quantity=1)),
        [("a", 1, 1000, [83])],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_s20_a_rule_with_its_arithmetic(rule: str) -> None:
    order, refund, expected = RULES[rule]
    [credit] = credited(order, refund)
    assert minor(credit) == expected
    assert crediting.gross(order, credit) == refund.total
    collectors = {tax.collected_by for line in order.lines for tax in line.taxes}
    assert {tax.collected_by for line in credit.lines for tax in line.taxes} <= collectors


def test_money_that_names_a_return_is_credited_of_its_lines() -> None:
    order = an_order(a_line("a", 1, "10.00", vat("1.60")), a_line("b", 1, "10.00", vat("1.60")))
    for total, of, expected in (
        ("4.00", {"b"}, [("b", 0, 400, [64])]),
        ("12.00", {"b"}, [("a", 0, 600, [96]), ("b", 0, 600, [96])]),  # more than the line was
    ):
        refund = a_refund(total)
        made = crediting.credit(order, refund, [], system="shop", limit=0, of=of)
        assert minor(made) == expected


def test_a_line_is_found_by_its_sku_where_the_channel_names_none() -> None:
    order = an_order(a_line("a", 1, "10.00"), a_line("b", 2, "10.00"))
    twin = replace(order, lines=tuple(replace(line, sku="TEA") for line in order.lines))
    two = a_refund("20.00", RefundLine(sku="TEA", quantity=2))
    assert [line[:2] for line in minor(credited(twin, two)[0])] == [("b", 2)]


def test_s19_a_refund_in_another_currency_is_held() -> None:
    order = an_order(a_line("a", 1, "10.00"))
    for refund in (
        replace(a_refund("5.00"), total=Money(500, "USD")),
        a_refund("5.00", RefundLine(line="a", amount=Money(500, "USD"))),
        a_refund("5.00", shipping=Money(500, "USD")),
    ):
        with pytest.raises(Hold, match="refunds USD for order #1, which is in EUR"):
            credited(order, refund)


def test_what_is_left_to_refund_is_exact() -> None:
    order = an_order(a_line("a", 3, "10.00", vat("4.79")))
    [first] = credited(order, a_refund("10.01"))
    assert crediting.refundable(order, [a_note(order, first)]) == eur("19.99")
    with pytest.raises(Hold, match=r"of 30.00 EUR invoiced only 19.99 EUR is left"):
        credited(order, a_refund("10.01"), a_refund("20.00"))


# ------------------------------------------------------------------ parts come to the whole

amounts = st.integers(0, 20_000)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    lines = []
    for number in range(draw(st.integers(1, 4))):
        quantity, price = draw(st.integers(1, 5)), draw(amounts)
        off = draw(st.integers(0, quantity * price))
        net = quantity * price - off
        taxes = tuple(
            Tax(title=title, amount=Money(draw(st.integers(0, net // 4)), "EUR"))
            for title in draw(st.sampled_from([(), ("VAT",), ("CGST", "SGST")]))
        )
        lines.append(
            OrderLine(
                key=str(number),
                sku=f"SKU-{number}",
                quantity=quantity,
                unit_price=Money(price, "EUR"),
                discounts=(Discount(amount=Money(off, "EUR")),),
                taxes=taxes,
            )
        )
    fee = draw(amounts)
    order = replace(
        an_order(*lines, included=draw(st.booleans())),
        shipping_fee=Money(fee, "EUR"),
        shipping_taxes=(Tax(title="VAT", amount=Money(fee // 6, "EUR")),),
        other_fees=Money(draw(st.integers(0, 500)), "EUR"),
    )
    return replace(order, total=document_total(order))


@given(order=orders(), parts=st.lists(st.integers(1, 40_000), max_size=6))
def test_h37_refunds_of_parts_come_to_the_whole_each_cent_once(
    order: Order, parts: list[int]
) -> None:
    """Bare totals, one after the other, and the rest at the end: nothing is left of any line."""
    refunds, left = [], order.total.minor
    for part in parts:
        piece = min(part, left)
        left -= piece
        refunds += [piece] if piece else []
    refunds += [left] if left else []
    made = credited(order, *(a_refund(str(Money(part, "EUR").amount)) for part in refunds))
    assert all(crediting.gross(order, one) == one.total for one in made)
    assert Money.total((one.total for one in made), "EUR") == order.total
    assert Money.total((crediting.tax(one) for one in made), "EUR") == _taxable(order)
    for line in order.lines:
        own = [part for one in made for part in one.lines if part.line == line.key]
        assert sum(part.quantity for part in own) in (0, line.quantity)


def _taxable(order: Order) -> Money:
    return tax_total(order) if order.total else Money.zero("EUR")


@given(order=orders(), data=st.data())
def test_h43_units_refunded_one_by_one_come_to_their_lines(
    order: Order, data: st.DataObject
) -> None:
    """The channel names no amount: each unit is worth its part of what is left of its line."""
    units = [line.key for line in order.lines for _ in range(line.quantity)]
    notes: list[BookCreditNote] = []
    for key in data.draw(st.permutations(units)):
        one = a_refund("0.00", RefundLine(line=key, quantity=1))
        # Whether the total ties is not asked here.
        made = crediting.credit(order, one, notes, system="shop", limit=10**9)
        notes.append(a_note(order, made))
    for line in order.lines:
        own = [part for note in notes for part in note.lines if part.line == line.key]
        net = line.unit_price * line.quantity - line.discounts[0].amount
        assert Money.total((part.amount for part in own), "EUR") == net
        taxes = Money.total((tax.amount for part in own for tax in part.taxes), "EUR")
        assert taxes == Money.total((tax.amount for tax in line.taxes), "EUR")
