"""What an order may do next: G4, G16, H6, H12, S10, S20."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lifecycle import (
    NEXT,
    State,
    blockers,
    document_total,
    goes_to,
    is_stale,
    residue,
    revision_key,
    tax_total,
    wanted,
    wants_nothing,
)
from core.model import Address, Collector, Discount, Mask, Order, OrderLine, Payment, Tax
from core.money import Money, MoneyError


def eur(text: str) -> Money:
    return Money.parse(text, "EUR")


def tax(amount: str, by: Collector = Collector.SELLER) -> Tax:
    return Tax(title="VAT", rate=Decimal("0.19"), amount=eur(amount), collected_by=by)


def a_line(key: str = "1", quantity: int = 1, price: str = "10.00", **words: Any) -> OrderLine:
    return OrderLine(key=key, sku="TEA", quantity=quantity, unit_price=eur(price), **words)


def an_order(*lines: OrderLine, total: str = "10.00", **words: Any) -> Order:
    given = {"payment": Payment.PAID, "revision": "1", **words}
    return Order(
        key="1",
        number="#1",
        placed_at=datetime(2026, 11, 25, tzinfo=UTC),
        currency="EUR",
        total=eur(total),
        lines=lines or (a_line(),),
        **given,
    )


def causes(order: Order, **words: Any) -> list[str]:
    asked = {"unknown_skus": {}, "short_units": 0, "rounding_limit_minor": 0, **words}
    return [blocker.cause for blocker in blockers(order, **asked)]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("9", "10"),
        ("2026-11-25T09:00:40Z", "2026-11-25T09:00:40.5Z"),  # as text the other way round
        ("2026-11-25T10:30:00+02:00", "2026-11-25T09:00:00Z"),
        ("9007199254740992", "9007199254740993"),  # one float, two counters
        ("1234567890123456788", "1234567890123456789"),
        ("2026-10-25T02:30:00", "2026-10-25T03:15:00"),  # a naive owner, our summer time ends
        ("a", "b"),
    ],
)
def test_h6_h12_an_owners_revisions_are_ordered_by_value(older: str, newer: str) -> None:
    assert revision_key(older) < revision_key(newer)
    assert is_stale(newer, older)
    assert not is_stale(older, newer)
    assert not is_stale(newer, newer)  # the same again is applied again


def test_the_first_sight_of_an_order_is_never_stale() -> None:
    assert not is_stale("", "1")


def test_s20_h37_prices_with_the_tax_inside_tie() -> None:
    lines = (a_line(quantity=2, taxes=(tax("3.19"),)), a_line("2", taxes=(tax("1.60"),)))
    order = an_order(*lines, total="34.90", tax_included=True, shipping_fee=eur("4.90"))
    assert document_total(order) == eur("34.90")
    assert (residue(order), tax_total(order)) == (eur("0.00"), eur("4.79"))
    assert causes(order) == []


def test_s20_h37_tax_on_top_with_discounts_and_fees_ties() -> None:
    line = a_line(quantity=3, discounts=(Discount(amount=eur("2.00")),), taxes=(tax("5.32"),))
    order = an_order(
        line,
        total="39.93",
        shipping_fee=eur("5.00"),
        shipping_discount=eur("1.00"),
        shipping_taxes=(tax("0.76"),),
        other_fees=eur("1.85"),
    )
    assert causes(order) == []


def test_a_marketplaces_tax_is_told_apart() -> None:
    line = a_line(taxes=(tax("1.00"), tax("0.50", Collector.MARKETPLACE)))
    order = an_order(line, total="11.50")
    assert tax_total(order, Collector.MARKETPLACE) == eur("0.50")
    assert tax_total(order, Collector.SELLER) == eur("1.00")


@pytest.mark.parametrize(
    ("total", "limit", "held"), [("10.01", 0, 1), ("10.01", 1, 0), ("9.98", 1, 1)]
)
def test_g16_a_residue_above_the_limit_is_held(total: str, limit: int, held: int) -> None:
    found = causes(an_order(total=total), rounding_limit_minor=limit)
    assert found == ["total_does_not_tie"] * held


def test_an_incomplete_order_is_not_measured() -> None:
    assert causes(an_order(total="0.00", complete=False)) == ["channel_holds"]


def test_s19_an_order_in_two_currencies_cannot_be_added() -> None:
    line = OrderLine(key="1", sku="TEA", quantity=1, unit_price=Money(1, "USD"))
    with pytest.raises(MoneyError):
        document_total(an_order(line))


@pytest.mark.parametrize("payment", list(Payment))
def test_money_that_is_not_there_holds_the_order(payment: Payment) -> None:
    goes = {Payment.PAID, Payment.AUTHORIZED, Payment.COD}
    assert (causes(an_order(payment=payment)) == []) == (payment in goes)


@pytest.mark.parametrize("payment", [Payment.AUTHORIZED, Payment.COD])
def test_without_a_parcel_only_money_that_has_come_is_earned(payment: Payment) -> None:
    card = a_line("2", shippable=False)
    assert causes(an_order(card, payment=payment)) == [f"payment:{payment}"]
    assert causes(an_order(card)) == []
    assert causes(an_order(a_line(), card, total="20.00", payment=payment)) == []


def test_what_is_to_leave_a_warehouse() -> None:
    order = an_order(a_line(quantity=2), a_line("2", shippable=False), a_line("3", quantity=0))
    assert wanted(order) == {"1": 2}
    assert wanted(replace(order, cancelled_at=order.placed_at)) == {}


def test_an_order_wants_nothing_without_units_and_without_money() -> None:
    empty = an_order(a_line(quantity=0), total="0.00")
    assert wants_nothing(empty)
    assert not wants_nothing(replace(empty, total=eur("4.90")))  # a fee is still to be paid
    assert not wants_nothing(replace(empty, complete=False))  # its lines are yet to be said
    assert not wants_nothing(an_order(a_line(shippable=False), total="0.00"))


def test_every_reason_is_named_and_says_whether_the_books_wait_too() -> None:
    order = an_order(total="11.00", payment=Payment.PENDING)
    found = blockers(
        order, unknown_skus={"X": (), "Y": ["y"]}, short_units=2, rounding_limit_minor=0
    )
    assert {b.cause: b.books for b in found} == {
        "unknown_sku:X": True,
        "unknown_sku:Y": True,
        "total_does_not_tie": True,
        "payment:pending": True,
        "short": False,
    }
    assert all(b.reason and b.next_step for b in found)


def test_a_test_order_and_a_channel_that_says_wait() -> None:
    assert causes(an_order(test=True)) == ["test_order"]
    [wait] = blockers(
        an_order(shippable=False), unknown_skus={}, short_units=0, rounding_limit_minor=0
    )
    assert (wait.cause, wait.books) == ("channel_holds", False)


def test_what_is_over_stays_over() -> None:
    assert NEXT[State.SHIPPED] == NEXT[State.CANCELLED] == frozenset()
    assert set(NEXT) == set(State)


@given(
    prices=st.lists(st.tuples(st.integers(0, 9999), st.integers(1, 9)), min_size=1, max_size=6),
    discount=st.integers(0, 500),
    shipping=st.integers(0, 2000),
)
def test_h37_an_order_discount_spread_over_its_lines_ties_to_the_cent(
    prices: list[tuple[int, int]], discount: int, shipping: int
) -> None:
    amounts = [price * units for price, units in prices]
    shares = Money(discount, "EUR").allocate(amounts)
    lines = [
        OrderLine(
            key=str(n),
            sku="TEA",
            quantity=units,
            unit_price=Money(price, "EUR"),
            discounts=(Discount(amount=share),),
        )
        for n, ((price, units), share) in enumerate(zip(prices, shares, strict=True))
    ]
    total = Money(sum(amounts) - discount + shipping, "EUR")
    order = replace(an_order(*lines), total=total, shipping_fee=Money(shipping, "EUR"))
    assert residue(order) == Money.zero("EUR")


def test_h42_where_a_parcel_goes_is_known_while_the_channel_says_it_in_clear() -> None:
    home = Address(name="Alex", street="1 Sample Street", city="Berlin", country="DE")
    assert goes_to(replace(home, phone="1", email="a@b.example")) == home
    assert goes_to(replace(home, mask=Mask.MASKED)) is None
    assert goes_to(Address(phone="1", email="a@b.example")) is None
