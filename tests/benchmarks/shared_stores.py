"""What an event, a follower and a long conversation cost on the stores that servers share, beside memory (issue 7).

The engines are those of `tests.services`, on this machine; where one is missing its rows are, too. A server runs on one
core, with one event loop, as each replica does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import anyio.lowlevel
import msgspec
import pytest

from responses_stream import CreateResponse, HttpRequest, ResponseContext, ResponsesServer
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.stores.base import ResponseStore
from responses_stream.stores.memory import MemoryStore
from responses_stream.stores.sqlite import SqliteStore
from tests.benchmarks.bursts import BURST, COUNT, bursts
from tests.benchmarks.growing import AROUND, LATE, say, serving, timed
from tests.benchmarks.measuring import AsyncWork, Promise, async_turns, ratio
from tests.services import postgres_url, redis_url
from tests.stores.shared_stores import SHARED

DELTA: Final = "token "
STREAMS, TOKENS = 20, 500
TURNS = 5

FOLLOWED, PACE = 1_000, 0.002
"""How many tokens are followed on another server, and how many seconds pass between two of them."""

MOST: Final = {"redis": 2.5, "postgres": 4.0}
"""What an event may cost against one in memory: at least 40 % and 25 % of its events in a second."""


async def singly(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
    """Says one token after the other, as they come from a model."""
    stream = context.stream()
    yield stream.emit_created()
    yield stream.emit_in_progress()
    message = stream.add_output_item_message()
    yield message.emit_added()
    text = message.add_text_content()
    yield text.emit_added()
    for _ in range(TOKENS):
        yield text.emit_delta(DELTA)
        await anyio.lowlevel.checkpoint()
    yield text.emit_text_done()
    yield text.emit_done()
    yield message.emit_done()
    yield stream.emit_completed()


async def read(server: ResponsesServer) -> None:
    body = msgspec.json.encode({"model": "m", "input": "x", "stream": True, "background": True})
    reply = await server.handle(HttpRequest("POST", "/v1/responses", "", (), body))
    assert reply.status == 200, reply
    assert not isinstance(reply.body, bytes)
    pieces = [piece async for piece in reply.body]
    await reply.body.aclose()
    assert b"event: response.completed" in b"".join(pieces[-2:])


async def side_by_side(server: ResponsesServer) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(STREAMS):
            tasks.start_soon(read, server)


class Stores(AsyncExitStack):
    """Pairs of stores on the same data, of every engine that is there."""

    async def pairs(self) -> Mapping[str, tuple[ResponseStore, ResponseStore]]:
        file = Path(self.enter_context(TemporaryDirectory())) / "bench.sqlite"
        memory, files = MemoryStore(), (SqliteStore(file), SqliteStore(file))
        for store in (memory, *files):
            self.push_async_callback(store.aclose)
        found: dict[str, tuple[ResponseStore, ResponseStore]] = {"memory": (memory, memory), "sqlite": files}
        for name, url in (("redis", redis_url), ("postgres", postgres_url)):
            try:
                url()
            except pytest.skip.Exception as missing:
                print(missing)
            else:
                one, other = await self.enter_async_context(SHARED[name](2))
                found[name] = (one, other)
        return found


async def events() -> list[dict[str, float]]:
    """Time background streams: many side by side, token by token, and one that says 200 tokens at a time."""
    async with Stores() as stores:
        rows: dict[str, AsyncWork] = {}
        for name, (store, _) in (await stores.pairs()).items():
            for how, handler, work in (("singly", singly, side_by_side), ("bursts", bursts, read)):
                server = ResponsesServer(store=store)
                server.response_handler(handler)
                await stores.enter_async_context(server.lifespan())
                rows[f"{how} {name}"] = partial(work, server)
                await read(server)
        return await async_turns(rows, TURNS)


async def lag(maker: ResponsesServer, follower: ResponsesServer) -> list[float]:
    """Return how long each token took from the handler on one server to a client of another, in milliseconds."""
    said: list[float] = []
    begun, go = anyio.Event(), anyio.Event()
    response_id = ""

    async def paced(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        nonlocal response_id
        stream = context.stream()
        yield stream.emit_created()
        response_id = context.response_id
        yield stream.emit_in_progress()
        begun.set()
        await go.wait()
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        for _ in range(FOLLOWED):
            await anyio.sleep(PACE)
            said.append(time.perf_counter())
            yield text.emit_delta(DELTA)
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.emit_completed()

    maker.response_handler(paced)
    lags: list[float] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read, maker)
        await begun.wait()
        path = f"/v1/responses/{response_id}"
        reply = await follower.handle(HttpRequest("GET", path, "stream=true", (), b""))
        assert reply.status == 200, reply
        assert not isinstance(reply.body, bytes)
        go.set()
        async for piece in reply.body:
            now = time.perf_counter()
            for _ in range(piece.count(b"event: response.output_text.delta")):
                lags.append(1_000 * (now - said[len(lags)]))
        await reply.body.aclose()
    assert len(lags) == FOLLOWED
    return lags


async def lags() -> dict[str, list[float]]:
    async with Stores() as stores:
        seen = {}
        for name, pair in (await stores.pairs()).items():
            servers = [ResponsesServer(store=store) for store in pair]
            for server in servers:
                await stores.enter_async_context(server.lifespan())
            seen[name] = await lag(*servers)
        return seen


async def conversations() -> dict[str, tuple[float, float]]:
    """Return the best seconds of a first turn and of turn 1,000."""
    seen = {}
    async with Stores() as stores:
        for name, (store, _) in (await stores.pairs()).items():
            async with serving(store) as server:
                last = None
                for _ in range(LATE - 1):
                    last = await say(server, last)
                first = late = float("inf")
                for _ in range(AROUND):
                    first = min(first, await timed(server, None))
                    late = min(late, await timed(server, last))
                seen[name] = first, late
    return seen


def promises() -> Iterator[Promise]:
    turns = anyio.run(events)
    for row in turns[0]:
        how, name = row.split()
        said, count = {
            "singly": (f"{STREAMS} background streams, token by token", STREAMS * TOKENS),
            "bursts": (f"a background stream, {BURST} tokens at a time", COUNT),
        }[how]
        rate = count / statistics.median(turn[row] for turn in turns) / 1_000
        yield Promise(f"thousand events in a second of {said}, {name}", rate, None, "k")
        if name != "memory":
            cost = ratio(turns, row, f"{how} memory")
            yield Promise(f"an event of {said}, {name}, against memory", cost, MOST.get(name))
    for name, seen in anyio.run(lags).items():
        where = "the same server" if name == "memory" else "another server"
        ordered = sorted(seen)
        for what, value in (("median", statistics.median(seen)), ("p99", ordered[int(0.99 * len(ordered))])):
            yield Promise(f"{what} from a token to a client of {where}, {name}", value, None, "ms")
    for name, (first, late) in anyio.run(conversations).items():
        yield Promise(f"the first turn of a conversation, {name}", 1_000 * first, None, "ms")
        yield Promise(f"turn {LATE:,} of a conversation, against the first, {name}", late / first, None)
