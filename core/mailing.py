"""The mail of one day: owners compared with every copy, written down, handed over.

`truecount report --send` does it in a process of its own; `core.reporter` says when.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from core import mailer, report
from core.config import Config
from core.config_types import Report
from core.network import Network
from core.reconcile import Reconciliation, compare


def compared(
    config: Config, network: Network, connection: Connection, day: date, now: datetime
) -> Reconciliation:
    """The reconciliation of a day; each number may be as old as its system is read."""
    every_s = {
        (name, resource): system.every_s.get(resource, spec.every_s)
        for name, system in config.systems.items()
        for resource, spec in system.manifest.reads.items()
    }
    return compare(connection, network, day, now, every_s=every_s)


def send(
    found: Reconciliation, settings: Report, connect: mailer.Connect = mailer.connected
) -> dict[str, Any]:
    """Send it, and say what became of it: `message_id` and `words`. Raises as `mailer.send`."""
    mail = report.message(found, sender=settings.sender, recipients=settings.recipients)
    words = mailer.send(mail, settings.smtp, connect)
    return {"sent": True, "message_id": mail["Message-ID"], "words": words}
