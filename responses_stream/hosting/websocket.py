"""WebSocket mode: one connection, one response after the other, each a `POST /responses` that streams (W1 to W11).

A session takes messages and gives messages; it has no task of its own and knows no socket. Each turn goes through the
same door as a request over HTTP, so that what is asked, refused, run, stored and logged is decided in one place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, TypeAlias

import anyio
import msgspec

from responses_stream.errors import DecodeError
from responses_stream.hosting.errors import USER_TYPE, HttpError
from responses_stream.hosting.http import ByteStream, CutShort, HttpReply, HttpRequest, WebSocketSession
from responses_stream.hosting.request_ids import request_id_of
from responses_stream.hosting.websocket_memory import Memory
from responses_stream.protocol.codec import from_json

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

Turn: TypeAlias = Callable[[HttpRequest, Memory], Awaitable[HttpReply]]
"""What answers one turn, as it would answer a request."""

_CREATE: Final = "response.create"
_NOT_HERE: Final = ("stream", "stream_options", "background")
_OF_ONE_REQUEST: Final = frozenset({"idempotency-key", "x-agent-response-id", "content-length", "content-encoding"})
_ERROR: Final = b"event: error\n"
_DATA: Final = b"data: "
_END: Final = b"\n\n"
_DONE: Final = b"[DONE]"


def wants_websocket(request: HttpRequest) -> bool:
    """Tell whether a request is the handshake of a WebSocket."""
    asked = (request.header("upgrade") or "").lower()
    return request.method == "GET" and "websocket" in (name.strip() for name in asked.split(","))


def no_websocket() -> HttpError:
    """Return the error of a handshake where there is no WebSocket."""
    message = "There is no WebSocket here; use POST with stream=true."
    return HttpError(426, "upgrade_required", message)


class Session(WebSocketSession):
    """One connection.

    Args:
        handshake: the request that opened it; its headers tell whose it is (pains.md L2).
        turn: answers each turn.
        memory: what the connection remembers of its turns.
        seconds: how long it may live.
        max_bytes: how large a message may be, and all that wait together.
        on_close: called once, when it has ended.
    """

    def __init__(
        self,
        handshake: HttpRequest,
        turn: Turn,
        memory: Memory,
        *,
        seconds: float,
        max_bytes: int,
        on_close: Callable[[Session], object],
    ) -> None:
        self._path = handshake.path
        self._query = handshake.query
        self._headers = tuple((name, value) for name, value in handshake.headers if name not in _OF_ONE_REQUEST)
        self._turn, self._memory, self._on_close = turn, memory, on_close
        self._until = anyio.current_time() + seconds
        self._max_bytes = max_bytes
        self._waiting: deque[str | HttpError] = deque()
        self._waiting_bytes = 0
        self._arrival = anyio.Event()
        self._ready: deque[str] = deque()
        self._body: ByteStream | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._told_error = False
        self._close_code: int | None = None
        self._closed = False
        self._going_away = False

    @property
    def close_code(self) -> int:
        """What the connection is closed with."""
        return NORMAL if self._close_code is None else self._close_code

    async def receive(self, message: str | bytes) -> None:
        """Take a message of the client; its turn comes when those before it have had theirs (W4)."""
        if isinstance(message, bytes):
            self._put(_bad("Messages are text."))
            return
        size = len(message)
        if size > self._max_bytes:
            self._end(TOO_BIG)
        elif size + self._waiting_bytes > self._max_bytes:
            text = "Too many messages wait for their turn. Send fewer ahead."
            self._put(HttpError(429, "too_many_requests", text))
        else:
            self._waiting_bytes += size
            self._put(message)

    def go_away(self) -> None:
        """Say that the server stops: the turn in flight is brought to its end, then the connection is closed."""
        self._going_away = True
        self._arrival.set()

    def __aiter__(self) -> Session:
        return self

    async def __anext__(self) -> str:
        while not self._ready:
            if self._close_code is not None or self._closed:
                raise StopAsyncIteration
            with anyio.CancelScope(deadline=self._until) as limit:
                await self._go_on()
            if limit.cancelled_caught:
                await self._outlive()
        return self._ready.popleft()

    async def aclose(self) -> None:
        """End the turn in flight, as a client that has gone does (W11)."""
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            await self._leave()
            self._on_close(self)

    def _put(self, message: str | HttpError) -> None:
        self._waiting.append(message)
        self._arrival.set()

    def _end(self, code: int) -> None:
        self._close_code = code
        self._arrival.set()

    async def _go_on(self) -> None:
        """Wait for what comes next, and make messages of it."""
        if self._pieces is None:
            await self._begin()
            return
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            await self._leave()
            await self._memory.turn_ends(self._told_error)
        except CutShort:
            await self._leave()
            self._end(INTERNAL_ERROR)
        else:
            self._ready.extend(self._messages(piece))

    async def _begin(self) -> None:
        """Begin the next turn, when there is one."""
        if not self._waiting:
            if self._going_away:
                self._end(GOING_AWAY)
                return
            self._arrival = anyio.Event()
            await self._arrival.wait()
            return
        message = self._waiting.popleft()
        if isinstance(message, HttpError):
            self._tell(message)
            return
        self._waiting_bytes -= len(message)
        try:
            body = _body_of(message)
        except HttpError as error:
            self._tell(error)
            return
        reply = await self._turn(HttpRequest("POST", self._path, self._query, self._headers, body), self._memory)
        self._told_error = False
        if isinstance(reply.body, bytes):
            await self._memory.turn_ends(failed=True)
            self._ready.append(_envelope(reply.status, reply.body))
        else:
            self._body, self._pieces = reply.body, aiter(reply.body)

    async def _leave(self) -> None:
        body, self._body, self._pieces = self._body, None, None
        if body is not None:
            await body.aclose()

    async def _outlive(self) -> None:
        """W8: tell that the time is over, and close."""
        message = "The connection is as old as a connection may become. Open a new one."
        error = HttpError(400, "websocket_connection_limit_reached", message)
        await self._leave()
        self._tell(error)
        self._end(NORMAL)

    def _tell(self, error: HttpError) -> None:
        self._ready.append(_envelope(error.status, error.reply(request_id_of(None)).body))

    def _messages(self, frames: bytes) -> Iterator[str]:
        """Take the events out of their frames (W3). Signs of life and the marker of the end belong to SSE."""
        for frame in frames.split(_END):
            _, _, data = frame.partition(_DATA)
            if not data or data == _DONE:
                continue
            if frame.startswith(_ERROR):
                self._told_error = True
                data = msgspec.json.encode(msgspec.json.decode(data) | {"status": 500})  # W9, R207
            yield data.decode()


def _body_of(message: str) -> bytes:
    """Return the body of the `POST` that a message stands for (W2).

    Raises:
        HttpError: it is not JSON, no object, of another type, or says what only HTTP can.
    """
    try:
        data = from_json(message)
    except DecodeError as error:
        raise HttpError(400, USER_TYPE, f"the message is {error}") from None
    if not isinstance(data, dict):
        raise _bad("A message is a JSON object.")
    if data.get("type") != _CREATE:
        raise _bad(f"The type of a message has to be {_CREATE}.", "type")
    for member in _NOT_HERE:
        if member in data:
            message = f"{member} has no meaning on a WebSocket; leave it out."
            raise HttpError(400, "unsupported_parameter", message, param=member)
    del data["type"]
    return msgspec.json.encode(data | {"stream": True})


def _bad(message: str, param: str | None = None) -> HttpError:
    return HttpError(400, "invalid_request", message, param=param)


def _envelope(status: int, body: object) -> str:
    """Return an error of HTTP as the message that a WebSocket has for it (W9)."""
    assert isinstance(body, bytes)
    error = msgspec.json.decode(body)["error"]
    if error["code"] == "previous_response_not_found":
        status = 400  # W6
    return msgspec.json.encode({"type": "error", "status": status, "error": error}).decode()
