"""All mappings in force, replaced as one or not at all (H34).

A reload reads, checks, compiles and runs the samples of every file before the
first of them takes effect; an operator who saves half a file changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Names
from pathlib import Path

from core.errors import MappingError, Problem
from core.mapping.mapping import Mapping, is_mapping, load_mapping
from core.mapping.samples import run_samples

#: (connector, the file's name without .yaml) -> what it says.
Loaded = Names[tuple[str, str], Mapping]
#: Path, time and size of every file.
Marks = tuple[tuple[str, int, int], ...]


class MappingBook:
    """`folders` overrides the folder of single connectors: {"shopify": Path("my/shopify")}."""

    def __init__(
        self, folder: Path, connectors: Iterable[str], *, folders: Names[str, Path] | None = None
    ) -> None:
        self._folders = {
            name: (folders or {}).get(name, folder / name) for name in sorted(set(connectors))
        }
        self._by_name: dict[tuple[str, str], Mapping] = {}
        #: What was wrong with the files when the daemon started; nothing of them is in force then.
        self.refused: list[Problem] = []
        self.started_with: Marks = ()

    @classmethod
    def load(
        cls, folder: Path, connectors: Iterable[str], *, folders: Names[str, Path] | None = None
    ) -> MappingBook:
        """What all the files say; MappingError with all problems of all of them."""
        book = cls.start(folder, connectors, folders=folders)
        if book.refused:
            raise MappingError(book.refused)
        return book

    @classmethod
    def start(
        cls, folder: Path, connectors: Iterable[str], *, folders: Names[str, Path] | None = None
    ) -> MappingBook:
        """The same for a daemon that starts; a problem is `refused`, the state may know better."""
        book = cls(folder, connectors, folders=folders)
        book.started_with = book.marks()  # before they are read: a later save is another one
        book.refused = book.reload()
        return book

    def reload(self) -> list[Problem]:
        """Swap in what the files say now; on any problem keep the old and return them."""
        loaded, problems = self.read()
        if not problems:
            self.take(loaded)
        return problems

    def take(self, loaded: Loaded) -> None:
        """From now on these are in force."""
        self._by_name = dict(loaded)

    def changed(self, loaded: Loaded) -> list[tuple[tuple[str, str], Mapping | None, Mapping]]:
        """What is in force and what would be, where they differ."""
        return [
            (key, self._by_name.get(key), new)
            for key, new in loaded.items()
            if (old := self._by_name.get(key)) is None or old.hash != new.hash
        ]

    @property
    def in_force(self) -> Loaded:
        return self._by_name

    def folder_of(self, connector: str) -> Path:
        return self._folders[connector]

    def file_of(self, connector: str, stem: str) -> str:
        """How a mapping's file is called in everything a person reads."""
        return f"{self._folders[connector].as_posix()}/{stem}.yaml"

    @property
    def connectors(self) -> frozenset[str]:
        return frozenset(self._folders)

    def marks(self) -> Marks:
        """Changes whenever a file is saved: what watches the folders compares it."""
        found = []
        for folder in self._folders.values():
            for path in sorted(folder.rglob("*")):
                with contextlib.suppress(OSError):  # gone since it was listed
                    seen = path.stat()
                    found.append((str(path), seen.st_mtime_ns, seen.st_size))
        return tuple(found)

    def read(self) -> tuple[Loaded, list[Problem]]:
        """What the files say now, checked, compiled and tried; nothing takes effect."""
        loaded: dict[tuple[str, str], Mapping] = {}
        problems: list[Problem] = []
        for connector, folder in self._folders.items():
            for path in sorted(folder.glob("*.yaml")):
                if not is_mapping(path):
                    continue
                file = self.file_of(connector, path.stem)
                try:
                    mapping = load_mapping(path, file, inside=folder)
                except MappingError as error:
                    problems += error.problems
                    continue
                problems += run_samples(path, file, mapping)
                loaded[connector, path.stem] = mapping
        return loaded, problems

    def incoming(self, connector: str, resource: str) -> Mapping | None:
        """What understands a resource of this connector; the file has the resource's name."""
        found = self._by_name.get((connector, resource))
        return found if found is not None and found.direction == "incoming" else None

    def outgoing(self, connector: str, kind: str) -> Mapping | None:
        found = self._by_name.get((connector, kind))
        return found if found is not None and found.direction == "outgoing" else None

    def version(self, connector: str, name: str) -> str:
        """What a row remembers: "shopify.order v3 1f2e3d4c", or "" where there is none."""
        found = self._by_name.get((connector, name))
        return found.said if found is not None else ""

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self._by_name.values())
