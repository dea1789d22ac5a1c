"""The tools of a client and its choice among those of a run, with an agent of pydantic-ai, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage, RunContext, ToolDefinition, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider

from responses_stream.agents.bridges.pydantic_ai import bridge
from tests.agents.bridges.scripted_pydantic_ai import Piece, output
from tests.agents.bridges.serving import serving

DOOR: Any = {"type": "function", "name": "door", "parameters": {"type": "object"}, "strict": False}
NAMED: Any = {"type": "function", "name": "door"}


def allowed(*names: str) -> Any:
    return {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": one} for one in names]}


async def calling_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
    """A model that calls every tool that it has, once."""
    returned = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
    if returned or not info.function_tools:
        yield "; ".join(f"{part.tool_name}: {part.content}" for part in returned) or "No tools."
        return
    for index, tool in enumerate(info.function_tools):
        yield {index: DeltaToolCall(tool.name, "{}", tool_call_id=f"call_{tool.name}")}


def agent_with_a_door() -> Agent[None, str]:
    agent = Agent(FunctionModel(stream_function=calling_model))

    @agent.tool_plain
    def door() -> str:
        return "own door"

    return agent


def test_a_tool_of_the_agent_goes_before_one_of_the_client_that_has_its_name() -> None:
    ask: Any = {**DOOR, "name": "ask"}
    with serving(bridge(agent_with_a_door(), client_tools=True)) as served:
        create = served.client.responses.create
        first = create(model="m", input="go", tools=[DOOR])
        assert [(item.type, getattr(item, "output", None)) for item in output(first)] == [
            ("mcp_call", "own door"),
            ("message", None),
        ]
        second = create(model="m", input="go", tools=[DOOR, ask])
        assert {(item.type, item.name) for item in output(second)} == {("mcp_call", "door"), ("function_call", "ask")}


def test_a_tool_of_the_agent_that_is_there_only_at_times_goes_before_one_of_the_client() -> None:
    async def if_it_is_open(ctx: RunContext[bool], tool: ToolDefinition) -> ToolDefinition | None:
        return tool if ctx.deps else None

    agent = Agent(FunctionModel(stream_function=calling_model), deps_type=bool)

    @agent.tool_plain(prepare=if_it_is_open)
    def door() -> str:
        return "own door"

    handler = bridge(agent, client_tools=True, deps=lambda turn: turn.run.options.get("temperature") == 1)
    with serving(handler) as served:
        create = served.client.responses.create
        kinds = [output(create(model="m", input="go", tools=[DOOR], temperature=given))[0].type for given in (0, 1)]
    assert kinds == ["function_call", "mcp_call"]


@pytest.mark.parametrize("client_tools", [False, True])
@pytest.mark.parametrize(
    ("choice", "passed_on"),
    [
        ("none", "none"),
        ("auto", None),
        ("required", "required"),
        ({"type": "function", "name": "look"}, ["look"]),
        ({"type": "function", "name": "nothing"}, None),
        (allowed("look", "nothing"), ["look"]),
        (allowed("nothing"), None),
        ({"type": "web_search"}, None),
    ],
)
def test_a_choice_is_passed_on_as_far_as_the_run_has_the_tools(
    choice: Any, passed_on: str | list[str] | None, client_tools: bool
) -> None:
    seen = list[Any]()

    async def model(_: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        seen.append((info.model_settings or {}).get("tool_choice"))
        yield "Yes."

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool_plain
    def look() -> str:
        return "seen"

    with serving(bridge(agent, client_tools=client_tools)) as served:
        served.client.responses.create(model="m", input="go", tools=[DOOR], tool_choice=choice)
    assert seen == [passed_on]


@pytest.mark.parametrize(("client_tools", "passed_on"), [(False, None), (True, ["door"])])
def test_a_choice_of_what_the_client_runs_is_passed_on_where_the_model_may_call_it(
    client_tools: bool, passed_on: list[str] | None
) -> None:
    seen = list[Any]()

    async def model(_: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        seen.append((info.model_settings or {}).get("tool_choice"))
        yield "Yes."

    with serving(bridge(Agent(FunctionModel(stream_function=model)), client_tools=client_tools)) as served:
        served.client.responses.create(model="m", input="go", tools=[DOOR], tool_choice=NAMED)
    assert seen == [passed_on]


@pytest.mark.parametrize("choice", [NAMED, "required", allowed("door")])
def test_a_choice_among_no_tools_does_not_reach_the_service(choice: Any) -> None:
    """The models of the framework for services raise where a choice fits no tool."""
    with serving(bridge(Agent(TestModel(custom_output_text="Yes.")))) as upstream:
        client = upstream.async_client()
        model = OpenAIResponsesModel("m", provider=OpenAIProvider(openai_client=client))
        with serving(bridge(Agent(model))) as served:
            answer = served.client.responses.create(model="m", input="go", tools=[DOOR], tool_choice=choice)
            served.portal.call(client.close)
    assert answer.output_text == "Yes."
    assert not {"tools", "tool_choice"} & upstream.exchanges[0].asked.keys()
