"""Responses in PostgreSQL, which any number of servers share: `PostgresStore`.

Writes are functions in the database (`postgres_schema`), each one round trip and one transaction. Followers and owners
are woken by its notifications (`news`). It needs the extra ``postgres`` and an asyncio event loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import anyio
import attrs
import psycopg
from psycopg import AsyncConnection, sql

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
from responses_stream.stores.joining import chunks
from responses_stream.stores.limits import at_least_one, positive_seconds, seconds_or_more
from responses_stream.stores.lost import was_appended, was_created
from responses_stream.stores.news import EVERYBODY, LOOK, News, topic_of
from responses_stream.stores.postgres_connections import Connections
from responses_stream.stores.postgres_examination import examine
from responses_stream.stores.postgres_reads import Reads
from responses_stream.stores.postgres_schema import channel_of, check_schema, migrate
from responses_stream.stores.postgres_texts import from_text, to_text
from responses_stream.stores.processes import Process, is_dead, this_process
from responses_stream.stores.refusals import refusal
from responses_stream.stores.secrets import shown
from responses_stream.stores.whole import settled

_SWEPT_AT_ONCE: Final = 50
T = TypeVar("T")


@attrs.define(eq=False)
class PostgresStore:
    """A `ResponseStore` in a PostgreSQL database, version 12 or newer, for any number of servers.

    Nothing is opened before the first use. What a method has written has been committed. The tables are made at the
    first use where there are none; older ones are brought up to date by ``responses-stream migrate``.

    Attributes:
        url: the database, such as ``postgresql://user@host/name``; anything that libpq understands.
        schema: the schema of PostgreSQL that holds the tables.
        event_retention: how many seconds after its end the log of a response is kept.
        response_retention: how many seconds after its end a response and its items are kept.
        connections: how many connections the pool has at most; one more listens, and one keeps the lease.
        patience: how many seconds an operation waits for a free connection, and then for an answer, before it fails;
            where a connection is lost, it tries again for as long.
        clock: tells the time in seconds; None takes that of the database, the same for all servers.

    Raises:
        InvalidType: an option is of the wrong type.
        InvalidValue: an option is out of range, or *schema* is no plain name.
    """

    url: str = attrs.field(repr=shown)
    schema: str = attrs.field(default="responses_stream", converter=check_schema, kw_only=True)
    event_retention: float = attrs.field(default=86_400.0, validator=seconds_or_more, kw_only=True)
    response_retention: float = attrs.field(default=30 * 86_400.0, validator=seconds_or_more, kw_only=True)
    connections: int = attrs.field(default=10, validator=at_least_one, kw_only=True)
    patience: float = attrs.field(default=10.0, validator=positive_seconds, kw_only=True)
    clock: Callable[[], float] | None = attrs.field(default=None, kw_only=True)
    _reads: Reads = attrs.field(init=False, repr=False)
    _news: News = attrs.field(init=False, repr=False)
    _database: Connections = attrs.field(init=False, repr=False)
    _lease: Connections = attrs.field(init=False, repr=False)
    _doubtful: set[tuple[str, str, str, str]] = attrs.field(factory=set, init=False, repr=False)
    _swept_at: float = attrs.field(default=-math.inf, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._reads = Reads(f'"{self.schema}"')
        self._database = Connections(self.url, self.schema, self.connections, self.patience)
        # Of its own: where all others are busy, the lease must not run out.
        self._lease = Connections(self.url, self.schema, 1, self.patience, self._database.unsure)
        self._news = News("PostgreSQL", self._database.told, (psycopg.Error, OSError))

    async def create(self, new: NewResponse, frames: Sequence[bytes] = ()) -> None:
        """See `ResponseStore.create`."""
        rows = _rows_of(0, frames)
        [made], was_lost = await self._sure(
            "create_response",
            to_text(new.key.partition),
            to_text(new.key.response_id),
            to_text(new.owner),
            new.status,
            new.background,
            new.stream,
            None if new.previous_response_id is None else to_text(new.previous_response_id),
            None if new.conversation_id is None else to_text(new.conversation_id),
            new.response,
            new.recovery,
            len(frames) - 1,
            *rows,
            *_columns_of(new.input_items),
            *self._now,
            FIRST_LEASE,
            *_process(this_process()),
            unsure=new.owner,
        )
        if not made and not (was_lost and await was_created(self, new, frames)):
            raise AlreadyStored(new.key)

    async def append(
        self, key: Key, owner: str, first: int, frames: Sequence[bytes], ending: Ending | None = None
    ) -> None:
        """See `ResponseStore.append`."""
        topic = topic_of(key)
        [refused], was_lost = await self._sure(
            "append_events",
            to_text(key.partition),
            to_text(key.response_id),
            to_text(owner),
            first,
            len(frames),
            *_rows_of(first, frames),
            ending is not None,
            None if ending is None else ending.status,
            None if ending is None else ending.response,
            *_columns_of(() if ending is None else ending.output_items),
            *self._now,
            topic,
        )
        if refused is not None and not (was_lost and await was_appended(self, key, owner, first, frames, ending)):
            _check(key, owner, refused, first)
        self._news.wake(topic)

    async def note(self, key: Key, owner: str, notes: bytes) -> None:
        """See `ResponseStore.note`."""
        values = (to_text(key.partition), to_text(key.response_id), to_text(owner), notes)
        [refused] = await self._call("note", *values)
        _check(key, owner, refused)

    async def recovery(self, key: Key) -> Recovery:
        """See `ResponseStore.recovery`."""
        return await self._database.run(lambda connection: self._reads.recovery(connection, key))

    async def get(self, key: Key) -> StoredResponse:
        """See `ResponseStore.get`."""
        return await self._database.run(lambda connection: self._reads.get(connection, key))

    async def events(self, key: Key, after: int = -1) -> EventPage:
        """See `ResponseStore.events`."""
        return await self._database.run(lambda connection: self._reads.events(connection, key, after))

    async def changed(self, key: Key, after: int, seconds: float) -> None:
        """See `ResponseStore.changed`."""
        until = anyio.current_time() + seconds
        await self._listen()
        with self._news.waiting(topic_of(key)) as told:
            while not await self._database.run(lambda connection: self._reads.is_news(connection, key, after)):
                if not await self._news.wait(told, until):
                    return

    async def cancel(self, key: Key) -> StoredResponse:
        """See `ResponseStore.cancel`."""

        async def ask(connection: AsyncConnection) -> tuple[str, StoredResponse]:
            # Each by itself: in one transaction, a server that stops in between would hold up all who look after the
            # response. Where the owner is not told, he looks for himself soon.
            values = (to_text(key.partition), to_text(key.response_id))
            [owner] = await self._called(connection, "cancel_response", *values)
            if owner is None:
                raise NotStored(key)
            if owner:
                channel, topic = channel_of(self.schema), topic_of(from_text(owner))
                await connection.execute("SELECT pg_notify(%s, %s)", (channel, topic))
            return owner, await self._reads.get(connection, key)

        owner, stored = await settled(self._database.run(ask))
        if owner:
            self._news.wake(topic_of(from_text(owner)))
        return stored

    async def delete(self, key: Key) -> None:
        """See `ResponseStore.delete`."""
        topic = topic_of(key)
        values = (to_text(key.partition), to_text(key.response_id), topic)
        [refused], was_lost = await self._sure("delete_response", *values)
        if refused is not None and not (was_lost and refused == "missing"):
            raise NotStored(key) if refused == "missing" else InFlight(key)
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
        return await self._database.look(
            lambda connection: self._reads.input_items(connection, key, limit, descending, after, before)
        )

    async def history(
        self, partition: str, *, previous_response_id: str | None = None, conversation_id: str | None = None, limit: int
    ) -> Sequence[Item]:
        """See `ResponseStore.history`."""
        return await self._database.look(
            lambda connection: self._reads.history(connection, partition, previous_response_id, conversation_id, limit)
        )

    async def items(self, partition: str, ids: Sequence[str]) -> Sequence[Item | None]:
        """See `ResponseStore.items`."""
        return await self._database.run(lambda connection: self._reads.items(connection, partition, ids))

    async def claim(self, partition: str, idempotency_key: str, digest: bytes, response_id: str, owner: str) -> Claim:
        """See `ResponseStore.claim`."""
        mine = (partition, idempotency_key, response_id, owner)
        was_doubtful = mine in self._doubtful
        self._doubtful.discard(mine)
        try:
            (held_id, held_digest), was_lost = await self._sure(
                "claim",
                to_text(partition),
                to_text(idempotency_key),
                to_text(response_id),
                digest,
                to_text(owner),
                *self._now,
                FIRST_LEASE,
                *_process(this_process()),
            )
        except (psycopg.OperationalError, OSError):
            self._doubtful.add(mine)  # who asked takes it for free
            raise
        is_mine = (was_lost or was_doubtful) and (from_text(held_id), held_digest) == (response_id, digest)
        if held_digest is None or is_mine:
            return Claim(response_id, digest, mine=True)
        return Claim(from_text(held_id), held_digest, mine=False)

    async def unclaim(self, partition: str, idempotency_key: str, response_id: str, owner: str) -> None:
        """See `ResponseStore.unclaim`."""

        async def free(connection: AsyncConnection) -> None:
            claims = sql.SQL(
                "DELETE FROM {}.claims"
                " WHERE partition = %s AND idempotency_key = %s AND response_id = %s AND owner = %s"
            ).format(sql.Identifier(self.schema))
            values = (to_text(partition), to_text(idempotency_key), to_text(response_id), to_text(owner))
            await connection.execute(claims, values)

        await settled(self._database.run(free))

    async def attend(self, owner: str, lease: float, seconds: float, *, grace: float = 0.0) -> Notices:
        """See `ResponseStore.attend`."""
        until = anyio.current_time() + seconds
        if seconds > 0:
            await self._listen()
        for claim in tuple(self._doubtful):
            await self.unclaim(*claim)
            self._doubtful.discard(claim)
        with self._news.waiting(topic_of(owner)) as told:
            renewed: float | None = lease
            while True:
                notices = await self._attend(owner, renewed, grace)
                if owner in self._database.unsure:
                    notices = await self._lease.run(lambda connection: self._reads.owned(connection, owner))
                    self._database.unsure.discard(owner)
                if notices.cancelled or notices.orphans:
                    return notices  # at once: what is told here is told to nobody again
                renewed = None
                has_more = await self._sweep()
                # Whatever there is to drop: the lease has to be renewed in time.
                over = anyio.current_time() >= until
                if over or not (has_more or await self._news.wait(told, until, LOOK)):
                    return Notices()

    async def release(self, owner: str) -> None:
        """See `ResponseStore.release`."""
        await self._call("release_owner", to_text(owner))
        self._news.wake(EVERYBODY)

    async def aclose(self) -> None:
        """See `ResponseStore.aclose`."""
        self._database.closed = self._lease.closed = True
        with anyio.CancelScope(shield=True):
            await self._news.aclose()
            await self._lease.aclose()
            await self._database.aclose()

    async def migrate(self) -> tuple[int, int]:
        """Make the tables, or bring them up to date; return the versions before and after.

        Raises:
            StoreError: a newer version of this package has written them.
            psycopg.Error: the database is not reachable, or this user may not make tables there.
        """
        connection = await self._database.connect()
        async with connection:
            return await migrate(connection, self.schema)

    async def examine(self) -> Sequence[Finding]:
        """See `Examined.examine`."""
        findings = Findings()
        connection: AsyncConnection | None = None
        with findings.trying("reachable", "is it running, and are host, port, user and database right?", final=True):
            connection = await self._database.connect()
            findings.ok("reachable", "it answers")
        if connection is not None:
            try:
                await examine(connection, self.schema, self.connections + 2, findings)
            finally:
                await connection.close()
        return findings.found

    async def _attend(self, owner: str, lease: float | None, grace: float) -> Notices:
        me = this_process()

        async def attend(connection: AsyncConnection) -> list[tuple[bool, str, str]]:
            others = await self._reads.owners(connection, me.machine)
            dead = [
                to_text(name)
                for name, pid, started in others
                if name != owner and is_dead(Process(me.machine, pid, started))
            ]
            [now] = self._now
            query = sql.SQL("SELECT * FROM {}.attend(%s, {}, %s, %s, %s, %s, %s, %s)").format(
                sql.Identifier(self.schema), _AT
            )
            found = await connection.execute(query, (to_text(owner), now, lease, *_process(me), dead, grace))
            return await found.fetchall()

        found, _ = await settled(self._lease.tried(attend, owner))
        keys = [(is_orphan, Key(from_text(part), from_text(name))) for is_orphan, part, name in found]
        return Notices(
            cancelled=[key for is_orphan, key in keys if not is_orphan],
            orphans=[key for is_orphan, key in keys if is_orphan],
        )

    async def _sweep(self) -> bool:
        """Drop some of what is past its retention, at most once a second; return whether there is more."""
        looked_at = time.monotonic() if self.clock is None else self.clock()
        if 0 <= looked_at - self._swept_at < LOOK:
            return False

        async def sweep(connection: AsyncConnection) -> bool:
            query = sql.SQL("SELECT {0}.sweep({1} - %s, {1} - %s, %s)").format(sql.Identifier(self.schema), _AT)
            [now] = self._now
            values = (now, self.event_retention, now, self.response_retention, _SWEPT_AT_ONCE)
            found = await (await connection.execute(query, values)).fetchone()
            return found is not None and bool(found[0])

        has_more = await self._lease.run(sweep)
        if not has_more:
            self._swept_at = looked_at
        return has_more

    @property
    def _now(self) -> tuple[float | None]:
        return (None if self.clock is None else self.clock(),)

    async def _call(self, function: str, *values: object) -> tuple[Any, ...]:
        """Call a function of the schema, and return its only row."""
        row, _ = await self._sure(function, *values)
        return row

    async def _sure(self, function: str, *values: object, unsure: str | None = None) -> tuple[tuple[Any, ...], bool]:
        """Call a function of the schema; return its only row, and whether there was one before it that was lost.

        Where that may have been, *unsure* is an owner who may have been given something that nobody was told of.
        """
        return await settled(
            self._database.tried(lambda connection: self._called(connection, function, *values), unsure)
        )

    async def _called(self, connection: AsyncConnection, function: str, *values: object) -> tuple[Any, ...]:
        times = _TIMES.get(function, ())
        places = sql.SQL(", ").join(
            _AT if at in times else _BINARY if _are_bytes(value) else _PLAIN for at, value in enumerate(values)
        )
        query = sql.SQL("SELECT * FROM {}({})").format(sql.Identifier(self.schema, function), places)
        row = await (await connection.execute(query, values)).fetchone()
        assert row is not None
        return row

    async def _listen(self) -> None:
        self._database.check_open()
        await self._news.begin()


_AT: Final = sql.SQL("coalesce(%s::float8, extract(epoch FROM clock_timestamp())::float8)")
"""The time that was given, or else that of the database."""

_PLAIN: Final = sql.SQL("%s")

_BINARY: Final = sql.SQL("%b")
"""Bytes in a list would travel as text, of twice their size, which costs more than all else of a write."""

_TIMES: Final = {"create_response": (16,), "append_events": (13,), "claim": (5,)}
"""Which argument of a function is the time."""


def _are_bytes(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], bytes)


def _check(key: Key, owner: str, refused: tuple[str, str] | None, first: int = 0) -> None:
    """Raise what an answer of the database stands for."""
    if refused is not None:
        why, what = refused
        raise refusal(key, owner, why, from_text(what), first)


def _rows_of(first: int, frames: Sequence[bytes]) -> tuple[list[int], list[int], list[bytes]]:
    """Return *frames* as rows: the number of the first frame of each, how many there are, and all of them."""
    firsts: list[int] = []
    counts: list[int] = []
    joined: list[bytes] = []
    for chunk in chunks(frames):
        firsts.append(first)
        counts.append(len(chunk))
        joined.append(b"".join(chunk))
        first += len(chunk)
    return firsts, counts, joined


def _columns_of(items: Sequence[Item]) -> tuple[list[str], list[bytes]]:
    return [to_text(item.id) for item in items], [item.data for item in items]


def _process(process: Process) -> tuple[str, int, str]:
    return process.machine, process.pid, process.started
