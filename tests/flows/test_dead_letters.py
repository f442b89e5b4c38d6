"""A command that was refused: its words, its request and answer, and the verbs that end it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from house import ENV, House, house

from core import retention
from core.cli import main
from core.verbs import Unknown

BUYER = ("Alex Example", "1 Sample Street", "01067", "alex@example.com")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    """One order that the warehouse refuses, and its cancel that waits behind it."""
    settings = {"depot": {"known_skus": "TEA"}}
    async with house(tmp_path, mappings=True, settings=settings) as it:
        await it.sells(TEA=20, MUG=20)
        order = await it.shop.place_order("MUG")
        await it.settle(60)
        await it.shop.cancel(order["id"])
        await it.settle(60)
        yield it


def ask(h: House, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main([words[0], "--config", str(h.folder / "config.yaml"), *words[1:]])
    return code, capsys.readouterr().out


def dead(h: House) -> int:
    return int(h.one("SELECT id FROM outbox WHERE state = 'dead'"))


# ------------------------------------------------------------------ looking


async def test_s6_a_dead_letter_shows_what_was_said_and_what_to_do(
    h: House, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = ask(h, capsys, "dead", str(dead(h)))
    assert code == 1
    for words in (
        "fulfill_order to depot for shop:#000001: dead",
        "there is no article MUG",
        "POST /depot/orders",
        '"reference": "truecount:shop:S000001:fulfill_order:1"',
        "answered 422",
        "1 command waits behind it.",
        "fulfill_order.yaml; its document is then made anew): truecount retry 2",
        "truecount discard 2 --reason TEXT --by NAME",
    ):
        assert words in said, said
    assert not [buyer for buyer in BUYER if buyer in said]
    _, whole = ask(h, capsys, "dead", str(dead(h)), "--buyer", "--json")
    found = json.loads(whole)
    assert "Alex Example" in found["said"][-1]["sent"]
    assert [one["result"] for one in found["attempts"]] == ["dead"]


async def test_what_was_said_is_sealed_has_no_login_and_is_forgotten_with_the_buyer(
    h: House, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = h.one("SELECT said FROM attempts WHERE said IS NOT NULL")
    assert not [buyer for buyer in (*BUYER, "reference") if buyer.encode() in kept]
    _, whole = ask(h, capsys, "dead", str(dead(h)), "--buyer", "--json")
    assert ENV["DEPOT"] not in whole
    h.clock.advance(h.app.config.retention.buyer_s + timedelta(days=1).total_seconds())
    await retention.forget(h.app)
    assert h.rows("SELECT * FROM attempts WHERE said IS NOT NULL") == []
    code, said = ask(h, capsys, "dead", str(dead(h)))
    assert (code, "there is no article MUG" in said) == (1, True)


async def test_a_doubt_is_kept_with_what_was_said_and_a_plain_success_is_not(h: House) -> None:
    h.faults("books", lose_answers=1, only="POST /sales-orders")
    await h.shop.place_order("TEA")
    await h.settle(60)
    rows = h.rows(
        "SELECT a.result, a.said IS NOT NULL AS said FROM attempts a JOIN outbox o"
        " ON o.id = a.outbox_id WHERE o.order_id = 2 AND o.kind = 'book_order' ORDER BY a.id"
    )
    assert [tuple(row) for row in rows] == [("in_doubt", 1), ("done", 0)]


async def test_there_is_no_such_command(h: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(h, capsys, "dead", "4711")[0] == 2


# ------------------------------------------------------------------ ending it


async def test_retry_makes_the_document_anew_by_the_mapping_of_now(h: House) -> None:
    file = h.folder / "mappings" / "generic_wms" / "fulfill_order.yaml"
    text = file.read_text()
    assert text.count("      sku:      sku\n") == 1
    file.write_text(text.replace("      sku:      sku\n", "      sku:      = TEA\n"))
    for example in file.parent.glob("fulfill_order.test.yaml"):
        example.unlink()
    await h.operate("reload", yes=True)
    assert await h.operate("retry", ids=[dead(h)]) == {"retried": 1}
    await h.settle(120)
    [asked] = h.asked()
    assert (asked["lines"][0]["sku"], asked["state"]) == ("TEA", "cancelled")
    assert h.causes() == []


async def test_discard_gives_up_one_command_with_its_reason_and_the_lane_goes_on(
    h: House, capsys: pytest.CaptureFixture[str]
) -> None:
    number = dead(h)
    done = await h.operate("discard", ids=[number], by="Ann", reason="sent by hand")
    assert done == {"discarded": 1}
    await h.settle(60)
    row = h.one("SELECT state, words FROM outbox WHERE id = ?", number)
    assert tuple(row) == ("discarded", "Ann: sent by hand")
    assert h.commands("cancel_fulfillment")[0]["state"] == "dead"  # the warehouse never knew it
    [cause] = [one for one in h.causes() if one.startswith("refused:")]
    assert "cancel_fulfillment" in cause
    assert ask(h, capsys, "dead", str(number))[0] == 0
    names = [one["name"] for one in h.rows("SELECT name FROM steps WHERE order_id = 1")]
    assert "command.discarded" in names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"ids": [1], "by": "Ann", "reason": "x"}, "command 1 is done, not dead"),
        ({"ids": [99], "by": "Ann", "reason": "x"}, "command 99 is not there, not dead"),
        ({"ids": [], "by": "Ann", "reason": "x"}, "name the commands to discard"),
        ({"ids": [2], "by": "Ann"}, "--reason is a text"),
        ({"ids": [2], "reason": "x"}, "--by is a text"),
    ],
)
async def test_a_discard_that_makes_no_sense_changes_nothing(
    h: House, words: dict[str, object], says: str
) -> None:
    with pytest.raises(Unknown, match=says):
        await h.operate("discard", **words)
    assert h.commands("fulfill_order")[0]["state"] == "dead"
