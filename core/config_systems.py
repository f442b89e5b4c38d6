"""The `systems` of config.yaml: each against its connector's manifest; and every secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, cast

from core.addresses import why_not_url
from core.config_types import System
from core.errors import ConfigError
from core.fields import Fields, quoted, seconds, suggest
from core.manifest import Manifest, StockSource, load_manifest, stock_source
from core.plausible import PLACEHOLDERS, Limits
from core.secrets import Secret, SecretRefused, from_environment, from_file

#: A dash is allowed: people write `truecount trace shopify-main:1001`.
SYSTEM_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
#: No owner of numbers may be called like us.
RESERVED = "truecount"
EVERY_LEAST_S = 1.0
WHOLE = re.compile(r"-?[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a configuration is read in: paths are seen from `folder`, the one of the file."""

    folder: Path
    mappings: Path
    env: Mapping[str, str]
    search: Sequence[Path]
    plans: bool = False  # `mode: plan` for the whole daemon


def read_systems(fields: Fields, around: Around) -> dict[str, System]:
    """Every system whose connector is known; a problem is noted for each of the others."""
    found: dict[str, System] = {}
    for name, one in fields.named("systems").items():
        if not SYSTEM_NAME.fullmatch(name) or name == RESERVED:
            one.refuse(
                "", "is not a name", "A letter first, then a-z, 0-9, _ and -; not truecount."
            )
        connector = one.text("connector")
        if not connector:
            continue
        try:
            manifest = load_manifest(connector, around.search)
        except ConfigError as error:
            for problem in error.problems:
                known = problem.file.endswith(".yaml")
                where = f"{problem.file}:{problem.line}: " if known else ""
                one.refuse("connector", f"cannot be used: {where}{problem.what}", problem.fix)
            continue
        found[name] = _system(one, name, manifest, around)
    return found


def optional_secret(fields: Fields, key: str, around: Around) -> Secret | None:
    """The option `key` (`${ENV}`) or `key_file` (a path); None where neither stands."""
    given = fields.secret_source(key)
    if given is None:
        return None
    try:
        kind, text = given
        return _secret(text, around, in_file=kind == "file")
    except SecretRefused as error:
        fields.refuse(key if kind == "text" else f"{key}_file", f": {error.what}", error.fix)
        return None


def _secret(text: str, around: Around, *, in_file: bool) -> Secret:
    return from_file(around.folder / text) if in_file else from_environment(text, around.env)


def _system(
    fields: Fields,
    name: str,
    manifest: Manifest,
    around: Around,
) -> System:
    network = cast(Literal["public", "private"], fields.choice("network"))
    own = fields.text("mappings")
    return System(
        name=name,
        connector=manifest.name,
        manifest=manifest,
        settings=_settings(fields, manifest, network),
        secrets=_secrets(fields, manifest, around),
        network=network,
        plans=around.plans or fields.choice("mode") == "plan",
        ca_file=_ca_file(fields, around.folder),
        login_ends=_day(fields, "login_ends"),
        mappings=around.folder / own if own else around.mappings / manifest.name,
        every_s=_every(fields, manifest),
        ignore_places=frozenset(fields.words("ignore_places")),
        stock_source=_stock_source(fields, manifest),
        limits=_limits(fields.block("plausible")),
        line=fields.line,
    )


def _stock_source(fields: Fields, manifest: Manifest) -> StockSource | None:
    """The operator's word, or the connector's; one that could never come true is refused."""
    if not fields.has("stock_source"):
        return manifest.stock_source
    said = stock_source(fields.block("stock_source"))
    read = manifest.reads.get("stock_reading")
    if said.missing_is_zero and (read is None or not read.snapshot):
        fields.refuse(
            "stock_source",
            f"has missing_is_zero, and a pass of {manifest.name} does not show every SKU",
            "Remove it: only a complete list can say that something is missing.",
        )
    if said.gapless and said.ordered_by != "counter":
        fields.refuse("stock_source", "is gapless without a counter", "Say ordered_by: counter.")
    return said


def _limits(fields: Fields) -> Limits:
    return Limits(
        negative=fields.count("negative"),
        times=fields.number("times"),
        units=fields.count("units"),
        never=_never(fields) if fields.has("never") else PLACEHOLDERS,
        gone_percent=fields.number("gone_percent"),
        gone_least=fields.count("gone_least"),
    )


def _never(fields: Fields) -> frozenset[int]:
    found = set()
    for word, line in fields.words_with_lines("never"):
        if WHOLE.fullmatch(word):
            found.add(int(word))
        else:
            fields.refuse_at(line, "never", f"has {quoted(word)}, which is no whole number")
    return frozenset(found)


def _settings(fields: Fields, manifest: Manifest, network: str) -> dict[str, str]:
    given = fields.pairs("settings")
    for key, (value, line) in given.items():
        if key not in manifest.settings:
            fix = suggest(key, manifest.settings)
            if key in manifest.secrets:
                fix = "It is a secret: put it under secrets."
            fields.refuse_at(
                line, "settings", f"has {quoted(key)}, which {manifest.name} does not know", fix
            )
        elif "${" in value:
            fields.refuse_at(
                line,
                f"settings.{key}",
                "is not a secret",
                "Only secrets come from the environment.",
            )
    settings: dict[str, str] = {}
    for key, setting in manifest.settings.items():
        value, line = given.get(key, (setting.default, fields.line_of("settings")))
        if setting.required and not value:
            fields.refuse_at(
                line, f"settings.{key}", "is missing", f"{manifest.name}: {setting.what}"
            )
        if value and (key == "base_url" or key.endswith("_url")):
            why = why_not_url(value, private=network == "private")
            if why is not None:
                fields.refuse_at(line, f"settings.{key}", why, _url_fix(why))
        settings[key] = value
    return settings


def _url_fix(why: str) -> str:
    """What now: only where the operator may decide otherwise."""
    if "plain http" in why:
        return "Use https, or say network: private if the system is in your own network."
    if "private network" in why:
        return "Say network: private if the system is in your own network."
    if "metadata" in why:
        return "Those are never called (T10)."
    return "Write it like https://erp.example.com."


def _secrets(fields: Fields, manifest: Manifest, around: Around) -> dict[str, Secret]:
    known = list(manifest.secrets)
    if manifest.hooks is not None:
        known.append(f"{manifest.hooks.secret}_old")  # both are accepted while rotating (T3)
    found: dict[str, Secret] = {}
    given = fields.pairs("secrets")
    for key, (value, line) in given.items():
        name = key if key in known else key.removesuffix("_file")
        if name not in known:
            fields.refuse_at(
                line,
                "secrets",
                f"has {quoted(key)}, which {manifest.name} does not know",
                suggest(key, known),
            )
        elif name in found or (name != key and name in given):
            fields.refuse_at(line, f"secrets.{name}", "is given twice", "Keep one.")
        else:
            try:
                found[name] = _secret(value, around, in_file=key != name)
            except SecretRefused as error:
                fields.refuse_at(line, f"secrets.{key}", f": {error.what}", error.fix)
    for name, secret in manifest.secrets.items():
        if secret.required and name not in given and f"{name}_file" not in given:
            fields.refuse_at(
                fields.line_of("secrets"),
                f"secrets.{name}",
                "is missing",
                f"{manifest.name}: {secret.what}",
            )
    return found


def _day(fields: Fields, key: str) -> date | None:
    text = fields.text(key)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        fields.refuse(key, f"is {quoted(text)}, not a day like 2027-01-31")
        return None


def _ca_file(fields: Fields, folder: Path) -> Path | None:
    text = fields.text("ca_file")
    if not text:
        return None
    path = folder / text
    if not os.path.isfile(path):  # noqa: PTH113  Path.is_file raises on a name too long
        fields.refuse("ca_file", f"is {quoted(text)}, and there is no such file")
    return path


def _every(fields: Fields, manifest: Manifest) -> dict[str, float]:
    every = {resource: spec.every_s for resource, spec in manifest.reads.items()}
    for resource, (text, line) in fields.pairs("every").items():
        if resource not in every:
            fields.refuse_at(
                line,
                "every",
                f"has {quoted(resource)}, which {manifest.name} does not read",
                suggest(resource, manifest.reads),
            )
            continue
        try:
            every[resource] = seconds(text)
        except ValueError as error:
            fields.refuse_at(line, f"every.{resource}", str(error))
            continue
        if every[resource] < EVERY_LEAST_S:
            fields.refuse_at(line, f"every.{resource}", "is less than 1s")
    return every
