"""Every record of ours survives the database, exactly."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import codec, model
from core.errors import InvariantBroken
from core.money import MINOR_MAX, Money

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INSTANTS = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
).map(lambda at: at.replace(fold=0))
AMOUNTS = st.builds(
    Money, st.integers(-MINOR_MAX, MINOR_MAX), st.sampled_from(["EUR", "JPY", "KWD"])
)
SIMPLE = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: INSTANTS,
    Money: AMOUNTS,
    dict[str, str]: st.dictionaries(TEXT, TEXT, max_size=3).map(lambda d: dict(sorted(d.items()))),
}


def values(hint):
    """Not the codec's own walk over annotations: a second opinion on them."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    if isinstance(hint, types.UnionType):
        return st.one_of(
            [st.none() if each is type(None) else values(each) for each in typing.get_args(hint)]
        )
    if typing.get_origin(hint) is tuple:
        return st.lists(values(typing.get_args(hint)[0]), max_size=2).map(tuple)
    if dataclasses.is_dataclass(hint):
        return records(hint)
    return st.sampled_from(list(hint))


def records(cls):
    hints = typing.get_type_hints(cls)
    return st.fixed_dictionaries(
        {each.name: values(hints[each.name]) for each in dataclasses.fields(cls)}
    ).map(lambda fields: cls(**fields))


@pytest.mark.parametrize("cls", [*model.RECORDS.values(), *model.COMMANDS.values()])
def test_every_record_comes_back_the_same(cls):
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(records(cls))
    def comes_back(record):
        data = codec.to_json(record)
        back = codec.from_json(cls, data)
        assert back == record
        assert repr(back) == repr(record)
        assert codec.to_json(back) == data

    comes_back()


def an_order(**fields):
    defaults = {
        "key": "1",
        "number": "#1",
        "revision": "",
        "placed_at": datetime(2026, 1, 1, tzinfo=UTC),
        "currency": "EUR",
        "total": Money(100, "EUR"),
        "payment": model.Payment.PAID,
        "lines": (),
    }
    return model.Order(**(defaults | fields))


def test_types_come_back_not_only_values():
    order = an_order(
        lines=(
            model.OrderLine(
                key="1",
                sku="00123",
                quantity=1,
                unit_price=Money(5, "EUR"),
                unit_keys=("a",),
                taxes=(model.Tax(rate=Decimal("0.190"), amount=Money(1, "EUR")),),
            ),
        )
    )
    back = codec.from_json(model.Order, codec.to_json(order))
    assert type(back.payment) is model.Payment
    assert type(back.lines[0].unit_keys) is tuple
    assert str(back.lines[0].taxes[0].rate) == "0.190"
    assert back.placed_at.tzinfo is UTC


def test_equal_records_give_equal_bytes():
    assert codec.to_json(an_order(extras={"a": "1", "b": "2"})) == codec.to_json(
        an_order(extras={"b": "2", "a": "1"})
    )


def test_an_older_row_gets_defaults_and_a_newer_word_is_dropped():
    row = {"sku": "A", "quantity": 2, "color": "red"}
    assert codec.from_plain(model.QuantityLine, row) == model.QuantityLine(sku="A", quantity=2)
    assert row["color"] == "red"


@pytest.mark.parametrize(
    "row",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"key":"1","tracking":"t","state":"moving","at":"2026-01-01T00:00:00"}',
        b'{"key":"1","tracking":"t","state":"moving","at":5}',
        b'{"key":"1","tracking":"t","state":"moving","at":"2026-01-01T00:00:00Z","cod_collected":{"minor":1}}',
        b'{"key":"1","tracking":"t","state":"moving","at":"2026-01-01T00:00:00Z","cod_collected":{"minor":1,"currency":"euro"}}',
    ],
)
def test_an_unreadable_row_is_a_bug_of_ours(row):
    with pytest.raises(InvariantBroken, match="a stored ParcelEvent is unreadable"):
        codec.from_json(model.ParcelEvent, row)


def test_what_has_no_exact_form_is_not_stored():
    with pytest.raises(TypeError):
        codec.to_json(model.Price(sku="A", tax_rate=Decimal("NaN")))
