"""What every fake system is given, and nothing else.

A fake keeps the true state of the system it pretends to be. Tests, the demo and
the benchmarks act on that state through its plain methods and look at it
afterwards; the daemon sees only its HTTP face.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

#: Delivers one webhook: (headers, body) -> the receiver's HTTP status.
Deliver = Callable[[Mapping[str, str], bytes], Awaitable[int]]


async def nobody_listens(headers: Mapping[str, str], body: bytes) -> int:  # noqa: ARG001
    """The webhook that never arrives (S11)."""
    return 503


@dataclass(slots=True, kw_only=True)
class World:
    """Clock, chance, settings and a way out for webhooks."""

    settings: Mapping[str, str] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    rng: random.Random = field(default_factory=lambda: random.Random(20261125))  # noqa: S311
    deliver: Deliver = nobody_listens
