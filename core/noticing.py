"""Looks once an hour which differences there are, in a process of its own, and remembers them.

So each has a day it was first seen, and an end when a fact resolved it. Comparing is
heavy, and a busy thread cut intake to a tenth: it runs beside the daemon.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import orjson
import structlog
from sqlalchemy import Connection

from core import known_differences
from core.app import App

EVERY_S = 3600.0
CHILD_S = 900.0
#: Compares in a process of its own: exit code, and what it printed.
Child = Callable[[], Awaitable[tuple[int, bytes]]]


async def look(app: App, child: Child | None = None) -> None:
    """One look; nothing is remembered, and it is said, where the comparison failed."""
    code, output = await (child or _process(app))()
    if code != 0:
        words = output.decode(errors="replace").strip()[-300:]
        structlog.get_logger().error("differences.not_compared", words=words)
        return
    seen = orjson.loads(output)["differences"]

    def unit(connection: Connection) -> None:
        known_differences.remember(connection, seen, app.clock.now())

    await app.store.write(unit)


def _process(app: App) -> Child:
    async def run() -> tuple[int, bytes]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "core.cli", "reconcile", "--config", app.config.file),
            *("--today", "--seen", "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(CHILD_S):
                out, err = await process.communicate()
        except TimeoutError:
            return 1, b"the comparison took too long"
        finally:
            if process.returncode is None:  # too late, or the daemon stops: no orphan goes on
                process.kill()
                await process.wait()
        code = process.returncode or 0
        return (0, out) if code == 0 else (code, err)

    return run
