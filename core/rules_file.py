"""The offer rules as operators write them: rules.yaml, read strictly (docs/rules.md).

Every problem of the file is found at once, each with its line and column. A file with a
problem is refused as a whole; which SKUs exist is asked apart (`check_skus`),
because only the state knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TypeVar, cast

from core.clock import written
from core.errors import ConfigError, Problem, column_of
from core.fields import Fields, Problems, quoted, suggest
from core.network import Network
from core.nodes import decode_yaml, nearest, read_file
from core.offer_rules import Rules
from core.rule_kinds import (
    Campaign,
    Cap,
    EndWhen,
    Policy,
    PreOrder,
    Publication,
    Rule,
    Safety,
    Says,
    Share,
    SoldOut,
    StopSell,
)
from core.rules_table import TABLE

T = TypeVar("T")
#: SKU -> its tags
Tags = Mapping[str, frozenset[str]]

#: Beyond so many known SKUs a near one is not looked for: it would take seconds.
SUGGEST_MAX = 2000
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?) ?%")
_UNITS = re.compile(r"[0-9]{1,9}")
#: What is said of whole channels, or of locations whatever the channel.
NOT_PLACED = ("safety_stock", "campaign", "policy")
#: Stands for a moment that could not be read; its row is refused.
_NEVER = datetime.max.replace(tzinfo=UTC)


def load_rules(path: Path, file: str, network: Network, tags: Tags) -> Rules:
    """The rules of a file; ConfigError with all its problems."""
    rules, problems = read_rules(read_file(path, file), file, network, tags)
    if problems:
        raise ConfigError(problems)
    return rules


def read_rules(data: bytes, file: str, network: Network, tags: Tags) -> tuple[Rules, list[Problem]]:
    """What could be read, and every problem by line. Whoever acts on it refuses any problem."""
    try:
        node = decode_yaml(data, file)
    except ConfigError as error:
        return Rules.none(), list(error.problems)
    problems = Problems(file, columns=True)
    reader = _Reader(problems, network, frozenset().union(*tags.values()))
    rows = Fields(node, TABLE, problems).rows("rules")
    rules = [rule for row in rows for rule in reader.rules(row)]
    return Rules(written=tuple(rules), tags=tags, text=data.decode()), problems.sorted()


def check_skus(rules: Rules, known: Collection[str]) -> list[Problem]:
    """Rules about items that nobody has ever named. `known` are the SKUs of the state.

    A state that knows none has not been told yet: nothing is refused.
    """
    there = frozenset(known)
    lines = {
        (rule.file, line, sku)
        for rule in rules.written
        for sku, line in rule.sku_lines.items()
        if there and sku not in there
    }
    return [
        Problem(
            file=file,
            line=line,
            column=column_of(line),
            what=f"no warehouse, ERP or channel has named the SKU {quoted(sku)}",
            fix=nearest(sku, sorted(there)) if len(there) <= SUGGEST_MAX else "",
        )
        for file, line, sku in sorted(lines)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Where:
    """What one row is about."""

    skus: Mapping[str, int]  # with the lines they stand in
    tags: frozenset[str]
    channels: frozenset[str]
    locations: frozenset[str]


class _Reader:
    """Reads rows one after the other, and remembers what the ones before said."""

    def __init__(self, problems: Problems, network: Network, tags: Collection[str]) -> None:
        self._problems = problems
        self._network = network
        self._tags = tags
        self._said: dict[tuple[object, ...], int] = {}
        self._kinds: Mapping[str, Callable[[Fields, _Where], Says]] = {
            "safety_stock": self._safety,
            "share": self._share,
            "cap": self._cap,
            "sold_out": self._sold_out,
            "end_when": self._end_when,
            "campaign": self._campaign,
            "pre_order": self._pre_order,
            "policy": self._publication,
            "stop_sell": self._stop_sell,
        }

    def rules(self, row: Fields) -> list[Rule]:
        """One rule for each thing a row says; none where the row has a problem."""
        before = len(self._problems.found)
        where = self._where(row)
        said = [(key, read(row, where)) for key, read in self._kinds.items() if row.has(key)]
        if not said:
            row.refuse("", "says nothing", f"Add one of: {', '.join(self._kinds)}.")
        rules = [self._rule(row, key, where, says) for key, says in said]
        if len(self._problems.found) > before:
            return []
        for rule in rules:
            self._refuse_twice(row, rule)
        return rules

    # -------------------------------------------------------------- what it is about

    def _where(self, row: Fields) -> _Where:
        network = self._network
        where = _Where(
            skus=self._names(row, "sku"),
            tags=frozenset(self._names(row, "tag", "tag", self._tags)),
            channels=frozenset(self._names(row, "channel", "channel", network.channels)),
            locations=frozenset(self._names(row, "location", "location", network.locations)),
        )
        if where.skus and where.tags:
            row.refuse("tag", "and sku both stand here", "Write two rows.")
        return where

    def _names(
        self, row: Fields, key: str, noun: str = "", known: Iterable[str] = ()
    ) -> dict[str, int]:
        before = len(self._problems.found)
        found = dict(row.words_with_lines(key))
        if row.has(key) and not found and len(self._problems.found) == before:
            row.refuse(key, "names nothing", "Remove the line if you mean all of them.")
        for word, line in found.items():
            if noun and word not in known:
                fix = suggest(word, known) if known else f"There is no {noun} yet."
                row.refuse_at(line, key, f"names the unknown {noun} {quoted(word)}", fix)
        return found

    def _rule(self, row: Fields, key: str, where: _Where, says: Says) -> Rule:
        places = frozenset() if key in NOT_PLACED else self._places(where)
        self._refuse_misplaced(row, key, where, places)
        return Rule(
            says=says,
            skus=frozenset(where.skus),
            tags=where.tags,
            # A campaign is about all channels: those it keeps units for, and those it takes from.
            channels=frozenset() if key == "campaign" else where.channels,
            locations=where.locations,
            places=places,
            file=self._problems.file,
            line=row.line_of(key),
            sku_lines=where.skus,
        )

    def _refuse_misplaced(
        self, row: Fields, key: str, where: _Where, places: Collection[object]
    ) -> None:
        """A row is refused that could never count, or counts where nobody would expect it."""
        if key == "safety_stock" and where.channels:
            row.refuse(
                "channel",
                "stands beside safety_stock, which is kept at a location for every channel",
                "Write safety_stock in a row of its own. For one channel there are share and cap.",
            )
        if not where.locations or key == "safety_stock":
            return
        if key in NOT_PLACED:
            row.refuse(
                "location",
                f"stands beside {key}, which is about whole channels",
                f"Write {key} in a row of its own.",
            )
        elif not places:
            names = ", ".join(sorted(where.locations))
            row.refuse(
                "location",
                f"stands beside {key}, and no listing shows {names} alone",
                "A listing shows the sum of its locations. For one of them there is safety_stock.",
            )

    def _places(self, where: _Where) -> frozenset[tuple[str, str | None]]:
        """The channels' places that show nothing but these locations."""
        if not where.locations:
            return frozenset()
        network, found = self._network, set[tuple[str, str | None]]()
        for channel in where.channels or network.channels:
            serving = network.serving(channel)
            if serving and where.locations.issuperset(serving):
                found.add((channel, None))
            for place in {network.locations[name].at.get(channel) for name in serving}:
                if place and where.locations.issuperset(network.serving_place(channel, place)):
                    found.add((channel, place))
        return frozenset(found)

    def _refuse_twice(self, row: Fields, rule: Rule) -> None:
        """Of two rows that say the same thing about the same, the second could never count."""
        name = rule.says.name if isinstance(rule.says, Campaign) else ""
        about = (type(rule.says), name, rule.skus, rule.tags, rule.channels, rule.locations)
        if about in self._said:
            what = f": line {self._said[about]} says this of the same already"
            row.refuse_at(rule.line, "", what, "Keep one.")
        self._said.setdefault(about, rule.line)

    # -------------------------------------------------------------- what it says

    def _safety(self, row: Fields, _: _Where) -> Says:
        return _parsed(row, "safety_stock", _safety, Safety())

    def _share(self, row: Fields, _: _Where) -> Says:
        return Share(percent=_parsed(row, "share", _percent, Fraction(0)))

    def _cap(self, row: Fields, _: _Where) -> Says:
        return Cap(units=row.count("cap"))

    def _sold_out(self, row: Fields, _: _Where) -> Says:
        block = row.block("sold_out")
        return SoldOut(at=block.count("at"), exempt=self._channels(block, "except"))

    def _end_when(self, row: Fields, _: _Where) -> Says:
        block = row.block("end_when")
        if not block.has("from") and not block.has("pool_below"):
            block.refuse("", "says no condition", "Give it `from`, `pool_below`, or both.")
        return EndWhen(
            pool_below=block.count("pool_below") if block.has("pool_below") else None,
            at=self._moment(block, "from") if block.has("from") else None,
        )

    def _campaign(self, row: Fields, where: _Where) -> Says:
        block = row.block("campaign")
        if not where.channels:
            row.refuse(
                "campaign", "does not say whose it is", "Name its channels: `channel:` in this row."
            )
        campaign = Campaign(
            name=block.text("name"),
            channels=where.channels,
            reserve=block.count("reserve"),
            start=self._moment(block, "from"),
            end=self._moment(block, "until", ends=True),
            only_up=self._channels(block, "only_up", where.channels),
            frozen=self._channels(block, "frozen", where.channels),
        )
        if _NEVER not in (campaign.start, campaign.end) and campaign.end <= campaign.start:
            block.refuse("until", "is not after `from`: the campaign ends before it begins")
        for channel in sorted(campaign.only_up & campaign.frozen):
            block.refuse("frozen", f"and only_up both name {channel}", "Keep one.")
        return campaign

    def _pre_order(self, row: Fields, _: _Where) -> Says:
        block = row.block("pre_order")
        return PreOrder(units=block.count("units"), until=self._moment(block, "until", ends=True))

    def _publication(self, row: Fields, _: _Where) -> Says:
        return Publication(policy=cast(Policy, row.choice("policy")))

    def _stop_sell(self, row: Fields, _: _Where) -> Says:
        block = row.block("stop_sell")
        return StopSell(
            by=block.text("by"),
            reason=block.text("reason"),
            until=self._moment(block, "until", ends=True) if block.has("until") else None,
        )

    def _channels(
        self, block: Fields, key: str, among: Collection[str] | None = None
    ) -> frozenset[str]:
        """Channels named inside of what a row says; `among`: only these make sense there."""
        found = self._names(block, key, "channel", self._network.channels)
        for word, line in found.items():
            if among is not None and word in self._network.channels and word not in among:
                block.refuse_at(
                    line, key, f"names {word}, which is not among the channels of this row"
                )
        return frozenset(found)

    def _moment(self, block: Fields, key: str, *, ends: bool = False) -> datetime:
        return _parsed(
            block, key, lambda text: written(text, self._network.zone, ends=ends), _NEVER
        )


def _parsed(block: Fields, key: str, parse: Callable[[str], T], neutral: T) -> T:
    text = block.text(key)
    if not text:
        return neutral
    try:
        return parse(text)
    except ValueError as error:
        block.refuse(key, f": {quoted(text)} {error}")
        return neutral


def _safety(text: str) -> Safety:
    if _UNITS.fullmatch(text):
        return Safety(units=int(text))
    if "%" not in text:
        raise ValueError("is neither units, like 5, nor a percentage, like 10%")
    return Safety(percent=_percent(text))


def _percent(text: str) -> Fraction:
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError("is not a percentage like 60%")
    percent = Fraction(match.group(1))
    if percent > 100:
        raise ValueError("is more than 100%")
    return percent
