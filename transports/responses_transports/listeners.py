"""The sockets that a server listens on, and how it speaks TLS on them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import CannotServe

_BACKLOG: Final = 2048
_files: Final[WeakKeyDictionary[socket.socket, tuple[int, int] | None]] = WeakKeyDictionary()
"""The files of the Unix sockets that were made here."""

_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What an address says that a name has and this machine does not, such as ::1 where there is no IPv6."""


def open_listeners(listen: Listen, shares: int = 1) -> list[list[socket.socket]]:
    """Return, for each of so many *shares* of the address, the sockets that listen there; none of them blocks.

    An address has a socket for each share, and the kernel spreads connections over them (`SO_REUSEPORT`); all else is
    one socket, that all shares have. A host name is listened on at each of its addresses.

    Raises:
        CannotServe: what was inherited is no listening socket.
        OSError: the address cannot be listened on.
    """
    if listen.sockets:
        return [_ready(listen.sockets)] * shares
    if listen.fd is not None:
        return [_ready([_inherited(listen.fd)])] * shares
    if listen.unix_socket is not None:
        _remove_stale(listen.unix_socket)
        made = _bound(socket.AF_UNIX, listen.unix_socket, shared=False)
        _files[made] = _file_at(listen.unix_socket)
        return [_ready([made])] * shares
    if shares > 1 and listen.port:
        # A server that is there already would share too; without sharing, it is in the way.
        for probe in _addressed(listen.host, listen.port, shared=False):
            probe.close()
    opened: list[list[socket.socket]] = []
    port = listen.port
    for _ in range(shares):
        opened.append(_ready(_addressed(listen.host, port, shared=shares > 1)))
        port = opened[0][0].getsockname()[1]
    return opened


def close_listeners(listen: Listen, sockets: Iterable[socket.socket]) -> None:
    """Close those that are open still, and with them remove the file of the Unix socket that was made for *listen*."""
    for listening in sockets:
        listening.close()
        # Some programs close it themselves; what stands there by now may be the socket of the next server.
        made, path = _files.pop(listening, None), listen.unix_socket
        if made is not None and path is not None and made == _file_at(path):
            Path(path).unlink(missing_ok=True)


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what tells the file at *path* from another that has its name later; None where there is none."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def port_of(listening: socket.socket) -> int:
    """Return the port that a socket listens on; 0 for one that has none."""
    return 0 if listening.family == socket.AF_UNIX else int(listening.getsockname()[1])


def addresses_of(sockets: Iterable[socket.socket], secure: bool) -> str:
    """Return where sockets listen, as people read it."""
    return ", ".join(_address_of(listening, "https" if secure else "http") for listening in sockets)


def _address_of(listening: socket.socket, scheme: str) -> str:
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{scheme}://{host}:{name[1]}"


def tls_of(listen: Listen) -> ssl.SSLContext | None:
    """Return how TLS is spoken; None where it is not.

    TLS 1.2 at least, no renegotiation, and HTTP/1.1 for clients that ask.

    Raises:
        CannotServe: the certificate or its key cannot be read.
    """
    if listen.certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(listen.certfile, listen.keyfile)
    except OSError as error:
        raise CannotServe(f"the certificate {listen.certfile} and its key cannot be used: {error}") from error
    return context


def _addressed(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    opened: list[socket.socket] = []
    missing: OSError | None = None
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in dict.fromkeys(found):
        # A free port is the same one on all addresses.
        place = (address[0], opened[0].getsockname()[1] if opened else port, *address[2:])
        try:
            opened.append(_bound(family, place, shared))
        except OSError as error:
            missing = error
            if error.errno not in _NOT_HERE:
                break
    if missing is not None and (not opened or missing.errno not in _NOT_HERE):
        for listening in opened:
            listening.close()
        raise missing
    return opened


def _bound(family: int, place: tuple[object, ...] | str, shared: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(place)
    except BaseException:
        listening.close()
        raise
    return listening


def _remove_stale(path: str) -> None:
    """Remove what a server has left that was killed: a socket that nobody listens on, and nothing else."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                try:
                    asking.connect(path)
                except ConnectionRefusedError:
                    Path(path).unlink()


def _inherited(fd: int) -> socket.socket:
    try:
        inherited = socket.socket(fileno=fd)
        if inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return inherited
        inherited.detach()
    except OSError as error:
        raise CannotServe(f"the inherited descriptor {fd} is no socket: {error}") from error
    raise CannotServe(f"the inherited socket {fd} does not listen")


def _ready(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    for one in sockets:
        one.setblocking(False)
        if not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            one.listen(_BACKLOG)
    return list(sockets)
