"""`python -m bench.market [--seeds A..B]`: what each way of telling channels a number comes to.

Seeds of one hour: 2 to 9 channels with their vendors' rates and delays, random buyers,
flash sales of 50 times the usual rate, outages, lost pushes and answers. Every policy
meets the same buyers. Prints one table; exits with 1 if a promise was broken: `split`
sold a unit that was not there, anything sold more beyond the stock than its bound said,
or the planted bug (absolute writes sent like exact ones) was not convicted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from os import cpu_count

from bench.market_engine import Market, Policy
from bench.market_policies import Divided, OwnStock, Push
from bench.market_world import Scenario, scenario
from core.escrow import Write


@dataclass(frozen=True, slots=True)
class Way:
    """One row of the table. `write`: all channels take numbers like this."""

    name: str
    make: Callable[[Market], Policy]
    write: Write | None = None
    promises: str = ""  # none: split; bound: adaptive; broken: has to be convicted


def _own(market: Market) -> Policy:
    return OwnStock(market)


def _full(market: Market) -> Policy:
    return Push(market, on_change=False, claims=False)


def _on_change(market: Market) -> Policy:
    return Push(market, claims=False)


def _shared(market: Market) -> Policy:
    return Push(market)


def _split(market: Market) -> Policy:
    return Divided(market)


def _direct(market: Market) -> Policy:
    return Divided(market, direct=True)


def _adaptive(market: Market) -> Policy:
    return Divided(market, adaptive=True)


WAYS = (
    Way("each channel its own stock", _own),
    Way("full push every 15 minutes", _full),
    Way("push on change, no claims", _on_change),
    Way("`shared`", _shared),
    Way("`split`", _split, None, "none"),
    Way("`split`, all conditional", _split, "conditional", "none"),
    Way("`split`, all relative", _split, "relative", "none"),
    Way("`split`, all absolute", _split, "absolute", "none"),
    Way("planted: absolute written directly", _direct, "absolute", "broken"),
    Way("`adaptive`", _adaptive, None, "bound"),
    Way("`adaptive`, all conditional", _adaptive, "conditional", "bound"),
    Way("`adaptive`, all absolute", _adaptive, "absolute", "bound"),
)


@dataclass(slots=True)
class Sum:
    """What one way came to over all seeds."""

    possible: int = 0
    sold: int = 0
    oversold: int = 0
    calls: int = 0
    seeds_oversold: int = 0
    over_bound: int = 0  # SKUs

    @property
    def missed(self) -> int:
        """Units that were there, somebody came for, and nobody got within the hour."""
        return self.possible - (self.sold - self.oversold)

    def add(self, other: Sum) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def possible(seed: Scenario) -> int:
    """What somebody who knew everything at once would sell: first come, first served."""
    free = list(seed.stock)
    arrivals = [(at_s, 0, sku, units) for at_s, sku, units in seed.goods]
    arrivals += [(buyer.at_s, 1, buyer.sku, -1) for buyer in seed.buyers]
    sold = 0
    for _, is_buyer, sku, units in sorted(arrivals):
        if is_buyer and free[sku] <= 0:
            continue
        free[sku] += units
        sold += is_buyer
    return sold


def played(number: int) -> list[Sum]:
    """One seed under every way."""
    seed = scenario(number)
    best = possible(seed)
    found = []
    for way in WAYS:
        market = Market(seed, way.make, way.write)
        tally = market.run()
        over = 0
        if isinstance(market.policy, Divided):
            bounds = market.policy.bounds
            over = sum(units > most for units, most in zip(tally.by_sku, bounds, strict=True))
        found.append(
            Sum(best, tally.sold, tally.oversold, tally.calls, int(tally.oversold > 0), over)
        )
    return found


def table(sums: Sequence[Sum], seeds: int) -> str:
    rows = [
        f"| over {seeds} seeds | units oversold | seeds with any | sales missed | calls |",
        "|---|---|---|---|---|",
    ]
    for way, found in zip(WAYS, sums, strict=True):
        rows.append(
            f"| {way.name} | {found.oversold} ({found.oversold / found.sold:.2%}) "
            f"| {found.seeds_oversold} | {found.missed} ({found.missed / found.possible:.1%}) "
            f"| {found.calls} |"
        )
    return "\n".join(rows)


def broken(sums: Sequence[Sum]) -> list[str]:
    """Promises that did not hold, and a planted bug that was not found."""
    words = []
    for way, found in zip(WAYS, sums, strict=True):
        if way.promises == "none" and found.oversold:
            words.append(f"{way.name} oversold {found.oversold} units")
        if way.promises in ("none", "bound") and found.over_bound:
            words.append(f"{way.name} went beyond its bound at {found.over_bound} SKUs")
        if way.promises == "broken" and not (found.oversold and found.over_bound):
            words.append(f"{way.name} was not convicted")
    return words


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.market", description=__doc__)
    parser.add_argument("--seeds", default="0..200", metavar="A..B")
    first, last = (int(part) for part in parser.parse_args().seeds.split(".."))
    began = time.perf_counter()
    sums = [Sum() for _ in WAYS]
    with Pool(cpu_count()) as pool:
        for done, found in enumerate(pool.imap_unordered(played, range(first, last)), 1):
            for total, one in zip(sums, found, strict=True):
                total.add(one)
            print(f"\r{done} of {last - first}", end="", file=sys.stderr, flush=True)
    print(f"\n{table(sums, last - first)}\n\n{time.perf_counter() - began:.0f} s")
    wrong = broken(sums)
    for word in wrong:
        print(f"WRONG: {word}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
