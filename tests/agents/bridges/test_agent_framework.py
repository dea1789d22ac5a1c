"""The bridge of the Agent Framework on a real server: conversations by the `openai` client, and by its own client."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
import openai
import pytest
from agent_framework import (
    Agent,
    AgentResponseUpdate,
    Content,
    Executor,
    Message,
    WorkflowBuilder,
    WorkflowContext,
    handler,
    tool,
)
from agent_framework.openai import OpenAIChatClient
from pydantic import BaseModel

from responses_stream import ResponsesServerOptions
from responses_stream.agents.bridges.agent_framework import bridge
from responses_stream.agents.isolation import BoundTurn, current_turn
from responses_stream.agents.target import AgentState
from tests.agents.bridges.scripted_agent_framework import ScriptedClient, output, prompts, results
from tests.agents.bridges.serving import Serving, serving
from tests.docs.pages import run


async def weather_script(messages: list[Message], _: Mapping[str, Any]) -> AsyncIterator[Content | str]:
    """A model that asks a tool for the weather, and knows how often it was asked for anything."""
    asked, returned = prompts(messages), results(messages)
    yield Content.from_usage({"input_token_count": 5, "output_token_count": 2})
    if returned:
        yield f"It is {returned[0].result}. "
    elif "weather" in asked[-1]:
        yield "Let me look. "
        yield Content.from_function_call(f"call_{len(asked)}", "weather", arguments='{"city": ')
        yield Content.from_function_call(f"call_{len(asked)}", "", arguments='"Rome"}')
        return
    yield f"Questions: {len(asked)}."


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


@pytest.fixture(scope="module")
def served() -> Iterator[Serving]:
    with serving(bridge(Agent(ScriptedClient(weather_script), instructions="Be brief.", tools=[weather]))) as running:
        yield running


def test_three_turns_by_previous_response_id(served: Serving) -> None:
    first = served.client.responses.create(model="m", input="How is the weather?")
    assert first.output_text == "Let me look. It is sunny in Rome. Questions: 1."
    [call] = [item for item in output(first) if item.type == "mcp_call"]
    assert (call.name, json.loads(call.arguments), call.output) == ("weather", {"city": "Rome"}, "sunny in Rome")
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.output_tokens) == (10, 4)

    with served.client.responses.stream(model="m", input="And?", previous_response_id=first.id) as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        second = stream.get_final_response()
    assert "".join(texts) == second.output_text == "Questions: 2."

    with served.client.responses.stream(model="m", input="weather", previous_response_id=second.id) as stream:
        third = stream.until_done().get_final_response()
    assert third.output_text == "Let me look. It is sunny in Rome. Questions: 3."


def test_three_turns_of_a_conversation(served: Serving) -> None:
    said = [
        served.client.responses.create(model="m", input=text, conversation="conv_framework").output_text
        for text in ("One.", "weather", "Three.")
    ]
    assert said == ["Questions: 1.", "Let me look. It is sunny in Rome. Questions: 2.", "Questions: 3."]


def test_branches_do_not_see_each_other(served: Serving) -> None:
    create = served.client.responses.create
    first = create(model="m", input="One.")
    branches = [create(model="m", input=text, previous_response_id=first.id) for text in ("a", "weather")]
    again = [create(model="m", input="b", previous_response_id=branch.id) for branch in branches]
    assert [one.output_text[-2:] for one in branches + again] == ["2.", "2.", "3.", "3."]


def test_three_turns_by_the_framework_itself(served: Serving) -> None:
    seen = len(served.exchanges)

    async def talk() -> list[str]:
        async with openai.AsyncOpenAI(base_url=served.url, api_key="-") as client:
            agent = Agent(OpenAIChatClient(model="m", async_client=client))
            session = agent.create_session()
            first = await agent.run("One.", session=session)
            streamed = agent.run("How is the weather?", stream=True, session=session)
            kinds = [content.type async for update in streamed for content in update.contents]
            assert {"mcp_server_tool_call", "mcp_server_tool_result"} <= set(kinds)
            second = await streamed.get_final_response()
            third = await agent.run("Three.", session=session)
            # It joins the texts of several messages with spaces.
            return [first.text, second.text.replace("  ", " "), third.text]

    assert asyncio.run(talk()) == ["Questions: 1.", "Let me look. It is sunny in Rome. Questions: 2.", "Questions: 3."]
    asked = [exchange.asked for exchange in served.exchanges[seen:]]
    assert [one.get("previous_response_id") is not None for one in asked] == [False, True, True]


def test_the_whole_conversation_sent_again_is_understood(served: Serving) -> None:
    first = served.client.responses.create(model="m", input="weather", store=False)
    question: list[Any] = [{"role": "user", "content": "Two."}]
    again = served.client.responses.create(model="m", input=[*question, *output(first), *question], store=False)
    assert again.output_text == "Questions: 2."


def test_a_failure_in_the_middle_keeps_the_text_and_tells_nothing() -> None:
    async def script(messages: list[Message], _: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        yield f"Half of {len(prompts(messages))}"
        if prompts(messages)[-1] == "break":
            raise RuntimeError("the password is swordfish")
        if prompts(messages)[-1] == "error":
            yield Content.from_error(message="the password is swordfish", error_code="x")

    with serving(bridge(Agent(ScriptedClient(script)))) as served:
        for text in ("break", "error"):
            httpx.post(f"{served.url}/responses", json={"input": text, "stream": True, "conversation": "conv_f"})
        after = served.client.responses.create(model="m", input="go on", conversation="conv_f")
    for number, events in enumerate(served.streams, 1):
        items = events[-1]["response"]["output"]
        assert events[-1]["type"] == "response.failed"
        assert [(item["status"], item["content"][0]["text"]) for item in items] == [("incomplete", f"Half of {number}")]
    assert not any(b"swordfish" in exchange.body for exchange in served.exchanges)
    assert after.output_text == "Half of 3"


LONG = ResponsesServerOptions(cancel_grace_seconds=1000)


@pytest.mark.parametrize("how", ["leaves", "cancels"])
def test_who_wants_no_more_stops_the_run_and_its_words_are_kept(how: str) -> None:
    spoken, stopped, heard = threading.Event(), threading.Event(), list[list[Message]]()

    async def script(messages: list[Message], _: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        heard.append(messages)
        try:
            yield "So far"
            spoken.set()
            if prompts(messages)[-1] == "wait":
                await asyncio.Event().wait()
        finally:
            stopped.set()

    with serving(bridge(Agent(ScriptedClient(script))), options=LONG) as served:
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
    assert [(message.role, message.text) for message in heard[-1]] == [
        ("user", "wait"),
        ("assistant", "So far"),
        ("user", "go on"),
    ]


def test_what_a_run_that_was_left_has_done_is_kept() -> None:
    """A model that does not know that it has paid may pay again."""
    heard, paying = list[list[Message]](), threading.Event()

    async def script(messages: list[Message], _: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        heard.append(messages)
        if prompts(messages)[-1] != "pay":
            yield "Yes."
        elif results(messages):
            yield "Paid once. "
            yield Content.from_function_call("call_2", "pay", arguments='{"amount": 6}')
            yield Content.from_function_call("call_3", "pay", arguments='{"amou')
        else:
            yield "Let me pay. "
            yield Content.from_function_call("call_1", "pay", arguments='{"amount": ')
            yield Content.from_function_call("call_1", "", arguments="5}")

    @tool(approval_mode="never_require")
    async def pay(amount: int) -> str:
        """Pay."""
        if amount > 5:
            paying.set()
            await asyncio.Event().wait()
        return f"paid {amount}"

    with serving(bridge(Agent(ScriptedClient(script), tools=[pay]))) as served:
        with served.client.responses.create(model="m", input="pay", stream=True) as stream:
            response_id = next(event.response.id for event in stream if event.type == "response.created")
            assert paying.wait(10)
        served.client.responses.create(model="m", input="go on", previous_response_id=response_id)
    told = [
        (message.role, str(content.text or content.arguments or content.result))
        for message in heard[-1]
        for content in message.contents
    ]
    assert told == [
        ("user", "pay"),
        ("assistant", "Let me pay. "),
        ("assistant", '{"amount": 5}'),
        ("tool", "paid 5"),
        ("assistant", "Paid once. "),
        ("assistant", '{"amount": 6}'),
        ("tool", "The call was cut short before it had a result."),
        ("user", "go on"),
    ]


def test_thoughts_and_their_sealed_form() -> None:
    heard = list[list[Message]]()

    async def script(messages: list[Message], _: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        heard.append(messages)
        yield Content.from_text_reasoning(id="rs_1", text="Let me ")
        yield Content.from_text_reasoning(id="rs_1", text="think.")
        yield Content.from_text_reasoning(id="rs_1", protected_data="sealed")
        yield "Yes."

    with serving(bridge(Agent(ScriptedClient(script)))) as served:
        create, question = served.client.responses.create, list[Any]([{"role": "user", "content": "Well?"}])
        plain = create(model="m", input="Well?")
        sealed = create(model="m", input="Well?", include=["reasoning.encrypted_content"], store=False)
        create(model="m", input=[*question, *output(sealed), *question])
    thought = output(plain)[0]
    assert (thought.summary[0].text, thought.encrypted_content) == ("Let me think.", None)
    assert output(sealed)[0].encrypted_content == "sealed"
    back = [content for message in heard[-1] for content in message.contents if content.type == "text_reasoning"]
    assert [(content.text, content.protected_data) for content in back] == [("Let me think.", "sealed")]


class Weather(BaseModel):
    city: str


def test_settings_of_the_request_reach_the_chat_client() -> None:
    seen = list[Mapping[str, Any]]()

    async def script(_: list[Message], options: Mapping[str, Any]) -> AsyncIterator[Content | str]:
        seen.append(options)
        yield '{"city": "Rome"}'

    agent = Agent(ScriptedClient(script), instructions="Own.", tools=[weather])
    with serving(bridge(AgentState(lambda: agent), options=lambda turn: {"seed": len(turn.run.messages)})) as served:
        parsed = served.client.responses.parse(
            model="m",
            input="Well?",
            temperature=0.5,
            top_p=0.9,
            max_output_tokens=30,
            parallel_tool_calls=False,
            instructions="More.",
            tool_choice={"type": "function", "name": "weather"},
            text_format=Weather,
        )
    assert parsed.output_parsed == Weather(city="Rome")
    expected = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 30, "allow_multiple_tool_calls": False, "seed": 1}
    assert expected.items() <= seen[0].items()
    assert seen[0]["instructions"] == "Own.\nMore."
    assert seen[0]["tool_choice"] == {"mode": "required", "required_function_name": "weather"}
    assert seen[0]["response_format"]["json_schema"]["name"] == "Weather"


def test_tools_know_their_turn() -> None:
    seen = list[object]()

    @tool(name="weather")
    def look(city: str) -> str:
        """Tell the weather."""
        seen.append(current_turn())
        return f"rainy in {city}"

    with serving(bridge(Agent(ScriptedClient(weather_script), tools=[look]))) as served:
        answer = served.client.responses.create(model="m", input="weather")
    assert seen == [BoundTurn(answer.id)]


class Upper(Executor):
    """Says what it hears, louder."""

    @handler
    async def hear(self, messages: list[Message], ctx: WorkflowContext[Any, AgentResponseUpdate]) -> None:
        text = f"{len(prompts(messages))}: {messages[-1].text.upper()}"
        await ctx.yield_output(AgentResponseUpdate(contents=[Content.from_text(text)], role="assistant"))


def test_a_workflow_is_served_as_an_agent() -> None:
    def make() -> Any:
        return WorkflowBuilder(start_executor=Upper(id="upper")).build()

    with serving(bridge(AgentState(make, cached=False))) as served:
        first = served.client.responses.create(model="m", input="hello")
        second = served.client.responses.create(model="m", input="again", previous_response_id=first.id)
    assert (first.output_text, second.output_text) == ("1: HELLO", "2: AGAIN")


def test_an_agent_of_another_responses_server_says_nothing_twice(served: Serving) -> None:
    """The framework's client tells each text in pieces, and then whole to stand for them."""
    upstream = openai.AsyncOpenAI(base_url=served.url, api_key="-")
    with serving(bridge(Agent(OpenAIChatClient(model="m", async_client=upstream)))) as relaying:
        first = relaying.client.responses.create(model="m", input="weather")
        second = relaying.client.responses.create(model="m", input="Two.", previous_response_id=first.id)
        relaying.portal.call(upstream.close)
    assert (first.output_text, second.output_text) == (
        "Let me look. It is sunny in Rome. Questions: 1.",
        "Questions: 2.",
    )
    assert [item.type for item in output(first)] == ["message", "mcp_call", "message"]
    assert first.usage is not None
    assert first.usage.total_tokens == 14


def test_the_page_is_a_server() -> None:
    assert run("bridges-agent-framework.md")["app"]
