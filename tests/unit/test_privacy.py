"""T13: a refusal that quotes our document must not carry the buyer further."""

from __future__ import annotations

from datetime import UTC, datetime

from core.model import Address, BookOrder, Order, OrderLine, Payment
from core.money import Money
from core.privacy import blot, buyers_of


def an_ask() -> BookOrder:
    order = Order(
        key="1",
        number="#1",
        revision="1",
        placed_at=datetime(2026, 11, 25, tzinfo=UTC),
        currency="EUR",
        total=Money(1000, "EUR"),
        payment=Payment.PAID,
        email="mara@example.com",
        ship_to=Address(name="Mara (Ma) Lind", street="Hafenstraße 7", city="Ulm", country="DE"),
        lines=(OrderLine(key="1", sku="TEA", quantity=1, unit_price=Money(1000, "EUR")),),
    )
    return BookOrder(reference="r", channel="shop", order=order)


def test_every_text_of_the_buyer_is_found_and_none_of_the_order() -> None:
    found = buyers_of(an_ask())
    assert {"Mara (Ma) Lind", "Hafenstraße 7", "mara@example.com", "Ulm", "Mara"} <= set(found)
    assert not {"DE", "TEA", "#1", "shop", "clear"} & set(found)
    assert found == sorted(found, key=len, reverse=True)


def test_quoted_words_are_blotted_whatever_their_case() -> None:
    words = 'party "MARA (MA) LIND" at Hafenstraße 7, Ulm has no tax code'
    assert blot(words, buyers_of(an_ask())) == 'party "***" at ***, *** has no tax code'


def test_words_without_a_buyer_stay_as_they_are() -> None:
    assert blot("SKU TEA is unknown", buyers_of(an_ask())) == "SKU TEA is unknown"
