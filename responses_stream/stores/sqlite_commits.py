"""Group commit: what many tasks write at once goes into one transaction and one hop to a thread.

Whoever finds nobody at work takes all that is waiting and commits it; what comes meanwhile waits for the next turn.
Under load the groups grow by themselves, and a lone write waits for nobody.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
import attrs

from responses_stream.stores.base import StoreError

T = TypeVar("T")


@attrs.define(eq=False)
class _Write(Generic[T]):
    """One operation, and what became of it."""

    operation: Callable[[sqlite3.Connection], T]
    done: bool = False
    result: T | None = None
    error: BaseException | None = None
    turn: anyio.Event = attrs.field(factory=anyio.Event)

    def attempt(self, connection: sqlite3.Connection) -> bool:
        """Run the operation; return whether what it wrote can be committed."""
        self.error = None
        try:
            self.result = self.operation(connection)
        except StoreError as error:
            self.error = error  # it was refused before it changed anything
        except Exception as error:
            self.error = error
            return False
        return True

    def finish(self) -> T:
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # an operation that raised nothing has returned it


class Commits:
    """The one writer of a store.

    Args:
        connection: opens the connection, or returns it; called in a worker thread.
    """

    def __init__(self, connection: Callable[[], sqlite3.Connection]) -> None:
        self._connection = connection
        self._waiting: list[_Write[object]] = []
        self._busy = False
        self.lock = threading.Lock()
        """Held in a worker thread while the connection is used."""

    @property
    def is_busy(self) -> bool:
        """Whether something is being written or waits for its turn."""
        return self._busy or bool(self._waiting)

    async def write(self, operation: Callable[[sqlite3.Connection], T], threads: anyio.CapacityLimiter) -> T:
        """Run *operation* in a transaction and return what it returns once that is committed.

        Nothing cancels it on the way: it is written, or it raises. A `StoreError` that it raises undoes nothing of the
        others, so it has to be raised before anything was written; any other error undoes the operation.
        """
        write: _Write[T] = _Write(operation)
        self._waiting.append(write)  # type: ignore[arg-type]  # a list of writes of anything
        with anyio.CancelScope(shield=True):
            while not write.done:
                if self._busy:
                    await self._wait(write)
                else:
                    await self._lead(threads)
        return write.finish()

    async def _wait(self, write: _Write[T]) -> None:
        try:
            await write.turn.wait()
        except BaseException:
            # asyncio's own `Task.cancel` goes through the shield: what nobody waits for is not written.
            self._waiting = [other for other in self._waiting if other is not write]
            if not self._busy:
                self._pass_on()
            raise
        write.turn = anyio.Event()

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting[0].turn.set()

    async def _lead(self, threads: anyio.CapacityLimiter) -> None:
        self._busy = True
        group, self._waiting = self._waiting, []
        try:
            try:
                await anyio.to_thread.run_sync(self._commit, group, limiter=threads)
            except BaseException:
                # Cancelled like that, the thread is still at work, and others wait for this group: asking again waits
                # for that thread, or does its work where it was never started.
                await anyio.to_thread.run_sync(self._commit, group, limiter=threads)
                raise
        finally:
            self._busy = False
            for write in group:
                write.turn.set()
            self._pass_on()

    def _commit(self, group: list[_Write[object]]) -> None:
        """Write what is not done yet, all of it in one transaction; in a worker thread."""
        with self.lock:
            left = [write for write in group if not write.done]
            undone = left
            try:
                while undone:
                    broken = self._transact(undone)
                    # Rarely so: one has broken, and took the others back with it. They are written without it.
                    undone = [write for write in undone if write is not broken] if broken is not None else []
            except BaseException as error:  # it is raised in each of the tasks that wait
                for write in undone:
                    write.error = error
            finally:
                for write in left:
                    write.done = True

    def _transact(self, writes: list[_Write[object]]) -> _Write[object] | None:
        """Write all, or nothing; then return the one at which it broke."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for write in writes:
                if not write.attempt(connection):
                    return write
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return None
