"""The ledger's side of a parcel: the warehouse says what left, Tryton's own copy follows.

Our reference is stored on the shipment before anything moves, in the same write that
sets the quantities, so a lost answer is carried on from the shipment's state and never
starts a second delivery. What did not leave stays open: processing the sale makes the
remaining shipment by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.tryton import sale as sales
from connectors.tryton.facts import Facts
from connectors.tryton.values import Row, units
from core.contract import Receipt
from core.errors import Rejected
from core.model import BookShipment, QuantityLine

SHIPMENT = "stock.shipment.out"
_MOVES = ("product.code", "product.id", "quantity", "state", "origin")
FIELDS = ("number", "reference", "state", *(f"outgoing_moves.{name}" for name in _MOVES))
OPEN = ("draft", "waiting", "assigned", "picked", "packed", "shipped")
#: The button that leads on. Assigning is apart: it may need force.
_NEXT = {"draft": "wait", "assigned": "pick", "picked": "pack", "packed": "ship", "shipped": "do"}


async def find(facts: Facts, record: BookShipment) -> Receipt | None:
    """Done means: all shipments with our reference are done and hold all the units."""
    shipments = await by_reference(facts, record.reference)
    if not shipments or any(one["state"] != "done" for one in shipments):
        return None
    missing = wanted(record.lines) - moved(shipments)
    return None if missing else Receipt(reference=_numbers(shipments), already=True)


async def book(facts: Facts, record: BookShipment) -> Receipt:
    sale = await sales.booked(facts, record.order_reference)
    ours = await by_reference(facts, record.reference)
    missing = wanted(record.lines) - moved(ours)
    already = bool(ours) and not missing and all(one["state"] == "done" for one in ours)
    if missing:
        for shipment in await of_sale(facts, sale["id"]):
            if missing and shipment["state"] in OPEN and not shipment["reference"]:
                taken = missing & moved([shipment])
                if taken:
                    ours.append(await _take(facts, shipment, taken, record))
                    missing -= taken
    if missing:
        raise Rejected(
            f"the warehouse shipped more than is open on sale {sale['number']}: "
            + ", ".join(f"{count} x {code}" for code, count in sorted(missing.items()))
        )
    for shipment in ours:
        await finish(facts, shipment)
        await _note(facts, shipment, record)
    return Receipt(reference=_numbers(ours), already=already)


async def _take(facts: Facts, shipment: Row, taken: Counter[str], record: BookShipment) -> Row:
    """Make one open shipment ours, with exactly the units that left."""
    if shipment["state"] not in ("draft", "waiting", "assigned"):
        raise Rejected(
            f"shipment {shipment['number']} is already {shipment['state']} in Tryton by "
            "somebody's hand; finish it or bring it back to waiting there"
        )
    await to_draft(facts, shipment)
    changes = reductions(shipment, taken)
    values: dict[str, Any] = {"reference": record.reference}
    if changes:
        values["outgoing_moves"] = changes
    field = facts.settings.get("tracking_field", "")
    if field and record.tracking:
        values[field] = record.tracking
    return await facts.rest.update(SHIPMENT, shipment["id"], values, FIELDS)


async def to_draft(facts: Facts, shipment: Row) -> None:
    """Only a draft's moves can be changed; assigned ones are refused."""
    if shipment["state"] == "assigned":
        await facts.rest.press(SHIPMENT, shipment["id"], "wait")
    if shipment["state"] != "draft":
        await facts.rest.press(SHIPMENT, shipment["id"], "draft")


def reductions(shipment: Row, taken: Mapping[str, int]) -> list[Any]:
    """Changes to the moves so that exactly `taken` remains; emptied moves go."""
    left = Counter(taken)
    changes: list[Any] = []
    gone: list[int] = []
    for move in live_moves(shipment):
        code, held = move["product"]["code"], int(units(move["quantity"]))
        keep = min(held, left[code])
        left[code] -= keep
        if not keep:
            gone.append(move["id"])
        elif keep < held:
            changes.append(["write", [move["id"]], {"quantity": keep}])
    if gone:
        changes.append(["delete", gone])
    return changes


async def finish(facts: Facts, shipment: Row) -> None:
    """To done, whatever state a broken attempt left it in.

    Stock that the ledger does not have is forced: the parcel has left, and the ledger's
    copy being behind does not bring it back. Reconciliation shows the difference.
    """
    row = shipment
    while row["state"] in OPEN:
        if row["state"] != "waiting":
            row = await facts.rest.press(SHIPMENT, row["id"], _NEXT[row["state"]], FIELDS)
            continue
        # assign_try answers true or false, not the record: read what it did.
        await facts.rest.press(SHIPMENT, row["id"], "assign_try")
        row = await _reread(facts, row["id"])
        if row["state"] == "waiting":
            await facts.rest.press(SHIPMENT, row["id"], "assign_force")
            row = await _reread(facts, row["id"])
    if row["state"] != "done":
        raise Rejected(f"shipment {row['number']} became {row['state']} in Tryton meanwhile")
    shipment.update(row)


async def _reread(facts: Facts, record: int) -> Row:
    row = await facts.rest.get(SHIPMENT, record, FIELDS)
    if row is None:
        raise Rejected(f"shipment {record} was deleted in Tryton meanwhile")
    return row


async def _note(facts: Facts, shipment: Row, record: BookShipment) -> None:
    """Tracking as a note where no module gives it a field; written once."""
    text = " ".join(filter(None, (record.carrier, record.tracking)))
    if not text or facts.settings.get("tracking_field", ""):
        return
    resource = f"{SHIPMENT},{shipment['id']}"
    domain = [["resource", "=", resource], ["message", "=", text]]
    if not await facts.rest.search("ir.note", domain, ("id",), limit=1):
        await facts.rest.create("ir.note", {"resource": resource, "message": text}, ("id",))


# ---------------------------------------------------------------- looking


async def by_reference(facts: Facts, reference: str) -> list[Row]:
    company = await facts.company()
    domain = [["reference", "=", reference], ["company", "=", company.id]]
    return await facts.rest.search(SHIPMENT, domain, FIELDS)


async def of_sale(facts: Facts, sale: int) -> list[Row]:
    domain = [["moves.origin.sale", "=", sale, "sale.line"]]
    return await facts.rest.search(SHIPMENT, domain, FIELDS)


def live_moves(shipment: Row) -> list[Row]:
    return [move for move in shipment["outgoing_moves"] if move["state"] != "cancelled"]


def moved(shipments: Iterable[Row]) -> Counter[str]:
    """Units by SKU on their way out."""
    count: Counter[str] = Counter()
    for shipment in shipments:
        for move in live_moves(shipment):
            count[move["product"]["code"]] += int(units(move["quantity"]))
    return count


def wanted(lines: Sequence[QuantityLine]) -> Counter[str]:
    count: Counter[str] = Counter()
    for line in lines:
        if not line.sku:
            raise Rejected(f"line {line.line!r} names no SKU; the ledger knows nothing else")
        count[line.sku] += line.quantity
    return count


def _numbers(shipments: Iterable[Row]) -> str:
    return ", ".join(str(one["number"] or one["id"]) for one in shipments)
