"""The `deadlines` of config.yaml: what is agreed with each channel and courier, by when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

from core.config_types import System
from core.fields import Fields, quoted, seconds, suggest
from core.terms import CANCELS, DAYS_MAX, FOLLOWED, WEEKDAYS, Calendar, Policy, Term, Terms

_BUSINESS_DAYS = re.compile(r"([0-9]{1,3}) business days?")


def read_terms(fields: Fields, systems: Mapping[str, System], zone: ZoneInfo) -> Terms:
    """Every term; a problem is noted for each that is none."""
    found: dict[tuple[str, str], Term] = {}
    for name, one in fields.named("deadlines").items():
        if name not in systems and name not in fields.names("systems"):
            one.refuse("", "is no system", suggest(name, systems))
        calendar = _calendar(one, zone)
        for kind, own in one.named("kinds").items():
            if kind not in FOLLOWED:
                own.refuse("", "is no deadline of ours", suggest(kind, [k.value for k in FOLLOWED]))
            found[name, kind] = _term(own, kind, calendar)
    return Terms(found)


def _calendar(fields: Fields, zone: ZoneInfo) -> Calendar:
    said = fields.text("timezone")
    if said and said not in available_timezones():
        fields.refuse("timezone", f"is {quoted(said)}, which is no time zone")
        said = ""
    days_off = set()
    for word, line in fields.words_with_lines("days_off"):
        if word in WEEKDAYS:
            days_off.add(WEEKDAYS.index(word))
        else:
            fields.refuse_at(line, "days_off", f"has {quoted(word)}", suggest(word, WEEKDAYS))
    if len(days_off) == len(WEEKDAYS):
        fields.refuse("days_off", "leaves no working day", "Leave at least one.")
        days_off.clear()
    return Calendar(
        zone=ZoneInfo(said) if said else zone,
        cutoff=time.fromisoformat(fields.time("cutoff")) if fields.has("cutoff") else None,
        days_off=frozenset(days_off),
        holidays=_holidays(fields),
    )


def _holidays(fields: Fields) -> frozenset[date]:
    found = set()
    for word, line in fields.words_with_lines("holidays"):
        try:
            found.add(date.fromisoformat(word))
        except ValueError:
            fields.refuse_at(line, "holidays", f"has {quoted(word)}, not a day like 2026-12-25")
    return frozenset(found)


def _term(fields: Fields, kind: str, calendar: Calendar) -> Term:
    hours_s, days = _within(fields)
    policy = cast(Policy, fields.choice("policy"))
    if policy == "cancel" and kind not in CANCELS:
        fields.refuse(
            "policy",
            "is cancel, and stopping the order answers nothing here",
            "Use remind or escalate.",
        )
    to = fields.text("to")
    if (policy == "escalate") != bool(to):
        fields.refuse("to", "names who is on it when it is escalated", "Give both, or neither.")
    return Term(
        calendar=calendar, hours_s=hours_s, days=days, warn_s=fields.seconds("warn"),
        policy=policy, to=to,
    )  # fmt: skip


def _within(fields: Fields) -> tuple[float | None, int | None]:
    text = fields.text("within")
    if not text:
        return None, None
    if days := _BUSINESS_DAYS.fullmatch(text):
        if int(days[1]) <= DAYS_MAX:
            return None, int(days[1])
        fields.refuse("within", f"is more than {DAYS_MAX} days")
        return None, None
    try:
        return seconds(text), None
    except ValueError:
        fields.refuse(
            "within", f"is {quoted(text)}", "Write hours as 48h, working days as 2 business days."
        )
        return None, None
