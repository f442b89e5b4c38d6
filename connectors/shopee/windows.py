"""Reading what changed, window by window. Pure.

Shopee lists at most 15 days at once, by update time. A list that is read page by page shifts
when one of its members is updated meanwhile: that one leaves the window, all others move up,
and the first of the next page is never seen (H9). So nothing is paged that can be cut: a
window that does not fit into one answer is halved until it does, and what is updated
meanwhile is in a later window by its own stamp.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

LONGEST_S = 15 * 86400


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds since 1970, both ends included; `end` is where the whole pass ends.

    `rest` is Shopee's own cursor or page, used only inside of one second.
    """

    begins: int
    ends: int
    end: int
    rest: str = ""

    @classmethod
    def first(cls, since: str, now: datetime) -> Window:
        begins = int(datetime.fromisoformat(since).timestamp())
        end = max(int(now.timestamp()), begins + 1)
        return cls(begins, min(begins + LONGEST_S, end), end)

    @classmethod
    def of(cls, token: str) -> Window:
        begins, ends, end, rest = token.split("|", 3)
        return cls(int(begins), int(ends), int(end), rest)

    @property
    def token(self) -> str:
        return f"{self.begins}|{self.ends}|{self.end}|{self.rest}"

    @property
    def can_be_cut(self) -> bool:
        return self.ends - self.begins > 1 and not self.rest

    def half(self) -> Window:
        return replace(self, ends=(self.begins + self.ends) // 2)

    def inside(self, rest: str) -> Window:
        return replace(self, rest=rest)

    def following(self) -> Window | None:
        """From the last second of this one, which may not have been over; twice as long."""
        if self.ends >= self.end:
            return None
        length = min(2 * (self.ends - self.begins), LONGEST_S)
        return Window(self.ends, min(self.ends + length, self.end), self.end)

    def complete_up_to(self, date: datetime | None) -> str | None:
        """The watermark of a pass that ends here: never later than the vendor's own clock said.

        None without its word: then the same span is read again, slowly but whole.
        """
        if date is None:
            return None
        at = min(self.end, int(date.timestamp()))
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
