"""Ends the process when its event loop stands still: nothing of it could say so any more.

A loop that is blocked answers no push, no probe and no person, and its scheduler and its rounds
stand with it. So a thread of its own looks, and ends the program; whoever started it (systemd,
Docker) starts it again, and everything is on the disk (G12; H33).
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import threading
import time

#: A loop that has not come round for so long serves nobody.
LIMIT_S = 300.0
#: EX_SOFTWARE of sysexits.h: our own fault, worth a restart.
EXIT = 70
_SAYS = (
    b"truecount: the event loop has stood still for %g s. This is a bug, or a disk that does not"
    b" answer; the program ends, to be started again. What it was doing:\n"
)


class Watchdog:
    """`run()` beats on the loop, as a task; `start()` begins to look from beside it."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._beat_at = time.monotonic()
        self._over = threading.Event()

    async def run(self) -> None:
        """For ever: say that the loop comes round."""
        try:
            while True:
                self._beat_at = time.monotonic()
                await asyncio.sleep(self._limit_s / 10)
        finally:
            self._over.set()

    def start(self) -> None:
        self._beat_at = time.monotonic()
        threading.Thread(target=self._look, name="watchdog", daemon=True).start()

    def _look(self) -> None:
        pause = self._limit_s / 10
        looked_at = time.monotonic()
        while not self._over.wait(pause):
            now = time.monotonic()
            if now - looked_at > 2 * pause:  # this thread stood still too: a paused machine
                self._beat_at = now
            looked_at = now
            if now - self._beat_at > self._limit_s:
                os.write(
                    2, _SAYS % self._limit_s
                )  # no log: its lock may be what the loop waits for
                faulthandler.dump_traceback(all_threads=True)  # files and lines, no values
                os._exit(EXIT)
