"""Upstreams that say exactly the bytes of a test, a tap in front of them, and the streams that they send."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import h11
from anyio.abc import SocketAttribute, SocketStream

from responses_stream import ResponseEventStream
from responses_stream.sse import DONE, encode_event
from responses_stream.tap.captures import Captures
from responses_stream.tap.judging import Reading
from responses_stream.tap.proxy import Tap
from responses_stream.tap.upstream import Upstream
from responses_stream.tap.watching import Watch
from responses_stream.validation.profiles import Profile
from responses_transports.h11_server import serve_async

from ..transports.wire import Wire, connected

EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@functools.cache
def frames(*said: str) -> tuple[bytes, ...]:
    """A valid stream that says a message, frame by frame."""
    stream = ResponseEventStream("resp_1", {"model": "m", "input": "Hi"})
    message = stream.output_item_message(list(said or ("Hel", "lo")))
    events = [stream.emit_created(), stream.emit_in_progress(), *message, stream.emit_completed()]
    return (*map(encode_event, events), DONE)


def chunk(data: bytes) -> bytes:
    """*data* as a chunk of HTTP."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(pieces: Iterable[bytes]) -> bytes:
    """A whole body in chunks."""
    return b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


@attrs.define
class Asked:
    """A request as it came in at the upstream, and the connection that it came on."""

    head: h11.Request
    stream: SocketStream
    port: int
    _http: h11.Connection

    @property
    def line(self) -> tuple[bytes, bytes]:
        return self.head.method, self.head.target

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.head.headers)

    async def piece(self) -> bytes | None:
        """Return the next piece of its body, or None at its end."""
        event = await _event(self._http, self.stream)
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def body(self) -> bytes:
        read = b""
        while (piece := await self.piece()) is not None:
            read += piece
        return read

    async def say(self, *data: bytes) -> None:
        await self.stream.send(b"".join(data))

    async def is_left(self) -> bool:
        """Wait until the other side has gone."""
        try:
            await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
        return False


async def _event(http: h11.Connection, stream: SocketStream) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        try:
            http.receive_data(await stream.receive())
        except anyio.EndOfStream:
            http.receive_data(b"")
    return event


Script = Callable[[Asked], Awaitable[None]]


@asynccontextmanager
async def upstream(script: Script) -> AsyncIterator[int]:
    """Listen on a port; each connection brings one request, which *script* answers, and is closed."""

    async def answer(stream: SocketStream) -> None:
        async with stream:
            http = h11.Connection(h11.SERVER)
            head = await _event(http, stream)
            assert isinstance(head, h11.Request), head
            await script(Asked(head, stream, stream.extra(SocketAttribute.local_port), http))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@attrs.define
class Told:
    """The lines that a tap tells."""

    lines: list[str] = attrs.field(factory=list)
    _more: anyio.Event = attrs.field(factory=anyio.Event)

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._more.set()

    async def line(self, part: str) -> str:
        """Wait for a line with *part* in it."""
        while not (found := [line for line in self.lines if part in line]):
            self._more = anyio.Event()
            await self._more.wait()
        return found[0]


@attrs.define
class Tapped:
    """A running tap."""

    port: int
    watch: Watch
    told: Told

    async def ended(self, number: int = 1) -> str:
        """Wait for the line of an exchange."""
        return await self.told.line(f"#{number} ") if number > 1 else await self.told.line("http://")


@asynccontextmanager
async def tapping(address: str, out: Path | None = None, profile: Profile = "lenient") -> AsyncIterator[Tapped]:
    """Put a tap in front of *address*."""
    told = Told()
    watch = Watch(Reading(profile), Captures(out) if out else None, told)
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, Tap(Upstream.at(address), watch), port=0))
        yield Tapped(port, watch, told)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def tapped(script: Script, path: str = "", out: Path | None = None) -> AsyncIterator[tuple[Wire, Tapped]]:
    """An upstream with *script*, a tap in front of it, and a client in front of that."""
    async with (
        upstream(script) as port,
        tapping(f"http://127.0.0.1:{port}{path}", out) as tap,
        connected(tap.port) as wire,
    ):
        yield wire, tap


def posted(body: bytes = b'{"model":"m","input":"Hi","stream":true}', *headers: bytes) -> bytes:
    """A request for a stream."""
    head = [b"POST /v1/responses HTTP/1.1", b"Host: tap", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
