"""The bridge of `langgraph` on a real server: conversations by real clients, branches, failures, who leaves.

Each of them with a graph that keeps nothing and with one that has a checkpointer.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import anyio
import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import SecretStr

from responses_stream.agents.bridges.langgraph import bridge
from responses_stream.agents.sessions import Sessions
from responses_stream.agents.target import AgentState
from responses_stream.errors import InvalidType

from .scripted_chat import ScriptedChat, call, words
from .serving import serving

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])
SPENT = UsageMetadata(
    input_tokens=7,
    output_tokens=5,
    total_tokens=12,
    input_token_details={"cache_read": 2},
    output_token_details={"reasoning": 1},
)


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"sunny in {city}"


@pytest.fixture(params=["no checkpointer", "checkpointer"])
def saver(request: pytest.FixtureRequest) -> InMemorySaver | None:
    return InMemorySaver() if request.param == "checkpointer" else None


def tutor(saver: InMemorySaver | None, *scripts: list[Any]) -> tuple[Any, ScriptedChat]:
    model = ScriptedChat(scripts=list(scripts))
    return create_agent(model, tools=[weather], system_prompt="Be brief.", checkpointer=saver), model


def three_turns(saver: InMemorySaver | None) -> tuple[Any, ScriptedChat]:
    return tutor(
        saver,
        call("weather", '{"city": "Oslo"}', "call_1"),
        words("It is sunny.", usage_metadata=SPENT),
        words("You asked about Oslo."),
        call("weather", '{"city": "Rome"}', "call_2"),
        words("Sunny there too."),
    )


def brief(messages: Sequence[BaseMessage]) -> list[str]:
    """Return what a model was asked, a line for each message and each call."""
    lines = []
    for message in messages:
        prefix = "-> " if isinstance(message, ToolMessage) else ""
        if message.text or prefix:
            lines.append(f"{prefix}{message.text}")
        if isinstance(message, AIMessage):
            lines += [f"{made['name']}({made['args']})" for made in message.tool_calls]
    return lines


REMEMBERED = [
    "Be brief.",
    "Oslo?",
    "weather({'city': 'Oslo'})",
    "-> sunny in Oslo",
    "It is sunny.",
    "What did I ask?",
    "You asked about Oslo.",
    "And Rome?",
    "weather({'city': 'Rome'})",
    "-> sunny in Rome",
]


def test_three_turns_by_previous_response_id_streamed_and_not(saver: InMemorySaver | None) -> None:
    graph, model = three_turns(saver)
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="tutor", input="Oslo?")
        made, answer = first.output
        assert made.type == "mcp_call"
        assert (made.name, made.arguments, made.output) == ("weather", '{"city": "Oslo"}', "sunny in Oslo")
        assert (answer.type, first.output_text, first.model) == ("message", "It is sunny.", "tutor")
        assert first.usage is not None
        assert (first.usage.input_tokens, first.usage.output_tokens, first.usage.total_tokens) == (7, 5, 12)
        assert first.usage.input_tokens_details.cached_tokens == 2
        assert first.usage.output_tokens_details.reasoning_tokens == 1
        second = served.client.responses.create(
            model="tutor", input="What did I ask?", previous_response_id=first.id, stream=True
        )
        events = list(second)
        assert sum(event.type == "response.output_text.delta" for event in events) == 4
        last = events[-1]
        assert last.type == "response.completed"
        with served.client.responses.stream(
            model="tutor", input="And Rome?", previous_response_id=last.response.id
        ) as helper:
            assert helper.get_final_response().output_text == "Sunny there too."
    assert brief(model.asked[-1]) == REMEMBERED


def test_three_turns_of_a_conversation(saver: InMemorySaver | None) -> None:
    graph, model = three_turns(saver)
    with serving(bridge(graph)) as served:
        for text, answer in (("Oslo?", "It is sunny."), ("What did I ask?", "You asked about Oslo.")):
            turn = served.client.responses.create(model="tutor", input=text, conversation="conv_sky")
            assert turn.output_text == answer
        with served.client.responses.stream(model="tutor", input="And Rome?", conversation="conv_sky") as helper:
            assert helper.get_final_response().output_text == "Sunny there too."
    assert brief(model.asked[-1]) == REMEMBERED


@pytest.mark.anyio
@asyncio_only
@pytest.mark.parametrize(
    ("by", "streamed"), [("previous_response_id", False), ("previous_response_id", True), ("conversation", True)]
)
async def test_three_turns_by_the_framework_itself(saver: InMemorySaver | None, by: str, streamed: bool) -> None:
    """A chat model of langchain that is our server; it finds no call to run."""
    graph, model = three_turns(saver)
    with serving(bridge(graph)) as served:
        async with served.async_client() as upstream:
            chat = ChatOpenAI(
                model="tutor",
                api_key=SecretStr("-"),
                base_url=served.url,
                root_client=served.client,
                client=served.client.chat.completions,
                root_async_client=upstream,
                async_client=upstream.chat.completions,
                use_responses_api=True,
                use_previous_response_id=by == "previous_response_id",
                output_version="responses/v1",
                max_retries=0,
            )
            bound = chat if by == "previous_response_id" else chat.bind(conversation={"id": "conv_sky"})
            messages: list[Any] = []
            answers = []
            for text in ("Oslo?", "What did I ask?", "And Rome?"):
                messages = [*(messages if by == "previous_response_id" else ()), ("user", text)]
                if streamed:
                    answer: Any = None
                    async for chunk in bound.astream(messages):
                        answer = chunk if answer is None else answer + chunk
                else:
                    answer = await bound.ainvoke(messages)
                assert not answer.tool_calls
                answers.append(str(answer.text))
                messages.append(answer)
    assert answers == ["It is sunny.", "You asked about Oslo.", "Sunny there too."]
    assert brief(model.asked[-1]) == REMEMBERED


def counter(saver: InMemorySaver | None) -> Any:
    def count(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(str(sum(message.type == "human" for message in state["messages"])))]}

    builder = StateGraph(MessagesState)
    builder.add_node("count", count)
    builder.add_edge(START, "count")
    return builder.compile(checkpointer=saver)


def test_branches_do_not_see_each_other(saver: InMemorySaver | None) -> None:
    """H21.9, H19.21: 1, 2, 2, 3, 3. What a node says at once is a message too."""
    with serving(bridge(counter(saver))) as served:
        ask = functools.partial(served.client.responses.create, model="m", input="Next")
        first = ask()
        left, right = (ask(previous_response_id=first.id) for _ in range(2))
        deeper = [ask(previous_response_id=turn.id) for turn in (left, right)]
    assert [turn.output_text for turn in (first, left, right, *deeper)] == ["1", "2", "2", "3", "3"]


def test_what_the_server_keeps_stands_in_for_what_is_gone(saver: InMemorySaver | None) -> None:
    """The process was started anew: no session, no checkpoints."""
    graph, _ = three_turns(saver)
    with serving(bridge(graph)) as served:
        first = served.client.responses.create(model="m", input="Oslo?")
        later, model = tutor(InMemorySaver() if saver else None, words("As I said."))
        served.change(bridge(later))
        answer = served.client.responses.create(model="m", input="Really?", previous_response_id=first.id)
    assert answer.output_text == "As I said."
    assert brief(model.asked[-1]) == [*REMEMBERED[:5], "Really?"]


def test_checkpoints_that_are_gone_are_made_anew() -> None:
    """The sessions are there still, and name a checkpoint that the graph has not."""
    sessions = Sessions()
    graph, _ = three_turns(InMemorySaver())
    with serving(bridge(graph, sessions=sessions)) as served:
        first = served.client.responses.create(model="m", input="Oslo?")
        later, model = tutor(InMemorySaver(), words("As I said."))
        served.change(bridge(later, sessions=sessions))
        served.client.responses.create(model="m", input="Really?", previous_response_id=first.id)
    assert brief(model.asked[-1]) == [*REMEMBERED[:5], "Really?"]


@pytest.mark.parametrize("savers", [(None, InMemorySaver()), (InMemorySaver(), None)])
def test_a_checkpointer_may_come_and_go(savers: tuple[InMemorySaver | None, InMemorySaver | None]) -> None:
    sessions = Sessions()
    graph, _ = three_turns(savers[0])
    with serving(bridge(graph, sessions=sessions)) as served:
        first = served.client.responses.create(model="m", input="Oslo?")
        later, model = tutor(savers[1], words("As I said."))
        served.change(bridge(later, sessions=sessions))
        served.client.responses.create(model="m", input="Really?", previous_response_id=first.id)
    assert brief(model.asked[-1]) == [*REMEMBERED[:5], "Really?"]


def test_trio_is_told_to_be_no_loop_for_it() -> None:
    graph, _ = three_turns(None)
    with serving(bridge(graph), backend="trio") as served:
        assert served.client.responses.create(model="m", input="Oslo?").status == "failed"


def test_who_has_not_installed_it_is_told_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langgraph", None)
    monkeypatch.delitem(sys.modules, "responses_stream.agents.bridges.langgraph")
    with pytest.raises(ImportError, match=r"pip install 'responses-stream\[langgraph\]'"):
        importlib.import_module("responses_stream.agents.bridges.langgraph")


def test_a_failure_in_the_middle_keeps_the_text_and_tells_no_exception(saver: InMemorySaver | None) -> None:
    graph, model = tutor(saver, [*words("Half an"), RuntimeError("the secret")], words("Whole."))
    with serving(bridge(graph)) as served:
        *_, error, failed = served.stream(input="Answer me")
        assert (error["type"], failed["type"]) == ("error", "response.failed")
        assert error["message"] == "An internal server error occurred."
        assert b"secret" not in served.exchanges[0].body
        [message] = failed["response"]["output"]
        assert (message["status"], message["content"][0]["text"]) == ("incomplete", "Half an")
        before = failed["response"]["id"]
        after = served.client.responses.create(model="m", input="Go on", previous_response_id=before)
        assert after.output_text == "Whole."
    assert brief(model.asked[-1]) == ["Be brief.", "Answer me", "Half an", "Go on"]


class Busy(BaseHTTPRequestHandler):
    """A service of models that refuses whoever asks; the name of the model is the reason."""

    def do_POST(self) -> None:
        reason = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        said = json.dumps({"error": {"message": "the secret", "code": reason}}).encode()
        self.send_response(429)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("reason", "code"), [("rate_limit_exceeded", "rate_limit_exceeded"), ("insufficient_quota", "server_error")]
)
def test_a_service_that_is_asked_too_often_is_told_as_such(saver: InMemorySaver | None, reason: str, code: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Busy) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{busy.server_port}/v1"
        chat = ChatOpenAI(model=reason, api_key=SecretStr("-"), base_url=url, max_retries=0)
        graph = create_agent(chat, tools=[weather], checkpointer=saver)
        for target in (graph, chat):
            with serving(bridge(target)) as served:
                failed = served.client.responses.create(model="m", input="Answer me")
                assert failed.error is not None
                assert (failed.status, failed.error.code) == ("failed", code)
                assert all(b"secret" not in exchange.body for exchange in served.exchanges)
        busy.shutdown()


def test_what_was_said_before_a_refusal_is_kept(saver: InMemorySaver | None) -> None:
    answer = httpx.Response(429, request=httpx.Request("POST", "https://sky"))
    refusal = httpx.HTTPStatusError("the secret", request=answer.request, response=answer)
    graph, model = tutor(saver, [*words("Half an"), refusal], words("Whole."))
    with serving(bridge(graph)) as served:
        failed = served.client.responses.create(model="m", input="Answer me", conversation="conv_1")
        assert failed.error is not None
        assert (failed.error.code, failed.output_text) == ("rate_limit_exceeded", "Half an")
        served.client.responses.create(model="m", input="Go on", conversation="conv_1")
    assert brief(model.asked[-1]) == ["Be brief.", "Answer me", "Half an", "Go on"]


def test_a_tool_that_raises_leaves_a_conversation_that_can_go_on(saver: InMemorySaver | None) -> None:
    @tool
    def broken() -> str:
        """Breaks."""
        raise RuntimeError("the secret")

    model = ScriptedChat(scripts=[call("broken", "{}", "call_1"), words("Sorry.")])
    graph = create_agent(model, tools=[broken], checkpointer=saver)
    with serving(bridge(graph)) as served:
        failed = served.client.responses.create(model="m", input="Do it", conversation="conv_1")
        assert failed.status == "failed"
        after = served.client.responses.create(model="m", input="Go on", conversation="conv_1")
        assert after.output_text == "Sorry."
        assert all(b"secret" not in exchange.body for exchange in served.exchanges)
    assert brief(model.asked[-1]) == ["Do it", "broken({})", "-> The call was not answered.", "Go on"]


def test_a_client_that_leaves_cancels_the_run(saver: InMemorySaver | None) -> None:
    cancelled = anyio.Event()

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    graph, model = tutor(saver, [*words("Half an"), wait], words("Whole."))
    with serving(bridge(graph)) as served:
        events = served.client.responses.create(model="m", input="Answer me", stream=True, conversation="conv_1")
        told = ""
        for event in events:
            if event.type == "response.output_text.delta":
                told += event.delta
            if told == "Half an":
                break
        events.close()
        served.wait_for(cancelled.wait)
        after = served.client.responses.create(model="m", input="Go on", conversation="conv_1")
        assert after.output_text == "Whole."
    assert brief(model.asked[-1]) == ["Be brief.", "Answer me", "Half an", "Go on"]


def test_a_graph_comes_from_wherever_it_is_made() -> None:
    graph = counter(None)

    async def made() -> Any:
        return graph

    uncompiled = StateGraph(MessagesState)
    uncompiled.add_node("say", lambda _: {"messages": [AIMessage("1")]})
    uncompiled.add_edge(START, "say")
    targets: list[Callable[[], Any] | Any] = [graph, lambda: graph, made, AgentState(lambda: graph), uncompiled]
    for target in targets:
        with serving(bridge(target)) as served:
            assert served.client.responses.create(model="m", input="Hi").output_text == "1"
    with pytest.raises(InvalidType, match="agent: expected a graph of langgraph"):
        bridge("gpt-5")  # type: ignore[arg-type]  # what is tested
    assert bridge(RunnableLambda(lambda messages: messages[-1].content)) is not None


@pytest.mark.anyio
@asyncio_only
async def test_a_route_of_ones_own_needs_no_server(saver: InMemorySaver | None) -> None:
    graph, model = tutor(saver, words("Once."), words("Twice."))
    handler = bridge(graph)
    told = [event async for event in handler.respond({"model": "m", "input": "Hi"})]
    last: Any = told[-1]
    body = {"model": "m", "input": "Again", "previous_response_id": last.response.id}
    assert [event.type async for event in handler.respond(body)][-1] == "response.completed"
    assert brief(model.asked[-1]) == ["Be brief.", "Hi", "Once.", "Again"]
