"""The conformance suite for stores on real engines: asyncio only, as their drivers are, and shared by two servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from responses_stream import ResponseStore
from responses_stream.stores.conformance import StoreConformance

from .shared_stores import SHARED
from .test_conformance import Clock


class SharedConformance(StoreConformance):
    """The whole contract, of the stores on one engine.

    Attributes:
        engine: its name in `SHARED`.
    """

    engine: str
    backends = ("asyncio",)
    can_pass_time = True
    can_be_shared = True

    @asynccontextmanager
    async def _opened(self, count: int) -> AsyncIterator[list[ResponseStore]]:
        self.clock = Clock()
        async with SHARED[self.engine](count, clock=self.clock) as stores:
            yield stores

    @asynccontextmanager
    async def _single(self) -> AsyncIterator[ResponseStore]:
        async with self._opened(1) as [store]:
            yield store

    @asynccontextmanager
    async def _pair(self) -> AsyncIterator[tuple[ResponseStore, ResponseStore]]:
        async with self._opened(2) as [one, other]:
            yield one, other

    def open_store(self) -> AbstractAsyncContextManager[ResponseStore]:
        return self._single()

    def open_pair(self) -> AbstractAsyncContextManager[tuple[ResponseStore, ResponseStore]]:
        return self._pair()

    def make_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds
