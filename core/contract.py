"""What a connector must be: the one file a connector author reads.

A connector knows its vendor's API and nothing of our business. It is built once
per configured system by `connect(setup)` in its package, and has only the
methods its manifest promises:

    manifest says   class has     it does
    reads:          read          one page of one resource since a watermark
    fetch: true     fetch         one object by its owner's id (a push was only a hint)
    accepts:        send          one command; raises what the caller does next (core.errors)
    safe_by lookup  find          what became of a command whose answer was lost
    stock_write:    publish       many quantities in one call, each judged alone
    hooks:          events        what a verified push means
    login: signed   a `Dialect`, which its package's `dialect(values)` builds

It never has a database, a clock, a retry loop, a log of bodies, a field mapping
or knowledge of another system. `Api` does login, limits, deadlines and sorting
of answers into our errors; a connector has no try/except around a call. What it
touches of an answer it says as types first (core.agreed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

#: A decoded vendor document: dicts, lists, str, int, Decimal, bool, None. Never a float.
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, decoded by the strict loader. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: Json


class Api(Protocol):
    """One system's door. Every call of a connector goes through it."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        json: Json = None,
        form: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        answer: Literal["json", "text", "bytes"] = "json",
        headers: Mapping[str, str] | None = None,
        writes: bool = False,
        budget: str = "calls",
        cost: float = 1,
        expect: frozenset[int] = frozenset(),
    ) -> Answer:
        """Call `path` below the system's base URL and return a 2xx answer.

        `path` may be an absolute link of the same origin, as pages have them; any
        other host is refused (T10). At most one of `json`, `form` and `raw` is the
        body; `raw` is for signed or non-JSON bodies and needs a content-type header.
        `answer` says what is due: a decoded document, or text or bytes (labels, CSV).
        `writes` turns a lost answer into InDoubt instead of Retry. `budget` and
        `cost` name the manifest's rate budget to draw from. Statuses in `expect`
        come back instead of raising. Raises Retry, RateLimited, LoginNeeded,
        Rejected or InDoubt.
        """

    def observe(self, budget: str, *, left: float, per_second: float, size: float) -> None:
        """Tell the limiter what the vendor said about a budget; its word beats our table.

        What the vendor does not say is negative (Amazon names a rate, never what is left).
        """

    def now(self) -> datetime:
        """The vendor's time by its own Date header: for signed timestamps, and for the upper bound
        of what is asked where a vendor demands one. Never for data: what an answer covers is what
        the answer says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One object as its owner showed it. `revision` is the owner's version, "" if none."""

    external_id: str
    revision: str = ""
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a pass.

    `next` is the token of the following page; None ends the pass. An empty page
    with a `next` is not the end (H47). `since` is the watermark the *next pass*
    starts from: an ISO instant taken from the owner's own answers (the core
    subtracts the manifest's overlap before using it), the owner's counter as
    text, or None where every pass is a full snapshot or saw nothing new. Only the
    last page's counts; None keeps the watermark where it was.
    """

    items: Sequence[Item]
    next: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing asked of a system. `record` is in our words, `body` in theirs.

    `key` is derived from the fact, stable over restarts and restores, and is
    what the other side should remember us by. `body` is what the outgoing
    mapping `mappings/<connector>/<kind>.yaml` made of the record, or None where
    there is no such file. `record` is one of core.model.COMMANDS.
    """

    key: str
    kind: str
    record: Any
    body: Json = None
    attempt: int = 1
    first_sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """It happened. `reference` is the other side's id; `already` if it had happened before.

    `counter` / `as_of`: the owner's stock order at acceptance, where it says so
    (evidence for a source of basis `available`).
    """

    reference: str
    already: bool = False
    counter: int | None = None
    as_of: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The quantity one listing should show. `shown` is what we believe it shows now; a
    channel that is told differences is told `change`, and is never asked without `shown`."""

    listing: str
    place: str
    sku: str
    quantity: int
    shown: int | None
    key: str
    extras: Mapping[str, str] = field(default_factory=dict)

    @property
    def change(self) -> int | None:
        return None if self.shown is None else self.quantity - self.shown


Outcome = Literal["accepted", "stale", "rejected", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferResult:
    """What became of one offer. `shown` is what the channel shows now, if it said so.

    stale: a conditional write compared and refused; the number was re-read into
    `shown`, and may even be the one we wanted.
    rejected: repeating cannot help; `words` are the channel's. unknown: not seen.
    A failure of the whole call is raised, not returned.
    """

    listing: str
    place: str
    outcome: Outcome
    shown: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A verified push: raw bytes, lower-case headers, the topic the manifest extracted."""

    topic: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a push means: an object changed. Without `item` it is a hint and is re-read."""

    resource: str
    external_id: str
    item: Item | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What `connect` receives: the door, and what the operator configured."""

    system: str
    api: Api
    settings: Mapping[str, str]
    manifest: Mapping[str, Any]  # the parsed manifest.yaml, for engines like http_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """One call before it is signed. `path` and `query` are as they go out; `token` is the access
    token, "" for the call that asks for one; `at` is the vendor's time."""

    method: str
    path: str
    query: str = field(repr=False)
    content: bytes | None = field(repr=False)
    token: str = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer means where its status does not say it.

    login: our token is refused, nothing happened. clock: the timestamp was, nothing happened.
    limited: not before `after_s` seconds, None if it did not say. retry: it did not happen.
    in_doubt: a write may have happened. gone: a person must authorize us again.
    """

    meaning: Literal["login", "clock", "limited", "retry", "in_doubt", "gone", "reject"]
    words: str = ""
    after_s: float | None = None


class Dialect(Protocol):
    """How one vendor signs each call and says no (manifest: `login: {kind: signed}`).

    Pure: no I/O, no clock, no state. It is asked at the moment a call leaves, so that a
    signature is never older than its call and always of the token in hand.
    """

    def sign(self, call: Unsigned) -> Mapping[str, str]:
        """What to add to the query."""

    def refresh(self, refresh_token: str) -> Json:
        """The JSON body that asks for new tokens; it is signed like any call."""

    def tokens(self, body: Json, at: datetime) -> Mapping[str, Json]:
        """`access_token`, `refresh_token`, `expires_in` (seconds) of an answer, as far as there."""

    def verdict(self, body: Json, at: datetime) -> Verdict | None:
        """What a decoded answer means for the call as such; None: for the connector to judge."""


class Reads(Protocol):
    async def read(self, resource: str, since: str | None, page: str | None) -> Page: ...


class Fetches(Protocol):
    async def fetch(self, resource: str, external_id: str) -> Item | None: ...


class Sends(Protocol):
    async def send(self, command: Command) -> Receipt: ...


class Finds(Protocol):
    async def find(self, command: Command) -> Receipt | None: ...


class Publishes(Protocol):
    async def publish(self, offers: Sequence[Offer]) -> Sequence[OfferResult]: ...


class Hears(Protocol):
    def events(self, push: Push) -> Sequence[Event]: ...
