"""config.yaml, typed and checked as a whole before anything starts (S39).

`load_config` raises one ConfigError with every problem of the file, each with
its line. It reads the environment it is given and the secret files the operator
named, and opens nothing else. The options are declared in core/options.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from zoneinfo import ZoneInfo, available_timezones

from core.config_systems import SYSTEM_NAME, Around, optional_secret, read_systems
from core.config_terms import read_terms
from core.config_types import (
    Address,
    Company,
    Console,
    Listen,
    Location,
    Log,
    OwnerRow,
    Publish,
    Report,
    Retention,
    Smtp,
    System,
)
from core.fields import Fields, Problems, quoted, suggest
from core.options import OPTIONS
from core.ownership import Ownership
from core.seal import key_from_text
from core.secrets import Secret
from core.strict import read_yaml
from core.terms import Terms

__all__ = ["Config", "load_config"]

PASSWORD_LETTERS_MIN = 12
_MAIL = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    file: str
    company: Company
    state: Path
    seal_key: Secret
    seal_key_old: Secret | None
    mappings: Path
    items: Path | None
    rules: Path | None
    listen: Listen
    console: Console
    systems: Mapping[str, System]
    locations: Mapping[str, Location]
    ownership: Ownership
    routing: tuple[str, ...]  # every location, the preferred first
    publish: Publish
    report: Report | None
    terms: Terms
    rounding_limit_minor: int
    retention: Retention
    log: Log


def load_config(path: Path, env: Mapping[str, str], search: Sequence[Path] = ()) -> Config:
    """Read and check the whole configuration. `search`: more folders with connectors."""
    file = str(path)
    node = read_yaml(path, file)
    problems = Problems(file, columns=True)
    fields = Fields(node, OPTIONS, problems)
    folder = path.absolute().parent
    mappings = folder / fields.text("mappings")
    plans = fields.choice("mode") == "plan"
    around = Around(folder=folder, mappings=mappings, env=env, search=search, plans=plans)
    systems = read_systems(fields, around)
    locations = _locations(fields, systems)
    ownership = Ownership(file, systems, locations, _owners(fields))
    if len(systems) == len(fields.names("systems")):
        # A system that could not be read would be missing everywhere else too: that is noise.
        problems.found += ownership.problems
    company = _company(fields.block("company"))
    config = Config(
        file=file,
        company=company,
        state=folder / fields.text("state"),
        seal_key=_seal_key(fields, "seal_key", around) or Secret(""),
        seal_key_old=_seal_key(fields, "seal_key_old", around),
        mappings=mappings,
        items=folder / fields.text("items") if fields.has("items") else None,
        rules=folder / fields.text("rules") if fields.has("rules") else None,
        listen=_listen(fields.block("listen")),
        console=_console(fields.block("console"), around),
        systems=systems,
        locations=locations,
        ownership=ownership,
        routing=_routing(fields.block("routing"), locations),
        publish=_publish(fields.block("publish")),
        report=_report(fields.block("report"), around) if fields.has("report") else None,
        terms=read_terms(fields, systems, company.timezone),
        rounding_limit_minor=fields.block("money").count("rounding_limit"),
        retention=_retention(fields.block("retention")),
        log=_log(fields.block("log")),
    )
    _refuse_open_console(fields, config)
    problems.stop()
    return config


# ---------------------------------------------------------------- blocks


def _seal_key(fields: Fields, key: str, around: Around) -> Secret | None:
    secret = optional_secret(fields, key, around)
    if secret is not None:
        try:
            key_from_text(secret.reveal())
        except ValueError:
            fields.refuse(
                key, "is not 32 bytes in base64", "Make one with: openssl rand -base64 32"
            )
    return secret


def _company(fields: Fields) -> Company:
    zone, currency = fields.text("timezone"), fields.text("currency")
    zones = available_timezones()
    if zone and zone not in zones:
        fields.refuse(
            "timezone", f"is {quoted(zone)}, which is no time zone", _near_zone(zone, zones)
        )
    if currency and not re.fullmatch(r"[A-Z]{3}", currency):
        fields.refuse("currency", f"is {quoted(currency)}, not an ISO 4217 code like EUR")
    return Company(
        name=fields.text("name"),
        timezone=ZoneInfo(zone if zone in zones else "UTC"),
        currency=currency,
    )


def _near_zone(zone: str, zones: set[str]) -> str:
    near = suggest(zone, sorted(zones))
    return near if near.startswith("Did") else "Write it like Europe/Berlin or Asia/Kolkata."


def _address(fields: Fields, key: str) -> Address:
    host, port = fields.address(key)
    return Address(host=host, port=port)


def _listen(fields: Fields) -> Listen:
    listen = Listen(
        hooks=_address(fields, "hooks"),
        public_url=fields.text("public_url").rstrip("/"),
        operations=_address(fields, "operations"),
        connections=fields.count("connections"),
        body_max=fields.size("body"),
        deadline_s=fields.seconds("deadline"),
        waiting_max=fields.count("waiting_max"),
    )
    if listen.hooks == listen.operations and listen.hooks.port:
        fields.refuse("operations", "is the address of hooks, which the internet can reach")
    return listen


def _console(fields: Fields, around: Around) -> Console:
    password = optional_secret(fields, "password", around)
    if password is not None and len(password.reveal()) < PASSWORD_LETTERS_MIN:
        fields.refuse("password", f"has fewer than {PASSWORD_LETTERS_MIN} characters")
    return Console(user=fields.text("user"), password=password, hosts=fields.words("hosts"))


def _refuse_open_console(fields: Fields, config: Config) -> None:
    """T16: what others can reach has a password, and no default one."""
    host = config.listen.operations.host
    if config.console.password is None and host and not _this_machine_only(host):
        fields.block("listen").refuse(
            "operations",
            f"is {quoted(host)}, which other machines can reach, and the console has no password",
            "Set console.password, or listen on 127.0.0.1.",
        )


def _this_machine_only(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _locations(fields: Fields, systems: Mapping[str, System]) -> dict[str, Location]:
    found: dict[str, Location] = {}
    places: dict[tuple[str, str], str] = {}
    for name, one in fields.named("locations").items():
        if not SYSTEM_NAME.fullmatch(name):
            one.refuse("", "is not a name", "A letter first, then a-z, 0-9, _ and -.")
        at: dict[str, str] = {}
        for system, (place, line) in one.pairs("at").items():
            if system not in fields.names("systems"):
                one.refuse_at(
                    line,
                    "at",
                    f"names the unknown system {quoted(system)}",
                    suggest(system, systems),
                )
            first = places.setdefault((system, place), name)
            if first != name:
                one.refuse_at(
                    line,
                    "at",
                    f"says {system}: {place}, and so does location {first}",
                    "Two locations cannot be one place; their units would be counted twice.",
                )
            if system in systems and place in systems[system].ignore_places:
                one.refuse_at(
                    line, "at", f"says {system}: {place}, a place that {system} is told to ignore"
                )
            at[system] = place
        found[name] = Location(
            name=name,
            at=at,
            serves=one.words("serves"),
            safety_stock=one.count("safety_stock"),
            line=one.line,
            serves_line=one.line_of("serves"),
        )
    return found


def _owners(fields: Fields) -> tuple[OwnerRow, ...]:
    return tuple(
        OwnerRow(
            number=row.text("number"),
            of=row.words("of"),
            owner=row.text("owner"),
            readers=row.words("readers") if row.has("readers") else None,
            line=row.line,
        )
        for row in fields.rows("owners")
    )


def _routing(fields: Fields, locations: Mapping[str, Location]) -> tuple[str, ...]:
    order = fields.words("order")
    for word in order:
        if word not in locations:
            fields.refuse(
                "order", f"names the unknown location {quoted(word)}", suggest(word, locations)
            )
    missing = [name for name in locations if name not in order]
    if order and missing:
        fields.refuse(
            "order", f"does not name {', '.join(missing)}", "Name every location, or none."
        )
    return order or tuple(locations)


def _publish(fields: Fields) -> Publish:
    return Publish(
        policy=fields.choice("policy"),  # type: ignore[arg-type]  # the closed list of options.py
        linger_s=fields.seconds("linger"),
        settle_s=fields.seconds("settle"),
    )


def _report(fields: Fields, around: Around) -> Report:
    report = Report(
        at=fields.time("at"),
        settle_s=fields.seconds("settle"),
        recipients=fields.words("recipients"),
        sender=fields.text("from"),
        smtp=_smtp(fields.block("smtp"), around),
    )
    for word in report.recipients:
        if not _MAIL.fullmatch(word):
            fields.refuse("recipients", f"has {quoted(word)}, not a mail address")
    if report.sender and not _MAIL.fullmatch(report.sender):
        fields.refuse("from", f"is {quoted(report.sender)}, not a mail address")
    return report


def _smtp(fields: Fields, around: Around) -> Smtp:
    smtp = Smtp(
        host=fields.text("host"),
        port=fields.count("port"),
        tls=cast(Literal["starttls", "tls", "none"], fields.choice("tls")),
        user=fields.text("user"),
        password=optional_secret(fields, "password", around),
    )
    if bool(smtp.user) != (fields.has("password") or fields.has("password_file")):
        fields.refuse("user", "and password come together", "Give both, or neither.")
    if smtp.password is not None and smtp.tls == "none":
        fields.refuse(
            "tls", "is none, which would send the password in the open", "Use starttls or tls."
        )
    return smtp


def _retention(fields: Fields) -> Retention:
    return Retention(raw_s=fields.seconds("raw"), buyer_s=fields.seconds("buyer"))


def _log(fields: Fields) -> Log:
    return Log(
        level=fields.choice("level"),
        format=cast(Literal["text", "json"], fields.choice("format")),
    )
