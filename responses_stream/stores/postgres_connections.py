"""The connections of a `PostgresStore`: made at the first use, tried again where they are lost, given their time."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Final, TypeVar

import anyio
import attrs
import psycopg
from psycopg import AsyncConnection, errors
from psycopg_pool import AsyncConnectionPool

from responses_stream.stores.base import StoreError
from responses_stream.stores.news import QUIET
from responses_stream.stores.postgres_schema import VERSION, channel_of, migrate, version_of

_TRIES: Final = 5
"""How often what PostgreSQL has given up for a deadlock is tried."""

_FIRST_PAUSE: Final = 0.05
_GIVING_UP: Final = 1.0
_LONGEST_CONNECT: Final = 60.0

_RECONNECT: Final = 5.0
"""After how many seconds of failing the pool begins anew, with short pauses, for the next who wants a connection."""

T = TypeVar("T")


@attrs.define(eq=False)
class Connections:
    """A pool of connections to one schema, and the one that listens.

    Attributes:
        url: the database.
        schema: the schema of PostgreSQL that holds the tables.
        most: how many there are at most, besides the one that listens.
        patience: how many seconds to wait for a free one, and then for an answer; where one is lost, to try again.
        unsure: the owners who may have been given something that nobody was told of.
        closed: whether there are none any more.
    """

    url: str
    schema: str
    most: int
    patience: float
    unsure: set[str] = attrs.field(factory=set)
    closed: bool = attrs.field(default=False, init=False)
    _pool: AsyncConnectionPool[AsyncConnection] | None = attrs.field(default=None, init=False)
    _opening: asyncio.Lock | None = attrs.field(default=None, init=False)

    async def look(self, look: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Look more than once at one state of the database."""

        async def within(connection: AsyncConnection) -> T:
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                return await look(connection)

        return await self.run(within)

    async def run(self, operation: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do something with a connection, and again where that was lost."""
        found, _ = await self.tried(operation)
        return found

    async def tried(
        self, operation: Callable[[AsyncConnection], Awaitable[T]], unsure: str | None = None
    ) -> tuple[T, bool]:
        """Do something, and again where its connection was lost; return what came of it, and whether that was so."""
        until, pause, was_lost, deadlocks = anyio.current_time() + self.patience, _FIRST_PAUSE, False, 0
        while True:
            async with self._connection() as connection:
                try:
                    async with self._in_time():
                        return await operation(connection), was_lost
                except (errors.DeadlockDetected, errors.SerializationFailure):
                    deadlocks += 1
                    if deadlocks == _TRIES:
                        raise
                    continue
                except (psycopg.Error, OSError) as error:
                    if isinstance(error, errors.ReadOnlySqlTransaction):
                        await connection.close()  # it was the primary; a new connection may reach that which is now
                    if not connection.closed:
                        raise
                    was_lost = True
                    if unsure is not None:
                        self.unsure.add(unsure)
                    if self.closed or anyio.current_time() + pause > until:
                        raise
            await asyncio.sleep(pause)
            pause *= 2

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        pool = self._pool
        if pool is None:
            if self._opening is None:
                self._opening = asyncio.Lock()
            async with self._opening:
                pool = self._pool or await self._open()
        while True:
            connection = await pool.getconn()
            if _is_quiet(connection):
                break
            await connection.close()  # the pool makes another one in its place
            await pool.putconn(connection)
        try:
            yield connection
        finally:
            await pool.putconn(connection)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Give the database its time for an answer.

        Raises:
            TimeoutError: it was over.
        """
        # When it is over psycopg asks the database to give up, and waits for that; the second time it is told, it
        # closes the connection.
        async with asyncio.timeout(self.patience + _GIVING_UP), asyncio.timeout(self.patience):
            yield

    async def _open(self) -> AsyncConnectionPool[AsyncConnection]:
        self.check_open()
        connection = await self.connect()
        async with connection:
            async with self._in_time():
                version = await version_of(connection, self.schema)
            if version == 0:
                await migrate(connection, self.schema)
            elif version < VERSION:
                raise StoreError(
                    f"the schema {self.schema} has version {version}, this package needs {VERSION}; "
                    "run `responses-stream migrate --store URL`"
                )
            elif version > VERSION:
                raise StoreError(
                    f"the schema {self.schema} has version {version}, this package knows up to {VERSION}; "
                    "update responses-stream"
                )
        pool: AsyncConnectionPool[AsyncConnection] = AsyncConnectionPool(
            self.url,
            kwargs={"autocommit": True, "connect_timeout": math.ceil(min(self.patience, _LONGEST_CONNECT))},
            min_size=1,
            max_size=self.most,
            timeout=self.patience,
            reconnect_timeout=_RECONNECT,
            open=False,
            name="responses_stream",
        )
        await pool.open()
        if self.closed:
            await pool.close()
            self.check_open()
        self._pool = pool
        return pool

    async def connect(self) -> AsyncConnection:
        """Return a connection that belongs to nobody else."""
        async with asyncio.timeout(self.patience):
            return await psycopg.AsyncConnection.connect(self.url, autocommit=True)

    async def told(self) -> AsyncGenerator[str, None]:
        """Yield the topics that the database tells; first an empty one, as soon as it listens."""
        connection = await self.connect()
        async with connection:
            async with self._in_time():
                await connection.execute(f'LISTEN "{channel_of(self.schema)}"'.encode())
            yield ""
            while True:
                async with aclosing(connection.notifies(timeout=QUIET)) as notifications:
                    async for told in notifications:
                        yield told.payload
                # A connection that was cut on its way stays silent for ever, as one does that has no news.
                async with self._in_time():
                    await connection.execute("SELECT 1")

    async def aclose(self) -> None:
        """Close them all."""
        self.closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def check_open(self) -> None:
        """Raise `StoreError` where the store was closed."""
        if self.closed:
            raise StoreError(f"the store of the schema {self.schema} is closed")


def _is_quiet(connection: AsyncConnection) -> bool:
    """Tell whether there is nothing to read from an idle connection; there is where the database has closed it."""
    if connection.closed:
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return not selector.select(0)
