"""Why a run has to stop, and how its handler is told: a flag, something to wait for, and in the end a cancelled scope.

An async handler is cancelled when its time is over; with the signal it can tell the causes apart, and finish in its own
way before. A sync handler cannot be interrupted: a long one looks at `is_set` between its steps, and each is stopped at
the next event that it says.
"""

from __future__ import annotations

import enum

from responses_stream.hosting.moments import Moment


class Cause(enum.Enum):
    """Why a run was told to stop (H18.60 to H18.64)."""

    CLIENT_GONE = "client_gone"
    """The client of a foreground run has left (decision 13)."""
    CANCELLED = "cancelled"
    """Somebody posted to its cancel endpoint."""
    SHUTTING_DOWN = "shutting_down"
    """The server is about to end (decision 28). What the handler says until its grace is over counts."""
    TIMED_OUT = "timed_out"
    """It has run longer than the server lets a handler run."""
    TOO_LARGE = "too_large"
    """It has said more than a log may hold."""
    CONNECTION_OVER = "connection_over"
    """The WebSocket that it is told on has lived as long as it may (W8)."""
    STORE_FAILED = "store_failed"
    """The store does not take what it says: it has trouble, or the response is not there any more."""

    @property
    def by_client(self) -> bool:
        """Whether a client wanted it: then, and only then, the response ends as cancelled (H18.65)."""
        return self in (Cause.CLIENT_GONE, Cause.CANCELLED)


class CancellationSignal:
    """Set once, when the run has to stop, and never cleared (H2.30).

    Attributes:
        cause: why; None while it is not set.
    """

    __slots__ = ("_moment", "cause")

    def __init__(self) -> None:
        self._moment = Moment()
        self.cause: Cause | None = None

    def is_set(self) -> bool:
        """Tell whether the run has to stop. May be called from any thread."""
        return self.cause is not None

    async def wait(self) -> None:
        """Wait until the run has to stop."""
        await self._moment.wait()

    def set(self, cause: Cause = Cause.CLIENT_GONE) -> None:
        """Say that the run has to stop; the engine does. The first cause stays, unless a client comes after it."""
        if self.cause is None or (cause.by_client and not self.cause.by_client):
            self.cause = cause
        self._moment.set()
