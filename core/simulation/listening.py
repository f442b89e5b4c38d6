"""Hears what the daemon says, and keeps only what is a fault of our own code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import EventDict

#: Lines that a correct program never writes.
BUGS = frozenset({"loop.failed", "job.failed", "connector.failed", "scheduler.replaced"})


@contextmanager
def to_bugs(tell: Callable[[str], None]) -> Iterator[None]:
    """While it runs the log goes nowhere, but for our own faults."""

    def hear(_: Any, __: str, event: EventDict) -> EventDict:
        if event["event"] in BUGS:
            words = structlog.processors.format_exc_info(None, "", dict(event))
            said = " ".join(f"{key}={value}" for key, value in words.items())
            tell(said)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[hear],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
