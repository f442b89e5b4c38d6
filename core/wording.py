"""Counts in sentences that people read."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """1 unit, 2 units."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
