"""The JSON Schema of config.yaml, made from the table of options (`python -m core.config_schema`).

Writes docs/schema/config.schema.json and docs/schema/mapping.schema.json; a test
compares both with what is made here, so an editor never completes what is not there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from core.fields import Option
from core.mapping.schema import mapping_schema
from core.options import OPTIONS

Schema = dict[str, Any]

_PATTERNS: dict[str, str] = {
    "duration": r"^[0-9]{1,9}(ms|s|m|h|d)$",
    "size": r"^[0-9]{1,9} ?(B|KiB|MiB|GiB)$",
    "time": r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "address": r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})$",
}
_WORDS: Schema = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": ["string", "number"]}}]
}
_PAIRS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}


def config_schema() -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of Truecount",
        **_block(""),
    }


def _block(where: str) -> Schema:
    """The options directly below one place of the table."""
    start = f"{where}." if where else ""
    own = {
        path[len(start) :]: option
        for path, option in OPTIONS.items()
        if path.startswith(start) and "." not in path[len(start) :] and path[len(start) :] != "*"
    }
    properties: Schema = {}
    required: list[str] = []
    for name, option in own.items():
        properties[name] = _option(f"{start}{name}", option)
        if option.kind == "secret":
            properties[f"{name}_file"] = {"type": "string", "description": option.what}
        elif option.required:
            required.append(name)
    made: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return made | ({"required": required} if required else {})


def _option(path: str, option: Option) -> Schema:
    made = _kind(path, option)
    made["description"] = option.what.replace("\n", " ")
    if option.default is not None and option.kind not in ("block", "named", "rows", "free"):
        made["default"] = option.default
    return made


def _kind(path: str, option: Option) -> Schema:
    match option.kind:
        case "block":
            return _block(path)
        case "named":
            return {"type": "object", "additionalProperties": _block(f"{path}.*")}
        case "rows":
            return {"type": "array", "items": _block(f"{path}.*")}
        case "choice":
            return {"enum": list(option.choices)}
        case "flag":
            return {"type": "boolean"}
        case "count":
            return {"type": "integer", "minimum": option.least, "maximum": option.most}
        case "number":
            return {"type": ["number", "string"]}
        case "words":
            return dict(_WORDS)
        case "pairs":
            return dict(_PAIRS)
        case "free":
            return {}
        case kind if kind in _PATTERNS:
            return {"type": "string", "pattern": _PATTERNS[kind]}
        case _:
            return {"type": ["string", "number", "boolean"]}


def schemas() -> dict[str, str]:
    """The files of docs/schema and what they hold."""
    return {
        f"{name}.schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in (("config", config_schema()), ("mapping", mapping_schema()))
    }


if __name__ == "__main__":
    for file, text in schemas().items():
        (Path(sys.argv[1]) / file).write_text(text, encoding="utf-8")
