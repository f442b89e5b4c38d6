"""Stock writes: rows out, one result per offer back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from connectors.http_json.answers import words
from connectors.http_json.instants import read
from connectors.http_json.plan import StockWrite
from connectors.http_json.pointing import Sources, at, filled, placed, text
from core.contract import Json, Offer, OfferResult, Outcome

_NAMES = tuple(Offer.__dataclass_fields__)
#: One call: what fills its path, its body, the offers it carries.
_Call = tuple[Sources, Json, Sequence[Offer]]


def written(
    writing: StockWrite, offers: Sequence[Offer], settings: Mapping[str, str]
) -> Iterator[_Call]:
    """The calls that tell these offers; a difference of nothing is not told."""
    if writing.relative:
        offers = [offer for offer in offers if offer.change]
        if not offers:
            return
    if not writing.rows:
        for offer in offers:
            sources = _fields(offer, settings)
            yield sources, filled(writing.row, sources), [offer]
        return
    rows = [filled(writing.row, _fields(offer, settings)) for offer in offers]
    body = rows if writing.rows == "." else placed(writing.rows, rows)
    yield {"settings": settings}, body, offers


def untold(writing: StockWrite, offers: Sequence[Offer]) -> list[OfferResult]:
    """What is there already."""
    if not writing.relative:
        return []
    return [_result(offer, "accepted", offer.shown) for offer in offers if offer.change == 0]


def judged(writing: StockWrite, offers: Sequence[Offer], body: Json) -> list[OfferResult]:
    """What became of each offer. One the answer does not mention is unknown, not fine."""
    if not writing.results:
        shown = _count(body, writing.shown) if len(offers) == 1 else None
        return [_result(offer, "accepted", shown) for offer in offers]
    rows = at(body, writing.results)
    said: dict[tuple[str | None, ...], Json] = {}
    for row in rows if isinstance(rows, list) else []:
        said[tuple(text(at(row, path)) for path, _ in writing.by)] = row
    results = []
    for offer in offers:
        row = said.get(tuple(text(getattr(offer, field)) for _, field in writing.by))
        results.append(_judged(writing, offer, row))
    return results


def _judged(writing: StockWrite, offer: Offer, row: Json) -> OfferResult:
    assert writing.accepted is not None
    if row is None:
        return _result(offer, "unknown", None, "the answer does not mention it")
    shown = _count(row, writing.shown)
    if writing.accepted.holds(200, row):
        return _result(offer, "accepted", shown)
    if writing.stale is not None and writing.stale.holds(200, row):
        return _result(offer, "stale", shown)
    return _result(offer, "rejected", shown, words(row, writing.words))


def _result(offer: Offer, outcome: Outcome, shown: int | None, said: str = "") -> OfferResult:
    return OfferResult(
        listing=offer.listing, place=offer.place, outcome=outcome, shown=shown, words=said
    )


def _count(row: Json, path: str) -> int | None:
    counted = read(at(row, path), "counter") if path else None
    return None if counted is None else int(counted)


def _fields(offer: Offer, settings: Mapping[str, str]) -> Sources:
    named = {name: getattr(offer, name) for name in _NAMES}
    return {"settings": settings, **named, "change": offer.change}
