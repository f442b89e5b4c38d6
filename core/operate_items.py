"""`map`: an unknown word of a system is named, in the operator's own file."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from core import items_edit, items_in_force, rules_in_force
from core.app import App
from core.errors import ConfigError, Problem
from core.networking import items_of
from core.nodes import read_file
from core.verbs import Unknown, said, work_of


async def map_word(app: App, words: dict[str, Any], *, plan: bool) -> dict[str, Any]:
    """`word` of `system` is `sku` from now on: written down, in force, its orders go on.

    With `plan` the file stays as it is. ConfigError: the file would not be right, and nothing
    is changed.
    """
    by = said(words, "by")
    system, word, sku = (str(words.get(key, "")) for key in ("system", "word", "sku"))
    if system not in app.config.systems:
        raise Unknown(f"no system is called {system!r}; there are {', '.join(app.config.systems)}")
    with app.store.read() as connection:
        if sku not in rules_in_force.known_skus(connection) and sku not in app.network.items.kits:
            raise Unknown(f"no warehouse, ERP or channel has named the SKU {sku!r}")
    line = items_edit.line_of(system, word, sku)
    path = app.config.items
    if path is None:
        raise ConfigError([_no_file(app.config.file, line)])
    file = path.as_posix()
    before = read_file(path, file).decode("utf-8")
    after = items_edit.with_alias(before, file, line)
    items = items_of(app.config, app.network, after)
    items_in_force.refuse(app, items)
    if not plan:
        items_edit.replace(path, file, after, line)
    try:
        await items_in_force.take(app, items)
    except Exception:  # the state could not be written: file and state say the same again
        if not plan:
            items_edit.replace(path, file, before, line)
        raise
    if not plan:
        await app.store.write(lambda connection: _record(app, connection, words, by))
    return {"mapped": f"{word} of {system}", "to": sku, "written": f"{file}: {line}"}


def _record(app: App, connection: Connection, words: dict[str, Any], by: str) -> None:
    work = work_of(app, connection)
    work.steps.add(
        4, "operator.mapped", system=words["system"], sku=words["sku"], by=by, word=words["word"]
    )
    work.finish()


def _no_file(file: str, line: str) -> Problem:
    return Problem(
        file=file,
        line=1,
        what="no file of items is named here, so there is none to write to",
        fix="Make one, for example mappings/items.yaml with the lines `aliases:` and"
        f" `  {line}`, name it here under `items:`, and restart.",
    )
