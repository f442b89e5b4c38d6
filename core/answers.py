"""What an answer means: the default table of docs/connectors.md, and a manifest's exceptions.

Pure. It says *happened, did not happen, unknown* instead of a status, finds the
system's own words for an operator, and reads Retry-After.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from core.contract import Json
from core.seal import scrub
from core.strict import Malformed, load_json

Meaning = Literal["fine", "retry", "reject", "in_doubt", "login"]
#: hard: nobody is there. soft: it answered that it is broken. "": it is alive (core/breaker.py).
Gone = Literal["", "soft", "hard"]

WORDS_MAX = 300
RETRY_AFTER_MIN_S = 1.0
RETRY_AFTER_MAX_S = 3600.0
_LATER = frozenset([408, 425, 429, 503])
_NOBODY = frozenset([502, 503, 504])
_SCANNED_MAX = 64 * 1024
_ERRORS_MAX = 3
#: Where vendors put what they want to say, the most telling first.
_WORDS = (
    "errors error message detail details error_description error_message description reason"
    " title code"
)
_TITLE = re.compile(rb"<title[^>]{0,100}>([^<]{1,300})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """`limited`: stop calling for a while; `after_s`: for how long, if the system said so."""

    meaning: Meaning
    gone: Gone = ""
    limited: bool = False
    after_s: float | None = None


def sort_status(
    status: int,
    headers: Mapping[str, str],
    *,
    writes: bool,
    now: datetime,
    exceptions: Mapping[int, str],
) -> Sorted:
    """The table. `exceptions` are a manifest's own: {423: "retry"} (H25)."""
    meaning = _meaning(exceptions[status]) if status in exceptions else _default(status)
    if meaning == "in_doubt" and not writes:
        meaning = "retry"  # a read that may have happened has harmed nobody
    if meaning not in ("retry", "in_doubt"):
        return Sorted(meaning=meaning)
    after_s = retry_after_s(headers, now)
    said = after_s is not None and meaning == "retry"
    return Sorted(
        meaning=meaning,
        gone=_gone(status),
        limited=said or (status == 429 and meaning == "retry"),
        after_s=after_s,
    )


def _meaning(word: str) -> Meaning:
    match word:
        case "retry" | "reject" | "in_doubt" | "login":
            return word
    raise ValueError(f"{word!r} is not a meaning of an answer")


def _default(status: int) -> Meaning:
    if 200 <= status < 300:
        return "fine"
    if status == 401:
        return "login"
    if status in _LATER:
        return "retry"
    # A redirect is never followed: it would carry our login elsewhere (T10, T11).
    return "reject" if 300 <= status < 500 else "in_doubt"


def _gone(status: int) -> Gone:
    if status in _NOBODY:
        return "hard"
    return "soft" if status >= 500 else ""


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds from now, at most an hour; None where it is absent or unreadable (H29).

    A date is compared with the answer's own Date: two readings of one clock (G18).
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        seconds = float(text)
    else:
        then = http_date(text)
        if then is None:
            return None
        seconds = (then - (http_date(headers.get("date", "")) or now)).total_seconds()
    return max(RETRY_AFTER_MIN_S, min(seconds, RETRY_AFTER_MAX_S))


def http_date(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def words_of(content: bytes) -> str:
    """The system's own words, cut and scrubbed (T13); "" where it has none."""
    content = content[:_SCANNED_MAX]
    try:
        text = "; ".join(dict.fromkeys(_said(load_json(content), depth=0)))
    except Malformed:
        text = _plain(content)
    # Scrubbed before it is cut: half a secret would not be recognized.
    return " ".join(scrub(text).split())[:WORDS_MAX]


def words_in(body: Json) -> str:
    """The same for a decoded body, for a connector whose vendor says no inside a 200 (H47)."""
    return " ".join(scrub("; ".join(dict.fromkeys(_said(body, depth=0)))).split())[:WORDS_MAX]


def _plain(content: bytes) -> str:
    if content.lstrip()[:1] in (b"<", b"\xef"):
        title = _TITLE.search(content)
        return title.group(1).decode("utf-8", "replace").strip() if title else "HTML"
    if content.lstrip()[:1] in (b"{", b"["):
        return ""  # broken or cut JSON: it may hold anything
    return content[: WORDS_MAX * 4].decode("utf-8", "replace")


def _said(body: Json, *, depth: int) -> Iterator[str]:
    """Walk only down keys that carry errors: everything else may hold a buyer."""
    if depth > 4:
        return
    if isinstance(body, str):
        yield body
    elif isinstance(body, list):
        for one in body[:_ERRORS_MAX]:
            yield from _said(one, depth=depth + 1)
    elif isinstance(body, dict):
        known = [key for key in _WORDS.split() if body.get(key)]
        for key in known:
            yield from _said(body[key], depth=depth + 1)
        if not known and depth:
            # {"errors": {"quantity": ["must be positive"]}}: the keys are field names.
            for key, value in list(body.items())[:_ERRORS_MAX]:
                yield from (f"{key}: {text}" for text in _said(value, depth=depth + 1))
