"""What time it is over there, by the Date header of the last answer (G18).

For what must carry the vendor's time: a signature that is minutes old is refused, and a
machine whose clock is wrong would be locked out for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.answers import http_date
from core.clock import Clock


class TheirClock:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_s = 0.0  # theirs minus ours; whole seconds at best

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self.offset_s)

    def heard(self, headers: Mapping[str, str], seconds: float) -> None:
        """An answer came after so many seconds; its header was written about half of that ago."""
        if theirs := http_date(headers.get("date", "")):
            ours = self._clock.now() - timedelta(seconds=seconds / 2)
            self.offset_s = (theirs - ours).total_seconds()
