"""One kill: start, die at a place, start again, come to rest, compare."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field

from core.mapping.mapping import Text
from core.store import backup
from tests.crash import truth
from tests.crash.installation import ITEMS, LOOK_S, PATIENCE_S, Installation, Stuck, until
from tests.crash.play import Play, open_shop
from tests.released import take_down

#: Complete passes over every channel and warehouse in which nothing moved: it never will.
STILL_PASSES = 25
#: How a process ended that was killed.
DIED = -signal.SIGKILL


@dataclass
class Killing:
    """Kills of one installation, one after another. `days` so far, none of it may be lost."""

    own: Installation
    days: list[Play] = field(default_factory=list)
    kills: int = 0
    edits: int = 0

    def open(self) -> None:
        """A shop that works: everything is read, told and shown."""
        open_shop(self.own)
        self.own.start()
        until("the daemon is ready", self._ready)
        self._rest("the first start")
        assert self.own.stop() == 0, self.own.said()

    def kill_at(self, at: str) -> bool:
        """One day, through which the program dies at this place. False: it never came by."""
        return self._kill_in_turn(at)

    def kill_twice(self, at: str) -> bool:
        """It dies there once more, in the life that tidies up after the first."""
        return self._kill_in_turn(at, at)

    def kill_in_doubt(self, at: str) -> bool:
        """After the books have done it, and again while we find out."""
        return self._kill_in_turn("outbox.sent@books:2", at)

    def _kill_in_turn(self, *places: str) -> bool:
        """One day of as many lives and one more. Whether it died at the last place."""
        self.days.append(day := Play(self.own))
        for at in places:
            self.own.start(at)
            if not self._live_until_dead(day) and self.own.stop() != DIED:
                self.compare(at)
                return False
            self.look_at_the_dead(at)
        self.own.start()
        self.recover(places[-1])
        return True

    def kill_first_start(self, at: str) -> bool:
        """The very first start: no state yet, nothing told, nothing read."""
        open_shop(self.own)
        return self.kill_at(at)

    def kill_stop(self, at: str) -> bool:
        """The day is over, somebody says stop, and the program dies on its way out."""
        self.days.append(day := Play(self.own))
        self.own.start(at)
        died = self._live_until_dead(day) or self.own.stop() == DIED
        if died:
            self.look_at_the_dead(at)
        self.own.start()
        self.recover(at)
        return died

    def kill_edit(self, at: str) -> bool:
        """Mapping, items and rules are other ones: at the start, and once more while it runs.

        What comes into force does so once, whoever died meanwhile.
        """
        self.days.append(day := Play(self.own))
        self._edit("before the start")
        self.own.start(at)
        died = not self._lives_to_be_ready() or self._dies_of_an_edit(day)
        if died:
            self.look_at_the_dead(at)
            self.own.start()
        self._rest(at)
        until("the edit is in force", self._edit_is_in_force)
        self.recover(at)
        return died

    def kill_mail(self, at: str) -> bool:
        """The mail of yesterday is due. Ten minutes later it is tried again."""
        open_shop(self.own)
        self.own.start(at)
        until("the daemon or the child it sends with dies", self._sending_died)
        died = not self.own.alive
        self.own.kill()
        self.kills += 1
        self.own.let_pass_for_mails()
        self.own.start()
        until("the mail is noted as sent", lambda: self._mail_states() == {"sent"})
        self.recover(at)
        return died or bool(self.own.box.mails)

    def kill_upgrade(self, at: str) -> bool:
        """The state has the oldest schema; the program dies as it brings it up."""
        self.days.append(Play(self.own))
        self.own.start()
        self.recover(at)
        take_down(self.own.state)
        self.days.append(Play(self.own))
        self.own.start(at)
        died = not self._lives_to_be_ready()
        if died:
            self.look_at_the_dead(at)
            self.own.start()
        self.recover(at)
        return died

    def kill_backup(self, at: str) -> bool:
        """A copy is made beside the running program, and its maker dies."""
        self.days.append(Play(self.own))
        self.own.start()
        self._rest(at)
        copy = self.own.folder / f"copy-{len(self.days)}.db"
        died = self.own.verb("backup", str(copy), at=at).returncode == DIED
        self.kills += died
        if copy.exists():  # only a whole one has a name
            backup.examine(copy)
            copy.unlink()
        again = self.own.verb("backup", str(copy))
        assert again.returncode == 0, again.stderr
        left = [one.name for one in self.own.folder.iterdir() if one.name.endswith(".part")]
        assert not left, f"a killed backup left {left}"
        self.recover(at)
        return died

    def kill_restore(self, at: str) -> bool:
        """Yesterday's copy is put back, and whoever does it dies, or the program after it does."""
        copy = self.own.folder / f"yesterday-{len(self.days)}.db"
        assert self.own.verb("backup", str(copy)).returncode == 0
        self.days.append(Play(self.own))
        self.own.start()
        self.recover(at)  # a day that the copy does not know
        died = self.own.verb("restore", str(copy), at=at).returncode == DIED
        if died:
            self.kills += 1
            found = truth.damage(self.own)
            assert not found, f"killed at {at}: {found}"
            again = self.own.verb("restore", str(copy))
            assert again.returncode == 0, again.stderr
        for day in self.days:  # what was pushed since the copy is read again, not kept again
            day.forget_pushes()
        self.days.append(day := Play(self.own))
        self.own.start(at)
        if self._live_until_dead(day):
            died = True
            self.look_at_the_dead(at)
            self.own.start()
        self.recover(at)
        return died

    def recover(self, at: str) -> None:
        """The program runs again: the day goes on to its end, and all is compared."""
        self._rest(at)
        self.compare(at)
        assert self.own.stop() == 0, f"after {at}: {self.own.said()}"

    def look_at_the_dead(self, at: str) -> None:
        self.kills += 1
        found = truth.damage(self.own) + truth.forgotten(self.own, self.days)
        assert not found, f"killed at {at}: {found}"

    def compare(self, at: str) -> None:
        found = truth.faults(self.own, self.days)
        assert not found, f"killed at {at}: " + "; ".join(found)

    # ------------------------------------------------------------ edits and mails

    def _edit(self, words: str) -> None:
        self.edits += 1
        for file in (self.own.a_mapping, self.own.folder / "rules.yaml"):
            file.write_text(f"{file.read_text()}# edit {self.edits}: {words}\n")
        items = self.own.folder / "items.yaml"
        items.write_text(f"{ITEMS}  edit-{self.edits}: [TEA]\n")

    def _lives_to_be_ready(self) -> bool:
        until("it is ready, or dead", lambda: not self.own.alive or self.own.ready())
        if self.own.alive:
            return True
        assert self.own.ended() == DIED, self.own.said()
        return False

    def _dies_of_an_edit(self, day: Play) -> bool:
        self._edit("while it runs")
        self.own.verb("reload")
        return self._live_until_dead(day)

    def _edit_is_in_force(self) -> bool:
        wanted = self.own.a_mapping.read_text()
        texts = self.own.rows(
            "SELECT doc FROM mapping_texts WHERE connector = 'crash_shop' AND stem = 'order'"
            " ORDER BY seq"
        )
        told = [Text.unpacked(doc).data.decode() for (doc,) in texts]
        assert len(told) == len(set(told)), "an edit came into force twice"
        return bool(told) and told[-1] == wanted

    def _sending_died(self) -> bool:
        return not self.own.alive or "failed" in self._mail_states()

    def _mail_states(self) -> set[str]:
        if not self.own.alive or not self.own.ready():
            return set()
        return {state for (state,) in self.own.rows("SELECT state FROM reports")}

    # ------------------------------------------------------------ living

    def _ready(self) -> bool:
        assert self.own.alive, f"the daemon did not start: {self.own.said()}"
        return self.own.ready()

    def _live_until_dead(self, day: Play) -> bool:
        """Whether it died at its place. A day that ends without is over."""
        end = time.monotonic() + PATIENCE_S
        while self.own.alive and time.monotonic() < end:
            day.advance()
            if day.over and not truth.unrest(self.own, self.days):
                return False
            time.sleep(LOOK_S)
        if self.own.alive:
            raise Stuck(f"the day did not end: {truth.unrest(self.own, self.days)}")
        code = self.own.ended()
        assert code == DIED, f"it ended with {code} by itself: {self.own.said()}"
        return True

    def _rest(self, at: str) -> None:
        """Until nothing is left to do; or until nothing moves any more while it lives."""
        still = Still(self.own)
        end = time.monotonic() + PATIENCE_S
        why: list[str] = []
        while time.monotonic() < end and not still.for_ever:
            assert self.own.alive, f"killed at {at}, it ended again: {self.own.said()}"
            for day in self.days:
                day.advance()
            if self.own.ready():
                over = all(day.over for day in self.days)
                why = truth.unrest(self.own, self.days)
                if over and not why:
                    return
                still.look([over, why])
            time.sleep(LOOK_S)
        raise Stuck(f"killed at {at}, it does not come to rest: {'; '.join(why) or 'the day'}")


@dataclass
class Still:
    """Nothing has changed through so many passes over an owner: waiting longer helps nobody."""

    own: Installation
    passes: int = 0
    _before: object = None
    _last_pass: object = None

    def look(self, now: object) -> None:
        rows = self.own.rows(
            "SELECT complete_at FROM cursors WHERE system = 'market' AND resource = 'order'"
        )
        if now != self._before:
            self._before, self.passes = now, 0
        elif rows != self._last_pass:
            self._last_pass = rows
            self.passes += 1

    @property
    def for_ever(self) -> bool:
        return self.passes >= STILL_PASSES
