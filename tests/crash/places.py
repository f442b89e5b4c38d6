"""Every kill there is: which place, at which passing, and in which part of an installation's life.

The n-th passings are chosen so that the place is passed in the middle of the day, with
commands, pushes and numbers on their way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kill:
    """`at` as the variable says it; `verb`: the method of `Killing` that does it."""

    at: str
    verb: str = "kill_at"

    @property
    def name(self) -> str:
        return self.at.partition(":")[0].partition("@")[0]

    @property
    def needs_new(self) -> bool:
        """An installation that was never started."""
        return self.verb in ("kill_first_start", "kill_mail")


_VERBS: Mapping[str, tuple[str, ...]] = {
    "kill_first_start": (
        "schema.making", "schema.made", "state.opening", "state.opened", "start.prepared",
        "store.applied:4", "sweep.rows_kept@depot", "publish.dividing@shop:2",
        "publish.quota_answered@shop", "publish.quota_answered@market", "intake.row_decided:3",
        "token.answered", "token.stored",
    ),
    "kill_at": (
        "outbox.recovered", "publish.recovered", "start.listening", "state.opening:1",
        "store.begun:12", "store.applied:9", "store.committing:15", "store.committed:15",
        "store.telling:9", "store.telling:22", "store.committed:30",
        "hook.arrived", "hook.keeping:2", "hook.kept", "hook.answered:2", "hook.kept@depot",
        "sweep.asking@market/order", "sweep.answered@market/order", "sweep.rows_kept@market/order",
        "sweep.cursor_moved@market/order", "sweep.page_kept@market/order",
        "sweep.rows_kept@depot/stock_reading", "sweep.rows_kept@depot/shipment:2",
        "fetch.answered@depot", "fetch.kept@depot",
        "intake.understood:2", "intake.row_decided@shop:2", "intake.row_decided@market",
        "intake.decided:2",
        "wire.sending@POST:2", "wire.answered@POST:3", "wire.sending@PUT:2", "wire.answered@PUT",
        "wire.answered@GET:7",
        "outbox.beginning@books:2", "outbox.begun@books", "outbox.begun@depot:2",
        "outbox.sent@books", "outbox.sent@books:3", "outbox.sent@depot", "outbox.sent@shop",
        "outbox.sent@market:2", "outbox.ending@books:2", "outbox.ending@depot:3",
        "outbox.ended@depot", "outbox.ended@books:4",
        "publish.computed@market", "publish.intended@shop", "publish.answered@market",
        "publish.settled@shop",
        "token.answered", "token.stored",
    ),
    "kill_in_doubt": ("outbox.looking@books", "outbox.looked@books"),
    "kill_stop": ("stop.refusing", "stop.closing", "store.folding"),
    "kill_edit": (
        "items.swapped", "items.swapped:2", "items.in_force", "rules.swapped", "rules.in_force",
        "rules.swapped:2", "mappings.swapped", "mappings.swapped:2", "mappings.in_force",
    ),
    "kill_mail": (
        "mail.claimed", "mail.connecting", "mail.accepted", "mail.noting", "mail.noted",
    ),
    "kill_upgrade": ("schema.kept_aside", "schema.bringing_up", "schema.brought_up"),
    "kill_backup": ("backup.copied", "backup.named"),
    "kill_restore": (
        "restore.copied", "restore.aside", "restore.log_gone", "restore.replaced",
        "restore.converging", "gate.opening",
    ),
}  # fmt: skip
KILLS = tuple(Kill(at, verb) for verb, places in _VERBS.items() for at in places)
