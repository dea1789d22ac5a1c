"""The turn that code finds around itself: bound where the agent runs, and nowhere else."""

from __future__ import annotations

import contextvars
import gc
import types
from collections.abc import AsyncGenerator, Generator

import anyio
import anyio.to_thread
import pytest

from responses_stream import Identity
from responses_stream.agents.isolation import BoundTurn, context_of, current_turn, in_context, partition_of_keys
from responses_stream.agents.turn import Isolation

pytestmark = pytest.mark.anyio

MINE = BoundTurn("resp_1", previous_response_id="resp_0", user_key="me", chat_key="here")
SPAN: contextvars.ContextVar[str] = contextvars.ContextVar("span", default="none")


def test_outside_of_a_turn_there_is_none() -> None:
    assert current_turn() is None


async def test_the_turn_is_there_where_the_agent_runs_and_nowhere_else() -> None:
    seen: list[BoundTurn | None] = []

    async def agent() -> AsyncGenerator[int, None]:
        try:
            for number in range(2):
                seen.append(current_turn())
                yield number
                await anyio.lowlevel.checkpoint()
        finally:
            await anyio.lowlevel.checkpoint()
            seen.append(current_turn())

    async for _ in in_context(agent(), context_of(MINE)):
        assert current_turn() is None
    assert seen == [MINE, MINE, MINE]
    assert current_turn() is None


async def test_tasks_and_threads_of_the_agent_inherit_it() -> None:
    seen: list[BoundTurn | None] = []

    async def look() -> None:
        await anyio.sleep(0)
        seen.append(current_turn())

    async def agent() -> AsyncGenerator[int, None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
        seen.append(await anyio.to_thread.run_sync(current_turn))
        yield 1

    assert [number async for number in in_context(agent(), context_of(MINE))] == [1]
    assert seen == [MINE, MINE]


async def test_what_the_agent_binds_stays_with_it_and_does_not_leak() -> None:
    """Pains I1: a span that is attached before a yield and detached after it, each in the same context."""
    seen = []

    async def agent() -> AsyncGenerator[str, None]:
        token = SPAN.set("agent")
        try:
            yield SPAN.get()
            yield SPAN.get()
        finally:
            SPAN.reset(token)  # raises in another context
            seen.append(SPAN.get())

    SPAN.set("request")
    source = in_context(agent(), context_of(MINE))
    assert await anext(source) == "agent"
    assert SPAN.get() == "request"
    SPAN.set("later")

    async def close() -> None:
        assert await anext(source) == "agent"
        await source.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
    assert seen == ["request"]
    assert SPAN.get() == "later"


async def test_two_turns_at_the_same_time_do_not_see_each_other() -> None:
    async def agent() -> AsyncGenerator[BoundTurn | None, None]:
        for _ in range(3):
            await anyio.sleep(0)
            yield current_turn()

    both = [in_context(agent(), context_of(BoundTurn(name))) for name in ("resp_a", "resp_b")]
    for _ in range(3):
        assert [await anext(one) for one in both] == [BoundTurn("resp_a"), BoundTurn("resp_b")]
    for one in both:
        await one.aclose()


async def test_a_failure_comes_through() -> None:
    async def agent() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("nothing there")

    source = in_context(agent(), context_of(MINE))
    assert await anext(source) == 1
    with pytest.raises(LookupError):
        await anext(source)


async def test_a_cancellation_reaches_what_the_agent_waits_for() -> None:
    ended: list[BoundTurn | None] = []

    async def agent() -> AsyncGenerator[int, None]:
        try:
            await anyio.sleep_forever()
            yield 1
        finally:
            ended.append(current_turn())

    source = in_context(agent(), context_of(MINE))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            @tasks.start_soon
            async def _() -> None:
                await anyio.wait_all_tasks_blocked()
                scope.cancel()

            await anext(source)
    assert scope.cancelled_caught
    assert ended == [MINE]


def test_a_loop_that_ends_closes_what_waits() -> None:
    ended: list[BoundTurn | None] = []

    @types.coroutine
    def wait() -> Generator[str, None, None]:
        yield "for the loop"

    async def agent() -> AsyncGenerator[int, None]:
        try:
            await wait()
            yield 1
        finally:
            ended.append(current_turn())

    source = in_context(agent(), context_of(MINE))
    step = anext(source).__await__()
    assert step.send(None) == "for the loop"
    step.close()
    del step, source  # as when the task that was waiting is forgotten
    gc.collect()
    assert ended == [MINE]


@pytest.mark.parametrize("keys", [(None, None), ("u", None), (None, "c"), ("", ""), ('a","b', "ü"), ("a", 'b","c')])
def test_the_partition_is_that_of_the_server(keys: tuple[str | None, str | None]) -> None:
    assert partition_of_keys(Isolation(*keys)) == Identity(*keys).partition
