"""The real `openai` client against a real socket: the examples of the docs, errors, and a client that leaves."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import openai
import pytest
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall, ResponseItem, ResponseOutputMessage

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.cli.demo import comparable
from responses_stream.cli.serve import load_server
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.stores.base import ResponseStore
from responses_stream.stores.memory import MemoryStore
from responses_stream.stores.sqlite import SqliteStore
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
def client_of(server: ResponsesServer, backend: str, store: ResponseStore | None = None) -> Iterator[openai.OpenAI]:
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        serving, port = portal.start_task(functools.partial(serve_async, server, port=0))
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0, timeout=30) as client:
            yield client
        serving.cancel()
        if store is not None:
            # A server closes only what it has opened itself.
            with contextlib.suppress(CancelledError):
                serving.result()
            portal.call(store.aclose)


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
        client.responses.create(model="tutor", input="x", background=True, store=False)
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


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ResponseStore:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "responses.db")


class Agent:
    """Says what it was asked and what it remembers; where it is asked to wait, it does not end before it may."""

    def __init__(self, store: ResponseStore) -> None:
        self.server = ResponsesServer(store=store, options=ResponsesServerOptions(cancel_grace_seconds=0.01))
        self.server.response_handler(self.answer)
        self.asked = 0

    async def answer(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        self.asked += 1
        text, before = await context.get_input_text(), await context.get_history()
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message([f"{len(before)} before: ", text])
        if text == "wait":
            await anyio.sleep_forever()
        yield stream.emit_completed()


@pytest.fixture
def agent(store: ResponseStore) -> Agent:
    return Agent(store)


@pytest.fixture
def asking(agent: Agent, store: ResponseStore, anyio_backend: str) -> Iterator[openai.OpenAI]:
    with client_of(agent.server, anyio_backend, store) as client:
        yield client


def test_a_background_response_is_polled_until_it_is_completed(asking: openai.OpenAI) -> None:
    """H2.1 B, decision 15."""
    response = asking.responses.create(model="m", input="Hi", background=True)
    assert response.background is True
    while response.status in ("queued", "in_progress"):
        response = asking.responses.retrieve(response.id)
    assert (response.status, response.output_text) == ("completed", "0 before: Hi")


def test_a_stream_is_read_again_from_any_number_on(asking: openai.OpenAI) -> None:
    """H5.5 to H5.17: the whole, the rest behind a number, and with the helper."""
    with asking.responses.create(model="m", input="Hi", background=True, stream=True) as events:
        live = [event.to_dict() for event in events]
    assert live[0]["type"] == "response.created"
    response_id = _id_in(live[0])
    for after in (None, 0, 4, len(live) - 1):
        with asking.responses.retrieve(
            response_id, stream=True, starting_after=openai.omit if after is None else after
        ) as events:
            again = [event.to_dict() for event in events]
        assert again == live[0 if after is None else after + 1 :]
    with asking.responses.stream(response_id=response_id) as helper:
        assert helper.get_final_response().output_text == "0 before: Hi"
    with asking.responses.stream(response_id=response_id, starting_after=4) as helper:
        assert [event.sequence_number for event in helper] == list(range(5, len(live)))


def test_a_response_is_cancelled_and_deleted(asking: openai.OpenAI) -> None:
    """H4, H6: the stream ends as cancelled, the response stays so, and then it is gone."""
    with asking.responses.create(model="m", input="wait", background=True, stream=True) as events:
        seen = []
        for event in events:
            seen.append(event)
            if event.type == "response.output_item.done":
                [created] = [one for one in seen if one.type == "response.created"]
                response_id = created.response.id
                with pytest.raises(openai.BadRequestError, match="Cannot delete an in-flight response"):
                    asking.responses.delete(response_id)
                assert asking.responses.retrieve(response_id).status == "in_progress"
                assert asking.responses.cancel(response_id).status == "cancelled"
        last = seen[-1]
        assert last.type == "response.failed"
        assert last.response.status == "cancelled"
    assert asking.responses.retrieve(response_id).status == "cancelled"
    assert asking.responses.cancel(response_id).status == "cancelled"  # as often as one likes
    asking.responses.delete(response_id)
    for ask in (asking.responses.retrieve, asking.responses.delete, asking.responses.cancel):
        with pytest.raises(openai.NotFoundError) as gone:
            ask(response_id)
        assert (gone.value.param, gone.value.type) == ("response_id", "invalid_request_error")


def test_what_cannot_be_done_is_told_as_the_clients_own_errors(asking: openai.OpenAI) -> None:
    """Decisions 18 to 23; H4.5, H5.8, H8.20, H8.26."""
    done = asking.responses.create(model="m", input="Hi")
    other = done.id[:-4] + ("0000" if done.id[-4:] != "0000" else "1111")
    with pytest.raises(openai.NotFoundError) as missing:
        asking.responses.create(model="m", input="Hi", previous_response_id=other)
    assert (missing.value.code, missing.value.param) == ("previous_response_not_found", "previous_response_id")
    with pytest.raises(openai.NotFoundError):
        asking.responses.retrieve(other)
    with pytest.raises(openai.BadRequestError, match="Malformed identifier"):
        asking.responses.retrieve("resp_1")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        asking.responses.cancel(done.id)
    with pytest.raises(openai.BadRequestError, match="not created with background=true"):
        asking.responses.retrieve(done.id, stream=True)
    with pytest.raises(openai.ConflictError) as taken:
        asking.responses.create(model="m", input="Hi", extra_body={"response_id": done.id})
    assert taken.value.code == "response_id_conflict"
    with pytest.raises(openai.BadRequestError) as ambiguous:
        asking.responses.create(model="m", previous_response_id=done.id, conversation="conv_1")
    assert ambiguous.value.param == "conversation"
    with pytest.raises(openai.BadRequestError) as wrong:
        asking.responses.create(model="m", input="Hi", temperature=3)
    assert (wrong.value.code, wrong.value.param) == ("invalid_request", "temperature")


def test_the_input_items_come_page_by_page(asking: openai.OpenAI) -> None:
    """H7.1 to H7.11: the client asks for page after page, in both orders."""
    texts = [f"message {number}" for number in range(130)]
    response = asking.responses.create(model="m", input=[{"role": "user", "content": text} for text in texts])
    for order, expected in (("asc", texts), ("desc", texts[::-1])):
        assert order in ("asc", "desc")
        items = list(
            asking.responses.input_items.list(response.id, limit=50, order="asc" if order == "asc" else "desc")
        )
        assert [_text_of(item) for item in items] == expected
    page = asking.responses.input_items.list(response.id, order="asc")
    assert (len(page.data), page.has_more, page.has_next_page()) == (20, True, True)
    rest = asking.responses.input_items.list(response.id, limit=100, order="asc", after=page.data[-1].id or "")
    assert [_text_of(item) for item in rest.data] == texts[20:120]
    with pytest.raises(openai.BadRequestError, match="limit must be between 1 and 100"):
        asking.responses.input_items.list(response.id, limit=101)


def test_a_conversation_of_three_turns(asking: openai.OpenAI) -> None:
    """H11.2, H11.3, decision 25: each turn remembers those before it, by its predecessor or by the conversation."""
    first = asking.responses.create(model="m", input="one")
    second = asking.responses.create(model="m", input="two", previous_response_id=first.id)
    with asking.responses.stream(model="m", input="three", previous_response_id=second.id) as helper:
        third = helper.get_final_response()
    assert [turn.output_text for turn in (first, second, third)] == [
        "0 before: one",
        "2 before: two",
        "4 before: three",
    ]
    assert third.previous_response_id == second.id
    told = [_text_of(item) for item in asking.responses.input_items.list(third.id, order="asc")]
    assert told == ["one", "0 before: one", "two", "2 before: two", "three"]
    turns = [asking.responses.create(model="m", input=text, conversation="conv_sky") for text in ("a", "b", "c")]
    assert [turn.output_text for turn in turns] == ["0 before: a", "2 before: b", "4 before: c"]
    assert turns[-1].conversation is not None
    assert turns[-1].conversation.id == "conv_sky"


def test_a_request_that_is_sent_again_is_answered_with_the_first_response(asking: openai.OpenAI, agent: Agent) -> None:
    """Decision 22: by its Idempotency-Key, streamed or not; another body is a conflict."""
    key = {"Idempotency-Key": "once"}
    first, again = (asking.responses.create(model="m", input="Hi", extra_headers=key) for _ in range(2))
    assert (first.to_dict(), agent.asked) == (again.to_dict(), 1)
    with pytest.raises(openai.ConflictError) as other:
        asking.responses.create(model="m", input="Ho", extra_headers=key)
    assert other.value.code == "idempotency_key_reused"
    streams = []
    for _ in range(2):
        with asking.responses.create(
            model="m", input="Hi", stream=True, extra_headers={"Idempotency-Key": "streamed"}
        ) as events:
            streams.append([event.to_dict() for event in events])
    assert (streams[0] == streams[1], agent.asked) == (True, 2)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_async_client_does_all_that_too(agent: Agent, store: ResponseStore) -> None:
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, agent.server, port=0))
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0) as client:
            events = await client.responses.create(model="m", input="wait", background=True, stream=True)
            seen = []
            async for event in events:
                seen.append(event.to_dict())
                if event.type == "response.output_item.done":
                    cancelled = await client.responses.cancel(_id_in(seen[0]))
                    assert cancelled.status == "cancelled"
            replay = await client.responses.retrieve(_id_in(seen[0]), stream=True, starting_after=2)
            assert [event.to_dict() async for event in replay] == seen[3:]
            await client.responses.delete(_id_in(seen[0]))
            response = await client.responses.create(model="m", input="Hi", background=True)
            while response.status in ("queued", "in_progress"):
                response = await client.responses.retrieve(response.id)
            assert response.output_text == "0 before: Hi"
            items = [item async for item in client.responses.input_items.list(response.id, limit=1)]
            assert [_text_of(item) for item in items] == ["Hi"]
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(_id_in(seen[0]))
        tasks.cancel_scope.cancel()
    await store.aclose()


def _id_in(event: dict[str, Any]) -> str:
    return str(event["response"]["id"])


def _text_of(item: ResponseItem) -> str:
    content: Any = item.to_dict()["content"]
    return str(content[0]["text"])
