"""What becomes of the cost of a create as more and more is stored: long conversations, full files (issue 4)."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import msgspec

from responses_stream import CreateResponse, HttpRequest, ResponseContext, ResponsesServer, TextResponse
from responses_stream.protocol.ids import new_response_id
from responses_stream.stores.base import Ending, Item, Key, NewResponse, ResponseStore
from responses_stream.stores.memory import MemoryStore
from responses_stream.stores.sqlite import SqliteStore
from tests.benchmarks.measuring import Promise

EARLY, LATE = 100, 1_000
AROUND = 30
"""How many turns are timed before the one that counts; the best of them stands for it."""

STORED = 20_000
CREATES, ROUNDS = 20, 10


async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
    """Reads the history, as every handler of a conversation does."""
    return TextResponse(context, request, text=f"after {len(await context.get_history())} items")


@asynccontextmanager
async def serving(store: ResponseStore) -> AsyncIterator[ResponsesServer]:
    server = ResponsesServer(store=store)
    server.response_handler(answer)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        await stack.enter_async_context(server.lifespan())
        yield server


async def say(server: ResponsesServer, previous: str | None = None) -> str:
    body = msgspec.json.encode({"model": "m", "input": "What next?", "previous_response_id": previous})
    reply = await server.handle(HttpRequest("POST", "/v1/responses", "", (), body))
    assert reply.status == 200
    assert isinstance(reply.body, bytes)
    return str(msgspec.json.decode(reply.body)["id"])


async def timed(server: ResponsesServer, previous: str | None) -> float:
    start = time.perf_counter()
    await say(server, previous)
    return time.perf_counter() - start


async def late_against_early(store: ResponseStore) -> float:
    """Hold a conversation, then continue it where it is long and where it is short, by turns."""
    async with serving(store) as server:
        turns: list[str] = []
        for _ in range(LATE - 1):
            turns.append(await say(server, turns[-1] if turns else None))
        best = {EARLY: float("inf"), LATE: float("inf")}
        gc.collect()
        for _ in range(AROUND):
            for turn in best:
                best[turn] = min(best[turn], await timed(server, turns[turn - 2]))
    return best[LATE] / best[EARLY]


async def fill(store: ResponseStore) -> None:
    """Store as many responses as there are to be, ended, with what they were given and have said."""
    await store.attend("filler", 60, 0)
    response = msgspec.json.encode({"id": "resp", "object": "response", "output": [], "text": "x" * 1_000})

    async def one(number: int) -> None:
        key = Key("", new_response_id())
        new = NewResponse(
            key=key,
            owner="filler",
            response=response,
            status="in_progress",
            background=False,
            stream=False,
            input_items=[Item(f"msg_in_{number}", b'{"type":"message"}')],
        )
        await store.create(new)
        await store.append(
            key, "filler", 0, (), Ending(response, "completed", [Item(f"msg_out_{number}", b'{"type":"message"}')])
        )

    async def some(numbers: range) -> None:
        for number in numbers:
            await one(number)

    async with anyio.create_task_group() as tasks:  # side by side, so that many are written in one transaction
        for start in range(100):
            tasks.start_soon(some, range(start, STORED, 100))
    await store.release("filler")


async def full_against_empty(directory: Path) -> float:
    full, empty = SqliteStore(directory / "full.sqlite"), SqliteStore(directory / "empty.sqlite")
    await fill(full)
    async with serving(full) as first, serving(empty) as second:
        best = {first: float("inf"), second: float("inf")}
        gc.collect()
        for _ in range(ROUNDS * CREATES):
            for server in best:
                best[server] = min(best[server], await timed(server, None))
        return best[first] / best[second]


def promises() -> Iterator[Promise]:
    with TemporaryDirectory() as name:
        directory = Path(name)
        for store, where in ((MemoryStore(), "in memory"), (SqliteStore(directory / "turns.sqlite"), "on SQLite")):
            seen = anyio.run(late_against_early, store)
            yield Promise(f"turn {LATE:,} of a conversation {where}, against turn {EARLY}", seen, 1.5)
        seen = anyio.run(full_against_empty, directory)
        yield Promise(f"a create on SQLite with {STORED:,} stored responses, against an empty file", seen, 1.2)
