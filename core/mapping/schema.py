"""The JSON Schema of mapping files, made from the model and the list of steps.

Editors complete and underline with it while an operator types; `truecount check`
stays the judge. A test compares docs/schema/mapping.schema.json with `mapping_schema()`.
"""

from __future__ import annotations

from typing import Any

from core.mapping.catalog import INCOMING, OUTGOING, Step
from core.mapping.shape import Field, fields_of
from core.model import COMMANDS, RECORDS

Schema = dict[str, Any]

_PIECE = r"""(?:[^|"'`]|"[^"]*"|'[^']*'|`[^`]*`|\|\|)*"""
_SCALAR = ["string", "number", "boolean"]
_TABLE: Schema = {
    "type": "object",
    "description": "Left their word, right ours; `otherwise` is hold, ignore, or a word of ours.",
    "additionalProperties": {"type": [*_SCALAR]},
}
_TESTS = "PATH is VALUE, is not VALUE, is one of VALUE, VALUE, is empty, is present, is zero"
_CONDITION: Schema = {"type": "string", "pattern": r"^.+ is (not )?(one of .+|\".*\"|\S+)$"}


def mapping_schema() -> Schema:
    """Of a file that reads (`becomes`) and of one that sends (`sends`)."""
    records = [_reading(name, record) for name, record in RECORDS.items()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A mapping of Truecount",
        "description": "docs/mappings.md explains every line.",
        "type": "object",
        "required": ["mapping", "version"],
        "properties": {
            "mapping": {
                "type": "string",
                "pattern": r"^[^.\s]+\.[^.\s]+$",
                "description": "The folder and the file: shopify.order",
            },
            "version": {"type": "integer", "minimum": 1, "description": "Raise it with every edit"},
            "becomes": {"enum": list(RECORDS), "description": "Theirs to ours: which record"},
            "sends": {"enum": list(COMMANDS), "description": "Ours to theirs: which command"},
        },
        "allOf": [
            *({"if": _is("becomes", name), "then": one} for name, one in records),
            *({"if": _is("sends", name), "then": _sending()} for name in COMMANDS),
        ],
        "oneOf": [{"required": ["becomes"]}, {"required": ["sends"]}],
        "$defs": {
            "reads": _line(INCOMING, "their path, then steps; a constant begins with ="),
            "sends": _line(OUTGOING, "our field, then steps; a constant begins with ="),
            "condition": {
                "description": _TESTS,
                "anyOf": [_CONDITION, {"type": "array", "items": _CONDITION}],
            },
            "choices": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [_TABLE, {"type": "string", "pattern": r"\.csv$"}]
                },
            },
            "required": {"type": "array", "items": {"type": "string"}},
            "body": _body(),
        },
    }


def _is(key: str, word: str) -> Schema:
    return {"required": [key], "properties": {key: {"const": word}}}


def _line(steps: dict[str, Step], what: str) -> Schema:
    names = "|".join([*sorted(steps), r"\w+\.\w+"])
    return {
        "type": _SCALAR,
        "pattern": rf"^{_PIECE}(?:\|\s*(?:{names})(?:\s+{_PIECE})?\s*)*$",
        "description": f"{what}. Steps: {', '.join(sorted(steps))}",
    }


# ------------------------------------------------------------------ a file that reads


def _reading(name: str, record: type) -> tuple[str, Schema]:
    block = _block(record)
    head: Schema = {
        "mapping": True,
        "version": True,
        "becomes": True,
        "choices": {"$ref": "#/$defs/choices"},
        "required": {"$ref": "#/$defs/required"},
        "currency": {"$ref": "#/$defs/reads"},
        "revision": {"$ref": "#/$defs/reads"},
    }
    return name, {**block, "properties": {**head, **block["properties"]}}


def _block(record: type) -> Schema:
    known = fields_of(record)
    properties: Schema = {
        "each": {"type": "string", "description": "Their list; paths inside start at the entry"},
        "keyed": {"type": "string", "description": "Their map; an entry has key and value"},
        "key": {"$ref": "#/$defs/reads"},
        "skip_when": {"$ref": "#/$defs/condition"},
        "fields": _fields(known),
    }
    for name, into in known.items():
        if into.kind == "records":
            inner = _block(into.of)
            properties[name] = {"anyOf": [inner, {"type": "array", "items": inner}]}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _fields(known: dict[str, Field]) -> Schema:
    properties: Schema = {}
    patterns: Schema = {}
    for name, into in known.items():
        if into.kind == "record":
            properties |= {f"{name}.{inner}": _field(each) for inner, each in _inner(into)}
        elif into.kind == "words":
            patterns[rf"^{name}\..+$"] = {"$ref": "#/$defs/reads"}
        elif into.kind != "records":
            properties[name] = _field(into)
    made: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return made | ({"patternProperties": patterns} if patterns else {})


def _inner(into: Field) -> list[tuple[str, Field]]:
    return list(fields_of(into.of).items())


def _field(into: Field) -> Schema:
    words = [str(word) for word in into.of] if into.kind == "enum" else []
    said = f"one of {', '.join(words)}" if words else into.kind
    needed = ", required" if into.required else ""
    return {"$ref": "#/$defs/reads", "description": f"{said}{needed}"}


# ------------------------------------------------------------------ a file that sends


def _sending() -> Schema:
    return {
        "additionalProperties": False,
        "required": ["body"],
        "properties": {
            "mapping": True,
            "version": True,
            "sends": True,
            "choices": {"$ref": "#/$defs/choices"},
            "required": {"$ref": "#/$defs/required"},
            "body": {"$ref": "#/$defs/body"},
        },
    }


def _body() -> Schema:
    """Names of theirs, as deep as they like; `each` makes a list, several blocks one list."""
    return {
        "type": "object",
        "properties": {"skip_when": {"$ref": "#/$defs/condition"}},
        "additionalProperties": {
            "anyOf": [
                {"$ref": "#/$defs/sends"},
                {"$ref": "#/$defs/body"},
                {"type": "array", "items": {"anyOf": [_CONDITION, {"$ref": "#/$defs/body"}]}},
            ]
        },
    }
