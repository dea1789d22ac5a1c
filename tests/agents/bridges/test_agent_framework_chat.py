"""What the chat client of an agent is asked: the client's tools, its choice among all, and what stands where."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from agent_framework import (
    Agent,
    AgentExecutor,
    Content,
    ContextProvider,
    FunctionTool,
    Message,
    SupportsAgentRun,
    WorkflowBuilder,
    tool,
)
from agent_framework.openai import OpenAIChatClient
from hypothesis import given
from hypothesis import strategies as st

from responses_stream.agents.bridges.agent_framework import bridge
from responses_stream.agents.bridges.agent_framework_chat import names_of, results_behind_calls
from responses_stream.agents.target import AgentState
from tests.agents.bridges.scripted_agent_framework import ScriptedClient, output, results
from tests.agents.bridges.serving import serving

DOOR: Any = {"type": "function", "name": "door", "parameters": {"type": "object"}, "strict": False}
ASK: Any = {**DOOR, "name": "ask"}


@tool(approval_mode="never_require")
def door() -> str:
    """Open the door."""
    return "own door"


@tool(approval_mode="never_require")
def window() -> str:
    """Open the window."""
    return "own window"


async def calling_script(messages: list[Message], options: Mapping[str, Any]) -> AsyncIterator[Content | str]:
    """A model that calls every tool that it has, once."""
    tools = [one for one in options.get("tools") or () if isinstance(one, FunctionTool)]
    if results(messages) or not tools:
        yield "Done."
    else:
        for one in tools:
            yield Content.from_function_call(f"call_{one.name}", one.name, arguments="{}")


def called(response: Any) -> set[tuple[str, str]]:
    """Return the kinds and the names of the calls of *response*."""
    return {(item.type, item.name) for item in output(response) if item.type in ("mcp_call", "function_call")}


def test_a_tool_of_the_agent_goes_before_one_of_the_client_that_has_its_name() -> None:
    agent = Agent(ScriptedClient(calling_script), tools=[door])
    with serving(bridge(agent, client_tools=True)) as served:
        create = served.client.responses.create
        assert called(create(model="m", input="go", tools=[DOOR, DOOR])) == {("mcp_call", "door")}
        first = create(model="m", input="go", tools=[DOOR, ASK, ASK])
        assert called(first) == {("function_call", "ask")}


def test_tools_of_the_options_stay_beside_those_of_the_client_and_go_before_them() -> None:
    handler = bridge(
        Agent(ScriptedClient(calling_script)),
        options=lambda _: {"tools": [door]},
        client_tools=True,
    )
    with serving(handler) as served:
        create = served.client.responses.create
        assert called(create(model="m", input="go", tools=[DOOR])) == {("mcp_call", "door")}
        assert called(create(model="m", input="go", tools=[DOOR, ASK])) == {("function_call", "ask")}


def test_a_tool_of_an_agent_of_a_workflow_goes_before_one_of_the_client() -> None:
    def make() -> Any:
        agent: SupportsAgentRun = Agent(ScriptedClient(calling_script), tools=[door], name="a")
        return WorkflowBuilder(start_executor=AgentExecutor(agent, id="a")).build()

    with serving(bridge(AgentState(make, cached=False), client_tools=True)) as served:
        first = served.client.responses.create(model="m", input="go", tools=[DOOR])
    assert (first.status, called(first)) == ("completed", {("mcp_call", "door")})


def allowed(mode: str, *names: str) -> Any:
    return {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": name} for name in names]}


class Windows(ContextProvider):
    """Brings a tool that is known only in a run."""

    async def before_run(self, *, context: Any, **_: Any) -> None:
        context.extend_tools("windows", [window])


NAMED_DOOR = {"mode": "required", "required_function_name": "door"}


@pytest.mark.parametrize(
    ("choice", "passed_on"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "name": "door"}, NAMED_DOOR),
        ({"type": "function", "name": "window"}, {"mode": "required", "required_function_name": "window"}),
        ({"type": "function", "name": "ask"}, None),
        (allowed("auto", "door", "ask"), {"mode": "auto", "allowed_tools": ["door"]}),
        (allowed("required", "ask"), None),
    ],
)
def test_a_choice_is_passed_on_as_far_as_the_run_has_the_tools(choice: Any, passed_on: Any) -> None:
    seen = list[Any]()

    async def script(_: list[Message], options: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        seen.append(options.get("tool_choice"))
        yield "Yes."

    agent = Agent(ScriptedClient(script), tools=[door], context_providers=[Windows("windows")])
    with serving(bridge(agent)) as served:
        served.client.responses.create(model="m", input="go", tools=[ASK], tool_choice=choice)
    assert seen == [passed_on]


@pytest.mark.parametrize(
    ("client_tools", "passed_on"), [(False, None), (True, {"mode": "required", "required_function_name": "ask"})]
)
def test_a_choice_of_what_the_client_runs_is_passed_on_where_the_model_may_call_it(
    client_tools: bool, passed_on: Any
) -> None:
    seen = list[Any]()

    async def script(_: list[Message], options: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        seen.append(options.get("tool_choice"))
        yield "Yes."

    with serving(bridge(Agent(ScriptedClient(script)), client_tools=client_tools)) as served:
        choices: list[Any] = [{"type": "function", "name": "ask"}, "required"]
        for choice in choices:
            served.client.responses.create(model="m", input="go", tools=[ASK], tool_choice=choice)
    assert seen == [passed_on, "required" if client_tools else None]


def test_a_choice_of_the_agent_itself_is_not_touched() -> None:
    seen = list[Any]()

    async def script(_: list[Message], options: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        seen.append(options.get("tool_choice"))
        yield "Yes."

    own: Any = {"mode": "required", "required_function_name": "of_the_service"}
    with serving(bridge(Agent(ScriptedClient(script)), options=lambda _: {"tool_choice": own})) as served:
        served.client.responses.create(model="m", input="go", tool_choice="required")
    assert seen == [own]


def test_a_choice_of_a_tool_that_is_not_there_does_not_reach_the_service() -> None:
    async def script(_: list[Message], __: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        yield "Yes."

    with serving(bridge(Agent(ScriptedClient(script)))) as upstream:
        client = upstream.async_client()
        with serving(bridge(Agent(OpenAIChatClient(model="m", async_client=client), tools=[window]))) as served:
            choice: Any = {"type": "function", "name": "door"}
            answer = served.client.responses.create(model="m", input="go", tools=[DOOR], tool_choice=choice)
            served.portal.call(client.close)
    [asked] = [exchange.asked for exchange in upstream.exchanges]
    assert (answer.output_text, [one["name"] for one in asked["tools"]]) == ("Yes.", ["window"])
    assert "tool_choice" not in asked


def test_names_of_tools_in_all_their_forms() -> None:
    nested = {"type": "function", "function": {"name": "nested"}}
    assert names_of([door, {"type": "function", "name": "plain"}, nested, {"type": "web_search"}]) == {
        "door",
        "plain",
        "nested",
    }


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Message], list[Message]]:
    """Draw a conversation, and the same with results put behind what was said in the meantime."""
    right, late = list[Message](), list[Message]()
    for turn in range(draw(st.integers(0, 4))):
        # Not every model has an id of its own for each call of a conversation.
        calls = [f"call_{number}" for number in range(draw(st.integers(0, 3)))]
        question = Message("user", [f"question {turn}"])
        said = [Message(draw(st.sampled_from(["user", "system"])), ["more"]) for _ in range(draw(st.integers(0, 2)))]
        asked = [Message("assistant", [Content.from_function_call(call, "do") for call in calls])] if calls else []
        answers = [Content.from_function_result(call, result="done") for call in calls]
        returned = (
            [Message("tool", [answer]) for answer in answers]
            if draw(st.booleans()) or not answers
            else [Message("tool", answers)]
        )
        answer = Message("assistant", [f"answer {turn}"])
        right += [question, *asked, *returned, *said, answer]
        late += [question, *asked, *said, *returned, answer]
    return right, late


@given(conversations())
def test_results_stand_behind_their_calls(conversation: tuple[list[Message], list[Message]]) -> None:
    right, late = conversation
    for messages in (right, late):
        assert [id(message) for message in results_behind_calls(messages)] == [id(message) for message in right]


def test_results_of_calls_that_the_service_has_stay_where_they_are() -> None:
    messages = [Message("user", ["hi"]), Message("tool", [Content.from_function_result("call_1", result="done")])]
    assert results_behind_calls(messages) == messages
