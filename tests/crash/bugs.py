"""Bugs that only a death shows, each with the kill or the power loss that has to convict it.

As tests/planted/bugs.py, but the harness is a module that is run in the copy: `harness`
are the words after `python -m`.
"""

from __future__ import annotations

from tests.planted.bugs import Bug

BUGS = (
    Bug(
        name="a push is acknowledged before its commit",
        file="core/web/receiver.py",
        old="                return await self._store.write(unit, single=True)\n",
        new="                self._late = asyncio.ensure_future("
        "self._store.write(unit, single=True))\n"
        "                return Kept(seq=0, new=True)\n",
        harness="tests.crash --at hook.keeping:2",
        says="lost: acknowledged, and not kept",
    ),
    Bug(
        name="a command is done before it is sent",
        file="core/outbox.py",
        old='                    state="sending",\n',
        new='                    state="done",\n',
        harness="tests.crash --at outbox.begun@books",
        says="lost: order P0+1 of shop is released, not shipped",
    ),
    Bug(
        name="a doubtful command is sent again without a look",
        file="core/outbox.py",
        old='            return row.safe_by in ("lookup", "reference")'
        " or self._key_is_forgotten(row)\n",
        new="            return False\n",
        harness="tests.crash --at outbox.sent@books:1",
        says="doubled: 2 sales_orders",
    ),
    Bug(
        name="a command that was being sent is queued again at the start",
        file="core/outbox.py",
        old='        ended = self._doubt(row, "stopped before the answer was seen")\n',
        new='        ended = Ended(state="queued")\n',
        harness="tests.crash --at outbox.sent@books:1",
        says="doubled: 2 sales_orders",
    ),
    Bug(
        name="the cursor moves before the rows it covers",
        file="core/sweep.py",
        old="        *before, last = _slices(page.items)\n",
        new="        await self._store.write("
        "lambda connection: self._move(connection, asked, row, page, since))\n"
        "        *before, last = _slices(page.items)\n",
        harness="tests.crash --at sweep.rows_kept@depot/stock_reading:1",
        says="number: shop shows 5 MUG, 6 are there",
    ),
    Bug(
        name="the mail is noted as sent before it is",
        file="core/reporter.py",
        old='            await self._remember(day, state="sending", words="")\n',
        new='            await self._remember(day, state="sent", words="")\n',
        harness="tests.crash --at mail.claimed",
        says="lost: the mail of",
    ),
    Bug(
        name="a commit is not synced",
        file="core/store/engine.py",
        old='    connection.exec_driver_sql("PRAGMA synchronous=FULL")\n'
        '    connection.exec_driver_sql("PRAGMA secure_delete=ON")\n'
        '    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()\n'
        '    level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()\n'
        '    if (mode, level) != ("wal", 2):\n',
        new='    connection.exec_driver_sql("PRAGMA synchronous=NORMAL")\n'
        '    connection.exec_driver_sql("PRAGMA secure_delete=ON")\n'
        '    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()\n'
        '    level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()\n'
        '    if (mode, level) != ("wal", 1):\n',
        harness="tests.power --images 200",
        says="acknowledged rows are gone",
    ),
    Bug(
        name="whoever waits is told before the commit",
        file="core/store/engine.py",
        old="            await self._commit(connection)\n",
        new="            for waiting, value, failure in results:\n"
        "                if failure is None:\n"
        "                    waiting.done.set_result(value)\n"
        "            await self._commit(connection)\n",
        harness="tests.power --images 200",
        says="acknowledged rows are gone",
    ),
)
