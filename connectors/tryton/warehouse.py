"""Tryton as the warehouse: owns the shelf and the parcel; is asked to ship and not to ship.

What was asked for is kept as a note on the shipment, for the packers and for us: a
short pick lowers the moves, and afterwards nothing else in Tryton knows the first number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from connectors.tryton import delivery, feed, parties, stock
from connectors.tryton.delivery import SHIPMENT
from connectors.tryton.facts import Facts, Warehouse
from connectors.tryton.rest import Rest
from connectors.tryton.values import Row, plain, units
from core.contract import Command, Item, Page, Receipt, Setup
from core.errors import InvariantBroken, Rejected
from core.model import CancelFulfillment, FulfillOrder

NOTE = "ir.note"
ASKED = "Asked by Truecount:"
_BASE = ("number", "reference", "state", "effective_date", "warehouse", "write_date",
         "create_date", "outgoing_moves.product.code", "outgoing_moves.quantity",
         "outgoing_moves.state")  # fmt: skip
#: Only where the module stock_package_shipping is installed: settings.tracking_field.
_PARCEL = ("carrier.party.name", "root_packages.number", "root_packages.shipping_reference")
#: Tryton's words, ours. Tryton moves the units out at "done" and not at "shipped": told
#: earlier, the next stock reading would still hold them while their claim had ended, and
#: they would be sold twice.
_STATES = {"done": "shipped", "cancelled": "cancelled"}
_STOPPABLE = ("draft", "waiting", "assigned")


class TrytonWarehouse:
    def __init__(self, setup: Setup) -> None:
        self._facts = Facts(Rest(setup.api), setup.settings, ledger=False)
        self._tracking = setup.settings.get("tracking_field", "")

    async def read(self, resource: str, since: str | None, page: str | None) -> Page:
        match resource:
            case "stock_reading":
                return await stock.readings(self._facts, page)
            case "shipment":
                return await self._shipments(since, page)
        raise InvariantBroken(f"tryton_wms reads no {resource}")

    async def fetch(self, resource: str, external_id: str) -> Item | None:
        """One shipment by its id."""
        if resource != "shipment":
            raise InvariantBroken(f"tryton_wms fetches no {resource}")
        await self._facts.company()
        row = await self._facts.rest.get(SHIPMENT, int(external_id), self._fields)
        return (await self._items([row]))[0] if row and row["reference"] else None

    async def send(self, command: Command) -> Receipt:
        record = command.record
        match record:
            case FulfillOrder():
                return await self._fulfill(record)
            case CancelFulfillment():
                return await self._cancel(record)
        raise InvariantBroken(f"tryton_wms accepts no {command.kind}")

    async def find(self, command: Command) -> Receipt | None:
        record = command.record
        match record:
            case FulfillOrder():
                return await self._accepted(record)
            case CancelFulfillment():
                return await self._stopped(record)
        raise InvariantBroken(f"tryton_wms accepts no {command.kind}")

    # ------------------------------------------------------------ please ship

    async def _fulfill(self, record: FulfillOrder) -> Receipt:
        """A shipment with our reference, waiting, with whatever is there assigned.

        Created once: the reference is searched first. A shipment that a broken attempt
        left in draft is carried on; whatever the packers did to one is theirs.
        """
        shipments = await delivery.by_reference(self._facts, record.reference)
        already = bool(shipments)
        row = shipments[0] if shipments else await self._create(record)
        await self._note(row["id"], record)
        if row["state"] == "draft":
            row = await self._facts.rest.press(SHIPMENT, row["id"], "wait", delivery.FIELDS)
        if not already or row["state"] == "waiting":
            # Partly in stock: Tryton assigns what it has and keeps it waiting for the rest.
            await self._facts.rest.press(SHIPMENT, row["id"], "assign_try")
        return Receipt(reference=str(row["number"] or row["id"]), already=already)

    async def _create(self, record: FulfillOrder) -> Row:
        company = await self._facts.company()
        wanted = delivery.wanted(record.lines)
        items = await self._facts.items(wanted)
        house = await self._facts.warehouse(record.place)
        party, address = await parties.customer(self._facts, record.ship_to, "", record.reference)
        location = await self._facts.rest.get("party.party", party, ("customer_location",))
        moves = [
            {
                "product": items[code].id,
                "unit": items[code].unit,
                "quantity": count,
                "from_location": house.output,
                "to_location": (location or {}).get("customer_location"),
                "company": company.id,
                # A move to a customer has a price; a warehouse without sales does not know it.
                "unit_price": 0,
                "currency": company.currency_id,
            }
            for code, count in sorted(wanted.items())
            if count
        ]
        values: dict[str, Any] = {
            "reference": record.reference,
            "company": company.id,
            "customer": party,
            "delivery_address": address,
            "warehouse": house.id,
            "warehouse_storage": house.storage,
            "warehouse_output": house.output,
            "outgoing_moves": [["create", moves]],
        }
        if record.ship_by:
            values["planned_date"] = record.ship_by.date()
        return await self._facts.rest.create(SHIPMENT, values, delivery.FIELDS)

    async def _note(self, shipment: int, record: FulfillOrder) -> None:
        if await self._asked([shipment]):
            return
        lines = [f"{count} x {code}" for code, count in delivery.wanted(record.lines).items()]
        message = "\n".join((ASKED, f"{record.channel} {record.number}", *lines))
        values = {"resource": f"{SHIPMENT},{shipment}", "message": message}
        await self._facts.rest.create(NOTE, values, ("id",))

    async def _accepted(self, record: FulfillOrder) -> Receipt | None:
        """Accepted once its note is there and it was assigned; before, sending goes on with it.

        A waiting one may lack only the attempt to assign it, which can be repeated freely.
        """
        shipments = await delivery.by_reference(self._facts, record.reference)
        if not shipments or shipments[0]["state"] in ("draft", "waiting"):
            return None
        if not await self._asked([shipments[0]["id"]]):
            return None
        return Receipt(reference=str(shipments[0]["number"]), already=True)

    # ------------------------------------------------------------ please do not

    async def _cancel(self, record: CancelFulfillment) -> Receipt:
        """The packers decide the race: once picked, the parcel goes (S15)."""
        shipments = await delivery.by_reference(self._facts, record.target)
        late = [one for one in shipments if one["state"] not in (*_STOPPABLE, "cancelled")]
        if late:
            raise Rejected(
                f"shipment {late[0]['number']} is already {late[0]['state']} in the warehouse"
            )
        standing = [one for one in shipments if one["state"] != "cancelled"]
        for shipment in standing:
            await self._facts.rest.press(SHIPMENT, shipment["id"], "cancel")
        number = shipments[0]["number"] if shipments else None
        return Receipt(reference=str(number or record.target), already=not standing)

    async def _stopped(self, record: CancelFulfillment) -> Receipt | None:
        shipments = await delivery.by_reference(self._facts, record.target)
        if any(one["state"] != "cancelled" for one in shipments):
            return None
        number = shipments[0]["number"] if shipments else None
        return Receipt(reference=str(number or record.target), already=True)

    # ------------------------------------------------------------ what left

    @property
    def _fields(self) -> tuple[str, ...]:
        return (*_BASE, self._tracking, *_PARCEL) if self._tracking else _BASE

    async def _shipments(self, since: str | None, page: str | None) -> Page:
        company = await self._facts.company()
        domain = [["reference", "!=", None], ["company", "=", company.id]]
        found, place = await feed.rows(
            self._facts.rest,
            SHIPMENT,
            [*domain, *feed.since_domain(since)],
            self._fields,
            feed.Place.of(page),
        )
        following = feed.following(found, place, 1)
        return Page(items=await self._items(found), next=following, since=place.begun or since)

    async def _items(self, rows: Sequence[Row]) -> list[Item]:
        if not rows:
            return []
        asked = await self._asked([row["id"] for row in rows])
        family = await self._family(rows)
        houses = {house.id: house for house in await self._facts.warehouses()}
        return [
            Item(
                external_id=str(row["id"]),
                revision=feed.revision(row),
                body=plain(self._body(row, asked, family[row["reference"]], houses)),
            )
            for row in rows
        ]

    async def _family(self, rows: Iterable[Row]) -> dict[str, list[Row]]:
        """Shipments with the same reference: packers may split one order over several."""
        references = sorted({row["reference"] for row in rows})
        domain = [["reference", "in", references]]
        fields = delivery.FIELDS
        family: dict[str, list[Row]] = {}
        for row in await self._facts.rest.search(SHIPMENT, domain, fields):
            family.setdefault(row["reference"], []).append(row)
        return family

    async def _asked(self, shipments: Sequence[int]) -> dict[int, Counter[str]]:
        """What we asked for, from the notes, by shipment."""
        resources = [f"{SHIPMENT},{shipment}" for shipment in shipments]
        domain = [["resource", "in", resources], ["message", "like", f"{ASKED}%"]]
        notes = await self._facts.rest.search(NOTE, domain, ("resource", "message"))
        return {int(note["resource"].split(",")[1]): _lines(note["message"]) for note in notes}

    def _body(
        self,
        row: Row,
        asked: dict[int, Counter[str]],
        family: list[Row],
        houses: dict[int, Warehouse],
    ) -> Row:
        """One parcel. Short is told once, by the shipment that closes the order."""
        open_ones = [one for one in family if one["state"] in delivery.OPEN]
        done = [one for one in family if one["state"] == "done"]
        last = row["state"] == "done" and not open_ones and row["id"] == done[-1]["id"]
        wanted = sum((asked.get(one["id"], Counter()) for one in family), Counter[str]())
        short = wanted - delivery.moved(done) if last else Counter()
        parcel = self._parcel(row)
        return {
            "id": row["id"],
            "number": row["number"],
            "reference": row["reference"],
            "warehouse": houses[row["warehouse"]].word,
            "state": _STATES.get(row["state"], "waiting"),
            "their_state": row["state"],
            "shipped_at": row["write_date"] if row["state"] == "done" else None,
            "lines": _quantities(delivery.moved([row])),
            "short": _quantities(short),
            "complete": not open_ones,
            **parcel,
        }

    def _parcel(self, row: Row) -> Row:
        """Tracking of the shipment, else of its packages."""
        if not self._tracking:
            return {"carrier": "", "tracking": ""}
        packages = row["root_packages"] or []
        numbers = [one["shipping_reference"] for one in packages if one["shipping_reference"]]
        carrier = row["carrier"]["party"]["name"] if row["carrier"] else ""
        return {"carrier": carrier, "tracking": row[self._tracking] or ", ".join(numbers)}


def _lines(message: str) -> Counter[str]:
    """`2 x SKU-0001`, one a line; a person may have written more below."""
    asked: Counter[str] = Counter()
    for line in message.splitlines()[2:]:
        count, _, code = line.partition(" x ")
        if count.isdigit() and code:
            asked[code] += int(count)
    return asked


def _quantities(counts: Counter[str]) -> list[Row]:
    return [{"sku": code, "quantity": units(count)} for code, count in sorted(counts.items())]
