"""`RedisStore` keeps the whole contract, on a real server, and keeps nothing for longer than it has to."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from responses_stream.stores.base import Ending, Item, Key, NewResponse
from responses_stream.stores.redis import RedisStore

from .shared_conformance import SharedConformance
from .shared_stores import redis_stores

OWNER = "me"
WITHOUT_END = {"row", "owners", "processes"}
"""What there is once, or once for each server that lives."""


class TestRedisStore(SharedConformance):
    engine = "redis"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def begin(store: RedisStore, name: str, idempotency_key: str, previous: str | None = None) -> Key:
    """Claim an idempotency key for a response, and create it."""
    key = Key("alice", name)
    await store.claim("alice", idempotency_key, b"digest", name, OWNER)
    new = NewResponse(
        key=key,
        owner=OWNER,
        response=b"{}",
        status="in_progress",
        background=True,
        stream=True,
        previous_response_id=previous,
        conversation_id="conv_1",
        input_items=[Item(f"in_{name}", b"{}"), Item("in_all", b"{}")],
        recovery=b"{}",
    )
    await store.create(new, [b"data: {}\n\n"])
    return key


async def end(store: RedisStore, key: Key) -> None:
    output = [Item(f"out_{key.response_id}", b"{}")]
    await store.append(key, OWNER, 1, [b"data: {}\n\n"], Ending(b"{}", "completed", output))


async def kept_for_ever(store: RedisStore) -> set[str]:
    """Return the keys that do not expire by themselves, without the prefix."""
    begins = f"{{{store.prefix}}}:"
    async with Redis.from_url(store.url, decode_responses=True) as client:
        return {
            key.removeprefix(begins)
            async for key in client.scan_iter(f"{begins}*", count=10_000)
            if await client.ttl(key) == -1
        }


@pytest.mark.anyio
async def test_whatever_there_is_of_a_response_expires_while_its_server_lives() -> None:
    """docs/stores.md; also what its claims were noted under (decision 22)."""
    async with redis_stores() as [store]:
        await store.attend(OWNER, 600, 0)
        for number in range(3):
            await end(store, await begin(store, f"ended_{number}", f"key {number}"))
        for name in ("deleted", "deleted, and continued"):
            deleted = await begin(store, name, f"key of one {name}", "ended_0")
            if name != "deleted":
                await end(store, await begin(store, "continuation", "key of a continuation", name))
            await store.cancel(deleted)
            await store.delete(deleted)
        for name in ("unclaimed", "unclaimed, too"):
            await store.claim("alice", f"key of one {name}", b"digest", name, OWNER)
            await store.unclaim("alice", f"key of one {name}", name, OWNER)
        assert await kept_for_ever(store) == WITHOUT_END


@pytest.mark.anyio
async def test_who_dies_takes_the_claims_along_whose_responses_are_not_there() -> None:
    async with redis_stores() as [store]:
        await begin(store, "created", "kept")
        await store.claim("alice", "freed", b"digest", "never_created", OWNER)
        await store.release(OWNER)
        await store.attend("heir", 600, 0)
        assert (await store.claim("alice", "kept", b"other", "x", "heir")).response_id == "created"
        assert (await store.claim("alice", "freed", b"other", "y", "heir")).mine


@pytest.mark.anyio
async def test_claims_of_two_servers_for_one_response_are_settled_with_it() -> None:
    """Both have asked before either has created it; what the loser does not take back goes with the response."""
    async with redis_stores() as [store]:
        await store.attend("other", 600, 0)
        await store.claim("alice", "of the other", b"digest", "both", "other")
        await store.attend(OWNER, 600, 0)
        await end(store, await begin(store, "both", "mine"))
        assert await kept_for_ever(store) == WITHOUT_END
