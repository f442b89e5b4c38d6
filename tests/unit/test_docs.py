"""The documents say what the code says, or a test says where they do not."""

from __future__ import annotations

import ast
import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core import by_person, cancelling, coming_back, handover
from core.causes import CAUSES
from core.lifecycle import NEXT, blockers
from core.model import Order, OrderLine, Payment
from core.money import Money

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "docs"
PAGES = sorted(
    [
        *(REPO / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *DOCS.rglob("*.md"),
        *(REPO / "connectors").glob("*/README.md"),
    ]
)


def text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def names_in(file: Path) -> set[str]:
    """Every function and class of a Python file, methods included."""
    tree = ast.parse(file.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_the_lifecycle_table_is_the_one_of_the_code() -> None:
    section = text("ARCHITECTURE.md").partition("## The life of an order")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (\w+) \| ([\w, -]+) \|$", section, re.MULTILINE))
    assert rows.pop("state") == "may become"
    written = {state: set(re.findall(r"\w+", words)) for state, words in rows.items()}
    assert written == {state.value: {one.value for one in after} for state, after in NEXT.items()}


def test_what_a_payment_does_to_an_order_is_what_the_code_does() -> None:
    section = text("ARCHITECTURE.md").partition("## The life of an order")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| ([\w ]+) \| ([\w ]+) \| (yes|no) \|$", section, re.MULTILINE)
    zero = Money.zero("EUR")
    found = []
    for payment in Payment:
        words, person = [], ""
        for goods in (True, False):
            line = OrderLine(key="1", sku="TEA", quantity=1, unit_price=zero, shippable=goods)
            order = Order(
                key="1", number="1", revision="1", currency="EUR", total=zero, payment=payment,
                placed_at=datetime(2026, 12, 1, tzinfo=UTC), lines=(line,),
            )  # fmt: skip
            held = blockers(order, unknown_skus={}, short_units=0, rounding_limit_minor=0)
            words.append("held" if held else "goes on")
            if goods and held:
                person = held[0].person
        found.append((payment.value, *words, "yes" if person == "all" else "no"))
    assert rows == found


def test_every_cause_that_holds_an_order_is_in_the_table() -> None:
    section = text("ARCHITECTURE.md").partition("| cause | whose it is |")[2].partition("\n## ")[0]
    written = set(re.findall(r"^\| (\w+) \|", section, re.MULTILINE))
    known = set()
    for file in (REPO / "core").glob("*.py"):
        source = file.read_text("utf-8")
        known |= set(re.findall(r"holds\.late\(\"(\w+)\"", source))
        for blocker in re.findall(r"Blocker\((.*?)\n    *\)", source, re.DOTALL):
            known |= set(re.findall(r"cause=f?\"(\w+)", blocker))
    persons = {by_person.KEPT, by_person.CANCELLED, by_person.GRANTED, cancelling.WISH}
    assert written == known | persons | {handover.LEFT_IN_PART}


def test_the_causes_of_differences_are_those_of_the_code() -> None:
    section = text("reconciliation.md").partition("\n## Causes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    assert [(code, kind.replace(" ", "_"), says) for code, kind, says, _ in rows] == [
        (one.code, one.kind, one.meaning) for one in CAUSES.values()
    ]
    steps = {code: step.strip("`") for code, _, _, step in rows}
    assert steps == {one.code: one.next_step.rstrip(".") or "-" for one in CAUSES.values()}


def test_the_table_of_returns_is_the_one_of_the_code() -> None:
    section = text("ARCHITECTURE.md").partition("## The life of a return")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (\w+) \| ([\w, -]+) \|$", section, re.MULTILINE))
    assert rows.pop("custody") == "may become"
    written = {word: set(re.findall(r"\w+", after)) for word, after in rows.items()}
    assert written == {
        word.value: {one.value for one in after} for word, after in coming_back.NEXT.items()
    }
    drawn = re.search(r"^```\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert drawn is not None
    assert coming_back.__doc__ is not None
    assert textwrap.indent(drawn[1].rstrip(), "    ") in coming_back.__doc__


def test_architecture_names_every_file_of_the_core_and_no_other() -> None:
    written = re.findall(r"^\| `(core/[\w/]+\.py)` \|", text("ARCHITECTURE.md"), re.MULTILINE)
    there = {path.relative_to(REPO).as_posix() for path in (REPO / "core").rglob("*.py")}
    assert len(written) == len(set(written)), "a file has two lines"
    assert set(written) == there


def test_architecture_draws_the_layers_of_the_linter() -> None:
    linter = (REPO / ".importlinter").read_text("utf-8").partition("layers =\n")[2]
    layers = [re.findall(r"core\.\w+", line) for line in linter.splitlines()]
    blocks = re.findall(r"^```\n(.*?)^```", text("ARCHITECTURE.md"), re.DOTALL | re.MULTILINE)
    drawn = next(block for block in blocks if block.startswith("core."))
    assert [re.findall(r"core\.\w+", line) for line in drawn.splitlines()] == [
        x for x in layers if x
    ]


def test_the_walk_has_eight_stops_and_every_file_and_function_exists() -> None:
    walk = text("WALK.md")
    stops = re.findall(r"^\| (\d) \| [^|]+ \| `(core/[\w/]+\.py)` · `(\w+)`", walk, re.MULTILINE)
    assert [stop for stop, _, _ in stops] == list("12345678")
    assert len({file for _, file, _ in stops}) == 8
    for file, name in re.findall(r"`(core/[\w/]+\.py)`\s*·\s*`(\w+)`", walk):
        assert name in names_in(REPO / file), f"{file} has no {name}"


def test_every_promise_names_tests_that_exist_or_says_that_there_are_none() -> None:
    parts = re.split(r"^## (G\d+) ", text("PROMISES.md").partition("\n## Never")[0], flags=re.M)[1:]
    promises = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(promises) == [f"G{n}" for n in range(1, 21)]
    for promise, words in promises.items():
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", words)
        assert tests or "not proven yet" in words.lower(), promise
        for file, name in tests:
            assert (REPO / file).is_file(), f"{promise}: {file}"
            assert name in names_in(REPO / file), f"{promise}: {file}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPO).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    body = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", body):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_the_readme_begins_with_the_two_commands() -> None:
    lines = (REPO / "README.md").read_text("utf-8").splitlines()
    assert [line.partition("#")[0].strip() for line in lines[3:5]] == ["make demo", "make test"]
    makefile = (REPO / "Makefile").read_text("utf-8")
    assert "\ndemo: " in makefile
    assert "\ntest: " in makefile


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((DOCS / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
