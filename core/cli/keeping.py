"""Verbs about the state as a whole: backup, restore."""

from __future__ import annotations

import argparse
from datetime import UTC
from pathlib import Path
from typing import Any

from core.app import seal_of
from core.cli.opened import configured
from core.cli.proving import Progress
from core.cli.text import emit_json, local
from core.clock import SystemClock, stamp
from core.config import Config
from core.daemon import Lock
from core.store import backup
from core.store.refusals import refuse

FINE = 0
#: Said after every backup: who keeps only the file cannot read it.
NOT_IN_IT = (
    "the seal key (without it nobody can read the buyers, orders and payloads in it)",
    "config.yaml and the files it names: items, rules, mappings",
    "the secrets of your systems",
)


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    for name, what, more, run in (
        (
            "backup",
            "write a checked copy of the state while the daemon runs",
            "One file, mode 600. Not in it: the seal key, the configuration, the secrets.",
            _backup,
        ),
        (
            "restore",
            "put a backup back; the state of now is kept aside",
            "No daemon may run. Start it afterwards: it reads again what it missed.",
            _restore,
        ),
    ):
        parser = verbs.add_parser(
            name, parents=[shared], help=what, description=f"{what[0].upper()}{what[1:]}. {more}"
        )
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.set_defaults(run=run)


def _backup(options: argparse.Namespace) -> int:
    config, clock = configured(options.config), SystemClock()
    found = backup.save(
        config.state,
        options.file,
        key_id=seal_of(config).key_id,
        at=stamp(clock.now()),
        tell=Progress(clock, "copying"),
    )
    if options.json:
        emit_json(_as_json(found) | {"not_in_it": NOT_IN_IT})
        return FINE
    print(f"{found.file} is whole: {_words(found, config)}.\n")
    print("Not in it, and needed to restore it:")
    for one in NOT_IN_IT:
        print(f"  {one}")
    return FINE


def _restore(options: argparse.Namespace) -> int:
    config, clock = configured(options.config), SystemClock()
    lock = Lock(config.state.parent)
    lock.take()
    try:
        found = backup.examine(options.file)
        if found.key_id and not seal_of(config).knows(found.key_id):
            raise refuse(
                found.file,
                f"it was sealed with key {found.key_id}, and that key is not here",
                "Name the key of that time under `seal_key`, or under `seal_key_old`.",
            )
        now = clock.now()
        kept = backup.put_back(
            found.file,
            config.state,
            at=stamp(now),
            stamp=now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
            tell=Progress(clock, "copying"),
        )
    finally:
        lock.release()
    if options.json:
        emit_json(_as_json(found) | {"state": str(config.state), "kept": str(kept or "")})
        return FINE
    print(f"{config.state} is the backup {found.file}: {_words(found, config)}.")
    if kept:
        print(f"The state before is kept as {kept}.")
    print(
        "\nStart the daemon. It reads every channel and warehouse from where the backup stood,"
        "\nand sends and publishes nothing before that; `truecount status` says when it is done."
    )
    return FINE


def _words(found: backup.Found, config: Config) -> str:
    taken = local(found.taken_at, config.company.timezone) if found.taken_at else "a plain copy"
    counts = ", ".join(f"{count} {table}" for table, count in found.counts.items())
    return f"{taken}, schema {found.schema}, {counts}"


def _as_json(found: backup.Found) -> dict[str, Any]:
    return {
        "file": str(found.file),
        "schema": found.schema,
        "taken_at": found.taken_at,
        "key_id": found.key_id,
        "counts": found.counts,
    }
