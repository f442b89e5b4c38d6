"""A sale that will not happen, or not these units of it.

A processed sale has no cancel button. What has not left is taken off its shipments,
lives on as a cancelled shipment that carries our reference (which is how a lost answer
is found again), and the sale is told to ignore those moves instead of making them anew.
Nothing was invoiced for them, so there is no money to take back.
"""

from __future__ import annotations

from collections import Counter

from connectors.tryton import delivery
from connectors.tryton import sale as sales
from connectors.tryton.delivery import SHIPMENT
from connectors.tryton.facts import Facts
from connectors.tryton.values import Row, units
from core.contract import Receipt
from core.errors import Rejected
from core.model import CancelOrder

_SHIPMENT = ("customer", "delivery_address", "warehouse", "warehouse_storage",
             "warehouse_output", "company", "planned_date")  # fmt: skip
_MOVE = ("product", "unit", "quantity", "from_location", "to_location", "origin", "company",
         "unit_price", "currency", "planned_date")  # fmt: skip
_EARLY = ("draft", "quotation")


async def find(facts: Facts, record: CancelOrder) -> Receipt | None:
    sale = await sales.find(facts, record.order_reference)
    if sale is None:
        return None
    if sale["state"] == "cancelled":
        return Receipt(reference=sale["number"] or str(sale["id"]), already=True)
    ours = await delivery.by_reference(facts, record.reference)
    if not ours or any(one["state"] != "cancelled" for one in ours):
        return None
    if await _unexplained(facts, sale):
        return None
    return Receipt(reference=sale["number"], already=True)


async def cancel(facts: Facts, record: CancelOrder) -> Receipt:
    sale = await sales.find(facts, record.order_reference)
    if sale is None or sale["state"] == "cancelled":
        # Never booked, or done before: either way the ledger holds no such sale.
        return Receipt(reference=record.order_reference, already=True, note="no sale to cancel")
    if sale["state"] in _EARLY:
        if record.lines:
            raise Rejected("the sale is not booked yet; its lines cannot be cancelled one by one")
        await facts.rest.press(sales.SALE, sale["id"], "cancel")
        return Receipt(reference=str(sale["number"] or sale["id"]))
    if sale["state"] == "confirmed":
        await facts.rest.press(sales.SALE, sale["id"], "process")
    ours = await delivery.by_reference(facts, record.reference)
    if not ours:
        ours = await _take_out(facts, sale, record)
    await _settle(facts, sale)
    for shipment in ours:
        if shipment["state"] != "cancelled":
            await facts.rest.press(SHIPMENT, shipment["id"], "cancel")
    await _explain(facts, sale)
    return Receipt(reference=sale["number"])


async def _take_out(facts: Facts, sale: Row, record: CancelOrder) -> list[Row]:
    """Shipments that hold exactly the units to cancel, marked with our reference."""
    open_ones = [
        one
        for one in await delivery.of_sale(facts, sale["id"])
        if one["state"] in ("draft", "waiting", "assigned") and not one["reference"]
    ]
    held = delivery.moved(open_ones)
    unwanted = delivery.wanted(record.lines) if record.lines else Counter(held)
    missing = unwanted - held
    if missing or not unwanted:
        left = ", ".join(f"{count} x {code}" for code, count in sorted(missing.items()))
        raise Rejected(f"sale {sale['number']} has already shipped: {left or 'everything'}")
    ours: list[Row] = []
    for shipment in open_ones:
        taken = unwanted & delivery.moved([shipment])
        if taken:
            unwanted -= taken
            ours.append(await _split(facts, shipment, taken, record.reference))
    return ours


async def _split(facts: Facts, shipment: Row, taken: Counter[str], reference: str) -> Row:
    """The whole shipment where all of it goes; else a new one with copies of the moves.

    The copy is made before the original is cut: a broken attempt then leaves too much
    on order for a while, never too little, and `_settle` makes the cut.
    """
    await delivery.to_draft(facts, shipment)
    if taken == delivery.moved([shipment]):
        values = {"reference": reference}
        return await facts.rest.update(SHIPMENT, shipment["id"], values, delivery.FIELDS)
    head = await facts.rest.get(SHIPMENT, shipment["id"], _SHIPMENT)
    moves = [["create", await _copies(facts, shipment, taken)]]
    copy = {**_values(head or {}, _SHIPMENT), "reference": reference, "outgoing_moves": moves}
    return await facts.rest.create(SHIPMENT, copy, delivery.FIELDS)


async def _settle(facts: Facts, sale: Row) -> None:
    """Cut from the open shipments what the cancelled one has taken over.

    Found by counting, not by remembering: moves of a sale line beyond its quantity.
    """
    excess = await _excess(facts, sale)
    for shipment in await delivery.of_sale(facts, sale["id"]):
        if shipment["state"] != "draft" or shipment["reference"]:
            continue  # what is to be cut was brought to draft before it was copied
        held = delivery.moved([shipment])
        cut = held & excess
        if cut:
            excess -= cut
            changes = delivery.reductions(shipment, held - cut)
            await facts.rest.update(SHIPMENT, shipment["id"], {"outgoing_moves": changes})


async def _excess(facts: Facts, sale: Row) -> Counter[str]:
    fields = ("quantity", "product.code", "moves.quantity", "moves_recreated")
    excess: Counter[str] = Counter()
    for line in await facts.rest.search("sale.line", [["sale", "=", sale["id"]]], fields):
        moves = [move for move in line["moves"] if move["id"] not in line["moves_recreated"]]
        over = sum(units(move["quantity"]) for move in moves) - units(line["quantity"])
        if over > 0 and moves:
            excess[line["product"]["code"]] += int(over)
    return excess


async def _copies(facts: Facts, shipment: Row, taken: Counter[str]) -> list[Row]:
    """New moves for the taken units, from the end: `reductions` keeps the first ones."""
    left = Counter(taken)
    copies: list[Row] = []
    for move in reversed(delivery.live_moves(shipment)):
        code = move["product"]["code"]
        count = min(int(units(move["quantity"])), left[code])
        if count:
            left[code] -= count
            whole = await facts.rest.get("stock.move", move["id"], _MOVE)
            copies.append({**_values(whole or {}, _MOVE), "quantity": count})
    return copies


def _values(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names if row.get(name) is not None}


async def _unexplained(facts: Facts, sale: Row) -> dict[int, list[int]]:
    """Cancelled moves the sale still wants explained, by sale line."""
    fields = ("moves.state", "moves_ignored", "moves_recreated")
    lines = await facts.rest.search("sale.line", [["sale", "=", sale["id"]]], fields)
    waiting: dict[int, list[int]] = {}
    for line in lines:
        known = {*line["moves_ignored"], *line["moves_recreated"]}
        for move in line["moves"]:
            if move["state"] == "cancelled" and move["id"] not in known:
                waiting.setdefault(line["id"], []).append(move["id"])
    return waiting


async def _explain(facts: Facts, sale: Row) -> None:
    """What the desktop's "handle shipment exception" does with every move ignored."""
    for line, moves in (await _unexplained(facts, sale)).items():
        await facts.rest.update("sale.line", line, {"moves_ignored": [["add", moves]]})
    await facts.rest.press(sales.SALE, sale["id"], "process")
