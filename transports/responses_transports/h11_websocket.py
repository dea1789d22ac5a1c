"""A WebSocket over one connection, by wsproto: text messages of the client to a session of the engine, and back.

There is no compression: a message is as large as its bytes, so that none can unfold to more than the limit.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
from typing import Final

import anyio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, generate_accept_token

from responses_stream.hosting.errors import HttpError, bad_http
from responses_stream.hosting.http import HttpRequest, Limits, WebSocketSession
from responses_transports.h11_stream import ClientGone, Stream

_VERSION: Final = "13"
_TOO_BIG: Final = 1009
_INTERNAL_ERROR: Final = 1011
_CLOSE_SECONDS: Final = 5.0

_log: Final = logging.getLogger("responses_stream")


def accepted(request: HttpRequest) -> list[tuple[bytes, bytes]]:
    """Return the headers that accept a handshake (RFC 6455, section 4.2).

    Raises:
        HttpError: it is no handshake (400), or one of another version (426).
    """
    wanted = ",".join(value for name, value in request.headers if name == "connection")
    if "upgrade" not in (word.strip().lower() for word in wanted.split(",")):
        raise bad_http()
    if request.header("sec-websocket-version") != _VERSION:
        message = f"The version of a WebSocket has to be {_VERSION}."
        raise HttpError(426, "upgrade_required", message, headers=(("sec-websocket-version", _VERSION),))
    key = request.header("sec-websocket-key") or ""
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise bad_http()
    except (binascii.Error, ValueError):
        raise bad_http() from None
    token = generate_accept_token(key.encode("ascii"))
    return [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", token)]


class WebSocket:
    """One connection, from the end of its handshake on.

    Args:
        session: what messages are for, and where they come from; who opened it closes it.
        stream: the bytes.
        limits: how large a message may be, and how long a client may be silent before it is asked whether it is there.
    """

    def __init__(self, session: WebSocketSession, stream: Stream, limits: Limits) -> None:
        self._session, self._stream, self._limits = session, stream, limits
        self._frames = Connection(ConnectionType.SERVER)
        self._writing = anyio.Lock()
        self._over = anyio.CancelScope()
        self._speaking = anyio.CancelScope()
        self._cut = False
        self._text: list[str] = []
        self._bytes: list[bytes] = []
        self._size = 0

    async def run(self, ahead: bytes) -> None:
        """Pump until either side closes; *ahead* is what has come behind the handshake."""
        with self._over:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._speak)
                with contextlib.suppress(ClientGone):
                    await self._listen(ahead)
                tasks.cancel_scope.cancel()

    async def _speak(self) -> None:
        try:
            with self._speaking:
                async for message in self._session:
                    await self._send(TextMessage(data=message))
                await self._close(self._session.close_code)
        except ClientGone:
            self._over.cancel()
        except Exception:
            _log.exception("the engine failed in a WebSocket")
            with contextlib.suppress(ClientGone):
                await self._close(_INTERNAL_ERROR)

    async def _listen(self, data: bytes) -> None:
        asked = False
        while not data or await self._take(data):
            data = b""
            with anyio.move_on_after(self._limits.write_stall_seconds) as silent:
                data = await self._stream.receive()
            if not silent.cancelled_caught:
                asked = False
                if not data:
                    return
            elif asked:  # and nothing was answered: it is no longer there
                return
            else:
                asked = True
                await self._send(Ping())

    async def _take(self, data: bytes) -> bool:
        """Do what the frames in *data* say; tell whether more is to come."""
        self._frames.receive_data(data)
        for event in self._frames.events():
            if isinstance(event, CloseConnection):
                failed = self._frames.state is ConnectionState.OPEN
                await self._close(event.code)
                if failed:  # what came are no frames, and what comes now can be none
                    self._stream.say_goodbye()
                return failed
            if isinstance(event, Ping):
                await self._send(event.response())
            elif isinstance(event, TextMessage | BytesMessage) and self._frames.state is ConnectionState.OPEN:
                await self._collect(event)
        return True

    async def _collect(self, piece: TextMessage | BytesMessage) -> None:
        # Of pieces without anything in them there may be any number.
        if isinstance(piece, TextMessage) and piece.data:
            self._text.append(piece.data)
            self._size += len(piece.data) if piece.data.isascii() else len(piece.data.encode())
        elif isinstance(piece, BytesMessage) and piece.data:
            self._bytes.append(bytes(piece.data))
            self._size += len(piece.data)
        if self._size > self._limits.max_message_bytes:
            await self._close(_TOO_BIG)
        elif piece.message_finished:
            message = "".join(self._text) if isinstance(piece, TextMessage) else b"".join(self._bytes)
            self._text, self._bytes, self._size = [], [], 0
            await self._session.receive(message)

    async def _close(self, code: int) -> None:
        """Begin to close, or answer the client that has begun to."""
        self._speaking.cancel()
        with anyio.CancelScope(shield=True):
            await self._send(CloseConnection(code=code))
        self._over.deadline = anyio.current_time() + _CLOSE_SECONDS

    async def _send(self, event: Event) -> None:
        async with self._writing:
            if self._cut:  # whoever was sending was stopped in the middle of a frame
                return
            try:
                data = self._frames.send(event)
            except LocalProtocolError:  # it is closed already
                return
            self._cut = True
            await self._stream.send(data)
            self._cut = False
