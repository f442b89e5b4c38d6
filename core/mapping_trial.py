"""An edited mapping on trial: beside the daemon, on what is recorded, changing nothing.

Wires just enough for it: the configuration, the connectors that know what a push
means, and the seal that opens what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from core import drift, mappings_in_force, recorded
from core.app import build, seal_of
from core.clock import SystemClock
from core.config import Config
from core.errors import ConfigError, Problem, TruecountError
from core.mapping import Mapping, MappingBook, run_samples
from core.mapping.coverage import Coverage, coverage_of
from core.mapping.mapping import is_mapping, load_mapping, stem_of
from core.mapping.preview import Effect, Recorded, compare
from core.mapping.samples import samples_of


@dataclass(slots=True)
class Tried:
    """The effect, and the examples beside the file that do not come out as written."""

    effect: Effect
    problems: list[Problem]


class Trial:
    """What a face asks of mappings. `connection` is read-only."""

    def __init__(self, config: Config) -> None:
        self.config = config
        empty = MappingBook(config.mappings, [])  # a broken file must not hide the one on trial
        self._hears = build(config, SystemClock(), book=empty).connectors

    def preview(
        self,
        connection: Connection,
        path: Path,
        *,
        last: int,
        old: Path | None = None,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Tried:
        """The edited file against the one in force (or `old`); `tell` hears of every document."""
        new = load_mapping(path, str(path))
        connector, systems = self._whose(path)
        before = (
            load_mapping(old, str(old))
            if old is not None
            else mappings_in_force.kept(connection, connector, stem_of(path))
        )
        source = recorded.Source(seal_of(self.config), self._hears, systems, last)
        documents = (
            recorded.incoming(connection, source, stem_of(path), new.kind)
            if new.direction == "incoming"
            else recorded.outgoing(connection, source, new.kind)
        )
        return Tried(
            compare(before, new, _told(documents, tell)), run_samples(path, str(path), new)
        )

    def documents(self, connection: Connection, system: str, resource: str, last: int) -> list[Any]:
        """The last recorded objects of one resource, as their owner showed them."""
        self.folder(system)
        source = recorded.Source(seal_of(self.config), self._hears, [system], last)
        return [one.item.body for one in recorded.payloads(connection, source, resource)]

    def coverage(
        self, connection: Connection | None, *, only: str = "", last: int
    ) -> list[Coverage]:
        """Of every mapping that reads (or one system's, or one file): what it never reads."""
        found = []
        for name in self.config.systems:
            folder = self.folder(name)
            for path in sorted(folder.glob("*.yaml")):
                if not is_mapping(path) or not _asked(only, name, path):
                    continue
                mapping = load_mapping(path, path.as_posix(), inside=folder)
                if mapping.plan is None:
                    continue
                bodies = self._bodies(connection, name, path.stem, last)
                documents = bodies or samples_of(path)
                if documents:
                    found.append(coverage_of(mapping, documents, recorded=bool(bodies)))
        return found

    def drifts(self, connection: Connection, system: str = "") -> list[dict[str, Any]]:
        """What vendors changed about their documents, and which lines of ours read it."""
        found = []
        for row in drift.rows(connection):
            if system in ("", row["system"]):
                known = row["system"] in self.config.systems
                own = self.mapping_of(row["system"], row["resource"]) if known else None
                found.append(row | {"read_by": drift.read_by(own, row["path"])})
        return found

    def mapping_of(self, system: str, resource: str) -> Mapping | None:
        path = self.folder(system) / f"{resource}.yaml"
        return load_mapping(path, path.as_posix()) if path.exists() else None

    def folder(self, system: str) -> Path:
        known = self.config.systems
        if system not in known:
            raise TruecountError(f"no system is called {system!r}; there are {', '.join(known)}")
        return known[system].mappings

    def _bodies(
        self, connection: Connection | None, system: str, resource: str, last: int
    ) -> list[Any]:
        return self.documents(connection, system, resource, last) if connection else []

    def _whose(self, path: Path) -> tuple[str, list[str]]:
        """The connector a file belongs to, and its systems: by its folder, or by its name."""
        here = path.resolve().parent
        systems = [n for n in self.config.systems if self.folder(n).resolve() == here] or [
            n for n in self.config.systems if self.folder(n).name == here.name
        ]
        if not systems:
            raise ConfigError(
                [
                    Problem(
                        file=str(path),
                        line=1,
                        what=f"no system of the configuration has its mappings in {here.name}/",
                        fix="Folders are: "
                        + ", ".join(sorted({str(self.folder(n)) for n in self.config.systems})),
                    )
                ]
            )
        return self.config.systems[systems[0]].connector, systems


def _told(documents: Iterable[Recorded], tell: Callable[[int], None]) -> Iterator[Recorded]:
    for count, one in enumerate(documents, start=1):
        tell(count)
        yield one


def _asked(only: str, system: str, path: Path) -> bool:
    return only in ("", system) or Path(only).resolve() == path.resolve()
