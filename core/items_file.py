"""The items as operators write them: items.yaml and its lists of aliases (docs/items.md).

Every problem of every file is found at once, each with its file, line and column. With one
problem the whole is refused: half of the aliases would sell the wrong thing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from core.alias_list import FACTOR_MAX, Aliases, factor_of, is_sku
from core.errors import ConfigError
from core.fields import Fields, Option, Problems, Table, quoted
from core.items import Alias, Items, circle, resolved
from core.nodes import Node, decode_yaml, read_file

#: Different components of one kit, at most.
COMPONENTS_MAX = 100

TABLE: Table = {
    "kits": Option("free", "SKU of the kit: {SKU of a component: units of it}."),
    "aliases": Option("rows", "What a system calls an item, where it calls it otherwise."),
    "aliases.*.sku": Option("text", "Your SKU.", required=True),
    "aliases.*.system": Option("text", "Which system.", required=True),
    "aliases.*.their_sku": Option(
        "text", "What it calls the item, letter for letter.", required=True
    ),
    "aliases.*.factor": Option("text", "How many of your units one of theirs is.", default="1"),
    "alias_files": Option("words", "More aliases, as CSV files seen from this file's folder."),
    "tags": Option("free", "Word: [SKUs]. Offer rules choose items by these words."),
    "lots": Option("words", "SKUs that leave the warehouse with a lot."),
    "apart": Option("free", "Lists of SKUs that differ only by case or blanks, and are two items."),
}

#: Kit -> (what it needs, the line it stands in)
_Kits = Mapping[str, tuple[Mapping[str, int], int]]


def load_items(
    path: Path,
    file: str,
    *,
    systems: Collection[str],
    channels: Collection[str],
    text: str | None = None,
) -> Items:
    """The items of a file; ConfigError with all problems of it and of its lists of aliases."""
    own = Problems(file, columns=True)
    lists: list[Problems] = []
    written = read_file(path, file) if text is None else text.encode()
    fields = Fields(decode_yaml(written, file), TABLE, own)
    kits = _kits(fields, own)
    aliases = Aliases(frozenset(systems), frozenset(channels))
    for row in fields.rows("aliases"):
        _alias(row, aliases, own)
    for name, line in fields.words_with_lines("alias_files"):
        if (path.parent / name).is_file():
            lists.append(Problems((Path(file).parent / name).as_posix()))
            aliases.read_csv(path.parent / name, lists[-1])
        else:
            own.add(line, f"alias_files: there is no file {quoted(name)} beside this one")
    tagged = _tags(fields, own)
    apart = _apart(fields, own)
    lots = frozenset(fields.words("lots"))
    found = [problem for one in (own, *lists) for problem in one.sorted()]
    if found:
        raise ConfigError(found)
    return Items(
        aliases=tuple(aliases.named.values()),
        kits={kit: needs for kit, (needs, _) in kits.items()},
        tagged=tagged,
        lots=lots,
        apart=apart,
        many_words=frozenset(channels),
    )


def _alias(row: Fields, aliases: Aliases, own: Problems) -> None:
    before, factor = len(own.found), row.text("factor")
    alias = Alias(
        system=row.text("system"),
        their_sku=row.text("their_sku"),
        sku=row.text("sku"),
        factor=factor_of(factor) or 1,
        file=own.file,
        line=row.line,
    )
    if factor and factor_of(factor) is None:
        row.refuse("factor", f"is {quoted(factor)}", f"A whole number from 1 to {FACTOR_MAX}.")
    if len(own.found) == before:
        aliases.take(alias, own, row.line_of)


# ------------------------------------------------------------------ kits


def _kits(fields: Fields, own: Problems) -> _Kits:
    kits = {
        kit.text: (_components(kit, node, own), kit.line)
        for kit, node in fields.members("kits")
        if is_sku(own, kit.text, kit.line)
    }
    open_ones = {kit: needs for kit, (needs, _) in kits.items()}
    while found := circle(open_ones):
        _refuse_circle(found, kits, own)
        for kit in found[1:]:
            del open_ones[kit]
    for kit, needs in resolved(open_ones).items():
        if len(needs) > COMPONENTS_MAX or max(needs.values(), default=0) > FACTOR_MAX:
            own.add(
                kits[kit][1],
                f"kit {quoted(kit)} comes to {len(needs)} components, up to "
                f"{max(needs.values())} units of one",
                f"At most {COMPONENTS_MAX} components, and {FACTOR_MAX} units of each.",
            )
    return kits


def _components(kit: Node, node: Node, own: Problems) -> dict[str, int]:
    if node.kind != "map" or not node.items():
        own.add(
            node.line,
            f"kit {quoted(kit.text)} names no components",
            "Write them like {TEA: 1, MUG: 2}.",
        )
        return {}
    found = {}
    for item, units in node.items():
        factor = factor_of(units.text)
        if is_sku(own, item.text, item.line) and factor is None:
            own.add(
                units.line,
                f"kit {quoted(kit.text)} needs {quoted(units.text)} of {quoted(item.text)}",
                f"A whole number from 1 to {FACTOR_MAX}.",
            )
        found[item.text] = factor or 1
    return found


def _refuse_circle(found: Sequence[str], kits: _Kits, own: Problems) -> None:
    """`found` begins and ends with the same kit; told from the one that stands first."""
    # The sorter goes from a component to what it is in; people read it the other way.
    ring = list(reversed(found[1:]))
    start = ring.index(min(ring, key=lambda kit: kits[kit][1]))
    way = [*ring[start:], *ring[:start], ring[start]]
    own.add(
        kits[way[0]][1],
        f"kit {quoted(way[0])} contains itself: {' > '.join(way)}",
        "Take one of them out of the other." if len(ring) > 1 else "Take it out.",
    )


# ------------------------------------------------------------------ the rest


def _tags(fields: Fields, own: Problems) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for tag, node in fields.members("tags"):
        for sku in _skus(node, own, f"tag {quoted(tag.text)}"):
            found.setdefault(sku, set()).add(tag.text)
    return {sku: frozenset(tags) for sku, tags in found.items()}


def _apart(fields: Fields, own: Problems) -> frozenset[frozenset[str]]:
    node = fields.node("apart")
    if node is None:
        return frozenset()
    groups = list(node) if node.kind == "list" else []
    if not groups or any(group.kind != "list" for group in groups):
        own.add(node.line, "apart is a list of lists", "Write it like [[TEA, tea]].")
        return frozenset()
    return frozenset(frozenset(_skus(group, own, "apart")) for group in groups)


def _skus(node: Node, own: Problems, what: str) -> list[str]:
    found: list[str] = []
    for member in list(node) if node.kind == "list" else [node]:
        if member.kind != "scalar" or not member.text:
            own.add(member.line, f"{what} is a list of SKUs", "Write it like [TEA, MUG].")
        elif member.text in found:
            own.add(member.line, f"{what} has {quoted(member.text)} twice", "Keep one.")
        elif is_sku(own, member.text, member.line):
            found.append(member.text)
    return found
