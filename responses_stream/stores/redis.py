"""Responses in Redis, which any number of servers share: `RedisStore`.

What is done is done by scripts in Redis (`redis_scripts`), each one round trip. Followers and owners are woken by
publications (`news`). It needs the extra ``redis``, Redis 6.2 or newer or Valkey, and an asyncio event loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio
import attrs
from redis.exceptions import RedisError

from responses_stream.errors import InvalidValue
from responses_stream.stores.base import (
    FIRST_LEASE,
    AlreadyStored,
    Claim,
    Ending,
    EventPage,
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
from responses_stream.stores.joining import frames_of
from responses_stream.stores.limits import at_least_one, positive_seconds, seconds_or_more
from responses_stream.stores.lost import was_appended, was_created
from responses_stream.stores.news import EVERYBODY, LOOK, News, topic_of
from responses_stream.stores.processes import Process, is_dead
from responses_stream.stores.redis_connections import LOST, Connections
from responses_stream.stores.redis_examination import examine
from responses_stream.stores.redis_values import (
    entries_of,
    from_bytes,
    items_of,
    keys_of,
    marked,
    names_of,
    own_process,
    pairs_of,
    stored_of,
    to_bytes,
)
from responses_stream.stores.refusals import refusal
from responses_stream.stores.secrets import shown
from responses_stream.stores.whole import settled

_PAGE_BYTES: Final = 256 * 1024


def _prefix(value: str) -> str:
    if not value or "{" in value or "}" in value:
        raise InvalidValue("prefix", f"is {value!r}; it takes a name without braces")
    return value


@attrs.define(eq=False)
class RedisStore:
    """A `ResponseStore` in Redis, for any number of servers.

    Nothing is opened before the first use. What a method has written is as durable as Redis is configured to be.

    Attributes:
        url: the database, such as ``redis://host:6379/0``; ``rediss://`` and ``unix://`` as redis-py has them.
        prefix: what all keys begin with.
        event_retention: how many seconds after its end the log of a response is kept.
        response_retention: how many seconds after its end a response and its items are kept.
        connections: how many connections there are at most; one more listens.
        patience: how many seconds an operation waits for a free connection, and then for an answer, before it fails;
            where Redis is not there, it tries again for as long.
        clock: tells the time in seconds; None takes that of Redis, the same for all servers.

    Raises:
        InvalidType: an option is of the wrong type.
        InvalidValue: an option is out of range, or the URL is none of Redis.
    """

    url: str = attrs.field(repr=shown)
    prefix: str = attrs.field(default="responses_stream", converter=_prefix, kw_only=True)
    event_retention: float = attrs.field(default=86_400.0, validator=seconds_or_more, kw_only=True)
    response_retention: float = attrs.field(default=30 * 86_400.0, validator=seconds_or_more, kw_only=True)
    connections: int = attrs.field(default=50, validator=at_least_one, kw_only=True)
    patience: float = attrs.field(default=10.0, validator=positive_seconds, kw_only=True)
    clock: Callable[[], float] | None = attrs.field(default=None, kw_only=True)
    _news: News = attrs.field(init=False, repr=False)
    _redis: Connections = attrs.field(init=False, repr=False)
    _doubtful: set[tuple[str, str, str, str]] = attrs.field(factory=set, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._redis = Connections(self.url, self.prefix, self.connections, self.patience)
        self._redis.check()
        self._news = News("Redis", self._redis.told, (RedisError, OSError))

    async def create(self, new: NewResponse, frames: Sequence[bytes] = ()) -> None:
        """See `ResponseStore.create`."""
        entries = entries_of(0, frames)
        made, was_lost = await self._sure(
            "create",
            to_bytes(new.key.partition),
            to_bytes(new.key.response_id),
            to_bytes(new.owner),
            new.status,
            int(new.background),
            int(new.stream),
            marked(new.previous_response_id),
            marked(new.conversation_id),
            new.response,
            len(frames) - 1,
            self._now,
            FIRST_LEASE,
            own_process(),
            self.response_retention,
            marked(new.recovery),
            len(entries) // 3,
            len(new.input_items),
            *entries,
            *pairs_of(new.input_items),
            unsure=new.owner,
        )
        if not made and not (was_lost and await was_created(self, new, frames)):
            raise AlreadyStored(new.key)

    async def append(
        self, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None = None
    ) -> None:
        """See `ResponseStore.append`."""
        entries = entries_of(first, frames)
        topic = topic_of(key)
        refused, was_lost = await self._sure(
            "append",
            *names_of(key),
            to_bytes(owner),
            first,
            len(frames),
            int(ending is not None),
            "" if ending is None else ending.status,
            b"" if ending is None else ending.response,
            self._now,
            self.event_retention,
            self.response_retention,
            topic,
            len(entries) // 3,
            *entries,
            *pairs_of(() if ending is None else ending.output_items),
        )
        if refused and not (was_lost and await was_appended(self, key, owner, first, frames, ending)):
            _check(key, owner, refused, first)
        self._news.wake(topic)

    async def note(self, key: Key, owner: str, notes: bytes) -> None:
        """See `ResponseStore.note`."""
        _check(key, owner, await self._write("note", *names_of(key), to_bytes(owner), notes, *self._asked))

    async def recovery(self, key: Key) -> Recovery:
        """See `ResponseStore.recovery`."""
        found = await self._redis.run("recovery", *names_of(key), *self._asked)
        if not found:
            raise NotStored(key)
        return Recovery(*found)

    async def get(self, key: Key) -> StoredResponse:
        """See `ResponseStore.get`."""
        return stored_of(key, await self._redis.run("get", *names_of(key), *self._asked))

    async def events(self, key: Key, after: int = -1) -> EventPage:
        """See `ResponseStore.events`."""
        first = max(after, -1) + 1
        retention = (*self._asked, self.event_retention)
        found = await self._redis.run("events", *names_of(key), *retention, first, _PAGE_BYTES)
        if not found:
            raise NotStored(key)
        has_ended, last, is_kept, entries = found
        frames: list[bytes] = []
        for entry, joined in zip(entries[::2], entries[1::2], strict=True):
            begin, count = map(int, entry.split(b"-"))
            frames += frames_of(count, joined)[max(0, first - begin + 1) :]
        kept = is_kept == b"1"
        return EventPage(first, frames, has_ended == b"1" and (not kept or first + len(frames) > int(last)), kept)

    async def changed(self, key: Key, after: int, seconds: float) -> None:
        """See `ResponseStore.changed`."""
        until = anyio.current_time() + seconds
        await self._listen()
        with self._news.waiting(topic_of(key)) as told:
            while not await self._redis.run("is_news", *names_of(key), *self._asked, after):
                if not await self._news.wait(told, until):
                    return

    async def cancel(self, key: Key) -> StoredResponse:
        """See `ResponseStore.cancel`."""
        owner = await self._write("cancel", *names_of(key), *self._asked)
        if owner is None:
            raise NotStored(key)
        if owner:
            topic = topic_of(from_bytes(owner))
            await self._write("tell", topic)
            self._news.wake(topic)
        return await self.get(key)

    async def delete(self, key: Key) -> None:
        """See `ResponseStore.delete`."""
        topic = topic_of(key)
        refused, was_lost = await self._sure("delete", *names_of(key), *self._asked, topic)
        if refused and not (was_lost and refused == b"missing"):
            raise NotStored(key) if refused == b"missing" else InFlight(key)
        self._news.wake(topic)

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
        asked = (limit, int(descending), marked(after), marked(before))
        found = await self._redis.run("input_items", *names_of(key), *self._asked, *asked)
        if found is None:
            raise NotStored(key)
        has_more, *flat = found
        items = items_of(flat)
        return ItemPage(items[::-1] if descending else items, has_more == b"1")

    async def history(
        self, partition: str, *, previous_response_id: str | None = None, conversation_id: str | None = None, limit: int
    ) -> Sequence[Item]:
        """See `ResponseStore.history`."""
        asked = (marked(previous_response_id), marked(conversation_id), limit)
        found = await self._redis.run("history", to_bytes(partition), *self._asked, *asked)
        if found is None:
            raise NotStored(Key(partition, previous_response_id or ""))
        return items_of(found)[::-1]

    async def items(self, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
        """See `ResponseStore.items`."""
        if not ids:
            return []
        wanted = map(to_bytes, ids)
        found = await self._redis.run("items", to_bytes(partition), *self._asked, *wanted)
        return [None if data is None else Item(item_id, data) for item_id, data in zip(ids, found, strict=True)]

    async def claim(self, partition: str, idempotency_key: str, digest: bytes, response_id: str, owner: str) -> Claim:
        """See `ResponseStore.claim`."""
        mine = (partition, idempotency_key, response_id, owner)
        was_doubtful = mine in self._doubtful
        self._doubtful.discard(mine)
        values = (self._now, self.response_retention, FIRST_LEASE, own_process())
        try:
            held, was_lost = await self._sure(
                "claim",
                to_bytes(partition),
                to_bytes(idempotency_key),
                to_bytes(response_id),
                digest,
                to_bytes(owner),
                *values,
            )
        except LOST:
            self._doubtful.add(mine)  # who asked takes it for free
            raise
        if not held or ((was_lost or was_doubtful) and held == [to_bytes(response_id), digest]):
            return Claim(response_id, digest, mine=True)
        return Claim(from_bytes(held[0]), held[1], mine=False)

    async def unclaim(self, partition: str, idempotency_key: str, response_id: str, owner: str) -> None:
        """See `ResponseStore.unclaim`."""
        await self._write("unclaim", *map(to_bytes, (partition, idempotency_key, response_id, owner)))

    async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
        """See `ResponseStore.attend`."""
        until = anyio.current_time() + seconds
        if seconds > 0:
            await self._listen()
        for claim in tuple(self._doubtful):
            await self.unclaim(*claim)
            self._doubtful.discard(claim)
        with self._news.waiting(topic_of(owner)) as told:
            renewed: float | str = lease
            while True:
                dead = await self._dead_besides(owner)
                values = (to_bytes(owner), self._now, renewed, self.response_retention, own_process(), grace)
                [cancelled, orphans], _ = await self._sure("attend", *values, *dead, unsure=owner)
                notices = Notices(keys_of(cancelled), keys_of(orphans))
                if owner in self._redis.unsure:
                    notices = await self._owned(owner)
                    self._redis.unsure.discard(owner)
                if notices.cancelled or notices.orphans:
                    return notices  # at once: what is told here is not told again
                renewed = ""
                if not await self._news.wait(told, until, LOOK):
                    return Notices()

    async def release(self, owner: str) -> None:
        """See `ResponseStore.release`."""
        await self._write("release", to_bytes(owner))
        self._news.wake(EVERYBODY)

    async def aclose(self) -> None:
        """See `ResponseStore.aclose`."""
        self._redis.closed = True
        with anyio.CancelScope(shield=True):
            await self._news.aclose()
            await self._redis.aclose()

    async def examine(self) -> Sequence[Finding]:
        """See `Examined.examine`."""
        findings = Findings()
        await examine(self._redis.client(), self.connections + 1, findings)
        return findings.found

    @property
    def _asked(self) -> tuple[str, float]:
        """The time, and how long what has ended is there."""
        return self._now, self.response_retention

    @property
    def _now(self) -> str:
        return "" if self.clock is None else f"{self.clock():.6f}"

    async def _dead_besides(self, owner: str) -> list[bytes]:
        """Return the owners whose processes were on this machine and are no more."""
        told = await self._redis.run("processes")
        named = zip(told[::2], told[1::2], strict=True)
        return [name for name, said in named if name != to_bytes(owner) and is_dead(Process(*json.loads(said)))]

    async def _owned(self, owner: str) -> Notices:
        """Return all that is live of an owner, who does not know what he was told last."""
        found = await self._redis.run("owned", to_bytes(owner))
        live = list(zip(keys_of([said for at, said in enumerate(found) if at % 3 < 2]), found[2::3], strict=True))
        return Notices([key for key, asked in live if asked != b"0"], [key for key, _ in live])

    async def _write(self, script: str, *values: bytes | str | float) -> Any:
        written, _ = await self._sure(script, *values)
        return written

    async def _sure(self, script: str, *values: bytes | str | float, unsure: str | None = None) -> tuple[Any, bool]:
        """Write; return the answer, and whether there was one before it that was lost.

        Where that may have been, *unsure* is an owner who may have been given something that nobody was told of.
        """
        return await settled(self._redis.tried(script, *values, unsure=unsure))

    async def _listen(self) -> None:
        self._redis.client()
        await self._news.begin()


def _check(key: Key, owner: str, refused: Sequence[bytes], first: int = 0) -> None:
    """Raise what an answer of Redis stands for."""
    if refused:
        why, what = map(from_bytes, refused)
        raise refusal(key, owner, why, what, first)
