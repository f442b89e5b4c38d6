"""What a vendor changed about its documents: new, vanished and retyped fields (H27). Pure.

A field is known once enough documents were looked at; until then everything is
learned and nothing is news. Only names and kinds are kept, never a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

#: Documents of a resource before anything can be news.
LEARNED = 50
#: A field that so many of all documents had, and not one of the last ones, has vanished.
NEARLY_ALWAYS = 0.95
GONE_AFTER = 50
#: 10 and 10.5 are one kind to us; a null or something empty says nothing.
_SAME = {"number": "whole number"}
_SILENT = frozenset({"null", "list", "object"})

What = Literal["new", "vanished", "retyped"]


@dataclass(slots=True)
class Known:
    """One field of theirs. `first` and `last`: numbers of documents."""

    kinds: set[str]
    documents: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class News:
    """One thing that is not as it was. `example` is the document that showed it first."""

    what: What
    path: str
    detail: str
    example: str


@dataclass(slots=True)
class Learner:
    """What is known of the documents of one resource, and what is new about the next."""

    documents: int = 0
    known: dict[str, Known] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    def learn(self, shape: Mapping[str, set[str]], example: str) -> Iterator[News]:
        """One more document. Yields what it shows that none before it did."""
        self.documents += 1
        for path, kinds in shape.items():
            told = {_SAME.get(kind, kind) for kind in kinds} - _SILENT
            field_ = self.known.get(path)
            if field_ is None:
                self.known[path] = Known(told, 1, self.documents, self.documents)
                if told and self.documents > LEARNED and not self._inside_of_known(path):
                    yield News("new", path, " or ".join(sorted(kinds)), example)
            else:
                more = told - field_.kinds
                if more and field_.kinds and self.documents > LEARNED:
                    before, now = (" or ".join(sorted(one)) for one in (field_.kinds, more))
                    yield News("retyped", path, f"{before} became {now}", example)
                field_.kinds |= told
                field_.documents += 1
                field_.last = self.documents
            self.touched.add(path)
        yield from self._vanished(example)

    def _vanished(self, example: str) -> Iterator[News]:
        """Said once: at the very document that makes it so many without the field."""
        for path, one in self.known.items():
            if self.documents - one.last == GONE_AFTER and self._was_nearly_always(one):
                had = f"{one.documents} of the {one.last} documents before had it"
                yield News("vanished", path, had, example)

    def _was_nearly_always(self, one: Known) -> bool:
        span = one.last - one.first + 1
        return one.last >= LEARNED and one.documents >= NEARLY_ALWAYS * span

    def _inside_of_known(self, path: str) -> bool:
        """Inside of what used to be null or empty: its names could not be known."""
        parent = path
        while "." in parent or parent.endswith("[]"):
            parent = parent[:-2] if parent.endswith("[]") else parent.rpartition(".")[0]
            if parent in self.known and not self.known[parent].kinds:
                return True
        return False
