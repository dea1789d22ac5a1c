"""WebSocket mode: one connection, one response after the other, each a `POST /responses` that streams (W1 to W11).

A session takes messages and gives messages; it has no task of its own and knows no socket. Each turn goes through the
same door as a request over HTTP, so that what is asked, refused, run, stored and logged is decided in one place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import anyio.to_thread
import attrs

from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.errors import CONNECTION_OVER, HttpError, connection_over, shutting_down
from responses_stream.hosting.http import ByteStream, CutShort, HttpReply, HttpRequest, WebSocketSession
from responses_stream.hosting.logs import LOGGER, safe
from responses_stream.hosting.requests import LARGE_BODY
from responses_stream.hosting.websocket_memory import Memory
from responses_stream.hosting.websocket_messages import (
    Asked,
    bad_message,
    error_message,
    event_messages,
    read_message,
    reply_message,
)

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

MOST_WAITING: Final = 64
"""How many messages may wait for their turn; further ones are refused."""

Turn: TypeAlias = Callable[[HttpRequest, Memory], Awaitable[HttpReply]]
"""What answers one turn, as it would answer a request."""

# A retry of the handshake is none of its turns, and each of them is a request of its own (L5).
_OF_ONE_REQUEST: Final = frozenset(
    {"idempotency-key", "x-agent-response-id", "x-request-id", "content-length", "content-encoding"}
)


def wants_websocket(request: HttpRequest) -> bool:
    """Tell whether a request is the handshake of a WebSocket."""
    if request.method != "GET":
        return False
    asked = (request.header("upgrade") or "").lower()
    return "websocket" in (name.strip() for name in asked.split(","))


def no_websocket() -> HttpError:
    """Return the error of a handshake where there is no WebSocket."""
    message = "There is no WebSocket here; use POST with stream=true."
    return HttpError(426, "upgrade_required", message)


@attrs.frozen
class _Text:
    """A message that waits for its turn, and how many bytes it has."""

    text: str
    size: int


@attrs.define
class _Refused:
    """Messages behind one another that get the same answer, as one: what a client floods us with costs no memory."""

    error: HttpError
    count: int = 1


class Session(WebSocketSession):
    """One connection.

    One task iterates it; all else may be called from others. To cancel an iteration says that the client has gone, as
    does `aclose`.

    Args:
        handshake: the request that opened it; its headers tell whose each turn is (pains.md L2).
        turn: answers each turn.
        memory: what the connection remembers of its turns.
        max_bytes: how large a message may be, and all that wait together.
        on_close: called once, when it has ended.
    """

    __slots__ = (
        "_arrival",
        "_asking",
        "_body",
        "_closed",
        "_code",
        "_headers",
        "_max_bytes",
        "_memory",
        "_on_close",
        "_owed",
        "_path",
        "_pieces",
        "_query",
        "_ready",
        "_refusal",
        "_step",
        "_told_error",
        "_turn",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(
        self,
        handshake: HttpRequest,
        turn: Turn,
        memory: Memory,
        *,
        max_bytes: int,
        on_close: Callable[[Session], object],
    ) -> None:
        self._path, self._query = handshake.path, handshake.query
        self._headers = tuple((name, value) for name, value in handshake.headers if name not in _OF_ONE_REQUEST)
        self._turn, self._memory, self._on_close = turn, memory, on_close
        self._max_bytes = max_bytes
        self._waiting: deque[_Text | _Refused] = deque()
        self._waiting_bytes = 0
        self._arrival: anyio.Event | None = None
        self._ready: deque[str] = deque()
        self._step: anyio.CancelScope | None = None
        self._asking = False
        self._body: ByteStream | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._told_error = False
        # What all that waits is answered with when no further turn begins, and the code for the close behind that.
        self._refusal: tuple[HttpError, int] | None = None
        self._owed = False
        self._code: int | None = None
        self._closed = False

    @property
    def close_code(self) -> int:
        """What the connection is closed with."""
        return NORMAL if self._code is None else self._code

    async def receive(self, message: str | bytes) -> None:
        """Take a message of the client; its turn comes when those before it have had theirs (W4)."""
        if self._over():
            return
        size = len(message) if isinstance(message, bytes) or message.isascii() else _bytes_of(message)
        if size > self._max_bytes:
            self._end(TOO_BIG)
            await self._leave()
            return
        if len(self._waiting) >= MOST_WAITING or size + self._waiting_bytes > self._max_bytes:
            text = "Too many messages wait for their turn. Send fewer ahead."
            self._refuse(HttpError(429, "too_many_requests", text))
        elif isinstance(message, bytes):
            self._refuse(bad_message("A message is text, and not binary."))
        else:
            self._waiting_bytes += size
            self._waiting.append(_Text(message, size))
        self._wake()

    def go_away(self) -> None:
        """Say that the server stops: the turn in flight is brought to its end, all others are refused, and it closes.

        To stop the run is for the server, which stops all of them.
        """
        self._finish(shutting_down(), GOING_AWAY)

    def grow_old(self) -> None:
        """W8: begin no further turn, stop the one in flight, tell all who wait why, and close."""
        self._finish(connection_over(), NORMAL)
        self._owed = True
        if not self._memory.stop(Cause.CONNECTION_OVER) and self._asking:
            self._interrupt()

    def __aiter__(self) -> Session:
        return self

    async def __anext__(self) -> str:
        while not self._ready:
            if self._over():
                raise StopAsyncIteration
            try:
                if self._pieces is None:
                    with anyio.CancelScope() as self._step:
                        await self._begin()
                else:
                    await self._go_on(self._pieces)
            except CutShort:  # who raises it has told why
                self._end(INTERNAL_ERROR)
            except Exception:
                LOGGER.exception("a WebSocket at %s ends by an error", safe(self._path))
                self._end(INTERNAL_ERROR)
            if self._over():
                await self._leave()
        return self._ready.popleft()

    async def aclose(self) -> None:
        """End the turn in flight, as a client that has gone does (W11)."""
        if self._closed:
            return
        self._closed = True
        self._ready.clear()
        self._interrupt()
        try:
            await self._leave()
        finally:
            self._on_close(self)

    def _over(self) -> bool:
        return self._closed or self._code is not None

    async def _go_on(self, pieces: AsyncIterator[bytes]) -> None:
        """Make messages of the next events, or end the turn."""
        try:
            piece = await anext(pieces)
        except StopAsyncIteration:  # its end, or somebody has closed it meanwhile
            if not self._over():
                await self._leave()
                await self._memory.ends(self._told_error)
            return
        messages, error = event_messages(piece)
        if error is not None:
            self._told_error = True
            self._owed = self._owed and error != CONNECTION_OVER
        if not self._over():
            self._ready.extend(messages)

    async def _begin(self) -> None:
        """Begin the next turn, when there is one."""
        if self._refusal is not None:
            self._say_farewell(*self._refusal)
            return
        if not self._waiting:
            self._arrival = anyio.Event()
            await self._arrival.wait()
            return
        message = self._next()
        if isinstance(message, HttpError):
            self._tell(message)
            return
        # From here on the client has to be answered, whatever breaks this off.
        self._asking, self._told_error = True, False
        asked = await _read(message)
        self._memory.begins(asked.previous)
        if asked.refused is not None:
            await self._memory.ends(failed=True)
            self._tell(asked.refused, asked.lane)
            return
        reply = await self._turn(HttpRequest("POST", self._path, self._query, self._headers, asked.body), self._memory)
        self._asking = False
        if isinstance(reply.body, bytes):
            await self._memory.ends(failed=True)
            self._ready.append(reply_message(reply))
        else:
            self._body, self._pieces = reply.body, aiter(reply.body)

    def _say_farewell(self, refusal: HttpError, code: int) -> None:
        if self._asking or self._waiting or self._owed:
            if not self._asking and self._waiting:
                self._next()
            self._owed = False
            self._tell(refusal)
        else:
            self._end(code)

    def _finish(self, refusal: HttpError, code: int) -> None:
        if self._refusal is None:
            self._refusal = (refusal, code)
            self._wake()

    def _end(self, code: int) -> None:
        """Give no further message, and let the transport close."""
        if self._code is None:
            self._code = code
            self._interrupt()

    async def _leave(self) -> None:
        body, self._body, self._pieces = self._body, None, None
        if body is not None:
            await body.aclose()

    def _next(self) -> _Text | HttpError:
        first = self._waiting[0]
        if isinstance(first, _Refused):
            first.count -= 1
            if not first.count:
                self._waiting.popleft()
            return first.error
        self._waiting.popleft()
        self._waiting_bytes -= first.size
        return first

    def _refuse(self, error: HttpError) -> None:
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Refused) and last.error.code == error.code:
            last.count += 1
        else:
            self._waiting.append(_Refused(error))

    def _tell(self, error: HttpError, lane: str | None = None) -> None:
        self._asking = False
        LOGGER.warning("a message at %s is refused: %s", safe(self._path), error)
        self._ready.append(error_message(error, lane))

    def _wake(self) -> None:
        if self._arrival is not None:
            self._arrival.set()

    def _interrupt(self) -> None:
        """Let the task that iterates come back."""
        if self._step is not None:
            self._step.cancel()


async def _read(message: _Text) -> Asked:
    if message.size < LARGE_BODY:
        return read_message(message.text)
    return await anyio.to_thread.run_sync(read_message, message.text)


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
