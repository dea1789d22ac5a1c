"""An engine that does what a check tells it, wherever it runs: in another thread, another event loop, another process.

The engine of a stage decides nothing. Each call of its door opens a line to the check, tells what it was asked, and
obeys: read a piece of the request, reply, give a piece of the body, break off. What the transport does meanwhile, such
as to ask for the next piece, to cancel the call or to close the body, is told over the same line. So a check is a plain
program that says both sides of an exchange, one step after the other, and never has to guess or to sleep.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import attrs
import msgspec
from anyio.abc import SocketStream

from responses_stream.hosting.http import (
    ByteStream,
    CutShort,
    Headers,
    HttpReply,
    HttpRequest,
    Limits,
    WebSocketSession,
)
from responses_transports.conformance_client import Address

SECRET: Final = "the secret of the engine"
"""What no client may read: the text of an error that the engine raises."""

LENGTH: Final = struct.Struct("!I")
"""What stands before each message on a line: how long it is."""


class Asked(msgspec.Struct, frozen=True):
    """An `HttpRequest` without its body, as it came to the engine."""

    method: str
    path: str
    query: str
    headers: Headers
    target: str
    may_wait: bool

    def values(self, name: str) -> list[str]:
        """Return all values of the header *name*."""
        return [value for key, value in self.headers if key == name]


class Told(msgspec.Struct, frozen=True):
    """What the engine tells the check."""

    what: str
    data: bytes = b""
    asked: Asked | None = None


class Order(msgspec.Struct, frozen=True):
    """What the check tells the engine."""

    do: str
    data: bytes = b""
    status: int = 200
    headers: Headers = ()


_ORDERS: Final = msgspec.msgpack.Decoder(Order)
TELLINGS: Final = msgspec.msgpack.Decoder(Told)
_GONE: Final = Order("gone")


class _Line:
    """The engine's end of the line to the check."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._left = b""
        self._telling = anyio.Lock()

    async def tell(self, what: str, data: bytes = b"", asked: Asked | None = None) -> None:
        """Tell the check; a check that has ended does not listen any more."""
        message = msgspec.msgpack.encode(Told(what, data, asked))
        with anyio.CancelScope(shield=True):
            async with self._telling:
                with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await self._stream.send(LENGTH.pack(len(message)) + message)

    async def order(self) -> Order:
        """Wait for what is to be done. What has come of an order is kept when the wait is cancelled."""
        while len(self._left) < LENGTH.size or len(self._left) < self._end:
            try:
                self._left += await self._stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return _GONE
        order, self._left = self._left[LENGTH.size : self._end], self._left[self._end :]
        return _ORDERS.decode(order)

    @property
    def _end(self) -> int:
        length: int = LENGTH.unpack_from(self._left)[0]
        return LENGTH.size + length

    async def next(self) -> Order:
        """Tell that the next piece was asked for, and wait for what is to be done.

        Raises:
            CutShort: the body is to break off.
            RuntimeError: it is to fail.
        """
        await self.tell("next")
        order = await self.order()
        if order.do == "cut":
            raise CutShort("the check wants it so")
        if order.do == "fail":
            raise RuntimeError(SECRET)
        return order

    async def last(self, what: str) -> None:
        """Tell the last thing there is to tell; what is told after it goes nowhere."""
        with anyio.CancelScope(shield=True):
            await self.tell(what)
            await self._stream.aclose()


class _Body(ByteStream):
    """A body whose pieces the check says."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        order = await self._line.next()
        if order.do != "piece":
            raise StopAsyncIteration
        return order.data

    async def aclose(self) -> None:
        await self._line.last("closed")


class _Session(WebSocketSession):
    """A session whose messages the check says."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._code = 1000

    @property
    def close_code(self) -> int:
        return self._code

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        order = await self._line.next()
        if order.do != "piece":
            self._code = order.status
            raise StopAsyncIteration
        return order.data.decode()

    async def receive(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._line.tell("text", message.encode())
        else:
            await self._line.tell("binary", message)

    async def aclose(self) -> None:
        await self._line.last("closed")


@attrs.frozen
class DirectedEngine:
    """An engine that a check directs. It can be pickled, so that a server in another process can have it.

    Attributes:
        director: where the check waits for it.
        limits: what the transport is to let clients do.
    """

    director: Address
    limits: Limits = attrs.field(factory=Limits)

    async def _line(self, what: str, request: HttpRequest | None = None) -> _Line:
        with anyio.CancelScope(shield=True):
            line = _Line(await anyio.connect_tcp(*self.director))
            await line.tell(what, asked=None if request is None else _asked(request))
        return line

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer as the check says."""
        line = await self._line("call", request)
        try:
            order = await self._read(line, request.body)
            if order.do == "stream":
                return HttpReply(order.status, order.headers, _Body(line))
        except anyio.get_cancelled_exc_class():
            await line.last("cancelled")
            raise
        except Exception:
            await line.last("broken")
            raise
        await line.last("replied")
        if order.do == "reply":
            return HttpReply(order.status, order.headers, order.data)
        raise RuntimeError(SECRET)

    async def _read(self, line: _Line, body: bytes | AsyncIterable[bytes]) -> Order:
        pieces = aiter(_in_one(body) if isinstance(body, bytes) else body)
        while (order := await line.order()).do == "read":
            try:
                await line.tell("piece", await anext(pieces))
            except StopAsyncIteration:
                await line.tell("end")
        return order

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        """Answer a handshake as the check says."""
        line = await self._line("websocket", request)
        order = await line.order()
        if order.do == "accept":
            return _Session(line)
        await line.last("replied")
        return HttpReply(order.status, order.headers, order.data)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Tell that it was opened, and that it was left."""
        line = await self._line("lifespan")
        try:
            yield
        finally:
            await line.last("closed")

    async def drain(self) -> None:
        """Tell that it was called."""
        await (await self._line("drain")).last("closed")


async def _in_one(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


def _asked(request: HttpRequest) -> Asked:
    return Asked(
        request.method, request.path, request.query, request.headers, request.target, may_wait=request.may_wait
    )
