"""WebSockets of an `ASGIApp`: pumped, refused and left, and spoken by the client of openai (W1, W11)."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import anyio.lowlevel
import attrs
import openai
import pytest
import uvicorn

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, TextResponse
from responses_stream.hosting.http import Engine, HttpReply, HttpRequest, WebSocketSession
from responses_transports.asgi import ASGIApp

from .answering import FakeEngine, echo, text
from .asgi_calls import Gated, calling, handshake
from .launching import SERVERS

pytestmark = pytest.mark.anyio


@attrs.define(eq=False)
class Talk(WebSocketSession):
    """A session that says what it hears, until it hears "bye"."""

    heard: list[str | bytes] = attrs.field(factory=list)
    closed: anyio.Event = attrs.field(factory=anyio.Event)
    close_code: int = 4321
    _arrival: anyio.Event = attrs.field(factory=anyio.Event)
    _said: int = 0

    async def receive(self, message: str | bytes) -> None:
        self.heard.append(message)
        self._arrival.set()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while self._said == len(self.heard):
            self._arrival = anyio.Event()
            await self._arrival.wait()
        self._said += 1
        if self.heard[self._said - 1] == "bye":
            raise StopAsyncIteration
        return str(self.heard[self._said - 1])

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed.set()


@attrs.define
class TalkingEngine(FakeEngine):
    talk: Talk = attrs.field(factory=Talk)

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        self.asked.append(request)
        return self.talk


CONNECT = {"type": "websocket.connect"}
LEFT = {"type": "websocket.disconnect", "code": 1006}


async def test_a_websocket_is_pumped_both_ways_and_closed_with_the_code_of_the_session() -> None:
    engine = TalkingEngine(echo)
    async with calling(ASGIApp(engine), handshake(query_string=b"a=b")) as call:
        await call.put(CONNECT)
        assert await call.take() == {"type": "websocket.accept"}
        await call.put({"type": "websocket.receive", "text": "one"}, {"type": "websocket.receive", "bytes": b"two"})
        assert await call.take() == {"type": "websocket.send", "text": "one"}
        assert await call.take() == {"type": "websocket.send", "text": "b'two'"}
        await call.put({"type": "websocket.receive", "text": "bye", "bytes": None})
        assert await call.take() == {"type": "websocket.close", "code": 4321}
        await call.nothing_more()
    assert engine.talk.heard == ["one", b"two", "bye"]
    assert engine.talk.closed.is_set()
    [asked] = engine.asked
    assert (asked.method, asked.path, asked.query, asked.target) == ("GET", "/v1/responses", "a=b", "/v1/responses?a=b")


async def test_a_client_that_leaves_a_websocket_closes_the_session() -> None:
    engine = TalkingEngine(echo)
    async with calling(ASGIApp(engine), handshake()) as call:
        await call.put(CONNECT)
        await call.take()
        await call.put(LEFT)
        await call.nothing_more()
    assert engine.talk.closed.is_set()


@pytest.mark.parametrize("accepted", [False, True])
async def test_a_websocket_whose_client_has_gone_is_no_error(accepted: bool) -> None:
    engine = TalkingEngine(echo)
    async with calling(ASGIApp(engine), handshake()) as call:
        call.broken = not accepted
        await call.put(CONNECT)
        if accepted:
            await call.take()
            call.broken = True
            await call.put({"type": "websocket.receive", "text": "one"})
        await call.nothing_more()
    assert engine.talk.closed.is_set()


async def test_a_handshake_is_refused_with_the_reply_of_the_engine() -> None:
    engine = FakeEngine(lambda _: _reply(text(b"no", 426)))
    async with calling(ASGIApp(engine), handshake(extensions={"websocket.http.response": {}})) as call:
        await call.put(CONNECT)
        start = await call.take()
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 426)
        assert (b"content-length", b"2") in start["headers"]
        assert await call.take() == {"type": "websocket.http.response.body", "body": b"no"}
        await call.nothing_more()


@pytest.mark.parametrize("extensions", [{}, None, {"tls": {}}])
async def test_a_server_that_cannot_refuse_in_words_closes(extensions: dict[str, object] | None) -> None:
    stream = Gated()
    engine = FakeEngine(lambda _: _reply(HttpReply(200, (), stream)))
    async with calling(ASGIApp(engine), handshake(extensions=extensions)) as call:
        await call.put(CONNECT)
        assert await call.take() == {"type": "websocket.close"}
        await call.nothing_more()
    assert stream.closed.is_set()


async def _reply(reply: HttpReply) -> HttpReply:
    return reply


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "name", ["uvicorn-httptools", "uvicorn-websockets", "hypercorn-asyncio", "hypercorn-trio", "granian"]
)
@pytest.mark.anyio
@pytest.mark.usefixtures("anyio_backend")
async def test_the_websocket_of_openai(name: str) -> None:
    server = ResponsesServer()

    @server.response_handler
    async def count(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=f"{len(await context.get_history())} before this")

    texts: list[str] = []
    with on_websockets(server) if name == "uvicorn-websockets" else SERVERS[name](server) as (host, port):
        async with (
            openai.AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key="-", max_retries=0) as client,
            client.responses.connect() as connection,
        ):
            previous = None
            for _ in range(3):
                await connection.response.create(model="m", input="x", store=False, previous_response_id=previous)
                async for event in connection:
                    assert event.type != "error", event
                    if event.type == "response.completed":
                        texts.append(event.response.output_text)
                        previous = event.response.id
                        break
    assert texts == ["0 before this", "2 before this", "4 before this"]


@contextmanager
def on_websockets(engine: Engine) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(ASGIApp(engine), log_config=None, ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()
