"""Telling Shopee how much there is: one item a call, all its models' warehouses in it.

A warehouse that is left out makes Shopee refuse the call, so what nobody asked about is sent
back as it was just read. And a number below what a promotion holds is refused: then the least
that Shopee takes is written, and the offer is refused with that number, for a person to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.shopee import forms
from connectors.shopee.calls import Calls, Refusal
from connectors.shopee.listings import Listings, places_of, reserved_of
from core.contract import Offer, OfferResult, Outcome
from core.errors import ConnectorError, InDoubt, Rejected

#: What one call takes.
_MODELS = 50


@dataclass(slots=True)
class _Model:
    """Offers of one model by warehouse, and the numbers that go into the call."""

    model: int
    offers: dict[str, Offer] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def row(self, *, alone: bool) -> dict[str, Any]:
        stock = [
            {"location_id": place, "stock": number} if place else {"stock": number}
            for place, number in self.numbers.items()
        ]
        return {"seller_stock": stock} if alone else {"model_id": self.model, "seller_stock": stock}


class Stock:
    def __init__(self, calls: Calls, listings: Listings) -> None:
        self._calls = calls
        self._listings = listings

    async def publish(self, offers: Sequence[Offer]) -> list[OfferResult]:
        """One call per item: a failure is that item's, and must not unsay what was answered.

        This is why errors are caught here and nowhere else. Offers after a failure that is
        not a refusal are left out of the results: they were not sent.
        """
        results: list[OfferResult] = []
        for item, models in _by_item(offers):
            try:
                results += await self._item(item, models)
            except Rejected as refusal:
                results += _all(models, "rejected", refusal.words or refusal.what)
            except ConnectorError as failure:
                if not results:
                    raise
                if isinstance(failure, InDoubt):
                    results += _all(models, "unknown", failure.words)
                break
        return results

    async def _item(self, item: int, models: Sequence[_Model]) -> list[OfferResult]:
        if not all(map(_names_every_place, models)):
            self._fill(models, await self._now(item))
        told = await self._write(item, models)
        if isinstance(told, Refusal) and len(models) > 1:
            # Refused whole, for the sake of one: the others are told alone.
            return [one for model in models for one in await self._item(item, [model])]
        if isinstance(told, Refusal):
            refused = {model.model: told.words for model in models}
            taken: dict[tuple[int, str], int | None] = {}
        else:
            refused, taken = told
        held = [model for model in models if model.model in refused]
        shown = await self._at_least(item, held) if held else {}
        return [
            _judged(model, place, offer, refused, taken, shown)
            for model in models
            for place, offer in model.offers.items()
        ]

    async def _write(
        self, item: int, models: Sequence[_Model]
    ) -> Refusal | tuple[dict[int, str], dict[tuple[int, str], int | None]]:
        """Why models were refused, and which number each place was seen to take."""
        alone = models[0].model == 0
        body = {"item_id": item, "stock_list": [model.row(alone=alone) for model in models]}
        answer = await self._calls.tell("product/update_stock", body)
        if isinstance(answer, Refusal):
            return answer
        found = self._calls.written("product/update_stock", answer, forms.StockWritten)
        refused = {
            row.get("model_id") or 0: row.get("failed_reason") or "no reason given"
            for row in found.get("failure_list") or []
        }
        taken = {
            (row.get("model_id") or 0, row.get("location_id") or ""): row.get("stock")
            for row in found.get("success_list") or []
        }
        return refused, taken

    async def _now(self, item: int) -> dict[int, Any]:
        info = await self._listings.info(item)
        if info is None:
            raise Rejected("Shopee has no such item", words=f"item {item} was deleted there")
        return {model["model_id"]: model for model in await self._listings.models(info)}

    def _fill(self, models: Sequence[_Model], known: Mapping[int, Any]) -> None:
        """What Shopee has elsewhere goes with the call as it is."""
        for model in models:
            for place in places_of(known.get(model.model, {})):
                model.numbers.setdefault(place.get("location_id") or "", place["stock"])

    async def _at_least(
        self, item: int, models: Sequence[_Model]
    ) -> dict[tuple[int, str], tuple[int, int]]:
        """(shown, reserved) of refused models by place, once the least Shopee takes was tried."""
        known = await self._now(item)
        floors = []
        for model in models:
            now = known.get(model.model, {})
            lacking = reserved_of(now) - sum(model.numbers.values())
            if lacking > 0:
                # Where most of them are; to which warehouse a promotion holds, Shopee does not say.
                places = {p.get("location_id") or "": p["stock"] for p in places_of(now)}
                most = max(model.numbers, key=lambda place: places.get(place, 0))
                raised = {**model.numbers, most: model.numbers[most] + lacking}
                floors.append(_Model(model.model, model.offers, raised))
        if floors and not isinstance(await self._write(item, floors), Refusal):
            known = await self._now(item)
        return {
            (model.model, place.get("location_id") or ""): (place["stock"], reserved_of(now))
            for model in models
            if (now := known.get(model.model))
            for place in places_of(now)
        }


def _by_item(offers: Iterable[Offer]) -> list[tuple[int, list[_Model]]]:
    """In the order they came, lower numbers first: an item is told with its first."""
    items: dict[int, dict[int, _Model]] = {}
    for offer in offers:
        item, _, model = offer.listing.partition(".")
        models = items.setdefault(int(item), {})
        one = models.setdefault(int(model or 0), _Model(int(model or 0)))
        one.offers[offer.place] = offer
        one.numbers[offer.place] = offer.quantity
    found = []
    for number, models in items.items():
        rows = list(models.values())
        found += [(number, rows[at : at + _MODELS]) for at in range(0, len(rows), _MODELS)]
    return found


def _names_every_place(model: _Model) -> bool:
    """As far as the last walk over the listings knew."""
    return all(
        set(offer.extras.get("locations", "?").split()) <= model.offers.keys()
        for offer in model.offers.values()
    )


def _judged(
    model: _Model,
    place: str,
    offer: Offer,
    refused: Mapping[int, str],
    taken: Mapping[tuple[int, str], int | None],
    shown: Mapping[tuple[int, str], tuple[int, int]],
) -> OfferResult:
    key = (model.model, place)
    if model.model in refused:
        words = refused[model.model]
        now, reserved = shown.get(key, (None, 0))
        if reserved and now is not None:
            words = f"{words}; {reserved} are held by a promotion, {now} are shown"
        return _result(offer, "rejected", words, now)
    if key in taken:
        number = taken[key]
        if number is not None and number != offer.quantity:
            return _result(offer, "stale", "Shopee took another number", number)
        return _result(offer, "accepted")
    if not place and any(one == model.model for one, _ in taken):
        return _result(offer, "accepted")
    return _result(offer, "unknown", "Shopee says neither yes nor no to this row")


def _result(
    offer: Offer, outcome: Outcome, words: str = "", shown: int | None = None
) -> OfferResult:
    return OfferResult(
        listing=offer.listing, place=offer.place, outcome=outcome, words=words, shown=shown
    )


def _all(models: Sequence[_Model], outcome: Outcome, words: str) -> list[OfferResult]:
    return [_result(offer, outcome, words) for model in models for offer in model.offers.values()]
