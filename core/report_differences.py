"""The mail's differences: how many of each cause, the worst of them, and all of them as CSV."""

from __future__ import annotations

from typing import Any

from core import layout
from core.causes import CAUSES, IN_FLIGHT
from core.differences import Difference
from core.layout import Section
from core.money import Money
from core.reconcile import Reconciliation
from core.report_words import ROWS_MAX, age, clock, money_words, plain


def open_units(found: Reconciliation) -> int:
    """Units that no event accounts for."""
    return sum(abs(one.open_units) for one in found.unexplained)


def unexplained_money(found: Reconciliation) -> str:
    totals: dict[str, int] = {}
    for one in found.unexplained:
        if one.currency:
            totals[one.currency] = totals.get(one.currency, 0) + abs(one.open_minor)
    words = " + ".join(str(Money(v, c)) for c, v in sorted(totals.items()) if v)
    return words or str(Money.zero(found.currency))


def unexplained_words(found: Reconciliation) -> tuple[str, str]:
    """The figure that says more, and the other one below it."""
    units = open_units(found)
    money = unexplained_money(found)
    words = f"{units:,} unit" if units == 1 else f"{units:,} units"
    only_units = units and not any(one.minor for one in found.unexplained)
    return (words, money) if only_units else (money, words)


def unexplained_rows(found: Reconciliation) -> list[tuple[str, ...]]:
    """One for each pair of systems and cause, for the list of today."""
    groups: dict[tuple[str, str], list[Difference]] = {}
    for one in found.unexplained:
        groups.setdefault((one.what, one.cause), []).append(one)
    return [
        (
            str(len(group)),
            age(found, min((began for one in group if (began := _began(one))), default="")),
            f"unexplained: {what}, {CAUSES[cause].meaning}"
            f" ({', '.join(one.key for one in group[:3])}" + (", …)" if len(group) > 3 else ")"),
            f"{CAUSES[cause].next_step} Ids are below and in the CSV.",
        )
        for (what, cause), group in groups.items()
    ]


def section(found: Reconciliation) -> Section:
    words = _rolled(found)
    if not found.differences:
        words = ("None: every copy agrees with its owner.", *words)
        return Section(title="Differences", words=words)
    shown = found.differences[:ROWS_MAX]
    more = len(found.differences) - len(shown)
    if more > 0:
        words += (f"{more:,} more are in the attached CSV.",)
    return Section(
        title="Differences",
        words=words,
        columns=("kind", "what", "where", "units", "amount", "detail"),
        rows=tuple(_difference(found, one) for one in shown),
        numbers=frozenset({3, 4}),
        alarm=bool(found.unexplained),
        toned=0,
    )


def _rolled(found: Reconciliation) -> tuple[str, ...]:
    roll = found.unexplained_rolled
    if not any(roll.values()):
        return ()
    return (
        f"Unexplained, as seen by the hour: {roll['opening']:,} + {roll['new']:,} new"
        f" - {roll['resolved']:,} resolved - {roll['written_off']:,} written off"
        f" = {roll['closing']:,}.",
    )


def causes(found: Reconciliation) -> Section | None:
    """How many differences there are of each cause; not there on a day without any."""
    if not found.differences:
        return None
    rows = []
    for cause in CAUSES.values():
        own = [one for one in found.differences if one.cause == cause.code]
        if own:
            oldest = min((began for one in own if (began := _began(one))), default="")
            rows.append(
                (
                    cause.kind.replace("_", " "),
                    f"{len(own):,}",
                    f"{sum(abs(one.units) for one in own):,}",
                    age(found, oldest),
                    cause.meaning,
                )
            )
    return Section(
        title="Causes of differences",
        columns=("kind", "count", "units", "oldest", "cause"),
        rows=tuple(rows),
        numbers=frozenset({1, 2, 3}),
        toned=0,
    )


def _began(one: Difference) -> str:
    return min((at for at in (one.since, one.first_seen) if at), default="")


def _difference(found: Reconciliation, one: Difference) -> tuple[str, ...]:
    said = [one.detail]
    if _began(one):
        said.append(f"(for {age(found, _began(one))})")
    if one.kind == IN_FLIGHT and one.expected:
        said.append(f"expected by {clock(found, one.expected)}")
    if one.owner:
        said.append(f"{plain(one.owner)} is on it")
    if one.kind != IN_FLIGHT:
        said.append(one.id)
    return (
        one.kind.replace("_", " "),
        one.what,
        one.key,
        f"{one.units:+,}" if one.units else "",
        money_words(one.minor, one.currency) if one.currency and one.minor else "",
        " ".join(said),
    )


# ------------------------------------------------------------------ whole


_HEADS = ("id", "kind", "cause", "what", "key", "units", "amount", "currency", "unexplained_units",
          "unexplained_amount", "since", "first_seen", "expected", "command", "owner",
          "detail", "parts")  # fmt: skip


def as_csv(found: Reconciliation) -> str:
    """Every difference, safe to open in a spreadsheet (T21)."""
    return layout.csv_text(list(_HEADS), (_row(one) for one in found.differences))


def _row(one: Difference) -> tuple[Any, ...]:
    def amount(minor: int) -> Any:
        return Money(minor, one.currency).amount if one.currency else ""

    return (
        *(one.id, one.kind, one.cause, one.what, one.key, one.units, amount(one.minor)),
        *(one.currency, one.open_units, amount(one.open_minor), one.since, one.first_seen),
        *(one.expected, "" if one.command is None else one.command, one.owner, one.detail),
        "; ".join(f"{part.units:+} {part.what}" for part in one.parts),
    )


def as_json(one: Difference) -> dict[str, Any]:
    words = {name: getattr(one, name) for name in Difference.__slots__ if name != "parts"}
    return {
        "id": one.id,
        "kind": one.kind,
        **words,
        "unexplained_units": one.open_units,
        "unexplained_minor": one.open_minor,
        "parts": [{name: getattr(part, name) for name in part.__slots__} for part in one.parts],
    }
