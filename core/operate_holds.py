"""What an operator does with an exception itself: assign, note, snooze."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from core import holds, operate_differences
from core.app import App
from core.clock import stamp
from core.verbs import open_hold, said, snoozed_until, work_of


async def assign(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """Somebody is on it."""
    if isinstance(words.get("hold"), str):
        return await operate_differences.assign(app, words)
    name = said(words, "name")
    await _mark(app, words, "assigned", values={"assignee": name}, words_said=name)
    return {"assigned": words.get("hold"), "to": name}


async def note(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """What is known of it so far; the newest is shown, all are in the walk of its orders."""
    text = said(words, "text")
    await _mark(app, words, "noted", values={"note": text}, words_said=text)
    return {"noted": words.get("hold"), "text": text}


async def snooze(app: App, words: dict[str, Any]) -> dict[str, Any]:
    """It does not alarm for a while; it comes back by itself, and closes as ever."""
    until = snoozed_until(app, words)
    values = {"snoozed_until": stamp(until)}
    shown = f"{until.astimezone(app.network.zone):%Y-%m-%d %H:%M %Z}"
    await _mark(app, words, "snoozed", values=values, words_said=f"until {shown}")
    return {"snoozed": words.get("hold"), "until": shown}


async def _mark(
    app: App,
    words: dict[str, Any],
    what: str,
    *,
    values: dict[str, str],
    words_said: str,
) -> None:
    by = said(words, "by")

    def unit(connection: Connection) -> None:
        work = work_of(app, connection)
        hold = open_hold(connection, words)
        holds.mark(work, hold.id, what, by=by, values=values, said=words_said)
        work.finish()

    await app.store.write(unit)
