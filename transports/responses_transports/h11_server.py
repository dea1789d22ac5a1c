"""A small HTTP/1.1 server for one engine: it listens, it is told to stop, and it stops in order.

On asyncio and on trio. What is said on a connection is the business of `responses_transports.h11_connection`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup, TaskStatus

from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import DEFAULT_HOST, DEFAULT_PORT, Listen
from responses_transports.h11_connection import Common, Connection
from responses_transports.h11_stream import ClientGone, Stream
from responses_transports.listeners import addresses_of, close_listeners, open_listeners, port_of, tls_of
from responses_transports.signals import signal_or_orphaned

LAST_WORDS_SECONDS: Final = 5.0
"""How long replies may go on when the engine has drained."""

_TOLD_SO: Final = 64
_RETRY_SECONDS: Final = 0.5

_log: Final = logging.getLogger("responses_stream")


def serve(engine: Engine, listen: Listen) -> None:
    """Serve *engine* until SIGINT or SIGTERM; a second one ends the process at once.

    This is the transport ``h11`` of the entry-point group ``responses_stream.transports``. For more than one worker the
    process forks, so that it must have neither an event loop nor threads.

    Raises:
        CannotServe: the certificate or the inherited socket is of no use, or the workers do not live.
        OSError: the address cannot be listened on.
    """
    context = tls_of(listen)
    if listen.workers == 1:
        run_until_signal(engine, listen, context)
        return
    from responses_transports.h11_workers import supervise

    def work(share: Listen, parent: int) -> None:
        run_until_signal(engine, share, context, (signal.SIGTERM,), parent)

    supervise(listen, work)


def run_until_signal(
    engine: Engine,
    listen: Listen,
    context: ssl.SSLContext | None,
    numbers: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    parent: int | None = None,
) -> None:
    """Serve in an event loop of its own, until the process gets one of the signals.

    A second one ends it at once, and then does what it did before.

    Args:
        engine: what answers.
        listen: where to listen.
        context: how TLS is spoken, if it is.
        numbers: the signals.
        parent: a descriptor that can be read once the process that supervises this one has ended; None where none
            does. That ends this one too.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    again: list[int] = []
    failures: list[Exception] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(*numbers) as signals:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)  # a supervisor holds them back until here

                async def stop() -> None:
                    await signal_or_orphaned(signals, parent)
                    tasks.start_soon(stop_at_once)

                async def stop_at_once() -> None:
                    again.append(await anext(signals))
                    restore()
                    # No cancellation of anyio's would do: what ends in order is shielded from those.
                    asyncio.get_running_loop().stop()

                try:
                    await serve_async(engine, listen=listen, ssl_context=context, stop=stop, announce=parent is None)
                except Exception as error:  # as it is, and not as one of a group
                    failures.append(error)
                tasks.cancel_scope.cancel()

    try:
        anyio.run(run)
    except RuntimeError:
        if not again:
            raise
    finally:
        restore()
    if again:
        signal.raise_signal(again[0])
    if failures:
        raise failures[0]


async def serve_async(
    engine: Engine,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    listen: Listen | None = None,
    ssl_context: ssl.SSLContext | None = None,
    stop: Callable[[], Awaitable[object]] = anyio.sleep_forever,
    grace: float = LAST_WORDS_SECONDS,
    announce: bool = True,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *engine* until *stop* returns, or the call is cancelled.

    Args:
        engine: what answers.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        listen: where to listen, and how, instead of host and port. Its workers are not for this process.
        ssl_context: how TLS is spoken; without one, the certificate of *listen* decides whether it is.
        stop: when it returns, no connection is taken any more, idle ones are closed, and the
            engine drains.
        grace: how many seconds replies may go on when the engine has drained.
        announce: whether the log says where it listens.
        task_status: told the port, once connections are taken: ``port = await group.start(serve_async, engine)``. A
            Unix socket has 0.

    Raises:
        CannotServe: the certificate or the inherited socket is of no use.
        OSError: the address cannot be listened on.
    """
    listen = listen or Listen(host=host, port=port)
    context = ssl_context or tls_of(listen)
    [listeners] = open_listeners(listen)
    try:
        async with engine.lifespan():
            common = Common(engine, engine.limits, listen.access_log)
            if announce:
                _log.info("listening on %s", addresses_of(listeners, context is not None))
            async with anyio.create_task_group() as connections:
                async with anyio.create_task_group() as accepting:
                    door = _Door(common, context, listen.max_connections, connections)
                    for listener in listeners:
                        accepting.start_soon(door.accept, listener)
                    task_status.started(port_of(listeners[0]))
                    await stop()
                    accepting.cancel_scope.cancel()
                close_listeners(listen, listeners)
                common.stop()
                # The engine says how long its own may go on; what it says last has to get to the clients.
                await engine.drain()
                connections.cancel_scope.deadline = anyio.current_time() + grace
    finally:
        close_listeners(listen, listeners)


class _Door:
    """Takes connections.

    Args:
        common: what they have in common.
        context: how TLS is spoken, if it is.
        most: how many there may be. Some above that are told so (503), and all further ones wait to be taken.
        tasks: where each of them has its task.
    """

    def __init__(self, common: Common, context: ssl.SSLContext | None, most: int, tasks: TaskGroup) -> None:
        self._common, self._context, self._most, self._tasks = common, context, most, tasks
        self._places = anyio.Semaphore(most + _TOLD_SO)
        self._open = 0

    async def accept(self, listener: socket.socket) -> None:
        """Take the connections of *listener* until that is cancelled."""
        while True:
            await self._places.acquire()
            connected, client = await self._next(listener)
            self._open += 1
            self._tasks.start_soon(self._connect, connected, client)

    async def _next(self, listener: socket.socket) -> tuple[socket.socket, str]:
        while True:
            try:
                connected, address = listener.accept()
                connected.setblocking(False)
                if listener.family == socket.AF_UNIX:
                    return connected, "unix"
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connected, f"{address[0]}:{address[1]}"
            except BlockingIOError:
                await anyio.wait_readable(listener)
            except ConnectionError:  # it has left already
                await anyio.lowlevel.checkpoint()
            except OSError as error:
                _log.error("a connection could not be taken: %s", error)
                await anyio.sleep(_RETRY_SECONDS)

    async def _connect(self, connected: socket.socket, client: str) -> None:
        limits = self._common.limits
        stream = Stream(connected, limits.write_stall_seconds)
        try:
            if self._context is not None:
                with anyio.move_on_after(limits.header_seconds) as slow:
                    await stream.start_tls(self._context)
                if slow.cancelled_caught:
                    return
            await Connection(self._common, stream, client, too_many=self._open > self._most).run()
        except ClientGone:
            pass
        except Exception:  # one client's trouble must not end the others
            _log.exception("a connection ended by an error")
        finally:
            stream.close()
            self._open -= 1
            self._places.release()
