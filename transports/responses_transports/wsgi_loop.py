"""The event loop that WSGI has not: one for each process, in a thread of its own, with the engine's lifespan open.

It is started by the first request that needs it, so that a server which loads the application and then forks gets a
loop in every child, and is ended by `close`, or when the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final
from weakref import WeakSet

import anyio
import attrs
from anyio.abc import TaskGroup

from responses_stream.hosting.http import Engine, HttpRequest
from responses_transports.signals import calls_soon
from responses_transports.wsgi_handover import Handover

LAST_WORDS_SECONDS: Final = 5.0
"""How long replies may go on when the engine has drained."""

_log: Final = logging.getLogger("responses_stream")


class EngineLoop:
    """A running event loop with an engine in it.

    Args:
        engine: what answers.
        backend: what anyio runs on: ``asyncio`` or ``trio``.

    Raises:
        Exception: the engine cannot be started.
    """

    def __init__(self, engine: Engine, backend: str) -> None:
        self._engine, self._backend = engine, backend
        self._under_way: set[Handover] = set()
        self._waiting: deque[tuple[Context, Callable[[], Coroutine[Any, Any, None]]]] = deque()
        self._ended = False
        self._drained: Future[None] | None = None
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="responses-stream", daemon=True)
        self._thread.start()
        started.result()

    @property
    def ended(self) -> bool:
        """Whether it answers no requests any more."""
        return self._ended or not self._thread.is_alive()

    def begin(self, request: HttpRequest, body_follows: bool) -> Handover:
        """Let the engine answer *request*; where its body follows, the engine asks for it when it wants it.

        Raises:
            RuntimeError: the loop has ended.
        """
        handover = Handover(self._soon)
        asked = attrs.evolve(request, body=handover) if body_follows else request
        self._under_way.add(handover)
        self._start(self._play, handover, asked)
        return handover

    def drain(self) -> Future[None]:
        """Let the engine take nothing new; the result is there when what was under way has ended. Does not wait."""
        if self._drained is None:
            self._drained = Future()
            try:
                self._start(self._drain, self._drained)
            except RuntimeError:
                self._drained.set_result(None)
        return self._drained

    def close(self) -> None:
        """Leave the engine's lifespan, which drains it, and wait until the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self._soon(lambda: self._stop.set())
        self._thread.join()

    def _start(self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        """Let a task begin in the loop, in the context of the calling thread."""
        self._waiting.append((copy_context(), partial(function, *arguments)))
        self._soon(lambda: self._arrived.set())

    def _run(self, started: Future[None]) -> None:
        try:
            anyio.run(self._live, started, backend=self._backend)
        except BaseException as error:
            if started.done():
                _log.exception("the event loop of the engine has failed")
            else:
                started.set_exception(error)
        finally:
            self._ended = True
            for handover in list(self._under_way):
                handover.abandon()
            if self._drained is not None and not self._drained.done():
                self._drained.set_result(None)

    async def _live(self, started: Future[None]) -> None:
        self._soon = calls_soon()
        self._stop, self._arrived = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as taking:
                async with self._engine.lifespan():
                    taking.start_soon(self._take, tasks)
                    started.set_result(None)
                    await self._stop.wait()
                self._ended = True
                taking.cancel_scope.cancel()
            tasks.cancel_scope.deadline = anyio.current_time() + LAST_WORDS_SECONDS

    async def _take(self, tasks: TaskGroup) -> None:
        # The callbacks of a loop cannot start tasks: on asyncio, anyio does not know there where it is.
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while self._waiting:
                context, function = self._waiting.popleft()
                context.run(tasks.start_soon, function)

    async def _play(self, handover: Handover, request: HttpRequest) -> None:
        try:
            await handover.play(self._engine, request)
        finally:
            self._under_way.discard(handover)

    async def _drain(self, drained: Future[None]) -> None:
        try:
            await self._engine.drain()
        except Exception:
            _log.exception("the engine could not be drained")
        drained.set_result(None)


@attrs.define(eq=False)
class _Own:
    """What one process has of an engine."""

    lock: threading.Lock = attrs.field(factory=threading.Lock)
    loop: EngineLoop | None = None
    draining: bool = False


class LoopOfProcess:
    """Finds the loop of the running process, and starts it when it is needed.

    Args:
        engine: what answers.
        backend: as for `EngineLoop`.
    """

    def __init__(self, engine: Engine, backend: str) -> None:
        self._engine, self._backend = engine, backend
        # By process: what a fork finds here has neither a thread nor locks that anybody will ever release.
        self._owns: dict[int, _Own] = {}

    def running(self) -> EngineLoop:
        """Return the loop, started if need be; who asks in the meantime waits.

        Raises:
            Exception: the engine cannot be started. The next call tries again.
        """
        own = self._own()
        loop = own.loop
        if loop is not None and not loop.ended:
            return loop
        with own.lock:
            if own.loop is None or own.loop.ended:
                _close_at_exit(self)
                own.loop = EngineLoop(self._engine, self._backend)
                if own.draining:
                    own.loop.drain()
            return own.loop

    def drain(self) -> Future[None]:
        """Let the engine take nothing new, also if it is started later. Does not wait, and takes no lock."""
        own = self._own()
        own.draining = True
        loop = own.loop
        if loop is not None:
            return loop.drain()
        drained: Future[None] = Future()
        drained.set_result(None)
        return drained

    def close(self) -> None:
        """Drain the engine, and end the loop. The next request starts another."""
        own = self._own()
        with own.lock:
            loop, own.draining = own.loop, False
            if loop is not None:
                loop.close()
            own.loop = None

    def _own(self) -> _Own:
        own = self._owns.get(pid := os.getpid())
        return own or self._owns.setdefault(pid, _Own())


_loops: Final[WeakSet[LoopOfProcess]] = WeakSet()
_registered: Final[list[int]] = []


def _close_at_exit(loop: LoopOfProcess) -> None:
    _loops.add(loop)
    if not _registered:
        _registered.append(os.getpid())
        # What `atexit` calls comes after the threads were waited for, those of the loop and of the server program
        # among them, and they wait for the engine. This is how `concurrent.futures` gets in earlier.
        getattr(threading, "_register_atexit", atexit.register)(_close_all)


def _close_all() -> None:
    for loop in list(_loops):
        loop.close()
