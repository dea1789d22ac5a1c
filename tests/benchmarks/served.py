"""Serve an app in a process of its own, ask it over a socket, and see what that cost the process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import msgspec

from tests.transports.launching import wait_until_it_listens

TICKS: Final = os.sysconf("SC_CLK_TCK")
_CHUNK: Final = 1024 * 1024
_HEAD_ENDS: Final = b"\r\n\r\n"
_ENDS: Final = b"\r\n0\r\n\r\n"


def _request(path: str, body: bytes, method: str = "POST") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: bench", "Content-Type: application/json"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def ask(what: str, **more: object) -> bytes:
    """Return the request that the apps of `tests.benchmarks.apps` understand."""
    return _request("/v1/responses", msgspec.json.encode({"model": "m", "input": what, **more}))


@attrs.frozen
class Served:
    """An app that is being served.

    Attributes:
        port: where.
        process: the one that was started.
    """

    port: int
    process: subprocess.Popen[bytes]

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def cpu_seconds(self) -> float:
        """The seconds of the processor that it and its children have taken."""
        own = self.process.pid
        children = map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())
        return _cpu_seconds(own) + sum(map(_cpu_seconds, children))

    def traced_bytes(self) -> int:
        """How much memory the app has traced; only those of ASGI can tell."""
        with self.connect() as connection:
            connection.sendall(_request("/memory", b"", "GET"))
            return int(read_whole(connection))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def served(program: str, app: str) -> Iterator[Served]:
    """Serve *app* by *program* until the context is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if program == "gunicorn":
        options = ["-k", "gthread", "--threads", "32", "-b", f"127.0.0.1:{port}", "--log-level", "error"]
        command = ["gunicorn", *options, f"tests.benchmarks.apps:{app}"]
    else:
        command = ["tests.benchmarks.apps", program, app, str(port)]
    with subprocess.Popen([sys.executable, "-m", *command]) as process:
        try:
            wait_until_it_listens(("127.0.0.1", port))
            yield Served(port, process)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while _HEAD_ENDS not in data:
        data += _more(connection)
    head, _, rest = data.partition(_HEAD_ENDS)
    assert head.startswith(b"HTTP/1.1 200"), data
    return head.lower(), rest


def read_whole(connection: socket.socket) -> bytes:
    """Read one reply whose length is told."""
    head, body = read_head(connection)
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += _more(connection)
    return body


def read_stream(connection: socket.socket) -> int:
    """Read one chunked reply to its end; return how many reads that took."""
    _, data = read_head(connection)
    reads, tail = 1, data[-len(_ENDS) :]
    while not tail.endswith(_ENDS):
        piece = _more(connection)
        tail = (tail + piece)[-len(_ENDS) :]
        reads += 1
    return reads


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(_CHUNK)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data
