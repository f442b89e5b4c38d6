"""The nouns: every record is frozen, survives the codec, and every word has its record."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from core.codec import from_json, to_json
from core.model import (
    COMMANDS,
    RECORDS,
    Deadline,
    DeadlineKind,
    Order,
    OrderLine,
    Payment,
    QuantityLine,
    Shipment,
)
from core.money import Money

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ORDER = Order(
    key="8209829119461545087",  # 19 digits do not fit a float
    number="#1001",
    revision="3",
    placed_at=AT,
    currency="KWD",
    total=Money(1234, "KWD"),
    payment=Payment.COD,
    lines=(OrderLine(key="1", sku="00123", quantity=1, unit_price=Money(1234, "KWD")),),
    deadlines=(Deadline(kind=DeadlineKind.SHIP, at=AT),),
    extras={"marketplace": "A1"},
)


@pytest.mark.parametrize("cls", [*RECORDS.values(), *COMMANDS.values()])
def test_every_record_is_frozen_and_slotted(cls: type) -> None:
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(cls)


def test_an_order_is_kept_exactly() -> None:
    assert from_json(Order, to_json(ORDER)) == ORDER


def test_a_parcel_is_kept_exactly() -> None:
    parcel = Shipment(
        key="S1",
        reference="truecount:shop:1:fulfill_order:1",
        shipped_at=AT,
        lines=(QuantityLine(line="1", sku="00123", quantity=2),),
    )
    assert from_json(Shipment, to_json(parcel)) == parcel


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ORDER.number = "#1002"  # type: ignore[misc]
