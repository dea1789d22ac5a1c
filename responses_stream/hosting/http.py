"""One HTTP exchange as plain data: the whole door between the engine and any server.

A transport makes an `HttpRequest` of what its server gave it, awaits `Engine.handle`, and sends the `HttpReply`. It
needs to know nothing else of this package.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

import attrs

from responses_stream.errors import ResponsesStreamError

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of a lower-cased name and a value, in the order of the wire; a name may come more than once."""


class CutShort(ResponsesStreamError):
    """Raised by the body of a reply that cannot be brought to its end.

    A transport ends the connection, so that the client can tell, and logs nothing: who raises this has told why.
    """


class ByteStream(Protocol):
    """A reply's body that is made while it is sent, piece by piece; every async generator of bytes is one.

    A transport sends each piece before it asks for the next.
    """

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def aclose(self) -> Awaitable[object]:
        """Say that nothing more will be read: the end was reached, or the client has gone (decision 13)."""
        ...


@attrs.frozen
class HttpRequest:
    """What a client asks.

    Attributes:
        method: in capitals, as it stands in the request line.
        path: without the query, its percent escapes decoded.
        query: what stands behind the ``?``, as it came; empty where there is none.
        headers: names in lower case.
        body: all of it, or its pieces as they come in. The engine reads no more of it than its limit allows.
        target: path and query as they stand in the request line, nothing decoded; empty where the server keeps it to
            itself. For engines that pass requests on.
        may_wait: whether the transport has room for an answer that takes as long as a run; where it has not, the
            engine refuses such a request (503), and answers all others.
    """

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes | AsyncIterable[bytes] = b""
    target: str = ""
    may_wait: bool = True

    def header(self, name: str) -> str | None:
        """Return the first value of the header *name*, given in lower case, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@attrs.frozen
class HttpReply:
    """What the engine answers.

    Attributes:
        status: the HTTP status.
        headers: names in lower case. A body of bytes has its `content-length` here, also where a `HEAD` left it out.
        body: bytes, or a stream whose `aclose` has to be awaited in any case: when it was read to its end, and when
            the client has gone.
    """

    status: int
    headers: Headers
    body: bytes | ByteStream

    def header(self, name: str) -> str | None:
        """Return the first value of the header *name*, given in lower case, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class WebSocketSession(Protocol):
    """The engine's side of one WebSocket connection. A transport only pumps: messages in, messages out, one close.

    ``async for message in session`` gives what is to be sent, one text message each; send each before asking for the
    next. When it ends, the connection is closed with `close_code`.
    """

    @property
    def close_code(self) -> int:
        """What the connection is closed with, once there is nothing more to send (RFC 6455, section 7.4.1)."""
        ...

    def __aiter__(self) -> AsyncIterator[str]: ...

    async def receive(self, message: str | bytes) -> None:
        """Take a message of the client: text as str, a binary one as bytes. Never waits for the answer."""
        ...

    def aclose(self) -> Awaitable[object]:
        """Say that the connection has ended, in whatever way; has to be awaited in any case (W11)."""
        ...


@attrs.frozen(kw_only=True)
class Limits:
    """What a transport lets clients do that reads HTTP itself (decision 27).

    Attributes:
        header_seconds: how many seconds a request line and its headers may take.
        idle_seconds: how many seconds a connection may wait for its next request, and a body for its next piece.
        write_stall_seconds: how many seconds a client may take no bytes at all.
        max_header_bytes: how large a request line and its headers may be; more is a 431.
        max_message_bytes: how large a WebSocket message may be; more closes with 1009 (W10).
        grace_seconds: how many seconds a drain takes at most, for server programs that are told such things beforehand.
    """

    header_seconds: float = 10.0
    idle_seconds: float = 75.0
    write_stall_seconds: float = 30.0
    max_header_bytes: int = 64 * 1024
    max_message_bytes: int = 16 * 1024 * 1024
    grace_seconds: float = 15.0


class Engine(Protocol):
    """What a transport drives; `ResponsesServer` is one."""

    @property
    def limits(self) -> Limits:
        """What the transport is to let clients do."""
        ...

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one request. To cancel this call says that the client has gone."""
        ...

    async def open_websocket(self, request: HttpRequest) -> WebSocketSession | HttpReply:
        """Answer the handshake of a WebSocket: with a session, or with the reply that refuses it.

        A transport that has no WebSocket hands the request to `handle`, which refuses it as well (426).
        """
        ...

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Own the runs while the context is open; when it is left, the engine drains and closes."""
        ...

    async def drain(self) -> None:
        """Take nothing new, and let what is under way come to its end, within the grace that the engine gives."""
        ...
