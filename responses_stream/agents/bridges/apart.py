"""`apart`: what a framework streams, iterated in a task of its own.

Frameworks of asyncio expect to be cancelled once, and clean up while they wait for one thing or another. A cancel scope
of anyio cancels again at each of these waits. So the framework gets a task that nobody cancels but this module, once.
It is read as fast as it streams: what it said before it failed is not lost because a client was slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, TypeVar

import anyio

__all__ = ["apart"]

T = TypeVar("T")

_STOPPING_SECONDS: Final = 5.0
"""How long a run that nobody listens to any more may take to stop."""


async def apart(source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield what *source* yields. Who closes this cancels it, and waits until it has stopped.

    Raises:
        Exception: what *source* raised.
        RuntimeError: this is not asyncio.
    """
    loop = asyncio.get_running_loop()
    said: asyncio.Queue[Any] = asyncio.Queue()
    end = object()

    async def read() -> None:
        try:
            async for one in source:
                said.put_nowait(one)
        finally:
            said.put_nowait(end)
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    reading = loop.create_task(read())
    try:
        while (one := await said.get()) is not end:
            yield one
        await reading
    finally:
        reading.cancel()
        with anyio.move_on_after(_STOPPING_SECONDS, shield=True):
            await asyncio.wait({reading})
        if reading.done() and not reading.cancelled():
            # Who raised it was heard above, or nobody listens any more.
            reading.exception()
