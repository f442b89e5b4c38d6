"""What a disk holds after the power went: every image that the recorded order allows.

What was synced is there. Of what was written since the last sync of its file any part
may be, cut at 512 bytes, in any combination: disks and kernels write when they like.
Names follow the one rule of ext4 that matters here: a sync of any file commits all
creations and deletions before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.power.recorder import Op

SECTOR = 512
#: How much of what was not synced survives; an image draws one of these.
SURVIVES = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)
    named: bool = False  # its name is on the disk
    there: bool = True  # it has its name for whoever looks now

    def empty(self) -> None:
        self.durable.clear()
        self.pending.clear()


@dataclass
class Image:
    """One possible disk: the files, and whom we had told by then."""

    cut: int
    files: dict[str, bytes]
    acknowledged: frozenset[str]

    def write(self, folder: Path) -> None:
        for old in folder.iterdir():
            old.unlink()
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


class Disk:
    """The recorded operations, played up to a cut."""

    def __init__(self, existing: Sequence[str]) -> None:
        self._files = {name: _File() for name in existing}
        self._told: list[str] = []

    def play(self, op: Op) -> None:
        if op.what == "ack":
            self._told.append(op.about)
            return
        file = self._files.setdefault(op.file, _File())
        match op.what:
            case "create":
                file.empty()
                file.there = True
            case "delete":
                file.there = False
            case "sync":
                for waiting in file.pending:
                    _apply(file.durable, waiting)
                file.pending.clear()
                for one in self._files.values():
                    one.named = one.there
                    if not one.there:
                        one.empty()
            case _:
                file.pending.append(op)

    def after_power_loss(self, cut: int, chance: random.Random) -> Image:
        share = chance.choice(SURVIVES)
        files = {}
        for name, file in self._files.items():
            # A name that is not committed, or a deletion that is not, may be either way.
            if file.named == file.there:
                here = file.there
            else:
                here = chance.random() < share if file.there else chance.random() >= share
            if not here:
                continue
            content = bytearray(file.durable)
            for op in file.pending:
                _apply_in_part(content, op, share, chance)
            files[name] = bytes(content)
        return Image(cut, files, frozenset(self._told))


def _apply(content: bytearray, op: Op) -> None:
    if op.what == "truncate":
        _resize(content, op.at)
        return
    _resize(content, max(len(content), op.at + len(op.data)))
    content[op.at : op.at + len(op.data)] = op.data


def _apply_in_part(content: bytearray, op: Op, share: float, chance: random.Random) -> None:
    if op.what == "truncate":
        if chance.random() < share:
            _resize(content, op.at)
        return
    for start in range(0, len(op.data), SECTOR):
        if chance.random() < share:
            part = op.data[start : start + SECTOR]
            _apply(content, Op("write", op.file, op.at + start, part))


def _resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def images(ops: Sequence[Op], existing: Sequence[str], *, count: int, seed: int) -> Iterator[Image]:
    """So many power losses, each at a random operation, in the order of their cuts."""
    chance = random.Random(seed)
    cuts = sorted(chance.randint(0, len(ops)) for _ in range(count))
    disk, played = Disk(existing), 0
    for cut in cuts:
        for op in ops[played:cut]:
            disk.play(op)
        played = cut
        yield disk.after_power_loss(cut, chance)
