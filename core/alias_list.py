"""Aliases as operators write them, row by row, also as thousands of lines of CSV.

One word of a system means one item. A channel may have several words for an item
and sells it in its own units; any other system has one word, and may count by cases.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ConfigError
from core.fields import Problems, quoted, suggest
from core.items import Alias
from core.nodes import read_file

#: The largest list of aliases: a few hundred thousand lines.
CSV_BYTES_MAX = 32 * 1024 * 1024
#: Units of one item that a kit, a pack or a case is made of, at most.
FACTOR_MAX = 1_000_000
SKU_LETTERS_MAX = 200
COLUMNS = ("sku", "system", "their_sku", "factor")

_WHOLE = re.compile(r"[0-9]{1,12}")


def factor_of(text: str) -> int | None:
    """A whole number of units; 2.5, 0 and -1 are none (H44)."""
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= FACTOR_MAX:
        return None
    return int(text)


def is_sku(problems: Problems, text: str, line: int) -> bool:
    """Nothing is trimmed: a blank that nobody sees would make a word that never comes."""
    if text.strip() == text and text.isprintable() and 0 < len(text) <= SKU_LETTERS_MAX:
        return True
    problems.add(
        line,
        f"{quoted(text)} is no SKU: blanks around it, a character that cannot be seen, or too long",
        "Mappings take the blanks around a SKU away; write it without.",
    )
    return False


@dataclass(slots=True)
class Aliases:
    """What was read so far."""

    systems: frozenset[str]
    channels: frozenset[str]
    named: dict[tuple[str, str], Alias] = field(default_factory=dict)
    words: dict[tuple[str, str], Alias] = field(default_factory=dict)

    def take(
        self, alias: Alias, problems: Problems, place: Callable[[str], int] | None = None
    ) -> None:
        """One more, unless something is wrong with it. `place` is where each part of it stands."""
        at = place or (lambda _: alias.line)
        if alias.system not in self.systems:
            problems.add(
                at("system"),
                f"{quoted(alias.system)} is no system of config.yaml",
                suggest(alias.system, sorted(self.systems)),
            )
            return
        good = is_sku(problems, alias.sku, at("sku"))
        if not (is_sku(problems, alias.their_sku, at("their_sku")) and good):
            return
        first = self.named.setdefault((alias.system, alias.their_sku), alias)
        if first is not alias:
            _refuse_second(alias, first, problems, at("their_sku"))
        elif alias.system in self.channels:
            _refuse_factor(alias, problems, at("factor"))
        else:
            other = self.words.setdefault((alias.system, alias.sku), alias)
            if other is not alias:
                _refuse_word(alias, other, problems, at("their_sku"))

    def read_csv(self, path: Path, problems: Problems) -> None:
        """A list with the columns sku, system, their_sku, factor. ConfigError: no such file."""
        try:
            text = read_file(path, problems.file, most=CSV_BYTES_MAX).decode("utf-8-sig")
        except UnicodeDecodeError:
            problems.add(1, "is not UTF-8 text", "Save it as CSV UTF-8.")
            return
        except ConfigError as error:
            problems.found += error.problems
            return
        for row in _rows(text, problems):
            self._cells(row, problems)

    def _cells(self, row: _Row, problems: Problems) -> None:
        cells = row.cells
        factor = factor_of(cells["factor"]) if cells.get("factor") else 1
        if factor is None:
            problems.add(
                row.line,
                f"factor is {quoted(cells['factor'])}",
                f"A whole number from 1 to {FACTOR_MAX}, or nothing for 1.",
            )
        missing = [name for name in COLUMNS[:3] if not cells[name]]
        if missing:
            problems.add(row.line, f"{' and '.join(missing)} is empty", "Fill it in.")
        if factor is None or missing:
            return
        alias = Alias(
            system=cells["system"],
            their_sku=cells["their_sku"],
            sku=cells["sku"],
            factor=factor,
            file=problems.file,
            line=row.line,
        )
        self.take(alias, problems)


# ------------------------------------------------------------------ refusals


def _refuse_second(alias: Alias, first: Alias, problems: Problems, line: int) -> None:
    fix = "Keep one."
    if first == alias:
        what = f"says again what {_place(first, alias)} says"
    elif first.sku == alias.sku:
        what = f"gives {quoted(alias.their_sku)} another factor than {_place(first, alias)}"
    else:
        what = (
            f"{quoted(alias.their_sku)} of {alias.system} is {quoted(first.sku)} in "
            f"{_place(first, alias)}, and {quoted(alias.sku)} here"
        )
        fix = "One word means one item: keep one."
    problems.add(line, what, fix)


def _refuse_factor(alias: Alias, problems: Problems, line: int) -> None:
    """A channel sells a case as a pack, so that the money of its line is never divided."""
    if alias.factor == 1:
        return
    problems.add(
        line,
        f"{alias.system} is a channel, and sells {quoted(alias.their_sku)} by {alias.factor}",
        f"Write a pack, `kits: {{{alias.their_sku}: {{{alias.sku}: {alias.factor}}}}}`, and no "
        "factor here.",
    )


def _refuse_word(alias: Alias, other: Alias, problems: Problems, line: int) -> None:
    problems.add(
        line,
        f"{alias.system} would have two words for {quoted(alias.sku)}: "
        f"{quoted(other.their_sku)} ({_place(other, alias)}) and {quoted(alias.their_sku)}",
        "Only a channel may list an item twice; of two stock numbers of one item neither could "
        "be believed. Make one of them an item of its own.",
    )


def _place(first: Alias, seen_from: Alias) -> str:
    where = "" if first.file == seen_from.file else f"{first.file.rpartition('/')[2]} "
    return f"{where}line {first.line}"


# ------------------------------------------------------------------ CSV


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Mapping[str, str]


def _rows(text: str, problems: Problems) -> Iterator[_Row]:
    """The rows below the header, by its names; a spreadsheet may write ; or a tab for a comma."""
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                if not _is_head(names, problems):
                    return
            elif len(cells) != len(names):
                problems.add(
                    reader.line_num, f"has {len(cells)} cells, the header has {len(names)}"
                )
            else:
                yield _Row(reader.line_num, dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        problems.add(reader.line_num, f"is no CSV: {error}", "Is a quote opened and not closed?")
        return
    if not names:
        problems.add(1, "has no header", f"The first line is: {','.join(COLUMNS)}")


def _is_head(names: Sequence[str], problems: Problems) -> bool:
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in COLUMNS[:3] if name not in names]
    if not unknown and not missing and len(set(names)) == len(names):
        return True
    problems.add(
        1,
        f"the header is {quoted(','.join(names))}",
        f"It is: {','.join(COLUMNS)}; factor may be left out.",
    )
    return False
