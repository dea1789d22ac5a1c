"""`ResponseSessionStore`: sessions where responses are kept, on any `ResponseStore`, by its protocol alone.

Each version of a session is a small response of its own whose one input item is the state, and all versions of a key
are a conversation. To write is to add a version and then to delete those before it; to read is to ask for the newest
item of the conversation. Both are one step of the store, so what breaks off in between leaves a version too many, and
never one too few.

They live in partitions of their own, which begin with ``sessions:``. No identity of a request makes such a partition,
so no route shows them, and no route deletes them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

import attrs

from responses_stream.agents.session_stores import SessionKey
from responses_stream.errors import InvalidType
from responses_stream.protocol.codec import encode
from responses_stream.protocol.response import ResponseObject
from responses_stream.stores.base import Ending, Fenced, InFlight, Item, Key, NewResponse, NotStored, ResponseStore

__all__ = ["ResponseSessionStore"]

_PARTITION: Final = "sessions:"
"""What the partitions of sessions begin with; those of requests are empty or begin with ``[`` (decision 24)."""

_MANY: Final = 100


@attrs.define(eq=False)
class ResponseSessionStore:
    """A `SessionStore` on a `ResponseStore`, which may be that of a server too. Who made the store closes it.

    A session lasts as long as the store keeps a response that has ended: the retention and the limits of the store
    are its own (`MemoryStore` keeps a day, `SqliteStore` thirty), and each session counts as one response.

    Attributes:
        store: where they are kept.
    """

    store: ResponseStore
    _owner: str = attrs.field(factory=lambda: f"sessions-{os.urandom(8).hex()}", init=False)

    async def get(self, key: SessionKey) -> bytes | None:
        """See `SessionStore.get`."""
        versions = await self.store.history(_PARTITION + key.partition, conversation_id=key.id, limit=1)
        return versions[-1].data if versions else None

    async def set(self, key: SessionKey, state: bytes) -> None:
        """See `SessionStore.set`."""
        if not isinstance(state, bytes):
            raise InvalidType("state", "bytes", state)
        version = Key(_PARTITION + key.partition, f"session_{os.urandom(16).hex()}")
        ended = encode(ResponseObject(id=version.response_id, status="completed"))
        new = NewResponse(
            key=version,
            owner=self._owner,
            response=ended,
            status="in_progress",
            background=False,
            stream=False,
            conversation_id=key.id,
            input_items=[Item(version.response_id, state)],
        )
        await self.store.create(new)
        with suppress(NotStored, Fenced):  # a later version has replaced it already, or a server has ended it for us
            await self.store.append(version, self._owner, 0, (), Ending(ended, "completed"))
        await self._delete_before(version, key.id)

    async def delete(self, key: SessionKey) -> None:
        """See `SessionStore.delete`."""
        partition = _PARTITION + key.partition
        while versions := await self.store.history(partition, conversation_id=key.id, limit=_MANY):
            for version in versions:
                await self._delete(Key(partition, version.id))

    async def _delete_before(self, newest: Key, session_id: str) -> None:
        versions = await self.store.history(newest.partition, conversation_id=session_id, limit=_MANY)
        ids = [version.id for version in versions]
        if newest.response_id in ids:  # where it is not, a later one has replaced it, and looks after the others
            for id in ids[: ids.index(newest.response_id)]:
                await self._delete(Key(newest.partition, id))

    async def _delete(self, version: Key) -> None:
        with suppress(NotStored):  # somebody else was faster
            try:
                await self.store.delete(version)
            except InFlight:  # its process died before it was ended
                await self.store.cancel(version)
                await self.store.delete(version)
