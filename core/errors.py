"""Every error of Truecount, named by what the caller does next.

TruecountError
├── ConfigError                 stop at start: file, line, what to do
│   └── MappingError            a mapping file: the old version stays in force
├── Hold                        this record waits for a person: reason, next step
├── ConnectorError
│   ├── Retry                   it did not happen; safe to try later
│   │   └── RateLimited         … after this long
│   ├── LoginNeeded             pause this system, tell a person
│   ├── Rejected                the owner refuses: dead letter with its words
│   └── InDoubt                 it may have happened: find out before anything else
├── Forged                      the push is not genuine: 401, count, forget
├── Busy                        we cannot keep our word now: 503 with Retry-After
└── InvariantBroken             a bug: stop the lane, alert, keep the evidence

Messages are written for an operator: what, where, what now. They never carry
a secret, a buyer, or a URL with a query (T13).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TruecountError(Exception):
    """The root: catch it only where a process ends."""


class Line(int):
    """The number of a line, which knows the column of what it is said about."""

    column: int

    @classmethod
    def at(cls, line: int, column: int) -> Line:
        made = cls(line)
        made.column = column
        return made


def column_of(line: int) -> int:
    """From 1; 0 where only the line is known."""
    return line.column if isinstance(line, Line) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in one place of a file an operator edits."""

    file: str
    line: int  # from 1; 0: the whole file
    what: str
    fix: str = ""
    column: int = 0  # from 1, as editors count; 0: the whole line

    def __str__(self) -> str:
        tail = f"\n  {self.fix}" if self.fix else ""
        return f"{self.place}  {self.what}{tail}"

    @property
    def place(self) -> str:
        """What an editor and a terminal jump to."""
        where = (self.line, self.column) if self.column else (self.line,)
        return ":".join([self.file, *map(str, where if self.line else ())])


class ConfigError(TruecountError):
    """The daemon refuses to start; all problems of the files at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class MappingError(ConfigError):
    """A mapping file is refused; a running daemon keeps the last good one (H34)."""


class Hold(TruecountError):
    """A record we understood to be beyond us. It waits, nothing is lost.

    `cause` groups members: 400 orders with one unknown payment word are one
    exception, and it closes when its cause is gone.
    """

    def __init__(self, reason: str, *, cause: str, next_step: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cause = cause
        self.next_step = next_step


class ConnectorError(TruecountError):
    """What an outside system did to one call. `words` are the system's own, scrubbed."""

    def __init__(self, what: str, *, words: str = "", status: int | None = None) -> None:
        super().__init__(f"{what}: {words}" if words else what)
        self.what = what
        self.words = words
        self.status = status


class Retry(ConnectorError):
    """It did not happen. The same call later is safe."""


class RateLimited(Retry):
    """It did not happen, and the system said when to come back."""

    def __init__(self, what: str, *, after_s: float, words: str = "", status: int | None = 429):
        super().__init__(what, words=words, status=status)
        self.after_s = after_s


class LoginNeeded(ConnectorError):
    """The credentials no longer work; a person must act. Pauses one system (S24)."""


class Rejected(ConnectorError):
    """The owner understood and refuses. Repeating cannot help."""


class InDoubt(ConnectorError):
    """Sent, answer not seen. It is looked up, never blindly repeated (H21)."""


class Forged(TruecountError):
    """A push that is not genuine. `reason` is a counter label, never sent back."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Busy(TruecountError):
    """We cannot make this durable now (disk full, shutting down, too much waiting)."""

    def __init__(self, reason: str, *, retry_after_s: int = 5) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class InvariantBroken(TruecountError):
    """Something that cannot be true is. A bug of ours; the lane stops, evidence stays."""
