"""One HTTP/1.1 connection, by h11: requests in, one after the other, and the replies of an engine out.

It knows nothing of responses. While a reply is made and sent it goes on reading, because that alone tells at once that
the client has gone.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import AsyncGenerator
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote, urlsplit

import anyio
import h11
from anyio.abc import ByteStream

from responses_stream.hosting.errors import HttpError, bad_http, internal_error
from responses_stream.hosting.http import CutShort, Engine, Headers, HttpReply, HttpRequest
from responses_stream.hosting.request_ids import request_id_of

_CHUNK: Final = 65536
_MOST_AHEAD: Final = 4 * _CHUNK
_MOST_DISCARDED: Final = 1024 * 1024
_DISCARD_SECONDS: Final = 2.0

_log: Final = logging.getLogger("responses_stream")


class _ClientGone(Exception):
    """The client has closed its side, or takes no bytes any more."""


_GONE: Final = (_ClientGone, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Idle:
    """The connections that wait for a request; a stopping server closes them at once, and those that begin to wait."""

    def __init__(self) -> None:
        self._closed = False
        self._waiting: set[anyio.CancelScope] = set()

    def add(self, waiting: anyio.CancelScope) -> None:
        """A connection waits; *waiting* is cancelled when it is not to wait any longer."""
        self._waiting.add(waiting)
        if self._closed:
            waiting.cancel()

    def remove(self, waiting: anyio.CancelScope) -> None:
        """A connection has a request, or has ended."""
        self._waiting.discard(waiting)

    def close(self) -> None:
        """Let no connection wait any more."""
        self._closed = True
        for waiting in self._waiting:
            waiting.cancel()


class Connection:
    """One client: its requests one after the other, each answered before the next is read."""

    def __init__(self, engine: Engine, stream: ByteStream, idle: Idle) -> None:
        self._engine = engine
        self._stream = stream
        self._idle = idle
        self._limits = engine.limits
        self._http = h11.Connection(h11.SERVER)
        self._whole = anyio.Event()

    async def run(self) -> None:
        """Answer requests until the client leaves, the HTTP is wrong, or nothing was asked for too long."""
        try:
            while (asked := await self._next_request()) is not None:
                self._whole = anyio.Event()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._watch, tasks.cancel_scope)
                    await self._answer(asked)
                    tasks.cancel_scope.cancel()
                if self._http.their_state is h11.SEND_BODY:
                    await self._discard()
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._refuse(bad_http(error.error_status_hint))
        except _GONE:
            pass

    async def _next_request(self) -> h11.Request | None:
        with anyio.CancelScope(deadline=anyio.current_time() + self._limits.idle_seconds) as waiting:
            self._idle.add(waiting)
            try:
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    await self._receive()
                    # From its first byte on it is a request, which also a stopping server answers.
                    self._idle.remove(waiting)
                    waiting.deadline = min(waiting.deadline, anyio.current_time() + self._limits.header_seconds)
            finally:
                self._idle.remove(waiting)
            return event if isinstance(event, h11.Request) else None
        if self._http.trailing_data[0]:
            await self._refuse(_too_slow())
        return None

    async def _answer(self, asked: h11.Request) -> None:
        """Ask the engine and send what it says. What goes wrong here leaves h11 in a state that ends the connection."""
        try:
            first = self._http.next_event()
            if isinstance(first, h11.EndOfMessage):
                self._whole.set()
            async with contextlib.aclosing(self._body(first)) as body:
                request = _request(asked, b"" if self._whole.is_set() else body)
                try:
                    reply = await self._engine.handle(request)
                except (h11.RemoteProtocolError, HttpError, *_GONE):
                    raise
                except Exception:
                    _log.exception("the engine failed at %s %s", request.method, request.path)
                    reply = internal_error().reply(request_id_of(request))
            await self._send(reply, bare=asked.method == b"HEAD")
        except h11.RemoteProtocolError as error:
            await self._refuse(bad_http(error.error_status_hint))
        except HttpError as error:
            await self._refuse(error)
        except (CutShort, *_GONE):
            pass

    async def _watch(self, answering: anyio.CancelScope) -> None:
        """Notice that the client leaves while it is answered. Nobody else reads once the body has come."""
        await self._whole.wait()
        try:
            # Requests that are sent ahead wait in h11; what is more than that, the socket holds back.
            while len(self._http.trailing_data[0]) < _MOST_AHEAD:
                await self._receive()
        except _GONE:
            answering.cancel()

    async def _body(self, event: object) -> AsyncGenerator[bytes, None]:
        while not isinstance(event, h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            event = await self._next_event()
        self._whole.set()

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._write(h11.InformationalResponse(status_code=100, headers=[]))
            with anyio.move_on_after(self._limits.idle_seconds) as silent:
                await self._receive()
            if silent.cancelled_caught:
                raise _too_slow()
        return event

    async def _receive(self) -> None:
        try:
            self._http.receive_data(await self._stream.receive(_CHUNK))
        except anyio.EndOfStream:
            raise _ClientGone from None

    async def _send(self, reply: HttpReply, bare: bool) -> None:
        head = h11.Response(status_code=reply.status, headers=_headers(reply))
        if isinstance(reply.body, bytes):
            data = [] if bare else [h11.Data(data=reply.body)]
            await self._write(head, *data, h11.EndOfMessage())
            return
        try:
            await self._write(head)
            if not bare:
                async for piece in reply.body:
                    await self._write(h11.Data(data=piece))
            await self._write(h11.EndOfMessage())
        finally:
            with anyio.CancelScope(shield=True):
                await reply.body.aclose()

    async def _write(self, *events: h11.Event) -> None:
        data = b"".join(self._http.send(event) or b"" for event in events)
        for start in range(0, len(data), _CHUNK):
            with anyio.move_on_after(self._limits.write_stall_seconds) as stalled:
                await self._stream.send(data[start : start + _CHUNK])
            if stalled.cancelled_caught:
                raise _ClientGone

    async def _refuse(self, error: HttpError) -> None:
        """Answer bytes that are no request, where that is still possible; the connection ends."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reply = error.reply(request_id_of(None))
            with contextlib.suppress(*_GONE):
                await self._send(HttpReply(reply.status, (*reply.headers, ("connection", "close")), reply.body), False)

    async def _discard(self) -> None:
        """Read the rest of a body that the engine did not want, so that a client that still sends gets its answer."""
        left: float = _MOST_DISCARDED
        with anyio.move_on_after(_DISCARD_SECONDS):
            while left > 0 and not isinstance(event := await self._next_event(), h11.EndOfMessage):
                left -= len(event.data) if isinstance(event, h11.Data) else math.inf


def _too_slow() -> HttpError:
    return HttpError(408, "request_timeout", "The request took too long to come.")


def _headers(reply: HttpReply) -> list[tuple[bytes, bytes]]:
    # A reply that was made elsewhere has its date.
    date: Headers = () if reply.header("date") else (("date", formatdate(usegmt=True)),)
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in (*reply.headers, *date)]


def _request(asked: h11.Request, body: bytes | AsyncGenerator[bytes, None]) -> HttpRequest:
    target = asked.target.decode("ascii")
    if not target.startswith(("/", "*")):  # a proxy's form, the whole URL; of a path, urlsplit would take // for a host
        whole = urlsplit(target)
        target = f"{whole.path or '/'}?{whole.query}".removesuffix("?")
    path, _, query = target.partition("?")
    return HttpRequest(
        method=asked.method.decode("ascii"),
        path=unquote(path),
        query=query,
        headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in asked.headers),
        body=body,
        target=target,
    )
