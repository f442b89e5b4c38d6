"""A loop that stands still ends its process, and says where; one that comes round does not."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from core.watchdog import EXIT


def played(body: str) -> subprocess.CompletedProcess[str]:
    """A process whose watchdog waits one second. `body` runs on its loop."""
    program = f"""
import asyncio, time
from core.watchdog import Watchdog

async def main():
    watchdog = Watchdog(limit_s=1.0)
    beats = asyncio.get_running_loop().create_task(watchdog.run())
    watchdog.start()
{textwrap.indent(body, "    ")}
    beats.cancel()

asyncio.run(main())
time.sleep(2.0)
print("lived")
"""
    words = [sys.executable, "-c", program]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_h33_a_loop_that_stands_still_ends_its_process_with_the_place_it_stood_at() -> None:
    done = played("def stands_still():\n    time.sleep(50)\nstands_still()")
    assert done.returncode == EXIT
    assert "the event loop has stood still for 1 s" in done.stderr
    assert "in stands_still" in done.stderr


def test_a_loop_that_comes_round_lives_and_so_does_one_that_has_ended() -> None:
    done = played("await asyncio.sleep(2.0)")
    assert (done.returncode, done.stdout) == (0, "lived\n")
