"""HUP reads items, offer rules and mappings again, as `truecount reload` does; nothing stops.

It is what `systemctl reload` and `kill -HUP` send. On any problem the old files stay in
force, and the exception that is open then says why (H34).
"""

from __future__ import annotations

import asyncio
import signal

import structlog

from core import operate
from core.app import App
from core.errors import TruecountError


class Hangup:
    """Hears HUP from `listen()` on; one that comes while the daemon starts is done once it runs."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._asked = asyncio.Event()

    def listen(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)

    async def keep_reloading(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        log = structlog.get_logger()
        try:
            done = await operate.operate(self._app, "reload", {})
        except TruecountError as error:  # the exception that is open now says it to a person
            log.warning("reload.refused", words=str(error))
        except Exception:  # one failed reload must not make the daemon deaf
            log.exception("reload.failed")
        else:
            log.info("reload.done", count=done["replayed"])
