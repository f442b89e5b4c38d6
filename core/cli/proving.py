"""`prove`: who wrote what, and that no unit was lost, shown from the log."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from core.cli.opened import Opened, opened
from core.cli.text import emit_json, local, moment, table
from core.clock import Clock, SystemClock
from core.proof import Finding, Proof, Writes
from core.prove import prove
from core.wording import plural

FINE, FINDINGS, WRONG = 0, 1, 2
#: A proof that takes longer says how far it has come, and then this often.
QUIET_S = 2.0
SAY_EVERY_S = 1.0


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "show from the log that only owners wrote their numbers and that no unit was lost"
    parser = verbs.add_parser(
        "prove",
        parents=[shared],
        help=what,
        description=f"{what[0].upper()}{what[1:]}. Changes nothing; the daemon may run meanwhile."
        " Exits with 1 if anything is found.",
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        help='judge only what happened after it: "14:03" of today, "2026-11-25 14:03" in the'
        " company's zone, or with an offset (default: everything)",
    )
    parser.set_defaults(run=_prove)


def _prove(options: argparse.Namespace) -> int:
    with opened(options.config) as own:
        try:
            since = _since(own, options.since)
        except ValueError as error:
            print(f"truecount prove: --since {options.since!r} {error}", file=sys.stderr)
            return WRONG
        progress = Progress(SystemClock())
        proof = prove(own.connection, own.network, own.now, since=since, tell=progress)
    if options.json:
        emit_json(proof.as_json())
    else:
        _print(proof, own.config.company.timezone)
    return FINDINGS if proof.findings else FINE


def _since(own: Opened, text: str | None) -> datetime | None:
    return moment(text, own.config.company.timezone, own.now) if text else None


class Progress:
    """Says on the error stream how far it has come, once it takes long enough to ask."""

    def __init__(self, clock: Clock, verb: str = "proving") -> None:
        self._clock = clock
        self._verb = verb
        self._next = clock.monotonic() + QUIET_S

    def __call__(self, what: str, done: int, of: int) -> None:
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + SAY_EVERY_S
        print(f"{self._verb} {what}: {done:,} of {of:,} …", file=sys.stderr)


# ------------------------------------------------------------------ laid out


def _print(proof: Proof, zone: ZoneInfo) -> None:
    since = f" since {local(proof.since, zone)}" if proof.since else ""
    print(
        f"{plural(proof.steps, 'step')} of the log{since}, judged by"
        f" {plural(proof.tables, 'table')} of owners.\n"
    )
    print("Written, by whom")
    print(table(_rows(proof.written), ["number", "writes", "by", "not_the_owner's"], indent="  "))
    print("\nTold, to whom")
    print(table(_rows(proof.told), ["number", "times", "to", "no_reader"], indent="  "))
    print("\nUnits")
    _print_units(proof)
    if not proof.findings:
        print("\nNothing is wrong.")
        return
    count = len(proof.findings) + proof.more
    print(f"\n{plural(count, 'finding')}:")
    for one in proof.findings:
        _print_finding(one, zone)
    if proof.more:
        print(f"  … and {proof.more:,} more")


def _rows(writes: dict[str, Writes]) -> list[dict[str, Any]]:
    rows = []
    for number, one in sorted(writes.items()):
        count, systems = sum(one.systems.values()), ", ".join(sorted(one.systems))
        rows.append(
            {
                "number": number,
                "writes": count,
                "times": count,
                "by": systems,
                "to": systems,
                "not_the_owner's": one.foreign,
                "no_reader": one.foreign,
            }
        )
    return rows


def _print_units(proof: Proof) -> None:
    units = proof.units
    parts = " + ".join(f"{units[p]:,} {p}" for p in ("claimed", "short", "consumed", "cancelled"))
    print(f"  {units['ordered']:,} ordered = {parts}, on {plural(proof.lines, 'line')}")
    print(f"  {plural(proof.ended, 'claim')} over, judged again by the numbers of their moments")
    print(f"  {plural(proof.readings, 'number')} of {plural(proof.skus, 'SKU')}, each newer than"
          " the one before")  # fmt: skip
    judged = proof.offers - proof.not_judged
    print(f"  {plural(judged, 'offer')} against the pools of their moments", end="")
    print(f"; {proof.not_judged:,} older ones cannot be judged" if proof.not_judged else "")


def _print_finding(one: Finding, zone: ZoneInfo) -> None:
    when = f"{local(one.at, zone)}  " if one.at else ""
    print(f"  [{one.id}] {when}{one.ref}: {one.says}")
