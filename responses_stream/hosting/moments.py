"""`Moment`: something that happens once, and can be waited for.

An idle stream has several, and hardly any is ever waited for; an event of anyio takes most of a kilobyte, so there is
none before somebody waits.
"""

from __future__ import annotations

import anyio
import anyio.lowlevel


class Moment:
    """Set once, and never cleared. `set` and `wait` are for the event loop, `is_set` may be asked from any thread."""

    __slots__ = ("_event", "_set")

    def __init__(self) -> None:
        self._set = False
        self._event: anyio.Event | None = None

    def is_set(self) -> bool:
        """Tell whether it has come."""
        return self._set

    def set(self) -> None:
        """Say that it has come, and wake all who wait."""
        self._set = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Wait until it has come."""
        if self._set:
            await anyio.lowlevel.checkpoint()
            return
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()
