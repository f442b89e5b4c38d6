"""The two real servers, started once per test session on fresh copies of their data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.tryton.harness import Bookkeeper, Worker, connector, tryton
from tests.tryton.server import TrytonServer


@pytest.fixture(scope="session")
def erp_server() -> Iterator[TrytonServer]:
    with tryton("erp") as server:
        yield server


@pytest.fixture(scope="session")
def wms_server() -> Iterator[TrytonServer]:
    with tryton("wms") as server:
        yield server


@pytest.fixture
async def tryton_erp(erp_server: TrytonServer) -> AsyncIterator[Any]:
    """The ledger's connector behind a real Door."""
    async with connector(erp_server) as system:
        yield system


@pytest.fixture
async def tryton_wms(wms_server: TrytonServer) -> AsyncIterator[Any]:
    async with connector(wms_server) as system:
        yield system


@pytest.fixture(scope="session")
def worker(wms_server: TrytonServer) -> Iterator[Worker]:
    with Worker(wms_server) as person:
        yield person


@pytest.fixture(scope="session")
def bookkeeper(erp_server: TrytonServer) -> Iterator[Bookkeeper]:
    with Bookkeeper(erp_server) as person:
        yield person
