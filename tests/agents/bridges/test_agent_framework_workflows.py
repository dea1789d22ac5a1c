"""Workflows of the Agent Framework whose agents speak at the same time: each message stays whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agent_framework import (
    AgentResponseUpdate,
    Content,
    Executor,
    FinishReason,
    Message,
    Workflow,
    WorkflowBuilder,
    WorkflowContext,
    WorkflowExecutor,
    handler,
)
from hypothesis import given
from hypothesis import strategies as st

from responses_stream import accumulate, validate_events
from responses_stream.agents.bridges.agent_framework import bridge
from responses_stream.agents.bridges.agent_framework_events import UpdateReader
from responses_stream.agents.bridges.agent_framework_input import Waiting
from responses_stream.agents.rendering import render_stream
from responses_stream.agents.target import AgentState
from responses_stream.protocol.codec import to_builtins
from tests.agents.bridges.scripted_agent_framework import output
from tests.agents.bridges.serving import serving


class Score:
    """Who speaks when: one letter is one piece of the executor of that name."""

    def __init__(self, order: str) -> None:
        self.order = list(order)
        self.moved = asyncio.Condition()

    @asynccontextmanager
    async def turn_of(self, name: str) -> AsyncIterator[None]:
        async with self.moved:
            await self.moved.wait_for(lambda: self.order[0] == name)
            yield
            self.order.pop(0)
            self.moved.notify_all()


class Begin(Executor):
    """Hands the question on."""

    @handler
    async def hear(self, messages: list[Message], ctx: WorkflowContext[str]) -> None:
        await ctx.send_message(messages[-1].text)


class Speaker(Executor):
    """Says its name and a number, as often as it is its turn."""

    def __init__(self, name: str, score: Score, *, finishes: bool = False, wait: asyncio.Event | None = None) -> None:
        super().__init__(id=name)
        self.score, self.finishes, self.wait = score, finishes, wait
        self.pieces = score.order.count(name)

    @handler
    async def speak(self, _: str, ctx: WorkflowContext[Any, AgentResponseUpdate]) -> None:
        for number in range(self.pieces):
            last = number == self.pieces - 1
            if last and self.wait is not None:
                await self.wait.wait()
            async with self.score.turn_of(self.id):
                reason = FinishReason("stop") if last and self.finishes else None
                said = [Content.from_text(f"{self.id}{number} ")]
                await ctx.yield_output(
                    AgentResponseUpdate(contents=said, role="assistant", author_name=self.id, finish_reason=reason)
                )


def fan_out(make: Callable[[], list[Executor]]) -> AgentState[Any]:
    def build() -> Workflow:
        begin = Begin(id="begin")
        return WorkflowBuilder(start_executor=begin).add_fan_out_edges(begin, make()).build()

    return AgentState(build, cached=False)


def test_agents_that_speak_at_once_have_a_whole_message_each() -> None:
    def make() -> list[Executor]:
        score = Score("abbaab")
        return [Speaker("a", score), Speaker("b", score)]

    with serving(bridge(fan_out(make))) as served:
        answer = served.client.responses.create(model="m", input="go")
    assert [item.content[0].text for item in output(answer)] == ["a0 a1 a2 ", "b0 b1 b2 "]


def test_so_they_have_in_a_workflow_within_another() -> None:
    def make() -> Workflow:
        score, begin = Score("abab"), Begin(id="begin")
        speakers: list[Executor] = [Speaker("a", score), Speaker("b", score)]
        inner = WorkflowBuilder(start_executor=begin).add_fan_out_edges(begin, speakers).build()
        return WorkflowBuilder(start_executor=WorkflowExecutor(inner, id="inner", allow_direct_output=True)).build()

    with serving(bridge(AgentState(make, cached=False))) as served:
        answer = served.client.responses.create(model="m", input="go")
    assert [item.content[0].text for item in output(answer)] == ["a0 a1 ", "b0 b1 "]


def test_who_comes_second_is_streamed_when_the_first_has_finished() -> None:
    go_on = asyncio.Event()

    def make() -> list[Executor]:
        score = Score("abaab")
        return [Speaker("a", score, finishes=True), Speaker("b", score, wait=go_on)]

    told = list[str]()
    with (
        serving(bridge(fan_out(make))) as served,
        served.client.responses.create(model="m", input="go", stream=True) as stream,
    ):
        for event in stream:
            if event.type == "response.output_text.delta":
                told.append(event.delta)
                if event.delta == "b0 ":
                    served.portal.call(go_on.set)
    assert told == ["a0 ", "a1 ", "a2 ", "b0 ", "b1 "]


def test_agents_that_speak_one_after_the_other_are_streamed_without_a_word_of_their_end() -> None:
    go_on = asyncio.Event()

    class First(Speaker):
        @handler
        async def hear(self, _: list[Message], ctx: WorkflowContext[str, AgentResponseUpdate]) -> None:
            await self.speak("", ctx)
            await ctx.send_message("go on")

    def make() -> Workflow:
        score = Score("aabb")
        first, second = First("a", score), Speaker("b", score, wait=go_on)
        return WorkflowBuilder(start_executor=first).add_edge(first, second).build()

    told = list[str]()
    with (
        serving(bridge(AgentState(make, cached=False))) as served,
        served.client.responses.create(model="m", input="go", stream=True) as stream,
    ):
        for event in stream:
            if event.type == "response.output_text.delta":
                told.append(event.delta)
                if event.delta == "b0 ":
                    served.portal.call(go_on.set)
    assert told == ["a0 ", "a1 ", "b0 ", "b1 "]


PIECES = st.tuples(st.sampled_from("abc"), st.text("xyz", min_size=1, max_size=3), st.booleans())


@given(st.lists(PIECES, max_size=12))
def test_whoever_speaks_when_each_message_is_whole(pieces: list[tuple[str, str, bool]]) -> None:
    reader = UpdateReader(Waiting(), at_once=True)
    expected, speaking = list[str](), dict[str, str]()
    updates = list[AgentResponseUpdate]()
    for author, text, last in pieces:
        speaking[author] = speaking.get(author, "") + text
        told = [Content.from_text(text)]
        reason = FinishReason("stop") if last else None
        updates.append(AgentResponseUpdate(contents=told, role="assistant", author_name=author, finish_reason=reason))
        if last:
            expected.append(speaking.pop(author))
    expected += speaking.values()
    said = [one for update in updates for one in reader.read(update)]
    events = list(render_stream([*said, *reader.end()], response_id="resp_1", model="m"))
    assert not validate_events(events, "strict").violations
    messages = [item["content"][0]["text"] for item in to_builtins(accumulate(events))["output"]]
    assert sorted(messages) == sorted(expected)
    assert sorted(message.text for message in reader.course.messages()) == sorted(expected)
