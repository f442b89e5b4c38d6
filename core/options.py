"""Every option of config.yaml: its kind, its default, and why it is there.

This table is the only place an option is declared. core/config.py reads a file
against it, an unknown key is compared with it, and config.example.yaml is
written from it, so the example cannot lie.
"""

from __future__ import annotations

from core.fields import Option, Table

POLICIES = ("shared", "split", "adaptive")
MODES = ("live", "plan")
LEVELS = ("debug", "info", "warning", "error")

_COMPANY: Table = {
    "company": Option("block", "Who sells.", required=True),
    "company.name": Option("text", "Stands on every report.", required=True),
    "company.timezone": Option(
        "text",
        "Days of reports and ledger dates are days of this zone (an IANA name). Instants are\n"
        "always kept in UTC.",
        required=True,
    ),
    "company.currency": Option(
        "text", "The currency of the books (ISO 4217). Orders keep their own.", required=True
    ),
    "state": Option(
        "text",
        "The database, the daemon's whole memory. A path is seen from the folder of this file.\n"
        "On a local disk: a network disk can lose what was acknowledged.",
        default="state/truecount.db",
    ),
    "seal_key": Option(
        "secret",
        "Buyers and raw payloads are encrypted with this key. `openssl rand -base64 32` makes\n"
        "one. Keep a copy away from the database: without it a backup is unreadable.\n"
        "Like every secret: ${NAME} of the environment, or the same word with _file and the\n"
        "path of a file only the daemon's user may read (chmod 600). Never the secret itself.",
        required=True,
    ),
    "seal_key_old": Option(
        "secret", "The key before this one, while what it sealed is still to be read."
    ),
    "mode": Option(
        "choice",
        "plan: everything is read, understood, decided and kept, and nothing is sent: no command,\n"
        "no stock number, no subscription. `truecount plan` lists what would be. So real accounts\n"
        "are connected without fear (docs/operating.md). live: it is sent.",
        default="live",
        choices=MODES,
    ),
    "mappings": Option(
        "text",
        "The folder of the mapping files, one folder per connector.",
        default="mappings",
    ),
    "items": Option(
        "text",
        "The file of the items: what a system calls them otherwise, kits and packs, cases and\n"
        "other units (docs/items.md). Without it every SKU is the same everywhere.",
    ),
    "rules": Option(
        "text",
        "The file of the offer rules: how much of an item each channel shows (docs/rules.md).\n"
        "Without it every channel shows its whole pool.",
    ),
}

_LISTEN: Table = {
    "listen": Option("block", "Where the daemon listens, and what it takes from strangers."),
    "listen.hooks": Option(
        "address",
        "Webhooks arrive here: POST /hooks/SYSTEM. Put a proxy with TLS in front.",
        default="127.0.0.1:8080",
    ),
    "listen.public_url": Option(
        "text",
        "How the world reaches the hooks, for example https://hooks.acme.example. Systems whose\n"
        "subscriptions a program can make are subscribed to it, at start and every hour.",
    ),
    "listen.operations": Option(
        "address",
        "Console, /healthz, /readyz and /metrics. Not for the internet: an address that other\n"
        "machines can reach is refused without console.password.",
        default="127.0.0.1:8081",
    ),
    "listen.connections": Option(
        "count", "Open connections at once; more are refused.", default="1000", least=1
    ),
    "listen.body": Option(
        "size",
        "The largest webhook body; a connector may ask for less.",
        default="2 MiB",
        least=1024,
    ),
    "listen.deadline": Option(
        "duration", "A request that is not complete by then is cut off.", default="10s", least=1
    ),
    "listen.waiting_max": Option(
        "count",
        "Events kept and not yet applied. Beyond it webhooks get 503 with Retry-After, and the\n"
        "sweep fetches later what was refused.",
        default="100000",
        least=1,
    ),
    "console": Option("block", "Who may use the console."),
    "console.user": Option("text", "The name to log in with.", default="operator"),
    "console.password": Option(
        "secret", "At least 12 characters. Without one the console is local only."
    ),
    "console.hosts": Option(
        "words", "Names under which the console is opened, beside localhost.", default="[]"
    ),
}

_SYSTEMS: Table = {
    "systems": Option("named", "The outside systems, each under a name of yours.", required=True),
    "systems.*.connector": Option(
        "text", "How we speak with it: a folder of connectors/.", required=True
    ),
    "systems.*.network": Option(
        "choice",
        "private: it lives in your own network, so private addresses and plain http are\n"
        "allowed. Link-local and metadata addresses never are.",
        default="public",
        choices=("public", "private"),
    ),
    "systems.*.mode": Option(
        "choice",
        "plan: nothing is sent to this one, as if `mode: plan` stood above for it alone.",
        default="live",
        choices=MODES,
    ),
    "systems.*.settings": Option(
        "pairs", "What its connector asks for; see connectors/CONNECTOR/README.md."
    ),
    "systems.*.secrets": Option("pairs", "Its credentials: NAME: ${ENV}, or NAME_file: path."),
    "systems.*.login_ends": Option(
        "text",
        "The day its credential ends, like 2027-01-31, where you know it and the system does not\n"
        "say so itself. Two weeks before it is an exception and stands in the mail.",
    ),
    "systems.*.ca_file": Option(
        "text",
        "A certificate authority to trust for this system only. There is no switch that turns\n"
        "verification off.",
    ),
    "systems.*.mappings": Option(
        "text", "Its mapping folder, where it is not the folder of its connector."
    ),
    "systems.*.every": Option(
        "pairs", "How often to read a resource, where the connector's own pace does not fit."
    ),
    "systems.*.ignore_places": Option(
        "words",
        "Places of this system that are none of ours. A place that is neither here nor under\n"
        "`locations` is reported, never guessed.",
        default="[]",
    ),
    "systems.*.stock_source": Option(
        "block",
        "What its stock number means, where the connector cannot know it. All of it or nothing.",
    ),
    "systems.*.stock_source.basis": Option(
        "choice",
        "on_hand: what is on the shelf, our orders still inside. available: already net of\n"
        "the orders it has accepted.",
        choices=("on_hand", "available"),
        required=True,
    ),
    "systems.*.stock_source.ordered_by": Option(
        "choice",
        "How two of its readings are put in order: its counter, its as-of time, or only\n"
        "the moment of our request.",
        choices=("counter", "as_of", "request"),
        required=True,
    ),
    "systems.*.stock_source.settle": Option(
        "duration", "How long until its number includes its own event.", default="0s"
    ),
    "systems.*.stock_source.missing_is_zero": Option(
        "flag", "A SKU absent from a complete reading has no units.", default="false"
    ),
    "systems.*.stock_source.gapless": Option(
        "flag",
        "Its movements are counted without a hole, and each of its readings says how\n"
        "far it had counted. A hole is then noticed and read over.",
        default="false",
    ),
    "systems.*.stock_source.for_sale": Option(
        "words",
        "Its words for units that may be sold. A reading with another word (damaged,\n"
        "quarantine) is shown and never sold; one without a word is sold.",
        default="[available, good]",
    ),
    "systems.*.plausible": Option(
        "block",
        "Numbers beyond these limits are held and asked about: `truecount accept` believes them.",
    ),
    "systems.*.plausible.negative": Option(
        "count", "A number lower than minus this.", default="100"
    ),
    "systems.*.plausible.times": Option(
        "number", "A number more than so many times the last one …", default="10", least=1
    ),
    "systems.*.plausible.units": Option(
        "count", "… and higher by more than so many units.", default="1000"
    ),
    "systems.*.plausible.never": Option(
        "words",
        "Numbers that stand for none.",
        default="[-999, -9999, -99999, 99999, 999999, 9999999]",
    ),
    "systems.*.plausible.gone_percent": Option(
        "number",
        "A pass after which more than so many percent of its SKUs with units have\n"
        "none, or of its objects are gone …",
        default="25",
        least=0,
        most=100,
    ),
    "systems.*.plausible.gone_least": Option(
        "count",
        "… and more than so many. A pass that shows nothing at all is always asked about.",
        default="10",
    ),
}

_STOCK: Table = {
    "locations": Option("named", "The places that can ship.", required=True),
    "locations.*.at": Option(
        "pairs", "What each system calls this location: SYSTEM: place.", required=True
    ),
    "locations.*.serves": Option(
        "words", "Channels that may sell its stock, the most important first.", default="[]"
    ),
    "locations.*.safety_stock": Option(
        "count", "Units of each SKU kept out of sale here.", default="0"
    ),
    "owners": Option(
        "rows",
        "Who owns which number. One owner each; two are refused at start. Without an entry:\n"
        "a channel owns its orders and payouts, truecount owns available_to_sell and claims,\n"
        "the owner of a location's on_hand owns its shipments, a courier owns its parcels.",
        required=True,
    ),
    "owners.*.number": Option("text", "The number.", required=True),
    "owners.*.of": Option(
        "words", "The locations, channels or couriers it is about. Without it: all of them."
    ),
    "owners.*.owner": Option("text", "The system whose word counts.", required=True),
    "owners.*.readers": Option(
        "words", "The systems that are told. Without it: every system that can receive it."
    ),
    "routing": Option("block", "Which location ships."),
    "routing.order": Option(
        "words",
        "Locations in order of preference. Without it: the order they are written in above.",
    ),
    "publish": Option("block", "How channels are told what they may sell."),
    "publish.policy": Option(
        "choice",
        "adaptive: shared while units are plenty, divided while they are few. split: always\n"
        "divided, and no unit is shown twice. shared: every channel shows the whole pool.\n"
        "truecount why prints how many units could be sold beyond the stock.",
        default="adaptive",
        choices=POLICIES,
    ),
    "publish.linger": Option(
        "duration",
        "A changed number waits so long for the next change, so that calls are few. Cuts to\n"
        "zero do not wait.",
        default="50ms",
    ),
    "publish.settle": Option(
        "duration",
        "A channel's own number is compared with ours only after it was left alone so long.",
        default="2m",
    ),
}

_REST: Table = {
    "report": Option("block", "The daily mail. Without this block none is sent."),
    "report.at": Option("time", "When, in the company's zone.", default="07:30"),
    "report.settle": Option(
        "duration",
        "The report of a day waits so long after midnight for late events.",
        default="15m",
    ),
    "report.recipients": Option("words", "Who gets it.", required=True),
    "report.from": Option("text", "The sender.", required=True),
    "report.smtp": Option("block", "The mail server.", required=True),
    "report.smtp.host": Option("text", "Its name.", required=True),
    "report.smtp.port": Option("count", "Its port.", default="587", least=1, most=65535),
    "report.smtp.tls": Option(
        "choice",
        "starttls (port 587), tls (port 465), or none for a relay on this machine or network;\n"
        "no password is sent without TLS.",
        default="starttls",
        choices=("starttls", "tls", "none"),
    ),
    "report.smtp.user": Option("text", "The name to log in with, where the server wants one."),
    "report.smtp.password": Option("secret", "Its password."),
    "deadlines": Option(
        "named",
        "By when what is due, for each channel or courier that states it, or that only says how\n"
        "long it may take (docs/operating.md). What it states itself is always followed.",
    ),
    "deadlines.*.timezone": Option(
        "text", "Business days are days of this zone. Without it: the company's."
    ),
    "deadlines.*.cutoff": Option(
        "time", "What comes later counts as come on the next working day. Without it: midnight."
    ),
    "deadlines.*.days_off": Option("words", "Weekdays on which nobody works.", default="[]"),
    "deadlines.*.holidays": Option(
        "words", "Days on which nobody works, like 2026-12-25.", default="[]"
    ),
    "deadlines.*.kinds": Option(
        "named",
        "accept, pack, ship, handover, deliver, cancel_decision, return_decision, ndr_decision,\n"
        "auto_cancel.",
    ),
    "deadlines.*.kinds.*.within": Option(
        "text", "How long it may take where no time is stated: 48h, or 2 business days."
    ),
    "deadlines.*.kinds.*.warn": Option("duration", "So long before, it is said.", default="4h"),
    "deadlines.*.kinds.*.policy": Option(
        "choice",
        "What happens when it is missed. remind: an exception. escalate: one that `to` is on.\n"
        "cancel: the order is stopped as by `truecount cancel`.",
        default="remind",
        choices=("remind", "escalate", "cancel"),
    ),
    "deadlines.*.kinds.*.to": Option("text", "Who is on it when it is escalated."),
    "money": Option("block", "How exact the books are."),
    "money.rounding_limit": Option(
        "count",
        "A document whose parts miss its total by at most so many minor units gets one named\n"
        "rounding line. More, and it is held.",
        default="2",
        most=100,
    ),
    "retention": Option("block", "How long we keep what we must not keep."),
    "retention.raw": Option(
        "duration", "Raw payloads, after they were applied.", default="30d", least=86400
    ),
    "retention.buyer": Option(
        "duration",
        "Names and addresses, after delivery. Marketplaces allow 30 days, not more.",
        default="30d",
        least=86400,
        most=30 * 86400,
    ),
    "log": Option("block", "What the daemon says."),
    "log.level": Option("choice", "The least important line.", default="info", choices=LEVELS),
    "log.format": Option(
        "choice",
        "text for people, json for machines. Neither holds a secret or a buyer.",
        default="text",
        choices=("text", "json"),
    ),
}

OPTIONS: Table = {**_COMPANY, **_LISTEN, **_SYSTEMS, **_STOCK, **_REST}
