"""What an operator does with a mapping: see, try, save, and the orders go on (issue 5's walk)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core import drift, mappings_in_force, order_rows
from core.cli import main
from core.errors import MappingError
from core.store.schema import mapping_texts
from tests.flows.house import ENV, House, house

LINE = "    cod: cod\n"
#: What stands in a payload and must never be shown.
BUYER = ("Ada Lovelace", "Lovelace", "1 Rue Secrète", "75011", "ada@example.net", "+33611223344")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)


def ask(h: House, capsys: pytest.CaptureFixture[str], *words: str, code: int | None = None) -> str:
    """What `truecount mapping …` prints."""
    capsys.readouterr()
    found = main(["mapping", words[0], "--config", str(h.folder / "config.yaml"), *words[1:]])
    said = capsys.readouterr()
    if code is not None:
        assert found == code, said
    return said.out


def file_of(h: House) -> Path:
    return h.folder / "mappings" / "generic_channel" / "order.yaml"


def edit(h: House, *changes: tuple[str, str]) -> None:
    text = file_of(h).read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file_of(h).write_text(text)


async def saved(h: House, desk: mappings_in_force.OnSave) -> None:
    """The daemon looks twice: a file that is still being written is left alone."""
    await desk.look()
    await desk.look()
    await h.settle()


async def orders(h: House, count: int, payment: str = "paid") -> Sequence[dict[str, Any]]:
    return [await h.shop.place_order("TEA", payment=payment) for _ in range(count)]


async def test_a_new_payment_method_forty_orders_one_line_and_they_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True, pushes=False) as h:
        desk = mappings_in_force.OnSave(h.app)
        await h.sells(TEA=100)
        await orders(h, 3)
        await h.settle()
        held = await orders(h, 40, payment="voucher")
        await h.settle()

        # 1. One exception with forty members says what is new and where the line belongs.
        [hold] = h.rows("SELECT * FROM holds WHERE closed_at IS NULL")
        assert hold["reason"] == 'payment "voucher" is not in choices.payment (payment)'
        assert "Add a line for this word to choices.payment" in hold["next_step"]
        line = file_of(h).read_text().partition("\n  payment:\n")[0].count("\n") + 3
        assert f"generic_channel/order.yaml:{line}:5" in hold["next_step"]
        members = "SELECT count(*) FROM hold_members WHERE hold_id = ? AND closed_at IS NULL"
        assert h.one(members, hold["id"]) == 40

        # 2. The operator adds one line and looks, before anything takes effect. (The version
        #    is raised too.)
        edit(h, (LINE, f"{LINE}    voucher: paid\n"), ("version: 1", "version: 2"))
        said = ask(h, capsys, "preview", str(file_of(h)), code=1)
        assert "generic_channel.order: v1" in said
        assert "tried on 43 recorded documents" in said
        assert "3  come out the same" in said
        assert "40  would be released" in said
        assert 'payment "voucher" is not in choices.payment' in said
        assert h.one(members, hold["id"]) == 40

        # 3. Saved. The daemon sees it, and the forty go on by themselves.
        await saved(h, desk)
        assert h.causes() == []
        assert {h.state("shop", order) for order in held} == {"released"}
        said = ask(h, capsys, "preview", str(file_of(h)), code=0)
        assert "Nothing would change." in said
        [remembered] = h.rows("SELECT DISTINCT mapping FROM inbox WHERE mapping LIKE '%order v2%'")
        assert h.one("SELECT count(*) FROM mapping_texts WHERE version = ?", remembered[0]) == 1


async def test_a_change_that_alters_posted_orders_asks_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True) as h:
        desk = mappings_in_force.OnSave(h.app)
        await h.sells(TEA=9)
        await orders(h, 2)
        await h.settle()
        edit(h, ("  channel_state:    state\n", "  channel_state:    state | upper\n"))
        said = ask(h, capsys, "preview", str(file_of(h)), code=1)
        assert "change" in said
        assert 'channel_state: "open" -> "OPEN"' in said
        assert "posted already" in said

        await saved(h, desk)
        assert h.causes() == [mappings_in_force.ASKS]
        assert h.one("SELECT count(*) FROM mapping_texts WHERE stem = 'order'") == 1
        with pytest.raises(mappings_in_force.Asks, match="truecount reload --yes"):
            await h.operate("reload")
        await h.operate("reload", yes=True)
        assert h.causes() == []
        assert h.one("SELECT count(*) FROM mapping_texts WHERE stem = 'order'") == 2


async def test_replay_prints_what_changed_and_asks_where_it_alters_posted_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, mappings=True, pushes=False) as h:
        await h.sells(TEA=9)
        [order] = await orders(h, 1)
        [held] = await orders(h, 1, payment="voucher")
        await h.settle()
        edit(h, (LINE, f"{LINE}    voucher: paid\n"), ("version: 1", "version: 2"),
             ("  channel_state:    state\n", "  channel_state:    state | upper\n"))  # fmt: skip
        with monkeypatch.context() as nothing_tried_again:
            nothing_tried_again.setattr(mappings_in_force, "_held_by_mappings", lambda _: [])
            await h.operate("reload", yes=True)
        done = await h.operate("replay")
        assert done["replayed"] == 1
        [change] = done["changes"]
        assert change["old"].startswith("v1 ")
        assert change["new"].startswith("v2 ")
        assert change["released"][0]["documents"] == 1
        assert any("Would be released" in line for line in done["said"])
        await h.settle()
        assert h.state("shop", held) == "released"

        words = {"applied": True, "system": "shop", "resource": "order"}
        with pytest.raises(mappings_in_force.Asks, match="replay --applied --yes"):
            await h.operate("replay", **words)
        done = await h.operate("replay", **words, yes=True)
        assert done["changes"][0]["fields"]["channel_state"]["documents"] == 1
        await h.settle()
        row = h.order("shop", order["id"])
        doc = h.app.seal.open(row["doc"], order_rows.aad("shop", order["id"]))
        assert b'"OPEN"' in doc
        assert (await h.operate("replay", **words)) == {"replayed": 0}


async def test_h34_a_broken_file_is_an_exception_and_the_old_one_works_on(tmp_path: Path) -> None:
    async with house(tmp_path, mappings=True) as h:
        desk = mappings_in_force.OnSave(h.app)
        await h.sells(TEA=9)
        edit(h, (" total | money", " total | mony"))
        await saved(h, desk)
        assert h.causes() == ["mappings:refused"]
        labels = h.rows("SELECT label FROM hold_members WHERE member = 'mappings'")
        label = " ".join(row["label"] for row in labels)
        assert "generic_channel/order.yaml:15" in label
        assert '"mony" is not a step' in label
        [order] = await orders(h, 1)
        await h.settle()
        assert h.state("shop", order) == "released"
        edit(h, (" total | mony", " total | money"))
        await saved(h, desk)
        assert h.causes() == []


async def test_a_refused_file_is_told_in_the_same_words_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, line, column, our field, their path and what was seen, wherever it is told."""
    async with house(tmp_path, mappings=True) as h:
        edit(h, (" total | money", " total | mony"))
        await saved(h, mappings_in_force.OnSave(h.app))
        config = str(h.folder / "config.yaml")
        day = h.clock.now().date().isoformat()
        said = {}
        for verb in (["check"], ["holds"], ["status"], ["report", "--date", day, "--json"]):
            capsys.readouterr()
            main([verb[0], "--config", config, *verb[1:]])
            shown = capsys.readouterr()
            said[verb[0]] = " ".join((shown.out + shown.err).replace('\\"', '"').split())
        words = 'order.yaml:15:29 total: "mony" is not a step (total)'
        assert {verb: words in text for verb, text in said.items()} == dict.fromkeys(said, True)
        assert 'Did you mean "money"?' in said["check"]
        assert 'Did you mean "money"?' in said["holds"]


async def test_h34_a_start_with_a_broken_file_works_on_with_what_was_in_force(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        edit(h, (" total | money", " total | mony"))
        await h.restart()
        desk = mappings_in_force.OnSave(h.app)
        assert h.causes() == ["mappings:refused"]
        [reason] = h.rows("SELECT reason FROM holds WHERE cause = 'mappings:refused'")
        assert "what was in force before stays in force" in reason[0]
        assert "generic_channel/order.yaml:15:" in reason[0]
        assert '"mony" is not a step' in reason[0]
        [order] = await orders(h, 1)
        [held] = await orders(h, 1, payment="voucher")
        await h.settle()
        assert h.state("shop", order) == "released"
        [step] = h.rows("SELECT next_step FROM holds WHERE cause LIKE 'mapping:%'")
        assert f"{file_of(h)}:" in step[0]  # the file's own name, as ever

        await h.restart()  # and once more: one exception, the same
        desk = mappings_in_force.OnSave(h.app)
        assert h.one("SELECT count(*) FROM holds WHERE cause = 'mappings:refused'") == 1
        edit(h, (" total | mony", " total | money"), (LINE, f"{LINE}    voucher: paid\n"))
        await saved(h, desk)
        assert h.causes() == []
        assert h.state("shop", held) == "released"


async def test_a_start_with_a_change_that_alters_posted_orders_asks_first(tmp_path: Path) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        await orders(h, 2)
        await h.settle()
        edit(h, ("  channel_state:    state\n", "  channel_state:    state | upper\n"))
        await h.restart()
        await h.restart()
        assert h.causes() == [mappings_in_force.ASKS]
        assert h.one("SELECT count(*) FROM holds WHERE cause = ?", mappings_in_force.ASKS) == 1
        assert h.one("SELECT count(*) FROM mapping_texts WHERE stem = 'order'") == 1
        [old] = [one for one in h.app.book if one.name == "generic_channel.order"]
        assert b"state | upper" not in old.text.data
        desk = mappings_in_force.OnSave(h.app)
        await saved(h, desk)  # nobody has saved anything since
        assert h.causes() == [mappings_in_force.ASKS]
        with pytest.raises(mappings_in_force.Asks, match="truecount reload --yes"):
            await h.operate("reload")
        await h.operate("reload", yes=True)
        assert h.causes() == []
        await h.restart()
        assert h.causes() == []
        assert h.one("SELECT count(*) FROM mapping_texts WHERE stem = 'order'") == 2


async def test_a_change_undone_while_the_daemon_is_down_closes_the_question(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        await orders(h, 1)
        await h.settle()
        before, after = "  channel_state:    state\n", "  channel_state:    state | upper\n"
        edit(h, (before, after))
        await h.restart()
        assert h.causes() == [mappings_in_force.ASKS]
        edit(h, (after, before))
        await h.restart()
        assert h.causes() == []


async def test_a_line_added_while_the_daemon_is_down_releases_what_it_held(tmp_path: Path) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        [held] = await orders(h, 1, payment="voucher")
        await h.settle()
        edit(h, (LINE, f"{LINE}    voucher: paid\n"))
        await h.restart()
        await h.settle()
        assert h.causes() == []
        assert h.state("shop", held) == "released"


async def test_a_file_that_was_removed_is_not_brought_back_by_a_broken_one(tmp_path: Path) -> None:
    async with house(tmp_path, mappings=True) as h:
        file_of(h).with_name("listing.yaml").unlink()
        await h.operate("reload")
        edit(h, (" total | money", " total | mony"))
        await h.restart()
        names = {one.name for one in h.app.book}
        assert "generic_channel.order" in names
        assert "generic_channel.listing" not in names


async def test_a_start_is_refused_where_no_good_text_was_ever_in_force(tmp_path: Path) -> None:
    async with house(tmp_path, mappings=True) as h:
        edit(h, (" total | money", " total | mony"))
        await h.app.store.write(lambda c: c.execute(mapping_texts.delete()))
        with pytest.raises(MappingError, match=r"order.yaml:15:\d+ .*\"mony\" is not a step"):
            await h.restart()
        edit(h, (" total | mony", " total | money"))
        await h.app.close()
        await h.start()


async def test_preview_as_json_and_as_a_page_shows_no_buyer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        [order] = await orders(h, 1)
        order["buyer"] = {
            "name": BUYER[0], "street": BUYER[2], "postcode": BUYER[3], "country": "FR",
            "city": "<b>Paris</b>", "email": BUYER[4], "phone": BUYER[5],
        }  # fmt: skip
        order["number"] = f"N-{BUYER[1]}"
        order["version"] += 1
        await h.hook("shop", order)
        await h.now()
        edit(h, ("ship_to.name:     buyer.name", "ship_to.name:     buyer.city"),
             ("  number:           number\n", "  number:           number | upper\n"),
             ("title:      title\n    quantity", "title:      sku\n    quantity"))  # fmt: skip
        page = tmp_path / "page.html"
        found = json.loads(
            ask(h, capsys, "preview", str(file_of(h)), "--json", "--html", str(page), code=1)
        )
        assert found["changed"] >= 1
        assert found["fields"]["ship_to.name"]["examples"][0]["before"] == "(a buyer's, not shown)"
        html = page.read_text()
        text = ask(h, capsys, "preview", str(file_of(h)))
        for word in BUYER:
            for said in (html, json.dumps(found), text):
                assert word.lower() not in said.lower(), word
        assert "<b>Paris" not in html
        assert "http" not in html
        assert "<script" not in html


async def test_an_outgoing_mapping_is_tried_on_the_commands_that_were_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        await orders(h, 2)
        await h.settle()
        path = h.folder / "mappings" / "generic_wms" / "fulfill_order.yaml"
        path.write_text(path.read_text().replace("sku:      sku\n", "sku:      sku | lower\n"))
        said = ask(h, capsys, "preview", str(path), code=1)
        assert "2  change" in said
        assert '"TEA" -> "tea"' in said


async def test_fixtures_of_what_came_hold_no_buyer_and_still_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        for order in await orders(h, 2):
            order["buyer"] = {
                "name": BUYER[0], "street": BUYER[2], "postcode": BUYER[3], "country": "FR",
                "city": "Paris", "email": BUYER[4], "phone": BUYER[5],
            }  # fmt: skip
            order["version"] += 1
            await h.hook("shop", order)
        await h.settle()
        out = ask(h, capsys, "sample", "shop", "order", "-n", "20", code=0)
        files = sorted((file_of(h).parent / "samples" / "recorded").glob("*.json"))
        assert len(files) >= 2
        assert str(files[0]) in out
        text = "".join(one.read_text() for one in files)
        assert [word for word in BUYER if word.lower() in text.lower()] == []
        assert {json.loads(one.read_text())["buyer"]["name"] for one in files[:2]}
        said = ask(h, capsys, "explain", str(file_of(h)), str(files[0]), code=0)
        assert "taken" in said.splitlines()[0]
        assert "lines[0].sku" in said
        assert 'sku -> "TEA"  | sku -> "TEA"' in said


async def test_coverage_names_what_no_line_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True) as h:
        await h.sells(TEA=9)
        [order] = await orders(h, 1)
        order["gift_wrap"] = {"color": "red"}
        order["version"] += 1
        await h.hook("shop", order)
        await h.now()
        said = ask(h, capsys, "coverage", "shop", code=0)
        assert "generic_channel.order v1" in said
        assert "gift_wrap.color" in said
        assert "red" not in said.replace("recorded", "")
        found = json.loads(ask(h, capsys, "coverage", "shop", "--json"))
        [own] = [m for m in found["mappings"] if m["mapping"].startswith("generic_channel.order")]
        assert "buyer.name" not in {one["field"] for one in own["unread"]}


async def test_a_draft_of_an_unknown_payload_loads_once_a_person_has_read_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True) as h:
        payload = tmp_path / "payload.json"
        payload.write_text(
            '{"id": 7, "order_number": "A-7", "created_at": "2026-11-20T10:00:00Z",'
            ' "currency": "EUR", "total": "9.00", "payment_status": "PAID",'
            ' "shipping_address": {"name": "Ada Lovelace", "zip": "00123"},'
            ' "line_items": [{"id": 1, "sku": "TEA", "quantity": 1, "price": "9.00"}]}'
        )
        said = ask(h, capsys, "draft", "newshop", str(payload), code=0)
        assert "Lovelace" not in said
        folder = tmp_path / "newshop"
        folder.mkdir()
        (folder / "order.yaml").write_text(said)
        shown = ask(h, capsys, "explain", str(folder / "order.yaml"), str(payload), code=1)
        assert 'payment "PAID" is not in choices.payment' in shown
        (folder / "order.yaml").write_text(
            said.replace("    otherwise: hold", "    PAID: paid\n    otherwise: hold")
        )
        shown = ask(h, capsys, "explain", str(folder / "order.yaml"), str(payload), code=0)
        assert "ship_to.postcode" in shown
        assert '"00123"' in shown


async def test_h27_s14_what_a_vendor_changes_is_noticed_counted_and_mailed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path, mappings=True, pushes=False) as h:
        await h.sells(TEA=400)
        await orders(h, 60)
        await h.settle()
        assert await drift.look(h.app) == 0  # all of it is learned
        later = await orders(h, 60)
        for order in later:
            order["gift_note_of_a_buyer"] = BUYER[0]
            order["total"] = float(order["total"])
            del order["tax_included"]
        await h.settle()
        while await drift.look(h.app):
            pass
        found = {row["path"]: row for row in drift_rows(h)}
        assert found["gift_note_of_a_buyer"]["what"] == "new"
        assert found["total"]["detail"] == "text became whole number"
        assert found["tax_included"]["what"] == "vanished"
        assert "(inbox " in found["total"]["example"]
        said = ask(h, capsys, "drift", "shop", code=1)
        assert "gift_note_of_a_buyer" in said
        assert BUYER[0] not in said
        [read] = [row for row in json.loads(ask(h, capsys, "drift", "--json"))["drifts"]
                  if row["path"] == "total"]  # fmt: skip
        assert read["read_by"] == ["total"]
        report = capsys.readouterr()
        day = h.clock.now().date().isoformat()
        main(["report", "--config", str(h.folder / "config.yaml"), "--date", day])
        report = capsys.readouterr()
        assert "THEIR DOCUMENTS CHANGED" in report.out.upper()
        main(["report", "--config", str(h.folder / "config.yaml"), "--date", day, "--json"])
        mailed = json.loads(capsys.readouterr().out)["drifts"]
        assert {row["what"] for row in mailed} == {"new", "retyped", "vanished"}
        assert h.one("SELECT value FROM counters WHERE name = 'fields new' AND label = 'shop'") == 1


def drift_rows(h: House) -> list[dict[str, Any]]:
    with h.app.store.read() as connection:
        return drift.rows(connection)
