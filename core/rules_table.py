"""Every key of rules.yaml: its kind and what it means. A key that is not here is refused."""

from __future__ import annotations

from core.fields import Option, Table

TABLE: Table = {
    "rules": Option("rows", "A list. Each row: what it is about, and what it says.", required=True),
    "rules.*.sku": Option("words", "Items by their SKU. Without it and `tag`: every item."),
    "rules.*.tag": Option("words", "Items that have any of these tags."),
    "rules.*.channel": Option("words", "Channels. Without it: all of them."),
    "rules.*.location": Option("words", "Locations. Without it: all of them."),
    "rules.*.safety_stock": Option("text", "Kept out of sale at each location: 5, or 10%."),
    "rules.*.share": Option("text", "How much of the pool a channel shows: 60%."),
    "rules.*.cap": Option("count", "The most a listing shows."),
    "rules.*.sold_out": Option("block", "When to stop selling before the last unit is gone."),
    "rules.*.sold_out.at": Option(
        "count", "The pool at or below which 0 is shown.", required=True, least=1
    ),
    "rules.*.sold_out.except": Option("words", "Channels that go on selling."),
    "rules.*.end_when": Option("block", "When the sale ends."),
    "rules.*.end_when.pool_below": Option("count", "0 while the pool is below it.", least=1),
    "rules.*.end_when.from": Option("text", "0 from this moment on."),
    "rules.*.campaign": Option("block", "Units kept for the channels of this row, for a time."),
    "rules.*.campaign.name": Option("text", "What you call it.", required=True),
    "rules.*.campaign.reserve": Option("count", "Units kept for it.", required=True),
    "rules.*.campaign.from": Option("text", "When it begins.", required=True),
    "rules.*.campaign.until": Option("text", "When it ends, like 2026-11-12 00:00.", required=True),
    "rules.*.campaign.only_up": Option("words", "Channels whose number cannot be lowered then."),
    "rules.*.campaign.frozen": Option("words", "Channels whose number cannot be changed then."),
    "rules.*.pre_order": Option("block", "Units that may be sold before they are here."),
    "rules.*.pre_order.units": Option("count", "How many.", required=True, least=1),
    "rules.*.pre_order.until": Option(
        "text", "When it ends, like 2026-12-24 09:00.", required=True
    ),
    "rules.*.policy": Option(
        "choice", "How the pool is divided.", choices=("shared", "split", "adaptive")
    ),
    "rules.*.stop_sell": Option("block", "Sell none of it."),
    "rules.*.stop_sell.by": Option("text", "Who says so.", required=True),
    "rules.*.stop_sell.reason": Option("text", "Why.", required=True),
    "rules.*.stop_sell.until": Option("text", "When it ends. Without it: when the row is removed."),
}
