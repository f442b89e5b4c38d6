"""One line of a mapping: `path | step "text" | step`, a constant, or a skip_when.

Everything wrong is reported with its line; nothing is thrown until the whole
file has been read, so an operator sees all problems at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from core.errors import Problem
from core.mapping.catalog import Step
from core.mapping.paths import Parsed, PathError, parse_path
from core.strict import Node, nearest

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_CONDITION = re.compile(r"(?P<path>.+?) is (?P<negated>not )?(?P<value>one of .+|\".*\"|\S+)")
_OPEN, _CLOSE = "[{(", "]})"
#: Steps of one line, and blocks of one list: far beyond what anybody needs. Each becomes code
#: around code, and the compiler of that has its own end.
STEPS_MAX = 30
BLOCKS_MAX = 100
#: Of a path that is shown.
SHOWN_MAX = 80
ABOVE_HELP = "It names a field of what a list stands in: write it inside of each."


@dataclass(slots=True)
class Report:
    """The problems of one file, in the order they are found.

    Words are those of a hold: our field, what is wrong, their path in brackets.
    """

    problems: list[Problem] = field(default_factory=list)
    our: str = ""  # the field that is being read
    theirs: str = ""  # its path, as far as it is known

    def add(self, node: Node, what: str, fix: str = "", *, at: str = "") -> None:
        """`at`: the part of the node's text that is wrong; its column is shown."""
        self.problems.append(node.problem(self._said(what), fix, at=at))

    def _said(self, what: str) -> str:
        if not self.our:
            return what
        named = what if what.startswith(f"{self.our} ") else f"{self.our}: {what}"
        theirs = short(self.theirs)
        said = re.search(rf"(?<!\w){re.escape(theirs)}(?!\w)", what)
        return f"{named} ({theirs})" if theirs and not said else named

    @contextmanager
    def about(self, our: str, theirs: str = "") -> Iterator[None]:
        before = self.our, self.theirs
        self.our, self.theirs = our, theirs
        try:
            yield
        finally:
            self.our, self.theirs = before


@dataclass(frozen=True, slots=True)
class Use:
    """A step as a line uses it. `path` where the argument is a path (a currency)."""

    name: str
    step: Step
    argument: Any = None
    path: Parsed | None = None
    written: str = ""  # as the operator wrote it, for `explain`


@dataclass(frozen=True, slots=True)
class Line:
    """The right side: exactly one of a path and a constant, then steps."""

    node: Node
    path_text: str = ""
    path: Parsed | None = None
    constant: Any = None
    steps: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """`asks`: for a word, one of several, emptiness, or nought."""

    node: Node
    path_text: str
    path: Parsed | None
    negated: bool
    asks: Literal["word", "one_of", "empty", "zero"]
    words: tuple[str, ...] = ()


def short(path: str) -> str:
    return path if len(path) <= SHOWN_MAX else f"{path[:SHOWN_MAX]}…"


def split_pipes(text: str) -> list[str]:
    """Cut at single | outside quotes and brackets; `||` belongs to the path."""
    parts, start, depth, quote, at = [], 0, 0, "", 0
    while at < len(text):
        sign = text[at]
        if quote:
            if sign == "\\":
                at += 1
            elif sign == quote:
                quote = ""
        elif sign in "\"'`":
            quote = sign
        elif sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
        elif sign == "|" and depth <= 0:
            if text[at : at + 2] == "||":
                at += 1
            else:
                parts.append(text[start:at].strip())
                start = at + 1
        at += 1
    return [*parts, text[start:].strip()]


def parse_line(
    node: Node, steps: Mapping[str, Step], report: Report, *, paths: bool
) -> Line | None:
    """`paths` False: the left part names fields of ours and is not read as JMESPath."""
    if node.kind != "scalar" or node.scalar is None:
        report.add(node, "needs a path or a constant here", "For example: items[0].name | trim")
        return None
    if not isinstance(node.scalar, str):  # a plain number or true/false is itself
        return Line(node, constant=node.scalar)
    head, *tail = split_pipes(node.text)
    if len(tail) > STEPS_MAX:
        report.add(node, f"has {len(tail)} steps, more than {STEPS_MAX}")
        return None
    if not head.startswith("="):
        report.theirs = head
    uses = tuple(use for text in tail if (use := _use(text, node, steps, report)) is not None)
    if len(uses) != len(tail):
        return None
    if head.startswith("="):
        return Line(node, constant=_unquote(head[1:].strip()), steps=uses)
    if not paths and head:
        return Line(node, path_text=head, steps=uses)
    path = read_path(head, node, report)
    return None if path is None else Line(node, path_text=head, path=path, steps=uses)


def few_blocks(blocks: list[Node], our: str, report: Report) -> list[Node]:
    """The same blocks, or none of too many."""
    if len(blocks) <= BLOCKS_MAX:
        return blocks
    report.add(blocks[0], f"{our} has {len(blocks)} blocks, more than {BLOCKS_MAX}")
    return []


def read_path(text: str, node: Node, report: Report) -> Parsed | None:
    if not text:
        report.add(node, "has no path", "A constant begins with =, for example: = main")
        return None
    try:
        return parse_path(text)
    except PathError as error:
        report.add(node, f"the path {short(text)} {error}", at=text)
        return None


def _unquote(text: str) -> str:
    quoted = _WORD.fullmatch(text)
    if quoted and quoted.group(1) is not None:
        return re.sub(r"\\(.)", r"\1", quoted.group(1))
    return text


def _use(text: str, node: Node, steps: Mapping[str, Step], report: Report) -> Use | None:
    name, _, rest = text.partition(" ")
    rest = rest.strip()
    step = steps.get(name)
    if step is None:
        known = nearest(name, steps) or f"Steps are: {' '.join(sorted(steps))}"
        what = f'"{name}" is not a step' if name else "a step is missing after |"
        report.add(node, what, known, at=f"{text}" if name else "|")
        return None
    if step.arg == "none" and rest:
        report.add(node, f"{name} takes nothing after it, not {rest}", at=text)
        return None
    if step.arg_needed and not rest:
        what, show = f"{name} needs {_NEEDS[step.arg]} after it", f"For example: {_SHOW[name]}"
        report.add(node, what, show, at=text)
        return None
    try:
        use = _argument(name, step, rest) if rest else Use(name, step)
        return replace(use, written=f"{name} {rest}".strip())
    except PathError as error:
        report.add(node, f"{name}: the path {short(rest)} {error}", at=rest)
    except ValueError as error:
        what, *fix = error.args
        report.add(node, f"{name}: {what}", *fix, at=rest)
    return None


_NEEDS = {
    "text": "a text in double quotes",
    "zone": "a time zone in double quotes",
    "value": "a value",
    "table": "a table of choices",
    "operand": "a number or a path",
    "units": "a table of choices and the path of the unit",
    "lookup": "a list of the document, the name that is compared, and the name that is taken",
}
_SHOW = {
    "time": 'time "UTC"',
    "join": 'join ", "',
    "contains": 'contains "COD"',
    "default": 'default "EUR"',
    "choose": "choose payment",
    "times": "times 12",
    "per": "per quantity",
    "plus": "plus shipping.tax",
    "minus": "minus discounted_price",
    "units": "units packs uom",
    "lookup": "lookup tax_lines rate_id rate_code",
}


def _argument(name: str, step: Step, rest: str) -> Use:
    quoted = _WORD.fullmatch(rest)
    is_text = quoted is not None and quoted.group(1) is not None
    word = _unquote(rest)
    if step.arg in ("currency", "country"):
        return Use(name, step, word) if is_text else Use(name, step, path=parse_path(rest))
    if step.arg == "table":
        return Use(name, step, word)
    if step.arg == "operand":
        return _operand(name, step, rest)
    if step.arg == "units":
        table, _, path = rest.partition(" ")
        if not path.strip():
            raise ValueError(f"needs {_NEEDS['units']} after it", f"For example: {_SHOW[name]}")
        return Use(name, step, table, path=parse_path(path.strip()))
    if step.arg == "lookup":
        words = rest.rsplit(maxsplit=2)
        if len(words) < 3:
            raise ValueError(f"needs {_NEEDS['lookup']} after it", f"For example: {_SHOW[name]}")
        return Use(name, step, (words[1], words[2]), path=parse_path(words[0]))
    if step.arg == "value" and not is_text:
        return Use(name, step, _plain_value(rest))
    if not is_text:
        raise ValueError(f'{rest} must stand in double quotes: "{rest}"')
    if step.arg == "zone":
        return Use(name, step, zone(word))
    if step.arg == "unit":
        if word not in ("s", "ms"):
            raise ValueError('knows "s" and "ms"')
        return Use(name, step, 1000 if word == "ms" else 1)
    return Use(name, step, word)


def _operand(name: str, step: Step, rest: str) -> Use:
    """A plain number, or a path."""
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,12})?", rest):
        if name == "per" and not Decimal(rest):
            raise ValueError("cannot divide by 0")
        return Use(name, step, Decimal(rest))
    return Use(name, step, path=parse_path(rest))


def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        hint = nearest(name, available_timezones()) or 'They look like "Asia/Kolkata".'
        raise ValueError(f'"{name}" is not a time zone', hint) from None


def _plain_value(text: str) -> str | int | bool:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text):
        return int(text)
    raise ValueError(f'{text} must be a whole number, true, false or "a text"')


def parse_conditions(
    node: Node | None, report: Report, *, paths: bool = True
) -> tuple[Condition, ...]:
    """One condition, or a list of them of which any is enough."""
    if node is None:
        return ()
    members = list(node) if node.kind == "list" else [node]
    parsed = (_condition(member, report, paths=paths) for member in members)
    return tuple(each for each in parsed if each is not None)


def _condition(node: Node, report: Report, *, paths: bool) -> Condition | None:
    match = _CONDITION.fullmatch(node.text.strip()) if node.kind == "scalar" else None
    if match is None:
        report.add(
            node,
            "skip_when is not understood",
            "Write: PATH is VALUE, PATH is not VALUE, PATH is one of VALUE, VALUE, PATH is empty,"
            " PATH is present, or PATH is zero",
        )
        return None
    text, value = match["path"].strip(), match["value"]
    path = read_path(text, node, report) if paths else None
    if path is None and paths:
        return None
    negated = bool(match["negated"])
    if value in ("empty", "present"):
        return Condition(node, text, path, negated != (value == "present"), "empty")
    if value == "zero":
        return Condition(node, text, path, negated, "zero")
    if value.startswith("one of "):
        words = tuple(_unquote(word) for word in _listed(value.removeprefix("one of ")))
        return Condition(node, text, path, negated, "one_of", words)
    return Condition(node, text, path, negated, "word", (_unquote(value),))


def _listed(text: str) -> list[str]:
    """Cut at commas outside quotes."""
    return [word.strip() for word in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+', text)]


def entries(node: Node | None, what: str, report: Report) -> Iterator[tuple[Node, Node]]:
    """The pairs of a map; anything else is one problem."""
    if node is None:
        return
    if node.kind != "map":
        report.add(node, f"{what} must be lines of the form left: right")
        return
    yield from node.items()
