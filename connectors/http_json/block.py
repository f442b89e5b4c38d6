"""Reads one block of a manifest key by key and remembers everything that is wrong.

All problems of a manifest are told at once, each with its dotted place and the
nearest right name, because an operator mends a file once and not ten times.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.http_json.pointing import Template, path_problem, shaped, templates
from core.contract import Json


class Block:
    """A mapping of the manifest. What nobody asked for when it closes is a mistake."""

    def __init__(self, raw: Any, where: str, problems: list[str]) -> None:
        self.where = where
        self.problems = problems
        self._asked: set[str] = set()
        self._raw: Mapping[str, Any] = {}
        if isinstance(raw, Mapping):
            self._raw = {str(key): value for key, value in raw.items()}
        elif raw is not None:
            self.wrong("", "is not a block of `name: value` lines")

    def wrong(self, name: str, why: str) -> None:
        self.problems.append(f"{self.where}{'.' if name else ''}{name}: {why}")

    def has(self, name: str) -> bool:
        self._asked.add(name)
        return self._raw.get(name) is not None

    def raw(self, name: str, *, required: bool = False) -> Any:
        if not self.has(name):
            if required:
                self.wrong(name, "is missing")
            return None
        return self._raw[name]

    def word(self, name: str, default: str = "", *, required: bool = False) -> str:
        value = self.raw(name, required=required)
        if value is None:
            return default
        # A strict YAML reader may give numbers as text and a lax one as numbers: both are fine.
        if isinstance(value, bool) or not isinstance(value, str | int):
            self.wrong(name, "is not one word or text")
            return default
        return str(value)

    def path(self, name: str, default: str = "", *, required: bool = False) -> str:
        value = self.word(name, default, required=required)
        why = path_problem(value) if value else None
        if why:
            self.wrong(name, why)
        return value

    def choice(self, name: str, allowed: Sequence[str], default: str = "") -> str:
        value = self.word(name, default, required=not default)
        if value not in allowed and (value or default):
            self.wrong(name, f"is {value!r}; {nearest(value, allowed)}")
        return value

    def number(self, name: str, default: int, *, least: int = 0) -> int:
        value = self.word(name, str(default))
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            self.wrong(name, f"is {value!r}, not a whole number from {least}")
            return default
        return int(value)

    def flag(self, name: str) -> bool:
        value = self.raw(name)
        if value in (None, False, "false"):
            return False
        if value in (True, "true"):
            return True
        self.wrong(name, f"is {value!r}; write true or false")
        return False

    def template(self, name: str, known: Mapping[str, Any], default: str = "") -> Template:
        made = Template.of(self.word(name, default, required=not default))
        why = made.problem(known)
        if why:
            self.wrong(name, why)
        return made

    def templates(self, name: str, known: Mapping[str, Any]) -> dict[str, Template]:
        """A flat block of `name: template`."""
        below = self.block(name)
        return {key: below.template(key, known) for key in below.names()}

    def tree(self, name: str, known: Mapping[str, Any]) -> Json:
        made = shaped(self.raw(name, required=True))
        for template in templates(made):
            why = template.problem(known)
            if why:
                self.wrong(name, why)
        return made

    def block(self, name: str) -> Block:
        return Block(self.raw(name), f"{self.where}.{name}", self.problems)

    def blocks(self, name: str) -> Iterable[tuple[str, Block]]:
        below = self.block(name)
        return [(key, below.block(key)) for key in below.names()]

    def names(self) -> list[str]:
        self._asked.update(self._raw)
        return list(self._raw)

    def close(self) -> None:
        for name in self._raw.keys() - self._asked:
            self.wrong(name, f"is not known here; {nearest(name, sorted(self._asked))}")


def nearest(seen: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(seen, known, n=1)
    return f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
