"""What an event costs on its way through the engine, against making and encoding it and nothing else (issue 4).

The handler says 200 deltas at a time, as services deliver them, and lets the event loop turn once between two bursts.
The client reads all of it from the body of the reply.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
import msgspec

from responses_stream import CreateResponse, HttpRequest, ResponseContext, ResponseEventStream, ResponsesServer
from responses_stream.builders.events import Events
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.sse import encode_event
from responses_stream.stores.base import ResponseStore
from responses_stream.stores.memory import MemoryStore
from responses_stream.stores.sqlite import SqliteStore
from tests.benchmarks.measuring import Promise, async_turns, ratio

DELTA = "hello"
BURST, COUNT = 200, 20_000
TURNS = 15


async def bursts(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent | Events]:
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    emit_delta = text.emit_delta
    for _ in range(COUNT // BURST):
        for _ in range(BURST):
            yield emit_delta(DELTA)
        await anyio.lowlevel.checkpoint()
    yield text.emit_text_done()
    yield text.emit_done()
    yield message.emit_done()
    yield stream.emit_completed()


async def alone() -> None:
    stream = ResponseEventStream("resp_bench", {"model": "m", "input": "x"})
    stream.emit_created()
    stream.emit_in_progress()
    message = stream.add_output_item_message()
    message.emit_added()
    text = message.add_text_content()
    text.emit_added()
    emit_delta = text.emit_delta
    for _ in range(COUNT):
        encode_event(emit_delta(DELTA))


async def read(server: ResponsesServer, body: dict[str, object]) -> None:
    request = HttpRequest("POST", "/v1/responses", "", (), msgspec.json.encode({"model": "m", "input": "x"} | body))
    reply = await server.handle(request)
    assert reply.status == 200, reply
    assert not isinstance(reply.body, bytes)
    pieces = [piece async for piece in reply.body]
    await reply.body.aclose()
    assert b"event: response.completed" in b"".join(pieces[-2:])


async def measured() -> list[dict[str, float]]:
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(TemporaryDirectory())

        async def server_with(store: ResponseStore) -> ResponsesServer:
            stack.push_async_callback(store.aclose)
            server = ResponsesServer(store=store)
            server.response_handler(bursts)
            await stack.enter_async_context(server.lifespan())
            return server

        memory = await server_with(MemoryStore())
        sqlite = await server_with(SqliteStore(Path(directory) / "bench.sqlite"))
        background: dict[str, object] = {"stream": True, "background": True}
        return await async_turns(
            {
                "alone": alone,
                "stored": partial(read, memory, {"stream": True}),
                "unstored": partial(read, memory, {"stream": True, "store": False}),
                "background": partial(read, memory, background),
                "sqlite": partial(read, sqlite, background),
            },
            TURNS,
        )


def promises() -> Iterator[Promise]:
    turns = anyio.run(measured)
    # A quarter of the events in a second is four times the cost of each; half of them is twice.
    for name, what in (
        ("stored", "of a stored stream"),
        ("unstored", "of a stream that is not stored"),
        ("background", "of a background stream in memory"),
    ):
        yield Promise(f"an event {what} through handle(), against builder and encode", ratio(turns, name, "alone"), 4.0)
    yield Promise(
        "an event of a background stream on SQLite, against the same in memory",
        ratio(turns, "sqlite", "background"),
        2.0,
    )
