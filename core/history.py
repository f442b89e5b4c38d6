"""Stop 8, proven: the past of one SKU, folded from its steps. Pure.

The tables hold what is; the walk holds how it came to be. Folding the steps of a
SKU up to any one of them gives the number in force and the claims alive just
then, and from these `core.ledger` gives the terms it gave that day. `truecount
why --at` prints them, `truecount prove` judges every step by them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from core import ledger
from core.clock import unstamp
from core.items import Items
from core.network import Network
from core.offer_rules import Rules

#: Steps that begin, move or end claims and numbers. Others of a SKU tell of the same or of offers.
EVENTS = frozenset(
    """
    stock.read stock.confirmed order.claimed claim.accepted claim.given_up claim.shipped
    claim.missing claim.released claim.ended
    """.split()
)

Mark = Literal["none", "accepted", "shipped"]
#: What has happened to a claim, as far as a number can exclude it by that.
MARKS: tuple[Mark, ...] = ("none", "accepted", "shipped")
#: What `Past.apply` says of a number that is not its owner's.
FOREIGN = "it is not the owner's number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of the walk."""

    seq: int
    at: datetime
    name: str
    system: str = ""
    order_id: int | None = None
    sku: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """From this step on something else is in force, or a system counts anew (H13)."""

    seq: int
    network: Network | None = None  # without its items and rules
    items: Items | None = None
    rules: Rules | None = None
    counters_of: str = ""
    set_back_to: datetime | None = None  # our clock: what lay in its future became now


@dataclass(slots=True, kw_only=True)
class Held:
    """One live claim, as the walk knows it."""

    id: int
    order_id: int
    line_id: int
    location: str
    opened_at: datetime
    claim: ledger.Claim


@dataclass(slots=True)
class Place:
    """What is in force at one location. `confirmed_at`: a pass begun then found no change."""

    system: str = ""
    reading: ledger.Reading | None = None
    read_at: datetime | None = None
    confirmed_at: datetime | None = None

    def in_force(self) -> ledger.Reading | None:
        if self.reading is None or self.confirmed_at is None:
            return self.reading
        return replace(self.reading, began_at=max(self.reading.began_at, self.confirmed_at))


class Claims:
    """The live claims of a SKU, also summed by what can exclude them.

    A flash sale leaves thousands of them on one SKU, and each offer asks for their sum (H46).
    """

    def __init__(self) -> None:
        self._by_id: dict[int, Held] = {}
        self._like: defaultdict[tuple[str, Mark], dict[int, Held]] = defaultdict(dict)
        self._units: Counter[tuple[str, Mark]] = Counter()

    def get(self, claim_id: int) -> Held | None:
        return self._by_id.get(claim_id)

    def ids(self) -> set[int]:
        return set(self._by_id)

    def at(self, location: str) -> list[Held]:
        own = (held for held in self._by_id.values() if held.location == location)
        return sorted(own, key=lambda held: held.id)

    def all(self) -> list[Held]:
        return list(self._by_id.values())

    def put(self, held: Held, claim: ledger.Claim) -> None:
        """This claim is so from now on."""
        self.remove(held)
        held.claim = claim
        key = (held.location, _mark_of(claim))
        self._by_id[held.id] = self._like[key][held.id] = held
        self._units[key] += claim.units

    def remove(self, held: Held) -> None:
        if self._by_id.pop(held.id, None) is not None:
            key = (held.location, _mark_of(held.claim))
            del self._like[key][held.id]
            self._units[key] -= held.claim.units

    def summed(self, location: str, basis: ledger.Basis) -> Iterator[ledger.Claim]:
        """The same for the arithmetic: those that nothing can exclude yet as one."""
        marked: tuple[Mark, ...] = ("shipped",) if basis == "on_hand" else ("accepted", "shipped")
        units = sum(self._units[location, mark] for mark in MARKS if mark not in marked)
        if units:
            yield ledger.Claim(units=units)
        for mark in marked:
            yield from (held.claim for held in self._like[location, mark].values())


def _mark_of(claim: ledger.Claim) -> Mark:
    if claim.shipped is not None:
        return "shipped"
    return "accepted" if claim.accepted is not None else "none"


class Past:
    """One SKU while its steps are folded, oldest first. `epochs` are those of the whole log.

    `apply` says what is wrong with a step, "" if nothing: a claim that was never
    opened, more units than it has. It never raises for what stands in the log.
    """

    def __init__(self, sku: str, epochs: Sequence[Epoch], present: Network) -> None:
        self.sku = sku
        self.network = present  # until the log says which it was
        self.known = False  # whether it did
        self.places: dict[str, Place] = {}
        self.claims = Claims()
        self._epochs = epochs
        self._next = 0

    # -------------------------------------------------------------- questions

    def place(self, location: str) -> Place:
        return self.places.setdefault(location, Place())

    def terms(self, location: str) -> ledger.Terms:
        """What this location could sell, by the network of then."""
        reading, source = self.place(location).in_force(), self.network.source_of(location)
        supply = 0 if reading is None else ledger.supply_of(reading, source)
        return ledger.terms(
            reading,
            self.claims.summed(location, source.basis),
            safety_stock=self.network.safety_stock(self.sku, location, supply),
            source=source,
        )

    def may_end(self, held: Held) -> str:
        """The evidence that ends this claim now, or ""."""
        reading = self.place(held.location).in_force()
        if reading is None or held.location not in self.network.locations:
            return ""
        return ledger.may_end(held.claim, reading, self.network.source_of(held.location))

    def pool(self, channel: str, place: str) -> int:
        places = self.network.serving_place(channel, place)
        return ledger.pool(self.terms(location).sellable for location in places)

    # -------------------------------------------------------------- going on

    def apply(self, step: Step) -> str:
        self.upto(step.seq)
        if step.name not in EVENTS:
            return ""
        try:
            return self._changed(step)
        except (KeyError, TypeError, ValueError) as error:
            return f"it cannot be understood ({type(error).__name__}: {error})"

    def _changed(self, step: Step) -> str:
        match step.name:
            case "stock.read":
                return self._number(step)
            case "stock.confirmed":
                return self._confirmed(step)
            case "order.claimed":
                return self._claimed(step)
            case _:
                return self._moved(step)

    def upto(self, seq: int) -> None:
        """What came into force up to this step."""
        while self._next < len(self._epochs) and self._epochs[self._next].seq <= seq:
            epoch = self._epochs[self._next]
            self._next += 1
            if epoch.network is not None:
                self._other_network(epoch.network)
            elif epoch.items is not None:
                self.network = self.network.with_items(epoch.items)
            elif epoch.rules is not None:
                self.network = replace(self.network, rules=epoch.rules)
            elif epoch.set_back_to is not None:
                self._set_back(epoch.set_back_to)
            else:
                self._forget_counters(epoch.counters_of)

    def _other_network(self, network: Network) -> None:
        """Where the number has another owner or another meaning now, the old one is void."""
        before, self.network = self.network, network
        if self.known:
            self.network = replace(network, items=before.items, rules=before.rules)
            for location in changed_hands(before, network):
                self.places.pop(location, None)
                for held in self.claims.at(location):
                    self.claims.put(held, _without(held.claim, counter=True, as_of=True))
        self.known = True

    def _set_back(self, now: datetime) -> None:
        """As core.set_back does with the rows."""
        for place in self.places.values():
            if place.reading is not None:
                began_at = min(place.reading.began_at, now)
                place.reading = replace(place.reading, began_at=began_at)
            place.read_at = place.read_at and min(place.read_at, now)
            place.confirmed_at = place.confirmed_at and min(place.confirmed_at, now)
        for held in self.claims.all():
            held.opened_at = min(held.opened_at, now)
            self.claims.put(held, _seen_by(held.claim, now))

    def _forget_counters(self, system: str) -> None:
        for place in self.places.values():
            if place.system == system and place.reading is not None:
                place.reading = replace(place.reading, counter=None)
        for location in self.network.locations_stocked_by(system):
            for held in self.claims.at(location):
                self.claims.put(held, _without(held.claim, counter=True))

    def _number(self, step: Step) -> str:
        basis, units, location = step.data["basis"], step.data["units"], step.data["location"]
        if not self.network.owners.may_write("on_hand", location, step.system):
            return FOREIGN  # never adopted, whoever wrote it down (G5)
        place = self.place(location)
        place.system, place.read_at, place.confirmed_at = step.system, step.at, None
        place.reading = ledger.Reading(
            on_hand=units if basis == "on_hand" else None,
            available=units if basis == "available" else None,
            counter=step.data.get("counter"),
            as_of=_instant(step.data.get("as_of")),
            began_at=unstamp(step.data["began"]),
            moved=step.data.get("moved") or 0,
            doubt=step.data.get("doubt") or 0,
        )
        return ""

    def _confirmed(self, step: Step) -> str:
        self.place(step.data["location"]).confirmed_at = unstamp(step.data["began"])
        return ""

    def _claimed(self, step: Step) -> str:
        claim_id, units = step.data["claim"], step.data["units"]
        if self.claims.get(claim_id) is not None:
            return f"claim {claim_id} is opened a second time"
        claim = ledger.Claim(units=units)
        held = Held(
            id=claim_id,
            order_id=step.order_id or 0,
            line_id=step.data["line"],
            location=step.data["location"],
            opened_at=step.at,
            claim=claim,
        )
        self.claims.put(held, claim)
        return ""

    def _moved(self, step: Step) -> str:
        """A claim, or a part of it that gets a number of its own, is in another state now."""
        claim_id, units = step.data["claim"], step.data["units"]
        whole_id = step.data.get("part_of") or claim_id
        whole = self.claims.get(whole_id)
        if whole is None:
            return f"claim {whole_id} is not alive"
        left = whole.claim.units - units
        if left < 0 or (left > 0) != (whole_id != claim_id):
            return f"claim {whole_id} has {whole.claim.units} units, not {units}"
        held = replace(whole, id=claim_id) if left else whole
        if left:
            self.claims.put(whole, replace(whole.claim, units=left))
        if step.name in ("claim.released", "claim.ended"):
            self.claims.remove(held)
        else:
            self.claims.put(held, _marked(step, replace(held.claim, units=units)))
        return ""


def _marked(step: Step, claim: ledger.Claim) -> ledger.Claim:
    mark = ledger.Mark(
        seen_at=step.at,
        counter=step.data.get("counter"),
        as_of=_instant(step.data.get("as_of")),
    )
    if step.name == "claim.accepted":
        return replace(claim, accepted=mark)
    if step.name == "claim.given_up":
        return replace(claim, accepted=None)
    if step.name == "claim.shipped":
        return replace(claim, state="shipped", shipped=mark)
    # Its acceptance proves nothing about units that turned out not to be there.
    return replace(claim, state="missing", accepted=None, shipped=mark)


def changed_hands(before: Network, after: Network) -> list[str]:
    """Locations whose number is another one now: other owner, other place, other basis (S3)."""
    return [
        name
        for name in after.locations
        if name in before.locations and _number_of(before, name) != _number_of(after, name)
    ]


def _number_of(network: Network, location: str) -> tuple[str, str | None, str]:
    place = network.locations[location]
    owner = place.stock_owner
    return owner, place.at.get(owner), network.source_of(location).basis


def _without(claim: ledger.Claim, *, counter: bool = False, as_of: bool = False) -> ledger.Claim:
    """Marks of another order of readings prove nothing; when we saw it happen still does."""

    def plain(mark: ledger.Mark | None) -> ledger.Mark | None:
        if mark is None:
            return None
        return replace(
            mark,
            counter=None if counter else mark.counter,
            as_of=None if as_of else mark.as_of,
        )

    return replace(claim, accepted=plain(claim.accepted), shipped=plain(claim.shipped))


def _seen_by(claim: ledger.Claim, now: datetime) -> ledger.Claim:
    """We cannot have seen anything later than now."""

    def brought_back(mark: ledger.Mark | None) -> ledger.Mark | None:
        return None if mark is None else replace(mark, seen_at=min(mark.seen_at, now))

    return replace(
        claim, accepted=brought_back(claim.accepted), shipped=brought_back(claim.shipped)
    )


def _instant(text: str | None) -> datetime | None:
    return unstamp(text) if text else None
