"""Both loaders and the compiler, fed with what nobody would write: no crash, no hang, no swelling.

Every input either loads or is refused in words (T7, T8, T9). Time and memory are bounded by the
size of the input: a limit in the test, not only in the code.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
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
from core.mapping.paths import PathError, parse_path
from core.mapping.shape import names_of
from core.model import RECORDS
from core.strict import Malformed, dump_json, load_json, load_yaml
from tests.unit.mapping.mapped import ORDER, SEND

#: One input may take this long on a loaded machine; a hang takes for ever.
SLOW_S = 5.0
#: A text of 1 MiB may become so much; an alias bomb would become gigabytes.
MEMORY_MAX = 400 * 1024 * 1024

FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


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
     "eval(a)", "a is empty", "{0.__init__}", "(a+)+$", "each", "choose payment", "money \"EUR\""]
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
