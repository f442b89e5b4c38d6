"""The morning mail: what is said in it, once, for text and HTML alike.

Never empty: an "all balanced" mail is evidence. No buyer is in it, only order
numbers, quantities and amounts. The same reconciliation makes the same bytes.
`core.layout` makes text, HTML and CSV of it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from core import exceptions, layout, report_differences, report_money, report_reliability
from core.clock import stamp
from core.layout import Bar, Section, Tile
from core.reconcile import Reconciliation
from core.report_words import NUMBERS, ROWS_MAX, age, clock, left, plain, seconds

TODAY_MAX = 10
SOON_MAX = 10


def subject(found: Reconciliation) -> str:
    units = report_differences.open_units(found)
    money = report_differences.unexplained_money(found)
    verdict = found.verdict
    if verdict == "ATTENTION":
        verdict = f"{verdict} {found.attention}"
    sent = "nothing is sent | " if found.plan_words else ""
    return (
        f"[Truecount] {plain(found.company)} {found.day} | {sent}{verdict} | "
        f"unexplained: {money}, {units} units | oversold {_oversold(found)}"
    )


def _oversold(found: Reconciliation) -> int:
    return sum(int(row["units"]) for row in found.oversold)


# ------------------------------------------------------------------ the sections


def sections(found: Reconciliation) -> list[Section]:
    """The mail's content, in the order of what matters at eight in the morning."""
    made = [
        _verdict(found),
        _do_today(found),
        _leave_soon(found),
        _deadlines(found),
        _orders(found),
        *report_money.sections(found),
        report_money.refunds(found),
        report_differences.causes(found),
        report_differences.section(found),
        _returns(found),
        _waits(found),
        _snoozed(found),
        _stopped(found),
        report_reliability.coverage(found),
        report_reliability.excluded(found),
        report_reliability.arrivals(found),
        report_reliability.drifts(found),
        report_reliability.commands(found),
        report_reliability.outages(found),
    ]
    return [section for section in made if section is not None]


def _verdict(found: Reconciliation) -> Section:
    by_kind = {
        kind: sum(1 for one in found.differences if one.kind == kind)
        for kind in ("unexplained", "explained", "in_flight")
    }
    if found.verdict == "ATTENTION":
        things = (
            "1 thing needs you" if found.attention == 1 else f"{found.attention} things need you"
        )
        first = f"ATTENTION: {things}."
    elif found.verdict == "IN FLIGHT":
        first = "IN FLIGHT: nothing needs you; what differs is on its way or waits by itself."
    else:
        first = "BALANCED: every copy agrees with its owner."
    second = (
        f"{by_kind['unexplained']} unexplained, {by_kind['explained']} explained, "
        f"{by_kind['in_flight']} in flight; {found.stock_checked} stock numbers compared."
    )
    if found.snoozed:
        second += f" {len(found.snoozed)} put off, listed below."
    title = f"{found.company}, {found.day:%A} {found.day.day} {found.day:%B %Y}"
    words: tuple[str, ...] = (first, second)
    if found.plan_words:
        title = f"NOTHING IS SENT (mode: plan). {title}"
        words = (f"{found.plan_words} `truecount plan` lists what would be.", *words)
    return Section(
        title=title,
        words=words,
        alarm=found.verdict == "ATTENTION",
        tiles=_tiles(found),
    )


def _tiles(found: Reconciliation) -> tuple[Tile, ...]:
    captured = sum(row["captured"] for row in found.orders)
    shipped = sum(row["shipped"] for row in found.orders)
    short = _oversold(found)
    before = ""
    if found.captured_before is not None:
        before = f"{found.captured_before:,} the day before"
    return (
        Tile("orders", f"{captured:,}", before),
        Tile("sold", report_money.sold(found), "as the channels say"),
        Tile("shipped", f"{shipped:,}", f"of {captured:,} so far"),
        Tile(
            "unexplained",
            *report_differences.unexplained_words(found),
            alarm=bool(found.unexplained),
        ),
        Tile("oversold", f"{short:,}", "units", alarm=bool(short)),
    )


def _do_today(found: Reconciliation) -> Section:
    rows = [*_blind_spots(found), *_oversold_rows(found), *_overdue(found)]
    rows += report_differences.unexplained_rows(found)
    rows += [
        (
            str(row["members"]),
            age(found, row["since"]),
            _reason(row) + _stake(found, row),
            f"{row['next_step']} Details: truecount holds {row['id']}",
        )
        for row in found.needs_you
    ]
    if not rows:
        return Section(title="Do today", words=("Nothing needs you.",))
    more = len(rows) - TODAY_MAX
    return Section(
        title="Do today",
        words=(f"The first {TODAY_MAX} of {len(rows)}; `truecount holds` has the rest.",)
        if more > 0
        else (),
        columns=("count", "since", "what", "what to do"),
        rows=tuple(rows[:TODAY_MAX]),
        numbers=frozenset({0, 1}),
        alarm=True,
    )


def _reason(row: dict[str, Any]) -> str:
    """Without the words of a refused command: a system may repeat the buyer in them."""
    reason = str(row["reason"])
    return reason.partition(": ")[0] if row["cause"].startswith("refused:") else reason


def _stake(found: Reconciliation, row: dict[str, Any]) -> str:
    """What it costs, until when, and who is on it. Not the note: it may name a buyer."""
    said = []
    if row["at_stake"]:
        said.append(f"at stake {exceptions.at_stake(row)}")
    if row["due"]:
        said.append(f"first due {clock(found, row['due'])}")
    if row["assignee"]:
        said.append(f"{plain(row['assignee'])} is on it")
    return f" ({'; '.join(said)})" if said else ""


def _blind_spots(found: Reconciliation) -> list[tuple[str, ...]]:
    if not found.not_checked:
        return []
    return [
        (
            str(len(found.not_checked)),
            "",
            f"NOT CHECKED: {'; '.join(found.not_checked[:3])}"
            + ("; …" if len(found.not_checked) > 3 else ""),
            "See whether the system answers: truecount doctor",
        )
    ]


def _oversold_rows(found: Reconciliation) -> list[tuple[str, ...]]:
    return [
        (
            str(row["units"]),
            "now",
            f"{row['sku']} is oversold at {row['location']}; in danger: "
            + (", ".join(row.get("orders", [])[:5]) or "no open order"),
            f"Another location, wait, or cancel. Details: truecount why {row['sku']}",
        )
        for row in found.oversold
    ]


def _overdue(found: Reconciliation) -> list[tuple[str, ...]]:
    late = found.overdue
    if not late:
        return []
    names = ", ".join(row["order"] for row in late[:5]) + (", …" if len(late) > 5 else "")
    return [
        (
            str(len(late)),
            age(found, late[0]["ship_by"]),
            f"past the channel's ship-by time: {names}",
            f"Ship or cancel. Details: truecount trace {late[0]['order']}",
        )
    ]


def _leave_soon(found: Reconciliation) -> Section | None:
    if not found.leave_soon:
        return None
    rows = tuple(
        (
            row["order"],
            clock(found, row["ship_by"]),
            "OVERDUE" if row["overdue"] else left(found, row["ship_by"]),
            row["state"],
        )
        for row in found.leave_soon[:SOON_MAX]
    )
    more = len(found.leave_soon) - len(rows)
    return Section(
        title="Must leave within a day",
        words=(f"{more} more.",) if more > 0 else (),
        columns=("order", "ship by", "time left", "state"),
        rows=rows,
        alarm=any(row["overdue"] for row in found.leave_soon),
        toned=2,
    )


def _deadlines(found: Reconciliation) -> Section | None:
    """How close we run to what channels want by when."""
    if not found.deadlines:
        return None
    rows = tuple(
        (
            row["system"],
            row["kind"].replace("_", " "),
            f"{row['overdue']:,}",
            f"{row['due_24h']:,}",
            f"{row['missed']:,}",
            *(
                _left_over(row[f"{which}_left_s"]) if row["came"] else ""
                for which in ("least", "median")
            ),
        )
        for row in found.deadlines
    )
    return Section(
        title="Deadlines",
        words=("Missed, and time left when it was done: of the last 24 hours.",),
        columns=("from", "kind", "overdue", "due in 24 h", "missed", "least left", "median left"),
        rows=rows,
        numbers=frozenset({2, 3, 4}),
    )


def _left_over(time_s: float) -> str:
    return seconds(time_s, least="min") if time_s >= 0 else f"{seconds(-time_s)} late"


def _orders(found: Reconciliation) -> Section:
    names = ("captured", "booked", "released", "shipped", "cancelled", "held")
    rows = tuple((row["channel"], *(f"{row[name]:,}" for name in names)) for row in found.orders)
    roll = found.roll_forward
    words = [
        f"Open orders: {roll['opening']:,} + {roll['new']:,} new - {roll['shipped']:,} shipped "
        f"- {roll['cancelled']:,} cancelled = {roll['closing']:,}."
    ]
    if found.release_s:
        words.append(
            f"From capture to the warehouse: half within {seconds(found.release_s['half'])}, "
            f"19 of 20 within {seconds(found.release_s['p95'])}, the slowest "
            f"{seconds(found.release_s['longest'])}."
        )
    return Section(
        title="Orders",
        words=tuple(words),
        columns=("channel", *names),
        rows=rows,
        numbers=NUMBERS,
        bars=tuple(_bar(row) for row in found.orders),
    )


def _bar(row: dict[str, Any]) -> Bar:
    """How far the day's orders of one channel got."""
    shipped, cancelled, held = row["shipped"], row["cancelled"], row["held"]
    under_way = max(0, row["captured"] - shipped - cancelled - held)
    return Bar(
        parts=(
            ("shipped", shipped),
            ("under way", under_way),
            ("held", held),
            ("cancelled", cancelled),
        )
    )


def _returns(found: Reconciliation) -> Section | None:
    """What is missing of open returns, and of how many; not there where none is open."""
    if not found.returns:
        return None
    rows = tuple(
        (
            f"{row['count']:,}",
            age(found, row["since"]),
            row["what"],
            ", ".join(row["orders"][:5]) + (", …" if len(row["orders"]) > 5 else ""),
        )
        for row in found.returns
    )
    return Section(
        title="Returns",
        words=("`truecount returns` has each with its units.",),
        columns=("count", "oldest", "what", "orders"),
        rows=rows,
        numbers=frozenset({0, 1}),
    )


def _waits(found: Reconciliation) -> Section | None:
    if not found.waits:
        return None
    rows = tuple(
        (str(row["members"]), age(found, row["since"]), row["reason"]) for row in found.waits
    )
    return Section(
        title="Waits by itself",
        words=("These orders go on when the channel says so. Nobody has to do anything.",),
        columns=("count", "since", "what"),
        rows=rows[:TODAY_MAX],
        numbers=frozenset({0, 1}),
    )


def _snoozed(found: Reconciliation) -> Section | None:
    """They do not alarm, and are counted: what was put off is not gone."""
    if not found.snoozed:
        return None
    rows = tuple(
        (
            str(row["members"]),
            age(found, row["since"]),
            clock(found, row["snoozed"]),
            _reason(row) + _stake(found, row),
        )
        for row in found.snoozed[:ROWS_MAX]
    )
    return Section(
        title="Put off",
        words=("These come back by themselves. `truecount holds ID` has them now.",),
        columns=("count", "since", "until", "what"),
        rows=rows,
        numbers=frozenset({0, 1}),
    )


def _stopped(found: Reconciliation) -> Section | None:
    """A stop that is forgotten is a sale lost every day."""
    if not found.stopped:
        return None
    rows = tuple(
        (
            row["sku"],
            row["channel"],
            row["by"],
            clock(found, row["since"]),
            clock(found, row["until"]) if row["until"] else "resumed",
            row["reason"],
        )
        for row in found.stopped[:ROWS_MAX]
    )
    more = len(found.stopped) - len(rows)
    return Section(
        title="Stopped by hand",
        words=(
            "Nobody can buy these there. `truecount resume-sell SKU` ends a stop."
            + (f" {more} more are there." if more > 0 else ""),
        ),
        columns=("SKU", "on", "by", "since", "until", "why"),
        rows=rows,
    )


# ------------------------------------------------------------------ the mail


def report_id(found: Reconciliation) -> str:
    return hashlib.sha256(f"{found.company}|{found.day}".encode()).hexdigest()[:12]


def message_id(found: Reconciliation, domain: str) -> str:
    """By company and day: a second copy of the same mail is recognizable as one."""
    return f"<truecount-{found.day}-{report_id(found)}@{domain}>"


def _footer(found: Reconciliation) -> str:
    made: datetime = found.made_at.astimezone(found.zone)
    return (
        f"Report {report_id(found)}, made {made:%Y-%m-%d %H:%M} {found.zone.key}. "
        "All differences are in the attached CSV."
    )


def as_text(found: Reconciliation) -> str:
    return layout.text(sections(found), _footer(found))


def as_html(found: Reconciliation) -> str:
    return layout.page(sections(found), title=subject(found), footer=_footer(found))


def message(found: Reconciliation, *, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The whole mail. Header words are cleaned first, or one bad name kills it (T20)."""
    mail = EmailMessage()
    mail["Subject"] = subject(found)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Message-ID"] = message_id(found, sender.rpartition("@")[2] or "localhost")
    mail["Date"] = found.made_at
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office answers it
    mail.set_content(as_text(found))
    mail.add_alternative(as_html(found), subtype="html")
    mail.add_attachment(
        report_differences.as_csv(found).encode(
            "utf-8-sig"
        ),  # without the mark a spreadsheet guesses the letters
        maintype="text",
        subtype="csv",
        filename=f"differences-{found.day}.csv",
    )
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"=_truecount-{report_id(found)}-{number}")
    return mail


def as_json(found: Reconciliation) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "subject": subject(found),
        "company": found.company,
        "day": found.day.isoformat(),
        "made_at": stamp(found.made_at),
        "as_of": found.as_of,
        "not_checked": found.not_checked,
        "orders": found.orders,
        "captured_the_day_before": found.captured_before,
        "capture_to_release_s": found.release_s,
        "roll_forward": found.roll_forward,
        "money": found.money,
        "refunds": found.refunds,
        "returns": found.returns,
        "differences": [report_differences.as_json(one) for one in found.differences],
        "excluded": found.excluded,
        "unexplained_roll_forward": found.unexplained_rolled,
        "plan": found.plan_words,
        "needs_you": found.needs_you,
        "snoozed": found.snoozed,
        "waits": found.waits,
        "leave_soon": found.leave_soon,
        "deadlines": found.deadlines,
        "oversold": found.oversold,
        "arrivals": found.arrivals,
        "drifts": found.drifts,
        "outages": found.outages,
        "stopped": found.stopped,
        "commands": found.commands,
    }
