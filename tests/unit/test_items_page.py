"""docs/items.md: every example is read as an operator's file, and every number in it is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core import quotas
from core.aliases import ours, whole
from core.errors import ConfigError, Hold
from core.items import Items
from core.items_file import TABLE, load_items
from core.ledger import Source
from core.model import StockReading
from core.network import Network

PAGE = Path(__file__).resolve().parents[2] / "docs" / "items.md"
SYSTEMS = ("shop", "market", "depot", "scales", "books")
CHANNELS = ("shop", "market")


def blocks() -> list[str]:
    return [part.partition("```")[0] for part in PAGE.read_text("utf-8").split("```yaml\n")[1:]]


def load(folder: Path, text: str) -> Items:
    (folder / "items.yaml").write_text(text)
    return load_items(folder / "items.yaml", "items.yaml", systems=SYSTEMS, channels=CHANNELS)


@pytest.fixture
def items(tmp_path: Path) -> Items:
    return load(tmp_path, blocks()[0])


def tables() -> Iterator[tuple[list[str], list[str]]]:
    """Every row of every table, with the heads of its table."""
    found = re.findall(r"^\|(.+)\|\n\|[-|]+\|\n((?:\|.+\|\n)+)", PAGE.read_text("utf-8"), re.M)
    for head, lines in found:
        heads = [cell.strip() for cell in head.split("|")]
        for line in lines.strip().splitlines():
            yield heads, [cell.strip() for cell in line.strip("|").split("|")]


def amounts(text: str) -> dict[str, int]:
    """`1 TEA, 2 MUG`"""
    pairs = (one.split(" ") for one in text.split(", "))
    return {sku: int(count) for count, sku in pairs}


ROWS = list(tables())


@pytest.mark.parametrize(("heads", "cells"), ROWS, ids=[" ".join(cells) for _, cells in ROWS])
def test_a_row_of_the_page(items: Items, heads: list[str], cells: list[str]) -> None:
    match heads:
        case ["system", "says", "that is"]:
            system, word, sku = cells
            assert items.named(system, word).sku == sku
        case ["system", "counts", "that is"]:
            system, counted, wanted = cells
            count, word = counted.split(" ")
            reading = StockReading(key="1", sku=word, place="EAST", measured=Decimal(count))
            read = ours(_network(items), system, reading)
            assert isinstance(read, StockReading)
            assert f"{read.on_hand} {read.sku}" == wanted
        case ["ordered", "the depot is asked for"]:
            [(sku, count)] = amounts(cells[0]).items()
            if cells[1] == "held":
                with pytest.raises(Hold):
                    whole(items, "depot", sku, count)
            else:
                word = items.word("depot", sku).their_sku
                assert f"{whole(items, 'depot', sku, count)} {word}" == cells[1]
        case ["sold", "takes"]:
            [(sku, count)] = amounts(cells[0]).items()
            takes = {item: n * count for item, n in items.needs(sku).items()}
            assert takes == amounts(cells[1])
        case ["in stock", *skus]:
            stock = amounts(cells[0])
            for sku, offered in zip(skus, cells[1:], strict=True):
                needs = items.needs(sku)
                assert quotas.sets(needs, "east", lambda item, _: stock[item]) == int(offered)
        case _:
            raise AssertionError(f"no test for a table of {heads}")


def _network(items: Items) -> Network:
    return Network(
        company="Acme",
        zone=ZoneInfo("UTC"),
        currency="EUR",
        locations={},
        channels=CHANNELS,
        ledgers=("books",),
        sources={"depot": Source(basis="on_hand", ordered_by="counter")},
        accepts={},
        stock_writes={},
        items=items,
    )


def test_the_first_block_shows_every_key_but_those_named_in_the_text(tmp_path: Path) -> None:
    items = load(tmp_path, blocks()[0])
    assert items.tags("TEA") == {"drinks"}
    assert items.lots == {"MILK"}
    page = PAGE.read_text("utf-8")
    for key in {path.partition(".")[0] for path in TABLE}:
        assert f"{key}:" in page or f"`{key}`" in page, key
    (tmp_path / "aliases.csv").write_text("sku,system,their_sku,factor\nTEA,shop,T,\n")
    assert load(tmp_path, "apart: [[TEA, tea]]\nalias_files: [aliases.csv]\n").aliases


def test_what_is_refused_is_refused_in_these_words(tmp_path: Path) -> None:
    refused, said = PAGE.read_text("utf-8").partition("## What is refused")[2].split("```\n")[:3:2]
    with pytest.raises(ConfigError) as error:
        load(tmp_path, refused.partition("```yaml\n")[2])
    assert str(error.value) + "\n" == said
