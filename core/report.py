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

from core import exceptions, layout
from core.clock import stamp, unstamp
from core.layout import Bar, Section, Tile
from core.money import Money
from core.reconcile import Difference, Reconciliation

#: Rows of one table in the mail; the CSV has them all.
ROWS_MAX = 25
TODAY_MAX = 10
SOON_MAX = 10
_NUMBERS = frozenset(range(1, 12))


def subject(found: Reconciliation) -> str:
    units = sum(abs(one.units) for one in found.unexplained)
    verdict = found.verdict
    if verdict == "ATTENTION":
        verdict = f"{verdict} {found.attention}"
    sent = "nothing is sent | " if found.plan_words else ""
    return (
        f"[Truecount] {_plain(found.company)} {found.day} | {sent}{verdict} | "
        f"unexplained: {_unexplained_money(found)}, {units} units | oversold {_oversold(found)}"
    )


def _oversold(found: Reconciliation) -> int:
    return sum(int(row["units"]) for row in found.oversold)


def _unexplained_money(found: Reconciliation) -> str:
    totals: dict[str, int] = {}
    for one in found.unexplained:
        if one.currency:
            totals[one.currency] = totals.get(one.currency, 0) + abs(one.minor)
    words = " + ".join(str(Money(v, c)) for c, v in sorted(totals.items()) if v)
    return words or str(Money.zero(found.currency))


# ------------------------------------------------------------------ the sections


def sections(found: Reconciliation) -> list[Section]:
    """The mail's content, in the order of what matters at eight in the morning."""
    made = [
        _verdict(found),
        _do_today(found),
        _leave_soon(found),
        _deadlines(found),
        _orders(found),
        *_money(found),
        _refunds(found),
        _differences(found),
        _returns(found),
        _waits(found),
        _snoozed(found),
        _stopped(found),
        _coverage(found),
        _arrivals(found),
        _drifts(found),
        _commands(found),
        _outages(found),
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
        Tile("sold", _sold(found), "as the channels say"),
        Tile("shipped", f"{shipped:,}", f"of {captured:,} so far"),
        Tile("unexplained", *_unexplained_words(found), alarm=bool(found.unexplained)),
        Tile("oversold", f"{short:,}", "units", alarm=bool(short)),
    )


def _unexplained_words(found: Reconciliation) -> tuple[str, str]:
    """The figure that says more, and the other one below it."""
    units = sum(abs(one.units) for one in found.unexplained)
    money = _unexplained_money(found)
    words = f"{units:,} unit" if units == 1 else f"{units:,} units"
    only_units = units and not any(one.minor for one in found.unexplained)
    return (words, money) if only_units else (money, words)


def _sold(found: Reconciliation) -> str:
    """Every channel once, however many ledgers it is compared with."""
    totals: dict[str, int] = {}
    for row in {(r["channel"], r["currency"]): r for r in found.money}.values():
        totals[row["currency"]] = totals.get(row["currency"], 0) + row["captured"]
    words = " + ".join(_money_words(v, c) for c, v in sorted(totals.items()))
    return words or _money_words(0, found.currency)


def _do_today(found: Reconciliation) -> Section:
    rows = [*_blind_spots(found), *_oversold_rows(found), *_overdue(found)]
    rows += _unexplained_rows(found)
    rows += [
        (
            str(row["members"]),
            _age(found, row["since"]),
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
        said.append(f"first due {_clock(found, row['due'])}")
    if row["assignee"]:
        said.append(f"{_plain(row['assignee'])} is on it")
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
            _age(found, late[0]["ship_by"]),
            f"past the channel's ship-by time: {names}",
            f"Ship or cancel. Details: truecount trace {late[0]['order']}",
        )
    ]


def _unexplained_rows(found: Reconciliation) -> list[tuple[str, ...]]:
    groups: dict[str, list[Difference]] = {}
    for one in found.unexplained:
        groups.setdefault(one.what, []).append(one)
    return [
        (
            str(len(group)),
            _age(found, min((one.since for one in group if one.since), default="")),
            f"unexplained: {what} ({', '.join(one.key for one in group[:3])}"
            + (", …)" if len(group) > 3 else ")"),
            "Compare both systems; the lines are below and in the CSV.",
        )
        for what, group in groups.items()
    ]


def _leave_soon(found: Reconciliation) -> Section | None:
    if not found.leave_soon:
        return None
    rows = tuple(
        (
            row["order"],
            _clock(found, row["ship_by"]),
            "OVERDUE" if row["overdue"] else _left(found, row["ship_by"]),
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


def _left_over(seconds: float) -> str:
    return _seconds(seconds, least="min") if seconds >= 0 else f"{_seconds(-seconds)} late"


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
            f"From capture to the warehouse: half within {_seconds(found.release_s['half'])}, "
            f"19 of 20 within {_seconds(found.release_s['p95'])}, the slowest "
            f"{_seconds(found.release_s['longest'])}."
        )
    return Section(
        title="Orders",
        words=tuple(words),
        columns=("channel", *names),
        rows=rows,
        numbers=_NUMBERS,
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


def _money(found: Reconciliation) -> list[Section]:
    """One table for each ledger. It may leave out the tax a marketplace remits itself."""
    names = ("captured", "channel_tax", "sales_orders", "shipped", "invoiced", "cost")
    heads = (
        "channel",
        "sold",
        "tax by channel",
        "booked",
        "shipped",
        "invoiced",
        "cost",
        "tie-out",
    )
    made = []
    for ledger in sorted({row["ledger"] for row in found.money}):
        own = [row for row in found.money if row["ledger"] == ledger]
        rows = tuple(
            (
                f"{row['channel']} {row['currency']}",
                *(f"{Money(row[name], row['currency']).amount:,}" for name in names),
                row["tie_out"].replace("_", " "),
            )
            for row in own
        )
        made.append(
            Section(
                title=f"Money: the channels against {ledger}",
                columns=heads,
                rows=rows,
                numbers=frozenset(range(1, 7)),
                alarm=any(row["tie_out"] == "unexplained" for row in own),
                toned=7,
            )
        )
    return made


def _refunds(found: Reconciliation) -> Section | None:
    """What was given back of what was invoiced; not there on a day without any."""
    if not found.refunds:
        return None
    rows = tuple(
        (
            f"{row['channel']} {row['currency']}",
            row["ledger"],
            f"{row['refunds']:,}",
            *(
                f"{Money(row[name], row['currency']).amount:,}"
                for name in ("refunded", "channel_tax", "credited")
            ),
            row["tie_out"].replace("_", " "),
        )
        for row in found.refunds
    )
    return Section(
        title="Refunds: the channels against the books",
        columns=(
            "channel", "ledger", "refunds", "given back", "tax by channel", "credited", "tie-out",
        ),
        rows=rows,
        numbers=frozenset(range(2, 6)),
        alarm=any(row["tie_out"] == "unexplained" for row in found.refunds),
        toned=6,
    )  # fmt: skip


def _returns(found: Reconciliation) -> Section | None:
    """What is missing of open returns, and of how many; not there where none is open."""
    if not found.returns:
        return None
    rows = tuple(
        (
            f"{row['count']:,}",
            _age(found, row["since"]),
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


def _differences(found: Reconciliation) -> Section:
    if not found.differences:
        return Section(title="Differences", words=("None: every copy agrees with its owner.",))
    shown = found.differences[:ROWS_MAX]
    more = len(found.differences) - len(shown)
    return Section(
        title="Differences",
        words=(f"{more:,} more are in the attached CSV.",) if more > 0 else (),
        columns=("kind", "what", "where", "units", "amount", "detail"),
        rows=tuple(_difference(found, one) for one in shown),
        numbers=frozenset({3, 4}),
        alarm=bool(found.unexplained),
        toned=0,
    )


def _difference(found: Reconciliation, one: Difference) -> tuple[str, ...]:
    return (
        one.kind.replace("_", " "),
        one.what,
        one.key,
        f"{one.units:+,}" if one.units else "",
        _money_words(one.minor, one.currency) if one.currency and one.minor else "",
        f"{one.detail} (for {_age(found, one.since)})" if one.since else one.detail,
    )


def _waits(found: Reconciliation) -> Section | None:
    if not found.waits:
        return None
    rows = tuple(
        (str(row["members"]), _age(found, row["since"]), row["reason"]) for row in found.waits
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
            _age(found, row["since"]),
            _clock(found, row["snoozed"]),
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
            _clock(found, row["since"]),
            _clock(found, row["until"]) if row["until"] else "resumed",
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


def _coverage(found: Reconciliation) -> Section:
    rows = tuple(
        (
            row["system"],
            row["resource"].replace("_", " "),
            _clock(found, row["as_of"]),
            f"{row['rows']:,}",
        )
        for row in found.as_of
    )
    return Section(
        title="As of",
        words=tuple(f"NOT CHECKED: {what}" for what in found.not_checked),
        columns=("system", "what", f"read as of ({found.zone.key})", "rows"),
        rows=rows,
        numbers=frozenset({3}),
        alarm=bool(found.not_checked),
    )


def _arrivals(found: Reconciliation) -> Section | None:
    names = ("received", "applied", "held", "ignored", "pending", "duplicates")
    if not found.arrivals:
        return None
    return Section(
        title="What arrived",
        words=("received = applied + held + ignored + pending, for every system.",),
        columns=("system", *names),
        rows=tuple(
            (system, *(f"{counts[name]:,}" for name in names))
            for system, counts in sorted(found.arrivals.items())
        ),
        numbers=_NUMBERS,
    )


def _drifts(found: Reconciliation) -> Section | None:
    """A field that came, went or changed its kind: nothing is held by it, and tomorrow may be."""
    if not found.drifts:
        return None
    rows = tuple(
        (row["system"], row["resource"], row["what"], row["path"], row["detail"], row["example"])
        for row in found.drifts[:ROWS_MAX]
    )
    more = len(found.drifts) - len(rows)
    return Section(
        title="Their documents changed",
        words=(
            "Fields that are new, vanished or of another kind; `truecount mapping drift` says"
            " which lines of ours read them." + (f" {more} more are there." if more > 0 else ""),
        ),
        columns=("system", "what", "change", "field", "detail", "first seen in"),
        rows=rows,
    )


def _commands(found: Reconciliation) -> Section | None:
    if not found.commands:
        return None
    names = ("asked", "done", "attempts", "dead")
    return Section(
        title="What was asked of others",
        columns=("system", "command", *names),
        rows=tuple(
            (row["system"], row["kind"].replace("_", " "), *(f"{row[name]:,}" for name in names))
            for row in found.commands
        ),
        numbers=frozenset(range(2, 6)),
    )


def _outages(found: Reconciliation) -> Section | None:
    """Nothing was lost by it; it says why the day was late."""
    if not found.outages:
        return None
    return Section(
        title="Systems that were away",
        columns=("system", "from", "until", "commands that waited", "sent by"),
        rows=tuple(
            (
                row["system"],
                _clock(found, row["since"]),
                _clock(found, row["back_at"]) if row["back_at"] else "still away",
                f"{row['waiting']:,}" if row["back_at"] else "",
                _clock(found, row["ended_at"]) if row["ended_at"] else "not yet",
            )
            for row in found.outages[:ROWS_MAX]
        ),
        numbers=frozenset({3}),
    )


# ------------------------------------------------------------------ words


def _money_words(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).amount:,} {currency}"


def _age(found: Reconciliation, since: str) -> str:
    if not since:
        return ""
    return _seconds(max(0.0, (found.made_at - unstamp(since)).total_seconds()), least="min")


def _left(found: Reconciliation, until: str) -> str:
    return _seconds((unstamp(until) - found.made_at).total_seconds(), least="min")


def _seconds(seconds: float, *, least: str = "s") -> str:
    """40 s, 7 min, 3 h, 4 d."""
    if seconds < 90 and least == "s":
        return f"{seconds:.0f} s" if seconds >= 10 or not seconds else f"{seconds:.1f} s"
    for limit, unit, word in ((5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {word}"
    return f"{seconds / 86_400:.0f} d"


def _clock(found: Reconciliation, at: str | None) -> str:
    """The company's own clock; with a date where it is not the day of the mail."""
    if not at:
        return "never"
    local = unstamp(at).astimezone(found.zone)
    if local.date() == found.made_at.astimezone(found.zone).date():
        return f"{local:%H:%M}"
    return f"{local.day} {local:%b %H:%M}"


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


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


def as_csv(found: Reconciliation) -> str:
    """Every difference, safe to open in a spreadsheet (T21)."""
    heads = ["id", "kind", "what", "key", "units", "amount", "currency", "since", "detail"]
    return layout.csv_text(
        heads,
        (
            (
                one.id,
                one.kind,
                one.what,
                one.key,
                one.units,
                Money(one.minor, one.currency).amount if one.currency else "",
                one.currency,
                one.since,
                one.detail,
            )
            for one in found.differences
        ),
    )


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
        as_csv(found).encode("utf-8-sig"),  # without the mark a spreadsheet guesses the letters
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
        "differences": [
            {"id": one.id} | {name: getattr(one, name) for name in Difference.__slots__}
            for one in found.differences
        ],
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
