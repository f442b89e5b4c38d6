"""A step of one connector's own: `| lazada.units`, a pure Python function where a format needs it.

A connector that has any brings `steps.py` with `STEPS = {"units": units}`: one value in,
one value out, None for None, ValueError with words for a person where it cannot. Found by
name, as connectors are; a mapping may use those of its own connector only.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import MappingError, Problem
from core.mapping.catalog import Step
from core.mapping.steps import StepError

_PURE = frozenset(
    "__future__ collections.abc datetime decimal fractions json math re typing unicodedata".split()
)
_IMPURE = frozenset("open eval exec compile __import__ input print globals vars".split())
_TAKES = frozenset({"raw", "text", "whole", "number"})


@cache
def steps_of(connector: str) -> Mapping[str, Step]:
    """By the name a mapping uses; empty where the connector has none."""
    if not connector.replace("_", "a").isalnum():
        return {}
    package = f"connectors.{connector}"
    try:
        if importlib.util.find_spec(f"{package}.steps") is None:
            return {}
    except ModuleNotFoundError:
        return {}
    functions: Mapping[str, Callable[[Any], Any]] = importlib.import_module(
        f"{package}.steps"
    ).STEPS
    return {
        f"{connector}.{name}": Step(_guarded(run), _TAKES, "raw") for name, run in functions.items()
    }


def assert_pure(path: Path) -> None:
    """A step sees its value and nothing else: no file, clock, chance, network or state."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Name) and node.id in _IMPURE:
            names = [node.id]
        for name in names:
            if name not in _PURE:
                what = f"a step of a mapping must be pure, and cannot use {name}"
                fix = f"It may import: {', '.join(sorted(_PURE))}"
                line = getattr(node, "lineno", 1)
                raise MappingError([Problem(file=str(path), line=line, what=what, fix=fix)])


def _guarded(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def step(value: Any) -> Any:
        if value is None:
            return None
        try:
            return run(value)
        except ValueError as error:
            raise StepError(value, str(error), "own_step") from None

    step.__name__ = run.__name__
    step.__module__ = run.__module__.replace(".", "_")
    return step
