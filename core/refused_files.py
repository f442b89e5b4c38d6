"""A file an operator edits is refused: one exception with its problems, until it is right (H34)."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core import holds
from core.errors import Problem
from core.work import Work

#: Problems shown as members of one exception; `truecount check` shows them all.
PROBLEMS_MAX = 100


def show(work: Work, what: str, problems: Sequence[Problem], *, noun: str) -> None:
    """Today's problems of the file of `what` are the members; without any it closes."""
    cause = f"{what}:refused"
    now = {f"{one.file}:{one.line}: {one.what}": one for one in problems[:PROBLEMS_MAX]}
    for ref, one in now.items():
        structlog.get_logger().warning(
            f"{what}.refused", file=one.file, line=one.line, what=one.what, fix=one.fix
        )
        holds.open_hold(
            work,
            cause=cause,
            system="",
            reason=f"the file of {noun} is refused; what was in force before stays in force",
            next_step="Correct it, ask `truecount check`, then `truecount reload`.",
            member=what,
            ref=ref,
            label=f"{one.file}:{one.line} {one.what}",
        )
    for ref in set(holds.members_of(work, cause, what)) - now.keys():
        holds.close_cause(work, cause, what, ref)
