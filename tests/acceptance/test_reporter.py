"""The daily mail of a real installation: once per day, whatever happened in the night."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from core.cli import main
from core.cli.scene import free_ports
from core.reporter import Reporter
from tests.flows.house import ENV, House, house

BERLIN = ZoneInfo("Europe/Berlin")


class Letterbox:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return "250 kept"


Post = Callable[[int], Letterbox]


@pytest.fixture
def post() -> Iterator[Post]:
    """Opens the letterbox at a port, not before somebody calls it."""
    running: list[Controller] = []

    def start(port: int) -> Letterbox:
        box = Letterbox()
        running.append(Controller(box, hostname="127.0.0.1", port=port))
        running[-1].start()
        return box

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)


def letters_go_to(h: House, port: int) -> Path:
    """The child reads the configuration from the disk, as it is now."""
    path = h.folder / "config.yaml"
    path.write_text(path.read_text().replace("port: 2525", f"port: {port}"))
    return path


def at(h: House, local: str) -> None:
    """The clock of the house goes on to this time of Berlin."""
    then = datetime.fromisoformat(local).replace(tzinfo=BERLIN).astimezone(UTC)
    h.clock.advance((then - h.clock.now()).total_seconds())


def row_of(h: House, day: str) -> sqlite3.Row | None:
    rows = h.rows("SELECT * FROM reports WHERE day = ?", day)
    return rows[0] if rows else None


async def test_a_mail_that_did_not_go_is_tried_again_and_goes_once(
    tmp_path: Path, post: Post
) -> None:
    async with house(tmp_path) as h:
        [port] = free_ports(1)
        letters_go_to(h, port)
        reporter = Reporter(h.app)
        await reporter.send_if_due()  # nobody listens
        row = row_of(h, "2026-11-24")
        assert row is not None
        assert (row["state"], row["attempts"]) == ("failed", 1)
        assert f"127.0.0.1:{port} cannot be reached" in row["words"]
        assert reporter.due() is None  # not every thirty seconds
        h.clock.advance(601)
        assert reporter.due() == date(2026, 11, 24)
        box = post(port)
        await reporter.send_if_due()
        row = row_of(h, "2026-11-24")
        assert row is not None
        assert (row["state"], row["attempts"]) == ("sent", 2)
        assert row["message_id"].encode() in box.mails[0]
        h.clock.advance(3600)
        await reporter.send_if_due()
        assert len(box.mails) == 1


async def test_a_mail_whose_sender_was_killed_says_so(
    tmp_path: Path, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as h:
        [port] = free_ports(1)
        letters_go_to(h, port)
        post(port)
        monkeypatch.setenv("TRUECOUNT_CRASH_AT", "mail.connecting")  # of the child alone
        await Reporter(h.app).send_if_due()
        row = row_of(h, "2026-11-24")
        assert row is not None
        assert (row["state"], row["words"]) == (
            "failed",
            "the process that sends it was killed by signal 9",
        )


async def test_a_daemon_that_stops_takes_its_sending_child_along(tmp_path: Path) -> None:
    """It went on as an orphan once, and mailed for a daemon that was gone."""
    called, hung_up = asyncio.Event(), asyncio.Event()

    async def never_says_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(never_says_hello, "127.0.0.1", 0)
    async with server, house(tmp_path) as h:
        letters_go_to(h, server.sockets[0].getsockname()[1])
        reporter = Reporter(h.app)
        sending = asyncio.create_task(reporter.send_if_due())
        async with asyncio.timeout(20):
            await called.wait()
            sending.cancel()
            await sending
            await hung_up.wait()
        row = row_of(h, "2026-11-24")
        assert row is not None
        assert row["state"] == "sending"
        h.clock.advance(601)
        assert reporter.due() == date(2026, 11, 24)


async def test_a_day_without_a_mail_is_made_up_for_oldest_first(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        reporter = Reporter(h.app)

        async def sent(day: date) -> None:
            await reporter._remember(day, state="sent", words="accepted", mail="<x>")

        await sent(date(2026, 11, 24))
        at(h, "2026-11-28T07:00:00")  # down for three days, and not yet half past seven
        made_up = []
        while (day := reporter.due()) is not None:
            made_up.append(day.day)
            await sent(day)
        assert made_up == [25, 26]
        at(h, "2026-11-28T07:30:00")
        assert reporter.due() == date(2026, 11, 27)


async def test_a_day_that_failed_is_not_forgotten_when_the_next_one_goes(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        reporter = Reporter(h.app)
        await reporter._remember(date(2026, 11, 24), state="failed", words="no")
        at(h, "2026-11-26T08:00:00")
        assert reporter.due() == date(2026, 11, 24)
        await reporter._remember(date(2026, 11, 25), state="sent", words="accepted", mail="<x>")
        assert reporter.due() == date(2026, 11, 24)


@pytest.mark.parametrize(
    ("day", "hours"), [("2027-03-28", 23), ("2027-10-31", 25), ("2027-06-01", 24)]
)
async def test_h39_one_mail_per_local_day_also_when_the_clock_changes(
    tmp_path: Path, day: str, hours: int
) -> None:
    """Half past seven of the company's clock, on days of 23, 24 and 25 hours."""
    async with house(tmp_path) as h:
        reporter = Reporter(h.app)
        that = date.fromisoformat(day)
        for one in range(9, 1, -1):
            earlier = that - timedelta(days=one)
            await reporter._remember(earlier, state="sent", words="accepted", mail="<x>")
        at(h, f"{day}T07:29:59")
        assert reporter.due() is None
        at(h, f"{day}T07:30:00")
        assert reporter.due() == that - timedelta(days=1)
        await reporter._remember(that - timedelta(days=1), state="sent", words="a", mail="<x>")
        before = h.clock.now()
        at(h, f"{that + timedelta(days=1)}T07:29:59")
        assert reporter.due() is None
        h.clock.advance(1)
        assert reporter.due() == that
        assert (h.clock.now() - before).total_seconds() == 24 * 3600  # the change was at night
        midnight = datetime.combine(that, datetime.min.time(), BERLIN).astimezone(UTC)
        after = datetime.combine(that + timedelta(days=1), datetime.min.time(), BERLIN)
        assert (after.astimezone(UTC) - midnight).total_seconds() == hours * 3600


async def test_the_mail_waits_for_late_events_after_midnight(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.stop()
        path = h.folder / "config.yaml"
        text = path.read_text()
        path.write_text(text.replace("report:\n", 'report:\n  at: "00:05"\n  settle: 45m\n'))
        await h.start()
        reporter = Reporter(h.app)
        await reporter._remember(date(2026, 11, 24), state="sent", words="a", mail="<x>")
        at(h, "2026-11-26T00:44:59")
        assert reporter.due() is None
        at(h, "2026-11-26T00:45:00")
        assert reporter.due() == date(2026, 11, 25)


async def test_report_send_says_who_took_it(
    tmp_path: Path, post: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path) as h:
        [port] = free_ports(1)
        config = str(letters_go_to(h, port))
        box = post(port)
        ids = []
        for _ in range(2):  # the same company and day: a copy that is known as one
            assert main(["report", "--config", config, "--date", "2026-11-24", "--send"]) == 0
            ids.append(capsys.readouterr().out.split(" ", 1))
        assert ids[0] == ids[1]
        assert ids[0][1] == "accepted by 127.0.0.1\n"
        assert ids[0][0].startswith("<truecount-2026-11-24-")
        assert len(box.mails) == 2
        assert main(["report", "--config", config, "--date", "2026-11-23", "--send"]) == 0
        assert capsys.readouterr().out.split(" ")[0] != ids[0][0]
