"""The morning mail: text and HTML of one reconciliation, with the same content.

Never empty: an "all balanced" mail is evidence. No buyer is in it, only order
numbers, quantities and amounts. The same reconciliation makes the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from core.clock import stamp, unstamp
from core.money import Money
from core.reconcile import Difference, Reconciliation

#: Rows of one table in the mail; the CSV has them all.
ROWS_MAX = 25
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One heading with sentences and at most one table."""

    title: str
    words: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    alarm: bool = False


def subject(found: Reconciliation) -> str:
    units = sum(abs(one.units) for one in found.unexplained)
    oversold = sum(row["units"] for row in found.oversold)
    attention = len(found.needs_you) + len(found.not_checked)
    verdict = f"{found.verdict} {attention}" if found.verdict == "ATTENTION" else found.verdict
    return (
        f"[Truecount] {_plain(found.company)} {found.day} | {verdict} | "
        f"unexplained: {_unexplained_money(found)}, {units} units | oversold {oversold}"
    )


def _unexplained_money(found: Reconciliation) -> str:
    totals: dict[str, int] = {}
    for one in found.unexplained:
        if one.currency:
            totals[one.currency] = totals.get(one.currency, 0) + abs(one.minor)
    return " + ".join(str(Money(v, c)) for c, v in sorted(totals.items())) or "0"


def sections(found: Reconciliation) -> list[Section]:
    """The mail's content, once, for text and HTML alike."""
    return [
        _verdict(found),
        _do_today(found),
        _coverage(found),
        _orders(found),
        _money(found),
        _stock(found),
        _reliability(found),
    ]


def _verdict(found: Reconciliation) -> Section:
    by_kind = {
        kind: sum(1 for one in found.differences if one.kind == kind)
        for kind in ("in_flight", "explained", "unexplained")
    }
    words = (
        f"{found.verdict}. {by_kind['unexplained']} unexplained, {by_kind['explained']} explained, "
        f"{by_kind['in_flight']} in flight; {found.stock_checked} listings compared.",
    )
    alarm = found.verdict == "ATTENTION"
    return Section(title=f"{found.company}, {found.day}", words=words, alarm=alarm)


def _do_today(found: Reconciliation) -> Section:
    if not found.needs_you and not found.oversold:
        return Section(title="Do today", words=("Nothing needs you.",))
    rows = [
        (str(row["members"]), _age(found, row["since"]), row["reason"], row["next_step"])
        for row in found.needs_you[:10]
    ]
    rows += [
        (
            str(row["units"]),
            "now",
            f"{row['sku']} is oversold at {row['location']}",
            "Choose: another location, wait, cancel",
        )
        for row in found.oversold
    ]
    return Section(
        title="Do today", columns=("count", "age", "what", "what now"), rows=tuple(rows), alarm=True
    )


def _coverage(found: Reconciliation) -> Section:
    rows = tuple(
        (row["system"], row["resource"], _short(row["as_of"]), str(row["rows"]))
        for row in found.as_of
    )
    words = tuple(f"NOT CHECKED: {what}" for what in found.not_checked)
    return Section(
        title="As of",
        words=words,
        columns=("system", "what", "read as of (UTC)", "rows"),
        rows=rows,
        alarm=bool(words),
    )


def _orders(found: Reconciliation) -> Section:
    names = ("captured", "booked", "released", "shipped", "cancelled", "held")
    rows = tuple((row["channel"], *(str(row[name]) for name in names)) for row in found.orders)
    roll = found.roll_forward
    words = (
        f"Open orders: {roll['opening']} + {roll['new']} new - {roll['shipped']} shipped "
        f"- {roll['cancelled']} cancelled = {roll['closing']}.",
    )
    return Section(title="Orders", words=words, columns=("channel", *names), rows=rows)


def _money(found: Reconciliation) -> Section:
    names = ("captured", "channel_tax", "sales_orders", "shipped", "invoiced", "cost")
    rows = []
    for row in found.money:
        amounts = [str(Money(row[name], row["currency"])) for name in names]
        ties = _ties(row["captured"], row["channel_tax"], row["sales_orders"]) and _ties(
            row["shipped"], row["channel_tax_shipped"], row["invoiced"]
        )
        rows.append((row["channel"], row["ledger"], *amounts, "ties" if ties else "differs"))
    heads = (
        "channel",
        "ledger",
        "captured",
        "tax by channel",
        "sales orders",
        "shipped",
        "invoiced",
        "cost",
        "",
    )
    return Section(title="Money", columns=heads, rows=tuple(rows))


def _ties(channel: int, channel_tax: int, ledger: int) -> bool:
    """A ledger holds the channel's total, with or without the tax the channel remits."""
    return ledger in (channel, channel - channel_tax)


def _stock(found: Reconciliation) -> Section:
    if not found.differences:
        return Section(title="Differences", words=("None: every copy agrees with its owner.",))
    rows = tuple(_difference(one) for one in found.differences[:ROWS_MAX])
    more = len(found.differences) - len(rows)
    words = (f"{more} more are in the attached CSV.",) if more > 0 else ()
    return Section(
        title="Differences",
        words=words,
        columns=("kind", "what", "where", "units", "amount", "detail"),
        rows=rows,
        alarm=bool(found.unexplained),
    )


def _difference(one: Difference) -> tuple[str, ...]:
    amount = str(Money(one.minor, one.currency)) if one.currency else ""
    units = str(one.units) if one.units else ""
    return (one.kind.replace("_", " "), one.what, one.key, units, amount, one.detail)


def _reliability(found: Reconciliation) -> Section:
    words = tuple(
        f"{system}: {c['received']} received = {c['applied']} applied + {c['held']} held + "
        f"{c['ignored']} ignored + {c['pending']} pending; {c['duplicates']} duplicates."
        for system, c in sorted(found.arrivals.items())
    )
    rows = tuple(
        (
            c["system"],
            c["kind"],
            str(c["asked"]),
            str(c["done"]),
            str(c["attempts"]),
            str(c["dead"]),
        )
        for c in found.commands
    )
    heads = ("system", "command", "asked", "done", "attempts", "dead")
    return Section(title="Reliability", words=words, columns=heads, rows=rows)


def _age(found: Reconciliation, since: str) -> str:
    seconds = (found.made_at - unstamp(since)).total_seconds()
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _short(at: str | None) -> str:
    return at[:19].replace("T", " ") if at else "never"


# ------------------------------------------------------------------ layouts


def as_text(found: Reconciliation) -> str:
    """Plain text for any mail program."""
    parts: list[str] = []
    for section in sections(found):
        parts.append(section.title.upper() if parts else section.title)
        parts += [f"  {line}" for line in section.words]
        if section.rows:
            parts.append(_text_table(section))
        parts.append("")
    parts.append(f"Report {report_id(found)}, made {stamp(found.made_at)}.")
    return "\n".join(parts) + "\n"


def _text_table(section: Section) -> str:
    lines = [section.columns, *section.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(section.columns))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


_STYLE = (
    "body{font:14px/1.45 system-ui,Arial,sans-serif;color:#1c2430;background:#f4f5f7;margin:0;"
    "padding:24px}main{max-width:920px;margin:auto;background:#fff;padding:24px 32px;"
    "border-radius:8px}h1{font-size:20px;margin:0 0 4px}h2{font-size:15px;margin:26px 0 6px;"
    "padding-top:12px;border-top:1px solid #e3e6ea}table{border-collapse:collapse;width:100%}"
    "th{text-align:left;color:#667;font-weight:600;font-size:12px}th,td{padding:4px 12px 4px 0;"
    "vertical-align:top}td{border-top:1px solid #f0f1f3}.alarm{color:#a8200d}"
    ".fine{color:#1d6b37}th.number,td.number{text-align:right;white-space:nowrap}footer{color:#889;"
    "font-size:12px;margin-top:24px}"
)


def as_html(found: Reconciliation) -> str:
    """The same content; no script, no remote picture, everything escaped (T18, T22)."""
    first, *rest = sections(found)
    tone = "alarm" if first.alarm else "fine"
    body = [f"<h1>{_escape(first.title)}</h1>"]
    body += [f'<p class="{tone}"><strong>{_escape(line)}</strong></p>' for line in first.words]
    for section in rest:
        mark = ' class="alarm"' if section.alarm else ""
        body.append(f"<h2{mark}>{_escape(section.title)}</h2>")
        body += [f"<p>{_escape(line)}</p>" for line in section.words]
        if section.rows:
            body.append(_html_table(section))
    body.append(f"<footer>Report {report_id(found)}, made {stamp(found.made_at)}.</footer>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{_escape(subject(found))}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _html_table(section: Section) -> str:
    """Columns of numbers stand right, with their heading above them."""
    numeric = [
        all(_is_number(row[i]) or not row[i] for row in section.rows)
        for i in range(len(section.columns))
    ]
    head = "".join(_cell("th", c, n) for c, n in zip(section.columns, numeric, strict=True))
    rows = "".join(
        "<tr>" + "".join(_cell("td", c, n) for c, n in zip(row, numeric, strict=True)) + "</tr>"
        for row in section.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _is_number(cell: str) -> bool:
    """A count or an amount with its currency."""
    return cell.split(" ")[0].lstrip("-").replace(".", "", 1).isdigit()


def _cell(tag: str, text: str, number: bool) -> str:
    kind = ' class="number"' if number else ""
    return f"<{tag}{kind}>{_escape(text)}</{tag}>"


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def as_csv(found: Reconciliation) -> str:
    """Every difference, safe to open in a spreadsheet: no text cell can be a formula (T21)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["kind", "what", "key", "units", "amount", "currency", "detail"])
    for one in found.differences:
        amount = str(Money(one.minor, one.currency).amount) if one.currency else ""
        words = [_safe(text) for text in (one.kind, one.what, one.key)]
        writer.writerow([*words, one.units, amount, one.currency, _safe(one.detail)])
    return out.getvalue()


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def report_id(found: Reconciliation) -> str:
    return hashlib.sha256(f"{found.company}|{found.day}".encode()).hexdigest()[:12]


def message_id(found: Reconciliation, domain: str) -> str:
    """By company and day: a second copy of the same mail is recognizable as one."""
    return f"<truecount-{found.day}-{report_id(found)}@{domain}>"


def message(found: Reconciliation, *, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The whole mail. Header words are cleaned first, or one bad name kills it (T20)."""
    mail = EmailMessage()
    mail["Subject"] = subject(found)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Message-ID"] = message_id(found, sender.rpartition("@")[2] or "localhost")
    mail["Date"] = found.made_at
    mail.set_content(as_text(found))
    mail.add_alternative(as_html(found), subtype="html")
    mail.add_attachment(
        as_csv(found).encode(),
        maintype="text",
        subtype="csv",
        filename=f"differences-{found.day}.csv",
    )
    return mail


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


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
        "roll_forward": found.roll_forward,
        "money": found.money,
        "differences": [
            {name: getattr(one, name) for name in Difference.__slots__} for one in found.differences
        ],
        "needs_you": found.needs_you,
        "oversold": found.oversold,
        "arrivals": found.arrivals,
        "commands": found.commands,
    }
