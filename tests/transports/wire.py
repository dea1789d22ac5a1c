"""A client that sends bytes as they are, so that tests can send what no proper client would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import attrs
import h11
from anyio.abc import ByteStream


@attrs.frozen
class Answer:
    """One reply as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


@attrs.define
class Wire:
    """One connection."""

    stream: ByteStream
    _left: bytes = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def answer(self, method: str = "GET") -> Answer:
        """Read the whole reply to a request of *method*."""
        reader = await self.begin(method)
        body = b""
        while (piece := await reader.piece()) is not None:
            body += piece
        return Answer(reader.status, reader.headers, body)

    async def begin(self, method: str = "GET") -> Reader:
        """Read the head of a reply."""
        http = h11.Connection(h11.CLIENT)
        http.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        http.send(h11.EndOfMessage())
        reader = Reader(self, http)
        head = await reader.event()
        assert isinstance(head, h11.Response), head
        reader.status = head.status_code
        reader.headers = {name.decode(): value.decode() for name, value in head.headers}
        return reader

    async def is_closed(self) -> bool:
        """Wait for the next byte, and tell whether the end came instead."""
        if self._left:
            return False
        try:
            self._left = await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
        return False

    async def more(self) -> bytes:
        data, self._left = self._left, b""
        try:
            return data or await self.stream.receive()
        except anyio.EndOfStream:
            return b""

    def push_back(self, data: bytes) -> None:
        self._left = data


@attrs.define
class Reader:
    """One reply while it comes in."""

    wire: Wire
    _http: h11.Connection
    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict)

    async def piece(self) -> bytes | None:
        """Return the next piece of the body, or None at its end."""
        event = await self.event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        assert isinstance(event, h11.EndOfMessage), event
        self.wire.push_back(self._http.trailing_data[0])
        return None

    async def event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self.wire.more())
        return event


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """Open a connection to the server at *port*."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        yield Wire(stream)
