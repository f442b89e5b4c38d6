"""items.yaml: what an operator may write, and every refusal with its place and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigError
from core.items import Alias, Items
from core.items_file import COMPONENTS_MAX, load_items

SYSTEMS = ("shop", "market", "depot", "books")
CHANNELS = ("shop", "market")


def read(folder: Path, text: str, **lists: str) -> Items:
    (folder / "items.yaml").write_text(text, encoding="utf-8")
    for name, rows in lists.items():
        (folder / f"{name}.csv").write_text(rows, encoding="utf-8")
    return load_items(folder / "items.yaml", "items.yaml", systems=SYSTEMS, channels=CHANNELS)


def refused(folder: Path, text: str, **lists: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(folder, text, **lists)
    return [str(problem) for problem in error.value.problems]


# ------------------------------------------------------------------ what may be written


def test_everything_an_operator_may_say(tmp_path: Path) -> None:
    items = read(
        tmp_path,
        """\
kits:
  GIFT: {TEA: 1, MUG: 2}
  TEA-12: {TEA: 12}
aliases:
  - {sku: TEA, system: shop, their_sku: tea-100g}
  - {sku: TEA, system: shop, their_sku: TEE}
  - {sku: TEA, system: depot, their_sku: CASE-TEA, factor: 12}
  - {sku: 00123, system: books, their_sku: NO}
alias_files: [more.csv]
tags:
  drinks: [TEA, COFFEE]
  small: TEA
lots: [MILK]
apart: [[TEA, tea]]
""",
        more="sku,system,their_sku,factor\nMUG,market,Mug blue,\nMUG,depot,C-MUG,6\n",
    )
    assert [(a.system, a.their_sku, a.sku, a.factor) for a in items.aliases] == [
        ("shop", "tea-100g", "TEA", 1),
        ("shop", "TEE", "TEA", 1),
        ("depot", "CASE-TEA", "TEA", 12),
        ("books", "NO", "00123", 1),
        ("market", "Mug blue", "MUG", 1),
        ("depot", "C-MUG", "MUG", 6),
    ]
    assert [(a.file, a.line) for a in items.aliases][2:5] == [
        ("items.yaml", 7),
        ("items.yaml", 8),
        ("more.csv", 2),
    ]
    assert items.needs("GIFT") == {"TEA": 1, "MUG": 2}
    assert items.tags("TEA") == {"drinks", "small"}
    assert items.lots == {"MILK"}
    assert items.are_apart({"TEA", "tea"})
    assert items.many_words == {"shop", "market"}


def test_nothing_of_it_is_needed(tmp_path: Path) -> None:
    items = read(tmp_path, "lots: [MILK]\n")
    assert (items.aliases, items.kits) == ((), {})


def test_a_spreadsheet_may_write_semicolons_a_mark_and_no_factors(tmp_path: Path) -> None:
    rows = '\ufeffsku;system;their_sku\r\nTEA;shop;"TEE; gross"\r\n\r\n;;\r\nMUG;shop;M\r\n'
    items = read(tmp_path, "alias_files: more.csv\n", more=rows)
    assert [(a.their_sku, a.line) for a in items.aliases] == [("TEE; gross", 2), ("M", 5)]


def test_thousands_of_aliases_are_read_at_once(tmp_path: Path) -> None:
    rows = "".join(f"SKU-{n},shop,their {n},\n" for n in range(50_000))
    items = read(tmp_path, "alias_files: more.csv\n", more=f"sku,system,their_sku,factor\n{rows}")
    assert items.named("shop", "their 49999") == Alias(
        system="shop", their_sku="their 49999", sku="SKU-49999"
    )


# ------------------------------------------------------------------ what is refused


def test_h45_an_alias_to_two_items_names_both_lines(tmp_path: Path) -> None:
    text = """\
aliases:
  - {sku: TEA, system: shop, their_sku: TEE}
  - {sku: MUG, system: shop, their_sku: TEE}
alias_files: [more.csv]
"""
    rows = "sku,system,their_sku,factor\nHAT,shop,TEE,\nTEA,shop,TEE,\n"
    assert refused(tmp_path, text, more=rows) == [
        'items.yaml:3:41  "TEE" of shop is "TEA" in line 2, and "MUG" here\n'
        "  One word means one item: keep one.",
        'more.csv:2  "TEE" of shop is "TEA" in items.yaml line 2, and "HAT" here\n'
        "  One word means one item: keep one.",
        "more.csv:3  says again what items.yaml line 2 says\n  Keep one.",
    ]


def test_h45_two_words_of_a_warehouse_for_one_item(tmp_path: Path) -> None:
    text = """\
aliases:
  - {sku: TEA, system: depot, their_sku: T1}
  - {sku: TEA, system: depot, their_sku: T2, factor: 12}
"""
    [problem] = refused(tmp_path, text)
    assert problem.startswith(
        'items.yaml:3:42  depot would have two words for "TEA": "T1" (line 2) and "T2"\n'
    )
    assert "Make one of them an item of its own." in problem


def test_h44_a_factor_that_is_no_whole_number_of_units(tmp_path: Path) -> None:
    text = """\
aliases:
  - {sku: TEA, system: depot, their_sku: T1, factor: 0}
  - {sku: MUG, system: depot, their_sku: M1, factor: -1}
  - {sku: HAT, system: depot, their_sku: H1, factor: 2.5}
  - {sku: CAP, system: depot, their_sku: C1, factor: 1000001}
kits:
  A: {TEA: 0}
  B: {TEA: -2, MUG: 1.5, HAT: }
alias_files: [more.csv]
"""
    rows = "sku,system,their_sku,factor\nTEA,depot,X,0\nTEA,depot,Y,a dozen\n"
    allowed = "\n  A whole number from 1 to 1000000."
    csv_allowed = "\n  A whole number from 1 to 1000000, or nothing for 1."
    assert refused(tmp_path, text, more=rows) == [
        f'items.yaml:2:54  aliases row 1.factor is "0"{allowed}',
        f'items.yaml:3:54  aliases row 2.factor is "-1"{allowed}',
        f'items.yaml:4:54  aliases row 3.factor is "2.5"{allowed}',
        f'items.yaml:5:54  aliases row 4.factor is "1000001"{allowed}',
        f'items.yaml:7:12  kit "A" needs "0" of "TEA"{allowed}',
        f'items.yaml:8:12  kit "B" needs "-2" of "TEA"{allowed}',
        f'items.yaml:8:21  kit "B" needs "1.5" of "MUG"{allowed}',
        f'items.yaml:8:30  kit "B" needs "" of "HAT"{allowed}',
        f'more.csv:2  factor is "0"{csv_allowed}',
        f'more.csv:3  factor is "a dozen"{csv_allowed}',
    ]


def test_a_channel_that_sells_by_the_case_is_told_to_write_a_pack(tmp_path: Path) -> None:
    text = "aliases:\n  - {sku: TEA, system: shop, their_sku: TEA-12, factor: 12}\n"
    assert refused(tmp_path, text) == [
        'items.yaml:2:57  shop is a channel, and sells "TEA-12" by 12\n'
        "  Write a pack, `kits: {TEA-12: {TEA: 12}}`, and no factor here."
    ]


@pytest.mark.parametrize(
    ("kits", "line", "circle"),
    [
        ("  GIFT: {GIFT: 1}\n", 2, '"GIFT" contains itself: GIFT > GIFT'),
        ("  A: {B: 1}\n  B: {A: 2}\n", 2, '"A" contains itself: A > B > A'),
        (
            "  X: {TEA: 1}\n  C: {A: 1, X: 1}\n  A: {B: 1}\n  B: {C: 2}\n",
            3,
            '"C" contains itself: C > A > B > C',
        ),
    ],
)
def test_a_kit_that_contains_itself_is_refused_with_its_circle(
    tmp_path: Path, kits: str, line: int, circle: str
) -> None:
    [problem] = refused(tmp_path, f"kits:\n{kits}")
    assert problem.startswith(f"items.yaml:{line}:3  kit {circle}\n  Take ")


def test_every_circle_is_named_and_other_problems_beside_it(tmp_path: Path) -> None:
    text = """\
kits:
  A: {B: 1}
  B: {A: 1}
  C: {C: 1}
  D: {}
  E: 5
aliases:
  - {sku: TEA, system: depott, their_sku: T1}
"""
    problems = refused(tmp_path, text)
    assert [problem.partition("  ")[0] for problem in problems] == [
        f"items.yaml:{place}" for place in ("2:3", "4:3", "5:6", "6:6", "8:24")
    ]
    assert problems[4].endswith('"depott" is no system of config.yaml\n  Did you mean "depot"?')
    assert problems[2].endswith('kit "D" names no components\n  Write them like {TEA: 1, MUG: 2}.')


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    assert refused(tmp_path, "kits:\n  GIFT: {TEA: 1}\n  GIFT: {MUG: 1}\n") == [
        'items.yaml:3:3  "GIFT" is already set in line 2\n  Remove one.'
    ]


def test_an_unknown_key_and_a_missing_one(tmp_path: Path) -> None:
    text = "bundles: {}\naliases:\n  - {sku: TEA, system: shop}\n"
    first, second = refused(tmp_path, text)
    assert first.startswith('items.yaml:1:1  "bundles" is not an option')
    assert second == (
        "items.yaml:3:5  aliases row 1.their_sku is missing\n"
        "  What it calls the item, letter for letter."
    )


def test_a_blank_that_nobody_sees_is_refused_not_trimmed(tmp_path: Path) -> None:
    text = 'kits:\n  "GIFT ": {TEA: 1}\nlots: ["MI\u200bLK"]\n'
    rows = "sku,system,their_sku,factor\nTEA,shop, TEE,\n"
    problems = refused(tmp_path, f"{text}alias_files: [more.csv]\ntags: {{a: [' T']}}\n", more=rows)
    assert [problem.split("  ")[0] for problem in problems][:1] == ["items.yaml:2:3"]
    assert problems[0] == (
        'items.yaml:2:3  "GIFT " is no SKU: blanks around it, a character that cannot be seen, or '
        "too long\n  Mappings take the blanks around a SKU away; write it without."
    )
    assert any(problem.startswith('more.csv:2  " TEE" is no SKU') for problem in problems)
    assert any(problem.startswith('items.yaml:5:12  " T" is no SKU') for problem in problems)


def test_a_list_of_aliases_that_is_no_list_of_aliases(tmp_path: Path) -> None:
    def of(rows: str) -> list[str]:
        return refused(tmp_path, "alias_files: [more.csv]\n", more=rows)

    head = "It is: sku,system,their_sku,factor; factor may be left out."
    assert of("sku,system\n") == [f'more.csv:1  the header is "sku,system"\n  {head}']
    assert of("sku,system,their_sku,price\n") == [
        f'more.csv:1  the header is "sku,system,their_sku,price"\n  {head}'
    ]
    assert of("") == ["more.csv:1  has no header\n  The first line is: sku,system,their_sku,factor"]
    assert of("sku,system,their_sku\nTEA,shop\n,shop,TEE\n") == [
        "more.csv:2  has 2 cells, the header has 3",
        "more.csv:3  sku is empty\n  Fill it in.",
    ]
    [problem] = of('sku,system,their_sku\nTEA,shop,"TEE\n')
    assert problem.startswith("more.csv:2  is no CSV: ")
    (tmp_path / "more.csv").write_bytes(b"sku,system,their_sku\nTEA,shop,T\xe9\n")
    (tmp_path / "items.yaml").write_text("alias_files: [more.csv, none.csv]\n")
    with pytest.raises(ConfigError) as error:
        load_items(tmp_path / "items.yaml", "items.yaml", systems=SYSTEMS, channels=CHANNELS)
    assert [str(problem) for problem in error.value.problems] == [
        'items.yaml:1:25  alias_files: there is no file "none.csv" beside this one',
        "more.csv:1  is not UTF-8 text\n  Save it as CSV UTF-8.",
    ]


def test_lists_that_are_no_lists_of_skus(tmp_path: Path) -> None:
    text = "tags: {a: {b: c}, d: [TEA, TEA]}\nlots: [MILK, MILK]\napart: [TEA, tea]\n"
    assert refused(tmp_path, text) == [
        'items.yaml:1:11  tag "a" is a list of SKUs\n  Write it like [TEA, MUG].',
        'items.yaml:1:28  tag "d" has "TEA" twice\n  Keep one.',
        'items.yaml:2:14  lots has "MILK" twice\n  Keep one.',
        "items.yaml:3:8  apart is a list of lists\n  Write it like [[TEA, tea]].",
    ]


def test_a_kit_beyond_all_measure(tmp_path: Path) -> None:
    text = "kits:\n  A: {TEA: 1000000}\n  B: {A: 2}\n"
    text += f"  C: {{{', '.join(f'X{n}: 1' for n in range(COMPONENTS_MAX + 1))}}}\n"
    first, second = refused(tmp_path, text)
    assert first.startswith(
        'items.yaml:3:3  kit "B" comes to 1 components, up to 2000000 units of one\n'
    )
    assert second.startswith('items.yaml:4:3  kit "C" comes to 101 components')


def test_a_problem_of_an_alias_stands_where_its_part_does(tmp_path: Path) -> None:
    """A row over several lines: an editor jumps to the word, not to the dash."""
    text = """\
aliases:
  - sku: TEA
    their_sku: TEE
    system: shp
  - sku: TEA
    system: shop
    their_sku: TEA-12
    factor: 12
"""
    found = [problem.partition("  ")[0] for problem in refused(tmp_path, text)]
    assert found == ["items.yaml:4:13", "items.yaml:8:13"]
