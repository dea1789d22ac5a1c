"""`PostgresStore` keeps the whole contract, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from responses_stream import ResponseStore
from responses_stream.stores.conformance import StoreConformance

from .shared_stores import postgres_stores
from .test_conformance import Clock


class TestPostgresStore(StoreConformance):
    backends = ("asyncio",)
    can_pass_time = True
    can_be_shared = True

    @asynccontextmanager
    async def _pair(self) -> AsyncIterator[tuple[ResponseStore, ResponseStore]]:
        self.clock = Clock()
        async with postgres_stores(2, clock=self.clock) as (one, other):
            yield one, other

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ResponseStore]:
        self.clock = Clock()
        async with postgres_stores(clock=self.clock) as [store]:
            yield store

    def open_store(self) -> AbstractAsyncContextManager[ResponseStore]:
        return self._opened()

    def open_pair(self) -> AbstractAsyncContextManager[tuple[ResponseStore, ResponseStore]]:
        return self._pair()

    def make_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds
