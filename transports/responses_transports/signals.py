"""Draining when the process is told to stop, under servers that tell their applications too late.

On SIGTERM such a server waits until the open streams have ended, and only then says so to the application, by its
lifespan: streams would go on for as long as their handlers like (pains.md H5). What is here hears the signal as well.

The processes that hypercorn's own command starts get no signal: there it takes `--workers 0`, or the transport `asgi`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Final, TypeAlias

import anyio

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
"""What tells a process to stop."""

_Handler: TypeAlias = Callable[[int, FrameType | None], object]


def on_asyncio() -> bool:
    """Tell which of the two kinds of event loop is running."""
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


@asynccontextmanager
async def draining_on_signals(drain: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Call *drain*, that of an engine, at the first SIGINT or SIGTERM that comes while the context is open.

    The handlers that the server has set for them are called as before, and stand again afterwards. A signal that nobody
    handles still ends the process at once. In a thread that is not the main one, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told, soon = anyio.Event(), calls_soon()
    before: dict[int, _Handler] = {}

    def hear(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            soon(told.set)
        before[number](number, frame)

    for number in map(int, SIGNALS):
        handler = signal.getsignal(number)
        # Those that asyncio was given (`add_signal_handler`) hear by another way, which stays as it is.
        if callable(handler):
            before[number] = handler
            signal.signal(number, hear)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_when, told, drain)
            yield
            tasks.cancel_scope.cancel()
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)


async def _when(told: anyio.Event, drain: Callable[[], Awaitable[object]]) -> None:
    await told.wait()
    await drain()


async def signal_or_orphaned(signals: AsyncIterator[object], parent: int | None) -> None:
    """Wait for one of *signals*, or until the process that supervises this one has ended.

    Args:
        signals: what `anyio.open_signal_receiver` gives.
        parent: a descriptor that can be read once that process has ended; None where none supervises.
    """
    async with anyio.create_task_group() as either:
        if parent is not None:
            either.start_soon(_readable, parent, either.cancel_scope)
        await anext(signals)
        either.cancel_scope.cancel()


async def _readable(descriptor: int, waiting: anyio.CancelScope) -> None:
    await anyio.wait_readable(descriptor)
    waiting.cancel()


def calls_soon() -> Callable[[Callable[[], object]], object]:
    """Return what calls a function in the running loop: from any thread, from a signal handler, without waiting.

    anyio's own way from thread to loop waits for the loop.
    """
    if on_asyncio():
        return asyncio.get_running_loop().call_soon_threadsafe
    import trio

    return trio.lowlevel.current_trio_token().run_sync_soon
