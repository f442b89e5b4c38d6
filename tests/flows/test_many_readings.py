"""A page of readings comes to what its rows come to one by one (S28), whatever is in it.

Two copies of one state get the same rows. One takes them up page by page, the other
in pages of one row. Afterwards every table is the same, row for row and step for step:
numbers, claims, exceptions, the feed, the counters, the inbox, the walk.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select, update
from sqlalchemy.event import listen, remove
from sqlalchemy.pool import NullPool

from core import (
    fulfillment,
    holds,
    in_force,
    inbox,
    intake,
    many_readings,
    orders,
    outcomes,
    page_facts,
    passes,
    shipments,
)
from core.clock import ManualClock
from core.contract import Item, Receipt
from core.inbox import Arrival
from core.intake import Intake, Outcome
from core.items import Alias, Items
from core.ledger import Source
from core.mapping.book import MappingBook
from core.model import Order, OrderLine, Payment, QuantityLine, Shipment
from core.money import Money
from core.network import Accepts, Location, Network, Owners
from core.plausible import Limits
from core.prove import prove
from core.seal import Seal, new_key
from core.store.engine import Store
from core.store.schema import inbox as inbox_table
from core.store.schema import metadata, outbox
from core.understanding import Understood
from core.work import Work

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SEAL = Seal(new_key())
EXAMPLES = int(os.environ.get("TRUECOUNT_EXAMPLES", "40"))
MAPPING = """\
mapping: whole_wms.stock_reading
version: 1
becomes: stock_reading
skip_when: kind is service
fields:
  sku:       sku | sku
  place:     place
  on_hand:   units | whole
  available: free | whole
  measured:  weight | number
  status:    status
  lot:       lot
  counter:   counter | whole
  as_of:     at | time
required: [sku, place]
"""
MOVED = """\
mapping: whole_wms.stock_movement
version: 1
becomes: stock_movement
key: id
fields:
  sku:     sku | sku
  place:   place
  units:   units | whole
  counter: counter | whole
  as_of:   at | time
required: [sku, place, units]
"""
ITEMS = Items(
    kits={"GIFT": {"TEA": 1, "MUG": 2}, "BOX": {"CAN": 6, "NEW": 1}},
    aliases=(Alias(system="depot", their_sku="PAIR", sku="MUG", factor=2),),
    many_words=frozenset({"shop"}),
)
SHELVES = ("TEA", "PAIR", "CAN", "POT", "JAR", "CUP", "LID", "PAN", "TIN", "URN")
WORDS = (*SHELVES, *SHELVES, "NEW", "Tea", "FRESH", "GIFT", "MUG", "ODD")
PLACES = ("EAST", "EAST", "EAST", "WEST", "WEST", "FAR", "SCRAP", "MOON")


def a_network(source: Source, limits: Limits) -> Network:
    places = {
        name: Location(
            name=name, at={"depot": at}, serves=("shop",), stock_owner=owner, ships="depot"
        )
        for name, at, owner in (
            ("main", "EAST", "depot"),
            ("annex", "WEST", "depot"),
            ("far", "FAR", "other"),
        )
    }
    owner = {("on_hand", name): place.stock_owner for name, place in places.items()}
    owner |= {("shipment", name): "depot" for name in places}
    return Network(
        company="Acme",
        zone=ZoneInfo("Europe/Berlin"),
        currency="EUR",
        locations=places,
        channels=("shop",),
        ledgers=(),
        sources={"depot": source, "other": Source(basis="on_hand", ordered_by="request")},
        accepts={("depot", "fulfill_order"): Accepts(safe_by="reference")},
        stock_writes={},
        ignored_places={"depot": frozenset({"SCRAP"})},
        limits={"depot": limits},
        owners=Owners(
            owner=owner | {("order", "shop"): "shop", ("available_to_sell", "shop"): "truecount"},
            readers={("claim", "company"): ("depot",)},
        ),
        items=ITEMS,
    )


# ------------------------------------------------------------------ what happens


@dataclass(frozen=True, slots=True)
class Row:
    """One object of the depot as a pass shows it, or no longer does."""

    word: str
    place: str
    units: Any
    counter: int = 7
    late: bool = False  # of the pass before this one
    other: bool = False  # a second object for the same shelf
    how: str = "sweep"  # sweep | fetch | absence | movement
    status: str = ""
    lot: str = ""
    kind: str = ""
    same: str = ""  # the status its object had before

    @property
    def item(self) -> str:
        status = self.same or self.status
        return f"{self.word}/{self.place}/{status}{self.lot}{'b' * self.other}"

    def body(self, basis: str, number: int) -> dict[str, Any]:
        units = "units" if basis == "on_hand" or self.how == "movement" else "free"
        if isinstance(self.units, float):
            units = "weight"
        at = START + timedelta(seconds=self.counter)
        said = {"sku": self.word, "place": self.place, units: self.units, "counter": self.counter}
        said |= {"at": at.isoformat(), "status": self.status, "lot": self.lot, "kind": self.kind}
        return said | {"id": f"{self.item}{number}"}


@dataclass(frozen=True, slots=True)
class Sold:
    """An order of one line, and how far it has come."""

    sku: str
    units: int
    fate: str  # waits | accepted | shipped | partly | missing


FAR_OFF = (-999, 99_999, -500, 50_000, 2.5, 3.0, 10**30, "many", None)
NUMBERS = st.one_of(
    st.integers(0, 9), st.integers(0, 9), st.sampled_from((0, -3)), st.sampled_from(FAR_OFF)
)
#: Most rows of a list are plain numbers of known shelves.
PLAIN = st.builds(
    Row,
    word=st.sampled_from(SHELVES),
    place=st.sampled_from(("EAST", "EAST", "WEST")),
    units=st.one_of(st.integers(0, 9), st.just(0)),
    counter=st.integers(7, 9),
)
ANY = st.builds(
    Row,
    word=st.sampled_from(WORDS),
    place=st.sampled_from(PLACES),
    units=NUMBERS,
    counter=st.integers(3, 9),
    late=st.booleans(),
    other=st.sampled_from((False, False, False, True)),
    how=st.sampled_from(("sweep", "sweep", "sweep", "sweep", "fetch", "absence", "movement")),
    status=st.sampled_from(("", "", "", "", "", "damaged")),
    lot=st.sampled_from(("", "", "", "", "", "L1")),
    kind=st.sampled_from(("", "", "", "", "", "service")),
)
ROWS = st.one_of(PLAIN, PLAIN, PLAIN, ANY)
SOLD = st.builds(
    Sold,
    sku=st.sampled_from(("TEA", "MUG", "CAN", "POT", "GIFT", "BOX", "NEW")),
    units=st.integers(1, 6),
    fate=st.sampled_from(("waits", "accepted", "shipped", "partly", "missing")),
)
SOURCES = st.builds(
    Source,
    basis=st.sampled_from(("on_hand", "on_hand", "available")),
    ordered_by=st.sampled_from(("counter", "as_of", "request")),
    snapshot=st.booleans(),
    missing_is_zero=st.booleans(),
    gapless=st.sampled_from((False, False, True)),
)
LIMITS = st.builds(
    Limits, gone_least=st.sampled_from((1, 3, 9)), gone_percent=st.sampled_from((25.0, 60.0))
)


# ------------------------------------------------------------------ one state, twice


_raw: list[sqlite3.Connection] = []
#: One for all states, for it remembers how each statement is written.
ENGINE = create_engine("sqlite://", creator=_raw.pop, poolclass=NullPool)


class Memory:
    """A store of which nothing has to be found again."""

    def __init__(self, image: bytes) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None)
        if image:
            self.raw.deserialize(image)
        _raw.append(self.raw)
        self.connection = ENGINE.connect().execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self.connection

    async def write(self, unit: Any) -> Any:
        return self.unit(unit)

    def unit(self, unit: Any) -> Any:
        self.connection.exec_driver_sql("BEGIN")
        found = unit(self.connection)
        self.connection.exec_driver_sql("COMMIT")
        return found


@dataclass
class Side:
    """One state and who decides in it. `page`: rows that are taken up together."""

    network: Network
    image: bytes
    page: int
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    pages: list[int] = field(default_factory=list)
    arrived: int = 0

    def __post_init__(self) -> None:
        self.store = Memory(self.image)
        self.intake = Intake(
            cast(Store, self.store),
            SEAL,
            self.clock,
            network=lambda: self.network,
            book=_book(),
            connectors={"depot": "whole_wms"},
            hears={},
            batch=min(self.page, intake.BATCH),
            page=self.page,
        )

    def at(self, seconds: int) -> datetime:
        self.clock.advance(seconds)
        return self.clock.now()

    def decide(self, unit: Any) -> Any:
        def one(connection: Connection) -> Any:
            work = Work.begin(connection, self.network, SEAL, self.at(1))
            found = unit(work)
            fulfillment.go_on(work)
            work.finish()
            return found

        return self.store.unit(one)

    def keeps(self, rows: Sequence[Row], began: datetime, before: datetime) -> None:
        """As a sweep does, all of them before any of them is decided."""
        basis = self.network.sources["depot"].basis
        arrivals, items = [], []
        for number, row in enumerate(rows, start=self.arrived):
            body = row.body(basis, number)
            resource = "stock_movement" if row.how == "movement" else "stock_reading"
            arrivals.append(
                Arrival(
                    system="depot",
                    via="sweep" if row.how == "movement" else row.how,
                    topic=resource,
                    identity=f"{row.item}@#{number}",
                    body=passes.NOTHING if row.how == "absence" else json.dumps(body).encode(),
                    resource=resource,
                    external_id=row.item,
                    received_at=self.clock.now(),
                    read_began_at=before if row.late else began,
                )
            )
            if row.how in ("sweep", "fetch"):
                items.append(Item(external_id=row.item, body={"row": number}))

        self.arrived += len(rows)

        def unit(connection: Connection) -> None:
            passes.changed(connection, "depot", "stock_reading", items, began)
            inbox.keep_many(connection, arrivals, SEAL)

        self.store.unit(unit)

    def takes_up(self) -> list[Outcome]:
        async def all_of_it() -> AsyncIterator[Outcome]:
            while True:
                rows, outcome = await self.intake.run_once()
                if not rows:
                    return
                self.pages.append(rows)
                yield outcome

        async def drained() -> list[Outcome]:
            return [outcome async for outcome in all_of_it()]

        return asyncio.run(drained())

    def replays(self, *, accepted: bool) -> None:
        """Half of what is held is tried again, by a person who says that it is true, or not."""

        def unit(work: Work) -> int:
            held = select(inbox_table.c.seq).where(inbox_table.c.state == "held")
            seqs = work.connection.execute(held.order_by(inbox_table.c.seq)).scalars().all()
            return intake.replay(work, seqs[::2], accepted=accepted)

        self.decide(unit)

    # -------------------------------------------------------------- the other side

    def sells(self, number: int, sold: Sold) -> None:
        price = Money(100, "EUR")
        order = Order(
            key=f"S{number}",
            number=f"#{number}",
            revision="1",
            placed_at=self.at(1),
            currency="EUR",
            total=price * sold.units,
            payment=Payment.PAID,
            lines=(OrderLine(key="1", sku=sold.sku, quantity=sold.units, unit_price=price),),
        )
        self.decide(lambda work: orders.take_order(work, "shop", order))
        command = self.asked()
        if command is None or sold.fate == "waits":
            return
        self.decide(lambda work: outcomes.done(work, command, Receipt(reference="W", counter=6)))
        if sold.fate != "accepted":
            parcel = self.parcel(number, command, sold)
            self.decide(lambda work: shipments.take_shipment(work, "depot", parcel))

    def asked(self) -> Any:
        """The newest command to the depot, if it is a new one."""

        def unit(connection: Connection) -> Any:
            ask = select(outbox).where(outbox.c.state == "queued", outbox.c.system == "depot")
            found = connection.execute(ask.order_by(outbox.c.id.desc()).limit(1)).one_or_none()
            connection.execute(update(outbox).values(state="done"))
            return found

        return self.store.unit(unit)

    def parcel(self, number: int, command: Any, sold: Sold) -> Shipment:
        rows = self.store.connection.exec_driver_sql(
            "SELECT key, sku, claimed FROM lines WHERE order_id = ? AND claimed > 0",
            (command.order_id,),
        ).all()
        gone = {"shipped": 9, "partly": 1, "missing": 0}[sold.fate]
        packed = [(row, min(row.claimed, gone)) for row in rows]
        return Shipment(
            key=f"P{number}",
            reference=command.key,
            place="EAST",
            shipped_at=self.clock.now(),
            counter=7,
            lines=tuple(
                QuantityLine(line=row.key, sku=row.sku, quantity=units)
                for row, units in packed
                if units
            ),
            complete=sold.fate != "partly",
        )

    # -------------------------------------------------------------- looking

    def copy(self, page: int) -> Side:
        other = Side(self.network, self.store.raw.serialize(), page, arrived=self.arrived)
        other.clock.advance((self.clock.now() - START).total_seconds())
        return other

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for table in metadata.sorted_tables:
            order = [table.c.seq] if table.name == "feed" else list(table.primary_key)
            columns = [one for one in table.c if one.name not in SEALED.get(table.name, ())]
            rows = self.store.connection.execute(select(*columns).order_by(*order))
            found[table.name] = [dict(row._mapping) for row in rows]
        return found

    def findings(self) -> list[str]:
        with self.store.read() as connection:
            return [one.says for one in prove(connection, self.network, self.clock.now()).findings]


#: Sealed anew each time; and of the feed the order matters, not how far it has counted.
SEALED = {
    "inbox": ("body", "headers"),
    "orders": ("doc",),
    "shipments": ("doc",),
    "outbox": ("record",),
    "feed": ("seq",),
}
_made: dict[str, Any] = {}


def _book() -> MappingBook:
    if "book" not in _made:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "whole_wms"
            folder.mkdir()
            for resource, text in (("stock_reading", MAPPING), ("stock_movement", MOVED)):
                (folder / f"{resource}.yaml").write_text(text)
            _made["book"] = MappingBook.load(Path(name), ["whole_wms"])
    book: MappingBook = _made["book"]
    return book


def an_empty_state() -> bytes:
    if "state" not in _made:
        memory = Memory(b"")
        metadata.create_all(memory.connection)
        _made["state"] = memory.raw.serialize()
    image: bytes = _made["state"]
    return image


def a_state(network: Network, shelves: Sequence[Row], sold: Sequence[Sold]) -> Side:
    """What went before, one row after another."""
    side = Side(network, an_empty_state(), 1)
    side.decide(in_force.put_in_force)
    side.decide(_waits_for_a_component)
    began = side.at(30)
    for row in shelves:
        side.keeps([row], began, began)
        side.takes_up()
    for number, one in enumerate(sold):
        side.sells(number, one)
    side.at(30)
    return side


def _waits_for_a_component(work: Work) -> None:
    words = {"reason": "NEW is in no house", "next_step": "", "label": "BOX", "ref": "BOX"}
    holds.open_hold(work, cause="unknown_component:NEW", system="", member="kit", **words)


def both(side: Side, rows: Sequence[Row], *, replayed: bool = False, page: int = 64) -> Side:
    """The rows on both sides; the one that took pages, after they were found to be equal."""
    together, alone = side.copy(page), side.copy(1)
    for one in (together, alone):
        before = one.clock.now()
        if replayed:
            one.replays(accepted=True)
        one.keeps(rows, one.at(60), before)
        one.at(1)
    steps = [
        [row["name"] for outcome in one.takes_up() for part in outcome.steps for row in part.rows]
        for one in (together, alone)
    ]
    ours, theirs = together.tables(), alone.tables()
    for name, found in theirs.items():
        assert ours[name] == found, name
    assert steps[0] == steps[1]
    assert together.findings() == alone.findings() == []
    return together


# ------------------------------------------------------------------ whatever is in it


@given(
    source=SOURCES,
    limits=LIMITS,
    shelves=st.lists(ROWS, max_size=12),
    sold=st.lists(SOLD, max_size=4),
    rows=st.lists(ROWS, min_size=10, max_size=40),
    replayed=st.booleans(),
)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="TRUECOUNT_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.generate] if "TRUECOUNT_EXAMPLES" in os.environ else list(Phase),
)
def test_s28_a_page_comes_to_what_its_rows_come_to(
    source: Source,
    limits: Limits,
    shelves: Sequence[Row],
    sold: Sequence[Sold],
    rows: Sequence[Row],
    replayed: bool,
) -> None:
    base = [Row(word, "EAST", 5, counter=6) for word in SHELVES]
    side = a_state(a_network(source, limits), [*base, *shelves], sold)
    together = both(side, rows, replayed=replayed)
    for row in together.tables()["inbox"][-len(rows) :]:
        event(f"{row['state']} {row['reason'][:20]}")


# ------------------------------------------------------------------ a long list


def a_list(count: int, units: int = 5, *, counter: int = 6) -> list[Row]:
    return [Row(f"SKU{number:03d}", "EAST", units, counter=counter) for number in range(count)]


COUNTED = Source(basis="on_hand", ordered_by="counter", snapshot=True)


def a_depot() -> Network:
    return a_network(COUNTED, Limits())


def states(side: Side) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in side.tables()["inbox"]:
        found[row["state"]] = found.get(row["state"], 0) + 1
    return found


def statements_of(side: Side) -> list[str]:
    found: list[str] = []

    def see(_: Any, __: Any, text: str, ___: Any, ____: Any, _____: Any) -> None:
        found.append(text)

    listen(ENGINE, "before_cursor_execute", see)
    try:
        side.takes_up()
    finally:
        remove(ENGINE, "before_cursor_execute", see)
    return found


def test_s28_a_page_costs_as_many_statements_as_a_few_rows() -> None:
    side = Side(a_depot(), an_empty_state(), many_readings.PAGE)
    for counter in (6, 7):
        began = side.at(60)
        side.keeps(a_list(256, counter, counter=counter), began, began)
        asked = statements_of(side)
        assert side.pages == [256, 256][: counter - 5]
        assert len(asked) < 45, asked
    assert {row["on_hand"] for row in side.tables()["stock"]} == {7}


def test_s28_h26_one_bad_row_is_one_exception_and_all_others_are_right() -> None:
    side = a_state(a_depot(), [], [])
    rows = a_list(300)
    rows[120] = replace(rows[120], units="many")
    side = both(side, rows, page=256)
    assert side.pages == [256, 44]
    assert states(side) == {"applied": 299, "held": 1}
    assert len([row for row in side.tables()["holds"] if row["system"] == "depot"]) == 1
    assert len(side.tables()["stock"]) == 299


def test_h26_a_number_that_no_table_holds_spoils_none_of_its_page() -> None:
    """It is likely, for nothing was known before; only the writing fails, of the whole page."""
    rows = a_list(40)
    rows[20] = Row("PAIR", "EAST", 2**62)
    side = both(a_state(a_depot(), [], []), rows)
    assert states(side) == {"applied": 39, "held": 1}


def test_s38_of_a_landslide_as_many_rows_as_before_are_decided_in_one_transaction() -> None:
    side = a_state(a_depot(), [], [])
    began = side.at(60)
    side.keeps(a_list(200), began, began)
    side.takes_up()
    side = both(side, a_list(200, 0, counter=7), page=256)
    assert side.pages == [49 + 64, 64, 23]  # 50 are believed, the first of them alone
    assert states(side) == {"applied": 250, "held": 150}
    [fall] = side.tables()["falls"]
    assert (fall["fell"], fall["known"]) == (50, 200)


def test_s28_an_item_that_is_in_very_many_kits_is_taken_up_alone() -> None:
    kits = {f"KIT{number}": {"SKU001": 1} for number in range(page_facts.KITS_MAX + 1)}
    network = replace(a_depot(), items=Items(kits=kits))
    side = both(a_state(network, [], []), a_list(3))
    assert len(side.tables()["feed"]) == 3 + len(kits)


def test_s28_a_kit_that_was_an_item_before_is_looked_at_with_its_parts() -> None:
    """Its own number is below zero, and that is an exception as soon as something moves it."""
    side = a_state(replace(a_depot(), items=Items()), [Row("GIFT", "EAST", -2)], [])
    side.store.connection.exec_driver_sql("DELETE FROM oversold")
    side.network = a_depot()
    rows = [Row("TEA", "EAST", 3), Row("POT", "EAST", 3)]
    assert [row["sku"] for row in both(side, rows).tables()["oversold"]] == ["GIFT"]


def test_h26_a_question_that_fails_leaves_every_row_to_itself() -> None:
    side = Side(a_depot(), an_empty_state(), 64)
    side.keeps(a_list(3), side.at(60), START)
    side.network = replace(a_depot(), sources={})
    side.takes_up()
    assert side.pages == [3]
    assert states(side) == {"held": 3}


def test_what_comes_between_readings_parts_them() -> None:
    """In the order they arrived: a parcel is decided after the numbers before it."""
    rows = [replace(one, how=how) for one, how in zip(a_list(6), HOWS, strict=True)]
    side = Side(a_depot(), an_empty_state(), 64)
    side.keeps(rows, side.at(60), START)
    with side.store.read() as connection:
        found = [Understood(row) for row in inbox.pending(connection, after=0, limit=9)]
    assert [len(part) for part in many_readings.parts(found)] == [2, 1, 3]
    assert many_readings.leading([one.row for one in found]) == 2
    assert many_readings.leading([]) == 0


HOWS = ("sweep", "fetch", "movement", "sweep", "absence", "sweep")


CASES: dict[str, tuple[Source, Sequence[Row], Sequence[Sold], Sequence[Row]]] = {
    "a claim ends": (
        COUNTED,
        [Row("CAN", "EAST", 5, 6)],
        [Sold("CAN", 2, "shipped")],
        [Row("CAN", "EAST", 3, 7), Row("POT", "EAST", 1, 7)],
    ),
    "an accepted claim is inside the number": (
        replace(COUNTED, basis="available"),
        [Row("CAN", "EAST", 5, 6)],
        [Sold("CAN", 4, "accepted")],
        [Row("CAN", "EAST", 1, 7), Row("POT", "EAST", 1, 7)],
    ),
    "units for one who waits": (
        COUNTED,
        [Row("CAN", "EAST", 2, 6)],
        [Sold("CAN", 4, "waits")],
        [Row("CAN", "EAST", 9, 7), Row("POT", "EAST", 1, 7)],
    ),
    "units for a kit that takes those of another item": (
        COUNTED,
        [Row("TEA", "EAST", 1, 6), Row("PAIR", "EAST", 3, 6)],
        [Sold("GIFT", 2, "waits")],
        [Row("TEA", "EAST", 4, 7), Row("PAIR", "EAST", 1, 7), Row("POT", "EAST", 1, 7)],
    ),
    "what was damaged is for sale again": (
        COUNTED,
        [Row("CAN", "EAST", 2, 6, status="damaged")],
        [],
        [Row("CAN", "EAST", 3, 7, status="good", same="damaged"), Row("POT", "EAST", 1, 7)],
    ),
    "a transfer whose first place is gone by now": (
        replace(COUNTED, missing_is_zero=True),
        [Row("CAN", "EAST", 5, 6), Row("CAN", "WEST", 1, 6)],
        [],
        [Row("CAN", "EAST", 0, how="absence"), Row("CAN", "WEST", 6, 7), Row("POT", "EAST", 1, 7)],
    ),
    "counting goes on from another item": (
        replace(COUNTED, gapless=True),
        [Row("CAN", "EAST", 2, 6), Row("CAN", "EAST", 1, 7, how="movement")],
        [],
        [Row("POT", "EAST", 1, 6), Row("POT", "EAST", 1, 6, late=True)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_s28_what_follows_from_a_number_follows_in_a_page(name: str) -> None:
    source, shelves, sold, rows = CASES[name]
    both(a_state(a_network(source, Limits()), shelves, sold), rows)


def test_s38_what_a_person_says_is_true_is_no_exception_any_more() -> None:
    shelves = [Row("CAN", "EAST", 5, 6), Row("CAN", "EAST", 50_000, 7)]
    side = a_state(a_depot(), shelves, [])
    assert states(side) == {"applied": 1, "held": 1}
    side = both(side, [Row("POT", "EAST", 1, 7)], replayed=True)
    assert side.pages == [2]
    assert states(side) == {"applied": 3}
