"""`PostgresStore` keeps the whole contract, on a real server."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from responses_stream.stores.conforming import turn
from tests.services import postgres_url

from .shared_conformance import SharedConformance
from .shared_stores import postgres_stores
from .test_conformance import Clock


class TestPostgresStore(SharedConformance):
    engine = "postgres"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_whatever_there_is_to_drop_the_lease_comes_first() -> None:
    """What is past its retention may be much: it is dropped some at a time, and nobody waits for the rest."""
    clock = Clock()
    async with (
        postgres_stores(clock=clock, response_retention=10) as [store],
        await psycopg.AsyncConnection.connect(postgres_url(), autocommit=True) as connection,
    ):
        await store.attend("me", 600, 0)
        for number in range(120):
            await turn(store, f"r{number}")
        clock.now += 11
        left = sql.SQL("SELECT count(*) FROM {}.responses").format(sql.Identifier(store.schema))

        async def attended() -> int:
            await store.attend("me", 600, 0)
            [count] = await (await connection.execute(left)).fetchone() or (None,)
            assert isinstance(count, int)
            return count

        assert [await attended() for _ in range(3)] == [70, 20, 0]
