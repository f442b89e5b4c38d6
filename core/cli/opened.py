"""What a verb beside the daemon works with: the checked config and the state, read-only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from core.clock import SystemClock
from core.config import Config, load_config
from core.errors import ConfigError, Problem
from core.network import Network
from core.networking import network_of
from core.store.engine import read_only


@dataclass(frozen=True, slots=True)
class Opened:
    config: Config
    network: Network
    connection: Connection
    now: datetime


def configured(path: Path) -> Config:
    if not path.exists():
        raise ConfigError(
            [
                Problem(
                    file=str(path),
                    line=1,
                    what="there is no such configuration",
                    fix="Copy config.example.yaml there, or name another with --config.",
                )
            ]
        )
    return load_config(path, os.environ)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The committed state of an installation, whether its daemon runs or not."""
    config = configured(path)
    database = config.state
    if not database.exists():
        raise ConfigError(
            [
                Problem(
                    file=str(database),
                    line=1,
                    what="there is no state yet",
                    fix="Start the daemon once with `truecount run`.",
                )
            ]
        )
    engine = read_only(database)
    try:
        with engine.connect() as connection:
            yield Opened(config, network_of(config), connection, SystemClock().now())
    finally:
        engine.dispose()
