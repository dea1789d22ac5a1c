"""Whose a tool is, the graph's or the client's; what is told of calls and their results, and what is kept of them."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from responses_stream.agents.bridges.langgraph import bridge
from responses_stream.agents.bridges.langgraph_input import answered, open_calls
from responses_stream.agents.rendering import ToolCalls

from .scripted_chat import ScriptedChat, call, words
from .serving import serving
from .test_langgraph import brief, weather
from .test_langgraph_interrupts import delete, keeper, said
from .test_langgraph_models import DOOR, dicts

WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}


@pytest.fixture(params=["no checkpointer", "checkpointer"])
def saver(request: pytest.FixtureRequest) -> InMemorySaver | None:
    return InMemorySaver() if request.param == "checkpointer" else None


@pytest.mark.parametrize("client_tools", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_the_graphs_own_tool_wins_over_the_clients_of_that_name(
    saver: InMemorySaver | None, client_tools: bool, inside: bool
) -> None:
    model = ScriptedChat(scripts=[call("weather", '{"city": "Oslo"}', "call_1"), words("It is sunny."), words("So?")])
    graph: Any = create_agent(model, tools=[weather], checkpointer=None if inside else saver)
    if inside:
        outer = StateGraph(MessagesState)
        outer.add_node("expert", graph)
        outer.add_edge(START, "expert")
        graph = outer.compile(checkpointer=saver)
    with serving(bridge(graph, client_tools=client_tools)) as served:
        first = served.client.responses.create(model="m", input="Oslo?", tools=[WEATHER])
        assert said(first) == ["weather {'city': 'Oslo'} sunny in Oslo", "It is sunny."]
        served.client.responses.create(model="m", input="And?", previous_response_id=first.id, tools=[WEATHER])
    assert brief(model.asked[-1]) == [
        *("Oslo?", "weather({'city': 'Oslo'})", "-> sunny in Oslo", "It is sunny.", "And?"),
    ]


def test_a_call_of_the_clients_function_is_told_wherever_it_stands(saver: InMemorySaver | None) -> None:
    """A node finds the functions in the request; the graph goes on beside the call."""
    model = ScriptedChat(scripts=[call("open_door", '{"n": 1}', "call_1"), words("It is open.")])
    offered: list[Any] = []

    async def ask(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        offered.append(config["configurable"]["turn"].run.options["tools"])
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_node("note", lambda _: {"messages": [AIMessage("Noted.")]})
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "note")
    with serving(bridge(builder.compile(checkpointer=saver), client_tools=True)) as served:
        first = served.client.responses.create(model="m", input="Open it", tools=[DOOR])
        assert said(first) == ["Noted.", "do open_door {'n': 1}"]
        assert [function["name"] for function in offered[0]] == ["open_door"]


@pytest.mark.parametrize("tool_calls", ["hosted", "function"])
def test_calls_with_the_same_id_are_all_told(saver: InMemorySaver | None, tool_calls: ToolCalls) -> None:
    """Some services count the calls of each answer from the beginning."""
    model = ScriptedChat(
        scripts=[
            call("weather", '{"city": "Oslo"}', "call_1"),
            call("weather", '{"city": "Rome"}', "call_1"),
            words("Sunny."),
            words("As I said."),
        ]
    )
    graph = create_agent(model, tools=[weather], checkpointer=saver)
    with serving(bridge(graph, tool_calls=tool_calls)) as served:
        first = served.client.responses.create(model="m", input="Weather?")
        told = dicts(first)
        if tool_calls == "hosted":
            assert [item.get("output") for item in told[:-1]] == ["sunny in Oslo", "sunny in Rome"]
        else:
            assert [item.get("output") for item in told[:-1]] == [None, "sunny in Oslo", None, "sunny in Rome"]
            assert [item["call_id"] for item in told[:-1]] == ["call_1", "call_1", "call_1_2", "call_1_2"]
        served.client.responses.create(model="m", input="Really?", previous_response_id=first.id)
    assert brief(model.asked[-1])[1:5] == [
        *("weather({'city': 'Oslo'})", "-> sunny in Oslo", "weather({'city': 'Rome'})", "-> sunny in Rome"),
    ]


def test_the_clients_call_keeps_its_id_behind_one_of_the_graphs_own(saver: InMemorySaver | None) -> None:
    model = ScriptedChat(
        scripts=[call("weather", '{"city": "Oslo"}', "call_1"), call("open_door", "{}", "call_1"), words("It is open.")]
    )

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def whose(state: MessagesState) -> str:
        last = state["messages"][-1]
        names = [made["name"] for made in last.tool_calls] if isinstance(last, AIMessage) else []
        return "tools" if "weather" in names else END

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_node("tools", ToolNode([weather]))
    builder.add_edge(START, "ask")
    builder.add_conditional_edges("ask", whose)
    builder.add_edge("tools", "ask")
    with serving(bridge(builder.compile(checkpointer=saver), client_tools=True)) as served:
        first = served.client.responses.create(model="m", input="Open it if it is sunny", tools=[DOOR])
        own, asked = dicts(first)
        assert (own["type"], own["output"]) == ("mcp_call", "sunny in Oslo")
        assert (asked["type"], asked["name"], asked["call_id"]) == ("function_call", "open_door", "call_1")
        sent: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "opened"}]
        second = served.client.responses.create(model="m", input=sent, previous_response_id=first.id, tools=[DOOR])
        assert said(second) == ["It is open."]
    assert brief(model.asked[-1])[-2:] == ["open_door({})", "-> opened"]


def test_a_call_that_the_graph_has_answered_is_not_the_clients(saver: InMemorySaver | None) -> None:
    """Whatever the answer: the model may not be given two."""
    model = ScriptedChat(scripts=[call("open_door", "{}", "call_1"), words("I cannot.")])
    graph = create_agent(model, tools=[weather, DOOR], checkpointer=saver)
    with serving(bridge(graph, client_tools=True)) as served:
        answer = served.client.responses.create(model="m", input="Open it", tools=[DOOR])
    assert said(answer) == ["open_door {} failed: The tool failed.", "I cannot."]


def test_what_one_tool_came_to_is_kept_where_another_raises(saver: InMemorySaver | None) -> None:
    @tool
    def broken() -> str:
        """Breaks, once the other one is done."""
        raise RuntimeError("the secret")

    calls = [*call("weather", '{"city": "Oslo"}', "call_1"), *call("broken", "{}", "call_2", 1)]
    model = ScriptedChat(scripts=[calls, words("Sunny, I think.")])
    graph = create_agent(model, tools=[weather, broken], checkpointer=saver)
    with serving(bridge(graph)) as served:
        failed = served.client.responses.create(model="m", input="Oslo?", conversation="conv_1")
        assert failed.status == "failed"
        assert dicts(failed)[0]["output"] == "sunny in Oslo"
        after = served.client.responses.create(model="m", input="Go on", conversation="conv_1")
        assert after.output_text == "Sunny, I think."
    asked = brief(model.asked[-1])
    assert asked[:3] == ["Oslo?", "weather({'city': 'Oslo'})", "broken({})"]
    assert sorted(asked[3:]) == ["-> The call was not answered.", "-> sunny in Oslo", "Go on"]
    assert asked[-1] == "Go on"


def test_what_a_tool_of_a_subgraph_came_to_is_kept_where_it_breaks_off(saver: InMemorySaver | None) -> None:
    """The graph around it knows nothing of it yet; the model must not pay twice."""
    script: list[Any] = [
        [*words("Let me see."), *call("weather", '{"city": "Oslo"}', "call_1")],
        [*words("Half an"), RuntimeError("the secret")],
        words("Sunny, as I said."),
    ]
    model = ScriptedChat(scripts=script)
    outer = StateGraph(MessagesState)
    outer.add_node("expert", create_agent(model, tools=[weather]))
    outer.add_edge(START, "expert")
    with serving(bridge(outer.compile(checkpointer=saver))) as served:
        failed = served.client.responses.create(model="m", input="Oslo?", conversation="conv_1")
        assert (failed.status, said(failed)) == (
            "failed",
            ["Let me see.", "weather {'city': 'Oslo'} sunny in Oslo", "Half an"],
        )
        served.client.responses.create(model="m", input="Go on", conversation="conv_1")
    assert brief(model.asked[-1]) == [
        *("Oslo?", "Let me see.", "weather({'city': 'Oslo'})", "-> sunny in Oslo", "Half an", "Go on"),
    ]


def test_who_moves_on_from_a_question_keeps_what_the_other_tools_came_to() -> None:
    calls = [*call("weather", '{"city": "Oslo"}', "call_w"), *call("delete", '{"path": "a"}', "call_a", 1)]
    graph, model = keeper(calls, words("Very well."), words("As I said."), mode="per_call")
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        assert said(first) == ["weather {'city': 'Oslo'} sunny in Oslo", "may I delete {'path': 'a'}"]
        second = served.client.responses.create(model="m", input="Never mind", previous_response_id=first.id)
        assert second.output_text == "Very well."
        served.client.responses.create(model="m", input="Really?", previous_response_id=second.id)
    answers = ["-> The call was not answered.", "-> sunny in Oslo"]
    asked = brief(model.asked[-1])
    assert sorted(asked[3:5]) == answers
    assert asked[5:] == ["Never mind", "Very well.", "Really?"]


def test_an_answer_is_of_one_call_only() -> None:
    def made(text: str) -> AIMessage:
        return AIMessage(text, tool_calls=[{"id": "call_1", "name": "own", "args": {}, "type": "tool_call"}])

    history: list[BaseMessage] = [made("one"), ToolMessage("done", tool_call_id="call_1"), made("two"), made("three")]
    assert [message.text for message, _ in open_calls(history)] == ["two", "three"]
    shown = answered([*history, HumanMessage("So?")])
    assert [type(message) for message in shown] == [*[AIMessage, ToolMessage] * 3, HumanMessage]


def test_an_approval_with_no_answer_counts_as_refused_and_says_so() -> None:
    calls = [*call("delete", '{"path": "a"}', "call_a"), *call("delete", '{"path": "b"}', "call_b", 1)]
    model = ScriptedChat(scripts=[calls, words("Done.")])
    asks: Any = HumanInTheLoopMiddleware({"delete": True})
    graph = create_agent(model, tools=[delete], middleware=[asks], checkpointer=InMemorySaver())
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        sent: Any = [
            {"type": "mcp_approval_response", "approval_request_id": dicts(first)[0]["id"], "approve": True},
        ]
        second = served.client.responses.create(model="m", input=sent, previous_response_id=first.id)
    lines = said(second)
    assert "delete {'path': 'a'} deleted a" in lines
    [refused] = [line for line in lines if line.startswith("delete {'path': 'b'}")]
    assert "It was not approved" in refused
