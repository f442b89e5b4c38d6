"""Broken sending mappings, and every word an operator reads about them (style.md 6)."""

from __future__ import annotations

import pytest

from tests.unit.mapping.mapped import SEND, changed, problems


def to_send(old, new):
    return changed(old, new, SEND)


def case(name, text, message):
    return pytest.param(text, message, id=name)


SENT = [
    case(
        "a plain value of a list that is broken",
        to_send("    fields:\n      sku: sku\n      qty: quantity\n", "    value: skew\n"),
        "8:12  items: skew is not a field of ours\n"
        "  Fields are: line, sku, quantity, lot, expires_on",
    ),
    case(
        "a step on a list",
        to_send("  reference: reference", "  r: lines.sku | upper"),
        "5:18  r: upper cannot work on a list (lines.sku)",
    ),
    case(
        "a list inside a group that is none",
        to_send("each: lines", "each: lines.sku"),
        "7:11  lines.sku is not a list of ours",
    ),
    case(
        "an unknown name through a list",
        to_send("  reference: reference", "  r: lines.skew"),
        "5:6  r: skew is not a field of ours (lines.skew)\n"
        "  Fields are: line, sku, quantity, lot, expires_on",
    ),
    case(
        "a condition on what is no text",
        to_send("    each: lines", "    each: lines\n    skip_when: sku is empty").replace(
            "  reference: reference", "  w:\n    skip_when: ship_by is now\n    fields: {a: order}"
        ),
        "6:16  ship_by can only be empty or present",
    ),
    case(
        "unknown name of ours",
        to_send("  reference: reference", "  reference: refrence"),
        '5:14  reference: refrence is not a field of ours\n  Did you mean "reference"?',
    ),
    case(
        "unknown inner name",
        to_send("  reference: reference", "  zip: ship_to.zip"),
        '5:8  zip: ship_to.zip is not a field of ours\n  Did you mean "ship_to.city"?',
    ),
    case(
        "unknown name in a list",
        to_send("sku: sku", "sku: skew"),
        "9:12  items.sku: skew is not a field of ours\n"
        "  Fields are: line, sku, quantity, lot, expires_on",
    ),
    case(
        "money without a form",
        to_send("  reference: reference", "  cod: cash_to_collect"),
        "5:8  cod: money must say its form: add | decimal, | amount or | minor (cash_to_collect)",
    ),
    case(
        "time without a form",
        to_send("  reference: reference", "  by: ship_by"),
        '5:7  by: a time must say its form: add | iso, | time "UTC", | date or | epoch (ship_by)',
    ),
    case(
        "a group",
        to_send("  reference: reference", "  to: ship_to"),
        "5:7  to: ship_to is a group; name one of its fields",
    ),
    case(
        "words",
        to_send("  reference: reference", "  to: extras"),
        "5:7  to: extras is a group; name one of its words",
    ),
    case(
        "a list",
        to_send("  reference: reference", "  to: lines"),
        "5:7  to: lines is a list; write a block with each",
    ),
    case(
        "parts of text",
        to_send("  reference: reference", "  to: reference.x"),
        "5:7  to: reference.x: reference has no parts",
    ),
    case(
        "a wrong step",
        to_send("  reference: reference", "  cod: cash_to_collect | upper"),
        "5:26  cod: upper cannot work on money (cash_to_collect)\n"
        "  money must say its form: add | decimal, | amount or | minor",
    ),
    case(
        "a step of the other way",
        to_send("  reference: reference", "  r: reference | sku"),
        '5:18  r: "sku" is not a step (reference)\n  Did you mean "sum"?',
    ),
    case(
        "each is no list",
        to_send("each: lines", "each: ship_to"),
        "7:11  ship_to is not a list of ours",
    ),
    case(
        "each is unknown",
        to_send("each: lines", "each: items"),
        '7:11  items is not a field of ours\n  Did you mean "lines"?',
    ),
    case(
        "each runs into a plain field",
        to_send("each: lines", "each: lines.sku.x"),
        "7:11  lines.sku.x is not a list of ours",
    ),
    case(
        "an unknown list inside a list",
        to_send("each: lines", "each: lines.taxes"),
        '7:11  lines.taxes is not a field of ours\n  Did you mean "lines"?',
    ),
    case(
        "above where nothing is",
        to_send("  reference: reference", "  r: above.reference"),
        "5:6  r: above.reference: nothing is above here\n"
        "  It names a field of what a list stands in: write it inside of each.",
    ),
    case(
        "above in a block that is no list",
        to_send("  reference: reference", "  r:\n    fields: {a: above.reference}"),
        "6:17  r.a: above.reference: nothing is above here\n"
        "  It names a field of what a list stands in: write it inside of each.",
    ),
    case(
        "an unknown name above",
        to_send("sku: sku", "sku: above.referenc"),
        "9:12  items.sku: referenc is not a field of ours (above.referenc)\n"
        '  Did you mean "reference"?',
    ),
    case(
        "one of several blocks is none",
        to_send(
            "    each: lines\n    fields:\n      sku: sku\n      qty: quantity\n",
            "    - each: lines\n      fields: {sku: sku}\n    - {sku: service}\n",
        ),
        "9:7  items: is not a block with fields or value",
    ),
    case(
        "a list of plain lines",
        to_send(
            "    each: lines\n    fields:\n      sku: sku\n      qty: quantity\n",
            "    - service\n    - order\n",
        ),
        "7:5  items: needs a path or a constant here\n  For example: items[0].name | trim",
    ),
    case(
        "fields missing",
        to_send("    fields:\n      sku: sku\n      qty: quantity\n", ""),
        "7:5  items: fields is missing",
    ),
    case(
        "an unknown word",
        to_send("    each: lines", "    each: lines\n    skip_wen: x is 1"),
        '8:5  skip_wen is not known here\n  Did you mean "skip_when"?',
    ),
    case(
        "two ways",
        to_send("  reference: reference", "  a: reference\n  a.b: channel"),
        "6:3  a is set in two ways\n  Remove one.",
    ),
    case(
        "a bad name of theirs",
        to_send("  reference: reference", "  .a: reference"),
        '5:3  ".a" is not a name of theirs',
    ),
    case(
        "skip on money",
        to_send("    each: lines", "    each: lines\n    skip_when: sku is empty").replace(
            "sku is empty", "quanty is 0"
        ),
        '8:16  quanty is not a field of ours\n  Did you mean "quantity"?',
    ),
    case(
        "required",
        to_send("body:", "required: [item]\nbody:"),
        '4:12  required: item is not in the body\n  Did you mean "items"?',
    ),
    case(
        "unknown top word", to_send("body:", "fields: {}\nbody:"), "4:1  fields is not known here"
    ),
    case(
        "no body",
        "mapping: shop.fulfill_order\nversion: 1\nsends: fulfill_order\n",
        "1:1  body is missing",
    ),
    case(
        "unused table",
        to_send("body:", "choices: {x: {a: b}}\nbody:"),
        "4:14  choices.x is used by no line",
    ),
    case(
        "no table",
        to_send("  reference: reference", "  r: reference | choose x"),
        "5:18  r: there is no choices.x (reference)",
    ),
    case(
        "a word without theirs",
        to_send("  reference: reference\n", "  r: service | choose s\n") + "choices:\n  s: {a: }\n",
        "12:9  r: choices.s: a has no word of theirs (service)",
    ),
    case(
        "unknown command",
        to_send("sends: fulfill_order", "sends: fulfil"),
        '3:8  fulfil is not a command of ours\n  Did you mean "fulfill_order"?',
    ),
    case(
        "no path",
        to_send("  reference: reference", "  r: '| upper'"),
        "5:6  r: has no path\n  A constant begins with =, for example: = main",
    ),
]


@pytest.mark.parametrize(("text", "message"), SENT)
def test_a_broken_sending_mapping_says_what_where_and_what_now(text, message):
    assert problems(text) == message
