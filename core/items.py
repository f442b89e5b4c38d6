"""Items: what each system calls them, and what is in them. Pure.

    alias   what one system calls an item, and how many of our units one of theirs is
    kit     an item that is made of others when it is sold; a pack is a kit of one component

Nothing is guessed: a word is an alias letter for letter, or it is the SKU itself
(H45). Kits stand here resolved: whatever they are made of is itself no kit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from core.errors import Hold

_NO_TAGS: frozenset[str] = frozenset()
_NO_KITS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """`their_sku` is what `system` calls `sku`; one of theirs is `factor` units of ours."""

    system: str
    their_sku: str
    sku: str
    factor: int = 1
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """All that is not plain about items. A change of any part makes a new object.

    `kits` as they are written, `apart` are SKUs that are spelled alike and yet two
    items, `lots` those that leave with a lot. A system of `many_words` may have several
    words for one item, as a channel does that lists it twice; any other has one.
    """

    aliases: tuple[Alias, ...] = ()
    kits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tagged: Mapping[str, frozenset[str]] = field(default_factory=dict)
    lots: frozenset[str] = frozenset()
    apart: frozenset[frozenset[str]] = frozenset()
    many_words: frozenset[str] = frozenset()
    _named: Mapping[tuple[str, str], Alias] = field(init=False, compare=False, repr=False)
    _words: Mapping[tuple[str, str], Alias] = field(init=False, compare=False, repr=False)
    _systems: frozenset[str] = field(init=False, compare=False, repr=False)
    _needs: Mapping[str, Mapping[str, int]] = field(init=False, compare=False, repr=False)
    _used_by: Mapping[str, tuple[str, ...]] = field(init=False, compare=False, repr=False)
    _families: Mapping[str, frozenset[str]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        derived = {
            "_named": {(one.system, one.their_sku): one for one in self.aliases},
            "_words": {(one.system, one.sku): one for one in self.aliases},
            "_systems": frozenset(one.system for one in self.aliases),
            "_needs": (needs := resolved(self.kits)),
            "_used_by": _used_by(needs),
            "_families": _families(needs),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @classmethod
    def none(cls) -> Items:
        return _NONE

    # -------------------------------------------------------------- names

    def renames(self, system: str) -> bool:
        """Whether this system calls any item otherwise."""
        return system in self._systems

    def named(self, system: str, sku: str) -> Alias:
        """What a system's word means. Hold where it would mean an item it has another word for."""
        found = self._named.get((system, sku))
        if found is not None:
            return found
        other = self._words.get((system, sku))
        if other is not None and system not in self.many_words:
            raise Hold(
                f"{system} says {sku!r}, and items.yaml says that it calls this item "
                f"{other.their_sku!r}",
                cause=f"two_words:{system}:{sku}",
                next_step=f"Say in items.yaml which item {system} means by {sku!r}, or remove the "
                "alias; then `truecount reload`.",
            )
        return Alias(system=system, their_sku=sku, sku=sku)

    def word(self, system: str, sku: str) -> Alias:
        """What a system that has one word for each item calls ours."""
        found = self._words.get((system, sku))
        return found if found is not None else Alias(system=system, their_sku=sku, sku=sku)

    # -------------------------------------------------------------- kits

    def is_kit(self, sku: str) -> bool:
        return sku in self._needs

    def needs(self, sku: str) -> Mapping[str, int]:
        """What one sold unit takes: the components of a kit, or the item itself."""
        return self._needs.get(sku) or {sku: 1}

    def used_by(self, sku: str) -> tuple[str, ...]:
        """The kits this item is a component of."""
        return self._used_by.get(sku, _NO_KITS)

    def family(self, sku: str) -> frozenset[str]:
        """The items that draw on the same units: kits, what is in them, and so on."""
        return self._families.get(sku) or frozenset({sku})

    # -------------------------------------------------------------- more

    def tags(self, sku: str) -> frozenset[str]:
        return self.tagged.get(sku, _NO_TAGS)

    def are_apart(self, skus: Collection[str]) -> bool:
        """Whether somebody said of SKUs that are spelled alike that they are different items."""
        return any(group.issuperset(skus) for group in self.apart)

    def renamed_since(self, before: Items) -> list[tuple[Alias, Alias]]:
        """Words that mean something else now: (what they meant, what they mean)."""
        words = {(one.system, one.their_sku) for one in {*self.aliases} ^ {*before.aliases}}
        return [(before._meant(*word), self._meant(*word)) for word in sorted(words)]

    def _meant(self, system: str, sku: str) -> Alias:
        return self._named.get((system, sku)) or Alias(system=system, their_sku=sku, sku=sku)


def spelling(sku: str) -> str:
    """The same for two SKUs that differ only by letter case and blanks (S30)."""
    return "".join(sku.split()).casefold()


# ------------------------------------------------------------------ kits, resolved


def circle(kits: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The first kits found that contain each other, in order; empty where there are none."""
    sorter = TopologicalSorter({kit: needs.keys() for kit, needs in kits.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def resolved(kits: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    """Every kit in units of items that are no kits. There is no circle, or CycleError."""
    graph = {kit: needs.keys() for kit, needs in kits.items()}
    found: dict[str, Mapping[str, int]] = {}
    for sku in TopologicalSorter(graph).static_order():
        if sku in kits:
            total: dict[str, int] = {}
            for part, count in kits[sku].items():
                for item, units in found.get(part, {part: 1}).items():
                    total[item] = total.get(item, 0) + units * count
            found[sku] = MappingProxyType(total)
    return found


def _used_by(needs: Mapping[str, Mapping[str, int]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for kit, components in needs.items():
        for item in components:
            found.setdefault(item, []).append(kit)
    return {item: tuple(sorted(kits)) for item, kits in found.items()}


def _families(needs: Mapping[str, Mapping[str, int]]) -> dict[str, frozenset[str]]:
    """The smaller family always moves into the larger: one box in every kit stays cheap."""
    groups: dict[str, set[str]] = {}
    for kit, components in needs.items():
        for item in components:
            small, large = sorted((groups.setdefault(one, {one}) for one in (kit, item)), key=len)
            if small is not large:
                large |= small
                groups |= dict.fromkeys(small, large)
    shared = {id(group): frozenset(group) for group in groups.values()}
    return {sku: shared[id(group)] for sku, group in groups.items()}


_NONE = Items()
