"""Which callables are handlers, and where they run."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.from_thread
import pytest

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions, TextResponse
from responses_stream.builders.events import AsyncEvents, Events, flatten
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.hosting.handlers import HandlerForm
from responses_stream.protocol.events import ResponseStreamEvent

from .asking import ask

pytestmark = pytest.mark.anyio


def told(context: ResponseContext, text: str = "ok") -> Iterator[ResponseStreamEvent | Events]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    yield stream.output_item_message(text)
    yield stream.emit_completed()


async def later(context: ResponseContext) -> AsyncIterator[ResponseStreamEvent | Events | AsyncEvents]:
    for part in told(context):
        await anyio.lowlevel.checkpoint()
        yield part


async def chunks() -> AsyncIterator[str]:
    yield "o"
    yield "k"


async def fetched() -> str:
    return "ok"


async def async_generator(
    _request: CreateResponse, context: ResponseContext
) -> AsyncIterator[ResponseStreamEvent | Events]:
    for part in told(context):
        yield part


def sync_generator(_request: CreateResponse, context: ResponseContext) -> Iterator[ResponseStreamEvent | Events]:
    yield from told(context)


async def coroutine_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text="ok")


async def coroutine_async_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=chunks())


async def coroutine_events(_request: CreateResponse, context: ResponseContext) -> Events:
    return flatten(told(context))


async def coroutine_async_events(_request: CreateResponse, context: ResponseContext) -> AsyncEvents:
    return flatten(later(context))


async def coroutine_sync_generator(
    _request: CreateResponse, context: ResponseContext
) -> Iterator[ResponseStreamEvent | Events]:
    return told(context)


async def coroutine_async_generator(
    _request: CreateResponse, context: ResponseContext
) -> AsyncIterator[ResponseStreamEvent | Events | AsyncEvents]:
    return later(context)


async def coroutine_list(_request: CreateResponse, context: ResponseContext) -> list[ResponseStreamEvent | AsyncEvents]:
    stream = context.stream()
    return [
        stream.emit_created(),
        stream.emit_in_progress(),
        *stream.output_item_message("ok"),
        stream.emit_completed(),
    ]


def function_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text="ok")


def function_sync_callable(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=lambda: "ok")


def function_async_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=chunks())


def function_async_generator_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=chunks)


def function_coroutine_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=fetched)


def function_awaitable_text(request: CreateResponse, context: ResponseContext) -> TextResponse:
    return TextResponse(context, request, text=fetched())


def function_list(_request: CreateResponse, context: ResponseContext) -> list[ResponseStreamEvent]:
    return list(flatten(told(context)))


def function_events(_request: CreateResponse, context: ResponseContext) -> Events:
    return flatten(told(context))


def function_async_generator(
    _request: CreateResponse, context: ResponseContext
) -> AsyncIterator[ResponseStreamEvent | Events | AsyncEvents]:
    return later(context)


def function_awaitable(request: CreateResponse, context: ResponseContext) -> Awaitable[TextResponse]:
    return coroutine_text(request, context)


def with_signal(request: CreateResponse, context: ResponseContext, signal: CancellationSignal) -> TextResponse:
    assert not signal.is_set()
    return TextResponse(context, request, text="ok")


async def with_signal_and_default(
    request: CreateResponse, context: ResponseContext, signal: CancellationSignal | None = None
) -> TextResponse:
    assert signal is not None
    return TextResponse(context, request, text="ok")


class Model:
    """An agent whose methods, and which itself, are handlers."""

    async def answer(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        return later(context)

    async def __call__(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        for part in told(context):
            yield part


def bound(_name: str, _request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
    yield from told(context)


FORMS: list[Callable[..., Any]] = [
    async_generator,
    sync_generator,
    coroutine_text,
    coroutine_async_text,
    coroutine_events,
    coroutine_async_events,
    coroutine_sync_generator,
    coroutine_async_generator,
    coroutine_list,
    function_text,
    function_sync_callable,
    function_async_text,
    function_async_generator_text,
    function_coroutine_text,
    function_awaitable_text,
    function_list,
    function_events,
    function_async_generator,
    function_awaitable,
    with_signal,
    with_signal_and_default,
    Model().answer,
    Model(),
    functools.partial(bound, "name"),
    lambda request, context: TextResponse(context, request, text="ok"),
]


@pytest.mark.parametrize("handler", FORMS, ids=lambda form: getattr(form, "__qualname__", type(form).__name__))
@pytest.mark.parametrize("stream", [True, False])
async def test_every_form_of_handler_makes_a_response(handler: Callable[..., Any], stream: bool) -> None:
    server = ResponsesServer()
    assert server.response_handler(handler) is handler
    answer = await ask(server, {"stream": stream})
    assert answer.status == 200
    response = answer.events[-1]["response"] if stream else answer.json
    assert response["status"] == "completed"
    assert response["output"][0]["content"][0]["text"] == "ok"


def too_few(request: object) -> None: ...
def too_many(request: object, context: object, signal: object, more: object) -> None: ...
def any_number(*arguments: object) -> None: ...
def by_name(request: object, *, context: object) -> None: ...
def with_rest(request: object, context: object, **rest: object) -> None: ...


@pytest.mark.parametrize("handler", [too_few, too_many, any_number, by_name, with_rest, dict, "handler", None, 3])
def test_anything_else_is_refused_when_it_is_registered(handler: Any) -> None:
    server = ResponsesServer()
    with pytest.raises(HandlerForm, match=r"takes \(request, context\)") as refused:
        server.response_handler(handler)
    assert isinstance(refused.value, TypeError)
    assert refused.value.got in str(refused.value)


@pytest.mark.parametrize("handler", [sync_generator, function_list, function_text, function_events])
async def test_a_sync_handler_runs_in_one_thread_that_is_not_the_loops(handler: Callable[..., Any]) -> None:
    threads = []

    def watched(request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
        threads.append(threading.get_ident())
        for event in handler(request, context):
            threads.append(threading.get_ident())
            yield event

    server = ResponsesServer()
    server.response_handler(watched)
    assert (await ask(server, {})).json["status"] == "completed"
    assert len(threads) > 4
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


async def test_a_sync_handler_may_block_while_others_run() -> None:
    server = ResponsesServer()
    second_done = threading.Event()

    @server.response_handler
    def block(request: CreateResponse, context: ResponseContext) -> TextResponse:
        if request.input == "first":
            assert second_done.wait(30)
        return TextResponse(context, request, text="ok")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, server, {"input": "first"})
        assert (await ask(server, {"input": "second"})).json["status"] == "completed"
        second_done.set()


async def test_sync_handlers_beyond_the_limit_wait_for_a_thread() -> None:
    server = ResponsesServer(options=ResponsesServerOptions(max_sync_handlers=1))
    running = 0
    most = 0

    @server.response_handler
    def count(_request: CreateResponse, context: ResponseContext) -> Iterator[Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            yield from told(context)
        finally:
            running -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask, server, {})
    assert most == 1


async def test_a_sync_handler_can_use_the_loop() -> None:
    server = ResponsesServer()

    @server.response_handler
    def call(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=anyio.from_thread.run(fetched))

    assert (await ask(server, {})).json["output"][0]["content"][0]["text"] == "ok"


async def test_an_async_handler_lives_in_one_task() -> None:
    server = ResponsesServer()

    @server.response_handler
    async def grouped(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        # A cancel scope that is open across yields has to be left in the task that entered it.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.lowlevel.checkpoint)
            for part in told(context):
                with anyio.CancelScope():
                    yield part
                    await anyio.lowlevel.checkpoint()

    for body in ({"stream": True}, {}):
        assert (await ask(server, body)).status == 200
