"""What the language says beyond the plain lines: sums, units, places, tables, maps, own steps."""

from __future__ import annotations

import importlib
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import MappingError
from core.mapping import load_mapping
from core.mapping.coverage import coverage_of
from core.mapping.mapping import Text, read_mapping
from core.mapping.own_steps import assert_pure, steps_of
from core.mapping.places import country, phone, postcode
from core.model import Order
from tests.unit.mapping.mapped import DOCUMENT, ORDER, changed, held, load, problems, write


def order(text: str, **changes: Any) -> Order:
    made: Order = load(text).record({**DOCUMENT, **changes})
    return made


# ---------------------------------------------------------------- reckoning


@pytest.mark.parametrize(
    ("steps", "value", "said"),
    [
        ("sum | money | per 2", "10.00", "5.00 EUR"),
        ("sum | money | per count", "10.00", "2.50 EUR"),
        ("sum | money | times 3", "10.00", "30.00 EUR"),
        ("sum | money | times 1.5", "10.00", "15.00 EUR"),
        ("sum | money | minus less", "10.00", "8.75 EUR"),
        ("sum | money | plus less | times count", "10.00", "45.00 EUR"),
        ("sum | money | minus nothing", "10.00", "10.00 EUR"),
    ],
)
def test_amounts_are_reckoned_to_the_smallest_coin(steps: str, value: str, said: str) -> None:
    text = changed("  number: name\n", f"  number: name\n  shipping_fee: {steps}\n")
    made = order(text, sum=value, count=4, less="1.25")
    assert str(made.shipping_fee) == said


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ("sum | money | per 3", "shipping_fee 10.00 EUR does not divide evenly by 3 (sum)"),
        ("sum | money | per nought", "shipping_fee 10.00 EUR cannot be divided by 0 (sum)"),
        ("sum | money | times word", 'shipping_fee "two" is not a number (sum)'),
        ("sum | money | minus word", 'shipping_fee "two" is not a number (sum)'),
        ("sum | money | times 0.0001",
         "shipping_fee 10.00 EUR is no whole number of its smallest coin then (sum)"),
    ],
)  # fmt: skip
def test_what_does_not_come_out_exactly_is_held(steps: str, reason: str) -> None:
    text = changed("  number: name\n", f"  number: name\n  shipping_fee: {steps}\n")
    hold = held(load(text), {**DOCUMENT, "sum": "10.00", "nought": 0, "word": "two"})
    assert hold.reason == reason


def test_whole_numbers_stay_whole_and_decimals_exact() -> None:
    text = changed("quantity: qty | whole", "quantity: qty | whole | times pack")
    document = {**DOCUMENT, "items": [{**DOCUMENT["items"][0], "pack": 12}]}
    assert load(text).record(document).lines[0].quantity == 24
    document["items"][0]["pack"] = Decimal("0.3")
    assert held(load(text), document).reason.startswith("lines.quantity 2 is no whole number then")


def test_units_of_theirs_become_pieces_or_are_held() -> None:
    text = changed("quantity: qty | whole", "quantity: qty | whole | units packs uom").replace(
        "choices:\n", "choices:\n  packs: {EA: 1, CS12: 12, otherwise: hold}\n"
    )
    item = DOCUMENT["items"][0]
    assert order(text, items=[{**item, "uom": "CS12"}]).lines[0].quantity == 24
    hold = held(load(text), {**DOCUMENT, "items": [{**item, "uom": "PAL"}]})
    assert hold.reason == 'lines.quantity "PAL" is not in choices.packs (qty, entry 1)'
    assert "choices.packs in mappings/shop/order.yaml" in hold.next_step
    hold = held(load(text), {**DOCUMENT, "items": [item]})
    assert hold.reason == "lines.quantity null has no unit (qty, entry 1)"


REFUSED = [
    ("total | money | per 0", "10:30  total: per: cannot divide by 0 (total)"),
    ("total | money | times",
     "10:26  total: times needs a number or a path after it (total)\n  For example: times 12"),
    ("total | money | minus a[", "10:32  total: minus: the path a[ ends too early (total)"),
    ("total | money | units packs x",
     "10:26  total: units cannot work on money (total)\n"
     "  Write it before | money, or leave it out."),
    ("total | whole | units packs", "10:32  total: units: needs a table of choices and the path of"
     " the unit after it (total)\n  For example: units packs uom"),
    ("total | whole | units packs u", "10:26  total: there is no choices.packs (total)\n"
     "  Tables are: payment"),
    ("total | lookup taxes id", "10:25  total: lookup: needs a list of the document, the name that"
     " is compared, and the name that is taken after it (total)\n"
     "  For example: lookup tax_lines rate_id rate_code"),
    ("total | lookup a[ id name",
     "10:25  total: lookup: the path a[ id name ends too early (total)"),
    ("total | lookup taxes id name", "10:10  total is money: add | money or | minor"),
    ("total | shop.none", '10:18  total: "shop.none" is not a step (total)'),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_a_wrong_reckoning_is_refused_in_words(line: str, message: str) -> None:
    said = problems(changed("total: total | money", f"total: {line}"))
    assert said.startswith(message)


# ---------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("condition", "value", "skipped"),
    [
        ("n is zero", "0.00", True),
        ("n is zero", 0, True),
        ("n is zero", None, True),
        ("n is zero", "0.01", False),
        ("n is not zero", "0.00", False),
        ("n is zero", "none", False),
        ("n is zero", False, False),
        ("n is one of A, B", "B", True),
        ("n is one of A, B", "C", False),
        ('n is one of "A, B", C', "A, B", True),
        ("n is not one of A, B", "C", True),
        ("n is one of 1, true", True, True),
    ],
)
def test_conditions(condition: str, value: Any, skipped: bool) -> None:
    text = changed("  each: items\n", f"  each: items\n  skip_when: {condition}\n")
    made = order(text, items=[{**DOCUMENT["items"][0], "n": value}])
    assert (made.lines == ()) is skipped


LOOKED = changed(
    "    unit_price: price | money\n",
    """    unit_price: price | money
  taxes:
    each: rates
    fields:
      amount: paid | money
      jurisdiction: id | lookup taxes.named rate code
      rate: id | lookup taxes.named rate percent | percent
""",
)


def looked(named: Any, rate: Any = 7) -> Any:
    item = {**DOCUMENT["items"][0], "rates": [{"id": rate, "paid": "1.00"}]}
    return load(LOOKED), {**DOCUMENT, "items": [item], "taxes": {"named": named}}


@pytest.mark.parametrize(
    ("named", "rate", "found"),
    [
        ([{"rate": 6, "code": "FR"}, {"rate": 7, "code": "DE", "percent": 19}], 7, "DE"),
        ([{"rate": "7", "code": "DE"}, {"rate": 7, "code": "second"}], 7, "DE"),
        ([{"rate": 7}, {"code": "DE"}], 7, ""),
        ([{"rate": 7, "code": "DE"}], 8, ""),
        ([{"rate": None, "code": "DE"}], None, ""),
        ([{"rate": [7], "code": "DE"}, 7, None, "7", []], 7, ""),
        ([], 7, ""),
        (None, 7, ""),
        ({"rate": 7, "code": "DE"}, 7, ""),
    ],
)
def test_what_is_said_once_for_many_lines_is_looked_up(named: Any, rate: Any, found: str) -> None:
    mapping, document = looked(named, rate)
    [tax] = mapping.record(document).lines[0].taxes
    assert tax.jurisdiction == found
    assert (tax.rate == Decimal("0.19")) is (found == "DE" and "percent" in str(named))


def test_a_lookup_ends_in_words_where_it_would_take_too_long_or_finds_what_is_no_text() -> None:
    hold = held(*looked([{"rate": 7, "code": {"a": 1}}]))
    assert hold.reason.startswith("lines.taxes.jurisdiction")
    assert "is not text (id, entry 1)" in hold.reason
    hold = held(*looked([{"rate": 1}] * 1001))
    assert hold.reason == (
        "lines.taxes.jurisdiction 7 is looked for in more than 1000 entries (id, entry 1)"
    )


def test_coverage_knows_what_a_lookup_reads() -> None:
    mapping, document = looked([{"rate": 7, "code": "DE", "percent": 19, "note": "x"}])
    unread = {one.path for one in coverage_of(mapping, [document], recorded=False).unread}
    assert "taxes.named[].note" in unread
    assert not {path for path in unread if path.startswith("taxes.")} - {"taxes.named[].note"}


# ---------------------------------------------------------------- above


ABOVE = changed(
    "    unit_price: price | money\n",
    """    unit_price: price | money
    title: above.name
    listing: above.shop.id || id
  skip_when: above.shop.closed is true
  taxes:
    each: rates
    fields:
      amount: paid | money
      title: above.sku
      jurisdiction: "[country, above.shop.id] | join \\"-\\""
      collected_by: contains(above.remits, country) | choose remits
""",
).replace("choices:\n", 'choices:\n  remits: {"true": marketplace, "false": seller}\n')


def stood_in(**shop: Any) -> tuple[Any, dict[str, Any]]:
    rates = [{"paid": "1.00", "country": "DE"}, {"paid": "0.50", "country": "FR"}]
    item = {**DOCUMENT["items"][0], "rates": rates, "shop": {"id": "S1"}, "remits": ["FR"]}
    return load(ABOVE), {**DOCUMENT, "items": [item], "shop": shop}


def test_a_block_reads_what_its_list_stands_in() -> None:
    mapping, document = stood_in(id="S7")
    [line] = mapping.record(document).lines
    assert (line.title, line.listing) == ("#1001", "S7")
    said = [(str(tax.amount), tax.title, tax.jurisdiction, tax.collected_by) for tax in line.taxes]
    assert said == [
        ("1.00 EUR", "00123", "DE-S1", "seller"),
        ("0.50 EUR", "00123", "FR-S1", "marketplace"),
    ]
    assert mapping.record(stood_in()[1]).lines[0].listing == "a"
    assert mapping.record(stood_in(closed=True)[1]).lines == ()
    assert mapping.record({**document, "shop": "none"}).lines[0].listing == "a"


def test_coverage_knows_what_is_read_above() -> None:
    mapping, document = stood_in(id="S7", closed=False, town="x")
    unread = {one.path for one in coverage_of(mapping, [document], recorded=False).unread}
    assert unread == {"shop.town"}


def test_nothing_is_above_the_document_itself() -> None:
    text = changed("  number: name\n", "  number: name || above.name\n")
    assert problems(text) == (
        "7:19  number: nothing is above here (name || above.name)\n"
        "  It names a field of what a list stands in: write it inside of each."
    )


# ---------------------------------------------------------------- places


@pytest.mark.parametrize(
    ("value", "made"),
    [("DE", "DE"), ("de", "DE"), ("Germany", "DE"), ("VIETNAM", "VN"), ("Viet Nam", "VN"),
     ("Côte d'Ivoire", "CI"), ("USA", "US"), ("", None), (None, None), (" IT ", "IT")],
)  # fmt: skip
def test_a_country_is_a_code_or_a_name(value: Any, made: Any) -> None:
    assert country(value) == made


@pytest.mark.parametrize(
    ("value", "where", "made"),
    [("00123", "IT", "00123"), (123, "IT", "00123"), ("1067", "Germany", "01067"),
     ("02110", "US", "02110"), ("sw1a  1aa", "GB", "SW1A 1AA"), ("110053", "IN", "110053"),
     ("****", "DE", "****"), ("123", None, "123"), ("123", "nowhere", "123"), ("1", "GB", "1"),
     ("", "DE", None), (None, "DE", None)],
)  # fmt: skip
def test_a_postcode_gets_its_lost_zeros_back(value: Any, where: Any, made: Any) -> None:
    assert postcode(value, where) == made


@pytest.mark.parametrize(
    ("value", "where", "made"),
    [("0170 1234567", "DE", "+491701234567"), ("(206) 555-0100", "US", "+12065550100"),
     ("9876543210", "India", "+919876543210"), ("+44 20 7946 0018", "DE", "+442079460018"),
     ("******12", "SG", "******12"), ("12", "DE", "12"), ("0170 1234567", None, "01701234567"),
     ("+49 170", None, "+49170"), ("", "DE", None), ("call me", "DE", "")],
)  # fmt: skip
def test_a_phone_number_is_dialled_from_anywhere(value: Any, where: Any, made: Any) -> None:
    assert phone(value, where) == made


def test_the_country_of_a_step_is_a_path_or_a_fixed_one() -> None:
    text = changed(
        "  number: name\n",
        "  number: name\n  ship_to.phone: to.tel | phone to.land\n"
        '  ship_to.postcode: to.zip | postcode "IT"\n',
    )
    made = order(text, to={"tel": "0170 1234567", "land": "DE", "zip": 123})
    assert (made.ship_to.phone, made.ship_to.postcode) == ("+491701234567", "00123")


# ---------------------------------------------------------------- tables beside the file

TABLED = changed(
    "choices:\n  payment: {PAID: paid, PENDING: pending}\n", "choices:\n  payment: p.csv\n"
)


def beside(folder: Path, csv: str | bytes, text: str = TABLED) -> Path:
    path = write(folder, text)
    data = csv if isinstance(csv, bytes) else csv.encode()
    path.with_name("p.csv").write_bytes(data)
    return path


def test_a_table_of_thousands_of_rows_stands_beside_the_file(tmp_path: Path) -> None:
    rows = "".join(f"W{n},paid\n" for n in range(5000))
    path = beside(
        tmp_path, f"\ufefftheirs;ours\n{rows}PAID,void\notherwise,paid\n".replace(",", ";")
    )
    mapping = load_mapping(path, "mappings/shop/order.yaml")
    assert mapping.record({**DOCUMENT, "pay": "W4321"}).payment == "paid"
    assert mapping.record({**DOCUMENT, "pay": "PAID"}).payment == "void"
    assert mapping.record({**DOCUMENT, "pay": "otherwise"}).payment == "paid"
    assert held(mapping, {**DOCUMENT, "pay": "?"}).reason.startswith(
        'payment "?" is not in choices'
    )


def test_a_table_may_add_to_its_csv_and_the_file_wins(tmp_path: Path) -> None:
    text = TABLED.replace(
        "payment: p.csv", "payment: {file: p.csv, PAID: paid, otherwise: pending}"
    )
    mapping = load_mapping(beside(tmp_path, "theirs,ours\nPAID,void\nX,cod\n", text), "order.yaml")
    assert mapping.record(DOCUMENT).payment == "paid"
    assert mapping.record({**DOCUMENT, "pay": "X"}).payment == "cod"
    assert mapping.record({**DOCUMENT, "pay": "?"}).payment == "pending"


def test_the_version_of_a_mapping_is_its_tables_too(tmp_path: Path) -> None:
    path = beside(tmp_path, "theirs,ours\nPAID,paid\n")
    before = load_mapping(path, "order.yaml")
    assert read_mapping(Text.unpacked(before.text.packed()), "o", "shop.order").hash == before.hash
    path.with_name("p.csv").write_text("theirs,ours\nPAID,paid\nX,void\n")
    assert load_mapping(path, "order.yaml").hash != before.hash


CSVS: list[tuple[str | bytes, str]] = [
    ("theirs,ours\nPAID,payed\n",
     'mappings/shop/p.csv:2  payment: "payed" is not a word of payment (pay)\n'
     '  Did you mean "paid"?'),
    ("word,meaning\nPAID,paid\n",
     "mappings/shop/p.csv:1  has another header\n  The first line is: theirs,ours"),
    ("theirs,ours\nPAID,paid\nPAID,void\n",
     'mappings/shop/p.csv:3  "PAID" is already set in line 2\n  Remove one.'),
    ("theirs,ours\nPAID\n", "mappings/shop/p.csv:2  has 1 cells, the header has 2"),
    ("", "mappings/shop/p.csv:1  has no row\n"
     "  The first line is theirs,ours, then one row for each word."),
    (b"theirs,ours\n\xff,paid\n", "mappings/shop/p.csv:1  is not UTF-8 text\n"
     "  Save it as CSV UTF-8."),
    ('theirs,ours\n"PAID,paid\n', "mappings/shop/p.csv:2  is no CSV: unexpected end of data\n"
     "  Is a quote opened and not closed?"),
]  # fmt: skip


@pytest.mark.parametrize(("csv", "message"), CSVS)
def test_a_broken_table_says_its_own_file_and_line(
    tmp_path: Path, csv: str | bytes, message: str
) -> None:
    with pytest.raises(MappingError) as refused:
        load_mapping(beside(tmp_path, csv), "mappings/shop/order.yaml")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "mappings/shop/order.yaml:20:12  there is no file none.csv beside this one"),
        ("../p.csv", "mappings/shop/order.yaml:20:12  ../p.csv is not a CSV file beside this one"),
    ],
)
def test_a_table_that_is_not_there(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(MappingError) as refused:
        load_mapping(write(tmp_path, TABLED.replace("p.csv", name)), "mappings/shop/order.yaml")
    assert str(refused.value) == message


def test_a_table_that_is_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, TABLED)
    (tmp_path / "secret").write_text("theirs,ours\nPAID,paid\n")
    path.with_name("p.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(MappingError, match="link to a file outside its folder"):
        load_mapping(path, "mappings/shop/order.yaml")


# ---------------------------------------------------------------- keyed maps

KEYED = changed("  each: items\n", "  keyed: items\n").replace(
    "key: id\n    sku: sku", "key: key\n    sku: key"
)
KEYED = KEYED.replace("qty | whole", "value.qty | whole").replace(
    "price | money", "value.price | money"
)


def test_a_map_of_theirs_is_a_list_of_key_and_value() -> None:
    made = order(
        KEYED, items={"TEA": {"qty": 2, "price": "20.00"}, "MUG": {"qty": 1, "price": "3.97"}}
    )
    assert [(line.sku, line.quantity) for line in made.lines] == [("TEA", 2), ("MUG", 1)]
    assert order(KEYED, items=None).lines == ()
    hold = held(load(KEYED), {**DOCUMENT, "items": []})
    assert hold.reason == "lines (a list of 0) is not a map of names (items)"
    hold = held(load(KEYED), {**DOCUMENT, "items": {"TEA": {"qty": "x", "price": "1.00"}}})
    assert hold.reason == 'lines.quantity "x" is not a whole number (value.qty, entry 1)'
    both = KEYED.replace("  keyed: items\n", "  keyed: items\n  each: items\n")
    assert problems(both) == "13:3  lines has both each and keyed\n  Keep one."


def test_false_is_nothing_where_a_system_says_it_so() -> None:
    text = changed("  number: name\n", "  number: name\n  email: mail | false_to_none\n")
    assert order(text, mail=False).email == ""
    assert order(text, mail="a@b.c").email == "a@b.c"


# ---------------------------------------------------------------- a step of a connector's own

STEPS = """
def units(value):
    if not isinstance(value, str):
        raise ValueError("is not like 3x12")
    count, _, size = value.partition("x")
    if not (count.isdigit() and size.isdigit()):
        raise ValueError("is not like 3x12")
    return int(count) * int(size)

STEPS = {"units": units}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connector with a step of its own, as somebody else's package would bring it."""
    connectors = importlib.import_module("connectors")
    package = tmp_path / "packages" / "packy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "steps.py").write_text(STEPS)
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(package.parent)])
    steps_of.cache_clear()
    yield
    steps_of.cache_clear()
    for name in [name for name in sys.modules if name.startswith("connectors.packy")]:
        del sys.modules[name]


PACKY = ORDER.replace("shop.order", "packy.order").replace(
    "qty | whole", "qty | packy.units | whole"
)


@pytest.mark.usefixtures("own")
def test_a_named_python_step_of_the_mapping_s_own_connector() -> None:
    mapping = load(PACKY)
    item = DOCUMENT["items"][0]
    assert mapping.record({**DOCUMENT, "items": [{**item, "qty": "3x12"}]}).lines[0].quantity == 36
    hold = held(mapping, {**DOCUMENT, "items": [{**item, "qty": "many"}]})
    assert hold.reason == 'lines.quantity "many" is not like 3x12 (qty, entry 1)'
    assert problems(changed("qty | whole", "qty | packy.units | whole")).startswith(
        '17:21  lines.quantity: "packy.units" is not a step (qty)'
    )


@pytest.mark.parametrize(
    ("code", "name"),
    [("import time", "time"), ("from random import random", "random"),
     ("import os.path", "os.path"), ("def f(v):\n    return open(v)", "open"),
     ("def f(v):\n    return eval(v)", "eval")],
)  # fmt: skip
def test_a_step_that_is_not_pure_is_refused_with_its_line(
    tmp_path: Path, code: str, name: str
) -> None:
    path = tmp_path / "steps.py"
    path.write_text(f'"""Steps."""\n{code}\nSTEPS = {{}}\n')
    with pytest.raises(MappingError, match=rf"steps.py:\d  a step .* cannot use {name}\n"):
        assert_pure(path)


def test_what_a_step_needs_it_may_use(tmp_path: Path) -> None:
    path = tmp_path / "steps.py"
    path.write_text("import re\nfrom decimal import Decimal\nSTEPS = {}\n")
    assert_pure(path)
