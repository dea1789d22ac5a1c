"""What agents of `openai-agents` say besides text: thoughts, refusals, hand-offs, structure, guardrails, limits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    ModelSettings,
    OpenAIResponsesModel,
    RunConfig,
    RunContextWrapper,
    function_tool,
    handoff,
    input_guardrail,
    output_guardrail,
    set_tracing_disabled,
)
from agents.extensions.handoff_filters import remove_all_tools
from agents.testing import ScriptedModel, assistant_message, function_call
from openai.types.responses import Response, ResponseReasoningItem
from openai.types.responses.response_reasoning_item import Summary
from pydantic import BaseModel

from responses_stream import CreateResponse, ResponseContext
from responses_stream.agents.bridges.openai_agents import bridge
from responses_stream.agents.contents import Refusal
from responses_stream.protocol.parts import Logprob

from .serving import Serving, serving
from .test_openai_agents import said_to, tutor, weather

set_tracing_disabled(True)


class Sky(BaseModel):
    colour: str
    clouds: int


def dicts(answer: Response) -> list[Any]:
    """Return the items of *answer* as plain data."""
    return [item.to_dict() for item in answer.output]


@contextmanager
def over(handler: Any) -> Iterator[tuple[Serving, Serving]]:
    """Serve an agent whose model is a server that *handler* answers; yield both servers, ours first."""
    with serving(handler) as upstream:
        client = upstream.async_client()
        agent = Agent(name="Tutor", instructions="Be brief.", model=OpenAIResponsesModel("upstream", client))
        with serving(bridge(agent)) as served:
            try:
                yield served, upstream
            finally:
                served.portal.call(client.close)


def test_everything_that_a_model_of_the_platform_says_is_passed_on() -> None:
    """Reasoning with its sealed form, citations, log probabilities, a refusal, hosted tools."""

    async def upstream(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_reasoning(["The sky", " is blue."], encrypted_content="c2VhbGVk")
        yield stream.output_item_web_search_call(action={"type": "search", "query": "sky"})
        message = stream.add_output_item_message(phase="final_answer")
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        yield text.emit_delta("Blue", logprobs=[Logprob(token="Blue", logprob=-0.5, bytes=[66], top_logprobs=[])])
        yield text.emit_delta(", it says.")
        citation = {"type": "url_citation", "url": "https://sky", "title": "Sky", "start_index": 0, "end_index": 4}
        yield text.emit_annotation_added(citation)
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.emit_completed(usage={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7})

    with over(upstream) as (served, asked):
        answer = served.client.responses.create(model="m", input="Why?", include=["reasoning.encrypted_content"])
        thought, search, message = dicts(answer)
        assert [part["text"] for part in thought["summary"]] == ["The sky is blue."]
        assert thought["encrypted_content"] == "c2VhbGVk"
        assert (search["type"], search["action"]["query"]) == ("web_search_call", "sky")
        [part] = message["content"]
        assert (part["text"], part["annotations"][0]["url"]) == ("Blue, it says.", "https://sky")
        assert (part["logprobs"][0]["token"], message["phase"]) == ("Blue", "final_answer")
        assert answer.usage is not None
        assert answer.usage.total_tokens == 7
        with served.client.responses.stream(model="m", input="Why?", previous_response_id=answer.id) as helper:
            assert [item.type for item in helper.get_final_response().output] == [item.type for item in answer.output]
    assert [item.get("type") for item in asked.exchanges[-1].asked["input"]] == [
        *("message", "reasoning", "web_search_call", "message", "message")
    ]


@pytest.mark.parametrize("earlier", ["", "I am afraid "])
def test_a_model_that_refuses_ends_a_run_and_not_the_response(earlier: str) -> None:
    async def upstream(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        message = stream.add_output_item_message()
        refusal = message.add_refusal_content()
        yield [message.emit_added(), refusal.emit_added()]
        for piece in (earlier, "I cannot."):
            if piece:
                yield refusal.emit_delta(piece)
        yield [refusal.emit_refusal_done(), refusal.emit_done(), message.emit_done()]
        yield stream.emit_completed()

    with over(upstream) as (served, asked):
        answer = served.client.responses.create(model="m", input="Tell me")
        [message] = dicts(answer)
        assert (answer.status, message["content"][0]["refusal"]) == ("completed", f"{earlier}I cannot.")
        served.client.responses.create(model="m", input="Please", previous_response_id=answer.id)
    assert asked.exchanges[-1].asked["input"][1]["content"] == f"{earlier}I cannot."


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_upstream_that_breaks_off_makes_an_incomplete_response(reason: str) -> None:
    async def upstream(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        message = stream.add_output_item_message()
        text = message.add_text_content()
        yield [message.emit_added(), text.emit_added(), text.emit_delta("Half an"), text.emit_text_done()]
        yield [text.emit_done(), message.emit_done(status="incomplete")]
        yield stream.emit_incomplete(reason, usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})

    with over(upstream) as (served, _):
        answer = served.client.responses.create(model="m", input="Why?")
    assert (answer.status, answer.output_text) == ("incomplete", "Half an")
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == reason
    assert answer.usage is not None


def test_a_model_that_tells_its_items_at_the_end_only() -> None:
    class Curt(ScriptedModel):
        async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async for event in super().stream_response(*args, **kwargs):
                if event.type == "response.completed":
                    yield event

    thought = ResponseReasoningItem(id="rs_1", summary=[Summary(text="Look.", type="summary_text")], type="reasoning")
    first = [function_call("weather", {"city": "Oslo"}, call_id="call_1")]
    model = Curt([first, [thought, assistant_message("Sunny.")]])
    with serving(bridge(Agent(name="Tutor", tools=[weather], model=model))) as served:
        answer = served.client.responses.create(model="m", input="Oslo?")
    call, reasoning, _ = dicts(answer)
    assert (call["arguments"], call["output"], answer.output_text) == ('{"city":"Oslo"}', "sunny in Oslo", "Sunny.")
    assert reasoning["summary"][0]["text"] == "Look."


def test_a_hand_off_is_a_call_and_the_next_turn_goes_to_who_spoke_last() -> None:
    specialist = ScriptedModel([[assistant_message("I know the sky.")], [assistant_message("Still here.")]])
    second = Agent(name="Specialist", model=specialist)
    triage = ScriptedModel([[function_call("transfer_to_specialist", {}, call_id="call_1")]])
    first = Agent(name="Triage", handoffs=[second], model=triage)
    second.handoffs.append(first)
    with serving(bridge(first)) as served:
        answer = served.client.responses.create(model="m", input="Why?")
        call, message = answer.output
        assert call.type == "mcp_call"
        assert (call.name, call.output, message.type) == (
            "transfer_to_specialist",
            '{"assistant": "Specialist"}',
            "message",
        )
        again = served.client.responses.create(model="m", input="And?", previous_response_id=answer.id)
    assert again.output_text == "Still here."
    assert said_to(specialist)[-2:] == ["I know the sky.", "And?"]
    triage.assert_complete()


def test_a_hand_off_is_told_also_where_its_filter_takes_it_away() -> None:
    second = Agent(name="Specialist", model=(specialist := ScriptedModel([[assistant_message("Blue.")]])))
    calls = [function_call("transfer_to_specialist", {}, call_id="call_1")]
    filtered = handoff(second, input_filter=remove_all_tools)
    first = Agent(name="Triage", handoffs=[filtered], model=ScriptedModel([[assistant_message("A moment."), *calls]]))
    with serving(bridge(first)) as served:
        answer = served.client.responses.create(model="m", input="Why?")
    moment, call, message = dicts(answer)
    assert (call["type"], call["name"]) == ("mcp_call", "transfer_to_specialist")
    assert (call["status"], call["output"]) == ("completed", '{"assistant": "Specialist"}')
    assert [one["content"][0]["text"] for one in (moment, message)] == ["A moment.", "Blue."]
    assert said_to(specialist) == ["Why?", "A moment."]


def test_structured_output_is_its_json() -> None:
    sky = Sky(colour="blue", clouds=0).model_dump_json()
    model = ScriptedModel([[assistant_message(sky)]])
    with serving(bridge(Agent(name="Tutor", output_type=Sky, model=model))) as served:
        assert served.client.responses.create(model="m", input="Sky?").output_text == sky


def test_a_client_asks_for_the_form_of_the_output() -> None:
    sky = Sky(colour="grey", clouds=9)
    agent, model = tutor([assistant_message(sky.model_dump_json())])
    with serving(bridge(agent)) as served:
        parsed = served.client.responses.parse(model="m", input="Sky?", text_format=Sky)
    assert parsed.output_parsed == sky
    assert model.last_call is not None
    asked = model.last_call.output_schema
    assert asked is not None
    assert (asked.name(), asked.is_strict_json_schema()) == ("Sky", True)
    assert set(asked.json_schema()["properties"]) == {"colour", "clouds"}


def test_the_output_of_a_tool_may_be_the_answer() -> None:
    agent, _ = tutor([function_call("weather", {"city": "Oslo"}, call_id="call_1")])
    agent.tool_use_behavior = "stop_on_first_tool"
    with serving(bridge(agent)) as served:
        answer = served.client.responses.create(model="m", input="Oslo?")
    assert [item.type for item in answer.output] == ["mcp_call", "message"]
    assert answer.output_text == "sunny in Oslo"


def test_what_a_tool_raises_is_for_the_model_alone() -> None:
    @function_tool
    def broken() -> str:
        raise RuntimeError("the secret")

    model = ScriptedModel([[function_call("broken", {}, call_id="call_1")], [assistant_message("It is broken.")]])
    with serving(bridge(Agent(name="Tutor", tools=[broken], model=model))) as served:
        answer = served.client.responses.create(model="m", input="Go")
        assert b"secret" not in served.exchanges[0].body
    failed = dicts(answer)[0]
    assert (failed["status"], failed["error"]["content"][0]["text"]) == ("failed", "The tool failed.")
    assert answer.output_text == "It is broken."


def test_turns_run_out() -> None:
    agent, model = tutor(
        [assistant_message("Let me see."), function_call("weather", {"city": "Oslo"}, call_id="call_1")],
        [assistant_message("Sunny.")],
    )
    with serving(bridge(agent, max_turns=1)) as served:
        answer = served.client.responses.create(model="m", input="Oslo?")
        assert answer.incomplete_details is not None
        assert (answer.status, str(answer.incomplete_details.reason)) == ("incomplete", "max_turns")
        assert [item.type for item in answer.output] == ["message", "mcp_call"]
        again = served.client.responses.create(model="m", input="So?", previous_response_id=answer.id)
    assert again.output_text == "Sunny."
    assert said_to(model) == ["Oslo?", "Let me see.", 'weather({"city":"Oslo"})', "-> sunny in Oslo", "So?"]


@input_guardrail(run_in_parallel=False)
def no_storms(_context: Any, _agent: Any, asked: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput("about storms", "storm" in json.dumps(asked[-1]))


@output_guardrail
def no_hail(_context: Any, _agent: Any, output: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput("hail", "hail" in output)


def test_a_guardrail_that_trips() -> None:
    agent, model = tutor([assistant_message("Blue.")], [assistant_message("Much hail.")], [assistant_message("Bye.")])
    agent.input_guardrails, agent.output_guardrails = [no_storms], [no_hail]
    with serving(bridge(agent)) as served:
        first = served.client.responses.create(model="m", input="Sky?")
        for text in ("A storm?", "And today?"):
            refused = served.client.responses.create(model="m", input=text, previous_response_id=first.id)
            assert refused.incomplete_details is not None
            assert (refused.status, refused.incomplete_details.reason) == ("incomplete", "content_filter")
        after = served.client.responses.create(model="m", input="Bye", previous_response_id=refused.id)
        assert after.output_text == "Bye."
        assert said_to(model) == ["Sky?", "Blue.", "Bye"]
        served.change(bridge(agent, tripwire=Refusal("I do not talk about storms.")))
        told = served.client.responses.create(model="m", input="A storm?")
    assert told.status == "completed"
    assert dicts(told)[0]["content"] == [{"type": "refusal", "refusal": "I do not talk about storms."}]


def test_the_options_of_a_request_go_before_the_settings_of_the_agent() -> None:
    agent, model = tutor([assistant_message("Hi.")])
    agent.model_settings = ModelSettings(temperature=0.1, top_p=0.5)
    config = RunConfig(model_settings=ModelSettings(top_p=0.6, extra_args={"seed": 1}))
    with serving(bridge(agent, run_config=config)) as served:
        served.client.responses.create(
            model="m",
            input="Hi",
            instructions="Speak French.",
            temperature=0.9,
            max_output_tokens=50,
            tool_choice={"type": "function", "name": "weather"},
            parallel_tool_calls=False,
            reasoning={"effort": "low", "summary": "auto"},
            text={"verbosity": "low"},
            truncation="auto",
            top_logprobs=2,
            include=["message.output_text.logprobs"],
        )
    call = model.last_call
    assert call is not None
    assert call.system_instructions == "Be brief.\n\nSpeak French."
    settings = call.model_settings
    assert (settings.temperature, settings.top_p, settings.max_tokens) == (0.9, 0.6, 50)
    assert (settings.tool_choice, settings.parallel_tool_calls, settings.extra_args) == ("weather", False, {"seed": 1})
    assert settings.reasoning is not None
    assert (settings.reasoning.effort, settings.reasoning.summary, settings.verbosity) == ("low", "auto", "low")
    assert (settings.truncation, settings.top_logprobs) == ("auto", 2)
    assert settings.response_include == ["message.output_text.logprobs"]


def test_images_files_and_what_clients_send_back_reach_the_model() -> None:
    agent, model = tutor([assistant_message("A cat.")])
    content: Any = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "https://cat/1.png", "detail": "low"},
        {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "hi.txt"},
    ]
    sent: Any = [
        {"role": "developer", "content": "Look closely."},
        {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "c2VhbGVk"},
        {"id": "rs_2", "type": "reasoning", "summary": []},
        {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "open", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "opened"},
        {"type": "function_call", "call_id": "call_2", "name": "shut", "arguments": "{}"},
        {"role": "user", "content": content},
    ]
    with serving(bridge(agent)) as served:
        assert served.client.responses.create(model="m", input=sent).output_text == "A cat."
    call = model.last_call
    assert call is not None
    developer, thought, opened, output, shut, unanswered, message = call.input
    assert (developer["role"], thought["encrypted_content"]) == ("developer", "c2VhbGVk")
    assert "id" not in thought
    assert (opened["name"], output["output"], shut["name"]) == ("open", "opened", "shut")
    assert unanswered == {"type": "function_call_output", "call_id": "call_2", "output": "The call was not answered."}
    assert message["content"] == content


def test_the_context_of_a_run_is_made_of_its_turn() -> None:
    @function_tool
    def whose(context: RunContextWrapper[dict[str, str]]) -> str:
        return f"of {context.context['user']}"

    model = ScriptedModel([[function_call("whose", {}, call_id="call_1")], [assistant_message("Yours.")]])
    handler = bridge(
        Agent(name="Tutor", tools=[whose], model=model), context=lambda turn: {"user": turn.isolation.user_key}
    )
    with serving(handler) as served:
        answer = served.client.responses.create(model="m", input="Hi", extra_headers={"x-agent-user-id": "ann"})
    assert dicts(answer)[0]["output"] == "of ann"
