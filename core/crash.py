"""Named places where the process can be made to die, as a power cut would: H1, H21, H31.

    TRUECOUNT_CRASH_AT=outbox.sent:3 truecount run
    TRUECOUNT_CRASH_AT=outbox.sent@books:1 truecount run

The third passing of that place (the first one that is about `books`) ends the process with
SIGKILL: nothing is flushed, nothing is caught, no `finally` runs. Without the variable
a passing costs one comparison. tests/crash starts the installed program with each of
these, lets it die, starts it again, and compares what all systems have.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import ConfigError, Problem

VARIABLE = "TRUECOUNT_CRASH_AT"
_WRITTEN = re.compile(r"([a-z_.]+)(?:@([A-Za-z0-9_/-]+))?(?::([1-9][0-9]{0,8}))?")

#: Every place, with what has just happened there. Each stands once in the code of `core`.
CRASH_POINTS: Mapping[str, str] = {
    # the schema, and what is in force: a start
    "schema.making": "tables are made, and not committed",
    "schema.made": "tables are committed",
    "schema.kept_aside": "a copy of an older state is beside it, and nothing is changed",
    "schema.bringing_up": "its tables are ours, and not committed",
    "schema.brought_up": "its tables are committed",
    "state.opening": "the start's own unit is done, and not committed",
    "state.opened": "the state is open, and says what is in force",
    "items.swapped": "items are swapped in memory, and what follows is not committed",
    "items.in_force": "items are committed",
    "rules.swapped": "rules are swapped in memory, and what follows is not committed",
    "rules.in_force": "rules are committed",
    "mappings.swapped": "mappings are kept, and not committed",
    "mappings.in_force": "mappings are committed",
    "outbox.recovered": "commands that were being sent are in doubt",
    "publish.recovered": "calls whose answer was lost are told again",
    "start.prepared": "cursors exist, nobody listens yet",
    "start.listening": "the ports are open, no loop moves yet",
    # the writer: both sides of every commit
    "store.begun": "a transaction has begun",
    "store.applied": "its units have run",
    "store.committing": "the commit thread is about to commit",
    "store.committed": "the commit is on the disk, the loop does not know",
    "store.telling": "nobody who waits was told of the commit",
    "store.folding": "the log is about to be folded in at a clean stop",
    # a push
    "hook.arrived": "a body has arrived and is not judged",
    "hook.keeping": "a genuine body is in the transaction, not committed",
    "hook.kept": "it is on the disk, its sender does not know",
    "hook.answered": "the answer is written, and may not have left",
    # a pass over an owner, and an object a push hinted at
    "sweep.asking": "an owner is about to be asked",
    "sweep.answered": "a page is here, and nothing of it is kept",
    "sweep.rows_kept": "its rows are in the transaction, the cursor has not moved",
    "sweep.cursor_moved": "rows and cursor are in the transaction, not committed",
    "sweep.page_kept": "rows and cursor are on the disk",
    "fetch.answered": "one object is here, and is not kept",
    "fetch.kept": "it is kept, and is wished for no more",
    # understanding and deciding
    "intake.understood": "a batch is understood, and nothing is decided",
    "intake.row_decided": "one row of it is decided, not committed",
    "intake.decided": "the batch is committed, no loop was woken",
    # both sides of every remote call
    "wire.sending": "the first byte is about to leave",
    "wire.answered": "the whole answer is here",
    # a command
    "outbox.beginning": "a command is due, no attempt is written",
    "outbox.begun": "the attempt is on the disk, nothing was sent",
    "outbox.sent": "the system has done it, we have written nothing",
    "outbox.looking": "a doubtful command is about to be looked up",
    "outbox.looked": "we know what became of it, and have written nothing",
    "outbox.ending": "the end is in the transaction with what follows",
    "outbox.ended": "the end is on the disk",
    # a number
    "publish.computed": "numbers are computed, nothing is written",
    "publish.dividing": "quotas of a divided pool are in the transaction",
    "publish.intended": "the intention is on the disk, nothing was sent",
    "publish.answered": "the channel shows it, we have written nothing",
    "publish.quota_answered": "a cut or a raise of a divided pool is in the transaction",
    "publish.settled": "what the channel shows is on the disk",
    # a login
    "token.answered": "a new refresh token is here, and is not stored",
    "token.stored": "it is stored, and was not used",
    # the mail of a day
    "mail.claimed": "the day is being sent, no child has begun",
    "mail.connecting": "the child is about to call the mail server",
    "mail.accepted": "the mail server has taken it, nobody has written that down",
    "mail.noting": "the child is done, the day is not noted",
    "mail.noted": "the day is noted as sent",
    # a copy of the state, and putting it back
    "backup.copied": "the copy is whole, under a name of its own",
    "backup.named": "the copy has its name",
    "restore.copied": "the backup is copied beside the state",
    "restore.aside": "the state before is kept aside as well",
    "restore.log_gone": "the log of the state before is gone",
    "restore.replaced": "the backup is the state, its folder is not synced",
    "restore.converging": "a state put back forgets what it cannot know, not committed",
    "gate.opening": "all was read after a restore, commands may leave, not committed",
    # a clean stop
    "stop.refusing": "new pushes are refused, loops still move",
    "stop.closing": "loops have ended, the state is open",
}


@dataclass(slots=True)
class Armed:
    """Where this process dies: at the n-th passing of a place, about `of` or about anybody."""

    name: str
    of: str
    left: int

    def passes(self, name: str, of: str) -> None:
        if name != self.name or not self._is_meant(of):
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_meant(self, of: str) -> bool:
        return self.of in ("", of) or of.startswith(f"{self.of}/")


def read(text: str) -> Armed | None:
    """What the variable says; None where it is not set. ConfigError: it names no place."""
    if not text:
        return None
    found = _WRITTEN.fullmatch(text)
    if found is None or found[1] not in CRASH_POINTS:
        raise ConfigError(
            [
                Problem(
                    file=VARIABLE,
                    line=0,
                    what=f"{text[:60]!r} is no place where the program can be made to die",
                    fix="Unset it. Only tests set it: NAME[@SYSTEM[/RESOURCE]][:N], core/crash.py.",
                )
            ]
        )
    return Armed(name=found[1], of=found[2] or "", left=int(found[3] or 1))


def refuse_unknown() -> None:
    """Say so at the start, and not by never dying."""
    read(os.environ.get(VARIABLE, ""))


def _at_import() -> Armed | None:
    try:
        return read(os.environ.get(VARIABLE, ""))
    except ConfigError:
        return None  # the command line says it, by refuse_unknown


_ARMED = _at_import()


def crash_point(name: str, of: str = "") -> None:
    """A place of the catalog. `of`: the system it is about, or system/resource where it reads;
    at the wire the method of the call."""
    if _ARMED is not None:
        _ARMED.passes(name, of)
