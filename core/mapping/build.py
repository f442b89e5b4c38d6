"""A checked plan to Python: an `ast` whose line numbers are the mapping file's.

A value that cannot be taken raises inside a frame of "mappings/shopify/order.yaml",
and that frame's position says which line of the operator's file it was, at no
cost while all is well. Only constants of ours and string literals get in here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType, TracebackType
from typing import Any

from core.mapping import steps
from core.mapping.incoming import FACTOR, Block, Plan, Reading, constant_of
from core.mapping.lines import Condition, Line, Use
from core.mapping.paths import ABOVE, Names, Reader, call, interpret, load
from core.mapping.shape import OTHER_CURRENCY, Field, fields_of
from core.mapping.watching import Watch
from core.strict import Node


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in the file a piece of compiled code comes from."""

    our: str
    path: str
    line: int
    column: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The innermost spot of a failure and which entry of which list it was."""

    spot: Spot
    entry: int | None


class Marks:
    """From code positions back to lines of the mapping."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._spots: dict[tuple[int, int], Spot] = {}
        self._lines: dict[int, Spot] = {}

    def place(self, tree: ast.AST, node: Node, our: str, path: str) -> None:
        """Positions for all of `tree` that has none yet."""
        spot = Spot(our, path, node.line, node.column)
        self._spots.setdefault((node.line, node.column), spot)
        self._lines.setdefault(node.line, spot)
        for each in ast.walk(tree):
            if isinstance(each, ast.expr | ast.stmt | ast.keyword | ast.arg) and not hasattr(
                each, "lineno"
            ):
                each.lineno = each.end_lineno = node.line
                each.col_offset, each.end_col_offset = node.column, node.column + 1

    def find(self, trace: TracebackType | None) -> Found:
        found = Spot("", "", 1)
        entry: int | None = None
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_filename == self.file:
                line, _, column, _ = list(code.co_positions())[trace.tb_lasti // 2]
                spot = self._spots.get((line or 0, column or 0)) or self._lines.get(line or 0)
                found = spot or found
                entry = trace.tb_frame.f_locals.get("at", entry)
            trace = trace.tb_next
        return Found(found, entry)


def functions(tree: ast.Module, file: str, names: Names) -> None:
    """Compile and bind every function of the module, without running the module."""
    ast.fix_missing_locations(tree)
    for code in compile(tree, file, "exec").co_consts:
        if isinstance(code, CodeType):
            names.bound[code.co_name] = FunctionType(code, names.bound)


def function(name: str, arguments: list[str], body: list[ast.stmt]) -> ast.FunctionDef:
    parameters = ast.arguments([], [ast.arg(each) for each in arguments], None, [], [], None, [])
    return ast.FunctionDef(name, parameters, body, [], None)


def assign(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)


class Builder:
    """Makes `record(item, external_id, revision)` of one incoming plan."""

    def __init__(self, reading: Reading, marks: Marks, watch: Watch | None = None) -> None:
        self._reading = reading
        self.names = Names(watch)
        self.marks = marks
        self._functions: list[ast.stmt] = []
        self._own_currency = False  # named by a line at the top, not by a field

    def build(self, plan: Plan) -> Callable[[Any, str, str], Any]:
        reader = Reader(self.names, "item", "view")
        known = fields_of(plan.record)
        currency: ast.expr = ast.Constant(None)
        if "currency" in plan.fields:
            currency = self._field(plan, "currency", known["currency"], reader, "")
            currency = self.names.run(steps.currency_code, currency)
            line = plan.fields["currency"]
            self.marks.place(currency, line.node, "currency", line.path_text)
        elif plan.currency is not None:
            line, self._own_currency = plan.currency, True
            currency = self.names.run(steps.text, self._value(line, None, reader, "", "currency"))
            currency = self.names.run(steps.currency_code, currency)
            self.marks.place(currency, line.node, "currency", line.path_text)
        body: list[ast.stmt] = [assign("cur", self.names.tried(currency, "currency"))]
        skip = self._skip(plan, reader, [ast.Return(ast.Constant(None))])
        body.append(ast.Return(self._record(plan, reader, "", top=True)))
        start = [assign("view", _dict_or_empty("item")), assign("top", load("item"))]
        main = function(
            "record", ["item", "external_id", "revision"], [*start, *reader.fetches, *skip, *body]
        )
        self.marks.place(main, plan.node, "", "")
        functions(ast.Module([*self._functions, main], []), self.marks.file, self.names)
        made: Callable[[Any, str, str], Any] = self.names.bound["record"]
        return made

    # ------------------------------------------------------------ records

    def _record(self, plan: Plan, reader: Reader, prefix: str, *, top: bool = False) -> ast.expr:
        words: list[ast.keyword] = []
        known = fields_of(plan.record)
        nested: dict[str, list[tuple[str, str]]] = {}
        for name in plan.fields:
            head, dot, rest = name.partition(".")
            if dot:
                nested.setdefault(head, []).append((rest, name))
            elif top and name == "currency":
                words.append(ast.keyword(name, load("cur")))
            else:
                value = self._field(plan, name, known[name], reader, prefix)
                words.append(ast.keyword(name, value))
        for head, inner in nested.items():
            words.append(ast.keyword(head, self._nested(plan, known[head], inner, reader, prefix)))
        for name, blocks in plan.blocks.items():
            words.append(ast.keyword(name, self._list(blocks, name, reader, prefix)))
        if top:
            words += [
                ast.keyword(name, load(hint))
                for name, hint in (("key", "external_id"), ("revision", "revision"))
                if name in known and name not in plan.fields
            ]
        return ast.Call(self.names.constant(plan.record), [], words)

    def _nested(
        self, plan: Plan, outer: Field, inner: list[tuple[str, str]], reader: Reader, prefix: str
    ) -> ast.expr:
        if outer.kind == "words":
            free = Field(outer.name, "text", None, required=False, default=None)
            values = [self._field(plan, name, free, reader, prefix) for _, name in inner]
            keys: list[ast.expr | None] = [ast.Constant(rest) for rest, _ in inner]
            return self.names.run(steps.filled, ast.Dict(keys, values))
        known = fields_of(outer.of)
        words = [
            ast.keyword(rest, self._field(plan, name, known[rest], reader, prefix))
            for rest, name in inner
        ]
        return ast.Call(self.names.constant(outer.of), [], words)

    # ------------------------------------------------------------ lists

    def _list(self, blocks: list[Block], name: str, reader: Reader, prefix: str) -> ast.expr:
        parts = [self._block(block, f"{prefix}{name}", reader) for block in blocks]
        result = parts[0] if parts else ast.Tuple([], ast.Load())
        for part in parts[1:]:
            result = ast.BinOp(result, ast.Add(), part)
        if f"{prefix}{name}" in self._reading.required:
            result = self.names.run(steps.need_full, result)
            self.marks.place(result, blocks[0].node, f"{prefix}{name}", blocks[0].each_text)
        return result

    def _block(self, block: Block, our: str, outer: Reader) -> ast.expr:
        """A function of its own: def block(entries, cur, top, above): for at, item in …."""
        above = Reader(self.names, ABOVE, "above_view")
        reader = Reader(self.names, "item", "view", above)
        skip = self._skip(block.plan, reader, [ast.Continue()], f"{our}.")
        made = self._record(block.plan, reader, f"{our}.")
        add: ast.stmt = ast.Expr(
            ast.Call(ast.Attribute(load("out"), "append", ast.Load()), [made], [])
        )
        ignore = ast.ExceptHandler(self.names.constant(steps.Ignored), None, [ast.Continue()])
        self.marks.place(add, block.node, our, block.each_text)
        inner = [assign("view", _dict_or_empty("item")), *reader.fetches, *skip]
        inner = [*self.names.entered(our), *inner]
        loop = ast.For(
            ast.Tuple([ast.Name("at", ast.Store()), ast.Name("item", ast.Store())], ast.Store()),
            call("enumerate", load("entries")),
            [*inner, ast.Try([add], [ignore], [], [])],
            [],
        )
        name = self.names.fresh("block")
        body: list[ast.stmt] = [
            assign("out", ast.List([], ast.Load())),
            assign("above_view", _dict_or_empty(ABOVE)),
            *above.fetches,
            loop,
            ast.Return(call("tuple", load("out"))),
        ]
        made_function = function(name, ["entries", "cur", "top", ABOVE], body)
        self.marks.place(made_function, block.node, our, block.each_text)
        self._functions.append(made_function)
        source: ast.expr = ast.Tuple([load("item")], ast.Load())
        if block.each is not None:
            take = steps.members if block.word == "each" else steps.pairs
            source = self.names.run(take, outer.value(block.each))
            each = block.node.get(block.word)
            assert each is not None
            self.marks.place(source, each, our, block.each_text)
            source = self.names.noted(source, our, f"{block.word} {block.each_text}")
            self.marks.place(source, each, our, block.each_text)
        made_list = call(name, source, load("cur"), load("top"), load("item"))
        return self.names.tried(made_list, our, ast.Tuple([], ast.Load()))

    def _skip(
        self, plan: Plan, reader: Reader, then: list[ast.stmt], prefix: str = ""
    ) -> list[ast.stmt]:
        tests = [self.condition(each, reader, prefix) for each in plan.skip]
        if not tests:
            return []
        return [ast.If(ast.BoolOp(ast.Or(), tests) if len(tests) > 1 else tests[0], then, [])]

    def condition(self, condition: Condition, reader: Reader, prefix: str) -> ast.expr:
        assert condition.path is not None
        value = reader.value(condition.path)
        test = tested(self.names, condition, value)
        result = ast.UnaryOp(ast.Not(), test) if condition.negated else test
        self.marks.place(result, condition.node, "skip_when", condition.path_text)
        result = self.names.noted(result, f"{prefix}skip_when", condition.node.text)
        self.marks.place(result, condition.node, "skip_when", condition.path_text)
        return result

    # ------------------------------------------------------------ fields

    def _field(self, plan: Plan, name: str, into: Field, reader: Reader, prefix: str) -> ast.expr:
        line = plan.fields[name]
        our = f"{prefix}{name}"
        if line.path is None and not line.steps:
            result = self.names.constant(constant_of(line.constant, into))
            result = self.names.noted(result, our, line.node.text)
        else:
            value = self._value(line, into, reader, name, our)
            result = self._finish(value, _end_kind(line), into, our)
        self.marks.place(result, line.node, our, line.path_text)
        result = self.names.tried(self.names.noted(result, our, ""), our)
        self.marks.place(result, line.node, our, line.path_text)
        return result

    def _value(
        self, line: Line, into: Field | None, reader: Reader, name: str, our: str
    ) -> ast.expr:
        value = self.names.constant(line.constant) if line.path is None else reader.value(line.path)
        value = self.names.noted(value, our, line.path_text or f"= {line.constant}")
        for use in line.steps:
            value = self.names.noted(self._step(use, value, into, reader, name), our, use.written)
        return value

    def _step(
        self, use: Use, value: ast.expr, into: Field | None, reader: Reader, name: str
    ) -> ast.expr:
        if use.step.arg == "currency":
            return self._amount(use, value, reader, name)
        if use.step.arg == "table":
            assert into is not None
            table = self._reading.table(str(use.argument), into)
            return self.names.run(use.step.run, value, self.names.constant(table))
        if use.step.arg == "units":
            assert use.path is not None
            factors = self.names.constant(self._reading.table(str(use.argument), FACTOR))
            return self.names.run(use.step.run, value, reader.value(use.path), factors)
        if use.step.arg == "lookup":
            assert use.path is not None
            rows = self.names.run(interpret, self.names.constant(use.path), load("top"))
            return self.names.run(use.step.run, value, rows, *map(ast.Constant, use.argument))
        if use.path is not None:
            return self.names.run(use.step.run, value, reader.value(use.path))
        if use.argument is None:
            return self.names.run(use.step.run, value)
        return self.names.run(use.step.run, value, self.names.constant(use.argument))

    def _amount(self, use: Use, value: ast.expr, reader: Reader, name: str) -> ast.expr:
        """In the record's currency, or in its own, which must then be the record's."""
        if use.path is None and use.argument is None:
            return self.names.run(use.step.run, value, load("cur"))
        own: ast.expr = ast.Constant(use.argument)
        if use.path is not None:
            own = self.names.run(steps.text, reader.value(use.path))
        made = self.names.run(use.step.run, value, own)
        if name in OTHER_CURRENCY or not self._has_currency():
            return made
        return self.names.run(steps.same_currency, made, load("cur"))

    def _has_currency(self) -> bool:
        return self._own_currency or "currency" in fields_of(self._reading.record)

    def _finish(self, value: ast.expr, kind: str, into: Field, our: str) -> ast.expr:
        """To the field's exact type, then: missing where required, the default where null."""
        if into.kind == "texts":
            value = self.names.run(steps.texts, value)
        elif into.kind == "number" and kind == "whole":
            value = self.names.run(steps.number, value)
        elif into.kind == "text" and kind in ("whole", "number"):
            value = self.names.run(steps.text, value)
        elif into.kind == "text" and kind == "raw":
            return self._raw_text(value, into, our)
        if our in self._reading.required or our == "key":
            return self.names.run(steps.need_full, value)
        if into.required:
            return self._unless_none(value, self.names.run(steps.need, ast.Constant(None)))
        if into.default is None or into.kind == "texts":
            return value
        return self._unless_none(value, self.names.constant(into.default))

    def _raw_text(self, value: ast.expr, into: Field, our: str) -> ast.expr:
        """Most lines: text that is text already costs one type check and no call."""
        name = self.names.fresh("v")
        if our in self._reading.required or our == "key":
            return self.names.run(steps.need_full, self.names.run(steps.text, value))
        other = self.names.run(steps.text_or, load(name), self.names.constant(into.default))
        if into.required:
            other = self.names.run(steps.need, self.names.run(steps.text, load(name)))
        kept = ast.NamedExpr(ast.Name(name, ast.Store()), value)
        is_text = ast.Compare(call("type", kept), [ast.Is()], [load("str")])
        return ast.IfExp(is_text, load(name), other)

    def _unless_none(self, value: ast.expr, other: ast.expr) -> ast.expr:
        name = self.names.fresh("v")
        kept = ast.NamedExpr(ast.Name(name, ast.Store()), value)
        return ast.IfExp(ast.Compare(kept, [ast.IsNot()], [ast.Constant(None)]), load(name), other)


def tested(names: Names, condition: Condition, value: ast.expr) -> ast.expr:
    """What a skip_when asks of a value, before its `not`."""
    match condition.asks:
        case "empty":
            return names.run(steps.bare, value)
        case "zero":
            return names.run(steps.is_zero, value)
        case "one_of":
            return names.run(steps.says_one, value, names.constant(condition.words))
        case _:
            return names.run(steps.says, value, ast.Constant(condition.words[0]))


def _end_kind(line: Line) -> str:
    kind = "raw" if line.path is not None else "text"
    for use in line.steps:
        kind = kind if use.step.gives == "same" else use.step.gives
    return kind


def _dict_or_empty(name: str) -> ast.expr:
    is_dict = ast.Compare(call("type", load(name)), [ast.Is()], [load("dict")])
    return ast.IfExp(is_dict, load(name), load("EMPTY"))
