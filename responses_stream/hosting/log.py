"""The log of a response while it is in the making: encoded events, in order, for any number of readers.

The run adds frames; when they may be seen they are shown, and every reader that waits is woken by one event. Readers
have a position and nothing else here, so a slow one costs an integer. How much is held in memory is the log's
`Keeping`; what is held no more has to come from the store.
"""

from __future__ import annotations

import enum
from typing import Final

import anyio

MOST_UNREAD: Final = 64 * 1024
"""How many bytes a run may be ahead of its one reader (H13.7)."""

MOST_UNSAVED: Final = 4 * 1024 * 1024
"""How many bytes a run may be ahead of the store: the more it is handed at once, the less each event costs."""

WINDOW: Final = 256 * 1024
"""How many bytes of shown events are held for readers of a log that the store has as well."""


class Keeping(enum.Enum):
    """What becomes of the frames that were shown."""

    NOTHING = enum.auto()
    """Nobody reads them here."""
    UNTIL_TAKEN = enum.auto()
    """There is one reader; the run waits where that is behind."""
    WINDOW = enum.auto()
    """The newest are held; the store has all."""
    ALL = enum.auto()
    """All are held: further readers may come, and there is no other place to read them from."""


class Log:
    """The frames of one response, numbered from 0.

    Attributes:
        first: the number of the first frame that is held.
        shown: the number of the first frame that may not be seen yet.
        size: how many bytes were added in all.
        ended: whether nothing will be shown any more.
    """

    __slots__ = (
        "_addition",
        "_arrival",
        "_frames",
        "_keeping",
        "_kept",
        "_most",
        "_room",
        "_waiting",
        "ended",
        "first",
        "shown",
        "size",
    )

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._most = MOST_UNREAD if keeping is Keeping.UNTIL_TAKEN else MOST_UNSAVED
        self._frames: list[bytes] = []
        self._kept = self._waiting = 0
        self._addition: anyio.Event | None = None
        self._arrival: anyio.Event | None = None
        self._room: anyio.Event | None = None
        self.first = self.shown = self.size = 0
        self.ended = False

    def begin_at(self, number: int) -> None:
        """Let the first frame here have this number: those before it are in the store only."""
        self.first = self.shown = number

    @property
    def length(self) -> int:
        """The number of the next frame to be added."""
        return self.first + len(self._frames)

    @property
    def full(self) -> bool:
        """Whether the run is so far ahead that it has to wait for `room`."""
        return self._waiting >= self._most

    def add(self, frame: bytes) -> bool:
        """Add a frame, also where the log is `full`: what has to be said last is said. Tell whether it is full now."""
        self._frames.append(frame)
        size = len(frame)
        self.size += size
        self._waiting += size
        if self._addition is not None:
            self._addition.set()
            self._addition = None
        return self._waiting >= self._most

    def put(self, frame: bytes) -> bool:
        """Add a frame that may be seen at once, and tell whether the log is `full`. Most tokens take this way."""
        size = len(frame)
        self.size += size
        self.shown += 1
        if self._keeping is Keeping.NOTHING:
            self.first += 1
            return False
        self._frames.append(frame)
        if self._keeping is Keeping.UNTIL_TAKEN:
            self._waiting += size
        else:
            self._kept += size
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None
        return self._waiting >= self._most

    def hidden(self) -> list[bytes]:
        """Return the frames that were added and not shown."""
        return self._frames[self.shown - self.first :]

    def drop_hidden(self) -> None:
        """Forget the frames that were added and not shown: they were never said."""
        hidden = self.hidden()
        del self._frames[self.shown - self.first :]
        self._release(hidden)

    def show(self, upto: int | None = None) -> None:
        """Let readers see the frames below the number *upto*; all of them by default."""
        before = self.shown
        self.shown = self.length if upto is None else upto
        if self._keeping is not Keeping.UNTIL_TAKEN:
            self._kept += self._release(self._frames[before - self.first : self.shown - self.first])
            self._trim()
        self._wake()

    def end(self) -> None:
        """Say that nothing will be shown any more."""
        self.ended = True
        self._wake()
        if self._addition is not None:
            self._addition.set()
        if self._room is not None:
            self._room.set()

    def read(self, position: int) -> list[bytes]:
        """Return all frames that may be seen from *position* on, which must not lie before `first`."""
        frames = self._frames[position - self.first : self.shown - self.first]
        if self._keeping is Keeping.UNTIL_TAKEN and frames:
            del self._frames[: len(frames)]
            self.first = self.shown
            self._release(frames)
        return frames

    def arrival(self, position: int) -> anyio.Event | None:
        """Return what a reader has to wait for before it reads at *position*; None where it need not wait.

        It is set when a frame is shown, when none can come any more, and by `wake`.
        """
        if self.shown > position or self.ended:
            return None
        if self._arrival is None:
            self._arrival = anyio.Event()
        return self._arrival

    def wake(self) -> None:
        """Let all readers that wait look up, though there is nothing new."""
        self._wake()

    async def added(self) -> None:
        """Wait until there is a frame that was not shown, or none can come. There is one task that waits for it."""
        while self.length == self.shown and not self.ended:
            self._addition = anyio.Event()
            await self._addition.wait()

    async def room(self) -> None:
        """Wait until the run is no longer too far ahead."""
        while self.full and not self.ended:
            self._room = anyio.Event()
            await self._room.wait()

    def _release(self, frames: list[bytes]) -> int:
        size = sum(map(len, frames))
        self._waiting -= size
        if self._room is not None and not self.full:
            self._room.set()
            self._room = None
        return size

    def _trim(self) -> None:
        """Forget what is not kept. In strides of half a window: to cut off the front of a list costs its length."""
        count, held = 0, self.shown - self.first
        if self._keeping is Keeping.NOTHING:
            count, self._kept = held, 0
        elif self._keeping is Keeping.WINDOW and self._kept > WINDOW:
            while self._kept > WINDOW // 2 and count < held:
                self._kept -= len(self._frames[count])
                count += 1
        del self._frames[:count]
        self.first += count

    def _wake(self) -> None:
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None
