"""All mappings change together or not at all (H34); the manual's own examples load."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from core.errors import MappingError
from core.mapping import MappingBook, load_mapping, run_samples
from tests.unit.mapping.mapped import DOCUMENT, ORDER, SEND, changed, load, write

MANUAL = Path(__file__).parents[3] / "docs" / "mappings.md"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, ORDER)
    write(tmp_path, SEND)
    samples = tmp_path / "shop" / "samples"
    samples.mkdir()
    (samples / "one.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "shop" / "order.test.yaml").write_text(
        "- {name: it, given: samples/one.json, expect: {payment: paid}}\n"
    )
    return tmp_path


def test_a_book_finds_by_connector_and_name_in_the_right_direction(folder):
    book = MappingBook.load(folder, ["shop", "absent"])
    assert book.incoming("shop", "order").record(DOCUMENT).number == "#1001"
    assert book.outgoing("shop", "fulfill_order").kind == "fulfill_order"
    assert book.incoming("shop", "fulfill_order") is None
    assert book.outgoing("shop", "order") is None
    assert book.incoming("shop", "listing") is None
    assert book.incoming("other", "order") is None
    assert sorted(mapping.name for mapping in book) == ["shop.fulfill_order", "shop.order"]


def test_an_edit_on_trial_is_never_in_force_and_is_called_as_what_it_would_be(folder):
    edit = folder / "shop" / "order.edit.yaml"
    edit.write_text(changed("version: 1", "version: 2").replace("PAID: paid", "PAID: cod"))
    book = MappingBook.load(folder, ["shop"])
    assert book.incoming("shop", "order").version == 1
    assert book.incoming("shop", "order.edit") is None
    mapping = load_mapping(edit, "shop/order.edit.yaml")
    assert (mapping.name, mapping.version) == ("shop.order", 2)
    [problem] = run_samples(edit, "shop/order.edit.yaml", mapping)
    assert str(problem) == ('shop/order.test.yaml:1:57  it: payment is "cod", not paid')


def test_the_version_of_a_row_names_file_version_and_bytes(folder):
    book = MappingBook.load(folder, ["shop"])
    digest = book.incoming("shop", "order").hash
    assert book.version("shop", "order") == f"shop.order v1 {digest[:8]}"
    assert book.version("shop", "listing") == ""
    write(folder, ORDER + "# a comment\n")
    assert book.reload() == []
    assert book.version("shop", "order") != f"shop.order v1 {digest[:8]}"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (ORDER[:200], "is required and not mapped"),
        (changed("PAID: paid", "PAID: void"), 'payment is "void", not paid'),
        (ORDER.replace("pay |", "[pay |"), "not YAML"),
        ("", "is empty"),
    ],
    ids=["half-written", "fails its example", "no YAML", "empty"],
)
def test_a_bad_edit_changes_nothing(folder, edit, message):
    """H34: the old version stays in force, of every file."""
    book = MappingBook.load(folder, ["shop"])
    before = list(book)
    write(folder, SEND.replace("version: 1", "version: 2"))
    write(folder, edit, "shop.order")
    problems = book.reload()
    assert message in "\n".join(map(str, problems))
    assert list(book) == before
    write(folder, ORDER.replace("version: 1", "version: 2"))
    assert book.reload() == []
    assert [mapping.version for mapping in book] == [2, 2]


def test_a_start_names_all_problems_of_all_files(folder):
    write(folder, ORDER.replace("at | time", "at"))
    write(folder, SEND.replace("sku: sku", "sku: skew"))
    with pytest.raises(MappingError) as refused:
        MappingBook.load(folder, ["shop"])
    assert {Path(problem.file).name for problem in refused.value.problems} == {
        "order.yaml",
        "fulfill_order.yaml",
    }


def test_a_connector_may_have_its_mappings_elsewhere(folder, tmp_path):
    mine = tmp_path / "mine"
    write(mine, ORDER.replace("version: 1", "version: 9"))
    book = MappingBook.load(folder, ["shop"], folders={"shop": mine / "shop"})
    assert [mapping.version for mapping in book] == [9]


def test_a_link_out_of_the_folder_is_not_followed(folder, tmp_path):
    (tmp_path / "outside.yaml").write_text(ORDER)
    (folder / "shop" / "listing.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(MappingError, match="is a link to a file outside its folder"):
        MappingBook.load(folder, ["shop"])


def test_the_mappings_of_the_manual_load():
    blocks = re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    files = [block for block in blocks if "\nmapping: " in f"\n{block}"]
    assert len(files) == 2
    for block in files:
        name = re.search(r"^mapping: (\S+)", block, re.MULTILINE)
        assert load(block, name[1]).version >= 1
