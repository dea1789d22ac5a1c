"""Clients of an `ASGIApp` that leave, at each moment at which they can (decision 13, pains.md C3, C4)."""

from __future__ import annotations

import asyncio
import json

import anyio
import anyio.lowlevel
import attrs
import pytest

from responses_stream.hosting.http import HttpReply, HttpRequest
from responses_transports.asgi import ASGIApp

from .answering import FakeEngine, echo, text, whole
from .asgi_calls import GONE, Gated, body, calling, post, streaming

pytestmark = pytest.mark.anyio


async def test_a_request_that_breaks_off_before_its_body_asks_nothing() -> None:
    """Most servers drop the answer, since nobody reads it; granian tells of a broken body in the same way."""
    engine = FakeEngine(echo)
    async with calling(ASGIApp(engine), post()) as call:
        await call.put(GONE)
        assert (await call.start())[0] == 400
        assert json.loads((await call.take())["body"])["error"]["code"] == "bad_request"
        await call.nothing_more()
    assert engine.asked == []


async def test_a_body_that_breaks_off_ends_the_call() -> None:
    closed = anyio.Event()

    async def read(request: HttpRequest) -> HttpReply:
        try:
            return text(await whole(request))
        finally:
            closed.set()

    async with calling(ASGIApp(FakeEngine(read)), post()) as call:
        await call.put(body(b"a", more=True), GONE)
        assert (await call.start())[0] == 400
        await call.take()
        await call.nothing_more()
    assert closed.is_set()


@attrs.define
class Slow:
    """An engine that never answers."""

    asked: anyio.Event = attrs.field(factory=anyio.Event)
    cancelled: anyio.Event = attrs.field(factory=anyio.Event)

    async def __call__(self, request: HttpRequest) -> HttpReply:
        await whole(request)
        self.asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            self.cancelled.set()
        raise AssertionError


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_client_that_leaves_before_there_is_a_reply_cancels_the_call(pieces: int) -> None:
    slow = Slow()
    async with calling(ASGIApp(FakeEngine(slow)), post()) as call:
        await call.put(*[body(b"x", more=True)] * (pieces - 1), body())
        await slow.asked.wait()
        await call.put(GONE)
        await call.nothing_more()
        assert slow.cancelled.is_set()


async def test_a_client_that_leaves_a_silent_stream_closes_it() -> None:
    stream = Gated()
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await call.start()
        await call.put(GONE)
        await call.nothing_more()
        assert stream.closed.is_set()


async def test_a_client_that_leaves_while_a_piece_waits_to_be_taken_closes_the_stream() -> None:
    stream = Gated()
    stream.gate.set()
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await call.start()
        assert await call.piece() == b"1"
        await anyio.wait_all_tasks_blocked()
        await call.put(GONE)
        await stream.closed.wait()
        await call.ended.wait()


async def test_a_client_that_leaves_before_the_head_of_a_stream_is_taken_closes_it() -> None:
    stream = Gated()
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await anyio.wait_all_tasks_blocked()
        await call.put(GONE)
        await stream.closed.wait()
        await call.ended.wait()


@pytest.mark.parametrize("streams", [True, False])
async def test_a_client_that_leaves_just_when_there_is_a_reply(streams: bool) -> None:
    """Both are there before either is heard of: the reply is not lost on the way, nor is that the client has gone."""
    asked, ready, stream = anyio.Event(), anyio.Event(), Gated()

    async def answer(_: HttpRequest) -> HttpReply:
        asked.set()
        with anyio.CancelScope(shield=True):
            await ready.wait()
        return HttpReply(200, (), stream) if streams else text(b"done")

    async with calling(ASGIApp(FakeEngine(answer)), post()) as call:
        await call.put(body())
        await asked.wait()
        ready.set()
        await call.put(GONE)
        if streams:
            await stream.closed.wait()
        await call.drop()
        await call.ended.wait()


async def test_the_last_message_is_sent_whatever_the_server_says_meanwhile() -> None:
    """hypercorn tells of a client that leaves as soon as it has the end of a reply, in the midst of sending it."""
    stream = Gated(ends=StopAsyncIteration())
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await call.start()
        stream.gate.set()
        await anyio.wait_all_tasks_blocked()
        await call.put(GONE)
        await anyio.wait_all_tasks_blocked()
        assert await call.piece() is None
        await call.nothing_more()
    async with calling(ASGIApp(FakeEngine(echo)), post()) as call:
        await call.put(body(b"abc"))
        await anyio.wait_all_tasks_blocked()
        await call.put(GONE)
        await anyio.wait_all_tasks_blocked()
        await call.start()
        assert (await call.take())["body"] == b"abc"
        await call.nothing_more()


async def test_a_stream_whose_request_was_not_read_still_notices_the_client() -> None:
    stream = Gated()
    async with calling(streaming(stream), post()) as call:
        await call.put(body(b"a", more=True), body(b"b", more=True))
        await call.start()
        await call.put(body(b"c"), GONE)
        await call.nothing_more()
        assert stream.closed.is_set()


@pytest.mark.parametrize("after", [0, 1])
async def test_a_server_that_raises_where_nobody_listens_is_understood(after: int) -> None:
    """ASGI 2.4: what is sent to a client that has gone is an OSError."""
    stream = Gated()
    async with calling(streaming(stream), post()) as call:
        if after == 0:
            call.broken = True
        await call.put(body())
        if after == 1:
            await call.start()
            call.broken = True
        stream.gate.set()
        await call.nothing_more()
    assert stream.closed.is_set()


async def test_an_os_error_of_a_body_is_no_client_that_has_gone() -> None:
    stream = Gated(ends=OSError("the disk"))
    async with calling(streaming(stream), post()) as call:
        await call.put(body())
        await call.start()
        stream.gate.set()
        assert await call.failure() is stream.ends


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("anyio_backend")
async def test_a_server_that_cancels_is_obeyed() -> None:
    """Only a cancellation of its own making ends with the client."""
    stream = Gated()
    app = streaming(stream)
    messages = iter([body()])
    started = anyio.Event()

    async def receive() -> dict[str, object]:
        for message in messages:
            return message
        await anyio.sleep_forever()
        raise AssertionError

    async def send(_: object) -> None:
        started.set()

    task = asyncio.ensure_future(app(post(), receive, send))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.closed.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("anyio_backend")
async def test_a_client_that_leaves_a_stream_leaves_no_cancellation_behind() -> None:
    stream = Gated()
    app, cancelling = streaming(stream), []

    async def outer(scope: dict[str, object], receive: object, send: object) -> None:
        await app(scope, receive, send)  # type: ignore[arg-type]  # passed on as they are
        task = asyncio.current_task()
        assert task is not None
        cancelling.append(task.cancelling())
        await anyio.lowlevel.checkpoint()
        cancelling.append(task.cancelling())

    async with calling(outer, post()) as call:  # type: ignore[arg-type]  # an application like any other
        await call.put(body())
        await call.start()
        await call.put(GONE)
        await call.nothing_more()
    assert cancelling == [0, 0]
