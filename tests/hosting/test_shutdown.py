"""The end of a server: it takes nothing new, tells its handlers, waits, and ends what is left; nothing hangs (H5).

Decision 28 with H15.7 to H15.16. A grace that is not to be waited for is long here; one that is to end is short.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, cast

import anyio
import anyio.to_thread
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    MemoryStore,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    ResponseStore,
    SqliteStore,
    TextResponse,
)
from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.context import SyncResponseContext
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.stores.base import Key, NewResponse, NotStored

from .asking import Answer, answer_of, ask, request_for
from .gates import BS, ES, ID, PATH, SS, B, Client, E, GatedStore, S, Stage, one_story, quiet, staged

pytestmark = pytest.mark.anyio

SHORT: Final = ResponsesServerOptions(
    cancel_grace_seconds=1000, shutdown_grace_period_seconds=0.01, sse_keep_alive_interval_seconds=None
)
MODES: Final = {"S": S, "SS": SS, "B": B, "BS": BS, "E": E, "ES": ES}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return MODES[str(request.param)]


async def told(stage: Stage, client: Client, mode: dict[str, Any]) -> dict[str, Any]:
    """Return the response as its client was told that it ended; a B client asks again."""
    answer = await client.got()
    assert answer.status == 200
    if mode is B:
        answer = await ask(stage.server, method="GET", path=PATH)
        response: dict[str, Any] = answer.json
    elif answer.headers["content-type"].startswith("text/event-stream"):
        response = answer.events[-1]["response"]
        one_story(answer.body, response)
    else:
        response = answer.json
    return response


async def test_a_handler_that_winds_down_has_its_own_end(mode: dict[str, Any]) -> None:
    """H15.7, H15.8, H15.13, H15.16: it sees that the server ends, by its context, and what it says then counts."""
    async with staged() as stage:
        seen: list[object] = []

        async def cooperative(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            stream = context.stream()
            yield stream.emit_created()
            await context.shutdown.wait()
            seen.extend((context.is_shutdown_requested, context.cancellation.is_set(), context.client_cancelled))
            seen.append(context.cancellation.cause)
            yield stream.emit_in_progress()
            yield stream.emit_incomplete(reason="max_output_tokens")

        stage.server.response_handler(cooperative)
        client = stage.create(mode)
        await quiet()
        await stage.server.drain()
        response = await told(stage, client, mode)
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert seen == [True, True, False, Cause.SHUTTING_DOWN]
        if mode.get("store", True):
            await stage.agree(status="incomplete")


async def test_a_handler_that_does_not_wind_down_ends_as_failed_after_the_grace(mode: dict[str, Any]) -> None:
    """H15.9, H15.10, H15.13, decision 28: with its own code, on the wire and in the store."""
    async with staged(options=SHORT) as stage:
        stage.steps.hold("in_progress")
        client = stage.create(mode)
        await quiet()
        await stage.server.drain()
        response = await told(stage, client, mode)
        assert (response["status"], response["error"]["code"]) == ("failed", "server_shutting_down")
        if mode.get("store", True):
            await stage.agree(client if mode is BS else None, "failed")
        else:
            assert (await ask(stage.server, method="GET", path=PATH)).status == 404


async def test_a_handler_that_says_nothing_before_the_grace_is_over(mode: dict[str, Any]) -> None:
    """Decision 12 for the failure of decision 28: 503 for JSON, a lone error for a stream, a stored failure for B."""
    async with staged(options=SHORT) as stage:
        stage.steps.hold("created")
        client = stage.create(mode)
        await quiet()
        await stage.server.drain()
        answer = await client.got()
        if mode in (S, E):
            assert (answer.status, answer.error["code"]) == (503, "service_unavailable")
            assert answer.headers["x-platform-error-source"] == "platform"
        elif mode is B:
            assert (answer.status, answer.json["error"]["code"]) == (200, "server_shutting_down")
            await stage.agree(status="failed")
        else:
            assert [event["type"] for event in answer.events] == ["error"]
            assert answer.events[0]["code"] == "server_shutting_down"
        if mode is not B:
            assert (await ask(stage.server, method="GET", path=PATH)).status == 404


async def test_a_handler_that_goes_on_talking_is_ended_by_the_grace(mode: dict[str, Any]) -> None:
    """H5: not even one that says something all the time holds the end up; what it has said stays."""
    async with staged(options=SHORT) as stage:

        async def talkative(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            stream = context.stream()
            yield stream.emit_created()
            yield stream.emit_in_progress()
            message = stream.add_output_item_message()
            yield message.emit_added()
            text = message.add_text_content()
            yield text.emit_added()
            while True:
                yield text.emit_delta("and ")
                await anyio.sleep(0.001)

        stage.server.response_handler(talkative)
        client = stage.create(mode)
        await quiet()
        await stage.server.drain()
        response = await told(stage, client, mode)
        assert (response["error"]["code"], response["output"]) == ("server_shutting_down", [])


@attrs.define(eq=False)
class Threaded:
    """A sync handler, and what a test needs to know of its thread."""

    begun: threading.Event = attrs.field(factory=threading.Event)
    go_on: threading.Event = attrs.field(factory=threading.Event)
    stopped: threading.Event = attrs.field(factory=threading.Event)
    seen: list[object] = attrs.field(factory=list)

    def cooperative(self, _request: CreateResponse, context: SyncResponseContext) -> Iterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        self.begun.set()
        while not context.is_shutdown_requested:
            self.go_on.wait(0.001)
        self.seen.append(context.cancellation.cause)
        yield stream.emit_in_progress()
        yield stream.emit_completed()
        self.stopped.set()

    def stubborn(self, _request: CreateResponse, context: SyncResponseContext) -> Iterator[ResponseStreamEvent]:
        stream = context.stream()
        try:
            yield stream.emit_created()
            self.begun.set()
            self.go_on.wait(30)
            yield stream.emit_in_progress()
            self.seen.append("not stopped")
        finally:
            self.stopped.set()


@pytest.mark.parametrize("asked", [SS, BS], ids=["SS", "BS"])
async def test_a_sync_handler_that_winds_down_has_its_own_end(asked: dict[str, Any]) -> None:
    """H15.8, H15.16: it looks at its context from its thread."""
    threaded = Threaded()
    async with staged() as stage:
        stage.server.response_handler(threaded.cooperative)
        client = stage.create(asked)
        await anyio.to_thread.run_sync(threaded.begun.wait)
        await stage.server.drain()
        await stage.agree(client)
        await anyio.to_thread.run_sync(threaded.stopped.wait)
        await stage.idle()
    assert threaded.seen == [Cause.SHUTTING_DOWN]


@pytest.mark.parametrize("asked", [SS, BS], ids=["SS", "BS"])
async def test_a_sync_handler_that_blocks_is_left_behind(asked: dict[str, Any]) -> None:
    """H5: a thread cannot be interrupted, and is not waited for; it is stopped where it says something next."""
    threaded = Threaded()
    async with staged(options=SHORT) as stage:
        stage.server.response_handler(threaded.stubborn)
        client = stage.create(asked)
        await anyio.to_thread.run_sync(threaded.begun.wait)
        await stage.server.drain()
        events = await stage.agree(client, "failed")
        assert (await client.got()).events[-1]["response"]["error"]["code"] == "server_shutting_down"
        threaded.go_on.set()
        await anyio.to_thread.run_sync(threaded.stopped.wait)
        assert threaded.seen == []
        assert await stage.agree(client, "failed") == events
        await stage.idle()


async def test_what_was_made_is_shown_cancelled_and_deleted_while_the_server_drains() -> None:
    """H15.2: only creates are refused."""
    async with staged() as stage:
        done = await ask(stage.server, {"model": "m", **BS})
        done_path = f"/v1/responses/{done.events[0]['response']['id']}"
        last = stage.steps.hold("completed")
        client = stage.create(BS)
        await last.reached.wait()
        drained = anyio.Event()

        async def drain() -> None:
            await stage.server.drain()
            drained.set()

        stage.tasks.start_soon(drain)
        await quiet()
        assert (await ask(stage.server, {"model": "m"})).status == 503
        assert (await ask(stage.server, method="GET", path=PATH)).json["status"] == "in_progress"
        follower = stage.get("stream=true")
        assert (await ask(stage.server, method="GET", path=done_path, query="stream=true")).body == done.body
        assert (await ask(stage.server, method="GET", path=f"{done_path}/input_items")).status == 200
        assert (await ask(stage.server, method="DELETE", path=done_path)).status == 200
        assert (await ask(stage.server, method="GET", path="/readiness")).status == 200
        cancel = stage.cancel()
        await quiet()
        assert not drained.is_set()
        last.open()
        await drained.wait()
        assert (await cancel.got()).json["status"] == "cancelled"
        assert (await follower.got()).body == (await client.got()).body
        await stage.agree(client, "cancelled")


async def test_a_drain_waits_for_what_the_store_is_still_writing() -> None:
    """H15.12."""
    async with staged(options=SHORT) as stage:
        end = stage.store.gates.hold("before end")
        client = stage.create(BS)
        await end.reached.wait()
        drained = anyio.Event()

        async def drain() -> None:
            await stage.server.drain()
            drained.set()

        stage.tasks.start_soon(drain)
        # Longer than the grace, which is not meant for what was said before.
        await anyio.sleep(0.05)
        assert not drained.is_set()
        end.open()
        await drained.wait()
        await stage.agree(client)


async def test_a_drain_returns_as_soon_as_all_have_ended() -> None:
    """H15.8: of a grace of a thousand seconds nothing is waited for where nobody needs it; draining twice is once."""
    async with staged() as stage:
        await stage.server.drain()
        last = stage.steps.hold("completed")
        last.open()
        await stage.server.drain()
        assert (await stage.create(S).got()).status == 503


@pytest.mark.parametrize("drained", [False, True])
async def test_closing_releases_the_lease(drained: bool) -> None:
    """Issue 4, point 8: whatever it left, the next server sees at once, and not when the lease is over."""
    store = MemoryStore()
    server = ResponsesServer(store=store, options=SHORT)
    async with server.lifespan():
        left = NewResponse(
            key=Key("", ID),
            owner=server._host().owner,
            response=b"{}",
            status="in_progress",
            background=True,
            stream=True,
        )
        await store.create(left)
        if drained:
            await server.drain()
        assert not (await store.attend("another", 1000, 0)).orphans
    assert (await store.attend("another", 1000, 0)).orphans == [Key("", ID)]


async def test_closing_without_a_drain_ends_what_is_in_the_making() -> None:
    """H5: whoever closes at once gives no grace, but leaves nothing in flight."""
    store = MemoryStore()
    server = ResponsesServer(
        store=store, options=ResponsesServerOptions(shutdown_grace_period_seconds=1000, cancel_grace_seconds=1000)
    )
    begun = anyio.Event()

    @server.response_handler
    async def endless(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        yield context.stream().emit_created()
        begun.set()
        await anyio.sleep_forever()

    reply = await server.handle(request_for({"model": "m", "response_id": ID, **BS}))
    await begun.wait()
    await server.aclose()
    answer = await answer_of(reply)
    stored = await store.get(Key("", ID))
    assert (stored.ended, stored.status) == (True, "failed")
    one_story(answer.body, answer.events[-1]["response"])
    await server.aclose()


@pytest.mark.parametrize("with_lifespan", [True, False])
async def test_a_server_that_was_closed_serves_again(with_lifespan: bool) -> None:
    """`aclose`: it begins anew, with the same handler and the same store."""
    store = MemoryStore()
    server = ResponsesServer(store=store, options=SHORT)

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        assert not context.is_shutdown_requested
        return TextResponse(context, request, text="ok")

    made: list[str] = []
    for _ in range(3):
        if with_lifespan:
            async with server.lifespan():
                made.append((await ask(server, {"model": "m"})).json["id"])
        else:
            made.append((await ask(server, {"model": "m"})).json["id"])
            await server.drain()
            assert (await ask(server, {"model": "m"})).status == 503
            await server.aclose()
    for response_id in made:
        assert (await ask(server, method="GET", path=f"/v1/responses/{response_id}")).json["status"] == "completed"
    await server.aclose()


async def test_the_end_of_the_lifespan_drains_and_closes() -> None:
    """H15.1 as the one routine: a stream that is open gets its end, and the store of the server's own is closed."""
    server = ResponsesServer(options=SHORT)
    answers: list[Answer] = []
    begun = anyio.Event()

    @server.response_handler
    async def endless(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        yield context.stream().emit_created()
        begun.set()
        await anyio.sleep_forever()

    async def follow() -> None:
        answers.append(await ask(server, {"model": "m", **SS}))

    async with anyio.create_task_group() as tasks:
        async with server.lifespan():
            tasks.start_soon(follow)
            await begun.wait()
            own = server._own_store
            assert own is not None
        assert server._own_store is None
    [answer] = answers
    one_story(answer.body, answer.events[-1]["response"])
    assert answer.events[-1]["response"]["error"]["code"] == "server_shutting_down"


async def test_a_failing_store_does_not_hold_the_end_up(caplog: pytest.LogCaptureFixture) -> None:
    """H5: the lease cannot be given up, which is logged, and the server has ended."""
    store = GatedStore(MemoryStore())
    server = ResponsesServer(store=cast("ResponseStore", store), options=SHORT)
    async with server.lifespan():
        store.gates.hold("before release").open(OSError("the disk is away"))
    assert "the store could not be closed in order" in caplog.text


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("asked", [SS, BS], ids=["SS", "BS"])
@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "sqlite"])
def test_the_end_of_a_loop_without_a_lifespan_ends_its_runs(
    backend: str, asked: dict[str, Any], in_memory: bool, tmp_path: Path
) -> None:
    """H15.15: where nobody forwards the lifespan, the loop's own end cancels; the stored response has an end all the
    same, and the next loop shows it."""
    store: ResponseStore = MemoryStore() if in_memory else SqliteStore(tmp_path / "r")
    server = ResponsesServer(store=store, options=SHORT)

    @server.response_handler
    async def endless(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        yield context.stream().emit_created()
        await anyio.sleep_forever()

    async def first() -> None:
        reply = await server.handle(request_for({"model": "m", "response_id": ID, **asked}))
        assert not isinstance(reply.body, bytes)
        assert b"response.created" in await anext(aiter(reply.body))

    async def second() -> Answer:
        return await ask(server, method="GET", path=PATH)

    anyio.run(first, backend=backend)
    found = anyio.run(second, backend=backend)
    anyio.run(store.aclose, backend=backend)
    assert (found.status, found.json["status"]) == (200, "failed")
    assert found.json["error"]["code"] == "server_shutting_down"


async def test_nothing_of_a_response_that_was_never_stored_is_left() -> None:
    """H15.11, H15.13: a run that the drain ends before it was created leaves no key and no claim."""
    async with staged(options=SHORT) as stage:
        stage.steps.hold("created")
        client = stage.create(SS, headers={"idempotency-key": "k"})
        await quiet()
        await stage.server.drain()
        await client.got()
        await quiet()
        with pytest.raises(NotStored):
            await stage.store.inner.get(Key("", ID))
        assert (await stage.store.inner.claim("", "k", b"d", ID, "o")).mine
