"""The bridge of pydantic-ai on a real server: conversations by the `openai` client, and by pydantic-ai's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    ModelMessage,
    ModelResponse,
    RunContext,
    TextPart,
    ThinkingPart,
    ToolReturnPart,
    UsageLimits,
)
from pydantic_ai.messages import NativeToolCallPart, NativeToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.models.test import TestModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from responses_stream import ResponseObject, ResponsesServerOptions, accumulate
from responses_stream.agents.bridges.pydantic_ai import bridge
from responses_stream.agents.isolation import BoundTurn, current_turn
from responses_stream.agents.target import AgentState
from responses_stream.agents.turn import Turn
from tests.agents.bridges.scripted_pydantic_ai import Piece, output, prompts
from tests.agents.bridges.serving import Serving, serving


async def weather_model(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[Piece]:
    """A model that asks a tool for the weather, and knows how often it was asked for anything."""
    asked = prompts(messages)
    returned = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
    if returned:
        yield f"It is {returned[0].content}. "
    elif "weather" in asked[-1]:
        yield "Let me look. "
        yield {1: DeltaToolCall("weather", '{"city": ', tool_call_id=f"call_{len(asked)}")}
        yield {1: DeltaToolCall(None, '"Rome"}', tool_call_id=f"call_{len(asked)}")}
        return
    yield f"Questions: {len(asked)}."


def weather_agent() -> Agent[None, str]:
    agent = Agent(FunctionModel(stream_function=weather_model, model_name="script"), system_prompt="Be brief.")

    @agent.tool_plain
    def weather(city: str) -> str:
        return f"sunny in {city}"

    return agent


@pytest.fixture(scope="module")
def served() -> Iterator[Serving]:
    with serving(bridge(weather_agent())) as running:
        yield running


def test_three_turns_by_previous_response_id(served: Serving) -> None:
    first = served.client.responses.create(model="m", input="How is the weather?")
    assert first.output_text == "Let me look. It is sunny in Rome. Questions: 1."
    call = next(item for item in output(first) if item.type == "mcp_call")
    assert (call.name, json.loads(call.arguments), call.output) == ("weather", {"city": "Rome"}, "sunny in Rome")
    assert first.usage is not None
    assert first.usage.input_tokens > 0

    with served.client.responses.stream(model="m", input="And?", previous_response_id=first.id) as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        second = stream.get_final_response()
    assert "".join(texts) == second.output_text == "Questions: 2."

    with served.client.responses.stream(
        model="m", input="The weather again, please: weather", previous_response_id=second.id
    ) as stream:
        third = stream.until_done().get_final_response()
    assert third.output_text == "Let me look. It is sunny in Rome. Questions: 3."


def test_three_turns_of_a_conversation(served: Serving) -> None:
    said = [
        served.client.responses.create(model="m", input=text, conversation="conv_pydantic").output_text
        for text in ("One.", "weather", "Three.")
    ]
    assert said == ["Questions: 1.", "Let me look. It is sunny in Rome. Questions: 2.", "Questions: 3."]


def test_branches_do_not_see_each_other(served: Serving) -> None:
    first = served.client.responses.create(model="m", input="One.")
    branches = [
        served.client.responses.create(model="m", input=text, previous_response_id=first.id)
        for text in ("a", "weather")
    ]
    assert [branch.output_text[-2:] for branch in branches] == ["2.", "2."]
    again = [served.client.responses.create(model="m", input="b", previous_response_id=one.id) for one in branches]
    assert [one.output_text for one in again] == ["Questions: 3.", "Questions: 3."]


def test_three_turns_by_pydantic_ai_itself(served: Serving) -> None:
    settings = OpenAIResponsesModelSettings(openai_previous_response_id="auto")
    seen = len(served.exchanges)

    async def talk() -> list[str]:
        async with openai.AsyncOpenAI(base_url=served.url, api_key="-") as client:
            provider = OpenAIProvider(openai_client=client)
            agent = Agent(OpenAIResponsesModel("m", provider=provider, settings=settings))
            first = await agent.run("One.")
            async with agent.run_stream("How is the weather?", message_history=first.all_messages()) as streamed:
                second = [text async for text in streamed.stream_text(delta=True, debounce_by=None)]
            messages = streamed.all_messages()
            parts = [part for message in messages for part in message.parts]
            assert len([part for part in parts if isinstance(part, NativeToolCallPart | NativeToolReturnPart)]) == 2
            third = await agent.run("Three.", message_history=messages)
            return [first.output, "".join(second), third.output]

    assert asyncio.run(talk()) == ["Questions: 1.", "Let me look. It is sunny in Rome. Questions: 2.", "Questions: 3."]
    asked = [exchange.asked for exchange in served.exchanges[seen:]]
    assert [one.get("previous_response_id") is not None for one in asked] == [False, True, True]


def test_the_whole_conversation_sent_again_is_understood(served: Serving) -> None:
    async def talk() -> str:
        settings = OpenAIResponsesModelSettings(openai_store=False)
        async with openai.AsyncOpenAI(base_url=served.url, api_key="-") as client:
            provider = OpenAIProvider(openai_client=client)
            agent = Agent(OpenAIResponsesModel("m", provider=provider, settings=settings))
            first = await agent.run("How is the weather?")
            second = await agent.run("Two.", message_history=first.all_messages())
            return second.output

    assert asyncio.run(talk()) == "Questions: 2."


def test_a_failure_in_the_middle_keeps_the_text_and_tells_nothing() -> None:
    async def model(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str]:
        yield f"Half of {len(prompts(messages))}"
        if "break" in prompts(messages)[-1]:
            raise RuntimeError("the password is swordfish")

    with serving(bridge(Agent(FunctionModel(stream_function=model)))) as served:
        httpx.post(f"{served.url}/responses", json={"input": "break", "stream": True, "conversation": "conv_f"})
        [events] = served.streams
        response = events[-1]["response"]
        assert events[-1]["type"] == "response.failed"
        assert [(item["status"], item["content"][0]["text"]) for item in response["output"]] == [
            ("incomplete", "Half of 1")
        ]
        assert b"swordfish" not in served.exchanges[0].body
        after = served.client.responses.create(model="m", input="go on", conversation="conv_f")
        assert after.output_text == "Half of 2"


LONG = ResponsesServerOptions(cancel_grace_seconds=1000)


@pytest.mark.parametrize("how", ["leaves", "cancels"])
def test_who_wants_no_more_stops_the_run_and_its_words_are_kept(how: str) -> None:
    spoken, stopped, heard = threading.Event(), threading.Event(), list[list[ModelMessage]]()

    async def model(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str]:
        heard.append(messages)
        try:
            yield "So far"
            spoken.set()
            if "wait" in prompts(messages)[-1]:
                await asyncio.Event().wait()
        finally:
            stopped.set()

    with serving(bridge(Agent(FunctionModel(stream_function=model))), options=LONG) as served:
        create = served.client.responses.create
        if how == "leaves":
            with create(model="m", input="wait", stream=True, conversation="conv_g") as stream:
                next(event for event in stream if event.type == "response.output_text.delta")
        else:
            running = create(model="m", input="wait", background=True, conversation="conv_g")
            assert spoken.wait(10)
            served.client.responses.cancel(running.id)
        assert stopped.wait(10)
        create(model="m", input="go on", conversation="conv_g")
    assert prompts(heard[-1]) == ["wait", "go on"]
    assert [
        part.content
        for m in heard[-1]
        if isinstance(m, ModelResponse)
        for part in m.parts
        if isinstance(part, TextPart)
    ] == ["So far"]


def test_thoughts_and_their_sealed_form() -> None:
    heard = list[list[ModelMessage]]()

    async def model(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[Piece]:
        heard.append(messages)
        yield {0: DeltaThinkingPart(content="Let me ")}
        yield {0: DeltaThinkingPart(content="think.", signature="sealed")}
        yield "Yes."

    with serving(bridge(Agent(FunctionModel(stream_function=model)))) as served:
        create, question = served.client.responses.create, list[Any]([{"role": "user", "content": "Well?"}])
        plain = create(model="m", input="Well?")
        sealed = create(model="m", input="Well?", include=["reasoning.encrypted_content"], store=False)
        create(model="m", input=[*question, *output(sealed), *question])
    thought = output(plain)[0]
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert (thought.content[0].text, thought.encrypted_content) == ("Let me think.", None)
    assert output(sealed)[0].encrypted_content == "sealed"
    back = [part for message in heard[-1] for part in message.parts if isinstance(part, ThinkingPart)]
    assert [(part.content, part.signature, part.provider_name) for part in back] == [
        ("Let me think.", "sealed", "function")
    ]


class Weather(BaseModel):
    city: str
    sunny: bool


async def structured_model(_: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
    yield {0: DeltaToolCall(info.output_tools[0].name, '{"city": "Rome", "sunny": true}', tool_call_id="out")}


def test_structured_output_is_its_json() -> None:
    with serving(bridge(Agent(FunctionModel(stream_function=structured_model), output_type=Weather))) as served:
        answer = served.client.responses.create(model="m", input="Rome?")
    assert [item.type for item in answer.output] == ["message"]
    assert Weather.model_validate_json(answer.output_text) == Weather(city="Rome", sunny=True)


def test_a_schema_of_the_request_makes_the_output_structured() -> None:
    with serving(bridge(Agent(FunctionModel(stream_function=structured_model)))) as served:
        parsed = served.client.responses.parse(model="m", input="Rome?", text_format=Weather)
    assert parsed.output_parsed == Weather(city="Rome", sunny=True)


def test_a_usage_limit_is_told() -> None:
    handler = bridge(weather_agent(), usage_limits=UsageLimits(request_limit=1))
    with serving(handler) as served:
        answer = served.client.responses.create(model="m", input="weather")
    assert answer.status == "failed"
    error: Any = answer.error
    assert error.code == "usage_limit_exceeded"
    assert answer.output_text == "Let me look. "


def test_settings_of_the_request_reach_the_model() -> None:
    infos = list[AgentInfo]()

    async def model(_: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        infos.append(info)
        yield "Yes."

    profile = ModelProfile(supports_thinking=True)
    agent = Agent(FunctionModel(stream_function=model, profile=profile), instructions="Own.")
    with serving(bridge(AgentState(lambda: agent))) as served:
        served.client.responses.create(
            model="m",
            input="Well?",
            temperature=0.5,
            top_p=0.9,
            max_output_tokens=30,
            parallel_tool_calls=False,
            instructions="More.",
            tool_choice="none",
            service_tier="flex",
            reasoning={"effort": "low"},
        )
    assert infos[0].instructions == "Own.\n\nMore."
    assert infos[0].model_request_parameters.thinking == "low"
    expected = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 30, "parallel_tool_calls": False, "tool_choice": "none"}
    assert {**expected, "service_tier": "flex"} == infos[0].model_settings


def test_tools_know_their_turn_and_its_dependencies() -> None:
    seen = list[object]()

    async def deps(turn: Turn) -> str:
        return turn.response_id

    agent = Agent(FunctionModel(stream_function=weather_model), deps_type=str)

    @agent.tool
    def weather(ctx: RunContext[str], city: str) -> str:
        seen.extend([ctx.deps, current_turn()])
        return f"rainy in {city}"

    with serving(bridge(agent, deps=deps)) as served:
        answer = served.client.responses.create(model="m", input="weather")
    assert seen == [answer.id, BoundTurn(answer.id)]


def test_an_answer_to_a_call_that_nobody_made_is_the_mistake_of_the_client() -> None:
    handler = bridge(Agent(TestModel()))
    asked = {"input": [{"type": "function_call_output", "call_id": "call_1", "output": "42"}]}

    async def answer() -> ResponseObject:
        return await accumulate(handler.respond(asked))

    response = asyncio.run(answer())
    assert response.error
    assert response.error.code == "invalid_prompt"
