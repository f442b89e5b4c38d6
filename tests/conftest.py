"""Property tests: a short profile for every day, a long one for `make soak`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests import machines

settings.register_profile("daily", deadline=None)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=2_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("daily")


#: What sets up something dear for all its tests stays in one process: one play, one Tryton.
#: (xdist 3.8 does not hear its own `xdist_group` from pytest 9.2: every play was given twice.)
TOGETHER = ("tests/acceptance/test_the_demo.py", "tests/security/test_canary.py", "tests/tryton/")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed here
    def _split_scope(self, nodeid: str) -> str:
        return next((part for part in TOGETHER if nodeid.startswith(part)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """What the state machines took in this test travels with its report, to any process."""
    before = Counter(machines.TAKEN)
    result = yield
    for name, steps in (machines.TAKEN - before).items():
        item.user_properties.append(("steps", (name, steps)))
        assert steps >= machines.PROMISED.get(name, 0), f"{name} took {steps:,} steps only"
    return result


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What a longer run is for: steps of the machines, and figures that a test recorded."""
    steps = Counter[str]()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "steps":
                steps[value[0]] += value[1]
            elif name == "figure":
                terminalreporter.write_line(value)
    for name, count in sorted(steps.items()):
        terminalreporter.write_line(f"{name}: {count:,} steps")
