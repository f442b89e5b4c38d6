"""`split` and `adaptive` through the whole daemon: no unit is shown twice (G8; H17, H19; S1)."""

from __future__ import annotations

import random
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from house import House, house
from sqlalchemy import Connection

from core import escrow, quotas
from core.escrow import Quota
from core.explain import why
from core.model import Listing
from core.work import Work


def shown(h: House, sku: str = "TEA") -> list[int]:
    return [channel.shown(sku) for channel in (h.shop, h.market)]


def nothing_is_shown_twice(h: House) -> None:
    """What every channel may still sell, and has sold unseen, is there."""
    received = h.seen["received"]
    bought = sum(channel.sold().get("TEA", 0) for channel in (h.shop, h.market))
    assert bought + sum(shown(h)) <= received, (bought, shown(h), received)


async def opened(h: House, units: int) -> None:
    """Both channels are open with 0 and have been read once; then the units arrive."""
    h.seen["received"] = 0
    await h.sells(TEA=0)
    await h.settle(70)
    h.watchers.append(nothing_is_shown_twice)
    h.depot.receive("TEA", "EAST", units)
    h.seen["received"] = units


async def test_split_divides_the_pool_and_gives_all_of_it(tmp_path: Path) -> None:
    async with house(tmp_path, policy="split") as h:
        await opened(h, 5)
        await h.settle(120)
        assert sorted(shown(h)) == [2, 3]


async def test_h17_s1_both_channels_buy_all_they_show_and_nobody_is_short(tmp_path: Path) -> None:
    async with house(tmp_path, policy="split") as h:
        await opened(h, 5)
        await h.settle(120)
        h.lost_pushes.update(("shop", "market"))
        for channel in (h.shop, h.market):
            await channel.place_order("TEA", quantity=channel.shown("TEA"))
        await h.settle(120)
        assert shown(h) == [0, 0]
        assert h.one("SELECT sum(claimed), sum(short) FROM lines")[0:2] == (5, 0)


async def test_h17_the_last_unit_is_shown_once(tmp_path: Path) -> None:
    async with house(tmp_path, policy="split") as h:
        await opened(h, 1)
        await h.settle(120)
        assert sorted(shown(h)) == [0, 1]


@pytest.mark.parametrize("policy", ["split", "adaptive"])
async def test_a_stop_is_told_although_nobody_else_wants_the_units(
    tmp_path: Path, policy: str
) -> None:
    """A divided pool was cut only for who starves: a recall changed nothing at all."""
    async with house(tmp_path, policy=policy) as h:
        await opened(h, 6)
        await h.settle(120)
        assert min(shown(h)) > 0
        await h.operate("stop-sell", sku="TEA", by="Mia", reason="recall")
        await h.settle(120)
        assert shown(h) == [0, 0]
        await h.operate("resume-sell", sku="TEA")
        await h.settle(120)
        assert min(shown(h)) > 0


async def test_a_cap_lowers_what_a_divided_pool_shows(tmp_path: Path) -> None:
    async with house(
        tmp_path, policy="split", rules="rules:\n  - {channel: shop, sku: TEA, cap: 5}\n"
    ) as h:
        await opened(h, 10)
        await h.settle(120)
        assert shown(h) == [5, 5]
        rules = "rules:\n  - {channel: shop, sku: TEA, cap: 2}\n"
        (h.folder / "rules.yaml").write_text(rules)
        await h.operate("reload")
        await h.settle(120)
        assert h.shop.shown("TEA") == 2


async def test_a_raise_waits_until_the_cut_that_pays_for_it_is_acknowledged(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, policy="split") as h:
        await opened(h, 8)
        await h.settle(120)
        assert shown(h) == [4, 4], (h.rows("SELECT * FROM delays"), h.rows("SELECT * FROM paces"))
        h.faults("market", down=True)
        await h.shop.place_order("TEA", quantity=4)
        await h.settle(120)
        assert shown(h) == [0, 4]  # the market may be selling them
        h.faults("market")
        await h.settle(900)
        assert sum(shown(h)) == 4
        assert h.shop.shown("TEA") >= 1


async def test_h19_units_sold_between_our_look_and_our_write_are_not_opened_again(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, policy="split") as h:
        await opened(h, 6)
        await h.settle(120)
        h.lost_pushes.update(("shop", "market"))
        h.clock.advance(1)
        await h.market.place_order("TEA", quantity=3)  # nobody has told us
        h.depot.receive("TEA", "EAST", 10)
        h.seen["received"] = 16
        await h.settle(300)
        assert 7 <= sum(shown(h)) <= 13
        assert h.one("SELECT sum(claimed), sum(short) FROM lines")[0:2] == (3, 0)


async def test_h19_a_cut_opens_nothing_again_that_was_sold_unseen(tmp_path: Path) -> None:
    async with house(tmp_path, policy="split") as h:
        await opened(h, 12)
        await h.settle(120)
        for channel in (h.shop, h.market):  # both sell about as fast
            await channel.place_order("TEA", quantity=2)
        await h.settle(120)
        assert shown(h) == [4, 4]
        h.lost_pushes.add("market")
        await h.market.place_order("TEA", quantity=4)  # nobody has told us
        await h.shop.place_order("TEA", quantity=4)  # so the market has to give something up
        await h.now()
        assert h.market.stock_writes()[-1]["quantity"] == 0
        await h.settle(300)
        assert shown(h) == [0, 0]
        assert h.one("SELECT sum(claimed), sum(short) FROM lines")[0:2] == (12, 0)


async def test_a_lost_answer_counts_until_the_orders_are_drained(tmp_path: Path) -> None:
    async with house(tmp_path, policy="split") as h:
        await opened(h, 0)
        h.faults("shop", lose_answers=1, only="PUT /stock")
        h.depot.receive("TEA", "EAST", 6)
        h.seen["received"] = 6
        await h.settle(400)
        assert sum(shown(h)) == 6


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_no_unit_is_shown_twice(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with house(tmp_path, policy="split") as h:
        await opened(h, chance.randint(0, 9))
        for _ in range(14):
            channel = chance.choice((h.shop, h.market))
            what = chance.choice(
                ("sell", "sell", "sell", "receive", "quiet", "lose", "down", "wait")
            )
            if what == "sell" and channel.shown("TEA"):
                await channel.place_order("TEA", quantity=chance.randint(1, channel.shown("TEA")))
            elif what == "receive":
                units = chance.randint(1, 4)
                h.depot.receive("TEA", "EAST", units)
                h.seen["received"] += units
            elif what == "quiet":
                h.lost_pushes ^= {"shop", "market"}
            elif what == "lose":
                h.faults(chance.choice(("shop", "market")), lose_answers=1, only="PUT /stock")
            elif what == "down":
                h.faults(chance.choice(("shop", "market")), down=True)
            else:
                h.faults("shop")
                h.faults("market")
            await h.settle(chance.choice((0.1, 2, 20, 60)))
        h.faults("shop")
        h.faults("market")
        await h.settle(900)
        bought = sum(channel.sold().get("TEA", 0) for channel in (h.shop, h.market))
        left = h.seen["received"] - bought
        # An absolute number is raised seldom, so up to half of the pool may wait for a reason.
        assert left <= 2 * sum(shown(h)) if left else sum(shown(h)) == 0
        assert h.one("SELECT coalesce(sum(short), 0) FROM lines") == 0


@pytest.mark.parametrize("policy", ["split", "adaptive"])
async def test_pre_orders_are_divided_like_units_that_are_there(
    tmp_path: Path, policy: str
) -> None:
    rules = "rules:\n  - {sku: TEA, pre_order: {units: 5, until: 2027-01-31 09:00}}\n"
    async with house(tmp_path, policy=policy, rules=rules) as h:
        await h.sells(TEA=0)
        await h.settle(300)
        assert sorted(shown(h)) == [2, 3]
        for channel in (h.shop, h.market):
            await channel.place_order("TEA", quantity=channel.shown("TEA"))
        await h.settle(300)
        assert shown(h) == [0, 0]
        assert h.one("SELECT sum(claimed), sum(short) FROM lines")[0:2] == (0, 5)
        h.depot.receive("TEA", "EAST", 7)
        await h.settle(300)
        assert h.one("SELECT sum(claimed), sum(short) FROM lines")[0:2] == (5, 0)
        assert 2 <= sum(shown(h)) <= (2 if policy == "split" else 4)


@pytest.mark.parametrize(("policy", "at_most"), [("shared", 5), ("split", 0), ("adaptive", 5)])
async def test_g8_the_bound_is_what_both_could_sell_of_the_same_units(
    tmp_path: Path, policy: str, at_most: int
) -> None:
    async with house(tmp_path, policy=policy) as h:
        await opened(h, 0)
        h.watchers.remove(nothing_is_shown_twice)
        h.depot.receive("TEA", "EAST", 5)
        await h.settle(300)
        if policy == "adaptive":  # both are seen at once by now, so both show what is left
            for channel in (h.shop, h.market, h.market):
                h.depot.receive("TEA", "EAST", 1)
                await channel.place_order("TEA")
                await h.settle(300)
        with h.app.store.read() as connection:
            found = why(connection, h.app.network, h.clock.now(), "TEA")
        assert found is not None
        assert found["exposure"]["at_most"] == at_most == sum(shown(h)) - 5, found["exposure"]


async def test_adaptive_shares_plenty_and_divides_what_is_seen_late(tmp_path: Path) -> None:
    async with house(tmp_path, policy="adaptive") as h:
        await opened(h, 0)
        h.watchers.remove(nothing_is_shown_twice)
        h.depot.receive("TEA", "EAST", 40)
        await h.settle(120)
        assert shown(h) == [40, 40]
        h.lost_pushes.update(("shop", "market"))  # now a sale is seen by the next sweep only
        for _ in range(12):
            await h.shop.place_order("TEA", quantity=3)
            await h.settle(70)
        await h.settle(300)
        assert sum(shown(h)) == 4
        assert h.one("SELECT count(*) FROM divided") == 1
        h.depot.receive("TEA", "EAST", 90)
        await h.settle(300)
        assert shown(h) == [94, 94]
        assert h.one("SELECT count(*) FROM divided") == 0


async def test_adaptive_lets_channels_that_are_seen_at_once_share_the_last_units(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, policy="adaptive") as h:
        await opened(h, 0)
        h.watchers.remove(nothing_is_shown_twice)
        h.depot.receive("TEA", "EAST", 40)
        await h.settle(120)
        for _ in range(3):  # until a sale was seen there, a channel counts as seen late
            await h.market.place_order("TEA")
            await h.settle(20)
        await h.shop.place_order("TEA", quantity=34)
        await h.settle(600)
        assert h.one("SELECT count(*) FROM divided") == 1
        assert shown(h) == [3, 3]
        await h.market.place_order("TEA", quantity=3)
        await h.settle(2)
        assert shown(h) == [0, 0]
        assert h.one("SELECT sum(claimed), sum(short) FROM lines")[0:2] == (40, 0)


async def test_a_unit_is_claimed_where_no_other_channel_was_promised_it(tmp_path: Path) -> None:
    async with house(tmp_path, policy="split", second=True) as h:
        config = h.folder / "config.yaml"
        both = "at: {depot: WEST}\n    serves: [shop, market]"
        assert both in config.read_text()
        config.write_text(config.read_text().replace(both, "at: {depot: WEST}\n    serves: [shop]"))
        await h.restart()
        await opened(h, 1)
        h.depot.receive("TEA", "WEST", 1)
        h.seen["received"] = 2
        await h.settle(300)
        assert shown(h) == [1, 1]  # the market's can only be the one in the main location
        first = await h.shop.place_order("TEA")
        second = await h.market.place_order("TEA")
        await h.settle(120)
        assert h.line("shop", first) == (1, 1, 0, 0, 0)
        assert h.line("market", second) == (1, 1, 0, 0, 0)


async def test_everything_that_is_known_of_a_quota_is_kept(tmp_path: Path) -> None:
    """A column that is not written is a promise forgotten at the next restart."""
    async with house(tmp_path, policy="split") as h:
        at = h.clock.now()
        full = Quota(shown=1, ceiling=2, pending=3, anchor=4, anchor_at=at, back_at=at, known_at=at)
        assert all(getattr(full, one.name) is not None for one in fields(Quota))
        key = ("shop", "TEA", "")
        await h.app.store.write(lambda connection: quotas.save(connection, key, "TEA", full))
        with h.app.store.read() as connection:
            assert quotas.load(connection, key) == full
            assert quotas.here(connection, "shop", ["TEA"]) == {key: full}


async def test_what_is_told_keeps_the_most_that_may_be_sold_of_it(tmp_path: Path) -> None:
    async with house(tmp_path, policy="split") as h:
        await h.sells(TEA=9)
        await h.settle(300)
        for system in ("shop", "market"):
            told = h.rows("SELECT offers FROM told WHERE system = ? ORDER BY id", system)
            last = orjson.loads(told[-1]["offers"])[0]
            shown = getattr(h, system).shown("TEA")
            assert (last["pool"], last["quota"], last["quantity"]) == (9, shown, shown)
            assert last["because"] == "its part of a divided pool"


async def test_h19_a_number_read_before_a_lost_write_and_heard_after_it_is_no_anchor(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, policy="split") as h:
        await h.sells(TEA=9)
        await h.settle(300)
        key, now = ("shop", "TEA", ""), h.clock.now()
        with h.app.store.read() as connection:
            quota = quotas.load(connection, key)
        assert quota is not None
        in_flight = escrow.intended(quota, "absolute", 7)
        await h.app.store.write(lambda connection: quotas.save(connection, key, "TEA", in_flight))
        row = {"listing": "TEA", "place": "", "sku": "TEA"}
        await h.app.store.write(
            lambda connection: quotas.lose(connection, "shop", [row], now + timedelta(seconds=1))
        )
        h.clock.advance(5)
        late = Listing(key="TEA", sku="TEA", shown=0)

        def unit(connection: Connection) -> None:
            work = Work.begin(connection, h.app.network, h.app.seal, h.clock.now())
            quotas.read_back(work, "shop", late, now)
            work.finish()

        await h.app.store.write(unit)
        with h.app.store.read() as connection:
            after = quotas.load(connection, key)
        assert after is not None
        assert (after.shown, after.anchor_at) == (None, None)
        assert after.ceiling == (quota.ceiling or 0) + 7
