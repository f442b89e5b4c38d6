"""G9: a system that can neither tell a duplicate nor be asked gets a command at most once.

Killed in the middle of such a command nobody can know, so it is a person's: held, with
what to do. That is the documented behavior, and all that is possible.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.installation import Installation, until
from tests.crash.killing import DIED, Killing
from tests.crash.play import TEA

pytestmark = pytest.mark.whole
DEAD = "SELECT id, words FROM outbox WHERE system = 'books' AND state = 'dead'"


def passes(own: Installation) -> list[tuple[object, ...]]:
    return own.rows(
        "SELECT complete_at FROM cursors WHERE system = 'market' AND resource = 'order'"
    )


@pytest.mark.parametrize(
    ("at", "booked"),
    [("outbox.sent@books", 1), pytest.param("outbox.begun@books", 0, marks=pytest.mark.long)],
)
def test_g9_killed_in_the_middle_of_it_it_is_asked_about_and_not_sent_again(
    tmp_path: Path, at: str, booked: int
) -> None:
    with Installation(tmp_path / "a", ledger="crash_blind") as own:
        Killing(own).open()
        own.start(at)
        order = own.remote("market", "place_order", sku=TEA, quantity=1)
        until("it dies", lambda: not own.alive)
        assert own.ended() == DIED
        own.start()
        until("the command is a person's", lambda: own.ready() and own.rows(DEAD))
        before = passes(own)
        until("a pass went by", lambda: passes(own) != before)
        assert len(own.remote("books", "documents")) == booked
        ((number, words),) = own.rows(DEAD)
        assert "in doubt, and books offers no lookup" in words
        ((reason, next_step),) = own.rows(
            "SELECT reason, next_step FROM holds WHERE closed_at IS NULL"
        )
        assert order["id"] in reason or "books" in reason
        assert next_step

        if not booked:  # the bookkeeper looked: it is not there
            assert own.verb("retry", str(number)).returncode == 0
            until("it is booked", lambda: own.remote("books", "documents"))
            until("and known", lambda: not own.rows(DEAD))
            assert len(own.remote("books", "documents")) == 1
        assert own.stop() == 0
