"""What goes out and what is due back: the URL, the body, the answer's decoding. Pure.

A path comes from a connector, and sometimes from a page of the other system
(`next`), so it is looked at before it becomes a URL (T10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from core.contract import Json
from core.errors import InvariantBroken, Rejected
from core.seal import scrub
from core.strict import Malformed, dump_json, load_json
from core.wire import Raw

Params = Mapping[str, str] | Sequence[tuple[str, str]] | None
Due = Literal["json", "text", "bytes"]

#: A part of a path that is an id: three digits or more, very long, or escaped.
_ID = re.compile(r"(?=.*\d.*\d.*\d).{4,}|.{25,}|.*[%@:].*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call as it will go out. Prints no secret and no query (T13)."""

    method: str
    url: str = field(repr=False)
    content: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    writes: bool
    budget: str
    cost: float
    expect: frozenset[int]
    due: Due

    @property
    def where(self) -> str:
        """`POST /orders`, for people."""
        return scrub(f"{self.method} {urlsplit(self.url).path}")

    @property
    def template(self) -> str:
        """`/orders/5512345/lines` is `/orders/{}/lines`: few metrics, and no ids in them."""
        parts = urlsplit(self.url).path.split("/")
        return "/".join("{}" if _ID.fullmatch(part) else part for part in parts)


def url_below(base: str, path: str, params: Params, *, system: str) -> str:
    """Below the base URL, or a link of the same origin. Anything else is refused (T10)."""
    ours = urlsplit(base)
    absolute = "://" in path.partition("?")[0] or path.startswith("//")
    below = f"{base}/{path.lstrip('/')}" if path else base
    url = path if absolute else below
    try:
        parts = urlsplit(url)
        same = (parts.scheme, parts.hostname, _port(parts)) == (
            ours.scheme,
            ours.hostname,
            _port(ours),
        )
    except ValueError:
        same = False
    if not same or "@" in parts.netloc:
        raise Rejected(f"{system} named a link to another host; it was not followed")
    crooked = any(ord(letter) <= 32 or letter == "\\" for letter in url)
    if crooked or {"..", "."} & set(unquote(parts.path).split("/")):
        raise Rejected(f"a path for {system} has parts that do not belong there")
    url = url.partition("#")[0]
    query = urlencode(params, quote_via=quote) if params else ""
    return f"{url}{'&' if parts.query else '?'}{query}" if query else url


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def body_of(
    json: Json, form: Mapping[str, str] | None, raw: bytes | None
) -> tuple[bytes | None, Mapping[str, str]]:
    if sum(one is not None for one in (json, form, raw)) > 1:
        raise InvariantBroken("a call has one body: json, form or raw")
    if json is not None:
        return dump_json(json), {"content-type": "application/json"}
    if form is not None:
        kind = "application/x-www-form-urlencoded"
        return urlencode(form).encode(), {"content-type": kind}
    return raw, {}


def decode(ask: Ask, raw: Raw) -> Json:
    if ask.due == "bytes":
        return raw.content
    if ask.due == "text":
        return _text(raw)
    return load_json(raw.content) if raw.content.strip() else None


def _text(raw: Raw) -> str:
    """In the charset it says, which must be one Python knows; UTF-8 otherwise."""
    match = re.search(r"charset=\"?([\w.-]+)", raw.headers.get("content-type", ""))
    try:
        return raw.content.decode(match.group(1) if match else "utf-8-sig")
    except (LookupError, UnicodeDecodeError):
        pass
    raise Malformed("text in an encoding it does not have")


def lenient(ask: Ask, raw: Raw) -> Json:
    """An expected refusal counts by its status; its page may be anything."""
    try:
        return decode(ask, raw)
    except Malformed:
        return raw.content.decode("utf-8", "replace")
