"""`WSGIApp`: an engine as a WSGI application, for any server program with threads and under any path of another one.

One open stream holds one thread, from its request to its end. The runs live in one event loop beside the threads
(`wsgi_loop`), so that a background run holds none.
"""

from __future__ import annotations

import errno
import logging
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from http.client import responses
from types import FrameType
from typing import Final
from wsgiref.types import StartResponse
from wsgiref.util import is_hop_by_hop

from responses_stream.hosting.errors import internal_error
from responses_stream.hosting.http import CutShort, Engine, Headers, HttpReply, HttpRequest
from responses_stream.hosting.request_ids import request_id_of
from responses_transports.wsgi_handover import Handover
from responses_transports.wsgi_input import Input
from responses_transports.wsgi_loop import LoopOfProcess

SPARE_THREADS: Final = 2
"""How many threads are kept for requests that wait for no run: `GET`, cancel, delete, readiness."""

_log: Final = logging.getLogger("responses_stream")


class WSGIApp:
    """Serves an engine to a WSGI server that answers each request in a thread of its own.

    Handlers may be sync or async. The engine runs in one event loop for each process, which the first request starts,
    also after a fork; `close` ends it, and so does the end of the process.

    A WSGI server notices that its client has gone only when it sends. So a silent stream is left one to three
    keep-alive intervals later, and a reply that is not streamed is made to its end.

    Args:
        engine: what answers, as a rule a `ResponsesServer`.
        threads: how many threads the server program has. All but two may wait for runs at once; further requests that
            would wait are refused with 503 and `Retry-After`, and those that would not are still answered (pains.md
            G3). Without it, nothing is refused.
        backend: what the event loop runs on: ``asyncio`` or ``trio``.
    """

    def __init__(self, engine: Engine, *, threads: int | None = None, backend: str = "asyncio") -> None:
        self._loop = LoopOfProcess(engine, backend)
        self._most = None if threads is None else max(1, threads - SPARE_THREADS)
        self._busy = 0
        self._changed = threading.Condition()

    def __call__(self, environ: dict[str, object], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        with self._changed:
            self._busy += 1
            may_wait = self._most is None or self._busy <= self._most
        body = Input(environ)
        chunks = _Chunks(self._leave)
        try:
            small = body.small()
            request = _request(environ, small or b"", may_wait)
            reply = self._ask(request, small is None, body, chunks)
            start_response(f"{reply.status} {responses.get(reply.status, 'Unknown')}", _headers(reply))
        except BaseException:
            chunks.close()
            raise
        if isinstance(reply.body, bytes):
            chunks.close()
            return _and_cut(reply.body) if body.broken else [reply.body]
        if request.method == "HEAD":
            chunks.close()
            return []
        return chunks

    def drain(self) -> Future[None]:
        """Let the engine take nothing new, and tell what it makes to end (decision 28); returns at once.

        May be called from any thread and from a signal handler. The result is there when the runs have ended.
        """
        return self._loop.drain()

    def drain_on_signals(self, *signals: signal.Signals) -> None:
        """Drain when a signal comes, then do what was done at it before; by default for SIGTERM.

        Server programs wait for their threads when they are told to stop, and threads wait for streams (pains.md H5).
        To be called in the main thread, after the program has set its own handlers: with gunicorn, in
        `post_worker_init`. Where nobody handles the signal, `SystemExit` is raised instead.
        """
        for number in signals or (signal.SIGTERM,):
            signal.signal(number, _Chained(self, signal.getsignal(number)))

    def close(self) -> None:
        """Drain the engine, end its loop, and wait for both. A later request would start it anew."""
        self._loop.close()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no request is being answered, for at most *seconds*; tell whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, seconds)

    def _leave(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def _ask(self, request: HttpRequest, body_follows: bool, body: Input, chunks: _Chunks) -> HttpReply:
        try:
            chunks.handover = handover = self._loop.running().begin(request, body_follows)
            return handover.reply(body.read)
        except Exception as error:
            if error is body.lost:
                raise  # the server program knows what has happened to its client
            _log.exception("the engine failed at %s %s", request.method, request.path)
            return internal_error().reply(request_id_of(request))


class _Chunks:
    """The body of a reply that is streamed. Its end, early or not, is told once, by whoever lets go of it."""

    def __init__(self, on_close: Callable[[], None]) -> None:
        self.handover: Handover | None = None
        self._on_close: Callable[[], None] | None = on_close
        self._begun = self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        handover = self.handover
        if handover is None or self._ended:
            raise StopIteration
        if not self._begun:
            self._begun = True
            if not handover.ready:
                return b""  # lets the headers go, where the server waits for a piece to send them with
        self._ended = True
        try:
            chunk = handover.take()
        except CutShort:
            raise _cut() from None
        except Exception:
            _log.exception("the engine failed in the body of a reply")
            raise _cut() from None
        if not chunk:
            raise StopIteration
        self._ended = False
        return chunk

    def close(self) -> None:
        """Say that nothing more will be read. Never waits: a background run may go on for long."""
        done, self._on_close = self._on_close, None
        if done is not None:
            if self.handover is not None:
                self.handover.leave()
            done()

    __del__ = close  # a server program may lose its thread before it has begun to iterate


class _Chained:
    """A signal handler that drains before it does what the one before it did."""

    def __init__(self, app: WSGIApp, before: Callable[[int, FrameType | None], object] | int | None) -> None:
        self._app, self._before = app, before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._app.drain()
        if callable(self._before):
            self._before(number, frame)
        elif self._before == signal.SIG_DFL:
            raise SystemExit(128 + number)


def _cut() -> OSError:
    """Return what makes server programs end a connection, so that the client can tell, and leaves their logs alone."""
    return ConnectionResetError(errno.ECONNRESET, "the reply was cut short")


def _and_cut(body: bytes) -> Iterator[bytes]:
    """Send a reply to a request that was not read to its end: what follows on the connection is no request."""
    yield body
    raise _cut()


def _headers(reply: HttpReply) -> list[tuple[str, str]]:
    return [(name, value) for name, value in reply.headers if not is_hop_by_hop(name)]


def _request(environ: Mapping[str, object], body: bytes, may_wait: bool) -> HttpRequest:
    def text(name: str) -> str:
        return str(environ.get(name) or "")

    mount = text("SCRIPT_NAME")
    target = text("RAW_URI") or text("REQUEST_URI")
    return HttpRequest(
        method=text("REQUEST_METHOD"),
        # PEP 3333: bytes that were read as if they were Latin-1
        path=text("PATH_INFO").encode("latin-1").decode("utf-8", "replace") or "/",
        query=text("QUERY_STRING"),
        headers=_request_headers(environ),
        body=body,
        target=target.removeprefix(mount) if target.startswith("/") else "",
        may_wait=may_wait,
    )


def _request_headers(environ: Mapping[str, object]) -> Headers:
    found = [
        (name.removeprefix("HTTP_").replace("_", "-").lower(), str(value))
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    ]
    return tuple(found)
