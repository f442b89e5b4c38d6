"""A loop that stands still ends its process, and says where; one that comes round does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

from core.watchdog import EXIT


def program_of(body: str) -> list[str]:
    """A program whose watchdog waits one second. `body` runs on its loop."""
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
    return [sys.executable, "-c", program]


def played(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program_of(body), capture_output=True, text=True, timeout=60, check=False)


def test_h33_a_loop_that_stands_still_ends_its_process_with_the_place_it_stood_at() -> None:
    done = played("def stands_still():\n    time.sleep(50)\nstands_still()")
    assert done.returncode == EXIT
    assert "the event loop has stood still for 1 s" in done.stderr
    assert "in stands_still" in done.stderr


def test_a_loop_that_comes_round_lives_and_so_does_one_that_has_ended() -> None:
    done = played("await asyncio.sleep(2.0)")
    assert (done.returncode, done.stdout) == (0, "lived\n")


def test_a_process_that_was_paused_as_a_whole_goes_on() -> None:
    """A machine that was saved and woke again has done nothing wrong."""
    body = "print('running', flush=True)\nfor _ in range(30):\n    await asyncio.sleep(0.1)"
    with subprocess.Popen(program_of(body), stdout=subprocess.PIPE, text=True) as paused:
        assert paused.stdout is not None
        assert paused.stdout.readline() == "running\n"
        os.kill(paused.pid, signal.SIGSTOP)
        time.sleep(2.5)
        os.kill(paused.pid, signal.SIGCONT)
        assert paused.stdout.read() == "lived\n"
