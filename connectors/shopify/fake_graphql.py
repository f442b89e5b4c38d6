"""A very small GraphQL: enough to answer any plain operation over the fake's objects.

It parses operations, variables, arguments, aliases, fragments and directives,
and picks exactly the selected fields out of dictionaries. A field may be a
function of its arguments. It knows no types: whether our documents and answers
fit Shopify's schema is checked in the tests, by graphql-core and the published
introspection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""[\s,]+|\#[^\n]*                       # nothing
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<name>[_A-Za-z]\w*)
    |(?P<mark>\.\.\.|[!$():=@\[\]{}|&])
    """,
    re.VERBOSE,
)
#: Deeper documents are refused, as a real server does.
DEPTH_MAX = 30


class Refused(Exception):
    """A top-level error of the answer."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(slots=True, kw_only=True)
class Selection:
    """A field, an inline fragment (`on` and no name) or a spread of a named one."""

    name: str = ""
    alias: str = ""
    on: str = ""
    spread: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    directives: dict[str, dict[str, Any]] = field(default_factory=dict)
    below: list[Selection] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Operation:
    kind: str
    name: str
    #: Variable -> (must be given, default).
    variables: dict[str, tuple[bool, Any]]
    below: list[Selection]
    fragments: dict[str, Selection]


def parse(text: str, name: str | None = None) -> Operation:
    """The operation called `name`, or the only one."""
    reader = _Reader(text)
    operations: list[Operation] = []
    fragments: dict[str, Selection] = {}
    while reader.word:
        if reader.word == "fragment":
            reader.take()
            label = reader.take()
            reader.expect("on")
            fragments[label] = Selection(on=reader.take(), below=reader.selections())
        else:
            operations.append(reader.operation(fragments))
    chosen = [one for one in operations if name in (None, "", one.name)]
    if len(chosen) != 1:
        raise Refused("An operation name is required", "BAD_REQUEST")
    return chosen[0]


def execute(
    operation: Operation, roots: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The `data` of the answer: exactly what was selected."""
    values: dict[str, Any] = {}
    for name, (required, default) in operation.variables.items():
        values[name] = given.get(name, default)
        if required and values[name] is None:
            raise Refused(f"Variable ${name} was provided invalid value", "INVALID_VARIABLE")
    picker = _Picker(values, operation.fragments)
    answer = picker.pick(operation.below, {"__typename": "QueryRoot", **roots}, 0)
    assert isinstance(answer, dict)
    return answer


class _Picker:
    def __init__(self, values: Mapping[str, Any], fragments: Mapping[str, Selection]) -> None:
        self._values = values
        self._fragments = fragments

    def pick(self, below: list[Selection], value: Any, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise Refused("The document is too deep", "BAD_REQUEST")
        if value is None or not below:
            return value
        if isinstance(value, list):
            return [self.pick(below, one, depth + 1) for one in value]
        answer: dict[str, Any] = {}
        for one in self._fields(below, value):
            answer[one.alias or one.name] = self.pick(one.below, self._get(one, value), depth + 1)
        return answer

    def _fields(self, below: list[Selection], value: Mapping[str, Any]) -> Iterator[Selection]:
        """The fields that apply to this object: fragments of other types drop out."""
        for one in below:
            chosen = self._fragments[one.spread] if one.spread else one
            if chosen.name:
                yield chosen
            elif chosen.on in ("", value["__typename"], *value.get("__implements", ())):
                yield from self._fields(chosen.below, value)

    def _get(self, one: Selection, value: Mapping[str, Any]) -> Any:
        if one.name not in value:
            kind = value.get("__typename", "?")
            raise Refused(f"Field '{one.name}' doesn't exist on type '{kind}'", "undefinedField")
        found = value[one.name]
        arguments = {key: self._filled(part) for key, part in one.arguments.items()}
        for name, more in one.directives.items():
            arguments[f"@{name}"] = {key: self._filled(part) for key, part in more.items()}
        return found(arguments) if callable(found) else found

    def _filled(self, part: Any) -> Any:
        if isinstance(part, Variable):
            if part.name not in self._values:
                raise Refused(f"Variable ${part.name} is not defined", "INVALID_VARIABLE")
            return self._values[part.name]
        if isinstance(part, list):
            return [self._filled(one) for one in part]
        if isinstance(part, dict):
            return {key: self._filled(one) for key, one in part.items()}
        return part


class _Reader:
    """A recursive descent over the tokens of one document."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    @property
    def word(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        word = self.word
        if not word:
            raise Refused("Parse error: unexpected end", "PARSE_ERROR")
        self._at += 1
        return word

    def expect(self, word: str) -> None:
        if self.take() != word:
            raise Refused(f"Parse error: expected {word}", "PARSE_ERROR")

    def operation(self, fragments: dict[str, Selection]) -> Operation:
        kind = self.take() if self.word in ("query", "mutation") else "query"
        name = self.take() if re.match(r"\w", self.word) else ""
        variables = self._variables() if self.word == "(" else {}
        return Operation(
            kind=kind,
            name=name,
            variables=variables,
            below=self.selections(),
            fragments=fragments,
        )

    def _variables(self) -> dict[str, tuple[bool, Any]]:
        found: dict[str, tuple[bool, Any]] = {}
        self.expect("(")
        while self.word != ")":
            self.expect("$")
            name = self.take()
            self.expect(":")
            last = ""
            while self.word not in ("$", ")", "="):
                last = self.take()
            default = None
            if self.word == "=":
                self.take()
                default = self._value()
            found[name] = (last == "!", default)
        self.expect(")")
        return found

    def selections(self) -> list[Selection]:
        if self.word != "{":
            return []
        self.take()
        found = []
        while self.word != "}":
            found.append(self._selection())
        self.take()
        return found

    def _selection(self) -> Selection:
        one = Selection()
        if self.word == "...":
            self.take()
            if self.word == "on":
                self.take()
                one.on = self.take()
            elif self.word not in ("{", "@"):
                one.spread = self.take()
        else:
            one.name = self.take()
            if self.word == ":":
                self.take()
                one.alias, one.name = one.name, self.take()
            one.arguments = self._arguments()
        while self.word == "@":
            self.take()
            name = self.take()
            one.directives[name] = self._arguments()
        one.below = self.selections()
        return one

    def _arguments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.word != "(":
            return found
        self.take()
        while self.word != ")":
            name = self.take()
            self.expect(":")
            found[name] = self._value()
        self.take()
        return found

    def _value(self) -> Any:
        word = self.take()
        if word == "$":
            return Variable(self.take())
        if word == "[":
            items = []
            while self.word != "]":
                items.append(self._value())
            self.take()
            return items
        if word == "{":
            block: dict[str, Any] = {}
            while self.word != "}":
                name = self.take()
                self.expect(":")
                block[name] = self._value()
            self.take()
            return block
        if word[0] in '"-0123456789' or word in ("true", "false", "null"):
            return json.loads(word)
        return word  # an enum word


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Refused(f"Parse error at {at}", "PARSE_ERROR")
        at = match.end()
        if match.lastgroup:
            yield match.group()
