"""The model is the schema of the mapping language: whatever it may grow, it can be mapped."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from core import model
from core.mapping.shape import fields_of, is_buyers, names_of


@pytest.mark.parametrize("record", [*model.RECORDS.values(), *model.COMMANDS.values()])
def test_every_field_of_the_model_has_a_kind(record):
    assert names_of(record)


@pytest.mark.parametrize("record", model.RECORDS.values())
def test_a_group_inside_a_record_has_defaults(record):
    """A mapping fills some of its fields; the group must exist without the others."""
    for field in fields_of(record).values():
        if field.kind == "record":
            assert not [each.name for each in fields_of(field.of).values() if each.required]


def test_a_field_no_mapping_could_fill_is_a_bug_of_ours():
    @dataclass
    class Odd:
        speed: float

    with pytest.raises(AssertionError, match="no mapping for a field of type"):
        fields_of(Odd)


def test_buyers_are_known_by_the_root_of_the_name():
    assert is_buyers("ship_to.city")
    assert is_buyers("email")
    assert is_buyers("order.ship_to.name")
    assert not is_buyers("ship_to_code")
