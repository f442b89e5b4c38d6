"""Who has to look, once this is on the disk: nobody has to ask the database every second.

Temporary triggers on the writing connection note what a transaction made due. No place
that writes can forget it, and a daemon in which nothing happens does nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection

#: (kind of loop, system or "" for all of this kind)
Note = tuple[str, str]

#: table, what happened to it, when that matters, who has to look
_RULES = (
    ("inbox", "INSERT", "", "intake", "''"),
    ("inbox", "UPDATE OF state", "NEW.state = 'pending'", "intake", "''"),
    ("cursors", "INSERT", "", "sweep", "NEW.system"),
    ("cursors", "UPDATE OF due_at", "", "sweep", "NEW.system"),
    ("fetches", "INSERT", "", "sweep", "NEW.system"),
    ("fetches", "UPDATE OF due_at", "", "sweep", "NEW.system"),
    ("outbox", "INSERT", "", "outbox", "NEW.system"),
    ("outbox", "UPDATE OF state, due_at", "NEW.state <> 'sending'", "outbox", "NEW.system"),
    ("feed", "INSERT", "", "publish", "''"),
    ("feed", "UPDATE OF seq", "", "publish", "''"),
    ("republish", "INSERT", "", "publish", "NEW.system"),
    ("republish", "UPDATE OF due_at", "", "publish", "NEW.system"),
    ("ticks", "INSERT", "", "rules", "''"),
    ("ticks", "UPDATE OF ok_at", "", "rules", "''"),
)


class Written:
    """What the transaction that runs now, or ran last, made due."""

    def __init__(self) -> None:
        self._notes: dict[Note, None] = {}  # in their order: a set would wake in another each day

    def watch(self, connection: Connection) -> None:
        """Of this connection only; another process that writes here would not be noticed."""
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.create_function("written", 2, self._note)
        for number, (table, what, when, kind, system) in enumerate(_RULES):
            connection.exec_driver_sql(
                f"CREATE TEMP TRIGGER written_{number} AFTER {what} ON main.{table}"
                f"{f' WHEN {when}' if when else ''}"
                f" BEGIN SELECT written('{kind}', {system}); END"
            )

    def taken(self) -> list[Note]:
        """The notes, and from now on none."""
        notes, self._notes = list(self._notes), {}
        return notes

    def _note(self, kind: str, system: str) -> None:
        self._notes[kind, system] = None
