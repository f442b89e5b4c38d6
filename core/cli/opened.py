"""What a verb beside the daemon works with: the checked config and the state, read-only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from core import items_in_force, rules_in_force
from core.clock import SystemClock
from core.config import Config, load_config
from core.errors import ConfigError, Problem
from core.network import Network
from core.networking import network_of
from core.store.engine import read_only, schema_of
from core.store.refusals import refuse_older_schema


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
            connection.exec_driver_sql("BEGIN")  # all that a verb says is of one moment
            refuse_older_schema(database, schema_of(connection) or 0)
            file = config.rules.as_posix() if config.rules else "rules.yaml"
            network = items_in_force.as_kept(network_of(config), connection)
            network = rules_in_force.as_kept(network, connection, file)
            yield Opened(config, network, connection, SystemClock().now())
    finally:
        engine.dispose()
