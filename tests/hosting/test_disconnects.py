"""A client that leaves stops its handler, and nobody else's; the end of the server stops all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import attrs
import pytest

from responses_stream import (
    CreateResponse,
    HttpReply,
    ResponseContext,
    ResponsesServer,
    ResponsesServerOptions,
    TextResponse,
)
from responses_stream.builders.events import Events
from responses_stream.hosting.cancellation import CancellationSignal
from responses_stream.protocol.events import ResponseStreamEvent

from .asking import Answer, answer_of, ask, request_for

pytestmark = pytest.mark.anyio


@attrs.define
class Endless:
    """A server whose handler begins and then waits; it notes how it was stopped."""

    server: ResponsesServer = attrs.field(factory=ResponsesServer)
    waiting: anyio.Event = attrs.field(factory=anyio.Event)
    stopped: anyio.Event = attrs.field(factory=anyio.Event)
    signal: CancellationSignal | None = None
    begins: bool = True

    def __attrs_post_init__(self) -> None:
        self.server.response_handler(self.handler)

    async def handler(
        self, _request: CreateResponse, context: ResponseContext, signal: CancellationSignal
    ) -> AsyncIterator[ResponseStreamEvent]:
        self.signal = signal
        stream = context.stream()
        try:
            if self.begins:
                yield stream.emit_created()
            self.waiting.set()
            await anyio.sleep_forever()
            yield stream.emit_completed()
        finally:
            self.stopped.set()


async def begun(server: ResponsesServer) -> HttpReply:
    return await server.handle(request_for({"stream": True}))


async def leave(reply: HttpReply) -> None:
    assert not isinstance(reply.body, bytes)
    await reply.body.aclose()


async def test_closing_the_body_cancels_the_handler() -> None:
    endless = Endless()
    reply = await begun(endless.server)
    await endless.waiting.wait()
    assert endless.signal is not None
    assert not endless.signal.is_set()
    await leave(reply)
    await endless.signal.wait()
    await endless.stopped.wait()
    assert endless.signal.is_set()


async def test_a_closed_body_has_ended() -> None:
    endless = Endless()
    reply = await begun(endless.server)
    await leave(reply)
    await leave(reply)
    assert not isinstance(reply.body, bytes)
    assert [piece async for piece in reply.body] == []


async def test_a_reader_that_is_cancelled_can_close_the_body() -> None:
    endless = Endless()
    reply = await begun(endless.server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer_of, reply)
        await endless.waiting.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await endless.stopped.wait()


@pytest.mark.parametrize(("stream", "begins"), [(True, False), (False, False), (False, True)])
async def test_cancelling_the_call_cancels_the_handler(stream: bool, begins: bool) -> None:
    endless = Endless(begins=begins)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(endless.server.handle, request_for({"stream": stream}))
        await endless.waiting.wait()
        tasks.cancel_scope.cancel()
    await endless.stopped.wait()


async def test_leaving_after_the_end_cancels_nothing() -> None:
    server = ResponsesServer()
    release, finished = anyio.Event(), anyio.Event()

    @server.response_handler
    async def tidy(
        _request: CreateResponse, context: ResponseContext, signal: CancellationSignal
    ) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_completed()
        await release.wait()
        assert not signal.is_set()
        finished.set()

    await leave(await begun(server))
    release.set()
    await finished.wait()


async def test_other_runs_go_on() -> None:
    server = ResponsesServer()
    release = anyio.Event()

    @server.response_handler
    async def wait(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        stream = context.stream()
        yield stream.emit_created()
        await release.wait()
        yield stream.emit_completed()

    leaving, staying = await begun(server), await begun(server)
    await leave(leaving)
    release.set()
    assert (await answer_of(staying)).types[-1] == "response.completed"


async def test_every_open_generator_is_closed() -> None:
    server = ResponsesServer()
    closed: list[str] = []
    begun_telling, all_closed = anyio.Event(), anyio.Event()

    async def tokens() -> AsyncIterator[str]:
        try:
            while True:
                begun_telling.set()
                yield "x" * 1000
        finally:
            closed.append("tokens")

    @server.response_handler
    async def outer(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[Any]:
        stream = context.stream()
        try:
            yield stream.emit_created()
            yield stream.emit_in_progress()
            yield [stream.output_item_message(tokens())]
        finally:
            closed.append("outer")
            all_closed.set()

    reply = await begun(server)
    await begun_telling.wait()
    await leave(reply)
    await all_closed.wait()
    assert closed == ["tokens", "outer"]


@attrs.define
class Blocking:
    """A server whose handler lives in a thread; events of threads tell how far it is."""

    form: Callable[[Blocking, ResponseContext, CancellationSignal], Any]
    server: ResponsesServer = attrs.field(factory=ResponsesServer)
    begun: threading.Event = attrs.field(factory=threading.Event)
    go_on: threading.Event = attrs.field(factory=threading.Event)
    stopped: threading.Event = attrs.field(factory=threading.Event)
    seen: list[bool] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.server.response_handler(self.handler)

    def handler(self, _request: CreateResponse, context: ResponseContext, signal: CancellationSignal) -> Any:
        return self.form(self, context, signal)


def looks_at_the_signal(
    blocking: Blocking, context: ResponseContext, signal: CancellationSignal
) -> Iterator[ResponseStreamEvent]:
    try:
        yield context.stream().emit_created()
        blocking.begun.set()
        blocking.go_on.wait(30)
        blocking.seen.append(signal.is_set())
    finally:
        blocking.stopped.set()


def goes_on_yielding(
    blocking: Blocking, context: ResponseContext, _signal: CancellationSignal
) -> Iterator[ResponseStreamEvent | Events]:
    stream = context.stream()
    try:
        yield stream.emit_created()
        blocking.begun.set()
        blocking.go_on.wait(30)
        yield stream.emit_in_progress()
        blocking.seen.append(True)
    finally:
        blocking.stopped.set()


def is_behind(
    blocking: Blocking, context: ResponseContext, _signal: CancellationSignal
) -> Iterator[ResponseStreamEvent | Events]:
    stream = context.stream()
    try:
        yield stream.emit_created()
        yield stream.emit_in_progress()
        blocking.begun.set()
        yield stream.output_item_message("x" * 1000 for _ in range(1_000_000))
        blocking.seen.append(True)
    finally:
        blocking.stopped.set()


@pytest.mark.parametrize(("form", "seen"), [(looks_at_the_signal, [True]), (goes_on_yielding, []), (is_behind, [])])
async def test_a_sync_handler_is_told_to_stop(
    form: Callable[[Blocking, ResponseContext, CancellationSignal], Any],
    seen: list[bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    blocking = Blocking(form)
    reply = await begun(blocking.server)
    await anyio.to_thread.run_sync(blocking.begun.wait)
    await leave(reply)
    blocking.go_on.set()
    await anyio.to_thread.run_sync(blocking.stopped.wait)
    assert blocking.seen == seen
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_handler_that_fails_while_it_is_stopped_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = ResponsesServer()
    waiting, failed = anyio.Event(), anyio.Event()

    @server.response_handler
    async def clumsy(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
        yield context.stream().emit_created()
        try:
            waiting.set()
            await anyio.sleep_forever()
        finally:
            failed.set()
            raise RuntimeError("could not tidy up")

    reply = await begun(server)
    await waiting.wait()
    await leave(reply)
    await failed.wait()
    await anyio.wait_all_tasks_blocked()
    assert "could not tidy up" in caplog.text
    assert "because the client has gone" in caplog.text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("begins", [True, False])
async def test_the_end_of_the_server_ends_its_runs_with_a_failure(stream: bool, begins: bool) -> None:
    options = ResponsesServerOptions(shutdown_grace_period_seconds=0.001)
    endless = Endless(ResponsesServer(options=options), begins=begins)
    answers: list[Answer] = []

    async def follow() -> None:
        answers.append(await ask(endless.server, {"stream": stream}))

    async with anyio.create_task_group() as tasks:
        async with endless.server.lifespan():
            tasks.start_soon(follow)
            await endless.waiting.wait()
        assert endless.stopped.is_set()
    [answer] = answers
    if not begins and not stream:
        assert (answer.status, answer.error["code"]) == (503, "service_unavailable")
        assert answer.headers["x-platform-error-source"] == "platform"
        return
    assert answer.status == 200
    if stream:
        assert answer.types == (["response.created", "error", "response.failed"] if begins else ["error"])
        assert answer.events[-1].get("code", "server_shutting_down") == "server_shutting_down"
    response = answer.events[-1].get("response", {}) if stream else answer.json
    if begins:
        assert response["error"]["code"] == "server_shutting_down"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_without_a_lifespan_the_end_of_the_loop_ends_its_runs(backend: str) -> None:
    async def main() -> Endless:
        endless = Endless()
        await begun(endless.server)
        await endless.waiting.wait()
        assert not endless.stopped.is_set()
        return endless

    assert anyio.run(main, backend=backend).stopped.is_set()


def test_one_server_serves_one_loop_after_the_other() -> None:
    server = ResponsesServer()

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="ok")

    async def with_lifespan() -> Answer:
        async with server.lifespan():
            return await ask(server, {})

    for backend in ("asyncio", "trio", "asyncio"):
        assert anyio.run(ask, server, {}, backend=backend).status == 200
        assert anyio.run(with_lifespan, backend=backend).status == 200


async def test_first_requests_that_come_together_share_one_owner() -> None:
    server = ResponsesServer()

    @server.response_handler
    async def answer(request: CreateResponse, context: ResponseContext) -> TextResponse:
        return TextResponse(context, request, text="ok")

    answers = []

    async def one() -> None:
        answers.append(await ask(server, {}))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one)
    assert [answer.status for answer in answers] == [200] * 5
