"""Both stores keep the whole contract, on both backends; the suite is the one that others run too."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import attrs
import pytest

from responses_stream import MemoryStore, ResponseStore, SqliteStore
from responses_stream.stores.conformance import StoreConformance


@attrs.define
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class TestMemoryStore(StoreConformance):
    can_pass_time = True

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ResponseStore]:
        self.clock = Clock()
        store = MemoryStore(clock=self.clock)
        yield store
        await store.aclose()

    def open_store(self) -> AbstractAsyncContextManager[ResponseStore]:
        return self._opened()

    def make_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds


class TestSqliteStore(StoreConformance):
    can_pass_time = True
    can_be_shared = True

    @asynccontextmanager
    async def _pair(self) -> AsyncIterator[tuple[ResponseStore, ResponseStore]]:
        self.clock = Clock()
        place = Path(tempfile.mkdtemp())
        try:
            stores = [SqliteStore(place / "responses.sqlite3", clock=self.clock) for _ in range(2)]
            yield stores[0], stores[1]
            for store in stores:
                await store.aclose()
        finally:
            shutil.rmtree(place)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ResponseStore]:
        async with self._pair() as (store, _):
            yield store

    def open_store(self) -> AbstractAsyncContextManager[ResponseStore]:
        return self._opened()

    def open_pair(self) -> AbstractAsyncContextManager[tuple[ResponseStore, ResponseStore]]:
        return self._pair()

    def make_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds


def test_the_suite_says_what_has_to_be_overridden() -> None:
    for method in (StoreConformance().open_store, StoreConformance().open_pair):
        with pytest.raises(NotImplementedError, match="override open_"):
            method()
    with pytest.raises(NotImplementedError, match="override make_time_pass"):
        StoreConformance().make_time_pass(1)
