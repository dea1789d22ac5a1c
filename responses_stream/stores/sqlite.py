"""Responses in one SQLite file that the processes of a machine share: `SqliteStore`.

All work on the file is done in worker threads. Writes go through one connection, gathered into common transactions
(`sqlite_commits`); reads go through a few others and are held up by no write. What changes is noticed by a look at the
file every few hundredths of a second, one for all who wait (`sqlite_watch`).
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import anyio
import anyio.to_thread
import attrs
from anyio.lowlevel import RunVar

from responses_stream.stores import sqlite_reads as reads
from responses_stream.stores import sqlite_writes as writes
from responses_stream.stores.base import (
    Claim,
    Ending,
    EventPage,
    Item,
    ItemPage,
    Key,
    NewResponse,
    Notices,
    Recovery,
    StoredResponse,
    StoreError,
)
from responses_stream.stores.examination import Finding, Findings
from responses_stream.stores.limits import seconds_or_more, synchronous_mode
from responses_stream.stores.processes import this_process
from responses_stream.stores.sqlite_commits import Commits
from responses_stream.stores.sqlite_examination import examine
from responses_stream.stores.sqlite_schema import connect
from responses_stream.stores.sqlite_watch import Waiter, Watch, due

_READERS: Final = 2
_LOOK: Final = 1.0
"""How often `attend` looks for leases that are over and for processes that are dead, which no write tells."""

_SETTLED: Final = 0.25
"""How many seconds after it has changed the time of a file is trusted to tell of the next write."""

_TRUSTED: Final = 1.0
"""How many seconds it is trusted for: where it moves in larger steps, a write is noticed that much later."""

T = TypeVar("T")


@attrs.define(eq=False)
class _Threads:
    """How many threads of an event loop work for one store: one writes while another looks, and some read."""

    writing: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(2))
    reading: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(_READERS))


@attrs.define(eq=False)
class SqliteStore:
    """A `ResponseStore` in a file, for any number of processes of one machine.

    Nothing is opened before the first use, so a store may be made before a fork and outside of an event loop. What a
    method has written survives the end of the process, also by ``kill -9``.

    Attributes:
        path: the file; two more stand beside it while it is open. Not on a network drive.
        event_retention: how many seconds after its end the log of a response is kept.
        response_retention: how many seconds after its end a response and its items are kept.
        busy_timeout: how many seconds a write waits for those of other processes before it fails.
        synchronous: with ``FULL``, what was written survives the loss of power too; each transaction then waits for the
            disk. With ``NORMAL`` the last moments before it may be lost, and the file stays whole.
        poll_interval: how many seconds pass between two looks for what other processes have written.
        clock: tells the time in seconds; all processes have to agree on it, so it tells that of the day.

    Raises:
        InvalidType: an option is of the wrong type.
        InvalidValue: an option is out of range.
    """

    path: Path = attrs.field(converter=Path)
    event_retention: float = attrs.field(default=86_400.0, validator=seconds_or_more, kw_only=True)
    response_retention: float = attrs.field(default=30 * 86_400.0, validator=seconds_or_more, kw_only=True)
    busy_timeout: float = attrs.field(default=10.0, validator=seconds_or_more, kw_only=True)
    synchronous: Literal["NORMAL", "FULL"] = attrs.field(default="NORMAL", validator=synchronous_mode, kw_only=True)
    poll_interval: float = attrs.field(default=0.05, validator=seconds_or_more, kw_only=True)
    clock: Callable[[], float] = attrs.field(default=time.time, kw_only=True)
    _commits: Commits = attrs.field(init=False, repr=False)
    _watch: Watch = attrs.field(init=False, repr=False)
    _threads: RunVar[_Threads] = attrs.field(init=False, repr=False)
    _opening: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _writer: sqlite3.Connection | None = attrs.field(default=None, init=False, repr=False)
    _readers: list[sqlite3.Connection] = attrs.field(factory=list, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False, repr=False)
    _mark: tuple[int, int, int] | None = attrs.field(default=None, init=False, repr=False)
    _marked_at: float = attrs.field(default=0.0, init=False, repr=False)
    _polled_at: float = attrs.field(default=0.0, init=False, repr=False)
    _swept_at: float = attrs.field(default=-math.inf, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._commits = Commits(self._open_writer)
        self._watch = Watch(self._poll, self._is_untouched)
        self._threads = RunVar("the threads of a SqliteStore")

    async def create(self, new: NewResponse, frames: Sequence[bytes] = ()) -> None:
        """See `ResponseStore.create`."""
        who = self._who(new.owner)
        await self._write(lambda connection: writes.create(connection, new, frames, who))

    async def append(
        self, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None = None
    ) -> None:
        """See `ResponseStore.append`."""
        now = self.clock()
        await self._write(lambda connection: writes.append(connection, key, owner, first, frames, ending, now))
        self._watch.wake(key)

    async def note(self, key: Key, owner: str, notes: bytes) -> None:
        """See `ResponseStore.note`."""
        await self._write(lambda connection: writes.note(connection, key, owner, notes))

    async def recovery(self, key: Key) -> Recovery:
        """See `ResponseStore.recovery`."""
        return await self._read(lambda connection: reads.recovery(connection, key))

    async def get(self, key: Key) -> StoredResponse:
        """See `ResponseStore.get`."""
        return await self._read(lambda connection: reads.get(connection, key))

    async def events(self, key: Key, after: int = -1) -> EventPage:
        """See `ResponseStore.events`."""
        return await self._read(lambda connection: reads.events(connection, key, after))

    async def changed(self, key: Key, after: int, seconds: float) -> None:
        """See `ResponseStore.changed`."""
        waiter = Waiter(key, lambda connection: reads.is_news(connection, key, after))
        with self._watch.waiting(waiter):
            await self._watch.wait(waiter, seconds, self.poll_interval)

    async def cancel(self, key: Key) -> StoredResponse:
        """See `ResponseStore.cancel`."""
        owner, stored = await self._write(
            lambda connection: (writes.cancel(connection, key), reads.get(connection, key))
        )
        if owner is not None:
            self._watch.wake(owner)
        return stored

    async def delete(self, key: Key) -> None:
        """See `ResponseStore.delete`."""
        await self._write(lambda connection: writes.delete(connection, key))
        self._watch.wake(key)

    async def input_items(
        self,
        key: Key,
        *,
        limit: int,
        descending: bool = True,
        after: str | None = None,
        before: str | None = None,
    ) -> ItemPage:
        """See `ResponseStore.input_items`."""
        return await self._read(lambda connection: reads.input_items(connection, key, limit, descending, after, before))

    async def history(
        self, partition: str, *, previous_response_id: str | None = None, conversation_id: str | None = None, limit: int
    ) -> Sequence[Item]:
        """See `ResponseStore.history`."""
        return await self._read(
            lambda connection: reads.history(connection, partition, previous_response_id, conversation_id, limit)
        )

    async def items(self, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
        """See `ResponseStore.items`."""
        return await self._read(lambda connection: reads.items(connection, partition, ids))

    async def claim(self, partition: str, idempotency_key: str, digest: bytes, response_id: str, owner: str) -> Claim:
        """See `ResponseStore.claim`."""
        who = self._who(owner)
        return await self._write(
            lambda connection: writes.claim(connection, partition, idempotency_key, digest, response_id, who)
        )

    async def unclaim(self, partition: str, idempotency_key: str, response_id: str, owner: str) -> None:
        """See `ResponseStore.unclaim`."""
        await self._write(lambda connection: writes.unclaim(connection, partition, idempotency_key, response_id, owner))

    async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
        """See `ResponseStore.attend`."""
        until = anyio.current_time() + seconds
        who = self._who(owner)
        notices = await self._write(lambda connection: writes.attend(connection, lease, grace, who))
        if notices.cancelled or notices.orphans:
            return notices  # at once: what is told here is told to nobody again
        has_more = await self._sweep()
        while (left := until - anyio.current_time()) > 0:
            waiter = Waiter(owner, lambda connection: writes.has_notices(connection, grace, self._who(owner)))
            with self._watch.waiting(waiter):
                if not await self._read(waiter.is_due):
                    pause = self.poll_interval if has_more else _LOOK
                    await self._watch.wait(waiter, min(left, pause), self.poll_interval)
                    if not waiter.woken:
                        has_more = await self._sweep()
                        continue
            notices = await self._write(lambda connection: writes.attend(connection, None, grace, self._who(owner)))
            if notices.cancelled or notices.orphans:
                return notices
        return Notices()

    async def release(self, owner: str) -> None:
        """See `ResponseStore.release`."""
        await self._write(lambda connection: writes.release(connection, owner))
        self._watch.wake_all()

    async def aclose(self) -> None:
        """See `ResponseStore.aclose`. It waits for what is being written."""
        with anyio.CancelScope(shield=True):
            if self._commits.is_busy:
                await self._write(lambda _: None)
            if not self._closed:
                await anyio.to_thread.run_sync(self._close, limiter=self._limits().writing)

    async def examine(self) -> Sequence[Finding]:
        """See `Examined.examine`."""
        findings = Findings()
        await anyio.to_thread.run_sync(examine, self.path, findings)
        return findings.found

    def _who(self, owner: str) -> writes.Who:
        return writes.Who(owner, this_process(), self.clock())

    def _limits(self) -> _Threads:
        limits = self._threads.get(None)
        if limits is None:
            limits = _Threads()
            self._threads.set(limits)
        return limits

    async def _write(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        return await self._commits.write(operation, self._limits().writing)

    async def _read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        return await anyio.to_thread.run_sync(self._look, look, limiter=self._limits().reading)

    async def _poll(self, waiters: Sequence[Waiter]) -> tuple[int, Sequence[Waiter]]:
        return await anyio.to_thread.run_sync(self._due, waiters, limiter=self._limits().writing)

    def _is_untouched(self) -> bool:
        """Tell whether the log of writes beside the file is as it was: a glance that needs no thread."""
        try:
            stat = os.stat(f"{self.path}-wal")  # noqa: PTH116 - several times as fast, twenty times a second
        except OSError:
            return False
        mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        now = time.monotonic()
        if mark != self._mark:
            self._mark, self._marked_at = mark, now
        # The time of a file moves in steps of some milliseconds: two writes within one of them look like one.
        if now - self._marked_at > _SETTLED and now - self._polled_at < _TRUSTED:
            return True
        self._polled_at = now
        return False

    async def _sweep(self) -> bool:
        """Drop some of what is past its retention, at most once a second; return whether there is more."""
        now = self.clock()
        if 0 <= now - self._swept_at < _LOOK:
            return False
        has_more = await self._write(
            lambda connection: writes.sweep(connection, now - self.event_retention, now - self.response_retention)
        )
        if not has_more:
            self._swept_at = now
        return has_more

    def _due(self, waiters: Sequence[Waiter]) -> tuple[int, Sequence[Waiter]]:
        with self._commits.lock:
            return due(self._open_writer(), waiters)

    def _look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Look at one state of the file, with a connection that nobody else uses meanwhile."""
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._open()
        try:
            connection.execute("BEGIN")
            try:
                return look(connection)
            finally:
                connection.execute("ROLLBACK")
        finally:
            with self._opening:
                if self._closed:
                    connection.close()
                else:
                    self._readers.append(connection)

    def _open_writer(self) -> sqlite3.Connection:
        """Return the connection that writes; the lock of the commits is held."""
        if self._writer is None:
            self._writer = self._open()
        return self._writer

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"the store of {self.path} is closed")
        return connect(self.path, self.busy_timeout, self.synchronous)

    def _close(self) -> None:
        with self._opening:
            self._closed = True
            readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()
        with self._commits.lock:
            if self._writer is not None:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self._writer.close()
                self._writer = None
