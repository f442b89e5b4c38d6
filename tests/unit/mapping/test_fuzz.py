"""Both loaders and the compiler, fed with what nobody would write: no crash, no hang, no swelling.

Every input either loads or is refused in words (T7, T8, T9). Time and memory are bounded by the
size of the input: a limit in the test, not only in the code.
"""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ConfigError, Hold, MappingError, Problem
from core.mapping import Mapping
from core.mapping.catalog import INCOMING, OUTGOING
from core.mapping.explaining import explain
from core.mapping.lines import split_pipes
from core.mapping.mapping import Text, read_mapping
from core.mapping.misspelt import misspelt
from core.mapping.paths import PathError, parse_path
from core.mapping.preview import Recorded, compare
from core.mapping.preview_page import page
from core.mapping.preview_text import as_json, counts
from core.mapping.shape import names_of
from core.model import RECORDS, BookOrder, Discount, Order, OrderLine, Payment, Tax
from core.money import Money
from core.strict import Malformed, dump_json, load_json, load_yaml
from tests.unit.mapping.mapped import DOCUMENT, ORDER, SEND

#: One input may take this long on a loaded machine; a hang takes for ever.
SLOW_S = 5.0
#: A text of 1 MiB may become so much; an alias bomb would become gigabytes.
MEMORY_MAX = 400 * 1024 * 1024

BOOK = "mapping: shop.book_order\nversion: 1\nsends: book_order\nbody:\n"
TEN = Money(1000, "EUR")
BOOKING = BookOrder(
    reference="r",
    channel="shop",
    order=Order(
        key="1",
        number="#1",
        revision="1",
        placed_at=datetime(2026, 11, 20, tzinfo=UTC),
        currency="EUR",
        total=TEN,
        payment=Payment.PAID,
        shipping_taxes=(Tax(amount=TEN),),
        lines=(
            OrderLine(key="a", sku="A", quantity=1, unit_price=TEN, taxes=(Tax(amount=TEN),)),
            OrderLine(
                key="b", sku="B", quantity=1, unit_price=TEN, discounts=(Discount(amount=TEN),)
            ),
        ),
    ),
)

#: TRUECOUNT_EXAMPLES runs that many others.
FUZZ = settings(
    max_examples=int(os.environ.get("TRUECOUNT_EXAMPLES") or 400),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def timed(run: Callable[[], Any], *expected: type[BaseException]) -> Any:
    began = time.perf_counter()
    try:
        return run()
    except expected:
        return None
    finally:
        assert time.perf_counter() - began < SLOW_S


def read(text: str, name: str = "shop.order") -> Mapping | None:
    found: Mapping | None = timed(
        lambda: read_mapping(Text(text.encode("utf-8", "replace")), "shop/order.yaml", name),
        MappingError,
    )
    return found


# ---------------------------------------------------------------- the loaders

JSON_SIGNS = st.text('[]{}",:0123456789.eE+-\\\\utfalsnrINy \n\u0000\ud800', max_size=80)
YAML_SIGNS = st.text("[]{}&*!|>%@`#:?-,'\" \n\ta0<~=\\\\U\u0000\u2028", max_size=80)


@FUZZ
@given(st.binary(max_size=300) | JSON_SIGNS.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_document_or_malformed(data: bytes) -> None:
    value = timed(lambda: load_json(data), Malformed)
    if value is not None:
        assert load_json(dump_json(value)) == value


@FUZZ
@given(st.text(max_size=200) | YAML_SIGNS)
def test_any_text_is_yaml_or_refused_with_a_line(text: str) -> None:
    problems = refused(text)
    assert all(one.line >= 1 and one.what for one in problems or ())


def refused(text: str) -> Sequence[Problem] | None:
    """The problems of a YAML text; None where it loads."""
    began = time.perf_counter()
    try:
        load_yaml(text, "f.yaml")
    except ConfigError as error:
        return error.problems
    finally:
        slow = 120 if tracemalloc.is_tracing() else SLOW_S
        assert time.perf_counter() - began < slow
    return None


def bomb(levels: int) -> str:
    rows = [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x,x,x,x,x,x,x,x,x]", *rows])


LARGE: list[tuple[str, str]] = [
    ("alias bomb", bomb(10)),
    ("many aliases", "a: &a x\n" + "\n".join(f"b{n}: *a" for n in range(6_000))),
    ("deep flow", "[" * 5000),
    ("deep blocks", "\n".join(" " * n + "a:" for n in range(500))),
    ("one long line", "a: " + "x" * 300_000),
    ("many keys", "\n".join(f"k{n}: {n}" for n in range(12_000))),
    ("one key many times", "k: 1\n" * 12_000),
    ("many tags", "\n".join(f"k{n}: !x {n}" for n in range(6_000))),
    ("only quotes", "'" * 200_000),
    ("only tabs", "\t" * 200_000),
    ("too large", "a: 1\n" * 300_000),
    ("many documents", "---\na\n" * 20_000),
]


@pytest.mark.parametrize(("name", "text"), LARGE, ids=[name for name, _ in LARGE])
def test_a_large_hostile_file_costs_bounded_time_and_memory(name: str, text: str) -> None:
    tracemalloc.start()
    try:
        problems = refused(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert problems is None or all(one.what for one in problems)
    assert peak < MEMORY_MAX


CSV_SIGNS = st.text("theirs,ours;\t\n\r\"'PAIDx\\0é\ufeff", max_size=80)


@FUZZ
@given(st.binary(max_size=120) | CSV_SIGNS.map(lambda text: f"theirs,ours\n{text}".encode()))
def test_any_bytes_are_a_table_or_refused_with_a_line(data: bytes) -> None:
    text = ORDER.replace("payment: {PAID: paid, PENDING: pending}", "payment: p.csv")
    try:
        timed(lambda: read_mapping(Text(text.encode(), {"p.csv": data}), "shop/o", "shop.order"))
    except MappingError as error:
        problems = [(one.line >= 1, bool(one.what)) for one in error.problems]
        assert set(problems) == {(True, True)}


# ---------------------------------------------------------------- the compiler

WORDS = st.sampled_from(
    [*INCOMING, *OUTGOING, *names_of(RECORDS["order"]), "items[*].sku", "a.b", "@", "= x", "a || b",
     "a && !b", "a[?b=='c'].d", "`7`", "'x'", "sort_by(a, &b)[0]", "__class__.__mro__", "{{ a }}",
     "eval(a)", "a is empty", "{0.__init__}", "(a+)+$", "each", "choose payment", "money \"EUR\"",
     "above", "above.a", "above.above.b", "a || above.b", "contains(above.a, b)", "plus above.a",
     "[a, above.b]", "above[?a==above.b].c", "default 0", "lookup items id sku"]
)  # fmt: skip
LINES = st.lists(WORDS | st.text(max_size=8), min_size=1, max_size=6).map(" | ".join)


@FUZZ
@given(
    name=st.sampled_from(["number", "total", "placed_at", "test", "email", "extras.x", "payment"]),
    line=LINES,
)
def test_any_line_compiles_or_is_refused_with_its_column(name: str, line: str) -> None:
    quoted = "'" + line.replace("'", "''").replace("\n", " ") + "'"
    text = ORDER.replace("  number: name\n", f"  number: name\n  {name}: {quoted}\n")
    made = read(text)
    if made is not None:
        for document in ({}, [], None, {"a": {"b": [1, "x", None]}, "items": [{}]}, "x"):
            timed(lambda document=document: made.record(document), Hold)  # type: ignore[misc]


#: What compiles nearly everywhere and reads what the documents below have.
READ_WELL = st.sampled_from(["id", "sku", "above.name", "above.items[0].sku || sku", "name | trim"])
READS = st.integers(0, 9).flatmap(lambda n: READ_WELL if n < 7 else LINES)
EACHES = st.sampled_from(["items", "items[].items", "above.items", "@", "pay", "[items, at][]", ""])
WHENS = st.sampled_from(["sku is empty", "above.name is sku", "qty is zero", "above.pay is not x"])


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\n", " ") + "'"


@st.composite
def lists_read(draw: st.DrawFn) -> str:
    """ORDER with lines, and taxes in them, whose paths stand anywhere."""
    lines = f"lines:\n  each: {quoted(draw(EACHES))}\n"
    if draw(st.booleans()):
        lines += f"  skip_when: {quoted(draw(WHENS))}\n"
    lines += f"  fields:\n    key: {quoted(draw(READS))}\n    title: {quoted(draw(READS))}\n"
    lines += "    sku: sku\n    quantity: qty | whole | default 1\n    unit_price: price | money\n"
    lines += f"  taxes:\n    each: {quoted(draw(EACHES))}\n    fields:\n"
    lines += f"      title: {quoted(draw(READS))}\n      amount: above.price | money\n"
    head, rest = ORDER.partition("lines:\n")[0], ORDER[ORDER.index("choices:\n") :]
    return head + lines + rest


@FUZZ
@given(text=lists_read(), data=st.data())
def test_any_list_that_is_read_compiles_or_is_refused(text: str, data: st.DataObject) -> None:
    made = read(text)
    if made is None:
        return
    for document in (data.draw(DOCUMENTS), {**DOCUMENT, "items": data.draw(DOCUMENTS)}, DOCUMENT):
        record = timed(lambda document=document: made.record(document), Hold)  # type: ignore[misc]
        found = timed(lambda document=document: explain(made, document))  # type: ignore[misc]
        assert found.taken == (record is not None)
        assert made.plan is not None
        assert all(one.line >= 1 for one in misspelt(made.plan, [document]))


@FUZZ
@given(old=lists_read(), new=lists_read(), data=st.data())
def test_any_two_can_be_compared_over_any_documents(
    old: str, new: str, data: st.DataObject
) -> None:
    before, after = read(old), read(new)
    if after is None:
        return
    documents = [*data.draw(st.lists(DOCUMENTS, max_size=3)), DOCUMENT]
    recorded = [Recorded(label=str(n), document=one) for n, one in enumerate(documents)]
    effect = timed(lambda: compare(before, after, recorded))
    assert sum(count for _, count in counts(effect)) == len(documents)
    assert page(effect).endswith("</html>\n")
    json.dumps(as_json(effect))


def with_line(line: str) -> str:
    quoted = line.replace("'", "''")
    return ORDER.replace("  number: name\n", f"  number: name\n  email: '{quoted}'\n")


MANY = [
    (
        "steps",
        with_line("a" + " | trim" * 20_000),
        "8:10  email: has 20000 steps, more than 30",
    ),
    ("opened brackets", with_line("(" * 5000), f"8:11  email: the path {'(' * 80}… "),
    (
        "dots",
        with_line("a" + ".a" * 20_000),
        f"email: the path {'a.' * 40}… is longer than ",
    ),
    ("nots", with_line("!" * 5000 + "a"), f"8:11  email: the path {'!' * 80}… "),
    ("calls", with_line("not_null(" * 2000 + "a" + ")" * 2000), "8:11  email: the path not_null("),
    ("a long list", with_line("[" + "a," * 20_000 + "a]"), "8:11  email: the path [a,a,"),
    (
        "blocks",
        f"{ORDER}deadlines:\n" + "  - fields: {kind: = ship}\n" * 101,
        ":5  deadlines has 101 blocks, more than 100",
    ),
    (
        "lines",
        ORDER.replace("  number: name\n", "".join(f"  extras.x{n}: a\n" for n in range(20_000))),
        "1:1  a mapping has 20014 lines beside its choices, more than 3000",
    ),
    (
        "blocks that send",
        SEND.replace(
            "  reference: reference", "  b:\n" + "    - {each: lines, value: sku}\n" * 101
        ),
        "6:7  b has 101 blocks, more than 100",
    ),
    (
        "names that send",
        SEND.replace("  reference: reference", "  b: " + "x." * 50_000 + "y"),
        f"5:6  b: {'x.' * 40}… is not a field of ours",
    ),
    (
        "each that sends",
        SEND.replace("each: lines", "each: lines." + "x." * 50_000 + "y"),
        "7:11  ",
    ),
]


@pytest.mark.parametrize(("name", "text", "said"), MANY, ids=[name for name, *_ in MANY])
def test_more_than_anybody_needs_is_refused_in_time_and_in_short(
    name: str, text: str, said: str
) -> None:
    """Each of these came to the end of the compiler's stack, or took a minute, or said it all."""
    stem = "order" if "becomes" in text else "fulfill_order"
    began = time.perf_counter()
    with pytest.raises(MappingError) as refused_:
        read_mapping(Text(text.encode()), f"shop/{stem}.yaml", f"shop.{stem}")
    assert time.perf_counter() - began < 4 * SLOW_S
    first = str(refused_.value.problems[0])
    assert said in first
    assert len(first) < 500


def sending(text: str) -> tuple[Mapping | None, Sequence[Problem]]:
    problems: list[Problem] = []

    def run() -> Mapping | None:
        try:
            return read_mapping(Text(text.encode()), "shop/book_order.yaml", "shop.book_order")
        except MappingError as error:
            problems.extend(error.problems)
            return None

    return timed(run), problems


OURS = st.sampled_from(
    [*names_of(BookOrder), "order.lines.sku", "order.lines.taxes", "order.total | decimal", "above",
     "above.key", "above.order.total | amount", "above.above.key", "= x", "order.placed_at | iso",
     "lines.x", "order.extras.a", "__class__", "order.__dict__", "{{ order }}"]
)  # fmt: skip
#: What compiles nearly everywhere, so that not every draw is refused.
GOOD = st.sampled_from(["= x", "5", "true", "= a | upper", '= b | default "c"'])
RIGHTS = st.integers(0, 9).flatmap(lambda n: GOOD if n < 7 else OURS | LINES)
ANY_LIST = st.sampled_from(
    ["order.lines", "order.lines.taxes", "order.lines.discounts", "order.shipping_taxes", "order",
     "order.lines.sku", "lines", "above.lines", ""]
)  # fmt: skip
LISTS = st.integers(0, 9).flatmap(lambda n: st.just("order.lines") if n < 7 else ANY_LIST)
ASKED = RIGHTS | st.sampled_from(["sku is empty", "reference is x", "above.key is present"])
BODIES = st.recursive(
    RIGHTS,
    lambda inner: (
        st.dictionaries(st.sampled_from("a b a.c d.e.f".split()), inner, min_size=1, max_size=3)
        | st.fixed_dictionaries({"fields": inner}, optional={"each": LISTS, "skip_when": ASKED})
        | st.fixed_dictionaries({"each": LISTS, "value": inner})
        | st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@FUZZ
@given(st.dictionaries(st.sampled_from("a b.c d".split()), BODIES, min_size=1, max_size=3))
def test_any_body_that_is_sent_compiles_or_is_refused_with_its_column(body: dict[str, Any]) -> None:
    text = BOOK + "".join(f"  {name}: {json.dumps(what)}\n" for name, what in body.items())
    made, problems = sending(text)
    if made is None:
        assert problems
        assert all(one.line >= 1 and one.column >= 1 and one.what for one in problems)
        return
    sent = timed(lambda: made.body(BOOKING), Hold)
    timed(lambda: dump_json(sent))
    assert explain(made, BOOKING).taken == (sent is not None)


@FUZZ
@given(st.text("abc.[]?*@&|!=<>`'\"(){}:,0123456789- ", max_size=60))
def test_any_path_parses_or_is_refused_and_no_operator_text_is_run(text: str) -> None:
    timed(lambda: parse_path(text), PathError)
    assert len(split_pipes(text)) >= 1


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from("id rev name at cur total pay items sku qty price".split()), inner,
        max_size=11,
    ),
    max_leaves=30,
)  # fmt: skip


@FUZZ
@given(DOCUMENTS)
def test_any_document_becomes_a_record_or_a_hold_and_can_be_explained(document: Any) -> None:
    made = read(ORDER)
    assert made is not None
    timed(lambda: made.record(document), Hold)
    found = timed(lambda: explain(made, document))
    assert found.taken or found.hold


@FUZZ
@given(
    st.sampled_from([ORDER, SEND]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 40)), min_size=1, max_size=4),
)
def test_lines_moved_and_lost_are_refused_or_load(text: str, cuts: list[tuple[int, int]]) -> None:
    rows = text.splitlines()
    for at, to in cuts:
        row = rows.pop(at % len(rows)) if len(rows) > 1 else rows[0]
        rows.insert(to % (len(rows) + 1), row)
    read("\n".join(rows), "shop.order" if "becomes" in text else "shop.fulfill_order")
