"""The bridge of `openai-agents` on a real server: conversations by real clients, branches, failures, who leaves."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import openai
import pytest
from agents import (
    Agent,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from agents.items import TResponseStreamEvent
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from agents.usage import Usage
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from pydantic import TypeAdapter

from responses_stream import ResponseEventStream
from responses_stream.agents.bridges.openai_agents import bridge
from responses_stream.agents.target import AgentState
from responses_stream.errors import InvalidType
from responses_stream.protocol.codec import to_builtins

from .serving import serving

set_tracing_disabled(True)

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])
SPENT = Usage(
    requests=1,
    input_tokens=7,
    output_tokens=5,
    total_tokens=12,
    input_tokens_details=InputTokensDetails(cached_tokens=2, cache_write_tokens=0),
    output_tokens_details=OutputTokensDetails(reasoning_tokens=1),
)
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def as_openai(*events: Any) -> list[TResponseStreamEvent]:
    """Return events of our builders as objects of the `openai` package, as a model of the framework yields them."""
    return [_EVENT.validate_python(to_builtins(event)) for event in events]


@function_tool
def weather(city: str) -> str:
    return f"sunny in {city}"


def tutor(*steps: Any) -> tuple[Agent[None], ScriptedModel]:
    model = ScriptedModel(steps)
    return Agent(name="Tutor", instructions="Be brief.", tools=[weather], model=model), model


def three_turns() -> tuple[Agent[None], ScriptedModel]:
    return tutor(
        ModelStep(output=[function_call("weather", {"city": "Oslo"}, call_id="call_1")], usage=SPENT),
        ModelStep(output=[assistant_message("Sunny.")], usage=SPENT),
        [assistant_message("You asked about Oslo.")],
        [function_call("weather", {"city": "Rome"}, call_id="call_2")],
        [assistant_message("Sunny there too.")],
    )


def said_to(model: ScriptedModel) -> list[str]:
    """Return what the model was asked last: the texts of messages, and the calls and outputs of tools."""
    call = model.last_call
    assert call is not None
    return [_brief(item) for item in call.input]


def _brief(item: dict[str, Any]) -> str:
    match item.get("type", "message"):
        case "function_call":
            return f"{item['name']}({item['arguments']})"
        case "function_call_output":
            return f"-> {item['output']}"
        case _:
            content = item["content"]
            return content if isinstance(content, str) else "".join(part["text"] for part in content)


REMEMBERED = [
    "Oslo?",
    'weather({"city":"Oslo"})',
    "-> sunny in Oslo",
    "Sunny.",
    "What did I ask?",
    "You asked about Oslo.",
    "And Rome?",
    'weather({"city":"Rome"})',
    "-> sunny in Rome",
]


def test_three_turns_by_previous_response_id_streamed_and_not() -> None:
    agent, model = three_turns()
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="tutor", input="Oslo?")
        call, answer = first.output
        assert call.type == "mcp_call"
        assert (call.name, call.arguments, call.output) == ("weather", '{"city":"Oslo"}', "sunny in Oslo")
        assert (answer.type, first.output_text, first.model) == ("message", "Sunny.", "tutor")
        assert first.usage is not None
        spent = first.usage
        assert (spent.input_tokens, spent.output_tokens, spent.total_tokens) == (14, 10, 24)
        assert spent.input_tokens_details.cached_tokens == 4
        assert spent.output_tokens_details.reasoning_tokens == 2
        second = served.client.responses.create(
            model="tutor", input="What did I ask?", previous_response_id=first.id, stream=True
        )
        events = list(second)
        assert events[-1].type == "response.completed"
        second_id = events[-1].response.id
        with served.client.responses.stream(model="tutor", input="And Rome?", previous_response_id=second_id) as helper:
            assert helper.get_final_response().output_text == "Sunny there too."
    assert said_to(model) == REMEMBERED
    model.assert_complete()


def test_three_turns_of_a_conversation() -> None:
    agent, model = three_turns()
    with serving(bridge(agent)) as served:
        for text, answer in (("Oslo?", "Sunny."), ("What did I ask?", "You asked about Oslo.")):
            turn = served.client.responses.create(model="tutor", input=text, conversation="conv_sky")
            assert turn.output_text == answer
        with served.client.responses.stream(model="tutor", input="And Rome?", conversation="conv_sky") as helper:
            assert helper.get_final_response().output_text == "Sunny there too."
    assert said_to(model) == REMEMBERED


@pytest.mark.anyio
@asyncio_only
@pytest.mark.parametrize("by", ["previous_response_id", "conversation_id"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_three_turns_by_the_framework_itself(by: str, streamed: bool) -> None:
    """An agent whose model is our server; it tries to run no tool of ours."""
    agent, model = three_turns()
    with serving(bridge(agent)) as served:
        async with served.async_client() as upstream:
            asking = Agent(name="Asking", model=OpenAIResponsesModel("tutor", upstream))
            place: dict[str, Any] = {"conversation_id": "conv_sky"} if by == "conversation_id" else {}
            answers = []
            for text in ("Oslo?", "What did I ask?", "And Rome?"):
                if streamed:
                    streaming = Runner.run_streamed(asking, text, **place)
                    async for _ in streaming.stream_events():
                        pass
                    answers.append(streaming.final_output)
                    last_id = streaming.last_response_id
                else:
                    result = await Runner.run(asking, text, **place)
                    answers.append(result.final_output)
                    last_id = result.last_response_id
                if by == "previous_response_id":
                    place = {"previous_response_id": last_id}
    assert answers == ["Sunny.", "You asked about Oslo.", "Sunny there too."]
    assert said_to(model) == REMEMBERED


def test_branches_do_not_see_each_other() -> None:
    """H21.9: 1, 2, 2, 3, 3."""

    def count(call: Any) -> Any:
        return [assistant_message(str(sum(item.get("role") == "user" for item in call.input)))]

    agent, _ = tutor(*[ModelStep.respond(count)] * 5)
    with serving(bridge(agent)) as served:
        ask = functools.partial(served.client.responses.create, model="m", input="Next")
        first = ask()
        left, right = (ask(previous_response_id=first.id) for _ in range(2))
        deeper = [ask(previous_response_id=turn.id) for turn in (left, right)]
    assert [turn.output_text for turn in (first, left, right, *deeper)] == ["1", "2", "2", "3", "3"]


def test_what_the_server_keeps_stands_in_for_a_session_that_is_gone() -> None:
    agent, _ = three_turns()
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="m", input="Oslo?")
        later, model = tutor([assistant_message("As I said, sunny.")])
        again = bridge(later)
        served.change(again)
        answer = served.client.responses.create(model="m", input="Really?", previous_response_id=first.id)
    assert answer.output_text == "As I said, sunny."
    assert said_to(model) == ["Oslo?", 'weather({"city":"Oslo"})', "-> sunny in Oslo", "Sunny.", "Really?"]


def test_trio_is_told_to_be_no_loop_for_it() -> None:
    agent, _ = three_turns()
    with serving(bridge(agent), backend="trio") as served:
        assert served.client.responses.create(model="m", input="Oslo?").status == "failed"


def test_who_has_not_installed_it_is_told_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agents", None)
    monkeypatch.delitem(sys.modules, "responses_stream.agents.bridges.openai_agents")
    with pytest.raises(ImportError, match=r"pip install 'responses-stream\[openai-agents\]'"):
        importlib.import_module("responses_stream.agents.bridges.openai_agents")


def breaking(text: str, error: Exception | None, then: Callable[[], Any] | None = None) -> ModelStep:
    """Return a step in which the model says *text* and breaks off."""

    async def events(_call: Any) -> AsyncIterator[TResponseStreamEvent]:
        stream = ResponseEventStream("resp_upstream")
        message = stream.add_output_item_message()
        part = message.add_text_content()
        opening = (stream.emit_created(), stream.emit_in_progress(), message.emit_added(), part.emit_added())
        for event in as_openai(*opening, part.emit_delta(text)):
            yield event
            await anyio.lowlevel.checkpoint()
        if then is not None:
            await then()
        if error is not None:
            raise error

    return ModelStep.stream(events)


def test_a_failure_in_the_middle_keeps_the_text_and_tells_no_exception() -> None:
    agent, model = tutor(breaking("Half an", RuntimeError("the secret")), [assistant_message("Whole.")])
    with serving(bridge(agent)) as served:
        *_, error, failed = served.stream(input="Answer me")
        assert (error["type"], failed["type"]) == ("error", "response.failed")
        assert error["message"] == "An internal server error occurred."
        assert b"secret" not in served.exchanges[0].body
        [message] = failed["response"]["output"]
        assert (message["status"], message["content"][0]["text"]) == ("incomplete", "Half an")
        before = failed["response"]["id"]
        after = served.client.responses.create(model="m", input="Go on", previous_response_id=before)
        assert after.output_text == "Whole."
    assert said_to(model) == ["Answer me", "Half an", "Go on"]


def test_a_half_answer_is_kept_whatever_was_said_before() -> None:
    """The turn before has had the same text, and so has this one, before its tool."""
    called = function_call("weather", {"city": "Oslo"}, call_id="call_1")
    for step in (None, [assistant_message("Hi"), called]):
        agent, model = tutor([assistant_message("Hi")], *filter(None, [step]), breaking("Hi", RuntimeError()), GO_ON)
        with serving(bridge(agent)) as served:
            answer = served.client.responses.create(model="m", input="One")
            for text in ("Two", "Three"):
                answer = served.client.responses.create(model="m", input=text, previous_response_id=answer.id)
        tool = [] if step is None else ["Hi", 'weather({"city":"Oslo"})', "-> sunny in Oslo"]
        assert said_to(model) == ["One", "Hi", "Two", *tool, "Hi", "Three"]


def test_a_whole_answer_is_kept_once_where_its_tool_breaks_the_turn() -> None:
    @function_tool(failure_error_function=None)
    def burn() -> str:
        raise RuntimeError("no matches")

    agent, model = tutor([assistant_message("Look."), function_call("burn", {}, call_id="call_1")], GO_ON)
    agent.tools.append(burn)
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="m", input="Burn it")
        assert first.status == "failed"
        served.client.responses.create(model="m", input="So?", previous_response_id=first.id)
    assert said_to(model)[:2] + said_to(model)[-1:] == ["Burn it", "Look.", "So?"]
    assert said_to(model).count("Look.") == 1


GO_ON = [assistant_message("Go on.")]


def refusal(status: int, code: str | None) -> openai.APIStatusError:
    response: Any = httpx.Response(status, request=httpx.Request("POST", "https://model"))
    kind = openai.RateLimitError if status == 429 else openai.InternalServerError
    return kind("the secret", response=response, body={"code": code})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refusal(429, None), "rate_limit_exceeded"),
        (refusal(429, "insufficient_quota"), "server_error"),
        (refusal(500, None), "server_error"),
    ],
)
def test_a_model_that_is_asked_too_often_is_told(error: Exception, told: str) -> None:
    agent, _ = tutor(breaking("Half", error))
    with serving(bridge(agent)) as served:
        answer = served.client.responses.create(model="m", input="Hi")
        assert b"secret" not in served.exchanges[0].body
    assert answer.error is not None
    assert (answer.status, answer.error.code, answer.output_text) == ("failed", told, "Half")


def test_a_service_that_fails_with_a_rate_limit_in_its_stream_is_told() -> None:
    """As one bridge behind another does."""
    inner, _ = tutor(breaking("Half", refusal(429, None)))
    with serving(bridge(inner)) as upstream:
        client = upstream.async_client()
        with serving(bridge(Agent(name="Outer", model=OpenAIResponsesModel("upstream", client)))) as served:
            answer = served.client.responses.create(model="m", input="Hi")
            served.portal.call(client.close)
    assert answer.error is not None
    assert (answer.error.code, answer.output_text) == ("rate_limit_exceeded", "Half")


def test_a_client_that_leaves_cancels_the_run() -> None:
    cancelled = anyio.Event()

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    agent, model = tutor(breaking("Half an", None, wait), [assistant_message("Whole.")])
    with serving(bridge(agent)) as served:
        events = served.client.responses.create(model="m", input="Answer me", stream=True, conversation="conv_1")
        for event in events:
            if event.type == "response.output_text.delta":
                break
        events.close()
        served.wait_for(cancelled.wait)
        after = served.client.responses.create(model="m", input="Go on", conversation="conv_1")
        assert after.output_text == "Whole."
    assert said_to(model) == ["Answer me", "Half an", "Go on"]


def test_a_chain_of_two_bridges() -> None:
    """The model of the one agent is the server of the other: all of it is the same protocol."""
    inner, model = three_turns()
    with serving(bridge(inner)) as upstream:
        client = upstream.async_client()
        outer = Agent(name="Outer", model=OpenAIResponsesModel("upstream", client))
        with serving(bridge(outer)) as served:
            first = served.client.responses.create(model="m", input="Oslo?")
            assert [item.type for item in first.output] == ["mcp_call", "message"]
            second = served.client.responses.create(model="m", input="Well?", previous_response_id=first.id)
            assert second.output_text == "You asked about Oslo."
            served.portal.call(client.close)
    assert said_to(model)[:4] == REMEMBERED[:4]


def test_an_agent_comes_from_wherever_it_is_made() -> None:
    agent, _ = tutor(*[[assistant_message("Here.")]] * 4)

    async def made() -> Agent[None]:
        return agent

    for target in (agent, lambda: agent, made, AgentState(agent)):
        with serving(bridge(target)) as served:
            assert served.client.responses.create(model="m", input="Hi").output_text == "Here."
    with pytest.raises(InvalidType, match="agent: expected an Agent of openai-agents"):
        bridge("gpt-5")  # type: ignore[arg-type]  # what is tested


@pytest.mark.anyio
@asyncio_only
async def test_a_route_of_ones_own_needs_no_server() -> None:
    agent, model = tutor([assistant_message("Once.")], [assistant_message("Twice.")])
    handler = bridge(agent, run_config=RunConfig(tracing_disabled=True))
    told = [event async for event in handler.respond({"model": "m", "input": "Hi"})]
    last: Any = told[-1]
    body = {"model": "m", "input": "Again", "previous_response_id": last.response.id}
    assert [event.type async for event in handler.respond(body)][-1] == "response.completed"
    assert said_to(model) == ["Hi", "Once.", "Again"]
