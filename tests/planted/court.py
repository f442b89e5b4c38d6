"""Runs a harness over a copy of the program in which a bug is planted, and judges what it said.

A bug is convicted if the harness fails, by name and for the reason we expect. A copy that
cannot be collected, a harness that does not exist, a patch that does not apply, or a program
that was imported from somewhere else convicts nobody.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.planted.bugs import Bug

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ("core", "connectors", "mappings", "tests", "pyproject.toml")
#: The same examples every day: a conviction is no matter of luck.
SEED = 20261125
TIMEOUT_S = 120.0


class DoesNotApply(Exception):
    """The text of a bug is not in its file, or more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a run of pytest came to."""

    code: int
    out: str
    seconds: float

    def named(self, what: str) -> list[str]:
        """Nodes of the short summary that FAILED, or of which there is an ERROR."""
        return re.findall(rf"^{what} ([^\s]+)", self.out, re.MULTILINE)


def copy_program(to: Path) -> Path:
    """All that a harness needs, in a folder of its own."""
    copy = to / "program"
    copy.mkdir()
    leave = shutil.ignore_patterns("__pycache__", ".hypothesis", "planted")
    for name in PROGRAM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=leave)
        else:
            shutil.copy2(source, copy / name)
    witness = copy / "tests" / "planted" / "witness.py"
    witness.parent.mkdir()
    shutil.copy2(ROOT / "tests" / "planted" / "witness.py", witness)
    return copy


@contextmanager
def planted(copy: Path, bug: Bug) -> Iterator[None]:
    """The bug is in the copy; afterwards it is not."""
    path = copy / bug.file
    text, stat = path.read_text("utf-8"), path.stat()
    found = text.count(bug.old)
    if found != 1:
        raise DoesNotApply(f"{bug.file} has the text of {bug.name!r} {found} times, not once")
    try:
        _forget_compiled(path)
        path.write_text(text.replace(bug.old, bug.new), "utf-8")
        yield
    finally:
        path.write_text(text, "utf-8")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        _forget_compiled(path)


def _forget_compiled(path: Path) -> None:
    """Python knows a changed file by its second and its size, and those may be the same."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def run(copy: Path, harnesses: Sequence[str], *, examples: int = 0, seed: int = SEED) -> Said:
    """These nodes of pytest, in a process of their own, over the copy and nothing else of ours."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    own |= {"PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1"}
    own.pop("TRUECOUNT_EXAMPLES", None)
    if examples:
        own["TRUECOUNT_EXAMPLES"] = str(examples)
    words = ("-q", "--tb=short", "-rfE", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-p", "tests.planted.witness", *harnesses],
        cwd=copy,
        env=own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Said(code=done.returncode, out=done.stdout, seconds=time.monotonic() - began)


def acquits(copy: Path, said: Said) -> str:
    """Why the copy as it is does not pass, or ""."""
    if said.code != 0:
        return f"pytest ended with {said.code}, not 0"
    return _of_another_program(copy, said)


def doubts(copy: Path, bug: Bug, said: Said) -> str:
    """Why this is no conviction, or ""."""
    if said.code == 0:
        return "the harness passes"
    if said.code != 1:
        return f"pytest ended with {said.code}: nothing was tested"
    if said.named("ERROR"):
        return f"errors, not failures: {said.named('ERROR')}"
    if said.named("FAILED") != [bug.harness]:
        return f"{said.named('FAILED')} failed, not {bug.harness}"
    if not re.search(bug.says, said.out):
        return f"it fails for another reason: {bug.says!r} is not said"
    return _of_another_program(copy, said)


def _of_another_program(copy: Path, said: Said) -> str:
    tested = re.findall(r"^tested: (.*)$", said.out, re.MULTILINE)
    return "" if tested == [str(copy)] else f"tested was {tested}, not {copy}"


def convict(copy: Path, bug: Bug) -> tuple[str, Said]:
    """The doubt that is left, and what the harness said."""
    with planted(copy, bug):
        said = run(copy, [bug.harness], examples=bug.examples)
    return doubts(copy, bug, said), said
