"""Explaining, drafting, fixtures, coverage and preview, each as a pure function."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MappingError, Problem
from core.mapping import load_mapping
from core.mapping.coverage import coverage_of
from core.mapping.drafting import draft
from core.mapping.explaining import explain
from core.mapping.preview import Change, Effect, Example, Held, Recorded, compare
from core.mapping.preview_page import page
from core.mapping.preview_text import lines as preview_lines
from core.mapping.preview_text import warning
from core.mapping.samples import samples_of
from core.mapping.sampling import as_file, scrub
from core.mapping.shapes import shape_of, written
from core.mapping.watching import Watch
from core.model import RECORDS
from core.strict import load_json
from tests.unit.mapping.mapped import DOCUMENT, ORDER, SEND, changed, load

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(
    path for path in (ROOT / "mappings").glob("*/*.yaml") if not path.name.endswith(".test.yaml")
)
READING = [path for path in FILES if "\nbecomes:" in path.read_text()]


@pytest.mark.parametrize("path", READING, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_watched_mapping_makes_the_same_records(path: Path) -> None:
    """What is explained is what happens: the same code, with notes."""
    mapping = load_mapping(path, path.name)
    watch = Watch()
    watched = mapping.watched(watch)
    for document in samples_of(path):
        given = {"external_id": "sample", "revision": "1"}
        assert watched.record(document, **given) == mapping.record(document, **given)
    assert watch.notes


def test_explain_goes_on_after_a_value_that_cannot_be_taken() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["items"][1]["qty"] = "2.5"
    document["pay"] = "COUPON"
    found = explain(load(ORDER), document)
    by_name = {one.name: one for one in found.fields}
    assert found.verdict.startswith('held: payment "COUPON" is not in choices.payment')
    assert by_name["lines[0].quantity"].steps == (("qty", "2"), ("whole", "2"))
    assert by_name["lines[1].quantity"].value == '"2.5"'
    refused = by_name["lines[1].quantity"].refused
    assert refused is not None
    assert refused.reason.startswith('lines.quantity "2.5" is not a whole number')
    assert by_name["lines[1].unit_price"].value == "3.97 EUR"
    assert by_name["total"].steps == (("total", '"43.97"'), ("money", "43.97 EUR"))
    assert json.dumps(found.as_json())


def test_explain_shows_conditions_and_what_is_left_out() -> None:
    text = changed("  each: items\n", "  each: items\n  skip_when: qty is 1\n")
    found = explain(load(text), DOCUMENT)
    assert found.verdict == "taken"
    shown = {one.name: one.value for one in found.fields}
    assert shown["lines[0].skip_when"] == "false"
    assert shown["lines[1].skip_when"] == "true"
    assert "lines[1].sku" not in shown


def test_explain_counts_the_entries_of_several_blocks_on() -> None:
    """Before, the second block's values stood behind the first one's, as if they were steps."""
    mapping = load(
        changed(
            "    unit_price: price | money\n",
            """    unit_price: price | money
  discounts:
    - fields: {title: = voucher, amount: off | money}
    - skip_when: coins is zero
      fields: {title: = coins, amount: coins | money}
""",
        )
    )
    items = [
        {"id": "a", "sku": "A", "qty": 1, "price": "9", "off": "1", "coins": "2"},
        {"id": "b", "sku": "B", "qty": 1, "price": "9", "off": "3", "coins": "0"},
    ]
    found = {one.name: one for one in explain(mapping, {**DOCUMENT, "items": items}).fields}
    assert [name for name in found if name.endswith("discounts[1].title")] == [
        "lines[0].discounts[1].title"
    ]
    assert found["lines[0].discounts[0].amount"].steps == (("off", '"1"'), ("money", "1.00 EUR"))
    assert found["lines[0].discounts[1].amount"].steps == (("coins", '"2"'), ("money", "2.00 EUR"))
    assert found["lines[1].discounts[0].amount"].value == "3.00 EUR"


def test_explain_of_a_mapping_that_sends() -> None:
    from core.model import Address, FulfillOrder, QuantityLine

    record = FulfillOrder(
        reference="r", channel="c", order="o", number="n", place="p", ship_to=Address(),
        lines=(QuantityLine(sku="TEA", quantity=2),),
    )  # fmt: skip
    found = explain(load(SEND), record)
    shown = {one.name: one.steps for one in found.fields}
    assert shown["reference"] == (("reference", '"r"'),)
    assert shown["items[0].qty"] == (("quantity", "2"),)


# ---------------------------------------------------------------- preview


def recorded(*documents: dict[str, object]) -> list[Recorded]:
    return [
        Recorded(label=f"no {at}", document=one, external_id=str(at), posted=True)
        for at, one in enumerate(documents)
    ]


def test_preview_counts_every_document_once() -> None:
    new = changed("PENDING: pending", "COUPON: paid")
    documents = [{**DOCUMENT, "pay": word} for word in ("PAID", "COUPON", "PENDING", "?")]
    found = compare(load(ORDER), load(new), recorded(*documents))
    assert (found.same, found.changed, found.still_held) == (1, 0, 1)
    [held] = found.held.values()
    assert (held.documents, held.labels) == (1, ["no 2"])
    [released] = found.released.values()
    assert released.reason == 'payment "COUPON" is not in choices.payment (pay)'
    assert found.posted == 2
    assert "no 2" in page(found)


def test_a_preview_says_that_more_is_posted_than_it_names() -> None:
    new = load(changed("PAID: paid", "PAID: part"))
    said = warning(compare(load(ORDER), new, recorded(*[DOCUMENT] * 7)))
    assert said.startswith("7 of them are posted already, so saving it asks first")
    assert said.endswith("takes it: no 0, no 1, no 2, no 3, no 4, …")
    said = warning(compare(load(ORDER), new, recorded(DOCUMENT)))
    assert said.endswith("takes it: no 0")


def test_preview_of_a_first_mapping_shows_every_field_as_new() -> None:
    found = compare(None, load(ORDER), recorded(DOCUMENT))
    assert found.fields["lines.sku"].documents == 1
    assert found.fields["total"].examples[0].before == "nothing"


def test_preview_does_not_show_what_a_person_wrote() -> None:
    text = changed("  number: name\n", "  number: name\n  extras.note: memo\n  extras.id: nr\n")
    one = {**DOCUMENT, "memo": "for Ada, 2nd floor", "nr": "A-7"}
    found = compare(load(ORDER), load(text), recorded(one))
    assert found.fields["extras.note"].examples[0].after == "(a text somebody wrote, not shown)"
    assert found.fields["extras.id"].examples[0].after == '"A-7"'


def test_preview_says_what_is_left_out_and_let_in() -> None:
    skipping = changed("becomes: order\n", "becomes: order\nskip_when: pay is PENDING\n")
    one = {**DOCUMENT, "pay": "PENDING"}
    assert compare(load(ORDER), load(skipping), recorded(one)).left_out == ["no 0"]
    assert compare(load(skipping), load(ORDER), recorded(one)).let_in == ["no 0"]


# ---------------------------------------------------------------- fixtures

NAMES = st.text(alphabet=st.characters(categories=["Lu", "Ll", "Lo"]), min_size=4, max_size=20)
PLACES = ("name", "shippingAddress", "customer", "buyer_note", "email", "phone")


@given(name=NAMES, place=st.sampled_from(PLACES), digits=st.integers(10**8, 10**12))
def test_no_buyer_survives_wherever_the_name_stands(name: str, place: str, digits: int) -> None:
    document = {
        "id": 123456789,
        "buyer": {place: name, "deep": [{"x": name}], "no": digits},
        "unknown": name,
        "title": f"for {name}",
        "tags": {f"{name}@example.org": 1},
    }
    made = as_file(scrub([document], None, key=b"k" * 32)[0]).decode()
    # The names of their fields stay, and may have a buyer's letters: "unkn" of "unknown".
    kept = re.sub(rf"'({'|'.join([*document, *PLACES, 'deep'])})':", "", str(json.loads(made)))
    assert name not in kept
    assert str(digits) not in made
    assert "123456789" not in made


def test_the_same_value_is_the_same_fake_and_shapes_stay() -> None:
    one = {"buyer": {"phone": "+49 170 1234567", "zip": "D-01067", "email": "a.b@c.de"}, "id": "X9"}
    two = {"order": {"receiver_phone": "+49 170 1234567"}, "at": "2026-11-20T10:00:00Z"}
    first, second = scrub([one, two], None, key=b"k" * 32)
    assert first["buyer"]["phone"] == second["order"]["receiver_phone"]
    assert len(first["buyer"]["zip"]) == 7
    assert first["buyer"]["zip"][1] == "-"
    assert first["buyer"]["email"].endswith("@example.com")
    assert second["at"] == "2026-01-02T10:00:00Z"
    assert scrub([one], None, key=b"z" * 32)[0]["buyer"]["phone"] != first["buyer"]["phone"]


def test_a_country_stays_one_whatever_its_field_is_called() -> None:
    """A faked code may be no country, and a fixture that is held says nothing."""
    mapping = load(
        changed("  number: name", "  number: name\n  ship_to.country: to.region | country")
    )
    given = {**DOCUMENT, "to": {"region": "US", "recipient": "Ulla"}}
    [faked] = scrub([given], mapping.plan, key=b"k" * 32)
    assert faked["to"]["region"] == "US"
    assert faked["to"]["recipient"] != "Ulla"
    [faked] = scrub([{**DOCUMENT, "to": {"region": "Ulla Unlucky"}}], mapping.plan, key=b"k" * 32)
    assert "Ulla" not in str(faked)


def test_a_fixture_of_every_mapping_maps_as_the_original_does() -> None:
    for path in READING:
        mapping = load_mapping(path, path.name)
        for document in samples_of(path):
            [faked] = scrub([document], mapping.plan, key=b"k" * 32)
            assert shape_of(faked).keys() == shape_of(document).keys(), path
            before = mapping.record(document, external_id="x", revision="1")
            after = mapping.record(faked, external_id="x", revision="1")
            assert (before is None) == (after is None), path


# ---------------------------------------------------------------- draft, coverage


@pytest.mark.parametrize("record", sorted(RECORDS))
def test_a_draft_of_every_record_is_yaml_that_says_only_what_is_missing(record: str) -> None:
    made = draft("shop", DOCUMENT, becomes=record)
    assert made.becomes == record
    from tests.unit.mapping.mapped import problems

    try:
        load(made.text)
    except MappingError:
        said = problems(made.text)
        assert "is not a field of ours" not in said
        assert "is not a step" not in said
        assert "not YAML" not in said


def test_a_draft_holds_no_value() -> None:
    made = draft("shop", {"id": 1, "total": "43.97", "buyer_name": "Ada Lovelace"})
    assert "Lovelace" not in made.text
    assert "43.97" not in made.text
    assert "buyer_name (text)" in made.text


def test_coverage_knows_filters_functions_and_currencies_of_steps() -> None:
    text = changed("total: total | money", "total: sum.amount | money sum.unit").replace(
        "sku: sku | sku", "sku: \"codes[?kind=='SKU'].value | first | sku\""
    )
    document = {
        **DOCUMENT,
        "sum": {"amount": "43.97", "unit": "EUR", "note": "x"},
        "items": [{**item, "codes": [{"kind": "SKU", "value": "A", "by": "z"}]}
                  for item in DOCUMENT["items"]],
    }  # fmt: skip
    found = coverage_of(load(text), [document], recorded=False)
    unread = {one.path for one in found.unread}
    assert {"sum.note", "items[].codes[].by", "items[].sku", "total"} <= unread
    assert not {"sum.amount", "sum.unit", "items[].codes[].kind"} & unread


def test_a_shape_is_bounded_and_written_as_a_path() -> None:
    deep: object = 1
    for _ in range(60):
        deep = {"a": deep}
    assert max(len(place) for place in shape_of(deep)) == 20
    assert len(shape_of({f"k{n}": 1 for n in range(5000)})) <= 2001
    assert written(("lines", "[]", "vat-rate")) == 'lines[]."vat-rate"'


def test_a_name_that_is_a_value_is_not_shown() -> None:
    document = {"by": {"ada@example.net": {"n": 1}, "4912345678": {"n": 2}}, "plain": 1}
    assert {written(place) for place in shape_of(document)} == {'by."*".n', "plain"}


def test_a_fixture_is_json_that_our_own_loader_takes() -> None:
    [made] = scrub([{"price": load_json(b"1.10"), "n": 2**70}], None, key=b"k" * 32)
    assert load_json(as_file(made))["price"] == load_json(b"1.10")


# ---------------------------------------------------------------- the preview, read by people


def an_effect() -> Effect:
    """One of each kind of thing, and more of it than is shown."""
    return Effect(
        mapping="shop.order",
        old="v3 1f2e3d4c",
        new="v3 9a8b7c6d",
        documents=60,
        same=30,
        changed=7,
        fields={"lines.sku": Change(7, [Example("order 1 lines[0].sku", '"a"', '"<b>"')])},
        held={"x": Held("payment X is not in choices.payment", "Add a line `so`.", ["order 2"], 6)},
        released={"y": Held("total 1.005 is refused", "Correct it.", ["order 3", "order 4"], 9)},
        left_out=[f"order {number}" for number in range(10, 18)],
    )


def test_a_preview_says_how_many_more_there_are_and_what_is_left_out() -> None:
    said = "\n".join(preview_lines(an_effect()))
    for words in (
        '  order 1 lines[0].sku: "a" -> "<b>"\n  and 6 more',
        "Would newly be held: 6\n  payment X is not in choices.payment\n  order 2\n  and 5 more",
        "  order 3\n  order 4\n  and 7 more",
        "Would newly be left out: 8\n  order 10\n",
        "  order 14\n  and 3 more",
        "Both say v3: raise `version` by one, so that people can tell them apart.",
    ):
        assert words in said
    raised = an_effect()
    raised.new = "v4 9a8b7c6d"
    assert "raise `version`" not in "\n".join(preview_lines(raised))


def test_the_page_is_for_a_colleague_and_shows_what_is_to_do() -> None:
    slip = Problem(file="/home/me/mappings/shop/order.test.yaml", line=6, what="total is 2, not 1")
    shown = page(an_effect(), [slip])
    assert "/home/me" not in shown
    assert "shop/order.test.yaml:6  total is 2, not 1" in shown
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "Add a line <code>so</code>." in shown
    assert "Correct it." not in shown, "of what goes on nothing is left to do"
    assert shown.count("<li>and ") == 3
    assert "<p>and 6 more</p>" in shown
    for word in ("http:", "https:", "<script", "src="):
        assert word not in shown
