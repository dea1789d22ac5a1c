"""What the benchmarks of the transports serve: our server, and beside it the barest thing that sends the same bytes.

``python -m tests.benchmarks.apps PROGRAM APP PORT`` serves one of them on a port of this machine. Every app answers
``POST /v1/responses``; what it sends is asked for by the ``input``: ``singly N``, ``bursts N``, ``idle`` or ``hello``.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import queue
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Annotated, Any, Final

import msgspec
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from responses_stream import CreateResponse, ResponseContext, ResponseEventStream, ResponsesServer, TextResponse
from responses_stream.builders.events import AsyncYield
from responses_stream.hosting.telemetry import NoTelemetry
from responses_stream.protocol.codec import encode
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.response import ResponseObject
from responses_stream.sse import DONE, SSE_HEADERS, encode_event

BURST: Final = 200
TURNS_BETWEEN: Final = 3
"""How often the loop turns between two tokens that come singly; enough for each to be on its way before the next."""

DELTA: Final = "hello"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def arrivals(what: str, count: int) -> AsyncIterator[int]:
    """Give the tokens as they come from a model: one after the other, or 200 at once."""
    for number in range(count):
        if what == "singly":
            for _ in range(TURNS_BETWEEN):
                await asyncio.sleep(0)
        elif number % BURST == 0:
            await asyncio.sleep(0)
        yield number


def asked(text: str) -> tuple[str, int]:
    what, _, count = text.partition(" ")
    return what, int(count or 0)


server: Final = ResponsesServer(telemetry=NoTelemetry())


@server.response_handler
async def handler(request: CreateResponse, context: ResponseContext) -> AsyncIterator[AsyncYield]:
    what, count = asked(str(request.input))
    if what == "hello":
        yield TextResponse(context, request, text="Hello, world.")
        return
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    if what == "idle":
        del stream
        await asyncio.Event().wait()
        return
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    emit_delta = text.emit_delta
    async for _ in arrivals(what, count):
        yield emit_delta(DELTA)
    yield text.emit_text_done()
    yield text.emit_done()
    yield message.emit_done()
    yield stream.emit_completed()


def frames(count: int) -> list[bytes]:
    """The frames of a stream of *count* tokens, encoded before anybody asks."""
    stream = ResponseEventStream("resp_bench", {"model": "m", "input": "x"})
    head: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    message = stream.add_output_item_message()
    text = message.add_text_content()
    head += [message.emit_added(), text.emit_added()]
    deltas = [text.emit_delta(DELTA) for _ in range(count)]
    tail = [text.emit_text_done(), text.emit_done(), message.emit_done(), stream.emit_completed()]
    return [*map(encode_event, (*head, *deltas, *tail)), DONE]


_FRAMES: Final = {count: frames(count) for count in (0, 2_000, 20_000)}
_HEAD: Final = 4


async def bare_asgi(scope: Message, receive: Receive, send: Send) -> None:
    """The barest ASGI app: it sends the same frames, one by one."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    what, count = asked(msgspec.json.decode(body)["input"])
    headers = [(name.encode(), value.encode()) for name, value in SSE_HEADERS.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    ready = _FRAMES[count]
    for frame in ready[:_HEAD]:
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    if what == "idle":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    async for number in arrivals(what, count):
        await send({"type": "http.response.body", "body": ready[_HEAD + number], "more_body": True})
    for frame in ready[_HEAD + count :]:
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@functools.cache
def loop_in_a_thread() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def bare_wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """The barest WSGI app: a generator of the same frames.

    Tokens that come singly come from an event loop, as those of a model's client do; those of a burst are all there.
    """
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    what, count = asked(msgspec.json.decode(body)["input"])
    start_response("200 OK", list(SSE_HEADERS.items()))
    ready = _FRAMES[count]
    came: queue.SimpleQueue[int] = queue.SimpleQueue()

    async def arrive() -> None:
        async for number in arrivals(what, count):
            came.put(number)

    def generate() -> Iterator[bytes]:
        yield from ready[:_HEAD]
        if what == "singly":
            asyncio.run_coroutine_threadsafe(arrive(), loop_in_a_thread())
            for _ in range(count):
                yield ready[_HEAD + came.get()]
            yield from ready[_HEAD + count :]
        else:
            yield from ready[_HEAD:]

    return generate()


def unpaced_wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """The same where every token is there before anybody asks; nothing ever waits."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    _, count = asked(msgspec.json.decode(body)["input"])
    start_response("200 OK", list(SSE_HEADERS.items()))
    return iter(_FRAMES[count])


@functools.cache
def _our_wsgi() -> Callable[..., Iterable[bytes]]:
    from responses_transports.wsgi import WSGIApp

    return WSGIApp(server)


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    return _our_wsgi()(environ, start_response)


def with_memory(app: Callable[[Message, Receive, Send], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """An ASGI app that also tells how much memory its process has traced, at ``/memory``."""

    async def told(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/memory":
            await app(scope, receive, send)
            return
        gc.collect()
        if not tracemalloc.is_tracing():
            tracemalloc.start()
        body = str(tracemalloc.get_traced_memory()[0]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    return told


def fastapi_app() -> Any:
    """A bare FastAPI route: it parses the same body, and returns the same object with the models of `openai`."""
    from fastapi import Body, FastAPI

    app = FastAPI()
    said = msgspec.json.decode(encode(hello()))

    async def create(body: Annotated[ResponseCreateParamsNonStreaming, Body()]) -> Response:
        return Response.model_validate(said | {"model": body["model"]})

    create.__annotations__ = {"body": Annotated[ResponseCreateParamsNonStreaming, Body()], "return": Response}

    app.post("/v1/responses")(create)
    return app


def hello() -> ResponseObject:
    request = CreateResponse(model="m", input="hello")
    stream = ResponseEventStream("resp_bench", request)
    events = [stream.emit_created(), stream.emit_in_progress(), *stream.output_item_message("Hello, world.")]
    assert events
    return stream.emit_completed().response


def our_app() -> Callable[..., Awaitable[None]]:
    from responses_transports.asgi import ASGIApp

    return with_memory(ASGIApp(server))


APPS: Final[dict[str, Callable[[], Any]]] = {
    "ours": our_app,
    "bare": lambda: with_memory(bare_asgi),
    "fastapi": fastapi_app,
}


def main(program: str, app: str, port: int) -> None:
    if program == "h11":
        server.run("h11", port=port)
        return
    import uvicorn

    http: Any = "h11" if program == "uvicorn-h11" else "httptools"
    uvicorn.run(APPS[app](), port=port, http=http, log_level="error", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
