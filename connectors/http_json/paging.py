"""Walks the pages of one list without remembering anything between two calls.

Where we are travels in the page token itself, so a pass survives a restart of
the daemon. A walk that does not move (the same page again, the same token
again) is ended or refused, never followed for ever.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urljoin, urlsplit

from connectors.http_json.plan import Paging
from connectors.http_json.pointing import at, text
from core.contract import Answer, Json
from core.errors import Retry

#: A pass of more pages than this is a loop, not a list.
PAGES_MAX = 100_000
_LINK_NEXT = re.compile(r'<([^<>]*)>[^,<]*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where a pass stands: what to ask for, and what it has seen."""

    at: str = ""  # page number, offset, token, path of a link, or watermark of a keyset
    mark: str | None = None  # the watermark so far
    seen: str = ""  # a digest of the page before
    pages: int = 0

    @classmethod
    def of(cls, token: str | None) -> Walk:
        if token is None:
            return cls()
        where, mark, seen, pages = json.loads(token)
        return cls(at=where, mark=mark, seen=seen, pages=pages)

    def token(self) -> str:
        return json.dumps([self.at, self.mark, self.seen, self.pages])


def params_of(paging: Paging, walk: Walk) -> dict[str, str]:
    """What asks for this page, beside the parameters of the list itself."""
    if paging.kind == "link" and walk.at:
        return {}
    asked = {paging.size_param: str(paging.size)} if paging.size_param and paging.size else {}
    if paging.kind == "page":
        asked[paging.param] = walk.at or str(paging.first)
    elif paging.kind == "offset":
        asked[paging.param] = walk.at or "0"
    elif paging.kind == "token" and walk.at:
        asked = {paging.param: walk.at} if paging.alone else {**asked, paging.param: walk.at}
    return asked


def step(
    paging: Paging, walk: Walk, answer: Answer, rows: Sequence[Json], *, base_url: str, path: str
) -> Walk | None:
    """The following page, or None after the last one. `path` is where this page came from."""
    where = _following(paging, walk, answer, rows)
    if where is None:
        return None
    if paging.kind == "link":
        where = same_origin(base_url, apart(walk.at)[0] if walk.at else path, where)
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
    if paging.kind in ("page", "offset") and rows and digest == walk.seen:
        # Asked beyond the end, some systems show the last page again (or always the first).
        return None
    if where == walk.at or walk.pages >= PAGES_MAX:
        raise Retry("the list does not move on", words=f"after page {walk.pages + 1}")
    return replace(walk, at=where, seen=digest, pages=walk.pages + 1)


def _following(paging: Paging, walk: Walk, answer: Answer, rows: Sequence[Json]) -> str | None:
    if paging.kind == "token":
        return text(at(answer.body, paging.path)) or None
    if paging.kind == "link":
        return _link(paging, answer)
    if paging.kind == "none" or len(rows) <= paging.repeat:
        return None
    if (paging.ends == "short_page" or paging.kind == "keyset") and len(rows) < paging.size:
        return None
    if paging.kind == "page":
        return str(int(walk.at or paging.first) + 1)
    if paging.kind == "offset":
        # By what came and not by what was asked: a server may cap the size of a page.
        return str(int(walk.at or 0) + len(rows) - paging.repeat)
    return walk.mark


def _link(paging: Paging, answer: Answer) -> str | None:
    if paging.path:
        return text(at(answer.body, paging.path)) or None
    match = _LINK_NEXT.search(answer.headers.get("link", ""))
    return match.group(1) if match else None


def same_origin(base_url: str, path: str, link: str) -> str:
    """The link as a path below the base URL. A link to anywhere else is not followed:
    our login would travel with it (T10)."""
    base = base_url.rstrip("/") or "http://here"
    home = urlsplit(base)
    whole = urlsplit(urljoin(f"{base}{path}", link))
    inside = whole.path.startswith(f"{home.path}/") and ".." not in whole.path.split("/")
    if (whole.scheme, whole.netloc) != (home.scheme, home.netloc) or not inside:
        raise Retry("the list's next page is not at this system", words=whole.hostname or "")
    below = whole.path[len(home.path) :]
    return f"{below}?{whole.query}" if whole.query else below


def apart(link: str) -> tuple[str, list[tuple[str, str]]]:
    """A link as path and parameters, the way the door wants them."""
    parts = urlsplit(link)
    return parts.path, parse_qsl(parts.query, keep_blank_values=True)
