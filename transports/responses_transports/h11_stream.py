"""A connected socket, plain or with TLS, that waits on whatever event loop is running.

What the kernel takes at once costs one system call and no turn of the loop; that is what makes a token cheap.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from typing import Final

import anyio
import anyio.lowlevel

_CHUNK: Final = 65536
_SENT_IN_A_ROW: Final = 64
_AT_ONCE: Final = struct.pack("ii", 1, 0)


class ClientGone(Exception):
    """The client has closed its side, or takes no bytes any more."""


class Stream:
    """One connection.

    Args:
        connected: the socket, which does not block. Closed by `close`.
        stall_seconds: how long the client may take no bytes at all.
    """

    def __init__(self, connected: socket.socket, stall_seconds: float) -> None:
        self._socket = connected
        self._stall_seconds = stall_seconds
        self._in_a_row = 0
        self._emptied = True
        self._secure = False

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on.

        Raises:
            ClientGone: it has left, or what it says is no TLS that *context* accepts.
        """
        try:
            self._secure, self._emptied = True, False
            self._socket = talking = context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
            )
            while True:
                try:
                    return talking.do_handshake()
                except ssl.SSLWantReadError:
                    await anyio.wait_readable(talking)
                except ssl.SSLWantWriteError:
                    await anyio.wait_writable(talking)
        except OSError:
            raise ClientGone from None

    async def receive(self) -> bytes:
        """Return what has come, waiting for it; empty where the client has closed its side.

        Raises:
            ClientGone: the connection is broken.
        """
        while True:
            # What was not enough to fill a chunk was all; TLS keeps what it has deciphered to itself.
            if self._emptied:
                await anyio.wait_readable(self._socket)
            try:
                data = self._socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._emptied = True
            except OSError:
                raise ClientGone from None
            else:
                self._emptied = len(data) < _CHUNK and not self._secure
                return data

    async def send(self, data: bytes) -> None:
        """Send all of *data*. Only one task may.

        Raises:
            ClientGone: the connection is broken, or the client has taken nothing for too long.
        """
        sent = self._send(data)
        if sent == len(data):
            # Who always has more to say must not keep the others from their turn.
            self._in_a_row += 1
            if self._in_a_row >= _SENT_IN_A_ROW:
                self._in_a_row = 0
                await anyio.lowlevel.checkpoint()
            return
        rest = memoryview(data)[sent:]
        while rest:
            with anyio.move_on_after(self._stall_seconds) as stalled:
                await anyio.wait_writable(self._socket)
            if stalled.cancelled_caught:
                raise ClientGone
            rest = rest[self._send(rest) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            raise ClientGone from None

    def say_goodbye(self) -> None:
        """Tell the client that nothing more is sent; what it sends can still be received."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.unwrap()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def break_off(self) -> None:
        """Let the client see that this is not the end of what it was told."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._socket.close()

    def close(self) -> None:
        """Close the connection; what was sent is still delivered."""
        self.say_goodbye()
        self._socket.close()
