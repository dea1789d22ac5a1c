"""Runs of `openai-agents` that wait for their client: for an approval, or for the output of its function."""

from __future__ import annotations

from typing import Any

import pytest
from agents import (
    Agent,
    CustomTool,
    HostedMCPTool,
    OpenAIResponsesModel,
    RunContextWrapper,
    Runner,
    ShellTool,
    function_tool,
    set_tracing_disabled,
)
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from openai.types.responses import Response

from responses_stream import ResponseEventStream
from responses_stream.agents.bridges.openai_agents import bridge
from responses_stream.builders.whole_items import output_item

from .serving import serving
from .test_openai_agents import as_openai, said_to, weather

set_tracing_disabled(True)

DOOR: Any = {
    "type": "function",
    "name": "open_door",
    "description": "Opens a door.",
    "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}},
    "strict": False,
}


@function_tool(needs_approval=True)
def delete(path: str) -> str:
    return f"deleted {path}"


def keeper(*steps: Any) -> tuple[Agent[None], ScriptedModel]:
    model = ScriptedModel(steps)
    return Agent(name="Keeper", tools=[weather, delete], model=model), model


def deletes(*paths: str) -> list[Any]:
    return [function_call("delete", {"path": path}, call_id=f"call_{path}") for path in paths]


def requests_in(answer: Response) -> list[str]:
    """Return the ids of the requests for approval."""
    return [item.id for item in answer.output if item.type == "mcp_approval_request"]


def request_in(answer: Response) -> str:
    [request] = requests_in(answer)
    return request


def approval(request_id: str, approve: bool = True, reason: str | None = None) -> Any:
    answer = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve}
    return answer if reason is None else answer | {"reason": reason}


def brief(answer: Response) -> list[str]:
    """Return what *answer* says, a line for each item."""
    lines = []
    for item in answer.output:
        plain: Any = item.to_dict()
        match plain["type"]:
            case "mcp_call":
                output = plain["output"] or f"failed: {plain['error']['content'][0]['text']}"
                lines.append(f"{plain['name']}({plain['arguments']}) {output}")
            case "mcp_approval_request":
                lines.append(f"may I {plain['name']}({plain['arguments']})")
            case "function_call":
                lines.append(f"do {plain['name']}({plain['arguments']})")
            case _:
                lines.append(plain["content"][0]["text"])
    return lines


@pytest.mark.parametrize("streamed", [False, True])
def test_an_approval_lets_the_run_go_on(streamed: bool) -> None:
    """H9 of the item types: the request names the call, and the answer names the request."""
    agent, model = keeper(
        [
            assistant_message("Let me see."),
            function_call("weather", {"city": "Oslo"}, call_id="call_w"),
            *deletes("a", "b"),
        ],
        [assistant_message("Done.")],
    )
    with serving(bridge(agent)) as served:

        def ask(**asked: Any) -> Response:
            if not streamed:
                created: Response = served.client.responses.create(model="m", **asked)
                return created
            with served.client.responses.stream(model="m", **asked) as events:
                return events.get_final_response()

        first = ask(input="Tidy up")
        assert brief(first) == [
            *("Let me see.", 'weather({"city":"Oslo"}) sunny in Oslo'),
            *('may I delete({"path":"a"})', 'may I delete({"path":"b"})'),
        ]
        one, other = requests_in(first)
        answers = [approval(one), approval(other, False, "I need it")]
        second = ask(input=answers, previous_response_id=first.id)
        assert brief(second) == ['delete({"path":"a"}) deleted a', 'delete({"path":"b"}) failed: I need it', "Done."]
    assert said_to(model)[-3:] == ["-> sunny in Oslo", "-> deleted a", "-> I need it"]


def output_of(call_id: str, output: str) -> Any:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def test_branches_answer_the_same_request_each_for_itself() -> None:
    agent, model = keeper(deletes("a"), *[[assistant_message("Well.")]] * 3)
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        [request] = requests_in(first)
        told = []
        for asked in ([approval(request)], [approval(request, False, "no")], "Never mind"):
            served.client.responses.create(model="m", input=asked, previous_response_id=first.id)
            told.append(said_to(model)[2:])
    assert told == [["-> deleted a"], ["-> no"], ["-> The call was not answered.", "Never mind"]]


def test_a_function_of_the_client_is_called_by_the_client() -> None:
    calls = [
        function_call("weather", {"city": "Oslo"}, call_id="call_w"),
        function_call("open_door", {"number": 1}, call_id="call_d"),
    ]
    agent, model = keeper(calls, [assistant_message("It is open.")])
    with serving(bridge(agent, client_tools=True)) as served:
        with served.client.responses.stream(model="m", input="Open it", tools=[DOOR]) as events:
            first = events.get_final_response()
        assert brief(first) == ['weather({"city":"Oslo"}) sunny in Oslo', 'do open_door({"number":1})']
        output: Any = [
            {"type": "input_text", "text": "It is "},
            {"type": "input_image", "image_url": "https://door/1.png"},
        ]
        answer: Any = {"type": "function_call_output", "call_id": "call_d", "output": output}
        second = served.client.responses.create(model="m", input=[answer], previous_response_id=first.id)
        assert brief(second) == ["It is open."]
    assert model.last_call is not None
    sent = model.last_call.input[-1]
    assert (sent["call_id"], [part["type"] for part in sent["output"]]) == ("call_d", ["input_text", "input_image"])


def test_who_keeps_no_session_sends_the_call_back_with_its_output() -> None:
    agent, model = keeper([function_call("open_door", {"number": 1}, call_id="call_d")], [assistant_message("Open.")])
    with serving(bridge(agent, client_tools=True)) as served:
        first = served.client.responses.create(model="m", input="Open it", tools=[DOOR], store=False)
        sent: Any = [
            {"role": "user", "content": "Open it"},
            *[item.to_dict() for item in first.output],
            {"type": "function_call_output", "call_id": "call_d", "output": "opened"},
        ]
        second = served.client.responses.create(model="m", input=sent, tools=[DOOR], store=False)
    assert brief(second) == ["Open."]
    assert said_to(model) == ["Open it", 'open_door({"number":1})', "-> opened"]


def test_the_functions_of_clients_are_left_out_unless_they_are_wanted() -> None:
    agent, model = keeper([assistant_message("I have no door.")])
    with serving(bridge(agent)) as served:
        served.client.responses.create(model="m", input="Open it", tools=[DOOR])
    assert model.last_call is not None
    assert [tool.name for tool in model.last_call.tools] == ["weather", "delete"]


def test_a_tool_of_the_agent_is_not_replaced_by_one_of_the_client() -> None:
    agent, _ = keeper([function_call("weather", {"city": "Oslo"}, call_id="call_w")], [assistant_message("Sunny.")])
    with serving(bridge(agent, client_tools=True)) as served:
        answer = served.client.responses.create(model="m", input="Oslo?", tools=[DOOR | {"name": "weather"}])
    assert brief(answer) == ['weather({"city":"Oslo"}) sunny in Oslo', "Sunny."]


def test_a_run_that_may_end_with_its_tool_takes_no_more_input() -> None:
    agent, _ = keeper(deletes("a"))
    agent.tool_use_behavior = "stop_on_first_tool"
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="m", input="Tidy up")
        more: Any = [approval(request_in(first)), {"role": "user", "content": "And hurry"}]
        refused = served.client.responses.create(model="m", input=more, previous_response_id=first.id)
        assert refused.error is not None
        assert (refused.status, refused.error.code) == ("failed", "invalid_prompt")
        assert "Answer the open calls" in refused.error.message
        # The request is open still.
        after = served.client.responses.create(model="m", input=more[:1], previous_response_id=first.id)
    assert brief(after) == ['delete({"path":"a"}) deleted a', "deleted a"]


def test_a_run_after_a_hand_off_goes_on_with_who_has_asked() -> None:
    second = Agent(name="Second", tools=[delete], model=ScriptedModel([deletes("a"), [assistant_message("Gone.")]]))
    hand_off = [function_call("transfer_to_second", {}, call_id="call_h")]
    first = Agent(name="First", handoffs=[second], model=ScriptedModel([hand_off]))
    with serving(bridge(first)) as served:
        asked = served.client.responses.create(model="m", input="Tidy up")
        assert brief(asked) == ['transfer_to_second({}) {"assistant": "Second"}', 'may I delete({"path":"a"})']
        done = served.client.responses.create(
            model="m", input=[approval(request_in(asked))], previous_response_id=asked.id
        )
    assert brief(done) == ['delete({"path":"a"}) deleted a', "Gone."]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_agent_of_the_framework_runs_its_own_functions_for_ours() -> None:
    """Its tools are functions of a client to us: our agent calls, it runs them, and we go on."""
    opened: list[int] = []

    @function_tool
    def open_door(_context: RunContextWrapper[None], number: int) -> str:
        opened.append(number)
        return f"door {number} is open"

    agent, model = keeper(
        [function_call("open_door", {"number": 3}, call_id="call_d")], [assistant_message("You may enter.")]
    )
    with serving(bridge(agent, client_tools=True)) as served:
        async with served.async_client() as upstream:
            asking = Agent(name="Asking", model=OpenAIResponsesModel("m", upstream), tools=[open_door])
            result = await Runner.run(asking, "Let me in", auto_previous_response_id=True)
    assert (result.final_output, opened) == ("You may enter.", [3])
    assert said_to(model)[-1] == "-> door 3 is open"


def test_a_service_that_asks_for_an_approval_says_whose_tool_it_is() -> None:
    stream = ResponseEventStream("resp_upstream", {"model": "upstream"})
    asked = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "gh", "name": "search", "arguments": "{}"}
    events = [stream.emit_created(), stream.emit_in_progress(), *output_item(stream, asked), stream.emit_completed()]
    model = ScriptedModel([ModelStep.stream(as_openai(*events)), [assistant_message("Found.")]])
    config: Any = {"type": "mcp", "server_label": "gh", "server_url": "https://gh", "require_approval": "always"}
    with serving(bridge(Agent(name="Keeper", tools=[HostedMCPTool(config)], model=model))) as served:
        first = served.client.responses.create(model="m", input="Search")
        [request] = first.output
        assert request.type == "mcp_approval_request"
        assert (request.server_label, request.name) == ("gh", "search")
        answers = [approval(request.id)]
        second = served.client.responses.create(model="m", input=answers, previous_response_id=first.id)
    assert brief(second) == ["Found."]
    assert model.last_call is not None
    assert [item["type"] for item in model.last_call.input[1:]] == ["mcp_approval_request", "mcp_approval_response"]


def shell_and_grep() -> ModelStep:
    """Return a step in which the model calls a shell and a custom tool."""
    stream = ResponseEventStream("resp_upstream", {"model": "upstream"})
    action = {"commands": ["ls"], "timeout_ms": None, "max_output_length": None}
    shell = {"type": "shell_call", "id": "sh_1", "call_id": "call_s", "action": action, "status": "completed"}
    grep = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_g", "name": "grep", "input": "sky"}
    events = [
        *(stream.emit_created(), stream.emit_in_progress()),
        *output_item(stream, shell),
        *output_item(stream, grep),
        stream.emit_completed(),
    ]
    return ModelStep.stream(as_openai(*events))


@pytest.mark.parametrize("asks", [False, True])
def test_shells_and_custom_tools_of_the_agent_are_its_own_calls(asks: bool) -> None:
    async def ran(_request: Any) -> str:
        return "a b"

    async def grepped(_context: Any, text: str) -> str:
        return f"no {text}"

    model = ScriptedModel([shell_and_grep(), [assistant_message("Done.")]])
    shell = ShellTool(executor=ran, needs_approval=asks)
    grep = CustomTool(name="grep", description="Greps.", on_invoke_tool=grepped, needs_approval=asks)
    with serving(bridge(Agent(name="Keeper", tools=[shell, grep], model=model))) as served:
        answer = served.client.responses.create(model="m", input="Look")
        if asks:
            requests = requests_in(answer)
            assert [line.partition("(")[0] for line in brief(answer)] == ["may I grep", "may I shell"]
            answers = [approval(request) for request in requests]
            answer = served.client.responses.create(model="m", input=answers, previous_response_id=answer.id)
    calls = {item["name"]: item for item in map(dict, (one.to_dict() for one in answer.output[:-1]))}
    assert (calls["grep"]["arguments"], calls["grep"]["output"]) == ('{"input": "sky"}', "no sky")
    assert '"commands": ["ls"]' in str(calls["shell"]["arguments"])
    assert '"stdout": "a b"' in str(calls["shell"]["output"])
    assert answer.output_text == "Done."


def test_a_shell_that_breaks_tells_the_client_nothing() -> None:
    async def broken(_request: Any) -> str:
        raise RuntimeError("the secret")

    model = ScriptedModel([shell_and_grep(), [assistant_message("Sorry.")]])
    with serving(
        bridge(Agent(name="Keeper", tools=[ShellTool(executor=broken), grep_that_breaks()], model=model))
    ) as served:
        answer = served.client.responses.create(model="m", input="Look", conversation="conv_1")
        assert answer.output_text == "Sorry."
        assert b"secret" not in served.exchanges[0].body
    assert [item.to_dict()["status"] for item in answer.output] == ["failed", "failed", "completed"]


def grep_that_breaks() -> CustomTool:
    async def broken(_context: Any, _text: str) -> str:
        raise RuntimeError("the secret")

    return CustomTool(name="grep", description="Greps.", on_invoke_tool=broken)
