"""After every measurement: is what we were promised true? Counts and sets, never times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.fakes import sku
from bench.load import Market, Sale
from bench.stage import SKUS, UNITS, Database
from core.cli.scene import Remote


class Wrong(AssertionError):
    """A promise that did not hold. The run goes on and ends with exit code 1."""


def all_of_it(
    market: Market, database: Database, remote: Remote, shops: Sequence[str]
) -> list[str]:
    """Everything that is not exact, in sentences. Call when nothing waits any more."""
    sales = market.made
    found = _acknowledged(sales, database) + _kept([*sales, *market.repeats], database)
    sold = _sold(database)
    promised = _units(sale for sale in sales if sale.acknowledged)
    if any(sold[word] < units for word, units in promised.items()):
        found.append("a line of an acknowledged order has fewer units in the database")
    found += _channels(sold, remote, shops)
    found += _once("warehouse", [row["reference"] for row in remote("wms", "orders")], database)
    booked = [row["reference"] for row in remote("erp", "documents", kind="sales_order")]
    found += _once("ledger", booked, database)
    holds = database.number("SELECT count(*) FROM holds WHERE closed_at IS NULL")
    if holds:
        found.append(f"{holds} holds are open; nothing here needs a person")
    return found


def _acknowledged(sales: Sequence[Sale], database: Database) -> list[str]:
    kept = {(str(a), str(b)) for a, b in database.rows("SELECT system, external_id FROM orders")}
    promised = {(sale.system, sale.key) for sale in sales if sale.acknowledged}
    sent = {(sale.system, sale.key) for sale in sales}
    found = []
    if promised - kept:
        found.append(f"{len(promised - kept)} acknowledged orders are not in the database")
    if kept - sent:
        found.append(f"{len(kept - sent)} orders in the database were never sent")
    stuck = database.number("SELECT count(*) FROM orders WHERE state != 'released'")
    if stuck:
        found.append(f"{stuck} orders are not released")
    return found


def _kept(sales: Sequence[Sale], database: Database) -> list[str]:
    """Each push is an event of its own, so each acknowledged one is one row."""
    rows = database.number("SELECT count(*) FROM inbox WHERE via = 'hook'")
    least = sum(sale.acknowledged for sale in sales)
    if not least <= rows <= len(sales):
        return [f"{rows} pushes are in the inbox; {least} were acknowledged, {len(sales)} sent"]
    return []


def _sold(database: Database) -> Counter[str]:
    rows = database.rows("SELECT sku, sum(claimed) FROM lines GROUP BY sku")
    return Counter({str(row[0]): int(str(row[1])) for row in rows})


def _units(sales: Any) -> Counter[str]:
    units: Counter[str] = Counter()
    for sale in sales:
        for word, count in sale.lines:
            units[word] += count
    return units


def _channels(sold: Counter[str], remote: Remote, shops: Sequence[str]) -> list[str]:
    right = {sku(index): UNITS - sold[sku(index)] for index in range(SKUS)}
    found = []
    for name in shops:
        shown = remote(name, "stock")
        wrong = [word for word, units in right.items() if shown.get(word) != units]
        if wrong:
            word = wrong[0]
            found.append(
                f"{name} shows {len(wrong)} wrong numbers: {word} {shown.get(word)}"
                f" instead of {right[word]}"
            )
    return found


def _once(who: str, references: Sequence[str], database: Database) -> list[str]:
    """One document per order: none missing, none twice."""
    found = []
    twice = [word for word, count in Counter(references).items() if count > 1]
    if twice:
        found.append(f"the {who} has {len(twice)} references twice, {twice[0]} among them")
    orders = database.number("SELECT count(*) FROM orders")
    if len(set(references)) != orders:
        found.append(f"the {who} has {len(set(references))} orders instead of {orders}")
    return found
