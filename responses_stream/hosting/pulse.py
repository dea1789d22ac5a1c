"""`Pulse`: calls all who wait when their patience is over, with one task and one timer for all of them.

A thousand idle streams each with a timer of its own would cost more than all else that an idle stream holds; and the
timers of writes that are over at once would be half of what such a write costs.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio


class Pulse:
    """Who waits, and until when. All wait equally long, so who came first is due first."""

    def __init__(self) -> None:
        self._due: dict[Callable[[], None], float] = {}
        self._arrival: anyio.Event | None = None

    def add(self, wake: Callable[[], None], due: float) -> None:
        """Let *wake* be called at the time *due* of the event loop, once, unless it is removed before."""
        self._due.pop(wake, None)
        self._due[wake] = due
        if self._arrival is not None:
            self._arrival.set()

    def remove(self, wake: Callable[[], None]) -> None:
        """Forget *wake*."""
        self._due.pop(wake, None)

    async def beat(self) -> None:
        """Go on for ever, until the task is cancelled."""
        while True:
            if not self._due:
                self._arrival = anyio.Event()
                await self._arrival.wait()
                self._arrival = None
            first = next(iter(self._due.values()), None)
            if first is None:
                continue
            await anyio.sleep_until(first)
            now = anyio.current_time()
            while self._due:
                wake, due = next(iter(self._due.items()))
                if due > now:
                    break
                del self._due[wake]
                wake()
