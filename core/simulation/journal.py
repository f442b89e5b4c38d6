"""What happened, line by line: one digest that two runs of a seed must share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Journal:
    """Every line has the second it happened in. `tell` hears each of them (`--trace`)."""

    def __init__(self, time_s: Callable[[], float], tell: Callable[[str], None] | None) -> None:
        self._time_s = time_s
        self._tell = tell
        self._hash = hashlib.sha256()
        self.lines = 0

    def note(self, who: str, what: str) -> None:
        line = f"{self._time_s():12.3f}  {who:10}  {what}"
        self._hash.update(line.encode())
        self.lines += 1
        if self._tell is not None:
            self._tell(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]
