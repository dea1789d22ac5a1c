"""Several processes, one SQLite file, real sockets: what one makes the others show, stop, and end when it has died.

The processes are forked from one that has imported all they need, so that a server is up within some milliseconds; it
can be killed hundreds of times, which the slow test of this file does.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs
import h11
import pytest

from responses_stream import lifecycle, validate_events
from responses_stream.sse import DONE

from ..transports.wire import connected

pytestmark = pytest.mark.anyio

BS: Final = {"background": True, "stream": True}

HANDLER: Final = """
import anyio, anyio.lowlevel
from responses_stream import ResponsesServer, ResponsesServerOptions, SqliteStore

def make_server(path):
    options = ResponsesServerOptions(
        shutdown_grace_period_seconds=0.2, cancel_grace_seconds=0.3, sse_keep_alive_interval_seconds=None
    )
    server = ResponsesServer(store=SqliteStore(path, poll_interval=0.01), options=options)
    gate = anyio.Event()

    @server.response_handler
    async def handler(request, context):
        word, _, count = request.input.partition(" ")
        if word == "go":
            gate.set()
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        for number in range(int(count or 2)):
            yield text.emit_delta(f"delta {number} of {context.response_id} ")
            await anyio.lowlevel.checkpoint()
        if word == "wait":
            await gate.wait()
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.emit_completed()

    return server
"""

NURSERY: Final = (
    HANDLER
    + """
import functools, os, signal, sys
import anyio._backends._asyncio, anyio._backends._trio, sqlite3
from responses_transports.h11_server import serve_async
import responses_stream.stores.sqlite

responses_stream.stores.sqlite._LOOK = 0.02  # how soon a dead process is missed

async def stopped():
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            return

async def main(path):
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, make_server(path), port=0, stop=stopped))
        print(os.getpid(), port, flush=True)

for line in sys.stdin:
    verb, _, argument = line.strip().partition(" ")
    if verb == "start" and os.fork() == 0:
        backend, _, path = argument.partition(" ")
        anyio.run(main, path, backend=backend)
        os._exit(0)
    if verb == "reap":
        print(os.waitstatus_to_exitcode(os.waitpid(int(argument), 0)[1]), flush=True)
"""
)

COMMAND: Final = "import sys; from responses_stream.cli import main; sys.exit(main())"
SERVED: Final = HANDLER + "\nimport os\nserver = make_server(os.environ['PLACE'])\n"


@attrs.define(eq=False)
class Process:
    """A server in a process of its own."""

    nursery: Nursery
    pid: int
    port: int
    over: bool = False

    async def end(self, how: int = signal.SIGKILL) -> int:
        """Kill it, or tell it to end; return its exit status."""
        self.over = True
        os.kill(self.pid, how)
        return int(await anyio.to_thread.run_sync(self.nursery.ask, f"reap {self.pid}"))

    async def request(self, method: str, path: str, body: object = None, into: bytearray | None = None) -> Said:
        """Ask, and read the whole answer; what came before a connection broke is in *into*."""
        pieces = bytearray() if into is None else into
        async with connected(self.port) as wire:
            data = b"" if body is None else json.dumps(body).encode()
            head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
            await wire.send(head.encode() + data)
            reader = await wire.begin(method)
            while (piece := await reader.piece()) is not None:
                pieces += piece
            return Said(reader.status, bytes(pieces))

    async def create(self, response_id: str, input: str, into: bytearray | None = None, **mode: bool) -> Said:
        body = {"model": "m", "input": input, "response_id": response_id, **mode}
        return await self.request("POST", "/v1/responses", body, into)

    async def get(self, response_id: str, query: str = "", into: bytearray | None = None) -> Said:
        return await self.request("GET", f"/v1/responses/{response_id}{query}", into=into)


@attrs.frozen
class Said:
    """An answer."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        frames = self.body.removesuffix(DONE).split(b"\n\n")[:-1]
        return [json.loads(frame.partition(b"data: ")[2]) for frame in frames]


@attrs.define(eq=False)
class Nursery:
    """The process that the servers are forked from."""

    process: subprocess.Popen[str]
    backend: str = "asyncio"
    children: list[Process] = attrs.field(factory=list)

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    async def start(self, path: Path) -> Process:
        """Start a server, and wait until it listens."""
        said = await anyio.to_thread.run_sync(self.ask, f"start {self.backend} {path}")
        pid, port = map(int, said.split())
        child = Process(self, pid, port)
        self.children.append(child)
        return child

    async def end_all(self) -> None:
        for child in self.children:
            if not child.over:
                await child.end()
        self.children.clear()


@pytest.fixture
def anyio_backend() -> str:
    """The backend of a test and of its servers; where it matters, a test asks for both."""
    return "asyncio"


@pytest.fixture(scope="module")
def forking() -> Iterator[Nursery]:
    command = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Nursery(process)
        finally:
            process.kill()


@pytest.fixture
def nursery(forking: Nursery, anyio_backend: str) -> Nursery:
    """The servers run on the same backend as their test."""
    forking.backend = anyio_backend
    return forking


@asynccontextmanager
async def processes(nursery: Nursery, path: Path, count: int) -> AsyncIterator[list[Process]]:
    try:
        with anyio.fail_after(40):
            yield [await nursery.start(path) for _ in range(count)]
    finally:
        with anyio.CancelScope(shield=True):
            await nursery.end_all()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.sqlite3"


def id_of(number: int) -> str:
    return "resp_" + f"{number:050d}"


def whole_frames(received: bytes) -> bytes:
    return received[: received.rfind(b"\n\n") + 2] if b"\n\n" in received else b""


async def reached(into: bytearray, what: bytes) -> None:
    """Wait until a client has read something; a real socket says when by no event of ours."""
    while what not in into:
        await anyio.sleep(0.002)


async def try_to(call: Callable[[], Any]) -> None:
    """Make a call that the end of its server may break off."""
    try:
        await call()
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream, h11.RemoteProtocolError):
        return


def is_whole(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def in_flight(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        [count] = connection.execute("SELECT count(*) FROM responses WHERE ended_at IS NULL AND deleted = 0").fetchone()
        return int(count)
    finally:
        connection.close()


async def test_a_second_process_shows_what_the_first_one_makes(nursery: Nursery, path: Path) -> None:
    """Issue 4, point 5: get, replay and follow live."""
    async with processes(nursery, path, 2) as [first, second], anyio.create_task_group() as tasks:
        wire, follower = bytearray(), bytearray()
        tasks.start_soon(lambda: first.create(id_of(1), "wait", wire, **BS))
        await reached(wire, b"delta 1")
        tasks.start_soon(second.get, id_of(1), "?stream=true", follower)
        await reached(follower, b"delta 1")
        progress = (await second.get(id_of(1))).json
        assert (progress["status"], progress["output"][0]["status"]) == ("in_progress", "in_progress")
        assert DONE not in follower
        await first.create(id_of(2), "go", store=False)
        await reached(wire, DONE)
        await reached(follower, DONE)
        assert follower == wire
        assert validate_events(bytes(wire)).ok
        stored = [(await one.get(id_of(1))).body for one in (first, second)]
        assert stored[0] == stored[1]
        assert json.loads(stored[0])["status"] == "completed"
        assert (await second.get(id_of(1), "?stream=true&starting_after=3")).body == b"".join(
            frame + b"\n\n" for frame in bytes(wire).split(b"\n\n")[4:-1]
        )


async def test_a_second_process_cancels_and_deletes_what_the_first_one_makes(nursery: Nursery, path: Path) -> None:
    """Issue 4, point 5; H4.7 to H4.12, H6.1."""
    async with processes(nursery, path, 2) as [first, second], anyio.create_task_group() as tasks:
        wire = bytearray()
        tasks.start_soon(lambda: first.create(id_of(1), "wait", wire, **BS))
        await reached(wire, b"delta 1")
        refused = await second.request("DELETE", f"/v1/responses/{id_of(1)}")
        assert (refused.status, refused.json["error"]["message"]) == (400, "Cannot delete an in-flight response.")
        cancelled = await second.request("POST", f"/v1/responses/{id_of(1)}/cancel")
        assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
        await reached(wire, DONE)
        assert Said(200, bytes(wire)).events[-1]["response"] == cancelled.json == (await first.get(id_of(1))).json
        assert (await second.request("DELETE", f"/v1/responses/{id_of(1)}")).status == 200
        assert (await first.get(id_of(1))).status == 404


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("restarted", [False, True], ids=["by_a_sibling", "by_a_restarted_one"])
async def test_what_a_killed_process_left_is_ended(nursery: Nursery, path: Path, restarted: bool) -> None:
    """Issue 4, point 6; E5, E6: at once, since its process is seen to be dead; numbers go on, and the log is valid."""
    async with processes(nursery, path, 1 if restarted else 2) as [first, *others], anyio.create_task_group() as tasks:
        wire, foreground, follower = bytearray(), bytearray(), bytearray()
        tasks.start_soon(try_to, lambda: first.create(id_of(1), "wait", wire, **BS))
        tasks.start_soon(try_to, lambda: first.create(id_of(2), "wait", foreground, stream=True))
        await reached(wire, b"delta 1")
        await reached(foreground, b"delta 1")
        if others:
            tasks.start_soon(others[0].get, id_of(1), "?stream=true", follower)
            await reached(follower, b"delta 1")
        assert await first.end() == -signal.SIGKILL
        second = others[0] if others else await nursery.start(path)
        replay = await second.get(id_of(1), "?stream=true")
        assert replay.body.startswith(whole_frames(bytes(wire)))
        assert [event["type"] for event in replay.events[-2:]] == ["error", "response.failed"]
        ended = (await second.get(id_of(1))).json
        assert (ended["status"], ended["error"]["code"]) == ("failed", "server_restarted")
        report = validate_events(replay.body, retrieved=ended)
        assert report.ok, report
        if others:
            await reached(follower, DONE)
            assert follower == replay.body
        while (found := await second.get(id_of(2))).status == 404:
            await anyio.sleep(0.002)
        assert (found.json["status"], found.json["error"]["code"]) == ("failed", "server_restarted")
        assert in_flight(path) == 0


async def test_a_killed_process_had_a_response_to_cancel(nursery: Nursery, path: Path) -> None:
    """Decision 6: what somebody wanted to be cancelled ends as cancelled, whoever ends it."""
    async with processes(nursery, path, 2) as [first, second], anyio.create_task_group() as tasks:
        wire, cancelled = bytearray(), bytearray()
        tasks.start_soon(try_to, lambda: first.create(id_of(1), "wait", wire, **BS))
        await reached(wire, b"delta 1")
        os.kill(first.pid, signal.SIGSTOP)  # it hears of nothing any more
        tasks.start_soon(second.request, "POST", f"/v1/responses/{id_of(1)}/cancel", None, cancelled)
        while (await second.get(id_of(1))).json["status"] != "cancelled":
            await anyio.sleep(0.002)
        assert cancelled == b""
        await first.end()
        await reached(cancelled, b"}")
        replay = await second.get(id_of(1), "?stream=true")
        assert replay.events[-1]["response"] == json.loads(cancelled)
        assert json.loads(cancelled)["status"] == "cancelled"
        assert validate_events(replay.body).ok


async def test_a_process_that_is_told_to_end_ends_its_responses(nursery: Nursery, path: Path) -> None:
    """Decision 28, H5: on the wire and in the store, after the grace; and the process is gone without an error."""
    async with processes(nursery, path, 2) as [first, second], anyio.create_task_group() as tasks:
        wires = [bytearray(), bytearray()]
        tasks.start_soon(lambda: first.create(id_of(1), "wait", wires[0], **BS))
        tasks.start_soon(lambda: first.create(id_of(2), "wait", wires[1], stream=True))
        for wire in wires:
            await reached(wire, b"delta 1")
        assert await first.end(signal.SIGTERM) == 0
        for number, wire in enumerate(wires, 1):
            await reached(wire, DONE)
            last = Said(200, bytes(wire)).events[-1]
            assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "server_shutting_down")
            assert (await second.get(id_of(number))).json == last["response"]
            assert validate_events(bytes(wire)).ok
        assert (await second.get(id_of(1), "?stream=true")).body == wires[0]


@contextmanager
def served(place: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """``responses-stream serve`` itself, and the file that it writes its log to."""
    program, said = place / "program.py", place / "said"
    program.write_text(SERVED)
    command = [sys.executable, "-c", COMMAND, "serve", str(program), "--port", "0"]
    environment = {**os.environ, "PLACE": str(place / "responses.sqlite3")}
    with said.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
        try:
            yield process, said
        finally:
            process.kill()


async def test_the_command_serves_and_ends_in_order(nursery: Nursery, path: Path) -> None:
    """Decision 28 by `responses-stream serve`: SIGTERM, and another process has the whole story."""
    with served(path.parent) as (process, said), anyio.fail_after(40):
        while b"listening on" not in said.read_bytes():
            assert process.poll() is None, said.read_text()
            await anyio.sleep(0.01)
        port = int(said.read_bytes().partition(b"listening on http://127.0.0.1:")[2].split()[0])
        wire = bytearray()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: Process(nursery, process.pid, port).create(id_of(1), "wait", wire, **BS))
            await reached(wire, b"delta 1")
            process.send_signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(process.wait) == 0
        async with processes(nursery, path, 1) as [second]:
            assert (await second.get(id_of(1), "?stream=true")).body == wire
            assert (await second.get(id_of(1))).json["error"]["code"] == "server_shutting_down"


async def one_kill(server: Process, numbers: range, chance: random.Random) -> dict[int, bytearray]:
    """Read background streams until the process is killed in the middle of them; return what each client has read."""
    wires = {number: bytearray() for number in numbers}
    lengths = {number: chance.choice([0, 20, 200, 2_000]) for number in numbers}
    enough = chance.randrange(200_000)
    async with anyio.create_task_group() as tasks:
        for number, wire in wires.items():
            tasks.start_soon(_stream, server, number, lengths[number], wire)
        while (got := sum(map(len, wires.values()))) < enough:
            if all(wire.endswith(DONE) for wire in wires.values()):
                break
            await anyio.sleep(0)
        assert got or not enough
        await server.end()
    return wires


async def _stream(server: Process, number: int, length: int, wire: bytearray) -> None:
    await try_to(lambda: server.create(id_of(number), f"say {length}", wire, **BS))


async def kill_in_a_loop(nursery: Nursery, path: Path, rounds: int, streams: int) -> dict[str, int]:
    """Kill a server again and again, and check after each restart that nothing a client has read is lost."""
    chance = random.Random(4)
    seen = {"completed": 0, "server_restarted": 0, "never_stored": 0, "bytes": 0}
    server = await nursery.start(path)
    for round in range(rounds):
        wires = await one_kill(server, range(round * streams, (round + 1) * streams), chance)
        server = await nursery.start(path)
        for number, wire in wires.items():
            read = whole_frames(bytes(wire))
            seen["bytes"] += len(read)
            replay = await server.get(id_of(number), "?stream=true")
            if replay.status == 404:
                assert read == b"", "what a client has read is not there"
                seen["never_stored"] += 1
                continue
            assert replay.body.startswith(read)
            ended = (await server.get(id_of(number))).json
            last = replay.events[-1]
            assert last["type"] in lifecycle.TERMINAL
            assert last["response"] == ended
            assert validate_events(replay.body).ok
            seen["completed" if ended["status"] == "completed" else ended["error"]["code"]] += 1
            # Some stay, so that the file grows older; all of them would make the checks of it slow.
            if number % streams:
                assert (await server.request("DELETE", f"/v1/responses/{id_of(number)}")).status == 200
        assert in_flight(path) == 0
        assert is_whole(path)
    for number in range(0, rounds * streams, streams):
        assert (await server.get(id_of(number))).status in (200, 404)
    return seen


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_killed_a_few_times(nursery: Nursery, path: Path) -> None:
    """Issue 4, point 6, in small."""
    try:
        with anyio.fail_after(40):
            seen = await kill_in_a_loop(nursery, path, rounds=2, streams=6)
    finally:
        await nursery.end_all()
    assert sum(seen.values()) - seen["bytes"] == 12


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_killed_two_hundred_times(nursery: Nursery, path: Path) -> None:
    """Issue 4: no event that a client had read is missing, every response is terminal, and the file is whole."""
    try:
        seen = await kill_in_a_loop(nursery, path, rounds=200, streams=20)
    finally:
        await nursery.end_all()
    print(seen)
    assert sum(seen.values()) - seen["bytes"] == 4_000
    assert min(seen["completed"], seen["server_restarted"]) > 100
