"""How a handler is told that nobody waits for it any more."""

from __future__ import annotations

import anyio


class CancellationSignal:
    """Set once, when the client has gone, and never cleared (H2.30).

    An async handler is cancelled at the same moment and needs it only to tell the causes apart; a sync handler cannot
    be interrupted, so a long one looks at `is_set` between its steps.
    """

    def __init__(self) -> None:
        self._event = anyio.Event()

    def is_set(self) -> bool:
        """Tell whether the client has gone. May be called from any thread."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until the client has gone."""
        await self._event.wait()

    def set(self) -> None:
        """Say that the client has gone; the engine does."""
        self._event.set()
