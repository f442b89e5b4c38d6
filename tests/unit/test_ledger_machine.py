"""The ledger against a true warehouse (G6, G7; H6, H12, H15-H17, H43; S2, S3, S10).

The real decisions on a real SQLite; the warehouse is a dumb model that knows what
lies on its shelf. Readings, ship events, acceptances and order revisions arrive
late, doubled and in any order, readings beside movements, and lists that leave out what is
gone; at every step what we would sell is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine, event, select, text, update

from core import commands, fulfillment, orders, outcomes, readings, shipments, stock
from core.codec import from_json
from core.contract import Receipt
from core.doubts import Came
from core.ledger import Basis, Ordering, Source
from core.model import (
    CancelFulfillment,
    FulfillOrder,
    Order,
    OrderLine,
    Payment,
    QuantityLine,
    Shipment,
    StockMovement,
    StockReading,
)
from core.money import Money
from core.network import Accepts, Location, Network, Owners
from core.seal import Seal, new_key
from core.store.schema import metadata, outbox
from core.work import Work
from tests.machines import lasting, taken

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
#: The warehouse's clock is ten minutes ahead of ours; nothing may compare the two (H12).
AHEAD = timedelta(minutes=10)
SEAL = Seal(new_key())
#: Weighted: what leads to a parcel comes up more often than what only disturbs.
ACTIONS = (
    *("goods", "reading", "reading", "old reading", "old reading", "sale", "sale", "change"),
    *("old push", "movement", "movement"),
    *("command", "command", "answer", "parcel", "parcel", "ship event"),
)
ORDERS = "SELECT o.external_id, l.* FROM orders o JOIN lines l ON o.id = l.order_id"
OWNERS = Owners(
    owner={
        ("order", "shop"): "shop",
        ("on_hand", "main"): "depot",
        ("shipment", "main"): "depot",
        ("available_to_sell", "shop"): "truecount",
        ("claim", "company"): "truecount",
    },
    readers={("claim", "company"): ("depot",), ("shipment", "main"): ("shop",)},
)
STEPS = 40


@dataclass
class Depot:
    """What is true."""

    basis: Basis
    shelf: int = 0
    counter: int = 0
    accepted: dict[str, int] = field(default_factory=dict)  # units still to ship
    parcels: int = 0
    omits: bool = False  # it lists what it has, and nothing else
    given_up: set[str] = field(default_factory=set)  # orders it has agreed to cancel
    moves: list[StockMovement] = field(default_factory=list)

    def changes(self, now: datetime, *, shelf: int = 0, accepted: int = 0, order: str = "") -> None:
        """Everything that happens there is counted, also what moves nothing."""
        self.shelf += shelf
        if order:
            self.accepted[order] = self.accepted.get(order, 0) + accepted
        self.counter += 1
        move = StockMovement(
            key=f"M{self.counter}",
            sku="TEA",
            place="EAST",
            units=shelf if self.basis == "on_hand" else shelf - accepted,
            counter=self.counter,
            as_of=now + AHEAD,
        )
        self.moves.append(move)

    def row(self, now: datetime) -> StockReading | None:
        net = self.shelf - sum(self.accepted.values())
        if self.omits and (self.shelf if self.basis == "on_hand" else net) == 0:
            return None
        return StockReading(
            key="TEA",
            sku="TEA",
            place="EAST",
            on_hand=self.shelf if self.basis == "on_hand" else None,
            available=net if self.basis == "available" else None,
            counter=self.counter,
            as_of=now + AHEAD,
        )


def network_with(source: Source) -> Network:
    accepts = {
        ("depot", "fulfill_order"): Accepts(safe_by="reference"),
        ("depot", "cancel_fulfillment"): Accepts(safe_by="lookup"),
        ("shop", "confirm_shipment"): Accepts(safe_by="reference"),
    }
    main = Location(
        name="main", at={"depot": "EAST"}, serves=("shop",), stock_owner="depot", ships="depot"
    )
    return Network(
        company="Acme",
        zone=ZoneInfo("Europe/Berlin"),
        currency="EUR",
        locations={"main": main},
        channels=("shop",),
        ledgers=(),
        sources={"depot": source},
        accepts=accepts,
        stock_writes={},
        owners=OWNERS,
    )


def an_order(key: int, revision: int, units: int, at: datetime) -> Order:
    price = Money(1000, "EUR")
    line = OrderLine(key="1", sku="TEA", quantity=units, unit_price=price)
    return Order(
        key=f"S{key}",
        number=f"#{key}",
        revision=str(revision),
        placed_at=at,
        currency="EUR",
        total=price * units,
        payment=Payment.PAID,
        lines=(line,),
    )


class TrueWarehouse(RuleBasedStateMachine):
    actions: Sequence[str] = ACTIONS

    @initialize(
        basis=st.sampled_from(["on_hand", "available"]),
        ordered_by=st.sampled_from(["counter", "as_of", "request"]),
        shelf=st.integers(0, 12),
        moving=st.booleans(),
        omits=st.booleans(),
    )
    def open_up(
        self, basis: Basis, ordered_by: Ordering, shelf: int, moving: bool, omits: bool
    ) -> None:
        self.engine = create_engine("sqlite://")
        event.listen(self.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        metadata.create_all(self.engine)
        source = Source(
            basis=basis,
            ordered_by=ordered_by,
            snapshot=omits,
            missing_is_zero=omits,
            gapless=moving and ordered_by == "counter",
        )
        self.source, self.age = source, None
        self.network = self.network_with(source)
        self.moving = moving and ordered_by != "request"
        self.now = START
        self.depot = Depot(basis, omits=omits)
        self.depot.changes(self.now, shelf=shelf)
        self.readings = [(self.depot.row(self.now), self.now)]
        self.revisions: list[Order] = []
        self.newest: dict[str, Order] = {}
        self.told: dict[str, int] = {}  # the highest revision we ever heard of
        self.receipts: list[tuple[str, Receipt]] = []
        self.parcels: list[Shipment] = []
        self.reads(0)

    # -------------------------------------------------------------- our side

    def network_with(self, source: Source) -> Network:
        return network_with(source)

    def decide(self, unit: Any) -> Any:
        self.now += timedelta(seconds=1)
        with self.engine.begin() as connection:
            work = Work.begin(connection, self.network, SEAL, self.now)
            result = unit(work)
            fulfillment.go_on(work)
            work.finish()
            return result

    def ask(self, sql: str) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(text(sql)).all()

    # -------------------------------------------------------------- their side

    def goods_come_in(self, units: int) -> None:
        self.now += timedelta(seconds=1)
        self.depot.changes(self.now, shelf=units)

    def a_reading_begins(self, lands: bool) -> None:
        self.now += timedelta(seconds=1)
        self.readings.append((self.depot.row(self.now), self.now))
        if lands:
            self.reads(0)

    def reads(self, which: int) -> None:
        """Any reading of the last ten lands, also for the second time."""
        row, began = self.readings[-1 - which % min(10, len(self.readings))]
        came = Came(began_at=began, item="TEA")
        if row is None:
            self.decide(lambda work: readings.take_absence(work, "depot", came))
        else:
            self.decide(lambda work: readings.take_reading(work, "depot", row, came))

    def a_movement_arrives(self, which: int) -> None:
        """Any of the last ten, also for the second time."""
        move = self.depot.moves[-1 - which % min(10, len(self.depot.moves))]
        came = Came(began_at=self.now, item=move.key)
        self.decide(lambda work: readings.take_movement(work, "depot", move, came))

    def somebody_buys(self, units: int) -> None:
        order = an_order(len(self.newest) + 1, 1, units, self.now)
        self.revisions.append(order)
        self.newest[order.key] = order
        self.hears(order)

    def hears(self, order: Order) -> None:
        self.told[order.key] = max(self.told.get(order.key, 0), int(order.revision))
        self.decide(lambda work: orders.take_order(work, self.channel_of(order.key), order))

    def channel_of(self, order: str) -> str:
        return "shop"

    def open(self) -> list[str]:
        return sorted(key for key, order in self.newest.items() if not order.cancelled_at)

    def the_buyer_changes_it(self, which: int, units: int, told: bool) -> None:
        """Another quantity, or none: cancelled. We may hear of it much later."""
        key = self.open()[which % len(self.open())]
        old = self.newest[key]
        new = an_order(int(key[1:]), int(old.revision) + 1, units, old.placed_at)
        if units == 0:
            new = replace(old, revision=new.revision, cancelled_at=self.now)
        self.newest[key] = new
        self.revisions.append(new)
        if told:
            self.hears(new)

    def a_push_comes_again(self, which: int) -> None:
        self.hears(self.revisions[which % len(self.revisions)])

    def asked(self) -> bool:
        return bool(
            self.ask("SELECT 1 FROM outbox WHERE system='depot' AND state='queued' LIMIT 1")
        )

    def the_warehouse_takes_what_it_is_asked(self, answered: bool) -> None:
        """The next command arrives there; its answer may travel on its own."""
        self.take()
        if answered and self.receipts:
            self.an_answer_arrives(len(self.receipts) - 1)

    def take(self) -> None:
        with self.engine.begin() as connection:
            query = select(outbox).where(outbox.c.system == "depot", outbox.c.state == "queued")
            row = connection.execute(query.order_by(outbox.c.id).limit(1)).one_or_none()
            if row is None:
                return
            sent = update(outbox).where(outbox.c.id == row.id).values(state="sending")
            connection.execute(sent)
        self.now += timedelta(seconds=1)
        sealed = SEAL.open(row.record, commands.aad(row.key))
        if row.kind == "fulfill_order":
            asked = from_json(FulfillOrder, sealed)
            units = sum(line.quantity for line in asked.lines)
            self.depot.changes(self.now, accepted=units, order=row.key)
            answer = Receipt(reference="W", counter=self.depot.counter, as_of=self.now + AHEAD)
            self.receipts.append((row.key, answer))
        else:
            target = from_json(CancelFulfillment, sealed).target
            # Who has sent a part of it away cancels no more.
            began = any(parcel.reference == target for parcel in self.parcels)
            if self.depot.accepted.get(target) and not began:
                left = self.depot.accepted[target]
                self.depot.changes(self.now, accepted=-left, order=target)
                self.depot.given_up.add(target.split(":")[2])
                self.receipts.append((row.key, Receipt(reference="W")))
            else:
                self.decide(lambda work: outcomes.refused(work, self.command(work, row.key), "no"))

    def an_answer_arrives(self, which: int) -> None:
        key, receipt = self.receipts.pop(which % len(self.receipts))
        self.decide(lambda work: outcomes.done(work, self.command(work, key), receipt))

    def command(self, work: Work, key: str) -> Any:
        work.connection.execute(update(outbox).where(outbox.c.key == key).values(state="done"))
        return work.connection.execute(select(outbox).where(outbox.c.key == key)).one()

    def a_parcel_leaves(self, which: int, units: int, told: bool) -> None:
        waiting = sorted(key for key, left in self.depot.accepted.items() if left)
        key = waiting[which % len(waiting)]
        units = min(units, self.depot.accepted[key], self.depot.shelf)
        self.now += timedelta(seconds=1)
        self.depot.changes(self.now, shelf=-units, accepted=-units, order=key)
        self.depot.parcels += 1
        self.parcels.append(
            Shipment(
                key=f"P{self.depot.parcels}",
                reference=key,
                place="EAST",
                shipped_at=self.now + AHEAD,
                counter=self.depot.counter,
                lines=(QuantityLine(line="1", sku="TEA", quantity=units),),
                complete=not self.depot.accepted[key],
            )
        )
        if told:
            self.a_ship_event_arrives(len(self.parcels) - 1)

    def a_ship_event_arrives(self, which: int) -> None:
        """Never the last parcel before the ones it completes: a warehouse numbers its parcels."""
        parcel = self.parcels[which % len(self.parcels)]
        for one in self.parcels:
            if one.reference == parcel.reference and int(one.key[1:]) <= int(parcel.key[1:]):
                self.decide(lambda work, one=one: shipments.take_shipment(work, "depot", one))

    # -------------------------------------------------------------- one thing after another

    @rule(
        data=st.data(),
        which=st.integers(0, 99),
        units=st.integers(0, 4),
        at_once=st.booleans(),
    )
    def something_happens(self, data: Any, which: int, units: int, at_once: bool) -> None:
        """One rule for all: rules of their own are switched off by Hypothesis at random, and a
        parcel needs five of them in a row."""
        what = data.draw(st.sampled_from([one for one in self.actions if self.can(one)]))
        self.happens(what, which, units, at_once)
        taken(self)

    def happens(self, what: str, which: int, units: int, at_once: bool) -> None:
        match what:
            case "goods":
                self.goods_come_in(units + 1)
            case "reading":
                self.a_reading_begins(at_once)
            case "old reading":
                self.reads(which)
            case "movement":
                self.a_movement_arrives(which)
            case "sale":
                self.somebody_buys(units or 1)
            case "change":
                self.the_buyer_changes_it(which, units, at_once)
            case "old push":
                self.a_push_comes_again(which)
            case "command":
                self.the_warehouse_takes_what_it_is_asked(at_once)
            case "answer":
                self.an_answer_arrives(which)
            case "parcel":
                self.a_parcel_leaves(which, units or 4, at_once)
            case "ship event":
                self.a_ship_event_arrives(which)

    def can(self, what: str) -> bool:
        match what:
            case "movement":
                return self.moving
            case "change":
                return bool(self.open())
            case "old push":
                return bool(self.revisions)
            case "command":
                return self.asked()
            case "answer":
                return bool(self.receipts)
            case "parcel":
                return any(self.depot.accepted.values()) and self.depot.shelf > 0
            case "ship event":
                return bool(self.parcels)
        return True

    # -------------------------------------------------------------- what must hold

    def free(self) -> int:
        """Units on the shelf that nobody was promised; what has left was promised before.

        What the warehouse has accepted it will ship, whatever our own rows say of it. What it
        has agreed to cancel is nobody's, also before we hear of it.
        """
        free = self.depot.shelf
        for order in self.ask(ORDERS):
            if order.external_id in self.depot.given_up:
                continue
            left = self.left_of(order.external_id)
            promised = order.ordered - order.cancelled - order.short - left
            free -= max(promised, self.waits_for(order.external_id))
        return free

    def waits_for(self, order: str) -> int:
        own = f"truecount:{self.channel_of(order)}:{order}:"
        return sum(units for key, units in self.depot.accepted.items() if key.startswith(own))

    def left_of(self, order: str) -> int:
        return sum(
            line.quantity
            for parcel in self.parcels
            for line in parcel.lines
            if parcel.reference.startswith(f"truecount:{self.channel_of(order)}:{order}:")
        )

    def sellable(self) -> int:
        with self.engine.connect() as connection:
            work = Work.begin(connection, self.network, SEAL, self.now)
            return stock.terms_of(work, "TEA", "main").sellable

    @invariant()
    def the_newest_told_revision_stands(self) -> None:
        for order in self.ask("SELECT external_id, revision FROM orders"):
            assert int(order.revision) == self.told.get(order.external_id, 0)

    @invariant()
    def nothing_is_sold_that_is_not_there(self) -> None:
        assert self.sellable() <= self.free(), (self.sellable(), self.free())

    @invariant()
    def nobody_waits_for_units_that_are_for_sale(self) -> None:
        """Sold to somebody else, they would be sold twice."""
        waiting = self.ask(
            "SELECT o.external_id, l.short FROM lines l JOIN orders o ON o.id = l.order_id"
            " WHERE l.short > 0 AND o.asked = '' AND o.state IN ('captured', 'held')"
            " AND l.id NOT IN (SELECT line_id FROM claims WHERE state = 'missing')"
        )
        assert not waiting or self.sellable() <= 0, (waiting, self.sellable())

    @invariant()
    def the_number_in_force_never_grows_older(self) -> None:
        """In its owner's own order, whatever lands late or for the second time (G4)."""
        for row in self.ask("SELECT counter, as_of, began_at FROM stock"):
            order = {"counter": row.counter, "as_of": row.as_of, "request": row.began_at}
            age = order[self.source.ordered_by]
            if age is None:
                continue  # of a row that is gone
            assert self.age is None or self.age <= age, (self.age, age)
            self.age = age

    @invariant()
    def claims_and_lines_say_the_same(self) -> None:
        for line in self.ask("SELECT * FROM lines"):
            units = dict(
                self.ask(
                    f"SELECT state, sum(units) FROM claims WHERE line_id = {line.id} GROUP BY state"
                )
            )
            assert line.claimed == units.get("open", 0) + units.get("shipped", 0)
            assert line.consumed == units.get("ended", 0)

    @invariant()
    def the_warehouse_has_no_order_twice(self) -> None:
        for order in self.ask(ORDERS):
            waits = self.waits_for(order.external_id)
            assert waits + self.left_of(order.external_id) <= order.ordered

    def everything_arrives(self) -> None:
        for _ in range(200):
            asked = "SELECT id FROM outbox WHERE system = 'depot' AND state = 'queued'"
            if not self.ask(asked) and not self.receipts:
                break
            self.take()
            while self.receipts:
                self.an_answer_arrives(0)
        for parcel in self.parcels:
            self.decide(lambda work, one=parcel: shipments.take_shipment(work, "depot", one))
        for _ in range(2):
            self.a_reading_begins(lands=True)
            self.nothing_is_sold_that_is_not_there()

    def teardown(self) -> None:
        """Everything arrives in the end, and then the number is exact again (G8)."""
        if not hasattr(self, "engine"):
            return
        self.everything_arrives()
        assert self.ask("SELECT id FROM claims WHERE state = 'shipped'") == []
        [[waiting]] = self.ask("SELECT coalesce(sum(units), 0) FROM claims WHERE state = 'open'")
        doubt = self.depot.shelf - int(waiting) - self.sellable()
        queued = self.ask("SELECT id FROM outbox WHERE system = 'depot' AND state = 'queued'")
        assert queued or doubt == 0, doubt
        self.engine.dispose()


TrueWarehouse.TestCase.settings = lasting(
    TrueWarehouse, examples=25, steps=STEPS, soak=5_300, promised=200_000
)
TestTheLedgerAgainstATrueWarehouse = TrueWarehouse.TestCase
