"""Typed options out of a strict YAML file; every problem is collected with file and line.

A `Table` says which options exist. `Fields` is one block of a file read against
it: an unknown key, a wrong kind or a missing option becomes a `Problem`, the
getter returns a neutral value, and reading goes on, so an operator sees all
problems at once. `Problems.stop()` raises them before anybody uses such a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from core.errors import ConfigError, Problem, column_of
from core.strict import Node, nearest

Kind = Literal[
    "text", "choice", "flag", "count", "number", "duration", "size", "time", "address", "secret",
    "words", "pairs", "block", "named", "rows", "free",
]  # fmt: skip

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]{1,9}) ?(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
#: Long enough for any name, id or URL a person writes.
TEXT_LETTERS_MAX = 2000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `default` is written as an operator would write it; bounds are in base units."""

    kind: Kind
    what: str
    default: str | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = 10**12


#: Path of an option (`*`: a name the operator chooses, or a row) -> what it is.
Table = dict[str, Option]


def suggest(word: str, known: Iterable[str]) -> str:
    """The nearest right name, or the list to choose from."""
    names = list(known)
    if close := nearest(word[:80], names):
        return close
    return f"Known here: {', '.join(names)}." if names else "Nothing may stand here."


def quoted(text: str) -> str:
    """What was seen, short and printable: it goes to a terminal."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    return '"' + "".join(letter if letter.isprintable() else "?" for letter in shown) + '"'


@dataclass(slots=True)
class Problems:
    """What is wrong in one file, in the order it was found."""

    file: str
    found: list[Problem] = field(default_factory=list)
    columns: bool = False  # say them too, as mapping files do

    def add(self, line: int, what: str, fix: str = "") -> None:
        column = column_of(line) if self.columns else 0
        self.found.append(
            Problem(file=self.file, line=int(line), what=what, fix=fix, column=column)
        )

    def sorted(self) -> list[Problem]:
        """As they stand in the file."""
        return sorted(self.found, key=lambda problem: (problem.line, problem.column))

    def stop(self) -> None:
        """Raise them all if there are any."""
        if self.found:
            raise ConfigError(self.sorted())


class Fields:
    """One block of a file. `path` is shown to people, `where` is its place in the table."""

    def __init__(
        self,
        node: Node | None,
        table: Table,
        problems: Problems,
        *,
        path: str = "",
        where: str = "",
        line: int = 1,
    ) -> None:
        self.path = path
        self.line = line
        self._table = table
        self._where = where
        self._problems = problems
        self._nodes: dict[str, Node] = {}
        self._lines: dict[str, int] = {}
        if node is None:
            return
        if node.kind != "map":
            problems.add(self.line, f"{path or 'the file'} is not a block of options")
            return
        known = self._known()
        for key, value in node.items():
            if key.text in known:
                self._nodes[key.text], self._lines[key.text] = value, _place(key, value)
            else:
                self._unknown(key, known)

    # ------------------------------------------------------------ one value

    def text(self, key: str) -> str:
        return self._read(key, _text, "")

    def choice(self, key: str) -> str:
        option = self._option(key)
        return self._read(key, lambda text: _one_of(text, option.choices), "")

    def flag(self, key: str) -> bool:
        return self._read(key, _flag, False)

    def count(self, key: str) -> int:
        return int(self._bounded(key, self._read(key, _count, None)))

    def number(self, key: str) -> float:
        return self._bounded(key, self._read(key, _number, None))

    def seconds(self, key: str) -> float:
        return self._bounded(key, self._read(key, seconds, None))

    def size(self, key: str) -> int:
        return int(self._bounded(key, self._read(key, size, None)))

    def time(self, key: str) -> str:
        return self._read(key, _time, "")

    def address(self, key: str) -> tuple[str, int]:
        return self._read(key, _address, ("", 0))

    def secret_source(self, key: str) -> tuple[Literal["text", "file"], str] | None:
        """What stands for a secret: its own text (to be `${NAME}`), or a path under `key_file`."""
        in_file = f"{key}_file"
        if key in self._nodes and in_file in self._nodes:
            self._add(self.line_of(in_file), key, f"and {in_file} both stand here", "Keep one.")
            return None
        if in_file not in self._nodes:
            text = self.text(key)
            return ("text", text) if text else None
        path = _scalar(self._nodes[in_file])
        if not path:
            self._add(self.line_of(in_file), in_file, "is the path of a file")
            return None
        return ("file", path)

    # ------------------------------------------------------------ many values

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text counts as a list of one. No word twice."""
        return tuple(word for word, _ in self.words_with_lines(key))

    def words_with_lines(self, key: str) -> list[tuple[str, int]]:
        node = self._present(key)
        if node is None:
            return []
        rows = list(node) if node.kind == "list" else [node]
        found: dict[str, int] = {}
        for row in rows:
            word = _scalar(row)
            if not word:
                self._add(row.line, key, "is a list of names")
            elif word in found:
                self._add(row.line, key, f"has {quoted(word)} twice", "Keep one.")
            else:
                found[word] = row.line
        return list(found.items())

    def pairs(self, key: str) -> dict[str, tuple[str, int]]:
        """A block of texts: name -> (value, line)."""
        found: dict[str, tuple[str, int]] = {}
        for name, node in self._members(key):
            value = _scalar(node)
            if value is None:
                self._add(name.line, f"{key}.{name.text}", "is one value, not a block or a list")
                continue
            try:
                found[name.text] = (_text(value), name.line)
            except ValueError as error:
                self._add(name.line, f"{key}.{name.text}", str(error))
        return found

    def block(self, key: str) -> Fields:
        """The options below `key`; without it, a block of defaults."""
        return self._below(key, self._present(key), key, self.line_of(key))

    def named(self, key: str) -> dict[str, Fields]:
        """Blocks under names the operator chose."""
        return {
            name.text: self._below(f"{key}.{name.text}", node, f"{key}.*", name.line)
            for name, node in self._members(key)
        }

    def rows(self, key: str) -> list[Fields]:
        """A list of blocks."""
        node = self._present(key)
        if node is None:
            return []
        if node.kind != "list":
            self._add(node.line, key, "is a list; each row begins with a dash")
            return []
        rows = enumerate(node, start=1)
        return [
            self._below(f"{key} row {number}", row, f"{key}.*", row.line) for number, row in rows
        ]

    def members(self, key: str) -> list[tuple[Node, Node]]:
        """Names the operator chose and what stands under each, as it was written."""
        return list(self._members(key))

    def node(self, key: str) -> Node | None:
        """What stands there, as it was written."""
        return self._present(key)

    # ------------------------------------------------------------ about it

    def has(self, key: str) -> bool:
        return key in self._nodes

    def names(self, key: str) -> tuple[str, ...]:
        """The names below a block of names, readable or not."""
        node = self._nodes.get(key)
        return tuple(node.keys()) if node is not None else ()

    def line_of(self, key: str) -> int:
        return self._lines.get(key, self.line)

    def refuse(self, key: str, what: str, fix: str = "") -> None:
        self._add(self.line_of(key), key, what, fix)

    def refuse_at(self, line: int, key: str, what: str, fix: str = "") -> None:
        self._add(line, key, what, fix)

    # ------------------------------------------------------------ inside

    def _known(self) -> dict[str, Option]:
        start = f"{self._where}." if self._where else ""
        below = {
            path[len(start) :]: option
            for path, option in self._table.items()
            if path.startswith(start)
        }
        known = {key: option for key, option in below.items() if "." not in key and key != "*"}
        known |= {f"{key}_file": one for key, one in known.items() if one.kind == "secret"}
        return known

    def _option(self, key: str) -> Option:
        return self._table[f"{self._where}.{key}" if self._where else key]

    def _unknown(self, key: Node, known: Iterable[str]) -> None:
        inside = f" of {self.path}" if self.path else ""
        self._problems.add(
            key.line, f"{quoted(key.text)} is not an option{inside}", suggest(key.text, known)
        )

    def _add(self, line: int, key: str, what: str, fix: str = "") -> None:
        name = f"{self.path}.{key}" if self.path else key
        name = name if key else self.path
        self._problems.add(line, f"{name}{what}" if what.startswith(":") else f"{name} {what}", fix)

    def _present(self, key: str) -> Node | None:
        node = self._nodes.get(key)
        option = self._option(key)
        if node is None and option.required:
            self._add(self.line, key, "is missing", option.what.replace("\n", " "))
        if node is not None and node.kind == "scalar" and node.scalar is None:
            self._add(node.line, key, "has no value", "Give it one, or remove the line.")
            return None
        return node

    def _members(self, key: str) -> Iterator[tuple[Node, Node]]:
        node = self._present(key)
        if node is None:
            return
        if node.kind != "map":
            self._add(node.line, key, "is a block of names, each with a value")
            return
        yield from node.items()

    def _below(self, path: str, node: Node | None, where: str, line: int) -> Fields:
        return Fields(
            node,
            self._table,
            self._problems,
            path=f"{self.path}.{path}" if self.path else path,
            where=f"{self._where}.{where}" if self._where else where,
            line=line,
        )

    def _read(self, key: str, parse: Callable[[str], T], neutral: T) -> T:
        node = self._present(key)
        if node is None:
            default = self._option(key).default
            return neutral if default is None else parse(default)
        value = _scalar(node)
        if value is None:
            self._add(node.line, key, "is one value, not a block or a list")
            return neutral
        try:
            return parse(value)
        except ValueError as error:
            self._add(node.line, key, str(error))
            return neutral

    def _bounded(self, key: str, value: float | None) -> float:
        option = self._option(key)
        if value is None:
            return max(option.least, 0)
        if not option.least <= value <= option.most:
            bound = "less" if value < option.least else "more"
            edge = option.least if value < option.least else option.most
            self._add(self.line_of(key), key, f"is {bound} than {_shown(edge, option.kind)}")
        return value


def seconds(text: str) -> float:
    """`30s 5m 2h 1d`, also `500ms`; a bare number is refused, it says no unit."""
    match = _DURATION.fullmatch(text)
    if match is None and text != "0":
        raise ValueError(f"is {quoted(text)}, not a duration like 30s, 5m, 2h or 1d")
    return 0.0 if match is None else int(match.group(1)) * _SECONDS[match.group(2)]


def size(text: str) -> int:
    """`64 KiB`, `2 MiB`."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"is {quoted(text)}, not a size like 64 KiB or 2 MiB")
    return int(match.group(1)) * _BYTES[match.group(2)]


def _place(key: Node, value: Node) -> int:
    """Where an editor should jump to: the value beside its key, or the key of a block."""
    return value.line if value.kind == "scalar" and value.line == key.line else key.line


def _scalar(node: Node) -> str | None:
    """The text of a value as it was written; None for a block, a list or nothing."""
    return node.text if node.kind == "scalar" and node.scalar is not None else None


def _text(text: str) -> str:
    if not text.strip() or len(text) > TEXT_LETTERS_MAX:
        raise ValueError("is empty" if not text.strip() else "is too long")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("has a line break or a control character in it")
    return text


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError(f"is {quoted(text)}; it may be {' or '.join(choices)}")
    return text


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is {quoted(text)}; it may be true or false")
    return text == "true"


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueError(f"is {quoted(text)}, not a whole number")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        raise ValueError(f"is {quoted(text)}, not a number")
    return float(text)


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError(f'is {quoted(text)}, not a time of day like "07:30"')
    return text


def _address(text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match.group(2)) > 65535:
        raise ValueError(f"is {quoted(text)}, not an address like 127.0.0.1:8080")
    return match.group(1).strip("[]"), int(match.group(2))


def _shown(value: float, kind: Kind) -> str:
    if kind == "size":
        return f"{int(value)} B"
    if kind != "duration":
        return f"{value:g}"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if value >= length and value % length == 0:
            return f"{value / length:g}{unit}"
    return f"{value:g}s"
