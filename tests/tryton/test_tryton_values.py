"""Tryton's typed values, the operator's tax words, and the split of money. No server."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.tryton.feed import Place, following, since_domain
from connectors.tryton.parties import _looks, _mark
from connectors.tryton.split import Part, expected_total, prices, tie
from connectors.tryton.taxes import ErpTax, Taxes, words
from connectors.tryton.values import decode, encode, packed, plain, units
from core.errors import Rejected
from core.mapping.samples import run_samples
from core.model import Collector, Tax
from core.money import Money

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"

# ---------------------------------------------------------------- values

JSONISH = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text().filter(lambda k: k != "__class__"), inner)
    ),
    max_leaves=20,
)


@given(JSONISH)
def test_every_value_survives_the_way_there_and_back(value: object) -> None:
    assert decode(json.loads(json.dumps(encode(value)))) == value


def test_a_price_never_meets_a_float() -> None:
    seen = encode({"unit_price": Decimal("44.9000"), "at": date(2026, 11, 25)})
    assert seen["unit_price"] == {"__class__": "Decimal", "decimal": "44.9000"}
    assert decode(seen)["unit_price"].as_tuple() == Decimal("44.9000").as_tuple()


def test_an_instant_travels_in_naive_utc() -> None:
    at = datetime.fromisoformat("2026-11-25T09:30:00+05:30")
    assert encode(at)["hour"] == 4
    assert decode(encode(at)) == at


def test_an_unknown_mark_stays_visible() -> None:
    assert decode({"__class__": "geometry", "x": 1}) == {"__class__": "geometry", "x": 1}


def test_a_domain_is_urlsafe_base64_of_json() -> None:
    text = packed([["code", "in", ["ü?~"]]])
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=")
    assert json.loads(base64.urlsafe_b64decode(text)) == [["code", "in", ["ü?~"]]]


def test_a_set_in_a_domain_is_a_bug_of_ours() -> None:
    with pytest.raises(TypeError):
        packed([["code", "in", {"A"}]])


@pytest.mark.parametrize(
    ("wire", "ours"), [(Decimal("96.0"), 96), (3, 3), (None, 0), (Decimal("2.5"), Decimal("2.5"))]
)
def test_whole_floats_are_pieces_and_half_a_piece_stays(wire: object, ours: object) -> None:
    assert units(wire) == ours
    assert type(units(wire)) is type(ours)


def test_a_mapping_reads_text_where_json_has_no_type() -> None:
    body = plain(
        {"at": datetime(2026, 11, 25, 4, 5, tzinfo=UTC), "day": date(2026, 1, 2), "n": [1]}
    )
    assert body == {"at": "2026-11-25T04:05:00Z", "day": "2026-01-02", "n": [1]}


# ---------------------------------------------------------------- feed


def test_a_pass_remembers_when_it_began_over_models_and_pages() -> None:
    place = Place(stage=1, after=7, begun="2026-11-25T04:00:00+00:00")
    assert Place.of(place.token()) == place
    assert Place.of(following([], place, 3)) == Place(stage=2, begun=place.begun)
    assert following([], Place(stage=2), 3) is None
    full = [{"id": number} for number in range(1, 201)]
    assert Place.of(following(full, place, 3)) == Place(stage=1, after=200, begun=place.begun)


def test_records_never_written_again_are_read_by_their_creation() -> None:
    (clause,) = since_domain("2026-11-25T04:00:00.000000Z")
    assert clause[0] == "OR"
    assert [part[0] for part in clause[1:]] == ["write_date", "create_date"]


# ---------------------------------------------------------------- buyers


def test_a_buyer_is_known_by_the_exact_address_or_by_the_order() -> None:
    assert _mark(" Ann_Lee@Example.com ", "ref") == ("email", "ann_lee@example.com")
    assert _mark("  ", "ref") == ("other", "ref")


def test_spaces_and_capitals_do_not_make_another_address() -> None:
    one = {"street": "1 Test  Road", "city": "PUNE", "postal_code": "411001", "country": 2}
    two = {"street": "1 test road ", "city": "Pune", "postal_code": "411001", "country": 2}
    assert _looks(one) == _looks(two)
    assert _looks(one) != _looks({**two, "postal_code": "411002"})


# ---------------------------------------------------------------- taxes

KNOWN = (
    ErpTax(id=1, name="GST 18%", rates=(Decimal("0.18"),)),
    ErpTax(id=2, name="GST 5%", rates=(Decimal("0.05"),)),
    ErpTax(id=4, name="CGST 9%", rates=(Decimal("0.09"),)),
    ErpTax(id=5, name="SGST 9%", rates=(Decimal("0.09"),)),
)


def _tax(rate: str | None, amount: str = "1.80", title: str = "", **more: Collector) -> Tax:
    exact = None if rate is None else Decimal(rate)
    return Tax(title=title, rate=exact, amount=Money.parse(amount, "USD"), **more)


def _book(text: str = "") -> Taxes:
    return Taxes(known=KNOWN, words=words(text))


@pytest.mark.parametrize(
    ("text", "taxes", "ids"),
    [
        ("", [_tax("0.18")], [1]),
        ("", [_tax("0.180")], [1]),
        ("", [_tax("0.09", title="CGST"), _tax("0.09", title="SGST")], [4, 5]),
        ("0.09+0.09=GST 18%", [_tax("0.09"), _tax("0.09")], [1]),
        ("CGST 0.09=SGST 9%", [_tax("0.09", title="CGST")], [5]),
        ("0.12=GST 18%", [_tax("0.12")], [1]),
        ("", [_tax(None, "1.80")], [1]),
        ("", [_tax("0", "0")], []),
        ("", [_tax("0.18", collected_by=Collector.MARKETPLACE)], []),
    ],
)
def test_a_channels_tax_becomes_tryton_s(text: str, taxes: list[Tax], ids: list[int]) -> None:
    assert [tax.id for tax in _book(text).of(taxes, 1000, "SKU-1")] == ids


@pytest.mark.parametrize(
    ("text", "taxes", "says"),
    [
        ("", [_tax("0.12", "1.20")], r"12 % \(1.20 USD\) on SKU-1.*no such sales tax.*18 %.*5 %"),
        ("", [_tax("0.09")], "several taxes of that rate"),
        ("", [_tax("0.09", title="CGST"), _tax("0.09", title="CGST")], "the same tax in Tryton"),
        ("", [_tax(None, "3.33")], "names no rate; none of"),
        ("0.18=VAT", [_tax("0.18")], "settings.taxes names 'VAT'"),
    ],
)
def test_an_unknown_tax_is_refused_with_both_numbers(
    text: str, taxes: list[Tax], says: str
) -> None:
    with pytest.raises(Rejected, match=says):
        _book(text).of(taxes, 1000, "SKU-1")


# ---------------------------------------------------------------- money

#: Each set of taxes has its ids: Tryton rounds per set.
RATES: dict[tuple[int, ...], tuple[Decimal, ...]] = {
    (): (),
    (1,): (Decimal("0.05"),),
    (2,): (Decimal("0.18"),),
    (3,): (Decimal("0.19"),),
    (4, 5): (Decimal("0.09"), Decimal("0.09")),
    (6,): (Decimal("0.0825"),),
}


@st.composite
def parts(draw: st.DrawFn, *, free: bool) -> list[Part]:
    """Lines as a channel has them: it rounds the tax of each line, half up."""
    made: list[Part] = []
    for number in range(draw(st.integers(1, 6))):
        ids = draw(st.sampled_from(list(RATES)))
        together = sum(RATES[ids], Decimal(0))
        net = paid = draw(st.integers(0, 500_00))
        if free:
            net = int((paid / (1 + together)).quantize(Decimal(1)))
        else:
            paid = net + int(net * together + Decimal("0.5"))
        made.append(
            Part(
                item=str(number),
                quantity=draw(st.integers(1, 2000)),
                net=net,
                paid=paid,
                taxes=ids,
                rates=RATES[ids],
                free=free,
            )
        )
    return made


@given(parts(free=True), st.sampled_from(["document", "line"]))
@settings(max_examples=300)
def test_tax_included_lines_tie_or_miss_by_one_per_group(lines: list[Part], rounding: str) -> None:
    tied = tie(lines, "USD", rounding, 4)
    total = expected_total(tied, "USD", rounding, 4)
    groups = len({part.taxes for part in lines}) if rounding == "document" else len(lines)
    assert abs(total - sum(part.paid for part in lines)) <= groups
    assert [part.paid for part in tied] == [part.paid for part in lines]
    assert all(part.net >= 0 for part in tied)


@given(parts(free=False))
def test_prices_shown_without_tax_are_never_touched(lines: list[Part]) -> None:
    assert tie(lines, "USD", "document", 4) == lines


@given(st.integers(0, 10**7), st.integers(1, 5000), st.sampled_from(["USD", "JPY", "KWD"]))
def test_unit_prices_multiply_back_to_the_amount(net: int, quantity: int, currency: str) -> None:
    """The oracle is Tryton's own rule: price x quantity, half to even, line by line."""
    exact = {"USD": "0.01", "JPY": "1", "KWD": "0.001"}[currency]
    made = prices(net, quantity, currency, 4)
    assert sum(priced.quantity for priced in made) == quantity
    amounts = [
        (priced.unit_price * priced.quantity).quantize(Decimal(exact), rounding=ROUND_HALF_EVEN)
        for priced in made
    ]
    assert sum(amounts) == Money(net, currency).amount


@pytest.mark.parametrize(
    ("net", "quantity", "shown"),
    [
        (8980, 2, [(2, "44.9000")]),
        (1000, 3, [(3, "3.3333")]),
        (33333, 1000, [(667, "0.33"), (333, "0.34")]),
        (0, 5, [(5, "0.0000")]),
        (-1, 1, [(1, "-0.0100")]),
    ],
)
def test_a_table_of_unit_prices(net: int, quantity: int, shown: list[tuple[int, str]]) -> None:
    made = prices(net, quantity, "USD", 4)
    assert [(priced.quantity, str(priced.unit_price)) for priced in made] == shown


def test_18_percent_skips_some_totals_and_the_rest_is_one_cent() -> None:
    """0.03 with 18 % inside: 0.02 + 0.00 or 0.03 + 0.01, never 0.03 (S19)."""
    one = Part(item="A", quantity=1, net=3, paid=3, taxes=(1,), rates=(Decimal("0.18"),), free=True)
    tied = tie([one], "USD", "document", 4)
    assert abs(expected_total(tied, "USD", "document", 4) - 3) == 1


# ---------------------------------------------------------------- mappings


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("tryton", "tryton_wms")
        for path in sorted((MAPPINGS / folder).glob("*.yaml"))
        if ".test." not in path.name
    ],
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_every_example_beside_a_mapping_comes_out(path: Path) -> None:
    assert run_samples(path) == []
