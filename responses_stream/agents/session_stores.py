"""Where sessions are kept between turns: `SessionStore`, what every such place promises, and one in memory.

A session is bytes under a key; a store does not look into them. A key that a response was given stands for good, since
any of them may be continued again, so a store forgets only by what its owner has set as its limits (H21.7, H21.32).
`responses_stream.agents.response_sessions` has a store that keeps sessions where responses are kept.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from responses_stream.agents.turn import SessionAnchor
from responses_stream.builders import values
from responses_stream.errors import InvalidType
from responses_stream.stores.limits import at_least_one, seconds_or_more

__all__ = ["MemorySessionStore", "SessionKey", "SessionStore"]


def _text(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    values.text(attribute.name, value)


def _name(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    values.name(attribute.name, value)


@attrs.frozen
class SessionKey:
    """Where a session is kept.

    Attributes:
        partition: whose it is; the empty string is a partition like any other.
        id: which one, unique within the partition. `of` makes it of the kind and the id of an anchor, so that nobody
            reaches a response's session by calling a conversation as the response is called.

    Raises:
        InvalidType: one of them is no text.
        InvalidValue: the id is empty (H21.7).
    """

    partition: str = attrs.field(validator=_text)
    id: str = attrs.field(validator=_name)

    @classmethod
    def of(cls, anchor: SessionAnchor, partition: str = "") -> SessionKey:
        """Return the key of the session that goes on from *anchor*.

        Raises:
            InvalidType, InvalidValue: its id is empty or no text.
        """
        return cls(partition, f"{anchor.kind}:{values.name('id', anchor.id)}")


class SessionStore(Protocol):
    """A place where sessions outlive their turn. It is used from one event loop at a time, by any number of tasks.

    What `set` has written when it returns, every `get` after that sees. A method that raises has changed nothing, and
    one that is cancelled has changed all of it or nothing: the old state is never lost before the new one is there.
    """

    async def get(self, key: SessionKey) -> bytes | None:
        """Return what is kept there, or None (H21.7).

        Raises:
            Exception: whatever it has trouble with.
        """
        ...

    async def set(self, key: SessionKey, state: bytes) -> None:
        """Keep *state* there, in the place of what was there.

        Raises:
            Exception: whatever it has trouble with.
        """
        ...

    async def delete(self, key: SessionKey) -> None:
        """Forget what is kept there; nothing happens where nothing is.

        Raises:
            Exception: whatever it has trouble with.
        """
        ...


@attrs.frozen
class _Kept:
    state: bytes
    at: float


@attrs.define(eq=False, kw_only=True)
class MemorySessionStore:
    """A `SessionStore` in memory, for one process. What it keeps ends with the process.

    Attributes:
        most: how many sessions it keeps; beyond that, those that were written longest ago go. Each turn writes one.
        most_bytes: how many bytes of sessions it keeps; beyond that, likewise. The newest stays, however large.
        seconds: how long after it was written a session is kept; None for as long as there is room.
        clock: tells the time in seconds.

    Raises:
        InvalidType: an option is of the wrong type.
        InvalidValue: an option is out of range.
    """

    most: int = attrs.field(default=10_000, validator=at_least_one)
    most_bytes: int = attrs.field(default=256 * 1024 * 1024, validator=at_least_one)
    seconds: float | None = attrs.field(default=None, validator=attrs.validators.optional(seconds_or_more))
    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[SessionKey, _Kept] = attrs.field(factory=OrderedDict, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False, repr=False)

    async def get(self, key: SessionKey) -> bytes | None:
        """See `SessionStore.get`."""
        self._sweep()
        kept = self._kept.get(key)
        return None if kept is None else kept.state

    async def set(self, key: SessionKey, state: bytes) -> None:
        """See `SessionStore.set`."""
        if not isinstance(state, bytes):
            raise InvalidType("state", "bytes", state)
        self._drop(key)
        self._kept[key] = _Kept(state, self.clock())
        self._size += len(state)
        self._sweep()
        while len(self._kept) > self.most or (self._size > self.most_bytes and len(self._kept) > 1):
            self._drop(next(iter(self._kept)))

    async def delete(self, key: SessionKey) -> None:
        """See `SessionStore.delete`."""
        self._drop(key)

    def __len__(self) -> int:
        return len(self._kept)

    def _drop(self, key: SessionKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= len(kept.state)

    def _sweep(self) -> None:
        """Drop what was kept long enough; the oldest stand in front."""
        if self.seconds is None:
            return
        until = self.clock() - self.seconds
        while self._kept and next(iter(self._kept.values())).at <= until:
            self._drop(next(iter(self._kept)))
