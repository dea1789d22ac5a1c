"""What every store promises: `ResponseStore`, what goes in, what comes out, and what is raised.

A response is kept under a `Key`: the partition of its owner and its id. Nothing is ever looked up without a partition,
so a foreign id reads as an unknown one (decision 24). The log of its events is the primary record: a store is handed
the frames of events once, in order, and gives back the same bytes. Its snapshots and items are JSON that a store does
not look into.

A response is *live* until it is given an `Ending`. While it is live it belongs to one *owner*, a name that a server
makes anew at each start; only the owner may append to it. An owner that is not heard of for the length of its lease
loses its responses to whoever attends next, and what it says after that is refused with `Fenced`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import attrs

from responses_stream.errors import ResponsesStreamError

FIRST_LEASE: Final = 60.0
"""The lease, in seconds, of an owner that creates or claims before it has attended for the first time."""


@attrs.frozen
class Key:
    """Where a response is kept.

    Attributes:
        partition: whose it is; the empty string is a partition like any other.
        response_id: its id, unique within the partition.
    """

    partition: str
    response_id: str


@attrs.frozen
class Item:
    """An input or output item.

    Attributes:
        id: unique within the partition.
        data: its JSON.
    """

    id: str
    data: bytes


@attrs.frozen(kw_only=True)
class NewResponse:
    """What is known of a response when `response.created` was said.

    Attributes:
        key: where it is kept.
        owner: who may append to it.
        response: the JSON of the response.
        status: ``queued`` or ``in_progress``.
        background: whether the request said so.
        stream: whether the request said so.
        previous_response_id: the response of the same partition that it continues (H11.2).
        conversation_id: the conversation that it belongs to (H11.3).
        input_items: its own inputs, oldest first, history not among them.
        recovery: what another server needs to make the response again if its own dies; None where it is not to be made
            again. Kept while the response is live.
    """

    key: Key
    owner: str
    response: bytes
    status: str
    background: bool
    stream: bool
    previous_response_id: str | None = None
    conversation_id: str | None = None
    input_items: Sequence[Item] = ()
    recovery: bytes | None = None


@attrs.frozen
class Recovery:
    """What is kept of a live response so that it can be made again.

    Attributes:
        request: as it was created; None where it is not to be made again.
        notes: what was noted last; None where nothing was.
    """

    request: bytes | None = None
    notes: bytes | None = None


@attrs.frozen
class Ending:
    """How a response ended. There is one for each response, and nothing is appended after it.

    Attributes:
        response: the JSON of the response as its terminal event says it.
        status: ``completed``, ``failed``, ``cancelled`` or ``incomplete``.
        output_items: the items of its output that have ids, in order.
    """

    response: bytes
    status: str
    output_items: Sequence[Item] = ()


@attrs.frozen(kw_only=True)
class StoredResponse:
    """A response as a store knows it.

    Attributes:
        response: the JSON that was written last: of `response.created` while it is live, of the ending after it.
        status: the status in that JSON.
        owner: whose it is, or was.
        background: as it was created.
        stream: as it was created.
        ended: whether it was given an ending.
        cancelling: whether it is live and somebody asked to cancel it.
        last_number: the sequence number of the last event that was appended, also where the event has expired; -1
            where there was none.
    """

    response: bytes
    status: str
    owner: str
    background: bool
    stream: bool
    ended: bool
    cancelling: bool
    last_number: int


@attrs.frozen
class EventPage:
    """Some events of a log, one after the other.

    Attributes:
        first: the sequence number of the first frame; those of the others follow.
        frames: the frames as they were appended.
        ended: whether no event follows this page, and none will.
        kept: whether the log is there at all: False where no event was ever appended, or its retention is over.
    """

    first: int
    frames: Sequence[bytes]
    ended: bool
    kept: bool = True


@attrs.frozen
class ItemPage:
    """Some items of a list, in the order that was asked for.

    Attributes:
        items: the items.
        has_more: whether the list goes on after them.
    """

    items: Sequence[Item]
    has_more: bool


@attrs.frozen
class Claim:
    """Who holds an idempotency key.

    Attributes:
        response_id: the response that was, or will be, made for it.
        digest: that of the request which claimed it.
        mine: whether this call claimed it.
    """

    response_id: str
    digest: bytes
    mine: bool


@attrs.frozen
class Notices:
    """What an owner has to look after.

    Attributes:
        cancelled: its live responses that somebody asked to cancel; each is told once.
        orphans: live responses of owners whose lease is over. They belong to the caller from now on, who has to end
            them; it is told of each once. After trouble in which a notice may have been lost, all live responses of
            the caller may be among them; it passes over those that it is making.
    """

    cancelled: Sequence[Key] = ()
    orphans: Sequence[Key] = ()


class StoreError(ResponsesStreamError):
    """Something that a store cannot do. What is no `StoreError` is trouble of the engine behind it."""


class NotStored(StoreError, LookupError):
    """There is no such response in that partition: never was, was deleted, or its retention is over."""

    def __init__(self, key: Key) -> None:
        self.key = key
        super().__init__(f"there is no response {key.response_id!r} in partition {key.partition!r}")


class AlreadyStored(StoreError):
    """There is a response with that id in that partition."""

    def __init__(self, key: Key) -> None:
        self.key = key
        super().__init__(f"there is a response {key.response_id!r} in partition {key.partition!r} already")


class Fenced(StoreError):
    """An append by somebody who is not, or no longer, the owner; to a response that has ended; or out of number."""

    def __init__(self, key: Key, reason: str) -> None:
        self.key = key
        super().__init__(f"nothing can be appended to {key.response_id!r}: {reason}")


class InFlight(StoreError):
    """A live response cannot be deleted unless it is being cancelled."""

    def __init__(self, key: Key) -> None:
        self.key = key
        super().__init__(f"the response {key.response_id!r} is in flight; cancel it before you delete it")


class ResponseStore(Protocol):
    """A place where logs and responses are kept.

    Who makes a store closes it, with `aclose`; a server closes only the one that it made itself. A store is used from
    one event loop at a time, by any number of tasks. What a method has written when it returns is *durable*: it
    survives what the store promises to survive, and every reader of every process sees it. A method that raises has
    written nothing. Each may be cancelled while it waits; it is then written as a whole or not at all.
    """

    async def create(self, new: NewResponse, frames: Sequence[bytes] = ()) -> None:
        """Keep a new response, live, with its first events, numbered from 0.

        Where the response that it continues is not there (any more), it continues nothing.

        Raises:
            AlreadyStored: its key is taken. The key of a deleted response is free again (H12.12).
        """
        ...

    async def append(
        self, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None = None
    ) -> None:
        """Append events, and with *ending* end the response, in one step.

        Args:
            key: the response.
            owner: who appends.
            first: the sequence number of the first frame; without frames it does not count.
            frames: encoded events, in order; may be empty.
            ending: how the response ended.

        Raises:
            NotStored: the response is not there (any more).
            Fenced: it belongs to another owner, it has ended, or *first* is not the number that comes next.
        """
        ...

    async def note(self, key: Key, owner: str, notes: bytes) -> None:
        """Keep *notes* of a live response, in place of those before; for whoever makes it again.

        Raises:
            NotStored: the response is not there (any more).
            Fenced: it belongs to another owner, or it has ended.
        """
        ...

    async def recovery(self, key: Key) -> Recovery:
        """Return what is kept of a live response so that it can be made again; nothing of one that has ended.

        Raises:
            NotStored: it is not there.
        """
        ...

    async def get(self, key: Key) -> StoredResponse:
        """Return a response.

        Raises:
            NotStored: it is not there.
        """
        ...

    async def events(self, key: Key, after: int = -1) -> EventPage:
        """Return the events behind the number *after*: as many as the store likes to give at once, at least one if
        there is any.

        Raises:
            NotStored: the response is not there.
        """
        ...

    async def changed(self, key: Key, after: int, seconds: float) -> None:
        """Return once the response has an event behind the number *after*, has ended, or is not there; at the latest
        after *seconds*. May return early."""
        ...

    async def cancel(self, key: Key) -> StoredResponse:
        """Ask the owner of a live response to cancel it; return the response as it is then.

        One that has ended is returned as it is, and nothing changes.

        Raises:
            NotStored: it is not there.
        """
        ...

    async def delete(self, key: Key) -> None:
        """Delete a response, its log, and its claim on an idempotency key.

        It can be continued no more. Its items stay for those responses that have continued it already (H11.12), and go
        with the last of them.

        Raises:
            NotStored: it is not there.
            InFlight: it is live, and not being cancelled.
        """
        ...

    async def input_items(
        self,
        key: Key,
        *,
        limit: int,
        descending: bool = True,
        after: str | None = None,
        before: str | None = None,
    ) -> ItemPage:
        """Return a page of what the response was given: the inputs and outputs of all that it continues, then its own
        inputs; oldest first, or newest first (H7.4, H7.5).

        `ItemPage.has_more` is about what was asked for: the part of the list between *after* and *before*.

        Args:
            key: the response.
            limit: how many items at most; at least 1.
            descending: newest first.
            after: begin behind this item, in the order asked for. An id that is not in the list is ignored.
            before: end in front of this item, in the order asked for. An id that is not in the list is ignored.

        Raises:
            NotStored: the response is not there.
        """
        ...

    async def history(
        self, partition: str, *, previous_response_id: str | None = None, conversation_id: str | None = None, limit: int
    ) -> Sequence[Item]:
        """Return the newest *limit* items before a new turn, oldest first, each once (decision 25).

        Where an id stands in more than one place, the newest of them counts.

        Of a previous response: the inputs and outputs of all that it continues, and its own. Of a conversation: the
        inputs and outputs of all its responses, in the order of their creation; an unknown one has none.

        Raises:
            NotStored: the previous response is not there.
        """
        ...

    async def items(self, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
        """Return the items of these ids, in their order; None for each that is not there."""
        ...

    async def claim(self, partition: str, idempotency_key: str, digest: bytes, response_id: str, owner: str) -> Claim:
        """Take an idempotency key for *response_id*, or tell who holds it (decision 22).

        A claim lasts as long as its response. One whose response was never created lasts until `unclaim`, or until the
        lease of its owner is over.
        """
        ...

    async def unclaim(self, partition: str, idempotency_key: str, response_id: str, owner: str) -> None:
        """Free the key, if *owner* has claimed it for *response_id*, which it then did not create."""
        ...

    async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
        """Renew the lease of *owner* for *lease* seconds, and return what it has to look after.

        Waits up to *seconds* for something; returns empty notices after that, and not much later. The leases of others
        are over for it *grace* seconds after their time: who was away himself cannot tell who else is back soon. Those
        who have let go, or whose process is known to be dead, get none. A server calls this in a loop, from
        before its first `create` on, more often than its lease lasts. What has to be done now and then, such as to drop
        what is past its retention, a store does in here. An owner that creates or claims before it attends has a lease
        of `FIRST_LEASE` seconds.
        """
        ...

    async def release(self, owner: str) -> None:
        """End the lease of *owner* now: whatever it has left live are orphans."""
        ...

    async def aclose(self) -> None:
        """Let go of files, connections and threads. Twice is once."""
        ...


@runtime_checkable
class Migrates(Protocol):
    """A store whose tables have a version."""

    async def migrate(self) -> tuple[int, int]:
        """Bring the tables up to date; return the versions before and after. 0 is none at all.

        Raises:
            StoreError: a newer version of this package has written them.
            Exception: whatever the engine has trouble with.
        """
        ...
