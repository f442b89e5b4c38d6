"""What was said in one attempt, for whoever has to read why it was refused.

The door tells, whoever listens around a call keeps it: path, body and answer, never a
header, a query or a secret. It holds a buyer, so it is kept sealed and forgotten on time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from core.request import Ask
from core.seal import without_secrets
from core.strict import dump_json, load_json
from core.wire import Lost, Raw

#: Of a body so much is kept, and of a long conversation its end.
BYTES_MAX = 16 * 1024
EXCHANGES_MAX = 8

_listening: ContextVar[list[Exchange] | None] = ContextVar("exchanges", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call and its answer. `status` 0: none was seen, `answer` says why."""

    method: str
    path: str
    sent: str
    status: int
    answer: str


@contextmanager
def listening() -> Iterator[list[Exchange]]:
    """All that is said to the system inside, also by tasks that begin there."""
    heard: list[Exchange] = []
    token = _listening.set(heard)
    try:
        yield heard
    finally:
        _listening.reset(token)


def tell(ask: Ask, outcome: Raw | Lost) -> None:
    """For the door: this was said, and that came back."""
    heard = _listening.get()
    if heard is None:
        return
    if isinstance(outcome, Lost):
        status, answer = 0, outcome.why
    else:
        status, answer = outcome.status, _text(outcome.content)
    path, sent = urlsplit(ask.url).path, _text(ask.content or b"")
    heard.append(Exchange(method=ask.method, path=path, sent=sent, status=status, answer=answer))
    del heard[:-EXCHANGES_MAX]


def to_bytes(heard: Sequence[Exchange]) -> bytes:
    return dump_json([asdict(one) for one in heard])


def from_bytes(kept: bytes) -> list[Exchange]:
    return [Exchange(**one) for one in load_json(kept)]


def aad(attempt_id: int) -> bytes:
    """What ties it to its attempt when it is sealed."""
    return f"attempt:{attempt_id}".encode()


def _text(body: bytes) -> str:
    return without_secrets(body[:BYTES_MAX].decode(errors="replace"))
