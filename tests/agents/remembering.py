"""Sessions for tests: anchors, stores that fail or wait where a test wants that, and a turn that counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from responses_stream import MemoryStore, SqliteStore
from responses_stream.agents.response_sessions import ResponseSessionStore
from responses_stream.agents.session_stores import MemorySessionStore, SessionKey, SessionStore
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.turn import SessionAnchor

from ..hosting.staging import Gate, StoreTrouble

KINDS = pytest.mark.parametrize("kind", ["memory", "responses", "sqlite"])


def snapshot(id: str) -> SessionAnchor:
    return SessionAnchor(id, "snapshot")


def head(id: str) -> SessionAnchor:
    return SessionAnchor(id, "head")


@attrs.define
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[SessionStore]:
    """Open a session store of a *kind* of `KINDS`."""
    if kind == "memory":
        yield MemorySessionStore()
        return
    store = SqliteStore(folder / "responses.db") if kind == "sqlite" else MemoryStore()
    yield ResponseSessionStore(store)
    await store.aclose()


@attrs.define(eq=False)
class BrokenSessionStore:
    """A store that fails or waits where a test wants that."""

    inner: MemorySessionStore = attrs.field(factory=MemorySessionStore)
    broken: set[str] = attrs.field(factory=set)
    gates: dict[str, Gate] = attrs.field(factory=dict)
    calls: list[str] = attrs.field(factory=list)

    async def _enter(self, name: str) -> None:
        self.calls.append(name)
        await anyio.lowlevel.checkpoint()
        if name in self.gates:
            await self.gates[name].enter()
        if name in self.broken:
            raise StoreTrouble(f"{name} is broken")

    async def get(self, key: SessionKey) -> bytes | None:
        await self._enter("get")
        return await self.inner.get(key)

    async def set(self, key: SessionKey, state: bytes) -> None:
        await self._enter("set")
        await self.inner.set(key, state)

    async def delete(self, key: SessionKey) -> None:
        await self._enter("delete")
        await self.inner.delete(key)


async def count(sessions: Sessions, anchor: SessionAnchor | None, new: str, partition: str = "") -> int:
    """Take a turn that counts the turns before it."""
    async with sessions.turn(anchor, new, partition) as session:
        session.state = {"turns": (session.state or {"turns": 0})["turns"] + 1}
        turns: int = session.state["turns"]
        return turns
