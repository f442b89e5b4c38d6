"""YAML as operators write it, strictly: a tree of nodes that know their file and line.

Strings stay strings: 00123, NO, 12:30 and 1.10 are text (H35). Aliases, tags,
merges, duplicate keys and deep nesting are refused with their line (T8).
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from core.errors import ConfigError, Line, Problem

YAML_BYTES_MAX = 1024 * 1024
YAML_DEPTH_MAX = 20
#: A number longer than this is an attack, not a price.
NUMBER_MAX = 400
#: What no database takes as text.
UNTEXT = re.compile("[\x00\ud800-\udfff]")

_INT = re.compile(r"0|-?[1-9][0-9]*")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "": None, "null": None, "~": None}
_BARE = 'put the value in single quotes if it begins with one of [ { * & ! @ % ` "'
#: What was begun and never ended: YAML notices it only lines below.
_OPENED = {
    "while scanning a simple key": (
        "not YAML: a line without a colon",
        "A line has the form left: right, with a blank behind the colon.",
    ),
    "while parsing a flow sequence": (
        "not YAML: a [ that nothing closes",
        f"Close it, or {_BARE}.",
    ),
    "while parsing a flow mapping": (
        "not YAML: a { that nothing closes",
        f"Close it, or {_BARE}.",
    ),
    "while scanning a quoted scalar": (
        "not YAML: a quote that nothing closes",
        "Close it; a single quote inside of single quotes is written twice.",
    ),
}


@dataclass(frozen=True, slots=True)
class Node:
    """One value of an operator's file and where it stands.

    A map keeps (key, value) pairs of nodes; keys are always text. A list keeps
    nodes. A scalar keeps its Python value, and `text` as it was written.
    """

    kind: Literal["map", "list", "scalar"]
    file: str
    line: int
    column: int
    text: str = ""
    scalar: str | int | bool | None = None
    quoted: bool = False
    pairs: tuple[tuple[Node, Node], ...] = ()
    members: tuple[Node, ...] = ()

    @property
    def value(self) -> Any:
        return self.plain()

    def plain(self) -> Any:
        """The same as dicts, lists, str, int, bool, None."""
        if self.kind == "map":
            return {key.text: value.plain() for key, value in self.pairs}
        if self.kind == "list":
            return [member.plain() for member in self.members]
        return self.scalar

    def items(self) -> tuple[tuple[Node, Node], ...]:
        return self.pairs

    def keys(self) -> list[str]:
        return [key.text for key, _ in self.pairs]

    def get(self, key: str) -> Node | None:
        """The value node of a key of a map; None where it is absent."""
        return next((value for name, value in self.pairs if name.text == key), None)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.pairs) or len(self.members)

    def __bool__(self) -> bool:
        return True

    def problem(self, what: str, fix: str = "", *, at: str = "") -> Problem:
        """`at`: the part of a value's text that it is about."""
        return Problem(
            file=self.file, line=self.line, what=what, fix=fix, column=self.column_of(at)
        )

    def column_of(self, part: str) -> int:
        """Where in its line this part of the text stands; the start where that is not known."""
        found = self.text.find(part) if part and "\n" not in self.text else -1
        return self.column + (found + self.quoted if found >= 0 else 0)

    def error(self, what: str, fix: str = "") -> ConfigError:
        return ConfigError([self.problem(what, fix)])


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`Did you mean "x"?`, or nothing where no known word is near."""
    close = nearest_word(word, known, cutoff=cutoff)
    return f'Did you mean "{close}"?' if close else ""


def nearest_word(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The same letters in another order or case, or else the most alike; "" where none is near."""
    words = list(known)
    letters = sorted(word.lower())
    same = [each for each in words if sorted(each.lower()) == letters]
    close = same or difflib.get_close_matches(word, words, n=1, cutoff=cutoff)
    return close[0] if close else ""


def read_yaml(path: Path, file: str, *, inside: Path | None = None) -> Node:
    """Load one operator's file; see `read_file` for what may be a file."""
    return decode_yaml(read_file(path, file, inside=inside), file)


def read_file(
    path: Path, file: str, *, inside: Path | None = None, most: int = YAML_BYTES_MAX
) -> bytes:
    """A regular file of at most `most` bytes; with `inside`, only from below that folder.

    A link is followed only while it stays inside, so that a mounted config map
    works and a planted link to another file does not (T8).
    """
    if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        raise _file_error(
            file, "is a link to a file outside its folder", "Put the file itself here."
        )
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _file_error(file, "does not exist") from None
    except OSError as error:
        raise _file_error(file, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _file_error(file, "is not a regular file")
    with os.fdopen(handle, "rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise _file_error(file, f"is larger than {most // 1024**2} MiB")
    return data


def decode_yaml(data: bytes, file: str) -> Node:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            [Problem(file=file, line=line, what="is not UTF-8 text", fix="Save it as UTF-8.")]
        ) from None
    return load_yaml(text, file)


def _file_error(file: str, what: str, fix: str = "") -> ConfigError:
    return ConfigError([Problem(file=file, line=1, what=what, fix=fix)])


def load_yaml(text: str, file: str) -> Node:
    """The one document of `text` as nodes that know their line; ConfigError names all
    duplicate keys, aliases and tags at once."""
    if len(text) > YAML_BYTES_MAX:
        raise _file_error(file, "is larger than 1 MiB")
    return _Composer(text.removeprefix("\ufeff"), file).document()


class _Composer:
    """PyYAML's events only: its resolver, which makes NO false and 12:30 750, never runs."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._problems: list[Problem] = []
        self._events: Iterator[Any] = iter(())

    def document(self) -> Node:
        try:
            self._events = iter(yaml.parse(self._text, Loader=yaml.SafeLoader))
            next(self._events)  # the start of the stream
            event = next(self._events)
            if isinstance(event, yaml.StreamEndEvent):
                raise _file_error(self._file, "is empty")
            root = self._node(next(self._events), 1)
            next(self._events)
            if not isinstance(again := next(self._events), yaml.StreamEndEvent):
                self._report(again, "a second document begins here", "One file, one document.")
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1
            column = error.position - self._text.rfind("\n", 0, error.position)
            self._problems.append(self._at(line, "a character that no text file has", "", column))
        except yaml.MarkedYAMLError as error:
            self._problems.append(self._syntax(error))
        except (ValueError, OverflowError):  # "\\UFFFFFFFF"
            self._problems.append(
                self._at(1, "an escape in a quoted text that is no character", "")
            )
        if self._problems:
            raise ConfigError(self._problems)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if depth > YAML_DEPTH_MAX:
            self._report(event, f"nested deeper than {YAML_DEPTH_MAX} levels")
            raise ConfigError(self._problems)
        self._check_plain(event)
        column = event.start_mark.column + 1
        line = Line.at(event.start_mark.line + 1, column)
        if isinstance(event, yaml.MappingStartEvent):
            return Node("map", self._file, line, column, pairs=self._pairs(depth))
        if isinstance(event, yaml.SequenceStartEvent):
            return Node("list", self._file, line, column, members=self._members(depth))
        if isinstance(event, yaml.AliasEvent):
            return Node("scalar", self._file, line, column)
        text = str(event.value)
        quoted = not event.implicit[0]
        scalar = text if quoted else _scalar(text)
        if len(text) > NUMBER_MAX and not quoted and _INT.fullmatch(text):
            self._report(event, f"a number with more than {NUMBER_MAX} digits")
        if UNTEXT.search(text):
            self._report(event, "text with a NUL or half a character")
        return Node("scalar", self._file, line, column, text, scalar, quoted)

    def _pairs(self, depth: int) -> tuple[tuple[Node, Node], ...]:
        pairs: dict[str, tuple[Node, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if key.kind != "scalar":
                self._problems.append(key.problem("a key must be one word or text"))
            elif key.text == "<<" and not key.quoted:
                self._problems.append(key.problem("merging with << is not used here"))
            elif key.text in pairs:
                first = pairs[key.text][0].line
                self._problems.append(
                    key.problem(f'"{key.text}" is already set in line {first}', "Remove one.")
                )
            pairs.setdefault(key.text, (key, value))
        return tuple(pairs.values())

    def _members(self, depth: int) -> tuple[Node, ...]:
        members: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            members.append(self._node(event, depth + 1))
        return tuple(members)

    def _check_plain(self, event: Any) -> None:
        """Aliases make 430 bytes a billion nodes; tags make text code (T8)."""
        if isinstance(event, yaml.AliasEvent):
            self._report(event, f"*{event.anchor} is an alias", "Write the value out.")
        elif event.anchor is not None:
            self._report(event, f"&{event.anchor} is an anchor", "Write the value out.")
        if getattr(event, "tag", None) is not None:
            self._report(event, f"{event.tag} is a tag", "Quote the value if it begins with !.")

    def _syntax(self, error: yaml.MarkedYAMLError) -> Problem:
        if error.context in _OPENED and error.context_mark is not None:
            begun, (what, fix) = error.context_mark, _OPENED[error.context]
            return self._at(begun.line + 1, what, fix, begun.column + 1)
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 0)
        what = f"not YAML: {error.problem or error.context or 'unreadable'}"
        if "\\t" in what:
            fix = "Indent with spaces."
            return self._at(line, "a tab where only spaces may indent", fix, column)
        return self._at(line, what, f"Check the indentation, and {_BARE}.", column)

    def _report(self, event: Any, what: str, fix: str = "") -> None:
        mark = event.start_mark
        self._problems.append(self._at(mark.line + 1, what, fix, mark.column + 1))

    def _at(self, line: int, what: str, fix: str, column: int = 0) -> Problem:
        return Problem(file=self._file, line=line, what=what, fix=fix, column=column)


def _scalar(text: str) -> str | int | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) <= NUMBER_MAX:
        return int(text)
    return text
