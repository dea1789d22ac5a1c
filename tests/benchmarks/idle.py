"""What a stream costs while nothing happens in it: memory, and the time of the processor (issue 4).

Every handler has begun and waits. Memory is compared with as many tasks that wait in a bare `handle`, which is all that
a server without any log, run or store would hold.
"""

from __future__ import annotations

import gc
import re
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
import msgspec
from anyio.abc import TaskGroup

from responses_stream import (
    CreateResponse,
    HttpReply,
    HttpRequest,
    ResponseContext,
    ResponseEventStream,
    ResponsesServer,
)
from responses_stream.hosting.telemetry import NoTelemetry
from responses_stream.protocol.codec import encode
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.ids import new_response_id
from responses_stream.sse import SSE_HEADERS, encode_event
from responses_stream.stores.base import Key, NewResponse, ResponseStore
from responses_stream.stores.memory import MemoryStore
from responses_stream.stores.sqlite import SqliteStore
from tests.benchmarks.measuring import Promise

STREAMS, FOLLOWERS = 500, 0
SECONDS = 15.0
"""One interval of the keep-alive: every stream is told once that it lives."""
FIRST_ID = re.compile(rb'"id":"(resp_\w+)"')

Serve = Callable[[HttpRequest], Awaitable[HttpReply]]


async def silent(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    del stream  # what a handler holds while it waits is its own
    await anyio.sleep_forever()


async def bare(_request: HttpRequest) -> HttpReply:
    """The shape of `handle`, with nothing behind it."""

    async def body() -> AsyncIterator[bytes]:
        yield b'event: response.created\ndata: {"response":{"id":"resp_bench"}}\n\n'
        await anyio.Event().wait()

    return HttpReply(200, tuple(SSE_HEADERS.items()), body())  # type: ignore[arg-type]  # never closed early here


def create(**flags: bool) -> HttpRequest:
    return HttpRequest("POST", "/v1/responses", "", (), msgspec.json.encode({"model": "m", "input": "x"} | flags))


async def read(serve: Serve, request: HttpRequest, began: Callable[[bytes], None]) -> None:
    reply = await serve(request)
    assert not isinstance(reply.body, bytes), reply
    async for piece in reply.body:
        began(piece)
        del piece


async def open_streams(tasks: TaskGroup, serve: Serve, requests: list[HttpRequest]) -> list[str]:
    """Begin to read all of them; return the ids of the responses, once none has anything to do."""
    ids: list[str] = []

    def began(piece: bytes) -> None:
        found = FIRST_ID.search(piece)
        if found is not None:
            ids.append(found[1].decode())

    for request in requests:
        tasks.start_soon(read, serve, request, began)
    while len(ids) < len(requests):
        await anyio.sleep(0.01)
    await anyio.wait_all_tasks_blocked()
    return ids


@asynccontextmanager
async def serving(store: ResponseStore) -> AsyncIterator[Serve]:
    # Who records nothing pays for nothing: what OpenTelemetry holds of a stream is not counted here.
    server = ResponsesServer(store=store, telemetry=NoTelemetry())
    server.response_handler(silent)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        await stack.enter_async_context(server.lifespan())
        yield server.handle


async def memory_of(serve: Serve) -> float:
    """Return the bytes that each of many idle streams holds."""
    async with anyio.create_task_group() as tasks:
        await open_streams(tasks, serve, [create(stream=True, store=False)])  # what is made once, is made
        gc.collect()
        tracemalloc.start()
        try:
            await open_streams(tasks, serve, [create(stream=True, store=False) for _ in range(STREAMS)])
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        tasks.cancel_scope.cancel()
    return size / STREAMS


async def memory() -> float:
    async with serving(MemoryStore()) as serve:
        return await memory_of(serve) - await memory_of(bare)


async def percent_of_a_core() -> float:
    await anyio.sleep(1.0)  # what the opening of the streams has left to do
    began, used = time.perf_counter(), time.process_time()
    await anyio.sleep(SECONDS)
    return 100 * (time.process_time() - used) / (time.perf_counter() - began)


async def idle_in_memory() -> float:
    async with serving(MemoryStore()) as serve, anyio.create_task_group() as tasks:
        await open_streams(tasks, serve, [create(stream=True, store=False) for _ in range(STREAMS)])
        percent = await percent_of_a_core()
        tasks.cancel_scope.cancel()
    return percent


async def live_elsewhere(store: ResponseStore) -> list[str]:
    """Store responses that somebody else makes; return their ids."""
    await store.attend("elsewhere", 3_600, 0)
    ids = [new_response_id() for _ in range(FOLLOWERS)]
    for one in ids:
        created = ResponseEventStream(one, {"model": "m", "input": "x"}).emit_created()
        new = NewResponse(
            key=Key("", one),
            owner="elsewhere",
            response=encode(created.response),
            status="in_progress",
            background=True,
            stream=True,
        )
        await store.create(new, [encode_event(created)])
    return ids


async def idle_on_sqlite() -> float:
    """Most streams are of runs of the server; the others follow runs of another process."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "idle.sqlite"
        other = SqliteStore(path)
        ids = await live_elsewhere(other)
        async with serving(SqliteStore(path)) as serve, anyio.create_task_group() as tasks:
            requests = [create(stream=True, background=True) for _ in range(STREAMS - FOLLOWERS)]
            requests += [HttpRequest("GET", f"/v1/responses/{one}", "stream=true", (), b"") for one in ids]
            await open_streams(tasks, serve, requests)
            percent = await percent_of_a_core()
            tasks.cancel_scope.cancel()
        await other.aclose()
    return percent


def promises() -> Iterator[Promise]:
    above = anyio.run(memory) / 1024
    yield Promise("memory of an idle stream, above that of a bare handle() that waits", above, 12.0, "KiB")
    yield Promise(f"{STREAMS} idle streams", anyio.run(idle_in_memory), 1.0, "% of a core")
    what = f"{STREAMS} idle streams on SQLite, {FOLLOWERS} of them of runs of another process"
    yield Promise(what, anyio.run(idle_on_sqlite), 1.0, "% of a core")
