"""What a run has said and its client has not yet taken: frames, bounded in bytes.

The run never waits for a socket, only for room; the reader takes all that is there at once, so that a burst costs one
write and a lone token none of the delay that a timer would add.
"""

from __future__ import annotations

from typing import Final

import anyio

MOST_BYTES: Final = 64 * 1024
"""How far a run may be ahead of its client (H13.7)."""


class Outbox:
    """Frames on their way from one run to one reader, both in the same event loop."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._frames: list[bytes] = []
        self._size = 0
        self._arrival: anyio.Event | None = None
        self._departure: anyio.Event | None = None
        self.ended = False

    def put(self, frame: bytes) -> None:
        """Add a frame, also where there is no `room`: what has to be said last is said."""
        self._frames.append(frame)
        self._size += len(frame)
        self._wake_reader()

    def end(self) -> None:
        """Say that no frame will come any more."""
        self.ended = True
        self._wake_reader()

    @property
    def full(self) -> bool:
        """Whether the run is so far ahead that it has to wait for `room`."""
        return self._size >= self._most

    async def room(self) -> None:
        """Wait until the reader has taken what is there."""
        if self.full:
            self._departure = anyio.Event()
            await self._departure.wait()

    async def filled(self) -> None:
        """Wait until there is a frame to take, or none can come any more."""
        if not self._frames and not self.ended:
            self._arrival = anyio.Event()
            await self._arrival.wait()

    async def take(self) -> bytes:
        """Return all frames that are there, waiting for one if need be; empty once there is no more."""
        await self.filled()
        frames = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        if self._departure is not None:
            self._departure.set()
            self._departure = None
        return frames

    def _wake_reader(self) -> None:
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None
