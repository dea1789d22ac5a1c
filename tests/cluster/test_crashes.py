"""Servers that are killed, and servers that sleep for longer than their lease: another one takes over what they made.

It ends it as failed, or makes it again where it is told to (issue 7, point 3; section 18). Whatever happens, the log
has no hole and no number twice, and a client finds there all that it has read.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import validate_events
from responses_stream.sse import DONE
from responses_stream.stores.base import Key, NewResponse

from ..hosting.test_processes import BS, Nursery, Process, id_of, reached, try_to, whole_frames
from ..services import host_of, postgres_url
from ..stores.shared_stores import postgres_stores
from .proxy import proxied
from .serving import PATIENCE, Cluster, asked, check, go, has_ended, moved, path_of, same_answer, servers

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["redis", pytest.param("postgres", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def texts(response: dict[str, Any]) -> list[str]:
    return [item["content"][0]["text"] for item in response["output"]]


async def the_end(shared: list[Process], number: int) -> tuple[bytes, dict[str, Any]]:
    """Return the log of a response that has ended, and the response: the same at all servers."""
    await has_ended(shared[0], number)
    ended = json.loads((await same_answer(shared, "GET", path_of(number))).body)
    return (await same_answer(shared, "GET", path_of(number, "?stream=true"))).body, ended


async def sleep(shared: Cluster, server: Process, number: int) -> None:
    """Let a server sleep, which has made a response, until its lease is over; the others need not wait that long."""
    os.kill(server.pid, signal.SIGSTOP)
    await shared.store.release((await shared.store.get(Key("", id_of(number)))).owner)


async def test_what_a_killed_server_left_fails(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """By default: in the background and in the foreground, for who followed it elsewhere and for who comes later."""
    async with servers(nursery, tmp_path, engine, 3, look=0.1) as (_, [a, b, c]), anyio.create_task_group() as tasks:
        wire, foreground, follower = bytearray(), bytearray(), bytearray()
        tasks.start_soon(try_to, lambda: a.create(id_of(1), "step 2", wire, **BS))
        tasks.start_soon(try_to, lambda: a.create(id_of(2), "step 2", foreground, stream=True))
        polled = await asked(a, 3, "step 2", background=True)
        for reader in (wire, foreground):
            await reached(reader, b"content_part.added")
        tasks.start_soon(b.get, id_of(1), "?stream=true", follower)
        await reached(follower, b"content_part.added")
        assert await a.end() == -signal.SIGKILL
        await reached(follower, DONE)
        assert follower.startswith(whole_frames(bytes(wire)))
        replay, ended = await the_end([b, c], 1)
        assert replay == follower
        check(replay, ended)
        report = validate_events(replay, retrieved=ended)
        assert report.ok, report
        await has_ended(b, 3)
        while (await b.get(id_of(2))).status == 404:
            await anyio.sleep(0.005)
        for number in (1, 2, 3):
            found = json.loads((await same_answer([b, c], "GET", path_of(number))).body)
            assert (found["status"], found["error"]["code"]) == ("failed", "server_restarted")
        assert polled["status"] == "in_progress"


async def test_what_killed_servers_left_is_made_again(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """`resilient_background`, and a crash in the midst of the recovery: by a, then b, then c, who knows what they did.

    What ran in the foreground fails: nobody would read it (H18.5).
    """
    async with (
        servers(nursery, tmp_path, engine, 2, resilient=True, look=0.1) as (shared, [a, b]),
        anyio.create_task_group() as tasks,
    ):
        wire, foreground, at_b, at_c = bytearray(), bytearray(), bytearray(), bytearray()
        tasks.start_soon(try_to, lambda: a.create(id_of(1), "phases", wire, **BS))
        tasks.start_soon(try_to, lambda: a.create(id_of(2), "step 1", foreground, stream=True))
        await reached(wire, b"phase 0 of attempt 0")
        await reached(foreground, b"content_part.added")
        await a.end()
        tasks.start_soon(try_to, lambda: b.get(id_of(1), "?stream=true", at_b))
        await reached(at_b, b"phase 1 of attempt 1")
        c = await shared.start()
        tasks.start_soon(c.get, id_of(1), "?stream=true", at_c)
        await reached(at_c, b"phase 1 of attempt 1")
        await b.end()
        await reached(at_c, DONE)
        replay, ended = await the_end([c, await shared.start()], 1)
        assert replay == at_c
        assert replay.startswith(whole_frames(bytes(wire)))
        assert replay.startswith(whole_frames(bytes(at_b)))
        events = check(replay, ended)
        assert [event["type"] for event in events].count("response.in_progress") == 3
        assert ended["status"] == "completed"
        noted = [[0, 0], [1, 1], [2, 2], [3, 2]]
        assert texts(ended) == [
            f"phase {phase} of attempt {attempt}, {json.dumps(noted[: phase + 1])}" for phase, attempt in noted
        ]
        assert (await c.get(id_of(2))).json["error"]["code"] == "server_restarted"


@pytest.mark.parametrize("resilient", [False, True], ids=["ends_it", "makes_it_again"])
async def test_a_server_that_slept_cannot_write(nursery: Nursery, tmp_path: Path, engine: str, resilient: bool) -> None:
    """Its lease is over while it sleeps; awake again, it leads its clients to the end that the other server made."""
    async with (
        servers(nursery, tmp_path, engine, 2, resilient=resilient, look=0.1) as (shared, [a, b]),
        anyio.create_task_group() as tasks,
    ):
        wire, foreground, follower = bytearray(), bytearray(), bytearray()
        tasks.start_soon(lambda: a.create(id_of(1), "phases", wire, **BS))
        tasks.start_soon(try_to, lambda: a.create(id_of(2), "step 1", foreground, stream=True))
        await reached(wire, b"phase 0 of attempt 0")
        await reached(foreground, b"content_part.added")
        await sleep(shared, a, 1)
        tasks.start_soon(b.get, id_of(1), "?stream=true", follower)
        if resilient:
            await reached(follower, b"phase 1 of attempt 1")
            await go(b)
        await reached(follower, DONE)
        await has_ended(b, 2)
        before = [(await b.get(id_of(number))).body for number in (1, 2)]
        os.kill(a.pid, signal.SIGCONT)
        for _ in range(2):
            await go(a)  # both of its handlers go on, and have to see that nobody wants to hear it
        await reached(wire, DONE)
        assert wire == follower
        replay, ended = await the_end([a, b], 1)
        assert replay == follower
        check(replay, ended)
        assert before == [(await same_answer([a, b], "GET", path_of(number))).body for number in (1, 2)]
        assert ended["status"] == ("completed" if resilient else "failed")
        assert json.loads(before[1])["error"]["code"] == "server_restarted"
        assert b"response.completed" not in foreground
        # It is a server like any other again, which is heard and told.
        tasks.start_soon(lambda: a.create(id_of(3), "step 1", None, **BS))
        while (await b.get(id_of(3))).status == 404:
            await anyio.sleep(0.005)
        assert (await b.request("POST", path_of(3, "/cancel"))).json["status"] == "cancelled"


async def test_a_server_that_slept_stops_what_is_not_its_own_any_more(
    nursery: Nursery, tmp_path: Path, engine: str
) -> None:
    """Also a handler that says nothing, and would find out only when it does: what it works at is made twice."""
    async with (
        servers(nursery, tmp_path, engine, 2, look=0.1, lease=1.0) as (shared, [a, b]),
        anyio.create_task_group() as tasks,
    ):
        wire, foreground = bytearray(), bytearray()
        shared.journal.touch()
        tasks.start_soon(lambda: a.create(id_of(1), "step 1", wire, **BS))
        tasks.start_soon(try_to, lambda: a.create(id_of(2), "step 1", foreground, stream=True))
        await reached(wire, b"content_part.added")
        await reached(foreground, b"content_part.added")
        os.kill(a.pid, signal.SIGSTOP)
        for number in (1, 2):
            await has_ended(b, number)
        os.kill(a.pid, signal.SIGCONT)
        await reached(wire, DONE)
        for number in (1, 2):
            while f"{id_of(number)} was stopped in {a.pid}" not in shared.journal.read_text():
                await anyio.sleep(0.005)
        replay, ended = await the_end([a, b], 1)
        assert replay == wire
        assert ended["error"]["code"] == "server_restarted"


async def test_who_wanted_to_cancel_at_a_server_that_died(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """Decision 6: it ends as cancelled, whoever ends it, and is not made again."""
    async with (
        servers(nursery, tmp_path, engine, 2, resilient=True, look=0.1) as (shared, [a, b]),
        anyio.create_task_group() as tasks,
    ):
        wire, cancelled = bytearray(), bytearray()
        tasks.start_soon(try_to, lambda: a.create(id_of(1), "phases", wire, **BS))
        await reached(wire, b"phase 0 of attempt 0")
        os.kill(a.pid, signal.SIGSTOP)  # it hears of nothing any more
        tasks.start_soon(b.request, "POST", path_of(1, "/cancel"), None, cancelled)
        while (await b.get(id_of(1))).json["status"] != "cancelled":
            await anyio.sleep(0.005)
        assert cancelled == b""
        await a.end()
        await reached(cancelled, b"}")
        replay, ended = await the_end([b, await shared.start()], 1)
        assert (ended, ended["status"]) == (json.loads(cancelled), "cancelled")
        check(replay, ended)
        assert b"attempt 1" not in replay


async def test_who_takes_back_what_he_had_lost(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """A sleeps, B makes it again and dies, A wakes up: it is A's by name, and its first run still waits to go on.

    What that run says must not be taken for what the next one says, and nobody waits for it.
    """
    async with (
        servers(nursery, tmp_path, engine, 2, resilient=True, look=0.1, lease=4.0) as (shared, [a, b]),
        anyio.create_task_group() as tasks,
    ):
        wire, at_b = bytearray(), bytearray()
        tasks.start_soon(lambda: a.create(id_of(1), "phases", wire, **BS))
        await reached(wire, b"phase 0 of attempt 0")
        await sleep(shared, a, 1)
        tasks.start_soon(try_to, lambda: b.get(id_of(1), "?stream=true", at_b))
        await reached(at_b, b"phase 1 of attempt 1")
        await b.end()
        os.kill(a.pid, signal.SIGCONT)
        await reached(wire, DONE)
        replay, ended = await the_end([a, await shared.start()], 1)
        assert replay == wire
        assert replay.startswith(whole_frames(bytes(at_b)))
        check(replay, ended)
        assert [text.partition(",")[0] for text in texts(ended)] == [
            f"phase {phase} of attempt {attempt}" for phase, attempt in ((0, 0), (1, 1), (2, 2), (3, 2))
        ]
        assert f"{id_of(1)} was stopped in {a.pid}" in shared.journal.read_text()


async def test_who_is_cut_off_in_the_midst_of_a_cancel_holds_up_nobody() -> None:
    """What PostgreSQL has locked for a server that is not heard of any more, nobody else could take over."""
    url = postgres_url()
    async with (
        proxied(host_of(url)) as proxy,
        postgres_stores(1, url) as [other],
        aclosing(attrs.evolve(other, url=moved(url, proxy.port))) as one,
    ):
        key = Key("", id_of(1))
        new = NewResponse(key=key, owner="a", response=b"{}", status="in_progress", background=True, stream=True)
        await one.attend("a", 0.001, 0)
        await one.create(new, [b"event: x\ndata: {}\n\n"])
        is_held = anyio.Event()

        def hold(said: bytes) -> None:
            if b"cancel_response" in said:
                proxy.hold()
                is_held.set()

        proxy.seen = hold
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.cancel, key)
            with anyio.fail_after(PATIENCE):
                await is_held.wait()
                while not (await other.get(key)).cancelling:
                    await anyio.sleep(0.005)
                assert (await other.attend("b", 60.0, 0)).orphans == [key]
            proxy.seen = None
            proxy.pass_on()
