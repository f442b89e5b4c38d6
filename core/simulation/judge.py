"""What must hold: after every step against the true state of the systems, and at the end exactly.

The judge believes no number of ours. What lies in the warehouse, what was sold, shipped
and booked is asked of the fakes; the database is only asked what the daemon believes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta

import httpx
from sqlalchemy import Connection

from core import retention, stock
from core.app import App
from core.breaker import PAUSE_LONGEST_S
from core.clock import stamp
from core.lifecycle import revision_key
from core.prove import prove
from core.serving import hook_spec
from core.simulation.expected import Expected
from core.simulation.loop import VirtualLoop
from core.simulation.machine import Machine
from core.simulation.mailing import Sender
from core.simulation.rest import Rest, rows_of
from core.simulation.scenario import Scenario
from core.simulation.truth import Truth
from core.simulation.wires import Network
from core.simulation.world import World
from core.steps import Steps
from core.web.receiver import IDENTITY_JOINT
from core.work import Work

#: So many findings of one run are worth reading.
FOUND_MAX = 20
#: What is kept for a day is looked for by the hour, by a clock that may be set by one.
FORGOTTEN_AFTER = timedelta(days=1, hours=3)
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
        sender: Sender | None = None,
    ) -> None:
        self._scenario = scenario
        self._sender = sender
        self._truth = Truth(scenario, world)
        expected = Expected(scenario, world, machine.clock.now)
        self._rest = Rest(scenario, world, self._truth, expected)
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
        for what in self._truth.broken():
            self.wrong(what)

    # -------------------------------------------------------------- now and then, inside

    def acknowledged(self, system: str, headers: Mapping[str, str], body: bytes) -> None:
        """We said 2xx to this push: it is kept from now on (G1)."""
        app = self._machine.app
        spec = (
            hook_spec(app.config.systems[system], app.config.listen.public_url)
            if app is not None
            else None
        )
        if spec is None:
            return
        words = {name.lower(): value for name, value in headers.items()}
        topic = words[spec.topic_header] if spec.topic_header else spec.topic_always
        if topic in spec.topics or spec.topic_always:
            identity = IDENTITY_JOINT.join(words[name] for name in spec.identity)
            if not spec.identity:
                identity = hashlib.sha256(body).hexdigest()
            self._acknowledged[system, topic, identity] = self._loop.time()

    def ready(self, app: App) -> None:
        """A daemon has started: what was acknowledged before is there."""
        with app.store.snapshot() as connection:
            for what in self._forgotten(connection):
                self.wrong(what)

    def _forgotten(self, connection: Connection) -> Iterator[str]:
        rows = rows_of(connection, "SELECT system, topic, identity FROM inbox WHERE pushes > 0")
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

    def look_inside(self, *, at_rest: bool = False) -> None:
        """`at_rest`: everything that was said has been heard."""
        app = self._machine.app
        if app is None:
            return
        with app.store.snapshot() as connection:
            unheard = Counter[str]() if at_rest else self._given_up_unheard(connection)
            for what in (*self._inside(connection), *self._believed(app, connection, unheard)):
                self.wrong(what)

    def _given_up_unheard(self, connection: Connection) -> Counter[str]:
        """Units that a net number has back, of orders the warehouse has cancelled and we have
        not heard of (H16): until then nobody can know whose they are."""
        if self._scenario.basis != "available":
            return Counter()
        gone = {
            one["reference"] for one in self._world.depot.orders() if one["state"] == "cancelled"
        }
        rows = rows_of(
            connection,
            "SELECT sku, units, key FROM claims JOIN outbox USING (order_id)"
            " WHERE claims.state = 'open' AND accepted_at IS NOT NULL AND kind = 'fulfill_order'",
        )
        units = Counter[str]()
        for row in rows:
            units[row.sku] += row.units if row.key in gone else 0
        return units

    def _believed(self, app: App, connection: Connection, unheard: Counter[str]) -> Iterator[str]:
        """G7: the units of all locations together are no more than came in and have not gone."""
        now = self._machine.clock.now()
        work = Work(connection, app.network, app.seal, now, Steps(now))
        rows = rows_of(
            connection, "SELECT sku, sum(claimed + consumed) AS n FROM lines GROUP BY sku"
        )
        ours: Counter[str] = Counter({row.sku: int(row.n) for row in rows})
        for sku, received in self._world.received.items():
            terms = [stock.terms_of(work, sku, place) for place in app.network.locations]
            units = sum(one.supply - one.claimed - one.doubt for one in terms)
            if units + ours[sku] > received + unheard[sku]:
                yield (
                    f"G7: {units} {sku} count as sellable and {ours[sku]} as claimed or gone, of"
                    f" {received}"
                )

    def _inside(self, connection: Connection) -> Iterator[str]:
        broken = rows_of(
            connection,
            "SELECT order_id, key FROM lines WHERE min(claimed, short, consumed, cancelled) < 0"
            " OR ordered <> claimed + short + consumed + cancelled",
        )
        yield from (f"G6: a unit is lost in order {row.order_id} line {row.key}" for row in broken)
        for row in rows_of(connection, "SELECT system, external_id, revision FROM orders"):
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
            left = list(self._rest.on_the_way(connection, self._acted_at))
        if self._sender is not None:
            left += self._sender.post.not_gone(self._machine.clock.now())
        return left

    def at_the_end(self) -> None:
        """Everything is at rest: now it must be true to the unit and to the document."""
        app = self._machine.app
        assert app is not None
        self.look()
        self.look_inside(at_rest=True)
        for what in self._asked_in_vain():
            self.wrong(what)
        if self._sender is not None:
            deaths = self._machine.lives - 1 + len(self._scenario.shocks)
            for what in self._sender.post.gone_twice(deaths):
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
        known = rows_of(connection, "SELECT * FROM orders")
        by_id = {row.id: (row.system, row.external_id) for row in known}
        for row in rows_of(connection, "SELECT * FROM outbox WHERE state = 'dead'"):
            if by_id[row.order_id] not in cancelled:  # a buyer who cancels what has left
                yield f"{row.kind} to {row.system} was given up: {row.words}"
        yield from self._forgotten(connection)
        if self._scenario.business.forgets:
            yield from self._remembered(connection)
        yield from self._truth.orders(known)

    def _remembered(self, connection: Connection) -> Iterator[str]:
        """G20: raw payloads and buyers are forgotten after a day, and an hour or two."""
        limit = stamp(self._machine.clock.now() - FORGOTTEN_AFTER)
        raw = (
            "SELECT count(*) AS n FROM inbox WHERE body IS NOT NULL AND state <> 'pending'"
            " AND received_at < :limit"
        )
        buyers = (
            "SELECT count(*) AS n FROM orders WHERE state IN ('shipped', 'cancelled')"
            " AND doc_hash <> :gone AND changed_at < :limit"
        )
        for what, sql, words in (
            ("raw payloads", raw, {"limit": limit}),
            ("buyers", buyers, {"limit": limit, "gone": retention.GONE}),
        ):
            [row] = rows_of(connection, sql, **words)
            if row.n:
                yield f"G20: {row.n} {what} are kept since before {limit}"
