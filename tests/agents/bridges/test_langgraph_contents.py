"""What graphs say and are told: tools, subgraphs, other states, structure, what the request asks for."""

from __future__ import annotations

from typing import Any, TypedDict

import anyio
import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

from responses_stream.agents.bridges.langgraph import bridge
from responses_stream.agents.contents import Text
from responses_stream.agents.turn import Turn

from .scripted_chat import ScriptedChat, call, words
from .serving import serving
from .test_langgraph import brief, tutor, weather
from .test_langgraph_interrupts import said
from .test_langgraph_models import dicts


def test_instructions_are_of_one_turn() -> None:
    graph, model = tutor(None, words("Oui."), words("Yes."))
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Sure?", instructions="Speak French.")
        served.client.responses.create(model="m", input="Really?", previous_response_id=first.id)
    assert brief(model.asked[0]) == ["Be brief.", "Speak French.", "Sure?"]
    assert brief(model.asked[1]) == ["Be brief.", "Sure?", "Oui.", "Really?"]


class Sky(BaseModel):
    """The sky."""

    colour: str


@pytest.mark.parametrize("saver", [None, InMemorySaver()])
@pytest.mark.parametrize("tools", [[], [weather]])
def test_structured_output_is_its_json_and_nothing_else(saver: InMemorySaver | None, tools: list[Any]) -> None:
    """The calls that give it its form are between the graph and its model, also one that did not fit."""
    script = [
        [*words("Let me see."), *call("Sky", '{"color": "blue"}', "call_1")],
        call("Sky", '{"colour": "blue"}', "call_2"),
        call("Sky", '{"colour": "grey"}', "call_3"),
    ]
    model = ScriptedChat(scripts=script)
    graph = create_agent(model, tools=tools, response_format=ToolStrategy(Sky), checkpointer=saver)
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Sky?")
        assert said(first) == ["Let me see.", '{"colour": "blue"}']
        second = served.client.responses.create(model="m", input="And now?", previous_response_id=first.id)
        assert said(second) == ['{"colour": "grey"}']
    assert brief(model.asked[-1])[-2:] == ["-> Returning structured response: colour='blue'", "And now?"]


def test_structured_output_of_a_subgraph_is_told_once() -> None:
    class Told(MessagesState):
        structured_response: Sky

    model = ScriptedChat(scripts=[call("Sky", '{"colour": "blue"}', "call_1")])
    builder = StateGraph(Told)
    builder.add_node("expert", create_agent(model, tools=[weather], response_format=ToolStrategy(Sky)))
    builder.add_node("thank", lambda _: {"messages": [AIMessage("Thanks.")]})
    builder.add_edge(START, "expert")
    builder.add_edge("expert", "thank")
    with serving(bridge(builder)) as served:
        answer = served.client.responses.create(model="m", input="Sky?")
    assert said(answer) == ['{"colour": "blue"}', "Thanks."]


def test_what_a_tool_raises_is_for_the_model_alone() -> None:
    model = ScriptedChat(scripts=[call("weather", '{"town": "Oslo"}', "call_1"), words("I cannot.")])
    with serving(bridge(create_agent(model, tools=[weather]))) as served:
        answer = served.client.responses.create(model="m", input="Oslo?")
    failed = dicts(answer)[0]
    assert (failed["status"], failed["error"]["content"][0]["text"]) == ("failed", "The tool failed.")
    assert "Field required" in brief(model.asked[-1])[-1]


def test_steps_run_out() -> None:
    graph, model = tutor(None, call("weather", '{"city": "Oslo"}', "call_1"), words("Sunny."))
    with serving(bridge(graph, config={"recursion_limit": 2})) as served:
        answer = served.client.responses.create(model="m", input="Oslo?")
        assert answer.incomplete_details is not None
        assert (answer.status, str(answer.incomplete_details.reason)) == ("incomplete", "max_turns")
        served.change(bridge(graph))
        assert served.client.responses.create(model="m", input="So?").output_text == "Sunny."
    assert brief(model.asked[-1]) == ["Be brief.", "So?"]


class Count(TypedDict):
    count: int


def test_a_graph_whose_state_is_another() -> None:
    def add(state: Count) -> Count:
        get_stream_writer()(Text("adding, ", message_id="one"))
        return {"count": state["count"] + 1}

    builder = StateGraph(Count)
    builder.add_node("add", add)
    builder.add_edge(START, "add")

    def state(turn: Turn) -> Count:
        item: Any = turn.run.messages[-1]
        return {"count": int(item.content[0].text)}

    handler = bridge(
        builder, to_state=state, from_update=lambda update: [Text(str(update["add"]["count"]), message_id="one")]
    )
    with serving(handler) as served:
        assert served.client.responses.create(model="m", input="41").output_text == "adding, 42"


def test_what_tools_ask_models_is_not_shown_and_subgraphs_are() -> None:
    inner = ScriptedChat(scripts=[words("secret thoughts"), words("deep secret thoughts")])
    deep = create_agent(inner, tools=[])

    @tool
    async def research(topic: str) -> str:
        """Researches."""
        await inner.ainvoke([HumanMessage(topic)])
        return str((await deep.ainvoke({"messages": [HumanMessage(topic)]}))["messages"][-1].text)[:4]

    expert = create_agent(
        ScriptedChat(scripts=[call("research", '{"topic": "sky"}', "call_1"), words("The sky is blue.")]), [research]
    )
    router = ScriptedChat(scripts=[words("expert")] * 2)

    async def route(state: MessagesState) -> dict[str, Any]:
        await router.ainvoke(state["messages"])
        return {}

    async def form(state: MessagesState) -> dict[str, Any]:
        # What `with_structured_output` does: a call that nobody is to make.
        await ScriptedChat(scripts=[call("Route", "{}", "call_2")]).ainvoke(state["messages"])
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("route", route)
    builder.add_node("expert", expert)
    builder.add_node("form", form)
    builder.add_edge(START, "route")
    builder.add_edge("route", "form")
    builder.add_edge("form", "expert")
    with serving(bridge(builder.compile(), nodes=["form", "expert"])) as served:
        events = served.stream(input="Sky?")
    made, message = events[-1]["response"]["output"]
    assert (made["name"], made["output"]) == ("research", "deep")
    assert message["content"][0]["text"] == "The sky is blue."
    assert sum(event["type"] == "response.output_text.delta" for event in events) == 4


@pytest.mark.parametrize("subgraphs", [True, False])
def test_messages_of_subgraphs_come_in_pieces_or_whole(subgraphs: bool) -> None:
    expert = create_agent(ScriptedChat(scripts=[words("The sky is blue.")]), tools=[])
    builder = StateGraph(MessagesState)
    builder.add_node("expert", expert)
    builder.add_edge(START, "expert")
    with serving(bridge(builder.compile(), subgraphs=subgraphs)) as served:
        events = served.stream(input="Sky?")
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == (["The ", "sky ", "is ", "blue."] if subgraphs else ["The sky is blue."])


def test_a_call_is_told_before_its_tool_has_run() -> None:
    """So that somebody who watches sees what is going on."""
    seen = anyio.Event()

    @tool
    async def slow() -> str:
        """Waits until the client was told."""
        await seen.wait()
        return "seen"

    model = ScriptedChat(scripts=[call("slow", "{}", "call_1"), words("Done.")])
    with serving(bridge(create_agent(model, tools=[slow]))) as served:
        for event in served.client.responses.create(model="m", input="Go", stream=True):
            if event.type == "response.mcp_call.in_progress":
                served.portal.call(seen.set)
    assert served.streams[0][-1]["type"] == "response.completed"


def test_a_graph_finds_the_request_in_its_config() -> None:
    seen: list[dict[str, Any]] = []

    def look(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        assert state["messages"]
        seen.append(config["configurable"])
        return {"messages": [AIMessage("Seen.")]}

    builder = StateGraph(MessagesState)
    builder.add_node("look", look)
    builder.add_edge(START, "look")
    with serving(bridge(builder.compile(), config=lambda turn: {"configurable": {"user": turn.run.caller}})) as served:
        served.client.responses.create(
            model="m", input="Hi", safety_identifier="ann", temperature=0.5, instructions="Be brief."
        )
    [configurable] = seen
    assert (configurable["user"], configurable["temperature"]) == ("ann", 0.5)
    assert configurable["instructions"] == "Be brief."
    assert configurable["turn"].run.options["temperature"] == 0.5


def test_an_entrypoint_is_given_what_is_new_beside_what_it_keeps() -> None:
    given: list[list[str]] = []
    kept: list[Any] = []
    scripts: list[Any] = [
        words("One."),
        [*words("Half a"), RuntimeError("the secret")],
        words("Three."),
        words("Four."),
    ]
    model = ScriptedChat(scripts=scripts)

    @entrypoint(checkpointer=InMemorySaver())
    async def flow(state: dict[str, Any], *, previous: Any = None) -> str:
        given.append(brief(state["messages"]))
        kept.append(previous)
        return str((await model.ainvoke(state["messages"])).text)

    with serving(bridge(flow)) as served:
        for text in ("First", "Second", "Third", "Fourth"):
            served.client.responses.create(model="m", input=text, conversation="conv_1")
    assert given == [["First"], ["Second"], ["Second", "Half a", "Third"], ["Fourth"]]
    assert kept == [None, "One.", "One.", "Three."]


def test_an_entrypoint_that_keeps_nothing_is_given_everything() -> None:
    model = ScriptedChat(scripts=[words("One."), words("Two.")])

    @entrypoint()
    async def flow(state: dict[str, Any]) -> str:
        return str((await model.ainvoke(state["messages"])).text)

    with serving(bridge(flow)) as served:
        for text in ("First", "Second"):
            served.client.responses.create(model="m", input=text, conversation="conv_1")
    assert brief(model.asked[-1]) == ["First", "One.", "Second"]


@pytest.mark.parametrize("saver", [None, InMemorySaver()])
def test_a_call_that_no_node_runs_is_the_clients(saver: InMemorySaver | None) -> None:
    """A graph that ends with the call of a model; the client answers, and the graph goes on."""
    model = ScriptedChat(scripts=[call("open_door", "{}", "call_1"), words("It is open.")])

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    with serving(bridge(builder.compile(checkpointer=saver))) as served:
        first = served.client.responses.create(model="m", input="Open it")
        [made] = dicts(first)
        assert (made["type"], made["name"]) == ("function_call", "open_door")
        sent: Any = [{"type": "function_call_output", "call_id": made["call_id"], "output": "opened"}]
        second = served.client.responses.create(model="m", input=sent, previous_response_id=first.id)
    assert second.output_text == "It is open."
    assert brief(model.asked[-1]) == ["Open it", "open_door({})", "-> opened"]
