"""The connections of a `RedisStore`: made at the first use, tried again where they are lost, given their time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import attrs
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import AuthenticationError, ReadOnlyError

from responses_stream.errors import InvalidValue
from responses_stream.stores.base import StoreError
from responses_stream.stores.news import QUIET
from responses_stream.stores.redis_scripts import SCRIPTS
from responses_stream.stores.redis_values import from_bytes
from responses_stream.stores.secrets import without_password

LOST: Final = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
"""What is raised where nobody knows whether Redis has done what it was told."""

_FIRST_PAUSE: Final = 0.05
_DATABASE: Final = re.compile(r"/?[0-9]*/?")
"""The path of a URL; redis-py takes anything else for database 0, also the rest of a password."""


@attrs.define(eq=False)
class Connections:
    """A pool of connections to the data of one store, and the one that listens.

    Attributes:
        url: the database.
        prefix: what all keys begin with.
        most: how many there are at most; one more listens.
        patience: how many seconds to wait for a free one, and then for an answer; where one is lost, to try again.
        unsure: the owners who may have been given something that nobody was told of.
        closed: whether there are none any more.
    """

    url: str
    prefix: str
    most: int
    patience: float
    unsure: set[str] = attrs.field(factory=set, init=False)
    closed: bool = attrs.field(default=False, init=False)
    _redis: Redis | None = attrs.field(default=None, init=False)
    _scripts: dict[str, AsyncScript] = attrs.field(factory=dict, init=False)

    async def run(self, script: str, *values: bytes | str | float) -> Any:
        """Run a script, and again where its connection was lost; return its answer."""
        found, _ = await self.tried(script, *values)
        return found

    async def tried(self, script: str, *values: bytes | str | float, unsure: str | None = None) -> tuple[Any, bool]:
        """Run a script, and again where its connection was lost; return its answer, and whether that was so.

        Where it was, *unsure* is an owner who may have been given something that nobody was told of.
        """
        until, pause, was_lost = anyio.current_time() + self.patience, _FIRST_PAUSE, False
        while True:
            try:
                return await self._once(script, *values), was_lost
            except AuthenticationError:
                raise
            except (*LOST, ReadOnlyError):
                was_lost = True
                if unsure is not None:
                    self.unsure.add(unsure)
                if self.closed or anyio.current_time() + pause > until:
                    raise
            await asyncio.sleep(pause)
            pause *= 2

    async def _once(self, script: str, *values: bytes | str | float) -> Any:
        client = self.client()
        try:
            return await self._scripts[script](keys=[self._name], args=values, client=client)
        except ReadOnlyError:
            # It was the primary, and another is now, which a new connection may reach.
            await client.connection_pool.disconnect(inuse_connections=False)
            raise

    @property
    def _name(self) -> str:
        # In braces: on a cluster all keys of a store have to be on one node.
        return f"{{{self.prefix}}}"

    def client(self) -> Redis:
        """Return the client of redis-py, which connects where it is used.

        Raises:
            StoreError: the store was closed.
        """
        if self.closed:
            raise StoreError(f"the store {self.prefix} is closed")
        if self._redis is None:
            self._redis = Redis.from_pool(self._pool())
            self._scripts = {name: self._redis.register_script(text) for name, text in SCRIPTS.items()}
        return self._redis

    def check(self) -> None:
        """Check the URL, without connecting.

        Raises:
            InvalidValue: redis-py cannot read it, or would silently take another database than is meant.
        """
        try:
            pool: Any = self._pool()
            pool.make_connection()
            is_read = _DATABASE.fullmatch(urlsplit(self.url).path) is not None or self.url.startswith("unix:")
        except Exception:  # of many types; and what it says may quote a part of the password
            is_read = False
        if not is_read:
            raise InvalidValue(
                "url",
                f"is no URL of Redis: {without_password(self.url)!r}; a password has its / : @ ? # as %2F and so on, a "
                "database is a number, and options that are not the store's are those of redis-py",
            )

    def _pool(self) -> BlockingConnectionPool:
        # No retries: we try again ourselves, who know what to make of what is refused the second time.
        return BlockingConnectionPool.from_url(
            self.url,
            max_connections=self.most + 1,
            timeout=self.patience,
            socket_timeout=self.patience,
            socket_connect_timeout=self.patience,
            retry=Retry(NoBackoff(), 0),
        )

    async def told(self) -> AsyncGenerator[str, None]:
        """Yield the topics that Redis tells; first an empty one, as soon as it listens."""
        async with self.client().pubsub() as publications:
            await publications.subscribe(f"{self._name}:news")
            while True:
                told = await publications.get_message(timeout=QUIET)
                if told is None:
                    # A connection that was cut on its way stays silent for ever, as one does that has no news.
                    await publications.ping()
                    told = await publications.get_message(timeout=self.patience)
                    if told is None:
                        raise TimeoutError("it does not answer")
                if told["type"] == "message":
                    yield from_bytes(told["data"])
                elif told["type"] == "subscribe":
                    yield ""

    async def aclose(self) -> None:
        """Close them all."""
        self.closed = True
        client, self._redis = self._redis, None
        if client is not None:
            await client.aclose()
