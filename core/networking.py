"""From what the operator configured to the network the decisions see."""

from __future__ import annotations

from core.config import Config
from core.config_types import System
from core.errors import ConfigError, Problem
from core.items import Items
from core.items_file import load_items
from core.ledger import Source
from core.network import Accepts, Location, Network, StockWrite
from core.offer_rules import Rules
from core.rules_file import Tags, load_rules


def network_of(config: Config) -> Network:
    """The seller's network. Raises ConfigError where a location cannot be shipped from."""
    systems = config.systems
    channels = tuple(name for name, s in systems.items() if "channel" in s.manifest.roles)
    return Network(
        company=config.company.name,
        zone=config.company.timezone,
        currency=config.company.currency,
        locations={name: _location(config, name) for name in config.routing},
        channels=channels,
        ledgers=tuple(name for name, s in systems.items() if "erp" in s.manifest.roles),
        sources={name: _source(s) for name, s in systems.items() if _meaning(s) is not None},
        accepts={
            (name, kind): Accepts(
                safe_by=spec.safe_by,
                lookup_after_s=spec.lookup_after_s,
                urgent=spec.urgency == "high",
                key_memory_s=spec.key_memory_s,
            )
            for name, s in systems.items()
            for kind, spec in s.manifest.accepts.items()
        },
        stock_writes={
            name: StockWrite(
                write=s.manifest.stock_write.write,  # type: ignore[arg-type]  # its closed list
                field=s.manifest.stock_write.field,  # type: ignore[arg-type]  # the same
                batch=s.manifest.stock_write.batch,
                settle_s=s.manifest.stock_write.settle_s,
            )
            for name, s in systems.items()
            if s.manifest.stock_write is not None
        },
        ignored_places={name: s.ignore_places for name, s in systems.items()},
        limits={name: s.limits for name, s in systems.items()},
        owners=config.ownership.owners(),
        terms=config.terms,
        rounding_limit_minor=config.rounding_limit_minor,
        publication=config.publish.policy,
        plans=frozenset(name for name, s in systems.items() if s.plans),
    )


def items_of(config: Config, network: Network, text: str | None = None) -> Items:
    """The items of the file that `items:` names; as they would be with `text` in it. Raises
    ConfigError with all its problems."""
    if config.items is None:
        return Items(many_words=frozenset(network.channels))
    return load_items(
        config.items,
        config.items.as_posix(),
        systems=config.systems,
        channels=network.channels,
        text=text,
    )


def rules_of(config: Config, network: Network, tags: Tags) -> Rules:
    """The offer rules of the file that `rules:` names. Raises ConfigError with all its problems."""
    if config.rules is None:
        return Rules(tags=tags)
    return load_rules(config.rules, config.rules.as_posix(), network, tags)


def _location(config: Config, name: str) -> Location:
    location = config.locations[name]
    ships = config.ownership.owner("shipment", name) or config.ownership.owner("on_hand", name)
    if ships not in location.at:
        raise ConfigError(
            [
                Problem(
                    file=config.file,
                    line=location.line,
                    what=f"location {name!r} does not say what {ships} calls it",
                    fix=f"Add `{ships}: THEIR-WORD` under `at:` of {name}.",
                )
            ]
        )
    return Location(
        name=name,
        at=location.at,
        serves=location.serves,
        safety_stock=location.safety_stock,
        stock_owner=config.ownership.owner("on_hand", name),
        ships=ships,
    )


def _meaning(system: System) -> object:
    return system.stock_source or system.manifest.stock_source


def _source(system: System) -> Source:
    spec = system.stock_source or system.manifest.stock_source
    assert spec is not None
    return Source(
        basis="available" if spec.basis == "available" else "on_hand",
        ordered_by=spec.ordered_by,  # type: ignore[arg-type]  # the manifest's closed list
        settle_s=spec.settle_s,
        snapshot=_shows_all(system),
        missing_is_zero=spec.missing_is_zero,
        gapless=spec.gapless and spec.ordered_by == "counter",
        for_sale=frozenset(spec.for_sale),
    )


def _shows_all(system: System) -> bool:
    read = system.manifest.reads.get("stock_reading")
    return read is not None and read.snapshot
