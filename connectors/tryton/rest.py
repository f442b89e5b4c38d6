"""Tryton's REST face: search, read, create, write, press a button.

Series 8 has it built in; a user application key opens it. Everything Truecount
needs goes through it. JSON-RPC would be needed for wizards only (returns), and wants
a password session instead of a key.

The server does not apply the key owner's preferences: without `company` in the
context prices come back null and shipping fails, so every call carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.tryton.values import Row, decode, encode, packed
from core.contract import Answer, Api
from core.errors import Rejected

Domain = list[Any]
#: One search answers at most this many; what may be more is read in pages.
SEARCH_MAX = 1000
_MISSING = frozenset({404})


class Rest:
    """`context` goes with every call; `company` is filled in once it is known."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.context: dict[str, Any] = {}

    async def search(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        *,
        limit: int = SEARCH_MAX,
        context: Mapping[str, Any] | None = None,
    ) -> list[Row]:
        """Rows in the order of their ids: a page boundary must not move under us."""
        rows, _ = await self.search_dated(model, domain, fields, limit=limit, context=context)
        return rows

    async def search_dated(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        *,
        limit: int,
        context: Mapping[str, Any] | None = None,
    ) -> tuple[list[Row], str]:
        """The same, and the `Date` header: what the owner's clock said when it answered."""
        params = [("d", packed(domain)), ("o", packed([["id", "ASC"]])), ("s", str(limit))]
        answer = await self._api.call(
            "GET",
            f"/rest/model/{model}",
            params=[*params, *_fields(fields)],
            headers=self._headers(context),
        )
        return list(decode(answer.body)), answer.headers.get("date", "")

    async def only(self, model: str, domain: Domain, fields: Sequence[str], what: str) -> Row:
        """The one row that matches; none or two is for a person, with `what` in the words."""
        rows = await self.search(model, domain, fields, limit=2)
        if len(rows) != 1:
            raise Rejected(f"Tryton has {'no' if not rows else 'more than one'} {what}")
        return rows[0]

    async def get(self, model: str, record: int, fields: Sequence[str]) -> Row | None:
        answer = await self._api.call(
            "GET",
            f"/rest/model/{model}/{record}",
            params=_fields(fields),
            headers=self._headers(),
            expect=_MISSING,
        )
        return None if answer.status == 404 else _row(answer)

    async def create(self, model: str, values: Mapping[str, Any], fields: Sequence[str]) -> Row:
        return await self._write("POST", f"/rest/model/{model}", values, fields)

    async def update(
        self, model: str, record: int, values: Mapping[str, Any], fields: Sequence[str] = ("id",)
    ) -> Row:
        return await self._write("PUT", f"/rest/model/{model}/{record}", values, fields)

    async def press(
        self,
        model: str,
        record: int,
        button: str,
        fields: Sequence[str] = ("id",),
        *,
        context: Mapping[str, Any] | None = None,
    ) -> Row:
        """Press a button of the form: `quote`, `pick`, `post`. Runs in one transaction."""
        path = f"/rest/model/{model}/{record}/{button}"
        return await self._write("POST", path, {}, fields, context)

    async def delete(self, model: str, record: int) -> None:
        """Gone already is gone."""
        await self._api.call(
            "DELETE",
            f"/rest/model/{model}/{record}",
            headers=self._headers(),
            writes=True,
            expect=_MISSING,
        )

    async def _write(
        self,
        method: str,
        path: str,
        values: Mapping[str, Any],
        fields: Sequence[str],
        context: Mapping[str, Any] | None = None,
    ) -> Row:
        answer = await self._api.call(
            method,
            path,
            params=_fields(fields),
            json=encode(values),
            headers=self._headers(context),
            writes=True,
        )
        return _row(answer)

    def _headers(self, context: Mapping[str, Any] | None = None) -> dict[str, str]:
        return {"X-Tryton-Context": packed({**self.context, **(context or {})})}


def _fields(names: Iterable[str]) -> list[tuple[str, str]]:
    return [("f", name) for name in names]


def _row(answer: Answer) -> Row:
    """204: done, but the user may not read it back. A button may answer with another type."""
    body = decode(answer.body)
    return body if isinstance(body, dict) else {}
