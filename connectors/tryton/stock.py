"""How many units are in the house, per warehouse: bins summed, picked parcels included.

Two silences of Tryton decide this file. Without `locations` in the context a quantity is
0.0, not an error; with two locations and no `with_childs` the bins below them are left
out, and it is 0.0 again. The day is left to the server: ours may be another one there.
"""

from __future__ import annotations

from connectors.tryton import feed
from connectors.tryton.facts import Facts
from connectors.tryton.rest import Domain
from connectors.tryton.values import units
from core.contract import Item, Page


async def readings(facts: Facts, page: str | None) -> Page:
    """Every item at every warehouse; a pass is the whole truth of each.

    There is no honest counter in Tryton (moves are numbered when planned, not when done),
    so a reading is ordered by when it was asked for: the same database answers, and a
    reading begun after a shipment was seen done excludes it.
    """
    known = await facts.warehouses()
    word = facts.settings.get("warehouse", "")
    houses = [one for one in known if word in ("", one.word, one.name)]
    place = feed.Place.of(page)
    house = houses[place.stage]
    domain: Domain = [["type", "=", "goods"], ["code", "!=", None]]
    found, place = await feed.rows(
        facts.rest,
        "product.product",
        domain,
        ("code", "quantity"),
        place,
        locations=list(house.inside),
        with_childs=True,
    )
    items = [
        Item(
            external_id=f"{row['id']}@{house.id}",
            body={
                "code": row["code"],
                "warehouse": house.word,
                "quantity": units(row["quantity"]),
            },
        )
        for row in found
    ]
    return Page(items=items, next=feed.following(found, place, len(houses)))
