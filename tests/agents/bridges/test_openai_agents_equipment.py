"""What a request adds to the agents of a run of `openai-agents`, to each that speaks: functions, a form, a choice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from agents import (
    Agent,
    CustomTool,
    Handoff,
    HostedMCPTool,
    ModelSettings,
    OpenAIResponsesModel,
    RunConfig,
    ShellTool,
    WebSearchTool,
    function_tool,
    handoff,
    set_tracing_disabled,
)
from agents.model_settings import MCPToolChoice
from agents.testing import ScriptedModel, assistant_message, function_call

from responses_stream import CreateResponse, ResponseContext
from responses_stream.agents.bridges.openai_agents import bridge
from responses_stream.agents.bridges.openai_agents_equipment import Equipment, choice_for, named
from responses_stream.agents.bridges.openai_agents_input import tools_of_client

from .serving import serving
from .test_openai_agents import said_to, weather
from .test_openai_agents_waiting import DOOR, brief, output_of, shell_and_grep

set_tracing_disabled(True)

FORM: Any = {"format": {"type": "json_schema", "name": "sky", "schema": {"type": "object"}, "strict": False}}


def by_agent(agent: Agent[None]) -> Any:
    return agent


def by_handoff(agent: Agent[None]) -> Any:
    return handoff(agent)


def by_function(agent: Agent[None]) -> Any:
    """Return a hand-off of which nobody knows beforehand to whom it is."""

    async def hand_over(_context: Any, _arguments: str) -> Agent[None]:
        return agent

    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    return Handoff("transfer_to_second", "", nothing, hand_over, "Second")


ways = pytest.mark.parametrize("way", [by_agent, by_handoff, by_function])
HAND_OFF = [function_call("transfer_to_second", {}, call_id="call_h")]


@ways
def test_who_is_handed_over_to_has_what_the_request_adds(way: Callable[[Agent[None]], Any]) -> None:
    first_model, model = ScriptedModel([HAND_OFF]), ScriptedModel([[assistant_message("{}")]])
    second = Agent(name="Second", model=model)
    first = Agent(name="First", handoffs=[way(second)], model=first_model)
    with serving(bridge(first, client_tools=True)) as served:
        served.client.responses.create(model="m", input="Hi", tools=[DOOR], text=FORM)
    for asked in (first_model.last_call, model.last_call):
        assert asked is not None
        assert asked.output_schema is not None
        assert ([tool.name for tool in asked.tools], asked.output_schema.name()) == (["open_door"], "sky")
    assert (second.tools, second.output_type, first.tools) == ([], None, [])


@pytest.mark.parametrize("way", [by_agent, by_handoff])
def test_a_function_that_is_called_after_a_hand_off_is_answered(way: Callable[[Agent[None]], Any]) -> None:
    model = ScriptedModel(
        [
            [function_call("open_door", {"number": 1}, call_id="call_d")],
            [assistant_message("It is open.")],
            [assistant_message("Still.")],
        ]
    )
    second = Agent(name="Second", model=model)
    first = Agent(name="First", handoffs=[way(second)], model=ScriptedModel([HAND_OFF]))
    second.handoffs.append(first)
    with serving(bridge(first, client_tools=True)) as served:
        asked = served.client.responses.create(model="m", input="Open it", tools=[DOOR])
        assert brief(asked) == ['transfer_to_second({}) {"assistant": "Second"}', 'do open_door({"number":1})']
        answer: Any = [output_of("call_d", "opened")]
        done = served.client.responses.create(model="m", input=answer, previous_response_id=asked.id)
        assert brief(done) == ["It is open."]
        again = served.client.responses.create(model="m", input="Sure?", previous_response_id=done.id)
    assert brief(again) == ["Still."]
    assert said_to(model)[-3:] == ["-> opened", "It is open.", "Sure?"]


def test_the_tool_of_the_agent_that_speaks_wins() -> None:
    """The one agent has a door of its own, and the other calls that of the client."""

    @function_tool
    def open_door(number: int) -> str:
        return f"{number} is ours"

    calls = [function_call("open_door", {"number": 1}, call_id="call_1")]
    second = Agent(name="Second", model=ScriptedModel([[function_call("open_door", {"number": 2}, call_id="call_2")]]))
    first = Agent(name="First", tools=[open_door], handoffs=[second], model=ScriptedModel([calls, HAND_OFF]))
    with serving(bridge(first, client_tools=True)) as served:
        answer = served.client.responses.create(model="m", input="Open it", tools=[DOOR])
    assert brief(answer) == [
        'open_door({"number":1}) 1 is ours',
        'transfer_to_second({}) {"assistant": "Second"}',
        'do open_door({"number":2})',
    ]


def test_a_tool_of_an_agent_that_is_a_tool_is_none_of_the_client() -> None:
    @function_tool(needs_approval=True)
    def open_door(number: int) -> str:
        return f"{number} is open"

    inner = ScriptedModel([[function_call("open_door", {"number": 1}, call_id="call_i")]])
    tool = Agent(name="Inner", tools=[open_door], model=inner).as_tool("ask", "Asks.")
    model = ScriptedModel([[function_call("ask", {"input": "1"}, call_id="call_o")]])
    with serving(bridge(Agent(name="Outer", tools=[tool], model=model), client_tools=True)) as served:
        answer = served.client.responses.create(model="m", input="Open it", tools=[DOOR])
    assert brief(answer) == ['may I open_door({"number":1})']


@ways
def test_custom_tools_of_whoever_speaks_say_what_came_of_them(way: Callable[[Agent[None]], Any]) -> None:
    async def grepped(_context: Any, text: str) -> str:
        return f"no {text}"

    async def ran(_request: Any) -> str:
        raise RuntimeError("the secret")

    tools: list[Any] = [
        CustomTool(name="grep", description="Greps.", on_invoke_tool=grepped),
        ShellTool(executor=ran),
    ]
    second = Agent(name="Second", tools=tools, model=ScriptedModel([shell_and_grep(), [assistant_message("Done.")]]))
    first = Agent(name="First", handoffs=[way(second)], model=ScriptedModel([HAND_OFF]))
    with serving(bridge(first)) as served:
        answer = served.client.responses.create(model="m", input="Look")
    told = {item["name"]: item for item in [one.to_dict() for one in answer.output] if item["type"] == "mcp_call"}
    assert (told["grep"]["output"], told["shell"]["status"]) == ("no sky", "failed")


def test_an_agent_that_gets_nothing_is_run_as_it_is() -> None:
    second = Agent(name="Second", model=ScriptedModel())
    first = Agent(name="First", tools=[weather], handoffs=[second], model=ScriptedModel())
    second.handoffs.append(handoff(first))
    assert Equipment().of(first) is first
    with_doors = Equipment([DOOR]).of(first)
    assert with_doors is not first
    # The circle is closed among the copies.
    again = named(with_doors, "Second").handoffs[0]
    assert isinstance(again, Handoff)
    assert again._agent_ref is not None
    assert again._agent_ref() is with_doors


class Odd(Agent[None]):
    """An agent whose `__init__` is its own, which `clone` cannot call."""

    def __init__(self, model: ScriptedModel) -> None:
        super().__init__(name="Odd", model=model)


def test_an_agent_may_be_of_any_class() -> None:
    model = ScriptedModel([[assistant_message("Hi.")]])
    with serving(bridge(Odd(model), client_tools=True)) as served:
        assert served.client.responses.create(model="m", input="Hi", tools=[DOOR]).output_text == "Hi."
    assert model.last_call is not None
    assert [tool.name for tool in model.last_call.tools] == ["open_door"]


async def answers(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
    stream = context.stream()
    yield [stream.emit_created(), stream.emit_in_progress()]
    yield stream.output_item_message("Hi.")
    yield stream.emit_completed()


@pytest.mark.parametrize("choice", [{"type": "function", "name": "open_door"}, "required"])
@pytest.mark.parametrize("offered", [False, True])
def test_no_tool_is_chosen_that_the_model_is_not_offered(choice: Any, offered: bool) -> None:
    """On the wire: services refuse a `tool_choice` without `tools`."""
    with serving(answers) as upstream:
        client = upstream.async_client()
        agent = Agent(name="Tutor", model=OpenAIResponsesModel("upstream", client))
        with serving(bridge(agent, client_tools=offered)) as served:
            answer = served.client.responses.create(model="m", input="Hi", tools=[DOOR], tool_choice=choice)
            assert answer.output_text == "Hi."
            served.portal.call(client.close)
    [exchange] = upstream.exchanges
    assert exchange.asked.get("tool_choice") == (choice if offered else None)
    assert [tool["name"] for tool in exchange.asked.get("tools") or ()] == (["open_door"] if offered else [])


@pytest.mark.parametrize(("of_run", "otherwise"), [(None, "none"), ("auto", "auto")])
def test_each_agent_chooses_among_its_own_tools(of_run: str | None, otherwise: str) -> None:
    """Neither who is handed over to nor an agent that is a tool has to call what it does not have."""
    inner = ScriptedModel([[assistant_message("Sunny.")]])
    tool = Agent(name="Inner", model=inner).as_tool("ask", "Asks.")
    last = ScriptedModel([[assistant_message("Done.")]])
    second = Agent(name="Second", model=last, model_settings=ModelSettings(tool_choice="none"))
    model = ScriptedModel([[function_call("ask", {"input": "sky"}, call_id="call_a")], HAND_OFF])
    first = Agent(name="First", tools=[tool], handoffs=[second], model=model)
    config = RunConfig(model_settings=ModelSettings(tool_choice=of_run))
    with serving(bridge(first, run_config=config)) as served:
        served.client.responses.create(model="m", input="Hi", tool_choice="required")
    chosen = [call.model_settings.tool_choice for call in (*model.calls, *inner.calls, *last.calls)]
    # The framework takes the choice back from an agent that has followed it.
    assert chosen == ["required", None, None, otherwise]


def _function(name: str) -> Any:
    return {"type": "function", "name": name}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (_function("weather"), "weather"),
        (_function("transfer_to_second"), "transfer_to_second"),
        (_function("unknown"), None),
        ({"type": "custom", "name": "unknown"}, None),
        ({"type": "web_search_preview"}, "web_search_preview"),
        ({"type": "file_search"}, None),
        ({"type": "mcp", "server_label": "gh", "name": "search"}, MCPToolChoice("gh", "search")),
        ({"type": "mcp", "server_label": "gh"}, "mcp"),
        ({"type": "mcp", "server_label": "hub", "name": "search"}, None),
        ({"type": "allowed_tools", "mode": "required", "tools": [_function("no"), _function("weather")]}, "required"),
        ({"type": "allowed_tools", "mode": "required", "tools": [_function("no")]}, None),
        (None, None),
    ],
)
def test_a_choice_is_one_of_the_tools_that_are_there(asked: Any, expected: Any) -> None:
    hosted = HostedMCPTool({"type": "mcp", "server_label": "gh", "server_url": "https://gh"})
    agent = Agent(
        name="Tutor",
        tools=[weather, WebSearchTool(), hosted],
        handoffs=[Agent(name="Second", model=ScriptedModel())],
        model=ScriptedModel(),
    )
    assert choice_for(agent, asked) == expected


def test_nobody_knows_all_tools_of_an_agent_with_a_stored_prompt() -> None:
    agent = Agent(name="Tutor", prompt={"id": "pmpt_1"}, model=ScriptedModel())
    assert [choice_for(agent, asked) for asked in ("required", _function("any"))] == ["required", "any"]
    bare = Agent(name="Tutor", model=ScriptedModel())
    assert choice_for(bare, "required") is None
    bare.tools = tools_of_client([DOOR], {})
    assert choice_for(bare, "required") == "required"
