"""The transport ``wsgi``: an engine under gunicorn, waitress or cheroot, and how each of them is stopped in order.

All three wait for their threads when they stop, and the threads wait for streams; so the engine is drained first.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, cast

from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import CannotServe, missing_server
from responses_transports.listeners import addresses_of, close_listeners, open_listeners, tls_of
from responses_transports.signals import SIGNALS
from responses_transports.wsgi import SPARE_THREADS, WSGIApp
from responses_transports.wsgi_loop import LAST_WORDS_SECONDS

if TYPE_CHECKING:
    from types import FrameType
    from wsgiref.types import StartResponse, WSGIApplication

    from gunicorn.arbiter import Arbiter

_LARGEST_BODY: Final = 64 * 1024 * 1024
_MOST_AHEAD: Final = 256 * 1024
_BACKLOG: Final = 1024

_log: Final = logging.getLogger("responses_stream")


class WSGIServers:
    """The transport ``wsgi`` of the entry-point group ``responses_stream.transports``.

    A program gets two threads more than `Listen.threads`, for requests that wait for no run.

    Attributes:
        servers: the programs that it can use, the preferred first, each with its distribution.
    """

    servers: Mapping[str, str] = {name: name for name in ("gunicorn", "waitress", "cheroot")}

    def __call__(self, engine: Engine, listen: Listen) -> None:
        """Serve *engine* until SIGINT or SIGTERM; a second one does not wait for requests that are under way.

        Raises:
            CannotServe: the program is not installed, unknown, or cannot do what *listen* says.
            OSError: the address cannot be listened on.
        """
        name = listen.server or next(filter(find_spec, self.servers), next(iter(self.servers)))
        if name not in self.servers:
            raise CannotServe(f"no WSGI server is called {name!r} here; there is {', '.join(self.servers)}")
        if find_spec(name) is None:
            raise missing_server(name, self.servers[name])
        if listen.workers > 1 and name != "gunicorn":
            raise CannotServe(f"{name} has one process only; use gunicorn")
        if listen.certfile and name == "waitress":
            raise CannotServe("waitress speaks no TLS; use gunicorn or cheroot, or a proxy before it")
        threads = listen.threads + SPARE_THREADS
        app = WSGIApp(engine, threads=threads)
        parent = os.getpid()
        [sockets] = open_listeners(listen)
        try:
            _log.info("listening on %s", addresses_of(sockets, listen.certfile is not None))
            {"gunicorn": _gunicorn, "waitress": _waitress, "cheroot": _cheroot}[name](
                app, engine, listen, sockets, threads
            )
        finally:
            if os.getpid() == parent:  # the workers of gunicorn come by here too
                close_listeners(listen, sockets)
                app.close()


serve: Final = WSGIServers()


def _gunicorn(app: WSGIApp, engine: Engine, listen: Listen, sockets: Sequence[socket.socket], threads: int) -> None:
    from gunicorn.app.base import BaseApplication

    limits = engine.limits
    grace = math.ceil(limits.grace_seconds + LAST_WORDS_SECONDS)

    def answer(environ: dict[str, object], start_response: StartResponse) -> Iterable[bytes]:
        # Its sockets wait for ever, and so would the thread of a client that takes nothing.
        cast("socket.socket", environ["gunicorn.socket"]).settimeout(limits.write_stall_seconds)
        return app(environ, start_response)

    def begin(_worker: object) -> None:
        app.drain_on_signals(signal.SIGTERM)
        # A terminal sends it to all processes, and gunicorn's workers drop their requests at it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def listens(arbiter: Arbiter) -> None:
        def told(_number: int, frame: FrameType | None) -> None:
            for number in SIGNALS:
                signal.signal(number, lambda *_: arbiter.kill_workers(signal.SIGKILL))
            arbiter.signal(signal.SIGTERM, frame)

        for number in SIGNALS:
            signal.signal(number, told)

    # It closes the descriptors that it is given.
    bind = [f"fd://{os.dup(one.fileno())}" for one in sockets]
    for one in sockets:
        one.close()  # or the workers would have them, and listen on after they were told to stop
    settings: dict[str, object] = {
        "bind": bind,
        "worker_class": "gthread",
        "workers": listen.workers,
        "threads": threads,
        "worker_connections": listen.max_connections,
        "graceful_timeout": grace,
        "timeout": max(30, 2 * grace),
        "keepalive": math.ceil(limits.idle_seconds),
        "limit_request_line": min(8190, limits.max_header_bytes),
        "limit_request_field_size": limits.max_header_bytes,
        "accesslog": "-" if listen.access_log else None,
        "loglevel": "info" if listen.access_log else "warning",
        "certfile": listen.certfile,
        "keyfile": listen.keyfile,
        "ssl_context": lambda _config, _default: tls_of(listen),
        "control_socket_disable": True,
        "when_ready": listens,
        "post_worker_init": begin,
        "worker_exit": lambda _arbiter, _worker: app.close(),
    }

    class Program(BaseApplication):
        def load_config(self) -> None:
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> WSGIApplication:
            return answer

    parent = os.getpid()
    try:
        Program().run()
    except SystemExit as end:
        if os.getpid() != parent or end.code:
            raise


def _waitress(app: WSGIApp, engine: Engine, listen: Listen, sockets: Sequence[socket.socket], threads: int) -> None:
    from waitress import wasyncore
    from waitress.channel import HTTPChannel
    from waitress.server import BaseWSGIServer, create_server
    from waitress.trigger import trigger

    limits = engine.limits
    map: dict[int, wasyncore.dispatcher] = {}
    server = create_server(
        app,
        map,
        sockets=sockets,
        threads=threads,
        connection_limit=listen.max_connections,
        channel_timeout=math.ceil(limits.idle_seconds),
        log_socket_errors=False,
        max_request_header_size=limits.max_header_bytes,
        # It reads a body to its end before the engine can refuse it.
        max_request_body_size=max(_LARGEST_BODY, 2 * limits.max_message_bytes),
        outbuf_high_watermark=_MOST_AHEAD,
    )
    waker, told = trigger(map), threading.Event()

    def wake() -> None:
        with contextlib.suppress(OSError):  # it has ended
            waker.pull_trigger()

    def tell() -> None:
        told.set()
        wake()

    def unsent(channel: HTTPChannel) -> bool:
        return channel.total_outbufs_len > 0

    def channels() -> list[HTTPChannel]:
        return [one for one in list(map.values()) if isinstance(one, HTTPChannel)]

    def turn(seconds: float = 1.0) -> None:
        wasyncore.loop(seconds, use_poll=True, map=map, count=1)
        for one in filter(unsent, channels()):
            with one.outbuf_lock:  # or it could be seen between a write and what is sent of it
                stalled = unsent(one) and time.time() - one.last_activity > limits.write_stall_seconds
            if stalled:
                one.handle_close()

    try:
        with _on_first_signal(tell):
            while not told.is_set():
                turn()
            for one in list(map.values()):
                if isinstance(one, BaseWSGIServer):
                    wasyncore.dispatcher.close(one)
            drained = app.drain()
            drained.add_done_callback(lambda _: wake())
            while not drained.done():
                turn()
            server.task_dispatcher.set_thread_count(0)
            end = time.monotonic() + LAST_WORDS_SECONDS
            while time.monotonic() < end and (server.task_dispatcher.threads or any(unsent(one) for one in channels())):
                turn(0.05)
    finally:
        for channel in channels():
            channel.handle_close()  # tells the threads that wait for it
        wasyncore.close_all(map)


def _cheroot(app: WSGIApp, engine: Engine, listen: Listen, sockets: Sequence[socket.socket], threads: int) -> None:
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    if len(sockets) > 1:
        raise CannotServe("cheroot listens on one socket only; name one address, or use gunicorn")
    limits, [listening] = engine.limits, sockets
    told = threading.Event()

    class Program(Server):
        def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:  # noqa: ARG002  # of an address
            return self.bind_unix_socket(b"")

        def bind_unix_socket(self, bind_addr: object) -> socket.socket:  # noqa: ARG002  # it listens already
            self.socket = listening
            return listening

        def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
            _log.log(level, "cheroot: %s", msg, exc_info=traceback)

    server = Program(
        listening.getsockname()[:2] if listening.family != socket.AF_UNIX else listening.getsockname(),
        app,
        numthreads=threads,
        max=threads,
        request_queue_size=_BACKLOG,
        # One time for all waits: for requests, for bytes of them, and for clients that take nothing.
        timeout=math.ceil(min(limits.idle_seconds, limits.write_stall_seconds)),
        shutdown_timeout=math.ceil(LAST_WORDS_SECONDS),
    )
    server.max_request_header_size = limits.max_header_bytes
    server.keep_alive_conn_limit = listen.max_connections
    if listen.certfile is not None:
        server.ssl_adapter = BuiltinSSLAdapter(listen.certfile, listen.keyfile or listen.certfile)
        server.ssl_adapter.context = tls_of(listen)
    if listening.family != socket.AF_UNIX:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run() -> None:
        try:
            server.serve()
        finally:
            told.set()

    server.prepare()
    serving = threading.Thread(target=run, name="cheroot")
    serving.start()
    try:
        with _on_first_signal(told.set):
            told.wait()
            app.drain().result()
            app.wait_idle(LAST_WORDS_SECONDS)
    finally:
        server.stop()
        serving.join()


@contextlib.contextmanager
def _on_first_signal(tell: Callable[[], object]) -> Iterator[None]:
    """Call *tell* at the first SIGINT or SIGTERM; the second does what it does by default."""

    def first(_number: int, _frame: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        tell()

    before = {number: signal.signal(number, first) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
