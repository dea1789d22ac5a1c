"""Who owns the runs: one task for each event loop, so that a run outlives the call that began it.

A transport that has a start and an end opens `RunOwner.lifespan`. Where none did, the first run starts the owner as a
task of the loop's own. This is the only module that knows which async backend is running.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import anyio
import attrs
from anyio.abc import TaskGroup
from anyio.lowlevel import RunVar


@attrs.define(eq=False)
class _Home:
    """Where the runs of one event loop live; *tasks* is there once *ready* is set."""

    threads: anyio.CapacityLimiter
    ready: anyio.Event = attrs.field(factory=anyio.Event)
    tasks: TaskGroup | None = None
    keeper: asyncio.Task[None] | None = None


class RunOwner:
    """Starts runs, and cancels those that are left when the loop or the lifespan ends.

    Args:
        max_threads: how many sync handlers run at once, each in a thread of its own.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._homes: RunVar[_Home] = RunVar("the home of the runs of a ResponsesServer")

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Own the runs while the context is open; leaving it cancels them and waits until they have ended."""
        home = _Home(anyio.CapacityLimiter(self._max_threads))
        before = self._homes.set(home)
        try:
            async with anyio.create_task_group() as home.tasks:
                home.ready.set()
                try:
                    yield
                finally:
                    home.tasks.cancel_scope.cancel()
        finally:
            self._homes.reset(before)

    async def start(self, run: Callable[[anyio.CapacityLimiter], Coroutine[object, object, None]]) -> None:
        """Start *run* as a task that lives on when the caller has gone; it is given the limit on threads."""
        home = self._homes.get(None)
        if home is None:
            home = _Home(anyio.CapacityLimiter(self._max_threads))
            self._homes.set(home)
            _keep_open(home)
        await home.ready.wait()
        assert home.tasks is not None
        home.tasks.start_soon(run, home.threads)


def _keep_open(home: _Home) -> None:
    """Let the runs live in a task of the event loop itself, until the loop cancels it."""

    async def keep() -> None:
        async with anyio.create_task_group() as home.tasks:
            home.ready.set()
            await anyio.sleep_forever()

    if _on_asyncio():
        home.keeper = asyncio.get_running_loop().create_task(keep())  # a loop holds its tasks weakly
    else:
        import trio

        trio.lowlevel.spawn_system_task(keep)


def cancelled_from_outside() -> bool:
    """Tell, where a cancellation was caught, whether the running task is really being cancelled (H20.9).

    It is not where a handler raised that exception of its own accord.
    """
    if anyio.current_effective_deadline() == -math.inf:
        return True
    task = asyncio.current_task() if _on_asyncio() else None
    return task is not None and task.cancelling() > 0


def _on_asyncio() -> bool:
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError
