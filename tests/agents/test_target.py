"""An agent that is made once, whoever asks and whoever gives up (H21.13, H21.14)."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable

import anyio
import attrs
import pytest

from responses_stream import InvalidType, InvalidValue
from responses_stream.agents.isolation import BoundTurn, context_of, current_turn, in_context
from responses_stream.agents.target import AgentState

from ..hosting.staging import Gate

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Bot:
    """An agent of a framework; it can be called, as some of them can."""

    name: str = "bot"

    def __call__(self) -> str:
        raise AssertionError("it is the agent itself")


class Builder:
    def build(self) -> Bot:
        return Bot("built")


class SlowBuilder:
    async def build(self) -> Bot:
        return Bot("built slowly")


async def make() -> Bot:
    return Bot("async")


def awaited() -> AgentState[Bot]:
    return AgentState(make())


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (lambda: AgentState(Bot()), "bot"),
        (lambda: AgentState(lambda: Bot("sync")), "sync"),
        (lambda: AgentState(make), "async"),
        (lambda: AgentState(Bot), "bot"),
        (lambda: AgentState(functools.partial(Bot, "partial")), "partial"),
        (lambda: AgentState(Builder().build), "built"),
        (lambda: AgentState(Builder()), "built"),
        (lambda: AgentState(SlowBuilder()), "built slowly"),
        (awaited, "async"),
        (lambda: AgentState.of(make), "async"),
        (lambda: AgentState.of(AgentState(make)), "async"),
    ],
)
async def test_every_form_of_a_target(state: Callable[[], AgentState[Bot]], name: str) -> None:
    made = state()
    first = await made.resolve()
    assert (first.name, await made.resolve(), made.target) == (name, first, first)


async def test_what_is_not_cached_is_made_anew() -> None:
    state = AgentState(make, cached=False)
    assert await state.resolve() is not await state.resolve()
    with pytest.raises(RuntimeError, match=r"resolve\(\)"):
        _ = state.target


async def test_what_can_be_awaited_once_has_to_be_cached() -> None:
    coroutine = make()
    with pytest.raises(InvalidValue, match="factory"):
        AgentState(coroutine, cached=False)
    coroutine.close()


def test_nothing_is_there_before_it_was_made() -> None:
    with pytest.raises(RuntimeError, match=r"resolve\(\)"):
        _ = AgentState(make).target
    there: AgentState[Bot] = AgentState(Bot())
    assert there.target.name == "bot"
    with pytest.raises(InvalidType, match="target"):
        AgentState.of(None)


@attrs.define(eq=False)
class Factory:
    """Makes a bot behind a gate, and counts how often."""

    gate: Gate = attrs.field(factory=Gate)
    begun: int = 0
    ended: int = 0
    errors: list[Exception] = attrs.field(factory=list)

    async def make(self) -> Bot:
        self.begun += 1
        try:
            await self.gate.enter()
            if self.errors:
                raise self.errors.pop()
            return Bot()
        finally:
            self.ended += 1


async def test_however_many_ask_it_is_made_once() -> None:
    factory, bots = Factory(), []
    state = AgentState(factory.make)

    async def ask() -> None:
        bots.append(await state.resolve())

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(ask)
        await factory.gate.arrived.wait()
        factory.gate.open()
    assert (factory.begun, len(bots), len(set(map(id, bots)))) == (1, 10, 1)


@pytest.mark.parametrize("awaited", [False, True])
async def test_who_gives_up_harms_nobody(awaited: bool) -> None:
    factory, bots = Factory(), []
    state: AgentState[Bot] = AgentState(factory.make()) if awaited else AgentState(factory.make)
    given_up = anyio.CancelScope()

    async def give_up() -> None:
        with given_up:
            bots.append(await state.resolve())

    async def ask() -> None:
        bots.append(await state.resolve())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give_up)  # it is this one that has begun
        await factory.gate.arrived.wait()
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        given_up.cancel()
        await anyio.wait_all_tasks_blocked()
        factory.gate.open()
    assert (factory.begun, len(bots), given_up.cancelled_caught) == (1, 1, True)


async def test_when_the_last_one_has_gone_it_is_stopped_and_can_be_begun_again() -> None:
    factory = Factory()
    state = AgentState(factory.make)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(state.resolve)
        await factory.gate.arrived.wait()
        tasks.cancel_scope.cancel()
    assert (factory.begun, factory.ended) == (1, 1)  # nothing runs on
    factory.gate.open()
    assert (await state.resolve()).name == "bot"
    assert factory.begun == 2


async def test_who_asks_while_it_is_being_stopped_gets_another() -> None:
    factory, stubborn, bots = Factory(), Gate(), []

    async def make() -> Bot:
        try:
            return await factory.make()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await stubborn.enter()
            raise

    state = AgentState(make)

    async def ask() -> None:
        bots.append(await state.resolve())

    async with anyio.create_task_group() as tasks:
        leaving = anyio.CancelScope()

        @tasks.start_soon
        async def _() -> None:
            with leaving:
                await state.resolve()

        await factory.gate.arrived.wait()
        leaving.cancel()
        await stubborn.arrived.wait()
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        factory.gate.open()
        stubborn.open()
    assert (len(bots), factory.begun) == (1, 2)


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    factory, told = Factory(errors=[LookupError("no model")]), []
    state = AgentState(factory.make)

    async def ask() -> None:
        with pytest.raises(LookupError, match="no model"):
            await state.resolve()
        told.append(1)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
        await factory.gate.arrived.wait()
        await anyio.wait_all_tasks_blocked()
        factory.gate.open()
    assert (len(told), factory.begun) == (3, 1)
    assert (await state.resolve()).name == "bot"


async def test_what_cannot_be_awaited_again_says_so() -> None:
    async def fail() -> Bot:
        raise LookupError("no model")

    state: AgentState[Bot] = AgentState(fail())
    with pytest.raises(LookupError):
        await state.resolve()
    with pytest.raises(RuntimeError, match="factory") as told:
        await state.resolve()
    assert isinstance(told.value.__cause__, LookupError)


async def test_a_factory_that_is_cancelled_by_others_is_a_failure() -> None:
    async def make() -> Bot:
        raise anyio.get_cancelled_exc_class()  # as where it awaits a task that somebody has cancelled

    if anyio.get_cancelled_exc_class().__module__.startswith("trio"):
        pytest.skip("trio lets nobody make one")
    with pytest.raises(RuntimeError, match="cancelled"):
        await AgentState(make).resolve()


async def test_what_serves_all_turns_belongs_to_none() -> None:
    async def look() -> BoundTurn | None:
        return current_turn()

    state: AgentState[BoundTurn | None] = AgentState(look)

    async def agent() -> AsyncGenerator[BoundTurn | None, None]:
        yield await state.resolve()

    mine = in_context(agent(), context_of(BoundTurn("resp_1")))
    assert [one async for one in mine] == [None]
