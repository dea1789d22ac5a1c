"""What every session store promises, and what a store of responses does with sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import Identity, InvalidType, InvalidValue, MemoryStore, ResponsesServer, SqliteStore
from responses_stream.agents.response_sessions import ResponseSessionStore
from responses_stream.agents.session_stores import MemorySessionStore, SessionKey
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.turn import SessionAnchor
from responses_stream.stores.base import Ending, Key

from ..hosting.asking import ask
from ..hosting.staging import StoreTrouble
from .remembering import KINDS, Clock, count, head, opened, snapshot

pytestmark = pytest.mark.anyio

A, B = SessionKey("", "snapshot:resp_a"), SessionKey("", "snapshot:resp_b")


@KINDS
async def test_what_every_store_promises(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        assert await store.get(A) is None
        await store.delete(A)  # H21.7: nothing happens
        await store.set(A, b"1")
        await store.set(B, b"other")
        await store.set(SessionKey("p", A.id), b"foreign")
        assert await store.get(A) == b"1"
        for state in (b"2", b"", b"3" * 100_000):
            await store.set(A, state)
            assert await store.get(A) == state
        await store.delete(A)
        assert await store.get(A) is None
        assert (await store.get(B), await store.get(SessionKey("p", A.id))) == (b"other", b"foreign")
        await store.set(A, b"again")
        assert await store.get(A) == b"again"
        with pytest.raises(InvalidType, match="state"):
            await store.set(A, "text")  # type: ignore[arg-type]


def test_a_key_has_an_id() -> None:
    for id in ("", 3):
        with pytest.raises((InvalidValue, InvalidType), match="id"):
            SessionKey("", id)  # type: ignore[arg-type]
        with pytest.raises((InvalidValue, InvalidType), match="id"):
            SessionKey.of(SessionAnchor(id, "head"))  # type: ignore[arg-type]
    assert SessionKey.of(head("x")) != SessionKey.of(snapshot("x"))


async def test_memory_keeps_as_much_as_it_may() -> None:
    clock = Clock()
    store = MemorySessionStore(most=3, most_bytes=10, seconds=5, clock=clock)
    keys = [SessionKey("", str(number)) for number in range(5)]
    for key in keys:
        await store.set(key, b"1")
    assert [await store.get(key) for key in keys] == [None, None, b"1", b"1", b"1"]
    await store.set(keys[2], b"12345678")  # the newest now; eight and two are ten
    assert len(store) == 3
    await store.set(keys[0], b"1")
    assert [await store.get(key) for key in keys] == [b"1", None, b"12345678", None, b"1"]
    await store.set(keys[1], b"1" * 100)
    assert [await store.get(key) for key in keys] == [None, b"1" * 100, None, None, None]
    clock.now = 5
    assert await store.get(keys[1]) is None
    assert len(store) == 0
    with pytest.raises(InvalidValue, match="most"):
        MemorySessionStore(most=0)


async def test_sessions_survive_a_restart(tmp_path: Path) -> None:
    for turn in range(3):
        store = SqliteStore(tmp_path / "responses.db")
        sessions = Sessions(ResponseSessionStore(store))
        assert await count(sessions, head("conv_1"), f"resp_{turn}") == turn + 1
        assert await count(sessions, snapshot(f"resp_{turn}"), f"resp_branch_{turn}") == turn + 2
        await store.aclose()


@pytest.mark.parametrize("user", [None, "u"])
async def test_no_route_of_a_server_on_the_same_store_reaches_a_session(user: str | None, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "responses.db")
    sessions = ResponseSessionStore(store)
    partition = Identity(user).partition
    key = SessionKey(partition, "head:conv_1")
    await sessions.set(key, b'"secret"')
    [version] = await store.history(f"sessions:{partition}", conversation_id=key.id, limit=9)
    server = ResponsesServer(store=store)
    headers = {} if user is None else {"x-agent-user-isolation-key": user}
    async with server.lifespan():
        for id in (version.id, key.id, "conv_1"):
            for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
                answer = await ask(server, method=method, path=f"/v1/responses/{id}{path}", headers=headers)
                assert answer.status in (400, 404)
            answer = await ask(server, {"model": "m", "input": "hi", "previous_response_id": id}, headers=headers)
            assert answer.status == 404
    # No identity makes the partition, be its keys as they may.
    assert all(
        not Identity(key, chat).partition.startswith("sessions:") for key in ("sessions:", "") for chat in (None, "")
    )
    assert await sessions.get(key) == b'"secret"'
    await store.aclose()


@attrs.define(eq=False, kw_only=True)
class DyingStore(MemoryStore):
    """A store whose process dies where the end of a version would have been written."""

    dying: bool = True

    async def append(self, key: Key, owner: str, first: int, frames: Any, ending: Ending | None = None) -> None:
        if self.dying:
            raise StoreTrouble
        await super().append(key, owner, first, frames, ending)


async def test_a_process_that_dies_while_it_writes_loses_neither_state() -> None:
    store = DyingStore(dying=False)
    sessions = ResponseSessionStore(store)
    await sessions.set(A, b"old")
    store.dying = True
    with pytest.raises(StoreTrouble):
        await sessions.set(A, b"new")
    assert await sessions.get(A) == b"new"
    store.dying = False
    later = ResponseSessionStore(store)  # of the next process
    await later.set(A, b"newer")
    assert await later.get(A) == b"newer"
    assert len(await store.history("sessions:", conversation_id=A.id, limit=9)) == 1
    store.dying = True
    with contextlib.suppress(StoreTrouble):
        await later.set(B, b"left live")
    await later.delete(B)
    assert await later.get(B) is None


async def test_a_server_that_finds_a_session_left_live_ends_it_and_it_stays() -> None:
    clock = Clock()
    store = DyingStore(clock=clock)
    sessions = ResponseSessionStore(store)
    with contextlib.suppress(StoreTrouble):
        await sessions.set(A, b"state")
    store.dying = False
    clock.now = 1000
    [version] = await store.history("sessions:", conversation_id=A.id, limit=9)
    async with ResponsesServer(store=store).lifespan():
        while not (await store.get(Key("sessions:", version.id))).ended:
            await anyio.sleep(0)
    assert await sessions.get(A) == b"state"


@attrs.define(eq=False, kw_only=True)
class OvertakenStore(MemoryStore):
    """A store in which somebody else writes while a version waits for its end."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def append(self, key: Key, owner: str, first: int, frames: Any, ending: Ending | None = None) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        await super().append(key, owner, first, frames, ending)


@pytest.mark.parametrize("before", [False, True])
async def test_of_two_that_write_at_once_the_later_one_stays(before: bool) -> None:
    store = OvertakenStore()
    mine, other = ResponseSessionStore(store), ResponseSessionStore(store)
    if before:
        await mine.set(A, b"old")
    store.meanwhile = lambda: other.set(A, b"later")
    await mine.set(A, b"earlier")
    assert await mine.get(A) == b"later"
    assert len(await store.history("sessions:", conversation_id=A.id, limit=9)) == 1


async def test_many_that_write_at_once_leave_one(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "responses.db")
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ResponseSessionStore(store).set, A, str(number).encode())
    assert len(await store.history("sessions:", conversation_id=A.id, limit=99)) == 1
    assert await ResponseSessionStore(store).get(A) in [str(number).encode() for number in range(10)]
    await store.aclose()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["set", "die", "delete", "get"]), st.binary(max_size=3)))
)
def test_a_store_of_responses_is_a_mapping_whenever_it_dies(steps: list[tuple[str, str, bytes]]) -> None:
    async def play() -> None:
        store, kept = DyingStore(dying=False), dict[str, bytes]()
        sessions = ResponseSessionStore(store)
        for id, what, state in steps:
            key = SessionKey("p", id)
            if what == "delete":
                await sessions.delete(key)
                kept.pop(id, None)
            elif what != "get":
                store.dying = what == "die"
                with contextlib.suppress(StoreTrouble):
                    await sessions.set(key, state)
                store.dying, kept[id] = False, state
            assert await sessions.get(key) == kept.get(id)
        for id in kept:
            await sessions.set(SessionKey("p", id), b"last")
            assert len(await store.history("sessions:p", conversation_id=id, limit=99)) == 1

    anyio.run(play)
