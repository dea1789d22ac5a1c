"""Graphs whose nodes speak at the same time: each message comes whole, and as soon as it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from responses_stream.agents.bridges.langgraph import bridge

from .scripted_chat import ScriptedChat, call, words
from .serving import serving
from .test_langgraph import brief, weather
from .test_langgraph_interrupts import said
from .test_langgraph_models import dicts, piece


@pytest.fixture(params=["no checkpointer", "checkpointer"])
def saver(request: pytest.FixtureRequest) -> InMemorySaver | None:
    return InMemorySaver() if request.param == "checkpointer" else None


class Turns:
    """Lets two speak in turns: whoever waits for a step is let on when the step before was made."""

    def __init__(self) -> None:
        self._steps: dict[int, anyio.Event] = {}

    def reached(self, step: int) -> None:
        self._steps.setdefault(step, anyio.Event()).set()

    def step(self, number: int) -> Callable[[], Any]:
        """Return what waits for *number*, and then lets *number* + 1 on."""

        async def wait() -> None:
            if number:
                with anyio.fail_after(10):
                    await self._steps.setdefault(number, anyio.Event()).wait()
            self.reached(number + 1)

        return wait


def speaks(model: ScriptedChat) -> Any:
    """Return a node of a graph that says what *model* does."""

    async def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return node


def side_by_side(saver: InMemorySaver | None, **nodes: Any) -> Any:
    builder = StateGraph(MessagesState)
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(START, name)
    return builder.compile(checkpointer=saver)


def test_two_messages_that_come_in_turns_are_two_messages(saver: InMemorySaver | None) -> None:
    turns = Turns()
    one, other = (
        ScriptedChat(
            scripts=[
                [step for n in range(3) for step in (turns.step(2 * n + first), AIMessageChunk(content=f"{name}{n} "))],
                words("So?"),
            ]
        )
        for first, name in enumerate("AB")
    )
    with serving(bridge(side_by_side(saver, a=speaks(one), b=speaks(other)))) as served:
        first = served.client.responses.create(model="m", input="Go", conversation="conv_1")
        assert sorted(said(first)) == ["A0 A1 A2 ", "B0 B1 B2 "]
        served.client.responses.create(model="m", input="On", conversation="conv_1")
    assert brief(one.asked[-1]) == ["Go", "A0 A1 A2 ", "B0 B1 B2 ", "On"]


def test_citations_count_in_their_own_message() -> None:
    turns = Turns()
    cited = {"type": "citation", "url": "https://sky", "start_index": 0, "end_index": 3}
    other = ScriptedChat(
        scripts=[[turns.step(1), AIMessageChunk(content="More of it"), AIMessageChunk(content=" to come.")]]
    )
    one = ScriptedChat(
        scripts=[
            [
                piece({"type": "text", "text": "Look: ", "index": 0}),
                piece({"type": "text", "text": "the sky", "index": 1}),
                turns.step(0),
                turns.step(2),
                piece({"type": "text", "text": "", "annotations": [cited], "index": 1}),
            ]
        ]
    )
    with serving(bridge(side_by_side(None, a=speaks(one), b=speaks(other)))) as served:
        answer = served.client.responses.create(model="m", input="Go")
    [part] = [part for item in dicts(answer) for part in item["content"] if part["annotations"]]
    [annotation] = part["annotations"]
    assert part["text"][annotation["start_index"] : annotation["end_index"]] == "the"


def test_agents_side_by_side_run_their_tools(saver: InMemorySaver | None) -> None:
    turns = Turns()
    agents = {
        name: create_agent(
            ScriptedChat(
                scripts=[
                    [turns.step(first), *words(f"{name} looks"), *call("weather", f'{{"city": "{name}"}}', f"c{name}")],
                    [*words(f"{name} says"), turns.step(2 + first), AIMessageChunk(content=" so")],
                ]
            ),
            [weather],
        )
        for first, name in enumerate("AB")
    }
    with serving(bridge(side_by_side(saver, **agents))) as served:
        answer = served.client.responses.create(model="m", input="Go")
    assert sorted(said(answer)) == [
        *("A looks", "A says so", "B looks", "B says so"),
        *(f"weather {{'city': '{name}'}} sunny in {name}" for name in "AB"),
    ]


def test_one_node_behind_the_other_is_heard_at_once() -> None:
    """The second is not held back: the first is over."""
    heard = anyio.Event()
    first = ScriptedChat(scripts=[words("One.")])
    second = ScriptedChat(scripts=[[AIMessageChunk(content="Two"), heard.wait, AIMessageChunk(content=".")]])
    builder = StateGraph(MessagesState)
    builder.add_node("first", speaks(first))
    builder.add_node("second", speaks(second))
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    with serving(bridge(builder)) as served:
        for event in served.client.responses.create(model="m", input="Go", stream=True):
            if event.type == "response.output_text.delta" and event.delta == "Two":
                served.portal.call(heard.set)
    assert served.streams[0][-1]["type"] == "response.completed"


def test_a_message_that_its_node_gave_up_does_not_hold_back_the_next() -> None:
    """No last piece of it ever comes; the graph has gone on all the same."""
    heard = anyio.Event()
    first = ScriptedChat(scripts=[[AIMessageChunk(content="Half a"), RuntimeError("the secret")]])
    second = ScriptedChat(scripts=[[AIMessageChunk(content="Two"), heard.wait, AIMessageChunk(content=".")]])

    async def gives_up(state: MessagesState) -> dict[str, Any]:
        with pytest.raises(RuntimeError):
            await first.ainvoke(state["messages"])
        return {"messages": []}

    builder = StateGraph(MessagesState)
    builder.add_node("first", gives_up)
    builder.add_node("second", speaks(second))
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    with serving(bridge(builder)) as served:
        for event in served.client.responses.create(model="m", input="Go", stream=True):
            if event.type == "response.output_text.delta" and event.delta == "Two":
                served.portal.call(heard.set)
    assert served.streams[0][-1]["type"] == "response.completed"


def test_all_that_was_begun_is_kept_where_one_of_them_fails(saver: InMemorySaver | None) -> None:
    turns = Turns()
    one = ScriptedChat(
        scripts=[[*words("Half an"), turns.step(0), turns.step(2), RuntimeError("the secret")], words("Whole.")]
    )
    other = ScriptedChat(scripts=[[turns.step(1), *words("answer of B"), anyio.sleep_forever], words("Whole too.")])
    with serving(bridge(side_by_side(saver, a=speaks(one), b=speaks(other)))) as served:
        failed = served.client.responses.create(model="m", input="Go", conversation="conv_1")
        assert (failed.status, said(failed)) == ("failed", ["Half an", "answer of B"])
        served.client.responses.create(model="m", input="On", conversation="conv_1")
    assert brief(one.asked[-1]) == ["Go", "Half an", "answer of B", "On"]


def test_who_moves_on_from_a_question_keeps_what_was_said_beside_it() -> None:
    model = ScriptedChat(scripts=[words("Meanwhile."), words("Well.")])
    asked: list[list[str]] = []

    def ask(state: MessagesState) -> dict[str, Any]:
        asked.append(brief(state["messages"]))
        return {"messages": [("ai", f"You say {interrupt('sure?')}.")]} if len(asked) < 2 else {"messages": []}

    with serving(bridge(side_by_side(InMemorySaver(), a=ask, b=speaks(model)))) as served:
        first = served.client.responses.create(model="m", input="Go", conversation="conv_1")
        assert said(first) == ["Meanwhile.", "do interrupt {'value': 'sure?'}"]
        served.client.responses.create(model="m", input="Never mind", conversation="conv_1")
    assert brief(model.asked[-1]) == ["Go", "Meanwhile.", "Never mind"]
