"""A WSGI server without a socket: it calls the app, in threads of the test, and takes from the reply as it is told."""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import attrs

from responses_stream.hosting.http import ByteStream, HttpReply, HttpRequest, Limits
from responses_transports.wsgi import WSGIApp

PATIENCE: Final = 20.0
"""A test that fails must not wait for ever."""


def wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


@attrs.define(eq=False)
class FakeEngine:
    """Answers as it is told, and notes what it was asked.

    Attributes:
        broken: raised when it is started.
        started: how often it was.
        ended: how often its lifespan was left.
        drained: set when it was told to drain.
    """

    answer: Callable[[HttpRequest], Awaitable[HttpReply]]
    asked: list[HttpRequest] = attrs.field(factory=list)
    limits: Limits = attrs.field(factory=Limits)
    broken: Exception | None = None
    started: int = 0
    ended: int = 0
    drained: threading.Event = attrs.field(factory=threading.Event)

    async def drain(self) -> None:
        self.drained.set()

    async def handle(self, request: HttpRequest) -> HttpReply:
        self.asked.append(request)
        return await self.answer(request)

    async def open_websocket(self, request: HttpRequest) -> HttpReply:
        return await self.handle(request)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        if self.broken is not None:
            raise self.broken
        self.started += 1
        yield
        self.ended += 1


class Pieces(ByteStream):
    """A body that a test makes, piece by piece, from another thread.

    Attributes:
        asked: how many pieces were asked for.
        closed: set when it was closed.
        closing: what `aclose` waits for.
    """

    def __init__(self, *ready: bytes | Exception | None) -> None:
        self.asked = 0
        self.closed, self.closing, self._waiting = threading.Event(), threading.Event(), threading.Event()
        self.closing.set()
        self._ready = list(ready)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        self.asked += 1
        while not self._ready:
            self._arrived, self._token = anyio.Event(), anyio.lowlevel.current_token()
            self._waiting.set()
            await self._arrived.wait()
        said = self._ready.pop(0)
        if said is None:
            raise StopAsyncIteration
        if isinstance(said, Exception):
            raise said
        return said

    def say(self, *pieces: bytes | Exception | None) -> None:
        """Give what a reader waits for; None is the end."""

        def put() -> None:
            self._ready.extend(pieces)
            self._arrived.set()

        wait(self._waiting)
        self._waiting.clear()
        anyio.from_thread.run_sync(put, token=self._token)

    async def aclose(self) -> None:
        self.closed.set()
        await anyio.to_thread.run_sync(wait, self.closing)


@attrs.define
class Reply:
    """What the app has answered; its body is there to be taken."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes]
    _pieces: Iterator[bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pieces = iter(self.body)

    @property
    def code(self) -> int:
        return int(self.status[:3])

    def take(self) -> bytes:
        """Return the next piece that is not empty."""
        return next(filter(None, self._pieces))

    def rest(self) -> bytes:
        return b"".join(self._pieces)

    def close(self) -> None:
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


def ask(
    app: WSGIApplication,
    path: str = "/v1/responses",
    body: bytes | io.RawIOBase | io.BufferedIOBase = b"",
    method: str = "GET",
    environ: dict[str, object] | None = None,
    **more: object,
) -> Reply:
    """Call *app* as a server does; what it answers with is not taken yet."""
    given: dict[str, object] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "PATH_INFO": path,
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
    }
    if isinstance(body, bytes) and body:
        given["CONTENT_LENGTH"] = str(len(body))
    given |= {**(environ or {}), **more}
    setup_testing_defaults(given)
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
        told.append((status, headers))
        return lambda _: None

    made = app(given, start_response)
    [(status, headers)] = told
    return Reply(status, headers, made)


@contextmanager
def serving(engine: FakeEngine, threads: int | None = None, backend: str = "asyncio") -> Iterator[WSGIApp]:
    """An app whose loop ends with the test."""
    app = WSGIApp(engine, threads=threads, backend=backend)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def in_thread(function: Callable[[], object]) -> Iterator[threading.Thread]:
    """Call *function* in a thread that has to have ended when the context is left."""
    thread = threading.Thread(target=function)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(PATIENCE)
        assert not thread.is_alive()
