"""Pretend systems in a process of their own, behind one more bad habit that a test gives them.

python -m tests.acceptance.echoing hosts.json 9000
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from core.fakehost import App, FakeHost
from core.fakeports import Port


def main(habit: Callable[[FakeHost], App]) -> None:
    """Host what the file of the first word says, at the port of the second, until TERM."""
    asyncio.run(_serve(habit, Path(sys.argv[1]), int(sys.argv[2])))


async def _serve(habit: Callable[[FakeHost], App], hosts: Path, port: int) -> None:
    host = FakeHost(json.loads(hosts.read_text())["systems"])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    socket = Port(habit(host), port)
    await socket.listen(True)
    await stop.wait()
    await socket.listen(False)
    await host.close()
