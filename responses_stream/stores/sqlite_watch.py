"""Waiting for what others write: one poller for all who wait, and none while nobody does.

SQLite tells nobody of a change, but it counts them: `PRAGMA data_version` on the connection that writes changes with
the commits of everybody else. One of those who wait looks at it now and then, in a worker thread, and only where it has
changed looks further, for all of them at once. What this store writes itself wakes those it concerns directly.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
import attrs

_QUIET_INTERVALS: Final = 3
"""How many intervals pass between two looks while nothing is written: most of an idle server's time goes there."""


@attrs.define(eq=False)
class Waiter:
    """One task that waits.

    Attributes:
        topic: what it waits for; `Watch.wake` wakes by it.
        is_due: looks whether it has waited enough; called in a worker thread.
        woken: whether it has.
        turn: set when it is woken, or may have to take over the polling.
    """

    topic: Hashable
    is_due: Callable[[sqlite3.Connection], bool]
    woken: bool = False
    turn: anyio.Event = attrs.field(factory=anyio.Event)


def due(connection: sqlite3.Connection, waiters: Sequence[Waiter]) -> tuple[int, Sequence[Waiter]]:
    """Return the version of the data, and those of *waiters* who have waited enough.

    On the connection that writes, in a worker thread.
    """
    [version] = connection.execute("PRAGMA data_version").fetchone()
    return version, [waiter for waiter in waiters if waiter.is_due(connection)]


class Watch:
    """All who wait at one store.

    Args:
        poll: runs `due` in a worker thread.
        is_untouched: tells cheaply, on the event loop, that nothing was written since it was asked last; False where it
            is not sure.
    """

    def __init__(
        self,
        poll: Callable[[Sequence[Waiter]], Awaitable[tuple[int, Sequence[Waiter]]]],
        is_untouched: Callable[[], bool],
    ) -> None:
        self._poll, self._is_untouched = poll, is_untouched
        self._version: int | None = None
        self._unasked: list[Waiter] = []
        self._topics: dict[Hashable, dict[Waiter, None]] = {}
        self._leader: Waiter | None = None
        self._rest: anyio.CancelScope | None = None

    def wake(self, topic: Hashable) -> None:
        """Wake those who wait for *topic*."""
        for waiter in self._topics.get(topic, ()):
            self._wake(waiter)

    def wake_all(self) -> None:
        """Wake all."""
        for topic in self._topics:
            self.wake(topic)

    @contextmanager
    def waiting(self, waiter: Waiter) -> Iterator[None]:
        """Let *waiter* be woken while the context is open."""
        self._topics.setdefault(waiter.topic, {})[waiter] = None
        try:
            yield
        finally:
            same_topic = self._topics[waiter.topic]
            del same_topic[waiter]
            if not same_topic:
                del self._topics[waiter.topic]
            if self._leader is None:
                self._pass_on()

    async def wait(self, waiter: Waiter, seconds: float, interval: float) -> None:
        """Wait until *waiter*, which is `waiting`, is woken, for at most *seconds*.

        There is a look at once, shared by all who come at the same time, and then one every *interval* seconds, or
        every few of these while nobody writes.
        """
        self._unasked.append(waiter)
        if self._rest is not None:
            self._rest.cancel()
        with anyio.move_on_after(seconds):
            while not waiter.woken:
                if self._leader is None:
                    await self._lead(waiter, interval)
                else:
                    await waiter.turn.wait()
                    waiter.turn = anyio.Event()

    async def _lead(self, waiter: Waiter, interval: float) -> None:
        self._leader = waiter
        try:
            while not waiter.woken:
                # A sleep that is cut short, where there is a reason to look again; the reason may come during the look.
                self._rest = rest = anyio.CancelScope()
                is_quiet = await self._look()
                with rest:
                    await anyio.sleep(interval * _QUIET_INTERVALS if is_quiet else interval)
        finally:
            self._leader = self._rest = None

    async def _look(self) -> bool:
        """Wake those who have waited enough; tell whether nobody has written anything for a while."""
        # A commit between the first look of a waiter and the version that was seen here last would be missed, had not
        # each who is new been asked once more.
        if not self._unasked and self._is_untouched():
            return True
        unasked, self._unasked = self._unasked, []
        try:
            version, found = await self._poll(unasked)
            if version != self._version:
                everybody = [waiter for same_topic in self._topics.values() for waiter in same_topic]
                _, found = await self._poll(everybody)
                self._version = version
        except BaseException:
            self._unasked += unasked  # who looks for all can be cancelled on the way; the next one asks again
            raise
        for waiter in found:
            self._wake(waiter)
        return False

    def _wake(self, waiter: Waiter) -> None:
        waiter.woken = True
        waiter.turn.set()
        if waiter is self._leader and self._rest is not None:
            self._rest.cancel()

    def _pass_on(self) -> None:
        """Let somebody who still waits take over the polling."""
        for same_topic in self._topics.values():
            for waiter in same_topic:
                if not waiter.woken:
                    waiter.turn.set()
                    return
