"""A relay between real sockets: the `openai` client asks a server of ours, which asks another one with that client."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import anyio
import anyio.from_thread
import openai
import pytest
from openai.types.responses import Response

from responses_stream import (
    AsyncYield,
    CreateResponse,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    SyncResponseContext,
    SyncYield,
    validate_events,
)
from responses_stream.agents.relaying import UpstreamFailed, relay, relay_response
from responses_stream.protocol.ids import partition_of
from responses_transports.h11_server import serve_async

# On trio: generators inside the `openai` package and its HTTP client leave one another suspended. None of them is ours.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <async_generator object (?!_told|_repaired|AsyncStream.__aiter__|.*handler|Upstream)"
    r":pytest.PytestUnraisableExceptionWarning"
)

Handler = Callable[[CreateResponse, ResponseContext], AsyncIterator[AsyncYield]]
SyncHandler = Callable[[CreateResponse, SyncResponseContext], Iterator[SyncYield]]

PATIENCE: Final = 20
SECRET: Final = "the upstream's own"


class Upstream:
    """A server whose handler answers with reasoning, a message and a call, and as it is asked to.

    Attributes:
        stopped: set when its handler has been cancelled.
        url: where it is.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.url = ""
        self.server = ResponsesServer()
        self.server.response_handler(self.answer)

    async def answer(self, request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        asked = request.input
        stream = context.stream()
        stream.response.instructions = SECRET
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_reasoning("Greet back.")
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        yield text.emit_delta("Hel")
        if asked == "wait":
            try:
                await anyio.sleep_forever()
            finally:
                self.stopped.set()
        if asked == "break":
            raise RuntimeError(SECRET)
        yield text.emit_delta("lo")
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.output_item_function_call("get_weather", "call_1", '{"city":"Oslo"}')
        yield stream.emit_completed(usage={"input_tokens": 3, "output_tokens": 9, "total_tokens": 12})

    def client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=self.url, api_key="-", max_retries=0, timeout=PATIENCE)


@contextmanager
def served(
    upstream: Upstream, handler: Handler | SyncHandler, backend: str, options: ResponsesServerOptions | None = None
) -> Iterator[openai.OpenAI]:
    """Serve the upstream and, before it, a server with *handler*, and give a client of the latter."""
    server = ResponsesServer(options=options)
    server.response_handler(handler)
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        behind, port = portal.start_task(functools.partial(serve_async, upstream.server, port=0))
        upstream.url = f"http://127.0.0.1:{port}/v1"
        serving, port = portal.start_task(functools.partial(serve_async, server, port=0))
        url = f"http://127.0.0.1:{port}/v1"
        with openai.OpenAI(base_url=url, api_key="-", max_retries=0, timeout=PATIENCE) as client:
            yield client
        serving.cancel()
        behind.cancel()


def into_a_stream(upstream: Upstream) -> Handler:
    async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        async with upstream.client() as client:
            events = await client.responses.create(model="theirs", input=str(request.input), stream=True)
            yield relay(events, stream=context.stream())

    return handler


def as_a_whole(upstream: Upstream) -> Handler:
    async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        async with upstream.client() as client:
            events = await client.responses.create(model="theirs", input=str(request.input), stream=True)
            yield relay(events, response_id=context.response_id)

    return handler


def by_its_bytes(upstream: Upstream) -> Handler:
    async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        async with (
            upstream.client() as client,
            client.responses.with_streaming_response.create(
                model="theirs", input=str(request.input), stream=True
            ) as response,
        ):
            yield relay(response.iter_bytes(), stream=context.stream())

    return handler


def between_items_of_its_own(upstream: Upstream) -> Handler:
    async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message("First: ")
        async with upstream.client() as client:
            events = await client.responses.create(model="theirs", input=str(request.input), stream=True)
            relayed = relay(events, stream=stream)
            try:
                async for event in relayed:
                    yield event
            except UpstreamFailed:
                yield stream.emit_failed("upstream_broke", "The model is not there.")
                return
        yield stream.output_item_message(". Last.")
        yield stream.emit_completed(usage=relayed.usage)

    return handler


def in_one_piece(upstream: Upstream) -> Handler:
    async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
        async with upstream.client() as client:
            response = await client.responses.create(model="theirs", input=str(request.input))
        yield relay_response(response, context.stream())

    return handler


def in_a_thread(upstream: Upstream) -> SyncHandler:
    def handler(request: CreateResponse, context: SyncResponseContext) -> Iterator[SyncYield]:
        with openai.OpenAI(base_url=upstream.url, api_key="-", max_retries=0, timeout=PATIENCE) as client:
            raw = client.responses.with_raw_response.create(model="theirs", input=str(request.input), stream=True)
            yield relay(raw.parse(), stream=context.stream())

    return handler


Make = Callable[[Upstream], Handler | SyncHandler]

TEXTS: Final[Mapping[Make, str]] = {
    in_a_thread: "Hello",
    into_a_stream: "Hello",
    as_a_whole: "Hello",
    by_its_bytes: "Hello",
    between_items_of_its_own: "First: Hello. Last.",
    in_one_piece: "Hello",
}


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """What both servers and the client between them run on."""
    return str(request.param)


@pytest.mark.parametrize("make", TEXTS, ids=lambda make: make.__name__)
def test_a_client_sees_one_answer(make: Make, upstream: Upstream, anyio_backend: str) -> None:
    with served(upstream, make(upstream), anyio_backend) as client:
        raw = client.responses.with_raw_response.create(model="ours", input="Hi", stream=True)
        body = raw.http_response.read()
        with client.responses.stream(model="ours", input="Hi") as helper:
            answer = helper.get_final_response()
    assert validate_events(body).violations == ()
    assert (answer.output_text, answer.status) == (TEXTS[make], "completed")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 12
    [call] = [item for item in answer.output if item.type == "function_call"]
    assert (call.name, call.call_id) == ("get_weather", "call_1")
    assert (partition_of(answer.id) or "none") in str(call.id)
    if make is not as_a_whole:
        assert SECRET.encode() not in body
        assert answer.model == "ours"


@pytest.mark.parametrize("make", [into_a_stream, by_its_bytes, as_a_whole], ids=lambda make: make.__name__)
def test_a_client_that_leaves_stops_the_upstream(
    make: Callable[[Upstream], Handler], upstream: Upstream, anyio_backend: str
) -> None:
    with served(upstream, make(upstream), anyio_backend) as client:
        with client.responses.create(model="ours", input="wait", stream=True) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    break
            assert not upstream.stopped.is_set()
        assert upstream.stopped.wait(PATIENCE)


@pytest.mark.parametrize("make", [into_a_stream, by_its_bytes, as_a_whole], ids=lambda make: make.__name__)
def test_a_background_run_that_is_cancelled_stops_the_upstream_at_once(
    make: Callable[[Upstream], Handler], upstream: Upstream, anyio_backend: str
) -> None:
    handler = make(upstream)
    handler.cancelled_at_once = True  # type: ignore[attr-defined]  # a function may have any attribute
    patient = ResponsesServerOptions(cancel_grace_seconds=100 * PATIENCE)
    with served(upstream, handler, anyio_backend, patient) as client:
        with client.responses.create(model="ours", input="wait", stream=True, background=True) as events:
            for event in events:
                if event.type == "response.created":
                    answer = event.response
                if event.type == "response.output_text.delta":
                    break
        assert client.responses.cancel(answer.id).status == "cancelled"
        assert upstream.stopped.wait(PATIENCE)


def test_a_client_is_told_of_a_failure_what_the_handler_decides(upstream: Upstream, anyio_backend: str) -> None:
    with served(upstream, between_items_of_its_own(upstream), anyio_backend) as client:
        raw = client.responses.with_raw_response.create(model="ours", input="break", stream=True)
        body = raw.http_response.read()
    report = validate_events(body)
    assert report.ok, str(report)
    assert b'"upstream_broke"' in body
    assert SECRET.encode() not in body


def test_a_failure_goes_through_where_the_relay_leads(upstream: Upstream, anyio_backend: str) -> None:
    with served(upstream, into_a_stream(upstream), anyio_backend) as client:
        answer: Any = client.responses.create(model="ours", input="break")
    assert isinstance(answer, Response)
    assert answer.status == "failed"
    assert answer.error is not None
    assert answer.error.message == "An internal server error occurred."
