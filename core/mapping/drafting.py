"""`truecount mapping draft`: a first mapping for a document nobody has mapped yet.

It proposes and never guesses in silence: what it is not sure of stands as a comment
that a person uncomments, and `truecount check` names what is missing. No value of
the document is in the draft, only names and kinds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from core.mapping.draft_words import AMOUNTS, BLOCKS, RECORD_SIGNS, STEPS, WORDS
from core.mapping.reads import EVERY, Place
from core.mapping.shape import Field, fields_of
from core.mapping.shapes import shape_of, written
from core.model import RECORDS

#: A name that fits better than this is taken; between this and the other it is a comment.
SURE, MAYBE = 0.8, 0.62


@dataclass(slots=True)
class Draft:
    """The text, and what a person has to look at."""

    becomes: str
    text: str
    unsure: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "becomes": self.becomes,
            "text": self.text,
            "unsure": self.unsure,
            "missing": self.missing,
            "unread": self.unread,
        }


@dataclass(frozen=True, slots=True)
class _Leaf:
    place: Place
    value: Any


def draft(system: str, document: Any, *, becomes: str = "") -> Draft:
    """`becomes` one of core.model.RECORDS; left out, the record whose words it has most of."""
    leaves = _leaves(document)
    record = becomes if becomes in RECORDS else guess(leaves)
    return _Writer(system, record, leaves, shape_of(document)).write()


def guess(leaves: list[_Leaf]) -> str:
    """The record with the most telling names; an order where nothing tells."""
    names = {_plain(word) for leaf in leaves for word in leaf.place}
    scores = {
        record: sum(any(sign in name for name in names) for sign in signs)
        for record, signs in RECORD_SIGNS.items()
    }
    best = max(scores, key=lambda record: scores[record])
    return best if scores[best] > 0 else "order"


def _leaves(document: Any) -> list[_Leaf]:
    """Every place with the first value that is not null."""
    found: dict[Place, Any] = {}
    waiting: list[tuple[Place, Any]] = [((), document)]
    while waiting and len(found) < 2000:
        place, value = waiting.pop()
        if type(value) is dict and len(place) < 20:
            waiting += [((*place, name), each) for name, each in reversed(value.items())]
        elif type(value) is list and value and len(place) < 20:
            waiting += [((*place, EVERY), each) for each in reversed(value[:5])]
        elif found.get(place) is None:
            found[place] = value
    return [_Leaf(place, value) for place, value in found.items()]


class _Writer:
    def __init__(
        self, system: str, record: str, leaves: list[_Leaf], shape: dict[Place, set[str]]
    ) -> None:
        self._system, self._record, self._leaves, self._shape = system, record, leaves, shape
        self._used: set[Place] = set()
        self._lines: list[str] = []
        self._made = Draft(record, "")

    def write(self) -> Draft:
        record: type = RECORDS[self._record]
        known = fields_of(record)
        self._lines += [
            f"# {self._system} {self._record}, a draft: read every line, then `truecount check`.",
            f"mapping: {self._system}.{self._record}",
            "version: 1",
            f"becomes: {self._record}",
            "",
        ]
        self._head(known)
        self._lines.append("fields:")
        self._fields(known, (), "  ", "", skip={"key", "revision"})
        for name, into in known.items():
            if into.kind == "records":
                self._block(name, into, ())
        self._tables(record)
        self._rest()
        self._made.text = "\n".join(self._lines) + "\n"
        return self._made

    def _head(self, known: dict[str, Field]) -> None:
        for name in ("key", "revision"):
            if name in known:
                self._field(known[name], name, (), "", "", required=name == "key")
        if "currency" not in known and any(each.kind == "money" for each in known.values()):
            self._lines.append("currency: = EUR    # or the path where they say it")
        self._lines.append("")

    def _fields(
        self, known: dict[str, Field], here: Place, indent: str, prefix: str, skip: set[str]
    ) -> None:
        for name, into in known.items():
            if name in skip or into.kind in ("records", "words"):
                continue
            if into.kind == "record":
                for inner, each in fields_of(into.of).items():
                    if each.kind == "text":
                        self._field(each, f"{name}.{inner}", here, indent, prefix)
            else:
                self._field(into, name, here, indent, prefix, required=into.required)

    def _field(
        self,
        into: Field,
        name: str,
        here: Place,
        indent: str,
        prefix: str,
        *,
        required: bool = False,
    ) -> None:
        score, leaf = self._best(into, name, here)
        our = f"{prefix}{name}"
        if leaf is None or score < MAYBE:
            if required:
                self._made.missing.append(our)
                self._lines.append(f"{indent}# {name}: ?    # required; nothing of theirs fits")
            return
        line = f"{name}: {_path(leaf.place[len(here) :])}{_steps(into, name, leaf)}"
        if score >= SURE:
            self._used.add(leaf.place)
            self._lines.append(f"{indent}{line}")
        else:
            self._made.unsure.append(our)
            self._lines.append(f"{indent}# {line}    # perhaps")

    def _best(self, into: Field, name: str, here: Place) -> tuple[float, _Leaf | None]:
        best: tuple[float, _Leaf | None] = (0.0, None)
        for leaf in self._leaves:
            inner = leaf.place[len(here) :]
            if leaf.place[: len(here)] != here or not inner or (here and EVERY in inner):
                continue
            if leaf.place in self._used or not _may_be(into, leaf.value):
                continue
            score = _likeness(name, inner) - 0.01 * len(inner) - 0.05 * inner.count(EVERY)
            if score > best[0]:
                best = (score, leaf)
        return best

    def _block(self, name: str, into: Field, here: Place) -> None:
        """A list of theirs whose name fits and whose entries are objects."""
        lists = {
            leaf.place[: at + 1]
            for leaf in self._leaves
            for at, word in enumerate(leaf.place)
            if word == EVERY
            and len(leaf.place) > at + 1
            and leaf.place[: len(here)] == here
            and EVERY not in leaf.place[len(here) : at]
        }
        scored = [(_list_likeness(name, place), place) for place in lists]
        score, place = max(scored, default=(0.0, ()))
        if score < MAYBE:
            return
        known = fields_of(into.of)
        self._lines += ["", f"{name}:", f"  each: {_path(place[len(here) : -1])}", "  fields:"]
        before = len(self._lines)
        self._fields(known, place, "    ", f"{name}.", set())
        if len(self._lines) == before:
            self._lines.append("    # nothing of theirs fits")

    def _tables(self, record: type) -> None:
        tables: dict[str, tuple[str, list[str]]] = {}
        for name, words in _enums(record):
            if any(
                f"| choose {name}" in line and "#" not in line.partition("|")[0]
                for line in self._lines
            ):
                tables[name] = (name, words)
        if not tables:
            return
        self._lines += ["", "choices:"]
        for name, (_, words) in tables.items():
            self._lines += [
                f"  {name}:    # left their word, right one of: {', '.join(words)}",
                "    otherwise: hold",
            ]

    def _rest(self) -> None:
        self._made.unread = [
            f"{written(place)} ({' or '.join(sorted(self._shape[place]))})"
            for place in self._shape
            if place not in self._used
        ]
        if self._made.unread:
            self._lines += ["", "# Of theirs, read by no line yet:"]
            self._lines += [f"#   {one}" for one in self._made.unread]


def _enums(record: type) -> list[tuple[str, list[str]]]:
    found = []
    for name, into in fields_of(record).items():
        if into.kind == "enum":
            found.append((name, [str(word) for word in into.of]))
        elif into.kind == "flag":
            found.append((name, ["true", "false"]))
        elif into.kind == "records":
            found += _enums(into.of)
    return found


def _may_be(into: Field, value: Any) -> bool:
    """Whether a value of this kind could fill the field at all."""
    if value is None:
        return True
    if isinstance(value, bool):
        return into.kind in ("flag", "enum")
    if isinstance(value, dict | list):
        return False
    text = str(value)
    match into.kind:
        case "whole":
            return bool(re.fullmatch(r"-?\d{1,9}(\.0+)?", text))
        case "money" | "number":
            return bool(re.fullmatch(r"-?\d{1,12}(\.\d+)?", text))
        case "time":
            return bool(
                re.match(r"\d{4}-\d{2}-\d{2}", text) or re.fullmatch(r"\d{10}|\d{13}", text)
            )
        case "flag":
            return text.lower() in ("true", "false", "0", "1")
        case "texts":
            return False
        case _:
            return True


def _steps(into: Field, name: str, leaf: _Leaf) -> str:
    text = str(leaf.value)
    if into.kind == "time":
        if re.fullmatch(r"\d{10}", text):
            return " | epoch"
        if re.fullmatch(r"\d{13}", text):
            return ' | epoch "ms"'
        if len(text) == 10:
            return ' | date "UTC"'
        zoned = re.search(r"(Z|[+-]\d{2}:?\d{2})$", text)
        return " | time" if zoned else ' | time "UTC"    # they write no zone; say theirs'
    if into.kind == "enum":
        return f" | choose {name.rpartition('.')[2]}"
    if into.kind in ("whole", "number", "money", "flag"):
        return f" | {into.kind}"
    return STEPS.get(name.rpartition(".")[2], "")


def _path(place: Place) -> str:
    """A single field out of a list is that of its first entry."""
    return written(place).replace(EVERY, "[0]") or "@"


def _likeness(name: str, place: Place) -> float:
    """How well their name (or their last two) fits ours, by its words and its synonyms."""
    words = [_plain(word) for word in place if word != EVERY]
    ours = name.rpartition(".")[2]
    group = name.partition(".")[0] if "." in name else ""
    if bool(group) != any(word in BLOCKS["ship_to"] for word in words[:-1]):
        return 0.0
    while len(words) > 1 and words[-1] in AMOUNTS:  # {"total": {"value": "1.00", …}}
        words.pop()
    last, both = words[-1], "".join(words[-2:])
    scores = [
        1.0 - 0.004 * at if word in (last, both) else 0.0
        for at, word in enumerate(dict.fromkeys((_plain(ours), *WORDS.get(ours, ()))))
    ]
    scores.append(SequenceMatcher(None, _plain(ours), last).ratio() * 0.9)
    return max(scores)


def _list_likeness(name: str, place: Place) -> float:
    words = [_plain(word) for word in place if word != EVERY]
    known = BLOCKS.get(name, (_plain(name),))
    return max(
        (1.0 - 0.05 * at for at, word in enumerate(reversed(words)) if word in known), default=0.0
    )


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())
