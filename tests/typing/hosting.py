"""What mypy takes for a handler, and what it refuses. Read by mypy (`make types`), run by nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from responses_stream import (
    AsyncEvents,
    CreateResponse,
    Events,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.protocol import ResponseStreamEvent

server = ResponsesServer(options=ResponsesServerOptions(default_model="m"))
ResponsesServerOptions(default_model=3)  # type: ignore[arg-type]
ResponsesServerOptions("m")  # type: ignore[call-arg]


@server.response_handler
async def says_events(
    request: CreateResponse, context: ResponseContext
) -> AsyncIterator[ResponseStreamEvent | Events | AsyncEvents]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.output_item_message("Hello")


@server.response_handler
def says_events_from_a_thread(
    request: CreateResponse, context: ResponseContext, signal: CancellationSignal
) -> Iterator[ResponseStreamEvent | Events]:
    yield context.stream().emit_created()


@server.response_handler
async def returns_a_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text="Hello")


@server.response_handler
def returns_events(request: CreateResponse, context: ResponseContext) -> Events:
    return context.stream().output_item_message("Hello")


@server.response_handler  # type: ignore[type-var]
async def takes_too_little(request: CreateResponse) -> TextResponse:
    raise AssertionError


@server.response_handler  # type: ignore[type-var]
async def returns_something_else(request: CreateResponse, context: ResponseContext) -> int:
    return 3


def texts(context: ResponseContext, request: CreateResponse, later: AsyncIterator[str]) -> None:
    async def tell() -> str:
        return "Hello"

    TextResponse(context, request, text="Hello")
    TextResponse(context, request, text=["Hel", "lo"])
    TextResponse(context, request, text=later)
    TextResponse(context, request, text=tell)
    TextResponse(context, request, text=tell())
    TextResponse(context, request, text=lambda: "Hello")
    TextResponse(context, request, text=3)  # type: ignore[arg-type]
    TextResponse(context, request, text=lambda: 3)  # type: ignore[arg-type, return-value]
