"""The server's side of ASGI in the hands of a test: each message is put and taken one by one.

What an application sends waits until it is taken, as behind a client that reads slowly.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Any

import anyio
import anyio.lowlevel
import attrs
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from responses_stream.hosting.http import HttpReply, HttpRequest
from responses_transports.asgi import ASGIApp

from .answering import FakeEngine

GONE = {"type": "http.disconnect"}


def post(path: str = "/v1/responses", **more: object) -> dict[str, object]:
    """Return the scope of a `POST`."""
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x")],
    } | more


def handshake(path: str = "/v1/responses", **more: object) -> dict[str, object]:
    """Return the scope of a WebSocket."""
    scope = post(path, type="websocket", subprotocols=[]) | more
    del scope["method"]
    return scope


def body(data: bytes = b"", more: bool = False) -> dict[str, object]:
    return {"type": "http.request", "body": data, "more_body": more}


@attrs.define
class Call:
    """One call of an application."""

    _to: MemoryObjectSendStream[Mapping[str, object]]
    _taken: MemoryObjectReceiveStream[MutableMapping[str, object]]
    received: int = 0
    """How many messages it has received."""
    waits: int = 0
    """How many of its tasks wait for one."""
    broken: bool = False
    """Whether what it sends is an error, as ASGI 2.4 has it where the client has gone."""
    error: BaseException | None = None
    ended: anyio.Event = attrs.field(factory=anyio.Event)

    async def put(self, *messages: Mapping[str, object]) -> None:
        """Give the application messages to receive."""
        for message in messages:
            await self._to.send(message)

    async def take(self) -> Any:
        """Return the next message that it sends."""
        return await self._taken.receive()

    async def drop(self) -> None:
        """Take all that it sends, to the end."""
        async for _ in self._taken:
            pass

    async def start(self) -> tuple[int, dict[str, str]]:
        """Take the head of a reply."""
        message = await self.take()
        assert message["type"] == "http.response.start"
        headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        return message["status"], headers

    async def piece(self) -> bytes | None:
        """Take a piece of the body; None for the end."""
        message = await self.take()
        assert message["type"] == "http.response.body"
        if message.get("more_body"):
            return bytes(message["body"])
        assert message["body"] == b""
        return None

    async def failure(self) -> BaseException | None:
        """Return what it has raised."""
        await self.nothing_more()
        error, self.error = self.error, None
        while isinstance(error, BaseExceptionGroup):  # trio's tasks are of a group
            [error] = error.exceptions
        return error

    async def nothing_more(self) -> None:
        """Wait until it has returned, and see that it says nothing in that time."""
        with contextlib.suppress(anyio.EndOfStream):
            raise AssertionError(await self.take())
        await self.ended.wait()


@contextlib.asynccontextmanager
async def calling(app: ASGIApp, scope: dict[str, object]) -> AsyncIterator[Call]:
    """Call an application; it has to have returned in the end, or is cancelled as a server would."""
    to, receiving = anyio.create_memory_object_stream[Mapping[str, object]](100)
    sending, taking = anyio.create_memory_object_stream[MutableMapping[str, object]](0)
    call = Call(to, taking)

    async def receive() -> Mapping[str, object]:
        call.waits += 1
        try:
            message = await receiving.receive()
        finally:
            call.waits -= 1
        call.received += 1
        return message

    async def send(message: MutableMapping[str, object]) -> None:
        if call.broken:
            raise BrokenPipeError
        await sending.send(message)

    async def run() -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            call.error = error
        finally:
            sending.close()
            call.ended.set()

    with to, receiving, sending, taking:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            yield call
            tasks.cancel_scope.cancel()
    # Whatever it has begun, it has ended: nobody asks for the client any more.
    await anyio.wait_all_tasks_blocked()
    assert call.waits == 0
    if call.error is not None:
        raise call.error


@attrs.define
class Gated:
    """A body whose pieces are let out one by one."""

    gate: anyio.Event = attrs.field(factory=anyio.Event)
    made: int = 0
    closed: anyio.Event = attrs.field(factory=anyio.Event)
    ends: BaseException | None = None

    def __aiter__(self) -> Gated:
        return self

    async def __anext__(self) -> bytes:
        await self.gate.wait()
        if self.ends is not None:
            raise self.ends
        self.made += 1
        return b"%d" % self.made

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()  # it may take its time, also where all is cancelled
        self.closed.set()


def streaming(stream: Gated) -> ASGIApp:
    async def answer(_: HttpRequest) -> HttpReply:
        return HttpReply(200, (("content-type", "text/event-stream"),), stream)

    return ASGIApp(FakeEngine(answer))
