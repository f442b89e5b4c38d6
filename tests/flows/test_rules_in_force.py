"""Offer rules in a running seller: reloaded, refused, begun and ended by time, overruled."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from house import START, House, house

from core import overrides, rules_in_force
from core.app import put_right
from core.errors import Busy, ConfigError
from core.networking import network_of
from core.verbs import Unknown

NONE = "rules: []\n"
CAP = "rules:\n  - {sku: TEA, channel: shop, cap: 4}\n"


def shown(h: House, sku: str = "TEA") -> tuple[int, int]:
    return (h.shop.shown(sku), h.market.shown(sku))


def write(h: House, text: str) -> None:
    (h.folder / "rules.yaml").write_text(text)


async def reload(h: House, text: str) -> None:
    write(h, text)
    await h.operate("reload")
    await h.now()


async def refused(h: House, text: str) -> list[str]:
    write(h, text)
    with pytest.raises(ConfigError) as caught:
        await h.operate("reload")
    return [str(one).replace(f"{h.folder}/", "") for one in caught.value.problems]


def fed(h: House) -> dict[str, int]:
    return {row["sku"]: row["seq"] for row in h.rows("SELECT sku, seq FROM feed")}


def changed(before: dict[str, int], after: dict[str, int]) -> list[str]:
    return sorted(sku for sku, seq in after.items() if seq != before.get(sku))


# ------------------------------------------------------------------ reload


async def test_a_reload_tells_the_channels_of_the_items_it_is_about(tmp_path: Path) -> None:
    async with house(tmp_path, rules=NONE) as h:
        await h.sells(TEA=9, MUG=9)
        before = fed(h)
        await reload(h, CAP)
        assert shown(h) == (4, 9)
        assert changed(before, fed(h)) == ["TEA"]
        await reload(h, CAP.replace("4", "6"))
        assert shown(h) == (6, 9)
        before = fed(h)
        await reload(h, "# a remark more\n" + CAP.replace("4", "6"))
        assert fed(h) == before  # it says the same
        await reload(h, NONE)
        assert shown(h) == (9, 9)


async def test_safety_stock_of_a_rule_replaces_that_of_the_location(tmp_path: Path) -> None:
    async with house(tmp_path, safety=2, rules="rules:\n  - {sku: TEA, safety_stock: 25%}\n") as h:
        await h.sells(TEA=9, MUG=9)
        assert shown(h) == (6, 6)  # 25% of 9 is 2.25: 3 are kept
        assert shown(h, "MUG") == (7, 7)


async def test_h34_bad_rules_change_nothing_and_one_exception_says_where(tmp_path: Path) -> None:
    async with house(tmp_path, rules=CAP) as h:
        await h.sells(TEA=9)
        assert await refused(h, "rules:\n  - {sku: TEA, cap: 7}\n  - share: 140%\n") == [
            'rules.yaml:3:12  rules row 2.share: "140%" is more than 100%'
        ]
        await h.now()
        assert shown(h) == (4, 9)  # the last good ones
        assert h.causes() == ["rules:refused"]
        labels = "SELECT label FROM hold_members WHERE closed_at IS NULL"
        assert h.one(labels) == (
            f'{h.folder}/rules.yaml:3:12 rules row 2.share: "140%" is more than 100%'
        )
        await refused(h, "rules:\n  - {channel: shpo, cap: 7}\n")  # corrected, and a new mistake
        assert "shpo" in h.one(labels)
        await reload(h, "rules:\n  - {sku: TEA, channel: shop, cap: 7}\n")
        assert h.causes() == []
        assert shown(h) == (7, 9)
        assert h.one("SELECT count(*) FROM holds") == 1


async def test_bad_mappings_and_good_rules_change_nothing_either(tmp_path: Path) -> None:
    async with house(tmp_path, rules=NONE, mappings=True) as h:
        await h.sells(TEA=9)
        file = h.folder / "mappings" / "generic_channel" / "order.yaml"
        file.write_text(file.read_text().replace("total | money", "total | mony"))
        write(h, CAP)
        with pytest.raises(ConfigError, match="order.yaml"):
            await h.operate("reload")
        await h.now()
        assert shown(h) == (9, 9)


async def test_a_rule_for_an_unknown_sku_is_refused_until_somebody_names_it(tmp_path: Path) -> None:
    async with house(tmp_path, rules=NONE) as h:
        await h.sells(TEA=9)
        text = "rules:\n  - sku: [TEA, MUG]\n    cap: 4\n"
        assert await refused(h, text) == [
            'rules.yaml:2:16  no warehouse, ERP or channel has named the SKU "MUG"'
        ]
        assert shown(h) == (9, 9)
        await h.sells(MUG=9)
        await h.settle(700)  # the listings are read again
        await reload(h, text)
        assert (shown(h), shown(h, "MUG")) == ((4, 4), (4, 4))
        assert h.causes() == []


async def test_less_safety_stock_covers_an_order_that_was_short(tmp_path: Path) -> None:
    async with house(tmp_path, rules=NONE) as h:
        await h.sells(TEA=9)
        h.lost_pushes.add("shop")
        order = await h.shop.place_order("TEA", 2)
        await reload(h, "rules:\n  - {sku: TEA, safety_stock: 100%}\n")
        await h.settle()  # only now is the order seen
        assert h.line("shop", order)[:3] == (2, 0, 2)
        await reload(h, NONE)
        assert h.line("shop", order)[:3] == (2, 2, 0)
        assert h.state("shop", order) == "released"
        assert shown(h) == (7, 7)


# ------------------------------------------------------------------ start


async def test_rules_that_were_edited_while_we_were_down_are_told_after_the_start(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, rules=CAP) as h:
        await h.sells(TEA=9)
        assert shown(h) == (4, 9)
        before = fed(h)
        await h.restart()
        assert fed(h) == before  # nothing else stands there
        await h.stop()
        write(h, CAP.replace("4", "6"))
        await h.start()
        await h.now()
        assert shown(h) == (6, 9)
        assert h.one("SELECT count(*) FROM offer_rules") == 2


async def test_a_start_shows_rules_about_items_nobody_knows(tmp_path: Path) -> None:
    async with house(tmp_path, rules=NONE) as h:
        await h.sells(TEA=9)
        await h.stop()
        write(h, "rules:\n  - {sku: [TEA, GHOST], cap: 4}\n")
        await h.start()  # it starts all the same: the rest of the rules counts
        await h.now()
        assert shown(h) == (4, 4)
        assert h.causes() == ["rules:refused"]
        await reload(h, "rules:\n  - {sku: TEA, cap: 4}\n")
        assert h.causes() == []


async def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    async with house(tmp_path, rules=NONE) as h:
        await h.stop()
        write(h, "rules:\n  - {cap: -4}\n")
        with pytest.raises(ConfigError, match="rules.yaml:2"):
            await h.start()
        write(h, NONE)
        await h.start()


async def test_a_face_beside_the_daemon_sees_the_rules_in_force_not_half_an_edit(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, rules=CAP) as h:
        await h.sells(TEA=9)
        await h.operate("stop-sell", sku="TEA", channel="market", by="Mia", reason="recall")
        write(h, "rules:\n  - {sku: TEA, chan")
        with h.app.store.read() as connection:
            plain = network_of(h.app.config)
            rules = rules_in_force.as_kept(plain, connection, "rules.yaml").rules
        assert rules == h.app.network.rules
        assert [rule.origin for rule in rules.about("TEA")] == ["", "rules.yaml:2"]


# ------------------------------------------------------------------ time

CAMPAIGN = """\
rules:
  - sku: TEA
    channel: market
    campaign: {name: "11.26", reserve: 6, from: 2026-11-25 10:10, until: 2026-11-25 10:20}
"""  # in Berlin: the house opens at 09:00 UTC, ten minutes before it begins


async def test_s34_a_campaign_begins_and_ends_at_its_moment(tmp_path: Path) -> None:
    async with house(tmp_path, rules=CAMPAIGN) as h:
        await h.sells(TEA=9)
        seen = {}
        for second in (599, 600, 1199, 1200):
            await h.settle((START + timedelta(seconds=second) - h.clock.now()).total_seconds())
            seen[second] = shown(h)
        assert seen == {599: (9, 9), 600: (3, 9), 1199: (3, 9), 1200: (9, 9)}


async def test_s34_the_reserve_shrinks_by_what_the_campaign_sells(tmp_path: Path) -> None:
    async with house(tmp_path, rules=CAMPAIGN) as h:
        await h.sells(TEA=9)
        await h.market.place_order("TEA", 1)  # before it begins
        await h.settle(601)
        assert shown(h) == (2, 8)  # 8 - 6
        await h.market.place_order("TEA", 4)
        await h.settle()
        assert shown(h) == (2, 4)  # 4 - (6 - 4)
        await h.shop.place_order("TEA", 2)
        await h.settle()
        assert shown(h) == (0, 2)


async def test_what_began_while_we_were_down_is_made_up_for(tmp_path: Path) -> None:
    async with house(tmp_path, rules=CAMPAIGN) as h:
        await h.sells(TEA=9)
        await h.stop()
        h.clock.advance(900)
        await h.start()
        await h.now()
        assert shown(h) == (3, 9)


# ------------------------------------------------------------------ an operator's override


async def test_a_stop_is_told_at_once_and_survives_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path, rules=CAP) as h:
        await h.sells(TEA=9, MUG=9)
        done = await h.operate("stop-sell", sku="TEA", by="Mia", reason="recall of lot 7")
        assert done == {
            "stopped": "TEA", "on": "every channel", "until": "somebody resumes it"
        }  # fmt: skip
        await h.now()
        assert (shown(h), shown(h, "MUG")) == ((0, 0), (9, 9))
        assert re.search(r"STOPPED BY HAND\n.*TEA +every channel +Mia .*lot 7", h.mail(), re.DOTALL)
        await h.restart()
        h.depot.receive("TEA", "EAST", 5)
        await h.settle()
        assert shown(h) == (0, 0)
        await reload(h, NONE)  # no reload ends it
        assert shown(h) == (0, 0)
        assert await h.operate("resume-sell", sku="TEA", by="Jo") == {
            "resumed": "TEA", "on": "every channel"
        }  # fmt: skip
        await h.now()
        assert shown(h) == (14, 14)
        assert "STOPPED BY HAND" not in h.mail()
        row = h.one("SELECT * FROM overrides")
        assert (row["by"], row["reason"], row["ended_by"]) == ("Mia", "recall of lot 7", "Jo")


async def test_a_stop_on_one_channel_with_an_end(tmp_path: Path) -> None:
    async with house(tmp_path) as h:  # needs no file of rules
        await h.sells(TEA=9)
        words = {"sku": "TEA", "channel": "shop", "by": "Mia", "reason": "count"}
        done = await h.operate("stop-sell", **words, until="2026-11-25 10:05")
        assert (done["on"], done["until"]) == ("shop", "2026-11-25 10:05 CET")
        await h.now()
        assert shown(h) == (0, 9)
        with h.app.store.read() as connection:
            assert overrides.stopped(connection) == [
                {
                    **words,
                    "since": "2026-11-25T09:00:00.000000Z",
                    "until": "2026-11-25T09:05:00.000000Z",
                }
            ]
        await h.settle(299)
        assert shown(h) == (0, 9)
        await h.settle(1)
        assert shown(h) == (9, 9)
        with h.app.store.read() as connection:
            assert overrides.stopped(connection) == []
        assert h.one("SELECT ended_by FROM overrides") == overrides.EXPIRED


async def test_g18_a_moment_that_a_wrong_clock_has_passed_already_comes_again(
    tmp_path: Path,
) -> None:
    """The clock was an hour ahead: the stop that ends at 10:30 was over for good at 10:00."""
    rules = "rules:\n  - {sku: TEA, stop_sell: {by: Mia, reason: count, until: 2026-11-25 10:30}}\n"
    async with house(tmp_path, rules=rules) as h:
        await h.sells(TEA=9)
        assert shown(h) == (0, 0)
        h.clock.advance(3600)
        await h.settle()
        assert shown(h) == (9, 9)
        h.clock._at -= timedelta(hours=1)
        await put_right(h.app)
        await h.settle()
        assert shown(h) == (0, 0)
        await h.settle(1860)
        assert shown(h) == (9, 9)


async def test_a_stop_that_ends_while_we_are_down_is_over_after_the_start(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        await h.operate("stop-sell", sku="TEA", by="Mia", reason="count", until="2026-11-25 10:05")
        await h.now()
        assert shown(h) == (0, 0)
        await h.stop()
        h.clock.advance(600)
        await h.start()
        await h.now()
        assert shown(h) == (9, 9)


async def test_the_newest_word_about_an_item_counts_and_the_old_one_is_kept(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        for reason in ("count", "recall"):
            await h.operate("stop-sell", sku="TEA", by="Mia", reason=reason)
        assert [tuple(row) for row in h.rows("SELECT reason, ended_by FROM overrides")] == [
            ("count", "Mia"), ("recall", "")
        ]  # fmt: skip
        await h.operate("stop-sell", sku="TEA", channel="shop", by="Mia", reason="count")
        await h.operate("resume-sell", sku="TEA")  # all its stops
        await h.now()
        assert shown(h) == (9, 9)


async def test_a_stop_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, rules=CAP) as h:
        await h.sells(TEA=9)
        await h.write(
            "CREATE TRIGGER full BEFORE UPDATE ON ticks BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
        before = h.app.network.rules
        with pytest.raises(Exception, match="full"):
            await h.operate("stop-sell", sku="TEA", by="Mia", reason="count")
        assert h.app.network.rules == before
        assert h.rows("SELECT * FROM overrides") == []
        await h.write("DROP TRIGGER full")
        await h.settle()
        assert shown(h) == (4, 9)


WRONG = {
    "no warehouse, ERP or channel has named the SKU 'GHOST'": {"sku": "GHOST"},
    "no channel is called 'shpo'; there are shop, market": {"channel": "shpo"},
    "--reason is a text of at most 200 letters": {"reason": " "},
    "--by is a text of at most 200 letters": {"by": "M" * 201},
    '--until "tomorrow" is not a time like': {"until": "tomorrow"},
    '--until "2026-11-26" needs a time': {"until": "2026-11-26"},
    '--until "2026-11-25 09:59" is over already': {"until": "2026-11-25 09:59"},
}


@pytest.mark.parametrize("said", WRONG)
async def test_a_stop_in_wrong_words_is_refused(tmp_path: Path, said: str) -> None:
    async with house(tmp_path) as h:
        await h.sells(TEA=9)
        words = {"sku": "TEA", "by": "Mia", "reason": "count", **WRONG[said]}
        with pytest.raises(Unknown) as caught:
            await h.operate("stop-sell", **words)
        assert said in str(caught.value)
        assert h.rows("SELECT * FROM overrides") == []


async def test_a_resume_says_why_it_resumes_nothing(tmp_path: Path) -> None:
    stop = "rules:\n  - {sku: MUG, stop_sell: {by: Jo, reason: recall}}\n"
    async with house(tmp_path, rules=stop) as h:
        await h.sells(TEA=9, MUG=9)
        await h.operate("stop-sell", sku="TEA", by="Mia", reason="count")
        for words, said in {
            ("TEA", "shop"): "TEA is stopped on every channel: resume it without --channel",
            ("MUG", ""): "rules.yaml:2 stops MUG: remove that row, then `truecount reload`",
        }.items():
            with pytest.raises(Unknown) as caught:
                await h.operate("resume-sell", sku=words[0], channel=words[1])
            assert str(caught.value) == said
        await h.operate("resume-sell", sku="TEA")
        with pytest.raises(Unknown, match="nobody has stopped TEA on shop"):
            await h.operate("resume-sell", sku="TEA", channel="shop")
        await h.now()
        assert (shown(h), shown(h, "MUG")) == ((9, 9), (0, 0))


async def test_a_full_disk_at_a_stop_is_busy_and_the_old_rules_stay(tmp_path: Path) -> None:
    async with house(tmp_path, rules=CAP) as h:
        await h.sells(TEA=9)
        before = h.app.network.rules
        await h.stop()
        with pytest.raises(Busy):
            await h.operate("stop-sell", sku="TEA", by="Mia", reason="count")
        assert h.app.network.rules == before
        await h.start()
