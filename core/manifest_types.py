"""What a connector promises, typed. Durations are seconds, sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Words of a warehouse for units that may be sold, where nobody says others.
FOR_SALE = ("available", "good")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting or secret a connector asks the operator for."""

    name: str
    required: bool
    default: str  # always "" for a secret
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """`words` holds the keys docs/connectors.md lists for the kind, as text."""

    kind: str
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """How a push is verified and named. Exactly one of the two topics is set."""

    scheme: str
    header: str
    prefix: str
    secret: str
    topic_header: str
    topic_always: str
    topics: tuple[str, ...]
    identity: tuple[str, ...]
    body_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSpec:
    every_s: float
    overlap_s: float
    snapshot: bool
    fetch: bool
    full_every_s: float = 0.0  # 0: never from the beginning again


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptSpec:
    safe_by: str
    lookup_after_s: float
    key_memory_s: float
    urgency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StockWrite:
    write: str
    field: str
    batch: int
    settle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StockSource:
    basis: str
    ordered_by: str
    settle_s: float
    missing_is_zero: bool
    gapless: bool = False
    for_sale: tuple[str, ...] = FOR_SALE


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    per_second: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`package` is what to import for `connect`; `raw` is the whole file, for engines."""

    name: str
    title: str
    engine: str
    package: str
    folder: Path
    file: str
    roles: tuple[str, ...]
    owns: tuple[str, ...]
    receives: tuple[str, ...]
    verified: str
    settings: Mapping[str, Setting]
    secrets: Mapping[str, Setting]
    login: Login
    hooks: Hooks | None
    reads: Mapping[str, ReadSpec]
    accepts: Mapping[str, AcceptSpec]
    stock_write: StockWrite | None
    stock_source: StockSource | None
    budgets: Mapping[str, Budget]
    at_once: int
    timeout_s: float
    answer_max: int
    answers: Mapping[int, str]
    raw: Mapping[str, Any]
