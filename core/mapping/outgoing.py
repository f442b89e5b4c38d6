"""Our command to their document: left is theirs (dots nest), right is ours.

Every name of ours is checked against the command's annotations at load. What is
null is left out of the body: a system reads an explicit null as "delete this".
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from core.mapping import steps
from core.mapping.build import Marks, assign, function, functions, tested
from core.mapping.catalog import OUTGOING, Kind
from core.mapping.incoming import A
from core.mapping.lines import (
    ABOVE_HELP,
    Condition,
    Line,
    Report,
    Use,
    entries,
    few_blocks,
    parse_conditions,
    parse_line,
    short,
)
from core.mapping.paths import ABOVE, Names, call, load
from core.mapping.shape import fields_of, names_of
from core.mapping.tables import OTHERWISE, Beside, near_otherwise, with_rows
from core.mapping.watching import Watch
from core.strict import Node, nearest, nearest_word

HEAD = frozenset({"mapping", "version", "sends", "body", "choices", "required"})
_LIST_WORDS = frozenset({"each", "skip_when", "fields", "value"})
_FINAL = frozenset({"text", "whole", "number", "flag", "choice", "texts", "wholes", "numbers"})
_PLURAL = {"text": "texts", "whole": "wholes", "number": "numbers", "enum": "texts"}
_HELP = {
    "money": "money must say its form: add | decimal, | amount or | minor",
    "time": 'a time must say its form: add | iso, | time "UTC", | date or | epoch',
    "record": "is a group; name one of its fields",
    "words": "is a group; name one of its words",
    "records": "is a list; write a block with each",
}


@dataclass(frozen=True, slots=True)
class Ours:
    """A name of ours as code, and what it holds."""

    code: ast.expr
    kind: Kind
    member: Kind = ""  # of a list


@dataclass(frozen=True, slots=True)
class Scope:
    """The record names of ours are looked for in, and the one its list stands in."""

    of: type
    above: type | None = None


class Outgoing:
    """Reads, checks and builds one outgoing file in one walk."""

    def __init__(
        self,
        root: Node,
        command: type,
        report: Report,
        marks: Marks,
        watch: Watch | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._beside = beside or Beside()
        self._root = root
        self._command = command
        self._report = report
        self._marks = marks
        self._names = Names(watch)
        self._functions: list[ast.stmt] = []
        self._tables: dict[str, Node] = {}
        self._used: set[str] = set()
        self._required: dict[str, Node] = {}
        self.lines: list[tuple[str, Line]] = []

    def build(self) -> Callable[[Any], Any] | None:
        """The function, or None where the report has problems."""
        self._tables = {
            key.text: value
            for key, value in entries(self._root.get("choices"), "choices", self._report)
        }
        required = self._root.get("required")
        self._required = {member.text: member for member in required} if required else {}
        for key, _ in self._root.items():
            if key.text not in HEAD:
                self._report.add(key, f"{key.text} is not known here", nearest(key.text, HEAD))
        body = self._root.get("body")
        if body is None:
            self._report.add(self._root, "body is missing")
            return None
        result = self._value(body, Scope(self._command), "", top=True)
        self._leftovers()
        if self._report.problems or result is None:
            return None
        main = function("body", ["item"], [ast.Return(result)])
        self._marks.place(main, body, "", "")
        functions(ast.Module([*self._functions, main], []), self._marks.file, self._names)
        made: Callable[[Any], Any] = self._names.bound["body"]
        return made

    def _leftovers(self) -> None:
        for name, node in self._tables.items():
            if name not in self._used:
                self._report.add(node, f"choices.{name} is used by no line")
        said = [their for their, _ in self.lines]
        for name, node in self._required.items():
            if name not in said:
                self._report.add(node, f"required: {name} is not in the body", nearest(name, said))

    # ------------------------------------------------------------ objects and lists

    def _value(
        self, node: Node, scope: Scope, prefix: str, *, top: bool = False
    ) -> ast.expr | None:
        if _is_block(node):
            return self._needed(node, self._list(node, scope, prefix), prefix)
        if node.kind == "list" and any(member.kind == "map" for member in node):
            return self._needed(node, self._several(node, scope, prefix), prefix)
        if node.kind == "map":
            return self._object(node.items(), scope, prefix, top=top)
        with self._report.about(prefix[:-1]):
            line = parse_line(node, OUTGOING, self._report, paths=False)
            return None if line is None else self._line(line, scope, prefix)

    def _object(
        self, pairs: Any, scope: Scope, prefix: str, *, top: bool = False
    ) -> ast.expr | None:
        groups: dict[str, list[tuple[str, Node, Node]]] = {}
        for key, value in pairs:
            head, dot, rest = key.text.partition(".")
            if not head or (dot and not rest):
                self._report.add(key, f'"{key.text}" is not a name of theirs')
                continue
            groups.setdefault(head, []).append((rest, key, value))
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        for head, members in groups.items():
            made = self._group(head, members, scope, prefix)
            if made is not None:
                keys.append(ast.Constant(head))
                values.append(made)
        return self._names.run(steps.kept if top else steps.kept_inside, ast.Dict(keys, values))

    def _group(
        self, head: str, members: list[tuple[str, Node, Node]], scope: Scope, prefix: str
    ) -> ast.expr | None:
        plain = [value for rest, _, value in members if not rest]
        if plain and len(members) > 1:
            self._report.add(members[-1][1], f"{prefix}{head} is set in two ways", "Remove one.")
            return None
        if plain:
            return self._value(plain[0], scope, f"{prefix}{head}.")
        inner = [(_renamed(key, rest), value) for rest, key, value in members]
        return self._object(inner, scope, f"{prefix}{head}.")

    def _several(self, node: Node, scope: Scope, prefix: str) -> ast.expr | None:
        """Blocks one after the other make one list: the goods, then their taxes."""
        parts: list[ast.expr] = []
        for member in few_blocks(list(node), prefix[:-1], self._report):
            if not _is_block(member):
                self._report.add(member, f"{prefix[:-1]}: is not a block with fields or value")
            elif (made := self._list(member, scope, prefix)) is not None:
                parts.append(ast.Starred(made, ast.Load()))
        result = ast.List(parts, ast.Load())
        self._marks.place(result, node, prefix[:-1], "")
        return result if len(parts) == len(list(node)) else None

    def _needed(self, node: Node, made: ast.expr | None, prefix: str) -> ast.expr | None:
        if made is None or prefix[:-1] not in self._required:
            return made
        result = self._names.run(steps.need_full, self._names.run(steps.some, made))
        each = node.get("each") if node.kind == "map" else None
        self._marks.place(result, node, prefix[:-1], each.text if each is not None else "")
        return result

    def _list(self, node: Node, scope: Scope, prefix: str) -> ast.expr | None:
        for key, _ in node.items():
            if key.text not in _LIST_WORDS:
                self._report.add(
                    key, f"{key.text} is not known here", nearest(key.text, _LIST_WORDS)
                )
        each, inner = node.get("each"), scope
        source: ast.expr = ast.Tuple([_pair("item", ABOVE if scope.above else "")], ast.Load())
        if each is not None:
            found = self._list_of_ours(each, scope)
            if found is None:
                return None
            inner, source = found
        body = node.get("fields") or node.get("value")
        if body is None:
            self._report.add(node, f"{prefix[:-1]}: fields is missing")
            return None
        made = self._value(body, inner, prefix)
        conditions = parse_conditions(node.get("skip_when"), self._report, paths=False)
        tests = [
            test for each_ in conditions if (test := self._condition(each_, inner)) is not None
        ]
        if made is None:
            return None
        their = prefix[:-1]
        self.lines.append((their, Line(node)))
        return self._loop(node, source, made, tests, their)

    def _list_of_ours(self, node: Node, scope: Scope) -> tuple[Scope, ast.expr] | None:
        """The list of `each`, also through lists (`order.lines.taxes`): pairs of an entry and
        what it stands in."""
        inner, entry, loops = Scope(scope.of), "item", list[ast.comprehension]()
        code: ast.expr = load(entry)
        of, kind = scope.of, ""
        for word in node.text.split("."):
            field = fields_of(of).get(word)
            if field is None:
                self._unknown(node, node.text, scope.of)
                return None
            code, of, kind = ast.Attribute(code, word, ast.Load()), field.of, field.kind
            if kind not in ("record", "records"):
                break
            if kind == "records":
                holder, entry = entry, f"each{len(loops)}"
                loops.append(ast.comprehension(ast.Name(entry, ast.Store()), code, [], 0))
                inner, code = Scope(of, inner.of), load(entry)
        if kind == "records":
            return inner, ast.ListComp(_pair(entry, holder), loops)
        self._report.add(node, f"{short(node.text)} is not a list of ours")
        return None

    def _loop(
        self, node: Node, source: ast.expr, made: ast.expr, tests: list[ast.expr], their: str
    ) -> ast.expr:
        name = self._names.fresh("block")
        add: ast.stmt = ast.Expr(
            ast.Call(ast.Attribute(load("out"), "append", ast.Load()), [made], [])
        )
        ignore = ast.ExceptHandler(self._names.constant(steps.Ignored), None, [ast.Continue()])
        skips: list[ast.stmt] = [ast.If(test, [ast.Continue()], []) for test in tests]
        skips = [*self._names.entered(their), *skips]
        loop = ast.For(
            ast.Tuple(
                [ast.Name("at", ast.Store()), _pair("item", ABOVE, ast.Store())], ast.Store()
            ),
            call("enumerate", load("entries")),
            [*skips, ast.Try([add], [ignore], [], [])],
            [],
        )
        start = assign("out", ast.List([], ast.Load()))
        block = function(name, ["entries"], [start, loop, ast.Return(load("out"))])
        each = node.get("each")
        ours = each.text if each is not None else ""
        self._marks.place(block, node, their, ours)
        self._functions.append(block)
        result: ast.expr = call(name, source)
        self._marks.place(result, node, their, ours)
        return result

    def _condition(self, condition: Condition, scope: Scope) -> ast.expr | None:
        ours = self._ours(condition.node, condition.path_text, scope)
        if ours is None:
            return None
        if condition.asks == "empty" or ours.kind in ("text", "whole", "flag", "number"):
            test = tested(self._names, condition, ours.code)
        else:
            self._report.add(condition.node, f"{condition.path_text} can only be empty or present")
            return None
        result = ast.UnaryOp(ast.Not(), test) if condition.negated else test
        self._marks.place(result, condition.node, "skip_when", condition.path_text)
        return result

    # ------------------------------------------------------------ lines

    def _line(self, line: Line, scope: Scope, prefix: str) -> ast.expr | None:
        their = prefix[:-1]
        self.lines.append((their, line))
        if line.path_text:
            ours = self._ours(line.node, line.path_text, scope)
        else:
            ours = Ours(self._names.constant(line.constant), _constant_kind(line.constant))
        if ours is None:
            return None
        ours = self._noted(ours, their, line.path_text or line.node.text)
        for use in line.steps:
            ours = self._step(use, ours, line)
            if ours is None:
                return None
            ours = self._noted(ours, their, use.written)
        if ours.kind not in _FINAL:
            what = _HELP[ours.kind]
            said = f"{line.path_text} {what}" if what.startswith("is ") else what
            self._report.add(line.node, said)
            return None
        result = ours.code
        if ours.kind in ("texts", "wholes", "numbers"):
            result = self._names.run(steps.as_list, result)
        elif ours.kind == "text":
            result = self._names.run(steps.text, result)
        if their in self._required:
            result = self._names.run(steps.need_full, result)
        self._marks.place(result, line.node, their, line.path_text)
        result = self._names.tried(self._names.noted(result, their, ""), their)
        self._marks.place(result, line.node, their, line.path_text)
        return result

    def _noted(self, ours: Ours, their: str, step: str) -> Ours:
        return replace(ours, code=self._names.noted(ours.code, their, step))

    def _step(self, use: Use, ours: Ours, line: Line) -> Ours | None:
        if ours.kind not in use.step.takes:
            what = A.get(ours.kind, "a list" if ours.kind in _PLURAL.values() else "a group")
            said, fix = f"{use.name} cannot work on {what}", _HELP.get(ours.kind, "")
            self._report.add(line.node, said, fix, at=use.written)
            return None
        arguments = [] if use.argument is None else [use.argument]
        if use.step.arg == "table":
            table = self._table(line.node, str(use.argument))
            if table is None:
                return None
            arguments = [table]
        code = self._names.run(use.step.run, ours.code, *map(self._names.constant, arguments))
        if use.step.gives == "same":
            return Ours(code, ours.kind, ours.member)
        return Ours(code, ours.member if use.step.gives == "member" else use.step.gives)

    def _table(self, node: Node, name: str) -> steps.Table | None:
        table = self._tables.get(name)
        if table is None:
            known = nearest(name, self._tables)
            self._report.add(node, f"there is no choices.{name}", known, at=f"choose {name}")
            self._used.add(nearest_word(name, self._tables))  # one slip is one problem
            return None
        self._used.add(name)
        words: dict[str, Any] = {}
        ignored: set[str] = set()
        otherwise: Any = "hold"
        for key, value in entries(with_rows(table, self._beside), f"choices.{name}", self._report):
            if problem := near_otherwise(name, key):
                self._report.problems.append(problem)
            elif key.text == OTHERWISE and not key.quoted:
                otherwise = value.scalar
            elif value.text == "ignore" and not value.quoted:
                ignored.add(key.text)
            elif value.scalar is None:
                self._report.add(value, f"choices.{name}: {key.text} has no word of theirs")
            else:
                words[key.text] = value.scalar
        holds, ignores = otherwise == "hold", otherwise == "ignore"
        return steps.Table(name, words, otherwise, frozenset(ignored), holds, ignores)

    def _ours(self, node: Node, text: str, scope: Scope) -> Ours | None:
        """`ship_to.name`, `extras.shop`, `lines.quantity` (a list) as attribute access: the
        words are field names of the model, never free text."""
        code: ast.expr = load("item")
        rest, of = text.split("."), scope.of
        if rest[0] == ABOVE and len(rest) > 1:
            if scope.above is None:
                self._report.add(node, f"{text}: nothing is above here", ABOVE_HELP)
                return None
            code, rest, of = load(ABOVE), rest[1:], scope.above
        start, named = of, ".".join(rest)
        while True:
            word, *rest = rest
            field = fields_of(of).get(word)
            if field is None:
                self._unknown(node, named, start)
                return None
            code = ast.Attribute(code, word, ast.Load())
            if field.kind == "words" and rest:
                get = ast.Attribute(code, "get", ast.Load())
                return Ours(ast.Call(get, [ast.Constant(".".join(rest))], []), "text")
            if field.kind == "records" and rest:
                return self._plural(node, code, rest, field.of)
            if field.kind == "record" and rest:
                of = field.of
            elif rest:
                self._report.add(node, f"{text}: {word} has no parts")
                return None
            elif field.kind in ("texts", "enum"):
                return Ours(code, "texts", "text") if field.kind == "texts" else Ours(code, "text")
            else:
                return Ours(code, field.kind)

    def _plural(self, node: Node, code: ast.expr, rest: list[str], of: type) -> Ours | None:
        field = fields_of(of).get(rest[0])
        if field is None or len(rest) > 1 or field.kind not in _PLURAL:
            self._unknown(node, ".".join(rest), of)
            return None
        each = ast.comprehension(ast.Name("each", ast.Store()), code, [], 0)
        element = ast.Attribute(load("each"), rest[0], ast.Load())
        kind = "text" if field.kind == "enum" else field.kind
        return Ours(ast.ListComp(element, [each]), _PLURAL[field.kind], kind)

    def _unknown(self, node: Node, text: str, of: type) -> None:
        names = names_of(of)
        hint = nearest(text, names) or f"Fields are: {', '.join(names)}"
        self._report.add(node, f"{short(text)} is not a field of ours", hint)


def _is_block(node: Node) -> bool:
    return node.kind == "map" and bool({"each", "fields"} & set(node.keys()))


def _pair(entry: str, above: str, context: ast.expr_context | None = None) -> ast.expr:
    """(entry, above) as names; no name for what stands in nothing."""
    context = context or ast.Load()
    holder = ast.Name(above, context) if above else ast.Constant(None)
    return ast.Tuple([ast.Name(entry, context), holder], context)


def _renamed(key: Node, text: str) -> Node:
    return Node("scalar", key.file, key.line, key.column, text, text, key.quoted)


def _constant_kind(value: object) -> Kind:
    if isinstance(value, bool):
        return "flag"
    return "whole" if isinstance(value, int) else "text"
