"""`truecount why`, now and at a moment that is over (DESIGN 3, 10; S25)."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from busy import SKUS, Days
from house import ENV, House, house

from core.cli import main
from core.explain import Only, why
from core.explain_past import why_at


def now(h: House, sku: str = "TEA", **only: str) -> dict[str, Any]:
    with h.app.store.read() as connection:
        found = why(connection, h.app.network, h.clock.now(), sku, Only(**only))
    assert found is not None
    return found


def then(h: House, at: Any, sku: str = "TEA", **only: str) -> dict[str, Any]:
    with h.app.store.read() as connection:
        found = why_at(connection, h.app.network, at, sku, Only(**only))
    assert found is not None
    return found


TERMS = ("supply", "claimed", "excluded", "safety_stock", "sellable", "oversold")


@pytest.mark.parametrize(
    ("source", "seed"), [("on_hand", 1), ("on_hand", 2), ("available", 3), ("request", 4)]
)
async def test_whatever_was_true_is_answered_the_same_later(
    tmp_path: Path, source: str, seed: int
) -> None:
    words: dict[str, Any] = {"basis": "available"} if source == "available" else {}
    if source == "request":
        words = {"source": "{basis: on_hand, ordered_by: request, settle: 5s}"}
    async with house(tmp_path, safety=1, **words) as h:
        days = Days(h, random.Random(seed))
        await days.pass_by(30)
        assert h.one("SELECT count(*) FROM claims WHERE state = 'ended'") > 1
        for note in days.notes:
            for sku in SKUS:
                found = then(h, note.at, sku)
                [place] = found["locations"]
                terms = note.terms[sku]
                assert {name: place[name] for name in TERMS} == {
                    name: getattr(terms, name) for name in TERMS
                }, (note.at, sku)
                told = {
                    (one["channel"], sku): one["acknowledged"]
                    for one in found["channels"]
                    if one["acknowledged"] is not None
                }
                assert told == {k: v for k, v in note.acknowledged.items() if k[1] == sku}


async def test_the_orders_behind_a_number_and_what_they_wait_for(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.shop.place_order("TEA", 2)
        await h.settle()
        h.faults("depot", status=500, only="GET /stock")
        await h.depot.ship(h.waiting())
        await h.settle(40)
        [place] = now(h)["locations"]
        [claim] = place["claims"]
        assert (claim["order"], claim["units"], claim["state"]) == ("shop:#000001", 2, "shipped")
        assert claim["waits_for"] == f"a number counted to {place['counter'] + 1} or more"
        before = h.clock.now()
        h.faults("depot")
        await h.settle(120)
        assert now(h)["locations"][0]["claims"] == []
        [claim] = then(h, before)["locations"][0]["claims"]
        assert claim["ended_at"] > before.isoformat()[:19]


async def test_a_claim_that_was_split_is_whole_in_the_past(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        await h.shop.place_order("TEA", 5)
        await h.settle()
        whole = h.clock.now()
        h.clock.advance(1)
        reference = h.waiting()
        await h.depot.ship(reference, [{"sku": "TEA", "quantity": 2}], complete=False)
        await h.settle()
        [claim] = then(h, whole)["locations"][0]["claims"]
        assert (claim["units"], claim["state"]) == (5, "open")
        assert [c["units"] for c in now(h)["locations"][0]["claims"]] == [3]


async def test_the_safety_stock_of_then_not_of_today(tmp_path: Path) -> None:
    async with house(tmp_path, safety=2) as h:
        await h.sells(TEA=9)
        await h.settle()
        before = h.clock.now()
        h.clock.advance(60)
        config = h.folder / "config.yaml"
        config.write_text(config.read_text().replace("safety_stock: 2", "safety_stock: 4"))
        await h.restart()
        await h.settle()
        assert (h.shop.shown("TEA"), h.market.shown("TEA")) == (5, 5)  # nobody touched the SKU
        assert now(h)["locations"][0]["safety_stock"] == 4
        assert then(h, before)["locations"][0]["safety_stock"] == 2
        assert [one["pool"] for one in then(h, before)["channels"]] == [7, 7]


async def test_only_one_channel_or_one_location(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        await h.settle()
        found = now(h, channel="shop")
        assert [one["channel"] for one in found["channels"]] == ["shop"]
        assert {one["channel"] for one in found["told"]} == {"shop"}
        assert [one["location"] for one in now(h, location="main")["locations"]] == ["main"]
        found = then(h, h.clock.now(), channel="market")
        assert [one["channel"] for one in found["channels"]] == ["market"]


async def test_when_it_is_expected_to_settle(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        [shop] = now(h, channel="shop")["channels"]
        assert shop["settles"]["state"] == "shown by"
        await h.settle(10)
        assert now(h, channel="shop")["channels"][0]["settles"]["state"] == "settled"
        before = h.clock.now()
        h.faults("shop", down=True)
        h.depot.receive("TEA", "EAST", 1)
        await h.settle(40)
        assert now(h, channel="shop")["channels"][0]["settles"]["state"] == "waits to be told"
        h.faults("shop")
        await h.settle(600)
        [shop] = then(h, before, channel="shop")["channels"]
        assert shop["settles"]["state"] == "acknowledged 10 next"


async def test_s25_our_own_number_read_back_is_an_echo_and_nothing_is_written_again(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.settle()
        await h.shop.place_order("TEA", 1)
        await h.settle()
        await h.depot.ship(h.waiting())
        await h.settle()
        before = {n: len(h.fake(n).stock_writes()) for n in ("shop", "market")}
        sent = {n: h.wires[n].count("POST") for n in ("shop", "market", "depot", "books")}
        await h.operate("sweep", system="shop", full=True)
        await h.operate("sweep", system="market", full=True)
        await h.settle(1300)  # and two sweeps of all listings by themselves
        assert h.one("SELECT sum(value) FROM counters WHERE name = 'listing.echo'") >= 2
        assert {n: len(h.fake(n).stock_writes()) for n in ("shop", "market")} == before
        assert {n: h.wires[n].count("POST") for n in sent} == sent
        assert h.rows("SELECT * FROM counters WHERE name = 'listing.differs'") == []


async def test_h14_a_number_read_before_it_has_settled_is_no_difference(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.settle()
        h.depot.receive("TEA", "EAST", 3)
        while h.shop.shown("TEA") != 8:
            await h.settle(1)
        writes = len(h.shop.stock_writes())
        h.shop._listings["TEA"]["quantity"] = 5  # it acknowledged 8 and shows it in a moment
        await h.operate("sweep", system="shop", resource="listing", full=True)
        await h.now()
        assert h.rows("SELECT * FROM counters WHERE name = 'listing.differs'") == []
        h.shop._listings["TEA"]["quantity"] = 8
        await h.settle(700)
        assert len(h.shop.stock_writes()) == writes


# ------------------------------------------------------------------ the command line


async def command(h: House, monkeypatch: Any, capsys: Any, *words: str) -> tuple[int, str, str]:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    code = main([words[0], "--config", str(h.folder / "config.yaml"), *words[1:]])
    out, err = capsys.readouterr()
    return code, out, err


async def test_why_on_the_command_line(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=5)
        await h.shop.place_order("TEA", 2)
        await h.settle()
        moment = h.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        h.clock.advance(1)
        h.depot.receive("TEA", "EAST", 1)
        await h.settle()
        code, out, _ = await command(h, monkeypatch, capsys, "why", "TEA")
        assert code == 0
        assert "2 held for shop:#000001: not shipped" in out
        assert "market: offer 4, acknowledged 4" in out
        code, out, _ = await command(h, monkeypatch, capsys, "why", "TEA", "--at", moment, "--json")
        assert code == 0
        assert json.loads(out)["locations"][0]["sellable"] == 3
        code, out, _ = await command(h, monkeypatch, capsys, "why", "TEA", "--at", moment)
        assert "TEA as of 2026-11-25 10:01:10" in out  # in the company's zone
        for wrong in (["--at", "yesterday"], ["--at", "2099-01-01"], ["--channel", "eboy"]):
            code, _, err = await command(h, monkeypatch, capsys, "why", "TEA", *wrong)
            assert (code, wrong[1] in err) == (2, True), err
        code, _, err = await command(h, monkeypatch, capsys, "why", "COFFEE")
        assert (code, "COFFEE" in err) == (2, True)
