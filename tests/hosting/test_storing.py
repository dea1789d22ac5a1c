"""Which store a URL stands for, with which options, and what is said of a URL that stands for none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import pytest

from responses_stream import MemoryStore, ResponsesServerOptions, SqliteStore
from responses_stream.errors import InvalidValue
from responses_stream.hosting.storing import MissingStore, check_store_url, open_store, without_password
from responses_stream.stores.postgres import PostgresStore
from responses_stream.stores.redis import RedisStore

SECRET: Final = "hush"


@pytest.mark.parametrize("url", [None, "", "memory:"])
def test_without_a_url_it_is_in_memory(url: str | None) -> None:
    store = open_store(url, max_responses=7, event_retention=8, response_retention=9)
    assert isinstance(store, MemoryStore)
    assert (store.max_responses, store.event_retention, store.response_retention) == (7, 8, 9)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///r.db", "r.db"),
        ("sqlite:////tmp/r.db", "/tmp/r.db"),
        ("sqlite:///with%20blank%3F.db", "with blank?.db"),
    ],
)
def test_a_file(url: str, path: str) -> None:
    store = open_store(url)
    assert isinstance(store, SqliteStore)
    assert Path(store.path) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/0",
        "redis://user:pass@localhost:6379/0",
        "rediss://localhost:6380/1?ssl_cert_reqs=none",
        "unix:///var/run/redis.sock?db=1",
        "unix://user:pass@/var/run/redis.sock",
    ],
)
def test_redis(url: str) -> None:
    store = open_store(url)
    assert isinstance(store, RedisStore)
    assert store.url == url
    assert store.prefix == "responses_stream"
    store._redis.client()  # redis-py understands it, and connects nowhere yet


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost/test",
        "postgres://user:pass@localhost:5432/test",
        "postgresql:///test",
        "postgresql:///test?host=/var/run/postgresql",
        "postgresql://one:5432,two:5433/test?target_session_attrs=read-write",
        "postgresql://localhost/test?options=-c%20statement_timeout%3D5s&sslmode=prefer",
        "postgresql://localhost/test?application_name=a+b",
    ],
)
def test_postgres(url: str) -> None:
    store = open_store(url)
    assert isinstance(store, PostgresStore)
    assert store.url == url, "libpq reads it in its own way"
    assert store.schema == "responses_stream"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("unix:///tmp/r.sock", "unix:///tmp/r.sock"),
        ("postgresql:///test", "postgresql:///test"),
        ("postgresql://h/test?sslmode=prefer", "postgresql://h/test?sslmode=prefer"),
    ],
)
def test_options_in_the_query_are_those_of_the_store(url: str, plain: str) -> None:
    mine = "event_retention=60&response_retention=1e3&patience=2.5&connections=3"
    name = "schema" if url.startswith("postgresql") else "prefix"
    store: Any = open_store(f"{url}{'&' if '?' in url else '?'}{mine}&{name}=of_mine")
    assert store.url == plain
    assert (store.event_retention, store.response_retention) == (60, 1000)
    assert (store.patience, store.connections) == (2.5, 3)
    assert getattr(store, name) == "of_mine"


def test_an_option_of_one_engine_is_none_of_the_other() -> None:
    postgres = open_store("postgresql://h/d?prefix=x")
    assert isinstance(postgres, PostgresStore)
    assert postgres.url == "postgresql://h/d?prefix=x"
    with pytest.raises(
        InvalidValue, match=r"redis://h/0\?schema=x.* options that are not the store's are those of redis"
    ):
        open_store("redis://h/0?schema=x")


def test_a_prefix_may_be_escaped() -> None:
    store = open_store("redis://h/0?prefix=a%3Ab")
    assert isinstance(store, RedisStore)
    assert store.prefix == "a:b"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://h/0?prefix=", "prefix"),
        ("redis://h/0?prefix={x}", "prefix"),
        ("postgresql://h/d?schema=Bad-Name", "schema"),
        ("redis://h/0?event_retention=soon", "event_retention='soon'"),
        ("postgresql://h/d?connections=2.5", "connections='2.5'"),
        ("redis://h/0?connections=0", "connections"),
        ("redis://h/0?patience=0", "patience"),
        ("postgresql://h/d?response_retention=-1", "response_retention"),
        ("postgresql://h/d?patience=nan", "patience"),
    ],
)
def test_a_bad_option_is_named(url: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "memory",
        "memory://",
        "sqlite://r.db",
        "sqlite:///",
        "redis:",
        "redis://",
        "postgresql://",
        "mysql://h/d",
        "Redis://h",
        "r.db",
        "/tmp/r.db",
        "postgresql+psycopg://h/d",
    ],
)
def test_what_is_no_store_is_refused_with_what_is_one(url: str) -> None:
    with pytest.raises(InvalidValue, match=r"sqlite:///PATH .* redis://HOST:PORT/DATABASE or postgresql://"):
        open_store(url)
    with pytest.raises(InvalidValue):
        check_store_url(url)
    with pytest.raises(InvalidValue):
        ResponsesServerOptions(store=url)


@pytest.mark.parametrize("url", ["memory:", "sqlite:///r.db", "redis://h", "rediss://h", "unix:///s", "postgres://h/d"])
def test_what_is_a_store_is_an_option(url: str) -> None:
    assert check_store_url(url) == url
    assert ResponsesServerOptions(store=url).store == url


@pytest.mark.parametrize(
    ("url", "missing", "extra"),
    [
        ("redis://h/0", "redis", "redis"),
        ("postgresql://h/d", "psycopg", "postgres"),
        ("postgresql://h/d", "psycopg_pool", "postgres"),
    ],
)
def test_a_client_that_is_not_installed_is_told_by_its_extra(
    url: str, missing: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in tuple(sys.modules):
        if name.partition(".")[0] == missing or name in (
            "responses_stream.stores.redis",
            "responses_stream.stores.redis_connections",
            "responses_stream.stores.postgres",
            "responses_stream.stores.postgres_connections",
            "responses_stream.stores.postgres_schema",
            "responses_stream.stores.postgres_reads",
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingStore) as error:
        open_store(url)
    assert error.value.extra == extra
    assert str(error.value) == f"this store needs the extra '{extra}': pip install 'responses-stream[{extra}]'"
    assert isinstance(error.value, ImportError)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://user@h:1/0", "redis://user@h:1/0"),
        ("redis://:hush@h:1/0", "redis://:***@h:1/0"),
        ("redis://user:hush@h:1/0", "redis://user:***@h:1/0"),
        ("postgresql://user:hu%40hush@h/d", "postgresql://user:***@h/d"),
        ("postgresql://user:hush@one:1,two:2/d", "postgresql://user:***@one:1,two:2/d"),
        ("redis://:pa/hush@h", "redis://:***@h"),
        ("redis://:pa?hush@h", "redis://:***@h"),
        ("redis://:pa#hush@h", "redis://:***@h"),
        ("redis://:p@hush@h", "redis://:***@h"),
        ("redis://:p:hush@h", "redis://:***@h"),
        ("redis://h/0?password=hush&db=1", "redis://h/0?password=***&db=1"),
        ("postgresql://h/d?user=a&password=hush", "postgresql://h/d?user=a&password=***"),
        ("postgresql://h/d?sslpassword=hush", "postgresql://h/d?sslpassword=***"),
        ("host=h user=a password=hush dbname=d", "host=h user=a password=*** dbname=d"),
        ("host=h password = 'hush \\' hush' dbname=d", "host=h password = *** dbname=d"),
        ("sqlite:////tmp/r.db", "sqlite:////tmp/r.db"),
        ("memory:", "memory:"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://[broken:hush@h", "redis://[broken:***@h"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert SECRET not in repr(PostgresStore(url))


def test_a_store_in_redis_does_not_show_a_password() -> None:
    assert repr(RedisStore("redis://me:hush@h:1/0")).startswith("RedisStore(url='redis://me:***@h:1/0', ")


def test_options_do_not_show_a_password() -> None:
    options = ResponsesServerOptions(store="redis://me:hush@h/0")
    assert "store='redis://me:***@h/0'" in repr(options)
    assert "store=None" in repr(ResponsesServerOptions())


@pytest.mark.parametrize("url", ["mysql://user:hush@h/d", "redi://:hu/hush@h", "pg://h/d?password=hush"])
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(InvalidValue) as error:
        open_store(url)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hu/hush@h:6379",
        "redis://:6379/hush@h:6379",  # redis-py takes this for port 6379 of this machine, and a database
        "redis://:hu?hush@h",
        "redis://:hush@h/abc",
        "redis://:hush@h/0/1",
        "redis://:hush@h:port/0",
        "redis://[broken:hush@h",
        "redis://:hush@h/0?nonsense=1",
        "redis://:hush@h/0?socket_keepalive_options=x&db=y",
        "unix:///run/redis.sock?nonsense=1&password=hush",
    ],
)
def test_a_url_that_redis_cannot_read_is_told_without_its_password(url: str) -> None:
    """Before anything is opened, so that no command has to look for it."""
    with pytest.raises(InvalidValue, match="is no URL of Redis") as error:
        open_store(url)
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h/",
        "redis://h/3",
        "rediss://h/3/",
        "unix:///run/redis.sock?db=3",
        "redis://:h%2Fush@h:1/3",
    ],
)
def test_what_redis_can_read_is_a_store(url: str) -> None:
    assert isinstance(open_store(url), RedisStore)
