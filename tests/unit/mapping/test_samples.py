"""Examples beside a mapping: what passes, and how a failing one reads."""

from __future__ import annotations

import json

import pytest

from core import codec
from core.mapping import run_samples
from tests.unit.mapping.mapped import DOCUMENT, ORDER, SEND, changed, write
from tests.unit.mapping.test_sending import ASK


@pytest.fixture
def run(tmp_path):
    """Run examples against ORDER (or another text) and return what an operator reads."""

    def run(examples, text=ORDER, document=DOCUMENT):
        path = write(tmp_path, text)
        (path.parent / "samples").mkdir(exist_ok=True)
        (path.parent / "samples" / "one.json").write_text(json.dumps(document))
        path.with_name(f"{path.stem}.test.yaml").write_text(examples)
        return "\n".join(map(str, run_samples(path))).replace("mappings/shop/", "")

    return run


GOOD = """\
- name: all kinds of values
  given: samples/one.json
  expect:
    key: "820982911946154508"
    number: "#1001"
    total: 43.97
    placed_at: 2026-11-20T15:03:22+01:00
    payment: paid
    test: false
    cancelled_at: null
    ship_to.postcode: ""
    extras: {}
    deadlines: []
    lines:
      - {sku: "00123", quantity: 2, unit_price: "20.00 EUR"}
      - {sku: MUG}
- name: an unknown payment word waits for a person
  given: samples/one.json
  change: {pay: ON_LAYAWAY}
  expect_hold: payment "ON_LAYAWAY" is not in choices.payment
- name: change reaches into lists and makes what is not there
  given: samples/one.json
  change: {items.1.qty: 7, new.deep: 1, items.0: null}
  expect_hold: lines.key is missing
"""


def test_good_examples_are_silent(run):
    assert run(GOOD) == ""


def test_a_mapping_without_examples_is_fine(tmp_path):
    assert run_samples(write(tmp_path, ORDER)) == []


def test_a_skipped_document(run):
    text = ORDER + "skip_when: pay is PENDING\n"
    example = (
        "- {name: a draft, given: samples/one.json, change: {pay: PENDING}, expect_skip: true}\n"
    )
    assert run(example, text) == ""
    assert run(example) == "order.test.yaml:1:81  a draft: was not skipped"
    wrong = example.replace("expect_skip: true", "expect: {key: 1}")
    assert run(wrong, text) == "order.test.yaml:1:10  a draft: was skipped"


def one(*lines, name="it"):
    return "\n".join([f"- name: {name}", "  given: samples/one.json", *lines, ""])


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (one("  expect: {number: '#1002'}"), '3:20  it: number is "#1001", not #1002'),
        (one("  expect: {total: '43.98'}"), "3:19  it: total is 43.97 EUR, not 43.98"),
        (one("  expect: {total: 43.97 USD}"), "3:19  it: total is 43.97 EUR, not 43.97 USD"),
        (one("  expect: {payment: cod}"), '3:21  it: payment is "paid", not cod'),
        (one("  expect: {test: true}"), "3:18  it: test is False, not true"),
        (one("  expect: {test: 0}"), "3:18  it: test is False, not 0"),
        (
            one("  expect: {placed_at: 2026-11-20}"),
            "3:23  it: placed_at is 2026-11-20T14:03:22+00:00, not 2026-11-20",
        ),
        (one("  expect:", "    lines: [{sku: A}]"), "4:12  it: lines has 2 entries, not 1"),
        (
            one("  expect:", "    lines:", "      - {quantity: 2}", "      - {quantity: two}"),
            "6:20  it: lines.1.quantity is 1, not two",
        ),
        (one("  expect: {nummber: 1}"), "3:12  it: nummber does not exist"),
        (one("  expect: {extras.shop: a}"), "3:12  it: extras.shop does not exist"),
        (one("  expect: {updated_at: x}"), "3:24  it: updated_at is None, not x"),
        (
            one("  expect: {updated_at: null, total: null}"),
            "3:37  it: total is 43.97 EUR, not null",
        ),
        (one("  expect_hold: payment"), "3:16  it: was not held"),
        (
            one("  change: {pay: X}", "  expect_hold: total"),
            '4:16  it: held for another reason: payment "X" is not in choices.payment (pay)',
        ),
        (
            one("  change: {name: null}", "  expect: {key: 1}"),
            "1:9  it: held: number is missing (name)\n"
            "  Correct the value in the system it comes from, or edit order.yaml:7:11 and save;"
            " the record then continues by itself.",
        ),
        (
            one("  change: {items.7.qty: 1}", "  expect: {key: 1}"),
            "3:12  change: items.7.qty is not in the sample",
        ),
        (
            one("  change: {name.x: 1}", "  expect: {key: 1}"),
            "3:12  change: name.x is not in the sample",
        ),
        (
            one("  change: {items.x: 1}", "  expect: {key: 1}"),
            "3:12  change: items.x is not in the sample",
        ),
        (
            one(),
            "1:3  an example has name, given and one of expect, expect_hold, expect_skip",
        ),
        (
            one("  expext: {key: 1}", "  expect: {number: '#1001'}"),
            '3:3  expext is not known here\n  Did you mean "expect"?',
        ),
        ("a: b\n", "1:1  examples are a list\n  Each begins with - name:"),
        ("- a\n", "1:3  an example has name, given and one of expect, expect_hold, expect_skip"),
        ("- name: [\n", "2:1  not YAML: "),
        (
            one("  expect: {key: 1}").replace("one", "two"),
            "2:10  samples/two.json cannot be read: No such file or directory",
        ),
        (
            one("  expect: {key: 1}").replace("samples/one.json", "../../secret.json"),
            "2:10  ../../secret.json is outside the folder of the mapping",
        ),
    ],
)
def test_a_failing_example_says_where_and_what(run, examples, message):
    said = run(examples)
    assert said.startswith(f"order.test.yaml:{message}")
    assert said.count("order.test.yaml") == 1


def test_a_broken_sample_file_is_named(run):
    assert run(one("  expect: {key: 1}"), document=float("nan")) == (
        "order.test.yaml:2:10  samples/one.json: NaN is not a JSON value"
    )


def test_an_endless_sample_file_is_not_read(run):
    said = run(one("  expect: {key: 1}"), document="x" * (4 * 1024 * 1024))
    assert said == "order.test.yaml:2:10  samples/one.json is larger than 4 MiB"


def test_a_misspelt_path_that_happens_to_be_optional_is_noticed(run):
    """H27: every path engine answers null for a name that is not there."""
    text = changed("  number: name\n", "  number: name\n  cancelled_at: canceled_at | time\n")
    document = {**DOCUMENT, "cancelled_at": None}
    assert run(one("  expect: {number: '#1001'}"), text, document) == (
        'order.yaml:8:17  cancelled_at: no sample has "canceled_at"\n  Did you mean "cancelled_at"?'
    )
    read_too = changed("  number:", "  updated_at: cancelled_at | time\n  number:", text)
    assert run(one("  expect: {number: '#1001'}"), read_too, document) == ""


def test_a_slip_in_a_list_is_said_once_at_the_list_and_one_inside_at_its_line(run):
    example = one("  expect: {lines: [{sku: '00123'}, {sku: MUG}]}")
    at_the_list = run(example, changed("  each: items", "  each: itmes"))
    assert at_the_list.startswith(
        'order.yaml:13:9  lines: no sample has "itmes"\n  Did you mean "items"?\n'
        "order.test.yaml:3:19  it: lines has 0 entries, not 2"
    )
    read = changed("    unit_price: price | money", "    unit_price: pirce | money")
    assert run(example, read).startswith(
        'order.yaml:18:17  lines.unit_price: no sample has "items[].pirce"\n'
        '  Did you mean "price"?\n'
        "order.test.yaml:1:9  it: held: lines.unit_price is missing (pirce, entry 1)"
    )


def test_what_holds_many_examples_is_said_once(run):
    text = changed("total | money", "totl | money")
    said = run(one("  expect: {key: 1}") + one("  expect: {number: x}") * 3, text)
    assert said.splitlines() == [
        'order.yaml:10:10  total: no sample has "totl"',
        '  Did you mean "total"?',
        'order.test.yaml:1:9  it: held: total is missing (totl). Did you mean "total"?'
        " (and 3 more examples)",
        "  Correct the value in the system it comes from, or edit order.yaml:10:10 and save;"
        " the record then continues by itself.",
    ]


def test_an_outgoing_example_gives_our_command_and_expects_their_body(run):
    document = json.loads(codec.to_json(ASK))
    good = one(
        "  change: {lines.0.quantity: 5}",
        "  expect: {reference: truecount:shop:1:fulfill, items: [{qty: 5}, {sku: MUG}]}",
    )
    assert run(good, SEND, document) == ""
    nested = SEND.replace("  reference: reference", "  to.zip: ship_to.postcode")
    assert run(one('  expect: {to.zip: "00123"}'), nested, document) == ""
    bad = one("  expect: {reference: x, items: []}")
    assert run(bad, SEND, document) == (
        'fulfill_order.test.yaml:3:23  it: reference is "truecount:shop:1:fulfill", not x\n'
        "fulfill_order.test.yaml:3:33  it: items has 2 entries, not 0"
    )
    assert run(one("  change: {lines: 5}", "  expect: {a: 1}"), SEND, document).startswith(
        "fulfill_order.test.yaml:2:10  samples/one.json is not a fulfill_order of ours: "
    )
