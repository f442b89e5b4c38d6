"""The only door for outside text: what is refused, and what stays exact (T7, T8, H35)."""

from __future__ import annotations

import contextlib
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from core.strict import Malformed, dump_json, load_json, load_yaml, nearest, read_yaml

# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"id": 820982911946154508123}', {"id": 820982911946154508123}),
        (b'{"price": 1.10}', {"price": Decimal("1.10")}),
        (b"[1e2, -0.5, 0]", [Decimal("1E+2"), Decimal("-0.5"), 0]),
        (b"[true, false, null]", [True, False, None]),
        (b"\xef\xbb\xbf{}", {}),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\\\\u0000 is text"', "\\u0000 is text"),
        (b"[" * 64 + b"]" * 64, None),
        (b'["' + b"[{" * 100 + b'"]', ["[{" * 100]),
    ],
)
def test_json_comes_in_exactly(data, value):
    loaded = load_json(data)
    if value is not None:
        assert loaded == value
        assert repr(loaded) == repr(value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' appears twice in one object"),
        (b'{"x": [{"b": 1, "c": 2, "b": 1}]}', "key 'b' appears twice in one object"),
        (b"NaN", "NaN is not a JSON value"),
        (b"[Infinity]", "Infinity is not a JSON value"),
        (b"[-Infinity]", "-Infinity is not a JSON value"),
        (b"1e999", "a number beyond any real value"),
        (b"1e-999", "a number beyond any real value"),
        (b"1e99999999999999999999", "a number beyond any real value"),
        (b"0." + b"1" * 500, "a number with more than 400 characters"),
        (b"9" * 5000, "a number with more than 4300 digits"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
        (b"[" * 200_000, "nested deeper than 64 levels"),
        (b'{"a":' * 100_000, "nested deeper than 64 levels"),
        (b'"\\ud800"', "text with a NUL or half a character (a lone surrogate)"),
        (b'{"\\udc00": 1}', "text with a NUL or half a character (a lone surrogate)"),
        (b'{"a": ["\\u0000"]}', "text with a NUL or half a character (a lone surrogate)"),
        (b"\xff", "not valid UTF-8 at byte 0"),
        (b"", "empty where JSON was due"),
        (b" \n", "empty where JSON was due"),
        (b"\n<!doctype html>", "HTML instead of JSON"),
        (
            b"{a: 1}",
            "not JSON: expecting property name enclosed in double quotes at line 1 column 2",
        ),
        (b'{"a": 1} x', "not JSON: extra data at line 1 column 10"),
    ],
    ids=range(22),
)
def test_hostile_json_is_refused_in_words_for_an_operator(data, message):
    with pytest.raises(Malformed) as refused:
        load_json(data)
    assert str(refused.value) == message


def test_a_smaller_depth_counts_objects_and_lists_alike():
    assert load_json(b'{"a":[{"b":1}]}', depth_max=3)
    with pytest.raises(Malformed, match="deeper than 2"):
        load_json(b'{"a":[{"b":1}]}', depth_max=2)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abcde"), inner),
    max_leaves=30,
)


@given(JSON)
def test_what_goes_out_comes_back_the_same(value):
    back = load_json(dump_json(value))
    assert back == value
    assert dump_json(back) == dump_json(value)


@given(
    st.binary(max_size=200)
    | st.text('[]{}",:0123456789.eE-\\ud truefalsn', max_size=60).map(str.encode)
)
def test_any_bytes_load_or_are_malformed_and_the_standard_library_agrees(data):
    try:
        ours = load_json(data)
    except Malformed:
        return
    theirs = json.loads(data.decode("utf-8-sig"), parse_float=Decimal)
    assert ours == theirs


def test_a_decimal_goes_out_digit_for_digit_and_huge_ids_whole():
    value = {"b": Decimal("1.10"), "a": [10**25, Decimal("1E+3"), -(10**20)]}
    assert (
        dump_json(value)
        == b'{"b":1.10,"a":[10000000000000000000000000,1000,-100000000000000000000]}'
    )
    assert dump_json({"b": 1, "a": 2}, canonical=True) == b'{"a":2,"b":1}'
    with pytest.raises(TypeError):
        dump_json({"a": object()})
    with pytest.raises(TypeError):
        dump_json(Decimal("NaN"))


# ---------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00123", "00123"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("True", "True"),
        ("12:30", "12:30"),
        ("1.10", "1.10"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1e3", "1e3"),
        ("+5", "+5"),
        ("-0", "-0"),
        ("2026-11-20", "2026-11-20"),
        (".inf", ".inf"),
        ("=", "="),
        ("= main", "= main"),
        ("Null", "Null"),
        ("5", 5),
        ("-5", -5),
        ("0", 0),
        ("'5'", "5"),
        ('"true"', "true"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("{a: [1, x]}", {"a": [1, "x"]}),
    ],
)
def test_yaml_says_what_it_looks_like(text, value):
    loaded = load_yaml(f"key: {text}\n", "f.yaml").plain()
    assert loaded == {"key": value}
    assert type(loaded["key"]) is type(value)


def test_keys_are_always_text_and_every_node_knows_its_place():
    root = load_yaml("\ufeff# a comment\n404: retry\nNO: {deep: [a,\n  b]}\n", "dir/f.yaml")
    assert root.keys() == ["404", "NO"]
    assert [key.line for key, _ in root.items()] == [2, 3]
    deep = root.get("NO").get("deep")
    assert [(each.value, each.line, each.column) for each in deep] == [("a", 3, 13), ("b", 4, 3)]
    assert root.get("absent") is None
    assert (len(root), len(deep), bool(load_yaml("{}", "f"))) == (2, 2, True)
    assert str(deep.problem("is wrong", "Do this.")) == "dir/f.yaml:3:12  is wrong\n  Do this."
    assert isinstance(deep.error("is wrong"), ConfigError)


QUOTES = (
    "Check the indentation, and put the value in single quotes"
    ' if it begins with one of [ { * & ! @ % ` ".'
)
CLOSE = QUOTES.replace("Check the indentation, and", "Close it, or")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", 'f.yaml:3:1  "a" is already set in line 1\n  Remove one.'),
        ("a: {b: 1, b: 2}", 'f.yaml:1:11  "b" is already set in line 1\n  Remove one.'),
        (
            "a: &x 1\nb: *x",
            "f.yaml:1:4  &x is an anchor\n  Write the value out.\n"
            "f.yaml:2:4  *x is an alias\n  Write the value out.",
        ),
        ("a: {b: 1}\nc:\n  <<: {d: 1}", "f.yaml:3:3  merging with << is not used here"),
        (
            "a: !!python/object/apply:os.system [x]",
            "f.yaml:1:4  tag:yaml.org,2002:python/object/apply:os.system is a tag\n"
            "  Quote the value if it begins with !.",
        ),
        ("a: !x 1", "f.yaml:1:4  !x is a tag\n  Quote the value if it begins with !."),
        ("[" * 5000, "f.yaml:1:21  nested deeper than 20 levels"),
        ("a:\n\tb: 1", "f.yaml:2:1  a tab where only spaces may indent\n  Indent with spaces."),
        ("", "f.yaml:1  is empty"),
        ("# only a comment\n", "f.yaml:1  is empty"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1  a second document begins here\n  One file, one document."),
        (
            "a: 1\nb: [0].x",
            f"f.yaml:2:7  not YAML: expected <block end>, but found '<scalar>'\n  {QUOTES}",
        ),
        (
            "a: @",
            f"f.yaml:1:4  not YAML: found character '@' that cannot start any token\n  {QUOTES}",
        ),
        (
            "a: 1\nb  2\nc: 3\n",
            "f.yaml:2:1  not YAML: a line without a colon\n"
            "  A line has the form left: right, with a blank behind the colon.",
        ),
        ("a: 1\nb: [c\nd: 2\n", f"f.yaml:2:4  not YAML: a [ that nothing closes\n  {CLOSE}"),
        ("a: {b: c\nd: 2\n", f"f.yaml:1:4  not YAML: a {{ that nothing closes\n  {CLOSE}"),
        (
            'a: 1\nb: "c\nd: 2\n',
            "f.yaml:2:4  not YAML: a quote that nothing closes\n"
            "  Close it; a single quote inside of single quotes is written twice.",
        ),
        ("a: b: c", f"f.yaml:1:5  not YAML: mapping values are not allowed here\n  {QUOTES}"),
        ("[a, b]: 1", "f.yaml:1:1  a key must be one word or text"),
        ("a: 1\nb: \x00", "f.yaml:2:4  a character that no text file has"),
        ('a: "\\uD800"', "f.yaml:1:4  text with a NUL or half a character"),
        ('a: "\\0"', "f.yaml:1:4  text with a NUL or half a character"),
        ('a: "\\UFFFFFFFF"', "f.yaml:1  an escape in a quoted text that is no character"),
        (f"a: {'9' * 401}", "f.yaml:1:4  a number with more than 400 digits"),
        ("a: " + "x" * 1024 * 1024, "f.yaml:1  is larger than 1 MiB"),
    ],
    ids=range(25),
)
def test_yaml_that_could_mean_something_else_is_refused_with_its_line(text, message):
    with pytest.raises(ConfigError) as refused:
        load_yaml(text, "f.yaml")
    assert str(refused.value) == message


def test_an_alias_bomb_is_refused_before_it_grows():
    bomb = "a0: &a0 [x]\n" + "\n".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)
    )
    with pytest.raises(ConfigError, match="&a0 is an anchor"):
        load_yaml(bomb, "f.yaml")


@given(st.text(max_size=80) | st.text("ab:-[]{}&*!#|>'\"%@`\n ,?~1<=\\U0", max_size=60))
def test_any_text_is_yaml_of_ours_or_a_config_error(text):
    with contextlib.suppress(ConfigError):
        load_yaml(text, "f.yaml").plain()


def test_only_regular_files_inside_the_folder_are_read(tmp_path: Path):
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "good.yaml").write_text("a: 00123\n")
    assert read_yaml(folder / "good.yaml", "good.yaml", inside=folder).plain() == {"a": "00123"}
    (folder / "data").mkdir()
    (folder / "data" / "real.yaml").write_text("a: 1\n")
    (folder / "mounted.yaml").symlink_to("data/real.yaml")
    assert read_yaml(folder / "mounted.yaml", "f", inside=folder).plain() == {"a": 1}

    (tmp_path / "secret.yaml").write_text("a: 1\n")
    (folder / "out.yaml").symlink_to("../secret.yaml")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    (folder / "big.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    for name, message in {
        "out": "f.yaml:1  is a link to a file outside its folder\n  Put the file itself here.",
        "pipe": "f.yaml:1  is not a regular file",
        "data": "f.yaml:1  does not exist",
        "good.yaml/x": "f.yaml:1  cannot be read: Not a directory",
        "latin": "f.yaml:2  is not UTF-8 text\n  Save it as UTF-8.",
        "big": "f.yaml:1  is larger than 1 MiB",
    }.items():
        with pytest.raises(ConfigError) as refused:
            read_yaml(folder / f"{name}.yaml", "f.yaml", inside=folder)
        assert str(refused.value) == message
    with pytest.raises(ConfigError, match="is not a regular file"):
        read_yaml(folder, "f.yaml")


def test_the_nearest_known_word_is_offered():
    assert nearest("curency", ["currency", "country"]) == 'Did you mean "currency"?'
    assert nearest("xyz", ["currency"]) == ""
