"""What a connector promises, read from its manifest.yaml (docs/connectors.md).

The core believes only what is written there: what a system may own, how its
commands are made safe, what its stock number means. A manifest that promises
something unclear is refused at start, with file and line.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import ConfigError, Problem
from core.fields import Fields, Problems, quoted, suggest
from core.manifest_table import ANSWERS, LOGIN_WORDS, MANIFEST
from core.manifest_types import (
    FOR_SALE,
    AcceptSpec,
    Budget,
    Hooks,
    Login,
    Manifest,
    ReadSpec,
    Setting,
    StockSource,
    StockWrite,
)
from core.model import COMMANDS, NUMBERS, RECORDS
from core.strict import read_yaml

__all__ = [
    "AcceptSpec",
    "Budget",
    "Hooks",
    "Login",
    "Manifest",
    "ReadSpec",
    "Setting",
    "StockSource",
    "StockWrite",
    "bundled",
    "load_manifest",
]

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
ENTRY_POINTS = "truecount.connectors"


def load_manifest(name: str, search: Sequence[Path] = ()) -> Manifest:
    """Read a connector's manifest: from `search`, from our own folder, then from other people's.

    Raises ConfigError. Nothing of the connector is imported (T28: only what the
    operator named is looked for, and it runs later, with full rights).
    """
    if not NAME.fullmatch(name):
        raise _lone(
            name[:60],
            f"{quoted(name)} is not a connector name",
            "A letter first, then a-z, 0-9 and _.",
        )
    folder, package = _find(name, search)
    path = folder / "manifest.yaml"
    file = _short(path)
    node = read_yaml(path, file, inside=folder)
    problems = Problems(file)
    fields = Fields(node, MANIFEST, problems)
    raw = node.plain()
    manifest = _manifest(fields, name, folder, package, raw if isinstance(raw, dict) else {})
    problems.stop()
    return manifest


def bundled() -> tuple[str, ...]:
    """Names of the connectors that come with us, for messages and the support table."""
    root = _root()
    return tuple(sorted(path.parent.name for path in root.glob("*/manifest.yaml"))) if root else ()


def stock_source(fields: Fields) -> StockSource:
    """The meaning of a stock number; the same block in a manifest and in config.yaml."""
    return StockSource(
        basis=fields.choice("basis"),
        ordered_by=fields.choice("ordered_by"),
        settle_s=fields.seconds("settle"),
        missing_is_zero=fields.flag("missing_is_zero"),
        gapless=fields.flag("gapless"),
        for_sale=fields.words("for_sale") if fields.has("for_sale") else FOR_SALE,
    )


# ---------------------------------------------------------------- where it is


def _root() -> Path | None:
    """Our connectors' folder, found without importing anything in it."""
    spec = importlib.util.find_spec("connectors")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _find(name: str, search: Sequence[Path]) -> tuple[Path, str]:
    root = _root()
    for parent in (*search, *([root] if root else [])):
        if (parent / name / "manifest.yaml").is_file():
            return parent / name, f"connectors.{name}"
    points = list(importlib.metadata.entry_points(group=ENTRY_POINTS, name=name))
    for point in points:
        spec = importlib.util.find_spec(point.module)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(place) / "manifest.yaml").is_file():
                return Path(place), point.module
    if points:
        raise _lone(
            points[0].module,
            f"the package of connector {quoted(name)} has no manifest.yaml",
            "Ask its author for one, or reinstall it.",
        )
    raise _lone(
        f"connectors/{name}",
        f"there is no connector {quoted(name)}",
        suggest(name, bundled()),
    )


def _short(path: Path) -> str:
    """As an operator knows it: from the folder that holds `connectors`, or as it is."""
    return "/".join(path.parts[-3:])


def _lone(file: str, what: str, fix: str) -> ConfigError:
    return ConfigError([Problem(file=file, line=1, what=what, fix=fix)])


# ---------------------------------------------------------------- what it says


def _manifest(
    fields: Fields, name: str, folder: Path, package: str, raw: dict[str, Any]
) -> Manifest:
    if fields.text("name") not in ("", name):
        fields.refuse("name", f"is not the name of its folder, {name}")
    engine = fields.text("engine") or name
    if not NAME.fullmatch(engine):
        fields.refuse("engine", "is not a connector name", "A letter first, then a-z, 0-9 and _.")
    settings = _asked(fields, "settings")
    secrets = _asked(fields, "secrets")
    for both in sorted(settings.keys() & secrets.keys()):
        fields.refuse("secrets", f"and settings both have {quoted(both)}", "Keep one.")
    manifest = Manifest(
        name=name,
        title=fields.text("title"),
        engine=engine,
        package=package if engine == name else f"connectors.{engine}",
        folder=folder,
        file=_short(folder / "manifest.yaml"),
        roles=_words_of(fields, "roles", ("channel", "warehouse", "erp", "courier", "oms")),
        owns=_words_of(fields, "owns", NUMBERS),
        receives=_words_of(fields, "receives", NUMBERS),
        verified=fields.text("verified"),
        settings=settings,
        secrets=secrets,
        login=_login(fields.block("login"), settings, secrets),
        hooks=_hooks(fields.block("hooks"), secrets) if fields.has("hooks") else None,
        reads=_reads(fields),
        accepts=_accepts(fields),
        stock_write=_stock_write(fields.block("stock_write"))
        if fields.has("stock_write")
        else None,
        stock_source=stock_source(fields.block("stock_source"))
        if fields.has("stock_source")
        else None,
        budgets={
            word: Budget(per_second=one.number("per_second"), burst=one.number("burst"))
            for word, one in fields.named("budgets").items()
        },
        at_once=fields.count("at_once"),
        timeout_s=fields.seconds("timeout"),
        answer_max=fields.size("answer_max"),
        answers=_answers(fields),
        raw=raw,
    )
    _refuse_contradictions(fields, manifest)
    return manifest


def _refuse_contradictions(fields: Fields, manifest: Manifest) -> None:
    owns, receives = manifest.owns, manifest.receives
    if "warehouse" in manifest.roles and "on_hand" in owns and manifest.stock_source is None:
        fields.refuse(
            "owns",
            "has on_hand, and nothing says what that number means (S3)",
            "Add stock_source: {basis: …, ordered_by: …}.",
        )
    if "available_to_sell" in receives and manifest.stock_write is None:
        fields.refuse(
            "receives",
            "has available_to_sell, and nothing says how it is written",
            "Add stock_write: {write: …, field: …, batch: …}.",
        )
    if manifest.stock_write is not None and "available_to_sell" not in receives:
        fields.refuse(
            "stock_write",
            "is for a number it does not receive",
            "Add available_to_sell to receives.",
        )
    for word in owns:
        if word in receives:
            fields.refuse("receives", f"has {word}, which it also owns", "Keep one.")


def _words_of(
    fields: Fields, key: str, known: Sequence[str] | Mapping[str, Any]
) -> tuple[str, ...]:
    words = fields.words(key)
    for word in words:
        if word not in known:
            fields.refuse(key, f"has {quoted(word)}", suggest(word, known))
    return tuple(word for word in words if word in known)


def _asked(fields: Fields, key: str) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for name, one in fields.named(key).items():
        if not NAME.fullmatch(name):
            one.refuse("", "is not a name", "A letter first, then a-z, 0-9 and _.")
        elif key == "secrets" and name.endswith(("_file", "_old")):
            # config.yaml writes NAME_file for a path and NAME_old while rotating (T3).
            one.refuse("", "has a name whose ending means something else", "Rename it.")
        found[name] = Setting(
            name=name,
            required=one.flag("required"),
            default=one.text("default") if key == "settings" else "",
            what=one.text("what"),
        )
    return found


def _login(
    fields: Fields, settings: Mapping[str, Setting], secrets: Mapping[str, Setting]
) -> Login:
    kind = fields.choice("kind")
    words: dict[str, str] = {}
    needed, allowed = LOGIN_WORDS.get(kind, ((), ()))
    for key in ("header", "prefix", "secret", "user", "url", "client_id", "client_secret"):
        _login_word(fields, key, words)
    for key in ("refresh_token", "sends", "rotates", "expires_in"):
        _login_word(fields, key, words)
    for key in needed:
        if key not in words:
            fields.refuse(key, "is missing", f"Login of kind {kind} needs it.")
    for key in words:
        if kind and key not in needed and key not in allowed:
            fields.refuse(key, f"means nothing for login of kind {kind}", "Remove it.")
    if words.get("sends", "form") not in ("form", "json"):
        fields.refuse("sends", "may be form or json")
    for key in ("secret", "user", "client_id", "client_secret", "refresh_token", "url"):
        name = words.get(key, "")
        known = secrets if key == "secret" else {**settings, **secrets}
        if name and name not in known and not (key == "url" and "://" in name):
            fields.refuse(key, f"is {quoted(name)}, which is not declared", suggest(name, known))
    return Login(kind=kind, words=words)


def _login_word(fields: Fields, key: str, words: dict[str, str]) -> None:
    if fields.has(key):
        words[key] = fields.text(key)


def _hooks(fields: Fields, secrets: Mapping[str, Setting]) -> Hooks:
    topic = fields.block("topic")
    hooks = Hooks(
        scheme=fields.choice("scheme"),
        header=fields.text("header").lower(),
        prefix=fields.text("prefix"),
        secret=fields.text("secret"),
        topic_header=topic.text("header").lower(),
        topic_always=topic.text("always"),
        topics=fields.words("topics"),
        identity=tuple(word.lower() for word in fields.words("identity")),
        body_max=fields.size("body_max"),
    )
    if hooks.secret and hooks.secret not in secrets:
        fields.refuse(
            "secret",
            f"is {quoted(hooks.secret)}, which is not declared",
            suggest(hooks.secret, secrets),
        )
    if hooks.prefix and not hooks.scheme.startswith("hmac_"):
        fields.refuse("prefix", f"means nothing for scheme {hooks.scheme}", "Remove it.")
    if not hooks.header and hooks.scheme != "unsigned":
        fields.refuse("header", "is missing", f"Scheme {hooks.scheme} reads it.")
    if bool(hooks.topic_header) == bool(hooks.topic_always):
        fields.refuse("topic", "is either {header: …} or {always: …}")
    if hooks.topic_header and not hooks.topics:
        fields.refuse("topics", "is missing", "List the topics worth keeping (T25).")
    return hooks


def _reads(fields: Fields) -> dict[str, ReadSpec]:
    found: dict[str, ReadSpec] = {}
    for word, one in fields.named("reads").items():
        if word not in RECORDS:
            one.refuse("", "is not a record", suggest(word, RECORDS))
        found[word] = ReadSpec(
            every_s=one.seconds("every"),
            overlap_s=one.seconds("overlap"),
            snapshot=one.flag("snapshot"),
            fetch=one.flag("fetch"),
            full_every_s=one.seconds("full_every"),
        )
    return found


def _accepts(fields: Fields) -> dict[str, AcceptSpec]:
    found: dict[str, AcceptSpec] = {}
    for word, one in fields.named("accepts").items():
        if word not in COMMANDS:
            one.refuse("", "is not a command", suggest(word, COMMANDS))
        found[word] = AcceptSpec(
            safe_by=one.choice("safe_by"),
            lookup_after_s=one.seconds("lookup_after"),
            key_memory_s=one.seconds("key_memory"),
            urgency=one.choice("urgency"),
        )
    return found


def _stock_write(fields: Fields) -> StockWrite:
    return StockWrite(
        write=fields.choice("write"),
        field=fields.choice("field"),
        batch=fields.count("batch"),
        settle_s=fields.seconds("settle"),
    )


def _answers(fields: Fields) -> dict[int, str]:
    found: dict[int, str] = {}
    for status, (word, _) in fields.pairs("answers").items():
        if not re.fullmatch(r"[1-5][0-9][0-9]", status):
            fields.refuse("answers", f"has {quoted(status)}, not a status like 423")
        elif word not in ANSWERS:
            fields.refuse("answers", f"has {quoted(word)}", f"It may be {' or '.join(ANSWERS)}.")
        else:
            found[int(status)] = word
    return found
