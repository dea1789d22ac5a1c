from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..hosting.test_processes import Nursery
from .serving import ENGINES, forking


@pytest.fixture
def anyio_backend() -> str:
    """The stores that servers share are for asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with forking() as started:
        yield started


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)
