"""Examples beside a mapping: `order.test.yaml` runs before the mapping does (H34).

    - name: an unknown payment word waits for a person
      given: samples/order_1001.json
      change: {displayFinancialStatus: ON_LAYAWAY}
      expect_hold: payment "ON_LAYAWAY" is not in choices.payment

`expect` names only what the example is about. For an outgoing mapping `given`
is one of our commands as JSON and `expect` is their body.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from core import codec
from core.clock import aware
from core.errors import ConfigError, Hold, InvariantBroken, Problem
from core.mapping.mapping import Mapping, load_mapping, stem_of
from core.mapping.misspelt import misspelt
from core.model import COMMANDS
from core.money import Money
from core.strict import Json, Malformed, Node, load_json, nearest, read_yaml

_WORDS = frozenset({"name", "given", "change", "expect", "expect_hold", "expect_skip"})
SAMPLE_MAX = 4 * 1024 * 1024


def tests_of(path: Path) -> Path:
    return path.with_name(f"{stem_of(path)}.test.yaml")


def run_samples(
    path: Path, file: str | None = None, mapping: Mapping | None = None
) -> list[Problem]:
    """Every example that does not come out as written; empty where all do."""
    file = file or f"mappings/{path.parent.name}/{path.name}"
    tests, shown = tests_of(path), f"{file.removesuffix('.yaml').removesuffix('.edit')}.test.yaml"
    if not tests.exists():
        return []
    try:
        mapping = mapping or load_mapping(path, file)
        root = read_yaml(tests, shown, inside=path.parent)
    except ConfigError as error:
        return list(error.problems)
    if root.kind != "list":
        return [root.problem("examples are a list", "Each begins with - name:")]
    return _Run(mapping, path.parent).all(root)


def samples_of(path: Path) -> list[Json]:
    """The documents the examples beside a mapping name, each once, as they are."""
    try:
        root = read_yaml(tests_of(path), tests_of(path).name, inside=path.parent)
    except ConfigError:
        return []
    named = {g.text for case in root if case.kind == "map" and (g := case.get("given"))}
    found = []
    for name in sorted(named):
        with contextlib.suppress(OSError, Malformed):
            found.append(load_json((path.parent / name).read_bytes()[: SAMPLE_MAX + 1]))
    return found


class _Run:
    def __init__(self, mapping: Mapping, folder: Path) -> None:
        self._mapping = mapping
        self._folder = folder
        self._seen: dict[str, Json] = {}

    def all(self, root: Node) -> list[Problem]:
        problems = [problem for case in root for problem in self._case(case)]
        if self._mapping.plan is None:
            return problems
        return [*misspelt(self._mapping.plan, list(self._seen.values())), *_each_once(problems)]

    def _case(self, case: Node) -> list[Problem]:
        wrong = [
            key.problem(f"{key.text} is not known here", nearest(key.text, _WORDS))
            for key, _ in case.items()
            if key.text not in _WORDS
        ]
        name, given = case.get("name"), case.get("given")
        asked = [word for word in ("expect", "expect_hold", "expect_skip") if case.get(word)]
        if name is None or given is None or len(asked) != 1:
            what = "an example has name, given and one of expect, expect_hold, expect_skip"
            return [*wrong, case.problem(what)]
        try:
            document = self._given(given)
            _change(document, case.get("change"))
        except ConfigError as error:
            return [*wrong, *error.problems]
        return [*wrong, *self._judge(case, name, document)]

    def _given(self, node: Node) -> Json:
        """A sample file below the folder of the mapping."""
        path = (self._folder / node.text).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise node.error(f"{node.text} is outside the folder of the mapping")
        if node.text not in self._seen:
            try:
                with path.open("rb") as stream:
                    data = stream.read(SAMPLE_MAX + 1)
                if len(data) > SAMPLE_MAX:
                    raise node.error(f"{node.text} is larger than 4 MiB")
                self._seen[node.text] = load_json(data)
            except OSError as error:
                raise node.error(f"{node.text} cannot be read: {error.strerror}") from None
            except Malformed as error:
                raise node.error(f"{node.text}: {error}") from None
        return copy.deepcopy(self._seen[node.text])

    def _judge(self, case: Node, name: Node, document: Json) -> Iterator[Problem]:
        wanted_hold, wanted_skip = case.get("expect_hold"), case.get("expect_skip")
        try:
            made = self._make(case, document)
        except Hold as hold:
            if wanted_hold is None:
                yield name.problem(f"{name.text}: held: {hold.reason}", hold.next_step)
            elif wanted_hold.text not in hold.reason:
                yield wanted_hold.problem(f"{name.text}: held for another reason: {hold.reason}")
            return
        except ConfigError as error:
            yield from error.problems
            return
        if wanted_hold is not None:
            yield wanted_hold.problem(f"{name.text}: was not held")
        elif wanted_skip is not None:
            if made is not None:
                yield wanted_skip.problem(f"{name.text}: was not skipped")
        elif made is None:
            yield name.problem(f"{name.text}: was skipped")
        else:
            expect = case.get("expect")
            assert expect is not None
            yield from _compare(expect, made, name.text, "")

    def _make(self, case: Node, document: Json) -> Any:
        if self._mapping.direction == "incoming":
            return self._mapping.record(document, external_id="sample", revision="1")
        given = case.get("given")
        assert given is not None
        try:
            command = codec.from_plain(COMMANDS[self._mapping.kind], document)
        except InvariantBroken as error:
            raise given.error(
                f"{given.text} is not a {self._mapping.kind} of ours: {error}"
            ) from None
        return self._mapping.body(command)


def _each_once(problems: list[Problem]) -> list[Problem]:
    """What holds one example for one reason holds many: it is said once, and how often."""
    found: dict[str, list[Problem]] = {}
    for one in problems:
        _, held, why = one.what.partition(": held: ")
        found.setdefault(why if held else str(one), []).append(one)
    return [
        replace(one, what=f"{one.what} (and {len(more)} more examples)") if more else one
        for one, *more in found.values()
    ]


def _change(document: Json, node: Node | None) -> None:
    """Set dotted paths; a number walks into a list, null sets null."""
    for key, value in node.items() if node else ():
        here = document
        *way, last = key.text.split(".")
        for word in [*way, None]:
            if isinstance(here, list):
                index = word if word is not None else last
                if not (index.isdigit() and int(index) < len(here)):
                    raise key.error(f"change: {key.text} is not in the sample")
            elif not isinstance(here, dict):
                raise key.error(f"change: {key.text} is not in the sample")
            if word is not None:
                here = here[int(word)] if isinstance(here, list) else here.setdefault(word, {})
        here[int(last) if isinstance(here, list) else last] = value.plain()


def _compare(expect: Node, made: Any, name: str, our: str) -> Iterator[Problem]:
    if expect.kind == "map":
        for key, value in expect.items():
            found, known = _walk(made, key.text)
            if not known:
                yield key.problem(f"{name}: {our}{key.text} does not exist")
            else:
                yield from _compare(value, found, name, f"{our}{key.text}.")
    elif expect.kind == "list":
        members = list(made) if isinstance(made, list | tuple) else []
        if len(members) != len(expect):
            yield expect.problem(
                f"{name}: {our[:-1]} has {len(members)} entries, not {len(expect)}"
            )
            return
        for at, (wanted, member) in enumerate(zip(expect, members, strict=True)):
            yield from _compare(wanted, member, name, f"{our}{at}.")
    elif not _equal(expect, made):
        yield expect.problem(f"{name}: {our[:-1]} is {_say(made)}, not {expect.text or 'null'}")


def _walk(made: Any, dotted: str) -> tuple[Any, bool]:
    if isinstance(made, dict) and dotted in made:
        return made[dotted], True
    for word in dotted.split("."):
        if isinstance(made, dict):
            if word not in made:
                return None, False
            made = made[word]
        elif word in getattr(type(made), "__dataclass_fields__", {}):
            made = getattr(made, word)
        else:
            return None, False
    return made, True


def _equal(expect: Node, made: Any) -> bool:
    """As an operator writes it: "199.00" or "199.00 EUR" for money, an instant in any zone."""
    text = expect.text
    if made is None:
        return expect.scalar is None
    if isinstance(made, bool):
        return expect.scalar is made
    if isinstance(made, Money):
        return text in (str(made), str(made.amount))
    if isinstance(made, datetime):
        try:
            return aware(datetime.fromisoformat(text)) == made
        except (ValueError, InvariantBroken):
            return False
    if isinstance(made, int | Decimal):
        try:
            return Decimal(text) == made
        except InvalidOperation:
            return False
    if made in ((), [], {}, ""):
        return text == ""
    return isinstance(made, str) and text == made


def _say(made: Any) -> str:
    if isinstance(made, datetime):
        return made.isoformat()
    return f'"{made}"' if isinstance(made, str) else str(made)
