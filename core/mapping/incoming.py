"""Their document to our record: what a file says, checked against the model.

The result is a Plan: lines and blocks by our names, every one known to be a
field of the record and of a fitting type. core/mapping/build.py makes it run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.mapping.catalog import INCOMING, Kind, Step
from core.mapping.lines import (
    ABOVE_HELP,
    Condition,
    Line,
    Report,
    Use,
    entries,
    few_blocks,
    parse_conditions,
    parse_line,
    read_path,
)
from core.mapping.paths import ABOVE, Parsed, heads
from core.mapping.shape import Field, fields_of, names_of
from core.mapping.steps import StepError, Table, number
from core.mapping.tables import OTHERWISE, Beside, near_otherwise, with_rows
from core.strict import Node, nearest, nearest_word

HEAD = frozenset({"mapping", "version", "becomes", "choices", "required"})
_BLOCK_WORDS = frozenset({"each", "keyed", "skip_when", "fields", "key"})
_NOTHING = object()

#: What a line must end with to fill a field of this kind, and how to say it.
_FITS: dict[Kind, tuple[frozenset[Kind], str]] = {
    "text": (frozenset({"raw", "text", "whole", "number", "choice"}), "text"),
    "texts": (frozenset({"raw"}), "a list of texts"),
    "whole": (frozenset({"whole", "choice"}), "a whole number: add | whole"),
    "number": (frozenset({"whole", "number"}), "a number: add | number or | percent"),
    "money": (frozenset({"money"}), "money: add | money or | minor"),
    "time": (frozenset({"time"}), "a time: add | time, | date or | epoch"),
    "flag": (frozenset({"flag", "choice"}), "true or false: add | flag, | contains or | choose"),
    "enum": (frozenset({"choice"}), "a word of a closed list: add | choose TABLE"),
}


#: What a table of `units` fills: how many pieces one of theirs has.
FACTOR = Field("units", "number", None, required=True, default=None)


@dataclass(slots=True)
class Plan:
    """One record of ours in one scope. `fields` by dotted name, `blocks` by list name."""

    record: type
    node: Node
    fields: dict[str, Line] = field(default_factory=dict)
    blocks: dict[str, list[Block]] = field(default_factory=dict)
    skip: tuple[Condition, ...] = ()
    currency: Line | None = None  # of a record that has no currency field
    top: bool = False
    broken: set[str] = field(default_factory=set)  # reported already; not "missing" as well


@dataclass(slots=True)
class Block:
    """`each` None: one entry from the object itself. `word` keyed: its list is a map of theirs."""

    node: Node
    each_text: str
    each: Parsed | None
    plan: Plan
    word: str = "each"


class Reading:
    """One pass over one incoming file; problems go to `report`."""

    def __init__(
        self,
        root: Node,
        record: type,
        report: Report,
        own: Mapping[str, Step] | None = None,
        beside: Beside | None = None,
    ) -> None:
        self.root = root
        self._steps = {**INCOMING, **(own or {})}
        self._beside = beside or Beside()
        self.record = record
        self.report = report
        self.required: set[str] = set()
        self.lines: list[tuple[str, Line]] = []  # those that read the document itself
        self.tables: dict[str, Node] = {}
        self._used: set[str] = set()
        self._all_read = True  # a line that cannot be read may be the one that uses a table
        self._built: dict[tuple[int, str], Table] = {}

    def plan(self) -> Plan:
        self.tables = {
            key.text: value
            for key, value in entries(self.root.get("choices"), "choices", self.report)
        }
        plan = Plan(self.record, self.root, top=True)
        self._head_fields(plan)
        self._fields(plan, self.root.get("fields"), "")
        plan.skip = parse_conditions(self.root.get("skip_when"), self.report)
        self._blocks(plan, self.root, HEAD | _BLOCK_WORDS | {"revision", "currency"}, "")
        self._require(plan)
        self._complete(plan, self.root, "", given=frozenset({"key", "revision"}))
        for name, node in self.tables.items():
            if name not in self._used and self._all_read:
                self.report.add(
                    node, f"choices.{name} is used by no line", nearest(name, self._used)
                )
        return plan

    # ------------------------------------------------------------ lines

    def _head_fields(self, plan: Plan) -> None:
        known = fields_of(self.record)
        for name in ("key", "revision", "currency"):
            node = self.root.get(name)
            if node is None:
                continue
            if name == "currency" and "currency" not in known:
                plan.currency = parse_line(node, self._steps, self.report, paths=True)
            elif name in known:
                self._put(plan, name, node, known[name])
            else:
                self.report.add(node, f"a {self.record.__name__} has no {name}", "Remove the line.")

    def _fields(self, plan: Plan, node: Node | None, prefix: str) -> None:
        for key, value in entries(node, "fields", self.report):
            found = self._find(plan.record, key, prefix)
            if found is None:
                continue
            if key.text in plan.fields:
                self.report.add(key, f"{prefix}{key.text} is mapped twice", "Remove one.")
            elif found.kind == "records":
                self.report.add(
                    key,
                    f"{prefix}{key.text} is a list",
                    "Write it as a block beside fields, with each.",
                )
            else:
                self._put(plan, key.text, value, found, prefix)

    def _find(self, record: type, key: Node, prefix: str) -> Field | None:
        """The field a dotted name means; a dict of texts takes any word after its dot."""
        known = fields_of(record)
        head, dot, rest = key.text.partition(".")
        found = known.get(head)
        if found is not None:
            if not dot and found.kind not in ("record", "words"):
                return found
            if dot and found.kind == "words" and rest:
                return Field(key.text, "text", None, required=False, default=None)
            if dot and found.kind == "record" and rest in fields_of(found.of):
                return fields_of(found.of)[rest]
        if found is not None and found.kind == "words":
            self.report.add(key, f"{prefix}{head} needs a word of its own", f"{head}.shop: …")
            return None
        names = names_of(record)
        hint = nearest(key.text, names) or f"Fields are: {', '.join(names)}"
        self.report.add(key, f"{prefix}{key.text} is not a field of ours", hint)
        return None

    def _put(self, plan: Plan, name: str, node: Node, into: Field, prefix: str = "") -> None:
        with self.report.about(f"{prefix}{name}"):
            line = parse_line(node, self._steps, self.report, paths=True)
            if line is None:
                plan.broken.add(name.partition(".")[0])
                self._all_read = False
                return
            plan.fields[name] = line
            if plan.top:
                self.lines.append((name, line))
                if line.path is not None and ABOVE in heads(line.path):
                    self.report.add(node, "nothing is above here", ABOVE_HELP, at=ABOVE)
                    return
            self._check(line, into, f"{prefix}{name}")

    def _check(self, line: Line, into: Field, our: str) -> None:
        """Walk the kinds through the steps; the end must fit the field."""
        kind: Kind = "raw" if line.path is not None else _constant_kind(line.constant)
        for use in line.steps:
            if kind not in use.step.takes:
                what = f"{use.name} cannot work on {A[kind]}"
                self.report.add(line.node, what, _before(line, use), at=use.written)
                return
            if use.step.arg in ("table", "units"):
                filled = FACTOR if use.step.arg == "units" else into
                if not self._table(line.node, use, filled):
                    return
            if use.name == "default" and not _default_fits(use.argument, kind):
                what = f"default: {_quoted(use.argument)} is not {A[kind]}"
                self.report.add(line.node, what, at=use.written)
                return
            kind = kind if use.step.gives == "same" else use.step.gives
        if line.path is None and not line.steps:
            if constant_of(line.constant, into) is _NOTHING:
                self.report.add(
                    line.node, f"= {line.constant} does not fit {into.name}", _words_of(into)
                )
            return
        fits, wanted = _FITS[into.kind]
        if kind not in fits:
            self.report.add(line.node, f"{our} is {wanted}")

    # ------------------------------------------------------------ choices

    def _table(self, node: Node, use: Use, into: Field) -> bool:
        name = str(use.argument)
        if name not in self.tables:
            known = nearest(name, self.tables) or self._tables_known()
            self.report.add(node, f"there is no choices.{name}", known, at=use.written)
            self._used.add(nearest_word(name, self.tables))  # one slip is one problem
            return False
        self._used.add(name)
        return self.table(name, into) is not None

    def _tables_known(self) -> str:
        if names := ", ".join(self.tables):
            return f"Tables are: {names}"
        if close := nearest_word("choices", self.root.keys()):
            return f"It belongs under choices; the file has {close}."
        return "Write it at the end of the file: choices: {…}"

    def table(self, name: str, into: Field) -> Table | None:
        """The table in the type of the field; its wrong words are reported once."""
        node = self.tables[name]
        kept = (id(node), f"{into.kind}:{into.of}")
        if kept not in self._built:
            before = len(self.report.problems)
            table = self._read_table(name, node, into)
            if len(self.report.problems) > before:
                return None
            self._built[kept] = table
        return self._built[kept]

    def _read_table(self, name: str, node: Node, into: Field) -> Table:
        words: dict[str, Any] = {}
        ignored: set[str] = set()
        otherwise: Any = None
        holds, ignores = True, False
        table = with_rows(node, self._beside)
        for key, value in entries(table, f"choices.{name}", self.report):
            if problem := near_otherwise(name, key):
                self.report.problems.append(problem)
            elif key.text == OTHERWISE and not key.quoted:
                holds, ignores = value.text == "hold", value.text == "ignore"
                otherwise = None if holds or ignores else self._word(value, into)
            elif value.text == "ignore" and not value.quoted:
                ignored.add(key.text)
            else:
                words[key.text] = self._word(value, into)
        return Table(
            name, words, otherwise, frozenset(ignored), holds, ignores, tuple(_enum_words(into))
        )

    def _word(self, node: Node, into: Field) -> Any:
        found = constant_of(node.text if node.kind == "scalar" else None, into)
        if found is _NOTHING:
            hint = nearest(node.text, _enum_words(into)) or _words_of(into)
            self.report.add(node, f'"{node.text}" is not a word of {into.name}', hint)
        return found

    # ------------------------------------------------------------ blocks

    def _blocks(self, plan: Plan, node: Node, words: Iterable[str], prefix: str) -> None:
        known = fields_of(plan.record)
        lists = [each.name for each in known.values() if each.kind == "records"]
        for key, value in node.items():
            if key.text in words:
                continue
            if key.text not in lists:
                hint = nearest(key.text, [*words, *lists]) or "A single field belongs under fields."
                self.report.add(key, f"{prefix}{key.text} is not known here", hint)
                continue
            sources = list(value) if value.kind == "list" else [value]
            sources = few_blocks(sources, f"{prefix}{key.text}", self.report)
            plan.blocks[key.text] = [
                self._block(source, known[key.text].of, f"{prefix}{key.text}.")
                for source in sources
            ]

    def _block(self, node: Node, record: type, prefix: str) -> Block:
        plan = Plan(record, node)
        if node.kind != "map":
            self.report.add(node, f"{prefix[:-1]} must be a block with each and fields")
            return Block(node, "", None, plan)
        word = "keyed" if node.get("keyed") is not None else "each"
        each = node.get(word)
        if word == "keyed" and node.get("each") is not None:
            self.report.add(node, f"{prefix[:-1]} has both each and keyed", "Keep one.")
        path = read_path(each.text, each, self.report) if each is not None else None
        key = node.get("key")
        if key is not None and (found := fields_of(record).get("key")):
            self._put(plan, "key", key, found, prefix)
        elif key is not None:
            self.report.add(key, f"{prefix[:-1]} have no key", "Remove the line.")
        self._fields(plan, node.get("fields"), prefix)
        plan.skip = parse_conditions(node.get("skip_when"), self.report)
        self._blocks(plan, node, _BLOCK_WORDS, prefix)
        self._complete(plan, node, prefix)
        return Block(node, each.text if each is not None else "", path, plan, word)

    # ------------------------------------------------------------ completeness

    def _complete(
        self, plan: Plan, node: Node, prefix: str, *, given: frozenset[str] = frozenset()
    ) -> None:
        mapped = (
            {name.partition(".")[0] for name in plan.fields}
            | set(plan.blocks)
            | given
            | plan.broken
        )
        for each in fields_of(plan.record).values():
            if each.required and each.name not in mapped:
                self.report.add(node, f"{prefix}{each.name} is required and not mapped")
        if "on_hand" in fields_of(plan.record) and not {"on_hand", "available"} & mapped:
            self.report.add(
                node,
                "on_hand or available must be mapped",
                "on_hand still holds our orders; available is already net of them.",
            )

    def _require(self, plan: Plan) -> None:
        node = self.root.get("required")
        if node is None:
            return
        if node.kind != "list":
            self.report.add(node, "required must be a list", "For example: [number, lines.sku]")
        mapped = set(_mapped(plan, ""))
        for member in node:
            if member.text in mapped:
                self.required.add(member.text)
            else:
                self.report.add(
                    member, f"required: {member.text} is not mapped", nearest(member.text, mapped)
                )


def _mapped(plan: Plan, prefix: str) -> list[str]:
    names = [f"{prefix}{name}" for name in (*plan.fields, *sorted(plan.broken))]
    for name, blocks in plan.blocks.items():
        names.append(f"{prefix}{name}")
        for block in blocks:
            names += _mapped(block.plan, f"{prefix}{name}.")
    return names


def _before(line: Line, use: Use) -> str:
    """What stands left of a step that cannot work there."""
    at = line.steps.index(use)
    if not at:
        return ""
    return f"Write it before | {line.steps[at - 1].written}, or leave it out."


A: dict[Kind, str] = {
    "raw": "a value of theirs",
    "text": "text",
    "whole": "a whole number",
    "number": "a number",
    "money": "money",
    "time": "a time",
    "flag": "true or false",
    "choice": "a chosen word",
}


def _constant_kind(value: object) -> Kind:
    if isinstance(value, bool):
        return "flag"
    return "whole" if isinstance(value, int) else "text"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _default_fits(value: object, kind: Kind) -> bool:
    if kind == "raw":
        return True
    if kind == "number":
        return type(value) is int
    return _constant_kind(value) == kind


def constant_of(value: Any, into: Field) -> Any:
    """A constant or a word of choices in the field's type, or _NOTHING."""
    if value is None:
        return _NOTHING
    text = str(value).lower() if isinstance(value, bool) else str(value)
    try:
        match into.kind:
            case "text":
                return text
            case "enum":
                return into.of(text)
            case "flag":
                return {"true": True, "false": False}[text]
            case "whole":
                return int(text) if text.isascii() and len(text) < 19 else _NOTHING
            case "number":
                return number(text)
    except (ValueError, KeyError, StepError):
        return _NOTHING
    return _NOTHING


def _enum_words(into: Field) -> list[str]:
    return [str(word) for word in into.of] if into.kind == "enum" else []


def _words_of(into: Field) -> str:
    words = _enum_words(into) or {"flag": ["true", "false"]}.get(into.kind, [])
    return f"Words are: {', '.join(words)}" if words else ""
