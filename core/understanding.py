"""Stop 3: what was kept is understood, in our words, or held with the reason.

Pure but for the seal: nothing is decided here, and nothing written. A push that
brings no object is a hint at one; an absence brings none either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from sqlalchemy import Row

from core import inbox
from core.contract import Event, Item, Push
from core.errors import Hold
from core.mapping.book import MappingBook
from core.model import Record
from core.money import MoneyError
from core.seal import Seal
from core.strict import Malformed, load_json

#: What only a bug of ours, or a number beyond all reason, raises: it holds its own record and
#: delays nobody (H26). A state that cannot be written is not among them.
BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class Hears(Protocol):
    """What a system's pushes mean; a connector with `hooks:` in its manifest."""

    def events(self, push: Push) -> Sequence[Event]: ...


@dataclass(slots=True)
class Understood:
    """One inbox row in our words: records to decide on, hints to re-read, or a hold."""

    row: Row[Any]
    records: list[Record] = field(default_factory=list)
    hints: list[Event] = field(default_factory=list)
    mapping: str = ""
    hold: Hold | None = None
    about: str = ""  # the object it brings: "order P000017", by push and by poll the same


class Understanding:
    """What the rows of the inbox mean, by the mappings in force."""

    def __init__(
        self,
        seal: Seal,
        *,
        book: MappingBook,
        connectors: Mapping[str, str],
        hears: Mapping[str, Hears],
    ) -> None:
        self._seal = seal
        self._book = book
        self._connectors = connectors
        self._hears = hears

    def of(self, row: Row[Any]) -> Understood:
        result = Understood(row)
        if row.system not in self._connectors:
            result.hold = _left_out(row.system)
            return result
        try:
            if row.via == inbox.ABSENCE:
                return result
            for event in brought(self._seal, row, self._hears):
                if event.item is None:
                    result.hints.append(event)
                else:
                    self._understand_item(row.system, event.resource, event.item, result)
        except Hold as hold:
            result.hold = hold
        except Malformed as error:
            result.hold = Hold(
                f"{row.system} sent something that is not the JSON it should be: {error}",
                cause=f"malformed:{row.system}:{row.topic}",
                next_step="Look at the system; when it is well again, `truecount replay`.",
            )
        except BUGS as error:
            result.hold = as_hold(error)
        return result

    def _understand_item(self, system: str, resource: str, item: Item, result: Understood) -> None:
        result.about = f"{resource} {item.external_id}"
        mapping = self._book.incoming(self._connectors[system], resource)
        if mapping is None:
            raise Hold(
                f"there is no mapping for {resource} of {system}",
                cause=f"no_mapping:{self._connectors[system]}.{resource}",
                next_step=f"Add mappings/{self._connectors[system]}/{resource}.yaml.",
            )
        result.mapping = self._book.version(self._connectors[system], resource)
        record = mapping.record(item.body, external_id=item.external_id, revision=item.revision)
        if record is not None:
            result.records.append(record)


def brought(seal: Seal, row: Row[Any], hears: Mapping[str, Hears]) -> Sequence[Event]:
    """What a kept row holds: objects, and hints at objects. Raises Malformed."""
    bound = inbox.aad(row.system, row.topic)
    body = seal.open(row.body, bound)
    if row.via != "hook":
        item = Item(external_id=row.external_id, revision=row.revision, body=load_json(body))
        return [Event(resource=row.resource, external_id=row.external_id, item=item)]
    headers = load_json(seal.open(row.headers, bound)) if row.headers else {}
    return hears[row.system].events(Push(topic=row.topic, headers=headers, body=body))


def as_hold(error: Exception) -> Hold:
    if isinstance(error, Hold):
        return error
    if isinstance(error, MoneyError):
        return Hold(
            f"an amount of this record cannot be: {error}",
            cause="amount",
            next_step="Compare it with the system it came from; correct it there.",
        )
    structlog.get_logger().error("invariant.broken", what=str(error), kind=type(error).__name__)
    return Hold(
        f"this record would break an invariant: {error or type(error).__name__}",
        cause="invariant",
        next_step="This is a bug of Truecount: keep the state folder and report it.",
    )


def _left_out(system: str) -> Hold:
    return Hold(
        f"{system} is no longer in config.yaml, and this came from it",
        cause=f"no_system:{system}",
        next_step="Configure it again and run `truecount replay`, or leave the record held.",
    )
