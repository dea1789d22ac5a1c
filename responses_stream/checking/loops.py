"""An event loop in a thread of its own, which can be left behind.

Somebody's handler may never come to an end: a sync one hangs in its thread, an async one keeps the loop from running.
Neither can be stopped from outside. Both are daemons here, so that the process can end all the same.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import anyio
from anyio.from_thread import BlockingPortal

T = TypeVar("T")

_PARTING = 2.0
"""How long to wait for what was cancelled. What is still there then is left behind."""


class LoopThread:
    """Runs coroutines in a loop of its own, inside the context that *around* makes.

    It may be used where another loop is running, as in a notebook.
    """

    def __init__(self, around: Callable[[], AbstractAsyncContextManager[None]], backend: str) -> None:
        self._around, self._backend = around, backend
        self._portal: Future[BlockingPortal] = Future()
        # Worker threads take after the thread that starts them.
        self._thread = threading.Thread(target=self._main, name="responses-stream check", daemon=True)
        self._thread.start()

    @property
    def thread(self) -> int:
        """The identifier of the thread."""
        return self._thread.ident or 0

    def run(self, call: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Return what *call* returns.

        Raises:
            TimeoutError: it did not return within *seconds*, for the loop does not run.
            Exception: whatever the call raised.
        """
        return self._portal.result().start_task_soon(call).result(seconds)

    def leave(self, *, hanging: bool = False) -> None:
        """End the loop; one in which something is *hanging* is left behind, and ends if that goes on."""
        # Whatever is asked of a blocked loop waits for it, so somebody else asks.
        threading.Thread(target=self._stop, daemon=True).start()
        if not hanging:
            self._thread.join(_PARTING)

    def _stop(self) -> None:
        portal = self._portal.result()
        # Where the loop has ended already, there is nothing to stop.
        with contextlib.suppress(RuntimeError):
            portal.start_task_soon(portal.stop, True)

    def _main(self) -> None:
        try:
            anyio.run(self._serve, backend=self._backend)
        except BaseException as error:
            if not self._portal.done():
                self._portal.set_exception(error)

    async def _serve(self) -> None:
        async with self._around(), BlockingPortal() as portal:
            self._portal.set_result(portal)
            await portal.sleep_until_stopped()
