"""Stores on real engines, each in a corner of its own that is gone afterwards."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql
from redis.asyncio import Redis

from responses_stream.stores.postgres import PostgresStore
from responses_stream.stores.redis import RedisStore
from tests.services import postgres_url, redis_url


@asynccontextmanager
async def redis_stores(count: int = 1, url: str | None = None, **options: Any) -> AsyncIterator[list[RedisStore]]:
    """Open *count* stores on the same data."""
    url = url or redis_url()
    prefix = f"test_{uuid.uuid4().hex}"
    stores = [RedisStore(url, prefix=prefix, **options) for _ in range(count)]
    try:
        yield stores
    finally:
        for store in stores:
            await store.aclose()
        async with Redis.from_url(url) as client:
            async for key in client.scan_iter(f"{{{prefix}}}*", count=10_000):
                await client.delete(key)


@asynccontextmanager
async def postgres_stores(count: int = 1, url: str | None = None, **options: Any) -> AsyncIterator[list[PostgresStore]]:
    """Open *count* stores on the same data."""
    # What a test has written need not survive the loss of power, which is what each commit waits for.
    url = url or f"{postgres_url()}?options=-c%20synchronous_commit%3Doff"
    schema = f"test_{uuid.uuid4().hex}"
    stores = [PostgresStore(url, schema=schema, **options) for _ in range(count)]
    try:
        yield stores
    finally:
        for store in stores:
            await store.aclose()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


SHARED: dict[str, Callable[..., Any]] = {"redis": redis_stores, "postgres": postgres_stores}
"""What opens the stores of each engine."""
