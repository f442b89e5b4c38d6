"""One refusal each: what cannot work, the line it stands in, and what an operator reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.configured import changed, line_of, refused

SMTP = "report: {recipients: [a@b.example], from: c@d.example, smtp: {host: mail.example}}\n"


def added(extra: str, where: str = "    connector: shop\n") -> tuple[str, str]:
    return where, where + extra


REFUSED = {
    "unknown option": (
        *added("publsh: {policy: shared} # here\n", "seal_key: ${SEAL}\n"),
        '"publsh" is not an option\n  Did you mean "publish"?',
    ),
    "unknown option of a system": (
        *added("    netwrk: private # here\n"),
        '"netwrk" is not an option of systems.web\n  Did you mean "network"?',
    ),
    "nothing given": (
        *added("    every: # here\n"),
        "systems.web.every has no value\n  Give it one, or remove the line.",
    ),
    "zone": (
        "timezone: Europe/Berlin, currency: EUR}",
        "timezone: Europe/Berln, currency: EUR} # here",
        'company.timezone is "Europe/Berln", which is no time zone\n'
        '  Did you mean "Europe/Berlin"?',
    ),
    "zone far off": (
        "timezone: Europe/Berlin, currency: EUR}",
        "timezone: home, currency: EUR} # here",
        'company.timezone is "home", which is no time zone\n'
        "  Write it like Europe/Berlin or Asia/Kolkata.",
    ),
    "currency": (
        "currency: EUR}",
        "currency: eur} # here",
        'company.currency is "eur", not an ISO 4217 code like EUR',
    ),
    "company without a name": (
        "{name: Acme, ",
        "{ # here\n  ",
        "company.name is missing\n  Stands on every report.",
    ),
    "seal key in the open": (
        "seal_key: ${SEAL}",
        "seal_key: 0123456789012345678901234567890123 # here",
        "seal_key: a secret does not stand in this file\n  Write ${NAME} and set NAME in the"
        " environment, or use the same option with _file and a path.",
    ),
    "seal key is no key": (
        "seal_key: ${SEAL}",
        "seal_key: ${SHORT} # here",
        "seal_key is not 32 bytes in base64\n  Make one with: openssl rand -base64 32",
    ),
    "environment lacks it": (
        "seal_key: ${SEAL}",
        "seal_key: ${SEEL} # here",
        "seal_key: the environment has no SEEL\n"
        "  Set SEEL, or use the same option with _file and a path.",
    ),
    "secret twice": (
        "seal_key: ${SEAL}",
        "seal_key: ${SEAL}\nseal_key_file: key # here",
        "seal_key and seal_key_file both stand here\n  Keep one.",
    ),
    "secret file is not there": (
        "seal_key: ${SEAL}",
        "seal_key_file: key # here",
        "seal_key_file: the secret file key cannot be read: No such file or directory\n"
        "  Create it, and let the user of the daemon own it.",
    ),
    "secret of a system in the open": (
        'secrets: {token: "${TOKEN}"}',
        "secrets:\n      token: shpat_1 # here",
        "systems.web.secrets.token: a secret does not stand in this file\n  Write ${NAME} and set"
        " NAME in the environment, or use the same option with _file and a path.",
    ),
    "empty secret": (
        'secrets: {token: "${TOKEN}"}',
        "secrets: {token: '${EMPTY}'} # here",
        "systems.web.secrets.token: the environment variable EMPTY is empty\n"
        "  An empty secret protects nothing.",
    ),
    "secret missing": (
        'secrets: {token: "${TOKEN}"}',
        "secrets: {} # here",
        "systems.web.secrets.token is missing\n  shop: the token",
    ),
    "secret unknown": (
        'secrets: {token: "${TOKEN}"}',
        'secrets: {token: "${TOKEN}", hok: "${TOKEN}"} # here',
        'systems.web.secrets has "hok", which shop does not know\n  Did you mean "hook"?',
    ),
    "secret of a system twice": (
        'secrets: {token: "${TOKEN}"}',
        'secrets: {token: "${TOKEN}", token_file: x} # here',
        "systems.web.secrets.token is given twice\n  Keep one.",
    ),
    "setting unknown": (
        'settings: {base_url: "https://shop.example.com"}',
        'settings: {base_url: "https://shop.example.com", verson: 8} # here',
        'systems.web.settings has "verson", which shop does not know\n  Did you mean "version"?',
    ),
    "secret among settings": (
        'settings: {base_url: "https://shop.example.com"}',
        'settings: {base_url: "https://shop.example.com", token: abc} # here',
        'systems.web.settings has "token", which shop does not know\n'
        "  It is a secret: put it under secrets.",
    ),
    "setting from the environment": (
        'settings: {base_url: "https://shop.example.com"}',
        'settings: {base_url: "https://shop.example.com", version: "${SEAL}"} # here',
        "systems.web.settings.version is not a secret\n  Only secrets come from the environment.",
    ),
    "setting missing": (
        'settings: {base_url: "https://shop.example.com"}',
        "settings: {version: 8} # here",
        "systems.web.settings.base_url is missing\n  shop: where the shop is",
    ),
    "setting is a block": (
        'settings: {base_url: "https://shop.example.com"}',
        'settings: {base_url: "https://shop.example.com", version: {a: b}} # here',
        "systems.web.settings.version is one value, not a block or a list",
    ),
    "plain http": (
        'settings: {base_url: "https://shop.example.com"}',
        'settings: {base_url: "http://shop.example.com"} # here',
        "systems.web.settings.base_url is plain http, which everybody on the way can read\n"
        "  Use https, or say network: private if the system is in your own network.",
    ),
    "private address": (
        'settings: {base_url: "https://shop.example.com"}',
        'settings: {base_url: "https://10.0.0.1"} # here',
        "systems.web.settings.base_url is an address of a private network\n"
        "  Say network: private if the system is in your own network.",
    ),
    "metadata address": (
        'settings: {base_url: "https://shop.example.com"}',
        'network: private\n    settings: {base_url: "http://169.254.169.254"} # here',
        "systems.web.settings.base_url is a link-local or metadata address\n"
        "  Those are never called (T10).",
    ),
    "no address": (
        'settings: {base_url: "https://shop.example.com"}',
        "settings: {base_url: shop.example.com} # here",
        "systems.web.settings.base_url is not a URL with a host\n"
        "  Write it like https://erp.example.com.",
    ),
    "no such authority": (
        *added("    ca_file: ca.pem # here\n"),
        'systems.web.ca_file is "ca.pem", and there is no such file',
    ),
    "verification is not switched off": (
        *added("    verify: false # here\n"),
        '"verify" is not an option of systems.web\n  Did you mean "every"?',
    ),
    "network": (
        *added("    network: lan # here\n"),
        'systems.web.network is "lan"; it may be public or private',
    ),
    "every what": (
        *added("    every: {orders: 1m} # here\n"),
        'systems.web.every has "orders", which shop does not read\n  Did you mean "order"?',
    ),
    "every when": (
        *added("    every: {order: 90} # here\n"),
        'systems.web.every.order is "90", not a duration like 30s, 5m, 2h or 1d',
    ),
    "every too often": (
        *added("    every: {order: 10ms} # here\n"),
        "systems.web.every.order is less than 1s",
    ),
    "half a meaning": (
        *added("    stock_source: {basis: on_hand} # here\n"),
        "systems.web.stock_source.ordered_by is missing\n  How two of its readings are put in"
        " order: its counter, its as-of time, or only the moment of our request.",
    ),
    "connector path": (
        *added("  spy: {connector: ../../etc} # here\n", "systems:\n"),
        'systems.spy.connector cannot be used: "../../etc" is not a connector name\n'
        "  A letter first, then a-z, 0-9 and _.",
    ),
    "connector unknown": (
        *added("  more: {connector: amazn} # here\n", "systems:\n"),
        'systems.more.connector cannot be used: there is no connector "amazn"\n'
        '  Did you mean "amazon"?',
    ),
    "system name": (
        *added("  Web Shop: {connector: books} # here\n", "systems:\n"),
        "systems.Web Shop is not a name\n  A letter first, then a-z, 0-9, _ and -; not truecount.",
    ),
    "system called like us": (
        *added("  truecount: {connector: books} # here\n", "systems:\n"),
        "systems.truecount is not a name\n  A letter first, then a-z, 0-9, _ and -; not truecount.",
    ),
    "place of nobody": (
        "at: {depot: EAST}",
        "at: {depot: EAST, depo: E} # here",
        'locations.east.at names the unknown system "depo"\n  Did you mean "depot"?',
    ),
    "one place is two locations": (
        *added("  west: {at: {depot: EAST}} # here\n", "    serves: [web]\n"),
        "locations.west.at says depot: EAST, and so does location east\n"
        "  Two locations cannot be one place; their units would be counted twice.",
    ),
    "an ignored place is a location": (
        "at: {depot: EAST}",
        "at: {depot: EAST, ledger: E} # here",
        "locations.east.at says ledger: E, a place that ledger is told to ignore",
    ),
    "negative safety": (
        *added("    safety_stock: -1 # here\n", "    serves: [web]\n"),
        'locations.east.safety_stock is "-1", not a whole number',
    ),
    "served twice": (
        "serves: [web]",
        "serves: [web, web] # here",
        'locations.east.serves has "web" twice\n  Keep one.',
    ),
    "routing unknown": (
        *added("routing: {order: [est, east]} # here\n", "seal_key: ${SEAL}\n"),
        'routing.order names the unknown location "est"\n  Did you mean "east"?',
    ),
    "routing incomplete": (
        "    serves: [web]\n",
        "    serves: [web]\n  west: {at: {depot: W}}\nrouting: {order: [east]} # here\n",
        "routing.order does not name west\n  Name every location, or none.",
    ),
    "owners are rows": (
        "owners:\n",
        "owners: {number: on_hand} # here\nx_owners:\n",
        "owners is a list; each row begins with a dash",
    ),
    "policy": (
        *added("publish: {policy: guess} # here\n", "seal_key: ${SEAL}\n"),
        'publish.policy is "guess"; it may be shared or split or adaptive',
    ),
    "address": (
        *added("listen: {hooks: 8080} # here\n", "seal_key: ${SEAL}\n"),
        'listen.hooks is "8080", not an address like 127.0.0.1:8080',
    ),
    "one address for both": (
        *added("listen: {hooks: '127.0.0.1:8081'} # here\n", "seal_key: ${SEAL}\n"),
        "listen.operations is the address of hooks, which the internet can reach",
    ),
    "open console": (
        *added("listen: {operations: '0.0.0.0:8081'} # here\n", "seal_key: ${SEAL}\n"),
        'listen.operations is "0.0.0.0", which other machines can reach, and the console has no'
        " password\n  Set console.password, or listen on 127.0.0.1.",
    ),
    "short password": (
        *added("console: {password: '${SHORT}'} # here\n", "seal_key: ${SEAL}\n"),
        "console.password has fewer than 12 characters",
    ),
    "size": (
        *added("listen: {body: 2MB} # here\n", "seal_key: ${SEAL}\n"),
        'listen.body is "2MB", not a size like 64 KiB or 2 MiB',
    ),
    "size too small": (
        *added("listen: {body: 1 B} # here\n", "seal_key: ${SEAL}\n"),
        "listen.body is less than 1024 B",
    ),
    "buyers too long": (
        *added("retention: {buyer: 31d} # here\n", "seal_key: ${SEAL}\n"),
        "retention.buyer is more than 30d",
    ),
    "log format": (
        *added("log: {format: xml} # here\n", "seal_key: ${SEAL}\n"),
        'log.format is "xml"; it may be text or json',
    ),
    "rounding": (
        *added("money: {rounding_limit: 0.5} # here\n", "seal_key: ${SEAL}\n"),
        'money.rounding_limit is "0.5", not a whole number',
    ),
    "report time": (
        *added(
            SMTP.replace("{rec", "{at: 7h30, rec").replace("\n", " # here\n"), "seal_key: ${SEAL}\n"
        ),
        'report.at is "7h30", not a time of day like "07:30"',
    ),
    "report for nobody": (
        *added(
            SMTP.replace("recipients: [a@b.example], ", "").replace("\n", " # here\n"),
            "seal_key: ${SEAL}\n",
        ),
        "report.recipients is missing\n  Who gets it.",
    ),
    "no mail address": (
        *added(
            SMTP.replace("a@b.example", "somebody").replace("\n", " # here\n"),
            "seal_key: ${SEAL}\n",
        ),
        'report.recipients has "somebody", not a mail address',
    ),
    "no sender": (
        *added(
            SMTP.replace("c@d.example", '"a@b, c@d"').replace("\n", " # here\n"),
            "seal_key: ${SEAL}\n",
        ),
        'report.from is "a@b, c@d", not a mail address',
    ),
    "user without a password": (
        *added(
            SMTP.replace("mail.example", "mail.example, user: me").replace("\n", " # here\n"),
            "seal_key: ${SEAL}\n",
        ),
        "report.smtp.user and password come together\n  Give both, or neither.",
    ),
    "password without tls": (
        *added(
            SMTP.replace(
                "mail.example", "mail.example, tls: none, user: me, password: '${TOKEN}'"
            ).replace("\n", " # here\n"),
            "seal_key: ${SEAL}\n",
        ),
        "report.smtp.tls is none, which would send the password in the open\n"
        "  Use starttls or tls.",
    ),
}
REFUSED |= {
    "secret file without a path": (
        "seal_key: ${SEAL}",
        "seal_key_file: {} # here",
        "seal_key_file is the path of a file",
    ),
    "list of lists": (
        *added("console: {hosts: [[a]]} # here\n", "seal_key: ${SEAL}\n"),
        "console.hosts is a list of names",
    ),
    "not a block of names": (
        *added("    every: 5m # here\n"),
        "systems.web.every is a block of names, each with a value",
    ),
    "not one value": (
        *added("    ca_file: [a] # here\n"),
        "systems.web.ca_file is one value, not a block or a list",
    ),
    "empty text": (
        *added("    ca_file: '' # here\n"),
        "systems.web.ca_file is empty",
    ),
    "empty setting": (
        'settings: {base_url: "https://shop.example.com"}',
        'settings: {base_url: "https://shop.example.com", version: ""} # here',
        "systems.web.settings.version is empty",
    ),
    "text without end": (
        *added(f"    ca_file: {'a' * 2001} # here\n"),
        "systems.web.ca_file is too long",
    ),
    "text of two lines": (
        *added('    ca_file: "a\\nb" # here\n'),
        "systems.web.ca_file has a line break or a control character in it",
    ),
    "flag": (
        *added(
            "    stock_source: {basis: on_hand, ordered_by: request, missing_is_zero: NO} # here\n"
        ),
        'systems.web.stock_source.missing_is_zero is "NO"; it may be true or false',
    ),
    "location name": (
        *added("  West Side: {at: {depot: W}} # here\n", "locations:\n"),
        "locations.West Side is not a name\n  A letter first, then a-z, 0-9, _ and -.",
    ),
    "console by a name": (
        *added("listen: {operations: 'host.example:8081'} # here\n", "seal_key: ${SEAL}\n"),
        'listen.operations is "host.example", which other machines can reach, and the console has'
        " no password\n  Set console.password, or listen on 127.0.0.1.",
    ),
    "deadline too short": (
        *added("listen: {deadline: 500ms} # here\n", "seal_key: ${SEAL}\n"),
        "listen.deadline is less than 1s",
    ),
    "deadline of nobody": (
        *added("deadlines: {shp: {}} # here\n", "seal_key: ${SEAL}\n"),
        "deadlines.shp is no system\n  Known here: web, depot, ledger.",
    ),
    "deadline of the buyer": (
        *added("deadlines: {web: {kinds: {pay: {}}}} # here\n", "seal_key: ${SEAL}\n"),
        "deadlines.web.kinds.pay is no deadline of ours\n  Known here: accept, pack, ship,"
        " handover, deliver, cancel_decision, return_decision, ndr_decision, auto_cancel.",
    ),
    "deadline in no unit": (
        *added(
            "deadlines: {web: {kinds: {ship: {within: 2 days off}}}} # here\n",
            "seal_key: ${SEAL}\n",
        ),
        'deadlines.web.kinds.ship.within is "2 days off"\n  Write hours as 48h, working days as 2'
        " business days.",
    ),
    "deadline after years": (
        *added(
            "deadlines: {web: {kinds: {ship: {within: 999 business days}}}} # here\n",
            "seal_key: ${SEAL}\n",
        ),
        "deadlines.web.kinds.ship.within is more than 366 days",
    ),
    "cancel that answers nothing": (
        *added(
            "deadlines: {web: {kinds: {deliver: {policy: cancel}}}} # here\n",
            "seal_key: ${SEAL}\n",
        ),
        "deadlines.web.kinds.deliver.policy is cancel, and stopping the order answers nothing here"
        "\n  Use remind or escalate.",
    ),
    "escalated to nobody": (
        *added(
            "deadlines: {web: {kinds: {ship: {policy: escalate}}}} # here\n",
            "seal_key: ${SEAL}\n",
        ),
        "deadlines.web.kinds.ship.to names who is on it when it is escalated\n"
        "  Give both, or neither.",
    ),
    "calendar without a working day": (
        *added(
            "deadlines: {web: {days_off: [monday, tuesday, wednesday, thursday, friday, saturday,"
            " sunday]}} # here\n",
            "seal_key: ${SEAL}\n",
        ),
        "deadlines.web.days_off leaves no working day\n  Leave at least one.",
    ),
    "weekday misspelt": (
        *added("deadlines: {web: {days_off: [saturdy]}} # here\n", "seal_key: ${SEAL}\n"),
        'deadlines.web.days_off has "saturdy"\n  Did you mean "saturday"?',
    ),
    "holiday of no calendar": (
        *added("deadlines: {web: {holidays: [2026-02-30]}} # here\n", "seal_key: ${SEAL}\n"),
        'deadlines.web.holidays has "2026-02-30", not a day like 2026-12-25',
    ),
    "calendar of no zone": (
        *added("deadlines: {web: {timezone: Mars/Base}} # here\n", "seal_key: ${SEAL}\n"),
        'deadlines.web.timezone is "Mars/Base", which is no time zone',
    ),
    "owner missing": (
        *added("  - {number: tax} # here\n", "owners:\n"),
        "owners row 1.owner is missing\n  The system whose word counts.",
    ),
}
#: What follows from the first problem is not what these cases are about.
AND_MORE = {"owners are rows"}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    old, new, message = REFUSED[case]
    text = changed(old, new)
    if case == "an ignored place is a location":
        text = changed("connector: books\n", "connector: books\n    ignore_places: [E]\n", text)
    found = refused(tmp_path, text)
    expected = f"config.yaml:{line_of('# here', text)}  {message}"
    if case in AND_MORE:
        assert expected in found
    else:
        assert found == [expected]
