"""A small HTTP/1.1 server for one engine: it listens, it is told to stop, and it stops in order.

On asyncio and on trio. What is said on a connection is the business of `responses_transports.h11_connection`.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen
from responses_transports.h11_connection import Connection, Idle

LAST_WORDS_SECONDS: Final = 5.0
"""How long replies may go on when the engine has drained."""

_log: Final = logging.getLogger("responses_stream")


def serve(engine: Engine, listen: Listen) -> None:
    """Serve *engine* until SIGINT or SIGTERM; a second one does not wait for requests that are under way.

    This is the transport ``h11`` of the entry-point group ``responses_stream.transports``.

    Raises:
        OSError: the address cannot be listened on.
    """
    anyio.run(_serve_until_signal, engine, listen.host, listen.port)


async def _serve_until_signal(engine: Engine, host: str, port: int) -> None:
    with contextlib.ExitStack() as handlers:
        signals = handlers.enter_context(anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM))

        async def first_signal() -> None:
            await anext(signals)
            handlers.close()  # the second does what it does by default

        await serve_async(engine, host=host, port=port, stop=first_signal)


async def serve_async(
    engine: Engine,
    *,
    host: str = "127.0.0.1",
    port: int = 8088,
    stop: Callable[[], Awaitable[object]] = anyio.sleep_forever,
    grace: float = LAST_WORDS_SECONDS,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *engine* until *stop* returns, or the call is cancelled.

    Args:
        engine: what answers.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        stop: when it returns, no connection is taken any more, idle ones are closed, and the
            engine drains.
        grace: how many seconds replies may go on when the engine has drained.
        task_status: told the port, once connections are taken: ``port = await group.start(serve_async, engine)``.

    Raises:
        OSError: the address cannot be listened on.
    """
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    async with listener, engine.lifespan():
        bound: int = listener.extra(SocketAttribute.local_port)
        _log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, bound)
        idle = Idle()
        async with anyio.create_task_group() as connections:

            async def connect(stream: SocketStream) -> None:
                try:
                    async with stream:
                        await Connection(engine, stream, idle).run()
                except Exception:  # one client's trouble must not end the others
                    _log.exception("a connection ended by an error")

            async with anyio.create_task_group() as accepting:
                accepting.start_soon(listener.serve, connect, connections)
                task_status.started(bound)
                await stop()
                accepting.cancel_scope.cancel()
            await listener.aclose()
            idle.close()
            # The engine says how long its own may go on; what it says last has to get to the clients.
            await engine.drain()
            connections.cancel_scope.deadline = anyio.current_time() + grace
