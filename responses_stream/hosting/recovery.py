"""What is kept of a run so that another server can make its response again, should this one die (section 18).

Where `ResponsesServerOptions.resilient_background` is set, a background response is created in the store together with
the request that it answers. Whoever finds it orphaned reads that, and runs the handler again: with the same request
(H18.12), told that it is a recovery, and with what the handler before it has noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import attrs
import msgspec

from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.sse import decode_events
from responses_stream.stores.base import Fenced, Key, NotStored, ResponseStore

MOST_METADATA: Final = 64 * 1024
"""How many bytes of JSON `context.metadata` may have: it is written as a whole, each time."""


class ExitForRecovery(BaseException):
    """Raised by `exit_for_recovery`; no ``except Exception`` of a handler holds it up (H18.47)."""


class Remembered(msgspec.Struct, frozen=True):
    """A request as it is kept (H18.11).

    Attributes:
        body: the body of the request.
        created_at: when it was asked for, in whole seconds since the epoch.
        client_headers, query: what a handler may see of the request besides its body.
        user_key, chat_key: whose it is.
        session_id, call_id: what the platform calls it.
        history: the ids of the items before this turn, oldest first.
    """

    body: bytes
    created_at: int
    client_headers: Mapping[str, str]
    query: Mapping[str, str]
    user_key: str | None
    chat_key: str | None
    session_id: str
    call_id: str | None
    history: Sequence[str]


class Notes(msgspec.Struct, frozen=True):
    """What is noted of a run.

    Attributes:
        attempt: how many times it was begun again.
        metadata: `context.metadata` as it was flushed last.
    """

    attempt: int = 0
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)


@attrs.define(eq=False)
class Notebook:
    """Where one run of a handler keeps what the next one needs.

    Attributes:
        store: the store.
        key: of the response.
        owner: the name by which this server owns what it writes.
        attempt: how many times the response was begun again.
    """

    store: ResponseStore
    key: Key
    owner: str
    attempt: int = 0
    _is_closed: bool = attrs.field(init=False, default=False)
    _writing: anyio.Lock = attrs.field(init=False, factory=anyio.Lock)

    async def write(self, metadata: Mapping[str, Any]) -> None:
        """Keep *metadata*.

        Raises:
            InvalidType: something in it is not JSON.
            InvalidValue: it is too large.
            NotStored, Fenced: the response is not ours any more, or its run has ended.
            Exception: whatever the store has trouble with.
        """
        try:
            data = msgspec.json.encode(Notes(self.attempt, metadata))
            # What can be written and comes back as something else is not JSON either: bytes, sets, dates, NaN.
            is_kept = msgspec.json.decode(data, type=Notes).metadata == metadata
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidType("context.metadata", f"JSON ({error})", metadata) from None
        if not is_kept:
            raise InvalidType(
                "context.metadata",
                "dicts with strings as keys, lists, strings, finite numbers, booleans and None",
                metadata,
            )
        if len(data) > MOST_METADATA:
            raise InvalidValue("context.metadata", f"has {len(data)} bytes of JSON; {MOST_METADATA} are the most")
        async with self._writing:
            if self._is_closed:
                raise Fenced(self.key, "its run has ended")
            await self.store.note(self.key, self.owner, data)

    def close(self) -> None:
        """Write no more: the run has ended, and a handler that was left in its thread may not know it yet."""
        self._is_closed = True

    async def closed(self) -> None:
        """Wait until nothing is being written; after `close`, nothing will be."""
        async with self._writing:
            pass

    async def events(self) -> list[ResponseStreamEvent]:
        """Return all events that the store has; none where the response was not created yet, or was deleted.

        Raises:
            Exception: whatever the store has trouble with.
        """
        try:
            frames = await all_frames(self.store, self.key)
        except NotStored:
            return []
        return list(decode_events(b"".join(frames)))


async def all_frames(store: ResponseStore, key: Key) -> Sequence[bytes]:
    """Return all frames of a log that the store has.

    Raises:
        NotStored: the response is not there.
        Exception: whatever the store has trouble with.
    """
    frames: list[bytes] = []
    while True:
        page = await store.events(key, len(frames) - 1)
        frames += page.frames
        if page.ended or not page.frames:
            return frames
