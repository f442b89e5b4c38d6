"""A difference from day to day: first seen, whose it is, resolved by a fact, or written off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from core import known_differences, noticing, report
from core.causes import CAUSES
from core.cli import main
from core.differences import Difference, Part
from core.verbs import Unknown
from tests.acceptance.test_differences import TODAY, compared
from tests.flows.house import ENV, House, house


async def look(h: House) -> None:
    """As the daemon does, with the comparison in this process."""

    async def child() -> tuple[int, bytes]:
        found = known_differences.as_seen(compared(h).differences)
        return 0, orjson.dumps({"differences": found})

    await noticing.look(h.app, child)


async def a_wrong_count(h: House, units: int = 7) -> Difference:
    """The books have counted other units than the depot."""
    await h.sells(TEA=10)
    h.books.set_stock("TEA", "MAIN", units)
    await h.settle(700)
    return the_one(h)


def the_one(h: House) -> Difference:
    [one] = [one for one in compared(h).differences if one.what == "on-hand in books"]
    return one


def kinds(found: Sequence[Difference]) -> list[str]:
    return [one.kind for one in found]


async def test_it_keeps_its_first_day_and_ends_with_a_fact(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        first = await a_wrong_count(h)
        assert first.first_seen == ""
        await look(h)
        seen = the_one(h).first_seen
        await h.settle(3600)
        await look(h)
        assert (the_one(h).id, the_one(h).first_seen) == (first.id, seen)
        h.books.set_stock("TEA", "MAIN", 10)
        await h.settle(700)
        await look(h)
        row = h.one("SELECT * FROM differences")
        assert (row["first_at"], row["ended_at"] > row["first_at"]) == (seen, True)
        assert compared(h).unexplained_rolled == {
            "opening": 0, "new": 1, "resolved": 1, "written_off": 0, "closing": 0
        }  # fmt: skip


async def test_one_that_comes_back_begins_anew_and_is_nobodys(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        one = await a_wrong_count(h)
        await look(h)
        await h.operate("assign", hold=one.id, name="Ann", by="Bob")
        assert the_one(h).owner == "Ann"
        assert "Ann is on it" in " ".join(report.as_text(compared(h)).split())
        h.books.set_stock("TEA", "MAIN", 10)
        await h.settle(700)
        await look(h)
        before = h.one("SELECT first_at FROM differences")
        h.books.set_stock("TEA", "MAIN", 7)
        await h.settle(700)
        await look(h)
        row = h.one("SELECT * FROM differences")
        assert (row["id"], row["assignee"], row["ended_at"]) == (one.id, "", None)
        assert row["first_at"] > before


async def test_written_off_it_alarms_no_more_until_its_amount_changes(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        one = await a_wrong_count(h)
        await look(h)
        assert compared(h).verdict == "ATTENTION"
        done = await h.operate("write-off", difference=one.id, reason="lost in May", by="Ann")
        assert done == {
            "written off": one.id, "what": "on-hand in books, TEA", "units": -3, "by": "Ann"
        }  # fmt: skip
        off = the_one(h)
        assert (off.id, off.kind, off.cause, off.units) == (one.id, "explained", "written_off", -3)
        assert compared(h).unexplained == []
        assert "lost in May" not in report.as_text(compared(h))  # a reason may name a buyer
        await look(h)
        assert the_one(h).cause == "written_off"
        assert h.one("SELECT cause FROM differences") == "stock_differs"
        assert compared(h).unexplained_rolled["written_off"] == 1
        [step] = h.rows("SELECT * FROM steps WHERE name = 'difference.written_off'")
        assert orjson.loads(step["data"])["by"] == "Ann"
        h.books.set_stock("TEA", "MAIN", 6)
        await h.settle(700)
        assert the_one(h).cause == "stock_differs"
        await look(h)
        assert h.one("SELECT written_by FROM differences") == ""
        assert the_one(h).first_seen == off.first_seen


async def test_a_plan_to_write_off_changes_nothing_and_sends_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        one = await a_wrong_count(h)
        await look(h)
        words = {"difference": one.id, "reason": "lost", "by": "Ann"}
        done = await h.operate("write-off", **words, plan=True)
        assert (done["plan"], done["writes"], done["units"]) == (True, [], -3)
        assert the_one(h).kind == "unexplained"


async def test_what_cannot_be_written_off_is_refused_with_what_and_why(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        one = await a_wrong_count(h)
        words = {"reason": "lost", "by": "Ann"}
        with pytest.raises(Unknown, match="`truecount differences` lists them"):
            await h.operate("write-off", difference=one.id, **words)
        await look(h)
        with pytest.raises(Unknown, match="--reason is a text"):
            await h.operate("write-off", difference=one.id, by="Ann")
        await h.operate("write-off", difference=one.id, **words)
        with pytest.raises(Unknown, match="was written off by Ann: lost"):
            await h.operate("write-off", difference=one.id, **words)
        await h.write("UPDATE differences SET said = '', cause = 'held'")
        with pytest.raises(Unknown, match=r"is explained \(held\): it ends with its cause"):
            await h.operate("write-off", difference=one.id, **words)


async def test_what_is_on_its_way_is_not_remembered(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.faults("books", status=503)
        await h.sells(TEA=10)
        await h.shop.place_order(lines=[{"sku": "TEA", "quantity": 2}])
        await h.settle(30)
        assert set(kinds(compared(h).differences)) == {"in_flight"}
        await look(h)
        assert h.rows("SELECT * FROM differences") == []


async def test_a_comparison_that_failed_ends_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_wrong_count(h)
        await look(h)

        async def child() -> tuple[int, bytes]:
            return 1, b"no room"

        await noticing.look(h.app, child)
        assert h.one("SELECT ended_at FROM differences") is None


async def test_a_process_of_its_own_compares_and_the_faces_show_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    async with house(tmp_path) as h:
        one = await a_wrong_count(h)
        await noticing.look(h.app)
        await h.operate("assign", hold=one.id, name="Ann", by="Bob")
        config = ["--config", str(h.folder / "config.yaml")]
        assert main(["differences", *config]) == 1  # something needs a person
        said = capsys.readouterr().out
        assert f"{one.id}  on-hand in books: TEA, -3 units" in said
        assert CAUSES["stock_differs"].meaning in said
        assert "Ann is on it" in said
        await h.operate("write-off", difference=one.id, reason="lost in May", by="Ann")
        assert main(["differences", *config]) == 0
        assert "written off by Ann: lost in May" in capsys.readouterr().out
        assert main(["differences", "--json", *config]) == 0
        assert orjson.loads(capsys.readouterr().out)[0]["id"] == one.id


async def test_the_roll_forward_goes_over_days(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await a_wrong_count(h)
        await look(h)
        tomorrow = compared(h, TODAY + timedelta(days=1)).unexplained_rolled
        assert tomorrow == {"opening": 1, "new": 0, "resolved": 0, "written_off": 0, "closing": 1}
        assert compared(h, TODAY - timedelta(days=1)).unexplained_rolled["closing"] == 0


def test_explained_is_only_what_events_account_for_to_the_unit() -> None:
    parts = (Part(cause="unposted_return", what="return 1", units=2),)
    one = {"what": "on-hand in books", "key": "TEA", "detail": "", "units": 3}
    assert Difference(**one, cause="stock_differs", parts=parts).open_units == 1  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="does not account"):
        Difference(**one, cause="unposted_return", parts=parts)  # type: ignore[arg-type]
    assert {cause.kind for cause in CAUSES.values()} == {"in_flight", "explained", "unexplained"}
