"""A file an operator edits is refused: one exception with its problems, until it is right (H34).

The words are those of `truecount check`, in the console, in `holds` and in the mail.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core import holds
from core.errors import Problem
from core.work import Work

#: Problems shown as members of one exception; `truecount check` shows them all.
PROBLEMS_MAX = 100


RELOAD = "Correct it, ask `truecount check`, then `truecount reload`."


def show(
    work: Work, what: str, problems: Sequence[Problem], *, noun: str, then: str = RELOAD
) -> None:
    """Today's problems of the file of `what` are the members; without any it closes."""
    cause = f"{what}:refused"
    now = {f"{one.file}:{one.line}: {one.what}": one for one in problems[:PROBLEMS_MAX]}
    reason = _reason(problems, noun)
    for ref, one in now.items():
        structlog.get_logger().warning(
            f"{what}.refused", file=one.file, line=one.line, what=one.what, fix=one.fix
        )
        holds.open_hold(
            work,
            cause=cause,
            system="",
            reason=reason,
            next_step=f"{problems[0].fix} {then}".strip(),
            member=what,
            ref=ref,
            label=" ".join(str(one).split()),
        )
    if now:
        holds.say(work, cause, reason)
    for ref in set(holds.members_of(work, cause, what)) - now.keys():
        holds.close_cause(work, cause, what, ref)


def _reason(problems: Sequence[Problem], noun: str) -> str:
    """In the words of `truecount check`: the mail shows this line, and no other of them."""
    if not problems:
        return ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    first = problems[0]
    return (
        f"the file of {noun} is refused, and what was in force before stays in force:"
        f" {first.place}  {first.what}{more}"
    )
