from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from shopee_kit import STRUCTURE, Bench, bench


@pytest.fixture
async def shops() -> AsyncIterator[Callable[..., Bench]]:
    """Makes shops. Whatever a test makes the two say is held against the published structure."""
    made: list[Bench] = []

    def a_shop(**settings: str) -> Bench:
        made.append(bench(**settings))
        return made[-1]

    yield a_shop
    for one in made:
        await one.fake.settle()
        await one.door.aclose()
        if STRUCTURE.is_file():
            one.witness.check()


@pytest.fixture
def shop(shops: Callable[..., Bench]) -> Bench:
    return shops()
