"""What must hold: after every step against the true state of the systems, and at the end exactly.

The judge believes no number of ours. What lies in the warehouse, what was sold, shipped
and booked is asked of the fakes; the database is only asked what the daemon believes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from sqlalchemy import Connection, text

from core.app import App
from core.breaker import PAUSE_LONGEST_S
from core.clock import unstamp
from core.fake import Sold
from core.lifecycle import revision_key
from core.prove import prove
from core.serving import hook_spec
from core.simulation.loop import VirtualLoop
from core.simulation.machine import Machine
from core.simulation.people import order_of
from core.simulation.scenario import Scenario
from core.simulation.wires import Network
from core.simulation.world import World
from core.store.schema import ENDED
from core.web.receiver import IDENTITY_JOINT

#: So many findings of one run are worth reading.
FOUND_MAX = 20
#: Calls to a system that does not answer: until that is known, at each start, and later.
PROBES_FIRST, PROBES_A_LIFE, PROBE_S = 30, 15, PAUSE_LONGEST_S


class Judge:
    """`found` is what did not hold. `ended` is set with the first of it."""

    def __init__(
        self,
        scenario: Scenario,
        world: World,
        network: Network,
        machine: Machine,
        loop: VirtualLoop,
    ) -> None:
        self._scenario = scenario
        self._world = world
        self._network = network
        self._machine = machine
        self._loop = loop
        self._revisions: dict[tuple[str, str], str] = {}
        self._acknowledged: dict[tuple[str, str, str], float] = {}  # since when
        self._acted_at = machine.clock.now()
        self.found: list[str] = []
        self.ended = asyncio.Event()

    def wrong(self, what: str) -> None:
        said = f"at {self._loop.time():.3f} s: {what}"
        if len(self.found) < FOUND_MAX and what not in (
            one.partition(": ")[2] for one in self.found
        ):
            self.found.append(said)
        self.ended.set()

    def bug(self, said: str) -> None:
        """The daemon itself says that its own code failed."""
        self.wrong(f"a fault of our own: {said}")

    # -------------------------------------------------------------- after every step

    def after_call(self, system: str, request: httpx.Request, status: int) -> None:  # noqa: ARG002
        if request.method != "GET":
            self.look()

    def acted(self) -> None:
        """Somebody did something out there."""
        self._acted_at = self._machine.clock.now()
        self.look()

    def look(self) -> None:
        """The truth outside, after every step of anybody."""
        for what in self._outside():
            self.wrong(what)

    def _outside(self) -> Iterator[str]:
        yield from (f"G3, G9: booked twice: {one}" for one in self._world.books.duplicates())
        for row in self._world.depot.stock():
            free = row["available"]
            if free is None:
                free = row["on_hand"] - row["allocated"]
            if free < 0:
                yield f"G6, G7: {-free} {row['sku']} more were asked for than there are"
        if self._scenario.policy == "split":
            yield from self._shown_twice()

    def _shown_twice(self) -> Iterator[str]:
        """G8: under `split` what all channels may still sell, and have sold, is there."""
        shown: Counter[str] = Counter()
        for channel in self._world.channels.values():
            shown.update(channel.shown())
        for sku, received in self._world.received.items():
            gone = self._taken[sku]
            if shown[sku] and shown[sku] + gone > received:
                yield (
                    f"G8: {shown[sku]} {sku} are for sale and {gone} sold or gone, of {received}"
                )

    @property
    def _taken(self) -> Counter[str]:
        """Units that were sold and not cancelled, or have left all the same."""
        left = self._left()
        taken: Counter[str] = Counter()
        for name, channel in self._world.channels.items():
            for order in channel.sold():
                taken.update(left[name, order.id] if order.cancelled else order.lines)
        return taken

    def _left(self) -> Mapping[tuple[str, str], Counter[str]]:
        """(channel, order) -> units that have left the warehouse."""
        left: dict[tuple[str, str], Counter[str]] = {}
        for parcel in self._world.depot.shipments():
            units = left.setdefault(order_of(parcel["reference"]), Counter())
            for line in parcel["lines"]:
                units[line["sku"]] += line["quantity"]
        return _Missing(left)

    # -------------------------------------------------------------- now and then, inside

    def acknowledged(self, system: str, headers: Mapping[str, str]) -> None:
        """We said 2xx to this push: it is kept from now on (G1)."""
        app = self._machine.app
        spec = hook_spec(app.config.systems[system]) if app is not None else None
        if spec is None:
            return
        words = {name.lower(): value for name, value in headers.items()}
        topic = words[spec.topic_header]
        if topic in spec.topics:
            identity = IDENTITY_JOINT.join(words[name] for name in spec.identity)
            self._acknowledged[system, topic, identity] = self._loop.time()

    def ready(self, app: App) -> None:
        """A daemon has started: what was acknowledged before is there."""
        with app.store.snapshot() as connection:
            for what in self._forgotten(connection):
                self.wrong(what)

    def _forgotten(self, connection: Connection) -> Iterator[str]:
        rows = _rows(connection, "SELECT system, topic, identity FROM inbox WHERE pushes > 0")
        there = {tuple(row) for row in rows}
        for key in self._acknowledged:
            if key not in there:
                yield f"G1: acknowledged and not kept: {key}"

    def restored(self, taken_s: float) -> None:
        """The state is that of a backup: what it cannot know is not asked of it."""
        self._revisions.clear()
        self._acknowledged = {
            key: at_s for key, at_s in self._acknowledged.items() if at_s < taken_s
        }

    def look_inside(self) -> None:
        app = self._machine.app
        if app is None:
            return
        with app.store.snapshot() as connection:
            for what in self._inside(connection):
                self.wrong(what)

    def _inside(self, connection: Connection) -> Iterator[str]:
        broken = _rows(
            connection,
            "SELECT order_id, key FROM lines WHERE min(claimed, short, consumed, cancelled) < 0"
            " OR ordered <> claimed + short + consumed + cancelled",
        )
        yield from (f"G6: a unit is lost in order {row.order_id} line {row.key}" for row in broken)
        for row in _rows(connection, "SELECT system, external_id, revision FROM orders"):
            key = (row.system, row.external_id)
            known = self._revisions.get(key, "")
            if known and revision_key(row.revision) < revision_key(known):
                yield f"G4: order {row.external_id} of {row.system} fell back to {row.revision}"
            self._revisions[key] = row.revision

    # -------------------------------------------------------------- at the end

    def unsettled(self) -> list[str]:
        """What is still on its way, though everything works again."""
        app = self._machine.app
        if app is None:
            return ["the daemon is not ready"]
        with app.store.snapshot() as connection:
            return list(self._on_the_way(connection))

    def _on_the_way(self, connection: Connection) -> Iterator[str]:
        pending = _rows(connection, "SELECT system FROM inbox WHERE state = 'pending'")
        if pending:
            yield f"{len(pending)} records wait to be decided"
        for row in _rows(connection, "SELECT * FROM outbox"):
            if row.state in (*ENDED, "dead"):
                continue
            yield f"{row.kind} to {row.system} is {row.state}: {row.words}"
        yield from self._not_read(connection)
        known = {
            (row.system, row.external_id): row for row in _rows(connection, "SELECT * FROM orders")
        }
        open_units = Counter(
            {
                row.sku: int(row.units)
                for row in _rows(
                    connection,
                    "SELECT sku, sum(units) AS units FROM claims WHERE state = 'open' GROUP BY sku",
                )
            }
        )
        for name, channel in self._world.channels.items():
            for order in channel.sold():
                row = known.get((name, order.id))
                if row is None:
                    yield f"G2: order {order.id} of {name} was never captured"
                elif word := self._unfinished(order, row.state, open_units):
                    yield f"order {order.id} of {name} is {row.state}: {word}"
        yield from self._not_shown(open_units)

    def _not_read(self, connection: Connection) -> Iterator[str]:
        """Every owner is to be read completely once, begun after the last that anybody did."""
        for row in _rows(connection, "SELECT system, resource, complete_began_at FROM cursors"):
            if row.complete_began_at is None or unstamp(row.complete_began_at) < self._acted_at:
                yield f"{row.system} was not read for {row.resource} since {self._acted_at}"

    def _unfinished(self, order: Sold, state: str, open_units: Counter[str]) -> str:
        if order.cancelled:
            return "" if state in ("cancelled", "shipped") else "its buyer has cancelled it"
        if not order.paid or state == "shipped":
            return ""
        if state == "held" and any(self._free(sku, open_units) <= 0 for sku in order.lines):
            return ""  # it waits for stock
        return "it is paid and not shipped"

    def _free(self, sku: str, open_units: Counter[str]) -> int:
        on_hand: int = self._world.depot.on_hand(sku)
        return on_hand - open_units[sku] - self._scenario.safety

    def _not_shown(self, open_units: Counter[str]) -> Iterator[str]:
        """G8: every channel shows the computed number.

        Where a pool is divided it is not all shown: an outlet that has more than half of its
        part is left alone (ADR 0010).
        """
        shown = {name: channel.shown() for name, channel in self._world.channels.items()}
        for sku in self._scenario.skus:
            pool = max(0, self._free(sku, open_units))
            numbers = {name: units[sku] for name, units in shown.items()}
            if self._scenario.policy == "shared" and set(numbers.values()) != {pool}:
                yield f"G8: {pool} {sku} are free, shown are {numbers}"
            total = sum(numbers.values())
            if self._scenario.policy == "split" and total > pool:
                yield f"G8: {pool} {sku} are free, divided are {numbers}"
            if max(numbers.values()) > pool or 2 * (total + len(numbers)) < pool:
                yield f"G8: {pool} {sku} are free, shown are {numbers}"

    def at_the_end(self) -> None:
        """Everything is at rest: now it must be true to the unit and to the document."""
        app = self._machine.app
        assert app is not None
        self.look()
        self.look_inside()
        for what in self._asked_in_vain():
            self.wrong(what)
        with app.store.snapshot() as connection:
            for what in self._finally(connection):
                self.wrong(what)
            proof = prove(connection, app.network, app.clock.now())
        for finding in proof.findings:
            self.wrong(f"prove: [{finding.id}] {finding.ref}: {finding.says}")

    def _asked_in_vain(self) -> Iterator[str]:
        """G11: a system that is long down is asked by one probe in five minutes."""
        for (outage, system), calls in self._network.in_vain.items():
            lasted_s = min(outage.ended_s, self._scenario.end_s) - outage.began_s
            most = PROBES_FIRST + PROBES_A_LIFE * self._machine.lives + 1.3 * lasted_s / PROBE_S
            if calls > most:
                yield f"G11: {system} was down {lasted_s / 3600:.1f} h and was asked {calls} times"

    def _finally(self, connection: Connection) -> Iterator[str]:
        cancelled = {
            (name, order.id)
            for name, channel in self._world.channels.items()
            for order in channel.sold()
            if order.cancelled
        }
        known = _rows(connection, "SELECT * FROM orders")
        by_id = {row.id: (row.system, row.external_id) for row in known}
        for row in _rows(connection, "SELECT * FROM outbox WHERE state = 'dead'"):
            if by_id[row.order_id] not in cancelled:  # a buyer who cancels what has left
                yield f"{row.kind} to {row.system} was given up: {row.words}"
        yield from self._forgotten(connection)
        yield from self._orders_outside(known)

    def _orders_outside(self, known: list[Any]) -> Iterator[str]:
        """Every order once in the warehouse's parcels, once in the books, once at its channel."""
        left = self._left()
        parcels: Counter[tuple[str, str]] = Counter()
        for parcel in self._world.depot.shipments():
            if parcel["lines"]:
                parcels[order_of(parcel["reference"])] += 1
        documents = Counter(
            (row["kind"], order_of(row.get("order_reference") or row["reference"]))
            for row in self._world.books.documents()
        )
        sold = {
            (name, order.id): order
            for name, channel in self._world.channels.items()
            for order in channel.sold()
        }
        for row in known:
            key = (row.system, row.external_id)
            order = sold[key]
            if not order.cancelled and any(
                left[key][sku] > units for sku, units in order.lines.items()
            ):
                yield f"G9: more of {key} has left than was ordered: {dict(left[key])}"
            if row.state != "shipped":
                continue
            wanted = {"sales_order": 1, "delivery": parcels[key], "invoice": 1}
            found = {kind: documents[kind, key] for kind in wanted}
            if order.cancelled:  # what left all the same is a person's affair
                wanted = {kind: min(found[kind], most) for kind, most in wanted.items()}
            if found != wanted:
                yield f"G9: of {key} the books have {found}, due are {wanted}"
            told = self._world.channels[row.system].parcels(row.external_id)
            if not order.cancelled and len(told) != parcels[key]:
                yield f"G9: {len(told)} parcels of {key} were told, {parcels[key]} have left"


class _Missing(dict[tuple[str, str], Counter[str]]):
    """An order nothing of which has left."""

    def __missing__(self, key: tuple[str, str]) -> Counter[str]:
        return Counter()


def _rows(connection: Connection, sql: str) -> list[Any]:
    return list(connection.execute(text(sql)).all())
