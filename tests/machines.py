"""How long the state machines run: seconds every day, in `make soak` until they took their steps.

A step counts only if something happened in it. What the machines took is printed at the
end of every run, and a soak that took fewer than it promised fails.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings

#: Steps in which something happened, by the name of the machine, in this process.
TAKEN: Counter[str] = Counter()
#: What `make soak` promises of each machine that is here.
PROMISED: dict[str, int] = {}


def taken(machine: object) -> None:
    """One more step in which something happened."""
    TAKEN[type(machine).__name__] += 1


def lasting(machine: type, *, examples: int, steps: int, soak: int, promised: int) -> settings:
    """Settings of a machine: so many examples of so many steps; `soak` of them in `make soak`,
    in which something must have happened `promised` times.

    TRUECOUNT_EXAMPLES runs that many others, at random, and shows a failure as it was found.
    """
    chosen = os.environ.get("TRUECOUNT_EXAMPLES")
    soaking = soaks() and not chosen
    if soaking:
        PROMISED[machine.__name__] = promised
    return settings(
        max_examples=int(chosen or (soak if soaking else examples)),
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate] if chosen else list(Phase),
        derandomize=not chosen and not soaking,
    )


def soaks() -> bool:
    return settings.get_current_profile_name() == "soak"
