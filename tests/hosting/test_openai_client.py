"""The real `openai` client against a real socket: the examples of the docs, errors, and a client that leaves."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.from_thread
import openai
import pytest
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall, ResponseOutputMessage

from responses_stream import CreateResponse, ResponseContext, ResponsesServer
from responses_stream.cli.demo import comparable
from responses_stream.cli.serve import load_server
from responses_stream.protocol.events import ResponseStreamEvent
from responses_transports.h11_server import serve_async

TUTOR = Path(__file__).resolve().parents[2] / "docs" / "examples" / "tutor.py"
QUESTION = "Why does the moon show one face?"
TOOL: FunctionToolParam = {
    "type": "function",
    "name": "draw",
    "parameters": {
        "type": "object",
        "properties": {"subject": {"type": "string"}},
        "required": ["subject"],
        "additionalProperties": False,
    },
    "strict": True,
}


@contextmanager
def client_of(server: ResponsesServer, backend: str) -> Iterator[openai.OpenAI]:
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        serving, port = portal.start_task(functools.partial(serve_async, server, port=0))
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0, timeout=30) as client:
            yield client
        serving.cancel()


@pytest.fixture
def tutor(monkeypatch: pytest.MonkeyPatch) -> ResponsesServer:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return load_server(str(TUTOR))


@pytest.fixture
def client(tutor: ResponsesServer, anyio_backend: str) -> Iterator[openai.OpenAI]:
    with client_of(tutor, anyio_backend) as client:
        yield client


def test_the_raw_stream(client: openai.OpenAI) -> None:
    with client.responses.create(model="tutor", input=QUESTION, tools=[TOOL], stream=True) as events:
        told = list(events)
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert (told[0].type, told[-1].type) == ("response.created", "response.completed")
    assert {event.type for event in told} >= {
        "response.reasoning_summary_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.function_call_arguments.done",
    }


def test_the_helper_and_the_json_agree(client: openai.OpenAI) -> None:
    with client.responses.stream(model="tutor", input=QUESTION, tools=[TOOL]) as events:
        helped = events.get_final_response()
    answered = client.responses.create(model="tutor", input=QUESTION, tools=[TOOL])
    assert comparable(helped.to_dict(mode="json")) == comparable(answered.to_dict(mode="json"))
    reasoning, message, call = answered.output
    assert reasoning.type == "reasoning"
    assert isinstance(message, ResponseOutputMessage)
    assert answered.output_text.startswith("The Moon turns")
    [part] = message.content
    assert part.type == "output_text"
    [citation] = part.annotations
    assert citation.type == "url_citation"
    assert part.text[citation.start_index : citation.end_index] == citation.title == "Tidal locking"
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, call.arguments) == ("draw", f'{{"subject": "{QUESTION}"}}')
    assert answered.usage is not None
    assert answered.usage.input_tokens == 7


def test_without_tools_or_with_choice_none_nothing_is_called(client: openai.OpenAI) -> None:
    for answered in (
        client.responses.create(model="tutor", input=[{"role": "user", "content": "And the sky?"}]),
        client.responses.create(
            model="tutor",
            input=[{"role": "user", "content": [{"type": "input_text", "text": "And the sky?"}]}],
            tools=[TOOL],
            tool_choice="none",
        ),
    ):
        assert [item.type for item in answered.output] == ["reasoning", "message"]
        assert "Rayleigh" in answered.output_text
    assert "Socratic" in client.responses.create(model="tutor").output_text


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tutor"]


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="tutor", input="x", background=True)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "background")
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(model="tutor", previous_response_id="resp_1", stream=True)
    assert missing.value.code == "previous_response_not_found"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="tutor", input="x")


def test_a_failing_handler(anyio_backend: str) -> None:
    server = ResponsesServer()

    @server.response_handler
    async def fail(request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        if request.input == "later":
            yield context.stream().emit_created()
        raise RuntimeError("the secret")

    with client_of(server, anyio_backend) as client:
        with pytest.raises(openai.InternalServerError) as refused:
            client.responses.create(model="m", input="now")
        assert refused.value.code == "server_error"
        failed = client.responses.create(model="m", input="later")
        assert failed.status == "failed"
        assert failed.error is not None
        assert failed.error.code == "server_error"
        for when, before in (("now", []), ("later", ["response.created"])):
            with client.responses.create(model="m", input=when, stream=True) as events:
                seen = [next(events).type for _ in before]
                with pytest.raises(openai.APIError, match="An internal server error occurred") as told:
                    next(events)
            # The client raises at the nested shape of the `error` event (decision 5).
            assert (seen, told.value.code) == (before, "server_error")


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_client_that_leaves_stops_the_handler(anyio_backend: str, kind: str) -> None:
    server = ResponsesServer()
    stopped = threading.Event()

    if kind == "async":

        @server.response_handler
        async def endless(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            try:
                yield context.stream().emit_created()
                await anyio.sleep_forever()
            finally:
                stopped.set()
    else:

        @server.response_handler
        def pouring(_request: CreateResponse, context: ResponseContext) -> Iterator[ResponseStreamEvent]:
            stream = context.stream()
            try:
                yield stream.emit_created()
                yield stream.emit_in_progress()
                message = stream.add_output_item_message()
                yield message.emit_added()
                text = message.add_text_content()
                yield text.emit_added()
                while True:
                    yield text.emit_delta("x" * 1000)
            finally:
                stopped.set()

    with client_of(server, anyio_backend) as client:
        with client.responses.create(model="m", input="x", stream=True) as events:
            assert next(iter(events)).type == "response.created"
            assert not stopped.is_set()
        assert stopped.wait(30)
        # The server lives on.
        assert client.models.list().data == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_async_client(tutor: ResponsesServer) -> None:
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, tutor, port=0))
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0) as client:
            events = await client.responses.create(model="tutor", input=QUESTION, stream=True)
            types = [event.type async for event in events]
            assert (types[0], types[-1]) == ("response.created", "response.completed")
            async with client.responses.stream(model="tutor", input=QUESTION) as helper:
                helped = await helper.get_final_response()
            answers = [await client.responses.create(model="tutor", input=QUESTION) for _ in range(2)]
            assert {helped.output_text, *(answer.output_text for answer in answers)} == {helped.output_text}
        tasks.cancel_scope.cancel()
