"""``responses-stream migrate``, on all kinds of store."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio
import psycopg
import pytest
from psycopg import sql

from responses_stream.cli import main
from responses_stream.stores.base import Key, NewResponse, StoreError
from responses_stream.stores.postgres import PostgresStore
from responses_stream.stores.postgres_schema import VERSION
from tests.services import postgres_url, redis_url

KEY: Final = Key("", "resp_1")


@pytest.fixture
def schema() -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    yield name
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def url_of(schema: str) -> str:
    return f"{postgres_url()}?schema={schema}"


def set_version(schema: str, number: int) -> None:
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("UPDATE {}.version SET number = %s").format(sql.Identifier(schema)), (number,))


async def create(schema: str) -> None:
    store = PostgresStore(postgres_url(), schema=schema)
    try:
        new = NewResponse(key=KEY, owner="o", response=b"{}", status="in_progress", background=True, stream=True)
        await store.create(new)
        await store.get(KEY)
    finally:
        await store.aclose()


def run_create(schema: str) -> None:
    anyio.run(create, schema, backend="asyncio")


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_stores_without_a_version_need_nothing(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "r.db"
    url = {"memory": "memory:", "sqlite": f"sqlite:///{place}"}.get(kind) or redis_url()
    assert main(["migrate", "--store", url]) == 0
    assert capsys.readouterr().out == f"{url}: nothing to migrate\n"
    assert not place.exists()
    monkeypatch.setenv("RESPONSES_STORE", url)
    assert main(["migrate"]) == 0


def test_an_empty_database_is_given_its_tables_and_twice_is_nothing(
    schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = url_of(schema)
    assert main(["migrate", "--store", url]) == 0
    assert capsys.readouterr().out == f"{url}: version 0 is now version {VERSION}\n"
    run_create(schema)
    assert main(["migrate", "--store", url]) == 0
    assert capsys.readouterr().out == f"{url}: version {VERSION}\n"


def test_who_owns_an_empty_schema_needs_no_right_in_the_database(
    schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where somebody else runs the database, and made it for him."""
    role = f"test_{uuid.uuid4().hex}"
    user, name = sql.Identifier(role), sql.Identifier(schema)
    url = re.sub(r"//[^@]*@", f"//{role}:pw@", url_of(schema))
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(user))
        try:
            assert main(["migrate", "--store", url]) == 1
            assert "permission denied for database" in capsys.readouterr().err
            assert main(["doctor", "--store", url]) == 1
            assert "may not make them" in capsys.readouterr().out
            connection.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(name, user))
            assert main(["doctor", "--store", url]) == 1
            assert "may not make them" not in capsys.readouterr().out
            assert main(["migrate", "--store", url]) == 0
            assert capsys.readouterr().out.endswith(f": version 0 is now version {VERSION}\n")
            assert main(["doctor", "--store", url]) == 0
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(user))
            connection.execute(sql.SQL("DROP ROLE {}").format(user))


def test_what_a_server_has_made_is_up_to_date(schema: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_create(schema)
    assert main(["migrate", "--store", url_of(schema)]) == 0
    assert capsys.readouterr().out.endswith(f": version {VERSION}\n")


def test_a_store_refuses_older_tables_with_the_remedy(schema: str) -> None:
    run_create(schema)
    set_version(schema, VERSION - 1 or -1)  # 0 is none at all, which is made at the first use
    with pytest.raises(StoreError, match=r"this package needs \d+; run `responses-stream migrate --store URL`"):
        run_create(schema)


def test_newer_tables_are_left_alone(schema: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_create(schema)
    set_version(schema, VERSION + 1)
    with pytest.raises(StoreError, match=f"has version {VERSION + 1}, .*; update responses-stream"):
        run_create(schema)
    assert main(["migrate", "--store", url_of(schema)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"has version {VERSION + 1}, this package knows up to {VERSION}; update responses-stream" in told.err
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        found = connection.execute(sql.SQL("SELECT number FROM {}.version").format(sql.Identifier(schema))).fetchone()
    assert found == (VERSION + 1,)


def test_of_many_at_once_one_makes_the_tables(schema: str) -> None:
    results: list[tuple[int, int]] = []

    async def one() -> None:
        store = PostgresStore(postgres_url(), schema=schema)
        results.append(await store.migrate())
        await store.aclose()

    async def many() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(one)
            tasks.start_soon(create, schema)  # and a server that begins meanwhile

    anyio.run(many, backend="asyncio")
    assert set(results) <= {(0, VERSION), (VERSION, VERSION)}
    assert results.count((0, VERSION)) <= 1


def test_two_commands_at_once_both_succeed(schema: str) -> None:
    command = [sys.executable, "-m", "responses_stream", "migrate", "--store", url_of(schema)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert sorted(out.partition(": ")[2] for out, _ in told) == [
        f"version 0 is now version {VERSION}\n",
        f"version {VERSION}\n",
    ]


def test_a_failing_migration_leaves_nothing_behind(schema: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        name = sql.Identifier(schema)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        connection.execute(sql.SQL("CREATE TABLE {}.owners (somebody_elses int)").format(name))
    assert main(["migrate", "--store", url_of(schema)]) == 1
    assert "owners" in capsys.readouterr().err
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        found = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,)
        ).fetchall()
    assert found == [("owners",)]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "which store? give --store URL, or set RESPONSES_STORE"),
        (["--store", "mysql://me:hush@h/d"], 2, "has to be memory:"),
        (["--store", "postgresql://me:hush@127.0.0.1:1/d"], 1, "postgresql://me:***@127.0.0.1:1/d: connection failed"),
        (["--store", "postgresql://me:hu/hush@127.0.0.1:1/d"], 1, "postgresql://me:***@127.0.0.1:1/d: "),
        (["--store", "postgresql://127.0.0.1:1/d?password=hush&schema=X"], 2, "schema"),
        (["--store", "redis://:p/hush@127.0.0.1:1/0"], 2, "is no URL of Redis: 'redis://:***@127.0.0.1:1/0'"),
    ],
)
def test_what_goes_wrong_is_told_without_the_password(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESPONSES_STORE", raising=False)
    assert main(["migrate", *arguments]) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert "hush" not in told.err
