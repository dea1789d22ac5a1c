"""Who owns the runs: one task group for each event loop, so that a run outlives the call that began it.

A transport that has a start and an end opens `RunOwner.lifespan`. Where none did, the first run starts the owner as a
task of the loop's own. This is the only module that knows which async backend is running.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import attrs
from anyio.abc import TaskGroup
from anyio.lowlevel import RunVar

from responses_stream.hosting.pulse import Pulse

_AGAIN_SECONDS: Final = 30.0
"""How long a task that was cancelled may write its end; asyncio knows no shield, and a second word would cut it off."""

_log: Final = logging.getLogger("responses_stream")


@attrs.define(eq=False)
class Home:
    """Where the runs of one event loop live.

    Attributes:
        threads: how many sync handlers run at once.
        tasks: the group of all tasks; there is one once *ready* is set.
        pulse: wakes streams that have been silent for long.
        writes: cancels writes of the store that take too long.
        lifetimes: tells WebSockets that they are old.
        ready: set when tasks can be started.
        shutdown: set when the server has begun to end (H15.7).
        attended: set when the store was asked what the processes before this one have left; None where nobody has begun
            to.
    """

    threads: anyio.CapacityLimiter
    pulse: Pulse = attrs.field(factory=Pulse)
    writes: Pulse = attrs.field(factory=Pulse)
    lifetimes: Pulse = attrs.field(factory=Pulse)
    ready: anyio.Event = attrs.field(factory=anyio.Event)
    tasks: TaskGroup = attrs.field(init=False)
    shutdown: anyio.Event = attrs.field(factory=anyio.Event)
    attended: anyio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = attrs.field(init=False, default=None)
    _running: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        if _on_asyncio():
            self._loop = asyncio.get_running_loop()

    def start(self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        """Run an async function as a task that lives on when the caller has gone."""
        if self._loop is None:
            self.tasks.start_soon(function, *arguments)
            return
        # Not in the group: what that keeps of each task is a third of what an idle stream holds.
        task = self._loop.create_task(function(*arguments))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the server has failed", exc_info=error)

    async def end(self) -> None:
        """Cancel all tasks; those of the group have ended when it is left, the others when this returns."""
        self.tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            while self._running:
                for task in self._running:
                    task.cancel()
                # One that has caught it is told again, as a scope would.
                await asyncio.wait(self._running, timeout=_AGAIN_SECONDS)


class RunOwner:
    """Finds the home of the running loop; what runs there is cancelled when the loop or the lifespan ends.

    Args:
        max_threads: how many sync handlers run at once, each in a thread of its own.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._homes: RunVar[Home] = RunVar("the home of the runs of a ResponsesServer")

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Own the runs while the context is open; leaving it cancels them and waits until they have ended."""
        home = Home(anyio.CapacityLimiter(self._max_threads))
        before = self._homes.set(home)
        try:
            async with anyio.create_task_group() as home.tasks:
                home.tasks.start_soon(home.pulse.beat)
                home.tasks.start_soon(home.writes.beat)
                home.tasks.start_soon(home.lifetimes.beat)
                home.ready.set()
                try:
                    yield
                finally:
                    await home.end()
        finally:
            self._homes.reset(before)

    @property
    def current(self) -> Home | None:
        """The home of the running loop, if there is one."""
        return self._homes.get(None)

    async def home(self) -> Home:
        """Return the home of the running loop, ready to start tasks that live on when the caller has gone."""
        home = self._homes.get(None)
        if home is None:
            home = Home(anyio.CapacityLimiter(self._max_threads))
            self._homes.set(home)
            _keep_open(home)
        if not home.ready.is_set():
            await home.ready.wait()
        return home


def _keep_open(home: Home) -> None:
    """Let the runs live in a task of the event loop itself, until the loop cancels it."""

    async def keep() -> None:
        async with anyio.create_task_group() as home.tasks:
            home.tasks.start_soon(home.lifetimes.beat)
            home.tasks.start_soon(home.writes.beat)
            home.ready.set()
            await home.pulse.beat()

    if _on_asyncio():
        keeper = asyncio.get_running_loop().create_task(keep())
        home._running.add(keeper)  # a loop holds its tasks weakly
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
