"""One alias more in the items file, as a person would write it: a line, and nothing else moves.

The file stays the operator's: every comment, blank and order of it stays. Where a line
cannot be added without guessing, the error says the line, and a person adds it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from core.errors import ConfigError, Problem

_KEY = re.compile(r"^aliases:[ \t]*(#.*)?$", re.MULTILINE)
_ROW = re.compile(r"^([ ]*)- ")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
#: Words that YAML takes for something else than text.
_NOT_TEXT = frozenset("y n yes no on off true false null".split())


def line_of(system: str, word: str, sku: str) -> str:
    """{sku: TEA, system: shop, their_sku: "00123"}: quoted where YAML would not see a word."""
    return f"- {{sku: {_text(sku)}, system: {_text(system)}, their_sku: {_text(word)}}}"


def _text(word: str) -> str:
    plain = _PLAIN.fullmatch(word) and word.lower() not in _NOT_TEXT
    return word if plain else json.dumps(word, ensure_ascii=False)


def with_alias(text: str, file: str, line: str) -> str:
    """The text with one more row at the end of `aliases:`. ConfigError: it has them elsewhere."""
    if "aliases:" not in text:
        ends = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{ends}aliases:\n  {line}\n"
    found = _KEY.search(text)
    if found is None:
        raise ConfigError([_by_hand(file, "its aliases are not a list of lines", line)])
    head, rows = text[: found.end()], text[found.end() :].splitlines(keepends=True)
    last, indent = 0, "  "
    for number, row in enumerate(rows[1:], start=1):
        if row.strip() and not row.startswith((" ", "-", "#")):
            break
        if match := _ROW.match(row):
            last, indent = number, match.group(1)
        elif last and row.startswith(indent + " ") and not row.strip().startswith("#"):
            last = number  # a row of several lines
    before, after = rows[: last + 1], rows[last + 1 :]
    if before and not before[-1].endswith("\n"):
        before[-1] += "\n"
    return head + ("".join(before) or "\n") + f"{indent}{line}\n" + "".join(after)


def replace(path: Path, file: str, text: str, line: str) -> None:
    """The new text whole or not at all, with the mode of the old file."""
    try:
        mode = path.stat().st_mode & 0o777
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as new:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
            Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(
            [_by_hand(file, f"it cannot be written: {error.strerror}", line)]
        ) from None


def _by_hand(file: str, what: str, line: str) -> Problem:
    return Problem(
        file=file,
        line=1,
        what=what,
        fix=f"Add this row under `aliases:` yourself, then `truecount reload`:  {line}",
    )
