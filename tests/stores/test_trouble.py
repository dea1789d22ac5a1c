"""`RedisStore` and `PostgresStore` whose engine is gone, slow, silent, full or somebody else's (issue 7.4).

A proxy stands between them and the engine. Who looks after the trouble has a store of his own, with no proxy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import anyio
import attrs
import psycopg
import pytest
import redis
from psycopg import errors, sql
from redis.asyncio import Redis

from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.stores import news as news_module
from responses_stream.stores import postgres_connections as postgres_module
from responses_stream.stores import redis_connections as redis_module
from responses_stream.stores.base import (
    AlreadyStored,
    Ending,
    Fenced,
    Item,
    Key,
    NewResponse,
    Notices,
    NotStored,
    StoreError,
)
from responses_stream.stores.postgres import PostgresStore
from responses_stream.stores.postgres_reads import Reads
from responses_stream.stores.redis import RedisStore
from tests.services import PrivateRedis, host_of, postgres_url, private_redis, redis_url

from .proxy import Proxy, proxying
from .shared_stores import SHARED

pytestmark = pytest.mark.anyio

Store: TypeAlias = RedisStore | PostgresStore

KEY: Final = Key("alice", "resp_1")
T = TypeVar("T")

SOON: Final = 15.0
TROUBLE: Final = (redis.RedisError, psycopg.Error, OSError)
FRAMES: Final = [b"event: a\ndata: {}\n\n", b"event: b\ndata: {}\n\n"]
MORE: Final = [b"event: c\ndata: {}\n\n", b"event: d\ndata: {}\n\n"]
END: Final = Ending(b'{"id": "resp_1", "status": "completed"}', "completed", [Item("msg_1", b"{}")])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["redis", pytest.param("postgres", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to wait for a pause."""
    monkeypatch.setattr(news_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(postgres_module, "_GIVING_UP", 0.05)


@attrs.frozen
class Place:
    """A store behind a proxy, and one on the same data that goes straight there."""

    store: Store
    direct: Store
    proxy: Proxy

    def hurry(self) -> None:
        """Let the store wait no longer for a server that is not there."""
        self.wait(0.2)

    async def lose_answers(self) -> None:
        """Let nothing come back; what is said arrives, by connections that have been made before."""
        await asyncio.gather(*(self.store.items("", ["nobody's"]) for _ in range(4)))
        self.proxy.hold("answers")

    def wait(self, seconds: float) -> None:
        """Let the store have that much patience from now on."""
        if isinstance(self.store, RedisStore):
            self.store._redis.patience = seconds
        else:
            for connections in (self.store._database, self.store._lease):
                connections.patience = seconds
                if connections._pool is not None:
                    connections._pool.timeout = seconds


@asynccontextmanager
async def place(engine: str, url: str | None = None, **options: Any) -> AsyncIterator[Place]:
    url = url or (redis_url() if engine == "redis" else postgres_url())
    async with proxying(*host_of(url)) as proxy, SHARED[engine](url=url) as [direct]:
        store = attrs.evolve(direct, url=proxy.url(url), **options)
        try:
            await direct.attend("elsewhere", 60, 0)  # the tables are there
            yield Place(store, direct, proxy)
        finally:
            proxy.accept()
            proxy.go_on()
            await store.aclose()


def new(key: Key = KEY, owner: str = "me") -> NewResponse:
    return NewResponse(
        key=key, owner=owner, response=b'{"id": "resp_1"}', status="in_progress", background=True, stream=True
    )


async def eventually(seen: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(SOON):
        while not await seen():
            await anyio.sleep(0.005)


async def succeeds(operation: Callable[[], Awaitable[object]]) -> bool:
    """Try something; the pool of PostgreSQL takes a second between two attempts to connect."""
    try:
        await operation()
    except TROUBLE:
        return False
    return True


async def when_it_is_back(operation: Callable[[], Awaitable[T]]) -> T:
    with anyio.fail_after(SOON):
        while True:
            try:
                return await operation()
            except TROUBLE:
                await anyio.sleep(0.005)


async def is_stored(store: Store, key: Key = KEY) -> bool:
    try:
        await store.get(key)
    except NotStored:
        return False
    return True


# The server is gone


async def test_a_server_that_is_not_there_is_trouble(engine: str) -> None:
    """No store error: what that says is not true of the response."""
    async with place(engine, patience=0.2) as here:
        here.proxy.refuse()
        for operation in (
            here.store.get(KEY),
            here.store.create(new(), FRAMES),
            here.store.attend("me", 60, 0),
            here.store.claim("alice", "k", b"d", "resp_1", "me"),
            here.store.changed(KEY, -1, 60),
        ):
            with anyio.fail_after(SOON), pytest.raises(TROUBLE):
                await operation
        here.proxy.accept()
        await eventually(lambda: succeeds(lambda: here.store.create(new(), FRAMES)))
        assert (await here.direct.get(KEY)).last_number == 1


async def test_a_cut_between_two_operations_is_not_seen(engine: str) -> None:
    async with place(engine) as here:
        await here.store.create(new(), FRAMES)
        await asyncio.gather(*(here.store.get(KEY) for _ in range(10)))
        for number in range(2, 8, 2):
            here.proxy.cut()
            await here.store.append(KEY, "me", number, MORE)
        here.proxy.cut()
        page = await here.store.events(KEY)
        assert list(page.frames) == FRAMES + 3 * MORE


async def test_a_server_that_comes_back_in_time_was_never_gone(engine: str) -> None:
    """A restart or a failover takes seconds; what was asked for meanwhile is done after it."""
    async with place(engine, patience=10) as here:
        await here.store.create(new(), FRAMES)
        here.proxy.refuse()
        appended = asyncio.ensure_future(here.store.append(KEY, "me", 2, MORE, END))
        await anyio.sleep(0.1)
        assert not appended.done()
        here.proxy.accept()
        with anyio.fail_after(SOON):
            await appended
        stored = await here.direct.get(KEY)
        assert (stored.ended, stored.last_number) == (True, 3)


# The server has done it, and the answer is lost


async def has_events(store: Store, number: int) -> bool:
    return (await store.get(KEY)).last_number == number


@asynccontextmanager
async def losing_the_answer(here: Place, was_done: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
    """Let what is done within be done, and its answer be lost."""

    async def lose() -> None:
        await eventually(was_done)
        here.proxy.cut()
        here.proxy.go_on()

    await here.lose_answers()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lose)
        yield


async def test_a_create_whose_answer_is_lost_is_done(engine: str) -> None:
    async with place(engine) as here:
        async with losing_the_answer(here, lambda: is_stored(here.direct)):
            await here.store.create(new(), FRAMES)
        with pytest.raises(AlreadyStored):
            await here.store.create(new(), FRAMES)
        assert list((await here.direct.events(KEY)).frames) == FRAMES


async def test_a_create_after_somebody_elses_is_refused_as_ever(engine: str) -> None:
    async with place(engine) as here:
        assert not await is_stored(here.store)  # a connection is there
        here.proxy.hold("requests")
        created = asyncio.ensure_future(here.store.create(new(owner="me"), FRAMES))
        await anyio.sleep(0.05)
        await here.direct.create(new(owner="other"), FRAMES)
        here.proxy.cut()
        here.proxy.go_on()
        with pytest.raises(AlreadyStored):
            await created


async def test_an_append_whose_answer_is_lost_is_done_once(engine: str) -> None:
    async with place(engine) as here:
        await here.store.create(new(), FRAMES)
        async with losing_the_answer(here, lambda: has_events(here.direct, 3)):
            await here.store.append(KEY, "me", 2, MORE)
        assert list((await here.direct.events(KEY)).frames) == FRAMES + MORE
        with pytest.raises(Fenced, match="its next event has the number 4, not 2"):
            await here.store.append(KEY, "me", 2, MORE)


@pytest.mark.parametrize("frames", [MORE, []])
async def test_an_end_whose_answer_is_lost_is_the_end(engine: str, frames: list[bytes]) -> None:
    async with place(engine) as here:
        await here.store.create(new(), FRAMES)

        async def has_ended() -> bool:
            return (await here.direct.get(KEY)).ended

        async with losing_the_answer(here, has_ended):
            await here.store.append(KEY, "me", 2, frames, END)
        assert list((await here.direct.events(KEY)).frames) == [*FRAMES, *frames]
        with pytest.raises(Fenced, match="it has ended"):
            await here.store.append(KEY, "me", 2 + len(frames), [], END)


async def test_an_append_after_a_takeover_is_fenced_however_often_it_is_tried(engine: str) -> None:
    """Whoever takes the response over while the append is on its way has it."""
    async with place(engine) as here:
        await here.store.attend("me", 60, 0)
        await here.store.create(new(), FRAMES)
        here.proxy.hold("requests")
        appended = asyncio.ensure_future(here.store.append(KEY, "me", 2, MORE))
        await anyio.sleep(0.05)
        await here.direct.release("me")
        assert KEY in (await here.direct.attend("other", 60, 0)).orphans
        await here.direct.append(KEY, "other", 2, MORE)  # even the same events
        here.proxy.cut()
        here.proxy.go_on()
        with pytest.raises(Fenced, match="belongs to 'other'"):
            await appended
        assert list((await here.direct.events(KEY)).frames) == FRAMES + MORE


async def test_a_delete_and_a_claim_whose_answers_are_lost_are_done(engine: str) -> None:
    async with place(engine) as here:
        await here.store.create(new(), FRAMES)

        async def has_passed() -> bool:  # who claims in order to look takes the key
            return here.proxy.passed["requests"] > before

        await is_stored(here.store)
        before = here.proxy.passed["requests"]
        async with losing_the_answer(here, has_passed):
            before = here.proxy.passed["requests"]
            assert (await here.store.claim("alice", "k", b"d", "resp_2", "me")).mine
        assert not (await here.direct.claim("alice", "k", b"d", "resp_3", "elsewhere")).mine

        await here.store.append(KEY, "me", 2, [], END)

        async def is_gone() -> bool:
            return not await is_stored(here.direct)

        async with losing_the_answer(here, is_gone):
            await here.store.delete(KEY)
        with pytest.raises(NotStored):
            await here.store.delete(KEY)


async def test_a_claim_that_nobody_knows_of_is_freed_or_ours(engine: str) -> None:
    """Its request was told of the trouble, and will be sent again; it must not find that it is being answered."""
    async with place(engine, patience=1) as here:
        await here.store.attend("me", 60, 0)
        for number, later in enumerate(("resp_2", "resp_1", "resp_1")):
            key = f"k{number}"
            await here.lose_answers()
            with pytest.raises(TROUBLE):
                await here.store.claim("alice", key, b"d", "resp_1", "me")
            here.proxy.cut()
            here.proxy.go_on()
            if number < 2:
                assert await when_it_is_back(lambda: here.store.attend("me", 60, 0)) == Notices()
            again = await when_it_is_back(partial(here.store.claim, "alice", key, b"d", later, "me"))
            assert again.mine
            assert await here.store.attend("me", 60, 0) == Notices()
            assert not (await here.direct.claim("alice", key, b"d", "resp_3", "elsewhere")).mine


async def test_notices_that_are_lost_are_told_again(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would: the orphans are the caller's from then on."""

    async def nobody(*_: object) -> list[bytes]:
        return []  # who is dead is asked for first; here that is not to be held up

    monkeypatch.setattr(RedisStore, "_dead_besides", nobody)
    monkeypatch.setattr(Reads, "owners", nobody)
    mine, other = Key("", "resp_mine"), Key("", "resp_other")
    async with place(engine) as here:
        await here.store.attend("me", 60, 0)
        await here.store.create(new(mine), FRAMES)
        await here.direct.create(new(other, "gone"), FRAMES)
        await here.direct.cancel(mine)
        await here.direct.release("gone")

        async def is_taken() -> bool:
            return (await here.direct.get(other)).owner == "me"

        notices = Notices()
        async with losing_the_answer(here, is_taken):
            notices = await here.store.attend("me", 60, 0)
        assert other in notices.orphans
        assert mine in notices.cancelled
        assert await here.store.attend("me", 60, 0) == Notices()


@pytest.mark.slow
async def test_what_was_created_for_nobody_is_told_later(engine: str) -> None:
    """The server was told that it failed; when the engine is back it hears of what is live in its name."""
    async with place(engine, patience=1) as here:
        await here.store.attend("me", 60, 0)
        await here.lose_answers()
        with pytest.raises(TROUBLE):
            await here.store.create(new(), FRAMES)
        await eventually(lambda: is_stored(here.direct))
        here.proxy.cut()
        here.proxy.go_on()
        assert list((await here.store.attend("me", 60, 0)).orphans) == [KEY]
        assert await here.store.attend("me", 60, 0) == Notices()


# The server is slow, or silent


@pytest.mark.slow
async def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_patience(engine: str) -> None:
    async with place(engine, patience=0.5) as here:
        await here.store.create(new(), FRAMES)
        here.proxy.hold()
        for operation in (here.store.get(KEY), here.store.append(KEY, "me", 2, MORE), here.store.events(KEY)):
            with anyio.fail_after(SOON), pytest.raises(TROUBLE):
                await operation
        here.proxy.cut()
        here.proxy.go_on()
        await eventually(lambda: succeeds(lambda: here.store.append(KEY, "me", 2, MORE)))
        assert await has_events(here.direct, 3)


async def test_who_finds_no_connection_free_waits_for_one(engine: str) -> None:
    async with place(engine, connections=2) as here:
        await here.store.create(new(), FRAMES)
        with anyio.fail_after(SOON):
            stored = await asyncio.gather(*(here.store.get(KEY) for _ in range(200)))
        assert {one.last_number for one in stored} == {1}


async def test_who_finds_no_connection_free_waits_no_longer_than_patience(engine: str) -> None:
    async with place(engine, connections=1, patience=0.5) as here:
        await here.store.create(new(), FRAMES)
        here.proxy.hold("answers")
        with anyio.fail_after(SOON):
            seen = await asyncio.gather(*(here.store.get(KEY) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(one, TROUBLE) for one in seen), seen


async def test_a_lease_is_kept_where_all_connections_are_busy() -> None:
    """Writes that hang for longer than the lease must not cost the responses of the server."""
    async with (
        SHARED["postgres"](connections=1) as [store],
        await psycopg.AsyncConnection.connect(postgres_url()) as connection,
    ):
        schema = sql.Identifier(store.schema)
        waiting_for_us = "SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"

        async def hangs() -> bool:
            return await (await connection.execute(waiting_for_us)).fetchone() is not None

        await store.create(new(), FRAMES)
        await connection.execute(sql.SQL("SELECT 1 FROM {}.responses FOR UPDATE").format(schema))
        busy = asyncio.ensure_future(store.append(KEY, "me", 2, MORE, END))
        await eventually(hangs)
        waiting = asyncio.ensure_future(store.get(KEY))
        with anyio.fail_after(SOON):
            await store.attend("me", 60, 0)
        assert not busy.done()
        assert not waiting.done()
        await connection.rollback()
        await busy
        assert (await waiting).ended


# Who waits for news


async def test_followers_and_owners_are_woken_after_a_reconnect(engine: str) -> None:
    """Long before they would look for themselves."""
    async with place(engine) as here:
        await here.store.attend("me", 60, 0)
        await here.store.create(new(), FRAMES)
        following = asyncio.ensure_future(here.store.changed(KEY, 1, 600))
        await eventually(lambda: listens(here.store))
        here.proxy.cut()
        await eventually(lambda: listens(here.store))
        await here.direct.append(KEY, "me", 2, MORE)
        with anyio.fail_after(SOON):
            await following
        attending = asyncio.ensure_future(here.store.attend("me", 60, 600))
        here.proxy.cut()
        await here.direct.cancel(KEY)
        with anyio.fail_after(SOON):
            assert list((await attending).cancelled) == [KEY]


async def listens(store: Store) -> bool:
    return store._news._is_listening


@pytest.mark.slow
async def test_a_connection_for_news_that_fell_silent_is_made_again(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall that forgets a connection tells nobody; who follows looks in vain until he asks."""
    monkeypatch.setattr(redis_module, "QUIET", 0.1)
    monkeypatch.setattr(postgres_module, "QUIET", 0.1)
    async with place(engine, patience=1) as here:
        await here.store.create(new(), FRAMES)
        following = asyncio.ensure_future(here.store.changed(KEY, 1, 600))
        await eventually(lambda: listens(here.store))
        here.proxy.fall_silent(b"SUBSCRIBE" if engine == "redis" else b"LISTEN")

        async def has_noticed() -> bool:
            return not here.store._news._is_listening

        await eventually(has_noticed)
        await eventually(lambda: listens(here.store))
        await here.direct.append(KEY, "me", 2, MORE)
        with anyio.fail_after(SOON):
            await following


async def test_a_quiet_connection_for_news_is_kept(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked whether it is there, and is."""
    monkeypatch.setattr(redis_module, "QUIET", 0.01)
    monkeypatch.setattr(postgres_module, "QUIET", 0.01)
    async with place(engine) as here:
        await here.store.create(new(), FRAMES)
        following = asyncio.ensure_future(here.store.changed(KEY, 1, 600))
        await eventually(lambda: listens(here.store))
        before = here.proxy.passed["answers"]

        async def was_asked_often() -> bool:
            assert here.store._news._is_listening
            return here.proxy.passed["answers"] > before + 200

        await eventually(was_asked_often)
        await here.direct.append(KEY, "me", 2, MORE)
        with anyio.fail_after(SOON):
            await following


async def test_a_wait_that_is_cancelled_leaves_nothing(engine: str) -> None:
    async with place(engine) as here:
        await here.store.create(new(), FRAMES)
        await here.store.attend("me", 60, 0)
        for waiting in (here.store.changed(KEY, 1, 600), here.store.attend("me", 60, 600)):
            with anyio.move_on_after(0.1) as scope:
                await waiting
            assert scope.cancelled_caught
        assert here.store._news._topics == {}
        assert (await here.store.get(KEY)).last_number == 1


# Closing


async def test_who_waits_at_a_store_that_is_closed_is_told(engine: str) -> None:
    async with place(engine) as here:
        await here.store.create(new(), FRAMES)
        await here.store.attend("me", 60, 0)
        waiting = [
            asyncio.ensure_future(here.store.changed(KEY, 1, 600)),
            asyncio.ensure_future(here.store.attend("me", 60, 600)),
        ]
        await eventually(lambda: listens(here.store))
        with anyio.fail_after(SOON):
            await asyncio.gather(here.store.aclose(), here.store.aclose())
            await here.store.aclose()
            told = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, StoreError | redis.RedisError | psycopg.Error) for one in told), told
        for operation in (here.store.get(KEY), here.store.changed(KEY, 1, 600), here.store.attend("me", 60, 600)):
            with pytest.raises(StoreError, match="is closed"):
                await operation


async def test_a_store_can_be_closed_while_it_opens_and_while_nobody_answers(engine: str) -> None:
    async with place(engine, patience=0.3) as here:
        here.proxy.hold()
        waiting = asyncio.ensure_future(here.store.changed(KEY, 1, 600))
        await anyio.sleep(0.05)
        with anyio.fail_after(SOON):
            await here.store.aclose()
            with pytest.raises((StoreError, *TROUBLE)):
                await waiting


async def test_a_store_that_was_never_used_is_closed(engine: str) -> None:
    async with place(engine) as here:
        await here.store.aclose()
        await here.store.aclose()


# A full disk, and a failover


@pytest.fixture
def own_redis() -> Any:
    server = private_redis()
    yield server
    server.close()


async def test_a_full_redis_refuses_what_is_new_and_keeps_leases_and_deletes(own_redis: PrivateRedis) -> None:
    async with place("redis", own_redis.url, patience=1) as here, Redis.from_url(own_redis.url) as client:
        await here.store.attend("me", 60, 0)
        await here.store.create(new(), FRAMES)
        await here.store.create(new(Key("", "resp_2")), FRAMES)
        await here.store.append(Key("", "resp_2"), "me", 2, [], END)
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", 1)
        for operation in (
            here.store.append(KEY, "me", 2, MORE),
            here.store.append(KEY, "me", 2, MORE, END),
            here.store.create(new(Key("", "resp_3")), FRAMES),
        ):
            with pytest.raises(redis.ResponseError, match="maxmemory"):
                await operation
        assert await has_events(here.store, 1)  # nothing half
        assert not (await here.store.get(KEY)).ended
        assert await here.store.attend("me", 60, 0) == Notices()
        await here.store.delete(Key("", "resp_2"))
        await client.config_set("maxmemory", 0)
        await here.store.append(KEY, "me", 2, MORE, END)


async def test_a_full_disk_of_postgres_refuses_what_is_new() -> None:
    async with place("postgres", patience=1) as here:
        await here.store.create(new(), FRAMES)
        assert isinstance(here.direct, PostgresStore)
        schema = sql.Identifier(here.direct.schema)
        async with await psycopg.AsyncConnection.connect(here.direct.url, autocommit=True) as connection:
            for statement in (
                "CREATE FUNCTION {0}.full() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN RAISE ''could not extend file'' USING ERRCODE = ''53100''; END'",
                "CREATE TRIGGER full_disk BEFORE INSERT ON {0}.events EXECUTE FUNCTION {0}.full()",
            ):
                await connection.execute(sql.SQL(statement).format(schema))
            with pytest.raises(errors.DiskFull):
                await here.store.append(KEY, "me", 2, MORE, END)
            stored = await here.store.get(KEY)
            assert (stored.last_number, stored.ended) == (1, False)  # nothing half
            await connection.execute(sql.SQL("DROP TRIGGER full_disk ON {0}.events").format(schema))
        await here.store.append(KEY, "me", 2, MORE, END)
        assert await has_events(here.direct, 3)


async def test_a_primary_that_is_one_no_more_is_left_for_the_next(own_redis: PrivateRedis) -> None:
    """READONLY says that nothing was written; a new connection may lead to another server."""
    async with place("redis", own_redis.url, patience=1) as here, Redis.from_url(own_redis.url) as client:
        await here.store.create(new(), FRAMES)
        await client.replicaof("127.0.0.1", 1)
        with pytest.raises(redis.ReadOnlyError):
            await here.store.append(KEY, "me", 2, MORE)
        assert await has_events(here.store, 1)  # it can be read
        here.wait(10)
        appended = asyncio.ensure_future(here.store.append(KEY, "me", 2, MORE))
        await anyio.sleep(0.1)
        assert not appended.done()
        await client.replicaof("NO", "ONE")
        with anyio.fail_after(SOON):
            await appended
        assert list((await here.direct.events(KEY)).frames) == FRAMES + MORE


@pytest.mark.slow
async def test_a_standby_is_left_for_the_next_primary() -> None:
    async with place("postgres", patience=1) as here:
        await here.store.create(new(), FRAMES)
        read_only = "?options=-c%20default_transaction_read_only%3Don"
        store = attrs.evolve(here.store, url=here.store.url + read_only)
        try:
            with pytest.raises(errors.ReadOnlySqlTransaction):
                await store.append(KEY, "me", 2, MORE)
            assert await has_events(store, 1)
        finally:
            await store.aclose()


async def test_a_redis_that_was_killed_and_started_again_has_all(own_redis: PrivateRedis) -> None:
    """With an append-only file, as docs/scaling.md asks for; the scripts are not in it, and are sent again."""
    async with place("redis", own_redis.url, patience=10) as here:
        await here.store.create(new(), FRAMES)
        following = asyncio.ensure_future(here.store.changed(KEY, 3, 600))
        await eventually(lambda: listens(here.store))
        await asyncio.to_thread(own_redis.stop)
        appended = asyncio.ensure_future(here.store.append(KEY, "me", 2, MORE))
        await anyio.sleep(0.05)
        await asyncio.to_thread(own_redis.start)
        with anyio.fail_after(SOON):
            await appended
            await here.store.append(KEY, "me", 4, MORE, END)
            await following
        assert list((await here.direct.events(KEY)).frames) == FRAMES + MORE + MORE


# What is told of it


async def test_no_password_is_told(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with place(engine, patience=0.2) as here:
        host, port = "127.0.0.1", here.proxy.own_port
        scheme, path, user = ("redis", "0", "username") if engine == "redis" else ("postgresql", "test", "user")
        told: list[str] = []
        for url in (
            f"{scheme}://somebody:hush@{host}:{port}/{path}",
            f"{scheme}://somebody:hush@{host}:1/{path}",
            f"{scheme}://somebody:hu/hush@{host}:{port}/{path}",
            f"{scheme}://{host}:{port}/{path}?{user}=somebody&password=hush",
        ):
            here.proxy.refuse()
            try:
                store = attrs.evolve(here.store, url=url)
            except InvalidValue as refused:  # redis-py cannot read the third
                told.append(str(refused))
                continue
            told.append(repr(store))
            for operation in (store.get(KEY), store.attend("me", 60, 0.01)):
                with anyio.fail_after(SOON), pytest.raises(Exception) as error:  # noqa: PT011  # any of any client
                    await operation
                told += [str(error.value), repr(error.value)]
            await store.aclose()
        assert len(told) == (16 if engine == "redis" else 20)
        assert not [line for line in (*told, caplog.text) if "hush" in line]


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("connections", 0, InvalidValue),
        ("connections", -1, InvalidValue),
        ("connections", True, InvalidType),
        ("connections", "7", InvalidType),
        ("connections", 1.5, InvalidType),
        ("patience", 0, InvalidValue),
        ("patience", -1, InvalidValue),
        ("patience", float("nan"), InvalidValue),
        ("patience", None, InvalidType),
        ("event_retention", -1, InvalidValue),
        ("response_retention", "1", InvalidType),
    ],
)
def test_bad_options_are_refused(engine: str, option: str, value: object, error: type[Exception]) -> None:
    stores: dict[str, Callable[..., object]] = {"redis": RedisStore, "postgres": PostgresStore}
    with pytest.raises(error, match=option):
        stores[engine](f"{engine}://host/0", **{option: value})
