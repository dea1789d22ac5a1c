"""One engine, the same requests, every transport and server: the same bytes.

What is expected is what the engine itself says when nobody stands between. A server owns the headers of `OWNED` and
nothing else.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import unquote

import anyio.from_thread
import attrs
import pytest
from anyio.from_thread import BlockingPortal

from responses_stream import validate_events
from responses_stream.hosting.http import HttpReply, HttpRequest
from responses_stream.hosting.server import ResponsesServer
from responses_transports.conformance_client import Address, Answer, Client

from .exemplary import MOST, id_of, make_server
from .launching import BY_THREADS, SERVERS

OWNED: Final = {
    "connection", "date", "keep-alive", "sec-websocket-accept", "server", "transfer-encoding", "upgrade", "via",
}  # fmt: skip
"""The headers that a server makes itself, or leaves out, as HTTP asks of it."""

_RANDOM_ID: Final = re.compile(rb"msg_[0-9a-f]{50}")  # what a stored message of an input gets

JSON: Final = {"content-type": "application/json", "x-request-id": "request-1"}


class Reply(Protocol):
    """A reply whose body may still be coming."""

    def until(self, marker: bytes, times: int) -> None:
        """Read the body until *marker* has come that often."""
        ...

    def rest(self) -> Answer:
        """Read the body to its end, and return the whole reply."""
        ...


Ask: TypeAlias = Callable[[str, str, dict[str, str], bytes], Reply]
"""Asks by method, target, headers and body."""


@attrs.define
class DirectReply:
    """What the engine itself says."""

    portal: BlockingPortal
    reply: HttpReply
    read: bytes = b""

    def until(self, marker: bytes, times: int) -> None:
        assert not isinstance(self.reply.body, bytes)
        while self.read.count(marker) < times:
            self.read += self.portal.call(anext, aiter(self.reply.body))

    def rest(self) -> Answer:
        body = self.reply.body
        self.read += body if isinstance(body, bytes) else self.portal.call(_read, body)
        return Answer(self.reply.status, self.reply.headers, self.read)


async def _read(body: Any) -> bytes:
    read = b"".join([piece async for piece in body])
    await body.aclose()
    return read


@contextmanager
def directly(server: ResponsesServer) -> Iterator[Ask]:
    """Ask the engine itself."""

    def ask(method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        path, _, query = target.partition("?")
        request = HttpRequest(method, unquote(path), query, tuple(headers.items()), body)
        return DirectReply(portal, portal.call(server.handle, request))

    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(server.lifespan()):
        yield ask


@attrs.define
class WireReply:
    """What comes over the wire."""

    client: Client
    method: str
    head: Answer | None = None
    read: bytes = b""

    def until(self, marker: bytes, times: int) -> None:
        self._begin()
        while self.read.count(marker) < times:
            piece = self.client.piece()
            assert piece is not None, self.read
            self.read += piece

    def rest(self) -> Answer:
        head = self._begin()
        self.read += self.client.rest()
        self.client.leave()
        return attrs.evolve(head, body=self.read)

    def _begin(self) -> Answer:
        self.head = self.head or self.client.head(self.method)
        return self.head


def over_the_wire(address: Address) -> Ask:
    """Ask a server that listens at *address*."""

    def ask(method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        client = Client(address)
        client.ask(method, target, headers.items(), body if body or method == "POST" else None)
        return WireReply(client, method)

    return ask


def _plain(ask: Ask) -> Iterator[tuple[str, Answer]]:
    """Ask what needs no response to be there, and is answered at once."""
    path = f"/v1/responses/{id_of(99)}"
    websocket = {"connection": "Upgrade", "upgrade": "websocket"} | {
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    for method, target, headers, body in (
        ("GET", "/readiness", {}, b""),
        ("HEAD", "/readiness", {}, b""),
        ("GET", "/v1/models", {}, b""),
        ("GET", "/models/?x=%20", {}, b""),
        ("OPTIONS", "/v1/responses", {}, b""),
        ("OPTIONS", path, {}, b""),
        ("PUT", "/v1/responses", {}, b""),
        ("GET", "/v1/responses", {}, b""),
        ("GET", "/v1/responses", websocket, b""),
        ("GET", "/elsewhere", {}, b""),
        ("GET", "/v1/caf%C3%A9/%ff", {}, b""),
        ("GET", path, {}, b""),
        ("HEAD", path, {}, b""),
        ("DELETE", path, {}, b""),
        ("POST", f"{path}/cancel", {}, b""),
        ("GET", f"{path}/input_items?limit=3", {}, b""),
        ("GET", "/v1/responses/resp_%C3%BC?stream=true", {}, b""),
        ("POST", "/v1/responses", {}, b""),
        ("POST", "/v1/responses", {}, b"{"),
        ("POST", "/v1/responses", {}, b'{"model": 1, "input": [1], "temperature": 9}'),
        ("POST", "/v1/responses", {}, '{"input": "ü", "metadata": {"a": 1}}'.encode()),
        ("POST", "/v1/responses", {}, b'{"input": "x", "previous_response_id": "resp_1"}'),
        ("POST", "/v1/responses", {}, b'{"background": true, "store": false}'),
        ("POST", "/v1/responses", {}, b" " * (MOST + 1)),
        ("POST", "/v1/responses/compact", {}, b"{}"),
    ):
        yield f"{method} {target} {body[:40]!r}", ask(method, target, JSON | headers, body).rest()


def _responses(ask: Ask) -> Iterator[tuple[str, Answer]]:
    """Make responses in all modes, and do with them what can be done."""
    numbers = itertools.count(100)

    def create(text: str, **members: object) -> tuple[str, Reply]:
        item = {"type": "message", "role": "user", "content": text}
        response_id = id_of(next(numbers))
        asked = {"response_id": response_id, "input": [item], "metadata": {"ü": "\u2028"}} | members
        return f"/v1/responses/{response_id}", ask("POST", "/v1/responses", JSON, json.dumps(asked).encode())

    def then(path: str, method: str = "GET") -> Answer:
        return ask(method, path, JSON, b"").rest()

    for text in ("Hi, ü", "call", "fail"):
        path, made = create(text)
        yield f"create {text}", made.rest()
        yield f"get {text}", then(path)
        yield f"head {text}", then(path, "HEAD")
        yield f"input items {text}", then(f"{path}/input_items?order=asc")
        yield f"cancel {text}", then(f"{path}/cancel", "POST")
        yield f"no replay {text}", then(f"{path}?stream=true")
        for stored in (True, False):
            path, made = create(text, stream=True, store=stored)
            yield f"stream {text} {stored}", made.rest()
            yield f"get stream {text} {stored}", then(path)
        path, made = create(text, background=True)
        yield f"background {text}", made.rest()
        polled = then(path)
        while json.loads(polled.body)["status"] in ("queued", "in_progress"):
            polled = then(path)
        yield f"polled {text}", polled
        yield f"delete {text}", then(path, "DELETE")
        yield f"deleted {text}", then(path)
        path, made = create(text, background=True, stream=True)
        yield f"background stream {text}", made.rest()
        yield f"replay {text}", then(f"{path}?stream=true")
        yield f"replay from 3 {text}", then(f"{path}?stream=true&starting_after=3")
        yield f"replay nonsense {text}", then(f"{path}?stream=maybe")
        yield f"head of a replay {text}", then(f"{path}?stream=true", "HEAD")
    path, made = create("wait", background=True, stream=True)
    made.until(b"event: response.output_item.done", 2)
    yield "delete in flight", then(path, "DELETE")
    yield "cancel", then(f"{path}/cancel", "POST")
    yield "cancelled stream", made.rest()
    yield "cancelled", then(path)
    yield "replay of a cancelled", then(f"{path}?stream=true")


def _script(ask: Ask) -> list[tuple[str, Answer]]:
    return [*_plain(ask), *_responses(ask)]


@pytest.fixture(scope="module")
def expected() -> list[tuple[str, Answer]]:
    with directly(make_server()) as ask:
        return _script(ask)


def _shown(answer: Answer, wanted: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    # Of an answer without a body, a server may say so.
    owned = OWNED if wanted.body or wanted.header("content-length") else OWNED | {"content-length"}
    headers = sorted(header for header in answer.headers if header[0] not in owned)
    return answer.status, headers, _RANDOM_ID.sub(b"msg", answer.body)


@pytest.mark.parametrize("name", SERVERS)
def test_the_bytes_are_the_same_everywhere(name: str, expected: list[tuple[str, Answer]]) -> None:
    with SERVERS[name](make_server()) as address:
        got = _script(over_the_wire(address))
    assert [step for step, _ in got] == [step for step, _ in expected]
    for (step, answer), (_, wanted) in zip(got, expected, strict=True):
        assert _shown(answer, wanted) == _shown(wanted, wanted), f"{name} differs: {step}"


TURNS: Final = (
    {"type": "response.create", "response_id": id_of(201), "input": "Hi, ü", "store": False},
    {"type": "response.create", "response_id": id_of(202), "input": "call", "previous_response_id": id_of(201)},
    {"type": "response.create", "response_id": id_of(203), "input": "fail"},
    {"type": "response.create", "input": 7},
    {"type": "response.nonsense"},
    {"type": "response.create", "response_id": id_of(204), "input": "x", "previous_response_id": id_of(299)},
)
"""What is said on one connection, one turn after the other; each is answered up to a terminal event or an error."""

_ENDS: Final = {"response.completed", "response.failed"}
_REQUEST_ID: Final = re.compile(r'"request_id":"[0-9a-f]{32}"')


def _say(send: Callable[[str], object], receive: Callable[[], str]) -> list[list[str]]:
    """Say all turns, and return the messages that answer each."""
    answers = []
    for turn in TURNS:
        send(json.dumps(turn))
        messages = [receive()]
        # Of a response that fails, an error is told first; alone, it is the whole answer.
        while json.loads(messages[-1])["type"] not in (_ENDS if len(messages) > 1 else _ENDS | {"error"}):
            messages.append(receive())
        answers.append([_REQUEST_ID.sub("", message) for message in messages])
    return answers


def _say_directly(server: ResponsesServer) -> list[list[str]]:
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(server.lifespan()):
        session = portal.call(server.open_websocket, HttpRequest("GET", "/v1/responses"))
        assert not isinstance(session, HttpReply)
        answers = _say(lambda text: portal.call(session.receive, text), lambda: portal.call(anext, aiter(session)))
        portal.call(session.aclose)
        return answers


@pytest.mark.parametrize("name", [name for name in SERVERS if name not in BY_THREADS])
def test_the_messages_of_a_websocket_are_the_same_everywhere(name: str) -> None:
    with SERVERS[name](make_server(websocket=True)) as address:
        client = Client(address)
        client.ask_for_websocket("/v1/responses")
        assert client.head().status == 101

        def receive() -> str:
            message = client.message()
            assert isinstance(message, str)
            return message

        got = _say(client.send_text, receive)
        client.send_close()
        assert client.message() == 1000
        client.leave()
    expected = _say_directly(make_server(websocket=True))
    assert [len(messages) for messages in expected][3:] == [1, 1, 1]
    assert got == expected


def test_the_script_asks_for_everything(expected: list[tuple[str, Answer]]) -> None:
    """So that servers that agree do not agree in saying no."""
    statuses = {answer.status for _, answer in expected}
    assert statuses >= {200, 204, 400, 404, 405, 413, 426}
    streams = [(step, answer.body) for step, answer in expected if answer.header("content-type") == SSE and answer.body]
    assert len(streams) > 15
    for step, body in streams:
        assert body.endswith(b"data: [DONE]\n\n"), step
        if "from" not in step:
            assert validate_events(body).ok, step
    told = dict(expected)
    assert told["no replay Hi, ü"].status == 400
    assert told["cancelled stream"].body == told["replay of a cancelled"].body
    assert json.loads(told["cancelled"].body)["status"] == "cancelled"
    assert told["PUT /v1/responses b''"].header("allow")
    assert "Grüße, ☃ and \U0001f40d; \u2028 too.".encode() in told["stream Hi, ü True"].body


SSE: Final = "text/event-stream; charset=utf-8"
