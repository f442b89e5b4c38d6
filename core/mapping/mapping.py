"""A loaded mapping file: theirs to ours, or ours to theirs, and why not.

`record` and `body` either return what the file says or raise a Hold that tells
an operator which field, which path, which value and which line. A buyer's value
is never in it (G20).
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from collections.abc import Mapping as Names
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from core.errors import ConfigError, Hold, InvariantBroken, MappingError, Problem
from core.mapping.build import Builder, Marks, Spot
from core.mapping.incoming import Plan, Reading
from core.mapping.lines import Line, Report
from core.mapping.outgoing import Outgoing
from core.mapping.own_steps import steps_of
from core.mapping.shape import is_buyers
from core.mapping.shown import SHOWN_MAX, digits, shown_as
from core.mapping.steps import Ignored, StepError
from core.mapping.tables import CSV_BYTES_MAX, Beside, names_of
from core.mapping.watching import Watch
from core.model import COMMANDS, RECORDS
from core.strict import Json, Node, decode_yaml, nearest, read_file

#: Lines of one mapping beside its choices, which have thousands where they must.
LINES_MAX = 3000


@dataclass(frozen=True, slots=True)
class Text:
    """The bytes of a mapping file, and of the tables beside it."""

    data: bytes
    beside: Names[str, bytes] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        made = hashlib.sha256(self.data)
        for name, data in sorted(self.beside.items()):
            made.update(f"\0{name}\0{len(data)}\0".encode() + data)
        return made.hexdigest()

    def packed(self) -> bytes:
        """For a row of the state."""
        parts = {"": self.data, **self.beside}
        doc = {name: base64.b64encode(data).decode() for name, data in parts.items()}
        return zlib.compress(orjson.dumps(doc))

    @classmethod
    def unpacked(cls, packed: bytes) -> Text:
        doc = orjson.loads(zlib.decompress(packed))
        parts = {name: base64.b64decode(data) for name, data in doc.items()}
        return cls(parts.pop(""), parts)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One file in force. `kind` is the record it becomes or the command it sends."""

    name: str
    version: int
    hash: str
    file: str
    direction: str  # incoming | outgoing
    kind: str
    lines: tuple[tuple[str, Line], ...]
    plan: Plan | None  # of an incoming one
    text: Text
    _run: Callable[..., Any]
    _marks: Marks
    _tables: dict[str, Node]

    @property
    def said(self) -> str:
        """What a row remembers: "shopify.order v3 1f2e3d4c"."""
        return f"{self.name} v{self.version} {self.hash[:8]}"

    def record(self, item: Json, *, external_id: str = "", revision: str = "") -> Any:
        """Our record, None where the file says to skip it, or Hold.

        `external_id` and `revision` fill `key` and `revision` where the file maps
        none: what the connector's Item already says.
        """
        if self.direction != "incoming":
            raise InvariantBroken(f"{self.name} is outgoing")
        try:
            return self._run(item, external_id, revision)
        except Ignored:
            return None
        except StepError as error:
            raise self.hold(error, item) from None

    def body(self, record: Any) -> Json:
        """Their document for one of our commands, or Hold. None where choices say ignore."""
        if self.direction != "outgoing":
            raise InvariantBroken(f"{self.name} is incoming")
        try:
            return self._run(record)
        except Ignored:
            return None
        except StepError as error:
            raise self.hold(error, None) from None

    def watched(self, watch: Watch) -> Mapping:
        """The same file, compiled so that `watch` sees what every step comes to."""
        return read_mapping(self.text, self.file, self.name, watch)

    def hold(self, error: StepError, item: Json) -> Hold:
        """The words of an operator for a value that could not be taken."""
        found = self._marks.find(error.__traceback__)
        spot = found.spot
        our = spot.our or "the document"
        theirs = spot.path
        buyers = is_buyers(our) or is_buyers(theirs) or "email" in theirs.lower()
        shown = "" if error.code == "missing" else f" {shown_as(error.value, buyers=buyers)}"
        place = theirs if found.entry is None else f"{theirs}, entry {found.entry + 1}"
        reason = f"{our}{shown} {error.what}" + (f" ({place})" if theirs else "")
        if error.code == "missing" and theirs and isinstance(item, dict) and found.entry is None:
            reason += _near_path(theirs, item)
        cause = f"mapping:{self.name}:{our}:{error.code}"
        if error.table is not None:
            word = "a buyer's word" if buyers else _word_of(error.value)
            cause = f"mapping:{self.name}:{error.code}:{word}"
        return Hold(reason, cause=cause, next_step=self._next_step(error, spot))

    def _next_step(self, error: StepError, spot: Spot) -> str:
        if error.table is not None:
            name = error.table.name
            table = self._tables[name]
            words = ", ".join(error.table.allowed)
            words = f" (right side: {words}, or ignore)" if words else ""
            where = f"choices.{name} in {self.file}:{table.line}:{table.column}"
            return f"Add a line for this word to {where}{words} and save: what waits goes on."
        where = f"{self.file}:{spot.line}:{spot.column}"
        return (
            f"Correct the value in the system it comes from, or edit {where}"
            " and save; the record then continues by itself."
        )


def _word_of(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else digits(value)
    return text[:SHOWN_MAX]


def _near_path(path: str, item: dict[str, Any]) -> str:
    """The misspelt key: walk the path as far as the document goes."""
    here: Any = item
    for word in path.split("."):
        if not isinstance(here, dict):
            return ""
        if word not in here:
            hint = nearest(word, here)
            return f". {hint}" if hint else ""
        here = here[word]
    return ""


def stem_of(path: Path) -> str:
    """`order` of order.yaml, and of order.edit.yaml: the next one, tried and never in force."""
    return path.stem.removesuffix(".edit")


def is_mapping(path: Path) -> bool:
    """Whether a YAML of a folder is one to be in force: no examples, no edit on trial."""
    return not path.name.endswith((".test.yaml", ".edit.yaml"))


def load_mapping(path: Path, file: str, *, inside: Path | None = None) -> Mapping:
    """Read, check, compile. MappingError names every problem of the file at once."""
    try:
        data = read_file(path, file, inside=inside)
        root = decode_yaml(data, file)
        beside = _tables_beside(path, root)
    except ConfigError as error:
        raise MappingError(error.problems) from None
    return _made(root, Text(data, beside), f"{path.parent.name}.{stem_of(path)}", None)


def read_mapping(text: Text, file: str, name: str, watch: Watch | None = None) -> Mapping:
    """The same from the bytes of a file, for example of one that was in force before."""
    try:
        root = decode_yaml(text.data, file)
    except ConfigError as error:
        raise MappingError(error.problems) from None
    return _made(root, text, name, watch)


def _tables_beside(path: Path, root: Node) -> dict[str, bytes]:
    """The CSV files the choices name, each a plain file of the mapping's own folder."""
    found: dict[str, bytes] = {}
    for node in names_of(root.get("choices")) if root.kind == "map" else []:
        place = f"{root.file.rpartition('/')[0]}/{node.text}"
        if "/" in node.text or not node.text.endswith(".csv"):
            raise node.error(f"{node.text} is not a CSV file beside this one")
        if not (path.parent / node.text).exists():
            raise node.error(f"there is no file {node.text} beside this one")
        found[node.text] = read_file(
            path.parent / node.text, place, inside=path.parent, most=CSV_BYTES_MAX
        )
    return found


def _made(root: Node, text: Text, name: str, watch: Watch | None) -> Mapping:
    report = Report()
    beside = Beside(text.beside)
    mapping = _load(root, name, text, report, watch, beside)
    problems = [*report.problems, *beside.problems]
    if mapping is None or problems:
        raise MappingError(sorted(problems, key=_by_line))
    return mapping


def _lines(node: Node) -> int:
    """Every line becomes code, so many of them would keep the daemon from its work."""
    inside = node if node.kind == "list" else [value for _, value in node.items()]
    return sum(map(_lines, inside)) if node.kind != "scalar" else 1


def _by_line(problem: Problem) -> tuple[bool, int, int]:
    """The mapping's own first, then those of its tables."""
    return problem.file.endswith(".csv"), problem.line, problem.column


def _load(
    root: Node, name: str, text: Text, report: Report, watch: Watch | None, beside: Beside
) -> Mapping | None:
    if root.kind != "map":
        report.add(root, "a mapping is lines of the form left: right")
        return None
    count = sum(_lines(value) for key, value in root.items() if key.text != "choices")
    if count > LINES_MAX:
        report.add(root, f"a mapping has {count} lines beside its choices, more than {LINES_MAX}")
        return None
    version = _head(root, name, report)
    becomes, sends = root.get("becomes"), root.get("sends")
    if (becomes is None) == (sends is None):
        report.add(root, "a mapping has either becomes (theirs to ours) or sends (ours to theirs)")
        return None
    word, known = (becomes, RECORDS) if becomes is not None else (sends, COMMANDS)
    assert word is not None
    if word.text not in known:
        hint = nearest(word.text, known) or f"Known are: {', '.join(known)}"
        what = "record" if becomes is not None else "command"
        report.add(word, f"{word.text} is not a {what} of ours", hint)
        return None
    marks = Marks(root.file)
    run: Callable[..., Any] | None = None
    plan: Plan | None = None
    if becomes is not None:
        reading = Reading(
            root, RECORDS[word.text], report, steps_of(name.partition(".")[0]), beside
        )
        plan = reading.plan()
        lines = reading.lines
        if not report.problems:
            run = Builder(reading, marks, watch).build(plan)
    else:
        outgoing = Outgoing(root, COMMANDS[word.text], report, marks, watch, beside)
        run, lines = outgoing.build(), outgoing.lines
    if run is None:
        return None
    choices = root.get("choices")
    return Mapping(
        name=name,
        version=version,
        hash=text.hash,
        file=root.file,
        direction="incoming" if becomes is not None else "outgoing",
        kind=word.text,
        lines=tuple(lines),
        plan=plan,
        text=text,
        _run=run,
        _marks=marks,
        _tables={key.text: value for key, value in choices.items()} if choices else {},
    )


def _head(root: Node, name: str, report: Report) -> int:
    named, version = root.get("mapping"), root.get("version")
    if named is None:
        report.add(root, "the first line is missing", f"mapping: {name}")
    elif named.text != name:
        report.add(named, f"mapping is {named.text}, the file is {name}", f"mapping: {name}")
    if version is None:
        report.add(root, "version is missing", "version: 1, and one more with every change")
    elif not (type(version.scalar) is int and version.scalar > 0):
        report.add(version, "version must be a whole number from 1")
    else:
        return version.scalar
    return 0
