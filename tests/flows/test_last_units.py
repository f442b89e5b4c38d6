"""The last unit of many items, sold on nine channels at the same moment (G6; H17, S1).

Orders come as they come: pushed in any order, several at once, doubled, lost and found
by the sweep, while others are being decided. `make soak` does it a thousand times.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from house import NINE, SEED, House, house
from test_proving import proven

from tests import machines

pytestmark = pytest.mark.whole
TRIALS = 1_000 if machines.soaks() else 200

#: Units that are claimed, or have left and are not counted off any more, above the one there is.
BEYOND = (
    "SELECT coalesce(sum(units - 1), 0) FROM (SELECT sum(units) AS units FROM claims"
    " WHERE state IN ('open', 'shipped', 'missing', 'ended') GROUP BY sku) WHERE units > 1"
)
WINNERS = (
    "SELECT o.system, o.external_id FROM claims c JOIN orders o ON o.id = c.order_id"
    " WHERE c.state = 'open' AND o.asked = '' ORDER BY c.id"
)


def nothing_beyond_the_supply(h: House) -> None:
    beyond = h.one(BEYOND)
    assert beyond == 0, f"claims beyond supply: {beyond}"


async def takes_in(h: House, batches: int = 10_000) -> None:
    for _ in range(batches):
        rows, _ = await h.app.intake.run_once()
        nothing_beyond_the_supply(h)
        if not rows:
            return


async def sweeps(h: House, *systems: str) -> None:
    """Every page that is due, and what a push hinted at; nothing is sent to anybody."""
    h.clock.advance(35)
    for system in systems:
        await h.app.sweep.run_fetches(system)
        while due := h.app.sweep.due(system):
            for row in due:
                await h.app.sweep.one_page(row)
    await takes_in(h)


async def sell_all(h: House, skus: list[str], chance: random.Random) -> None:
    """Each of nine channels sells each last unit, before anybody hears of it."""
    sales = [(name, sku) for name in NINE for sku in skus]
    chance.shuffle(sales)
    while sales:
        now, sales = sales[: (size := chance.randint(1, 40))], sales[size:]
        h.lost_pushes.update(chance.sample(NINE, chance.choice((0, 0, 1))))
        pay = [chance.choice(("paid", "pending")) for _ in now]
        ways = [
            h.fake(name).place_order(sku, payment=how)
            for (name, sku), how in zip(now, pay, strict=True)
        ]
        ways.insert(chance.randrange(len(ways) + 1), takes_in(h, chance.randint(0, 2)))
        placed = await asyncio.gather(*ways)
        h.lost_pushes.clear()
        orders = [order for order in placed if order is not None]
        for (name, _), order in zip(now, orders, strict=True):
            if chance.random() < 0.05:
                await h.fake(name).push_again(order["id"], "order.created")


async def some_are_cancelled(h: House, chance: random.Random) -> int:
    """The unit goes to one of the eight that wait."""
    winners = [tuple(row) for row in h.rows(WINNERS)]
    gone = chance.sample(winners, len(winners) // 3)
    for name, order in gone:
        await h.fake(name).cancel(order)
    await takes_in(h)
    return len(gone)


async def some_leave(h: House, count: int) -> int:
    await h.app.outbox.deliver_due("depot", count)
    orders = h.asked()
    for order in orders:
        await h.depot.ship(order["reference"])
    await takes_in(h)
    await sweeps(h, "depot")
    return len(orders)


@pytest.mark.parametrize("basis", ["on_hand", "available"])
async def test_s1_h17_the_last_unit_is_claimed_once_whoever_sells_it(
    tmp_path: Path, basis: str, record_property: Callable[[str, object], None]
) -> None:
    chance, began = random.Random(SEED), time.monotonic()
    skus = [f"LAST-{number:04d}" for number in range(TRIALS // 2)]
    async with house(tmp_path, basis=basis, channels=NINE) as h:
        for sku in skus:
            h.depot.receive(sku, "EAST", 1)
            for name in NINE:
                h.fake(name).list_item(sku, quantity=1)
        await sweeps(h, "depot")
        await sell_all(h, skus, chance)
        await sweeps(h, *NINE)  # and what was lost is found
        assert h.one("SELECT count(*) FROM orders") == 9 * len(skus)
        each = h.rows(
            "SELECT sku, sum(claimed) AS claimed, sum(short) AS short FROM lines GROUP BY sku"
        )
        assert {(row["claimed"], row["short"]) for row in each} == {(1, 8)}
        assert len(each) == len(skus)
        cancelled = await some_are_cancelled(h, chance)
        left = await some_leave(h, 8)
        parts = "ordered claimed short consumed cancelled".split()
        [sums] = h.rows(f"SELECT {', '.join(f'sum({part})' for part in parts)} FROM lines")
        ordered, claimed, short, consumed, gone = sums
        assert ordered == claimed + short + consumed + gone == 9 * len(skus)
        assert (claimed + consumed, consumed, gone) == (len(skus), left, cancelled)
        assert h.oversold() == []
        assert [one.says for one in proven(h).findings] == []
        record_property(
            "figure",
            f"last units, {basis}: {len(skus):,} sold by nine channels each: {ordered:,} ordered"
            f" = {claimed:,} claimed + {short:,} short + {consumed} consumed + {gone} cancelled;"
            f" claims beyond supply {h.one(BEYOND)}; {time.monotonic() - began:.0f} s",
        )
