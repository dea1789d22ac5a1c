"""Sessions: snapshots and heads, one writer at a time, and kept however a turn ends."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import InvalidType, InvalidValue
from responses_stream.agents.session_stores import MemorySessionStore, SessionKey
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.turn import SessionAnchor

from ..hosting.staging import Gate, StoreTrouble
from .remembering import KINDS, BrokenSessionStore, Clock, count, head, opened, snapshot

pytestmark = pytest.mark.anyio

# Snapshots and heads.


@KINDS
async def test_branches_from_one_response_do_not_see_each_other(kind: str, tmp_path: Path) -> None:
    """H21.9."""
    async with opened(kind, tmp_path) as store:
        sessions = Sessions(store)
        assert [
            await count(sessions, None, "resp_1"),
            await count(sessions, snapshot("resp_1"), "resp_2"),
            await count(sessions, snapshot("resp_1"), "resp_2b"),
            await count(sessions, snapshot("resp_2"), "resp_3"),
            await count(sessions, snapshot("resp_2b"), "resp_3b"),
        ] == [1, 2, 2, 3, 3]


async def test_what_a_turn_holds_is_its_own() -> None:
    sessions = Sessions()
    async with sessions.turn(None, "resp_1") as first:
        first.state = state = {"seen": ["a"]}
    state["seen"].append("later")
    async with (
        sessions.turn(snapshot("resp_1"), "resp_2") as second,
        sessions.turn(snapshot("resp_1"), "resp_3") as third,
    ):
        second.state["seen"].append("b")
        assert third.state == {"seen": ["a"]}
    async with sessions.turn(snapshot("resp_3"), "resp_4") as fourth:
        assert fourth.state == {"seen": ["a"]}


async def test_a_conversation_moves_on_and_its_responses_stay_where_they_are() -> None:
    """H21.8: the session is kept under the id of the response as well."""
    sessions = Sessions()
    assert [await count(sessions, head("conv_1"), f"resp_{number}") for number in range(3)] == [1, 2, 3]
    assert await count(sessions, snapshot("resp_0"), "resp_branch") == 2
    assert await count(sessions, head("conv_1"), "resp_3") == 4


async def test_a_conversation_with_the_name_of_a_response_is_another_session() -> None:
    sessions = Sessions()
    await count(sessions, None, "resp_1")
    assert await count(sessions, head("resp_1"), "resp_2") == 1
    assert await count(sessions, snapshot("resp_1"), "resp_3") == 2


async def test_partitions_do_not_see_each_other() -> None:
    sessions = Sessions()
    await count(sessions, head("conv_1"), "resp_1", "a")
    assert await count(sessions, head("conv_1"), "resp_2", "b") == 1
    assert await count(sessions, snapshot("resp_1"), "resp_3", "b") == 1
    await sessions.reset("conv_1", "b")
    assert await count(sessions, head("conv_1"), "resp_4", "a") == 2


async def test_turns_of_one_conversation_come_one_after_the_other() -> None:
    sessions, gate, counts = Sessions(), Gate(), []

    async def turn(number: int) -> None:
        async with sessions.turn(head("conv_1"), f"resp_{number}") as session:
            await gate.enter()
            session.state = (session.state or 0) + 1
            counts.append(session.state)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(turn, number)
        await anyio.wait_all_tasks_blocked()
        assert await count(sessions, head("conv_2"), "resp_other") == 1  # the others need not wait
        assert await count(sessions, None, "resp_new") == 1
        gate.open()
    assert counts == [1, 2, 3, 4, 5]
    assert sessions._making == {}


async def test_who_gives_up_waiting_for_a_conversation_leaves_nothing_behind() -> None:
    sessions = Sessions()
    async with sessions.turn(head("conv_1"), "resp_1") as session:
        session.state = 1
        with anyio.move_on_after(0) as given_up:
            async with sessions.turn(head("conv_1"), "resp_2"):
                raise AssertionError("the other one has it")
    assert given_up.cancelled_caught
    assert sessions._making == {}
    async with sessions.turn(head("conv_1"), "resp_3") as session:
        assert session.state == 1


async def test_a_turn_may_be_closed_by_another_task() -> None:
    sessions = Sessions()

    async def turn() -> AsyncGenerator[int, None]:
        async with sessions.turn(head("conv_1"), "resp_1") as session:
            session.state = 1
            yield 1

    source = turn()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.asend, None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.aclose)
    async with sessions.turn(head("conv_1"), "resp_2") as session:
        assert session.state == 1


async def test_a_turn_that_finds_no_store_lets_the_next_one_begin() -> None:
    store = BrokenSessionStore(broken={"get"})
    sessions = Sessions(store)
    with pytest.raises(StoreTrouble):
        await count(sessions, head("conv_1"), "resp_1")
    store.broken.clear()
    assert await count(sessions, head("conv_1"), "resp_2") == 1


# How a turn ends.


@pytest.mark.parametrize("how", ["raise", "cancel", "close"])
async def test_a_session_is_kept_however_the_turn_ends(how: str) -> None:
    sessions = Sessions(BrokenSessionStore())  # which passes a checkpoint, so a cancellation could strike there

    async def turn() -> AsyncGenerator[int, None]:
        async with sessions.turn(head("conv_1"), "resp_1") as session:
            session.state = {"said": "Hel"}
            yield 1
            if how == "raise":
                raise LookupError
            await anyio.sleep_forever()

    with contextlib.suppress(LookupError), anyio.CancelScope() as scope:
        async with aclosing(turn()) as source:
            async for _ in source:
                if how == "close":
                    break
                if how == "cancel":
                    scope.cancel()
    for anchor in (head("conv_1"), snapshot("resp_1")):
        async with sessions.turn(anchor, "resp_2") as session:
            assert session.state == {"said": "Hel"}


async def test_nothing_is_stored_for_nothing() -> None:
    store = BrokenSessionStore()
    sessions = Sessions(store)
    async with sessions.turn(None, "resp_1"):
        pass
    async with sessions.turn(snapshot("resp_1"), "resp_2"):
        pass
    async with sessions.turn(head("conv_1"), "resp_2"):
        pass
    assert store.calls == ["get", "get"]


async def test_none_in_a_conversation_begins_it_anew() -> None:
    sessions = Sessions()
    await count(sessions, head("conv_1"), "resp_1")
    async with sessions.turn(head("conv_1"), "resp_2") as session:
        session.state = None
    assert await count(sessions, head("conv_1"), "resp_3") == 1
    assert await count(sessions, snapshot("resp_1"), "resp_4") == 2


async def test_it_is_kept_once() -> None:
    store = BrokenSessionStore()
    async with Sessions(store).turn(None, "resp_1") as session:
        session.state = 1
        await session.save()
        await session.save()
        session.state = 2
    assert store.calls == ["set"]
    assert await store.inner.get(SessionKey.of(snapshot("resp_1"))) is not None


@pytest.mark.parametrize(
    ("state", "path"),
    [
        ({"messages": ["a", object()]}, r"session\.messages\[1\]"),
        ({"messages": {3: 4}}, r"session\.messages"),
        ([float("nan")], r"session\[0\]"),
        (["\ud800"], r"session\[0\]"),
        ([10**5000], "session"),
    ],
)
async def test_what_is_not_json_fails_the_turn_and_says_where(state: Any, path: str) -> None:
    sessions = Sessions()
    with pytest.raises((InvalidType, InvalidValue), match=path):
        async with sessions.turn(head("conv_1"), "resp_1") as session:
            session.state = state
    async with sessions.turn(head("conv_1"), "resp_2") as session:
        assert session.state is None


async def test_a_store_that_fails_is_told_unless_the_turn_has_failed_already(caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions(BrokenSessionStore(broken={"set"}))
    with pytest.raises(StoreTrouble):
        async with sessions.turn(None, "resp_1") as session:
            session.state = 1
    assert not caplog.records
    with contextlib.suppress(LookupError):
        async with sessions.turn(None, "resp_1") as session:
            session.state = 1
            raise LookupError
    assert "was not kept" in caplog.text


async def test_a_store_that_hangs_does_not_hold_up_a_cancellation_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    store = BrokenSessionStore(gates={"set": Gate()})
    sessions = Sessions(store, save_seconds=0)
    with anyio.CancelScope() as scope:
        async with sessions.turn(head("conv_1"), "resp_1") as session:
            session.state = 1
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert "was not kept" in caplog.text
    assert sessions._making == {}


# Forgetting.


@KINDS
async def test_a_session_can_be_reset(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        sessions = Sessions(store)
        await count(sessions, head("conv_1"), "resp_1")
        await count(sessions, snapshot("resp_1"), "resp_2")
        await sessions.reset("nothing")
        await sessions.reset("conv_1")
        assert await count(sessions, head("conv_1"), "resp_3") == 1
        await sessions.reset(snapshot("resp_1"))
        assert await count(sessions, snapshot("resp_1"), "resp_4") == 1
        assert await count(sessions, snapshot("resp_2"), "resp_5") == 3
    with pytest.raises(InvalidValue, match="id"):
        await sessions.reset("")


async def test_a_reset_waits_for_the_turn_that_is_on() -> None:
    sessions, gate = Sessions(), Gate()

    async def turn() -> None:
        async with sessions.turn(head("conv_1"), "resp_1") as session:
            session.state = 1
            await gate.enter()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turn)
        await gate.arrived.wait()
        tasks.start_soon(sessions.reset, "conv_1")
        await anyio.wait_all_tasks_blocked()
        gate.open()
    assert await count(sessions, head("conv_1"), "resp_2") == 1


async def test_a_session_expires() -> None:
    clock, store = Clock(1000), MemorySessionStore()
    sessions = Sessions(store, seconds=60, clock=clock)
    assert await count(sessions, head("conv_1"), "resp_1") == 1
    clock.now += 59
    assert await count(sessions, head("conv_1"), "resp_2") == 2
    clock.now += 59
    assert await count(sessions, head("conv_1"), "resp_3") == 3
    clock.now += 60
    assert await count(sessions, snapshot("resp_3"), "resp_4") == 1
    assert await store.get(SessionKey.of(snapshot("resp_3"))) is None
    with pytest.raises(InvalidValue, match="seconds"):
        Sessions(seconds=-1)


async def test_what_shall_not_be_stored_stays_in_memory() -> None:
    store = BrokenSessionStore()
    sessions = Sessions(store)
    async with sessions.turn(head("conv_1"), "resp_1", store=False) as session:
        session.state = 1
    assert len(store.inner) == 0
    async with sessions.turn(head("conv_1"), "resp_2") as session:
        assert session.state == 1
        session.state = 2
    assert len(store.inner) == 2
    async with sessions.turn(head("conv_1"), "resp_3") as session:
        assert session.state == 2
    async with sessions.turn(snapshot("resp_1"), "resp_4") as session:
        assert session.state == 1


# All of it at once.

TURNS = st.tuples(st.sampled_from(["new", "snapshot", "conv_a", "conv_b"]), st.integers(0, 99))
ENDS = st.sampled_from(["end", "raise", "cancel", "reset", "forget"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TURNS, ENDS), max_size=30), st.sampled_from(["asyncio", "trio"]))
def test_whatever_the_turns_each_finds_what_the_one_before_has_left(
    turns: list[tuple[tuple[str, int], str]], backend: str
) -> None:
    async def play() -> None:
        sessions = Sessions()
        kept: dict[SessionAnchor, list[int]] = {}
        for number, ((kind, at), end) in enumerate(turns):
            known = [anchor for anchor in kept if anchor.kind == "snapshot"]
            anchor = head(kind) if kind.startswith("conv") else None
            if kind == "snapshot" and known:
                anchor = known[at % len(known)]
            if end == "reset" and anchor is not None:
                await sessions.reset(anchor)
                kept.pop(anchor, None)
                continue
            new, found = snapshot(f"resp_{number}"), [*kept.get(anchor, ())] if anchor is not None else []
            left = None if end == "forget" else [*found, number]
            with contextlib.suppress(LookupError), anyio.CancelScope() as scope:
                async with sessions.turn(anchor, new.id) as session:
                    assert (session.state or []) == found
                    session.state = left
                    if end == "raise":
                        raise LookupError
                    if end == "cancel":
                        scope.cancel()
                        await anyio.sleep_forever()
            for written in [new, *([anchor] if anchor is not None and anchor.kind == "head" else [])]:
                kept.pop(written, None)
                if left is not None:
                    kept[written] = [*left]
            if left is not None:
                left.append(-1)  # what was kept is a copy
        assert sessions._making == {}
        for anchor, state in kept.items():
            assert await sessions.has(anchor)
            async with sessions.turn(anchor, "resp_last") as session:
                assert session.state == state
                session.state = state

    anyio.run(play, backend=backend)
