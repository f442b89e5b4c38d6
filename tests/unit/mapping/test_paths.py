"""The path compiler against the interpreter of the `jmespath` library, over mutated documents."""

from __future__ import annotations

import ast
import copy
import json
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from core.mapping.build import _dict_or_empty, assign, function, functions
from core.mapping.lines import split_pipes
from core.mapping.paths import Names, PathError, Reader, parse_path
from core.strict import load_json, read_yaml

ROOT = Path(__file__).parents[3] / "mappings"


@cache
def compiled(text):
    names = Names()
    reader = Reader(names, "item", "view")
    value = reader.value(parse_path(text))
    start = [assign("view", _dict_or_empty("item")), *reader.fetches]
    functions(
        ast.Module([function("path", ["item"], [*start, ast.Return(value)])], []), "f.yaml", names
    )
    return names.bound["path"]


parsed = cache(parse_path)


def agrees(text, document):
    """Equal in value and in type; where the standard raises, ours must only not crash."""
    ours = compiled(text)(document)
    try:
        theirs = TreeInterpreter().visit(parsed(text), document)
    except (JMESPathError, TypeError):
        return
    assert repr(ours) == repr(theirs), f"{text} over {document}"


NAMES = ["a", "b", "c", '"a-b"']
VALUES = ["'x'", "''", "`0`", "`1`", "`true`", "`false`", "`null`", "`[]`", "`{}`", "`1.5`"]
OPERATORS = ["==", "!=", "<", ">=", "||", "&&"]
#: P is a path, N a name, V a value, O an operator, I an index.
FORMS = (
    "P.N P.N P.N P[I] P[:2] P[1:] P[-1:I] P[::-1] P[::2] P[].N P[*].N P[*] P[] P.* P.*.N"
    " P.[a,N] P.{x:N} P[?N==V] P[?N!=V].N P[?N>V] P[?P].N (!P) (POP) (POV) length(P)"
    " contains(P,V) not_null(P,P)"
).split()


@st.composite
def paths(draw, depth=3):
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from([*NAMES, *VALUES, "@"]))
    text = ""
    for sign in draw(st.sampled_from(FORMS)):
        match sign:
            case "P":
                text += draw(paths(depth - 1))
            case "N":
                text += draw(st.sampled_from(NAMES))
            case "V":
                text += draw(st.sampled_from(VALUES))
            case "O":
                text += f" {draw(st.sampled_from(OPERATORS))} "
            case "I":
                text += str(draw(st.integers(-3, 3)))
            case _:
                text += sign
    return text


DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from(["", "x", Decimal("1.5"), Decimal(0)]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "a-b"]), inner, max_size=4)
    ),
    max_leaves=25,
)


@settings(max_examples=600, deadline=None)
@given(paths(), DOCUMENTS)
def test_compiled_paths_answer_as_the_interpreter(text, document):
    try:
        parse_path(text)
    except PathError:
        return
    before = copy.deepcopy(document)
    agrees(text, document)
    assert repr(document) == repr(before)


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_judge_every_pair_as_the_interpreter(operator):
    """1 is not true, 0 is not false and not empty."""
    for left in VALUES:
        agrees(f"!{left}", {})
        for right in VALUES:
            agrees(f"{left} {operator} {right}", {})


def paths_of_files():
    found = set()
    for file in sorted(ROOT.glob("*/*.yaml")):
        if file.name.endswith(".test.yaml"):
            continue
        waiting = [read_yaml(file, file.name)]
        while waiting:
            node = waiting.pop()
            waiting += [value for _, value in node.items()] + list(node)
            if node.kind == "scalar" and isinstance(node.scalar, str):
                head = split_pipes(node.text.split(" is ")[0])[0]
                try:
                    parse_path(head)
                except PathError:
                    continue
                found.add(head)
    return sorted(found)


def documents_of_files():
    for file in sorted(ROOT.glob("*/samples/*.json")):
        waiting = [load_json(file.read_bytes())]
        while waiting:
            here = waiting.pop()
            if isinstance(here, dict):
                yield here
                waiting += here.values()
            elif isinstance(here, list):
                waiting += here


SHIPPED = paths_of_files()
SAMPLES = list(documents_of_files())
WRONG = st.sampled_from([None, 0, 1, "", "x", True, False, [], {}, ["x", None], Decimal("0.5")])


@pytest.mark.skipif(not SAMPLES, reason="no samples beside the mappings")
@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SAMPLES or [{}]), st.lists(st.tuples(st.integers(0, 999), WRONG), max_size=4)
)
def test_every_path_of_the_shipped_mappings_over_mutated_samples(sample, changes):
    """H27: a value vanishes, a number becomes text, a list becomes an object."""
    document = json.loads(json.dumps(sample, default=str))
    for at, value in changes:
        places = []
        waiting = [document]
        while waiting:
            here = waiting.pop(0)
            for key in list(here) if isinstance(here, dict) else range(len(here)):
                places.append((here, key))
                if isinstance(here[key], dict | list):
                    waiting.append(here[key])
        if places:
            here, key = places[at % len(places)]
            here[key] = copy.deepcopy(value)
    for text in SHIPPED:
        agrees(text, document)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a | b", ["a", "b"]),
        ("a || b | c", ["a || b", "c"]),
        ("a[?b == 'x|y'] | c", ["a[?b == 'x|y']", "c"]),
        ('a | join "|" | b', ["a", 'join "|"', "b"]),
        ("(a | b) | c", ["(a | b)", "c"]),
        ("a['\\'|'] | c", ["a['\\'|']", "c"]),
        ("|", ["", ""]),
        ("a ||| b", ["a ||", "b"]),
    ],
)
def test_a_pipe_cuts_outside_quotes_and_brackets_only(text, parts):
    assert split_pipes(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "a." * 300,
        "(" * 249 + "a" + ")" * 249,
        "a[99999999999999999999999]",
        "!" * 200 + "a",
        "'",
        "a[?",
    ],
)
def test_hostile_paths_are_refused_or_run(text):
    try:
        run = compiled(text)
    except PathError:
        return
    run({"a": []})


@pytest.mark.parametrize(
    "document", [{}, {"a": 1}, {"a": []}, {"a": {"x": 1, "y": None}}, [], 5, None]
)
def test_a_document_of_another_shape_answers_null(document):
    for text in ("a.*", "a[]", "a[0]", "a[*].b", "a[?b].c", "a[1:]", "a.b", "*.b", "@", "[0]"):
        agrees(text, document)


def test_an_empty_path_is_refused():
    with pytest.raises(PathError, match="cannot be read"):
        parse_path("")


def test_what_the_operator_typed_is_never_a_python_name():
    """T9: dunder names are keys of a document like any other."""
    run = compiled("__class__.__mro__")
    assert run({"a": 1}) is None
    assert run({"__class__": {"__mro__": 5}}) == 5


def test_a_comparison_with_fractions_is_exact():
    assert compiled("a[?b > `1.5`].b")({"a": [{"b": Decimal("1.6")}, {"b": 1}]}) == [Decimal("1.6")]
