"""Who owns which number, decided once, before anything starts (DESIGN section 1, S39).

Every number has exactly one owner in every scope: a location, a channel, a
courier or the company. Two owners, an owner that cannot own, a reader that
cannot be told, or a location whose units nobody counts are refused here, with
the lines of everything involved. What comes of it is `core.network.Owners`: every
number that arrives asks it, and every write that leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.config_types import Location, OwnerRow, System
from core.errors import InvariantBroken, Problem, column_of
from core.fields import quoted, suggest
from core.model import NUMBERS
from core.network import COMPANY, TRUECOUNT, Owners

#: The numbers only we can own; an OMS may be given the first instead.
OURS = ("available_to_sell", "claim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """One line of the table of owners. `line` is where it was stated, or what implies it."""

    number: str
    scope: str
    owner: str
    line: int
    stated: bool


def scope_kind(number: str) -> str:
    """location | channel | courier | company. Each courier knows only its own parcels."""
    return "courier" if number == "parcel" else NUMBERS[number]


class Ownership:
    """The table of owners, and what is wrong with it in `problems`."""

    def __init__(
        self,
        file: str,
        systems: Mapping[str, System],
        locations: Mapping[str, Location],
        rows: tuple[OwnerRow, ...],
    ) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._systems = systems
        self._locations = locations
        self._table: dict[tuple[str, str], Owned] = {}
        self._readers: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in rows:
            self._state(row)
        for owned in self._implied():
            self._table.setdefault((owned.number, owned.scope), owned)
        for location in locations.values():
            self._check_location(location)
            self._check_serves(location)
        self._check_channels()

    # ------------------------------------------------------------ questions

    def owner(self, number: str, scope: str = COMPANY) -> str:
        """The system whose word counts, `truecount`, or "" where nobody owns it here."""
        if number not in NUMBERS:
            raise InvariantBroken(f"{number!r} is not a number of ours")
        owned = self._table.get((number, scope))
        return owned.owner if owned else ""

    def readers(self, number: str, scope: str = COMPANY) -> tuple[str, ...]:
        """The systems that are told: the stated ones, or all that can receive it."""
        owner = self.owner(number, scope)
        if (number, scope) in self._readers:
            return self._readers[(number, scope)]
        if number == "available_to_sell":
            return (scope,) if scope in self._systems else ()
        return tuple(
            name
            for name, system in self._systems.items()
            if name != owner and number in system.manifest.receives
        )

    def owners(self) -> Owners:
        """The same, as the decisions ask it and the log remembers it."""
        return Owners(
            owner={key: owned.owner for key, owned in self._table.items()},
            readers={key: self.readers(*key) for key in self._table},
        )

    def table(self) -> tuple[Owned, ...]:
        """All of it, for `truecount doctor` and the proof."""
        return tuple(self._table[key] for key in sorted(self._table))

    # ------------------------------------------------------------ what was stated

    def _state(self, row: OwnerRow) -> None:
        if not row.number or not row.owner:
            return  # already a problem of the file: an option is missing
        if row.number not in NUMBERS:
            self._add(
                row.line, f"{quoted(row.number)} is not a number", suggest(row.number, NUMBERS)
            )
            return
        if not self._can_own(row):
            return
        for scope in self._scopes_of(row):
            key = (row.number, scope)
            first = self._table.get(key)
            if first is not None:
                self._two_owners(row, scope, first)
                continue
            self._table[key] = Owned(
                number=row.number, scope=scope, owner=row.owner, line=row.line, stated=True
            )
            if row.readers is not None:
                self._readers[key] = row.readers
        self._check_readers(row)

    def _two_owners(self, row: OwnerRow, scope: str, first: Owned) -> None:
        about = row.number if scope == COMPANY else f"{row.number} of {scope}"
        if first.owner == row.owner:
            self._add(
                row.line,
                f"{about} was already given to {row.owner} at {self._file}:{first.line}",
                "Remove one of the two.",
            )
            return
        self._add(
            row.line,
            f"{about} has two owners: {row.owner} here, {first.owner} at {self._file}:{first.line}",
            "A number has one owner: remove one of the two, or narrow one with `of`.",
        )

    def _can_own(self, row: OwnerRow) -> bool:
        number, owner = row.number, row.owner
        if owner == TRUECOUNT:
            if number in OURS:
                return True
            self._add(
                row.line,
                f"truecount cannot own {number}; it owns only {' and '.join(OURS)}",
                self._who_can(number),
            )
            return False
        if owner not in self._systems:
            self._add(
                row.line,
                f"the owner of {number} is the unknown system {quoted(owner)}",
                suggest(owner, [*self._systems, TRUECOUNT]),
            )
            return False
        if number == "claim":
            self._add(
                row.line, f"{owner} cannot own claim", "Only truecount owns claims: remove this."
            )
            return False
        manifest = self._systems[owner].manifest
        if number not in manifest.owns:
            owns = ", ".join(manifest.owns) or "nothing"
            self._add(
                row.line,
                f"{owner} cannot own {number}: {manifest.file} says it owns {owns}",
                self._who_can(number),
            )
            return False
        return True

    def _who_can(self, number: str) -> str:
        able = [n for n, one in self._systems.items() if number in one.manifest.owns]
        return f"Can own it: {', '.join(able)}." if able else "No system here can own it."

    def _scopes_of(self, row: OwnerRow) -> tuple[str, ...]:
        kind = scope_kind(row.number)
        if kind == COMPANY:
            if row.of:
                self._add(
                    row.line,
                    f"{row.number} has one owner in the whole company, not one of {row.of[0]}",
                    "Remove `of`.",
                )
            return (COMPANY,)
        every = tuple(self._scopes(kind))
        if not row.of:
            return every
        for word in row.of:
            if word not in every:
                self._add(
                    row.line,
                    f"{row.number} is owned per {kind}, and {quoted(word)} is not one",
                    suggest(word, every),
                )
        return tuple(word for word in row.of if word in every)

    def _scopes(self, kind: str) -> Iterator[str]:
        if kind == "location":
            yield from self._locations
        else:
            yield from (name for name, one in self._systems.items() if kind in one.manifest.roles)

    def _check_readers(self, row: OwnerRow) -> None:
        for word in row.readers or ():
            if word == row.owner:
                self._add(row.line, f"{word} owns {row.number} and is also its reader", "Keep one.")
            elif word not in self._systems:
                self._add(
                    row.line,
                    f"a reader of {row.number} is the unknown system {quoted(word)}",
                    suggest(word, self._systems),
                )
            elif row.number not in self._systems[word].manifest.receives:
                self._add(
                    row.line,
                    f"{word} cannot be told {row.number}, which {row.owner} owns:"
                    f" {_receives(self._systems[word])}",
                    f"Remove {word} from the readers.",
                )

    # ------------------------------------------------------------ what goes without saying

    def _implied(self) -> Iterator[Owned]:
        for name, system in self._systems.items():
            owns, line = system.manifest.owns, system.line
            if "channel" in system.manifest.roles:
                yield _implied("available_to_sell", name, TRUECOUNT, line)
                for number in ("order", "payout"):
                    if number in owns:
                        yield _implied(number, name, name, line)
            if "courier" in system.manifest.roles and "parcel" in owns:
                yield _implied("parcel", name, name, line)
        for name in self._locations:
            stock = self._table.get(("on_hand", name))
            if stock is not None and "shipment" in self._systems[stock.owner].manifest.owns:
                yield _implied("shipment", name, stock.owner, stock.line)
        yield _implied("claim", COMPANY, TRUECOUNT, 1)

    # ------------------------------------------------------------ what must hold

    def _check_location(self, location: Location) -> None:
        name = location.name
        numbers = ("on_hand", "shipment") if location.serves else ("on_hand",)
        for number in numbers:
            owned = self._table.get((number, name))
            if owned is None:
                self._add(
                    location.line,
                    f"nobody owns {number} of location {name}",
                    f"Add to owners: {{number: {number}, of: {name}, owner: SYSTEM}}."
                    f" {self._who_can(number)}",
                )
            elif owned.owner not in location.at and (number == "on_hand" or owned.stated):
                self._add(
                    location.line,
                    f"{owned.owner} owns {number} of location {name} ({self._file}:{owned.line}),"
                    f" and nothing says what {owned.owner} calls it",
                    f"Add {owned.owner}: PLACE to locations.{name}.at.",
                )
        self._check_meaning(name)
        ships = self._table.get(("shipment", name))
        if ships is not None and location.serves:
            system = self._systems[ships.owner]
            if "fulfill_order" not in system.manifest.accepts:
                self._add(
                    ships.line,
                    f"{ships.owner} ships from location {name} ({self._file}:{location.line}),"
                    f" and {system.manifest.file} does not accept fulfill_order",
                    f"Remove `serves` from {name}, or give its shipment to another system.",
                )
            for channel in location.serves:
                self._check_is_told(ships, location, channel)

    def _check_is_told(self, ships: Owned, location: Location, channel: str) -> None:
        """Who ships an order is told of it: a release nobody hears would wait for ever."""
        told = Owners(readers={key: self.readers(*key) for key in self._table})
        if ("order", channel) not in self._table or told.may_tell(
            "fulfill_order", ships.owner, channel=channel, location=location.name
        ):
            return
        self._add(
            ships.line,
            f"{ships.owner} ships from location {location.name} ({self._file}:{location.line}),"
            f" and is a reader neither of claim nor of order of {channel}",
            f"Add {ships.owner} to the readers of order, or give the shipment to another system.",
        )

    def _check_meaning(self, location: str) -> None:
        """S3: a number that may or may not contain our orders is worth nothing."""
        stock = self._table.get(("on_hand", location))
        if stock is None or self._systems[stock.owner].stock_source is not None:
            return
        system = self._systems[stock.owner]
        self._add(
            stock.line,
            f"{stock.owner} owns on_hand of location {location}, and neither"
            f" {system.manifest.file} nor {self._file}:{system.line} says what its number means",
            f"Add stock_source: {{basis: …, ordered_by: …}} to systems.{stock.owner}.",
        )

    def _check_serves(self, location: Location) -> None:
        for channel in location.serves:
            where = f"location {location.name} serves {channel}"
            system = self._systems.get(channel)
            channels = list(self._scopes("channel"))
            if system is None:
                self._add(
                    location.serves_line,
                    f"location {location.name} serves the unknown channel {quoted(channel)}",
                    suggest(channel, channels),
                )
            elif "channel" not in system.manifest.roles:
                self._add(
                    location.serves_line,
                    f"{where}, which is not a channel: {system.manifest.file} says"
                    f" {', '.join(system.manifest.roles)}",
                    suggest(channel, channels),
                )
            elif "available_to_sell" not in system.manifest.receives:
                self._add(
                    location.serves_line,
                    f"{where}, which cannot be told available_to_sell, the number of"
                    f" {self.owner('available_to_sell', channel)}: {_receives(system)}",
                    f"Remove {channel} from locations.{location.name}.serves.",
                )

    def _check_channels(self) -> None:
        for name in self._scopes("channel"):
            if ("order", name) not in self._table:
                system = self._systems[name]
                self._add(
                    system.line,
                    f"nobody owns the orders of {name}: {system.manifest.file} does not",
                    f"Add to owners: {{number: order, of: {name}, owner: SYSTEM}}.",
                )

    def _add(self, line: int, what: str, fix: str) -> None:
        self.problems.append(
            Problem(file=self._file, line=int(line), what=what, fix=fix, column=column_of(line))
        )


def _implied(number: str, scope: str, owner: str, line: int) -> Owned:
    return Owned(number=number, scope=scope, owner=owner, line=line, stated=False)


def _receives(system: System) -> str:
    words = ", ".join(system.manifest.receives) or "nothing"
    return f"{system.manifest.file} says it receives {words}"
