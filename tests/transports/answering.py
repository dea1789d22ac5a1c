"""An engine that only answers, as it is told, and the bare server around it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import attrs

from responses_stream.hosting.http import HttpReply, HttpRequest, Limits, WebSocketSession
from responses_stream.hosting.listening import Listen
from responses_transports.h11_server import serve_async

from .wire import Wire, connected


@attrs.define
class FakeEngine:
    """Answers as it is told, and notes what it was asked."""

    answer: Callable[[HttpRequest], Awaitable[HttpReply]]
    asked: list[HttpRequest] = attrs.field(factory=list)
    limits: Limits = attrs.field(factory=Limits)
    is_open: bool = False
    drained: bool = False

    async def drain(self) -> None:
        self.drained = True

    async def handle(self, request: HttpRequest) -> HttpReply:
        self.asked.append(request)
        return await self.answer(request)

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        return await self.handle(request)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.is_open = True
        yield
        self.is_open = False


def text(body: bytes, status: int = 200) -> HttpReply:
    return HttpReply(status, (("content-type", "text/plain"), ("content-length", str(len(body)))), body)


async def whole(request: HttpRequest) -> bytes:
    if isinstance(request.body, bytes):
        return request.body
    return b"".join([piece async for piece in request.body])


async def echo(request: HttpRequest) -> HttpReply:
    return text(await whole(request))


@asynccontextmanager
async def serving(engine: FakeEngine, listen: Listen | None = None) -> AsyncIterator[int]:
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, engine, port=0, listen=listen))
        assert engine.is_open
        yield port
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def talking(
    answer: Callable[[HttpRequest], Awaitable[HttpReply]], limits: Limits | None = None, listen: Listen | None = None
) -> AsyncIterator[tuple[Wire, FakeEngine]]:
    engine = FakeEngine(answer, limits=limits or Limits())
    async with serving(engine, listen) as port, connected(port) as wire:
        yield wire, engine


def posted(body: bytes, *headers: bytes) -> bytes:
    head = [b"POST /x HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
