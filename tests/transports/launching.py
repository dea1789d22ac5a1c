"""Every server that our transports run under, each as a context: it serves an engine, and says where.

Most run in a thread of this process, so that a test may look into the engine; each stops as its users would stop it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import anyio
import anyio.from_thread
import attrs
import cheroot.wsgi
import hypercorn.asyncio
import hypercorn.trio
import uvicorn
from granian.constants import Interfaces
from granian.server.embed import Server as Granian

from responses_stream.hosting.http import Engine
from responses_transports.asgi import ASGIApp
from responses_transports.conformance_client import Address
from responses_transports.h11_server import serve_async
from responses_transports.wsgi import WSGIApp

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

Launch: TypeAlias = Callable[[Engine], AbstractContextManager[Address]]

THREADS: Final = 40
HOST: Final = "127.0.0.1"
ROOT: Final = Path(__file__).resolve().parents[2]


@contextmanager
def _h11(engine: Engine, backend: str) -> Iterator[Address]:

    with anyio.from_thread.start_blocking_portal(backend) as portal:
        stop = portal.call(anyio.Event)
        serving, port = portal.start_task(functools.partial(serve_async, engine, port=0, stop=stop.wait))
        try:
            yield HOST, port
        finally:
            portal.call(stop.set)
            serving.result()


@contextmanager
def _uvicorn(engine: Engine, http: str) -> Iterator[Address]:
    with socket.create_server((HOST, 0), backlog=1024) as listener:
        config = uvicorn.Config(
            ASGIApp(engine), http=cast("uvicorn.config.HTTPProtocolType", http), ws="wsproto", log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _hypercorn(engine: Engine, backend: str, idle: float = 60.0) -> Iterator[Address]:
    with (
        anyio.from_thread.start_blocking_portal(backend) as portal,
        socket.create_server((HOST, 0), backlog=1024) as listener,
    ):
        config = hypercorn.Config()
        address = listener.getsockname()
        config.bind = [f"fd://{listener.detach()}"]
        config.errorlog = None
        config.graceful_timeout = 60
        config.keep_alive_timeout = idle
        stop = portal.call(anyio.Event)
        serve = hypercorn.asyncio.serve if backend == "asyncio" else hypercorn.trio.serve
        app = cast("ASGIFramework", ASGIApp(engine))
        serving = portal.start_task_soon(lambda: serve(app, config, shutdown_trigger=stop.wait))
        try:
            yield address
        finally:
            portal.call(stop.set)
            serving.result()


@contextmanager
def _granian(engine: Engine) -> Iterator[Address]:
    with socket.socket() as held, anyio.from_thread.start_blocking_portal() as portal:
        # Granian makes its own socket; this one keeps the port for it.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((HOST, 0))
        host, port = held.getsockname()
        server = portal.call(functools.partial(Granian, ASGIApp(engine), host, port, interface=Interfaces.ASGI))
        serving = portal.start_task_soon(server.serve)
        try:
            wait_until_it_listens((host, port))
            yield host, port
        finally:
            portal.call(server.stop)
            serving.result()


@contextmanager
def _waitress(engine: Engine) -> Iterator[Address]:
    waitress: Any = importlib.import_module("waitress.server")
    app = WSGIApp(engine, threads=THREADS)
    listener = socket.create_server((HOST, 0), backlog=1024)
    server = waitress.create_server(app, sockets=[listener], threads=THREADS, outbuf_high_watermark=65536)
    with _in_a_thread(server.run):
        try:
            yield listener.getsockname()
        finally:
            _let_end(app)
            server.task_dispatcher.shutdown()
            server.trigger.pull_trigger(functools.partial(server.asyncore.close_all, server._map))


@contextmanager
def _cheroot(engine: Engine) -> Iterator[Address]:
    app = WSGIApp(engine, threads=THREADS)
    server = cheroot.wsgi.Server((HOST, 0), app, numthreads=THREADS, request_queue_size=1024)
    server.expiration_interval = 0.02
    server.prepare()
    with _in_a_thread(server.serve):
        try:
            yield server.bind_addr
        finally:
            _let_end(app)
            server.stop()


class _WSGIRef(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 1024


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _wsgiref(engine: Engine) -> Iterator[Address]:
    app = WSGIApp(engine)
    with _WSGIRef((HOST, 0), _Quiet) as server:
        server.set_app(app)
        with _in_a_thread(functools.partial(server.serve_forever, 0.02)):
            try:
                yield HOST, server.server_port
            finally:
                _let_end(app)
                server.shutdown()


@attrs.frozen
class Process:
    """A server in a process of its own."""

    address: Address
    program: subprocess.Popen[bytes]
    errors: IO[bytes]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop, and return its exit status."""
        self.program.send_signal(number)
        return self.program.wait(60)

    def said(self) -> str:
        """Return what it has written to stderr."""
        self.errors.seek(0)
        return self.errors.read().decode()


@contextmanager
def in_a_process(engine: Engine, transport: str, server: str = "") -> Iterator[Process]:
    """Serve *engine* as `ResponsesServer.run` does, in a process of its own."""
    with contextlib.ExitStack() as leaving:
        listener = leaving.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((HOST, 0))
        host, port = listener.getsockname()
        makes_its_own = server == "granian"
        if not makes_its_own:
            # Who connects before it is there waits in this socket.
            listener.listen(1024)
        place = f"port:{port}" if makes_its_own else f"fd:{listener.fileno()}"
        errors = leaving.enter_context(tempfile.TemporaryFile())
        command = [sys.executable, "-m", "tests.transports.serving_process", transport, server, place]
        program = leaving.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors, pass_fds=[listener.fileno()], cwd=ROOT)
        )
        leaving.callback(program.kill)
        assert program.stdin is not None
        program.stdin.write(pickle.dumps(engine))
        program.stdin.close()
        if makes_its_own:
            wait_until_it_listens((host, port))
        else:
            listener.close()
        yield Process((host, port), program, errors)


@contextmanager
def _process(engine: Engine, transport: str, server: str) -> Iterator[Address]:
    with in_a_process(engine, transport, server) as process:
        yield process.address
        assert process.stop() == 0, process.said()


@contextmanager
def _in_a_thread(run: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _let_end(app: WSGIApp) -> None:
    """Do what `responses_transports.wsgi_servers` does when it is told to stop."""
    app.drain().result()
    app.wait_idle(20)
    app.close()


def wait_until_it_listens(address: tuple[str, int] | str) -> None:
    """Ask again and again: granian makes its own socket, and tells nobody when it is there."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    for _ in range(2000):
        with contextlib.suppress(OSError), socket.socket(family) as asking:
            asking.connect(address)
            return
        time.sleep(0.01)
    raise TimeoutError(f"nobody listens on {address}")


SERVERS: Final[dict[str, Launch]] = {
    "h11-asyncio": functools.partial(_h11, backend="asyncio"),
    "h11-trio": functools.partial(_h11, backend="trio"),
    "uvicorn-h11": functools.partial(_uvicorn, http="h11"),
    "uvicorn-httptools": functools.partial(_uvicorn, http="httptools"),
    "hypercorn-asyncio": functools.partial(_hypercorn, backend="asyncio"),
    "hypercorn-trio": functools.partial(_hypercorn, backend="trio"),
    "granian": _granian,
    "waitress": _waitress,
    "cheroot": _cheroot,
    "wsgiref": _wsgiref,
    "gunicorn": functools.partial(_process, transport="wsgi", server="gunicorn"),
}
"""All servers by a name that tells what serves."""

BY_THREADS: Final = {"waitress", "cheroot", "wsgiref", "gunicorn"}
"""Servers that see that a client has gone when they write to it, and know no WebSocket."""

IMPATIENT: Final[dict[str, Launch]] = SERVERS | {
    f"hypercorn-{backend}": functools.partial(_hypercorn, backend=backend, idle=0.1) for backend in ("asyncio", "trio")
}
"""The same, but hypercorn keeps the connections of clients that have gone only as long as those of idle ones."""
