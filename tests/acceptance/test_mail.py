"""The morning mail, received by a real SMTP server and rendered by a real browser."""

from __future__ import annotations

import csv
import email.policy
import io
import shutil
import socket
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from email.parser import BytesParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from core import mailer, report, report_differences
from core.config_types import Smtp
from core.errors import InDoubt, Rejected, Retry
from core.reconcile import Difference, Reconciliation

BAD_NAME = "Acme\r\nBcc: thief@example.com <img src=x onerror=alert(1)>"


def a_day(**changes: object) -> Reconciliation:
    """A busy day: every kind of difference, a hold, an oversold SKU, an unread system."""
    made = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
    found = Reconciliation(
        company="Acme Outdoor",
        zone=ZoneInfo("America/New_York"),
        currency="USD",
        captured_before=498,
        day=date(2026, 11, 24),
        made_at=made,
        as_of=[
            {"system": s, "resource": r, "as_of": "2026-11-25T06:28:01.000000Z", "rows": n}
            for s, r, n in (("webshop", "order", 412), ("warehouse", "stock_reading", 1830))
        ],
        not_checked=["document of books: last read 2026-11-24T21:00:00Z (books does not answer)"],
        orders=[
            {"channel": "webshop", "captured": 412, "booked": 409, "released": 401,
             "shipped": 377, "cancelled": 4, "held": 7},
            {"channel": "marketplace", "captured": 128, "booked": 128, "released": 126,
             "shipped": 120, "cancelled": 1, "held": 1},
        ],
        roll_forward={"opening": 38, "new": 540, "shipped": 497, "cancelled": 5, "closing": 76},
        money=[
            {"channel": "webshop", "currency": "USD", "ledger": "books", "captured": 2_114_380,
             "channel_tax": 0, "channel_tax_shipped": 0, "sales_orders": 2_101_900,
             "shipped": 1_990_100, "invoiced": 1_990_100, "cost": 902_000,
             "tie_out": "in_flight"},
            {"channel": "marketplace", "currency": "USD", "ledger": "books",
             "captured": 845_112, "channel_tax": 61_004, "channel_tax_shipped": 57_190,
             "sales_orders": 784_108, "shipped": 792_300, "invoiced": 735_110,
             "cost": 331_000, "tie_out": "ties"},
        ],
        differences=[
            Difference(what="stock shown on webshop", key="=HYPERLINK(\"x\")",
                       cause="changed_there", detail="it acknowledged 4 and shows 6", units=2,
                       since="2026-11-25T03:10:00.000000Z"),
            Difference(what="stock shown on marketplace", key="LAMP", cause="rejected_write",
                       detail="quantity is required", units=-3),
            Difference(what="sales order in books", key="webshop:#1042", cause="command_on_its_way",
                       detail="book order is waiting: books does not answer", minor=12_480,
                       currency="USD", since="2026-11-25T06:12:00.000000Z"),
        ],
        stock_checked=3660,
        needs_you=[
            {"id": 1, "system": "webshop", "cause": "mapping:…", "members": 6,
             "reason": 'payment "KLARNA_LATER" is not in choices.payment',
             "next_step": "Add the word to mappings/shopify/order.yaml, line 58.",
             "since": "2026-11-25T01:10:00.000000Z", "at_stake": {"EUR": 4_100, "USD": 12_480},
             "due": "2026-11-25T20:00:00.000000Z", "assignee": "Ann", "note": "asked Bob Buyer",
             "snoozed": None},
        ],
        oversold=[
            {"sku": "LAMP", "location": "east", "units": 1,
             "orders": ["marketplace:114-3941689-8772232"]}
        ],
        leave_soon=[
            {"order": "webshop:#1029", "ship_by": "2026-11-25T01:00:00.000000Z",
             "state": "released", "overdue": True},
            {"order": "marketplace:114-3941689-8772232",
             "ship_by": "2026-11-25T20:00:00.000000Z", "state": "held", "overdue": False},
        ],
        release_s={"half": 0.4, "p95": 6.1, "longest": 1260.0},
        waits=[
            {"id": 3, "system": "webshop", "cause": "payment:pending:webshop", "members": 9,
             "reason": "the channel says the payment is pending", "next_step": "Nothing to do.",
             "since": "2026-11-24T10:10:00.000000Z"},
        ],
        arrivals={"webshop": {"received": 901, "applied": 880, "held": 6, "ignored": 15,
                              "pending": 0, "duplicates": 44}},
        commands=[{"system": "books", "kind": "book_order", "asked": 540, "attempts": 551,
                   "done": 537, "dead": 0}],
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


class Box:
    """Keeps what it is given, or behaves as badly as it is told to."""

    def __init__(self, at_rcpt: str = "", at_data: str = "250 kept") -> None:
        self.mails: list[bytes] = []
        self._at_rcpt = at_rcpt
        self._at_data = at_data

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._at_rcpt:
            return self._at_rcpt
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return self._at_data


@pytest.fixture
def serve() -> Iterator[object]:
    running: list[Controller] = []

    def start(box: Box) -> Smtp:
        controller = Controller(box, hostname="127.0.0.1", port=0)
        # aiosmtpd probes its own port before it is known when 0 is asked for.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            controller.port = probe.getsockname()[1]
        controller.start()
        running.append(controller)
        return smtp(controller.port)

    yield start
    for controller in running:
        controller.stop()


def smtp(port: int, tls: str = "none") -> Smtp:
    return Smtp(host="127.0.0.1", port=port, tls=tls, user="", password=None)  # type: ignore[arg-type]


def the_mail(found: Reconciliation | None = None):  # type: ignore[no-untyped-def]
    return report.message(
        found or a_day(), sender="truecount@acme.example", recipients=("owner@acme.example",)
    )


def test_a_real_server_receives_text_html_and_csv(serve) -> None:  # type: ignore[no-untyped-def]
    box = Box()
    words = mailer.send(the_mail(), serve(box))
    assert words.startswith("accepted by 127.0.0.1")
    got = BytesParser(policy=email.policy.default).parsebytes(box.mails[0])
    assert got["Subject"] == (
        "[Truecount] Acme Outdoor 2026-11-24 | ATTENTION 5 | "
        "unexplained: 0.00 USD, 2 units | oversold 1"
    )
    kinds = [part.get_content_type() for part in got.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "text/csv"]
    assert got["Message-ID"] == the_mail()["Message-ID"]


def test_a_greylisting_server_is_asked_again_later(serve) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Retry):
        mailer.send(the_mail(), serve(Box(at_rcpt="451 4.7.1 try again in five minutes")))


def test_a_server_that_refuses_for_good_is_not_asked_again(serve) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Rejected):
        mailer.send(the_mail(), serve(Box(at_rcpt="550 no such user")))


def test_without_the_tls_that_was_asked_for_nothing_is_sent(serve) -> None:  # type: ignore[no-untyped-def]
    box = Box()
    where = serve(box)
    with pytest.raises(Rejected, match="offers no starttls"):
        mailer.send(the_mail(), replace(where, tls="starttls"))
    assert box.mails == []


def test_nobody_listening_is_a_retry() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(Retry, match="cannot be reached"):
            mailer.send(the_mail(), smtp(probe.getsockname()[1]))


def test_a_line_that_breaks_after_data_is_in_doubt() -> None:
    """It may have gone; the Message-ID by company and day tells the copy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_hang_up_after_data, args=(server,))
        thread.start()
        with pytest.raises(InDoubt):
            mailer.send(the_mail(), smtp(server.getsockname()[1]))
        thread.join(5)


def _hang_up_after_data(server: socket.socket) -> None:
    line, _ = server.accept()
    with line, line.makefile("rb") as heard:
        line.sendall(b"220 hello\r\n")
        for command in heard:
            if command.upper().startswith(b"DATA"):
                line.sendall(b"354 go on\r\n")
                heard.readline()
                return
            line.sendall(b"250 ok\r\n")


def test_what_a_server_says_after_it_took_the_mail_unsends_nothing(serve) -> None:  # type: ignore[no-untyped-def]
    """A 421 to our QUIT was a failed mail once, and the next try a second copy."""

    class Rude(Box):
        async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            return "421 too many clients"

    box = Rude()
    assert mailer.send(the_mail(), serve(box)) == "accepted by 127.0.0.1"
    assert len(box.mails) == 1


def test_one_refused_recipient_of_two_is_said(serve) -> None:  # type: ignore[no-untyped-def]
    class Picky(Box):
        async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope,
                              address: str, options: list[str]) -> str:  # fmt: skip
            if address.startswith("gone@"):
                return "550 5.1.1 <gone@acme.example> is unknown"
            envelope.rcpt_tos.append(address)
            return "250 ok"

    mail = report.message(
        a_day(), sender="t@acme.example", recipients=("owner@acme.example", "gone@acme.example")
    )
    box = Picky()
    words = mailer.send(mail, serve(box))
    assert words == "accepted by 127.0.0.1; refused: 550 5.1.1 <***> is unknown"
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [("451 4.3.0 disk full", Retry), ("554 5.7.1 looks like spam", Rejected)]
)
def test_a_mail_refused_after_data_surely_did_not_go(serve, code: str, kind: type) -> None:  # type: ignore[no-untyped-def,type-arg]
    with pytest.raises(kind, match=code):
        mailer.send(the_mail(), serve(Box(at_data=code)))


def test_t20_t18_a_company_with_a_nasty_name_harms_nobody() -> None:
    found = a_day(company=BAD_NAME)
    mail = the_mail(found)
    assert "Bcc" not in mail
    assert "\n" not in str(mail["Subject"])
    assert "<img" not in report.as_html(found)


NASTY = '"><script>alert(1)</script><img src=http://x.example/p.png onerror=alert(2)>'


def test_t18_t22_words_of_others_are_text_wherever_they_stand() -> None:
    """A SKU, an error of a vendor, an order number: all of them may be a try."""
    day = a_day()
    found = a_day(
        differences=[replace(d, key=NASTY, detail=NASTY, what=NASTY) for d in day.differences],
        not_checked=[NASTY],
        needs_you=[row | {"reason": NASTY, "next_step": NASTY} for row in day.needs_you],
        waits=[row | {"reason": NASTY} for row in day.waits],
        oversold=[row | {"sku": NASTY, "orders": [NASTY]} for row in day.oversold],
        leave_soon=[row | {"order": NASTY, "state": NASTY} for row in day.leave_soon],
        as_of=[row | {"system": NASTY} for row in day.as_of],
        orders=[row | {"channel": NASTY} for row in day.orders],
        arrivals={NASTY: next(iter(day.arrivals.values()))},
    )
    page = report.as_html(found)
    for tag in ("<script", "<img", "<a ", "<link", "<iframe", "<svg", "url("):
        assert tag not in page
    assert "&lt;script&gt;" in page


def test_a_word_of_a_vendor_cannot_begin_a_line_of_the_text() -> None:
    found = a_day(not_checked=["order of webshop\r\n\nDO TODAY\n\n  Nothing needs you.\x07"])
    lines = report.as_text(found).splitlines()
    assert lines.count("DO TODAY") == 1
    assert "  Nothing needs you." not in lines
    assert "\x07" not in report.as_text(found)


STARTERS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\tx", "\r=1", "\n=1", "\0=1", "\uff1d1", "\uff0b1"]


@pytest.mark.parametrize("start", STARTERS)
def test_t21_no_text_of_the_csv_is_a_formula(start: str) -> None:
    day = a_day()
    evil = replace(day.differences[0], key=start, what=start, detail=start)
    [row] = csv.DictReader(
        io.StringIO(report_differences.as_csv(a_day(differences=[evil])), newline="")
    )
    assert row["key"][0] == row["what"][0] == row["detail"][0] == "'"
    assert "\0" not in row["key"]


def test_t21_no_cell_of_the_csv_is_a_formula() -> None:
    assert "'=HYPERLINK" in report_differences.as_csv(a_day())
    assert ",-3," in report_differences.as_csv(a_day())  # a real negative number stays a number


def test_every_difference_keeps_its_id_from_day_to_day() -> None:
    one = a_day().differences[0]
    assert one.id == replace(one, cause="orders_not_read", detail="other words", units=7).id
    assert one.id in report_differences.as_csv(a_day())
    assert len({d.id for d in a_day().differences}) == 3


def test_the_same_reconciliation_makes_the_same_bytes() -> None:
    assert report.as_html(a_day()) == report.as_html(a_day())
    assert report.as_text(a_day()) == report.as_text(a_day())
    assert the_mail().as_bytes() == the_mail().as_bytes()  # the boundaries too


def test_the_text_fits_eighty_columns() -> None:
    lines = report.as_text(a_day()).splitlines()
    assert max(len(line) for line in lines) <= 80
    [sold] = [line for line in lines if line.lstrip().startswith("webshop USD")]
    assert sold.split()[2:] == ["21,143.80", "0.00", "21,019.00", "19,901.00", "19,901.00",
                                "9,020.00", "in"]  # fmt: skip


def test_a_table_too_wide_for_eighty_columns_goes_downwards() -> None:
    day = a_day()
    large = [
        row | dict.fromkeys(("captured", "sales_orders", "shipped"), 98765432100)
        for row in day.money
    ]
    text = report.as_text(a_day(money=large))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "    sold            987,654,321.00\n" in text


def test_a_quiet_day_is_evidence_too() -> None:
    found = a_day(
        not_checked=[], differences=[], needs_you=[], oversold=[], leave_soon=[], waits=[]
    )
    assert (found.verdict, found.attention) == ("BALANCED", 0)
    text = report.as_text(found)
    assert "BALANCED: every copy agrees with its owner." in text
    assert "Nothing needs you." in text
    assert "| BALANCED | unexplained: 0.00 USD, 0 units | oversold 0" in report.subject(found)


def test_what_only_waits_for_the_channel_is_no_alarm() -> None:
    found = a_day(not_checked=[], differences=[], needs_you=[], oversold=[], leave_soon=[])
    assert (found.verdict, found.attention) == ("IN FLIGHT", 0)


def test_t22_the_html_fetches_nothing() -> None:
    page = report.as_html(a_day())
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page


@pytest.mark.real
def test_a_real_browser_draws_the_mail(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser here: `make browser` installs Debian's chromium where it may")
    page, picture = tmp_path / "mail.html", tmp_path / "mail.png"
    page.write_text(report.as_html(a_day()), encoding="utf-8")
    subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={picture}", "--window-size=1000,1500", page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=90,
    )  # fmt: skip
    assert _colors(picture) > 50, "the picture is blank"


def _colors(picture: Path) -> int:
    """How many different bytes the decoded rows have: a blank page has a handful."""
    data, at, packed = picture.read_bytes(), 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    return len(set(zlib.decompress(packed)))
