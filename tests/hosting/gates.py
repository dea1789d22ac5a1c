"""A stage for tests of what happens at the same time: a handler and a store stop where a test wants them to.

They go on when they are told. Whatever was played, `staged` sees to it that nothing is left: no live run and no task.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import anyio
import anyio.lowlevel
import attrs
import sniffio

from responses_stream import (
    CreateResponse,
    HttpReply,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    ResponseStore,
    lifecycle,
    validate_events,
)
from responses_stream.hosting.http import CutShort
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.sse import DONE

from .asking import Answer, ask, request_for

ID: Final = "resp_" + "7" * 50
PATH: Final = f"/v1/responses/{ID}"
B: Final = {"background": True}
BS: Final = {"background": True, "stream": True}
SS: Final = {"stream": True}
ES: Final = {"stream": True, "store": False}
S: Final[dict[str, Any]] = {}
E: Final = {"store": False}
OPTIONS: Final = ResponsesServerOptions(
    cancel_grace_seconds=1000, shutdown_grace_period_seconds=1000, sse_keep_alive_interval_seconds=None
)
"""A grace that no test waits for."""


@attrs.define(eq=False)
class Gate:
    """Where somebody waits until a test lets them through.

    Attributes:
        reached: set when somebody stands there.
        opened: set when they may go on.
        error: raised in those who go through.
    """

    reached: anyio.Event = attrs.field(factory=anyio.Event)
    opened: anyio.Event = attrs.field(factory=anyio.Event)
    error: Exception | None = None

    async def passing(self) -> None:
        self.reached.set()
        await self.opened.wait()
        if self.error is not None:
            raise self.error

    def open(self, error: Exception | None = None) -> None:
        self.error = error
        self.opened.set()


@attrs.define(eq=False)
class Gates:
    """Gates by name; one that is not held lets everybody through."""

    held: dict[str, Gate] = attrs.field(factory=dict)

    def hold(self, name: str) -> Gate:
        gate = self.held[name] = Gate()
        return gate

    async def passing(self, name: str) -> None:
        gate = self.held.get(name)
        if gate is not None:
            await gate.passing()


class GatedStore:
    """A store that stands still before and after each of its methods, at gates like ``before create``.

    An append that ends a response is called ``end`` here.

    Args:
        inner: the store that does the work.
    """

    def __init__(self, inner: ResponseStore) -> None:
        self.inner = inner
        self.gates = Gates()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        method = getattr(self.inner, name)

        async def gated(*arguments: object, **named: object) -> object:
            ends = name == "append" and (len(arguments) > 4 and arguments[4] is not None)
            called = "end" if ends else name
            await self.gates.passing(f"before {called}")
            result = await method(*arguments, **named)
            await self.gates.passing(f"after {called}")
            return result

        return gated


async def quiet() -> None:
    """Let everybody go on until nobody can; with a store in memory nothing comes from outside."""
    if sniffio.current_async_library() == "trio":
        await anyio.wait_all_tasks_blocked()
    else:
        # That of asyncio looks only every tenth of a second.
        for _ in range(60):
            await anyio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Client:
    """A client that reads all it gets.

    Attributes:
        answer: what it got; None before the end.
        error: what the transport would have cut the connection for.
    """

    pieces: bytearray = attrs.field(factory=bytearray)
    reply: HttpReply | None = None
    answer: Answer | None = None
    error: Exception | None = None
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    done: anyio.Event = attrs.field(factory=anyio.Event)

    async def ask(self, server: ResponsesServer, body: object, **request: Any) -> None:
        try:
            with self.scope:
                self.reply = await server.handle(request_for(body, **request))
                if isinstance(self.reply.body, bytes):
                    self.pieces += self.reply.body
                else:
                    try:
                        async for piece in self.reply.body:
                            self.pieces += piece
                    finally:
                        await self.reply.body.aclose()
                self.answer = Answer(self.reply.status, dict(self.reply.headers), bytes(self.pieces))
        except CutShort as error:
            self.error = error
        self.done.set()

    async def got(self) -> Answer:
        await self.done.wait()
        assert self.answer is not None, self.error
        return self.answer


@attrs.define(eq=False)
class Stage:
    """A server whose handler says created, in_progress and completed, each behind a gate of its name."""

    server: ResponsesServer
    store: GatedStore
    tasks: anyio.abc.TaskGroup
    steps: Gates = attrs.field(factory=Gates)
    contexts: list[ResponseContext] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.server.response_handler(self.handler)

    async def handler(self, _request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        self.contexts.append(context)
        stream = context.stream()
        await self.steps.passing("created")
        yield stream.emit_created()
        await self.steps.passing("in_progress")
        yield stream.emit_in_progress()
        await self.steps.passing("completed")
        yield stream.emit_completed()

    def send(self, body: object = None, **request: Any) -> Client:
        """Ask, and read on in the background."""
        client = Client()
        self.tasks.start_soon(_sent, client, self.server, body, request)
        return client

    def create(self, mode: dict[str, Any], **request: Any) -> Client:
        return self.send({"model": "m", "input": "hi", "response_id": ID, **mode}, **request)

    def get(self, query: str = "", path: str = PATH) -> Client:
        return self.send(method="GET", path=path, query=query)

    def cancel(self) -> Client:
        return self.send(path=f"{PATH}/cancel")

    def delete(self) -> Client:
        return self.send(method="DELETE", path=PATH)

    @property
    def live(self) -> int:
        """How many runs the server still has."""
        return len(self.server._host().runs)

    async def idle(self) -> None:
        """Wait until the server has no run left: a thread comes back to the loop in its own time."""
        while self.live:
            await anyio.lowlevel.checkpoint()

    async def agree(self, wire: Client | None = None, status: str = "completed") -> list[dict[str, Any]]:
        """Check that the response has ended as *status*, that all tell the same of it, and return its replay."""
        streamed = None
        if wire is not None:
            answer = await wire.got()
            if answer.headers["content-type"].startswith("text/event-stream"):
                streamed = answer.body
            else:
                assert answer.json["status"] in (status, "in_progress")
            await quiet()
        stored = await ask(self.server, method="GET", path=PATH)
        assert (stored.status, stored.json["status"]) == (200, status)
        if streamed is not None:
            one_story(streamed, stored.json)
        replay = await ask(self.server, method="GET", path=PATH, query="stream=true")
        if replay.status != 200:
            assert replay.status == 400
            return []
        one_story(replay.body, stored.json)
        assert streamed is None or replay.body == streamed
        return replay.events


def one_story(body: bytes, response: dict[str, Any]) -> None:
    """Check that a stream is a valid one, ends with its only terminal event, and tells of this response."""
    assert body.endswith(DONE)
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in body.removesuffix(DONE).split(b"\n\n")[:-1]]
    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    assert [event["type"] in lifecycle.TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1]["response"] == response
    report = validate_events(body)
    assert report.ok, report


async def _sent(client: Client, server: ResponsesServer, body: object, request: dict[str, Any]) -> None:
    await client.ask(server, body, **request)


@asynccontextmanager
async def staged(inner: ResponseStore | None = None, options: ResponsesServerOptions = OPTIONS) -> AsyncIterator[Stage]:
    """Open a stage; when the test has played, nothing may be left of it."""
    store = GatedStore(inner or MemoryStore())
    server = ResponsesServer(store=cast("ResponseStore", store), options=options)
    with anyio.fail_after(20):
        async with server.lifespan():
            await quiet()
            before = len(anyio.get_running_tasks())
            async with anyio.create_task_group() as tasks:
                stage = Stage(server, store, tasks)
                try:
                    yield stage
                except BaseException:
                    # What a failed test has held would be waited for.
                    for gate in (*stage.steps.held.values(), *store.gates.held.values()):
                        gate.open()
                    raise
            await quiet()
            assert stage.live == 0
            assert len(anyio.get_running_tasks()) == before
