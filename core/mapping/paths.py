"""Their side of a line: JMESPath without its pipe, parsed by `jmespath`, compiled by us.

The interpreter costs ten times hand-written Python; generated Python costs
1.3 times. What the compiler does not know falls back to the interpreter, and a
differential test keeps both equal. Nothing an operator typed is ever evaluated
as Python: names of theirs become string constants, nothing else (T9).
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

import jmespath
from jmespath import functions as _functions
from jmespath.exceptions import (
    IncompleteExpressionError,
    JMESPathError,
    LexerError,
    ParseError,
)
from jmespath.visitor import TreeInterpreter

from core.mapping.watching import Watch

Parsed = dict[str, Any]

#: The standard's functions that keep numbers exact and cannot be written as steps.
FUNCTIONS = frozenset(
    "contains ends_with keys length max_by min_by not_null reverse sort_by starts_with to_array"
    " values".split()
)
PATH_MAX = 500
#: Inside of a list's block, the head of a path into what the list stands in.
ABOVE = "above"
EMPTY: dict[str, Any] = {}


class PathError(ValueError):
    """Not a path we accept; the message completes "the path x …"."""


def parse_path(text: str) -> Parsed:
    if len(text) > PATH_MAX:
        raise PathError(f"is longer than {PATH_MAX} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PendingDeprecationWarning)
            parsed = cast(Parsed, jmespath.compile(text).parsed)
    except PendingDeprecationWarning:
        raise PathError("has a text in ` `; text stands in ' '") from None
    except IncompleteExpressionError:
        raise PathError("ends too early") from None
    except (ParseError, LexerError) as error:
        at = error.lex_position if isinstance(error, ParseError) else error.lexer_position
        raise PathError(f"cannot be read from column {at + 1} on") from None
    except (JMESPathError, ValueError, RecursionError, TypeError, KeyError, IndexError):
        raise PathError("cannot be read") from None
    if parsed["type"] == "expref":
        raise PathError("has a & outside a function")
    for node in _walk(parsed, 0):
        _check(node)
    return parsed


def _walk(node: Any, depth: int) -> Iterator[Parsed]:
    if depth > 40:
        raise PathError("is nested too deep")
    if isinstance(node, dict):
        yield node
        if node["type"] != "literal":
            for child in node["children"]:
                yield from _walk(child, depth + 1)


def _check(node: Parsed) -> None:
    match node["type"]:
        case "pipe":
            raise PathError("has a | inside brackets")
        case "function_expression" if node["value"] not in FUNCTIONS:
            raise PathError(f"uses {node['value']}(); use a step instead, or put text in ' '")
        case "function_expression":
            signature = _functions.Functions.FUNCTION_TABLE[node["value"]]["signature"]
            if len(node["children"]) < len(signature):
                raise PathError(f"gives {node['value']}() too few values")
        case kind if kind != "function_expression" and _has_reference(node):
            raise PathError("has a & outside a function")
        case "slice" if 0 in node["children"][2:]:
            raise PathError("has a slice with step 0")
        case "literal":
            node["value"] = _exact(node["value"])


def _has_reference(node: Parsed) -> bool:
    return any(isinstance(child, dict) and child["type"] == "expref" for child in node["children"])


def _exact(value: Any) -> Any:
    """A literal of theirs is exact too: `1.5` is a Decimal."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, list):
        return [_exact(each) for each in value]
    if isinstance(value, dict):
        return {key: _exact(each) for key, each in value.items()}
    return value


def chain(node: Parsed) -> tuple[str, ...] | None:
    """("shippingAddress", "zip") for a plain dotted path, else None."""
    if node["type"] == "field":
        return (str(node["value"]),)
    if node["type"] == "subexpression":
        parts = [chain(child) for child in node["children"]]
        if all(part is not None for part in parts):
            return tuple(word for part in parts if part for word in part)
    return None


def heads(node: Any) -> Iterator[str]:
    """The names at which a path begins in the object of its own scope."""
    children = node["children"]
    match node["type"]:
        case "field":
            yield str(node["value"])
        case "literal" | "identity" | "current":
            return
        case "subexpression" | "index_expression" | "flatten":
            yield from heads(children[0])
        case "projection" | "value_projection" | "filter_projection":
            yield from heads(children[0])
        case _:  # comparators, logic, functions, lists: each of their parts
            for child in children:
                if isinstance(child, dict):
                    yield from heads(child)


# ---------------------------------------------------------------- run time


def beside(item: Any, above: Any) -> Any:
    """For the interpreter: the entry, with what its list stands in under that name."""
    return {**item, ABOVE: above} if type(item) is dict else item


def interpret(node: Parsed, value: Any) -> Any:
    try:
        return TreeInterpreter().visit(cast(Any, node), value)
    except (JMESPathError, TypeError):
        return None  # the standard raises on a wrong type; ours is null in, null out


def field(value: Any, name: str) -> Any:
    return value.get(name) if type(value) is dict else None


def index(value: Any, at: int) -> Any:
    if type(value) is not list:
        return None
    try:
        return value[at]
    except IndexError:
        return None


def cut(value: Any, start: int | None, stop: int | None, step: int | None) -> Any:
    return value[start:stop:step] if type(value) is list else None


def flatten(value: Any) -> Any:
    if type(value) is not list:
        return None
    merged: list[Any] = []
    for each in value:
        if type(each) is list:
            merged.extend(each)
        else:
            merged.append(each)
    return merged


def project(value: Any, pick: Callable[[Any], Any]) -> Any:
    if type(value) is not list:
        return None
    return [found for each in value if (found := pick(each)) is not None]


def project_values(value: Any, pick: Callable[[Any], Any]) -> Any:
    if type(value) is not dict:
        return None
    return [found for each in value.values() if (found := pick(each)) is not None]


def select(value: Any, wanted: Callable[[Any], Any], pick: Callable[[Any], Any]) -> Any:
    if type(value) is not list:
        return None
    return [
        found for each in value if not hollow(wanted(each)) and (found := pick(each)) is not None
    ]


def hollow(value: Any) -> bool:
    """False in the eyes of JMESPath, where 0 is true."""
    return value is None or value is False or value in ("", [], {})


def equal(left: Any, right: Any) -> bool:
    """1 is not true and 0 is not false."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def negated(value: Any) -> bool:
    return False if type(value) in (int, Decimal) else not value


RUNTIME: dict[str, Any] = {
    "EMPTY": EMPTY,
    **{
        run.__name__: run
        for run in (
            interpret, beside, field, index, cut, flatten, project, project_values, select, hollow,
            equal, negated,
        )
    },
}  # fmt: skip


# ---------------------------------------------------------------- compile time


class Names:
    """The global names of one compiled mapping: constants that are no literals.

    With a `watch` the same code also tells what it comes to, step by step.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self.bound: dict[str, Any] = dict(RUNTIME)
        self.watch = watch
        self._count = 0

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"

    def constant(self, value: Any) -> ast.expr:
        if value is None or type(value) in (str, int, bool):
            return ast.Constant(value)
        name = self.fresh("k")
        self.bound[name] = value
        return load(name)

    def run(self, function: Callable[..., Any], *args: ast.expr) -> ast.Call:
        name = f"run_{function.__module__.rpartition('.')[2]}_{function.__name__}"
        self.bound.setdefault(name, function)
        return call(name, *args)

    def noted(self, value: ast.expr, our: str, step: str) -> ast.expr:
        """The same value, told to whoever watches."""
        if self.watch is None:
            return value
        seen = self.constant(self.watch.seen)
        return ast.Call(seen, [ast.Constant(our), ast.Constant(step), value], [])

    def tried(self, value: ast.expr, our: str, instead: ast.expr | None = None) -> ast.expr:
        """Whoever watches wants to see what comes after a value that cannot be taken."""
        if self.watch is None:
            return value
        nothing = ast.arguments([], [], None, [], [], None, [])
        tried = self.constant(self.watch.tried)
        other = instead or ast.Constant(None)
        return ast.Call(tried, [ast.Constant(our), ast.Lambda(nothing, value), other], [])

    def entered(self, our: str) -> list[ast.stmt]:
        """Inside a loop: of which list the next entry is."""
        if self.watch is None:
            return []
        entered = self.constant(self.watch.entered)
        return [ast.Expr(ast.Call(entered, [ast.Constant(our)], []))]


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(load(name), list(args), [])


def method(owner: ast.expr, name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(owner, name, ast.Load()), list(args), [])


class Reader:
    """Turns parsed paths into expressions over one object, sharing what they share.

    `item` is the variable with the object itself, `view` the same object where it
    is a dict and an empty dict where it is not. Every prefix of a dotted path
    (shippingAddress of shippingAddress.zip) becomes one local, fetched once.
    `above` reads what the object's list stands in, where it stands in one.
    """

    def __init__(self, names: Names, item: str, view: str, above: Reader | None = None) -> None:
        self._names = names
        self._item = item
        self._above = above
        self._locals: dict[tuple[str, ...], str] = {(): view}
        self.fetches: list[ast.stmt] = []

    def value(self, node: Parsed) -> ast.expr:
        return self._value(node, None)

    def _dotted(self, words: tuple[str, ...]) -> ast.expr:
        return method(load(self._owner(words[:-1])), "get", ast.Constant(words[-1]))

    def _owner(self, words: tuple[str, ...]) -> str:
        if words not in self._locals:
            fetched = self._dotted(words)
            name = self._names.fresh("p")
            self.fetches += [
                ast.Assign([ast.Name(name, ast.Store())], fetched),
                ast.If(
                    ast.Compare(call("type", load(name)), [ast.IsNot()], [load("dict")]),
                    [ast.Assign([ast.Name(name, ast.Store())], load("EMPTY"))],
                    [],
                ),
            ]
            self._locals[words] = name
        return self._locals[words]

    def _value(self, node: Parsed, base: ast.expr | None) -> ast.expr:
        """`base` None means the object of this scope."""
        if base is None and (words := chain(node)):
            if self._above is not None and words[0] == ABOVE:
                above = self._above
                return above._dotted(words[1:]) if words[1:] else load(above._item)
            return self._dotted(words)
        here = load(self._item) if base is None else base
        children = node["children"]
        match node["type"]:
            case "field":
                return call("field", here, ast.Constant(node["value"]))
            case "subexpression" | "index_expression":
                result = base
                for child in children:
                    result = self._value(child, result)
                return here if result is None else result
            case "identity" | "current":
                return here
            case "literal":
                return self._names.constant(node["value"])
            case "index":
                return call("index", here, ast.Constant(node["value"]))
            case "slice":
                bounds = [*children, None, None, None][:3]
                return call("cut", here, *(ast.Constant(bound) for bound in bounds))
            case _:
                return self._many(node, base)

    def _many(self, node: Parsed, base: ast.expr | None) -> ast.expr:
        children = node["children"]
        match node["type"]:
            case "flatten":
                return call("flatten", self._value(children[0], base))
            case "projection":
                return self._project("project", children, base)
            case "value_projection":
                return self._project("project_values", children, base)
            case "filter_projection":
                picks = [self._lambda(children[2]), self._lambda(children[1])]
                return call("select", self._value(children[0], base), *picks)
            case _:
                return self._logic(node, base)

    def _logic(self, node: Parsed, base: ast.expr | None) -> ast.expr:
        children = node["children"]
        match node["type"]:
            case "comparator" if node["value"] in ("eq", "ne"):
                left, right = (self._value(child, base) for child in children)
                same = call("equal", left, right)
                return same if node["value"] == "eq" else ast.UnaryOp(ast.Not(), same)
            case "not_expression":
                return call("negated", self._value(children[0], base))
            case "or_expression" | "and_expression":
                return self._either(node, base)
            case _:
                here = load(self._item) if base is None else base
                if base is None and self._above is not None and ABOVE in heads(node):
                    here = call("beside", here, load(self._above._item))
                return call("interpret", self._names.constant(node), here)

    def _either(self, node: Parsed, base: ast.expr | None) -> ast.expr:
        left, right = (self._value(child, base) for child in node["children"])
        name = self._names.fresh("v")
        test: ast.expr = call("hollow", ast.NamedExpr(ast.Name(name, ast.Store()), left))
        if node["type"] == "or_expression":
            test = ast.UnaryOp(ast.Not(), test)
        return ast.IfExp(test, load(name), right)

    def _project(self, name: str, children: list[Parsed], base: ast.expr | None) -> ast.expr:
        return call(name, self._value(children[0], base), self._lambda(children[1]))

    def _lambda(self, node: Parsed) -> ast.expr:
        each = self._names.fresh("e")
        arguments = ast.arguments([], [ast.arg(each)], None, [], [], None, [])
        return ast.Lambda(arguments, self._value(node, load(each)))
