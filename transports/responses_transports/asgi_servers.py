"""The transport ``asgi``: an engine in a program that speaks HTTP and calls ASGI applications.

Here is what each program calls the things that `Listen` and `Limits` name, and how it is stopped: the first SIGINT or
SIGTERM drains the engine, so that the streams come to their end, and then ends the program.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import anyio
import attrs

from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import CannotServe, missing_server
from responses_transports.asgi import ASGIApp
from responses_transports.h11_workers import supervise
from responses_transports.listeners import addresses_of, close_listeners, open_listeners
from responses_transports.signals import SIGNALS, signal_or_orphaned

if TYPE_CHECKING:
    import asyncio

    from hypercorn.typing import ASGIFramework

    _LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

LAST_WORDS_SECONDS: Final = 5
"""How long replies may go on when the engine has drained."""

_log: Final = logging.getLogger("responses_stream")


class ASGIServers:
    """The transport ``asgi`` of the entry-point group ``responses_stream.transports``.

    Attributes:
        servers: the programs that it can use, the preferred first, each with its distribution.
    """

    servers: Mapping[str, str] = {name: name for name in ("uvicorn", "hypercorn", "granian")}

    def __call__(self, engine: Engine, listen: Listen) -> None:
        """Serve *engine* until SIGINT or SIGTERM; a second one ends the process at once.

        What a program has no limit for is not limited: header time and stalled writers by uvicorn and hypercorn,
        connections by hypercorn, idle time and the size of headers by granian.

        Raises:
            CannotServe: the program is not installed or not known, or it cannot do what *listen* says.
            OSError: the address cannot be listened on.
        """
        name = listen.server or next(filter(find_spec, self.servers), next(iter(self.servers)))
        if name not in self.servers:
            raise CannotServe(f"no ASGI server is called {name!r} here; there is {', '.join(self.servers)}")
        if find_spec(name) is None:
            raise missing_server(name, self.servers[name])
        if name == "granian":
            _granian(engine, listen)
            return
        program = _uvicorn if name == "uvicorn" else _hypercorn
        if listen.workers > 1:
            supervise(listen, lambda share, parent: program(engine, listen, share.sockets, parent))
            return
        [sockets] = open_listeners(listen)
        try:
            _log.info("listening on %s", addresses_of(sockets, bool(listen.certfile)))
            program(engine, listen, sockets)
        finally:
            close_listeners(listen, sockets)


serve: Final = ASGIServers()


def _uvicorn(engine: Engine, listen: Listen, sockets: Sequence[socket.socket], parent: int | None = None) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # it would stop without a drain, and raise the signal again when it has

    limits = engine.limits
    config = uvicorn.Config(
        ASGIApp(engine, drain_on_signals=False),
        lifespan="on",
        log_config=None,
        access_log=listen.access_log,
        ssl_certfile=listen.certfile,
        ssl_keyfile=listen.keyfile,
        limit_concurrency=listen.max_connections,
        h11_max_incomplete_event_size=limits.max_header_bytes,
        timeout_keep_alive=math.ceil(limits.idle_seconds),
        timeout_graceful_shutdown=LAST_WORDS_SECONDS,
        ws_max_size=limits.max_message_bytes,
    )
    server = Server(config)

    async def main() -> None:
        async def stop() -> None:
            await _told_to_stop(engine, parent)
            server.should_exit = True

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            await server.serve(list(sockets))
            tasks.cancel_scope.cancel()

    _run(main, config.get_loop_factory())


def _hypercorn(engine: Engine, listen: Listen, sockets: Sequence[socket.socket], parent: int | None = None) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    limits = engine.limits
    config = Config()
    config.bind = [f"fd://{one.detach()}" for one in sockets]
    config.accesslog = logging.getLogger("hypercorn.access") if listen.access_log else None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.certfile = listen.certfile
    config.keyfile = listen.keyfile or listen.certfile
    config.graceful_timeout = LAST_WORDS_SECONDS
    config.h11_max_incomplete_size = limits.max_header_bytes
    config.h2_max_header_list_size = limits.max_header_bytes
    config.keep_alive_timeout = limits.idle_seconds
    config.websocket_max_message_size = limits.max_message_bytes
    app = cast("ASGIFramework", ASGIApp(engine, drain_on_signals=False))

    async def main() -> None:
        with anyio.CancelScope() as serving:

            async def stop() -> None:
                await _told_to_stop(engine, parent)
                # It would wait for ever for clients that take nothing.
                serving.deadline = anyio.current_time() + LAST_WORDS_SECONDS + 1

            try:
                await serve(app, config, shutdown_trigger=stop, mode="asgi")
            except Exception:
                if not serving.cancel_called:  # it does not expect to be
                    raise

    _run(main)


def _granian(engine: Engine, listen: Listen) -> None:
    from granian.constants import Interfaces, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.server import Server

    if listen.fd is not None or listen.sockets:
        raise CannotServe("granian cannot be given a socket; give it host and port or unix_socket, or use uvicorn")
    if multiprocessing.get_start_method() != "fork":
        message = "granian cannot hand a server to processes that are not forked"
        raise CannotServe(f"{message}; run its own command: granian --interface asgi module:app")
    with contextlib.ExitStack() as kept:
        if not listen.port and listen.unix_socket is None:
            listen = attrs.evolve(listen, port=kept.enter_context(_free_port(listen.host)))
        server = Server(
            "responses-stream",
            address=listen.host,
            port=listen.port,
            uds=Path(listen.unix_socket) if listen.unix_socket else None,
            interface=Interfaces.ASGI,
            workers=listen.workers,
            backpressure=listen.max_connections,
            http1_settings=HTTP1Settings(header_read_timeout=math.ceil(1000 * engine.limits.header_seconds)),
            log_access=listen.access_log,
            ssl_cert=Path(listen.certfile) if listen.certfile else None,
            ssl_key=Path(listen.keyfile or listen.certfile) if listen.certfile else None,
            ssl_protocol_min=SSLProtocols.tls12,
        )

        def stop(_number: int, _frame: FrameType | None) -> None:
            if server.interrupt_signal:
                for worker in server.wrks:
                    worker.kill()  # type: ignore[no-untyped-call]  # as granian has it
            server.signal_handler_interrupt()  # type: ignore[no-untyped-call]  # likewise

        @server.on_startup
        def hear_signals() -> None:
            for number in SIGNALS:
                signal.signal(number, stop)

        _log.info("listening on %s", listen.place)
        with _signals_restored():
            server.serve(target_loader=lambda: _Worker(engine), wrap_loader=False)


class _Worker(ASGIApp):
    """The application in a process of granian, which waits for ever for clients that take nothing."""

    async def drain(self) -> None:
        await super().drain()
        last_words = threading.Timer(LAST_WORDS_SECONDS, os._exit, [1])
        last_words.daemon = True
        last_words.start()


@contextlib.contextmanager
def _free_port(host: str) -> Iterator[int]:
    """Keep a port that nobody else gets, for the workers of granian, which all bind it themselves."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind((host, 0))
        yield kept.getsockname()[1]


@contextlib.contextmanager
def _signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(main: Callable[[], Awaitable[None]], loop_factory: _LoopFactory | None = None) -> None:
    with _signals_restored():
        anyio.run(main, backend_options={"loop_factory": loop_factory})


async def _told_to_stop(engine: Engine, parent: int | None) -> None:
    """Wait for a signal, then until the engine has drained; a further signal ends the process at once.

    Of the processes of a *parent* only SIGTERM is for them, and that its descriptor can be read says that it has ended.
    """
    numbers = SIGNALS if parent is None else [signal.SIGTERM]
    with anyio.open_signal_receiver(*numbers) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # `supervise` holds them back until somebody hears them
        await signal_or_orphaned(signals, parent)
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    await engine.drain()
