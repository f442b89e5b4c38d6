"""docs/rules.md: every example is read as an operator's file, and every number in it is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.clock import written
from core.network import Location, Network
from core.offer_rules import Rules
from core.rules_file import read_rules
from core.rules_table import TABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
CHANNELS = ("shop", "market", "lazada", "shopee")
TAGS = {"TEA": frozenset({"fragile"}), "MUG": frozenset({"fragile", "gift"})}
NETWORK = Network(
    company="Acme",
    zone=ZONE,
    currency="EUR",
    locations={
        name: Location(name=name, at={}, serves=CHANNELS, stock_owner="depot", ships="depot")
        for name in ("east", "west")
    },
    channels=CHANNELS,
    ledgers=(),
    sources={},
    accepts={},
    stock_writes={},
)


def examples() -> Iterator[tuple[str, str]]:
    """Each block of YAML, with what stands below it up to the next."""
    _, *parts = PAGE.read_text("utf-8").split("```yaml\n")
    for part in parts:
        text, _, below = part.partition("```\n")
        yield text, below


def rows(below: str) -> list[dict[str, str]]:
    """The first table under an example, as {column: cell}."""
    found = re.search(r"^\|(.+)\|\n\|[-|]+\|\n((?:\|.+\|\n)+)", below, re.MULTILINE)
    if found is None:
        return []
    heads = [cell.strip() for cell in found.group(1).split("|")]
    lines = found.group(2).strip().splitlines()
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(heads, line, strict=True)) for line in cells]


def rules_of(text: str) -> Rules:
    rules, problems = read_rules(text.encode(), "rules.yaml", NETWORK, TAGS)
    assert [str(problem) for problem in problems] == []
    return rules


CASES = [
    (text, row) for text, below in examples() for row in rows(below) if "item" in row
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "row"), CASES, ids=[" ".join(list(row.values())[:4]) for _, row in CASES]
)
def test_a_number_of_the_page(text: str, row: dict[str, str]) -> None:
    rules, item = rules_of(text), row["item"]
    if "keeps" in row:
        assert rules.safety(item, row["location"], int(row["supply"]), 2) == int(row["keeps"])
    elif "policy" in row:
        assert (rules.policy(item, row["channel"]) or "as in config.yaml") == row["policy"]
    else:
        name, _, sold = row.get("sold", "").partition(": ")
        shown = rules.offer(
            item,
            row["channel"],
            "",
            int(row["pool"]),
            now=written(row["at"], ZONE) if "at" in row else NOW,
            sold={name: int(sold)} if sold else {},
            open_units=int(row.get("pre-sold") or 0),
        )
        assert shown.units == int(row["shows"])


def test_every_example_of_the_page_can_be_read_and_every_kind_has_one() -> None:
    texts = [text for text, _ in examples()]
    assert all(rules_of(text).written for text in texts)
    kinds = {key.split(".")[2] for key in TABLE if key.startswith("rules.*.")}
    shown = {kind for kind in kinds for text in texts if f"{kind}:" in text}
    assert shown == kinds
    assert len(CASES) > 30
