"""Brings mappings into force: at start, by a reload, and when a file is saved (G15, H34).

All files or none. Every text that came into force is kept, so that a row's
"shopify.order v3 1f2e3d4c" can be read again, and an edited file be compared
with what is in force. A change that would understand documents differently from
which something was decided already is not taken before a person says yes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection, Row, func, insert, select

from core import holds, intake, recorded, refused_files
from core.app import App
from core.clock import stamp
from core.crash import crash_point
from core.errors import Busy, MappingError, Problem, TruecountError
from core.mapping import Mapping
from core.mapping.book import Loaded
from core.mapping.mapping import Text, read_mapping
from core.mapping.preview import Effect, compare
from core.store.engine import read_only
from core.store.schema import hold_members, mapping_texts
from core.store.schema import holds as holds_table
from core.work import Work

NAME = "mappings"
ASKS = "mappings:asks"
#: Documents a change is tried on before it is taken.
TRIED_MAX = 500
LOOK_S = 2.0
SAVE = "Correct it and save; `truecount check` says at once whether it is right."

#: What `mapping_texts` has: (connector, the file's name without .yaml) -> its row.
Rows = dict[tuple[str, str], Row[Any]]


class Asks(TruecountError):
    """The change alters what was decided from already; a person has to say yes."""


async def restore(app: App) -> None:
    """At start: as a reload, with what was in force when the daemon stopped (H34).

    MappingError: a file has a problem, and its connector never had a mapping in force.
    """
    with app.store.read() as connection:
        last = _last(connection, app)
    if problems := app.book.refused:
        known = {connector for connector, _ in last}
        if any(_connector_of(app, one) not in known for one in problems):
            raise MappingError(problems)
        found, _ = await asyncio.to_thread(app.book.read)
        await _start_as_before(app, last, found, lambda c: _refuse(app, c, problems))
        return
    found = app.book.in_force
    changes = [
        (key, _read_kept(app, last[key]) if key in last else None, new)
        for key, new in found.items()
        if key not in last or last[key].hash != new.hash
    ]
    if effects := await asyncio.to_thread(_posted, app, changes):
        await _start_as_before(app, last, found, lambda connection: _ask(app, connection, effects))
        return

    def unit(connection: Connection) -> None:
        work = _work(app, connection)
        _come_into_force(work, app, found)
        if changes:
            intake.replay(work, _held_by_mappings(connection))
        work.finish()

    await app.store.write(unit)


async def _start_as_before(
    app: App, last: Rows, found: Loaded, say: Callable[[Connection], None]
) -> None:
    """What was in force when the daemon stopped goes on working, and an exception says why."""
    before: dict[tuple[str, str], Mapping] = {}
    for key, row in last.items():
        mapping = _read_kept(app, row) or found.get(key)  # of another version of the program
        if mapping is not None:
            before[key] = mapping
        elif app.book.refused:
            raise MappingError(app.book.refused)
    # A connector that is new in the configuration begins with what its files say.
    known = {connector for connector, _ in last}
    new = {key: mapping for key, mapping in found.items() if key[0] not in known}
    app.book.take(before | new)

    def unit(connection: Connection) -> None:
        work = _work(app, connection)
        _remember(work, new)
        work.finish()
        say(connection)

    await app.store.write(unit)
    structlog.get_logger().warning("mappings.kept", what="start")


def _connector_of(app: App, problem: Problem) -> str:
    """Whose folder a broken file stands in; "" where nobody's."""
    folder = problem.file.rpartition("/")[0]
    for connector in app.book.connectors:
        own = app.book.folder_of(connector).as_posix()
        if folder == own or folder.startswith(f"{own}/"):
            return connector
    return ""


async def reload(app: App, *, accepted: bool = False) -> int:
    """Take what the files say now; how many held records are tried again.

    MappingError, or Asks: nothing has changed, and an exception says why.
    """
    loaded, problems = await asyncio.to_thread(app.book.read)
    if problems:
        await app.store.write(lambda connection: _refuse(app, connection, problems))
        raise MappingError(problems)
    changes = app.book.changed(loaded)
    if not accepted and (effects := await asyncio.to_thread(_posted, app, changes)):
        await app.store.write(lambda connection: _ask(app, connection, effects))
        raise Asks(
            "nothing was taken: "
            + "; ".join(_said(effect) for effect in effects)
            + ". Look with `truecount mapping preview`, then `truecount reload --yes`."
        )

    def unit(connection: Connection) -> int:
        work = _work(app, connection)
        app.book.take(loaded)
        _come_into_force(work, app, loaded)
        count = intake.replay(work, _held_by_mappings(connection))
        work.finish()
        return count

    count = await app.store.write(unit)
    crash_point("mappings.in_force")
    return count


class OnSave:
    """Looks whether a file was saved, and takes it once it stays as it is for one look."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._taken = app.book.started_with
        self._seen = self._taken

    async def look(self) -> None:
        now = await asyncio.to_thread(self._app.book.marks)
        settled, self._seen = now == self._seen, now
        if now == self._taken or not settled:
            return
        log = structlog.get_logger()
        try:
            count = await reload(self._app)
        except Busy as busy:  # no room for it, nor for an exception: the next look tries again
            log.warning("mappings.kept", words=busy.reason)
            return
        except TruecountError as error:  # the exception that is open now says it to a person
            log.warning("mappings.kept", words=str(error))
        else:
            log.info("mappings.taken", count=count)
        self._taken = now


# ------------------------------------------------------------------ what changes


def effect_of(
    connection: Connection, app: App, key: tuple[str, str], old: Mapping | None, new: Mapping
) -> Effect:
    """What `new` would do to the documents recorded of its systems."""
    connector, stem = key
    systems = [n for n, s in app.config.systems.items() if s.connector == connector]
    source = recorded.Source(app.seal, app.connectors, systems, TRIED_MAX)
    if new.direction == "outgoing":
        return compare(old, new, recorded.outgoing(connection, source, new.kind))
    return compare(old, new, recorded.incoming(connection, source, stem, new.kind))


def effects_of_replay(connection: Connection, app: App, seqs: Sequence[int]) -> list[Effect]:
    """What these rows come to now, against the very version that understood (or held) each."""
    source = recorded.Source(app.seal, app.connectors, list(app.config.systems), len(seqs))
    groups: dict[tuple[str, str, str], list[recorded.Payload]] = {}
    for one in recorded.of_rows(connection, source, seqs):
        if one.system in app.config.systems:
            connector = app.config.systems[one.system].connector
            groups.setdefault((connector, one.resource, one.mapping), []).append(one)
    effects = []
    for (connector, resource, version), payloads in groups.items():
        new = app.book.incoming(connector, resource)
        if new is not None:
            old = kept(connection, connector, resource, version) if version else None
            effects.append(
                compare(old, new, (recorded.as_recorded(one, new.kind) for one in payloads))
            )
    return effects


def ask_first(effects: Sequence[Effect], verb: str) -> None:
    """Asks, where any of these alters what something was decided from already."""
    posted = [_said(effect) for effect in effects if effect.posted]
    if posted:
        raise Asks(f"nothing was done: {'; '.join(posted)}. `truecount {verb} --yes` does it.")


def _posted(
    app: App, changes: Sequence[tuple[tuple[str, str], Mapping | None, Mapping]]
) -> list[Effect]:
    """The changes that alter what something was decided from already."""
    engine = read_only(app.config.state)  # of this thread alone
    try:
        with engine.connect() as connection:
            effects = [
                effect_of(connection, app, key, old, new)
                for key, old, new in changes
                if old is not None and new.direction == "incoming"
            ]
    finally:
        engine.dispose()
    return [effect for effect in effects if effect.posted]


def _said(effect: Effect) -> str:
    return (
        f"{effect.mapping} {effect.new} would understand {effect.posted} of the last"
        f" {effect.documents} documents differently that are posted already"
        f" ({', '.join(effect.posted_labels)})"
    )


def _ask(app: App, connection: Connection, effects: Sequence[Effect]) -> None:
    work = _work(app, connection)
    refused_files.show(work, NAME, [], noun="mappings")
    _no_question(work, but={_said(effect) for effect in effects})
    for effect in effects:
        holds.open_hold(
            work,
            cause=ASKS,
            system="",
            reason="an edited mapping alters documents that are posted already;"
            " what was in force before stays in force",
            next_step="Look with `truecount mapping preview`, then `truecount reload --yes`, or"
            " undo the edit.",
            member=NAME,
            ref=_said(effect),
            label=_said(effect),
        )
    work.finish()


def _refuse(app: App, connection: Connection, problems: Sequence[Problem]) -> None:
    work = _work(app, connection)
    refused_files.show(work, NAME, problems, noun="mappings", then=SAVE)
    work.finish()


def _come_into_force(work: Work, app: App, loaded: Loaded) -> None:
    """Kept, and nothing is refused or asked any more."""
    _remember(work, loaded)
    _forget(work, app, loaded)
    refused_files.show(work, NAME, [], noun="mappings")
    _no_question(work)
    crash_point("mappings.swapped")


def _no_question(work: Work, *, but: Collection[str] = ()) -> None:
    for ref in holds.members_of(work, ASKS, NAME):
        if ref not in but:
            holds.close_cause(work, ASKS, NAME, ref)


def _held_by_mappings(connection: Connection) -> list[int]:
    causes = select(holds_table.c.id).where(
        holds_table.c.closed_at.is_(None),
        holds_table.c.cause.startswith("mapping:") | holds_table.c.cause.startswith("no_mapping:"),
    )
    members = connection.execute(
        select(hold_members.c.ref).where(
            hold_members.c.hold_id.in_(causes),
            hold_members.c.member == "inbox",
            hold_members.c.closed_at.is_(None),
        )
    ).scalars()
    return sorted({int(ref) for ref in members})


# ------------------------------------------------------------------ what was in force


def _remember(work: Work, loaded: Loaded) -> None:
    last = _latest(work.connection)
    for (connector, stem), mapping in loaded.items():
        known = last.get((connector, stem))
        if known is not None and known.hash == mapping.hash:
            continue
        work.connection.execute(
            insert(mapping_texts).values(
                connector=connector,
                stem=stem,
                version=mapping.said,
                hash=mapping.hash,
                doc=mapping.text.packed(),
                since=stamp(work.now),
            )
        )
        work.steps.add(3, "mapping.in_force", mapping=mapping.said)


def _forget(work: Work, app: App, loaded: Loaded) -> None:
    """A file that was removed is in force no more, and no start brings it back."""
    for (connector, stem), row in _last(work.connection, app).items():
        if (connector, stem) not in loaded:
            work.connection.execute(
                insert(mapping_texts).values(
                    connector=connector,
                    stem=stem,
                    version="",
                    hash="",
                    doc=b"",
                    since=stamp(work.now),
                )
            )
            work.steps.add(3, "mapping.removed", mapping=row.version)


def _last(connection: Connection, app: App) -> Rows:
    """What was in force last, of the connectors there are."""
    return {
        key: row
        for key, row in _latest(connection).items()
        if row.hash and key[0] in app.book.connectors
    }


def _latest(connection: Connection) -> Rows:
    newest = select(func.max(mapping_texts.c.seq)).group_by(
        mapping_texts.c.connector, mapping_texts.c.stem
    )
    rows = connection.execute(select(mapping_texts).where(mapping_texts.c.seq.in_(newest)))
    return {(row.connector, row.stem): row for row in rows}


def kept(connection: Connection, connector: str, stem: str, version: str = "") -> Mapping | None:
    """The mapping in force, or the one a row remembers as `version`; None where there is none."""
    wanted = [mapping_texts.c.connector == connector, mapping_texts.c.stem == stem]
    if version:
        wanted.append(mapping_texts.c.version == version)
    row = connection.execute(
        select(mapping_texts).where(*wanted).order_by(mapping_texts.c.seq.desc()).limit(1)
    ).one_or_none()
    if row is None or not row.hash:
        return None
    return _read(row, f"{row.version} (as kept)")


def _read_kept(app: App, row: Row[Any]) -> Mapping | None:
    """The same with the name of its file, for one that is in force or was until now."""
    return _read(row, app.book.file_of(row.connector, row.stem))


def _read(row: Row[Any], file: str) -> Mapping | None:
    try:
        return read_mapping(Text.unpacked(row.doc), file, row.version.partition(" ")[0])
    except MappingError:
        return None  # written for an older program; nothing to compare with


def _work(app: App, connection: Connection) -> Work:
    return Work.begin(connection, app.network, app.seal, app.clock.now())
