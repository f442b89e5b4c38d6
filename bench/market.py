"""`python -m bench.market [--seeds A..B] [--ordinary]`: what each way of telling numbers comes to.

Seeds of one hour: 2 to 9 channels with their vendors' rates and delays, random buyers,
outages, lost pushes and answers; stock that is sold out within the hour, with flash sales of
50 times the usual rate, or, with `--ordinary`, stock for days and now and then a large order.
Every policy meets the same buyers. Prints one table, and how sure the differences are;
exits with 1 if a promise was broken: `split` sold a unit that was not there, anything sold
more beyond the stock than its bound said, or the planted bug (absolute writes sent like
exact ones) was not convicted.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pool
from os import cpu_count

from bench.market_engine import Market, Policy
from bench.market_policies import Divided, OwnStock, Push
from bench.market_world import Scenario, ordinary, scenario
from core.escrow import Write

#: Of the seeds, with repeats, for `surer`.
SAMPLES = 2_000


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
    by_seed: list[int] = field(default_factory=list)  # units missed

    @property
    def missed(self) -> int:
        """Units that were there, somebody came for, and nobody got within the hour."""
        return self.possible - (self.sold - self.oversold)

    def add(self, other: Sum) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.by_seed.append(other.missed)


def possible(seed: Scenario) -> int:
    """What somebody who knew everything at once would sell: first come, first served."""
    free = list(seed.stock)
    arrivals = [(at_s, 0, sku, units) for at_s, sku, units in seed.goods]
    arrivals += [(buyer.at_s, 1, buyer.sku, -buyer.units) for buyer in seed.buyers]
    sold = 0
    for _, is_buyer, sku, units in sorted(arrivals):
        if is_buyer and free[sku] < -units:
            continue
        free[sku] += units
        sold -= is_buyer * units
    return sold


def played(number: int, make: Callable[[int], Scenario] = scenario) -> list[Sum]:
    """One seed under every way."""
    seed = make(number)
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
            f"| {way.name} | {found.oversold} ({found.oversold / max(1, found.sold):.2%}) "
            f"| {found.seeds_oversold} | {found.missed} ({found.missed / found.possible:.1%}) "
            f"| {found.calls} |"
        )
    return "\n".join(rows)


def surer(sums: Sequence[Sum]) -> list[str]:
    """Of how many units fewer `adaptive` misses than `split` a seed, with the same channels, and
    between what figures 19 of 20 samples of these seeds lie (bootstrap over seeds)."""
    rng, words = random.Random(0), []
    for one, other in zip(WAYS, sums, strict=True):
        if one.promises != "bound":
            continue
        split = next(
            found
            for way, found in zip(WAYS, sums, strict=True)
            if (way.promises, way.write) == ("none", one.write)
        )
        fewer = [a - b for a, b in zip(split.by_seed, other.by_seed, strict=True)]
        means = sorted(sum(rng.choices(fewer, k=len(fewer))) / len(fewer) for _ in range(SAMPLES))
        low, high = means[SAMPLES // 40], means[-SAMPLES // 40]
        mean = sum(fewer) / len(fewer)
        words.append(
            f"{one.name} misses {mean:.2f} units a seed fewer than split ({low:.2f} to {high:.2f})"
        )
    return words


def broken(sums: Sequence[Sum], *, convicts: bool) -> list[str]:
    """Promises that did not hold, and a planted bug that was not found where it has to be."""
    words = []
    for way, found in zip(WAYS, sums, strict=True):
        if way.promises == "none" and found.oversold:
            words.append(f"{way.name} oversold {found.oversold} units")
        if way.promises in ("none", "bound") and found.over_bound:
            words.append(f"{way.name} went beyond its bound at {found.over_bound} SKUs")
        if convicts and way.promises == "broken" and not (found.oversold and found.over_bound):
            words.append(f"{way.name} was not convicted")
    return words


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.market", description=__doc__)
    parser.add_argument("--seeds", default="0..200", metavar="A..B")
    parser.add_argument("--ordinary", action="store_true", help="days like most")
    options = parser.parse_args()
    first, last = (int(part) for part in options.seeds.split(".."))
    began = time.perf_counter()
    sums = [Sum() for _ in WAYS]
    play = partial(played, make=ordinary if options.ordinary else scenario)
    with Pool(cpu_count()) as pool:
        for done, found in enumerate(pool.imap(play, range(first, last)), 1):
            for total, one in zip(sums, found, strict=True):
                total.add(one)
            print(f"\r{done} of {last - first}", end="", file=sys.stderr, flush=True)
    print(f"\n{table(sums, last - first)}\n")
    print(*surer(sums), f"{time.perf_counter() - began:.0f} s", sep="\n")
    # On an ordinary day hardly anything is sold out, so nothing need be sold twice.
    wrong = broken(sums, convicts=not options.ordinary)
    for word in wrong:
        print(f"WRONG: {word}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
