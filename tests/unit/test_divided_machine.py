"""A pool divided between true channels, over a true warehouse (G7, G8; H15-H17, H19, S1).

The ledger's machine, whose buyers now buy on channels that sell from their own numbers, and
refuse to sell beyond them. Readings, parcels, orders, our writes and their answers come late,
doubled, in any order, or never. Whatever the basis and the order of the readings: what all
channels together may still sell lies there, and is nobody's.

What a channel puts back by itself, several locations and kits are `test_escrow_machine.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant
from sqlalchemy.dialects.sqlite import insert

from core import catalog, dividing, offers, quotas
from core.clock import stamp
from core.contract import Offer, OfferResult
from core.escrow import Write
from core.ledger import Basis, Ordering, Source
from core.model import Listing, Order
from core.network import Accepts, Location, Network, Owners, StockWrite
from core.pools import Pools
from core.store.schema import cursors
from core.work import Work
from tests.machines import lasting
from tests.unit.test_escrow_machine import Attempt, Channel
from tests.unit.test_ledger_machine import TrueWarehouse, an_order

NAMES = ("shop", "market", "kiosk")
STEPS = 60
#: What happens on one of the channels, and to what we tell it.
ONE = (
    *("sale", "sale", "sale", "sale", "sale", "sale", "all heard", "all heard", "write", "write"),
    *("write", "arrives", "told", "told", "told", "told", "lost", "look", "seen"),
)
#: What happens in the warehouse, each no more often than it must.
WAREHOUSE = (
    *("goods", "goods", "reading", "reading", "old reading", "movement", "change", "old push"),
    *("command", "answer", "parcel", "ship event"),
)


def divided_network(source: Source, writes: Sequence[Write]) -> Network:
    names = NAMES[: len(writes)]
    main = Location(
        name="main", at={"depot": "EAST"}, serves=names, stock_owner="depot", ships="depot"
    )
    owner = {("on_hand", "main"): "depot", ("shipment", "main"): "depot"}
    owner |= {("order", name): name for name in names}
    owner |= {("available_to_sell", name): "truecount" for name in names}
    owner |= {("claim", "company"): "truecount"}
    readers = {("claim", "company"): ("depot",), ("shipment", "main"): names}
    readers |= {("available_to_sell", name): (name,) for name in names}
    accepts = {
        ("depot", "fulfill_order"): Accepts(safe_by="reference"),
        ("depot", "cancel_fulfillment"): Accepts(safe_by="lookup"),
    }
    accepts |= {(name, "confirm_shipment"): Accepts(safe_by="reference") for name in names}
    return Network(
        company="Acme",
        zone=ZoneInfo("Europe/Berlin"),
        currency="EUR",
        locations={"main": main},
        channels=names,
        ledgers=(),
        sources={"depot": source},
        accepts=accepts,
        stock_writes={
            name: StockWrite(write=write, field="net", batch=50)
            for name, write in zip(names, writes, strict=True)
        },
        owners=Owners(owner=owner, readers=readers),
        publication="split",
    )


class DividedWarehouse(TrueWarehouse):
    actions = (*WAREHOUSE, *ONE, "heard", "heard")

    @initialize(
        basis=st.sampled_from(["on_hand", "available"]),
        ordered_by=st.sampled_from(["counter", "as_of", "request"]),
        shelf=st.integers(1, 12),
        moving=st.booleans(),
        omits=st.booleans(),
        # A gross field needs to know of parcels: `tests/flows/test_gross_field.py` plays it.
        writes=st.lists(
            st.sampled_from(("conditional", "relative", "absolute", "absolute")),
            min_size=2,
            max_size=3,
        ),
        tells=st.booleans(),
    )
    def open_up(
        self,
        basis: Basis,
        ordered_by: Ordering,
        shelf: int,
        moving: bool,
        omits: bool,
        writes: list[Write] = (),  # type: ignore[assignment]
        tells: bool = False,
    ) -> None:
        self.channels = {
            name: Channel(
                write=write,
                serves=frozenset({"main"}),
                needs={"TEA": 1},
                weight=1,
                floors=True,
                tells=tells,
            )
            for name, write in zip(NAMES, writes, strict=False)
        }
        self.sold_on: dict[str, str] = {}
        self.sent: dict[str, Offer] = {}
        super().open_up(basis, ordered_by, shelf, moving, omits)
        for name in self.channels:  # it opens on a day when everything is told
            self.somebody_looks(name)
            self.it_is_seen(name)
            self.all_orders_are_heard(name)
        for name in self.channels:
            if self.a_write_leaves(name):
                self.a_write_arrives(name)
                self.its_answer_comes(name)

    def network_with(self, source: Source) -> Network:
        return divided_network(source, [one.write for one in self.channels.values()])

    def channel_of(self, order: str) -> str:
        return self.sold_on[order]

    # -------------------------------------------------------------- buyers

    def it_sells(self, name: str, units: int) -> None:
        channel = self.channels[name]
        units = min(units, channel.number)
        order = an_order(len(self.newest) + 1, 1, units, self.now)
        self.sold_on[order.key] = name
        channel.number -= units
        self.keep(order)

    def keep(self, order: Order) -> None:
        self.revisions.append(order)
        self.newest[order.key] = order

    def the_buyer_changes_it(self, which: int, units: int, told: bool) -> None:
        """Fewer, or none. The channel does not put them back; what it wants more of it sells."""
        key = self.open()[which % len(self.open())]
        old = self.newest[key]
        new = an_order(
            int(key[1:]), int(old.revision) + 1, min(units, old.lines[0].quantity), old.placed_at
        )
        if units == 0:
            new = replace(old, revision=new.revision, cancelled_at=self.now)
        self.keep(new)
        if told:
            self.hears(new)

    def unheard(self, name: str = "") -> list[Order]:
        return [
            order
            for key, order in self.newest.items()
            if int(order.revision) > self.told.get(key, 0) and name in ("", self.sold_on[key])
        ]

    def all_orders_are_heard(self, name: str) -> None:
        """A whole pass over the orders of a channel."""
        self.seconds_pass()
        began = self.now
        for order in self.unheard(name):
            self.hears(order)
        values = {"complete_began_at": stamp(began), "due_at": stamp(began)}
        statement = insert(cursors).values(system=name, resource="order", **values)
        statement = statement.on_conflict_do_update(
            index_elements=["system", "resource"], set_=values
        )
        self.decide(lambda work: work.connection.execute(statement) and None)

    def seconds_pass(self) -> None:
        self.decide(lambda work: None)

    # -------------------------------------------------------------- what we tell them

    def a_write_leaves(self, name: str) -> bool:
        def unit(work: Work) -> list[Offer]:
            wanted = offers.wanted(work, name, ["TEA"], Pools().decided(work, {}, frozenset()))
            for division in wanted.divisions.values():
                dividing.begin(work, division)
            for offer in wanted.offers:
                outlet = wanted.divisions[offer.sku].outlets[name, offer.listing, offer.place]
                quotas.intend(work, name, offer, outlet.quota)
            return wanted.offers

        for offer in self.decide(unit):
            expected = None if self.channels[name].write == "absolute" else offer.shown
            self.channels[name].attempt = Attempt(offer.quantity, expected, self.now)
            self.sent[name] = offer
        return name in self.sent

    def a_write_arrives(self, name: str) -> None:
        channel = self.channels[name]
        assert channel.attempt is not None
        channel.attempt.answer = channel.attempt.answer or channel.take(channel.attempt)

    def its_answer_comes(self, name: str) -> None:
        attempt, offer = self.channels[name].attempt, self.sent.pop(name)
        assert attempt is not None
        assert attempt.answer is not None
        self.channels[name].attempt = None
        taken, number = attempt.answer
        result = OfferResult(
            listing=offer.listing,
            place=offer.place,
            outcome="accepted" if taken else "stale",
            shown=number,
        )
        sent_at = attempt.sent_at
        self.decide(lambda work: quotas.answered(work, name, [(offer, result)], sent_at))

    def its_answer_is_lost(self, name: str) -> None:
        self.channels[name].attempt = None
        offer = self.sent.pop(name)
        row = {"listing": offer.listing, "place": offer.place, "sku": offer.sku}
        self.decide(lambda work: quotas.lose(work.connection, name, [row], work.now))

    def somebody_looks(self, name: str) -> None:
        self.seconds_pass()
        channel = self.channels[name]
        channel.reading = (channel.number, self.now)

    def it_is_seen(self, name: str) -> None:
        reading, self.channels[name].reading = self.channels[name].reading, None
        assert reading is not None
        shown, began = reading
        listing = Listing(key="TEA", sku="TEA", shown=shown)
        self.decide(lambda work: catalog.take_listing(work, name, listing, began, "TEA"))

    # -------------------------------------------------------------- one thing after another

    def happens(self, what: str, which: int, units: int, at_once: bool) -> None:
        if what == "heard":
            waiting = self.unheard()
            self.hears(waiting[which % len(waiting)])
            return
        able = self.able(what)
        if not able:
            super().happens(what, which, units, at_once)
            return
        name = able[which % len(able)]
        match what:
            case "sale":
                self.it_sells(name, units or 1)
            case "all heard":
                self.all_orders_are_heard(name)
            case "write":
                any(self.a_write_leaves(one) for one in able[which % len(able) :] + able)
            case "arrives":
                self.a_write_arrives(name)
            case "told":
                self.a_write_arrives(name)
                self.its_answer_comes(name)
            case "lost":
                if at_once:
                    self.a_write_arrives(name)
                self.its_answer_is_lost(name)
            case "look":
                self.somebody_looks(name)
            case "seen":
                self.it_is_seen(name)

    def able(self, what: str) -> list[str]:
        """Channels where this can happen now."""
        found = []
        for name, one in self.channels.items():
            can = {
                "sale": one.number > 0,
                "all heard": True,
                "write": one.attempt is None,
                "arrives": one.attempt is not None and one.attempt.answer is None,
                "told": one.attempt is not None,
                "lost": one.attempt is not None,
                "look": one.attempt is None,
                "seen": one.reading is not None,
            }
            if can.get(what):
                found.append(name)
        return found

    def can(self, what: str) -> bool:
        if what == "heard":
            return bool(self.unheard())
        if what in ONE:
            return bool(self.able(what))
        return super().can(what)

    # -------------------------------------------------------------- what must hold

    def there(self) -> int:
        """Units on the shelf that nobody has bought, whether we have heard of it or not."""
        there = self.depot.shelf
        for key, order in self.newest.items():
            if key not in self.depot.given_up:
                wanted = 0 if order.cancelled_at else order.lines[0].quantity
                there -= max(wanted - self.left_of(key), self.waits_for(key))
        return there

    @invariant()
    def no_unit_is_shown_twice(self) -> None:
        shown = {name: one.number for name, one in self.channels.items()}
        assert sum(shown.values()) <= self.there(), (shown, self.there())

    @invariant()
    def no_channel_brings_more_than_its_ceiling(self) -> None:
        for quota in self.ask("SELECT system, ceiling, pending FROM quotas"):
            brings = self.channels[quota.system].number
            for order in self.unheard(quota.system):
                if order.key not in self.told and not order.cancelled_at:
                    brings += order.lines[0].quantity
            assert quota.ceiling is None or brings <= quota.ceiling + quota.pending, (brings, quota)

    # -------------------------------------------------------------- and in the end

    def teardown(self) -> None:
        """Everything arrives, is heard and told in the end, and then all of it is for sale."""
        if not hasattr(self, "engine"):
            return
        for _ in range(20):
            for name, channel in self.channels.items():
                if channel.attempt is not None:
                    self.a_write_arrives(name)
                    self.its_answer_comes(name)
                self.somebody_looks(name)
                self.seconds_pass()
                self.it_is_seen(name)
                self.all_orders_are_heard(name)
            self.everything_arrives()
            self.no_unit_is_shown_twice()
            if not sum(self.a_write_leaves(name) for name in self.channels):
                break
        else:
            raise AssertionError("it does not come to rest")
        shown = sum(one.number for one in self.channels.values())
        queued = self.ask("SELECT id FROM outbox WHERE system = 'depot' AND state = 'queued'")
        # An absolute number is raised seldom, so up to half of the pool may wait for a reason.
        assert queued or self.there() <= 2 * shown, (self.there(), shown)
        assert queued or self.ask("SELECT id FROM lines WHERE short > 0") == []
        super().teardown()


DividedWarehouse.TestCase.settings = lasting(
    DividedWarehouse, examples=20, steps=STEPS, soak=900, promised=50_000
)
TestAPoolDividedOverATrueWarehouse = DividedWarehouse.TestCase
