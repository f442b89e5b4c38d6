"""`plan`: what would leave us now, and why; and what a verb with --plan would send."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

from core import views, writes
from core.app import seal_of
from core.cli.opened import opened
from core.cli.text import emit_json, local, table
from core.clock import stamp
from core.wording import plural

FINE = 0
#: Writes of one system that a screen shows; --json has all that were found.
SHOWN_MAX = 40


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "the writes that would leave now: to whom, what, from which value to which, and why"
    plan = verbs.add_parser("plan", parents=[shared], help=what, description=what)
    plan.add_argument("system", nargs="?", metavar="SYSTEM", help="only to this one")
    plan.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        work = views.reading_work(own.connection, own.network, own.now)
        found, more = writes.of_commands(own.connection, seal_of(own.config), own.network.plans)
        for channel in own.network.stock_writes:
            numbers, left = writes.of_offers(work, channel)
            found += numbers
            more[channel] = more.get(channel, 0) + left
        zone = own.config.company.timezone
    chosen = [one for one in found if options.system in (None, one.system)]
    rows = [asdict(one) for one in chosen]
    if options.json:
        left_out = {name: count for name, count in more.items() if count}
        emit_json({"mode": own.network.plan_words or "live", "writes": rows, "more": left_out})
        return FINE
    if own.network.plan_words:
        print(f"{own.network.plan_words}\n")
    if not rows:
        print("Nothing would be sent now.")
        return FINE
    for row in rows:
        row["due"] = _when(row["due"], stamp(own.now), zone)
    _print_writes(rows, more)
    return FINE


def _when(due: str | None, now: str, zone: Any) -> str:
    if due is None:
        return "waits"
    return "now" if due <= now else local(due, zone)


def _print_writes(rows: Iterable[dict[str, Any]], more: Mapping[str, int]) -> None:
    for system, group in groupby(sorted(rows, key=lambda row: str(row["system"])), _system):
        own = list(group)
        print(f"{system}: {plural(len(own), 'write')}")
        shown = [_row(row) for row in own[:SHOWN_MAX]]
        columns = [name for name in _COLUMNS if any(row[name] not in ("", None) for row in shown)]
        print(table(shown, columns, indent="  "))
        left = len(own) - len(shown) + more.get(system, 0)
        print(f"  and {left} more; --json has more of them\n" if left else "")


_COLUMNS = ("what", "of", "asks", "from", "to", "due", "why")


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    number = f" [{row['command']}]" if row["command"] else ""
    return {
        "what": f"{row['what'].replace('_', ' ')}{number}",
        "of": row["of"],
        "asks": row["asks"],
        "from": row["before"] if row["now"] is not None else "",
        "to": row["now"] if row["now"] is not None else "",
        "due": row["due"],
        "why": row["why"],
    }


def _system(row: Mapping[str, Any]) -> str:
    return str(row["system"])


# ------------------------------------------------------------------ --plan of a verb


def print_rehearsal(verb: str, done: Mapping[str, Any]) -> None:
    """What it would send, and that it has not."""
    print(f"`truecount {verb}` would send this; nothing was sent or changed:\n")
    rows = [{**row, "due": "waits" if row["due"] is None else "now"} for row in done["writes"]]
    if rows:
        _print_writes(rows, {})
    else:
        print("Nothing.\n")
    for line in done["taken_back"]:
        print(f"Not sent any more: {line}")
    if done["records"]:
        print(f"It decides {plural(done['records'], 'record')} again.")
    if done["left_out"]:
        print(f"{done['left_out']} of them were not tried here.")
    answer = [
        f"{name}: {value}"
        for name, value in done.items()
        if name not in ("plan", "writes", "taken_back", "records", "left_out", "changes")
    ]
    print(f"It would answer: {'; '.join(answer)}\nTo do it: the same without --plan.")
