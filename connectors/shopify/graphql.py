"""One GraphQL call: Shopify's 200 is not yet a success.

Failures come as top-level `errors` (throttle, access, syntax), as `userErrors`
inside a payload (business), or as a null where an object was deleted. This is
where they become our words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from connectors.shopify import forms
from connectors.shopify.documents import Document
from core.agreed import agreed_part, unlike
from core.contract import Answer, Api, Json
from core.errors import InDoubt, LoginNeeded, RateLimited, Rejected, Retry

BUDGET = "points"
#: Where the answer does not say how long: Shopify's own Retry-After is 2 seconds.
WAIT_S = 2.0
WAIT_S_MAX = 60.0
_NO_ACCESS = frozenset({"ACCESS_DENIED", "UNAUTHORIZED", "SHOP_INACTIVE"})
_THROTTLED = "THROTTLED"
#: How much of the vendor's words we carry.
WORDS_MAX = 300


class Graph:
    """Shopify's one endpoint, for one API version."""

    def __init__(self, api: Api, version: str) -> None:
        self._api = api
        self._path = f"/admin/api/{version}/graphql.json"

    async def ask(self, document: Document, variables: Mapping[str, Json]) -> dict[str, Any]:
        """The operation's `data`, or the error that says what the caller does next."""
        return self.data(document, await self.call(document, variables))

    async def call(self, document: Document, variables: Mapping[str, Json]) -> Answer:
        """The answer as it came, its cost told to the limiter, a throttle raised.

        The status of a throttle is not documented: 200 and 429 are both read
        here, because only the body says how long to wait.
        """
        answer = await self._api.call(
            "POST",
            self._path,
            json={
                "query": document.text,
                "operationName": document.name,
                "variables": dict(variables),
            },
            writes=document.writes,
            budget=BUDGET,
            cost=document.points,
            expect=frozenset({429}),
        )
        cost = _cost(answer.body)
        self._observe(cost)
        if answer.status == 429 or _THROTTLED in _codes(answer.body):
            raise RateLimited(
                f"Shopify throttled {document.name}", after_s=_wait(cost), status=answer.status
            )
        return answer

    @staticmethod
    def data(document: Document, answer: Answer) -> dict[str, Any]:
        """What the operation gave; an answer that is no success raises."""
        body = answer.body if isinstance(answer.body, dict) else {}
        data, errors = body.get("data"), _errors(body)
        if document.writes and errors and isinstance(data, dict) and any(data.values()):
            # A root field that is not null has run; only the reading of its answer broke.
            raise InDoubt(f"Shopify ran {document.name} and failed to say how it ended")
        if errors:
            _raise(document, errors)
        if not isinstance(data, dict):
            unclear = InDoubt if document.writes else Retry
            raise unclear(f"Shopify answered {document.name} with neither data nor errors")
        what = f"Shopify's {document.name}"
        agreed_part(data, document.gives, what, writes=document.writes, beside=answer)
        return data

    def _observe(self, cost: Mapping[str, Any]) -> None:
        bucket = _bucket(cost)
        if bucket is None:
            return
        self._api.observe(
            BUDGET,
            left=float(bucket["currentlyAvailable"]),
            per_second=float(bucket["restoreRate"]),
            size=float(bucket["maximumAvailable"]),
        )


def refuse(what: str, errors: Sequence[Mapping[str, Any]]) -> Rejected:
    """The owner's no, in its own words."""
    return Rejected(what, words=words_of(errors), status=200)


def words_of(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(str(error.get("message", "")) for error in errors)[:WORDS_MAX]


def _raise(document: Document, errors: Sequence[Mapping[str, Any]]) -> None:
    codes = _codes({"errors": errors})
    words = words_of(errors)
    if codes & _NO_ACCESS:
        raise LoginNeeded(f"Shopify denies {document.name}", words=words, status=200)
    if "INTERNAL_SERVER_ERROR" in codes:
        unclear = InDoubt if document.writes else Retry
        raise unclear(f"Shopify failed inside {document.name}", words=words, status=200)
    raise Rejected(f"Shopify refuses {document.name}", words=words, status=200)


def _errors(body: Json) -> list[dict[str, Any]]:
    """Top-level errors; some answers have one string in their place."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if isinstance(errors, str):
        return [{"message": errors}]
    if not isinstance(errors, list):
        return []
    return [error for error in errors if isinstance(error, dict)]


def _codes(body: Json) -> frozenset[str]:
    extensions = (error.get("extensions") for error in _errors(body))
    return frozenset(str(one.get("code")) for one in extensions if isinstance(one, dict))


def _cost(body: Json) -> dict[str, Any]:
    extensions = body.get("extensions") if isinstance(body, dict) else None
    cost = extensions.get("cost") if isinstance(extensions, dict) else None
    return cost if isinstance(cost, dict) else {}


def _bucket(cost: Mapping[str, Any]) -> forms.Bucket | None:
    """What is left to spend, where the answer says so in words we can count with."""
    bucket = cost.get("throttleStatus")
    return None if unlike(bucket, forms.Bucket) else cast(forms.Bucket, bucket)


def _wait(cost: Mapping[str, Any]) -> float:
    """(requested - available) / restoreRate: when the bucket can pay for this call."""
    bucket, wanted = _bucket(cost), cost.get("requestedQueryCost") or 0
    if bucket is None or not bucket["restoreRate"] or not isinstance(wanted, int | Decimal):
        return WAIT_S
    missing = float(wanted) - float(bucket["currentlyAvailable"])
    return min(WAIT_S_MAX, max(0.1, missing / float(bucket["restoreRate"])))
