"""A seller whose systems somebody spoils on purpose, one order and one SKU for each deed.

Deeds are done out there, in the fakes, wherever somebody out there could do them; where
only a fault of our own could, in the database. The town knows what it planted, and what
is on its way when it is compared: a report must name the first by its cause, may name the
second as in flight, and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.clock import day_of
from core.reconcile import Reconciliation, compare
from tests.flows.house import House

STOCK = 40
#: Half past midnight in Berlin, still yesterday by UTC.
LATE = "2026-11-25T23:30:00+00:00"


@dataclass(frozen=True, slots=True)
class Planted:
    """What a report has to say of one deed; one deed may be seen in several places."""

    what: str
    key: str
    cause: str


@dataclass(slots=True)
class Case:
    """One deed with its own SKU and its own order."""

    kind: str
    sku: str
    town: Town
    channel: str = "shop"
    units: int = 2
    price: str = "10.00"
    order: dict[str, Any] = field(default_factory=dict)
    parcel: str = ""
    refund: str = ""

    @property
    def key(self) -> str:
        return f"{self.channel}:{self.order['number']}"

    @property
    def shop(self) -> Any:
        return self.town.h.fake(self.channel)

    @property
    def books(self) -> Any:
        return self.town.h.books

    @property
    def row(self) -> int:
        return int(self.town.h.order(self.channel, self.order["id"])["id"])

    def reference(self, kind: str) -> str:
        """Of the last command of this kind, as its system knows it."""
        sql = "SELECT key FROM outbox WHERE order_id = ? AND kind = ? ORDER BY id DESC LIMIT 1"
        return str(self.town.h.rows(sql, self.row, kind)[0][0])

    def document(self, kind: str) -> dict[str, Any]:
        """The ledger's own row."""
        asks = {"sales_order": "book_order", "delivery": "book_shipment", "invoice": "book_invoice",
                "credit_note": "book_credit_note"}  # fmt: skip
        return self.books.documents(self.reference(asks[kind]), kind)[0]

    def spoil(self, kind: str, **words: Any) -> None:
        """Somebody edits a document in the ledger."""
        row = self.document(kind)
        row.update(words, version=row["version"] + 1, changed_at=self.books._now())

    def twice(self, kind: str) -> None:
        """Somebody books it once more, with our reference."""
        row = self.document(kind)
        words = {"id": f"{row['id']}-B", "number": f"{row['number']}-B"}
        again = {**row, **words, "changed_at": self.books._now()}
        self.books._documents.append(again)
        self.books._by_reference[row["reference"]].append(again)

    def lost(self, kind: str) -> None:
        """The ledger acknowledged it, and does not have it."""
        row = self.document(kind)
        self.books._documents.remove(row)
        self.books._by_reference[row["reference"]].remove(row)

    async def forgotten(self, command: str, document: str = "") -> None:
        """A fault of our own: it was never asked."""
        if document:
            self.lost(document)
        key = self.reference(command)
        await self.town.h.write(f"DELETE FROM outbox WHERE key = '{key}'")
        await self.town.h.write(f"DELETE FROM documents WHERE reference = '{key}'")


@dataclass
class Town:
    """The house, its cases, and what else is under way."""

    h: House
    rng: random.Random
    cases: list[Case] = field(default_factory=list)
    noise: list[Case] = field(default_factory=list)

    async def opens(self, kits: Mapping[str, str]) -> None:
        """Everything is on the shelf, in the books, and offered on both channels."""
        for case in (*self.cases, *self.noise):
            case.channel = self.rng.choice(("shop", "market"))
            case.units = self.rng.randint(2, 4)
            case.price = f"{self.rng.randint(5, 90)}.{self.rng.choice(('00', '49', '99'))}"
            for sku in (case.sku, kits.get(case.sku, "")):
                if sku:
                    self.h.books.set_item(sku, case.price, "4.00")
                    for channel in (self.h.shop, self.h.market):
                        channel.list_item(sku, price=case.price)
            own = kits.get(case.sku, case.sku)
            self.h.depot.receive(own, "EAST", STOCK)
            self.h.books.set_stock(own, "MAIN", STOCK)
        await self.h.now()
        await self.h.settle(40)

    async def sells(self, case: Case) -> None:
        case.order = await case.shop.place_order(sku=case.sku, quantity=case.units)

    async def ships(self, case: Case) -> None:
        row = await self.h.depot.ship(case.reference("fulfill_order"))
        case.parcel = row["id"]

    async def refunds(self, case: Case, *, units: int = 1, adjustment: str = "0.00") -> None:
        lines = [{"line": "1", "quantity": units}] if units else None
        row = await case.shop.refund(case.order["id"], lines, adjustment=adjustment)
        case.refund = row["id"]

    async def jump(self, seconds: float) -> None:
        """Time passes in one step: what was due in between is done at its end."""
        self.h.clock.advance(seconds)
        await self.h.now()

    async def until(self, instant: str) -> None:
        at = datetime.fromisoformat(instant)
        await self.jump((at - self.h.clock.now()).total_seconds())

    def compared(self) -> Reconciliation:
        h = self.h
        every_s = {
            (name, resource): system.every_s.get(resource, spec.every_s)
            for name, system in h.app.config.systems.items()
            for resource, spec in system.manifest.reads.items()
        }
        day = day_of(h.clock.now(), h.app.network.zone)
        with h.app.store.read() as connection:
            return compare(connection, h.app.network, day, h.clock.now(), every_s=every_s)

    def is_noise(self, key: str) -> bool:
        """Is it of an order or a SKU that is on its way?"""
        words = key.split(" ")
        return any(case.sku in words or (case.order and case.key in words) for case in self.noise)


# ------------------------------------------------------------------ the verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Of one cause: how often it was planted, found with this cause, and said without reason."""

    cause: str
    planted: int
    right: int
    wrong: int

    @property
    def recall(self) -> float:
        return self.right / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        said = self.right + self.wrong
        return self.right / said if said else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    scores: Sequence[Score]
    missed: Sequence[str]
    invented: Sequence[str]
    noise: int

    def table(self) -> str:
        rows = [f"{'cause':<22} planted  right  wrong  recall  precision"]
        rows += [
            f"{one.cause:<22} {one.planted:>7} {one.right:>6} {one.wrong:>6}"
            f" {one.recall:>7.2f} {one.precision:>10.2f}"
            for one in self.scores
        ]
        return "\n".join(rows)


def judged(town: Town, expected: Mapping[Planted, str], found: Reconciliation) -> Verdict:
    """`expected`: what was planted, and by which kind of deed."""
    said = {Planted(one.what, one.key, one.cause): one for one in found.differences}
    assert len({one.id for one in found.differences}) == len(found.differences), "an id twice"
    missed, invented, noise = [], [], 0
    right: dict[str, int] = {}
    for one, kind in expected.items():
        if one in said:
            right[one.cause] = right.get(one.cause, 0) + 1
        else:
            other = [s.cause for s in said if (s.what, s.key) == (one.what, one.key)]
            missed.append(f"{kind}: {one.what}, {one.key}: {one.cause}, said: {other or 'nothing'}")
    wrong: dict[str, int] = {}
    for one, difference in said.items():
        if one in expected:
            continue
        if difference.kind == "in_flight" and town.is_noise(one.key):
            noise += 1
            continue
        wrong[one.cause] = wrong.get(one.cause, 0) + 1
        invented.append(f"{one.what}, {one.key}: {one.cause}: {difference.detail}")
    planted: dict[str, int] = {}
    for one in expected:
        planted[one.cause] = planted.get(one.cause, 0) + 1
    scores = [
        Score(cause=c, planted=planted.get(c, 0), right=right.get(c, 0), wrong=wrong.get(c, 0))
        for c in sorted({*planted, *wrong})
    ]
    return Verdict(scores=scores, missed=missed, invented=invented, noise=noise)
