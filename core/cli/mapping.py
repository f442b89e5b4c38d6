"""`mapping`: what an edit would do, what a document comes to, fixtures, a first draft, coverage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from core import codec, mapping_trial
from core.cli.opened import configured
from core.cli.proving import Progress
from core.cli.text import emit_json, table
from core.clock import SystemClock
from core.errors import InvariantBroken, Problem, TruecountError
from core.mapping import drafting, explaining, preview_text, sampling
from core.mapping.mapping import load_mapping
from core.mapping.preview_page import page
from core.mapping.samples import SAMPLE_MAX
from core.model import COMMANDS
from core.store.engine import read_only, schema_of
from core.store.refusals import refuse_older_schema
from core.strict import Json, Malformed, load_json, read_file
from core.wording import plural

FINE, FINDINGS, WRONG = 0, 1, 2


def add_verbs(verbs: Any, shared: argparse.ArgumentParser) -> None:
    what = "try an edited mapping, explain one, draft one, make fixtures for it"
    parser = verbs.add_parser("mapping", parents=[shared], help=what, description=what)
    again = _shared_again()
    own = parser.add_subparsers(dest="mapping_verb", required=True, metavar="WHAT")

    def verb(
        name: str, what: str, run: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = own.add_parser(
            name, parents=[again], help=what, description=f"{what[0].upper()}{what[1:]}."
        )
        one.set_defaults(run=run)
        return one

    preview = verb("preview", "what an edited file would change in documents that came", _preview)
    preview.add_argument("file", type=Path, metavar="FILE")
    preview.add_argument("--last", type=_count, default=500, metavar="N", help="default: 500")
    preview.add_argument("--html", type=Path, metavar="PAGE", help="also write one HTML page")
    preview.add_argument("--old", type=Path, metavar="FILE", help="compare with this file instead")
    explain = verb("explain", "each field's value at each step, for one document", _explain)
    explain.add_argument("file", type=Path, metavar="FILE")
    explain.add_argument("sample", type=Path, metavar="SAMPLE", help="a JSON document")
    sample = verb("sample", "recorded documents as fixtures, without any buyer", _sample)
    sample.add_argument("system", metavar="SYSTEM")
    sample.add_argument("entity", metavar="ENTITY", help="order, listing, shipment, …")
    sample.add_argument("-n", type=_count, default=20, metavar="N", help="default: 20")
    sample.add_argument("--into", type=Path, metavar="FOLDER", help="default: samples/recorded of"
                        " the system's mappings")  # fmt: skip
    draft = verb("draft", "a first mapping for a document nobody has mapped yet", _draft)
    draft.add_argument("system", metavar="SYSTEM", help="its folder under mappings/")
    draft.add_argument("sample", type=Path, metavar="PAYLOAD", help="a JSON document")
    draft.add_argument("--becomes", metavar="RECORD", default="", help="default: guessed")
    coverage = verb("coverage", "their fields that no line of a mapping reads", _coverage)
    coverage.add_argument("only", nargs="?", default="", metavar="SYSTEM|FILE")
    coverage.add_argument("--last", type=_count, default=500, metavar="N", help="default: 500")

    drifts = verb("drift", "fields of theirs that are new, vanished or of another kind", _drift)
    drifts.add_argument("system", nargs="?", default="", metavar="SYSTEM")


def _shared_again() -> argparse.ArgumentParser:
    """`-c` and `--json` may stand before the verb of a mapping, or after it."""
    again = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    again.add_argument("-c", "--config", type=Path, help="the configuration")
    again.add_argument("--json", action="store_true", help="print JSON instead of text")
    return again


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 100000")
    return int(text)


@contextmanager
def _trial(options: argparse.Namespace) -> Iterator[tuple[mapping_trial.Trial, Connection | None]]:
    """The configuration, its connectors and the committed state, if there is one."""
    config = configured(options.config)
    trial = mapping_trial.Trial(config)
    if not config.state.exists():
        yield trial, None
        return
    engine = read_only(config.state)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            refuse_older_schema(config.state, schema_of(connection) or 0)
            yield trial, connection
    finally:
        engine.dispose()


def _needs_state(connection: Connection | None, trial: mapping_trial.Trial) -> Connection:
    if connection is None:
        raise TruecountError(
            f"there is no state yet at {trial.config.state}: nothing has been recorded."
            " Start the daemon once with `truecount run`."
        )
    return connection


# ------------------------------------------------------------------ preview


def _preview(options: argparse.Namespace) -> int:
    with _trial(options) as (trial, connection):
        progress = Progress(SystemClock(), "trying")
        found = trial.preview(
            _needs_state(connection, trial),
            options.file,
            last=options.last,
            old=options.old,
            tell=lambda count: progress("documents", count, options.last),
        )
    if options.html:
        options.html.write_text(page(found.effect, found.problems), encoding="utf-8")
    if options.json:
        emit_json(
            preview_text.as_json(found.effect) | {"problems": [str(one) for one in found.problems]}
        )
    else:
        print("\n".join([*preview_text.lines(found.effect), *_problem_lines(found.problems)]))
        if options.html:
            print(f"\nWritten to {options.html}; it holds no buyer.")
    return FINDINGS if found.problems or not found.effect.nothing else FINE


def _problem_lines(problems: list[Problem]) -> list[str]:
    if not problems:
        return []
    return ["", "Its examples do not come out as written:", *(f"  {one}" for one in problems)]


# ------------------------------------------------------------------ explain


def _explain(options: argparse.Namespace) -> int:
    mapping = load_mapping(options.file, str(options.file))
    document: Any = _document(options.sample)
    if mapping.direction == "outgoing":
        try:
            document = codec.from_plain(COMMANDS[mapping.kind], document)
        except InvariantBroken as error:
            raise TruecountError(f"{options.sample} is not a {mapping.kind}: {error}") from None
    found = explaining.explain(mapping, document)
    if options.json:
        emit_json(found.as_json())
    else:
        _print_explained(mapping.said, found)
    return FINDINGS if found.hold else FINE


def _print_explained(said: str, found: explaining.Explained) -> None:
    print(f"{said}: {found.verdict}\n")
    width = max((len(one.name) for one in found.fields), default=0)
    for one in found.fields:
        steps = [f"{step} -> {value}" for step, value in one.steps]
        print(f"  {one.name.ljust(width)}  {'  | '.join(steps)}".rstrip())
        if one.refused:
            print(f"  {' ' * width}  HELD: {one.refused.reason}")
            print(f"  {' ' * width}  {one.refused.next_step}")


def _document(path: Path) -> Json:
    try:
        return load_json(read_file(path, str(path), most=SAMPLE_MAX))
    except Malformed as error:
        raise TruecountError(f"{path}: {error}") from None


# ------------------------------------------------------------------ sample


def _sample(options: argparse.Namespace) -> int:
    with _trial(options) as (trial, connection):
        own = trial.mapping_of(options.system, options.entity)
        documents = trial.documents(
            _needs_state(connection, trial), options.system, options.entity, options.n
        )
        folder = options.into or trial.folder(options.system) / "samples" / "recorded"
    scrubbed = sampling.scrub(documents, own.plan if own else None, key=os.urandom(32))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for at, document in enumerate(scrubbed, start=1):
        path = folder / f"{options.entity}_{at:02d}.json"
        path.write_bytes(sampling.as_file(document))
        written.append(str(path))
    if options.json:
        emit_json({"written": written})
    elif written:
        print("\n".join(written))
        print(
            f"\n{plural(len(written), 'fixture')} without any buyer; look before you commit them."
        )
    else:
        print(f"nothing of {options.system} {options.entity} is recorded", file=sys.stderr)
    return FINE if written else FINDINGS


# ------------------------------------------------------------------ draft


def _draft(options: argparse.Namespace) -> int:
    made = drafting.draft(options.system, _document(options.sample), becomes=options.becomes)
    if options.json:
        emit_json(made.as_json())
    else:
        print(made.text, end="")
    return FINE


# ------------------------------------------------------------------ coverage


def _coverage(options: argparse.Namespace) -> int:
    with _trial(options) as (trial, connection):
        found = trial.coverage(connection, only=options.only, last=options.last)
    if options.json:
        emit_json({"mappings": [one.as_json() for one in found]})
        return FINE
    for one in found:
        source = plural(one.documents, "document") + (" recorded" if one.recorded else " (samples)")
        print(f"{one.mapping}: {one.read} of {one.known} fields of theirs are read, in {source}")
        rows = [{"field": u.path, "kind": u.kind, "in": u.documents} for u in one.unread]
        if rows:
            print(table(rows, ["field", "kind", "in"], indent="  "))
    if not found:
        print("no mapping that reads, or no document to read", file=sys.stderr)
    return FINE


# ------------------------------------------------------------------ drift


def _drift(options: argparse.Namespace) -> int:
    with _trial(options) as (trial, connection):
        found = trial.drifts(_needs_state(connection, trial), options.system)
    if options.json:
        emit_json({"drifts": found})
    elif found:
        for row in found:
            row["read_by"] = ", ".join(row["read_by"])
        columns = ["system", "resource", "what", "path", "detail", "read_by", "since", "example"]
        print(table(found, columns))
    else:
        print("Their documents are as they were.")
    return FINDINGS if found else FINE
