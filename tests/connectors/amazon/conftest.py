from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from amazon_kit import MODELS, SETTINGS, START, Door, Witness, a_fake

from connectors.amazon import Amazon
from connectors.amazon.fake import Fake
from core.clock import ManualClock


@dataclass
class Shop:
    """The connector, the fake behind it, and the clock both live by."""

    amazon: Amazon
    fake: Fake
    clock: ManualClock
    door: Door
    witness: Witness


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def witness(clock: ManualClock) -> Iterator[Witness]:
    """Whatever a test makes the two say to each other is held against Amazon's models."""
    seen = Witness(a_fake(clock))
    yield seen
    if MODELS.is_dir():
        seen.check()


@pytest.fixture
async def shop(clock: ManualClock, witness: Witness) -> AsyncIterator[Shop]:
    door = Door(witness)
    yield Shop(Amazon(door, SETTINGS), witness.app, clock, door, witness)
    await door.client.aclose()
