"""How a manifest points into documents: dotted paths and `{field}` templates.

Nothing an operator writes is evaluated. A path only walks, a template only
inserts; both are parsed when the connector is built, so a wrong one stops the
start and not an order.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeGuard, get_args, get_type_hints
from urllib.parse import quote

from core.contract import Json
from core.errors import Rejected

#: What a field may stand under: `{key}`, `{record.target}`, `{settings.company}`.
Sources = Mapping[str, Any]

_SEGMENT = re.compile(r"[A-Za-z0-9_$@ -]+")
_FIELD = re.compile(r"\{([^{}]*)\}")


def at(document: Json, path: str) -> Json:
    """The value at a dotted path, or None: absent and null are the same to us here."""
    if path == ".":
        return document
    for name in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(name)
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        elif _is_record(document) and name in {
            field.name for field in dataclasses.fields(document)
        }:
            document = getattr(document, name)
        else:
            return None
    return document


def placed(path: str, value: Json, into: dict[str, Json] | None = None) -> dict[str, Json]:
    """A document that holds `value` at a dotted path, beside what `into` already holds."""
    root: dict[str, Json] = {} if into is None else into
    spot = root
    *parents, last = path.split(".")
    for name in parents:
        # Copied on the way down: the constants of a manifest are shared by all calls.
        below = spot.get(name)
        spot[name] = dict(below) if isinstance(below, dict) else {}
        spot = spot[name]
    spot[last] = value
    return root


def text(value: Json) -> str | None:
    """A scalar as the text it is compared and sent as; None for anything else."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return None


def path_problem(path: str) -> str | None:
    """Why this is not a dotted path, or None."""
    if path == "." or all(_SEGMENT.fullmatch(name) for name in path.split(".")):
        return None
    return f"{path!r} is not a dotted path like data.items, nor a lone dot"


@dataclass(frozen=True, slots=True)
class Template:
    """Text with `{fields}` in it, split into literal, field, literal, field, …"""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, written: str) -> Template:
        return cls(tuple(_FIELD.split(written)))

    @property
    def fields(self) -> tuple[str, ...]:
        return self.parts[1::2]

    def problem(self, known: Mapping[str, Any]) -> str | None:
        """Why it cannot be filled, or None. `known`: source -> record type, or None for any."""
        if any("{" in literal or "}" in literal for literal in self.parts[::2]):
            return "has a { or } that is not around a field"
        for field in self.fields:
            why = _field_problem(field, known)
            if why:
                return why
        return None

    def fill(self, sources: Sources) -> str:
        return self._joined(sources, lambda value: value)

    def fill_path(self, sources: Sources) -> str:
        """The same for a URL path: a value is one segment and cannot climb out of it."""

        def segment(value: str) -> str:
            if value in ("", ".", ".."):
                raise Rejected("an address cannot be made", words=f"a field of it is {value!r}")
            return quote(value, safe="")

        return self._joined(sources, segment)

    def value(self, sources: Sources) -> Json:
        """A lone `{field}` keeps its type: a quantity stays a number."""
        if len(self.parts) == 3 and not self.parts[0] and not self.parts[2]:
            return at(sources, self.parts[1])
        return self.fill(sources)

    def _joined(self, sources: Sources, treat: Any) -> str:
        out = list(self.parts)
        for index, field in enumerate(self.parts[1::2]):
            value = text(at(sources, field))
            if value is None:
                raise Rejected("a call cannot be made", words=f"the document has no {field}")
            out[2 * index + 1] = treat(value)
        return "".join(out)


def shaped(tree: Json) -> Json:
    """A tree of constants with its texts parsed as templates."""
    if isinstance(tree, Mapping):
        return {str(name): shaped(below) for name, below in tree.items()}
    if isinstance(tree, list):
        return [shaped(below) for below in tree]
    return Template.of(tree) if isinstance(tree, str) else tree


def filled(tree: Json, sources: Sources) -> Json:
    """The tree with every template filled."""
    if isinstance(tree, Template):
        return tree.value(sources)
    if isinstance(tree, dict):
        return {name: filled(below, sources) for name, below in tree.items()}
    if isinstance(tree, list):
        return [filled(below, sources) for below in tree]
    return tree


def templates(tree: Json) -> list[Template]:
    if isinstance(tree, Template):
        return [tree]
    below = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [template for part in below for template in templates(part)]


def _field_problem(field: str, known: Mapping[str, Any]) -> str | None:
    source, *names = field.split(".")
    if source not in known:
        return f"{{{field}}} is not known here; there is {', '.join(sorted(known))}"
    kind = known[source]
    for name in names:
        if not _is_record_type(kind):
            return None
        hints = get_type_hints(kind)
        if name not in hints:
            return f"{{{field}}}: {kind.__name__} has no {name}; it has {', '.join(hints)}"
        kind = _inner(hints[name])
    return None


def _inner(hint: Any) -> Any:
    """The record inside `Record | None`; anything else is not looked into."""
    return next((part for part in get_args(hint) if _is_record_type(part)), hint)


def _is_record(value: object) -> TypeGuard[Any]:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _is_record_type(kind: object) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)
