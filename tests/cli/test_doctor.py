"""``responses-stream doctor``: against real engines, and against a server behind proxies that do what proxies do."""

from __future__ import annotations

import gzip
import json
import re
import socket
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import httpx
import psycopg
import pytest
import redis
from psycopg import sql

from responses_stream import (
    CreateResponse,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    SqliteStore,
    TextResponse,
)
from responses_stream.cli import doctor_store, main
from responses_stream.cli.doctor_url import Arrival, Caller, Course, judge, look
from responses_stream.hosting.storing import open_store
from responses_stream.stores.base import Key, NewResponse, ResponseStore
from responses_stream.stores.examination import Examined, Findings
from responses_stream.stores.postgres_schema import VERSION
from tests.services import postgres_url, private_redis, redis_url
from tests.transports.launching import SERVERS

ENGINES: Final = ("memory", "sqlite", "redis", "postgres")
EVENT: Final = b'event: response.created\ndata: {"type":"response.created"}\n\n'
LAST: Final = b'event: response.completed\ndata: {"type":"response.completed"}\n\n'


@attrs.frozen
class Told:
    """What the command has said in JSON, and its exit status."""

    status: int
    ok: bool
    checks: list[dict[str, str]]

    def level(self, check: str) -> str | None:
        """Return how a check went; None where it was not made."""
        return next((one["level"] for one in self.checks if one["check"] == check), None)

    def said(self, check: str) -> str:
        """Return what was found and what to do."""
        return next(f"{one['said']} -> {one['remedy']}" for one in self.checks if one["check"] == check)


Doctor = Callable[..., Told]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    def run(*arguments: str) -> Told:
        status = main(["doctor", "--format", "json", *arguments])
        said = json.loads(capsys.readouterr().out)
        return Told(status, said["ok"], said["checks"])

    return run


@contextmanager
def place_of(engine: str, folder: Path) -> Iterator[str]:
    """Give the URL of a store that is there, with nothing in it, and is gone afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    if engine == "memory":
        yield "memory:"
    elif engine == "sqlite":
        url = f"sqlite:///{folder}/r.sqlite3"
        anyio.run(_use, url)
        yield url
    elif engine == "redis":
        try:
            yield f"{redis_url()}?prefix={name}"
        finally:
            with redis.Redis.from_url(redis_url()) as client:
                for key in client.scan_iter(f"{{{name}}}*", count=10_000):
                    client.delete(key)
    else:
        url = f"{postgres_url()}?schema={name}"
        try:
            assert main(["migrate", "--store", url]) == 0
            yield url
        finally:
            with psycopg.connect(postgres_url(), autocommit=True) as connection:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


async def _use(url: str) -> None:
    store = open_store(url)
    await store.release("nobody")
    await store.aclose()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_store_that_is_well(engine: str, tmp_path: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    with place_of(engine, tmp_path) as url:
        capsys.readouterr()
        told = doctor("--store", url)
    assert (told.status, told.ok) == (0, True)
    assert [one for one in told.checks if one["level"] == "failed"] == []
    assert told.level("write") == "ok"
    if engine != "memory":
        assert (told.level("reachable"), told.level("news")) == ("ok", "ok")
    if engine in ("redis", "postgres"):
        assert {told.level(check) for check in ("version", "role", "clock")} == {"ok"}
        for check in ("round trip", "connections"):  # as busy as it may be
            assert told.level(check) in ("ok", "warning")
    if engine in ("sqlite", "postgres"):
        assert told.level("migration") == "ok"


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_it_leaves_nothing_behind_and_takes_nothing(engine: str, tmp_path: Path) -> None:
    """Who attends a store is given the orphans; a doctor must not be."""
    key = Key("somebody", "resp_1")

    async def leave(url: str) -> None:
        store = open_store(url)
        await store.create(
            NewResponse(key=key, owner="dead", response=b"{}", status="in_progress", background=True, stream=False)
        )
        await store.release("dead")
        await store.aclose()

    async def orphans(url: str) -> list[Key]:
        store = open_store(url)
        found = (await store.attend("heir", 10, 0)).orphans
        await store.aclose()
        return list(found)

    with place_of(engine, tmp_path) as url:
        anyio.run(leave, url)
        assert main(["doctor", "--store", url]) == 0
        assert anyio.run(orphans, url) == [key], "the orphan is still there for a server, and nothing of ours is"


def test_every_store_can_be_examined(tmp_path: Path) -> None:
    stores: list[ResponseStore] = [MemoryStore(), SqliteStore(tmp_path / "r.sqlite3")]
    stores += [open_store(url) for url in ("redis://localhost", "postgresql://localhost/x")]
    for store in stores:
        assert isinstance(store, Examined)


def test_what_a_redis_can_be_like(doctor: Doctor) -> None:
    engine = private_redis()
    try:
        with redis.Redis.from_url(engine.url) as client:
            told = doctor("--store", engine.url)
            assert (told.status, told.level("persistence"), told.level("memory")) == (0, "ok", "ok")

            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
            told = doctor("--store", engine.url)
            assert (told.status, told.level("memory"), told.level("write")) == (1, "failed", "ok")
            assert "noeviction" in told.said("memory")

            client.config_set("maxmemory", "0")
            assert doctor("--store", engine.url).level("memory") == "warning"
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1mb")
            told = doctor("--store", engine.url)
            assert told.level("memory") == "warning" or told.level("write") == "failed"
            client.config_set("maxmemory", "0")

            client.config_set("appendonly", "no")
            told = doctor("--store", engine.url)
            assert (told.status, told.level("persistence")) == (0, "warning")
            assert "what is written is lost at a restart" in told.said("persistence")
            client.config_set("save", "3600 1")
            assert "snapshots only (save 3600 1)" in doctor("--store", engine.url).said("persistence")

            client.config_set("maxclients", "40")
            told = doctor("--store", engine.url)
            assert told.level("connections") == "warning"
            client.config_set("maxclients", "1000")

            # As where somebody else runs it: settings are not to be seen.
            client.execute_command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "&*", "+@all", "-config")
            poor = engine.url.replace("redis://", "redis://poor:pw@")
            told = doctor("--store", poor)
            assert (told.status, told.level("write")) == (0, "ok")
            assert "may not see whether there are snapshots" in told.said("persistence")
            assert "pw" not in json.dumps(told.checks)
            client.execute_command("ACL", "SETUSER", "poor", "-eval", "-evalsha", "-info")
            told = doctor("--store", poor)
            assert (told.status, told.level("version"), told.level("write")) == (1, "failed", "failed")

            client.replicaof("127.0.0.1", "1")
            told = doctor("--store", engine.url)
            assert (told.status, told.level("role"), told.level("write")) == (1, "failed", None)
    finally:
        engine.close()
    told = doctor("--store", engine.url)
    assert (told.status, [one["check"] for one in told.checks]) == (1, ["reachable"])


def test_a_postgres_without_tables_is_given_none(doctor: Doctor) -> None:
    schema = f"test_{uuid.uuid4().hex}"
    told = doctor("--store", f"{postgres_url()}?schema={schema}")
    assert (told.status, told.level("migration"), told.level("write")) == (1, "failed", None)
    assert "migrate" in told.said("migration")
    with psycopg.connect(postgres_url()) as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
    assert found is None


def test_a_postgres_of_another_version(tmp_path: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    with place_of("postgres", tmp_path) as url, psycopg.connect(postgres_url(), autocommit=True) as connection:
        capsys.readouterr()
        table = sql.Identifier(url.partition("?schema=")[2], "version")
        connection.execute(sql.SQL("UPDATE {} SET number = %s").format(table), (VERSION + 1,))
        told = doctor("--store", url)
        assert (told.status, told.level("write")) == (1, None)
        assert "update responses-stream" in told.said("migration")


def test_a_postgres_that_takes_no_writes(tmp_path: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    with place_of("postgres", tmp_path) as url:
        capsys.readouterr()
        told = doctor("--store", f"{url}&patience=0.5&options=-c%20default_transaction_read_only%3Don")
    assert (told.status, told.level("write")) == (1, "failed")
    assert "read-only" in told.said("write")


def test_a_postgres_that_loses_the_last_moments(tmp_path: Path, doctor: Doctor, capsys: Any) -> None:
    with place_of("postgres", tmp_path) as url:
        capsys.readouterr()
        told = doctor("--store", f"{url}&options=-c%20synchronous_commit%3Doff")
    assert (told.status, told.level("persistence"), told.level("write")) == (0, "warning", "ok")


def test_a_user_with_the_rights_that_the_page_gives(
    tmp_path: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/stores.md: who serves needs less than who migrates."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "stores.md").read_text()
    [block] = re.findall(r"```sql\n(.*?)```", page, re.S)
    role = f"test_{uuid.uuid4().hex}"
    with place_of("postgres", tmp_path) as url, psycopg.connect(postgres_url(), autocommit=True) as connection:
        capsys.readouterr()
        schema = url.partition("?schema=")[2]
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(sql.Identifier(role)))
        try:
            poor = re.sub(r"//[^@]*@", f"//{role}:pw@", url)
            told = doctor("--store", poor)
            assert (told.status, told.level("migration"), told.level("write")) == (1, "failed", None)
            grants = block.replace("responses_stream", schema).replace("TO server", f"TO {role}")
            connection.execute(grants.encode())
            told = doctor("--store", poor)
            assert (told.status, told.level("write"), told.level("news")) == (0, "ok", "ok")
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_an_engine_that_is_not_there(doctor: Doctor) -> None:
    told = doctor("--store", "postgresql://nobody@127.0.0.1:1/x")
    assert (told.status, [one["check"] for one in told.checks]) == (1, ["reachable"])


def test_files(tmp_path: Path, doctor: Doctor) -> None:
    told = doctor("--store", f"sqlite:///{tmp_path}/new.sqlite3")
    assert (told.status, told.level("migration"), told.level("write")) == (0, "warning", None)
    assert list(tmp_path.iterdir()) == [], "it is not for a doctor to make it"
    assert "there is no folder" in doctor("--store", f"sqlite:///{tmp_path}/no/r.sqlite3").said("reachable")
    with closing(sqlite3.connect(tmp_path / "old.sqlite3")) as connection:
        connection.execute("PRAGMA user_version = 1")
    told = doctor("--store", f"sqlite:///{tmp_path}/old.sqlite3")
    assert (told.level("migration"), told.level("write")) == ("warning", None), "it is not for a doctor to migrate it"
    (tmp_path / "text.sqlite3").write_text("This is no file of SQLite, and long enough to be seen not to be one." * 9)
    assert doctor("--store", f"sqlite:///{tmp_path}/text.sqlite3").level("migration") == "failed"


@pytest.mark.anyio
async def test_news_that_do_not_come_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler in front of PostgreSQL passes no notifications: who waits looks for himself, late."""
    monkeypatch.setattr(doctor_store, "_PATIENCE", 0.7)

    class Deaf(MemoryStore):
        async def changed(self, key: Key, after: int, seconds: float) -> None:  # noqa: ARG002  # the protocol's
            if after >= 0:
                await anyio.sleep(seconds)

    store = Deaf()
    findings = Findings()
    await doctor_store.follow(store, store, findings)
    [finding] = findings.found
    assert (finding.check, finding.level) == ("news", "warning")


@pytest.mark.anyio
async def test_a_store_that_fails_half_way_is_left_clean() -> None:
    class Broken(MemoryStore):
        async def note(self, key: Key, owner: str, notes: bytes) -> None:  # noqa: ARG002  # the protocol's
            raise OSError("the disk is full")

    store, findings = Broken(), Findings()
    await doctor_store.write(store, findings)
    [finding] = findings.found
    assert (finding.level, finding.final) == ("failed", True)
    assert "at 'note': the disk is full" in finding.said
    assert not store._rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "what is to be looked at"),
        (("--store", "mysql://x"), "has to be memory:"),
        (("--store", "redis://:p/w@127.0.0.1:6379/0"), "is no URL of Redis: 'redis://:***@127.0.0.1:6379/0'"),
        (("--store", "redis://127.0.0.1:6379/abc"), "is no URL of Redis"),
        (("--store", "memory:", "--ask", "Hi"), "give --url, too"),
        (("--url", "http://x", "--model", "m"), "give --ask TEXT, too"),
    ],
)
def test_a_call_that_is_wrong(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESPONSES_STORE", raising=False)
    assert main(["doctor", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_store_of_the_environment(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONSES_STORE", "memory:")
    assert [one["place"] for one in doctor().checks] == ["memory:", "memory:"]


def test_what_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--store", "redis://:secret@127.0.0.1:1/0"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("redis://:***@127.0.0.1:1/0\n  FAILED  reachable: ")
    assert "\n          -> is it running" in said
    assert "secret" not in said


# What stands in front of a server.


def server_of(pause: float, pauses: int, interval: float | None = None, **more: Any) -> ResponsesServer:
    """Return a server whose handler says something, and is silent for *pause* seconds, some times over."""
    options = ResponsesServerOptions(sse_keep_alive_interval_seconds=interval, **more)
    server = ResponsesServer(store=MemoryStore(), options=options)

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        async def text() -> AsyncIterator[str]:
            for _ in range(pauses):
                yield "word " * 20
                await anyio.sleep(pause)
            yield "end"

        return TextResponse(context, request, text=text())

    return server


class Proxy:
    """A proxy of bytes that spoils event streams: *spoil* is given what comes from the server, and passes on."""

    def __init__(self, upstream: tuple[str, int], kind: str) -> None:
        self._upstream, self._kind = upstream, kind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._upstream)
                self._sockets += [near, far]
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
                threading.Thread(target=self._answer, args=(far, near), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        held, is_stream = b"", False
        with suppress(OSError):
            while True:
                try:
                    data = far.recv(65536)
                except TimeoutError:  # "idle": what is silent for too long is cut
                    near.shutdown(socket.SHUT_RDWR)
                    return
                if not data:
                    break
                is_stream = is_stream or b"text/event-stream" in data
                if is_stream and self._kind == "idle":
                    far.settimeout(0.5)
                if not is_stream or self._kind == "idle":
                    near.sendall(data)
                    continue
                held += data
                if held.endswith(b"\r\n0\r\n\r\n"):
                    near.sendall(held)
                    held = b""
                elif self._kind == "blocks":
                    # A size at which no event ends.
                    whole = len(held) // 211 * 211
                    near.sendall(held[:whole])
                    held = held[whole:]
            near.sendall(held)
            near.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def behind(kind: str, server: ResponsesServer) -> Iterator[str]:
    """Serve, behind a proxy of that kind, and give the public URL."""
    with SERVERS["h11-asyncio"](server) as address:
        if kind == "nothing":
            yield "http://{}:{}/v1".format(*address)
            return
        proxy = Proxy(address, kind)
        try:
            yield "http://{}:{}/v1".format(*proxy.address)
        finally:
            proxy.close()


def test_a_server_that_is_well(doctor: Doctor) -> None:
    with behind("nothing", server_of(0.2, 3)) as url:
        told = doctor("--url", url, "--ask", "Hi", "--model", "m")
        assert told.status == 0
        assert {one["level"] for one in told.checks} == {"ok"}
        checks = ["reachable", "readiness", "api", "headers", "cut", "buffering"]
        assert [one["check"] for one in told.checks] == checks

        told = doctor("--url", url)
        assert (told.status, told.level("stream"), told.level("cut")) == (0, "warning", None)
        assert "runs the handler once" in told.said("stream")

        told = doctor("--url", url.replace("/v1", "/elsewhere"))
        assert (told.status, told.level("readiness"), told.level("api")) == (1, "warning", "failed")


def test_a_proxy_that_holds_frames_back_is_noticed(doctor: Doctor) -> None:
    """H1."""
    with behind("buffering", server_of(0.2, 4)) as url:
        told = doctor("--url", url, "--ask", "Hi")
    assert (told.status, told.level("buffering"), told.level("cut")) == (1, "failed", "ok")
    assert "all at once, after a wait" in told.said("buffering")
    assert "proxy_buffering off" in told.said("buffering")


def test_a_proxy_that_passes_blocks_on_is_noticed(doctor: Doctor) -> None:
    """H1: it looks like streaming, and is late all the same."""
    with behind("blocks", server_of(0.2, 6)) as url:
        told = doctor("--url", url, "--ask", "Hi")
    assert (told.status, told.level("buffering")) == (1, "failed")
    assert "in the middle of an event" in told.said("buffering")


def test_a_proxy_that_cuts_silent_streams_is_noticed(doctor: Doctor) -> None:
    """H3, and that signs of life help."""
    with behind("idle", server_of(2, 1)) as url:
        told = doctor("--url", url, "--ask", "Hi")
        assert (told.status, told.level("cut"), told.level("buffering")) == (1, "failed", None)
        assert "the stream was cut after" in told.said("cut")
        assert "proxy_read_timeout" in told.said("cut")
    with behind("idle", server_of(1.1, 1, interval=0.1)) as url:
        told = doctor("--url", url, "--ask", "Hi")
        assert (told.status, told.level("cut")) == (0, "ok")


def test_a_silence_that_is_longer_than_one_wants_to_wait(doctor: Doctor) -> None:
    with behind("nothing", server_of(1, 1)) as url:
        told = doctor("--url", url, "--ask", "Hi", "--idle", "0.2")
    assert (told.status, told.level("keep-alive"), told.level("cut")) == (0, "warning", None)


def test_a_server_that_refuses(doctor: Doctor) -> None:
    with behind("nothing", server_of(0, 1, max_body_bytes=10)) as url:
        told = doctor("--url", url, "--ask", "Hi")
    assert (told.status, told.level("stream"), told.level("cut")) == (1, "failed", None)
    assert "it answers 413 with application/json" in told.said("stream")


@pytest.mark.parametrize(
    ("kind", "check", "level", "said"),
    [
        ("gzip", "headers", "failed", "content-encoding: gzip"),
        ("plain", "headers", "warning", "cache-control is not there"),
        ("401", "api", "failed", "--header"),
        ("502", "api", "failed", "it answers 502"),
        ("200", "api", "warning", "answers 200 for an id that nobody has"),
    ],
)
def test_what_a_proxy_may_do_to_answers(kind: str, check: str, level: str, said: str) -> None:
    """H2, and gateways that answer themselves."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            headers = {"content-type": "text/event-stream"}
            if kind == "gzip":
                headers |= {"content-encoding": "gzip", "cache-control": "no-cache, no-transform"}
            return httpx.Response(200, headers=headers, content=gzip.compress(LAST) if kind == "gzip" else LAST)
        if request.url.path.endswith("readiness"):
            return httpx.Response(200, text="healthy")
        if kind.isdigit():
            return httpx.Response(int(kind), text="no JSON")
        return httpx.Response(404, json={"error": {"message": f"no {request.url.path.rpartition('/')[2]}"}})

    findings = Findings()
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        look(client, Caller("http://gateway.test/v1", ask="Hi"), findings)
    [found] = [one for one in findings.found if one.check == check]
    assert found.level.value == level
    assert said in f"{found.said} {found.remedy}"


def course(*arrivals: tuple[float, bytes], over: float | None = None, **more: Any) -> Course:
    return Course([Arrival(*one) for one in arrivals], arrivals[-1][0] if over is None else over, **more)


@pytest.mark.parametrize(
    ("seen", "check", "level"),
    [
        (course((0.1, EVENT), (0.9, EVENT), (1.5, LAST)), "buffering", "ok"),
        (course((3.0, EVENT + EVENT), (3.05, EVENT + LAST)), "buffering", "failed"),
        (course((0.2, EVENT + LAST)), "buffering", "warning"),
        # One large event comes in pieces wherever it comes from.
        (course((0.1, EVENT), (1.0, LAST[:9]), (1.01, LAST[9:20]), (1.02, LAST[20:])), "buffering", "ok"),
        (course((0.1, EVENT), (9.0, LAST)), "cut", "ok"),
        (course((0.1, EVENT), (0.9, LAST.replace(b"completed", b"failed"))), "answer", "warning"),
        (course((0.1, EVENT), over=60.1), "cut", "failed"),
        (course((0.1, EVENT), over=60.1, cut="peer closed connection"), "cut", "failed"),
        (course((0.1, EVENT), over=60.1, silent=True), "keep-alive", "failed"),
    ],
)
def test_how_a_stream_is_judged(seen: Course, check: str, level: str) -> None:
    findings = Findings()
    judge(seen, findings, 60)
    assert {one.check: one.level.value for one in findings.found}[check] == level


def test_how_long_it_was_silent() -> None:
    assert course((1.0, EVENT), (3.0, LAST), over=3.5).silences == [1.0, 2.0, 0.5]
