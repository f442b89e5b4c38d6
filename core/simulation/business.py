"""What the seller's business is beyond the plain: drawn from the seed before anything runs.

Kits and packs, several locations, offer rules, a person who stops a sale, a daily mail. Each
is there on some days only and has a chance of its own; `Business.plain` is none of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

HOUR = 3600.0
#: When every day begins.
START = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
#: The company's clock.
ZONE = "Europe/Berlin"
#: Kits of several items at several locations are divided between so many channels at most: each
#: division tries every order of locations, and a day of many of them would take an hour.
KITS_CHANNELS_MAX = 2
#: What the warehouse and the books call the locations.
PLACES = (("main", "EAST", "MAIN"), ("north", "NORTH", "NORD"), ("annex", "ANNEX", "ANNEX"))

#: The chance of one subject.
Chance = Callable[[str], random.Random]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One location: what the warehouse and the books call it, and whom it serves."""

    name: str
    at: str
    books: str
    serves: tuple[str, ...]
    safety: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A person stops the sale of an item, and resumes it later (`stop-sell`)."""

    sku: str
    channel: str  # "": on all of them
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """The habits of the mail server: a probability per try."""

    unreachable: float = 0.0
    greylists: bool = False  # puts off whom it does not know, for a while
    lost_before: float = 0.0  # the line breaks while the mail is sent
    lost_after: float = 0.0  # … when the server has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """`kits`: as in items.yaml. `rules`: rows of rules.yaml, at most one of a kind."""

    places: tuple[Place, ...]
    kits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rules: tuple[Mapping[str, Any], ...] = ()
    stops: tuple[Stop, ...] = ()
    mail: Mail | None = None
    forgets: bool = False  # raw payloads and buyers after one day, the least there is

    @classmethod
    def plain(cls, channels: Sequence[str], safety: int) -> Business:
        """One location, items that are themselves, no rule and no mail."""
        name, at, books = PLACES[0]
        place = Place(name=name, at=at, books=books, serves=tuple(channels), safety=safety)
        return cls(places=(place,))

    def parts(self, lines: Mapping[str, int]) -> Counter[str]:
        """These units of listings, in units of what lies on shelves."""
        units: Counter[str] = Counter()
        for sku, count in lines.items():
            if sku in self.kits:
                inside = self.parts(self.kits[sku])
                units.update({item: count * each for item, each in inside.items()})
            else:
                units[sku] += count
        return units

    def serving(self, channel: str) -> Iterator[Place]:
        return (place for place in self.places if channel in place.serves)


def draw_business(
    chance: Chance, *, channels: Sequence[str], skus: Sequence[str], hours: float, safety: int
) -> Business:
    plain = Business.plain(channels, safety)
    places = _places(chance("places"), plain.places[0], channels)
    kits = _kits(chance("kits"), skus)
    if len(places) > 1 and len(channels) > KITS_CHANNELS_MAX:
        kits = dict(list(kits.items())[:1])
    listed = [*skus, *kits]
    last = chance("last")
    return Business(
        places=places,
        kits=kits,
        rules=_rules(chance("rules"), channels, listed, hours),
        stops=_stops(chance("stops"), channels, listed, hours),
        mail=_mail(chance("mail")),
        forgets=last.random() < 0.3,
    )


def _kits(rng: random.Random, skus: Sequence[str]) -> dict[str, dict[str, int]]:
    """A pack, a gift of several items, and a party of both: kits may be in kits."""
    if rng.random() < 0.6:
        return {}
    kits = {f"{skus[0]}-{(size := rng.choice((2, 3, 6)))}": {skus[0]: size}}
    if len(skus) > 1:
        first, second = rng.sample(list(skus), 2)
        kits["GIFT"] = {first: 1, second: rng.choice((1, 2))}
        if rng.random() < 0.5:
            kits["PARTY"] = {"GIFT": 2, f"{skus[0]}-{size}": 1}
    return kits


def _places(rng: random.Random, main: Place, channels: Sequence[str]) -> tuple[Place, ...]:
    """The first serves everybody, the others whom they serve."""
    if rng.random() < 0.6:
        return (main,)
    found = [main]
    for name, at, books in PLACES[1 : rng.choice((2, 2, 3))]:
        serves = sorted(rng.sample(list(channels), rng.randint(1, len(channels))))
        safety = rng.choice((0, 0, 1))
        found.append(Place(name=name, at=at, books=books, serves=tuple(serves), safety=safety))
    return tuple(found)


def _rules(
    rng: random.Random, channels: Sequence[str], listed: Sequence[str], hours: float
) -> tuple[Mapping[str, Any], ...]:
    if rng.random() < 0.6:
        return ()
    channel, sku, other = rng.choice(list(channels)), rng.choice(listed), rng.choice(listed)
    began, lasts = rng.uniform(0, hours), rng.uniform(0.5, max(1.0, hours / 2))
    over = began + lasts if began < hours / 2 else 2 * hours + 24  # or it outlasts the day
    rows: list[Mapping[str, Any]] = [
        {"sku": sku, "safety_stock": str(rng.choice((1, 3)))},
        {"channel": channel, "cap": rng.choice((2, 5))},
        {"channel": channel, "share": rng.choice(("50%", "80%"))},
        {"sold_out": {"at": rng.choice((1, 2)), "except": channel}},
        {
            "sku": other,
            "stop_sell": {"by": "Mia", "reason": "wrong label", "until": _moment(lasts)},
        },
        {
            "sku": sku,
            "channel": [channel],
            "campaign": {
                "name": "flash",
                "reserve": rng.choice((2, 8)),
                "from": _moment(began),
                "until": _moment(over),
            },
        },
    ]
    return tuple(row for row in rows if rng.random() < 0.5)


def _moment(hours: float) -> str:
    """As rules.yaml has it: to the minute, with its zone."""
    return f"{START + timedelta(minutes=round(hours * 60)):%Y-%m-%d %H:%M}+00:00"


def _stops(
    rng: random.Random, channels: Sequence[str], listed: Sequence[str], hours: float
) -> tuple[Stop, ...]:
    if rng.random() < 0.7:
        return ()
    began_s = rng.uniform(0, hours * HOUR)
    return (
        Stop(
            sku=rng.choice(listed),
            channel=rng.choice(("", rng.choice(list(channels)))),
            began_s=began_s,
            ended_s=began_s + rng.uniform(600, 8 * HOUR),
        ),
    )


def _mail(rng: random.Random) -> Mail | None:
    if rng.random() < 0.4:
        return None
    often = rng.choice((0.0, 0.1, 0.4))
    return Mail(
        unreachable=often,
        greylists=rng.random() < 0.4,
        lost_before=often,
        lost_after=often,
    )
