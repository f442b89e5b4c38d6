"""Broken reading mappings, and every word an operator reads about them (style.md 6)."""

from __future__ import annotations

import pytest

from core.mapping.catalog import INCOMING
from tests.unit.mapping.mapped import ORDER, changed, problems

CHOICES = "choices:\n  payment: {PAID: paid, PENDING: pending}\n"


def case(name, text, message):
    return pytest.param(text, message, id=name)


READ = [
    case(
        "a field mapped twice",
        changed("  number: name", "  number: name\n  key: nr"),
        "8:3  key is mapped twice\n  Remove one.",
    ),
    case(
        "fields that are no lines",
        changed("choices:", "deadlines: {fields: x}\nchoices:"),
        "19:12  deadlines.kind is required and not mapped\n"
        "19:12  deadlines.at is required and not mapped\n"
        "19:21  fields must be lines of the form left: right",
    ),
    case(
        "a key of a list without keys",
        changed("choices:", "shipping_taxes: {key: id, fields: {amount: a | money}}\nchoices:"),
        "19:23  shipping_taxes have no key\n  Remove the line.",
    ),
    case(
        "constants of another type",
        changed("choices:", "required: []\nchoices:")
        .replace("qty | whole", "= two")
        .replace("at | time", "= now")
        .replace("price | money", "5")
        .replace("  number: name", "  number: name\n  test: = yes"),
        "8:9  test: = yes does not fit test\n"
        "  Words are: true, false\n"
        "9:14  placed_at: = now does not fit placed_at\n"
        "18:15  lines.quantity: = two does not fit quantity\n"
        "19:17  lines.unit_price: = 5 does not fit unit_price",
    ),
    case(
        "a word that is a map",
        changed("PAID: paid", "PAID: {a: b}"),
        '20:19  payment: "" is not a word of payment (pay)\n'
        "  Words are: pending, authorized, part, paid, cod, refunded, void",
    ),
    case(
        "a reference in a list",
        changed("  number: name", "  number: '[&name]'"),
        "7:12  number: the path [&name] has a & outside a function",
    ),
    case(
        "a path that is too long",
        changed("  number: name", f"  number: {'a' * 501}"),
        f"7:11  number: the path {'a' * 80}… is longer than 500 characters",
    ),
    case(
        "a path that is too deep",
        changed("  number: name", f"  number: '{'!' * 60}name'"),
        f"7:12  number: the path {'!' * 60}name is nested too deep",
    ),
    case(
        "an index beyond any list",
        changed("  number: name", "  number: name[-]"),
        "7:11  number: the path name[-] cannot be read from column 6 on",
    ),
    case(
        "a field of ours that does not exist",
        changed("  number: name", "  nummber: name"),
        "1:1  number is required and not mapped\n"
        "7:3  nummber is not a field of ours\n"
        '  Did you mean "number"?',
    ),
    case(
        "an inner field that does not exist",
        changed("  number: name", "  number: name\n  ship_to.zip: zip"),
        '8:3  ship_to.zip is not a field of ours\n  Did you mean "ship_to.city"?',
    ),
    case(
        "a list under fields",
        changed("  number: name", "  number: name\n  lines: items"),
        "8:3  lines is a list\n  Write it as a block beside fields, with each.",
    ),
    case(
        "a group under fields",
        changed("  number: name", "  number: name\n  ship_to: address"),
        '8:3  ship_to is not a field of ours\n  Did you mean "ship_to.name"?',
    ),
    case(
        "extras without a word",
        changed("  number: name", "  number: name\n  extras: x"),
        "8:3  extras needs a word of its own\n  extras.shop: …",
    ),
    case(
        "an unknown step",
        changed("at | time", "at | tme"),
        '8:19  placed_at: "tme" is not a step (at)\n  Did you mean "time"?',
    ),
    case(
        "a step that is missing",
        changed("at | time", "at |"),
        "8:17  placed_at: a step is missing after | (at)\n"
        f"  Steps are: {' '.join(sorted(INCOMING))}",
    ),
    case(
        "an argument for a step without",
        changed("sku | sku", "sku | sku big"),
        "16:16  lines.sku: sku takes nothing after it, not big",
    ),
    case(
        "a step without its argument",
        changed("pay | choose payment", "pay | choose"),
        "11:18  payment: choose needs a table of choices after it (pay)\n"
        "  For example: choose payment",
    ),
    case(
        "join without quotes",
        changed("  number: name", "  number: names | join -"),
        '7:24  number: join: - must stand in double quotes: "-" (names)',
    ),
    case(
        "contains without argument",
        changed("  number: name", "  number: name\n  test: tags | contains"),
        "8:16  test: contains needs a text in double quotes after it (tags)\n"
        '  For example: contains "COD"',
    ),
    case(
        "an unknown zone",
        changed("at | time", 'at | time "Asia/Calcuta"'),
        '8:24  placed_at: time: "Asia/Calcuta" is not a time zone (at)\n'
        '  Did you mean "Asia/Calcutta"?',
    ),
    case(
        "an epoch unit",
        changed("at | time", 'at | epoch "us"'),
        '8:25  placed_at: epoch: knows "s" and "ms" (at)',
    ),
    case(
        "a default that is bare",
        changed("  number: name", "  number: name | default none"),
        '7:26  number: default: none must be a whole number, true, false or "a text" (name)',
    ),
    case(
        "a default of another type",
        changed("qty | whole", 'qty | whole | default "one"'),
        '17:29  lines.quantity: default: "one" is not a whole number (qty)',
    ),
    case(
        "no such table",
        changed("choose payment", "choose paymnt"),
        '11:18  payment: there is no choices.paymnt (pay)\n  Did you mean "payment"?',
    ),
    case(
        "tables under a misspelt head",
        changed("choices:\n", "choises:\n"),
        "11:18  payment: there is no choices.payment (pay)\n"
        "  It belongs under choices; the file has choises.\n"
        '19:1  choises is not known here\n  Did you mean "choices"?',
    ),
    case(
        "a slip in otherwise",
        changed("PENDING: pending}", "PENDING: pending, otherwhise: hold}"),
        "20:43  choices.payment: otherwhise is nearly otherwise\n"
        "  Write otherwise, or put it in quotes if it really is a word of theirs.",
    ),
    case(
        "letters in another order",
        changed("at | time", "at | tiem"),
        '8:19  placed_at: "tiem" is not a step (at)\n  Did you mean "time"?',
    ),
    case(
        "an unused table",
        changed("choices:\n", "choices:\n  colors: {red: blue}\n"),
        "20:11  choices.colors is used by no line",
    ),
    case(
        "a word that is not ours",
        changed("PAID: paid", "PAID: payed"),
        '20:19  payment: "payed" is not a word of payment (pay)\n  Did you mean "paid"?',
    ),
    case(
        "a wrong otherwise",
        changed("PENDING: pending}", "otherwise: keep}"),
        '20:36  payment: "keep" is not a word of payment (pay)\n'
        "  Words are: pending, authorized, part, paid, cod, refunded, void",
    ),
    case(
        "an enum as a constant",
        changed("pay | choose payment", "= payed").replace(CHOICES, ""),
        "11:12  payment: = payed does not fit payment\n"
        "  Words are: pending, authorized, part, paid, cod, refunded, void",
    ),
    case(
        "an enum without choose",
        changed("pay | choose payment", "pay").replace(CHOICES, ""),
        "11:12  payment is a word of a closed list: add | choose TABLE (pay)",
    ),
    case(
        "a whole number without a step",
        changed("qty | whole", "qty"),
        "17:15  lines.quantity is a whole number: add | whole (qty)",
    ),
    case(
        "money without a step",
        changed("  total: total | money", "  total: total"),
        "10:10  total is money: add | money or | minor",
    ),
    case(
        "a time without a step",
        changed("at | time", "at"),
        "8:14  placed_at is a time: add | time, | date or | epoch (at)",
    ),
    case(
        "a flag without a step",
        changed("  number: name", "  number: name\n  test: test"),
        "8:9  test is true or false: add | flag, | contains or | choose",
    ),
    case(
        "a step on the wrong kind",
        changed("total | money", "total | money | upper"),
        "10:26  total: upper cannot work on money (total)\n"
        "  Write it before | money, or leave it out.",
    ),
    case(
        "a step after choose",
        changed("choose payment", "choose payment | lower"),
        "11:35  payment: lower cannot work on a chosen word (pay)\n"
        "  Write it before | choose payment, or leave it out.",
    ),
    case(
        "a path that is no path",
        changed("  number: name", "  number: name..x"),
        "7:11  number: the path name..x cannot be read from column 6 on",
    ),
    case(
        "an open bracket",
        changed("  number: name", "  number: name["),
        "7:11  number: the path name[ ends too early",
    ),
    case(
        "a pipe in brackets",
        changed("  number: name", "  number: (name | x)"),
        "7:11  number: the path (name | x) has a | inside brackets",
    ),
    case(
        "a function that is not exact",
        changed("  number: name", "  number: to_number(name)"),
        "7:11  number: the path to_number(name) uses to_number(); use a step instead, or put text"
        " in ' '",
    ),
    case(
        "an unknown function",
        changed("  number: name", "  number: nme(name)"),
        "7:11  number: the path nme(name) uses nme(); use a step instead, or put text in ' '",
    ),
    case(
        "a function with too few values",
        changed("  number: name", "  number: contains(name)"),
        "7:11  number: the path contains(name) gives contains() too few values",
    ),
    case(
        "a text in backticks",
        changed("  number: name", "  number: name || `none`"),
        "7:11  number: the path name || `none` has a text in ` `; text stands in ' '",
    ),
    case(
        "a loose reference",
        changed("  number: name", "  number: '&name'"),
        "7:12  number: the path &name has a & outside a function",
    ),
    case(
        "a slice by zero",
        changed("  number: name", "  number: name[::0]"),
        "7:11  number: the path name[::0] has a slice with step 0",
    ),
    case(
        "no path",
        changed("  number: name", "  number: '| upper'"),
        "7:11  number: has no path\n  A constant begins with =, for example: = main",
    ),
    case(
        "an empty line",
        changed("  number: name", "  number:"),
        "7:10  number: needs a path or a constant here\n  For example: items[0].name | trim",
    ),
    case(
        "a map where a line was due",
        changed("  number: name", "  number: {a: b}"),
        "7:11  number: needs a path or a constant here\n  For example: items[0].name | trim",
    ),
    case(
        "a required field that is not mapped",
        changed("  number: name\n", ""),
        "1:1  number is required and not mapped",
    ),
    case(
        "a required field of a list",
        changed("    quantity: qty | whole\n", ""),
        "13:3  lines.quantity is required and not mapped",
    ),
    case(
        "a required list",
        changed(ORDER[ORDER.index("lines:") : ORDER.index("choices:")], ""),
        "1:1  lines is required and not mapped",
    ),
    case(
        "an unknown block",
        changed("lines:", "linse:"),
        "1:1  lines is required and not mapped\n"
        "12:1  linse is not known here\n"
        '  Did you mean "lines"?',
    ),
    case(
        "an unknown word in a block",
        changed("  each: items", "  each: items\n  skip_wen: x is 1"),
        '14:3  lines.skip_wen is not known here\n  Did you mean "skip_when"?',
    ),
    case(
        "a block that is no block",
        changed("lines:\n", "deadlines: shipBy\nlines:\n"),
        "12:12  deadlines must be a block with each and fields",
    ),
    case(
        "a bad skip_when",
        changed("  each: items", "  each: items\n  skip_when: qty = 0"),
        "14:14  skip_when is not understood\n"
        "  Write: PATH is VALUE, PATH is not VALUE, PATH is one of VALUE, VALUE, PATH is empty,"
        " PATH is present, or PATH is zero",
    ),
    case(
        "a bad path in skip_when",
        changed("  each: items", "  each: items\n  skip_when: qty[ is 0"),
        "14:14  the path qty[ ends too early",
    ),
    case(
        "required of something unmapped",
        changed("choices:", "required: [number, lines.title]\nchoices:"),
        '19:20  required: lines.title is not mapped\n  Did you mean "lines.quantity"?',
    ),
    case(
        "required that is no list",
        changed("choices:", "required: number\nchoices:"),
        "19:11  required must be a list\n  For example: [number, lines.sku]",
    ),
    case(
        "a key where there is none",
        "mapping: shop.price\nversion: 1\nbecomes: price\nkey: id\nfields:\n  sku: sku\n",
        "4:6  a Price has no key\n  Remove the line.",
    ),
    case(
        "a reading without a number",
        "mapping: shop.stock_reading\nversion: 1\nbecomes: stock_reading\n"
        "fields:\n  sku: sku\n  place: place\n",
        "1:1  on_hand or available must be mapped\n"
        "  on_hand still holds our orders; available is already net of them.",
    ),
    case(
        "another name",
        changed("mapping: shop.order", "mapping: shop.orders"),
        "1:10  mapping is shop.orders, the file is shop.order\n  mapping: shop.order",
    ),
    case(
        "no name and no version",
        changed("mapping: shop.order\nversion: 1\n", ""),
        "1:1  the first line is missing\n"
        "  mapping: shop.order\n"
        "1:1  version is missing\n"
        "  version: 1, and one more with every change",
    ),
    case(
        "a version in words",
        changed("version: 1", "version: one"),
        "2:10  version must be a whole number from 1",
    ),
    case(
        "neither becomes nor sends",
        changed("becomes: order\n", ""),
        "1:1  a mapping has either becomes (theirs to ours) or sends (ours to theirs)",
    ),
    case(
        "an unknown record",
        changed("becomes: order", "becomes: ordr"),
        '3:10  ordr is not a record of ours\n  Did you mean "order"?',
    ),
    case(
        "a money path",
        changed("total | money", "total | money cur["),
        "10:24  total: money: the path cur[ ends too early (total)",
    ),
    case(
        "a number for an enum",
        changed("pay | choose payment", "5").replace(CHOICES, ""),
        "11:12  payment: = 5 does not fit payment\n"
        "  Words are: pending, authorized, part, paid, cod, refunded, void",
    ),
    case(
        "four problems at once",
        changed("  number: name", "  nummber: name")
        .replace("at | time", "at | tme")
        .replace("qty | whole", "qty")
        .replace("PAID: paid", "PAID: payed"),
        "1:1  number is required and not mapped\n"
        "7:3  nummber is not a field of ours\n"
        '  Did you mean "number"?\n'
        '8:19  placed_at: "tme" is not a step (at)\n'
        '  Did you mean "time"?\n'
        "17:15  lines.quantity is a whole number: add | whole (qty)\n"
        '20:19  payment: "payed" is not a word of payment (pay)\n'
        '  Did you mean "paid"?',
    ),
    case(
        "a duplicate key",
        changed("  number: name", "  number: name\n  number: nr"),
        '8:3  "number" is already set in line 7\n  Remove one.',
    ),
    case(
        "a list instead of a file", "- a\n- b\n", "1:1  a mapping is lines of the form left: right"
    ),
]


@pytest.mark.parametrize(("text", "message"), READ)
def test_a_broken_reading_mapping_says_what_where_and_what_now(text, message):
    name = "" if text.startswith("mapping:") and "shop.orders" not in text else "shop.order"
    said = problems(text, name)
    for file in ("price", "stock_reading"):
        said = said.replace(f"mappings/shop/{file}.yaml:", "")
    assert said == message
