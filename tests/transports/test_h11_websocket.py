"""WebSockets of the bare server: handshakes, frames, limits and ends, driven by wsproto, `websockets` and `openai`."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.from_thread
import attrs
import openai
import pytest
import websockets.exceptions
import websockets.sync.client
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, TextResponse
from responses_stream.hosting.http import HttpReply, HttpRequest, Limits, WebSocketSession
from responses_transports.h11_server import serve_async

from .answering import FakeEngine, serving, text
from .wire import Wire, connected

pytestmark = pytest.mark.anyio

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /responses?a=b HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)


class Talk(WebSocketSession):
    """Says what it is told to, and ends where it is told to."""

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.closed = anyio.Event()
        self.code = 1000
        self._said, self._to_say = anyio.create_memory_object_stream[str](100)

    @property
    def close_code(self) -> int:
        return self.code

    def __aiter__(self) -> AsyncIterator[str]:
        return self._to_say.__aiter__()

    async def receive(self, message: str | bytes) -> None:
        self.heard.append(message)
        if message == "end":
            self._said.close()
        elif message == "break":
            self._to_say.close()
        elif isinstance(message, str):
            self._said.send_nowait(f"you said {message[:20]}")

    def say(self, message: str) -> None:
        self._said.send_nowait(message)

    async def aclose(self) -> None:
        self._said.close()
        self._to_say.close()
        self.closed.set()


@attrs.define
class TalkingEngine(FakeEngine):
    """Opens a session for every handshake."""

    sessions: list[Talk] = attrs.field(factory=list)

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        self.asked.append(request)
        self.sessions.append(Talk())
        return self.sessions[-1]


@attrs.define
class Client:
    """A client that can say what no proper client would."""

    wire: Wire
    frames: Connection = attrs.field(factory=lambda: Connection(ConnectionType.CLIENT))
    _events: list[Event] = attrs.field(factory=list)

    async def say(self, *events: Event) -> None:
        await self.wire.send(b"".join(self.frames.send(event) for event in events))

    async def hear(self) -> Event:
        while not self._events:
            data = await self.wire.more()
            assert data, "the connection has ended"
            self.frames.receive_data(data)
            self._events.extend(self.frames.events())
        return self._events.pop(0)

    async def closed_with(self) -> int:
        event = await self.hear()
        assert isinstance(event, CloseConnection), event
        return event.code


async def refuse(_: HttpRequest) -> HttpReply:
    return text(b"only sockets", 426)


@asynccontextmanager
async def talking(limits: Limits | None = None) -> AsyncIterator[tuple[Client, Talk]]:
    engine = TalkingEngine(refuse, limits=limits or Limits())
    async with serving(engine) as port, connected(port) as wire:
        await wire.send(HANDSHAKE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await wire.more()
        head, _, rest = head.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head.lower()
        assert b"sec-websocket-extensions" not in head.lower()
        wire.push_back(rest)
        yield Client(wire), engine.sessions[0]
        with anyio.CancelScope(shield=True):
            await wire.stream.aclose()
            await engine.sessions[0].closed.wait()


def data_of(event: Event) -> str:
    assert isinstance(event, TextMessage), event
    assert event.message_finished
    return event.data


async def test_messages_go_both_ways() -> None:
    async with talking() as (client, talk):
        await client.say(TextMessage(data="one"), TextMessage(data="zwei \N{SNOWMAN}"))
        assert data_of(await client.hear()) == "you said one"
        assert data_of(await client.hear()) == "you said zwei \N{SNOWMAN}"
        talk.say("something" * 20_000)
        said = ""
        while len(said) < 180_000:
            event = await client.hear()
            assert isinstance(event, TextMessage)
            said += event.data
        assert said == "something" * 20_000


async def test_what_comes_with_the_handshake_is_heard() -> None:
    engine = TalkingEngine(refuse)
    async with serving(engine) as port, connected(port) as wire:
        client = Client(wire)
        await wire.send(HANDSHAKE + client.frames.send(TextMessage(data="early")))
        head = b""
        while b"\r\n\r\n" not in head:
            head += await wire.more()
        wire.push_back(head.partition(b"\r\n\r\n")[2])
        assert data_of(await client.hear()) == "you said early"
        assert (engine.asked[0].path, engine.asked[0].query) == ("/responses", "a=b")


async def test_a_message_in_pieces_is_one_and_a_ping_between_them_is_answered() -> None:
    async with talking() as (client, talk):
        await client.say(TextMessage(data="o", message_finished=False), Ping(payload=b"?"))
        assert await client.hear() == Pong(payload=b"?")
        await client.say(TextMessage(data="n", message_finished=False), TextMessage(data="e"))
        assert data_of(await client.hear()) == "you said one"
        assert talk.heard == ["one"]


async def test_a_message_may_be_empty_and_have_empty_pieces() -> None:
    async with talking(Limits(max_message_bytes=10)) as (client, talk):
        await client.say(TextMessage(data=""), BytesMessage(data=b""))
        await client.say(*[TextMessage(data="", message_finished=False)] * 50, TextMessage(data="end"))
        assert data_of(await client.hear()) == "you said "
        assert await client.closed_with() == 1000
        assert talk.heard == ["", b"", "end"]


async def test_a_binary_message_is_given_as_bytes() -> None:
    async with talking() as (client, talk):
        await client.say(BytesMessage(data=b"a", message_finished=False), BytesMessage(data=b"b"))
        await client.say(TextMessage(data="then"))
        await client.hear()
        assert talk.heard == [b"ab", "then"]


@pytest.mark.parametrize("pieces", [["x" * 101], ["x" * 60, "x" * 41], ["\N{SNOWMAN}" * 34]])
async def test_too_large_a_message_closes_the_connection(pieces: list[str]) -> None:
    async with talking(Limits(max_message_bytes=100)) as (client, talk):
        await client.say(*[TextMessage(data=piece, message_finished=False) for piece in pieces])
        assert await client.closed_with() == 1009
        await client.say(CloseConnection(code=1009))
        assert await client.wire.is_closed()
        assert not talk.heard


async def test_a_message_as_large_as_may_be_is_taken() -> None:
    async with talking(Limits(max_message_bytes=100)) as (client, talk):
        for _ in range(2):
            await client.say(TextMessage(data="x" * 60, message_finished=False), TextMessage(data="x" * 40))
            await client.hear()
        assert talk.heard == ["x" * 100] * 2


def frame(first: int, payload: bytes, masked: bool = True) -> bytes:
    head = bytes([first, (0x80 if masked else 0) | len(payload)])
    return head + (b"\0\0\0\0" if masked else b"") + payload


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(0x81, b"\xff\xfe"), 1007),
        (frame(0x81, b"unmasked", masked=False), 1002),
        (frame(0xC1, b"compressed"), 1002),
        (frame(0x83, b"unknown"), 1002),
        (frame(0x09, b"ping in pieces"), 1002),
        (frame(0x80, b"goes on from nothing"), 1002),
        (frame(0x88, b"\x03"), 1002),
    ],
)
async def test_what_are_no_frames_closes_the_connection(bad: bytes, code: int) -> None:
    async with talking() as (client, talk):
        await client.wire.send(bad)
        assert await client.closed_with() == code
        assert await client.wire.is_closed()
        assert not talk.heard


@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_a_client_that_closes_is_answered_with_its_code(code: int) -> None:
    async with talking() as (client, talk):
        await client.say(CloseConnection(code=code))
        assert await client.closed_with() == code
        assert await client.wire.is_closed()
        await talk.closed.wait()


async def test_a_client_that_vanishes_closes_the_session() -> None:
    async with talking() as (client, talk):
        await client.wire.stream.aclose()
        await talk.closed.wait()


async def test_a_session_that_ends_closes_the_connection_with_its_code() -> None:
    async with talking() as (client, talk):
        talk.code = 1001
        await client.say(TextMessage(data="end"))
        assert await client.closed_with() == 1001
        await client.wire.send(frame(0x81, b"too late"))
        await client.say(CloseConnection(code=1001))
        assert await client.wire.is_closed()
        await talk.closed.wait()
        assert talk.heard == ["end"]


async def test_a_session_that_fails_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with talking() as (client, _):
        await client.say(TextMessage(data="break"))
        assert await client.closed_with() == 1011
    assert "the engine failed in a WebSocket" in caplog.text


async def test_a_client_that_does_not_answer_the_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from responses_transports import h11_websocket

    monkeypatch.setattr(h11_websocket, "_CLOSE_SECONDS", 0.0)
    async with talking() as (client, _):
        await client.say(TextMessage(data="end"))
        assert await client.closed_with() == 1000
        assert await client.wire.is_closed()


async def test_a_silent_client_is_asked_whether_it_is_there_and_then_left() -> None:
    async with talking(Limits(write_stall_seconds=0.05)) as (client, talk):
        assert isinstance(await client.hear(), Ping)
        await client.say(Pong())
        assert isinstance(await client.hear(), Ping)
        assert await client.wire.is_closed()
        await talk.closed.wait()


async def test_a_client_that_takes_nothing_is_left() -> None:
    async with talking(Limits(write_stall_seconds=0.05)) as (client, talk):
        for _ in range(100):
            talk.say("x" * 200_000)
        await talk.closed.wait()
        await client.wire.stream.aclose()


async def test_a_server_that_stops_closes_what_is_left_after_its_grace() -> None:
    stop = anyio.Event()
    engine = TalkingEngine(refuse)
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, engine, port=0, stop=stop.wait, grace=0.0))
        async with connected(port) as wire:
            await wire.send(HANDSHAKE)
            await wire.more()
            stop.set()
            assert await wire.is_closed()
        await engine.sessions[0].closed.wait()


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 8", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (b"Sec-WebSocket-Key: " + KEY + b"\r\n", b"", 400),
        (KEY, b"c2hvcnQ=", 400),
        (KEY, b"no base64", 400),
        (b"keep-alive, Upgrade", b"keep-alive", 400),
    ],
)
async def test_a_bad_handshake_is_told_so_in_the_envelope(old: bytes, new: bytes, status: int) -> None:
    engine = TalkingEngine(refuse)
    async with serving(engine) as port, connected(port) as wire:
        await wire.send(HANDSHAKE.replace(old, new))
        answer = await wire.answer()
        assert answer.status == status
        assert "code" in json.loads(answer.body)["error"]
        assert (answer.headers.get("sec-websocket-version") == "13") == (status == 426)
        assert await wire.is_closed()
    assert not engine.sessions


async def test_a_handshake_that_the_engine_refuses_is_an_answer_like_any_other() -> None:
    async with serving(FakeEngine(refuse)) as port, connected(port) as wire:
        for _ in range(2):
            await wire.send(HANDSHAKE)
            assert (await wire.answer()).body == b"only sockets"


async def test_an_engine_that_fails_at_a_handshake_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: HttpRequest) -> HttpReply:
        raise RuntimeError("the secret")

    async with serving(FakeEngine(fail)) as port, connected(port) as wire:
        await wire.send(HANDSHAKE)
        answer = await wire.answer()
        assert answer.status == 500
        assert b"secret" not in answer.body
    assert "the secret" in caplog.text


@pytest.mark.parametrize("old", [b"websocket", b"GET"])
async def test_other_upgrades_and_methods_are_none(old: bytes) -> None:
    engine = TalkingEngine(refuse)
    async with serving(engine) as port, connected(port) as wire:
        await wire.send(HANDSHAKE.replace(old, b"POST" if old == b"GET" else b"h2c"))
        assert (await wire.answer()).body == b"only sockets"
    assert not engine.sessions


async def test_without_wsproto_the_engine_is_asked_as_for_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "responses_transports.h11_websocket", raising=False)
    monkeypatch.setitem(sys.modules, "wsproto.connection", None)
    engine = TalkingEngine(refuse)
    async with serving(engine) as port, connected(port) as wire:
        await wire.send(HANDSHAKE)
        assert (await wire.answer()).status == 426
    assert not engine.sessions


@contextmanager
def counting(backend: str) -> Iterator[tuple[int, anyio.from_thread.BlockingPortal, anyio.Event]]:
    """Serve one that says how many items it remembers; tells the port, and what stops it when it is set."""
    server = ResponsesServer()

    @server.response_handler
    async def handler(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text=f"{len(await context.get_history())} before this")

    with anyio.from_thread.start_blocking_portal(backend) as portal:
        stop = portal.call(anyio.Event)
        ended, port = portal.start_task(functools.partial(serve_async, server, port=0, stop=stop.wait))
        yield port, portal, stop
        portal.call(stop.set)
        ended.result()


def test_the_client_of_openai(anyio_backend: str) -> None:
    with (
        counting(anyio_backend) as (port, _, _),
        openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0) as client,
        client.responses.connect() as connection,
    ):
        texts, previous = [], None
        for _ in range(3):
            connection.response.create(model="m", input="x", store=False, previous_response_id=previous)
            for event in connection:
                assert event.type != "error", event
                if event.type == "response.completed":
                    texts.append(event.response.output_text)
                    previous = event.response.id
                    break
    assert texts == ["0 before this", "2 before this", "4 before this"]


def test_a_server_that_stops_says_that_it_goes_away(anyio_backend: str) -> None:
    with counting(anyio_backend) as (port, portal, stop):
        url = f"ws://127.0.0.1:{port}/v1/responses"
        with websockets.sync.client.connect(url) as connection:  # which offers to compress
            connection.send(['{"type":"response.create",', '"model":"m","input":"x"}'])
            while json.loads(connection.recv())["type"] != "response.completed":
                pass
            assert connection.ping().wait(30)
            portal.call(stop.set)
            with pytest.raises(websockets.exceptions.ConnectionClosedOK) as closed:
                connection.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
