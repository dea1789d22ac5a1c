"""What an agent remembers from one turn to the next: `Sessions`, which opens, locks, saves and forgets it.

A previous response is a *snapshot*: it never changes, and two turns that go on from it do not see each other (H21.9). A
conversation is a *head*: each turn moves it on, one after the other. After a turn its session is kept under the id of
the new response, so that the turn after it finds it (H21.8); that of a conversation under the conversation as well. It
is kept also where the turn failed, or its client left in the middle: what was said was said (against H21.10).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

import anyio
import attrs
import msgspec

from responses_stream.agents.session_stores import MemorySessionStore, SessionKey, SessionStore
from responses_stream.agents.turn import SessionAnchor
from responses_stream.builders import values
from responses_stream.errors import InvalidValue
from responses_stream.protocol.codec import from_json
from responses_stream.stores.limits import seconds_or_more

__all__ = ["MemorySessionStore", "Session", "SessionKey", "SessionStore", "Sessions"]

_log: Final = logging.getLogger("responses_stream")

_FOR_THE_CONNECTION: Final = 3600.0
"""How long, in seconds, the session of a turn with ``store: false`` is kept: as long as a WebSocket lives."""


@attrs.define(eq=False)
class Sessions:
    """The sessions of an agent, in a store. It is used from one event loop at a time, by any number of turns.

    Attributes:
        store: where they are kept; in memory where none is given. A conversation has one writer at a time among the
            turns of one `Sessions`; where several processes share a store, the one that ends last wins.
        seconds: how long after its last turn a session can be continued; None for as long as the store keeps it.
        save_seconds: how long the store may take at the end of a turn that was cut off, before it counts as failing.
        clock: seconds since the epoch.

    Raises:
        InvalidType: an option is of the wrong type.
        InvalidValue: an option is out of range.
    """

    store: SessionStore = attrs.field(factory=MemorySessionStore)
    seconds: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(seconds_or_more), kw_only=True
    )
    save_seconds: float = attrs.field(default=10.0, validator=seconds_or_more, kw_only=True)
    clock: Callable[[], float] = attrs.field(default=time.time, kw_only=True)
    _passing: MemorySessionStore = attrs.field(init=False, repr=False)
    _locks: dict[SessionKey, _Lock] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._passing = MemorySessionStore(most=1000, seconds=_FOR_THE_CONNECTION)

    def turn(
        self, anchor: SessionAnchor | None, response_id: str, partition: str = "", *, store: bool = True
    ) -> Session:
        """Return the session of one turn, an asynchronous context manager, which reads it and keeps it again.

        Args:
            anchor: what the turn goes on from; None where it begins anew.
            response_id: the response that it makes.
            partition: whose it is.
            store: whether the request allows that something of it is stored. Where it does not, the session stays in
                the memory of this process, for an hour: a WebSocket goes on from such responses.

        Raises:
            InvalidType, InvalidValue: an id is empty or no text.
        """
        writes = [SessionKey.of(SessionAnchor(response_id, "snapshot"), partition)]
        reads = None if anchor is None else SessionKey.of(anchor, partition)
        head = None
        if anchor is not None and reads is not None and anchor.kind == "head":
            head = reads
            writes.append(head)
        return Session(sessions=self, reads=reads, writes=writes, head=head, keep=store)

    async def has(self, anchor: SessionAnchor, partition: str = "") -> bool:
        """Tell whether there is a session to go on from, so that a route can answer 404 where there is none (E4).

        Raises:
            InvalidType, InvalidValue: the id is empty or no text.
            Exception: whatever the store has trouble with.
        """
        return await self._read(SessionKey.of(anchor, partition)) is not None

    async def reset(self, anchor: SessionAnchor | str, partition: str = "") -> None:
        """Forget a session; nothing happens where there is none. That of a conversation, once its turn has ended.

        Args:
            anchor: which; a string is the id of a response or of a conversation. Sessions that went on from it stay.
            partition: whose it is.

        Raises:
            InvalidType, InvalidValue: the id is empty or no text.
            Exception: whatever the store has trouble with.
        """
        meant = (
            [anchor]
            if isinstance(anchor, SessionAnchor)
            else [SessionAnchor(anchor, "snapshot"), SessionAnchor(anchor, "head")]
        )
        for key in [SessionKey.of(one, partition) for one in meant]:
            lock = self._lock(key)
            await lock.take()
            try:
                await self._forget(key)
            finally:
                lock.leave()

    async def _read(self, key: SessionKey) -> Any:
        kept = await self._passing.get(key)
        if kept is None:
            kept = await self.store.get(key)
        if kept is None:
            return None
        session = from_json(kept)
        if self.seconds is not None and session["saved_at"] + self.seconds <= self.clock():
            await self._forget(key)
            return None
        return session["state"]

    async def _write(self, key: SessionKey, state: bytes, keep: bool) -> None:
        if keep:
            await self.store.set(key, state)
            await self._passing.delete(key)
        else:
            await self._passing.set(key, state)

    async def _forget(self, key: SessionKey) -> None:
        await self._passing.delete(key)
        await self.store.delete(key)

    def _lock(self, key: SessionKey) -> _Lock:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = _Lock(key, self._locks)
        return lock


@attrs.define(eq=False)
class _Lock:
    """One writer at a time for one key. Any task may leave it, because any task may close a generator; the last one
    that wanted it takes it out of *among*."""

    key: SessionKey
    among: dict[SessionKey, _Lock]
    _free: anyio.Semaphore = attrs.field(factory=lambda: anyio.Semaphore(1), init=False)
    _wanted: int = attrs.field(default=0, init=False)

    async def take(self) -> None:
        self._wanted += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._left()
            raise

    def leave(self) -> None:
        self._free.release()
        self._left()

    def _left(self) -> None:
        self._wanted -= 1
        if self._wanted == 0:
            del self.among[self.key]


@attrs.define(eq=False, kw_only=True)
class Session:
    """What one turn finds, and leaves for the next. Made by `Sessions.turn`; open it with ``async with``.

    Attributes:
        state: JSON values, of this turn's own; None where there is nothing. What stands here at the end is kept.
    """

    state: Any = None
    _sessions: Sessions
    _reads: SessionKey | None
    _writes: list[SessionKey]
    _head: SessionKey | None
    _keep: bool
    _found: bool = False
    _lock: _Lock | None = None
    _saved: bool = False

    async def open(self) -> None:
        """Wait for the turn before in the same conversation to end, and read what it has left.

        Raises:
            Exception: whatever the store has trouble with.
        """
        if self._head is not None:
            lock = self._sessions._lock(self._head)
            await lock.take()
            self._lock = lock
        try:
            if self._reads is not None:
                self.state = await self._sessions._read(self._reads)
            self._found = self.state is not None
        except BaseException:
            self._leave()
            raise

    async def save(self) -> None:
        """Keep `state` now, once; `close` will not do it again, also where it failed.

        Raises:
            InvalidType, InvalidValue: something in it is not JSON; the message has its path.
            Exception: whatever the store has trouble with.
        """
        if self._saved:
            return
        try:
            await self._write()
        except Exception:
            self._saved = True
            raise
        self._saved = True

    async def close(self, *, broken: bool = False) -> None:
        """Keep `state` unless that was done, and let the next turn of the conversation begin. Twice is once.

        No cancellation holds it up, but a store that takes longer than `Sessions.save_seconds` is left.

        Args:
            broken: whether the turn has failed already: what goes wrong here is then logged, and not raised.

        Raises:
            InvalidType, InvalidValue: something in `state` is not JSON.
            TimeoutError: the store took too long.
            Exception: whatever the store has trouble with.
        """
        try:
            if not self._saved:
                with anyio.CancelScope(shield=True), anyio.fail_after(self._sessions.save_seconds):
                    await self.save()
        except Exception:
            if not broken:
                raise
            _log.exception("the session of %s was not kept", self._writes[0].id)
        finally:
            self._saved = True
            self._leave()

    async def __aenter__(self) -> Session:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(broken=error is not None)

    async def _write(self) -> None:
        sessions = self._sessions
        if self.state is not None:
            kept = {"saved_at": sessions.clock(), "state": values.plain("session", self.state)}
            try:
                data = msgspec.json.encode(kept)
            except ValueError as error:
                raise InvalidValue("session", f"holds a number that cannot be written ({error})") from None
            for key in self._writes:
                await sessions._write(key, data, self._keep)
        elif self._found and self._head is not None:
            await sessions._forget(self._head)

    def _leave(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            lock.leave()
