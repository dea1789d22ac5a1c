"""Responses in the memory of one process: `MemoryStore`, which forgets the oldest before it grows too large.

Nothing here waits but `changed` and `attend`, so each of the other methods is one step to all tasks of the event loop.
What has ended stands in the order in which it ended; whatever is past its retention, or too much, is taken from the
front of that order, so no operation looks at more than it removes. What is live is never removed (pains E1).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import anyio
import anyio.lowlevel
import attrs

from responses_stream.stores.base import (
    FIRST_LEASE,
    AlreadyStored,
    Claim,
    Ending,
    EventPage,
    Fenced,
    InFlight,
    Item,
    ItemPage,
    Key,
    NewResponse,
    Notices,
    NotStored,
    Recovery,
    StoredResponse,
)
from responses_stream.stores.examination import Finding, Findings
from responses_stream.stores.limits import at_least_one, seconds_or_more
from responses_stream.stores.memory_rows import Bell, Held, Owner, Row, newest_first_of
from responses_stream.stores.paging import newest_of_each, page_of

_PAGE_FRAMES: Final = 1024
"""How many frames a page holds at most, so that no reader copies a long log while others wait."""


@attrs.define(eq=False, kw_only=True)
class MemoryStore:
    """A `ResponseStore` in memory, for one process. What it keeps ends with the process.

    Attributes:
        max_responses: how many responses it keeps; beyond that, those that ended first go. Live ones are kept always.
        max_bytes: how many bytes of events, snapshots and items it keeps; beyond that, those that ended first go. The
            one that ended last stays, so that its readers see its end.
        event_retention: how many seconds after its end the log of a response is kept.
        response_retention: how many seconds after its end a response and its items are kept.
        clock: tells the time in seconds.

    Raises:
        InvalidType: an option is of the wrong type.
        InvalidValue: an option is out of range.
    """

    max_responses: int = attrs.field(default=10_000, validator=at_least_one)
    max_bytes: int = attrs.field(default=512 * 1024 * 1024, validator=at_least_one)
    event_retention: float = attrs.field(default=600.0, validator=seconds_or_more)
    response_retention: float = attrs.field(default=86_400.0, validator=seconds_or_more)
    clock: Callable[[], float] = time.monotonic
    _rows: dict[Key, Row] = attrs.field(factory=dict, init=False, repr=False)
    _ended: OrderedDict[Row, None] = attrs.field(factory=OrderedDict, init=False, repr=False)
    _logs: OrderedDict[Row, None] = attrs.field(factory=OrderedDict, init=False, repr=False)
    _conversations: dict[tuple[str, str], OrderedDict[Row, None]] = attrs.field(factory=dict, init=False, repr=False)
    _items: dict[tuple[str, str], tuple[Item, ...]] = attrs.field(factory=dict, init=False, repr=False)
    _owners: dict[str, Owner] = attrs.field(factory=dict, init=False, repr=False)
    _claims: dict[tuple[str, str], Held] = attrs.field(factory=dict, init=False, repr=False)
    _claims_of: dict[Key, dict[tuple[str, str], None]] = attrs.field(factory=dict, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False, repr=False)

    async def create(self, new: NewResponse, frames: Sequence[bytes] = ()) -> None:
        """See `ResponseStore.create`."""
        self._sweep()
        key = new.key
        if key in self._rows:
            raise AlreadyStored(key)
        parent = None
        if new.previous_response_id is not None:
            parent = self._rows.get(Key(key.partition, new.previous_response_id))
        conversation = None
        if new.conversation_id is not None:
            conversation = self._conversations.setdefault((key.partition, new.conversation_id), OrderedDict())
        owner = self._owner(new.owner)
        row = Row(
            key=key,
            owner=owner,
            response=new.response,
            status=new.status,
            background=new.background,
            stream=new.stream,
            inputs=tuple(new.input_items),
            frames=list(frames),
            size=len(new.response) + sum(map(len, frames)),
            last_number=len(frames) - 1,
            parent=parent,
            conversation=conversation,
            conversation_id=new.conversation_id,
            recovery=Recovery(new.recovery),
        )
        row.size += len(new.recovery or b"")
        self._rows[key] = owner.live[key] = row
        if parent is not None:
            parent.continuations += 1
        if conversation is not None:
            conversation[row] = None
        self._size += row.size
        self._keep_items(key.partition, row.inputs)
        self._make_room()

    async def append(
        self, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None = None
    ) -> None:
        """See `ResponseStore.append`. It does not yield to the event loop."""
        row = self._rows.get(key)
        if row is None:
            raise NotStored(key)
        if row.ended:
            raise Fenced(key, "it has ended")
        if row.owner.name != owner:
            raise Fenced(key, f"it belongs to {row.owner.name!r}, not to {owner!r}")
        if frames:
            if first != row.last_number + 1:
                raise Fenced(key, f"its next event has the number {row.last_number + 1}, not {first}")
            row.frames.extend(frames)
            row.last_number += len(frames)
            size = sum(map(len, frames))
            row.size += size
            self._size += size
        if ending is not None:
            self._end(row, ending)
        if self._size > self.max_bytes:
            self._make_room()
        row.wake()

    async def note(self, key: Key, owner: str, notes: bytes) -> None:
        """See `ResponseStore.note`."""
        row = self._row(key)
        if row.ended:
            raise Fenced(key, "it has ended")
        if row.owner.name != owner:
            raise Fenced(key, f"it belongs to {row.owner.name!r}, not to {owner!r}")
        grown = len(notes) - len(row.recovery.notes or b"")
        row.recovery = Recovery(row.recovery.request, notes)
        row.size += grown
        self._size += grown

    async def recovery(self, key: Key) -> Recovery:
        """See `ResponseStore.recovery`."""
        return self._row(key).recovery

    async def get(self, key: Key) -> StoredResponse:
        """See `ResponseStore.get`."""
        return self._row(key).stored()

    async def events(self, key: Key, after: int = -1) -> EventPage:
        """See `ResponseStore.events`."""
        row = self._row(key)
        first = max(after, -1) + 1
        frames = row.frames[first : first + _PAGE_FRAMES]
        ended = row.ended and (not row.frames or first + len(frames) > row.last_number)
        return EventPage(first, frames, ended, kept=bool(row.frames))

    async def changed(self, key: Key, after: int, seconds: float) -> None:
        """See `ResponseStore.changed`."""
        row = self._rows.get(key)
        if row is None or row.last_number > after or row.ended:
            await anyio.lowlevel.checkpoint()
            return
        if row.change is None:
            row.change = Bell()
        await row.change.wait(seconds)

    async def cancel(self, key: Key) -> StoredResponse:
        """See `ResponseStore.cancel`."""
        row = self._row(key)
        if not row.ended and not row.cancelling:
            row.cancelling = True
            row.owner.untold.append(key)
            row.owner.notice.ring()
        return row.stored()

    async def delete(self, key: Key) -> None:
        """See `ResponseStore.delete`."""
        row = self._row(key)
        if not row.ended and not row.cancelling:
            raise InFlight(key)
        row.deleted = True
        self._drop(row)
        self._drop_items(row)

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
        row = self._row(key)
        newest_first = [*reversed(row.inputs), *newest_first_of(row.parent)]
        listed = newest_first if descending else newest_first[::-1]
        page = page_of(
            len(listed),
            limit,
            [at for at, item in enumerate(listed) if item.id == after],
            [at for at, item in enumerate(listed) if item.id == before],
        )
        return ItemPage(listed[page.start : page.stop], page.has_more)

    async def history(
        self, partition: str, *, previous_response_id: str | None = None, conversation_id: str | None = None, limit: int
    ) -> Sequence[Item]:
        """See `ResponseStore.history`."""
        self._sweep()
        previous = None
        if previous_response_id is not None:
            previous = self._row(Key(partition, previous_response_id))
        conversation = self._conversations.get((partition, conversation_id or ""), ())

        def newest_first() -> Iterator[Item]:
            for row in reversed(conversation):
                yield from reversed(row.outputs)
                yield from reversed(row.inputs)
            yield from newest_first_of(previous)

        return newest_of_each(newest_first(), limit)

    async def items(self, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
        """See `ResponseStore.items`."""
        self._sweep()
        return [self._items.get((partition, id), (None,))[0] for id in ids]

    async def claim(self, partition: str, idempotency_key: str, digest: bytes, response_id: str, owner: str) -> Claim:
        """See `ResponseStore.claim`."""
        self._sweep()
        at = (partition, idempotency_key)
        held = self._claims.get(at)
        if held is not None and (Key(partition, held.response_id) in self._rows or held.owner.expires > self.clock()):
            return Claim(held.response_id, held.digest, mine=False)
        self._forget_claim(at)
        claimer = self._owner(owner)
        claimer.claims[at] = None
        self._claims[at] = Held(response_id, digest, claimer)
        self._claims_of.setdefault(Key(partition, response_id), {})[at] = None
        return Claim(response_id, digest, mine=True)

    async def unclaim(self, partition: str, idempotency_key: str, response_id: str, owner: str) -> None:
        """See `ResponseStore.unclaim`."""
        self._sweep()
        held = self._claims.get((partition, idempotency_key))
        if held is not None and (held.response_id, held.owner.name) == (response_id, owner):
            self._forget_claim((partition, idempotency_key))

    async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
        """See `ResponseStore.attend`."""
        await anyio.lowlevel.checkpoint()
        attending = self._owner(owner)
        attending.expires = self.clock() + lease
        until = anyio.current_time() + seconds
        while True:
            self._sweep()
            if self._owners.get(owner) is not attending:
                return Notices()  # its lease ended while it waited, and another owner has taken what it had
            notices = self._notices(attending, grace)
            left = until - anyio.current_time()
            if notices.cancelled or notices.orphans or left <= 0:
                return notices  # at once: what is told here is told to nobody again
            await attending.notice.wait(min(left, self._next_expiry(attending) + grace))

    async def release(self, owner: str) -> None:
        """See `ResponseStore.release`."""
        released = self._owners.get(owner)
        if released is not None:
            released.expires = -math.inf
            for other in self._owners.values():
                other.notice.ring()

    async def examine(self) -> Sequence[Finding]:
        """See `Examined.examine`."""
        findings = Findings()
        findings.warn(
            "persistence",
            "responses are kept in the memory of one process, and go with it",
            "name a store in a file or an engine, unless nobody asks for them later",
        )
        return findings.found

    async def aclose(self) -> None:
        """See `ResponseStore.aclose`. There is nothing to let go of."""

    def _row(self, key: Key) -> Row:
        self._sweep()
        row = self._rows.get(key)
        if row is None:
            raise NotStored(key)
        return row

    def _owner(self, name: str) -> Owner:
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = Owner(name, self.clock() + FIRST_LEASE)
        return owner

    def _notices(self, attending: Owner, grace: float) -> Notices:
        latest = self.clock() - grace
        cancelled = [key for key in attending.untold if key in attending.live]
        attending.untold.clear()
        orphans: list[Key] = []
        for other in [owner for owner in self._owners.values() if owner is not attending and owner.expires <= latest]:
            for key, row in other.live.items():
                row.owner = attending
                orphans.append(key)
            attending.live.update(other.live)
            other.live.clear()
            other.notice.ring()
            for claim in [*other.claims]:
                if Key(claim[0], self._claims[claim].response_id) not in self._rows:
                    self._forget_claim(claim)
            del self._owners[other.name]
        return Notices(cancelled, orphans)

    def _next_expiry(self, attending: Owner) -> float:
        others = [owner.expires for owner in self._owners.values() if owner is not attending]
        return max(0.0, min(others, default=math.inf) - self.clock())

    def _end(self, row: Row, ending: Ending) -> None:
        grown = len(ending.response) - len(row.response)
        grown -= len(row.recovery.request or b"") + len(row.recovery.notes or b"")
        row.recovery = Recovery()
        row.response, row.status, row.outputs = ending.response, ending.status, tuple(ending.output_items)
        row.size += grown
        self._size += grown
        row.ended, row.ended_at = True, self.clock()
        row.owner.live.pop(row.key, None)
        self._keep_items(row.key.partition, row.outputs)
        self._ended[row] = None
        if row.frames:
            self._logs[row] = None
        if len(self._rows) > self.max_responses:
            self._make_room()

    def _sweep(self) -> None:
        """Drop what is past its retention."""
        now = self.clock()
        while self._logs and (row := next(iter(self._logs))).ended_at + self.event_retention <= now:
            del self._logs[row]
            size = sum(map(len, row.frames))
            row.size -= size
            self._size -= size
            row.frames = []
        while self._ended and (row := next(iter(self._ended))).ended_at + self.response_retention <= now:
            self._forget(row)

    def _make_room(self) -> None:
        while len(self._ended) and len(self._rows) > self.max_responses:
            self._forget(next(iter(self._ended)))
        while len(self._ended) > 1 and self._size > self.max_bytes:
            self._forget(next(iter(self._ended)))

    def _forget(self, row: Row) -> None:
        """Remove a response whether or not it is continued: the histories of its continuations end behind it."""
        self._drop(row)
        row.continuations = 0
        row.deleted = True
        self._drop_items(row)

    def _drop(self, row: Row) -> None:
        """Remove all of a response but its items and its place in the chains."""
        key = row.key
        del self._rows[key]
        self._ended.pop(row, None)
        self._logs.pop(row, None)
        row.owner.live.pop(key, None)
        self._size -= row.size
        row.frames, row.response, row.size = [], b"", 0
        if row.conversation is not None:
            del row.conversation[row]
            if not row.conversation and row.conversation_id is not None:
                del self._conversations[key.partition, row.conversation_id]
        for claim in [*self._claims_of.get(key, ())]:
            self._forget_claim(claim)
        row.wake()

    def _drop_items(self, row: Row | None) -> None:
        """Remove the items of a deleted response that nothing continues, and so on up its chain (H11.12)."""
        while row is not None and row.deleted and row.continuations == 0:
            for item in (*row.inputs, *row.outputs):
                at = (row.key.partition, item.id)
                self._size -= len(item.data)
                left = [other for other in self._items.pop(at, ()) if other is not item]
                if left:
                    self._items[at] = tuple(left)
            row.inputs = row.outputs = ()
            parent, row.parent = row.parent, None
            if parent is not None and parent.continuations:
                parent.continuations -= 1
            row = parent

    def _keep_items(self, partition: str, items: tuple[Item, ...]) -> None:
        for item in items:
            self._items[partition, item.id] = (*self._items.get((partition, item.id), ()), item)
            self._size += len(item.data)

    def _forget_claim(self, at: tuple[str, str]) -> None:
        held = self._claims.pop(at, None)
        if held is not None:
            held.owner.claims.pop(at, None)
            key = Key(at[0], held.response_id)
            claims = self._claims_of[key]
            del claims[at]
            if not claims:
                del self._claims_of[key]
