"""Bugs of reliability.md 5.9 and others, each with a day of the simulation that has to convict it.

`harness` is what `truecount simulate` is asked for. As in tests/planted, the text of a bug
must occur exactly once, and `says` is what the verdict has to name.
"""

from __future__ import annotations

from tests.planted.bugs import Bug

BUGS = (
    Bug(
        name="a push is answered before it is committed",
        file="core/web/receiver.py",
        old="                return await self._store.write(unit, single=True)\n",
        new="                write = self._store.write(unit, single=True)\n"
        "                self._late = asyncio.ensure_future(write)\n"
        "                self._late.add_done_callback("
        "lambda done: done.cancelled() or done.exception())\n"
        "                return Kept(seq=0, new=True)\n",
        harness="--seeds 59708 --hours 4",
        says="G1: acknowledged and not kept",
    ),
    Bug(
        name="the cursor moves before the rows it covers are kept",
        file="core/sweep.py",
        old="        new += await self._store.write(unit)\n"
        '        crash_point("sweep.page_kept", resource.about)\n',
        new="        await self._store.write("
        "lambda connection: self._move(connection, asked, row, page, since))\n"
        "        new += await self._store.write("
        "lambda connection: self._keep(connection, asked, last))\n",
        harness="--seeds 59708 --hours 4",
        says="G2|is paid and not shipped|G9",
    ),
    Bug(
        name="keys are random",
        file="core/commands.py",
        old='    return f"truecount:{system}:{order}:{kind}:{revision}"\n',
        new="    import random\n\n"
        '    return f"truecount:{system}:{order}:{kind}:{revision}{random.random()}"\n',
        harness="--seeds 29583 --hours 4",
        says="G9|G6|G3",
    ),
    Bug(
        name="a command in doubt is sent again without a look",
        file="core/outbox.py",
        old='            return row.safe_by in ("lookup", "reference")'
        " or self._key_is_forgotten(row)\n",
        new="            return False\n",
        harness="--seeds 39890 --hours 4",
        says="G3, G9: booked twice",
    ),
    Bug(
        name="a command whose answer was lost counts as done",
        file="core/outbox.py",
        old='        return Ended(state="in_doubt", words=words, wait_s=self._lookup_after(row))\n',
        new='        return Ended(state="done", receipt=Receipt(reference=row.key))\n',
        harness="--seeds 330 --hours 5",
        says="G9|is paid and not shipped",
    ),
    Bug(
        name="an older revision of an order is taken for news",
        file="core/orders.py",
        old="lifecycle.is_stale(row.revision, order.revision):\n",
        new="lifecycle.is_stale(row.revision, row.revision):\n",
        harness="--seeds 15 --hours 6",
        says="G4",
    ),
    Bug(
        name="a claim is closed at the ship event",
        file="core/stock.py",
        old="        evidence = ledger.may_end(as_claim(row), reading, source)\n",
        new="        evidence = ledger.may_end(as_claim(row), reading, source)\n"
        '        evidence = evidence or (row.state == "shipped" and "the parcel has left")\n',
        harness="--seeds 7048 --hours 4",
        says="G7|G8|prove",
    ),
    Bug(
        name="the breaker is off",
        file="core/breaker.py",
        old="        if worn or relapsed:\n",
        new="        if False and (worn or relapsed):\n",
        harness="--seeds 37602 --hours 4",
        says="G11: ",
    ),
    Bug(
        name="a component of a kit is forgotten",
        file="core/kit_lines.py",
        old="            for sku, factor in needs.items()\n        ],\n",
        new="            for sku, factor in list(needs.items())[:1]\n        ],\n",
        harness="--seeds 13 --hours 5",
        says="G6: of .* has left",
    ),
    Bug(
        name="a mail that has gone is not noted as sent",
        file="core/reporter.py",
        old='day, state="sent", words=sent["words"]',
        new='day, state="failed", words=sent["words"]',
        harness="--seeds 214 --hours 5",
        says="G12: the mail of .* went",
    ),
    Bug(
        name="the warehouse is always asked at its first place",
        file="core/fulfillment.py",
        old="        place=location.at[location.ships],\n",
        new="        place=next(iter(work.network.locations.values())).at[location.ships],\n",
        harness="--seeds 23 --hours 6",
        says="more were asked for at EAST",
    ),
    Bug(
        name="a stop is told only where somebody else wants the units",
        file="core/escrow.py",
        old="        if over := _over(outlet):\n",
        new="        if False and (over := _over(outlet)):\n",
        harness="--seeds 19 --hours 5",
        says="G8: .* shows 1 .*, due are 0",
    ),
    Bug(
        name="a campaign keeps nothing for its channels",
        file="core/offer_rules.py",
        old="            if channel not in campaign.channels:\n",
        new="            if False and channel not in campaign.channels:\n",
        harness="--seeds 345 --hours 5",
        says="G8: .* shows .* due are",
    ),
    Bug(
        name="raw payloads are never forgotten",
        file="core/retention.py",
        old=".where(inbox.c.received_at < limit, ",
        new='.where(inbox.c.received_at < "", ',
        harness="--seeds 214 --hours 30",
        says="G20: .* raw payloads are kept",
    ),
)
