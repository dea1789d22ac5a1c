"""Turns that go on from turns which are not over: they wait, give up, and are continued themselves."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream import InvalidType
from responses_stream.agents.session_stores import SessionKey
from responses_stream.agents.sessions import Session, Sessions
from responses_stream.agents.turn import SessionAnchor

from ..hosting.staging import Gate, StoreTrouble
from .remembering import BrokenSessionStore, count, head, snapshot

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def made(sessions: Sessions, anchor: SessionAnchor | None, new: str) -> AsyncIterator[Gate]:
    """Have a turn made in the background, which counts the turns before it when the gate opens, and then is over."""
    gate = Gate()

    async def make() -> None:
        async with sessions.turn(anchor, new) as session:
            await gate.enter()
            session.state = {"turns": (session.state or {"turns": 0})["turns"] + 1}

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make)
        await gate.arrived.wait()
        yield gate
        gate.open()


async def given_up(sessions: Sessions, anchor: SessionAnchor, new: str) -> None:
    """Begin a turn that has to wait, and leave it."""
    with anyio.move_on_after(0) as scope:
        async with sessions.turn(anchor, new):
            raise AssertionError("it has to wait")
    assert scope.cancelled_caught


async def after(gate: Gate, call: Callable[[], Awaitable[int]]) -> int:
    """Call what waits for a turn, then let that turn end, and return what the call does."""
    results: list[int] = []

    async def run() -> None:
        results.append(await call())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        assert not results
        gate.open()
    return results[0]


# Waiting.


async def test_who_goes_on_from_a_turn_that_is_on_waits_for_it() -> None:
    sessions = Sessions()
    async with made(sessions, None, "resp_1") as gate:
        assert await sessions.has(snapshot("resp_1"))
        assert await after(gate, lambda: count(sessions, snapshot("resp_1"), "resp_2")) == 2
    assert sessions._making == {}


async def test_a_turn_is_waited_for_from_its_beginning_on() -> None:
    sessions = Sessions()
    first = sessions.turn(None, "resp_1")
    assert not await sessions.has(snapshot("resp_1"))
    first.begin()
    with anyio.move_on_after(0) as waited:
        await count(sessions, snapshot("resp_1"), "resp_2")
    assert waited.cancelled_caught
    await first.close()
    assert sessions._making == {}
    assert await count(sessions, snapshot("resp_2"), "resp_3") == 1


async def test_one_that_is_on_is_forgotten_when_it_is_over() -> None:
    sessions = Sessions()
    async with made(sessions, None, "resp_1") as gate, anyio.create_task_group() as tasks:
        tasks.start_soon(sessions.reset, "resp_1")
        await anyio.wait_all_tasks_blocked()
        gate.open()
    assert await count(sessions, snapshot("resp_1"), "resp_2") == 1


# Giving up.


@pytest.mark.parametrize("anchor", [snapshot("resp_1"), head("conv_1")])
async def test_a_turn_that_gives_up_waiting_is_as_the_one_that_it_waited_for(anchor: SessionAnchor) -> None:
    sessions = Sessions()
    assert await count(sessions, head("conv_1"), "resp_0") == 1
    async with made(sessions, head("conv_1"), "resp_1") as gate:
        await given_up(sessions, anchor, "resp_2")
        await given_up(sessions, snapshot("resp_2"), "resp_3")
        assert await after(gate, lambda: count(sessions, snapshot("resp_3"), "resp_4")) == 3
    assert sessions._making == {}
    assert await count(sessions, snapshot("resp_2"), "resp_5") == 3
    assert await count(sessions, head("conv_1"), "resp_6") == 3


async def test_who_waits_for_one_that_gives_up_waits_for_the_one_before() -> None:
    sessions = Sessions()
    async with made(sessions, None, "resp_1") as gate:
        leaving = anyio.CancelScope()

        async def leave() -> None:
            with leaving:
                await count(sessions, snapshot("resp_1"), "resp_2")

        async def call() -> int:
            return await count(sessions, snapshot("resp_2"), "resp_3")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(after, gate, call)
            leaving.cancel()
    assert await count(sessions, snapshot("resp_3"), "resp_4") == 3
    assert sessions._making == {}


async def test_one_that_gives_up_while_the_other_is_kept_is_kept_too() -> None:
    store = BrokenSessionStore(gates={"set": Gate()})
    sessions = Sessions(store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count, sessions, None, "resp_1")
        await store.gates["set"].arrived.wait()
        await given_up(sessions, snapshot("resp_1"), "resp_2")
        store.gates["set"].open()
    assert await store.inner.get(SessionKey.of(snapshot("resp_2"))) is not None
    assert await count(sessions, snapshot("resp_2"), "resp_3") == 2


async def test_one_that_gives_up_after_the_other_was_saved_is_kept_too() -> None:
    sessions = Sessions(BrokenSessionStore())
    async with sessions.turn(None, "resp_1") as session:
        session.state = {"turns": 1}
        await session.save()
        await given_up(sessions, snapshot("resp_1"), "resp_2")
    assert await count(sessions, snapshot("resp_2"), "resp_3") == 2


async def test_one_that_gives_up_in_the_moment_it_might_go_on_keeps_what_it_would_have_read() -> None:
    sessions = Sessions(BrokenSessionStore())
    first = sessions.turn(None, "resp_1")
    await first.open()
    first.state = {"turns": 1}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count, sessions, snapshot("resp_1"), "resp_2")
        await anyio.wait_all_tasks_blocked()
        await first.close()  # which wakes the other one
        tasks.cancel_scope.cancel()
    assert await count(sessions, snapshot("resp_2"), "resp_3") == 2
    assert sessions._making == {}


async def test_a_turn_that_is_left_while_it_reads_keeps_what_it_would_have_read() -> None:
    store = BrokenSessionStore()
    sessions = Sessions(store)
    await count(sessions, head("conv_1"), "resp_1")
    store.gates["get"] = gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count, sessions, head("conv_1"), "resp_2")
        await gate.arrived.wait()
        tasks.cancel_scope.cancel()
        gate.open()
    assert await count(sessions, snapshot("resp_2"), "resp_3") == 2
    assert await count(sessions, head("conv_1"), "resp_4") == 2


# What cannot be kept.


@pytest.mark.parametrize("anchor", [snapshot("resp_1"), head("conv_1")])
async def test_a_store_that_fails_does_not_break_the_chain(anchor: SessionAnchor) -> None:
    store = BrokenSessionStore()
    sessions = Sessions(store)
    await count(sessions, head("conv_1"), "resp_1")
    store.broken = {"set"}
    with pytest.raises(StoreTrouble):
        await count(sessions, anchor, "resp_2")
    store.broken = {"get"}
    with pytest.raises(StoreTrouble):
        await count(sessions, snapshot("resp_1"), "resp_3")
    store.broken.clear()
    assert await count(sessions, snapshot("resp_2"), "resp_4") == 3
    assert await count(sessions, snapshot("resp_3"), "resp_5") == 2
    if anchor.kind == "head":
        assert await count(sessions, head("conv_1"), "resp_6") == 3
        assert await count(Sessions(store), head("conv_1"), "resp_7") == 4  # it has reached the store again


async def test_what_is_not_json_leaves_what_was_found() -> None:
    sessions = Sessions()
    await count(sessions, head("conv_1"), "resp_1")
    for anchor, new in ((head("conv_1"), "resp_2"), (snapshot("resp_1"), "resp_3")):
        with pytest.raises(InvalidType):
            async with sessions.turn(anchor, new) as session:
                session.state["turns"] = object()
        assert await count(sessions, snapshot(new), f"{new}_b") == 2
    assert await count(sessions, head("conv_1"), "resp_4") == 2


async def test_a_session_that_is_not_found_is_logged_for_an_agent_that_remembers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sessions = Sessions()
    async with sessions.turn(snapshot("resp_1"), "resp_2"):
        pass  # it may never have left one
    await count(sessions, head("conv_1"), "resp_3")
    assert not caplog.records
    await count(sessions, snapshot("resp_2"), "resp_4")
    assert "no session of resp_2 was found, so resp_4 began without it" in caplog.text


# Turns within turns.


@pytest.mark.parametrize("anchor", [snapshot("resp_1"), head("conv_1")])
async def test_a_turn_cannot_wait_for_one_that_it_is_a_part_of(anchor: SessionAnchor) -> None:
    sessions = Sessions()
    async with sessions.turn(head("conv_1"), "resp_1") as outer:
        context = contextvars.copy_context()
        context.run(outer.bind)
        inner = context.run(sessions.turn, anchor, "resp_2")
        with pytest.raises(RuntimeError, match=r"resp_2 goes on from .*resp_1 within the turn"):
            await inner.open()
        await inner.close()
        other = context.run(sessions.turn, head("conv_2"), "resp_3")
        async with other:
            deeper = context.copy()
            deeper.run(other.bind)
            with pytest.raises(RuntimeError):
                await deeper.run(sessions.turn, anchor, "resp_4").open()
        outer.state = {"turns": 1}
    assert await count(sessions, anchor, "resp_5") == 2
    assert sessions._making == {}


async def test_two_turns_whose_parts_wait_for_the_other_one_do_not_wait_for_ever() -> None:
    sessions = Sessions()
    refused: list[str] = []

    async def agent(mine: str, other: str) -> None:
        async with sessions.turn(None, mine) as session:
            session.bind()  # each task has a context of its own
            session.state = mine
            await anyio.wait_all_tasks_blocked()
            try:
                async with sessions.turn(snapshot(other), f"{mine}_part") as part:
                    assert part.state == other
            except RuntimeError:
                refused.append(mine)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent, "resp_a", "resp_b")
            tasks.start_soon(agent, "resp_b", "resp_a")
    assert len(refused) == 1
    assert sessions._making == {}


async def test_ids_that_name_each_other_or_themselves_do_not_wait_for_ever() -> None:
    sessions = Sessions()
    with anyio.fail_after(10):
        assert await count(sessions, snapshot("resp_1"), "resp_1") == 1
        sessions.store = BrokenSessionStore(broken={"get"})
        with pytest.raises(StoreTrouble):
            await count(sessions, snapshot("resp_2"), "resp_2")
        sessions.store = BrokenSessionStore()
        assert await count(sessions, snapshot("resp_2"), "resp_3") == 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count, sessions, snapshot("resp_b"), "resp_a")
            tasks.start_soon(count, sessions, snapshot("resp_a"), "resp_b")
    assert sessions._making == {}


# All of it at once, against a model.


_STEPS = 25


async def settle() -> None:
    """Let all others come as far as they can. Each turn writes at most all others once, and a write is a checkpoint."""
    for _ in range(3 * _STEPS):
        await anyio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Node:
    """A turn of the model.

    Attributes:
        name: the id of its response; for `left` as well.
        before: what it goes on from, in a conversation the turn before; None where there is nothing.
        how: how it has ended; None as long as it waits or is on.
    """

    name: str
    before: Node | None
    stored: bool
    how: str | None = None
    found: list[str] | None = None
    is_open: bool = False
    gate: Gate = attrs.field(factory=Gate)
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)

    @property
    def settles(self) -> bool:
        """Whether what it leaves is there: that of one which gave up comes with the one it waited for."""
        if self.how == "gave up":
            return self.before is None or self.before.settles
        return self.how is not None

    @property
    def leaves(self) -> list[str] | None:
        """What the next one finds."""
        if self.how == "gave up":
            return self.before.leaves if self.before is not None else None
        if self.how == "invalid":
            return self.found
        return None if self.how == "forget" else [*(self.found or []), self.name]

    def tell(self, session: Session) -> None:
        if self.how == "invalid":
            session.state = object()
        elif self.how == "forget":
            session.state = None


@attrs.define(eq=False)
class World:
    """The sessions, and the model of them."""

    tasks: TaskGroup
    store: BrokenSessionStore = attrs.field(factory=BrokenSessionStore)
    sessions: Sessions = attrs.field(init=False)
    nodes: list[Node] = attrs.field(factory=list)
    heads: dict[str, Node] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.sessions = Sessions(self.store)

    def begin(self, of: str, at: int, stored: bool) -> None:
        """Begin a turn, which goes on from any other, or in a conversation."""
        anchor: SessionAnchor | None = None
        before = None
        if of.startswith("conv"):
            anchor, before = head(of), self.heads.get(of)
        elif of == "snapshot" and self.nodes:
            before = self.nodes[at % len(self.nodes)]
            anchor = snapshot(before.name)
        node = Node(f"resp_{len(self.nodes)}", before, stored)
        self.nodes.append(node)
        if anchor is not None and anchor.kind == "head":
            self.heads[of] = node
        self.tasks.start_soon(self.make, node, anchor)

    async def make(self, node: Node, anchor: SessionAnchor | None) -> None:
        with contextlib.suppress(LookupError, InvalidType, StoreTrouble), node.scope:
            async with self.sessions.turn(anchor, node.name, store=node.stored) as session:
                node.found, node.is_open = session.state, True
                assert node.before is None or node.before.settles
                assert node.found == (node.before.leaves if node.before is not None else None)
                session.state = [*(node.found or []), node.name]
                await node.gate.enter()
                node.tell(session)
                if node.how == "raise":
                    raise LookupError

    async def end(self, at: int, how: str) -> None:
        """End a turn that is not over: one that waits is left, one that is on ends in any way."""
        on = [node for node in self.nodes if node.how is None]
        if not on:
            return
        node = on[at % len(on)]
        node.how = how if node.is_open else "gave up"
        self.store.broken = {"set"} if how == "store fails" else set()
        if how == "cancel" or not node.is_open:
            node.scope.cancel()
        else:
            node.gate.open()
        await settle()
        self.store.broken.clear()

    def check(self) -> None:
        """Who waits has to, and who is on has not."""
        for node in self.nodes:
            if node.how is None:
                assert node.is_open == (node.before is None or node.before.settles), node.name

    async def finish(self) -> None:
        """End whatever is on, and look at what each turn and each conversation has left."""
        while any(node.how is None for node in self.nodes):
            await self.end(0, "end")
        assert self.sessions._making == {}
        kept: list[tuple[SessionAnchor, Any]] = [(snapshot(node.name), node.leaves) for node in self.nodes]
        kept += [(head(conversation), node.leaves) for conversation, node in self.heads.items()]
        for anchor, left in kept:
            async with self.sessions.turn(anchor, "resp_last") as session:
                assert session.state == left
                session.state = None if anchor.kind == "snapshot" else left


BEGIN = st.tuples(
    st.just("begin"), st.sampled_from(["new", "snapshot", "snapshot", "conv_a", "conv_b"]), st.integers(0, 9)
)
END = st.tuples(
    st.just("end"),
    st.sampled_from(["end", "raise", "cancel", "invalid", "forget", "store fails"]),
    st.integers(0, 9),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.one_of(BEGIN, END), st.booleans()), max_size=_STEPS), st.sampled_from(["asyncio", "trio"]))
def test_whatever_overlaps_each_finds_what_the_one_before_has_left(
    steps: list[tuple[tuple[str, str, int], bool]], backend: str
) -> None:
    async def play() -> None:
        async with anyio.create_task_group() as tasks:
            world = World(tasks)
            for (what, of, at), flag in steps:
                if what == "begin":
                    world.begin(of, at, flag)
                else:
                    await world.end(at, of)
                await settle()
                world.check()
            await world.finish()

    anyio.run(play, backend=backend)
