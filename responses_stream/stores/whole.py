"""A write that is cancelled is written as a whole or not at all, and that is settled before its caller goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def settled(write: Coroutine[Any, Any, T]) -> T:
    """Run *write* to its end, in a task of its own, and only then let the caller be cancelled.

    A server goes on with what it was told, whether anybody waits for the answer or not; who is cancelled and looks at
    once has to see what became of it. On asyncio only.
    """
    task = asyncio.ensure_future(write)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError:
                    continue  # a bare task may be cancelled again, and knows no shield
        raise
