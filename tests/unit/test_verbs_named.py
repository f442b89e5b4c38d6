"""A text of ours tells nobody to type a verb that is not there."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import _parser

REPO = Path(__file__).resolve().parents[2]
#: `truecount VERB …` in a sentence, or the beginning of a command in quotes.
NAMED = re.compile(r"[`\"']truecount ([a-z][a-z-]+)")
#: What stands behind our name in prose.
PROSE = frozenset({"cannot"})


def verbs() -> set[str]:
    [choices] = [a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return set(choices.choices)


def sources() -> Iterator[Path]:
    yield from sorted((REPO / "core").rglob("*.py"))
    yield from sorted((REPO / "docs").rglob("*.md"))
    yield REPO / "README.md"


@pytest.mark.parametrize(
    "path", list(sources()), ids=lambda path: path.relative_to(REPO).as_posix()
)
def test_every_verb_that_a_text_of_ours_names_exists(path: Path) -> None:
    named = set(NAMED.findall(path.read_text("utf-8"))) - PROSE
    assert named <= verbs(), sorted(named - verbs())


def test_the_verbs_are_found_in_texts() -> None:
    text = (REPO / "core" / "handover.py").read_text("utf-8")
    assert {"release", "by-hand"} <= set(NAMED.findall(text))
