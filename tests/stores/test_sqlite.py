"""What `SqliteStore` promises beyond the contract: what was written survives, and several processes share it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import attrs
import pytest

from responses_stream import InvalidType, InvalidValue, SqliteStore
from responses_stream.stores import sqlite, sqlite_schema
from responses_stream.stores.base import Ending, Fenced, Item, Key, NewResponse, NotStored, StoreError
from responses_stream.stores.conforming import frame, frames, log, new, turn
from responses_stream.stores.processes import is_dead, this_process

KEY = Key("p", "r")

WRITER = """
import sys, anyio
from responses_stream import SqliteStore
from responses_stream.stores.base import Key
from responses_stream.stores.conforming import frame, new

async def main():
    store = SqliteStore(sys.argv[1])
    await store.attend("child", 600, 0)
    await store.create(new("r", owner="child"))
    for number in range(int(sys.argv[2])):
        await store.append(Key("p", "r"), "child", number, [frame(number)])
        print(number, flush=True)
    sys.stdin.readline()
    try:
        await store.append(Key("p", "r"), "child", int(sys.argv[2]), [frame(0)])
    except Exception as error:
        print(type(error).__name__, flush=True)

anyio.run(main)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.sqlite3"


@contextmanager
def writing(path: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that appends so many events, says each number once it is written, and then waits for a line."""
    command = [sys.executable, "-c", WRITER, str(path), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_whole(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


@pytest.mark.anyio
async def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    store = SqliteStore(path)
    assert not path.exists()
    await store.aclose()
    assert not path.exists()


def test_a_store_serves_one_event_loop_after_the_other(path: Path) -> None:
    store = SqliteStore(str(path))

    async def add(id: str) -> None:
        await turn(store, id)
        await store.changed(Key("p", id), 5, 0.01)

    anyio.run(add, "a", backend="asyncio")
    anyio.run(add, "b", backend="trio")
    anyio.run(store.aclose, backend="asyncio")
    assert is_whole(path)


@pytest.mark.anyio
async def test_what_was_written_is_there_when_the_file_is_opened_again(path: Path) -> None:
    first = SqliteStore(path, synchronous="FULL")
    await first.create(new("r", inputs=["in"]), frames(0, 2))
    await first.append(KEY, "me", 2, frames(2, 5), Ending(b"{}", "completed", [Item("out", b"{}")]))
    await first.aclose()
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name], "the log of writes was left beside it"
    second = SqliteStore(path)
    assert (await log(second, KEY))[0] == frames(0, 5)
    assert len(await second.history("p", previous_response_id="r", limit=9)) == 2
    await second.aclose()


@pytest.mark.anyio
async def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="has version 3, this package knows up to 2; update responses-stream"):
        await store.get(KEY)
    with pytest.raises(StoreError, match="has version 3"):
        await store.create(new("r"))
    await store.aclose()


@pytest.mark.anyio
async def test_what_is_no_file_of_a_store_is_told_by_its_path(path: Path) -> None:
    missing = SqliteStore(path / "none" / "responses.sqlite3")
    with pytest.raises(StoreError, match=r"none/responses.sqlite3 cannot be opened \(unable to open database file\)"):
        await missing.get(KEY)
    path.write_text("This is a letter, and not a database. " * 100)
    letter = SqliteStore(path)
    with pytest.raises(StoreError, match="is not a SQLite file"):
        await letter.create(new("r"))
    await letter.aclose()


@pytest.mark.anyio
async def test_a_closed_store_says_so(path: Path) -> None:
    store = SqliteStore(path)
    await store.create(new("r"))
    await store.aclose()
    with pytest.raises(StoreError, match="is closed"):
        await store.get(KEY)
    with pytest.raises(StoreError, match="is closed"):
        await store.append(KEY, "me", 0, [frame(0)])


@pytest.mark.anyio
async def test_closing_waits_for_what_is_being_written(path: Path) -> None:
    store = SqliteStore(path)
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(store.create, new(f"r{number}"))
        await anyio.wait_all_tasks_blocked()
        await store.aclose()
    again = SqliteStore(path)
    for number in range(20):
        await again.get(Key("p", f"r{number}"))
    await again.aclose()


@pytest.mark.anyio
async def test_trouble_with_one_write_undoes_none_of_the_others(path: Path) -> None:
    store = SqliteStore(path)
    await store.create(new("before"))
    failed: list[str] = []

    async def create(response: NewResponse) -> None:
        try:
            await store.create(response, [frame(0)])
        except sqlite3.IntegrityError:
            failed.append(response.key.response_id)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            good = new(f"r{number}")
            # The row of the response goes in, its JSON does not.
            bad = attrs.evolve(good, response=None)  # type: ignore[arg-type]  # a wrong one
            tasks.start_soon(create, bad if number % 3 == 0 else good)
    assert len(failed) == 7
    for number in range(20):
        if number % 3:
            assert (await store.events(Key("p", f"r{number}"))).frames == [frame(0)]
        else:
            with pytest.raises(NotStored):
                await store.get(Key("p", f"r{number}"))
    await store.aclose()


def test_tasks_that_asyncio_cancels_hold_nobody_up(path: Path) -> None:
    """`Task.cancel` goes through the shields of anyio; each write is whole or absent, and the others go on."""
    store = SqliteStore(path)

    async def write(id: str) -> None:
        await store.create(new(id), [frame(0)])
        for number in range(1, 6):
            await store.append(Key("p", id), "me", number, [frame(number)])

    async def main() -> None:
        tasks = [asyncio.create_task(write(f"r{number}")) for number in range(30)]
        for number in range(0, 30, 2):
            for _ in range(number):
                await asyncio.sleep(0)
            tasks[number].cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None for end in ends[1::2])
        for number in range(1, 30, 2):
            assert (await log(store, Key("p", f"r{number}")))[0] == frames(0, 6)
        await store.create(new("after"))
        await store.aclose()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert is_whole(path)


@pytest.mark.anyio
async def test_frames_that_are_not_frames_come_back_as_they_were_too(path: Path) -> None:
    store = SqliteStore(path)
    odd = [b"", b"a", b"\n\n", b"a\n\n\n", b"b\n\n", b"c\n\nd\n\n", b"e\n\n"]
    await store.create(new("r"), odd)
    await store.append(KEY, "me", len(odd), odd[::-1])
    for after in range(-1, 14):
        assert (await log(store, KEY, after))[0] == [*odd, *odd[::-1]][after + 1 :]
    await store.aclose()


@pytest.mark.anyio
async def test_pages_are_bounded_also_where_one_append_was_not(path: Path) -> None:
    store = SqliteStore(path)
    large = [frame(number, "x" * 10_000) for number in range(200)]
    await store.create(new("r"), large)
    page = await store.events(KEY, 3)
    assert page.frames[0] == large[4]
    assert sum(map(len, page.frames)) < 600_000
    assert (await log(store, KEY))[0] == large
    await store.aclose()


@pytest.mark.anyio
async def test_what_is_past_its_retention_goes_some_at_a_time(path: Path) -> None:
    now = [1000.0]
    store = SqliteStore(path, event_retention=10, response_retention=100, clock=lambda: now[0])
    for number in range(120):
        await store.create(new(f"r{number}", inputs=[f"i{number}"]), [frame(0)])
        await store.append(Key("p", f"r{number}"), "me", 1, [], Ending(b"{}", "completed"))

    async def left() -> tuple[int, int]:
        kept = there = 0
        for number in range(120):
            try:
                kept += (await store.events(Key("p", f"r{number}"))).kept
                there += 1
            except NotStored:
                continue
        return kept, there

    now[0] = 1011
    await store.attend("me", 600, 0)
    assert await left() == (70, 120)
    for _ in range(2):
        await store.attend("me", 600, 0)
    assert await left() == (0, 120)
    assert (await store.get(Key("p", "r0"))).last_number == 0
    now[0] = 1101
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.attend, "me", 600, 3600)
            while await left() != (0, 0):
                await store.changed(Key("p", "r119"), 0, 0.05)
            tasks.cancel_scope.cancel()
    await store.aclose()
    connection = sqlite3.connect(path)
    for table in ("responses", "snapshots", "events", "items"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), f"{table} has leftovers"
    connection.close()


@pytest.mark.anyio
async def test_no_statement_walks_a_whole_table(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """H20.25: the cost of an operation does not grow with what is stored."""
    statements: set[str] = set()

    def tracing(*arguments: object) -> sqlite3.Connection:
        connection = sqlite_schema.connect(*arguments)  # type: ignore[arg-type]  # passed on as they came
        connection.set_trace_callback(statements.add)
        return connection

    monkeypatch.setattr(sqlite, "connect", tracing)
    store = SqliteStore(path)
    await store.attend("me", 600, 0)
    await store.claim("p", "k", b"", "r", "me")
    await store.claim("p", "k", b"", "s", "me")
    await store.unclaim("p", "k", "none", "me")
    await store.create(new("q", inputs=["i"], conversation="c"))
    await store.create(new("r", previous="q", conversation="c"), [frame(0)])
    await store.events(KEY)
    await store.history("p", previous_response_id="r", conversation_id="c", limit=10)
    await store.input_items(KEY, limit=10, after="i")
    await store.items("p", ["i"])
    await store.changed(KEY, 0, 0.01)
    await store.cancel(KEY)
    await store.release("me")
    await store.attend("you", 600, 0.01)
    await store.append(KEY, "you", 1, [frame(1)], Ending(b"{}", "completed", [Item("o", b"{}")]))
    await store.delete(KEY)
    await store.aclose()
    connection = sqlite3.connect(path)
    plans = 0
    for statement in statements:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "\n    WITH")):
            for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                plans += 1
                assert not detail.startswith("SCAN") or detail in {"SCAN chain", "SCAN CONSTANT ROW", "SCAN owners"}, (
                    f"{statement}: {detail}"
                )
                assert "TEMP B-TREE" not in detail, f"{statement}: {detail}"
    assert plans > 20
    connection.close()


@pytest.mark.anyio
async def test_another_process_is_followed(path: Path) -> None:
    store = SqliteStore(path)
    with writing(path, 20) as process:
        assert await anyio.to_thread.run_sync(said, process) == "0"
        read: list[bytes] = []
        with anyio.fail_after(30):
            while len(read) < 20:
                read += (await store.events(KEY, len(read) - 1)).frames
                await store.changed(KEY, len(read) - 1, 0.5)
    assert read == frames(0, 20)
    await store.aclose()


@pytest.mark.anyio
async def test_what_was_acknowledged_survives_the_end_of_the_process(path: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of writing; and who is dead holds its lease no longer (pains E6)."""
    for number in (3, 40, 90):
        path = tmp_path / f"{number}.sqlite3"
        with writing(path, 100_000) as process:
            last = -1
            while last < number:
                last = int(await anyio.to_thread.run_sync(said, process))
            process.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has asked for its status yet
            assert process.stdout is not None
            rest = process.stdout.read().split("\n")[:-1]
            last = int(rest[-1]) if rest else last
            store = SqliteStore(path)
            notices = await store.attend("me", 600, 0)
            assert list(notices.orphans) == [KEY], "the owner is dead, whatever its lease says"
            read, _ = await log(store, KEY)
            assert len(read) >= last + 1
            assert read == frames(0, len(read))
            await store.append(KEY, "me", len(read), [], Ending(b"{}", "failed"))
            await store.aclose()
        assert is_whole(path)


@pytest.mark.anyio
async def test_a_dead_owner_is_noticed_by_one_who_already_attends(path: Path) -> None:
    store = SqliteStore(path)
    with writing(path, 1) as process:
        assert await anyio.to_thread.run_sync(said, process) == "0"
        assert not (await store.attend("me", 600, 0)).orphans
        process.send_signal(signal.SIGKILL)
        with anyio.fail_after(30):
            assert list((await store.attend("me", 600, 60)).orphans) == [KEY]
    await store.aclose()


@pytest.mark.anyio
async def test_an_owner_that_is_stopped_loses_by_its_lease_and_is_fenced(path: Path) -> None:
    store = SqliteStore(path)
    later = SqliteStore(path, clock=lambda: time.time() + 601)
    with writing(path, 1) as process:
        assert await anyio.to_thread.run_sync(said, process) == "0"
        process.send_signal(signal.SIGSTOP)
        assert not (await store.attend("me", 600, 0)).orphans, "a stopped process is not a dead one"
        assert list((await later.attend("you", 600, 0)).orphans) == [KEY]
        process.send_signal(signal.SIGCONT)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert await anyio.to_thread.run_sync(said, process) == Fenced.__name__
    await store.aclose()
    await later.aclose()


def test_a_process_is_known_by_its_start() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert not is_dead(me)
    assert not is_dead(attrs.evolve(me, machine="another", pid=1)), "nothing is known of another machine"
    if me.started:
        assert is_dead(attrs.evolve(me, started="1")), "its id was given to another process"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        named = attrs.evolve(me, pid=child.pid, started="")
        assert not is_dead(named)
        child.kill()
    assert is_dead(named)


def test_options_are_checked(path: Path) -> None:
    with pytest.raises(InvalidValue, match="event_retention"):
        SqliteStore(path, event_retention=-1)
    with pytest.raises(InvalidType, match="busy_timeout"):
        SqliteStore(path, busy_timeout="1")  # type: ignore[arg-type]  # a wrong one
    with pytest.raises(InvalidValue, match="synchronous: has to be 'NORMAL' or 'FULL', got 'OFF'"):
        SqliteStore(path, synchronous="OFF")  # type: ignore[arg-type]  # a wrong one
