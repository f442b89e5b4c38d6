"""What is still on its way: asked again and again once everything works and nobody buys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from core.clock import unstamp
from core.fake import Sold
from core.simulation.expected import Claimed, Expected
from core.simulation.scenario import Scenario
from core.simulation.truth import Truth
from core.simulation.world import World
from core.store.schema import ENDED


class Rest:
    """Whether it has come to rest: nothing waits, and every channel shows what it should."""

    def __init__(self, scenario: Scenario, world: World, truth: Truth, expected: Expected) -> None:
        self._scenario = scenario
        self._business = scenario.business
        self._world = world
        self._truth = truth
        self._expected = expected

    def on_the_way(self, connection: Connection, acted_at: datetime) -> Iterator[str]:
        pending = rows_of(connection, "SELECT system FROM inbox WHERE state = 'pending'")
        if pending:
            yield f"{len(pending)} records wait to be decided"
        for row in rows_of(connection, "SELECT * FROM outbox"):
            if row.state in (*ENDED, "dead"):
                continue
            yield f"{row.kind} to {row.system} is {row.state}: {row.words}"
        yield from _not_read(connection, acted_at)
        known = {
            (row.system, row.external_id): row
            for row in rows_of(connection, "SELECT * FROM orders")
        }
        claimed = _claimed(connection)
        lacking = _lacking(connection)
        given_up = _given_up(connection)
        for name, channel in self._world.channels.items():
            for order in channel.sold():
                row = known.get((name, order.id))
                if row is None:
                    yield f"G2: order {order.id} of {name} was never captured"
                elif row.id in given_up and not order.cancelled:
                    continue  # the warehouse gave it up, its channel wants it: a person's
                elif word := self._unfinished(name, order, row, lacking[row.id], claimed):
                    yield f"order {order.id} of {name} is {row.state}: {word}"
        yield from self._not_shown(connection, claimed)

    def _unfinished(
        self, channel: str, order: Sold, row: Any, lacking: Counter[str], claimed: Claimed
    ) -> str:
        if order.cancelled:
            return "" if row.state in ("cancelled", "shipped") else "its buyer has cancelled it"
        if not order.paid or row.state == "shipped":
            return ""
        if row.state == "held" and lacking and not self._could_ship(channel, row, lacking, claimed):
            return ""  # it waits for stock
        return "it is paid and not shipped"

    def _could_ship(self, channel: str, row: Any, lacking: Counter[str], claimed: Claimed) -> bool:
        """Whether one location has all that the order lacks: its own, or any if it has none."""
        return any(
            all(self._expected.free(sku, place, claimed) >= n for sku, n in lacking.items())
            for place in self._business.serving(channel)
            if row.location in (None, place.name)
        )

    def _not_shown(self, connection: Connection, claimed: Claimed) -> Iterator[str]:
        """G8: every channel shows the computed number.

        Where a pool is divided it is not all shown: an outlet that has more than half of its
        part is left alone (ADR 0010).
        """
        shown = {name: channel.shown() for name, channel in self._world.channels.items()}
        stops = rows_of(connection, "SELECT sku, channel FROM overrides WHERE ended_at IS NULL")
        stopped = {(row.sku, row.channel) for row in stops}
        left, policy = self._truth.left(), self._scenario.policy
        for listing in self._scenario.listed:
            for name, units in shown.items():
                pool = self._expected.pool(name, listing, claimed)
                due = self._expected.offer(name, listing, pool, stopped=stopped, left=left)
                if units[listing] > due or (policy == "shared" and units[listing] != due):
                    yield f"G8: {name} shows {units[listing]} {listing}, due are {due} of {pool}"
        if policy == "split":
            yield from (f"G8: {one}" for one in self._expected.too_many(shown, claimed))
        if not self._business.rules and not stopped:
            yield from self._kept_back(shown, claimed)

    def _kept_back(self, shown: Mapping[str, Mapping[str, int]], claimed: Claimed) -> Iterator[str]:
        """Units that are free and that nobody can buy, where they are more than a remainder."""
        listed = self._business.parts(dict.fromkeys(self._scenario.listed, 1))
        total = self._business.parts(sum((Counter(one) for one in shown.values()), Counter()))
        is_plain = len(self._business.places) == 1 and not self._business.kits
        for sku in self._scenario.skus:
            free = sum(max(0, self._expected.free(sku, p, claimed)) for p in self._business.places)
            remainder = len(shown) * listed[sku]
            if (2 if is_plain else 4) * (total[sku] + remainder) < free:
                yield f"G8: {free} {sku} are free, of them {total[sku]} are shown"


def _not_read(connection: Connection, acted_at: datetime) -> Iterator[str]:
    """Every owner is to be read completely once, begun after the last that anybody did."""
    for row in rows_of(connection, "SELECT system, resource, complete_began_at FROM cursors"):
        if row.complete_began_at is None or unstamp(row.complete_began_at) < acted_at:
            yield f"{row.system} was not read for {row.resource} since {acted_at}"


def _claimed(connection: Connection) -> Claimed:
    rows = rows_of(
        connection,
        "SELECT sku, location, sum(units) AS units FROM claims WHERE state = 'open'"
        " GROUP BY sku, location",
    )
    return Counter({(row.sku, row.location): int(row.units) for row in rows})


def _given_up(connection: Connection) -> set[int]:
    rows = rows_of(
        connection,
        "SELECT ref FROM hold_members JOIN holds ON holds.id = hold_id WHERE member = 'order'"
        " AND hold_members.closed_at IS NULL AND cause LIKE 'late:warehouse_cancelled:%'",
    )
    return {int(row.ref) for row in rows}


def _lacking(connection: Connection) -> defaultdict[int, Counter[str]]:
    """Order -> units that no claim covers."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for row in rows_of(connection, "SELECT order_id, sku, short FROM lines WHERE short > 0"):
        found[row.order_id][row.sku] += row.short
    return found


def rows_of(connection: Connection, sql: str, **words: str) -> list[Any]:
    return list(connection.execute(text(sql), words).all())
