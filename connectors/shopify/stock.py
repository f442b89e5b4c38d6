"""Writing what Shopify shows: compare-and-set, up to 250 lines a call, all or nothing.

The whole call fails when one line is refused, so the lines it blames are judged
and taken out, and the innocent rest is sent again within the same publication.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopify.documents import LEVELS_AT, QUANTITIES_MAX, SET_QUANTITIES
from connectors.shopify.graphql import Graph, refuse, words_of
from core.contract import Offer, OfferResult
from core.errors import Retry

#: Calls for one batch. Each takes at least one line out, or halves the batch; a
#: batch that needs more has something wrong with all of it, and waits a turn.
CALLS_MAX = 24

_STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})

Errors = Sequence[Mapping[str, Any]]


class Stock:
    """One publication. Not shared between calls."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._calls_left = CALLS_MAX

    async def publish(self, offers: Sequence[Offer]) -> list[OfferResult]:
        # A pair may occur once in a call; of two offers for it the later is the newer.
        newest = list({(offer.listing, offer.place): offer for offer in offers}.values())
        results: list[OfferResult] = []
        for start in range(0, len(newest), QUANTITIES_MAX):
            self._calls_left = CALLS_MAX
            batch = newest[start : start + QUANTITIES_MAX]
            results += await self._publish(batch)
        return results

    async def _publish(self, batch: Sequence[Offer]) -> list[OfferResult]:
        """Send, take out who was blamed, send the rest, until nothing is left or refused."""
        results: list[OfferResult] = []
        while batch:
            errors = await self._set(batch)
            if not errors:
                return results + [_accepted(offer, offer.quantity) for offer in batch]
            blamed = _blame(errors, len(batch))
            if not blamed and len(batch) > 1:
                middle = len(batch) // 2
                results += await self._publish(batch[:middle])
                results += await self._publish(batch[middle:])
                return results
            if not blamed:
                blamed = {0: list(errors)}
            results += await self._judge([(batch[index], blamed[index]) for index in blamed])
            batch = [offer for index, offer in enumerate(batch) if index not in blamed]
        return results

    async def _set(self, batch: Sequence[Offer]) -> Errors:
        """One call; the errors of its lines, none when it was accepted.

        A call that failed before under the same key was never executed and asks
        for a new one: the suffix counts up. A call with another content has
        another key, because the key is made of the content.
        """
        root = _key(batch)
        for generation in range(1, CALLS_MAX + 1):
            if self._calls_left == 0:
                break
            self._calls_left -= 1
            key = root if generation == 1 else f"{root}-{generation}"
            data = await self._graph.ask(SET_QUANTITIES, {"key": key, "input": _input(batch, key)})
            errors: Errors = data["inventorySetQuantities"]["userErrors"]
            codes = {error.get("code") for error in errors}
            if "IDEMPOTENCY_CONCURRENT_REQUEST" in codes:
                raise Retry("Shopify still works on the same stock write", words=words_of(errors))
            if "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" in codes:
                raise refuse("Shopify knows our key with other quantities", errors)
            if "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" not in codes:
                return errors
        raise Retry("Shopify refused this stock write line after line; the rest waits a turn")

    async def _judge(self, blamed: Sequence[tuple[Offer, Errors]]) -> list[OfferResult]:
        """Refused for good, or lost a race: then what is there now decides."""
        shown = await self._shown([offer for offer, errors in blamed if _only_stale(errors)])
        return [_verdict(offer, errors, shown) for offer, errors in blamed]

    async def _shown(self, offers: Sequence[Offer]) -> dict[tuple[str, str], int]:
        """What Shopify shows now, by (listing, place); absent where it is not stocked."""
        shown: dict[tuple[str, str], int] = {}
        for place in sorted({offer.place for offer in offers}):
            ids = [offer.listing for offer in offers if offer.place == place]
            data = await self._graph.ask(LEVELS_AT, {"ids": ids, "location": place})
            for item in data["nodes"]:
                if item and item.get("inventoryLevel"):
                    shown[(item["id"], place)] = available(item["inventoryLevel"])
        return shown


def available(level: Mapping[str, Any]) -> int:
    for one in level["quantities"]:
        if one["name"] == "available":
            return int(one["quantity"])
    raise Retry("Shopify does not say how much is available where we asked for it")


def _verdict(offer: Offer, errors: Errors, shown: Mapping[tuple[str, str], int]) -> OfferResult:
    if not _only_stale(errors):
        return OfferResult(
            listing=offer.listing,
            place=offer.place,
            outcome="rejected",
            words=words_of([error for error in errors if error.get("code") not in _STALE]),
        )
    # An identical retry after success comes back as stale too: then `now` is our number. But so
    # it is where the channel sold just as many units as we took away, and what it sold still
    # comes: only who divides a pool minds the difference, so it is not hidden here.
    now = shown.get((offer.listing, offer.place))
    return OfferResult(
        listing=offer.listing,
        place=offer.place,
        outcome="stale" if now is not None else "rejected",
        shown=now,
        words=words_of(errors) if now is not None else "not stocked at this location any more",
    )


def _accepted(offer: Offer, shown: int) -> OfferResult:
    return OfferResult(listing=offer.listing, place=offer.place, outcome="accepted", shown=shown)


def _only_stale(errors: Errors) -> bool:
    return all(error.get("code") in _STALE for error in errors)


def _blame(errors: Errors, size: int) -> dict[int, list[Mapping[str, Any]]]:
    """Errors by line: `field` is ["input", "quantities", "3", "changeFromQuantity"].

    One that names another part of the input is no line's fault: the call is wrong.
    One that names nothing blames nobody, and the batch is halved.
    """
    blamed: dict[int, list[Mapping[str, Any]]] = {}
    for error in errors:
        path = [str(part) for part in error.get("field") or ()]
        numbers = [int(part) for part in path if part.isdigit()]
        if numbers and numbers[0] < size:
            blamed.setdefault(numbers[0], []).append(error)
        elif path and "quantities" not in path:
            raise refuse("Shopify refuses every line of a stock write", errors)
    return blamed


def _key(batch: Sequence[Offer]) -> str:
    """From what is asked, never random: the same write after a restore has the same key."""
    digest = hashlib.sha256()
    for offer in batch:
        digest.update(
            f"{offer.key}|{offer.listing}|{offer.place}|{offer.quantity}|{offer.shown}\n".encode()
        )
    return f"truecount-{digest.hexdigest()[:32]}"


def _input(batch: Sequence[Offer], key: str) -> dict[str, Any]:
    return {
        "name": "available",
        "reason": "correction",
        "referenceDocumentUri": f"truecount://publish/{key}",
        "quantities": [
            {
                "inventoryItemId": offer.listing,
                "locationId": offer.place,
                "quantity": offer.quantity,
                # Present even where it is null: absent is refused at run time since 2026-04.
                "changeFromQuantity": offer.shown,
            }
            for offer in batch
        ],
    }
