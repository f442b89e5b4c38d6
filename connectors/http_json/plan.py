"""The parsed `http:` block: what the engine does, as frozen values.

`grammar.py` makes it from a manifest, the engine follows it. Field by field it
is the page in README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.http_json.pointing import Template, at, text
from core.contract import Answer, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A question about an answer. Every condition that is given must hold."""

    statuses: frozenset[int] = frozenset()
    path: str = ""
    values: frozenset[str] = frozenset()
    present: bool | None = None

    def holds(self, status: int, body: Json) -> bool:
        if self.statuses and status not in self.statuses:
            return False
        if not self.path:
            return True
        value = at(body, self.path)
        if self.present is not None:
            # Vendors that send `error: null`, `errors: []` or `error: false` mean no error.
            return (value not in (None, "", [], {}, False)) is self.present
        return text(value) in self.values

    def of(self, answer: Answer) -> bool:
        return self.holds(answer.status, answer.body)

    def is_hidden_by(self, answer: Answer) -> bool:
        """Its status may mean this, and the word that would say so cannot be read: it is no
        word, or what it should stand in is none. One that is not there says nothing."""
        if not self.path or answer.status not in self.statuses:
            return False
        found = answer.body
        for name in self.path.split("."):
            if found is None:
                return False
            if not isinstance(found, Mapping | list):
                return True
            found = at(found, name)
        return isinstance(found, Mapping | list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An answer that means something else than its status says."""

    when: When
    then: str  # reject | retry | in_doubt | login
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    kind: str = "none"  # page | offset | token | link | keyset | none
    param: str = ""
    size_param: str = ""
    size: int = 0
    first: int = 1
    path: str = ""  # of the next token or link in the answer; a link without: the Link header
    alone: bool = False  # the token is sent without the other parameters
    repeat: int = 0  # rows read twice at an offset boundary, against rows that move away
    ends: str = "empty_page"  # empty_page | short_page
    past_end: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    param: str
    format: str  # iso | sql | epoch | epoch_ms | counter
    item: str = ""  # the greatest value of this path in the rows, or
    answer: str = ""  # this path of the first page


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One kind of request: what every read, search and command has in common."""

    method: str
    path: Template
    params: Mapping[str, Template] = field(default_factory=dict)
    headers: Mapping[str, Template] = field(default_factory=dict)
    budget: str = "calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Where the rows of an answer are, and how to get the rest of them."""

    items: str
    absent_is_empty: bool = False
    paging: Paging = field(default_factory=Paging)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    asking: Asking
    item: str
    missing: When


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How one resource is read."""

    asking: Asking
    rows: Rows
    id: tuple[str, ...]
    revision: str = ""
    since: Since | None = None
    fetch: Fetch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What of an answer becomes the receipt."""

    reference: str = ""
    counter: str = ""
    as_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a command whose answer was lost is looked up."""

    asking: Asking
    rows: Rows
    where: Mapping[str, Template]
    proof: Proof
    missing: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How one command is sent."""

    asking: Asking
    body: str = "mapped"  # mapped | none
    at: str = "."  # where the mapped body goes in the sent one
    constants: Mapping[str, Json] = field(default_factory=dict)
    success: When | None = None
    already: When | None = None
    proof: Proof = field(default_factory=Proof)
    search: Search | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockWrite:
    """How offers are written: one call with many rows, or one call for each."""

    asking: Asking
    row: Json
    rows: str = ""  # where the rows go; "" is one call per offer, the row being the body
    results: str = ""  # where each row's own result is; "": a 2xx accepts them all
    by: tuple[tuple[str, str], ...] = ()  # (path in the result, field of the offer)
    accepted: When | None = None
    stale: When | None = None
    shown: str = ""
    words: str = ""
    relative: bool = False  # the row carries a difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What a push of one topic means."""

    resource: str
    items: str
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    errors: tuple[Rule, ...] = ()
    reads: Mapping[str, Source] = field(default_factory=dict)
    sends: Mapping[str, Sending] = field(default_factory=dict)
    publish: StockWrite | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)

    @property
    def expected(self) -> frozenset[int]:
        """Statuses a rule judges, so the door must hand them back."""
        return frozenset().union(*(rule.when.statuses for rule in self.errors))
