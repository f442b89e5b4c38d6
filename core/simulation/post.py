"""The mail server, pretending: what it took, and when. It has the habits of its day.

The real smtplib talks to it, through a socket that is no socket: what is said is answered on
the spot. The line breaks where it is drawn to, before or after the server has the mail.
"""

from __future__ import annotations

import random
import smtplib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from email import message_from_bytes
from zoneinfo import ZoneInfo

from core.config_types import Smtp
from core.simulation.business import START, ZONE, Mail

#: Who is put off may come again after so long.
GREY = timedelta(minutes=15)
#: When the mail is due, as config.yaml has it where it says nothing.
MAIL_AT = time(7, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One mail that lies in the letterbox. `doubted`: its sender was not told so."""

    message_id: str
    at: datetime
    doubted: bool

    @property
    def day(self) -> date:
        """Of <truecount-2026-11-24-…>."""
        return date.fromisoformat(self.message_id.removeprefix("<truecount-")[:10])


class Post:
    """`taken`: all mails, oldest first. `reachable` says whether our own line is there."""

    def __init__(
        self,
        habits: Mail,
        chance: random.Random,
        now: Callable[[], datetime],
        reachable: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self.habits = habits
        self.chance = chance
        self.now = now
        self.taken: list[Taken] = []
        self._reachable = reachable
        self._tell = tell
        self._first_seen: datetime | None = None

    def behave(self) -> None:
        """From now on it takes every mail."""
        self.habits = Mail()

    def connected(self, smtp: Smtp) -> smtplib.SMTP:  # noqa: ARG002 - as core.mailer.connected
        """One conversation, for `core.mailer.send`."""
        if not self._reachable() or self.chance.random() < self.habits.unreachable:
            raise ConnectionRefusedError("nobody listens there")
        server = smtplib.SMTP(local_hostname="truecount.example")
        server.sock = _Socket(self)  # type: ignore[assignment]  # what smtplib uses of a socket
        server.getreply()
        return server

    def puts_off(self) -> bool:
        """Greylisting: whom it sees for the first time is to come again."""
        self._first_seen = self._first_seen or self.now()
        return self.habits.greylists and self.now() < self._first_seen + GREY

    def take(self, body: bytes, *, doubted: bool) -> None:
        message_id = str(message_from_bytes(body)["Message-ID"])
        self.taken.append(Taken(message_id=message_id, at=self.now(), doubted=doubted))
        self._tell(f"takes {message_id}{', and nobody hears of it' if doubted else ''}")

    # -------------------------------------------------------------- what must be true of it

    def _due(self, now: datetime) -> Iterator[date]:
        """The days whose mail should have gone by then."""
        now = now.astimezone(ZoneInfo(ZONE))
        day = START.date() - timedelta(days=1)
        while day < now.date() - timedelta(days=0 if now.time() >= MAIL_AT else 1):
            yield day
            day += timedelta(days=1)

    def not_gone(self, now: datetime) -> Iterator[str]:
        """Every day has its mail, by the clock of our machine."""
        there = {one.day for one in self.taken}
        for day in self._due(now):
            if day not in there:
                yield f"the mail of {day} has not gone"

    def gone_twice(self, deaths: int) -> Iterator[str]:
        """G12: one mail a day; where it may have gone, it goes under the same name again.

        `deaths`: how often nobody may have been left who knew that it had gone.
        """
        by_day: defaultdict[date, list[Taken]] = defaultdict(list)
        for one in self.taken:
            by_day[one.day].append(one)
        for day, taken in by_day.items():
            if len({one.message_id for one in taken}) > 1:
                yield f"G12: the mail of {day} has {len(taken)} names"
            if len(taken) > 1 + sum(one.doubted for one in taken) + deaths:
                yield f"G12: the mail of {day} went {len(taken)} times"
            if any(one.at.astimezone(ZoneInfo(ZONE)).date() <= day for one in taken):
                yield f"G18: the mail of {day} went before the day was over"


class _Socket:
    """One line to the server, in memory."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._said = b"220 post.example\r\n"
        self._mail: bytes | None = None  # of a DATA that goes on
        self._broken = False
        habits, chance = post.habits, post.chance
        self._breaks_before = chance.random() < habits.lost_before
        self._breaks_after = chance.random() < habits.lost_after

    def makefile(self, mode: str) -> _Socket:  # noqa: ARG002 - socket.makefile
        return self

    def readline(self, most: int) -> bytes:
        end = min(self._said.find(b"\n") + 1 or len(self._said), most)
        line, self._said = self._said[:end], self._said[end:]
        return line

    def sendall(self, data: bytes) -> None:
        if self._broken:
            raise BrokenPipeError("the line is gone")
        if self._mail is None:
            self._said += self._answer(data.split(b" ")[0].strip().upper())
        elif (self._mail + data).endswith(b"\r\n.\r\n"):
            self._said += self._end_of(self._mail + data)
            self._mail = None
        else:
            self._mail += data

    def close(self) -> None:
        self._broken = True

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"RCPT" and self._post.puts_off():
            return b"451 4.7.1 come again later\r\n"
        if verb == b"DATA":
            self._mail = b""
            return b"354 go on\r\n"
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n"

    def _end_of(self, mail: bytes) -> bytes:
        """The mail is here, or was lost on its way; the answer may be."""
        if self._breaks_before:
            self._broken = True
            return b""
        self._post.take(mail, doubted=self._breaks_after)
        self._broken = self._breaks_after
        return b"" if self._breaks_after else b"250 taken\r\n"
