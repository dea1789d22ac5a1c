"""Waiting for what any server writes: one connection that listens for all who wait at a store.

The engine behind the store tells of each write with the topic of its response or owner. Where the connection is lost it
is made again, with growing pauses, and everybody who waits looks for himself meanwhile. On asyncio only.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

import anyio
import attrs

from responses_stream.stores.base import Key

_log: Final = logging.getLogger("responses_stream")

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0

QUIET: Final = 30.0
"""How many seconds who waits trusts that he is told of everything, and who listens that he is connected."""

_CLOSING: Final = 1.0

LOOK: Final = 1.0
"""How many seconds pass between two looks of his own where nobody tells him."""

EVERYBODY: Final = "*"
"""The topic that concerns all who wait."""


def topic_of(of: Key | str) -> str:
    """Return the topic of a response or of an owner: short, and the same on every server."""
    said = f"o\0{of}" if isinstance(of, str) else f"r\0{of.partition}\0{of.response_id}"
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


@attrs.define(eq=False)
class News:
    """All who wait at one store.

    Attributes:
        engine: what the log calls the engine.
        listen: connects, and gives the topics as they are told; first an empty one, as soon as nothing will be missed.
            Raises where the connection cannot be made or is lost.
        failures: what is to be expected then; what else is raised is logged with its traceback.
        sleep: waits between two attempts.
    """

    engine: str
    listen: Callable[[], AsyncGenerator[str, None]]
    failures: tuple[type[Exception], ...]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _is_listening: bool = attrs.field(default=False, init=False)
    _topics: dict[str, dict[asyncio.Event, None]] = attrs.field(factory=dict, init=False)
    _task: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    _tried: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def wake(self, topic: str) -> None:
        """Wake those who wait for *topic*."""
        if topic == EVERYBODY:
            for waiting in self._topics.values():
                for event in waiting:
                    event.set()
        else:
            for event in self._topics.get(topic, ()):
                event.set()

    async def begin(self) -> None:
        """Begin to listen, where nobody does; returns once that has succeeded or failed for the first time."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._go_on(), name=f"responses_stream: news of {self.engine}")
        await self._tried.wait()

    @contextmanager
    def waiting(self, topic: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever *topic* is told, while the context is open."""
        event = asyncio.Event()
        self._topics.setdefault(topic, {})[event] = None
        try:
            yield event
        finally:
            same_topic = self._topics[topic]
            del same_topic[event]
            if not same_topic:
                del self._topics[topic]

    async def wait(self, told: asyncio.Event, until: float, longest: float = QUIET) -> bool:
        """Wait for news, or until it is time to look for oneself, by *longest* seconds at most; tell whether there is
        time left before *until*, by the clock of the event loop."""
        left = until - anyio.current_time()
        if left <= 0:
            return False
        with anyio.move_on_after(min(left, longest if self._is_listening else LOOK)):
            await told.wait()
        told.clear()
        return True

    async def aclose(self) -> None:
        """Listen no more, and wake all who wait, so that they see it."""
        task, self._task = self._task, None
        self._tried.set()  # a task that is cancelled before its first step will not do it
        self.wake(EVERYBODY)
        if task is None:
            return
        while not task.done():
            # A client may take its time to end what it was about; the second time it is asked, it does not.
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSING)

    async def _go_on(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                async with aclosing(self.listen()) as topics:
                    async for topic in topics:
                        if not self._is_listening:
                            self._is_listening, pause = True, _FIRST_PAUSE
                            self._tried.set()
                            topic = EVERYBODY  # what was told before is not known
                        self.wake(topic)
            except Exception as error:
                unexpected = not isinstance(error, self.failures)
                told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                _log.warning(
                    "%s tells no news (%s); trying again in %g s", self.engine, told, pause, exc_info=unexpected
                )
            finally:
                self._is_listening = False
                self._tried.set()
            self.wake(EVERYBODY)
            await self.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
