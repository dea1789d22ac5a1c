"""One HTTP/1.1 connection, by h11: requests in, one after the other, and the replies of an engine out.

It knows nothing of responses. One task reads for as long as the connection lives, because that alone tells at once that
the client has gone; the other answers what has come.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import attrs
import h11

from responses_stream.hosting.errors import HttpError, bad_http, internal_error, too_many_connections
from responses_stream.hosting.http import CutShort, Engine, HttpReply, HttpRequest, Limits
from responses_stream.hosting.request_ids import request_id_of
from responses_stream.hosting.websocket import wants_websocket
from responses_transports.h11_stream import ClientGone, Stream
from responses_transports.h11_strict import END_OF_HEAD, Framing, Head, Sized, check_beginning, read_head

_MOST_AHEAD: Final = 4 * 65536
_MOST_PIECES: Final = 64
_MOST_DISCARDED: Final = 1024 * 1024
_DISCARD_SECONDS: Final = 2.0
_REASONS: Final = {int(status): status.phrase.encode("ascii") for status in HTTPStatus}
_SERVER: Final = b"responses-stream"  # its version is in x-platform-server

_END: Final = h11.EndOfMessage()

_Answer = TypeVar("_Answer")

_log: Final = logging.getLogger("responses_stream")
_access_log: Final = logging.getLogger("responses_stream.access")


@attrs.define(eq=False)
class Common:
    """What the connections of one server have in common.

    Attributes:
        engine: what answers.
        limits: what clients may do.
        access_log: whether each request is a line of the log.
        stopping: whether connections end with the reply that they are at.
    """

    engine: Engine
    limits: Limits
    access_log: bool = False
    stopping: bool = attrs.field(init=False, default=False)
    _idle: set[anyio.CancelScope] = attrs.field(init=False, factory=set)

    def waits(self, waiting: anyio.CancelScope) -> None:
        """A connection has no request; *waiting* is cancelled when it is not to wait any longer."""
        self._idle.add(waiting)
        if self.stopping:
            waiting.cancel()

    def waits_no_more(self, waiting: anyio.CancelScope) -> None:
        """A connection has a request, or has ended."""
        self._idle.discard(waiting)

    def stop(self) -> None:
        """End the connections that have no request, and let the others end with their reply."""
        self.stopping = True
        for waiting in self._idle:
            waiting.cancel()


class Connection:
    """One client: its requests one after the other, each answered before the next is looked at.

    Args:
        common: what it has in common with others.
        stream: the connection; who opened it closes it.
        client: who that is, for the access log.
        too_many: whether it has come when there were as many as there may be.
    """

    def __init__(self, common: Common, stream: Stream, client: str, *, too_many: bool = False) -> None:
        self._common, self._stream, self._client, self._too_many = common, stream, client, too_many
        self._limits = common.limits
        self._http = h11.Connection(h11.SERVER, common.limits.max_header_bytes)
        self._buffer = bytearray()
        self._arrival: anyio.Event | None = None
        self._room: anyio.Event | None = None
        self._checked = 0
        self._gone = False
        self._reading, self._all = anyio.CancelScope(), anyio.CancelScope()
        self._answering = False
        self._framing: Framing = Sized(0)
        # What the access log is told of the request in hand.
        self._line, self._began, self._status, self._body_bytes = "", 0.0, 0, 0

    async def run(self) -> None:
        """Answer requests until the client leaves, the HTTP is wrong, or nothing was asked for too long."""
        with contextlib.suppress(ClientGone):
            in_time = False
            async with anyio.create_task_group() as tasks:
                self._all = tasks.cancel_scope
                tasks.start_soon(self._read)
                with contextlib.suppress(ClientGone):
                    await self._answer_all()
                in_time = True
                tasks.cancel_scope.cancel()
            begun = self._buffer and self._http.our_state is h11.IDLE
            if begun and not in_time and not self._common.stopping:
                await self._refuse(_too_slow())

    async def _read(self) -> None:
        try:
            with contextlib.suppress(ClientGone), self._reading:
                while data := await self._stream.receive():
                    self._buffer += data
                    del data
                    if self._arrival is not None:
                        self._arrival.set()
                    if len(self._buffer) >= _MOST_AHEAD:  # the socket holds back what is more than that
                        self._room = anyio.Event()
                        await self._room.wait()
        finally:
            self._gone = True
        if self._arrival is not None:
            self._arrival.set()
        if self._answering:
            self._all.cancel()

    async def _more(self) -> None:
        """Wait for more bytes than there are."""
        if self._gone:
            raise ClientGone
        self._arrival = anyio.Event()
        if self._room is not None:
            self._room.set()
            self._room = None
        try:
            await self._arrival.wait()
        finally:
            self._arrival = None

    async def _answer_all(self) -> None:
        try:
            while await self._answer(await self._next_head()):
                self._note()
                self._http.start_next_cycle()
        except (HttpError, h11.RemoteProtocolError) as error:
            await self._refuse(error)
        finally:
            self._note()

    async def _next_head(self) -> bytes:
        """Return the next head. Where none comes, time ends the connection."""
        limits, waiting = self._limits, self._all
        self._common.waits(waiting)
        waiting.deadline = anyio.current_time() + limits.idle_seconds
        try:
            while not (head := self._take_head()):
                if self._buffer:
                    # From its first byte on it is a request, which also a stopping server answers.
                    self._common.waits_no_more(waiting)
                    waiting.deadline = min(waiting.deadline, anyio.current_time() + limits.header_seconds)
                await self._more()
        finally:
            self._common.waits_no_more(waiting)
        waiting.deadline = math.inf
        return head

    def _take_head(self) -> bytes:
        buffer, most = self._buffer, self._limits.max_header_bytes
        while buffer.startswith(b"\r\n"):  # some send one more behind a body (RFC 9112, section 2.2)
            del buffer[:2]
        found = buffer.find(END_OF_HEAD, 0, most)
        if found < 0:
            if len(buffer) >= most:
                raise bad_http(431)
            check_beginning(buffer, self._checked)
            self._checked = len(buffer)
            return b""
        self._checked = 0
        head = bytes(buffer[: found + len(END_OF_HEAD)])
        del buffer[: len(head)]
        return head

    async def _answer(self, data: bytes) -> bool:
        """Ask the engine and send what it says; tell whether another request may follow."""
        http = self._http
        head = read_head(http, data, self._limits.max_header_bytes)
        self._begin(head)
        self._framing = head.framing
        at_hand = self._at_hand()
        self._answering = True
        if self._gone:  # which only an answer without any wait survives
            self._all.cancel()
        try:
            if http.their_state is h11.SEND_BODY:
                async with contextlib.aclosing(self._body(at_hand)) as body:
                    del at_hand
                    await self._send(await self._ask(_request(head, body)), bare=head.method == "HEAD")
            else:
                request = _request(head, at_hand)
                talks = wants_websocket(request) and not self._too_many
                reply = await (self._talk(request) if talks else self._ask(request))
                if reply is None:
                    return False
                del data, at_hand, request  # an open stream holds no more than it has to
                await self._send(reply, bare=head.method == "HEAD")
        except CutShort:
            if head.version == "1.0":  # whose streams end with the connection, so that a mere close says nothing
                self._stream.break_off()
            return False
        self._answering = False
        if http.their_state is h11.SEND_BODY:
            await self._discard()
        return http.our_state is h11.DONE and http.their_state is h11.DONE

    async def _ask(self, request: HttpRequest) -> HttpReply:
        if self._too_many:
            return too_many_connections().reply(request_id_of(request))
        return await self._answered(request, self._common.engine.handle(request))

    async def _answered(self, request: HttpRequest, answer: Awaitable[_Answer]) -> _Answer | HttpReply:
        try:
            return await answer
        except (h11.RemoteProtocolError, HttpError, ClientGone):
            raise
        except Exception:
            _log.exception("the engine failed at %s %s", request.method, request.path)
            return internal_error().reply(request_id_of(request))

    async def _talk(self, request: HttpRequest) -> HttpReply | None:
        """Answer the handshake of a WebSocket; None where there was one, and the connection is over."""
        try:
            from responses_transports.h11_websocket import WebSocket, accepted
        except ImportError:  # the extra is not installed
            return await self._ask(request)
        headers = accepted(request)
        session = await self._answered(request, self._common.engine.open_websocket(request))
        if isinstance(session, HttpReply):
            return session
        try:
            self._status = 101
            switch = h11.InformationalResponse(
                status_code=101, headers=[*headers, *_own_headers()], reason=_REASONS[101]
            )
            await self._stream.send(self._http.send(switch))
            self._answering = False
            self._reading.cancel()
            with contextlib.suppress(ClientGone):
                while True:
                    await self._more()
            await WebSocket(session, self._stream, self._limits).run(bytes(self._buffer))
        finally:
            with anyio.CancelScope(shield=True):
                await session.aclose()
        return None

    def _at_hand(self) -> bytes:
        """Return what has come of the body, where that is not in too many pieces."""
        pieces: list[bytes] = []
        while len(pieces) < _MOST_PIECES and isinstance(event := self._event_at_hand(), h11.Data):
            pieces.append(event.data)
        return b"".join(pieces)

    def _event_at_hand(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if not (taken := self._framing.take(self._buffer)):
                break
            self._http.receive_data(taken)
        return event

    async def _next_event(self) -> object:
        while (event := self._event_at_hand()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._stream.send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            with anyio.move_on_after(self._limits.idle_seconds) as silent:
                await self._more()
            if silent.cancelled_caught:
                raise _too_slow()
        return event

    async def _body(self, first: bytes) -> AsyncGenerator[bytes, None]:
        if first:
            yield first
        del first
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data), event
            yield bytes(event.data)
            await anyio.lowlevel.checkpoint()  # many small pieces must not keep others from their turn

    async def _send(self, reply: HttpReply, bare: bool) -> None:
        http, stream = self._http, self._stream
        # Who still waits for a word before sending its body gets this one, and must not send it any more.
        close = self._common.stopping or self._too_many or http.they_are_waiting_for_100_continue
        reason = _REASONS.get(reply.status, b"")
        head = http.send(h11.Response(status_code=reply.status, headers=_headers(reply, close), reason=reason))
        self._status = reply.status
        if isinstance(reply.body, bytes):
            data = b"" if bare else reply.body
            self._body_bytes = len(data)
            await stream.send(head + http.send(h11.Data(data=data)) + http.send(_END))
            return
        try:
            await stream.send(head)
            # h11 keeps no account of chunks, and takes many times as long to write one.
            chunked = b"\r\ntransfer-encoding: chunked\r\n" in head.lower()
            del head
            if not bare:
                async for piece in reply.body:
                    if piece:
                        self._body_bytes += len(piece)
                        piece = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else http.send(h11.Data(data=piece))
                        await stream.send(piece)
                    del piece  # the next one may be long in coming
            if end := http.send(_END):
                await stream.send(end)
        except (CutShort, ClientGone):
            raise
        except Exception:
            _log.exception("a reply broke off")
            raise CutShort("the engine failed") from None
        finally:
            with anyio.CancelScope(shield=True):
                await reply.body.aclose()

    async def _refuse(self, error: HttpError | h11.RemoteProtocolError) -> None:
        """Answer bytes that are no request, where that is still possible; the connection ends."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            if isinstance(error, h11.RemoteProtocolError):
                error = bad_http(error.error_status_hint)
            reply = error.reply(request_id_of(None))
            await self._send(attrs.evolve(reply, headers=(*reply.headers, ("connection", "close"))), bare=False)
            await self._linger()

    async def _discard(self) -> None:
        """Read the rest of a body that the engine did not want, so that a client that still sends gets its answer."""
        if self._http.our_state is not h11.DONE:
            await self._linger()
            return
        left = _MOST_DISCARDED
        with anyio.move_on_after(_DISCARD_SECONDS):
            while left > 0 and isinstance(event := await self._next_event(), h11.Data):
                left -= len(event.data)

    async def _linger(self) -> None:
        """Let a client that still sends read its answer; to close at once could take it away (RFC 9112, 9.6)."""
        self._stream.say_goodbye()
        left = _MOST_DISCARDED
        with anyio.move_on_after(_DISCARD_SECONDS):
            while left > 0:
                left -= len(self._buffer)
                self._buffer.clear()
                await self._more()

    def _begin(self, head: Head) -> None:
        if self._common.access_log:
            # A query may have secrets in it.
            self._line = f"{head.method} {head.target.partition('?')[0]} HTTP/{head.version}"
            self._began = time.perf_counter()

    def _note(self) -> None:
        """Write the line of the access log: who asked what, the status (0: none was sent), bytes of body, time."""
        if self._common.access_log and (self._line or self._status):
            took = (time.perf_counter() - self._began) * 1000 if self._line else 0.0
            _access_log.info('%s "%s" %d %d %.1fms', self._client, self._line, self._status, self._body_bytes, took)
        self._line, self._status, self._body_bytes = "", 0, 0


def _too_slow() -> HttpError:
    return HttpError(408, "request_timeout", "The request took too long to come.")


@functools.lru_cache(1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


def _own_headers() -> list[tuple[bytes, bytes]]:
    return [(b"date", _date(int(time.time()))), (b"server", _SERVER)]


def _headers(reply: HttpReply, close: bool) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in reply.headers]
    names = {name for name, _ in headers}
    if b"date" not in names:  # else it was made elsewhere, and goes out as it is
        headers += [own for own in _own_headers() if own[0] not in names]
    if close:
        headers.append((b"connection", b"close"))
    return headers


def _request(head: Head, body: bytes | AsyncGenerator[bytes, None]) -> HttpRequest:
    path, _, query = head.target.partition("?")
    return HttpRequest(head.method, unquote(path), query, head.headers, body, head.target)
