"""H31: two daemons on one state. The second is refused by name, the first does not notice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.crash.installation import Installation, until
from tests.crash.killing import Killing
from tests.crash.play import Play

pytestmark = pytest.mark.whole


def test_h31_the_second_is_refused_and_the_first_is_unhurt(tmp_path: Path) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        killing.days.append(Play(own))
        own.start()
        assert own.daemon is not None
        until("the first is ready", own.ready)
        before = own.rows("SELECT value FROM meta ORDER BY key")

        second = own.verb("run")
        assert second.returncode == 2
        assert f"is in use by process {own.daemon.pid} on " in second.stderr
        assert "two daemons on one state would sell the same units twice" in second.stderr
        restored = own.verb("restore", str(own.state))
        assert restored.returncode == 2
        assert "is in use by process" in restored.stderr

        assert own.rows("SELECT value FROM meta ORDER BY key") == before
        killing.recover("a second daemon")  # the first one's day goes well, and it stops with 0


@pytest.mark.long
def test_h31_of_two_that_start_together_one_lives_and_the_dead_leave_no_lock(
    tmp_path: Path,
) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        own.start()
        first = own.daemon
        assert first is not None
        own.daemon = None
        own.start()
        second = own.daemon
        assert second is not None
        pair: list[subprocess.Popen[bytes]] = [first, second]
        try:
            ended = until("one of them ends", lambda: [p for p in pair if p.poll() is not None])
            (living,) = (process for process in pair if process not in ended)
            until("the other is ready", own.ready)
            assert [process.returncode for process in ended] == [2]
            living.kill()  # what it held is free, or nothing would ever start again
            living.wait()
        finally:
            own.daemon = None
            for process in pair:
                process.kill()
                process.wait()
        killing.days.append(Play(own))
        own.start()
        killing.recover("two daemons")
