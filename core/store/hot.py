"""Statements of the hot path: written in Core, compiled once, run at driver level.

Building a Core statement for every call cost 330 us where SQLite itself needs 20;
compiled once and handed to the driver it costs 60. The text stays SQLAlchemy's
own, so the same statement runs on every engine. Write the ones that run per
order or per offer this way, and nothing else: plain Core reads better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, CursorResult, Row, bindparam
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler


class Hot:
    """`statement` names its values with `bindparam`; call it with a connection and those."""

    __slots__ = ("_statement", "_texts")

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._texts: dict[str, _Text] = {}

    def __call__(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        text = self._text(connection)
        return connection.exec_driver_sql(text.sql, text.in_order(values))

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Once for every row, in one call of the driver."""
        if rows:
            text = self._text(connection)
            connection.exec_driver_sql(text.sql, [text.in_order(row) for row in rows])

    def _text(self, connection: Connection) -> _Text:
        dialect = connection.dialect
        known = self._texts.get(dialect.name)
        if known is None:
            compiled = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
            assert isinstance(compiled, SQLCompiler)
            known = self._texts[dialect.name] = _Text.of(compiled)
        return known


class HotList:
    """A question about a list of values, once for all of them: compiled for a few lengths.

    `make` gets the list as parameters for `column.in_(…)`. A list is filled up to the next
    length with its last value, which changes no answer; a longer one is asked in parts.
    """

    LENGTHS = (1, 8, 64, 256, 512)

    __slots__ = ("_hots", "_make")

    def __init__(self, make: Callable[[Sequence[BindParameter[Any]]], Executable]) -> None:
        self._make = make
        self._hots: dict[int, Hot] = {}

    def __call__(
        self, connection: Connection, among: Iterable[Any], **values: Any
    ) -> list[Row[Any]]:
        rows: list[Row[Any]] = []
        wanted = list(among)
        for start in range(0, len(wanted), self.LENGTHS[-1]):
            part = wanted[start : start + self.LENGTHS[-1]]
            length = next(each for each in self.LENGTHS if each >= len(part))
            part += part[-1:] * (length - len(part))
            asked = {f"among_{index}": value for index, value in enumerate(part)}
            rows += self._hot(length)(connection, **asked, **values)
        return rows

    def _hot(self, length: int) -> Hot:
        if length not in self._hots:
            values: list[BindParameter[Any]] = [bindparam(f"among_{n}") for n in range(length)]
            self._hots[length] = Hot(self._make(values))
        return self._hots[length]


@dataclass(frozen=True, slots=True)
class _Text:
    """`constants` are values Core itself made into parameters, like OFFSET 0."""

    sql: str
    names: Sequence[str]
    constants: Mapping[str, Any]
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]

    @classmethod
    def of(cls, compiled: SQLCompiler) -> _Text:
        names = tuple(compiled.positiontup or ())
        # Of one name it would give the value and no tuple; of none it cannot be made.
        pick = itemgetter(*names) if len(names) > 1 else _nothing
        return cls(str(compiled), names, compiled.params, pick)

    def in_order(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        try:
            return self.pick(values)
        except KeyError:
            pass  # some are constants
        return tuple(
            values[name] if name in values else self.constants[name] for name in self.names
        )


def _nothing(_: Mapping[str, Any]) -> tuple[Any, ...]:
    raise KeyError
