"""Offers, judged by the pool of their moment (G8).

A call keeps after which step its quantities were computed (`position`), so the
past folded up to that step gives the pool they were drawn from. What else it
keeps of an offer is checked too:

    pool     the units of the locations that serve the listing; of a kit only this can be judged
    beyond   units of a pre-order, beyond any pool
    because  why it is not simply the whole pool; "" if it is
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, func, literal, select

from core.history import Past
from core.network import TRUECOUNT
from core.proof import Finding, Proof
from core.store.schema import told

_CHUNK = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """One quantity of one call, and the terms it was computed from, as far as they were kept."""

    sku: str
    position: int
    call: int
    system: str
    at: str
    said: Mapping[str, Any]


def offers(connection: Connection, proof: Proof) -> Iterator[Offered]:
    """Every quantity that left, by SKU and by the step it was computed after."""
    each = func.json_each(told.c.offers).table_valued("value")
    sku = func.json_extract(each.c.value, "$.sku").label("sku")
    columns = (told.c.id, told.c.system, told.c.began_at, told.c.position)
    rows = connection.execute(
        select(*columns, sku, each.c.value.label("said"))
        .select_from(told)
        .join(each, literal(value=True))
        .where(told.c.began_at > (proof.since or ""))
        .order_by(sku, told.c.position, told.c.id)
        .execution_options(yield_per=_CHUNK)
    )
    for row in rows:
        proof.offers += 1
        if row.position is None:
            proof.not_judged += 1
            continue
        yield Offered(
            sku=row.sku,
            position=row.position,
            call=row.id,
            system=row.system,
            at=row.began_at,
            said=orjson.loads(row.said),
        )


def judge(proof: Proof, past: Past, offer: Offered) -> None:
    """Never above the pool of its moment, and where its terms were kept exactly what they give."""
    said, kept = offer.said, offer.said.get("pool")
    if past.network.needs(past.sku) == {past.sku: 1}:
        pool = max(0, past.pool(offer.system, said["place"]))
    elif kept is not None:
        pool = max(0, kept)
    else:  # a kit's components are other SKUs
        proof.not_judged += 1
        return
    drawn = said["quantity"] - (said.get("beyond") or 0)
    told_it = f"{offer.system} was told {said['quantity']} of {past.sku}"
    if drawn > pool:
        _find(proof, offer, f"{told_it}, and its pool was {pool}")
    elif kept is not None and max(0, kept) != pool:
        _find(proof, offer, f"{told_it} from a pool of {kept}, and that was {pool}")
    elif said.get("because") == "" and drawn != pool:
        _find(proof, offer, f"{told_it}, which was to be the whole pool of {pool}")


def _find(proof: Proof, offer: Offered, says: str) -> None:
    ref = f"call {offer.call} {offer.sku} {offer.said.get('listing')} {offer.said['place']}"
    proof.find(
        Finding(
            what="offer", ref=ref.rstrip(), at=offer.at, who=TRUECOUNT, should=TRUECOUNT, says=says
        )
    )
