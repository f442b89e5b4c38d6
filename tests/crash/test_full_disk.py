"""G13, H3: no room. Nothing is acknowledged, nothing is lost, and it goes on when there is room.

The kernel refuses every write of the daemon's process beyond a size (RLIMIT_FSIZE), its
log included, as a full disk does; the limit is taken off again while the process lives.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import httpx
import pytest

from tests.crash.installation import Installation, until
from tests.crash.killing import Killing
from tests.crash.play import TEA, Play

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process that runs"),
]
ENDLESS = resource.RLIM_INFINITY


def room(own: Installation, size: int) -> None:
    assert own.daemon is not None
    resource.prlimit(own.daemon.pid, resource.RLIMIT_FSIZE, (size, ENDLESS))


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(0, id="no byte", marks=pytest.mark.long),
        pytest.param(40_000, id="the beginning of each file"),
    ],
)
def test_h3_a_full_disk_is_503_and_nothing_is_lost(tmp_path: Path, size: int) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        own.start()
        until("the daemon is ready", own.ready)
        assert own.daemon is not None
        pid = own.daemon.pid
        room(own, size)

        refused: list[httpx.Response] = []
        own.http.event_hooks["response"] = [
            lambda answer: refused.append(answer) if answer.status_code == 503 else None
        ]
        killing.days.append(day := Play(own))
        until("a push is refused", lambda: day.advance() or refused)
        own.http.event_hooks["response"] = []
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        # Bought meanwhile where nobody pushes: read later, for nothing could be kept now.
        own.remote("market", "place_order", sku=TEA, quantity=1, payment="pending")
        kept = {row[0] for row in own.rows("SELECT identity FROM inbox")}
        assert day.acknowledged() <= kept

        room(own, ENDLESS)
        assert own.alive
        assert own.daemon.pid == pid
        own.remote("market", "cancel", order=own.remote("market", "orders")[-1]["id"])
        killing.recover("a full disk")


def test_h3_no_room_at_the_start_is_said_and_changes_nothing(tmp_path: Path) -> None:
    with Installation(tmp_path / "a") as own:
        killing = Killing(own)
        killing.open()
        killing.days.append(Play(own))
        refused = own.verb_with_room(0, "run")
        assert refused.returncode == 2
        assert "could not be written" in refused.stderr
        assert "Make room on it and start again; nothing was lost." in refused.stderr
        own.start()
        killing.recover("a start without room")
