"""What one run is about, drawn from its seed before anything runs.

Each subject has a generator of its own, so that a fault more does not make other buyers.
Rates are drawn per run: some days are calm, some have one disease, some have all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

from core.simulation.business import HOUR, Business, Mail, draw_business

MINUTE = 60.0

NAMES = ("shop", "market", "corner", "fair", "kiosk")
SKUS = ("TEA", "CUP", "POT", "TIN", "JAR", "MUG")
#: Who ships, and who keeps the books.
DEPOT, BOOKS = "depot", "books"
#: An outage of our own line: nobody reaches anybody.
UPLINK = "uplink"
#: Of days of this length and more whose outages do not end with them, so many go on until they
#: have, and so much longer.
LONG_H, LONGER, AFTER_S = 24.0, 0.5, 2 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One system of the cast."""

    name: str
    connector: str
    role: str
    one_time: bool = False  # its refresh tokens are good once (core.simulation.logins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often each thing goes wrong: a probability per call, or per push."""

    slow: float = 0.0  # up to a minute until the answer is here; longer than most will wait
    unreachable: float = 0.0
    lost_before: float = 0.0  # the connection breaks before they have it
    lost_after: float = 0.0  # … after they have done it
    limited: float = 0.0  # 429, with every kind of Retry-After
    broken_before: float = 0.0  # 500, 502, 503, 504, and nothing was done
    broken_after: float = 0.0  # the same, and it was done
    half: float = 0.0  # half an answer
    page: float = 0.0  # a page for people in place of an answer
    sick: float = 0.0  # 200, and inside it an error; nothing was done (H47)
    push_lost: float = 0.0
    push_late: float = 0.0
    push_twice: float = 0.0
    wrong_type: float = 0.0  # one value of an answer is of another kind (T7)
    logged_out: float = 0.0  # our access token ends before its time (H28)


#: Drawn later than the others, with a chance of their own: the seeds that found something
#: before these were there are the same days still.
LATER = ("wrong_type", "logged_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    system: str
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """Something that happens to the machine: crash, stop, disk_full, clock, reload or restore.

    `size`: seconds the disk is full or a broken mapping stays, seconds the clock is set by,
    how long after its backup the state is put back.
    """

    kind: str
    at_s: float
    size: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`hours`: as asked for. `end_s`: when all is healed, which may be later."""

    seed: int
    hours: float
    end_s: float
    cast: tuple[Member, ...]
    policy: str
    basis: str
    pushes: bool
    skus: tuple[str, ...]
    units: int  # of each SKU at the beginning
    orders_per_hour: float
    every_s: float  # between two looks at each system; a multiple of it where it changes little
    safety: int
    moody: bool  # the channels have bad days, each in its own way
    linger_s: float
    business: Business
    faults: Faults
    outages: tuple[Outage, ...]
    shocks: tuple[Shock, ...]

    @property
    def listed(self) -> tuple[str, ...]:
        """What buyers can buy."""
        return (*self.skus, *self.business.kits)

    @property
    def channels(self) -> tuple[Member, ...]:
        return tuple(one for one in self.cast if one.role == "channel")

    @property
    def edits_mappings(self) -> bool:
        return any(shock.kind == "reload" for shock in self.shocks)

    def chance(self, subject: str) -> random.Random:
        return _chance(self.seed, subject)

    def calm(self) -> Scenario:
        """The same day without anything that goes wrong."""
        mail = Mail() if self.business.mail else None
        business = replace(self.business, mail=mail)
        return replace(self, faults=Faults(), outages=(), shocks=(), moody=False, business=business)

    def plain(self) -> Scenario:
        """The same day of a plain business, as it was drawn before there was any other."""
        names = [one.name for one in self.channels]
        return replace(self, business=Business.plain(names, self.safety))


def _chance(seed: int, subject: str) -> random.Random:
    return random.Random(f"{seed}:{subject}")  # noqa: S311 - chance of a play, not a key


def draw(seed: int, hours: float, kinds: dict[str, dict[str, object]]) -> Scenario:
    """`kinds`: the connectors that may take part, each with its role and how many at most."""
    rng = _chance(seed, "cast")
    cast = _with_logins(_cast(rng, kinds), kinds, _chance(seed, "logins"))
    channels = [one.name for one in cast if one.role == "channel"]
    outages = _outages(_chance(seed, "outages"), [one.name for one in cast], hours)
    own = Scenario(
        seed=seed,
        hours=hours,
        end_s=_end_s(_chance(seed, "longer"), hours, outages),
        cast=cast,
        policy=rng.choice(("shared", "split", "adaptive")),
        basis=rng.choice(("on_hand", "available")),
        pushes=rng.random() < 0.8,
        skus=SKUS[: rng.randint(1, len(SKUS))],
        units=rng.choice((3, 10, 40)),
        orders_per_hour=rng.choice((1.0, 2.0, 4.0, 8.0)),
        every_s=rng.choice((300.0, 600.0, 900.0, 1800.0)),
        safety=rng.choice((0, 0, 0, 2)),
        linger_s=rng.choice((0.0, 0.05, 2.0)),
        moody=rng.random() < 0.4,
        business=Business.plain(channels, 0),
        faults=Faults(
            **_faults(_chance(seed, "faults"), [one for one in _FAULTS if one not in LATER]),
            **_faults(_chance(seed, "later faults"), LATER),
        ),
        outages=outages,
        shocks=_shocks(_chance(seed, "shocks"), hours),
    )
    business = draw_business(
        own.chance, channels=channels, skus=own.skus, hours=hours, safety=own.safety
    )
    return replace(own, business=business)


def _cast(rng: random.Random, kinds: dict[str, dict[str, object]]) -> tuple[Member, ...]:
    selling = [
        kind
        for kind, facts in kinds.items()
        if facts["role"] == "channel"
        for _ in range(int(str(facts["most"])))
    ]
    chosen = rng.sample(selling, rng.randint(1, min(len(selling), len(NAMES))))
    cast = [
        Member(name=name, connector=kind, role="channel")
        for name, kind in zip(NAMES, chosen, strict=False)
    ]
    for name, role in ((DEPOT, "warehouse"), (BOOKS, "books")):
        kind = rng.choice([kind for kind, facts in kinds.items() if facts["role"] == role])
        cast.append(Member(name=name, connector=kind, role=role))
    return tuple(cast)


def _with_logins(
    cast: tuple[Member, ...], kinds: dict[str, dict[str, object]], rng: random.Random
) -> tuple[Member, ...]:
    return tuple(
        replace(one, one_time="one_time" in kinds[one.connector] and rng.random() < 0.5)
        for one in cast
    )


_FAULTS = tuple(one.name for one in fields(Faults))


def _faults(rng: random.Random, names: Sequence[str]) -> dict[str, float]:
    """A third of the days are calm, a third have one disease, a third have all of them."""
    ill = rng.choice(("none", "one", "all"))
    sick = {"none": [], "one": [rng.choice(names)], "all": names}[ill]
    return {name: rng.choice((0.01, 0.03, 0.1)) for name in sick}


def _outages(rng: random.Random, systems: list[str], hours: float) -> tuple[Outage, ...]:
    """From ten minutes to two days, of one system or of our own line."""
    found = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        length_s = 10 * MINUTE * (48 * 6) ** rng.random()
        began_s = rng.uniform(0, hours * HOUR)
        found.append(
            Outage(
                system=rng.choice([*systems, UPLINK]), began_s=began_s, ended_s=began_s + length_s
            )
        )
    return tuple(found)


def _end_s(rng: random.Random, hours: float, outages: Sequence[Outage]) -> float:
    goes_on = rng.random() < LONGER
    ends = [one.ended_s + AFTER_S for one in outages if goes_on and hours >= LONG_H]
    return max([hours * HOUR, *ends])


#: kind: (how likely on one day, how often at most, what sizes it has)
_SHOCKS: dict[str, tuple[float, int, Callable[[random.Random], float]]] = {
    "crash": (0.4, 5, lambda _: 0.0),
    "stop": (0.2, 2, lambda _: 0.0),
    "disk_full": (0.2, 2, lambda rng: rng.uniform(10, HOUR)),
    "clock": (0.2, 2, lambda rng: rng.choice((-HOUR, -600.0, 600.0, HOUR))),
    "reload": (0.1, 2, lambda rng: rng.choice((0.0, HOUR))),
    "restore": (0.15, 1, lambda rng: rng.uniform(600, 24 * HOUR)),
}


def _shocks(rng: random.Random, hours: float) -> tuple[Shock, ...]:
    found = []
    for kind, (likely, most, size) in _SHOCKS.items():
        if rng.random() < likely:
            for _ in range(rng.randint(1, most)):
                found.append(Shock(kind=kind, at_s=rng.uniform(0, hours * HOUR), size=size(rng)))
    return tuple(sorted(found, key=lambda one: one.at_s))
