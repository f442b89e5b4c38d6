"""Theirs to ours: what comes out, what is left out, and what is held with which words."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Hold, InvariantBroken
from core.model import DeadlineKind, Order, OrderLine, Payment
from core.money import Money
from tests.unit.mapping.mapped import DOCUMENT, ORDER, SEND, changed, held, load


def reading(lines, *, after=""):
    """ORDER with more field lines."""
    return load(changed("  number: name\n", f"  number: name\n{lines}\n") + after)


def test_an_order_comes_out_whole_and_exact():
    order = load(ORDER).record(DOCUMENT)
    assert order == Order(
        key="820982911946154508",
        number="#1001",
        revision="7",
        placed_at=datetime(2026, 11, 20, 14, 3, 22, tzinfo=UTC),
        currency="EUR",
        total=Money(4397, "EUR"),
        payment=Payment.PAID,
        lines=(
            OrderLine(key="a", sku="00123", quantity=2, unit_price=Money(2000, "EUR")),
            OrderLine(key="b", sku="MUG", quantity=1, unit_price=Money(397, "EUR")),
        ),
    )
    assert type(order.payment) is Payment
    assert type(order.lines) is tuple


# ---------------------------------------------------------------- missing and required


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": None}, "number is missing (name)"),
        ({"id": None}, "key is missing (id)"),
        ({"id": ""}, "key is missing (id)"),
        ({"cur": "Euro"}, 'currency "Euro" is not a currency code like EUR (cur)'),
        ({"items": [{"sku": "A"}]}, "lines.key is missing (id, entry 1)"),
        ({"items": "x"}, 'lines "x" is not a list (items)'),
        (
            {"items": [DOCUMENT["items"][0], {**DOCUMENT["items"][1], "qty": "1.5"}]},
            'lines.quantity "1.5" is not a whole number (qty, entry 2)',
        ),
    ],
)
def test_what_is_missing_or_wrong_names_field_value_path_and_entry(change, reason):
    assert held(load(ORDER), {**DOCUMENT, **change}).reason == reason


def test_a_misspelt_path_is_told_with_the_nearest_name():
    mapping = load(changed("total: total | money", "total: totl.amount | money"))
    assert held(mapping, DOCUMENT).reason == 'total is missing (totl.amount). Did you mean "total"?'


def test_a_path_that_runs_into_a_value_has_no_nearest_name():
    mapping = load(changed("total: total | money", "total: total.amount | money"))
    assert held(mapping, DOCUMENT).reason == "total is missing (total.amount)"
    mapping = load(changed("total: total | money", "total: qqq | money"))
    assert held(mapping, DOCUMENT).reason == "total is missing (qqq)"


def test_a_null_list_is_empty_and_a_single_object_is_one_entry():
    mapping = load(ORDER)
    assert mapping.record({**DOCUMENT, "items": None}).lines == ()
    assert len(mapping.record({**DOCUMENT, "items": DOCUMENT["items"][0]}).lines) == 1


def test_required_refuses_empty_text_and_empty_lists():
    mapping = load(ORDER + "required: [number, lines, lines.sku]\n")
    assert held(mapping, {**DOCUMENT, "name": ""}).reason == "number is missing (name)"
    assert held(mapping, {**DOCUMENT, "items": []}).reason == "lines is missing (items)"
    blank = [{**DOCUMENT["items"][0], "sku": " "}]
    assert (
        held(mapping, {**DOCUMENT, "items": blank}).reason == "lines.sku is missing (sku, entry 1)"
    )
    assert load(ORDER).record({**DOCUMENT, "name": ""}).number == ""


@pytest.mark.parametrize("document", [None, [], "x", 5, {}, [{}]])
def test_a_document_of_another_shape_is_held(document):
    assert held(load(ORDER), document).cause.startswith("mapping:shop.order:")


def test_the_connector_s_own_id_and_revision_stand_in():
    mapping = load(ORDER.replace("key: id\nrevision: rev\n", ""))
    order = mapping.record(DOCUMENT, external_id="x9", revision="r3")
    assert (order.key, order.revision) == ("x9", "r3")


def test_an_incoming_mapping_has_no_body_and_the_other_way_round():
    with pytest.raises(InvariantBroken):
        load(ORDER).body(None)
    with pytest.raises(InvariantBroken):
        load(SEND).record({})


# ---------------------------------------------------------------- lists


def test_blocks_may_nest_skip_and_come_from_several_places():
    mapping = load(
        ORDER.replace(
            "    unit_price: price | money\n",
            "    unit_price: price | money\n"
            '  skip_when: [gift is true, qty is 0, kind is "not for sale"]\n'
            "  taxes:\n"
            "    - each: taxes\n"
            "      skip_when: amount is empty\n"
            "      fields: {title: name, amount: amount | money}\n"
            "    - skip_when: eco is not present\n"
            "      fields: {title: = Eco, amount: eco | money}\n",
        )
        + "deadlines:\n"
        "  - skip_when: shipBy is empty\n"
        "    fields: {kind: = ship, at: shipBy | time}\n"
        "  - skip_when: deliverBy is not present\n"
        "    fields: {kind: = deliver, at: deliverBy | time}\n"
    )
    line = DOCUMENT["items"][0]
    taxes = [{"name": "VAT", "amount": "1.00"}, {"name": "none", "amount": ""}]
    order = mapping.record(
        {
            **DOCUMENT,
            "items": [
                {**line, "taxes": taxes, "eco": "0.10"},
                {**line, "gift": True},
                {**line, "qty": 0},
                {**line, "kind": "not for sale"},
                {**line, "gift": "true"},
                {**line, "gift": False, "taxes": None},
            ],
            "deliverBy": "2026-11-30T00:00:00Z",
        }
    )
    assert [[tax.title for tax in line.taxes] for line in order.lines] == [["VAT", "Eco"], []]
    assert [deadline.kind for deadline in order.deadlines] == [DeadlineKind.DELIVER]


def test_a_key_may_stand_beside_each():
    text = ORDER.replace("  each: items\n", "  each: items\n  key: nr\n").replace(
        "    key: id\n", ""
    )
    order = load(text).record({**DOCUMENT, "items": [{**DOCUMENT["items"][0], "nr": 7}]})
    assert order.lines[0].key == "7"


def test_single_units_are_a_list_of_texts():
    mapping = load(
        ORDER.replace("    sku: sku | sku\n", "    sku: sku | sku\n    unit_keys: units[].id\n")
    )
    units = [{"id": 7}, {"id": "b"}, {}]
    order = mapping.record({**DOCUMENT, "items": [{**DOCUMENT["items"][0], "units": units}]})
    assert order.lines[0].unit_keys == ("7", "b")
    assert load(ORDER).record(DOCUMENT).lines[0].unit_keys == ()
    assert mapping.record(DOCUMENT).lines[0].unit_keys == ()


def test_skip_when_at_the_top_leaves_the_object_out():
    mapping = load(ORDER + "skip_when: pay is not PAID\n")
    assert mapping.record(DOCUMENT) is not None
    assert mapping.record({**DOCUMENT, "pay": "PENDING"}) is None


# ---------------------------------------------------------------- choices


def test_an_unknown_word_is_one_exception_with_the_line_to_edit():
    hold = held(load(ORDER), {**DOCUMENT, "pay": "ON_LAYAWAY"})
    assert hold.reason == 'payment "ON_LAYAWAY" is not in choices.payment (pay)'
    assert hold.cause == "mapping:shop.order:choices.payment:ON_LAYAWAY"
    assert hold.next_step == (
        "Add a line for this word to choices.payment in mappings/shop/order.yaml:20:12 (right side:"
        " pending, authorized, part, paid, cod, refunded, void, or ignore) and save: what waits"
        " goes on."
    )
    other = held(load(ORDER), {**DOCUMENT, "pay": "ON_LAYAWAY", "name": "#2"})
    assert other.cause == hold.cause


def test_other_holds_name_the_line_of_the_file():
    hold = held(load(ORDER), {**DOCUMENT, "at": "yesterday"})
    assert hold.cause == "mapping:shop.order:placed_at:not_time"
    assert hold.next_step == (
        "Correct the value in the system it comes from, or edit mappings/shop/order.yaml:8:14 and"
        " save; the record then continues by itself."
    )


def test_ignore_leaves_out_the_entry_or_the_whole_record():
    words = changed("PENDING: pending}", "PENDING: pending, DRAFT: ignore, otherwise: ignore}")
    assert load(words).record({**DOCUMENT, "pay": "DRAFT"}) is None
    assert load(words).record({**DOCUMENT, "pay": "ANY"}) is None
    lines = load(
        ORDER.replace("    sku: sku | sku\n", "    sku: sku | sku\n    title: kind | choose kind\n")
        + "  kind: {tip: ignore, otherwise: goods}\n"
    )
    items = [{**DOCUMENT["items"][0], "kind": "tip"}, {**DOCUMENT["items"][1], "kind": "x"}]
    assert [line.title for line in lines.record({**DOCUMENT, "items": items}).lines] == ["goods"]


def test_choices_know_true_false_and_numbers_by_their_text_and_null_is_no_word():
    mapping = reading(
        "  tax_included: x | choose tax",
        after='  tax: {"true": false, "7": true, otherwise: hold}\n',
    )
    assert mapping.record({**DOCUMENT, "x": True}).tax_included is False
    assert mapping.record({**DOCUMENT, "x": 7}).tax_included is True
    assert mapping.record({**DOCUMENT, "x": None}).tax_included is False
    assert (
        held(mapping, {**DOCUMENT, "x": {"a": 1}}).reason
        == "tax_included (an object) is not text (x)"
    )


def test_otherwise_may_be_a_word_of_ours():
    mapping = load(changed("PENDING: pending}", "otherwise: pending}"))
    assert mapping.record({**DOCUMENT, "pay": "?"}).payment is Payment.PENDING


# ---------------------------------------------------------------- buyers


@pytest.mark.parametrize(
    "line",
    [
        "ship_to.country: x | country",
        "ship_to.name: x | sku",
        "email: x | sku",
        "ship_to.company: x | choose w",
    ],
)
def test_a_buyer_s_value_is_in_no_hold(line):
    """G20, T13: neither reason, cause nor next step."""
    mapping = reading(f"  {line}", after="  w: {a: b}\n" if "choose" in line else "")
    hold = held(mapping, {**DOCUMENT, "x": "Jane\u200bRoe"})
    assert "(not shown)" in hold.reason
    assert "Jane" not in f"{hold.reason}{hold.cause}{hold.next_step}{hold}"


def test_a_long_value_is_cut():
    hold = held(load(ORDER), {**DOCUMENT, "pay": "x" * 500})
    assert len(hold.reason) < 120
    assert len(hold.cause) < 120


# ---------------------------------------------------------------- anything at all

WRONG = st.recursive(
    st.sampled_from(
        [None, True, 0, -1, 10**30, "", "x", "1.5", Decimal("0.1"), Decimal("1E+99"), "\u200b"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*DOCUMENT, "items.id", "items.sku", "items.qty", "items.price"]), WRONG
        )
    )
)
def test_any_document_becomes_a_record_or_a_hold(changes):
    """H27: nothing a system sends may crash the lane."""
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        head, _, rest = path.partition(".")
        if not rest:
            document[head] = copy.deepcopy(value)
        elif (
            isinstance(document[head], list)
            and document[head]
            and isinstance(document[head][0], dict)
        ):
            document[head][0][rest] = copy.deepcopy(value)
    try:
        made = MAPPING.record(document)
    except Hold as hold:
        assert hold.reason and hold.next_step and hold.cause.startswith("mapping:shop.order:")  # noqa: PT017, PT018
        return
    assert made is None or isinstance(made, Order)


MAPPING = load(ORDER)
