"""Tables of choices: words beside the lines, or thousands of rows in a CSV beside the file.

A CSV has the header `theirs,ours`. Its rows are the pairs of the table, each with
the CSV's own name and line, so that whatever is wrong is said as in the file itself.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.errors import Problem
from core.strict import Node

CSV_BYTES_MAX = 8 * 1024 * 1024
ROWS_MAX = 200_000
HEAD = ("theirs", "ours")
OTHERWISE = "otherwise"
#: Closer than any word but a slip of the pen; `other` is far away.
NEARLY = 0.85


@dataclass(slots=True)
class Beside:
    """The CSV files beside a mapping: their bytes by name, and what is wrong with them."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _read: dict[str, list[tuple[Node, Node]]] = field(default_factory=dict)

    def rows(self, node: Node, name: str) -> list[tuple[Node, Node]]:
        if name not in self._read:
            folder = node.file.rpartition("/")[0]
            place = f"{folder}/{name}" if folder else name
            self._read[name] = list(_rows(self.files.get(name, b""), place, self.problems))
        return self._read[name]


def file_of(node: Node) -> Node | None:
    """The node that names a table's CSV; None where the table is all in the file."""
    if node.kind == "scalar" and node.text.endswith(".csv"):
        return node
    return node.get("file") if node.kind == "map" else None


def names_of(choices: Node | None) -> list[Node]:
    """Every CSV the choices of a file name."""
    if choices is None or choices.kind != "map":
        return []
    return [named for _, table in choices.items() if (named := file_of(table)) is not None]


def with_rows(node: Node, beside: Beside) -> Node:
    """The table as one map: the rows of its CSV, then what stands in the file itself."""
    named = file_of(node)
    if named is None:
        return node
    own = [pair for pair in node.items() if pair[0].text != "file"] if node.kind == "map" else []
    words = {key.text for key, _ in own}
    rows = [pair for pair in beside.rows(named, named.text) if pair[0].text not in words]
    return Node("map", node.file, node.line, node.column, pairs=(*rows, *own))


def near_otherwise(table: str, key: Node) -> Problem | None:
    """A slip in `otherwise` would be one more word of theirs, and say nothing."""
    alike = difflib.SequenceMatcher(None, key.text.lower(), OTHERWISE).ratio()
    if key.quoted or key.text == OTHERWISE or alike < NEARLY:
        return None
    return key.problem(
        f"choices.{table}: {key.text} is nearly {OTHERWISE}",
        f"Write {OTHERWISE}, or put it in quotes if it really is a word of theirs.",
    )


def _rows(data: bytes, file: str, problems: list[Problem]) -> Iterator[tuple[Node, Node]]:
    def wrong(line: int, what: str, fix: str = "") -> None:
        problems.append(Problem(file=file, line=line, what=what, fix=fix))

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        wrong(1, "is not UTF-8 text", "Save it as CSV UTF-8.")
        return
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    seen: dict[str, int] = {}
    try:
        for at, cells in enumerate(row for row in reader if any(row)):
            line = reader.line_num
            if at == 0:
                if tuple(cell.strip() for cell in cells) != HEAD:
                    wrong(1, "has another header", f"The first line is: {','.join(HEAD)}")
                    return
            elif at > ROWS_MAX:
                wrong(line, f"has more than {ROWS_MAX} rows")
                return
            elif len(cells) != len(HEAD):
                wrong(line, f"has {len(cells)} cells, the header has {len(HEAD)}")
            elif cells[0] in seen:
                wrong(line, f'"{cells[0]}" is already set in line {seen[cells[0]]}', "Remove one.")
            else:
                seen[cells[0]] = line
                theirs, ours = (_cell(cell, file, line) for cell in cells)
                yield theirs, ours
    except csv.Error as error:
        wrong(reader.line_num, f"is no CSV: {error}", "Is a quote opened and not closed?")
        return
    if not seen:
        wrong(1, "has no row", f"The first line is {','.join(HEAD)}, then one row for each word.")


def _cell(text: str, file: str, line: int) -> Node:
    """Always text, as quoted: a cell `otherwise` or `ignore` is a word like any other."""
    return Node("scalar", file, line, 0, text, text, quoted=True)
