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
    """

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes | AsyncIterable[bytes] = b""
    target: str = ""

    def header(self, name: str) -> str | None:
        """Return the first value of the header *name*, given in lower case, or None."""
        return next((value for key, value in self.headers if key == name), None)


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
        return next((value for key, value in self.headers if key == name), None)


@attrs.frozen(kw_only=True)
class Timeouts:
    """How patient a transport is that reads HTTP itself (decision 27), in seconds.

    Attributes:
        header_seconds: how long a request line and its headers may take.
        idle_seconds: how long a connection may wait for its next request, and a body for its next piece.
        write_stall_seconds: how long a client may take no bytes at all.
    """

    header_seconds: float = 10.0
    idle_seconds: float = 75.0
    write_stall_seconds: float = 30.0


class Engine(Protocol):
    """What a transport drives; `ResponsesServer` is one."""

    @property
    def timeouts(self) -> Timeouts:
        """How patient the transport is to be with clients."""
        ...

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one request. To cancel this call says that the client has gone."""
        ...

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Own the runs while the context is open; when it is left, the engine drains and closes."""
        ...

    async def drain(self) -> None:
        """Take nothing new, and let what is under way come to its end, within the grace that the engine gives."""
        ...
