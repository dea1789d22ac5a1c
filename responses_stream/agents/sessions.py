"""What an agent remembers from one turn to the next: `Sessions`, which opens, orders, saves and forgets it.

A previous response is a *snapshot*: it never changes, and two turns that go on from it do not see each other (H21.9). A
conversation is a *head*: each turn moves it on, one after the other. After a turn its session is kept under the id of
the new response, so that the turn after it finds it (H21.8); that of a conversation under the conversation as well. It
is kept also where the turn failed, or its client left in the middle: what was said was said (against H21.10).

A client may go on from a response before its session is kept. So a turn waits for the one before, and a turn that ends
before it has read anything keeps, under its own id, what it would have read.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final

import anyio
import attrs
import msgspec

from responses_stream.agents.session_stores import MemorySessionStore, SessionKey, SessionStore
from responses_stream.agents.turn import SessionAnchor
from responses_stream.builders import values
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.codec import from_json
from responses_stream.stores.limits import seconds_or_more

__all__ = ["MemorySessionStore", "Session", "SessionKey", "SessionStore", "Sessions"]

_log: Final = logging.getLogger("responses_stream")

_FOR_THE_CONNECTION: Final = 3600.0
"""How long, in seconds, the session of a turn with ``store: false`` is kept: as long as a WebSocket lives. That of a
turn whose store has failed too."""


@attrs.define(eq=False)
class Sessions:
    """The sessions of an agent, in a store. It is used from one event loop at a time, by any number of turns.

    Attributes:
        store: where they are kept; in memory where none is given. A turn waits for the one that it goes on from, and a
            conversation has one writer at a time, among the turns of one `Sessions`. Where several processes share a
            store, nobody waits for another one's turn: it is not found, or in a conversation, the one that ends last
            wins.
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
    _making: dict[SessionKey, Session] = attrs.field(factory=dict, init=False, repr=False)
    """Which turn is going to keep something there: of a conversation, the last one that has begun."""

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
        reads = None if anchor is None else SessionKey.of(anchor, partition)
        head = reads if anchor is not None and anchor.kind == "head" else None
        keeps = {SessionKey.of(SessionAnchor(response_id, "snapshot"), partition): store}
        if head is not None:
            keeps[head] = store
        return Session(sessions=self, reads=reads, keeps=keeps, head=head)

    async def has(self, anchor: SessionAnchor, partition: str = "") -> bool:
        """Tell whether there is a session to go on from, so that a route can answer 404 where there is none (E4).

        There is one also where its turn is still being made: who goes on from it waits for that.

        Raises:
            InvalidType, InvalidValue: the id is empty or no text.
            Exception: whatever the store has trouble with.
        """
        key = SessionKey.of(anchor, partition)
        return key in self._making or await self._read(key) is not None

    async def reset(self, anchor: SessionAnchor | str, partition: str = "") -> None:
        """Forget a session, once its turn has ended; nothing happens where there is none.

        Args:
            anchor: which; a string is the id of a response or of a conversation. Sessions that went on from it stay.
            partition: whose it is.

        Raises:
            InvalidType, InvalidValue: the id is empty or no text.
            RuntimeError: it was called within the turn that it would wait for.
            Exception: whatever the store has trouble with.
        """
        meant = (
            [anchor]
            if isinstance(anchor, SessionAnchor)
            else [SessionAnchor(anchor, "snapshot"), SessionAnchor(anchor, "head")]
        )
        for key in [SessionKey.of(one, partition) for one in meant]:
            async with Session(sessions=self, reads=key, keeps={key: True}, head=key) as session:
                session.state = None
                await session.save()

    async def _read(self, key: SessionKey) -> bytes | None:
        """Return the JSON of the state that is kept there, or None."""
        kept = await self._passing.get(key)
        if kept is None:
            kept = await self.store.get(key)
        if kept is None:
            return None
        record = msgspec.json.decode(kept, type=_Record)
        if record.same_as is not None:
            return await self._read(SessionKey(key.partition, record.same_as))
        if self.seconds is not None and record.saved_at + self.seconds <= self.clock():
            await self._forget(key)
            return None
        return bytes(record.state)

    async def _write(self, key: SessionKey, record: bytes, stored: bool) -> None:
        if stored:
            await self.store.set(key, record)
            await self._passing.delete(key)
        else:
            await self._passing.set(key, record)

    async def _forget(self, key: SessionKey) -> None:
        await self._passing.delete(key)
        await self.store.delete(key)


class _Record(msgspec.Struct, omit_defaults=True):
    """What is kept: the state, or the id of the session that it is the same as."""

    saved_at: float
    state: msgspec.Raw = msgspec.Raw()
    same_as: str | None = None


_WITHIN: Final = contextvars.ContextVar["Session | None"]("responses_stream_session", default=None)
"""The session of the turn that the running code belongs to."""


@attrs.define(eq=False, kw_only=True)
class Session:
    """What one turn finds, and leaves for the next. Made by `Sessions.turn`; open it with ``async with``.

    Attributes:
        state: JSON values, of this turn's own; None where there is nothing. What stands here at the end is kept.
    """

    state: Any = None
    _sessions: Sessions
    _reads: SessionKey | None
    _keeps: dict[SessionKey, bool]
    """Where something is still to be kept, and whether in the store: its own id first."""
    _head: SessionKey | None
    _around: Session | None = attrs.field(factory=_WITHIN.get, init=False)
    _after: Session | None = attrs.field(default=None, init=False)
    """The turn that it has to wait for. One that began earlier always, so that nobody waits in a circle."""
    _held: list[SessionKey] = attrs.field(factory=list, init=False)
    _found: bytes | None = attrs.field(default=None, init=False)
    _data: bytes | None = attrs.field(default=None, init=False)
    _opened: bool = attrs.field(default=False, init=False)
    _settled: bool = attrs.field(default=False, init=False)
    _failed: bool = attrs.field(default=False, init=False)
    _over: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    def begin(self) -> None:
        """Take its place: who goes on from this turn waits for `close` from now on. `open` does it too. Twice is once.

        Raises:
            RuntimeError: it goes on from a turn that it is a part of, so that each would wait for the other.
        """
        if self._held:
            return
        making = self._sessions._making
        after = making.get(self._reads) if self._reads is not None else None
        if after is not None and self._is_part_of(after):
            raise RuntimeError(
                f"{self._id} goes on from {after._id} within the turn of that, and each would wait for the other: "
                "let that turn end first, or give the task that waits for it a new `contextvars.Context()`"
            )
        self._after, self._held = after, [*self._keeps]
        making.update(dict.fromkeys(self._held, self))

    async def open(self) -> None:
        """Wait for the turn that this one goes on from, and for those before in its conversation; read what is left.

        Raises:
            RuntimeError: as for `begin`.
            Exception: whatever the store has trouble with.
        """
        self.begin()
        while self._after is not None:
            await self._after._over.wait()
            self._after = self._after._after  # which is still on where that one has given up waiting for it
        await self._find()

    async def save(self) -> None:
        """Keep `state` now, once; `close` will not do it again, also where it failed.

        Raises:
            InvalidType, InvalidValue: something in it is not JSON; the message has its path.
            Exception: whatever the store has trouble with.
        """
        if self._failed:
            return
        try:
            if not self._settled:
                self._settle()
        finally:
            await self._write()

    async def close(self, *, broken: bool = False) -> None:
        """Keep `state` unless that was done, and let the turns begin that wait for this one. Twice is once.

        A turn that has not read anything keeps what it would have read. What the store does not take stays in memory,
        for an hour. No cancellation holds it up, but a store that takes longer than `Sessions.save_seconds` is left.

        Args:
            broken: whether the turn has failed already: what goes wrong here is then logged, and not raised.

        Raises:
            InvalidType, InvalidValue: something in `state` is not JSON.
            TimeoutError: the store took too long.
            Exception: whatever the store has trouble with.
        """
        if not self._held or self._over.is_set():
            return
        try:
            if not self._hands_over():
                with anyio.CancelScope(shield=True), anyio.fail_after(self._sessions.save_seconds):
                    if not self._opened:
                        self._leave_head()
                        await self._find()
                    await self.save()
        except Exception:
            if not broken:
                raise
            _log.exception("the session of %s was not kept", self._id)
        finally:
            await self._leave()

    def bind(self) -> None:
        """Say that the running context is that of this turn's agent: turns that begin in it are parts of this one."""
        _WITHIN.set(self)

    async def __aenter__(self) -> Session:
        try:
            await self.open()
        except BaseException:
            await self.close(broken=True)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(broken=error is not None)

    @property
    def _id(self) -> str:
        return _name(self._held[0] if self._held else next(iter(self._keeps)))

    async def _find(self) -> None:
        if self._reads is not None and (found := await self._sessions._read(self._reads)) is not None:
            self._found, self.state = found, from_json(found)
        self._opened = True

    def _settle(self) -> None:
        """Decide what is kept: `state`, or what was found where that cannot be written."""
        self._settled = True
        if self.state is None:
            return
        try:
            self._data = _json(self.state)
        except (InvalidType, InvalidValue):
            self._data = self._found
            self._leave_head()
            raise
        if self._reads is not None and self._head is None and self._found is None:
            _log.warning(
                "no session of %s was found, so %s began without it: it may be kept by another server, or have "
                "expired, or its server has died",
                _name(self._reads),
                self._id,
            )

    async def _write(self) -> None:
        sessions, record = self._sessions, self._record()
        try:
            while self._keeps:  # some may come in meanwhile
                key, stored = next(iter(self._keeps.items()))
                if record is not None:
                    await sessions._write(key, record, stored)
                elif key == self._head and self._found is not None:
                    await sessions._forget(key)
                self._keeps.pop(key, None)
        except Exception:
            self._failed = True
            raise

    def _record(self) -> bytes | None:
        """Return what is to be kept: of a turn that could not read anything, where that is."""
        now = self._sessions.clock()
        if not self._opened and self._reads is not None:
            return msgspec.json.encode(_Record(now, same_as=self._reads.id))
        return None if self._data is None else msgspec.json.encode(_Record(now, msgspec.Raw(self._data)))

    def _hands_over(self) -> bool:
        """Have the turn that this one waits for, if it is still on, keep its session for this one too."""
        while self._after is not None and self._after._over.is_set():
            self._after = self._after._after
        if self._after is None:
            return False
        self._leave_head()
        self._after._keeps.update(self._keeps)
        self._keeps.clear()
        return True

    def _leave_head(self) -> None:
        """Leave the conversation where it is: this turn has not moved it on."""
        if self._head is not None:
            self._keeps.pop(self._head, None)

    async def _leave(self) -> None:
        sessions, after = self._sessions, self._after
        if self._keeps and (record := self._record()) is not None:
            for key in self._keeps:
                if self._opened or key != self._reads:  # it would be the same as itself
                    await sessions._passing.set(key, record)
        for key in self._held:
            if sessions._making.get(key) is not self:
                continue  # a later turn of the conversation has its place
            if after is None:
                del sessions._making[key]
            else:
                sessions._making[key] = after
                after._held.append(key)
        self._over.set()

    def _is_part_of(self, after: Session) -> bool:
        """Tell whether *after* is on only as long as this one is, or waits for such a turn."""
        around, waited, seen = set(self._enclosing()), [after], set[Session]()
        while around and waited:
            one = waited.pop()
            if one in around:
                return True
            if one not in seen:
                seen.add(one)
                waited += [
                    other._after
                    for other in self._sessions._making.values()
                    if other._after is not None and (other is one or one in other._enclosing())
                ]
        return False

    def _enclosing(self) -> Iterator[Session]:
        """Yield the turns within whose agents this one runs."""
        around = self._around
        while around is not None:
            yield around
            around = around._around


def _name(key: SessionKey) -> str:
    """Return the id of the response or the conversation."""
    return key.id.partition(":")[2]


def _json(state: object) -> bytes:
    plain = values.plain("session", state)
    try:
        return msgspec.json.encode(plain)
    except ValueError as error:
        raise InvalidValue("session", f"holds a number that cannot be written ({error})") from None
