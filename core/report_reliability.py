"""The mail's evidence: what was read and left out, what arrived, was asked, changed and failed."""

from __future__ import annotations

from core.layout import Section
from core.reconcile import Reconciliation
from core.report_words import NUMBERS, ROWS_MAX, clock


def coverage(found: Reconciliation) -> Section:
    rows = tuple(
        (
            row["system"],
            row["resource"].replace("_", " "),
            clock(found, row["as_of"]),
            f"{row['rows']:,}",
        )
        for row in found.as_of
    )
    return Section(
        title="As of",
        words=tuple(f"NOT CHECKED: {what}" for what in found.not_checked),
        columns=("system", "what", f"read as of ({found.zone.key})", "rows"),
        rows=rows,
        numbers=frozenset({3}),
        alarm=bool(found.not_checked),
    )


def excluded(found: Reconciliation) -> Section | None:
    """What no comparison looked at, and by which rule; not there where all was compared."""
    if not found.excluded:
        return None
    return Section(
        title="Not compared, by rule",
        columns=("system", "rule", "count"),
        rows=tuple((row["system"], row["rule"], f"{row['count']:,}") for row in found.excluded),
        numbers=frozenset({2}),
    )


def arrivals(found: Reconciliation) -> Section | None:
    names = ("received", "applied", "held", "ignored", "pending", "duplicates")
    if not found.arrivals:
        return None
    return Section(
        title="What arrived",
        words=("received = applied + held + ignored + pending, for every system.",),
        columns=("system", *names),
        rows=tuple(
            (system, *(f"{counts[name]:,}" for name in names))
            for system, counts in sorted(found.arrivals.items())
        ),
        numbers=NUMBERS,
    )


def drifts(found: Reconciliation) -> Section | None:
    """A field that came, went or changed its kind: nothing is held by it, and tomorrow may be."""
    if not found.drifts:
        return None
    rows = tuple(
        (row["system"], row["resource"], row["what"], row["path"], row["detail"], row["example"])
        for row in found.drifts[:ROWS_MAX]
    )
    more = len(found.drifts) - len(rows)
    return Section(
        title="Their documents changed",
        words=(
            "Fields that are new, vanished or of another kind; `truecount mapping drift` says"
            " which lines of ours read them." + (f" {more} more are there." if more > 0 else ""),
        ),
        columns=("system", "what", "change", "field", "detail", "first seen in"),
        rows=rows,
    )


def commands(found: Reconciliation) -> Section | None:
    if not found.commands:
        return None
    names = ("asked", "done", "attempts", "dead")
    return Section(
        title="What was asked of others",
        columns=("system", "command", *names),
        rows=tuple(
            (row["system"], row["kind"].replace("_", " "), *(f"{row[name]:,}" for name in names))
            for row in found.commands
        ),
        numbers=frozenset(range(2, 6)),
    )


def outages(found: Reconciliation) -> Section | None:
    """Nothing was lost by it; it says why the day was late."""
    if not found.outages:
        return None
    return Section(
        title="Systems that were away",
        columns=("system", "from", "until", "commands that waited", "sent by"),
        rows=tuple(
            (
                row["system"],
                clock(found, row["since"]),
                clock(found, row["back_at"]) if row["back_at"] else "still away",
                f"{row['waiting']:,}" if row["back_at"] else "",
                clock(found, row["ended_at"]) if row["ended_at"] else "not yet",
            )
            for row in found.outages[:ROWS_MAX]
        ),
        numbers=frozenset({3}),
    )
