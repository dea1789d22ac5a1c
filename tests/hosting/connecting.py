"""A client of WebSocket mode without any socket: it pumps a session as a transport does, and keeps what was said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import attrs

from responses_stream import (
    CreateResponse,
    HttpReply,
    HttpRequest,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
    lifecycle,
    validate_events,
)
from responses_stream.hosting.websocket import Session

from .asking import Answer, answer_of

Message = dict[str, Any]

LIMIT: Final = "websocket_connection_limit_reached"


@attrs.define(eq=False)
class Connection:
    """One connection, and both sides of what was said on it."""

    session: Session
    said: list[Message] = attrs.field(factory=list)

    async def send(self, **members: object) -> None:
        """Send a `response.create`."""
        message = {"type": "response.create", "model": "m", "input": "hi", **members}
        self.said.append(message)
        await self.session.receive(json.dumps(message))

    async def send_raw(self, message: str | bytes) -> None:
        """Send anything; it is not kept, and its answer is an `error` that answers no request."""
        await self.session.receive(message)

    async def get(self) -> Message:
        """Return the next message."""
        with anyio.fail_after(10):
            text = await anext(self.session)
        message: Message = json.loads(text)
        self.said.append(message)
        return message

    async def answer(self) -> list[Message]:
        """Return the messages of one turn, to its end."""
        messages: list[Message] = []
        while not messages or not ends(messages):
            messages.append(await self.get())
        return messages

    async def turn(self, **members: object) -> list[Message]:
        """Send a `response.create`, and return its answer."""
        await self.send(**members)
        return await self.answer()

    async def error(self, **members: object) -> Message:
        """Send a `response.create` that is refused, and return the error."""
        [message] = await self.turn(**members)
        assert message["type"] == "error"
        return message

    async def rest(self) -> list[Message]:
        """Return all messages until the server closes."""
        messages: list[Message] = []
        while True:
            try:
                messages.append(await self.get())
            except StopAsyncIteration:
                return messages

    def grow_old(self) -> None:
        """Let the time of the connection be over now."""
        self.session.grow_old()


def ends(messages: list[Message]) -> bool:
    """Tell whether these messages are all of a turn: an error without a response is, too."""
    last = messages[-1]
    lone = last["type"] == "error" and (last.get("sequence_number", 0) == 0)
    return lone or last["type"] in lifecycle.TERMINAL


def id_of(messages: list[Message]) -> str:
    """Return the id of the response of a turn that was well."""
    assert messages[-1]["type"] == "response.completed", messages[-1]
    assert [message["sequence_number"] for message in messages] == [*range(len(messages))]
    found: str = messages[-1]["response"]["id"]
    return found


def text_of(messages: list[Message]) -> str:
    """Return the text of the one message of a response."""
    text: str = messages[-1]["response"]["output"][0]["content"][0]["text"]
    return text


def handshake(path: str = "/v1/responses", headers: dict[str, str] | None = None, method: str = "GET") -> HttpRequest:
    return HttpRequest(method, path, "", (("upgrade", "websocket"), *(headers or {}).items()))


async def refused(server: ResponsesServer, request: HttpRequest) -> Answer:
    """Return the answer of a handshake that is refused."""
    reply = await server.open_websocket(request)
    assert isinstance(reply, HttpReply)
    return await answer_of(reply)


async def connect(
    server: ResponsesServer, path: str = "/v1/responses", headers: dict[str, str] | None = None
) -> Connection:
    session = await server.open_websocket(handshake(path, headers))
    assert isinstance(session, Session), session
    return Connection(session)


@asynccontextmanager
async def connected(
    server: ResponsesServer, path: str = "/v1/responses", headers: dict[str, str] | None = None
) -> AsyncIterator[Connection]:
    """Open a connection; when it was used, all that was said on it is valid, and nothing of it is left."""
    connection = await connect(server, path, headers)
    try:
        yield connection
    finally:
        await connection.session.aclose()
    check(connection.said)
    made = server._made
    assert made is None or connection.session not in made.sessions


def check(said: list[Message]) -> None:
    """Check what was said on a connection, by both sides, with our own validator."""
    report = validate_events(said, transport="websocket")
    assert report.ok, report


def echoing(**options: Any) -> ResponsesServer:
    """A server that says what it was told, and how many items came before."""
    server = ResponsesServer(options=ResponsesServerOptions(**options))

    @server.response_handler
    async def echo(request: CreateResponse, context: ResponseContext) -> TextResponse:
        before = len(await context.get_history())
        return TextResponse(context, request, text=f"{before}: {await context.get_input_text()}")

    return server


def types(messages: list[Message]) -> list[str]:
    return [message["type"] for message in messages]


def check_error(message: Message, status: int, code: str, param: str | None) -> None:
    """W9: the shape of every error, and what this one says."""
    error = message["error"]
    assert (message["type"], message["status"]) == ("error", status)
    assert (error["code"], error["param"]) == (code, param)
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
