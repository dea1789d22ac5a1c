"""Where a transport listens and how it presents itself: what `ResponsesServer.run` hands to the transport it chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import attrs

from responses_stream.errors import InvalidValue

if TYPE_CHECKING:
    import socket

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8088


@attrs.frozen(kw_only=True)
class Listen:
    """Where to listen: an address, a Unix socket, or sockets that listen already.

    Attributes:
        host: the address.
        port: the port; 0 takes a free one.
        unix_socket: the path of a Unix socket, instead of host and port.
        fd: the number of a listening socket that the process has inherited, instead of host and port.
        sockets: listening sockets, instead of host and port. Whoever serves them closes them.
        certfile: a PEM file with the certificate and those above it; with it, TLS is spoken.
        keyfile: a PEM file with its key, where *certfile* does not hold that.
        server: the program that speaks HTTP, for a transport that has a choice; without one, its first that is
            installed.
        workers: how many processes share the address.
        threads: how many requests a transport answers at once that needs a thread for each.
        max_connections: how many connections one process has at once.
        access_log: whether each request is a line of the log, where the transport writes that itself.

    Raises:
        InvalidValue: more than one place is named, a key without a certificate, or no worker.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    unix_socket: str | None = None
    fd: int | None = None
    sockets: Sequence[socket.socket] = ()
    certfile: str | None = None
    keyfile: str | None = None
    server: str | None = None
    workers: int = 1
    threads: int = 40
    max_connections: int = 10_000
    access_log: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.unix_socket is not None) + (self.fd is not None) + bool(self.sockets) > 1:
            raise InvalidValue("listen", "unix_socket, fd and sockets each replace host and port; give one of them")
        if self.keyfile is not None and self.certfile is None:
            raise InvalidValue("keyfile", "a key is of no use without certfile")
        if self.workers < 1:
            raise InvalidValue("workers", f"has to be at least 1, got {self.workers}")

    @property
    def place(self) -> str:
        """Where that is, as people read it."""
        if self.sockets:
            return "the sockets that were passed"
        if self.fd is not None:
            return f"the inherited socket {self.fd}"
        if self.unix_socket is not None:
            return f"unix:{self.unix_socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certfile else 'http'}://{host}:{self.port}"
