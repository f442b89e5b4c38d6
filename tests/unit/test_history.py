"""The past, folded from the walk, is the past that was (G6, G7; `why --at`, `prove`)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis.stateful import invariant

from core import in_force, stock, walk
from core.cli.text import moment
from core.history import FOREIGN, Past, Step, changed_hands
from core.ledger import Source, Terms
from core.prove import prove
from core.work import Work
from tests.machines import lasting
from tests.unit.test_ledger_machine import SEAL, STEPS, TrueWarehouse, network_with


class RememberedWarehouse(TrueWarehouse):
    """The ledger's own machine; after every step somebody writes down the terms."""

    @invariant()
    def somebody_remembers(self) -> None:
        with self.engine.connect() as connection:
            work = Work.begin(connection, self.network, SEAL, self.now)
            self.__dict__.setdefault("remembered", {})[self.now] = stock.terms_of(
                work, "TEA", "main"
            )

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        with self.engine.connect() as connection:
            for at, terms in self.remembered.items():
                assert self.terms_at(connection, at) == terms, at
            proof = prove(connection, self.network, self.now)
            assert [one.says for one in proof.findings] == []
            assert proof.units["ordered"] >= proof.units["consumed"]
        super().teardown()

    def terms_at(self, connection: object, at: datetime) -> Terms:
        epochs = walk.epochs(connection, self.network)
        position = walk.position_at(connection, at)
        return walk.fold(connection, "TEA", position, epochs, self.network).terms("main")


RememberedWarehouse.TestCase.settings = lasting(
    RememberedWarehouse, examples=25, steps=STEPS, soak=1_350, promised=50_000
)
TestThePastIsThePastThatWas = RememberedWarehouse.TestCase


# ------------------------------------------------------------------ one step at a time

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
SOURCE = Source(basis="on_hand", ordered_by="counter")


def past_of(*steps: tuple[str, dict[str, object]]) -> tuple[Past, list[str]]:
    """What each step is found wrong with, and the past after them."""
    past = Past("TEA", [], network_with(SOURCE))
    words = [
        past.apply(Step(seq=n, at=AT, name=name, system="depot", order_id=1, data=data))
        for n, (name, data) in enumerate(steps, start=1)
    ]
    return past, words


def claimed(claim: int, units: int) -> tuple[str, dict[str, object]]:
    return "order.claimed", {"claim": claim, "line": 1, "location": "main", "units": units}


def read(units: int, counter: int) -> tuple[str, dict[str, object]]:
    began = "2026-11-25T09:00:00.000000Z"
    words = {"basis": "on_hand", "units": units, "counter": counter, "began": began}
    return "stock.read", {"location": "main", **words}


def moved(what: str, claim: int, units: int, **words: object) -> tuple[str, dict[str, object]]:
    return f"claim.{what}", {"claim": claim, "units": units, "location": "main", **words}


def test_a_part_that_left_is_excluded_and_the_rest_stays() -> None:
    past, words = past_of(
        read(10, 1),
        claimed(1, 5),
        moved("shipped", 2, 3, part_of=1, counter=4),
        read(7, 4),
    )
    assert words == [""] * 4
    # 7 on the shelf - 2 still to leave; the 3 that left are not in the number any more
    assert (past.terms("main").sellable, past.terms("main").excluded) == (5, 3)
    assert past.may_end(past.claims.get(2)) == "shipped: counter 4 >= 4"
    assert past.may_end(past.claims.get(1)) == ""


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (claimed(1, 2), "claim 1 is opened a second time"),
        (moved("shipped", 9, 1), "claim 9 is not alive"),
        (moved("shipped", 1, 6), "claim 1 has 5 units, not 6"),
        (moved("shipped", 1, 3), "claim 1 has 5 units, not 3"),
        (moved("shipped", 2, 5, part_of=1), "claim 1 has 5 units, not 5"),
        (("claim.shipped", {"claim": 1}), "it cannot be understood (KeyError: 'units')"),
        (("stock.read", {"location": "main", "units": 1}), "it cannot be understood (KeyError: "
         "'basis')"),
        (("listing.read", {"listing": "TEA"}), ""),
    ],
)  # fmt: skip
def test_a_step_that_contradicts_the_ones_before_it_says_so(
    step: tuple[str, dict[str, object]], says: str
) -> None:
    _, words = past_of(read(10, 1), claimed(1, 5), step)
    assert words[-1] == says


def test_a_number_of_somebody_else_is_not_taken_up() -> None:
    past, _ = past_of(read(10, 1))
    foreign = Step(seq=9, at=AT, name="stock.read", system="books", data=read(99, 9)[1])
    assert past.apply(foreign) == FOREIGN
    assert past.terms("main").supply == 10


def test_a_network_is_remembered_with_all_that_a_proof_asks_it() -> None:
    network = network_with(SOURCE)
    text = in_force.to_json(network)
    again = in_force.from_json(text)
    assert in_force.to_json(again) == text
    assert (again.owners, again.sources) == (network.owners, network.sources)
    assert again.locations == network.locations
    assert changed_hands(network, again) == []


def test_a_number_changes_hands_with_its_owner_its_place_or_its_meaning() -> None:
    old = network_with(SOURCE)
    main = old.locations["main"]
    other_place = replace(old, locations={"main": replace(main, at={"depot": "WEST"})})
    other_basis = network_with(replace(SOURCE, basis="available"))
    safer = replace(old, locations={"main": replace(main, safety_stock=3)})
    assert changed_hands(old, other_place) == changed_hands(old, other_basis) == ["main"]
    assert changed_hands(old, safer) == []


def test_14_03_is_today_in_the_companys_zone() -> None:
    zone = ZoneInfo("America/New_York")
    now = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)  # still the 24th there
    assert moment("14:03", zone, now).isoformat() == "2026-11-24T14:03:00-05:00"
    assert moment("2026-11-25T09:00:00Z", zone, now) == AT
    with pytest.raises(ValueError, match="is not a time like"):
        moment("noon", zone, now)
