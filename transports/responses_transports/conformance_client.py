"""A client that does what a check tells it: it sends bytes as they are, reads when it is told to, and leaves."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import attrs
import h11

Address: TypeAlias = tuple[str, int]
"""A host and a port."""

SECONDS: Final = 20.0
"""How long a check waits for what has to come; only a transport that fails is waited for so long."""

NO_CODE: Final = 1005
"""What stands for the code of a connection that was closed without one (RFC 6455, section 7.4.1)."""

_SMALL: Final = 16 * 1024
_AT_ONCE: Final = struct.pack("ii", 1, 0)
_TEXT, _CLOSE = 1, 8
_FINAL, _MASKED = 0x80, 0x80


class BrokenOff(Exception):
    """The connection has ended before the reply has."""


@attrs.frozen
class Answer:
    """A reply as it came over the wire, or the head of one."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the first value of the header *name*."""
        return next((value for key, value in self.headers if key == name), None)


class Client:
    """One connection to a server.

    Args:
        address: where it listens.
        small: whether the system is to keep little of what was not read yet.
        patience: how many seconds it waits for what has to come.
    """

    def __init__(self, address: Address, *, small: bool = False, patience: float = SECONDS) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family)
        self._patience = patience
        self._socket.settimeout(patience)
        if small:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        self._socket.connect(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""
        self._upgrading = self._closing = False
        self._http = h11.Connection(h11.CLIENT)

    def send(self, data: bytes) -> None:
        """Send *data* as it is."""
        self._socket.sendall(data)

    def ask(
        self, method: str = "GET", target: str = "/", headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
    ) -> None:
        """Send a request, with the length of its *body*."""
        lines = [f"{method} {target} HTTP/1.1", "Host: conformance"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def head(self, method: str = "GET") -> Answer:
        """Read the head of a reply to a request of *method*.

        Raises:
            BrokenOff: the connection ends instead.
        """
        self._http = h11.Connection(h11.CLIENT)
        upgrade = [("connection", "upgrade"), ("upgrade", "websocket")] if self._upgrading else []
        self._upgrading = False
        self._http.send(h11.Request(method=method, target="/", headers=[("host", "x"), *upgrade]))
        self._http.send(h11.EndOfMessage())
        if self._left:
            self._http.receive_data(self._left)
            self._left = b""
        head = self._event()
        while isinstance(head, h11.InformationalResponse) and head.status_code != 101:
            head = self._event()
        assert isinstance(head, h11.Response | h11.InformationalResponse), head
        if head.status_code == 101:
            self._left = self._http.trailing_data[0]
        return Answer(
            head.status_code, tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
        )

    def piece(self) -> bytes | None:
        """Read a piece of the body that has begun; None is its proper end.

        Raises:
            BrokenOff: the connection ends before the body does.
        """
        event = self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        assert isinstance(event, h11.EndOfMessage), event
        self._left = self._http.trailing_data[0]
        return None

    def exactly(self, length: int) -> bytes:
        """Read that much of the body, however it was cut.

        Raises:
            BrokenOff: the connection ends before the body does.
        """
        data = b""
        while len(data) < length:
            piece = self.piece()
            assert piece is not None, f"the body ends after {data!r}"
            data += piece
        assert len(data) == length, f"there is more than was sent: {data!r}"
        return data

    def rest(self) -> bytes:
        """Read the body to its end.

        Raises:
            BrokenOff: the connection ends before the body does.
        """
        return b"".join(iter(self.piece, None))

    def answer(self, method: str = "GET") -> Answer:
        """Read a whole reply."""
        return attrs.evolve(self.head(method), body=self.rest())

    def until_closed(self) -> bytes:
        """Read all that comes, whatever it is, until the server closes the connection."""
        data, self._left = self._left, b""
        while more := self._socket.recv(65536):
            data += more
        return data

    def until_silent(self, seconds: float) -> bytes:
        """Read all that comes, whatever it is, until nothing has come for so long or the server has closed."""
        data, self._left = self._left, b""
        self._socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while more := self._socket.recv(65536):
                data += more
        self._socket.settimeout(self._patience)
        return data

    def leave(self, *, at_once: bool = False) -> None:
        """Close the connection; *at_once* also throws away what is under way, as a program that dies may do."""
        if at_once:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        else:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def send_no_more(self) -> None:
        """Close the sending half of the connection."""
        self._socket.shutdown(socket.SHUT_WR)

    def _event(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(self._socket.recv(65536))
        except (h11.RemoteProtocolError, ConnectionError) as error:
            raise BrokenOff(str(error)) from error
        if isinstance(event, h11.ConnectionClosed):
            raise BrokenOff("the connection has ended without a reply")
        return event

    def ask_for_websocket(self, target: str = "/", headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send the handshake of a WebSocket (RFC 6455, section 4.1); its answer is read like any other."""
        upgrade = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
            ("Sec-WebSocket-Version", "13"),
        ]
        self.ask("GET", target, [*upgrade, *headers])
        self._upgrading = True

    def send_text(self, text: str) -> None:
        """Send one message, in one frame."""
        self._send_frame(_TEXT, text.encode())

    def send_close(self, code: int = 1000) -> None:
        """Begin the closing handshake."""
        self._closing = True
        self._send_frame(_CLOSE, code.to_bytes(2, "big"))

    def message(self) -> str | int:
        """Read a text message, or the code that the connection is closed with, which is answered."""
        text = b""
        while True:
            first, second = self._exactly(2)
            opcode, length = first & 0x0F, second
            if length >= 126:
                length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
            data = self._exactly(length)
            if opcode == _CLOSE:
                if not self._closing:
                    self._send_frame(_CLOSE, data[:2])
                return int.from_bytes(data[:2], "big") if data else NO_CODE
            if opcode < _CLOSE:
                text += data
                if first & _FINAL:
                    return text.decode()

    def _send_frame(self, opcode: int, data: bytes) -> None:
        length = len(data)
        if length < 126:
            head = bytes([_FINAL | opcode, _MASKED | length])
        elif length < 1 << 16:
            head = bytes([_FINAL | opcode, _MASKED | 126]) + length.to_bytes(2, "big")
        else:
            head = bytes([_FINAL | opcode, _MASKED | 127]) + length.to_bytes(8, "big")
        # A mask of zeros is a mask; that it changes nothing is no business of a conforming server.
        self.send(head + bytes(4) + data)

    def _exactly(self, length: int) -> bytes:
        while len(self._left) < length:
            data = self._socket.recv(65536)
            if not data:
                raise BrokenOff("the WebSocket has ended without being closed")
            self._left += data
        data, self._left = self._left[:length], self._left[length:]
        return data
