"""`truecount prove`: an honest log gives no finding, and every planted violation is convicted."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from busy import Days
from house import START, House, house
from sqlalchemy import Connection
from test_explaining import command, then

from core import catalog
from core.cli.proving import Progress
from core.clock import ManualClock
from core.model import Cancellation, RequestState, Return
from core.proof import Finding, Proof
from core.prove import prove
from core.store.engine import read_only
from core.work import Work


def proven(h: House, path: Path | None = None, since: datetime | None = None) -> Proof:
    engine = read_only(path or h.app.store.path)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            return prove(connection, h.app.network, h.clock.now(), since=since)
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("source", "seed"),
    [("on_hand", 11), ("on_hand", 12), ("available", 13), ("request", 14), ("as_of", 15)],
)
async def test_g5_g6_g7_an_honest_history_of_busy_days_has_no_finding(
    tmp_path: Path, source: str, seed: int
) -> None:
    words: dict[str, Any] = {"basis": "available"} if source == "available" else {}
    if source in ("request", "as_of"):
        words = {"source": f"{{basis: on_hand, ordered_by: {source}, settle: 5s}}"}
    async with house(tmp_path, **words) as h:
        days = Days(h, random.Random(seed))
        await days.pass_by(40)
        proof = proven(h)
        assert [one.says for one in proof.findings] == []
        assert proof.units["ordered"] == h.one("SELECT sum(ordered) FROM lines") > 25
        assert proof.ended > 5
        assert (proof.offers, proof.not_judged) == (h.one(OFFERS), 0)
        assert proof.written["on_hand"].systems.keys() == {"depot"}
        assert proof.written["order"].systems.keys() == {"shop", "market"}
        assert proof.told["order"].systems.keys() == {"books"}
        middle = days.notes[20].at
        part = proven(h, since=middle)
        assert [one.says for one in part.findings] == []
        assert 0 < part.offers < proof.offers


OFFERS = "SELECT count(*) FROM told, json_each(told.offers)"


# ------------------------------------------------------------------ planted


@dataclass
class Log:
    """A copy of an honest log, to be spoiled."""

    h: House
    path: Path

    def spoil(self, sql: str, *values: Any) -> None:
        with self.opened() as connection:
            assert connection.execute(sql, values).rowcount > 0, "nothing was planted"

    def one(self, sql: str) -> Any:
        with self.opened() as connection:
            return connection.execute(sql).fetchone()

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def add_step(self, name: str, stop: int, system: str, sku: str, **data: Any) -> None:
        self.spoil(
            "INSERT INTO steps (at, stop, name, system, order_id, sku, data)"
            " SELECT max(at), ?, ?, ?, ?, ?, ? FROM steps",
            stop,
            name,
            system,
            data.pop("order_id", None),
            sku,
            json.dumps(data),
        )

    def findings(self) -> list[Finding]:
        return proven(self.h, self.path).findings

    def says(self) -> str:
        return "\n".join(f"{one.ref}: {one.says}" for one in self.findings())


@contextmanager
def _copied(h: House) -> Iterator[Log]:
    with h.app.store.read() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(h.folder / "spoilt.db"),))
    yield Log(h, h.folder / "spoilt.db")
    (h.folder / "spoilt.db").unlink()


async def a_day(h: House) -> None:
    """Two sales, one parcel, one order that waits; everything is where it belongs."""
    await h.sells(TEA=9)
    await h.shop.place_order("TEA", 3)
    await h.settle()
    await h.depot.ship(h.waiting())
    await h.settle()
    await h.market.place_order("TEA", 2)
    await h.settle()
    assert proven(h).findings == []


READ = {"location": "main", "units": 99, "basis": "on_hand", "began": "2026-11-25T09:30:00.000000Z"}


async def test_g5_a_number_from_somebody_else(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.add_step("stock.read", 7, "books", "TEA", counter=99, **READ)
            [found] = log.findings()
            assert found.says == "books wrote on_hand of main (TEA: 99 units); its owner was depot"
            assert (found.who, found.should) == ("books", "depot")


async def test_g5_an_order_a_price_or_a_parcel_from_somebody_else(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.add_step("order.captured", 3, "books", "", order_id=1, order="#9", lines=1)
            log.add_step("price.read", 4, "shop", "TEA", number="list_price")
            log.add_step("order.shipped", 7, "books", "", order_id=1, location="main", units=1)
            log.add_step("document.read", 8, "depot", "", order_id=1, kind="invoice")
            log.add_step("listing.read", 4, "depot", "TEA", listing="TEA", place="", active=1)
            says = log.says()
            for words in (
                "books wrote order (shop:#000001); nobody owned it there",
                "shop wrote list_price (TEA); its owner was books",
                "books wrote shipment of main (shop:#000001); its owner was depot",
                "depot wrote invoice (shop:#000001); its owner was books",
                "depot wrote listing (TEA); nobody owned it there",
            ):
                assert words in says


async def test_g5_an_old_write_is_judged_by_the_table_of_its_day(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        config = h.folder / "config.yaml"
        text = config.read_text()
        assert proven(h).tables == 1
        changed = text.replace("- {number: list_price, owner: books}\n  ", "")
        config.write_text(changed)
        await h.restart()
        h.books.set_item("TEA", "12.00", "4.00")
        await h.settle(300)
        proof = proven(h)
        assert (proof.tables, proof.findings) == (2, [])  # what was its own then stays so
        assert h.one("SELECT value FROM copies WHERE number = 'list_price'")
        with _copied(h) as log:
            log.add_step("price.read", 4, "books", "TEA", number="list_price")
            assert "books wrote list_price (TEA); nobody owned it there" in log.says()


async def test_g5_a_command_nobody_decided_or_to_no_reader(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            columns = "system, kind, lane, key, order_id, record, safe_by, queued_at, due_at"
            log.spoil(
                f"INSERT INTO outbox ({columns}) SELECT 'market', 'book_order', lane, 'forged',"
                " order_id, record, safe_by, queued_at, due_at FROM outbox WHERE id = 1"
            )
            assert "book_order to market for shop:#000001 is in the outbox, and no step" in (
                log.says()
            )
            row = log.one("SELECT max(id) FROM outbox")
            log.add_step(
                "command.queued", 5, "market", "", order_id=1, kind="book_order", id=row[0]
            )
            assert "book_order was queued for market, which is no reader" in log.says()
            log.spoil("DELETE FROM outbox WHERE id = 2")
            assert "and the outbox does not have it so" in log.says()


async def test_g6_a_line_with_a_missing_unit(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.spoil("UPDATE lines SET claimed = claimed - 1 WHERE claimed = 2")
            says = log.says()
            assert "line 1 of market:#000001 (TEA) ordered 2, and has 1 claimed + 0 short" in says
            assert "has 1 claimed, and its claims hold 2" in says


async def test_g6_a_unit_that_became_short_without_anybody_saying_so(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.spoil("UPDATE lines SET claimed = 1, short = 1 WHERE claimed = 2")
            assert "has 1 claimed, and its claims hold 2" in log.says()


async def test_g6_a_claim_that_is_gone_changed_or_from_nowhere(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.spoil("DELETE FROM claims WHERE state = 'open'")
            says = log.says()
            assert "(2 of TEA for market:#000001) is open by the walk, and not alive" in says
            assert "has 2 claimed, and its claims hold 0" in says
        with _copied(h) as log:
            log.spoil("UPDATE claims SET units = 1 WHERE state = 'open'")
            assert "is not the same in the table and by the walk" in log.says()
        with _copied(h) as log:
            log.spoil("DELETE FROM claims WHERE state = 'ended'")
            assert "is ended by the walk, and gone from the table" in log.says()
        with _copied(h) as log:
            log.spoil(
                "INSERT INTO claims (order_id, line_id, sku, location, units, opened_at)"
                " SELECT order_id, line_id, sku, location, 1, opened_at FROM claims LIMIT 1"
            )
            assert "is open in the table, and not alive by the walk" in log.says()
        with _copied(h) as log:
            log.spoil("DELETE FROM lines WHERE claimed = 2")
            assert "is of line 2, which is not there" in log.says()


async def test_g7_an_end_without_evidence_or_with_false_evidence(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.spoil("UPDATE claims SET evidence = '' WHERE state = 'ended'")
            [found] = log.findings()
            assert (found.what, "has evidence ''" in found.says) == ("no evidence", True)
        with _copied(h) as log:  # in the table and in the walk alike: the numbers are checked
            evidence = "shipped: counter 8 >= 7"
            log.spoil("UPDATE claims SET evidence = ? WHERE state = 'ended'", evidence)
            log.spoil(
                "UPDATE steps SET data = json_set(data, '$.evidence', ?)"
                " WHERE name = 'claim.ended'",
                evidence,
            )
            [found] = log.findings()
            assert found.what == "false evidence"
            assert "ended by 'shipped: counter 8 >= 7', and what held was" in found.says
        with _copied(h) as log:  # the parcel left later than the number that is said to know of it
            log.spoil(
                "UPDATE steps SET data = json_set(data, '$.counter', 77)"
                " WHERE name = 'claim.shipped'"
            )
            assert "and the number in force was counter" in log.says()
        with _copied(h) as log:
            log.spoil("UPDATE claims SET state = 'ended' WHERE state = 'open'")
            says = log.says()
            assert "is ended in the table, and no step says how" in says
            assert "has 0 consumed, and 2 units of its claims ended" in says


async def test_g7_units_that_left_are_not_given_back_without_evidence(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        await h.shop.place_order("TEA", 3)
        await h.settle()
        h.faults("depot", status=500, only="GET /stock")
        await h.depot.ship(h.waiting())
        await h.settle(40)
        assert proven(h).findings == []
        with _copied(h) as log:
            words = {"order_id": 1, "location": "main", "claim": 1, "units": 3}
            log.add_step("claim.released", 4, "", "TEA", **words)
            log.spoil("UPDATE claims SET state = 'released'")
            assert "claim 1 (3 of TEA for shop:#000001) ended without evidence" in log.says()


async def test_g4_a_number_older_than_the_one_before_it(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.add_step("stock.read", 7, "depot", "TEA", counter=1, **READ | {"units": 50})
            says = log.says()
            assert "depot is believed TEA of main (counter 1), which is older than" in says
            assert "in the table, and 50 (counter 1) by the walk" in says


async def test_a_number_changed_in_the_table_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.spoil("UPDATE stock SET on_hand = 60")
            assert "TEA at main has 60 (counter" in log.says()
        with _copied(h) as log:
            log.spoil("UPDATE stock SET system = 'books'")
            assert "TEA at main has the number of books, not its owner's" in log.says()
        with _copied(h) as log:
            log.spoil("DELETE FROM stock")
            assert "TEA at main has a number by the walk, and none in the table" in log.says()


async def test_g8_an_offer_above_the_pool_of_its_moment(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            log.spoil(
                "UPDATE told SET offers = json_set(offers, '$[0].quantity', 8)"
                " WHERE id = (SELECT max(id) FROM told WHERE system = 'shop')"
            )
            [found] = log.findings()
            assert found.says == "shop was told 8 of TEA, and its pool was 4"
        with _copied(h) as log:
            log.spoil("UPDATE told SET system = 'books' WHERE id = 1")
            assert "books was told what it may sell, which is for nobody to say" in log.says()


async def test_g8_an_offer_is_what_its_terms_give(tmp_path: Path) -> None:
    """Too little is as untrue as too much where nothing says why."""
    async with house(tmp_path) as h:
        await a_day(h)
        last = " WHERE id = (SELECT max(id) FROM told WHERE system = 'shop')"
        with _copied(h) as log:
            log.spoil(
                "UPDATE told SET offers = json_set(offers, '$[0].pool', 9, '$[0].quantity', 4)"
                + last
            )
            assert "shop was told 4 of TEA from a pool of 9, and that was 4" in log.says()
        with _copied(h) as log:
            log.spoil("UPDATE told SET offers = json_set(offers, '$[0].quantity', 1)" + last)
            assert "shop was told 1 of TEA, which was to be the whole pool of 4" in log.says()


@pytest.mark.parametrize("policy", ["shared", "split"])
async def test_g8_a_pre_order_is_told_beyond_any_pool_and_says_so(
    tmp_path: Path, policy: str
) -> None:
    rules = "rules:\n  - {sku: TEA, pre_order: {units: 5, until: 2027-01-31 09:00}}\n"
    async with house(tmp_path, policy=policy, rules=rules) as h:
        await h.sells(TEA=0)
        await h.settle(300)
        assert h.shop.shown("TEA") > 0
        assert proven(h).findings == []
        last = [json.loads(r["offers"])[0] for r in h.rows("SELECT offers FROM told ORDER BY id")][
            -1
        ]
        assert (last["pool"], last["beyond"]) == (0, 5)
        assert last["because"]
        with _copied(h) as log:
            log.spoil("UPDATE told SET offers = json_remove(offers, '$[0].beyond')")
            assert "of TEA, and its pool was 0" in log.says()


async def test_the_same_finding_has_the_same_id_and_too_many_are_counted(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        with _copied(h) as log:
            words = json.dumps({"number": "list_price"})
            log.spoil(
                "INSERT INTO steps (at, stop, name, system, sku, data) WITH RECURSIVE n(i) AS"
                " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)"
                " SELECT '2026-11-25T10:00:00.000000Z', 4, 'price.read', 'shop', i, ? FROM n",
                words,
            )
            proof = proven(h, log.path)
            assert (len(proof.findings), proof.more) == (1000, 100)
            assert proof.findings[0].id == log.findings()[0].id
            assert len({one.id for one in proof.findings}) == 1000


# ------------------------------------------------------------------ what may not be adopted


async def test_g5_what_a_non_owner_says_is_kept_as_its_copy(tmp_path: Path) -> None:
    """The books have mappings for orders and parcels here: nothing of that is adopted."""
    async with house(tmp_path, mappings=True) as h:
        folder = h.folder / "mappings" / "generic_erp"
        for name in ("order", "shipment", "listing"):
            source = "generic_wms" if name == "shipment" else "generic_channel"
            text = (h.folder / "mappings" / source / f"{name}.yaml").read_text()
            (folder / f"{name}.yaml").write_text(text.replace(f"{source}.", "generic_erp."))
        await h.restart()
        await h.sells(TEA=9)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        before = h.rows("SELECT * FROM orders")
        said = [("order", order), ("listing", {"sku": "TEA", "quantity": 77, "title": "Tea"})]
        await keep(h, "books", said)
        assert [tuple(r) for r in h.rows("SELECT * FROM orders")] == [tuple(r) for r in before]
        copies = {r["number"]: r["value"] for r in h.rows("SELECT * FROM copies")}
        assert copies["order"] == "1 lines, 20.00 EUR, paid"
        assert copies["available_to_sell"] == "77"
        assert proven(h).findings == []


async def keep(h: House, system: str, items: list[tuple[str, Any]]) -> None:
    """As if the system had been swept for these."""
    from core import inbox

    for resource, body in items:
        raw = json.dumps(body).encode()
        arrival = inbox.Arrival(
            system=system,
            via="sweep",
            topic=resource,
            identity=inbox.identity_of("x", "1", raw),
            body=raw,
            resource=resource,
            external_id="x",
            revision="1",
            received_at=h.clock.now(),
            read_began_at=h.clock.now(),
        )
        await h.app.store.write(
            lambda connection, arrival=arrival: inbox.keep(connection, arrival, h.app.seal)
        )
    await h.settle()


async def test_g5_a_parcel_of_somebody_else_is_held_for_a_person(tmp_path: Path) -> None:
    async with house(tmp_path, mappings=True) as h:
        text = (h.folder / "mappings" / "generic_wms" / "shipment.yaml").read_text()
        mapping = h.folder / "mappings" / "generic_erp" / "shipment.yaml"
        mapping.write_text(text.replace("generic_wms.", "generic_erp."))
        await h.restart()
        await h.sells(TEA=9)
        order = await h.shop.place_order("TEA", 2)
        await h.settle()
        h.lost_pushes.add("depot")
        h.faults("depot", status=500, only="GET /shipments")
        parcel = await h.depot.ship(h.waiting())
        await keep(h, "books", [("shipment", parcel)])
        assert h.line("shop", order) == (2, 2, 0, 0, 0)
        assert [c for c in h.causes() if "not_owner" in c] == ["not_owner:shipment:books:main"]


async def test_a_number_of_another_place_voids_the_old_one(tmp_path: Path) -> None:
    """The location is another place of the warehouse now: who is believed is the new number."""
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        await h.shop.place_order("TEA", 1)
        await h.settle()
        before = h.clock.now()
        h.clock.advance(1)
        config = h.folder / "config.yaml"
        config.write_text(config.read_text().replace("depot: EAST", "depot: WEST"))
        await h.restart()
        assert h.rows("SELECT * FROM stock") == []
        assert proven(h).findings == []
        h.depot.receive("TEA", "WEST", 5)
        await h.settle(200)
        assert h.rows("SELECT on_hand FROM stock")[0]["on_hand"] == 5
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (4, 4)
        assert proven(h).findings == []
        assert then(h, before)["locations"][0]["sellable"] == 8
        assert then(h, h.clock.now())["locations"][0]["sellable"] == 4


async def test_h13_a_warehouse_that_counts_anew_is_not_older(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        await h.shop.place_order("TEA", 2)
        for _ in range(3):
            h.depot.receive("TEA", "EAST", 1)
        await h.settle()
        h.depot.count("TEA", "EAST", 7)
        h.depot.reinstall()
        await h.operate("sweep", system="depot", full=True)
        await h.settle()
        [hold] = [r["id"] for r in h.rows("SELECT * FROM holds WHERE cause LIKE 'counter_reset%'")]
        await h.operate("accept", hold=hold)
        await h.settle(200)
        assert h.rows("SELECT on_hand FROM stock")[0]["on_hand"] == 7
        assert h.one("SELECT count(*) FROM in_force WHERE kind = 'counters'") == 1
        assert proven(h).findings == []
        with _copied(h) as log:
            log.spoil("DELETE FROM in_force WHERE kind = 'counters'")
            assert "which is older than what it had said" in log.says()


# ------------------------------------------------------------------ the command line


async def test_prove_on_the_command_line(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        code, out, _ = await command(h, monkeypatch, capsys, "prove")
        assert (code, "Nothing is wrong." in out) == (0, True)
        assert "5 ordered = 2 claimed + 0 short + 3 consumed + 0 cancelled, on 2 lines" in out
        code, out, _ = await command(h, monkeypatch, capsys, "prove", "--since", "2026-11-25 10:02")
        assert (code, "since 2026-11-25 10:02:00" in out) == (0, True)
        await h.write("UPDATE lines SET claimed = claimed - 1 WHERE claimed = 2")
        code, out, _ = await command(h, monkeypatch, capsys, "prove", "--json")
        found = json.loads(out)
        assert (code, len(found["findings"])) == (1, 2)
        assert found["findings"][0]["ref"] == "line 2"
        code, out, _ = await command(h, monkeypatch, capsys, "prove")
        assert (code, "2 findings:" in out) == (1, True)
        code, _, err = await command(h, monkeypatch, capsys, "prove", "--since", "soon")
        assert (code, "is not a time like" in err) == (2, True)


def test_progress_is_silent_for_two_seconds(capsys: Any) -> None:
    clock = ManualClock(START)
    progress = Progress(clock)
    progress("writes", 10, 100)
    clock.advance(2.5)
    progress("writes", 50, 100)
    progress("writes", 51, 100)
    assert capsys.readouterr().err == "proving writes: 50 of 100 …\n"


async def test_g5_a_cancellation_a_return_and_a_scan_are_in_the_walk(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_day(h)
        order = h.shop.orders()[0]["id"]
        returned = Return(key="R1", order=order, state=RequestState.REQUESTED)
        assert await _says(h, "shop", Cancellation(key="C1", order=order))
        assert await _says(h, "depot", returned)
        assert not await _says(h, "books", replace(returned, key="R2"))
        assert [row["system"] for row in h.rows(_FACTS)] == ["shop", "depot"]
        assert proven(h).findings == []
        with _copied(h) as log:
            words = {"number": "order", "scope": "shop", "kind": "return"}
            log.add_step("fact.read", 4, "market", "", order_id=1, **words)
            assert "market wrote order of shop (shop:#000001); its owner was shop" in log.says()


_FACTS = "SELECT system FROM steps WHERE name = 'fact.read' ORDER BY seq"


async def _says(h: House, system: str, record: Cancellation | Return) -> bool:
    def unit(connection: Connection) -> str:
        work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
        told = catalog.take_fact(work, system, record)
        work.finish()
        return told

    return await h.app.store.write(unit) == "applied"
