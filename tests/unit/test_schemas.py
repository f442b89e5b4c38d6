"""The schemas editors use say what the loaders say, as far as a schema can."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config_schema import config_schema, schemas
from core.mapping.schema import mapping_schema
from core.strict import decode_yaml
from tests.unit.mapping.mapped import SEND, changed

jsonschema = pytest.importorskip("jsonschema", reason="the extra `proof` is not installed")
ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = sorted(p for p in (ROOT / "mappings").glob("*/*.yaml") if ".test." not in p.name)


def wrong(schema: dict[str, object], text: str) -> list[str]:
    checker = jsonschema.Draft202012Validator(schema)
    document = decode_yaml(text.encode(), "f.yaml").plain()
    return ["/".join(map(str, one.absolute_path)) for one in checker.iter_errors(document)]


@pytest.mark.parametrize("file", sorted(schemas()))
def test_the_committed_schema_is_the_generated_one(file: str) -> None:
    written = (ROOT / "docs" / "schema" / file).read_text("utf-8")
    assert written == schemas()[file], "python -m core.config_schema docs/schema"


def test_both_are_valid_schemas() -> None:
    for schema in (config_schema(), mapping_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_every_mapping_of_ours_pleases_the_schema(path: Path) -> None:
    assert wrong(mapping_schema(), path.read_text("utf-8")) == []


def test_the_example_configuration_pleases_the_schema() -> None:
    assert wrong(config_schema(), (ROOT / "config.example.yaml").read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (changed("at | time", "at | tme"), "fields/placed_at"),
        (changed("  number: name", "  nummber: name"), "fields"),
        (changed("version: 1", "version: one"), "version"),
        (changed("becomes: order", "becomes: ordr"), "becomes"),
        (changed("  each: items", "  each: items\n  skip_when: qty = 0"), "lines"),
        (changed("    key: id", "    keey: id"), "lines"),
        (changed("lines:", "linse:"), ""),
        (SEND.replace("quantity", "quantity | wole"), "body/items"),
        (SEND.replace("body:", "bdy:"), ""),
    ],
)
def test_a_mistake_is_underlined_where_it_stands(text: str, place: str) -> None:
    assert place in wrong(mapping_schema(), text)


def test_a_mistake_in_the_configuration_is_underlined() -> None:
    example = (ROOT / "config.example.yaml").read_text("utf-8")
    assert wrong(config_schema(), example.replace("  timezone:", "  timzone:", 1)) != []
    assert wrong(config_schema(), example.replace("level: info", "level: loud", 1)) != []
