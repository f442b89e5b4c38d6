"""A kit that shares its components with plain items, in a true warehouse (G6, G7; H43-H45, S29).

The real decisions on a real SQLite. The warehouse has words of its own, keeps mugs
by the pair, and packs what it finds: parts of kits leave in any parcel, late,
doubled, or never. At every step whole kits only are claimed, what we would sell of
each component is there, and the channel has heard of as many kits as have left whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine, event, select, text, update

from core import aliases, commands, fulfillment, orders, outcomes, readings, shipments, stock
from core.codec import from_json
from core.contract import Receipt
from core.doubts import Came
from core.items import Alias, Items
from core.ledger import Basis, Source
from core.model import (
    CancelFulfillment,
    ConfirmShipment,
    FulfillOrder,
    Order,
    OrderLine,
    Payment,
    QuantityLine,
    Shipment,
    StockReading,
)
from core.money import Money
from core.network import Accepts, Location, Network, Owners
from core.seal import Seal, new_key
from core.store.schema import metadata, outbox
from core.work import Work
from tests.machines import lasting, taken

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SEAL = Seal(new_key())
STEPS = 40
NEEDS = {"TEA": {"TEA": 1}, "MUG": {"MUG": 1}, "GIFT": {"TEA": 1, "MUG": 2}}
WORDS = {"TEA": ("T", 1), "MUG": ("PAIR", 2)}  # what the depot calls it, and how it counts
FACTORS = dict(WORDS.values())
ITEMS = Items(
    kits={"GIFT": NEEDS["GIFT"]},
    aliases=tuple(
        Alias(system="depot", their_sku=word, sku=sku, factor=factor)
        for sku, (word, factor) in WORDS.items()
    ),
    many_words=frozenset({"shop"}),
)
ACTIONS = (
    *("goods", "goods", "reading", "reading", "reading", "old reading", "sale", "sale", "sale"),
    *("change", "old push", "command", "command", "answer", "parcel", "parcel", "ship event"),
)
ROWS = "SELECT o.external_id, o.state, l.* FROM orders o JOIN lines l ON o.id = l.order_id"


@dataclass
class Depot:
    """What is true, in its own words and units."""

    basis: Basis
    counter: int = 1
    shelf: dict[str, int] = field(default_factory=lambda: {"T": 0, "PAIR": 0})
    accepted: dict[str, dict[str, tuple[str, int]]] = field(default_factory=dict)  # by line
    parcels: list[Shipment] = field(default_factory=list)
    given_up: dict[str, dict[str, int]] = field(default_factory=dict)  # by parcel and line

    def row(self, word: str) -> StockReading:
        promised = sum(
            units
            for order in self.accepted.values()
            for its, units in order.values()
            if its == word
        )
        net = self.shelf[word] - promised
        return StockReading(
            key=word,
            sku=word,
            place="EAST",
            on_hand=self.shelf[word] if self.basis == "on_hand" else None,
            available=net if self.basis == "available" else None,
            counter=self.counter,
        )

    def waits(self, reference: str) -> int:
        return sum(units for _, units in self.accepted.get(reference, {}).values())


def a_network(basis: Basis) -> Network:
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
        sources={"depot": Source(basis=basis, ordered_by="counter")},
        accepts={
            ("depot", "fulfill_order"): Accepts(safe_by="reference"),
            ("depot", "cancel_fulfillment"): Accepts(safe_by="lookup"),
            ("shop", "confirm_shipment"): Accepts(safe_by="reference"),
        },
        stock_writes={},
        owners=Owners(
            owner={
                ("order", "shop"): "shop",
                ("on_hand", "main"): "depot",
                ("shipment", "main"): "depot",
                ("available_to_sell", "shop"): "truecount",
                ("claim", "company"): "truecount",
            },
            readers={("claim", "company"): ("depot",), ("shipment", "main"): ("shop",)},
        ),
        items=ITEMS,
    )


def an_order(key: int, revision: int, lines: Mapping[str, tuple[str, int]], at: datetime) -> Order:
    price = Money(1000, "EUR")
    return Order(
        key=f"S{key}",
        number=f"#{key}",
        revision=str(revision),
        placed_at=at,
        currency="EUR",
        total=price * sum(units for _, units in lines.values()),
        payment=Payment.PAID,
        lines=tuple(
            OrderLine(key=line, sku=sku, quantity=units, unit_price=price)
            for line, (sku, units) in lines.items()
        ),
    )


class KitsInATrueWarehouse(RuleBasedStateMachine):
    @initialize(
        basis=st.sampled_from(["on_hand", "available"]),
        tea=st.integers(0, 9),
        pairs=st.integers(0, 9),
    )
    def open_up(self, basis: Basis, tea: int, pairs: int) -> None:
        self.engine = create_engine("sqlite://")
        event.listen(self.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        metadata.create_all(self.engine)
        self.network = a_network(basis)
        self.now = START
        self.depot = Depot(basis)
        self.depot.shelf |= {"T": tea, "PAIR": pairs}
        self.readings: list[tuple[StockReading, datetime]] = []
        self.revisions: list[Order] = []
        self.newest: dict[str, Order] = {}
        self.receipts: list[tuple[str, Receipt]] = []
        for word in ("T", "PAIR"):
            self.a_reading_begins(word, lands=True)

    # -------------------------------------------------------------- our side

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

    def hears(self, order: Order) -> None:
        self.decide(lambda work: orders.take_order(work, "shop", order))

    def ours(self, record: Any) -> Any:
        return aliases.ours(self.network, "depot", record)

    # -------------------------------------------------------------- their side

    def a_reading_begins(self, word: str, *, lands: bool) -> None:
        self.now += timedelta(seconds=1)
        self.readings.append((self.depot.row(word), self.now))
        if lands:
            self.reads(0)

    def reads(self, which: int) -> None:
        row, began = self.readings[-1 - which % min(10, len(self.readings))]
        came = Came(began_at=began, item=row.key)
        self.decide(lambda work: readings.take_reading(work, "depot", self.ours(row), came))

    def somebody_buys(self, which: int, units: int, told: bool) -> None:
        lines = {"1": (sorted(NEEDS)[which % 3], units)}
        if which % 4 == 0:
            lines["2"] = (sorted(NEEDS)[which // 4 % 3], 1 + which % 2)
        order = an_order(len(self.newest) + 1, 1, lines, self.now)
        self.revisions.append(order)
        self.newest[order.key] = order
        self.hears(order)

    def open(self) -> list[str]:
        return sorted(key for key, order in self.newest.items() if not order.cancelled_at)

    def the_buyer_changes_it(self, which: int, units: int, told: bool) -> None:
        key = self.open()[which % len(self.open())]
        old = self.newest[key]
        lines = {line.key: (line.sku, line.quantity) for line in old.lines}
        lines["1"] = (lines["1"][0], units)
        new = an_order(int(key[1:]), int(old.revision) + 1, lines, old.placed_at)
        if units == 0:
            new = replace(old, revision=new.revision, cancelled_at=self.now)
        self.newest[key] = new
        self.revisions.append(new)
        if told:
            self.hears(new)

    def asked(self) -> bool:
        sql = "SELECT 1 FROM outbox WHERE system='depot' AND state='queued' LIMIT 1"
        return bool(self.ask(sql))

    def take(self) -> None:
        """The next command arrives there; its answer travels on its own."""
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
            asked = aliases.theirs(ITEMS, "depot", from_json(FulfillOrder, sealed))
            assert isinstance(asked, FulfillOrder)
            self.depot.accepted[row.key] = {
                line.line: (line.sku, line.quantity) for line in asked.lines
            }
            self.depot.counter += 1
            self.receipts.append((row.key, Receipt(reference="W", counter=self.depot.counter)))
            return
        target = from_json(CancelFulfillment, sealed).target
        began = any(parcel.reference == target for parcel in self.depot.parcels)
        if self.depot.waits(target) and not began:
            self.depot.accepted[target] = {}
            self.depot.counter += 1
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
        """So many of the first line, one more of the next; short where the shelf is empty. It
        is the last one now and then, whatever is missing."""
        waiting = sorted(key for key in self.depot.accepted if self.depot.waits(key))
        reference = waiting[which % len(waiting)]
        order = self.depot.accepted[reference]
        self.now += timedelta(seconds=1)
        packed = []
        for number, (line, (word, left)) in enumerate(sorted(order.items())):
            count = min(left, self.depot.shelf[word], (units + number) % 4)
            self.depot.shelf[word] -= count
            order[line] = (word, left - count)
            if count:
                packed.append(QuantityLine(line=line, sku=word, quantity=count))
        complete = which % 3 == 0 or not self.depot.waits(reference)
        if complete:
            for word, left in order.values():  # not found: broken, and counted off
                self.depot.shelf[word] -= min(left, self.depot.shelf[word])
            self.depot.given_up[f"P{len(self.depot.parcels) + 1}"] = {
                line: left * FACTORS[word] for line, (word, left) in order.items()
            }
            self.depot.accepted[reference] = {}
        self.depot.counter += 1
        self.depot.parcels.append(
            Shipment(
                key=f"P{len(self.depot.parcels) + 1}",
                reference=reference,
                place="EAST",
                shipped_at=self.now,
                counter=self.depot.counter,
                lines=tuple(packed),
                complete=complete,
            )
        )
        if told:
            self.a_ship_event_arrives(len(self.depot.parcels) - 1)

    def a_ship_event_arrives(self, which: int) -> None:
        """Never the last parcel before the ones it completes: a warehouse numbers its parcels."""
        parcel = self.depot.parcels[which % len(self.depot.parcels)]
        for one in self.depot.parcels:
            if one.reference == parcel.reference and int(one.key[1:]) <= int(parcel.key[1:]):
                self.decide(
                    lambda work, one=one: shipments.take_shipment(work, "depot", self.ours(one))
                )

    # -------------------------------------------------------------- one thing after another

    @rule(
        data=st.data(),
        which=st.integers(0, 99),
        units=st.integers(0, 4),
        at_once=st.booleans(),
    )
    def something_happens(self, data: Any, which: int, units: int, at_once: bool) -> None:
        word = ("T", "PAIR")[which % 2]
        match data.draw(st.sampled_from([one for one in ACTIONS if self.can(one)])):
            case "goods":
                self.now += timedelta(seconds=1)
                self.depot.shelf[word] += units + 1
                self.depot.counter += 1
            case "reading":
                self.a_reading_begins(word, lands=at_once)
            case "old reading":
                self.reads(which)
            case "sale":
                self.somebody_buys(which, units or 1, at_once)
            case "change":
                self.the_buyer_changes_it(which, units, at_once)
            case "old push":
                self.hears(self.revisions[which % len(self.revisions)])
            case "command":
                self.take()
                if at_once and self.receipts:
                    self.an_answer_arrives(len(self.receipts) - 1)
            case "answer":
                self.an_answer_arrives(which)
            case "parcel":
                self.a_parcel_leaves(which, units, at_once)
            case "ship event":
                self.a_ship_event_arrives(which)
        taken(self)

    def can(self, what: str) -> bool:
        match what:
            case "change":
                return bool(self.open())
            case "old push":
                return bool(self.revisions)
            case "command":
                return self.asked()
            case "answer":
                return bool(self.receipts)
            case "parcel":
                return any(map(self.depot.waits, self.depot.accepted))
            case "ship event":
                return bool(self.depot.parcels)
        return True

    # -------------------------------------------------------------- what must hold

    def left_of(self, order: str, *, heard: bool = False) -> dict[str, int]:
        """Units of ours that have left, by the key of the row they were asked by."""
        known = {row.external_id for row in self.ask("SELECT external_id FROM shipments")}
        left: dict[str, int] = defaultdict(int)
        for parcel in self.depot.parcels:
            own = parcel.reference.startswith(f"truecount:shop:{order}:")
            for line in parcel.lines if own and (not heard or parcel.key in known) else ():
                left[line.line] += line.quantity * FACTORS[line.sku]
        return left

    def given_up(self, order: str) -> dict[str, int]:
        """Units that will not come, and that we have not heard of: nobody has them any more."""
        known = {row.external_id for row in self.ask("SELECT external_id FROM shipments")}
        lost: dict[str, int] = defaultdict(int)
        for parcel in self.depot.parcels:
            own = parcel.reference.startswith(f"truecount:shop:{order}:")
            if own and parcel.key not in known:
                for line, units in self.depot.given_up.get(parcel.key, {}).items():
                    lost[line] += units
        return lost

    def free(self, sku: str) -> int:
        """Units on the shelf that nobody was promised; what has left was promised before."""
        word, factor = WORDS[sku]
        free = self.depot.shelf[word] * factor
        for row in self.ask(ROWS):
            if row.sku == sku:
                gone = self.left_of(row.external_id)[row.key]
                gone += self.given_up(row.external_id)[row.key]
                if not self.let_be(row.external_id):
                    free -= max(0, row.ordered - row.cancelled - row.short - gone)
        return free

    def let_be(self, order: str) -> bool:
        """Its buyer has cancelled it and the warehouse has let it be, whether we have heard so
        or not: its units are on the shelf, and a net number may say so before its answer."""
        asked = [key for key in self.depot.accepted if key.startswith(f"truecount:shop:{order}:")]
        cancelled = self.newest[order].cancelled_at is not None
        return cancelled and bool(asked) and not any(map(self.depot.waits, asked))

    def sellable(self, sku: str) -> int:
        with self.engine.connect() as connection:
            work = Work.begin(connection, self.network, SEAL, self.now)
            return stock.terms_of(work, sku, "main").sellable

    @invariant()
    def nothing_is_sold_that_is_not_there(self) -> None:
        for sku in WORDS:
            assert self.sellable(sku) <= self.free(sku), (sku, self.sellable(sku), self.free(sku))

    @invariant()
    def a_line_is_what_its_kit_is_made_of(self) -> None:
        lines: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for row in self.ask(ROWS):
            assert row.ordered % row.factor == 0
            lines[row.external_id, row.parent or row.key][row.sku] = row.factor
        for (order, line), made_of in lines.items():
            sku = {one.key: one.sku for one in self.newest[order].lines}[line]
            assert made_of == NEEDS[sku], (order, line, made_of)

    @invariant()
    def whole_kits_only_are_claimed(self) -> None:
        """Until a warehouse has taken one apart."""
        kits: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for row in self.ask(f"{ROWS} WHERE l.kit <> ''"):
            kits[row.external_id, row.parent].append(row)
        for (order, _), rows in kits.items():
            touched = self.ask(
                "SELECT 1 FROM claims WHERE state IN ('shipped', 'missing', 'ended') AND line_id"
                f" IN ({', '.join(str(row.id) for row in rows)}) LIMIT 1"
            )
            again = self.ask(
                "SELECT 1 FROM claims WHERE state = 'released' AND shipped_seen_at IS NOT NULL"
                f" AND line_id IN ({', '.join(str(row.id) for row in rows)}) LIMIT 1"
            )
            whole = {row.claimed / row.factor for row in rows}
            assert touched or again or len(whole) == 1, (order, rows)

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
    def the_channel_has_heard_of_what_left_whole(self) -> None:
        told: dict[tuple[str, str], int] = defaultdict(int)
        wanted = "kind = 'confirm_shipment' AND state != 'taken_back'"
        for row in self.ask(f"SELECT key, record FROM outbox WHERE {wanted}"):
            record = from_json(ConfirmShipment, SEAL.open(row.record, commands.aad(row.key)))
            for line in record.lines:
                told[record.order, line.line] += line.quantity
        states = {row.external_id: row.state for row in self.ask("SELECT * FROM orders")}
        for order in self.newest.values():
            left = self.left_of(order.key, heard=True)
            for line in order.lines:
                needs = NEEDS[line.sku]
                if needs == {line.sku: 1}:
                    whole = left[line.key]
                else:
                    whole = min(left[f"{line.key}/{sku}"] // n for sku, n in needs.items())
                # A channel that cancelled it wants to hear of no parcel, though one may have left.
                if states[order.key] == "cancelled" or order.cancelled_at is not None:
                    assert told[order.key, line.key] <= whole
                else:
                    assert told[order.key, line.key] == whole, (order.key, line.key, told, left)

    @invariant()
    def the_warehouse_has_no_order_twice(self) -> None:
        for row in self.ask(ROWS):
            own = f"truecount:shop:{row.external_id}:"
            factor = WORDS[row.sku][1]
            waits = sum(
                lines.get(row.key, ("", 0))[1] * factor
                for key, lines in self.depot.accepted.items()
                if key.startswith(own)
            )
            assert waits + self.left_of(row.external_id)[row.key] <= row.ordered

    def teardown(self) -> None:
        """Everything arrives in the end, and then the number is exact again (G8)."""
        if not hasattr(self, "engine"):
            return
        for _ in range(200):
            if not self.asked() and not self.receipts:
                break
            self.take()
            while self.receipts:
                self.an_answer_arrives(0)
        for number in range(len(self.depot.parcels)):
            self.a_ship_event_arrives(number)
        for _ in range(2):
            for word in ("T", "PAIR"):
                self.a_reading_begins(word, lands=True)
            self.nothing_is_sold_that_is_not_there()
            self.the_channel_has_heard_of_what_left_whole()
        assert self.ask("SELECT id FROM claims WHERE state = 'shipped'") == []
        for sku, (word, factor) in WORDS.items():
            [[waiting]] = self.ask(
                "SELECT coalesce(sum(units), 0) FROM claims WHERE state IN ('open', 'missing')"
                f" AND sku = '{sku}'"
            )
            doubt = self.depot.shelf[word] * factor - int(waiting) - self.sellable(sku)
            assert self.asked() or doubt == 0, (sku, doubt)
        self.engine.dispose()


KitsInATrueWarehouse.TestCase.settings = lasting(
    KitsInATrueWarehouse, examples=25, steps=STEPS, soak=1_350, promised=50_000
)
TestKitsInATrueWarehouse = KitsInATrueWarehouse.TestCase
