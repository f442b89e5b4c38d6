"""What config.yaml says, typed. Durations are seconds, sizes bytes, paths absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from core.manifest import Manifest, StockSource
from core.plausible import Limits
from core.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    name: str
    timezone: ZoneInfo
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    hooks: Address
    public_url: str  # "" where no subscription is to be made
    operations: Address
    connections: int
    body_max: int
    deadline_s: float
    waiting_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Without a password the operations port is bound to this machine only (T16)."""

    user: str
    password: Secret | None
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One outside system. `settings` include the connector's defaults; `line` is for messages."""

    name: str
    connector: str
    manifest: Manifest
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    network: Literal["public", "private"]
    plans: bool  # nothing is sent to it: `mode: plan`, its own or that of the whole daemon
    ca_file: Path | None
    mappings: Path
    every_s: Mapping[str, float]  # resource -> seconds, the manifest's own included
    ignore_places: frozenset[str]
    stock_source: StockSource | None
    limits: Limits
    login_ends: date | None  # the last day its credential works, as the operator says
    line: int

    @property
    def hook_secrets(self) -> tuple[Secret, ...]:
        """The current webhook secret, then the old one while rotating; none: no pushes."""
        hooks = self.manifest.hooks
        if hooks is None or hooks.secret not in self.secrets:
            return ()
        names = (hooks.secret, f"{hooks.secret}_old")
        return tuple(self.secrets[name] for name in names if name in self.secrets)

    @property
    def private(self) -> bool:
        return self.network == "private"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place that can ship. `serves` is in order of importance."""

    name: str
    at: Mapping[str, str]
    serves: tuple[str, ...]
    safety_stock: int
    line: int
    serves_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerRow:
    """One entry of `owners` as it was written; core/ownership.py says what it means."""

    number: str
    of: tuple[str, ...]
    owner: str
    readers: tuple[str, ...] | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    policy: Literal["shared", "split", "adaptive"]
    linger_s: float
    settle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    user: str
    password: Secret | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    at: str  # "07:30", in the company's zone
    settle_s: float
    recipients: tuple[str, ...]
    sender: str
    smtp: Smtp


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    raw_s: float
    buyer_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    level: str
    format: Literal["text", "json"]
